/* Hides: how a cutover, or a rollback, is followed by its history. */
#include "admin/api.h"
#include "admin/ctl_follow.h"
#include "admin/ctl_sure.h"

#define CUTOVER_LOOK_MS	  200
#define CUTOVER_LOOKS_ROW 5 /* the users' rows are read every so many looks at the history */

struct cutover_view {
	struct follow f;
	int64_t after; /* history seen so far */
	enum side to;
};

static bool is_held(const char *state)
{
	int s = user_state_find(state);

	return s >= 0 && user_is_held((enum user_state)s);
}

/* Lives there, and is not on the way to the other side. */
static bool is_there(const struct cutover_view *v, const char *state)
{
	int s = user_state_find(state);

	if (s < 0 || s == USER_RETURNING)
		return false;
	return user_route((enum user_state)s) == (v->to == SIDE_NEW ? ROUTE_NEW : ROUTE_OLD);
}

static const char *arrived(const struct cutover_view *v)
{
	return v->to == SIDE_NEW ? "flipped" : "returned";
}

static void print_note(struct ctl *c, const char *user, enum table_tint tint, const char *what,
		       const char *why)
{
	if (c->json)
		return;
	text_put(c->out, user);
	fprintf(c->out, ": %s%s%s", table_tint_code(tint, c->terminal), what,
		table_tint_code(TINT_NONE, c->terminal));
	if (*why)
		fputs(": ", c->out);
	text_put(c->out, why);
	fputc('\n', c->out);
	fflush(c->out);
}

static void end(struct cutover_view *v, struct followed *u, enum follow_end e,
		const char *result, const char *why)
{
	if (u->end != FOLLOW_ON)
		return;
	print_note(v->f.ctl, u->name, e == FOLLOW_DONE ? TINT_GOOD : TINT_BAD, result, why);
	follow_end(&v->f, u, e, result, why);
}

static void print_step(struct ctl *c, const json_t *h)
{
	char when[TEXT_SMALL];

	if (c->json)
		return;
	fprintf(c->out, "%s ", text_clock(ctl_int(h, "at"), when));
	text_put(c->out, ctl_text(h, "user"));
	fprintf(c->out, ": %s → %s (%s) ", ctl_text(h, "from"), ctl_text(h, "to"),
		ctl_text(h, "actor"));
	text_put(c->out, ctl_text(h, "why"));
	fputc('\n', c->out);
	fflush(c->out);
}

static void take_step(struct cutover_view *v, const json_t *h)
{
	struct followed *u = follow_find(&v->f, ctl_text(h, "user"));
	const char *from = ctl_text(h, "from"), *to = ctl_text(h, "to");

	if (!u || u->end != FOLLOW_ON)
		return;
	print_step(v->f.ctl, h);
	if (is_held(from) && is_there(v, to))
		end(v, u, FOLLOW_DONE, arrived(v), "");
	else if (is_held(from) && !is_held(to))
		end(v, u, FOLLOW_FAILED, "undone", ctl_text(h, "why"));
}

/* Reads on in the history; a CTL_ status. */
static int look_at_history(struct cutover_view *v)
{
	bool more = true;
	int status = CTL_OK;

	while (more && status == CTL_OK) {
		char *path = mem_printf("/v1/history?limit=%d&after=%lld", API_PAGE_MAX,
					(long long)v->after);
		json_t *page, *h;
		size_t i;

		status = ctl_ask(v->f.ctl, path, NULL, &page);
		mem_free(&path);
		json_array_foreach (json_object_get(page, "history"), i, h) {
			v->after = ctl_int(h, "id");
			take_step(v, h);
		}
		more = ctl_true(page, "more");
		json_decref(page);
	}
	return status;
}

/* What no history tells: stuck, or the go is gone, or it was there before. */
static void look_at_row(struct cutover_view *v, struct followed *u, const json_t *row)
{
	const char *state = ctl_text(row, "state"), *stuck = ctl_text(row, "stuck");

	if (is_there(v, state))
		end(v, u, FOLLOW_DONE, arrived(v),
		    v->to == SIDE_NEW ? "was on new already" : "was on old already");
	else if (*stuck)
		end(v, u, FOLLOW_FAILED, "stuck", stuck);
	else if (!ctl_true(row, "go") && !is_held(state))
		end(v, u, FOLLOW_FAILED, "withdrawn", "it has no go any more");
	else if (!u->shown && !is_held(state)) {
		u->shown = mem_str(state);
		print_note(v->f.ctl, u->name, TINT_NONE, "has the go", state);
	}
}

/* Nobody of a paused wave begins: to wait for them is in vain. */
static int look_at_wave(struct cutover_view *v, json_t *users)
{
	struct ctl *c = v->f.ctl;
	char *path = mem_str("/v1/waves");
	json_t *answer, *wave, *row;
	size_t i;
	int status;

	ctl_param(c, &path, "wave", c->wave);
	status = ctl_ask(c, path, NULL, &answer);
	mem_free(&path);
	wave = json_object_get(json_array_get(json_object_get(answer, "waves"), 0),
			       "timetable");
	json_array_foreach (users, i, row) {
		struct followed *u = follow_find(&v->f, ctl_text(row, "name"));

		if (ctl_true(wave, "paused") && u && !is_held(ctl_text(row, "state")) &&
		    json_is_null(json_object_get(row, "running")))
			end(v, u, FOLLOW_FAILED, "paused", ctl_text(wave, "why"));
	}
	json_decref(answer);
	return status;
}

static int look_at_rows(struct cutover_view *v)
{
	json_t *users, *row;
	size_t i;
	int status = follow_look(&v->f, &users);

	/* A row may be ahead of the history read so far; the history tells it better. */
	if (status == CTL_OK)
		status = look_at_history(v);
	json_array_foreach (users, i, row) {
		struct followed *u = follow_find(&v->f, ctl_text(row, "name"));

		if (status == CTL_OK && u && u->end == FOLLOW_ON)
			look_at_row(v, u, row);
	}
	if (status == CTL_OK && v->f.ctl->wave && v->to == SIDE_NEW && v->f.open)
		status = look_at_wave(v, users);
	json_decref(users);
	return status;
}

static int follow(struct ctl *c, const json_t *answer, enum side to)
{
	struct cutover_view v = { .after = ctl_int(answer, "after"), .to = to };
	int status = follow_start(&v.f, c, answer);

	for (int n = 0; status == CTL_OK && v.f.open; n++) {
		status = n % CUTOVER_LOOKS_ROW == 0 ? look_at_rows(&v) : look_at_history(&v);
		if (status == CTL_OK && v.f.open)
			follow_pause(CUTOVER_LOOK_MS);
	}
	if (status == CTL_OK)
		status = follow_finish(&v.f);
	follow_release(&v.f);
	return status;
}

static int no_wait(struct ctl *c, const json_t *answer)
{
	if (!ctl_json(c, answer))
		fprintf(c->out, "go %s for %lld of %lld users\n",
			c->withdraw ? "withdrawn" : "given",
			(long long)ctl_int(answer, "changed"),
			(long long)ctl_int(answer, "count"));
	return CTL_OK;
}

/* ---- when */

/* 0, or CTL_USAGE, said. */
static int add_number(struct ctl *c, json_t *body, const char *key, const char *option,
		      const char *text)
{
	uint64_t n;

	if (!text)
		return 0;
	if (slice_u64(slice_of(text), INT32_MAX, &n) < 0)
		return ctl_usage(c, "%s: %s is a number, not \"%.40s\"", c->verb->name, option,
				 text);
	json_object_set_new(body, key, json_integer((json_int_t)n));
	return 0;
}

static int add_when(struct ctl *c, json_t *body)
{
	if (c->at)
		json_object_set_new(body, "at", json_string(c->at));
	if (c->latest)
		json_object_set_new(body, "latest", json_string(c->latest));
	if (add_number(c, body, "rate", "--rate", c->rate) ||
	    add_number(c, body, "first_hour", "--first-hour", c->first_hour) ||
	    add_number(c, body, "quiet_s", "--when-quiet", c->when_quiet))
		return CTL_USAGE;
	return 0;
}

static bool says_when(const struct ctl *c)
{
	return c->at || c->latest || c->rate || c->first_hour || c->when_quiet;
}

static void print_when(struct ctl *c, const json_t *answer)
{
	if (c->json || !says_when(c))
		return;
	fprintf(c->out, "they begin ");
	text_put(c->out, ctl_text(json_object_get(answer, "timetable"), "text"));
	fputc('\n', c->out);
}

static void put_waits(struct table *t, const json_t *items)
{
	const json_t *first = json_array_get(items, 0);

	if (first)
		table_tinted(t, TINT_BUSY, "%s: %s", ctl_text(first, "name"),
			     ctl_text(first, "text"));
	else
		table_cell(t, "%s", "");
}

static void print_dry_run(struct ctl *c, const json_t *answer)
{
	struct table *t = table_new("USER|STATE|NOT BEFORE|WAITS FOR");
	char when[TEXT_SMALL];
	const json_t *u;
	size_t i;

	json_array_foreach (json_object_get(answer, "users"), i, u) {
		table_cell(t, "%s", ctl_text(u, "user"));
		table_cell(t, "%s", ctl_text(u, "state"));
		table_cell(t, "%s", text_date(ctl_int(u, "not_before"), when));
		put_waits(t, json_object_get(u, "waits_for"));
	}
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	else
		fprintf(c->out, "nobody is left to go\n");
	table_free(&t);
}

static int ask_dry_run(struct ctl *c, json_t *body)
{
	json_t *answer;
	int status;

	json_object_set_new(body, "dry_run", json_true());
	status = ctl_ask(c, "/v1/cutover", body, &answer);
	if (status == CTL_OK && !ctl_json(c, answer)) {
		print_when(c, answer);
		print_dry_run(c, answer);
	}
	json_decref(answer);
	return status;
}

/* ---- the verbs */

static int ask_and_follow(struct ctl *c, const char *path, json_t *body, enum side to)
{
	json_t *answer;
	int status;

	json_object_set_new(body, "go", json_boolean(!c->withdraw));
	if (c->note)
		json_object_set_new(body, "note", json_string(c->note));
	status = ctl_ask(c, path, body, &answer);
	if (status == CTL_OK) {
		print_when(c, answer);
		status = c->no_wait || c->withdraw || c->at ? no_wait(c, answer)
							    : follow(c, answer, to);
	}
	json_decref(answer);
	return status;
}

int ctl_cutover(struct ctl *c)
{
	json_t *body = follow_choice(c, false);
	int status;

	if (!body || add_when(c, body)) {
		json_decref(body);
		return CTL_USAGE;
	}
	if (c->dry_run)
		return ask_dry_run(c, body);
	status = ctl_sure_cutover(c);
	if (status == CTL_OK)
		return ask_and_follow(c, "/v1/cutover", body, SIDE_NEW);
	json_decref(body);
	return status;
}

int ctl_rollback(struct ctl *c)
{
	json_t *body = follow_choice(c, false);
	int status = body ? ctl_sure_rollback(c) : CTL_USAGE;

	if (status == CTL_OK)
		return ask_and_follow(c, "/v1/rollback", body, SIDE_OLD);
	json_decref(body);
	return status;
}
