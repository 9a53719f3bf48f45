/*
 * What the operator says: mailferry.conf, read with libconfuse.
 *
 * One table (settings.c) holds each setting's section, name, type, default, limits, help and
 * whether a reload can change it; the sample file and the manual come from it. All mistakes of
 * a file are reported together, each with file and line; an unknown name is one of them.
 * Passwords come from files that settings name (or ${VARIABLES} that name such files), never
 * from the file itself.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/login_name.h"
#include "common/user_state.h"
#include "config/rate_times.h"

enum protocol_kind { PROTO_IMAP, PROTO_POP3, PROTOS };
enum tls_mode { TLS_NONE, TLS_STARTTLS, TLS_IMPLICIT, TLS_MODES };

/* PROXY header that a backend wants in front of everything; the number is the version. */
enum proxy_protocol { PROXY_NONE, PROXY_V1, PROXY_V2, PROXY_PROTOCOLS };

const char *protocol_kind_name(enum protocol_kind p);	/* "imap", "pop3" */
const char *tls_mode_name(enum tls_mode m);		/* "none", "starttls", "implicit" */
const char *proxy_protocol_name(enum proxy_protocol p); /* "none", "v1", "v2" */

/* What becomes of a user whose check says no. */
enum gate_rule { RULE_WARN, RULE_REQUIRE, RULES };

/* listener "NAME" { … } */
struct listener_conf {
	char *name;
	enum protocol_kind proto;
	char *address; /* "127.0.0.1", "::", … */
	int port;      /* 0: the system picks one (tests) */
	enum tls_mode tls;
	bool proxy_protocol; /* each connection begins with a PROXY header */
	char *trusted; /* networks whose word about a client's address counts; NULL: none */
};

/* backend "old" { … } and backend "new" { … } */
struct backend_conf {
	char *host;	  /* name or address */
	int port[PROTOS]; /* 0: this protocol is not offered there */
	enum tls_mode tls[PROTOS];
	char *tls_name;	   /* the name its certificate must carry; NULL: host */
	char *tls_ca_file; /* NULL: the system's store */
	char *tls_pin;	   /* "sha256:HEX" of the certificate's public key (SPKI); NULL: none */
	char *master_user; /* for the sync engine; NULL: users' own passwords */
	char *master_password_file;
	char *master_format; /* login to send with LOGIN-like masters: "%u*%m"; "" : SASL
				authzid */
	char *auth;	     /* of the copier: "plain", "xoauth2", "oauthbearer" */
	char *token_command; /* prints a token for %u; NULL: tokens are in password files */
	char *login_format;  /* of the proxy's logins: "%n"; NULL: the store's, or as written */
	/* The proxy's master: only behind the client's own login at the server auth_from. */
	char *proxy_master_user, *proxy_master_password_file, *proxy_master_format;
	char *auth_from;      /* "old" or "new", never this one; set if proxy_master_user is */
	bool allow_cleartext; /* TLS_NONE to a host that is not this one */
	enum protocol_kind copy; /* how the sync engine reads it */
	int connections;	 /* the sync engine's most at once */
	int64_t rate;		 /* the same: bytes/s there and back; 0: no limit */
	int message_rate;	 /* messages/s; 0: no limit */
	char *rate_times;	 /* other numbers by the time of day; NULL: none */
	/* how the client's address is told there, if at all */
	enum proxy_protocol proxy_protocol;
	bool id_forward, xclient; /* IMAP's ID, POP3's XCLIENT */
	bool checkpoint; /* keeps changed flags in the open session: CHECK before a move */
	bool keep_uidvalidity; /* "new": clients go on seeing old's */
};

/* Where a domain's records shall lead once its users are on new; in domain "NAME" { … } NULL
 * means what section dns says. Lists are as config/dns_words.h takes them apart. */
struct dns_target {
	char *kind;    /* "opensrs-a", "opensrs-b", "other"; NULL: not known */
	char *mx;      /* other: "10 mx.new.example.net, 20 …" */
	char *host;    /* other: what client names are a CNAME of */
	char *webmail; /* other: the same for webmail; NULL: host */
	char *spf;     /* other: a term that SPF must hold; NULL: none */
	char *names;   /* that clients use, without the domain: "mail, imap, …" */
	char *servers; /* name servers that the zone moves to; NULL: it stays */
};

/* domain "example.com" { … } */
struct domain_conf {
	char *name;
	struct dns_target target;
};

struct settings {
	char *path; /* the file read */

	struct listener_conf *listeners;
	size_t listener_count;
	struct backend_conf backend[SIDES];
	struct domain_conf *domains;
	size_t domain_count;

	struct { /* tls { … }: towards clients */
		/* PEM files; chain in certificate; key NULL: in certificate too */
		char *certificate, *key;
		char *second_certificate, *second_key; /* with another kind of key */
		char *folder;			       /* more of them, by name */
		int loaded_max;			       /* of the folder, in memory */
		int ticket_life_s;		       /* then the key is changed */
		bool allow_cleartext;		       /* passwords without TLS */
	} tls;
	struct {	   /* store { … } */
		char *url; /* of a PostgreSQL server; NULL: the file */
		char *path;
		char *flips; /* the flip log; NULL: beside path */
	} store;
	struct {	     /* run { … } */
		char *dir;   /* sockets, locks, nudges */
		char *host;  /* this host, where several share a store; NULL: the system's name
			      */
		int nodes;   /* proxy processes on this host */
		char *user;  /* to become after start as root; NULL: stay */
		int hang_s;  /* a process silent this long is killed and started again */
		int stop_s;  /* at a stop: sessions with something open get this long */
		int leave_s; /* most that a replaced node stays for its sessions; 0: no limit */
		int probe_s; /* capabilities of the backends are asked for this often */
	} run;
	struct { /* log { … } */
		enum log_level level;
	} log;
	struct { /* users { … } */
		char *default_domain;
		bool fold_local;
	} users;
	struct {		       /* sync { … } */
		char *dir;	       /* journals, one file a user */
		char *exceptions;      /* messages that could not be copied; NULL: in dir */
		char *reports;	       /* of `mailferry verify`, and the key that signs them */
		int workers;	       /* most at once */
		bool lend; /* of them to the engine at work, while this one stands by */
		int64_t worker_memory; /* bytes of one */
		char *worker_user; /* they become it if the engine is root; NULL: they stay */
		int delta_s;	   /* ready: a pass every */
		int trailing_s;	   /* trailing: a pass every */
		int fence_s; /* after a lost connection an unseen message is believed lost only
				after this */
		int retry_s; /* after a failed pass; doubles, up to 1 h */
		int trouble_s; /* a server's internal error counts so long; 0: it does not */
		int trailing_quiet_days; /* then a trailing user is done */
		int connections;	 /* to each server, for one user */
		int connect_s, io_s;	 /* towards the servers */
		int64_t message_max;	 /* bytes; a larger message is an exception */
		int64_t user_rate;	 /* bytes/s of one user's copy; 0: no limit */
		int user_message_rate;
		char *folders;	  /* rules about folders (config/folder_rules.h); NULL: none */
		bool shared;	  /* other users' and shared folders too */
		int delete_brake; /* most deletes per folder and pass … */
		int delete_brake_percent; /* … or this share of it, whichever is more */
		char *deleted;		  /* "copy" or "skip": what is marked \Deleted */
		char *uids;		  /* "exact", "floor", "plain" (sync/uid_mode.h) */
		int uid_gaps, uid_floor;  /* UIDs used up in a folder, at most */
		int uid_s;		  /* of a pass, at most */
	} sync;
	struct {	      /* cutover { … } */
		int budget_s; /* from freeze to flip; then it is undone */
		int hold_s;   /* most that a login waits */
		int retry_s;  /* after an undo; doubles */
		int tries;    /* undone this often, the user is stuck until `mailferry retry` */
		int parallel; /* users between freeze and flip at once */
		char *bye;    /* text of the BYE */
	} cutover;
	struct {	    /* pop3 { … } */
		char *uidl; /* "keep" or "native" */
	} pop3;
	struct { /* gate { … }: what must hold before a user is moved */
		enum gate_rule uids, uidvalidity, strangers, subscriptions, special_use, names,
			unseen, pop3_ids, server, password, password_unknown, phases;
		bool shadow_login;    /* nodes find out whether new takes users' passwords */
		int quota_margin;     /* % of the mailbox that must be free on new besides */
		int certificate_days; /* that new's certificate must last yet */
	} gate;
	struct { /* waves { … }: when one pauses by itself; sync/wave.h */
		int window_s, least, failed_percent, hold_ms, slow_times, slow_ms;
		int rollback_percent, rollback_s, rollback_hours; /* percent 0: never */
	} waves;
	struct {	       /* learn { … }: passwords that clients have logged in with */
		char *domains; /* whose; "*": all; NULL: nothing is learned */
		char *public_key, *key_file;
		int days; /* without a login, then they are erased */
	} learn;
	struct {	      /* lookup { … }: the MTA asks where mail goes */
		char *listen; /* NULL: nobody asks */
		char *old_transport, *new_transport;
		char *extension; /* one character; NULL: none */
		bool unknown_to_old;
		int connections, idle_s;
	} lookup;
	struct {	      /* api { … }: the engine's HTTP API off its Unix socket */
		char *listen; /* "ADDRESS:PORT"; NULL: nowhere else */
		bool tls;
		char *certificate, *key; /* NULL: those of section tls */
		char *names;  /* that it is called by, besides addresses; NULL: none */
		char *tokens; /* admin/bearers.h; set if listen is */
		int connections, connections_per_address, subscribers;
	} api;
	struct {			     /* dns { … } */
		char *resolvers;	     /* NULL: those of /etc/resolv.conf */
		int port;		     /* of authoritative name servers */
		int timeout_s;		     /* for one answer, tries included */
		int smtp_port, webmail_port; /* probed for a certificate; 0: not */
		int watch_s; /* the engine looks this often where the MX leads; 0: never */
		struct dns_target target;
	} dns;
	struct {	       /* opensrs { … }: new is OpenSRS, if cluster is set */
		char *cluster; /* "A", "B", "test" or a URL; NULL: new is something else */
		char *user;    /* administrator */
		char *password_file; /* of the administrator, or */
		char *token_file;    /* an API token of his */
		char *ca_file;	     /* NULL: the system's CAs */
		char *accounts;	     /* list of accounts (sync/accounts.h); NULL: none */
		bool create;	     /* pending users' accounts, if they are missing */
		bool session_tokens; /* the copier logs in on new with them */
		int token_hours, parallel, answer_s;
		char *pull_server,
			*pull_method; /* of OpenSRS's own tool; NULL: by backend old */
		int pull_poll_s, pull_still_s;
	} opensrs;
	struct { /* limits { … }: seconds, counts, bytes */
		int header_s, handshake_s, login_s, login_tries, dial_s, backend_login_s;
		int imap_idle_s, pop3_idle_s;
		int stall_s;  /* draining: an upload or a reader that stands still this long is
				 closed */
		int sessions; /* of one node */
		int preauth_sessions;
		int parked;	   /* logins waiting on one node */
		int preauth_bytes; /* of one command before login, literals included */
		int line_bytes; /* one client line after login that is kept until it is whole */
		int drop_per_s; /* BYEs of many users are paced */
		int preauth_per_address;
		int sessions_per_address, sessions_per_user; /* 0: no limit */
		int login_parallel, login_delay_s, refusal_s;
		int bad_commands, id_pairs;
		int tracked;	       /* entries of proxy/guard.h */
		int64_t uidl_bytes;    /* of maps in memory (proxy/overlay.h) */
		int spare_descriptors; /* kept for the store, certificates and control */
		char *trusted;	       /* networks without the limits of one address */
	} limits;
};

/* Every mistake found: "mailferry.conf:12: backend \"old\": no such setting \"hots\" (did you
 * mean \"host\"?)". */
struct settings_errors {
	char **at;
	size_t count;
};

/*
 * Reads and checks a file. On success *out is filled (settings_release() frees it) and 0 is
 * returned; else -1 and at least one entry in errs. Relative paths in the file are meant from
 * the file's folder and come out absolute.
 */
int settings_load(const char *path, struct settings *out,
		  struct settings_errors *errs) MUST_CHECK;
void settings_release(struct settings *s);
void settings_errors_release(struct settings_errors *errs);

/* Does the protocol travel unprotected to a backend on another host? (Only where allowed.) */
bool settings_cleartext(const struct backend_conf *b, enum protocol_kind p);

/*
 * A reload: takes from *fresh what may change in a running process. Each setting that differs
 * is named to `told` ("backend \"old\": host"): taken, or kept as it is because it needs a
 * restart. *fresh ends up with the values that were replaced and is still the caller's to
 * release. Texts that a reload can change must not be borrowed across events.
 */
typedef void settings_told_fn(const char *what, bool taken, void *arg);
void settings_take(struct settings *now, struct settings *fresh, settings_told_fn *told,
		   void *arg);

/* Where in the file a setting stands, or else its section; 1: neither, or the file cannot be
 * read. */
unsigned settings_line(const char *path, const char *section, const char *name);

/* Writes the sample file: every setting with its help and default, in the table's order. */
void settings_write_sample(FILE *to);
/* The same as mailferry.conf(5). */
void settings_write_manual(FILE *to);

/* What holds for the domain: its own section's words, and those of section dns where it has
 * none. Borrowed from s. */
struct dns_target settings_dns_target(const struct settings *s, const char *domain);

/* Do POP3 clients keep the unique ids that they know from old? */
/* Are passwords of this user (a normalised name) learned? */
bool settings_learns(const struct settings *s, const char *user);
bool settings_keep_uidl(const struct settings *s);

/* Where this host's flip log is (common/flips.h); the caller frees. */
char *settings_flips(const struct settings *s);
struct login_name_rules settings_login_rules(const struct settings *s); /* borrows from s */

#endif
