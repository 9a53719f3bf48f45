/*
 * One job of a worker process: one user, one pass. The engine starts `mailferry-sync --worker`,
 * writes one JSON object and a newline to its standard input, and reads JSON lines from its
 *standard output. Everything that crosses this border is checked on arrival, on both sides.
 *
 * In:	{"kind": "probe" | "pass" | "final" | "trailing" | "audit" | "provision" | "pull",
 *	 "user": NAME, "journal": PATH, "exceptions": PATH, "fence_s": n, "connect_s": n,
 *"io_s": n, "connections": n (1 if absent), "message_max": n, "delete_brake": n,
 *"delete_brake_percent": n, "skip_deleted": 0 | 1 (0 if absent), "uidl": 0 | 1 (0 if absent), "uids": "plain" | "floor" | "exact" (plain if absent),
 *"uid_gaps": n, "uid_floor": n, "uid_s": n (0 if absent), "folders": RULES (sync/job_folders.h; absent: none), "old": SIDE, "new": SIDE, "from": "old" | "new",
 *"run_as": NAME, "memory": n (these two may be missing), "opensrs": OPENSRS (sync/job_opensrs.h;
 *absent: new is something else), "pull": PULL (sync/job_pull.h; of pull only)} SIDE: {"host",
 *"port", "tls": "none"|"starttls"|"implicit", "pop3_port" (0: no POP3), "pop3_tls" (these two may be missing), "proxy_protocol": "none"|"v1"|"v2", "tls_name",
 *"tls_ca_file", "tls_pin", "login", "authzid", "mechanism", "token_command", "password"}:
 *optional ones may be null. "login" is what to authenticate as, "authzid" (SASL PLAIN) whom to
 *act for, or null.
 *
 * "from" is the side that counts: "new" only for the passes of a return.
 *
 *   probe	logs in on both sides, answers, ends. (pending → provisioned)
 *   pass	a full or incremental pass with flags, deletes (with the brake), subscriptions,
 *then digests of what is not yet verified. (syncing, ready) final	the last delta, in the
 *hold. Connects and logs in at once and says {"event":"waiting"}, then waits for the line
 *"go\n" on standard input; then: pass, and the short gate: UID lists, counts and flags of all
 *folders on both sides, digests of what this delta brought, old's STATUS equal before and
 *after. trailing	new mail on old only; no deletes, no flags, nothing resurrected.
 *   audit	compares both sides as they are ("level": "headers" | "full", "sample": n);
 *changes nothing and opens no journal.
 *   provision	makes or changes accounts on OpenSRS (sync/provision.h). Without "journal", "old"
 *and "new".
 *   pull	a batch of OpenSRS's migration tool (sync/pull.h). The two sides are those of all its
 *users but for logins and passwords; "journal" is one of them, for its folder.
 *
 * Out, one line each:
 *	{"event":"waiting"}
 *	{"event":"progress","folder":NAME,"done":n,"total":n,"messages":n,"bytes":n}	at most
 *4 a second
 *	{"event":"moving"}	a sign of life: bytes move (sync/pulse.h)
 *	{"event":"uidl_part","body":"NEW OLD\n…"}	of the map of unique ids, in order; then
 *	{"event":"uidl","complete":true|false,"entries":n,"missing":n,"why":"…"}	only with "uidl": 1
 *	{"event":"validity","body":"NEW OLD\n…"}	of the last delta to new (sync/validity.h); may be ""
 *	{"event":"audit","item":{…}}	a piece of a comparison (sync/audit_wire.h)
 *	{"event":"account","item":{"name":…,"line":n,"what":…,"text":…}}	of provision
 *	{"event":"pull","item":{…}}	how it stands with a user of a batch (sync/job_pull.h)
 *	{"event":"token","token":…,"until":ms}	a session token, for the next workers of this user
 *	{"event":"result","ok":true,"clean":true|false,
 *	 "copied":n,"deleted":n,"flags":n,"messages":n,"bytes":n,"verified":n,"exceptions":n,
 *	 "waived":n,"repaired":n,"differences":n,	exceptions a person accepts, messages
 *	 taken only with a repair, messages of which something else than bytes was not kept
 *	 "arrived":n,	trailing: messages brought
 *	 "strays":n,	trailing: what a client has done on old after the flip
 *	 "facts":{…},	of a pass in step (sync/facts.h); else missing
 *	 "took_ms":n,"text":"…"}
 *	{"event":"result","ok":false,"kind":"temporary"|"auth"|…(err_kind_name),"text":"…",
 *	 "later":{"whom":"command"|"user"|"host","side":"old"|"new","wait_ms":n,"fewer":true|false}}
 *		later only where a server asked to be left alone (common/err.h)
 *
 * clean: the pass found both sides equal at its end: nothing in doubt, no exception, everything
 *verified (level of the kind: digests for pass, the short gate for final). text says what is
 *missing if not, and what people should know besides.
 *
 * Exit status 0 when a result line was written. Anything else, a signal, or an end without a
 *result is a crash: it costs one retry.
 */
#ifndef SYNC_JOB_H
#define SYNC_JOB_H

#include <jansson.h>

#include "common/err.h"
#include "common/secret.h"
#include "common/store.h"
#include "common/store_uidl.h"
#include "common/user_state.h"
#include "common/wire/sasl.h"
#include "config/folder_rules.h"
#include "config/settings.h"
#include "sync/audit.h"
#include "sync/facts.h"
#include "sync/job_opensrs.h"
#include "sync/job_pull.h"
#include "sync/uid_mode.h"

enum job_kind { JOB_PROBE, JOB_PASS, JOB_FINAL, JOB_TRAILING, JOB_AUDIT, JOB_PROVISION, JOB_PULL, JOB_KINDS };

#define JOB_LINE_MAX (256 * 1024) /* bytes of one JSON line, either way */

struct job_side {
	enum side which;
	enum protocol_kind protocol; /* how the copier reads it */
	bool late; /* POP3: logs in when its mail is asked for, not before: that locks it */
	char *host;
	int port;
	enum tls_mode tls;
	int pop3_port; /* besides, for unique ids; 0: none */
	enum tls_mode pop3_tls;
	enum proxy_protocol proxy_protocol;	/* of the header to send first */
	char *tls_name, *tls_ca_file, *tls_pin; /* NULL: none */
	char *login, *authzid;
	enum sasl_mech mech; /* SASL_PLAIN: a password, by PLAIN or LOGIN; else a token */
	char *token_command; /* gives the token; NULL: it is in password */
	struct secret password;
};

struct job {
	enum job_kind kind;
	char *user, *journal;
	char *exceptions; /* folder for messages that could not be copied; NULL: they are not
			     kept */
	enum side from;
	struct job_side side[SIDES];
	int fence_s, connect_s, io_s;
	int connections; /* to each side, at most */
	int64_t message_max;
	int delete_brake, delete_brake_percent;
	struct folder_rules folders;
	bool skip_deleted; /* what is marked \Deleted is not copied */
	struct {
		enum uid_mode wish;
		int64_t gaps, floor; /* UIDs used up in a folder, at most */
		int64_t seconds;     /* of a pass, at most */
	} uids;
	bool uidl; /* unique ids of POP3 are wanted (sync/uidl.h) */
	enum audit_level level; /* JOB_AUDIT, as in sync/audit_user.h */
	int64_t sample;
	struct job_opensrs opensrs;
	struct job_pull pull; /* JOB_PULL */
	/* how the worker confines itself (sync/confine.h) */
	char *run_as;	/* NULL: stays who it is */
	int64_t memory; /* bytes; 0: no limit */
};

struct job_result {
	bool ok, clean;
	enum err_kind kind; /* when not ok */
	struct later later; /* when not ok: what a server asked for */
	int64_t copied, copied_bytes, deleted, flags, messages, bytes, verified, exceptions, waived, repaired,
		differences, arrived, strays, took_ms;
	char text[ERR_TEXT_MAX];
	struct facts facts; /* of a pass in step; else not known */
};

const char *job_kind_name(enum job_kind k);
int job_kind_find(const char *name); /* -1: none is called so */
/* Does it write to a server? */
bool job_writes(enum job_kind k);
void job_release(struct job *j);

/* The engine's side: writes the line (with its newline; it holds passwords: wipe the buf). */
void job_write(const struct job *j, struct buf *out);
/* The worker's side: parses it. */
int job_parse(struct slice line, struct job *out, struct err *e) MUST_CHECK;

/*
 * The worker's side: one result line. The engine's side: parses an event line into *event,
 * which is released after use.
 */
void job_result_write(const struct job_result *r, struct buf *out);

enum job_event_kind {
	JOB_EVENT_WAITING,
	JOB_EVENT_PROGRESS,
	JOB_EVENT_MOVING,
	JOB_EVENT_AUDIT,
	JOB_EVENT_ACCOUNT,
	JOB_EVENT_PULL,
	JOB_EVENT_TOKEN,
	JOB_EVENT_UIDL_PART,
	JOB_EVENT_UIDL,
	JOB_EVENT_VALIDITY,
	JOB_EVENT_RESULT
};
struct job_event {
	enum job_event_kind kind;
	struct job_result result; /* RESULT */
	char folder[256];	  /* PROGRESS */
	int64_t done, total, messages, bytes;
	json_t *item; /* AUDIT, ACCOUNT, PULL */
	struct secret token; /* TOKEN; good until */
	int64_t until;	     /* ms since 1970 */
	char *body;   /* UIDL_PART, VALIDITY; owned */
	struct uidl_state uidl; /* UIDL: complete, entries, missing, why */
};
void job_event_release(struct job_event *ev);
int job_event_parse(struct slice line, struct job_event *out, struct err *e) MUST_CHECK;
void job_event_write(const struct job_event *ev, struct buf *out);

/* The whole life of a worker process: reads the job from fd 0, writes to fd 1; returns the exit
 * status. */
int job_main(void);

#endif
