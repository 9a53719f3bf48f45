/*
 * Between the files that make up `mailferry run`: run.c (starting, ending, deaths),
 * run_prepare.c (folders, programs, sockets, what an image before us left), run_upgrade.c (new
 * programs take over), run_hear.c (what programs and people say). For no one else.
 */
#ifndef ADMIN_RUN_IMPL_H
#define ADMIN_RUN_IMPL_H

#include "admin/child.h"
#include "admin/ctl.h"
#include "admin/handover.h"
#include "admin/inbox.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/place.h"

#define RUN_TICK_MS	   1000
#define RUN_STOP_MORE_MS   10000 /* a proxy gets this on top of run.stop_s */
#define RUN_ENGINE_STOP_MS 10000
#define RUN_START_MS	   60000 /* at an upgrade: most until new programs are up */
#define RUN_SLEPT_MS	   5000	 /* a tick this late: not they, we have slept */
#define RUN_STRAY_MS	   5000	 /* a stray not heard for this long has ended */

#define RUN_NAME_MAX 96 /* of a node: "proxy-1", "proxy-2.7@mx1" */

#define ENGINE "mailferry-sync"
#define PROXY  "mailferry-proxy"

/* A node of this host. */
struct run_node {
	struct child *child; /* owned */
	enum child_role role;
};

/* A node whose supervisor was killed: it goes on, but nobody waits for it. */
struct run_stray {
	pid_t pid;
	char name[RUN_NAME_MAX];
	int64_t heard;
	bool told; /* to leave */
};

/* What an upgrade runs: found anew each time. */
struct run_programs {
	char *self, *engine, *proxy;
};

/* Everything is owned here unless it says otherwise. */
struct run {
	struct ctl *ctl;		 /* borrowed */
	const struct settings *settings; /* borrowed */
	struct event_base *base;
	struct event *signals[5], *tick;
	struct inbox *inbox;
	struct child_user user;
	struct listen_sockets sockets;
	struct child *engine;
	struct run_node *nodes;
	size_t node_count;
	struct run_stray *strays;
	size_t stray_count;
	struct run_programs programs;
	char *config;
	int lock, generation;
	enum {
		RUN_ENGINE_STARTS,
		RUN_NODES_START,
		RUN_UP,
		RUN_NODES_CHANGE, /* upgrade: new nodes are to come up */
		RUN_ENGINE_CHANGES /* … and have taken over; now the engine */,
		RUN_STOPS
	} phase;
	int64_t phase_since, ticked, watched;
	struct inbox_peer asker; /* of the upgrade under way */
	int status;
};

/* run.c */
void run_make_engine(struct run *r);
/* run.nodes of them, named by the generation, as ROLE_COMES; start: at once. */
void run_add_nodes(struct run *r, bool start);
struct child *run_add_child(struct run *r, const char *name, enum child_role role);
void run_enter(struct run *r, int phase);
/* Are there nodes of this role, and all of them up? */
bool run_all_ready(const struct run *r, enum child_role role);
/* Something of a child has changed: goes on to the next phase if all is there. */
void run_go_on(struct run *r);

/* run_prepare.c; h NULL: nobody was before us. check: look only, change nothing. */
int run_prepare(struct run *r, struct handover *h, bool check, struct err *e) MUST_CHECK;
int run_find_programs(struct run *r, struct run_programs *out, struct err *e) MUST_CHECK;
void run_programs_release(struct run_programs *p);
/* "proxy-1" at first, "proxy-1.2" after an upgrade; where hosts share a store, "proxy-1@mx1":
 * no two nodes ever share a name. */
void run_node_name(const struct run *r, int node, char out[static RUN_NAME_MAX]);

/* run_upgrade.c */
/* Checks the programs on disk and becomes the new image; returns only if that failed. */
void run_upgrade(struct run *r, const struct inbox_peer *asker);
/* The new image: takes up what was handed over and starts the new nodes. */
void run_resume(struct run *r, const struct handover *h);
/* A step of the upgrade may be done, have failed (who: whose end it was; NULL: time) … */
void run_upgrade_go_on(struct run *r);
void run_upgrade_failed(struct run *r, const struct child *who);
void run_upgrade_says(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* run_hear.c */
void run_hear(const struct inbox_letter *l, void *arg);
/* Strays: tells those that are left to leave, or to end. */
void run_tell_strays(struct run *r, int signal);
void run_forget_strays(struct run *r);
/* What systemd is told. */
void run_watchdog(struct run *r);

#endif
