/* Hides: that few are asked for one by one, and that for many everything is read. */
#include "common/store_known.h"

#define FEW 100 /* rows; each is some questions, all users are one */

#define USER_SELECT                                                                         \
	"SELECT name, state, old_login, new_login, old_password_file, new_password_file, wave," \
	" change FROM users"
#define ALIAS_SELECT "SELECT alias, name FROM aliases"

/* ---- reading */

static int take_user(struct known *k, const struct rows *r, struct err *e)
{
	struct known_user *u;
	int state = user_state_find(rows_text(r, 1));

	if (state < 0)
		return err_set(e, ERR_STORE, "user %s: unknown state or direction in the store",
			       rows_text(r, 0));
	if (k->user_count == k->user_size) {
		k->user_size = k->user_size ? k->user_size * 2 : 64;
		k->users = mem_grow(k->users, k->user_size, sizeof *k->users);
	}
	u = &k->users[k->user_count++];
	*u = (struct known_user){
		.name = mem_str(rows_text(r, 0)),
		.login = { [SIDE_OLD] = mem_str(rows_text(r, 2)),
			   [SIDE_NEW] = mem_str(rows_text(r, 3)) },
		.password_file = { [SIDE_OLD] = mem_str(rows_text(r, 4)),
				   [SIDE_NEW] = mem_str(rows_text(r, 5)) },
		.wave = mem_str(rows_text(r, 6)),
		.state = (enum user_state)state,
		.change = rows_int(r, 7),
	};
	return 0;
}

static int take_alias(struct known *k, const struct rows *r, struct err *e UNUSED)
{
	if (k->alias_count == k->alias_size) {
		k->alias_size = k->alias_size ? k->alias_size * 2 : 64;
		k->aliases = mem_grow(k->aliases, k->alias_size, sizeof *k->aliases);
	}
	k->aliases[k->alias_count++] = (struct known_alias){ .alias = mem_str(rows_text(r, 0)),
							     .name = mem_str(rows_text(r, 1)) };
	return 0;
}

typedef int take_fn(struct known *k, const struct rows *r, struct err *e);

static int read_rows(struct known *k, struct rows *r, take_fn *take, struct err *e)
{
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : take(k, r, e);
	rows_end(&r);
	return rc;
}

static int read_all(struct known *k, struct db *db, struct err *e)
{
	if (read_rows(k, db_query(db, USER_SELECT, NO_ARGS, e), take_user, e) < 0)
		return -1;
	return read_rows(k, db_query(db, ALIAS_SELECT, NO_ARGS, e), take_alias, e);
}

/* Whose name or alias is it? */
static int read_word(struct known *k, struct db *db, const char *word, struct err *e)
{
	struct rows *r = db_query(db, USER_SELECT " WHERE name = ?1", ARGS(TEXT(word)), e);

	if (read_rows(k, r, take_user, e) < 0)
		return -1;
	r = db_query(db, ALIAS_SELECT " WHERE alias = ?1", ARGS(TEXT(word)), e);
	return read_rows(k, r, take_alias, e);
}

static int read_one(struct known *k, struct db *db, const struct user_import *row,
		    struct err *e)
{
	struct rows *r = db_query(db, ALIAS_SELECT " WHERE name = ?1", ARGS(TEXT(row->name)), e);
	int rc = read_rows(k, r, take_alias, e);

	if (rc == 0)
		rc = read_word(k, db, row->name, e);
	for (size_t i = 0; rc == 0 && row->aliases && row->aliases[i]; i++)
		rc = read_word(k, db, row->aliases[i], e);
	return rc;
}

/* ---- order */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct known_user *)a)->name, ((const struct known_user *)b)->name);
}

static int by_alias(const void *a, const void *b)
{
	return strcmp(((const struct known_alias *)a)->alias,
		      ((const struct known_alias *)b)->alias);
}

static void user_release_known(struct known_user *u)
{
	mem_free(&u->name);
	for (int s = 0; s < SIDES; s++) {
		mem_free(&u->login[s]);
		mem_free(&u->password_file[s]);
	}
	mem_free(&u->wave);
}

static void alias_release(struct known_alias *a)
{
	mem_free(&a->alias);
	mem_free(&a->name);
}

/* Sorted, and each once: one by one some were read twice. */
static void put_in_order(struct known *k)
{
	size_t users = 0, aliases = 0;

	if (k->user_count)
		qsort(k->users, k->user_count, sizeof *k->users, by_name);
	for (size_t i = 0; i < k->user_count; i++)
		if (users && by_name(&k->users[users - 1], &k->users[i]) == 0)
			user_release_known(&k->users[i]);
		else
			k->users[users++] = k->users[i];
	k->user_count = users;
	if (k->alias_count)
		qsort(k->aliases, k->alias_count, sizeof *k->aliases, by_alias);
	for (size_t i = 0; i < k->alias_count; i++)
		if (aliases && by_alias(&k->aliases[aliases - 1], &k->aliases[i]) == 0)
			alias_release(&k->aliases[i]);
		else
			k->aliases[aliases++] = k->aliases[i];
	k->alias_count = aliases;
}

int known_read(struct known *k, struct db *db, const struct user_import *rows, size_t n,
	       struct err *e)
{
	int rc = n > FEW ? read_all(k, db, e) : 0;

	for (size_t i = 0; rc == 0 && n <= FEW && i < n; i++)
		rc = read_one(k, db, &rows[i], e);
	if (rc == 0)
		put_in_order(k);
	return rc;
}

void known_release(struct known *k)
{
	for (size_t i = 0; i < k->user_count; i++)
		user_release_known(&k->users[i]);
	for (size_t i = 0; i < k->alias_count; i++)
		alias_release(&k->aliases[i]);
	mem_free(&k->users);
	mem_free(&k->aliases);
}

const struct known_user *known_user(const struct known *k, const char *name)
{
	const struct known_user key = { .name = (char *)(uintptr_t)name };

	return k->user_count
		       ? bsearch(&key, k->users, k->user_count, sizeof key, by_name)
		       : NULL;
}

const struct known_alias *known_alias(const struct known *k, const char *alias)
{
	const struct known_alias key = { .alias = (char *)(uintptr_t)alias };

	return k->alias_count
		       ? bsearch(&key, k->aliases, k->alias_count, sizeof key, by_alias)
		       : NULL;
}
