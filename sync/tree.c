/* Hides: what is done when a server does not take a folder as it was named. */
#include "sync/tree.h"

#include "sync/folder_name.h"

struct making {
	struct pass *p;
	struct mailbox *box; /* on the other side */
	char **refused;
	size_t refused_count;
	char why[ERR_TEXT_MAX]; /* the last refusal */
};

static void refuse(struct making *m, const char *name)
{
	m->refused = mem_grow(m->refused, m->refused_count + 1, sizeof *m->refused);
	m->refused[m->refused_count++] = mem_str(name);
}

/* ---- mapping */

static int map_folders(const struct making *m, struct folder_map *out, struct err *e)
{
	const struct pass *p = m->p;
	struct folder_side sides[SIDES];
	struct journal_folder *known = NULL;
	struct folder_known *names;
	struct folder_wishes wishes = { .rules = &p->job->folders,
					.refused = (const char *const *)m->refused,
					.refused_count = m->refused_count };
	size_t n = 0;

	if (p->journal && journal_folders(p->journal, &known, &n, e) < 0)
		return -1;
	wishes.known = names = mem_array(n + 1, sizeof *names);
	wishes.known_count = n;
	for (size_t i = 0; i < n; i++)
		for (int s = 0; s < SIDES; s++)
			names[i].name[s] = known[i].name[s];
	for (int s = 0; s < SIDES; s++)
		sides[s] = (struct folder_side){ &p->list[s], &p->space[s] };
	folders_map(sides, p->from, &wishes, out);
	free(names);
	journal_folders_free(&known, &n);
	return 0;
}

int tree_map(struct pass *p, struct folder_map *out, struct err *e)
{
	return map_folders(&(struct making){ .p = p }, out, e);
}

/* ---- making */

/* After the flip the user may have thrown a folder away: made anew only for new mail. */
static bool is_missing(const struct pass *p, const struct folder_pair *pair)
{
	if (pair->container || pair->exists || pair->hopeless)
		return false;
	return !pass_is_trailing(p) || pass_wants_folder(p, pair);
}

/* Does this answer mean the name, and not the moment or the room? */
static bool is_about_name(const struct mailbox *box, const struct err *e)
{
	return mailbox_is_usable(box) && !e->later.whom && e->kind != ERR_FULL;
}

/* What became of one; a name that exists already is fine. */
static int made(struct making *m, const struct folder_order *o, struct err *e)
{
	int rc = o->rc;

	*e = o->e;
	if (rc < 0 && o->use != USE_NONE && is_about_name(m->box, e)) {
		err_clear(e); /* not every use may be asked for */
		rc = mailbox_create(m->box, o->name, USE_NONE, e);
		pass_step();
	}
	if (rc == 0)
		return 0;
	if (!is_about_name(m->box, e))
		return err_wrap(e, "%s: create folder %s", side_name(m->p->to), o->name);
	snprintf(m->why, sizeof m->why, "%s", e->text);
	err_clear(e);
	refuse(m, o->name);
	return 0;
}

static int make_all(struct making *m, struct folder_order *orders, size_t n, struct err *e)
{
	int rc = mailbox_create_all(m->box, orders, n, e);

	pass_step();
	if (rc < 0)
		return err_wrap(e, "%s: create folders", side_name(m->p->to));
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = made(m, &orders[i], e);
	return rc;
}

/* Asked for, and the server lists something else, or nothing. */
static void check_made(struct making *m, const struct folder_map *map)
{
	const struct pass *p = m->p;

	for (size_t i = 0; i < map->count; i++) {
		const char *name = map->at[i].name[p->to];

		if (!is_missing(p, &map->at[i]) || folder_list_find(&p->list[p->to], name))
			continue;
		if (!m->why[0])
			snprintf(m->why, sizeof m->why, "the server does not list it");
		refuse(m, name);
	}
}

/* *again: something was made or refused, so that the map may look different now. */
static int make_missing(struct making *m, const struct folder_map *map, bool *again,
			struct err *e)
{
	struct folder_order *orders = mem_array(map->count + 1, sizeof *orders);
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < map->count; i++)
		if (is_missing(m->p, &map->at[i]))
			orders[n++] = (struct folder_order){ .name = map->at[i].name[m->p->to],
							     .use = map->at[i].use };
	*again = n > 0;
	if (n)
		rc = make_all(m, orders, n, e);
	free(orders);
	if (rc < 0 || n == 0)
		return rc;
	if (pass_list_side(m->p, m->p->to, e) < 0)
		return -1;
	check_made(m, map);
	return 0;
}

/* ---- the journal, and people */

static void tell(const struct pass *p, const struct folder_pair *pair)
{
	char *names[SIDES];

	for (int s = 0; s < SIDES; s++)
		names[s] = folder_name_shown(pair->name[s], p->space[s].utf8);
	log_info(&(struct log_about){ .what = "user", .user = p->job->user },
		 "folder \"%s\" is \"%s\" on the %s server: %s", names[p->from], names[p->to],
		 side_name(p->to), folder_why_text(pair->why));
	for (int s = 0; s < SIDES; s++)
		mem_free(&names[s]);
}

static int record(const struct making *m, const struct folder_map *map, struct err *e)
{
	struct journal *j = m->p->journal;

	if (journal_begin(j, e) < 0)
		return -1;
	for (size_t i = 0; i < map->count; i++) {
		const struct folder_pair *pair = &map->at[i];
		const char *names[SIDES] = { pair->name[SIDE_OLD], pair->name[SIDE_NEW] };
		int64_t id;

		if (pair->container || !pair->exists || pair->is_known)
			continue;
		if (journal_folder_add(j, names, &id, e) < 0) {
			journal_rollback(j);
			return -1;
		}
		if (folder_why_is_noted(pair->why))
			tell(m->p, pair);
	}
	return journal_commit(j, e);
}

static void complain(const struct making *m, const struct folder_map *map)
{
	for (size_t i = 0; i < map->count; i++)
		if (is_missing(m->p, &map->at[i]) || map->at[i].hopeless)
			pass_unclean(m->p, "folder %s: %s takes no name for it: %s",
				     map->at[i].name[m->p->from], side_name(m->p->to), m->why);
}

int tree_make(struct pass *p, struct folder_map *out, struct err *e)
{
	struct making m = { .p = p, .box = p->lanes.at[0].box[p->to] };
	bool again = true;
	int rc = 0;

	for (int i = 0; i < TREE_ROUNDS_MAX && again && rc == 0; i++) {
		folder_map_release(out);
		rc = map_folders(&m, out, e);
		if (rc == 0)
			rc = make_missing(&m, out, &again, e);
	}
	if (rc == 0)
		rc = record(&m, out, e);
	if (rc == 0)
		complain(&m, out);
	else
		folder_map_release(out);
	for (size_t i = 0; i < m.refused_count; i++)
		mem_free(&m.refused[i]);
	mem_free(&m.refused);
	return rc;
}

/* ---- subscriptions */

struct subscriptions {
	struct folder_order *at;
	bool *exists; /* each one's folder, there */
	size_t count;
};

static void want(struct subscriptions *s, const char *name, bool on, bool exists)
{
	s->at = mem_grow(s->at, s->count + 1, sizeof *s->at);
	s->exists = mem_grow(s->exists, s->count + 1, sizeof *s->exists);
	s->exists[s->count] = exists;
	s->at[s->count++] = (struct folder_order){ .name = name, .on = on };
}

/* The list is from before. */
static void note_listed(struct folder_list *l, const struct folder_order *o)
{
	size_t at = name_index_find(&l->names, o->name);

	if (at != NAME_NONE)
		l->at[at].subscribed = o->on;
}

/* A server may refuse to subscribe what does not exist there: nobody loses anything. */
static int note_subscription(struct pass *p, const struct folder_order *o, bool exists,
			     struct err *e)
{
	if (o->rc == 0) {
		note_listed(&p->list[p->to], o);
		return journal_subscribed(p->journal, o->name, o->on, e);
	}
	if (exists)
		pass_unclean(p, "folder %s cannot be subscribed on %s: %s", o->name,
			     side_name(p->to), o->e.text);
	return 0;
}

static int note_subscriptions(struct pass *p, const struct subscriptions *s, struct err *e)
{
	if (journal_begin(p->journal, e) < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++)
		if (note_subscription(p, &s->at[i], s->exists[i], e) < 0) {
			journal_rollback(p->journal);
			return -1;
		}
	return journal_commit(p->journal, e);
}

static int subscribe(struct pass *p, struct subscriptions *s, struct err *e)
{
	struct mailbox *box = p->lanes.at[0].box[p->to];

	if (s->count == 0)
		return 0;
	if (mailbox_subscribe_all(box, s->at, s->count, e) < 0)
		return err_wrap(e, "%s: subscriptions", side_name(p->to));
	pass_step();
	return note_subscriptions(p, s, e);
}

struct names {
	char **at;
	size_t count;
};

static int add_name(const char *name, void *arg)
{
	struct names *n = arg;

	n->at = mem_grow(n->at, n->count + 1, sizeof *n->at);
	n->at[n->count++] = mem_str(name);
	return 0;
}

static struct name_index wanted(const struct folder_map *map, enum side to)
{
	struct name_index names = { 0 };

	for (size_t i = 0; i < map->count; i++)
		if (map->at[i].subscribed)
			name_index_add(&names, map->at[i].name[to], i);
	return names;
}

int tree_subscribe(struct pass *p, const struct folder_map *map, struct err *e)
{
	if (mailbox_is_pop3(p->lanes.at[0].box[p->from])) /* it has none to follow */
		return 0;
	struct subscriptions s = { 0 };
	struct name_index stay = wanted(map, p->to);
	struct names ours = { 0 };
	int rc = journal_subscriptions(p->journal, add_name, &ours, e);

	for (size_t i = 0; i < map->count; i++) {
		const struct folder_pair *pair = &map->at[i];
		const struct folder_info *there =
			folder_list_find(&p->list[p->to], pair->name[p->to]);

		if (!pair->hopeless && pair->subscribed != (there && there->subscribed))
			want(&s, pair->name[p->to], pair->subscribed, pair->exists);
	}
	/* What we subscribed for a folder that is not even listed any more on the side that
	 * counts. */
	for (size_t i = 0; i < ours.count; i++)
		if (name_index_find(&stay, ours.at[i]) == NAME_NONE)
			want(&s, ours.at[i], false, false);
	if (rc == 0)
		rc = subscribe(p, &s, e);
	for (size_t i = 0; i < ours.count; i++)
		mem_free(&ours.at[i]);
	mem_free(&ours.at);
	name_index_release(&stay);
	free(s.at);
	free(s.exists);
	return rc;
}
