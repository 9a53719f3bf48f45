/* Hides: how a user's folders are read on both sides, and which messages are a sample. */
#include "sync/audit_user.h"

#include <openssl/rand.h>

#include "common/clock.h"
#include "sync/flags.h"
#include "sync/folders.h"
#include "sync/pipeline.h"

struct finding {
	enum audit_finding kind;
	uint32_t uid[SIDES];
};

/* One folder at work. */
struct look {
	struct audit_user *a;
	struct flag_pool *pool;
	const char *name[SIDES]; /* [SIDE_NEW] NULL: not there */
	struct audit_message *at[SIDES];
	size_t count[SIDES], room[SIDES];
	struct folder_info before[SIDES];
	struct finding *findings;
	size_t found;
	struct audit_totals t;
	enum side reading;
	struct audit_policy policy;
};

double audit_sample_bound(int64_t k)
{
	return k <= 3 ? 1 : 3.0 / (double)k;
}

/* ---- reading a folder */

static struct audit_message *add_message(struct look *l, const struct message_info *i)
{
	enum side s = l->reading;

	if (l->count[s] == l->room[s]) {
		l->room[s] = l->room[s] ? 2 * l->room[s] : 256;
		l->at[s] = mem_grow(l->at[s], l->room[s], sizeof *l->at[s]);
	}
	l->at[s][l->count[s]] = (struct audit_message){
		.uid = i->uid,
		.date = i->date_s,
		.flags = flags_of(l->pool, slice_of(i->flags)),
		.digest = { .size = i->size },
	};
	return &l->at[s][l->count[s]++];
}

static int take_message(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	add_message(arg, i);
	return 0;
}

static int take_header(const struct message_info *i, struct slice header, void *arg,
		       struct err *e UNUSED)
{
	struct audit_message *m = add_message(arg, i);

	digest_of_header(header, m->digest.header);
	m->readable = true;
	return 0;
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct audit_message *)a)->uid;
	uint32_t y = ((const struct audit_message *)b)->uid;

	return x < y ? -1 : x > y;
}

/* A server may name a message twice. */
static void tidy(struct look *l)
{
	enum side s = l->reading;
	size_t kept = 0;

	if (l->count[s])
		qsort(l->at[s], l->count[s], sizeof *l->at[s], by_uid);
	for (size_t i = 0; i < l->count[s]; i++)
		if (kept == 0 || l->at[s][kept - 1].uid != l->at[s][i].uid)
			l->at[s][kept++] = l->at[s][i];
	l->count[s] = kept;
}

struct bodies {
	struct audit_message *at; /* by uid, as they were asked for */
	size_t next;
};

static int take_body(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d,
		     void *arg, struct err *e UNUSED)
{
	struct bodies *b = arg;
	struct audit_message *m = &b->at[b->next++];

	ASSERT(m->uid == uid);
	m->readable = d != NULL;
	if (d)
		m->digest = *d;
	return 0;
}

static int read_bodies(struct mailbox *box, struct audit_message *at, size_t n, struct err *e)
{
	uint32_t *uids = mem_array(n + 1, sizeof *uids);
	struct bodies b = { .at = at };
	int rc;

	for (size_t i = 0; i < n; i++)
		uids[i] = at[i].uid;
	rc = pipeline_digest(box, uids, n, 0, take_body, &b, e);
	free(uids);
	return rc;
}

static int read_side(struct look *l, enum side s, enum audit_level level, struct err *e)
{
	struct mailbox *box = l->a->box[s];
	struct listing got;
	struct selected sel;
	int rc;

	l->reading = s;
	l->count[s] = 0;
	if (mailbox_select(box, l->name[s], true, &sel, e) < 0)
		return -1;
	rc = level == AUDIT_FULL ? mailbox_messages(box, 1, 0, take_message, l, &got, e)
				 : mailbox_headers(box, 1, 0, take_header, l, &got, e);
	if (rc < 0)
		return -1;
	tidy(l);
	if (got.unparsed || l->count[s] < sel.messages)
		l->t.found[AUDIT_LISTING]++;
	if (level == AUDIT_FULL && read_bodies(box, l->at[s], l->count[s], e) < 0)
		return -1;
	for (size_t i = 0; i < l->count[s]; i++)
		l->t.bytes[s] += (int64_t)l->at[s][i].digest.size;
	l->t.messages[s] = (int64_t)l->count[s];
	return 0;
}

/* POP3 tells neither flags nor dates: there is nothing to compare with. */
static void forget_flags_and_dates(struct look *l)
{
	for (int s = 0; s < SIDES; s++)
		for (size_t i = 0; i < l->count[s]; i++) {
			l->at[s][i].flags = flags_of(l->pool, SLICE(""));
			l->at[s][i].date = 0;
		}
}

static int read_sides(struct look *l, enum audit_level level, struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		if (read_side(l, (enum side)s, level, e) < 0)
			return err_wrap(e, "%s: folder %s", side_name((enum side)s),
					l->name[s]);
	if (mailbox_is_pop3(l->a->box[SIDE_OLD]))
		forget_flags_and_dates(l);
	return 0;
}

/* ---- comparing a folder */

static void note(enum audit_finding f, const uint32_t uid[SIDES], void *arg)
{
	struct look *l = arg;

	l->t.found[f]++;
	if (l->found == AUDIT_FINDINGS_MAX)
		return;
	l->findings = mem_grow(l->findings, l->found + 1, sizeof *l->findings);
	l->findings[l->found++] = (struct finding){ f, { uid[SIDE_OLD], uid[SIDE_NEW] } };
}

static void start_over(struct look *l)
{
	l->found = 0;
	l->t = (struct audit_totals){ 0 };
}

/* About `sample` of all messages of the user, by chance. */
static bool is_chosen(const struct audit_user *a, int64_t total)
{
	uint64_t dice;

	ASSERT(RAND_bytes((unsigned char *)&dice, sizeof dice) == 1);
	return total <= a->sample || (int64_t)(dice % (uint64_t)total) < a->sample;
}

static int pair_by(const void *a, const void *b, void *side)
{
	const enum side s = *(const enum side *)side;
	uint32_t x = ((const struct audit_pair *)a)->uid[s];
	uint32_t y = ((const struct audit_pair *)b)->uid[s];

	return x < y ? -1 : x > y;
}

/* The digests of one side's half of the pairs, in the order of old's UIDs. */
static int read_half(struct look *l, struct audit_pair *pairs, size_t n, enum side s,
		     struct audit_message *out, struct err *e)
{
	enum side old = SIDE_OLD;
	struct audit_message *by_own = mem_array(n + 1, sizeof *by_own);
	int rc;

	qsort_r(pairs, n, sizeof *pairs, pair_by, &s);
	for (size_t i = 0; i < n; i++)
		by_own[i].uid = pairs[i].uid[s];
	rc = read_bodies(l->a->box[s], by_own, n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		out[i] = by_own[i];
		out[i].uid = pairs[i].uid[old]; /* the pair's name */
	}
	if (n)
		qsort(out, n, sizeof *out, by_uid);
	free(by_own);
	return rc;
}

/* *equal: the sampled pairs have the same bytes. */
static int compare_sample(struct look *l, struct audit_pair *pairs, size_t n, bool *equal,
			  struct err *e)
{
	struct audit_message *half[SIDES];
	int rc = 0;

	*equal = true;
	for (int s = 0; s < SIDES; s++)
		half[s] = mem_array(n + 1, sizeof *half[s]);
	for (int s = 0; s < SIDES && rc == 0 && n; s++)
		rc = read_half(l, pairs, n, (enum side)s, half[s], e);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!half[SIDE_OLD][i].readable || !half[SIDE_NEW][i].readable ||
		    memcmp(half[SIDE_OLD][i].digest.raw, half[SIDE_NEW][i].digest.raw,
			   DIGEST_SIZE) != 0)
			*equal = false;
	for (int s = 0; s < SIDES; s++)
		free(half[s]);
	l->t.sampled = (int64_t)n;
	return rc;
}

static int compare_at(struct look *l, enum audit_level level, int64_t total, bool *done,
		      struct err *e)
{
	struct audit_folder f;
	struct audit_pair *pairs;
	size_t n = 0;
	int rc = 0;

	*done = true;
	start_over(l);
	if (read_sides(l, level, e) < 0)
		return -1;
	f = (struct audit_folder){ .policy = l->policy,
				   .at = { l->at[SIDE_OLD], l->at[SIDE_NEW] },
				   .count = { l->count[SIDE_OLD], l->count[SIDE_NEW] } };
	l->t.same = (int64_t)audit_compare(&f, level, note, l, &pairs);
	if (level == AUDIT_FULL)
		l->t.sampled = l->t.same;
	else if (l->a->sample) {
		for (int64_t i = 0; i < l->t.same; i++)
			if (is_chosen(l->a, total))
				pairs[n++] = pairs[i];
		rc = compare_sample(l, pairs, n, done, e);
	}
	free(pairs);
	return rc;
}

/* Whether somebody wrote to the folder while it was read. */
static int look_again(struct look *l, struct err *e)
{
	for (int s = 0; s < SIDES; s++) {
		const struct folder_info *then = &l->before[s];
		struct folder_info now = { 0 };

		if (mailbox_unselect(l->a->box[s], e) < 0 ||
		    mailbox_status(l->a->box[s], l->name[s], &now, e) < 0)
			return err_wrap(e, "%s: folder %s", side_name((enum side)s),
					l->name[s]);
		if (then->has_status &&
		    (then->uidnext != now.uidnext || then->messages != now.messages ||
		     then->highestmodseq != now.highestmodseq))
			l->t.moved = true;
		folder_info_release(&now);
	}
	return 0;
}

static bool is_clean(const struct look *l)
{
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		if (l->t.found[i])
			return false;
	return true;
}

static int compare_folder(struct look *l, int64_t total, struct err *e)
{
	bool done;

	if (compare_at(l, l->a->level, total, &done, e) < 0)
		return -1;
	if (!done && compare_at(l, AUDIT_FULL, total, &done, e) < 0)
		return -1;
	return is_clean(l) ? 0 : look_again(l, e);
}

/* ---- all folders */

struct tour {
	struct audit_user *a;
	struct flag_pool *pool;
	struct folder_list list[SIDES];
	struct namespace_info space[SIDES];
	struct folder_map map;
	bool *taken; /* of new's list: belongs to a folder of old */
	int64_t total;
};

void audit_totals_add(struct audit_totals *sum, const struct audit_totals *t)
{
	sum->folders += t->folders;
	for (int s = 0; s < SIDES; s++) {
		sum->messages[s] += t->messages[s];
		sum->bytes[s] += t->bytes[s];
	}
	sum->same += t->same;
	sum->sampled += t->sampled;
	sum->moved |= t->moved;
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		sum->found[i] += t->found[i];
}

static void hand_out(struct tour *t, struct look *l)
{
	struct audit_user *a = t->a;
	const uint32_t nobody[SIDES] = { 0, 0 };

	for (size_t i = 0; i < l->found; i++)
		a->on_found(l->findings[i].kind, l->name[SIDE_OLD], l->findings[i].uid, a->arg);
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		if (l->t.found[i] &&
		    (i == AUDIT_FOLDER || i == AUDIT_LISTING || i == AUDIT_SUBSCRIPTION ||
		     (i == AUDIT_LEFT && !l->name[SIDE_NEW])))
			a->on_found((enum audit_finding)i, l->name[SIDE_OLD], nobody, a->arg);
	l->t.folders = 1;
	a->on_folder(l->name[SIDE_OLD], l->name[SIDE_NEW], &l->t, a->arg);
	audit_totals_add(&a->totals, &l->t);
}

static void look_release(struct look *l)
{
	for (int s = 0; s < SIDES; s++)
		free(l->at[s]);
	free(l->findings);
}

static struct look look_at(struct tour *t, const struct folder_pair *p,
			   const struct folder_info *old, const struct folder_info *new)
{
	struct look l = { .a = t->a, .pool = t->pool, .name = { old->name, new->name } };

	l.policy.skip_deleted = t->a->skip_deleted;
	if (p->use == USE_TRASH || p->use == USE_JUNK)
		l.policy.purged_before = clock_real_ms() / 1000 - AUDIT_PURGE_AGE_S;
	l.before[SIDE_OLD] = *old;
	l.before[SIDE_NEW] = *new;
	return l;
}

static int visit(struct tour *t, const struct folder_pair *p, const struct folder_info *old,
		 const struct folder_info *new, struct err *e)
{
	struct look l = look_at(t, p, old, new);
	int rc = compare_folder(&l, t->total, e);

	if (rc == 0) {
		l.t.found[AUDIT_SUBSCRIPTION] += old->subscribed != new->subscribed &&
						 !mailbox_is_pop3(t->a->box[SIDE_OLD]);
		hand_out(t, &l);
	}
	look_release(&l);
	return rc;
}

/* Not under its name: a folder of new that nobody else has, with just these messages? */
static int visit_lost(struct tour *t, const struct folder_pair *p,
		      const struct folder_info *old, struct err *e)
{
	struct look none = { .a = t->a, .name = { old->name, NULL } };

	for (size_t i = 0; i < t->list[SIDE_NEW].count && old->messages; i++) {
		const struct folder_info *new = &t->list[SIDE_NEW].at[i];
		struct look l = look_at(t, p, old, new);
		bool found = false;

		if (t->taken[i] || new->noselect || new->messages != old->messages)
			continue;
		if (compare_folder(&l, t->total, e) < 0) {
			look_release(&l);
			return -1;
		}
		found = l.t.same == l.t.messages[SIDE_OLD];
		if (found) {
			t->taken[i] = true;
			hand_out(t, &l);
		}
		look_release(&l);
		if (found)
			return 0;
	}
	none.t.found[AUDIT_FOLDER] = 1;
	none.t.found[AUDIT_MISSING] = none.t.messages[SIDE_OLD] = old->messages;
	hand_out(t, &none);
	return 0;
}

static const struct folder_info *counterpart(struct tour *t, const struct folder_pair *p)
{
	const struct folder_info *new =
		p->exists ? folder_list_find(&t->list[SIDE_NEW], p->name[SIDE_NEW]) : NULL;

	return new && !new->noselect ? new : NULL;
}

/* Folders of new that no folder of old is: their mail is new's own. */
static void count_strangers(struct tour *t)
{
	for (size_t i = 0; i < t->list[SIDE_NEW].count; i++) {
		const struct folder_info *new = &t->list[SIDE_NEW].at[i];
		struct audit_totals own = { .folders = 1 };

		if (t->taken[i] || new->noselect || !new->messages)
			continue;
		own.messages[SIDE_NEW] = own.found[AUDIT_EXTRA] = new->messages;
		t->a->on_folder(NULL, new->name, &own, t->a->arg);
		audit_totals_add(&t->a->totals, &own);
	}
}

/* Folders that were not to be copied: nobody looks into them. */
static void tell_left(struct tour *t)
{
	for (size_t i = 0; i < t->map.left_count; i++) {
		const struct folder_info *old = t->map.left[i].info;
		struct look l = { .a = t->a, .name = { old->name, NULL } };

		l.t.found[AUDIT_LEFT] = l.t.messages[SIDE_OLD] = old->messages;
		hand_out(t, &l);
	}
}

static int visit_all(struct tour *t, struct err *e)
{
	for (int again = 0; again < 2;
	     again++) /* the lost ones last: the others have first choice */
		for (size_t i = 0; i < t->map.count; i++) {
			const struct folder_pair *p = &t->map.at[i];
			const struct folder_info *old =
				folder_list_find(&t->list[SIDE_OLD], p->name[SIDE_OLD]);
			const struct folder_info *new = counterpart(t, p);

			if (p->container || !old || (again == 0) != (new != NULL))
				continue;
			if (new)
				t->taken[new - t->list[SIDE_NEW].at] = true;
			if (new ? visit(t, p, old, new, e) < 0 : visit_lost(t, p, old, e) < 0)
				return -1;
		}
	count_strangers(t);
	tell_left(t);
	return 0;
}

static int list_sides(struct tour *t, struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		if (mailbox_survey_begin(t->a->box[s], true, e) < 0 ||
		    mailbox_survey_end(t->a->box[s], &t->space[s], &t->list[s], e) < 0)
			return err_wrap(e, "%s: folders", side_name((enum side)s));
	for (size_t i = 0; i < t->list[SIDE_OLD].count; i++)
		t->total += t->list[SIDE_OLD].at[i].messages;
	return 0;
}

int audit_user(struct audit_user *a, struct err *e)
{
	struct tour t = { .a = a, .pool = flag_pool_new() };
	int rc = list_sides(&t, e);

	a->totals = (struct audit_totals){ 0 };
	if (rc == 0) {
		struct folder_side sides[SIDES];

		for (int s = 0; s < SIDES; s++)
			sides[s] = (struct folder_side){ &t.list[s], &t.space[s] };
		folders_map(sides, SIDE_OLD, &(struct folder_wishes){ .rules = a->rules },
			    &t.map);
		t.taken = mem_array(t.list[SIDE_NEW].count + 1, sizeof *t.taken);
		rc = visit_all(&t, e);
	}
	free(t.taken);
	folder_map_release(&t.map);
	for (int s = 0; s < SIDES; s++) {
		folder_list_release(&t.list[s]);
		namespace_info_release(&t.space[s]);
	}
	flag_pool_free(&t.pool);
	return rc;
}
