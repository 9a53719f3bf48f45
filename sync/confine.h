/*
 * A worker among hostile servers: what it may still do once it has its job. No other program,
 * no other user's process, no file but its journal's folder, its spool and what it takes to
 * find a host and check a certificate; no more memory and descriptors than it needs.
 */
#ifndef SYNC_CONFINE_H
#define SYNC_CONFINE_H

#include "sync/job.h"

#define CONFINE_FILES 256 /* descriptors: lanes, journal, spools, the resolver's */
/* Address space against memory used: threads reserve much that they never touch. */
#define CONFINE_SPACE 16

/*
 * Once, with no second thread yet, before the first byte from a server. Kernels without
 * Landlock (before 5.13) leave the files open: said in the log. Else what cannot be had is an
 * error: better no copy than an unguarded one.
 */
int confine(const struct job *j, struct err *e) MUST_CHECK;
/* The engine's, at its start: says what the kernel lacks. */
void confine_check(void);

#endif
