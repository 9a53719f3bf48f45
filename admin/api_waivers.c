/* Hides: what a waiver of a check must say, and what else follows from it. */
#include "admin/api_parts.h"
#include "common/log.h"
#include "common/store_uidl.h"

static int asked_check(struct api_call *c, struct waiver_row *w, bool on)
{
	const struct api_hooks *h = c->api->hooks;

	if (!h->waivable || !h->waivable(w->item))
		return api_refuse(c, 400, h->waivable_names ? h->waivable_names() : "",
				  "no check of that name that can be waived: %.40s", w->item);
	if (on && (!w->note || !*w->note || strlen(w->note) > STORE_WAIVER_MAX))
		return api_refuse(c, 400, "give \"note\": who decided it, and why",
				  "a waiver needs a note of at most %d bytes",
				  STORE_WAIVER_MAX);
	if (!w->note)
		w->note = "";
	return 0;
}

static int waive_check(struct api_call *c, const struct choice *w, const char *check)
{
	bool on = !json_is_true(json_object_get(c->in, "undo"));
	char actor[API_ACTOR_MAX];
	struct waiver_row row = { .name = w->name[0] ? w->name : w->wave,
				  .is_wave = !w->name[0],
				  .item = check,
				  .note = json_string_value(json_object_get(c->in, "note")),
				  .actor = actor };
	struct err e = { 0 };
	int n, status = asked_check(c, &row, on);

	if (status)
		return status;
	api_actor(c, actor);
	if (store_waive(c->api->store, &row, on, &n, &e) < 0 ||
	    /* The node that answers UIDL asks for this one too. */
	    (strcmp(check, "pop3-ids") == 0 &&
	     store_uidls_accept(c->api->store, w->names, w->count, on, &e) < 0))
		return api_fail(c, &e);
	if (n)
		log_info(&(struct log_about){ .what = "operator",
					      .user = w->name[0] ? w->name : NULL,
					      .id = w->wave },
			 "check %s %s for %d users (%s): %s", check,
			 on ? "waived" : "counts again", n, c->request->who, row.note);
	json_object_set_new(c->out, "count", json_integer(n));
	json_object_set_new(c->out, "check", api_json_text(check));
	api_poke(c->api);
	return 202;
}

int api_post_waive(struct api_call *c)
{
	const char *check = json_string_value(json_object_get(c->in, "check"));
	struct choice w;
	int status;

	if (!check)
		return api_waive_exceptions(c);
	status = api_choose(c, false, &w);
	if (status == 0)
		status = waive_check(c, &w, check);
	api_choice_release(&w);
	return status;
}
