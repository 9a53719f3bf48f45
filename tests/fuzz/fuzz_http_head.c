/* Tokens, hosts and origins: nothing is read beyond its end, and what is taken looks like what
 * it is. */
#include "common/wire/http_head.h"

#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Copies of the right size: a sanitizer sees the first byte behind. */
	char *text = mem_strn((const char *)data, size);
	const char *sep = size ? memchr(data, '|', size) : NULL;
	size_t n = sep ? (size_t)(sep - (const char *)data) : size;
	char *a = mem_new(n + 1), *b = mem_new(size - n + 1);
	struct slice first = { a, n }, rest = { b, sep ? size - n - 1 : 0 }, token, bad;

	memcpy(a, data, n);
	if (sep)
		memcpy(b, sep + 1, rest.n);
	token = http_bearer(first);
	if (token.n)
		ASSERT(token.n == HTTP_TOKEN_LEN &&
		       memcmp(token.p, HTTP_TOKEN_PREFIX, 3) == 0 && token.p >= first.p &&
		       token.p + token.n == first.p + first.n);
	if (http_host_is_ours(first, "desk.example.com, b") && n)
		ASSERT(!memchr(a, '/', n) && !memchr(a, '@', n));
	if (http_origin_is_ours(first, rest, true)) {
		ASSERT(http_origin_is_ours(first, rest, false));
		ASSERT(rest.n && first.n == rest.n + strlen("https://"));
	}
	if (http_names_check(text, &bad) == 0)
		ASSERT(bad.n == 0);
	mem_free(&text);
	mem_free(&a);
	mem_free(&b);
	return 0;
}
