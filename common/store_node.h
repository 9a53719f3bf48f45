/*
 * The store, its rows of nodes: leases, acknowledgements, and what they tell of certificates
 * and of the servers.
 */
#ifndef COMMON_STORE_NODE_H
#define COMMON_STORE_NODE_H

#include "common/store.h"

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

/* ---- what they tell */

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

#endif
