/*
 * The listening sockets of this host, held by the supervisor: the death of a proxy loses no
 * connection, and ports below 1024 are bound before root is given up. Handed on, and accepted,
 * by systemd's convention (sd_listen_fds(3)).
 */
#ifndef ADMIN_LISTEN_H
#define ADMIN_LISTEN_H

#include <sys/socket.h>

#include "common/err.h"
#include "config/settings.h"

#define LISTEN_FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define LISTEN_BACKLOG	4096
#define LISTEN_MAX	64 /* inherited sockets that are looked at */

struct listen_socket {
	char *name; /* of the listener in the settings */
	char address[64];
	int port; /* the real one */
	int fd;
	bool inherited; /* from systemd, which alone decides its address */
};

struct listen_sockets {
	struct listen_socket *at;
	size_t count;
};

/*
 * One socket for each listener: the one kept from before (NULL: none) if its address is still
 * the listener's, else the one inherited under its name, else an own one. Those that no
 * listener needs are closed; kept ones are ours from now on, and their fd becomes -1 where they
 * are in use. The environment is cleaned.
 *
 * Own sockets may share their port with another process of the same user (SO_REUSEPORT), so
 * that a new supervisor can listen beside the nodes of one that was killed.
 */
int listen_open(struct listen_sockets *out, const struct settings *s,
		struct listen_sockets *kept, struct err *e) MUST_CHECK;
void listen_close(struct listen_sockets *l);
/* A socket that listens there, -1 with what can be done about it; shared: as own ones;
 * forbidden: what can be done where this process may not. */
int listen_bind(const struct sockaddr *at, socklen_t n, bool shared, const char *forbidden,
		struct err *e) MUST_CHECK;
/* "imap 127.0.0.1:1143, …" for people; freed by the caller. */
char *listen_describe(const struct listen_sockets *l);
/* Writes DIR/listeners, whole or not at all: a line "NAME ADDRESS PORT" each. */
int listen_write_file(const struct listen_sockets *l, const char *dir,
		      struct err *e) MUST_CHECK;
void listen_remove_file(const char *dir);
/* In a child after fork: puts the sockets at 3, 4, … and says so in the environment. */
void listen_hand_on(const struct listen_sockets *l);

#endif
