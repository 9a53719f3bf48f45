/* Hides: how OpenSRS's own tool is set to work, followed and summed up. */
#include <poll.h>

#include "admin/api.h"
#include "admin/ctl_sure.h"
#include "admin/table.h"

#define LOOK_MS 500

static bool is(const json_t *u, const char *key, const char *value)
{
	return strcmp(ctl_text(u, key), value) == 0;
}

static void say(struct ctl *c, const char *user, const char *what, const char *text)
{
	text_put(c->out, user);
	fprintf(c->out, ": %s%s", what, *text ? ": " : "");
	text_put(c->out, text);
	fputc('\n', c->out);
	fflush(c->out);
}

/* ---- asking */

/* What cannot be pulled, and how many can. */
static int show_answers(struct ctl *c, const json_t *answer)
{
	size_t i, refused = 0, open = 0, undone = 0;
	const json_t *users = json_object_get(answer, "users"), *u;

	json_array_foreach (users, i, u) {
		refused += is(u, "result", "refused");
		open += is(u, "result", "open");
		undone += is(u, "result", "undone");
		if (!c->json && (is(u, "result", "refused") || json_array_size(users) == 1))
			say(c, ctl_text(u, "user"), ctl_text(u, "result"), ctl_text(u, "text"));
	}
	if (!c->json && c->undo && c->wave)
		fprintf(c->out, "%zu users are not waited for any more, %zu refused\n", undone,
			refused);
	if (!c->json && !c->undo)
		fprintf(c->out,
			"%zu users for OpenSRS's tool, %zu of them asked for before, %zu refused\n",
			json_array_size(users) - refused, open, refused);
	if (!c->json && !c->undo && refused < json_array_size(users))
		fputs("their UIDs will be plain: with gate.uids = require each needs `mailferry "
		      "waive … uids`\n",
		      c->out);
	return refused ? CTL_FAILED : CTL_OK;
}

/* The job that stands still, to be named to a person, and to let go nobody of another one;
 * NULL: there is none. Freed by the caller. */
static char *still_job(struct ctl *c)
{
	char *path = mem_str("/v1/pull?state=stuck&limit=1"), *job = NULL;
	json_t *answer;
	const json_t *first;

	ctl_param(c, &path, c->wave ? "wave" : "user", c->wave ? c->wave : c->arg[0]);
	answer = ctl_look(c, path);
	first = json_array_get(json_object_get(answer, "users"), 0);
	if (first)
		job = mem_str(ctl_text(first, "job"));
	json_decref(answer);
	mem_free(&path);
	return job;
}

static int ask(struct ctl *c, const char *job, bool *all_well)
{
	json_t *body = json_object(), *answer;
	int status;

	json_object_set_new(body, c->wave ? "wave" : "user",
			    json_string(c->wave ? c->wave : c->arg[0]));
	json_object_set_new(body, "dry_run", json_boolean(c->dry_run));
	json_object_set_new(body, "undo", json_boolean(c->undo));
	json_object_set_new(body, "stuck", json_boolean(c->stuck));
	if (job)
		json_object_set_new(body, "job", json_string(job));
	status = ctl_ask(c, "/v1/pull", body, &answer);
	if (status == CTL_OK) {
		*all_well = show_answers(c, answer) == CTL_OK;
		if (c->dry_run || c->undo || c->no_wait)
			(void)ctl_json(c, answer);
	}
	json_decref(answer);
	return status;
}

/* ---- following */

static bool is_open(const json_t *u)
{
	return is(u, "state", "waiting") || is(u, "state", "running");
}

static void say_end(struct ctl *c, const json_t *u)
{
	char text[800], a[TEXT_SMALL], b[TEXT_SMALL];

	snprintf(text, sizeof text, "%s messages pulled, %s skipped%s%.600s",
		 text_count(ctl_int(u, "migrated"), a), text_count(ctl_int(u, "skipped"), b),
		 *ctl_text(u, "text") ? "; " : "", ctl_text(u, "text"));
	say(c, ctl_text(u, "user"), ctl_text(u, "state"), text);
}

/* A line whenever a user's folder or state changes. */
static void say_work(struct ctl *c, const json_t *u, json_t *said)
{
	char text[160], a[TEXT_SMALL], b[TEXT_SMALL], *now;

	now = mem_printf("%s %s", ctl_text(u, "state"), ctl_text(u, "folder"));
	if (!is(said, ctl_text(u, "user"), now) && is(u, "state", "running")) {
		snprintf(text, sizeof text, "%s of %s messages%s%.80s",
			 text_count(ctl_int(u, "migrated") + ctl_int(u, "skipped"), a),
			 text_count(ctl_int(u, "total"), b),
			 *ctl_text(u, "folder") ? ", at " : "", ctl_text(u, "folder"));
		say(c, ctl_text(u, "user"), "running", text);
	}
	json_object_set_new(said, ctl_text(u, "user"), json_string(now));
	mem_free(&now);
}

static int look_at_page(struct ctl *c, const char *after, json_t **page)
{
	char *path = mem_printf("/v1/pull?limit=%d", API_PAGE_MAX);
	int status;

	ctl_param(c, &path, "wave", c->wave);
	ctl_param(c, &path, "user", c->wave ? NULL : c->arg[0]);
	ctl_param(c, &path, "after", after);
	status = ctl_ask(c, path, NULL, page);
	mem_free(&path);
	return status;
}

/* *last: {users: […]}, all pages. */
static int look(struct ctl *c, json_t **last)
{
	json_t *users = json_array(), *page;
	bool more = true;
	int status = CTL_OK;

	while (more && status == CTL_OK) {
		size_t n = json_array_size(users);

		status = look_at_page(
			c, n ? ctl_text(json_array_get(users, n - 1), "user") : NULL, &page);
		json_array_extend(users, json_object_get(page, "users"));
		more = ctl_true(page, "more") && json_array_size(users) > n;
		json_decref(page);
	}
	json_decref(*last);
	*last = json_pack("{s:o}", "users", users);
	return status;
}

/* Tells what is new; how many are still open. */
static size_t tell(struct ctl *c, const json_t *answer, json_t *said, bool *all_well)
{
	size_t i, open = 0;
	const json_t *u;

	json_array_foreach (json_object_get(answer, "users"), i, u) {
		if (is_open(u)) {
			open++;
			if (!c->json)
				say_work(c, u, said);
		} else if (!is(said, ctl_text(u, "user"), "ended")) {
			json_object_set_new(said, ctl_text(u, "user"), json_string("ended"));
			*all_well &= is(u, "state", "done");
			if (!c->json)
				say_end(c, u);
		}
	}
	return open;
}

static int follow(struct ctl *c, bool *all_well)
{
	json_t *said = json_object(), *answer = NULL;
	int status = look(c, &answer);

	while (status == CTL_OK && tell(c, answer, said, all_well)) {
		poll(NULL, 0, LOOK_MS);
		status = look(c, &answer);
	}
	if (status == CTL_OK)
		(void)ctl_json(c, answer);
	json_decref(answer);
	json_decref(said);
	return status;
}

int ctl_pull(struct ctl *c)
{
	bool all_well = true;
	char *job = NULL;
	int status;

	if (!c->wave == !c->arg_count)
		return ctl_usage(c, "give a user or --wave");
	if (c->dry_run && c->undo)
		return ctl_usage(c, "--dry-run and --undo exclude each other");
	if (c->stuck && !c->undo)
		return ctl_usage(c, "--stuck goes with --undo");
	if (c->stuck)
		job = still_job(c);
	status = ctl_sure_pull(c, job);
	if (status == CTL_OK)
		status = ask(c, job, &all_well);
	mem_free(&job);
	if (status == CTL_OK && !c->dry_run && !c->undo && !c->no_wait)
		status = follow(c, &all_well);
	return status == CTL_OK && !all_well ? CTL_FAILED : status;
}
