/* Hides: how the final report is asked for, waited for, printed, and written as a page. */
#include <errno.h>
#include <poll.h>

#include "admin/ctl.h"
#include "admin/final.h"
#include "admin/table.h"

#define LOOK_MS	  200
#define NAMES_MAX 20 /* printed of one list; --json and --html have all */

/* ---- for people */

static int64_t on_new(const json_t *w)
{
	const json_t *s = json_object_get(w, "states");

	return ctl_int(s, "trailing") + ctl_int(s, "done") + ctl_int(s, "returning");
}

static void put_count(struct table *t, int64_t n, enum table_tint tint)
{
	char text[TEXT_SMALL];

	table_tinted(t, n ? tint : TINT_NONE, "%s", text_count(n, text));
}

static void put_date(struct table *t, const json_t *w, const char *key)
{
	char text[TEXT_SMALL];

	table_cell(t, "%s", ctl_int(w, key) ? text_date(ctl_int(w, key), text) : "");
}

static void wave_row(struct table *t, const json_t *w, const char *name)
{
	const json_t *holds = json_object_get(w, "holds");
	const json_t *on = json_object_get(json_object_get(w, "logins"), "new");
	char text[TEXT_SMALL];

	table_cell(t, "%s", name);
	put_count(t, ctl_int(w, "users"), TINT_NONE);
	put_count(t, on_new(w), TINT_GOOD);
	put_date(t, w, "first_flip");
	put_date(t, w, "last_flip");
	put_count(t, ctl_int(w, "undone"), TINT_BUSY);
	put_count(t, ctl_int(w, "returns"), TINT_BUSY);
	put_count(t, ctl_int(holds, "count"), TINT_NONE);
	table_cell(t, "%s",
		   ctl_int(holds, "count") ? text_span(ctl_int(holds, "p95_ms"), text) : "");
	put_count(t, ctl_int(on, "failed"), TINT_BAD);
	put_count(t, ctl_int(w, "exceptions"), TINT_BAD);
	put_count(t, ctl_int(w, "not_verified"), TINT_BUSY);
}

static void print_waves(struct ctl *c, const json_t *r)
{
	struct table *t = table_new("WAVE|>USERS|>ON NEW|FIRST MOVED|LAST|>UNDONE|>MOVED BACK|"
				    ">WAITED|>95 %|>FAILED LOGINS|>NOT COPIED|>NOT VERIFIED");
	const json_t *w;
	size_t i;

	json_array_foreach (json_object_get(r, "waves"), i, w)
		wave_row(t, w, *ctl_text(w, "wave") ? ctl_text(w, "wave") : "(none)");
	wave_row(t, json_object_get(r, "total"), "all");
	table_print(t, c->out, c->terminal);
	table_free(&t);
}

static void print_totals(struct ctl *c, const json_t *t)
{
	char a[TEXT_SMALL], b[TEXT_SMALL], m[TEXT_SMALL], k[TEXT_SMALL];
	const json_t *holds = json_object_get(t, "holds"), *n;
	const char *grade;

	fprintf(c->out, "\n%s messages, %s; %s copied, %s compared by the copier\n",
		text_count(ctl_int(t, "messages"), a), text_bytes(ctl_int(t, "bytes"), b),
		text_count(ctl_int(t, "copied"), m), text_count(ctl_int(t, "verified"), k));
	if (ctl_int(holds, "count"))
		fprintf(c->out, "logins waited: half within %s, 95 %% within %s, the longest %s\n",
			text_span(ctl_int(holds, "p50_ms"), a),
			text_span(ctl_int(holds, "p95_ms"), b),
			text_span(ctl_int(holds, "max_ms"), m));
	fprintf(c->out, "rollbacks begun: %lld\nverified:",
		(long long)ctl_int(t, "rollbacks"));
	json_object_foreach (json_object_get(t, "grades"), grade, n)
		fprintf(c->out, " %s %s,", text_count(json_integer_value(n), a), grade);
	fprintf(c->out, " %s not\n", text_count(ctl_int(t, "not_verified"), a));
}

/* Rows of two or three texts and a number; what is longer than NAMES_MAX ends with its count. */
static void print_rows(struct ctl *c, const char *title, const json_t *list,
		       void (*print)(struct ctl *c, const json_t *row))
{
	char n[TEXT_SMALL];
	const json_t *row;
	size_t i;

	if (!json_array_size(list))
		return;
	fprintf(c->out, "\n%s\n", title);
	json_array_foreach (list, i, row) {
		if (i == NAMES_MAX) {
			fprintf(c->out, "  … %s in all\n",
				text_count((int64_t)json_array_size(list), n));
			break;
		}
		fputs("  ", c->out);
		print(c, row);
		fputc('\n', c->out);
	}
}

static void print_undone(struct ctl *c, const json_t *u)
{
	fprintf(c->out, "%lld: ", (long long)ctl_int(u, "count"));
	text_put(c->out, ctl_text(u, "why"));
}

static void print_kind(struct ctl *c, const json_t *k)
{
	fprintf(c->out, "%s: %lld, of them waived %lld", ctl_text(k, "kind"),
		(long long)ctl_int(k, "messages"), (long long)ctl_int(k, "waived"));
}

static void print_unread(struct ctl *c, const json_t *u)
{
	text_put(c->out, ctl_text(u, "user"));
	fputs(": ", c->out);
	text_put(c->out, ctl_text(u, "why"));
}

static void print_name(struct ctl *c, const json_t *name)
{
	text_put(c->out, json_string_value(name));
}

static void print_doubtful(struct ctl *c, const json_t *u)
{
	text_put(c->out, ctl_text(u, "user"));
	fprintf(c->out, ": %s", ctl_text(u, "grade"));
}

static void print_stray(struct ctl *c, const json_t *s)
{
	char when[TEXT_SMALL];

	text_put(c->out, ctl_text(s, "user"));
	fprintf(c->out, ": %lld, the last %s", (long long)ctl_int(s, "changes"),
		text_date(ctl_int(s, "last"), when));
}

static void print_domain(struct ctl *c, const json_t *d)
{
	const json_t *s = json_object_get(d, "states"), *mx = json_object_get(d, "mx");
	char when[TEXT_SMALL];

	text_put(c->out, *ctl_text(d, "domain") ? ctl_text(d, "domain") : "(none)");
	fprintf(c->out, ": %lld trailing, %lld done; ", (long long)ctl_int(s, "trailing"),
		(long long)ctl_int(s, "done"));
	if (!json_is_object(mx))
		fputs("MX not known", c->out);
	else if (ctl_true(mx, "on_new"))
		fprintf(c->out, "MX leads to new since %s",
			text_date(ctl_int(mx, "since"), when));
	else
		fputs("MX leads to old", c->out);
}

static void print_stranger(struct ctl *c, const json_t *s)
{
	char when[TEXT_SMALL];

	text_put(c->out, ctl_text(s, "name"));
	fprintf(c->out, ": %lld logins, the last %s", (long long)ctl_int(s, "logins"),
		text_date(ctl_int(s, "last_seen"), when));
}

static void print_waiver(struct ctl *c, const json_t *w)
{
	fprintf(c->out, "%s for %s", ctl_text(w, "check"), ctl_true(w, "is_wave") ? "wave " : "");
	text_put(c->out, ctl_text(w, "name"));
	fputs(" by ", c->out);
	text_put(c->out, ctl_text(w, "by"));
	fputs(": ", c->out);
	text_put(c->out, ctl_text(w, "note"));
}

static void print_word(struct ctl *c, const json_t *w)
{
	text_put(c->out, ctl_text(w, "domain"));
	fprintf(c->out, ": %s%s by ", ctl_text(w, "item"),
		ctl_true(w, "done") ? "" : " taken back");
	text_put(c->out, ctl_text(w, "by"));
	fputs(": ", c->out);
	text_put(c->out, ctl_text(w, "note"));
}

static void print_report(struct ctl *c, const json_t *document)
{
	const json_t *r = json_object_get(document, "report");
	const json_t *x = json_object_get(r, "exceptions"), *v = json_object_get(r, "verify");

	print_waves(c, r);
	print_totals(c, json_object_get(r, "total"));
	print_rows(c, "cutovers that were undone", json_object_get(r, "undone"), print_undone);
	print_rows(c, "messages that could not be copied", json_object_get(x, "kinds"),
		   print_kind);
	print_rows(c, "whose journal could not be read", json_object_get(x, "unread"),
		   print_unread);
	print_rows(c, "verified, and to be looked at", json_object_get(v, "doubtful"),
		   print_doubtful);
	print_rows(c, "not verified", json_object_get(v, "not_verified"), print_name);
	print_rows(c, "domains", json_object_get(r, "domains"), print_domain);
	print_rows(c, "changed on old past the proxy", json_object_get(r, "strays"),
		   print_stray);
	print_rows(c, "logged in, and never imported", json_object_get(r, "strangers"),
		   print_stranger);
	print_rows(c, "waivers", json_object_get(r, "waivers"), print_waiver);
	print_rows(c, "vouched for", json_object_get(r, "acknowledgements"), print_word);
}

/* ---- as a page */

static int write_page(struct ctl *c, const json_t *document)
{
	struct buf page = { 0 };
	struct slice s;
	int status = CTL_OK;
	FILE *f;

	final_html(document, &page);
	s = buf_slice(&page);
	f = fopen(c->html, "we");
	if (!f || fwrite(s.p, 1, s.n, f) != s.n || fflush(f) != 0) {
		fprintf(stderr, "mailferry: %s: %s\n", c->html, strerror(errno));
		status = CTL_FAILED;
	}
	if (f)
		fclose(f);
	buf_release(&page);
	return status;
}

/* ---- asking */

/* CTL_OK with *answer once it is made. */
static int await(struct ctl *c, json_t **answer)
{
	json_t *begun;
	int status = ctl_ask(c, "/v1/report/final", json_object(), &begun);

	json_decref(begun);
	*answer = NULL;
	while (status == CTL_OK) {
		status = ctl_ask(c, "/v1/report/final", NULL, answer);
		if (status != CTL_OK || strcmp(ctl_text(*answer, "state"), "making") != 0)
			break;
		json_decref(*answer);
		*answer = NULL;
		poll(NULL, 0, LOOK_MS);
	}
	return status;
}

int ctl_final(struct ctl *c)
{
	json_t *answer;
	const json_t *document;
	int status = await(c, &answer);

	document = json_object_get(answer, "document");
	if (status == CTL_OK && strcmp(ctl_text(answer, "state"), "done") != 0) {
		fprintf(stderr, "mailferry: the report could not be made: %s\n",
			ctl_text(answer, "text"));
		status = CTL_FAILED;
	}
	if (status == CTL_OK && c->html)
		status = write_page(c, document);
	if (status == CTL_OK && !ctl_json(c, document))
		print_report(c, document);
	json_decref(answer);
	return status;
}
