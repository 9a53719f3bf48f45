/* Hides: what a row of the list says about a user. */
#include "admin/import.h"

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

#define ALIASES_MAX 64 /* of one user */
#define WAVE_MAX    64 /* bytes */

struct import {
	struct sheet *sheet;
	const char *base;
	const struct login_name_rules *rules;
	struct import_list *out;
};

#define complain(i, ...) sheet_complain((i)->sheet, sheet_line((i)->sheet), __VA_ARGS__)

#define NO_PASSWORDS \
	"no passwords in the list; put each into a file of its own and name that in "

static const char *refuse_column(const char *name)
{
	if (strcmp(name, "old_password") == 0)
		return NO_PASSWORDS "old_password_file";
	return strcmp(name, "new_password") == 0 ? NO_PASSWORDS "new_password_file" : NULL;
}

/* ---- rows */

static char *normalised(struct import *i, struct slice raw, const char *what)
{
	char name[LOGIN_NAME_MAX + 1];

	if (login_name_normalise(raw, i->rules, name, sizeof name) == 0)
		return mem_str(name);
	complain(i, "%s \"%.*s\" is no login name", what,
		 (int)MIN(raw.n, (size_t)80), raw.p);
	return NULL;
}

static const char *password_file(struct import *i, enum column c)
{
	const char *text = sheet_value(i->sheet, c);
	struct secret s = { 0 };
	struct err e = { 0 };
	char *path;

	if (!text[0] || strcmp(text, "none") == 0)
		return NULL;
	path = text[0] == '/' || !i->base ? mem_str(text) : mem_printf("%s/%s", i->base, text);
	if (secret_read_file(&s, path, &e) < 0)
		complain(i, "%s: %s", column_names[c], e.text);
	secret_release(&s);
	return path;
}

static const char *const *aliases(struct import *i)
{
	const char *rest = sheet_value(i->sheet, COL_ALIASES);
	struct slice word;
	char **list;
	size_t n = 0;

	if (!sheet_has(i->sheet, COL_ALIASES))
		return NULL;
	list = mem_array(ALIASES_MAX + 1, sizeof *list);
	while ((word = sheet_word(&rest)).n) {
		if (n == ALIASES_MAX) {
			complain(i, "more than %d aliases", ALIASES_MAX);
			break;
		}
		list[n] = normalised(i, word, "alias");
		n += list[n] != NULL;
	}
	return (const char *const *)list;
}

static char *login(const struct import *i, enum column c)
{
	const char *text = sheet_value(i->sheet, c);

	return mem_str(text[0] ? text : sheet_value(i->sheet, COL_USER));
}

static void take_row(struct sheet *s, void *import)
{
	struct import *i = import;
	struct import_list *l = i->out;
	struct user_import *row;

	i->sheet = s;
	if ((l->count & (l->count - 1)) == 0)
		l->rows = mem_grow(l->rows, MAX(l->count * 2, (size_t)1), sizeof *l->rows);
	row = &l->rows[l->count++];
	*row = (struct user_import){ .line = sheet_line(s) };
	row->name = normalised(i, slice_of(sheet_value(s, COL_USER)), "user");
	row->login[SIDE_OLD] = login(i, COL_OLD_LOGIN);
	row->login[SIDE_NEW] = login(i, COL_NEW_LOGIN);
	row->password_file[SIDE_OLD] = password_file(i, COL_OLD_PASSWORD_FILE);
	row->password_file[SIDE_NEW] = password_file(i, COL_NEW_PASSWORD_FILE);
	row->aliases = aliases(i);
	if (sheet_has(s, COL_WAVE))
		row->wave = mem_str(sheet_value(s, COL_WAVE));
	if (row->wave && strlen(row->wave) > WAVE_MAX)
		complain(i, "wave is longer than %d bytes", WAVE_MAX);
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
static void check_twice(const struct import_list *l, const char *file,
			struct sheet_errors *errs)
{
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
			sheet_errors_add(errs, file, all[k].line,
					 "%s is already in line %u", all[k].name,
					 all[k - 1].line);
	free(all);
}

/* ---- the whole */

int import_parse(struct slice csv, const char *name, const struct login_name_rules *rules,
		 const char *base, struct import_list *out, struct sheet_errors *errs)
{
	struct import i = { .base = base, .rules = rules, .out = out };
	struct sheet_opts o = { .file = name,
				.columns = column_names,
				.column_count = COLUMNS,
				.known = ALL_COLUMNS,
				.rows_max = IMPORT_ROWS_MAX,
				.rows = "user",
				.on_row = take_row,
				.refuse = refuse_column,
				.arg = &i };

	*out = (struct import_list){ 0 };
	*errs = (struct sheet_errors){ 0 };
	if (sheet_read(csv, &o, errs) == 0)
		check_twice(out, name, errs);
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
