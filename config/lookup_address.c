/* Hides: how three kinds of addresses are written. */
#include "config/lookup_address.h"

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

static int parse_ip(const char *text, struct lookup_address *out)
{
	struct endpoint at;

	if (endpoint_parse(&at, slice_of(text)) < 0 || at.port == 0 ||
	    !endpoint_is_loopback(&at))
		return -1;
	out->len = endpoint_sockaddr(&at, &out->any.ip);
	return 0;
}

int lookup_address_parse(const char *text, struct lookup_address *out)
{
	*out = (struct lookup_address){ 0 };
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_unix(text + strlen(UNIX_PREFIX), out);
	return parse_ip(text, out);
}
