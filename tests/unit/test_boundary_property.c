/*
 * The trackers of what is open against the slow reader of reference.h: after every byte of
 * conversations that were recorded from a real server (tests/unit/conversations) and made up
 * with a seed, and after random larger pieces, both say the same.
 */
#include "tests/unit/wire_test.h"

#include <dirent.h>
#include <stdio.h>

#include "tests/unit/follow.h"

#define MADE_UP	   25 /* conversations of each protocol */
#define PIECEWISE  12 /* times each is fed again in random pieces */
#define WAITING	   8192
#define LITERALS   4 /* in one made-up command */
#define TALK_BYTES 1500

/* ---- chance: the same everywhere */

static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice >> 33) % sides;
}

static bool chance(unsigned percent)
{
	return roll(100) < percent;
}

#define PICK(table) ((table)[roll(COUNT(table))])

/* ---- the comparison */

static void show(const struct ref_talk *t, size_t k, struct ref want, struct ref got)
{
	char who = 0;

	for (size_t i = 0; i < k; i++) {
		if (t->who[i] != who)
			fprintf(stderr, "\n%c: ", who = t->who[i]);
		fprintf(stderr, t->byte[i] >= ' ' ? "%c" : "\\x%02x",
			(unsigned char)t->byte[i]);
	}
	fprintf(stderr, "\n");
	fail_msg(
		"after %zu bytes, reader and tracker: quiet %d %d, at line %d %d, uploading %d "
		"%d, open %u %u, deletes %u %u",
		k, want.quiet, got.quiet, want.at_line, got.at_line, want.uploading,
		got.uploading, want.open, got.open, want.deletes, got.deletes);
}

static struct ref read_slowly(const struct ref_talk *t, size_t k, bool pop3)
{
	return pop3 ? ref_pop3(t, k) : ref_imap(t, k);
}

/*
 * A byte of the server's that lets something of the client's pass ends its piece: what follows
 * may be the answer to it, and cannot have come before.
 */
static size_t piece(const bool *lets_pass, size_t k, size_t n, unsigned longest)
{
	size_t want = 1 + roll(longest), took = 1;

	while (took < want && k + took < n && !lets_pass[k + took - 1])
		took++;
	return took;
}

static void compare(const struct ref_talk *t, bool pop3)
{
	static struct ref want[REF_TALK_MAX + 1];
	static bool lets_pass[REF_TALK_MAX];
	static struct follow f;
	size_t k, next, taken;

	for (k = 0; k <= t->n; k++) {
		want[k] = read_slowly(t, k, pop3);
		if (want[k].lost)
			show(t, k, want[k], want[k]);
	}
	for (int round = 0; round <= PIECEWISE; round++) {
		f = (struct follow){ .is_pop3 = pop3 };
		for (k = 0; k < t->n; k = next) {
			taken = f.taken;
			next = k + (round ? piece(lets_pass, k, t->n, 1u << round) : 1);
			follow_feed(&f, t, k, next);
			if (round == 0)
				lets_pass[k] = t->who[k] == 'S' && f.taken > taken;
			if (!follow_agrees(want[next], follow_state(&f)))
				show(t, next, want[next], follow_state(&f));
		}
	}
}

/* ---- recorded conversations */

#define RECORDED "tests/unit/conversations"

static const char *unescape(const char *p, char *out)
{
	unsigned code;

	if (*p != '\\') {
		*out = *p;
		return p + 1;
	}
	if (p[1] == 'x') {
		assert_int_equal(sscanf(p + 2, "%2x", &code), 1);
		*out = (char)code;
		return p + 4;
	}
	*out = p[1] == 'r' ? '\r' : p[1] == 'n' ? '\n' : '\\';
	return p + 2;
}

static void load(const char *name, struct ref_talk *t)
{
	char path[300], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof path, RECORDED "/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	t->n = 0;
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		for (const char *p = line + 3; *p; t->n++) {
			assert_in_range(t->n, 0, REF_TALK_MAX - 1);
			t->who[t->n] = line[0];
			p = unescape(p, &t->byte[t->n]);
		}
	}
	free(line);
	fclose(f);
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

static void test_recorded(void **state)
{
	static struct ref_talk t;
	struct dirent *entry;
	DIR *dir = opendir(RECORDED);
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!ends_in(entry->d_name, ".imap") && !ends_in(entry->d_name, ".pop3"))
			continue;
		load(entry->d_name, &t);
		compare(&t, ends_in(entry->d_name, ".pop3"));
		count++;
	}
	closedir(dir);
	assert_in_range(count, 4, 100);
	(void)state;
}

/* ---- made-up conversations: what both sides know and have not said yet */

struct said {
	size_t n, given; /* bytes, and how many of them are in the conversation */
	char p[WAITING];
};

struct made_command {
	char tag[16];
	size_t parts, at; /* the client's parts; how many it has said */
	struct {
		char bytes[400];
		size_t n;
		bool waits; /* for the server's "+" */
	} part[2 * LITERALS + 2];
	size_t ends;  /* in the client's bytes, of what it has said so far */
	size_t asked; /* how many "+" the server has said … */
	size_t plus;  /* … the last one until there in its bytes */
	bool refused, silent, done;
};

struct world {
	struct ref_talk talk;
	struct said client, server;
	struct follow proxy; /* so that the server answers only what has really come to it */
	struct made_command open[REF_OPEN_MAX + 8];
	size_t count, tags;
	bool impatient; /* does not wait for "+" */
	bool pop3;
};

static void put(struct said *s, const char *p, size_t n)
{
	assert_in_range(s->n + n, 0, sizeof s->p);
	memcpy(s->p + s->n, p, n);
	s->n += n;
}

static void PRINTF_LIKE(2, 3) putf(struct said *s, const char *fmt, ...)
{
	char text[3000];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	assert_in_range(n, 0, sizeof text - 1);
	put(s, text, (size_t)n);
}

/* A piece of what one side has said comes to the other. */
static void give(struct world *w)
{
	bool client = w->server.given == w->server.n || chance(50);
	struct said *s = client ? &w->client : &w->server;
	size_t n = 1 + roll(chance(50) ? 12 : 400);

	size_t from = w->talk.n;

	for (n = MIN(n, s->n - s->given); n && w->talk.n < REF_TALK_MAX; n--) {
		w->talk.who[w->talk.n] = client ? 'C' : 'S';
		w->talk.byte[w->talk.n++] = s->p[s->given++];
	}
	follow_feed(&w->proxy, &w->talk, from, w->talk.n);
}

/* ---- IMAP: the client */

static const char *const plain_commands[] = {
	"NOOP",
	"CHECK",
	"CAPABILITY",
	"SELECT INBOX",
	"FETCH 1:* (FLAGS UID)",
	"uid fetch 1 (BODY.PEEK[HEADER.FIELDS (From \"X-{5}\")]<0.10>)",
	"SEARCH SUBJECT \"{5}\" TEXT \"a \\\" {3}\"",
	"STORE 1 +FLAGS.SILENT (\\Deleted)",
	"LIST \"\" \"*{5}%\"",
	"ENABLE UTF8=ACCEPT CONDSTORE",
	"UID COPY 1:3 \"Sent {9+}\"",
	"NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))",
	"STATUS x (MESSAGES)",
	"GETMETADATA \"\" /private/comment",
	"FETCH 2 BODY[1.{2}]x",
	"ID (\"name\" \"{1}\")",
	"XWEIRD {5} not at the end",
	"EXPUNGE",
	"IDLED",
};
static const char *const refused_commands[] = {
	"COMPRESS DEFLATE", "AUTHENTICATE PLAIN", "authenticate plain dGVzdA==",
	"STARTTLS",	    "UNAUTHENTICATE",
};
static const char *const bad_lines[] = {
	"\r\n",
	"x\r\n",
	"\n",
	"x  NOOP\r\n",
	"x FETCH glued{5}\r\n",
	"x SEARCH \"open {5}\r\n",
	"x SEARCH a\"b {5}\r\n",
	"x A {99999999999}\r\n",
	"x NOOP\rb NOOP\r\n",
	"{5}\r\n",
	"* OK no tag\r\n",
	"x A {5} {3+}\r\n",
	"DONE\r\n",
	"(x) NOOP\r\n",
};
static const char *const literal_heads[] = {
	"APPEND INBOX ", "APPEND \"a {5}\" (\\Seen) ",
	"APPEND x ~",	 "CATENATE (TEXT ",
	"SEARCH TEXT ",	 "RENAME ",
	"GETMETADATA (",
};
static const char *const line_ends[] = { "\r\n", "\r\n", "\r\n", "\n" };

static void part_add(struct made_command *c, const char *p, size_t n, bool waits)
{
	assert_in_range(n, 0, sizeof c->part[0].bytes);
	assert_in_range(c->parts, 0, COUNT(c->part) - 1);
	memcpy(c->part[c->parts].bytes, p, n);
	c->part[c->parts].n = n;
	c->part[c->parts++].waits = waits;
}

/* Bytes of a message: also what looks like answers, commands and ends. */
static size_t content(char *out, size_t max)
{
	static const char *const bits[] = {
		"\r\n", "\n",	    "a1 OK done", "+ go",  "x LOGOUT\r\n", "{5}",
		"\"",	"DONE\r\n", "\xc3\xa9",	  ".\r\n", "word ",	   "* BYE\r\n"
	};
	size_t n = 0, want = chance(20) ? 0 : roll((unsigned)max);

	while (n < want) {
		const char *bit = PICK(bits);

		for (; *bit && n < want; bit++)
			out[n++] = *bit;
		if (n < want && chance(5))
			out[n++] = '\0';
	}
	return n;
}

static void add_literals(struct made_command *c, const char *head)
{
	unsigned count = 1 + (chance(30) ? roll(LITERALS) : 0);
	char line[400], body[200];
	size_t at = (size_t)snprintf(line, sizeof line, "%s %s", c->tag, head);
	bool sync = false;

	for (unsigned i = 0; i < count; i++) {
		size_t n = content(body, sizeof body);

		sync = chance(50);
		at += (size_t)snprintf(line + at, sizeof line - at, "{%zu%s}%s", n,
				       sync ? "" : "+", PICK(line_ends));
		part_add(c, line, at, i && c->part[c->parts - 1].waits);
		c->part[c->parts - 1].waits = false;
		part_add(c, body, n, sync);
		at = (size_t)snprintf(line, sizeof line, "%s", chance(50) ? " \"{7}\" " : " ");
	}
	at = (size_t)snprintf(line, sizeof line, "%s%s", chance(20) ? ")" : "",
			      PICK(line_ends));
	part_add(c, line, at, false);
}

static void begin_imap(struct world *w, struct made_command *c)
{
	char line[400];
	unsigned kind = roll(100);

	if (kind < 40) {
		snprintf(line, sizeof line, "%s %s%s", c->tag, PICK(plain_commands),
			 PICK(line_ends));
		part_add(c, line, strlen(line), false);
	} else if (kind < 75) {
		add_literals(c, PICK(literal_heads));
	} else if (kind < 88) {
		snprintf(line, sizeof line, "%s %s\r\n", c->tag, chance(50) ? "IDLE" : "idle");
		part_add(c, line, strlen(line), false);
		part_add(c, "DONE\r\n", 6, true);
	} else if (kind < 93) {
		c->silent = true;
		if (chance(50)) {
			add_literals(c, "COMPRESS ");
		} else {
			snprintf(line, sizeof line, "%s %s\r\n", c->tag,
				 PICK(refused_commands));
			part_add(c, line, strlen(line), false);
		}
	} else if (kind < 98) {
		const char *bad = PICK(bad_lines);

		c->silent = true;
		part_add(c, bad, strlen(bad), false);
	} else {
		c->silent = true;
		part_add(c, "x NOOP \0 {3}\r\n", 14, false);
	}
	(void)w;
}

/* ---- POP3: the client */

static const char *const pop3_commands[] = {
	"STAT",	  "LIST",    "LIST 2", "list ",	  "UIDL",   "UIDL 1", "RETR 1",
	"retr 2", "TOP 1 0", "DELE 1", "DELE 2",  "dele 3", "RSET",   "NOOP",
	"CAPA",	  "LAST",    "LANG",   "LANG en", "UTF8",
};
static const char *const pop3_refused[] = {
	"AUTH PLAIN", "AUTH",	 "STLS", "USER x",  "PASS y",	      "APOP x y",
	"XTND XLST",  " RETR 1", "",	 "RETR\t1", "RETR 1\rDELE 1",
};

static void begin_pop3(struct world *w, struct made_command *c)
{
	char line[200];

	c->silent = chance(10);
	snprintf(line, sizeof line, "%s%s",
		 c->silent	? PICK(pop3_refused)
		 : w->tags > 25 ? "QUIT"
				: PICK(pop3_commands),
		 PICK(line_ends));
	part_add(c, line, strlen(line), false);
}

/* ---- the client's moves */

static struct made_command *last_open(struct world *w)
{
	return w->count ? &w->open[w->count - 1] : NULL;
}

/* Goes on with the command in hand. False: it is said, or must wait. */
static bool say_more(struct world *w)
{
	struct made_command *c = last_open(w);

	if (!c || c->at == c->parts || c->done)
		return false;
	if (c->part[c->at].waits && !w->impatient) {
		size_t asked = 0;

		for (size_t i = 0; i <= c->at; i++)
			asked += c->part[i].waits;
		if (c->asked < asked || w->server.given < c->plus)
			return false;
	}
	put(&w->client, c->part[c->at].bytes, c->part[c->at].n);
	c->at++;
	c->ends = w->client.n;
	return true;
}

static void say(struct world *w)
{
	struct made_command *c = last_open(w);

	if (say_more(w) || (c && c->at < c->parts && !c->done && !c->silent))
		return;
	if (w->count == COUNT(w->open) || w->talk.n > TALK_BYTES)
		return;
	c = &w->open[w->count++];
	*c = (struct made_command){ 0 };
	snprintf(c->tag, sizeof c->tag, chance(50) ? "a%zu" : "A.%zu", w->tags++);
	w->impatient = chance(5);
	if (w->pop3)
		begin_pop3(w, c);
	else
		begin_imap(w, c);
	say_more(w);
}

/* ---- the server's moves */

static void forget(struct world *w, struct made_command *c)
{
	size_t i = (size_t)(c - w->open);

	memmove(c, c + 1, (w->count - i - 1) * sizeof *c);
	w->count--;
}

static const char *const untagged[] = {
	"* 4 EXISTS\r\n",
	"* 2 EXPUNGE\r\n",
	"* OK look: {5}\r\n",
	"* NO [ALERT] \"{7}\r\n",
	"* BAD {1}\r\n",
	"* BYE going {3}\r\n",
	"* SEARCH 1 2 3\r\n",
	"* SEARCH\r\n",
	"* LIST (\\HasChildren) \"/\" \"a {5}\"\r\n",
	"* LIST () \"/\" \"q\\\" {5}\"\n",
	"* 1 FETCH (FLAGS (\\Seen $x) UID 7 MODSEQ (12))\r\n",
	"* ENABLED UTF8=ACCEPT\r\n",
	"* 2 FETCH (ENVELOPE (NIL \"{4}\" ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL))\r\n",
	"* ESEARCH (TAG \"a1\") UID ALL 1:3\r\n",
	"* VANISHED (EARLIER) 3:5\r\n",
	"* STATUS \"x{2}\" (MESSAGES 3 UIDNEXT 9)\r\n",
	"* ok lower {9}\r\n",
	"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n",
	"* ID (\"name\" \"D {3}\")\r\n",
	"* CAPABILITY IMAP4rev1 IDLE\r\n",
	"* FLAGS (\\Answered \\*)\r\n",
	"other OK {5}\r\n",
};

static void tell_literal(struct world *w)
{
	static const char *const heads[] = { "* LIST () \"q\\\" {5}\" ",
					     "* 1 FETCH (UID 3 BODY[] ",
					     "* LIST () \"/\" ",
					     "* 2 FETCH (BINARY[1] ~",
					     "* 3 FETCH (BODY[HEADER."
					     "FIELDS (\"A{3}\" B)]<0> ",
					     "* METADATA \"\" (/x " };
	const char *head = PICK(heads);
	char body[300];
	size_t n = content(body, sizeof body);

	putf(&w->server, "%s{%zu}%s", head, n, PICK(line_ends));
	put(&w->server, body, n);
	if (chance(30)) {
		putf(&w->server, " {3}\r\n");
		put(&w->server, "a\r\n", 3);
	}
	putf(&w->server, "%s%s", strchr(head + 2, '(') && head[2] != 'L' ? ")" : "",
	     PICK(line_ends));
}

static void tell(struct world *w)
{
	if (w->pop3)
		return;
	if (chance(40))
		tell_literal(w);
	else if (chance(97))
		putf(&w->server, "%s", PICK(untagged));
	else if (chance(50))
		putf(&w->server, "* OK %01200d {5}\r\n", 0);
	else
		putf(&w->server, "+ out of turn {4}\r\n");
}

static void answer_imap(struct world *w, struct made_command *c)
{
	static const char *const words[] = { "OK", "OK", "NO", "BAD", "ok", "OK [X {3}]" };

	putf(&w->server, "%s %s done {5}%s", c->tag, PICK(words), PICK(line_ends));
	forget(w, c);
}

/* In the middle of a command. What needs no asking its client sends all the same. */
static void answer_early(struct world *w, struct made_command *c)
{
	struct made_command rest = *c;

	answer_imap(w, c);
	for (; rest.at < rest.parts && !rest.part[rest.at].waits; rest.at++)
		put(&w->client, rest.part[rest.at].bytes, rest.part[rest.at].n);
}

static void answer_pop3(struct world *w, struct made_command *c)
{
	struct slice line = { c->part[0].bytes, strcspn(c->part[0].bytes, "\r\n") };

	if (chance(20)) {
		putf(&w->server, "-ERR [SYS/TEMP] no.\r\n");
	} else if (ref_pop3_multiline(line)) {
		putf(&w->server, "+OK follows%s", PICK(line_ends));
		for (unsigned i = roll(5); i; i--)
			putf(&w->server, "%s%s",
			     chance(30)	  ? "..dot"
			     : chance(30) ? ""
					  : "1 +OK",
			     PICK(line_ends));
		putf(&w->server, ".%s", PICK(line_ends));
	} else {
		putf(&w->server, "+OK%s", PICK(line_ends));
	}
	forget(w, c);
}

/* The server answers one of the commands it has, or asks for more of the last one. */
static void serve(struct world *w)
{
	struct made_command *c = NULL;
	size_t i;

	for (i = 0; i < w->count; i++) {
		c = &w->open[i];
		if (c->ends && c->ends <= w->proxy.taken && (w->pop3 || chance(60)))
			break;
	}
	if (i == w->count)
		return;
	if (c->silent) { /* the proxy's: nothing of it has come here */
		if (c->at == c->parts || !c->part[c->at].waits)
			say_more(w);
		if (c->at == c->parts || c->part[c->at].waits)
			forget(w, c);
	} else if (c->at == c->parts) {
		w->pop3 ? answer_pop3(w, c) : answer_imap(w, c);
	} else if (c->part[c->at].waits && chance(80)) {
		size_t asked = 0;

		for (size_t j = 0; j <= c->at; j++)
			asked += c->part[j].waits;
		if (c->asked == asked)
			return; /* it has been asked */
		putf(&w->server, "+%s", chance(80) ? " go {3}\r\n" : "\r\n");
		c->asked = asked;
		c->plus = w->server.n;
	} else if (c->part[c->at].waits && c->asked == 0) {
		answer_imap(w, c);
	} else if (!c->part[c->at].waits) {
		answer_early(w, c);
	}
}

static void make_up(struct world *w, uint64_t seed, bool pop3)
{
	dice = seed * 0x9e3779b97f4a7c15u + 1;
	*w = (struct world){ .pop3 = pop3, .proxy.is_pop3 = pop3 };
	while (w->talk.n < TALK_BYTES && w->client.n < WAITING / 2 &&
	       w->server.n < WAITING / 2) {
		switch (roll(8)) {
		case 0:
			say(w);
			break;
		case 1:
			serve(w);
			break;
		case 2:
			if (chance(25))
				tell(w);
			break;
		default:
			give(w);
		}
	}
}

static void test_made_up_imap(void **state)
{
	static struct world w;

	for (uint64_t seed = 1; seed <= MADE_UP; seed++) {
		make_up(&w, seed, false);
		compare(&w.talk, false);
	}
	(void)state;
}

static void test_made_up_pop3(void **state)
{
	static struct world w;

	for (uint64_t seed = 1; seed <= MADE_UP; seed++) {
		make_up(&w, seed, true);
		compare(&w.talk, true);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_made_up_imap),
		cmocka_unit_test(test_made_up_pop3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
