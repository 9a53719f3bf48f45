/* Hides: what a filler looks like, and that UIDs by the thousand cost few commands: what stands
 * there is copied in doubling numbers. */
#include "sync/filler.h"

#include "common/clock.h"
#include "sync/sender.h"

static const char text[] =
	"From: mailferry <mailferry@invalid>\r\n"
	"Date: Sat, 01 Jan 2000 00:00:00 +0000\r\n"
	"Subject: (nothing)\r\n"
	"Message-ID: <filler@mailferry.invalid>\r\n"
	"X-Mailferry-Filler: 1\r\n"
	"\r\n"
	"This message only keeps a number free while a mailbox is moved. It may be deleted.\r\n";
_Static_assert(sizeof text <= FILLER_SIZE_MAX, "as large as it says");

#define FLAGS "\\Deleted \\Seen"
#define DATE  "01-Jan-2000 00:00:00 +0000"

static struct slice bytes_of_one(void)
{
	return (struct slice){ text, sizeof text - 1 };
}

/* ---- making them */

int filler_put(struct batch *b, uint64_t *at, struct err *e)
{
	return batch_put(b, bytes_of_one(), at, e);
}

void filler_describe(struct batch_message *m, uint32_t uid, uint64_t at)
{
	*m = (struct batch_message){ .uid = uid,
				     .filler = true,
				     .fetched = FETCH_OK,
				     .digest = { .size = sizeof text - 1 },
				     .flags = mem_str(FLAGS),
				     .date = mem_str(DATE),
				     .at = at };
}

/* ---- using UIDs up */

struct burning {
	struct work *w;
	bool exact;
	uint32_t at; /* the next UID that is to be used up */
	char *why;
};

static int gave_up(struct burning *b, const char *what)
{
	snprintf(b->why, UIDS_WHY_MAX, "%.*s", UIDS_WHY_MAX - 1, what);
	return 0;
}

/* Those of n, ascending, that the server has just given. 1: as they should be. */
static int take_uids(struct burning *b, const uint32_t *uids, size_t n)
{
	struct uids *u = &b->w->uids;

	if (uids[0] < b->at || (b->exact && uids[0] != b->at) || uids[n - 1] - uids[0] != n - 1)
		return gave_up(b, "something else came into the folder");
	if (u->base_count && u->base + u->base_count == uids[0])
		u->base_count += (uint32_t)n; /* all in one row, as one range in a command */
	else if (u->base_count < n) {
		u->base = uids[0];
		u->base_count = (uint32_t)n;
	}
	b->at = uids[n - 1] + 1;
	return 1;
}

static int send_seed(struct burning *b, size_t n, struct batch *seed, struct err *e)
{
	struct work *w = b->w;
	uint64_t at;

	batch_begin(seed, n);
	if (filler_put(seed, &at, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		filler_describe(&seed->at[seed->count++], b->at + (uint32_t)i, at);
	return pipeline_append(w->lane->box[w->pass->to], w->f->name[w->pass->to], seed, e);
}

static int seed(struct burning *b, size_t n, struct err *e)
{
	uint32_t uids[FILLER_SEED];
	struct batch sent = { 0 };
	int rc = send_seed(b, n, &sent, e) < 0 ? -1 : 1;

	for (size_t i = 0; i < n && rc > 0; i++) {
		const struct batch_message *m = &sent.at[i];

		uids[i] = m->new_uid;
		if (m->appended != APPEND_OK)
			rc = gave_up(b, m->text ? m->text : "fillers are refused");
		else if (!m->new_uid || (i && uids[i] <= uids[i - 1]))
			rc = gave_up(b, "the server does not say where it puts mail");
	}
	batch_release(&sent);
	return rc > 0 ? take_uids(b, uids, n) : rc;
}

static int copy(struct burning *b, size_t n, struct err *e)
{
	struct work *w = b->w;
	enum side to = w->pass->to;
	struct mailbox *box = w->lane->box[to];
	uint32_t uidvalidity, uids[FILLER_COPIES];
	bool told;

	/* Else what was sent just now is not there to be copied. */
	if (!mailbox_quirks(box)->appends_seen && mailbox_noop(box, e) < 0)
		return -1;
	if (mailbox_copy(box, w->uids.base, n, w->f->name[to], uids, &uidvalidity, &told, e) <
	    0) {
		if (!mailbox_is_usable(box) || e->later.whom)
			return -1;
		(void)gave_up(b, e->text);
		err_clear(e);
		return 0;
	}
	if (!told || uidvalidity != w->selected[to].uidvalidity)
		return gave_up(b, "the server does not say where it copies to (COPYUID)");
	return take_uids(b, uids, n);
}

/* sync.uid_s is the whole pass's, and one folder may need more than that by itself. */
static bool is_late(const struct work *w, int64_t start)
{
	const struct pass *p = w->pass;

	return p->count.burn_ms + clock_mono_ms() - start > 1000LL * p->job->uids.seconds;
}

int filler_burn(struct work *w, uint32_t first, uint32_t count, bool exact,
		char why[static UIDS_WHY_MAX], struct err *e)
{
	struct burning b = { .w = w, .exact = exact, .at = first, .why = why };
	int64_t start = clock_mono_ms();
	int rc = copy_have_open(w, e) < 0 ? -1 : 1;

	while (rc > 0 && b.at - first < count) {
		uint32_t left = count - (b.at - first), base = w->uids.base_count;

		rc = pass_is_stopping(w->pass, e);
		if (rc == 0 && is_late(w, start))
			rc = gave_up(&b, UIDS_NO_TIME);
		else if (rc == 0)
			rc = base ? copy(&b, MIN(MIN(left, base), (uint32_t)FILLER_COPIES), e)
				  : seed(&b, MIN(left, (uint32_t)FILLER_SEED), e);
		pass_step();
	}
	w->touched = true;
	return rc;
}

/* ---- taking them away */

struct removal {
	struct digest one;
	uint32_t *uids; /* that may be fillers; of the first `count` it is known */
	size_t count;
};

static int compare(uint32_t uid, enum fetch_result r UNUSED, const struct digest *d, void *arg,
		   struct err *e UNUSED)
{
	struct removal *x = arg;

	if (d && memcmp(d->header, x->one.header, DIGEST_SIZE) == 0)
		x->uids[x->count++] = uid;
	return 0;
}

static void digest_one(struct digest *out)
{
	struct digest_stream *d = digest_stream_new();

	digest_stream_feed(d, bytes_of_one());
	digest_stream_end(d, out);
	digest_stream_free(&d);
}

int filler_remove(struct work *w, uint32_t from, struct err *e)
{
	enum side to = w->pass->to;
	struct mailbox *box = w->lane->box[to];
	struct uid_list found = { 0 };
	struct removal x = { 0 };
	int rc = copy_have_open(w, e);

	if (rc == 0 && !mailbox_quirks(box)->appends_seen)
		rc = mailbox_noop(box, e);
	if (rc == 0)
		rc = copy_unknown_there(w, from, &found, e);
	if (rc == 0 && found.count) {
		digest_one(&x.one);
		x.uids = mem_array(found.count, sizeof *x.uids);
		rc = pipeline_digest(box, found.at, found.count, FILLER_SIZE_MAX, compare, &x,
				     e);
	}
	if (rc == 0 && x.count) {
		const struct uid_list fillers = { x.uids, x.count };
		bool gone;

		rc = copy_expunge(w, &fillers, &gone, e);
		if (rc == 0 && !gone)
			rc = err_set(e, ERR_TEMP, "the server has no UIDPLUS any more");
	}
	uid_list_release(&found);
	free(x.uids);
	return rc < 0 ? err_wrap(e, "%s: folder %s: taking fillers away", side_name(to),
				 w->f->name[to])
		      : 0;
}
