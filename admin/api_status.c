/* Hides: how all users and sessions become one screen, and what that costs on a large store. */
#include "admin/api_parts.h"
#include "certs/folder.h"
#include "common/clock.h"
#include "common/store_wave.h"

#define DAY_MS		  86400000LL
#define STATUS_ACTIVE_MAX 50 /* users shown one by one */
#define STATUS_REST \
	20 /* after a summary that took n ms, the next comes no sooner than n × this */

/* Sums over users: of a wave, or of all. */
struct sums {
	char *wave;
	int64_t users, states[USER_STATES], stuck, go;
	int64_t messages, copied, verified, exceptions, bytes;
};

struct summary {
	struct api *api;
	struct sums all, *waves;
	size_t wave_count;
	json_t *wave_index; /* name → place in waves */
	json_t *active;
};

static void sums_add(struct sums *s, const struct user *u)
{
	s->users++;
	s->states[u->state]++;
	s->stuck += u->stuck_reason && *u->stuck_reason;
	s->go += u->go;
	s->messages += u->progress.messages;
	s->copied += u->progress.copied;
	s->verified += u->progress.verified;
	s->exceptions += u->progress.exceptions;
	s->bytes += u->progress.bytes;
}

static json_t *sums_json(const struct sums *s)
{
	json_t *j = json_object();

	if (s->wave)
		json_object_set_new(j, "wave", api_json_text(s->wave));
	json_object_set_new(j, "users", json_integer(s->users));
	json_object_set_new(j, "states", api_json_states(s->states));
	json_object_set_new(j, "stuck", json_integer(s->stuck));
	json_object_set_new(j, "go", json_integer(s->go));
	json_object_set_new(j, "messages", json_integer(s->messages));
	json_object_set_new(j, "copied", json_integer(s->copied));
	json_object_set_new(j, "verified", json_integer(s->verified));
	json_object_set_new(j, "exceptions", json_integer(s->exceptions));
	json_object_set_new(j, "bytes", json_integer(s->bytes));
	return j;
}

static struct sums *wave_of(struct summary *s, const char *name)
{
	json_t *at = json_object_get(s->wave_index, name);

	if (!at) {
		s->waves = mem_grow(s->waves, s->wave_count + 1, sizeof *s->waves);
		s->waves[s->wave_count] = (struct sums){ .wave = mem_str(name) };
		/* A name that is no UTF-8 finds no place: its users make waves of one. */
		json_object_set_new(s->wave_index, name,
				    json_integer((json_int_t)s->wave_count));
		return &s->waves[s->wave_count++];
	}
	return &s->waves[json_integer_value(at)];
}

static int add_user(const struct user *u, void *arg)
{
	struct summary *s = arg;
	struct api_live live;
	bool running = api_is_live(s->api, u->name, &live);

	sums_add(&s->all, u);
	sums_add(wave_of(s, u->wave ? u->wave : ""), u);
	if ((running || user_is_held(u->state)) &&
	    json_array_size(s->active) < STATUS_ACTIVE_MAX)
		json_array_append_new(s->active, api_json_user(u, running ? &live : NULL));
	return 0;
}

/* ---- sessions and strangers: only counted */

struct session_sums {
	int64_t total, held, side[SIDES];
};

static int add_session(const struct session_row *r, void *arg)
{
	struct session_sums *s = arg;

	s->total++;
	s->held += strcmp(r->state, "PARK") == 0;
	for (int i = 0; i < SIDES; i++)
		s->side[i] += strcmp(r->side, side_name((enum side)i)) == 0;
	return 0;
}

static int put_sessions(struct api *a, json_t *out, struct err *e)
{
	struct session_sums s = { 0 };

	if (store_sessions_each(a->store, NULL, add_session, &s, e) < 0)
		return -1;
	json_object_set_new(out, "sessions",
			    json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)s.total,
				      "old", (json_int_t)s.side[SIDE_OLD], "new",
				      (json_int_t)s.side[SIDE_NEW], "waiting",
				      (json_int_t)s.held));
	return 0;
}

static int count_stranger(const struct stranger_row *r UNUSED, void *arg)
{
	++*(int64_t *)arg;
	return 0;
}

/* ---- the summary */

static void put_waves(struct summary *s, json_t *out)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->wave_count; i++)
		json_array_append_new(list, sums_json(&s->waves[i]));
	json_object_set_new(out, "users", sums_json(&s->all));
	json_object_set_new(out, "waves", list);
	json_object_set(out, "active", s->active);
}

static void summary_release(struct summary *s)
{
	for (size_t i = 0; i < s->wave_count; i++)
		mem_free(&s->waves[i].wave);
	mem_free(&s->waves);
	json_decref(s->wave_index);
	json_decref(s->active);
}

static int summary_make(struct api *a, json_t *out, struct err *e)
{
	struct summary s = { .api = a, .wave_index = json_object(), .active = json_array() };
	struct user_filter everybody = { 0 };
	int64_t strangers = 0;
	int rc = store_users_each(a->store, &everybody, add_user, &s, e);

	if (rc >= 0)
		rc = put_sessions(a, out, e);
	if (rc >= 0)
		rc = store_strangers_each(a->store, count_stranger, &strangers, e);
	if (rc >= 0)
		rc = api_put_pulls(a, out, NULL, e);
	put_waves(&s, out);
	json_object_set_new(out, "strangers", json_integer(strangers));
	summary_release(&s);
	return rc < 0 ? -1 : 0;
}

static int summary_fresh(struct api *a, struct err *e)
{
	int64_t start = clock_mono_ms();
	json_t *made;

	if (a->summary.made && start < a->summary.due)
		return 0;
	made = json_object();
	if (summary_make(a, made, e) < 0) {
		json_decref(made);
		return -1;
	}
	json_decref(a->summary.made);
	a->summary.made = made;
	a->summary.due = clock_mono_ms() + (clock_mono_ms() - start) * STATUS_REST;
	return 0;
}

int api_summary(struct api *a, json_t **out, struct err *e)
{
	if (summary_fresh(a, e) < 0)
		return -1;
	*out = json_incref(a->summary.made);
	return 0;
}

/* ---- the rest of the screen */

static void warn(json_t *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void warn(json_t *list, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(list, api_json_text(text));
}

/* Clear text is a choice that nobody shall forget. */
static json_t *warnings(const struct settings *s)
{
	json_t *list = json_array();

	for (int i = 0; i < SIDES; i++)
		for (int p = 0; p < PROTOS; p++)
			if (s->backend[i].port[p] && s->backend[i].tls[p] == TLS_NONE)
				warn(list, "backend \"%s\": %s without TLS",
				     side_name((enum side)i),
				     protocol_kind_name((enum protocol_kind)p));
	if (s->tls.allow_cleartext)
		warn(list, "clients may send passwords without TLS (tls: allow_cleartext)");
	return list;
}

/* ---- certificates */

struct certificates {
	int64_t now;
	json_t *list, *warnings;
};

static void warn_expiry(json_t *list, const char *name, int64_t not_after, int64_t left)
{
	char day[16];

	if (left >= CERT_WARN_DAYS * DAY_MS)
		return;
	cert_day(not_after / 1000, day);
	warn(list, "the certificate for %s %s on %s", *name ? name : "clients (default)",
	     left <= 0 ? "expired" : "expires", day);
}

static int add_certificate(const struct certificate_row *c, void *arg)
{
	struct certificates *all = arg;
	int64_t left = c->not_after - all->now;

	json_array_append_new(all->list,
			      json_pack("{s:o, s:I, s:I}", "name", api_json_text(c->name),
					"not_after", (json_int_t)c->not_after, "days",
					(json_int_t)(left / DAY_MS - (left < 0))));
	warn_expiry(all->warnings, c->name, c->not_after, left);
	return 0;
}

static int put_certificates(struct api_call *c, json_t *warnings_so_far, struct err *e)
{
	struct certificates all = { store_now_ms(c->api->store), json_array(),
				    warnings_so_far };
	int rc = store_certificates_each(c->api->store, add_certificate, &all, e);

	json_object_set_new(c->out, "certificates", all.list);
	return rc;
}

static int warn_of_pause(const struct timetable *t, void *arg)
{
	if (t->paused)
		warn(arg, "wave %s is paused by %s: %s", t->name, t->actor, t->why);
	return 0;
}

static void warn_engine(const struct api *a, json_t *list)
{
	struct api_engine g = { 0 };

	if (a->hooks->engine)
		a->hooks->engine(&g, a->arg);
	if (g.trouble && *g.trouble)
		warn(list, "%s", g.trouble);
}

static json_t *engine_json(const struct api *a)
{
	struct api_engine g = { 0 };

	if (!a->hooks->engine)
		return json_null();
	a->hooks->engine(&g, a->arg);
	return json_pack("{s:I, s:i, s:i, s:i, s:i, s:b}", "started", (json_int_t)g.started,
			 "workers", g.workers, "workers_max", g.workers_max, "queued", g.queued,
			 "cutovers", g.cutovers, "stands_by", g.stands_by);
}

static int add_engine(const struct engine_row *g, void *arg)
{
	json_array_append_new(arg,
			      json_pack("{s:o, s:i, s:I, s:s}", "host", api_json_text(g->host),
					"pid", g->pid, "started", (json_int_t)g->started, "is",
					g->active   ? "at work"
					: g->silent ? "silent"
						    : "stands by"));
	return 0;
}

/* All that share the store; `engine` is the one that answers. */
static int put_engines(struct api_call *c, struct err *e)
{
	json_t *list = json_array();

	json_object_set_new(c->out, "engines", list);
	return store_engines_each(c->api->store, add_engine, list, e);
}

int api_get_status(struct api_call *c)
{
	struct api *a = c->api;
	struct err e = { 0 };
	int64_t change = 0;

	if (summary_fresh(a, &e) < 0 || store_last_change(a->store, &change, &e) < 0 ||
	    api_put_nodes(a, c->out, &e) < 0)
		return api_fail(c, &e);
	json_object_update(c->out, a->summary.made);
	json_object_set_new(c->out, "version", json_integer(1));
	json_object_set_new(c->out, "now", json_integer(store_now_ms(a->store)));
	json_object_set_new(c->out, "store",
			    json_pack("{s:s, s:I}", "id", store_id(a->store), "last_change",
				      (json_int_t)change));
	json_object_set_new(c->out, "engine", engine_json(a));
	json_object_set_new(c->out, "warnings", warnings(a->settings));
	warn_engine(a, json_object_get(c->out, "warnings"));
	if (put_engines(c, &e) < 0 ||
	    put_certificates(c, json_object_get(c->out, "warnings"), &e) < 0 ||
	    store_timetables_each(a->store, warn_of_pause, json_object_get(c->out, "warnings"),
				  &e) < 0)
		return api_fail(c, &e);
	return 200;
}
