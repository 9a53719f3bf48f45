/* Hides: how a trace is asked for, and its lines in pages. */
#include "admin/api_parts.h"
#include "common/log.h"

/* A number of the body, or the usual one; -1: it may not be that. */
static int64_t asked(const struct api_call *c, const char *key, int64_t usual, int64_t most)
{
	const json_t *j = json_object_get(c->in, key);
	json_int_t v = json_integer_value(j);

	if (!j)
		return usual;
	return json_is_integer(j) && v >= 1 && v <= most ? v : -1;
}

static void tell_engine(struct api_call *c, const char *name, bool on)
{
	if (c->api->hooks->trace)
		c->api->hooks->trace(name, on, c->api->arg);
}

static int start(struct api_call *c, const char *name)
{
	int64_t s = asked(c, "seconds", API_TRACE_S, API_TRACE_S_MAX);
	int64_t bytes = asked(c, "bytes", API_TRACE_BYTES, API_TRACE_BYTES_MAX), id = 0;
	struct err e = { 0 };

	if (s < 0 || bytes < 0)
		return api_refuse(c, 400, "seconds: 1 to 86400, bytes: 1 to 268435456",
				  "a trace must have an end");
	if (store_trace_start(c->api->store, name, 1000 * s, bytes, &id, &e) < 0)
		return api_fail(c, &e);
	log_info(&(struct log_about){ .what = "operator", .user = name },
		 "trace for %lld s (%s)", (long long)s, c->request->who);
	tell_engine(c, name, true);
	json_object_set_new(c->out, "trace", json_integer(id));
	return 202;
}

int api_post_trace(struct api_call *c)
{
	const char *user = json_string_value(json_object_get(c->in, "user"));
	char name[STORE_NAME_MAX + 1];
	struct err e = { 0 };

	if (!user || !api_normalise(c->api, user, name))
		return api_refuse(c, 400, "give \"user\"", "whom to trace?");
	if (!json_is_true(json_object_get(c->in, "stop")))
		return start(c, name);
	if (store_trace_stop(c->api->store, name, &e) < 0)
		return api_fail(c, &e);
	tell_engine(c, name, false);
	return 202;
}

struct found {
	struct api_call *call;
	bool found;
};

static int put_trace(const struct trace_row *t, void *arg)
{
	static const char *const ends[] = { [TRACE_LIVE] = "",
					    [TRACE_TIME] = "time",
					    [TRACE_FULL] = "bytes",
					    [TRACE_STOPPED] = "stopped" };
	struct found *f = arg;

	f->found = true;
	json_object_set_new(f->call->out, "user", api_json_text(t->name));
	json_object_set_new(f->call->out, "until", json_integer(t->until));
	json_object_set_new(f->call->out, "bytes", json_integer(t->bytes));
	json_object_set_new(f->call->out, "ended", api_json_text_or_null(ends[t->ended]));
	return 0;
}

static int add_line(const struct trace_line *l, void *arg)
{
	return api_page_add(arg, api_json_trace_line(l));
}

static int put_lines(struct api_call *c, int64_t trace, int64_t after)
{
	struct err e = { 0 };
	struct api_page p;
	int status = api_asked_page(c, &p);

	if (status)
		return status;
	return api_finish(c, &p, "lines",
			  store_trace_lines_each(c->api->store, trace, after, add_line, &p, &e),
			  &e);
}

/* Whether it has ended is looked at before its lines are: none is missed at the end. */
int api_get_trace(struct api_call *c)
{
	struct found f = { .call = c };
	uint64_t trace = 0, after = 0;
	struct err e = { 0 };
	int status = api_asked_number(c, "trace", INT64_MAX, &trace);

	if (!status)
		status = api_asked_number(c, "after", INT64_MAX, &after);
	if (status)
		return status;
	if (trace && store_traces_each(c->api->store, (int64_t)trace, put_trace, &f, &e) < 0)
		return api_fail(c, &e);
	if (!f.found)
		return api_refuse(c, 404, "begin with `mailferry trace USER`", "no such trace");
	return put_lines(c, (int64_t)trace, (int64_t)after);
}
