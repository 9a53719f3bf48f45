/* Hides: where it is fetched from, and what of it is no text. */
#include "sync/pull_trace.h"

#include "common/log.h"
#include "common/wire/sasl.h"

/* So much that a password which the cut goes through is seen whole, however it is written. */
static size_t margin_of(const struct job_pull_user *u)
{
	return 2 * (2 * strlen(u->login[SIDE_OLD]) + u->password[SIDE_OLD].n + 4);
}

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
		rc = opensrs_fetch(p->api, url, JOB_PULL_TRACE_MAX + margin_of(u), out, e);
	opensrs_call_release(&c);
	return rc;
}

/* As LOGIN has it: what IMAP escapes in a quoted string. */
static void hide_quoted(char *text, struct slice password)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < password.n; i++) {
		if (password.p[i] == '"' || password.p[i] == '\\')
			buf_add(&b, "\\", 1);
		buf_add(&b, &password.p[i], 1);
	}
	opensrs_hide(text, buf_slice(&b));
	buf_wipe(&b);
}

/* As AUTHENTICATE has it. */
static void hide_base64(char *text, struct slice login, struct slice password)
{
	/* The longer one first: it may end as the other one does. */
	const struct sasl_plain plain[] = { { login, login, password },
					    { { 0 }, login, password } };
	struct buf b = { 0 };

	for (size_t i = 0; i < COUNT(plain); i++) {
		sasl_plain_write(&plain[i], &b);
		opensrs_hide(text, buf_slice(&b));
		buf_wipe(&b);
	}
	sasl_base64_encode(password, &b);
	opensrs_hide(text, buf_slice(&b));
	buf_wipe(&b);
}

/* A password may have other letters than ASCII, but no NUL, which would end the text. */
static void hide(char *text, size_t n, const struct job_pull_user *u)
{
	struct slice password = secret_slice(&u->password[SIDE_OLD]);

	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '?';
	hide_base64(text, slice_of(u->login[SIDE_OLD]), password);
	hide_quoted(text, password);
	opensrs_hide(text, password);
}

/* As text for people: lines, tabs, and no other control characters. */
static void tame(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c >= 0x7f || (*c < 0x20 && *c != '\n' && *c != '\t'))
			*c = '?';
}

static char *clean(struct slice raw, const struct job_pull_user *u)
{
	char *text = mem_strn(raw.n ? raw.p : "", raw.n), *end;

	hide(text, raw.n, u);
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
		text = clean(buf_slice(&raw), u);
	buf_wipe(&raw);
	return text ? text : mem_str("");
}
