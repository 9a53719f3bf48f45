/*
 * What of a conversation people may see: an allowlist. Each call takes one logical line of IMAP
 * or POP3 without its line end (literals cut out, "{n bytes}" in their place) and writes what
 * may be shown to out, as one line with a NUL, cut at size.
 *
 * Never shown, not even in part: arguments of LOGIN, AUTHENTICATE, USER, PASS, APOP and AUTH,
 * texts of continuations (SASL), strings and unknown words in a search, strings in a FETCH
 * answer (subjects, addresses, content), and any line whose command is not known: it may be the
 * answer to a password prompt. Names of mailboxes, flags, numbers, a client's ID and status
 * texts are.
 */
#ifndef COMMON_WIRE_REDACT_H
#define COMMON_WIRE_REDACT_H

#include "common/wire/pop3.h"

void redact_imap_client(struct slice line, char *out, size_t size);
void redact_imap_server(struct slice line, char *out, size_t size);
void redact_pop3_client(struct slice line, char *out, size_t size);
/* The first line of an answer. */
void redact_pop3_server(struct slice line, char *out, size_t size);
/* May the lines of this command's answer be shown? Then each as it is, by redact_text(). */
bool redact_pop3_shows_lines(enum pop3_verb v);
void redact_text(struct slice line, char *out, size_t size);

#endif
