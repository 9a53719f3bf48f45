/*
 * A server's bytes through a POP3 session: capabilities, STAT, LIST, UIDL, headers, messages,
 * their dates, and the matching of ids. What it says decides nothing but what it says of
 * itself.
 */
#include "sync/pop3_match.h"
#include "sync/pop3_session.h"
#include "sync/received.h"

#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t next; /* messages come in order, each with one end or refusal */
	struct buf bytes;
};

static int on_begin(size_t i, void *arg, struct err *e UNUSED)
{
	ASSERT(((struct seen *)arg)->next == i);
	return 0;
}

static int on_bytes(size_t i, struct slice bytes, void *arg, struct err *e UNUSED)
{
	struct seen *s = arg;

	ASSERT(s->next == i && bytes.n > 0);
	buf_add(&s->bytes, bytes.p, bytes.n);
	return 0;
}

static int on_end(size_t i, void *arg, struct err *e UNUSED)
{
	struct seen *s = arg;
	int64_t date = received_date(buf_slice(&s->bytes), NOW);
	char text[RECEIVED_TEXT_MAX];

	ASSERT(s->next == i && date >= 0 && date <= NOW);
	received_text(date, text);
	buf_drain(&s->bytes, buf_len(&s->bytes));
	s->next++;
	return 0;
}

static int on_refused(size_t i, const char *text, void *arg, struct err *e UNUSED)
{
	struct seen *s = arg;

	ASSERT(s->next == i && *text && buf_len(&s->bytes) == 0);
	s->next++;
	return 0;
}

static void read_all(struct pop3_session *p, const struct pop3_entries *l)
{
	struct pop3_wanted *wanted = mem_array(l->count + 1, sizeof *wanted);
	struct seen s = { 0 };
	const struct pop3_sink sink = { on_begin, on_bytes, on_end, on_refused, &s };
	struct err e = { 0 };

	for (size_t i = 0; i < l->count; i++)
		wanted[i] = (struct pop3_wanted){ l->at[i].number, l->at[i].size };
	if (pop3_session_top(p, wanted, l->count, &sink, &e) == 0) {
		ASSERT(s.next == l->count);
		s.next = 0;
		if (pop3_session_retr(p, wanted, l->count, &sink, &e) == 0)
			ASSERT(s.next == l->count);
	}
	buf_release(&s.bytes);
	free(wanted);
}

/* The first half is what the journal knows: each is matched once, and only to its own id. */
static void match_halves(struct pop3_entries *l)
{
	size_t n = l->count / 2, m = l->count - n;
	struct pop3_known *known = mem_array(n + 1, sizeof *known);
	struct pop3_here *here = mem_array(m + 1, sizeof *here);
	bool *taken = mem_array(n + 1, sizeof *taken);

	for (size_t i = 0; i < l->count; i++) {
		buf_add(&l->at[i].uidl, "", 1);
		if (i < n)
			known[i] = (struct pop3_known){ .uid = (uint32_t)i + 1,
							.uidl = l->at[i].uidl.at +
								l->at[i].uidl.start,
							.size = l->at[i].size,
							.hashed = true };
		else
			here[i - n] = (struct pop3_here){ .number = l->at[i].number,
							  .uidl = buf_slice(&l->at[i].uidl).p,
							  .size = l->at[i].size };
	}
	pop3_match_uidls(known, n, here, m);
	for (size_t i = 0; i < m; i++) {
		if (here[i].known < 0)
			continue;
		ASSERT(!here[i].ask && !taken[here[i].known]);
		ASSERT(strcmp(known[here[i].known].uidl, here[i].uidl) == 0);
		taken[here[i].known] = true;
	}
	free(known);
	free(here);
	free(taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct job_side side = { .login = (char *)"anna" };
	struct transport *t = transport_of_bytes((struct slice){ (const char *)data, size });
	struct pop3_session *p;
	struct pop3_entries l;
	struct err e = { 0 };

	if (pop3_session_open_on(t, &side, &p, &e) < 0)
		return 0;
	if (pop3_session_list(p, &l, &e) == 0) {
		ASSERT(l.count <= POP3_MESSAGES_MAX);
		read_all(p, &l);
		match_halves(&l);
		pop3_entries_release(&l);
	}
	pop3_session_close(&p, false);
	return 0;
}
