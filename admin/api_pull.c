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
	struct api_call *c = arg;
	json_t *shown =
		c->api->hooks->pulled ? c->api->hooks->pulled(u->name, c->api->arg) : NULL;

	if (shown)
		json_array_append_new(json_object_get(c->out, "users"), shown);
	return 0;
}

int api_get_pull(struct api_call *c)
{
	return api_each_asked(c, add_user);
}
