/* Hides: settings and certificates, checked and shown without an engine. */
#include "admin/bearers.h"
#include "admin/child.h"
#include "admin/ctl.h"
#include "admin/table.h"
#include "certs/folder.h"
#include "common/clock.h"

#define DAY_S 86400

struct findings {
	const char *path; /* of the settings */
	json_t *errors, *warnings;
	unsigned line; /* of the setting that is looked at */
	const char *what;
	size_t certificates;
};

static void find_setting(struct findings *f, const char *section, const char *name,
			 const char *what)
{
	f->line = settings_line(f->path, section, name);
	f->what = what;
}

static void PRINTF_LIKE(3, 4) note(struct findings *f, json_t *to, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX + 64], *whole;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	whole = mem_printf("%s:%u: %s: %s", f->path, f->line, f->what, text);
	json_array_append_new(to, json_string(whole));
	free(whole);
}

/* ---- certificates */

static void judge(const char *file, int64_t not_after_s, const struct err *e, void *arg)
{
	int64_t left = not_after_s - clock_real_ms() / 1000;
	struct findings *f = arg;
	char day[16];

	f->certificates++;
	cert_day(not_after_s, day);
	if (e)
		note(f, f->errors, "%s", e->text);
	else if (left <= 0)
		note(f, f->errors, "certificate %s: expired on %s: renew it", file, day);
	else if (left < CERT_WARN_DAYS * DAY_S)
		note(f, f->warnings, "certificate %s: expires on %s, in %lld days: renew it",
		     file, day, (long long)left / DAY_S);
}

static void check_certificate(struct findings *f, const char *file, const char *key)
{
	struct cert_pair pair = { 0 };
	struct err e = { 0 };
	int rc;

	if (!file)
		return;
	rc = cert_pair_load(file, key, &pair, &e);
	judge(file, pair.not_after_s, rc < 0 ? &e : NULL, f);
	cert_pair_release(&pair);
}

static void check_folder(struct findings *f, const char *path)
{
	struct cert_folder *folder;
	struct err e = { 0 };

	if (!path)
		return;
	if (cert_folder_open(path, 1, &folder, &e) < 0) {
		note(f, f->errors, "%s", e.text);
		return;
	}
	cert_folder_judge(folder, judge, f);
	cert_folder_free(&folder);
}

static void check_certificates(struct findings *f, const struct settings *s)
{
	find_setting(f, "tls", "certificate", "tls: certificate");
	check_certificate(f, s->tls.certificate, s->tls.key);
	find_setting(f, "tls", "second_certificate", "tls: second_certificate");
	check_certificate(f, s->tls.second_certificate, s->tls.second_key);
	find_setting(f, "tls", "folder", "tls: folder");
	check_folder(f, s->tls.folder);
	find_setting(f, "api", "certificate", "api: certificate");
	check_certificate(f, s->api.certificate, s->api.key);
}

static void check_tokens(struct findings *f, const struct settings *s)
{
	struct bearers tokens;
	struct err e = { 0 };

	find_setting(f, "api", "tokens", "api: tokens");
	if (s->api.tokens && bearers_read(s->api.tokens, &tokens, &e) < 0)
		note(f, f->errors, "%s", e.text);
	else if (s->api.listen && tokens.count == 0)
		note(f, f->warnings, "nobody has a token yet: `mailferry token add NAME`");
}

/* ---- the whole */

static void print_list(const char *before, const json_t *list)
{
	const json_t *line;
	size_t i;

	json_array_foreach (list, i, line) {
		fputs(before, stderr);
		text_put(stderr, json_string_value(line));
		fputc('\n', stderr);
	}
}

static void check(struct findings *f, struct settings *s)
{
	struct settings_errors errs = { 0 };

	if (settings_load(f->path, s, &errs) == 0) {
		check_certificates(f, s);
		check_tokens(f, s);
	}
	for (size_t i = 0; i < errs.count; i++)
		json_array_append_new(f->errors, json_string(errs.at[i]));
	settings_errors_release(&errs);
}

static bool fine(const struct findings *f)
{
	return json_array_size(f->errors) == 0;
}

/* What root can read, the programs that it starts may not: all is looked at once more as they
 * do. */
static void check_as_run_user(struct findings *f, struct settings *s)
{
	struct child_user user;
	struct err e = { 0 };

	if (child_user_find(s->run.user, &user, &e) < 0) {
		find_setting(f, "run", "user", "run: user");
		json_array_append_new(f->errors,
				      json_sprintf("%s:%u: %s", f->path, f->line, e.text));
		return;
	}
	if (user.name && child_user_become(&user) == 0) {
		settings_release(s);
		*s = (struct settings){ 0 };
		json_array_clear(f->warnings);
		f->certificates = 0;
		check(f, s);
	}
	child_user_release(&user);
}

int ctl_check_config(struct ctl *c)
{
	struct findings f = { .path = c->arg_count ? c->arg[0] : c->config,
			      .errors = json_array(),
			      .warnings = json_array() };
	struct settings s = { 0 };
	bool ok;
	json_t *j;

	check(&f, &s);
	if (fine(&f))
		check_as_run_user(&f, &s);
	ok = fine(&f);
	j = json_pack("{s:b, s:o, s:o}", "ok", ok, "errors", f.errors, "warnings", f.warnings);
	if (!ctl_json(c, j)) {
		print_list("", f.errors);
		print_list("warning: ", f.warnings);
		if (ok)
			fprintf(c->out, "%s: no mistakes, %zu listeners, %zu certificates\n",
				f.path, s.listener_count, f.certificates);
	}
	json_decref(j);
	settings_release(&s);
	return ok ? CTL_OK : CTL_USAGE;
}

int ctl_sample_config(struct ctl *c)
{
	settings_write_sample(c->out);
	return CTL_OK;
}
