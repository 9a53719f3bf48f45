/* Hides: how "what does this user wait for" is put together. */
#include "admin/api_parts.h"

#define WHY_HISTORY  10 /* last moves shown */
#define WHY_SESSIONS 50

static json_t *stuck_summary(const struct user *u)
{
	char *text = mem_printf("stuck: %s; `mailferry retry %s` tries again", u->stuck_reason,
				u->name);
	json_t *j = api_json_text(text);

	mem_free(&text);
	return j;
}

/* One sentence for a person. */
static json_t *summary_of(const struct user *u)
{
	if (u->stuck_reason && *u->stuck_reason)
		return stuck_summary(u);
	switch (u->state) {
	case USER_PENDING:
		return json_string("the engine has not yet logged in to both mailboxes");
	case USER_PROVISIONED:
		return json_string("waits for a free worker");
	case USER_SYNCING:
		return json_string("mail is being copied and compared");
	case USER_READY:
		return json_string(
			u->go ? "has the go; the cutover starts when nothing below is open"
			      : "in step; waits for `mailferry cutover`");
	case USER_FREEZING:
		return json_string("logins wait; the nodes bring live sessions to rest");
	case USER_FINALIZING:
		return json_string("logins wait; the last changes are copied and compared");
	case USER_TRAILING:
		return json_string("lives on new; what still arrives on old is brought over");
	case USER_DONE:
		return json_string("lives on new; nothing is left to do");
	case USER_RETURNING:
		return json_string(
			u->go ? "lives on new; goes back to old when nothing below is open"
			      : "lives on new, old is kept in step; waits for `mailferry rollback`");
	case USER_STATES:
		break;
	}
	BUG("user state %d", (int)u->state);
}

/* What is waited for, and for whom each check is waived: also one that holds just now, so that
 * this can be seen and taken back. */
struct waits {
	json_t *list, *waived; /* {"quota": "wave"} */
};

static void add_item(const struct api_gate_item *i, void *to)
{
	const struct waits *w = to;
	struct api_gate_item item = *i;

	if (!item.waived_for)
		item.waived_for = json_string_value(json_object_get(w->waived, i->name));
	json_array_append_new(w->list, api_json_gate_item(&item));
}

/* The user's own come first. */
static int add_waiver(const struct waiver_row *r, void *to)
{
	json_t *waived = to;

	if (!json_object_get(waived, r->item))
		json_object_set_new(waived, r->item,
				    json_string(r->is_wave ? "wave" : "user"));
	return 0;
}

static void put_back_off(const struct user *u, struct waits *w, int64_t now)
{
	char text[80];

	/* The gate, which is shown for these, has a row for it. */
	if (u->next_try <= now || u->state == USER_READY || u->state == USER_RETURNING)
		return;
	snprintf(text, sizeof text, "tries again in %lld s, after %d failed",
		 (long long)(u->next_try - now + 999) / 1000, u->attempts);
	add_item(&(struct api_gate_item){ .name = "back-off", .text = text }, w);
}

static int put_quiet(struct api_call *c, const struct user *u, struct err *e)
{
	struct quiet q = { 0 };

	if (u->state != USER_FREEZING)
		return 0;
	if (store_quiet(c->api->store, u->name, u->change, &q, e) < 0)
		return -1;
	json_object_set_new(c->out, "quiet",
			    json_pack("{s:i, s:i, s:i, s:o}", "nodes", q.nodes, "acked",
				      q.acked, "lapsed", q.lapsed, "waiting",
				      api_json_text_or_null(q.waiting)));
	return 0;
}

static int put_waits(struct api_call *c, const struct user *u, struct err *e)
{
	struct waits w = { .list = json_array(), .waived = json_object() };
	int rc;

	json_object_set_new(c->out, "waits_for", w.list);
	rc = store_waivers_each(c->api->store, u->name, u->wave, add_waiver, w.waived, e);
	put_back_off(u, &w, store_now_ms(c->api->store));
	if (c->api->hooks->why)
		c->api->hooks->why(u, add_item, &w, c->api->arg);
	json_decref(w.waived);
	return rc;
}

static int explain(struct api_call *c, const struct user *u, struct err *e)
{
	json_object_set_new(c->out, "user", api_user_now(c->api, u));
	json_object_set_new(c->out, "summary", summary_of(u));
	if (put_waits(c, u, e) < 0 || put_quiet(c, u, e) < 0 ||
	    api_put_sessions(c, u->name, WHY_SESSIONS, e) < 0)
		return -1;
	return api_put_history_tail(c, u->name, WHY_HISTORY, e);
}

int api_get_why(struct api_call *c)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(c->api->store, c->name, &u, &e);

	if (got == 0)
		return api_no_user(c, c->name);
	if (got > 0)
		got = explain(c, &u, &e);
	user_release(&u);
	return got < 0 ? api_fail(c, &e) : 200;
}
