/*
 * A real session between two socket pairs, for the fuzzers: everything of the proxy but its
 * store and its names. One user, anna, who can be frozen, flipped and left where she was; what
 * the store would hear is caught here. One session at a time; the loop only turns when told to,
 * so the same bytes always take the same way.
 */
#ifndef TESTS_FUZZ_STAGE_H
#define TESTS_FUZZ_STAGE_H

#include <errno.h>
#include <signal.h>
#include <sys/un.h>

#include "common/clock.h"
#include "config/settings_table.h"
#include "proxy/backend.h"
#include "proxy/caps.h"
#include "proxy/follower.h"
#include "proxy/guard.h"
#include "proxy/listener.h"
#include "proxy/route.h"
#include "proxy/session.h"
#include "tests/unit/reference.h"

#define STAGE_TURNS 4 /* of the loop, until what was written has gone all its way */
#define STAGE_HEARD (64 * 1024)

struct stage {
	struct proxy proxy;
	struct settings settings;
	struct listener_conf listener;
	int names;	     /* listening socket of both backends */
	int client, backend; /* our ends; -1: none */
	bool acked;	     /* the node has said "quiet" to the freeze */
	int64_t change;
	size_t heard_n; /* by the client, as far as it is kept */
	char heard[STAGE_HEARD];
};

static struct stage stage;

/* ---- what the session finds in place of the store and the backends' names */

void follower_ack(struct follower *f UNUSED, const char *name UNUSED, int64_t change)
{
	ASSERT(change == stage.change);
	stage.acked = true;
}

void follower_blocker(struct follower *f UNUSED, const char *name UNUSED,
		      const char *text UNUSED)
{
}

void follower_undo(struct follower *f UNUSED, const char *name UNUSED,
		   enum user_state state UNUSED, enum direction d UNUSED, int64_t change UNUSED)
{
}

void follower_session(struct follower *f UNUSED, const struct session_row *row UNUSED)
{
}

void follower_hold(struct follower *f UNUSED, const char *name UNUSED, const char *proto UNUSED,
		   int64_t at UNUSED, int64_t held_ms UNUSED, const char *released_to UNUSED)
{
}

void follower_login(struct follower *f UNUSED, const struct login_row *l UNUSED)
{
}

void follower_drop(struct follower *f UNUSED, const struct drop_row *d UNUSED)
{
}

void follower_leaving(struct follower *f UNUSED)
{
}

void follower_answer(struct follower *f UNUSED, const struct answer_row *a UNUSED)
{
}

void follower_stranger(struct follower *f UNUSED, const char *name UNUSED)
{
}

void follower_server_error(struct follower *f UNUSED, enum side side UNUSED,
			   const char *name UNUSED, int64_t heard_ms UNUSED)
{
}

const char *listeners_find(const struct listeners *l UNUSED, int fd UNUSED)
{
	return NULL;
}

struct stream *backend_connect(struct backend *b UNUSED, struct loop *l,
			       enum protocol_kind proto UNUSED,
			       const struct origin *from UNUSED, stream_fn *on_event, void *arg,
			       struct err *e UNUSED)
{
	struct sockaddr_un to;
	socklen_t len = sizeof to;

	if (getsockname(stage.names, (struct sockaddr *)&to, &len) < 0)
		BUG("getsockname: %s", strerror(errno));
	return stream_connect(l, (struct sockaddr *)&to, len, NULL, NULL, on_event, arg);
}

SSL *backend_ssl(struct backend *b UNUSED, int fd UNUSED)
{
	BUG("TLS to a backend that has none");
}

enum tls_mode backend_tls(const struct backend *b UNUSED, enum protocol_kind proto UNUSED)
{
	return TLS_NONE;
}

/* ---- the stage itself */

static inline void stage_settings(struct settings *set)
{
	for (int i = 0; i < SECTIONS; i++)
		if (i != SECTION_LISTENER && i != SECTION_BACKEND)
			setting_defaults((enum section_kind)i, set);
	for (int i = 0; i < SIDES; i++)
		setting_defaults(SECTION_BACKEND, &set->backend[i]);
	set->tls.allow_cleartext = true;
	set->limits.line_bytes = REF_LINE_MAX;
	set->limits.drop_per_s = 1000000;
	set->limits.refusal_s = set->limits.login_delay_s = 0;
}

static inline void stage_open(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	struct proxy *p = &stage.proxy;
	struct err e = { 0 };

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	stage_settings(&stage.settings);
	p->settings = &stage.settings;
	p->fence_ms = INT64_MAX;
	p->metrics = meters_new();
	if (loop_init(&p->loop, &e) < 0)
		BUG("%s", e.text);
	sessions_init(p);
	p->routes = routes_new(p);
	/* Bound to no name, the kernel makes one up. */
	stage.names = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stage.names < 0 ||
	    bind(stage.names, (struct sockaddr *)&any, sizeof any.sun_family) < 0 ||
	    listen(stage.names, 16) < 0)
		BUG("no socket: %s", strerror(errno));
	stage.client = stage.backend = -1;
}

/* The user's row as the store would bring it. */
static inline void stage_move(enum user_state to)
{
	char anna[] = "anna";
	struct user u = { .name = anna,
			  .login = { anna, anna },
			  .state = to,
			  .change = ++stage.change,
			  .hold_until = clock_real_ms() + 3600 * 1000 };

	stage.acked = false;
	stage.proxy.drops_left = 1000;
	routes_apply(stage.proxy.routes, &u);
}

static inline void stage_begin(enum protocol_kind proto)
{
	struct origin origin = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		BUG("no sockets: %s", strerror(errno));
	stage.heard_n = 0;
	/* Nothing may be known of the input before. */
	caps_free(&stage.proxy.caps);
	stage.proxy.caps = caps_new();
	guard_free(&stage.proxy.guard);
	stage.proxy.guard = guard_new(&stage.proxy);
	memset(stage.proxy.refusal_ms, 0, sizeof stage.proxy.refusal_ms);
	stage_move(USER_READY);
	stage.listener = (struct listener_conf){ .proto = proto, .tls = TLS_NONE };
	stage.client = pair[0];
	session_new(&stage.proxy, &stage.listener, pair[1], &origin);
}

static inline void stage_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What the client hears is kept. */
static inline void stage_listen(void)
{
	char more[4096];
	ssize_t n = 1;

	while (stage.client >= 0 && (n = recv(stage.client, more, sizeof more, 0)) > 0) {
		size_t keep = MIN((size_t)n, sizeof stage.heard - stage.heard_n);

		memcpy(stage.heard + stage.heard_n, more, keep);
		stage.heard_n += keep;
	}
	if (n == 0)
		stage_close(&stage.client);
}

static inline void stage_say(int *fd, const void *p, size_t n)
{
	if (*fd >= 0 && n && send(*fd, p, n, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		stage_close(fd);
}

/* A backend's connection that waits to be taken; the one before is closed then. */
static inline bool stage_accept(void)
{
	int fd = accept4(stage.names, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	stage_close(&stage.backend);
	stage.backend = fd;
	return true;
}

static inline void stage_turn(void)
{
	for (int i = 0; i < STAGE_TURNS; i++) {
		event_base_loop(stage.proxy.loop.base, EVLOOP_NONBLOCK);
		stage_listen();
	}
}

/* Is the session hers? (A client may log in as anybody.) Without one nothing changes. */
static inline void stage_look_for_anna(bool *there)
{
	const struct session *s = TAILQ_FIRST(&stage.proxy.sessions);

	if (s && s->route)
		*there = strcmp(s->route->name, "anna") == 0;
}

/* Everybody leaves; nothing of this input may be left for the next. */
static inline void stage_end(void)
{
	stage_move(USER_READY); /* a held session looks at nothing */
	stage_close(&stage.client);
	for (int i = 0; i < 50 && (stage.proxy.session_count || stage.proxy.loop.live); i++) {
		if (i > 25) /* a refusal is kept back for as long as one took */
			event_base_loop(stage.proxy.loop.base, EVLOOP_ONCE);
		stage_turn();
		stage_close(&stage.backend);
		stage_accept();
	}
	stage_close(&stage.backend);
	ASSERT(stage.proxy.session_count == 0 && stage.proxy.loop.live == 0);
	ASSERT(stage.proxy.parked_count == 0 && stage.proxy.preauth_count == 0);
}

#endif
