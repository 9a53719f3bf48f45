/* Hides: how a folder is recognised under another name, and in which order names change. */
#include "sync/renames.h"

#include "sync/folder_name.h"
#include "sync/journal_place.h"

struct renames {
	struct pass *p;
	enum side at; /* where names are looked for: the side that counts, but for recalling */
	struct mailbox *box[SIDES];
	struct journal_folder *f;
	struct journal_place *place; /* of each */
	size_t count;
	struct name_index names;	  /* on that side, while they are looked at */
	const struct folder_info **found; /* on that side, under another name; NULL */
};

static int load(struct renames *r, struct err *e)
{
	if (journal_folders(r->p->journal, &r->f, &r->count, e) < 0)
		return -1;
	if (journal_places(r->p->journal, r->f, r->count, &r->place, e) < 0)
		return -1;
	r->found = mem_array(r->count + 1, sizeof *r->found);
	return 0;
}

static int begin(struct renames *r, struct err *e)
{
	for (int s = 0; s < SIDES; s++)
		r->box[s] = r->p->lanes.at[0].box[s];
	return load(r, e);
}

static void release(struct renames *r)
{
	journal_places_free(&r->place, r->count);
	journal_folders_free(&r->f, &r->count);
	mem_free(&r->found);
}

static void put(char **at, const char *text)
{
	char *copy = mem_str(text);

	mem_free(at);
	*at = copy;
}

static const struct folder_info *listed(const struct renames *r, enum side s, const char *name)
{
	return folder_list_find(&r->p->list[s], name);
}

/* A name that is listed for what is subscribed, or for what is below it, is nobody's. */
static bool is_taken(const struct renames *r, enum side s, const char *name)
{
	const struct folder_info *f = listed(r, s, name);

	return f && !f->noselect;
}

/* The row that has the name; count: none. */
static size_t row_of(const struct renames *r, enum side s, const char *name)
{
	size_t i = 0;

	while (i < r->count && strcmp(r->f[i].name[s], name) != 0)
		i++;
	return i;
}

/* ---- recognising */

/* Something else has the folder's name now, or nothing has it. */
static bool is_displaced(const struct renames *r, size_t i)
{
	enum side at = r->at;
	const struct folder_info *here = listed(r, at, r->f[i].name[at]);
	const struct folder_state *then = &r->f[i].state[at];
	const char *id = r->place[i].mailboxid[at];

	if (strcmp(r->f[i].name[at], "INBOX") == 0)
		return false;
	if (!here || here->noselect)
		return true;
	if (!here->has_status)
		return false;
	return (*id && here->mailboxid && strcmp(id, here->mailboxid) != 0) ||
	       (then->uidvalidity && then->uidvalidity != here->uidvalidity) ||
	       here->uidnext < then->uidnext;
}

struct proof {
	const unsigned char *want;
	unsigned found, equal;
};

static int compare_header(const struct message_info *i UNUSED, struct slice header, void *arg,
			  struct err *e UNUSED)
{
	struct proof *pr = arg;
	unsigned char is[DIGEST_SIZE];

	digest_of_header(header, is);
	pr->found++;
	pr->equal += memcmp(is, pr->want, DIGEST_SIZE) == 0;
	return 0;
}

/* Rows that can tell: on both sides, with their digests. Moves them to the front. */
static size_t telling(struct journal_msg *rows, size_t n, enum side at)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (rows[i].hashed && rows[i].state == MSG_DONE && rows[i].uid[at])
			rows[kept++] = rows[i];
	return kept;
}

/* Are these the messages that the journal knows, as far as they are still there? uids: theirs
 * now, in the same order; NULL: as they were. */
static int prove(struct renames *r, const struct journal_msg *rows, size_t n,
		 const uint32_t *uids, struct proof *pr, struct err *e)
{
	size_t every = MAX(n / RENAME_PROOFS, (size_t)1);
	enum side at = r->at;

	for (size_t i = 0; i < n; i += every) {
		uint32_t uid = uids ? uids[i] : rows[i].uid[at];
		struct digest d;
		struct listing ignored;

		if (journal_digest(r->p->journal, rows[i].id, &d, e) < 0)
			return -1;
		pr->want = d.header;
		if (mailbox_headers(r->box[at], uid, uid, compare_header, pr, &ignored, e) < 0)
			return err_wrap(e, "%s: looking for folders", side_name(at));
	}
	return 0;
}

/* Courier gives a folder another UIDVALIDITY when it is renamed: the same messages in the same
 * order then. */
static int prove_in_order(struct renames *r, const struct journal_msg *rows, size_t n,
			  struct proof *pr, struct err *e)
{
	struct uid_list now = { 0 };
	int rc = mailbox_uids(r->box[r->at], 1, 0, &now, e);

	if (rc == 0 && now.count == n)
		rc = prove(r, rows, n, now.at, pr, e);
	uid_list_release(&now);
	return rc;
}

/* What speaks for a folder being the journal's. */
enum likeness { LIKE_NOT, LIKE_ID, LIKE_UIDS, LIKE_ORDER };

static int holds_same_mail(struct renames *r, size_t i, const char *name, enum likeness how,
			   bool *same, struct err *e)
{
	struct pass *p = r->p;
	struct journal_msg *rows = NULL;
	struct proof pr = { 0 };
	struct selected ignored;
	size_t n = 0;
	int rc;

	*same = false;
	if (mailbox_select(r->box[r->at], name, true, &ignored, e) < 0) {
		if (!mailbox_is_usable(r->box[r->at]))
			return -1;
		err_clear(e); /* then it is not it */
		return 0;
	}
	rc = journal_msgs(p->journal, &r->f[i], r->at, p->lanes.at[0].pool, &rows, &n, e);
	n = rc == 0 ? telling(rows, n, r->at) : 0;
	if (rc == 0)
		rc = how == LIKE_UIDS ? prove(r, rows, n, NULL, &pr, e)
				      : prove_in_order(r, rows, n, &pr, e);
	mem_free(&rows);
	*same = rc == 0 && pr.found > 0 && pr.equal == pr.found;
	return rc;
}

/* By what LIST and STATUS say. */
static enum likeness like(const struct renames *r, size_t i, const struct folder_info *c)
{
	enum side at = r->at;
	const struct folder_state *then = &r->f[i].state[at];
	const char *id = r->place[i].mailboxid[at];

	if (*id && c->mailboxid)
		return strcmp(id, c->mailboxid) == 0 ? LIKE_ID : LIKE_NOT;
	if (then->uidvalidity == c->uidvalidity)
		return then->uidnext <= c->uidnext ? LIKE_UIDS : LIKE_NOT;
	/* Only when the name is nobody's now, and this one is new. */
	return then->messages && then->messages == c->messages &&
			       !is_taken(r, at, r->f[i].name[at]) &&
			       name_index_find(&r->names, c->name) == NAME_NONE
		       ? LIKE_ORDER
		       : LIKE_NOT;
}

/* A folder that no row has, or whose row has lost its own. */
static bool is_free(const struct renames *r, const struct folder_info *c)
{
	size_t i = name_index_find(&r->names, c->name);

	return !c->noselect && c->has_status && strcmp(c->name, "INBOX") != 0 &&
	       (i == NAME_NONE || is_displaced(r, i));
}

static int find(struct renames *r, size_t i, struct err *e)
{
	const struct folder_list *l = &r->p->list[r->at];
	size_t hits = 0;

	for (size_t k = 0; k < l->count; k++) {
		const struct folder_info *c = &l->at[k];
		enum likeness how = is_free(r, c) ? like(r, i, c) : LIKE_NOT;
		bool same = how == LIKE_ID;

		if (how != LIKE_NOT && !same &&
		    holds_same_mail(r, i, c->name, how, &same, e) < 0)
			return -1;
		if (!same)
			continue;
		r->found[i] = c;
		hits++;
	}
	/* Two that look the same (a server that copies with UIDs?): then none, and their mail
	 * is recognised one by one. */
	if (hits != 1)
		r->found[i] = NULL;
	return 0;
}

static int find_each(struct renames *r, bool *any, struct err *e)
{
	*any = false;
	for (size_t i = 0; i < r->count; i++) {
		if (!r->f[i].state[r->at].uidvalidity || !is_displaced(r, i))
			continue;
		if (find(r, i, e) < 0)
			return -1;
		*any |= r->found[i] != NULL;
	}
	for (size_t i = 0; i < r->count; i++) /* one folder is nobody's twice */
		for (size_t k = 0; k < i && r->found[i]; k++)
			if (r->found[k] == r->found[i])
				r->found[i] = r->found[k] = NULL;
	return mailbox_unselect(r->box[r->at], e);
}

/* *any: a folder is found under another name. */
static int find_all(struct renames *r, bool *any, struct err *e)
{
	int rc;

	for (size_t i = 0; i < r->count; i++)
		name_index_add(&r->names, r->f[i].name[r->at], i);
	rc = find_each(r, any, e);
	name_index_release(&r->names);
	return rc;
}

/* Another folder under the old name, by its id, and the one we knew is nowhere: then what the
 * journal knows by UID is not about this one, even if the UIDs look the same. */
static int forget_replaced(struct renames *r, struct err *e)
{
	enum side from = r->p->from;

	for (size_t i = 0; i < r->count; i++) {
		const struct folder_info *here = listed(r, from, r->f[i].name[from]);
		const char *id = r->place[i].mailboxid[from];

		if (r->found[i] || !*id || !here || !here->mailboxid ||
		    strcmp(id, here->mailboxid) == 0 || pass_is_trailing(r->p))
			continue;
		pass_unclean(r->p, "folder %s is another one on %s", r->f[i].name[from],
			     side_name(from));
		if (journal_folder_drop(r->p->journal, r->f[i].id, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- where they go */

/* Where the map puts the folders that were found, with the others as they are. */
static void map_found(const struct renames *r, struct folder_map *out)
{
	const struct pass *p = r->p;
	struct folder_known *known = mem_array(r->count + 1, sizeof *known);
	struct folder_wishes wishes = { .known = known, .rules = &p->job->folders };
	struct folder_side sides[SIDES];

	for (size_t i = 0; i < r->count; i++) {
		if (r->found[i])
			continue;
		for (int s = 0; s < SIDES; s++)
			known[wishes.known_count].name[s] = r->f[i].name[s];
		wishes.known_count++;
	}
	for (int s = 0; s < SIDES; s++)
		sides[s] = (struct folder_side){ &p->list[s], &p->space[s] };
	folders_map(sides, p->from, &wishes, out);
	free(known);
}

static void decide(struct renames *r, size_t i, const struct folder_map *map)
{
	enum side from = r->p->from, to = r->p->to;
	const struct folder_info *there = listed(r, to, r->f[i].name[to]);

	/* A special folder keeps its name: clients look for it there. */
	if (pass_is_trailing(r->p) || !there || there->use != USE_NONE)
		return;
	for (size_t k = 0; k < map->count; k++)
		if (strcmp(map->at[k].name[from], r->found[i]->name) == 0 &&
		    !map->at[k].hopeless && strcmp(map->at[k].name[to], r->f[i].name[to]) != 0)
			put(&r->place[i].want, map->at[k].name[to]);
}

/* The names that the folders have now, and what they are to be on the other side: one
 * transaction. */
static int write_found(struct renames *r, struct err *e)
{
	struct journal *j = r->p->journal;
	const char **names = mem_array(r->count + 1, sizeof *names);
	int rc = journal_begin(j, e);

	for (size_t i = 0; i < r->count; i++)
		names[i] = r->found[i] ? r->found[i]->name : NULL;
	if (rc == 0)
		rc = journal_rename(j, r->f, r->count, r->at, names, e);
	for (size_t i = 0; i < r->count && rc == 0; i++)
		if (r->found[i])
			rc = journal_place_write(j, r->f[i].id, &r->place[i], e);
	free(names);
	if (rc < 0) {
		journal_rollback(j);
		return -1;
	}
	return journal_commit(j, e);
}

static int note_found(struct renames *r, struct err *e)
{
	struct folder_map map = { 0 };
	int rc;

	map_found(r, &map);
	for (size_t i = 0; i < r->count; i++)
		if (r->found[i])
			decide(r, i, &map);
	rc = write_found(r, e);
	for (size_t i = 0; i < r->count && rc == 0; i++)
		if (r->found[i])
			put(&r->f[i].name[r->p->from], r->found[i]->name);
	folder_map_release(&map);
	pass_step();
	return rc;
}

/* ---- renaming */

/* What the name was below the folder that moved; NULL: it is not below it. */
static const char *below(const struct renames *r, const char *name, const char *parent)
{
	size_t n = strlen(parent);
	char separator = r->p->space[r->p->to].separator;

	return separator && strncmp(name, parent, n) == 0 && name[n] == separator ? name + n
										  : NULL;
}

/* The folder has its new name, and so has what is below it, unless the server left it. */
static int write_moved(struct renames *r, size_t i, struct err *e)
{
	struct journal *j = r->p->journal;
	enum side to = r->p->to;
	const char **names = mem_array(r->count + 1, sizeof *names);
	char *was = mem_str(r->f[i].name[to]);
	int rc;

	for (size_t k = 0; k < r->count; k++) {
		const char *rest = below(r, r->f[k].name[to], was);
		char *moved = rest ? mem_printf("%s%s", r->place[i].step, rest) : NULL;

		if (k == i)
			names[k] = mem_str(r->place[i].step);
		else if (moved && is_taken(r, to, moved) &&
			 !is_taken(r, to, r->f[k].name[to])) {
			/* One whose name on the other side did not change goes back. */
			if (!*r->place[k].want)
				put(&r->place[k].want, r->f[k].name[to]);
			names[k] = mem_str(moved);
		}
		mem_free(&moved);
	}
	put(&r->place[i].step, "");
	rc = journal_begin(j, e);
	if (rc == 0)
		rc = journal_rename(j, r->f, r->count, to, names, e);
	for (size_t k = 0; k < r->count && rc == 0; k++) {
		if (!names[k])
			continue;
		put(&r->f[k].name[to], names[k]);
		if (strcmp(r->place[k].want, names[k]) == 0)
			put(&r->place[k].want, "");
		rc = journal_place_write(j, r->f[k].id, &r->place[k], e);
	}
	if (rc == 0)
		rc = journal_commit(j, e);
	else
		journal_rollback(j);
	for (size_t k = 0; k < r->count; k++)
		free((char *)(uintptr_t)names[k]);
	free(names);
	mem_free(&was);
	return rc;
}

static int write_place(struct renames *r, size_t i, struct err *e)
{
	return journal_place_write(r->p->journal, r->f[i].id, &r->place[i], e);
}

static int give_up(struct renames *r, size_t i, const char *why, struct err *e)
{
	log_info(&(struct log_about){ .what = "user", .user = r->p->job->user },
		 "folder \"%s\" keeps its name on the %s server: %s", r->f[i].name[r->p->to],
		 side_name(r->p->to), why);
	put(&r->place[i].want, "");
	put(&r->place[i].step, "");
	return write_place(r, i, e);
}

/* Intent, command, result. */
static int move_to(struct renames *r, size_t i, const char *name, struct err *e)
{
	struct pass *p = r->p;
	struct mailbox *box = r->box[p->to];
	int rc;

	put(&r->place[i].step, name);
	if (write_place(r, i, e) < 0)
		return -1;
	pass_step();
	rc = mailbox_rename(box, r->f[i].name[p->to], name, e);
	pass_step();
	if (rc < 0 && (!mailbox_is_usable(box) || e->later.whom || e->kind == ERR_FULL))
		return err_wrap(e, "%s", side_name(p->to));
	if (rc < 0) {
		struct err refusal = *e;

		err_clear(e);
		return give_up(r, i, refusal.text, e);
	}
	if (pass_list_side(p, p->to, e) < 0)
		return -1;
	rc = write_moved(r, i, e);
	pass_step();
	return rc;
}

/* Whoever stands where another wants to be, and is going somewhere else, steps aside. */
static int step_aside(struct renames *r, size_t i, struct err *e)
{
	char *aside = NULL;
	int rc;

	for (unsigned n = 1; !aside || listed(r, r->p->to, aside); n++) {
		mem_free(&aside);
		aside = mem_printf("%s_moving_%u", r->place[i].want, n);
	}
	rc = move_to(r, i, aside, e);
	mem_free(&aside);
	return rc;
}

static int move_one(struct renames *r, size_t i, struct err *e)
{
	enum side to = r->p->to;
	size_t other;

	if (strcmp(r->f[i].name[to], r->place[i].want) == 0) { /* it was taken along */
		put(&r->place[i].want, "");
		return write_place(r, i, e);
	}
	if (!is_taken(r, to, r->place[i].want))
		return move_to(r, i, r->place[i].want, e);
	other = row_of(r, to, r->place[i].want);
	if (other == r->count || !*r->place[other].want)
		return give_up(r, i, "the name is another's there", e);
	return step_aside(r, other, e);
}

/* Parents first: they take their children along. */
static size_t next_move(const struct renames *r)
{
	size_t best = r->count;

	for (size_t i = 0; i < r->count; i++)
		if (*r->place[i].want &&
		    (best == r->count ||
		     strlen(r->place[i].want) < strlen(r->place[best].want)))
			best = i;
	return best;
}

static int move_all(struct renames *r, struct err *e)
{
	/* Each folder moves at most twice, and is put right once more below a parent. */
	for (size_t left = 4 * r->count + 4, i; (i = next_move(r)) < r->count; left--)
		if (left == 0 ? give_up(r, i, "the names go round in a circle", e) < 0
			      : move_one(r, i, e) < 0)
			return -1;
	return 0;
}

/* ---- after a crash */

/* The names on the server say whether a RENAME that was sent has happened. */
static int resume(struct renames *r, struct err *e)
{
	enum side to = r->p->to;

	for (size_t i = 0; i < r->count; i++) {
		const char *step = r->place[i].step;

		if (!*step)
			continue;
		if (is_taken(r, to, step) && !is_taken(r, to, r->f[i].name[to])) {
			if (write_moved(r, i, e) < 0)
				return -1;
			continue;
		}
		put(&r->place[i].step, "");
		if (write_place(r, i, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- the whole */

/* What the servers call them where that lasts. */
static int write_ids(struct renames *r, struct err *e)
{
	for (size_t i = 0; i < r->count; i++) {
		bool changed = false;

		for (int s = 0; s < SIDES; s++) {
			const struct folder_info *f = listed(r, (enum side)s, r->f[i].name[s]);

			if (!f || !f->mailboxid ||
			    strcmp(f->mailboxid, r->place[i].mailboxid[s]) == 0)
				continue;
			put(&r->place[i].mailboxid[s], f->mailboxid);
			changed = true;
		}
		if (changed && write_place(r, i, e) < 0)
			return -1;
	}
	return 0;
}

int renames_follow(struct pass *p, struct err *e)
{
	struct renames r = { .p = p, .at = p->from };
	bool any = false;
	int rc;

	if (mailbox_is_pop3(p->lanes.at[0].box[p->from])) /* it has INBOX only */
		return 0;
	rc = begin(&r, e);
	if (rc == 0)
		rc = resume(&r, e);
	if (rc == 0)
		rc = find_all(&r, &any, e);
	if (rc == 0)
		rc = forget_replaced(&r, e);
	if (rc == 0 && any)
		rc = note_found(&r, e);
	if (rc == 0 && !pass_is_trailing(p))
		rc = move_all(&r, e);
	release(&r);
	return rc;
}

int renames_find(struct pass *p, struct renamed **out, size_t *n, struct err *e)
{
	struct renames r = { .p = p, .at = p->from };
	bool any;
	int rc;

	*out = NULL;
	*n = 0;
	if (mailbox_is_pop3(p->lanes.at[0].box[p->from]))
		return 0;
	rc = begin(&r, e);
	if (rc == 0)
		rc = find_all(&r, &any, e);
	*out = mem_array(r.count + 1, sizeof **out);
	for (size_t i = 0; i < r.count && rc == 0; i++)
		if (r.found[i])
			(*out)[(*n)++] = (struct renamed){ mem_str(r.found[i]->name),
							   mem_str(r.f[i].name[p->to]) };
	release(&r);
	return rc;
}

void renamed_free(struct renamed **at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mem_free(&(*at)[i].now);
		mem_free(&(*at)[i].there);
	}
	mem_free(at);
}

/* Only what both sides have under another name: else its name here is another folder's now, and
 * would be sought in vain on the other side. */
static int recall(struct renames *r, const struct folder_info **here, struct err *e)
{
	bool any;

	r->at = r->p->to;
	if (find_all(r, &any, e) < 0)
		return -1;
	any = false;
	for (size_t i = 0; i < r->count; i++) {
		if (!here[i])
			r->found[i] = NULL;
		any |= r->found[i] != NULL;
	}
	return any ? write_found(r, e) : 0;
}

int renames_recall(struct pass *p, struct err *e)
{
	struct renames r = { .p = p, .at = p->from };
	const struct folder_info **here;
	bool any = false;
	int rc;

	if (mailbox_is_pop3(p->lanes.at[0].box[p->from]))
		return 0;
	rc = begin(&r, e);
	if (rc == 0)
		rc = find_all(&r, &any, e);
	if (rc == 0 && any) {
		here = r.found;
		r.found = mem_array(r.count + 1, sizeof *r.found);
		rc = recall(&r, here, e);
		mem_free(&here);
	}
	release(&r);
	return rc;
}

int renames_remember(struct pass *p, struct err *e)
{
	struct renames r = { .p = p };
	int rc = load(&r, e);

	if (rc == 0)
		rc = write_ids(&r, e);
	release(&r);
	return rc;
}
