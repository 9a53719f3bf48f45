/*
 * What a pass finds out about a user for the gate (sync/gate.h): counts, and of each the first
 * folder it concerns. The worker sends them with its result, the engine keeps them in the store
 * and adds what only it knows.
 */
#ifndef SYNC_FACTS_H
#define SYNC_FACTS_H

#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/user_state.h"

#define FACT_TEXT_MAX  96 /* bytes of a folder's name or a list; longer ones are cut */
#define FACT_DELTAS    3  /* last passes whose times count */
#define FACT_UNKNOWN   (-1)
#define FACTS_TOLD_MS  3000 /* nodes have told of a session by then, however slow the store */
#define FACT_COUNT_MAX ((int64_t)1 << 53) /* JSON numbers are exact up to here */

struct fact {
	int64_t count;
	char where[FACT_TEXT_MAX]; /* the first folder, UTF-8 */
};

struct facts {
	bool known; /* false: no pass has said anything */
	/* of the worker */
	int64_t in_doubt;	   /* messages of batches whose answers never came */
	int64_t paired;		   /* messages on both sides */
	struct fact other_uids;	   /* of them: with another UID on new */
	struct fact low_uids;	   /* folders where one of them is below old's UIDNEXT */
	struct fact inexact;	   /* folders that are not exact (sync/uid_mode.h) */
	struct fact same_validity; /* folders with equal UIDVALIDITY and unequal UIDs */
	struct fact strangers;	   /* messages on new that we did not copy */
	struct fact unsubscribed;  /* folders subscribed on old, and not on new */
	struct fact unused;	   /* folders for something on old (\Sent), and not on new */
	struct fact moved;	   /* old's folders that changed while the last delta ran */
	int64_t by_pop3;	   /* 1: old is read by POP3: it has no UIDs and names */
	int64_t room_bytes, room_messages; /* on new, after the pass; or FACT_UNKNOWN */
	int64_t certificate;		   /* new's lasts until then, s since 1970; 0: no TLS */
	char prefix[SIDES][FACT_TEXT_MAX], separator[SIDES][2]; /* of folders' names */
	char uids_why[FACT_TEXT_MAX]; /* the first reason for what is not as wished; "" */
	char lost[FACT_TEXT_MAX];     /* extensions of old that new has not: "IDLE QRESYNC" */
	/* of the engine */
	int64_t took_ms[FACT_DELTAS]; /* the last passes over mail in step, newest first; 0:
				       * none
				       */
	int64_t unseen;	   /* changes on old found by a pass while no node had a session */
	int64_t unseen_at; /* ms since 1970 */
	int64_t found, found_at; /* such ones that are not judged yet, and since when */
};

/* Appends it as a JSON object. */
void facts_write(const struct facts *f, struct buf *out);
/* Of an object of that kind; NULL: known is false. Fills *out either way. */
int facts_read(const json_t *object, struct facts *out, struct err *e) MUST_CHECK;
/* The same from its text. */
int facts_parse(const char *text, struct facts *out, struct err *e) MUST_CHECK;

/* One more: the first folder is kept. */
void fact_add(struct fact *f, int64_t count, const char *where);

/* ---- the worker's side */

struct pass;
struct folder_map;
/* At the end of a round of work in step. What costs a round trip is asked only where something
 * is amiss. */
int facts_gather(struct pass *p, const struct folder_map *map, struct err *e) MUST_CHECK;

#endif
