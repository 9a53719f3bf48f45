/*
 * TLS towards clients: the certificate that fits the name they ask for, tickets that every node
 * of the host honours, and only the protocol that the port speaks.
 */
#ifndef CERTS_SERVER_H
#define CERTS_SERVER_H

#include "certs/folder.h"
#include "certs/tickets.h"

/* All borrowed for the call only. NULL: not set. */
struct tls_server_conf {
	const char *certificate, *key; /* the default; key NULL: in the same file */
	const char *second_certificate, *second_key; /* with another kind of key */
	const char *folder;			     /* more, by name */
	int loaded_max;				     /* names of the folder in memory */
	const char *run_dir; /* where the keys of tickets are shared; NULL: they are not */
	int ticket_life_s;
};

/* Not shared by threads. May be reloaded under connections, and freed when no handshake is
 * under way. */
struct tls_server;
int tls_server_new(const struct tls_server_conf *conf, struct tls_server **out,
		   struct err *e) MUST_CHECK;
void tls_server_free(struct tls_server **s);
/*
 * A connection object that waits for a client. alpn: the one protocol that is spoken here
 * ("imap"), static; a client that offers others only is refused (RFC 7301 3.2), one that offers
 * none is not. Owned by the caller; its socket is his to set.
 */
SSL *tls_server_start(struct tls_server *s, const char *alpn);

/* Takes new settings and looks at all files again. What is bad is logged, and what was there
 * stays; then -1, and *e says what it was. */
int tls_server_reload(struct tls_server *s, const struct tls_server_conf *conf, struct err *e);
/* Now and then, on the event loop: reads a few expiry dates. */
void tls_server_tick(struct tls_server *s);

/* Of the default certificate (name "") and of those in the folder, as far as they have been
 * read. */
void tls_server_expiry(const struct tls_server *s, cert_expiry_fn *fn, void *arg);

#endif
