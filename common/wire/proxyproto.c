/* Hides: the two forms of a PROXY header. */
#include "common/wire/proxyproto.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define HEAD	  16 /* signature, version and command, family, length */

enum { CMD_LOCAL = 0x20, CMD_PROXY = 0x21 };
enum { FAMILY_UNSPEC = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21 };
enum { ADDRESSES_TCP4 = 12, ADDRESSES_TCP6 = 36 };

/* Does p[0..n) begin with the text, as far as both go? */
static bool agrees(const char *p, size_t n, const char *text, size_t len)
{
	return memcmp(p, text, MIN(n, len)) == 0;
}

/* ---- version 1: one line */

/* Words are parted by exactly one blank. */
static struct slice take_word(struct slice *rest)
{
	const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
	struct slice word = { rest->p, space ? (size_t)(space - rest->p) : rest->n };
	size_t eaten = word.n + (space != NULL);

	*rest = (struct slice){ rest->p + eaten, rest->n - eaten };
	return word;
}

static int take_ip(struct slice *rest, bool v4, struct endpoint *out)
{
	struct slice word = take_word(rest);
	bool dotted = word.n && !memchr(word.p, ':', word.n);

	return dotted == v4 ? endpoint_set_ip(out, word) : -1;
}

/* No zero in front: it would be octal to some. */
static int take_port(struct slice *rest, struct endpoint *out)
{
	struct slice word = take_word(rest);
	uint64_t port;

	if ((word.n > 1 && word.p[0] == '0') || slice_u64(word, UINT16_MAX, &port) < 0)
		return -1;
	out->port = (uint16_t)port;
	return 0;
}

/* line: behind "PROXY ", without its end. */
static enum wire read_words(struct slice line, struct proxyproto *out)
{
	bool ends_blank = line.n && line.p[line.n - 1] == ' ';
	struct slice family = take_word(&line);
	bool v4 = slice_is(family, "TCP4");

	if (slice_is(family, "UNKNOWN")) { /* whatever follows means nothing */
		out->local = true;
		return WIRE_DONE;
	}
	if (!v4 && !slice_is(family, "TCP6"))
		return WIRE_BAD;
	if (take_ip(&line, v4, &out->from) < 0 || take_ip(&line, v4, &out->to) < 0 ||
	    take_port(&line, &out->from) < 0 || take_port(&line, &out->to) < 0 || line.n ||
	    ends_blank)
		return WIRE_BAD;
	return WIRE_DONE;
}

static enum wire read_v1(const char *p, size_t n, struct proxyproto *out, size_t *len)
{
	const size_t lead = sizeof "PROXY " - 1;
	const char *cr = memchr(p, '\r', MIN(n, (size_t)PROXYPROTO_V1_MAX));
	size_t at = cr ? (size_t)(cr - p) : n;

	if (!agrees(p, n, "PROXY ", lead) ||
	    memchr(p, '\n', MIN(at, (size_t)PROXYPROTO_V1_MAX)))
		return WIRE_BAD;
	if (!cr || at + 1 >= n) /* the shortest end still to come must fit */
		return at + 2 > PROXYPROTO_V1_MAX ? WIRE_BAD : WIRE_MORE;
	if (at < lead || p[at + 1] != '\n' || at + 2 > PROXYPROTO_V1_MAX)
		return WIRE_BAD;
	out->version = 1;
	*len = at + 2;
	return read_words((struct slice){ p + lead, at - lead }, out);
}

/* ---- version 2: binary */

static uint16_t get16(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static void get_v4(const char *p, struct endpoint *out)
{
	static const uint8_t prefix[] = { 0xff, 0xff };

	memcpy(out->ip + 10, prefix, sizeof prefix);
	memcpy(out->ip + 12, p, 4);
}

static void get_tcp4(const char *p, struct proxyproto *out)
{
	get_v4(p, &out->from);
	get_v4(p + 4, &out->to);
	out->from.port = get16(p + 8);
	out->to.port = get16(p + 10);
}

static void get_tcp6(const char *p, struct proxyproto *out)
{
	memcpy(out->from.ip, p, 16);
	memcpy(out->to.ip, p + 16, 16);
	out->from.port = get16(p + 32);
	out->to.port = get16(p + 34);
}

static enum wire read_v2(const char *p, size_t n, struct proxyproto *out, size_t *len)
{
	uint8_t command, family;
	size_t size;

	if (!agrees(p, n, SIGNATURE, sizeof SIGNATURE - 1))
		return WIRE_BAD;
	if (n < HEAD)
		return WIRE_MORE;
	command = (uint8_t)p[12];
	family = (uint8_t)p[13];
	size = get16(p + 14);
	if ((command != CMD_LOCAL && command != CMD_PROXY) || HEAD + size > PROXYPROTO_V2_MAX)
		return WIRE_BAD;
	out->local = command == CMD_LOCAL || family == FAMILY_UNSPEC;
	if (!out->local && !(family == FAMILY_TCP4 && size >= ADDRESSES_TCP4) &&
	    !(family == FAMILY_TCP6 && size >= ADDRESSES_TCP6))
		return WIRE_BAD;
	if (n < HEAD + size)
		return WIRE_MORE;
	out->version = 2;
	*len = HEAD + size;
	if (!out->local && family == FAMILY_TCP4)
		get_tcp4(p + HEAD, out);
	else if (!out->local)
		get_tcp6(p + HEAD, out);
	return WIRE_DONE;
}

enum wire proxyproto_read(const char *p, size_t n, struct proxyproto *out, size_t *len)
{
	enum wire w;

	*out = (struct proxyproto){ 0 };
	*len = 0;
	if (n == 0)
		return WIRE_MORE;
	w = p[0] == 'P' ? read_v1(p, n, out, len) : read_v2(p, n, out, len);
	if (w == WIRE_DONE && !out->local &&
	    (!endpoint_known(&out->from) || !endpoint_known(&out->to)))
		return WIRE_BAD; /* "::" is nobody's */
	return w;
}

/* ---- writing */

/* An IPv4 address in the company of an IPv6 one. */
static void add_mapped(struct buf *out, const struct endpoint *at)
{
	char text[ENDPOINT_IP_MAX];

	endpoint_ip_text(at, text);
	buf_printf(out, " %s%s", endpoint_is_v4(at) ? "::ffff:" : "", text);
}

static void write_v1(const struct proxyproto *h, bool v4, struct buf *out)
{
	char from[ENDPOINT_IP_MAX], to[ENDPOINT_IP_MAX];

	if (v4) {
		endpoint_ip_text(&h->from, from);
		endpoint_ip_text(&h->to, to);
		buf_printf(out, "PROXY TCP4 %s %s", from, to);
	} else {
		buf_add_str(out, "PROXY TCP6");
		add_mapped(out, &h->from);
		add_mapped(out, &h->to);
	}
	buf_printf(out, " %u %u\r\n", (unsigned)h->from.port, (unsigned)h->to.port);
}

static void add16(struct buf *out, size_t v)
{
	const uint8_t two[] = { (uint8_t)(v >> 8), (uint8_t)v };

	buf_add(out, two, sizeof two);
}

static void write_head(struct buf *out, uint8_t command, uint8_t family, size_t size)
{
	buf_add(out, SIGNATURE, sizeof SIGNATURE - 1);
	buf_add(out, &command, 1);
	buf_add(out, &family, 1);
	add16(out, size);
}

static void write_v2(const struct proxyproto *h, bool v4, struct buf *out)
{
	size_t skip = v4 ? 12 : 0;

	write_head(out, CMD_PROXY, v4 ? FAMILY_TCP4 : FAMILY_TCP6,
		   v4 ? ADDRESSES_TCP4 : ADDRESSES_TCP6);
	buf_add(out, h->from.ip + skip, sizeof h->from.ip - skip);
	buf_add(out, h->to.ip + skip, sizeof h->to.ip - skip);
	add16(out, h->from.port);
	add16(out, h->to.port);
}

void proxyproto_write(const struct proxyproto *h, struct buf *out)
{
	bool local = h->local || !endpoint_known(&h->from) || !endpoint_known(&h->to);
	bool v4 = endpoint_is_v4(&h->from) && endpoint_is_v4(&h->to);

	ASSERT(h->version == 1 || h->version == 2);
	if (local && h->version == 1)
		buf_add_str(out, "PROXY UNKNOWN\r\n");
	else if (local)
		write_head(out, CMD_LOCAL, FAMILY_UNSPEC, 0);
	else if (h->version == 1)
		write_v1(h, v4, out);
	else
		write_v2(h, v4, out);
}
