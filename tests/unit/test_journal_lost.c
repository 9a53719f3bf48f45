/* What is missed on a side: who gets a row back, and when it is missed no longer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <unistd.h>

#include "common/clock.h"
#include "sync/journal_lost.h"

#define DAY_MS (86400 * 1000LL)

static char *dir, *path;
static struct journal *j;
static struct journal_folder inbox;
static struct flag_pool *pool;

static int open_all(void **state UNUSED)
{
	static const char *const names[SIDES] = { "INBOX", "INBOX" };
	struct err e = { 0 };

	clock_test_freeze();
	dir = mem_str("/tmp/mailferry-lost-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	path = mem_printf("%s/anna.journal", dir);
	pool = flag_pool_new();
	inbox = (struct journal_folder){ 0 };
	return journal_open(&j, path, &e) < 0 ? -1
					      : journal_folder_add(j, names, &inbox.id, &e);
}

static int close_all(void **state UNUSED)
{
	static const char *const ends[] = { "", "-wal", "-shm", ".lock" };

	journal_close(&j);
	flag_pool_free(&pool);
	for (size_t i = 0; i < COUNT(ends); i++) {
		char *name = mem_printf("%s%s", path, ends[i]);

		unlink(name);
		mem_free(&name);
	}
	rmdir(dir);
	mem_free(&dir);
	mem_free(&path);
	return 0;
}

static struct digest digest_of(unsigned char c)
{
	struct digest d;

	memset(&d, c, sizeof d);
	return d;
}

static struct journal_msg add(unsigned char content, uint32_t old_uid, uint32_t new_uid,
			      enum msg_state state)
{
	struct journal_msg m = {
		.uid = { old_uid, new_uid }, .flags = "", .kept = "", .state = state
	};
	struct digest d = digest_of(content);
	struct err e = { 0 };

	assert_int_equal(journal_msg_write(j, &inbox, &m, &d, NULL, &e), 0);
	return m;
}

/* Of new, and its row is dropped, as it is sent again: under this UID. */
static struct journal_msg sent_again(struct journal_msg *m, unsigned char content,
				     uint32_t new_uid)
{
	struct err e = { 0 };

	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_lost_note(j, m->id, SIDE_NEW, &e), 0);
	assert_int_equal(journal_msg_drop(j, m->id, &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	return add(content, m->uid[SIDE_OLD], new_uid, MSG_DONE);
}

static bool back(unsigned char content, uint32_t uid, uint32_t *surplus)
{
	struct digest d = digest_of(content);
	struct err e = { 0 };
	bool yes;

	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(
		journal_lost_back(j, inbox.id, SIDE_NEW, d.canon, uid, &yes, surplus, &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	return yes;
}

static void check_row(const struct journal_msg *m, uint32_t new_uid)
{
	struct journal_msg now;
	struct err e = { 0 };
	bool found;

	assert_int_equal(journal_msg_of(j, &inbox, m->id, pool, &now, &found, &e), 0);
	assert_true(found);
	assert_int_equal(now.state, MSG_DONE);
	assert_int_equal(now.uid[SIDE_NEW], new_uid);
}

static struct journal_lost lost(void)
{
	struct journal_lost l;
	struct err e = { 0 };

	assert_int_equal(journal_lost(j, inbox.id, &l, &e), 0);
	return l;
}

static void lapse(void)
{
	struct err e = { 0 };

	assert_int_equal(journal_lost_lapse(j, &e), 0);
}

static void what_is_missed_for_too_long_is_so_no_more(void **state UNUSED)
{
	struct journal_msg a = add('a', 1, 1, MSG_DONE), b = add('b', 2, 2, MSG_DONE);
	uint32_t surplus;

	a = sent_again(&a, 'a', 3);
	b = sent_again(&b, 'b', 4);
	assert_true(back('a', 5, &surplus));
	assert_int_equal(surplus, 3);
	clock_test_advance(LOST_DAYS * DAY_MS);
	lapse();
	assert_true(lost().missed[SIDE_NEW]);
	clock_test_advance(1000);
	lapse();
	assert_false(lost().missed[SIDE_NEW]);
	assert_false(back('b', 6, &surplus));
	check_row(&b, 4);
	assert_true(
		lost().surplus[SIDE_NEW]); /* it is to be removed, however long that takes */
	check_row(&a, 5);
}

/* The time begins anew when it is missed again. */
static void missed_again(void **state UNUSED)
{
	struct journal_msg a = add('a', 1, 1, MSG_DONE);
	struct journal_surplus *x;
	struct err e = { 0 };
	uint32_t surplus;
	size_t n;

	a = sent_again(&a, 'a', 3);
	assert_true(back('a', 5, &surplus));
	clock_test_advance((LOST_DAYS + 1) * DAY_MS);
	assert_int_equal(journal_lost_surplus(j, inbox.id, SIDE_NEW, &x, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_lost_again(j, inbox.id, SIDE_NEW, x, &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	mem_free(&x);
	lapse();
	assert_true(lost().missed[SIDE_NEW]);
}

static void removed_for_its_age_and_there_again(void **state UNUSED)
{
	struct journal_msg a = add('a', 1, 1, MSG_DONE);
	uint32_t surplus;
	struct err e = { 0 };

	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_lost_note(j, a.id, SIDE_NEW, &e), 0);
	a.state = MSG_SKIPPED;
	a.uid[SIDE_NEW] = 0;
	assert_int_equal(journal_msg_write(j, &inbox, &a, NULL, "removed there", &e), 0);
	assert_int_equal(journal_commit(j, &e), 0);
	assert_true(back('a', 7, &surplus));
	assert_int_equal(surplus, 0);
	check_row(&a, 7);
	assert_false(lost().missed[SIDE_NEW] || lost().surplus[SIDE_NEW]);
	assert_false(back('a', 8, &surplus)); /* that is somebody else's */
}

/* Sent again twice: of three equal ones one has the row, and two are surplus. */
static void the_second_copy_was_away_as_well(void **state UNUSED)
{
	struct journal_msg a = add('a', 1, 1, MSG_DONE);
	uint32_t surplus;

	a = sent_again(&a, 'a', 2);
	a = sent_again(&a, 'a', 3);
	assert_true(back('a', 1, &surplus));
	assert_int_equal(surplus, 3);
	assert_true(back('a', 2, &surplus));
	assert_int_equal(surplus, 2);
	check_row(&a, 1);
	assert_false(back('a', 4, &surplus));
}

#define MADE(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MADE(what_is_missed_for_too_long_is_so_no_more),
		MADE(missed_again),
		MADE(removed_for_its_age_and_there_again),
		MADE(the_second_copy_was_away_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
