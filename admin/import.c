/* Hides: libcsv, columns in any order, and on which line a row began. */
#include "admin/import.h"

#include <csv.h>

#include "common/err.h"
#include "common/secret.h"

enum column {
	COL_USER,
	COL_OLD_LOGIN,
	COL_OLD_PASSWORD_FILE,
	COL_NEW_LOGIN,
	COL_NEW_PASSWORD_FILE,
	COL_WAVE,
	COL_ALIASES,
	COLUMNS
};

static const char *const column_names[] = {
	[COL_USER] = "user",
	[COL_OLD_LOGIN] = "old_login",
	[COL_OLD_PASSWORD_FILE] = "old_password_file",
	[COL_NEW_LOGIN] = "new_login",
	[COL_NEW_PASSWORD_FILE] = "new_password_file",
	[COL_WAVE] = "wave",
	[COL_ALIASES] = "aliases",
};
_Static_assert(COUNT(column_names) == COLUMNS, "a name for every column");

#define ALL_COLUMNS \
	"user, old_login, old_password_file, new_login, new_password_file, wave, aliases"

#define FIELDS_MAX  16				     /* in one line; more is no list of ours */
#define ROW_MAX	    (COLUMNS * 2 * IMPORT_FIELD_MAX) /* bytes, quotes doubled */
#define ALIASES_MAX 64				     /* of one user */
#define WAVE_MAX    64				     /* bytes */

struct import {
	const char *file, *base;
	const struct login_name_rules *rules;
	struct import_list *out;
	struct import_errors *errs;

	struct csv_parser csv;
	int order[FIELDS_MAX]; /* which column each field is */
	size_t columns;	       /* 0: no header yet */
	bool has[COLUMNS];

	unsigned line, row_line;
	bool in_row;
	size_t row_bytes;
	char *field[FIELDS_MAX];
	size_t fields; /* seen; those past FIELDS_MAX are not kept */
	bool bad;      /* this row was reported */
	bool hopeless; /* reading on would only report what follows from the first mistake */
};

static void PRINTF_LIKE(3, 4) complain(struct import *i, unsigned line, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	i->bad = true;
	if (i->errs->count == IMPORT_ERRORS_MAX) {
		i->errs->more++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	i->errs->at = mem_grow(i->errs->at, i->errs->count + 1, sizeof *i->errs->at);
	i->errs->at[i->errs->count++] = mem_printf("%s:%u: %s", i->file, line, text);
}

/* ---- header */

static int find_column(const char *name)
{
	for (int c = 0; c < COLUMNS; c++)
		if (strcmp(column_names[c], name) == 0)
			return c;
	return -1;
}

static void refuse_column(struct import *i, const char *name)
{
	if (strcmp(name, "old_password") == 0 || strcmp(name, "new_password") == 0)
		complain(i, i->row_line,
			 "column %s: no passwords in the list; put each into a file of its own "
			 "and "
			 "name that in %s_file",
			 name, name);
	else
		complain(i, i->row_line, "no such column \"%.60s\"; known: " ALL_COLUMNS, name);
}

static void take_header(struct import *i)
{
	for (size_t f = 0; f < MIN(i->fields, (size_t)FIELDS_MAX); f++) {
		int c = find_column(i->field[f]);

		if (c < 0)
			refuse_column(i, i->field[f]);
		else if (i->has[c])
			complain(i, i->row_line, "column %s is there twice", column_names[c]);
		else
			i->has[c] = true;
		i->order[f] = c;
	}
	if (!i->has[COL_USER])
		complain(i, i->row_line,
			 "the first line must name the columns, user among them");
	i->columns = i->fields;
	i->hopeless = i->bad;
}

/* ---- rows */

static const char *value(const struct import *i, enum column c)
{
	for (size_t f = 0; f < i->columns; f++)
		if (i->order[f] == (int)c)
			return i->field[f];
	return "";
}

static char *normalised(struct import *i, struct slice raw, const char *what)
{
	char name[LOGIN_NAME_MAX + 1];

	if (login_name_normalise(raw, i->rules, name, sizeof name) == 0)
		return mem_str(name);
	complain(i, i->row_line, "%s \"%.*s\" is no login name", what,
		 (int)MIN(raw.n, (size_t)80), raw.p);
	return NULL;
}

static const char *password_file(struct import *i, enum column c)
{
	const char *text = value(i, c);
	struct secret s = { 0 };
	struct err e = { 0 };
	char *path;

	if (!text[0] || strcmp(text, "none") == 0)
		return NULL;
	path = text[0] == '/' || !i->base ? mem_str(text) : mem_printf("%s/%s", i->base, text);
	if (secret_read_file(&s, path, &e) < 0)
		complain(i, i->row_line, "%s: %s", column_names[c], e.text);
	secret_release(&s);
	return path;
}

static const char *const *aliases(struct import *i)
{
	const char *p = value(i, COL_ALIASES);
	char **list;
	size_t n = 0;

	if (!i->has[COL_ALIASES])
		return NULL;
	list = mem_array(ALIASES_MAX + 1, sizeof *list);
	while (*(p += strspn(p, " ;"))) {
		size_t len = strcspn(p, " ;");

		if (n == ALIASES_MAX) {
			complain(i, i->row_line, "more than %d aliases", ALIASES_MAX);
			break;
		}
		list[n] = normalised(i, (struct slice){ p, len }, "alias");
		n += list[n] != NULL;
		p += len;
	}
	return (const char *const *)list;
}

static char *login(const struct import *i, enum column c)
{
	const char *text = value(i, c);

	return mem_str(text[0] ? text : value(i, COL_USER));
}

static void take_row(struct import *i)
{
	struct import_list *l = i->out;
	struct user_import *row;

	if (i->fields != i->columns) {
		complain(i, i->row_line, "%zu fields, but the header names %zu columns",
			 i->fields, i->columns);
		return;
	}
	if (l->count == IMPORT_ROWS_MAX) {
		complain(i, i->row_line, "more than %d users", IMPORT_ROWS_MAX);
		i->hopeless = true;
		return;
	}
	if ((l->count & (l->count - 1)) == 0)
		l->rows = mem_grow(l->rows, MAX(l->count * 2, (size_t)1), sizeof *l->rows);
	row = &l->rows[l->count++];
	*row = (struct user_import){ .line = i->row_line };
	row->name = normalised(i, slice_of(value(i, COL_USER)), "user");
	row->login[SIDE_OLD] = login(i, COL_OLD_LOGIN);
	row->login[SIDE_NEW] = login(i, COL_NEW_LOGIN);
	row->password_file[SIDE_OLD] = password_file(i, COL_OLD_PASSWORD_FILE);
	row->password_file[SIDE_NEW] = password_file(i, COL_NEW_PASSWORD_FILE);
	row->aliases = aliases(i);
	row->wave = mem_str(value(i, COL_WAVE));
	if (strlen(row->wave) > WAVE_MAX)
		complain(i, i->row_line, "wave is longer than %d bytes", WAVE_MAX);
}

/* ---- what libcsv calls */

static void check_field(struct import *i, const char *p, size_t n)
{
	if (n > IMPORT_FIELD_MAX) {
		complain(i, i->row_line, "field %zu is longer than %d bytes", i->fields + 1,
			 IMPORT_FIELD_MAX);
		return;
	}
	for (size_t k = 0; k < n; k++) {
		if ((unsigned char)p[k] >= 0x20 && p[k] != 0x7f)
			continue;
		complain(i, i->row_line, "field %zu holds a control character", i->fields + 1);
		return;
	}
}

static void on_field(void *p, size_t n, void *import)
{
	struct import *i = import;

	check_field(i, p, n);
	if (i->fields < FIELDS_MAX)
		i->field[i->fields] = mem_strn(p ? p : "", n);
	i->fields++;
}

static void forget_row(struct import *i)
{
	for (size_t f = 0; f < MIN(i->fields, (size_t)FIELDS_MAX); f++)
		mem_free(&i->field[f]);
	i->fields = i->row_bytes = 0;
	i->in_row = i->bad = false;
}

static void on_row(int end UNUSED, void *import)
{
	struct import *i = import;

	if (!i->hopeless && !i->bad && i->fields > FIELDS_MAX)
		complain(i, i->row_line, "%zu fields; at most %d make sense", i->fields,
			 FIELDS_MAX);
	if (i->bad && !i->columns)
		i->hopeless = true;
	else if (!i->hopeless && !i->bad)
		i->columns ? take_row(i) : take_header(i);
	forget_row(i);
}

/* ---- lines */

static void start_csv(struct import *i)
{
	if (csv_init(&i->csv, CSV_STRICT | CSV_STRICT_FINI) != 0)
		BUG("libcsv does not start");
}

/* A quote in the wrong place: this row is lost, the next line is a new one. */
static void bad_quotes(struct import *i)
{
	complain(i, i->row_line, "quotes are wrong (a quote inside a field is written twice)");
	i->hopeless |= !i->columns;
	csv_free(&i->csv);
	forget_row(i);
	start_csv(i);
}

static bool is_blank(struct slice line)
{
	for (size_t k = 0; k < line.n; k++)
		if (!strchr(" \t\r\n", line.p[k]) || !line.p[k])
			return false;
	return true;
}

static void feed_line(struct import *i, struct slice line)
{
	i->line++;
	if (!i->in_row && is_blank(line))
		return;
	if (!i->in_row)
		i->row_line = i->line;
	i->in_row = true;
	i->row_bytes += line.n;
	if (i->row_bytes > ROW_MAX) {
		complain(i, i->row_line, "longer than %d bytes: a quote that is never closed?",
			 ROW_MAX);
		i->hopeless = true;
		return;
	}
	if (csv_parse(&i->csv, line.p, line.n, on_field, on_row, i) != line.n)
		bad_quotes(i);
}

static void feed_all(struct import *i, struct slice csv)
{
	if (csv.n >= 3 && memcmp(csv.p, "\xef\xbb\xbf", 3) == 0)
		csv = (struct slice){ csv.p + 3, csv.n - 3 };
	while (csv.n && !i->hopeless) {
		const char *lf = memchr(csv.p, '\n', csv.n);
		size_t n = lf ? (size_t)(lf - csv.p) + 1 : csv.n;

		feed_line(i, (struct slice){ csv.p, n });
		csv = (struct slice){ csv.p + n, csv.n - n };
	}
	if (!i->hopeless && csv_fini(&i->csv, on_field, on_row, i) != 0)
		complain(i, i->row_line, "a quote is never closed");
	if (!i->columns && !i->errs->count)
		complain(i, 1, "is empty; the first line must name the columns: " ALL_COLUMNS);
	else if (!i->out->count && !i->errs->count)
		complain(i, i->line, "names no user");
}

/* ---- names that are there twice */

struct named {
	const char *name;
	unsigned line;
};

static int by_name_and_line(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : (x->line > y->line) - (x->line < y->line);
}

static size_t count_names(const struct import_list *l)
{
	size_t n = l->count;

	for (size_t r = 0; r < l->count; r++)
		for (size_t k = 0; l->rows[r].aliases && l->rows[r].aliases[k]; k++)
			n++;
	return n;
}

/* A user's own name among the aliases says nothing new and harms nothing: same line, no
 * mistake. */
static void check_twice(struct import *i)
{
	const struct import_list *l = i->out;
	struct named *all = mem_array(MAX(count_names(l), (size_t)1), sizeof *all);
	size_t n = 0;

	for (size_t r = 0; r < l->count; r++) {
		if (l->rows[r].name)
			all[n++] = (struct named){ l->rows[r].name, l->rows[r].line };
		for (size_t k = 0; l->rows[r].aliases && l->rows[r].aliases[k]; k++)
			all[n++] = (struct named){ l->rows[r].aliases[k], l->rows[r].line };
	}
	qsort(all, n, sizeof *all, by_name_and_line);
	for (size_t k = 1; k < n; k++)
		if (strcmp(all[k].name, all[k - 1].name) == 0 && all[k].line != all[k - 1].line)
			complain(i, all[k].line, "%s is already in line %u", all[k].name,
				 all[k - 1].line);
	free(all);
}

/* ---- the whole */

int import_parse(struct slice csv, const char *name, const struct login_name_rules *rules,
		 const char *base, struct import_list *out, struct import_errors *errs)
{
	struct import i = {
		.file = name, .base = base, .rules = rules, .out = out, .errs = errs
	};

	*out = (struct import_list){ 0 };
	*errs = (struct import_errors){ 0 };
	start_csv(&i);
	feed_all(&i, csv);
	forget_row(&i);
	csv_free(&i.csv);
	check_twice(&i);
	if (!errs->count)
		return 0;
	import_list_release(out);
	return -1;
}

static void free_borrowed(const char *p)
{
	free((char *)p);
}

void import_list_release(struct import_list *l)
{
	for (size_t r = 0; r < l->count; r++) {
		struct user_import *row = &l->rows[r];

		free_borrowed(row->name);
		free_borrowed(row->wave);
		for (int side = 0; side < SIDES; side++) {
			free_borrowed(row->login[side]);
			free_borrowed(row->password_file[side]);
		}
		for (size_t k = 0; row->aliases && row->aliases[k]; k++)
			free_borrowed(row->aliases[k]);
		free((void *)row->aliases);
	}
	mem_free(&l->rows);
	l->count = 0;
}

void import_errors_release(struct import_errors *errs)
{
	for (size_t k = 0; k < errs->count; k++)
		free(errs->at[k]);
	mem_free(&errs->at);
	*errs = (struct import_errors){ 0 };
}
