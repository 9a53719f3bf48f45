/* Hides: what a server can do and who it is, and the order of a login. */
#include "sync/mailbox_impl.h"

#include "common/clock.h"
#include "sync/login.h"

/* ---- capabilities */

/* The number of a word "NAME=n"; 0: none. */
static uint64_t limit_of(struct slice words, const char *word)
{
	const size_t word_n = strlen(word);
	uint64_t limit = 0;

	while (words.n > 0) {
		struct slice w = reply_first_word(words);
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
	if (buf_len(&m->capabilities) == 0 && command_simple(m, "CAPABILITY", e) < 0)
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
	if (command_simple(m, "STARTTLS", e) < 0) {
		e->kind = ERR_TLS;
		return transport_poison(m->t, e);
	}
	/* What was said in clear does not count. */
	caps_forget(m);
	if (transport_starttls(m->t, e) < 0)
		return -1;
	return caps_get(m, e);
}

/* With the answer at once where the server takes it (RFC 4959), else after its "+". */
static void write_authenticate(struct mailbox *m, const struct job_side *side,
			       const char *mechanism, struct command *c)
{
	command_printf(c, "AUTHENTICATE %s", mechanism);
	if (has(m, "SASL-IR")) {
		command_printf(c, " ");
	} else {
		buf_add_str(&c->text, "\r\n");
		c->waits[c->wait_count++] = buf_len(&c->text);
	}
	login_write(side, &c->text);
}

static int authenticate_plain(struct mailbox *m, const struct job_side *side, struct err *e)
{
	struct command c = { 0 };

	write_authenticate(m, side, "PLAIN", &c);
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
			return command_tagged(m, &f, tag, e);
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

	write_authenticate(m, side, sasl_mech_name(side->mech), &c);
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
	if (has(m, "UTF8=ONLY") && command_simple(m, "ENABLE UTF8=ACCEPT", e) < 0)
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
