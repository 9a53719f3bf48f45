/* A set of user names: few, and rarely asked. */
#ifndef SYNC_NAMES_H
#define SYNC_NAMES_H

#include "common/err.h"

#define NAMES_MAX 10000 /* users of one set */

struct names { /* zeroed: empty */
	char **at;
	size_t n;
};
bool names_has(const struct names *s, const char *name);
/* ERR_LIMIT if there are too many already. */
int names_add(struct names *s, const char *name, struct err *e) MUST_CHECK;
void names_drop(struct names *s, const char *name);
void names_release(struct names *s);

#endif
