/*
 * The part of the journal that people read: messages that could not be copied and why, what was
 * changed before a server took a message, and what a server would not keep of one. Rows end
 * with their message's row.
 */
#ifndef SYNC_JOURNAL_EXCEPTION_H
#define SYNC_JOURNAL_EXCEPTION_H

#include "sync/journal.h"

#define EXCEPTION_TEXT_MAX 500 /* bytes of a subject, of what was tried, of a note */

enum exception_kind {
	EXCEPTION_OTHER,      /* of a journal of the first schema */
	EXCEPTION_CONTENT,    /* refused as it is, and with every repair */
	EXCEPTION_SIZE,	      /* larger than the server or sync.message_max allows */
	EXCEPTION_POLICY,     /* a virus scanner or a rule said no: nothing was tried */
	EXCEPTION_UNREADABLE, /* listed, but not to be had */
	EXCEPTION_ALTERED,    /* the copy has other bytes */
	EXCEPTION_KINDS
};
const char *exception_kind_name(enum exception_kind k);
/* -1: there is none of this name. */
int exception_kind_find(const char *name);

struct journal_exception {
	enum exception_kind kind;
	const char *tried;   /* repairs that did not help; "" none */
	const char *subject; /* as in the message, unfolded; "" unknown */
	const char *file;    /* where its bytes were exported to; "" nowhere */
	const char *server;  /* who said no, and its limits: another one is asked again */
	int64_t since;	     /* real ms */
	bool retry;	     /* the next pass tries again */
	bool waived;
	const char *note; /* of who waived it */

	/* only when read: of the message */
	const char *folder; /* on old */
	int64_t msg;
	uint32_t uid[SIDES];
	uint64_t size;
	int64_t date; /* seconds since 1970 */
	const char *reason;
};

/* Writes or overwrites it for a row in state EXCEPTION; a waiver stays if the kind does. */
int journal_exception_write(struct journal *j, int64_t msg, const struct journal_exception *x,
			    struct err *e) MUST_CHECK;
/* The message is no exception any more. */
int journal_exception_end(struct journal *j, int64_t msg, struct err *e) MUST_CHECK;
/* Strings are borrowed during the call. Of one folder, or (0) of all; by folder and UID. */
typedef int journal_except_fn(const struct journal_exception *x, void *arg);
int journal_exceptions_each(struct journal *j, int64_t folder, journal_except_fn *fn, void *arg,
			    struct err *e) MUST_CHECK;

/* Those that were said by other servers than `here` are to be tried again, unless waived; their
 * folders, and those of all that are to be, count as unsettled. */
int journal_exceptions_wake(struct journal *j, const char *here, struct err *e) MUST_CHECK;

/* What was done to a message before the other side took it. */
struct journal_repair {
	const char *receipt;	     /* see repair_receipt() */
	const char *refusal;	     /* what the server said to it as it was */
	struct digest before, after; /* of after only raw and size are kept here */
	int64_t at;		     /* real ms */
	/* only when read */
	const char *folder;
	uint32_t uid[SIDES];
};
int journal_repair_write(struct journal *j, int64_t msg, const struct journal_repair *r,
			 struct err *e) MUST_CHECK;
int journal_repair_drop(struct journal *j, int64_t msg, struct err *e) MUST_CHECK;
typedef int journal_repair_fn(const struct journal_repair *r, void *arg);
int journal_repairs_each(struct journal *j, journal_repair_fn *fn, void *arg,
			 struct err *e) MUST_CHECK;

/* What the other side did not keep of a message, and never will. "" ends it. */
int journal_difference(struct journal *j, int64_t msg, const char *what,
		       struct err *e) MUST_CHECK;

struct journal_specials {
	int64_t waived, repaired, differences;
};
int journal_specials(struct journal *j, struct journal_specials *out, struct err *e) MUST_CHECK;

/* ---- the desk: beside a worker that may be at the journal */

/*
 * Opens an existing journal to read the above and to write wishes into it, without the worker's
 * lock. 1 opened, 0 there is none yet, -1. Where a worker is just writing, a wish is ERR_TEMP.
 */
int journal_open_desk(struct journal **out, const char *path, struct err *e) MUST_CHECK;

/* Which exceptions: by folder (on old) and UID, or of a kind, or all. */
struct exception_choice {
	const char *folder; /* NULL: any */
	uint32_t uid;	    /* on old; 0: any */
	int kind;	    /* with has_kind */
	bool has_kind;
};
/* on false takes waivers back. *n: how many are now otherwise than before. */
int journal_waive(struct journal *j, const struct exception_choice *c, bool on,
		  const char *note, int *n, struct err *e) MUST_CHECK;
/* Those not waived are tried again at the next pass. */
int journal_retry(struct journal *j, int *n, struct err *e) MUST_CHECK;

#endif
