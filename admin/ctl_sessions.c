/* Hides: how live sessions are listed, and how a drop or drain is waited for. */
#include "admin/api.h"
#include "admin/ctl.h"
#include "admin/ctl_follow.h"
#include "admin/ctl_sure.h"
#include "common/clock.h"

#define DROP_WAIT_S    10  /* without --wait */
#define DRAIN_S	       300 /* without --seconds */
#define ANSWER_LATE_S  3   /* for a node to hear of it, and to tell what became of it */
#define ANSWER_LOOK_MS 100

/* ---- the list */

static void session_row(struct table *t, const json_t *s)
{
	char up[TEXT_SMALL], down[TEXT_SMALL], age[TEXT_SMALL];

	table_cell(t, "%s", ctl_text(s, "user"));
	table_cell(t, "%s", ctl_text(s, "client"));
	table_cell(t, "%s", ctl_text(s, "proto"));
	table_cell(t, "%s", ctl_text(s, "route"));
	table_cell(t, "%s", ctl_text(s, "state"));
	table_cell(t, "%s", ctl_text(s, "doing"));
	table_cell(t, "%s", text_span(clock_real_ms() - ctl_int(s, "since"), age));
	table_cell(t, "%s", text_bytes(ctl_int(s, "bytes_up"), up));
	table_cell(t, "%s", text_bytes(ctl_int(s, "bytes_down"), down));
	table_cell(t, "%s", ctl_text(s, "peer"));
	table_cell(t, "%s", ctl_text(s, "node"));
	table_cell(t, "%s", ctl_text(s, "id"));
}

void ctl_print_sessions(struct ctl *c, const json_t *list)
{
	struct table *t =
		table_new("USER|CLIENT|PROTO|ROUTE|STATE|OPEN|>AGE|>UP|>DOWN|PEER|NODE|ID");
	const json_t *s;
	size_t i;

	json_array_foreach (list, i, s)
		session_row(t, s);
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	else
		fprintf(c->out, "no live sessions\n");
	table_free(&t);
}

/* One page behind `after` (NULL: the first), which becomes where the next one begins. */
static int take_page(struct ctl *c, char **after, json_t *list)
{
	char *path = mem_printf("/v1/sessions?limit=%d", API_PAGE_MAX);
	json_t *answer;
	int status;

	ctl_param(c, &path, "user", c->arg_count ? c->arg[0] : NULL);
	ctl_param(c, &path, "wave", c->wave);
	ctl_param(c, &path, "node", c->node);
	ctl_param(c, &path, "side", c->side);
	ctl_param(c, &path, "proto", c->proto);
	ctl_param(c, &path, "state", c->state);
	ctl_param(c, &path, "after", *after);
	status = ctl_ask(c, path, NULL, &answer);
	mem_free(&path);
	mem_free(after);
	if (*ctl_text(answer, "next"))
		*after = mem_str(ctl_text(answer, "next"));
	json_array_extend(list, json_object_get(answer, "sessions"));
	json_decref(answer);
	return status;
}

int ctl_sessions(struct ctl *c)
{
	json_t *list = json_array(), *whole = json_pack("{s:o}", "sessions", list);
	char *after = NULL;
	int status;

	do
		status = take_page(c, &after, list);
	while (status == CTL_OK && after);
	if (status == CTL_OK && !ctl_json(c, whole))
		ctl_print_sessions(c, list);
	mem_free(&after);
	json_decref(whole);
	return status;
}

/* ---- waiting for the nodes */

struct tally {
	int64_t ended, cut, remain, silent;
};

static struct tally tally_of(const json_t *answers)
{
	struct tally t = { 0 };
	const json_t *a;
	size_t i;

	json_array_foreach (answers, i, a) {
		t.ended += ctl_int(a, "ended");
		t.cut += ctl_int(a, "cut");
		t.remain += ctl_int(a, "remain");
		t.silent += !ctl_true(a, "answered");
	}
	return t;
}

static void print_answers(struct ctl *c, const json_t *answers)
{
	const json_t *a;
	size_t i;

	json_array_foreach (answers, i, a) {
		text_put(c->out, ctl_text(a, "node"));
		if (!ctl_true(a, "answered")) {
			fputs(": has not answered\n", c->out);
			continue;
		}
		fprintf(c->out, ": %lld ended, %lld cut, %lld remain",
			(long long)ctl_int(a, "ended"), (long long)ctl_int(a, "cut"),
			(long long)ctl_int(a, "remain"));
		fputs(*ctl_text(a, "doing") ? "; " : "", c->out);
		text_put(c->out, ctl_text(a, "doing"));
		fputc('\n', c->out);
	}
	if (json_array_size(answers) == 0)
		fputs("no node is up\n", c->out);
}

static int look(struct ctl *c, int64_t request, json_t **answers)
{
	char *path = mem_printf("/v1/answers?request=%lld", (long long)request);
	json_t *answer;
	int status = ctl_ask(c, path, NULL, &answer);

	mem_free(&path);
	*answers = json_incref(json_object_get(answer, "answers"));
	json_decref(answer);
	return status;
}

static bool is_open(const json_t *answers, int64_t began, int64_t wait_s)
{
	int64_t took = clock_mono_ms() - began;
	struct tally t = tally_of(answers);

	return (t.silent && took < 1000 * MAX(wait_s, (int64_t)ANSWER_LATE_S)) ||
	       (t.remain && took < 1000 * wait_s);
}

int ctl_await_answers(struct ctl *c, int64_t request, int64_t wait_s, json_t **answers)
{
	int64_t began = clock_mono_ms();
	int status = look(c, request, answers);

	while (status == CTL_OK && is_open(*answers, began, wait_s)) {
		json_decref(*answers);
		follow_pause(ANSWER_LOOK_MS);
		status = look(c, request, answers);
	}
	return status;
}

/* Posts, waits and tells. */
static int carry_out(struct ctl *c, const char *path, json_t *body, int64_t wait_s)
{
	json_t *answer, *answers = NULL, *whole;
	int status = ctl_ask(c, path, body, &answer);
	int64_t request = ctl_int(answer, "request");
	struct tally t;

	json_decref(answer);
	if (status == CTL_OK)
		status = ctl_await_answers(c, request, wait_s, &answers);
	if (status != CTL_OK)
		return status;
	t = tally_of(answers);
	whole = json_pack("{s:I, s:I, s:I, s:I, s:O}", "ended", (json_int_t)t.ended, "cut",
			  (json_int_t)t.cut, "remain", (json_int_t)t.remain, "silent",
			  (json_int_t)t.silent, "nodes", answers);
	if (!ctl_json(c, whole))
		print_answers(c, answers);
	json_decref(whole);
	json_decref(answers);
	return t.remain || t.silent ? CTL_FAILED : CTL_OK;
}

/* ---- drop and drain */

/* The option's number of seconds; without the option `usual`. -1: said so already. */
static int64_t seconds_of(const struct ctl *c, const char *option, const char *text,
			  int64_t usual)
{
	uint64_t s = (uint64_t)usual;

	if (text && slice_u64(slice_of(text), API_CUT_MAX_S, &s) < 0) {
		ctl_usage(c, "%s must be 0 to %d, not \"%.40s\"", option, API_CUT_MAX_S, text);
		return -1;
	}
	return (int64_t)s;
}

int ctl_drop(struct ctl *c)
{
	int64_t wait_s = seconds_of(c, "--wait", c->wait, DROP_WAIT_S);
	int status;

	if (wait_s < 0)
		return CTL_USAGE;
	status = ctl_sure_drop(c, wait_s);
	if (status != CTL_OK)
		return status;
	return carry_out(c, "/v1/drop",
			 json_pack("{s:s, s:b, s:I}", "user", c->arg[0], "force", c->force,
				   "seconds", (json_int_t)wait_s),
			 wait_s + (c->force ? ANSWER_LATE_S : 0));
}

int ctl_drain(struct ctl *c)
{
	int64_t s = seconds_of(c, "--seconds", c->seconds, DRAIN_S);
	json_t *body;
	int status;

	if (s < 0)
		return CTL_USAGE;
	if ((c->arg_count > 0) + c->all != 1)
		return ctl_usage(c, "drain: give a NODE or --all");
	status = ctl_sure_drain(c, s);
	if (status != CTL_OK)
		return status;
	body = json_pack("{s:I, s:b}", "seconds", (json_int_t)s, "undo", c->undo);
	if (c->all)
		json_object_set_new(body, "all", json_true());
	else
		json_object_set_new(body, "node", json_string(c->arg[0]));
	return carry_out(c, "/v1/drain", body, c->undo ? 0 : s + ANSWER_LATE_S);
}
