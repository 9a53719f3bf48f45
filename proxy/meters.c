/* Hides: names, help texts and label values of a node's metrics. */
#include "proxy/meters.h"

#include "common/clock.h"
#include "common/process_use.h"
#include "proxy/certificates.h"
#include "proxy/listener.h"
#include "proxy/session.h"

#define PROTOCOL METRIC_LABEL("protocol", protocols)
#define SIDE	 METRIC_LABEL("side", sides)
#define BOTH	 METRIC_LABEL("side", both)

static const char *const protocols[] = { "imap", "pop3" };
static const char *const sides[] = { "none", "old", "new" };
static const char *const both[] = { "old", "new" };
static const char *const states[] = {
	[SESSION_GREET] = "greet",     [SESSION_AUTH] = "auth",	  [SESSION_DELAY] = "delay",
	[SESSION_PARK] = "park",       [SESSION_DIAL] = "dial",	  [SESSION_LOGIN] = "login",
	[SESSION_RELAY] = "relay",     [SESSION_DRAIN] = "drain", [SESSION_QUIET] = "quiet",
	[SESSION_PARTING] = "parting",
};
static const char *const no_headers[] = { "untrusted", "no_header", "late" };
static const char *const ends[] = { "left", "bye", "cut", "evicted" };
static const char *const foreigners[] = { "http", "tls", "plain" };
static const char *const results[] = { "ok",	"bad_login",	    "unavailable", "moving",
				       "limit", "privacy_required", "delay" };
static const char *const releases[] = { "old", "new", "refused" };
static const char *const ways[] = { "up", "down" };
static const char *const peers[] = { "client", "backend" };
static const char *const handshakes[] = { "full", "resumed", "failed" };
static const char *const certificates[] = { "default", "soonest" };
static const char *const limits[] = {
	[LIMIT_HEADER_S] = "header_s",
	[LIMIT_HANDSHAKE_S] = "handshake_s",
	[LIMIT_LOGIN_S] = "login_s",
	[LIMIT_LOGIN_TRIES] = "login_tries",
	[LIMIT_DIAL_S] = "dial_s",
	[LIMIT_BACKEND_LOGIN_S] = "backend_login_s",
	[LIMIT_IMAP_IDLE_S] = "imap_idle_s",
	[LIMIT_POP3_IDLE_S] = "pop3_idle_s",
	[LIMIT_STALL_S] = "stall_s",
	[LIMIT_SESSIONS] = "sessions",
	[LIMIT_PREAUTH_SESSIONS] = "preauth_sessions",
	[LIMIT_PARKED] = "parked",
	[LIMIT_PREAUTH_BYTES] = "preauth_bytes",
	[LIMIT_LINE_BYTES] = "line_bytes",
	[LIMIT_DROP_PER_S] = "drop_per_s",
	[LIMIT_PREAUTH_PER_ADDRESS] = "preauth_per_address",
	[LIMIT_SESSIONS_PER_ADDRESS] = "sessions_per_address",
	[LIMIT_SESSIONS_PER_USER] = "sessions_per_user",
	[LIMIT_LOGIN_PARALLEL] = "login_parallel",
	[LIMIT_LOGIN_DELAY_S] = "login_delay_s",
	[LIMIT_REFUSAL_S] = "refusal_s",
	[LIMIT_BAD_COMMANDS] = "bad_commands",
	[LIMIT_ID_PAIRS] = "id_pairs",
	[LIMIT_TRACKED] = "tracked",
	[LIMIT_UIDL_BYTES] = "uidl_bytes",
	[LIMIT_SPARE_DESCRIPTORS] = "spare_descriptors",
	[LIMIT_TRUSTED] = "trusted",
};
_Static_assert(COUNT(protocols) == PROTOS && COUNT(sides) == METER_SIDE_VALUES &&
		       COUNT(both) == SIDES && COUNT(states) == SESSION_CLOSED &&
		       COUNT(ends) == ENDS && COUNT(no_headers) == NO_HEADERS &&
		       COUNT(foreigners) == FOREIGNS && COUNT(results) == REJECTS &&
		       COUNT(releases) == RELEASES && COUNT(ways) == WAYS &&
		       COUNT(peers) == PEERS && COUNT(handshakes) == HANDSHAKES &&
		       COUNT(certificates) == CERTIFICATES && COUNT(limits) == LIMITS,
	       "a label's value for every member of its enum");

/* A login may be held or slow: from one round trip on a LAN to what a client bears. */
static const double seconds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
				  1,	 2.5,  5,     10,   15,	 20 };

const struct metric_row meter_rows[METERS] = {
	[METER_SESSIONS] =
		METRIC_ROW(GAUGE, "mailferry_sessions", "Sessions that are not closed.",
			   PROTOCOL, SIDE, METRIC_LABEL("state", states)),
	[METER_PREAUTH] =
		METRIC_ROW(GAUGE, "mailferry_preauth_sessions", "Sessions not logged in yet."),
	[METER_TURNED_AWAY] = METRIC_ROW(COUNTER, "mailferry_turned_away_total",
					 "Connections closed on listeners with proxy_protocol.",
					 PROTOCOL, METRIC_LABEL("why", no_headers)),
	[METER_CONNECTIONS] = METRIC_ROW(COUNTER, "mailferry_connections_total",
					 "Client connections taken.", PROTOCOL),
	[METER_CLOSED] =
		METRIC_ROW(COUNTER, "mailferry_closed_total",
			   "Sessions closed: by client or backend, with our BYE, cut, evicted.",
			   PROTOCOL, METRIC_LABEL("how", ends)),
	[METER_FOREIGN] = METRIC_ROW(COUNTER, "mailferry_foreign_total",
				     "Connections closed because they spoke another protocol.",
				     PROTOCOL, METRIC_LABEL("spoke", foreigners)),
	[METER_LOGINS] = METRIC_ROW(COUNTER, "mailferry_logins_total", "Logins answered.",
				    PROTOCOL, SIDE, METRIC_LABEL("result", results)),
	[METER_LOGIN_SECONDS] =
		METRIC_TIMES("mailferry_login_seconds", seconds,
			     "From a client's password to the backend's consent.", PROTOCOL),
	[METER_PARKED] =
		METRIC_ROW(GAUGE, "mailferry_parked_sessions", "Logins waiting for a cutover."),
	[METER_HOLDS] = METRIC_ROW(COUNTER, "mailferry_holds_total", "Logins that were held.",
				   PROTOCOL, METRIC_LABEL("released_to", releases)),
	[METER_HOLD_SECONDS] =
		METRIC_TIMES("mailferry_hold_seconds", seconds, "How long logins were held."),
	[METER_BYTES] = METRIC_ROW(COUNTER, "mailferry_relayed_bytes_total",
				   "Bytes relayed after login.", PROTOCOL,
				   METRIC_LABEL("direction", ways)),
	[METER_HANDSHAKES] =
		METRIC_ROW(COUNTER, "mailferry_tls_handshakes_total", "TLS handshakes.",
			   METRIC_LABEL("peer", peers), METRIC_LABEL("result", handshakes)),
	[METER_LIMIT_HITS] = METRIC_ROW(COUNTER, "mailferry_limit_hits_total",
					"How often a setting of section limits took effect.",
					METRIC_LABEL("limit", limits)),
	[METER_DIAL_SECONDS] = METRIC_TIMES("mailferry_backend_dial_seconds", seconds,
					    "To connect to a backend, TLS included.", BOTH),
	[METER_BACKEND_LOGIN_SECONDS] =
		METRIC_TIMES("mailferry_backend_login_seconds", seconds,
			     "From a backend's connection to its consent.", BOTH),
	[METER_BACKEND_FAILURES] = METRIC_ROW(COUNTER, "mailferry_backend_failures_total",
					      "Logins that failed because of a backend.", BOTH),
	[METER_BACKEND_UP] = METRIC_ROW(
		GAUGE, "mailferry_backend_up",
		"1 until a connection fails, and again after one works.", BOTH, PROTOCOL),
	[METER_DROPS_WAITING] =
		METRIC_ROW(GAUGE, "mailferry_drops_waiting_sessions",
			   "Sessions of moved users that wait for their paced BYE."),
	[METER_STORE_LAG_SECONDS] =
		METRIC_ROW(GAUGE, "mailferry_store_lag_seconds",
			   "Since all changes of the store were last known here."),
	[METER_LEASE] = METRIC_ROW(GAUGE, "mailferry_lease",
				   "1 while users who can be moved are served."),
	[METER_READY] = METRIC_ROW(GAUGE, "mailferry_ready", "1 while /readyz says yes."),
	[METER_CERTIFICATE_EXPIRY] = METRIC_ROW(
		GAUGE, "mailferry_tls_certificate_expiry_seconds",
		"Until a certificate for clients expires; below 0: it has; +Inf: there is none.",
		METRIC_LABEL("certificate", certificates)),
	[METER_OPEN_FDS] = METRIC_ROW(GAUGE, "process_open_fds", "Descriptors in use."),
	[METER_MAX_FDS] =
		METRIC_ROW(GAUGE, "process_max_fds", "Descriptors this process may use."),
	[METER_CPU_SECONDS] =
		METRIC_ROW(COUNTER, "process_cpu_seconds_total", "Processor time used."),
	[METER_RESIDENT_BYTES] =
		METRIC_ROW(GAUGE, "process_resident_memory_bytes", "Memory in use."),
	[METER_START_SECONDS] = METRIC_ROW(GAUGE, "process_start_time_seconds",
					   "When the process started, since 1970."),
};

const char *limit_name(enum limit l)
{
	return limits[l];
}

void meter_limit(struct proxy *p, enum limit l)
{
	metrics_add(p->metrics, METER_LIMIT_HITS, AT((unsigned)l), 1);
}

void meter_handshake(struct proxy *p, enum meter_peer with, const struct stream *st)
{
	enum meter_handshake how = stream_handshaking(st) ? HANDSHAKE_FAILED
				   : stream_resumed(st)	  ? HANDSHAKE_RESUMED
							  : HANDSHAKE_FULL;

	if (stream_secure(st))
		metrics_add(p->metrics, METER_HANDSHAKES, AT((unsigned)with, (unsigned)how), 1);
}

struct metrics *meters_new(void)
{
	struct metrics *m = metrics_new(meter_rows, METERS);

	for (unsigned side = 0; side < SIDES; side++)
		for (unsigned proto = 0; proto < PROTOS; proto++)
			metrics_set(m, METER_BACKEND_UP, AT(side, proto), 1);
	metrics_set(m, METER_START_SECONDS, AT_ALL, (double)clock_real_ms() / 1000);
	return m;
}

/* ---- looked up */

static void collect_sessions(struct proxy *p)
{
	struct session *s;

	metrics_clear(p->metrics, METER_SESSIONS);
	TAILQ_FOREACH (s, &p->sessions, link)
		metrics_add(p->metrics, METER_SESSIONS,
			    AT((unsigned)s->protocol->kind,
			       s->about.side ? METER_SIDE(s->side) : METER_SIDE_NONE,
			       (unsigned)s->state),
			    1);
}

/* Counting /proc/self/fd would take long with many sessions: what was open at the start, and
 * the streams. */
static void collect_process(struct proxy *p)
{
	struct process_use u = process_use();

	metrics_set(p->metrics, METER_RESIDENT_BYTES, AT_ALL, u.resident_bytes);
	metrics_set(p->metrics, METER_CPU_SECONDS, AT_ALL, u.cpu_s);
	metrics_set(p->metrics, METER_MAX_FDS, AT_ALL, u.descriptors_max);
	metrics_set(p->metrics, METER_OPEN_FDS, AT_ALL,
		    (double)(p->own_descriptors + p->loop.live));
}

void meters_collect(struct proxy *p)
{
	struct metrics *m = p->metrics;
	struct session *s;
	size_t waiting = 0;

	collect_sessions(p);
	collect_process(p);
	certificates_collect(p);
	TAILQ_FOREACH (s, &p->dropping, queue)
		waiting++;
	metrics_set(m, METER_DROPS_WAITING, AT_ALL, (double)waiting);
	metrics_set(m, METER_PREAUTH, AT_ALL, (double)p->preauth_count);
	metrics_set(m, METER_PARKED, AT_ALL, (double)p->parked_count);
	metrics_set(m, METER_STORE_LAG_SECONDS, AT_ALL,
		    (double)(clock_mono_ms() - p->store_seen_ms) / 1000);
	metrics_set(m, METER_LEASE, AT_ALL, proxy_has_lease(p));
	metrics_set(m, METER_READY, AT_ALL, proxy_not_ready(p) == NULL);
}
