/* What the tests of the wire parsers share. */
#ifndef TESTS_UNIT_WIRE_TEST_H
#define TESTS_UNIT_WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"

/* A copy of exactly n bytes, so that the address sanitizer sees one byte read too far. */
static inline char *exact(struct slice s)
{
	char *p = malloc(s.n ? s.n : 1);

	assert_non_null(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

/* The same bytes? Says which they are if not. */
static inline void assert_slice(struct slice got, const char *want)
{
	if (!slice_is(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", (int)got.n, got.p ? got.p : "", want);
}

static inline void assert_buf(struct buf *got, const char *want)
{
	assert_slice(buf_slice(got), want);
	buf_release(got);
}

#endif
