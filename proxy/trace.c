/* Hides: how bytes become redacted lines, and who is traced until when. */
#include "proxy/trace.h"

#include "common/clock.h"
#include "common/wire/redact.h"
#include "proxy/follower.h"
#include "proxy/route.h"

#define LINE_MAX_SHOWN 1000 /* bytes of a line that are looked at and shown */

struct trace {
	TAILQ_ENTRY(trace) link;
	char *name;
	int64_t id, until, bytes, max_bytes;
};

/* One direction's logical line so far: literals are cut out, only the beginning is kept. */
struct half {
	char at[LINE_MAX_SHOWN];
	size_t n, total;
};

/* One session's conversation. */
struct talk {
	struct trace *trace;
	struct stream_watch watch;
	bool lost; /* its place */
	union {
		struct boundary imap;
		struct pop3_boundary pop3;
	} open;
	struct half up, down;
	size_t hidden; /* POP3: bytes of an answer's lines that are not shown */
};

/* ---- lines */

/* The store counts for all nodes; here only what may wait for it is bounded. */
static void put_line(struct session *s, const char *way, const char *line)
{
	struct trace *t = s->talk->trace;

	if (t->bytes >= t->max_bytes) {
		t->until = 0; /* the next tick ends it */
		return;
	}
	t->bytes += (int64_t)strlen(line);
	follower_trace(
		s->proxy->follower, t->id,
		&(struct trace_line){
			.at = clock_real_ms(), .session = s->id, .way = way, .line = line });
}

static void keep(struct half *h, const char *p, size_t n)
{
	size_t room = sizeof h->at - h->n, take = MIN(n, room);

	memcpy(h->at + h->n, p, take);
	h->n += take;
	h->total += n;
}

/* Without its line end, and with "{n bytes}" where a literal stands. */
static void keep_line(struct half *h, const char *p, size_t n, bool literal, uint64_t size)
{
	const char *brace;
	char text[40];

	while (n && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	brace = literal ? memrchr(p, '{', n) : NULL;
	keep(h, p, brace ? (size_t)(brace - p) : n);
	if (!literal)
		return;
	/* Cut anywhere, the brace may have been kept with the piece before. */
	while (!brace && h->n && h->at[h->n - 1] != '{')
		h->n--;
	if (!brace && h->n)
		h->n--;
	snprintf(text, sizeof text, "{%llu bytes}", (unsigned long long)size);
	keep(h, text, strlen(text));
}

typedef void redact_fn(struct slice line, char *out, size_t size);

static void flush(struct session *s, struct half *h, const char *way, redact_fn *redact)
{
	char out[LINE_MAX_SHOWN + 64];

	redact((struct slice){ h->at, h->n }, out, LINE_MAX_SHOWN);
	if (h->total > sizeof h->at)
		snprintf(out + strlen(out), sizeof out - strlen(out), "… (%zu bytes in all)",
			 h->total);
	put_line(s, way, out);
	explicit_bzero(h->at, h->n);
	h->n = h->total = 0;
}

void trace_note(struct session *s, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (!s->talk)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put_line(s, "--", text);
}

static void lose_place(struct session *s)
{
	s->talk->lost = true;
	trace_note(s, "the trace has lost its place in this session and ends here");
}

/* ---- IMAP */

static void imap_line_up(struct session *s, const char *p, size_t n)
{
	struct boundary *b = &s->talk->open.imap;

	keep_line(&s->talk->up, p, n, b->in_command, b->literal_size);
	if (!b->in_command)
		flush(s, &s->talk->up, "C:", redact_imap_client);
}

static void imap_heard(struct session *s, const char *p, size_t n)
{
	struct boundary *b = &s->talk->open.imap;

	while (n && !s->talk->lost) {
		bool content = b->literal > 0;
		struct imap_command c;
		size_t take;

		switch (boundary_up(b, p, n, SIZE_MAX, &take, &c)) {
		case UP_COMMAND:
			boundary_pass(b, p, take, &c);
			imap_line_up(s, p, take);
			break;
		case UP_PASS:
		case UP_DROP:
			if (!content)
				imap_line_up(s, p, take);
			break;
		case UP_BAD:
			boundary_refuse(b, p, take);
			imap_line_up(s, p, take);
			break;
		case UP_MORE:
		case UP_FULL:
		case UP_WAIT:
		case UP_BROKEN:
			lose_place(s);
			return;
		}
		p += take;
		n -= take;
	}
}

static void imap_said(struct session *s, const char *p, size_t n)
{
	struct boundary *b = &s->talk->open.imap;

	while (n) {
		bool content = boundary_in_literal(b);
		size_t take = boundary_down(b, p, n);

		if (!content)
			keep_line(&s->talk->down, p, take, boundary_in_literal(b),
				  b->down_literal);
		if (boundary_at_line(b))
			flush(s, &s->talk->down, "S:", redact_imap_server);
		p += take;
		n -= take;
	}
}

/* ---- POP3 */

static void pop3_heard(struct session *s, const char *p, size_t n)
{
	while (n && !s->talk->lost) {
		struct pop3_command c;
		size_t take;

		switch (pop3_boundary_up(&s->talk->open.pop3, p, n, &take, &c)) {
		case POP3_UP_PASS:
			pop3_boundary_pass(&s->talk->open.pop3, &c);
			break;
		case POP3_UP_REFUSE:
			break;
		case POP3_UP_MORE:
		case POP3_UP_FULL:
		case POP3_UP_BROKEN:
			lose_place(s);
			return;
		}
		keep_line(&s->talk->up, p, take, false, 0);
		flush(s, &s->talk->up, "C:", redact_pop3_client);
		p += take;
		n -= take;
	}
}

static void end_of_lines(struct session *s)
{
	char text[48];

	if (s->talk->hidden) {
		snprintf(text, sizeof text, "(%zu bytes)", s->talk->hidden);
		put_line(s, "S:", text);
		put_line(s, "S:", ".");
	}
	s->talk->hidden = 0;
}

static void pop3_said_piece(struct session *s, const char *p, size_t n)
{
	struct pop3_boundary *b = &s->talk->open.pop3;
	bool lines = b->in_lines, whole = n && p[n - 1] == '\n';
	bool shown = !lines || redact_pop3_shows_lines((enum pop3_verb)b->verbs[0]);

	for (size_t at = 0; at < n;)
		at += pop3_boundary_down(b, p + at, n - at);
	if (!shown) {
		s->talk->hidden += n;
		if (!b->in_lines)
			end_of_lines(s);
		return;
	}
	keep_line(&s->talk->down, p, n, false, 0);
	if (whole)
		flush(s, &s->talk->down, "S:", lines ? redact_text : redact_pop3_server);
}

static void pop3_said(struct session *s, const char *p, size_t n)
{
	while (n) {
		const char *lf = memchr(p, '\n', n);
		size_t take = lf ? (size_t)(lf - p) + 1 : n;

		pop3_said_piece(s, p, take);
		p += take;
		n -= take;
	}
}

/* ---- sessions */

static void on_written(void *arg, const char *p, size_t n)
{
	struct session *s = arg;

	if (s->talk->lost)
		return;
	if (s->protocol->kind == PROTO_IMAP)
		imap_said(s, p, n);
	else
		pop3_said(s, p, n);
}

void trace_heard(struct session *s, const char *p, size_t n)
{
	if (!s->talk || s->talk->lost)
		return;
	if (s->protocol->kind == PROTO_IMAP)
		imap_heard(s, p, n);
	else
		pop3_heard(s, p, n);
}

/* Where the session stands is where the trace begins: in mid-answer too. */
void trace_relays(struct session *s)
{
	if (!s->talk)
		return;
	if (s->protocol->kind == PROTO_IMAP)
		s->talk->open.imap = s->open.imap;
	else
		s->talk->open.pop3 = s->open.pop3;
}

void trace_leave(struct session *s)
{
	if (!s->talk)
		return;
	if (s->client)
		stream_watch(s->client, NULL);
	explicit_bzero(s->talk, sizeof *s->talk);
	mem_free(&s->talk);
	s->about.traced = false;
}

static void join(struct session *s, struct trace *t)
{
	if (!s->client || (s->talk && s->talk->trace == t))
		return;
	trace_leave(s);
	s->talk = mem_new(sizeof *s->talk);
	s->talk->trace = t;
	s->talk->watch = (struct stream_watch){ on_written, s };
	s->about.traced = true;
	if (s->state >= SESSION_RELAY)
		trace_relays(s);
	stream_watch(s->client, &s->talk->watch);
	trace_note(s, "%s from %s, in %s", s->protocol->name, s->peer,
		   session_state_name(s->state));
}

void trace_join(struct session *s)
{
	struct trace *t;

	TAILQ_FOREACH (t, &s->proxy->traces, link)
		if (s->route && strcmp(t->name, s->route->name) == 0)
			join(s, t);
}

/* ---- traces */

static void end(struct proxy *p, struct trace *t)
{
	struct session *s;

	TAILQ_FOREACH (s, &p->sessions, link)
		if (s->talk && s->talk->trace == t)
			trace_leave(s);
	log_info(&(struct log_about){ .what = "node", .user = t->name }, "the trace has ended");
	TAILQ_REMOVE(&p->traces, t, link);
	free(t->name);
	free(t);
}

/* A name by which somebody logs in leads to the user's own. */
static const char *own_name(struct proxy *p, const char *name)
{
	const struct route *r = routes_find(p->routes, name);

	return r ? r->name : name;
}

void trace_begin(struct proxy *p, int64_t id, const char *name, int64_t until,
		 int64_t max_bytes)
{
	struct trace *t = mem_new(sizeof *t);
	struct route *r;
	struct session *s;

	trace_end(p, name);
	*t = (struct trace){ .name = mem_str(own_name(p, name)),
			     .id = id,
			     .until = until,
			     .max_bytes = max_bytes };
	TAILQ_INSERT_TAIL(&p->traces, t, link);
	log_info(&(struct log_about){ .what = "node", .user = t->name }, "is traced");
	r = routes_find(p->routes, t->name);
	if (r)
		TAILQ_FOREACH (s, &r->sessions, on_route)
			join(s, t);
}

void trace_end(struct proxy *p, const char *name)
{
	struct trace *t, *next;

	name = own_name(p, name);
	for (t = TAILQ_FIRST(&p->traces); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (strcmp(t->name, name) == 0)
			end(p, t);
	}
}

void trace_over(struct proxy *p, int64_t id)
{
	struct trace *t, *next;

	for (t = TAILQ_FIRST(&p->traces); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->id == id)
			end(p, t);
	}
}

void traces_tick(struct proxy *p)
{
	int64_t now = clock_real_ms();
	struct trace *t, *next;

	for (t = TAILQ_FIRST(&p->traces); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (now >= t->until)
			end(p, t);
	}
}

void traces_release(struct proxy *p)
{
	struct trace *t;

	while ((t = TAILQ_FIRST(&p->traces)))
		end(p, t);
}
