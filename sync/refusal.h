/*
 * What a server means by a lasting NO or BAD to one message (sync/hint.h knows the passing
 * ones): by its response code (RFC 5530, RFC 7889), else by words that many servers use. Pure.
 */
#ifndef SYNC_REFUSAL_H
#define SYNC_REFUSAL_H

#include "common/wire/imap.h"

enum refusal {
	REFUSAL_CONTENT, /* not as it is: a repair may help */
	REFUSAL_SIZE,	 /* too large */
	REFUSAL_POLICY,	 /* a virus, a rule: not this one, whatever its form */
	REFUSAL_FOLDER	 /* nothing may be put there: it is not the message's fault */
};

enum refusal refusal_of(const struct imap_reply *r);

#endif
