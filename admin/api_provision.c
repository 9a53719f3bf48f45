/* Hides: how a run of provision is asked for and shown. */
#include "admin/api_parts.h"

/* An account is known there by the user's login on new; names stay what is no address. */
static void use_logins(struct api_call *c, struct choice *w)
{
	char login[STORE_NAME_MAX + 1];
	json_t *u;
	size_t i;

	json_array_foreach (w->users, i, u) {
		const char *raw = json_string_value(json_object_get(u, "new_login"));

		if (!raw || !api_normalise(c->api, raw, login))
			continue;
		mem_free(&w->names[i]);
		w->names[i] = mem_str(login);
	}
}

static int begin(struct api_call *c, struct choice *w)
{
	bool dry_run = json_is_true(json_object_get(c->in, "dry_run"));
	struct err e = { 0 };
	int64_t run = 0;

	use_logins(c, w);
	if (c->api->hooks->provision(w->names, w->count, dry_run, &run, c->api->arg, &e) < 0)
		return api_fail(c, &e);
	json_object_set_new(c->out, "count", json_integer((json_int_t)w->count));
	json_object_set_new(c->out, "run", json_integer(run));
	return 202;
}

/* {"user" | "wave" | "all", "dry_run"} */
int api_post_provision(struct api_call *c)
{
	struct choice w;
	int status;

	if (!c->api->hooks->provision)
		return api_refuse(c, 501, "start the engine", "there is no engine to provision");
	status = api_choose(c, true, &w);
	if (status == 0)
		status = begin(c, &w);
	api_choice_release(&w);
	return status;
}

int api_get_provision(struct api_call *c)
{
	json_t *shown =
		c->api->hooks->provisioned ? c->api->hooks->provisioned(c->api->arg) : NULL;

	if (shown)
		json_object_update(c->out, shown);
	json_decref(shown);
	return 200;
}
