/* Hides: tags, literals that wait, and what a refusal means. */
#include "sync/mailbox_impl.h"

#define LOGOUT_MS 2000

int mailbox_fail(struct mailbox *m, enum err_kind kind, const char *text, struct err *e)
{
	err_set(e, kind, "%s", text);
	return transport_poison(m->t, e);
}

/* ---- what the server answered */

static void note_reply(struct mailbox *m, enum imap_status status, struct slice code)
{
	size_t n = MIN(code.n, sizeof m->last_code - 1);

	m->last_status = status;
	if (n)
		memcpy(m->last_code, code.p, n);
	m->last_code[n] = '\0';
}

/* Its code; Dovecot says in words only that a folder is not there. */
static struct slice meaning_of(const struct imap_reply *r)
{
	static const char words[] = "Mailbox doesn't exist";

	if (r->status == STATUS_NO && !r->code.n && slice_starts_nocase(r->text, words))
		return slice_of("NONEXISTENT");
	return r->code;
}

struct slice reply_first_word(struct slice s)
{
	const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;

	return (struct slice){ s.p, space ? (size_t)(space - s.p) : s.n };
}

bool mailbox_is_temporary(const struct imap_reply *r)
{
	if (hint_read(r->code, r->text).whom)
		return true; /* Exchange says BAD to what it throttles */
	return r->status == STATUS_NO &&
	       (hint_is_full(r->code, r->text) ||
		slice_is_nocase(reply_first_word(r->code), "TRYCREATE"));
}

/* What a refusal comes to; e says already what the server said. */
static int refused(const struct mailbox *m, const struct imap_reply *r, struct err *e)
{
	e->later = hint_read(r->code, r->text);
	e->later.side = m->which;
	if (e->later.whom)
		e->kind = ERR_TEMP;
	else if (hint_is_full(r->code, r->text))
		e->kind = ERR_FULL;
	return -1;
}

enum imap_status mailbox_last_status(const struct mailbox *m)
{
	return m->last_status;
}

const char *mailbox_last_code(const struct mailbox *m)
{
	return m->last_code;
}

bool mailbox_last_code_is(const struct mailbox *m, const char *word)
{
	return slice_is_nocase(reply_first_word(slice_of(m->last_code)), word);
}

int mailbox_tagged(struct mailbox *m, const struct imap_reply *r, struct err *e)
{
	const char *open = r->code.n ? "[" : "", *shut = r->code.n ? "] " : "";

	note_reply(m, r->status, meaning_of(r));
	if (r->status == STATUS_OK)
		return 0;
	err_set(e, r->status == STATUS_NO ? ERR_TEMP : ERR_PROTOCOL,
		"the server says %s %s%.*s%s%.*s", r->status == STATUS_NO ? "NO" : "BAD", open,
		(int)MIN(r->code.n, 100), r->code.p ? r->code.p : "", shut,
		(int)MIN(r->text.n, 200), r->text.p ? r->text.p : "");
	return refused(m, r, e);
}

static void note_counts(struct mailbox *m, const struct frame *f)
{
	struct slice n = reply_first_word(f->reply.text), rest = f->reply.text;
	uint64_t value;

	if (f->kind != FRAME_DATA || slice_u64(n, UINT32_MAX, &value) < 0)
		return;
	rest = (struct slice){ rest.p + n.n, rest.n - n.n };
	if (slice_starts_nocase(rest, " EXISTS"))
		m->exists = (uint32_t)value;
	else if (slice_starts_nocase(rest, " EXPUNGE") && m->exists > 0)
		m->exists--;
}

/* With QRESYNC on, what goes while we look is told like this (RFC 7162 3.2.10.2). */
static void note_expunged(const struct uid_range *r, bool earlier, void *arg)
{
	struct mailbox *m = arg;

	if (!earlier)
		m->exists -= MIN(m->exists, r->hi - r->lo + 1);
}

static void note_capabilities(struct mailbox *m, struct slice words)
{
	buf_drain(&m->capabilities, buf_len(&m->capabilities));
	buf_add(&m->capabilities, words.p, words.n);
}

/* "CAPABILITY …" as data or as a code. */
static void look_for_capabilities(struct mailbox *m, struct slice s)
{
	static const char word[] = "CAPABILITY ";
	size_t n = sizeof word - 1;

	if (slice_starts_nocase(s, word))
		note_capabilities(m, (struct slice){ s.p + n, s.n - n });
}

static int goodbye(struct mailbox *m, const struct imap_reply *r, struct err *e)
{
	if (m->leaving)
		return 0;
	err_set(e, ERR_TEMP, "the server says BYE %.*s", (int)MIN(r->text.n, 200),
		r->text.p ? r->text.p : "");
	(void)refused(m, r, e);
	return transport_poison(m->t, e);
}

int mailbox_next(struct mailbox *m, struct frame *f, struct err *e)
{
	if (frame_next(m->r, f, e) < 0)
		return -1;
	note_counts(m, f);
	(void)vanished_read(f->reply.text, note_expunged, m);
	if (f->kind == FRAME_TAGGED || f->kind == FRAME_STATUS)
		look_for_capabilities(m, f->reply.code);
	else
		look_for_capabilities(m, f->reply.text);
	if (f->kind == FRAME_STATUS && f->reply.status == STATUS_BYE)
		return goodbye(m, &f->reply, e);
	return 0;
}

/* ---- commands */

void mailbox_next_tag(struct mailbox *m, char tag[TAG_MAX])
{
	snprintf(tag, TAG_MAX, "m%u", ++m->tags);
}

bool mailbox_may_push(const struct mailbox *m, uint64_t n)
{
	return m->caps.literal_plus || (m->caps.literal_minus && n <= LITERAL_MINUS_MAX);
}

void command_printf(struct command *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0 && (size_t)n < sizeof text);
	buf_add(&c->text, text, (size_t)n);
}

void command_astring(struct mailbox *m, struct command *c, struct slice s)
{
	bool push = mailbox_may_push(m, s.n);
	size_t start = buf_len(&c->text);

	imap_write_astring(&c->text, s, push);
	if (push || buf_slice(&c->text).p[start] != '{')
		return;
	ASSERT(c->wait_count < COMMAND_WAITS_MAX);
	c->waits[c->wait_count++] = buf_len(&c->text) - s.n;
}

void command_release(struct command *c)
{
	buf_wipe(&c->text);
	*c = (struct command){ 0 };
}

static int see(const struct frame *f, untagged_fn *fn, void *arg, struct mailbox *m,
	       struct err *e)
{
	if (f->kind == FRAME_STATUS && f->reply.status == STATUS_BYE)
		return 0;
	if ((fn && fn(f, arg, e) < 0) || (m->behind && m->behind(f, m->behind_arg, e) < 0))
		return transport_poison(m->t, e);
	return 0;
}

int command_tagged(struct mailbox *m, const struct frame *f, const char *tag, struct err *e)
{
	if (!slice_is(f->reply.tag, tag))
		return mailbox_fail(m, ERR_PROTOCOL, "the server's answer has a wrong tag", e);
	return mailbox_tagged(m, &f->reply, e);
}

/* What was sent before, with what comes of this command meanwhile. */
static int read_first(struct mailbox *m, const char *tag, untagged_fn *fn, void *arg,
		      struct err *e)
{
	unsigned number = 0;
	int rc;

	if (!m->firsts || sscanf(tag, "m%u", &number) != 1 || m->first[0].at >= number)
		return 0;
	m->behind = fn;
	m->behind_arg = arg;
	rc = mailbox_read_before(m, number, e);
	m->behind = NULL;
	return rc;
}

/* Reads until "+ …", as a synchronising literal or AUTHENTICATE needs it. */
static int wait_continue(struct mailbox *m, const char *tag, untagged_fn *fn, void *arg,
			 struct err *e)
{
	struct frame f;

	if (read_first(m, tag, fn, arg, e) < 0)
		return -1;
	for (;;) {
		if (mailbox_next(m, &f, e) < 0)
			return -1;
		if (f.kind == FRAME_CONTINUE)
			return 0;
		if (f.kind != FRAME_TAGGED) {
			if (see(&f, fn, arg, m, e) < 0)
				return -1;
			continue;
		}
		if (command_tagged(m, &f, tag, e) < 0)
			return -1;
		return mailbox_fail(m, ERR_PROTOCOL, "the server says OK where it must ask", e);
	}
}

int command_send(struct mailbox *m, struct command *c, char tag[TAG_MAX], untagged_fn *fn,
		 void *arg, struct err *e)
{
	struct slice text = buf_slice(&c->text);
	char head[TAG_MAX + 1];
	size_t at = 0;

	mailbox_next_tag(m, tag);
	if (transport_write(m->t, head, (size_t)snprintf(head, sizeof head, "%s ", tag), e) < 0)
		return -1;
	for (int i = 0; i < c->wait_count; i++) {
		if (transport_write(m->t, text.p + at, c->waits[i] - at, e) < 0 ||
		    wait_continue(m, tag, fn, arg, e) < 0)
			return -1;
		at = c->waits[i];
	}
	if (transport_write(m->t, text.p + at, text.n - at, e) < 0)
		return -1;
	return transport_write(m->t, "\r\n", 2, e);
}

int command_wait(struct mailbox *m, const char *tag, untagged_fn *fn, void *arg, struct err *e)
{
	struct frame f;

	if (read_first(m, tag, fn, arg, e) < 0)
		return -1;
	for (;;) {
		if (mailbox_next(m, &f, e) < 0)
			return -1;
		if (f.kind == FRAME_TAGGED)
			return command_tagged(m, &f, tag, e);
		if (f.kind == FRAME_CONTINUE)
			return mailbox_fail(m, ERR_PROTOCOL,
					    "the server asks for more, unasked", e);
		if (see(&f, fn, arg, m, e) < 0)
			return -1;
	}
}

int command_run(struct mailbox *m, struct command *c, untagged_fn *fn, void *arg, struct err *e)
{
	char tag[TAG_MAX];
	int r = command_send(m, c, tag, fn, arg, e);

	if (r == 0)
		r = command_wait(m, tag, fn, arg, e);
	command_release(c);
	return r;
}

int command_simple(struct mailbox *m, const char *text, struct err *e)
{
	struct command c = { 0 };

	command_printf(&c, "%s", text);
	return command_run(m, &c, NULL, NULL, e) < 0 ? err_wrap(e, "%s", text) : 0;
}

int mailbox_noop(struct mailbox *m, struct err *e)
{
	return command_simple(m, "NOOP", e);
}

int mailbox_expunge_all(struct mailbox *m, struct err *e)
{
	return command_simple(m, "EXPUNGE", e);
}

int mailbox_check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > MAILBOX_NAME_MAX)
		return err_set(e, ERR_INPUT, "a folder name of %zu bytes", n);
	if (strpbrk(name, "\r\n"))
		return err_set(e, ERR_INPUT, "a folder name with a line end in it");
	return 0;
}

/* ---- the end */

void mailbox_leave(struct mailbox *m)
{
	struct command c = { 0 };
	struct err ignored = { 0 };

	if (!m || m->pop3 || m->leaving)
		return;
	m->leaving = true;
	transport_deadline(m->t, LOGOUT_MS);
	command_printf(&c, "LOGOUT");
	if (mailbox_is_usable(m) &&
	    (command_send(m, &c, m->farewell, NULL, NULL, &ignored) < 0 ||
	     transport_flush(m->t, &ignored) < 0))
		err_clear(&ignored);
	command_release(&c);
}

void mailbox_close(struct mailbox **at)
{
	struct mailbox *m = *at;
	struct err ignored = { 0 };
	bool waits;

	if (!m)
		return;
	if (m->pop3) {
		pop3_source_close(&m->pop3);
		mem_free(at);
		return;
	}
	waits = !m->leaving;
	mailbox_leave(m);
	/* Some servers close right after BYE, without the tagged OK: as good. */
	if (waits && mailbox_is_usable(m) &&
	    command_wait(m, m->farewell, NULL, NULL, &ignored) < 0)
		err_clear(&ignored);
	frame_reader_free(&m->r);
	transport_free(&m->t);
	buf_release(&m->capabilities);
	free(m->greeting);
	buf_release(&m->permanent_flags);
	free(m->selected);
	for (int i = 0; i < m->look_count; i++)
		free(m->looks[i].name);
	mem_free(at);
}

/* ---- what is known of it */

uint32_t mailbox_exists(const struct mailbox *m)
{
	return m->pop3 ? pop3_source_count(m->pop3) : m->exists;
}

bool mailbox_is_pop3(const struct mailbox *m)
{
	return m->pop3 != NULL;
}

void mailbox_attach(struct mailbox *m, struct journal *j)
{
	if (m->pop3)
		pop3_source_attach(m->pop3, j);
}

bool mailbox_settled(struct mailbox *m)
{
	if (!m->pop3)
		return false;
	pop3_source_settled(m->pop3);
	return pop3_source_has_more(m->pop3);
}

const char *mailbox_warning(const struct mailbox *m)
{
	return m->pop3 ? pop3_source_warning(m->pop3) : "";
}

bool mailbox_is_usable(const struct mailbox *m)
{
	if (m->pop3)
		return pop3_source_is_usable(m->pop3);
	return !transport_is_broken(m->t);
}

struct transport *mailbox_transport(struct mailbox *m)
{
	return m->pop3 ? pop3_source_transport(m->pop3) : m->t;
}
