/*
 * Between the files that make up a node's follower: follower.c (the thread, its lease, whether the
 * store is the one it was), follower_news.c (what goes to the loop), follower_read.c (what is
 * read), follower_orders.c (what the loop wants written) and follower_write.c (how it is). For
 * no one else.
 */
#ifndef PROXY_FOLLOWER_IMPL_H
#define PROXY_FOLLOWER_IMPL_H

#include <pthread.h>

#include "common/flips.h"
#include "proxy/follower.h"
#include "proxy/overlay.h"

/* We fence ourselves this much before others may count us as gone. */
#define OWN_MARGIN_MS 5000

/* To the loop. */
enum news_kind {
	NEWS_USER,
	NEWS_ALIAS,
	NEWS_TRACE,
	NEWS_TRACE_OVER,
	NEWS_LOGLEVEL,
	NEWS_LEAVE,
	NEWS_RELOAD,
	NEWS_DROP,
	NEWS_DRAIN,
	NEWS_UIDL,
	NEWS_VALIDITY,
	NEWS_SHADOW,
	NEWS_LEASE,
	NEWS_DISTRUST,
	NEWS_LOST
};
struct news {
	STAILQ_ENTRY(news) next;
	enum news_kind kind;
	struct user user;
	char *alias, *name; /* NEWS_LIFE: what to obey, and how long that may take */
	bool on;
	int level;
	int64_t fence_ms;
	int64_t request, cut_at;
	int64_t trace, until, max_bytes; /* trace 0: none any more */
	struct overlay_found uidl;	 /* for session `alias` of user `name` */
	char *validities;		 /* for the same, asked at this change; NULL: failed */
	int64_t change;
};

/* To the store. */
enum order_kind {
	ORDER_ACK,
	ORDER_BLOCKER,
	ORDER_UNDO,
	ORDER_SESSION,
	ORDER_HOLD,
	ORDER_LOGIN,
	ORDER_DROP,
	ORDER_ANSWER,
	ORDER_TRACE,
	ORDER_STRANGER,
	ORDER_POP3_SEEN,
	ORDER_UIDL,
	ORDER_LEARNED,
	ORDER_VALIDITY,
	ORDER_SHADOW_CLAIM,
	ORDER_SHADOW_ANSWER,
	ORDER_SHADOW_AGAIN,
	ORDER_USES,
	ORDER_LEAVING,
	ORDER_LATENCY,
	ORDER_SERVER_ERROR,
	ORDER_CERTIFICATES
};
struct order {
	STAILQ_ENTRY(order) next;
	enum order_kind kind;
	char *name, *text, *proto;
	uint32_t *uses;
	int64_t change, at, held_ms;
	bool on;
	enum user_state state;
	enum direction direction;
	enum side side;
	struct session_row row; /* its texts are ours */
	int64_t trace;
	struct trace_line line;	  /* its texts are name, proto and text */
	struct answer_row answer; /* its text is `text` */
	struct login_row *login;
	struct drop_row *drop;
	struct certificate_row *certificates;
	size_t certificate_count;
};

STAILQ_HEAD(news_queue, news);
STAILQ_HEAD(order_queue, order);

struct follower {
	struct proxy *proxy;
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of both queues and stop */
	struct news_queue news;
	struct order_queue orders;
	bool stop;
	int news_fd, orders_fd, nudge_fd;
	struct event *on_news;
	/* the thread's own from here on */
	int64_t incarnation, last_change, last_request;
	int64_t renewed_ms, resolved_ms;
	bool store_trouble, aliases_due, joining, distrusts;
	struct flips *flips;
	char *nudges; /* folder of sockets */
	struct log_about about;
};

/* An eventfd: wakes who polls it; and takes that back. */
void follower_ring(int fd);
void follower_hush(int fd);

/* ---- follower_news.c */

struct news *news_new(enum news_kind kind);
/* To the end of the queue, which takes it over. */
void news_post(struct follower *f, struct news *n);
void news_free(struct news *n);
/* On the loop: carries out what is queued. */
void news_apply_all(struct follower *f);

/* ---- follower_read.c */

/* All changes and requests since the last ones. */
int follower_read(struct follower *f, struct err *e) MUST_CHECK;
/* A store_trace_fn: the node takes part in this trace. */
int follower_take_trace(const struct trace_row *t, void *arg);

/* ---- follower_orders.c */

void order_free(struct order *o);
/* Forgets all that is queued. */
void orders_drop(struct follower *f);

/* ---- follower_write.c */

/* Carries out what is queued. -1: some of it failed, and is lost. */
int orders_write(struct follower *f, struct err *e) MUST_CHECK;
/* What the store shall know of this node's program. */
int follower_mark(struct follower *f, bool leaving, struct err *e) MUST_CHECK;

#endif
