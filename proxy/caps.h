/*
 * What the two servers can do before login, as this node was told: by its probes and by each
 * login. Clients are offered what every known address of both servers has; a login to an
 * address that was met lately need not ask again.
 *
 * Lists: IMAP's words with spaces between, POP3's lines with LF behind each.
 */
#ifndef PROXY_CAPS_H
#define PROXY_CAPS_H

#include "common/wire/sasl.h"
#include "config/settings.h"

#define CAPS_AGE_MS    600000	/* a login trusts its memory this long */
#define CAPS_STALE_MS  86400000 /* an address not met for this long no longer counts */
#define CAPS_ADDRESSES 16	/* kept for each server and protocol; the oldest goes */
#define CAPS_LIST_MAX  8192	/* bytes of a list; more is not remembered */

struct caps;

struct caps *caps_new(void);
void caps_free(struct caps **c);

/* The peer of this socket told its list (behind TLS, where that is configured). */
void caps_learn(struct caps *c, enum side side, enum protocol_kind proto, int fd,
		struct slice list);
/* What that peer told, if it was lately; else empty. Borrowed until the next call. */
struct slice caps_recall(struct caps *c, enum side side, enum protocol_kind proto, int fd);
/* It was wrong: not to be recalled until that peer tells its list again. */
void caps_doubt(struct caps *c, enum side side, enum protocol_kind proto, int fd);
/* Cuts the lists again: addresses that were not met for CAPS_STALE_MS drop out. */
void caps_refresh(struct caps *c);

/*
 * For clients before login. Until both servers were heard, all of these say what any server
 * can: passwords, and nothing else.
 */
bool caps_offer_passwords(const struct caps *c, enum protocol_kind proto);
bool caps_offer_mech(const struct caps *c, enum protocol_kind proto, enum sasl_mech m);
/* IMAP's words that are not about logging in, each with a space in front. */
struct slice caps_offer_imap(const struct caps *c);
/* Do both servers list this capability in CAPA? */
bool caps_offer_pop3(const struct caps *c, const char *name);

#endif
