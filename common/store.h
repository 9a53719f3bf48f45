/*
 * The store: the only interface between the proxy's nodes and the sync engine, and what
 * survives any crash. Rows, and the few operations on them that must be atomic. Every write is
 * durable when its call returns (SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE).
 *
 * A handle belongs to one thread. Calls may wait for other writers up to STORE_BUSY_MS; the
 * proxy's event loop therefore never calls them, its follower thread does.
 *
 * Fallible calls return 0, or -1 with *e set (kind ERR_STORE, or ERR_INPUT where a row from
 * outside was at fault); finders return 1 found, 0 none, -1 error.
 *
 * Callbacks: those that get a struct user may call anything of the store, moves included. All
 * others run inside an open read and must not write through the same handle (that is a bug, and
 * ends us).
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include "common/buf.h"
#include "common/err.h"
#include "common/place.h"
#include "common/user_state.h"

#define STORE_BUSY_MS	     5000
#define STORE_SCHEMA_VERSION 20
#define STORE_ID_MAX	     33	  /* hex and a NUL */
#define STORE_NAME_MAX	     320  /* bytes of a login name: 64 @ 255 (RFC 5321 4.5.3.1) */
#define STORE_LEASE_MS	     5000 /* a node's lease; renewed every STORE_RENEW_MS */
#define STORE_RENEW_MS	     1000
#define STORE_UNDOS_STUCK    3 /* user_move.tries where none is given */
#define STORE_FENCE_MS \
	60000 /* only this long after its last renewal a silent node counts as gone */
#define STORE_ANSWERS_MS 86400000 /* answers of nodes are kept this long */
#define STORE_NUDGES	 "nudge"  /* folder of the nudge sockets, in run.dir */
#define STORE_PG_CHANNEL                                                    \
	"mailferry_changes" /* where PostgreSQL says that something changed \
			     */

struct store;

struct store_opts {
	const char *path; /* of the SQLite file; its folder must exist */
	const char *url;  /* or: of a PostgreSQL server, as libpq takes it; NULL: the file */
	bool create;	  /* may make a new store; else a missing or empty one is an error */
	const char *nudge_dir;	   /* where followers listen for nudges; NULL: no nudging */
	const struct place *place; /* of nodes and engines that join by it; NULL: nowhere */
};

/* Can libpq read it, and is no password in it? ERR_INPUT says what is wrong. */
int store_url_check(const char *url, struct err *e) MUST_CHECK;

int store_open(struct store **out, const struct store_opts *o, struct err *e) MUST_CHECK;
void store_close(struct store **st);

/* The clock that hold_until, leases and all times in rows are measured by. */
int64_t store_now_ms(struct store *st);
const char *store_id(const struct store *st); /* fixed at creation; borrowed */
int store_last_change(struct store *st, int64_t *out, struct err *e) MUST_CHECK;
/* Of the database, as this handle has met them so far. */
int64_t store_failures(const struct store *st);

/*
 * Tells all followers that something changed: an empty datagram to every socket in nudge_dir.
 * Called by the store itself after each write they care about. Never blocks, never fails: it is
 * only a hint.
 */
void store_nudge(struct store *st);
/*
 * For a follower: a bound datagram socket nudge_dir/NAME, non-blocking; readable means "look
 * now". With a url the store's own notifications, those of other hosts too, arrive there as
 * well. The caller owns and closes it. Of the options only url and nudge_dir count.
 */
int store_nudge_listen(const struct store_opts *o, const char *name, int *fd,
		       struct err *e) MUST_CHECK;
/* Swallows what is waiting; to be called before looking, so that no nudge is missed. */
void store_nudge_drain(int fd);

/* ---- users */

struct user {
	char *name;
	char *login[SIDES];
	char *password_file[SIDES]; /* NULL: none, a master user logs in */
	char *wave;
	enum user_state state;
	enum direction direction;
	int64_t change, epoch, hold_until, state_since;
	int64_t flipped_at; /* the last flip, in whichever direction; 0: none yet */
	bool go;
	int attempts; /* passes and probes failed in a row */
	int undos;    /* cutovers undone since the last flip */
	int64_t next_try;
	char *stuck_reason;
	/* what the engine last wrote with store_user_progress() */
	struct progress {
		int64_t passes, pass_ended, pass_took;
		bool pass_clean;
		char *pass_error;   /* "" or why the last pass failed */
		char *quota;	    /* "" or why the new mailbox has no room */
		int64_t not_before; /* a server wants to be left alone until then; 0: no */
		int64_t messages, copied, verified, exceptions, bytes, last_arrival;
		/* changes on the side that was left, after the flip: past the proxy */
		int64_t strays, last_stray;
	} progress;
};

void user_release(struct user *u); /* frees what is inside and zeroes it */

int store_user_get(struct store *st, const char *name, struct user *out,
		   struct err *e) MUST_CHECK;

/* Whom a list is about. */
enum user_only {
	USER_ONLY_ANY,
	USER_ONLY_STUCK,
	USER_ONLY_FAILING,    /* the last try failed, and another one follows */
	USER_ONLY_EXCEPTIONS, /* with messages that could not be copied */
	USER_ONLY_GO,
	USER_ONLY_KINDS
};
struct user_filter {	  /* zeroed: everybody, by name */
	const char *wave; /* NULL: any */
	int state;	  /* with has_state */
	bool has_state;
	const char *part; /* of the name, in whichever case; NULL: any */
	enum user_only only;
	const char *after; /* names greater than this, for paging */
	int limit;	   /* 0: all */
};

/* Calls on_user for each; it may keep nothing of *u. Nonzero from on_user stops and is
 * returned. */
typedef int store_user_fn(const struct user *u, void *arg);
int store_users_each(struct store *st, const struct user_filter *f, store_user_fn *on_user,
		     void *arg, struct err *e) MUST_CHECK;
/* Those between freeze and verdict, by name, the first of them if they are very many. */
int store_users_held(struct store *st, store_user_fn *on_user, void *arg,
		     struct err *e) MUST_CHECK;

typedef int store_alias_fn(const char *alias, const char *name, void *arg);
int store_aliases_each(struct store *st, store_alias_fn *on_alias, void *arg,
		       struct err *e) MUST_CHECK;

struct user_import {
	const char *name, *login[SIDES], *password_file[SIDES], *wave;
	const char *const
		*aliases; /* all of them, NULL-terminated; NULL: leave them as they are */
	unsigned line;	  /* in the operator's file, for errors */
};
struct import_count {
	unsigned added, changed, same;
};
/*
 * All rows or none, in one transaction. New names start in pending. Of a known name, logins,
 * password files and aliases may change while it is in pending … ready, the wave always;
 * another change of a user that is past ready is an ERR_INPUT that names line and remedy. So is
 * a name given twice, and an alias that is another user's name or alias. Running the same rows
 * twice changes nothing (count: same). Each new row and each changed one raises its `change`,
 * except where only the wave differs: no route depends on that, and it must not disturb a
 * cutover under way.
 */
int store_users_import(struct store *st, const struct user_import *rows, size_t n,
		       struct import_count *count, struct err *e) MUST_CHECK;

/* How many users are in each state, of one wave or (NULL) of all. */
int store_users_count(struct store *st, const char *wave, int64_t out[USER_STATES],
		      struct err *e) MUST_CHECK;
/* How many users with a name behind this @ are in each state. */
int store_domain_count(struct store *st, const char *domain, int64_t out[USER_STATES],
		       struct err *e) MUST_CHECK;
/* Domains of users; "", for each of the names that have none. fn may not ask the store. */
typedef int store_domain_fn(const char *domain, void *arg);
int store_domains_each(struct store *st, store_domain_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

/*
 * One move of one user: a compare-and-set of state and change, a new change, a history row, all
 *in one transaction. Illegal moves by user_state.h are a bug of the caller. to freezing hold_ms
 *> 0: hold_until = now + hold_ms, direction by user_freeze_direction(); a flip	   also needs
 *now < hold_until; raises epoch; flipped_at = now; go = 0, attempts = 0, next_try = 0; undos =
 *0; trailing:
 *last_arrival = now; an undo	   undos + 1, next_try = now + retry_ms (doubled for each undo
 *before); from the tries-th on, stuck_reason = why; all but undo  attempts = 0, stuck_reason =
 *''. Entering freezing removes acknowledgements and blockers of earlier cutovers; leaving
 *freezing and finalizing clears hold_until. A return (trailing or done → returning) clears go.
 */
struct user_move {
	const char *name;
	enum user_state from, to;
	int64_t change;	  /* must still be the user's */
	int64_t hold_ms;  /* to freezing */
	int64_t retry_ms; /* undo: base of the wait before the next try */
	int tries; /* undo: after so many in a row a person must look; 0: STORE_UNDOS_STUCK */
	const char *actor, *why;
};
enum move_result { MOVE_FAILED = -1, MOVE_LOST, MOVE_DONE };
/* MOVE_LOST: the row was no longer as expected (or, for a flip, its time was over): read it
 * again. Or the mover is an engine that has lost its lease. */
enum move_result store_user_move(struct store *st, const struct user_move *m,
				 int64_t *new_change, struct err *e) MUST_CHECK;

/*
 * Sets or withdraws the operator's go, of one user (name) or a whole wave; *n says how many
 * changed. Who is on the new server already (trailing, done, returning) is given none.
 */
int store_users_go(struct store *st, const char *name, const char *wave, bool go, int *n,
		   struct err *e) MUST_CHECK;
/*
 * Rollback: who is on the new server begins his way back, with the go for it; who is on the
 * way already is given the go again. why goes into the history. 1, or 0: the user is not on
 * new, or not known.
 */
int store_user_return(struct store *st, const char *name, const char *actor, const char *why,
		      struct err *e) MUST_CHECK;
/* The way back is taken back: the user is trailing again. 1, or 0: he is not returning, or at
 * its pause, or not known. */
int store_user_stay(struct store *st, const char *name, const char *actor,
		    struct err *e) MUST_CHECK;
/*
 * What a pass did. Without pass_error also attempts = 0, and stuck_reason = '' unless undone
 * cutovers put it there. last_arrival never goes back.
 */
int store_user_progress(struct store *st, const char *name, const struct progress *p,
			struct err *e) MUST_CHECK;
/* A pass or probe failed: attempts + 1, next_try = now + wait, stuck_reason = why ("" leaves
 * it). */
int store_user_failed(struct store *st, const char *name, int64_t wait_ms, const char *why,
		      struct err *e) MUST_CHECK;
/* The operator says "try again now": attempts = 0, undos = 0, next_try = 0, stuck_reason = ''.
 */
int store_user_retry(struct store *st, const char *name, struct err *e) MUST_CHECK;

/* What a person decided about the user without a move: a row of history whose two states are
 * the present one. */
int store_user_note(struct store *st, const char *name, const char *actor, const char *why,
		    struct err *e) MUST_CHECK;

/* ---- what nodes follow */

/*
 * Calls on_user with the present row of each user that changed after `after` (each once, by
 * change), and leaves the highest change seen in *last (unchanged if there was none).
 */
int store_changes_after(struct store *st, int64_t after, store_user_fn *on_user, void *arg,
			int64_t *last, struct err *e) MUST_CHECK;

struct history_row {
	int64_t id, at, change;
	const char *name, *from_state, *to_state, *direction, *actor, *why;
};
typedef int store_history_fn(const struct history_row *h, void *arg);
/* Rows with id > after: the first `limit` of them or, with newest, the last. */
struct history_filter {
	const char *name; /* one user; NULL: all */
	int64_t after;
	int limit; /* 0: none */
	bool newest;
};
/* Oldest first. */
int store_history_each(struct store *st, const struct history_filter *f, store_history_fn *fn,
		       void *arg, struct err *e) MUST_CHECK;
/* The highest id so far; 0 if there is no row. */
int store_history_last(struct store *st, int64_t *out, struct err *e) MUST_CHECK;

/* ---- is it still the same store? (store_trust.c; common/flips.h judges) */

struct store_look {
	bool gone; /* its tables, or its file, are not there any more */
	char id[STORE_ID_MAX];
	int64_t last_change;
};
/* As it is now, whatever it was when it was opened. */
int store_look(struct store *st, struct store_look *out, struct err *e) MUST_CHECK;

/* What a flip log knows of a user. */
struct flip_row {
	char *name;
	int64_t epoch, change; /* the epoch he has lived in since that change */
};
/*
 * For a store that has lost moves: whoever has a lower epoch than his row here says is put
 * where he lives, with a row of history; *moved says how many these were. Nothing is done while
 * somebody who lives on new is not in the store: he is to be imported first. Changes begin anew
 * beyond all that any node has seen, so that nodes read everything again. Harmless when
 * repeated.
 */
int store_rebuild(struct store *st, const struct flip_row *rows, size_t n, int64_t beyond,
		  int *moved, struct err *e) MUST_CHECK;

/* ---- nodes, leases, acknowledgements */

/*
 * Takes the node's name with a new incarnation (returned), drops rows of the one before
 * (sessions, acks, blockers), and starts a lease. The caller holds the node's lock file, so an
 * incarnation before of the same place is dead; while one of another place counts, the name is
 * its, and that is an ERR_INPUT with host and remedy. To be called BEFORE the users are read:
 * then every freeze is either seen in that reading or waits for this node.
 */
int store_node_join(struct store *st, const char *node, int64_t *incarnation,
		    struct err *e) MUST_CHECK;
/* Renews the lease; 0 if the row is no longer ours (another incarnation took it), 1 done, -1
 * error. */
int store_node_renew(struct store *st, const char *node, int64_t incarnation, int64_t seen,
		     struct err *e) MUST_CHECK;
/* What people are told about the node; on a row of another incarnation it does nothing. */
int store_node_mark(struct store *st, const char *node, int64_t incarnation, const char *build,
		    bool leaving, struct err *e) MUST_CHECK;
/* A clean end: removes the node and its rows. */
int store_node_leave(struct store *st, const char *node, int64_t incarnation,
		     struct err *e) MUST_CHECK;

/*
 * A node that is gone, and of which a person knows that it is off: nobody waits for it any
 * more. 1 done, 0 there is none of this name or it is not gone yet, -1.
 */
int store_node_forget(struct store *st, const char *node, struct err *e) MUST_CHECK;

struct node_row {
	const char *node, *build, *host;
	int64_t incarnation, started, lease_until, seen, sessions;
	int64_t drain_until; /* 0: it serves; else see store_drain() */
	int pid;
	bool leaving; /* takes no more sessions, ends with its last one */
	bool counts;  /* not yet gone: lease_until + STORE_FENCE_MS - STORE_LEASE_MS is ahead */
	bool lapsed;  /* its lease has run out */
};
typedef int store_node_fn(const struct node_row *n, void *arg);
int store_nodes_each(struct store *st, store_node_fn *fn, void *arg, struct err *e) MUST_CHECK;

/* ---- engines: one at work, any number of stand-bys (store_engine.c) */

#define STORE_ENGINE_LEASE_MS 10000 /* of the one at work; renewed every STORE_RENEW_MS */

/*
 * To be called every STORE_RENEW_MS: writes that the engine of this handle's place is there,
 * and asks for the lease. *epoch is what it holds, 0: nothing, it stands by. Renews what it
 * holds (and leaves 0 in *epoch where another one has taken over); else takes it if it has run
 * out. The caller holds the lock file of its place: a lease of the same place is a dead
 * engine's.
 *
 * From the first lease on every move and every result of work through this handle is written
 * only while the lease holds, compared in the same transaction: an engine that was stopped and
 * wakes late writes nothing.
 */
int store_engine_beat(struct store *st, int64_t *epoch, struct err *e) MUST_CHECK;
/* A clean end: the next one need not wait. */
int store_engine_leave(struct store *st, struct err *e) MUST_CHECK;

struct engine_row {
	const char *place, *host;
	int64_t started, seen;
	int pid;
	bool active; /* holds the lease */
	bool silent; /* not heard of for STORE_ENGINE_LEASE_MS */
};
typedef int store_engine_fn(const struct engine_row *g, void *arg);
/* The one at work first. */
int store_engines_each(struct store *st, store_engine_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

/* Of the certificates that clients see those that a node tells of. */
struct certificate_row {
	const char *name; /* "": the default */
	int64_t not_after;
};
/* Instead of all that the node has told before. */
int store_certificates_write(struct store *st, const char *node,
			     const struct certificate_row *rows, size_t n,
			     struct err *e) MUST_CHECK;
typedef int store_certificate_fn(const struct certificate_row *c, void *arg);
/* Of all nodes, each name once, the first to expire first. */
int store_certificates_each(struct store *st, store_certificate_fn *fn, void *arg,
			    struct err *e) MUST_CHECK;

/*
 * How long a server takes to answer live users' commands, as a node sees it: the median over
 * the last few seconds. The copier makes room when it grows.
 */
#define STORE_LATENCY_MS 5000 /* nodes write it this often */
struct latency_row {
	const char *node;
	enum side side;
	int64_t at, commands, typical_us;
};
int store_latency_write(struct store *st, const char *node, enum side side, int64_t commands,
			int64_t typical_us, struct err *e) MUST_CHECK;
typedef int store_latency_fn(const struct latency_row *l, void *arg);
int store_latency_each(struct store *st, store_latency_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

/*
 * A live user heard from this server, age_ms ago, that it is in trouble itself
 * (sync/trouble.h). Of each server the users who heard it last are kept, so many of them, each
 * once.
 */
#define STORE_ERROR_USERS 2
int store_server_error(struct store *st, enum side side, const char *name, int64_t age_ms,
		       struct err *e) MUST_CHECK;
struct server_error_row {
	enum side side;
	const char *name;
	int64_t at;
};
typedef int store_server_error_fn(const struct server_error_row *x, void *arg);
/* By side, the last one first. */
int store_server_errors_each(struct store *st, store_server_error_fn *fn, void *arg,
			     struct err *e) MUST_CHECK;

/* "Quiet for change": written once all sessions of the user on this node are quiet. */
int store_ack(struct store *st, const char *node, const char *name, int64_t change,
	      struct err *e) MUST_CHECK;
/* Why there is no acknowledgement yet; text NULL removes the row. */
int store_blocker(struct store *st, const char *node, const char *name, const char *text,
		  struct err *e) MUST_CHECK;

struct quiet {
	/* That count; on the way back also those that are gone: a node that is cut off serves
	 * on whom it knows to live on new. */
	int nodes;
	int acked;	   /* of them, for this change */
	int lapsed;	   /* of them, with a lease that has run out */
	char waiting[256]; /* "proxy-2: session k3f9 APPEND 18/50 MB", for people */
};
int store_quiet(struct store *st, const char *name, int64_t change, struct quiet *out,
		struct err *e) MUST_CHECK;

/* ---- sessions, holds, requests, strangers */

struct session_row {
	const char *node, *id, *name, *proto, *peer, *side, *state, *doing;
	const char *client; /* "Thunderbird 128.4", "" if it did not say */
	const char *route;  /* why it was led where it is: "old: user is ready" */
	int64_t since, bytes_up, bytes_down;
	int64_t quiet_since; /* no command is open since then; 0: one is */
	/* Removes the row, if there is one. Of the rest only id counts, and name: whose client
	 * has been let in and went just now; NULL: nobody's. */
	bool gone;
};
int store_sessions_write(struct store *st, const char *node, const struct session_row *rows,
			 size_t n, struct err *e) MUST_CHECK;
typedef int store_session_fn(const struct session_row *s, void *arg);
struct session_filter { /* zeroed: all of them, by name, node and id */
	const char *name, *wave, *node, *side, *proto, *state; /* NULL: any */
	struct {
		const char *name, *node, *id;
	} after; /* for paging: behind this one */
};
/* f NULL: all. */
int store_sessions_each(struct store *st, const struct session_filter *f, store_session_fn *fn,
			void *arg, struct err *e) MUST_CHECK;

/* Had a node a client of the user between these times? Of those that have ended the last one is
 * known, and the nodes tell about a second late. */
int store_session_between(struct store *st, const char *name, int64_t since, int64_t until,
			  bool *out, struct err *e) MUST_CHECK;
/* From here on it is known of all that the nodes tell to have ended, when the first one began … */
int store_session_mark(struct store *st, const char *name, struct err *e) MUST_CHECK;
/* … and whether one, told since then or there now, began until then. */
int store_session_since_mark(struct store *st, const char *name, int64_t until, bool *out,
			     struct err *e) MUST_CHECK;

struct hold_row {
	int64_t id, at, held_ms;
	const char *node, *name, *proto, *released_to;
};
/* Old ones go (common/store_past.h). Of h, id and node do not count. */
int store_hold_add(struct store *st, const char *node, const struct hold_row *h,
		   struct err *e) MUST_CHECK;
typedef int store_hold_fn(const struct hold_row *h, void *arg);
int store_holds_each(struct store *st, const char *name, store_hold_fn *fn, void *arg,
		     struct err *e) MUST_CHECK;

/*
 * What an operator asks of the nodes. name is a user's (trace, drop) or a node's (drain; "":
 * all of them). args: of loglevel the level; of drop and drain when force is used, in ms since
 * 1970 (drop 0: never; drain 0: serve again); of trace see store_trace_start().
 */
struct request_row {
	int64_t id, at;
	const char *verb, *name,
		*args; /* verbs: trace, loglevel, aliases, drop, drain, leave, reload */
};
int store_request_add(struct store *st, const char *verb, const char *name, const char *args,
		      struct err *e) MUST_CHECK;
/* The same, for verbs whose answers will be read. */
int store_request_ask(struct store *st, const char *verb, const char *name, const char *args,
		      int64_t *id, struct err *e) MUST_CHECK;
/*
 * Asks a node (NULL: all of them) to take no clients any more and to end those it has, by force
 * after `until`; 0: to serve again. Kept in the node's row until it ends, so that a node that
 * crashes comes back drained.
 */
int store_drain(struct store *st, const char *node, int64_t until, int64_t *id,
		struct err *e) MUST_CHECK;

/* What became of a drop or drain on a node, so far; of a reload, the trouble it had. */
struct answer_row {
	const char *node;
	int64_t request; /* 0 when read: the node is alive and has not answered yet */
	int64_t ended, cut, remain; /* sessions */
	const char *doing;	    /* what one that remains is doing, for people */
};
int store_answer(struct store *st, const char *node, const struct answer_row *a,
		 struct err *e) MUST_CHECK;
typedef int store_answer_fn(const struct answer_row *a, void *arg);
/* Of all nodes that answered or, meant and alive since before the request, are still to answer.
 */
int store_answers_each(struct store *st, int64_t request, store_answer_fn *fn, void *arg,
		       struct err *e) MUST_CHECK;

typedef int store_request_fn(const struct request_row *r, void *arg);
/* Requests with id > after, oldest first. */
int store_requests_after(struct store *st, int64_t after, store_request_fn *fn, void *arg,
			 struct err *e) MUST_CHECK;
int store_requests_last(struct store *st, int64_t *out, struct err *e) MUST_CHECK;

/* ---- traces */

#define STORE_TRACES_MAX 16 /* users traced at once */

/*
 * Writes down one user's conversations, on all nodes, until the time is over, max_bytes of
 * lines are there or a person stops it. A trace of the same user that was live ends. Asks the
 * nodes by a request "trace" with args "ID UNTIL MAX_BYTES", or "" to stop. Kept for
 * STORE_ANSWERS_MS.
 */
int store_trace_start(struct store *st, const char *name, int64_t for_ms, int64_t max_bytes,
		      int64_t *id, struct err *e) MUST_CHECK;
int store_trace_stop(struct store *st, const char *name, struct err *e) MUST_CHECK;

enum trace_end { TRACE_LIVE, TRACE_TIME, TRACE_FULL, TRACE_STOPPED };
struct trace_row {
	int64_t id, until, bytes, max_bytes;
	const char *name;
	enum trace_end ended;
};
typedef int store_trace_fn(const struct trace_row *t, void *arg);
/* That one, live or not; id 0: all that are live. */
int store_traces_each(struct store *st, int64_t id, store_trace_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;
/* Is this user traced now? 1, 0, -1. */
int store_trace_live(struct store *st, const char *name, struct err *e) MUST_CHECK;

struct trace_line {
	int64_t id, at;
	const char *node, *session;
	const char *way; /* "C:" from the client, "S:" to the client, "--" the proxy itself */
	const char *line;
};
/* For a node: 1 written, 0 the trace is over and nothing was, -1. */
int store_trace_write(struct store *st, const char *node, int64_t trace,
		      const struct trace_line *lines, size_t n, struct err *e) MUST_CHECK;
typedef int store_line_fn(const struct trace_line *l, void *arg);
int store_trace_lines_each(struct store *st, int64_t trace, int64_t after, store_line_fn *fn,
			   void *arg, struct err *e) MUST_CHECK;

/* ---- strangers */

int store_stranger(struct store *st, const char *name, struct err *e) MUST_CHECK;
struct stranger_row {
	const char *name;
	int64_t first_seen, last_seen, logins;
};
typedef int store_stranger_fn(const struct stranger_row *s, void *arg);
int store_strangers_each(struct store *st, store_stranger_fn *fn, void *arg,
			 struct err *e) MUST_CHECK;

/* ---- what clients use */

struct usage_row {
	const char *proto, *extension; /* "imap", "MOVE"; "sessions": all of them */
	int64_t sessions, last_seen;
};
/* Adds to the counts; last_seen becomes now. */
int store_usage_add(struct store *st, const struct usage_row *rows, size_t n,
		    struct err *e) MUST_CHECK;
typedef int store_usage_fn(const struct usage_row *u, void *arg);
int store_usage_each(struct store *st, store_usage_fn *fn, void *arg, struct err *e) MUST_CHECK;

/* ---- POP3: unique ids that clients know from old (common/uidl_map.h) */

#define STORE_UIDL_PART	   65536	       /* bytes of one part, at most */
#define STORE_UIDL_MAX	   (256 * 1024 * 1024) /* bytes of one user's map */
#define STORE_UIDL_WHY_MAX 256
#define STORE_DIGEST_MAX   65 /* SHA-256 in hex and a NUL */

/* What is known of one user's reading by POP3; zeroed: nothing. */
struct uidl_state {
	int64_t seen;	   /* the last POP3 session that a node led to old; 0: none ever */
	int64_t mapped_at; /* when the map was written; 0: there is none */
	bool complete;	   /* every message that old shows by POP3 is in it */
	bool accepted;	   /* a person takes the map as it is, until the next one is complete */
	int64_t entries, missing, bytes;
	char digest[STORE_DIGEST_MAX]; /* over all parts */
	char why[STORE_UIDL_WHY_MAX];  /* what is missing; "" if nothing */
};

/* A POP3 session of this user was led to old. */
int store_pop3_seen(struct store *st, const char *name, struct err *e) MUST_CHECK;
int store_uidl_state(struct store *st, const char *name, struct uidl_state *out,
		     struct err *e) MUST_CHECK;
/*
 * The map in place of the one before, whole or not at all. Of s only complete, entries, missing
 * and why count. parts NULL: the map stays, what is said about it changes.
 */
int store_uidl_write(struct store *st, const char *name, const struct uidl_state *s,
		     const struct slice *parts, size_t n, struct err *e) MUST_CHECK;
/* A person takes the map as it is, or (yes false) does not any more. */
int store_uidl_accept(struct store *st, const char *name, bool yes, struct err *e) MUST_CHECK;
/*
 * For a node: state and map as one, checked by its digest; *map is appended to. ERR_TEMP: it is
 * being written just now. most: bytes of a map; with a larger one *map stays empty.
 */
int store_uidl_read(struct store *st, const char *name, int64_t most, struct uidl_state *out,
		    struct buf *map, struct err *e) MUST_CHECK;
/*
 * Will a client that knows old's ids find them? True for those without POP3 clients, with a
 * complete map, and where a person takes it as it is. The gate asks; so does a node before it
 * answers UIDL.
 */
bool store_uidl_serves(const struct uidl_state *s);

/* ---- what the gate looks at */

#define STORE_FACTS_MAX	 8192 /* bytes of what a pass found about a user */
#define STORE_WAIVER_MAX 1024 /* bytes of a waiver's note */

/* What the engine's last pass found, as its own JSON object (sync/facts.h). */
int store_facts_write(struct store *st, const char *name, const char *body,
		      struct err *e) MUST_CHECK;
/* 1: *body is it, the caller's to free; 0: no pass has written any; -1. */
int store_facts_read(struct store *st, const char *name, char **body, struct err *e) MUST_CHECK;

/* A person lets a check of the gate pass, for one user or for all of a wave. */
struct waiver_row {
	const char *name; /* of the user or the wave */
	bool is_wave;
	const char *item; /* "uids", … (sync/gate.h) */
	const char *note, *actor;
	int64_t at;
};
/*
 * Writes it, or takes it back (on false), and a row of history for each user it is about; *n
 * says how many these are, 0 where nothing was changed. Of w all but `at` counts. A user who
 * changes the wave later leaves the wave's waivers behind.
 */
int store_waive(struct store *st, const struct waiver_row *w, bool on, int *n,
		struct err *e) MUST_CHECK;
typedef int store_waiver_fn(const struct waiver_row *w, void *arg);
/* Those that hold for the user: his own, and his wave's ("": no wave); his own come first. */
int store_waivers_each(struct store *st, const char *name, const char *wave,
		       store_waiver_fn *fn, void *arg, struct err *e) MUST_CHECK;
/* All there are, those of waves first. */
int store_waivers_all(struct store *st, store_waiver_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;

/* ---- what name servers said */

#define STORE_DNS_NOTES 32 /* of one record, the newest, are kept */

/* A record as its domain's own name servers had it, from its first look to its last. */
struct dns_note {
	const char *record; /* "MX", "mail A" */
	const char *value;  /* as in a zone file, sorted; many are separated by | */
	int64_t ttl_s, first_seen, last_seen;
};
/* It was seen now: a new row if value or TTL are others than last time. Of n the times do not
 * count. */
int store_dns_note(struct store *st, const char *domain, const struct dns_note *n,
		   struct err *e) MUST_CHECK;
typedef int store_dns_fn(const struct dns_note *n, void *arg);
/* All of a domain, by record, the oldest first; record NULL: of all records. */
int store_dns_each(struct store *st, const char *domain, const char *record, store_dns_fn *fn,
		   void *arg, struct err *e) MUST_CHECK;

/* ---- the operator's plan (store_phases.c, sync/phases.h) */

#define STORE_PHASE_NOTE_MAX 1024 /* bytes of what a person says about an item */

/* A person's word about one item of a domain's plan. */
struct phase_note {
	const char *domain, *item;
	bool done; /* false: taken back */
	const char *note, *actor;
	int64_t at;
};
/* Nothing is written where the item's last word says the same (or there is none, and none is
 * taken back): *changed. Of n the time does not count. */
int store_phase_note(struct store *st, const struct phase_note *n, bool *changed,
		     struct err *e) MUST_CHECK;
typedef int store_phase_fn(const struct phase_note *n, void *arg);
/* All that was ever said of the domain's items, the oldest first: an item's last word counts.
 */
int store_phases_each(struct store *st, const char *domain, store_phase_fn *fn, void *arg,
		      struct err *e) MUST_CHECK;

/* Of a domain's users, as the store has them now. */
struct phase_counts {
	int64_t state[USER_STATES];
	int64_t seen, imap,
		pop3;	   /* users in a login that is remembered, or a session; by protocol */
	int64_t strangers; /* names that logged in and nobody imported */
	int64_t waived;	   /* users for whom a check of the gate is let pass */
	int64_t left_on_old; /* sessions there of users who live on new */
};
int store_phase_counts(struct store *st, const char *domain, struct phase_counts *out,
		       struct err *e) MUST_CHECK;

/* ---- UIDVALIDITYs that a moved user's clients know (store_validity.c, sync/validity.h) */

#define STORE_VALIDITY_MAX (200 * 1024) /* bytes of one user's */

/* lines: "NEW OLD" LF …; "": none, new's own are shown. */
int store_validity_write(struct store *st, const char *name, const char *lines,
			 struct err *e) MUST_CHECK;
/* *lines: allocated, "" if there are none. */
int store_validity_read(struct store *st, const char *name, char **lines,
			struct err *e) MUST_CHECK;

/* ---- shadow logins (store_shadow.c): does new take the password that was last used on old? */

#define STORE_SHADOW_MS \
	(24 * 3600 * 1000LL) /* of one user, all nodes together: at most once in it */

struct shadow_row {
	int64_t at; /* of the last answer, ms since 1970; 0: there is none */
	bool accepted;
};
/* May this node try now? *mine is true for one of those who ask, and then for nobody before
 * STORE_SHADOW_MS has passed. */
int store_shadow_claim(struct store *st, const char *name, bool *mine,
		       struct err *e) MUST_CHECK;
/* The server's answer to the one who claimed. */
int store_shadow_write(struct store *st, const char *name, bool accepted,
		       struct err *e) MUST_CHECK;
/* The next login may be tried after so long; 0: at once. */
int store_shadow_again(struct store *st, const char *name, int64_t after_ms,
		       struct err *e) MUST_CHECK;
int store_shadow_read(struct store *st, const char *name, struct shadow_row *out,
		      struct err *e) MUST_CHECK;

/* ---- learned passwords (store_learned.c): sealed, so that only the engine can read them */

/* Instead of the one kept before; nothing is kept of who is no user, or done. */
int store_learned_write(struct store *st, const char *name, const char *sealed,
			struct err *e) MUST_CHECK;
/* 1 with *sealed, which the caller frees; 0: none; -1. */
int store_learned_read(struct store *st, const char *name, char **sealed,
		       struct err *e) MUST_CHECK;
int store_learned_forget(struct store *st, const char *name, struct err *e) MUST_CHECK;
/* Erases what was written before so long ago, and what is of users who are done or gone. How
 * many; -1. */
int store_learned_erase(struct store *st, int64_t keep_ms, struct err *e) MUST_CHECK;

/* ---- copiers' journals (store_journal.c): copies, for the engine of another host */

#define STORE_EDITION_MAX   33		/* hex and a NUL */
#define STORE_JOURNAL_PART  (32 * 1024) /* bytes of the file in one part */
#define STORE_JOURNAL_PARTS 16384	/* of one journal */
#define STORE_PART_DIGEST   64		/* SHA-256 in hex */

/*
 * Which copy of a user's journal the store has, and who may have gone further. parts: the
 * digests of the file's parts, in order, with nothing between them.
 */
struct store_journal {
	char edition[STORE_EDITION_MAX]; /* of the copy; "": there is none yet */
	bool away;		   /* at work in a folder of journals: the copy may be stale */
	char folder[PLACE_ID_MAX]; /* that folder; else the one that the copy came from */
	char host[PLACE_HOST_MAX]; /* the same, for people */
	int64_t at, size;
	char *parts; /* owned; never NULL */
};
void store_journal_release(struct store_journal *j);
/* 1, 0: nothing is known of it, -1. */
int store_journal_get(struct store *st, const char *name, struct store_journal *out,
		      struct err *e) MUST_CHECK;
/*
 * It goes to work in this folder. seen: as it was read, NULL: there was none. 1; 0: it is
 * another one by now; -1. Like all that follows but the parts, an error in the hands of an
 * engine that has lost its lease.
 */
int store_journal_take(struct store *st, const char *name, const struct store_journal *seen,
		       const struct place *folder, struct err *e) MUST_CHECK;
/* It is back from copy->folder, where it began as `before`; all its parts are written. 1, 0,
 * -1.
 */
int store_journal_put(struct store *st, const char *name, const struct store_journal *copy,
		      const char *before, struct err *e) MUST_CHECK;
/* It is back as it was. 1, 0, -1. */
int store_journal_back(struct store *st, const char *name, const struct place *folder,
		       const char *edition, struct err *e) MUST_CHECK;
/* Those that are at work in this folder, or should be. fn may not ask the store. */
typedef int store_journal_fn(const char *text, void *arg);
int store_journals_away(struct store *st, const struct place *folder, store_journal_fn *fn,
			void *arg, struct err *e) MUST_CHECK;
/* Parts are known by what is in them: those of two editions stand side by side. */
int store_journal_part_write(struct store *st, const char *name, const char *digest,
			     const char *body, struct err *e) MUST_CHECK;
/* 1 with *body, which the caller frees; 0: none; -1. */
int store_journal_part_read(struct store *st, const char *name, const char *digest, char **body,
			    struct err *e) MUST_CHECK;
/* The digests of all parts, ascending. */
int store_journal_parts(struct store *st, const char *name, store_journal_fn *fn, void *arg,
			struct err *e) MUST_CHECK;

#endif
