/*
 * Hides: the shell's side of completion. One function, the same for both shells, says what may
 * stand at a place: it is made of the tables of verbs and options, and knows nothing of users.
 */
#include "admin/ctl_verbs.h"
#include "common/user_state.h"

#define FILES "@files" /* in the place of words: names of files */

/* Of proxy/session.h, as `mailferry sessions` has them; that header would bring the whole
 * proxy. */
#define SESSION_STATES "PARK DIAL LOGIN RELAY DRAIN QUIET PARTING"

/* What stands behind an option; other values are not known beforehand. */
static const struct {
	const char *option, *values;
} choices[] = {
	{ "-c", FILES },
	{ "--config", FILES },
	{ "--check-file", FILES },
	{ "--key", FILES },
	{ "--side", "old new" },
	{ "--proto", "imap pop3" },
	{ "--role", "view operate" },
	{ "--level", "full headers sample" },
};

static const char *const shells[] = { "bash", "zsh" };

/* What a verb's argument may be, by its usage: "bash|zsh", "FILE", "[FILE]"; NULL: who knows.
 */
static char *argument_of(const struct ctl_verb *v)
{
	const char *usage = v->usage + (*v->usage == '[');
	char *words;

	if (strncmp(usage, "FILE", 4) == 0)
		return mem_str(FILES);
	if (!strchr(usage, '|') ||
	    strspn(usage, "abcdefghijklmnopqrstuvwxyz0123456789|") != strlen(usage))
		return NULL;
	words = mem_str(usage);
	for (char *p = words; *p; p++)
		if (*p == '|')
			*p = ' ';
	return words;
}

/* ---- the cases of the function */

/* "--wave|--state": all that take a value. */
static void write_valued(FILE *to)
{
	fputs("-c", to);
	for (size_t i = 0; i < ctl_option_count; i++)
		if (ctl_options[i].text_at)
			fprintf(to, "|%s", ctl_options[i].name);
}

/* Of verbs of two words, the first one that begins like this: how long "check " is; else 0. */
static size_t begins_group(size_t i)
{
	const char *name = ctl_verbs[i].name, *blank = strchr(name, ' ');
	size_t n = blank ? (size_t)(blank - name) + 1 : 0;

	return i > 0 && strncmp(ctl_verbs[i - 1].name, name, n) == 0 ? 0 : n;
}

static void write_first_words(FILE *to)
{
	for (size_t i = 0; i < ctl_verb_count; i++) {
		const char *name = ctl_verbs[i].name;

		if (!strchr(name, ' ') || begins_group(i))
			fprintf(to, "%s%.*s", i ? " " : "", (int)strcspn(name, " "), name);
	}
}

/* "check", with all that may follow. */
static void write_second_words(FILE *to)
{
	for (size_t i = 0; i < ctl_verb_count; i++) {
		size_t n = begins_group(i);

		if (!n)
			continue;
		fprintf(to, "\t%.*s) echo \"", (int)n - 1, ctl_verbs[i].name);
		for (size_t k = i; k < ctl_verb_count; k++)
			if (strncmp(ctl_verbs[k].name, ctl_verbs[i].name, n) == 0)
				fprintf(to, "%s%s", k > i ? " " : "", ctl_verbs[k].name + n);
		fputs("\" ;;\n", to);
	}
}

/* "store|check" */
static void write_two_word_verbs(FILE *to)
{
	const char *bar = "";

	for (size_t i = 0; i < ctl_verb_count; i++) {
		size_t n = begins_group(i);

		if (!n)
			continue;
		fprintf(to, "%s%.*s", bar, (int)n - 1, ctl_verbs[i].name);
		bar = "|";
	}
}

static void write_states(FILE *to)
{
	fputs("\t*' --state') echo \"", to);
	for (int s = 0; s < USER_STATES; s++)
		fprintf(to, "%s%s", s ? " " : "", user_state_name((enum user_state)s));
	fputs("\"; return ;;\n", to);
}

static void write_values(FILE *to)
{
	for (size_t i = 0; i < COUNT(choices); i++)
		fprintf(to, "\t*' %s') echo \"%s\"; return ;;\n", choices[i].option,
			choices[i].values);
	fputs("\tesac\n\tcase \"$before\" in\n\t", to);
	write_valued(to);
	fputs(") return ;;\n", to);
}

static void write_options(FILE *to)
{
	for (size_t i = 0; i < ctl_verb_count; i++) {
		fprintf(to, "\t'%s %s') echo \"", ctl_verbs[i].name, "-");
		for (size_t k = 0; k < ctl_option_count; k++)
			if (!ctl_options[k].bit || (ctl_options[k].bit & ctl_verbs[i].options &
						    ~(unsigned)CTL_HANDOVER))
				fprintf(to, "%s%s", k ? " " : "", ctl_options[k].name);
		fputs("\" ;;\n", to);
	}
	fputs("\t*' -') echo \"--config --json --help\" ;;\n", to);
}

static void write_arguments(FILE *to)
{
	for (size_t i = 0; i < ctl_verb_count; i++) {
		char *words = argument_of(&ctl_verbs[i]);

		if (words)
			fprintf(to, "\t'%s') echo \"%s\" ;;\n", ctl_verbs[i].name, words);
		mem_free(&words);
	}
}

/* $1: what is being typed; behind it the words before, without the program's name. */
static void write_function(FILE *to)
{
	fputs("_mailferry_words() {\n\tlocal cur=\"$1\" verb='' before='' w\n\tshift\n"
	      "\tfor w in \"$@\"; do\n\t\tcase \"$before\" in\n\t\t",
	      to);
	write_valued(to);
	fputs(") before=''; continue ;;\n\t\tesac\n\t\tcase \"$w\" in\n\t\t-*) ;;\n"
	      "\t\t*)\n\t\t\tcase \"$verb\" in\n\t\t\t'') verb=\"$w\" ;;\n\t\t\t",
	      to);
	write_two_word_verbs(to);
	fputs(") verb=\"$verb $w\" ;;\n\t\t\tesac ;;\n\t\tesac\n\t\tbefore=\"$w\"\n\tdone\n"
	      "\tcase \"$verb $before\" in\n",
	      to);
	fputs("\t'sessions --state') echo \"" SESSION_STATES "\"; return ;;\n", to);
	write_states(to);
	write_values(to);
	fputs("\tesac\n\tcase \"$cur\" in\n\t-*) verb=\"$verb -\" ;;\n\tesac\n"
	      "\tcase \"$verb\" in\n\t'') echo \"",
	      to);
	write_first_words(to);
	fputs("\" ;;\n", to);
	write_options(to);
	write_second_words(to);
	write_arguments(to);
	fputs("\tesac\n}\n", to);
}

static const char bash_part[] =
	"_mailferry() {\n"
	"\tlocal cur=\"${COMP_WORDS[COMP_CWORD]}\" words\n"
	"\twords=$(_mailferry_words \"$cur\" \"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n"
	"\tif [ \"$words\" = " FILES " ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"\tfi\n"
	"}\n"
	"complete -F _mailferry mailferry\n";

static const char zsh_part[] =
	"_mailferry() {\n"
	"\tlocal found=\"$(_mailferry_words \"$words[CURRENT]\" \"${(@)words[2,CURRENT-1]}\")\"\n"
	"\tif [[ \"$found\" == " FILES " ]]; then\n"
	"\t\t_files\n"
	"\telse\n"
	"\t\tcompadd -- ${=found}\n"
	"\tfi\n"
	"}\n"
	"if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
	"\t_mailferry \"$@\"\n"
	"else\n"
	"\tcompdef _mailferry mailferry\n"
	"fi\n";

int ctl_completion(struct ctl *c)
{
	bool zsh = strcmp(c->arg[0], shells[1]) == 0;

	if (!zsh && strcmp(c->arg[0], shells[0]) != 0)
		return ctl_usage(c, "no completion for %s: choose bash or zsh", c->arg[0]);
	if (zsh)
		fputs("#compdef mailferry\n", c->out);
	write_function(c->out);
	fputs(zsh ? zsh_part : bash_part, c->out);
	return CTL_OK;
}
