/* Hides: how FETCH answers become plain values, and long sets of UIDs several commands. */
#include "sync/mailbox_impl.h"

#include <inttypes.h>
#include <strings.h>
#include <time.h>
#include <libetpan/libetpan.h>

/* ---- flags */

static const char *const system_flags[] = { "\\Answered", "\\Deleted", "\\Draft", "\\Flagged",
					    "\\Seen" };

/* The case of system flags does not count, so one spelling is enough. */
static struct slice flag_spelling(struct slice word)
{
	for (size_t i = 0; i < COUNT(system_flags); i++)
		if (slice_is_nocase(word, system_flags[i]))
			return slice_of(system_flags[i]);
	return word;
}

static int slice_order(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int r = memcmp(x->p, y->p, MIN(x->n, y->n));

	return r ? r : (x->n > y->n) - (x->n < y->n);
}

static bool take_word(struct slice *s, struct slice *word)
{
	size_t i = 0;

	while (s->n > 0 && s->p[0] == ' ')
		*s = (struct slice){ s->p + 1, s->n - 1 };
	while (i < s->n && s->p[i] != ' ')
		i++;
	*word = (struct slice){ s->p, i };
	*s = (struct slice){ s->p + i, s->n - i };
	return i > 0;
}

static bool is_flag_char(char c)
{
	return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\", c);
}

static bool is_flag(struct slice word)
{
	size_t i = word.n > 0 && word.p[0] == '\\';

	if (i == word.n)
		return false;
	for (; i < word.n; i++)
		if (!is_flag_char(word.p[i]))
			return false;
	return true;
}

void flags_normalise(struct slice words, struct buf *out, bool *any)
{
	struct slice *at = mem_array(words.n / 2 + 1, sizeof *at), word;
	size_t n = 0;

	*any = false;
	while (take_word(&words, &word)) {
		if (slice_is(word, "\\*"))
			*any = true;
		/* libetpan takes quoted strings for keywords; no server can store those */
		else if (!slice_is_nocase(word, "\\Recent") && is_flag(word))
			at[n++] = flag_spelling(word);
	}
	if (n)
		qsort(at, n, sizeof *at, slice_order);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && slice_order(&at[i - 1], &at[i]) == 0)
			continue;
		if (i > 0)
			buf_add(out, " ", 1);
		buf_add(out, at[i].p, at[i].n);
	}
	buf_add(out, "", 1);
	free(at);
}

int mailbox_check_flags(const char *flags, struct err *e)
{
	struct slice rest = slice_of(flags), word;

	while (take_word(&rest, &word))
		if (!is_flag(word))
			return err_set(e, ERR_INPUT, "flag \"%.*s\" cannot be sent",
				       (int)MIN(word.n, 100), word.p);
	return 0;
}

/* ---- dates */

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* To the one form that APPEND takes (RFC 3501 9 date-time), and seconds. */
static bool date_read(const struct mailimap_date_time *d, char out[static 40], int64_t *seconds)
{
	struct tm tm = { .tm_year = d->dt_year - 1900,
			 .tm_mon = d->dt_month - 1,
			 .tm_mday = d->dt_day,
			 .tm_hour = d->dt_hour,
			 .tm_min = d->dt_min,
			 .tm_sec = d->dt_sec };
	int zone = abs(d->dt_zone), minutes = zone / 100 * 60 + zone % 100;

	if (d->dt_month < 1 || d->dt_month > 12 || d->dt_day < 1 || d->dt_day > 31 ||
	    d->dt_year < 0 || d->dt_year > 9999 || d->dt_hour < 0 || d->dt_hour > 23 ||
	    d->dt_min < 0 || d->dt_min > 59 || d->dt_sec < 0 || d->dt_sec > 60 || zone > 9999)
		return false;
	snprintf(out, 40, "%2d-%s-%04d %02d:%02d:%02d %c%04d", d->dt_day,
		 months[d->dt_month - 1], d->dt_year, d->dt_hour, d->dt_min, d->dt_sec,
		 d->dt_zone < 0 ? '-' : '+', zone);
	*seconds = timegm(&tm) - (d->dt_zone < 0 ? -minutes : minutes) * 60;
	return true;
}

int mailbox_check_date(const char *date, struct err *e)
{
	if (strlen(date) < 20 || strlen(date) > 40 || strpbrk(date, "\r\n\"\\"))
		return err_set(e, ERR_INPUT, "date \"%.60s\" cannot be sent", date);
	return 0;
}

/* ---- FETCH answers */

void fetch_scratch_release(struct fetch_scratch *s)
{
	buf_release(&s->flags);
	buf_release(&s->words);
}

static void add_word(struct buf *words, const char *prefix, const char *name)
{
	if (buf_len(words))
		buf_add(words, " ", 1);
	buf_add_str(words, prefix);
	buf_add_str(words, name ? name : "");
}

static void add_flag(struct buf *words, const struct mailimap_flag *f)
{
	if (!f)
		return;
	switch (f->fl_type) {
	case MAILIMAP_FLAG_ANSWERED:
		add_word(words, "", "\\Answered");
		break;
	case MAILIMAP_FLAG_FLAGGED:
		add_word(words, "", "\\Flagged");
		break;
	case MAILIMAP_FLAG_DELETED:
		add_word(words, "", "\\Deleted");
		break;
	case MAILIMAP_FLAG_SEEN:
		add_word(words, "", "\\Seen");
		break;
	case MAILIMAP_FLAG_DRAFT:
		add_word(words, "", "\\Draft");
		break;
	case MAILIMAP_FLAG_KEYWORD:
		add_word(words, "", f->fl_data.fl_keyword);
		break;
	case MAILIMAP_FLAG_EXTENSION:
		add_word(words, "\\", f->fl_data.fl_extension);
		break;
	}
}

static void flags_read(const struct mailimap_msg_att_dynamic *d, struct fetch_scratch *s,
		       struct fetch_items *out)
{
	bool any;

	buf_drain(&s->words, buf_len(&s->words));
	buf_drain(&s->flags, buf_len(&s->flags));
	for (clistiter *i = d->att_list ? clist_begin(d->att_list) : NULL; i;
	     i = clist_next(i)) {
		const struct mailimap_flag_fetch *f = clist_content(i);

		if (f->fl_type != MAILIMAP_FLAG_FETCH_RECENT)
			add_flag(&s->words, f->fl_flag);
	}
	flags_normalise(buf_slice(&s->words), &s->flags, &any);
	out->info.flags = buf_slice(&s->flags).p;
	out->has_flags = true;
}

static void body_read(const struct mailimap_msg_att_body_section *b, struct fetch_items *out)
{
	out->has_body = true;
	if (b->sec_body_part)
		out->body = (struct slice){ b->sec_body_part, b->sec_length };
}

static void static_read(const struct mailimap_msg_att_static *a, struct fetch_scratch *s,
			struct fetch_items *out)
{
	struct message_info *i = &out->info;

	switch (a->att_type) {
	case MAILIMAP_MSG_ATT_UID:
		i->uid = a->att_data.att_uid;
		out->has_uid = i->uid != 0;
		break;
	case MAILIMAP_MSG_ATT_RFC822_SIZE:
		i->size = a->att_data.att_rfc822_size;
		out->has_size = true;
		break;
	case MAILIMAP_MSG_ATT_INTERNALDATE:
		if (a->att_data.att_internal_date &&
		    date_read(a->att_data.att_internal_date, s->date, &i->date_s))
			i->date = s->date;
		break;
	case MAILIMAP_MSG_ATT_BODY_SECTION:
		if (a->att_data.att_body_section)
			body_read(a->att_data.att_body_section, out);
		break;
	}
}

bool fetch_items_read(const struct frame *f, struct fetch_scratch *s, struct fetch_items *out)
{
	const struct mailimap_message_data *d;

	*out = (struct fetch_items){ .info.date_s = DATE_UNKNOWN };
	if (f->kind != FRAME_DATA || f->data->rsp_type != MAILIMAP_RESP_DATA_TYPE_MESSAGE_DATA)
		return false;
	d = f->data->rsp_data.rsp_message_data;
	if (!d || d->mdt_type != MAILIMAP_MESSAGE_DATA_FETCH || !d->mdt_msg_att ||
	    !d->mdt_msg_att->att_list)
		return false;
	for (clistiter *i = clist_begin(d->mdt_msg_att->att_list); i; i = clist_next(i)) {
		const struct mailimap_msg_att_item *item = clist_content(i);

		if (item->att_type == MAILIMAP_MSG_ATT_ITEM_DYNAMIC && item->att_data.att_dyn)
			flags_read(item->att_data.att_dyn, s, out);
		else if (item->att_type == MAILIMAP_MSG_ATT_ITEM_STATIC &&
			 item->att_data.att_static)
			static_read(item->att_data.att_static, s, out);
	}
	return true;
}

bool frame_is_odd_fetch(const struct frame *f)
{
	struct slice rest = f->reply.text, word;
	uint64_t number;

	if (f->kind != FRAME_OTHER)
		return false;
	if (!rest.n && f->line.n > 2) /* a NUL in it */
		rest = (struct slice){ f->line.p + 2, f->line.n - 2 };
	return take_word(&rest, &word) && slice_u64(word, UINT32_MAX, &number) == 0 &&
	       slice_starts_nocase(rest, " FETCH");
}

/* ---- sets of UIDs */

size_t uid_set_write(struct buf *out, const uint32_t *uids, size_t n)
{
	const size_t start = buf_len(out), range_max = 2 * sizeof "4294967295,";
	size_t i = 0;

	while (i < n && (i == 0 || buf_len(out) - start + range_max <= MAILBOX_SET_MAX)) {
		size_t first = i;

		while (i + 1 < n && uids[i + 1] == uids[i] + 1)
			i++;
		buf_printf(out, "%s%" PRIu32, first ? "," : "", uids[first]);
		if (i > first)
			buf_printf(out, ":%" PRIu32, uids[i]);
		i++;
	}
	return i;
}

void uids_check(const uint32_t *uids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ASSERT(uids[i] > (i ? uids[i - 1] : 0));
}

/* ---- listings */

struct lister {
	uint32_t lo, hi;
	uint32_t low,
		high; /* least and greatest UID that the present command answered; 0: none */
	mailbox_message_fn *on_message; /* one of these */
	mailbox_header_fn *on_header;
	struct uid_list *uids;
	void *arg;
	struct listing *out;
	struct fetch_scratch scratch;
	struct buf header; /* what the sink took */
};

static void uid_add(struct uid_list *l, uint32_t uid)
{
	if ((l->count & (l->count + 1)) == 0)
		l->at = mem_grow(l->at, l->count * 2 + 1, sizeof *l->at);
	l->at[l->count++] = uid;
}

static void note_bounds(struct lister *l, uint32_t uid)
{
	l->out->messages++;
	l->low = l->low ? MIN(l->low, uid) : uid;
	l->high = MAX(l->high, uid);
}

static int hand_out(struct lister *l, const struct frame *f, const struct fetch_items *i,
		    struct err *e)
{
	if (l->uids) {
		uid_add(l->uids, i->info.uid);
		note_bounds(l, i->info.uid);
		return 0;
	}
	/* An answer without all items is news of a change, not an answer to us. */
	if (!i->has_flags || !i->has_size || (l->on_header && !i->has_body))
		return 0;
	note_bounds(l, i->info.uid);
	if (l->on_message)
		return l->on_message(&i->info, l->arg, e);
	return l->on_header(&i->info, f->bodies ? buf_slice(&l->header) : i->body, l->arg, e);
}

static int on_listed(const struct frame *f, void *arg, struct err *e)
{
	struct lister *l = arg;
	struct fetch_items items;
	int r = 0;

	if (frame_is_odd_fetch(f))
		l->out->unparsed++;
	/* "lo:*" names the last message even below lo (RFC 3501 9 seq-range). */
	if (fetch_items_read(f, &l->scratch, &items) && items.has_uid &&
	    items.info.uid >= l->lo && (l->hi == 0 || items.info.uid <= l->hi))
		r = hand_out(l, f, &items, e);
	buf_drain(&l->header, buf_len(&l->header));
	return r;
}

static int header_begin(void *arg, struct slice before, uint64_t size, struct err *e)
{
	(void)arg, (void)before, (void)size, (void)e;
	return 0;
}

static int header_bytes(void *arg, struct slice bytes, struct err *e)
{
	struct lister *l = arg;

	(void)e;
	buf_add(&l->header, bytes.p, MIN(bytes.n, MAILBOX_HEADER_MAX - buf_len(&l->header)));
	return 0;
}

static int header_end(void *arg, struct err *e)
{
	(void)arg, (void)e;
	return 0;
}

/* Some servers answer BAD to a range in an empty folder: then there is nothing to ask. Was it
 * just opened, the server has said so; else it is asked again. */
static int has_messages(struct mailbox *m, bool *out, struct err *e)
{
	*out = true;
	if (m->look_count) /* the folder is being opened: whoever asks now knows of mail in it */
		return 0;
	if (m->exists == 0 && m->opened_by != m->tags && mailbox_noop(m, e) < 0)
		return -1;
	*out = m->exists > 0;
	return 0;
}

static int run_listing(struct mailbox *m, struct lister *l, const char *items, struct err *e)
{
	struct command c = { 0 };

	l->low = l->high = 0;
	command_printf(&c, "UID FETCH %" PRIu32 ":", l->lo);
	if (l->hi)
		command_printf(&c, "%" PRIu32 " %s", l->hi, items);
	else
		command_printf(&c, "* %s", items);
	return command_run(m, &c, on_listed, l, e);
}

/* Of "MESSAGELIMIT 1000 23221" the second number: the last UID that was worked on; 0: not said.
 */
static uint32_t last_worked_on(const struct mailbox *m)
{
	uint32_t uid = 0;

	if (sscanf(m->last_code, "%*s %*u %" SCNu32, &uid) != 1)
		return 0;
	return uid;
}

/*
 * RFC 9738 3.1: a server that works on so many messages only begins with the highest UIDs and
 * says where it stopped. One that begins with the lowest is understood too. true: *next is
 * still to be asked for.
 */
static bool next_page(const struct mailbox *m, const struct lister *l, struct uid_range *next)
{
	uint32_t stopped = last_worked_on(m);

	if (stopped == l->high && stopped != l->low) {
		*next = (struct uid_range){ l->high + 1, l->hi };
		return l->high < (l->hi ? l->hi : UINT32_MAX);
	}
	*next = (struct uid_range){ l->lo, MIN(l->low, stopped ? stopped : l->low) - 1 };
	return next->hi >= next->lo;
}

static int run_pages(struct mailbox *m, struct lister *l, const char *items, struct err *e)
{
	struct uid_range next;

	for (;;) {
		if (run_listing(m, l, items, e) < 0)
			return -1;
		if (!mailbox_last_code_is(m, "MESSAGELIMIT"))
			return 0;
		if (!l->low)
			return err_set(e, ERR_LIMIT, "the server cut the listing short: [%s]",
				       m->last_code);
		if (!next_page(m, l, &next))
			return 0;
		l->lo = next.lo;
		l->hi = next.hi;
	}
}

static int list(struct mailbox *m, struct lister *l, const char *items, struct err *e)
{
	const struct frame_sink sink = { header_begin, header_bytes, header_end, l };
	bool some;
	int r;

	*l->out = (struct listing){ 0 };
	ASSERT(*mailbox_folder(m) && l->lo > 0);
	if (has_messages(m, &some, e) < 0)
		return -1;
	if (!some || (l->hi && l->hi < l->lo))
		return 0;
	if (l->on_header)
		frame_set_sink(m->r, &sink);
	r = run_pages(m, l, items, e);
	frame_set_sink(m->r, NULL);
	fetch_scratch_release(&l->scratch);
	buf_release(&l->header);
	return r < 0 ? err_wrap(e, "listing folder \"%s\"", mailbox_folder(m)) : 0;
}

int mailbox_messages(struct mailbox *m, uint32_t lo, uint32_t hi, mailbox_message_fn *fn,
		     void *arg, struct listing *out, struct err *e)
{
	struct lister l = { .lo = lo, .hi = hi, .on_message = fn, .arg = arg, .out = out };

	if (m->pop3)
		return pop3_source_messages(m->pop3, lo, hi, fn, arg, out, e);
	return list(m, &l, "(UID FLAGS INTERNALDATE RFC822.SIZE)", e);
}

size_t mailbox_set_write(const struct mailbox *m, struct buf *out, const uint32_t *uids,
			 size_t n)
{
	if (m->caps.message_limit)
		n = (size_t)MIN((uint64_t)n, m->caps.message_limit);
	return uid_set_write(out, uids, n);
}

int mailbox_messages_of(struct mailbox *m, const uint32_t *uids, size_t n,
			mailbox_message_fn *fn, void *arg, struct listing *out, struct err *e)
{
	struct lister l = { .lo = n ? uids[0] : 1, .on_message = fn, .arg = arg, .out = out };
	int r = 0;

	ASSERT(!m->pop3); /* it tells no changes after which this would be asked */
	*out = (struct listing){ 0 };
	uids_check(uids, n);
	for (size_t done = 0; done < n && r == 0;) {
		struct command c = { 0 };

		buf_add_str(&c.text, "UID FETCH ");
		done += mailbox_set_write(m, &c.text, uids + done, n - done);
		buf_add_str(&c.text, " (UID FLAGS INTERNALDATE RFC822.SIZE)");
		r = command_run(m, &c, on_listed, &l, e);
		if (r == 0 && mailbox_last_code_is(m, "MESSAGELIMIT"))
			r = err_set(e, ERR_LIMIT, "the server cut the listing short: [%s]",
				    m->last_code);
	}
	fetch_scratch_release(&l.scratch);
	return r < 0 ? err_wrap(e, "listing folder \"%s\"", mailbox_folder(m)) : 0;
}

int mailbox_headers(struct mailbox *m, uint32_t lo, uint32_t hi, mailbox_header_fn *fn,
		    void *arg, struct listing *out, struct err *e)
{
	struct lister l = { .lo = lo, .hi = hi, .on_header = fn, .arg = arg, .out = out };

	if (m->pop3)
		return pop3_source_headers(m->pop3, lo, hi, fn, arg, out, e);
	return list(m, &l, "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])", e);
}

static int uid_order(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void uids_tidy(struct uid_list *l)
{
	size_t kept = 0;

	if (l->count)
		qsort(l->at, l->count, sizeof *l->at, uid_order);
	for (size_t i = 0; i < l->count; i++)
		if (kept == 0 || l->at[kept - 1] != l->at[i])
			l->at[kept++] = l->at[i];
	l->count = kept;
}

int mailbox_uids(struct mailbox *m, uint32_t lo, uint32_t hi, struct uid_list *out,
		 struct err *e)
{
	struct uid_list uids = { 0 };
	struct listing listing;
	struct lister l = { .lo = lo, .hi = hi, .uids = &uids, .out = &listing };

	if (m->pop3)
		return pop3_source_uids(m->pop3, lo, hi, out, e);
	if (list(m, &l, "(UID)", e) < 0)
		goto fail;
	if (listing.unparsed) {
		err_set(e, ERR_PROTOCOL, "folder \"%s\": cannot read %u answers", m->selected,
			listing.unparsed);
		goto fail;
	}
	uids_tidy(&uids);
	*out = uids;
	return 0;
fail:
	uid_list_release(&uids);
	return -1;
}

void uid_list_release(struct uid_list *l)
{
	free(l->at);
	*l = (struct uid_list){ 0 };
}

/* ---- marks */

static int marks_by_number(struct mailbox *m, uint32_t nth, struct uid_list *out, struct err *e)
{
	struct listing listing = { 0 };
	struct lister l = { .lo = 1, .uids = out, .out = &listing };
	size_t n = m->exists / nth;
	uint32_t *numbers = mem_array(n + 1, sizeof *numbers);
	int r = 0;

	for (size_t i = 0; i < n; i++)
		numbers[i] = nth * (uint32_t)(i + 1);
	for (size_t done = 0; done < n && r == 0;) {
		struct command c = { 0 };

		buf_add_str(&c.text, "FETCH ");
		done += mailbox_set_write(m, &c.text, numbers + done, n - done);
		buf_add_str(&c.text, " (UID)");
		r = command_run(m, &c, on_listed, &l, e);
	}
	free(numbers);
	fetch_scratch_release(&l.scratch);
	uids_tidy(out);
	return r;
}

/* For the moment all of them are in memory. */
static int marks_of_all(struct mailbox *m, uint32_t nth, struct uid_list *out, struct err *e)
{
	size_t kept = 0;

	if (mailbox_uids(m, 1, 0, out, e) < 0)
		return -1;
	for (size_t i = nth - 1; i < out->count; i += nth)
		out->at[kept++] = out->at[i];
	out->count = kept;
	return 0;
}

int mailbox_marks(struct mailbox *m, uint32_t nth, struct uid_list *out, struct err *e)
{
	struct err refused = { 0 };

	*out = (struct uid_list){ 0 };
	if (!m->pop3 && marks_by_number(m, nth, out, &refused) == 0)
		return 0;
	uid_list_release(out);
	if (mailbox_is_usable(m)) /* a server that counts wrong refuses the numbers it gave */
		return marks_of_all(m, nth, out, e);
	*e = refused;
	return -1;
}
