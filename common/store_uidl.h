/* The store, its rows of POP3's unique ids that clients know from old (common/uidl_map.h). */
#ifndef COMMON_STORE_UIDL_H
#define COMMON_STORE_UIDL_H

#include "common/store.h"

#define STORE_UIDL_PART	   65536	       /* bytes of one part, at most */
#define STORE_UIDL_MAX	   (256 * 1024 * 1024) /* bytes of one user's map */
#define STORE_UIDL_WHY_MAX 256
#define STORE_DIGEST_MAX   65 /* SHA-256 in hex and a NUL */

/* What is known of one user's reading by POP3; zeroed: nothing. */
struct uidl_state {
	int64_t seen;	   /* the last POP3 session that a node led to old; 0: none ever */
	int64_t mapped_at; /* when the map was written; 0: there is none */
	bool complete;	   /* every message that old shows by POP3 is in it */
	bool accepted;	   /* a person takes the map as it is, until the next one is complete */
	int64_t entries, missing, bytes;
	char digest[STORE_DIGEST_MAX]; /* over all parts */
	char why[STORE_UIDL_WHY_MAX];  /* what is missing; "" if nothing */
};

/* A POP3 session of this user was led to old. */
int store_pop3_seen(struct store *st, const char *name, struct err *e) MUST_CHECK;
int store_uidl_state(struct store *st, const char *name, struct uidl_state *out,
		     struct err *e) MUST_CHECK;
/*
 * The map in place of the one before, whole or not at all. Of s only complete, entries, missing
 * and why count. parts NULL: the map stays with its entries, what is said about it changes.
 */
int store_uidl_write(struct store *st, const char *name, const struct uidl_state *s,
		     const struct slice *parts, size_t n, struct err *e) MUST_CHECK;
/* A person takes the map as it is, or (yes false) does not any more. */
int store_uidl_accept(struct store *st, const char *name, bool yes, struct err *e) MUST_CHECK;
/* The same of many: of all or of none. */
int store_uidls_accept(struct store *st, char *const *names, size_t n, bool yes,
		       struct err *e) MUST_CHECK;
/*
 * For a node: state and map as one, checked by its digest; *map is appended to. ERR_TEMP: it is
 * being written just now. most: bytes of a map; with a larger one *map stays empty.
 */
int store_uidl_read(struct store *st, const char *name, int64_t most, struct uidl_state *out,
		    struct buf *map, struct err *e) MUST_CHECK;
/*
 * Will a client that knows old's ids find them? True for those without POP3 clients, with a
 * complete map, and where a person takes it as it is. The gate asks; so does a node before it
 * answers UIDL.
 */
bool store_uidl_serves(const struct uidl_state *s);

#endif
