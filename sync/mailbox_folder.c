/* Hides: the many ways in which servers tell about their folders. */
#include "sync/mailbox_impl.h"

#include <strings.h>
#include <libetpan/libetpan.h>

#define ORDER_WINDOW  32 /* CREATEs or SUBSCRIBEs, the same */
#define STATUS_WINDOW 32 /* STATUS commands sent and not yet answered */

static const char *const use_names[SPECIAL_USES] = {
	[USE_NONE] = "",	   [USE_ALL] = "\\All",		[USE_ARCHIVE] = "\\Archive",
	[USE_DRAFTS] = "\\Drafts", [USE_FLAGGED] = "\\Flagged", [USE_JUNK] = "\\Junk",
	[USE_SENT] = "\\Sent",	   [USE_TRASH] = "\\Trash",
};

const char *special_use_name(enum special_use u)
{
	return use_names[u];
}

void folder_info_release(struct folder_info *f)
{
	free(f->name);
	free(f->mailboxid);
	*f = (struct folder_info){ 0 };
}

void folder_list_release(struct folder_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		folder_info_release(&l->at[i]);
	free(l->at);
	name_index_release(&l->names);
	*l = (struct folder_list){ 0 };
}

static bool same_name(const char *a, const char *b)
{
	return strcmp(a, b) == 0 ||
	       (strcasecmp(a, "INBOX") == 0 && strcasecmp(b, "INBOX") == 0);
}

static struct folder_info *find(const struct folder_list *l, const char *name)
{
	size_t at = name_index_find(&l->names, name);

	return at == NAME_NONE ? NULL : &l->at[at];
}

const struct folder_info *folder_list_find(const struct folder_list *l, const char *name)
{
	return find(l, name);
}

struct folder_info *folder_list_add(struct folder_list *l, const char *name)
{
	struct folder_info *f;

	if ((l->count & (l->count + 1)) == 0) /* full at each power of two less one */
		l->at = mem_grow(l->at, l->count * 2 + 1, sizeof *l->at);
	f = &l->at[l->count];
	*f = (struct folder_info){ .name = mem_str(strcasecmp(name, "INBOX") ? name
									     : "INBOX") };
	name_index_add(&l->names, f->name, l->count++);
	return f;
}

static bool take(struct slice *s, const char *word)
{
	size_t n = strlen(word);

	if (!slice_starts_nocase(*s, word))
		return false;
	*s = (struct slice){ s->p + n, s->n - n };
	return true;
}

/* ---- LIST and LSUB */

static const struct mailimap_mailbox_list *list_of(const struct frame *f, int type)
{
	const struct mailimap_mailbox_data *d;

	if (f->kind != FRAME_DATA || f->data->rsp_type != MAILIMAP_RESP_DATA_TYPE_MAILBOX_DATA)
		return NULL;
	d = f->data->rsp_data.rsp_mailbox_data;
	if (!d || d->mbd_type != type)
		return NULL;
	return type == MAILIMAP_MAILBOX_DATA_LSUB ? d->mbd_data.mbd_lsub : d->mbd_data.mbd_list;
}

static void take_attribute(struct folder_info *f, const char *name)
{
	if (*name == '\\')
		name++;
	if (strcasecmp(name, "NonExistent") == 0)
		f->noselect = true;
	for (enum special_use u = USE_NONE + 1; u < SPECIAL_USES; u++)
		if (strcasecmp(name, use_names[u] + 1) == 0)
			f->use = u;
}

static void take_attributes(struct folder_info *f, const struct mailimap_mbx_list_flags *flags)
{
	if (!flags)
		return;
	if (flags->mbf_type == MAILIMAP_MBX_LIST_FLAGS_SFLAG &&
	    flags->mbf_sflag == MAILIMAP_MBX_LIST_SFLAG_NOSELECT)
		f->noselect = true;
	if (!flags->mbf_oflags)
		return;
	for (clistiter *i = clist_begin(flags->mbf_oflags); i; i = clist_next(i)) {
		const struct mailimap_mbx_list_oflag *o = clist_content(i);

		if (o->of_type == MAILIMAP_MBX_LIST_OFLAG_NOINFERIORS)
			f->noinferiors = true;
		else if (o->of_flag_ext)
			take_attribute(f, o->of_flag_ext);
	}
}

static int check_listed(const struct folder_list *l, const char *name, struct err *e)
{
	if (l->count >= MAILBOX_FOLDERS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d folders", MAILBOX_FOLDERS_MAX);
	return mailbox_check_name(name, e);
}

static int add_listed(struct folder_list *l, const struct mailimap_mailbox_list *box,
		      struct folder_info **out, struct err *e)
{
	struct folder_info *f = find(l, box->mb_name);

	if (!f) {
		if (check_listed(l, box->mb_name, e) < 0)
			return -1;
		f = folder_list_add(l, box->mb_name);
		f->separator = box->mb_delimiter;
	}
	*out = f;
	return 0;
}

/* ---- STATUS: libetpan knows neither MAILBOXID nor how to unquote this name */

/* The item's word and its value: a number, or what stands in parentheses. */
static bool take_item(struct slice *s, struct slice *word, struct slice *value)
{
	const char *blank, *end;
	size_t n;

	take(s, " ");
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
	if ((f->kind != FRAME_DATA && f->kind != FRAME_OTHER) || !take(items, "STATUS ") ||
	    imap_astring(items, name, MAILBOX_NAME_MAX, &n) != WIRE_DONE)
		return false;
	name[n] = '\0';
	return true;
}

static void take_status(struct folder_info *f, struct slice items)
{
	struct slice word, value;

	if (!take(&items, " ("))
		return;
	while (take_item(&items, &word, &value))
		take_value(f, word, value);
	f->has_status = f->uidvalidity != 0;
}

/* ---- what LIST answers */

/* A LIST line that cannot be read is a folder that would be missed: better no pass at all. */
static int refuse_odd(const struct frame *f, struct err *e)
{
	if (f->kind == FRAME_OTHER && (slice_starts_nocase(f->reply.text, "LIST ") ||
				       slice_starts_nocase(f->reply.text, "LSUB ")))
		return err_set(e, ERR_PROTOCOL, "cannot read the server's line %.*s",
			       (int)MIN(f->reply.text.n, 200), f->reply.text.p);
	return 0;
}

static int on_list(const struct frame *f, void *arg, struct err *e)
{
	const struct mailimap_mailbox_list *box = list_of(f, MAILIMAP_MAILBOX_DATA_LIST);
	char name[MAILBOX_NAME_MAX + 1];
	struct folder_info *folder;
	struct slice items;

	if (refuse_odd(f, e) < 0)
		return -1;
	if (is_status(f, name, &items) && (folder = find(arg, name)))
		take_status(folder, items);
	if (!box || !box->mb_name || !*box->mb_name)
		return 0;
	if (add_listed(arg, box, &folder, e) < 0)
		return -1;
	take_attributes(folder, box->mb_flag);
	return 0;
}

static int on_lsub(const struct frame *f, void *arg, struct err *e)
{
	const struct mailimap_mailbox_list *box = list_of(f, MAILIMAP_MAILBOX_DATA_LSUB);
	struct folder_info attributes = { 0 }, *folder;
	bool known;

	if (refuse_odd(f, e) < 0)
		return -1;
	if (!box || !box->mb_name || !*box->mb_name)
		return 0;
	take_attributes(&attributes, box->mb_flag);
	if (attributes.noselect) /* only a parent of subscribed ones (RFC 3501 6.3.9) */
		return 0;
	known = find(arg, box->mb_name) != NULL;
	if (add_listed(arg, box, &folder, e) < 0)
		return -1;
	folder->noselect |= !known;
	folder->subscribed = true;
	return 0;
}

/* ---- STATUS */

static const char *status_items(const struct mailbox *m)
{
	if (m->caps.objectid)
		return m->caps.condstore
			       ? "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ MAILBOXID)"
			       : "(MESSAGES UIDNEXT UIDVALIDITY MAILBOXID)";
	return m->caps.condstore ? "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"
				 : "(MESSAGES UIDNEXT UIDVALIDITY)";
}

static int on_status(const struct frame *f, void *arg, struct err *e)
{
	char name[MAILBOX_NAME_MAX + 1];
	struct folder_info *folder = arg;
	struct slice items;

	(void)e;
	if (is_status(f, name, &items) && same_name(name, folder->name))
		take_status(folder, items);
	return 0;
}

static void status_command(struct mailbox *m, struct command *c, const char *name)
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

/* One answer of a window; a refusal leaves the folder without numbers. */
static int status_answer(struct mailbox *m, const char *tag, struct folder_list *l,
			 struct err *e)
{
	if (command_wait(m, tag, on_list, l, e) < 0 && !mailbox_is_usable(m))
		return -1;
	return 0;
}

struct statuses {
	struct mailbox *m;
	struct folder_list *l;
	char tags[STATUS_WINDOW][TAG_MAX];
	size_t sent, done;
};

/* Waits until at most `left` are open. */
static int status_drain(struct statuses *s, size_t left, struct err *e)
{
	while (s->sent - s->done > left)
		if (status_answer(s->m, s->tags[s->done++ % STATUS_WINDOW], s->l, e) < 0)
			return -1;
	return 0;
}

static int status_ask(struct statuses *s, const char *name, struct err *e)
{
	struct command c = { 0 };
	int r;

	status_command(s->m, &c, name);
	/* A "+" must not be looked for among the answers of others. */
	r = status_drain(s, c.wait_count ? 0 : STATUS_WINDOW - 1, e);
	if (r == 0)
		r = command_send(s->m, &c, s->tags[s->sent % STATUS_WINDOW], on_list, s->l, e);
	if (r == 0)
		s->sent++;
	command_release(&c);
	return r < 0 && !mailbox_is_usable(s->m) ? -1 : 0;
}

static int status_each(struct mailbox *m, struct folder_list *l, struct err *e)
{
	struct statuses s = { .m = m, .l = l };

	for (size_t i = 0; i < l->count; i++)
		if (!l->at[i].noselect && !l->at[i].has_status &&
		    status_ask(&s, l->at[i].name, e) < 0)
			return -1;
	return status_drain(&s, 0, e);
}

static void list_command(const struct mailbox *m, struct command *c)
{
	const char *use = m->caps.special_use ? "SPECIAL-USE" : "";

	command_printf(c, "LIST \"\" \"*\"");
	if (!m->caps.list_extended)
		return;
	if (m->caps.list_status)
		command_printf(c, " RETURN (%s%sSTATUS %s)", use, *use ? " " : "",
			       status_items(m));
	else if (*use)
		command_printf(c, " RETURN (%s)", use);
}

/* ---- NAMESPACE: libetpan's parser crashes on garbage, so this one is ours (RFC 2342 5) */

/* A quoted string. Prefixes as literals are not seen in practice: they fail the parse. */
static bool take_quoted(struct slice *s, char *out, size_t size)
{
	size_t n = 0;

	if (!take(s, "\""))
		return false;
	while (!take(s, "\"")) {
		take(s, "\\");
		if (s->n == 0 || n + 1 >= size)
			return false;
		out[n++] = s->p[0];
		*s = (struct slice){ s->p + 1, s->n - 1 };
	}
	out[n] = '\0';
	return true;
}

/* What follows prefix and separator: extensions, up to the closing parenthesis. */
static bool skip_rest(struct slice *s)
{
	char ignored[MAILBOX_NAME_MAX];
	int depth = 1;

	while (depth > 0) {
		if (take(s, "("))
			depth++;
		else if (take(s, ")"))
			depth--;
		else if (!take(s, " ") && !take_quoted(s, ignored, sizeof ignored))
			return false;
	}
	return true;
}

/* One "(" prefix separator … ")". */
static bool take_namespace(struct slice *s, struct folder_list *out)
{
	char prefix[MAILBOX_NAME_MAX], separator[8] = "";

	if (!take(s, "(") || !take_quoted(s, prefix, sizeof prefix) || !take(s, " "))
		return false;
	if (!take(s, "NIL") && !take_quoted(s, separator, sizeof separator))
		return false;
	if (!skip_rest(s) || out->count >= 1000)
		return false;
	folder_list_add(out, prefix)->separator = separator[0];
	return true;
}

/* NIL, or namespaces in parentheses. */
static bool take_namespaces(struct slice *s, struct folder_list *out)
{
	take(s, " ");
	if (take(s, "NIL"))
		return true;
	if (!take(s, "("))
		return false;
	while (!take(s, ")")) {
		take(s, " "); /* RFC 2342 has none here, some servers do */
		if (!take_namespace(s, out))
			return false;
	}
	return true;
}

struct namespaces_seen {
	struct folder_list own, others;
	bool seen;
};

static int on_namespace(const struct frame *f, void *arg, struct err *e)
{
	struct namespaces_seen *n = arg;
	struct slice s = f->reply.text;

	if (f->kind != FRAME_OTHER || !take(&s, "NAMESPACE"))
		return 0;
	if (n->seen || !take_namespaces(&s, &n->own) || !take_namespaces(&s, &n->others) ||
	    !take_namespaces(&s, &n->others))
		return err_set(e, ERR_PROTOCOL, "cannot read the server's NAMESPACE");
	n->seen = true;
	return 0;
}

static int on_separator(const struct frame *f, void *arg, struct err *e)
{
	const struct mailimap_mailbox_list *box = list_of(f, MAILIMAP_MAILBOX_DATA_LIST);

	(void)e;
	if (box)
		*(char *)arg = box->mb_delimiter;
	return 0;
}

void namespace_info_release(struct namespace_info *n)
{
	free(n->prefix);
	folder_list_release(&n->others);
	*n = (struct namespace_info){ 0 };
}

/* ---- changing and choosing folders */

static void create_command(struct mailbox *m, struct command *c, const struct folder_order *o)
{
	command_printf(c, "CREATE ");
	command_astring(m, c, slice_of(o->name));
	if (o->use != USE_NONE && m->caps.create_special_use)
		command_printf(c, " (USE (%s))", use_names[o->use]);
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

const char *mailbox_folder(const struct mailbox *m)
{
	if (m->look_count)
		return m->looks[m->look_count - 1].name;
	return m->selected ? m->selected : "";
}

struct selecting {
	struct mailbox *m;
	struct selected *out;
	bool permanent; /* PERMANENTFLAGS were given: FLAGS do not count */
};

static uint64_t code_number(struct slice code, const char *word, uint64_t max)
{
	uint64_t v;

	if (!take(&code, word) || !take(&code, " ") || slice_u64(code, max, &v) < 0)
		return 0;
	return v;
}

/* "WORD (a b c)" to its words. */
static bool flags_within(struct slice s, const char *word, struct slice *flags)
{
	if (!take(&s, word) || !take(&s, " (") || s.n == 0 || s.p[s.n - 1] != ')')
		return false;
	*flags = (struct slice){ s.p, s.n - 1 };
	return true;
}

static void keep_flags(struct selecting *s, struct slice words)
{
	struct buf *b = &s->m->permanent_flags;

	buf_drain(b, buf_len(b));
	flags_normalise(words, b, &s->out->any_keyword);
}

static void on_select_code(struct selecting *s, struct slice code)
{
	struct selected *o = s->out;
	struct slice flags;
	uint64_t v;

	if ((v = code_number(code, "UIDVALIDITY", UINT32_MAX)))
		o->uidvalidity = (uint32_t)v;
	else if ((v = code_number(code, "UIDNEXT", UINT32_MAX)))
		o->uidnext = (uint32_t)v;
	else if ((v = code_number(code, "HIGHESTMODSEQ", UINT64_MAX)))
		o->highestmodseq = v;
	else if (slice_is_nocase(code, "UIDNOTSTICKY"))
		o->uid_not_sticky = true;
	else if (slice_is_nocase(code, "NOMODSEQ")) /* RFC 7162 3.1.2.2: not for this folder */
		o->highestmodseq = 0;
	else if (slice_is_nocase(code, "CLOSED")) {
		/* RFC 7162 3.2.11: all that came before belongs to the folder that was left */
		*o = (struct selected){ 0 };
		s->m->exists = 0;
		s->permanent = false;
	} else if (flags_within(code, "PERMANENTFLAGS", &flags)) {
		keep_flags(s, flags);
		s->permanent = true;
	}
}

static int on_select(const struct frame *f, void *arg, struct err *e)
{
	struct selecting *s = arg;
	struct slice flags;

	(void)e;
	if (f->kind == FRAME_STATUS && f->reply.status == STATUS_OK)
		on_select_code(s, f->reply.code);
	else if (!s->permanent && flags_within(f->reply.text, "FLAGS", &flags))
		keep_flags(s, flags);
	return 0;
}

static void forget_selected(struct mailbox *m)
{
	mem_free(&m->selected);
	m->exists = 0;
	buf_drain(&m->permanent_flags, buf_len(&m->permanent_flags));
	buf_add(&m->permanent_flags, "", 1);
}

void select_command(struct mailbox *m, struct command *c, const char *name, bool read_only)
{
	forget_selected(m);
	command_printf(c, "%s ", read_only ? "EXAMINE" : "SELECT");
	command_astring(m, c, slice_of(name));
}

static int opened(struct mailbox *m, const char *name, struct selected *out, struct err *e)
{
	m->selected = mem_str(name);
	m->opened_by = m->tags;
	out->messages = m->exists;
	out->read_only = mailbox_last_code_is(m, "READ-ONLY");
	out->permanent_flags = buf_slice(&m->permanent_flags).p;
	if (out->uidvalidity == 0)
		return err_set(e, ERR_PROTOCOL, "folder \"%s\": the server gave no UIDVALIDITY",
			       m->selected);
	return 0;
}

int select_answer(struct mailbox *m, const struct look *l, struct selected *out, struct err *e)
{
	struct selecting s = { .m = m, .out = out };

	*out = (struct selected){ 0 };
	forget_selected(m); /* a look before this one may have been taken since it was sent */
	if (command_wait(m, l->select, on_select, &s, e) < 0)
		return err_wrap(e, "%s \"%s\"", l->read_only ? "EXAMINE" : "SELECT", l->name);
	return opened(m, l->name, out, e);
}

int mailbox_select(struct mailbox *m, const char *name, bool read_only, struct selected *out,
		   struct err *e)
{
	struct selecting s = { .m = m, .out = out };
	struct command c = { 0 };

	if (m->pop3)
		return pop3_source_select(m->pop3, name, out, e);
	*out = (struct selected){ 0 };
	if (mailbox_check_name(name, e) < 0 || mailbox_read_now(m, e) < 0)
		return -1;
	select_command(m, &c, name, read_only);
	if (command_run(m, &c, on_select, &s, e) < 0)
		return err_wrap(e, "%s \"%s\"", read_only ? "EXAMINE" : "SELECT", name);
	return opened(m, name, out, e);
}

int mailbox_unselect(struct mailbox *m, struct err *e)
{
	struct selected ignored;
	struct command c = { 0 };

	if (!m->selected)
		return 0;
	if (!m->caps.unselect) {
		char *name = mem_str(m->selected);
		int r = mailbox_select(m, name, true, &ignored, e);

		free(name);
		if (r < 0)
			return -1;
	}
	command_printf(&c, m->caps.unselect ? "UNSELECT" : "CLOSE");
	if (command_run(m, &c, NULL, NULL, e) < 0)
		return err_wrap(e, "leaving folder \"%s\"", m->selected);
	forget_selected(m);
	return 0;
}

/* ---- all of it at once */

static int ask(struct mailbox *m, char tag[TAG_MAX], const char *text, struct err *e)
{
	struct command c = { 0 };
	int r;

	command_printf(&c, "%s", text);
	r = command_send(m, &c, tag, NULL, NULL, e);
	command_release(&c);
	return r;
}

static int ask_list(struct mailbox *m, struct err *e)
{
	struct command c = { 0 };
	int r;

	list_command(m, &c);
	r = command_send(m, &c, m->survey.list, NULL, NULL, e);
	command_release(&c);
	return r;
}

/* UNSELECT goes with the rest; without it, leaving takes its own round trips. */
static int ask_unselect(struct mailbox *m, struct err *e)
{
	m->survey.unselect[0] = '\0';
	if (!m->selected)
		return 0;
	if (!m->caps.unselect)
		return mailbox_unselect(m, e);
	return ask(m, m->survey.unselect, "UNSELECT", e);
}

int mailbox_survey_begin(struct mailbox *m, bool namespaces, struct err *e)
{
	m->survey.namespaces[0] = '\0';
	if (m->pop3)
		return pop3_source_survey_begin(m->pop3, namespaces, e);
	if (mailbox_read_now(m, e) < 0 || ask_unselect(m, e) < 0 ||
	    (namespaces && ask(m, m->survey.namespaces,
			       m->caps.namespaces ? "NAMESPACE" : "LIST \"\" \"\"", e) < 0) ||
	    ask_list(m, e) < 0 || ask(m, m->survey.lsub, "LSUB \"\" \"*\"", e) < 0)
		return err_wrap(e, "asking for folders");
	return transport_flush(m->t, e);
}

struct surveying {
	struct folder_list folders;
	struct namespaces_seen spaces;
	char separator; /* of a LIST "" "" */
};

static int namespaces_answer(struct mailbox *m, struct surveying *s, struct err *e)
{
	if (!m->survey.namespaces[0])
		return 0;
	if (m->caps.namespaces)
		return command_wait(m, m->survey.namespaces, on_namespace, &s->spaces, e);
	return command_wait(m, m->survey.namespaces, on_separator, &s->separator, e);
}

/* Leaving answered NO: some folder is still open, and then numbers may be stale. */
static int answers(struct mailbox *m, struct surveying *s, struct err *e)
{
	if (m->survey.unselect[0]) {
		if (command_wait(m, m->survey.unselect, NULL, NULL, e) < 0)
			return -1;
		forget_selected(m);
	}
	if (namespaces_answer(m, s, e) < 0 ||
	    command_wait(m, m->survey.list, on_list, &s->folders, e) < 0 ||
	    command_wait(m, m->survey.lsub, on_lsub, &s->folders, e) < 0)
		return -1;
	return status_each(m, &s->folders, e);
}

/* A server may offer NAMESPACE and name none of our own. */
static int own_namespace(struct mailbox *m, struct surveying *s, struct namespace_info *out,
			 struct err *e)
{
	if (m->caps.namespaces && s->spaces.own.count == 0) {
		if (ask(m, m->survey.namespaces, "LIST \"\" \"\"", e) < 0 ||
		    command_wait(m, m->survey.namespaces, on_separator, &s->separator, e) < 0)
			return -1;
	}
	if (s->spaces.own.count)
		*out = (struct namespace_info){ .prefix = mem_str(s->spaces.own.at[0].name),
						.separator = s->spaces.own.at[0].separator,
						.others = s->spaces.others };
	else
		*out = (struct namespace_info){ .prefix = mem_str(""),
						.separator = s->separator,
						.others = s->spaces.others,
						.guessed = true };
	out->utf8 = m->caps.utf8_names;
	s->spaces.others = (struct folder_list){ 0 };
	return 0;
}

int mailbox_survey_end(struct mailbox *m, struct namespace_info *space,
		       struct folder_list *folders, struct err *e)
{
	struct surveying s = { 0 };
	int r;

	if (m->pop3)
		return pop3_source_survey_end(m->pop3, space, folders, e);
	r = answers(m, &s, e);
	if (r == 0 && m->survey.namespaces[0])
		r = own_namespace(m, &s, space, e);
	if (r == 0) {
		*folders = s.folders;
		s.folders = (struct folder_list){ 0 };
	} else if (mailbox_is_usable(m)) {
		/* answers are still under way that nobody will wait for */
		r = transport_poison(m->t, e);
	}
	folder_list_release(&s.folders);
	folder_list_release(&s.spaces.own);
	folder_list_release(&s.spaces.others);
	return r < 0 ? err_wrap(e, "listing folders") : 0;
}
