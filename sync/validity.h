/*
 * Which UIDVALIDITY each of a user's folders had on old, for a proxy that goes on showing it
 * (proxy/validity.h): only where every message has old's UID, and no mail is on new that old
 * has not.
 */
#ifndef SYNC_VALIDITY_H
#define SYNC_VALIDITY_H

#include "sync/pass.h"

/* After the last delta: adds the lines of common/store.h's store_validity_write(), or nothing.
 */
int validity_lines(const struct pass *p, struct buf *out, struct err *e) MUST_CHECK;

#endif
