/*
 * What a session leaves behind in the store, for explanations (`mailferry history`) and for the
 * rules of waves: each login that a server was asked for, and how a session ended that we
 * ended. Of imported users only.
 */
#ifndef PROXY_PAST_H
#define PROXY_PAST_H

#include "common/store_past.h"
#include "proxy/session.h"

/* Its login was answered by the server of s->back.side, or that could not be asked. */
void past_login(const struct session *s, enum reject r);

/*
 * We end it behind its login. told: it hears of it now. Once in a session's life; what was open
 * is looked at here, so before its streams are let go.
 */
void past_drop(struct session *s, const char *why, bool told);
/* POP3: its client hears of it, at last. */
void past_told(struct session *s);
/* Lets go of the client's stream, and remembers whether the client took its last words. */
void past_let_go(struct session *s, int linger_ms);
/* Nothing more will be known. */
void past_forget(struct session *s);

#endif
