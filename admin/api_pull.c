/* Hides: how OpenSRS's own migration tool is asked for, and how its work is shown. */
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

/* {"user" | "wave", "dry_run", "undo"} */
int api_post_pull(struct api_call *c)
{
	bool dry_run = json_is_true(json_object_get(c->in, "dry_run"));
	bool undo = json_is_true(json_object_get(c->in, "undo"));
	struct err e = { 0 };
	struct choice w;
	json_t *said;
	int status;

	if (!c->api->hooks->pull)
		return api_refuse(c, 501, "start the engine", "there is no engine to pull");
	status = api_choose(c, false, &w);
	if (status == 0) {
		said = c->api->hooks->pull(w.names, w.count,
					   undo	     ? API_PULL_UNDO
					   : dry_run ? API_PULL_TRY
						     : API_PULL_ASK,
					   c->api->arg, &e);
		status = said ? 202 : api_fail(c, &e);
		if (said) {
			log_info(&(struct log_about){ .what = "operator",
						      .user = w.name[0] ? w.name : NULL,
						      .id = w.wave },
				 "OpenSRS's tool %s for %zu users (%s)",
				 undo	   ? "not waited for"
				 : dry_run ? "looked at"
					   : "asked for",
				 w.count, c->request->who);
			json_object_set_new(c->out, "users", said);
		}
		api_poke(c->api);
	}
	api_choice_release(&w);
	return status;
}

static int add_user(const struct user *u, void *arg)
{
	struct api_page *p = arg;
	json_t *shown =
		p->api->hooks->pulled ? p->api->hooks->pulled(u->name, p->api->arg) : NULL;

	return shown ? api_page_add(p, shown) : 0;
}

static int add_one(struct api_page *p, const char *name, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(p->api->store, name, &u, e);

	if (got > 0)
		(void)add_user(&u, p);
	user_release(&u);
	return got;
}

int api_get_pull(struct api_call *c)
{
	const char *wave = http_param(c->request, "wave"), *user = NULL;
	struct user_filter f = { .wave = wave, .after = http_param(c->request, "after") };
	struct err e = { 0 };
	struct api_page p;
	int got, status = api_asked_user(c, &user);

	if (status)
		return status;
	if (!user == !wave)
		return api_refuse(c, 400, "give ?user= or ?wave=", "whom is this about?");
	status = api_asked_page(c, &p);
	if (status)
		return status;
	got = wave ? store_users_each(c->api->store, &f, add_user, &p, &e)
		   : add_one(&p, user, &e);
	if (!wave && got == 0) {
		json_decref(p.list);
		return api_no_user(c, user);
	}
	return api_finish(c, &p, "users", MIN(got, 0), &e);
}
