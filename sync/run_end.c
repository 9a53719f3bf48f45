/* Hides: what is made of the result of a probe, a pass, a trailing pass. */
#include "sync/engine_impl.h"
#include "sync/facts_keep.h"

void run_log_store(const struct run *r, const struct err *e)
{
	log_error(&r->about, "%s", e->text);
}

bool run_move_user(const struct run *r, const struct user *u, enum user_state to,
		   const char *why)
{
	struct user_move m = { .name = u->name,
			       .from = u->state,
			       .to = to,
			       .change = u->change,
			       .actor = "engine",
			       .why = why };
	struct err e = { 0 };

	switch (store_user_move(r->en->o.store, &m, NULL, &e)) {
	case MOVE_DONE:
		log_info(&r->about, "now %s: %s", user_state_name(to), why);
		return true;
	case MOVE_LOST:
		break; /* somebody moved the user; the next scan sees where he is */
	case MOVE_FAILED:
		run_log_store(r, &e);
		break;
	}
	return false;
}

/* Probes and first passes wait longer each time; ready and trailing keep to their turns. */
static void back_off(const struct run *r, const struct user *u, const struct job_result *res,
		     const char *why)
{
	int64_t wait_ms = plan_wait_ms(r->en->o.settings->sync.retry_s, u->attempts, res);
	struct err e = { 0 };

	log_warn(&r->about, "%s failed, next try in %lld s: %s", job_kind_name(r->live.kind),
		 (long long)wait_ms / 1000, why);
	if (store_user_failed(r->en->o.store, u->name, wait_ms, why, &e) < 0)
		run_log_store(r, &e);
}

static bool is_full(const struct job_result *res)
{
	return res && !res->ok && res->kind == ERR_FULL;
}

void run_write_progress(const struct run *r, const struct user *u, const struct job_result *res,
			const char *error, int64_t ended)
{
	struct progress p = u->progress;
	struct err e = { 0 };

	p.passes++;
	p.pass_ended = ended;
	p.pass_clean = res && res->ok && res->clean;
	p.pass_error = (char *)error;
	p.quota = is_full(res) ? (char *)error : (char *)"";
	p.not_before = 0;
	if (res && !res->ok && (res->later.wait_ms || is_full(res)))
		p.not_before =
			ended + plan_wait_ms(r->en->o.settings->sync.retry_s, u->attempts, res);
	if (res && res->ok) {
		p.pass_took = res->took_ms;
		p.copied += res->copied;
		if (r->live.kind == JOB_PASS) {
			p.messages = res->messages;
			p.verified = res->verified;
			p.exceptions = res->exceptions;
			p.bytes = res->bytes;
		}
		if (r->live.kind == JOB_TRAILING && res->arrived > 0)
			p.last_arrival = ended;
		if (res->strays > 0) {
			p.strays += res->strays;
			p.last_stray = ended;
		}
	}
	if (store_user_progress(r->en->o.store, u->name, &p, &e) < 0 ||
	    (res && res->ok && res->facts.known && facts_keep(r->en->o.store, u, res, &e) < 0))
		run_log_store(r, &e);
}

static void ended_probe(const struct run *r, const struct user *u, const struct job_result *res,
			const char *why)
{
	if (!res || !res->ok) {
		back_off(r, u, res, why);
		return;
	}
	if (res->text[0])
		log_warn(&r->about, "%s", res->text);
	run_move_user(r, u, USER_PROVISIONED, "both servers let us in");
}

/* A pass that began before the user turned says nothing of the way he goes now. By the clock of
 * the store, as moves are: another host's, with a clock of its own. */
static int64_t ended_at(const struct run *r, const struct user *u)
{
	bool trailed = r->live.kind == JOB_TRAILING, trails = u->state == USER_TRAILING;

	return trailed == trails ? store_now_ms(r->en->o.store) : u->state_since;
}

static void ended_pass_well(const struct run *r, const struct user *u,
			    const struct job_result *res)
{
	bool progress = res->copied || res->deleted || res->flags;
	struct err e = { 0 };

	log_info(&r->about,
		 "pass: %lld messages, %lld copied, %lld deleted, %lld flags, %lld compared, "
		 "%lld exceptions, %lld ms%s%s",
		 (long long)res->messages, (long long)res->copied, (long long)res->deleted,
		 (long long)res->flags, (long long)res->verified, (long long)res->exceptions,
		 (long long)res->took_ms,
		 !res->text[0] ? ""
		 : res->clean  ? "; "
			       : "; not clean: ",
		 res->text);
	run_write_progress(r, u, res, "", ended_at(r, u));
	if (u->state == USER_SYNCING && res->clean)
		run_move_user(r, u, USER_READY, "the pass was clean");
	else if (u->state == USER_READY && res->exceptions > 0)
		run_move_user(r, u, USER_SYNCING, "messages could not be copied");
	else if (!res->clean && u->state == USER_SYNCING && (res->exceptions > 0 || !progress))
		back_off(r, u, res, res->text[0] ? res->text : "the pass was not clean");
	else if (!res->clean && names_add(&r->en->asked, u->name, &e) < 0)
		log_debug(&r->about, "%s", e.text); /* its turn comes anyway */
}

static void ended_pass(const struct run *r, const struct user *u, const struct job_result *res,
		       const char *why)
{
	if (res && res->ok) {
		ended_pass_well(r, u, res);
		return;
	}
	run_write_progress(r, u, res, why, ended_at(r, u));
	if (u->state == USER_SYNCING)
		back_off(r, u, res, why);
	else
		log_warn(&r->about, "pass failed: %s", why);
}

/* Who writes on old now does not see what the others see, and nobody sees what he writes. */
static void alarm_strays(const struct run *r, const struct user *u, int64_t strays)
{
	static const char what[] = "old was changed after the move, past the proxy: find the "
				   "client, webmail or program that still goes there";
	struct err e = { 0 };

	log_warn(&r->about, "%s (%lld changes)", what, (long long)strays);
	if (u->progress.strays == 0 &&
	    store_user_note(r->en->o.store, u->name, "engine", what, &e) < 0)
		run_log_store(r, &e);
}

static void ended_trailing(const struct run *r, const struct user *u,
			   const struct job_result *res, const char *why)
{
	bool ok = res && res->ok;

	run_write_progress(r, u, res, ok ? "" : why, ended_at(r, u));
	if (!ok)
		log_warn(&r->about, "trailing pass failed: %s", why);
	else
		log_info(&r->about,
			 "trailing pass: %lld arrived on old and were brought over%s%s",
			 (long long)res->arrived,
			 !res->text[0] ? ""
			 : res->clean  ? "; "
				       : "; not clean: ",
			 res->text);
	if (ok && res->strays > 0)
		alarm_strays(r, u, res->strays);
}

/* Imported with other logins meanwhile: it has seen another mailbox. */
static bool is_of_another(const struct run *r, const struct user *u)
{
	return r->state == u->state && r->change != u->change;
}

void run_ended(struct run *r, const struct job_result *res, const char *why)
{
	struct job_result unclean;
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(r->en->o.store, r->user, &u, &e);

	if (got < 0)
		run_log_store(r, &e);
	if (got <= 0)
		return;
	if (res && is_of_another(r, &u)) {
		unclean = *res;
		unclean.clean = false;
		res = &unclean;
	}
	r->about.state = user_state_name(u.state);
	switch (r->live.kind) {
	case JOB_PROBE:
		ended_probe(r, &u, res, why);
		break;
	case JOB_PASS:
		ended_pass(r, &u, res, why);
		break;
	case JOB_TRAILING:
		ended_trailing(r, &u, res, why);
		break;
	case JOB_FINAL:
	case JOB_AUDIT:	    /* sync/audits.c starts them */
	case JOB_PROVISION: /* sync/provisions.c */
	case JOB_PULL:	    /* sync/pulls.c */
	case JOB_KINDS:
		break;
	}
	user_release(&u);
}
