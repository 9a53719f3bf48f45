/* Hides: how three kinds of addresses are written. */
#include "config/lookup_address.h"

#include <arpa/inet.h>

#include "common/buf.h"

#define UNIX_PREFIX "unix:"

static int parse_unix(const char *path, struct lookup_address *out)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof out->any.un.sun_path)
		return -1;
	out->any.un.sun_family = AF_UNIX;
	memcpy(out->any.un.sun_path, path, n + 1);
	out->len = sizeof out->any.un;
	return 0;
}

static int parse_v4(const char *host, uint16_t port, struct lookup_address *out)
{
	out->any.in.sin_family = AF_INET;
	out->any.in.sin_port = htons(port);
	out->len = sizeof out->any.in;
	if (inet_pton(AF_INET, host, &out->any.in.sin_addr) != 1)
		return -1;
	return ntohl(out->any.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ? 0 : -1;
}

static int parse_v6(const char *host, uint16_t port, struct lookup_address *out)
{
	out->any.in6.sin6_family = AF_INET6;
	out->any.in6.sin6_port = htons(port);
	out->len = sizeof out->any.in6;
	if (inet_pton(AF_INET6, host, &out->any.in6.sin6_addr) != 1)
		return -1;
	return IN6_IS_ADDR_LOOPBACK(&out->any.in6.sin6_addr) ? 0 : -1;
}

int lookup_address_parse(const char *text, struct lookup_address *out)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	char host[INET6_ADDRSTRLEN];
	uint64_t port;

	*out = (struct lookup_address){ 0 };
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_unix(text + strlen(UNIX_PREFIX), out);
	if (!colon || slice_u64(slice_of(colon + 1), UINT16_MAX, &port) < 0 || port == 0)
		return -1;
	if (n > 2 && text[0] == '[' && text[n - 1] == ']' && n - 2 < sizeof host) {
		snprintf(host, sizeof host, "%.*s", (int)(n - 2), text + 1);
		return parse_v6(host, (uint16_t)port, out);
	}
	if (n >= sizeof host)
		return -1;
	snprintf(host, sizeof host, "%.*s", (int)n, text);
	return parse_v4(host, (uint16_t)port, out);
}
