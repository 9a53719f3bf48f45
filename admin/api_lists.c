/* Hides: how rows become pages. */
#include "admin/api_parts.h"

int api_page_add(struct api_page *p, json_t *item)
{
	bool full = json_array_size(p->list) == p->limit;

	p->more = p->more || full;
	if (full && !p->last) {
		json_decref(item);
		return 1;
	}
	if (full)
		json_array_remove(p->list, 0);
	json_array_append_new(p->list, item);
	return 0;
}

static void page_put(struct api_page *p, json_t *out, const char *key)
{
	json_object_set_new(out, key, p->list);
	json_object_set_new(out, "more", json_boolean(p->more));
}

struct api_page api_page_new(struct api *a, size_t limit)
{
	return (struct api_page){ .api = a, .list = json_array(), .limit = limit };
}

int api_asked_number(struct api_call *c, const char *name, uint64_t max, uint64_t *out)
{
	const char *text = http_param(c->request, name);

	if (text && slice_u64(slice_of(text), max, out) < 0)
		return api_refuse(c, 400, "give a number",
				  "%s must be 0 to %llu, not \"%.40s\"", name,
				  (unsigned long long)max, text);
	return 0;
}

int api_asked_page(struct api_call *c, struct api_page *p)
{
	uint64_t limit = API_PAGE;
	int status = api_asked_number(c, "limit", API_PAGE_MAX, &limit);

	if (status == 0)
		*p = api_page_new(c->api, (size_t)limit);
	return status;
}

int api_asked_page_after(struct api_call *c, struct api_page *p, int64_t *after)
{
	uint64_t id = 0, last = 0;
	int status = api_asked_number(c, "after", INT64_MAX, &id);

	*after = (int64_t)id;
	if (!status)
		status = api_asked_number(c, "last", API_PAGE_MAX, &last);
	if (!status)
		status = api_asked_page(c, p);
	if (!status && last) {
		p->limit = (size_t)last;
		p->last = true;
	}
	return status;
}

int api_asked_user(struct api_call *c, const char **name)
{
	const char *raw = http_param(c->request, "user");

	*name = NULL;
	if (!raw)
		return 0;
	if (!api_normalise(c->api, raw, c->name))
		return api_refuse(c, 400, "give the name as in the import",
				  "no login name: %.100s", raw);
	*name = c->name;
	return 0;
}

int api_finish(struct api_call *c, struct api_page *p, const char *key, int rc, struct err *e)
{
	page_put(p, c->out, key);
	return rc < 0 ? api_fail(c, e) : 200;
}

/* ---- users */

static int add_user(const struct user *u, void *arg)
{
	struct api_page *p = arg;

	return api_page_add(p, api_user_now(p->api, u));
}

static int asked_state(struct api_call *c, struct user_filter *f)
{
	const char *state = http_param(c->request, "state");

	if (!state)
		return 0;
	f->has_state = true;
	f->state = user_state_find(state);
	if (f->state >= 0)
		return 0;
	return api_refuse(c, 400,
			  "states: pending provisioned syncing ready freezing finalizing "
			  "trailing done returning",
			  "no such state: %.40s", state);
}

static int asked_only(struct api_call *c, struct user_filter *f)
{
	static const char *const names[] = { [USER_ONLY_ANY] = "any",
					     [USER_ONLY_STUCK] = "stuck",
					     [USER_ONLY_FAILING] = "failing",
					     [USER_ONLY_EXCEPTIONS] = "exceptions",
					     [USER_ONLY_GO] = "go" };
	const char *only = http_param(c->request, "only");

	_Static_assert(COUNT(names) == USER_ONLY_KINDS, "a name for every kind");
	for (size_t i = 0; only && i < COUNT(names); i++)
		if (strcmp(only, names[i]) == 0) {
			f->only = (enum user_only)i;
			return 0;
		}
	if (!only)
		return 0;
	return api_refuse(c, 400, "only: any stuck failing exceptions go",
			  "no such kind: %.40s", only);
}

int api_get_users(struct api_call *c)
{
	struct user_filter f = { .wave = http_param(c->request, "wave"),
				 .after = http_param(c->request, "after"),
				 .part = http_param(c->request, "q") };
	struct err e = { 0 };
	struct api_page p;
	int status = asked_state(c, &f);

	if (!status)
		status = asked_only(c, &f);
	if (!status)
		status = api_asked_page(c, &p);
	if (status)
		return status;
	f.limit = (int)p.limit + 1; /* one says that there is more */
	return api_finish(c, &p, "users", store_users_each(c->api->store, &f, add_user, &p, &e),
			  &e);
}

int api_get_user(struct api_call *c)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(c->api->store, c->name, &u, &e);

	if (got < 0)
		return api_fail(c, &e);
	if (got == 0)
		return api_no_user(c, c->name);
	json_object_set_new(c->out, "user", api_user_now(c->api, &u));
	user_release(&u);
	return 200;
}

/* ---- history */

static int add_history(const struct history_row *h, void *arg)
{
	return api_page_add(arg, api_json_history(h));
}

int api_get_history(struct api_call *c)
{
	struct history_filter f = { .name = c->name[0] ? c->name : NULL };
	struct err e = { 0 };
	struct api_page p;
	int status = api_asked_page_after(c, &p, &f.after);

	if (status)
		return status;
	f.limit = (int)p.limit + 1; /* one says that there is more */
	f.newest = p.last;
	return api_finish(c, &p, "history",
			  store_history_each(c->api->store, &f, add_history, &p, &e), &e);
}

int api_put_history_tail(struct api_call *c, const char *name, size_t count, struct err *e)
{
	const struct history_filter f = { .name = name, .limit = (int)count, .newest = true };
	struct api_page p = api_page_new(c->api, count);
	int rc = store_history_each(c->api->store, &f, add_history, &p, e);

	json_object_set_new(c->out, "history", p.list);
	return rc < 0 ? -1 : 0;
}

/* ---- nodes and the rest */

static int add_stranger(const struct stranger_row *s, void *arg)
{
	return api_page_add(arg, api_json_stranger(s));
}

int api_get_strangers(struct api_call *c)
{
	struct err e = { 0 };
	struct api_page p;
	int status = api_asked_page(c, &p);

	if (status)
		return status;
	return api_finish(c, &p, "strangers",
			  store_strangers_each(c->api->store, http_param(c->request, "after"),
					       add_stranger, &p, &e),
			  &e);
}

static int add_usage(const struct usage_row *u, void *arg)
{
	return api_page_add(arg, api_json_usage(u));
}

int api_get_usage(struct api_call *c)
{
	struct api_page p = api_page_new(c->api, API_PAGE_MAX);
	struct err e = { 0 };

	return api_finish(c, &p, "usage", store_usage_each(c->api->store, add_usage, &p, &e),
			  &e);
}

static int add_node(const struct node_row *n, void *arg)
{
	return api_page_add(arg, api_json_node(n));
}

int api_put_nodes(struct api *a, json_t *out, struct err *e)
{
	struct api_page p = api_page_new(a, API_PAGE_MAX);
	int rc = store_nodes_each(a->store, add_node, &p, e);

	json_object_set_new(out, "nodes", p.list);
	return rc < 0 ? -1 : 0;
}

int api_get_nodes(struct api_call *c)
{
	struct err e = { 0 };

	return api_put_nodes(c->api, c->out, &e) < 0 ? api_fail(c, &e) : 200;
}

static int add_hold(const struct hold_row *h, void *arg)
{
	return api_page_add(arg, api_json_hold(h));
}

int api_get_holds(struct api_call *c)
{
	const char *name;
	struct err e = { 0 };
	struct api_page p;
	int status = api_asked_user(c, &name);

	if (!status)
		status = api_asked_page(c, &p);
	if (status)
		return status;
	return api_finish(c, &p, "holds",
			  store_holds_each(c->api->store, name, (int)p.limit + 1, add_hold, &p, &e),
			  &e);
}
