/* OpenSRS's own tool: what its figures mean, what a worker is told and tells, and whose address is ours. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sync/job_pull.h"
#include "sync/pull.h"
#include "sync/pull_others.h"
#include "sync/pull_status.h"

#define SHAPE                                                                                                       \
	"{\"success\":true,\"rate\":\"512.4 KiB/s\",\"users\":[{\"data\":{"                                         \
	"\"config\":{\"server\":\"old.test:993\",\"method\":\"imap4s\",\"username\":\"ann\"},"                      \
	"\"folders\":{\"INBOX\":{\"next_uid\":\"5\",\"bytes\":1200,\"migrate_count\":%s,\"fail_count\":%s,"         \
	"\"skip_count\":0,\"retry1count\":0,\"retry2count\":0,\"remote_count\":\"5\",\"delim\":\".\"},"            \
	"\"Trash\":{\"next_uid\":\"1\",%s\"remote_count\":\"1\",\"delim\":\".\"}}%s}},"                             \
	"{\"data\":{\"config\":{\"username\":\"bert\"},\"folders\":{}}}]}"

static json_t *parsed(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

static struct pull_status read_shape(const char *migrated, const char *failed, const char *trash, const char *status)
{
	char *text = mem_printf(SHAPE, migrated, failed, trash, status);
	json_t *j = parsed(text);
	struct pull_status s;

	pull_status_read(j, "ann", &s);
	json_decref(j);
	mem_free(&text);
	return s;
}

#define BEGUN	",\"status\":{\"foldercount\":2,\"critical_errors\":\"0\"}"
#define TRASHED "\"skip_count\":\"1\","
#define SUMS(folders, migrated) \
	",\"status\":{\"foldercount\":" folders ",\"migrate_count\":" migrated ",\"critical_errors\":\"0\"}"

static void the_known_shape(void **state UNUSED)
{
	struct pull_status s = read_shape("5", "0", TRASHED, BEGUN);

	assert_true(s.there && s.started);
	assert_int_equal(s.migrated, 5);
	assert_int_equal(s.skipped, 1);
	assert_int_equal(s.total, 6);
	assert_int_equal(s.bytes, 1200);
	assert_int_equal(s.critical, 0);
	assert_true(pull_status_whole(&s, NULL, NULL));
	assert_null(pull_status_at_work(&s, NULL));
	pull_status_release(&s);
}

static void when_it_is_over(void **state UNUSED)
{
	static const struct {
		const char *migrated, *failed, *trash, *status;
		bool skip, wanted, whole;
		const char *at_work;
	} rows[] = {
		{ "5", "0", "", BEGUN, false, false, false, "Trash" }, /* still to be visited */
		{ "5", "0", "", BEGUN, true, false, true, NULL },      /* or not wanted */
		{ "\"4\"", "1", TRASHED, BEGUN, false, false, true, NULL },
		{ "3", "0", TRASHED, BEGUN, false, false, false, "INBOX" },
		{ "5", "0", TRASHED, "", false, false, false, NULL }, /* not begun */
		{ "5", "0", TRASHED, BEGUN, false, true, false, NULL }, /* a folder does not show */
		{ "\"x\"", "-3", TRASHED, BEGUN, false, false, false, "INBOX" },
		{ "6", "0", TRASHED, BEGUN, false, false, false, "INBOX" }, /* more than there is */
		{ "5", "\"x\"", TRASHED, BEGUN, false, false, false, NULL },
		{ "5", "null", TRASHED, BEGUN, false, false, false, NULL },
		{ "5", "0", TRASHED, SUMS("2", "5"), false, false, true, NULL },
		{ "5", "0", TRASHED, SUMS("\"3\"", "5"), false, false, false, NULL }, /* one is missing */
		{ "5", "0", TRASHED, SUMS("2", "\"6\""), false, false, false, NULL },
		{ "5", "0", TRASHED, SUMS("2", "\"\""), false, false, false, NULL },
		{ "5", "0", TRASHED, ",\"status\":{\"critical_errors\":\"?\"}", false, false, false, NULL },
	};
	json_t *skip = parsed("[\"Trash\"]"), *wanted = parsed("[\"INBOX\",\"Sent\"]");

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pull_status s =
			read_shape(rows[i].migrated, rows[i].failed, rows[i].trash, rows[i].status);
		const json_t *left = rows[i].skip ? skip : NULL;
		const struct pull_folder *f = pull_status_at_work(&s, left);

		assert_int_equal(pull_status_whole(&s, rows[i].wanted ? wanted : NULL, left), rows[i].whole);
		assert_string_equal(f ? f->name : "none", rows[i].at_work ? rows[i].at_work : "none");
		pull_status_release(&s);
	}
	json_decref(skip);
	json_decref(wanted);
}

/* Cut off somewhere, it is no end. */
static void answers_that_were_cut(void **state UNUSED)
{
	static const struct {
		const char *answer;
		bool lists_all, there;
	} rows[] = {
		{ "{}", false, false },
		{ "{\"users\":[]}", false, false },
		{ "{\"users\":{}}", false, false },
		{ "{\"users\":[{}]}", false, false },
		{ "{\"users\":[{\"data\":{\"config\":{\"username\":\"bert\"}}}]}", true, false },
		{ "{\"users\":[{\"data\":{\"config\":{\"username\":\"ann\"}}},{\"data\":{}}]}", false, true },
		{ "{\"users\":[{\"data\":{\"config\":{\"username\":\"ann\"},\"status\":{},"
		  "\"folders\":{\"INBOX\":{}}}}]}",
		  true, true },
		{ "{\"users\":[{\"data\":{\"config\":{\"username\":\"ann\"},\"status\":{},"
		  "\"folders\":{\"INBOX\":{\"remote_count\":0},\"Sent\":null}}}]}",
		  true, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *j = parsed(rows[i].answer);
		struct pull_status s;

		assert_int_equal(pull_status_lists_all(j), rows[i].lists_all);
		pull_status_read(j, "ann", &s);
		assert_int_equal(s.there, rows[i].there);
		assert_false(pull_status_whole(&s, NULL, NULL));
		pull_status_release(&s);
		json_decref(j);
	}
}

static void figures_that_move(void **state UNUSED)
{
	struct pull_status a = read_shape("4", "0", "", BEGUN), b = read_shape("\"4\"", "0", "", BEGUN),
			   c = read_shape("5", "0", "", BEGUN), none;

	assert_true(pull_status_same(&a, &b));
	assert_false(pull_status_same(&a, &c));
	pull_status_read(NULL, "ann", &none);
	assert_false(none.there);
	assert_false(pull_status_same(&a, &none));
	pull_status_release(&a);
	pull_status_release(&b);
	pull_status_release(&c);
	pull_status_release(&none);
}

/* ---- the line */

static struct job_pull sample(void)
{
	struct job_pull p = { .on = true, .poll_s = 30, .again = true, .partial = true, .count = 1, .own_count = 1 };

	p.job = mem_str("mailferry-1");
	p.server = mem_str("old.example.net:993");
	p.method = mem_str("imap4s");
	p.own = mem_array(1, sizeof *p.own);
	p.own[0] = mem_str("0.0.0.0 993");
	p.users = mem_array(1, sizeof *p.users);
	p.users[0].user = mem_str("ann@ex.test");
	p.users[0].wave = mem_str("1");
	p.users[0].login[SIDE_OLD] = mem_str("ann");
	p.users[0].login[SIDE_NEW] = mem_str("ann@ex.test");
	secret_set(&p.users[0].password[SIDE_OLD], "p\"\303\244", 4);
	return p;
}

static void there_and_back(void **state UNUSED)
{
	struct job_pull p = sample(), back;
	struct buf line = { 0 };
	json_t *j;

	job_pull_write(&p, &line);
	j = json_loadb(buf_slice(&line).p, buf_len(&line), 0, NULL);
	assert_int_equal(job_pull_read(j, &back), 0);
	assert_string_equal(back.job, p.job);
	assert_string_equal(back.own[0], p.own[0]);
	assert_null(back.rules);
	assert_true(back.again && back.partial);
	assert_int_equal(back.count, 1);
	assert_string_equal(back.users[0].login[SIDE_OLD], "ann");
	assert_int_equal(back.users[0].password[SIDE_OLD].n, 4);
	assert_memory_equal(back.users[0].password[SIDE_OLD].at, "p\"\303\244", 4);
	assert_false(secret_is_set(&back.users[0].password[SIDE_NEW]));
	job_pull_release(&back);
	json_object_set_new(j, "users", json_array());
	assert_int_equal(job_pull_read(j, &back), -1);
	job_pull_release(&back);
	json_object_set_new(j, "poll_s", json_integer(0));
	assert_int_equal(job_pull_read(j, &back), -1);
	job_pull_release(&back);
	json_decref(j);
	job_pull_release(&p);
	buf_wipe(&line);
}

static void items(void **state UNUSED)
{
	struct pull_item i = { .user = "ann@ex.test",
			       .state = PULL_FAILED,
			       .migrated = 4,
			       .failed = 1,
			       .total = 5,
			       .folder = "",
			       .text = "it gave up",
			       .trace = "line\nline",
			       .folders = parsed("[[\"INBOX\",4,5,1]]") },
			 back;
	json_t *j = job_pull_item_json(&i);

	assert_int_equal(job_pull_item_read(j, &back), 0);
	assert_int_equal(back.state, PULL_FAILED);
	assert_int_equal(back.total, 5);
	assert_string_equal(back.trace, i.trace);
	json_object_set_new(j, "state", json_string("waiting"));
	assert_int_equal(job_pull_item_read(j, &back), 0);
	assert_int_equal(back.state, PULL_WAITING);
	json_object_set_new(j, "state", json_string("asleep"));
	assert_int_equal(job_pull_item_read(j, &back), -1);
	json_object_set_new(j, "state", json_string("done"));
	json_object_set_new(j, "total", json_integer(-1));
	assert_int_equal(job_pull_item_read(j, &back), -1);
	json_object_set_new(j, "total", json_integer(1));
	json_object_set_new(j, "folders", parsed("[[\"INBOX\",4,\"5\",1]]"));
	assert_int_equal(job_pull_item_read(j, &back), -1);
	json_decref(j);
	json_decref(i.folders);
}

/* ---- who is not followed */

#define OTHER                                                                                                       \
	"{\"users\":[{\"data\":{\"config\":{\"username\":\"ann\"}}},{\"data\":{\"config\":{\"username\":\"bert\"},"     \
	"\"status\":{\"critical_errors\":0},\"folders\":{\"INBOX\":{\"migrate_count\":%d,\"remote_count\":5}}}}]}"

static void look_at_other(struct pull_others *o, const struct job_pull *ours, int migrated)
{
	char *text = mem_printf(OTHER, migrated);
	json_t *j = parsed(text);

	pull_others_take(o, j, ours);
	json_decref(j);
	mem_free(&text);
}

/* Whom a person has let go, say: while the tool is at him it may come to others yet. */
static void others_of_the_job(void **state UNUSED)
{
	struct job_pull ours = sample();
	struct pull_others o = { 0 };
	json_t *only_ours = parsed("{\"users\":[{\"data\":{\"config\":{\"username\":\"ann\"}}}]}");

	pull_others_take(&o, only_ours, &ours);
	assert_true(pull_others_ended(&o)); /* there are none */
	for (int i = 0; i < 2 * PULL_MISSING_LOOKS; i++)
		look_at_other(&o, &ours, 4);
	assert_int_equal(o.count, 1);
	assert_false(pull_others_ended(&o)); /* it stands still */
	for (int i = 0; i < PULL_MISSING_LOOKS - 1; i++)
		look_at_other(&o, &ours, 5);
	assert_false(pull_others_ended(&o));
	pull_others_take(&o, only_ours, &ours); /* cut: nobody leaves a job */
	look_at_other(&o, &ours, 5);
	assert_false(pull_others_ended(&o));
	for (int i = 0; i < PULL_MISSING_LOOKS - 1; i++)
		look_at_other(&o, &ours, 5);
	assert_true(pull_others_ended(&o));
	json_decref(only_ours);
	pull_others_release(&o);
	job_pull_release(&ours);
}

/* ---- our own address */

static void whose_address(void **state UNUSED)
{
	static const struct {
		const char *server, *own;
		int rc;
	} rows[] = {
		{ "127.0.0.1:993", "0.0.0.0 993", -1 },	  { "127.0.0.1:993", ":: 993", -1 },
		{ "127.0.0.1:993", "127.0.0.1 993", -1 }, { "[::ffff:127.0.0.1]:993", "127.0.0.1 993", -1 },
		{ "127.0.0.1:994", "0.0.0.0 993", 0 },	  { "127.0.0.1:993", "127.0.0.2 993", 0 },
		{ "192.0.2.1:993", "0.0.0.0 993", 0 },	  { "nothing", "0.0.0.0 993", -1 },
		{ ":993", "0.0.0.0 993", -1 },
	};
	struct job_pull p = sample();
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		mem_free(&p.server);
		mem_free(&p.own[0]);
		p.server = mem_str(rows[i].server);
		p.own[0] = mem_str(rows[i].own);
		err_clear(&e);
		assert_int_equal(pull_check_address(&p, &e), rows[i].rc);
		if (rows[i].rc < 0)
			assert_int_equal(e.kind, ERR_INPUT);
	}
	job_pull_release(&p);
}

/* What is told of a user fits into a line to the engine, whatever the folders are called: of a
 * longer one the worker would be ended, and the batch go on for ever. */
static void an_item_fits_into_its_line(void **state UNUSED)
{
	static char name[JOB_PULL_FOLDER_MAX + 1], trace[JOB_PULL_TRACE_MAX + 1], text[ERR_TEXT_MAX];
	struct pull_folder at[JOB_PULL_FOLDERS];
	struct pull_status s = { .at = at, .count = COUNT(at) };
	struct pull_item i = { .user = "ann", .state = PULL_RUNNING, .folder = name, .text = text,
			       .trace = trace };
	json_t *item;

	memset(name, '\1', JOB_PULL_FOLDER_MAX);
	memset(trace, '"', JOB_PULL_TRACE_MAX);
	memset(text, '\1', sizeof text - 1);
	for (size_t k = 0; k < COUNT(at); k++)
		at[k] = (struct pull_folder){ .name = name, .total = 1 };
	i.folders = pull_status_json(&s);
	assert_true(json_array_size(i.folders) > 0);
	item = job_pull_item_json(&i);
	assert_true(json_dumpb(item, NULL, 0, JSON_COMPACT) < JOB_LINE_MAX - 100);
	json_decref(item);
	json_decref(i.folders);
}

/* Figures that no mailbox has, in as many folders as are looked at: their sum is none either. */
static void sums_stay_numbers(void **state UNUSED)
{
	json_t *folders = json_object(), *answer;
	struct pull_status s;
	char name[16];

	for (int i = 0; i < PULL_FOLDERS_MAX; i++) {
		snprintf(name, sizeof name, "f%d", i);
		json_object_set_new(folders, name,
				    json_pack("{s:I, s:I, s:I}", "migrate_count",
					      (json_int_t)1 << 50, "remote_count",
					      (json_int_t)1 << 50, "bytes", (json_int_t)1 << 50));
	}
	answer = json_pack("{s:[{s:{s:{s:s}, s:{}, s:o}}]}", "users", "data", "config",
			   "username", "ann", "status", "folders", folders);
	assert_non_null(answer);
	pull_status_read(answer, "ann", &s);
	assert_int_equal(s.count, PULL_FOLDERS_MAX);
	assert_true(s.there && !s.sound);
	assert_true(s.migrated >= 0 && s.total >= 0 && s.bytes >= 0);
	pull_status_release(&s);
	json_decref(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_known_shape), cmocka_unit_test(when_it_is_over),
		cmocka_unit_test(answers_that_were_cut), cmocka_unit_test(sums_stay_numbers),
		cmocka_unit_test(an_item_fits_into_its_line), cmocka_unit_test(figures_that_move), cmocka_unit_test(there_and_back),
		cmocka_unit_test(items),	   cmocka_unit_test(others_of_the_job), cmocka_unit_test(whose_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
