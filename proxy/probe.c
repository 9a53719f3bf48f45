/* Hides: two short conversations, up to the list of capabilities. */
#include "proxy/probe.h"

#include "common/wire/imap.h"
#include "common/wire/pop3.h"
#include "proxy/backend.h"
#include "proxy/caps.h"
#include "proxy/meters.h"

#define LINE_MAX_BYTES (16 * 1024)

enum step { GREETING, STARTTLS, LIST, POP3_LINES };

struct probe {
	struct proxy *proxy;
	enum side side;
	enum protocol_kind proto;
	struct stream *stream; /* NULL between two looks */
	struct event *timer;   /* the next look, or this one's deadline */
	enum step step;
	struct buf list;
	bool warned;
};

struct probes {
	struct probe probe[SIDES][PROTOS];
};

static void arm(struct probe *b, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	evtimer_add(b->timer, &tv);
}

/* ---- the end of a look */

static void fail(struct probe *b, const char *why)
{
	struct log_about about = { .what = "backend", .id = side_name(b->side) };

	stream_free(&b->stream);
	metrics_set(b->proxy->metrics, METER_BACKEND_UP, AT(b->side, b->proto), 0);
	if (!b->warned)
		log_warn(&about, "%s: cannot ask what it can do: %s",
			 protocol_kind_name(b->proto), why);
	b->warned = true;
	arm(b, MIN((int64_t)PROBE_RETRY_MS, 1000LL * b->proxy->settings->run.probe_s));
}

static void succeed(struct probe *b)
{
	struct caps *c = b->proxy->caps;

	metrics_set(b->proxy->metrics, METER_BACKEND_UP, AT(b->side, b->proto), 1);
	caps_learn(c, b->side, b->proto, stream_fd(b->stream), buf_slice(&b->list));
	caps_refresh(c);
	stream_printf(b->stream, b->proto == PROTO_IMAP ? "P LOGOUT\r\n" : "QUIT\r\n");
	stream_retire(&b->stream, PROXY_LINGER_MS, NULL, NULL);
	b->warned = false;
	arm(b, 1000LL * b->proxy->settings->run.probe_s);
}

/* ---- the conversation */

static void ask_list(struct probe *b)
{
	b->step = LIST;
	buf_drain(&b->list, buf_len(&b->list));
	stream_printf(b->stream, b->proto == PROTO_IMAP ? "P CAPABILITY\r\n" : "CAPA\r\n");
}

static void greeted(struct probe *b)
{
	if (backend_tls(b->proxy->backend[b->side], b->proto) != TLS_STARTTLS) {
		ask_list(b);
		return;
	}
	b->step = STARTTLS;
	stream_printf(b->stream, b->proto == PROTO_IMAP ? "P STARTTLS\r\n" : "STLS\r\n");
}

static void start_tls(struct probe *b)
{
	struct backend *to = b->proxy->backend[b->side];

	if (stream_input(b->stream).n)
		fail(b, "bytes in front of the TLS handshake");
	else
		stream_start_tls(b->stream, backend_ssl(to, stream_fd(b->stream)), false);
}

static void on_imap(struct probe *b, struct slice line)
{
	struct imap_reply r;

	if (imap_reply(line, &r) != WIRE_DONE) {
		fail(b, "it speaks no IMAP");
	} else if (b->step == GREETING) {
		if (r.kind == REPLY_UNTAGGED && r.status == STATUS_OK)
			greeted(b);
		else
			fail(b, "its greeting is not OK");
	} else if (r.kind == REPLY_TAGGED && r.status != STATUS_OK) {
		fail(b, b->step == STARTTLS ? "it refuses STARTTLS" : "it refuses CAPABILITY");
	} else if (r.kind == REPLY_TAGGED && b->step == STARTTLS) {
		start_tls(b);
	} else if (r.kind == REPLY_TAGGED) {
		succeed(b);
	} else if (b->step == LIST && slice_starts_nocase(r.text, "CAPABILITY ")) {
		buf_drain(&b->list, buf_len(&b->list));
		buf_add(&b->list, r.text.p + 11, r.text.n - 11);
	}
}

static void on_pop3(struct probe *b, struct slice line)
{
	struct pop3_reply r;

	if (b->step == POP3_LINES) {
		if (slice_is(line, ".")) {
			succeed(b);
		} else if (buf_len(&b->list) + line.n >= CAPS_LIST_MAX) {
			fail(b, "its CAPA has no end");
		} else {
			buf_add(&b->list, line.p, line.n);
			buf_add_str(&b->list, "\n");
		}
	} else if (pop3_reply(line, &r) != WIRE_DONE) {
		fail(b, "it speaks no POP3");
	} else if (!r.ok) {
		fail(b, b->step == GREETING   ? "its greeting is not +OK"
			: b->step == STARTTLS ? "it refuses STLS"
					      : "it has no CAPA");
	} else if (b->step == GREETING) {
		greeted(b);
	} else if (b->step == STARTTLS) {
		start_tls(b);
	} else {
		b->step = POP3_LINES;
	}
}

static void hear(struct probe *b)
{
	while (b->stream) {
		struct slice in = stream_input(b->stream);
		const char *lf = in.n ? memchr(in.p, '\n', in.n) : NULL;
		size_t n = lf ? (size_t)(lf - in.p) : 0;
		struct slice line;
		char *copy;

		if (!lf) {
			if (in.n > LINE_MAX_BYTES)
				fail(b, "a line without an end");
			return;
		}
		copy = mem_strn(in.p, n);
		line = (struct slice){ copy, n && copy[n - 1] == '\r' ? n - 1 : n };
		stream_consume(b->stream, n + 1);
		if (b->proto == PROTO_IMAP)
			on_imap(b, line);
		else
			on_pop3(b, line);
		free(copy);
	}
}

static void on_stream(struct stream *st, enum stream_event ev, void *arg)
{
	struct probe *b = arg;

	switch (ev) {
	case STREAM_UP:
		if (b->step == STARTTLS)
			ask_list(b);
		break;
	case STREAM_DATA:
		hear(b);
		break;
	case STREAM_DRAINED:
		break;
	case STREAM_EOF:
		fail(b, "it closed the connection");
		break;
	case STREAM_FAILED:
		fail(b, stream_error(st));
		break;
	}
}

/* ---- looks */

static void look(struct probe *b)
{
	const struct settings *set = b->proxy->settings;
	struct err e = { 0 };

	b->step = GREETING;
	b->stream = backend_connect(b->proxy->backend[b->side], &b->proxy->loop, b->proto, NULL,
				    on_stream, b, &e);
	if (!b->stream) {
		fail(b, e.text);
		return;
	}
	arm(b, 1000LL * (set->limits.dial_s + set->limits.backend_login_s));
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct probe *b = arg;

	if (b->stream)
		fail(b, "timed out");
	else
		look(b);
}

struct probes *probes_start(struct proxy *p)
{
	struct probes *all = mem_new(sizeof *all);

	for (int side = 0; side < SIDES; side++)
		for (int proto = 0; proto < PROTOS; proto++) {
			struct probe *b = &all->probe[side][proto];

			b->proxy = p;
			b->side = (enum side)side;
			b->proto = (enum protocol_kind)proto;
			b->timer = evtimer_new(p->loop.base, on_timer, b);
			if (!b->timer)
				BUG("libevent makes no timer");
			if (p->settings->backend[side].port[proto])
				arm(b, 0);
		}
	return all;
}

void probes_hurry(struct probes *all)
{
	for (int side = 0; all && side < SIDES; side++)
		for (int proto = 0; proto < PROTOS; proto++) {
			struct probe *b = &all->probe[side][proto];

			if (!b->stream && b->proxy->settings->backend[side].port[proto])
				arm(b, 0);
		}
}

void probes_stop(struct probes **all)
{
	if (!*all)
		return;
	for (int side = 0; side < SIDES; side++)
		for (int proto = 0; proto < PROTOS; proto++) {
			struct probe *b = &(*all)->probe[side][proto];

			stream_free(&b->stream);
			event_free(b->timer);
			buf_release(&b->list);
		}
	mem_free(all);
}
