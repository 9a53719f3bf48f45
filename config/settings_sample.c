/* Hides: how the sample file is laid out. Its words come from the table of settings. */
#include "config/settings_table.h"

/* What stands uncommented: the smallest file that works once the names and files are one's own.
 */
static const struct {
	enum section_kind section;
	const char *title, *name, *value;
} example[] = {
	{ SECTION_LISTENER, "imaps", "protocol", "imap" },
	{ SECTION_LISTENER, "imaps", "port", "993" },
	{ SECTION_LISTENER, "imaps", "tls", "implicit" },
	{ SECTION_LISTENER, "imap", "protocol", "imap" },
	{ SECTION_LISTENER, "imap", "port", "143" },
	{ SECTION_LISTENER, "imap", "tls", "starttls" },
	{ SECTION_LISTENER, "pop3s", "protocol", "pop3" },
	{ SECTION_LISTENER, "pop3s", "port", "995" },
	{ SECTION_LISTENER, "pop3s", "tls", "implicit" },
	{ SECTION_LISTENER, "pop3", "protocol", "pop3" },
	{ SECTION_LISTENER, "pop3", "port", "110" },
	{ SECTION_LISTENER, "pop3", "tls", "starttls" },
	{ SECTION_BACKEND, "old", "host", "old.example.net" },
	{ SECTION_BACKEND, "new", "host", "new.example.net" },
	{ SECTION_DOMAIN, "example.com", "new", "opensrs-a" },
	{ SECTION_TLS, NULL, "certificate", "/etc/mailferry/tls.pem" },
	{ SECTION_TLS, NULL, "key", "/etc/mailferry/tls.key" },
};

static bool same_title(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *example_of(enum section_kind kind, const char *title, const char *name)
{
	for (size_t i = 0; i < COUNT(example); i++)
		if (example[i].section == kind && same_title(example[i].title, title) &&
		    strcmp(example[i].name, name) == 0)
			return example[i].value;
	return NULL;
}

static bool is_bare(const struct setting_row *row)
{
	return row->kind != VALUE_TEXT && row->kind != VALUE_PATH;
}

static void write_help(FILE *to, const struct setting_row *row)
{
	fprintf(to, "\t# %s", row->help);
	if (row->kind == VALUE_INT || row->kind == VALUE_SIZE)
		fprintf(to, " %lld..%lld%s%s.", (long long)row->min, (long long)row->max,
			row->unit[0] ? " " : "", row->unit);
	fprintf(to, "%s%s\n", row->required ? " Required." : "",
		row->reloadable ? "" : " Needs a restart.");
}

static void write_setting(FILE *to, const struct setting_row *row, const char *value)
{
	const char *shown = value ? value : row->start ? row->start : "";
	const char *quote = is_bare(row) ? "" : "\"";

	fprintf(to, "\t%s%s = %s%s%s\n", value ? "" : "# ", row->name, quote, shown, quote);
}

/* with_help: the first of several sections of a kind explains, the others only set. */
static void write_section(FILE *to, enum section_kind kind, const char *title, bool with_help)
{
	if (with_help)
		fprintf(to, "\n# %s\n", section_rows[kind].help);
	if (title)
		fprintf(to, "%s \"%s\" {\n", section_rows[kind].name, title);
	else
		fprintf(to, "%s {\n", section_rows[kind].name);
	for (size_t i = 0; i < setting_row_count; i++) {
		const struct setting_row *row = &setting_rows[i];
		const char *value = example_of(kind, title, row->name);

		if (row->section != kind)
			continue;
		if (with_help)
			write_help(to, row);
		if (with_help || value)
			write_setting(to, row, value);
	}
	fputs("}\n", to);
}

void settings_write_sample(FILE *to)
{
	fputs("# mailferry.conf: every setting, with its default behind \"# \".\n"
	      "# Relative paths are meant from this file's folder; ${NAME} takes a variable of "
	      "the\n"
	      "# environment. `mailferry check config FILE` names every mistake with its "
	      "line.\n",
	      to);
	for (int kind = 0; kind < SECTIONS; kind++) {
		bool first = true;

		for (size_t i = 0; i < COUNT(example); i++) {
			if (example[i].section != (enum section_kind)kind ||
			    (i > 0 && example[i - 1].section == example[i].section &&
			     same_title(example[i - 1].title, example[i].title)))
				continue;
			write_section(to, (enum section_kind)kind, example[i].title, first);
			first = false;
		}
		if (first)
			write_section(to, (enum section_kind)kind, NULL, true);
	}
}
