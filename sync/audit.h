/*
 * The comparison of one folder on both sides, from nothing but what the two servers serve: two
 * multisets of messages, paired by what they are. It knows no journal and no UID map, so that
 * it can contradict the copier (sync/verify.c is the copier's own proof).
 *
 * Pairing goes from the strict to the lenient: equal bytes, flags and date; equal bytes and
 * date; equal bytes; equal but for what servers do to line ends and NUL; equal headers. What is
 * left on one side only is missing or extra. Equal messages are interchangeable, so their
 * number decides, whatever their order.
 */
#ifndef SYNC_AUDIT_H
#define SYNC_AUDIT_H

#include "common/user_state.h"
#include "sync/digest.h"

#define AUDIT_FINDINGS_MAX 1000	       /* of one user that are named; all are counted */
#define AUDIT_PURGE_AGE_S  (7 * 86400) /* what is younger was not removed for its age */

enum audit_finding {
	AUDIT_MISSING,	  /* on old only */
	AUDIT_ALTERED,	  /* the same header, another body */
	AUDIT_RESTYLED,	  /* the same but for line ends, NUL, or a server's own header fields */
	AUDIT_EXTRA,	  /* on new only */
	AUDIT_FLAGS,	  /* other flags or keywords */
	AUDIT_DATE,	  /* another INTERNALDATE */
	AUDIT_UNREADABLE, /* listed, but the server does not give it */
	AUDIT_FOLDER,	  /* a folder of old that new does not have */
	AUDIT_SUBSCRIPTION, /* subscribed on one side only */
	AUDIT_LISTING, /* a listing that does not add up: nothing of the folder is proven */
	AUDIT_LEFT,    /* on old only, as the operator wants it */
	AUDIT_AGED,    /* on old only, and of an age that new's server may have removed */
	AUDIT_FINDINGS
};
const char *audit_finding_name(enum audit_finding f); /* "missing" … */

/* How good a copy is, from its worst finding. */
enum audit_grade {
	GRADE_PERFECT,	   /* no finding */
	GRADE_GOOD,	   /* every message is there with its content; the rest differs */
	GRADE_INVESTIGATE, /* a person should look: altered bytes, a listing in doubt */
	GRADE_POOR,	   /* mail is missing */
	GRADES
};
const char *audit_grade_name(enum audit_grade g); /* "perfect" … */

enum audit_level {
	AUDIT_HEADERS, /* headers and sizes of all; no body is read */
	AUDIT_FULL,    /* every byte of every message */
	AUDIT_LEVELS
};
const char *audit_level_name(enum audit_level l); /* "headers" … */

struct audit_message {
	uint32_t uid;
	int64_t date;	      /* seconds since 1970 */
	const char *flags;    /* canonical (sync/flags.h), both sides of one pool */
	bool readable;	      /* digest is known */
	struct digest digest; /* AUDIT_HEADERS: only header, and size as the server claims */
};

/* Called for each finding; uid 0 on the side that does not have it. */
typedef void audit_fn(enum audit_finding f, const uint32_t uid[SIDES], void *arg);

struct audit_pair {
	uint32_t uid[SIDES];
};

/* What may be on old only. */
struct audit_policy {
	bool skip_deleted; /* what is marked \Deleted there */
	/* Seconds since 1970; 0: no such folder. New's server may have removed what is older
	 * than this, if it is also older than all that both sides have. */
	int64_t purged_before;
};

struct audit_folder {
	struct audit_policy policy;
	struct audit_message *at[SIDES]; /* put into another order by the comparison */
	size_t count[SIDES];
};

/*
 * Compares; returns how many messages were found on both sides with the same content (for
 * AUDIT_HEADERS: the same header). pairs, if not NULL, gets them: allocated, *pairs freed by
 * the caller.
 */
size_t audit_compare(struct audit_folder *f, enum audit_level level, audit_fn *fn, void *arg,
		     struct audit_pair **pairs);

enum audit_grade audit_grade(const int64_t found[AUDIT_FINDINGS]);

#endif
