/* Hides: widths, alignment, colour, and what may not reach a terminal. */
#include "admin/table.h"

#include <time.h>

#define TABLE_GAP 2
#define BAR_WIDTH 24

struct cell {
	char *text;
	enum table_tint tint;
};

struct table {
	char *title[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX];
	size_t width[TABLE_COLUMNS_MAX];
	size_t columns;
	bool begun;	/* titles are printed, widths are found */
	size_t printed; /* rows */
	struct cell *cells;
	size_t count;
};

static const char *const tint_codes[] = {
	[TINT_NONE] = "\033[0m", [TINT_GOOD] = "\033[32m", [TINT_BUSY] = "\033[33m",
	[TINT_BAD] = "\033[31m", [TINT_DIM] = "\033[2m",
};
_Static_assert(COUNT(tint_codes) == TINTS, "a code for every tint");

const char *table_tint_code(enum table_tint tint, bool colour)
{
	return colour ? tint_codes[tint] : "";
}

static char *cleaned(char *s)
{
	for (char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return s;
}

void text_put(FILE *to, const char *s)
{
	char *copy = cleaned(mem_str(s ? s : ""));

	fputs(copy, to);
	mem_free(&copy);
}

struct table *table_new(const char *titles)
{
	struct table *t = mem_new(sizeof *t);

	for (const char *p = titles;; p++) {
		size_t n;

		ASSERT(t->columns < TABLE_COLUMNS_MAX);
		t->right[t->columns] = *p == '>';
		p += *p == '>';
		n = strcspn(p, "|");
		t->title[t->columns++] = mem_strn(p, n);
		p += n;
		if (!*p)
			return t;
	}
}

static void forget_rows(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		mem_free(&t->cells[i].text);
	t->printed += t->count / t->columns;
	t->count = 0;
}

void table_free(struct table **t)
{
	if (!*t)
		return;
	for (size_t i = 0; i < (*t)->columns; i++)
		mem_free(&(*t)->title[i]);
	forget_rows(*t);
	mem_free(&(*t)->cells);
	mem_free(t);
}

PRINTF_LIKE(3, 0)
static void add(struct table *t, enum table_tint tint, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof text, fmt, ap);
	t->cells = mem_grow(t->cells, t->count + 1, sizeof *t->cells);
	t->cells[t->count++] = (struct cell){ cleaned(mem_str(text)), tint };
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(t, TINT_NONE, fmt, ap);
	va_end(ap);
}

void table_tinted(struct table *t, enum table_tint tint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(t, tint, fmt, ap);
	va_end(ap);
}

size_t table_rows(const struct table *t)
{
	return t->printed + t->count / t->columns;
}

/* Code points, which is what most terminals show for the names of mailboxes. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void pad(FILE *to, size_t n)
{
	fprintf(to, "%*s", (int)n, "");
}

static void print_cell(const struct table *t, size_t column, const char *text, const char *tint,
		       const char *end, FILE *to)
{
	size_t n = width_of(text), fill = t->width[column] - MIN(n, t->width[column]);

	if (t->right[column])
		pad(to, fill);
	fprintf(to, "%s%s%s", tint, text, end);
	if (column + 1 == t->columns)
		fputc('\n', to);
	else
		pad(to, TABLE_GAP + (t->right[column] ? 0 : fill));
}

static void find_widths(struct table *t)
{
	for (size_t i = 0; i < t->columns; i++)
		t->width[i] = width_of(t->title[i]);
	for (size_t i = 0; i < t->count; i++)
		t->width[i % t->columns] =
			MAX(t->width[i % t->columns], width_of(t->cells[i].text));
}

static void print_titles(const struct table *t, FILE *to, bool colour)
{
	for (size_t i = 0; i < t->columns; i++)
		print_cell(t, i, t->title[i], table_tint_code(TINT_DIM, colour),
			   table_tint_code(TINT_NONE, colour), to);
}

void table_print(struct table *t, FILE *to, bool colour)
{
	ASSERT(t->count % t->columns == 0);
	if (!t->begun) {
		find_widths(t);
		print_titles(t, to, colour);
		t->begun = true;
	}
	for (size_t i = 0; i < t->count; i++) {
		bool tinted = colour && t->cells[i].tint != TINT_NONE;

		print_cell(t, i % t->columns, t->cells[i].text,
			   table_tint_code(t->cells[i].tint, tinted),
			   table_tint_code(TINT_NONE, tinted), to);
	}
	forget_rows(t);
}

/* ---- small texts */

const char *text_count(int64_t n, char out[TEXT_SMALL])
{
	char digits[24];
	size_t at = 0, len;

	snprintf(digits, sizeof digits, "%lld", (long long)n);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		out[at++] = digits[i];
		if ((len - i - 1) % 3 == 0 && i + 1 < len && digits[i] != '-')
			out[at++] = ',';
	}
	out[at] = '\0';
	return out;
}

const char *text_bytes(int64_t n, char out[TEXT_SMALL])
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB" };
	double v = (double)n / 1000;
	size_t u = 0;

	if (n < 1000) {
		snprintf(out, TEXT_SMALL, "%lld B", (long long)n);
		return out;
	}
	for (; v >= 999.95 && u + 1 < COUNT(units); u++)
		v /= 1000;
	snprintf(out, TEXT_SMALL, "%.1f %s", v, units[u]);
	return out;
}

const char *text_span(int64_t ms, char out[TEXT_SMALL])
{
	static const struct {
		int64_t below, unit;
		const char *name;
	} steps[] = {
		{ 1000, 1, "ms" },
		{ 120 * 1000, 1000, "s" },
		{ 120 * 60000LL, 60000, "min" },
		{ 48 * 3600000LL, 3600000, "h" },
		{ INT64_MAX, 86400000, "d" },
	};
	size_t i = 0;

	ms = MAX(ms, 0);
	while (ms >= steps[i].below && i + 1 < COUNT(steps))
		i++;
	snprintf(out, TEXT_SMALL, "%lld %s", (long long)(ms / steps[i].unit), steps[i].name);
	return out;
}

static struct tm local_time(int64_t at_ms)
{
	time_t s = (time_t)(at_ms / 1000);
	struct tm tm = { 0 };

	localtime_r(&s, &tm);
	return tm;
}

const char *text_clock(int64_t at_ms, char out[TEXT_SMALL])
{
	struct tm tm = local_time(at_ms);

	snprintf(out, TEXT_SMALL, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (int)(at_ms % 1000));
	return out;
}

const char *text_date(int64_t at_ms, char out[TEXT_SMALL])
{
	struct tm tm = local_time(at_ms);

	if (strftime(out, TEXT_SMALL, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		out[0] = '\0';
	return out;
}

const char *text_bar(int64_t done, int64_t total, char out[TEXT_SMALL])
{
	int64_t full = total > 0 ? BAR_WIDTH * MIN(MAX(done, 0), total) / total : 0;

	out[0] = '[';
	for (int64_t i = 0; i < BAR_WIDTH; i++)
		out[1 + i] = i < full ? '#' : '.';
	out[1 + BAR_WIDTH] = ']';
	out[2 + BAR_WIDTH] = '\0';
	return out;
}
