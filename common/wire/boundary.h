/*
 * What is open in an IMAP session that is being relayed, known exactly (RFC 3501 2.2, 4.3, 7).
 *
 * The tracker sees each byte that passes, once, in order, cut anywhere. From it a cutover
 * learns when nothing can change mail any more and when a line of ours may be put into the
 * server's stream: never inside a line or a literal, where our bytes would become content of a
 * message.
 *
 * Pure and of fixed size. Towards the server, lines pass whole: half a line is no open command.
 */
#ifndef COMMON_WIRE_BOUNDARY_H
#define COMMON_WIRE_BOUNDARY_H

#include "common/wire/imap.h"

/* Commands in flight; what a client pipelines beyond waits with us, near the server. */
#define BOUNDARY_OPEN_MAX 16

/* Zeroed it is a session right after login. Members are for boundary.c and its tests. Every
 * idle session holds one: keep it small. */
struct boundary {
	/* client to server */
	uint64_t literal; /* bytes of a literal still to come */
	uint64_t literal_size;
	bool in_command;  /* behind a line that a literal follows, until the command's last line
			   */
	bool await_plus;  /* nothing passes before the server has asked with "+", or refused */
	bool answered;	  /* the command in transit has had its tag already */
	bool swallow;	  /* of a refused command: drop it */
	uint64_t current; /* tag of the command in transit */
	/* IDLE: its command is the last one open and DONE has not passed */
	bool idling;
	/* server to client */
	uint64_t down_literal;
	uint64_t down_tag;    /* hash of the first word so far */
	uint64_t down_number; /* between the braces */
	uint8_t down_state;
	uint8_t down_kind;
	uint8_t down_word; /* bytes of the word behind "* " so far */
	bool down_quoted, down_escaped;
	uint8_t down_brace;
	char down_first[8]; /* that word; of a tagged line the first bytes behind its tag */
	/* A tagged answer said that the server itself is in trouble: NO [SERVERBUG], [UNAVAILABLE]
	 * or [CORRUPTION] (RFC 5530). Cleared by who takes note. */
	bool failed;
	/* commands passed and not completed */
	uint8_t open;
	uint8_t verbs[BOUNDARY_OPEN_MAX];
	uint64_t tags[BOUNDARY_OPEN_MAX]; /* hashes */
};

enum boundary_up {
	UP_MORE,    /* half a line: wait for the rest; *take is 0 */
	UP_PASS,    /* *take bytes go to the server */
	UP_DROP,    /* *take bytes belong to a refused command and go nowhere */
	UP_COMMAND, /* a new command, *take bytes long so far: boundary_pass() or
		       boundary_refuse() it, or leave it */
	UP_FULL,  /* a new command, but BOUNDARY_OPEN_MAX are open: leave it until one completes
		   */
	UP_WAIT,  /* the server has not asked for it: leave it until "+" or the refusal is here
		   */
	UP_BAD,	  /* no command that may pass: boundary_refuse() it. *take is that line */
	UP_BROKEN /* a line longer than max, or one in the middle of a command that may not
		     pass: the session cannot go on */
};

/*
 * Looks at the client's next bytes. UP_PASS and UP_DROP: the tracker has moved on, the caller
 * must take them. UP_COMMAND, UP_FULL, UP_WAIT, UP_BAD: it has not; *command says what it is
 * (slices into p).
 *
 * What a client sends without waiting for the server's "+" is held back until that comes: if
 * the server refuses instead, it reads those bytes as commands, and so do we.
 */
enum boundary_up boundary_up(struct boundary *b, const char *p, size_t n, size_t max,
			     size_t *take, struct imap_command *command);
/* The line that UP_COMMAND showed goes to the server. */
void boundary_pass(struct boundary *b, const char *p, size_t take,
		   const struct imap_command *command);
/* It does not, nor does a line that is UP_BAD: a literal that comes with it anyway ({n+}) will
 * be dropped. */
void boundary_refuse(struct boundary *b, const char *p, size_t take);

/*
 * Feeds bytes from the server: eats up to the end of one line or of what is there of a literal,
 * and returns how many that were (at least 1 if n > 0).
 */
size_t boundary_down(struct boundary *b, const char *p, size_t n);
/* Does the server's next byte start a new response? Only there may a line of ours go in
 * between. */
bool boundary_at_line(const struct boundary *b);
/* …or is it content of a literal? */
bool boundary_in_literal(const struct boundary *b);

/* Nothing is open, or only an IDLE: no byte that has passed can change mail any more. */
bool boundary_quiet(const struct boundary *b);
/* The client owes bytes of a literal (and has been asked for them, or sends unasked). */
bool boundary_uploading(const struct boundary *b);
/* "APPEND 18/52 MB", "FETCH", "IDLE", "": for people, with a NUL. */
void boundary_describe(const struct boundary *b, char *out, size_t size);

#endif
