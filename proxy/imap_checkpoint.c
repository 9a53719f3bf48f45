/*
 * Hides: our own CHECK before a session is called quiet, for servers that keep changed flags in
 * the open session (backend.checkpoint; RFC 3501 6.4.1). IDLE has to end for it and is begun
 * anew under the client's own tag; the client sees nothing of all this, but what the server
 * tells unasked meanwhile.
 */
#include "proxy/imap.h"

#define TAG	      "ZC"
#define HELD_LINE_MAX 8192 /* an answer to us that is longer passes */

void imap_checkpoint_note(struct session *s, const struct imap_command *c)
{
	free(s->idle_tag);
	s->idle_tag = NULL;
	if (s->proxy->settings->backend[s->side].checkpoint && slice_is_nocase(c->verb, "IDLE"))
		s->idle_tag = mem_strn(c->tag.p, c->tag.n);
}

bool imap_checkpoint_pending(const struct session *s)
{
	return s->checkpoint != CHECKPOINT_NONE && s->checkpoint != CHECKPOINT_DONE;
}

bool imap_checkpoint(struct session *s)
{
	const struct boundary *b = &s->open.imap;

	if (s->checkpoint != CHECKPOINT_NONE || b->await_plus) /* IDLE has only just begun */
		return s->checkpoint == CHECKPOINT_DONE;
	if (b->idling) {
		s->checkpoint = CHECKPOINT_IDLE_ENDS;
		stream_printf(s->backend, "DONE\r\n" TAG " CHECK\r\n%s IDLE\r\n", s->idle_tag);
	} else {
		s->checkpoint = CHECKPOINT_CHECK;
		stream_printf(s->backend, TAG " CHECK\r\n");
	}
	return false;
}

/* An undo came first: the next freeze wants a CHECK of its own. */
static void done(struct session *s)
{
	s->checkpoint = s->state == SESSION_RELAY ? CHECKPOINT_NONE : CHECKPOINT_DONE;
}

/* A whole tagged line or "+ …". Nothing but ours is open: is it an answer to us? */
static bool swallow(struct session *s, struct slice line)
{
	bool plus = line.p[0] == '+';

	switch (s->checkpoint) {
	case CHECKPOINT_IDLE_ENDS:
		if (!plus)
			s->checkpoint = CHECKPOINT_CHECK;
		return true;
	case CHECKPOINT_CHECK:
		if (!slice_starts_nocase(line, TAG " "))
			return false;
		if (s->open.imap.idling)
			s->checkpoint = CHECKPOINT_IDLE_AGAIN;
		else
			done(s);
		return true;
	case CHECKPOINT_IDLE_AGAIN: /* if it is refused now, that is the client's to hear */
		done(s);
		return plus;
	case CHECKPOINT_NONE:
	case CHECKPOINT_DONE:
		break;
	}
	return false;
}

enum held imap_checkpoint_hold(struct session *s, struct slice rest, size_t *len)
{
	const char *lf;

	if (!imap_checkpoint_pending(s) || rest.p[0] == '*')
		return HELD_NO;
	lf = memchr(rest.p, '\n', MIN(rest.n, (size_t)HELD_LINE_MAX));
	if (!lf)
		return rest.n < HELD_LINE_MAX ? HELD_MORE : HELD_NO;
	*len = (size_t)(lf - rest.p) + 1;
	return swallow(s, (struct slice){ rest.p, *len }) ? HELD_REWRITTEN : HELD_NO;
}
