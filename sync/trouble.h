/*
 * A server that answers live users with NO [SERVERBUG] or the like may show folders empty that
 * are not (Dovecot's Maildir on a full disk: OK to everything, no message, the same
 * UIDVALIDITY). For some time what is missing there is not taken for deleted, and nobody is
 * moved. The nodes tell of it (proxy/server_error.h).
 *
 * Of the server that is evidence when several users heard it. One alone may have a broken
 * index, or a client that knows how to provoke it: then it counts for this user only. So it
 * does where one user alone is connected: that he is the only witness makes his mailbox no
 * better evidence.
 *
 * A return is a way out of new's trouble, so that does not hold it up: its last delta deletes
 * nothing then and, if anything is missing, is not clean.
 */
#ifndef SYNC_TROUBLE_H
#define SYNC_TROUBLE_H

#include "common/store.h"
#include "common/store_node.h"
#include "config/settings.h"

#define TROUBLE_TEXT_MAX 400
#define TROUBLE_REMEDY \
	"the server's log says what ails it: is its disk full? or sync { trouble_s = 0 }"

struct trouble {
	int64_t lasts_ms; /* sync.trouble_s */
	struct {
		char user[STORE_NAME_MAX + 1];
		int64_t at;		   /* on the store's clock; 0: none */
	} heard[SIDES][STORE_ERROR_USERS]; /* the last one first */
};

int trouble_read(struct store *st, const struct settings *s, struct trouble *out,
		 struct err *e) MUST_CHECK;
/* Until when what this server lists is not believed: for anybody, or (user not NULL) for him.
 */
int64_t trouble_until(const struct trouble *t, enum side side, const char *user);
/* Does any hold up this user at `now`, on his way in this direction? out: a sentence of it,
 * else
 * "". */
bool trouble_holds(const struct trouble *t, const char *user, enum direction d, int64_t now,
		   char out[static TROUBLE_TEXT_MAX]);

#endif
