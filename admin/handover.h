/*
 * What one image of the supervisor leaves to the next when it replaces itself in place: its
 * process, and so its children, its sockets and its lock, stay; only the program is another. A
 * text in an unnamed file whose descriptor the next image is told.
 */
#ifndef ADMIN_HANDOVER_H
#define ADMIN_HANDOVER_H

#include "admin/inbox.h"
#include "admin/listen.h"

#define HANDOVER_CHILDREN_MAX 4096

enum child_role {
	ROLE_ENGINE,
	ROLE_SERVES, /* a node that takes connections */
	ROLE_COMES,  /* a new one that is not up yet */
	ROLE_LEAVES, /* keeps its sessions only */
};
const char *child_role_name(enum child_role role);

struct handover_child {
	char *name;
	pid_t pid;
	enum child_role role;
};

/* Owns its texts, not the descriptors. */
struct handover {
	char *run_dir, *store, *user; /* what must be the same; user may be "" */
	int lock, inbox, generation;
	struct inbox_peer asker;
	struct listen_sockets sockets; /* name, fd and inherited only */
	struct handover_child *children;
	size_t child_count;
};

/* Returns a descriptor that stays open over exec, or -1. */
int handover_write(const struct handover *h, struct err *e) MUST_CHECK;
/* *h must be zeroed; handover_release() also after a failure. */
int handover_read(int fd, struct handover *h, struct err *e) MUST_CHECK;
void handover_release(struct handover *h);

#endif
