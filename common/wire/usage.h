/*
 * Which extensions clients use, seen from the commands that pass: so that an operator knows
 * what a new server without one of them would mean. A hint for people, never a rule.
 */
#ifndef COMMON_WIRE_USAGE_H
#define COMMON_WIRE_USAGE_H

#include "common/wire/imap.h"
#include "common/wire/pop3.h"

/* clang-format off */
enum usage {
	USAGE_ACL, USAGE_BINARY, USAGE_COMPRESS, USAGE_CONDSTORE, USAGE_CREATE_SPECIAL_USE,
	USAGE_ENABLE, USAGE_ESEARCH, USAGE_ID, USAGE_IDLE, USAGE_LIST_EXTENDED,
	USAGE_LIST_STATUS, USAGE_LITERAL_PLUS, USAGE_METADATA, USAGE_MOVE, USAGE_NAMESPACE,
	USAGE_NOTIFY, USAGE_PREVIEW, USAGE_QRESYNC, USAGE_QUOTA, USAGE_REPLACE, USAGE_SORT,
	USAGE_SPECIAL_USE, USAGE_STATUS_SIZE, USAGE_THREAD, USAGE_UIDPLUS, USAGE_UNSELECT,
	USAGE_UTF8,
	USAGE_IMAP_SESSIONS, /* all of them, to compare with */
	USAGE_TOP, USAGE_UIDL,
	USAGE_POP3_SESSIONS,
	USAGES
};
/* clang-format on */
_Static_assert(USAGES <= 64, "a bit for each");
#define USAGE_BIT(u) (UINT64_C(1) << (u))

/* "IDLE": as servers list it, up to an "="; "sessions" for all of them. */
const char *usage_name(enum usage u);
bool usage_is_pop3(enum usage u);

/* What the command (its first line) uses, a bit for each. */
uint64_t usage_of_imap(const struct imap_command *c);
uint64_t usage_of_pop3(const struct pop3_command *c);

#endif
