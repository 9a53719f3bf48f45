/*
 * The operator's list of users, a CSV file, into rows for store_users_import().
 *
 * The first line names the columns, in any order: user (required), old_login,
 * old_password_file, new_login, new_password_file, wave, aliases (several: blanks or ';'
 * between). A login left empty is the user as written; a password file left empty or "none"
 * means the master user. A BOM, quotes and CRLF are accepted. One bad line and nothing is
 * imported; every bad line is reported.
 */
#ifndef ADMIN_IMPORT_H
#define ADMIN_IMPORT_H

#include "common/login_name.h"
#include "common/sheet.h"
#include "common/store.h"

#define IMPORT_ROWS_MAX 1000000

/* Owns all that its rows point to. */
struct import_list {
	struct user_import *rows;
	size_t count;
};

/*
 * name: of the file, for messages. base: folder that relative password files are meant from;
 * each is opened once to see that it holds a password. On -1 errs has at least one entry and
 * out is empty.
 */
int import_parse(struct slice csv, const char *name, const struct login_name_rules *rules,
		 const char *base, struct import_list *out,
		 struct sheet_errors *errs) MUST_CHECK;
void import_list_release(struct import_list *l);

#endif
