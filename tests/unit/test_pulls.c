/* OpenSRS's own tool, from the engine's side: who comes into a batch when, and who is never let go. With a worker
 * that does as it is told, and a clock that stands. */
#include <event2/event.h>

#include "sync/order.h"
#include "sync/pulls.h"
#include "tests/unit/store_stage.h"

#define LOOK_MS 1000
#define JOB	"mailferry-1"

/* ---- a worker that is not one */

struct worker {
	worker_fn *fn;
	void *arg;
	int starts, tries;
	bool refused; /* the next ones cannot be started */
	size_t users;
	bool again, partial;
	char names[512]; /* "anna bob " */
};
static struct worker the_worker;

static int start_worker(struct worker **out, const struct job *j, worker_fn *fn, void *arg,
			const struct workshop *shop UNUSED, struct err *e)
{
	struct worker *w = &the_worker;

	w->tries++;
	if (w->refused)
		return err_set(e, ERR_TEMP, "no more processes");
	w->fn = fn;
	w->arg = arg;
	w->starts++;
	w->users = j->pull.count;
	w->again = j->pull.again;
	w->partial = j->pull.partial;
	w->names[0] = '\0';
	for (size_t i = 0; i < j->pull.count && i < 20; i++) {
		size_t at = strlen(w->names);

		snprintf(w->names + at, sizeof w->names - at, "%s ", j->pull.users[i].user);
	}
	*out = w;
	return 0;
}

static void stop_worker(struct worker *w)
{
	const struct worker_event ev = { .kind = WORKER_ENDED, .text = "it was stopped" };

	w->fn(w, &ev, w->arg);
}

static const struct workshop shop = { .start = start_worker, .stop = stop_worker };

/* ---- the scene */

static struct event_base *base;
static struct settings settings;
static struct depot *depot;
static struct pulls *pulls;
static char password[96], secret[96], journals[80];
static size_t ended;

static bool is_busy(const char *user UNUSED, void *arg UNUSED)
{
	return false;
}

static void on_ended(const char *user UNUSED, void *arg UNUSED)
{
	ended++;
}

/* As by an engine that is started anew. */
static void start_engine(void)
{
	const struct pulls_opts o = { .store = st,
				      .settings = &settings,
				      .shop = &shop,
				      .depot = depot,
				      .busy = is_busy,
				      .ended = on_ended };

	pulls = pulls_new(&o);
}

static void write_password(const char *file)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs("secret\n", f);
	fclose(f);
}

static int begin(void **state)
{
	static char old[] = "old.test", new[] = "new.test", plain[] = "plain", copy[] = "copy", cluster[] = "a",
		    admin[] = "admin@shop.adm", server[] = "old.test:993", method[] = "imap4s", host[] = "mx2";

	if (set_up(state) < 0)
		return -1;
	snprintf(password, sizeof password, "%s/password", dir);
	snprintf(journals, sizeof journals, "%s/journals", dir);
	assert_int_equal(mkdir(journals, 0700), 0);
	snprintf(secret, sizeof secret, "%s/secret", dir);
	write_password(password);
	write_password(secret);
	settings = (struct settings){
		.backend = { [SIDE_OLD] = { .host = old }, [SIDE_NEW] = { .host = new } },
		.sync = { .dir = journals, .retry_s = 60, .uids = plain, .deleted = copy },
		.opensrs = { .cluster = cluster, .user = admin, .password_file = secret, .pull_server = server,
			     .pull_method = method, .pull_poll_s = 30, .pull_still_s = 86400, .answer_s = 30,
			     .parallel = 1, .session_tokens = true, .token_hours = 24 },
		.run = { .host = host },
	};
	base = event_base_new();
	the_worker = (struct worker){ 0 };
	ended = 0;
	start_engine();
	return 0;
}

static void end_engine(void)
{
	pulls_stop(pulls);
	pulls_free(&pulls);
}

static int end(void **state)
{
	end_engine();
	depot_free(&depot);
	event_base_free(base);
	return tear_down(state);
}

/* As where several hosts share a store. */
static void with_depot(void)
{
	static char url[] = "postgresql:";
	struct depot_opts o = { .base = base, .store = st, .settings = &settings };

	end_engine();
	settings.store.url = url;
	OK(depot_new(&depot, &o, &err));
	start_engine();
}

/* Journals that the store has, and whose engine is gone: each is to be taken over first. */
static void journals_elsewhere(void)
{
	with_depot();
	do_sql("INSERT INTO journals (name, edition, away, folder, host, at)"
	       " SELECT name, '', 1, 'elsewhere', 'mx1', 0 FROM users");
}

static void bring_all(void)
{
	while (depot_coming(depot))
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void add_one(const char *name)
{
	struct user_import r = row(name, NULL);
	struct import_count count;

	r.password_file[SIDE_OLD] = r.password_file[SIDE_NEW] = password;
	OK(store_users_import(st, &r, 1, &count, &err));
	assert_int_equal(count.added, 1);
}

static void add_many(size_t n)
{
	struct user_import *rows = mem_array(n, sizeof *rows);
	char(*names)[32] = mem_array(n, sizeof *names);
	struct import_count count;

	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof names[i], "u%04zu@ex.test", i);
		rows[i] = row(names[i], NULL);
		rows[i].password_file[SIDE_OLD] = rows[i].password_file[SIDE_NEW] = password;
	}
	OK(store_users_import(st, rows, n, &count, &err));
	assert_int_equal(count.added, n);
	mem_free(&names);
	mem_free(&rows);
}

static int ask_name(const struct user *u, void *arg)
{
	char *const names[] = { u->name };
	json_t *said = pulls_ask(pulls, names, 1, PULLS_ASK, &err);

	assert_string_equal(json_string_value(json_object_get(json_array_get(said, 0), "result")), "waits");
	json_decref(said);
	++*(size_t *)arg;
	return 0;
}

static void ask_for_all(void)
{
	const struct user_filter f = { 0 };
	size_t n = 0;

	OK(store_users_each(st, &f, ask_name, &n, &err));
	assert_true(n > 0);
}

static void look(void)
{
	clock_test_advance(LOOK_MS);
	pulls_tick(pulls);
}

static const char *text_of_user(const char *name, const char *key)
{
	static char out[512];
	json_t *shown = pulls_show(pulls, name);

	assert_non_null(shown);
	snprintf(out, sizeof out, "%s", json_string_value(json_object_get(shown, key)));
	json_decref(shown);
	return out;
}

#define assert_shows(name, key, expected) assert_string_equal(text_of_user(name, key), expected)

/* As the worker tells it. */
static void hear(const char *name, enum pull_state state)
{
	struct pull_item i = { .user = name, .state = state, .folder = "", .text = "", .trace = "",
			       .folders = json_array() };
	const struct job_event told = { .item = job_pull_item_json(&i) };
	const struct worker_event ev = { .kind = WORKER_PULL, .job = &told };

	the_worker.fn(&the_worker, &ev, the_worker.arg);
	json_decref(told.item);
	json_decref(i.folders);
}

static void under_way(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct pull_row r = { .name = names[i], .state = PULL_RUNNING, .job = JOB, .asked = (int64_t)i };

		OK(store_pulls_write(st, &r, 1, &err));
	}
}

/* ---- who comes into a batch */

/* 600 who wait are not 600 journals on their way, and no order is made before all of a batch have come. */
static void journals_of_one_batch_come(void **state UNUSED)
{
	add_many(JOB_PULL_MAX + 100);
	do_sql("UPDATE users SET state = 'provisioned'");
	do_sql("DELETE FROM journals");
	journals_elsewhere();
	ask_for_all();
	do_sql("DELETE FROM journals WHERE name = 'u0000@ex.test'"); /* his is here */
	unlink(password);
	look();
	look();
	assert_int_equal(depot_coming(depot), JOB_PULL_MAX - 1);
	look();
	assert_int_equal(depot_coming(depot), JOB_PULL_MAX - 1);
	assert_shows("u0000@ex.test", "state", "waiting"); /* nobody has missed his password */
	write_password(password);
	bring_all();
	look();
	assert_int_equal(the_worker.starts, 1);
	assert_int_equal(the_worker.users, JOB_PULL_MAX);
	assert_false(the_worker.partial);
	assert_int_equal(depot_coming(depot), 0);
}

/* However many have no account yet: those who have come into one batch. */
static void who_has_no_account_is_not_due(void **state UNUSED)
{
	add_many(JOB_PULL_MAX + 2);
	ask_for_all();
	look();
	go_to("u0007@ex.test", USER_PROVISIONED);
	look();
	assert_int_equal(the_worker.starts, 0);
	go_to("u0501@ex.test", USER_PROVISIONED);
	look();
	assert_int_equal(the_worker.starts, 0);
	look();
	assert_int_equal(the_worker.starts, 1);
	assert_string_equal(the_worker.names, "u0007@ex.test u0501@ex.test ");
	assert_shows("u0001@ex.test", "state", "waiting");
}

/* A move that is undone again is no reason to give the user up. */
static void who_is_being_moved_waits(void **state UNUSED)
{
	add_one("anna@ex.test");
	add_one("bob@ex.test");
	ask_for_all();
	go_up_to("anna@ex.test", USER_FREEZING);
	go_up_to("bob@ex.test", USER_TRAILING);
	look();
	look();
	assert_shows("anna@ex.test", "state", "waiting");
	assert_non_null(strstr(text_of_user("anna@ex.test", "text"), "freezing: that is waited for"));
	assert_shows("bob@ex.test", "state", "failed");
	assert_int_equal(ended, 1);
	go_to("anna@ex.test", USER_READY);
	for (int i = 0; i < 70 && !the_worker.starts; i++)
		look();
	assert_string_equal(the_worker.names, "anna@ex.test ");
}

/* Who is out of the batch has a pass of our own at once; the others' journals are returned later. */
static void a_pass_keeps_the_journal_that_it_has(void **state UNUSED)
{
	const struct pull_row last_try = { .name = "anna@ex.test", .state = PULL_WAITING, .job = "", .tries = 2 };
	struct store_journal at = { 0 };
	bool doubt;
	int got;

	add_one("anna@ex.test");
	add_one("bob@ex.test");
	with_depot();
	ask_for_all();
	do_sql("UPDATE users SET state = 'provisioned'");
	OK(store_pulls_write(st, &last_try, 1, &err));
	end_engine();
	start_engine();
	look();
	look();
	assert_int_equal(the_worker.users, 2);
	hear("anna@ex.test", PULL_FAILED);
	assert_int_equal(ended, 1);
	while ((got = depot_take(depot, "anna@ex.test", &doubt, &err)) == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(got, 1);
	hear("bob@ex.test", PULL_RUNNING);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(store_journal_get(st, "anna@ex.test", &at, &err), 1);
	assert_true(at.away);
	store_journal_release(&at);
	assert_int_equal(store_journal_get(st, "bob@ex.test", &at, &err), 0); /* it has come back */
	depot_return(depot, "anna@ex.test");
}

/* ---- a job that may be under way */

static void who_is_unknown_now_is_not_let_go(void **state UNUSED)
{
	static const char *const names[] = { "anna@ex.test", "bob@ex.test" };

	for (size_t i = 0; i < COUNT(names); i++)
		add_one(names[i]);
	go_to("bob@ex.test", USER_PROVISIONED);
	under_way(names, COUNT(names));
	do_sql("DELETE FROM users WHERE name = 'anna@ex.test'");
	look();
	assert_int_equal(the_worker.starts, 1);
	assert_string_equal(the_worker.names, "bob@ex.test ");
	assert_true(the_worker.again && the_worker.partial);
	assert_shows("anna@ex.test", "state", "running");
	assert_non_null(strstr(text_of_user("anna@ex.test", "text"), "remedy"));
	assert_true(pulls_hold(pulls, "anna@ex.test"));
	assert_int_equal(ended, 0);
	add_one("anna@ex.test"); /* pending: the tool is at him all the same */
	stop_worker(&the_worker);
	for (int i = 0; i < 70 && the_worker.starts < 2; i++)
		look();
	assert_string_equal(the_worker.names, "anna@ex.test bob@ex.test ");
	assert_false(the_worker.partial);
}

/* Without a word each second. */
static void who_cannot_be_followed_is_tried_less_and_less(void **state UNUSED)
{
	static const char *const names[] = { "anna@ex.test" };

	add_one(names[0]);
	go_to(names[0], USER_PROVISIONED);
	under_way(names, 1);
	the_worker.refused = true;
	for (int i = 0; i < 200; i++)
		look();
	assert_in_range(the_worker.tries, 2, 3);
	assert_shows(names[0], "state", "running");
	assert_non_null(strstr(text_of_user(names[0], "text"), "no more processes"));
	the_worker.refused = false;
	for (int i = 0; i < 400 && !the_worker.starts; i++)
		look();
	assert_int_equal(the_worker.starts, 1);
}

static const char *result_of(const json_t *said, size_t i)
{
	return json_string_value(json_object_get(json_array_get(said, i), "result"));
}

static void all_said(enum pulls_ask what, char *const *names, size_t n, const char *result)
{
	json_t *said = pulls_ask(pulls, names, n, what, &err);

	assert_int_equal(json_array_size(said), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(result_of(said, i), result);
	json_decref(said);
}

/* What is not in the store the next engine does not know: nobody is told to wait who is not. */
static void all_are_asked_for_or_none(void **state UNUSED)
{
	char first[] = "u0000@ex.test", second[] = "u0001@ex.test", third[] = "u0002@ex.test";
	char *names[] = { first, second, third };

	add_many(COUNT(names));
	do_sql(pg_url() ? "ALTER TABLE pulls ADD CONSTRAINT no_third CHECK (name <> 'u0002@ex.test')"
			: "CREATE TRIGGER no_third BEFORE INSERT ON pulls WHEN NEW.name = 'u0002@ex.test'"
			  " BEGIN SELECT RAISE(ABORT, 'full'); END");
	assert_null(pulls_ask(pulls, names, COUNT(names), PULLS_ASK, &err));
	for (size_t i = 0; i < COUNT(names); i++)
		assert_null(pulls_show(pulls, names[i]));
	assert_int_equal(ask("SELECT COUNT(*) FROM pulls"), 0);
	do_sql(pg_url() ? "ALTER TABLE pulls DROP CONSTRAINT no_third" : "DROP TRIGGER no_third");
	all_said(PULLS_ASK, names, COUNT(names), "waits");
	assert_int_equal(ask("SELECT COUNT(*) FROM pulls WHERE state = 'waiting'"), COUNT(names));
	all_said(PULLS_UNDO, names, COUNT(names), "undone");
	assert_int_equal(ended, COUNT(names));
	assert_int_equal(ask("SELECT COUNT(*) FROM pulls"), 0);
	all_said(PULLS_UNDO, names, COUNT(names), "none");
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(journals_of_one_batch_come),
		TEST(who_has_no_account_is_not_due),
		TEST(all_are_asked_for_or_none),
		TEST(who_is_being_moved_waits),
		TEST(a_pass_keeps_the_journal_that_it_has),
		TEST(who_is_unknown_now_is_not_let_go),
		TEST(who_cannot_be_followed_is_tried_less_and_less),
	};

	clock_test_freeze();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
