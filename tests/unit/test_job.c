/* The line between engine and worker: there and back, and everything that must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/job.h"

#define SIDE_JSON                                                                                                      \
	"{\"host\":\"mail.example\",\"port\":993,\"tls\":\"implicit\",\"proxy_protocol\":\"none\",\"login\":\"anna\"," \
	"\"password\":\"p\"}"
#define JOB_JSON                                                           \
	"{\"kind\":\"pass\",\"user\":\"anna\",\"journal\":\"/"             \
	"j\",\"from\":\"old\",\"fence_s\":1,"                              \
	"\"connect_s\":1,\"io_s\":1,\"message_max\":1,\"delete_brake\":0," \
	"\"delete_brake_percent\":5,\"old\":" SIDE_JSON ",\"new\":" SIDE_JSON "}"

static void fill_side(struct job_side *s, int port, const char *password)
{
	s->host = mem_str("mail.example");
	s->port = port;
	s->tls = TLS_STARTTLS;
	s->proxy_protocol = PROXY_V2;
	s->login = mem_str("anna*master");
	secret_set(&s->password, password, strlen(password));
}

static struct job sample(void)
{
	struct job j = { .kind = JOB_FINAL,
			 .from = SIDE_NEW,
			 .fence_s = 30,
			 .connect_s = 8,
			 .io_s = 60,
			 .connections = 3,
			 .message_max = 104857600,
			 .delete_brake = 50,
			 .delete_brake_percent = 5,
			 .uids = { UID_FLOOR, 1, 2, 3 } };

	j.user = mem_str("\303\244nna\"\\@example.com");
	j.journal = mem_str("/var/lib/mailferry/anna.journal");
	fill_side(&j.side[SIDE_OLD], 993, "with \"quotes\" and \\");
	fill_side(&j.side[SIDE_NEW], 143, "latin \344 and \303\244");
	j.side[SIDE_NEW].authzid = mem_str("anna");
	return j;
}

/* A server that speaks POP3 may be the one that counts, never the one that is written to. */
static void pop3_is_only_read(void **state UNUSED)
{
	static const struct {
		enum job_kind kind;
		enum side from, pop3;
		bool good;
	} rows[] = {
		{ JOB_PASS, SIDE_OLD, SIDE_OLD, true },
		{ JOB_PASS, SIDE_OLD, SIDE_NEW, false },
		{ JOB_FINAL, SIDE_NEW, SIDE_OLD, false },
		{ JOB_TRAILING, SIDE_OLD, SIDE_OLD, true },
		{ JOB_AUDIT, SIDE_NEW, SIDE_OLD, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct job in = sample(), out;
		struct buf line = { 0 };
		struct err e;

		in.kind = rows[i].kind;
		in.from = rows[i].from;
		in.side[rows[i].pop3].protocol = PROTO_POP3;
		job_write(&in, &line);
		assert_int_equal(job_parse(buf_slice(&line), &out, &e), rows[i].good ? 0 : -1);
		if (rows[i].good)
			assert_int_equal(out.side[rows[i].pop3].protocol, PROTO_POP3);
		else
			assert_string_equal(e.text, "job: mail cannot be written by POP3");
		buf_wipe(&line);
		job_release(&in);
		job_release(&out);
	}
}

static void comes_back_as_it_went(void **state UNUSED)
{
	struct job in = sample(), out;
	struct buf line = { 0 };
	struct err e;

	job_write(&in, &line);
	assert_int_equal(buf_slice(&line).p[buf_len(&line) - 1], '\n');
	assert_ptr_equal(memchr(buf_slice(&line).p, '\n', buf_len(&line)),
			 buf_slice(&line).p + buf_len(&line) - 1);
	assert_int_equal(job_parse(buf_slice(&line), &out, &e), 0);
	assert_int_equal(out.kind, JOB_FINAL);
	assert_int_equal(out.from, SIDE_NEW);
	assert_string_equal(out.user, in.user);
	assert_string_equal(out.journal, in.journal);
	assert_int_equal(out.message_max, in.message_max);
	assert_int_equal(out.connections, 3);
	assert_int_equal(out.delete_brake_percent, 5);
	assert_int_equal(out.uids.wish, UID_FLOOR);
	assert_int_equal(out.uids.gaps * 100 + out.uids.floor * 10 + out.uids.seconds, 123);
	for (int i = 0; i < SIDES; i++) {
		struct slice a = secret_slice(&in.side[i].password);
		struct slice b = secret_slice(&out.side[i].password);

		assert_int_equal(a.n, b.n);
		assert_memory_equal(a.p, b.p, a.n);
		assert_string_equal(out.side[i].login, "anna*master");
		assert_int_equal(out.side[i].tls, TLS_STARTTLS);
		assert_int_equal(out.side[i].proxy_protocol, PROXY_V2);
		assert_null(out.side[i].tls_name);
	}
	assert_null(out.side[SIDE_OLD].authzid);
	assert_string_equal(out.side[SIDE_NEW].authzid, "anna");
	buf_wipe(&line);
	job_release(&in);
	job_release(&out);
}

static struct job provision_sample(void)
{
	struct job j = { .kind = JOB_PROVISION, .connect_s = 1, .io_s = 1, .connections = 1,
			 .message_max = 1 };
	struct job_opensrs *o = &j.opensrs;

	j.user = mem_str("provision");
	*o = (struct job_opensrs){ .on = true, .fold_local = true, .dry_run = true, .count = 2 };
	o->access = (struct opensrs_access){ .by_token = true, .connect_s = 3, .answer_s = 4,
					     .parallel = 5 };
	o->access.url = mem_str("https://api.example/api");
	o->access.user = mem_str("admin@shop.adm");
	secret_set(&o->access.secret, "a\"b\\c", 5);
	secret_set(&o->token, "t0ken", 5);
	o->accounts = mem_str("/etc/accounts.csv");
	o->token_hours = 24;
	job_opensrs_make_room(o, 2);
	o->names[0] = mem_str("anna@example.com");
	o->names[1] = mem_str("bert@example.com");
	secret_set(&o->learned[1], "hunter2", 7);
	return j;
}

/* Without sides and journal. */
static void opensrs_comes_back(void **state UNUSED)
{
	struct job in = provision_sample(), out;
	const struct job_opensrs *o = &out.opensrs;
	struct buf line = { 0 };
	struct err e;

	job_write(&in, &line);
	assert_int_equal(job_parse(buf_slice(&line), &out, &e), 0);
	assert_int_equal(out.kind, JOB_PROVISION);
	assert_true(o->on && o->access.by_token && o->fold_local && o->dry_run && !o->create);
	assert_string_equal(o->access.url, "https://api.example/api");
	assert_true(slice_is(secret_slice(&o->access.secret), "a\"b\\c"));
	assert_true(slice_is(secret_slice(&o->token), "t0ken"));
	assert_int_equal(o->access.connect_s + o->access.answer_s + o->access.parallel, 12);
	assert_null(o->access.ca_file);
	assert_null(o->default_domain);
	assert_string_equal(o->accounts, "/etc/accounts.csv");
	assert_int_equal(o->token_hours, 24);
	assert_int_equal(o->count, 2);
	assert_string_equal(o->names[1], "bert@example.com");
	assert_false(secret_is_set(&o->learned[0]));
	assert_true(slice_is(secret_slice(&o->learned[1]), "hunter2"));
	job_release(&out);
	buf_wipe(&line);
	in.opensrs.access.parallel = 1000;
	job_write(&in, &line);
	assert_int_equal(job_parse(buf_slice(&line), &out, &e), -1);
	buf_wipe(&line);
	job_release(&in);
}

/* Replaces `what` by `with` in a good job, which must then be refused. */
static void refuse(const char *what, const char *with)
{
	const char *at = strstr(JOB_JSON, what);
	struct buf line = { 0 };
	struct err e = { 0 };
	struct job j;

	assert_non_null(at);
	buf_add(&line, JOB_JSON, (size_t)(at - JOB_JSON));
	buf_add_str(&line, with);
	buf_add_str(&line, at + strlen(what));
	if (job_parse(buf_slice(&line), &j, &e) == 0)
		fail_msg("accepted: %s", with);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(j.user);
	buf_release(&line);
}

static void refuses_what_is_wrong(void **state UNUSED)
{
	struct job j;
	struct err e;

	assert_int_equal(job_parse(SLICE(JOB_JSON), &j, &e), 0);
	job_release(&j);
	refuse("\"pass\"", "\"copy\"");
	refuse("\"pass\"", "7");
	refuse("\"anna\"", "\"\"");
	refuse("\"anna\"", "\"an\\r\\nna\"");
	refuse("\"anna\"", "\"an\\u0000na\"");
	refuse("\"anna\"", "\"an\344na\"");
	refuse("993", "0");
	refuse("993", "65536");
	refuse("993", "\"993\"");
	refuse("\"implicit\"", "\"ssl3\"");
	refuse("\"message_max\":1,", "");
	refuse("\"message_max\":1,", "\"message_max\":1,\"extra\":1,");
	refuse("\"message_max\":1,", "\"message_max\":1,\"message_max\":1,");
	refuse("\"message_max\":1,", "\"message_max\":-1,");
	refuse("\"password\":\"p\"", "\"password\":null");
	refuse("\"password\":\"p\"", "\"password\":\"p\",\"password_hex\":\"70\"");
	refuse("\"password\":\"p\"", "\"password_hex\":\"7\"");
	refuse("\"password\":\"p\"", "\"password_hex\":\"7g\"");
	refuse("\"password\":\"p\"", "\"password_hex\":\"7000\"");
	refuse("\"old\":{", "\"old\":{\"shoe\":1,");
	refuse("}}", "}");
	refuse(JOB_JSON, "[]");
	refuse(JOB_JSON, "");
}

static void an_error_quotes_no_password(void **state UNUSED)
{
	struct job j;
	struct err e;

	assert_int_equal(job_parse(SLICE("{\"password\":\"canary-1\" \"canary-2\""), &j, &e),
			 -1);
	assert_null(strstr(e.text, "canary"));
}

static void a_line_has_a_limit(void **state UNUSED)
{
	size_t n = JOB_LINE_MAX + 1;
	char *p = mem_new(n);
	struct job_event ev;
	struct err e;

	memset(p, ' ', n);
	assert_int_equal(job_event_parse((struct slice){ p, n }, &ev, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	mem_free(&p);
}

static struct job_event there_and_back(const struct job_event *in)
{
	struct job_event out;
	struct buf line = { 0 };
	struct err e;

	job_event_write(in, &line);
	if (job_event_parse(buf_slice(&line), &out, &e) < 0)
		fail_msg("%s", e.text);
	buf_release(&line);
	return out;
}

static void events_come_back(void **state UNUSED)
{
	struct job_event ev = { .kind = JOB_EVENT_WAITING }, out;
	char part[] = "a\"b\\ old~1\nc d\n";
	char numbers[] = "17 4\n4294967295 1\n";

	assert_int_equal(there_and_back(&ev).kind, JOB_EVENT_WAITING);

	ev = (struct job_event){
		.kind = JOB_EVENT_PROGRESS, .done = 3, .total = 9, .bytes = 1
	};
	snprintf(ev.folder, sizeof ev.folder, "Entw\303\274rfe \377 \"x\"");
	out = there_and_back(&ev);
	assert_string_equal(out.folder, "Entw\303\274rfe ? \"x\"");
	assert_int_equal(out.total, 9);

	ev = (struct job_event){
		.kind = JOB_EVENT_RESULT,
		.result = { .ok = true, .clean = true, .copied = 5, .took_ms = 77 }
	};
	out = there_and_back(&ev);
	assert_true(out.result.ok && out.result.clean);
	assert_int_equal(out.result.copied, 5);
	assert_int_equal(out.result.took_ms, 77);

	ev = (struct job_event){ .kind = JOB_EVENT_UIDL_PART, .body = part };
	out = there_and_back(&ev);
	assert_string_equal(out.body, part);
	mem_free(&out.body);
	ev = (struct job_event){ .kind = JOB_EVENT_UIDL,
				 .uidl = { .complete = true, .entries = 2, .missing = 1 } };
	snprintf(ev.uidl.why, sizeof ev.uidl.why, "\"one\" is missing");
	out = there_and_back(&ev);
	assert_true(out.uidl.complete && out.uidl.entries == 2 && out.uidl.missing == 1);
	assert_string_equal(out.uidl.why, "\"one\" is missing");

	ev = (struct job_event){ .kind = JOB_EVENT_TOKEN, .until = 1795979288000 };
	secret_set(&ev.token, "t\"0", 3);
	out = there_and_back(&ev);
	assert_true(slice_is(secret_slice(&out.token), "t\"0") && out.until == ev.until);
	job_event_release(&out);
	job_event_release(&ev);
	ev = (struct job_event){ .kind = JOB_EVENT_ACCOUNT, .item = json_pack("{s:i}", "line", 3) };
	out = there_and_back(&ev);
	assert_true(json_equal(out.item, ev.item));
	job_event_release(&out);
	job_event_release(&ev);
	ev = (struct job_event){ .kind = JOB_EVENT_VALIDITY, .body = numbers };
	out = there_and_back(&ev);
	assert_string_equal(out.body, numbers);
	mem_free(&out.body);

	ev = (struct job_event){ .kind = JOB_EVENT_RESULT, .result = { .kind = ERR_AUTH } };
	snprintf(ev.result.text, sizeof ev.result.text, "old: refused\nnow");
	out = there_and_back(&ev);
	assert_false(out.result.ok);
	assert_int_equal(out.result.kind, ERR_AUTH);
	assert_string_equal(out.result.text, "old: refused\nnow");
	assert_int_equal(out.result.later.whom, LATER_NOBODY);

	ev.result.later = (struct later){ LATER_HOST, SIDE_NEW, 299961, true };
	out = there_and_back(&ev);
	assert_int_equal(out.result.later.whom, LATER_HOST);
	assert_int_equal(out.result.later.side, SIDE_NEW);
	assert_int_equal(out.result.later.wait_ms, 299961);
	assert_true(out.result.later.fewer);
}

static void bad_events_are_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"{}",
		"{\"event\":\"other\"}",
		"{\"event\":\"waiting\",\"more\":1}",
		"{\"event\":\"uidl_part\",\"body\":\"a b\"}",
		"{\"event\":\"uidl_part\",\"body\":\"\"}",
		"{\"event\":\"uidl_part\",\"body\":7}",
		"{\"event\":\"token\",\"token\":7,\"until\":1}",
		"{\"event\":\"token\",\"token\":\"x\",\"until\":-1}",
		"{\"event\":\"account\",\"item\":[]}",
		"{\"event\":\"validity\",\"body\":7}",
		"{\"event\":\"validity\",\"body\":\"1 2\"}",
		"{\"event\":\"validity\",\"body\":\"1 2\\n3\\n\"}",
		"{\"event\":\"validity\",\"body\":\"1 4294967296\\n\"}",
		"{\"event\":\"validity\",\"body\":\"1 2\\u0000\\n\"}",
		"{\"event\":\"uidl\",\"complete\":true,\"entries\":-1,\"missing\":0,\"why\":\"\"}",
		"{\"event\":\"uidl\",\"complete\":1,\"entries\":1,\"missing\":0,\"why\":\"\"}",
		"{\"event\":\"result\",\"ok\":true,\"text\":\"\"}",
		"{\"event\":\"result\",\"ok\":false,\"kind\":\"none\",\"text\":\"\"}",
		"{\"event\":\"result\",\"ok\":false,\"kind\":\"full\",\"text\":\"\",\"later\":"
		"{\"whom\":\"host\",\"side\":\"old\",\"wait_ms\":-1,\"fewer\":true}}",
		"{\"event\":\"result\",\"ok\":false,\"kind\":\"full\",\"text\":\"\",\"later\":7}",
		"{\"event\":\"progress\",\"folder\":\"x\",\"done\":-1,\"total\":0,\"messages\":"
		"0,"
		"\"bytes\":0}",
	};
	struct job_event ev;
	struct err e;

	for (size_t i = 0; i < COUNT(bad); i++)
		if (job_event_parse(slice_of(bad[i]), &ev, &e) == 0)
			fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_went),
		cmocka_unit_test(opensrs_comes_back),
		cmocka_unit_test(pop3_is_only_read),
		cmocka_unit_test(refuses_what_is_wrong),
		cmocka_unit_test(an_error_quotes_no_password),
		cmocka_unit_test(a_line_has_a_limit),
		cmocka_unit_test(events_come_back),
		cmocka_unit_test(bad_events_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
