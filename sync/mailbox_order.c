/* Hides: folders made, renamed and subscribed to, many in one flight. */
#include "sync/mailbox_impl.h"

#define ORDER_WINDOW 32 /* CREATEs or SUBSCRIBEs sent and not yet answered */

static void create_command(struct mailbox *m, struct command *c, const struct folder_order *o)
{
	command_printf(c, "CREATE ");
	command_astring(m, c, slice_of(o->name));
	if (o->use != USE_NONE && m->caps.create_special_use)
		command_printf(c, " (USE (%s))", special_use_name(o->use));
}

static void subscribe_command(struct mailbox *m, struct command *c,
			      const struct folder_order *o)
{
	command_printf(c, o->on ? "SUBSCRIBE " : "UNSUBSCRIBE ");
	command_astring(m, c, slice_of(o->name));
}

/* The answer to one of them. A folder that is there already is what was wanted. */
static int order_answer(struct mailbox *m, const char *tag, struct folder_order *o,
			struct err *e)
{
	m->last_status = STATUS_NONE;
	o->rc = command_wait(m, tag, NULL, NULL, &o->e);
	if (o->rc < 0 && !mailbox_is_usable(m)) {
		*e = o->e;
		return -1;
	}
	if (o->rc < 0 && m->last_status == STATUS_NO &&
	    mailbox_last_code_is(m, "ALREADYEXISTS")) {
		err_clear(&o->e);
		o->rc = 0;
	}
	if (o->rc < 0)
		err_wrap(&o->e, "folder \"%s\"", o->name);
	return 0;
}

typedef void order_fn(struct mailbox *m, struct command *c, const struct folder_order *o);

struct orders {
	struct mailbox *m;
	struct folder_order *open[ORDER_WINDOW]; /* oldest first */
	char tags[ORDER_WINDOW][TAG_MAX];
	size_t count;
};

static int orders_drain(struct orders *s, size_t left, struct err *e)
{
	while (s->count > left) {
		if (order_answer(s->m, s->tags[0], s->open[0], e) < 0)
			return -1;
		s->count--;
		memmove(s->open, s->open + 1, s->count * sizeof *s->open);
		memmove(s->tags, s->tags + 1, s->count * sizeof *s->tags);
	}
	return 0;
}

static int order_send(struct orders *s, struct folder_order *o, order_fn *write, struct err *e)
{
	struct command c = { 0 };
	int rc;

	o->rc = mailbox_check_name(o->name, &o->e);
	if (o->rc < 0)
		return 0;
	write(s->m, &c, o);
	/* A "+" must not be looked for among the answers of others. */
	rc = orders_drain(s, c.wait_count ? 0 : ORDER_WINDOW - 1, e);
	if (rc == 0) {
		o->rc = command_send(s->m, &c, s->tags[s->count], NULL, NULL, &o->e);
		if (o->rc == 0)
			s->open[s->count++] = o;
		else if (!mailbox_is_usable(s->m)) {
			*e = o->e;
			rc = -1;
		}
	}
	command_release(&c);
	return rc;
}

static int orders_run(struct mailbox *m, struct folder_order *at, size_t n, order_fn *write,
		      struct err *e)
{
	struct orders s = { .m = m };

	for (size_t i = 0; i < n; i++)
		if (order_send(&s, &at[i], write, e) < 0)
			return -1;
	return orders_drain(&s, 0, e);
}

int mailbox_create_all(struct mailbox *m, struct folder_order *at, size_t n, struct err *e)
{
	return orders_run(m, at, n, create_command, e);
}

int mailbox_subscribe_all(struct mailbox *m, struct folder_order *at, size_t n, struct err *e)
{
	return orders_run(m, at, n, subscribe_command, e);
}

static int order_one(struct mailbox *m, struct folder_order o, order_fn *write, struct err *e)
{
	if (orders_run(m, &o, 1, write, e) < 0)
		return -1;
	if (o.rc < 0)
		*e = o.e;
	return o.rc;
}

int mailbox_create(struct mailbox *m, const char *name, enum special_use use, struct err *e)
{
	return order_one(m, (struct folder_order){ .name = name, .use = use }, create_command,
			 e);
}

int mailbox_rename(struct mailbox *m, const char *from, const char *to, struct err *e)
{
	struct command c = { 0 };

	if (mailbox_check_name(from, e) < 0 || mailbox_check_name(to, e) < 0)
		return -1;
	command_printf(&c, "RENAME ");
	command_astring(m, &c, slice_of(from));
	command_printf(&c, " ");
	command_astring(m, &c, slice_of(to));
	if (command_run(m, &c, NULL, NULL, e) < 0)
		return err_wrap(e, "RENAME \"%s\" to \"%s\"", from, to);
	return 0;
}

int mailbox_subscribe(struct mailbox *m, const char *name, bool on, struct err *e)
{
	return order_one(m, (struct folder_order){ .name = name, .on = on }, subscribe_command,
			 e);
}

