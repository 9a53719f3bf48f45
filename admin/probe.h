/*
 * One look at one server: does it answer, is it the one it says it is, what can it do (IMAP
 * servers tell most of it only after login). Blocking; for the command line only.
 */
#ifndef ADMIN_PROBE_H
#define ADMIN_PROBE_H

#include "common/buf.h"
#include "common/err.h"
#include "common/wire/endpoint.h"
#include "config/settings.h"

#define PROBE_LINE_MAX	 8192 /* bytes of one answer line */
#define PROBE_ANSWER_MAX 65536

struct probe {
	bool reached, secure;
	char greeting[256];
	struct buf words; /* capabilities, one a line: "IDLE\n", POP3 with arguments: "SASL
			     PLAIN\n" */
	struct buf
		auth; /* IMAP words about logging in ("AUTH=PLAIN"), which clients never see */
	/* of the certificate; empty without TLS */
	char subject[256], names[512], pin[72], tls_version[16];
	int days_left;
	char own[ENDPOINT_IP_MAX]; /* our address, as the server sees it */
	bool xclient;		   /* POP3: it offers us XCLIENT */
	int64_t took_ms;
	struct err err;	      /* when not reached */
	bool logged_in;	      /* words are what it can do after login */
	struct err login_err; /* asked to, but it could not */
};

/*
 * Fills *out; connect_s and io_s bound the waits. login: whose mailbox to open as master_user,
 * IMAP only and only for a look at its capabilities; NULL: log in nowhere.
 */
void probe_server(struct probe *out, const struct backend_conf *b, enum protocol_kind proto,
		  const char *login, int connect_s, int io_s);
void probe_release(struct probe *p);
/* Is this word (a whole line of words) there? ASCII case does not count. */
bool probe_has(const struct probe *p, struct slice word);

#endif
