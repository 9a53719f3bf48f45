/*
 * Feeds a conversation to a tracker the way the relay does: the server's bytes as they come,
 * the client's kept until they may pass. For the property test and the fuzzers.
 */
#ifndef TESTS_UNIT_FOLLOW_H
#define TESTS_UNIT_FOLLOW_H

#include "common/wire/boundary.h"
#include "common/wire/pop3_boundary.h"
#include "tests/unit/reference.h"

struct follow {
	struct boundary imap;
	struct pop3_boundary pop3;
	bool is_pop3, broken;
	size_t said, taken; /* the client's bytes that came and that went on */
	char from_client[REF_TALK_MAX];
};

static inline bool follow_imap_up(struct follow *f, const char *p, size_t n, size_t *take)
{
	struct imap_command c;

	switch (boundary_up(&f->imap, p, n, REF_LINE_MAX, take, &c)) {
	case UP_MORE:
	case UP_FULL:
	case UP_WAIT:
		return false;
	case UP_BROKEN:
		f->broken = true;
		return false;
	case UP_PASS:
	case UP_DROP:
		break;
	case UP_COMMAND:
		if (imap_command_refused(c.verb))
			boundary_refuse(&f->imap, p, *take);
		else
			boundary_pass(&f->imap, p, *take, &c);
		break;
	case UP_BAD:
		boundary_refuse(&f->imap, p, *take);
		break;
	}
	return true;
}

static inline bool follow_pop3_up(struct follow *f, const char *p, size_t n, size_t *take)
{
	struct pop3_boundary *b = &f->pop3;
	struct pop3_command c;

	switch (pop3_boundary_up(b, p, n, take, &c)) {
	case POP3_UP_MORE:
	case POP3_UP_FULL:
		return false;
	case POP3_UP_BROKEN:
		f->broken = true;
		return false;
	case POP3_UP_REFUSE:
		return b->count == 0 && pop3_boundary_at_line(b);
	case POP3_UP_PASS:
		pop3_boundary_pass(b, &c);
		break;
	}
	return true;
}

static inline void follow_client(struct follow *f)
{
	while (f->taken < f->said && !f->broken) {
		const char *p = f->from_client + f->taken;
		size_t n = f->said - f->taken, take = 0;

		if (!(f->is_pop3 ? follow_pop3_up(f, p, n, &take)
				 : follow_imap_up(f, p, n, &take)))
			return;
		ASSERT(take > 0 && take <= n);
		f->taken += take;
	}
}

static inline void follow_server(struct follow *f, const char *p, size_t n)
{
	while (n) {
		size_t ate = f->is_pop3 ? pop3_boundary_down(&f->pop3, p, n)
					: boundary_down(&f->imap, p, n);

		ASSERT(ate > 0 && ate <= n);
		p += ate;
		n -= ate;
	}
}

/* Bytes from..to of the conversation, the longest runs of one side at once. */
static inline void follow_feed(struct follow *f, const struct ref_talk *t, size_t from,
			       size_t to)
{
	size_t end;

	for (; from < to; from = end) {
		for (end = from + 1; end < to && t->who[end] == t->who[from]; end++)
			;
		if (t->who[from] == 'C') {
			memcpy(f->from_client + f->said, t->byte + from, end - from);
			f->said += end - from;
		} else {
			follow_server(f, t->byte + from, end - from);
		}
		follow_client(f);
	}
}

static inline struct ref follow_state(const struct follow *f)
{
	const struct pop3_boundary *p = &f->pop3;
	const struct boundary *b = &f->imap;

	if (f->is_pop3)
		return (struct ref){ .quiet = pop3_boundary_quiet(p),
				     .at_line = pop3_boundary_at_line(p),
				     .open = p->count,
				     .deletes = p->deletes };
	return (struct ref){ .quiet = boundary_quiet(b),
			     .at_line = boundary_at_line(b),
			     .uploading = boundary_uploading(b),
			     .open = b->open };
}

static inline bool follow_agrees(struct ref a, struct ref b)
{
	return a.quiet == b.quiet && a.at_line == b.at_line && a.uploading == b.uploading &&
	       a.open == b.open && a.deletes == b.deletes;
}

#endif
