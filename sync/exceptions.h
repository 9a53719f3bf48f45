/*
 * Messages that cannot be copied as they are: how each is written down, what is tried (sync/
 * repair.h), where its bytes are kept, and when it is tried again. Never silent.
 */
#ifndef SYNC_EXCEPTIONS_H
#define SYNC_EXCEPTIONS_H

#include "sync/journal_exception.h"
#include "sync/pass.h"

#define EXCEPTION_SUBJECT_MAX 200   /* bytes that are kept for people */
#define EXCEPTION_HEADER_MAX  65536 /* bytes in which a subject is looked for */
#define REFUSALS_MAX	      50    /* in a row, with nothing taken: then it is the folder */

/* exceptions.c */

/* Beginning of a pass: folders with something to be tried again are worked on. */
int exceptions_wake(struct pass *p, struct err *e) MUST_CHECK;
/* This folder's are forgotten where they are to be tried again: asked for, or the servers or
 * their limits are other ones now. */
int exceptions_retry(struct work *w, struct err *e) MUST_CHECK;
/* End of a pass: exported files whose exception has ended are removed. */
int exceptions_tidy(struct pass *p, struct err *e) MUST_CHECK;

/* Inside the caller's transaction: the row is one, its reason is written. tried: "" none; final
 * false: the next pass tries again. */
int exception_add(struct work *w, const struct journal_msg *row, enum exception_kind kind,
		  const char *tried, const char *subject, const char *file, bool final,
		  struct err *e) MUST_CHECK;
/*
 * Writes a message's bytes into the user's folder for exceptions; *out is its path, "" if none
 * is kept. ERR_STORE: cannot be written.
 */
int exception_export(struct work *w, const struct batch *b, const struct batch_message *m,
		     char **out, struct err *e) MUST_CHECK;
/* Its subject, unfolded; the caller frees. */
int exception_subject(const struct batch *b, const struct batch_message *m, char **out,
		      struct err *e) MUST_CHECK;
/* For one whose bytes are not at hand: fetched once more, exported, written down. */
int exception_keep(struct work *w, const struct journal_msg *row, enum exception_kind kind,
		   struct err *e) MUST_CHECK;

/* refused.c */

/* What a settled batch was refused: repaired and sent again, or exported and written down.
 * rows: of its messages, each an exception already. */
int refused_batch(struct work *w, const struct batch *b, struct journal_msg *rows,
		  struct err *e) MUST_CHECK;

#endif
