/*
 * Aligned columns for people. Cells may come from outside: control characters are shown as '?',
 * so no name can move the cursor of the operator's terminal.
 */
#ifndef ADMIN_TABLE_H
#define ADMIN_TABLE_H

#include "common/mem.h"

#define TABLE_COLUMNS_MAX 16

enum table_tint { TINT_NONE, TINT_GOOD, TINT_BUSY, TINT_BAD, TINT_DIM, TINTS };

/* The sequence that begins a tint, or "" without colour; TINT_NONE ends one. */
const char *table_tint_code(enum table_tint tint, bool colour);

struct table;

/* Titles by '|'; one that begins with '>' is aligned right: "USER|STATE|>MESSAGES". */
struct table *table_new(const char *titles);
void table_free(struct table **t);
/* Fills the next cell; a row ends with its last column. */
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_tinted(struct table *t, enum table_tint tint, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
size_t table_rows(const struct table *t); /* printed or not */
/*
 * Prints the rows that have come since the last time, and forgets them; the last one must be
 * whole. The first time it prints the titles too, and finds the widths: what comes later and is
 * wider stands out.
 */
void table_print(struct table *t, FILE *to, bool colour);

/* Small texts for cells; each writes to out and returns it. */
#define TEXT_SMALL 48
const char *text_count(int64_t n, char out[TEXT_SMALL]);     /* 1,234,567 */
const char *text_bytes(int64_t n, char out[TEXT_SMALL]);     /* 12.3 MB */
const char *text_span(int64_t ms, char out[TEXT_SMALL]);     /* 840 ms, 12 s, 5 min, 3 h, 2 d */
const char *text_clock(int64_t at_ms, char out[TEXT_SMALL]); /* 05:12:01.123, local time */
const char *text_date(int64_t at_ms,
		      char out[TEXT_SMALL]); /* 2026-11-24 05:12:01, local time */
/* [#####.....], always of the same width. */
const char *text_bar(int64_t done, int64_t total, char out[TEXT_SMALL]);
/* Prints text from outside: control characters become '?'. */
void text_put(FILE *to, const char *s);

#endif
