/*
 * Hides: bytes both ways after login. A POP3 session that has fetched or marked something is
 * only left after its QUIT: cut before, its deletes are undone and its client downloads again
 * (RFC 1939 6).
 */
#include "proxy/pop3.h"

/* ---- client to backend */

static bool touches(enum pop3_verb v)
{
	return v == POP3_RETR || v == POP3_TOP || v == POP3_DELE;
}

static void remember(struct pop3_relay *r, const struct pop3_command *c)
{
	r->open[r->count].verb = c->verb;
	r->open[r->count].multiline = pop3_is_multiline(c);
	r->count++;
	if (touches(c->verb))
		r->touched = true;
}

/* A new command while the user is moved goes on only where the session must come to its QUIT.
 */
static bool may_take(const struct session *s)
{
	const struct pop3_relay *r = &s->open.pop3;

	return r->count < POP3_OPEN_MAX && (s->state == SESSION_RELAY || r->touched);
}

void pop3_pass_up(struct session *s)
{
	struct pop3_relay *r = &s->open.pop3;

	s->blocked = false;
	for (;;) {
		struct slice in = stream_input(s->client);
		struct pop3_command c;
		size_t len, n;

		switch (in.n ? pop3_line(in.p, in.n, POP3_LINE_MAX, &len) : WIRE_MORE) {
		case WIRE_MORE:
			return;
		case WIRE_BAD:
			session_close(s, "command line too long");
			return;
		case WIRE_DONE:
			break;
		}
		if (!may_take(s)) {
			s->blocked = true;
			return;
		}
		n = len - 1;
		if (n && in.p[n - 1] == '\r')
			n--;
		if (pop3_command((struct slice){ in.p, n }, &c) != WIRE_DONE)
			c = (struct pop3_command){ .verb = POP3_UNKNOWN };
		remember(r, &c);
		session_send_up(s, in.p, len);
		stream_consume(s->client, len);
	}
}

/* ---- backend to client */

static void answered(struct session *s)
{
	struct pop3_relay *r = &s->open.pop3;

	if (r->count == 0)
		return;
	if (r->open[0].verb == POP3_QUIT)
		r->quit = s->leaving = true;
	memmove(r->open, r->open + 1, (size_t)(--r->count) * sizeof *r->open);
}

/* The first line of an answer: returns how many bytes of it are here; all of it, or it goes on
 * later. */
static size_t pass_status(struct session *s, struct slice in)
{
	struct pop3_relay *r = &s->open.pop3;
	const char *lf = memchr(in.p, '\n', in.n);

	if (!r->half_line)
		r->ok = in.p[0] == '+';
	r->half_line = !lf;
	if (!lf)
		return in.n;
	if (r->count && r->open[0].multiline && r->ok) {
		r->in_lines = true;
		r->dots = (struct pop3_dots){ 0 };
	} else {
		answered(s);
	}
	return (size_t)(lf - in.p) + 1;
}

static size_t pass_lines(struct session *s, struct slice in)
{
	struct pop3_relay *r = &s->open.pop3;
	bool done = false;
	size_t n = pop3_dots_feed(&r->dots, in.p, in.n, &done);

	if (done) {
		r->in_lines = false;
		answered(s);
	}
	return n;
}

void pop3_pass_down(struct session *s)
{
	struct slice in = stream_input(s->backend);
	size_t at = 0;

	while (at < in.n) {
		struct slice rest = { in.p + at, in.n - at };

		at += s->open.pop3.in_lines ? pass_lines(s, rest) : pass_status(s, rest);
	}
	session_send_down(s, in.p, in.n);
	stream_consume(s->backend, in.n);
	if (s->open.pop3.quit) {
		session_close(s, "logged out");
		return;
	}
	if (s->blocked && s->state == SESSION_RELAY)
		stream_poke(s->client);
	session_relayed(s);
}

/* ---- what is open */

bool pop3_quiet(const struct session *s)
{
	const struct pop3_relay *r = &s->open.pop3;

	return r->count == 0 && pop3_at_line(s) && (!r->touched || r->quit);
}

bool pop3_at_line(const struct session *s)
{
	return s->state < SESSION_RELAY || (!s->open.pop3.half_line && !s->open.pop3.in_lines);
}

bool pop3_uploading(const struct session *s UNUSED)
{
	return false;
}

void pop3_describe(const struct session *s, char *out, size_t size)
{
	const struct pop3_relay *r = &s->open.pop3;

	if (r->touched && !r->quit)
		snprintf(out, size, "has fetched or deleted, waits for its QUIT");
	else
		snprintf(out, size, "%s", r->count ? "a command is open" : "");
}

/* ---- the end */

/* POP3 speaks only when asked: here a command is in the input, or the client waits for our
 * greeting's sequel. */
void pop3_say_bye(struct session *s, const char *text)
{
	if (s->state == SESSION_PARTING || s->state == SESSION_AUTH)
		stream_printf(s->client, "-ERR [SYS/TEMP] %s\r\n", text);
}

/* Without the client's own QUIT its deletes must not count: then the connection just ends. */
void pop3_leave_backend(struct session *s)
{
	const struct pop3_relay *r = &s->open.pop3;

	if (!r->touched && !s->leaving)
		stream_printf(s->backend, "QUIT\r\n");
}
