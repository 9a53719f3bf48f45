/* Hides: how tokens, hosts and origins are written. */
#include "common/wire/http_head.h"

#include "common/wire/endpoint.h"

#define HOST_MAX 253 /* bytes of a name (RFC 1035 2.3.4) */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

struct slice http_bearer(struct slice value)
{
	const char *prefix = HTTP_TOKEN_PREFIX;
	size_t at = strlen(prefix);

	if (!slice_take_nocase(&value, "Bearer "))
		return SLICE("");
	while (value.n && value.p[0] == ' ')
		value = (struct slice){ value.p + 1, value.n - 1 };
	if (value.n != HTTP_TOKEN_LEN || memcmp(value.p, prefix, at) != 0)
		return SLICE("");
	for (size_t i = at; i < value.n; i++)
		if (!is_digit(value.p[i]) && (value.p[i] < 'a' || value.p[i] > 'f'))
			return SLICE("");
	return value;
}

/* ---- hosts */

static bool is_host_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] | 0x20;

		if (!is_digit(s.p[i]) && (c < 'a' || c > 'z') && s.p[i] != '-' && s.p[i] != '.')
			return false;
	}
	return s.n > 0 && s.n <= HOST_MAX;
}

static struct slice next_name(const char **names)
{
	struct slice word;

	*names += strspn(*names, ", \t");
	word = (struct slice){ *names, strcspn(*names, ", \t") };
	*names += word.n;
	return word;
}

int http_names_check(const char *names, struct slice *bad)
{
	size_t count = 0;

	for (struct slice w = next_name(&names); w.n; w = next_name(&names), count++) {
		*bad = w;
		if (!is_host_name(w))
			return -1;
	}
	*bad = SLICE("");
	return count ? 0 : -1;
}

/* Takes ":8143" off, if it is there. */
static bool drop_port(struct slice *s)
{
	const char *colon = s->n ? memrchr(s->p, ':', s->n) : NULL;
	uint64_t port;
	size_t n;

	if (!colon || s->p[s->n - 1] == ']')
		return true;
	n = (size_t)(colon - s->p);
	if (slice_u64((struct slice){ colon + 1, s->n - n - 1 }, UINT16_MAX, &port) < 0)
		return false;
	s->n = n;
	return true;
}

static bool is_address(struct slice s)
{
	struct endpoint at = { 0 };
	bool v6 = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';

	if (v6)
		s = (struct slice){ s.p + 1, s.n - 2 };
	return v6 == (s.n && memchr(s.p, ':', s.n)) && endpoint_set_ip(&at, s) == 0;
}

static bool same_name(struct slice a, struct slice b)
{
	return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

bool http_host_is_ours(struct slice host, const char *names)
{
	if (!drop_port(&host))
		return false;
	if (is_address(host) || slice_is_nocase(host, "localhost"))
		return true;
	for (struct slice w = names ? next_name(&names) : SLICE(""); w.n; w = next_name(&names))
		if (same_name(w, host))
			return true;
	return false;
}

bool http_origin_is_ours(struct slice origin, struct slice host, bool tls)
{
	if (!slice_take_nocase(&origin, "https://") &&
	    (tls || !slice_take_nocase(&origin, "http://")))
		return false;
	return origin.n > 0 && same_name(origin, host);
}
