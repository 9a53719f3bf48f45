/*
 * Of each folder of the journal: by what a server knows it even when it is renamed, and where
 * it is going on the side that follows. The intent is written before the command leaves.
 */
#ifndef SYNC_JOURNAL_PLACE_H
#define SYNC_JOURNAL_PLACE_H

#include "sync/journal.h"

struct journal_place {
	char *mailboxid[SIDES]; /* RFC 8474; "": not told */
	char *want;		/* its name-to-be on the side that follows; "": it has it */
	char *step;		/* a RENAME to this name was sent, or not; "": no */
};
void journal_places_free(struct journal_place **at, size_t n);

/* One for each of the folders, in their order; free with journal_places_free(). */
int journal_places(struct journal *j, const struct journal_folder *f, size_t n,
		   struct journal_place **out, struct err *e) MUST_CHECK;
int journal_place_write(struct journal *j, int64_t folder, const struct journal_place *p,
			struct err *e) MUST_CHECK;
/*
 * Other names on a side, of all these folders at once, so that two may change places.
 * name[i] NULL: it keeps its own. Inside the caller's transaction.
 */
int journal_rename(struct journal *j, const struct journal_folder *f, size_t n, enum side s,
		   const char *const *name, struct err *e) MUST_CHECK;

#endif
