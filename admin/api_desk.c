/* Hides: live sessions in pages, and how nodes are asked to end them. */
#include "admin/api_parts.h"
#include "common/clock.h"
#include "common/log.h"

/* ---- the list */

static int add_session(const struct session_row *s, void *arg)
{
	return api_page_add(arg, api_json_session(s));
}

int api_put_sessions(struct api_call *c, const char *name, size_t limit, struct err *e)
{
	struct api_page p = api_page_new(c->api, limit);
	struct session_filter f = { .name = name };
	int rc = store_sessions_each(c->api->store, &f, add_session, &p, e);

	json_object_set_new(c->out, "sessions", p.list);
	return rc < 0 ? -1 : 0;
}

/* "id/node/name", as "next" gave it: neither of the first two has a slash. */
static bool take_after(char *text, struct session_filter *f)
{
	char *node = strchr(text, '/'), *name = node ? strchr(node + 1, '/') : NULL;

	if (!name)
		return false;
	*node++ = *name++ = '\0';
	f->after.id = text;
	f->after.node = node;
	f->after.name = name;
	return true;
}

static void put_next(struct api_call *c, const struct api_page *p)
{
	const json_t *last = json_array_get(p->list, json_array_size(p->list) - 1);
	char *next;

	if (!p->more || !last)
		return;
	next = mem_printf("%s/%s/%s", json_string_value(json_object_get(last, "id")),
			  json_string_value(json_object_get(last, "node")),
			  json_string_value(json_object_get(last, "user")));
	json_object_set_new(c->out, "next", api_json_text(next));
	mem_free(&next);
}

static int list_sessions(struct api_call *c, struct session_filter *f)
{
	struct err e = { 0 };
	struct api_page p;
	int status = api_asked_page(c, &p), rc;

	if (status)
		return status;
	rc = store_sessions_each(c->api->store, f, add_session, &p, &e);
	put_next(c, &p);
	return api_finish(c, &p, "sessions", rc, &e);
}

int api_get_sessions(struct api_call *c)
{
	struct session_filter f = { .wave = http_param(c->request, "wave"),
				    .node = http_param(c->request, "node"),
				    .side = http_param(c->request, "side"),
				    .proto = http_param(c->request, "proto"),
				    .state = http_param(c->request, "state") };
	char *after = mem_str(http_param(c->request, "after"));
	int status = api_asked_user(c, &f.name);

	if (!status && after && !take_after(after, &f))
		status = api_refuse(c, 400, "give what \"next\" said", "no such page");
	if (!status)
		status = list_sessions(c, &f);
	mem_free(&after);
	return status;
}

/* ---- drop and drain */

/* "seconds" of the body: when force is used, in ms since 1970; 0: never. */
static int64_t asked_cut(const struct api_call *c, bool force)
{
	json_int_t s = json_integer_value(json_object_get(c->in, "seconds"));

	return force ? store_now_ms(c->api->store) + 1000 * MIN(MAX(s, 0), API_CUT_MAX_S) : 0;
}

static int sent(struct api_call *c, int64_t id)
{
	json_object_set_new(c->out, "request", json_integer(id));
	return 202;
}

/* Of who is known; a name that nobody imported has no history. */
static int note_drop(struct api_call *c, const char *name, bool force, struct err *e)
{
	char actor[API_ACTOR_MAX];

	api_actor(c, actor);
	if (store_user_note(c->api->store, name, actor,
			    force ? "sessions dropped, by force" : "sessions dropped", e) == 0)
		return 0;
	if (e->kind != ERR_INPUT)
		return -1;
	err_clear(e);
	return 0;
}

int api_post_drop(struct api_call *c)
{
	const char *user = json_string_value(json_object_get(c->in, "user"));
	bool force = json_is_true(json_object_get(c->in, "force"));
	char name[STORE_NAME_MAX + 1], args[24];
	struct err e = { 0 };
	int64_t id = 0;

	if (!user || !api_normalise(c->api, user, name))
		return api_refuse(c, 400, "give \"user\"", "whose sessions?");
	log_info(&(struct log_about){ .what = "operator", .user = name }, "drop%s (%s)",
		 force ? " by force" : "", c->request->who);
	snprintf(args, sizeof args, "%lld", (long long)asked_cut(c, force));
	if (store_request_ask(c->api->store, "drop", name, args, &id, &e) < 0 ||
	    note_drop(c, name, force, &e) < 0)
		return api_fail(c, &e);
	return sent(c, id);
}

struct find_node {
	const char *name;
	bool found;
};

static int find_node(const struct node_row *n, void *arg)
{
	struct find_node *f = arg;

	f->found = strcmp(n->node, f->name) == 0;
	return f->found;
}

/* 0, or the status of a refusal. */
static int check_node(struct api_call *c, const char *node)
{
	struct find_node f = { .name = node };
	struct err e = { 0 };

	if (store_nodes_each(c->api->store, find_node, &f, &e) < 0)
		return api_fail(c, &e);
	if (!f.found)
		return api_refuse(c, 404, "`mailferry status` names the nodes",
				  "no node %.100s", node);
	return 0;
}

int api_post_drain(struct api_call *c)
{
	const char *node = json_string_value(json_object_get(c->in, "node"));
	bool undo = json_is_true(json_object_get(c->in, "undo"));
	bool all = json_is_true(json_object_get(c->in, "all"));
	struct err e = { 0 };
	int64_t id = 0;
	int status;

	if (all + !!node != 1)
		return api_refuse(c, 400, "give \"node\", or \"all\": true", "which node?");
	status = node ? check_node(c, node) : 0;
	if (status)
		return status;
	log_info(&(struct log_about){ .what = "operator", .id = node }, "drain%s (%s)",
		 undo ? " undone" : "", c->request->who);
	if (store_drain(c->api->store, node, asked_cut(c, !undo), &id, &e) < 0)
		return api_fail(c, &e);
	return sent(c, id);
}

int api_post_forget(struct api_call *c)
{
	const char *node = json_string_value(json_object_get(c->in, "node"));
	struct err e = { 0 };
	int status, forgotten;

	if (!node)
		return api_refuse(c, 400, "give \"node\"", "which node?");
	status = check_node(c, node);
	if (status)
		return status;
	forgotten = store_node_forget(c->api->store, node, &e);
	if (forgotten < 0)
		return api_fail(c, &e);
	if (forgotten == 0)
		return api_refuse(c, 409, "stop it, and wait until it counts as gone",
				  "node %s was heard of less than %d s ago", node,
				  STORE_FENCE_MS / 1000);
	log_info(&(struct log_about){ .what = "operator", .id = node }, "forgotten (%s)",
		 c->request->who);
	return 200;
}

/* ---- answers */

static int add_answer(const struct answer_row *a, void *arg)
{
	struct api_page *p = arg;

	return api_page_add(p, api_json_answer(a));
}

int api_get_answers(struct api_call *c)
{
	const char *text = http_param(c->request, "request");
	struct api_page p = api_page_new(c->api, API_PAGE_MAX);
	struct err e = { 0 };
	uint64_t id;

	if (!text || slice_u64(slice_of(text), INT64_MAX, &id) < 0) {
		json_decref(p.list);
		return api_refuse(c, 400, "give ?request=", "which request?");
	}
	return api_finish(c, &p, "answers",
			  store_answers_each(c->api->store, (int64_t)id, add_answer, &p, &e),
			  &e);
}
