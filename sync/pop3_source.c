/* Hides: sessions that come and go, and the listing of one that is kept for as long as it
 * lasts. */
#include "sync/pop3_source_impl.h"

#include <poll.h>
#include <strings.h>

#include "common/clock.h"
#include "sync/pop3_match.h"

static const char inbox[] = "INBOX";

/* ---- sessions */

static struct slice capa(const struct pop3_source *s)
{
	return s->session ? pop3_session_capa(s->session) : (struct slice){ "", 0 };
}

static bool deletes_what_is_read(const struct pop3_source *s)
{
	return s->session && pop3_session_deletes_read(s->session);
}

static bool is_gmail(const struct pop3_source *s)
{
	return s->session && pop3_session_is_gmail(s->session);
}

static bool shows_less(const struct pop3_source *s)
{
	return is_gmail(s) || deletes_what_is_read(s);
}

static void end_session(struct pop3_source *s)
{
	bool quit = !deletes_what_is_read(s) && (s->settled || !is_gmail(s));

	pop3_session_close(&s->session, quit);
	s->logged_in = s->surveyed = false;
}

static int connect_session(struct pop3_source *s, struct err *e)
{
	if (s->dial)
		return pop3_session_open_on(s->dial(s->dial_arg), s->side, &s->session, e);
	return pop3_session_open(s->side, s->connect_ms, s->io_ms, &s->session, e);
}

/* Some servers let nobody in twice within some time, and say so beforehand (RFC 2449 6.5). */
static int wait_for_delay(const struct pop3_source *s, struct err *e)
{
	struct slice args;
	int64_t left;
	uint64_t n;

	if (!s->login_at || !pop3_capa_args(capa(s), "LOGIN-DELAY", &args) ||
	    slice_u64(args, 86400, &n) < 0)
		return 0;
	left = s->login_at + 1000 * (int64_t)n - clock_mono_ms();
	if (left > POP3_DELAY_MAX_MS) {
		err_set(e, ERR_TEMP, "the server wants %lld s between two logins",
			(long long)n);
		e->later = (struct later){ .whom = LATER_USER,
					   .side = s->side->which,
					   .wait_ms = left };
		return -1;
	}
	while ((left = s->login_at + 1000 * (int64_t)n - clock_mono_ms()) > 0)
		poll(NULL, 0, (int)left);
	return 0;
}

static int log_in(struct pop3_source *s, struct err *e)
{
	if (s->logged_in)
		return 0;
	if (!s->session && connect_session(s, e) < 0)
		return -1;
	if (wait_for_delay(s, e) < 0 || pop3_session_login(s->session, e) < 0)
		return -1;
	s->login_at = clock_mono_ms();
	s->logged_in = true;
	return 0;
}

static int start(struct pop3_source *s, struct pop3_source **out, struct err *e)
{
	if (connect_session(s, e) < 0 || (!s->side->late && log_in(s, e) < 0)) {
		pop3_source_close(&s);
		return -1;
	}
	*out = s;
	return 0;
}

int pop3_source_open(const struct job_side *side, int connect_ms, int io_ms,
		     struct pop3_source **out, struct err *e)
{
	struct pop3_source *s = mem_new(sizeof *s);

	s->side = side;
	s->connect_ms = connect_ms;
	s->io_ms = io_ms;
	return start(s, out, e);
}

int pop3_source_open_by(pop3_dial_fn *dial, void *arg, const struct job_side *side,
			struct pop3_source **out, struct err *e)
{
	struct pop3_source *s = mem_new(sizeof *s);

	s->side = side;
	s->dial = dial;
	s->dial_arg = arg;
	return start(s, out, e);
}

void pop3_source_close(struct pop3_source **at)
{
	struct pop3_source *s = *at;

	if (!s)
		return;
	end_session(s);
	mem_free(&s->at);
	mem_free(at);
}

bool pop3_source_is_usable(const struct pop3_source *s)
{
	return s->session && pop3_session_is_usable(s->session);
}

void pop3_source_attach(struct pop3_source *s, struct journal *j)
{
	s->journal = j;
}

void pop3_source_settled(struct pop3_source *s)
{
	s->settled = true;
}

bool pop3_source_has_more(const struct pop3_source *s)
{
	return is_gmail(s) && s->saw_new;
}

struct transport *pop3_source_transport(const struct pop3_source *s)
{
	return pop3_session_transport(s->session);
}

const char *pop3_source_mechanism(const struct pop3_source *s)
{
	return pop3_session_mechanism(s->session);
}

uint32_t pop3_source_count(const struct pop3_source *s)
{
	return (uint32_t)s->count;
}

int64_t pop3_source_bytes(const struct pop3_source *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += MIN(s->at[i].size, (uint64_t)INT64_MAX / POP3_MESSAGES_MAX);
	return (int64_t)n;
}

const char *pop3_source_warning(const struct pop3_source *s)
{
	if (deletes_what_is_read(s))
		return "the server deletes what was read by POP3 (EXPIRE 0); the copier never says"
		       " QUIT there, which should prevent it: try it with one user first";
	if (is_gmail(s))
		return "Gmail shows some hundred messages at a time by POP3, and may delete or"
		       " archive what was read (see its settings): IMAP copies all folders";
	return "";
}

int pop3_source_check(const struct pop3_source *s, struct err *e)
{
	if (s->surveyed)
		return 0;
	return err_set(e, ERR_TEMP, "the POP3 session is over");
}

/* ---- which message is which */

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct pop3_message *)a)->uid;
	uint32_t y = ((const struct pop3_message *)b)->uid;

	return x < y ? -1 : x > y;
}

const struct pop3_message *pop3_source_find(const struct pop3_source *s, uint32_t uid)
{
	const struct pop3_message key = { .uid = uid };

	return s->count ? bsearch(&key, s->at, s->count, sizeof key, by_uid) : NULL;
}

static void add_message(struct pop3_source *s, uint32_t uid, uint32_t number, uint64_t size)
{
	s->at[s->count++] = (struct pop3_message){ uid, number, size };
}

/* One listing on its way to become messages with UIDs. */
struct snapshot {
	struct pop3_source *s;
	struct pop3_known *known;
	size_t known_count;
	struct pop3_here *here;
	size_t count;

	struct pop3_wanted *asked; /* those whose bytes decide, with their digests */
	unsigned char (*digests)[DIGEST_SIZE];
	bool *read;
	size_t asked_count;
	struct digest_stream *stream;
};

static int ask_bytes(size_t i UNUSED, struct slice bytes, void *arg, struct err *e UNUSED)
{
	digest_stream_feed(((struct snapshot *)arg)->stream, bytes);
	return 0;
}

static int ask_end(size_t i, void *arg, struct err *e UNUSED)
{
	struct snapshot *n = arg;
	struct digest d;

	digest_stream_end(n->stream, &d);
	memcpy(n->digests[i], d.raw, DIGEST_SIZE);
	n->read[i] = true;
	return 0;
}

/* It may be one that we have; unread, it is left for the next pass, and nothing is deleted. */
static int ask_refused(size_t i UNUSED, const char *text UNUSED, void *arg,
		       struct err *e UNUSED)
{
	((struct snapshot *)arg)->s->unclear++;
	return 0;
}

static void gather_asked(struct snapshot *n)
{
	n->asked = mem_array(n->count + 1, sizeof *n->asked);
	for (size_t i = 0; i < n->count; i++)
		if (n->here[i].ask)
			n->asked[n->asked_count++] =
				(struct pop3_wanted){ n->here[i].number, n->here[i].size };
	n->digests = mem_array(n->asked_count + 1, sizeof *n->digests);
	n->read = mem_array(n->asked_count + 1, sizeof *n->read);
}

static int match_bytes(struct snapshot *n, struct err *e)
{
	const struct pop3_sink sink = { NULL, ask_bytes, ask_end, ask_refused, n };
	const unsigned char **digests;
	int rc;

	gather_asked(n);
	if (n->asked_count == 0)
		return 0;
	n->stream = digest_stream_new();
	rc = pop3_session_retr(n->s->session, n->asked, n->asked_count, &sink, e);
	digest_stream_free(&n->stream);
	if (rc < 0)
		return -1;
	digests = mem_array(n->asked_count, sizeof *digests);
	for (size_t i = 0; i < n->asked_count; i++)
		digests[i] = n->read[i] ? n->digests[i] : NULL;
	pop3_match_bytes(n->known, n->known_count, n->here, n->count, digests);
	free(digests);
	return 0;
}

/* The row that this message has, or shall have. A UIDL once seen is not forgotten. */
static int write_one(struct snapshot *n, struct pop3_here *h, struct err *e)
{
	struct pop3_source *s = n->s;
	struct pop3_known fresh = { .uidl = (char *)(uintptr_t)h->uidl };
	struct pop3_known *k = h->known < 0 ? &fresh : &n->known[h->known];
	const char *uidl = *h->uidl ? h->uidl : k->uidl;

	if (!k->uid || strcmp(k->uidl, uidl) != 0 || k->ordinal != h->ordinal ||
	    k->size != h->size) {
		if (k != &fresh && k->uidl != uidl) {
			free(k->uidl);
			k->uidl = mem_str(uidl);
		}
		k->ordinal = h->ordinal;
		k->size = h->size;
		if (journal_pop3_write(s->journal, k, e) < 0)
			return -1;
	}
	s->saw_new = s->saw_new || h->known < 0;
	add_message(s, k->uid, h->number, h->size);
	return 0;
}

/* Servers that show less: what is not shown is there all the same. */
static void add_hidden(struct snapshot *n)
{
	bool *here = mem_array(n->known_count + 1, sizeof *here);

	for (size_t i = 0; i < n->count; i++)
		if (n->here[i].known >= 0)
			here[n->here[i].known] = true;
	for (size_t i = 0; i < n->known_count; i++)
		if (!here[i])
			add_message(n->s, n->known[i].uid, 0, n->known[i].size);
	free(here);
}

static int write_all(struct snapshot *n, struct err *e)
{
	struct journal *j = n->s->journal;
	size_t asked = 0;

	if (journal_begin(j, e) < 0)
		return -1;
	if (journal_pop3_tidy(j, e) < 0)
		goto fail;
	for (size_t i = 0; i < n->count; i++) {
		if (n->here[i].ask && !n->read[asked++])
			continue;
		if (write_one(n, &n->here[i], e) < 0)
			goto fail;
	}
	if (journal_pop3_next(j, &n->s->uidnext, e) < 0)
		goto fail;
	if (shows_less(n->s))
		add_hidden(n);
	return journal_commit(j, e);
fail:
	journal_rollback(j);
	return -1;
}

static int name_by_journal(struct snapshot *n, struct err *e)
{
	int rc = journal_pop3_known(n->s->journal, &n->known, &n->known_count, e);

	if (rc == 0) {
		n->s->at = mem_array(n->count + n->known_count + 1, sizeof *n->s->at);
		pop3_match_uidls(n->known, n->known_count, n->here, n->count);
		rc = match_bytes(n, e);
	}
	if (rc == 0)
		rc = write_all(n, e);
	journal_pop3_free(&n->known, &n->known_count);
	free(n->asked);
	free(n->digests);
	free(n->read);
	return rc;
}

static void name_by_number(struct snapshot *n)
{
	struct pop3_source *s = n->s;

	s->at = mem_array(n->count + 1, sizeof *s->at);
	for (size_t i = 0; i < n->count; i++)
		add_message(s, n->here[i].number, n->here[i].number, n->here[i].size);
	s->uidnext = s->count ? s->at[s->count - 1].uid + 1 : 1;
}

static int name_all(struct pop3_source *s, struct pop3_entries *l, struct err *e)
{
	struct snapshot n = { .s = s, .count = l->count };
	int rc = 0;

	n.here = mem_array(l->count + 1, sizeof *n.here);
	for (size_t i = 0; i < l->count; i++) {
		buf_add(&l->at[i].uidl, "", 1);
		n.here[i] = (struct pop3_here){ .number = l->at[i].number,
						.uidl = buf_slice(&l->at[i].uidl).p,
						.size = l->at[i].size };
	}
	if (s->journal)
		rc = name_by_journal(&n, e);
	else
		name_by_number(&n);
	if (rc == 0 && s->count)
		qsort(s->at, s->count, sizeof *s->at, by_uid);
	free(n.here);
	return rc;
}

static int take_snapshot(struct pop3_source *s, struct err *e)
{
	struct pop3_entries l;
	int rc;

	mem_free(&s->at);
	s->count = 0;
	s->saw_new = s->settled = false;
	if (pop3_session_list(s->session, &l, e) < 0)
		return -1;
	s->unclear = l.unclear;
	rc = name_all(s, &l, e);
	pop3_entries_release(&l);
	s->surveyed = rc == 0;
	return rc;
}

/* ---- a mailbox */

/* All but the name. */
static void fill_info(const struct pop3_source *s, struct folder_info *out)
{
	out->noinferiors = true;
	out->has_status = true;
	out->uidvalidity = POP3_UIDVALIDITY;
	out->uidnext = s->uidnext;
	out->messages = (uint32_t)s->count;
}

/* The first survey uses the session that is there. */
int pop3_source_survey_begin(struct pop3_source *s, bool namespaces, struct err *e)
{
	s->with_namespaces = namespaces;
	if (s->surveyed || !pop3_source_is_usable(s))
		end_session(s);
	return log_in(s, e);
}

int pop3_source_survey_end(struct pop3_source *s, struct namespace_info *space,
			   struct folder_list *folders, struct err *e)
{
	if (take_snapshot(s, e) < 0)
		return -1;
	if (s->with_namespaces)
		*space = (struct namespace_info){ .prefix = mem_str("") };
	*folders = (struct folder_list){ 0 };
	fill_info(s, folder_list_add(folders, inbox));
	return 0;
}

static int check_name(const struct pop3_source *s, const char *name, struct err *e)
{
	if (pop3_source_check(s, e) < 0)
		return -1;
	if (strcasecmp(name, inbox) == 0)
		return 0;
	return err_set(e, ERR_TEMP, "POP3 shows no folder \"%s\"", name);
}

int pop3_source_status(struct pop3_source *s, const char *name, struct folder_info *out,
		       struct err *e)
{
	if (check_name(s, name, e) < 0)
		return -1;
	*out = (struct folder_info){ .name = mem_str(inbox) };
	fill_info(s, out);
	return 0;
}

int pop3_source_select(const struct pop3_source *s, const char *name, struct selected *out,
		       struct err *e)
{
	*out = (struct selected){ 0 };
	if (check_name(s, name, e) < 0)
		return -1;
	*out = (struct selected){ .uidvalidity = POP3_UIDVALIDITY,
				  .uidnext = s->uidnext,
				  .messages = (uint32_t)s->count,
				  .read_only = true,
				  .permanent_flags = "" };
	return 0;
}

int pop3_source_look(const struct pop3_source *s, const char *name, struct err *e)
{
	return check_name(s, name, e);
}

int pop3_source_looked(const struct pop3_source *s, struct selected *out,
		       struct changes *changes, struct err *e)
{
	changes->exists = (uint32_t)s->count;
	return pop3_source_select(s, inbox, out, e);
}

int pop3_source_messages(struct pop3_source *s, uint32_t lo, uint32_t hi,
			 mailbox_message_fn *fn, void *arg, struct listing *out, struct err *e)
{
	*out = (struct listing){ .unparsed = s->unclear };
	if (pop3_source_check(s, e) < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++) {
		const struct pop3_message *m = &s->at[i];
		const struct message_info info = { .uid = m->uid,
						   .size = (uint32_t)MIN(m->size, UINT32_MAX),
						   .flags = "",
						   .date_s = DATE_UNKNOWN };

		if (m->uid < lo || (hi && m->uid > hi))
			continue;
		out->messages++;
		if (fn(&info, arg, e) < 0)
			return -1;
	}
	return 0;
}

int pop3_source_uids(const struct pop3_source *s, uint32_t lo, uint32_t hi,
		     struct uid_list *out, struct err *e)
{
	if (pop3_source_check(s, e) < 0)
		return -1;
	*out = (struct uid_list){ mem_array(s->count + 1, sizeof *out->at), 0 };
	for (size_t i = 0; i < s->count; i++)
		if (s->at[i].uid >= lo && (!hi || s->at[i].uid <= hi))
			out->at[out->count++] = s->at[i].uid;
	return 0;
}
