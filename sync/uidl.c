/* Hides: two POP3 sessions, what is read of them, and what makes a map complete. */
#include "sync/uidl.h"

#include <strings.h>

#include "sync/journal_pop3.h"
#include "sync/journal_uidl.h"
#include "sync/pop3_session.h"
#include "sync/uidl_match.h"

/* INBOX, as the journal has it. */
struct inbox {
	struct pass *p;
	struct journal_folder *folders, *f;
	size_t folder_count;
	struct flag_pool *pool;
	struct journal_msg *msgs; /* by uid on old */
	size_t count;
	char **ids[SIDES]; /* of each message; NULL: none */
	struct uidl_found *out;
};

/* One server's maildrop while it is matched. */
struct drop {
	struct inbox *in;
	enum side side;
	struct pop3_session *session;
	struct pop3_entries list;
	struct uidl_lists l;
	size_t *msg_of; /* of each row: the message's index */
	struct digest *digests, *read;
	struct journal_uidl *known;
	size_t known_count;

	size_t *asked; /* entries being read */
	struct digest_stream *stream;
	bool touched; /* something was read */
};

static void note(struct inbox *in, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(struct inbox *in, const char *fmt, ...)
{
	char *why = in->out->state.why;
	size_t n = strlen(why), size = sizeof in->out->state.why;
	va_list ap;

	in->out->state.complete = false;
	if (n && n + 2 < size)
		n += (size_t)snprintf(why + n, size - n, "; ");
	va_start(ap, fmt);
	vsnprintf(why + n, size - n, fmt, ap);
	va_end(ap);
}

/* ---- INBOX */

static int open_inbox(struct inbox *in, struct err *e)
{
	struct journal *j = in->p->journal;

	if (journal_folders(j, &in->folders, &in->folder_count, e) < 0)
		return -1;
	for (size_t i = 0; i < in->folder_count; i++)
		if (strcasecmp(in->folders[i].name[SIDE_OLD], "INBOX") == 0)
			in->f = &in->folders[i];
	if (!in->f)
		return err_set(e, ERR_TEMP, "INBOX was not copied yet");
	in->pool = flag_pool_new();
	if (journal_msgs(j, in->f, SIDE_OLD, in->pool, &in->msgs, &in->count, e) < 0)
		return -1;
	for (int s = 0; s < SIDES; s++)
		in->ids[s] = mem_array(in->count + 1, sizeof *in->ids[s]);
	return 0;
}

static void close_inbox(struct inbox *in)
{
	journal_folders_free(&in->folders, &in->folder_count);
	mem_free(&in->msgs);
	flag_pool_free(&in->pool);
	for (int s = 0; s < SIDES; s++) {
		for (size_t i = 0; in->ids[s] && i < in->count; i++)
			free(in->ids[s][i]);
		mem_free(&in->ids[s]);
	}
}

static bool stands_on(const struct journal_msg *m, enum side s)
{
	return m->uid[s] && m->state != MSG_GONE && (s == SIDE_OLD || m->state == MSG_DONE);
}

static void set_id(struct inbox *in, enum side s, size_t msg, const char *id)
{
	in->ids[s][msg] = mem_str(id);
}

/* ---- a maildrop */

static int enter(struct drop *d, struct err *e)
{
	const struct job *job = d->in->p->job;
	struct job_side side = job->side[d->side]; /* borrows all of it */
	int rc;

	side.protocol = PROTO_POP3;
	side.port = side.pop3_port;
	side.tls = side.pop3_tls;
	rc = pop3_session_open(&side, job->connect_s * 1000, job->io_s * 1000, &d->session, e);
	if (rc == 0)
		rc = pop3_session_login(d->session, e);
	if (rc == 0)
		rc = pop3_session_list(d->session, &d->list, e);
	return rc;
}

static int by_uid(const void *a, const void *b, void *arg)
{
	const struct drop *d = arg;
	uint32_t x = d->in->msgs[*(const size_t *)a].uid[d->side];
	uint32_t y = d->in->msgs[*(const size_t *)b].uid[d->side];

	return (x > y) - (x < y);
}

static const char *find_known(const struct drop *d, uint32_t uid)
{
	size_t lo = 0, hi = d->known_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->known[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < d->known_count && d->known[lo].uid == uid ? d->known[lo].uidl : NULL;
}

static int make_rows(struct drop *d, struct err *e)
{
	struct inbox *in = d->in;

	if (journal_uidls(in->p->journal, d->side, in->f->state[d->side].uidvalidity, &d->known,
			  &d->known_count, e) < 0)
		return -1;
	d->msg_of = mem_array(in->count + 1, sizeof *d->msg_of);
	d->l.rows = mem_array(in->count + 1, sizeof *d->l.rows);
	for (size_t i = 0; i < in->count; i++)
		if (stands_on(&in->msgs[i], d->side))
			d->msg_of[d->l.row_count++] = i;
	qsort_r(d->msg_of, d->l.row_count, sizeof *d->msg_of, by_uid, d);
	for (size_t i = 0; i < d->l.row_count; i++) {
		const struct journal_msg *m = &in->msgs[d->msg_of[i]];
		uint32_t uid = m->uid[d->side];

		d->l.rows[i] = (struct uidl_row){
			.uid = uid, .size = m->size, .known = find_known(d, uid), .entry = -1
		};
	}
	return 0;
}

/* 0: the server gives no ids at all. */
static size_t make_entries(struct drop *d)
{
	size_t with_id = 0;

	d->l.entries = mem_array(d->list.count + 1, sizeof *d->l.entries);
	d->l.entry_count = d->list.count;
	for (size_t i = 0; i < d->list.count; i++) {
		struct pop3_entry *l = &d->list.at[i];

		with_id += buf_len(&l->uidl) > 0;
		buf_add(&l->uidl, "", 1);
		d->l.entries[i] = (struct uidl_entry){ .number = l->number,
						       .size = l->size,
						       .id = buf_slice(&l->uidl).p,
						       .row = -1 };
	}
	return with_id;
}

/* ---- what is read of it */

static int take_bytes(size_t i UNUSED, struct slice bytes, void *arg, struct err *e UNUSED)
{
	digest_stream_feed(((struct drop *)arg)->stream, bytes);
	return 0;
}

static int take_end(size_t i, void *arg, struct err *e UNUSED)
{
	struct drop *d = arg;
	size_t at = d->asked[i];

	digest_stream_end(d->stream, &d->read[at]);
	d->l.entries[at].digest = &d->read[at];
	return 0;
}

static int take_refusal(size_t i, const char *text UNUSED, void *arg, struct err *e UNUSED)
{
	struct drop *d = arg;

	d->l.entries[d->asked[i]].digest = NULL;
	return 0;
}

static int read_asked(struct drop *d, enum uidl_ask ask, size_t n, struct err *e)
{
	const struct pop3_sink sink = { NULL, take_bytes, take_end, take_refusal, d };
	struct pop3_wanted *wanted = mem_array(n + 1, sizeof *wanted);
	size_t count = 0;
	int rc;

	d->asked = mem_array(n + 1, sizeof *d->asked);
	for (size_t i = 0; i < d->l.entry_count; i++) {
		const struct uidl_entry *x = &d->l.entries[i];

		if (x->ask != ask || count == n)
			continue;
		d->asked[count] = i;
		wanted[count++] = (struct pop3_wanted){ x->number, x->size };
	}
	d->stream = digest_stream_new();
	rc = ask == UIDL_ASK_HEADER ? pop3_session_top(d->session, wanted, count, &sink, e)
				    : pop3_session_peek(d->session, wanted, count, &sink, e);
	digest_stream_free(&d->stream);
	mem_free(&d->asked);
	free(wanted);
	return rc;
}

/* Digests of the messages whose ids are not known yet; others need none. */
static int read_digests(struct drop *d, struct err *e)
{
	int64_t *ids = mem_array(d->l.row_count + 1, sizeof *ids);
	struct digest *got = mem_array(d->l.row_count + 1, sizeof *got);
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < d->l.row_count; i++) {
		const struct journal_msg *m = &d->in->msgs[d->msg_of[i]];

		if (d->l.rows[i].entry >= 0 || !m->hashed)
			continue;
		ids[n] = m->id;
		d->l.rows[i].digest = &got[n++];
	}
	d->digests = got;
	rc = journal_digests(d->in->p->journal, ids, n, got, e);
	free(ids);
	return rc;
}

static int match(struct drop *d, struct err *e)
{
	size_t asked = uidl_match_known(&d->l);

	d->touched = asked > 0;
	if (asked) {
		d->read = mem_array(d->l.entry_count + 1, sizeof *d->read);
		if (read_digests(d, e) < 0 || read_asked(d, UIDL_ASK_HEADER, asked, e) < 0)
			return -1;
		asked = MIN(uidl_match_headers(&d->l), (size_t)UIDL_BYTES_MAX);
		if (asked && read_asked(d, UIDL_ASK_BYTES, asked, e) < 0)
			return -1;
		uidl_match_bytes(&d->l);
		uidl_match_order(&d->l);
	}
	return 0;
}

/* ---- what it comes to */

static int remember(struct drop *d, struct err *e)
{
	struct journal_uidl *at = mem_array(d->l.row_count + 1, sizeof *at);
	size_t n = 0, fresh = 0;
	int rc = 0;

	for (size_t i = 0; i < d->l.row_count; i++) {
		const struct uidl_row *r = &d->l.rows[i];
		const char *id = r->entry >= 0 ? d->l.entries[r->entry].id : NULL;

		if (!id || !*id)
			continue;
		at[n++] = (struct journal_uidl){ r->uid, (char *)(uintptr_t)id };
		fresh += !r->known || strcmp(r->known, id) != 0;
	}
	if (fresh || n != d->known_count)
		rc = journal_uidls_write(d->in->p->journal, d->side,
					 d->in->f->state[d->side].uidvalidity, at, n, e);
	free(at);
	return rc;
}

static void tell_ids(struct drop *d)
{
	for (size_t i = 0; i < d->l.row_count; i++)
		if (d->l.rows[i].entry >= 0)
			set_id(d->in, d->side, d->msg_of[i],
			       d->l.entries[d->l.rows[i].entry].id);
}

/* Old's clients know every entry; new may have mail that we did not bring. */
static void judge_old(struct drop *d)
{
	size_t strange = 0, hidden = 0;

	for (size_t i = 0; i < d->l.entry_count; i++)
		strange += d->l.entries[i].row < 0;
	for (size_t i = 0; i < d->l.row_count; i++)
		hidden += d->l.rows[i].entry < 0 && d->in->msgs[d->msg_of[i]].state == MSG_DONE;
	if (pop3_session_is_gmail(d->session))
		note(d->in, "Gmail shows only part of the mail by POP3");
	if (strange)
		note(d->in, "%zu that old shows by POP3 were found in no message of INBOX",
		     strange);
	if (hidden)
		note(d->in, "%zu messages of INBOX were not found in what old shows by POP3",
		     hidden);
	d->in->out->state.missing += (int64_t)MAX(strange, hidden);
}

/* QUIT would make servers mark as seen, file away or delete what was read. */
static void drop_release(struct drop *d)
{
	bool quit = d->session && !d->touched && !pop3_session_deletes_read(d->session) &&
		    !pop3_session_is_gmail(d->session);

	pop3_session_close(&d->session, quit);
	pop3_entries_release(&d->list);
	journal_uidls_free(&d->known, &d->known_count);
	free(d->l.rows);
	free(d->l.entries);
	free(d->msg_of);
	free(d->digests);
	free(d->read);
}

/* A server that says that it has ids, or once gave some, and gives none: that is trouble, and
 * its clients still know them. */
static int check_none(struct drop *d, struct err *e)
{
	if (pop3_capa_has(pop3_session_capa(d->session), "UIDL"))
		return err_set(e, ERR_TEMP, "it gives no unique ids, and its CAPA says UIDL");
	if (journal_uidls(d->in->p->journal, d->side, d->in->f->state[d->side].uidvalidity,
			  &d->known, &d->known_count, e) < 0)
		return -1;
	return d->known_count ? err_set(e, ERR_TEMP, "it gives no unique ids any more") : 0;
}

/* Fills in->ids[side]. 0: the server has no ids. */
static int capture_side(struct inbox *in, enum side s, struct err *e)
{
	struct drop d = { .in = in, .side = s };
	bool has_ids = false;
	int rc = enter(&d, e);

	if (rc == 0)
		has_ids = make_entries(&d) > 0;
	if (rc == 0 && !has_ids && d.list.count)
		rc = check_none(&d, e);
	if (rc == 0 && has_ids)
		rc = make_rows(&d, e) < 0 || match(&d, e) < 0 || remember(&d, e) < 0 ? -1 : 0;
	if (rc == 0 && has_ids) {
		tell_ids(&d);
		if (s == SIDE_OLD)
			judge_old(&d);
	}
	if (rc == 0 && d.list.unclear)
		note(in, "%s's POP3 listing does not add up", side_name(s));
	has_ids = has_ids || (rc == 0 && d.list.count == 0);
	drop_release(&d);
	return rc < 0 ? -1 : has_ids;
}

/* The mail was read by POP3: its ids came with it. */
static int ids_of_source(struct inbox *in, struct err *e)
{
	struct pop3_known *known;
	size_t n, at = 0, hidden = 0;
	bool has_ids = false;

	if (journal_pop3_known(in->p->journal, &known, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		has_ids = has_ids || known[i].uidl[0];
	for (size_t i = 0; i < in->count && has_ids; i++) {
		uint32_t uid = in->msgs[i].uid[SIDE_OLD];

		while (at < n && known[at].uid < uid)
			at++;
		if (uid && at < n && known[at].uid == uid && known[at].uidl[0])
			set_id(in, SIDE_OLD, i, known[at].uidl);
		else
			hidden += in->msgs[i].state == MSG_DONE;
	}
	if (hidden)
		note(in, "%zu messages have no id on old", hidden);
	in->out->state.missing += (int64_t)hidden;
	journal_pop3_free(&known, &n);
	return has_ids || in->count == 0;
}

/* ---- the map */

struct pair {
	const char *new_id, *old_id;
};

static int by_new_id(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->new_id, ((const struct pair *)b)->new_id);
}

static bool is_pair(const struct inbox *in, size_t i, struct pair *out)
{
	*out = (struct pair){ in->ids[SIDE_NEW][i], in->ids[SIDE_OLD][i] };
	return out->new_id && out->old_id && pop3_uidl_legal(slice_of(out->new_id)) &&
	       pop3_uidl_legal(slice_of(out->old_id));
}

/* One id of new for two messages: right only where old had one for them too. */
static void write_pairs(struct inbox *in, struct pair *at, size_t n, size_t *lost)
{
	if (n)
		qsort(at, n, sizeof *at, by_new_id);
	for (size_t i = 0; i < n; i++) {
		bool again = i && strcmp(at[i - 1].new_id, at[i].new_id) == 0;

		if (again && strcmp(at[i - 1].old_id, at[i].old_id) == 0)
			continue;
		if (again) {
			(*lost)++;
			continue;
		}
		buf_printf(&in->out->map, "%s %s\n", at[i].new_id, at[i].old_id);
		in->out->state.entries++;
	}
}

static void write_map(struct inbox *in)
{
	struct pair *at = mem_array(in->count + 1, sizeof *at);
	size_t n = 0, lost = 0;

	for (size_t i = 0; i < in->count; i++) {
		if (is_pair(in, i, &at[n]))
			n++;
		else if (in->ids[SIDE_OLD][i] && in->msgs[i].state == MSG_DONE)
			lost++;
	}
	write_pairs(in, at, n, &lost);
	if (lost)
		note(in, "%zu messages have no id on new that says which they are", lost);
	in->out->state.missing += (int64_t)lost;
	free(at);
}

static int capture(struct inbox *in, struct err *e)
{
	const struct job *job = in->p->job;
	int has;

	if (open_inbox(in, e) < 0)
		return -1;
	has = job->side[SIDE_OLD].protocol == PROTO_POP3 ? ids_of_source(in, e)
							 : capture_side(in, SIDE_OLD, e);
	if (has <= 0)
		return has < 0 ? err_wrap(e, "old by POP3") : 0;
	has = capture_side(in, SIDE_NEW, e);
	if (has == 0)
		err_set(e, ERR_PROTOCOL, "it gives no unique ids");
	if (has <= 0)
		return err_wrap(e, "new by POP3");
	write_map(in);
	return 0;
}

void uidl_found_release(struct uidl_found *f)
{
	buf_release(&f->map);
}

void uidl_capture(struct pass *p, struct uidl_found *out)
{
	struct inbox in = { .p = p, .out = out };
	struct err e = { 0 };

	*out = (struct uidl_found){ .state = { .complete = true } };
	if (!p->job->side[SIDE_NEW].pop3_port)
		note(&in, "backend \"new\" has no pop3_port");
	else if (capture(&in, &e) < 0)
		note(&in, "%s", e.text);
	close_inbox(&in);
}
