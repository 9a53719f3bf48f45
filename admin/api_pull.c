/* Hides: how OpenSRS's own migration tool is asked for, who is let go from it, and how its work
 * is shown. */
#include "admin/api_parts.h"
#include "common/log.h"
#include "common/store_pull.h"

int api_put_pulls(struct api *a, json_t *out, const char *wave, struct err *e)
{
	int64_t n[PULL_STATES];
	json_t *j = json_object();

	json_object_set_new(out, "pull", j);
	if (store_pull_count(a->store, wave, n, e) < 0)
		return -1;
	for (int s = 0; s < PULL_STATES; s++)
		json_object_set_new(j, pull_state_name((enum pull_state)s), json_integer(n[s]));
	return 0;
}

/* ---- asking */

struct pull_asked {
	enum api_pull what;
	bool stuck;	 /* those of a job that stands still are let go, and nobody else */
	const char *job; /* that was seen to stand still; NULL: whichever does */
};

/* The job that the user is in, if it stands still; freed by the caller. */
static char *still_job(struct api *a, const char *user)
{
	json_t *shown = a->hooks->pulled ? a->hooks->pulled(user, a->arg) : NULL;
	const char *state = json_string_value(json_object_get(shown, "state"));
	char *job = NULL;

	if (state && strcmp(state, pull_state_name(PULL_STUCK)) == 0)
		job = mem_str(json_string_value(json_object_get(shown, "job")));
	json_decref(shown);
	return job;
}

static json_t *verdict(const char *user, const char *result, char *text)
{
	json_t *j = json_pack("{s:o, s:s, s:o}", "user", api_json_text(user), "result", result,
			      "text", api_json_text(text));

	mem_free(&text);
	return j;
}

static json_t *left_alone(const char *user, const char *job)
{
	return verdict(
		user, "refused",
		mem_printf("job %s stands still, and goes on by itself where it moves "
			   "again; remedy: see in OpenSRS's control panel that it is "
			   "over, then `mailferry pull %s --undo`, or --stuck for all of "
			   "the wave",
			   job, user));
}

static json_t *of_another_job(const char *user, const char *job, const char *meant)
{
	return verdict(user, "refused",
		       mem_printf("not %s but %s stands still now; remedy: see in OpenSRS's "
				  "control panel that it is over, then ask again",
				  meant, job));
}

/*
 * Is the user let go by an undo? Else a word to him, if there is any, goes to left. A job that
 * stands still may move again at any time, and with our own passes beside it mail would come
 * twice: so nobody is let go from one who was not named, or asked for by that word; and by that
 * word nobody who only waits.
 */
static bool is_meant(struct api_call *c, const struct choice *w, const struct pull_asked *x,
		     const char *user, json_t *left)
{
	char *job = still_job(c->api, user);
	bool meant = x->stuck ? job && (!x->job || strcmp(job, x->job) == 0) : !job;

	if (!meant && job)
		json_array_append_new(left, x->stuck ? of_another_job(user, job, x->job)
						     : left_alone(user, job));
	else if (!meant && !w->wave)
		json_array_append_new(
			left, verdict(user, "none", mem_str("no job of his stands still")));
	mem_free(&job);
	return meant;
}

static json_t *undo(struct api_call *c, const struct choice *w, const struct pull_asked *x,
		    struct err *e)
{
	const struct api_hooks *h = c->api->hooks;
	json_t *left = json_array(), *said;
	char **meant = mem_array(w->count, sizeof *meant);
	size_t n = 0;

	/* Of nobody: from then on the engine knows how each of them stands. */
	said = h->pull(w->names, 0, API_PULL_TRY, c->api->arg, e);
	if (said) {
		json_decref(said);
		for (size_t i = 0; i < w->count; i++)
			if (is_meant(c, w, x, w->names[i], left))
				meant[n++] = w->names[i];
		said = h->pull(meant, n, API_PULL_UNDO, c->api->arg, e);
	}
	if (said)
		json_array_extend(said, left);
	json_decref(left);
	mem_free(&meant);
	return said;
}

static json_t *ask_engine(struct api_call *c, const struct choice *w,
			  const struct pull_asked *x, struct err *e)
{
	if (x->what == API_PULL_UNDO && (w->wave || x->stuck))
		return undo(c, w, x, e);
	return c->api->hooks->pull(w->names, w->count, x->what, c->api->arg, e);
}

/* Who waits from now on, or does not any more. */
static size_t changed(const json_t *said, const char **names)
{
	const json_t *v;
	size_t i, n = 0;

	json_array_foreach (said, i, v) {
		const char *result = json_string_value(json_object_get(v, "result"));

		if (strcmp(result, "waits") == 0 || strcmp(result, "undone") == 0)
			names[n++] = json_string_value(json_object_get(v, "user"));
	}
	return n;
}

static void log_asked(const struct api_call *c, const struct choice *w,
		      const struct pull_asked *x, size_t n)
{
	static const char *const words[] = { [API_PULL_TRY] = "looked at",
					     [API_PULL_ASK] = "asked for",
					     [API_PULL_UNDO] = "not waited for any more" };

	log_info(&(struct log_about){ .what = "operator",
				      .user = w->name[0] ? w->name : NULL,
				      .id = w->wave },
		 "OpenSRS's tool: %zu of %zu users %s%s (%s)",
		 x->what == API_PULL_TRY ? w->count : n, w->count, words[x->what],
		 x->stuck ? ", where its job stands still" : "", c->request->who);
}

/* A wave's is in the log alone, but for those of whom mail might come twice. */
static int note_asked(struct api_call *c, const struct choice *w, const struct pull_asked *x,
		      const json_t *said)
{
	const char **names = mem_array(json_array_size(said), sizeof(const char *));
	size_t n = changed(said, names);
	char actor[API_ACTOR_MAX];
	struct err e = { 0 };
	int rc = 0;

	log_asked(c, w, x, n);
	api_actor(c, actor);
	if (n && (!w->wave || x->stuck))
		rc = store_users_note(c->api->store, names, n, actor,
				      x->what == API_PULL_UNDO
					      ? "OpenSRS's tool is not waited for any more"
					      : "OpenSRS's tool is to pull the mail",
				      &e);
	free(names);
	return rc < 0 ? api_fail(c, &e) : 0;
}

/* {"user" | "wave", "dry_run", "undo", "stuck", "job"} */
static int asked_pull(struct api_call *c, struct pull_asked *x)
{
	bool dry_run = json_is_true(json_object_get(c->in, "dry_run"));
	bool taken_back = json_is_true(json_object_get(c->in, "undo"));

	x->stuck = json_is_true(json_object_get(c->in, "stuck"));
	x->job = json_string_value(json_object_get(c->in, "job"));
	x->what = taken_back ? API_PULL_UNDO : dry_run ? API_PULL_TRY : API_PULL_ASK;
	if (!c->api->hooks->pull)
		return api_refuse(c, 501, "start the engine", "there is no engine to pull");
	if (x->stuck && !taken_back)
		return api_refuse(c, 400, "give \"undo\" too", "stuck is about an undo");
	if (x->job && !x->stuck)
		return api_refuse(c, 400, "give \"stuck\" too",
				  "job is the one that stands still");
	return 0;
}

static int post_pull(struct api_call *c, const struct choice *w, const struct pull_asked *x)
{
	struct err e = { 0 };
	json_t *said = ask_engine(c, w, x, &e);
	int status;

	if (!said)
		return api_fail(c, &e);
	status = note_asked(c, w, x, said);
	if (status) {
		json_decref(said);
		return status;
	}
	json_object_set_new(c->out, "users", said);
	return 202;
}

int api_post_pull(struct api_call *c)
{
	struct pull_asked x;
	struct choice w;
	int status = asked_pull(c, &x);

	if (status)
		return status;
	status = api_choose(c, false, &w);
	if (status == 0) {
		status = post_pull(c, &w, &x);
		api_poke(c->api);
	}
	api_choice_release(&w);
	return status;
}

/* ---- how it stands */

/* Of a wave the walk goes by all its users: so it ends with the last of whom there is something
 * to say, and is not begun where there is nobody. */
struct pull_page {
	struct api_page page;
	const char *state; /* only who is in it; NULL: all */
	int64_t left;	   /* of whom something was asked, and who were not met yet */
};

static int add_user(const struct user *u, void *arg)
{
	struct pull_page *p = arg;
	struct api *a = p->page.api;
	json_t *shown = a->hooks->pulled ? a->hooks->pulled(u->name, a->arg) : NULL;
	const char *state = json_string_value(json_object_get(shown, "state"));

	if (!state || (p->state && strcmp(state, p->state) != 0)) {
		json_decref(shown);
		return 0;
	}
	return api_page_add(&p->page, shown) || --p->left <= 0;
}

static int add_one(struct pull_page *p, const char *name, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(p->page.api->store, name, &u, e);

	if (got > 0)
		(void)add_user(&u, p);
	user_release(&u);
	return got;
}

static int add_wave(struct pull_page *p, const struct user_filter *f, struct err *e)
{
	struct store *st = p->page.api->store;
	int64_t n[PULL_STATES];

	if (store_pull_count(st, f->wave, n, e) < 0)
		return -1;
	for (int s = 0; s < PULL_STATES; s++)
		if (!p->state || strcmp(p->state, pull_state_name((enum pull_state)s)) == 0)
			p->left += n[s];
	return p->left ? store_users_each(st, f, add_user, p, e) : 0;
}

/* 0, or the status of a refusal. */
static int asked_state(struct api_call *c, const char *state)
{
	for (int s = 0; state && s < PULL_STATES; s++)
		if (strcmp(state, pull_state_name((enum pull_state)s)) == 0)
			return 0;
	if (!state)
		return 0;
	return api_refuse(c, 400, "states: waiting running done failed stuck",
			  "no such state: %.40s", state);
}

int api_get_pull(struct api_call *c)
{
	const char *wave = http_param(c->request, "wave"), *user = NULL;
	struct user_filter f = { .wave = wave, .after = http_param(c->request, "after") };
	struct pull_page p = { .state = http_param(c->request, "state") };
	struct err e = { 0 };
	int got, status = api_asked_user(c, &user);

	if (!status)
		status = asked_state(c, p.state);
	if (status)
		return status;
	if (!user == !wave)
		return api_refuse(c, 400, "give ?user= or ?wave=", "whom is this about?");
	status = api_asked_page(c, &p.page);
	if (status)
		return status;
	got = wave ? add_wave(&p, &f, &e) : add_one(&p, user, &e);
	if (!wave && got == 0) {
		json_decref(p.page.list);
		return api_no_user(c, user);
	}
	return api_finish(c, &p.page, "users", MIN(got, 0), &e);
}
