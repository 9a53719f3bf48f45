/*
 * The final report of the whole move: what became of all users, made in the loop's thread
 * a slice at a time, so that whoever asks the API is answered in between. Signed as the reports of
 * single users are (sync/report.h):
 *
 *	{"report": {"kind": "final", "store", "made", "took_ms", "cut",
 *		    "total": {…}, "waves": [{…}], "undone": [{why, count}],
 *		    "exceptions": {messages, waived, kinds, users, unread},
 *		    "verify": {not_verified: [names], doubtful: [{user, grade}]},
 *		    "strays": [{user, changes, last}], "domains": [{…}], "strangers": [{…}],
 *		    "waivers": [{…}], "acknowledgements": [{…}]},
 *	 "signature": {…}}
 */
#ifndef ADMIN_FINAL_H
#define ADMIN_FINAL_H

#include <event2/event.h>
#include <jansson.h>

#include "common/buf.h"

#define FINAL_NAMES_MAX 100000 /* in one list of it; with more, "cut" is true */

struct api;
struct final;
struct final *final_new(struct api *a, struct event_base *base);
void final_free(struct final **f);

/* Makes it anew; nothing if one is being made. */
void final_begin(struct final *f);
/* {"state": "none" | "making" | "failed" | "done", "text", "users", "made"}; text: why it
 * failed; users: looked at so far; made: when the last one that was signed was begun, or NULL. */
void final_put(const struct final *f, json_t *out);
/* Besides: "document", NULL unless it is done. */
void final_put_document(const struct final *f, json_t *out);
/* The last one that was signed; borrowed; NULL: none. */
const json_t *final_document(const struct final *f);

/* final_page.c: the document as a page. */
void final_html(const json_t *document, struct buf *out);

#endif
