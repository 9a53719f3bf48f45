/*
 * One statement that writes many rows, where one for each would wait for the server each time.
 *
 *	static struct many_sql sql = { .before = "INSERT INTO t (a, b)", .width = 2, .after = "" };
 *	struct many m = { .db = db, .sql = &sql };
 *	rc = many_add(&m, ARGS(INT(1), TEXT("x")), e); …; rc = many_end(&m, e);
 *
 * Within the caller's transaction, and by one thread of a program. Only files named store*.c
 * include this.
 */
#ifndef COMMON_STORE_MANY_H
#define COMMON_STORE_MANY_H

#include "common/store_driver.h"

#define MANY_ROWS  128 /* of one statement */
#define MANY_WIDTH 8   /* values of a row, at most */

struct many_sql {
	const char *before, *after; /* of VALUES (…), (…) */
	size_t width;
	char *one, *many; /* made when first needed; live as long as the process */
};

struct many {
	struct db *db;
	struct many_sql *sql;
	size_t rows; /* that wait */
	struct db_value at[MANY_ROWS * MANY_WIDTH];
};

/* n is the width; texts must live until the row is written, at the latest by many_end(). */
int many_add(struct many *m, const struct db_value *row, size_t n, struct err *e) MUST_CHECK;
/* Writes those that wait. */
int many_end(struct many *m, struct err *e) MUST_CHECK;

#endif
