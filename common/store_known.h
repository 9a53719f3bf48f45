/*
 * Users and aliases that the store has, read at once to be looked up in memory: an import asks
 * for each of its rows. Within the caller's transaction. Only files named store*.c include this.
 */
#ifndef COMMON_STORE_KNOWN_H
#define COMMON_STORE_KNOWN_H

#include "common/store_driver.h"

struct known_user {
	char *name, *login[SIDES], *password_file[SIDES], *wave;
	enum user_state state;
	int64_t change;
};
struct known_alias {
	char *alias, *name;
	bool dropped; /* the importer's mark: it is there no more */
};

struct known {
	struct known_user *users; /* by name */
	struct known_alias *aliases; /* by alias */
	size_t user_count, alias_count, user_size, alias_size;
};

/* Of who is in the rows: these users with their aliases, and whose the rows' other words are.
 * *k is zeroed by the caller, and released also after an error. */
int known_read(struct known *k, struct db *db, const struct user_import *rows, size_t n,
	       struct err *e) MUST_CHECK;
void known_release(struct known *k);

/* Borrowed; NULL: there is none. */
const struct known_user *known_user(const struct known *k, const char *name);
/* Who has it as an alias. */
const struct known_alias *known_alias(const struct known *k, const char *alias);

#endif
