/*
 * What a service says to who supervises it, in systemd's words (sd_notify(3)): READY=1,
 * WATCHDOG=1, STATUS=…, one datagram of lines. `mailferry run` speaks so to systemd, and its
 * programs speak so to `mailferry run`. Without $NOTIFY_SOCKET nothing is said.
 */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

#include "common/mem.h"

#define NOTIFY_BEAT_MS	  1000	    /* a program says so often that its loop goes round */
#define NOTIFY_MAX	  2048	    /* bytes of one datagram */
#define NOTIFY_NODE	  "X_NODE=" /* of ours: which node speaks */
#define NOTIFY_SOCKET_ENV "NOTIFY_SOCKET"

/* Never blocks, never fails: nobody may hear it. */
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* How often systemd wants to hear WATCHDOG=1, in ms; 0: it does not. */
int64_t notify_watchdog_ms(void);

#endif
