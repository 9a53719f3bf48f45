/* Hides: the file's words and quotes, and whose lines count before whose. */
#include "config/folder_rules.h"

#include <errno.h>
#include <strings.h>

#include "common/wire/utf7.h"

/* For whom lines count, the nearest first. */
enum scope { SCOPE_USER, SCOPE_WAVE, SCOPE_ALL, SCOPES };

struct reading {
	const char *path;
	unsigned line;
	const char *user, *wave;
	enum scope scope;
	bool ours;				/* what follows counts for this user */
	struct folder_rules by[SCOPES], others; /* others: only checked */
	struct err *e;
};

/* ---- rules */

void folder_rules_add_map(struct folder_rules *r, const char *old, const char *new)
{
	r->map = mem_grow(r->map, r->map_count + 1, sizeof *r->map);
	r->map[r->map_count++] = (struct folder_rule){ mem_str(old), mem_str(new) };
}

void folder_rules_add_skip(struct folder_rules *r, const char *pattern)
{
	r->skip = mem_grow(r->skip, r->skip_count + 1, sizeof *r->skip);
	r->skip[r->skip_count++] = mem_str(pattern);
}

void folder_rules_release(struct folder_rules *r)
{
	for (size_t i = 0; i < r->map_count; i++) {
		mem_free(&r->map[i].old);
		mem_free(&r->map[i].new);
	}
	for (size_t i = 0; i < r->skip_count; i++)
		mem_free(&r->skip[i]);
	mem_free(&r->map);
	mem_free(&r->skip);
	*r = (struct folder_rules){ 0 };
}

bool folder_pattern_fits(const char *pattern, const char *name)
{
	const char *star = NULL, *back = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			back = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* ---- one line */

static int PRINTF_LIKE(2, 3) wrong(struct reading *r, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(r->e, ERR_INPUT, "%s:%u: %s", r->path, r->line, text);
}

static void skip_blanks(struct slice *s)
{
	while (s->n && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r'))
		*s = (struct slice){ s->p + 1, s->n - 1 };
}

/* A word without quotes; empty at the end. */
static struct slice take_word(struct slice *s)
{
	struct slice word = { s->p, 0 };

	while (word.n < s->n && !strchr(" \t\r=\"#", s->p[word.n]))
		word.n++;
	*s = (struct slice){ s->p + word.n, s->n - word.n };
	skip_blanks(s);
	return word;
}

static bool is_name(const char *text)
{
	struct slice s = slice_of(text);
	uint32_t cp;

	while (s.n) {
		size_t n = utf8_next(s, &cp);

		if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			return false;
		s = (struct slice){ s.p + n, s.n - n };
	}
	return *text != '\0';
}

/* "…" with \" and \\ in it. */
static int take_name(struct reading *r, struct slice *s, char out[FOLDER_RULE_NAME_MAX + 1])
{
	size_t n = 0;

	if (!s->n || *s->p != '"')
		return wrong(r, "a name in quotes must stand here: \"Work/2020\"");
	for (*s = (struct slice){ s->p + 1, s->n - 1 }; s->n && *s->p != '"';
	     *s = (struct slice){ s->p + 1, s->n - 1 }) {
		if (*s->p == '\\' && s->n > 1)
			*s = (struct slice){ s->p + 1, s->n - 1 };
		if (n == FOLDER_RULE_NAME_MAX)
			return wrong(r, "a name of more than %d bytes", FOLDER_RULE_NAME_MAX);
		out[n++] = *s->p;
	}
	out[n] = '\0';
	if (!s->n)
		return wrong(r, "the closing quote is missing");
	*s = (struct slice){ s->p + 1, s->n - 1 };
	skip_blanks(s);
	if (!is_name(out) || strlen(out) != n)
		return wrong(r, "a name must be UTF-8 without control characters");
	return 0;
}

static struct folder_rules *rules_now(struct reading *r)
{
	return r->ours ? &r->by[r->scope] : &r->others;
}

static int add_map(struct reading *r, const char *old, const char *new)
{
	struct folder_rules *to = rules_now(r);

	if (strcasecmp(old, "INBOX") == 0 || strcasecmp(new, "INBOX") == 0)
		return wrong(r, "INBOX is always INBOX");
	for (size_t i = 0; i < to->map_count; i++) {
		if (strcmp(to->map[i].old, old) == 0)
			return wrong(r, "\"%.200s\" goes somewhere else already", old);
		if (strcmp(to->map[i].new, new) == 0)
			return wrong(
				r,
				"\"%.200s\" goes to \"%.200s\" already: two folders never become one",
				to->map[i].old, new);
	}
	folder_rules_add_map(to, old, new);
	return 0;
}

static int take_map(struct reading *r, struct slice *s)
{
	char old[FOLDER_RULE_NAME_MAX + 1], new[FOLDER_RULE_NAME_MAX + 1];

	if (take_name(r, s, old) < 0)
		return -1;
	if (!s->n || *s->p != '=')
		return wrong(r, "= must stand between the two names");
	*s = (struct slice){ s->p + 1, s->n - 1 };
	skip_blanks(s);
	return take_name(r, s, new) < 0 ? -1 : add_map(r, old, new);
}

static int take_skip(struct reading *r, struct slice *s)
{
	char pattern[FOLDER_RULE_NAME_MAX + 1];

	if (take_name(r, s, pattern) < 0)
		return -1;
	folder_rules_add_skip(rules_now(r), pattern);
	return 0;
}

static int take_scope(struct reading *r, struct slice *s, enum scope scope, const char *who)
{
	struct slice name = scope == SCOPE_ALL ? (struct slice){ 0 } : take_word(s);

	if (scope != SCOPE_ALL && name.n == 0)
		return wrong(r, "whose rules follow? A name is missing");
	/* Others' rules are checked scope by scope: one old name may go many ways in all. */
	folder_rules_release(&r->others);
	r->scope = scope;
	r->ours = scope == SCOPE_ALL || (who && slice_is(name, who));
	return 0;
}

static int take_line(struct reading *r, struct slice line)
{
	struct slice word;
	int rc;

	skip_blanks(&line);
	if (line.n == 0 || *line.p == '#')
		return 0;
	word = take_word(&line);
	if (slice_is(word, "map"))
		rc = take_map(r, &line);
	else if (slice_is(word, "skip"))
		rc = take_skip(r, &line);
	else if (slice_is(word, "user"))
		rc = take_scope(r, &line, SCOPE_USER, r->user);
	else if (slice_is(word, "wave"))
		rc = take_scope(r, &line, SCOPE_WAVE, r->wave);
	else if (slice_is(word, "all"))
		rc = take_scope(r, &line, SCOPE_ALL, NULL);
	else
		return wrong(r, "a line begins with map, skip, user, wave or all");
	if (rc == 0 && line.n && *line.p != '#')
		return wrong(r, "what stands behind \"%.*s …\" means nothing", (int)word.n,
			     word.p);
	return rc;
}

/* ---- the file */

static int read_file(const char *path, struct buf *out, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n = 1;

	if (!f)
		return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	while (n > 0 && buf_len(out) <= FOLDER_RULES_FILE_MAX) {
		n = fread(buf_room(out, 65536), 1, 65536, f);
		buf_wrote(out, n);
	}
	n = (size_t)ferror(f);
	fclose(f);
	if (n)
		return err_set(e, ERR_INPUT, "%s: cannot be read", path);
	if (buf_len(out) > FOLDER_RULES_FILE_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %d bytes", path,
			       FOLDER_RULES_FILE_MAX);
	return 0;
}

static int take_lines(struct reading *r, struct slice text)
{
	while (text.n) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;

		r->line++;
		if (take_line(r, (struct slice){ text.p, n }) < 0)
			return -1;
		n += end != NULL;
		text = (struct slice){ text.p + n, text.n - n };
	}
	return 0;
}

static int join(struct reading *r, struct folder_rules *out)
{
	size_t bytes = 0;

	for (int s = 0; s < SCOPES; s++) {
		for (size_t i = 0; i < r->by[s].map_count; i++) {
			const struct folder_rule *m = &r->by[s].map[i];

			folder_rules_add_map(out, m->old, m->new);
			bytes += strlen(m->old) + strlen(m->new);
		}
		for (size_t i = 0; i < r->by[s].skip_count; i++) {
			folder_rules_add_skip(out, r->by[s].skip[i]);
			bytes += strlen(r->by[s].skip[i]);
		}
	}
	if (out->map_count + out->skip_count > FOLDER_RULES_MAX ||
	    bytes > FOLDER_RULES_TEXT_MAX)
		return err_set(r->e, ERR_LIMIT,
			       "%s: more than %d rules or %d bytes for one user", r->path,
			       FOLDER_RULES_MAX, FOLDER_RULES_TEXT_MAX);
	return 0;
}

int folder_rules_read(const char *path, const char *user, const char *wave,
		      struct folder_rules *out, struct err *e)
{
	struct reading r = { .path = path,
			     .user = user,
			     .wave = wave,
			     .scope = SCOPE_ALL,
			     .ours = true,
			     .e = e };
	struct buf text = { 0 };
	int rc = read_file(path, &text, e);

	*out = (struct folder_rules){ 0 };
	if (rc == 0)
		rc = take_lines(&r, buf_slice(&text));
	if (rc == 0)
		rc = join(&r, out);
	for (int s = 0; s < SCOPES; s++)
		folder_rules_release(&r.by[s]);
	folder_rules_release(&r.others);
	buf_release(&text);
	if (rc < 0)
		folder_rules_release(out);
	return rc;
}
