/* Hides: libconfuse, and the order in which a file is looked over, read and checked. */
#include "config/settings_check.h"

#include <confuse.h>
#include <errno.h>
#include <limits.h>
#include <strings.h>

#define FILE_MAX (1 << 20) /* bytes; nobody writes a larger one by hand */

/* One file on its way in. */
struct loading {
	const char *path;
	char *base;
	struct settings *out;
	struct scan scan;
	struct mistakes mistakes;
};

/* ---- the file */

static int read_file(struct loading *l, struct buf *text)
{
	FILE *f = fopen(l->path, "re");
	size_t n = 1;

	if (!f) {
		mistake_add(&l->mistakes, 0, "%s", strerror(errno));
		return -1;
	}
	while (n > 0 && buf_len(text) <= FILE_MAX) {
		n = fread(buf_room(text, 4096), 1, 4096, f);
		buf_wrote(text, n);
	}
	if (ferror(f))
		mistake_add(&l->mistakes, 0, "%s", strerror(errno));
	else if (buf_len(text) > FILE_MAX)
		mistake_add(&l->mistakes, 0, "larger than %d bytes", FILE_MAX);
	else if (buf_len(text) && memchr(buf_slice(text).p, 0, buf_len(text)))
		mistake_add(&l->mistakes, 0, "holds a NUL byte: this is no text file");
	fclose(f);
	return l->mistakes.count ? -1 : 0;
}

static char *folder_of(const char *path)
{
	char whole[PATH_MAX];
	char *slash = realpath(path, whole) ? strrchr(whole, '/') : NULL;

	if (!slash)
		return mem_str(".");
	slash[slash == whole] = '\0';
	return mem_str(whole);
}

/* ---- libconfuse */

/* It has no argument to pass; files are read one at a time. */
static struct loading *complains_to;

PRINTF_LIKE(2, 0)
static void on_confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	vsnprintf(text, sizeof text, fmt, ap);
	mistake_add(&complains_to->mistakes, cfg ? (unsigned)cfg->line : 0, "%s", text);
}

#define SECTION_ROWS_MAX 32

/* Every value is text to libconfuse: ranges, words and lines are ours to tell. */
static void describe_section(enum section_kind kind, cfg_opt_t *opts)
{
	size_t n = 0;

	for (size_t i = 0; i < setting_row_count; i++)
		if (setting_rows[i].section == kind)
			opts[n++] = (cfg_opt_t)CFG_STR(setting_rows[i].name, NULL, CFGF_NONE);
	ASSERT(n < SECTION_ROWS_MAX);
	opts[n] = (cfg_opt_t)CFG_END();
}

static cfg_t *parse(char *text)
{
	cfg_opt_t inner[SECTIONS][SECTION_ROWS_MAX], outer[SECTIONS + 1];
	cfg_t *cfg;

	for (int i = 0; i < SECTIONS; i++) {
		describe_section((enum section_kind)i, inner[i]);
		outer[i] = (cfg_opt_t)CFG_SEC(section_rows[i].name, inner[i],
					      section_rows[i].titled ? CFGF_TITLE | CFGF_MULTI
								     : CFGF_NONE);
	}
	outer[SECTIONS] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(outer, CFGF_NONE);
	if (!cfg)
		BUG("libconfuse refuses the table of settings");
	cfg_set_error_function(cfg, on_confuse_error);
	if (cfg_parse_buf(cfg, text) == CFG_SUCCESS)
		return cfg;
	cfg_free(cfg);
	return NULL;
}

/* ---- values */

static void take_section(struct loading *l, cfg_t *cfg, enum section_kind kind,
			 const char *title, void *conf)
{
	char why[SETTING_TEXT_MAX + 128];

	for (size_t i = 0; i < setting_row_count; i++) {
		const struct setting_row *row = &setting_rows[i];
		const char *text = row->section == kind ? cfg_getstr(cfg, row->name) : NULL;

		if (text && setting_put(row, text, l->base, conf, why, sizeof why) < 0)
			mistake_add(&l->mistakes, scan_line(&l->scan, kind, title, row->name),
				    "%s: %s: %s", section_shown(kind, title), row->name, why);
	}
}

static void take_domains(struct loading *l, cfg_t *cfg)
{
	struct settings *s = l->out;

	s->domain_count = cfg_size(cfg, section_rows[SECTION_DOMAIN].name);
	s->domains = mem_array(MAX(s->domain_count, (size_t)1), sizeof *s->domains);
	for (size_t i = 0; i < s->domain_count; i++) {
		cfg_t *sec = cfg_getnsec(cfg, section_rows[SECTION_DOMAIN].name, (unsigned)i);

		s->domains[i].name = mem_str(cfg_title(sec));
		take_section(l, sec, SECTION_DOMAIN, s->domains[i].name, &s->domains[i]);
	}
}

static void take_all(struct loading *l, cfg_t *cfg)
{
	struct settings *s = l->out;

	s->listener_count = cfg_size(cfg, section_rows[SECTION_LISTENER].name);
	s->listeners = mem_array(MAX(s->listener_count, (size_t)1), sizeof *s->listeners);
	for (size_t i = 0; i < s->listener_count; i++) {
		cfg_t *sec = cfg_getnsec(cfg, section_rows[SECTION_LISTENER].name, (unsigned)i);

		s->listeners[i].name = mem_str(cfg_title(sec));
		setting_defaults(SECTION_LISTENER, &s->listeners[i]);
		take_section(l, sec, SECTION_LISTENER, s->listeners[i].name, &s->listeners[i]);
	}
	take_domains(l, cfg);
	for (int side = 0; side < SIDES; side++) {
		const char *title = side_name((enum side)side);
		cfg_t *sec = cfg_gettsec(cfg, section_rows[SECTION_BACKEND].name, title);

		if (sec)
			take_section(l, sec, SECTION_BACKEND, title, &s->backend[side]);
	}
	for (int kind = SECTION_TLS; kind < SECTIONS; kind++) {
		cfg_t *sec = cfg_getsec(cfg, section_rows[kind].name);

		if (sec)
			take_section(l, sec, (enum section_kind)kind, NULL, s);
	}
}

static void start_from_defaults(struct settings *s)
{
	for (int side = 0; side < SIDES; side++)
		setting_defaults(SECTION_BACKEND, &s->backend[side]);
	for (int kind = SECTION_TLS; kind < SECTIONS; kind++)
		setting_defaults((enum section_kind)kind, s);
}

static void load(struct loading *l, struct buf *text)
{
	cfg_t *cfg;

	buf_add(text, "\n", 2); /* and the NUL that libconfuse ends at */
	settings_scan((char *)buf_slice(text).p, buf_len(text) - 1, &l->scan, &l->mistakes);
	if (l->scan.broken)
		return;
	complains_to = l;
	cfg = parse((char *)buf_slice(text).p);
	complains_to = NULL;
	if (!cfg)
		return;
	take_all(l, cfg);
	cfg_free(cfg);
	settings_check(l->out, &l->scan, &l->mistakes);
}

/* ---- the errors, by line */

static int by_line(const void *a, const void *b)
{
	const struct mistake *x = a, *y = b;

	return x->line != y->line ? (x->line < y->line ? -1 : 1) : strcmp(x->text, y->text);
}

static void hand_over(const struct loading *l, struct settings_errors *errs)
{
	qsort(l->mistakes.at, l->mistakes.count, sizeof *l->mistakes.at, by_line);
	errs->at = mem_array(l->mistakes.count, sizeof *errs->at);
	for (size_t i = 0; i < l->mistakes.count; i++) {
		const struct mistake *m = &l->mistakes.at[i];

		errs->at[errs->count++] =
			m->line ? mem_printf("%s:%u: %s", l->path, m->line, m->text)
				: mem_printf("%s: %s", l->path, m->text);
	}
}

int settings_load(const char *path, struct settings *out, struct settings_errors *errs)
{
	struct loading l = { .path = path, .base = folder_of(path), .out = out };
	struct buf text = { 0 };
	int result = 0;

	*out = (struct settings){ .path = mem_str(path) };
	*errs = (struct settings_errors){ 0 };
	start_from_defaults(out);
	if (read_file(&l, &text) == 0)
		load(&l, &text);
	if (l.mistakes.count) {
		hand_over(&l, errs);
		settings_release(out);
		result = -1;
	}
	mistakes_release(&l.mistakes);
	scan_release(&l.scan);
	buf_release(&text);
	free(l.base);
	return result;
}

unsigned settings_line(const char *path, const char *section, const char *name)
{
	const struct section_row *row = section_find(slice_of(section));
	struct loading l = { .path = path };
	struct buf text = { 0 };
	unsigned line = 1;

	ASSERT(row);
	if (read_file(&l, &text) == 0) {
		buf_add(&text, "\n", 1);
		settings_scan((char *)(uintptr_t)buf_slice(&text).p, buf_len(&text), &l.scan,
			      &l.mistakes);
		line = scan_line(&l.scan, (enum section_kind)(row - section_rows), NULL, name);
	}
	mistakes_release(&l.mistakes);
	scan_release(&l.scan);
	buf_release(&text);
	return line;
}

void settings_release(struct settings *s)
{
	for (size_t i = 0; i < s->listener_count; i++) {
		setting_release(SECTION_LISTENER, &s->listeners[i]);
		free(s->listeners[i].name);
	}
	free(s->listeners);
	for (size_t i = 0; i < s->domain_count; i++) {
		setting_release(SECTION_DOMAIN, &s->domains[i]);
		free(s->domains[i].name);
	}
	free(s->domains);
	for (int side = 0; side < SIDES; side++)
		setting_release(SECTION_BACKEND, &s->backend[side]);
	for (int kind = SECTION_TLS; kind < SECTIONS; kind++)
		setting_release((enum section_kind)kind, s);
	free(s->path);
	*s = (struct settings){ 0 };
}

void settings_errors_release(struct settings_errors *errs)
{
	for (size_t i = 0; i < errs->count; i++)
		free(errs->at[i]);
	mem_free(&errs->at);
	errs->count = 0;
}

static char *own_or(char *own, char *else_)
{
	return own ? own : else_;
}

struct dns_target settings_dns_target(const struct settings *s, const char *domain)
{
	const struct dns_target *all = &s->dns.target;

	for (size_t i = 0; i < s->domain_count; i++) {
		const struct dns_target *t = &s->domains[i].target;

		if (strcasecmp(s->domains[i].name, domain) == 0)
			return (struct dns_target){
				.kind = own_or(t->kind, all->kind),
				.mx = own_or(t->mx, all->mx),
				.host = own_or(t->host, all->host),
				.webmail = own_or(t->webmail, all->webmail),
				.spf = own_or(t->spf, all->spf),
				.names = own_or(t->names, all->names),
				.servers = own_or(t->servers, all->servers),
			};
	}
	return *all;
}

/* One word after the other of a list that spaces and commas divide. */
static bool next_word(struct slice *list, struct slice *word)
{
	size_t skip = strspn(list->p, " ,\t"), n = strcspn(list->p + skip, " ,\t");

	*word = (struct slice){ list->p + skip, n };
	*list = slice_of(list->p + skip + n);
	return n > 0;
}

bool settings_learns(const struct settings *s, const char *user)
{
	struct slice list = slice_of(s->learn.domains ? s->learn.domains : ""), word;
	const char *sign = strrchr(user, '@');

	while (next_word(&list, &word))
		if (slice_is(word, "*") || (sign && slice_is_nocase(word, sign + 1)))
			return true;
	return false;
}

bool settings_keep_uidl(const struct settings *s)
{
	return strcmp(s->pop3.uidl, "keep") == 0;
}

char *settings_flips(const struct settings *s)
{
	return s->store.flips ? mem_str(s->store.flips) : mem_printf("%s.flips", s->store.path);
}

struct login_name_rules settings_login_rules(const struct settings *s)
{
	return (struct login_name_rules){ s->users.default_domain, s->users.fold_local };
}
