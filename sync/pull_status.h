/*
 * What migration_status says of one user, and when OpenSRS's tool is through with him. Pure.
 *
 * No mark of an end is known. A user is ended when all folders that are wanted are there, in
 * each of them what was pulled, skipped and given up is what the old server has, and the
 * figures are the same for a few looks. An answer that was cut, or contradicts itself, is no
 * end: the tool may be at work, and a mailbox that is let go too early gets its mail twice.
 */
#ifndef SYNC_PULL_STATUS_H
#define SYNC_PULL_STATUS_H

#include <jansson.h>

#include "common/buf.h"

/* Looks that show the same figures: the end where they add up, … */
#define PULL_STEADY_LOOKS 2
#define PULL_UNSURE_LOOKS \
	5 /* … where there was a critical error, or who or what is not there, */
#define PULL_MISSING_LOOKS 20 /* … where a folder that should be among them is not */

#define PULL_FOLDERS_MAX 10000 /* of one user; what is more is not looked at */

struct pull_folder {
	char *name; /* as the old server writes it */
	int64_t migrated, skipped, failed, total;
};

struct pull_status {
	bool there;   /* the job knows the user */
	bool started; /* and has begun */
	bool sound;   /* nothing is missing, makes no sense, or contradicts the rest */
	int64_t migrated, skipped, failed, total, bytes, critical; /* of all folders */
	struct pull_folder *at;					   /* by name */
	size_t count;
};

/* Is it an answer about a job, in which each user can be told from the others? Else who is not
 * in it may be in the job all the same. */
bool pull_status_lists_all(const json_t *answer);
/* On old, of the user at this place; borrowed. NULL: there are no more. */
const char *pull_status_login(const json_t *answer, size_t at);
/* Of the user with this login on old. Figures may be numbers or texts; one that is missing, or
 * makes no sense, is 0. */
void pull_status_read(const json_t *answer, const char *login, struct pull_status *out);
void pull_status_release(struct pull_status *s);
bool pull_status_same(const struct pull_status *a, const struct pull_status *b);

/* Is all sound, do the figures add up, and is each of the names (an array; NULL: not known)
 * among them? skip: names that need not. */
bool pull_status_whole(const struct pull_status *s, const json_t *wanted, const json_t *skip);
/* [[name, pulled or skipped, total, given up], …] of the first folders, as many as a line of a
 * worker has room for. The caller's. */
json_t *pull_status_json(const struct pull_status *s);
/* The one that is being pulled, or NULL. Borrowed. */
const struct pull_folder *pull_status_at_work(const struct pull_status *s, const json_t *skip);

/* ---- look by look */

struct pull_seen {
	struct pull_status now;
	int steady; /* looks that showed the same */
};
void pull_seen_release(struct pull_seen *s);
/* false: the user was in it and is not any more, which says nothing: nobody leaves a job. */
bool pull_seen_take(struct pull_seen *s, const json_t *answer, const char *login);
/* Is the tool through with the user? wanted, skip: as above. */
bool pull_seen_ended(const struct pull_seen *s, const json_t *wanted, const json_t *skip);

/* Is a name in an array of them? NULL: no. */
bool pull_names_have(const json_t *names, const char *name);

#endif
