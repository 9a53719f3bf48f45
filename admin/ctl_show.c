/* Hides: how lists look. */
#include "admin/api.h"
#include "admin/ctl.h"
#include "admin/ctl_follow.h"
#include "common/clock.h"

enum table_tint ctl_state_tint(const json_t *user)
{
	const char *state = ctl_text(user, "state");

	if (*ctl_text(user, "stuck"))
		return TINT_BAD;
	if (strcmp(state, "trailing") == 0 || strcmp(state, "done") == 0)
		return TINT_GOOD;
	if (strcmp(ctl_text(user, "route"), "hold") == 0 || strcmp(state, "returning") == 0)
		return TINT_BUSY;
	return TINT_NONE;
}

const char *ctl_pass_age(const json_t *progress, char out[TEXT_SMALL])
{
	int64_t ended = ctl_int(progress, "ended");
	char span[TEXT_SMALL];

	if (!ended)
		return "never";
	snprintf(out, TEXT_SMALL, "%.20s ago", text_span(clock_real_ms() - ended, span));
	return out;
}

/* Ends a list: nothing is said by a sentence, not by an empty table. */
static void print_list(struct ctl *c, struct table *t, const char *none)
{
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	else
		fprintf(c->out, "%s\n", none);
	table_free(&t);
}

static void say_more(struct ctl *c, const json_t *answer)
{
	if (ctl_true(answer, "more"))
		fprintf(c->out, "… and more; --json and the API give the rest in pages\n");
}

/* ---- users */

static void user_row(struct table *t, const json_t *u)
{
	const json_t *p = json_object_get(u, "progress");
	const char *stuck = ctl_text(u, "stuck"), *error = ctl_text(p, "error");
	char a[TEXT_SMALL], b[TEXT_SMALL];

	table_cell(t, "%s", ctl_text(u, "name"));
	table_cell(t, "%s", ctl_text(u, "wave"));
	table_tinted(t, ctl_state_tint(u), "%s", ctl_text(u, "state"));
	table_cell(t, "%s", ctl_true(u, "go") ? "yes" : "");
	table_cell(t, "%s", text_count(ctl_int(p, "messages"), a));
	table_cell(t, "%s", text_count(ctl_int(p, "verified"), b));
	table_cell(t, "%s", ctl_pass_age(p, a));
	table_tinted(t, TINT_BAD, "%s", *stuck ? stuck : error);
}

int ctl_users(struct ctl *c)
{
	struct table *t;
	json_t *users, *u, *whole;
	size_t i;
	int status = ctl_all_users(c, c->wave, c->state, &users);

	if (status != CTL_OK) {
		json_decref(users);
		return status;
	}
	whole = json_pack("{s:o}", "users", users);
	if (!ctl_json(c, whole)) {
		t = table_new("USER|WAVE|STATE|GO|>MESSAGES|>COMPARED|LAST PASS|TROUBLE");
		json_array_foreach (users, i, u)
			user_row(t, u);
		print_list(c, t, "no such users");
	}
	json_decref(whole);
	return CTL_OK;
}

/* ---- why */

static void history_row(struct table *t, const json_t *h)
{
	char when[TEXT_SMALL];

	table_cell(t, "%s", text_date(ctl_int(h, "at"), when));
	table_cell(t, "%s → %s", ctl_text(h, "from"), ctl_text(h, "to"));
	table_cell(t, "%s", ctl_text(h, "actor"));
	table_cell(t, "%s", ctl_text(h, "why"));
}

static void print_history(struct ctl *c, const json_t *list)
{
	struct table *t = table_new("WHEN|MOVE|BY|WHY");
	const json_t *h;
	size_t i;

	json_array_foreach (list, i, h)
		history_row(t, h);
	print_list(c, t, "no moves yet");
}

static enum table_tint gate_tint(const char *state)
{
	if (strcmp(state, "waits") == 0)
		return TINT_BUSY;
	return strcmp(state, "ok") == 0 ? TINT_GOOD : TINT_NONE;
}

static void print_gate(struct ctl *c, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *told = ctl_text(item, "state");
		const char *state = *told ? told : ctl_true(item, "open") ? "ok" : "waits";

		fprintf(c->out, "  %s%-6.6s%s ", table_tint_code(gate_tint(state), c->terminal),
			state, table_tint_code(TINT_NONE, c->terminal));
		text_put(c->out, ctl_text(item, "name"));
		fputs(": ", c->out);
		text_put(c->out, ctl_text(item, "text"));
		fputc('\n', c->out);
	}
}

static void print_quiet(struct ctl *c, const json_t *q)
{
	if (!q)
		return;
	fprintf(c->out, "nodes: %d of %d quiet%s", (int)ctl_int(q, "acked"),
		(int)ctl_int(q, "nodes"), *ctl_text(q, "waiting") ? "; waiting for " : "");
	text_put(c->out, ctl_text(q, "waiting"));
	fputc('\n', c->out);
}

static void print_why(struct ctl *c, const json_t *answer)
{
	const json_t *u = json_object_get(answer, "user");
	bool tinted = c->terminal;

	text_put(c->out, ctl_text(u, "name"));
	fprintf(c->out, ": %s%s%s, logins go to: %s",
		table_tint_code(ctl_state_tint(u), tinted), ctl_text(u, "state"),
		table_tint_code(TINT_NONE, tinted), ctl_text(u, "route"));
	if (*ctl_text(u, "wave"))
		fprintf(c->out, ", wave: ");
	text_put(c->out, ctl_text(u, "wave"));
	fputs("\n", c->out);
	text_put(c->out, ctl_text(answer, "summary"));
	fputs("\n", c->out);
	print_gate(c, json_object_get(answer, "waits_for"));
	print_quiet(c, json_object_get(answer, "quiet"));
	fputs("\nsessions\n", c->out);
	ctl_print_sessions(c, json_object_get(answer, "sessions"));
	fputs("\nlast moves\n", c->out);
	print_history(c, json_object_get(answer, "history"));
}

int ctl_why(struct ctl *c)
{
	char *path = ctl_user_path(c, c->arg[0], "/why");
	json_t *answer;
	int status = ctl_ask(c, path, NULL, &answer);

	mem_free(&path);
	if (status == CTL_OK && !ctl_json(c, answer))
		print_why(c, answer);
	json_decref(answer);
	return status;
}

/* ---- strangers */

static void print_strangers(struct ctl *c, const json_t *list)
{
	struct table *t = table_new("NAME|>LOGINS|FIRST SEEN|LAST SEEN");
	const json_t *s;
	size_t i;
	char n[TEXT_SMALL], first[TEXT_SMALL], last[TEXT_SMALL];

	json_array_foreach (list, i, s) {
		table_cell(t, "%s", ctl_text(s, "name"));
		table_cell(t, "%s", text_count(ctl_int(s, "logins"), n));
		table_cell(t, "%s", text_date(ctl_int(s, "first_seen"), first));
		table_cell(t, "%s", text_date(ctl_int(s, "last_seen"), last));
	}
	print_list(c, t, "no strangers: everybody who logged in was imported");
}

int ctl_strangers(struct ctl *c)
{
	char *path = mem_printf("/v1/strangers?limit=%d", API_PAGE_MAX);
	json_t *answer;
	int status = ctl_ask(c, path, NULL, &answer);

	mem_free(&path);
	if (status == CTL_OK && !ctl_json(c, answer)) {
		print_strangers(c, json_object_get(answer, "strangers"));
		say_more(c, answer);
	}
	json_decref(answer);
	return status;
}
