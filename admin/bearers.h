/*
 * Who may use the HTTP API from elsewhere: names with a role each, in a file of lines
 *
 *	NAME ROLE sha256:HEX DAY
 *
 * which holds no token, only their hashes: a token is 256 random bits, so that a plain SHA-256
 * of it cannot be searched. Only the file's owner may read and write it.
 */
#ifndef ADMIN_BEARERS_H
#define ADMIN_BEARERS_H

#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/wire/http_head.h"

#define BEARERS_MAX	 200
#define BEARER_NAME_MAX	 40
#define BEARER_FILE_MAX	 (64 * 1024) /* bytes */
#define BEARER_HASH_SIZE 32
#define BEARER_TEXT_SIZE (HTTP_TOKEN_LEN + 1)

/* Each may what the one before may. */
enum role { ROLE_NONE, ROLE_VIEW, ROLE_OPERATE, ROLES };
const char *role_name(enum role r); /* "none", "view", "operate" */
int role_find(const char *name);    /* -1: no such role that a token can have */

struct bearer {
	char name[BEARER_NAME_MAX + 1];
	enum role role;
	unsigned char hash[BEARER_HASH_SIZE];
	char day[16]; /* since when */
};

struct bearers {
	struct bearer at[BEARERS_MAX];
	size_t count;
};

/* *out is empty where there is no such file. */
int bearers_read(const char *path, struct bearers *out, struct err *e) MUST_CHECK;
/* Whole or not at all; owner: whose a new file is, an account's name (NULL: ours). */
int bearers_write(const char *path, const struct bearers *t, const char *owner,
		  struct err *e) MUST_CHECK;
/* Makes a token and adds its hash; text is all there ever is of it. */
int bearers_add(struct bearers *t, const char *name, enum role role,
		char text[BEARER_TEXT_SIZE], struct err *e) MUST_CHECK;
bool bearers_remove(struct bearers *t, const char *name); /* false: there is none */
/* Whose it is, in a time that does not depend on how much of it is right; NULL: nobody's. */
const struct bearer *bearers_find(const struct bearers *t, struct slice text);

/* A file that is followed: who was taken out of it is out at his next request. */
struct bearer_file {
	struct bearers tokens; /* empty while the file is bad */
	struct stat seen;
	int trouble;	  /* errno: it could not be read, and is tried again each time */
	unsigned edition; /* another one whenever it was read */
};
/* Reads it again if it has changed; what is wrong with it goes to the log, once. */
void bearer_file_look(struct bearer_file *f, const char *path);

#endif
