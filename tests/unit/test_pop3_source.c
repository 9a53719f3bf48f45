/* POP3 sessions against a server that plays a script, and which message is which. */
#include "tests/unit/script.h"

#include "sync/pop3_match.h"
#include "sync/pop3_source.h"
#include "sync/received.h"

#define CAPA_OF(words) C("CAPA\r\n"), S("+OK\r\n" words ".\r\n")
#define PLAIN_LOGIN                                                    \
	S("+OK hello\r\n"), CAPA_OF("SASL PLAIN\r\nPIPELINING\r\n"),   \
		C("AUTH PLAIN AGFubmEAc2VjcmV0\r\n"), S("+OK in\r\n"), \
		CAPA_OF("UIDL\r\nTOP\r\nPIPELINING\r\n")

static struct pop3_session *opened(struct script *s, const struct step *steps,
				   const struct job_side *side)
{
	struct pop3_session *p = NULL;
	struct err e = { 0 };

	if (pop3_session_open_on(script_start(s, steps), side, &p, &e) < 0)
		fail_msg("%s", e.text);
	return p;
}

/* ---- login */

static const struct step user_steps[] = {
	S("+OK hello\r\n"), C("CAPA\r\n"),	  S("-ERR what\r\n"), C("USER anna\r\n"),
	S("+OK\r\n"),	    C("PASS secret\r\n"), S("+OK in\r\n"),    C("CAPA\r\n"),
	S("-ERR what\r\n"), C("QUIT\r\n"),	  S("+OK bye\r\n"),   SCRIPT_END,
};
static const struct step plain_steps[] = { PLAIN_LOGIN, C("QUIT\r\n"), S("+OK bye\r\n"),
					   SCRIPT_END };

static void ways_to_log_in(void **state UNUSED)
{
	const struct step *const scripts[] = { user_steps, plain_steps };

	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct job_side side = anna();
		struct script s;
		struct pop3_session *p = opened(&s, scripts[i], &side);
		struct err e = { 0 };

		if (pop3_session_login(p, &e) < 0)
			fail_msg("%s", e.text);
		pop3_session_close(&p, true);
		script_end(&s);
	}
}

static void no_line_end_gets_into_a_command(void **state UNUSED)
{
	static const struct step steps[] = { S("+OK hello\r\n"), CAPA_OF("USER\r\n"),
					     SCRIPT_END };
	struct job_side side = anna();
	struct script s;
	struct pop3_session *p = opened(&s, steps, &side);
	struct err e = { 0 };

	side.password = (struct secret){ (char *)"a\r\nDELE 1", 9 };
	assert_int_equal(pop3_session_login(p, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	pop3_session_close(&p, false);
	script_end(&s);
}

static void refusals_of_a_login(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum err_kind kind;
	} rows[] = {
		{ "-ERR [IN-USE] locked\r\n", ERR_TEMP },
		{ "-ERR [in-use]\r\n", ERR_TEMP },
		{ "-ERR [SYS/TEMP] oh\r\n", ERR_TEMP },
		{ "-ERR [LOGIN-DELAY] too soon\r\n", ERR_TEMP },
		{ "-ERR anna lock busy!  Is another session active? (11)\r\n", ERR_TEMP },
		{ "-ERR Unable to lock maildrop\r\n", ERR_TEMP },
		{ "-ERR Maximum number of connections from user+IP exceeded\r\n", ERR_TEMP },
		{ "-ERR [AUTH] account locked\r\n", ERR_AUTH },
		{ "-ERR Authentication failed.\r\n", ERR_AUTH },
		{ "-ERR\r\n", ERR_AUTH },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step steps[] = { S("+OK hello\r\n"),
					      CAPA_OF("SASL PLAIN\r\n"),
					      C("AUTH PLAIN AGFubmEAc2VjcmV0\r\n"),
					      { SERVER, slice_of(rows[i].line) },
					      SCRIPT_END };
		struct job_side side = anna();
		struct script s;
		struct pop3_session *p = opened(&s, steps, &side);
		struct err e = { 0 };

		assert_int_equal(pop3_session_login(p, &e), -1);
		if (e.kind != rows[i].kind ||
		    (e.later.whom != LATER_NOBODY) != (e.kind == ERR_TEMP))
			fail_msg("%s: %s", rows[i].line, err_kind_name(e.kind));
		pop3_session_close(&p, false);
		script_end(&s);
	}
}

/* ---- listings and messages, in pieces of every size */

#define FIRST	  "Subject: a\r\n\r\n\0b\rc\nd\r\n..\r\n"
#define FIRST_RAW "Subject: a\r\n\r\n\0b\rc\nd\r\n.\r\n"
static const char server_bytes[] =
	"+OK hello\r\n-ERR no capa\r\n"
	"+OK 3 99\r\n+OK\r\n1 99 more\r\n2 7\r\n5 0\r\n.\r\n+OK\r\n1 x\r\n2 y~!\r\n5 x\r\n.\r\n"
	"+OK 99 octets\r\n" FIRST ".\r\n-ERR gone\r\n+OK\r\n.\r\n";

struct taken {
	struct buf got;
	int ends, refusals;
};

static int take_bytes(size_t i UNUSED, struct slice bytes, void *arg, struct err *e UNUSED)
{
	buf_add(&((struct taken *)arg)->got, bytes.p, bytes.n);
	return 0;
}

static int take_end(size_t i UNUSED, void *arg, struct err *e UNUSED)
{
	((struct taken *)arg)->ends++;
	return 0;
}

static int take_refusal(size_t i, const char *text, void *arg, struct err *e UNUSED)
{
	assert_int_equal(i, 1);
	assert_string_equal(text, "the server says -ERR gone");
	((struct taken *)arg)->refusals++;
	return 0;
}

/* Sends the server's bytes so many at a time. */
struct dripping {
	int fd;
	size_t step, count;
};

static void *drip(void *arg)
{
	struct dripping *d = arg;

	for (size_t at = 0; at < d->count; at += d->step)
		if (send(d->fd, server_bytes + at, MIN(d->step, d->count - at), MSG_NOSIGNAL) <
		    0)
			break;
	shutdown(d->fd, SHUT_WR);
	return NULL;
}

/* How far it came: 4 is to the end. */
static int converse(struct transport *t, struct taken *got)
{
	const struct pop3_sink sink = { NULL, take_bytes, take_end, take_refusal, got };
	const struct pop3_wanted wanted[] = { { 1, 99 }, { 2, 7 }, { 5, 0 } };
	struct job_side side = anna();
	struct pop3_session *p;
	struct pop3_entries l;
	struct err e = { 0 };
	int stage = 0;

	if (pop3_session_open_on(t, &side, &p, &e) < 0)
		return stage;
	stage++;
	if (pop3_session_list(p, &l, &e) == 0) {
		stage++;
		assert_int_equal(l.count, 3);
		assert_int_equal(l.unclear, 0);
		assert_int_equal(l.at[0].size, 99);
		assert_int_equal(l.at[2].number, 5);
		assert_slice(buf_slice(&l.at[1].uidl), "y~!");
		pop3_entries_release(&l);
		stage += pop3_session_retr(p, wanted, 3, &sink, &e) == 0 ? 2 : 0;
	}
	/* An end in the middle is an error that says so, and may pass. */
	assert_true(stage == 4 || e.kind == ERR_TEMP);
	pop3_session_close(&p, false);
	return stage;
}

static void a_session_in_pieces(void **state UNUSED)
{
	const size_t whole = sizeof server_bytes - 1;

	for (size_t step = 1; step <= whole; step += step < 8 ? 1 : 29) {
		struct dripping d = { .step = step, .count = whole };
		struct taken got = { 0 };
		pthread_t thread;
		int fd[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
		d.fd = fd[1];
		assert_int_equal(pthread_create(&thread, NULL, drip, &d), 0);
		assert_int_equal(converse(transport_of_fd(fd[0], 10000), &got), 4);
		pthread_join(thread, NULL);
		close(fd[1]);
		assert_int_equal(got.ends, 2);
		assert_int_equal(got.refusals, 1);
		assert_int_equal(buf_len(&got.got), sizeof FIRST_RAW - 1);
		assert_memory_equal(buf_slice(&got.got).p, FIRST_RAW, sizeof FIRST_RAW - 1);
		buf_release(&got.got);
	}
}

/* case 15: wherever the stream ends, the session does, without an end of a message that had
 * none */
static void an_end_after_every_byte(void **state UNUSED)
{
	int best = 0;

	for (size_t n = 0; n < sizeof server_bytes; n++) {
		struct taken got = { 0 };
		int stage =
			converse(transport_of_bytes((struct slice){ server_bytes, n }), &got);

		assert_true(stage >= best);
		assert_true(stage == 4 || got.ends < 2);
		best = stage;
		buf_release(&got.got);
	}
	assert_int_equal(best, 4);
}

static void listings_that_make_no_sense(void **state UNUSED)
{
	static const char bytes[] =
		"+OK\r\n-ERR\r\n+OK 4 1\r\n+OK\r\n1 5\r\n1 6\r\nx\r\n2 5x\r\n3 5\r\n.\r\n"
		"+OK\r\n1 a\r\n1 b\r\n9 c\r\n3\r\n.\r\n";
	struct job_side side = anna();
	struct pop3_session *p;
	struct pop3_entries l;
	struct err e = { 0 };

	assert_int_equal(
		pop3_session_open_on(transport_of_bytes(slice_of(bytes)), &side, &p, &e), 0);
	assert_int_equal(pop3_session_list(p, &l, &e), 0);
	assert_int_equal(l.count, 2);
	assert_slice(buf_slice(&l.at[0].uidl), "a");
	assert_int_equal(buf_len(&l.at[1].uidl), 0);
	assert_int_equal(l.unclear, 3 + 1 + 3);
	pop3_entries_release(&l);
	pop3_session_close(&p, false);
}

/* ---- which is which */

#define KNOWN(u, id, octets, digest)                                            \
	{                                                                       \
		.uid = u, .uidl = (char *)(id), .size = octets, .hashed = true, \
		.raw = { digest }                                               \
	}
#define HERE(n, id, octets)                             \
	{                                               \
		.number = n, .uidl = id, .size = octets \
	}

static void ids_decide(void **state UNUSED)
{
	const struct pop3_known known[] = { KNOWN(1, "a", 5, 1), KNOWN(2, "b", 5, 2),
					    KNOWN(3, "a", 5, 1), KNOWN(4, "c", 9, 3) };
	struct pop3_here here[] = { HERE(1, "c", 7), HERE(2, "a", 5), HERE(3, "n", 6),
				    HERE(4, "a", 5) };
	static const int want[] = { 3, 0, -1, 2 };

	pop3_match_uidls(known, COUNT(known), here, COUNT(here));
	for (size_t i = 0; i < COUNT(here); i++) {
		assert_int_equal(here[i].known, want[i]);
		assert_false(here[i].ask);
	}
	assert_int_equal(here[1].ordinal, 0);
	assert_int_equal(here[3].ordinal, 1);
}

static void bytes_decide_where_ids_do_not(void **state UNUSED)
{
	const struct pop3_known known[] = { KNOWN(1, "h", 5, 1), KNOWN(2, "h", 5, 2),
					    KNOWN(3, "old", 8, 3), KNOWN(4, "t", 4, 4),
					    KNOWN(5, "t", 4, 4) };
	struct pop3_here here[] = { HERE(1, "new", 8), HERE(2, "h", 5), HERE(3, "x", 8),
				    HERE(4, "t", 4),   HERE(5, "i", 5), HERE(6, "y", 1) };
	static const unsigned char three[DIGEST_SIZE] = { 3 }, two[DIGEST_SIZE] = { 2 },
				   four[DIGEST_SIZE] = { 4 };
	const unsigned char *const digests[] = { three, two, NULL, four, four };
	static const int want[] = { 2, 1, -1, 3, 4, -1 };

	pop3_match_uidls(known, COUNT(known), here, COUNT(here));
	for (size_t i = 0; i < COUNT(here); i++) {
		assert_int_equal(here[i].known, -1);
		assert_int_equal(here[i].ask, i < 5);
	}
	pop3_match_bytes(known, COUNT(known), here, COUNT(here), digests);
	for (size_t i = 0; i < COUNT(here); i++)
		assert_int_equal(here[i].known, want[i]);
}

static void without_ids_all_are_read(void **state UNUSED)
{
	const struct pop3_known known[] = { KNOWN(1, "", 5, 1), KNOWN(2, "", 5, 1) };
	struct pop3_here here[] = { HERE(1, "", 70), HERE(2, "", 5), HERE(3, "", 5) };
	static const unsigned char one[DIGEST_SIZE] = { 1 };
	const unsigned char *const digests[] = { one, one, one };

	pop3_match_uidls(known, COUNT(known), here, COUNT(here));
	assert_true(here[0].ask && here[1].ask && here[2].ask);
	pop3_match_bytes(known, COUNT(known), here, COUNT(here), digests);
	assert_int_equal(here[0].known, 0);
	assert_int_equal(here[1].known, 1);
	assert_int_equal(here[2].known, -1);
	pop3_match_uidls(NULL, 0, here, COUNT(here));
	assert_false(here[0].ask);
}

/* ---- dates */

static void dates_of_headers(void **state UNUSED)
{
	static const struct {
		const char *header;
		int64_t want;
	} rows[] = {
		{ "Date: Fri, 1 Jan 2010 00:00:00 GMT\r\n\r\n", 1262304000 },
		{ "X: y\nDATE: 1 Jan 2010 00:00 +0000\n\n", 1262304000 },
		{ "Received: x;\r\n\tFri, 1 Jan 2010 01:00:00 +0100\r\nDate: Sat, 2 Jan 2010 "
		  "00:00:00 GMT\r\n\r\n",
		  1262304000 },
		{ "Date: Fri, 1 Jan 2010 00:00:00 GMT\r\nReceived: x; Sat, 2 Jan 2010 00:00:00 "
		  "GMT\r\n\r\n",
		  1262390400 },
		{ "Received: no date\r\nReceived: a; b; 1 Jan 2010 00:00:00 GMT\r\n\r\n",
		  1262304000 },
		{ "Received: x; 1 Jan 2030 00:00:00 GMT\r\nDate: 1 Jan 2010 00:00:00 GMT\r\n\r\n",
		  1262304000 },
		{ "Subject: x\r\n\r\nDate: Fri, 1 Jan 2010 00:00:00 GMT\r\n", 0 },
		{ "Date: 32 Foo 2010\r\n\r\n", 0 },
		{ "Date: Thu, 1 Jan 1960 00:00:00 GMT\r\n\r\n", 0 },
		{ "Date:", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *p = exact(slice_of(rows[i].header));
		struct slice header = { p, strlen(rows[i].header) };
		int64_t got = received_date(header, 1700000000);

		if (got != rows[i].want)
			fail_msg("%s: %lld", rows[i].header, (long long)got);
		free(p);
	}
}

static void a_date_as_append_takes_it(void **state UNUSED)
{
	char text[RECEIVED_TEXT_MAX];

	received_text(1262304000, text);
	assert_string_equal(text, " 1-Jan-2010 00:00:00 +0000");
	received_text(0, text);
	assert_string_equal(text, " 1-Jan-1970 00:00:00 +0000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_to_log_in),
		cmocka_unit_test(no_line_end_gets_into_a_command),
		cmocka_unit_test(refusals_of_a_login),
		cmocka_unit_test(a_session_in_pieces),
		cmocka_unit_test(an_end_after_every_byte),
		cmocka_unit_test(listings_that_make_no_sense),
		cmocka_unit_test(ids_decide),
		cmocka_unit_test(bytes_decide_where_ids_do_not),
		cmocka_unit_test(without_ids_all_are_read),
		cmocka_unit_test(dates_of_headers),
		cmocka_unit_test(a_date_as_append_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
