/*
 * Mailbox names: modified UTF-7 (RFC 3501 5.1.3) to UTF-8 and back. The wire name stays the
 * key; the decoded name is used only when it encodes back to the same bytes.
 */
#ifndef COMMON_WIRE_UTF7_H
#define COMMON_WIRE_UTF7_H

#include "common/wire/wire.h"

/*
 * The character at the front of s in *cp; returns how many bytes it takes, 0 at the end and
 * where s is not UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
size_t utf8_next(struct slice s, uint32_t *cp);

/* Is all of s UTF-8? */
bool utf8_is_valid(struct slice s);

/* The front of s, at most `most` bytes: no character is cut. */
struct slice utf8_front(struct slice s, size_t most);

/*
 * -1: not canonical modified UTF-7 (bad shift, bits left over, printable ASCII encoded, lone
 * surrogate, 8-bit), or a control character in it. Nothing is added to the buffer then; so too
 * below.
 */
int utf7_decode(struct slice wire, struct buf *utf8) MUST_CHECK;
/* -1: not valid UTF-8, or a control character in it. */
int utf7_encode(struct slice utf8, struct buf *wire) MUST_CHECK;

#endif
