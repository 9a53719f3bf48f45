/*
 * What a worker is told about a batch of OpenSRS's migration tool, and what it tells: a part of
 * the line in sync/job.h, and the item of the event "pull".
 */
#ifndef SYNC_JOB_PULL_H
#define SYNC_JOB_PULL_H

#include <jansson.h>

#include "common/secret.h"
#include "common/store_pull.h"
#include "config/folder_rules.h"

#define JOB_PULL_MAX	       500	   /* users of a batch, as OpenSRS has it */
#define JOB_PULL_BYTES	       (96 * 1024) /* of all their texts; the line has to hold them */
#define JOB_PULL_OWN_MAX       64	   /* listeners of ours */
#define JOB_PULL_FOLDERS       200	   /* of a user that are told */
#define JOB_PULL_TRACE_MAX     (32 * 1024) /* bytes: the end of it */
#define JOB_PULL_FOLDERS_BYTES (96 * 1024) /* of them as JSON: the line has to hold them */
#define JOB_PULL_FOLDER_MAX    512	   /* bytes of a folder's name that are told */

struct job_pull_user {
	char *user, *wave, *login[SIDES];
	struct secret password[SIDES];
	struct folder_rules rules; /* not of the line: the worker reads them */
};

struct job_pull {
	bool on;      /* all else counts only then */
	char *job;    /* its name there */
	char *server; /* old's own address: "old.example.net:993" */
	char *method; /* "imap4s" … */
	char *rules;  /* file of folder rules; NULL: none */
	int poll_s;   /* between two looks */
	bool again;   /* the job may have been given to OpenSRS before */
	bool partial; /* it has more users, who cannot be followed now */
	char **own;   /* where our listeners are: "127.0.0.1 993" */
	size_t own_count;
	struct job_pull_user *users;
	size_t count;
};

void job_pull_user_release(struct job_pull_user *u);
void job_pull_release(struct job_pull *p);
/* An object; secrets with it: wipe the buf. */
void job_pull_write(const struct job_pull *p, struct buf *out);
int job_pull_read(json_t *j, struct job_pull *out) MUST_CHECK;

/* How it stands with one user. */
struct pull_item {
	const char *user;
	enum pull_state state; /* PULL_WAITING: was not given to the tool, and may be later */
	int64_t migrated, skipped, failed, total, bytes;
	const char *folder; /* that is at work; "" */
	const char *text;   /* what went wrong; "" */
	const char *trace;  /* the tool's own words; "" */
	json_t *folders;    /* [[NAME, done, total, failed] …] */
};
json_t *job_pull_item_json(const struct pull_item *i);
/* Borrows from j. -1: it is none. */
int job_pull_item_read(const json_t *j, struct pull_item *out) MUST_CHECK;

#endif
