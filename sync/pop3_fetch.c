/* Hides: messages and headers out of a POP3 session: their bytes, their digests, their dates.
 */
#include "sync/pop3_source_impl.h"

#include "common/clock.h"
#include "sync/received.h"
#include "sync/spool.h"

#define DATE_HEADER_MAX (256 * 1024) /* bytes of a message in which its date is looked for */

/* What is read, and whose it is. */
struct reading {
	struct pop3_wanted *wanted;
	size_t *index; /* of each: in the caller's row */
	size_t count;
};

static void reading_release(struct reading *r)
{
	free(r->wanted);
	free(r->index);
}

static void reading_add(struct reading *r, const struct pop3_message *m, size_t index)
{
	r->wanted[r->count] = (struct pop3_wanted){ m->number, m->size };
	r->index[r->count++] = index;
}

/* ---- messages */

struct fetching {
	struct reading r;
	struct batch *b;
	uint64_t max; /* 0: none */
	struct digest_stream *digests;
	struct buf header; /* of the present one, with some of its body */
	uint64_t start;	   /* in the spool */
	uint64_t size;

	/* messages that flow: cut into batches as they come */
	const uint32_t *uids; /* NULL: b has a place for each of them */
	const struct flow_limits *limits;
	pipeline_batch_fn *fn;
	void *arg;
};

/* The batch is the receiver's; the next one begins. */
static int cut(struct fetching *f, struct err *e)
{
	int rc = f->b->count ? f->fn(f->b, f->arg, e) : 0;

	batch_release(f->b);
	batch_begin(f->b, f->limits->batch_count);
	f->start = 0;
	return rc;
}

static int body_begin(size_t i, void *arg, struct err *e)
{
	struct fetching *f = arg;

	if (f->uids && f->b->bytes &&
	    f->b->bytes + MIN(f->r.wanted[i].size, f->limits->batch_bytes) >
		    f->limits->batch_bytes)
		return cut(f, e);
	return 0;
}

static int body_bytes(size_t i UNUSED, struct slice bytes, void *arg, struct err *e)
{
	struct fetching *f = arg;
	size_t room = DATE_HEADER_MAX - MIN(buf_len(&f->header), (size_t)DATE_HEADER_MAX);

	f->size += bytes.n;
	if (f->max && f->size > f->max)
		return 0;
	digest_stream_feed(f->digests, bytes);
	if (!f->b->spool)
		return 0;
	buf_add(&f->header, bytes.p, MIN(bytes.n, room));
	return spool_add(f->b->spool, bytes, e);
}

static void date_it(const struct fetching *f, struct batch_message *m)
{
	int64_t now = clock_real_ms() / 1000, date = received_date(buf_slice(&f->header), now);
	char text[RECEIVED_TEXT_MAX];

	m->date_s = date ? date : now;
	received_text(m->date_s, text);
	m->date = mem_str(text);
	m->flags = mem_str("");
}

/* index: in uids, or in the batch. */
static struct batch_message *place_for(struct fetching *f, size_t index)
{
	struct batch_message *m;

	if (!f->uids)
		return &f->b->at[index];
	m = &f->b->at[f->b->count++];
	*m = (struct batch_message){ .uid = f->uids[index] };
	return m;
}

static int placed(struct fetching *f, struct err *e)
{
	return f->uids && f->b->count == f->limits->batch_count ? cut(f, e) : 0;
}

static int body_end(size_t i, void *arg, struct err *e)
{
	struct fetching *f = arg;
	struct batch_message *m = place_for(f, f->r.index[i]);

	digest_stream_end(f->digests, &m->digest);
	m->fetched = f->max && f->size > f->max ? FETCH_TOO_LARGE : FETCH_OK;
	if (f->b->spool && m->fetched == FETCH_OK) {
		m->at = f->start;
		date_it(f, m);
		f->b->bytes += m->digest.size;
		f->start = spool_size(f->b->spool);
	} else if (f->b->spool) {
		spool_cut(f->b->spool, f->start);
	}
	f->size = 0;
	buf_drain(&f->header, buf_len(&f->header));
	return placed(f, e);
}

static int body_refused(size_t i, const char *text, void *arg, struct err *e)
{
	struct fetching *f = arg;
	struct batch_message *m = place_for(f, f->r.index[i]);

	m->fetched = FETCH_UNREADABLE;
	m->text = mem_strn(text, strnlen(text, APPEND_TEXT_MAX));
	return placed(f, e);
}

/* What the session does not show. */
static int take_hidden(struct fetching *f, const struct pop3_message *known, size_t index,
		       struct err *e)
{
	struct batch_message *m = place_for(f, index);

	m->fetched = known ? FETCH_UNREADABLE : FETCH_GONE;
	if (known)
		m->text = mem_str("the server showed it to an earlier session only");
	return placed(f, e);
}

static uint32_t uid_at(const struct fetching *f, size_t i)
{
	return f->uids ? f->uids[i] : f->b->at[i].uid;
}

static int fetch_all(struct pop3_source *s, struct fetching *f, size_t n, struct err *e)
{
	const struct pop3_sink sink = { body_begin, body_bytes, body_end, body_refused, f };
	int rc = pop3_source_check(s, e);

	f->r.wanted = mem_array(n + 1, sizeof *f->r.wanted);
	f->r.index = mem_array(n + 1, sizeof *f->r.index);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pop3_message *m = pop3_source_find(s, uid_at(f, i));

		if (m && m->number)
			reading_add(&f->r, m, i);
		else
			rc = take_hidden(f, m, i, e);
	}
	f->digests = digest_stream_new();
	if (rc == 0)
		rc = pop3_session_retr(s->session, f->r.wanted, f->r.count, &sink, e);
	digest_stream_free(&f->digests);
	buf_release(&f->header);
	reading_release(&f->r);
	return rc;
}

int pop3_source_fetch(struct pop3_source *s, struct batch *b, uint64_t message_max,
		      struct err *e)
{
	struct fetching f = { .b = b, .max = message_max };

	return fetch_all(s, &f, b->count, e);
}

int pop3_source_flow(struct pop3_source *s, const uint32_t *uids, size_t n,
		     const struct flow_limits *limits, pipeline_batch_fn *fn, void *arg,
		     struct err *e)
{
	struct batch b;
	struct fetching f = { .b = &b,
			      .max = limits->message_max,
			      .uids = uids,
			      .limits = limits,
			      .fn = fn,
			      .arg = arg };
	int rc;

	batch_begin(&b, limits->batch_count);
	rc = fetch_all(s, &f, n, e);
	if (rc == 0)
		rc = cut(&f, e);
	batch_release(&b);
	return rc;
}

/* ---- headers */

struct header_reading {
	struct reading r;
	const struct pop3_source *s;
	mailbox_header_fn *fn;
	void *arg;
	struct listing *out;
	struct buf header;
};

static int header_bytes(size_t i UNUSED, struct slice bytes, void *arg, struct err *e UNUSED)
{
	struct header_reading *h = arg;
	size_t have = buf_len(&h->header);

	if (have < MAILBOX_HEADER_MAX)
		buf_add(&h->header, bytes.p, MIN(bytes.n, MAILBOX_HEADER_MAX - have));
	return 0;
}

/* Up to the empty line: a server without TOP gave the body too. */
static struct slice header_only(struct slice s)
{
	size_t at = 0;

	while (at < s.n) {
		const char *lf = memchr(s.p + at, '\n', s.n - at);
		size_t end = lf ? (size_t)(lf - s.p) + 1 : s.n;

		if (end - at == 1 || (end - at == 2 && s.p[at] == '\r'))
			return (struct slice){ s.p, end };
		at = end;
	}
	return s;
}

static int header_end(size_t i, void *arg, struct err *e)
{
	struct header_reading *h = arg;
	const struct pop3_message *m = &h->s->at[h->r.index[i]];
	const struct message_info info = { .uid = m->uid,
					   .size = (uint32_t)MIN(m->size, UINT32_MAX),
					   .flags = "",
					   .date_s = DATE_UNKNOWN };
	int rc = h->fn(&info, header_only(buf_slice(&h->header)), h->arg, e);

	h->out->messages++;
	buf_drain(&h->header, buf_len(&h->header));
	return rc;
}

static int header_refused(size_t i UNUSED, const char *text UNUSED, void *arg,
			  struct err *e UNUSED)
{
	((struct header_reading *)arg)->out->unparsed++;
	return 0;
}

int pop3_source_headers(struct pop3_source *s, uint32_t lo, uint32_t hi, mailbox_header_fn *fn,
			void *arg, struct listing *out, struct err *e)
{
	struct header_reading h = { .s = s, .fn = fn, .arg = arg, .out = out };
	const struct pop3_sink sink = { NULL, header_bytes, header_end, header_refused, &h };
	int rc;

	*out = (struct listing){ .unparsed = s->unclear };
	if (pop3_source_check(s, e) < 0)
		return -1;
	h.r.wanted = mem_array(s->count + 1, sizeof *h.r.wanted);
	h.r.index = mem_array(s->count + 1, sizeof *h.r.index);
	for (size_t i = 0; i < s->count; i++)
		if (s->at[i].number && s->at[i].uid >= lo && (!hi || s->at[i].uid <= hi))
			reading_add(&h.r, &s->at[i], i);
	rc = pop3_session_top(s->session, h.r.wanted, h.r.count, &sink, e);
	buf_release(&h.header);
	reading_release(&h.r);
	return rc;
}
