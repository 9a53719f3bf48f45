/* Hides: which answer is whose, and how a refusal of many becomes one of few. */
#include "sync/sender.h"

#include <inttypes.h>

#include "sync/mailbox_impl.h"
#include "sync/uid_code.h"

/* What goes in one command: neighbours of a batch. */
struct group {
	struct batch *b;
	struct batch_message *at[MULTI_MAX];
	size_t count; /* 0: this place is free */
	uint64_t bytes;
	char tag[TAG_MAX];
};

struct sender {
	struct mailbox *to;
	char *folder;
	struct group window[APPEND_WINDOW];
	int count;	     /* places taken */
	uint64_t bytes;	     /* of their messages */
	struct group *again; /* halves of what was refused, the next one last */
	size_t again_count;
};

struct sender *sender_new(struct mailbox *to, const char *folder)
{
	struct sender *s = mem_new(sizeof *s);

	s->to = to;
	s->folder = mem_str(folder);
	return s;
}

void sender_free(struct sender **s)
{
	if (!*s)
		return;
	free((*s)->again);
	free((*s)->folder);
	mem_free(s);
}

/* ---- answers */

/* Without APPENDUID the caller has to look which they are. */
static void take_stored(const struct group *g, const struct imap_reply *r)
{
	uint32_t uids[MULTI_MAX], uidvalidity = 0;
	bool told = appenduid_read(r->code, g->count, &uidvalidity, uids);

	for (size_t i = 0; i < g->count; i++) {
		g->at[i]->appended = APPEND_OK;
		g->at[i]->new_uidvalidity = told ? uidvalidity : 0;
		g->at[i]->new_uid = told ? uids[i] : 0;
	}
	g->b->pending -= g->count;
}

static void take_refusal(const struct group *g, const struct imap_reply *r,
			 const struct err *why, bool temporary)
{
	for (size_t i = 0; i < g->count; i++) {
		struct batch_message *m = g->at[i];

		m->appended = temporary ? APPEND_TEMPORARY : APPEND_REFUSED;
		m->refusal = refusal_of(r);
		m->later = why->later;
		m->full = why->kind == ERR_FULL;
		free(m->text);
		m->text = mem_strn(why->text, strnlen(why->text, APPEND_TEXT_MAX));
	}
	g->b->pending -= g->count;
}

/* None of them is stored (RFC 3502 3): each half goes again, the first one first. */
static void halve(struct sender *s, const struct group *g)
{
	size_t half = g->count / 2;

	s->again = mem_grow(s->again, s->again_count + 2, sizeof *s->again);
	for (int i = 0; i < 2; i++) {
		struct group *part = &s->again[s->again_count++];
		size_t from = i ? 0 : half, to = i ? half : g->count;

		*part = (struct group){ .b = g->b };
		for (size_t k = from; k < to; k++) {
			part->at[part->count++] = g->at[k];
			part->bytes += g->at[k]->digest.size;
			g->at[k]->appended = APPEND_NOT_SENT;
		}
	}
}

static void take_answer(struct sender *s, const struct group *g, const struct imap_reply *r)
{
	struct err why = { 0 };
	bool temporary;

	if (mailbox_tagged(s->to, r, &why) == 0) {
		take_stored(g, r);
		return;
	}
	temporary = mailbox_is_temporary(r) || refusal_of(r) == REFUSAL_FOLDER;
	/* Of what has no room together, some may have it alone. */
	if (g->count > 1 && (!temporary || why.kind == ERR_FULL))
		halve(s, g);
	else
		take_refusal(g, r, &why, temporary);
}

/* A tagged reply: whose it is, and what it says. */
static int on_answer(struct sender *s, const struct imap_reply *r, struct err *e)
{
	for (int i = 0; i < APPEND_WINDOW; i++) {
		struct group *g = &s->window[i];

		if (!g->count || !slice_is(r->tag, g->tag))
			continue;
		take_answer(s, g, r);
		s->bytes -= g->bytes;
		s->count--;
		g->count = 0;
		return 0;
	}
	return mailbox_fail(s->to, ERR_PROTOCOL, "the server's answer has a wrong tag", e);
}

/* Takes one response in; *plus says whether it was "+ …". */
static int take_response(struct sender *s, bool *plus, struct err *e)
{
	struct frame f;

	if (mailbox_read_now(s->to, e) < 0 || mailbox_next(s->to, &f, e) < 0)
		return -1;
	*plus = f.kind == FRAME_CONTINUE;
	return f.kind == FRAME_TAGGED ? on_answer(s, &f.reply, e) : 0;
}

static int wait_answer(struct sender *s, struct err *e)
{
	int before = s->count;
	bool plus;

	while (s->count == before) {
		if (take_response(s, &plus, e) < 0)
			return -1;
		if (plus)
			return mailbox_fail(s->to, ERR_PROTOCOL,
					    "the server asks for more, unasked", e);
	}
	return 0;
}

static int wait_room(struct sender *s, uint64_t size, struct err *e)
{
	while (s->count == APPEND_WINDOW ||
	       (s->count > 0 && s->bytes + size > APPEND_WINDOW_BYTES))
		if (wait_answer(s, e) < 0)
			return -1;
	return 0;
}

/* ---- sending */

static struct group *window_add(struct sender *s, const struct group *what)
{
	struct group *g = s->window;

	while (g->count)
		g++;
	*g = *what;
	mailbox_next_tag(s->to, g->tag);
	for (size_t i = 0; i < g->count; i++)
		g->at[i]->appended = APPEND_UNKNOWN;
	s->bytes += g->bytes;
	s->count++;
	return g;
}

static bool may_push(const struct sender *s, const struct batch_message *m)
{
	return m->digest.size <= APPEND_PUSH_MAX && mailbox_may_push(s->to, m->digest.size);
}

/* Flags, date and size of one, up to its bytes. */
static void describe(struct sender *s, struct command *c, const struct batch_message *m)
{
	bool push = may_push(s, m);

	buf_printf(&c->text, " (%s) ", m->flags ? m->flags : "");
	if (m->date) /* else the server takes the present time */
		buf_printf(&c->text, "\"%s\" ", m->date);
	buf_printf(&c->text, "{%" PRIu64 "%s}\r\n", m->digest.size, push ? "+" : "");
	if (!push)
		c->waits[c->wait_count++] = buf_len(&c->text);
}

/* An answer came where "+" was awaited: only a refusal makes sense. */
static int refusal(struct sender *s, struct batch_message *m, struct err *e)
{
	if (m->appended != APPEND_OK)
		return 0;
	m->appended = APPEND_UNKNOWN;
	return mailbox_fail(s->to, ERR_PROTOCOL, "the server says OK to what it has not read",
			    e);
}

/* Sends the command's text; *refused: the server answered instead of asking for more. */
static int send_text(struct sender *s, struct command *c, struct group *g, bool *refused,
		     struct err *e)
{
	struct slice text = buf_slice(&c->text);
	struct batch_message *m = g->at[0];
	struct transport *t = s->to->t;
	size_t at = 0;

	*refused = false;
	for (int i = 0; i < c->wait_count; i++) {
		bool plus = false;

		if (transport_write(t, text.p + at, c->waits[i] - at, e) < 0)
			return -1;
		at = c->waits[i];
		while (!plus && g->count)
			if (take_response(s, &plus, e) < 0)
				return -1;
		*refused = !g->count;
		if (*refused)
			return refusal(s, m, e);
	}
	return transport_write(t, text.p + at, text.n - at, e);
}

static int send_bytes(struct slice bytes, void *arg, struct err *e)
{
	return transport_write(arg, bytes.p, bytes.n, e);
}

/* One message of a command, after what c holds already. */
static int send_message(struct sender *s, struct command *c, struct group *g, size_t i,
			bool *refused, struct err *e)
{
	const struct batch_message *m = g->at[i];
	struct transport *t = s->to->t;

	describe(s, c, m);
	if (send_text(s, c, g, refused, e) < 0)
		return -1;
	command_release(c);
	if (*refused)
		return 0;
	/* Inside a literal: if our spool fails, only a broken connection takes it back. */
	transport_message(t);
	return batch_read(g->b, m, send_bytes, t, e) < 0 ? transport_poison(t, e) : 0;
}

static int send_group(struct sender *s, const struct group *what, struct err *e)
{
	struct command c = { 0 };
	bool refused = false;
	struct group *g;

	if (wait_room(s, what->bytes, e) < 0)
		return -1;
	g = window_add(s, what);
	command_printf(&c, "%s APPEND ", g->tag);
	command_astring(s->to, &c, slice_of(s->folder));
	for (size_t i = 0; i < what->count && !refused; i++)
		if (send_message(s, &c, g, i, &refused, e) < 0) {
			command_release(&c);
			return -1;
		}
	return refused ? 0 : transport_write(s->to->t, "\r\n", 2, e);
}

static bool wanted(const struct batch_message *m)
{
	return m->fetched == FETCH_OK && !m->skip && m->appended == APPEND_NOT_SENT;
}

static int check_batch(const struct batch *b, const char *folder, struct err *e)
{
	if (mailbox_check_name(folder, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_message *m = &b->at[i];

		if (wanted(m) && (mailbox_check_flags(m->flags ? m->flags : "", e) < 0 ||
				  (m->date && mailbox_check_date(m->date, e) < 0)))
			return err_wrap(e, "message %" PRIu32, m->uid);
	}
	return 0;
}

/* Above the server's own limit: it says no without being asked. */
static bool is_over_limit(const struct mailbox *to, struct batch_message *m)
{
	uint64_t limit = to->caps.append_limit;

	if (!limit || m->digest.size <= limit)
		return false;
	m->appended = APPEND_REFUSED;
	m->refusal = REFUSAL_SIZE;
	m->text = mem_printf("larger than the server takes (APPENDLIMIT=%" PRIu64 ")", limit);
	return true;
}

/* Those that go together, from b->at[*next] on; *next is put behind them. count 0: none is
 * left.
 */
static struct group next_group(struct sender *s, struct batch *b, size_t *next)
{
	const struct mailbox_caps *caps = &s->to->caps;
	size_t most = caps->multiappend && caps->literal_plus ? MULTI_MAX : 1;
	struct group g = { .b = b };

	for (; *next < b->count && g.count < most; (*next)++) {
		struct batch_message *m = &b->at[*next];

		if (!wanted(m) || is_over_limit(s->to, m))
			continue;
		if (m->gap)
			break;
		if (g.count && (g.bytes + m->digest.size > MULTI_BYTES || !may_push(s, m)))
			break;
		g.at[g.count++] = m;
		g.bytes += m->digest.size;
		if (!may_push(s, m)) {
			(*next)++;
			break;
		}
	}
	return g;
}

int sender_send(struct sender *s, struct batch *b, struct err *e)
{
	size_t next = 0;

	if (check_batch(b, s->folder, e) < 0)
		return err_wrap(e, "appending to folder \"%s\"", s->folder);
	for (;;) {
		struct group g = next_group(s, b, &next);

		if (g.count == 0)
			return transport_flush(s->to->t, e);
		b->pending += g.count;
		if (send_group(s, &g, e) < 0)
			return err_wrap(e, "appending to folder \"%s\"", s->folder);
	}
}

int sender_wait(struct sender *s, struct batch *b, struct err *e)
{
	while (b->pending) {
		struct group g;
		int rc;

		if (s->again_count) {
			g = s->again[--s->again_count];
			rc = send_group(s, &g, e);
		} else {
			rc = wait_answer(s, e);
		}
		if (rc < 0)
			return err_wrap(e, "appending to folder \"%s\"", s->folder);
	}
	return 0;
}

int pipeline_append(struct mailbox *to, const char *folder, struct batch *b, struct err *e)
{
	struct sender *s = sender_new(to, folder);
	int rc = sender_send(s, b, e);

	if (rc == 0)
		rc = sender_wait(s, b, e);
	sender_free(&s);
	return rc;
}
