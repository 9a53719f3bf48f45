/* Hides: where the facts come from: the journal's numbers, and both servers' lists of folders.
 */
#include "sync/facts.h"

#include "sync/folder_name.h"
#include "sync/folders_impl.h"
#include "sync/journal_uids.h"
#include "sync/pass.h"

struct gathering {
	struct pass *p;
	const struct folder_map *map;
	struct facts *f;
};

/* A folder's name as people know it. */
static void add(struct gathering *g, struct fact *f, int64_t count, enum side s,
		const char *wire)
{
	char *shown;

	if (count <= 0)
		return;
	shown = folder_name_shown(wire, g->p->space[s].utf8);
	fact_add(f, count, shown);
	mem_free(&shown);
}

/* ---- UIDs */

static bool looks_equal(const struct journal_uid_row *r)
{
	return r->equal == r->paired &&
	       r->state[SIDE_NEW].uidnext >= r->state[SIDE_OLD].uidnext;
}

static int take_uids(const struct journal_uid_row *r, void *arg)
{
	struct gathering *g = arg;
	const struct folder_state *old = &r->state[SIDE_OLD], *new = &r->state[SIDE_NEW];
	const char *name = r->name[SIDE_OLD];

	g->f->paired += r->paired;
	add(g, &g->f->other_uids, r->paired - r->equal, SIDE_OLD, name);
	add(g, &g->f->low_uids, r->lowest && r->lowest < old->uidnext, SIDE_OLD, name);
	add(g, &g->f->inexact, !looks_equal(r), SIDE_OLD, name);
	add(g, &g->f->same_validity,
	    old->uidvalidity && old->uidvalidity == new->uidvalidity && !looks_equal(r),
	    SIDE_OLD, name);
	if (r->settled)
		add(g, &g->f->strangers, (int64_t) new->messages - r->on_new, SIDE_NEW,
		    r->name[SIDE_NEW]);
	return 0;
}

static int take_strangers_only(const struct journal_uid_row *r, void *arg)
{
	struct gathering *g = arg;

	g->f->paired += r->paired;
	if (r->settled)
		add(g, &g->f->strangers, (int64_t)r->state[SIDE_NEW].messages - r->on_new,
		    SIDE_NEW, r->name[SIDE_NEW]);
	return 0;
}

/* What is worst is told. */
static int take_why(struct gathering *g, struct err *e)
{
	char folder[JOURNAL_REASON_MAX], why[UIDS_WHY_MAX], *shown;

	for (int m = UID_PLAIN; m < UID_MODES; m++) {
		if (journal_uid_why(g->p->journal, (enum uid_mode)m, folder, why, e) < 0)
			return -1;
		if (!why[0])
			continue;
		shown = folder_name_shown(folder, g->p->space[SIDE_OLD].utf8);
		snprintf(g->f->uids_why, sizeof g->f->uids_why, "%.60s (%.30s)", why, shown);
		mem_free(&shown);
		return 0;
	}
	return 0;
}

/* ---- folders */

static const struct folder_pair *pair_of(const struct folder_map *map, enum side s,
					 const char *name)
{
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->at[i].name[s], name) == 0)
			return &map->at[i];
	return NULL;
}

/* Folders that show other folders' mail hold none of their own. */
static bool may_hold_strangers(const struct pass *p, const struct folder_info *f)
{
	return f->has_status && !f->noselect && f->use != USE_ALL && f->use != USE_FLAGGED &&
	       !space_is_shared(&p->space[SIDE_NEW], f->name);
}

static void look_for_strangers(struct gathering *g)
{
	const struct folder_list *l = &g->p->list[SIDE_NEW];

	for (size_t i = 0; i < l->count; i++) {
		const struct folder_info *f = &l->at[i];
		const struct folder_pair *pair = pair_of(g->map, SIDE_NEW, f->name);

		if (may_hold_strangers(g->p, f) && (!pair || pair->container))
			add(g, &g->f->strangers, f->messages, SIDE_NEW, f->name);
	}
}

static void look_at_folders(struct gathering *g)
{
	g->f->unsubscribed = g->f->unused = (struct fact){ 0 };
	for (size_t i = 0; i < g->map->count; i++) {
		const struct folder_pair *pair = &g->map->at[i];
		const char *name = pair->name[SIDE_OLD];
		const struct folder_info *there =
			folder_list_find(&g->p->list[SIDE_NEW], pair->name[SIDE_NEW]);

		if (!there)
			continue;
		add(g, &g->f->unsubscribed, pair->subscribed && !there->subscribed, SIDE_OLD,
		    name);
		add(g, &g->f->unused,
		    pair->info && pair->info->use != USE_NONE && there->use == USE_NONE,
		    SIDE_OLD, name);
	}
}

/* New's list is from before the pass changed anything there. */
static int compare_folders(struct gathering *g, struct err *e)
{
	look_at_folders(g);
	if (g->f->unsubscribed.count == 0)
		return 0;
	if (pass_list_side(g->p, SIDE_NEW, e) < 0)
		return -1;
	look_at_folders(g);
	return 0;
}

static void take_names(struct facts *f, const struct pass *p)
{
	for (int s = 0; s < SIDES; s++) {
		const struct namespace_info *n = &p->space[s];

		snprintf(f->prefix[s], sizeof f->prefix[s], "%s", n->prefix ? n->prefix : "");
		f->separator[s][0] = n->separator;
	}
}

/* ---- the servers */

static void lose(struct facts *f, const char *word, bool old, bool new)
{
	size_t n = strlen(f->lost);

	if (old && !new)
		snprintf(f->lost + n, sizeof f->lost - n, "%s%s", n ? " " : "", word);
}

static void compare_servers(struct facts *f, const struct pass *p)
{
	const struct mailbox *const *box = (const struct mailbox *const *)p->lanes.at[0].box;
	const struct mailbox_caps *old = mailbox_caps(box[SIDE_OLD]);
	const struct mailbox_caps *new = mailbox_caps(box[SIDE_NEW]);

	lose(f, "IDLE", old->idle, new->idle);
	lose(f, "MOVE", old->move, new->move);
	lose(f, "UIDPLUS", old->uidplus, new->uidplus);
	lose(f, "CONDSTORE", old->condstore, new->condstore);
	lose(f, "QRESYNC", old->qresync, new->qresync);
	lose(f, "SPECIAL-USE", old->special_use, new->special_use);
	lose(f, "NAMESPACE", old->namespaces, new->namespaces);
	lose(f, "LIST-STATUS", old->list_status, new->list_status);
}

static int64_t room_of(const struct quota_resource *r, int64_t brought)
{
	return r->known ? MAX(r->limit - r->used - brought, (int64_t)0) : FACT_UNKNOWN;
}

int facts_gather(struct pass *p, const struct folder_map *map, struct err *e)
{
	struct facts *f = &p->result.facts;
	struct gathering g = { p, map, f };
	struct journal_totals t;
	bool pop3 = mailbox_is_pop3(p->lanes.at[0].box[SIDE_OLD]);

	if (p->from != SIDE_OLD) /* a return has no gate */
		return 0;
	*f = (struct facts){ .known = true, .by_pop3 = pop3 };
	if (journal_totals(p->journal, p->to, &t, e) < 0 ||
	    journal_uid_survey(p->journal, pop3 ? take_strangers_only : take_uids, &g, e) < 0)
		return -1;
	f->in_doubt = t.in_doubt;
	f->room_bytes = room_of(&p->room.bytes, p->count.bytes);
	f->room_messages = room_of(&p->room.messages, p->count.copied);
	f->certificate =
		transport_certificate_until(mailbox_transport(p->lanes.at[0].box[SIDE_NEW]));
	look_for_strangers(&g);
	if (pop3)
		return 0;
	if (take_why(&g, e) < 0)
		return -1;
	take_names(f, p);
	compare_servers(f, p);
	return compare_folders(&g, e);
}
