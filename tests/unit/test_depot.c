/* Journals go to the store and come from there: nothing is lost, nothing is believed twice. */
#include <event2/event.h>
#include <fcntl.h>

#include "common/store_engine.h"
#include "common/store_lease.h"
#include "common/store_trust.h"
#include "sync/depot.h"
#include "sync/depot_part.h"
#include "sync/order.h"
#include "tests/unit/store_stage.h"

/* A host with its folder of journals. */
struct host {
	struct settings settings;
	struct depot *depot;
	char dir[80];
};

static struct event_base *base;
static struct host a, b;

static void start_host(struct host *h, const char *name)
{
	struct depot_opts o = { .base = base, .store = st, .settings = &h->settings };

	h->settings.store.url = mem_str("postgresql:");
	h->settings.sync.dir = h->dir;
	h->settings.run.host = mem_str(name);
	OK(depot_new(&h->depot, &o, &err));
}

static void end_host(struct host *h)
{
	depot_free(&h->depot);
	mem_free(&h->settings.store.url);
	mem_free(&h->settings.run.host);
}

static void make_host(struct host *h, const char *name)
{
	snprintf(h->dir, sizeof h->dir, "%s/%s", dir, name);
	assert_int_equal(mkdir(h->dir, 0700), 0);
	start_host(h, name);
}

static int begin(void **state)
{
	if (set_up(state) < 0)
		return -1;
	base = event_base_new();
	make_host(&a, "mx1");
	make_host(&b, "mx2");
	return 0;
}

static int end(void **state)
{
	end_host(&a);
	end_host(&b);
	event_base_free(base);
	return tear_down(state);
}

static void settle(void)
{
	for (int i = 0; i < 1000; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static char *journal_of(const struct host *h)
{
	return order_journal_path(h->dir, "anna");
}

static struct journal *open_journal(const struct host *h)
{
	char *path_there = journal_of(h);
	struct journal *j = NULL;

	OK(journal_open(&j, path_there, &err));
	free(path_there);
	return j;
}

/* What a pass does. */
static void add_folders(const struct host *h, const char *name, int count)
{
	struct journal *j = open_journal(h);

	OK(journal_begin(j, &err));
	for (int i = 0; i < count; i++) {
		char *one = mem_printf("%s-%d", name, i);
		const char *const names[SIDES] = { one, one };
		int64_t id;

		OK(journal_folder_add(j, names, &id, &err));
		free(one);
	}
	OK(journal_commit(j, &err));
	journal_close(&j);
}

static size_t folders_of(const struct host *h)
{
	struct journal *j = open_journal(h);
	struct journal_folder *f;
	size_t n, count;

	OK(journal_folders(j, &f, &n, &err));
	count = n;
	journal_folders_free(&f, &n);
	journal_close(&j);
	return count;
}

static struct journal_mark mark_of(const struct host *h)
{
	struct journal *j = open_journal(h);
	struct journal_mark m;

	OK(journal_mark(j, &m, &err));
	journal_close(&j);
	return m;
}

/* As the engine asks: again until it is here. How often it was not. */
static int take(struct host *h, bool *doubt)
{
	int got, waited = 0;

	for (;; waited++) {
		got = depot_take(h->depot, "anna", doubt, &err);
		if (got < 0)
			fail_msg("%s", err.text);
		if (got > 0)
			return waited;
		settle();
	}
}

static void give_back(struct host *h)
{
	depot_return(h->depot, "anna");
	settle();
}

static void pass_at(struct host *h, const char *folder, int count)
{
	bool doubt;

	take(h, &doubt);
	assert_false(doubt);
	add_folders(h, folder, count);
	give_back(h);
}

static struct store_journal row_of_anna(void)
{
	struct store_journal j;

	assert_int_equal(store_journal_get(st, "anna", &j, &err), 1);
	return j;
}

static bool has_aside(const struct host *h)
{
	char *at = journal_of(h), *aside = mem_printf("%s.aside", at);
	bool there = access(aside, F_OK) == 0;

	free(at);
	free(aside);
	return there;
}

/* ---- which one counts */

static void test_the_choice(void **state UNUSED)
{
	static const struct {
		const char *edition, *folder; /* of the row; NULL: none */
		bool away;
		const char *here, *former; /* NULL: no file */
		enum depot_choice want;
	} cases[] = {
		{ NULL, NULL, false, NULL, NULL, DEPOT_HERE },
		{ NULL, NULL, false, "", "", DEPOT_HERE },
		{ NULL, NULL, false, "e1", "", DEPOT_STRANGE },
		/* it is in */
		{ "e2", "mine", false, "e2", "e1", DEPOT_HERE },
		{ "e2", "theirs", false, "e2", "e1", DEPOT_HERE },
		{ "e2", "theirs", false, "e1", "", DEPOT_COPY },
		{ "e2", "theirs", false, "e3", "e2", DEPOT_COPY },
		{ "e2", "mine", false, NULL, NULL, DEPOT_COPY },
		{ "e2", "mine", false, "", "", DEPOT_COPY },
		/* we have it */
		{ "", "mine", true, NULL, NULL, DEPOT_HERE },
		{ "", "mine", true, "", "", DEPOT_HERE },
		{ "e2", "mine", true, "e2", "e1", DEPOT_HERE },
		{ "e2", "mine", true, "e3", "e2", DEPOT_HERE },
		{ "e2", "mine", true, "e1", "", DEPOT_STALE },
		{ "e2", "mine", true, NULL, NULL, DEPOT_STALE },
		/* somebody else has it */
		{ "", "theirs", true, NULL, NULL, DEPOT_LOST },
		{ "", "theirs", true, "", "", DEPOT_LOST },
		{ "e2", "theirs", true, "e2", "e1", DEPOT_STALE },
		{ "e2", "theirs", true, NULL, NULL, DEPOT_STALE },
		/* the store does not know of it any more */
		{ "g0000002a", "mine", false, "g0000003b", "g0000002a", DEPOT_NEWER },
		{ "g0000002a", "theirs", false, "g0000009b", "g0000008a", DEPOT_NEWER },
		{ "g0000002a", "theirs", true, "g0000003b", "g0000002a", DEPOT_NEWER },
		{ "", "theirs", true, "g0000003b", "g0000002a", DEPOT_NEWER },
		{ "g0000002a", "mine", true, "g0000003b", "g0000002a", DEPOT_HERE },
		{ "g0000003a", "theirs", false, "g0000003b", "g0000002a", DEPOT_COPY },
		{ "g0000010a", "theirs", false, "g0000009b", "g0000008a", DEPOT_COPY },
		{ "e2", "theirs", false, "g0000009b", "g0000008a", DEPOT_COPY },
		{ "g0000001a", "theirs", false, "e3", "e2", DEPOT_COPY },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct store_journal row = { .away = cases[i].away };
		struct journal_mark here = { 0 };

		if (cases[i].edition) {
			snprintf(row.edition, sizeof row.edition, "%s", cases[i].edition);
			snprintf(row.folder, sizeof row.folder, "%s", cases[i].folder);
		}
		if (cases[i].here) {
			snprintf(here.edition, sizeof here.edition, "%s", cases[i].here);
			snprintf(here.former, sizeof here.former, "%s", cases[i].former);
		}
		if (depot_choose(cases[i].edition ? &row : NULL, cases[i].here ? &here : NULL,
				 "mine") != cases[i].want)
			fail_msg("case %zu", i);
	}
}

/* ---- parts */

static void test_parts(void **state UNUSED)
{
	char *bytes = mem_array(STORE_JOURNAL_PART, 1), digest[STORE_PART_DIGEST];
	struct buf text = { 0 }, back = { 0 };
	size_t refused = 0;
	char *packed;

	for (size_t i = 0; i < STORE_JOURNAL_PART; i++)
		bytes[i] = (char)(i * i >> 3);
	depot_digest((struct slice){ bytes, STORE_JOURNAL_PART }, digest);
	depot_pack((struct slice){ bytes, STORE_JOURNAL_PART }, &text);
	packed = mem_str(buf_slice(&text).p);
	OK(depot_unpack(packed, digest, &back, &err));
	assert_int_equal(buf_len(&back), STORE_JOURNAL_PART);
	assert_memory_equal(buf_slice(&back).p, bytes, STORE_JOURNAL_PART);
	for (size_t i = 0; i < strlen(packed); i += 7) {
		char was = packed[i];

		packed[i] = was == 'A' ? 'B' : 'A';
		/* Some bits of deflate mean nothing: then it is what it was. */
		if (depot_unpack(packed, digest, &back, &err) == 0)
			buf_drain(&back, STORE_JOURNAL_PART);
		else
			refused++;
		err_clear(&err);
		packed[i] = was;
	}
	assert_true(refused > strlen(packed) / 7 - 5);
	assert_int_equal(depot_unpack("", digest, &back, &err), -1);
	err_clear(&err);
	digest[0] ^= 1;
	assert_int_equal(depot_unpack(packed, digest, &back, &err), -1);
	err_clear(&err);
	assert_int_equal(buf_len(&back), STORE_JOURNAL_PART);
	buf_release(&text);
	buf_release(&back);
	free(packed);
	free(bytes);
}

/* ---- there and back */

static void test_another_host_goes_on(void **state UNUSED)
{
	bool doubt;

	pass_at(&a, "x", 2000); /* several turns' worth */
	pass_at(&b, "y", 3);
	assert_int_equal(folders_of(&b), 2003);
	assert_false(has_aside(&b));
	/* The first one comes back: what it has is old, and kept. */
	assert_int_equal(folders_of(&a), 2000);
	assert_true(take(&a, &doubt) > 0);
	assert_false(doubt);
	assert_int_equal(folders_of(&a), 2003);
	assert_true(has_aside(&a));
	give_back(&a);
}

static void test_what_did_not_change_is_not_copied(void **state UNUSED)
{
	struct store_journal before, after;
	bool doubt;
	int64_t parts;

	pass_at(&a, "x", 2000);
	before = row_of_anna();
	assert_int_equal(take(&a, &doubt), 0);
	give_back(&a);
	after = row_of_anna();
	assert_string_equal(after.edition, before.edition);
	assert_false(after.away);
	store_journal_release(&after);
	/* And of a small change only the parts that it touched. */
	do_sql("UPDATE journal_parts SET body = body || ' '");
	parts = ask("SELECT COUNT(*) FROM journal_parts");
	assert_true(parts > 5);
	pass_at(&a, "z", 1);
	after = row_of_anna();
	assert_string_not_equal(after.edition, before.edition);
	assert_true(ask("SELECT COUNT(*) FROM journal_parts WHERE body LIKE '% '") >=
		    parts / 3);
	store_journal_release(&before);
	store_journal_release(&after);
}

static void test_what_was_at_work_elsewhere_is_in_doubt(void **state UNUSED)
{
	struct store_journal row;
	bool doubt;

	pass_at(&a, "x", 3);
	take(&a, &doubt);
	add_folders(&a, "only-here", 1);
	/* … and there the engine of mx1 dies. */
	assert_true(take(&b, &doubt) > 0);
	assert_true(doubt);
	assert_int_equal(folders_of(&b), 3);
	/* A pass that does not end leaves it so, here and anywhere. */
	give_back(&b);
	assert_true(take(&b, &doubt) == 0 && doubt);
	give_back(&b);
	assert_true(mark_of(&b).doubt);
	/* mx1 wakes, and says what it knows: too late. */
	give_back(&a);
	row = row_of_anna();
	assert_string_equal(row.edition, mark_of(&b).edition);
	store_journal_release(&row);
	assert_true(take(&a, &doubt) > 0 && doubt);
	assert_int_equal(folders_of(&a), 3);
	assert_true(has_aside(&a));
}

/* The engine died between a worker's end and the copy, or in the middle of it. */
static void test_what_was_not_returned_is_returned(void **state UNUSED)
{
	struct journal_mark m;
	struct journal *j;
	bool doubt;

	pass_at(&a, "x", 3);
	take(&a, &doubt);
	add_folders(&a, "y", 1);
	j = open_journal(&a);
	OK(journal_mark(j, &m, &err));
	snprintf(m.former, sizeof m.former, "%s", m.edition);
	snprintf(m.edition, sizeof m.edition, "nobody heard of it");
	OK(journal_mark_write(j, &m, &err));
	journal_close(&j);
	end_host(&a);
	start_host(&a, "mx1");
	depot_tick(a.depot);
	settle();
	take(&b, &doubt);
	assert_false(doubt);
	assert_int_equal(folders_of(&b), 4);
}

static void test_a_damaged_copy_is_not_believed(void **state UNUSED)
{
	bool doubt;

	pass_at(&a, "x", 3);
	do_sql("UPDATE journal_parts SET body = 'AAAA'");
	assert_true(take(&b, &doubt) > 0);
	assert_true(doubt);
	assert_int_equal(folders_of(&b), 0);
	/* … where the file still is, nobody asks for it. */
	give_back(&b);
}

static void test_at_the_end_all_is_returned(void **state UNUSED)
{
	bool doubt;

	pass_at(&a, "x", 3);
	take(&a, &doubt);
	add_folders(&a, "only-here", 1);
	take(&b, &doubt); /* taken over, but no pass began */
	assert_true(doubt);
	end_host(&b);
	start_host(&b, "mx2");
	depot_tick(b.depot);
	while (!depot_end(b.depot))
		settle();
	assert_false(ask("SELECT MAX(away) FROM journals"));
	take(&a, &doubt);
	assert_true(doubt);
}

/* ---- a store that is put back */

static void test_a_store_that_is_older_than_the_file(void **state UNUSED)
{
	bool doubt;

	pass_at(&a, "x", 3);
	do_sql("CREATE TABLE kept_rows AS SELECT * FROM journals");
	do_sql("CREATE TABLE kept_parts AS SELECT * FROM journal_parts");
	pass_at(&a, "y", 2);
	do_sql("DELETE FROM journals; INSERT INTO journals SELECT * FROM kept_rows;"
	       "DELETE FROM journal_parts; INSERT INTO journal_parts SELECT * FROM kept_parts");
	assert_int_equal(take(&a, &doubt), 0);
	assert_true(doubt);
	assert_int_equal(folders_of(&a), 5);
	give_back(&a);
	take(&b, &doubt);
	assert_true(mark_of(&b).doubt);
	assert_int_equal(folders_of(&b), 5);
}

static void test_a_store_that_was_rebuilt(void **state UNUSED)
{
	int moved;
	bool doubt;

	pass_at(&a, "x", 3);
	OK(store_rebuild(st, NULL, 0, 7, &moved, &err));
	assert_true(take(&b, &doubt) > 0);
	assert_true(doubt);
	assert_int_equal(folders_of(&b), 3);
	give_back(&b);
	assert_false(ask("SELECT MAX(away) FROM journals"));
}

/* ---- a folder that is shared, though not by all */

/* What was on its way here for one of them must not replace what the other one is at. */
static void test_another_one_was_faster(void **state UNUSED)
{
	struct event_base *slow = base;
	struct host c = { 0 };
	bool doubt;

	pass_at(&b, "x", 3);
	assert_int_equal(depot_take(a.depot, "anna", &doubt, &err), 0);
	base = event_base_new();
	snprintf(c.dir, sizeof c.dir, "%s", a.dir);
	start_host(&c, "mx3");
	take(&c, &doubt);
	assert_false(doubt);
	add_folders(&c, "y", 2);
	event_base_loop(slow, EVLOOP_NONBLOCK);
	settle();
	assert_int_equal(folders_of(&c), 5);
	assert_false(has_aside(&c));
	give_back(&c);
	end_host(&c);
	event_base_free(base);
	base = slow;
	take(&b, &doubt);
	assert_false(doubt);
	assert_int_equal(folders_of(&b), 5);
}

/* ---- users on lease */

/* To an engine of a third host. */
static void lend_anna(struct store **holder)
{
	static const struct place mx3 = { .id = "3333", .host = "mx3" };
	struct store_opts o = { .path = path, .url = pg_url(), .place = &mx3 };
	struct lease_row l = { .name = "anna", .kind = "pass", .rules = "r", .folder = "" };
	int64_t epoch = 0;

	OK(store_open(holder, &o, &err));
	OK(store_engine_beat(*holder, &epoch, &err));
	assert_int_equal(store_lease_offer(st, &l, &err), 1);
	assert_int_equal(store_lease_pick(*holder, mx3.id, 1, &err), 1);
}

static void take_back(struct store **holder)
{
	assert_int_equal(store_lease_end(*holder, "anna", LEASE_STOPPED, "", &err), 1);
	assert_int_equal(store_lease_close(st, "anna", &err), 1);
	store_close(holder);
}

#define PATIENCE_MS 3000

static void assert_not_taken(struct host *h, int64_t away)
{
	bool doubt = true, lent = true;
	int64_t began;

	assert_int_equal(depot_take(h->depot, "anna", &doubt, &err), 0);
	assert_false(doubt);
	settle();
	assert_int_equal(depot_take(h->depot, "anna", &doubt, &err), 0);
	assert_int_equal(depot_coming(h->depot), 0);
	began = clock_mono_ms();
	/* Of people's patience nothing is used up: a pass takes longer. */
	assert_int_equal(depot_lend(h->depot, "anna", PATIENCE_MS, &lent, &err), -1);
	assert_true(clock_mono_ms() - began < PATIENCE_MS);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_non_null(strstr(err.text, "another host is at the user's pass"));
	err_clear(&err);
	assert_false(lent);
	assert_int_equal(ask("SELECT COALESCE(MAX(away), 0) FROM journals"), away);
}

static void test_who_is_on_lease_elsewhere_is_not_taken(void **state UNUSED)
{
	struct store *holder;
	bool doubt, lent;

	lend_anna(&holder);
	assert_not_taken(&a, 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM journals"), 0);
	take_back(&holder);
	pass_at(&a, "x", 3);
	/* Not even where it lies, … */
	lend_anna(&holder);
	assert_not_taken(&a, 0);
	assert_not_taken(&b, 0);
	take_back(&holder);
	OK(depot_lend(a.depot, "anna", 0, &lent, &err));
	assert_true(lent);
	give_back(&a);
	/* … and what is at work there is not taken over, which would put it in doubt. */
	take(&b, &doubt);
	lend_anna(&holder);
	assert_not_taken(&a, 1);
	take_back(&holder);
	give_back(&b);
	take(&a, &doubt);
	assert_false(doubt);
	assert_int_equal(folders_of(&a), 3);
}

static int left(const struct host *h)
{
	int got = depot_left(h->depot, "anna", &err);

	if (got < 0)
		fail_msg("%s", err.text);
	return got;
}

static void test_what_is_left_is_known(void **state UNUSED)
{
	int waited = 0;
	bool doubt;

	assert_int_equal(left(&a), 1); /* nothing is known of it */
	take(&a, &doubt);
	add_folders(&a, "x", 2000);
	depot_return(a.depot, "anna");
	for (; !left(&a); waited++) {
		assert_true(ask("SELECT away FROM journals"));
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_true(waited > 0);
	assert_false(ask("SELECT away FROM journals"));
	/* Just now it comes: nobody can say yet that it is not here. */
	assert_int_equal(depot_take(b.depot, "anna", &doubt, &err), 0);
	assert_int_equal(depot_coming(b.depot), 1);
	assert_int_equal(left(&b), 0);
	/* Another one has it: it was left here before. */
	take(&b, &doubt);
	assert_int_equal(left(&a), 1);
	settle();
	assert_true(ask("SELECT away FROM journals"));
	give_back(&b);
	assert_int_equal(left(&a), 1);
	assert_int_equal(left(&b), 1);
}

/* An attempt that failed, or an engine that died here before: it is begun again. */
static void test_what_was_not_left_is_left(void **state UNUSED)
{
	bool doubt;

	take(&a, &doubt);
	add_folders(&a, "x", 3);
	end_host(&a);
	start_host(&a, "mx1");
	assert_int_equal(left(&a), 0);
	settle();
	assert_int_equal(left(&a), 1);
	take(&b, &doubt);
	assert_false(doubt);
	assert_int_equal(folders_of(&b), 3);
}

/* What it brings is refused: it stays on its way. */
static void test_what_may_not_be_left_stays(void **state UNUSED)
{
	struct store *holder;
	bool doubt;

	take(&a, &doubt);
	add_folders(&a, "x", 3);
	lend_anna(&holder);
	give_back(&a);
	assert_int_equal(left(&a), 0);
	settle();
	assert_int_equal(left(&a), 0);
	settle();
	assert_true(ask("SELECT away FROM journals"));
	take_back(&holder);
	assert_int_equal(left(&a), 0);
	settle();
	assert_int_equal(left(&a), 1);
	assert_false(ask("SELECT away FROM journals"));
}

static void test_a_store_that_fails_tells_nothing_of_what_is_left(void **state UNUSED)
{
	bool doubt;

	take(&a, &doubt);
	do_sql("ALTER TABLE journals RENAME TO gone");
	assert_int_equal(depot_left(a.depot, "anna", &err), -1);
	err_clear(&err);
	do_sql("ALTER TABLE gone RENAME TO journals");
	give_back(&a);
	assert_int_equal(left(&a), 1);
}

static void test_a_file_needs_no_depot(void **state UNUSED)
{
	struct settings s = { 0 };
	struct depot_opts o = { .base = base, .store = st, .settings = &s };
	struct depot *none;
	bool doubt;

	OK(depot_new(&none, &o, &err));
	assert_null(none);
	assert_int_equal(depot_take(none, "anna", &doubt, &err), 1);
	assert_int_equal(depot_left(none, "anna", &err), 1);
	depot_return(none, "anna");
	depot_tick(none);
	assert_true(depot_end(none));
	depot_free(&none);
	assert_int_equal(ask("SELECT COUNT(*) FROM journals"), 0);
}

#define AT(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_choice),
		cmocka_unit_test(test_parts),
		AT(test_another_host_goes_on),
		AT(test_what_did_not_change_is_not_copied),
		AT(test_what_was_at_work_elsewhere_is_in_doubt),
		AT(test_what_was_not_returned_is_returned),
		AT(test_a_damaged_copy_is_not_believed),
		AT(test_at_the_end_all_is_returned),
		AT(test_a_store_that_is_older_than_the_file),
		AT(test_a_store_that_was_rebuilt),
		AT(test_another_one_was_faster),
		AT(test_who_is_on_lease_elsewhere_is_not_taken),
		AT(test_what_is_left_is_known),
		AT(test_what_was_not_left_is_left),
		AT(test_what_may_not_be_left_stays),
		AT(test_a_store_that_fails_tells_nothing_of_what_is_left),
		AT(test_a_file_needs_no_depot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
