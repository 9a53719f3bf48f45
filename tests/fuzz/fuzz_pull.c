/* What migration_status answers: whatever comes, the sums are sums, and the same answer is the same. */
#include "sync/pull_status.h"

#include "sync/opensrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct pull_status *s)
{
	int64_t total = 0;

	ASSERT(s->there || (s->count == 0 && !s->started));
	ASSERT(s->count <= PULL_FOLDERS_MAX);
	for (size_t i = 0; i < s->count; i++) {
		ASSERT(s->at[i].name && s->at[i].total >= 0 && s->at[i].migrated >= 0);
		ASSERT(i == 0 || strcmp(s->at[i - 1].name, s->at[i].name) < 0);
		total += s->at[i].total;
	}
	ASSERT(total == s->total);
	ASSERT(!pull_status_whole(s, NULL, NULL) || !pull_status_at_work(s, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer = json_loadb((const char *)data, size, 0, NULL);
	struct pull_status a, b;

	pull_status_read(answer, "ann", &a);
	pull_status_read(answer, "ann", &b);
	check(&a);
	ASSERT(pull_status_same(&a, &b));
	pull_status_release(&a);
	pull_status_release(&b);
	json_decref(answer);
	return 0;
}
