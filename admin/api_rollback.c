/* Hides: which users can go back, and what is said of those who cannot. */
#include "admin/api_parts.h"
#include "common/log.h"

#define NOTE_DEFAULT "rollback"

/* A way back writes to old. */
static int check_old(struct api_call *c)
{
	if (c->api->settings->backend[SIDE_OLD].copy == PROTO_IMAP)
		return 0;
	return api_refuse(c, 409, "a return needs IMAP: backend \"old\" { copy = imap }",
			  "old is read by POP3, which cannot take mail back");
}

static int return_all(struct api_call *c, const struct choice *w, const char *note,
		      struct err *e)
{
	json_t *refused = json_object_get(c->out, "refused");
	bool *done = mem_array(w->count, sizeof *done);
	char actor[API_ACTOR_MAX];
	int n;

	api_actor(c, actor);
	n = store_users_return(c->api->store, w->names, w->count, actor, note, done, e);
	for (size_t i = 0; i < w->count && n >= 0; i++)
		if (!done[i])
			json_array_append_new(refused, api_json_text(w->names[i]));
	mem_free(&done);
	return n;
}

static int withdraw(struct api_call *c, const struct choice *w, struct err *e)
{
	bool *done = mem_array(w->count, sizeof *done);
	char actor[API_ACTOR_MAX];
	int n;

	api_actor(c, actor);
	n = store_users_stay(c->api->store, w->names, w->count, actor, done, e);
	mem_free(&done);
	return n;
}

static int roll_back(struct api_call *c, const struct choice *w)
{
	const char *note = json_string_value(json_object_get(c->in, "note"));
	bool go = !json_is_false(json_object_get(c->in, "go"));
	struct err e = { 0 };
	int64_t after = 0;
	int changed;

	json_object_set_new(c->out, "refused", json_array());
	if (store_history_last(c->api->store, &after, &e) < 0)
		return api_fail(c, &e);
	changed = go ? return_all(c, w, note && *note ? note : NOTE_DEFAULT, &e)
		     : withdraw(c, w, &e);
	if (changed < 0)
		return api_fail(c, &e);
	log_info(&(struct log_about){ .what = "operator",
				      .user = w->name[0] ? w->name : NULL,
				      .id = w->wave },
		 "rollback %s for %d of %zu users (%s)", go ? "begins" : "withdrawn", changed,
		 w->count, c->request->who);
	api_put_choice(c, w);
	json_object_set_new(c->out, "changed", json_integer(changed));
	json_object_set_new(c->out, "after", json_integer(after));
	api_poke(c->api);
	return 202;
}

int api_post_rollback(struct api_call *c)
{
	struct choice w;
	int status = check_old(c);

	if (status)
		return status;
	status = api_choose(c, false, &w);
	if (status == 0)
		status = roll_back(c, &w);
	api_choice_release(&w);
	return status;
}
