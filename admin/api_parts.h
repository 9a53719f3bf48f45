/* What the API's own files share: one call, its answer, its ways to fail. Not for others. */
#ifndef ADMIN_API_PARTS_H
#define ADMIN_API_PARTS_H

#include "admin/api.h"
#include "admin/api_json.h"
#include "admin/final.h"
#include "admin/rates.h"

struct api {
	struct store *store;
	const struct settings *settings;
	const struct api_hooks *hooks;
	void *arg;
	/* The summary has the store read every row; on a large one it is made anew only now and
	 * then. */
	struct {
		json_t *made; /* NULL: none yet */
		int64_t due;  /* clock_mono_ms() */
	} summary;
	struct api_events *events; /* NULL: none */
	struct final *final;	   /* NULL: none */
	struct rates rates;
};

struct journal;

/* One request on its way through a route. */
struct api_call {
	struct api *api;
	const struct http_request *request;
	char name[STORE_NAME_MAX +
		  1]; /* the user in the path, normalised; "" if the route has none */
	struct http_answer *answer;
	json_t *in;  /* what was posted; an object, or NULL with GET */
	json_t *out; /* the answer, an empty object at first */
};

/* Each returns the HTTP status it has put into the answer. */
int api_refuse(struct api_call *c, int status, const char *remedy, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
int api_fail(struct api_call *c, const struct err *e);
/* Who asks, for the history: "operator uid 0", "operator anna". */
#define API_ACTOR_MAX 64
void api_actor(const struct api_call *c, char out[API_ACTOR_MAX]);
int api_no_user(struct api_call *c, const char *name);

/* api_words.c: has what was posted to this route other words than it takes, or of another type?
 * 0, or the status of a refusal. */
int api_check_words(struct api_call *c, const char *path);
/* What a route takes: {"user": "string", "go": "boolean", "rate": "integer"}; of the caller. */
json_t *api_json_words(const char *path);

/* false: the name is no login name. */
bool api_normalise(const struct api *a, const char *raw, char out[STORE_NAME_MAX + 1]);
/* true: a worker is at it; *out is filled. */
bool api_is_live(const struct api *a, const char *name, struct api_live *out);
/* The row, with what the engine does for the user at this moment. */
json_t *api_user_now(const struct api *a, const struct user *u);

/* api_status.c */
int api_get_status(struct api_call *c);
/* What is summed up over users and sessions, as /v1/status has it; owned by the caller. */
int api_summary(struct api *a, json_t **out, struct err *e) MUST_CHECK;
/* api_events.c */
int api_get_events(struct api_call *c);
struct api_events *api_events_new(struct api *a, struct event_base *base);
/* When the server has stopped. */
void api_events_free(struct api_events **v);
int api_get_rates(struct api_call *c);
/* api_monitor.c: for machines, as text */
int api_get_metrics(struct api_call *c);
int api_get_health(struct api_call *c);
int api_get_readiness(struct api_call *c);
/* api_why.c */
int api_get_why(struct api_call *c);
/* api_do.c */
int api_post_import(struct api_call *c);
int api_post_sync(struct api_call *c);
int api_post_retry(struct api_call *c);
int api_post_verify(struct api_call *c);
int api_get_verify(struct api_call *c);
int api_post_reload(struct api_call *c);
int api_post_rebuild(struct api_call *c);
int api_post_requests(struct api_call *c);

/* api_waves.c */
struct timetable;
json_t *api_json_timetable(const struct timetable *t);
int api_post_cutover(struct api_call *c);
int api_post_pause(struct api_call *c);
int api_post_resume(struct api_call *c);
int api_get_waves(struct api_call *c);

/* api_past.c */
int api_get_logins(struct api_call *c);
int api_get_drops(struct api_call *c);
int api_get_report(struct api_call *c);

/* final.c */
int api_get_final(struct api_call *c);
int api_post_final(struct api_call *c);

/* api_provision.c */
int api_post_provision(struct api_call *c);
int api_get_provision(struct api_call *c);

/* api_pull.c */
int api_post_pull(struct api_call *c);
int api_get_pull(struct api_call *c);
/* Under "pull", how many of a wave (NULL: of all) are in each state of it. */
int api_put_pulls(struct api *a, json_t *out, const char *wave, struct err *e) MUST_CHECK;

/* api_rollback.c */
int api_post_rollback(struct api_call *c);

/* api_exceptions.c */
int api_get_exceptions(struct api_call *c);
int api_waive_exceptions(struct api_call *c);
#define API_WAIVED "waived: " /* so the row of history begins */
/* 1: *out is the user's journal, 0: there is none yet, -1. Closed in each case. */
int api_open_journal(struct api *a, const char *user, struct journal **out,
		     struct err *e) MUST_CHECK;
/* The same for who asks again later: nothing waits for one that is on its way. */
int api_try_journal(struct api *a, const char *user, struct journal **out,
		    struct err *e) MUST_CHECK;
void api_close_journal(struct api *a, const char *user, struct journal **j);
/* api_waivers.c: of checks, for a user or a wave; of exceptions, for a user. */
int api_post_waive(struct api_call *c);

/* The user's exceptions are tried again (whose journal is being written to goes into "busy"),
 * and so is what runs for him right now, once it has ended. */
int api_retry_user(struct api_call *c, const char *name, struct err *e) MUST_CHECK;

/* Whom a POST is about (api_choice.c). */
struct choice {
	char name[STORE_NAME_MAX + 1]; /* "": not one user */
	const char *wave;	       /* NULL: not a wave; borrowed from the call */
	json_t *users;		       /* array of user objects, as they were before */
	char **names;
	size_t count;
};
/* Reads {"user"} or {"wave"} or, if it may be, {"all": true}. 0, or the status of a refusal. */
int api_choose(struct api_call *c, bool all_too, struct choice *w);
void api_choice_release(struct choice *w);
/* Puts "count" and "users" into the answer. */
void api_put_choice(struct api_call *c, const struct choice *w);
/* Calls fn, with the call, for each of the chosen. 0: it was one, and there is none; -1. */
int api_each_chosen(struct api_call *c, const struct choice *w, store_user_fn *fn,
		    struct err *e) MUST_CHECK;
/*
 * A GET about ?user= or ?wave=: calls fn, with the call, for each of them, to fill the list
 * "users" of the answer. Returns the status.
 */
int api_each_asked(struct api_call *c, store_user_fn *fn);
/* Tells the engine to look. */
void api_poke(struct api *a);

/* A list that stops growing at its limit and then says that there is more; or, with last, lets
 * its first go. */
struct api_page {
	struct api *api;
	json_t *list;
	size_t limit;
	bool more, last;
};
struct api_page api_page_new(struct api *a, size_t limit);
/* Takes item. 1: the page is full, stop. */
int api_page_add(struct api_page *p, json_t *item);
/* The page that ?limit= asks for; 0, or the status of a refusal. */
int api_asked_page(struct api_call *c, struct api_page *p);
/* The same, with ?after=, an id, or ?last=, the last so many in place of the first. */
int api_asked_page_after(struct api_call *c, struct api_page *p, int64_t *after);
/* ?user=, normalised; NULL: not given. 0, or the status of a refusal. */
int api_asked_user(struct api_call *c, const char **name);
/* ?name=, at most max; 0, or the status of a refusal. *out stays where it is not given. */
int api_asked_number(struct api_call *c, const char *name, uint64_t max, uint64_t *out);
/* Ends a list: rc is what the store's iterator returned. */
int api_finish(struct api_call *c, struct api_page *p, const char *key, int rc, struct err *e);

/* api_desk.c */
int api_get_sessions(struct api_call *c);
int api_get_answers(struct api_call *c);
int api_post_drop(struct api_call *c);
int api_post_drain(struct api_call *c);
int api_post_forget(struct api_call *c);

/* api_domains.c */
int api_get_domains(struct api_call *c);
/* Users counted by domain, by name; zeroed it is empty. */
struct api_domain {
	char *name;
	int64_t count[USER_STATES], strays, last_arrival;
};
struct api_domains {
	struct api_domain *at;
	size_t count;
};
void api_domains_add(struct api_domains *l, const struct user *u);
void api_domains_release(struct api_domains *l);
json_t *api_json_domain(struct api *a, const struct api_domain *d);
/* Calls fn for each domain that has users, by name; "" are users without one. Nonzero from fn
 * stops and is returned. */
typedef int api_domain_fn(const char *domain, void *arg);
int api_each_domain(struct api *a, api_domain_fn *fn, void *arg, struct err *e) MUST_CHECK;

/* api_inventory.c */
int api_get_inventory(struct api_call *c);

/* api_phases.c */
int api_get_phases(struct api_call *c);
int api_post_phases(struct api_call *c);

/* api_trace.c */
int api_get_trace(struct api_call *c);
int api_post_trace(struct api_call *c);

/* api_lists.c */
int api_get_users(struct api_call *c);
int api_get_user(struct api_call *c);
int api_get_history(struct api_call *c);
int api_get_strangers(struct api_call *c);
int api_get_usage(struct api_call *c);
int api_get_nodes(struct api_call *c);
int api_get_holds(struct api_call *c);

/*
 * Puts the last `count` history rows of a user (oldest first) under "history", the sessions of
 * a user (NULL: all) under "sessions", the nodes under "nodes". 0 or -1.
 */
int api_put_history_tail(struct api_call *c, const char *name, size_t count, struct err *e);
int api_put_sessions(struct api_call *c, const char *name, size_t limit, struct err *e);
int api_put_nodes(struct api *a, json_t *out, struct err *e);

#endif
