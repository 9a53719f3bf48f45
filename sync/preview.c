/* Hides: how a pass is gone through without its effects. */
#include "sync/preview.h"

#include "sync/folder_name.h"
#include "sync/journal_exception.h"
#include "sync/journal_uids.h"
#include "sync/renames.h"
#include "sync/tree.h"

static const char *const step_names[] = {
	[PREVIEW_KEEP] = "keep", [PREVIEW_MAKE] = "make",     [PREVIEW_RENAME] = "rename",
	[PREVIEW_NAME] = "name", [PREVIEW_SHARED] = "shared", [PREVIEW_SKIP] = "skip",
};
_Static_assert(COUNT(step_names) == PREVIEW_STEPS, "a name for every step");

const char *preview_step_name(enum preview_step s)
{
	return step_names[s];
}

struct preview {
	struct pass pass;
	struct folder_map map;
	struct renamed *renamed;
	size_t renamed_count;
	preview_fn *fn;
	void *arg;
};

/* ---- how much is in it */

static int add_size(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	*(int64_t *)arg += i->size;
	return 0;
}

/* By STATUS where the server can; else message by message. */
static int count_bytes(struct preview *v, const char *name, int64_t *out, struct err *e)
{
	struct mailbox *box = v->pass.lanes.at[0].box[v->pass.from];
	struct selected ignored;
	struct listing listing;
	uint64_t size = 0;
	int rc;

	*out = 0;
	if (mailbox_caps(box)->status_size) {
		rc = mailbox_size(box, name, &size, e);
		*out = (int64_t)MIN(size, (uint64_t)INT64_MAX);
	} else {
		rc = mailbox_select(box, name, true, &ignored, e);
		if (rc == 0)
			rc = mailbox_messages(box, 1, 0, add_size, out, &listing, e);
		if (rc == 0)
			rc = mailbox_unselect(box, e);
	}
	if (rc == 0 || !mailbox_is_usable(box))
		return rc;
	err_clear(e);
	*out = -1;
	return 0;
}

static int fill_counts(struct preview *v, const struct folder_info *f,
		       struct preview_folder *out, struct err *e)
{
	out->messages = f->has_status ? (int64_t)f->messages : f->noselect ? 0 : -1;
	out->bytes = 0;
	if (f->noselect || out->messages == 0)
		return 0;
	return count_bytes(v, f->name, &out->bytes, e);
}

/* ---- folder by folder */

static const struct renamed *renamed_to(const struct preview *v, const char *name)
{
	for (size_t i = 0; i < v->renamed_count; i++)
		if (strcmp(v->renamed[i].now, name) == 0)
			return &v->renamed[i];
	return NULL;
}

static enum preview_step step_of(const struct folder_pair *p, const struct renamed *r)
{
	if (p->container)
		return PREVIEW_NAME;
	if (r)
		return PREVIEW_RENAME;
	return p->exists ? PREVIEW_KEEP : PREVIEW_MAKE;
}

/* As the first pass would choose, if nothing happens until then. */
static struct uid_choice foresee(const struct preview *v, const struct folder_pair *p)
{
	const struct pass *pass = &v->pass;
	struct mailbox *const *box = pass->lanes.at[0].box;
	const struct folder_info *there =
		folder_list_find(&pass->list[SIDE_NEW], p->name[SIDE_NEW]);
	const char *why = uids_servers(box[SIDE_OLD], box[SIDE_NEW]);
	struct uid_case c = { .wish = pass->job->uids.wish,
			      .gaps_most = (uint32_t)pass->job->uids.gaps,
			      .floor_most = (uint32_t)pass->job->uids.floor,
			      .old_next = p->info->uidnext,
			      .next = there && there->uidnext ? there->uidnext : 1,
			      .to_come = p->info->messages,
			      .strangers = there ? there->messages : 0 };

	c.first = c.to_come ? c.next : 0; /* the lowest is not known: at best */
	if (why && c.wish != UID_PLAIN)
		return (struct uid_choice){ .mode = UID_PLAIN, .why = why };
	return uids_choose(&c);
}

/* What was chosen counts; *s holds the texts. */
static int fill_uids(struct preview *v, const struct folder_pair *p, struct uid_state *s,
		     struct preview_folder *out, struct err *e)
{
	*s = (struct uid_state){ 0 };
	if (v->pass.from != SIDE_OLD || p->container || !p->info->has_status)
		return 0;
	if (v->pass.journal &&
	    journal_uid_state_of(v->pass.journal, p->name[SIDE_OLD], s, e) < 0)
		return -1;
	if (!s->known) {
		struct uid_choice c = foresee(v, p);

		s->mode = c.mode;
		snprintf(s->why, sizeof s->why, "%s", c.why ? c.why : "");
	}
	out->uids = uid_mode_name(s->mode);
	out->uids_why = s->why;
	return 0;
}

static int show_pair(struct preview *v, const struct folder_pair *p, struct err *e)
{
	const struct pass *pass = &v->pass;
	const struct renamed *r = renamed_to(v, p->name[pass->from]);
	struct preview_folder f = { .step = step_of(p, r), .why = p->why };
	char *shown[SIDES], *was;
	struct uid_state uids;
	int rc = fill_counts(v, p->info, &f, e);

	if (rc == 0)
		rc = fill_uids(v, p, &uids, &f, e);
	for (int s = 0; s < SIDES; s++)
		shown[s] = folder_name_shown(p->name[s], pass->space[s].utf8);
	was = r ? folder_name_shown(r->there, pass->space[pass->to].utf8) : NULL;
	f.old = shown[SIDE_OLD];
	f.new = shown[SIDE_NEW];
	f.was = was;
	if (rc == 0)
		v->fn(&f, v->arg);
	for (int s = 0; s < SIDES; s++)
		mem_free(&shown[s]);
	mem_free(&was);
	return rc;
}

static int show_left(struct preview *v, const struct folder_left *l, struct err *e)
{
	char *shown = folder_name_shown(l->info->name, v->pass.space[v->pass.from].utf8);
	struct preview_folder f = { .step = l->shared ? PREVIEW_SHARED : PREVIEW_SKIP };
	int rc = fill_counts(v, l->info, &f, e);

	if (v->pass.from == SIDE_OLD)
		f.old = shown;
	else
		f.new = shown;
	if (rc == 0)
		v->fn(&f, v->arg);
	mem_free(&shown);
	return rc;
}

static int show(struct preview *v, struct err *e)
{
	for (size_t i = 0; i < v->map.count; i++)
		if (show_pair(v, &v->map.at[i], e) < 0)
			return -1;
	for (size_t i = 0; i < v->map.left_count; i++)
		if (show_left(v, &v->map.left[i], e) < 0)
			return -1;
	return 0;
}

/* ---- the whole */

static int look(struct preview *v, struct err *e)
{
	struct pass *p = &v->pass;
	int rc;

	if (lane_open(&p->lanes.at[0], p->job, e) < 0 ||
	    journal_open_desk(&p->journal, p->job->journal, e) < 0 || pass_survey(p, e) < 0)
		return -1;
	if (p->journal && renames_find(p, &v->renamed, &v->renamed_count, e) < 0)
		return -1;
	rc = tree_map(p, &v->map, e);
	return rc < 0 ? -1 : show(v, e);
}

int preview_user(const struct job *job, preview_fn *fn, void *arg, struct err *e)
{
	struct preview v = { .pass = { .job = job,
				       .from = job->from,
				       .to = job->from == SIDE_OLD ? SIDE_NEW : SIDE_OLD,
				       .lanes = { .job = job } },
			     .fn = fn,
			     .arg = arg };
	int rc = look(&v, e);

	renamed_free(&v.renamed, v.renamed_count);
	folder_map_release(&v.map);
	for (int s = 0; s < SIDES; s++) {
		folder_list_release(&v.pass.list[s]);
		namespace_info_release(&v.pass.space[s]);
	}
	journal_close(&v.pass.journal);
	lanes_close(&v.pass.lanes);
	return rc;
}
