/* Hides: how a request names users: one, a wave, everybody. */
#include "admin/api_parts.h"

void api_choice_release(struct choice *w)
{
	for (size_t i = 0; i < w->count; i++)
		mem_free(&w->names[i]);
	mem_free(&w->names);
	json_decref(w->users);
}

static int choose_user(const struct user *u, void *arg)
{
	struct choice *w = arg;

	w->names = mem_grow(w->names, w->count + 1, sizeof *w->names);
	w->names[w->count++] = mem_str(u->name);
	if (json_array_size(w->users) < API_NAMES_MAX)
		json_array_append_new(w->users, api_json_user(u, NULL));
	return 0;
}

static int choose_one(struct api_call *c, const char *raw, struct choice *w)
{
	struct user u = { 0 };
	struct err e = { 0 };
	int got;

	if (!api_normalise(c->api, raw, w->name))
		return api_refuse(c, 400, "give the name as in the import",
				  "no login name: %.100s", raw);
	got = store_user_get(c->api->store, w->name, &u, &e);
	if (got < 0)
		return api_fail(c, &e);
	if (got == 0)
		return api_no_user(c, w->name);
	choose_user(&u, w);
	user_release(&u);
	return 0;
}

static int choose_wave(struct api_call *c, const char *wave, struct choice *w)
{
	struct user_filter f = { .wave = wave };
	struct err e = { 0 };

	if (store_users_each(c->api->store, &f, choose_user, w, &e) < 0)
		return api_fail(c, &e);
	if (w->count > 0)
		return 0;
	if (wave)
		return api_refuse(c, 404, "see `mailferry status` for the waves",
				  "nobody is in wave %s", wave);
	return api_refuse(c, 404, "begin with `mailferry import FILE`", "there are no users");
}

int api_choose(struct api_call *c, bool all_too, struct choice *w)
{
	const char *user = json_string_value(json_object_get(c->in, "user"));
	const char *wave = json_string_value(json_object_get(c->in, "wave"));
	bool all = all_too && json_is_true(json_object_get(c->in, "all"));

	*w = (struct choice){ .wave = wave, .users = json_array() };
	if (!!user + !!wave + all != 1)
		return api_refuse(c, 400,
				  all_too ? "give \"user\", \"wave\" or \"all\": true"
					  : "give \"user\" or \"wave\"",
				  "whom is this about?");
	return user ? choose_one(c, user, w) : choose_wave(c, wave, w);
}

void api_put_choice(struct api_call *c, const struct choice *w)
{
	json_object_set_new(c->out, "count", json_integer((json_int_t)w->count));
	json_object_set(c->out, "users", w->users);
}

/* user NULL: those of the wave, or all; as store_user_get() says it. */
static int each_of(struct api_call *c, const char *user, const char *wave, store_user_fn *fn,
		   struct err *e)
{
	struct user_filter f = { .wave = wave };
	struct user u = { 0 };
	int got;

	if (!user)
		return store_users_each(c->api->store, &f, fn, c, e) < 0 ? -1 : 1;
	got = store_user_get(c->api->store, user, &u, e);
	if (got > 0)
		fn(&u, c);
	user_release(&u);
	return got;
}

int api_each_chosen(struct api_call *c, const struct choice *w, store_user_fn *fn,
		    struct err *e)
{
	return each_of(c, w->name[0] ? w->name : NULL, w->wave, fn, e);
}

int api_each_asked(struct api_call *c, store_user_fn *fn)
{
	const char *wave = http_param(c->request, "wave"), *user = NULL;
	struct err e = { 0 };
	int got, status = api_asked_user(c, &user);

	if (status)
		return status;
	if (!user == !wave)
		return api_refuse(c, 400, "give ?user= or ?wave=", "whom is this about?");
	json_object_set_new(c->out, "users", json_array());
	got = each_of(c, user, wave, fn, &e);
	return got < 0 ? api_fail(c, &e) : got ? 200 : api_no_user(c, user);
}

void api_poke(struct api *a)
{
	if (a->hooks->poke)
		a->hooks->poke(a->arg);
}
