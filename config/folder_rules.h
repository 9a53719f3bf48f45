/*
 * What the operator says about folders: which go where, which stay behind. A text file
 * (sync.folders), read anew for each job:
 *
 *	# names in UTF-8, as `mailferry sync USER --dry-run` prints them
 *	map "Sent Items" = "Sent"
 *	skip "Public.*"
 *	wave 2
 *	skip "Old stuff"
 *	user anna@example.com
 *	map "trash" = "Trash of old"
 *	all
 *
 * "user", "wave" and "all" (the beginning) say for whom the lines below count; "*" stands for
 * anything. Rules for the
 * user go before those of the wave, and those before those for all. A skipped folder's
 * subfolders are skipped too; a mapped folder's go with it.
 */
#ifndef CONFIG_FOLDER_RULES_H
#define CONFIG_FOLDER_RULES_H

#include "common/buf.h"
#include "common/err.h"

#define FOLDER_RULES_MAX      1000	    /* of one user */
#define FOLDER_RULE_NAME_MAX  1000	    /* bytes */
#define FOLDER_RULES_FILE_MAX (1024 * 1024) /* bytes */
#define FOLDER_RULES_TEXT_MAX \
	(64 * 1024) /* bytes of one user's names: they must fit into a job */

struct folder_rule {
	char *old, *new; /* UTF-8 */
};

struct folder_rules {
	bool shared; /* other users' and shared folders are wanted too; not from the file */
	struct folder_rule *map; /* what goes first counts first */
	size_t map_count;
	char **skip; /* patterns */
	size_t skip_count;
};

/* Those that count for a user; wave may be NULL or "". An ERR_INPUT names file, line and what
 * is wrong; every line is checked, also those for others. */
int folder_rules_read(const char *path, const char *user, const char *wave,
		      struct folder_rules *out, struct err *e) MUST_CHECK;
void folder_rules_release(struct folder_rules *r);

void folder_rules_add_map(struct folder_rules *r, const char *old, const char *new);
void folder_rules_add_skip(struct folder_rules *r, const char *pattern);

/* "*" in the pattern stands for any bytes. */
bool folder_pattern_fits(const char *pattern, const char *name);

#endif
