/* Hides: how waves look, and how they are paused. */
#include "admin/ctl.h"
#include "admin/table.h"

static void put_count(struct table *t, const json_t *wave, const char *key)
{
	char text[TEXT_SMALL];

	table_cell(t, "%s", text_count(ctl_int(wave, key), text));
}

/* Whose mail OpenSRS's own tool brings, with whatever UIDs it likes. */
static int64_t pulled(const json_t *pull)
{
	const json_t *n;
	const char *state;
	int64_t sum = 0;

	json_object_foreach ((json_t *)(uintptr_t)pull, state, n)
		sum += json_integer_value(n);
	return sum;
}

static void wave_row(struct table *t, const json_t *wave)
{
	const json_t *when = json_object_get(wave, "timetable");
	char text[TEXT_SMALL];

	table_cell(t, "%s", ctl_text(wave, "wave"));
	put_count(t, wave, "users");
	put_count(t, wave, "on_new");
	put_count(t, wave, "go");
	put_count(t, wave, "first_hour");
	table_cell(t, "%s", text_count(pulled(json_object_get(wave, "pull")), text));
	if (ctl_true(when, "paused"))
		table_tinted(t, TINT_BAD, "paused by %s: %s", ctl_text(when, "by"),
			     ctl_text(when, "why"));
	else
		table_cell(t, "%s", ctl_text(when, "text"));
}

int ctl_waves(struct ctl *c)
{
	char *path = mem_str("/v1/waves");
	struct table *t;
	json_t *answer, *wave;
	size_t i;
	int status;

	ctl_param(c, &path, "wave", c->wave);
	status = ctl_ask(c, path, NULL, &answer);
	mem_free(&path);
	if (status == CTL_OK && !ctl_json(c, answer)) {
		t = table_new("WAVE|>USERS|>ON NEW|>GO|>FIRST HOUR|>PLAIN UIDS|BEGINS");
		json_array_foreach (json_object_get(answer, "waves"), i, wave)
			wave_row(t, wave);
		table_print(t, c->out, c->terminal);
		table_free(&t);
	}
	json_decref(answer);
	return status;
}

static int ask(struct ctl *c, const char *path, const char *done, const char *before)
{
	json_t *answer, *body;
	int status;

	if (!c->wave)
		return ctl_usage(c, "%s: --wave says which", c->verb->name);
	body = json_pack("{s:s}", "wave", c->wave);
	if (c->note)
		json_object_set_new(body, "note", json_string(c->note));
	status = ctl_ask(c, path, body, &answer);
	if (status == CTL_OK && !ctl_json(c, answer)) {
		fputs("wave ", c->out);
		text_put(c->out, c->wave);
		fprintf(c->out, " %s\n", ctl_int(answer, "changed") ? done : before);
	}
	json_decref(answer);
	return status;
}

int ctl_pause(struct ctl *c)
{
	return ask(c, "/v1/pause", "is paused: who is under way goes on, nobody else begins",
		   "was paused already");
}

int ctl_resume(struct ctl *c)
{
	return ask(c, "/v1/resume", "goes on", "was not paused");
}
