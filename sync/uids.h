/*
 * The UIDs of new mail on new (sync/uid_mode.h), while a folder is copied. The mode is chosen
 * when its new mail is known, and what cannot be kept any more is given up step by step: exact,
 * floor, plain. No message is ever held back for it. What a person should know of it is kept in
 * the journal.
 *
 * The pass in step of a folder: uids_recover(), then uids_begin(), uids_fill() with each batch
 * before its intent, uids_gap() and uids_close_gap() while it is sent, uids_landed() with its
 * answers, uids_end().
 */
#ifndef SYNC_UIDS_H
#define SYNC_UIDS_H

#include "common/err.h"
#include "common/user_state.h"
#include "sync/uid_mode.h"

#define UIDS_WHY_MAX 160
#define UIDS_NO_TIME "it took longer than sync.uid_s"

/* Of a folder, as the journal has it. */
struct uid_state {
	bool known; /* some pass has chosen a mode */
	enum uid_mode mode;
	char why[UIDS_WHY_MAX]; /* it is not what was wished; "" */
	uint32_t filler;	/* fillers may stand on new from this UID on; 0: none do */
	int64_t fence;		/* as of a batch (sync/journal.h): they may still come */
};

/* Of a folder at work. Zeroed: nothing is done about its UIDs. */
struct uids {
	bool on;
	int64_t messages, bytes;     /* to come */
	struct uid_state now, before; /* before: as it stands in the journal */
	uint32_t old_next; /* of old's UIDNEXT and what is seen above it, the greater */
	uint32_t next;	   /* EXACT: what new gives next if nobody else writes there */
	uint32_t floor;	   /* FLOOR: has to be reached before anything is sent; 0: it is */
	uint32_t base, base_count; /* fillers in one row, to be copied */
};

struct batch;
struct batch_message;
struct mailbox;
struct work;

/*
 * UIDNEXT of one side, as it was told last, never more: some tell it only to STATUS, and then it
 * may be higher by now. 0: not known.
 */
uint32_t uids_told(const struct work *w, enum side s);

/* Why these servers have plain UIDs only; NULL: they may have others. */
const char *uids_servers(const struct mailbox *old, const struct mailbox *new);

/* Fillers that an interrupted pass left are taken away, once none can come any more. */
int uids_recover(struct work *w, struct err *e) MUST_CHECK;
/* n messages of so many bytes are to come, first is the lowest of their UIDs. */
int uids_begin(struct work *w, uint32_t first, size_t n, int64_t bytes,
	       struct err *e) MUST_CHECK;
/* Puts fillers between the batch's messages, or a gap before them. */
int uids_fill(struct work *w, struct batch *b, struct err *e) MUST_CHECK;
/* Is there a gap that has to be closed before the rest of the batch is sent? */
bool uids_gap(const struct batch *b);
/* The first one; with nothing under way on the connection. */
int uids_close_gap(struct work *w, struct batch *b, struct err *e) MUST_CHECK;
/* Are they where they should be? */
void uids_landed(struct work *w, const struct batch *b);
/* All is sent: up to old's UIDNEXT, and the fillers go. */
int uids_end(struct work *w, struct err *e) MUST_CHECK;
/* In the transaction that ends the folder. */
int uids_note(struct work *w, struct err *e) MUST_CHECK;
/* It ended early: they go if that can be had. */
void uids_abandon(struct work *w, const struct err *why);

#endif
