/*
 * A server that answers live users with NO [SERVERBUG] or the like may show folders empty that
 * are not (Dovecot's Maildir on a full disk: OK to everything, no message, the same
 * UIDVALIDITY). For some time what is missing there is not taken for deleted, and nobody is
 * moved. The nodes tell of it (proxy/latency.h).
 */
#ifndef SYNC_TROUBLE_H
#define SYNC_TROUBLE_H

#include "common/store.h"
#include "config/settings.h"

struct trouble {
	int64_t at[SIDES];    /* the last such answer, on the store's clock; 0: none */
	int64_t until[SIDES]; /* it counts until then (sync.trouble_s) */
};

int trouble_read(struct store *st, const struct settings *s, struct trouble *out,
		 struct err *e) MUST_CHECK;
/* Is there any at `now`? out: a sentence of it, else "". */
bool trouble_is_on(const struct trouble *t, int64_t now, char *out, size_t size);

#endif
