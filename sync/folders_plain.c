/* Hides: prefixes, separators and encodings, and what servers do not take for a name. */
#include "sync/folders_impl.h"

#include <search.h>
#include <strings.h>

#include "sync/folder_name.h"

#define NUMBERS_MAX 9 /* tried at a server that refuses names */

static char *take_name(struct buf *b)
{
	char *name = mem_strn(buf_slice(b).p, buf_len(b));

	buf_release(b);
	return name;
}

/* ---- how a name becomes one of the other side */

static char to_separator(const struct mapping *m)
{
	/* A flat server still needs something between the parts. */
	return m->to_side->space->separator ? m->to_side->space->separator : '.';
}

static enum folder_why worse(enum folder_why a, enum folder_why b)
{
	return MAX(a, b);
}

/* Adds one part of a name; says what became of it. */
static enum folder_why add_part(const struct mapping *m, struct slice part, struct buf *out)
{
	struct buf text = { 0 };
	bool proper = folder_name_text(part, m->from_side->space->utf8, &text);
	enum folder_why why = proper ? FOLDER_SAME : FOLDER_REPAIRED;
	char separator = to_separator(m);

	for (size_t i = text.start; i < text.end; i++)
		if (text.at[i] == separator) {
			text.at[i] = FOLDER_REPLACEMENT;
			why = worse(why, FOLDER_REPLACED);
		}
	if (buf_len(&text) == 0) {
		buf_add_str(&text, "_");
		why = worse(why, FOLDER_REPLACED);
	}
	folder_name_wire(buf_slice(&text), m->to_side->space->utf8, out);
	buf_release(&text);
	return why;
}

static const struct folder_in *find_path(const struct mapping *m, struct slice path)
{
	struct folder_in key = { .path = path };
	void *hit = tfind(&key, &m->by_path, mapping_compare_paths);

	return hit ? *(struct folder_in *const *)hit : NULL;
}

/* The longest mapped parent of a path: adds its name and takes it off the path. */
static bool add_parent(const struct mapping *m, struct slice *path, char separator,
		       struct buf *out, enum folder_why *why)
{
	char to = to_separator(m);

	for (size_t n = path->n; separator && n-- > 1;) {
		const struct folder_in *parent =
			path->p[n] == separator ? find_path(m, (struct slice){ path->p, n })
						: NULL;
		const struct folder_info *info;

		if (!parent)
			continue;
		buf_add_str(out, m->out->at[parent->at].name[m->to]);
		info = mapping_there(m, m->out->at[parent->at].name[m->to]);
		if (info && info->noinferiors) {
			to = FOLDER_REPLACEMENT;
			*why = worse(*why, FOLDER_REPLACED);
		}
		buf_add(out, &to, 1);
		*path = (struct slice){ path->p + n + 1, path->n - n - 1 };
		return true;
	}
	return false;
}

static bool take_inbox(struct slice *path, char separator)
{
	if (!separator || path->n < 7 || strncasecmp(path->p, "INBOX", 5) != 0 ||
	    path->p[5] != separator)
		return false;
	*path = (struct slice){ path->p + 6, path->n - 6 };
	return true;
}

/* The name it would get if nothing stood in the way. Allocated. */
char *mapping_plain_name(const struct mapping *m, const struct folder_in *f,
			 enum folder_why *why)
{
	char separator = space_separator(m->from_side->space, f->info), to = to_separator(m);
	struct slice rest = f->path;
	struct buf out = { 0 };

	*why = FOLDER_SAME;
	if (!add_parent(m, &rest, separator, &out, why)) {
		buf_add_str(&out, m->to_side->space->prefix);
		/* All are children of INBOX there: no INBOX.INBOX.x. */
		if (space_is_below_inbox(m->to_side->space) &&
		    !space_is_below_inbox(m->from_side->space))
			take_inbox(&rest, separator);
	}
	while (true) {
		const char *end = separator ? memchr(rest.p, separator, rest.n) : NULL;
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		*why = worse(*why, add_part(m, (struct slice){ rest.p, n }, &out));
		if (!end)
			break;
		buf_add(&out, &to, 1);
		rest = (struct slice){ end + 1, rest.n - n - 1 };
	}
	return take_name(&out);
}

/* ---- names for a server that is hard to please */

/* Each part of the name without what servers dislike. */
static char *tame_name(const struct mapping *m, const char *name, bool ascii)
{
	bool utf8 = m->to_side->space->utf8;
	size_t prefix = strlen(m->to_side->space->prefix);
	char *shown = folder_name_shown(name, utf8), separator = to_separator(m), *out;
	struct buf tame = { 0 };

	if (strncasecmp(shown, m->to_side->space->prefix, prefix) != 0)
		prefix = 0;
	buf_add(&tame, shown, prefix);
	for (const char *p = shown + prefix; p;) {
		const char *end = strchr(p, separator);
		size_t n = end ? (size_t)(end - p) : strlen(p);

		folder_name_tame((struct slice){ p, n }, ascii, &tame);
		if (end)
			buf_add(&tame, &separator, 1);
		p = end ? end + 1 : NULL;
	}
	buf_add(&tame, "", 1);
	out = folder_name_sent(buf_slice(&tame).p, utf8);
	buf_release(&tame);
	mem_free(&shown);
	return out;
}

/* At the top, whatever its depth was. */
static char *flat_name(const struct mapping *m, const struct folder_in *f)
{
	char separator = space_separator(m->from_side->space, f->info), to = to_separator(m);
	struct buf text = { 0 }, tame = { 0 }, out = { 0 };

	(void)folder_name_text(f->path, m->from_side->space->utf8, &text);
	for (size_t i = text.start; i < text.end; i++)
		if (text.at[i] == separator || text.at[i] == to)
			text.at[i] = FOLDER_REPLACEMENT;
	/* The end of a path says more than its beginning. */
	if (buf_len(&text) > FOLDER_TAME_MAX)
		buf_drain(&text, buf_len(&text) - FOLDER_TAME_MAX);
	while (buf_len(&text) && ((unsigned char)*buf_slice(&text).p & 0xc0) == 0x80)
		buf_drain(&text, 1);
	folder_name_tame(buf_slice(&text), true, &tame);
	buf_add_str(&out, m->to_side->space->prefix);
	buf_add(&out, buf_slice(&tame).p, buf_len(&tame));
	buf_release(&text);
	buf_release(&tame);
	return take_name(&out);
}

/* Below INBOX: for servers with such a prefix that do not say so (no NAMESPACE). */
static char *below_inbox(const struct mapping *m, const char *name)
{
	char inbox[] = { 'I', 'N', 'B', 'O', 'X', to_separator(m), '\0' };

	if (!m->to_side->space->guessed || *m->to_side->space->prefix ||
	    strncasecmp(name, inbox, 6) == 0)
		return mem_str(name);
	return mem_printf("%s%s", inbox, name);
}

/* name, name_2 …; NULL if none is free. Takes name. */
char *mapping_free_one(const struct mapping *m, char *name, unsigned most)
{
	for (unsigned i = 1; i <= most; i++) {
		char *next = i == 1 ? mem_str(name)
				    : mem_printf("%s%c%u", name, FOLDER_REPLACEMENT, i);

		const char *written = mapping_is_refused(m, next) && !mapping_is_taken(m, next)
					      ? mapping_written(m, next)
					      : NULL;

		if (mapping_is_free(m, next) || written) {
			mem_free(&name);
			if (!written)
				return next;
			mem_free(&next); /* made as asked, but written otherwise */
			return mem_str(written);
		}
		mem_free(&next);
	}
	mem_free(&name);
	return NULL;
}

/* When the server refused the plain name. */
char *mapping_refused_name(const struct mapping *m, const struct folder_in *f,
			   const char *plain)
{
	char *name = mapping_free_one(m, below_inbox(m, plain), 1);

	if (!name)
		name = mapping_free_one(m, tame_name(m, plain, false), NUMBERS_MAX);
	if (!name)
		name = mapping_free_one(m, tame_name(m, plain, true), NUMBERS_MAX);
	if (!name)
		name = mapping_free_one(m, flat_name(m, f), NUMBERS_MAX);
	return name;
}
