/* Hides: how the past reads: a user's, in one row of time, and a wave's. */
#include "admin/api.h"
#include "admin/ctl.h"
#include "admin/table.h"

#define HISTORY_LINE_MAX 640

/* ---- a user */

/* All pages of a list in one array; pages are told apart by the id of their last row. */
static int all_pages(struct ctl *c, const char *what, json_t *list)
{
	json_int_t after = 0;
	bool more = true;
	int status = CTL_OK;

	while (more && status == CTL_OK) {
		char *tail = mem_printf("/%s?limit=%d&after=%lld", what, API_PAGE_MAX,
					(long long)after);
		char *path = ctl_user_path(c, c->arg[0], tail);
		json_t *page, *rows;

		status = ctl_ask(c, path, NULL, &page);
		rows = json_object_get(page, what);
		more = ctl_true(page, "more") && json_array_size(rows) > 0;
		if (more)
			after = ctl_int(json_array_get(rows, json_array_size(rows) - 1), "id");
		json_array_extend(list, rows);
		json_decref(page);
		mem_free(&path);
		mem_free(&tail);
	}
	return status;
}

static int all_drops(struct ctl *c, json_t *list)
{
	char *tail = mem_printf("/drops?limit=%d", API_PAGE_MAX);
	char *path = ctl_user_path(c, c->arg[0], tail);
	json_t *page;
	int status = ctl_ask(c, path, NULL, &page);

	json_array_extend(list, json_object_get(page, "drops"));
	json_decref(page);
	mem_free(&path);
	mem_free(&tail);
	return status;
}

/* One thing that happened. */
struct event {
	int64_t at;
	enum table_tint tint;
	char what[120], by[80], why[HISTORY_LINE_MAX];
};

static struct event move_event(const json_t *h)
{
	struct event v = { .at = ctl_int(h, "at") };

	snprintf(v.what, sizeof v.what, "%s → %s", ctl_text(h, "from"), ctl_text(h, "to"));
	snprintf(v.by, sizeof v.by, "%s", ctl_text(h, "actor"));
	snprintf(v.why, sizeof v.why, "%s", ctl_text(h, "why"));
	return v;
}

static struct event login_event(const json_t *l)
{
	struct event v = { .at = ctl_int(l, "at") };
	const char *client = ctl_text(l, "client"), *result = ctl_text(l, "result");
	char held[TEXT_SMALL] = "", took[TEXT_SMALL];

	v.tint = strcmp(result, "ok") == 0 ? TINT_NONE : TINT_BAD;
	snprintf(v.what, sizeof v.what, "login to %s by %s: %s", ctl_text(l, "side"),
		 ctl_text(l, "proto"), result);
	snprintf(v.by, sizeof v.by, "%s", ctl_text(l, "node"));
	text_span(ctl_int(l, "took_ms"), took);
	if (ctl_int(l, "held_ms"))
		text_span(ctl_int(l, "held_ms"), held);
	snprintf(v.why, sizeof v.why, "%s; took %s%s%s%s%s", ctl_text(l, "route"), took,
		 *held ? ", of it held " : "", held, *client ? "; " : "", client);
	return v;
}

static struct event drop_event(const json_t *d)
{
	struct event v = { .at = ctl_int(d, "at"), .tint = TINT_BUSY };
	const char *client = ctl_text(d, "client"), *doing = ctl_text(d, "doing");
	char back[TEXT_SMALL] = "";

	snprintf(v.what, sizeof v.what, "dropped from %s: %s", ctl_text(d, "side"),
		 ctl_text(d, "why"));
	snprintf(v.by, sizeof v.by, "%s", ctl_text(d, "node"));
	if (ctl_int(d, "back_ms"))
		text_span(ctl_int(d, "back_ms"), back);
	snprintf(v.why, sizeof v.why, "%s; BYE %s%s%s; %s%s", *doing ? doing : "nothing open",
		 ctl_text(d, "bye"), *client ? "; " : "", client,
		 *back ? "back after " : "not back yet", back);
	return v;
}

static int compare_events(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static struct event *all_events(const json_t *whole, size_t *n)
{
	static const struct {
		const char *key;
		struct event (*make)(const json_t *j);
	} kinds[] = { { "history", move_event },
		      { "logins", login_event },
		      { "drops", drop_event } };
	struct event *v = NULL;
	const json_t *j;
	size_t i;

	*n = 0;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		const json_t *list = json_object_get(whole, kinds[k].key);

		v = mem_grow(v, *n + json_array_size(list) + 1, sizeof *v);
		json_array_foreach (list, i, j)
			v[(*n)++] = kinds[k].make(j);
	}
	qsort(v, *n, sizeof *v, compare_events);
	return v;
}

static void print_events(struct ctl *c, const json_t *whole)
{
	struct table *t = table_new("WHEN|WHAT|BY|WHY");
	char when[TEXT_SMALL];
	size_t n;
	struct event *v = all_events(whole, &n);

	for (size_t i = 0; i < n; i++) {
		table_cell(t, "%s", text_date(v[i].at, when));
		table_tinted(t, v[i].tint, "%s", v[i].what);
		table_cell(t, "%s", v[i].by);
		table_cell(t, "%s", v[i].why);
	}
	if (n)
		table_print(t, c->out, c->terminal);
	else
		fprintf(c->out, "nothing yet\n");
	table_free(&t);
	mem_free(&v);
}

int ctl_history(struct ctl *c)
{
	json_t *moves = json_array(), *logins = json_array(), *drops = json_array();
	json_t *whole = json_pack("{s:o, s:o, s:o}", "history", moves, "logins", logins,
				  "drops", drops);
	int status = all_pages(c, "history", moves);

	if (status == CTL_OK)
		status = all_pages(c, "logins", logins);
	if (status == CTL_OK)
		status = all_drops(c, drops);
	if (status == CTL_OK && !ctl_json(c, whole))
		print_events(c, whole);
	json_decref(whole);
	return status;
}

/* ---- a wave */

static void print_spread(struct ctl *c, const json_t *s)
{
	char a[TEXT_SMALL], b[TEXT_SMALL], m[TEXT_SMALL];

	fprintf(c->out, "half within %s, 95 %% within %s, the longest %s",
		text_span(ctl_int(s, "p50_ms"), a), text_span(ctl_int(s, "p95_ms"), b),
		text_span(ctl_int(s, "max_ms"), m));
}

static void print_clients(struct ctl *c, const json_t *list)
{
	struct table *t = table_new("CLIENT|>SESSIONS ENDED|>BACK|>HALF WITHIN|>95 %|>LONGEST");
	const json_t *k;
	size_t i;
	char a[TEXT_SMALL], b[TEXT_SMALL], m[TEXT_SMALL];

	json_array_foreach (list, i, k) {
		bool back = ctl_int(k, "count") > 0;
		const char *name = ctl_text(k, "client");

		table_cell(t, "%s", *name ? name : "(did not say)");
		table_cell(t, "%lld", (long long)ctl_int(k, "drops"));
		table_cell(t, "%lld", (long long)ctl_int(k, "count"));
		table_cell(t, "%s", back ? text_span(ctl_int(k, "p50_ms"), a) : "");
		table_cell(t, "%s", back ? text_span(ctl_int(k, "p95_ms"), b) : "");
		table_cell(t, "%s", back ? text_span(ctl_int(k, "max_ms"), m) : "");
	}
	if (table_rows(t)) {
		fprintf(c->out, "\nclients whose session ended, and came back\n");
		table_print(t, c->out, c->terminal);
	}
	table_free(&t);
}

static void print_undos(struct ctl *c, const json_t *list)
{
	const json_t *u;
	size_t i;

	if (json_array_size(list))
		fprintf(c->out, "\ncutovers that were undone\n");
	json_array_foreach (list, i, u) {
		fprintf(c->out, "  %lld: ", (long long)ctl_int(u, "count"));
		text_put(c->out, ctl_text(u, "why"));
		fputc('\n', c->out);
	}
}

static void print_waivers(struct ctl *c, const json_t *list)
{
	const json_t *w;
	size_t i;

	if (json_array_size(list))
		fprintf(c->out, "\nwaivers\n");
	json_array_foreach (list, i, w) {
		fprintf(c->out, "  %s for %s", ctl_text(w, "check"),
			ctl_true(w, "is_wave") ? "wave " : "");
		text_put(c->out, ctl_text(w, "name"));
		fprintf(c->out, " by %s: ", ctl_text(w, "by"));
		text_put(c->out, ctl_text(w, "note"));
		fputc('\n', c->out);
	}
}

static void print_when(struct ctl *c, const json_t *r)
{
	char first[TEXT_SMALL], last[TEXT_SMALL];

	if (ctl_int(r, "flips"))
		fprintf(c->out, "first flip %s, last %s\n",
			text_date(ctl_int(r, "first_flip"), first),
			text_date(ctl_int(r, "last_flip"), last));
	if (ctl_int(r, "returns"))
		fprintf(c->out, "%lld returns to old\n", (long long)ctl_int(r, "returns"));
}

static void print_report(struct ctl *c, const json_t *r)
{
	const json_t *holds = json_object_get(r, "holds");

	fputs("wave ", c->out);
	text_put(c->out, ctl_text(r, "wave"));
	fprintf(c->out, ": %lld users, %lld on new, %lld with the go still to be moved\n",
		(long long)ctl_int(r, "users"), (long long)ctl_int(r, "on_new"),
		(long long)ctl_int(r, "go"));
	print_when(c, r);
	if (ctl_int(holds, "count")) {
		fprintf(c->out, "%lld logins waited: ", (long long)ctl_int(holds, "count"));
		print_spread(c, holds);
		fputc('\n', c->out);
	} else {
		fprintf(c->out, "no login had to wait\n");
	}
	fprintf(c->out, "%lld messages of %lld users could not be copied\n",
		(long long)ctl_int(r, "exceptions"),
		(long long)ctl_int(r, "users_with_exceptions"));
	print_undos(c, json_object_get(r, "undos"));
	print_clients(c, json_object_get(r, "clients"));
	print_waivers(c, json_object_get(r, "waivers"));
}

int ctl_report(struct ctl *c)
{
	char *path;
	json_t *answer;
	int status;

	if (!c->wave == !c->final || (c->html && !c->final))
		return ctl_usage(c, "report: give --wave, or --final and perhaps --html");
	if (c->final)
		return ctl_final(c);
	path = mem_str("/v1/report");
	ctl_param(c, &path, "wave", c->wave);
	status = ctl_ask(c, path, NULL, &answer);
	mem_free(&path);
	if (status == CTL_OK && !ctl_json(c, answer))
		print_report(c, answer);
	json_decref(answer);
	return status;
}
