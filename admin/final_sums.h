/* The final report's figures: of each wave, and of all together. */
#ifndef ADMIN_FINAL_SUMS_H
#define ADMIN_FINAL_SUMS_H

#include <jansson.h>

#include "common/store_spans.h"
#include "common/store_sums.h"
#include "sync/audit.h"

#define FINAL_REASONS_MAX 200 /* kinds of undone cutovers that are named; all are counted */

struct final_wave {
	char *name;
	struct user_sums users;
	int64_t flips, first_flip, last_flip, returns, rollbacks, undone; /* rollbacks: begun */
	int64_t logins[SIDES], failed[SIDES];
	int64_t strays, users_with_strays;
	int64_t grades[GRADES], not_verified; /* users */
	struct {
		int64_t *ms;
		size_t n, size;
	} held;
};

struct final_sums { /* zeroed: empty */
	struct final_wave *waves; /* by name */
	size_t count;
	json_t *undone; /* reason → count */
};
void final_sums_release(struct final_sums *s);
/* "" for users of none; borrowed until the next wave is met. */
struct final_wave *final_wave_get(struct final_sums *s, const char *name);

void final_sums_move(struct final_sums *s, const struct span_move *m);
void final_sums_hold(struct final_sums *s, const char *wave, int64_t held_ms);
void final_sums_logins(struct final_sums *s, const struct span_logins *l);

/* The figures of one wave, and of all; owned by the caller. Both sort the times. */
json_t *final_wave_json(struct final_wave *w);
json_t *final_total_json(const struct final_sums *s);
/* [{"why", "count"}], the most frequent first. */
json_t *final_undone_json(const struct final_sums *s);

#endif
