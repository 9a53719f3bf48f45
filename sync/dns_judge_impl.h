/* What the files of dns_judge share: sentences. For them only. */
#ifndef SYNC_DNS_JUDGE_IMPL_H
#define SYNC_DNS_JUDGE_IMPL_H

#include "sync/dns_judge.h"

#define JUDGE_SHOWN_MAX 160 /* bytes of a value in a sentence */

struct judge {
	const struct dns_case *c;
	dns_item_fn *fn;
	void *arg;
	enum dns_verdict worst;
};

void judge_item(struct judge *j, const struct dns_item *i);
void judge_say(struct judge *j, const char *label, enum dns_verdict verdict,
	       const struct dns_want *lines, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* "10 a.test., 20 b.test."; of a long one its beginning. */
const char *judge_shown(const char *value, char out[JUDGE_SHOWN_MAX]);
/* The same, or why there is no value. */
const char *judge_said(const struct dns_said *s, char out[JUDGE_SHOWN_MAX]);

/* Are there users, and are all of them on new? */
bool judge_all_on_new(const struct dns_case *c);
/* One of the wants, as the zone's own servers have it; nothing where none of them answers. */
void judge_record(struct judge *j, size_t want);

#endif
