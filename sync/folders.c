/* Hides: in which order folders choose their names, so that nobody's choice depends on luck. */
#include "sync/folders.h"

#include <search.h>
#include <strings.h>

#define REPLACEMENT '_' /* for a byte that would be a separator on the other side */

struct folder_in {
	const struct folder_info *info;
	struct slice path; /* without the personal prefix */
	int depth;
	bool is_inbox;
	int claim; /* to its plain name: 2 the other side has it, 1 nothing in it must be
		      replaced */
	size_t at; /* place in the map */
};

struct mapping {
	const struct folder_side *from_side, *to_side;
	enum side from, to;
	const struct folder_known *known;
	size_t known_count;
	struct folder_in *in;
	size_t count;
	void *taken; /* names of the other side, by case-insensitive order; owned by the map */
	void *by_path; /* folder_in by path, for children */
	struct folder_map *out;
};

void folder_map_release(struct folder_map *m)
{
	for (size_t i = 0; i < m->count; i++)
		for (int s = 0; s < SIDES; s++)
			mem_free(&m->at[i].name[s]);
	mem_free(&m->at);
	buf_release(&m->notes);
	*m = (struct folder_map){ 0 };
}

static int compare_names(const void *a, const void *b)
{
	return strcasecmp(a, b);
}

static int compare_paths(const void *a, const void *b)
{
	const struct folder_in *x = a, *y = b;
	int c = memcmp(x->path.p, y->path.p, MIN(x->path.n, y->path.n));

	if (c)
		return c;
	return x->path.n < y->path.n ? -1 : x->path.n > y->path.n;
}

static void keep(void *p UNUSED)
{
}

static bool is_inbox(const char *name)
{
	return strcasecmp(name, "INBOX") == 0;
}

static bool is_taken(const struct mapping *m, const char *name)
{
	return is_inbox(name) || tfind(name, &m->taken, compare_names);
}

/* ---- what the side that counts has */

/* In a namespace of others? Its root may be listed without the separator. */
static bool is_shared(const struct namespace_info *space, const char *name)
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

static struct slice path_of(const struct folder_side *s, const char *name)
{
	size_t n = strlen(s->space->prefix);

	/* INBOX in a prefix is INBOX, whatever its case (RFC 3501 5.1). */
	if (n && strncasecmp(name, s->space->prefix, n) == 0 && name[n])
		return slice_of(name + n);
	return slice_of(name);
}

static int depth_of(struct slice path, char separator)
{
	int depth = 1;

	for (size_t i = 0; separator && i < path.n; i++)
		depth += path.p[i] == separator;
	return depth;
}

/* The separator of the folder itself, else of the namespace. */
static char separator_of(const struct folder_side *s, const struct folder_info *f)
{
	if (f && f->separator)
		return f->separator;
	return s->space->separator;
}

/* Bigger folders of names first; then those that have their place already, then by bytes. */
static int compare_order(const void *a, const void *b)
{
	const struct folder_in *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->claim != y->claim)
		return x->claim > y->claim ? -1 : 1;
	return compare_paths(a, b);
}

/* ---- how a name becomes one of the other side */

static char to_separator(const struct mapping *m)
{
	/* A flat server still needs something between the parts. */
	return m->to_side->space->separator ? m->to_side->space->separator : '.';
}

/* Adds one part of a name; false if it had to change. */
static bool add_part(struct buf *out, struct slice part, char separator)
{
	bool same = part.n > 0;

	for (size_t i = 0; i < part.n; i++) {
		char c = part.p[i] == separator ? REPLACEMENT : part.p[i];

		same = same && c == part.p[i];
		buf_add(out, &c, 1);
	}
	if (part.n == 0)
		buf_add_str(out, "_");
	return same;
}

/* Is the other side's personal space below INBOX? Then a folder INBOX is no parent of its
 * "children". */
static bool inbox_is_prefix(const struct mapping *m)
{
	const char *prefix = m->to_side->space->prefix;
	size_t n = strlen(prefix);

	return n > 5 && strncasecmp(prefix, "INBOX", 5) == 0;
}

/* The longest mapped parent of a path: adds its name and takes it off the path. */
static bool add_parent(const struct mapping *m, struct slice *path, char separator,
		       struct buf *out)
{
	for (size_t n = path->n; separator && n-- > 1;) {
		struct folder_in key = { .path = { path->p, n } };
		void *hit;

		if (path->p[n] != separator)
			continue;
		hit = tfind(&key, &m->by_path, compare_paths);
		if (hit) {
			const struct folder_in *parent = *(struct folder_in *const *)hit;

			buf_add_str(out, m->out->at[parent->at].name[m->to]);
			path->p += n + 1;
			path->n -= n + 1;
			return true;
		}
	}
	return false;
}

/* The name it would get if nothing stood in the way. Allocated. */
static char *plain_name(const struct mapping *m, const struct folder_in *f, bool *same)
{
	char separator = separator_of(m->from_side, f->info), to = to_separator(m);
	struct slice rest = f->path;
	struct buf out = { 0 };
	char *name;

	*same = true;
	if (!add_parent(m, &rest, separator, &out))
		buf_add_str(&out, m->to_side->space->prefix);
	else
		buf_add(&out, &to, 1);
	while (true) {
		const char *end = separator ? memchr(rest.p, separator, rest.n) : NULL;
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		*same = add_part(&out, (struct slice){ rest.p, n }, to) && *same;
		if (!end)
			break;
		buf_add(&out, &to, 1);
		rest = (struct slice){ end + 1, rest.n - n - 1 };
	}
	name = mem_strn(buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	return name;
}

/* ---- choosing */

static void note(struct mapping *m, const char *from, const char *to, const char *why)
{
	buf_printf(&m->out->notes, "folder \"%s\" is \"%s\" on the %s side: %s\n", from, to,
		   side_name(m->to), why);
	m->out->renamed++;
}

/* A folder of the other side by special use that nobody has taken. */
static const struct folder_info *special_folder(const struct mapping *m, enum special_use use)
{
	for (size_t i = 0; use != USE_NONE && i < m->to_side->list->count; i++) {
		const struct folder_info *f = &m->to_side->list->at[i];

		if (f->use == use && !f->noselect && !is_taken(m, f->name) &&
		    !is_shared(m->to_side->space, f->name))
			return f;
	}
	return NULL;
}

static const struct folder_info *differently_written(const struct mapping *m, const char *name)
{
	for (size_t i = 0; i < m->to_side->list->count; i++)
		if (strcasecmp(m->to_side->list->at[i].name, name) == 0)
			return &m->to_side->list->at[i];
	return NULL;
}

/* Takes *name and leaves a name that is free. */
static void make_free(const struct mapping *m, char **name)
{
	char *base = *name;

	for (unsigned i = 2; is_taken(m, *name); i++) {
		if (*name != base)
			mem_free(name);
		*name = mem_printf("%s%c%u", base, REPLACEMENT, i);
	}
	if (*name != base)
		mem_free(&base);
}

/* Allocated. */
static char *choose(struct mapping *m, const struct folder_in *f)
{
	const struct folder_info *there;
	bool same;
	char *name = plain_name(m, f, &same);

	if (folder_list_find(m->to_side->list, name) && !is_taken(m, name))
		return name;
	there = special_folder(m, f->info->use);
	if (there) {
		mem_free(&name);
		note(m, f->info->name, there->name, special_use_name(f->info->use));
		return mem_str(there->name);
	}
	there = differently_written(m, name);
	if (there && !is_taken(m, there->name)) {
		mem_free(&name);
		note(m, f->info->name, there->name, "it is there, written so");
		return mem_str(there->name);
	}
	if (is_taken(m, name)) {
		make_free(m, &name);
		note(m, f->info->name, name,
		     "another folder has the name, or one that differs in case only");
	} else if (!same) {
		note(m, f->info->name, name, "a part of the name is not possible there");
	}
	return name;
}

static const char *known_name(const struct mapping *m, const char *from_name)
{
	for (size_t i = 0; i < m->known_count; i++)
		if (strcmp(m->known[i].name[m->from], from_name) == 0)
			return m->known[i].name[m->to];
	return NULL;
}

/* Puts the pair into the map; takes to_name. */
static void enter(struct mapping *m, struct folder_in *f, char *to_name)
{
	struct folder_pair *p = &m->out->at[m->out->count];
	const struct folder_info *there = folder_list_find(m->to_side->list, to_name);

	f->at = m->out->count++;
	p->name[m->from] = mem_str(f->is_inbox ? "INBOX" : f->info->name);
	p->name[m->to] = to_name;
	p->container = f->info->noselect;
	p->exists = f->is_inbox || (there && !there->noselect);
	p->subscribed = f->info->subscribed;
	p->use = f->info->use;
	ASSERT(tsearch(to_name, &m->taken, compare_names));
	if (!(f->is_inbox && inbox_is_prefix(m)))
		ASSERT(tsearch(f, &m->by_path, compare_paths));
}

static void collect(struct mapping *m)
{
	const struct folder_list *list = m->from_side->list;

	m->in = mem_array(list->count + 1, sizeof *m->in);
	for (size_t i = 0; i < list->count; i++) {
		const struct folder_info *info = &list->at[i];
		struct folder_in *f = &m->in[m->count];

		f->info = info;
		f->is_inbox = is_inbox(info->name);
		f->path = f->is_inbox ? SLICE("INBOX") : path_of(m->from_side, info->name);
		f->depth =
			f->is_inbox ? 0 : depth_of(f->path, separator_of(m->from_side, info));
		if (f->is_inbox || !is_shared(m->from_side->space, info->name))
			m->count++;
	}
}

/* Does the other side have it under the plain name? Parents are not mapped yet, so this is only
 * an order. */
static void weigh_claims(struct mapping *m)
{
	for (size_t i = 0; i < m->count; i++) {
		bool same;
		char *name = plain_name(m, &m->in[i], &same);

		m->in[i].claim = folder_list_find(m->to_side->list, name) ? 2 : same;
		mem_free(&name);
	}
}

/* Names of known pairs are taken, also those of pairs whose folder is not listed now. */
static void reserve_known(struct mapping *m)
{
	for (size_t i = 0; i < m->known_count; i++)
		ASSERT(tsearch(m->known[i].name[m->to], &m->taken, compare_names));
}

void folders_map(const struct folder_side side[SIDES], enum side from,
		 const struct folder_known *known, size_t known_count, struct folder_map *out)
{
	enum side to = from == SIDE_OLD ? SIDE_NEW : SIDE_OLD;
	struct mapping m = { .from_side = &side[from],
			     .to_side = &side[to],
			     .from = from,
			     .to = to,
			     .known = known,
			     .known_count = known_count,
			     .out = out };

	*out = (struct folder_map){ 0 };
	collect(&m);
	weigh_claims(&m);
	qsort(m.in, m.count, sizeof *m.in, compare_order);
	out->at = mem_array(m.count + 1, sizeof *out->at);
	reserve_known(&m);
	for (size_t i = 0; i < m.count; i++) {
		struct folder_in *f = &m.in[i];
		const char *name = f->is_inbox ? "INBOX" : known_name(&m, f->info->name);

		enter(&m, f, name ? mem_str(name) : choose(&m, f));
	}
	tdestroy(m.taken, keep);
	tdestroy(m.by_path, keep);
	mem_free(&m.in);
}
