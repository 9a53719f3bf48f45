/*
 * Brings OpenSRS to what the list of accounts says: domains, then users. What is there as the
 * list says is left alone, so a second run changes nothing and one that was cut goes on where
 * it stood. Passwords are set when an account is made and never again: OpenSRS does not show
 * them, and the user may have changed his.
 */
#ifndef SYNC_PROVISION_H
#define SYNC_PROVISION_H

#include "sync/accounts.h"
#include "sync/opensrs.h"

#define PROVISION_MAX	   1000 /* users of one run, as OpenSRS has it for its own tool */
#define PROVISION_TEXT_MAX ERR_TEXT_MAX

enum provision_what {
	PROVISION_SAME,	   /* as the list says */
	PROVISION_CREATE,  /* dry run: would be made */
	PROVISION_CHANGE,  /* dry run: would be changed */
	PROVISION_CREATED, /* and let in with its password, where that is known */
	PROVISION_CHANGED,
	PROVISION_FAILED,
	PROVISION_WHATS
};
const char *provision_what_name(enum provision_what w); /* "same", "create", … */

struct provision_item {
	const char *name; /* address or domain; borrowed, as is text */
	unsigned line;	  /* in the list; 0: it is not there */
	enum provision_what what;
	const char *text; /* what differs, or the error; "" */
};
typedef void provision_fn(const struct provision_item *i, void *arg);

struct provision {
	struct opensrs *api;
	const struct accounts *list;
	bool dry_run;
	bool create_only; /* what is there stays as it is */
	/* Of each user, what he has logged in with, or empty; NULL: of nobody. */
	const struct secret *learned;
	provision_fn *fn; /* called once for each domain and user, when it is done */
	void *arg;
};

/*
 * For these users (addresses), and their domains. -1 where nothing could be asked at all: no
 * connection, login refused. What fails for one user is in his item.
 */
int provision_run(const struct provision *p, const char *const *users, size_t n,
		  struct err *e) MUST_CHECK;

#endif
