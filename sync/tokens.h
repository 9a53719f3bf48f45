/*
 * Session tokens of users on new (sync/new_login.h), while the engine lives: in memory alone.
 */
#ifndef SYNC_TOKENS_H
#define SYNC_TOKENS_H

#include "common/secret.h"

#define TOKENS_MARGIN_MS                                                      \
	3600000 /* a worker may need it for so long: none that ends sooner is \
		   given */

struct tokens {
	void *by_user; /* tsearch() */
};

/* In place of the one before. until: ms since 1970. */
void tokens_keep(struct tokens *t, const char *user, const struct secret *token, int64_t until);
/* One that is good for TOKENS_MARGIN_MS from now; else *out is left empty. */
void tokens_find(struct tokens *t, const char *user, int64_t now, struct secret *out);
void tokens_release(struct tokens *t);

#endif
