/* Hides: which differences between two spellings of a login do not count. */
#include "common/login_name.h"

#include "common/wire/utf7.h"

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* No control character, no blank at an end, whole UTF-8: it goes into logs, rows and JSON. */
static bool is_acceptable(struct slice s)
{
	uint32_t cp;

	if (s.n == 0 || s.n > LOGIN_NAME_MAX || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
		return false;
	while (s.n) {
		size_t n = utf8_next(s, &cp);

		if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			return false;
		s = (struct slice){ s.p + n, s.n - n };
	}
	return true;
}

int login_name_normalise(struct slice raw, const struct login_name_rules *rules, char *out,
			 size_t size)
{
	const char *at;
	const char *domain = rules->default_domain ? rules->default_domain : "";
	size_t local, extra, n;

	if (!is_acceptable(raw))
		return -1;
	at = memrchr(raw.p, '@', raw.n);
	local = at ? (size_t)(at - raw.p) : raw.n;
	if (local == 0 || (at && local + 1 == raw.n))
		return -1;
	extra = !at && *domain ? strlen(domain) + 1 : 0;
	n = raw.n + extra;
	if (n > LOGIN_NAME_MAX || n >= size)
		return -1;
	for (size_t i = 0; i < raw.n; i++)
		out[i] = i > local || rules->fold_local ? fold(raw.p[i]) : raw.p[i];
	for (size_t i = 0; i < extra; i++)
		out[raw.n + i] = i == 0 ? '@' : fold(domain[i - 1]);
	out[n] = '\0';
	return 0;
}
