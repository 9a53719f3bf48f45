/* Hides: libcsv, columns in any order, and on which line a row began. */
#include "common/sheet.h"

#include <csv.h>
#include <string.h>

#include "common/err.h"

struct sheet {
	const struct sheet_opts *o;
	struct sheet_errors *errs;

	struct csv_parser csv;
	int order[SHEET_COLUMNS_MAX]; /* which column each field is */
	size_t columns;		      /* 0: no header yet */
	bool has[SHEET_COLUMNS_MAX];

	unsigned line, row_line;
	bool in_row;
	size_t row_bytes, rows;
	char *field[SHEET_COLUMNS_MAX];
	size_t fields; /* seen; those past the limit are not kept */
	bool bad;      /* this row was reported */
	bool hopeless; /* reading on would only report what follows from the first mistake */
};

static void add(struct sheet_errors *errs, const char *file, unsigned line, const char *fmt,
		va_list ap)
{
	char text[ERR_TEXT_MAX];

	if (errs->count == SHEET_ERRORS_MAX) {
		errs->more++;
		return;
	}
	vsnprintf(text, sizeof text, fmt, ap);
	errs->at = mem_grow(errs->at, errs->count + 1, sizeof *errs->at);
	errs->at[errs->count++] = mem_printf("%s:%u: %s", file, line, text);
}

void sheet_errors_add(struct sheet_errors *errs, const char *file, unsigned line,
		      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(errs, file, line, fmt, ap);
	va_end(ap);
}

void sheet_complain(struct sheet *s, unsigned line, const char *fmt, ...)
{
	va_list ap;

	s->bad = true;
	va_start(ap, fmt);
	add(s->errs, s->o->file, line, fmt, ap);
	va_end(ap);
}

/* ---- header */

static int find_column(const struct sheet *s, const char *name)
{
	for (size_t c = 0; c < s->o->column_count; c++)
		if (strcmp(s->o->columns[c], name) == 0)
			return (int)c;
	return -1;
}

static void refuse_column(struct sheet *s, const char *name)
{
	const char *why = s->o->refuse ? s->o->refuse(name) : NULL;

	if (why)
		sheet_complain(s, s->row_line, "column %s: %s", name, why);
	else
		sheet_complain(s, s->row_line, "no such column \"%.60s\"; known: %s", name,
			       s->o->known);
}

static void take_header(struct sheet *s)
{
	for (size_t f = 0; f < MIN(s->fields, (size_t)SHEET_COLUMNS_MAX); f++) {
		int c = find_column(s, s->field[f]);

		if (c < 0)
			refuse_column(s, s->field[f]);
		else if (s->has[c])
			sheet_complain(s, s->row_line, "column %s is there twice",
				       s->o->columns[c]);
		else
			s->has[c] = true;
		s->order[f] = c;
	}
	if (!s->has[0])
		sheet_complain(s, s->row_line,
			       "the first line must name the columns, %s among them",
			       s->o->columns[0]);
	s->columns = s->fields;
	s->hopeless = s->bad;
}

/* ---- rows */

const char *sheet_value(const struct sheet *s, size_t column)
{
	for (size_t f = 0; f < s->columns; f++)
		if (s->order[f] == (int)column)
			return s->field[f];
	return "";
}

bool sheet_has(const struct sheet *s, size_t column)
{
	return s->has[column];
}

unsigned sheet_line(const struct sheet *s)
{
	return s->row_line;
}

struct slice sheet_word(const char **rest)
{
	struct slice word;

	*rest += strspn(*rest, " ;");
	word = (struct slice){ *rest, strcspn(*rest, " ;") };
	*rest += word.n;
	return word;
}

static void take_row(struct sheet *s)
{
	if (s->fields != s->columns) {
		sheet_complain(s, s->row_line, "%zu fields, but the header names %zu columns",
			       s->fields, s->columns);
		return;
	}
	if (s->rows == s->o->rows_max) {
		sheet_complain(s, s->row_line, "more than %zu %ss", s->o->rows_max, s->o->rows);
		s->hopeless = true;
		return;
	}
	s->rows++;
	s->o->on_row(s, s->o->arg);
}

/* ---- what libcsv calls */

static void check_field(struct sheet *s, const char *p, size_t n)
{
	if (n > SHEET_FIELD_MAX) {
		sheet_complain(s, s->row_line, "field %zu is longer than %d bytes",
			       s->fields + 1, SHEET_FIELD_MAX);
		return;
	}
	for (size_t k = 0; k < n; k++) {
		if ((unsigned char)p[k] >= 0x20 && p[k] != 0x7f)
			continue;
		sheet_complain(s, s->row_line, "field %zu holds a control character",
			       s->fields + 1);
		return;
	}
}

static void on_field(void *p, size_t n, void *sheet)
{
	struct sheet *s = sheet;

	check_field(s, p, n);
	if (s->fields < SHEET_COLUMNS_MAX)
		s->field[s->fields] = mem_strn(p ? p : "", n);
	s->fields++;
}

/* It may be a password. */
static void drop(char **field)
{
	if (*field)
		explicit_bzero(*field, strlen(*field));
	mem_free(field);
}

static void forget_row(struct sheet *s)
{
	for (size_t f = 0; f < MIN(s->fields, (size_t)SHEET_COLUMNS_MAX); f++)
		drop(&s->field[f]);
	s->fields = s->row_bytes = 0;
	s->in_row = s->bad = false;
}

static void on_row(int end UNUSED, void *sheet)
{
	struct sheet *s = sheet;

	if (!s->hopeless && !s->bad && s->fields > SHEET_COLUMNS_MAX)
		sheet_complain(s, s->row_line, "%zu fields; at most %d make sense", s->fields,
			       SHEET_COLUMNS_MAX);
	if (s->bad && !s->columns)
		s->hopeless = true;
	else if (!s->hopeless && !s->bad)
		s->columns ? take_row(s) : take_header(s);
	forget_row(s);
}

/* ---- lines */

static void start_csv(struct sheet *s)
{
	if (csv_init(&s->csv, CSV_STRICT | CSV_STRICT_FINI) != 0)
		BUG("libcsv does not start");
}

/* A quote in the wrong place: this row is lost, the next line is a new one. */
static void bad_quotes(struct sheet *s)
{
	sheet_complain(s, s->row_line,
		       "quotes are wrong (a quote inside a field is written twice)");
	s->hopeless |= !s->columns;
	csv_free(&s->csv);
	forget_row(s);
	start_csv(s);
}

static bool is_blank(struct slice line)
{
	for (size_t k = 0; k < line.n; k++)
		if (!strchr(" \t\r\n", line.p[k]) || !line.p[k])
			return false;
	return true;
}

static void feed_line(struct sheet *s, struct slice line)
{
	size_t most = s->o->column_count * 2 * SHEET_FIELD_MAX; /* quotes doubled */

	s->line++;
	if (!s->in_row && is_blank(line))
		return;
	if (!s->in_row)
		s->row_line = s->line;
	s->in_row = true;
	s->row_bytes += line.n;
	if (s->row_bytes > most) {
		sheet_complain(s, s->row_line,
			       "longer than %zu bytes: a quote that is never closed?", most);
		s->hopeless = true;
		return;
	}
	if (csv_parse(&s->csv, line.p, line.n, on_field, on_row, s) != line.n)
		bad_quotes(s);
}

static void feed_all(struct sheet *s, struct slice csv)
{
	if (csv.n >= 3 && memcmp(csv.p, "\xef\xbb\xbf", 3) == 0)
		csv = (struct slice){ csv.p + 3, csv.n - 3 };
	while (csv.n && !s->hopeless) {
		const char *lf = memchr(csv.p, '\n', csv.n);
		size_t n = lf ? (size_t)(lf - csv.p) + 1 : csv.n;

		feed_line(s, (struct slice){ csv.p, n });
		csv = (struct slice){ csv.p + n, csv.n - n };
	}
	if (!s->hopeless && csv_fini(&s->csv, on_field, on_row, s) != 0)
		sheet_complain(s, s->row_line, "a quote is never closed");
	if (!s->columns && !s->errs->count)
		sheet_complain(s, 1, "is empty; the first line must name the columns: %s",
			       s->o->known);
	else if (!s->rows && !s->errs->count)
		sheet_complain(s, s->line, "names no %s", s->o->rows);
}

/* ---- the whole */

int sheet_read(struct slice csv, const struct sheet_opts *o, struct sheet_errors *errs)
{
	struct sheet s = { .o = o, .errs = errs };

	ASSERT(o->column_count <= SHEET_COLUMNS_MAX);
	start_csv(&s);
	feed_all(&s, csv);
	forget_row(&s);
	csv_free(&s.csv);
	return errs->count ? -1 : 0;
}

void sheet_errors_release(struct sheet_errors *errs)
{
	for (size_t k = 0; k < errs->count; k++)
		free(errs->at[k]);
	mem_free(&errs->at);
	*errs = (struct sheet_errors){ 0 };
}
