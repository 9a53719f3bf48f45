/* Hides: the shape of the file's text: blanks, comments, strings, braces. */
#include "config/settings_scan.h"

enum token { END, WORD, STRING, OPEN, CLOSE, EQUALS, ODD };

struct reader {
	char *p, *end;
	unsigned line;
	/* the token just read */
	enum token token;
	struct slice text; /* without quotes */
	char *from;
	unsigned at;
	bool literal; /* in single quotes: no ${…} in it */
	struct scan *scan;
	struct mistakes *mistakes;
};

void mistake_add(struct mistakes *m, unsigned line, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	m->at = mem_grow(m->at, m->count + 1, sizeof *m->at);
	m->at[m->count++] = (struct mistake){ line, mem_str(text) };
}

void mistakes_release(struct mistakes *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->at[i].text);
	mem_free(&m->at);
	m->count = 0;
}

const char *section_shown(enum section_kind kind, const char *title)
{
	static char shown[320];

	if (title)
		snprintf(shown, sizeof shown, "%s \"%s\"", section_rows[kind].name, title);
	else
		snprintf(shown, sizeof shown, "%s", section_rows[kind].name);
	return shown;
}

/* ---- tokens */

static void skip_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
}

static void skip_long_comment(struct reader *r)
{
	unsigned start = r->line;

	for (r->p += 2; r->p < r->end; r->p++) {
		if (*r->p == '\n')
			r->line++;
		if (*r->p == '*' && r->p + 1 < r->end && r->p[1] == '/') {
			r->p += 2;
			return;
		}
	}
	r->scan->broken = true;
	mistake_add(r->mistakes, start, "comment is never closed");
}

static void skip_blank(struct reader *r)
{
	while (r->p < r->end) {
		bool two = r->p + 1 < r->end;

		if (*r->p == '#' || (two && r->p[0] == '/' && r->p[1] == '/')) {
			skip_line(r);
		} else if (two && r->p[0] == '/' && r->p[1] == '*') {
			skip_long_comment(r);
		} else if (strchr(" \t\r\n", *r->p)) {
			r->line += *r->p == '\n';
			r->p++;
		} else {
			return;
		}
	}
}

static void read_string(struct reader *r, char quote)
{
	const char *start = ++r->p;

	r->literal = quote == '\'';
	while (r->p < r->end && *r->p != quote && *r->p != '\n')
		r->p += *r->p == '\\' && r->p + 1 < r->end && r->p[1] != '\n' ? 2 : 1;
	r->text = (struct slice){ start, (size_t)(r->p - start) };
	r->token = STRING;
	if (r->p < r->end && *r->p == quote) {
		r->p++;
		return;
	}
	r->scan->broken = true;
	mistake_add(r->mistakes, r->line, "string is not closed on its line");
}

static void read_word(struct reader *r)
{
	const char *start = r->p;

	while (r->p < r->end && !strchr(" \t\r\n\"'={}(),;#+", *r->p)) {
		if (*r->p == '$' && r->p + 1 < r->end && r->p[1] == '{')
			while (r->p < r->end && *r->p != '}' && *r->p != '\n')
				r->p++;
		if (r->p < r->end && *r->p != '\n')
			r->p++;
	}
	r->text = (struct slice){ start, (size_t)(r->p - start) };
	r->token = WORD;
}

static void next(struct reader *r)
{
	skip_blank(r);
	r->from = r->p;
	r->at = r->line;
	r->literal = false;
	r->text = (struct slice){ r->p, 1 };
	if (r->p >= r->end) {
		r->token = END;
		return;
	}
	switch (*r->p) {
	case '"':
	case '\'':
		read_string(r, *r->p);
		return;
	case '{':
		r->token = OPEN;
		break;
	case '}':
		r->token = CLOSE;
		break;
	case '=':
		r->token = EQUALS;
		break;
	case '(':
	case ')':
	case ',':
	case ';':
	case '+':
		r->token = ODD;
		break;
	default:
		read_word(r);
		return;
	}
	r->p++;
}

static enum token peek(const struct reader *r)
{
	struct reader ahead = *r;
	struct scan unused = { 0 };
	struct mistakes heard = { 0 };

	ahead.scan = &unused;
	ahead.mistakes = &heard;
	next(&ahead);
	mistakes_release(&heard);
	return ahead.token;
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

static void broken(struct reader *r, const char *where, const char *what)
{
	r->scan->broken = true;
	if (r->token == END)
		mistake_add(r->mistakes, r->at, "%s%s, not the end of the file", where, what);
	else
		mistake_add(r->mistakes, r->at, "%s%s, not \"%.*s\"", where, what,
			    (int)MIN(r->text.n, (size_t)60), r->text.p);
}

/* ---- settings and sections */

static void check_variables(struct reader *r, const char *where)
{
	const char *p = r->text.p, *end = p + r->text.n, *close;

	for (; !r->literal && p + 1 < end; p++) {
		char name[128];
		size_t n;

		if (p[0] != '$' || p[1] != '{')
			continue;
		close = memchr(p, '}', (size_t)(end - p));
		n = close ? (size_t)(close - p - 2) : 0;
		if (!close || n == 0 || n >= sizeof name) {
			mistake_add(r->mistakes, r->at, "%s: \"${\" without a name and \"}\"",
				    where);
			return;
		}
		memcpy(name, p + 2, n);
		name[n] = '\0';
		if (!strstr(name, ":-") && !getenv(name))
			mistake_add(r->mistakes, r->at, "%s: variable %s is not set", where,
				    name);
		p = close;
	}
}

static const struct scan_item *find_item(const struct scan *s, size_t section, const char *name)
{
	for (size_t i = 0; i < s->item_count; i++)
		if (s->items[i].section == section && strcmp(s->items[i].row->name, name) == 0)
			return &s->items[i];
	return NULL;
}

/* Is this setting known and new? Says so if not. */
static bool accept_name(struct reader *r, size_t section, struct slice name, unsigned line,
			const struct setting_row **row)
{
	const struct scan_section *in = &r->scan->sections[section];
	const char *where = section_shown(in->kind, in->title), *guess;
	const struct scan_item *before;

	*row = setting_find(in->kind, name);
	if (!*row) {
		guess = setting_guess(in->kind, name);
		mistake_add(r->mistakes, line, "%s: no such setting \"%.*s\"%s%s%s", where,
			    (int)MIN(name.n, (size_t)60), name.p,
			    guess ? " (did you mean \"" : "", guess ? guess : "",
			    guess ? "\"?)" : "");
		return false;
	}
	before = find_item(r->scan, section, (*row)->name);
	if (before)
		mistake_add(r->mistakes, line, "%s: %s is already set in line %u", where,
			    (*row)->name, before->line);
	return !before;
}

static void add_item(struct scan *s, size_t section, const struct setting_row *row,
		     unsigned line)
{
	s->items = mem_grow(s->items, s->item_count + 1, sizeof *s->items);
	s->items[s->item_count++] = (struct scan_item){ section, row, line };
}

/* name = value, with the name just read. */
static void read_setting(struct reader *r, size_t section)
{
	const struct scan_section *in = &r->scan->sections[section];
	struct slice name = r->text;
	char *from = r->from, where[512];
	unsigned line = r->at;
	const struct setting_row *row;
	bool good = accept_name(r, section, name, line, &row);

	snprintf(where, sizeof where, "%s: %.*s: ", section_shown(in->kind, in->title),
		 (int)MIN(name.n, (size_t)60), name.p);
	if (peek(r) != EQUALS) {
		next(r);
		broken(r, where, "expected \"=\" and a value");
		skip_line(r);
		return;
	}
	next(r);
	next(r);
	if ((r->token != WORD && r->token != STRING) || r->at != line) {
		r->scan->broken = true;
		mistake_add(r->mistakes, line, "%sa value is missing", where);
		r->p = r->from;
		r->line = r->at;
		return;
	}
	if (!good) {
		blank(from, r->p);
		return;
	}
	where[strlen(where) - 2] = '\0';
	check_variables(r, where);
	add_item(r->scan, section, row, line);
}

static bool begins_section(const struct reader *r)
{
	enum token after;

	if (r->token != WORD || !section_find(r->text))
		return false;
	after = peek(r);
	return after == OPEN || after == STRING;
}

static void read_body(struct reader *r, size_t section)
{
	while (next(r), r->token != CLOSE) {
		const struct scan_section *in = &r->scan->sections[section];

		if (r->token == END || begins_section(r)) {
			r->scan->broken = true;
			mistake_add(r->mistakes, in->line, "%s: its \"{\" is never closed",
				    section_shown(in->kind, in->title));
			r->p = r->from;
			r->line = r->at;
			return;
		}
		if (r->token == WORD) {
			read_setting(r, section);
			continue;
		}
		broken(r, "", "expected a setting or \"}\"");
		skip_line(r);
	}
}

static void skip_body(struct reader *r)
{
	int depth = 1;

	while (depth > 0) {
		next(r);
		if (r->token == END) {
			broken(r, "", "expected \"}\"");
			return;
		}
		depth += r->token == OPEN ? 1 : r->token == CLOSE ? -1 : 0;
	}
}

static bool accept_section(struct reader *r, const struct section_row *row, const char *title,
			   unsigned line)
{
	enum section_kind kind = (enum section_kind)(row - section_rows);

	if (row->titled != (title != NULL)) {
		mistake_add(r->mistakes, line,
			    row->titled ? "%s needs a name: %s \"NAME\" { … }"
					: "%s takes no name: %s { … }",
			    row->name, row->name);
		return false;
	}
	if (kind == SECTION_BACKEND && strcmp(title, "old") != 0 && strcmp(title, "new") != 0) {
		mistake_add(r->mistakes, line, "backend \"%s\": only \"old\" and \"new\" exist",
			    title);
		return false;
	}
	for (size_t i = 0; i < r->scan->section_count; i++) {
		const struct scan_section *s = &r->scan->sections[i];

		if (s->kind == kind && (!title || strcmp(s->title, title) == 0)) {
			mistake_add(r->mistakes, line, "%s is already there in line %u",
				    section_shown(kind, title), s->line);
			return false;
		}
	}
	return true;
}

static const struct section_row *known_section(struct reader *r, struct slice name)
{
	const struct section_row *row = section_find(name);
	const char *guess = row ? NULL : setting_guess(SECTIONS, name);

	if (!row)
		mistake_add(r->mistakes, r->at, "no such section \"%.*s\"%s%s%s",
			    (int)MIN(name.n, (size_t)60), name.p,
			    guess ? " (did you mean \"" : "", guess ? guess : "",
			    guess ? "\"?)" : "");
	return row;
}

/* name ["title"] { … }, with the name just read. */
static void read_section(struct reader *r)
{
	const struct section_row *row = known_section(r, r->text);
	char *from = r->from, *title = NULL;
	unsigned line = r->at;

	next(r);
	if (r->token == STRING || r->token == WORD) {
		title = mem_strn(r->text.p, MIN(r->text.n, (size_t)128));
		next(r);
	}
	if (r->token != OPEN) {
		if (row)
			broken(r, row->name, ": expected \"{\"");
		r->scan->broken = true;
		skip_line(r);
		free(title);
		return;
	}
	if (!row || !accept_section(r, row, title, line)) {
		skip_body(r);
		blank(from, r->p);
		free(title);
		return;
	}
	r->scan->sections = mem_grow(r->scan->sections, r->scan->section_count + 1,
				     sizeof *r->scan->sections);
	r->scan->sections[r->scan->section_count] =
		(struct scan_section){ (enum section_kind)(row - section_rows), title, line };
	read_body(r, r->scan->section_count++);
}

void settings_scan(char *text, size_t n, struct scan *out, struct mistakes *m)
{
	struct reader r = { .p = text, .end = text + n, .line = 1, .scan = out, .mistakes = m };

	while (next(&r), r.token != END) {
		if (r.token == WORD) {
			read_section(&r);
			continue;
		}
		broken(&r, "", "expected a section");
		if (r.token != CLOSE)
			skip_line(&r);
	}
}

void scan_release(struct scan *s)
{
	for (size_t i = 0; i < s->section_count; i++)
		free(s->sections[i].title);
	free(s->sections);
	free(s->items);
	*s = (struct scan){ 0 };
}

static const struct scan_section *find_section(const struct scan *s, enum section_kind kind,
					       const char *title)
{
	for (size_t i = 0; i < s->section_count; i++)
		if (s->sections[i].kind == kind &&
		    (!title || strcmp(s->sections[i].title, title) == 0))
			return &s->sections[i];
	return NULL;
}

bool scan_has(const struct scan *s, enum section_kind kind, const char *title, const char *name)
{
	const struct scan_section *in = find_section(s, kind, title);

	return in && (!name || find_item(s, (size_t)(in - s->sections), name));
}

unsigned scan_line(const struct scan *s, enum section_kind kind, const char *title,
		   const char *name)
{
	const struct scan_section *in = find_section(s, kind, title);
	const struct scan_item *item =
		in && name ? find_item(s, (size_t)(in - s->sections), name) : NULL;

	return item ? item->line : in ? in->line : 1;
}
