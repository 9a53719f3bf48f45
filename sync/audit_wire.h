/*
 * What a comparing worker tells the engine, one JSON object an item, within the event "audit"
 *of sync/job.h:
 *
 *	{"folder": {"old": NAME|null, "new": NAME|null, "messages": [n, n], "bytes": [n, n],
 *		    "same": n, "sampled": n, "moved": b, "found": [n × AUDIT_FINDINGS]}}
 *	{"finding": {"what": "missing" …, "folder": NAME, "uid": [old, new]}}
 *
 * Checked on arrival like everything that crosses this border.
 */
#ifndef SYNC_AUDIT_WIRE_H
#define SYNC_AUDIT_WIRE_H

#include <jansson.h>

#include "common/err.h"
#include "sync/audit_user.h"

/* Objects of the caller. Names are wire names; what is no UTF-8 in them becomes "?". */
json_t *audit_wire_folder(const char *old_name, const char *new_name,
			  const struct audit_totals *t);
json_t *audit_wire_finding(enum audit_finding f, const char *folder, const uint32_t uid[SIDES]);

struct audit_item {
	bool is_folder;
	const char *name[SIDES]; /* folder: NULL: not there; finding: only [SIDE_OLD] */
	struct audit_totals totals;
	enum audit_finding what;
	uint32_t uid[SIDES];
};
/* Strings are borrowed from j. */
int audit_wire_read(const json_t *j, struct audit_item *out, struct err *e) MUST_CHECK;

#endif
