/*
 * POP3's three parts: pop3_front.c hears the client until it has logged in, pop3_back.c logs in
 * at the backend, pop3_relay.c passes both ways afterwards. The table of verbs is in
 * pop3_front.c.
 */
#ifndef PROXY_POP3_H
#define PROXY_POP3_H

#include "proxy/session.h"

/* pop3_back.c */
void pop3_hear_backend(struct session *s);
void pop3_backend_secure(struct session *s);

/* pop3_relay.c */
void pop3_pass_up(struct session *s);
void pop3_pass_down(struct session *s);
bool pop3_quiet(const struct session *s);
bool pop3_at_line(const struct session *s);
bool pop3_uploading(const struct session *s);
void pop3_describe(const struct session *s, char *out, size_t size);
bool pop3_say_bye(struct session *s, const char *text);
bool pop3_leave_backend(struct session *s);

#endif
