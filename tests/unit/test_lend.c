/* Users on lease, from the side of the engine at work: whose pass is another host's, and which word about it counts. */
#include "tests/unit/lease_stage.h"

static void begin_at_work(void)
{
	beat_ours();
	assert_true(our_epoch > 0);
	store_engine_lend(theirs, 2);
	beat_theirs();
	settle();
}

/* One is here, at work or not: there is room for no more. */
static void fill_up(void)
{
	settings.sync.workers = 1;
	begin_at_work();
	pass_time(1000);
	assert_int_equal(started, 1);
}

static void add_lease(const char *name, enum lease_state state, const char *text)
{
	struct user u = user_of(name);
	char *sql = mem_printf("INSERT INTO leases (name, kind, change, connections, rules, folder, offered, state,"
			       " place, body) VALUES ('%s', 'pass', %lld, 1, '', '', %lld, %d, '%s', '%s')",
			       name, (long long)u.change, (long long)store_now_ms(ours), (int)state,
			       state == LEASE_OFFERED ? "" : there.id, text);

	do_sql(sql);
	free(sql);
	user_release(&u);
}

static char *a_result(void)
{
	const struct job_result r = { .ok = true, .messages = 7, .copied = 7 };
	struct buf b = { 0 };
	char *text;

	job_result_write(&r, &b);
	text = mem_strn(buf_slice(&b).p, buf_len(&b) - 1);
	buf_release(&b);
	return text;
}

static const char *lent_user(void)
{
	for (const struct run *r = engine->runs; r; r = r->next)
		if (r->lent)
			return r->user;
	return NULL;
}

static void test_a_result_counts_once(void **state UNUSED)
{
	char *text = a_result(), name[16];

	fill_up();
	assert_non_null(lent_user());
	snprintf(name, sizeof name, "%s", lent_user());
	assert_int_equal(store_lease_pick(theirs, "", 2, &err), 1);
	assert_int_equal(store_lease_end(theirs, name, LEASE_RESULT, text, &err), 1);
	pass_time(1000);
	assert_int_equal(passes_of(name), 1);
	free(text);
}

/* The offer was written, but its writer heard no end of it. */
static void test_an_offer_that_was_not_heard_of(void **state UNUSED)
{
	char *text = a_result();

	do_sql("UPDATE users SET next_try = 9000000000000000 WHERE name = 'anna'");
	fill_up();
	assert_null(lent_user());
	add_lease("anna", LEASE_OFFERED, "");
	do_sql("UPDATE users SET next_try = 0");
	pass_time(2000);
	assert_non_null(lent_user());
	/* Not begun here besides, and followed like any other one. */
	assert_string_equal(lent_user(), "anna");
	assert_int_equal(started, 1);
	assert_int_equal(store_lease_pick(theirs, "", 2, &err), 1);
	assert_int_equal(store_lease_end(theirs, "anna", LEASE_RESULT, text, &err), 1);
	pass_time(1000);
	assert_int_equal(passes_of("anna"), 1);
	free(text);
}

/* What lies there of a user who is at work here says nothing of that. */
static void test_a_word_about_another_pass(void **state UNUSED)
{
	const char *here_is;
	char *text = a_result();

	fill_up();
	here_is = strcmp(lent_user(), "anna") == 0 ? "berta" : "anna";
	add_lease(here_is, LEASE_RESULT, text);
	pass_time(1000);
	worker_succeeds(&workers[0]);
	pass_time(1000);
	assert_int_equal(passes_of(here_is), 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE state = 2"), 0);
	free(text);
}

/* Of a later version, or of nobody: it goes as soon as it may. */
static void test_a_lease_that_says_nothing_to_us(void **state UNUSED)
{
	begin_at_work();
	do_sql("INSERT INTO leases (name, kind, change, connections, rules, folder, offered, state, place)"
	       " VALUES ('carla', 'pass', 1, 1, '', '', 0, 1, 'id-of-there'),"
	       " ('doris', 'dance', 1, 1, '', '', 0, 1, 'id-of-there')");
	engine->lend.read = false; /* as at its start */
	pass_time(1000);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases"), 2);
	assert_int_equal(store_lease_end(theirs, "carla", LEASE_STOPPED, "", &err), 1);
	assert_int_equal(store_lease_end(theirs, "doris", LEASE_STOPPED, "", &err), 1);
	pass_time(1000);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases"), 0);
}

/* Two at a time, one of them cut off, would make the same account. */
static void test_what_makes_accounts_stays_here(void **state UNUSED)
{
	static char cluster[] = "a";

	fill_up();
	settings.opensrs.cluster = cluster;
	settings.opensrs.create = true;
	add_user("carla");
	pass_time(2000);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE name = 'carla'"), 0);
	settings.opensrs.create = false;
	pass_time(1000);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE kind = 'probe'"), 1);
}

static int count_tried(const struct user *u, void *count)
{
	*(int *)count += u->attempts > 0;
	return 0;
}

static int tried(void)
{
	static const struct user_filter all;
	int n = 0;

	OK(store_users_each(ours, &all, count_tried, &n, &err));
	return n;
}

/* A list was imported before anybody had said how to log in. */
static void test_who_cannot_begin_holds_nobody_up(void **state UNUSED)
{
	settings.backend[SIDE_OLD].token_command = NULL;
	for (int i = 0; i < 148; i++) {
		char *name = mem_printf("user%03d", i);

		add_user(name);
		mem_free(&name);
	}
	beat_ours();
	pass_time(1000);
	assert_int_equal(tried(), 100);
	pass_time(1000);
	assert_int_equal(tried(), 150);
	assert_int_equal(started, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_a_result_counts_once),
		ON_STAGE(test_an_offer_that_was_not_heard_of),
		ON_STAGE(test_a_word_about_another_pass),
		ON_STAGE(test_a_lease_that_says_nothing_to_us),
		ON_STAGE(test_what_makes_accounts_stays_here),
		ON_STAGE(test_who_cannot_begin_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
