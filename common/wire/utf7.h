/*
 * Mailbox names: modified UTF-7 (RFC 3501 5.1.3) to UTF-8 and back. The wire name stays the key;
 * the decoded name is used only when it encodes back to the same bytes.
 */
#ifndef COMMON_WIRE_UTF7_H
#define COMMON_WIRE_UTF7_H

#include "common/wire/wire.h"

/* -1: not canonical modified UTF-7 (bad shift, bits left over, printable ASCII encoded, lone surrogate, 8-bit). */
int utf7_decode(struct slice wire, struct buf *utf8) MUST_CHECK;
/* -1: not valid UTF-8, or a control character in it. */
int utf7_encode(struct slice utf8, struct buf *wire) MUST_CHECK;

#endif
