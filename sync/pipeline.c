/* Hides: many commands in flight, and answers that come in any order. */
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

struct fetcher {
	struct batch *b; /* its spool is NULL when only digests are wanted */
	uint64_t max;	 /* 0: none */
	struct digest_stream *digests;
	struct fetch_scratch scratch;
	bool odd; /* an answer could not be read: it may have been any message's */

	/* the body that the present answer carries */
	uint64_t start; /* in the spool */
	uint64_t size;
	bool too_large;
	struct digest digest;
};

static int body_begin(void *arg, struct slice before, uint64_t size, struct err *e)
{
	struct fetcher *f = arg;

	(void)before, (void)e;
	f->size = size;
	f->too_large = f->max && size > f->max;
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

static int on_fetched(const struct frame *frame, void *arg, struct err *e)
{
	struct fetcher *f = arg;
	struct batch_message *m = NULL;
	struct fetch_items i;

	if (frame_is_odd_fetch(frame))
		f->odd = true;
	if (fetch_items_read(frame, &f->scratch, &i) && i.has_uid && i.has_body)
		m = batch_find(f->b, i.info.uid);
	if (m && frame->bodies == 0 && i.body.p && body_whole(f, i.body, e) < 0)
		return -1;
	if (m && m->fetched == FETCH_NONE) {
		m->fetched = judge(f, frame, &i);
		if (m->fetched == FETCH_OK)
			keep(f, m, &i);
	}
	if (f->b->spool) /* what was not kept */
		spool_cut(f->b->spool, f->start);
	return 0;
}

/* One command for at[from..to). A NO leaves messages unread, not gone; one that means "later"
 * says nothing about them. */
static int fetch_set(struct mailbox *box, struct fetcher *f, struct command *c, size_t from,
		     size_t to, struct err *e)
{
	enum fetch_result missing = FETCH_GONE;
	struct err no = { 0 };

	f->odd = false;
	if (command_run(box, c, on_fetched, f, &no) < 0) {
		/* [SERVERBUG] is how Dovecot answers for a message that is damaged */
		bool damaged = mailbox_last_code_is(box, "SERVERBUG");

		if (!mailbox_is_usable(box) || (no.later.whom && !damaged)) {
			*e = no;
			return -1;
		}
		missing = FETCH_UNREADABLE;
	}
	if (f->odd || mailbox_last_code_is(box, "MESSAGELIMIT"))
		missing = FETCH_UNREADABLE;
	for (size_t i = from; i < to; i++) {
		struct batch_message *m = &f->b->at[i];

		if (m->fetched != FETCH_NONE)
			continue;
		m->fetched = missing;
		if (no.kind)
			m->text = mem_strn(no.text, strnlen(no.text, APPEND_TEXT_MAX));
	}
	return 0;
}

static int fetch_all(struct mailbox *box, struct fetcher *f, const uint32_t *uids,
		     const char *items, struct err *e)
{
	const struct frame_sink sink = { body_begin, body_bytes, body_end, f };
	size_t done = 0;
	int r = 0;

	f->digests = digest_stream_new();
	frame_set_sink(box->r, &sink);
	while (done < f->b->count && r == 0) {
		struct command c = { 0 };
		size_t from = done;

		buf_add_str(&c.text, "UID FETCH ");
		done += uid_set_write(&c.text, uids + done, f->b->count - done);
		buf_add_str(&c.text, items);
		r = fetch_set(box, f, &c, from, done, e);
	}
	frame_set_sink(box->r, NULL);
	digest_stream_free(&f->digests);
	fetch_scratch_release(&f->scratch);
	return r < 0 ? err_wrap(e, "fetching from folder \"%s\"", box->selected) : 0;
}

int pipeline_fetch(struct mailbox *from, const uint32_t *uids, size_t n, uint64_t message_max,
		   struct batch *out, struct err *e)
{
	struct fetcher f = { .b = out, .max = message_max };

	ASSERT(from->selected);
	batch_start(out, uids, n);
	out->spool = spool_new(BATCH_MEMORY_MAX);
	return fetch_all(from, &f, uids, " (UID FLAGS INTERNALDATE BODY.PEEK[])", e);
}

static int digest_chunk(struct mailbox *m, const uint32_t *uids, size_t n, uint64_t message_max,
			pipeline_digest_fn *fn, void *arg, struct err *e)
{
	struct batch b;
	struct fetcher f = { .b = &b, .max = message_max };
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
	ASSERT(m->selected);
	for (size_t done = 0; done < n; done += DIGEST_CHUNK)
		if (digest_chunk(m, uids + done, MIN(n - done, (size_t)DIGEST_CHUNK),
				 message_max, fn, arg, e) < 0)
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

int batch_read(const struct batch *b, const struct batch_message *m, batch_bytes_fn *fn,
	       void *arg, struct err *e)
{
	ASSERT(m->fetched == FETCH_OK);
	return spool_read(b->spool, m->at, m->digest.size, fn, arg, e);
}

/* ---- bodies out */

struct sent {
	struct batch_message *m; /* NULL: this place is free */
	char tag[TAG_MAX];
};

struct sender {
	struct mailbox *to;
	const struct batch *b;
	const char *folder;
	struct sent window[APPEND_WINDOW];
	int count;	/* places taken */
	uint64_t bytes; /* of their messages */
};

static bool wanted(const struct batch_message *m)
{
	return m->fetched == FETCH_OK && !m->skip && m->appended == APPEND_NOT_SENT;
}

/* "APPENDUID 38505 3955" (RFC 4315 3); without it the caller has to look. */
static void take_appenduid(struct batch_message *m, struct slice code)
{
	char text[64];

	if (code.n >= sizeof text)
		return;
	memcpy(text, code.n ? code.p : "", code.n);
	text[code.n] = '\0';
	if (sscanf(text, "APPENDUID %" SCNu32 " %" SCNu32, &m->new_uidvalidity, &m->new_uid) !=
	    2)
		m->new_uidvalidity = m->new_uid = 0;
}

static void take_answer(struct sender *s, struct batch_message *m, const struct imap_reply *r)
{
	struct err why = { 0 };

	free(m->text);
	m->text = NULL;
	if (mailbox_tagged(s->to, r, &why) == 0) {
		m->appended = APPEND_OK;
		take_appenduid(m, r->code);
		return;
	}
	m->refusal = refusal_of(r);
	m->appended = mailbox_is_temporary(r) || m->refusal == REFUSAL_FOLDER ? APPEND_TEMPORARY
									      : APPEND_REFUSED;
	m->later = why.later;
	m->full = why.kind == ERR_FULL;
	m->text = mem_strn(why.text, strnlen(why.text, APPEND_TEXT_MAX));
}

/* A tagged reply: whose it is, and what it says. */
static int on_answer(struct sender *s, const struct imap_reply *r, struct err *e)
{
	for (int i = 0; i < APPEND_WINDOW; i++) {
		struct sent *w = &s->window[i];

		if (!w->m || !slice_is(r->tag, w->tag))
			continue;
		take_answer(s, w->m, r);
		s->bytes -= w->m->digest.size;
		s->count--;
		w->m = NULL;
		return 0;
	}
	return mailbox_fail(s->to, ERR_PROTOCOL, "the server's answer has a wrong tag", e);
}

/* Takes one response in; *plus says whether it was "+ …". */
static int take_response(struct sender *s, bool *plus, struct err *e)
{
	struct frame f;

	if (mailbox_next(s->to, &f, e) < 0)
		return -1;
	*plus = f.kind == FRAME_CONTINUE;
	return f.kind == FRAME_TAGGED ? on_answer(s, &f.reply, e) : 0;
}

static int wait_answer(struct sender *s, struct err *e)
{
	int before = s->count;
	bool plus;

	while (s->count == before) {
		if (take_response(s, &plus, e) < 0)
			return -1;
		if (plus)
			return mailbox_fail(s->to, ERR_PROTOCOL,
					    "the server asks for more, unasked", e);
	}
	return 0;
}

static int wait_room(struct sender *s, uint64_t size, struct err *e)
{
	while (s->count == APPEND_WINDOW ||
	       (s->count > 0 && s->bytes + size > APPEND_WINDOW_BYTES))
		if (wait_answer(s, e) < 0)
			return -1;
	return 0;
}

static struct sent *window_add(struct sender *s, struct batch_message *m)
{
	struct sent *w = s->window;

	while (w->m)
		w++;
	mailbox_next_tag(s->to, w->tag);
	w->m = m;
	m->appended = APPEND_UNKNOWN;
	s->bytes += m->digest.size;
	s->count++;
	return w;
}

/* The command up to its message, and where it has to wait for "+". */
static void append_command(struct sender *s, struct command *c, const struct sent *w)
{
	const struct batch_message *m = w->m;
	bool push =
		m->digest.size <= APPEND_PUSH_MAX && mailbox_may_push(s->to, m->digest.size);

	command_printf(c, "%s APPEND ", w->tag);
	command_astring(s->to, c, slice_of(s->folder));
	buf_printf(&c->text, " (%s) ", m->flags ? m->flags : "");
	if (m->date) /* else the server takes the present time */
		buf_printf(&c->text, "\"%s\" ", m->date);
	buf_printf(&c->text, "{%" PRIu64 "%s}\r\n", m->digest.size, push ? "+" : "");
	if (!push)
		c->waits[c->wait_count++] = buf_len(&c->text);
}

/* An answer came where "+" was awaited: only a refusal makes sense. */
static int refusal(struct sender *s, struct batch_message *m, struct err *e)
{
	if (m->appended != APPEND_OK)
		return 0;
	m->appended = APPEND_UNKNOWN;
	return mailbox_fail(s->to, ERR_PROTOCOL, "the server says OK to what it has not read",
			    e);
}

/* Sends the command's text; *refused: the server answered instead of asking for more. */
static int send_text(struct sender *s, struct command *c, const struct sent *w, bool *refused,
		     struct err *e)
{
	struct slice text = buf_slice(&c->text);
	struct batch_message *m = w->m;
	struct transport *t = s->to->t;
	size_t at = 0;

	*refused = false;
	for (int i = 0; i < c->wait_count; i++) {
		bool plus = false;

		if (transport_write(t, text.p + at, c->waits[i] - at, e) < 0)
			return -1;
		at = c->waits[i];
		while (!plus && w->m)
			if (take_response(s, &plus, e) < 0)
				return -1;
		*refused = !w->m;
		if (*refused)
			return refusal(s, m, e);
	}
	return transport_write(t, text.p + at, text.n - at, e);
}

static int send_bytes(struct slice bytes, void *arg, struct err *e)
{
	return transport_write(arg, bytes.p, bytes.n, e);
}

static int append_one(struct sender *s, struct batch_message *m, struct err *e)
{
	struct transport *t = s->to->t;
	struct command c = { 0 };
	struct sent *w;
	bool refused;
	int r;

	if (wait_room(s, m->digest.size, e) < 0)
		return -1;
	transport_message(t);
	w = window_add(s, m);
	append_command(s, &c, w);
	r = send_text(s, &c, w, &refused, e);
	command_release(&c);
	if (r < 0 || refused)
		return r;
	/* Inside a literal: if our spool fails, only a broken connection takes it back. */
	if (batch_read(s->b, m, send_bytes, t, e) < 0)
		return transport_poison(t, e);
	return transport_write(t, "\r\n", 2, e);
}

static int check_batch(const struct batch *b, const char *folder, struct err *e)
{
	if (mailbox_check_name(folder, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_message *m = &b->at[i];

		if (wanted(m) && (mailbox_check_flags(m->flags ? m->flags : "", e) < 0 ||
				  (m->date && mailbox_check_date(m->date, e) < 0)))
			return err_wrap(e, "message %" PRIu32, m->uid);
	}
	return 0;
}

/* Above the server's own limit: it says no without being asked. */
static bool is_over_limit(const struct mailbox *to, struct batch_message *m)
{
	uint64_t limit = to->caps.append_limit;

	if (!limit || m->digest.size <= limit)
		return false;
	m->appended = APPEND_REFUSED;
	m->refusal = REFUSAL_SIZE;
	m->text = mem_printf("larger than the server takes (APPENDLIMIT=%" PRIu64 ")", limit);
	return true;
}

static int append_all(struct sender *s, struct batch *b, struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		if (wanted(&b->at[i]) && !is_over_limit(s->to, &b->at[i]) &&
		    append_one(s, &b->at[i], e) < 0)
			return -1;
	while (s->count > 0)
		if (wait_answer(s, e) < 0)
			return -1;
	return 0;
}

int pipeline_append(struct mailbox *to, const char *folder, struct batch *b, struct err *e)
{
	struct sender s = { .to = to, .b = b, .folder = folder };

	if (check_batch(b, folder, e) < 0 || append_all(&s, b, e) < 0)
		return err_wrap(e, "appending to folder \"%s\"", folder);
	return 0;
}
