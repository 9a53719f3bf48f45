/* Hides: how two multisets are paired, phase by phase. */
#include "sync/audit.h"

#include "sync/flags.h"

const char *audit_finding_name(enum audit_finding f)
{
	static const char *const names[] = { "missing",	     "altered", "restyled",   "extra",
					     "flags",	     "date",	"unreadable", "folder",
					     "subscription", "listing", "left",	      "aged" };

	_Static_assert(COUNT(names) == AUDIT_FINDINGS, "a name for each finding");
	return names[f];
}

const char *audit_level_name(enum audit_level l)
{
	static const char *const names[] = { "headers", "full" };

	_Static_assert(COUNT(names) == AUDIT_LEVELS, "a name for each level");
	return names[l];
}

const char *audit_grade_name(enum audit_grade g)
{
	static const char *const names[] = { "perfect", "good", "investigate", "poor" };

	_Static_assert(COUNT(names) == GRADES, "a name for each grade");
	return names[g];
}

enum audit_grade audit_grade(const int64_t found[AUDIT_FINDINGS])
{
	static const enum audit_grade worst[] = {
		[AUDIT_MISSING] = GRADE_POOR,
		[AUDIT_ALTERED] = GRADE_INVESTIGATE,
		[AUDIT_RESTYLED] = GRADE_GOOD,
		[AUDIT_EXTRA] = GRADE_GOOD,
		[AUDIT_FLAGS] = GRADE_GOOD,
		[AUDIT_DATE] = GRADE_GOOD,
		[AUDIT_UNREADABLE] = GRADE_INVESTIGATE,
		[AUDIT_FOLDER] = GRADE_POOR,
		[AUDIT_SUBSCRIPTION] = GRADE_GOOD,
		[AUDIT_LISTING] = GRADE_INVESTIGATE,
		[AUDIT_LEFT] = GRADE_PERFECT,
		[AUDIT_AGED] = GRADE_INVESTIGATE,
	};
	enum audit_grade g = GRADE_PERFECT;

	_Static_assert(COUNT(worst) == AUDIT_FINDINGS, "a grade for each finding");
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		if (found[i] && worst[i] > g)
			g = worst[i];
	return g;
}

/* ---- orders: by content first, so that equals lie together */

static int by_number(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_bytes(const struct audit_message *a, const struct audit_message *b)
{
	return memcmp(a->digest.raw, b->digest.raw, DIGEST_SIZE);
}

static int by_bytes_date(const struct audit_message *a, const struct audit_message *b)
{
	int c = by_bytes(a, b);

	return c ? c : by_number(a->date, b->date);
}

static int by_all(const struct audit_message *a, const struct audit_message *b)
{
	int c = by_bytes_date(a, b);

	return c ? c : strcmp(a->flags, b->flags);
}

static int by_canon(const struct audit_message *a, const struct audit_message *b)
{
	return memcmp(a->digest.canon, b->digest.canon, DIGEST_SIZE);
}

static int by_header(const struct audit_message *a, const struct audit_message *b)
{
	return memcmp(a->digest.header, b->digest.header, DIGEST_SIZE);
}

static int by_header_date(const struct audit_message *a, const struct audit_message *b)
{
	int c = by_header(a, b);

	return c ? c : by_number(a->date, b->date);
}

static int by_header_all(const struct audit_message *a, const struct audit_message *b)
{
	int c = by_header_date(a, b);

	if (c == 0)
		c = strcmp(a->flags, b->flags);
	return c ? c : by_number((int64_t)a->digest.size, (int64_t)b->digest.size);
}

typedef int order_fn(const struct audit_message *a, const struct audit_message *b);

/* What a pair of this phase differs in; AUDIT_FINDINGS: only flags or date, if they do. */
struct phase {
	order_fn *order;
	enum audit_finding finding;
};

static const struct phase full_phases[] = {
	{ by_all, AUDIT_FINDINGS },   { by_bytes_date, AUDIT_FINDINGS },
	{ by_bytes, AUDIT_FINDINGS }, { by_canon, AUDIT_RESTYLED },
	{ by_header, AUDIT_ALTERED },
};
static const struct phase header_phases[] = {
	{ by_header_all, AUDIT_FINDINGS },
	{ by_header_date, AUDIT_FINDINGS },
	{ by_header, AUDIT_FINDINGS },
};

struct comparison {
	struct audit_message *at[SIDES]; /* those without a partner, readable */
	size_t count[SIDES];
	audit_fn *fn;
	void *arg;
	struct audit_pair *pairs;
	size_t paired, same;
	int64_t oldest; /* date of what both have */
};

static void report(struct comparison *c, enum audit_finding f, const struct audit_message *old,
		   const struct audit_message *new)
{
	const uint32_t uid[SIDES] = { old ? old->uid : 0, new ? new->uid : 0 };

	c->fn(f, uid, c->arg);
}

static void pair(struct comparison *c, const struct phase *ph, const struct audit_message *old,
		 const struct audit_message *new)
{
	if (ph->finding != AUDIT_FINDINGS)
		report(c, ph->finding, old, new);
	if (strcmp(old->flags, new->flags) != 0)
		report(c, AUDIT_FLAGS, old, new);
	if (old->date != new->date)
		report(c, AUDIT_DATE, old, new);
	c->pairs[c->paired++] = (struct audit_pair){ { old->uid, new->uid } };
	c->same += ph->finding != AUDIT_ALTERED;
	c->oldest = MIN(c->oldest, old->date);
}

static int by_order(const void *a, const void *b, void *order)
{
	return (*(order_fn *const *)order)(a, b);
}

/* Merges both sides in one order; partners leave, the others stay. */
static void run_phase(struct comparison *c, const struct phase *ph)
{
	order_fn *order = ph->order;
	struct audit_message *old = c->at[SIDE_OLD], *new = c->at[SIDE_NEW];
	size_t i = 0, k = 0, old_left = 0, new_left = 0;

	for (int s = 0; s < SIDES; s++)
		if (c->count[s])
			qsort_r(c->at[s], c->count[s], sizeof *c->at[s], by_order, &order);
	while (i < c->count[SIDE_OLD] && k < c->count[SIDE_NEW]) {
		int d = order(&old[i], &new[k]);

		if (d == 0)
			pair(c, ph, &old[i++], &new[k++]);
		else if (d < 0)
			old[old_left++] = old[i++];
		else
			new[new_left++] = new[k++];
	}
	while (i < c->count[SIDE_OLD])
		old[old_left++] = old[i++];
	while (k < c->count[SIDE_NEW])
		new[new_left++] = new[k++];
	c->count[SIDE_OLD] = old_left;
	c->count[SIDE_NEW] = new_left;
}

/* Those that could not be read are named and take no part. */
static void leave_out_unreadable(struct comparison *c, enum side s)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->count[s]; i++) {
		struct audit_message *m = &c->at[s][i];

		if (m->readable)
			c->at[s][kept++] = *m;
		else
			report(c, AUDIT_UNREADABLE, s == SIDE_OLD ? m : NULL,
			       s == SIDE_NEW ? m : NULL);
	}
	c->count[s] = kept;
}

static bool is_left(const struct audit_policy *p, const struct audit_message *m)
{
	return p->skip_deleted && flags_have(m->flags, "\\Deleted");
}

/* Old's messages without a partner. One that is too young tells that age was not the reason. */
static void report_missing(struct comparison *c, const struct audit_policy *p)
{
	const struct audit_message *old = c->at[SIDE_OLD];
	bool aged = true;

	for (size_t i = 0; i < c->count[SIDE_OLD]; i++)
		if (!is_left(p, &old[i]) && old[i].date >= MIN(p->purged_before, c->oldest))
			aged = false;
	for (size_t i = 0; i < c->count[SIDE_OLD]; i++)
		report(c,
		       is_left(p, &old[i]) ? AUDIT_LEFT
		       : aged		   ? AUDIT_AGED
					   : AUDIT_MISSING,
		       &old[i], NULL);
}

size_t audit_compare(struct audit_folder *f, enum audit_level level, audit_fn *fn, void *arg,
		     struct audit_pair **pairs)
{
	const struct phase *ph = level == AUDIT_FULL ? full_phases : header_phases;
	size_t n = level == AUDIT_FULL ? COUNT(full_phases) : COUNT(header_phases);
	struct comparison c = { .fn = fn, .arg = arg, .oldest = INT64_MAX };

	c.pairs = mem_array(f->count[SIDE_OLD] + 1, sizeof *c.pairs);
	for (int s = 0; s < SIDES; s++) {
		c.at[s] = f->at[s];
		c.count[s] = f->count[s];
		leave_out_unreadable(&c, (enum side)s);
	}
	for (size_t i = 0; i < n; i++)
		run_phase(&c, &ph[i]);
	report_missing(&c, &f->policy);
	for (size_t i = 0; i < c.count[SIDE_NEW]; i++)
		report(&c, AUDIT_EXTRA, NULL, &c.at[SIDE_NEW][i]);
	if (pairs)
		*pairs = c.pairs;
	else
		free(c.pairs);
	return c.same;
}
