/* Hides: tags, literals that wait, the order of a login, and what a refusal means. */
#include "sync/mailbox_impl.h"

#include "common/clock.h"
#include "sync/login.h"

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

static struct slice first_word(struct slice s)
{
	const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;

	return (struct slice){ s.p, space ? (size_t)(space - s.p) : s.n };
}

bool mailbox_is_temporary(const struct imap_reply *r)
{
	if (hint_read(r->code, r->text).whom)
		return true; /* Exchange says BAD to what it throttles */
	return r->status == STATUS_NO && (hint_is_full(r->code, r->text) ||
					  slice_is_nocase(first_word(r->code), "TRYCREATE"));
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
	return slice_is_nocase(first_word(slice_of(m->last_code)), word);
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
	struct slice n = first_word(f->reply.text), rest = f->reply.text;
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

static int see_tagged(struct mailbox *m, const struct frame *f, const char *tag, struct err *e)
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
		if (see_tagged(m, &f, tag, e) < 0)
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
			return see_tagged(m, &f, tag, e);
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

static int run_simple(struct mailbox *m, const char *text, struct err *e)
{
	struct command c = { 0 };

	command_printf(&c, "%s", text);
	return command_run(m, &c, NULL, NULL, e) < 0 ? err_wrap(e, "%s", text) : 0;
}

int mailbox_noop(struct mailbox *m, struct err *e)
{
	return run_simple(m, "NOOP", e);
}

int mailbox_expunge_all(struct mailbox *m, struct err *e)
{
	return run_simple(m, "EXPUNGE", e);
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

/* ---- capabilities */

/* The number of a word "NAME=n"; 0: none. */
static uint64_t limit_of(struct slice words, const char *word)
{
	const size_t word_n = strlen(word);
	uint64_t limit = 0;

	while (words.n > 0) {
		struct slice w = first_word(words);
		size_t skip = MIN(w.n + 1, words.n);

		if (slice_starts_nocase(w, word) &&
		    slice_u64((struct slice){ w.p + word_n, w.n - word_n }, UINT64_MAX,
			      &limit) < 0)
			limit = 0;
		words = (struct slice){ words.p + skip, words.n - skip };
	}
	return limit;
}

static bool has(const struct mailbox *m, const char *word)
{
	return imap_capability_has(buf_slice(&m->capabilities), word);
}

static void caps_read(struct mailbox *m)
{
	bool rev2 = has(m, "IMAP4rev2");

	m->caps = (struct mailbox_caps){
		.literal_plus = has(m, "LITERAL+"),
		.literal_minus = has(m, "LITERAL-") || rev2,
		.uidplus = has(m, "UIDPLUS") || rev2,
		.unselect = has(m, "UNSELECT") || rev2,
		.namespaces = has(m, "NAMESPACE") || rev2,
		.special_use = has(m, "SPECIAL-USE"),
		.create_special_use = has(m, "CREATE-SPECIAL-USE"),
		.list_extended = has(m, "LIST-EXTENDED") || rev2,
		.list_status = has(m, "LIST-STATUS") || rev2,
		.multiappend = has(m, "MULTIAPPEND"),
		.condstore = has(m, "CONDSTORE") || has(m, "QRESYNC"),
		.qresync = has(m, "QRESYNC"),
		.enable = has(m, "ENABLE") || rev2,
		.move = has(m, "MOVE") || rev2,
		.idle = has(m, "IDLE") || rev2,
		.objectid = has(m, "OBJECTID"),
		.status_size = has(m, "STATUS=SIZE") || rev2,
		.utf8_names = has(m, "UTF8=ONLY") || !has(m, "IMAP4rev1"),
		.append_limit = limit_of(buf_slice(&m->capabilities), "APPENDLIMIT="),
		.message_limit = limit_of(buf_slice(&m->capabilities), "MESSAGELIMIT="),
	};
}

/* Asks for them unless the server has volunteered. */
static int caps_get(struct mailbox *m, struct err *e)
{
	if (buf_len(&m->capabilities) == 0 && run_simple(m, "CAPABILITY", e) < 0)
		return -1;
	if (!has(m, "IMAP4rev1") && !has(m, "IMAP4rev2"))
		return mailbox_fail(m, ERR_PROTOCOL, "the server does not offer IMAP4rev1", e);
	caps_read(m);
	return 0;
}

static void caps_forget(struct mailbox *m)
{
	buf_drain(&m->capabilities, buf_len(&m->capabilities));
}

const struct mailbox_caps *mailbox_caps(const struct mailbox *m)
{
	return &m->caps;
}

/* ---- login */

static int greet(struct mailbox *m, struct err *e)
{
	struct frame f;

	if (mailbox_next(m, &f, e) < 0)
		return -1;
	m->greeting = mem_strn(f.reply.text.p, MIN(f.reply.text.n, (size_t)MAILBOX_CODE_MAX));
	if (f.kind == FRAME_STATUS && f.reply.status == STATUS_OK)
		return caps_get(m, e);
	/* PREAUTH is somebody's mailbox, but whose? And it would keep us from STARTTLS. */
	return mailbox_fail(m, ERR_PROTOCOL,
			    "the server does not greet as one that wants a login", e);
}

static int starttls(struct mailbox *m, struct err *e)
{
	if (!has(m, "STARTTLS"))
		return mailbox_fail(m, ERR_TLS, "the server does not offer STARTTLS", e);
	if (run_simple(m, "STARTTLS", e) < 0) {
		e->kind = ERR_TLS;
		return transport_poison(m->t, e);
	}
	/* What was said in clear does not count. */
	caps_forget(m);
	if (transport_starttls(m->t, e) < 0)
		return -1;
	return caps_get(m, e);
}

static int authenticate_plain(struct mailbox *m, const struct job_side *side, struct err *e)
{
	struct command c = { 0 };

	command_printf(&c, "AUTHENTICATE PLAIN");
	if (has(m, "SASL-IR"))
		command_printf(&c, " ");
	else {
		buf_add_str(&c.text, "\r\n");
		c.waits[c.wait_count++] = buf_len(&c.text);
	}
	login_write(side, &c.text);
	return command_run(m, &c, NULL, NULL, e);
}

/* A refusal comes as a challenge first, which wants an answer (RFC 7628 3.2.3). */
static int token_wait(struct mailbox *m, const char *tag, enum sasl_mech mech, struct err *e)
{
	const char *answer = mech == SASL_OAUTHBEARER ? "AQ==\r\n" : "\r\n";
	bool asked = false;
	struct frame f;

	for (;;) {
		if (mailbox_next(m, &f, e) < 0)
			return -1;
		if (f.kind == FRAME_TAGGED)
			return see_tagged(m, &f, tag, e);
		if (f.kind != FRAME_CONTINUE)
			continue;
		if (asked)
			return mailbox_fail(m, ERR_PROTOCOL, "the server asks twice", e);
		asked = true;
		if (transport_write(m->t, answer, strlen(answer), e) < 0)
			return -1;
	}
}

static int authenticate_token(struct mailbox *m, const struct job_side *side, struct err *e)
{
	struct command c = { 0 };
	char tag[TAG_MAX];
	int r;

	command_printf(&c, "AUTHENTICATE %s", sasl_mech_name(side->mech));
	if (has(m, "SASL-IR"))
		command_printf(&c, " ");
	else {
		buf_add_str(&c.text, "\r\n");
		c.waits[c.wait_count++] = buf_len(&c.text);
	}
	login_write(side, &c.text);
	r = command_send(m, &c, tag, NULL, NULL, e);
	command_release(&c);
	return r < 0 ? -1 : token_wait(m, tag, side->mech, e);
}

static bool offers(const struct mailbox *m, enum sasl_mech mech)
{
	char word[32];

	snprintf(word, sizeof word, "AUTH=%s", sasl_mech_name(mech));
	return has(m, word);
}

static int login_command(struct mailbox *m, const struct job_side *side, struct err *e)
{
	struct command c = { 0 };

	command_printf(&c, "LOGIN ");
	command_astring(m, &c, slice_of(side->login));
	command_printf(&c, " ");
	command_astring(m, &c, secret_slice(&side->password));
	return command_run(m, &c, NULL, NULL, e);
}

static int login(struct mailbox *m, const struct job_side *side, struct err *e)
{
	int r;

	m->last_status = STATUS_NONE;
	m->mechanism = sasl_mech_is_token(side->mech) ? sasl_mech_name(side->mech)
		       : has(m, "AUTH=PLAIN")	      ? "PLAIN"
						      : "LOGIN";
	if (sasl_mech_is_token(side->mech) && !offers(m, side->mech))
		return mailbox_fail(m, ERR_AUTH, "the server takes no tokens of this kind", e);
	if (sasl_mech_is_token(side->mech))
		r = authenticate_token(m, side, e);
	else if (has(m, "AUTH=PLAIN"))
		r = authenticate_plain(m, side, e);
	else if (side->authzid || has(m, "LOGINDISABLED"))
		return mailbox_fail(m, ERR_AUTH, "the server offers no login that we can use",
				    e);
	else
		r = login_command(m, side, e);
	if (r == 0)
		return 0;
	if (m->last_status == STATUS_NO && !e->later.whom)
		e->kind = ERR_AUTH;
	if (side->authzid)
		return err_wrap(e, "login as \"%s\" for \"%s\"", side->login, side->authzid);
	return err_wrap(e, "login as \"%s\"", side->login);
}

/* ---- who it is */

static int on_id(const struct frame *f, void *arg, struct err *e UNUSED)
{
	struct buf *id = arg;

	if (slice_starts_nocase(f->reply.text, "ID ") && buf_len(id) == 0)
		buf_add(id, f->reply.text.p, MIN(f->reply.text.n, (size_t)MAILBOX_ID_MAX));
	return 0;
}

/* Most are known by their greeting; only the others are asked (RFC 2971). */
static int recognise(struct mailbox *m, struct err *e)
{
	struct slice caps = buf_slice(&m->capabilities);
	struct command c = { 0 };
	struct buf id = { 0 };
	int r = 0;

	m->quirks = quirks_find(slice_of(m->greeting), caps, (struct slice){ 0 });
	if (!quirks_known(m->quirks) && has(m, "ID")) {
		command_printf(&c, "ID NIL");
		r = command_run(m, &c, on_id, &id, e);
		if (r < 0 && mailbox_is_usable(m)) {
			err_clear(e);
			r = 0;
		}
		m->quirks = quirks_find(slice_of(m->greeting), caps, buf_slice(&id));
		buf_release(&id);
	}
	if (m->quirks->no_mailboxid)
		m->caps.objectid = false;
	if (m->quirks->page && !m->caps.message_limit)
		m->caps.message_limit = (uint64_t)m->quirks->page;
	return r;
}

const char *mailbox_mechanism(const struct mailbox *m)
{
	return m->pop3 ? pop3_source_mechanism(m->pop3) : m->mechanism;
}

const struct quirks *mailbox_quirks(const struct mailbox *m)
{
	return m->quirks;
}

static int log_in(struct mailbox *m, const struct job_side *side, struct err *e)
{
	if (login_check(side, e) < 0 || greet(m, e) < 0)
		return -1;
	if (side->tls == TLS_STARTTLS && !transport_is_secure(m->t) && starttls(m, e) < 0)
		return -1;
	/* The list may differ after login; a server that does not volunteer it is asked. */
	if (login(m, side, e) < 0)
		return -1;
	if (!slice_starts_nocase(slice_of(m->last_code), "CAPABILITY "))
		caps_forget(m);
	if (caps_get(m, e) < 0)
		return -1;
	/* RFC 6855 6: it refuses whoever has not said that he knows UTF-8. Where it is not a
	 * must, names stay modified UTF-7, which every server speaks. */
	if (has(m, "UTF8=ONLY") && run_simple(m, "ENABLE UTF8=ACCEPT", e) < 0)
		return -1;
	return recognise(m, e);
}

int mailbox_open_on(struct transport *t, const struct job_side *side, struct mailbox **out,
		    struct err *e)
{
	struct mailbox *m = mem_new(sizeof *m);

	m->t = t;
	m->which = side->which;
	m->r = frame_reader_new(t);
	if (log_in(m, side, e) < 0) {
		mailbox_close(&m);
		return -1;
	}
	*out = m;
	return 0;
}

static int open_pop3(const struct job_side *side, int connect_ms, int io_ms,
		     struct mailbox **out, struct err *e)
{
	struct pop3_source *pop3;

	if (pop3_source_open(side, connect_ms, io_ms, &pop3, e) < 0)
		return -1;
	*out = mem_new(sizeof **out);
	(*out)->pop3 = pop3;
	(*out)->quirks = quirks_find(SLICE(""), SLICE(""), SLICE(""));
	return 0;
}

int mailbox_open(const struct job_side *side, int connect_ms, int io_ms, struct mailbox **out,
		 struct err *e)
{
	int64_t start = clock_mono_ms();
	struct transport *t;

	if (side->protocol == PROTO_POP3)
		return open_pop3(side, connect_ms, io_ms, out, e);
	if (transport_open(side, connect_ms, io_ms, &t, e) < 0)
		return -1;
	transport_deadline(t, MAX(1, (int)(start + connect_ms - clock_mono_ms())));
	if (mailbox_open_on(t, side, out, e) < 0)
		return err_wrap(e, "%s:%d", side->host, side->port);
	transport_deadline(t, 0);
	return 0;
}

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
