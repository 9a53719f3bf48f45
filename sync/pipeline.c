/* Hides: how bodies come in: many for one command, and answers in any order. */
#include "sync/pipeline.h"

#include <inttypes.h>

#include "sync/mailbox_impl.h"
#include "sync/spool.h"

#define DIGEST_CHUNK 1000 /* messages whose digests are held before they are handed out */

void batch_release(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->at[i].flags);
		free(b->at[i].date);
		free(b->at[i].text);
	}
	free(b->at);
	spool_free(&b->spool);
	digest_stream_free(&b->digests);
	*b = (struct batch){ 0 };
}

static void batch_start(struct batch *b, const uint32_t *uids, size_t n)
{
	*b = (struct batch){ .at = mem_array(MAX(n, (size_t)1), sizeof *b->at), .count = n };
	for (size_t i = 0; i < n; i++) {
		ASSERT(uids[i] > (i ? uids[i - 1] : 0));
		b->at[i].uid = uids[i];
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct batch_message *batch_find(struct batch *b, uint32_t uid)
{
	size_t lo = 0, hi = b->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->at[mid].uid == uid)
			return &b->at[mid];
		if (b->at[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- bodies in */

/* Messages as they come, cut into batches on the way. */
struct flow {
	const uint32_t *uids; /* asked for */
	bool *answered;
	size_t count;
	size_t batch_count;
	uint64_t batch_bytes;
	pipeline_batch_fn *fn;
	void *arg;
};

struct fetcher {
	struct batch *b;   /* its spool is NULL when only digests are wanted */
	struct flow *flow; /* NULL: b has a place for each message that was asked for */
	uint64_t max;	   /* 0: none */
	struct digest_stream *digests;
	struct fetch_scratch scratch;
	bool last; /* nothing is asked for after this command */
	bool ends; /* what is asked for is the end of it */
	bool odd;  /* an answer could not be read: it may have been any message's */

	/* the body that the present answer carries */
	uint64_t start; /* in the spool */
	uint64_t size;
	bool too_large;
	struct digest digest;
};

void batch_begin(struct batch *b, size_t room)
{
	*b = (struct batch){ .at = mem_array(room, sizeof *b->at),
			     .spool = spool_new(BATCH_MEMORY_MAX) };
}

static void flow_begin(struct fetcher *f)
{
	batch_begin(f->b, f->flow->batch_count);
	f->start = 0;
}

/* The batch is the receiver's; the next one begins. */
static int flow_cut(struct fetcher *f, struct err *e)
{
	int rc = 0;

	if (f->b->count == 0)
		return 0;
	rc = f->flow->fn(f->b, f->flow->arg, e);
	batch_release(f->b);
	flow_begin(f);
	return rc;
}

static int body_begin(void *arg, struct slice before UNUSED, uint64_t size, struct err *e)
{
	struct fetcher *f = arg;

	f->size = size;
	f->too_large = f->max && size > f->max;
	if (f->flow && f->b->bytes + size > f->flow->batch_bytes)
		return flow_cut(f, e);
	return 0;
}

static int body_bytes(void *arg, struct slice bytes, struct err *e)
{
	struct fetcher *f = arg;

	if (f->too_large)
		return 0;
	digest_stream_feed(f->digests, bytes);
	return f->b->spool ? spool_add(f->b->spool, bytes, e) : 0;
}

static int body_end(void *arg, struct err *e)
{
	struct fetcher *f = arg;

	(void)e;
	digest_stream_end(f->digests, &f->digest);
	return 0;
}

/* A short body may come as a quoted string. */
static int body_whole(struct fetcher *f, struct slice body, struct err *e)
{
	if (body_begin(f, (struct slice){ 0 }, body.n, e) < 0 || body_bytes(f, body, e) < 0)
		return -1;
	return body_end(f, e);
}

static enum fetch_result judge(const struct fetcher *f, const struct frame *frame,
			       const struct fetch_items *i)
{
	bool whole = frame->bodies == 1 || (frame->bodies == 0 && i->body.p);

	if (!whole || (f->b->spool && !i->has_flags))
		return FETCH_UNREADABLE;
	return f->too_large ? FETCH_TOO_LARGE : FETCH_OK;
}

static void keep(struct fetcher *f, struct batch_message *m, const struct fetch_items *i)
{
	m->digest = f->digest;
	m->at = f->start;
	if (!f->b->spool)
		return;
	m->flags = mem_str(i->info.flags);
	m->date = mem_str(i->info.date);
	m->date_s = i->info.date_s;
	f->b->bytes += m->digest.size;
	f->start = spool_size(f->b->spool);
}

/* A place for the message with this UID: NULL if nobody asked for it, or it came already. */
static struct batch_message *place_for(struct fetcher *f, uint32_t uid)
{
	struct flow *flow = f->flow;
	struct batch_message *m;
	uint32_t *hit;

	if (!flow) {
		m = batch_find(f->b, uid);
		return m && m->fetched == FETCH_NONE ? m : NULL;
	}
	hit = bsearch(&uid, flow->uids, flow->count, sizeof uid, by_number);
	if (!hit || flow->answered[hit - flow->uids])
		return NULL;
	flow->answered[hit - flow->uids] = true;
	m = &f->b->at[f->b->count++];
	*m = (struct batch_message){ .uid = uid };
	return m;
}

static int on_fetched(const struct frame *frame, void *arg, struct err *e)
{
	struct fetcher *f = arg;
	struct batch_message *m = NULL;
	struct fetch_items i;

	if (frame_is_odd_fetch(frame))
		f->odd = true;
	if (fetch_items_read(frame, &f->scratch, &i) && i.has_uid && i.has_body)
		m = place_for(f, i.info.uid);
	if (m && frame->bodies == 0 && i.body.p && body_whole(f, i.body, e) < 0)
		return -1;
	if (m) {
		m->fetched = judge(f, frame, &i);
		if (m->fetched == FETCH_OK)
			keep(f, m, &i);
	}
	if (f->b->spool) /* what was not kept */
		spool_cut(f->b->spool, f->start);
	return f->flow && f->b->count == f->flow->batch_count ? flow_cut(f, e) : 0;
}

static int fetch_command(struct mailbox *box, struct fetcher *f, struct command *c,
			 struct err *e)
{
	char tag[TAG_MAX];
	int rc = command_send(box, c, tag, NULL, NULL, e);

	command_release(c);
	if (rc < 0)
		return -1;
	if (f->last)
		mailbox_tell_sent(box);
	return command_wait(box, tag, on_fetched, f, e);
}

/* Runs one FETCH. Where no answer came for a message, *missing says what that means, and why
 * has the server's words: a NO leaves messages unread, not gone; one that means "later" says
 * nothing about them. */
static int fetch_run(struct mailbox *box, struct fetcher *f, struct command *c,
		     enum fetch_result *missing, struct err *why, struct err *e)
{
	*missing = FETCH_GONE;
	f->odd = false;
	if (fetch_command(box, f, c, why) < 0) {
		/* [SERVERBUG] is how Dovecot answers for a message that is damaged */
		bool damaged = mailbox_last_code_is(box, "SERVERBUG");

		if (!mailbox_is_usable(box) || (why->later.whom && !damaged)) {
			*e = *why;
			return -1;
		}
		*missing = FETCH_UNREADABLE;
	}
	if (f->odd || mailbox_last_code_is(box, "MESSAGELIMIT"))
		*missing = FETCH_UNREADABLE;
	return 0;
}

static void note_missing(struct batch_message *m, enum fetch_result missing,
			 const struct err *why)
{
	m->fetched = missing;
	if (why->kind)
		m->text = mem_strn(why->text, strnlen(why->text, APPEND_TEXT_MAX));
}

static int fetch_set(struct mailbox *box, struct fetcher *f, struct command *c, size_t from,
		     size_t to, struct err *e)
{
	enum fetch_result missing;
	struct err why = { 0 };

	if (fetch_run(box, f, c, &missing, &why, e) < 0)
		return -1;
	for (size_t i = from; i < to; i++)
		if (f->b->at[i].fetched == FETCH_NONE)
			note_missing(&f->b->at[i], missing, &why);
	return 0;
}

static void fetch_begin(struct mailbox *box, struct fetcher *f, struct frame_sink *sink)
{
	*sink = (struct frame_sink){ body_begin, body_bytes, body_end, f };
	f->digests = digest_stream_new();
	frame_set_sink(box->r, sink);
}

static int fetch_end(struct mailbox *box, struct fetcher *f, int r, struct err *e)
{
	frame_set_sink(box->r, NULL);
	digest_stream_free(&f->digests);
	fetch_scratch_release(&f->scratch);
	return r < 0 ? err_wrap(e, "fetching from folder \"%s\"", mailbox_folder(box)) : 0;
}

static int fetch_all(struct mailbox *box, struct fetcher *f, const uint32_t *uids,
		     const char *items, struct err *e)
{
	struct frame_sink sink;
	size_t done = 0;
	int r = 0;

	if (box->pop3)
		return pop3_source_fetch(box->pop3, f->b, f->max, e);
	fetch_begin(box, f, &sink);
	while (done < f->b->count && r == 0) {
		struct command c = { 0 };
		size_t from = done;

		buf_add_str(&c.text, "UID FETCH ");
		done += uid_set_write(&c.text, uids + done, f->b->count - done);
		buf_add_str(&c.text, items);
		f->last = f->ends && done == f->b->count;
		r = fetch_set(box, f, &c, from, done, e);
	}
	return fetch_end(box, f, r, e);
}

#define WHOLE_MESSAGES " (UID FLAGS INTERNALDATE BODY.PEEK[])"

int pipeline_fetch(struct mailbox *from, const uint32_t *uids, size_t n, uint64_t message_max,
		   struct batch *out, struct err *e)
{
	struct fetcher f = { .b = out, .max = message_max };

	ASSERT(from->pop3 || from->selected);
	batch_start(out, uids, n);
	out->spool = spool_new(BATCH_MEMORY_MAX);
	return fetch_all(from, &f, uids, WHOLE_MESSAGES, e);
}

/* Those of uids[0..n) that did not come: they have a place in a batch as well. */
static int flow_missing(struct fetcher *f, enum fetch_result missing, const struct err *why,
			struct err *e)
{
	for (size_t i = 0; i < f->flow->count; i++) {
		if (f->flow->answered[i])
			continue;
		note_missing(place_for(f, f->flow->uids[i]), missing, why);
		if (f->b->count == f->flow->batch_count && flow_cut(f, e) < 0)
			return -1;
	}
	return flow_cut(f, e);
}

static int flow_set(struct mailbox *from, struct fetcher *f, struct command *c, struct err *e)
{
	enum fetch_result missing;
	struct err why = { 0 };

	if (fetch_run(from, f, c, &missing, &why, e) < 0)
		return -1;
	return flow_missing(f, missing, &why, e);
}

int pipeline_flow(struct mailbox *from, const uint32_t *uids, size_t n,
		  const struct flow_limits *limits, pipeline_batch_fn *fn, void *arg,
		  struct err *e)
{
	struct flow flow = { .answered = mem_array(n + 1, sizeof *flow.answered),
			     .batch_count = limits->batch_count,
			     .batch_bytes = limits->batch_bytes,
			     .fn = fn,
			     .arg = arg };
	struct batch b;
	struct fetcher f = { .b = &b, .flow = &flow, .max = limits->message_max };
	struct frame_sink sink;
	size_t done = 0;
	int r = 0;

	if (from->pop3) {
		free(flow.answered);
		return pop3_source_flow(from->pop3, uids, n, limits, fn, arg, e);
	}
	ASSERT(from->selected);
	fetch_begin(from, &f, &sink);
	flow_begin(&f);
	while (done < n && r == 0) {
		struct command c = { 0 };

		buf_add_str(&c.text, "UID FETCH ");
		flow.uids = uids + done;
		flow.count = uid_set_write(&c.text, uids + done, n - done);
		memset(flow.answered, 0, flow.count * sizeof *flow.answered);
		done += flow.count;
		buf_add_str(&c.text, WHOLE_MESSAGES);
		r = flow_set(from, &f, &c, e);
	}
	batch_release(&b);
	free(flow.answered);
	return fetch_end(from, &f, r, e);
}

static int digest_chunk(struct mailbox *m, const uint32_t *uids, size_t n, bool ends,
			uint64_t message_max, pipeline_digest_fn *fn, void *arg, struct err *e)
{
	struct batch b;
	struct fetcher f = { .b = &b, .max = message_max, .ends = ends };
	int r;

	batch_start(&b, uids, n);
	r = fetch_all(m, &f, uids, " (UID BODY.PEEK[])", e);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct batch_message *x = &b.at[i];

		r = fn(x->uid, x->fetched, x->fetched == FETCH_OK ? &x->digest : NULL, arg, e);
	}
	batch_release(&b);
	return r;
}

int pipeline_digest(struct mailbox *m, const uint32_t *uids, size_t n, uint64_t message_max,
		    pipeline_digest_fn *fn, void *arg, struct err *e)
{
	ASSERT(m->pop3 || *mailbox_folder(m));
	for (size_t done = 0; done < n; done += DIGEST_CHUNK)
		if (digest_chunk(m, uids + done, MIN(n - done, (size_t)DIGEST_CHUNK),
				 n - done <= DIGEST_CHUNK, message_max, fn, arg, e) < 0)
			return -1;
	return 0;
}

void batch_make(struct batch *out, const struct batch_message *like)
{
	batch_start(out, &like->uid, 1);
	out->spool = spool_new(BATCH_MEMORY_MAX);
	out->digests = digest_stream_new();
	out->at[0].flags = mem_str(like->flags);
	out->at[0].date = mem_str(like->date);
	out->at[0].date_s = like->date_s;
}

int batch_add(struct batch *b, struct slice bytes, struct err *e)
{
	digest_stream_feed(b->digests, bytes);
	return spool_add(b->spool, bytes, e);
}

void batch_end(struct batch *b)
{
	digest_stream_end(b->digests, &b->at[0].digest);
	b->at[0].fetched = FETCH_OK;
	b->bytes = b->at[0].digest.size;
}

int batch_put(struct batch *b, struct slice bytes, uint64_t *at, struct err *e)
{
	*at = spool_size(b->spool);
	return spool_add(b->spool, bytes, e);
}

int batch_read(const struct batch *b, const struct batch_message *m, batch_bytes_fn *fn,
	       void *arg, struct err *e)
{
	ASSERT(m->fetched == FETCH_OK);
	return spool_read(b->spool, m->at, m->digest.size, fn, arg, e);
}
