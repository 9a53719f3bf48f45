/*
 * Hides: the words that clients hear. Which words make which client ask for a password again
 * decides them: only [UNAVAILABLE] with a text keeps Thunderbird and K-9 quiet, and fetchmail
 * looks for "lock" and "wait".
 */
#include "proxy/protocol.h"

static const struct {
	const char *imap, *pop3;
} texts[] = {
	[REJECT_NONE] = { "OK Logged in.", "+OK Logged in." },
	[REJECT_BAD_LOGIN] = { "NO [AUTHENTICATIONFAILED] Authentication failed.",
			       "-ERR [AUTH] Authentication failed." },
	[REJECT_DOWN] = { "NO [UNAVAILABLE] Mailbox is temporarily unavailable, please try again in a "
			  "few minutes.",
			  "-ERR [SYS/TEMP] Mailbox is locked for maintenance, wait a few minutes." },
	[REJECT_MOVING] = { "NO [UNAVAILABLE] Mailbox is being moved, please try again in a few minutes.",
			    "-ERR [SYS/TEMP] Mailbox is locked for maintenance, wait a few minutes." },
	[REJECT_LIMIT] = { "NO [LIMIT] Too many connections, please try again later.",
			   "-ERR [IN-USE] Too many connections, wait a few minutes." },
	[REJECT_DELAY] = { "NO [UNAVAILABLE] Too many failed logins, please try again in a few minutes.",
			   "-ERR [SYS/TEMP] Too many failed logins, wait a few minutes." },
	[REJECT_PRIVACY] = { "NO [PRIVACYREQUIRED] Start TLS first.", "-ERR Start TLS first." },
};
_Static_assert(COUNT(texts) == REJECTS, "a text for every reason");

const char *reject_imap(enum reject r)
{
	return texts[r].imap;
}

const char *reject_pop3(enum reject r)
{
	return texts[r].pop3;
}
