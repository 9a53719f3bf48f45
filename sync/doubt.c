/* Hides: what a pass does with a journal that may know less than was done
 * (sync/journal_mark.h). */
#include <poll.h>

#include "common/clock.h"
#include "sync/journal_mark.h"
#include "sync/pass.h"
#include "sync/renames.h"

#define LOOK_MS 1000 /* at most between two signs of life */

/*
 * What the worker before had sent may still be on its way through its server. What is left of
 * the wait is kept, so that the next worker need not begin anew.
 */
static int await_fence(struct pass *p, struct journal_mark *m, struct err *e)
{
	const int64_t whole = 1000LL * p->job->fence_s;
	int64_t left = m->fence ? MIN(m->fence, whole) : whole;

	while (left > 0) {
		int64_t start = clock_mono_ms();

		pass_tell(p, "", 0, 0);
		poll(NULL, 0, (int)MIN(left, (int64_t)LOOK_MS));
		left -= clock_mono_ms() - start;
		m->fence = left > 0 ? left : BATCH_FENCE_OVER;
		if (journal_mark_write(p->journal, m, e) < 0)
			return -1;
	}
	return 0;
}

int doubt_begin(struct pass *p, struct err *e)
{
	struct journal_mark m;

	if (journal_mark(p->journal, &m, e) < 0)
		return -1;
	p->doubt = m.doubt;
	if (!m.doubt)
		return 0;
	if (p->job->kind == JOB_FINAL)
		return err_set(e, ERR_TEMP, "the journal is in doubt: a pass has to end first");
	return await_fence(p, &m, e);
}

/*
 * A folder that is not where the journal has it on the other side may have been renamed there,
 * as it was on this one. What cannot be recognised as a whole is forgotten: its mail is
 * recognised under the new name, and never sent a second time to the old one.
 */
int doubt_survey(struct pass *p, struct err *e)
{
	const struct folder_info *there;
	struct journal_folder *known;
	size_t n;
	int rc;

	if (!p->doubt || pass_is_trailing(p))
		return 0;
	if (renames_recall(p, e) < 0 || journal_folders(p->journal, &known, &n, e) < 0)
		return -1;
	rc = journal_begin(p->journal, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		there = folder_list_find(&p->list[p->to], known[i].name[p->to]);
		/* Its old name may be subscribed still. */
		if (!there || there->noselect)
			rc = journal_folder_drop(p->journal, known[i].id, e);
	}
	journal_folders_free(&known, &n);
	if (rc == 0)
		return journal_commit(p->journal, e);
	journal_rollback(p->journal);
	return -1;
}

int doubt_end(struct pass *p, struct err *e)
{
	struct journal_mark m;

	if (!p->doubt || p->doubt_stays)
		return 0;
	if (journal_mark(p->journal, &m, e) < 0)
		return -1;
	m.doubt = false;
	m.fence = 0;
	pass_note(p, "the journal was an older copy: what it did not know was looked for");
	return journal_mark_write(p->journal, &m, e);
}
