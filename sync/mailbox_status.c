/* Hides: STATUS, of one folder and of many at once. libetpan knows neither MAILBOXID nor how
 * to unquote this name. */
#include "sync/mailbox_impl.h"

#include <strings.h>

#define STATUS_WINDOW 32 /* STATUS commands sent and not yet answered */

/* ---- what it answers */

/* The item's word and its value: a number, or what stands in parentheses. */
static bool take_item(struct slice *s, struct slice *word, struct slice *value)
{
	const char *blank, *end;
	size_t n;

	slice_take_nocase(s, " ");
	blank = memchr(s->p, ' ', s->n);
	if (!blank)
		return false;
	*word = (struct slice){ s->p, (size_t)(blank - s->p) };
	*s = (struct slice){ blank + 1, s->n - word->n - 1 };
	for (n = 0; n < s->n && s->p[n] != ' ' && s->p[n] != ')'; n++)
		;
	*value = (struct slice){ s->p, n };
	if (n && s->p[0] == '(') {
		end = memchr(s->p, ')', s->n);
		if (!end)
			return false;
		*value = (struct slice){ s->p + 1, (size_t)(end - s->p) - 1 };
		n = value->n + 2;
	}
	*s = (struct slice){ s->p + n, s->n - n };
	return true;
}

/* RFC 8474 7: letters, digits, "-" and "_". */
static bool is_objectid(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= 'a' && s.p[i] <= 'z') && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.n > 0 && s.n <= MAILBOX_OBJECT_MAX;
}

static void take_value(struct folder_info *f, struct slice word, struct slice value)
{
	uint64_t n;

	if (slice_is_nocase(word, "MAILBOXID") && is_objectid(value)) {
		mem_free(&f->mailboxid);
		f->mailboxid = mem_strn(value.p, value.n);
	}
	if (slice_u64(value, UINT64_MAX, &n) < 0)
		return;
	if (slice_is_nocase(word, "HIGHESTMODSEQ"))
		f->highestmodseq = n;
	else if (slice_is_nocase(word, "SIZE"))
		f->size = n;
	else if (n > UINT32_MAX)
		return;
	else if (slice_is_nocase(word, "MESSAGES"))
		f->messages = (uint32_t)n;
	else if (slice_is_nocase(word, "UIDNEXT"))
		f->uidnext = (uint32_t)n;
	else if (slice_is_nocase(word, "UIDVALIDITY"))
		f->uidvalidity = (uint32_t)n;
}

/* Is it a STATUS answer? Then whose, and items begins behind the name. */
static bool is_status(const struct frame *f, char name[static MAILBOX_NAME_MAX + 1],
		      struct slice *items)
{
	size_t n;

	*items = f->reply.text;
	if ((f->kind != FRAME_DATA && f->kind != FRAME_OTHER) || !slice_take_nocase(items, "STATUS ") ||
	    imap_astring(items, name, MAILBOX_NAME_MAX, &n) != WIRE_DONE)
		return false;
	name[n] = '\0';
	return true;
}

static void take_status(struct folder_info *f, struct slice items)
{
	struct slice word, value;

	if (!slice_take_nocase(&items, " ("))
		return;
	while (take_item(&items, &word, &value))
		take_value(f, word, value);
	f->has_status = f->uidvalidity != 0;
}

void status_read(const struct frame *f, struct folder_list *l)
{
	char name[MAILBOX_NAME_MAX + 1];
	struct slice items;
	size_t at;

	if (!is_status(f, name, &items))
		return;
	at = name_index_find(&l->names, name);
	if (at != NAME_NONE)
		take_status(&l->at[at], items);
}

/* ---- asking */

const char *status_items(const struct mailbox *m)
{
	if (m->caps.objectid)
		return m->caps.condstore
			       ? "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ MAILBOXID)"
			       : "(MESSAGES UIDNEXT UIDVALIDITY MAILBOXID)";
	return m->caps.condstore ? "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"
				 : "(MESSAGES UIDNEXT UIDVALIDITY)";
}

static bool same_name(const char *a, const char *b)
{
	return strcmp(a, b) == 0 ||
	       (strcasecmp(a, "INBOX") == 0 && strcasecmp(b, "INBOX") == 0);
}

bool status_of(const struct frame *f, struct folder_info *folder)
{
	char name[MAILBOX_NAME_MAX + 1];
	struct slice items;

	if (!is_status(f, name, &items) || !same_name(name, folder->name))
		return false;
	take_status(folder, items);
	return true;
}

static int on_status(const struct frame *f, void *folder, struct err *e UNUSED)
{
	(void)status_of(f, folder);
	return 0;
}

void status_command(struct mailbox *m, struct command *c, const char *name)
{
	command_printf(c, "STATUS ");
	command_astring(m, c, slice_of(name));
	command_printf(c, " %s", status_items(m));
}

int mailbox_size(struct mailbox *m, const char *name, uint64_t *out, struct err *e)
{
	struct folder_info f = { .name = mem_str(name) };
	struct command c = { 0 };
	int rc;

	ASSERT(m->caps.status_size);
	command_printf(&c, "STATUS ");
	command_astring(m, &c, slice_of(name));
	command_printf(&c, " (SIZE)");
	rc = command_run(m, &c, on_status, &f, e);
	*out = f.size;
	folder_info_release(&f);
	return rc < 0 ? err_wrap(e, "size of folder \"%s\"", name) : 0;
}

int mailbox_status(struct mailbox *m, const char *name, struct folder_info *out, struct err *e)
{
	struct folder_info f = { 0 };
	struct command c = { 0 };

	if (m->pop3)
		return pop3_source_status(m->pop3, name, out, e);
	if (mailbox_check_name(name, e) < 0)
		return -1;
	f.name = mem_str(name);
	status_command(m, &c, name);
	if (command_run(m, &c, on_status, &f, e) < 0)
		goto fail;
	if (!f.has_status) {
		err_set(e, ERR_PROTOCOL, "the server gave no UIDVALIDITY");
		goto fail;
	}
	*out = f;
	return 0;
fail:
	folder_info_release(&f);
	return err_wrap(e, "status of folder \"%s\"", name);
}

static int on_any(const struct frame *f, void *folders, struct err *e UNUSED)
{
	status_read(f, folders);
	return 0;
}

struct statuses {
	struct mailbox *m;
	struct folder_list *l;
	char tags[STATUS_WINDOW][TAG_MAX];
	size_t asked[STATUS_WINDOW]; /* which of the list */
	size_t sent, done;
};

/*
 * One answer of a window; a refusal leaves the folder without numbers. Dovecot's Maildir lists a
 * folder that was deleted while there are others below it as if it were there.
 */
static int status_answer(struct statuses *s, size_t at, struct err *e)
{
	if (command_wait(s->m, s->tags[at], on_any, s->l, e) == 0)
		return 0;
	if (!mailbox_is_usable(s->m))
		return -1;
	if (mailbox_last_code_is(s->m, "NONEXISTENT"))
		s->l->at[s->asked[at]].noselect = true;
	return 0;
}

/* Waits until at most `left` are open. */
static int status_drain(struct statuses *s, size_t left, struct err *e)
{
	while (s->sent - s->done > left)
		if (status_answer(s, s->done++ % STATUS_WINDOW, e) < 0)
			return -1;
	return 0;
}

static int status_ask(struct statuses *s, size_t folder, struct err *e)
{
	struct command c = { 0 };
	size_t at = s->sent % STATUS_WINDOW;
	int r;

	status_command(s->m, &c, s->l->at[folder].name);
	/* A "+" must not be looked for among the answers of others. */
	r = status_drain(s, c.wait_count ? 0 : STATUS_WINDOW - 1, e);
	if (r == 0)
		r = command_send(s->m, &c, s->tags[at], on_any, s->l, e);
	if (r == 0) {
		s->asked[at] = folder;
		s->sent++;
	}
	command_release(&c);
	return r < 0 && !mailbox_is_usable(s->m) ? -1 : 0;
}

int status_each(struct mailbox *m, struct folder_list *l, struct err *e)
{
	struct statuses s = { .m = m, .l = l };

	for (size_t i = 0; i < l->count; i++)
		if (!l->at[i].noselect && !l->at[i].has_status &&
		    status_ask(&s, i, e) < 0)
			return -1;
	return status_drain(&s, 0, e);
}

