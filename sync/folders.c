/* Hides: in which order folders choose their names, so that nobody's choice depends on luck. */
#include "sync/folders_impl.h"

#include <limits.h>
#include <search.h>
#include <strings.h>

#include "sync/folder_name.h"

static const struct {
	const char *name, *text;
	bool noted;
} whys[] = {
	[FOLDER_SAME] = { "same", "the same name", false },
	[FOLDER_KNOWN] = { "known", "as in the passes before", false },
	[FOLDER_RULE] = { "rule", "as sync.folders says", true },
	[FOLDER_ATTRIBUTE] = { "attribute", "both servers have it for the same use", true },
	[FOLDER_LOCALIZED] = { "localized", "the names mean the same use", true },
	[FOLDER_WRITTEN] = { "written", "it is there, written so", true },
	[FOLDER_REPLACED] = { "replaced", "a part of the name is not possible there", true },
	[FOLDER_REPAIRED] = { "repaired", "it was no proper name", true },
	[FOLDER_NUMBERED] = { "numbered", "another folder has the name there", true },
	[FOLDER_REFUSED] = { "refused", "the server does not take the name", true },
};
_Static_assert(COUNT(whys) == FOLDER_WHYS, "words for every reason");

const char *folder_why_name(enum folder_why w)
{
	return whys[w].name;
}

const char *folder_why_text(enum folder_why w)
{
	return whys[w].text;
}

bool folder_why_is_noted(enum folder_why w)
{
	return whys[w].noted;
}

void folder_map_release(struct folder_map *m)
{
	for (size_t i = 0; i < m->count; i++)
		for (int s = 0; s < SIDES; s++)
			mem_free(&m->at[i].name[s]);
	mem_free(&m->at);
	mem_free(&m->left);
	*m = (struct folder_map){ 0 };
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

int mapping_compare_paths(const void *a, const void *b)
{
	const struct folder_in *x = a, *y = b;
	int c = memcmp(x->path.p, y->path.p, MIN(x->path.n, y->path.n));

	if (c)
		return c;
	return x->path.n < y->path.n ? -1 : x->path.n > y->path.n;
}

static int compare_likeness(const void *a, const void *b)
{
	return strcmp(((const struct likeness *)a)->folded,
		      ((const struct likeness *)b)->folded);
}

static void keep(void *p UNUSED)
{
}

static bool is_inbox(const char *name)
{
	return strcasecmp(name, "INBOX") == 0;
}

bool mapping_is_taken(const struct mapping *m, const char *name)
{
	return is_inbox(name) || tfind(name, &m->taken, compare_names);
}

void mapping_take(struct mapping *m, const char *name)
{
	ASSERT(tsearch(name, &m->taken, compare_names));
}

bool mapping_is_refused(const struct mapping *m, const char *name)
{
	for (size_t i = 0; i < m->wishes->refused_count; i++)
		if (strcmp(m->wishes->refused[i], name) == 0)
			return true;
	return false;
}

const struct folder_info *mapping_there(const struct mapping *m, const char *name)
{
	return folder_list_find(m->to_side->list, name);
}

bool mapping_is_free(const struct mapping *m, const char *name)
{
	return !mapping_is_taken(m, name) && !mapping_is_refused(m, name) &&
	       strlen(name) <= MAILBOX_NAME_MAX;
}

/* ---- what the side that counts has */

/* The rules' patterns are about old's names; with from = new the journal's pairs decide. */
static bool is_skipped(const struct mapping *m, const struct folder_info *f)
{
	const struct folder_rules *r = m->wishes->rules;
	char *shown;
	bool skipped = false;

	if (!r || r->skip_count == 0 || m->from != SIDE_OLD)
		return false;
	shown = folder_name_shown(f->name, m->from_side->space->utf8);
	for (size_t n = strlen(shown); n > 0 && !skipped; n--) {
		if (shown[n] && shown[n] != f->separator)
			continue;
		shown[n] = '\0'; /* the folder, then each of its parents */
		for (size_t i = 0; i < r->skip_count && !skipped; i++)
			skipped = folder_pattern_fits(r->skip[i], shown);
	}
	mem_free(&shown);
	return skipped;
}

static bool is_left(struct mapping *m, const struct folder_info *f)
{
	const struct folder_rules *r = m->wishes->rules;
	bool shared = space_is_shared(m->from_side->space, f->name) && !(r && r->shared);

	if (is_inbox(f->name) || (!shared && !is_skipped(m, f)))
		return false;
	m->out->left[m->out->left_count++] = (struct folder_left){ f, shared };
	return true;
}

static void collect(struct mapping *m)
{
	const struct folder_list *list = m->from_side->list;
	const struct namespace_info *space = m->from_side->space;

	m->in = mem_array(list->count + 1, sizeof *m->in);
	m->out->left = mem_array(list->count + 1, sizeof *m->out->left);
	for (size_t i = 0; i < list->count; i++) {
		const struct folder_info *info = &list->at[i];
		struct folder_in *f = &m->in[m->count];

		if (is_left(m, info))
			continue;
		f->info = info;
		f->is_inbox = is_inbox(info->name);
		f->path = f->is_inbox ? SLICE("INBOX") : space_path(space, info->name);
		f->depth = f->is_inbox ? 0 : space_depth(f->path, space_separator(space, info));
		f->use = f->is_inbox ? USE_NONE : folder_use(m->from_side, info);
		m->count++;
	}
}

static void collect_likeness(struct mapping *m)
{
	const struct folder_list *list = m->to_side->list;

	m->alike = mem_array(list->count + 1, sizeof *m->alike);
	for (size_t i = 0; i < list->count; i++) {
		char *shown = folder_name_shown(list->at[i].name, m->to_side->space->utf8);

		m->alike[i] = (struct likeness){ folder_name_fold(shown), list->at[i].name };
		mem_free(&shown);
	}
	qsort(m->alike, list->count, sizeof *m->alike, compare_likeness);
}

/* ---- choosing */

/* Bigger folders of names first; then those that have their place already, then by bytes. */
static int compare_order(const void *a, const void *b)
{
	const struct folder_in *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->claim != y->claim)
		return x->claim > y->claim ? -1 : 1;
	return mapping_compare_paths(a, b);
}

/* Does the other side have it under the plain name? Parents are not mapped yet, so this is only
 * an order. */
static void weigh_claims(struct mapping *m)
{
	for (size_t i = 0; i < m->count; i++) {
		enum folder_why why;
		char *name = mapping_plain_name(m, &m->in[i], &why);

		m->in[i].claim = mapping_there(m, name) ? 2 : why == FOLDER_SAME;
		mem_free(&name);
	}
}

/* A folder there that nobody has, and that differs in case or accents only; NULL: none. */
const char *mapping_written(const struct mapping *m, const char *name)
{
	size_t n = m->to_side->list->count, lo = 0, hi = n;
	char *shown = folder_name_shown(name, m->to_side->space->utf8);
	char *folded = folder_name_fold(shown);
	const char *found = NULL;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(m->alike[mid].folded, folded) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && !found && strcmp(m->alike[lo].folded, folded) == 0; lo++)
		if (!mapping_is_taken(m, m->alike[lo].name))
			found = m->alike[lo].name;
	mem_free(&folded);
	mem_free(&shown);
	return found;
}

/* Allocated; NULL: there is none. */
static char *choose(struct mapping *m, const struct folder_in *f, enum folder_why *why)
{
	char *name = mapping_plain_name(m, f, why), *other;
	const char *written;

	if (mapping_there(m, name) && !mapping_is_taken(m, name))
		return name;
	written = mapping_written(m, name);
	if (written) {
		mem_free(&name);
		*why = FOLDER_WRITTEN;
		return mem_str(written);
	}
	if (mapping_is_free(m, name))
		return name;
	if (mapping_is_taken(m, name)) {
		*why = FOLDER_NUMBERED;
		return mapping_free_one(m, name, UINT_MAX);
	}
	*why = FOLDER_REFUSED;
	other = mapping_refused_name(m, f, name);
	mem_free(&name);
	return other;
}

/* Puts the pair into the map; takes to_name. */
static void enter(struct mapping *m, struct folder_in *f, char *to_name, enum folder_why why)
{
	struct folder_pair *p = &m->out->at[m->out->count];
	const struct folder_info *info = to_name ? mapping_there(m, to_name) : NULL;

	f->at = m->out->count++;
	p->hopeless = !to_name;
	p->name[m->from] = mem_str(f->is_inbox ? "INBOX" : f->info->name);
	p->name[m->to] = to_name ? to_name : mem_str("");
	p->why = why;
	p->is_known = f->is_known;
	p->info = f->info;
	p->container = f->info->noselect;
	p->exists = f->is_inbox || (info && !info->noselect);
	p->subscribed = f->info->subscribed;
	p->use = f->is_special ? f->use : USE_NONE;
	if (p->hopeless)
		return;
	mapping_take(m, p->name[m->to]);
	if (!f->is_inbox || (!space_is_below_inbox(m->from_side->space) &&
			     !space_is_below_inbox(m->to_side->space)))
		ASSERT(tsearch(f, &m->by_path, mapping_compare_paths));
}

static void release(struct mapping *m)
{
	tdestroy(m->taken, keep);
	tdestroy(m->by_path, keep);
	for (size_t i = 0; i < m->to_side->list->count; i++)
		mem_free(&m->alike[i].folded);
	for (size_t i = 0; i < m->owned_count; i++)
		mem_free(&m->owned[i]);
	mem_free(&m->owned);
	name_index_release(&m->known);
	mem_free(&m->alike);
	mem_free(&m->in);
}

void folders_map(const struct folder_side side[SIDES], enum side from,
		 const struct folder_wishes *wishes, struct folder_map *out)
{
	enum side to = from == SIDE_OLD ? SIDE_NEW : SIDE_OLD;
	struct mapping m = { .from_side = &side[from],
			     .to_side = &side[to],
			     .from = from,
			     .to = to,
			     .wishes = wishes,
			     .out = out };

	*out = (struct folder_map){ 0 };
	collect(&m);
	collect_likeness(&m);
	weigh_claims(&m);
	qsort(m.in, m.count, sizeof *m.in, compare_order);
	m.owned = mem_array(m.count + 1, sizeof *m.owned);
	out->at = mem_array(m.count + 1, sizeof *out->at);
	mapping_reserve(&m);
	for (size_t i = 0; i < m.count; i++) {
		struct folder_in *f = &m.in[i];
		enum folder_why why = f->why;
		char *name = f->chosen ? mem_str(f->chosen) : choose(&m, f, &why);

		enter(&m, f, name, why);
	}
	release(&m);
}
