/* What servers say of UIDs that they have given (RFC 4315 3). Pure. */
#ifndef SYNC_UID_CODE_H
#define SYNC_UID_CODE_H

#include "common/buf.h"

/*
 * "APPENDUID 38505 3955:3957,3960" for n messages. false: it is no such code, or not of n
 * ascending UIDs; then what is in uids means nothing.
 */
bool appenduid_read(struct slice code, size_t n, uint32_t *uidvalidity, uint32_t *uids);
/* "COPYUID 38505 304,319:320 3956:3958" for n messages: where they went, likewise. */
bool copyuid_read(struct slice code, size_t n, uint32_t *uidvalidity, uint32_t *uids);

#endif
