/*
 * A client's arbitrary bytes, cut anywhere, at a real session, with a scripted backend that
 * reads commands the way servers do and keeps account of what it has not answered. Besides
 * staying alive:
 * - nothing but a login comes to the backend before the login is accepted;
 * - no refused command and no half of one comes to it afterwards, whatever it refuses itself;
 * - once the node has said "quiet", nothing is open at the backend and nothing more comes;
 * - all that an IMAP client hears is grammatical: nothing of ours stands inside an answer.
 *
 * The first byte: bit 0 POP3, bits 1.. the backend's manners. Bytes from 0xf0 on do something
 * (see act()); 0xff makes the next byte the client's as it is.
 */
#include "tests/fuzz/stage.h"

#define OPEN_MAX_BYTES (REF_OPEN_MAX + 4)
#define INPUT_MAX      1024
#define CHUNK	       4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum manners {			/* of the backend: bits of the first byte */
	       NO_CAPS = 2,	/* in its greeting */
	       NO_SASL = 4,	/* LOGIN only */
	       PLUS = 8,	/* LITERAL+, SASL-IR */
	       ASKS_ALL = 16,	/* takes every literal; else it refuses some */
	       BAD_LOGINS = 32, /* refuses the first login */
	       CHECKPOINT = 64	/* backend.checkpoint is on */
};

struct open_command {
	char tag[IMAP_TAG_MAX + 1];
	bool idle, many;
};

static struct {
	uint8_t manners;
	bool pop3, in, idle; /* in: the login is accepted */
	bool anna;	     /* who was let in: only she is ever held */
	bool refused_once, quit;
	char text[2 * CHUNK]; /* read and not understood yet */
	size_t n;
	uint64_t literal;
	unsigned sasl; /* answers it waits for */
	bool more;     /* of a command */
	struct open_command open[OPEN_MAX_BYTES];
	size_t count;
	struct open_command current;
} b;

static bool half; /* of an answer has been told */

static void finish_half(void)
{
	if (half)
		stage_say(&stage.backend, "lo)\r\n", 5);
	half = false;
}

static void PRINTF_LIKE(1, 2) tell(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	finish_half();
	stage_say(&stage.backend, text, (size_t)n);
}

/* The node has said so, of this session too. */
static bool quiet_said(void)
{
	return stage.acked && b.anna;
}

/* ---- the backend: login */

static const char *caps(void)
{
	bool sasl = !(b.manners & NO_SASL), plus = b.manners & PLUS;

	return sasl && plus
		       ? "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN COMPRESS=DEFLATE"
	       : sasl ? "CAPABILITY IMAP4rev1 AUTH=PLAIN"
	       : plus ? "CAPABILITY IMAP4rev1 LITERAL+ IDLE"
		      : "CAPABILITY IMAP4rev1";
}

static void greet(void)
{
	half = false;
	b.n = b.literal = b.count = 0;
	b.in = b.idle = b.more = b.quit = false;
	b.sasl = 0;
	if (b.pop3)
		tell("+OK ready\r\n");
	else if (b.manners & NO_CAPS)
		tell("* OK ready\r\n");
	else
		tell("* OK [%s] ready\r\n", caps());
}

static void take_login(const char *tag)
{
	bool ok = !(b.manners & BAD_LOGINS) || b.refused_once;

	b.refused_once = true;
	b.in = ok;
	if (b.pop3)
		tell(ok ? "+OK in\r\n" : "-ERR [AUTH] no\r\n");
	else
		tell("%s %s done\r\n", tag, ok ? "OK" : "NO [AUTHENTICATIONFAILED]");
}

/* How many SASL answers it wants behind this; 0: it is all there. */
static unsigned sasl_answers(struct slice mech_and_initial)
{
	if (slice_is_nocase(mech_and_initial, "LOGIN"))
		return 2;
	return memchr(mech_and_initial.p, ' ', mech_and_initial.n) ? 0 : 1;
}

static void authenticate(struct slice mech_and_initial)
{
	b.sasl = sasl_answers(mech_and_initial);
	if (b.sasl)
		tell("+ \r\n");
	else
		take_login("A");
}

static void hear_pop3_login(struct slice line)
{
	if (slice_is_nocase(line, "CAPA"))
		tell(b.manners & NO_CAPS ? "-ERR what\r\n"
					 : "+OK\r\nUSER\r\nPIPELINING\r\n%s.\r\n",
		     b.manners & NO_SASL ? "" : "SASL PLAIN\r\n");
	else if (slice_starts_nocase(line, "AUTH "))
		authenticate((struct slice){ line.p + 5, line.n - 5 });
	else if (slice_starts_nocase(line, "USER "))
		tell("+OK\r\n");
	else if (slice_starts_nocase(line, "PASS "))
		take_login("");
	else
		BUG("no login: %.*s", (int)line.n, line.p);
}

static void hear_imap_login(struct slice line)
{
	uint64_t size = 0;

	if (slice_is(line, "C CAPABILITY")) {
		tell("* %s\r\nC OK\r\n", caps());
		return;
	}
	if (slice_starts_nocase(line, "A AUTHENTICATE ")) {
		authenticate((struct slice){ line.p + 15, line.n - 15 });
		return;
	}
	ASSERT(b.more || slice_starts_nocase(line, "A LOGIN "));
	switch (ref_tail_of(line.p, line.n, &size)) {
	case REF_SYNC:
		tell("+ go\r\n");
		break;
	case REF_PLUS:
		ASSERT(b.manners & PLUS);
		break;
	case REF_BAD:
		BUG("no login: %.*s", (int)line.n, line.p);
	case REF_NO_LITERAL:
		b.more = false;
		take_login("A");
		return;
	}
	b.literal = size;
	b.more = true;
}

static void hear_login(struct slice line)
{
	unsigned answers = b.sasl;

	if (b.sasl > 1)
		tell("+ \r\n");
	else if (b.sasl == 1)
		take_login("A");
	else if (b.pop3)
		hear_pop3_login(line);
	else
		hear_imap_login(line);
	if (answers)
		b.sasl = answers - 1;
}

/* ---- the backend: commands */

static bool is_verb(struct slice v, const char *name)
{
	return slice_is_nocase(v, name);
}

static void remember(struct slice tag, struct slice verb)
{
	struct open_command *c = &b.current;

	snprintf(c->tag, sizeof c->tag, "%.*s", (int)tag.n, tag.p);
	c->idle = is_verb(verb, "IDLE");
	c->many = is_verb(verb, "FETCH");
	b.quit = is_verb(verb, "LOGOUT");
}

/* The whole command is here. */
static void is_whole(void)
{
	ASSERT(b.count < OPEN_MAX_BYTES);
	b.more = false;
	b.open[b.count++] = b.current;
	if (b.current.idle) {
		b.idle = true;
		tell("+ idling\r\n");
	}
	if (b.quit) {
		tell("* BYE\r\n%s OK\r\n", b.current.tag);
		stage_close(&stage.backend);
	}
}

static void announced(struct slice line, enum ref_tail tail, uint64_t size)
{
	b.more = true;
	b.literal = size;
	if (tail != REF_SYNC)
		return;
	if ((b.manners & ASKS_ALL) || (line.n + size) % 3) {
		tell("+ go {3}\r\n");
		return;
	}
	tell("%s NO not that\r\n", b.current.tag);
	b.more = false;
	b.literal = 0;
}

static void hear_imap(struct slice line)
{
	struct slice tag, verb;
	uint64_t size = 0;
	enum ref_tail tail = ref_tail_of(line.p, line.n, &size);

	if (b.idle) {
		b.idle = false;
		b.open[b.count - 1].idle = false;
		ASSERT(!quiet_said());
		return;
	}
	ASSERT(tail != REF_BAD && !ref_is_dirty(line.p, line.n));
	if (!b.more) {
		ASSERT(ref_command(line.p, line.n, &tag, &verb));
		ASSERT(!imap_command_refused(verb));
		remember(tag, verb);
		ASSERT(!quiet_said() || b.current.idle);
	} else {
		ASSERT(!quiet_said());
	}
	if (tail == REF_NO_LITERAL)
		is_whole();
	else
		announced(line, tail, size);
}

static void hear_pop3(struct slice line)
{
	ASSERT(!quiet_said() && ref_pop3_passes(line));
	ASSERT(b.count < OPEN_MAX_BYTES);
	b.open[b.count++] = (struct open_command){ .many = ref_pop3_multiline(line) };
	b.quit |= ref_pop3_is(line, "QUIT");
}

static size_t hear_some(void)
{
	const char *lf;
	size_t n, take;

	if (b.literal) {
		take = MIN((uint64_t)b.n, b.literal);
		b.literal -= take;
		return take;
	}
	lf = memchr(b.text, '\n', b.n);
	if (!lf)
		return 0;
	take = (size_t)(lf - b.text) + 1;
	n = take - 1;
	if (n && b.text[n - 1] == '\r')
		n--;
	if (!b.in)
		hear_login((struct slice){ b.text, n });
	else if (b.pop3)
		hear_pop3((struct slice){ b.text, n });
	else
		hear_imap((struct slice){ b.text, n });
	return take;
}

static void hear(void)
{
	ssize_t n = 0;
	size_t took;

	if (stage_accept())
		greet();
	while (stage.backend >= 0 &&
	       (n = recv(stage.backend, b.text + b.n, sizeof b.text - b.n, 0)) > 0) {
		b.n += (size_t)n;
		while (stage.backend >= 0 && b.n && (took = hear_some()) > 0) {
			memmove(b.text, b.text + took, b.n - took);
			b.n -= took;
		}
	}
	if (n == 0)
		stage_close(&stage.backend);
}

/* What the backend still owes when "quiet" was said: nothing but the end of an IDLE. */
static void check_quiet(void)
{
	if (!quiet_said() || stage.backend < 0 || !b.in)
		return;
	ASSERT(!b.more && b.literal == 0 && b.n == 0);
	ASSERT(b.count == 0 || (b.count == 1 && b.open[0].idle));
}

static void answer(size_t i)
{
	struct open_command c;

	if (stage.backend < 0 || i >= b.count || b.open[i].idle)
		return;
	c = b.open[i];
	memmove(b.open + i, b.open + i + 1, (--b.count - i) * sizeof *b.open);
	if (b.pop3)
		tell(c.many ? "+OK\r\n..\r\nx\r\n.\r\n" : "+OK\r\n");
	else if (c.many)
		tell("* 1 FETCH (BODY[] {10}\r\na OK {5}\r\n)\r\n%s OK {2}\r\n", c.tag);
	else
		tell("%s OK [CAPABILITY COMPRESS=DEFLATE IDLE] done {3}\r\n", c.tag);
	if (b.pop3 && b.quit && b.count == 0)
		stage_close(&stage.backend);
}

/* ---- the input */

static void tell_half(void)
{
	if (half) {
		finish_half();
	} else if (!b.pop3 && b.in) {
		tell("* 2 FETCH (BODY[] {5}\r\nhel");
		half = true;
	}
}

static void act(uint8_t what)
{
	switch (what) {
	case 0xf1:
		answer(0);
		break;
	case 0xf2:
		while (stage.backend >= 0 && b.count && !b.open[0].idle)
			answer(0);
		break;
	case 0xf3:
		answer(b.pop3 ? 0 : b.count - 1);
		break;
	case 0xf4:
		tell_half();
		break;
	case 0xf5:
		stage_move(USER_FREEZING);
		break;
	case 0xf6: /* the flip, which needs that the node was quiet */
		if (stage.acked) {
			stage_move(USER_FINALIZING);
			stage_move(USER_TRAILING);
		}
		break;
	case 0xf7: /* the undo */
		stage_move(USER_READY);
		break;
	case 0xf8:
		if (stage.client >= 0)
			shutdown(stage.client, SHUT_WR);
		break;
	case 0xf9:
		stage_close(&stage.backend);
		break;
	default: /* only a cut */
		break;
	}
}

/* Copies what the client says next; returns how many bytes of the input that took. */
static size_t take_words(const uint8_t *data, size_t size, char *out, size_t *n)
{
	size_t i = 0;

	for (*n = 0; i < size && *n < CHUNK; i++) {
		if (data[i] == 0xff && i + 1 < size)
			i++;
		else if (data[i] >= 0xf0)
			break;
		out[(*n)++] = (char)data[i];
	}
	return i;
}

static void check_heard(void)
{
	static struct ref_half h;
	static struct ref_server read;

	if (b.pop3 || stage.heard_n > REF_TALK_MAX)
		return;
	h.n = stage.heard_n;
	memcpy(h.p, stage.heard, h.n);
	ref_read_server(&h, &read);
	ASSERT(!read.lost || read.count == REF_ANSWERS_MAX);
}

static void settle(void)
{
	for (int i = 0; i < 2; i++) {
		stage_turn();
		stage_look_for_anna(&b.anna);
		hear();
	}
	check_quiet();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool open;
	char words[CHUNK];

	if (!open)
		stage_open();
	open = true;
	if (size == 0 || size > INPUT_MAX)
		return 0;
	memset(&b, 0, sizeof b);
	b.manners = data[0];
	b.pop3 = data[0] & 1;
	stage.settings.backend[SIDE_OLD].checkpoint = b.manners & CHECKPOINT;
	half = false;
	stage_begin(b.pop3 ? PROTO_POP3 : PROTO_IMAP);
	for (size_t i = 1, n, took; i < size; i += took) {
		took = take_words(data + i, size - i, words, &n);
		stage_say(&stage.client, words, n);
		if (took == 0) {
			act(data[i]);
			took = 1;
		}
		settle();
	}
	settle();
	check_heard();
	stage_end();
	return 0;
}
