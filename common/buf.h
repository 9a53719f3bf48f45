/*
 * Bytes. A slice borrows, a buf owns. Nothing here is NUL-terminated unless it says so.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/mem.h"

/* Borrowed bytes: valid as long as what they point into. */
struct slice {
	const char *p;
	size_t n;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

struct slice slice_of(const char *s); /* of a C string; NULL gives the empty slice */
bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text); /* ASCII */
bool slice_starts_nocase(struct slice s, const char *prefix);
/* Does it begin with that, in any case? Then s goes on behind it. */
bool slice_take_nocase(struct slice *s, const char *prefix);
/* Decimal digits only, no sign; -1 if empty, anything else in it, or above max. */
int slice_u64(struct slice s, uint64_t max, uint64_t *out) MUST_CHECK;

/* A growing row of bytes, taken off at the front, put on at the back. Zeroed it is empty and
 * valid. */
struct buf {
	char *at;
	size_t start, end, size;
};

void buf_release(struct buf *b); /* gives the memory back; the buf is empty and valid */
struct slice buf_slice(const struct buf *b);
size_t buf_len(const struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drain(struct buf *b, size_t n); /* n <= buf_len(b) */
/* Room for n more bytes behind the end; then buf_wrote() says how many were put there. */
char *buf_room(struct buf *b, size_t n);
void buf_wrote(struct buf *b, size_t n);
/* Overwrites the whole memory before release: for what held a password. */
void buf_wipe(struct buf *b);

#endif
