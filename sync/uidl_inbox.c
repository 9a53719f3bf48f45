/* Hides: the parts of a map until it is whole, and whose ids are looked for. */
#include "sync/uidl_inbox.h"

#define UNSEEN_AGAIN_MS 3600000

void uidl_inbox_release(struct uidl_inbox *b)
{
	for (size_t i = 0; i < b->count; i++)
		free((char *)(uintptr_t)b->parts[i].p);
	free(b->parts);
	*b = (struct uidl_inbox){ 0 };
}

int uidl_inbox_take(struct uidl_inbox *b, struct store *st, const char *user,
		    const struct job_event *ev, struct err *e)
{
	static const struct slice none;
	int rc;

	if (ev->kind == JOB_EVENT_UIDL_PART) {
		size_t n = strlen(ev->body);

		if (b->bytes + (int64_t)n > STORE_UIDL_MAX)
			return err_set(e, ERR_LIMIT, "a map of unique ids has no end");
		b->parts = mem_grow(b->parts, b->count + 1, sizeof *b->parts);
		b->parts[b->count++] = (struct slice){ mem_strn(ev->body, n), n };
		b->bytes += (int64_t)n;
		return 0;
	}
	/* Where nothing was found, for POP3 was locked or down, what was found before is better
	 * than nothing: ids do not change. */
	rc = store_uidl_write(st, user, &ev->uidl,
			      b->parts || !ev->uidl.complete ? b->parts : &none, b->count, e);
	uidl_inbox_release(b);
	return rc;
}

int uidl_wanted(struct store *st, const struct settings *s, const char *user,
		const struct job *j, bool *out, struct err *e)
{
	struct uidl_state state;

	*out = false;
	if (!settings_keep_uidl(s) || !s->backend[SIDE_OLD].port[PROTO_POP3] ||
	    j->from != SIDE_OLD || (j->kind != JOB_PASS && j->kind != JOB_FINAL))
		return 0;
	if (store_uidl_state(st, user, &state, e) < 0)
		return -1;
	if (state.seen)
		*out = true;
	else if (j->kind == JOB_FINAL) /* in the pause only what has worked before */
		*out = state.mapped_at && state.complete;
	else
		*out = store_now_ms(st) - state.mapped_at >= UNSEEN_AGAIN_MS;
	return 0;
}

static bool is_asked(const struct settings *s)
{
	return settings_keep_uidl(s) && s->backend[SIDE_OLD].port[PROTO_POP3];
}

int uidl_let_pass(struct store *st, const struct settings *s, const char *user, struct err *e)
{
	struct uidl_state state;

	if (!is_asked(s))
		return 0;
	if (store_uidl_state(st, user, &state, e) < 0)
		return -1;
	if (store_uidl_serves(&state))
		return 0;
	return store_uidl_accept(st, user, true, e) < 0 ? -1 : 1;
}

bool uidl_may_flip(struct store *st, const struct settings *s, const char *user, int64_t since,
		   char *why, size_t size)
{
	struct uidl_state state;
	struct err e = { 0 };

	if (!is_asked(s))
		return true;
	if (store_uidl_state(st, user, &state, &e) < 0)
		snprintf(why, size, "%s", e.text);
	else if (!store_uidl_serves(&state))
		snprintf(why, size, "POP3 clients would download mail again: %s",
			 state.why[0] ? state.why : "there is no map of its unique ids");
	else if (state.seen && !state.accepted && state.mapped_at < since)
		snprintf(why, size, "the last delta has not looked at POP3's unique ids");
	else
		return true;
	return false;
}
