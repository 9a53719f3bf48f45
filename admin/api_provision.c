/* Hides: how a run of provision is asked for and shown. */
#include "admin/api_parts.h"

/* {"user" | "wave" | "all", "dry_run"} */
int api_post_provision(struct api_call *c)
{
	bool dry_run = json_is_true(json_object_get(c->in, "dry_run"));
	struct choice w;
	struct err e = { 0 };
	int64_t run = 0;
	int status;

	if (!c->api->hooks->provision)
		return api_refuse(c, 501, "start the engine",
				  "there is no engine to provision");
	status = api_choose(c, true, &w);
	if (status == 0)
		status = c->api->hooks->provision(w.names, w.count, dry_run, &run, c->api->arg,
						  &e) < 0
				 ? api_fail(c, &e)
				 : 202;
	if (status == 202) {
		json_object_set_new(c->out, "count", json_integer((json_int_t)w.count));
		json_object_set_new(c->out, "run", json_integer(run));
	}
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
