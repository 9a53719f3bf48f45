/* Hides: when a pass counts as ended, and how its progress is shown. */
#include "admin/ctl_follow.h"

#define SYNC_LOOK_MS 500

/* Says what has become of one; plain lines. */
static void say(struct follow *f, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void say(struct follow *f, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (f->ctl->json)
		return;
	text_put(f->ctl->out, name);
	fputs(": ", f->ctl->out);
	va_start(ap, fmt);
	vfprintf(f->ctl->out, fmt, ap);
	va_end(ap);
	fputc('\n', f->ctl->out);
	fflush(f->ctl->out);
}

static void fail(struct follow *f, struct followed *u, const char *text)
{
	say(f, u->name, "failed: %s", text);
	follow_end(f, u, FOLLOW_FAILED, "failed", text);
}

static void succeed(struct follow *f, struct followed *u, const json_t *p)
{
	char a[TEXT_SMALL], b[TEXT_SMALL], took[TEXT_SMALL];

	say(f, u->name, "done in %s, %s messages, %s compared%s",
	    text_span(ctl_int(p, "took_ms"), took), text_count(ctl_int(p, "messages"), a),
	    text_count(ctl_int(p, "verified"), b),
	    ctl_true(p, "clean") ? "" : ", not yet in step");
	follow_end(f, u, FOLLOW_DONE, ctl_true(p, "clean") ? "clean" : "behind", "");
}

/* On no terminal a user's work is told whenever its folder changes. */
static void say_work(struct follow *f, struct followed *u, const json_t *running)
{
	const char *folder = ctl_text(running, "folder");

	if (f->ctl->terminal || !*folder || (u->shown && strcmp(u->shown, folder) == 0))
		return;
	mem_free(&u->shown);
	u->shown = mem_str(folder);
	say(f, u->name, "%s %s, %lld of %lld", ctl_text(running, "kind"), folder,
	    (long long)ctl_int(running, "done"), (long long)ctl_int(running, "total"));
}

static void look_at(struct follow *f, struct followed *u, const json_t *row)
{
	const json_t *p = json_object_get(row, "progress");
	const char *error = ctl_text(p, "error"), *stuck = ctl_text(row, "stuck");
	bool tried = ctl_int(row, "attempts") > u->attempts;
	bool done = strcmp(ctl_text(row, "state"), "done") == 0;

	/* What ends until then was under way before, and has seen the mailbox as it was. */
	if (ctl_true(row, "awaited") && !done) {
		say_work(f, u, json_object_get(row, "running"));
		return;
	}
	u->attempts = ctl_int(row, "attempts");
	if (ctl_int(p, "ended") > u->ended && *error)
		fail(f, u, error);
	else if (ctl_int(p, "ended") > u->ended)
		succeed(f, u, p);
	else if (tried)
		fail(f, u, *stuck ? stuck : *error ? error : "see `mailferry why`");
	else if (done)
		fail(f, u, "is done meanwhile: there is nothing to sync");
	else
		say_work(f, u, json_object_get(row, "running"));
}

/* The users still open that a worker is at. */
static json_t *working(struct follow *f, const json_t *users)
{
	json_t *list = json_array(), *u;
	size_t i;

	json_array_foreach (users, i, u) {
		struct followed *one = follow_find(f, ctl_text(u, "name"));

		if (one && one->end == FOLLOW_ON &&
		    json_is_object(json_object_get(u, "running")))
			json_array_append(list, u);
	}
	return list;
}

static int look(struct follow *f, size_t *drawn)
{
	json_t *users, *list, *u;
	size_t i;
	int status = follow_look(f, &users);

	if (*drawn)
		fprintf(f->ctl->out, "\033[%zuA\033[J", *drawn);
	json_array_foreach (users, i, u) {
		struct followed *one = follow_find(f, ctl_text(u, "name"));

		if (one && one->end == FOLLOW_ON)
			look_at(f, one, u);
	}
	list = working(f, users);
	*drawn = f->ctl->terminal && !f->ctl->json ? follow_print_work(f->ctl, list) : 0;
	fflush(f->ctl->out);
	json_decref(list);
	json_decref(users);
	return status;
}

static void take_refused(struct follow *f, const json_t *refused)
{
	const json_t *r;
	size_t i;

	json_array_foreach (refused, i, r) {
		struct followed *u = follow_find(f, ctl_text(r, "user"));

		if (u && u->end == FOLLOW_ON)
			fail(f, u, ctl_text(r, "error"));
	}
}

static int follow(struct ctl *c, const json_t *answer)
{
	struct follow f;
	size_t drawn = 0;
	int status = follow_start(&f, c, answer);

	take_refused(&f, json_object_get(answer, "refused"));
	while (status == CTL_OK && f.open) {
		status = look(&f, &drawn);
		if (status == CTL_OK && f.open)
			follow_pause(SYNC_LOOK_MS);
	}
	if (status == CTL_OK)
		status = follow_finish(&f);
	follow_release(&f);
	return status;
}

static int no_wait(struct ctl *c, const json_t *answer)
{
	size_t refused = json_array_size(json_object_get(answer, "refused"));

	if (!ctl_json(c, answer))
		fprintf(c->out, "%lld users are due now, %zu refused\n",
			(long long)(ctl_int(answer, "count") - (int64_t)refused), refused);
	return refused ? CTL_FAILED : CTL_OK;
}

int ctl_sync(struct ctl *c)
{
	json_t *answer, *body;
	int status;

	if (c->dry_run)
		return ctl_preview(c);
	body = follow_choice(c, true);
	if (!body)
		return CTL_USAGE;
	status = ctl_ask(c, "/v1/sync", body, &answer);
	if (status == CTL_OK)
		status = c->no_wait ? no_wait(c, answer) : follow(c, answer);
	json_decref(answer);
	return status;
}
