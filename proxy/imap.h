/*
 * IMAP's three parts: imap_front.c hears the client until it has logged in, imap_back.c logs in
 * at the backend, imap_relay.c passes bytes both ways afterwards. The table of verbs is in
 * imap_front.c.
 */
#ifndef PROXY_IMAP_H
#define PROXY_IMAP_H

#include "common/wire/imap.h"
#include "proxy/session.h"

#define IMAP_BACK_LINE_MAX (16 * 1024) /* bytes of a backend's line that we read whole */

/* imap_back.c */
void imap_hear_backend(struct session *s);
void imap_backend_secure(struct session *s);

/* imap_relay.c */
void imap_pass_up(struct session *s);
void imap_pass_down(struct session *s);
bool imap_quiet(const struct session *s);
bool imap_at_line(const struct session *s);
bool imap_uploading(const struct session *s);
void imap_describe(const struct session *s, char *out, size_t size);
void imap_say_bye(struct session *s, const char *text);
void imap_leave_backend(struct session *s);

#endif
