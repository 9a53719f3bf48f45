/*
 * The UIDVALIDITY that IMAP clients know from old, shown by the new server's folders: with old's
 * UIDs under it they keep what they have loaded (docs/uids.md). A setting of the new server's
 * section, for users whose last delta found all folders exact; the engine has put the numbers
 * into the store. The store is asked while the backend is, before RELAY. Modification sequences
 * of two servers have nothing to do with each other: for these clients there are none.
 *
 * From a user's second flip on (he was led back), UIDs may mean other mail: then each folder is
 * shown under another number after each flip, so that clients load it anew.
 */
#ifndef PROXY_VALIDITY_H
#define PROXY_VALIDITY_H

#include "proxy/imap.h"

struct proxy;
struct session;
struct validity; /* of a session; NULL: the server's own numbers are shown */

/* The session is about to dial: asks the store if that is of use. */
void validity_begin(struct session *s);
void validity_end(struct session *s);
/* The backend took the login: false: the store has not answered; session_accepted() follows. */
bool validity_ready(struct session *s);

/* The server's next bytes begin a response: as imap_checkpoint_hold(). */
enum held validity_hold(struct session *s, struct slice rest, size_t *len, struct buf *out);
/* May this line of the client's, the first of a command, reach the server? */
bool validity_may_pass(const struct session *s, struct slice line, struct slice verb);
/* What is not to be offered goes out of a line or list of capabilities. */
void validity_hide(const struct session *s, struct buf *capabilities);

/* From the follower, on the loop. lines NULL: the store failed, it does not answer. */
void validity_arrived(struct proxy *p, const char *user, const char *session, int64_t change,
		      const char *lines);

#endif
