/* Hides: where it is fetched from, and what of it is no text. */
#include "sync/pull_trace.h"

#include "common/log.h"

/* So much that a password which the cut goes through is seen whole. */
static int ask_trace(const struct pull *p, const struct job_pull_user *u, struct buf *out,
		     struct err *e)
{
	struct opensrs_call c = opensrs_call(OPENSRS_MIGRATION_TRACE, p->job->pull.job);
	const char *url;
	int rc;

	json_object_set_new(c.body, "user", json_string(u->login[SIDE_NEW]));
	rc = opensrs_do(p->api, &c, e);
	url = opensrs_text(c.answer, "trace");
	if (rc == 0 && !url)
		rc = err_set(e, ERR_PROTOCOL, "no address in the answer");
	if (rc == 0)
		rc = opensrs_fetch(p->api, url, JOB_PULL_TRACE_MAX + u->password[SIDE_OLD].n,
				   out, e);
	opensrs_call_release(&c);
	return rc;
}

/* A password may have other letters than ASCII, but no NUL, which would end the text. */
static void hide(char *text, size_t n, const struct secret *password)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '?';
	opensrs_hide(text, secret_slice(password));
}

/* As text for people: lines, tabs, and no other control characters. */
static void tame(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c >= 0x7f || (*c < 0x20 && *c != '\n' && *c != '\t'))
			*c = '?';
}

static char *clean(struct slice raw, const struct secret *password)
{
	char *text = mem_strn(raw.n ? raw.p : "", raw.n), *end;

	hide(text, raw.n, password);
	tame(text);
	end = mem_str(text + raw.n - MIN(raw.n, (size_t)JOB_PULL_TRACE_MAX));
	mem_free(&text);
	return end;
}

char *pull_trace(const struct pull *p, const struct job_pull_user *u)
{
	struct buf raw = { 0 };
	struct err e = { 0 };
	char *text = NULL;

	if (ask_trace(p, u, &raw, &e) < 0)
		log_warn(p->about, "%s: no trace: %s", u->user, e.text);
	else
		text = clean(buf_slice(&raw), &u->password[SIDE_OLD]);
	buf_wipe(&raw);
	return text ? text : mem_str("");
}
