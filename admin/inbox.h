/*
 * Where the supervisor hears: a datagram socket in run.dir. Its programs say there that they
 * are ready and alive (common/notify.h); `mailferry upgrade` asks there and is answered. The
 * kernel says who speaks.
 */
#ifndef ADMIN_INBOX_H
#define ADMIN_INBOX_H

#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "admin/child.h"
#include "common/buf.h"

#define INBOX_SOCKET "run.sock" /* in run.dir */
#define INBOX_ASK    "X_ASK=upgrade"
/* Answers to who asked: any number of the first, then one of the others. */
#define INBOX_SAYS   "SAYS="
#define INBOX_DONE   "DONE="
#define INBOX_FAILED "FAILED="

/* Who asked; size 0: nobody. */
struct inbox_peer {
	struct sockaddr_un address;
	socklen_t size;
};

struct inbox_letter {
	pid_t pid;
	uid_t uid;
	struct inbox_peer from; /* size 0: has no address to answer to */
	char text[2049];	/* ends with NUL */
};

struct inbox;
typedef void inbox_fn(const struct inbox_letter *l, void *arg);

/* A socket that this user's programs may write to as well. fd >= 0: handed over by the image
 * before us. */
int inbox_open(struct inbox **out, const char *dir, const struct child_user *u, int fd,
	       struct err *e) MUST_CHECK;
void inbox_listen(struct inbox *b, struct event_base *base, inbox_fn *fn, void *arg);
/* The socket's path is removed with it. */
void inbox_close(struct inbox **b);
const char *inbox_path(const struct inbox *b);
int inbox_fd(const struct inbox *b);
void inbox_answer(const struct inbox *b, const struct inbox_peer *to, const char *key,
		  const char *text);
/* The value of the line "KEY=…" in a letter; false: there is none. key ends with '='. */
bool inbox_value(const struct inbox_letter *l, const char *key, char *out, size_t size);

#endif
