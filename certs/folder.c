/* Hides: the two layouts, the index of names, and which certificates are in memory. */
#include "certs/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

#define LIVE	  "live"
#define FULLCHAIN "fullchain.pem"
#define PRIVKEY	  "privkey.pem"

enum variant { PLAIN, ECDSA, RSA_KEY, VARIANTS };
_Static_assert(VARIANTS == CERT_SOURCES_MAX, "a source for each");

struct entry {
	TAILQ_ENTRY(entry) used; /* while loaded */
	char *name;		 /* normal; "*.example.com" for a wildcard */
	char *at[VARIANTS];	 /* below the folder: a file, or with `slash` a folder */
	struct cert_set *loaded;
	int64_t not_after_s; /* 0: not read yet */
	int64_t warned_day;  /* since 1970 */
};

TAILQ_HEAD(entries, entry);

struct index {
	struct entry **at; /* sorted by name */
	size_t count;
};

struct cert_folder {
	char *path;
	struct index index;
	struct entries used; /* the most recently used first */
	size_t loaded, loaded_max;
	int64_t looked_ms, surveyed_ms;
	struct timespec changed[2]; /* of the folder and of live/ */
	size_t survey_at;
};

/* ---- names */

bool cert_name_normal(const char *p, size_t n, char out[CERT_NAME_MAX + 1])
{
	if (n && p[n - 1] == '.')
		n--;
	if (n == 0 || n > CERT_NAME_MAX || p[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '.' && c != '_'))
			return false;
		if (c == '.' && p[i + 1] == '.' && i + 1 < n)
			return false;
		out[i] = (char)tolower(c);
	}
	out[n] = '\0';
	return true;
}

static bool cut_suffix(struct slice *s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (s->n <= n || memcmp(s->p + s->n - n, suffix, n) != 0)
		return false;
	s->n -= n;
	return true;
}

/* "_.example.com.rsa" → "*.example.com", RSA_KEY */
static bool take_name(struct slice s, char out[CERT_NAME_MAX + 3], enum variant *variant)
{
	bool wild;

	*variant = cut_suffix(&s, ".ecdsa") ? ECDSA : cut_suffix(&s, ".rsa") ? RSA_KEY : PLAIN;
	wild = s.n > 2 && (s.p[0] == '*' || s.p[0] == '_') && s.p[1] == '.';
	if (!wild)
		return cert_name_normal(s.p, s.n, out);
	out[0] = '*';
	out[1] = '.';
	return cert_name_normal(s.p + 2, s.n - 2, out + 2);
}

/* ---- entries */

static void entry_free(struct entry *x)
{
	for (size_t i = 0; i < VARIANTS; i++)
		free(x->at[i]);
	cert_set_free(&x->loaded);
	free(x->name);
	free(x);
}

static void index_free(struct index *in)
{
	for (size_t i = 0; i < in->count; i++)
		entry_free(in->at[i]);
	free(in->at);
	*in = (struct index){ 0 };
}

static int by_name(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static struct entry *find(const struct index *in, const char *name)
{
	struct entry key = { .name = (char *)(uintptr_t)name }, *at = &key;
	struct entry **found =
		in->count ? bsearch(&at, in->at, in->count, sizeof(struct entry *), by_name)
			  : NULL;

	return found ? *found : NULL;
}

static void unload(struct cert_folder *f, struct entry *x)
{
	if (!x->loaded)
		return;
	TAILQ_REMOVE(&f->used, x, used);
	f->loaded--;
	cert_set_free(&x->loaded);
}

/* The file of a variant, and its key where that is not found from the file; the caller frees
 * both. */
static char *files_of(const struct cert_folder *f, const char *at, char **key)
{
	size_t n = strlen(at);

	*key = NULL;
	if (at[n - 1] != '/')
		return mem_printf("%s/%s", f->path, at);
	*key = mem_printf("%s/%s" PRIVKEY, f->path, at);
	return mem_printf("%s/%s" FULLCHAIN, f->path, at);
}

/* ---- reading the folder */

struct reading {
	struct index index;
	size_t room;
	bool failed;
	struct err *e;
};

static DIR *open_folder(struct reading *r, const char *path)
{
	DIR *dir = opendir(path);

	if (dir)
		return dir;
	r->failed = true;
	err_set(r->e, ERR_INPUT, "certificate folder %s: %s%s", path, strerror(errno),
		errno == EACCES ? ": the account of run.user must be able to read it" : "");
	return NULL;
}

static void put(struct reading *r, struct slice stem, char *at)
{
	char name[CERT_NAME_MAX + 3];
	enum variant variant;
	struct entry *x;

	if (r->index.count >= CERT_NAMES_MAX || !take_name(stem, name, &variant)) {
		free(at);
		return;
	}
	if (r->index.count == r->room) {
		r->room = r->room ? 2 * r->room : 64;
		r->index.at = mem_grow(r->index.at, r->room, sizeof(struct entry *));
	}
	x = mem_new(sizeof *x);
	x->name = mem_str(name);
	x->at[variant] = at;
	r->index.at[r->index.count++] = x;
}

static void read_names(const struct cert_folder *f, struct reading *r, DIR *dir,
		       const char *below);

static void read_live(const struct cert_folder *f, struct reading *r)
{
	char *path = mem_printf("%s/" LIVE, f->path);
	DIR *dir = open_folder(r, path);

	if (dir) {
		read_names(f, r, dir, LIVE "/");
		closedir(dir);
	}
	free(path);
}

/* A folder that we may not look into is taken for one of ours: its use says why it cannot be
 * read. */
static bool is_lineage(DIR *dir, const char *name)
{
	char inside[CERT_NAME_MAX + sizeof "/" FULLCHAIN + 16];
	int n = snprintf(inside, sizeof inside, "%s/" FULLCHAIN, name);

	return n > 0 && (size_t)n < sizeof inside &&
	       (faccessat(dirfd(dir), inside, F_OK, 0) == 0 || errno == EACCES);
}

static void read_names(const struct cert_folder *f, struct reading *r, DIR *dir,
		       const char *below)
{
	struct dirent *d;

	while ((d = readdir(dir))) {
		struct slice stem = slice_of(d->d_name);

		if (d->d_name[0] == '.')
			continue;
		if (d->d_type != DT_DIR && cut_suffix(&stem, ".pem"))
			put(r, stem, mem_printf("%s%s", below, d->d_name));
		else if (d->d_type == DT_REG)
			continue;
		else if (!*below && strcmp(d->d_name, LIVE) == 0)
			read_live(f, r);
		else if (is_lineage(dir, d->d_name))
			put(r, stem, mem_printf("%s%s/", below, d->d_name));
	}
}

/* The variants of a name become one entry; of two equal ones the later is left out. */
static void merge(struct index *in)
{
	size_t kept = 0;

	if (in->count)
		qsort(in->at, in->count, sizeof(struct entry *), by_name);
	for (size_t i = 0; i < in->count; i++) {
		struct entry *x = in->at[i], *last = kept ? in->at[kept - 1] : NULL;

		if (!last || strcmp(last->name, x->name) != 0) {
			in->at[kept++] = x;
			continue;
		}
		for (size_t v = 0; v < VARIANTS; v++)
			if (!last->at[v]) {
				last->at[v] = x->at[v];
				x->at[v] = NULL;
			}
		entry_free(x);
	}
	in->count = kept;
}

static bool same_files(const struct entry *a, const struct entry *b)
{
	for (size_t v = 0; v < VARIANTS; v++)
		if ((a->at[v] || b->at[v]) &&
		    (!a->at[v] || !b->at[v] || strcmp(a->at[v], b->at[v]) != 0))
			return false;
	return true;
}

/* Names that are there as before keep what was learnt and loaded: their entries move over. */
static void take_over(struct cert_folder *f, struct index *fresh)
{
	for (size_t i = 0; i < f->index.count; i++) {
		struct entry *x = f->index.at[i], key = { .name = x->name }, *at = &key;
		struct entry **place = fresh->count ? bsearch(&at, fresh->at, fresh->count,
							      sizeof(struct entry *), by_name)
						    : NULL;

		if (place && same_files(*place, x)) {
			entry_free(*place);
			*place = x;
		} else {
			unload(f, x);
			entry_free(x);
		}
	}
	free(f->index.at);
	f->index = *fresh;
	f->survey_at = 0;
	f->surveyed_ms = 0;
}

static struct timespec changed_at(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

static bool names_changed(struct cert_folder *f)
{
	char *live = mem_printf("%s/" LIVE, f->path);
	struct timespec now[2] = { changed_at(f->path), changed_at(live) };
	bool changed = memcmp(now, f->changed, sizeof now) != 0;

	memcpy(f->changed, now, sizeof now);
	free(live);
	return changed;
}

static int read_index(struct cert_folder *f, struct err *e)
{
	struct reading r = { .e = e };
	DIR *dir = open_folder(&r, f->path);

	if (dir) {
		read_names(f, &r, dir, "");
		closedir(dir);
	}
	if (r.failed) {
		index_free(&r.index);
		return -1;
	}
	if (r.index.count >= CERT_NAMES_MAX)
		log_error(NULL,
			  "certificate folder %s: more than %d names; the rest is not seen",
			  f->path, CERT_NAMES_MAX);
	merge(&r.index);
	take_over(f, &r.index);
	return 0;
}

static void follow_names(struct cert_folder *f)
{
	int64_t now = clock_mono_ms();
	struct err e = { 0 };

	if (now - f->looked_ms < CERT_LOOK_MS)
		return;
	f->looked_ms = now;
	if (names_changed(f) && read_index(f, &e) < 0)
		log_error(NULL, "%s (the names read before stay in use)", e.text);
}

int cert_folder_open(const char *path, size_t loaded_max, struct cert_folder **out,
		     struct err *e)
{
	struct cert_folder *f = mem_new(sizeof *f);

	f->path = mem_str(path);
	f->loaded_max = loaded_max;
	f->looked_ms = clock_mono_ms();
	TAILQ_INIT(&f->used);
	names_changed(f);
	if (read_index(f, e) < 0) {
		cert_folder_free(&f);
		return -1;
	}
	*out = f;
	return 0;
}

void cert_folder_free(struct cert_folder **fp)
{
	struct cert_folder *f = *fp;

	if (!f)
		return;
	*fp = NULL;
	index_free(&f->index);
	free(f->path);
	free(f);
}

/* ---- finding */

static void make_room(struct cert_folder *f)
{
	while (f->loaded > f->loaded_max)
		unload(f, TAILQ_LAST(&f->used, entries));
}

static void load(struct cert_folder *f, struct entry *x)
{
	x->loaded = cert_set_new();
	for (size_t v = 0; v < VARIANTS; v++) {
		char *file, *key;

		if (!x->at[v])
			continue;
		file = files_of(f, x->at[v], &key);
		cert_set_add(x->loaded, file, key);
		free(file);
		free(key);
	}
	TAILQ_INSERT_HEAD(&f->used, x, used);
	f->loaded++;
	make_room(f);
}

/* A set without a usable certificate stays in memory too: its file is not read again until it
 * changes. */
static const struct cert_set *use(struct cert_folder *f, struct entry *x)
{
	if (!x)
		return NULL;
	if (x->loaded) {
		TAILQ_REMOVE(&f->used, x, used);
		TAILQ_INSERT_HEAD(&f->used, x, used);
	} else {
		load(f, x);
	}
	if (cert_set_look(x->loaded))
		x->not_after_s = cert_set_not_after(x->loaded);
	return cert_set_usable(x->loaded) ? x->loaded : NULL;
}

static const char *parent(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : NULL;
}

static struct entry *wildcard(const struct cert_folder *f, const char *name)
{
	char wild[CERT_NAME_MAX + 3];
	const char *rest = parent(name);

	if (!rest)
		return NULL;
	snprintf(wild, sizeof wild, "*.%s", rest);
	return find(&f->index, wild);
}

bool cert_folder_knows(struct cert_folder *f, const char *name)
{
	follow_names(f);
	if (find(&f->index, name) || wildcard(f, name))
		return true;
	for (const char *p = parent(name); p; p = parent(p))
		if (find(&f->index, p))
			return true;
	return false;
}

const struct cert_set *cert_folder_find(struct cert_folder *f, const char *name)
{
	const struct cert_set *s;

	follow_names(f);
	if ((s = use(f, find(&f->index, name))) || (s = use(f, wildcard(f, name))))
		return s;
	for (const char *p = parent(name); p; p = parent(p))
		if ((s = use(f, find(&f->index, p))) && cert_set_covers(s, name))
			return s;
	return NULL;
}

void cert_folder_reload(struct cert_folder *f, size_t loaded_max)
{
	struct entry *x;
	struct err e = { 0 };

	f->loaded_max = loaded_max;
	make_room(f);
	names_changed(f);
	f->looked_ms = clock_mono_ms();
	if (read_index(f, &e) < 0)
		log_error(NULL, "%s (the names read before stay in use)", e.text);
	TAILQ_FOREACH (x, &f->used, used)
		cert_set_hurry(x->loaded);
}

/* ---- expiry */

static void warn_soon(const struct cert_folder *f, struct entry *x)
{
	int64_t now_s = clock_real_ms() / 1000, today = now_s / 86400;
	char day[16];

	if (x->not_after_s - now_s >= CERT_WARN_DAYS * 86400LL || x->warned_day == today)
		return;
	x->warned_day = today;
	cert_day(x->not_after_s, day);
	log_warn(NULL, "certificate for %s in %s: %s on %s: renew it", x->name, f->path,
		 x->not_after_s <= now_s ? "expired" : "expires", day);
}

/* What is loaded follows its file by itself. */
static void survey(struct cert_folder *f, struct entry *x)
{
	int64_t first = 0, one;

	for (size_t v = 0; !x->loaded && v < VARIANTS; v++) {
		struct err e = { 0 };
		char *file, *key;

		if (!x->at[v])
			continue;
		file = files_of(f, x->at[v], &key);
		if (cert_expiry(file, &one, &e) < 0)
			log_warn(NULL, "%s", e.text);
		else if (!first || one < first)
			first = one;
		free(file);
		free(key);
	}
	if (!x->loaded)
		x->not_after_s = first;
	if (x->not_after_s)
		warn_soon(f, x);
}

void cert_folder_survey(struct cert_folder *f)
{
	int64_t now = clock_mono_ms();

	if (f->survey_at == f->index.count) {
		if (now - f->surveyed_ms < CERT_SURVEY_MS)
			return;
		f->survey_at = 0;
	}
	for (int i = 0; i < CERT_SURVEY_STEP && f->survey_at < f->index.count; i++)
		survey(f, f->index.at[f->survey_at++]);
	f->surveyed_ms = now;
}

size_t cert_folder_count(const struct cert_folder *f)
{
	return f->index.count;
}

size_t cert_folder_loaded(const struct cert_folder *f)
{
	return f->loaded;
}

void cert_folder_expiry(const struct cert_folder *f, cert_expiry_fn *fn, void *arg)
{
	for (size_t i = 0; i < f->index.count; i++)
		if (f->index.at[i]->not_after_s)
			fn(f->index.at[i]->name, f->index.at[i]->not_after_s, arg);
}

void cert_folder_judge(const struct cert_folder *f, cert_judge_fn *fn, void *arg)
{
	for (size_t i = 0; i < f->index.count; i++)
		for (size_t v = 0; v < VARIANTS; v++) {
			const char *at = f->index.at[i]->at[v];
			struct cert_pair pair = { 0 };
			struct err e = { 0 };
			char *file, *key;
			int rc;

			if (!at)
				continue;
			file = files_of(f, at, &key);
			rc = cert_pair_load(file, key, &pair, &e);
			fn(file, rc < 0 ? 0 : pair.not_after_s, rc < 0 ? &e : NULL, arg);
			cert_pair_release(&pair);
			free(file);
			free(key);
		}
}
