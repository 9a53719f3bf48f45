/* Hides: when the numbers of old may be shown, and that one of new means one folder's. */
#include "sync/validity.h"
#include "common/store_validity.h"

#include <inttypes.h>

static bool is_exact(const struct facts *f)
{
	return f->known && !f->by_pop3 && f->inexact.count == 0 && f->strangers.count == 0;
}

/* By its number alone the proxy knows a folder of new: what two have is old's of none. */
static bool is_clear(const struct journal_folder *at, size_t n, size_t i)
{
	for (size_t k = 0; k < n; k++)
		if (at[k].state[SIDE_NEW].uidvalidity == at[i].state[SIDE_NEW].uidvalidity &&
		    at[k].state[SIDE_OLD].uidvalidity != at[i].state[SIDE_OLD].uidvalidity)
			return false;
	return true;
}

int validity_lines(const struct pass *p, struct buf *out, struct err *e)
{
	struct journal_folder *at;
	struct buf lines = { 0 };
	bool clear = true;
	size_t n;

	if (!is_exact(&p->result.facts))
		return 0;
	if (journal_folders(p->journal, &at, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n && clear; i++) {
		clear = at[i].state[SIDE_OLD].uidvalidity &&
			at[i].state[SIDE_NEW].uidvalidity && is_clear(at, n, i) &&
			buf_len(&lines) < STORE_VALIDITY_MAX - 64;
		buf_printf(&lines, "%" PRIu32 " %" PRIu32 "\n", at[i].state[SIDE_NEW].uidvalidity,
			   at[i].state[SIDE_OLD].uidvalidity);
	}
	if (clear)
		buf_add(out, buf_slice(&lines).p, buf_len(&lines));
	buf_release(&lines);
	journal_folders_free(&at, &n);
	return 0;
}
