/*
 * The folders as such, before any mail moves: mapped, made on the other side, recorded; and
 * what remains to be said of them afterwards: subscriptions. All on the pass's first lane.
 */
#ifndef SYNC_TREE_H
#define SYNC_TREE_H

#include "sync/pass.h"

#define TREE_ROUNDS_MAX 40 /* of making and mapping anew, while a server refuses names */

/* Only maps what p->list says; p->journal may be NULL. The map borrows from the lists. */
int tree_map(struct pass *p, struct folder_map *out, struct err *e) MUST_CHECK;
/*
 * Maps what p->list says and makes what is missing. Each pair that is there afterwards is in
 * the journal; a folder whose name the server refuses gets another, told to people; one that
 * gets none makes the pass unclean. p->list of the other side is up to date afterwards.
 */
int tree_make(struct pass *p, struct folder_map *out, struct err *e) MUST_CHECK;
/* Before the flip: subscriptions follow, also those of folders that do not exist. */
int tree_subscribe(struct pass *p, const struct folder_map *map, struct err *e) MUST_CHECK;

#endif
