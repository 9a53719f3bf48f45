/* Bodies in and out: byte for byte, in any order of answers, and never a message too much. */
#include "tests/unit/script.h"

#include "sync/sender.h"
#include "sync/uid_code.h"

#define SELECTED \
	C("m2 EXAMINE \"a\"\r\n"), S("* 4 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\nm2 OK x\r\n")
#define FETCH_OF(set) C("m3 UID FETCH " set " (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n")
#define DATE	      "\"01-Jan-2001 00:00:00 +0000\""

static struct mailbox *selected(struct script *s, const struct step *steps)
{
	struct mailbox *m = script_login(s, steps);
	struct selected out;
	struct err e = { 0 };

	if (mailbox_select(m, "a", true, &out, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static int gather(struct slice bytes, void *arg, struct err *e UNUSED)
{
	buf_add(arg, bytes.p, bytes.n);
	return 0;
}

static void assert_body(const struct batch *b, size_t i, struct slice want)
{
	struct buf got = { 0 };
	struct err e;

	assert_int_equal(b->at[i].fetched, FETCH_OK);
	assert_int_equal(batch_read(b, &b->at[i], gather, &got, &e), 0);
	assert_int_equal(buf_len(&got), want.n);
	assert_memory_equal(buf_slice(&got).p, want.p, want.n);
	buf_release(&got);
}

/* ---- in */

static const struct step fetch_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	FETCH_OF("1:5,7:10"),
	S("* 3 FETCH (UID 3 FLAGS (\\Seen b) INTERNALDATE " DATE " BODY[] {6}\r\n\0\n\r{9})\r\n"
	  "* 1 FETCH (BODY[] {0}\r\n FLAGS () UID 1 INTERNALDATE " DATE ")\r\n"
	  "* 9 FETCH (UID 99 FLAGS () INTERNALDATE " DATE " BODY[] {3}\r\nxyz)\r\n"
	  "* 2 FETCH (UID 2 FLAGS () INTERNALDATE " DATE " BODY[] NIL)\r\n"
	  "* 4 FETCH (UID 4 FLAGS () INTERNALDATE " DATE " BODY[] \"q\\\"x\")\r\n"
	  "* 4 FETCH (UID 4 FLAGS () INTERNALDATE " DATE " BODY[] {2}\r\nno)\r\n"
	  "* 5 FETCH (UID 5 FLAGS () INTERNALDATE " DATE " BODY[] {11}\r\n12345678901)\r\n"
	  "* 8 FETCH (UID 8 BODY[] {2}\r\nok)\r\n"
	  "* 7 FETCH (UID 7 FLAGS (\\Deleted))\r\n"
	  "* 6 FETCH (UID 9 FLAGS () INTERNALDATE " DATE " BODY[] {1}\r\na BODY[] {1}\r\nb)\r\n"
	  "m3 OK x\r\n"),
	LOGOUT("m4"),
	SCRIPT_END,
};

static void every_uid_has_its_result(void **state UNUSED)
{
	static const uint32_t uids[] = { 1, 2, 3, 4, 5, 7, 8, 9, 10 };
	static const enum fetch_result want[] = {
		FETCH_OK,   FETCH_UNREADABLE, FETCH_OK,		FETCH_OK,  FETCH_TOO_LARGE,
		FETCH_GONE, FETCH_UNREADABLE, FETCH_UNREADABLE, FETCH_GONE
	};
	struct script s;
	struct mailbox *m = selected(&s, fetch_steps);
	struct batch b;
	struct err e = { 0 };

	if (pipeline_fetch(m, uids, COUNT(uids), 10, &b, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < COUNT(uids); i++)
		if (b.at[i].fetched != want[i])
			fail_msg("UID %u: %d", b.at[i].uid, b.at[i].fetched);
	assert_body(&b, 0, SLICE(""));
	assert_body(&b, 2, SLICE("\0\n\r{9}"));
	assert_body(&b, 3, SLICE("q\"x"));
	assert_string_equal(b.at[2].flags, "\\Seen b");
	assert_string_equal(b.at[2].date, " 1-Jan-2001 00:00:00 +0000");
	assert_int_equal(b.at[2].date_s, 978307200);
	assert_int_equal(b.bytes, 9);
	batch_release(&b);
	script_leave(&s, &m);
}

static const struct step no_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	FETCH_OF("1:3"),
	S("* 1 FETCH (UID 1 FLAGS () INTERNALDATE " DATE
	  " BODY[] {1}\r\nx)\r\nm3 NO [SERVERBUG] bad block\r\n"),
	LOGOUT("m4"),
	SCRIPT_END,
};
static const struct step odd_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	FETCH_OF("1:3"),
	S("* 1 FETCH (UID 1 FLAGS () INTERNALDATE " DATE " BODY[] {1}\r\nx)\r\n"
	  "* 2 FETCH (UID 2 SAVEDATE NIL BODY[] {1}\r\ny)\r\nm3 OK x\r\n"),
	LOGOUT("m4"),
	SCRIPT_END,
};

/* A message is gone only if the server said OK and nothing odd: deletes on the other side hang
 * on it. */
static void doubt_is_not_gone(void **state UNUSED)
{
	static const uint32_t uids[] = { 1, 2, 3 };
	const struct step *const scripts[] = { no_steps, odd_steps };

	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct script s;
		struct mailbox *m = selected(&s, scripts[i]);
		struct batch b;
		struct err e;

		assert_int_equal(pipeline_fetch(m, uids, 3, 0, &b, &e), 0);
		assert_body(&b, 0, SLICE("x"));
		assert_int_equal(b.at[1].fetched, FETCH_UNREADABLE);
		assert_int_equal(b.at[2].fetched, FETCH_UNREADABLE);
		assert_int_equal(b.bytes, 1);
		batch_release(&b);
		script_leave(&s, &m);
	}
}

static const struct step cut_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	FETCH_OF("1:2"),
	S("* 1 FETCH (UID 1 FLAGS () INTERNALDATE " DATE " BODY[] {10}\r\nshort"),
	SCRIPT_END,
};

static void a_cut_body_is_an_error(void **state UNUSED)
{
	static const uint32_t uids[] = { 1, 2 };
	struct script s;
	struct mailbox *m = selected(&s, cut_steps);
	struct batch b;
	struct err e;

	assert_int_equal(pipeline_fetch(m, uids, 2, 0, &b, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_false(mailbox_is_usable(m));
	batch_release(&b);
	script_leave(&s, &m);
}

/* ---- out */

/* Fetches n small messages with UIDs 1…n; message i is "body i". */
static void make_batch(struct batch *b, size_t n, size_t size)
{
	static const struct step head[] = { LOGIN_WITH("X"), SELECTED };
	struct buf set = { 0 }, answer = { 0 };
	uint32_t uids[64];
	struct step steps[COUNT(head) + 3] = { 0 };
	struct script s;
	struct mailbox *m;
	struct err e;

	buf_printf(&set, n > 1 ? "m3 UID FETCH 1:%zu%s\r\n" : "m3 UID FETCH %zu%s\r\n", n,
		   " (UID FLAGS INTERNALDATE BODY.PEEK[])");
	for (size_t i = 0; i < n; i++) {
		uids[i] = (uint32_t)i + 1;
		buf_printf(&answer,
			   "* 1 FETCH (UID %u FLAGS (\\Seen) INTERNALDATE " DATE
			   " BODY[] {%zu}\r\n",
			   uids[i], size);
		for (size_t k = 0; k < size; k++)
			buf_add(&answer, &"\0\r\n"[i % 3], 1);
		buf_add_str(&answer, ")\r\n");
	}
	buf_add_str(&answer, "m3 OK x\r\n");
	memcpy(steps, head, sizeof head);
	steps[COUNT(head)] = (struct step){ CLIENT, buf_slice(&set) };
	steps[COUNT(head) + 1] = (struct step){ SERVER, buf_slice(&answer) };
	m = selected(&s, steps);
	assert_int_equal(pipeline_fetch(m, uids, n, 0, b, &e), 0);
	mailbox_close(&m);
	pthread_join(s.thread, NULL);
	buf_release(&set);
	buf_release(&answer);
}

#define SENT_DATE "\" 1-Jan-2001 00:00:00 +0000\""
#define APPEND_OF(tag, literal, body) \
	C(tag " APPEND \"x\" (\\Seen) " SENT_DATE " " literal "\r\n"), C(body "\r\n")

static const struct step plus_steps[] = {
	LOGIN_WITH("LITERAL+ UIDPLUS"),
	APPEND_OF("m2", "{2+}", "\0\0"),
	APPEND_OF("m3", "{2+}", "\r\r"),
	APPEND_OF("m4", "{2+}", "\n\n"),
	APPEND_OF("m5", "{2+}", "\0\0"),
	S("* 3 EXISTS\r\nm4 NO [OVERQUOTA] full\r\nm2 OK [APPENDUID 7 41] x\r\nm5 BAD what\r\n"
	  "m3 OK no uid\r\n"),
	LOGOUT("m6"),
	SCRIPT_END,
};

/* All four are sent before the first answer; answers come in any order. */
static void appends_are_pipelined(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e = { 0 };

	make_batch(&b, 5, 2);
	b.at[4].skip = true;
	m = script_login(&s, plus_steps);
	if (pipeline_append(m, "x", &b, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(b.at[0].appended, APPEND_OK);
	assert_int_equal(b.at[0].new_uidvalidity, 7);
	assert_int_equal(b.at[0].new_uid, 41);
	assert_int_equal(b.at[1].appended, APPEND_OK);
	assert_int_equal(b.at[1].new_uid, 0);
	assert_int_equal(b.at[2].appended, APPEND_TEMPORARY);
	assert_non_null(strstr(b.at[2].text, "OVERQUOTA"));
	assert_int_equal(b.at[3].appended, APPEND_REFUSED);
	assert_int_equal(b.at[4].appended, APPEND_NOT_SENT);
	batch_release(&b);
	script_leave(&s, &m);
}

static const struct step sync_steps[] = {
	LOGIN_WITH("X"),
	C("m2 APPEND \"x\" (\\Seen) " SENT_DATE " {2}\r\n"),
	S("+ go\r\n"),
	C("\0\0\r\nm3 APPEND \"x\" (\\Seen) " SENT_DATE " {2}\r\n"),
	S("m2 OK x\r\nm3 NO [TOOBIG] no\r\n"),
	C("m4 APPEND \"x\" (\\Seen) " SENT_DATE " {2}\r\n"),
	S("+\r\n"),
	C("\n\n\r\n"),
	S("m4 OK [APPENDUID 7 9] x\r\n"),
	LOGOUT("m5"),
	SCRIPT_END,
};

/* No literal is pushed on a server that cannot take one; a refusal comes instead of "+". */
static void plain_servers_are_asked_first(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e = { 0 };

	make_batch(&b, 3, 2);
	m = script_login(&s, sync_steps);
	if (pipeline_append(m, "x", &b, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(b.at[0].appended, APPEND_OK);
	assert_int_equal(b.at[1].appended, APPEND_REFUSED);
	assert_int_equal(b.at[2].appended, APPEND_OK);
	assert_int_equal(b.at[2].new_uid, 9);
	batch_release(&b);
	script_leave(&s, &m);
}

static const struct step limit_steps[] = {
	LOGIN_WITH("LITERAL- APPENDLIMIT=4096"),
	C("m2 APPEND \"x\" (\\Seen) " SENT_DATE " {4096+}\r\n"), SCRIPT_END
};
static const struct step over_steps[] = {
	LOGIN_WITH("LITERAL- APPENDLIMIT=5000"),
	C("m2 APPEND \"x\" (\\Seen) " SENT_DATE " {4097}\r\n"), SCRIPT_END
};
static const struct step refuse_steps[] = { LOGIN_WITH("LITERAL+ APPENDLIMIT=10"), LOGOUT("m2"),
					    SCRIPT_END };

static void literals_keep_their_limits(void **state UNUSED)
{
	static const struct {
		const struct step *steps;
		size_t size;
		enum append_result want;
	} cases[] = { { limit_steps, 4096, APPEND_UNKNOWN },
		      { over_steps, 4097, APPEND_UNKNOWN },
		      { refuse_steps, 11, APPEND_REFUSED } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct script s;
		struct mailbox *m;
		struct batch b;
		struct err e;

		make_batch(&b, 1, cases[i].size);
		m = script_login(&s, cases[i].steps);
		assert_int_equal(pipeline_append(m, "x", &b, &e),
				 cases[i].want == APPEND_UNKNOWN ? -1 : 0);
		assert_int_equal(b.at[0].appended, cases[i].want);
		batch_release(&b);
		script_leave(&s, &m);
	}
}

static const struct step lost_steps[] = {
	LOGIN_WITH("X"),
	C("m2 APPEND \"x\" (\\Seen) " SENT_DATE " {2}\r\n"),
	S("+\r\n"),
	C("\0\0\r\nm3 APPEND \"x\" (\\Seen) " SENT_DATE " {2}\r\n"),
	S("m2 OK [APPENDUID 7 1] x\r\n"),
	SCRIPT_END,
};

/* After a break each message is known, perhaps there, or certainly not. */
static void a_break_leaves_three_kinds(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e;

	make_batch(&b, 3, 2);
	m = script_login(&s, lost_steps);
	assert_int_equal(pipeline_append(m, "x", &b, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_int_equal(b.at[0].appended, APPEND_OK);
	assert_int_equal(b.at[1].appended, APPEND_UNKNOWN);
	assert_int_equal(b.at[2].appended, APPEND_NOT_SENT);
	batch_release(&b);
	script_leave(&s, &m);
}

static const struct step nothing[] = { LOGIN_WITH("LITERAL+"), LOGOUT("m2"), SCRIPT_END };

static void what_cannot_be_sent_is_not_begun(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e;

	make_batch(&b, 2, 2);
	mem_free(&b.at[1].flags);
	b.at[1].flags = mem_str("\\Seen) \"x");
	m = script_login(&s, nothing);
	assert_int_equal(pipeline_append(m, "x", &b, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(b.at[0].appended, APPEND_NOT_SENT);
	assert_true(mailbox_is_usable(m));
	batch_release(&b);
	script_leave(&s, &m);
}

/* ---- many in one command */

#define ONE(body) " (\\Seen) " SENT_DATE " {2+}\r\n" body

static const struct step multi_steps[] = {
	LOGIN_WITH("LITERAL+ MULTIAPPEND"),
	C("m2 APPEND \"x\"" ONE("\0\0") ONE("\r\r") ONE("\n\n") "\r\n"),
	S("m2 NO [CANNOT] one of them is no message\r\n"),
	C("m3 APPEND \"x\"" ONE("\0\0") "\r\nm4 APPEND \"x\"" ONE("\r\r") ONE("\n\n") "\r\n"),
	S("m3 OK [APPENDUID 7 3] x\r\nm4 NO [CANNOT] one of them is no message\r\n"),
	C("m5 APPEND \"x\"" ONE("\r\r") "\r\nm6 APPEND \"x\"" ONE("\n\n") "\r\n"),
	S("m5 NO [CANNOT] this is no message\r\nm6 OK [APPENDUID 7 5] x\r\n"),
	LOGOUT("m7"),
	SCRIPT_END,
};

/* A refusal of many is one of all: it goes on in halves. */
static void one_bad_message_takes_no_other_with_it(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e = { 0 };

	make_batch(&b, 3, 2);
	m = script_login(&s, multi_steps);
	if (pipeline_append(m, "x", &b, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(b.at[0].appended, APPEND_OK);
	assert_int_equal(b.at[0].new_uid, 3);
	assert_int_equal(b.at[1].appended, APPEND_REFUSED);
	assert_non_null(strstr(b.at[1].text, "this is no message"));
	assert_int_equal(b.at[2].appended, APPEND_OK);
	assert_int_equal(b.at[2].new_uid, 5);
	assert_int_equal(b.pending, 0);
	batch_release(&b);
	script_leave(&s, &m);
}

static const struct step busy_steps[] = {
	LOGIN_WITH("LITERAL+ MULTIAPPEND"),
	C("m2 APPEND \"x\"" ONE("\0\0") ONE("\r\r") "\r\n"),
	S("m2 NO [INUSE] later\r\n"),
	LOGOUT("m3"),
	SCRIPT_END,
};

/* Who asks for time is not asked for each message. */
static void later_means_all_of_them(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e;

	make_batch(&b, 2, 2);
	m = script_login(&s, busy_steps);
	assert_int_equal(pipeline_append(m, "x", &b, &e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(b.at[i].appended, APPEND_TEMPORARY);
		assert_true(b.at[i].later.whom);
	}
	batch_release(&b);
	script_leave(&s, &m);
}

static const struct step cut_multi_steps[] = {
	LOGIN_WITH("LITERAL+ MULTIAPPEND"),
	C("m2 APPEND \"x\"" ONE("\0\0") ONE("\r")), /* in the middle of the second */
	SCRIPT_END,
};

static void a_cut_leaves_all_of_them_in_doubt(void **state UNUSED)
{
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e;

	make_batch(&b, 3, 2);
	m = script_login(&s, cut_multi_steps);
	assert_int_equal(pipeline_append(m, "x", &b, &e), -1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(b.at[i].appended, APPEND_UNKNOWN);
	batch_release(&b);
	script_leave(&s, &m);
}

static void uids_of_many_come_as_a_set(void **state UNUSED)
{
	static const struct {
		const char *code;
		size_t n;
		uint32_t want[4]; /* 0 first: not to be believed */
	} cases[] = {
		{ "APPENDUID 7 41", 1, { 41 } },
		{ "APPENDUID 7 41:43", 3, { 41, 42, 43 } },
		{ "appenduid 7 41,43:44,50", 4, { 41, 43, 44, 50 } },
		{ "APPENDUID 7 4294967294:4294967295", 2, { 4294967294u, 4294967295u } },
		{ "APPENDUID 7 41", 2, { 0 } },
		{ "APPENDUID 7 41:43", 2, { 0 } },
		{ "APPENDUID 7 1:4294967295", 2, { 0 } },
		{ "APPENDUID 7 43:41", 3, { 0 } },
		{ "APPENDUID 7 41,41", 2, { 0 } },
		{ "APPENDUID 7 42,41", 2, { 0 } },
		{ "APPENDUID 7 0", 1, { 0 } },
		{ "APPENDUID 0 1", 1, { 0 } },
		{ "APPENDUID 7 41,", 1, { 0 } },
		{ "APPENDUID 7 41 ", 1, { 0 } },
		{ "APPENDUID 7 4294967296", 1, { 0 } },
		{ "APPENDUID 7", 1, { 0 } },
		{ "APPENDUIDS 7 1", 1, { 0 } },
		{ "", 1, { 0 } },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t uidvalidity, uids[4];
		bool got =
			appenduid_read(slice_of(cases[i].code), cases[i].n, &uidvalidity, uids);

		if (got != (cases[i].want[0] != 0))
			fail_msg("%s", cases[i].code);
		for (size_t k = 0; got && k < cases[i].n; k++)
			assert_int_equal(uids[k], cases[i].want[k]);
	}
}

/* ---- any number of messages, in batches as they come */

static const struct step flow_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	FETCH_OF("1:6"),
	S("* 1 FETCH (UID 1 FLAGS () INTERNALDATE " DATE " BODY[] {2}\r\nab)\r\n"
	  "* 2 FETCH (UID 2 FLAGS () INTERNALDATE " DATE " BODY[] \"q\")\r\n"
	  "* 3 FETCH (UID 3 FLAGS () INTERNALDATE " DATE " BODY[] {4}\r\ncdef)\r\n"
	  "* 3 FETCH (UID 3 FLAGS () INTERNALDATE " DATE " BODY[] {1}\r\nz)\r\n"
	  "* 9 FETCH (UID 9 FLAGS () INTERNALDATE " DATE " BODY[] {1}\r\nz)\r\n"
	  "* 6 FETCH (BODY[] {1}\r\ng UID 6 FLAGS () INTERNALDATE " DATE ")\r\n"
	  "* 5 FETCH (UID 5 FLAGS () INTERNALDATE " DATE " BODY[] {9}\r\nlarger!!!)\r\n"
	  "m3 OK x\r\n"),
	LOGOUT("m4"),
	SCRIPT_END,
};

static int note_batch(struct batch *b, void *arg, struct err *e UNUSED)
{
	struct buf *out = arg;

	for (size_t i = 0; i < b->count; i++) {
		buf_printf(out, "%u", b->at[i].uid);
		if (b->at[i].fetched == FETCH_OK) {
			struct buf body = { 0 };

			assert_int_equal(batch_read(b, &b->at[i], gather, &body, NULL), 0);
			buf_printf(out, "=%.*s", (int)buf_len(&body), buf_slice(&body).p);
			buf_release(&body);
		}
		buf_add_str(out, " ");
	}
	buf_add_str(out, "| ");
	return 0;
}

/* Two at a time, at most six bytes, eight in one message. */
static void batches_are_cut_as_they_fill(void **state UNUSED)
{
	static const uint32_t uids[] = { 1, 2, 3, 4, 5, 6 };
	static const struct flow_limits limits = { 2, 6, 8 };
	struct script s;
	struct mailbox *m = selected(&s, flow_steps);
	struct buf out = { 0 };
	struct err e = { 0 };

	if (pipeline_flow(m, uids, COUNT(uids), &limits, note_batch, &out, &e) < 0)
		fail_msg("%s", e.text);
	buf_add(&out, "", 1);
	assert_string_equal(buf_slice(&out).p, "1=ab 2=q | 3=cdef 6=g | 5 4 | ");
	buf_release(&out);
	script_leave(&s, &m);
}

/* ---- sizes: a batch that leaves memory, through a window that fills, onto a server that
 * stores it */

#define BIG  (200 * 1024)
#define MANY 27
#define FITS 20 /* of them into the window */

static void large_batches_go_through_a_file(void **state UNUSED)
{
	struct buf text = { 0 }, answers[2] = { 0 };
	struct step steps[8] = { LOGIN_WITH("LITERAL+") };
	struct script s;
	struct mailbox *m;
	struct batch b;
	struct err e = { 0 };
	size_t half;

	make_batch(&b, MANY, BIG);
	assert_true(b.bytes > BATCH_MEMORY_MAX);
	for (unsigned i = 0; i < MANY; i++) {
		buf_printf(&text, "m%u APPEND \"x\" (\\Seen) " SENT_DATE " {%d+}\r\n", i + 2,
			   BIG);
		for (size_t k = 0; k < BIG; k++)
			buf_add(&text, &"\0\r\n"[i % 3], 1);
		buf_add_str(&text, "\r\n");
		buf_printf(&answers[i >= FITS], "m%u OK x\r\n", i + 2);
	}
	/* The window holds twenty of them: the rest comes only after answers. */
	half = buf_len(&text) / MANY * FITS;
	steps[3] = (struct step){ CLIENT, { buf_slice(&text).p, half } };
	steps[4] = (struct step){ SERVER, buf_slice(&answers[0]) };
	steps[5] =
		(struct step){ CLIENT, { buf_slice(&text).p + half, buf_len(&text) - half } };
	steps[6] = (struct step){ SERVER, buf_slice(&answers[1]) };
	m = script_login(&s, steps);
	if (pipeline_append(m, "x", &b, &e) < 0)
		fail_msg("%s", e.text);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(b.at[i].appended, APPEND_OK);
	batch_release(&b);
	script_leave(&s, &m);
	buf_release(&text);
	buf_release(&answers[0]);
	buf_release(&answers[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_uid_has_its_result),
		cmocka_unit_test(doubt_is_not_gone),
		cmocka_unit_test(a_cut_body_is_an_error),
		cmocka_unit_test(appends_are_pipelined),
		cmocka_unit_test(plain_servers_are_asked_first),
		cmocka_unit_test(literals_keep_their_limits),
		cmocka_unit_test(a_break_leaves_three_kinds),
		cmocka_unit_test(what_cannot_be_sent_is_not_begun),
		cmocka_unit_test(one_bad_message_takes_no_other_with_it),
		cmocka_unit_test(later_means_all_of_them),
		cmocka_unit_test(a_cut_leaves_all_of_them_in_doubt),
		cmocka_unit_test(uids_of_many_come_as_a_set),
		cmocka_unit_test(batches_are_cut_as_they_fill),
		cmocka_unit_test(large_batches_go_through_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
