/*
 * What is open in a POP3 session that is being relayed, known exactly (RFC 1939, 2449).
 *
 * The tracker sees each byte that passes, once, in order, cut anywhere. Answers come in the
 * order of the commands, so it knows which answer is being given, where a multi-line one ends,
 * and what would be lost if the session were cut now: deletes count only from its QUIT on.
 *
 * Pure and of fixed size. Towards the server, lines pass whole: half a line is no open command.
 */
#ifndef COMMON_WIRE_POP3_BOUNDARY_H
#define COMMON_WIRE_POP3_BOUNDARY_H

#include "common/wire/pop3.h"

#define POP3_OPEN_MAX 32 /* commands in flight; a client that pipelines more waits */

/* Zeroed it is a session right after login. Members are for pop3_boundary.c and its tests. */
struct pop3_boundary {
	uint8_t verbs[POP3_OPEN_MAX]; /* of commands passed and not answered, oldest first */
	uint32_t multiline;	      /* a bit for each of them: +OK brings lines up to a dot */
	uint8_t count;
	bool half_line; /* an answer's first line has not ended … */
	bool ok;	/* … and begins with "+" */
	bool in_lines;	/* of a multi-line answer */
	bool touched;	/* RETR, TOP or DELE has passed: only QUIT ends this without a trace */
	bool quit;	/* QUIT was answered */
	struct pop3_dots dots;
	uint32_t deletes; /* messages marked: DELE answered with +OK since the last RSET */
};
_Static_assert(POP3_OPEN_MAX <= 32 && POP3_VERBS <= UINT8_MAX, "they fit");

enum pop3_up {
	POP3_UP_MORE,	/* half a line: wait for the rest; *take is 0 */
	POP3_UP_PASS,	/* a command, *take bytes long: pop3_boundary_pass() it, or leave it */
	POP3_UP_REFUSE, /* one that we do not know or that would blind us: it goes nowhere, and
			   as answers come in order -ERR is said when none is open */
	POP3_UP_FULL,	/* a command, but POP3_OPEN_MAX are open: leave it until one is answered
			 */
	POP3_UP_BROKEN	/* a line longer than POP3_LINE_MAX: the session cannot go on */
};

/* Looks at the client's next bytes. Never moves the tracker. */
enum pop3_up pop3_boundary_up(const struct pop3_boundary *b, const char *p, size_t n,
			      size_t *take, struct pop3_command *command);
/* The command goes to the server. */
void pop3_boundary_pass(struct pop3_boundary *b, const struct pop3_command *command);

/*
 * Feeds bytes from the server: eats up to the end of a line or of a multi-line answer, or all,
 * and returns how many that were (at least 1 if n > 0).
 */
size_t pop3_boundary_down(struct pop3_boundary *b, const char *p, size_t n);
/* Does the server's next byte start a new answer? */
bool pop3_boundary_at_line(const struct pop3_boundary *b);

/* QUIT has passed. */
bool pop3_boundary_quits(const struct pop3_boundary *b);
/* Nothing is open, and nothing would be lost or done twice if the session ended here. */
bool pop3_boundary_quiet(const struct pop3_boundary *b);
/* "RETR and 2 more", "3 deletes wait for QUIT", …, "": for people, with a NUL. */
void pop3_boundary_describe(const struct pop3_boundary *b, char *out, size_t size);

#endif
