/*
 * What a node counts. The table behind GET /metrics: one row for each name, the labels' values
 * are the enums of the parts that count.
 */
#ifndef PROXY_METERS_H
#define PROXY_METERS_H

#include "common/metrics.h"
#include "proxy/protocol.h"

enum meter {
	METER_SESSIONS, /* AT(protocol, METER_SIDE(side), state) */
	METER_PREAUTH,
	METER_TURNED_AWAY,   /* AT(protocol, enum meter_no_header) */
	METER_CONNECTIONS,   /* AT(protocol) */
	METER_CLOSED,	     /* AT(protocol, enum meter_end) */
	METER_FOREIGN,	     /* AT(protocol, enum meter_foreign) */
	METER_LOGINS,	     /* AT(protocol, METER_SIDE(side), enum reject) */
	METER_LOGIN_SECONDS, /* AT(protocol) */
	METER_PARKED,
	METER_HOLDS, /* AT(protocol, enum meter_release) */
	METER_HOLD_SECONDS,
	METER_BYTES,		     /* AT(protocol, enum meter_way) */
	METER_HANDSHAKES,	     /* AT(enum meter_peer, enum meter_handshake) */
	METER_LIMIT_HITS,	     /* AT(enum limit) */
	METER_DIAL_SECONDS,	     /* AT(side) */
	METER_BACKEND_LOGIN_SECONDS, /* AT(side) */
	METER_BACKEND_FAILURES,	     /* AT(side) */
	METER_BACKEND_UP,	     /* AT(side, protocol) */
	METER_DROPS_WAITING,
	METER_STORE_LAG_SECONDS,
	METER_LEASE,
	METER_READY,
	METER_CERTIFICATE_EXPIRY, /* AT(enum meter_certificate) */
	METER_OPEN_FDS,
	METER_MAX_FDS,
	METER_CPU_SECONDS,
	METER_RESIDENT_BYTES,
	METER_START_SECONDS,
	METERS
};

/* Side as a label: 0 is "none", before a route is asked. */
#define METER_SIDE_NONE	  0u
#define METER_SIDE(side)  ((unsigned)(side) + 1)
#define METER_SIDE_VALUES 3

enum meter_no_header { NO_HEADER_UNTRUSTED, NO_HEADER_OTHER, NO_HEADER_LATE, NO_HEADERS };
enum meter_end { END_LEFT, END_BYE, END_CUT, END_EVICTED, ENDS };
enum meter_foreign { FOREIGN_HTTP, FOREIGN_TLS, FOREIGN_PLAIN, FOREIGNS };
enum meter_release { RELEASED_OLD, RELEASED_NEW, RELEASED_REFUSED, RELEASES };
enum meter_way { WAY_UP, WAY_DOWN, WAYS };
enum meter_peer { PEER_CLIENT, PEER_BACKEND, PEERS };
enum meter_handshake { HANDSHAKE_FULL, HANDSHAKE_RESUMED, HANDSHAKE_FAILED, HANDSHAKES };
/* The default certificate, and of all known the one that expires first. */
enum meter_certificate { CERTIFICATE_DEFAULT, CERTIFICATE_SOONEST, CERTIFICATES };

/* Every setting of section limits that can be hit, in the table's order. */
enum limit {
	LIMIT_HEADER_S,
	LIMIT_HANDSHAKE_S,
	LIMIT_LOGIN_S,
	LIMIT_LOGIN_TRIES,
	LIMIT_DIAL_S,
	LIMIT_BACKEND_LOGIN_S,
	LIMIT_IMAP_IDLE_S,
	LIMIT_POP3_IDLE_S,
	LIMIT_STALL_S,
	LIMIT_SESSIONS,
	LIMIT_PREAUTH_SESSIONS,
	LIMIT_PARKED,
	LIMIT_PREAUTH_BYTES,
	LIMIT_LINE_BYTES,
	LIMIT_DROP_PER_S,
	LIMIT_PREAUTH_PER_ADDRESS,
	LIMIT_SESSIONS_PER_ADDRESS,
	LIMIT_SESSIONS_PER_USER,
	LIMIT_LOGIN_PARALLEL,
	LIMIT_LOGIN_DELAY_S,
	LIMIT_REFUSAL_S,
	LIMIT_BAD_COMMANDS,
	LIMIT_ID_PAIRS,
	LIMIT_TRACKED,
	LIMIT_UIDL_BYTES,
	LIMIT_SPARE_DESCRIPTORS,
	LIMIT_TRUSTED, /* connections that were spared */
	LIMITS
};
const char *limit_name(enum limit l); /* of the setting */

extern const struct metric_row meter_rows[METERS];

struct proxy;
struct stream;
struct metrics *meters_new(void);
/* What is looked up and not counted: sessions, store, descriptors. Before the rows are read. */
void meters_collect(struct proxy *p);
/* A setting of section limits took effect. */
void meter_limit(struct proxy *p, enum limit l);
void meter_handshake(struct proxy *p, enum meter_peer with, const struct stream *st);

#endif
