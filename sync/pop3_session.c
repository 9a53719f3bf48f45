/* Hides: POP3's conversation: which login, what a refusal means, and what is in flight. */
#include "sync/pop3_session.h"

#include <inttypes.h>
#include <strings.h>

#include "common/clock.h"
#include "sync/hint.h"
#include "sync/login.h"

#define QUIT_MS		 2000
#define ALL_LINES	 "1000000000" /* more than a message has (RFC 1939 7) */
#define COMMAND_LINE_MAX 255 /* RFC 2449 4, RFC 5034 4: a longer message waits for "+" */

enum top { TOP_UNKNOWN, TOP_YES, TOP_NO };
enum read_as { READ_RETR, READ_TOP, READ_ALL_LINES };

struct pop3_session {
	struct transport *t;
	const struct job_side *side;
	struct buf capa; /* its lines, each with LF */
	bool lf;	 /* the server's own lines end with LF alone */
	bool gmail;
	enum top top;
	const char *mechanism; /* NULL: not logged in */
};

/* ---- answers */

static int fail(struct pop3_session *s, enum err_kind kind, const char *text, struct err *e)
{
	err_set(e, kind, "%s", text);
	return transport_poison(s->t, e);
}

static struct slice first_word(struct slice s)
{
	const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;

	return (struct slice){ s.p, space ? (size_t)(space - s.p) : s.n };
}

/* One line without its end; *len with it, to be taken when it was looked at. */
static int look_line(struct pop3_session *s, struct slice *line, size_t *len, struct err *e)
{
	for (;;) {
		struct slice in = transport_input(s->t);

		switch (pop3_line(in.p, in.n, POP3_ANSWER_MAX, len)) {
		case WIRE_DONE:
			*line = (struct slice){ in.p, *len - 1 };
			if (line->n && line->p[line->n - 1] == '\r')
				line->n--;
			return 0;
		case WIRE_MORE:
			if (transport_more(s->t, e) < 0)
				return -1;
			break;
		case WIRE_BAD:
			return fail(s, ERR_LIMIT, "the server's line has no end", e);
		}
	}
}

/* What a refusal comes to; the codes of RFC 2449 8, 3206, and what servers say without one. */
static struct later busy_hint(const struct pop3_reply *r)
{
	static const char *const codes[] = { "IN-USE", "LOGIN-DELAY", "SYS/TEMP" };
	static const char *const words[] = { "lock",	     "in use",		"busy",
					     "another pop",  "another session", "try again",
					     "temporar",     "later",		"login limit",
					     "already open", "unavail",		"already log" };
	struct later l = hint_read(r->code, r->text);

	for (size_t i = 0; i < COUNT(codes); i++)
		if (slice_is_nocase(r->code, codes[i]))
			l.whom = l.whom ? l.whom : LATER_USER;
	for (size_t i = 0; i < COUNT(words) && !r->code.n && !l.whom; i++)
		for (size_t at = 0; at + strlen(words[i]) <= r->text.n; at++)
			if (strncasecmp(r->text.p + at, words[i], strlen(words[i])) == 0)
				l.whom = LATER_USER;
	return l;
}

static void refuse(const struct pop3_session *s, const struct pop3_reply *r, struct err *e)
{
	const char *open = r->code.n ? "[" : "", *shut = r->code.n ? "] " : "";

	err_set(e, ERR_TEMP, "the server says -ERR %s%.*s%s%.*s", open,
		(int)MIN(r->code.n, 100), r->code.p ? r->code.p : "", shut,
		(int)MIN(r->text.n, 200), r->text.p ? r->text.p : "");
	e->later = busy_hint(r);
	e->later.side = s->side->which;
}

/* The first line of an answer. ok: false for -ERR, and then e says what it said. */
static int read_reply(struct pop3_session *s, bool *ok, struct err *e)
{
	struct pop3_reply r;
	struct slice line;
	size_t len;

	if (look_line(s, &line, &len, e) < 0)
		return -1;
	if (pop3_reply(line, &r) != WIRE_DONE)
		return fail(s, ERR_PROTOCOL, "the server's answer is neither +OK nor -ERR", e);
	*ok = r.ok;
	if (!r.ok)
		refuse(s, &r, e);
	transport_take(s->t, len);
	return 0;
}

/* The same where -ERR is the end of it. */
static int expect_ok(struct pop3_session *s, struct err *e)
{
	bool ok;

	return read_reply(s, &ok, e) < 0 || !ok ? -1 : 0;
}

static int say(struct pop3_session *s, const char *text, struct err *e)
{
	return transport_write(s->t, text, strlen(text), e);
}

/* ---- listings up to a dot */

typedef int line_fn(struct slice line, void *arg, struct err *e);

static int read_lines(struct pop3_session *s, line_fn *fn, void *arg, struct err *e)
{
	for (;;) {
		struct slice line;
		size_t len;
		bool end;

		if (look_line(s, &line, &len, e) < 0)
			return -1;
		end = slice_is(line, ".");
		if (!end && fn(line, arg, e) < 0)
			return transport_poison(s->t, e);
		transport_take(s->t, len);
		if (end)
			return 0;
	}
}

/* ---- capabilities */

static int take_capa(struct slice line, void *arg, struct err *e)
{
	struct buf *capa = arg;

	if (buf_len(capa) + line.n >= POP3_CAPA_MAX)
		return err_set(e, ERR_LIMIT, "the server's CAPA has no end");
	buf_add(capa, line.p, line.n);
	buf_add_str(capa, "\n");
	return 0;
}

/* A server older than RFC 2449 says -ERR. */
static int ask_capa(struct pop3_session *s, struct err *e)
{
	bool ok;

	buf_drain(&s->capa, buf_len(&s->capa));
	if (say(s, "CAPA\r\n", e) < 0 || read_reply(s, &ok, e) < 0)
		return -1;
	if (ok)
		return read_lines(s, take_capa, &s->capa, e);
	err_clear(e);
	return 0;
}

struct slice pop3_session_capa(const struct pop3_session *s)
{
	return buf_slice(&s->capa);
}

const char *pop3_session_mechanism(const struct pop3_session *s)
{
	return s->mechanism ? s->mechanism : "";
}

struct transport *pop3_session_transport(const struct pop3_session *s)
{
	return s->t;
}

bool pop3_session_deletes_read(const struct pop3_session *s)
{
	struct slice args;

	return pop3_capa_args(buf_slice(&s->capa), "EXPIRE", &args) && args.n &&
	       args.p[0] == '0' && (args.n == 1 || args.p[1] == ' ');
}

bool pop3_session_is_gmail(const struct pop3_session *s)
{
	return s->gmail;
}

static bool has(const struct pop3_session *s, const char *word)
{
	return pop3_capa_has(buf_slice(&s->capa), word);
}

/* ---- opening */

static int greet(struct pop3_session *s, struct err *e)
{
	struct slice line;
	size_t len;

	if (look_line(s, &line, &len, e) < 0)
		return -1;
	s->lf = line.n + 1 == len;
	s->gmail = slice_starts_nocase(line, "+OK Gpop ");
	if (expect_ok(s, e) < 0)
		return err_wrap(e, "greeting");
	return 0;
}

static int stls(struct pop3_session *s, struct err *e)
{
	if (say(s, "STLS\r\n", e) < 0)
		return -1;
	if (expect_ok(s, e) < 0) {
		e->kind = ERR_TLS;
		err_wrap(e, "STLS");
		return transport_poison(s->t, e);
	}
	return transport_starttls(s->t, e);
}

static int begin(struct pop3_session *s, struct err *e)
{
	if (greet(s, e) < 0)
		return -1;
	if (s->side->tls == TLS_STARTTLS && !transport_is_secure(s->t) && stls(s, e) < 0)
		return -1;
	return ask_capa(s, e);
}

int pop3_session_open_on(struct transport *t, const struct job_side *side,
			 struct pop3_session **out, struct err *e)
{
	struct pop3_session *s = mem_new(sizeof *s);

	s->t = t;
	s->side = side;
	if (begin(s, e) < 0) {
		pop3_session_close(&s, false);
		return -1;
	}
	*out = s;
	return 0;
}

int pop3_session_open(const struct job_side *side, int connect_ms, int io_ms,
		      struct pop3_session **out, struct err *e)
{
	int64_t start = clock_mono_ms();
	struct transport *t;

	if (transport_open(side, connect_ms, io_ms, &t, e) < 0)
		return -1;
	transport_deadline(t, MAX(1, (int)(start + connect_ms - clock_mono_ms())));
	if (pop3_session_open_on(t, side, out, e) < 0)
		return err_wrap(e, "%s:%d", side->host, side->port);
	transport_deadline(t, 0);
	return 0;
}

bool pop3_session_is_usable(const struct pop3_session *s)
{
	return !transport_is_broken(s->t);
}

/* The maildrop is free when the server has closed: some unlock it behind their last word. */
void pop3_session_close(struct pop3_session **at, bool quit)
{
	struct pop3_session *s = *at;
	struct err ignored = { 0 };
	struct slice line;
	size_t len;

	if (!s)
		return;
	transport_deadline(s->t, QUIT_MS);
	if (quit && pop3_session_is_usable(s) && say(s, "QUIT\r\n", &ignored) == 0)
		while (look_line(s, &line, &len, &ignored) == 0)
			transport_take(s->t, len);
	transport_free(&s->t);
	buf_release(&s->capa);
	mem_free(at);
}

/* ---- login */

/* Says what is in b and forgets it: a password. */
static int say_secret(struct pop3_session *s, struct buf *b, struct err *e)
{
	int r = transport_write(s->t, buf_slice(b).p, buf_len(b), e);

	if (r == 0)
		r = transport_flush(s->t, e);
	buf_wipe(b);
	return r;
}

/* "+ …": 1 and *len is to be taken; else the line is an answer. */
static int look_plus(struct pop3_session *s, size_t *len, struct err *e)
{
	struct slice line;

	if (look_line(s, &line, len, e) < 0)
		return -1;
	return line.n && line.p[0] == '+' && !slice_starts_nocase(line, "+OK");
}

/* A refused token comes as a challenge first, which wants an answer (RFC 7628 3.2.3). */
static int auth_answer(struct pop3_session *s, struct err *e)
{
	size_t len;
	int plus = look_plus(s, &len, e);

	if (plus <= 0 || !sasl_mech_is_token(s->side->mech))
		return plus < 0 ? -1 : expect_ok(s, e);
	transport_take(s->t, len);
	if (say(s, s->side->mech == SASL_OAUTHBEARER ? "AQ==\r\n" : "\r\n", e) < 0)
		return -1;
	return expect_ok(s, e);
}

static int await_plus(struct pop3_session *s, struct err *e)
{
	size_t len;
	int plus = look_plus(s, &len, e);

	if (plus > 0)
		transport_take(s->t, len);
	if (plus != 0)
		return plus < 0 ? -1 : 0;
	return expect_ok(s, e) < 0
		       ? -1
		       : fail(s, ERR_PROTOCOL, "the server says +OK where it must ask", e);
}

static int authenticate(struct pop3_session *s, struct err *e)
{
	char command[64];
	struct buf message = { 0 };
	int n = snprintf(command, sizeof command, "AUTH %s", sasl_mech_name(s->side->mech));
	bool at_once;

	login_write(s->side, &message);
	at_once = (size_t)n + 1 + buf_len(&message) + 2 <= COMMAND_LINE_MAX;
	buf_add_str(&message, "\r\n");
	if (say(s, command, e) < 0 || say(s, at_once ? " " : "\r\n", e) < 0 ||
	    (!at_once && await_plus(s, e) < 0)) {
		buf_wipe(&message);
		return -1;
	}
	return say_secret(s, &message, e) < 0 ? -1 : auth_answer(s, e);
}

static int user_pass(struct pop3_session *s, struct err *e)
{
	struct slice password = secret_slice(&s->side->password);
	struct buf b = { 0 };

	buf_printf(&b, "USER %s\r\n", s->side->login);
	if (say_secret(s, &b, e) < 0 || expect_ok(s, e) < 0)
		return -1;
	(void)buf_room(&b, password.n + 16);
	buf_add_str(&b, "PASS ");
	buf_add(&b, password.p, password.n);
	buf_add_str(&b, "\r\n");
	return say_secret(s, &b, e) < 0 ? -1 : expect_ok(s, e);
}

/* "LOGIN-DELAY 900" (RFC 2449 6.5), so long between two logins. */
static int64_t login_delay_ms(const struct pop3_session *s)
{
	struct slice args;
	uint64_t n;

	if (!pop3_capa_args(buf_slice(&s->capa), "LOGIN-DELAY", &args) ||
	    slice_u64(first_word(args), HINT_WAIT_MAX_MS / 1000, &n) < 0)
		return 0;
	return (int64_t)n * 1000;
}

static int log_in(struct pop3_session *s, struct err *e)
{
	if (pop3_capa_sasl(buf_slice(&s->capa), sasl_mech_name(s->side->mech))) {
		s->mechanism = sasl_mech_name(s->side->mech);
		return authenticate(s, e);
	}
	if (s->side->authzid || sasl_mech_is_token(s->side->mech))
		return fail(s, ERR_AUTH, "the server offers no login that we can use", e);
	s->mechanism = "USER";
	return user_pass(s, e); /* every server had it before CAPA was invented */
}

int pop3_session_login(struct pop3_session *s, struct err *e)
{
	bool usable;

	if (login_check(s->side, e) < 0)
		return -1;
	if (log_in(s, e) == 0)
		return ask_capa(s, e);
	usable = pop3_session_is_usable(s); /* else it is not about the login */
	if (usable && !e->later.whom)
		e->kind = ERR_AUTH;
	else if (usable && !e->later.wait_ms && e->later.whom == LATER_USER)
		e->later.wait_ms = login_delay_ms(s);
	if (s->side->authzid)
		return err_wrap(e, "login as \"%s\" for \"%s\"", s->side->login,
				s->side->authzid);
	return err_wrap(e, "login as \"%s\"", s->side->login);
}

/* ---- listings */

void pop3_entries_release(struct pop3_entries *l)
{
	for (size_t i = 0; i < l->count; i++)
		buf_release(&l->at[i].uidl);
	mem_free(&l->at);
	*l = (struct pop3_entries){ 0 };
}

struct listing_in {
	struct pop3_entries *out;
	size_t room;
};

/* RFC 1939 5: behind the size more may follow. Numbers ascend; what does not is not understood.
 */
static int take_size(struct slice line, void *arg, struct err *e)
{
	struct listing_in *in = arg;
	struct pop3_entries *l = in->out;
	struct slice rest;
	uint32_t number;
	uint64_t size;

	if (pop3_listed(line, &number, &rest) != WIRE_DONE ||
	    slice_u64(first_word(rest), UINT64_MAX, &size) < 0 ||
	    (l->count && number <= l->at[l->count - 1].number)) {
		l->unclear++;
		return 0;
	}
	if (l->count == POP3_MESSAGES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d messages", POP3_MESSAGES_MAX);
	if (l->count == in->room) {
		in->room = in->room ? 2 * in->room : 256;
		l->at = mem_grow(l->at, in->room, sizeof *l->at);
	}
	l->at[l->count++] = (struct pop3_entry){ .number = number, .size = size };
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct pop3_entry *)a)->number;
	uint32_t y = ((const struct pop3_entry *)b)->number;

	return x < y ? -1 : x > y;
}

/* A message without one, or with one that cannot be kept, is known by its content. */
static int take_uidl(struct slice line, void *arg, struct err *e UNUSED)
{
	struct pop3_entries *l = ((struct listing_in *)arg)->out;
	struct pop3_entry key = { 0 }, *at = NULL;
	struct slice uidl;

	if (pop3_listed(line, &key.number, &uidl) == WIRE_DONE && l->count)
		at = bsearch(&key, l->at, l->count, sizeof key, by_number);
	if (!at || buf_len(&at->uidl) || uidl.n > POP3_UIDL_MAX ||
	    memchr(uidl.p, '\0', uidl.n)) {
		l->unclear++;
		return 0;
	}
	buf_add(&at->uidl, uidl.p, uidl.n);
	return 0;
}

/* STAT is a second opinion of how many there are. */
static int read_stat(struct pop3_session *s, uint64_t *count, struct err *e)
{
	struct pop3_reply r;
	struct slice line;
	size_t len;

	if (look_line(s, &line, &len, e) < 0)
		return -1;
	if (pop3_reply(line, &r) != WIRE_DONE || !r.ok)
		return expect_ok(s, e) < 0 ? err_wrap(e, "STAT")
					   : fail(s, ERR_PROTOCOL, "STAT", e);
	if (slice_u64(first_word(r.text), UINT32_MAX, count) < 0)
		return fail(s, ERR_PROTOCOL, "the server's answer to STAT is no number", e);
	transport_take(s->t, len);
	return 0;
}

static int read_uidls(struct pop3_session *s, struct listing_in *in, struct err *e)
{
	bool ok;

	if (read_reply(s, &ok, e) < 0)
		return -1;
	if (ok)
		return read_lines(s, take_uidl, in, e);
	if (e->later.whom) /* it is weak now, but may have them */
		return -1;
	err_clear(e);
	return 0;
}

/* All three at once where that is allowed. */
static int read_listings(struct pop3_session *s, struct listing_in *in, struct err *e)
{
	bool at_once = has(s, "PIPELINING");
	uint64_t count = 0;

	if (say(s, at_once ? "STAT\r\nLIST\r\nUIDL\r\n" : "STAT\r\n", e) < 0 ||
	    read_stat(s, &count, e) < 0)
		return -1;
	if ((!at_once && say(s, "LIST\r\n", e) < 0) || expect_ok(s, e) < 0 ||
	    read_lines(s, take_size, in, e) < 0)
		return -1;
	if (count != in->out->count)
		in->out->unclear++;
	if (!at_once && say(s, "UIDL\r\n", e) < 0)
		return -1;
	return read_uidls(s, in, e);
}

int pop3_session_list(struct pop3_session *s, struct pop3_entries *out, struct err *e)
{
	struct listing_in in = { .out = out };

	*out = (struct pop3_entries){ 0 };
	if (read_listings(s, &in, e) == 0)
		return 0;
	pop3_entries_release(out);
	return err_wrap(e, "listing the maildrop");
}

/* ---- messages */

static int read_body(struct pop3_session *s, uint64_t expected, size_t i,
		     const struct pop3_sink *sink, struct err *e)
{
	struct pop3_body b = { .lf = s->lf, .expected = expected };
	bool done = false;

	while (!done) {
		struct slice in = transport_input(s->t), out;
		size_t n;

		if (in.n == 0) {
			if (transport_more(s->t, e) < 0)
				return err_wrap(e, "in the middle of it");
			continue;
		}
		n = pop3_body_feed(&b, in.p, in.n, &out, &done);
		if (out.n && sink->bytes(i, out, sink->arg, e) < 0)
			return transport_poison(s->t, e);
		transport_take(s->t, n);
		if (b.size > POP3_BODY_MAX)
			return fail(s, ERR_LIMIT, "it has no end", e);
	}
	return sink->end(i, sink->arg, e) < 0 ? transport_poison(s->t, e) : 0;
}

static int read_message(struct pop3_session *s, uint64_t expected, size_t i,
			const struct pop3_sink *sink, struct err *e)
{
	char text[ERR_TEXT_MAX];
	bool ok;

	if (sink->begin && sink->begin(i, sink->arg, e) < 0)
		return transport_poison(s->t, e);
	if (read_reply(s, &ok, e) < 0)
		return -1;
	if (ok)
		return read_body(s, expected, i, sink, e);
	if (e->later.whom) /* that is not about the message */
		return transport_poison(s->t, e);
	snprintf(text, sizeof text, "%s", e->text);
	err_clear(e);
	return sink->refused(i, text, sink->arg, e) < 0 ? transport_poison(s->t, e) : 0;
}

static void write_command(enum read_as as, uint32_t number, char out[static 32])
{
	if (as == READ_RETR)
		snprintf(out, 32, "RETR %" PRIu32 "\r\n", number);
	else
		snprintf(out, 32, "TOP %" PRIu32 " %s\r\n", number,
			 as == READ_TOP ? "0" : ALL_LINES);
}

static int read_each(struct pop3_session *s, enum read_as as, const struct pop3_wanted *at,
		     size_t n, const struct pop3_sink *sink, struct err *e)
{
	size_t window = has(s, "PIPELINING") ? POP3_WINDOW : 1, sent = 0;

	for (size_t i = 0; i < n; i++) {
		for (; sent < n && sent < i + window; sent++) {
			char command[32];

			transport_message(s->t);
			write_command(as, at[sent].number, command);
			if (say(s, command, e) < 0)
				return -1;
		}
		if (read_message(s, as == READ_TOP ? 0 : at[i].size, i, sink, e) < 0)
			return err_wrap(e, "message %" PRIu32, at[i].number);
	}
	return 0;
}

int pop3_session_retr(struct pop3_session *s, const struct pop3_wanted *at, size_t n,
		      const struct pop3_sink *sink, struct err *e)
{
	return read_each(s, READ_RETR, at, n, sink, e);
}

/* ---- headers */

static int drop_bytes(size_t i UNUSED, struct slice bytes UNUSED, void *arg UNUSED,
		      struct err *e UNUSED)
{
	return 0;
}

static int drop_end(size_t i UNUSED, void *arg UNUSED, struct err *e UNUSED)
{
	return 0;
}

static int note_refusal(size_t i UNUSED, const char *text UNUSED, void *arg,
			struct err *e UNUSED)
{
	*(enum top *)arg = TOP_NO;
	return 0;
}

/* Without CAPA it is tried once. */
static int learn_top(struct pop3_session *s, const struct pop3_wanted *first, struct err *e)
{
	const struct pop3_sink sink = {
		.bytes = drop_bytes, .end = drop_end, .refused = note_refusal, .arg = &s->top
	};

	if (buf_len(&s->capa))
		s->top = has(s, "TOP") ? TOP_YES : TOP_NO;
	if (s->top != TOP_UNKNOWN)
		return 0;
	s->top = TOP_YES;
	return read_each(s, READ_TOP, first, 1, &sink, e);
}

int pop3_session_top(struct pop3_session *s, const struct pop3_wanted *at, size_t n,
		     const struct pop3_sink *sink, struct err *e)
{
	if (n && learn_top(s, at, e) < 0)
		return -1;
	return read_each(s, s->top == TOP_NO ? READ_RETR : READ_TOP, at, n, sink, e);
}

int pop3_session_peek(struct pop3_session *s, const struct pop3_wanted *at, size_t n,
		      const struct pop3_sink *sink, struct err *e)
{
	if (n && learn_top(s, at, e) < 0)
		return -1;
	return read_each(s, s->top == TOP_NO ? READ_RETR : READ_ALL_LINES, at, n, sink, e);
}
