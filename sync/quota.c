/* Hides: the answer's numbers, and when they are too small. */
#include "sync/quota.h"

#include <inttypes.h>

#include "sync/mailbox_impl.h"

#define KIB 1024
#define MIB (1024 * 1024)

static struct slice next_word(struct slice *s)
{
	struct slice word;

	while (s->n && (s->p[0] == ' ' || s->p[0] == '('))
		*s = (struct slice){ s->p + 1, s->n - 1 };
	word = (struct slice){ s->p, 0 };
	while (word.n < s->n && s->p[word.n] != ' ' && s->p[word.n] != ')')
		word.n++;
	*s = (struct slice){ s->p + word.n, s->n - word.n };
	return word;
}

static void take(struct quota_resource *r, uint64_t used, uint64_t limit, int64_t unit)
{
	int64_t u = (int64_t)used * unit, l = (int64_t)limit * unit;

	if (r->known && r->limit - r->used <= l - u)
		return;
	*r = (struct quota_resource){ true, u, l };
}

void quota_take(struct quota *q, struct slice line)
{
	/* The list is flat; a root's name may hold parentheses. */
	const char *open = line.n ? memrchr(line.p, '(', line.n) : NULL;
	struct slice rest;

	if (!slice_starts_nocase(line, "QUOTA ") || !open)
		return;
	rest = (struct slice){ open, (size_t)(line.p + line.n - open) };
	for (;;) {
		struct slice name = next_word(&rest), used = next_word(&rest),
			     limit = next_word(&rest);
		uint64_t u, l;

		if (slice_u64(used, INT64_MAX / KIB, &u) < 0 ||
		    slice_u64(limit, INT64_MAX / KIB, &l) < 0)
			return;
		if (slice_is_nocase(name, "STORAGE"))
			take(&q->bytes, u, l, KIB);
		else if (slice_is_nocase(name, "MESSAGE"))
			take(&q->messages, u, l, 1);
	}
}

static int on_answer(const struct frame *f, void *arg, struct err *e UNUSED)
{
	if (f->kind == FRAME_DATA || f->kind == FRAME_OTHER)
		quota_take(arg, f->reply.text);
	return 0;
}

int mailbox_quota(struct mailbox *m, struct quota *out, struct err *e)
{
	struct command c = { 0 };

	*out = (struct quota){ 0 };
	if (m->pop3)
		out->bytes =
			(struct quota_resource){ true, pop3_source_bytes(m->pop3), INT64_MAX };
	if (!imap_capability_has(buf_slice(&m->capabilities), "QUOTA"))
		return 0;
	command_printf(&c, "GETQUOTAROOT INBOX");
	if (command_run(m, &c, on_answer, out, e) == 0)
		return 0;
	if (!mailbox_is_usable(m) || e->later.whom)
		return err_wrap(e, "quota");
	err_clear(e);
	*out = (struct quota){ 0 };
	return 0;
}

void quota_text(const struct quota *q, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	if (q->bytes.known)
		n = (size_t)snprintf(out, size, "%" PRId64 " of %" PRId64 " MiB",
				     q->bytes.used / MIB, q->bytes.limit / MIB);
	if (q->messages.known && n < size)
		snprintf(out + n, size - n, "%s%" PRId64 " of %" PRId64 " messages",
			 n ? ", " : "", q->messages.used, q->messages.limit);
}

static bool too_much(const struct quota_resource *r, int64_t more)
{
	int64_t left = MAX(r->limit - r->used, 0);

	return r->known && more - more / 100 * QUOTA_SLACK_PERCENT > left;
}

int quota_fits(const struct quota *q, int64_t bytes, int64_t messages, struct err *e)
{
	char room[100];

	if (!too_much(&q->bytes, bytes) && !too_much(&q->messages, messages))
		return 0;
	quota_text(q, room, sizeof room);
	return err_set(e, ERR_FULL,
		       "no room for %" PRId64 " MiB in %" PRId64 " messages more: %s are used",
		       bytes / MIB, messages, room);
}
