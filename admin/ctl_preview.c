/* Hides: how what a pass would do with a user's folders is laid out. */
#include <signal.h>

#include "admin/api_json.h"
#include "admin/ctl.h"
#include "admin/table.h"
#include "sync/preview.h"

struct plan {
	json_t *folders;
	int64_t messages, bytes;
	int64_t count[PREVIEW_STEPS];
};

static json_t *count_json(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static bool is_left(enum preview_step s)
{
	return s == PREVIEW_SHARED || s == PREVIEW_SKIP;
}

static void on_folder(const struct preview_folder *f, void *arg)
{
	bool left = is_left(f->step);
	struct plan *p = arg;
	json_t *j = json_object();

	json_object_set_new(j, "old", api_json_text_or_null(f->old));
	json_object_set_new(j, "new", api_json_text_or_null(f->new));
	json_object_set_new(j, "was", api_json_text_or_null(f->was));
	json_object_set_new(j, "step", json_string(preview_step_name(f->step)));
	json_object_set_new(j, "why",
			    left ? json_null() : json_string(folder_why_name(f->why)));
	json_object_set_new(j, "reason",
			    left ? json_null() : json_string(folder_why_text(f->why)));
	json_object_set_new(j, "messages", count_json(f->messages));
	json_object_set_new(j, "bytes", count_json(f->bytes));
	json_object_set_new(j, "uids", api_json_text_or_null(f->uids));
	json_object_set_new(j, "uids_why",
			    f->uids && *f->uids_why ? json_string(f->uids_why) : json_null());
	json_array_append_new(p->folders, j);
	p->count[f->step]++;
	if (!left && f->messages > 0)
		p->messages += f->messages;
	if (!left && f->bytes > 0)
		p->bytes += f->bytes;
}

/* ---- for people */

static const char *what_text(const json_t *f)
{
	static const char *const texts[][2] = {
		{ "keep", "is there" },		  { "make", "to be made" },
		{ "rename", "to be renamed" },	  { "name", "holds no mail" },
		{ "shared", "left out: shared" }, { "skip", "left out: a rule skips it" },
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		if (strcmp(ctl_text(f, "step"), texts[i][0]) == 0)
			return texts[i][1];
	return "";
}

static void add_row(struct table *t, const json_t *f)
{
	char n[TEXT_SMALL], size[TEXT_SMALL];
	const char *was = ctl_text(f, "was"), *why = ctl_text(f, "uids_why");

	table_cell(t, "%s", ctl_text(f, "old"));
	table_cell(t, "%s", ctl_text(f, "new"));
	table_cell(t, "%s%s%s", what_text(f), *was ? " from " : "", was);
	table_cell(t, "%s",
		   json_is_null(json_object_get(f, "messages"))
			   ? "?"
			   : text_count(ctl_int(f, "messages"), n));
	table_cell(t, "%s",
		   json_is_null(json_object_get(f, "bytes"))
			   ? "?"
			   : text_bytes(ctl_int(f, "bytes"), size));
	table_cell(t, "%s%s%s", ctl_text(f, "uids"), *why ? ": " : "", why);
	table_cell(t, "%s", ctl_text(f, "reason"));
}

static void print_plan(struct ctl *c, const struct plan *p)
{
	struct table *t = table_new("OLD|NEW|THERE|>MESSAGES|>SIZE|UIDS|WHY THIS NAME");
	char n[TEXT_SMALL], size[TEXT_SMALL];
	const json_t *f;
	size_t i;

	json_array_foreach (p->folders, i, f)
		add_row(t, f);
	table_print(t, c->out, c->terminal);
	table_free(&t);
	fprintf(c->out,
		"%lld folders are there, %lld are to be made, %lld renamed, %lld left out; "
		"%s messages, %s. Nothing was changed.\n",
		(long long)p->count[PREVIEW_KEEP], (long long)p->count[PREVIEW_MAKE],
		(long long)p->count[PREVIEW_RENAME],
		(long long)(p->count[PREVIEW_SHARED] + p->count[PREVIEW_SKIP]),
		text_count(p->messages, n), text_bytes(p->bytes, size));
}

static void show(struct ctl *c, const struct plan *p)
{
	json_t *whole = json_pack(
		"{s:o, s:O, s:I, s:I, s:I, s:I, s:I}", "user", api_json_text(c->arg[0]),
		"folders", p->folders, "make", (json_int_t)p->count[PREVIEW_MAKE], "rename",
		(json_int_t)p->count[PREVIEW_RENAME], "left",
		(json_int_t)(p->count[PREVIEW_SHARED] + p->count[PREVIEW_SKIP]), "messages",
		(json_int_t)p->messages, "bytes", (json_int_t)p->bytes);

	if (!ctl_json(c, whole))
		print_plan(c, p);
	json_decref(whole);
}

int ctl_preview(struct ctl *c)
{
	struct plan p = { .folders = json_array() };
	struct job j = { 0 };
	struct err e = { 0 };
	int rc, status = ctl_settings(c);

	if (status == CTL_OK && c->arg_count != 1)
		status = ctl_usage(c, "--dry-run is for one USER");
	if (status != CTL_OK) {
		json_decref(p.folders);
		return status;
	}
	signal(SIGPIPE, SIG_IGN);
	rc = ctl_user_job(c, c->arg[0], &j, &e);
	if (rc == 0)
		rc = preview_user(&j, on_folder, &p, &e);
	if (rc == 0)
		show(c, &p);
	else
		fprintf(stderr, "mailferry: %s\n", e.text);
	json_decref(p.folders);
	job_release(&j);
	return rc < 0 ? CTL_FAILED : CTL_OK;
}
