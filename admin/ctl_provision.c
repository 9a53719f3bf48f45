/* Hides: how accounts are looked at, shown and made. */
#include <poll.h>

#include "admin/ctl_sure.h"
#include "admin/table.h"

#define LOOK_MS 250

struct tally {
	int same, made, changed, failed;
};

/* ---- one run, to its end */

static int begin(struct ctl *c, bool dry_run, int64_t *run)
{
	json_t *body = json_pack("{s:b}", "dry_run", dry_run), *answer;
	int status;

	if (c->wave)
		json_object_set_new(body, "wave", json_string(c->wave));
	else if (c->arg_count)
		json_object_set_new(body, "user", json_string(c->arg[0]));
	else
		json_object_set_new(body, "all", json_true());
	status = ctl_ask(c, "/v1/provision", body, &answer);
	*run = ctl_int(answer, "run");
	json_decref(answer);
	return status;
}

static int follow(struct ctl *c, int64_t run, json_t **end)
{
	for (;;) {
		int status = ctl_ask(c, "/v1/provision", NULL, end);

		if (status != CTL_OK)
			return status;
		if (ctl_int(*end, "run") != run) {
			fprintf(stderr, "mailferry: another run of provision has begun\n");
			json_decref(*end);
			*end = NULL;
			return CTL_FAILED;
		}
		if (!ctl_true(*end, "running"))
			return CTL_OK;
		json_decref(*end);
		poll(NULL, 0, LOOK_MS);
	}
}

/* ---- for people */

static void say(struct ctl *c, const json_t *item)
{
	const char *name = ctl_text(item, "name"), *what = ctl_text(item, "what");
	const char *text = ctl_text(item, "text");
	int64_t line = ctl_int(item, "line");

	if (*name) {
		text_put(c->out, name);
		if (line)
			fprintf(c->out, " (line %lld)", (long long)line);
		fprintf(c->out, ": %s%s", what, *text ? ": " : "");
	}
	text_put(c->out, text);
	fputc('\n', c->out);
}

static struct tally count(const json_t *items)
{
	struct tally t = { 0 };
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		const char *what = ctl_text(item, "what");

		t.same += strcmp(what, "same") == 0;
		t.made += strncmp(what, "create", 6) == 0;
		t.changed += strncmp(what, "change", 6) == 0;
		t.failed += strcmp(what, "failed") == 0;
	}
	return t;
}

/* What differs, or what was done; who is as the list says is only counted. */
static struct tally show(struct ctl *c, const json_t *end, bool done)
{
	const json_t *items = json_object_get(end, "items");
	struct tally t = count(items);
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item)
		if (strcmp(ctl_text(item, "what"), "same") != 0)
			say(c, item);
	fprintf(c->out, "%d %s, %d %s, %d as the list says, %d failed\n", t.made,
		done ? "made" : "to make", t.changed, done ? "changed" : "to change", t.same,
		t.failed);
	fflush(c->out);
	return t;
}

static int run(struct ctl *c, bool dry_run, struct tally *t)
{
	const char *error;
	json_t *end = NULL;
	int64_t id = 0;
	int status = begin(c, dry_run, &id);

	if (status == CTL_OK)
		status = follow(c, id, &end);
	if (status != CTL_OK)
		return status;
	error = ctl_text(end, "error");
	if (ctl_json(c, end))
		*t = count(json_object_get(end, "items"));
	else
		*t = show(c, end, !dry_run);
	if (*error) {
		fputs("mailferry: ", stderr);
		text_put(stderr, error);
		fputc('\n', stderr);
	}
	status = *error || t->failed ? CTL_FAILED : CTL_OK;
	json_decref(end);
	return status;
}

/* What differs is shown before anything is changed. */
int ctl_provision(struct ctl *c)
{
	struct tally t = { 0 };
	int status;

	if (!!c->wave + !!c->arg_count + c->all > 1)
		return ctl_usage(c, "give a user, --wave or --all, or none of them for all");
	status = run(c, true, &t);
	if (c->dry_run || (status != CTL_OK && status != CTL_FAILED) || !(t.made + t.changed))
		return status;
	status = ctl_sure_provision(c, t.made, t.changed);
	return status == CTL_OK ? run(c, false, &t) : status;
}
