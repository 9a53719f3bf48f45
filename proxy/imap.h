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

/* What becomes of a server's line that starts here: it passes, more of it must come first, or
 * what was made of it passes instead. */
enum held { HELD_NO, HELD_MORE, HELD_REWRITTEN };

/* imap_checkpoint.c */
/* A command passes: remembers what is needed to begin its IDLE anew. */
void imap_checkpoint_note(struct session *s, const struct imap_command *c);
/* The session is quiet: has the server written down what it acknowledged? If not, it is asked.
 */
bool imap_checkpoint(struct session *s);
/* It was asked and has not answered: nothing of the client's may pass. */
bool imap_checkpoint_pending(const struct session *s);
/* HELD_REWRITTEN: the *len bytes were an answer to us. */
enum held imap_checkpoint_hold(struct session *s, struct slice rest, size_t *len);

/* imap_relay.c */
void imap_pass_up(struct session *s);
void imap_pass_down(struct session *s);
bool imap_quiet(const struct session *s);
bool imap_at_line(const struct session *s);
bool imap_uploading(const struct session *s);
void imap_describe(const struct session *s, char *out, size_t size);
bool imap_say_bye(struct session *s, const char *text);
bool imap_leave_backend(struct session *s);

#endif
