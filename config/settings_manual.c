/* Hides: how mailferry.conf(5) is laid out. Its words come from the table of settings. */
#include "common/roff.h"
#include "config/settings_table.h"

static const char form[] =
	"Sections with settings in braces, one on a line; # begins a comment. Texts may stand in\n"
	"quotes; ${NAME} takes a variable of the environment; relative paths are meant from the\n"
	"file's folder. All settings but the required ones have defaults, shown here.\n"
	"\n"
	" store {\n"
	"     path = \"/var/lib/mailferry/store.db\"\n"
	" }\n"
	"\n"
	"`mailferry sample-config` prints a file with all of them, `mailferry check config` names every\n"
	"mistake with its line, `mailferry reload` lets a changed file be read.\n";

static void write_setting(FILE *to, const struct setting_row *row)
{
	bool number = row->kind == VALUE_INT || row->kind == VALUE_SIZE;
	char *word =
		row->start ? mem_printf("%s = %s", row->name, row->start) : mem_str(row->name);
	char *range =
		number ? mem_printf(" %lld to %lld%s%s.", (long long)row->min,
				    (long long)row->max, row->unit[0] ? " " : "", row->unit)
		       : mem_str("");
	char *text = mem_printf("%s%s%s%s", row->help, range, row->required ? " Required." : "",
				row->reloadable ? "" : " Needs a restart.");

	roff_item(to, word, text);
	mem_free(&word);
	mem_free(&range);
	mem_free(&text);
}

static void write_section(FILE *to, enum section_kind kind)
{
	const struct section_row *s = &section_rows[kind];
	char *title = mem_printf("%s%s { }", s->name, s->titled ? " \"NAME\"" : "");

	roff_subheading(to, title);
	mem_free(&title);
	roff_text(to, s->help);
	fputc('\n', to);
	for (size_t i = 0; i < setting_row_count; i++)
		if (setting_rows[i].section == kind)
			write_setting(to, &setting_rows[i]);
}

void settings_write_manual(FILE *to)
{
	roff_begin(to, "mailferry.conf", 5, "settings of mailferry");
	roff_heading(to, "DESCRIPTION");
	roff_text(to, form);
	roff_heading(to, "SECTIONS");
	for (int kind = 0; kind < SECTIONS; kind++)
		write_section(to, (enum section_kind)kind);
	roff_heading(to, "FILES");
	roff_text(to, "/etc/mailferry/mailferry.conf\n");
	roff_heading(to, "SEE ALSO");
	roff_text(to, "mailferry(1), mailferry-states(7)\n");
}
