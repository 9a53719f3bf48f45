/*
 * What the engine tells and does for people: JSON over admin/http.h. One table of routes
 *(api.c); README and `mailferry` speak of the same verbs. Everything that is a fact comes from
 *the store; what only the engine knows comes through the hooks.
 *
 *	struct api *api = api_new(&(struct api_opts){ .store = st, .settings = s, .hooks = &h,
 *.arg = x }); http_server_start(&server, base, ".../api.sock", api_answer, api, &e);
 */
#ifndef ADMIN_API_H
#define ADMIN_API_H

#include "admin/http.h"
#include "common/store.h"
#include "config/settings.h"

#define API_SOCKET	    "api.sock" /* in run.dir */
#define API_PAGE_MAX	    1000       /* users, sessions, … in one answer */
#define API_PAGE	    200	       /* without ?limit= */
#define API_CUT_MAX_S	    86400 /* most that a drop or drain waits before it uses force */
#define API_TRACE_S	    600	  /* a trace ends after this … */
#define API_TRACE_S_MAX	    86400
#define API_TRACE_BYTES	    (1 << 20) /* … or with so many bytes of lines */
#define API_TRACE_BYTES_MAX (1 << 28)
#define API_SAMPLE_MAX	    1000000000
#define API_NAMES_MAX	    1000	 /* users named in one POST */
#define API_POST_MAX	    (512 * 1024) /* bytes of one, unless it is an import */

/* What a user's cutover waits for, in the words of `mailferry why`. */
struct api_gate_item {
	const char *name;	/* "pass", "verified", "nodes", "parallel", … */
	bool open;		/* nothing to wait for here */
	const char *text;	/* "1,204 of 1,210 messages compared" */
	const char *state;	/* "ok", "warns", "waived", "waits"; NULL: as open says */
	const char *remedy;	/* NULL: none is needed, or waiting is enough */
	bool waivable;		/* a person may let it pass */
	const char *waived_for; /* "user", "wave": a person lets it pass; NULL: not known here */
};
typedef void api_gate_fn(const struct api_gate_item *i, void *to);

/* What a worker does for a user right now. */
struct api_live {
	const char *kind;   /* "probe", "pass", "final", "trailing"; borrowed */
	const char *folder; /* "" at first; borrowed */
	int64_t done, total, messages, bytes;
	int64_t started; /* ms since 1970 */
	const char *host; /* where the worker is; "": nowhere yet, it is offered; borrowed */
};

/* How a comparison of a user stands. */
struct api_verified {
	const char *
		state; /* "none", "waiting", "running", "failed", "done"; borrowed, as is all */
	const char *text;  /* failed: why */
	const char *grade; /* done: "perfect" …; else "" */
	int64_t same, missing, altered,
		other;	  /* done: messages; other: findings of other kinds */
	json_t *document; /* if asked for; of the caller; NULL: none */
};

struct api_engine {
	int64_t started; /* ms since 1970 */
	int workers, workers_max, queued, cutovers;
	bool stands_by;	     /* another engine is at work */
	const char *trouble; /* why none can be; "": nothing; borrowed */
};

/* Who is told what becomes of a reload: mistakes, or each setting that differs. */
struct api_reload {
	void (*mistake)(const char *text, void *to);
	void (*setting)(const char *what, bool taken, void *to);
	void *to;
};

/* What is asked of OpenSRS's own tool: may these users be pulled; pull them; do not wait any
 * more. */
enum api_pull { API_PULL_TRY, API_PULL_ASK, API_PULL_UNDO };

/*
 * All are called in the loop's thread and return at once. Each may be NULL: then the answer is
 * empty and the store alone has to do.
 */
struct api_hooks {
	/* The store has new work: users imported, a go given, a retry asked for. */
	void (*poke)(void *arg);
	/* Start a pass (or the probe) of this user as soon as a slot is free, back-off or not.
	 */
	int (*sync_now)(const struct user *u, void *arg, struct err *e);
	/* It was asked for so, and has not ended yet. */
	bool (*awaited)(const char *name, void *arg);
	/* The user's journal is to be read or written to here, until it is let go; ERR_TEMP: it is
	 * on its way, even after some wait. NULL: it is always here. */
	int (*journal)(const char *name, bool wait, void *arg, struct err *e);
	void (*journal_done)(const char *name, void *arg);
	/* Calls item for each thing that the user's next step waits for. */
	void (*why)(const struct user *u, api_gate_fn *item, void *to, void *arg);
	/* Is there a check of this name that a waiver lets pass? */
	bool (*waivable)(const char *check);
	/* Their names, for people. */
	const char *(*waivable_names)(void);
	/* true: a worker is at it, *out is filled. */
	bool (*live)(const char *name, struct api_live *out, void *arg);
	/* Calls fn for each user whom a worker is at. */
	void (*each_live)(void (*fn)(const char *name, void *to), void *to, void *arg);
	void (*engine)(struct api_engine *out, void *arg);
	/* Prometheus text is appended to out. */
	void (*metrics)(struct buf *out, void *arg);
	/* Why this engine can do nothing, nor stand by; NULL: it can. Borrowed. */
	const char *(*not_ready)(void *arg);
	/* Compare both sides of this user; headers_only with sample as in sync/audit_user.h. */
	int (*verify)(const char *name, bool headers_only, int64_t sample, void *arg,
		      struct err *e);
	void (*verified)(const char *name, bool with_document, struct api_verified *out,
			 void *arg);
	/* A run over the accounts of these users on OpenSRS, by their logins on new. */
	int (*provision)(char *const *users, char *const *logins, size_t n, bool dry_run,
			 int64_t *run, void *arg, struct err *e);
	json_t *(*provisioned)(void *arg); /* how the last run stands; of the caller */
	/* Of each user {user, result, text}; NULL: *e. */
	json_t *(*pull)(char *const *users, size_t n, enum api_pull what, void *arg,
			struct err *e);
	json_t *(*pulled)(const char *user, void *arg); /* NULL: nothing was asked */
	/* Log all levels for this user in the engine and its workers. Nodes hear it through the
	 * store. */
	void (*trace)(const char *name, bool on, void *arg);
	/* Gives the store the moves it has lost (common/flips.h). */
	int (*rebuild)(int *moved, void *arg, struct err *e);
	/* Reads the settings again; false: they have mistakes, and nothing was changed. */
	bool (*reload)(const struct api_reload *r, void *arg);
};

struct api_opts {
	struct store *store;		 /* borrowed, as is all here, for the api's life */
	const struct settings *settings; /* login name rules */
	const struct api_hooks *hooks;	 /* NULL: none */
	void *arg;			 /* of the hooks */
	struct event_base *base;	 /* NULL: there are no /v1/events and no final report */
};

struct api;
struct api *api_new(const struct api_opts *o);
void api_free(struct api **a);
/* Every second or so: keeps count of how fast it goes. */
void api_tick(struct api *a);

/* The http_handler; arg is the struct api. */
int api_answer(const struct http_request *r, struct http_answer *a, void *arg);

#endif
