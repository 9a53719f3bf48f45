/* The store's leases of users: who makes a pass, and who may write about whom meanwhile. */
#include "tests/unit/store_stage.h"
#include "common/store_engine.h"
#include "common/store_journal.h"
#include "common/store_lease.h"
#include "common/store_uidl.h"

/* An engine's handle. mx1 is at work at first, the others stand by. */
struct engine {
	struct place place;
	struct store *store;
	int64_t epoch;
};

static struct engine mx1, mx2, mx3;

static void beat(struct engine *g)
{
	OK(store_engine_beat(g->store, &g->epoch, &err));
}

static void start_engine(struct engine *g, const char *host)
{
	struct store_opts o = {
		.path = path, .nudge_dir = dir, .url = pg_url(), .place = &g->place
	};

	*g = (struct engine){ 0 };
	snprintf(g->place.id, sizeof g->place.id, "id-of-%s", host);
	snprintf(g->place.host, sizeof g->place.host, "%s", host);
	OK(store_open(&g->store, &o, &err));
	beat(g);
}

static int begin(void **state)
{
	if (set_up(state) < 0)
		return -1;
	clock_test_freeze();
	start_engine(&mx1, "mx1");
	start_engine(&mx2, "mx2");
	start_engine(&mx3, "mx3");
	return 0;
}

static int end(void **state)
{
	store_close(&mx1.store);
	store_close(&mx2.store);
	store_close(&mx3.store);
	return tear_down(state);
}

/* ---- what is done */

static int offer_by(struct engine *g, const char *name, const char *folder)
{
	struct lease_row l = {
		.name = name, .kind = "pass", .change = 7, .connections = 3, .rules = "r1", .folder = folder
	};

	return store_lease_offer(g->store, &l, &err);
}

static void offer(const char *name, const char *folder)
{
	assert_int_equal(offer_by(&mx1, name, folder), 1);
}

static int pick(struct engine *g, int n)
{
	int got = store_lease_pick(g->store, g->place.id, n, &err);

	if (got < 0)
		fail_msg("%s", err.text);
	return got;
}

/* The user is on lease to this one. */
static void lend(const char *name, struct engine *g)
{
	offer(name, g->place.id);
	assert_int_equal(pick(g, 1), 1);
}

static int tell(struct engine *g, const char *name, const char *text)
{
	return store_lease_tell(g->store, name, text, &err);
}

static int end_as(struct engine *g, const char *name, enum lease_state state)
{
	return store_lease_end(g->store, name, state, "so it ended", &err);
}

static int close_by(struct engine *g, const char *name)
{
	return store_lease_close(g->store, name, &err);
}

static int elsewhere(const struct engine *g, const char *name)
{
	return store_lease_elsewhere(g->store, name, &err);
}

/* This one is silent from here on, the others are not. */
static void let_lapse(struct engine *silent)
{
	struct engine *all[] = { &mx1, &mx2, &mx3 };

	clock_test_advance(STORE_ENGINE_LEASE_MS - 1);
	for (size_t i = 0; i < COUNT(all); i++)
		if (all[i] != silent)
			beat(all[i]);
	clock_test_advance(1);
}

/* mx1 is silent, and this one has its work. */
static void take_over(struct engine *g)
{
	let_lapse(&mx1);
	beat(g);
	assert_true(g->epoch > 0);
}

static void assert_refused(int rc, const char *why)
{
	assert_int_equal(rc, -1);
	if (!strstr(err.text, why))
		fail_msg("\"%s\", not because \"%s\"", err.text, why);
	err_clear(&err);
}

#define NOT_AT_WORK "another engine has taken over"
#define NOT_OURS    "is not on lease to this engine any more"
#define ELSEWHERE   "is on lease to another engine"

/* ---- what is there */

static const char *const states[LEASE_STATES] = { "offered", "at work", "result",
						  "died",    "refused", "stopped" };

static char shown[512];

static int show_lease(const struct lease_row *l, void *arg UNUSED)
{
	size_t n = strlen(shown);

	snprintf(shown + n, sizeof shown - n, "%s%s %s%s%s%s%s%s%s", n ? ", " : "", l->name,
		 states[l->state], *l->place ? " " : "", *l->place ? l->place : "",
		 *l->host ? "=" : "", l->host, l->lapsed ? " lapsed" : "", l->text);
	return 0;
}

static void assert_leases_of(const char *place, const char *expected)
{
	shown[0] = '\0';
	OK(store_leases_each(mx1.store, place, show_lease, NULL, &err));
	assert_string_equal(shown, expected);
}

static void assert_leases(const char *expected)
{
	assert_leases_of(NULL, expected);
}

static int count_to_two(const struct lease_row *l UNUSED, void *arg)
{
	return ++*(int *)arg == 2 ? 42 : 0;
}

/* ---- offers */

static int is_the_first_offer(const struct lease_row *l, void *arg)
{
	assert_string_equal(l->name, "anna");
	assert_string_equal(l->kind, "pass");
	assert_int_equal(l->change, 7);
	assert_int_equal(l->connections, 3);
	assert_string_equal(l->folder, "somewhere");
	assert_int_equal(l->offered, *(int64_t *)arg);
	assert_int_equal(l->state, LEASE_OFFERED);
	assert_string_equal(l->place, "");
	assert_string_equal(l->host, "");
	assert_string_equal(l->text, "");
	assert_false(l->lapsed);
	return 0;
}

static void test_an_offer_is_made_once(void **state UNUSED)
{
	int64_t at = store_now_ms(mx1.store);
	struct lease_row other = {
		.name = "anna", .kind = "trailing", .change = 8, .connections = 1, .rules = "r2", .folder = ""
	};

	offer("anna", "somewhere");
	clock_test_advance(50);
	assert_int_equal(store_lease_offer(mx1.store, &other, &err), 0);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases"), 1);
	OK(store_leases_each(mx1.store, NULL, is_the_first_offer, &at, &err));
	/* Nor while somebody has it, or has ended it. */
	clock_test_advance(STORE_LEASE_SHY_MS);
	assert_int_equal(pick(&mx2, 1), 1);
	assert_int_equal(offer_by(&mx1, "anna", ""), 0);
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	assert_int_equal(offer_by(&mx1, "anna", ""), 0);
	assert_leases("anna result id-of-mx2=mx2so it ended");
}

static void test_a_deposed_engine_neither_offers_nor_closes(void **state UNUSED)
{
	offer("anna", "");
	/* Its lease has run out, even before another one has it. */
	let_lapse(&mx1);
	assert_refused(offer_by(&mx1, "berta", ""), NOT_AT_WORK);
	assert_refused(close_by(&mx1, "anna"), NOT_AT_WORK);
	beat(&mx2);
	assert_refused(offer_by(&mx1, "berta", ""), NOT_AT_WORK);
	assert_refused(close_by(&mx1, "anna"), NOT_AT_WORK);
	assert_leases("anna offered");
	assert_int_equal(offer_by(&mx2, "berta", ""), 1);
	assert_int_equal(close_by(&mx2, "anna"), 1);
	assert_leases("berta offered");
}

/* ---- picks */

static void test_own_journals_are_picked_first(void **state UNUSED)
{
	offer("anna", "id-of-mx3");
	clock_test_advance(1);
	offer("wanda", "");
	clock_test_advance(1);
	offer("carla", "id-of-mx2");
	offer("bodo", "");
	assert_int_equal(pick(&mx2, 0), 0);
	assert_int_equal(pick(&mx2, 1), 1);
	assert_leases("anna offered, bodo offered, carla at work id-of-mx2=mx2, wanda offered");
	/* The one that has waited longest. */
	assert_int_equal(pick(&mx2, 1), 1);
	assert_leases("anna offered, bodo offered, carla at work id-of-mx2=mx2,"
		      " wanda at work id-of-mx2=mx2");
	/* Not more than there are, and another one's journal not yet. */
	assert_int_equal(pick(&mx2, 5), 1);
	assert_int_equal(pick(&mx2, 5), 0);
	clock_test_advance(STORE_LEASE_SHY_MS - 3);
	assert_int_equal(pick(&mx2, 5), 0);
	clock_test_advance(1);
	assert_int_equal(pick(&mx2, 5), 1);
	assert_int_equal(ask("SELECT COUNT(*) FROM leases WHERE place = 'id-of-mx2'"), 4);
}

static void test_what_one_has_no_other_picks(void **state UNUSED)
{
	lend("anna", &mx2);
	clock_test_advance(STORE_LEASE_SHY_MS);
	assert_int_equal(pick(&mx3, 5), 0);
	assert_int_equal(end_as(&mx2, "anna", LEASE_REFUSED), 1);
	assert_int_equal(pick(&mx3, 5), 0);
	/* Not even one that lies there: the engine at work has to take it back first. */
	lend("berta", &mx2);
	let_lapse(&mx2);
	assert_int_equal(pick(&mx3, 5), 0);
	assert_leases("anna refused id-of-mx2=mx2so it ended,"
		      " berta at work id-of-mx2=mx2 lapsed");
}

static void test_a_silent_engine_picks_nothing(void **state UNUSED)
{
	offer("anna", "");
	clock_test_advance(STORE_ENGINE_LEASE_MS - 1);
	beat(&mx1);
	assert_int_equal(pick(&mx2, 0), 0);
	clock_test_advance(1);
	assert_int_equal(pick(&mx2, 1), 0);
	assert_leases("anna offered");
	/* Nor does one that has gone. */
	OK(store_engine_leave(mx3.store, &err));
	assert_int_equal(pick(&mx3, 1), 0);
	beat(&mx2);
	clock_test_advance(STORE_ENGINE_LEASE_MS - 1);
	assert_int_equal(pick(&mx2, 1), 1);
}

/* ---- what is said about them */

static void test_only_the_holder_tells(void **state UNUSED)
{
	offer("anna", "id-of-mx2");
	assert_int_equal(tell(&mx2, "anna", " x"), 0);
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 0);
	assert_leases("anna offered");
	assert_int_equal(pick(&mx2, 1), 1);
	assert_int_equal(tell(&mx1, "anna", " by mx1"), 0);
	assert_int_equal(tell(&mx3, "anna", " by mx3"), 0);
	assert_int_equal(end_as(&mx1, "anna", LEASE_DIED), 0);
	assert_int_equal(end_as(&mx3, "anna", LEASE_DIED), 0);
	assert_int_equal(tell(&mx2, "berta", " of nobody"), 0);
	assert_leases("anna at work id-of-mx2=mx2");
	assert_int_equal(tell(&mx2, "anna", " half"), 1);
	assert_leases("anna at work id-of-mx2=mx2 half");
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	/* It has ended. */
	assert_int_equal(tell(&mx2, "anna", " more"), 0);
	assert_int_equal(end_as(&mx2, "anna", LEASE_DIED), 0);
	assert_leases("anna result id-of-mx2=mx2so it ended");
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_int_equal(tell(&mx2, "anna", " more"), 0);
	assert_int_equal(end_as(&mx2, "anna", LEASE_DIED), 0);
	assert_leases("");
}

static void test_what_is_said_has_a_limit(void **state UNUSED)
{
	char *text = mem_new(STORE_LEASE_TEXT_MAX + 2);

	lend("anna", &mx2);
	memset(text, 'x', STORE_LEASE_TEXT_MAX + 1);
	assert_refused(tell(&mx2, "anna", text), "more than 65536 bytes");
	assert_refused(store_lease_end(mx2.store, "anna", LEASE_RESULT, text, &err),
		       "more than 65536 bytes");
	assert_leases("anna at work id-of-mx2=mx2");
	text[STORE_LEASE_TEXT_MAX] = '\0';
	assert_int_equal(tell(&mx2, "anna", text), 1);
	assert_int_equal(store_lease_end(mx2.store, "anna", LEASE_RESULT, text, &err), 1);
	assert_int_equal(ask("SELECT LENGTH(body) FROM leases"), STORE_LEASE_TEXT_MAX);
	free(text);
}

static bool is_nudged(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool nudged = poll(&p, 1, 0) == 1;

	store_nudge_drain(fd);
	return nudged;
}

static void test_engines_are_woken(void **state UNUSED)
{
	int fd;

	OK(store_nudge_listen(&(struct store_opts){ .nudge_dir = dir }, "e.nudge", &fd, &err));
	offer("anna", "id-of-mx2");
	assert_true(is_nudged(fd));
	assert_int_equal(pick(&mx2, 1), 1);
	is_nudged(fd);
	/* Every two seconds by each: wakes nobody. */
	assert_int_equal(tell(&mx2, "anna", " half"), 1);
	assert_false(is_nudged(fd));
	assert_int_equal(end_as(&mx3, "anna", LEASE_RESULT), 0);
	assert_false(is_nudged(fd));
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	assert_true(is_nudged(fd));
	close(fd);
}

/* ---- how they end */

static void test_those_of_one_place(void **state UNUSED)
{
	int n = 0;

	lend("berta", &mx2);
	lend("anna", &mx2);
	lend("carla", &mx3);
	offer("doris", "id-of-mx2");
	assert_leases_of("id-of-mx2",
			 "anna at work id-of-mx2=mx2, berta at work id-of-mx2=mx2");
	assert_leases_of("id-of-mx3", "carla at work id-of-mx3=mx3");
	assert_leases_of("id-of-mx1", "");
	/* What the caller says ends it. */
	assert_int_equal(store_leases_each(mx1.store, NULL, count_to_two, &n, &err), 42);
	assert_int_equal(n, 2);
}

static void test_what_was_not_taken_is_closed(void **state UNUSED)
{
	assert_int_equal(close_by(&mx1, "anna"), 0);
	offer("anna", "id-of-mx2");
	offer("berta", "id-of-mx2");
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_int_equal(close_by(&mx1, "anna"), 0);
	assert_leases("berta offered");
	assert_int_equal(pick(&mx2, 5), 1);
	assert_leases("berta at work id-of-mx2=mx2");
}

static void test_what_has_ended_is_closed(void **state UNUSED)
{
	char expected[64];

	for (int s = LEASE_RESULT; s < LEASE_STATES; s++) {
		lend("anna", &mx2);
		assert_int_equal(close_by(&mx1, "anna"), 0);
		assert_int_equal(end_as(&mx2, "anna", (enum lease_state)s), 1);
		snprintf(expected, sizeof expected, "anna %s id-of-mx2=mx2so it ended",
			 states[s]);
		assert_leases(expected);
		assert_int_equal(close_by(&mx1, "anna"), 1);
		assert_leases("");
	}
	/* An end that was told is one, however silent its engine is by now. */
	lend("anna", &mx2);
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	let_lapse(&mx2);
	assert_leases("anna result id-of-mx2=mx2so it ended");
	assert_int_equal(close_by(&mx1, "anna"), 1);
}

static void test_what_has_lapsed_is_closed(void **state UNUSED)
{
	lend("anna", &mx2);
	lend("berta", &mx3);
	clock_test_advance(STORE_ENGINE_LEASE_MS - 1);
	beat(&mx1);
	beat(&mx3);
	assert_leases("anna at work id-of-mx2=mx2, berta at work id-of-mx3=mx3");
	assert_int_equal(close_by(&mx1, "anna"), 0);
	clock_test_advance(1);
	assert_leases("anna at work id-of-mx2=mx2 lapsed, berta at work id-of-mx3=mx3");
	/* It was in time after all: nobody has taken him back. */
	beat(&mx2);
	assert_leases("anna at work id-of-mx2=mx2, berta at work id-of-mx3=mx3");
	assert_int_equal(close_by(&mx1, "anna"), 0);
	let_lapse(&mx2);
	assert_int_equal(tell(&mx2, "anna", " late"), 1);
	assert_leases("anna at work id-of-mx2=mx2 lapsed late, berta at work id-of-mx3=mx3");
	assert_int_equal(close_by(&mx1, "berta"), 0);
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_leases("berta at work id-of-mx3=mx3");
}

static void test_what_lies_with_one_that_is_gone_is_closed(void **state UNUSED)
{
	lend("anna", &mx2);
	lend("berta", &mx2);
	assert_int_equal(tell(&mx2, "anna", " half"), 1);
	assert_int_equal(end_as(&mx2, "berta", LEASE_STOPPED), 1);
	OK(store_engine_leave(mx2.store, &err));
	assert_leases("anna at work id-of-mx2 lapsed half, berta stopped id-of-mx2so it ended");
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_int_equal(close_by(&mx1, "berta"), 1);
	assert_leases("");
}

static void test_who_is_on_lease_elsewhere(void **state UNUSED)
{
	assert_int_equal(elsewhere(&mx1, "anna"), 0);
	offer("anna", "id-of-mx2");
	assert_int_equal(elsewhere(&mx1, "anna"), 0);
	assert_int_equal(pick(&mx2, 1), 1);
	assert_int_equal(elsewhere(&mx1, "anna"), 1);
	assert_int_equal(elsewhere(&mx3, "anna"), 1);
	assert_int_equal(elsewhere(&mx2, "anna"), 0);
	assert_int_equal(elsewhere(&mx1, "berta"), 0);
	/* Until the engine at work has taken him back. */
	let_lapse(&mx2);
	assert_int_equal(elsewhere(&mx1, "anna"), 1);
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_int_equal(elsewhere(&mx1, "anna"), 0);
	beat(&mx2);
	lend("anna", &mx2);
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	assert_int_equal(elsewhere(&mx1, "anna"), 0);
}

/* ---- who may write */

static int take_journal(struct engine *g, const char *name)
{
	struct store_journal seen;
	int got = store_journal_get(st, name, &seen, &err), rc;

	rc = store_journal_take(g->store, name, got > 0 ? &seen : NULL, &g->place, &err);
	store_journal_release(&seen);
	return rc;
}

static int put_journal(struct engine *g, const char *name, const char *edition)
{
	static char none[] = "";
	struct store_journal copy = { .parts = none }, seen;
	int rc;

	assert_int_equal(store_journal_get(st, name, &seen, &err), 1);
	snprintf(copy.edition, sizeof copy.edition, "%s", edition);
	snprintf(copy.folder, sizeof copy.folder, "%s", g->place.id);
	rc = store_journal_put(g->store, name, &copy, seen.edition, &err);
	store_journal_release(&seen);
	return rc;
}

static int bring_back(struct engine *g, const char *name)
{
	struct store_journal seen;
	int rc;

	assert_int_equal(store_journal_get(st, name, &seen, &err), 1);
	rc = store_journal_back(g->store, name, &g->place, seen.edition, &err);
	store_journal_release(&seen);
	return rc;
}

static int write_uidl(struct engine *g, const char *name)
{
	const struct uidl_state s = { .complete = true, .entries = 1, .why = "" };
	struct slice part = slice_of("1.a x\n");

	return store_uidl_write(g->store, name, &s, &part, 1, &err);
}

/* As a pass does, and one after it that finds nothing new. */
static void assert_may_write(struct engine *g, const char *name)
{
	static int editions;
	char edition[16];

	snprintf(edition, sizeof edition, "e%d", ++editions);
	if (take_journal(g, name) != 1)
		fail_msg("%s about %s: %s", g->place.host, name, err.text);
	assert_int_equal(put_journal(g, name, edition), 1);
	assert_int_equal(take_journal(g, name), 1);
	assert_int_equal(bring_back(g, name), 1);
	OK(write_uidl(g, name));
}

/* His row is put into its hands first, for it must not even bring back what it has. */
static void assert_may_not_write(struct engine *g, const char *name, const char *why)
{
	char *rows = mem_printf("SELECT COUNT(*) FROM journals WHERE name = '%s' AND away = 1"
				" AND edition = 'before' AND at = 5",
				name),
	     *maps = mem_printf("SELECT COUNT(*) FROM pop3_users WHERE name = '%s'", name),
	     *sql = mem_printf("DELETE FROM journals WHERE name = '%s';"
			       "DELETE FROM pop3_users WHERE name = '%s';"
			       "INSERT INTO journals (name, edition, away, folder, host, at)"
			       " VALUES ('%s', 'before', 1, '%s', '%s', 5)",
			       name, name, name, g->place.id, g->place.host);

	do_sql(sql);
	assert_refused(take_journal(g, name), why);
	assert_refused(put_journal(g, name, "late"), why);
	assert_refused(bring_back(g, name), why);
	assert_refused(write_uidl(g, name), why);
	assert_int_equal(ask(rows), 1);
	assert_int_equal(ask(maps), 0);
	free(rows);
	free(maps);
	free(sql);
}

static void test_the_holder_writes_about_him(void **state UNUSED)
{
	lend("anna", &mx2);
	lend("berta", &mx3);
	assert_may_write(&mx2, "anna");
	assert_may_write(&mx3, "berta");
	/* … and about nobody else. */
	assert_may_not_write(&mx2, "berta", NOT_OURS);
	assert_may_not_write(&mx2, "carla", NOT_OURS);
	offer("doris", "id-of-mx2");
	assert_may_not_write(&mx2, "doris", NOT_OURS);
	/* What it had to say is said. */
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	assert_may_not_write(&mx2, "anna", NOT_OURS);
}

static void test_the_engine_at_work_keeps_off_whom_it_lent(void **state UNUSED)
{
	offer("anna", "id-of-mx2");
	assert_may_write(&mx1, "anna");
	assert_int_equal(pick(&mx2, 1), 1);
	assert_may_not_write(&mx1, "anna", ELSEWHERE);
	assert_may_write(&mx1, "berta");
	/* Silence alone ends nothing. */
	let_lapse(&mx2);
	assert_may_not_write(&mx1, "anna", ELSEWHERE);
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_may_write(&mx1, "anna");
	beat(&mx2);
	lend("anna", &mx2);
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	assert_may_write(&mx1, "anna");
}

static void test_a_late_holder_writes_nothing(void **state UNUSED)
{
	lend("anna", &mx2);
	let_lapse(&mx2);
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_may_not_write(&mx2, "anna", NOT_OURS);
	/* That it is heard of again gives him not back. */
	beat(&mx2);
	assert_may_not_write(&mx2, "anna", NOT_OURS);
	/* Nor that another one has him. */
	lend("anna", &mx3);
	assert_may_not_write(&mx2, "anna", NOT_OURS);
	do_sql("DELETE FROM journals");
	assert_may_write(&mx3, "anna");
}

static void test_one_that_never_picked_needs_a_lease_too(void **state UNUSED)
{
	/* Started again, and what its predecessor had was taken back meanwhile. */
	assert_may_not_write(&mx2, "anna", NOT_OURS);
	lend("anna", &mx3);
	assert_may_not_write(&mx2, "anna", NOT_OURS);
	take_over(&mx2);
	assert_may_write(&mx2, "berta");
	assert_may_not_write(&mx2, "anna", ELSEWHERE);
	assert_may_not_write(&mx1, "berta", NOT_AT_WORK);
}

static void test_a_handle_of_no_engine_writes_as_before(void **state UNUSED)
{
	struct engine none = { .place = mx2.place, .store = st };

	assert_may_write(&none, "anna");
	lend("anna", &mx3);
	assert_may_not_write(&none, "anna", ELSEWHERE);
}

static void test_one_that_picked_comes_to_work(void **state UNUSED)
{
	lend("anna", &mx2);
	lend("berta", &mx3);
	assert_may_not_write(&mx2, "carla", NOT_OURS);
	take_over(&mx2);
	assert_may_write(&mx2, "carla");
	assert_may_write(&mx2, "anna"); /* he is still its own */
	assert_may_not_write(&mx2, "berta", ELSEWHERE);
	/* Its turn is over as well. */
	let_lapse(&mx2);
	beat(&mx3);
	assert_may_not_write(&mx2, "carla", NOT_AT_WORK);
	assert_int_equal(close_by(&mx3, "anna"), 1);
	assert_may_not_write(&mx2, "anna", NOT_AT_WORK);
}

/* ---- journals */

static char away[128];

static int note_away(const char *name, void *arg UNUSED)
{
	size_t n = strlen(away);

	snprintf(away + n, sizeof away - n, "%s%s", n ? " " : "", name);
	return 0;
}

static void assert_away(const struct engine *g, const char *expected)
{
	struct place shared = { .id = "shared" };

	away[0] = '\0';
	OK(store_journals_away(g->store, &shared, note_away, NULL, &err));
	assert_string_equal(away, expected);
}

static void test_journals_on_lease_elsewhere_are_not_missed(void **state UNUSED)
{
	do_sql("INSERT INTO journals (name, edition, away, folder, host, at) VALUES"
	       " ('anna', 'e', 1, 'shared', 'mx2', 5), ('berta', 'e', 1, 'shared', 'mx1', 5),"
	       " ('carla', 'e', 0, 'shared', 'mx1', 5), ('doris', 'e', 1, 'other', 'mx1', 5)");
	assert_away(&mx1, "anna berta");
	offer("anna", "id-of-mx2");
	offer("berta", "id-of-mx1");
	assert_away(&mx1, "anna berta");
	assert_int_equal(pick(&mx2, 1), 1);
	assert_away(&mx1, "berta");
	assert_away(&mx3, "berta");
	assert_away(&mx2, "anna berta");
	let_lapse(&mx2);
	assert_away(&mx1, "berta");
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_away(&mx1, "anna berta");
}

static void assert_where(int known, bool is_away, const char *folder, const char *host,
			 int64_t size)
{
	struct journal_whereabouts at;

	memset(&at, 'x', sizeof at);
	assert_int_equal(store_journal_where(mx1.store, "anna", &at, &err), known);
	assert_int_equal(at.away, is_away);
	assert_string_equal(at.folder, folder);
	assert_string_equal(at.host, host);
	assert_int_equal(at.size, size);
}

static void test_whereabouts(void **state UNUSED)
{
	do_sql("INSERT INTO journals (name, edition, away, folder, host, at, size) VALUES"
	       " ('berta', 'e', 1, 'id-of-mx3', 'mx3', 5, 77)");
	assert_where(0, false, "", "", 0);
	lend("anna", &mx2);
	assert_int_equal(take_journal(&mx2, "anna"), 1);
	assert_where(1, true, "id-of-mx2", "mx2", 0);
	assert_int_equal(put_journal(&mx2, "anna", "e1"), 1);
	do_sql("UPDATE journals SET size = 5000000000 WHERE name = 'anna'");
	assert_where(1, false, "id-of-mx2", "mx2", 5000000000);
	assert_int_equal(take_journal(&mx2, "anna"), 1);
	assert_where(1, true, "id-of-mx2", "mx2", 5000000000);
}

/* ---- engines */

static int show_engine(const struct engine_row *g, void *arg UNUSED)
{
	size_t n = strlen(shown);

	snprintf(shown + n, sizeof shown - n, "%s%s %d of %d", n ? ", " : "", g->host,
		 g->leases, g->workers);
	return 0;
}

static void assert_engines(const char *expected)
{
	shown[0] = '\0';
	OK(store_engines_each(mx1.store, show_engine, NULL, &err));
	assert_string_equal(shown, expected);
}

static void test_engines_say_how_many_passes_they_make(void **state UNUSED)
{
	assert_engines("mx1 0 of 0, mx2 0 of 0, mx3 0 of 0");
	store_engine_lend(mx2.store, 4);
	store_engine_lend(mx3.store, 2);
	assert_engines("mx1 0 of 0, mx2 0 of 0, mx3 0 of 0"); /* with the next beat */
	beat(&mx2);
	beat(&mx3);
	beat(&mx2);
	assert_engines("mx1 0 of 0, mx2 0 of 4, mx3 0 of 2");
	lend("anna", &mx2);
	lend("berta", &mx2);
	lend("carla", &mx3);
	offer("doris", "id-of-mx1");
	assert_engines("mx1 0 of 0, mx2 2 of 4, mx3 1 of 2");
	store_engine_lend(mx2.store, 0);
	beat(&mx2);
	assert_int_equal(end_as(&mx2, "anna", LEASE_RESULT), 1);
	assert_int_equal(close_by(&mx1, "anna"), 1);
	assert_engines("mx1 0 of 0, mx2 1 of 0, mx3 1 of 2");
}

/* All columns of a store on a server; of a file, test_store_file.c compares them. */
static int64_t shape_on_a_server(void)
{
	if (!pg_url())
		return 0;
	return ask("SELECT hashtext(string_agg(table_name || '.' || column_name || ' ' ||"
		   " data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, ''),"
		   " ',' ORDER BY table_name, column_name))"
		   " FROM information_schema.columns WHERE table_schema = 'public'");
}

/* From the version before them. */
static void test_an_older_store_learns_of_leases(void **state UNUSED)
{
	int64_t fresh = shape_on_a_server();

	do_sql("DROP TABLE leases; ALTER TABLE engines DROP COLUMN workers;"
	       "UPDATE meta SET value = '20' WHERE key = 'schema_version'");
	store_close(&st);
	assert_true(!pg_url() || shape_on_a_server() != fresh);
	st = open_store(false);
	assert_int_equal(shape_on_a_server(), fresh);
	assert_int_equal(ask("SELECT value FROM meta WHERE key = 'schema_version'"),
			 STORE_SCHEMA_VERSION);
	assert_engines("mx1 0 of 0, mx2 0 of 0, mx3 0 of 0");
	do_sql("UPDATE engines SET workers = 3 WHERE place = 'id-of-mx2'");
	lend("anna", &mx2);
	assert_leases("anna at work id-of-mx2=mx2");
	assert_engines("mx1 0 of 0, mx2 1 of 3, mx3 0 of 0");
}

#define AT(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AT(test_an_offer_is_made_once),
		AT(test_a_deposed_engine_neither_offers_nor_closes),
		AT(test_own_journals_are_picked_first),
		AT(test_what_one_has_no_other_picks),
		AT(test_a_silent_engine_picks_nothing),
		AT(test_only_the_holder_tells),
		AT(test_what_is_said_has_a_limit),
		AT(test_engines_are_woken),
		AT(test_those_of_one_place),
		AT(test_what_was_not_taken_is_closed),
		AT(test_what_has_ended_is_closed),
		AT(test_what_has_lapsed_is_closed),
		AT(test_what_lies_with_one_that_is_gone_is_closed),
		AT(test_who_is_on_lease_elsewhere),
		AT(test_the_holder_writes_about_him),
		AT(test_the_engine_at_work_keeps_off_whom_it_lent),
		AT(test_a_late_holder_writes_nothing),
		AT(test_one_that_never_picked_needs_a_lease_too),
		AT(test_a_handle_of_no_engine_writes_as_before),
		AT(test_one_that_picked_comes_to_work),
		AT(test_journals_on_lease_elsewhere_are_not_missed),
		AT(test_whereabouts),
		AT(test_engines_say_how_many_passes_they_make),
		AT(test_an_older_store_learns_of_leases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
