/* Hides: the command line, its help, and how a verb reaches the engine. */
#include "admin/ctl.h"

#include "admin/api.h"
#include "admin/ctl_verbs.h"
#include "admin/table.h"
#include "common/wire/utf7.h"

/* ---- options */

const struct ctl_option_row ctl_options[] = {
	{ "--config", 0, offsetof(struct ctl, config), 0 },
	{ "--json", 0, 0, offsetof(struct ctl, json) },
	{ "--yes", 0, 0, offsetof(struct ctl, yes) },
	{ "--help", 0, 0, offsetof(struct ctl, help) },
	{ "--wave", CTL_WAVE, offsetof(struct ctl, wave), 0 },
	{ "--state", CTL_STATE, offsetof(struct ctl, state), 0 },
	{ "--all", CTL_ALL, 0, offsetof(struct ctl, all) },
	{ "--watch", CTL_WATCH, 0, offsetof(struct ctl, watch) },
	{ "--dry-run", CTL_DRY_RUN, 0, offsetof(struct ctl, dry_run) },
	{ "--no-wait", CTL_NO_WAIT, 0, offsetof(struct ctl, no_wait) },
	{ "--withdraw", CTL_WITHDRAW, 0, offsetof(struct ctl, withdraw) },
	{ "--node", CTL_SESSIONS, offsetof(struct ctl, node), 0 },
	{ "--side", CTL_SESSIONS, offsetof(struct ctl, side), 0 },
	{ "--proto", CTL_SESSIONS, offsetof(struct ctl, proto), 0 },
	{ "--force", CTL_FORCE, 0, offsetof(struct ctl, force) },
	{ "--wait", CTL_WAIT, offsetof(struct ctl, wait), 0 },
	{ "--seconds", CTL_SECONDS, offsetof(struct ctl, seconds), 0 },
	{ "--bytes", CTL_TRACE, offsetof(struct ctl, bytes), 0 },
	{ "--stop", CTL_TRACE, 0, offsetof(struct ctl, stop) },
	{ "--level", CTL_VERIFY, offsetof(struct ctl, level), 0 },
	{ "--check-file", CTL_VERIFY, offsetof(struct ctl, check_file), 0 },
	{ "--key", CTL_VERIFY, offsetof(struct ctl, key), 0 },
	{ "--note", CTL_NOTE, offsetof(struct ctl, note), 0 },
	{ "--folder", CTL_WAIVE, offsetof(struct ctl, folder), 0 },
	{ "--uid", CTL_WAIVE, offsetof(struct ctl, uid), 0 },
	{ "--kind", CTL_WAIVE, offsetof(struct ctl, kind), 0 },
	{ "--at", CTL_WHEN, offsetof(struct ctl, at), 0 },
	{ "--latest", CTL_WHEN, offsetof(struct ctl, latest), 0 },
	{ "--rate", CTL_WHEN, offsetof(struct ctl, rate), 0 },
	{ "--first-hour", CTL_WHEN, offsetof(struct ctl, first_hour), 0 },
	{ "--when-quiet", CTL_WHEN, offsetof(struct ctl, when_quiet), 0 },
	{ "--done", CTL_PHASES, offsetof(struct ctl, item), 0 },
	{ "--role", CTL_ROLE, offsetof(struct ctl, role), 0 },
	{ "--final", CTL_REPORT, 0, offsetof(struct ctl, final) },
	{ "--html", CTL_REPORT, offsetof(struct ctl, html), 0 },
	{ "--csv", CTL_CSV, 0, offsetof(struct ctl, csv) },
	{ "--markdown", CTL_PHASES, 0, offsetof(struct ctl, markdown) },
	{ "--undo", CTL_UNDO, 0, offsetof(struct ctl, undo) },
	{ "--stuck", CTL_STUCK, 0, offsetof(struct ctl, stuck) },
	{ "--new-store", CTL_NEW_STORE, 0, offsetof(struct ctl, new_store) },
	{ "--if-running", CTL_IF_RUNNING, 0, offsetof(struct ctl, if_running) },
	{ "--handover", CTL_HANDOVER, offsetof(struct ctl, handover), 0 },
	{ "--check", CTL_HANDOVER, 0, offsetof(struct ctl, check) },
};
const size_t ctl_option_count = COUNT(ctl_options);

/* An option may stand before its verb, so whether the verb takes it is asked at the end. */
struct parse {
	struct ctl *c;
	const char *words[CTL_ARGS_MAX + 2]; /* verb and arguments */
	size_t word_count;
	unsigned given;
	const char *given_name[32]; /* by bit, for the error */
};

static const struct ctl_option_row *find_option(const char *arg, size_t n)
{
	if (n == 2 && memcmp(arg, "-h", 2) == 0)
		return find_option("--help", 6);
	if (n == 2 && memcmp(arg, "-c", 2) == 0)
		return find_option("--config", 8);
	for (size_t i = 0; i < COUNT(ctl_options); i++)
		if (strlen(ctl_options[i].name) == n &&
		    memcmp(ctl_options[i].name, arg, n) == 0)
			return &ctl_options[i];
	return NULL;
}

static void note_given(struct parse *p, const struct ctl_option_row *o)
{
	if (!o->bit)
		return;
	p->given |= o->bit;
	p->given_name[__builtin_ctz(o->bit)] = o->name;
}

static bool names_file(const struct ctl_option_row *o)
{
	static const size_t files[] = { offsetof(struct ctl, config),
					offsetof(struct ctl, check_file),
					offsetof(struct ctl, key), offsetof(struct ctl, html) };

	for (size_t i = 0; i < COUNT(files); i++)
		if (o->text_at == files[i])
			return true;
	return false;
}

/* Takes argv[*i], and its value from argv[*i + 1] if it needs one. */
static int take_option(struct parse *p, int argc, char *const argv[], int *i, struct err *e)
{
	const char *arg = argv[*i], *value = strchr(arg, '=');
	size_t n = value ? (size_t)(value - arg) : strlen(arg);
	const struct ctl_option_row *o = find_option(arg, n);

	if (!o)
		return err_set(e, ERR_INPUT, "no such option: %.*s", (int)MIN(n, (size_t)80),
			       arg);
	note_given(p, o);
	if (o->flag_at) {
		if (value)
			return err_set(e, ERR_INPUT, "%s takes no value", o->name);
		*(bool *)((char *)p->c + o->flag_at) = true;
		return 0;
	}
	if (!value && ++*i >= argc)
		return err_set(e, ERR_INPUT, "%s needs a value", o->name);
	value = value ? value + 1 : argv[*i];
	/* The engine is told in JSON: there, what is no UTF-8 would count as not said. */
	if (!names_file(o) && !utf8_is_valid(slice_of(value)))
		return err_set(e, ERR_INPUT, "%s: its value is not UTF-8", o->name);
	*(const char **)((char *)p->c + o->text_at) = value;
	return 0;
}

static int take_word(struct parse *p, const char *word, struct err *e)
{
	if (p->word_count == COUNT(p->words))
		return err_set(e, ERR_INPUT, "too many arguments");
	if (!utf8_is_valid(slice_of(word)))
		return err_set(e, ERR_INPUT, "argument %zu is not UTF-8", p->word_count + 1);
	p->words[p->word_count++] = word;
	return 0;
}

static int take_words(struct parse *p, int argc, char *const argv[], struct err *e)
{
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			continue;
		}
		if (only_words || argv[i][0] != '-') {
			if (take_word(p, argv[i], e) < 0)
				return -1;
		} else if (take_option(p, argc, argv, &i, e) < 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- verbs */

/* How many of the words name this verb; 0: another. */
static size_t verb_matches(const struct ctl_verb *v, const char *const *words, size_t count)
{
	const char *blank = strchr(v->name, ' ');
	size_t n = blank ? (size_t)(blank - v->name) : strlen(v->name);

	if (count < 1 || strlen(words[0]) != n || memcmp(words[0], v->name, n) != 0)
		return 0;
	if (!blank)
		return 1;
	return count > 1 && strcmp(words[1], blank + 1) == 0 ? 2 : 0;
}

static size_t find_verb(struct parse *p)
{
	for (size_t i = 0; i < ctl_verb_count; i++) {
		size_t n = verb_matches(&ctl_verbs[i], p->words, p->word_count);

		if (n) {
			p->c->verb = &ctl_verbs[i];
			return n;
		}
	}
	return 0;
}

static int check_options(const struct parse *p, struct err *e)
{
	unsigned wrong = p->given & ~p->c->verb->options;

	if (!wrong)
		return 0;
	return err_set(e, ERR_INPUT, "%s takes no %s", p->c->verb->name,
		       p->given_name[__builtin_ctz(wrong)]);
}

int ctl_parse(struct ctl *c, int argc, char *const argv[], struct err *e)
{
	struct parse p = { .c = c };
	const char *env = getenv(CTL_CONFIG_ENV);
	size_t taken;

	c->program = argc > 0 ? argv[0] : "mailferry";
	c->config = env && *env ? env : CTL_CONFIG;
	if (take_words(&p, argc, argv, e) < 0)
		return -1;
	taken = find_verb(&p);
	if (c->help)
		return 0;
	if (!taken)
		return p.word_count
			       ? err_set(e, ERR_INPUT, "no such command: %.80s", p.words[0])
			       : err_set(e, ERR_INPUT, "a command is missing");
	c->arg_count = p.word_count - taken;
	if (c->arg_count < c->verb->least)
		return err_set(e, ERR_INPUT, "%s needs %s", c->verb->name, c->verb->usage);
	if (c->arg_count > c->verb->most)
		return err_set(e, ERR_INPUT, "%s: too many arguments", c->verb->name);
	for (size_t i = 0; i < c->arg_count; i++)
		c->arg[i] = p.words[taken + i];
	return check_options(&p, e);
}

/* ---- help */

static void print_help(FILE *to)
{
	fputs("mailferry moves live mailboxes from an old server to a new one\n\n"
	      "usage: mailferry COMMAND [OPTIONS]\n\n",
	      to);
	for (size_t i = 0; i < ctl_verb_count; i++) {
		const struct ctl_verb *v = &ctl_verbs[i];
		char *left = mem_printf("%s%s%s", v->name, *v->usage ? " " : "", v->usage);

		fprintf(to, "  %-34s%s%s\n", left, strlen(left) < 34 ? "" : " ", v->brief);
		mem_free(&left);
	}
	fputs(ctl_help_common, to);
}

static void print_verb_help(const struct ctl_verb *v, FILE *to)
{
	fprintf(to, "usage: mailferry %s%s%s\n\n%s\n", v->name, *v->usage ? " " : "", v->usage,
		v->help);
	fputs(ctl_help_common, to);
}

/* ---- for the verbs */

int ctl_usage(const struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	fputs("mailferry: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nmailferry: see: mailferry %s%s--help\n",
		c->verb ? c->verb->name : "", c->verb ? " " : "");
	return CTL_USAGE;
}

int ctl_settings(struct ctl *c)
{
	struct settings_errors errs = { 0 };
	int rc;

	if (c->settings_read)
		return CTL_OK;
	rc = settings_load(c->config, &c->settings, &errs);
	for (size_t i = 0; i < errs.count; i++)
		fprintf(stderr, "%s\n", errs.at[i]);
	settings_errors_release(&errs);
	if (rc < 0)
		return CTL_USAGE;
	c->settings_read = true;
	return CTL_OK;
}

static int reach_engine(struct ctl *c)
{
	struct err e = { 0 };
	char *path;
	int status;

	if (c->client)
		return CTL_OK;
	status = ctl_settings(c);
	if (status != CTL_OK)
		return status;
	path = mem_printf("%s/" API_SOCKET, c->settings.run.dir);
	if (client_new(&c->client, path, CLIENT_TIMEOUT_S, &e) < 0) {
		fprintf(stderr, "mailferry: %s\n", e.text);
		status = CTL_FAILED;
	}
	mem_free(&path);
	return status;
}

static void print_refusal(const json_t *answer)
{
	const char *remedy = ctl_text(answer, "remedy");
	const json_t *line;
	size_t i;

	json_array_foreach (json_object_get(answer, "errors"), i, line) {
		text_put(stderr, json_string_value(line));
		fputc('\n', stderr);
	}
	fputs("mailferry: ", stderr);
	text_put(stderr, ctl_text(answer, "error"));
	fputc('\n', stderr);
	if (*remedy) {
		fputs("mailferry: remedy: ", stderr);
		text_put(stderr, remedy);
		fputc('\n', stderr);
	}
}

int ctl_ask(struct ctl *c, const char *path, json_t *body, json_t **answer)
{
	struct err e = { 0 };
	int status = reach_engine(c);
	enum client_result got;

	*answer = NULL;
	if (status != CTL_OK) {
		json_decref(body);
		return status;
	}
	got = client_ask(c->client, path, body, answer, &e);
	json_decref(body);
	if (got == CLIENT_OK)
		return CTL_OK;
	if (got == CLIENT_NO_ENGINE) {
		fprintf(stderr,
			"mailferry: %s\nmailferry: remedy: is `mailferry run` running, with the "
			"same --config?\n",
			e.text);
		return CTL_NO_ENGINE;
	}
	if (!ctl_json(c, *answer))
		print_refusal(*answer);
	json_decref(*answer);
	*answer = NULL;
	return CTL_FAILED;
}

json_t *ctl_look(struct ctl *c, const char *path)
{
	json_t *answer = NULL;
	struct err e = { 0 };

	if (reach_engine(c) != CTL_OK)
		return NULL;
	if (client_ask(c->client, path, NULL, &answer, &e) != CLIENT_OK) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

char *ctl_user_path(struct ctl *c, const char *name, const char *tail)
{
	char *escaped, *path;

	if (reach_engine(c) != CTL_OK)
		return mem_str("");
	escaped = client_escape(c->client, name);
	path = mem_printf("/v1/users/%s%s", escaped, tail);
	mem_free(&escaped);
	return path;
}

void ctl_param(struct ctl *c, char **path, const char *key, const char *value)
{
	char *escaped, *longer;

	if (!value || reach_engine(c) != CTL_OK)
		return;
	escaped = client_escape(c->client, value);
	longer = mem_printf("%s%c%s=%s", *path, strchr(*path, '?') ? '&' : '?', key, escaped);
	mem_free(&escaped);
	mem_free(path);
	*path = longer;
}

/* The page of those behind *after, which then is its last one; NULL: it was the last page. */
static int next_users(struct ctl *c, const char *wave, const char *state, char **after,
		      json_t **page)
{
	char *path = mem_printf("/v1/users?limit=%d", API_PAGE_MAX);
	const json_t *list;
	size_t n;
	int status;

	ctl_param(c, &path, "wave", wave);
	ctl_param(c, &path, "state", state);
	ctl_param(c, &path, "after", *after);
	status = ctl_ask(c, path, NULL, page);
	mem_free(&path);
	mem_free(after);
	list = json_object_get(*page, "users");
	n = json_array_size(list);
	if (ctl_true(*page, "more") && n > 0)
		*after = mem_str(ctl_text(json_array_get(list, n - 1), "name"));
	return status;
}

int ctl_each_users(struct ctl *c, const char *wave, const char *state, ctl_page_fn *fn,
		   void *arg)
{
	char *after = NULL;
	json_t *page, *list;
	int status;

	do {
		status = next_users(c, wave, state, &after, &page);
		list = json_object_get(page, "users");
		if (json_array_size(list) > 0)
			fn(list, arg);
		json_decref(page);
	} while (status == CTL_OK && after);
	mem_free(&after);
	return status;
}

static void add_page(const json_t *users, void *arg)
{
	json_array_extend(arg, (json_t *)(uintptr_t)users);
}

int ctl_all_users(struct ctl *c, const char *wave, const char *state, json_t **users)
{
	*users = json_array();
	return ctl_each_users(c, wave, state, add_page, *users);
}

int ctl_print_list(struct ctl *c, const char *route, const char *key,
		   void (*print)(struct ctl *c, const json_t *list))
{
	char *path = mem_printf("%s?limit=%d", route, API_PAGE_MAX);
	json_t *answer;
	int status = ctl_ask(c, path, NULL, &answer);

	mem_free(&path);
	if (status == CTL_OK && !ctl_json(c, answer)) {
		print(c, json_object_get(answer, key));
		if (ctl_true(answer, "more"))
			fputs("… and more\n", c->out);
	}
	json_decref(answer);
	return status;
}

bool ctl_json(struct ctl *c, const json_t *j)
{
	if (!c->json)
		return false;
	json_dumpf(j, c->out, JSON_COMPACT);
	fputc('\n', c->out);
	fflush(c->out);
	return true;
}

const char *ctl_text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

int64_t ctl_int(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

bool ctl_true(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

/* ---- the whole command */

/* Also what had been on its way before. */
static bool is_written(FILE *out)
{
	return fflush(out) == 0 && !ferror(out);
}

int ctl_main(int argc, char *const argv[], FILE *out)
{
	struct ctl c = { .out = out, .terminal = isatty(fileno(out)) == 1 };
	struct err e = { 0 };
	int status;

	if (ctl_parse(&c, argc, argv, &e) < 0)
		return ctl_usage(&c, "%s", e.text);
	if (c.help) {
		if (c.verb)
			print_verb_help(c.verb, out);
		else
			print_help(out);
		return is_written(out) ? CTL_OK : CTL_FAILED;
	}
	status = c.verb->run(&c);
	client_free(&c.client);
	if (c.settings_read)
		settings_release(&c.settings);
	if (!is_written(out) && status == CTL_OK)
		status = CTL_FAILED;
	return status;
}
