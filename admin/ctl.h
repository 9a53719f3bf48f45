/*
 * The operator's command: `mailferry VERB …`. One table of verbs holds names, options, help and
 * examples; each verb is a function that returns the exit status.
 */
#ifndef ADMIN_CTL_H
#define ADMIN_CTL_H

#include <jansson.h>

#include "admin/client.h"
#include "common/err.h"
#include "config/settings.h"

/* Exit statuses, as --help and README.md list them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,	   /* the thing asked for failed or was refused */
	CTL_USAGE = 2,	   /* wrong command line or wrong settings */
	CTL_NO_ENGINE = 3, /* the engine is not reachable */
};

#define CTL_CONFIG     "/etc/mailferry/mailferry.conf"
#define CTL_CONFIG_ENV "MAILFERRY_CONFIG"
#define CTL_ARGS_MAX   32

struct ctl_verb;

/* A command line, taken apart; and what its verb needs on the way. Texts are borrowed from
 * argv. */
struct ctl {
	const struct ctl_verb *verb;
	const char *config;
	bool json, help;
	/* options of single verbs */
	const char *wave, *state, *node, *side, *proto, *wait, *seconds, *bytes, *level,
		*check_file, *key;
	const char *note, *folder, *uid, *kind;			  /* waive */
	const char *at, *latest, *rate, *first_hour, *when_quiet; /* cutover */
	const char *item;					  /* phases */
	const char *role;					  /* token add */
	const char *html;					  /* report */
	bool dry_run, markdown, csv;
	bool all, watch, no_wait, withdraw, new_store, force, undo, check, stop, if_running,
		final, yes,
		stuck; /* pull */
	const char *handover; /* run: a descriptor, see admin/handover.h */
	const char *arg[CTL_ARGS_MAX];
	size_t arg_count;

	const char *program; /* argv[0] */
	FILE *out;
	bool terminal; /* out is one: colours and redrawing */
	bool settings_read;
	struct settings settings;
	struct client *client;
};

struct ctl_verb {
	const char *name;   /* "check config" */
	const char *usage;  /* what follows the name */
	const char *brief;  /* one line */
	const char *help;   /* paragraphs and examples */
	unsigned options;   /* bits of enum ctl_option */
	size_t least, most; /* arguments */
	int (*run)(struct ctl *c);
};

/*
 * Takes a command line apart; *c must be zeroed. ERR_INPUT says what is wrong with it. With
 * c->help set, c->verb may be NULL.
 */
int ctl_parse(struct ctl *c, int argc, char *const argv[], struct err *e) MUST_CHECK;
/* The whole command: parse, run, clean up. Returns the exit status. */
int ctl_main(int argc, char *const argv[], FILE *out);

/* ---- for the verbs */

/* Reads c->config into c->settings; prints all mistakes and returns CTL_USAGE if there are any.
 */
int ctl_settings(struct ctl *c);
/* Wrong use, found by a verb itself: says so, points at --help, returns CTL_USAGE. */
int ctl_usage(const struct ctl *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * Asks the engine (body NULL: GET, else POST; the body is consumed). CTL_OK with *answer, else
 * the reason is printed already and the status to exit with is returned.
 */
int ctl_ask(struct ctl *c, const char *path, json_t *body, json_t **answer);
/* The same for what is good to know but not needed: NULL if nobody answers, and nothing is
 * said. */
json_t *ctl_look(struct ctl *c, const char *path);
/* "/v1/users/NAME" + tail, with the name escaped; freed by the caller. */
char *ctl_user_path(struct ctl *c, const char *name, const char *tail);
/* Appends "?key=value" or "&key=value", escaped; does nothing if value is NULL. */
void ctl_param(struct ctl *c, char **path, const char *key, const char *value);
/*
 * Hands on, a page after the other, the users of a wave and state (NULL: any) that /v1/users
 * knows; with nobody, not once. A CTL_ status.
 */
typedef void ctl_page_fn(const json_t *users, void *arg);
int ctl_each_users(struct ctl *c, const char *wave, const char *state, ctl_page_fn *fn,
		   void *arg);
/* All of them in one array. */
int ctl_all_users(struct ctl *c, const char *wave, const char *state, json_t **users);
/* Asks for a route's longest page, and prints it with --json, else by print, which is handed
 * the list of this key. A CTL_ status. */
int ctl_print_list(struct ctl *c, const char *route, const char *key,
		   void (*print)(struct ctl *c, const json_t *list));
/* With --json: prints j on one line and returns true. */
bool ctl_json(struct ctl *c, const json_t *j);

/*
 * A job for this user from the store and the settings (which are read), without the engine;
 * then this process is as confined as a worker, for from here on hostile bytes are read. The
 * caller releases *j in both cases.
 */
struct job;
int ctl_user_job(struct ctl *c, const char *name, struct job *j, struct err *e) MUST_CHECK;

/* A table of sessions, or a sentence that there are none. */
void ctl_print_sessions(struct ctl *c, const json_t *list);

/* Members of an object; "" or 0 or false if there is none. */
const char *ctl_text(const json_t *j, const char *key);
int64_t ctl_int(const json_t *j, const char *key);
bool ctl_true(const json_t *j, const char *key);

/*
 * The nodes' answers to a request, owned by the caller: until every node has answered and
 * nothing remains of what was asked, or the time is over. A CTL_ status.
 */
int ctl_await_answers(struct ctl *c, int64_t request, int64_t wait_s, json_t **answers);

int ctl_run(struct ctl *c);	/* run.c */
int ctl_upgrade(struct ctl *c); /* ctl_upgrade.c */
int ctl_reload(struct ctl *c);	/* ctl_reload.c */
int ctl_rebuild(struct ctl *c);
int ctl_forget(struct ctl *c);
int ctl_users(struct ctl *c); /* ctl_show.c … */
int ctl_why(struct ctl *c);
int ctl_strangers(struct ctl *c);
int ctl_domains(struct ctl *c);	  /* ctl_domains.c */
int ctl_inventory(struct ctl *c); /* ctl_inventory.c */
int ctl_phases(struct ctl *c);	  /* ctl_phases.c */
int ctl_status(struct ctl *c);	  /* ctl_status.c */
int ctl_sessions(struct ctl *c);  /* ctl_sessions.c … */
int ctl_drop(struct ctl *c);
int ctl_drain(struct ctl *c);
int ctl_trace(struct ctl *c);  /* ctl_trace.c */
int ctl_import(struct ctl *c); /* ctl_do.c … */
int ctl_retry(struct ctl *c);
int ctl_log_level(struct ctl *c);
int ctl_exceptions(struct ctl *c); /* ctl_exceptions.c … */
int ctl_waive(struct ctl *c);
int ctl_preview(struct ctl *c);	 /* ctl_preview.c: sync --dry-run */
int ctl_sync(struct ctl *c);	 /* ctl_sync.c */
int ctl_cutover(struct ctl *c);	 /* ctl_cutover.c */
int ctl_rollback(struct ctl *c); /* the same */
int ctl_waves(struct ctl *c);	 /* ctl_waves.c … */
int ctl_pause(struct ctl *c);
int ctl_resume(struct ctl *c);
int ctl_history(struct ctl *c); /* ctl_past.c … */
int ctl_report(struct ctl *c);
int ctl_final(struct ctl *c);	     /* ctl_final.c: report --final */
int ctl_verify(struct ctl *c);	     /* ctl_verify.c */
int ctl_provision(struct ctl *c);    /* ctl_provision.c */
int ctl_pull(struct ctl *c);	     /* ctl_pull.c */
int ctl_check_config(struct ctl *c); /* ctl_check.c … */
int ctl_sample_config(struct ctl *c);
int ctl_learn_key(struct ctl *c);
int ctl_token_add(struct ctl *c); /* ctl_token.c … */
int ctl_token_list(struct ctl *c);
int ctl_token_remove(struct ctl *c);
int ctl_man(struct ctl *c);	       /* ctl_manual.c */
int ctl_completion(struct ctl *c);     /* ctl_completion.c */
int ctl_check_backends(struct ctl *c); /* ctl_backends.c */
int ctl_check_user(struct ctl *c);     /* ctl_check_user.c */
int ctl_check_dns(struct ctl *c);      /* ctl_check_dns.c */

#endif
