/* What the store knows of waves, and of what clients went through. */
#include "store_stage.h"

#include "common/store_node.h"
#include "common/store_past.h"
#include "common/store_session.h"
#include "common/store_wave.h"

static char seen[1024];

static void PRINTF_LIKE(1, 2) note(const char *fmt, ...)
{
	size_t n = strlen(seen);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen + n, sizeof seen - n, fmt, ap);
	va_end(ap);
}

/* ---- timetables */

static int note_timetable(const struct timetable *t, void *arg UNUSED)
{
	note("%s %s %lld %d %d %d %lld %s%s %s; ", t->is_wave ? "wave" : "user", t->name,
	     (long long)t->starts, t->rate, t->first_hour, t->quiet_s, (long long)t->latest,
	     t->paused ? "paused: " : "on", t->why, t->actor);
	return 0;
}

static void assert_timetables(const char *expected)
{
	seen[0] = '\0';
	OK(store_timetables_each(st, note_timetable, NULL, &err));
	assert_string_equal(seen, expected);
}

static void write_timetable(const char *name, bool is_wave, int rate)
{
	OK(store_timetable_write(st,
				 &(struct timetable){ .name = name,
						      .is_wave = is_wave,
						      .starts = 5000,
						      .rate = rate,
						      .first_hour = 3,
						      .quiet_s = 30,
						      .latest = 9000,
						      .actor = "op" },
				 &err));
}

static void test_the_last_word_about_a_wave_counts(void **state UNUSED)
{
	add_user("anna");
	write_timetable("anna", false, 0);
	write_timetable("2", true, 9);
	assert_timetables("user anna 5000 0 3 30 9000 on op; wave 2 5000 9 3 30 9000 on op; ");
	write_timetable("1", true, 10);
	assert_timetables("wave 1 5000 10 3 30 9000 on op; wave 2 5000 9 3 30 9000 on op; ");
	write_timetable("1", true, 20);
	OK(store_timetable_drop(st, "2", true, &err));
	assert_timetables("wave 1 5000 20 3 30 9000 on op; ");
}

static void test_a_pause_outlives_a_new_timetable(void **state UNUSED)
{
	write_timetable("1", true, 10);
	assert_int_equal(store_wave_pause(st, "1", true, "engine", "too many failed", &err), 1);
	assert_int_equal(store_wave_pause(st, "1", true, "op", "other", &err), 0);
	write_timetable("1", true, 20);
	assert_timetables("wave 1 5000 20 3 30 9000 paused: too many failed engine; ");
	assert_int_equal(store_wave_pause(st, "1", false, "op", "", &err), 1);
	assert_int_equal(store_wave_pause(st, "1", false, "op", "", &err), 0);
	assert_timetables("wave 1 5000 20 3 30 9000 on op; ");
	/* Whoever was never given a timetable can be paused, but not resumed. */
	assert_int_equal(store_wave_pause(st, "7", false, "op", "", &err), 0);
	assert_int_equal(store_wave_pause(st, "7", true, "op", "stop", &err), 1);
	assert_timetables("wave 1 5000 20 3 30 9000 on op; wave 7 0 0 0 0 0 paused: stop op; ");
}

/* ---- counts */

static void test_a_wave_is_counted(void **state UNUSED)
{
	struct wave_count c;
	int64_t begun = -1;
	int n;

	clock_test_freeze();
	add_user("anna");
	add_user("bert");
	add_user("cora");
	add_user("dora");
	OK(store_wave_last_begun(st, "1", &begun, &err));
	assert_int_equal(begun, 0);
	OK(store_users_go(st, NULL, "1", true, &n, &err));
	go_up_to("anna", USER_TRAILING);
	clock_test_advance(5000);
	go_up_to("bert", USER_TRAILING);
	clock_test_advance(1000);
	go_up_to("cora", USER_FINALIZING);
	OK(store_wave_count(st, "1", clock_real_ms() - 2000, &c, &err));
	assert_int_equal(c.users, 4);
	assert_int_equal(c.go, 1);
	assert_int_equal(c.held, 1);
	assert_int_equal(c.on_new, 2);
	assert_int_equal(c.fresh, 1);
	assert_int_equal(c.next_end, clock_real_ms() - 1000);
	OK(store_wave_last_begun(st, "1", &begun, &err));
	assert_int_equal(begun, clock_real_ms());
	OK(store_wave_count(st, "7", 0, &c, &err));
	assert_int_equal(c.users + c.go + c.held + c.on_new + c.fresh + c.next_end, 0);
}

static int note_reason(const char *why, int64_t count, void *arg UNUSED)
{
	note("%lld %s; ", (long long)count, why);
	return 0;
}

static void test_undos_by_reason(void **state UNUSED)
{
	add_user("anna");
	go_up_to("anna", USER_FREEZING);
	go_to("anna", USER_READY);
	go_up_to("anna", USER_FINALIZING);
	go_to("anna", USER_READY);
	seen[0] = '\0';
	OK(store_wave_undos(st, "1", note_reason, NULL, &err));
	assert_string_equal(seen, "2 because; ");
}

static int note_waiver(const struct waiver_row *w, void *arg UNUSED)
{
	note("%s%s %s; ", w->is_wave ? "wave " : "", w->name, w->item);
	return 0;
}

static void waive(const char *name, bool is_wave, const char *item)
{
	struct waiver_row w = {
		.name = name, .is_wave = is_wave, .item = item, .note = "so", .actor = "op"
	};
	int n;

	OK(store_waive(st, &w, true, &n, &err));
}

static void test_flips_and_waivers_of_a_wave(void **state UNUSED)
{
	struct wave_flips f;
	int64_t first;

	clock_test_freeze();
	first = clock_real_ms();
	add_user("anna");
	add_user("bert");
	go_up_to("anna", USER_TRAILING);
	clock_test_advance(10);
	go_up_to("bert", USER_TRAILING);
	go_to("bert", USER_RETURNING);
	go_to("bert", USER_FREEZING);
	go_to("bert", USER_FINALIZING);
	go_to("bert", USER_READY);
	OK(store_wave_flips(st, "1", &f, &err));
	assert_int_equal(f.forward, 2);
	assert_int_equal(f.back, 1);
	assert_int_equal(f.first, first);
	assert_int_equal(f.last, first + 10);
	waive("anna", false, "uids");
	waive("1", true, "names");
	waive("2", true, "quota");
	seen[0] = '\0';
	OK(store_wave_waivers(st, "1", note_waiver, NULL, &err));
	assert_string_equal(seen, "wave 1 names; anna uids; ");
}

static int note_wave(const char *wave, void *arg UNUSED)
{
	note("%s; ", wave);
	return 0;
}

static void test_all_waves(void **state UNUSED)
{
	add_user("anna");
	write_timetable("1", true, 1);
	write_timetable("0", true, 1);
	write_timetable("anna", false, 0);
	seen[0] = '\0';
	OK(store_waves_each(st, note_wave, NULL, &err));
	assert_string_equal(seen, "0; 1; ");
}

/* ---- logins and drops */

static struct login_row login_of(const char *name, const char *side, const char *result,
				 int64_t age_ms)
{
	return (struct login_row){ .name = name,
				   .proto = "imap",
				   .side = side,
				   .result = result,
				   .route = "why",
				   .client = "K-9 6.8",
				   .at = clock_real_ms() - age_ms,
				   .held_ms = 1,
				   .took_ms = 2 };
}

static void log_in(const char *name, const char *side, const char *result, int64_t age_ms)
{
	struct login_row l = login_of(name, side, result, age_ms);

	OK(store_logins_write(st, "p1", &l, 1, &err));
}

static int note_login(const struct login_row *l, void *arg UNUSED)
{
	note("%s %s %s %s %s %s %s %lld %lld %lld; ", l->node, l->name, l->proto, l->side,
	     l->route, l->result, l->client, (long long)(clock_real_ms() - l->at),
	     (long long)l->held_ms, (long long)l->took_ms);
	return 0;
}

static void test_failed_logins_to_new_are_counted(void **state UNUSED)
{
	struct wave_logins n;
	int64_t now;

	clock_test_freeze();
	now = clock_real_ms();
	add_user("anna");
	add_user("bert");
	log_in("anna", "new", LOGIN_OK, 10);
	log_in("anna", "new", LOGIN_REFUSED, 10);
	log_in("anna", "new", LOGIN_FAILED, 9);
	log_in("bert", "new", LOGIN_FAILED, 8);
	log_in("bert", "old", LOGIN_FAILED, 8);
	log_in("bert", "new", LOGIN_FAILED, 100);
	log_in("stranger", "new", LOGIN_FAILED, 8);
	OK(store_wave_logins(st, "1", now - 50, now, &n, &err));
	assert_int_equal(n.total, 4);
	assert_int_equal(n.failed, 3);
	assert_int_equal(n.users, 2);
	OK(store_wave_logins(st, "1", now - 50, now - 9, &n, &err));
	assert_int_equal(n.total, 2);
}

static const struct past_filter of_anna = { .name = "anna" };

static void test_old_logins_go(void **state UNUSED)
{
	clock_test_freeze();
	log_in("anna", "old", LOGIN_OK, STORE_PAST_MS + 1);
	log_in("anna", "new", LOGIN_OK, 7);
	seen[0] = '\0';
	OK(store_logins_each(st, &of_anna, note_login, NULL, &err));
	assert_string_equal(seen, "p1 anna imap new why ok K-9 6.8 7 1 2; ");
}

static void drop(const char *session, const char *client, int64_t age_ms, const char *bye)
{
	struct drop_row d = { .session = session,
			      .name = "anna",
			      .proto = "imap",
			      .side = "old",
			      .doing = "IDLE",
			      .why = DROP_MOVED,
			      .bye = bye,
			      .client = client,
			      .at = clock_real_ms() - age_ms };

	OK(store_drops_write(st, "p1", &d, 1, &err));
}

static int note_drop(const struct drop_row *d, void *arg UNUSED)
{
	note("%s %s %s %s %lld %lld; ", d->session, d->client, d->doing, d->bye,
	     (long long)(clock_real_ms() - d->at), (long long)d->back_ms);
	return 0;
}

static int note_back(const char *client, int64_t drops, const struct spread *s,
		     void *arg UNUSED)
{
	note("%s: %lld %lld %lld %lld %lld; ", client, (long long)drops, (long long)s->count,
	     (long long)s->p50, (long long)s->p95, (long long)s->most);
	return 0;
}

/* The store gives no more of them than a page has, whatever there is. */
static void test_pages_of_the_past(void **state UNUSED)
{
	struct past_filter f = { .name = "anna", .limit = 2 };

	clock_test_freeze();
	for (int age_ms = 40; age_ms > 0; age_ms -= 10) {
		log_in("anna", "old", LOGIN_REFUSED, age_ms);
		log_in("bert", "old", LOGIN_REFUSED, age_ms);
		drop(age_ms == 40   ? "s1"
		     : age_ms == 30 ? "s2"
		     : age_ms == 20 ? "s3"
				    : "s4",
		     "", age_ms, BYE_SENT);
	}
	seen[0] = '\0';
	OK(store_logins_each(st, &f, note_login, NULL, &err));
	OK(store_drops_each(st, &f, note_drop, NULL, &err));
	assert_string_equal(seen, "p1 anna imap old why refused K-9 6.8 40 1 2; "
				  "p1 anna imap old why refused K-9 6.8 30 1 2; "
				  "s1  IDLE sent 40 0; s2  IDLE sent 30 0; ");
	f.newest = true;
	seen[0] = '\0';
	OK(store_logins_each(st, &f, note_login, NULL, &err));
	OK(store_drops_each(st, &f, note_drop, NULL, &err));
	assert_string_equal(seen, "p1 anna imap old why refused K-9 6.8 20 1 2; "
				  "p1 anna imap old why refused K-9 6.8 10 1 2; "
				  "s3  IDLE sent 20 0; s4  IDLE sent 10 0; ");
}

/* Each that comes back takes the place of one that was dropped, its own if its name tells. */
static void test_who_comes_back(void **state UNUSED)
{
	clock_test_freeze();
	add_user("anna");
	drop("s1", "Thunderbird 115", 100, BYE_SENT);
	drop("s2", "K-9 6.8", 90, BYE_SENT);
	drop("s3", "Thunderbird 115", STORE_BACK_MS + 50, BYE_NONE);
	drop("s1", "", 0, BYE_HEARD);
	log_in("anna", "new", LOGIN_REFUSED, 80);
	log_in("anna", "new", LOGIN_OK, 40);
	seen[0] = '\0';
	OK(store_drops_each(st, &of_anna, note_drop, NULL, &err));
	assert_string_equal(seen, "s3 Thunderbird 115 IDLE none 3600050 0; "
				  "s1 Thunderbird 115 IDLE heard 100 0; "
				  "s2 K-9 6.8 IDLE sent 90 50; ");
	log_in("anna", "new", LOGIN_OK, 30);
	log_in("anna", "new", LOGIN_OK, 0);
	seen[0] = '\0';
	OK(store_wave_backs(st, "1", note_back, NULL, &err));
	assert_string_equal(seen, "K-9 6.8: 1 1 50 50 50; Thunderbird 115: 2 1 70 70 70; ");
}

static void test_holds_of_a_wave(void **state UNUSED)
{
	struct spread s;

	clock_test_freeze();
	add_user("anna");
	for (int i = 1; i <= 20; i++)
		OK(store_hold_add(st, "p1",
				  &(struct hold_row){ .name = "anna",
						      .proto = "imap",
						      .at = clock_real_ms() - 100 * i,
						      .held_ms = 10 * i,
						      .released_to = "new" },
				  &err));
	OK(store_wave_holds(st, "1", 0, &s, &err));
	assert_int_equal(s.count, 20);
	assert_int_equal(s.p50, 100);
	assert_int_equal(s.p95, 190);
	assert_int_equal(s.most, 200);
	OK(store_wave_holds(st, "1", clock_real_ms() - 100, &s, &err));
	assert_int_equal(s.most, 10);
	OK(store_wave_holds(st, "2", 0, &s, &err));
	assert_int_equal(s.count + s.p50 + s.p95 + s.most, 0);
}

/* ---- quiet */

static void session(const char *node, const char *id, int64_t quiet_since, bool gone)
{
	struct session_row s = { .id = id,
				 .name = "anna",
				 .proto = "imap",
				 .state = "RELAY",
				 .quiet_since = quiet_since,
				 .gone = gone };

	OK(store_sessions_write(st, node, &s, 1, &err));
}

static int64_t quiet_since(void)
{
	int64_t since = -1;

	OK(store_user_quiet(st, "anna", &since, &err));
	return since;
}

static void test_since_when_a_user_is_quiet(void **state UNUSED)
{
	int64_t p1, p2, end;

	clock_test_freeze();
	OK(store_node_join(st, "p1", &p1, &err));
	OK(store_node_join(st, "p2", &p2, &err));
	assert_int_equal(quiet_since(), 1);
	session("p1", "a", 500, false);
	session("p2", "b", 700, false);
	assert_int_equal(quiet_since(), 700);
	session("p1", "a", 0, false);
	assert_int_equal(quiet_since(), 0);
	session("p1", "a", 0, true);
	assert_int_equal(quiet_since(), 700);
	clock_test_advance(60);
	end = clock_real_ms();
	session("p2", "b", 0, true);
	assert_int_equal(quiet_since(), end);
	session("p2", "b", 0, false); /* of a node that dies */
	clock_test_advance(STORE_LEASE_MS + 1);
	assert_int_equal(quiet_since(), end);
	session("p1", "c", 0, true); /* too short for a row of its own */
	assert_int_equal(quiet_since(), clock_real_ms());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_last_word_about_a_wave_counts),
		TEST(test_a_pause_outlives_a_new_timetable),
		TEST(test_a_wave_is_counted),
		TEST(test_undos_by_reason),
		TEST(test_flips_and_waivers_of_a_wave),
		TEST(test_all_waves),
		TEST(test_failed_logins_to_new_are_counted),
		TEST(test_old_logins_go),
		TEST(test_who_comes_back),
		TEST(test_pages_of_the_past),
		TEST(test_holds_of_a_wave),
		TEST(test_since_when_a_user_is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
