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

/* A list that is printed while it comes. */
struct listing {
	struct ctl *ctl;
	struct table *table; /* NULL: JSON */
	bool begun;
};

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

static void print_page(const json_t *users, void *arg)
{
	struct listing *l = arg;
	const json_t *u;
	size_t i;

	json_array_foreach (users, i, u)
		user_row(l->table, u);
	table_print(l->table, l->ctl->out, l->ctl->terminal);
	fflush(l->ctl->out);
}

/* What of a page's text stands between its brackets, behind what is there already. */
static void dump_page(const json_t *users, void *arg)
{
	struct listing *l = arg;
	char *text = json_dumps(users, JSON_COMPACT);

	ASSERT(text);
	fprintf(l->ctl->out, "%s%.*s", l->begun ? "," : "{\"users\":[", (int)strlen(text) - 2,
		text + 1);
	fflush(l->ctl->out);
	free(text);
	l->begun = true;
	l->ctl->json = false; /* no refusal may come in between: it goes to stderr */
}

/* One document from pages, and a whole one even where the engine was lost on the way. */
static int dump_users(struct ctl *c)
{
	struct listing l = { .ctl = c };
	int status = ctl_each_users(c, c->wave, c->state, dump_page, &l);

	if (!l.begun && status == CTL_OK)
		fputs("{\"users\":[", c->out);
	if (l.begun || status == CTL_OK)
		fprintf(c->out, "]%s}\n", status == CTL_OK ? "" : ",\"more\":true");
	return status;
}

int ctl_users(struct ctl *c)
{
	struct listing l = { .ctl = c };
	int status;

	if (c->json)
		return dump_users(c);
	l.table = table_new("USER|WAVE|STATE|GO|>MESSAGES|>COMPARED|LAST PASS|TROUBLE");
	status = ctl_each_users(c, c->wave, c->state, print_page, &l);
	if (status == CTL_OK && table_rows(l.table) == 0)
		fputs("no such users\n", c->out);
	table_free(&l.table);
	return status;
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
