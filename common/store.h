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
 *
 * Here are the handle, the users and what nodes follow; every other noun has a header of its
 * own, common/store_*.h, and all this holds there too.
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include "common/buf.h"
#include "common/err.h"
#include "common/place.h"
#include "common/user_state.h"

#define STORE_BUSY_MS	     5000
#define STORE_SCHEMA_VERSION 21
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
	const char *name, *login[SIDES], *password_file[SIDES];
	const char *wave; /* NULL: leave it as it is; of a new user: none */
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
 * changed. Who is on the new server already is given none, and who is led back from there
 * keeps the go for that.
 */
int store_users_go(struct store *st, const char *name, const char *wave, bool go, int *n,
		   struct err *e) MUST_CHECK;
/*
 * Rollback: who is on the new server begins his way back, with the go for it; who is on the
 * way already is given the go again. why goes into the history. How many: done[i] says whether
 * names[i] is one of them; others are not on new, or not known. At -1 some may have begun.
 */
int store_users_return(struct store *st, char *const *names, size_t n, const char *actor,
		       const char *why, bool *done, struct err *e) MUST_CHECK;
int store_user_return(struct store *st, const char *name, const char *actor, const char *why,
		      struct err *e) MUST_CHECK;
/* The way back is taken back: who is returning is trailing again, and who is at its pause has
 * no go for another; as above. */
int store_users_stay(struct store *st, char *const *names, size_t n, const char *actor,
		     bool *done, struct err *e) MUST_CHECK;
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
/* The operator says "try again now": attempts = 0, undos = 0, next_try = 0, stuck_reason = '',
 * and a password that new was to be asked about is asked about. Of all or of none. */
int store_users_retry(struct store *st, char *const *names, size_t n, struct err *e) MUST_CHECK;

/* What a person decided about the user without a move: a row of history whose two states are
 * the present one. */
int store_user_note(struct store *st, const char *name, const char *actor, const char *why,
		    struct err *e) MUST_CHECK;
/* The same of many: of all or of none. */
int store_users_note(struct store *st, const char *const *names, size_t n, const char *actor,
		     const char *why, struct err *e) MUST_CHECK;

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

#endif
