/* Hides: how a batch is begun and followed, and what is made of its figures. */
#include "sync/pull.h"

#include <poll.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/order.h"
#include "sync/pull_folders.h"
#include "sync/pull_others.h"
#include "sync/pull_status.h"
#include "sync/pull_trace.h"
#include "sync/pulse.h"

#define NAP_MS 200 /* between two signs of life */

struct one {
	const struct job_pull_user *u;
	struct pull_folders folders; /* .wanted NULL: they could not be looked at */
	struct pull_seen seen;
	bool ended;
};

struct batch {
	const struct pull *p;
	const struct job_pull *job;
	struct one *all;
	size_t count;
	struct pull_others others;
	int absent; /* looks in a row that found no such job */
};

/* ---- waiting */

static void nap(int seconds)
{
	int64_t until = clock_mono_ms() + (int64_t)seconds * 1000;

	while (clock_mono_ms() < until) {
		poll(NULL, 0, NAP_MS);
		pulse_beat();
	}
}

/* ---- telling */

static void tell(const struct batch *b, const struct one *o, enum pull_state state,
		 const char *text, const char *trace)
{
	const struct pull_folder *f = pull_status_at_work(&o->seen.now, o->folders.skip);
	char folder[JOB_PULL_FOLDER_MAX + 1];
	struct pull_item i = { .user = o->u->user,
			       .state = state,
			       .migrated = o->seen.now.migrated,
			       .skipped = o->seen.now.skipped,
			       .failed = o->seen.now.failed,
			       .total = o->seen.now.total,
			       .bytes = o->seen.now.bytes,
			       .folder = folder,
			       .text = text,
			       .trace = trace,
			       .folders = pull_status_json(&o->seen.now) };

	snprintf(folder, sizeof folder, "%s",
		 f && strlen(f->name) <= JOB_PULL_FOLDER_MAX ? f->name : "");
	b->p->fn(&i, b->p->arg);
	json_decref(i.folders);
}

static void end(const struct batch *b, struct one *o, enum pull_state state, const char *text,
		const char *trace)
{
	o->ended = true;
	tell(b, o, state, text, trace);
}

/* ---- failing */

static void fail(const struct batch *b, struct one *o, const char *text)
{
	char *trace = o->seen.now.started ? pull_trace(b->p, o->u) : mem_str("");

	end(b, o, PULL_FAILED, text, trace);
	mem_free(&trace);
}

/* ---- looking at folders */

static int look(const struct batch *b, struct one *o, struct err *e)
{
	const struct log_about about = { .what = "user", .user = o->u->user, .doing = "pull" };
	struct job j = *b->p->job; /* borrows all but what is set below */
	char *dir = mem_str(b->p->job->journal), *slash = strrchr(dir, '/');
	struct secret fresh = { 0 };
	int rc;

	if (slash)
		*slash = '\0';
	j.kind = JOB_PROBE;
	j.user = o->u->user;
	j.journal = order_journal_path(dir, o->u->user);
	j.folders = o->u->rules;
	j.folders.shared = b->p->job->folders.shared;
	for (int s = 0; s < SIDES; s++) {
		j.side[s].login = o->u->login[s];
		j.side[s].password = o->u->password[s];
		j.side[s].authzid = NULL; /* a master user's way in is not taken here */
	}
	if (secret_is_set(&o->u->password[SIDE_NEW]))
		secret_set(&fresh, o->u->password[SIDE_NEW].at, o->u->password[SIDE_NEW].n);
	j.side[SIDE_NEW].password = fresh; /* a token takes its place */
	rc = pull_folders_look(&j, b->p->api, &about, &o->folders, e);
	secret_release(&j.side[SIDE_NEW].password);
	mem_free(&j.journal);
	mem_free(&dir);
	if (rc < 0)
		pull_folders_release(&o->folders);
	return rc;
}

/* What has to do with the user, and not with the way to a server or with ourselves. */
static bool is_of_the_user(const struct err *e)
{
	return e->kind == ERR_AUTH || e->kind == ERR_INPUT;
}

/* Those who cannot be let in are left out, unless the job is under way all the same. -1: it may
 * be, and the trouble may go by: nobody is left out of a job that has them. */
static int look_at_all(struct batch *b, bool under_way, struct err *e)
{
	for (size_t i = 0; i < b->count; i++) {
		struct one *o = &b->all[i];
		struct err why = { 0 };

		pulse_beat();
		if (look(b, o, &why) == 0 || under_way)
			continue;
		if (is_of_the_user(&why)) {
			fail(b, o, why.text);
		} else if (!b->job->again) {
			end(b, o, PULL_WAITING, why.text, "");
		} else {
			*e = why;
			return err_wrap(e, "user %s", o->u->user);
		}
	}
	return 0;
}

/* ---- beginning */

static int list_has_job(const struct batch *b, bool *found, struct err *e)
{
	struct opensrs_call c = opensrs_call(OPENSRS_MIGRATION_JOBS, NULL);
	const json_t *jobs;
	int rc = opensrs_do(b->p->api, &c, e);

	jobs = json_object_get(c.answer, "jobs");
	*found = false;
	for (size_t i = 0; rc == 0 && i < json_array_size(jobs); i++) {
		const char *name = opensrs_text(json_array_get(jobs, i), "job");

		*found |= name && strcmp(name, b->job->job) == 0;
	}
	if (rc == 0 && !json_is_array(jobs))
		rc = err_set(e, ERR_PROTOCOL, "OpenSRS's list of jobs is none");
	opensrs_call_release(&c);
	return rc;
}

/* By name: the list has only the jobs of the administrator who asks. */
static int job_answers(const struct batch *b, bool *found, struct err *e)
{
	struct opensrs_call c = opensrs_call(OPENSRS_MIGRATION_STATUS, b->job->job);
	int rc = opensrs_do(b->p->api, &c, e);

	*found = rc == 0;
	if (c.number == OPENSRS_MISSING)
		rc = 0;
	opensrs_call_release(&c);
	return rc;
}

/* A job that was given may show late, and would be begun twice: it is looked for as often as one
 * that has vanished. */
static int find_job_surely(const struct batch *b, bool *found, struct err *e)
{
	for (int looks = 0; looks < PULL_UNSURE_LOOKS; looks++) {
		if (looks)
			nap(b->job->poll_s);
		if (list_has_job(b, found, e) < 0)
			return -1;
		if (!*found && job_answers(b, found, e) < 0)
			return -1;
		if (*found)
			break;
	}
	return 0;
}

static int find_job(const struct batch *b, bool *found, struct err *e)
{
	return b->job->again ? find_job_surely(b, found, e) : list_has_job(b, found, e);
}

static json_t *element(const struct batch *b, const struct one *o)
{
	struct slice password = secret_slice(&o->u->password[SIDE_OLD]);
	json_t *j = json_pack("{s:s, s:s, s:o, s:s, s:s}", "local", o->u->login[SIDE_NEW],
			      "remote", o->u->login[SIDE_OLD], "password",
			      json_stringn(password.p, password.n), "server", b->job->server,
			      "method", b->job->method);

	if (json_array_size(o->folders.skip))
		json_object_set(j, "skip", o->folders.skip);
	if (json_object_size(o->folders.translate))
		json_object_set(j, "translate", o->folders.translate);
	return j;
}

static int add_job(const struct batch *b, int *number, struct err *e)
{
	struct opensrs_call c = opensrs_call(OPENSRS_MIGRATION_ADD, b->job->job);
	json_t *users = json_array();
	int rc = 0;

	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended)
			json_array_append_new(users, element(b, &b->all[i]));
	json_object_set_new(c.body, "users", users);
	if (json_array_size(users))
		rc = opensrs_do(b->p->api, &c, e);
	*number = c.number;
	opensrs_call_release(&c);
	return rc;
}

/* OpenSRS does not want the job as it is: about rights, or that there is one, another look says
 * more. */
static bool is_refusal(int number)
{
	return number == OPENSRS_MISSING || number == OPENSRS_ALIAS ||
	       number == OPENSRS_MALFORMED || number == OPENSRS_ATTRIBUTE;
}

/* An answer that was lost on the way is no refusal: the job may be there. */
static int not_added(struct batch *b, int number, struct err *e)
{
	struct err ignored = { 0 };
	bool found;

	if (number == OPENSRS_LOGIN || find_job_surely(b, &found, &ignored) < 0)
		return -1;
	if (found)
		return 0;
	if (!is_refusal(number))
		return -1;
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended)
			fail(b, &b->all[i], e->text);
	return 0;
}

static int begin(struct batch *b, struct err *e)
{
	bool found;
	int number;

	if (find_job(b, &found, e) < 0 || look_at_all(b, found, e) < 0)
		return -1;
	if (found)
		return 0;
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended)
			tell(b, &b->all[i], PULL_RUNNING, "", "");
	return add_job(b, &number, e) == 0 ? 0 : not_added(b, number, e);
}

/* ---- following */

static void judge_end(const struct batch *b, struct one *o)
{
	const struct pull_status *s = &o->seen.now;
	char text[ERR_TEXT_MAX];

	if (s->failed == 0 && s->critical == 0) {
		end(b, o, PULL_DONE, "", "");
		return;
	}
	snprintf(
		text, sizeof text,
		"OpenSRS's tool gave up on %lld messages, with %lld critical errors, at %lld of "
		"%lld",
		(long long)s->failed, (long long)s->critical,
		(long long)(s->migrated + s->skipped), (long long)s->total);
	fail(b, o, text);
}

static void tell_work(const struct batch *b, const struct one *o)
{
	char text[80] = "";

	if (o->seen.now.critical)
		snprintf(text, sizeof text, "the tool tells of %lld critical errors",
			 (long long)o->seen.now.critical);
	else if (o->seen.now.there && !o->seen.now.sound)
		snprintf(text, sizeof text, "the tool's figures contradict each other");
	tell(b, o, PULL_RUNNING, text, "");
}

static void take(const struct batch *b, struct one *o, const json_t *answer)
{
	if (!pull_seen_take(&o->seen, answer, o->u->login[SIDE_OLD]))
		return;
	if (pull_seen_ended(&o->seen, o->folders.wanted, o->folders.skip))
		judge_end(b, o);
	else if (o->seen.steady == 1)
		tell_work(b, o);
}

static bool only_missing_left(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended && b->all[i].seen.now.there)
			return false;
	return true;
}

static void end_missing_one(const struct batch *b, struct one *o)
{
	if (pull_others_ended(&b->others))
		fail(b, o,
		     "OpenSRS's tool did not take the user into its job; remedy: see that "
		     "the account is there (`mailferry provision`)");
	else if (o->seen.steady == PULL_UNSURE_LOOKS)
		tell(b, o, PULL_RUNNING,
		     "OpenSRS's tool did not take the user into its job, or has not come to it "
		     "yet: it is not known to be through with others of the job, who are not "
		     "followed any more",
		     "");
}

/* Who is not in it when all others are through was not taken. Of others who cannot be followed
 * nobody knows that: -1, they are tried again with the next worker. */
static int end_missing(struct batch *b, struct err *e)
{
	if (!only_missing_left(b))
		return 0;
	for (size_t i = 0; i < b->count; i++) {
		if (b->all[i].ended || b->all[i].seen.steady < PULL_UNSURE_LOOKS)
			continue;
		if (b->job->partial)
			return err_set(
				e, ERR_TEMP,
				"OpenSRS's tool did not take the user into its job, or "
				"has not come to it yet; remedy: `mailferry why` of the "
				"job's other users names what is missing to follow them");
		end_missing_one(b, &b->all[i]);
	}
	return 0;
}

/* -1: the job may be there all the same. */
static int is_absent(struct batch *b, struct err *e)
{
	bool found;

	if (list_has_job(b, &found, e) < 0)
		return -1;
	if (found)
		return err_set(
			e, ERR_PROTOCOL,
			"OpenSRS lists the job, and says that there is none; remedy: "
			"it is asked again, and where that does not help, see the job in "
			"the control panel");
	if (++b->absent < PULL_UNSURE_LOOKS)
		return 0;
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended)
			fail(b, &b->all[i],
			     "OpenSRS knows no such job any more; remedy: see in the control panel "
			     "that it is over (each administrator, opensrs.user, sees only jobs "
			     "of his own)");
	return 0;
}

static int take_all(struct batch *b, const json_t *answer, struct err *e)
{
	if (!pull_status_lists_all(answer))
		return err_set(
			e, ERR_PROTOCOL,
			"OpenSRS's answer about the job lacks users, or cannot be read; "
			"remedy: it is asked again, and where that does not help, see the "
			"job in the control panel");
	b->absent = 0;
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended)
			take(b, &b->all[i], answer);
	pull_others_take(&b->others, answer, b->job);
	return end_missing(b, e);
}

/* -1: it could not be asked; it is asked again. */
static int look_at_job(struct batch *b, struct err *e)
{
	struct opensrs_call c = opensrs_call(OPENSRS_MIGRATION_STATUS, b->job->job);
	int rc = opensrs_do(b->p->api, &c, e);

	if (rc == 0)
		rc = take_all(b, c.answer, e);
	else if (c.number == OPENSRS_MISSING)
		rc = is_absent(b, e);
	opensrs_call_release(&c);
	return rc;
}

static bool is_ended(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended)
			return false;
	return true;
}

static bool stands_still(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->all[i].ended && b->all[i].seen.steady <= PULL_MISSING_LOOKS)
			return false;
	return true;
}

/* Whom this worker could say to be through, it has by now: the next one may be able to follow
 * those whom this one cannot. */
static int try_others_again(const struct batch *b, struct err *e)
{
	if (!b->job->partial || !stands_still(b))
		return 0;
	return err_set(e, ERR_TEMP,
		       "the job stands still, and others in it could not be followed: they are "
		       "tried again");
}

/* Failures on the way were tried again by opensrs_do(); a look that stays without an answer
 * ends this worker, and the next one goes on. */
static int follow(struct batch *b, struct err *e)
{
	while (!is_ended(b)) {
		if (look_at_job(b, e) < 0)
			return -1;
		if (is_ended(b))
			break;
		if (try_others_again(b, e) < 0)
			return -1;
		nap(b->job->poll_s);
	}
	return 0;
}

/* ---- the whole */

int pull_read_rules(struct job_pull *p, struct err *e)
{
	for (size_t i = 0; p->rules && i < p->count; i++)
		if (folder_rules_read(p->rules, p->users[i].user, p->users[i].wave,
				      &p->users[i].rules, e) < 0)
			return -1;
	return 0;
}

int pull_run(const struct pull *p, struct err *e)
{
	struct batch b = { .p = p, .job = &p->job->pull, .count = p->job->pull.count };
	int rc;

	b.all = mem_array(b.count, sizeof *b.all);
	for (size_t i = 0; i < b.count; i++)
		b.all[i].u = &b.job->users[i];
	rc = begin(&b, e);
	if (rc == 0)
		rc = follow(&b, e);
	for (size_t i = 0; i < b.count; i++) {
		pull_folders_release(&b.all[i].folders);
		pull_seen_release(&b.all[i].seen);
	}
	pull_others_release(&b.others);
	mem_free(&b.all);
	return rc;
}
