/* The store: who reads by POP3, and the maps of unique ids. */
#include "tests/unit/store_stage.h"
#include "common/store_uidl.h"
#include "common/store_validity.h"

static struct uidl_state state_of(const char *name)
{
	struct uidl_state s;

	OK(store_uidl_state(st, name, &s, &err));
	return s;
}

static void write_map(const char *name, bool complete, const char *first, const char *second)
{
	const struct uidl_state s = {
		.complete = complete, .entries = 2, .missing = !complete, .why = ""
	};
	const struct slice parts[] = { slice_of(first), slice_of(second) };

	OK(store_uidl_write(st, name, &s, parts, second ? 2 : 1, &err));
}

static void assert_map(const char *name, const char *expected)
{
	struct uidl_state s;
	struct buf map = { 0 };

	OK(store_uidl_read(st, name, 1000, &s, &map, &err));
	if (!slice_is(buf_slice(&map), expected))
		fail_msg("got \"%.*s\"", (int)buf_len(&map), buf_slice(&map).p);
	buf_release(&map);
}

static void test_who_reads_by_pop3(void **state UNUSED)
{
	struct uidl_state s;

	clock_test_freeze();
	s = state_of("anna");
	assert_true(s.seen == 0 && s.mapped_at == 0 && store_uidl_serves(&s));
	OK(store_pop3_seen(st, "anna", &err));
	s = state_of("anna");
	assert_int_equal(s.seen, clock_real_ms());
	assert_false(store_uidl_serves(&s)); /* she knows old's ids, and there is no map */
	clock_test_advance(5000);
	OK(store_pop3_seen(st, "anna", &err));
	assert_int_equal(state_of("anna").seen, clock_real_ms());
	write_map("anna", true, "1.a x\n2.a y\n", NULL);
	s = state_of("anna");
	assert_true(s.seen == clock_real_ms() && store_uidl_serves(&s));
}

static void test_map_is_written_whole(void **state UNUSED)
{
	struct uidl_state s = { .complete = false, .entries = 1, .missing = 3, .why = "w" };

	clock_test_freeze();
	OK(store_pop3_seen(st, "anna", &err));
	write_map("anna", true, "n1 o1\n", "n2 o2\n");
	assert_map("anna", "n1 o1\nn2 o2\n");
	assert_true(state_of("anna").complete && state_of("anna").bytes == 12);
	assert_int_equal(state_of("anna").mapped_at, clock_real_ms());
	write_map("anna", true, "n3 o3\n", NULL); /* nothing of the one before stays */
	assert_map("anna", "n3 o3\n");
	assert_int_equal(ask("SELECT COUNT(*) FROM pop3_parts"), 1);
	/* Only what is said about it. */
	OK(store_uidl_write(st, "anna", &s, NULL, 0, &err));
	assert_map("anna", "n3 o3\n");
	s = state_of("anna");
	assert_true(!s.complete && s.missing == 3 && s.bytes == 6);
	assert_int_equal(s.entries, 2); /* the map's, or no node could show it */
	assert_string_equal(s.why, "w");
	assert_false(store_uidl_serves(&s));
	assert_map("bert", "");
}

static void test_an_empty_map_is_one(void **state UNUSED)
{
	const struct uidl_state none = { .complete = true };
	const struct slice parts[1] = { { "", 0 } };
	struct uidl_state s;

	OK(store_pop3_seen(st, "anna", &err));
	OK(store_uidl_write(st, "anna", &none, parts, 0, &err));
	s = state_of("anna");
	assert_true(s.mapped_at && store_uidl_serves(&s));
	assert_map("anna", "");
}

/* What a person takes, holds until there is a complete one. */
static void test_a_person_accepts(void **state UNUSED)
{
	char anna[] = "anna", bert[] = "bert", *names[] = { anna, bert };
	struct uidl_state s;

	OK(store_pop3_seen(st, "anna", &err));
	OK(store_uidl_accept(st, "anna", true, &err));
	write_map("anna", false, "n1 o1\n", NULL);
	s = state_of("anna");
	assert_true(s.accepted && store_uidl_serves(&s));
	OK(store_uidl_accept(st, "anna", false, &err));
	s = state_of("anna");
	assert_false(store_uidl_serves(&s));
	OK(store_uidl_accept(st, "anna", true, &err));
	write_map("anna", true, "n1 o1\n", NULL);
	assert_false(state_of("anna").accepted);
	OK(store_uidl_accept(st, "bert", true, &err));
	assert_true(state_of("bert").accepted);
	OK(store_uidls_accept(st, names, COUNT(names), false, &err));
	assert_false(state_of("anna").accepted || state_of("bert").accepted);
	OK(store_uidls_accept(st, names, COUNT(names), true, &err));
	assert_true(state_of("anna").accepted && state_of("bert").accepted);
}

static void test_a_map_that_does_not_add_up(void **state UNUSED)
{
	struct uidl_state s;
	struct buf map = { 0 };

	write_map("anna", true, "n1 o1\n", "n2 o2\n");
	do_sql("DELETE FROM pop3_parts WHERE part = 1");
	assert_int_equal(store_uidl_read(st, "anna", 1000, &s, &map, &err), -1);
	assert_int_equal(err.kind, ERR_TEMP);
	buf_release(&map);
	do_sql("UPDATE pop3_parts SET body = 'n1 o2' WHERE part = 0");
	assert_int_equal(store_uidl_read(st, "anna", 1000, &s, &map, &err), -1);
	buf_release(&map);
	/* More than the node has room for is not even read. */
	write_map("anna", true, "n1 o1\n", "n2 o2\n");
	OK(store_uidl_read(st, "anna", 11, &s, &map, &err));
	assert_true(s.bytes == 12 && buf_len(&map) == 0);
	OK(store_uidl_read(st, "anna", 12, &s, &map, &err));
	assert_int_equal(buf_len(&map), 12);
	buf_release(&map);
}

/* ---- UIDVALIDITYs, for IMAP */

static void assert_validity(const char *name, const char *expected)
{
	char *lines;

	OK(store_validity_read(st, name, &lines, &err));
	assert_string_equal(lines, expected);
	free(lines);
}

static void test_uidvalidities_are_kept(void **state UNUSED)
{
	assert_validity("anna", "");
	OK(store_validity_write(st, "anna", "1 2\n3 4\n", &err));
	assert_validity("anna", "1 2\n3 4\n");
	assert_validity("bert", "");
	OK(store_validity_write(st, "anna", "", &err));
	assert_validity("anna", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_reads_by_pop3),	       TEST(test_map_is_written_whole),
		TEST(test_an_empty_map_is_one),	       TEST(test_a_person_accepts),
		TEST(test_a_map_that_does_not_add_up), TEST(test_uidvalidities_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
