/*
 * IMAP responses, one whole and bounded response at a time.
 *
 * libetpan's parser sees only complete data lines of kinds it is sound for (LIST, LSUB, STATUS,
 * SEARCH, FLAGS, CAPABILITY, ENABLED, VANISHED, QUOTA, QUOTAROOT, "n
 * FETCH|EXISTS|RECENT|EXPUNGE"), from memory: it crashes, spins or allocates without end on
 * what hostile servers send to its stream. Status lines are ours (common/wire/imap.h). Literals
 * of BODY[…] go to a sink as they arrive. Anything unknown is skipped by
 * whoever does not want it, and counted; it never breaks the connection.
 *
 * What breaks it (ERR_PROTOCOL or ERR_LIMIT, transport poisoned): a line or literal above its
 * limit, nesting too deep, a stray "{", an end in the middle, a line that is no IMAP at all.
 */
#ifndef SYNC_FRAME_H
#define SYNC_FRAME_H

#include "common/wire/imap.h"
#include "sync/transport.h"

#define FRAME_LINE_MAX                                                         \
	(1024 * 1024) /* bytes of a response without bodies; can be set higher \
		       */
#define FRAME_LITERAL_MAX (1024 * 1024) /* bytes of one literal that is no body */
#define FRAME_DEPTH_MAX	  64		/* nested parentheses */

struct mailimap_response_data; /* <libetpan/mailimap_types.h> */

enum frame_kind {
	FRAME_TAGGED,	/* reply.tag, .status, .code, .text */
	FRAME_STATUS,	/* * OK, NO, BAD, BYE, PREAUTH */
	FRAME_CONTINUE, /* + … */
	FRAME_DATA,	/* data: parsed by libetpan */
	FRAME_OTHER	/* data we or libetpan cannot parse: line only */
};

struct frame {
	enum frame_kind kind;
	struct slice line; /* whole, without its line end; each body literal replaced by "" */
	struct imap_reply reply;
	const struct mailimap_response_data *data; /* FRAME_DATA, else NULL */
	int bodies; /* literals that went to the sink in this response */
};

/*
 * Takes the body literals. begin: their size, known before the first byte, and the response's
 * text before them; end: all bytes were given. A callback that returns -1 (with e set) breaks
 * the connection: it stands inside a literal. A body that a server sends as a quoted string
 * does not come here: it is in data.
 */
struct frame_sink {
	int (*begin)(void *arg, struct slice before, uint64_t size, struct err *e);
	int (*bytes)(void *arg, struct slice bytes, struct err *e);
	int (*end)(void *arg, struct err *e);
	void *arg;
};

struct frame_reader;
/* Borrows t. */
struct frame_reader *frame_reader_new(struct transport *t);
void frame_reader_free(struct frame_reader **r);
/* NULL: body literals are kept like any other (FRAME_LITERAL_MAX). Borrowed until set again. */
void frame_set_sink(struct frame_reader *r, const struct frame_sink *sink);
void frame_set_line_max(struct frame_reader *r, size_t max);

/* The next response. *out is borrowed until the next call. */
int frame_next(struct frame_reader *r, struct frame *out, struct err *e) MUST_CHECK;
/* Responses of kind FRAME_OTHER so far. */
int64_t frame_unknown(const struct frame_reader *r);

#endif
