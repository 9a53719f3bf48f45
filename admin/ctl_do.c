/* Hides: the verbs that ask once and say what came of it. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "admin/api.h"
#include "admin/ctl_follow.h"
#include "admin/ctl_sure.h"
#include "common/buf.h"

#define IMPORT_FILE_MAX (HTTP_BODY_MAX / 2) /* bytes; as JSON text grows a little */

/* ---- import */

static int read_all(FILE *f, struct buf *out, struct err *e)
{
	size_t n = 1;

	while (n > 0 && buf_len(out) <= IMPORT_FILE_MAX) {
		n = fread(buf_room(out, 65536), 1, 65536, f);
		buf_wrote(out, n);
	}
	if (ferror(f))
		return err_set(e, ERR_INPUT, "%s", strerror(errno));
	if (buf_len(out) > IMPORT_FILE_MAX)
		return err_set(e, ERR_LIMIT, "larger than %d bytes; import it in parts",
			       IMPORT_FILE_MAX);
	return 0;
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
	FILE *f = fopen(path, "re");
	int rc;

	if (!f)
		return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	rc = read_all(f, out, e);
	fclose(f);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* Paths in the file are meant from its folder, which the engine must be told in full. */
static char *folder_of(const char *path)
{
	char full[PATH_MAX];

	return realpath(path, full) ? mem_str(dirname(full)) : mem_str("/");
}

static json_t *import_body(const char *path, const struct buf *text)
{
	char *folder = folder_of(path), *base = strrchr(path, '/');
	json_t *body =
		json_pack("{s:s#, s:s, s:s}", "csv", buf_slice(text).p, (int)buf_len(text),
			  "file", base ? base + 1 : path, "folder", folder);

	mem_free(&folder);
	return body;
}

static void print_import(struct ctl *c, const json_t *answer)
{
	if (ctl_json(c, answer))
		return;
	fprintf(c->out, "%lld added, %lld changed, %lld as before\n",
		(long long)ctl_int(answer, "added"), (long long)ctl_int(answer, "changed"),
		(long long)ctl_int(answer, "same"));
}

int ctl_import(struct ctl *c)
{
	struct buf text = { 0 };
	struct err e = { 0 };
	json_t *body, *answer;
	int status;

	if (read_file(c->arg[0], &text, &e) < 0) {
		buf_release(&text);
		fprintf(stderr, "mailferry: %s\n", e.text);
		return CTL_FAILED;
	}
	body = import_body(c->arg[0], &text);
	buf_release(&text);
	if (!body) {
		fprintf(stderr, "%s: is not UTF-8 text\n", c->arg[0]);
		return CTL_FAILED;
	}
	status = ctl_ask(c, "/v1/import", body, &answer);
	if (status == CTL_OK)
		print_import(c, answer);
	json_decref(answer);
	return status;
}

/* ---- retry, log-level */

static void print_retry(struct ctl *c, const json_t *answer)
{
	const json_t *user;
	size_t i;

	fprintf(c->out, "%lld users are tried again now\n",
		(long long)ctl_int(answer, "count"));
	json_array_foreach (json_object_get(answer, "busy"), i, user) {
		text_put(c->out, json_string_value(user));
		fprintf(c->out,
			": a worker was writing; for the exceptions, retry once more\n");
	}
}

int ctl_retry(struct ctl *c)
{
	json_t *answer, *body = follow_choice(c, false);
	int status;

	if (!body)
		return CTL_USAGE;
	status = ctl_ask(c, "/v1/retry", body, &answer);
	if (status == CTL_OK && !ctl_json(c, answer))
		print_retry(c, answer);
	json_decref(answer);
	return status;
}

static int request(struct ctl *c, json_t *body, const char *done)
{
	json_t *answer;
	int status = ctl_ask(c, "/v1/requests", body, &answer);

	if (status == CTL_OK && !ctl_json(c, answer))
		fprintf(c->out, "%s\n", done);
	json_decref(answer);
	return status;
}

int ctl_forget(struct ctl *c)
{
	json_t *answer;
	int status = ctl_sure_forget(c);

	if (status != CTL_OK)
		return status;
	status = ctl_ask(c, "/v1/forget", json_pack("{s:s}", "node", c->arg[0]), &answer);
	if (status == CTL_OK && !ctl_json(c, answer))
		fputs("forgotten: nobody waits for it any more\n", c->out);
	json_decref(answer);
	return status;
}

int ctl_rebuild(struct ctl *c)
{
	json_t *answer;
	int status = ctl_sure_rebuild(c);

	if (status != CTL_OK)
		return status;
	status = ctl_ask(c, "/v1/rebuild", json_object(), &answer);
	if (status == CTL_OK && !ctl_json(c, answer))
		fprintf(c->out, "rebuilt; put back on the side where they live: %lld users\n",
			(long long)ctl_int(answer, "moved"));
	json_decref(answer);
	return status;
}

int ctl_log_level(struct ctl *c)
{
	if (log_level_find(c->arg[0]) < 0)
		return ctl_usage(c, "log-level: error, warn, info or debug, not \"%.40s\"",
				 c->arg[0]);
	return request(c, json_pack("{s:s, s:s}", "verb", "loglevel", "level", c->arg[0]),
		       "the log level is changed");
}
