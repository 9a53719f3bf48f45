/*
 * The report of one user's comparison (sync/audit_user.h): a JSON document with a signature,
 *and the same as a page for people.
 *
 *	{"report": {"user", "state", "level", "sample", "started", "took_ms", "grade",
 *		    "totals": {…}, "folders": [{…}], "findings": [{…}], "exceptions": [{…}]},
 *	 "signature": {"algorithm": "ed25519", "key": HEX, "value": HEX}}
 *
 * The value signs "report" as jansson dumps it with JSON_COMPACT | JSON_SORT_KEYS. Times are
 * milliseconds since 1970, names UTF-8.
 */
#ifndef SYNC_REPORT_H
#define SYNC_REPORT_H

#include <jansson.h>

#include "sync/audit_user.h"
#include "sync/signature.h"

struct report;

/* state: of the user, by name. */
struct report *report_new(const char *user, const char *state, enum audit_level level,
			  int64_t sample, int64_t started);
void report_free(struct report **r);
void report_folder(struct report *r, const char *old_name, const char *new_name,
		   const struct audit_totals *t);
void report_finding(struct report *r, enum audit_finding f, const char *folder,
		    const uint32_t uid[SIDES]);
/* waiver: the note of who decided that it may stay behind; NULL: nobody has. Only the first
 * AUDIT_FINDINGS_MAX are kept. */
void report_exception(struct report *r, const char *folder, uint32_t uid, const char *reason,
		      const char *waiver);
/* Ends it; the document, owned by the caller. */
json_t *report_finish(struct report *r, const struct audit_totals *t, int64_t took_ms,
		      const struct signer *s);

#define REPORT_KEY "report.key" /* the key's file, in sync.reports */
/* Signs any report; the document, owned by the caller. */
json_t *report_sign(json_t *report, const struct signer *s);
/* Is this a report whose signature is of that key (hex; NULL: the one it names)? */
int report_check(const json_t *document, const char *key_hex, struct err *e) MUST_CHECK;

/* A page of its own: no scripts, nothing loaded from elsewhere. */
void report_html(const json_t *document, struct buf *out);

#endif
