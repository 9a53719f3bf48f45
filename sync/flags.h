/*
 * Flags of a message as one canonical text: sorted, each once, one space between, without
 * \Recent (which belongs to a session, RFC 3501 2.3.2). A pool keeps each text once, so that
 * two texts of one pool are equal exactly if their pointers are.
 */
#ifndef SYNC_FLAGS_H
#define SYNC_FLAGS_H

#include "common/buf.h"

#define FLAGS_MAX      256 /* flags of one message; more are left out */
#define FLAGS_SYSTEM   "\\Answered \\Deleted \\Draft \\Flagged \\Seen"
#define FLAGS_TEXT_MAX 8192 /* bytes of a canonical text */

struct flag_pool;
struct flag_pool *flag_pool_new(void);
void flag_pool_free(struct flag_pool **p); /* and all its texts */

/*
 * The canonical text of flags divided by spaces. System flags are case-insensitive and come out
 * in the spelling of RFC 3501; what is no flag (a byte outside RFC 3501's atom) is left out.
 * Lives as long as the pool.
 */
const char *flags_of(struct flag_pool *p, struct slice flags);

/* What of the flags a folder with these PERMANENTFLAGS can keep; NULL or "" means not told:
 * all. */
const char *flags_that_fit(struct flag_pool *p, const char *flags, const char *permanent);

/* Is each flag of a in b? */
bool flags_within(const char *a, const char *b);
/* Takes the next word off *s; false if there is none. */
bool flags_next(struct slice *s, struct slice *word);
bool flags_have(const char *flags, const char *flag);
/* The same but for keywords: equal system flags. */
bool flags_same_system(const char *a, const char *b);

#endif
