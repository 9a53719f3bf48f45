/*
 * What a folder is for, by its name: for servers that do not say so (RFC 6154). Sent, drafts,
 * trash, junk and archive in the languages that most mail is written in.
 */
#ifndef SYNC_SPECIAL_NAMES_H
#define SYNC_SPECIAL_NAMES_H

#include "sync/mailbox.h"

struct special_name {
	enum special_use use;
	const char *folded; /* folder_name_fold() of the name */
};

/* text: the last part of a name, in UTF-8. USE_NONE: it means nothing. */
enum special_use special_name_use(const char *text);
/* The whole table, for tests. */
const struct special_name *special_names(size_t *count);

#endif
