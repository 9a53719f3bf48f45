/*
 * A list in a CSV file, with the columns in any order: its first line names them. A BOM, quotes
 * and CRLF are accepted. Every bad line is reported with its number; what is right about a list
 * that has any is for nobody.
 */
#ifndef COMMON_SHEET_H
#define COMMON_SHEET_H

#include "common/buf.h"

#define SHEET_COLUMNS_MAX 32
#define SHEET_FIELD_MAX	  4096	/* bytes */
#define SHEET_ERRORS_MAX  10000 /* reported one by one; the rest is counted */

/* "users.csv:7: anna@example.com is already in line 3" */
struct sheet_errors {
	char **at;
	size_t count;
	size_t more; /* not kept */
};
void sheet_errors_release(struct sheet_errors *errs);
/* What is found when all rows are known. */
void sheet_errors_add(struct sheet_errors *errs, const char *file, unsigned line,
		      const char *fmt, ...) PRINTF_LIKE(4, 5);

struct sheet;
typedef void sheet_row_fn(struct sheet *s, void *arg);

struct sheet_opts {
	const char *file;	    /* its name, for messages */
	const char *const *columns; /* known ones; the first is required */
	size_t column_count;
	const char *known; /* the same for people: "user, wave" */
	size_t rows_max;
	const char *rows; /* what they are, for people: "users" */
	sheet_row_fn *on_row;
	/* What to say of a column that is not known; NULL where nothing special is to be said.
	 */
	const char *(*refuse)(const char *column);
	void *arg;
};

/* Calls on_row for each row. On -1 errs has at least one entry. errs is empty at first. */
int sheet_read(struct slice csv, const struct sheet_opts *o,
	       struct sheet_errors *errs) MUST_CHECK;

/* ---- within on_row */

/* Of the row; "" where the column is not there. Borrowed. */
const char *sheet_value(const struct sheet *s, size_t column);
bool sheet_has(const struct sheet *s, size_t column);
unsigned sheet_line(const struct sheet *s);
/* Reports a mistake in a line. */
void sheet_complain(struct sheet *s, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- values of many words */

/* The next word of a value, blanks or ';' between; an empty one: there is none. */
struct slice sheet_word(const char **rest);

#endif
