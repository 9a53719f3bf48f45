/*
 * Between the files that make up a session: session.c (states, deadlines, the beginning),
 * session_login.c (from the password to the route), session_dial.c (to the backend),
 * session_io.c (events, relay), session_hold.c (quiet, the verdict), session_end.c and
 * sessions.c (all of them). For no one else.
 */
#ifndef PROXY_SESSION_IMPL_H
#define PROXY_SESSION_IMPL_H

#include "proxy/session.h"

/* Into SESSION_ID_MAX bytes. */
void session_new_id(char *out);
/* The only way a session changes state: checks the move, logs it, sets the deadline. */
void session_enter(struct session *s, enum session_state to);
/* The state's deadline anew, from now; and none. */
void session_arm(struct session *s);
void session_disarm(struct session *s);
/* It took the trouble to say something: evicted later than those who did not. */
void session_was_heard(struct session *s);
/* To DELAY, or stays there: looked at again after ms. */
void session_delay(struct session *s, int64_t ms);
void session_on_delay(struct session *s);
void session_evict(struct session *s);
/* Before login: the client is somewhere else than it seemed, and is counted there. -1: there
 * are too many already, the session is over. */
int session_move(struct session *s, const struct origin *origin) MUST_CHECK;
void session_leave_route(struct session *s);
/* RELAY has no timer of its own, which every idle session would have to carry: the node looks.
 */
void session_check_idle(struct session *s);
void session_forget_login(struct session *s);
void session_close_with_bye(struct session *s, const char *bye, const char *why);
/* The user was moved: BYE, or for POP3 a last word at the next command. */
void session_part(struct session *s);
/* Says goodbye to the backend and follows the connection to its end, for the route's sake. */
void session_leave_backend(struct session *s, bool politely);
/* What the client hears last when it is sent away. Borrowed. */
const char *session_last_words(const struct session *s);
stream_fn session_on_client, session_on_backend;
stream_may_fn session_may_send;
/* The client is connected, with TLS where that begins at once. */
void session_client_up(struct session *s);

/* Looks where to go, with the route registered before: to PARK, or to DIAL. */
void session_ask_route(struct session *s);
void session_park(struct session *s);
/* session_dial.c: connects to the server that is next on the way to s->side … */
void session_dial(struct session *s);
/* … and goes on behind one that only had to prove the password. */
void session_proved(struct session *s);
/* Nothing is left of the conversation with a backend; its stream is the caller's. */
void session_forget_backend(struct session *s);
/* Why it was led to its side, when it was: "new: flipped at 2026-11-24T05:00:00Z". */
void session_describe_route(const struct session *s, char *out, size_t size);
/* Before it is closed: its row goes, and the store learns when a client that was let in went,
 * however short it was there. */
void session_end_row(struct session *s);
void session_count_hold(struct session *s, const char *released_to);
void session_to_auth(struct session *s);

#endif
