/* Hides: the life of a worker process: one job in, events out, and nothing left behind. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "sync/audit_wire.h"
#include "sync/confine.h"
#include "sync/job_provision.h"
#include "sync/json_wipe.h"
#include "sync/new_login.h"
#include "sync/pace.h"
#include "sync/pass.h"
#include "sync/pull.h"
#include "sync/pulse.h"
#include "sync/token.h"
#include "sync/uidl.h"
#include "sync/validity.h"

#define PROGRESS_MS 250 /* at most so often */

struct worker_life {
	struct job job;
	struct opensrs *api;	  /* NULL: new is something else */
	struct accounts accounts; /* if the job needs the list */
	char note[PROVISION_TEXT_MAX];
	int64_t told_ms;
	struct log_about about;
};

/* ---- the two pipes */

static int write_out(struct buf *b)
{
	struct slice left = buf_slice(b);
	int rc = 0;

	while (left.n && rc == 0) {
		ssize_t n = write(STDOUT_FILENO, left.p, left.n);

		if (n > 0)
			left = (struct slice){ left.p + n, left.n - (size_t)n };
		else if (errno != EINTR)
			rc = -1;
	}
	buf_wipe(b);
	return rc;
}

/* One line from the engine, without its end; -1: it has gone, or sends nonsense. */
static int read_line(struct buf *line)
{
	char c;

	while (buf_len(line) < JOB_LINE_MAX) {
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		if (c == '\n')
			return 0;
		buf_add(line, &c, 1);
	}
	return -1;
}

static void send_event(const struct job_event *ev)
{
	struct buf out = { 0 };

	job_event_write(ev, &out);
	if (write_out(&out) < 0)
		_exit(1); /* nobody hears us: the engine is gone */
}

static void on_pulse(void)
{
	send_event(&(struct job_event){ .kind = JOB_EVENT_MOVING });
}

static void on_progress(const struct pass_progress *p, void *arg)
{
	struct worker_life *life = arg;
	struct job_event ev = { .kind = JOB_EVENT_PROGRESS,
				.done = p->done,
				.total = p->total,
				.messages = p->messages,
				.bytes = p->bytes };
	int64_t now = clock_mono_ms();

	if (now - life->told_ms < PROGRESS_MS)
		return;
	life->told_ms = now;
	snprintf(ev.folder, sizeof ev.folder, "%s", p->folder);
	send_event(&ev);
}

/* ---- the job */

static int get_tokens(struct job *j, struct err *e)
{
	for (int i = 0; i < SIDES; i++) {
		struct job_side *s = &j->side[i];

		if (s->token_command &&
		    token_get(s->token_command, s->login, j->io_s * 1000, &s->password, e) < 0)
			return err_wrap(e, "%s", side_name(s->which));
	}
	return 0;
}

/* ---- OpenSRS */

static void on_account(const struct provision_item *i, void *arg UNUSED)
{
	struct job_event ev = { .kind = JOB_EVENT_ACCOUNT, .item = job_account_json(i) };

	send_event(&ev);
	job_event_release(&ev);
}

static void on_token(const struct secret *token, int64_t until, void *arg UNUSED)
{
	const struct job_event ev = { .kind = JOB_EVENT_TOKEN, .token = *token, .until = until };

	send_event(&ev);
}

static void on_pull(const struct pull_item *i, void *arg UNUSED)
{
	struct job_event ev = { .kind = JOB_EVENT_PULL, .item = job_pull_item_json(i) };

	send_event(&ev);
	job_event_release(&ev);
}

static int run_pull(struct worker_life *life, struct job_result *out, struct err *e)
{
	const struct pull p = { .job = &life->job,
				.api = life->api,
				.about = &life->about,
				.fn = on_pull };

	out->ok = out->clean = true;
	return pull_run(&p, e);
}

/* The list, before the worker is confined. */
static int read_accounts(struct worker_life *life, struct err *e)
{
	const struct job *j = &life->job;

	if (!j->opensrs.on || !j->opensrs.accounts ||
	    (j->kind != JOB_PROVISION && !(j->kind == JOB_PROBE && j->opensrs.create)))
		return 0;
	return job_accounts_read(j, &life->accounts, j->kind == JOB_PROVISION ? on_account : NULL,
				 NULL, e);
}

/* The same, and a question to the resolver. */
static int prepare_pull(struct job_pull *p, struct err *e)
{
	return pull_read_rules(p, e) < 0 ? -1 : pull_check_address(p, e);
}

static int reach_opensrs(struct worker_life *life, struct err *e)
{
	const struct job *j = &life->job;

	if (!j->opensrs.on)
		return 0;
	if (opensrs_open(&life->api, &j->opensrs.access, e) < 0)
		return -1;
	return j->kind == JOB_PROBE && life->accounts.count
		       ? job_provision_user(j, &life->accounts, life->api, life->note, e)
		       : 0;
}

/* With what new lets us in; each that it refuses is followed by the next. */
static int open_first_lane(struct worker_life *life, struct lane *l, struct err *e)
{
	struct new_login n = { .job = &life->job,
			       .api = life->api,
			       .told = on_token,
			       .about = &life->about };

	return new_login_lane(&n, l, e);
}

static int await_go(void)
{
	struct job_event waiting = { .kind = JOB_EVENT_WAITING };
	struct buf line = { 0 };
	int rc;

	send_event(&waiting);
	rc = read_line(&line);
	if (rc == 0 && !slice_is(buf_slice(&line), "go"))
		rc = -1;
	buf_release(&line);
	return rc;
}

/* ---- unique ids of POP3 */

/* Whole lines, as many as a part may have. */
static struct slice next_part(struct slice map)
{
	struct slice part = { map.p, MIN(map.n, (size_t)STORE_UIDL_PART) };

	while (part.n && part.p[part.n - 1] != '\n')
		part.n--;
	return part;
}

static void send_uidl(const struct uidl_found *f)
{
	struct job_event ev = { .kind = JOB_EVENT_UIDL_PART };
	struct slice left = buf_slice(&f->map), part;

	for (; left.n; left = (struct slice){ left.p + part.n, left.n - part.n }) {
		part = next_part(left);
		ev.body = mem_strn(part.p, part.n);
		send_event(&ev);
		mem_free(&ev.body);
	}
	ev = (struct job_event){ .kind = JOB_EVENT_UIDL, .uidl = f->state };
	send_event(&ev);
}

/* When the mail is over, so that all of it has its place. */
static void find_uidl(struct pass *p)
{
	struct uidl_found found;

	if (!p->job->uidl)
		return;
	uidl_capture(p, &found);
	send_uidl(&found);
	uidl_found_release(&found);
}

/* Of the last delta to new: what a proxy may show of old's numbers. */
static int send_validity(const struct pass *p, struct err *e)
{
	struct job_event ev = { .kind = JOB_EVENT_VALIDITY };
	struct buf lines = { 0 };

	if (p->job->kind != JOB_FINAL || p->from != SIDE_OLD)
		return 0;
	if (validity_lines(p, &lines, e) < 0)
		return -1;
	ev.body = mem_strn(buf_slice(&lines).p, buf_len(&lines));
	send_event(&ev);
	job_event_release(&ev);
	buf_release(&lines);
	return 0;
}

static int run_pass(struct worker_life *life, struct pass *p, struct err *e)
{
	int rc = journal_open(&p->journal, life->job.journal, e);

	if (rc == 0 && life->job.kind == JOB_FINAL && await_go() < 0)
		rc = err_set(e, ERR_TEMP, "the engine took the last delta back");
	if (rc == 0)
		rc = pass_run(p, e);
	if (rc == 0)
		rc = send_validity(p, e);
	if (rc == 0)
		find_uidl(p);
	journal_close(&p->journal);
	return rc;
}

/* ---- a comparison */

static void send_item(json_t *item)
{
	struct job_event ev = { .kind = JOB_EVENT_AUDIT, .item = item };

	send_event(&ev);
	job_event_release(&ev);
}

static void on_folder(const char *old_name, const char *new_name, const struct audit_totals *t,
		      void *arg UNUSED)
{
	send_item(audit_wire_folder(old_name, new_name, t));
}

static void on_found(enum audit_finding f, const char *folder, const uint32_t uid[SIDES],
		     void *arg UNUSED)
{
	send_item(audit_wire_finding(f, folder, uid));
}

static int run_audit(const struct job *job, struct mailbox *const box[SIDES],
		     struct job_result *out, struct err *e)
{
	struct audit_user a = { .box = { box[SIDE_OLD], box[SIDE_NEW] },
				.level = job->level,
				.sample = job->sample,
				.rules = &job->folders,
				.skip_deleted = job->skip_deleted,
				.on_folder = on_folder,
				.on_found = on_found };

	if (audit_user(&a, e) < 0)
		return -1;
	out->ok = true;
	out->clean = audit_grade(a.totals.found) == GRADE_PERFECT;
	out->messages = a.totals.messages[SIDE_OLD];
	out->bytes = a.totals.bytes[SIDE_OLD];
	out->verified = a.totals.same;
	return 0;
}

static struct job_result probed(const struct worker_life *life, const struct lane *l)
{
	struct job_result r = { .ok = true, .clean = true };
	const char *warning = mailbox_warning(l->box[SIDE_OLD]), *note = life->note;

	snprintf(r.text, sizeof r.text, "%s%s%s%s%.250s", *warning ? "old: " : "", warning,
		 *warning && *note ? "; " : "", *note ? "account: " : "", note);
	return r;
}

static int run_provision(struct worker_life *life, struct job_result *out, struct err *e)
{
	out->ok = out->clean = true;
	return job_provision(&life->job, &life->accounts, life->api, on_account, NULL, e);
}

static void do_job(struct worker_life *life, struct job_result *out)
{
	enum side from = life->job.from;
	struct pass p = { .job = &life->job,
			  .from = from,
			  .to = from == SIDE_OLD ? SIDE_NEW : SIDE_OLD,
			  .lanes = { .job = &life->job },
			  .on_progress = on_progress,
			  .arg = life };
	int64_t start = clock_mono_ms();
	struct err e = { 0 };
	int rc = get_tokens(&life->job, &e);

	/* By POP3 the user's own sessions, which are ending now, lock the mail. */
	life->job.side[from].late = life->job.kind == JOB_FINAL;
	if (rc == 0)
		rc = read_accounts(life, &e);
	if (rc == 0 && life->job.kind == JOB_PULL)
		rc = prepare_pull(&life->job.pull, &e);
	if (rc == 0)
		rc = confine(&life->job, &e);
	if (rc == 0)
		rc = reach_opensrs(life, &e);
	if (rc == 0 && life->job.kind != JOB_PROVISION && life->job.kind != JOB_PULL)
		rc = open_first_lane(life, &p.lanes.at[0], &e);
	if (rc == 0 && life->job.kind == JOB_PROVISION)
		rc = run_provision(life, &p.result, &e);
	else if (rc == 0 && life->job.kind == JOB_PULL)
		rc = run_pull(life, &p.result, &e);
	else if (rc == 0 && life->job.kind == JOB_PROBE)
		p.result = probed(life, &p.lanes.at[0]);
	else if (rc == 0 && life->job.kind == JOB_AUDIT)
		rc = run_audit(&life->job, p.lanes.at[0].box, &p.result, &e);
	else if (rc == 0)
		rc = run_pass(life, &p, &e);
	*out = p.result;
	if (rc < 0) {
		out->ok = out->clean = false;
		out->kind = e.kind;
		out->later = e.later;
		snprintf(out->text, sizeof out->text, "%s", e.text);
	}
	out->took_ms = clock_mono_ms() - start;
	lanes_close(&p.lanes);
	opensrs_close(&life->api);
	accounts_release(&life->accounts);
}

static int take_job(struct worker_life *life)
{
	struct buf line = { 0 };
	struct err e = { 0 };
	int rc = read_line(&line);

	if (rc < 0)
		log_error(&life->about, "no job on standard input");
	else if (job_parse(buf_slice(&line), &life->job, &e) < 0) {
		log_error(&life->about, "job: %s", e.text);
		rc = -1;
	}
	buf_wipe(&line);
	return rc;
}

int job_main(void)
{
	struct worker_life life = { .about = { .what = "worker", .doing = "login" } };
	struct job_event ev = { .kind = JOB_EVENT_RESULT };
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, 2); /* lanes wait for servers, not for memory */
	log_open("worker", LOG_INFO);
	pace_attach();
	if (take_job(&life) < 0)
		return 1;
	json_wipe_freed(); /* accounts and their answers hold secrets */
	life.about.user = life.job.user;
	pace_user(life.job.user);
	pulse_start(on_pulse);
	if (life.job.kind == JOB_FINAL)
		pace_urgent();
	do_job(&life, &ev.result);
	send_event(&ev);
	job_release(&life.job);
	return 0;
}
