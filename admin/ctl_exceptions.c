/* Hides: how exceptions look. */
#include "admin/api.h"
#include "admin/ctl_follow.h"

/* ---- the list */

static void exception_row(struct table *t, const json_t *x)
{
	char a[TEXT_SMALL];
	json_int_t date = ctl_int(x, "date");

	table_cell(t, "%s", ctl_text(x, "folder"));
	table_cell(t, "%lld", (long long)ctl_int(x, "uid"));
	table_cell(t, "%s", date ? text_date(date, a) : "");
	table_cell(t, "%s", text_bytes(ctl_int(x, "size"), a));
	table_cell(t, "%.60s", ctl_text(x, "subject"));
	table_tinted(t, ctl_true(x, "waived") ? TINT_DIM : TINT_BAD, "%s%s",
		     ctl_text(x, "kind"), ctl_true(x, "waived") ? " (waived)" : "");
}

static void print_line(struct ctl *c, const char *what, const char *text)
{
	if (!*text)
		return;
	fprintf(c->out, "    %s: ", what);
	text_put(c->out, text);
	fputc('\n', c->out);
}

static void print_details(struct ctl *c, const json_t *list)
{
	const json_t *x;
	size_t i;

	json_array_foreach (list, i, x) {
		fputs("\n  ", c->out);
		text_put(c->out, ctl_text(x, "folder"));
		fprintf(c->out, " UID %lld\n", (long long)ctl_int(x, "uid"));
		print_line(c, "reason", ctl_text(x, "reason"));
		print_line(c, "tried", ctl_text(x, "tried"));
		print_line(c, "file", ctl_text(x, "file"));
		print_line(c, "waived", ctl_text(x, "note"));
		if (ctl_true(x, "retry"))
			print_line(c, "next", "tried again at the next pass");
	}
}

static void print_repairs(struct ctl *c, const json_t *list)
{
	const json_t *r;
	size_t i;

	if (json_array_size(list))
		fprintf(c->out, "\ncopied after a repair\n");
	json_array_foreach (list, i, r) {
		fputs("\n  ", c->out);
		text_put(c->out, ctl_text(r, "folder"));
		fprintf(c->out, " UID %lld\n", (long long)ctl_int(r, "uid"));
		print_line(c, "refused", ctl_text(r, "refusal"));
		print_line(c, "changed", ctl_text(r, "changed"));
		print_line(c, "SHA-256 before", ctl_text(r, "sha256_before"));
		print_line(c, "SHA-256 after", ctl_text(r, "sha256_after"));
	}
}

static void print_exceptions(struct ctl *c, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "exceptions"), *x;
	struct table *t = table_new("FOLDER|>UID|DATE|>SIZE|SUBJECT|KIND");
	size_t i;

	json_array_foreach (list, i, x)
		exception_row(t, x);
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	else
		fprintf(c->out, "no exceptions\n");
	table_free(&t);
	print_details(c, list);
	print_repairs(c, json_object_get(answer, "repairs"));
	if (ctl_true(answer, "more") || ctl_true(answer, "more_repairs"))
		fprintf(c->out, "… and more than %d\n", API_PAGE_MAX);
}

int ctl_exceptions(struct ctl *c)
{
	char *tail = mem_printf("/exceptions?limit=%d", API_PAGE_MAX);
	char *path = ctl_user_path(c, c->arg[0], tail);
	json_t *answer;
	int status = ctl_ask(c, path, NULL, &answer);

	mem_free(&path);
	mem_free(&tail);
	if (status == CTL_OK && !ctl_json(c, answer))
		print_exceptions(c, answer);
	json_decref(answer);
	return status;
}
