/* Hides: how one folder is chosen and left, and what is known of it then. */
#include "sync/mailbox_impl.h"

const char *mailbox_folder(const struct mailbox *m)
{
	if (m->look_count)
		return m->looks[m->look_count - 1].name;
	return m->selected ? m->selected : "";
}

struct selecting {
	struct mailbox *m;
	struct selected *out;
	bool permanent; /* PERMANENTFLAGS were given: FLAGS do not count */
};

static uint64_t code_number(struct slice code, const char *word, uint64_t max)
{
	uint64_t v;

	if (!slice_take_nocase(&code, word) || !slice_take_nocase(&code, " ") || slice_u64(code, max, &v) < 0)
		return 0;
	return v;
}

/* "WORD (a b c)" to its words. */
static bool flags_within(struct slice s, const char *word, struct slice *flags)
{
	if (!slice_take_nocase(&s, word) || !slice_take_nocase(&s, " (") || s.n == 0 || s.p[s.n - 1] != ')')
		return false;
	*flags = (struct slice){ s.p, s.n - 1 };
	return true;
}

static void keep_flags(struct selecting *s, struct slice words)
{
	struct buf *b = &s->m->permanent_flags;

	buf_drain(b, buf_len(b));
	flags_normalise(words, b, &s->out->any_keyword);
}

static void on_select_code(struct selecting *s, struct slice code)
{
	struct selected *o = s->out;
	struct slice flags;
	uint64_t v;

	if ((v = code_number(code, "UIDVALIDITY", UINT32_MAX)))
		o->uidvalidity = (uint32_t)v;
	else if ((v = code_number(code, "UIDNEXT", UINT32_MAX)))
		o->uidnext = (uint32_t)v;
	else if ((v = code_number(code, "HIGHESTMODSEQ", UINT64_MAX)))
		o->highestmodseq = v;
	else if (slice_is_nocase(code, "UIDNOTSTICKY"))
		o->uid_not_sticky = true;
	else if (slice_is_nocase(code, "NOMODSEQ")) /* RFC 7162 3.1.2.2: not for this folder */
		o->highestmodseq = 0;
	else if (slice_is_nocase(code, "CLOSED")) {
		/* RFC 7162 3.2.11: all that came before belongs to the folder that was left */
		*o = (struct selected){ 0 };
		s->m->exists = 0;
		s->permanent = false;
	} else if (flags_within(code, "PERMANENTFLAGS", &flags)) {
		keep_flags(s, flags);
		s->permanent = true;
	}
}

static int on_select(const struct frame *f, void *arg, struct err *e)
{
	struct selecting *s = arg;
	struct slice flags;

	(void)e;
	if (f->kind == FRAME_STATUS && f->reply.status == STATUS_OK)
		on_select_code(s, f->reply.code);
	else if (!s->permanent && flags_within(f->reply.text, "FLAGS", &flags))
		keep_flags(s, flags);
	return 0;
}

void forget_selected(struct mailbox *m)
{
	mem_free(&m->selected);
	m->exists = 0;
	buf_drain(&m->permanent_flags, buf_len(&m->permanent_flags));
	buf_add(&m->permanent_flags, "", 1);
}

void select_command(struct mailbox *m, struct command *c, const char *name, bool read_only)
{
	forget_selected(m);
	command_printf(c, "%s ", read_only ? "EXAMINE" : "SELECT");
	command_astring(m, c, slice_of(name));
}

static int opened(struct mailbox *m, const char *name, struct selected *out, struct err *e)
{
	m->selected = mem_str(name);
	m->opened_by = m->tags;
	out->messages = m->exists;
	out->read_only = mailbox_last_code_is(m, "READ-ONLY");
	out->permanent_flags = buf_slice(&m->permanent_flags).p;
	if (out->uidvalidity == 0)
		return err_set(e, ERR_PROTOCOL, "folder \"%s\": the server gave no UIDVALIDITY",
			       m->selected);
	return 0;
}

int select_answer(struct mailbox *m, const struct look *l, struct selected *out, struct err *e)
{
	struct selecting s = { .m = m, .out = out };

	*out = (struct selected){ 0 };
	forget_selected(m); /* a look before this one may have been taken since it was sent */
	if (command_wait(m, l->select, on_select, &s, e) < 0)
		return err_wrap(e, "%s \"%s\"", l->read_only ? "EXAMINE" : "SELECT", l->name);
	return opened(m, l->name, out, e);
}

int mailbox_select(struct mailbox *m, const char *name, bool read_only, struct selected *out,
		   struct err *e)
{
	struct selecting s = { .m = m, .out = out };
	struct command c = { 0 };

	if (m->pop3)
		return pop3_source_select(m->pop3, name, out, e);
	*out = (struct selected){ 0 };
	if (mailbox_check_name(name, e) < 0 || mailbox_read_now(m, e) < 0)
		return -1;
	select_command(m, &c, name, read_only);
	if (command_run(m, &c, on_select, &s, e) < 0)
		return err_wrap(e, "%s \"%s\"", read_only ? "EXAMINE" : "SELECT", name);
	return opened(m, name, out, e);
}

int mailbox_unselect(struct mailbox *m, struct err *e)
{
	struct selected ignored;
	struct command c = { 0 };

	if (!m->selected)
		return 0;
	if (!m->caps.unselect) {
		char *name = mem_str(m->selected);
		int r = mailbox_select(m, name, true, &ignored, e);

		free(name);
		if (r < 0)
			return -1;
	}
	command_printf(&c, m->caps.unselect ? "UNSELECT" : "CLOSE");
	if (command_run(m, &c, NULL, NULL, e) < 0)
		return err_wrap(e, "leaving folder \"%s\"", m->selected);
	forget_selected(m);
	return 0;
}

