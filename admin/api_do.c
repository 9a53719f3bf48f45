/* Hides: what a POST does to each user it names. */
#include "admin/api_parts.h"
#include "common/log.h"

/* ---- sync */

static int sync_one(const struct user *u, void *arg)
{
	struct api_call *c = arg;
	struct err e = { 0 };

	if (!c->api->hooks->sync_now || c->api->hooks->sync_now(u, c->api->arg, &e) == 0)
		return 0;
	json_array_append_new(json_object_get(c->out, "refused"),
			      json_pack("{s:o, s:o}", "user", api_json_text(u->name), "error",
					api_json_text(e.text)));
	return 0;
}

int api_post_sync(struct api_call *c)
{
	struct choice w;
	struct err e = { 0 };
	int status = api_choose(c, true, &w);

	if (status == 0) {
		api_put_choice(c, &w);
		json_object_set_new(c->out, "refused", json_array());
		status = api_each_chosen(c, &w, sync_one, &e) < 0 ? api_fail(c, &e) : 202;
		api_poke(c->api);
	}
	api_choice_release(&w);
	return status;
}

/* ---- retry */

int api_post_retry(struct api_call *c)
{
	struct choice w;
	struct err e = { 0 };
	int rc = 0, status = api_choose(c, false, &w);

	if (status == 0) {
		json_object_set_new(c->out, "busy", json_array());
		rc = store_users_retry(c->api->store, w.names, w.count, &e);
	}
	for (size_t i = 0; status == 0 && rc >= 0 && i < w.count; i++)
		rc = api_retry_user(c, w.names[i], &e);
	if (status == 0) {
		api_put_choice(c, &w);
		status = rc < 0 ? api_fail(c, &e) : 202;
		api_poke(c->api);
	}
	api_choice_release(&w);
	return status;
}

/* ---- verify */

/* {"level": "full" | "headers" | "sample", "sample": k}. 0, or the status of a refusal. */
static int asked_level(struct api_call *c, bool *headers_only, int64_t *sample)
{
	const char *level = json_string_value(json_object_get(c->in, "level"));
	const json_t *k = json_object_get(c->in, "sample");
	bool sampled = level && strcmp(level, "sample") == 0;

	*headers_only = sampled || (level && strcmp(level, "headers") == 0);
	*sample = sampled ? json_integer_value(k) : 0;
	if ((level && !*headers_only && strcmp(level, "full") != 0) ||
	    (sampled && (*sample < 1 || *sample > API_SAMPLE_MAX)))
		return api_refuse(c, 400, "levels: full, headers, sample with \"sample\": 1 …",
				  "no such level");
	return 0;
}

int api_post_verify(struct api_call *c)
{
	struct choice w;
	struct err e = { 0 };
	bool headers_only;
	int64_t sample;
	int rc = 0, status = asked_level(c, &headers_only, &sample);

	if (status)
		return status;
	if (!c->api->hooks->verify)
		return api_refuse(c, 501, "start the engine", "there is no engine to compare");
	status = api_choose(c, false, &w);
	for (size_t i = 0; status == 0 && rc == 0 && i < w.count; i++)
		rc = c->api->hooks->verify(w.names[i], headers_only, sample, c->api->arg, &e);
	if (status == 0) {
		api_put_choice(c, &w);
		status = rc < 0 ? api_fail(c, &e) : 202;
	}
	api_choice_release(&w);
	return status;
}

/* With the report where one user is asked for. */
static int add_verified(const struct user *u, void *arg)
{
	struct api_call *c = arg;
	struct api_verified v = { .state = "none", .text = "", .grade = "" };
	json_t *j;

	if (c->api->hooks->verified)
		c->api->hooks->verified(u->name, http_param(c->request, "user") != NULL, &v,
					c->api->arg);
	j = json_pack("{s:o, s:s, s:o, s:s, s:I, s:I, s:I, s:I}", "name",
		      api_json_text(u->name), "state", v.state, "text", api_json_text(v.text),
		      "grade", v.grade, "same", (json_int_t)v.same, "missing",
		      (json_int_t)v.missing, "altered", (json_int_t)v.altered, "other",
		      (json_int_t)v.other);
	if (v.document)
		json_object_set_new(j, "document", v.document);
	json_array_append_new(json_object_get(c->out, "users"), j);
	return 0;
}

int api_get_verify(struct api_call *c)
{
	return api_each_asked(c, add_verified);
}

/* ---- reload */

static void add_mistake(const char *text, void *to)
{
	struct api_call *c = to;

	json_array_append_new(json_object_get(c->out, "errors"), api_json_text(text));
}

static void add_setting(const char *what, bool taken, void *to)
{
	struct api_call *c = to;

	json_array_append_new(json_object_get(c->out, taken ? "taken" : "kept"),
			      api_json_text(what));
}

static int refuse_reload(struct api_call *c)
{
	json_t *errors = json_incref(json_object_get(c->out, "errors"));
	int status = api_refuse(c, 422, "correct the file; nothing was changed",
				"the settings have mistakes");

	json_object_set_new(c->out, "errors", errors);
	return status;
}

/* The engine first: what it refuses, no node is to read. */
int api_post_reload(struct api_call *c)
{
	struct api_reload r = { add_mistake, add_setting, c };
	struct err e = { 0 };
	int64_t id = 0;

	if (!c->api->hooks->reload)
		return api_refuse(c, 501, "send SIGHUP", "there is no engine to reload");
	json_object_set_new(c->out, "errors", json_array());
	json_object_set_new(c->out, "taken", json_array());
	json_object_set_new(c->out, "kept", json_array());
	if (!c->api->hooks->reload(&r, c->api->arg))
		return refuse_reload(c);
	json_object_del(c->out, "errors");
	log_info(&(struct log_about){ .what = "operator" }, "reload (%s)", c->request->who);
	if (store_request_ask(c->api->store, "reload", "", "", &id, &e) < 0)
		return api_fail(c, &e);
	json_object_set_new(c->out, "request", json_integer(id));
	return 202;
}

/* ---- a store that has lost moves */

int api_post_rebuild(struct api_call *c)
{
	struct err e = { 0 };
	int moved = 0;

	if (!c->api->hooks->rebuild)
		return api_refuse(c, 501, "ask an engine", "there is no engine here");
	if (c->api->hooks->rebuild(&moved, c->api->arg, &e) < 0)
		return api_fail(c, &e);
	log_info(&(struct log_about){ .what = "operator" }, "store rebuild (%s)",
		 c->request->who);
	json_object_set_new(c->out, "moved", json_integer(moved));
	return 200;
}

/* ---- requests to all nodes */

static int send_request(struct api_call *c, const char *verb, const char *name,
			const char *args)
{
	struct err e = { 0 };

	if (store_request_add(c->api->store, verb, name, args, &e) < 0)
		return api_fail(c, &e);
	json_object_set_new(c->out, "sent", json_string(verb));
	return 202;
}

static int post_loglevel(struct api_call *c)
{
	const char *level = json_string_value(json_object_get(c->in, "level"));
	int found = level ? log_level_find(level) : -1;

	if (found < 0)
		return api_refuse(c, 400, "levels: error warn info debug", "no such log level");
	log_set_level((enum log_level)found);
	return send_request(c, "loglevel", "", level);
}

int api_post_requests(struct api_call *c)
{
	const char *verb = json_string_value(json_object_get(c->in, "verb"));

	if (verb && strcmp(verb, "loglevel") == 0)
		return post_loglevel(c);
	return api_refuse(c, 400, "verbs: loglevel", "no such request");
}
