/* Hides: how a list of users becomes rows, all of them or none. */
#include "common/store_driver.h"

enum outcome { ROW_BAD = -1, ROW_SAME, ROW_WAVE, ROW_CHANGED, ROW_ADDED };

static bool is_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0 && !a == !b;
}

static int bad(const struct user_import *row, struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, "line %u: user %s: %s", row->line, row->name, why);
}

/* u NULL: nobody of that name is there yet. */
static const char *wave_of(const struct user_import *row, const struct user *u)
{
	const char *before = u && u->wave ? u->wave : "";

	return row->wave ? row->wave : before;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct user_import *const *)a)->name,
		      (*(const struct user_import *const *)b)->name);
}

static int check_rows(const struct user_import *rows, size_t n, struct err *e)
{
	const struct user_import **sorted = mem_array(MAX(n, 1), sizeof *sorted);
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		sorted[i] = &rows[i];
	qsort(sorted, n, sizeof *sorted, by_name);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct user_import *row = sorted[i];
		size_t len = strlen(row->name);

		if (len == 0 || len > STORE_NAME_MAX)
			rc = bad(row, e, "the name is empty or too long");
		else if (!row->login[SIDE_OLD] || !row->login[SIDE_NEW])
			rc = bad(row, e, "a login is missing");
		else if (i > 0 && by_name(&sorted[i - 1], &sorted[i]) == 0)
			rc = bad(row, e, "is in the list twice");
	}
	mem_free(&sorted);
	return rc;
}

static bool is_in(const char *alias, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, alias) == 0)
			return true;
	return false;
}

/* Not the user's own name, and not said before. */
static bool counts_as_alias(const struct user_import *row, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(row->aliases[i], row->aliases[at]) == 0)
			return false;
	return strcmp(row->aliases[at], row->name) != 0;
}

/* Does the store know exactly these aliases of the user? 1, 0, -1. */
static int has_aliases(struct db *db, const struct user_import *row, struct err *e)
{
	struct rows *r;
	size_t known = 0, wanted = 0;
	int got, same = 1;

	if (!row->aliases)
		return 1;
	for (size_t i = 0; row->aliases[i]; i++)
		wanted += counts_as_alias(row, i);
	r = db_query(db, "SELECT alias FROM aliases WHERE name = ?1", ARGS(TEXT(row->name)), e);
	if (!r)
		return -1;
	while ((got = rows_next(r, e)) > 0) {
		known++;
		if (!is_in(rows_text(r, 0), row->aliases))
			same = 0;
	}
	rows_end(&r);
	return got < 0 ? -1 : same && known == wanted;
}

static enum outcome compare(struct db *db, const struct user_import *row, const struct user *u,
			    struct err *e)
{
	int same = has_aliases(db, row, e);

	if (same < 0)
		return ROW_BAD;
	for (int s = 0; s < SIDES; s++)
		if (!is_same(row->login[s], u->login[s]) ||
		    !is_same(row->password_file[s], u->password_file[s]))
			same = 0;
	if (!same)
		return ROW_CHANGED;
	return is_same(wave_of(row, u), u->wave) ? ROW_SAME : ROW_WAVE;
}

static int add_row(struct db *db, const struct user_import *row, struct err *e)
{
	int64_t change;

	if (store_new_change(db, row->name, &change, e) < 0)
		return -1;
	return db_run(db,
		      "INSERT INTO users (name, old_login, new_login, old_password_file,"
		      " new_password_file, wave, change, state_since)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		      ARGS(TEXT(row->name), TEXT(row->login[SIDE_OLD]),
			   TEXT(row->login[SIDE_NEW]), TEXT(row->password_file[SIDE_OLD]),
			   TEXT(row->password_file[SIDE_NEW]), TEXT(wave_of(row, NULL)),
			   INT(change), INT(db_now_ms(db))),
		      e);
}

/* What was found and compared is another mailbox's. */
static int change_row(struct db *db, const struct user_import *row, const struct user *u,
		      struct err *e)
{
	int64_t change;

	if (u->state > USER_READY)
		return bad(row, e,
			   "is past ready: only its wave may change; take the line out of the "
			   "file,"
			   " or make it as it was");
	if (store_new_change(db, row->name, &change, e) < 0)
		return -1;
	return db_run(db,
		      "UPDATE users SET old_login = ?2, new_login = ?3, old_password_file = ?4,"
		      " new_password_file = ?5, wave = ?6, change = ?7, pass_clean = 0"
		      " WHERE name = ?1",
		      ARGS(TEXT(row->name), TEXT(row->login[SIDE_OLD]),
			   TEXT(row->login[SIDE_NEW]), TEXT(row->password_file[SIDE_OLD]),
			   TEXT(row->password_file[SIDE_NEW]), TEXT(wave_of(row, u)),
			   INT(change)),
		      e);
}

static enum outcome put_row(struct store *st, const struct user_import *row, struct err *e)
{
	enum outcome outcome = ROW_ADDED;
	struct user u = { 0 };
	int rc = store_user_get(st, row->name, &u, e);

	if (rc > 0)
		outcome = compare(st->db, row, &u, e);
	if (rc >= 0)
		switch (outcome) {
		case ROW_BAD:
			rc = -1;
			break;
		case ROW_SAME:
			break;
		case ROW_WAVE:
			rc = db_run(st->db, "UPDATE users SET wave = ?2 WHERE name = ?1",
				    ARGS(TEXT(row->name), TEXT(row->wave)), e);
			break;
		case ROW_CHANGED:
			rc = change_row(st->db, row, &u, e);
			break;
		case ROW_ADDED:
			rc = add_row(st->db, row, e);
			break;
		}
	if (rc >= 0 && outcome >= ROW_CHANGED && row->aliases)
		rc = db_run(st->db, "DELETE FROM aliases WHERE name = ?1",
			    ARGS(TEXT(row->name)), e);
	user_release(&u);
	return rc < 0 ? ROW_BAD : outcome;
}

/* Whose alias or name is this? Copied to owner; 1, 0, -1. */
static int find_owner(struct db *db, const char *word, char *owner, size_t size, struct err *e)
{
	struct rows *r = db_query(db,
				  "SELECT name FROM users WHERE name = ?1"
				  " UNION ALL SELECT name FROM aliases WHERE alias = ?1",
				  ARGS(TEXT(word)), e);
	int got;

	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		snprintf(owner, size, "%s", rows_text(r, 0));
	rows_end(&r);
	return got;
}

static int put_alias(struct db *db, const struct user_import *row, const char *alias,
		     struct err *e)
{
	char owner[STORE_NAME_MAX + 1];
	int got;

	if (strlen(alias) == 0 || strlen(alias) > STORE_NAME_MAX)
		return bad(row, e, "an alias is empty or too long");
	if (strcmp(alias, row->name) == 0)
		return 0;
	got = find_owner(db, alias, owner, sizeof owner, e);
	if (got < 0)
		return -1;
	if (got > 0 && strcmp(owner, row->name) != 0)
		return err_set(e, ERR_INPUT,
			       "line %u: user %s: alias %s is a name or alias of user %s",
			       row->line, row->name, alias, owner);
	if (got > 0)
		return 0;
	return db_run(db, "INSERT INTO aliases (alias, name) VALUES (?1, ?2)",
		      ARGS(TEXT(alias), TEXT(row->name)), e);
}

/* When all rows and none of the dropped aliases are there, so the order of lines does not
 * matter. */
static int put_aliases(struct db *db, const struct user_import *row, struct err *e)
{
	int64_t clash;

	for (size_t i = 0; row->aliases && row->aliases[i]; i++)
		if (put_alias(db, row, row->aliases[i], e) < 0)
			return -1;
	switch (db_query_int(db, "SELECT 1 FROM aliases WHERE alias = ?1",
			     ARGS(TEXT(row->name)), &clash, e)) {
	case 0:
		return 0;
	case 1:
		return bad(row, e, "is already an alias of another user");
	default:
		return -1;
	}
}

static int put_all(struct store *st, const struct user_import *rows, size_t n,
		   struct import_count *count, struct err *e)
{
	int64_t request;

	for (size_t i = 0; i < n; i++) {
		enum outcome outcome = put_row(st, &rows[i], e);

		if (outcome == ROW_BAD)
			return -1;
		count->added += outcome == ROW_ADDED;
		count->changed += outcome == ROW_CHANGED || outcome == ROW_WAVE;
		count->same += outcome == ROW_SAME;
	}
	for (size_t i = 0; i < n; i++)
		if (put_aliases(st->db, &rows[i], e) < 0)
			return -1;
	/* Aliases are no rows of users: nodes read them again when they are told to. */
	if (count->added || count->changed)
		return store_new_request(st->db, "aliases", NULL, NULL, &request, e);
	return 0;
}

int store_users_import(struct store *st, const struct user_import *rows, size_t n,
		       struct import_count *count, struct err *e)
{
	*count = (struct import_count){ 0 };
	if (check_rows(rows, n, e) < 0 || db_begin(st->db, e) < 0)
		return -1;
	if (put_all(st, rows, n, count, e) < 0)
		return db_rollback(st->db);
	if (db_commit(st->db, e) < 0)
		return -1;
	store_nudge(st);
	return 0;
}
