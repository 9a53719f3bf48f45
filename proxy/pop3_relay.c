/*
 * Hides: bytes both ways after login. A POP3 session that has fetched or marked something is
 * only left after its QUIT: cut before, its deletes are undone and its client downloads again
 * (RFC 1939 6).
 */
#include "proxy/pop3.h"

#include "proxy/uses.h"
#include "proxy/trace.h"

#define CAPA_LINE_MAX 512 /* a longer line of CAPA's answer is nothing that we know */
#define REFUSED_UIDL  "[SYS/TEMP] Unique ids are not available now, please try again later."

/* ---- client to backend */

/* The copier reads by POP3 too: its last delta finds the mail locked until this session ends.
 */
static bool locks_mail(const struct session *s)
{
	return session_is_held(s) && s->proxy->settings->backend[s->side].copy == PROTO_POP3;
}

/* A new command while the user is moved goes on only where the session must come to its QUIT.
 */
static bool may_take(const struct session *s)
{
	return s->state == SESSION_RELAY || s->open.pop3.touched || locks_mail(s);
}

/* Said for the server, which sees nothing of it: when no answer of its own is under way. */
static bool refuse(struct session *s, struct slice command, const char *text)
{
	const struct pop3_boundary *b = &s->open.pop3;

	s->blocked = !may_take(s) || b->count || !pop3_boundary_at_line(b);
	if (s->blocked)
		return false;
	trace_heard(s, command.p, command.n);
	stream_printf(s->client, "-ERR %s\r\n", text);
	stream_consume(s->client, command.n);
	return true;
}

/* Takes one command; false: there is no more to take now. */
static bool pass_command(struct session *s)
{
	struct pop3_boundary *b = &s->open.pop3;
	struct slice in = stream_input(s->client);
	struct pop3_command c;
	enum overlay_answer answer;
	size_t take;

	switch (pop3_boundary_up(b, in.p, in.n, &take, &c)) {
	case POP3_UP_MORE:
		return false;
	case POP3_UP_BROKEN:
		session_close(s, "command line too long");
		return false;
	case POP3_UP_FULL:
		s->blocked = true;
		return false;
	case POP3_UP_REFUSE:
		return refuse(s, (struct slice){ in.p, take },
			      "This command is not available here.");
	case POP3_UP_PASS:
		s->blocked = !may_take(s);
		if (s->blocked)
			return false;
		answer = c.verb == POP3_UIDL ? overlay_ask(s) : OVERLAY_PASS;
		if (answer == OVERLAY_REFUSE)
			return refuse(s, (struct slice){ in.p, take }, REFUSED_UIDL);
		s->blocked = answer == OVERLAY_WAIT;
		if (s->blocked)
			return false;
		pop3_boundary_pass(b, &c);
		uses_note(s, usage_of_pop3(&c));
		session_send_up(s, in.p, take);
		trace_heard(s, in.p, take);
		break;
	}
	stream_consume(s->client, take);
	return true;
}

void pop3_pass_up(struct session *s)
{
	s->blocked = false;
	while (pass_command(s))
		;
}

/* ---- backend to client */

/*
 * CAPA's answer is read by lines, because some of them stay here (pop3_capa_allowed()). *sent
 * counts what was passed on or dropped; false: the line is not whole.
 */
static bool pass_capa_line(struct session *s, struct slice in, size_t *at, size_t *sent)
{
	struct pop3_boundary *b = &s->open.pop3;
	struct slice rest = { in.p + *at, in.n - *at }, text;
	const char *lf = memchr(rest.p, '\n', rest.n);
	size_t n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
	bool starts = b->dots.state == 0;

	if (!lf && rest.n < CAPA_LINE_MAX)
		return false;
	text = (struct slice){ rest.p, lf ? n - 1 : n };
	if (text.n && text.p[text.n - 1] == '\r')
		text.n--;
	/* The rest of a line that was too long has no name. */
	if (!starts || (!pop3_capa_allowed(text) && !slice_is(text, "."))) {
		session_send_down(s, in.p + *sent, *at - *sent);
		*sent = *at + n;
	}
	pop3_boundary_down(b, rest.p, n);
	*at += n;
	return true;
}

/* UIDL's answer, with old's ids; as above. */
static bool pass_uidl_lines(struct session *s, struct slice in, size_t *at, size_t *sent)
{
	struct buf out = { 0 };
	size_t took = uidl_rewrite(s->overlay.map, &s->open.pop3, in.p + *at, in.n - *at, &out);

	session_send_down(s, in.p + *sent, *at - *sent);
	session_send_down(s, buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	*at += took;
	*sent = *at;
	return took > 0;
}

void pop3_pass_down(struct session *s)
{
	struct pop3_boundary *b = &s->open.pop3;
	struct slice in = stream_input(s->backend);
	size_t at = 0, sent = 0;
	bool held = false;

	while (at < in.n && !held) {
		if (b->in_lines && b->verbs[0] == POP3_CAPA)
			held = !pass_capa_line(s, in, &at, &sent);
		else if (s->overlay.map && uidl_is_answer(b))
			held = !pass_uidl_lines(s, in, &at, &sent);
		else
			at += pop3_boundary_down(b, in.p + at, in.n - at);
	}
	session_send_down(s, in.p + sent, at - sent);
	stream_consume(s->backend, at);
	if (b->quit) {
		s->leaving = true;
		session_close(s, "logged out");
		return;
	}
	session_unblock(s);
	session_relayed(s);
}

/* ---- what is open */

bool pop3_quiet(const struct session *s)
{
	return pop3_boundary_quiet(&s->open.pop3) && !locks_mail(s);
}

bool pop3_at_line(const struct session *s)
{
	return s->state < SESSION_RELAY || pop3_boundary_at_line(&s->open.pop3);
}

bool pop3_uploading(const struct session *s UNUSED)
{
	return false;
}

void pop3_describe(const struct session *s, char *out, size_t size)
{
	pop3_boundary_describe(&s->open.pop3, out, size);
	if (!out[0] && locks_mail(s))
		snprintf(out, size, "locks the mail until its QUIT");
}

/* ---- the end */

/* POP3 speaks only when asked: here a command is in the input, or the client waits for our
 * greeting's sequel. */
bool pop3_say_bye(struct session *s, const char *text)
{
	bool may = s->state == SESSION_PARTING || s->state == SESSION_AUTH;

	if (may)
		stream_printf(s->client, "-ERR [SYS/TEMP] %s\r\n", text);
	return may;
}

/*
 * Without the client's own QUIT its deletes must not count: then the connection just ends, and
 * nothing of it can change mail any more. With it, the server is at work until it closes.
 */
bool pop3_leave_backend(struct session *s)
{
	if (s->leaving || pop3_boundary_quits(&s->open.pop3))
		return true;
	if (s->open.pop3.touched)
		return false;
	stream_printf(s->backend, "QUIT\r\n");
	return true;
}
