/* The store, its copies of copiers' journals, for the engine of another host. */
#ifndef COMMON_STORE_JOURNAL_H
#define COMMON_STORE_JOURNAL_H

#include "common/store.h"

#define STORE_EDITION_MAX   33		/* hex and a NUL */
#define STORE_JOURNAL_PART  (32 * 1024) /* bytes of the file in one part */
#define STORE_JOURNAL_PARTS 16384	/* of one journal */
#define STORE_PART_DIGEST   64		/* SHA-256 in hex */

/*
 * Which copy of a user's journal the store has, and who may have gone further. parts: the
 * digests of the file's parts, in order, with nothing between them.
 */
struct store_journal {
	char edition[STORE_EDITION_MAX]; /* of the copy; "": there is none yet */
	bool away;		   /* at work in a folder of journals: the copy may be stale */
	char folder[PLACE_ID_MAX]; /* that folder (""; the store was rebuilt, and nobody knows);
				    * else the one that the copy came from */
	char host[PLACE_HOST_MAX]; /* the same, for people */
	int64_t at, size;
	char *parts; /* owned; never NULL */
};
void store_journal_release(struct store_journal *j);
/* 1, 0: nothing is known of it, -1. */
int store_journal_get(struct store *st, const char *name, struct store_journal *out,
		      struct err *e) MUST_CHECK;
/* Where it is, without its parts: 1, 0: nothing is known of it, -1. */
struct journal_whereabouts {
	bool away; /* as in struct store_journal, and so are these */
	char folder[PLACE_ID_MAX], host[PLACE_HOST_MAX];
	int64_t size;
};
int store_journal_where(struct store *st, const char *name, struct journal_whereabouts *out,
			struct err *e) MUST_CHECK;
/*
 * It goes to work in this folder. seen: as it was read, NULL: there was none. 1; 0: it is
 * another one by now; -1. Like all that follows but the parts, an error in the hands of an
 * engine that has lost its lease, or has not this user on lease where it needs that.
 */
int store_journal_take(struct store *st, const char *name, const struct store_journal *seen,
		       const struct place *folder, struct err *e) MUST_CHECK;
/* Is it as it was read? 1, 0, -1. */
int store_journal_still(struct store *st, const char *name, const struct store_journal *seen,
			struct err *e) MUST_CHECK;
/* It is back from copy->folder, where it began as `before`; all its parts are written. 1, 0,
 * -1.
 */
int store_journal_put(struct store *st, const char *name, const struct store_journal *copy,
		      const char *before, struct err *e) MUST_CHECK;
/* It is back as it was. 1, 0, -1. */
int store_journal_back(struct store *st, const char *name, const struct place *folder,
		       const char *edition, struct err *e) MUST_CHECK;
/* Those that are at work in this folder, or should be, but for users whom an engine of another
 * place has on lease: folders may be shared. fn may not ask the store. */
typedef int store_journal_fn(const char *text, void *arg);
int store_journals_away(struct store *st, const struct place *folder, store_journal_fn *fn,
			void *arg, struct err *e) MUST_CHECK;
/* Parts are known by what is in them: those of two editions stand side by side. */
int store_journal_part_write(struct store *st, const char *name, const char *digest,
			     const char *body, struct err *e) MUST_CHECK;
/* 1 with *body, which the caller frees; 0: none; -1. */
int store_journal_part_read(struct store *st, const char *name, const char *digest, char **body,
			    struct err *e) MUST_CHECK;
/* The digests of all parts, ascending. */
int store_journal_parts(struct store *st, const char *name, store_journal_fn *fn, void *arg,
			struct err *e) MUST_CHECK;

#endif
