/* Hides: bytes both ways after login, what is open between them, and the few lines that do not
 * pass as they are. */
#include "proxy/imap.h"

#include "proxy/server_error.h"
#include "proxy/uses.h"
#include "proxy/trace.h"
#include "proxy/validity.h"

#define CAPABILITY_LINE_MAX 8192 /* a longer line of the backend's passes as it is */

/* ---- client to backend */

/* The client's input goes to the backend as it is up to where something else must happen. */
enum stop { STOP_EMPTY, STOP_REFUSE, STOP_BAD, STOP_DROP, STOP_WAIT, STOP_BROKEN };

static void refuse(struct session *s, enum stop why, struct slice line, struct slice tag)
{
	struct slice to = tag.n ? tag : slice_of("*");

	stream_printf(s->client, "%.*s %s\r\n", (int)to.n, to.p,
		      why == STOP_BAD ? "BAD Not a command."
				      : "NO This command is not available here.");
	boundary_refuse(&s->open.imap, line.p, line.n);
}

static enum stop scan_up(struct session *s, struct slice in, size_t *run, size_t *take,
			 struct imap_command *c)
{
	struct boundary *b = &s->open.imap;
	size_t max = (size_t)s->proxy->settings->limits.line_bytes;

	for (;;) {
		bool idling = b->idling && s->state == SESSION_DRAIN;

		/* Its DONE would start something new: IDLE is quiet already. */
		if (idling || imap_checkpoint_pending(s))
			return STOP_WAIT;
		switch (boundary_up(b, in.p + *run, in.n - *run, max, take, c)) {
		case UP_MORE:
			return STOP_EMPTY;
		case UP_PASS:
			*run += *take;
			break;
		case UP_DROP:
			return STOP_DROP;
		case UP_COMMAND:
			if (s->state == SESSION_DRAIN)
				return STOP_WAIT;
			uses_note(s, usage_of_imap(c));
			if (imap_command_refused(c->verb) || !identity_may_pass(s, c) ||
			    !validity_may_pass(s, (struct slice){ in.p + *run, *take }, c->verb))
				return STOP_REFUSE;
			boundary_pass(b, in.p + *run, *take, c);
			imap_checkpoint_note(s, c);
			if (slice_is_nocase(c->verb, "LOGOUT"))
				s->leaving = true;
			*run += *take;
			break;
		case UP_FULL:
		case UP_WAIT:
			return STOP_WAIT;
		case UP_BAD:
			return s->state == SESSION_DRAIN ? STOP_WAIT : STOP_BAD;
		case UP_BROKEN:
			return STOP_BROKEN;
		}
	}
}

void imap_pass_up(struct session *s)
{
	for (;;) {
		struct slice in = stream_input(s->client);
		struct imap_command c;
		size_t run = 0, take = 0, eaten;
		bool refused;
		enum stop stop = scan_up(s, in, &run, &take, &c);

		session_send_up(s, in.p, run);
		refused = stop == STOP_REFUSE || stop == STOP_BAD;
		s->blocked = stop == STOP_WAIT || (refused && !imap_at_line(s));
		eaten = stop == STOP_DROP || (refused && !s->blocked) ? run + take : run;
		trace_heard(s, in.p, eaten);
		if (refused && !s->blocked)
			refuse(s, stop, (struct slice){ in.p + run, take }, c.tag);
		stream_consume(s->client, eaten);
		if (stop == STOP_BROKEN) {
			if (imap_at_line(s))
				imap_say_bye(s, "A line is too long, or none that may pass.");
			if (take == 0)
				session_close_by_limit(s, LIMIT_LINE_BYTES,
						       "command line too long");
			else
				session_close(s, "a line inside a command that may not pass");
			return;
		}
		if (stop == STOP_EMPTY || s->blocked)
			return;
	}
}

/* ---- backend to client */

/* The tracker sees what the server has said, whatever the client is told. */
static void eat(struct session *s, const char *p, size_t n)
{
	for (size_t at = 0; at < n;)
		at += boundary_down(&s->open.imap, p + at, n - at);
}

/* A line that starts here may carry capabilities: then it is read whole. Bytes held back are
 * eaten later. */
static enum held rewrite(struct session *s, struct slice rest, size_t *len, struct buf *out)
{
	enum held ours = imap_checkpoint_hold(s, rest, len);
	const char *lf;
	size_t n;

	if (ours != HELD_NO) /* an answer to us: no client's command ends with it */
		return ours;
	ours = validity_hold(s, rest, len, out);
	if (ours == HELD_REWRITTEN)
		eat(s, rest.p, *len);
	if (ours != HELD_NO)
		return ours;
	if (!imap_capability_maybe(rest.p, rest.n))
		return HELD_NO;
	lf = memchr(rest.p, '\n', MIN(rest.n, (size_t)CAPABILITY_LINE_MAX));
	if (!lf)
		return rest.n < CAPABILITY_LINE_MAX ? HELD_MORE : HELD_NO;
	n = (size_t)(lf - rest.p);
	*len = n + 1;
	if (n && rest.p[n - 1] == '\r')
		n--;
	if (!imap_capability_rewrite((struct slice){ rest.p, n }, out))
		return HELD_NO;
	validity_hide(s, out);
	eat(s, rest.p, *len);
	return HELD_REWRITTEN;
}

static bool is_bye(struct slice rest)
{
	return slice_starts_nocase(rest, "* BYE");
}

void imap_pass_down(struct session *s)
{
	struct boundary *b = &s->open.imap;
	struct slice in = stream_input(s->backend);
	struct buf out = { 0 };
	size_t at = 0, sent = 0, len;
	bool held = false;

	while (at < in.n && !held) {
		struct slice rest = { in.p + at, in.n - at };
		enum held verdict =
			boundary_at_line(b) ? rewrite(s, rest, &len, &out) : HELD_NO;

		switch (verdict) {
		case HELD_NO:
			if (boundary_at_line(b) && is_bye(rest))
				s->leaving = true;
			at += boundary_down(b, rest.p, rest.n);
			break;
		case HELD_MORE:
			held = true;
			break;
		case HELD_REWRITTEN:
			if (is_bye(rest))
				s->leaving = true;
			session_send_down(s, in.p + sent, at - sent);
			session_send_down(s, buf_slice(&out).p, buf_len(&out));
			buf_drain(&out, buf_len(&out));
			at += len;
			sent = at;
			break;
		}
	}
	if (b->failed)
		server_error_heard(s);
	b->failed = false;
	session_send_down(s, in.p + sent, at - sent);
	stream_consume(s->backend, at);
	buf_release(&out);
	session_unblock(s);
	session_relayed(s);
}

/* ---- what is open */

/* Lines held back for a rewrite have not passed: they are nobody's half line. */
bool imap_quiet(const struct session *s)
{
	return boundary_quiet(&s->open.imap);
}

bool imap_at_line(const struct session *s)
{
	return s->state < SESSION_RELAY || boundary_at_line(&s->open.imap);
}

bool imap_uploading(const struct session *s)
{
	return boundary_uploading(&s->open.imap);
}

void imap_describe(const struct session *s, char *out, size_t size)
{
	boundary_describe(&s->open.imap, out, size);
}

/* ---- the end */

bool imap_say_bye(struct session *s, const char *text)
{
	stream_printf(s->client, "* BYE %s\r\n", text);
	return true;
}

bool imap_leave_backend(struct session *s)
{
	const struct boundary *b = &s->open.imap;

	if (s->leaving)
		return true;
	/* Inside a literal our words would become content of a message. */
	if (boundary_uploading(b))
		return false;
	stream_printf(s->backend, "%sZ LOGOUT\r\n", b->idling ? "DONE\r\n" : "");
	return true;
}
