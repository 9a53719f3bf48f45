/* Hides: how all users and sessions become one screen, how often the store is made to add up
 * for it, and how fast it went. */
#include "admin/api_parts.h"
#include "certs/folder.h"
#include "common/clock.h"
#include "common/store_engine.h"
#include "common/store_sums.h"
#include "common/store_wave.h"

#define DAY_MS		  86400000LL
#define STATUS_ACTIVE_MAX 50	  /* users shown one by one */
#define RATES_SECONDS	  3600	  /* told without ?seconds= */
#define RATES_POINTS	  240	  /* in one answer */
#define STATUS_HOLDS_MS	  3600000 /* logins that waited are told of the last hour */
#define STATUS_REST \
	20 /* after a summary that took n ms, the next comes no sooner than n × this */

/* ---- users */

struct summary {
	struct user_sums all;
	json_t *waves;
};

static int add_wave(const char *wave, const struct user_sums *s, void *arg)
{
	struct summary *all = arg;
	json_t *j = api_json_sums(s);

	json_object_set_new(j, "wave", api_json_text(wave));
	json_array_append_new(all->waves, j);
	user_sums_add(&all->all, s);
	return 0;
}

static int put_users(struct api *a, json_t *out, struct user_sums *total, struct err *e)
{
	struct summary s = { .waves = json_array() };
	int rc = store_sums_each(a->store, add_wave, &s, e);

	json_object_set_new(out, "users", api_json_sums(&s.all));
	json_object_set_new(out, "waves", s.waves);
	*total = s.all;
	return rc;
}

/* ---- sessions, by protocol and side */

struct session_sums {
	int64_t total, waiting, side[SIDES];
	json_t *protocols;
};

static void count_up(json_t *j, const char *key, int64_t n)
{
	json_object_set_new(j, key,
			    json_integer(json_integer_value(json_object_get(j, key)) + n));
}

static json_t *row_of(json_t *list, const char *proto)
{
	json_t *j = json_array_get(list, json_array_size(list) - 1);

	if (j && strcmp(json_string_value(json_object_get(j, "proto")), proto) == 0)
		return j;
	j = json_pack("{s:o, s:i, s:i, s:i, s:i}", "proto", api_json_text(proto), "total", 0,
		      "old", 0, "new", 0, "waiting", 0);
	json_array_append_new(list, j);
	return j;
}

static int add_sessions(const char *proto, const char *side, bool waiting, int64_t count,
			void *arg)
{
	struct session_sums *s = arg;
	json_t *row = row_of(s->protocols, proto);

	s->total += count;
	count_up(row, "total", count);
	if (waiting) {
		s->waiting += count;
		count_up(row, "waiting", count);
	}
	for (int i = 0; i < SIDES; i++)
		if (strcmp(side, side_name((enum side)i)) == 0) {
			s->side[i] += count;
			count_up(row, side, count);
		}
	return 0;
}

static int put_sessions(struct api *a, json_t *out, int64_t *total, struct err *e)
{
	struct session_sums s = { .protocols = json_array() };
	int rc = store_session_sums_each(a->store, add_sessions, &s, e);

	json_object_set_new(out, "sessions",
			    json_pack("{s:I, s:I, s:I, s:I, s:o}", "total", (json_int_t)s.total,
				      "old", (json_int_t)s.side[SIDE_OLD], "new",
				      (json_int_t)s.side[SIDE_NEW], "waiting",
				      (json_int_t)s.waiting, "protocols", s.protocols));
	*total = s.total;
	return rc;
}

/* ---- the summary */

static int put_holds(struct api *a, json_t *out, struct err *e)
{
	struct spread s;

	if (store_wave_holds(a->store, NULL, store_now_ms(a->store) - STATUS_HOLDS_MS, &s, e) <
	    0)
		return -1;
	json_object_set_new(out, "holds", api_json_spread(&s));
	return 0;
}

static void take_sample(struct api *a, const struct user_sums *u, int64_t sessions)
{
	rates_add(&a->rates, &(struct rate_sample){
				     .at = store_now_ms(a->store),
				     .copied = u->copied,
				     .verified = u->verified,
				     .on_new = u->states[USER_TRAILING] + u->states[USER_DONE] +
					       u->states[USER_RETURNING],
				     .sessions = sessions,
			     });
}

static void put_pace(struct api *a, json_t *out, int64_t left)
{
	struct pace p = rates_pace(&a->rates, left);

	json_object_set_new(out, "pace",
			    json_pack("{s:I, s:I, s:o}", "left", (json_int_t)left,
				      "compared_per_minute", (json_int_t)p.compared_per_minute, "eta_ms",
				      p.eta_ms ? json_integer(p.eta_ms) : json_null()));
}

static int summary_make(struct api *a, json_t *out, struct err *e)
{
	struct user_sums total = { 0 };
	int64_t strangers = 0, sessions = 0;

	if (put_users(a, out, &total, e) < 0 || put_sessions(a, out, &sessions, e) < 0 ||
	    put_holds(a, out, e) < 0 || store_strangers_count(a->store, &strangers, e) < 0 ||
	    api_put_pulls(a, out, NULL, e) < 0)
		return -1;
	json_object_set_new(out, "strangers", json_integer(strangers));
	if (clock_mono_ms() >= a->rates.due) {
		take_sample(a, &total, sessions);
		a->rates.due = clock_mono_ms() + RATES_EVERY_MS;
	}
	put_pace(a, out, total.to_compare);
	return 0;
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

void api_tick(struct api *a)
{
	struct err e = { 0 };

	if (clock_mono_ms() >= a->rates.due && summary_fresh(a, &e) < 0)
		a->rates.due = clock_mono_ms() + RATES_EVERY_MS; /* who asks hears why */
}

/* ---- who is at work */

struct active {
	struct api *api;
	json_t *list;
};

static int add_active(const struct user *u, void *arg)
{
	struct active *w = arg;

	if (json_array_size(w->list) == STATUS_ACTIVE_MAX)
		return 1;
	json_array_append_new(w->list, api_user_now(w->api, u));
	return 0;
}

static void add_live(const char *name, void *to)
{
	struct active *w = to;
	struct user u = { 0 };
	struct err e = { 0 };

	if (json_array_size(w->list) < STATUS_ACTIVE_MAX &&
	    store_user_get(w->api->store, name, &u, &e) > 0 && !user_is_held(u.state))
		add_active(&u, w);
	user_release(&u);
}

/* Those in a pause first, then those that a worker is at. */
static int put_active(struct api_call *c, struct err *e)
{
	struct active w = { c->api, json_array() };
	int rc = store_users_held(c->api->store, add_active, &w, e);

	if (rc >= 0 && c->api->hooks->each_live)
		c->api->hooks->each_live(add_live, &w, c->api->arg);
	json_object_set_new(c->out, "active", w.list);
	return rc < 0 ? -1 : 0;
}

/* ---- how fast it went */

static void add_sample(const struct rate_sample *s, void *arg)
{
	json_array_append_new(arg, json_pack("{s:I, s:I, s:I, s:I, s:I}", "at",
					     (json_int_t)s->at, "copied", (json_int_t)s->copied,
					     "verified", (json_int_t)s->verified, "on_new",
					     (json_int_t)s->on_new, "sessions",
					     (json_int_t)s->sessions));
}

int api_get_rates(struct api_call *c)
{
	uint64_t seconds = RATES_SECONDS;
	json_t *list;
	int status = api_asked_number(c, "seconds", RATES_SPAN_MS / 1000, &seconds);

	if (status)
		return status;
	list = json_array();
	rates_each(&c->api->rates, (int64_t)seconds * 1000, RATES_POINTS, add_sample, list);
	json_object_set_new(c->out, "seconds", json_integer((json_int_t)seconds));
	json_object_set_new(c->out, "samples", list);
	return 200;
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
			      json_pack("{s:o, s:i, s:I, s:i, s:i, s:s}", "host",
					api_json_text(g->host), "pid", g->pid, "started",
					(json_int_t)g->started, "workers", g->workers, "leases",
					g->leases, "is",
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
	if (put_engines(c, &e) < 0 || put_active(c, &e) < 0 ||
	    put_certificates(c, json_object_get(c->out, "warnings"), &e) < 0 ||
	    store_timetables_each(a->store, warn_of_pause, json_object_get(c->out, "warnings"),
				  &e) < 0)
		return api_fail(c, &e);
	return 200;
}
