/* Hides: where it is fetched from, and what of it is no text. */
#include "sync/pull_trace.h"

#include "common/log.h"

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
		rc = opensrs_fetch(p->api, url, JOB_PULL_TRACE_MAX, out, e);
	opensrs_call_release(&c);
	return rc;
}

/* As text for people: lines, tabs, and no other control characters; without the password. */
static char *clean(struct slice raw, const struct secret *password)
{
	char *text = mem_strn(raw.n ? raw.p : "", raw.n), *to = text;

	for (size_t i = 0; i < raw.n; i++)
		if ((unsigned char)raw.p[i] < 0x7f &&
		    ((unsigned char)raw.p[i] >= 0x20 || raw.p[i] == '\n' || raw.p[i] == '\t'))
			*to++ = raw.p[i];
		else
			*to++ = '?';
	*to = '\0';
	opensrs_hide(text, secret_slice(password));
	return text;
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
