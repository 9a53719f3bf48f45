/* What an older program left behind opens, and means the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <unistd.h>

#include "sync/journal.h"
#include "tests/unit/journal_1.h"

static char *folder, *path;

static int make_folder(void **state UNUSED)
{
	folder = mem_str("/tmp/mailferry-journal-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	path = mem_printf("%s/anna.journal", folder);
	return 0;
}

static int remove_folder(void **state UNUSED)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };

	for (size_t i = 0; i < COUNT(ends); i++) {
		char *name = mem_printf("%s%s", path, ends[i]);

		unlink(name);
		free(name);
	}
	rmdir(folder);
	free(folder);
	free(path);
	return 0;
}

static struct journal *opened(void)
{
	struct journal *j;
	struct err e = { 0 };

	if (journal_open(&j, path, &e) < 0)
		fail_msg("%s", e.text);
	return j;
}

static void by_hand(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* As the first program left one. */
static const char first_schema[] = JOURNAL_1
	"INSERT INTO folder(id, old_name, new_name) VALUES(7, 'INBOX', 'INBOX');"
	"INSERT INTO msg(id, folder, old_uid, new_uid, state, size, date, flags, kept, raw_sha,"
	" canon_sha, header_sha) VALUES(3, 7, 1, 2, 1, 5, 0, '\\Seen', '\\Seen', zeroblob(32),"
	" x'ff', zeroblob(32));"
	"PRAGMA user_version = 1;";

static void the_first_schema_opens(void **state UNUSED)
{
	static const unsigned char zero[DIGEST_SIZE];
	struct flag_pool *pool = flag_pool_new();
	struct journal_folder *f;
	struct journal_msg *m;
	struct journal *j;
	struct digest d;
	struct err e = { 0 };
	size_t n;

	by_hand(first_schema);
	j = opened();
	assert_int_equal(journal_folders(j, &f, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(journal_msgs(j, f, SIDE_OLD, pool, &m, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(m->uid[SIDE_NEW], 2);
	assert_string_equal(m->kept, "\\Seen");
	assert_int_equal(journal_digest(j, m->id, &d, &e), 0);
	assert_memory_equal(d.canon, zero, DIGEST_SIZE);
	free(m);
	n = 1;
	journal_folders_free(&f, &n);
	journal_close(&j);
	flag_pool_free(&pool);
}

static void a_later_schema_is_left_alone(void **state UNUSED)
{
	struct journal *j = opened();
	struct err e = { 0 };

	journal_close(&j);
	by_hand("PRAGMA user_version = 1000");
	assert_int_equal(journal_open(&j, path, &e), -1);
	assert_int_equal(e.kind, ERR_STORE);
	assert_non_null(strstr(e.text, "schema 1000"));
}

/* settled meant both sides then. */
static void what_was_settled_of_both_sides_is_looked_at_again(void **state UNUSED)
{
	const char *const names[SIDES] = { "INBOX", "INBOX" };
	struct journal_folder *f, settled = { .settled = 3 };
	struct journal *j = opened();
	struct err e = { 0 };
	size_t n;

	assert_int_equal(journal_folder_add(j, names, &settled.id, &e), 0);
	assert_int_equal(journal_folder_write(j, &settled, &e), 0);
	journal_close(&j);
	by_hand("DROP TABLE lost; PRAGMA user_version = 11");
	j = opened();
	assert_int_equal(journal_folders(j, &f, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(f[0].settled, 0);
	journal_folders_free(&f, &n);
	journal_close(&j);
}

/* ---- messages */

static struct journal_folder inbox(struct journal *j)
{
	static const char *const names[SIDES] = { "INBOX", "INBOX" };
	struct journal_folder f = { .state = { { .uidvalidity = 5 }, { .uidvalidity = 6 } } };
	struct err e = { 0 };

	assert_int_equal(journal_folder_add(j, names, &f.id, &e), 0);
	return f;
}

static struct digest some_digest(unsigned char c)
{
	struct digest d;

	memset(d.raw, c, DIGEST_SIZE);
	memset(d.canon, c + 1, DIGEST_SIZE);
	memset(d.header, c + 2, DIGEST_SIZE);
	return d;
}

static struct journal_msg add(struct journal *j, const struct journal_folder *f, uint32_t uid,
			      bool hashed)
{
	struct journal_msg m = { .uid = { uid, 0 },
				 .size = 100,
				 .date = 7,
				 .flags = "\\Seen",
				 .kept = "\\Seen",
				 .verified = { true, false } };
	struct digest d = some_digest((unsigned char)uid);
	struct err e = { 0 };

	assert_int_equal(journal_msg_write(j, f, &m, hashed ? &d : NULL, NULL, &e), 0);
	assert_true(m.hashed == hashed);
	return m;
}

static void narrow_writes_leave_the_rest(void **state UNUSED)
{
	struct flag_pool *pool = flag_pool_new();
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	struct journal_msg m = add(j, &f, 10, true), *now;
	struct err e = { 0 };
	size_t n;

	m.uid[SIDE_NEW] = 1000;
	m.state = MSG_DONE;
	m.verified[SIDE_NEW] = true;
	m.flags = "something else";
	assert_int_equal(journal_msg_placed(j, &m, SIDE_NEW, &e), 0);
	assert_int_equal(journal_msgs(j, &f, SIDE_OLD, pool, &now, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(now->uid[SIDE_OLD], 10);
	assert_int_equal(now->uid[SIDE_NEW], 1000);
	assert_int_equal(now->state, MSG_DONE);
	assert_true(now->hashed && now->verified[SIDE_OLD] && !now->verified[SIDE_NEW]);
	assert_string_equal(now->flags, "\\Seen");
	free(now);
	assert_int_equal(journal_msg_verified(j, &f, &m, &e), 0);
	assert_int_equal(journal_msgs(j, &f, SIDE_OLD, pool, &now, &n, &e), 0);
	assert_true(now->verified[SIDE_OLD] && now->verified[SIDE_NEW]);
	assert_int_equal(now->uid[SIDE_NEW], 1000);
	assert_string_equal(now->flags, "\\Seen");
	free(now);
	journal_close(&j);
	flag_pool_free(&pool);
}

static void check_digest(const struct digest *d, unsigned char c)
{
	struct digest want = some_digest(c);

	assert_memory_equal(d->raw, want.raw, DIGEST_SIZE);
	assert_memory_equal(d->canon, want.canon, DIGEST_SIZE);
	assert_memory_equal(d->header, want.header, DIGEST_SIZE);
}

/* Inside a transaction of the caller's and without one. */
static void digests_come_together(void **state UNUSED)
{
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	struct err e = { 0 };
	struct digest got[2];
	int64_t ids[2] = { add(j, &f, 20, true).id, add(j, &f, 10, true).id };
	int64_t bare = add(j, &f, 30, false).id;

	for (int inside = 0; inside < 2; inside++) {
		if (inside)
			assert_int_equal(journal_begin(j, &e), 0);
		assert_int_equal(journal_digests(j, ids, 2, got, &e), 0);
		check_digest(&got[0], 20);
		check_digest(&got[1], 10);
		assert_int_equal(journal_digests(j, &bare, 1, got, &e), -1);
		assert_int_equal(e.kind, ERR_STORE);
		if (inside)
			assert_int_equal(journal_commit(j, &e), 0);
	}
	journal_close(&j);
}

static void contents_are_known(void **state UNUSED)
{
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	int64_t id = add(j, &f, 10, true).id;
	struct digest d = some_digest(10), other = some_digest(50);
	struct err e = { 0 };
	bool known;

	for (int round = 0; round < 2; round++) { /* made at the first time, there after it */
		assert_int_equal(journal_knows(j, f.id, d.canon, 0, &known, &e), 0);
		assert_true(known);
		assert_int_equal(journal_knows(j, f.id, d.canon, id, &known, &e), 0);
		assert_false(known);
		assert_int_equal(journal_knows(j, f.id + 1, d.canon, 0, &known, &e), 0);
		assert_false(known);
		assert_int_equal(journal_knows(j, f.id, other.canon, 0, &known, &e), 0);
		assert_false(known);
		journal_close(&j);
		j = opened();
	}
	journal_close(&j);
}

static void uids_between_are_of_every_state(void **state UNUSED)
{
	static const struct {
		uint32_t lo, hi;
		size_t first, count; /* of uids */
	} cases[] = { { 1, 9, 0, 0 },	{ 10, 10, 0, 1 },  { 11, 29, 1, 1 },
		      { 20, 30, 1, 2 }, { 31, 400, 0, 0 }, { 1, UINT32_MAX, 0, 3 } };
	static const uint32_t uids[] = { 10, 20, 30 };
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	struct journal_msg gone = add(j, &f, 20, false);
	struct err e = { 0 };
	uint32_t *got;
	size_t n;

	add(j, &f, 30, false);
	add(j, &f, 10, false);
	gone.state = MSG_GONE;
	assert_int_equal(journal_msg_write(j, &f, &gone, NULL, NULL, &e), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(journal_uids_between(j, f.id, SIDE_OLD, cases[i].lo,
						      cases[i].hi, &got, &n, &e),
				 0);
		assert_int_equal(n, cases[i].count);
		if (n)
			assert_memory_equal(got, uids + cases[i].first, n * sizeof *got);
		free(got);
	}
	journal_close(&j);
}

static void marks_are_every_nth_uid(void **state UNUSED)
{
	static const uint32_t uids[] = { 5, 10, 4000000000, 7, 9 }, third[] = { 9 };
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	struct err e = { 0 };
	uint32_t *got;
	size_t n;

	for (size_t i = 0; i < COUNT(uids); i++)
		add(j, &f, uids[i], false);
	assert_int_equal(journal_uid_marks(j, f.id, SIDE_OLD, 3, &got, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_memory_equal(got, third, sizeof third);
	free(got);
	assert_int_equal(journal_uid_marks(j, f.id, SIDE_OLD, 6, &got, &n, &e), 0);
	assert_int_equal(n, 0);
	free(got);
	assert_int_equal(journal_uid_marks(j, f.id, SIDE_NEW, 1, &got, &n, &e), 0);
	assert_int_equal(n, 0);
	free(got);
	journal_close(&j);
}

/* Pages of those that a side has no UID of; one by its id; and all of them, after the flip. */
static void rows_without_a_uid(void **state UNUSED)
{
	struct flag_pool *pool = flag_pool_new();
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	struct journal_msg m[3], *rows = NULL, one;
	struct journal_counts c;
	struct err e = { 0 };
	bool found;
	size_t n = 0;

	for (uint32_t i = 0; i < 3; i++)
		m[i] = add(j, &f, 10 + i, false);
	assert_int_equal(journal_msgs_without(j, &f, SIDE_NEW, 0, 2, pool, &rows, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(rows[1].id, m[1].id);
	assert_int_equal(journal_msgs_without(j, &f, SIDE_NEW, m[1].id, 2, pool, &rows, &n, &e),
			 0);
	assert_int_equal(n, 3);
	assert_int_equal(rows[2].id, m[2].id);
	assert_int_equal(journal_msg_of(j, &f, m[2].id, pool, &one, &found, &e), 0);
	assert_true(found && one.uid[SIDE_OLD] == 12);
	assert_int_equal(journal_msg_of(j, &f, 99, pool, &one, &found, &e), 0);
	assert_false(found);
	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_lose_uids(j, f.id, SIDE_OLD, true, &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	assert_int_equal(journal_msg_of(j, &f, m[0].id, pool, &one, &found, &e), 0);
	assert_true(found && one.uid[SIDE_OLD] == 0);
	assert_int_equal(journal_count(j, &f, &c, &e), 0);
	assert_int_equal(c.without[SIDE_OLD], 3);
	assert_int_equal(c.without[SIDE_NEW], 3);
	free(rows);
	journal_close(&j);
	flag_pool_free(&pool);
}

static int count_open_from(struct journal *j, int64_t id, uint32_t *uidnext)
{
	struct journal_batch *at;
	struct err e = { 0 };
	size_t n;

	assert_int_equal(journal_batches(j, id, &at, &n, &e), 0);
	*uidnext = n ? at[0].uidnext : 0;
	free(at);
	return (int)n;
}

/* After the flip: old's UIDs say nothing any more, and then new's. */
static void what_is_in_doubt_stays_so_when_uids_are_lost(void **state UNUSED)
{
	static const enum msg_state states[] = { MSG_INTENT, MSG_DONE, MSG_EXCEPTION,
						 MSG_EXCEPTION };
	static const enum msg_state then[] = { MSG_INTENT, MSG_GONE, MSG_STATES, MSG_GONE };
	struct flag_pool *pool = flag_pool_new();
	struct journal *j = opened();
	struct journal_folder f = inbox(j);
	struct journal_batch b = { .folder = f.id, .side = SIDE_NEW, .uidnext = 900 };
	struct journal_msg m[COUNT(states)], one;
	struct err e = { 0 };
	uint32_t uidnext;
	bool found;

	assert_int_equal(journal_batch_open(j, &b, &e), 0);
	for (uint32_t i = 0; i < COUNT(states); i++) {
		m[i] = add(j, &f, 10 + i, false);
		m[i].state = states[i];
		m[i].uid[SIDE_NEW] = i % 2 ? 20 + i : 0;
		assert_int_equal(journal_msg_write(j, &f, &m[i], NULL, "as it was", &e), 0);
	}
	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_lose_uids(j, f.id, SIDE_OLD, true, &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	for (size_t i = 0; i < COUNT(states); i++) {
		char reason[JOURNAL_REASON_MAX];

		assert_int_equal(journal_msg_of(j, &f, m[i].id, pool, &one, &found, &e), 0);
		assert_int_equal(found ? one.state : MSG_STATES, then[i]);
		if (!found)
			continue;
		assert_int_equal(one.uid[SIDE_OLD], 0);
		assert_int_equal(journal_reason(j, one.id, reason, &e), 0);
		assert_string_equal(reason, i ? "UIDVALIDITY changed" : "as it was");
	}
	assert_int_equal(count_open_from(j, f.id, &uidnext), 1);
	assert_int_equal(uidnext, 900);
	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_lose_uids(j, f.id, SIDE_NEW, false, &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	assert_int_equal(count_open_from(j, f.id, &uidnext), 1);
	assert_int_equal(uidnext, 1);
	journal_close(&j);
	flag_pool_free(&pool);
}

#define MADE(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MADE(the_first_schema_opens),
		MADE(a_later_schema_is_left_alone),
		MADE(what_was_settled_of_both_sides_is_looked_at_again),
		MADE(narrow_writes_leave_the_rest),
		MADE(digests_come_together),
		MADE(contents_are_known),
		MADE(uids_between_are_of_every_state),
		MADE(marks_are_every_nth_uid),
		MADE(rows_without_a_uid),
		MADE(what_is_in_doubt_stays_so_when_uids_are_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
