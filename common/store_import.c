/*
 * Hides: how a list of users becomes rows, all of them or none.
 *
 * What the store knows is read first, all is decided in memory, and what is to be written goes
 * in statements of many rows. A question for each user would take longer than an engine's lease
 * where the store is another host's.
 */
#include "common/store_known.h"
#include "common/store_many.h"

enum outcome { ROW_SAME, ROW_WAVE, ROW_CHANGED, ROW_ADDED };

/* A row, and what is to become of it. */
struct planned {
	const struct user_import *row;
	const struct known_user *known; /* NULL: nobody of that name is there yet */
	enum outcome outcome;
	int64_t change;
	size_t aliases;	  /* in the store */
	bool drops_alias; /* one of them is not in the row */
};

struct import {
	struct db *db;
	struct known known;
	struct planned *at; /* as in the list */
	struct planned **sorted; /* by name */
	size_t n;
};

static bool is_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0 && !a == !b;
}

static int bad(const struct user_import *row, struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, "line %u: user %s: %s", row->line, row->name, why);
}

/* u NULL: nobody of that name is there yet. */
static const char *wave_of(const struct user_import *row, const struct known_user *u)
{
	const char *before = u && u->wave ? u->wave : "";

	return row->wave ? row->wave : before;
}

static int by_name(const void *a, const void *b)
{
	const struct user_import *x = (*(struct planned *const *)a)->row;
	const struct user_import *y = (*(struct planned *const *)b)->row;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int is_named(const void *name, const void *at)
{
	return strcmp(name, (*(struct planned *const *)at)->row->name);
}

/* The row of this user, or NULL. */
static struct planned *find_row(const struct import *im, const char *name)
{
	struct planned **found =
		bsearch(name, im->sorted, im->n, sizeof(struct planned *), is_named);

	return found ? *found : NULL;
}

static int check_rows(const struct import *im, struct err *e)
{
	for (size_t i = 0; i < im->n; i++) {
		const struct user_import *row = im->sorted[i]->row;
		size_t len = strlen(row->name);

		if (len == 0 || len > STORE_NAME_MAX)
			return bad(row, e, "the name is empty or too long");
		if (!row->login[SIDE_OLD] || !row->login[SIDE_NEW])
			return bad(row, e, "a login is missing");
		if (i > 0 && strcmp(im->sorted[i - 1]->row->name, row->name) == 0)
			return bad(row, e, "is in the list twice");
	}
	return 0;
}

/* ---- what is to become of each */

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

/* Does the store know exactly these? */
static bool has_aliases(const struct planned *p)
{
	size_t wanted = 0;

	for (size_t i = 0; p->row->aliases && p->row->aliases[i]; i++)
		wanted += counts_as_alias(p->row, i);
	return !p->row->aliases || (!p->drops_alias && p->aliases == wanted);
}

static enum outcome compare(const struct planned *p)
{
	const struct user_import *row = p->row;
	bool same = has_aliases(p);

	if (!p->known)
		return ROW_ADDED;
	for (int s = 0; s < SIDES; s++)
		same = same && is_same(row->login[s], p->known->login[s]) &&
		       is_same(row->password_file[s], p->known->password_file[s]);
	if (!same)
		return ROW_CHANGED;
	return is_same(wave_of(row, p->known), p->known->wave) ? ROW_SAME : ROW_WAVE;
}

static bool gives_aliases(const struct planned *p)
{
	return p->outcome >= ROW_CHANGED && p->row->aliases;
}

static void count_aliases(struct import *im)
{
	for (size_t i = 0; i < im->known.alias_count; i++) {
		const struct known_alias *a = &im->known.aliases[i];
		struct planned *p = find_row(im, a->name);

		if (!p)
			continue;
		p->aliases++;
		p->drops_alias |= p->row->aliases && !is_in(a->alias, p->row->aliases);
	}
}

static int decide(struct import *im, struct import_count *count, struct err *e)
{
	count_aliases(im);
	for (size_t i = 0; i < im->n; i++) {
		struct planned *p = &im->at[i];

		p->known = known_user(&im->known, p->row->name);
		p->outcome = compare(p);
		if (p->outcome == ROW_CHANGED && p->known->state > USER_READY)
			return bad(p->row, e,
				   "is past ready: only its wave may change; take the line out of "
				   "the file,"
				   " or make it as it was");
		count->added += p->outcome == ROW_ADDED;
		count->changed += p->outcome == ROW_CHANGED || p->outcome == ROW_WAVE;
		count->same += p->outcome == ROW_SAME;
	}
	return 0;
}

/* ---- users */

/* Each a number of its own, as store_new_change(). */
static int write_changes(struct import *im, struct err *e)
{
	static struct many_sql sql = { "INSERT INTO changes (id, name)", "", .width = 2 };
	struct many m = { .db = im->db, .sql = &sql };
	int64_t next;

	if (db_query_int(im->db, "SELECT COALESCE(MAX(id), 0) + 1 FROM changes", NO_ARGS, &next,
			 e) < 0)
		return -1;
	for (size_t i = 0; i < im->n; i++) {
		struct planned *p = &im->at[i];

		if (p->outcome < ROW_CHANGED)
			continue;
		p->change = next++;
		if (many_add(&m, ARGS(INT(p->change), TEXT(p->row->name)), e) < 0)
			return -1;
	}
	return many_end(&m, e);
}

/* Where the change is another one, what was found and compared is another mailbox's. */
static int write_users(struct import *im, struct err *e)
{
	static struct many_sql sql = {
		"INSERT INTO users (name, old_login, new_login, old_password_file,"
		" new_password_file, wave, change, state_since)",
		"ON CONFLICT (name) DO UPDATE SET old_login = excluded.old_login,"
		" new_login = excluded.new_login,"
		" old_password_file = excluded.old_password_file,"
		" new_password_file = excluded.new_password_file, wave = excluded.wave,"
		" pass_clean = CASE WHEN users.change = excluded.change THEN users.pass_clean"
		" ELSE 0 END, change = excluded.change",
		.width = 8
	};
	struct many m = { .db = im->db, .sql = &sql };
	int64_t now = db_now_ms(im->db);

	for (size_t i = 0; i < im->n; i++) {
		const struct planned *p = &im->at[i];
		const struct user_import *row = p->row;
		int64_t change = p->outcome == ROW_WAVE ? p->known->change : p->change;

		if (p->outcome != ROW_SAME &&
		    many_add(&m,
			     ARGS(TEXT(row->name), TEXT(row->login[SIDE_OLD]),
				  TEXT(row->login[SIDE_NEW]), TEXT(row->password_file[SIDE_OLD]),
				  TEXT(row->password_file[SIDE_NEW]),
				  TEXT(wave_of(row, p->known)), INT(change), INT(now)),
			     e) < 0)
			return -1;
	}
	return many_end(&m, e);
}

/* ---- aliases */

static int drop_aliases(struct import *im, struct err *e)
{
	for (size_t i = 0; i < im->known.alias_count; i++) {
		struct known_alias *a = &im->known.aliases[i];
		const struct planned *p = find_row(im, a->name);

		if (!p || !gives_aliases(p) || is_in(a->alias, p->row->aliases))
			continue;
		a->dropped = true;
		if (db_run(im->db, "DELETE FROM aliases WHERE alias = ?1",
			   ARGS(TEXT(a->alias)), e) < 0)
			return -1;
	}
	return 0;
}

/* Whose name or alias it is when all rows are there and no dropped alias, so that the order of
 * lines does not matter. NULL: nobody's. */
static const char *owner_of(const struct import *im, const char *word)
{
	const struct known_user *u = known_user(&im->known, word);
	const struct known_alias *a = known_alias(&im->known, word);
	const struct planned *p = find_row(im, word);

	if (u)
		return u->name;
	if (p)
		return p->row->name;
	return a && !a->dropped ? a->name : NULL;
}

static int is_taken(const struct user_import *row, const char *alias, const char *owner,
		    struct err *e)
{
	return err_set(e, ERR_INPUT, "line %u: user %s: alias %s is a name or alias of user %s",
		       row->line, row->name, alias, owner);
}

/* One that is to be written. */
struct fresh_alias {
	const char *alias;
	const struct planned *p;
};

static int by_alias(const void *a, const void *b)
{
	const struct fresh_alias *x = a, *y = b;
	int order = strcmp(x->alias, y->alias);

	return order ? order : (x->p > y->p) - (x->p < y->p);
}

/* *n grows by those that are not there yet. */
static int take_aliases(const struct import *im, const struct planned *p,
			struct fresh_alias *fresh, size_t *n, struct err *e)
{
	const struct known_alias *clash = known_alias(&im->known, p->row->name);

	if (clash && !clash->dropped)
		return bad(p->row, e, "is already an alias of another user");
	for (size_t i = 0; gives_aliases(p) && p->row->aliases[i]; i++) {
		const char *alias = p->row->aliases[i], *owner;

		if (strlen(alias) == 0 || strlen(alias) > STORE_NAME_MAX)
			return bad(p->row, e, "an alias is empty or too long");
		if (!counts_as_alias(p->row, i))
			continue;
		owner = owner_of(im, alias);
		if (owner && strcmp(owner, p->row->name) != 0)
			return is_taken(p->row, alias, owner, e);
		if (!owner)
			fresh[(*n)++] = (struct fresh_alias){ alias, p };
	}
	return 0;
}

static int insert_aliases(struct import *im, struct fresh_alias *fresh, size_t n,
			  struct err *e)
{
	static struct many_sql sql = { "INSERT INTO aliases (alias, name)", "", .width = 2 };
	struct many m = { .db = im->db, .sql = &sql };

	qsort(fresh, n, sizeof *fresh, by_alias);
	for (size_t i = 0; i < n; i++) {
		const struct user_import *row = fresh[i].p->row;

		if (i > 0 && strcmp(fresh[i - 1].alias, fresh[i].alias) == 0)
			return is_taken(row, fresh[i].alias, fresh[i - 1].p->row->name, e);
		if (many_add(&m, ARGS(TEXT(fresh[i].alias), TEXT(row->name)), e) < 0)
			return -1;
	}
	return many_end(&m, e);
}

static int put_aliases(struct import *im, struct err *e)
{
	struct fresh_alias *fresh;
	size_t most = 0, n = 0;
	int rc = 0;

	for (size_t i = 0; i < im->n; i++)
		for (size_t k = 0; gives_aliases(&im->at[i]) && im->at[i].row->aliases[k]; k++)
			most++;
	fresh = mem_array(MAX(most, 1), sizeof *fresh);
	for (size_t i = 0; i < im->n && rc == 0; i++)
		rc = take_aliases(im, &im->at[i], fresh, &n, e);
	if (rc == 0)
		rc = insert_aliases(im, fresh, n, e);
	mem_free(&fresh);
	return rc;
}

/* ---- all */

static int put_all(struct import *im, struct import_count *count, struct err *e)
{
	int64_t request;

	if (decide(im, count, e) < 0 || write_changes(im, e) < 0 || write_users(im, e) < 0 ||
	    drop_aliases(im, e) < 0 || put_aliases(im, e) < 0)
		return -1;
	/* Aliases are no rows of users: nodes read them again when they are told to. */
	if (count->added || count->changed)
		return store_new_request(im->db, "aliases", NULL, NULL, &request, e);
	return 0;
}

static int import(struct import *im, const struct user_import *rows, struct import_count *count,
		  struct err *e)
{
	if (check_rows(im, e) < 0 || db_begin(im->db, e) < 0)
		return -1;
	if (known_read(&im->known, im->db, rows, im->n, e) < 0 || put_all(im, count, e) < 0)
		return db_rollback(im->db);
	return db_commit(im->db, e);
}

int store_users_import(struct store *st, const struct user_import *rows, size_t n,
		       struct import_count *count, struct err *e)
{
	struct import im = { .db = st->db,
			     .at = mem_array(MAX(n, 1), sizeof(struct planned)),
			     .sorted = mem_array(MAX(n, 1), sizeof(struct planned *)),
			     .n = n };
	int rc;

	*count = (struct import_count){ 0 };
	for (size_t i = 0; i < n; i++) {
		im.at[i] = (struct planned){ .row = &rows[i] };
		im.sorted[i] = &im.at[i];
	}
	qsort(im.sorted, n, sizeof(struct planned *), by_name);
	rc = import(&im, rows, count, e);
	known_release(&im.known);
	mem_free(&im.sorted);
	mem_free(&im.at);
	if (rc == 0)
		store_nudge(st);
	return rc;
}
