/* The table of verbs, with their help: what `mailferry --help` prints. */
#ifndef ADMIN_CTL_VERBS_H
#define ADMIN_CTL_VERBS_H

#include "admin/ctl.h"

enum ctl_option {
	CTL_WAVE = 1 << 0,
	CTL_STATE = 1 << 1,
	CTL_ALL = 1 << 2,
	CTL_WATCH = 1 << 3,
	CTL_NO_WAIT = 1 << 4,
	CTL_WITHDRAW = 1 << 5,
	CTL_NEW_STORE = 1 << 6,
	CTL_SESSIONS = 1 << 7, /* --node --side --proto */
	CTL_FORCE = 1 << 8,
	CTL_WAIT = 1 << 9,
	CTL_SECONDS = 1 << 10,
	CTL_UNDO = 1 << 11,
	CTL_TRACE = 1 << 13, /* --bytes --stop */
	CTL_NOTE = 1 << 17,
	CTL_WAIVE = 1 << 15,  /* --folder --uid --kind */
	CTL_VERIFY = 1 << 14, /* --level --check-file --key */
	CTL_DRY_RUN = 1 << 16,
	CTL_CSV = 1 << 19,
	CTL_PHASES = 1 << 18, /* --done --markdown */
	CTL_WHEN = 1 << 20,   /* --at --latest --rate --first-hour --when-quiet */
	CTL_ROLE = 1 << 21,
	CTL_IF_RUNNING = 1 << 22,
	CTL_REPORT = 1 << 23, /* --final --html */
	CTL_STUCK = 1 << 24,
	CTL_HANDOVER = 1 << 12, /* between the images of a supervisor */
};

struct ctl_option_row {
	const char *name;
	unsigned bit;	/* which verbs take it; 0: all */
	size_t text_at; /* where its value goes in struct ctl, or … */
	size_t flag_at; /* … where true goes; the other is 0 */
};
extern const struct ctl_option_row ctl_options[]; /* ctl.c */
extern const size_t ctl_option_count;

extern const struct ctl_verb ctl_verbs[];
extern const size_t ctl_verb_count;
extern const char ctl_help_common[]; /* global options and exit statuses */

#endif
