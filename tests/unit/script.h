/*
 * A server that plays a script: it sends its lines and wants the client's bytes exactly as
 * written. At the first difference it closes, and script_end() says what came instead.
 */
#ifndef TESTS_UNIT_SCRIPT_H
#define TESTS_UNIT_SCRIPT_H

#include "tests/unit/wire_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "sync/mailbox.h"

struct step {
	enum { END, SERVER, CLIENT } who;
	struct slice bytes;
};
#define S(text)                     \
	{                           \
		SERVER, SLICE(text) \
	}
#define C(text)                     \
	{                           \
		CLIENT, SLICE(text) \
	}
#define SCRIPT_END              \
	{                       \
		END,            \
		{               \
			NULL, 0 \
		}               \
	}

/* A login with these capabilities; commands go on with tag m2. */
#define LOGIN_WITH(caps)                                     \
	S("* OK [CAPABILITY IMAP4rev1 " caps "] hello\r\n"), \
		C("m1 LOGIN \"anna\" \"secret\"\r\n"),       \
		S("m1 OK [CAPABILITY IMAP4rev1 " caps "] in\r\n")
#define LOGOUT(tag) C(tag " LOGOUT\r\n"), S("* BYE\r\n" tag " OK bye\r\n")

struct script {
	const struct step *steps;
	int fd;
	pthread_t thread;
	bool played; /* to its end */
	char got[256];
	size_t got_n;
	const struct step *at;
};

static inline bool script_hears(struct script *s, struct slice want)
{
	struct buf b = { 0 };

	while (buf_len(&b) < want.n) {
		ssize_t n = recv(s->fd, buf_room(&b, want.n), want.n - buf_len(&b), 0);

		if (n <= 0)
			break;
		buf_wrote(&b, (size_t)n);
	}
	s->got_n = MIN(buf_len(&b), sizeof s->got);
	if (s->got_n)
		memcpy(s->got, buf_slice(&b).p, s->got_n);
	if (buf_len(&b) == want.n && memcmp(buf_slice(&b).p, want.p, want.n) == 0)
		s->got_n = 0;
	buf_release(&b);
	return s->got_n == 0;
}

static inline bool script_says(struct script *s, struct slice what)
{
	while (what.n > 0) {
		ssize_t n = send(s->fd, what.p, what.n, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		what = (struct slice){ what.p + n, what.n - (size_t)n };
	}
	return true;
}

static inline void *script_play(void *arg)
{
	struct script *s = arg;
	bool good = true;

	for (s->at = s->steps; good && s->at->who != END; s->at += good)
		good = s->at->who == CLIENT ? script_hears(s, s->at->bytes)
					    : script_says(s, s->at->bytes);
	s->played = good;
	close(s->fd);
	return NULL;
}

/* The client's end of it. */
static inline struct transport *script_start(struct script *s, const struct step *steps)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	*s = (struct script){ .steps = steps, .fd = fd[1] };
	assert_int_equal(pthread_create(&s->thread, NULL, script_play, s), 0);
	return transport_of_fd(fd[0], 10000);
}

static inline void script_end(struct script *s)
{
	pthread_join(s->thread, NULL);
	if (!s->played)
		fail_msg("want \"%.*s\", got \"%.*s\"", (int)MIN(s->at->bytes.n, 200),
			 s->at->bytes.p, (int)s->got_n, s->got);
}

static inline struct job_side anna(void)
{
	struct job_side side = { .host = (char *)"test", .login = (char *)"anna" };

	side.password = (struct secret){ (char *)"secret", 6 };
	return side;
}

/* Logged in; fails the test if not. */
static inline struct mailbox *script_login(struct script *s, const struct step *steps)
{
	struct job_side side = anna();
	struct mailbox *m = NULL;
	struct err e = { 0 };

	if (mailbox_open_on(script_start(s, steps), &side, &m, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static inline void script_leave(struct script *s, struct mailbox **m)
{
	mailbox_close(m);
	script_end(s);
}

#endif
