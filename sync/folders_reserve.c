/* Hides: whose place on the other side is settled before anybody chooses. */
#include "sync/folders_impl.h"

#include <strings.h>

#include "sync/folder_name.h"
#include "sync/special_names.h"

/* ---- what a namespace makes of names */

/* In a namespace of others? Its root may be listed without the separator. */
bool space_is_shared(const struct namespace_info *space, const char *name)
{
	for (size_t i = 0; i < space->others.count; i++) {
		const struct folder_info *o = &space->others.at[i];
		size_t n = strlen(o->name);

		if (n == 0)
			continue;
		if (strncmp(name, o->name, n) == 0)
			return true;
		if (o->name[n - 1] == o->separator && strlen(name) == n - 1 &&
		    strncmp(name, o->name, n - 1) == 0)
			return true;
	}
	return false;
}

struct slice space_path(const struct namespace_info *space, const char *name)
{
	size_t n = strlen(space->prefix);

	/* INBOX in a prefix is INBOX, whatever its case (RFC 3501 5.1). */
	if (n && strncasecmp(name, space->prefix, n) == 0 && name[n])
		return slice_of(name + n);
	return slice_of(name);
}

int space_depth(struct slice path, char separator)
{
	int depth = 1;

	for (size_t i = 0; separator && i < path.n; i++)
		depth += path.p[i] == separator;
	return depth;
}

/* The separator of the folder itself, else of the namespace. */
char space_separator(const struct namespace_info *space, const struct folder_info *f)
{
	return f->separator ? f->separator : space->separator;
}

/* By attribute, else by name where special folders are: at the top. */
enum special_use folder_use(const struct folder_side *s, const struct folder_info *f)
{
	struct slice path = space_path(s->space, f->name);
	char separator = space_separator(s->space, f), *shown, *wire;
	enum special_use use;

	if (f->use != USE_NONE || f->noselect || space_is_shared(s->space, f->name))
		return f->use;
	if (separator && path.n > 6 && strncasecmp(path.p, "INBOX", 5) == 0 &&
	    path.p[5] == separator)
		path = (struct slice){ path.p + 6, path.n - 6 };
	if (space_depth(path, separator) != 1)
		return USE_NONE;
	wire = mem_strn(path.p, path.n);
	shown = folder_name_shown(wire, s->space->utf8);
	use = special_name_use(shown);
	mem_free(&shown);
	mem_free(&wire);
	return use;
}

bool space_is_below_inbox(const struct namespace_info *space)
{
	return strlen(space->prefix) > 5 && strncasecmp(space->prefix, "INBOX", 5) == 0;
}

/* ---- reservations: what is settled before anybody chooses */

static char *own(struct mapping *m, char *name)
{
	m->owned[m->owned_count++] = name;
	return name;
}

static void reserve(struct mapping *m, struct folder_in *f, const char *name,
		    enum folder_why why)
{
	f->chosen = name;
	f->why = why;
	mapping_take(m, name);
}

static const char *known_name(const struct mapping *m, const char *from_name)
{
	size_t at = name_index_find(&m->known, from_name);

	return at == NAME_NONE ? NULL : m->wishes->known[at].name[m->to];
}

/* Names of known pairs are taken, also those of pairs whose folder is not listed now. */
static void reserve_known(struct mapping *m)
{
	for (size_t i = 0; i < m->wishes->known_count; i++) {
		name_index_add(&m->known, m->wishes->known[i].name[m->from], i);
		mapping_take(m, m->wishes->known[i].name[m->to]);
	}
	for (size_t i = 0; i < m->count; i++) {
		const char *name =
			known_name(m, m->in[i].is_inbox ? "INBOX" : m->in[i].info->name);

		m->in[i].is_known = name != NULL;
		if (m->in[i].is_inbox)
			reserve(m, &m->in[i], "INBOX", FOLDER_SAME);
		else if (name)
			reserve(m, &m->in[i], name, FOLDER_KNOWN);
	}
}

static void reserve_rule(struct mapping *m, struct folder_in *f)
{
	const struct folder_rules *r = m->wishes->rules;
	char *shown = folder_name_shown(f->info->name, m->from_side->space->utf8), *name;

	for (size_t i = 0; i < r->map_count && !f->chosen; i++) {
		const struct folder_rule *rule = &r->map[i];
		const char *here = m->from == SIDE_OLD ? rule->old : rule->new;
		const char *to = m->from == SIDE_OLD ? rule->new : rule->old;

		if (strcmp(here, shown) != 0)
			continue;
		name = own(m, folder_name_sent(to, m->to_side->space->utf8));
		if (mapping_is_free(m, name))
			reserve(m, f, name, FOLDER_RULE);
		break;
	}
	mem_free(&shown);
}

static void reserve_rules(struct mapping *m)
{
	for (size_t i = 0; m->wishes->rules && i < m->count; i++)
		if (!m->in[i].chosen)
			reserve_rule(m, &m->in[i]);
}

/* The other side's folder for this use. By name only one that has most mail: the one in use. */
static const struct folder_info *special_there(const struct mapping *m, enum special_use use)
{
	const struct folder_list *list = m->to_side->list;
	const struct folder_info *best = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct folder_info *f = &list->at[i];

		if (f->noselect || space_is_shared(m->to_side->space, f->name))
			continue;
		if (f->use == use)
			return f;
		if (f->use == USE_NONE && folder_use(m->to_side, f) == use &&
		    (!best || f->messages > best->messages))
			best = f;
	}
	return best;
}

/* Which of two folders is the one for their use. */
static bool is_fitter(const struct mapping *m, const struct folder_in *a,
		      const struct folder_in *b, const struct folder_info *target)
{
	char *name;
	enum folder_why why;
	bool a_same, b_same;

	if ((a->info->use != USE_NONE) != (b->info->use != USE_NONE))
		return a->info->use != USE_NONE;
	name = mapping_plain_name(m, a, &why);
	a_same = target && strcmp(name, target->name) == 0;
	mem_free(&name);
	name = mapping_plain_name(m, b, &why);
	b_same = target && strcmp(name, target->name) == 0;
	mem_free(&name);
	if (a_same != b_same)
		return a_same;
	if (a->info->messages != b->info->messages)
		return a->info->messages > b->info->messages;
	return mapping_compare_paths(a, b) < 0;
}

static struct folder_in *special_here(const struct mapping *m, enum special_use use,
				      const struct folder_info *target)
{
	struct folder_in *best = NULL;

	for (size_t i = 0; i < m->count; i++) {
		struct folder_in *f = &m->in[i];

		if (f->use == use && !f->info->noselect &&
		    (!best || is_fitter(m, f, best, target)))
			best = f;
	}
	return best;
}

static void reserve_special(struct mapping *m, enum special_use use)
{
	const struct folder_info *target = special_there(m, use);
	struct folder_in *f = special_here(m, use, target);
	enum folder_why why;
	char *plain;

	if (!f)
		return;
	f->is_special = true;
	if (!target || f->chosen || mapping_is_taken(m, target->name))
		return;
	plain = mapping_plain_name(m, f, &why);
	if (!mapping_there(m, plain) || mapping_is_taken(m, plain) ||
	    mapping_is_refused(m, plain))
		reserve(m, f, target->name,
			f->info->use == use && target->use == use ? FOLDER_ATTRIBUTE
								  : FOLDER_LOCALIZED);
	mem_free(&plain);
}

void mapping_reserve(struct mapping *m)
{
	reserve_known(m);
	reserve_rules(m);
	for (enum special_use u = USE_NONE + 1; u < SPECIAL_USES; u++)
		reserve_special(m, u);
}
