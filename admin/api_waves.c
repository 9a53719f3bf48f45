/* Hides: how the go is given to users and waves, when it counts, and what that would mean. */
#include "admin/api_parts.h"
#include "common/log.h"
#include "common/when.h"
#include "sync/wave.h"

#define RATE_MAX  100000 /* users a minute, and in their first hour */
#define QUIET_MIN 5	 /* nodes tell of a session every 3 s, while it moves */
#define QUIET_MAX 86400

/* ---- what is asked for */

/* 0, or the status of a refusal. */
static int take_number(struct api_call *c, const char *key, int least, int most, int *out)
{
	const json_t *j = json_object_get(c->in, key);
	json_int_t n = json_integer_value(j);

	if (!j)
		return 0;
	if (!json_is_integer(j) || n < least || n > most)
		return api_refuse(c, 400, "give a whole number", "%s must be 1 to %d", key,
				  most);
	*out = (int)n;
	return 0;
}

static int take_time(struct api_call *c, const char *key, int64_t *out)
{
	const char *text = json_string_value(json_object_get(c->in, key));
	struct err e = { 0 };

	if (!text || when_parse(slice_of(text), store_now_ms(c->api->store), out, &e) == 0)
		return 0;
	err_wrap(&e, "%s", key);
	return api_fail(c, &e);
}

static int check_timetable(struct api_call *c, const struct timetable *t)
{
	if (!t->is_wave && (t->rate || t->first_hour))
		return api_refuse(c, 400, "give them with \"wave\"",
				  "rate and first_hour are about waves");
	if (t->latest && !t->quiet_s)
		return api_refuse(c, 400, "give quiet_s too, or at instead",
				  "latest is when a user goes who was never quiet");
	if (t->latest && t->latest < t->starts)
		return api_refuse(c, 400, "give a later one", "latest is before at");
	return 0;
}

static int take_timetable(struct api_call *c, const struct choice *w, struct timetable *t)
{
	int status;

	*t = (struct timetable){ .name = w->name[0] ? w->name : w->wave,
				 .is_wave = !w->name[0] };
	status = take_time(c, "at", &t->starts);
	if (!status)
		status = take_time(c, "latest", &t->latest);
	if (!status)
		status = take_number(c, "rate", 1, RATE_MAX, &t->rate);
	if (!status)
		status = take_number(c, "first_hour", 1, RATE_MAX, &t->first_hour);
	if (!status)
		status = take_number(c, "quiet_s", QUIET_MIN, QUIET_MAX, &t->quiet_s);
	return status ? status : check_timetable(c, t);
}

static json_t *time_json(int64_t ms)
{
	return ms ? json_integer(ms) : json_null();
}

json_t *api_json_timetable(const struct timetable *t)
{
	char text[WAVE_WHY_MAX];

	wave_timetable_text(t, text, sizeof text);
	return json_pack("{s:o, s:o, s:i, s:i, s:i, s:o, s:b, s:o, s:o}", "at",
			 time_json(t->starts), "latest", time_json(t->latest), "rate", t->rate,
			 "first_hour", t->first_hour, "quiet_s", t->quiet_s, "text",
			 api_json_text(text), "paused", t->paused, "why",
			 api_json_text_or_null(t->why), "by", api_json_text(t->actor));
}

/* ---- cutover */

/* First when, then the go: nobody begins in between. */
static int write_timetable(struct api_call *c, const struct choice *w,
			   const struct timetable *t, bool go, struct err *e)
{
	if (!go)
		return w->name[0] ? store_timetable_drop(c->api->store, w->name, false, e) : 0;
	return store_timetable_write(c->api->store, t, e);
}

static int give_go(struct api_call *c, const struct choice *w, struct timetable *t)
{
	const char *one = w->name[0] ? w->name : NULL;
	bool go = !json_is_false(json_object_get(c->in, "go"));
	struct err e = { 0 };
	int64_t after = 0;
	int changed = 0;
	char actor[API_ACTOR_MAX];

	api_actor(c, actor);
	t->actor = actor;
	if (store_history_last(c->api->store, &after, &e) < 0 ||
	    write_timetable(c, w, t, go, &e) < 0 ||
	    store_users_go(c->api->store, one, one ? NULL : w->wave, go, &changed, &e) < 0)
		return api_fail(c, &e);
	log_info(&(struct log_about){ .what = "operator", .user = one, .id = w->wave },
		 "go %s for %d of %zu users (%s)", go ? "given" : "withdrawn", changed, w->count,
		 c->request->who);
	api_put_choice(c, w);
	json_object_set_new(c->out, "changed", json_integer(changed));
	json_object_set_new(c->out, "after", json_integer(after));
	json_object_set_new(c->out, "timetable", api_json_timetable(t));
	api_poke(c->api);
	return 202;
}

/* ---- the same, only looked at */

/* Not what this very command gives, nor what passes by itself. */
static bool counts_in_dry_run(const char *item)
{
	return strcmp(item, "go") != 0 && strcmp(item, "when") != 0 &&
	       strcmp(item, "slot") != 0;
}

static void add_waiting(const struct api_gate_item *i, void *to)
{
	if (!i->open && counts_in_dry_run(i->name))
		json_array_append_new(to, api_json_gate_item(i));
}

static bool is_to_go(const struct user *u)
{
	return u->state <= USER_READY;
}

static int put_due(struct api_call *c, const char *name, int64_t due, json_t *list,
		   struct err *e)
{
	json_t *waits = json_array();
	struct user u = { 0 };
	int got = store_user_get(c->api->store, name, &u, e);

	if (got > 0 && is_to_go(&u)) {
		if (c->api->hooks->why)
			c->api->hooks->why(&u, add_waiting, waits, c->api->arg);
		json_array_append_new(list, json_pack("{s:o, s:s, s:I, s:O}", "user",
						      api_json_text(name), "state",
						      user_state_name(u.state), "not_before",
						      (json_int_t)due, "waits_for", waits));
	}
	user_release(&u);
	json_decref(waits);
	return got < 0 ? -1 : 0;
}

/* When each of those who are still to go may begin, in the order of their names. */
static int schedule(struct api_call *c, const struct timetable *t, int64_t *due, size_t n,
		    struct err *e)
{
	int64_t now = store_now_ms(c->api->store), begun = 0;
	struct wave_count count = { 0 };

	if (t->is_wave &&
	    (store_wave_last_begun(c->api->store, t->name, &begun, e) < 0 ||
	     store_wave_count(c->api->store, t->name, now - WAVE_HOUR_MS, &count, e) < 0))
		return -1;
	wave_schedule(t, now, begun ? wave_next(begun, 0, t->rate) : 0,
		      count.fresh + count.held,
		      count.next_end ? count.next_end + WAVE_HOUR_MS : now, due, n);
	return 0;
}

static int dry_run(struct api_call *c, const struct choice *w, const struct timetable *t)
{
	json_t *list = json_array();
	int64_t *due = mem_array(w->count, sizeof *due);
	struct err e = { 0 };
	int rc = schedule(c, t, due, w->count, &e);

	json_object_set_new(c->out, "users", list);
	json_object_set_new(c->out, "timetable", api_json_timetable(t));
	json_object_set_new(c->out, "more", json_boolean(w->count > API_NAMES_MAX));
	for (size_t i = 0; rc == 0 && i < MIN(w->count, (size_t)API_NAMES_MAX); i++)
		rc = put_due(c, w->names[i], due[json_array_size(list)], list, &e);
	mem_free(&due);
	return rc < 0 ? api_fail(c, &e) : 200;
}

int api_post_cutover(struct api_call *c)
{
	struct choice w;
	struct timetable t;
	int status = api_choose(c, false, &w);

	if (status == 0)
		status = take_timetable(c, &w, &t);
	if (status == 0)
		status = json_is_true(json_object_get(c->in, "dry_run")) ? dry_run(c, &w, &t)
									 : give_go(c, &w, &t);
	api_choice_release(&w);
	return status;
}

/* ---- pause and resume */

static int set_pause(struct api_call *c, const char *wave, bool on)
{
	const char *note = json_string_value(json_object_get(c->in, "note"));
	char actor[API_ACTOR_MAX];
	struct err e = { 0 };
	int changed;

	api_actor(c, actor);
	changed = store_wave_pause(c->api->store, wave, on, actor, note ? note : "", &e);
	if (changed < 0)
		return api_fail(c, &e);
	log_info(&(struct log_about){ .what = "operator", .id = wave }, "wave %s %s (%s)", wave,
		 on ? "paused" : "resumed", c->request->who);
	json_object_set_new(c->out, "wave", api_json_text(wave));
	json_object_set_new(c->out, "changed", json_integer(changed));
	api_poke(c->api);
	return 202;
}

static int post_pause(struct api_call *c, bool on)
{
	struct choice w;
	int status = api_choose(c, false, &w);

	if (status == 0)
		status = w.wave ? set_pause(c, w.wave, on)
				: api_refuse(c, 400, "give \"wave\"", "only waves are paused");
	api_choice_release(&w);
	return status;
}

int api_post_pause(struct api_call *c)
{
	return post_pause(c, true);
}

int api_post_resume(struct api_call *c)
{
	return post_pause(c, false);
}

/* ---- the list */

static int add_wave(const char *wave, void *arg)
{
	json_t *j = json_object();

	json_object_set_new(j, "wave", api_json_text(wave));
	json_object_set_new(j, "timetable", json_null());
	return api_page_add(arg, j);
}

static int add_timetable(const struct timetable *t, void *arg)
{
	struct api_page *p = arg;
	json_t *j;
	size_t i;

	json_array_foreach (p->list, i, j)
		if (t->is_wave &&
		    strcmp(json_string_value(json_object_get(j, "wave")), t->name) == 0)
			json_object_set_new(j, "timetable", api_json_timetable(t));
	return 0;
}

static int count_wave(struct api_call *c, json_t *j, struct err *e)
{
	int64_t since = store_now_ms(c->api->store) - WAVE_HOUR_MS;
	const char *wave = json_string_value(json_object_get(j, "wave"));
	struct wave_count n;

	if (store_wave_count(c->api->store, wave, since, &n, e) < 0)
		return -1;
	json_object_set_new(j, "users", json_integer(n.users));
	json_object_set_new(j, "go", json_integer(n.go));
	json_object_set_new(j, "held", json_integer(n.held));
	json_object_set_new(j, "on_new", json_integer(n.on_new));
	json_object_set_new(j, "first_hour", json_integer(n.fresh));
	return api_put_pulls(c->api, j, wave, e);
}

int api_get_waves(struct api_call *c)
{
	const char *wave = http_param(c->request, "wave");
	struct api_page p = api_page_new(c->api, API_PAGE_MAX);
	struct err e = { 0 };
	json_t *j;
	size_t i;
	int rc = wave ? add_wave(wave, &p) : store_waves_each(c->api->store, add_wave, &p, &e);

	if (rc >= 0)
		rc = store_timetables_each(c->api->store, add_timetable, &p, &e);
	json_array_foreach (p.list, i, j)
		if (rc >= 0)
			rc = count_wave(c, j, &e);
	return api_finish(c, &p, "waves", rc, &e);
}
