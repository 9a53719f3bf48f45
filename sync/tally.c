/* Hides: names, help texts and label values of the engine's metrics, and their sums. */
#include "sync/tally.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/process_use.h"
#include "common/store_engine.h"
#include "common/store_node.h"
#include "common/store_wave.h"
#include "sync/names.h"

#define WAVES_REST \
	50 /* after counting waves took n ms, the next comes no sooner than n × this */

static const char *const user_states[] = {
	[USER_PENDING] = "pending",	[USER_PROVISIONED] = "provisioned",
	[USER_SYNCING] = "syncing",	[USER_READY] = "ready",
	[USER_FREEZING] = "freezing",	[USER_FINALIZING] = "finalizing",
	[USER_TRAILING] = "trailing",	[USER_DONE] = "done",
	[USER_RETURNING] = "returning",
};
static const char *const wave_states[] = {
	[WAVE_LEFT] = "left",
	[WAVE_MOVING] = "moving",
	[WAVE_MOVED] = "moved",
	[WAVE_PAUSED] = "paused",
};
static const char *const kinds[] = {
	[JOB_PROBE] = "probe",
	[JOB_PASS] = "pass",
	[JOB_FINAL] = "final",
	[JOB_TRAILING] = "trailing",
};
static const char *const run_ends[] = {
	[RUN_OK] = "ok",
	[RUN_FAILED] = "failed",
	[RUN_DIED] = "died",
};
static const char *const directions[] = { [DIR_FORWARD] = "forward", [DIR_BACK] = "back" };
static const char *const cutover_ends[] = {
	[CUTOVER_FLIPPED] = "flipped",
	[CUTOVER_UNDONE] = "undone",
	[CUTOVER_NOT_BEGUN] = "not_begun",
	[CUTOVER_LOST] = "lost",
};
static const char *const causes[] = {
	[UNDO_NODES] = "nodes",		[UNDO_SLOW_DELTA] = "slow_delta",
	[UNDO_DELTA] = "delta",		[UNDO_GATE] = "gate",
	[UNDO_MOVED] = "moved",		[UNDO_STORE] = "store",
	[UNDO_CANCELLED] = "cancelled",
};
static const char *const node_states[] = {
	[NODE_SERVES] = "serves", [NODE_DRAINS] = "drains", [NODE_LEAVES] = "leaves",
	[NODE_LAPSED] = "lapsed", [NODE_GONE] = "gone",
};
static const char *const engine_states[] = {
	[ENGINE_AT_WORK] = "at_work",
	[ENGINE_STANDS_BY] = "stands_by",
	[ENGINE_SILENT] = "silent",
};
_Static_assert(COUNT(user_states) == USER_STATES && COUNT(wave_states) == TALLY_WAVE_STATES &&
		       COUNT(kinds) == TALLY_KINDS && COUNT(run_ends) == TALLY_ENDS &&
		       COUNT(directions) == DIRECTIONS && COUNT(cutover_ends) == CUTOVER_ENDS &&
		       COUNT(causes) == UNDO_CAUSES &&
		       COUNT(node_states) == TALLY_NODE_STATES &&
		       COUNT(engine_states) == TALLY_ENGINE_STATES,
	       "a label's value for every member of its enum");

/* A pass takes seconds to hours; a hold is over within its budget. */
static const double run_seconds[] = { 1, 5, 15, 60, 300, 900, 3600, 14400, 43200 };
static const double held_seconds[] = { 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 60 };

const struct metric_row tally_rows[TALLY_ROWS] = {
	[TALLY_USERS] = METRIC_ROW(GAUGE, "mailferry_users", "Users who are imported.",
				   METRIC_LABEL("state", user_states)),
	[TALLY_STUCK] = METRIC_ROW(GAUGE, "mailferry_stuck_users",
				   "Users whom a person has to look after."),
	[TALLY_GO] = METRIC_ROW(GAUGE, "mailferry_go_users",
				"Users who have the go and are not moved yet."),
	[TALLY_WAVES] = METRIC_ROW(GAUGE, "mailferry_waves",
				   "Waves: nobody is on new, some are, all are; or paused.",
				   METRIC_LABEL("state", wave_states)),
	[TALLY_MESSAGES] = METRIC_ROW(GAUGE, "mailferry_mailbox_messages",
				      "Messages in users' mailboxes, by their last pass."),
	[TALLY_BYTES] = METRIC_ROW(GAUGE, "mailferry_mailbox_bytes", "And their bytes."),
	[TALLY_VERIFIED] = METRIC_ROW(GAUGE, "mailferry_verified_messages",
				      "Of them, those that were compared on both sides."),
	[TALLY_EXCEPTIONS] = METRIC_ROW(GAUGE, "mailferry_exception_messages",
					"Messages that could not be copied."),
	[TALLY_WORKERS] = METRIC_ROW(GAUGE, "mailferry_workers", "Workers that run now."),
	[TALLY_WORKERS_MAX] =
		METRIC_ROW(GAUGE, "mailferry_workers_max", "Workers that may run at once."),
	[TALLY_LEASES] = METRIC_ROW(
		GAUGE, "mailferry_leases",
		"Users whose pass an engine of another host makes, or is offered."),
	[TALLY_QUEUED] =
		METRIC_ROW(GAUGE, "mailferry_queued_users", "Users who wait for a worker."),
	[TALLY_CUTOVERS_RUNNING] =
		METRIC_ROW(GAUGE, "mailferry_cutovers_running", "Cutovers under way."),
	[TALLY_RUNS] =
		METRIC_ROW(COUNTER, "mailferry_passes_total",
			   "Probes, passes, last deltas and trailing passes that have ended.",
			   METRIC_LABEL("kind", kinds), METRIC_LABEL("result", run_ends)),
	[TALLY_RUN_SECONDS] = METRIC_TIMES("mailferry_pass_seconds", run_seconds,
					   "How long they took.", METRIC_LABEL("kind", kinds)),
	[TALLY_COPIED] = METRIC_ROW(COUNTER, "mailferry_copied_messages_total",
				    "Messages copied by passes that ended well.",
				    METRIC_LABEL("kind", kinds)),
	[TALLY_COPIED_BYTES] = METRIC_ROW(COUNTER, "mailferry_copied_bytes_total",
					  "And their bytes.", METRIC_LABEL("kind", kinds)),
	[TALLY_ARRIVALS] = METRIC_ROW(
		COUNTER, "mailferry_trailing_arrivals_total",
		"Messages that arrived on old after the move and were brought over."),
	[TALLY_STRAYS] = METRIC_ROW(COUNTER, "mailferry_strays_total",
				    "Changes on old after the move, past the proxy."),
	[TALLY_CUTOVERS] = METRIC_ROW(
		COUNTER, "mailferry_cutovers_total", "Cutovers that have ended.",
		METRIC_LABEL("direction", directions), METRIC_LABEL("result", cutover_ends)),
	[TALLY_UNDONE] = METRIC_ROW(COUNTER, "mailferry_cutovers_undone_total",
				    "Cutovers undone, by what they failed on.",
				    METRIC_LABEL("cause", causes)),
	[TALLY_HELD_SECONDS] =
		METRIC_TIMES("mailferry_cutover_held_seconds", held_seconds,
			     "From freeze to flip or undo: how long users were held.",
			     { "result", cutover_ends, CUTOVER_UNDONE + 1 }),
	[TALLY_NODES] = METRIC_ROW(
		GAUGE, "mailferry_nodes",
		"Proxy nodes that share the store; lapsed: silent, and still counts.",
		METRIC_LABEL("state", node_states)),
	[TALLY_ENGINES] =
		METRIC_ROW(GAUGE, "mailferry_engines", "Engines that share the store.",
			   METRIC_LABEL("state", engine_states)),
	[TALLY_LEASE] = METRIC_ROW(GAUGE, "mailferry_engine_lease",
				   "1 while this engine is at work, 0 while it stands by."),
	[TALLY_READY] =
		METRIC_ROW(GAUGE, "mailferry_engine_ready", "1 while /readyz says yes."),
	[TALLY_STORE_ERRORS] = METRIC_ROW(COUNTER, "mailferry_store_errors_total",
					  "Errors of the store's database."),
	[TALLY_OPEN_FDS] = METRIC_ROW(GAUGE, "process_open_fds", "Descriptors in use."),
	[TALLY_MAX_FDS] =
		METRIC_ROW(GAUGE, "process_max_fds", "Descriptors this process may use."),
	[TALLY_CPU_SECONDS] =
		METRIC_ROW(COUNTER, "process_cpu_seconds_total", "Processor time used."),
	[TALLY_RESIDENT_BYTES] =
		METRIC_ROW(GAUGE, "process_resident_memory_bytes", "Memory in use."),
	[TALLY_START_SECONDS] = METRIC_ROW(GAUGE, "process_start_time_seconds",
					   "When the process started, since 1970."),
};

struct sums {
	int64_t states[USER_STATES], stuck, go, messages, bytes, verified, exceptions;
};

struct tally {
	struct metrics *metrics;
	struct sums sums;  /* of the look under way */
	int64_t waves_due; /* clock_mono_ms() */
};

struct tally *tally_new(void)
{
	struct tally *t = mem_new(sizeof *t);

	t->metrics = metrics_new(tally_rows, TALLY_ROWS);
	metrics_set(t->metrics, TALLY_START_SECONDS, AT_ALL, (double)clock_real_ms() / 1000);
	return t;
}

void tally_free(struct tally **t)
{
	if (!*t)
		return;
	metrics_free(&(*t)->metrics);
	mem_free(t);
}

static void set(struct tally *t, enum tally_row row, double value)
{
	metrics_set(t->metrics, row, AT_ALL, value);
}

/* ---- users */

void tally_users_begin(struct tally *t)
{
	t->sums = (struct sums){ 0 };
}

void tally_user(struct tally *t, const struct user *u)
{
	struct sums *s = &t->sums;

	s->states[u->state]++;
	s->stuck += u->stuck_reason && *u->stuck_reason;
	s->go += u->go;
	s->messages += u->progress.messages;
	s->bytes += u->progress.bytes;
	s->verified += u->progress.verified;
	s->exceptions += u->progress.exceptions;
}

void tally_users_end(struct tally *t)
{
	const struct sums *s = &t->sums;

	for (unsigned i = 0; i < USER_STATES; i++)
		metrics_set(t->metrics, TALLY_USERS, AT(i), (double)s->states[i]);
	set(t, TALLY_STUCK, (double)s->stuck);
	set(t, TALLY_GO, (double)s->go);
	set(t, TALLY_MESSAGES, (double)s->messages);
	set(t, TALLY_BYTES, (double)s->bytes);
	set(t, TALLY_VERIFIED, (double)s->verified);
	set(t, TALLY_EXCEPTIONS, (double)s->exceptions);
}

/* ---- what happens */

void tally_run(struct tally *t, enum job_kind kind, const struct job_result *r, int64_t took_ms)
{
	unsigned end = !r ? RUN_DIED : r->ok ? RUN_OK : RUN_FAILED;

	metrics_add(t->metrics, TALLY_RUNS, AT(kind, end), 1);
	metrics_observe(t->metrics, TALLY_RUN_SECONDS, AT(kind), (double)took_ms / 1000);
	if (end != RUN_OK)
		return;
	metrics_add(t->metrics, TALLY_COPIED, AT(kind), (double)r->copied);
	metrics_add(t->metrics, TALLY_COPIED_BYTES, AT(kind), (double)r->copied_bytes);
	metrics_add(t->metrics, TALLY_ARRIVALS, AT_ALL, (double)r->arrived);
	metrics_add(t->metrics, TALLY_STRAYS, AT_ALL, (double)r->strays);
}

void tally_cutover(struct tally *t, enum cutover_end end, const struct cutover_story *story)
{
	metrics_add(t->metrics, TALLY_CUTOVERS, AT(story->direction, end), 1);
	if (end == CUTOVER_UNDONE)
		metrics_add(t->metrics, TALLY_UNDONE, AT(story->cause), 1);
	if (end == CUTOVER_UNDONE || end == CUTOVER_FLIPPED)
		metrics_observe(t->metrics, TALLY_HELD_SECONDS, AT(end),
				(double)story->held_ms / 1000);
}

/* ---- looked up */

static int on_node(const struct node_row *n, void *arg)
{
	struct tally *t = arg;
	unsigned state = !n->counts	  ? NODE_GONE
			 : n->lapsed	  ? NODE_LAPSED
			 : n->leaving	  ? NODE_LEAVES
			 : n->drain_until ? NODE_DRAINS
					  : NODE_SERVES;

	metrics_add(t->metrics, TALLY_NODES, AT(state), 1);
	return 0;
}

static int on_engine(const struct engine_row *g, void *arg)
{
	struct tally *t = arg;
	unsigned state = g->active   ? ENGINE_AT_WORK
			 : g->silent ? ENGINE_SILENT
				     : ENGINE_STANDS_BY;

	metrics_add(t->metrics, TALLY_ENGINES, AT(state), 1);
	return 0;
}

struct wave_look {
	struct tally *tally;
	struct store *store;
	struct names paused;
	struct err e;
};

static int on_timetable(const struct timetable *t, void *arg)
{
	struct wave_look *l = arg;

	return t->is_wave && t->paused ? names_add(&l->paused, t->name, &l->e) : 0;
}

static int on_wave(const char *name, void *arg)
{
	struct wave_look *l = arg;
	struct wave_count n;
	unsigned state;

	if (store_wave_count(l->store, name, 0, &n, &l->e) < 0)
		return -1;
	state = n.on_new == n.users	      ? WAVE_MOVED
		: names_has(&l->paused, name) ? WAVE_PAUSED
		: n.on_new > 0 || n.held > 0  ? WAVE_MOVING
					      : WAVE_LEFT;
	metrics_add(l->tally->metrics, TALLY_WAVES, AT(state), n.users > 0);
	return 0;
}

static int look_at_waves(struct tally *t, struct store *st, struct err *e)
{
	struct wave_look l = { .tally = t, .store = st };
	int64_t begun = clock_mono_ms();
	int rc;

	if (begun < t->waves_due)
		return 0;
	metrics_clear(t->metrics, TALLY_WAVES);
	rc = store_timetables_each(st, on_timetable, &l, &l.e);
	if (rc >= 0)
		rc = store_waves_each(st, on_wave, &l, &l.e);
	names_release(&l.paused);
	*e = l.e;
	t->waves_due = clock_mono_ms() + (clock_mono_ms() - begun) * WAVES_REST;
	return rc;
}

static int look_at_store(struct tally *t, struct store *st, struct err *e)
{
	metrics_clear(t->metrics, TALLY_NODES);
	metrics_clear(t->metrics, TALLY_ENGINES);
	if (store_nodes_each(st, on_node, t, e) < 0 ||
	    store_engines_each(st, on_engine, t, e) < 0)
		return -1;
	return look_at_waves(t, st, e);
}

static void look_at_process(struct tally *t)
{
	struct process_use u = process_use();

	set(t, TALLY_OPEN_FDS, (double)process_descriptors());
	set(t, TALLY_MAX_FDS, u.descriptors_max);
	set(t, TALLY_CPU_SECONDS, u.cpu_s);
	set(t, TALLY_RESIDENT_BYTES, u.resident_bytes);
}

void tally_write(struct tally *t, const struct tally_view *v, struct buf *out)
{
	struct err e = { 0 };

	if (v->at_work && look_at_store(t, v->store, &e) < 0)
		log_error(NULL, "metrics: %s", e.text);
	look_at_process(t);
	set(t, TALLY_WORKERS, v->workers);
	set(t, TALLY_WORKERS_MAX, v->workers_max);
	set(t, TALLY_LEASES, v->leases);
	set(t, TALLY_QUEUED, v->queued);
	set(t, TALLY_CUTOVERS_RUNNING, v->cutovers);
	set(t, TALLY_LEASE, v->at_work);
	set(t, TALLY_READY, v->ready);
	set(t, TALLY_STORE_ERRORS, (double)store_failures(v->store));
	metrics_write(t->metrics, out);
}
