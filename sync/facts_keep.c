/* Hides: what one pass's facts inherit from those of the pass before. */
#include "sync/facts_keep.h"

static void add_time(struct facts *f, const struct facts *before, int64_t took_ms)
{
	for (int i = FACT_DELTAS - 1; i > 0; i--)
		f->took_ms[i] = before->took_ms[i - 1];
	f->took_ms[0] = MAX(took_ms, (int64_t)1);
}

/* A first pass copies for hours, the one behind it still catches up: neither is a delta. */
static bool was_in_step(const struct user *u)
{
	return u->state == USER_READY && u->progress.pass_clean;
}

void facts_carry_on(struct facts *f, const struct facts *before, const struct user *u,
		    const struct job_result *r, int64_t last_session, int64_t now)
{
	int64_t changed = r->flags + r->deleted;

	f->unseen = before->unseen;
	f->unseen_at = before->unseen_at;
	if (!was_in_step(u))
		return;
	add_time(f, before, r->took_ms);
	if (changed > 0 && last_session < u->progress.pass_ended) {
		f->unseen = changed;
		f->unseen_at = now;
	}
}

static int read_before(struct store *st, const char *name, struct facts *out, struct err *e)
{
	char *body;
	int got = store_facts_read(st, name, &body, e);

	*out = (struct facts){ 0 };
	if (got > 0 && facts_parse(body, out, e) < 0)
		err_clear(e); /* of another version */
	mem_free(&body);
	return got < 0 ? -1 : 0;
}

int facts_keep(struct store *st, const struct user *u, const struct job_result *r,
	       struct err *e)
{
	struct facts f = r->facts, before;
	struct buf text = { 0 };
	int64_t last_session;
	int rc;

	if (read_before(st, u->name, &before, e) < 0 ||
	    store_session_last(st, u->name, &last_session, e) < 0)
		return -1;
	facts_carry_on(&f, &before, u, r, last_session, store_now_ms(st));
	facts_write(&f, &text);
	buf_add(&text, "", 1);
	rc = store_facts_write(st, u->name, buf_slice(&text).p, e);
	buf_release(&text);
	return rc;
}
