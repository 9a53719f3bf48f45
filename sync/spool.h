/*
 * A row of bytes that is put on at the end and read anywhere: in memory up to a limit, above it
 * in a temporary file without a name ($TMPDIR, else /tmp), which is gone with the process.
 */
#ifndef SYNC_SPOOL_H
#define SYNC_SPOOL_H

#include "common/buf.h"
#include "common/err.h"

/* Bytes that all spools of a process keep in memory. */
#define SPOOL_MEMORY_ALL (12 * 1024 * 1024)

struct spool;
struct spool *spool_new(size_t memory_max);
void spool_free(struct spool **s);

uint64_t spool_size(const struct spool *s);
/* ERR_STORE: the file cannot be made or written; the size is as before. */
int spool_add(struct spool *s, struct slice bytes, struct err *e) MUST_CHECK;
/* Forgets what is behind size. */
void spool_cut(struct spool *s, uint64_t size);
/* Calls fn with the bytes at … at + n, which must be there, in pieces and in order. */
typedef int spool_bytes_fn(struct slice bytes, void *arg, struct err *e);
int spool_read(const struct spool *s, uint64_t at, uint64_t n, spool_bytes_fn *fn, void *arg,
	       struct err *e) MUST_CHECK;

#endif
