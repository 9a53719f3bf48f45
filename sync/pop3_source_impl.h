/* What the files of a POP3 source share (pop3_source.c, pop3_fetch.c). Private to them. */
#ifndef SYNC_POP3_SOURCE_IMPL_H
#define SYNC_POP3_SOURCE_IMPL_H

#include "sync/pop3_source.h"

/* A message of the present session; number 0: shown in an earlier one. */
struct pop3_message {
	uint32_t uid, number;
	uint64_t size; /* as LIST has it */
};

struct pop3_source {
	const struct job_side *side;
	int connect_ms, io_ms;
	pop3_dial_fn *dial; /* NULL: the side's own address */
	void *dial_arg;
	struct journal *journal; /* NULL: none */

	struct pop3_session *session; /* NULL: over */
	bool logged_in, surveyed;
	int64_t login_at; /* of the last login, mono ms; 0: none yet */
	bool settled, saw_new;
	bool with_namespaces; /* of the survey under way */

	struct pop3_message *at; /* by uid */
	size_t count;
	uint32_t uidnext;
	uint32_t unclear; /* what of the listing does not add up */
};

/* NULL: there is none with this uid. */
const struct pop3_message *pop3_source_find(const struct pop3_source *s, uint32_t uid);
/* The session is over, or never was: ERR_TEMP. */
int pop3_source_check(const struct pop3_source *s, struct err *e) MUST_CHECK;

#endif
