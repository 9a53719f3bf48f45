/* Hides: the many ways in which servers tell about their folders. */
#include "sync/mailbox_impl.h"

#include <strings.h>
#include <libetpan/libetpan.h>

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
	struct folder_info *folder;

	if (refuse_odd(f, e) < 0)
		return -1;
	status_read(f, arg);
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

static int on_separator(const struct frame *f, void *arg, struct err *e)
{
	const struct mailimap_mailbox_list *box = list_of(f, MAILIMAP_MAILBOX_DATA_LIST);

	(void)e;
	if (box)
		*(char *)arg = box->mb_delimiter;
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
		return command_wait(m, m->survey.namespaces, namespace_read, &s->spaces, e);
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
