/*
 * What the engine counts: the table behind GET /metrics of its socket, and those who add to it.
 * What is the store's (users, waves, nodes) is told only by the engine at work, so that the sum
 * over all engines is right; a stand-by's are 0.
 */
#ifndef SYNC_TALLY_H
#define SYNC_TALLY_H

#include "common/metrics.h"
#include "sync/cutover.h"

enum tally_row {
	TALLY_USERS, /* AT(enum user_state) */
	TALLY_STUCK,
	TALLY_GO,
	TALLY_WAVES, /* AT(enum tally_wave) */
	TALLY_MESSAGES,
	TALLY_BYTES,
	TALLY_VERIFIED,
	TALLY_EXCEPTIONS,
	TALLY_WORKERS,
	TALLY_WORKERS_MAX,
	TALLY_LEASES,
	TALLY_QUEUED,
	TALLY_CUTOVERS_RUNNING,
	TALLY_RUNS,	   /* AT(enum job_kind, enum tally_end) */
	TALLY_RUN_SECONDS, /* AT(enum job_kind) */
	TALLY_COPIED,	   /* AT(enum job_kind) */
	TALLY_COPIED_BYTES,
	TALLY_ARRIVALS,
	TALLY_STRAYS,
	TALLY_CUTOVERS, /* AT(direction, enum cutover_end) */
	TALLY_UNDONE,	/* AT(enum undo_cause) */
	TALLY_HELD_SECONDS,
	TALLY_NODES,   /* AT(enum tally_node) */
	TALLY_ENGINES, /* AT(enum tally_engine) */
	TALLY_LEASE,
	TALLY_READY,
	TALLY_STORE_ERRORS,
	TALLY_OPEN_FDS,
	TALLY_MAX_FDS,
	TALLY_CPU_SECONDS,
	TALLY_RESIDENT_BYTES,
	TALLY_START_SECONDS,
	TALLY_ROWS
};

#define TALLY_KINDS 4 /* probe, pass, final, trailing: what the planner starts */

enum tally_wave { WAVE_LEFT, WAVE_MOVING, WAVE_MOVED, WAVE_PAUSED, TALLY_WAVE_STATES };
enum tally_end { RUN_OK, RUN_FAILED, RUN_DIED, TALLY_ENDS };
enum tally_node {
	NODE_SERVES,
	NODE_DRAINS,
	NODE_LEAVES,
	NODE_LAPSED,
	NODE_GONE,
	TALLY_NODE_STATES
};
enum tally_engine { ENGINE_AT_WORK, ENGINE_STANDS_BY, ENGINE_SILENT, TALLY_ENGINE_STATES };

extern const struct metric_row tally_rows[TALLY_ROWS];

struct tally;
struct tally *tally_new(void);
void tally_free(struct tally **t);

/* A look through all users: they count once it has ended. */
void tally_users_begin(struct tally *t);
void tally_user(struct tally *t, const struct user *u);
void tally_users_end(struct tally *t);

/* A probe, pass or last delta has ended; r NULL: its worker died. */
void tally_run(struct tally *t, enum job_kind kind, const struct job_result *r,
	       int64_t took_ms);
void tally_cutover(struct tally *t, enum cutover_end end, const struct cutover_story *story);

/* What is looked up and not counted. */
struct tally_view {
	struct store *store;
	int workers, workers_max, leases, queued, cutovers;
	bool at_work, ready;
};
/* Prometheus text. What the store does not tell keeps its last value. */
void tally_write(struct tally *t, const struct tally_view *v, struct buf *out);

#endif
