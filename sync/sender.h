/*
 * Bodies out: APPENDs of whole batches in flight at once, byte for byte.
 *
 * Where the server offers MULTIAPPEND (RFC 3502) and LITERAL+, neighbours of a batch go in one
 * command, which stores all or none of them; if it is refused, they go again in halves until it
 * is known which one is not wanted. Else each goes alone, pipelined. LITERAL+ up to
 * APPEND_PUSH_MAX, LITERAL- up to 4096 bytes, else a literal that waits for "+".
 *
 * One sender has one folder, and its mailbox to itself until every batch is answered. The
 * folder need not be selected.
 */
#ifndef SYNC_SENDER_H
#define SYNC_SENDER_H

#include "sync/pipeline.h"

#define APPEND_WINDOW	    32		      /* APPENDs sent and not yet answered */
#define APPEND_WINDOW_BYTES (4 * 1024 * 1024) /* their bytes; one larger message goes alone */
#define MULTI_MAX	    64		      /* messages of one MULTIAPPEND */
#define MULTI_BYTES	    (4 * 1024 * 1024) /* and their bytes */
/* Bytes sent unasked. For what is larger a round trip is nothing, and it may be refused first.
 */
#define APPEND_PUSH_MAX (8 * 1024 * 1024)

struct sender;
struct sender *sender_new(struct mailbox *to, const char *folder); /* borrows to */
/* With something unanswered the mailbox is of no use any more. */
void sender_free(struct sender **s);

/*
 * Sends, in the batch's order, all messages that are FETCH_OK, not skip and still
 * APPEND_NOT_SENT, with their flags and date. Waits for answers only where the window is full;
 * the batch must stay until sender_wait() has returned. A message above the server's
 * APPENDLIMIT is APPEND_REFUSED without being sent. -1: the connection is lost or unusable, or
 * a flag or date cannot be sent. Never retries.
 *
 * It ends before a message with a gap: the caller closes that, with nothing under way, and
 * calls again.
 */
int sender_send(struct sender *s, struct batch *b, struct err *e) MUST_CHECK;
/*
 * 0: every message of the batch that was sent has its answer (which may be a refusal), in
 * appended, new_uid, text. -1: lost; those without an answer are APPEND_UNKNOWN (perhaps there)
 * or APPEND_NOT_SENT (certainly not).
 */
int sender_wait(struct sender *s, struct batch *b, struct err *e) MUST_CHECK;

/* One batch from beginning to end. */
int pipeline_append(struct mailbox *to, const char *folder, struct batch *b,
		    struct err *e) MUST_CHECK;

#endif
