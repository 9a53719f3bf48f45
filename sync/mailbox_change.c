/* Hides: how changes of messages become commands, and which answer is whose. */
#include "sync/mailbox_impl.h"

#define CHANGE_WINDOW 32 /* commands sent and not yet answered */

struct change_run {
	struct mailbox *m;
	struct message_change *open[CHANGE_WINDOW]; /* oldest first */
	char tags[CHANGE_WINDOW][TAG_MAX];
	size_t count;
};

/* The first failure of a change that needs several commands is its result. */
static void note_result(struct change_run *s, struct message_change *c, int rc,
			const struct err *why)
{
	if (c->rc < 0)
		return;
	c->rc = rc;
	c->e = *why;
	if (rc == 0 && mailbox_last_code_is(s->m, "MESSAGELIMIT"))
		c->rc = err_set(&c->e, ERR_LIMIT, "the server did a part of it: [%s]",
				mailbox_last_code(s->m));
	if (c->rc < 0)
		err_wrap(&c->e, "folder \"%s\": %s", mailbox_folder(s->m),
			 c->how == UID_EXPUNGE ? "UID EXPUNGE" : "UID STORE");
}

/* Waits until at most `left` are open. */
static int drain(struct change_run *s, size_t left, struct err *e)
{
	while (s->count > left) {
		struct message_change *c = s->open[0];
		struct err why = { 0 };
		int rc = command_wait(s->m, s->tags[0], NULL, NULL, &why);

		note_result(s, c, rc, &why);
		if (!mailbox_is_usable(s->m)) {
			*e = c->e;
			return -1;
		}
		s->count--;
		memmove(s->open, s->open + 1, s->count * sizeof *s->open);
		memmove(s->tags, s->tags + 1, s->count * sizeof *s->tags);
	}
	return 0;
}

static void write_tail(struct command *c, const struct message_change *change)
{
	static const char *const signs[] = {
		[STORE_SET] = "", [STORE_ADD] = "+", [STORE_REMOVE] = "-"
	};

	if (change->how != UID_EXPUNGE)
		buf_printf(&c->text, " %sFLAGS.SILENT (%s)", signs[change->how], change->flags);
}

/* For as many commands as the UIDs need. */
static int send_change(struct change_run *s, struct message_change *change, struct err *e)
{
	uids_check(change->uids, change->n);
	for (size_t done = 0; done < change->n;) {
		struct command c = { 0 };
		int rc = drain(s, CHANGE_WINDOW - 1, e);

		if (rc == 0) {
			buf_add_str(&c.text,
				    change->how == UID_EXPUNGE ? "UID EXPUNGE " : "UID STORE ");
			done += mailbox_set_write(s->m, &c.text, change->uids + done,
						  change->n - done);
			write_tail(&c, change);
			s->open[s->count] = change;
			rc = command_send(s->m, &c, s->tags[s->count++], NULL, NULL, e);
		}
		command_release(&c);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int check_change(const struct mailbox *m, const struct message_change *c, struct err *e)
{
	if (c->how != UID_EXPUNGE)
		return mailbox_check_flags(c->flags, e);
	return m->caps.uidplus ? 0
			       : err_set(e, ERR_INPUT,
					 "the server cannot expunge single messages (UIDPLUS)");
}

int mailbox_change_begin(struct mailbox *m, struct message_change *at, size_t n,
			 struct change_run **out, struct err *e)
{
	struct change_run *s = mem_new(sizeof *s);

	*s = (struct change_run){ .m = m };
	for (size_t i = 0; i < n; i++) {
		at[i].e = (struct err){ 0 };
		at[i].rc = check_change(m, &at[i], &at[i].e);
		if (at[i].rc == 0 && send_change(s, &at[i], e) < 0) {
			mailbox_change_drop(&s);
			return -1;
		}
	}
	if (transport_flush(m->t, e) < 0) {
		mailbox_change_drop(&s);
		return -1;
	}
	*out = s;
	return 0;
}

int mailbox_change_end(struct change_run **run, struct err *e)
{
	int rc = drain(*run, 0, e);

	mailbox_change_drop(run);
	return rc;
}

void mailbox_change_drop(struct change_run **run)
{
	if (*run)
		mem_free(run);
}

int mailbox_change_all(struct mailbox *m, struct message_change *at, size_t n, struct err *e)
{
	struct change_run *s;

	return mailbox_change_begin(m, at, n, &s, e) < 0 ? -1 : mailbox_change_end(&s, e);
}

static int change_one(struct mailbox *m, struct message_change c, struct err *e)
{
	if (mailbox_change_all(m, &c, 1, e) < 0)
		return -1;
	if (c.rc < 0)
		*e = c.e;
	return c.rc;
}

int mailbox_store(struct mailbox *m, const uint32_t *uids, size_t n, enum store_how how,
		  const char *flags, struct err *e)
{
	return change_one(m, (struct message_change){ uids, n, how, flags, 0, { 0 } }, e);
}

int mailbox_expunge(struct mailbox *m, const uint32_t *uids, size_t n, struct err *e)
{
	return change_one(m, (struct message_change){ uids, n, UID_EXPUNGE, NULL, 0, { 0 } },
			  e);
}
