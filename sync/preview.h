/*
 * What a pass would do with a user's folders, without doing any of it: logs in on both sides,
 * lists, counts; a folder that may have been renamed is only read (EXAMINE). The journal is
 * read if there is one.
 */
#ifndef SYNC_PREVIEW_H
#define SYNC_PREVIEW_H

#include "sync/folders.h"
#include "sync/job.h"

enum preview_step {
	PREVIEW_KEEP,	/* it is there */
	PREVIEW_MAKE,	/* to be made there */
	PREVIEW_RENAME, /* to be renamed there, from `was` */
	PREVIEW_NAME,	/* holds no mail: only its name, for others and for subscriptions */
	PREVIEW_SHARED, /* left out: another user's or shared */
	PREVIEW_SKIP,	/* left out: a rule says so */
	PREVIEW_STEPS
};
const char *preview_step_name(enum preview_step s);

/* Names in UTF-8, each with its server's prefix and separator; that is how rules name them. */
struct preview_folder {
	const char *old, *new, *was; /* new, was: NULL where there is none */
	enum preview_step step;
	enum folder_why why;	 /* of the name on the side that follows */
	int64_t messages, bytes; /* on the side that counts; -1: not told */
	/* which UIDs its mail has there or, before the first pass, can have (sync/uid_mode.h);
	 * NULL: nobody chooses them */
	const char *uids;
	const char *uids_why; /* why it is not what is wished; "" */
};
typedef void preview_fn(const struct preview_folder *f, void *arg);

/* Parents before children; what is left out comes last. Texts are borrowed during the call. */
int preview_user(const struct job *job, preview_fn *fn, void *arg, struct err *e) MUST_CHECK;

#endif
