/* Hides: the words of ID and XCLIENT, and which of them may pass. */
#include "proxy/identity.h"

#include "common/sockets.h"
#include "common/wire/imap_id.h"
#include "common/wire/xclient.h"
#include "proxy/listener.h"
#include "proxy/session_impl.h"

#define TAG	    "I" /* of our ID command */
#define SESSION_MAX 64	/* bytes of the session id that a proxy in front of us has */

/* ---- the words */

enum word { IP, PORT, TO_IP, TO_PORT, TTL, SESSION, TRANSPORT, WORDS };

static const struct {
	const char *id, *xclient;
} words[WORDS] = {
	[IP] = { "x-originating-ip", "ADDR" },
	[PORT] = { "x-originating-port", "PORT" },
	[TO_IP] = { "x-connected-ip", "DESTADDR" },
	[TO_PORT] = { "x-connected-port", "DESTPORT" },
	[TTL] = { "x-proxy-ttl", "TTL" },
	[SESSION] = { "x-session-id", "SESSION" },
	[TRANSPORT] = { "x-client-transport", "CLIENT-TRANSPORT" },
};

static const struct backend_conf *backend_of(const struct session *s)
{
	return &s->proxy->settings->backend[s->back.side];
}

struct origin identity_origin(const struct session *s)
{
	struct origin o = s->origin;

	if (!endpoint_known(&o.to))
		o.to = socket_local(stream_fd(s->client));
	return o;
}

bool identity_is_trusted(const struct session *s)
{
	return networks_have(s->listener->trusted, &s->origin.from);
}

/* ---- from the client */

struct told {
	struct origin origin;
	unsigned hops;
	char session[SESSION_MAX + 1];
};

/* What is no address or number is not heard. */
static void hear_ip(struct slice value, struct endpoint *at)
{
	struct endpoint told = { .port = at->port };

	if (endpoint_set_ip(&told, value) == 0)
		*at = told;
}

static void hear_port(struct slice value, struct endpoint *at)
{
	uint64_t port;

	if (slice_u64(value, UINT16_MAX, &port) == 0)
		at->port = (uint16_t)port;
}

static void hear_hops(struct slice value, struct told *t)
{
	uint64_t hops;

	if (slice_u64(value, UINT8_MAX, &hops) == 0)
		t->hops = (unsigned)hops;
}

static void hear_word(enum word w, struct slice value, struct told *t)
{
	switch (w) {
	case IP:
		hear_ip(value, &t->origin.from);
		break;
	case PORT:
		hear_port(value, &t->origin.from);
		break;
	case TO_IP:
		hear_ip(value, &t->origin.to);
		break;
	case TO_PORT:
		hear_port(value, &t->origin.to);
		break;
	case TTL:
		hear_hops(value, t);
		break;
	case SESSION:
		if (value.n <= SESSION_MAX)
			snprintf(t->session, sizeof t->session, "%.*s", (int)value.n, value.p);
		break;
	case TRANSPORT:
	case WORDS:
		break;
	}
}

/* A count of hops is taken from anybody: lowering it hurts nobody but the one who does. */
static void believe(struct session *s, const struct told *t)
{
	struct origin o = { t->origin.from,
			    endpoint_known(&t->origin.to) ? t->origin.to : s->origin.to };
	char by[ENDPOINT_TEXT_MAX];

	s->hops = (uint8_t)MIN(t->hops, (unsigned)s->hops);
	if (!endpoint_known(&o.from) || !identity_is_trusted(s))
		return;
	snprintf(by, sizeof by, "%s", s->peer);
	if (session_move(s, &o) < 0)
		return;
	log_info(&s->about, "address told: %s, by %s%s%s", s->peer, by,
		 t->session[0] ? ", session " : "", t->session);
}

static void name_program(struct session *s, const struct slice *name,
			 const struct slice *version)
{
	char text[IDENTITY_PROGRAM_MAX + 1];

	if (name->n == 0)
		return;
	snprintf(text, sizeof text, "%.*s%s%.*s", (int)name->n, name->p, version->n ? " " : "",
		 (int)version->n, version->p);
	s->client_id = mem_str(text);
}

/* "name version" out of a list of ours. */
static void find_program(struct session *s, struct slice pairs)
{
	struct imap_id_pair pair;
	char *name = NULL, *version = NULL;
	struct slice n, v;

	while (imap_id_next(&pairs, &pair) == WIRE_DONE) {
		if (!name && slice_is_nocase(pair.field, "name"))
			name = mem_strn(pair.value.p, pair.value.n);
		else if (!version && slice_is_nocase(pair.field, "version"))
			version = mem_strn(pair.value.p, pair.value.n);
	}
	n = slice_of(name);
	v = slice_of(version);
	mem_free(&s->client_id);
	name_program(s, &n, &v);
	free(name);
	free(version);
}

/* The client's own fields; those beyond limits.id_pairs are forgotten. */
static void keep_pair(struct session *s, const struct imap_id_pair *pair,
		      struct imap_id_list *keep, unsigned *count)
{
	unsigned most = (unsigned)s->proxy->settings->limits.id_pairs;

	if (++*count <= most)
		imap_id_add(keep, pair->field, pair->nil ? NULL : &pair->value);
	else if (*count == most + 1)
		meter_limit(s->proxy, LIMIT_ID_PAIRS);
}

static void hear_claim(const struct imap_id_pair *pair, struct told *t)
{
	for (int w = 0; w < WORDS; w++)
		if (slice_is_nocase(pair->field, words[w].id))
			hear_word((enum word)w, pair->value, t);
}

static enum wire hear_pairs(struct session *s, struct slice args, struct told *t)
{
	struct imap_id_list keep = { 0 };
	struct imap_id_pair pair;
	struct slice pairs;
	enum wire w = imap_id_open(args, &pairs);
	unsigned count = 0;

	while (w == WIRE_DONE && (w = imap_id_next(&pairs, &pair)) == WIRE_DONE) {
		if (imap_id_is_claim(pair.field))
			hear_claim(&pair, t);
		else
			keep_pair(s, &pair, &keep, &count);
	}
	if (w == WIRE_MORE) {
		mem_free(&s->id_fields);
		s->id_fields = mem_strn(buf_slice(&keep.text).p, buf_len(&keep.text));
		find_program(s, buf_slice(&keep.text));
		w = WIRE_DONE;
	}
	buf_release(&keep.text);
	return w;
}

enum wire identity_hear_id(struct session *s, struct slice args)
{
	struct told t = { .hops = UINT8_MAX };

	if (hear_pairs(s, args, &t) != WIRE_DONE)
		return WIRE_BAD;
	believe(s, &t);
	return WIRE_DONE;
}

enum wire identity_hear_xclient(struct session *s, struct slice args)
{
	struct told t = { .hops = UINT8_MAX };
	bool trusted = identity_is_trusted(s);
	struct slice name, value;
	enum wire w;

	while ((w = xclient_next(&args, &name, &value)) == WIRE_DONE)
		for (int i = 0; i < WORDS; i++)
			if (slice_is_nocase(name, words[i].xclient))
				hear_word((enum word)i, value, &t);
	if (w == WIRE_BAD)
		return WIRE_BAD;
	believe(s, &t);
	return trusted ? WIRE_DONE : WIRE_BAD;
}

int identity_reset(struct session *s)
{
	mem_free(&s->id_fields);
	mem_free(&s->client_id);
	s->hops = IDENTITY_HOPS;
	if (memcmp(&s->origin, &s->arrived, sizeof s->origin) == 0)
		return 0;
	return session_move(s, &s->arrived);
}

bool identity_may_pass(struct session *s, const struct imap_command *c)
{
	struct told none = { 0 };

	if (!slice_is_nocase(c->verb, "ID"))
		return true;
	if (imap_id_may_claim(c->rest))
		return false;
	if (hear_pairs(s, c->rest, &none) == WIRE_DONE)
		s->row_ms = 0; /* to be shown at once */
	mem_free(&s->id_fields);
	return true;
}

/* ---- circles */

int identity_dial(struct session *s, struct err *e)
{
	if (s->hops > 1)
		return 0;
	log_warn(&s->about, "login came through %d proxies: one of them leads back to us",
		 IDENTITY_HOPS);
	return err_set(e, ERR_LIMIT, "too many proxies in a row (x-proxy-ttl)");
}

bool identity_in_circle(struct session *s)
{
	const char *listener = listeners_find(s->proxy->listeners, stream_fd(s->backend));

	if (listener)
		log_error(&s->about,
			  "backend \"%s\": %s leads back to our own listener \"%s\": correct "
			  "backend.host or its port",
			  side_name(s->back.side), backend_of(s)->host, listener);
	return listener != NULL;
}

void identity_greeted(struct session *s, struct slice code, struct slice text)
{
	s->back.intro.xclient = slice_is_nocase(code, "XCLIENT");
	s->back.intro.ferry = slice_is(text, IDENTITY_GREETING);
}

/* ---- to the backend */

static void put_endpoint(const struct endpoint *at, char ip[SESSION_MAX],
			 char port[SESSION_MAX])
{
	char text[ENDPOINT_IP_MAX];

	if (!endpoint_known(at))
		return;
	endpoint_ip_text(at, text);
	snprintf(ip, SESSION_MAX, "%s", text);
	snprintf(port, SESSION_MAX, "%u", (unsigned)at->port);
}

/* all: else nothing but the count of hops. What is not known stays "". */
static void fill_words(const struct session *s, bool all, char out[WORDS][SESSION_MAX])
{
	struct origin o = identity_origin(s);

	memset(out, 0, WORDS * SESSION_MAX);
	snprintf(out[TTL], SESSION_MAX, "%u", s->hops - 1u);
	if (!all)
		return;
	put_endpoint(&o.from, out[IP], out[PORT]);
	put_endpoint(&o.to, out[TO_IP], out[TO_PORT]);
	snprintf(out[SESSION], SESSION_MAX, "%s", s->id);
	snprintf(out[TRANSPORT], SESSION_MAX, "%s",
		 s->client && stream_secure(s->client) ? "TLS" : "insecure");
}

/* Ours first: should room be short, it is the client's fields that go. */
static void make_list(const struct session *s, struct imap_id_list *list)
{
	struct slice theirs = slice_of(s->id_fields);
	bool all = backend_of(s)->id_forward;
	char text[WORDS][SESSION_MAX];
	struct imap_id_pair pair;

	if (all || s->back.intro.ferry) {
		fill_words(s, all, text);
		for (int w = 0; w < WORDS; w++) {
			struct slice value = slice_of(text[w]);

			if (value.n)
				imap_id_add(list, slice_of(words[w].id), &value);
		}
	}
	while (imap_id_next(&theirs, &pair) == WIRE_DONE)
		imap_id_add(list, pair.field, pair.nil ? NULL : &pair.value);
}

void identity_tell_id(struct session *s)
{
	struct imap_id_list list = { 0 };
	struct buf out = { 0 };

	if (s->back.intro.told || !imap_capability_has(buf_slice(&s->back.caps), "ID"))
		return;
	make_list(s, &list);
	if (list.count) {
		buf_add_str(&out, TAG " ID (");
		buf_add(&out, buf_slice(&list.text).p, buf_len(&list.text));
		buf_add_str(&out, ")\r\n");
		stream_write(s->backend, buf_slice(&out).p, buf_len(&out));
		s->back.intro.told = s->back.intro.due = true;
	}
	buf_release(&list.text);
	buf_release(&out);
}

void identity_tell_xclient(struct session *s)
{
	struct introduction *intro = &s->back.intro;
	bool offered = intro->xclient || pop3_capa_has(buf_slice(&s->back.caps), "XCLIENT");
	bool all = backend_of(s)->xclient && offered;
	char text[WORDS][SESSION_MAX];
	struct buf out = { 0 };

	if (intro->told || (!all && !intro->ferry))
		return;
	fill_words(s, all, text);
	buf_add_str(&out, "XCLIENT");
	for (int w = 0; w < WORDS; w++)
		if (text[w][0])
			xclient_add(&out, words[w].xclient, text[w]);
	buf_add_str(&out, "\r\n");
	stream_write(s->backend, buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	intro->told = intro->due = true;
}

bool identity_took_answer(struct session *s, bool ok, struct slice text)
{
	if (!s->back.intro.due)
		return false;
	s->back.intro.due = false;
	if (!ok)
		log_info(&s->about,
			 "the backend does not hear where the client comes from: %.*s",
			 (int)MIN(text.n, (size_t)200), text.p);
	return true;
}

/* RFC 3501 5.5 would allow another order, but then the answer could not be kept from the
 * client.
 */
bool identity_took_reply(struct session *s, const struct imap_reply *r)
{
	bool early = s->back.intro.due;

	if (slice_is(r->tag, TAG))
		return identity_took_answer(s, r->status == STATUS_OK, r->text);
	if (early)
		session_refused(s, REJECT_DOWN, "the backend answers ID behind the login");
	return early;
}
