/* Following users while something goes on: what `sync`, `cutover` and `status --watch` share.
 */
#ifndef ADMIN_CTL_FOLLOW_H
#define ADMIN_CTL_FOLLOW_H

#include "admin/ctl.h"
#include "admin/table.h"

/* Waits. An interrupt ends the command as usual; what it follows goes on. */
void follow_pause(int ms);

/* What workers do for these users: a table with bars. Returns the lines printed. */
size_t follow_print_work(struct ctl *c, const json_t *users);

/* Checks "USER", "--wave W" and, where it may be, "--all"; exactly one. NULL: said so already.
 */
json_t *follow_choice(struct ctl *c, bool all_too);

enum follow_end { FOLLOW_ON, FOLLOW_DONE, FOLLOW_FAILED };

/* One user being followed. */
struct followed {
	char *name;
	enum follow_end end;
	int64_t ended, attempts; /* sync: what was so before */
	char *shown;		 /* last line about it, or NULL */
};

/* Those being followed, by name. */
struct follow {
	struct ctl *ctl;
	struct followed *users;
	size_t count, open; /* open: not at their end yet */
	size_t failed;
	json_t *result; /* for --json: array of {"user", "result", "text"} */
};

/* Takes the users of the answer to a POST; with more than it names, asks for the rest. A CTL_
 * status. */
int follow_start(struct follow *f, struct ctl *c, const json_t *answer);
void follow_release(struct follow *f);
/* NULL: not followed. Borrowed. */
struct followed *follow_find(struct follow *f, const char *name);
/* Ends one: result is a word for --json ("flipped"), text explains it. */
void follow_end(struct follow *f, struct followed *u, enum follow_end end, const char *result,
		const char *text);
/* The present rows of those who are still open; a CTL_ status. */
int follow_look(struct follow *f, json_t **users);
/* --json's object, and the exit status. */
int follow_finish(struct follow *f);

/* colours and state */
enum table_tint ctl_state_tint(const json_t *user);
const char *ctl_pass_age(const json_t *progress, char out[TEXT_SMALL]);

#endif
