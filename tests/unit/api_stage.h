/*
 * For the tests of the API, as the command meets it: a real store, evhttp on a Unix socket in a
 * thread of its own, asked by the real client. One of them serves all tests of a file.
 */
#include "admin/api.h"
#include "admin/client.h"
#include "common/store_node.h"
#include "common/store_session.h"
#include "common/store_usage.h"

#include <pthread.h>
#include <sqlite3.h>

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
	int pokes, syncs, journals, journal_waits, shown, awaited, verified;
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

/* A pass is asked for while another one runs: that fails, then the one asked for goes well. */
static struct store *store;

static bool hook_awaited(const char *name, void *arg UNUSED)
{
	const struct progress ends[] = {
		{ .pass_ended = 1000, .pass_error = (char[]){ "broke off" } },
		{ .pass_ended = 2000, .pass_clean = true, .messages = 7, .verified = 7 },
	};
	struct err e = { 0 };

	if (strcmp(name, "anna@example.com") != 0 || seen.awaited == 0)
		return false;
	seen.awaited--;
	if (seen.awaited >= 2 ||
	    store_user_progress(store, name, &ends[1 - seen.awaited], &e) == 0)
		return true;
	snprintf(failure, sizeof failure, "%s", e.text);
	return false;
}

/* Bob's is done at once; anna's is forgotten, as by an engine that was started anew; and somebody
 * comes into their wave. */
static int hook_verify(const char *name UNUSED, bool headers_only UNUSED, int64_t sample UNUSED,
		       void *arg UNUSED, struct err *e)
{
	const struct user_import late = { .name = "late@example.com",
					  .login = { "late", "late" },
					  .wave = "1" };
	struct import_count n;

	return store_users_import(store, &late, 1, &n, e);
}

static void hook_verified(const char *name, bool with_document UNUSED, struct api_verified *out,
			  void *arg UNUSED)
{
	if (strcmp(name, "bob@example.com") == 0)
		*out = (struct api_verified){ .state = "done", .text = "", .grade = "perfect" };
	else if (strcmp(name, "anna@example.com") == 0 && seen.verified++ == 0)
		*out = (struct api_verified){ .state = "waiting", .text = "", .grade = "" };
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
	.awaited = hook_awaited,
	.verify = hook_verify,
	.verified = hook_verified,
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
		store = st;
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
static UNUSED json_t *ask(enum client_result expected, const char *path, json_t *body)
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

static UNUSED const char *text_at(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "(none)";
}

static UNUSED json_int_t int_at(const json_t *j, const char *key)
{
	assert_true(json_is_integer(json_object_get(j, key)));
	return json_integer_value(json_object_get(j, key));
}

/* ---- past the API */

static UNUSED void change_store(const char *sql)
{
	sqlite3 *lite;

	assert_int_equal(sqlite3_open(store_path, &lite), SQLITE_OK);
	sqlite3_busy_timeout(lite, 5000);
	assert_int_equal(sqlite3_exec(lite, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(lite);
}

static UNUSED void write_moves(int count, size_t size)
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
