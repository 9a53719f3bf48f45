/* Hides: how a run of provision is asked for and shown. */
#include "admin/api_parts.h"

/* An account is known there by the user's login on new. (Past API_NAMES_MAX they are too many
 * for a run anyway.) */
static char **logins_of(const struct api_call *c, const struct choice *w)
{
	char **list = mem_array(w->count + 1, sizeof *list), login[STORE_NAME_MAX + 1];

	for (size_t i = 0; i < w->count; i++) {
		const char *raw = json_string_value(
			json_object_get(json_array_get(w->users, i), "new_login"));

		list[i] = mem_str(raw && api_normalise(c->api, raw, login) ? login :
									     w->names[i]);
	}
	return list;
}

static int begin(struct api_call *c, const struct choice *w)
{
	bool dry_run = json_is_true(json_object_get(c->in, "dry_run"));
	char **logins = logins_of(c, w);
	struct err e = { 0 };
	int64_t run = 0;
	int rc = c->api->hooks->provision(w->names, logins, w->count, dry_run, &run,
					  c->api->arg, &e);

	for (size_t i = 0; i < w->count; i++)
		mem_free(&logins[i]);
	mem_free(&logins);
	if (rc < 0)
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
