/* Hides: how a domain's plan looks, on a terminal and in Markdown, and how an item is named. */
#include "admin/api.h"
#include "admin/ctl.h"
#include "admin/table.h"

/* ---- one domain */

static const struct {
	const char *state, *markdown;
	enum table_tint tint;
} looks[] = {
	{ "done", "x", TINT_GOOD },
	{ "warns", " ", TINT_BUSY },
	{ "blocks", " ", TINT_BAD },
	{ "not yet", " ", TINT_DIM },
};

static size_t look_of(const char *state)
{
	size_t i = 0;

	while (i + 1 < COUNT(looks) && strcmp(looks[i].state, state) != 0)
		i++;
	return i;
}

/* The title of the item's phase if it is another one than *phase, which it becomes. */
static const char *new_phase(const json_t *plan, const json_t *item, int64_t *phase)
{
	const json_t *titles = json_object_get(plan, "phases");

	if (ctl_int(item, "phase") == *phase)
		return NULL;
	*phase = ctl_int(item, "phase");
	return json_string_value(json_array_get(titles, (size_t)*phase - 1));
}

static void print_item(struct ctl *c, const json_t *item)
{
	const char *state = ctl_text(item, "state"), *remedy = ctl_text(item, "remedy");

	fprintf(c->out, "  %s%-7s%s %-16s %s\n",
		table_tint_code(looks[look_of(state)].tint, c->terminal), state,
		table_tint_code(TINT_NONE, c->terminal), ctl_text(item, "id"),
		ctl_text(item, "what"));
	fprintf(c->out, "  %24s ", "");
	text_put(c->out, ctl_text(item, "text"));
	if (*remedy && !ctl_true(item, "by_person")) { /* theirs is said once, at the end */
		fputs("; ", c->out);
		text_put(c->out, remedy);
	}
	fputc('\n', c->out);
}

static void print_plan(struct ctl *c, const json_t *plan)
{
	const json_t *n = json_object_get(plan, "counts"), *item;
	int64_t phase = 0;
	size_t i;

	fprintf(c->out, "%s: %lld done, %lld block, %lld warn, %lld not yet\n",
		ctl_text(plan, "domain"), (long long)ctl_int(n, "done"),
		(long long)ctl_int(n, "blocks"), (long long)ctl_int(n, "warns"),
		(long long)ctl_int(n, "not_yet"));
	json_array_foreach (json_object_get(plan, "items"), i, item) {
		const char *title = new_phase(plan, item, &phase);

		if (title)
			fprintf(c->out, "\nPhase %lld: %s\n", (long long)phase, title);
		print_item(c, item);
	}
	fprintf(c->out,
		"\nWhat somebody has seen to: mailferry phases %s --done ITEM --note \"who, and "
		"how\"\n",
		ctl_text(plan, "domain"));
}

/* Text between a line's marks: what would be markup is escaped. */
static void put_markdown(FILE *to, const char *s)
{
	for (; *s; s++) {
		if (strchr("\\`*_[]<>|#", *s))
			fputc('\\', to);
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, to);
	}
}

static void markdown_item(struct ctl *c, const json_t *item)
{
	const char *state = ctl_text(item, "state");

	fprintf(c->out, "- [%s] **%s** (%s%s): ", looks[look_of(state)].markdown,
		ctl_text(item, "id"), state, ctl_true(item, "required") ? ", required" : "");
	put_markdown(c->out, ctl_text(item, "what"));
	fputs(". ", c->out);
	put_markdown(c->out, ctl_text(item, "text"));
	fputs(".\n", c->out);
}

static void markdown_history(struct ctl *c, const json_t *list)
{
	const json_t *word;
	char at[TEXT_SMALL];
	size_t i;

	if (json_array_size(list))
		fputs("\n## Who said what\n\n", c->out);
	json_array_foreach (list, i, word) {
		fprintf(c->out, "- %s, %s, %s%s: ", text_date(ctl_int(word, "at"), at),
			ctl_text(word, "by"), ctl_text(word, "item"),
			ctl_true(word, "done") ? "" : " (taken back)");
		put_markdown(c->out, ctl_text(word, "note"));
		fputc('\n', c->out);
	}
}

static void markdown_plan(struct ctl *c, const json_t *plan)
{
	const json_t *item;
	int64_t phase = 0;
	size_t i;

	fprintf(c->out, "# Moving %s\n", ctl_text(plan, "domain"));
	json_array_foreach (json_object_get(plan, "items"), i, item) {
		const char *title = new_phase(plan, item, &phase);

		if (title)
			fprintf(c->out, "\n## Phase %lld: %s\n\n", (long long)phase, title);
		markdown_item(c, item);
	}
	markdown_history(c, json_object_get(plan, "history"));
}

static int show_plan(struct ctl *c)
{
	char *path = mem_str("/v1/phases");
	json_t *answer;
	int status;

	ctl_param(c, &path, "domain", c->arg[0]);
	status = ctl_ask(c, path, NULL, &answer);
	mem_free(&path);
	if (status == CTL_OK && c->markdown)
		markdown_plan(c, answer);
	else if (status == CTL_OK && !ctl_json(c, answer))
		print_plan(c, answer);
	json_decref(answer);
	return status;
}

/* ---- all domains */

static void put_open(struct table *t, const json_t *open)
{
	char *text = mem_str("");
	const json_t *id;
	size_t i;

	json_array_foreach (open, i, id) {
		char *longer = mem_printf("%s%s%s", text, i ? ", " : "", json_string_value(id));

		mem_free(&text);
		text = longer;
	}
	table_cell(t, "%s", *text ? text : "-");
	mem_free(&text);
}

static void print_domains(struct ctl *c, const json_t *list)
{
	struct table *t = table_new("DOMAIN|>PHASE|>DONE|>BLOCK|>WARN|>NOT YET|OPEN");
	const json_t *d;
	size_t i;

	json_array_foreach (list, i, d) {
		int64_t phase = ctl_int(d, "phase"), blocks = ctl_int(d, "blocks");

		table_cell(t, "%s", ctl_text(d, "domain"));
		table_cell(t, phase ? "%lld" : "-", (long long)phase);
		table_cell(t, "%lld", (long long)ctl_int(d, "done"));
		table_tinted(t, blocks ? TINT_BAD : TINT_NONE, "%lld", (long long)blocks);
		table_cell(t, "%lld", (long long)ctl_int(d, "warns"));
		table_cell(t, "%lld", (long long)ctl_int(d, "not_yet"));
		put_open(t, json_object_get(d, "open"));
	}
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	else
		fputs("no users with a domain, so no plans\n", c->out);
	table_free(&t);
}

/* The page of those behind *after, which then is its last one; NULL: it was the last page. */
static int add_domains(struct ctl *c, json_t *all, char **after)
{
	char *path = mem_printf("/v1/phases?limit=%d", API_PAGE_MAX);
	const json_t *list;
	json_t *page;
	size_t n;
	int status;

	ctl_param(c, &path, "after", *after);
	status = ctl_ask(c, path, NULL, &page);
	mem_free(&path);
	mem_free(after);
	list = json_object_get(page, "domains");
	n = json_array_size(list);
	json_array_extend(all, (json_t *)(uintptr_t)list);
	if (ctl_true(page, "more") && n > 0)
		*after = mem_str(ctl_text(json_array_get(list, n - 1), "domain"));
	json_decref(page);
	return status;
}

static int show_domains(struct ctl *c)
{
	json_t *list = json_array(),
	       *whole = json_pack("{s:o, s:b}", "domains", list, "more", 0);
	char *after = NULL;
	int status;

	do
		status = add_domains(c, list, &after);
	while (status == CTL_OK && after);
	if (status == CTL_OK && !ctl_json(c, whole))
		print_domains(c, list);
	mem_free(&after);
	json_decref(whole);
	return status;
}

/* ---- a person's word */

static int say(struct ctl *c)
{
	json_t *answer, *body = json_pack("{s:s, s:s, s:b}", "domain", c->arg[0], "item",
					  c->item, "undo", c->undo);
	int status;

	if (c->note)
		json_object_set_new(body, "note", json_string(c->note));
	status = ctl_ask(c, "/v1/phases", body, &answer);
	if (status == CTL_OK && !ctl_json(c, answer))
		fprintf(c->out, "%s of %s %s%s\n", ctl_text(answer, "item"),
			ctl_text(answer, "domain"), c->undo ? "is taken back" : "is done",
			ctl_true(answer, "changed") ? "" : ", as it was");
	json_decref(answer);
	return status;
}

int ctl_phases(struct ctl *c)
{
	bool domain = c->arg_count == 1;

	if (c->item && !domain)
		return ctl_usage(c, "phases: --done needs a domain");
	if (c->item && !c->undo && !c->note)
		return ctl_usage(c, "phases: --note says who saw to it, and how");
	if (!c->item && (c->undo || c->note))
		return ctl_usage(c, "phases: --done names the item that --note or --undo is "
				    "about");
	if (c->markdown && (c->json || c->item || !domain))
		return ctl_usage(c, "phases: --markdown shows one domain, and nothing else");
	return c->item ? say(c) : domain ? show_plan(c) : show_domains(c);
}
