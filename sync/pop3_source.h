/*
 * A maildrop read by POP3, as the one folder INBOX that a mailbox shows: sync/mailbox.h hands
 * its calls over to here. Never written to; nothing in it is ever deleted.
 *
 * A POP3 session is a snapshot: new mail shows only to the next one, which a survey opens. UIDs
 * are the journal's (sync/journal_pop3.h). There are neither flags nor INTERNALDATEs, nothing
 * is said of \Seen; mail is dated by its header (sync/received.h), else by the moment it is
 * read.
 *
 * Two kinds of servers show less than they hold. Gmail shows some hundred messages, and more to
 * the next session once these were read and QUIT was said: it is said when all is safe, and
 * more sessions follow. One that deletes what was read (EXPIRE 0) does so at QUIT: none is
 * said. On both, mail that was copied counts as still there though it is no longer shown.
 */
#ifndef SYNC_POP3_SOURCE_H
#define SYNC_POP3_SOURCE_H

#include "sync/pipeline.h"
#include "sync/pop3_session.h"
#define POP3_DELAY_MAX_MS \
	15000 /* a login delay that is waited out; a longer one ends the pass */

struct pop3_source;

/* Connects and, unless side->late, logs in. The side is borrowed until it is closed. */
int pop3_source_open(const struct job_side *side, int connect_ms, int io_ms,
		     struct pop3_source **out, struct err *e) MUST_CHECK;
/* For tests: on transports that dial() makes. */
typedef struct transport *pop3_dial_fn(void *arg);
int pop3_source_open_by(pop3_dial_fn *dial, void *arg, const struct job_side *side,
			struct pop3_source **out, struct err *e) MUST_CHECK;
void pop3_source_close(struct pop3_source **s);
bool pop3_source_is_usable(const struct pop3_source *s);

/* Where its UIDs are kept, until it is closed. Without, message numbers stand for them. */
struct journal;
void pop3_source_attach(struct pop3_source *s, struct journal *j);
/* All that was read is safe: QUIT may count as "these are done". */
void pop3_source_settled(struct pop3_source *s);
/* Will a further session perhaps show mail that this one did not? */
bool pop3_source_has_more(const struct pop3_source *s);
/* Of the present session, which there must be; borrowed until the next survey. */
struct transport *pop3_source_transport(const struct pop3_source *s);
const char *pop3_source_mechanism(const struct pop3_source *s);
/* What the present session shows: messages, and their bytes by LIST. */
uint32_t pop3_source_count(const struct pop3_source *s);
int64_t pop3_source_bytes(const struct pop3_source *s);
/* What a person should know before mail is read there; "" if nothing. */
const char *pop3_source_warning(const struct pop3_source *s);

/* As the calls of the same names in mailbox.h and pipeline.h. */
int pop3_source_survey_begin(struct pop3_source *s, bool namespaces, struct err *e) MUST_CHECK;
int pop3_source_survey_end(struct pop3_source *s, struct namespace_info *space,
			   struct folder_list *folders, struct err *e) MUST_CHECK;
int pop3_source_status(struct pop3_source *s, const char *name, struct folder_info *out,
		       struct err *e) MUST_CHECK;
int pop3_source_select(const struct pop3_source *s, const char *name, struct selected *out,
		       struct err *e) MUST_CHECK;
/* mailbox_look_begin and _end. */
int pop3_source_look(const struct pop3_source *s, const char *name, struct err *e) MUST_CHECK;
int pop3_source_looked(const struct pop3_source *s, struct selected *out,
		       struct changes *changes, struct err *e) MUST_CHECK;
int pop3_source_messages(struct pop3_source *s, uint32_t lo, uint32_t hi,
			 mailbox_message_fn *fn, void *arg, struct listing *out,
			 struct err *e) MUST_CHECK;
int pop3_source_headers(struct pop3_source *s, uint32_t lo, uint32_t hi, mailbox_header_fn *fn,
			void *arg, struct listing *out, struct err *e) MUST_CHECK;
int pop3_source_uids(const struct pop3_source *s, uint32_t lo, uint32_t hi,
		     struct uid_list *out, struct err *e) MUST_CHECK;
/* Fills a batch whose UIDs are set; with a spool the bytes are kept, else only digests. */
int pop3_source_fetch(struct pop3_source *s, struct batch *b, uint64_t message_max,
		      struct err *e) MUST_CHECK;
int pop3_source_flow(struct pop3_source *s, const uint32_t *uids, size_t n,
		     const struct flow_limits *limits, pipeline_batch_fn *fn, void *arg,
		     struct err *e) MUST_CHECK;

#endif
