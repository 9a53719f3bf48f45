/*
 * One logged-in IMAP connection: login, folders, listings, flags. Commands and framing are
 * ours, data lines are libetpan's (sync/frame.h). One command at a time, each answered before
 * the call returns.
 *
 * Names of folders are wire names (modified UTF-7 as the server gave them); they are quoted
 * here. CR, LF or NUL in a name, flag or login is ERR_INPUT, and nothing is sent.
 *
 * Errors: ERR_TEMP (network, time-out, an answer that means "later" (sync/hint.h; err.later
 * says how long), any other NO after login), ERR_FULL (quota), ERR_AUTH (login refused),
 * ERR_TLS, ERR_PROTOCOL (BAD, nonsense), ERR_LIMIT, ERR_INPUT. After a NO or BAD the connection
 * goes on: mailbox_is_usable() says whether, mailbox_last_status() and mailbox_last_code() say
 * what the server answered. Nothing here is retried.
 */
#ifndef SYNC_MAILBOX_H
#define SYNC_MAILBOX_H

#include "common/wire/imap.h"
#include "sync/frame.h"
#include "sync/name_index.h"
#include "sync/quirks.h"

#define MAILBOX_FOLDERS_MAX 100000 /* folders of one user */
#define MAILBOX_NAME_MAX    4096   /* bytes of one wire name */
#define MAILBOX_ID_MAX	    1024   /* bytes of an ID answer that are looked at */
#define MAILBOX_OBJECT_MAX  255	   /* bytes of a MAILBOXID */
#define MAILBOX_CODE_MAX    256	   /* bytes of a response code that are kept */
#define MAILBOX_SET_MAX \
	7000 /* bytes of one UID set in a command; longer ones become several commands */
#define MAILBOX_HEADER_MAX \
	(1024 * 1024) /* bytes of one header that mailbox_headers() hands out */

struct mailbox;

struct mailbox_caps {			  /* of the server after login */
	bool literal_plus, literal_minus; /* RFC 7888; with both, plus counts */
	bool uidplus, unselect, namespaces, special_use, create_special_use, list_extended,
		list_status;
	bool multiappend, condstore, qresync, enable, move, idle;
	bool objectid;		/* RFC 8474: folders have an id that lasts */
	bool status_size;	/* RFC 8438 */
	bool utf8_names;	/* all the server knows, and enabled: names are UTF-8 */
	uint64_t append_limit;	/* RFC 7889 APPENDLIMIT=n; 0: none known */
	uint64_t message_limit; /* RFC 9738 MESSAGELIMIT=n: messages of one command; 0: any */
};

/*
 * Connects (implicit TLS, or STARTTLS before any password goes out) and logs in: AUTHENTICATE
 * PLAIN, with authzid if the side has one; else LOGIN (never with an authzid). A server that
 * offers LOGINDISABLED and no PLAIN: ERR_AUTH. connect_ms bounds connect, TLS and login; io_ms
 * each wait later. The side is borrowed during the call only.
 */
int mailbox_open(const struct job_side *side, int connect_ms, int io_ms, struct mailbox **out,
		 struct err *e) MUST_CHECK;
/* For tests: the same on a transport, which the mailbox owns from now on, also when this fails.
 */
int mailbox_open_on(struct transport *t, const struct job_side *side, struct mailbox **out,
		    struct err *e) MUST_CHECK;
/* LOGOUT if the connection is whole (waits at most 2 s), then frees. NULL in *m is fine. */
void mailbox_close(struct mailbox **m);
/*
 * Says LOGOUT; only mailbox_close() may follow, which does not wait for an answer then: it
 * would tell nothing, all that was asked before has been answered.
 */
void mailbox_leave(struct mailbox *m);

/*
 * Is it read by POP3 (sync/pop3_source.h)? Then it is one folder, INBOX, without flags and
 * dates, and cannot be written. The calls behind this one matter there, and do nothing for
 * IMAP.
 */
bool mailbox_is_pop3(const struct mailbox *m);
struct journal;
void mailbox_attach(struct mailbox *m, struct journal *j); /* keeps its UIDs; borrowed */
/* All that was read is safe. True: the server may have more for another survey to show. */
bool mailbox_settled(struct mailbox *m);
/* What a person should know before mail is read there; "" if nothing. */
const char *mailbox_warning(const struct mailbox *m);

const struct mailbox_caps *mailbox_caps(const struct mailbox *m);
const char *mailbox_mechanism(const struct mailbox *m); /* of the login: "PLAIN", "XOAUTH2" */
const struct quirks *mailbox_quirks(const struct mailbox *m);
bool mailbox_is_usable(const struct mailbox *m);
enum imap_status mailbox_last_status(const struct mailbox *m); /* of the last tagged reply */
/* Its response code, "" if none: "NONEXISTENT", "OVERQUOTA", "APPENDUID 1 7". Borrowed until
 * the next command. */
const char *mailbox_last_code(const struct mailbox *m);
/* Is word the first word of the last code? */
bool mailbox_last_code_is(const struct mailbox *m, const char *word);
struct transport *mailbox_transport(struct mailbox *m); /* borrowed: byte counts, deadline */

/* ---- folders */

enum special_use {
	USE_NONE,
	USE_ALL,
	USE_ARCHIVE,
	USE_DRAFTS,
	USE_FLAGGED,
	USE_JUNK,
	USE_SENT,
	USE_TRASH,
	SPECIAL_USES
};
const char *special_use_name(enum special_use u); /* "\\Sent"; "" for USE_NONE */

struct folder_info {
	char *name;	/* wire name; INBOX in this spelling */
	char separator; /* 0: flat (NIL) */
	bool noselect;	/* \Noselect or \NonExistent: holds no mail */
	bool noinferiors;
	bool subscribed;
	enum special_use use;
	bool has_status; /* the numbers are known; false: noselect, or STATUS was refused */
	uint32_t uidvalidity, uidnext, messages;
	uint64_t highestmodseq; /* 0: none */
	uint64_t size;		/* bytes; only by mailbox_size() */
	char *mailboxid;	/* RFC 8474: lasts when the folder is renamed; NULL: not told */
};

struct folder_list {
	struct folder_info *at;
	size_t count;
	struct name_index names;
};
void folder_list_release(struct folder_list *l);
const struct folder_info *folder_list_find(const struct folder_list *l,
					   const char *name); /* NULL: none */
/* One that has only its name so far; valid until the next one is added. */
struct folder_info *folder_list_add(struct folder_list *l, const char *name);

/* The personal namespace (RFC 2342). prefix: allocated, "" if none; separator 0: flat or
 * unknown. */
struct namespace_info {
	char *prefix;
	char separator;
	struct folder_list
		others; /* other users' and shared: only name (a prefix), separator */
	bool guessed;	/* the server does not say: there may be a prefix */
	bool utf8;	/* names are UTF-8 (caps.utf8_names), else modified UTF-7 */
};
void namespace_info_release(struct namespace_info *n);

/*
 * All there is to know of the folders in one round trip, or where LIST-STATUS is missing with
 * one for every window of STATUS commands. begin sends, so that the other server can be asked
 * before end waits; between them nothing else may be asked of m.
 *
 * What is selected is left before: its numbers would be stale (RFC 3501 6.3.10).
 * folders: all, in the server's order. Subscriptions to folders that do not exist are listed
 * too, with noselect. A LIST line that cannot be read is an error: its folder would be missed.
 * space: without NAMESPACE prefix "" and the separator of LIST "" ""; NULL: not asked for.
 */
int mailbox_survey_begin(struct mailbox *m, bool namespaces, struct err *e) MUST_CHECK;
int mailbox_survey_end(struct mailbox *m, struct namespace_info *space,
		       struct folder_list *folders, struct err *e) MUST_CHECK;
/* STATUS of one folder, fresh. Fills name (allocated) and the numbers; release with
 * folder_info_release(). */
int mailbox_status(struct mailbox *m, const char *name, struct folder_info *out,
		   struct err *e) MUST_CHECK;
void folder_info_release(struct folder_info *f);
/* Bytes of a folder by STATUS; only where caps.status_size. */
int mailbox_size(struct mailbox *m, const char *name, uint64_t *out, struct err *e) MUST_CHECK;

/* [ALREADYEXISTS] is success. use: given as RFC 6154 USE if the server can; USE_NONE: not. */
int mailbox_create(struct mailbox *m, const char *name, enum special_use use,
		   struct err *e) MUST_CHECK;
/* With all that is below it (RFC 3501 6.3.5); neither may be selected. */
int mailbox_rename(struct mailbox *m, const char *from, const char *to,
		   struct err *e) MUST_CHECK;
int mailbox_subscribe(struct mailbox *m, const char *name, bool on, struct err *e) MUST_CHECK;

/* The same for many, pipelined. Each has its own result; -1: the connection is lost. */
struct folder_order {
	const char *name; /* borrowed */
	enum special_use use;
	bool on;
	int rc;
	struct err e;
};
int mailbox_create_all(struct mailbox *m, struct folder_order *at, size_t n,
		       struct err *e) MUST_CHECK;
int mailbox_subscribe_all(struct mailbox *m, struct folder_order *at, size_t n,
			  struct err *e) MUST_CHECK;

struct selected {
	uint32_t uidvalidity, uidnext; /* uidnext 0: the server did not say */
	uint32_t messages;
	uint64_t highestmodseq; /* 0: none */
	bool read_only;
	bool uid_not_sticky; /* RFC 4315: UIDs do not last */
	bool any_keyword;    /* PERMANENTFLAGS has \* */
	/* Flags that can be kept, as in message_info.flags; without PERMANENTFLAGS, those of
	 * FLAGS. After EXAMINE usually none. Borrowed until the next select or unselect. */
	const char *permanent_flags;
};
/* EXAMINE (read_only) or SELECT. No UIDVALIDITY is ERR_PROTOCOL. */
int mailbox_select(struct mailbox *m, const char *name, bool read_only, struct selected *out,
		   struct err *e) MUST_CHECK;
/* Leaves the folder and expunges nothing: UNSELECT, else EXAMINE of the same and CLOSE. Nothing
 * selected: fine. */
int mailbox_unselect(struct mailbox *m, struct err *e) MUST_CHECK;
int mailbox_noop(struct mailbox *m, struct err *e) MUST_CHECK;

/* ---- messages of the selected folder */

#define DATE_UNKNOWN INT64_MIN

struct message_info {
	uint32_t uid;
	uint32_t size; /* RFC822.SIZE: what the server claims */
	/* Sorted, one space between, without \Recent and what is no atom; "" if none. */
	const char *flags;
	/* INTERNALDATE as APPEND takes it, without quotes: "17-Jul-1996 02:44:25 -0700"; NULL:
	 * the server has none that can be read. */
	const char *date;
	int64_t date_s; /* the same since 1970, or DATE_UNKNOWN */
};
/* Strings are borrowed during the call. -1 (with e set) stops and breaks the connection: it is
 * inside an answer. */
typedef int mailbox_message_fn(const struct message_info *i, void *arg, struct err *e);

/* How a listing went. It must add up before anyone concludes that a message is gone. */
struct listing {
	uint32_t messages; /* answers handed out; a server may name a message twice */
	uint32_t unparsed; /* FETCH answers that could not be understood: not handed out */
};
/*
 * UID, flags, date and size of all messages with lo <= UID <= hi (hi 0: to the end), as they
 * come, in constant memory. Server order, usually ascending. A server that cuts the listing
 * short (MESSAGELIMIT, RFC 9738) is asked for the rest; ERR_LIMIT if it gives nothing more.
 */
int mailbox_messages(struct mailbox *m, uint32_t lo, uint32_t hi, mailbox_message_fn *fn,
		     void *arg, struct listing *out, struct err *e) MUST_CHECK;

/* The same with the header's bytes (BODY.PEEK[HEADER]): the probe after a crash. Longer ones
 * are cut at MAILBOX_HEADER_MAX. */
typedef int mailbox_header_fn(const struct message_info *i, struct slice header, void *arg,
			      struct err *e);
int mailbox_headers(struct mailbox *m, uint32_t lo, uint32_t hi, mailbox_header_fn *fn,
		    void *arg, struct listing *out, struct err *e) MUST_CHECK;

/* The same as mailbox_messages() of these, strictly ascending; those that are not there are not
 * missed. */
int mailbox_messages_of(struct mailbox *m, const uint32_t *uids, size_t n,
			mailbox_message_fn *fn, void *arg, struct listing *out,
			struct err *e) MUST_CHECK;

struct uid_list { /* ascending, each once */
	uint32_t *at;
	size_t count;
};
/* UIDs with lo <= UID <= hi (hi 0: to the end). The caller releases. */
int mailbox_uids(struct mailbox *m, uint32_t lo, uint32_t hi, struct uid_list *out,
		 struct err *e) MUST_CHECK;
void uid_list_release(struct uid_list *l);
/* UIDs of every nth message, in few bytes where the server takes message numbers: windows end
 * there (sync/windows.h). */
int mailbox_marks(struct mailbox *m, uint32_t nth, struct uid_list *out,
		  struct err *e) MUST_CHECK;

/*
 * What one look at a folder shows: how it stands, and with a modseq to go on from, what has
 * changed since. The caller sets on_message and arg.
 */
struct uid_range {
	uint32_t lo, hi;
};
struct changes {
	mailbox_message_fn *on_message; /* what is new or has other flags */
	void *arg;

	bool told;	    /* the changes were told, all of them; else only selected counts */
	bool with_vanished; /* and so was what has gone (QRESYNC), in these ranges: they may */
	struct uid_range *vanished; /* name UIDs that never were */
	size_t vanished_count;
	uint32_t exists; /* messages, after all that */
};
void changes_release(struct changes *c);
#define LOOK_ALL UINT64_MAX
/*
 * Opens the folder (EXAMINE if read_only) and asks what has changed since that modseq (0: does
 * not ask; LOOK_ALL: for all that is in it, of which the caller knows that there is some): one
 * round trip. begin sends, so that a look at another server can go out before
 * end waits for the answers; between them nothing else may be asked of m.
 */
int mailbox_look_begin(struct mailbox *m, const char *name, bool read_only, uint64_t since,
		       struct err *e) MUST_CHECK;
/*
 * The same of a folder that is perhaps open for writing already. If it is, and the server shows
 * in it what was appended meanwhile, its numbers are asked of STATUS, and it is not opened
 * again. selected of mailbox_look_end() must then still hold what the last one filled in.
 */
int mailbox_look_again_begin(struct mailbox *m, const char *name, uint64_t since,
			     struct err *e) MUST_CHECK;
/* Of the folder that the next command will be about: "" if none. */
const char *mailbox_folder(const struct mailbox *m);
int mailbox_look_end(struct mailbox *m, struct selected *selected, struct changes *out,
		     struct err *e) MUST_CHECK;
/*
 * Between begin and end of a look others may send their commands behind it, for the folder that
 * is being opened: then fn, which calls mailbox_look_end(), is called before their answers are
 * read, once. -1 from it breaks the connection: theirs are under way. One look more may follow
 * before the first is taken.
 */
typedef int mailbox_first_fn(void *arg, struct err *e);
typedef void mailbox_sent_fn(void *arg);
/* Called once, when the last command of the next pipeline_digest() is sent, before its answers
 * are awaited: what is sent then goes behind it. NULL: not any more. */
void mailbox_when_sent(struct mailbox *m, mailbox_sent_fn *fn, void *arg);
void mailbox_read_first(struct mailbox *m, mailbox_first_fn *fn, void *arg);
/* Calls it now, unless that has been done. */
int mailbox_read_now(struct mailbox *m, struct err *e) MUST_CHECK;
/* It will not be called any more; if it has not been, the connection is broken. */
void mailbox_forget_first(struct mailbox *m);
/* Messages in the selected folder, as far as the server has said by now. */
uint32_t mailbox_exists(const struct mailbox *m);

enum store_how { STORE_SET, STORE_ADD, STORE_REMOVE, UID_EXPUNGE };
/*
 * One change of messages in the selected folder (uids strictly ascending; those that are not
 * there do not matter): their flags, silently, or UID EXPUNGE of those that are \Deleted.
 * flags: as in message_info. n of 0 does nothing.
 */
struct message_change {
	const uint32_t *uids; /* borrowed, as are flags */
	size_t n;
	enum store_how how;
	const char *flags; /* not of UID_EXPUNGE */
	int rc;		   /* the result: 0, or -1 and why; ERR_INPUT: not sent */
	struct err e;
};
/*
 * Several, sent before the first is answered; the server does them in this order (RFC 3501 5.5:
 * STORE and EXPUNGE need not wait for each other). Each has its own result; -1: the connection
 * is lost. UID_EXPUNGE is ERR_INPUT without UIDPLUS: a plain EXPUNGE would hit others' mail.
 */
int mailbox_change_all(struct mailbox *m, struct message_change *at, size_t n,
		       struct err *e) MUST_CHECK;
/*
 * The same in two parts: at, and what it borrows, stay until the end. Between them nothing may
 * be asked of m without mailbox_read_first().
 */
struct change_run;
int mailbox_change_begin(struct mailbox *m, struct message_change *at, size_t n,
			 struct change_run **out, struct err *e) MUST_CHECK;
int mailbox_change_end(struct change_run **run, struct err *e) MUST_CHECK; /* frees it */
void mailbox_change_drop(struct change_run **run); /* nobody waits for the answers any more */
/* One, and its result. */
int mailbox_store(struct mailbox *m, const uint32_t *uids, size_t n, enum store_how how,
		  const char *flags, struct err *e) MUST_CHECK;
int mailbox_expunge(struct mailbox *m, const uint32_t *uids, size_t n,
		    struct err *e) MUST_CHECK;
/*
 * Copies messages of the selected folder, n of them from UID `first` on without a gap, to the
 * end of a folder, which may be the same. *told: the server said where all of them are now
 * (COPYUID, RFC 4315): uids has room for n.
 */
int mailbox_copy(struct mailbox *m, uint32_t first, size_t n, const char *folder,
		 uint32_t *uids, uint32_t *uidvalidity, bool *told, struct err *e) MUST_CHECK;
/* EXPUNGE of all that is \Deleted: the caller has made sure of what that is. */
int mailbox_expunge_all(struct mailbox *m, struct err *e) MUST_CHECK;

#endif
