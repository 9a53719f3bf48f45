/*
 * Where a process runs: the host, for people, and the folder run.dir, for proofs. A lock file
 * in that folder shows that whoever had it before is dead; of another place no process can know
 * that, however its host is called.
 */
#ifndef COMMON_PLACE_H
#define COMMON_PLACE_H

#include "common/err.h"

#define PLACE_ID_MAX   33 /* hex and a NUL */
#define PLACE_HOST_MAX 48 /* a part of nodes' names, and so of sockets' paths */

struct place {
	char id[PLACE_ID_MAX];
	char host[PLACE_HOST_MAX];
};

/* The host as the operator calls it, or (NULL) the system's name up to its first dot. */
void place_host(const char *called, char out[static PLACE_HOST_MAX]);
/* The same, and the id of run_dir: made at random by the first who asks, and kept there. */
int place_find(const char *run_dir, const char *called, struct place *out,
	       struct err *e) MUST_CHECK;

#endif
