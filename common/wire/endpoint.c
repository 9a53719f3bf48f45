/* Hides: that there are two families of addresses, and how they are written. */
#include "common/wire/endpoint.h"

#include <arpa/inet.h>

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void set_v4(struct endpoint *at, const void *four)
{
	memcpy(at->ip, v4_prefix, sizeof v4_prefix);
	memcpy(at->ip + sizeof v4_prefix, four, 4);
}

struct endpoint endpoint_of(const struct sockaddr *sa)
{
	struct endpoint at = { 0 };

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		set_v4(&at, &in->sin_addr);
		at.port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		memcpy(at.ip, &in6->sin6_addr, sizeof at.ip);
		at.port = ntohs(in6->sin6_port);
	}
	return at;
}

socklen_t endpoint_sockaddr(const struct endpoint *at, union endpoint_sockaddr *out)
{
	*out = (union endpoint_sockaddr){ 0 };
	if (endpoint_is_v4(at)) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(at->port);
		memcpy(&out->in.sin_addr, at->ip + sizeof v4_prefix, sizeof out->in.sin_addr);
		return sizeof out->in;
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons(at->port);
	memcpy(&out->in6.sin6_addr, at->ip, sizeof at->ip);
	return sizeof out->in6;
}

bool endpoint_known(const struct endpoint *at)
{
	static const uint8_t none[sizeof at->ip];

	return memcmp(at->ip, none, sizeof none) != 0;
}

bool endpoint_is_v4(const struct endpoint *at)
{
	return memcmp(at->ip, v4_prefix, sizeof v4_prefix) == 0;
}

bool endpoint_is_any(const struct endpoint *at)
{
	static const uint8_t zero[4];

	return !endpoint_known(at) || (endpoint_is_v4(at) && memcmp(at->ip + sizeof v4_prefix,
								    zero, sizeof zero) == 0);
}

bool endpoint_is_loopback(const struct endpoint *at)
{
	static const uint8_t one[sizeof at->ip] = { [15] = 1 };

	return endpoint_is_v4(at) ? at->ip[12] == 127 : memcmp(at->ip, one, sizeof one) == 0;
}

bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b)
{
	return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

int endpoint_set_ip(struct endpoint *at, struct slice text)
{
	char copy[ENDPOINT_IP_MAX];
	uint8_t raw[16];

	if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n))
		return -1;
	snprintf(copy, sizeof copy, "%.*s", (int)text.n, text.p);
	if (inet_pton(AF_INET, copy, raw) == 1)
		set_v4(at, raw);
	else if (inet_pton(AF_INET6, copy, raw) == 1)
		memcpy(at->ip, raw, sizeof at->ip);
	else
		return -1;
	return 0;
}

int endpoint_parse(struct endpoint *at, struct slice text)
{
	const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
	struct slice ip = { text.p, colon ? (size_t)(colon - text.p) : 0 };
	struct endpoint out = { 0 };
	bool v6 = ip.n > 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']';
	uint64_t port;

	if (v6)
		ip = (struct slice){ ip.p + 1, ip.n - 2 };
	if (!colon || v6 != (ip.n && memchr(ip.p, ':', ip.n)) ||
	    slice_u64((struct slice){ colon + 1, text.n - (size_t)(colon + 1 - text.p) },
		      UINT16_MAX, &port) < 0 ||
	    endpoint_set_ip(&out, ip) < 0)
		return -1;
	out.port = (uint16_t)port;
	*at = out;
	return 0;
}

void endpoint_ip_text(const struct endpoint *at, char out[ENDPOINT_IP_MAX])
{
	bool v4 = endpoint_is_v4(at);

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? at->ip + sizeof v4_prefix : at->ip, out,
		       ENDPOINT_IP_MAX))
		BUG("an address that has no text");
}

void endpoint_text(const struct endpoint *at, char out[ENDPOINT_TEXT_MAX])
{
	char ip[ENDPOINT_IP_MAX];

	endpoint_ip_text(at, ip);
	snprintf(out, ENDPOINT_TEXT_MAX, endpoint_is_v4(at) ? "%s:%u" : "[%s]:%u", ip,
		 (unsigned)at->port);
}

/* ---- networks */

struct network {
	struct endpoint at;
	unsigned bits; /* of 128 */
};

/* Do the first bits agree? */
static bool agree(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

	return memcmp(a, b, bits / 8) == 0 &&
	       (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

/* Is everything behind the network's length zero? */
static bool is_aligned(const struct network *net)
{
	for (unsigned bit = net->bits; bit < 128; bit++)
		if (net->at.ip[bit / 8] & (0x80u >> (bit % 8)))
			return false;
	return true;
}

static int parse_network(struct slice word, struct network *out)
{
	const char *slash = word.n ? memchr(word.p, '/', word.n) : NULL;
	struct slice ip = { word.p, slash ? (size_t)(slash - word.p) : word.n };
	uint64_t bits;
	bool v4;

	*out = (struct network){ .bits = 128 };
	if (endpoint_set_ip(&out->at, ip) < 0)
		return -1;
	if (!slash)
		return 0;
	v4 = memchr(ip.p, ':', ip.n) == NULL;
	if (slice_u64((struct slice){ slash + 1, word.n - ip.n - 1 }, v4 ? 32 : 128, &bits) < 0)
		return -1;
	out->bits = (unsigned)bits + (v4 ? 96 : 0);
	return is_aligned(out) ? 0 : -1;
}

/* Words between commas and blanks. */
static struct slice next_word(const char **list)
{
	struct slice word;

	*list += strspn(*list, ", \t");
	word = (struct slice){ *list, strcspn(*list, ", \t") };
	*list += word.n;
	return word;
}

int networks_check(const char *list, struct slice *bad)
{
	struct network net;
	size_t count = 0;

	for (struct slice w = next_word(&list); w.n; w = next_word(&list), count++) {
		*bad = w;
		if (parse_network(w, &net) < 0)
			return -1;
	}
	*bad = SLICE("");
	return count ? 0 : -1;
}

bool networks_have(const char *list, const struct endpoint *at)
{
	struct network net;

	if (!list)
		return false;
	for (struct slice w = next_word(&list); w.n; w = next_word(&list))
		if (parse_network(w, &net) == 0 && agree(net.at.ip, at->ip, net.bits))
			return true;
	return false;
}
