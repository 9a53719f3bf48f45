/*
 * Hides: how mail that stands on both sides without a journal's word is recognised: another
 * tool was here, the journal is lost, or a UIDVALIDITY has changed. Never a blind second copy.
 */
#include "sync/ahead.h"
#include "sync/found.h"

#define PART 8192 /* messages, about, whose digests are held at once */

/* Of each unknown message 8 bytes are in memory, however large the folder. */
struct unknown {
	uint32_t *uids; /* ascending */
	size_t count;
	/* Of each four bytes of its header's hash: it only chooses what is looked at whole. 0:
	 * not told. */
	uint32_t *headers;
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

static bool has_number(const uint32_t *at, size_t n, uint32_t number)
{
	return n && bsearch(&number, at, n, sizeof number, by_number);
}

/* Its UID on `from` means nothing any more; on the other side it is what it was. */
static bool is_orphan(const struct work *w, const struct journal_msg *row)
{
	return row->state == MSG_DONE && !row->uid[w->pass->from];
}

static void add_uid(struct unknown *u, uint32_t uid)
{
	if ((u->count & (u->count + 1)) == 0)
		u->uids = mem_grow(u->uids, u->count * 2 + 1, sizeof *u->uids);
	u->uids[u->count++] = uid;
}

/* UIDs of one side that are in the listing and in no row that both sides have. */
static void add_unknown(const struct work *w, enum side s, struct unknown *u)
{
	uint32_t *known = mem_array(w->row_count + 1, sizeof *known);
	size_t n = 0;

	for (size_t i = 0; i < w->row_count; i++)
		if (w->rows[i].uid[s] && !is_orphan(w, &w->rows[i]))
			known[n++] = w->rows[i].uid[s];
	qsort(known, n, sizeof *known, by_number);
	for (size_t i = 0; i < w->seen_count[s]; i++)
		if (!has_number(known, n, w->seen[s][i].uid))
			add_uid(u, w->seen[s][i].uid);
	free(known);
}

static int find_unknown(struct work *w, enum side s, struct unknown *u, struct err *e)
{
	const struct windows *all = &w->sweep.of[s];
	bool orphans = s == w->pass->to && w->count.without[w->pass->from];

	if (!w->sweep.on)
		add_unknown(w, s, u);
	for (size_t i = 0; i < all->count; i++) { /* of one that is not swept there are none */
		if (!all->at[i].unknown && !orphans)
			continue;
		if (sweep_uids(w, s, &all->at[i], e) < 0)
			return -1;
		add_unknown(w, s, u);
	}
	return 0;
}

static int take_header(const struct message_info *i, struct slice header, void *arg,
		       struct err *e UNUSED)
{
	struct unknown *u = arg;
	uint32_t *at = bsearch(&i->uid, u->uids, u->count, sizeof i->uid, by_number);

	if (at) {
		unsigned char hash[DIGEST_SIZE];

		digest_of_header(header, hash);
		memcpy(&u->headers[at - u->uids], hash, sizeof *u->headers);
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

/* Mail is divided by its header, so that a message and its copy are in one part. */
static bool is_in_part(uint32_t header, size_t part, size_t parts)
{
	return header % parts == part;
}

/* Those of u, of this part, whose header the other side has. */
static void pick(struct unknown *u, const struct unknown *other, size_t part, size_t parts)
{
	uint32_t *sorted = mem_array(other->count + 1, sizeof *sorted);
	size_t n = 0;

	for (size_t i = 0; i < other->count; i++)
		if (is_in_part(other->headers[i], part, parts))
			sorted[n++] = other->headers[i];
	qsort(sorted, n, sizeof *sorted, by_number);
	for (size_t i = 0; i < u->count && n; i++) {
		if (!is_in_part(u->headers[i], part, parts) ||
		    !has_number(sorted, n, u->headers[i]))
			continue;
		if ((u->picked_count & (u->picked_count + 1)) == 0)
			u->picked =
				mem_grow(u->picked, u->picked_count * 2 + 1, sizeof *u->picked);
		u->picked[u->picked_count++] = u->uids[i];
	}
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

/* What is picked, as the folder lists it: where that was swept, only UIDs are known so far. */
static int see_picked(struct work *w, enum side s, const struct unknown *u, struct err *e)
{
	struct mailbox *box = w->lane->box[s];
	struct side_of so = { w, s };
	struct listing got;
	int rc;

	if (!w->sweep.on || u->picked_count == 0)
		return 0;
	w->seen_count[s] = 0;
	rc = mailbox_is_pop3(box)
		     ? mailbox_messages(box, u->picked[0], u->picked[u->picked_count - 1],
					copy_take, &so, &got, e)
		     : mailbox_messages_of(box, u->picked, u->picked_count, copy_take, &so,
					   &got, e);
	copy_tidy_seen(w, s);
	return rc;
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

static int write_row(struct work *w, const struct seen *here, const struct seen *there,
		     const struct digest *d, struct err *e)
{
	struct pass *p = w->pass;
	struct journal_msg row = { .state = MSG_DONE,
				   .size = d->size,
				   .date = here->date,
				   .flags = here->flags,
				   .kept = flags_that_fit(w->lane->pool, here->flags,
							  w->permanent),
				   .verified = { true, true },
				   .adopted = true };

	row.uid[p->from] = here->uid;
	row.uid[p->to] = there->uid;
	if (mailbox_is_pop3(w->lane->box[p->from])) { /* it knows no better */
		row.date = there->date;
		row.kept = there->flags;
	}
	if (orphan_at(w, there->uid, &row.id, e) < 0)
		return -1;
	w->adopted += !row.id;
	if (found_adopted(w, d, e) < 0)
		return -1;
	return journal_msg_write(p->journal, w->f, &row, d, NULL, e);
}

/* One that has gone since is no match any more. */
static int write_match(struct work *w, uint32_t here_uid, uint32_t there_uid,
		       const struct digest *d, struct err *e)
{
	const struct seen *here = copy_find(w, w->pass->from, here_uid),
			  *there = copy_find(w, w->pass->to, there_uid);

	return here && there ? write_row(w, here, there, d, e) : 0;
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
			rc = write_match(w, here->picked[i], there->picked[match[i]],
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
	if (see_picked(w, w->pass->from, here, e) == 0 &&
	    see_picked(w, w->pass->to, there, e) == 0 &&
	    read_digests(w, w->pass->from, here, e) == 0 &&
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
	int rc = find_unknown(w, w->pass->from, &here, e);
	size_t parts;
	bool both;

	if (rc == 0 && here.count)
		rc = find_unknown(w, w->pass->to, &there, e);
	parts = 1 + MIN(here.count, there.count) / PART;
	both = here.count && there.count;
	if (rc == 0 && both) {
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
