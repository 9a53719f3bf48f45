/* Hides: how a cutover, or a rollback, is followed by its history. */
#include "admin/api.h"
#include "admin/ctl_follow.h"

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

static int ask_and_follow(struct ctl *c, const char *path, enum side to)
{
	json_t *answer, *body = follow_choice(c, false);
	int status;

	if (!body)
		return CTL_USAGE;
	json_object_set_new(body, "go", json_boolean(!c->withdraw));
	if (c->note)
		json_object_set_new(body, "note", json_string(c->note));
	status = ctl_ask(c, path, body, &answer);
	if (status == CTL_OK)
		status = c->no_wait || c->withdraw ? no_wait(c, answer) : follow(c, answer, to);
	json_decref(answer);
	return status;
}

int ctl_cutover(struct ctl *c)
{
	return ask_and_follow(c, "/v1/cutover", SIDE_NEW);
}

int ctl_rollback(struct ctl *c)
{
	return ask_and_follow(c, "/v1/rollback", SIDE_OLD);
}
