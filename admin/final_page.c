/* Hides: how the final report looks as a page. */
#include "admin/final.h"

#include "common/clock.h"
#include "sync/page.h"

static const json_t *at(const json_t *o, const char *key)
{
	return json_object_get(o, key);
}

static const char *text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(at(o, key));

	return s ? s : "";
}

static long long number_at(const json_t *o, const char *key)
{
	return (long long)json_integer_value(at(o, key));
}

/* ---- cells by what they hold */

static void add_number(struct buf *out, long long n)
{
	buf_printf(out, "<td class=n>%lld</td>", n);
}

static void add_time(struct buf *out, const json_t *o, const char *key)
{
	char when[CLOCK_TEXT_MAX] = "";

	if (number_at(o, key))
		clock_utc_text(number_at(o, key), when);
	page_cell(out, when);
}

/* What a table's column shows of a row: "n:" a number, "t:" a time, "b:" yes or no, else a text. */
static void add_column(struct buf *out, const json_t *row, const char *column)
{
	const char *key = column[1] == ':' ? column + 2 : column;

	if (key == column)
		page_cell(out, text_at(row, key));
	else if (*column == 'n')
		add_number(out, number_at(row, key));
	else if (*column == 't')
		add_time(out, row, key);
	else
		page_cell(out, json_is_true(at(row, key)) ? "yes" : "no");
}

/* titles and columns end with NULL; an empty list is left out. */
static void add_table(struct buf *out, const char *title, const json_t *list,
		      const char *const *titles, const char *const *columns)
{
	const json_t *row;
	size_t i;

	if (!json_array_size(list))
		return;
	buf_printf(out, "<h2>%s</h2>\n<table><tr>", title);
	for (; *titles; titles++)
		buf_printf(out, "<th>%s</th>", *titles);
	buf_add_str(out, "</tr>\n");
	json_array_foreach (list, i, row) {
		buf_add_str(out, "<tr>");
		for (const char *const *c = columns; *c; c++)
			add_column(out, row, *c);
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- waves */

static long long on_new(const json_t *w)
{
	const json_t *s = at(w, "states");

	return number_at(s, "trailing") + number_at(s, "done") + number_at(s, "returning");
}

static void add_span(struct buf *out, long long ms)
{
	if (ms >= 10000)
		buf_printf(out, "<td class=n>%lld s</td>", ms / 1000);
	else
		buf_printf(out, "<td class=n>%lld ms</td>", ms);
}

static void add_wave(struct buf *out, const json_t *w, const char *name)
{
	const json_t *holds = at(w, "holds"), *logins = at(w, "logins");

	buf_add_str(out, "<tr>");
	page_cell(out, name);
	add_number(out, number_at(w, "users"));
	add_number(out, on_new(w));
	add_number(out, number_at(at(w, "states"), "done"));
	add_time(out, w, "first_flip");
	add_time(out, w, "last_flip");
	add_number(out, number_at(w, "undone"));
	add_number(out, number_at(w, "returns"));
	add_number(out, number_at(holds, "count"));
	add_span(out, number_at(holds, "p50_ms"));
	add_span(out, number_at(holds, "p95_ms"));
	add_span(out, number_at(holds, "max_ms"));
	add_number(out, number_at(at(logins, "new"), "failed"));
	add_number(out, number_at(w, "exceptions"));
	add_number(out, number_at(w, "not_verified"));
	buf_add_str(out, "</tr>\n");
}

static void add_waves(struct buf *out, const json_t *r)
{
	const json_t *w;
	size_t i;

	buf_add_str(out,
		    "<h2>Waves</h2>\n<table><tr><th>wave</th><th>users</th><th>on new</th>"
		    "<th>done</th><th>first moved</th><th>last</th><th>undone cutovers</th>"
		    "<th>moved back</th><th>logins that waited</th><th>half within</th>"
		    "<th>95 %</th><th>longest</th><th>failed logins on new</th>"
		    "<th>not copied</th><th>not verified</th></tr>\n");
	json_array_foreach (at(r, "waves"), i, w)
		add_wave(out, w, *text_at(w, "wave") ? text_at(w, "wave") : "(none)");
	add_wave(out, at(r, "total"), "all");
	buf_add_str(out, "</table>\n");
}

/* ---- the rest */

static void add_summary(struct buf *out, const json_t *r)
{
	const json_t *t = at(r, "total"), *count;
	const char *state, *divider = "";
	char when[CLOCK_TEXT_MAX];

	clock_utc_text(number_at(r, "made"), when);
	buf_printf(out, "<p>%s. %lld users: ", when, number_at(t, "users"));
	json_object_foreach ((json_t *)(uintptr_t)at(t, "states"), state, count) {
		if (!json_integer_value(count))
			continue;
		buf_printf(out, "%s%lld %s", divider, (long long)json_integer_value(count),
			   state);
		divider = ", ";
	}
	buf_printf(out,
		   ".</p>\n<p>%lld messages (%lld bytes), %lld of them copied by mailferry, "
		   "%lld compared byte for byte by it.</p>\n",
		   number_at(t, "messages"), number_at(t, "bytes"), number_at(t, "copied"),
		   number_at(t, "verified"));
	if (json_is_true(at(r, "cut")))
		buf_printf(out, "<p>Lists end after %d rows; the figures count all.</p>\n",
			   FINAL_NAMES_MAX);
}

static void add_domain(struct buf *out, const json_t *d)
{
	const json_t *mx = at(d, "mx"), *s = at(d, "states");

	buf_add_str(out, "<tr>");
	page_cell(out, text_at(d, "domain"));
	add_number(out, number_at(s, "trailing"));
	add_number(out, number_at(s, "done"));
	page_cell(out, !json_is_object(mx)		? "not known"
		       : json_is_true(at(mx, "on_new")) ? "new"
							: "old");
	add_time(out, json_is_true(at(mx, "on_new")) ? mx : NULL, "since");
	add_time(out, json_is_true(at(mx, "on_new")) ? mx : NULL, "copies_until");
	add_time(out, d, "last_arrival");
	add_number(out, number_at(d, "users_with_strays"));
	buf_add_str(out, "</tr>\n");
}

static void add_domains(struct buf *out, const json_t *list)
{
	const json_t *d;
	size_t i;

	buf_add_str(out,
		    "<h2>Domains</h2>\n<table><tr><th>domain</th><th>trailing</th>"
		    "<th>done</th><th>mail goes to</th><th>since</th>"
		    "<th>old record gone</th><th>last mail on old</th>"
		    "<th>users changed past the proxy</th></tr>\n");
	json_array_foreach (list, i, d)
		add_domain(out, d);
	buf_add_str(out, "</table>\n");
}

static void add_names(struct buf *out, const char *title, const json_t *list)
{
	const json_t *name;
	size_t i;

	if (!json_array_size(list))
		return;
	buf_printf(out, "<h2>%s</h2>\n<p>", title);
	json_array_foreach (list, i, name) {
		buf_add_str(out, i ? ", " : "");
		page_text(out, json_string_value(name));
	}
	buf_add_str(out, "</p>\n");
}

static void add_verified(struct buf *out, const json_t *r)
{
	const json_t *grades = at(at(r, "total"), "grades"), *n;
	const char *grade;

	buf_add_str(out, "<h2>Compared</h2>\n<p>");
	json_object_foreach ((json_t *)(uintptr_t)grades, grade, n)
		buf_printf(out, "%lld %s, ", (long long)json_integer_value(n), grade);
	buf_printf(out, "%lld not compared.</p>\n", number_at(at(r, "total"), "not_verified"));
	add_table(out, "To be looked at", at(at(r, "verify"), "doubtful"), LIST("user", "grade"),
		  LIST("user", "grade"));
	add_names(out, "Not compared", at(at(r, "verify"), "not_verified"));
}

static void add_exceptions(struct buf *out, const json_t *x)
{
	add_table(out, "Messages that could not be copied", at(x, "kinds"),
		  LIST("kind", "messages", "of them waived"),
		  LIST("kind", "n:messages", "n:waived"));
	add_table(out, "Whose they are", at(x, "users"),
		  LIST("user", "messages", "of them waived"),
		  LIST("user", "n:messages", "n:waived"));
	add_table(out, "Not known, because the journal could not be read", at(x, "unread"),
		  LIST("user", "why"), LIST("user", "why"));
}

void final_html(const json_t *document, struct buf *out)
{
	const json_t *r = at(document, "report");

	page_begin(out, "The whole move");
	add_summary(out, r);
	add_waves(out, r);
	add_table(out, "Cutovers that were undone", at(r, "undone"), LIST("times", "why"),
		  LIST("n:count", "why"));
	add_verified(out, r);
	add_exceptions(out, at(r, "exceptions"));
	add_domains(out, at(r, "domains"));
	add_table(out, "Changed on old past the proxy", at(r, "strays"),
		  LIST("user", "changes", "last"), LIST("user", "n:changes", "t:last"));
	add_table(out, "Logged in, and never imported", at(r, "strangers"),
		  LIST("name", "logins", "first", "last"),
		  LIST("name", "n:logins", "t:first_seen", "t:last_seen"));
	add_table(out, "Waivers", at(r, "waivers"), LIST("check", "for", "by", "when", "note"),
		  LIST("check", "name", "by", "t:at", "note"));
	add_table(out, "What persons vouched for", at(r, "acknowledgements"),
		  LIST("domain", "item", "done", "by", "when", "note"),
		  LIST("domain", "item", "b:done", "by", "t:at", "note"));
	page_end(out, document, "mailferry report --final");
}
