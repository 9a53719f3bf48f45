/*
 * A password. It can be compared, handed to a login and wiped; there is no way to print it, and
 * it never goes into a log, an argument list, the environment of a child or the store.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include "common/buf.h"
#include "common/err.h"

#define SECRET_MAX 4096 /* bytes; longer passwords and tokens are refused with a clear error \
			 */

struct secret {
	char *at; /* NULL: none */
	size_t n;
};

/* Copies. Replaces and wipes what was there. */
void secret_set(struct secret *s, const void *p, size_t n);
/* Wipes, frees and leaves an empty secret. */
void secret_release(struct secret *s);
bool secret_is_set(const struct secret *s);
struct slice secret_slice(const struct secret *s); /* borrowed */

/*
 * Reads the first line of a file (without its line end). An empty file, a NUL in it or more
 * than SECRET_MAX bytes is an error that names the file.
 */
int secret_read_file(struct secret *s, const char *path, struct err *e) MUST_CHECK;

#endif
