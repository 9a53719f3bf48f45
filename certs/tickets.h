/*
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1), shared by the nodes of a host through a
 * file: a client that comes back resumes at whichever node takes it, and after a restart or an
 * upgrade.
 *
 * A key seals new tickets for `life_s`, and opens what it sealed for that long again. Whichever
 * node finds the newest key too old when it needs one makes the next; then those that open
 * nothing any more are gone.
 */
#ifndef CERTS_TICKETS_H
#define CERTS_TICKETS_H

#include <openssl/ssl.h>

#include "common/err.h"

#define TICKETS_FILE "tickets" /* in run.dir, mode 0600 */

struct tickets;

/* Reads the file in dir, or makes it. dir NULL: keys of our own, in no file. */
int tickets_open(const char *dir, int life_s, struct tickets **out, struct err *e) MUST_CHECK;
void tickets_free(struct tickets **t);
void tickets_set_life(struct tickets *t, int life_s);

/*
 * OpenSSL's questions, answered as SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has it: what to seal
 * a ticket with, and what to open one with (0: not ours any more, a full handshake follows; 2:
 * good, and a new one is due).
 */
int tickets_seal(struct tickets *t, unsigned char name[16], unsigned char *iv,
		 EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
int tickets_unseal(struct tickets *t, const unsigned char name[16], const unsigned char *iv,
		   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

#endif
