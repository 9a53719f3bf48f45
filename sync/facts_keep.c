/* Hides: what one pass's facts inherit from those of the pass before. */
#include "sync/facts_keep.h"
#include "common/store_gate.h"
#include "common/store_session.h"

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

/* Nodes have had the time to tell of who made the changes that were found. */
static bool is_to_judge(const struct facts *before, int64_t now)
{
	return before->found && now >= before->found_at + FACTS_TOLD_MS;
}

static void judge(struct facts *f, bool was_there, int64_t now)
{
	if (!is_to_judge(f, now))
		return;
	if (!was_there) {
		f->unseen = f->found;
		f->unseen_at = f->found_at;
	}
	f->found = f->found_at = 0;
}

static void find(struct facts *f, int64_t changed, int64_t now)
{
	if (changed > 0 && f->found == 0)
		f->found_at = now;
	f->found += changed;
}

void facts_carry_on(struct facts *f, const struct facts *before, const struct user *u,
		    const struct job_result *r, const struct facts_witness *w, int64_t now)
{
	f->unseen = before->unseen;
	f->unseen_at = before->unseen_at;
	f->found = before->found;
	f->found_at = before->found_at;
	judge(f, w->of_found, now);
	if (!was_in_step(u))
		return;
	add_time(f, before, r->took_ms);
	if (!w->of_pass)
		find(f, r->flags + r->deleted, now);
}

/* Sessions may have come and gone since, long before the pass that judges: so the store keeps
 * when the first one began, from where a question may arise to where it is answered. Who came
 * after what was found is no witness of it. */
static int ask_witness(struct store *st, const struct user *u, const struct facts *before,
		       int64_t now, struct facts_witness *out, struct err *e)
{
	out->of_found = false;
	if (before->found &&
	    store_session_since_mark(st, u->name, before->found_at + FACTS_TOLD_MS,
				     &out->of_found, e) < 0)
		return -1;
	if ((before->found == 0 || is_to_judge(before, now)) &&
	    store_session_mark(st, u->name, e) < 0)
		return -1;
	return store_session_between(st, u->name, u->progress.pass_ended, now, &out->of_pass,
				     e);
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
	struct facts_witness w;
	struct buf text = { 0 };
	int64_t now = store_now_ms(st);
	int rc;

	if (read_before(st, u->name, &before, e) < 0 ||
	    ask_witness(st, u, &before, now, &w, e) < 0)
		return -1;
	facts_carry_on(&f, &before, u, r, &w, now);
	facts_write(&f, &text);
	buf_add(&text, "", 1);
	rc = store_facts_write(st, u->name, buf_slice(&text).p, e);
	buf_release(&text);
	return rc;
}
