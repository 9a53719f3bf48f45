/* Hides: the names of the keys. */
#include "admin/api_json.h"

json_t *api_json_text(const char *s)
{
	json_t *j = json_string(s ? s : "");
	char *copy;

	if (j)
		return j;
	copy = mem_str(s);
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(copy);
	mem_free(&copy);
	return j;
}

json_t *api_json_text_or_null(const char *s)
{
	return s && *s ? api_json_text(s) : json_null();
}

static json_t *time_or_null(int64_t ms)
{
	return ms > 0 ? json_integer(ms) : json_null();
}

static void put(json_t *j, const char *key, json_t *value)
{
	ASSERT(value);
	json_object_set_new(j, key, value);
}

static json_t *live_json(const struct api_live *l)
{
	json_t *j;

	if (!l)
		return json_null();
	j = json_object();
	put(j, "kind", api_json_text(l->kind));
	put(j, "folder", api_json_text(l->folder));
	put(j, "done", json_integer(l->done));
	put(j, "total", json_integer(l->total));
	put(j, "messages", json_integer(l->messages));
	put(j, "bytes", json_integer(l->bytes));
	put(j, "started", time_or_null(l->started));
	put(j, "host", api_json_text(l->host));
	return j;
}

static json_t *progress_json(const struct progress *p)
{
	json_t *j = json_object();

	put(j, "passes", json_integer(p->passes));
	put(j, "ended", time_or_null(p->pass_ended));
	put(j, "took_ms", json_integer(p->pass_took));
	put(j, "clean", json_boolean(p->pass_clean));
	put(j, "error", api_json_text_or_null(p->pass_error));
	put(j, "messages", json_integer(p->messages));
	put(j, "copied", json_integer(p->copied));
	put(j, "verified", json_integer(p->verified));
	put(j, "exceptions", json_integer(p->exceptions));
	put(j, "bytes", json_integer(p->bytes));
	put(j, "last_arrival", time_or_null(p->last_arrival));
	put(j, "strays", json_integer(p->strays));
	put(j, "last_stray", time_or_null(p->last_stray));
	put(j, "quota", api_json_text_or_null(p->quota));
	put(j, "not_before", time_or_null(p->not_before));
	return j;
}

json_t *api_json_user(const struct user *u, const struct api_live *live)
{
	bool held = user_is_held(u->state);
	json_t *j = json_object();

	put(j, "name", api_json_text(u->name));
	put(j, "wave", api_json_text(u->wave));
	put(j, "state", json_string(user_state_name(u->state)));
	put(j, "direction", held ? json_string(direction_name(u->direction)) : json_null());
	put(j, "route", json_string(route_name(user_route(u->state))));
	put(j, "side", json_string(side_name(user_side(u->state, u->direction))));
	put(j, "go", json_boolean(u->go));
	put(j, "change", json_integer(u->change));
	put(j, "epoch", json_integer(u->epoch));
	put(j, "state_since", time_or_null(u->state_since));
	put(j, "hold_until", held ? time_or_null(u->hold_until) : json_null());
	put(j, "attempts", json_integer(u->attempts));
	put(j, "undos", json_integer(u->undos));
	put(j, "next_try", time_or_null(u->next_try));
	put(j, "stuck", api_json_text_or_null(u->stuck_reason));
	put(j, "old_login", api_json_text(u->login[SIDE_OLD]));
	put(j, "new_login", api_json_text(u->login[SIDE_NEW]));
	put(j, "progress", progress_json(&u->progress));
	put(j, "running", live_json(live));
	put(j, "awaited", json_false());
	return j;
}

json_t *api_json_history(const struct history_row *h)
{
	json_t *j = json_object();

	put(j, "id", json_integer(h->id));
	put(j, "at", json_integer(h->at));
	put(j, "user", api_json_text(h->name));
	put(j, "from", api_json_text(h->from_state));
	put(j, "to", api_json_text(h->to_state));
	put(j, "direction", api_json_text(h->direction));
	put(j, "change", json_integer(h->change));
	put(j, "actor", api_json_text(h->actor));
	put(j, "why", api_json_text(h->why));
	return j;
}

json_t *api_json_session(const struct session_row *s)
{
	json_t *j = json_object();

	put(j, "node", api_json_text(s->node));
	put(j, "id", api_json_text(s->id));
	put(j, "user", api_json_text(s->name));
	put(j, "proto", api_json_text(s->proto));
	put(j, "peer", api_json_text(s->peer));
	put(j, "side", api_json_text_or_null(s->side));
	put(j, "state", api_json_text(s->state));
	put(j, "doing", api_json_text(s->doing));
	put(j, "client", api_json_text(s->client));
	put(j, "route", api_json_text(s->route));
	put(j, "since", time_or_null(s->since));
	put(j, "bytes_up", json_integer(s->bytes_up));
	put(j, "bytes_down", json_integer(s->bytes_down));
	return j;
}

json_t *api_json_answer(const struct answer_row *a)
{
	json_t *j = json_object();

	put(j, "node", api_json_text(a->node));
	put(j, "answered", json_boolean(a->request != 0));
	put(j, "ended", json_integer(a->ended));
	put(j, "cut", json_integer(a->cut));
	put(j, "remain", json_integer(a->remain));
	put(j, "doing", api_json_text_or_null(a->doing));
	return j;
}

json_t *api_json_trace_line(const struct trace_line *l)
{
	json_t *j = json_object();

	put(j, "id", json_integer(l->id));
	put(j, "at", json_integer(l->at));
	put(j, "node", api_json_text(l->node));
	put(j, "session", api_json_text(l->session));
	put(j, "way", api_json_text(l->way));
	put(j, "line", api_json_text(l->line));
	return j;
}

json_t *api_json_stranger(const struct stranger_row *s)
{
	json_t *j = json_object();

	put(j, "name", api_json_text(s->name));
	put(j, "first_seen", time_or_null(s->first_seen));
	put(j, "last_seen", time_or_null(s->last_seen));
	put(j, "logins", json_integer(s->logins));
	return j;
}

json_t *api_json_usage(const struct usage_row *u)
{
	json_t *j = json_object();

	put(j, "proto", api_json_text(u->proto));
	put(j, "extension", api_json_text(u->extension));
	put(j, "sessions", json_integer(u->sessions));
	put(j, "last_seen", time_or_null(u->last_seen));
	return j;
}

json_t *api_json_node(const struct node_row *n)
{
	json_t *j = json_object();

	put(j, "node", api_json_text(n->node));
	put(j, "pid", json_integer(n->pid));
	put(j, "incarnation", json_integer(n->incarnation));
	put(j, "started", time_or_null(n->started));
	put(j, "lease_until", time_or_null(n->lease_until));
	put(j, "seen", json_integer(n->seen));
	put(j, "build", api_json_text(n->build));
	put(j, "leaving", json_boolean(n->leaving));
	put(j, "sessions", json_integer(n->sessions));
	put(j, "drain_until", time_or_null(n->drain_until));
	put(j, "health", json_string(!n->counts ? "gone" : n->lapsed ? "silent" : "up"));
	return j;
}

json_t *api_json_spread(const struct spread *s)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)s->count, "p50_ms",
			 (json_int_t)s->p50, "p95_ms", (json_int_t)s->p95, "max_ms",
			 (json_int_t)s->most);
}

json_t *api_json_hold(const struct hold_row *h)
{
	json_t *j = json_object();

	put(j, "id", json_integer(h->id));
	put(j, "at", json_integer(h->at));
	put(j, "user", api_json_text(h->name));
	put(j, "node", api_json_text(h->node));
	put(j, "proto", api_json_text(h->proto));
	put(j, "held_ms", json_integer(h->held_ms));
	put(j, "released_to", api_json_text(h->released_to));
	return j;
}

json_t *api_json_gate_item(const struct api_gate_item *i)
{
	json_t *j = json_object();

	put(j, "name", api_json_text(i->name));
	put(j, "open", json_boolean(i->open));
	put(j, "state", json_string(i->state ? i->state : i->open ? "ok" : "waits"));
	put(j, "remedy", api_json_text_or_null(i->remedy));
	put(j, "text", api_json_text(i->text));
	put(j, "waivable", json_boolean(i->waivable));
	put(j, "waived_for", api_json_text_or_null(i->waived_for));
	return j;
}

json_t *api_json_states(const int64_t count[USER_STATES])
{
	json_t *j = json_object();

	for (int s = 0; s < USER_STATES; s++)
		put(j, user_state_name((enum user_state)s), json_integer(count[s]));
	return j;
}

json_t *api_json_sums(const struct user_sums *s)
{
	json_t *j = json_object();

	put(j, "users", json_integer(s->users));
	put(j, "states", api_json_states(s->states));
	put(j, "stuck", json_integer(s->stuck));
	put(j, "failing", json_integer(s->failing));
	put(j, "go", json_integer(s->go));
	put(j, "messages", json_integer(s->messages));
	put(j, "copied", json_integer(s->copied));
	put(j, "verified", json_integer(s->verified));
	put(j, "to_compare", json_integer(s->to_compare));
	put(j, "exceptions", json_integer(s->exceptions));
	put(j, "users_with_exceptions", json_integer(s->with_exceptions));
	put(j, "bytes", json_integer(s->bytes));
	return j;
}

json_t *api_json_waiver(const struct waiver_row *w)
{
	return json_pack("{s:o, s:o, s:b, s:o, s:o, s:I}", "check", api_json_text(w->item),
			 "name", api_json_text(w->name), "is_wave", w->is_wave, "note",
			 api_json_text(w->note), "by", api_json_text(w->actor), "at",
			 (json_int_t)w->at);
}
