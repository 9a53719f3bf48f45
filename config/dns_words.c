/* Hides: how lists of hosts and addresses are written in mailferry.conf. */
#include "config/dns_words.h"

#include <ctype.h>

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

bool dns_word(const char **list, struct slice *out)
{
	const char *p = *list, *end;

	if (!p)
		return false;
	p += strspn(p, " \t,");
	end = p + strcspn(p, ",");
	*list = end;
	while (end > p && strchr(" \t", end[-1]))
		end--;
	*out = (struct slice){ p, (size_t)(end - p) };
	return out->n > 0;
}

int dns_host(struct slice text, char out[DNS_HOST_MAX])
{
	size_t label = 0;

	if (text.n > 0 && text.p[text.n - 1] == '.')
		text.n--;
	if (text.n == 0 || text.n > DNS_HOST_MAX - 3)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '.' ? label == 0 : !isalnum((unsigned char)c) && c != '-' && c != '_')
			return -1;
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return -1;
		out[i] = (char)tolower((unsigned char)c);
	}
	out[text.n] = '.';
	out[text.n + 1] = '\0';
	return label ? 0 : -1;
}

int dns_mx(struct slice text, char out[DNS_HOST_MAX + 8])
{
	const char *space = memchr(text.p, ' ', text.n);
	char host[DNS_HOST_MAX];
	uint64_t preference;
	struct slice rest;

	if (!space || slice_u64((struct slice){ text.p, (size_t)(space - text.p) }, UINT16_MAX,
				&preference) < 0)
		return -1;
	rest = (struct slice){ space + 1, text.n - (size_t)(space + 1 - text.p) };
	while (rest.n && rest.p[0] == ' ') {
		rest.p++;
		rest.n--;
	}
	if (dns_host(rest, host) < 0)
		return -1;
	snprintf(out, DNS_HOST_MAX + 8, "%u %s", (unsigned)preference, host);
	return 0;
}

/* address, address:port or [address]:port */
static int one_resolver(struct slice text, struct endpoint *out)
{
	const char *colon = memrchr(text.p, ':', text.n);
	bool brackets = text.p[0] == '[';
	struct slice ip = text;
	uint64_t port = DNS_PORT;

	if (brackets || (colon && memchr(text.p, ':', text.n) == colon)) {
		const char *end = brackets ? memchr(text.p, ']', text.n) : colon;

		if (!end)
			return -1;
		ip = (struct slice){ text.p + brackets, (size_t)(end - text.p) - brackets };
		end += brackets;
		if (end < text.p + text.n &&
		    (*end != ':' ||
		     slice_u64((struct slice){ end + 1, (size_t)(text.p + text.n - end - 1) },
			       UINT16_MAX, &port) < 0 ||
		     port == 0))
			return -1;
	}
	*out = (struct endpoint){ .port = (uint16_t)port };
	return endpoint_set_ip(out, ip);
}

int dns_resolvers(const char *list, struct endpoint out[DNS_RESOLVERS_MAX], size_t *n,
		  struct slice *bad)
{
	*n = 0;
	while (dns_word(&list, bad)) {
		if (*n == DNS_RESOLVERS_MAX || one_resolver(*bad, &out[*n]) < 0)
			return -1;
		++*n;
	}
	return 0;
}
