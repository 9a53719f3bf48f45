/* Hides: nothing; the table, and how a row is recognised. */
#include "sync/quirks.h"

#include <strings.h>

static const struct row {
	struct quirks q;
	const char *greeting, *capability, *id; /* any of them; NULL: not by this */
} rows[] = {
	{ { .name = "Gmail",
	    .appends_seen = true,
	    .views = true,
	    .connections = 10,
	    .note = "a message with two labels is in two folders and in All Mail; what is appended "
		    "twice is kept once; 2.5 GB a day down, 0.5 GB up" },
	  "Gimap",
	  "X-GM-EXT-1",
	  "GImap" },
	{ { .name = "Exchange",
	    .appends_seen = true,
	    .connections = 8,
	    .note = "it throttles, and says for how long; a login that it takes may be wrong; ten "
		    "refused commands end a connection" },
	  "Microsoft Exchange",
	  NULL,
	  "Microsoft.Exchange" },
	{ { .name = "Yahoo",
	    .page = 1000,
	    .connections = 4,
	    .note = "it lists 1000 messages at a time, and wants a line end at the end" },
	  "yahoo",
	  "XYMHIGHESTMODSEQ",
	  "Yahoo" },
	{ { .name = "Courier",
	    .connections = 4,
	    .note = "what was appended shows after a NOOP; it allows 4 connections from one address "
		    "(MAXPERIP)" },
	  "Courier",
	  NULL,
	  "Courier" },
	{ { .name = "Zimbra", .note = "folders of other kinds than mail are left out by it" },
	  "Zimbra",
	  NULL,
	  "Zimbra" },
	{ { .name = "Cyrus",
	    .appends_seen = true,
	    .no_mailboxid =
		    true, /* 3.6 gives freed memory, if it is asked for more than that */
	    .note = "it refuses NUL, bare line ends and header lines that are none" },
	  "Cyrus",
	  "XMOVE",
	  "Cyrus" },
	{ { .name = "OpenSRS",
	    .note = "separator \".\"; what it can do is probed, for nobody has written it down" },
	  "hostedemail",
	  NULL,
	  "OpenSRS" },
	{ { .name = "Dovecot",
	    .appends_seen = true,
	    .connections = 10,
	    .note = "it refuses empty messages; 10 connections of a user from one address "
		    "(mail_max_userip_connections)" },
	  "Dovecot",
	  "CONTEXT=SEARCH", /* nobody else has it */
	  "Dovecot" },
	{ { .name = "unknown" }, NULL, NULL, NULL },
};

static bool contains(struct slice s, const char *words)
{
	size_t n = words ? strlen(words) : 0;

	for (size_t i = 0; n && i + n <= s.n; i++)
		if (strncasecmp(s.p + i, words, n) == 0)
			return true;
	return false;
}

const struct quirks *quirks_find(struct slice greeting, struct slice capabilities,
				 struct slice id)
{
	size_t last = COUNT(rows) - 1;

	for (size_t i = 0; i < last; i++)
		if (contains(greeting, rows[i].greeting) ||
		    contains(capabilities, rows[i].capability) || contains(id, rows[i].id))
			return &rows[i].q;
	return &rows[last].q;
}

bool quirks_known(const struct quirks *q)
{
	return q != &rows[COUNT(rows) - 1].q;
}
