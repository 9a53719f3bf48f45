/* Hides: how many users are watched at once, and how their ends add up. */
#include "admin/ctl_follow.h"

#include <poll.h>

void follow_pause(int ms)
{
	poll(NULL, 0, ms);
}

/* ---- the work table */

static void work_row(struct table *t, const json_t *u, const json_t *r)
{
	char a[TEXT_SMALL], b[TEXT_SMALL];

	table_cell(t, "%s", ctl_text(u, "name"));
	table_tinted(t, ctl_state_tint(u), "%s", ctl_text(u, "state"));
	table_cell(t, "%s", ctl_text(r, "kind"));
	table_cell(t, "%s",
		   ctl_int(r, "total") ? text_bar(ctl_int(r, "done"), ctl_int(r, "total"), a)
				       : "");
	table_cell(t, "%s", ctl_int(r, "total") ? text_count(ctl_int(r, "done"), a) : "");
	table_cell(t, "%s", ctl_int(r, "total") ? text_count(ctl_int(r, "total"), a) : "");
	table_cell(t, "%s", json_is_object(r) ? text_bytes(ctl_int(r, "bytes"), b) : "");
	table_cell(t, "%s", ctl_text(r, "folder"));
}

size_t follow_print_work(struct ctl *c, const json_t *users)
{
	struct table *t = table_new("USER|STATE|WORK|PROGRESS|>DONE|>OF|>BYTES|FOLDER");
	const json_t *u;
	size_t i, rows;

	json_array_foreach (users, i, u)
		work_row(t, u, json_object_get(u, "running"));
	rows = table_rows(t);
	if (rows)
		table_print(t, c->out, c->terminal);
	table_free(&t);
	return rows ? rows + 1 : 0;
}

/* ---- whom to follow */

json_t *follow_choice(struct ctl *c, bool all_too)
{
	if ((c->arg_count > 0) + !!c->wave + c->all != 1) {
		ctl_usage(c, "%s: give a USER%s or --wave W%s", c->verb->name,
			  all_too ? "," : "", all_too ? " or --all" : "");
		return NULL;
	}
	if (c->all)
		return json_pack("{s:b}", "all", 1);
	return c->wave ? json_pack("{s:s}", "wave", c->wave)
		       : json_pack("{s:s}", "user", c->arg[0]);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct followed *)a)->name, ((const struct followed *)b)->name);
}

static void take_users(struct follow *f, const json_t *users)
{
	const json_t *u;
	size_t i;

	f->users = mem_array(json_array_size(users) + 1, sizeof *f->users);
	json_array_foreach (users, i, u) {
		f->users[f->count++] = (struct followed){
			.name = mem_str(ctl_text(u, "name")),
			.ended = ctl_int(json_object_get(u, "progress"), "ended"),
			.attempts = ctl_int(u, "attempts"),
		};
	}
	f->open = f->count;
	qsort(f->users, f->count, sizeof *f->users, by_name);
}

int follow_start(struct follow *f, struct ctl *c, const json_t *answer)
{
	json_t *all, *named = json_object_get(answer, "users");
	int status = CTL_OK;

	*f = (struct follow){ .ctl = c, .result = json_array() };
	if ((int64_t)json_array_size(named) == ctl_int(answer, "count")) {
		take_users(f, named);
		return CTL_OK;
	}
	status = ctl_all_users(c, c->wave, NULL, &all);
	take_users(f, all);
	json_decref(all);
	return status;
}

void follow_release(struct follow *f)
{
	for (size_t i = 0; i < f->count; i++) {
		mem_free(&f->users[i].name);
		mem_free(&f->users[i].shown);
	}
	mem_free(&f->users);
	json_decref(f->result);
	f->result = NULL;
}

struct followed *follow_find(struct follow *f, const char *name)
{
	struct followed key = { .name = mem_str(name) };
	struct followed *found = bsearch(&key, f->users, f->count, sizeof key, by_name);

	mem_free(&key.name);
	return found;
}

void follow_end(struct follow *f, struct followed *u, enum follow_end end, const char *result,
		const char *text)
{
	if (u->end != FOLLOW_ON)
		return;
	u->end = end;
	f->open--;
	f->failed += end == FOLLOW_FAILED;
	json_array_append_new(f->result, json_pack("{s:s, s:s, s:s}", "user", u->name, "result",
						   result, "text", text));
}

int follow_look(struct follow *f, json_t **users)
{
	json_t *answer;
	char *path;
	int status;

	if (f->count != 1)
		return ctl_all_users(f->ctl, f->ctl->wave, NULL, users);
	path = ctl_user_path(f->ctl, f->users[0].name, "");
	status = ctl_ask(f->ctl, path, NULL, &answer);
	mem_free(&path);
	*users = json_array();
	if (status == CTL_OK)
		json_array_append(*users, json_object_get(answer, "user"));
	json_decref(answer);
	return status;
}

int follow_finish(struct follow *f)
{
	json_t *whole =
		json_pack("{s:O, s:I, s:I}", "users", f->result, "ok",
			  (json_int_t)(f->count - f->failed), "failed", (json_int_t)f->failed);

	if (!ctl_json(f->ctl, whole) && f->count > 1)
		fprintf(f->ctl->out, "%zu of %zu ok\n", f->count - f->failed, f->count);
	json_decref(whole);
	return f->failed ? CTL_FAILED : CTL_OK;
}
