/*
 * The hot path: bodies in and out, byte for byte.
 *
 * A pass copies in batches: pipeline_fetch() brings some messages into a batch (bytes in memory
 * or, above BATCH_MEMORY_MAX, in a temporary file without a name), the caller writes its
 * journal (it has all digests now), a sender (sync/sender.h) sends them, and the answers are in
 * the batch. Memory is constant whatever the size of a message.
 */
#ifndef SYNC_PIPELINE_H
#define SYNC_PIPELINE_H

#include "sync/digest.h"
#include "sync/mailbox.h"
#include "sync/refusal.h"

#define BATCH_MEMORY_MAX (4 * 1024 * 1024) /* bytes of one batch kept in memory */
#define APPEND_TEXT_MAX	 200

enum fetch_result {
	FETCH_NONE,	  /* not asked yet */
	FETCH_OK,	  /* whole; size 0 is whole too */
	FETCH_GONE,	  /* the server said OK and gave nothing: expunged */
	FETCH_UNREADABLE, /* NIL, two bodies, an answer we cannot parse, or NO: exists perhaps,
			     cannot be had */
	FETCH_TOO_LARGE	  /* above message_max; its bytes were read and dropped */
};

enum append_result {
	APPEND_NOT_SENT,  /* not one byte of the command left us: certainly not there */
	APPEND_OK,	  /* stored; uid 0: the server did not say which (no APPENDUID) */
	APPEND_REFUSED,	  /* NO or BAD that will not change: too big, policy, not a message. Not
			     stored */
	APPEND_TEMPORARY, /* NO that may change: quota, busy, no such folder. Not stored */
	APPEND_UNKNOWN /* sent, no answer: the connection was lost. Perhaps stored: look before
			  sending again */
};

struct batch_message {
	uint32_t uid; /* on the source */
	enum fetch_result fetched;
	struct digest digest; /* FETCH_OK */
	/* Owned, as in message_info. The caller may replace flags (mem_str) before the append:
	 * \Recent is never among them, keywords that the destination does not keep are the
	 * caller's to drop. */
	char *flags, *date;
	int64_t date_s;

	bool skip; /* set by the caller: do not append this one */
	bool filler;  /* no mail: it only uses up a UID there, which is in uid (sync/filler.h) */
	uint32_t gap; /* UIDs to be used up there before it may be sent; 0: none */
	enum append_result appended;
	enum refusal refusal; /* APPEND_REFUSED: why */
	uint32_t new_uidvalidity, new_uid;
	char *text; /* owned: code and text of a NO or BAD, to FETCH or APPEND; NULL: none */
	struct later later; /* APPEND_TEMPORARY: what the server asks for */
	bool full;	    /* the same: it has no room */

	uint64_t at; /* private: where its bytes are in the spool */
};

struct spool;
struct batch {			  /* zeroed it is empty */
	struct batch_message *at; /* one for each UID asked, in that order */
	size_t count;
	uint64_t bytes;	     /* of all FETCH_OK */
	size_t pending;	     /* of the sender: messages without their final answer */
	struct spool *spool; /* private, as is what follows */
	struct digest_stream *digests;
};
void batch_release(struct batch *b); /* b is empty and valid afterwards */
/* Private: empty, with a spool and room for so many. */
void batch_begin(struct batch *b, size_t room);

/*
 * UID FETCH (UID FLAGS INTERNALDATE BODY.PEEK[]) of uids[0..n), strictly ascending, from the
 * selected folder into *out, which must be empty. 0: every message has its result. -1: the
 * connection is lost or out of step; nothing in *out may be used but batch_release().
 * message_max: bytes of the largest message to take, 0: no limit. Memory and disk follow the
 * sizes: choose n by sizes known (64 messages or 8 MiB are good).
 */
int pipeline_fetch(struct mailbox *from, const uint32_t *uids, size_t n, uint64_t message_max,
		   struct batch *out, struct err *e) MUST_CHECK;

/*
 * The same for any number of messages, as they come: fn gets each batch when it is full, takes
 * what it wants of it (and leaves it empty or to be released), and may wait: then the server
 * does, too. Messages are in the order of the answers; those that were not answered come last.
 * -1 from fn breaks the connection.
 */
typedef int pipeline_batch_fn(struct batch *b, void *arg, struct err *e);
struct flow_limits {
	size_t batch_count;
	uint64_t batch_bytes; /* a larger message has a batch of its own */
	uint64_t message_max;
};
int pipeline_flow(struct mailbox *from, const uint32_t *uids, size_t n,
		  const struct flow_limits *limits, pipeline_batch_fn *fn, void *arg,
		  struct err *e) MUST_CHECK;

/*
 * For a message made from a fetched one: a batch of its own, FETCH_OK, with the flags and date
 * of `like`; its bytes are added, then ended. out must be empty.
 */
void batch_make(struct batch *out, const struct batch_message *like);
int batch_add(struct batch *b, struct slice bytes, struct err *e) MUST_CHECK;
void batch_end(struct batch *b);

/* Bytes more, of no message yet: *at is where they are. */
int batch_put(struct batch *b, struct slice bytes, uint64_t *at, struct err *e) MUST_CHECK;

/* Reads a message's bytes back: calls fn with pieces in order; what is not 0 from fn ends it
 * and is returned. */
typedef int batch_bytes_fn(struct slice bytes, void *arg, struct err *e);
int batch_read(const struct batch *b, const struct batch_message *m, batch_bytes_fn *fn,
	       void *arg, struct err *e) MUST_CHECK;

/*
 * Digests of uids[0..n) (strictly ascending) in the selected folder; fn is called once for
 * each, in their order; d is NULL unless FETCH_OK. No spool. -1 from fn ends it with that
 * error; the connection stays usable.
 */
typedef int pipeline_digest_fn(uint32_t uid, enum fetch_result r, const struct digest *d,
			       void *arg, struct err *e);
int pipeline_digest(struct mailbox *m, const uint32_t *uids, size_t n, uint64_t message_max,
		    pipeline_digest_fn *fn, void *arg, struct err *e) MUST_CHECK;

#endif
