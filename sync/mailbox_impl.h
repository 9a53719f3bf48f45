/*
 * What the files of a mailbox share (mailbox*.c, pipeline.c): commands and their answers.
 * Private to them.
 */
#ifndef SYNC_MAILBOX_IMPL_H
#define SYNC_MAILBOX_IMPL_H

#include "sync/hint.h"
#include "sync/mailbox.h"
#include "sync/pop3_source.h"

#define TAG_MAX		  16
#define LOOKS_MAX	  2    /* asked for and not taken yet */
#define COMMAND_WAITS_MAX 4    /* synchronising literals in one command */
#define LITERAL_MINUS_MAX 4096 /* RFC 7888 5 */

/* Sees the untagged answers of a command, BYE excepted. -1 (with e set) breaks the connection.
 */
typedef int untagged_fn(const struct frame *f, void *arg, struct err *e);

struct mailbox {
	struct pop3_source *pop3; /* NULL: IMAP; else all below is empty */
	struct transport *t;
	enum side which;
	struct frame_reader *r;
	struct buf capabilities; /* the words, as the server last gave them */
	struct mailbox_caps caps;
	char *greeting;
	const struct quirks *quirks;
	const char *mechanism;	/* of the login */
	unsigned tags;		/* issued so far */
	bool leaving;		/* LOGOUT is sent: BYE and an end are expected */
	char farewell[TAG_MAX]; /* its tag */
	enum imap_status last_status;
	char last_code[MAILBOX_CODE_MAX];

	char *selected;		    /* the folder's name; NULL: none */
	uint32_t exists;	    /* messages in it, as far as the server has said */
	unsigned opened_by;	    /* the command that was the last when it was opened */
	struct buf permanent_flags; /* NUL-terminated */

	struct { /* to be called before other answers are read, oldest first */
		mailbox_first_fn *fn;
		void *arg;
		unsigned
			at; /* tags issued by then: what was sent earlier is answered earlier */
	} first[LOOKS_MAX];
	int firsts;
	mailbox_sent_fn *sent; /* see mailbox_when_sent() */
	void *sent_arg;
	/* Who waits behind it: Dovecot gives the data of a command before the one in front of
	 * it is done, to end both together. Each takes what is its own. */
	untagged_fn *behind;
	void *behind_arg;

	bool enable_asked, qresync_on; /* RFC 7162 3.2.3 */
	struct look {		       /* mailbox_look.c: on their way, oldest first */
		char *name;
		char enable[TAG_MAX], select[TAG_MAX], changes[TAG_MAX]; /* "": not sent */
		char status[TAG_MAX]; /* of the open folder, instead of enable and select */
		bool read_only, with_vanished, all;
	} looks[LOOKS_MAX];
	int look_count;
	struct { /* mailbox_folder.c: the same */
		char unselect[TAG_MAX], namespaces[TAG_MAX], list[TAG_MAX], lsub[TAG_MAX];
	} survey;
};

/* A command being written: text without tag and CRLF, and where it must wait for "+ …". */
struct command {
	struct buf text;
	size_t waits[COMMAND_WAITS_MAX];
	int wait_count;
};

void command_printf(struct command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void command_astring(struct mailbox *m, struct command *c, struct slice s);
void command_release(struct command *c); /* wipes: it may hold a login */
/*
 * Sends it under a new tag, gathered (transport_write) but for synchronising literals. -1:
 * lost, or refused where "+" was awaited.
 */
int command_send(struct mailbox *m, struct command *c, char tag[TAG_MAX], untagged_fn *fn,
		 void *arg, struct err *e) MUST_CHECK;
/* Reads up to the tagged reply. 0: OK. -1: NO, BAD or lost; see mailbox_is_usable(). */
int command_wait(struct mailbox *m, const char *tag, untagged_fn *fn, void *arg,
		 struct err *e) MUST_CHECK;
/* Sends, waits, releases c. fn may be NULL. */
int command_run(struct mailbox *m, struct command *c, untagged_fn *fn, void *arg,
		struct err *e) MUST_CHECK;
/* Its tagged reply, noted; ERR_PROTOCOL if the tag is another one. */
int command_tagged(struct mailbox *m, const struct frame *f, const char *tag,
		   struct err *e) MUST_CHECK;
/* One without arguments. */
int command_simple(struct mailbox *m, const char *text, struct err *e) MUST_CHECK;

/* Up to a space; borrowed. */
struct slice reply_first_word(struct slice s);
/* The next frame; notes EXISTS and EXPUNGE; BYE is an error unless we are leaving. */
int mailbox_next(struct mailbox *m, struct frame *f, struct err *e) MUST_CHECK;
/* Notes a tagged reply: 0 for OK, else -1 with e saying what the server said. */
int mailbox_tagged(struct mailbox *m, const struct imap_reply *r, struct err *e) MUST_CHECK;
int mailbox_fail(struct mailbox *m, enum err_kind kind, const char *text, struct err *e);
void mailbox_next_tag(struct mailbox *m, char tag[TAG_MAX]);
/* May a literal of n bytes be sent without waiting? */
bool mailbox_may_push(const struct mailbox *m, uint64_t n);
/* Is this NO or BAD one that may go away by itself? */
bool mailbox_is_temporary(const struct imap_reply *r);

/* SELECT or EXAMINE: what was selected is forgotten when it is written, not answered. */
void select_command(struct mailbox *m, struct command *c, const char *name, bool read_only);
void forget_selected(struct mailbox *m);
int select_answer(struct mailbox *m, const struct look *l, struct selected *out,
		  struct err *e) MUST_CHECK;

/* What a STATUS command asks for. */
const char *status_items(const struct mailbox *m);
void status_command(struct mailbox *m, struct command *c, const char *name);
/* Is it a STATUS answer about this folder, by its name? Then its numbers are taken. */
bool status_of(const struct frame *f, struct folder_info *folder);
/* Takes the numbers of a STATUS answer, if it is one, of a folder that is in the list. */
void status_read(const struct frame *f, struct folder_list *l);
/* Asks those that have none yet, a window of commands at a time. */
int status_each(struct mailbox *m, struct folder_list *l, struct err *e) MUST_CHECK;

struct namespaces_seen {
	struct folder_list own, others;
	bool seen;
};
/* An untagged_fn for NAMESPACE; arg: struct namespaces_seen. */
int namespace_read(const struct frame *f, void *arg, struct err *e);

/* Only those that were sent before that tag. */
int mailbox_read_before(struct mailbox *m, unsigned tag, struct err *e) MUST_CHECK;
/* Whoever waits for this is told that his command has been sent. */
void mailbox_tell_sent(struct mailbox *m);

/* "VANISHED [(EARLIER) ]set" (RFC 7162 3.2.10): 1 and fn for each range; 0: something else; -1:
 * not to be understood. */
typedef void vanished_fn(const struct uid_range *r, bool earlier, void *arg);
int vanished_read(struct slice text, vanished_fn *fn, void *arg);

/* Can this be sent as a folder's name? ERR_INPUT if not. */
int mailbox_check_name(const char *name, struct err *e) MUST_CHECK;
/* Can these be sent as flags: atoms, single spaces between? ERR_INPUT if not. */
int mailbox_check_flags(const char *flags, struct err *e) MUST_CHECK;
int mailbox_check_date(const char *date, struct err *e) MUST_CHECK;

/* Words in any order to the form of message_info.flags, with a NUL behind it; *any: "\*" was
 * among them. */
void flags_normalise(struct slice words, struct buf *out, bool *any);

/*
 * Writes uids[0..n), strictly ascending, as a set ("1:3,7") of at most MAILBOX_SET_MAX bytes;
 * returns how many went in: at least 1.
 */
size_t uid_set_write(struct buf *out, const uint32_t *uids, size_t n);
/* The same for one command: as many as the server's limit allows, too. */
size_t mailbox_set_write(const struct mailbox *m, struct buf *out, const uint32_t *uids,
			 size_t n);
void uids_check(const uint32_t *uids, size_t n); /* a BUG unless strictly ascending */

/* What a FETCH answer said; strings are in the scratch. */
struct fetch_items {
	struct message_info info;
	bool has_uid, has_size, has_flags;
	bool has_body; /* a BODY[…] item, whatever it holds */
	struct slice
		body; /* given as a quoted string, or a literal without a sink; p NULL: NIL */
};
struct fetch_scratch {
	struct buf flags, words;
	char date[40];
};
void fetch_scratch_release(struct fetch_scratch *s);
/* false: no FETCH answer, or one that cannot be understood (frame_is_odd_fetch() tells). */
bool fetch_items_read(const struct frame *f, struct fetch_scratch *s, struct fetch_items *out);
bool frame_is_odd_fetch(const struct frame *f);

#endif
