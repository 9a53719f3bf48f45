/* Hides: what of a journal's file the store does not have yet, and how it gets there. */
#include "common/log.h"
#include "sync/depot_impl.h"
#include "sync/depot_part.h"

static int list_parts(struct task *t, int64_t size, struct buf *out, struct err *e)
{
	char *bytes = mem_array(STORE_JOURNAL_PART, 1), digest[STORE_PART_DIGEST];
	int rc = 0;

	for (int64_t at = 0; at < size && rc == 0; at += STORE_JOURNAL_PART) {
		size_t n = (size_t)MIN(size - at, (int64_t)STORE_JOURNAL_PART);

		rc = journal_bytes(t->journal, at, bytes, n, e);
		if (rc == 0) {
			depot_digest((struct slice){ bytes, n }, digest);
			buf_add(out, digest, sizeof digest);
		}
	}
	free(bytes);
	return rc;
}

static int describe(struct task *t, struct err *e)
{
	struct buf parts = { 0 };
	int rc = journal_settle(t->journal, &t->copy.size, e);

	t->count = rc == 0 ? depot_parts(t->copy.size) : 0;
	if (rc == 0 && t->count <= STORE_JOURNAL_PARTS)
		rc = list_parts(t, t->copy.size, &parts, e);
	mem_free(&t->copy.parts);
	t->copy.parts = mem_strn(buf_slice(&parts).p, buf_len(&parts));
	buf_release(&parts);
	return rc;
}

static int take_digest(const char *digest, void *arg)
{
	if (strlen(digest) == STORE_PART_DIGEST)
		buf_add(arg, digest, STORE_PART_DIGEST);
	return 0;
}

/* A copy that differs from all before. */
static int name_copy(struct depot *d, struct task *t, struct journal_mark *m, struct err *e)
{
	snprintf(m->former, sizeof m->former, "%s", t->row.edition);
	if (depot_new_edition(m->former, m->edition, e) < 0 ||
	    journal_mark_write(t->journal, m, e) < 0 || describe(t, e) < 0 ||
	    store_journal_parts(d->o.store, t->user, take_digest, &t->there, e) < 0)
		return -1;
	snprintf(t->copy.edition, sizeof t->copy.edition, "%s", m->edition);
	snprintf(t->copy.folder, sizeof t->copy.folder, "%s", d->folder.id);
	return 0;
}

static void tell_too_large(struct depot *d, const struct task *t)
{
	struct log_about about = { .what = "user", .user = t->user };
	struct err ignored = { 0 };

	if (names_has(&d->told, t->user))
		return;
	log_warn(&about,
		 "the journal has %lld bytes, more than the %lld that are copied to the store: "
		 "an engine of another host would have to go on from an older copy",
		 (long long)t->copy.size, (long long)STORE_JOURNAL_PARTS * STORE_JOURNAL_PART);
	if (names_add(&d->told, t->user, &ignored) < 0)
		err_clear(&ignored);
}

/* 1: there is nothing to be copied. */
static int begin_leaving(struct depot *d, struct task *t, struct err *e)
{
	struct journal_mark m;
	int got = store_journal_get(d->o.store, t->user, &t->row, e);

	if (got <= 0 || !t->row.away || strcmp(t->row.folder, d->folder.id) != 0)
		return got < 0 ? -1 : 1; /* it is not ours any more */
	if (access(t->path, F_OK) < 0)	 /* no pass came so far, or the file is lost */
		return *t->row.edition || store_journal_back(d->o.store, t->user, &d->folder,
							     "", e) >= 0
			       ? 1
			       : -1;
	if (journal_open(&t->journal, t->path, e) < 0 || journal_mark(t->journal, &m, e) < 0 ||
	    describe(t, e) < 0)
		return -1;
	if (t->count > STORE_JOURNAL_PARTS) {
		tell_too_large(d, t);
		return 1;
	}
	if (depot_is(&m, t->row.edition, false) && strcmp(t->copy.parts, t->row.parts) == 0)
		return store_journal_back(d->o.store, t->user, &d->folder, m.edition, e) < 0
			       ? -1
			       : 1;
	return name_copy(d, t, &m, e);
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(a, b, STORE_PART_DIGEST);
}

static bool has_part(const struct task *t, size_t at)
{
	struct slice all = buf_slice(&t->there);

	return all.n && bsearch(depot_part(t->copy.parts, at), all.p, all.n / STORE_PART_DIGEST,
				STORE_PART_DIGEST, by_digest);
}

static int leave_part(struct depot *d, struct task *t, struct err *e)
{
	int64_t at = (int64_t)t->done * STORE_JOURNAL_PART;
	size_t n = (size_t)MIN(t->copy.size - at, (int64_t)STORE_JOURNAL_PART);
	char *bytes = mem_array(n, 1), digest[STORE_PART_DIGEST + 1] = "";
	struct buf text = { 0 };
	int rc = journal_bytes(t->journal, at, bytes, n, e);

	if (rc == 0) {
		depot_digest((struct slice){ bytes, n }, digest);
		/* The lock keeps workers out. */
		if (memcmp(digest, depot_part(t->copy.parts, t->done), STORE_PART_DIGEST) != 0)
			rc = err_set(e, ERR_TEMP, "it was written to while it was copied");
	}
	if (rc == 0) {
		depot_pack((struct slice){ bytes, n }, &text);
		rc = store_journal_part_write(d->o.store, t->user, digest, buf_slice(&text).p,
					      e);
	}
	buf_release(&text);
	free(bytes);
	return rc;
}

int depot_leave(struct depot *d, struct task *t, struct err *e)
{
	int written = 0;

	if (!t->journal) {
		int rc = begin_leaving(d, t, e);

		if (rc)
			return rc;
	}
	for (; t->done < t->count && written < TURN_PARTS; t->done++) {
		if (has_part(t, t->done))
			continue;
		if (leave_part(d, t, e) < 0)
			return -1;
		written++;
	}
	if (t->done < t->count)
		return 0;
	return store_journal_put(d->o.store, t->user, &t->copy, t->row.edition, e) < 0 ? -1 : 1;
}
