/* What people read and wish in a journal. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "sync/journal_exception.h"
#include "tests/unit/journal_1.h"
#include "tests/unit/wire_test.h"

static char dir[64], path[128];

static int setup(void **state UNUSED)
{
	snprintf(dir, sizeof dir, "/tmp/mailferry-journal.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/anna.journal", dir);
	return 0;
}

static int teardown(void **state UNUSED)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };

	for (size_t i = 0; i < COUNT(ends); i++) {
		char *name = mem_printf("%s%s", path, ends[i]);

		unlink(name);
		mem_free(&name);
	}
	return rmdir(dir);
}

static void do_sql(const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	sqlite3_close(db);
}

static struct journal *open_it(void)
{
	struct journal *j = NULL;
	struct err e = { 0 };

	if (journal_open(&j, path, &e) < 0)
		fail_msg("%s", e.text);
	return j;
}

/* As the first program left one. */
static const char first[] =
	JOURNAL_1
	"INSERT INTO folder(id, old_name, new_name, settled) VALUES(1, 'INBOX', 'INBOX', 1);"
	"INSERT INTO msg(id, folder, old_uid, new_uid, state, size, date, flags, kept, reason)"
	" VALUES(1, 1, 7, 3, 1, 100, 5, '', '', ''), (2, 1, 8, NULL, 2, 200, 6, '', '', 'bad');"
	"PRAGMA user_version = 1;";

static int count(const struct journal_exception *x, void *arg)
{
	struct journal_exception *last = arg;

	last->size += x->size;
	last->uid[SIDE_OLD] = x->uid[SIDE_OLD];
	last->retry = x->retry;
	last->waived = x->waived;
	last->kind = x->kind;
	last->msg++;
	return 0;
}

static struct journal_exception listed(struct journal *j)
{
	struct journal_exception all = { 0 };
	struct err e = { 0 };

	assert_int_equal(journal_exceptions_each(j, 0, count, &all, &e), 0);
	return all;
}

static struct journal_totals totals(struct journal *j)
{
	struct journal_totals t = { 0 };
	struct err e = { 0 };

	assert_int_equal(journal_totals(j, SIDE_NEW, &t, &e), 0);
	return t;
}

/* Its exceptions had no more than a reason: they are tried again. */
static void the_first_schema_is_led_on(void **state UNUSED)
{
	struct journal_exception all;
	struct journal *j;

	do_sql(first);
	j = open_it();
	all = listed(j);
	assert_int_equal(all.msg, 1);
	assert_int_equal(all.uid[SIDE_OLD], 8);
	assert_true(all.retry);
	assert_int_equal(totals(j).messages, 1);
	assert_int_equal(totals(j).exceptions, 1);
	journal_close(&j);
	j = open_it(); /* and a second time there is nothing to lead on */
	assert_int_equal(totals(j).exceptions, 1);
	journal_close(&j);
}

static void make_exception(struct journal *j, enum exception_kind kind, const char *server)
{
	struct journal_exception x = { .kind = kind, .server = server };
	struct err e = { 0 };

	assert_int_equal(journal_exception_write(j, 2, &x, &e), 0);
}

static void the_desk_waives_beside_a_worker(void **state UNUSED)
{
	const struct exception_choice one = { .folder = "INBOX", .uid = 8 }, all = { 0 },
				      other = { .folder = "INBOX", .uid = 9 },
				      policy = { .kind = EXCEPTION_POLICY, .has_kind = true };
	struct journal *worker, *desk = NULL;
	struct err e = { 0 };
	int n;

	assert_int_equal(journal_open_desk(&desk, path, &e), 0); /* no journal yet */
	assert_null(desk);
	do_sql(first);
	worker = open_it();
	make_exception(worker, EXCEPTION_SIZE, "here");
	assert_int_equal(journal_open_desk(&desk, path, &e), 1);
	assert_int_equal(journal_waive(desk, &other, true, "x", &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(journal_waive(desk, &policy, true, "x", &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(journal_waive(desk, &one, true, "x", &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(totals(worker).exceptions, 0);
	assert_true(listed(worker).waived);

	/* waived ones are left alone, and the same trouble stays waived; another one does not
	 */
	assert_int_equal(journal_retry(desk, &n, &e), 0);
	assert_int_equal(n, 0);
	make_exception(worker, EXCEPTION_SIZE, "here");
	assert_true(listed(worker).waived);
	make_exception(worker, EXCEPTION_CONTENT, "here");
	assert_false(listed(worker).waived);
	assert_int_equal(journal_waive(desk, &all, false, "", &n, &e), 0);
	assert_int_equal(n, 0);

	/* a worker in the middle of a transaction: a wish does not wait long */
	assert_int_equal(journal_begin(worker, &e), 0);
	make_exception(worker, EXCEPTION_CONTENT, "here");
	assert_int_equal(journal_waive(desk, &all, true, "x", &n, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_int_equal(journal_commit(worker, &e), 0);
	journal_close(&desk);
	journal_close(&worker);
}

/* case 34: who said no, and with which limits, is remembered. */
static void another_server_is_asked_again(void **state UNUSED)
{
	struct journal_folder *f;
	struct journal *j;
	struct err e = { 0 };
	size_t n;

	do_sql(first);
	j = open_it();
	make_exception(j, EXCEPTION_SIZE, "limit 1");
	assert_int_equal(journal_exceptions_wake(j, "limit 1", &e), 0);
	assert_false(listed(j).retry);
	assert_int_equal(journal_exceptions_wake(j, "limit 2", &e), 0);
	assert_true(listed(j).retry);
	assert_int_equal(journal_folders(j, &f, &n, &e), 0);
	assert_false(f[0].settled);
	journal_folders_free(&f, &n);
	journal_close(&j);
}

static int take_repair(const struct journal_repair *r, void *arg)
{
	assert_string_equal(r->receipt, "1 NUL");
	assert_int_equal(r->before.raw[0], 1);
	assert_int_equal(r->after.raw[0], 2);
	assert_int_equal(r->before.size, ((uint64_t)1 << 32) + 1);
	++*(int *)arg;
	return 0;
}

/* Rows about a message go with it; a repaired one is known by the bytes that old had. */
static void rows_end_with_their_message(void **state UNUSED)
{
	struct journal_repair r = { .receipt = "1 NUL",
				    .refusal = "NO",
				    .before.size = ((uint64_t)1 << 32) + 1,
				    .before.raw[0] = 1,
				    .after.raw[0] = 2 };
	struct journal_specials s;
	struct err e = { 0 };
	struct journal *j;
	int64_t id = 0;
	int n = 0;

	do_sql(first);
	j = open_it();
	assert_int_equal(journal_repair_write(j, 1, &r, &e), 0);
	assert_int_equal(journal_difference(j, 1, "date: a instead of b", &e), 0);
	assert_int_equal(journal_repairs_each(j, take_repair, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(journal_gone(j, r.before.raw, &id, &e), 0);
	assert_int_equal(id, 0);
	journal_close(&j);
	do_sql("UPDATE msg SET state = 3 WHERE id = 1");
	j = open_it();
	assert_int_equal(journal_gone(j, r.before.raw, &id, &e), 0);
	assert_int_equal(id, 1);
	assert_int_equal(journal_msg_drop(j, 1, &e), 0);
	assert_int_equal(journal_msg_drop(j, 2, &e), 0);
	assert_int_equal(journal_specials(j, &s, &e), 0);
	assert_int_equal(s.differences, 0);
	assert_int_equal(listed(j).msg, 0);
	journal_close(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_schema_is_led_on, setup, teardown),
		cmocka_unit_test_setup_teardown(the_desk_waives_beside_a_worker, setup,
						teardown),
		cmocka_unit_test_setup_teardown(another_server_is_asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_end_with_their_message, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
