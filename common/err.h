/*
 * An error is a kind, which decides what happens, and a sentence, which a person reads.
 *
 * Where something breaks, err_set() says what; on the way up, err_wrap() says in what, in
 * front: "backend \"old\": connect 127.0.0.1:993: connection refused". Who decides logs it,
 * once.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/mem.h"

enum err_kind {
	ERR_NONE,
	ERR_TEMP,     /* try again later: network, busy, limits of a peer */
	ERR_AUTH,     /* a login was refused */
	ERR_PROTOCOL, /* a peer said what it must not */
	ERR_TLS,      /* no secure connection: certificate, name, version */
	ERR_INPUT,    /* what a person wrote: settings, CSV, command line */
	ERR_STORE,    /* our own durable state cannot be read or written */
	ERR_LIMIT,    /* a named limit of ours was reached */
	ERR_FULL,     /* a mailbox has no room: its quota */
	ERR_KINDS
};

#define ERR_TEXT_MAX 512

/* Whom it concerns that a server wants to be left alone for a while. */
enum later_whom {
	LATER_NOBODY,  /* it did not say so */
	LATER_COMMAND, /* this piece of work */
	LATER_USER,    /* this user's mailbox, whatever we want of it */
	LATER_HOST,    /* all that we want of that server */
	LATER_WHOMS
};
struct later {
	enum later_whom whom;
	int side;	 /* which server: enum side */
	int64_t wait_ms; /* as it said; 0: it did not */
	bool fewer;	 /* less at the same time may help */
};
const char *later_whom_name(enum later_whom w);

struct err {
	enum err_kind kind;
	char text[ERR_TEXT_MAX];
	struct later later; /* travels along; err_set() clears it */
};

/* Both always return -1, so that `return err_set(…)` reads well. e may be NULL. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

void err_clear(struct err *e);
const char *err_kind_name(enum err_kind kind);

#endif
