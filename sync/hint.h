/*
 * What a server means when it has had enough of us for now: response codes (RFC 5530, and those
 * that servers made up), and the sentences of those that send no code. Pure.
 */
#ifndef SYNC_HINT_H
#define SYNC_HINT_H

#include "common/err.h"
#include "common/wire/imap.h"

#define HINT_WAIT_MAX_MS 3600000 /* no server is believed that asks for more */

/*
 * Of a NO, BAD or BYE: its code and its text. LATER_NOBODY: an ordinary refusal. The sentence
 * counts before the code, since it says more ("[UNAVAILABLE] Too many connections").
 */
struct later hint_read(struct slice code, struct slice text);

/* Is it the answer of a server whose mailbox is full ([OVERQUOTA], or in words)? */
bool hint_is_full(struct slice code, struct slice text);

#endif
