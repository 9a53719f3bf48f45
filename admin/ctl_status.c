/* Hides: how everything fits on one screen. */
#include "admin/ctl.h"
#include "admin/ctl_follow.h"
#include "admin/table.h"

#define WATCH_MS 1000

static int64_t state_count(const json_t *sums, const char *state)
{
	return ctl_int(json_object_get(sums, "states"), state);
}

static void sums_row(struct table *t, const char *name, const json_t *s)
{
	char a[TEXT_SMALL];
	int64_t moving = state_count(s, "freezing") + state_count(s, "finalizing");

	table_cell(t, "%s", name);
	table_cell(t, "%s", text_count(ctl_int(s, "users"), a));
	table_cell(t, "%s",
		   text_count(state_count(s, "pending") + state_count(s, "provisioned"), a));
	table_cell(t, "%s", text_count(state_count(s, "syncing"), a));
	table_cell(t, "%s", text_count(state_count(s, "ready"), a));
	table_tinted(t, moving ? TINT_BUSY : TINT_NONE, "%s", text_count(moving, a));
	table_cell(t, "%s", text_count(state_count(s, "trailing"), a));
	table_cell(t, "%s", text_count(state_count(s, "done"), a));
	table_cell(t, "%s", text_count(state_count(s, "returning"), a));
	table_tinted(t, ctl_int(s, "stuck") ? TINT_BAD : TINT_NONE, "%s",
		     text_count(ctl_int(s, "stuck"), a));
	table_cell(t, "%s", text_count(ctl_int(s, "messages"), a));
	table_cell(t, "%s", text_count(ctl_int(s, "verified"), a));
	table_cell(t, "%s", text_count(ctl_int(s, "exceptions"), a));
	table_cell(t, "%s", text_bytes(ctl_int(s, "bytes"), a));
}

static void print_waves(struct ctl *c, const json_t *answer)
{
	struct table *t = table_new(
		"WAVE|>USERS|>NEW|>SYNCING|>READY|>MOVING|>TRAILING|>DONE|>BACK|>STUCK|"
		">MESSAGES|>COMPARED|>FAILED|>SIZE");
	const json_t *w;
	size_t i;

	json_array_foreach (json_object_get(answer, "waves"), i, w)
		sums_row(t, *ctl_text(w, "wave") ? ctl_text(w, "wave") : "-", w);
	sums_row(t, "all", json_object_get(answer, "users"));
	table_print(t, c->out, c->terminal);
	table_free(&t);
}

/* "proxy-1 up", "proxy-1 leaving (12 sessions, 0.1-3f9ac2d1)" */
static void print_node(struct ctl *c, const json_t *n, bool first)
{
	bool up = strcmp(ctl_text(n, "health"), "up") == 0, leaving = ctl_true(n, "leaving");

	fprintf(c->out, "%s %s ", first ? "" : ",", ctl_text(n, "node"));
	fprintf(c->out, "%s%s%s",
		table_tint_code(!up	  ? TINT_BAD
				: leaving ? TINT_BUSY
					  : TINT_GOOD,
				c->terminal),
		up && leaving ? "leaving" : ctl_text(n, "health"),
		table_tint_code(TINT_NONE, c->terminal));
	if (up && !leaving && ctl_int(n, "drain_until"))
		fputs(" (drained)", c->out);
	if (leaving)
		fprintf(c->out, " (%lld sessions, %s)", (long long)ctl_int(n, "sessions"),
			ctl_text(n, "build"));
}

/* Only where there is more than the one that answers. */
static void print_engines(struct ctl *c, const json_t *list)
{
	const json_t *g;
	size_t i;

	if (json_array_size(list) < 2)
		return;
	fputs("engines:", c->out);
	json_array_foreach (list, i, g) {
		const char *is = ctl_text(g, "is");

		fprintf(c->out, "%s %s %s%s%s", i ? "," : "", ctl_text(g, "host"),
			table_tint_code(strcmp(is, "silent") == 0    ? TINT_BAD
					: strcmp(is, "at work") == 0 ? TINT_GOOD
								     : TINT_NONE,
					c->terminal),
			is, table_tint_code(TINT_NONE, c->terminal));
		if (ctl_int(g, "workers") && strcmp(is, "stands by") == 0)
			fprintf(c->out, " (makes %d of %d passes)", (int)ctl_int(g, "leases"),
				(int)ctl_int(g, "workers"));
	}
	fputc('\n', c->out);
}

static void print_engine(struct ctl *c, const json_t *answer)
{
	const json_t *g = json_object_get(answer, "engine");
	char span[TEXT_SMALL];

	if (!json_is_object(g))
		return;
	fprintf(c->out, "engine: up %s, ",
		text_span(ctl_int(answer, "now") - ctl_int(g, "started"), span));
	if (ctl_true(g, "stands_by"))
		fputs("stands by\n", c->out);
	else
		fprintf(c->out,
			"%d of %d workers busy, %d users queued, %d cutovers under way\n",
			(int)ctl_int(g, "workers"), (int)ctl_int(g, "workers_max"),
			(int)ctl_int(g, "queued"), (int)ctl_int(g, "cutovers"));
}

static void print_head(struct ctl *c, const json_t *answer)
{
	const json_t *s = json_object_get(answer, "sessions"), *n;
	size_t i;

	print_engine(c, answer);
	print_engines(c, json_object_get(answer, "engines"));
	fputs("nodes:", c->out);
	json_array_foreach (json_object_get(answer, "nodes"), i, n)
		print_node(c, n, i == 0);
	fprintf(c->out, "\nsessions: %lld (old %lld, new %lld, waiting %lld)\n",
		(long long)ctl_int(s, "total"), (long long)ctl_int(s, "old"),
		(long long)ctl_int(s, "new"), (long long)ctl_int(s, "waiting"));
}

static void print_certificates(struct ctl *c, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "certificates"),
		     *first = json_array_get(list, 0);

	if (first)
		fprintf(c->out, "certificates: the next to expire is %s, in %lld days\n",
			*ctl_text(first, "name") ? ctl_text(first, "name") : "the default",
			(long long)ctl_int(first, "days"));
}

static void print_notes(struct ctl *c, const json_t *answer)
{
	const json_t *pull = json_object_get(answer, "pull"), *w;
	size_t i;

	if (ctl_int(pull, "waiting") + ctl_int(pull, "running") + ctl_int(pull, "stuck"))
		fprintf(c->out,
			"OpenSRS's tool: %lld users wait for it, %lld are being pulled, %lld are "
			"stuck, see `mailferry why`\n",
			(long long)ctl_int(pull, "waiting"), (long long)ctl_int(pull, "running"),
			(long long)ctl_int(pull, "stuck"));
	if (ctl_int(answer, "strangers"))
		fprintf(c->out, "strangers: %lld, see `mailferry strangers`\n",
			(long long)ctl_int(answer, "strangers"));
	json_array_foreach (json_object_get(answer, "warnings"), i, w)
		fprintf(c->out, "%swarning: %s%s\n", table_tint_code(TINT_BAD, c->terminal),
			json_string_value(w), table_tint_code(TINT_NONE, c->terminal));
}

static void print_status(struct ctl *c, const json_t *answer)
{
	print_head(c, answer);
	print_certificates(c, answer);
	print_notes(c, answer);
	fputc('\n', c->out);
	print_waves(c, answer);
	if (json_array_size(json_object_get(answer, "active"))) {
		fputc('\n', c->out);
		follow_print_work(c, json_object_get(answer, "active"));
	}
}

/* For logs: one line, and only when it says something new. */
static void print_line(struct ctl *c, const json_t *answer, char **last)
{
	const json_t *u = json_object_get(answer, "users");
	const json_t *s = json_object_get(answer, "sessions");
	struct buf line = { 0 };
	char *text;

	for (int i = 0; i < USER_STATES; i++) {
		const char *name = user_state_name((enum user_state)i);

		buf_printf(&line, "%s=%lld ", name, (long long)state_count(u, name));
	}
	buf_printf(&line, "stuck=%lld compared=%lld/%lld sessions=%lld waiting=%lld",
		   (long long)ctl_int(u, "stuck"), (long long)ctl_int(u, "verified"),
		   (long long)ctl_int(u, "messages"), (long long)ctl_int(s, "total"),
		   (long long)ctl_int(s, "waiting"));
	text = mem_strn(buf_slice(&line).p, buf_len(&line));
	buf_release(&line);
	if (!*last || strcmp(*last, text) != 0) {
		char now[TEXT_SMALL];

		fprintf(c->out, "%s %s\n", text_clock(ctl_int(answer, "now"), now), text);
		fflush(c->out);
	}
	mem_free(last);
	*last = text;
}

static void print_once(struct ctl *c, const json_t *answer, char **last)
{
	if (ctl_json(c, answer))
		return;
	if (c->watch && !c->terminal) {
		print_line(c, answer, last);
		return;
	}
	if (c->watch)
		fputs("\033[H\033[J", c->out);
	print_status(c, answer);
	fflush(c->out);
}

int ctl_status(struct ctl *c)
{
	char *last = NULL;
	int status;

	for (;;) {
		json_t *answer;

		status = ctl_ask(c, "/v1/status", NULL, &answer);
		if (status == CTL_OK)
			print_once(c, answer, &last);
		json_decref(answer);
		if (status != CTL_OK || !c->watch || ferror(c->out))
			break;
		follow_pause(WATCH_MS);
	}
	mem_free(&last);
	return status;
}
