/*
 * Hides: the JSON of what a worker tells. It is read under an allocator that wipes: there may be a
 * token in it.
 */
#include "sync/job_impl.h"

#include <limits.h>

#include "common/store_validity.h"
#include "sync/hint.h"
#include "sync/json_wipe.h"

const struct job_counter_row job_counters[JOB_COUNTERS] = {
	{ "copied", offsetof(struct job_result, copied) },
	{ "copied_bytes", offsetof(struct job_result, copied_bytes) },
	{ "deleted", offsetof(struct job_result, deleted) },
	{ "flags", offsetof(struct job_result, flags) },
	{ "messages", offsetof(struct job_result, messages) },
	{ "bytes", offsetof(struct job_result, bytes) },
	{ "verified", offsetof(struct job_result, verified) },
	{ "exceptions", offsetof(struct job_result, exceptions) },
	{ "waived", offsetof(struct job_result, waived) },
	{ "repaired", offsetof(struct job_result, repaired) },
	{ "differences", offsetof(struct job_result, differences) },
	{ "arrived", offsetof(struct job_result, arrived) },
	{ "strays", offsetof(struct job_result, strays) },
	{ "took_ms", offsetof(struct job_result, took_ms) },
};

int64_t *job_counter(struct job_result *r, size_t i)
{
	return (int64_t *)(void *)((char *)r + job_counters[i].at);
}

static const char *name_of_side(int i)
{
	return side_name((enum side)i);
}

static const char *name_of_error(int i)
{
	return err_kind_name((enum err_kind)i);
}

static const char *name_of_whom(int i)
{
	return later_whom_name((enum later_whom)i);
}

static void copy_text(char *to, size_t size, json_t *v)
{
	snprintf(to, size, "%s", json_string_value(v));
}

static int take_text(struct object *o, const char *key, char *to, size_t size)
{
	json_t *v = object_take(o, key);

	if (!json_is_string(v))
		return object_wrong(o, key, "a string");
	copy_text(to, size, v);
	return 0;
}

static int take_later(struct object *result, struct later *out)
{
	struct object o = { .json = object_take(result, "later"), .what = "later", .e = result->e };
	int whom = 0;

	if (!o.json)
		return 0;
	if (!json_is_object(o.json))
		return object_wrong(result, "later", "an object");
	if (object_name(&o, "whom", name_of_whom, LATER_WHOMS, &whom) < 0 ||
	    object_name(&o, "side", name_of_side, SIDES, &out->side) < 0 ||
	    object_number(&o, "wait_ms", 0, HINT_WAIT_MAX_MS, &out->wait_ms) < 0 ||
	    object_bool(&o, "fewer", &out->fewer) < 0)
		return -1;
	out->whom = (enum later_whom)whom;
	return object_whole(&o);
}

static int take_result(struct object *o, struct job_result *r)
{
	int kind = 0;

	if (object_bool(o, "ok", &r->ok) < 0 || take_text(o, "text", r->text, sizeof r->text) < 0)
		return -1;
	if (!r->ok) {
		if (object_name(o, "kind", name_of_error, ERR_KINDS, &kind) < 0)
			return -1;
		if (kind == ERR_NONE)
			return object_wrong(o, "kind", "the kind of an error");
		r->kind = (enum err_kind)kind;
		return take_later(o, &r->later);
	}
	if (object_bool(o, "clean", &r->clean) < 0)
		return -1;
	for (size_t i = 0; i < JOB_COUNTERS; i++)
		if (object_number(o, job_counters[i].key, 0, OBJECT_COUNT_MAX, job_counter(r, i)) < 0)
			return -1;
	return facts_read(object_take(o, "facts"), &r->facts, o->e);
}

static int take_progress(struct object *o, struct job_event *ev)
{
	if (take_text(o, "folder", ev->folder, sizeof ev->folder) < 0 ||
	    object_number(o, "done", 0, OBJECT_COUNT_MAX, &ev->done) < 0 ||
	    object_number(o, "total", 0, OBJECT_COUNT_MAX, &ev->total) < 0 ||
	    object_number(o, "messages", 0, OBJECT_COUNT_MAX, &ev->messages) < 0 ||
	    object_number(o, "bytes", 0, OBJECT_COUNT_MAX, &ev->bytes) < 0)
		return -1;
	return 0;
}

/* The store checks what it says; here it only has to be a text of lines. */
static int take_part(struct object *o, struct job_event *ev)
{
	json_t *v = object_take(o, "body");
	size_t n;

	if (!json_is_string(v))
		return object_wrong(o, "body", "a string");
	n = json_string_length(v);
	if (n == 0 || n > STORE_UIDL_PART || json_string_value(v)[n - 1] != '\n' ||
	    memchr(json_string_value(v), '\0', n))
		return object_wrong(o, "body", "lines of a map");
	ev->body = mem_strn(json_string_value(v), n);
	return 0;
}

/* "NEW OLD" LF …, nothing but digits in it. */
static bool are_pairs(const char *text)
{
	uint64_t number;

	for (struct slice left = slice_of(text), line; left.n;) {
		const char *lf = memchr(left.p, '\n', left.n), *space;

		line = (struct slice){ left.p, lf ? (size_t)(lf - left.p) : 0 };
		space = line.n ? memchr(line.p, ' ', line.n) : NULL;
		if (!space ||
		    slice_u64((struct slice){ line.p, (size_t)(space - line.p) }, UINT32_MAX,
			      &number) < 0 ||
		    slice_u64((struct slice){ space + 1, (size_t)(lf - space - 1) }, UINT32_MAX,
			      &number) < 0)
			return false;
		left = (struct slice){ lf + 1, left.n - line.n - 1 };
	}
	return true;
}

static int take_validity(struct object *o, struct job_event *ev)
{
	json_t *v = object_take(o, "body");

	if (!json_is_string(v) || json_string_length(v) > STORE_VALIDITY_MAX ||
	    strlen(json_string_value(v)) != json_string_length(v) ||
	    !are_pairs(json_string_value(v)))
		return object_wrong(o, "body", "lines of two numbers");
	ev->body = mem_str(json_string_value(v));
	return 0;
}

static int take_uidl(struct object *o, struct job_event *ev)
{
	if (object_bool(o, "complete", &ev->uidl.complete) < 0 ||
	    object_number(o, "entries", 0, OBJECT_COUNT_MAX, &ev->uidl.entries) < 0 ||
	    object_number(o, "missing", 0, OBJECT_COUNT_MAX, &ev->uidl.missing) < 0)
		return -1;
	return take_text(o, "why", ev->uidl.why, sizeof ev->uidl.why);
}

static int take_item(struct object *o, struct job_event *ev)
{
	ev->item = json_incref(object_take(o, "item"));
	return json_is_object(ev->item) ? 0 : object_wrong(o, "item", "an object");
}

static int take_token(struct object *o, struct job_event *ev)
{
	json_t *v = object_take(o, "token");

	if (!json_is_string(v) || json_string_length(v) > SECRET_MAX)
		return object_wrong(o, "token", "a string of a sensible length");
	secret_set(&ev->token, json_string_value(v), json_string_length(v));
	return object_number(o, "until", 0, OBJECT_COUNT_MAX, &ev->until);
}

static int take_event(struct object *o, struct job_event *ev)
{
	json_t *v = object_take(o, "event");
	const char *name = json_is_string(v) ? json_string_value(v) : "";

	if (strcmp(name, "waiting") == 0) {
		ev->kind = JOB_EVENT_WAITING;
	} else if (strcmp(name, "moving") == 0) {
		ev->kind = JOB_EVENT_MOVING;
	} else if (strcmp(name, "progress") == 0) {
		ev->kind = JOB_EVENT_PROGRESS;
		if (take_progress(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "audit") == 0) {
		ev->kind = JOB_EVENT_AUDIT;
		if (take_item(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "account") == 0) {
		ev->kind = JOB_EVENT_ACCOUNT;
		if (take_item(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "pull") == 0) {
		ev->kind = JOB_EVENT_PULL;
		if (take_item(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "token") == 0) {
		ev->kind = JOB_EVENT_TOKEN;
		if (take_token(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "uidl_part") == 0) {
		ev->kind = JOB_EVENT_UIDL_PART;
		if (take_part(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "uidl") == 0) {
		ev->kind = JOB_EVENT_UIDL;
		if (take_uidl(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "validity") == 0) {
		ev->kind = JOB_EVENT_VALIDITY;
		if (take_validity(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "result") == 0) {
		ev->kind = JOB_EVENT_RESULT;
		if (take_result(o, &ev->result) < 0)
			return -1;
	} else {
		return object_wrong(o, "event", "one of those in sync/job.h");
	}
	return object_whole(o);
}

int job_event_parse(struct slice line, struct job_event *out, struct err *e)
{
	struct object o = { .what = "event", .e = e };
	json_malloc_t old_malloc;
	json_free_t old_free;
	int rc;

	*out = (struct job_event){ 0 };
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_wipe_freed(); /* it may be a token */
	rc = object_load(line, JOB_LINE_MAX, &o.json, e);
	if (rc == 0)
		rc = take_event(&o, out);
	json_decref(o.json);
	json_set_alloc_funcs(old_malloc, old_free);
	if (rc < 0)
		job_event_release(out);
	return rc < 0 ? err_wrap(e, "worker") : 0;
}

void job_event_release(struct job_event *ev)
{
	json_decref(ev->item);
	ev->item = NULL;
	mem_free(&ev->body);
	secret_release(&ev->token);
}
