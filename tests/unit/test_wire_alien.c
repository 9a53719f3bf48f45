/* What is certainly no mail client, and what only looks like it. */
#include "tests/unit/wire_test.h"

#include "common/wire/alien.h"

/* Never seen as such before the last of `sure` bytes, and from then on always. */
static void expect(const char *text, size_t whole, enum alien what, size_t sure)
{
	for (size_t n = 0; n <= whole; n++) {
		char *p = exact((struct slice){ text, n });
		enum alien got = alien_of(p, n);

		free(p);
		assert_true(sure <= ALIEN_SURE);
		if (got != (n >= sure ? what : ALIEN_NONE))
			fail_msg("\"%.*s\" is seen as %d", (int)n, text, got);
	}
}

#define IS(text, what, sure) expect(text, sizeof(text) - 1, what, sure)
#define NONE(text)	     expect(text, sizeof(text) - 1, ALIEN_NONE, 0)

static void http(void **state UNUSED)
{
	IS("GET / HTTP/1.1\r\n", ALIEN_HTTP, 5);
	IS("POST /login HTTP/1.1\r\n", ALIEN_HTTP, 6);
	IS("GET http://x/ HTTP/1.1\r\n", ALIEN_HTTP, 8);
	IS("OPTIONS * HTTP/1.1\r\n", ALIEN_HTTP, 9);
	IS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ALIEN_HTTP, 5);
	IS("CONNECT mail.test:443 HTTP/1.1\r\n", ALIEN_HTTP, 8);
	IS("HEAD / HTTP/1.0\r\n", ALIEN_HTTP, 6);
}

static void tls(void **state UNUSED)
{
	IS("\x16\x03\x01\x02\x00\x01\x00", ALIEN_TLS, 2);
	IS("\x16\x03\x03\x00\x05", ALIEN_TLS, 2);
}

static void mail_clients(void **state UNUSED)
{
	NONE("a1 CAPABILITY\r\n");
	NONE("GET NOOP\r\n"); /* any word may be a tag */
	NONE("POST LOGIN {4}\r\n");
	NONE("GET");
	NONE("USER anna\r\n");
	NONE("PUT \0/\r\n");
	NONE("\x16\x04");
	NONE("\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http),
		cmocka_unit_test(tls),
		cmocka_unit_test(mail_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
