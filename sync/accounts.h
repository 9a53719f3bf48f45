/*
 * The operator's list of accounts for OpenSRS: a CSV file, as a row for each user, and for
 * each domain ("@example.com") whose settings matter. Read anew by each worker that needs it,
 * since it may hold passwords: they are kept nowhere else.
 *
 * Columns, in any order; an empty value says nothing about the account:
 *   user         anna@example.com, or @example.com for the domain itself
 *   name         as it stands in From
 *   quota        bytes; K, M, G count in 1024s
 *   aliases      addresses (of a domain: domains), blanks or ';' between; all that there are
 *   language     de_DE
 *   timezone     Europe/Berlin
 *   forward      addresses that mail is sent on to
 *   keep         no: what is sent on does not stay here
 *   auto_reply   a text; \n is a new line
 *   services     imap4 pop3=disabled webmail=suspended …; what is not named stays as it is
 *   hash         of the password, of whatever kind (sync/hashes.h); or "learned": what the user
 *                has logged in with at the proxy (sync/learned.h)
 *   password     in clear text, or
 *   password_file a file with it in its first line
 */
#ifndef SYNC_ACCOUNTS_H
#define SYNC_ACCOUNTS_H

#include <jansson.h>

#include "common/login_name.h"
#include "common/secret.h"
#include "common/sheet.h"

#define ACCOUNTS_MAX	     1000000
#define ACCOUNTS_BYTES_MAX   (256 * 1024 * 1024) /* of the file */
#define ACCOUNT_NAME_MAX     512 /* characters; OpenSRS's own limits, as are these */
#define ACCOUNT_REPLY_MAX    4000
#define ACCOUNT_ALIASES_MAX  2000
#define ACCOUNT_FORWARDS_MAX 1000

struct account {
	unsigned line;
	char *name; /* address, normalised; of a domain "example.com" */
	bool is_domain;
	json_t *attributes;	/* as change_user and change_domain want them, no password */
	struct secret password; /* as it is sent; empty: the list has none */
	bool learned;		/* it is what the user has logged in with */
	bool hashed;		/* it is no clear text */
};

struct accounts {
	char *file;	    /* its name, for messages */
	struct account *at; /* by name */
	size_t count;
};

/*
 * base: folder that password files are meant from. On -1 errs has at least one entry, each with
 * its line, and *out is empty. No entry holds a password or a hash.
 */
int accounts_parse(struct slice csv, const char *file, const struct login_name_rules *rules,
		   const char *base, struct accounts *out,
		   struct sheet_errors *errs) MUST_CHECK;
/* The same of a file, which others than its owner may not read. */
int accounts_read(const char *path, const struct login_name_rules *rules, struct accounts *out,
		  struct sheet_errors *errs) MUST_CHECK;
void accounts_release(struct accounts *a);
/* NULL: there is no row for it. Borrowed. */
const struct account *accounts_find(const struct accounts *a, const char *name);

#endif
