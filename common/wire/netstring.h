/*
 * Netstrings, "5:hello,": how Postfix talks to a socketmap (socketmap_table(5)).
 */
#ifndef COMMON_WIRE_NETSTRING_H
#define COMMON_WIRE_NETSTRING_H

#include "common/wire/wire.h"

/*
 * The netstring that p[0..n) begins with. DONE: *body is what it holds (a slice of p), *len the
 * bytes of all of it. BAD: no digits, digits that begin with a needless 0, more than max bytes
 * inside, or no comma behind them.
 */
enum wire netstring(const char *p, size_t n, size_t max, struct slice *body, size_t *len);
void netstring_write(struct buf *out, struct slice body);

#endif
