/*
 * The API as the command meets it: a real store, evhttp on a Unix socket in a thread of its
 * own, asked by the real client.
 */
#include "admin/api.h"
#include "admin/client.h"
#include "common/log.h"
#include "common/store_node.h"
#include "common/store_session.h"
#include "common/store_usage.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <setjmp.h>
#include <cmocka.h>

static char dir[64], store_path[96], socket_path[96];
static struct settings settings;
static struct client *client;
static pthread_t thread;
static int wake[2], ready[2];
static char failure[ERR_TEXT_MAX];
static json_t *last;

/* What the hooks have seen: written by the server's thread before it answers. */
static struct {
	int pokes, syncs, journals, journal_waits, shown;
	char traced[64], pulled[128]; /* "anna@example.com " */
} seen;

/* ---- the engine's part */

static void hook_poke(void *arg UNUSED)
{
	seen.pokes++;
}

static int hook_sync(const struct user *u, void *arg UNUSED, struct err *e)
{
	seen.syncs++;
	if (strcmp(u->name, "carl@example.com") == 0)
		return err_set(e, ERR_INPUT, "not now");
	return 0;
}

static void hook_why(const struct user *u UNUSED, api_gate_fn *item, void *to, void *arg UNUSED)
{
	item(&(struct api_gate_item){ .name = "verified",
				      .open = false,
				      .text = "1 of 2 compared" },
	     to);
	item(&(struct api_gate_item){ .name = "quota", .open = true, .waivable = true, .text = "" },
	     to);
}

static bool hook_live(const char *name, struct api_live *out, void *arg UNUSED)
{
	if (strcmp(name, "bob@example.com") != 0)
		return false;
	*out = (struct api_live){
		.kind = "pass", .folder = "INBOX", .done = 3, .total = 9, .bytes = 77
	};
	return true;
}

static void hook_each_live(void (*fn)(const char *name, void *to), void *to, void *arg UNUSED)
{
	fn("bob@example.com", to);
}

static void hook_engine(struct api_engine *out, void *arg UNUSED)
{
	*out = (struct api_engine){ .started = 1, .workers = 1, .workers_max = 4 };
}

static void hook_trace(const char *name, bool on, void *arg UNUSED)
{
	snprintf(seen.traced, sizeof seen.traced, "%s %d", name, on);
}

static bool good_settings;

static bool hook_reload(const struct api_reload *r, void *arg UNUSED)
{
	if (good_settings) {
		r->setting("sync: workers", true, r->to);
		r->setting("run: nodes", false, r->to);
	} else {
		r->mistake("x.conf:3: no such section \"lorry\"", r->to);
	}
	return good_settings;
}

/* Twice on its way from another host; then there is none. */
static int hook_journal(const char *name UNUSED, bool wait, void *arg UNUSED, struct err *e)
{
	seen.journal_waits += wait;
	return seen.journals++ < 2 ? err_set(e, ERR_TEMP, "on its way") : 0;
}

/* Anna waits for OpenSRS's tool, Bob is in a job that stands still. */
static json_t *hook_pulled(const char *user, void *arg UNUSED)
{
	seen.shown++;
	if (strcmp(user, "anna@example.com") == 0)
		return json_pack("{s:s, s:s, s:s}", "user", user, "state", "waiting", "job", "");
	if (strcmp(user, "bob@example.com") == 0)
		return json_pack("{s:s, s:s, s:s}", "user", user, "state", "stuck", "job", "job-7");
	return NULL;
}

static json_t *hook_pull(char *const *users, size_t n, enum api_pull what, void *arg UNUSED,
			 struct err *e UNUSED)
{
	json_t *said = json_array();

	seen.pulled[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(seen.pulled);

		snprintf(seen.pulled + at, sizeof seen.pulled - at, "%s ", users[i]);
		json_array_append_new(said, json_pack("{s:s, s:s, s:s}", "user", users[i], "result",
						      what == API_PULL_UNDO ? "undone" : "open",
						      "text", ""));
	}
	return said;
}

static const struct api_hooks hooks = {
	.pull = hook_pull,
	.pulled = hook_pulled,
	.journal = hook_journal,
	.poke = hook_poke,
	.sync_now = hook_sync,
	.why = hook_why,
	.live = hook_live,
	.each_live = hook_each_live,
	.engine = hook_engine,
	.trace = hook_trace,
	.reload = hook_reload,
};

/* ---- server and client */

static void fill_store(struct store *st)
{
	static const struct user_import rows[] = {
		{ .name = "anna@example.com", .login = { "anna", "anna@new" }, .wave = "1" },
		{ .name = "bob@example.com", .login = { "bob", "bob@new" }, .wave = "1" },
		{ .name = "carl@example.com", .login = { "carl", "carl@new" }, .wave = "2" },
	};
	const int64_t day = 86400000, now = store_now_ms(st), half = day / 2;
	const struct certificate_row certificates[] = {
		{ "", now + 40 * day + half },
		{ "soon.test", now + 20 * day + half },
		{ "gone.test", now - half },
		{ "later.test", now + 21 * day + half },
	};
	struct import_count n;
	struct err e = { 0 };

	if (store_certificates_write(st, "proxy-1", certificates, COUNT(certificates), &e) <
		    0 ||
	    store_users_import(st, rows, COUNT(rows), &n, &e) < 0 ||
	    store_stranger(st, "dora@example.com", &e) < 0 ||
	    store_hold_add(st, "proxy-1",
			   &(struct hold_row){ .name = "anna@example.com",
					       .proto = "imap",
					       .at = now - 5,
					       .held_ms = 840,
					       .released_to = "new" },
			   &e) < 0)
		snprintf(failure, sizeof failure, "%s", e.text);
}

static void on_wake(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	event_base_loopbreak(arg);
}

static void *serve(void *arg UNUSED)
{
	struct event_base *base = event_base_new();
	struct event *stop = event_new(base, wake[0], EV_READ, on_wake, base);
	struct store_opts o = { .path = store_path, .create = true };
	struct http_server *server = NULL;
	struct store *st = NULL;
	struct api *api = NULL;
	struct err e = { 0 };

	event_add(stop, NULL);
	if (store_open(&st, &o, &e) == 0) {
		fill_store(st);
		api = api_new(&(struct api_opts){
			.store = st, .settings = &settings, .hooks = &hooks, .base = base });
		if (http_server_start(&server, base, socket_path, api_answer, api, &e) == 0 &&
		    write(ready[1], "", 1) == 1)
			event_base_dispatch(base);
	}
	if (!server) {
		snprintf(failure, sizeof failure, "%s", e.text);
		if (write(ready[1], "", 1) < 0)
			abort();
	}
	http_server_stop(&server);
	api_free(&api);
	store_close(&st);
	event_free(stop);
	event_base_free(base);
	return NULL;
}

static int set_up(void **state UNUSED)
{
	struct err e = { 0 };
	char c;

	snprintf(dir, sizeof dir, "/tmp/mailferry-api-XXXXXX");
	if (!mkdtemp(dir) || pipe(wake) < 0 || pipe(ready) < 0)
		return -1;
	snprintf(store_path, sizeof store_path, "%s/store.db", dir);
	snprintf(socket_path, sizeof socket_path, "%s/api.sock", dir);
	settings.users.default_domain = mem_str("example.com");
	settings.api.subscribers = 2;
	settings.sync.dir = settings.sync.reports = dir;
	pthread_create(&thread, NULL, serve, NULL);
	if (read(ready[0], &c, 1) != 1 || failure[0])
		return -1;
	return client_new(&client, socket_path, 10, &e);
}

static int tear_down(void **state UNUSED)
{
	char *command = mem_printf("rm -rf '%s'", dir);
	int rc;

	client_free(&client);
	json_decref(last);
	rc = write(wake[1], "", 1) == 1 ? 0 : -1;
	pthread_join(thread, NULL);
	mem_free(&settings.users.default_domain);
	rc |= access(socket_path, F_OK) == 0; /* it must have gone */
	rc |= system(command);
	mem_free(&command);
	return rc;
}

/* Asks; the answer (last) is freed at the next call. */
static json_t *ask(enum client_result expected, const char *path, json_t *body)
{
	struct err e = { 0 };
	enum client_result got;

	json_decref(last);
	last = NULL;
	got = client_ask(client, path, body, &last, &e);
	json_decref(body);
	if (got != expected) {
		char *text = json_dumps(last, 0);

		fail_msg("%s: %d, not %d: %s %s", path, (int)got, (int)expected, e.text,
			 text ? text : "");
	}
	return last;
}

static const char *text_at(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "(none)";
}

static json_int_t int_at(const json_t *j, const char *key)
{
	assert_true(json_is_integer(json_object_get(j, key)));
	return json_integer_value(json_object_get(j, key));
}

/* ---- reading */

static void test_users(void **state UNUSED)
{
	static const char *const keys[] = {
		"name",	      "wave",	   "state",    "direction", "route",
		"side",	      "go",	   "change",   "epoch",	    "state_since",
		"hold_until", "attempts",  "undos",    "next_try",  "stuck",
		"old_login",  "new_login", "progress", "running"
	};
	json_t *j = ask(CLIENT_OK, "/v1/users", NULL), *u, *list = json_object_get(j, "users");

	assert_int_equal(json_array_size(list), 3);
	u = json_array_get(list, 0);
	for (size_t i = 0; i < COUNT(keys); i++)
		if (!json_object_get(u, keys[i]))
			fail_msg("no key %s", keys[i]);
	assert_int_equal(json_object_size(u), COUNT(keys));
	assert_string_equal(text_at(u, "state"), "pending");
	assert_string_equal(text_at(u, "route"), "old");
	assert_true(json_is_null(json_object_get(u, "running")));
	u = json_array_get(list, 1);
	assert_int_equal(int_at(json_object_get(u, "running"), "done"), 3);
	j = ask(CLIENT_OK, "/v1/users?wave=2", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 1);
	j = ask(CLIENT_OK, "/v1/users?state=ready", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 0);
	j = ask(CLIENT_OK, "/v1/users?q=OB%40", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 1);
	j = ask(CLIENT_OK, "/v1/users?only=stuck", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 0);
	j = ask(CLIENT_REFUSED, "/v1/users?only=nice", NULL);
	assert_string_equal(text_at(j, "error"), "no such kind: nice");
}

static void test_pages(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/users?limit=2", NULL);

	assert_int_equal(json_array_size(json_object_get(j, "users")), 2);
	assert_true(json_is_true(json_object_get(j, "more")));
	j = ask(CLIENT_OK, "/v1/users?limit=2&after=bob%40example.com", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "users")), 1);
	assert_true(json_is_false(json_object_get(j, "more")));
}

static void test_one_user(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/users/anna%40EXAMPLE.com", NULL);

	assert_string_equal(text_at(json_object_get(j, "user"), "name"), "anna@example.com");
	j = ask(CLIENT_OK, "/v1/users/anna", NULL); /* the default domain */
	assert_string_equal(text_at(json_object_get(j, "user"), "name"), "anna@example.com");
	j = ask(CLIENT_REFUSED, "/v1/users/zoe", NULL);
	assert_string_equal(text_at(j, "error"), "no user zoe@example.com");
	assert_string_not_equal(text_at(j, "remedy"), "(none)");
}

static void test_why(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/users/anna/why", NULL), *item;

	assert_string_equal(text_at(json_object_get(j, "user"), "name"), "anna@example.com");
	assert_non_null(strstr(text_at(j, "summary"), "not yet logged in"));
	item = json_array_get(json_object_get(j, "waits_for"), 0);
	assert_string_equal(text_at(item, "name"), "verified");
	assert_true(json_is_false(json_object_get(item, "open")));
	assert_true(json_is_array(json_object_get(j, "sessions")));
	assert_true(json_is_array(json_object_get(j, "history")));
}

static void test_status(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/status", NULL);
	json_t *all = json_object_get(j, "users");

	assert_int_equal(int_at(all, "users"), 3);
	assert_int_equal(int_at(json_object_get(all, "states"), "pending"), 3);
	assert_int_equal(json_array_size(json_object_get(j, "waves")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "active")), 1); /* bob */
	assert_int_equal(int_at(j, "strangers"), 1);
	assert_int_equal(int_at(json_object_get(j, "engine"), "workers_max"), 4);
	assert_true(json_is_array(json_object_get(j, "nodes")));
	assert_true(json_is_array(json_object_get(j, "warnings")));
	assert_int_equal(int_at(all, "to_compare"), 0);
	assert_int_equal(int_at(json_object_get(j, "holds"), "p95_ms"), 840);
	assert_true(json_is_null(json_object_get(json_object_get(j, "pace"), "eta_ms")));
	assert_true(
		json_is_array(json_object_get(json_object_get(j, "sessions"), "protocols")));
}

/* The first status is the first sample. */
static void test_rates(void **state UNUSED)
{
	json_t *j, *s;

	ask(CLIENT_OK, "/v1/status", NULL);
	j = ask(CLIENT_OK, "/v1/rates?seconds=60", NULL);
	assert_int_equal(int_at(j, "seconds"), 60);
	assert_int_equal(json_array_size(json_object_get(j, "samples")), 1);
	s = json_array_get(json_object_get(j, "samples"), 0);
	assert_int_equal(int_at(s, "on_new"), 0);
	assert_int_equal(int_at(s, "sessions"), 0);
	ask(CLIENT_REFUSED, "/v1/rates?seconds=86401", NULL);
}

static void test_status_tells_of_certificates(void **state UNUSED)
{
	static const struct {
		const char *name;
		int days;
	} want[] = {
		{ "gone.test", -1 }, { "soon.test", 20 }, { "later.test", 21 }, { "", 40 }
	};
	json_t *j = ask(CLIENT_OK, "/v1/status", NULL), *w;
	json_t *list = json_object_get(j, "certificates");
	int expired = 0, soon = 0, others = 0;
	size_t i;

	assert_int_equal(json_array_size(list), COUNT(want));
	for (i = 0; i < COUNT(want); i++) {
		assert_string_equal(text_at(json_array_get(list, i), "name"), want[i].name);
		assert_int_equal(int_at(json_array_get(list, i), "days"), want[i].days);
	}
	json_array_foreach (json_object_get(j, "warnings"), i, w) {
		const char *text = json_string_value(w);

		if (strstr(text, "certificate for gone.test expired on 2"))
			expired++;
		else if (strstr(text, "certificate for soon.test expires on 2"))
			soon++;
		else if (strstr(text, "certificate"))
			others++;
	}
	assert_int_equal(expired, 1);
	assert_int_equal(soon, 1);
	assert_int_equal(others, 0);
}

static void test_lists(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/strangers", NULL);

	assert_string_equal(text_at(json_array_get(json_object_get(j, "strangers"), 0), "name"),
			    "dora@example.com");
	j = json_object_get(ask(CLIENT_OK, "/v1/domains", NULL), "domains");
	assert_int_equal(json_array_size(j), 1);
	assert_string_equal(text_at(json_array_get(j, 0), "domain"), "example.com");
	assert_true(json_is_null(json_object_get(json_array_get(j, 0), "mx")));
	j = ask(CLIENT_OK, "/v1/holds?user=anna", NULL);
	assert_int_equal(int_at(json_array_get(json_object_get(j, "holds"), 0), "held_ms"),
			 840);
	j = ask(CLIENT_OK, "/v1/holds?user=bob", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "holds")), 0);
	j = ask(CLIENT_OK, "/v1/sessions", NULL);
	assert_true(json_is_array(json_object_get(j, "sessions")));
	j = ask(CLIENT_OK, "/v1/nodes", NULL);
	assert_true(json_is_array(json_object_get(j, "nodes")));
	j = ask(CLIENT_OK, "/v1", NULL);
	assert_true(json_array_size(json_object_get(j, "routes")) > 10);
}

/* ---- doing */

static void test_sync(void **state UNUSED)
{
	json_t *j;

	seen.syncs = 0;
	j = ask(CLIENT_OK, "/v1/sync", json_pack("{s:s}", "wave", "1"));
	assert_int_equal(seen.syncs, 2);
	assert_int_equal(int_at(j, "count"), 2);
	j = ask(CLIENT_OK, "/v1/sync", json_pack("{s:b}", "all", 1));
	assert_int_equal(seen.syncs, 5);
	assert_string_equal(text_at(json_array_get(json_object_get(j, "refused"), 0), "error"),
			    "not now");
	ask(CLIENT_OK, "/v1/sync", json_pack("{s:s}", "user", "anna"));
	assert_int_equal(seen.syncs, 6);
	ask(CLIENT_REFUSED, "/v1/sync", json_pack("{s:s}", "wave", "77"));
	ask(CLIENT_REFUSED, "/v1/sync", json_pack("{s:s}", "user", "zoe"));
	ask(CLIENT_REFUSED, "/v1/sync", json_object());
	ask(CLIENT_REFUSED, "/v1/sync", json_pack("{s:s, s:b}", "wave", "1", "all", 1));
	assert_int_equal(seen.syncs, 6);
}

static bool has_go(const char *path)
{
	return json_is_true(
		json_object_get(json_object_get(ask(CLIENT_OK, path, NULL), "user"), "go"));
}

static void test_cutover(void **state UNUSED)
{
	int pokes = seen.pokes;
	json_t *j = ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s}", "wave", "1"));

	assert_int_equal(int_at(j, "changed"), 2);
	assert_int_equal(int_at(j, "count"), 2);
	assert_true(json_is_integer(json_object_get(j, "after")));
	assert_int_equal(seen.pokes, pokes + 1);
	assert_true(has_go("/v1/users/anna"));
	assert_false(has_go("/v1/users/carl"));
	ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s, s:b}", "user", "anna", "go", 0));
	assert_false(has_go("/v1/users/anna"));
	assert_true(has_go("/v1/users/bob"));
	ask(CLIENT_REFUSED, "/v1/cutover", json_pack("{s:b}", "all", 1));
}

static json_t *first_wave(const char *path)
{
	return json_array_get(json_object_get(ask(CLIENT_OK, path, NULL), "waves"), 0);
}

static void test_when_a_wave_goes(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/cutover",
			json_pack("{s:s, s:i, s:i, s:s, s:b}", "wave", "1", "rate", 30,
				  "first_hour", 1, "at", "2099-01-01T00:00:00Z", "dry_run", 1));
	json_t *users = json_object_get(j, "users");

	assert_int_equal(json_array_size(users), 2);
	assert_int_equal(int_at(json_array_get(users, 1), "not_before") -
				 int_at(json_array_get(users, 0), "not_before"),
			 3600000);
	j = json_object_get(first_wave("/v1/waves"), "timetable"); /* as it was */
	assert_int_equal(int_at(j, "rate"), 0);
	ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s, s:i}", "wave", "1", "rate", 30));
	j = json_object_get(first_wave("/v1/waves?wave=1"), "timetable");
	assert_int_equal(int_at(j, "rate"), 30);
	ask(CLIENT_OK, "/v1/pause", json_pack("{s:s, s:s}", "wave", "1", "note", "full"));
	j = json_object_get(first_wave("/v1/waves?wave=1"), "timetable");
	assert_true(json_is_true(json_object_get(j, "paused")));
	assert_string_equal(json_string_value(json_object_get(j, "why")), "full");
	j = ask(CLIENT_OK, "/v1/resume", json_pack("{s:s}", "wave", "1"));
	assert_int_equal(int_at(j, "changed"), 1);
	ask(CLIENT_OK, "/v1/cutover", json_pack("{s:s, s:b}", "wave", "1", "go", 0));
}

static void test_when_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"{\"user\": \"anna\", \"rate\": 5}",
		"{\"wave\": \"1\", \"rate\": 0}",
		"{\"wave\": \"1\", \"rate\": \"5\"}",
		"{\"wave\": \"1\", \"quiet_s\": 4}",
		"{\"wave\": \"1\", \"at\": \"soon\"}",
		"{\"wave\": \"1\", \"latest\": \"2099-01-01 10:00\"}",
		"{\"wave\": \"1\", \"quiet_s\": 9, \"at\": \"2099-01-02 10:00\","
		" \"latest\": \"2099-01-01 10:00\"}",
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		ask(CLIENT_REFUSED, "/v1/cutover", json_loads(bad[i], 0, NULL));
	assert_false(has_go("/v1/users/bob"));
	ask(CLIENT_REFUSED, "/v1/pause", json_pack("{s:s}", "user", "anna"));
	ask(CLIENT_REFUSED, "/v1/pause", json_pack("{s:s}", "wave", "77"));
	ask(CLIENT_REFUSED, "/v1/report", NULL);
	ask(CLIENT_REFUSED, "/v1/report?wave=77", NULL);
}

static void test_the_past(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/report?wave=1", NULL);

	assert_int_equal(int_at(j, "users"), 2);
	assert_int_equal(int_at(json_object_get(j, "holds"), "p95_ms"), 840);
	j = ask(CLIENT_OK, "/v1/users/anna/logins", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "logins")), 0);
	j = ask(CLIENT_OK, "/v1/users/anna/drops", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "drops")), 0);
}

static void test_reload(void **state UNUSED)
{
	json_t *a;

	good_settings = false;
	a = ask(CLIENT_REFUSED, "/v1/reload", json_object());
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "errors"), 0)),
			    "x.conf:3: no such section \"lorry\"");
	good_settings = true;
	a = ask(CLIENT_OK, "/v1/reload", json_object());
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "taken"), 0)),
			    "sync: workers");
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "kept"), 0)),
			    "run: nodes");
	assert_true(json_integer_value(json_object_get(a, "request")) > 0);
}

static void test_retry_and_requests(void **state UNUSED)
{
	ask(CLIENT_OK, "/v1/retry", json_pack("{s:s}", "user", "anna"));
	ask(CLIENT_REFUSED, "/v1/retry", json_pack("{s:s}", "user", "zoe"));
	ask(CLIENT_OK, "/v1/requests",
	    json_pack("{s:s, s:s}", "verb", "loglevel", "level", "error"));
	assert_int_equal(log_get_level(), LOG_ERROR);
	ask(CLIENT_REFUSED, "/v1/requests",
	    json_pack("{s:s, s:s}", "verb", "loglevel", "level", "loud"));
	ask(CLIENT_REFUSED, "/v1/requests", json_pack("{s:s}", "verb", "drop"));
}

static void test_trace(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/trace", json_pack("{s:s}", "user", "anna"));
	char path[64];

	assert_string_equal(seen.traced, "anna@example.com 1");
	snprintf(path, sizeof path, "/v1/trace?trace=%lld", (long long)int_at(j, "trace"));
	j = ask(CLIENT_OK, path, NULL);
	assert_true(json_is_null(json_object_get(j, "ended")));
	assert_int_equal(json_array_size(json_object_get(j, "lines")), 0);
	ask(CLIENT_OK, "/v1/trace", json_pack("{s:s, s:b}", "user", "anna", "stop", 1));
	assert_string_equal(seen.traced, "anna@example.com 0");
	j = ask(CLIENT_OK, path, NULL);
	assert_string_equal(text_at(j, "ended"), "stopped");
	ask(CLIENT_REFUSED, "/v1/trace?trace=77", NULL);
	ask(CLIENT_REFUSED, "/v1/trace", NULL);
	ask(CLIENT_REFUSED, "/v1/trace", json_object());
	ask(CLIENT_REFUSED, "/v1/trace", json_pack("{s:s, s:i}", "user", "anna", "seconds", 0));
	ask(CLIENT_REFUSED, "/v1/trace", json_pack("{s:s, s:s}", "user", "anna", "bytes", "1"));
}

static void test_drop_and_drain(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/drop",
			json_pack("{s:s, s:b, s:i}", "user", "anna", "force", 1, "seconds", 3));
	json_int_t id = int_at(j, "request");
	char path[64];

	assert_true(id > 0);
	j = ask(CLIENT_OK, "/v1/drop", json_pack("{s:s}", "user", "nobody@example.com"));
	assert_int_equal(int_at(j, "request"), id + 1);
	snprintf(path, sizeof path, "/v1/answers?request=%lld", (long long)id);
	j = ask(CLIENT_OK, path, NULL);
	assert_true(json_is_array(json_object_get(j, "answers")));
	ask(CLIENT_REFUSED, "/v1/drop", json_object());
	ask(CLIENT_REFUSED, "/v1/answers", NULL);
	ask(CLIENT_REFUSED, "/v1/answers?request=x", NULL);
	j = ask(CLIENT_OK, "/v1/drain", json_pack("{s:b}", "all", 1));
	assert_int_equal(int_at(j, "request"), id + 2);
	ask(CLIENT_OK, "/v1/drain", json_pack("{s:b, s:b}", "all", 1, "undo", 1));
	ask(CLIENT_REFUSED, "/v1/drain", json_object());
	ask(CLIENT_REFUSED, "/v1/drain", json_pack("{s:s, s:b}", "node", "x", "all", 1));
	ask(CLIENT_REFUSED, "/v1/drain", json_pack("{s:s}", "node", "proxy-77"));
	ask(CLIENT_REFUSED, "/v1/sessions?after=x", NULL);
	ask(CLIENT_OK, "/v1/sessions?after=a/b/c&side=old&limit=5", NULL);
}

static json_t *csv(const char *text)
{
	return json_pack("{s:s, s:s, s:s}", "csv", text, "file", "users.csv", "folder", dir);
}

static void test_import(void **state UNUSED)
{
	json_t *j = ask(CLIENT_OK, "/v1/import", csv("user,wave,old_login\nemil,3,emil\n"));

	assert_int_equal(int_at(j, "added"), 1);
	j = ask(CLIENT_OK, "/v1/import", csv("user,wave,old_login\nemil,3,emil\n"));
	assert_int_equal(int_at(j, "added"), 0);
	assert_int_equal(int_at(j, "same"), 1);
	ask(CLIENT_REFUSED, "/v1/import",
	    json_pack("{s:s, s:s, s:s}", "csv", "user\n", "file", "x", "folder", "relative"));
}

static void test_import_errors(void **state UNUSED)
{
	json_t *j = ask(CLIENT_REFUSED, "/v1/import",
			csv("user,old_password_file\nfritz,\n,\ngustl,missing.txt\n"));
	json_t *lines = json_object_get(j, "errors");

	assert_int_equal(json_array_size(lines), 2);
	assert_memory_equal(json_string_value(json_array_get(lines, 0)), "users.csv:3: ", 13);
	assert_memory_equal(json_string_value(json_array_get(lines, 1)), "users.csv:4: ", 13);
	ask(CLIENT_REFUSED, "/v1/users/fritz", NULL); /* all or nothing */
	/* What only the store can see. */
	j = ask(CLIENT_REFUSED, "/v1/import", csv("user,aliases\nhanna,anna\n"));
	lines = json_object_get(j, "errors");
	assert_int_equal(json_array_size(lines), 1);
	assert_memory_equal(json_string_value(json_array_get(lines, 0)), "users.csv:2: ", 13);
}

/* ---- wrong requests, in bytes */

/* Sends text, reads to the end of the connection; the status, and the body's "error" for a
 * word. */
static int raw(const char *text, char *answer, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status = 0;
	size_t n = 0;
	ssize_t got;

	memcpy(a.sun_path, socket_path, strlen(socket_path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	while (n + 1 < size && (got = read(fd, answer + n, size - n - 1)) > 0)
		n += (size_t)got;
	answer[n] = '\0';
	close(fd);
	assert_int_equal(sscanf(answer, "HTTP/1.%*d %d", &status), 1);
	return status;
}

#define END " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

static void test_http_errors(void **state UNUSED)
{
	static const struct {
		const char *request;
		int status;
		const char *says;
	} cases[] = {
		{ "GET /v1/status" END "\r\n", 200, "application/json" },
		{ "PUT /v1/status" END "Content-Length: 0\r\n\r\n", 405, "\"error\"" },
		{ "GET /v1/sync" END "\r\n", 405, "wrong method" },
		{ "POST /v1/users" END "Content-Length: 2\r\n\r\n{}", 405, "wrong method" },
		{ "GET /v2/users" END "\r\n", 404, "nothing at" },
		{ "GET /v1/users/" END "\r\n", 404, "nothing at" },
		{ "GET /v1/users/a/b/c" END "\r\n", 404, "nothing at" },
		{ "GET /v1/users/a%0ab" END "\r\n", 400, "no login name" },
		{ "GET /v1/users/a%00b" END "\r\n", 400, "no login name" },
		{ "GET /v1/users?limit=-1" END "\r\n", 400, "limit must be" },
		{ "GET /v1/users?limit=1001" END "\r\n", 400, "limit must be" },
		{ "GET /v1/users?state=odd" END "\r\n", 400, "no such state" },
		{ "GET /v1/history?after=x" END "\r\n", 400, "after must be" },
		{ "POST /v1/sync" END "Content-Length: 3\r\n\r\n{\"u", 400, "no JSON object" },
		{ "POST /v1/sync" END "Content-Length: 2\r\n\r\n[]", 400, "no JSON object" },
		{ "POST /v1/sync" END "Content-Length: 99999999999\r\n\r\n", 413, "" },
	};
	char answer[8192];

	for (size_t i = 0; i < COUNT(cases); i++) {
		int status = raw(cases[i].request, answer, sizeof answer);

		if (status != cases[i].status || !strstr(answer, cases[i].says))
			fail_msg("%s\n→ %s", cases[i].request, answer);
	}
}

static void test_long_header(void **state UNUSED)
{
	char *filler = mem_new(HTTP_HEADERS_MAX + 2), *text, answer[2048];

	memset(filler, 'a', HTTP_HEADERS_MAX + 1);
	text = mem_printf("GET /v1" END "X: %s\r\n\r\n", filler);
	assert_int_equal(raw(text, answer, sizeof answer), 400);
	mem_free(&text);
	filler[HTTP_PATH_MAX + 1] = '\0';
	text = mem_printf("GET /v1/%s" END "\r\n", filler);
	assert_int_equal(raw(text, answer, sizeof answer), 400);
	mem_free(&text);
	mem_free(&filler);
}

static int follow(const char *tail)
{
	char *text = mem_printf("GET /v1/events%s HTTP/1.1\r\nHost: x\r\n\r\n", tail);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, socket_path, strlen(socket_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	mem_free(&text);
	return fd;
}

/* Until all the words have come. */
static void hear(int fd, const char *const *words)
{
	static char heard[1 << 20];
	size_t n = 0;
	ssize_t got;

	while (*words) {
		heard[n] = '\0';
		if (strstr(heard, *words)) {
			words++;
			continue;
		}
		got = read(fd, heard + n, sizeof heard - n - 1);
		if (got <= 0)
			fail_msg("no \"%s\" in: %s", *words, heard);
		n += (size_t)got;
	}
}

static void write_moves(int count, size_t size)
{
	struct store_opts o = { .path = store_path };
	char *why = mem_new(size + 1);
	struct store *st = NULL;
	struct err e = { 0 };

	memset(why, 'y', size);
	assert_int_equal(store_open(&st, &o, &e), 0);
	while (count-- > 0)
		assert_int_equal(store_user_note(st, "anna@example.com", "anna", why, &e), 0);
	store_close(&st);
	mem_free(&why);
}

static void test_events(void **state UNUSED)
{
	char answer[2048];
	int one = follow(""), two = follow("?after=99999");

	hear(one,
	     (const char *[]){ "HTTP/1.1 200", "text/event-stream", "event: summary", NULL });
	hear(two, (const char *[]){ "event: reset", "event: summary", NULL });
	assert_int_equal(raw("GET /v1/events" END "\r\n", answer, sizeof answer), 429);
	write_moves(1, 10);
	hear(one, (const char *[]){ "event: move\ndata: {", "yyyyyyyyyy", NULL });
	hear(two, (const char *[]){ "event: move\ndata: {", "yyyyyyyyyy", NULL });
	close(one);
	close(two);
}

static void assert_history(const char *tail, size_t count, bool more)
{
	char *path = mem_printf("/v1/%s", tail);
	json_t *j = ask(CLIENT_OK, path, NULL);

	mem_free(&path);
	assert_int_equal(json_array_size(json_object_get(j, "history")), count);
	assert_true(json_is_boolean(json_object_get(j, "more")));
	assert_int_equal(json_is_true(json_object_get(j, "more")), more);
}

static void test_the_end_of_the_history(void **state UNUSED)
{
	int64_t rows;

	write_moves(3, 10);
	ask(CLIENT_OK, "/v1/history", NULL);
	rows = (int64_t)json_array_size(json_object_get(last, "history"));
	assert_true(rows >= 3);
	assert_history("history?last=2", 2, true);
	assert_history("history?limit=2", 2, true);
	assert_history("history?last=1000", (size_t)rows, false);
	assert_history("users/anna@example.com/history?last=2", 2, true);
	assert_history("users/carl@example.com/history?last=2", 0, false);
}

static void change_store(const char *sql)
{
	sqlite3 *lite;

	assert_int_equal(sqlite3_open(store_path, &lite), SQLITE_OK);
	sqlite3_busy_timeout(lite, 5000);
	assert_int_equal(sqlite3_exec(lite, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(lite);
}

static const char *waived_for(const char *name)
{
	char *path = mem_printf("/v1/users/%s/why", name);
	json_t *items = json_object_get(ask(CLIENT_OK, path, NULL), "waits_for");

	mem_free(&path);
	assert_int_equal(json_array_size(items), 2);
	return text_at(json_array_get(items, 1), "waived_for");
}

/* Also where the check holds: else nobody could take it back. */
static void test_whose_waiver_it_is(void **state UNUSED)
{
	change_store("INSERT INTO waivers VALUES ('wave', '1', 'quota', 'n', 'a', 1), ('user',"
		     " 'bob@example.com', 'quota', 'n', 'a', 1)");
	assert_string_equal(waived_for("anna@example.com"), "wave");
	assert_string_equal(waived_for("bob@example.com"), "user");
	assert_string_equal(waived_for("carl@example.com"), "(none)");
	change_store("DELETE FROM waivers");
}

static void test_a_drop_is_in_the_history(void **state UNUSED)
{
	json_t *moves;

	ask(CLIENT_OK, "/v1/drop", json_pack("{s:s}", "user", "carl@example.com"));
	ask(CLIENT_OK, "/v1/drop", json_pack("{s:s}", "user", "nobody@example.com"));
	moves = json_object_get(ask(CLIENT_OK, "/v1/users/carl@example.com/history?last=1", NULL),
				"history");
	assert_string_equal(text_at(json_array_get(moves, 0), "why"), "sessions dropped");
	change_store("DELETE FROM history WHERE why LIKE 'sessions dropped%'");
}

/* Nobody is let go from a job that may move again, but by name or by that word. */
static void test_undo_of_pulls(void **state UNUSED)
{
	json_t *users;

	users = json_object_get(ask(CLIENT_OK, "/v1/pull",
				    json_pack("{s:s, s:b}", "wave", "1", "undo", 1)),
				"users");
	assert_string_equal(seen.pulled, "anna@example.com ");
	assert_int_equal(json_array_size(users), 2);
	assert_string_equal(text_at(json_array_get(users, 0), "result"), "undone");
	assert_string_equal(text_at(json_array_get(users, 1), "user"), "bob@example.com");
	assert_string_equal(text_at(json_array_get(users, 1), "result"), "refused");
	assert_non_null(strstr(text_at(json_array_get(users, 1), "text"),
			       "job job-7 stands still"));
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b, s:b}", "wave", "1", "undo", 1, "stuck", 1));
	assert_string_equal(seen.pulled, "bob@example.com ");
	ask(CLIENT_OK, "/v1/pull",
	    json_pack("{s:s, s:b}", "user", "bob@example.com", "undo", 1));
	assert_string_equal(seen.pulled, "bob@example.com ");
	ask(CLIENT_REFUSED, "/v1/pull", json_pack("{s:s, s:b}", "wave", "1", "stuck", 1));
}

/* The page asks every few seconds: nobody is looked for where there is nobody. */
static void test_pulls_of_a_wave(void **state UNUSED)
{
	seen.shown = 0;
	ask(CLIENT_OK, "/v1/pull?wave=1", NULL);
	assert_int_equal(seen.shown, 0);
	change_store("INSERT INTO pulls VALUES ('anna@example.com', 'waiting', '', '', 0, 0, 0, 0,"
		     " 0, 0, 0)");
	ask(CLIENT_OK, "/v1/pull?wave=1", NULL);
	assert_int_equal(json_array_size(json_object_get(last, "users")), 1);
	assert_int_equal(seen.shown, 1);
	assert_true(json_is_false(json_object_get(last, "more")));
	change_store("DELETE FROM pulls");
}

/* Reads the log, which goes to this file, until the words are in it. */
static const char *await_log(int file, const char *words)
{
	static char text[8192];
	ssize_t n;

	for (int i = 0; i < 1000; i++) {
		n = pread(file, text, sizeof text - 1, 0);
		text[MAX(n, 0)] = '\0';
		if (strstr(text, words))
			return text;
		poll(NULL, 0, 10);
	}
	fail_msg("no \"%s\" in: %s", words, text);
	return text;
}

/* What has changed while the store could not be read is told once it can. */
static void test_events_after_a_failure(void **state UNUSED)
{
	char *path = mem_printf("%s/log", dir);
	int fd = follow(""), kept = dup(2),
	    file = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	struct pollfd more = { .fd = fd, .events = POLLIN };
	const char *log;

	hear(fd, (const char *[]){ "event: summary", NULL });
	log_set_level(LOG_INFO);
	dup2(file, 2);
	change_store("ALTER TABLE sessions RENAME TO gone");
	await_log(file, "api: events: ");
	change_store(
		"INSERT INTO timetables (kind, name, why) VALUES ('wave', 'w9', 'meanwhile')");
	assert_int_equal(poll(&more, 1, 2500), 0); /* two ticks that fail */
	change_store("ALTER TABLE gone RENAME TO sessions");
	hear(fd, (const char *[]){ "meanwhile", NULL });
	log = await_log(file, "api: events are told again");
	dup2(kept, 2);
	assert_null(strstr(strstr(log, "api: events: ") + 1, "api: events: "));
	change_store("DELETE FROM timetables WHERE name = 'w9'");
	close(kept);
	close(file);
	close(fd);
	mem_free(&path);
}

static void test_final_report_waits_for_a_journal(void **state UNUSED)
{
	json_t *said, *x;
	json_int_t users;

	change_store("UPDATE users SET exceptions = 1 WHERE name = 'bob@example.com'");
	seen.journals = seen.journal_waits = 0;
	said = ask(CLIENT_OK, "/v1/report/final", json_object());
	while (strcmp(text_at(said, "state"), "making") == 0) {
		poll(NULL, 0, 20);
		said = ask(CLIENT_OK, "/v1/report/final", NULL);
	}
	assert_string_equal(text_at(said, "state"), "done");
	assert_int_equal(seen.journals, 3);
	assert_int_equal(seen.journal_waits, 0);
	x = json_object_get(json_object_get(json_object_get(said, "document"), "report"),
			    "exceptions");
	assert_int_equal(json_array_size(json_object_get(x, "unread")), 0);
	users = int_at(said, "users");
	said = ask(CLIENT_OK, "/v1/users", NULL);
	assert_int_equal(json_array_size(json_object_get(said, "users")), users);
	change_store("UPDATE users SET exceptions = 0");
}

static void test_slow_reader_of_events(void **state UNUSED)
{
	int fd = follow("?after=0");
	struct pollfd gone = { .fd = fd };

	write_moves(1000, 2000);
	/* Closed while most of what there is was never taken. */
	assert_int_equal(poll(&gone, 1, 30000), 1);
	assert_true(gone.revents & POLLHUP);
	close(fd);
	fd = follow("");
	hear(fd, (const char *[]){ "event: summary", NULL });
	close(fd);
}

static void test_socket(void **state UNUSED)
{
	struct event_base *base = event_base_new();
	struct http_server *second = NULL;
	struct err e = { 0 };
	struct stat st;

	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(http_server_start(&second, base, socket_path, api_answer, NULL, &e),
			 -1);
	assert_non_null(strstr(e.text, "is another engine running?"));
	event_base_free(base);
}

static void test_no_engine(void **state UNUSED)
{
	struct client *c = NULL;
	struct err e = { 0 };
	json_t *answer = NULL;

	assert_int_equal(client_new(&c, "/tmp/mailferry-nowhere/api.sock", 2, &e), 0);
	assert_int_equal(client_ask(c, "/v1", NULL, &answer, &e), CLIENT_NO_ENGINE);
	assert_null(answer);
	assert_non_null(strstr(e.text, "/tmp/mailferry-nowhere/api.sock"));
	client_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_one_user),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_status_tells_of_certificates),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_cutover),
		cmocka_unit_test(test_when_a_wave_goes),
		cmocka_unit_test(test_when_is_refused),
		cmocka_unit_test(test_the_past),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_retry_and_requests),
		cmocka_unit_test(test_drop_and_drain),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_import_errors),
		cmocka_unit_test(test_http_errors),
		cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_the_end_of_the_history),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_events_after_a_failure),
		cmocka_unit_test(test_final_report_waits_for_a_journal),
		cmocka_unit_test(test_whose_waiver_it_is),
		cmocka_unit_test(test_a_drop_is_in_the_history),
		cmocka_unit_test(test_undo_of_pulls),
		cmocka_unit_test(test_pulls_of_a_wave),
		cmocka_unit_test(test_slow_reader_of_events),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_no_engine),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
