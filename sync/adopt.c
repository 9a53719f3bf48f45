/*
 * Hides: how mail that stands on both sides without a journal's word is recognised: another
 * tool was here, the journal is lost, or a UIDVALIDITY has changed. Never a blind second copy.
 */
#include "sync/ahead.h"

#define PART	  8192 /* messages, about, whose digests are held at once */
#define HASH_KEPT 16   /* bytes of a header's hash: it only chooses what is looked at whole */

struct unknown {
	uint32_t *uids; /* ascending */
	size_t count;
	unsigned char (*headers)[HASH_KEPT]; /* of each; zero: not told */
	/* of one part */
	uint32_t *picked; /* whose header the other side has too */
	struct digest *digests;
	size_t picked_count, digested;
};

static void release_part(struct unknown *u)
{
	mem_free(&u->picked);
	mem_free(&u->digests);
	u->picked_count = u->digested = 0;
}

static void release(struct unknown *u)
{
	release_part(u);
	mem_free(&u->uids);
	mem_free(&u->headers);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool has_uid(const uint32_t *uids, size_t n, uint32_t uid)
{
	return n && bsearch(&uid, uids, n, sizeof uid, by_number);
}

/* Its UID on `from` means nothing any more; on the other side it is what it was. */
static bool is_orphan(const struct work *w, const struct journal_msg *row)
{
	return row->state == MSG_DONE && !row->uid[w->pass->from];
}

/* UIDs of one side that are in the listing and in no row that both sides have. */
static void find_unknown(const struct work *w, enum side s, struct unknown *u)
{
	uint32_t *known = mem_array(w->row_count + 1, sizeof *known);
	size_t n = 0;

	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].uid[s] && !is_orphan(w, &w->rows[i]))
			known[n++] = w->rows[i].uid[s];
	qsort(known, n, sizeof *known, by_number);
	u->uids = mem_array(w->seen_count[s] + 1, sizeof *u->uids);
	for (size_t i = 0; i < w->seen_count[s]; i++)
		if (!has_uid(known, n, w->seen[s][i].uid))
			u->uids[u->count++] = w->seen[s][i].uid;
	free(known);
}

static int take_header(const struct message_info *i, struct slice header, void *arg,
		       struct err *e UNUSED)
{
	struct unknown *u = arg;
	uint32_t *at = bsearch(&i->uid, u->uids, u->count, sizeof i->uid, by_number);

	if (at) {
		unsigned char hash[DIGEST_SIZE];

		digest_of_header(header, hash);
		memcpy(u->headers[at - u->uids], hash, HASH_KEPT);
	}
	return 0;
}

static int read_headers(struct work *w, enum side s, struct unknown *u, struct err *e)
{
	struct listing got;

	u->headers = mem_array(u->count + 1, sizeof *u->headers);
	return mailbox_headers(w->lane->box[s], u->uids[0], u->uids[u->count - 1], take_header,
			       u, &got, e);
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, HASH_KEPT);
}

/* Mail is divided by its header, so that a message and its copy are in one part. */
static bool is_in_part(const unsigned char header[HASH_KEPT], size_t part, size_t parts)
{
	return ((size_t)header[0] << 8 | header[1]) % parts == part;
}

/* Those of u, of this part, whose header the other side has. */
static void pick(struct unknown *u, const struct unknown *other, size_t part, size_t parts)
{
	unsigned char(*sorted)[HASH_KEPT] = mem_array(other->count + 1, sizeof *sorted);
	size_t n = 0;

	for (size_t i = 0; i < other->count; i++)
		if (is_in_part(other->headers[i], part, parts))
			memcpy(sorted[n++], other->headers[i], HASH_KEPT);
	qsort(sorted, n, sizeof *sorted, by_hash);
	u->picked = mem_array(u->count + 1, sizeof *u->picked);
	for (size_t i = 0; i < u->count && n; i++)
		if (is_in_part(u->headers[i], part, parts) &&
		    bsearch(u->headers[i], sorted, n, sizeof *sorted, by_hash))
			u->picked[u->picked_count++] = u->uids[i];
	free(sorted);
}

static int take_digest(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d,
		       void *arg, struct err *e UNUSED)
{
	struct unknown *u = arg;

	if (d) {
		u->picked[u->digested] = uid;
		u->digests[u->digested++] = *d;
	}
	return 0;
}

static int read_digests(struct work *w, enum side s, struct unknown *u, struct err *e)
{
	u->digests = mem_array(u->picked_count + 1, sizeof *u->digests);
	pass_tell(w->pass, w->f->name[w->pass->from], 0, (int64_t)u->picked_count);
	return pipeline_digest(w->lane->box[s], u->picked, u->picked_count, 0, take_digest, u,
			       e);
}

/* The row that is to be written over; 0: none. */
static int orphan_at(struct work *w, uint32_t there_uid, int64_t *id, struct err *e)
{
	struct journal_msg *row = NULL;
	size_t n = 0;
	int rc = journal_msgs_between(w->pass->journal, w->f, w->pass->to, there_uid, there_uid,
				      w->lane->pool, &row, &n, e);

	*id = n && is_orphan(w, row) ? row->id : 0;
	mem_free(&row);
	return rc;
}

static int write_row(struct work *w, uint32_t here_uid, uint32_t there_uid,
		     const struct digest *d, struct err *e)
{
	struct pass *p = w->pass;
	const struct seen *here = copy_find(w, p->from, here_uid),
			  *there = copy_find(w, p->to, there_uid);
	struct journal_msg row = { .state = MSG_DONE,
				   .size = d->size,
				   .date = here->date,
				   .flags = here->flags,
				   .kept = flags_that_fit(w->lane->pool, here->flags,
							  w->permanent),
				   .verified = { true, true },
				   .adopted = true };

	row.uid[p->from] = here_uid;
	row.uid[p->to] = there_uid;
	if (mailbox_is_pop3(w->lane->box[p->from])) { /* it knows no better */
		row.date = there->date;
		row.kept = there->flags;
	}
	if (orphan_at(w, there_uid, &row.id, e) < 0)
		return -1;
	w->adopted += !row.id;
	return journal_msg_write(p->journal, w->f, &row, d, NULL, e);
}

static int write_matches(struct work *w, const struct unknown *here,
			 const struct unknown *there, const int *match, struct err *e)
{
	struct journal *j = w->pass->journal;
	int rc;

	if (journal_begin(j, e) < 0)
		return -1;
	rc = journal_folder_write(j, w->f, e); /* whose UIDVALIDITYs the rows need */
	for (size_t i = 0; i < here->digested && rc == 0; i++)
		if (match[i] >= 0)
			rc = write_row(w, here->picked[i], there->picked[match[i]],
				       &here->digests[i], e);
	if (rc == 0)
		return journal_commit(j, e);
	journal_rollback(j);
	return -1;
}

static int adopt_part(struct work *w, struct unknown *here, struct unknown *there, size_t part,
		      size_t parts, struct err *e)
{
	int *match, rc = -1;

	pick(here, there, part, parts);
	pick(there, here, part, parts);
	if (read_digests(w, w->pass->from, here, e) == 0 &&
	    read_digests(w, w->pass->to, there, e) == 0) {
		match = mem_array(here->digested + 1, sizeof *match);
		probe_align(here->digests, here->digested, there->digests, there->digested,
			    match);
		pass_step();
		rc = write_matches(w, here, there, match, e);
		free(match);
	}
	release_part(here);
	release_part(there);
	return rc;
}

int adopt_unknown(struct work *w, struct err *e)
{
	struct unknown here = { 0 }, there = { 0 };
	bool both;
	size_t parts;
	int rc = 0;

	find_unknown(w, w->pass->from, &here);
	find_unknown(w, w->pass->to, &there);
	parts = 1 + MIN(here.count, there.count) / PART;
	both = here.count && there.count;
	if (both) {
		rc = ahead_drop(w, e);
		if (rc == 0)
			rc = read_headers(w, w->pass->from, &here, e);
		if (rc == 0)
			rc = read_headers(w, w->pass->to, &there, e);
		for (size_t i = 0; i < parts && rc == 0; i++)
			rc = pass_is_stopping(w->pass, e) < 0
				     ? -1
				     : adopt_part(w, &here, &there, i, parts, e);
	}
	release(&here);
	release(&there);
	return rc == 0 && both ? copy_load_rows(w, e) : rc;
}
