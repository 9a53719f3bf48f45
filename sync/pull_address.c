/* Hides: how an address is known for our own. */
#include <netdb.h>
#include <sys/socket.h>

#include "common/wire/endpoint.h"
#include "sync/pull.h"

/* "127.0.0.1 993" */
static bool read_own(const char *text, struct endpoint *out)
{
	const char *space = strchr(text, ' ');
	uint64_t port;

	if (!space ||
	    endpoint_set_ip(out, (struct slice){ text, (size_t)(space - text) }) < 0 ||
	    slice_u64(slice_of(space + 1), UINT16_MAX, &port) < 0)
		return false;
	out->port = (uint16_t)port;
	return true;
}

/* The way to an address of this host begins at that address; nothing is sent to find out. */
static bool is_of_this_host(const struct addrinfo *a)
{
	struct sockaddr_storage from;
	socklen_t n = sizeof from;
	struct endpoint here, there = endpoint_of(a->ai_addr);
	int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = false;

	if (fd < 0)
		return false;
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    getsockname(fd, (struct sockaddr *)&from, &n) == 0) {
		here = endpoint_of((const struct sockaddr *)&from);
		found = endpoint_same_ip(&here, &there);
	}
	close(fd);
	return found;
}

static bool is_ours(const struct job_pull *p, const struct addrinfo *a)
{
	struct endpoint own = { 0 }, at = endpoint_of(a->ai_addr);

	for (size_t i = 0; i < p->own_count; i++)
		if (read_own(p->own[i], &own) && own.port == at.port &&
		    (endpoint_is_any(&own) ? is_of_this_host(a) : endpoint_same_ip(&own, &at)))
			return true;
	return false;
}

/* "host:993", "[2001:db8::1]:993" */
static int split(const char *server, char **host, char **port, struct err *e)
{
	const char *colon = strrchr(server, ':');
	size_t n = colon ? (size_t)(colon - server) : 0;

	if (n == 0 || !colon[1])
		return err_set(e, ERR_INPUT, "\"%.100s\" is no host:port", server);
	*port = mem_str(colon + 1);
	*host = server[0] == '[' && server[n - 1] == ']' ? mem_strn(server + 1, n - 2)
							 : mem_strn(server, n);
	return 0;
}

int pull_check_address(const struct job_pull *p, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	char *host = NULL, *port = NULL;
	int rc = split(p->server, &host, &port, e), got;

	if (rc == 0 && (got = getaddrinfo(host, port, &hints, &all)) != 0)
		rc = err_set(e, ERR_TEMP, "%s: %s", host, gai_strerror(got));
	for (const struct addrinfo *a = all; a && rc == 0; a = a->ai_next)
		if (is_ours(p, a))
			rc = err_set(e, ERR_INPUT,
				     "%s is the proxy's own address: OpenSRS would be sent back to "
				     "itself once a user is moved; remedy: give the old server's "
				     "own one in opensrs.pull_server",
				     p->server);
	if (all)
		freeaddrinfo(all);
	mem_free(&host);
	mem_free(&port);
	return rc;
}
