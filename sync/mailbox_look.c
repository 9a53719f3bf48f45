/*
 * Hides: how a folder is opened and asked for what changed in it in one go (RFC 7162); and that
 * an open one need not be opened again for that.
 */
#include "sync/mailbox_impl.h"

#include <inttypes.h>
#include <limits.h>

/* ---- VANISHED */

static bool take_uid(struct slice *s, uint32_t *out)
{
	uint64_t v;
	size_t n = 0;

	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (slice_u64((struct slice){ s->p, n }, UINT32_MAX, &v) < 0 || v == 0)
		return false;
	*s = (struct slice){ s->p + n, s->n - n };
	*out = (uint32_t)v;
	return true;
}

static bool take_range(struct slice *s, struct uid_range *out)
{
	uint32_t last;

	if (!take_uid(s, &out->lo))
		return false;
	out->hi = out->lo;
	if (!slice_take_nocase(s, ":"))
		return true;
	if (!take_uid(s, &last))
		return false;
	out->hi = MAX(out->lo, last); /* "5:3" is 3:5 (RFC 3501 9 seq-range) */
	out->lo = MIN(out->lo, last);
	return true;
}

int vanished_read(struct slice text, vanished_fn *fn, void *arg)
{
	struct uid_range r;
	bool earlier;

	if (!slice_take_nocase(&text, "VANISHED "))
		return 0;
	earlier = slice_take_nocase(&text, "(EARLIER) ");
	do {
		if (!take_range(&text, &r))
			return -1;
		fn(&r, earlier, arg);
	} while (slice_take_nocase(&text, ","));
	return text.n == 0 ? 1 : -1;
}

/* ---- asking */

static int ask(struct mailbox *m, struct command *c, char tag[TAG_MAX], struct err *e)
{
	int r = command_send(m, c, tag, NULL, NULL, e);

	command_release(c);
	return r;
}

/* Once, and before anything is selected; whether it worked shows in the answer (RFC 5161 3.1).
 */
static int ask_enable(struct mailbox *m, struct look *l, struct err *e)
{
	struct command c = { 0 };

	if (!m->caps.qresync || !m->caps.enable || m->enable_asked)
		return 0;
	m->enable_asked = m->qresync_on = true;
	command_printf(&c, "ENABLE QRESYNC");
	return ask(m, &c, l->enable, e);
}

static int ask_changes(struct mailbox *m, struct look *l, uint64_t since, struct err *e)
{
	struct command c = { 0 };

	l->all = since == LOOK_ALL;
	if (l->all) {
		command_printf(&c, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)");
		return ask(m, &c, l->changes, e);
	}
	l->with_vanished = since && m->qresync_on;
	if (!since || !m->caps.condstore)
		return 0;
	command_printf(
		&c,
		"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE %" PRIu64
		"%s)",
		since, m->qresync_on ? " VANISHED" : "");
	return ask(m, &c, l->changes, e);
}

static int ask_look(struct mailbox *m, struct look *l, uint64_t since, struct err *e)
{
	struct command c = { 0 };
	bool enable = !m->selected;

	select_command(m, &c, l->name, l->read_only);
	/* A "+" that the name needs must not be looked for among other answers. */
	if ((c.wait_count && mailbox_read_now(m, e) < 0) ||
	    (enable && !c.wait_count && ask_enable(m, l, e) < 0) ||
	    ask(m, &c, l->select, e) < 0) {
		command_release(&c);
		return -1;
	}
	return ask_changes(m, l, since, e) < 0 ? -1 : transport_flush(m->t, e);
}

static int keep_look(struct mailbox *m, struct look *l, int rc)
{
	if (rc < 0) {
		mem_free(&l->name);
		return -1;
	}
	ASSERT(m->look_count < LOOKS_MAX);
	m->looks[m->look_count++] = *l;
	return 0;
}

int mailbox_look_begin(struct mailbox *m, const char *name, bool read_only, uint64_t since,
		       struct err *e)
{
	struct look l = { .read_only = read_only };

	if (m->pop3)
		return pop3_source_look(m->pop3, name, e);
	if (mailbox_check_name(name, e) < 0)
		return -1;
	l.name = mem_str(name);
	return keep_look(m, &l, ask_look(m, &l, since, e));
}

/* Its numbers first: what changes between them and the answer is told once more by the next
 * look. */
static int ask_here(struct mailbox *m, struct look *l, uint64_t since, struct err *e)
{
	struct command c = { 0 };

	status_command(m, &c, l->name);
	if ((c.wait_count && mailbox_read_now(m, e) < 0) || ask(m, &c, l->status, e) < 0) {
		command_release(&c);
		return -1;
	}
	return ask_changes(m, l, since, e); /* with whatever is asked next */
}

int mailbox_look_again_begin(struct mailbox *m, const char *name, uint64_t since, struct err *e)
{
	struct look l = { 0 };

	if (!since || !m->caps.condstore || !m->quirks->appends_seen || !m->selected ||
	    strcmp(m->selected, name))
		return mailbox_look_begin(m, name, false, since, e);
	l.name = mem_str(name);
	return keep_look(m, &l, ask_here(m, &l, since, e));
}

/* ---- the answers */

static int on_enabled(const struct frame *f, void *arg, struct err *e UNUSED)
{
	if (slice_starts_nocase(f->reply.text, "ENABLED"))
		*(bool *)arg = true;
	return 0;
}

/* Waits for one whose refusal is no harm: 0 OK, 1 refused, -1 lost. */
static int wait_for_any(struct mailbox *m, const char *tag, untagged_fn *fn, void *arg,
			struct err *e)
{
	if (command_wait(m, tag, fn, arg, e) == 0)
		return 0;
	if (!mailbox_is_usable(m))
		return -1;
	err_clear(e);
	return 1;
}

static int end_enable(struct mailbox *m, const struct look *l, struct err *e)
{
	bool enabled = false;
	int r = wait_for_any(m, l->enable, on_enabled, &enabled, e);

	m->qresync_on = r == 0 && enabled;
	return r < 0 ? -1 : 0;
}

struct changing {
	struct changes *out;
	struct fetch_scratch scratch;
};

static void note_vanished(const struct uid_range *r, bool earlier UNUSED, void *arg)
{
	struct changes *c = arg;

	if ((c->vanished_count & (c->vanished_count + 1)) == 0)
		c->vanished =
			mem_grow(c->vanished, c->vanished_count * 2 + 1, sizeof *c->vanished);
	c->vanished[c->vanished_count++] = *r;
}

static int on_changed(const struct frame *f, void *arg, struct err *e)
{
	struct changing *c = arg;
	struct fetch_items i;

	if (frame_is_odd_fetch(f) || vanished_read(f->reply.text, note_vanished, c->out) < 0)
		c->out->told = false;
	/* An answer without all items is news of a change that comes only now: the next look
	 * tells of it again. */
	if (!fetch_items_read(f, &c->scratch, &i) || !i.has_uid || !i.has_flags || !i.has_size)
		return 0;
	return c->out->on_message(&i.info, c->out->arg, e);
}

static int end_changes(struct mailbox *m, const struct look *l, struct changes *out,
		       struct err *e)
{
	struct changing c = { .out = out };
	int r;

	out->told = true;
	out->with_vanished = l->with_vanished;
	r = wait_for_any(m, l->changes, on_changed, &c, e);
	fetch_scratch_release(&c.scratch);
	if (r != 0 || mailbox_last_code_is(m, "MESSAGELIMIT"))
		out->told = false;
	return r < 0 ? -1 : 0;
}

/* The folder cannot be opened: what was asked behind it has an answer too. */
static int end_failed(struct mailbox *m, const struct look *l, struct err *e)
{
	struct err ignored = { 0 };

	if (mailbox_is_usable(m) && l->changes[0] &&
	    wait_for_any(m, l->changes, NULL, NULL, &ignored) < 0)
		*e = ignored;
	return -1;
}

struct here {
	struct folder_info now;
	struct changing changing;
};

/* Dovecot ends a STATUS of the open folder together with the command behind it. */
static int on_here(const struct frame *f, void *arg, struct err *e)
{
	struct here *h = arg;

	return status_of(f, &h->now) ? 0 : on_changed(f, &h->changing, e);
}

static int wait_here(struct mailbox *m, const struct look *l, struct here *h, struct err *e)
{
	int status = wait_for_any(m, l->status, on_here, h, e);
	int changes = status < 0 ? -1 : wait_for_any(m, l->changes, on_here, h, e);

	if (status || changes || !h->now.has_status || mailbox_last_code_is(m, "MESSAGELIMIT"))
		h->changing.out->told = false;
	return changes < 0 ? -1 : 0;
}

/* The folder was open all the time: selected is what it was, with other numbers. */
static int end_here(struct mailbox *m, const struct look *l, struct selected *selected,
		    struct changes *out, struct err *e)
{
	struct here h = { { .name = l->name }, { .out = out } };
	int rc;

	out->told = true;
	out->with_vanished = l->with_vanished;
	rc = wait_here(m, l, &h, e);
	fetch_scratch_release(&h.changing.scratch);
	mem_free(&h.now.mailboxid);
	if (rc < 0)
		return err_wrap(e, "changes in folder \"%s\"", l->name);
	selected->uidvalidity = h.now.has_status ? h.now.uidvalidity : selected->uidvalidity;
	selected->uidnext = h.now.uidnext;
	selected->highestmodseq = h.now.highestmodseq;
	/* Not what the mailbox counted: by now the next folder may be being opened. */
	selected->messages = out->exists = h.now.messages;
	out->told = out->told && selected->highestmodseq;
	return 0;
}

static int end_look(struct mailbox *m, const struct look *l, struct selected *selected,
		    struct changes *out, struct err *e)
{
	if (l->status[0])
		return end_here(m, l, selected, out, e);
	if (l->enable[0] && end_enable(m, l, e) < 0)
		return -1;
	if (select_answer(m, l, selected, e) < 0)
		return end_failed(m, l, e);
	if (l->changes[0] && end_changes(m, l, out, e) < 0)
		return err_wrap(e, "changes in folder \"%s\"", l->name);
	/* What it said of changes means nothing without a number to go on from. */
	if (!l->all && !selected->highestmodseq)
		out->told = false;
	out->exists = m->exists;
	return 0;
}

int mailbox_look_end(struct mailbox *m, struct selected *selected, struct changes *out,
		     struct err *e)
{
	struct look l;
	int rc;

	out->told = false;
	if (m->pop3)
		return pop3_source_looked(m->pop3, selected, out, e);
	ASSERT(m->look_count);
	l = m->looks[0];
	m->looks[0] = m->looks[1];
	m->look_count--;
	rc = end_look(m, &l, selected, out, e);
	mem_free(&l.name);
	return rc;
}

/* ---- what others send behind it */

void mailbox_read_first(struct mailbox *m, mailbox_first_fn *fn, void *arg)
{
	ASSERT(m->firsts < LOOKS_MAX);
	m->first[m->firsts].fn = fn;
	m->first[m->firsts].arg = arg;
	m->first[m->firsts++].at = m->tags;
}

int mailbox_read_before(struct mailbox *m, unsigned tag, struct err *e)
{
	while (m->firsts && m->first[0].at < tag) {
		mailbox_first_fn *fn = m->first[0].fn;
		void *arg = m->first[0].arg;

		m->first[0] = m->first[1];
		m->firsts--;
		if (fn(arg, e) < 0)
			return transport_poison(m->t, e);
	}
	return 0;
}

int mailbox_read_now(struct mailbox *m, struct err *e)
{
	return mailbox_read_before(m, UINT_MAX, e);
}

void mailbox_forget_first(struct mailbox *m)
{
	struct err e = { 0 };

	if (m->firsts) {
		err_set(&e, ERR_TEMP, "answers were not waited for");
		transport_poison(m->t, &e);
	}
	m->firsts = 0;
}

void mailbox_when_sent(struct mailbox *m, mailbox_sent_fn *fn, void *arg)
{
	m->sent = fn;
	m->sent_arg = arg;
}

void mailbox_tell_sent(struct mailbox *m)
{
	mailbox_sent_fn *fn = m->sent;

	struct err later = { 0 };

	m->sent = NULL;
	if (!fn)
		return;
	if (transport_flush(m->t, &later) < 0)
		err_clear(&later); /* whoever waits for the answer hears of it */
	fn(m->sent_arg);
}

void changes_release(struct changes *c)
{
	mem_free(&c->vanished);
	c->vanished_count = 0;
}
