/*
 * OpenSRS's Mail API, as an administrator: each call is one HTTP POST of a JSON object to
 * URL/METHOD, and answered with one.
 *
 *	struct opensrs_call c = opensrs_call(OPENSRS_GET_USER, "anna@example.com");
 *	opensrs_run(o, &c, 1);
 *	if (c.ok) … c.answer …; else … c.e, c.number …
 *	opensrs_call_release(&c);
 *
 * Many calls run side by side on a few connections, which are kept. What failed on the way is
 * tried again with growing waits where that is safe. A create_only may have been carried out by
 * a try whose answer was lost: whoever hears OPENSRS_EXISTS looks what is there. For one
 * thread; blocks: for workers only.
 */
#ifndef SYNC_OPENSRS_H
#define SYNC_OPENSRS_H

#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/secret.h"

#define OPENSRS_ANSWER_MAX   (32 * 1024 * 1024) /* bytes */
#define OPENSRS_PARALLEL_MAX 16			/* calls at once; OpenSRS names no limit */
#define OPENSRS_TRIES	     4			/* of one call */
#define OPENSRS_BACKOFF_MS   250		/* before the second try; doubles */
#define OPENSRS_CLIENT	     "mailferry"	/* what their logs call us */

/* Error numbers that decide something (sync/opensrs_errors.c has all). */
#define OPENSRS_NONE	  -1
#define OPENSRS_LOGIN	  1
#define OPENSRS_MISSING	  2
#define OPENSRS_ALIAS	  3
#define OPENSRS_MALFORMED 5
#define OPENSRS_ATTRIBUTE 6
#define OPENSRS_EXISTS	  7
#define OPENSRS_FOREIGN	  9

enum opensrs_method {
	OPENSRS_AUTHENTICATE,
	OPENSRS_GENERATE_TOKEN,
	OPENSRS_GET_COMPANY,
	OPENSRS_GET_COMPANY_BULLETIN,
	OPENSRS_GET_DOMAIN,
	OPENSRS_CHANGE_DOMAIN,
	OPENSRS_SEARCH_DOMAINS,
	OPENSRS_GET_USER,
	OPENSRS_CHANGE_USER,
	OPENSRS_SEARCH_USERS,
	OPENSRS_DELETE_USER,
	OPENSRS_RESTORE_USER,
	OPENSRS_RENAME_USER,
	OPENSRS_LOGOUT_USER,
	OPENSRS_SET_ROLE,
	OPENSRS_GET_USER_FOLDERS,
	OPENSRS_GET_SIEVE,
	OPENSRS_SET_SIEVE,
	OPENSRS_MIGRATION_ADD,
	OPENSRS_MIGRATION_JOBS,
	OPENSRS_MIGRATION_STATUS,
	OPENSRS_MIGRATION_TRACE,
	OPENSRS_METHODS
};

struct opensrs_access {
	char *url;	      /* "https://admin.a.hostedemail.com/api" */
	char *user;	      /* "admin@shop.adm" */
	struct secret secret; /* its password, or */
	bool by_token;	      /* an API token */
	char *ca_file;	      /* NULL: the system's */
	int connect_s, answer_s;
	int parallel; /* calls at once, 1 to OPENSRS_PARALLEL_MAX */
};
void opensrs_access_release(struct opensrs_access *a);

struct opensrs_call {
	enum opensrs_method method;
	char *about;  /* whom or what it is about; NULL: nothing */
	json_t *body; /* parameters; more may be put in */
	/* Instead of the administrator's: a user who proves a password (borrowed). */
	const struct secret *as;

	/* what came of it */
	bool ok;
	int number;	/* of the API's error; OPENSRS_NONE: it was none of the API's */
	json_t *answer; /* NULL: none; of errors too */
	struct err e;	/* if not ok: the sentence with a remedy, without any secret of ours */
};

/* about goes into the body under the name that the method has for it. */
struct opensrs_call opensrs_call(enum opensrs_method m, const char *about);
void opensrs_call_release(struct opensrs_call *c);
const char *opensrs_method_name(enum opensrs_method m);

struct opensrs;
/* Nothing is connected yet. a is borrowed until opensrs_close(). */
int opensrs_open(struct opensrs **out, const struct opensrs_access *a,
		 struct err *e) MUST_CHECK;
void opensrs_close(struct opensrs **o);

/* Called when a call has ended; it may free what is in it. */
typedef void opensrs_done_fn(struct opensrs_call *c, void *arg);
/*
 * Runs them all. Those that fail have said so in themselves; one that finds the administrator's
 * login refused ends the rest, which then say the same. done may be NULL.
 */
void opensrs_run(struct opensrs *o, struct opensrs_call *calls, size_t n, opensrs_done_fn *done,
		 void *arg);
/* One call; 0 or -1 with its error. */
int opensrs_do(struct opensrs *o, struct opensrs_call *c, struct err *e) MUST_CHECK;

/*
 * A file of theirs that an answer names: only from where the API is, for its address holds a
 * token. The last `most` bytes of it are appended to out.
 */
int opensrs_fetch(struct opensrs *o, const char *url, size_t most, struct buf *out,
		  struct err *e) MUST_CHECK;
/* Stars in place of the secret. */
void opensrs_hide(char *text, struct slice secret);

/* ---- answers (pure) */

/*
 * What HTTP brought: 0, or -1 with the sentence; *again says that another try may bring more.
 * *answer is the object, or NULL where there is none. Unknown keys do not matter.
 */
int opensrs_judge(long status, struct slice body, json_t **answer, int *number, bool *again,
		  struct err *e) MUST_CHECK;
/* The sentence about an answer that says no. Their words are cut: what is to be hidden in them
 * has to be hidden before. */
void opensrs_refusal(json_t *answer, int number, struct err *e);
/* A number, or one written as a text; -1: neither. */
int opensrs_number(const json_t *v, int64_t *out) MUST_CHECK;
/* The string under the key; NULL: none. Borrowed. */
const char *opensrs_text(const json_t *o, const char *key);

#endif
