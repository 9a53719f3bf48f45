/*
 * One node: what its parts share. Owned by main.c, borrowed by all others of this folder.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <sys/queue.h>

#include "certs/server.h"
#include "common/place.h"
#include "common/wire/usage.h"
#include "config/settings.h"
#include "proxy/latency.h"
#include "proxy/meters.h"
#include "proxy/server_error.h"
#include "proxy/stream.h"

#define PROXY_TICK_MS	    250	  /* held users are looked at this often */
#define PROXY_WRITE_ROWS_MS 1000  /* session rows go to the store at most this often */
#define PROXY_LINGER_MS	    5000  /* a client's last words; then its socket is closed */
#define PROXY_GHOST_MS	    30000 /* a left backend that does not end by itself */
#define PROXY_COMMAND_MS \
	900000 /* a left backend with a command open: until we close our half */

enum life_stage { LIFE_SERVES, LIFE_DRAINED, LIFE_LEAVES, LIFE_STOPS };

struct session;
struct ending;
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(ending_list, ending);
struct trace;
TAILQ_HEAD(trace_list, trace);

struct proxy {
	struct loop loop;
	struct settings *settings;
	const char *node;
	struct place place;
	struct tls_server *tls; /* towards clients; NULL: no certificate configured */
	struct routes *routes;
	struct backend *backend[SIDES];
	struct caps *caps;     /* what they can do before login */
	uint32_t uses[USAGES]; /* sessions that used it, since the follower was told */
	struct latency latency[SIDES];
	int64_t latency_ms; /* when it was told */
	struct server_errors server_errors[SIDES];
	struct probes *probes; /* NULL: the node leaves */
	struct follower *follower;
	struct listeners *listeners;
	struct control *control;
	struct guard *guard;
	struct metrics *metrics; /* proxy/meters.h */
	size_t own_descriptors;	 /* open besides streams */
	struct event *tick;
	struct lookup *lookup; /* NULL: none configured */
	int64_t rows_written_ms, tick_count;
	struct buf told; /* what the store knows of our certificates (certificates.c) */
	int64_t told_ms;

	struct session_list sessions; /* all that are not closed */
	struct session_list shadows;  /* without a client: proxy/shadow.h */
	struct session_list closed;   /* to be freed by the reaper */
	struct session_list dropping; /* moved to the other side, wait for their BYE */
	/*
	 * Not logged in, and no backend is asked for them: may be evicted, in this order,
	 * oldest first. Nothing heard yet; a TLS handshake or words of mail; a login that must
	 * wait.
	 */
	struct session_list silent, heard, delayed;
	struct event *reaper, *dropper;
	size_t session_count, preauth_count, parked_count, shadow_count;
	double drops_left;	    /* token bucket of BYEs */
	size_t uidl_bytes;	    /* of maps in memory (proxy/overlay.h) */
	int64_t refusal_ms[SIDES];  /* how long a side took lately to refuse a login */
	int64_t crowd_logged_ms;    /* a refused connection was told in the log */
	struct ending_list endings; /* drops and drains under way */
	struct trace_list traces;   /* users whose conversations are written down */

	/*
	 * Until when, by the monotonic clock, we may serve users who can still be moved. Raised
	 * by the follower with each renewed lease; looked at before any byte is forwarded, so a
	 * node that was stopped fences itself on waking.
	 */
	int64_t fence_ms;
	bool distrusts; /* the store is not the one it was (common/flips.h): what we know stands
			 */
	int64_t store_seen_ms; /* until then all changes are known here, by the monotonic clock
				*/
	enum life_stage life;  /* proxy/life.h */
	int64_t life_since_ms,
		end_ms; /* monotonic; end_ms: when stopping, what is open is cut */
};

/* May bytes of users that are not final be forwarded now? */
bool proxy_has_lease(const struct proxy *p);
struct route;
/* May a user of this route be led anywhere? Not by what may have changed since we knew it. */
bool proxy_may_serve(const struct proxy *p, const struct route *r);
/* Why no new clients should be sent here; NULL: they should. */
const char *proxy_not_ready(const struct proxy *p);

#endif
