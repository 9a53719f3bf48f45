/* Hides: how rows of access become one object for each user. */
#include "admin/api_parts.h"

#include "common/store_past.h"

#define ACCESS_MAX 32 /* clients that are named of one user */

struct inventory {
	struct api_page page;
	json_t *user; /* under way; NULL: none */
};

/* The user under way is whole. */
static int end_user(struct inventory *v)
{
	json_t *whole = v->user;

	v->user = NULL;
	return whole ? api_page_add(&v->page, whole) : 0;
}

static json_t *user_json(const struct access_row *a)
{
	return json_pack("{s:o, s:o, s:s, s:n, s:[]}", "user", api_json_text(a->name), "wave",
			 api_json_text(a->wave), "state", a->state, "last_seen", "access");
}

static void add_access(json_t *user, const struct access_row *a)
{
	json_t *list = json_object_get(user, "access");

	if (!*a->proto)
		return; /* the one of everybody */
	if (a->last > json_integer_value(json_object_get(user, "last_seen")))
		json_object_set_new(user, "last_seen", json_integer(a->last));
	if (json_array_size(list) < ACCESS_MAX)
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:I, s:I}", "proto", a->proto, "client",
					api_json_text_or_null(a->client), "logins",
					(json_int_t)a->logins, "last", (json_int_t)a->last));
}

static int take(const struct access_row *a, void *arg)
{
	struct inventory *v = arg;
	const char *name = json_string_value(json_object_get(v->user, "user"));
	int full = 0;

	if (!name || strcmp(name, a->name) != 0) {
		full = end_user(v);
		if (full)
			return full;
		v->user = user_json(a);
	}
	add_access(v->user, a);
	return 0;
}

int api_get_inventory(struct api_call *c)
{
	struct inventory v = { 0 };
	struct err e = { 0 };
	int rc, status = api_asked_page(c, &v.page);

	if (status)
		return status;
	/* One user more than the page holds: then it knows that there is more. */
	rc = store_access_each(c->api->store, http_param(c->request, "wave"),
			       http_param(c->request, "after"), (int64_t)v.page.limit + 1, take,
			       &v, &e);
	if (rc == 0)
		rc = end_user(&v);
	json_decref(v.user);
	return api_finish(c, &v.page, "users", rc, &e);
}
