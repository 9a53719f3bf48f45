/* Hides: how an inventory is read to its end, and looks as a table and as CSV. */
#include "admin/api.h"
#include "admin/ctl.h"
#include "admin/table.h"

#define DAY_TEXT 10 /* of text_date: "2026-11-24" */

/* Everybody of the wave, or all: page by page. */
static int read_users(struct ctl *c, json_t *users)
{
	bool more = true;
	int status = CTL_OK;

	while (more && status == CTL_OK) {
		char *path = mem_printf("/v1/inventory?limit=%d", API_PAGE_MAX);
		const json_t *last = json_array_get(users, json_array_size(users) - 1);
		json_t *answer;

		ctl_param(c, &path, "wave", c->wave);
		ctl_param(c, &path, "after", last ? ctl_text(last, "user") : NULL);
		status = ctl_ask(c, path, NULL, &answer);
		mem_free(&path);
		if (status == CTL_OK)
			json_array_extend(users, json_object_get(answer, "users"));
		more = ctl_true(answer, "more");
		json_decref(answer);
	}
	return status;
}

/* Names that nobody imported, as users who are in no wave. */
static void add_strangers(json_t *users, const json_t *list)
{
	const json_t *s;
	size_t i;

	json_array_foreach (list, i, s)
		json_array_append_new(users,
				      json_pack("{s:s, s:s, s:s, s:I, s:[]}", "user",
						ctl_text(s, "name"), "wave", "", "state",
						"not imported", "last_seen",
						(json_int_t)ctl_int(s, "last_seen"), "access"));
}

/* The page of those behind *after, which then is its last one; NULL: it was the last page. */
static int read_strangers(struct ctl *c, json_t *users, char **after)
{
	char *path = mem_printf("/v1/strangers?limit=%d", API_PAGE_MAX);
	const json_t *list;
	json_t *answer;
	size_t n;
	int status;

	ctl_param(c, &path, "after", *after);
	status = ctl_ask(c, path, NULL, &answer);
	mem_free(&path);
	mem_free(after);
	list = json_object_get(answer, "strangers");
	n = json_array_size(list);
	add_strangers(users, list);
	if (ctl_true(answer, "more") && n > 0)
		*after = mem_str(ctl_text(json_array_get(list, n - 1), "name"));
	json_decref(answer);
	return status;
}

static int read_all_strangers(struct ctl *c, json_t *users)
{
	char *after = NULL;
	int status;

	do
		status = read_strangers(c, users, &after);
	while (status == CTL_OK && after);
	mem_free(&after);
	return status;
}

/* "imap Thunderbird 128.4; pop3", the caller's. */
static char *access_text(const json_t *user)
{
	char *text = mem_str("");
	const json_t *a;
	size_t i;

	json_array_foreach (json_object_get(user, "access"), i, a) {
		char *longer =
			mem_printf("%s%s%s%s%s", text, *text ? "; " : "", ctl_text(a, "proto"),
				   *ctl_text(a, "client") ? " " : "", ctl_text(a, "client"));

		mem_free(&text);
		text = longer;
	}
	return text;
}

static const char *day_text(const json_t *user, char out[TEXT_SMALL])
{
	int64_t at = ctl_int(user, "last_seen");

	if (!at)
		return "never";
	text_date(at, out);
	out[DAY_TEXT] = '\0';
	return out;
}

/* ---- CSV */

/*
 * What clients say is foreign, and a spreadsheet runs what begins as a formula: such a cell
 * begins with ' (OWASP, CSV injection).
 */
static void put_cell(FILE *to, const char *s, char end)
{
	fputc('"', to);
	if (*s && strchr("=+-@", *s))
		fputc('\'', to);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', to);
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, to);
	}
	fprintf(to, "\"%c", end);
}

static void print_csv(struct ctl *c, const json_t *users)
{
	const json_t *u;
	size_t i;
	char day[TEXT_SMALL];

	fputs("user,wave,state,last_seen,clients\n", c->out);
	json_array_foreach (users, i, u) {
		char *access = access_text(u);

		put_cell(c->out, ctl_text(u, "user"), ',');
		put_cell(c->out, ctl_text(u, "wave"), ',');
		put_cell(c->out, ctl_text(u, "state"), ',');
		put_cell(c->out, day_text(u, day), ',');
		put_cell(c->out, access, '\n');
		mem_free(&access);
	}
}

/* ---- for people */

static void print_users(struct ctl *c, const json_t *users)
{
	struct table *t = table_new("USER|WAVE|STATE|LAST SEEN|CLIENTS");
	const json_t *u;
	size_t i, unseen = 0;
	char day[TEXT_SMALL];

	json_array_foreach (users, i, u) {
		bool seen = ctl_int(u, "last_seen") != 0;
		char *access = access_text(u);

		table_cell(t, "%s", ctl_text(u, "user"));
		table_cell(t, "%s", *ctl_text(u, "wave") ? ctl_text(u, "wave") : "-");
		table_cell(t, "%s", ctl_text(u, "state"));
		table_tinted(t, seen ? TINT_NONE : TINT_BUSY, "%s", day_text(u, day));
		table_cell(t, "%s", *access ? access : "-");
		mem_free(&access);
		unseen += !seen;
	}
	table_print(t, c->out, c->terminal);
	fprintf(c->out, "%zu names, %zu of them never seen\n", table_rows(t), unseen);
	table_free(&t);
}

int ctl_inventory(struct ctl *c)
{
	json_t *whole, *users = json_array();
	int status;

	if (c->csv && c->json) {
		json_decref(users);
		return ctl_usage(c, "inventory: --csv or --json, not both");
	}
	status = read_users(c, users);
	if (status == CTL_OK && !c->wave)
		status = read_all_strangers(c, users);
	whole = json_pack("{s:o}", "users", users);
	if (status == CTL_OK && c->csv)
		print_csv(c, users);
	else if (status == CTL_OK && !ctl_json(c, whole))
		print_users(c, users);
	json_decref(whole);
	return status;
}
