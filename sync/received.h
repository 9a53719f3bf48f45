/*
 * When a message arrived, for mail that comes without a date of its server's: POP3 has none.
 * The uppermost Received field is the newest (RFC 5321 4.4); without one that can be read, the
 * next, at last Date. Pure.
 */
#ifndef SYNC_RECEIVED_H
#define SYNC_RECEIVED_H

#include "common/buf.h"

#define RECEIVED_FIELD_MAX 4096 /* bytes of a field that are looked at */

/* header: or more of the message. Dates before 1970 or behind `now` are not believed. 0: none.
 */
int64_t received_date(struct slice header, int64_t now);

/* As APPEND takes it (mailbox.h: message_info.date), in UTC. */
#define RECEIVED_TEXT_MAX 40
void received_text(int64_t date, char out[static RECEIVED_TEXT_MAX]);

#endif
