/* One logged-in connection: what is sent byte for byte, and what each answer comes to. */
#include "sync/pipeline.h"
#include "tests/unit/script.h"

/* ---- login */

static const struct step with_initial_response[] = {
	S("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n"),
	C("m1 AUTHENTICATE PLAIN AGFubmEAc2VjcmV0\r\n"),
	S("* CAPABILITY IMAP4rev1 OLD\r\nm1 OK in\r\n"),
	C("m2 CAPABILITY\r\n"),
	S("* CAPABILITY IMAP4rev1 LITERAL+ APPENDLIMIT=1000 UIDPLUS\r\nm2 OK x\r\n"),
	LOGOUT("m3"),
	SCRIPT_END,
};

static void plain_goes_out_at_once(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, with_initial_response);

	assert_true(mailbox_caps(m)->literal_plus);
	assert_true(mailbox_caps(m)->uidplus);
	assert_false(mailbox_caps(m)->unselect);
	assert_int_equal(mailbox_caps(m)->append_limit, 1000);
	script_leave(&s, &m);
}

static const struct step with_continuation[] = {
	S("* OK hi\r\n"),
	C("m1 CAPABILITY\r\n"),
	S("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nm1 OK x\r\n"),
	C("m2 AUTHENTICATE PLAIN\r\n"),
	S("+ \r\n"),
	C("Ym9iAGFubmEAc2VjcmV0\r\n"),
	S("m2 OK [CAPABILITY IMAP4rev1] in\r\n"),
	LOGOUT("m3"),
	SCRIPT_END,
};

static void plain_waits_where_it_must(void **state UNUSED)
{
	struct script s;
	struct job_side side = anna();
	struct mailbox *m;
	struct err e;

	side.authzid = (char *)"bob";
	assert_int_equal(mailbox_open_on(script_start(&s, with_continuation), &side, &m, &e),
			 0);
	script_leave(&s, &m);
}

static const struct step with_literals[] = {
	S("* OK [CAPABILITY IMAP4rev1] hi\r\n"),
	C("m1 LOGIN \"a\\\"b\" {3}\r\n"),
	S("+ go\r\n"),
	C("p\xc3\xa4\r\n"),
	S("m1 OK [CAPABILITY IMAP4rev1] in\r\n"),
	LOGOUT("m2"),
	SCRIPT_END,
};

static void login_quotes_and_uses_literals(void **state UNUSED)
{
	struct script s;
	struct job_side side = anna();
	struct mailbox *m;
	struct err e;

	side.login = (char *)"a\"b";
	side.password = (struct secret){ (char *)"p\xc3\xa4", 3 };
	assert_int_equal(mailbox_open_on(script_start(&s, with_literals), &side, &m, &e), 0);
	script_leave(&s, &m);
}

/* What a server says to a login, and what that means. */
#define HELLO S("* OK [CAPABILITY IMAP4rev1] hi\r\n"), C("m1 LOGIN \"anna\" \"secret\"\r\n")
#define NO_TO(text)                                                      \
	{                                                                \
		HELLO, S("m1 NO " text "\r\n"), LOGOUT("m2"), SCRIPT_END \
	}

static const struct {
	struct step steps[8];
	enum err_kind kind;
} refusals[] = {
	{ NO_TO("wrong"), ERR_AUTH },
	{ NO_TO("[AUTHENTICATIONFAILED] wrong"), ERR_AUTH },
	{ NO_TO("[AUTHORIZATIONFAILED] wrong"), ERR_AUTH },
	{ NO_TO("[UNAVAILABLE] later"), ERR_TEMP },
	{ NO_TO("[INUSE] later"), ERR_TEMP },
	{ NO_TO("[LIMIT] too many"), ERR_TEMP },
	/* case 65: in words only, as Exchange and Courier have it */
	{ NO_TO("Request is throttled. Suggested Backoff Time: 299961 milliseconds"),
	  ERR_TEMP },
	{ { HELLO, S("m1 BAD Request is throttled.\r\n"), LOGOUT("m2"), SCRIPT_END },
	  ERR_TEMP },
	{ NO_TO("Error: too many connections from your host"), ERR_TEMP },
	{ NO_TO("[AUTHENTICATIONFAILED] Too many login failures"), ERR_AUTH },
	/* case 66: Exchange may take a bad password, and say so only later */
	{ { HELLO, S("m1 OK in\r\n"), C("m2 CAPABILITY\r\n"),
	    S("m2 BAD User is authenticated but not connected.\r\n"), LOGOUT("m3"),
	    SCRIPT_END },
	  ERR_TEMP },
	{ NO_TO("[SERVERBUG] oh"), ERR_TEMP },
	{ { HELLO, S("m1 BAD what\r\n"), LOGOUT("m2"), SCRIPT_END }, ERR_PROTOCOL },
	{ { HELLO, S("* BYE too many connections\r\n"), SCRIPT_END }, ERR_TEMP },
	{ { HELLO, SCRIPT_END }, ERR_TEMP },
	{ { HELLO, S("m7 OK in\r\n"), SCRIPT_END }, ERR_PROTOCOL },
	{ { HELLO, S("+ ?\r\n"), SCRIPT_END }, ERR_PROTOCOL },
	{ { S("* BYE not now\r\n"), SCRIPT_END }, ERR_TEMP },
	{ { S("* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n"), SCRIPT_END }, ERR_PROTOCOL },
	{ { S("220 smtp.example.net ESMTP\r\n"), SCRIPT_END }, ERR_PROTOCOL },
	{ { S("* OK [CAPABILITY IMAP2] hi\r\n"), SCRIPT_END }, ERR_PROTOCOL },
	{ { S("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n"), SCRIPT_END }, ERR_AUTH },
};

static void refused_logins_have_their_kind(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct script s;
		struct job_side side = anna();
		struct mailbox *m = NULL;
		struct err e = { 0 };

		assert_int_equal(
			mailbox_open_on(script_start(&s, refusals[i].steps), &side, &m, &e),
			-1);
		if (e.kind != refusals[i].kind)
			fail_msg("refusal %zu: %s: %s", i, err_kind_name(e.kind), e.text);
		assert_null(strstr(e.text, "secret"));
		script_end(&s);
	}
}

static const struct step silent[] = {
	S("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"), SCRIPT_END
};

static void line_ends_never_leave_us(void **state UNUSED)
{
	struct script s;
	struct job_side side = anna();
	struct mailbox *m;
	struct err e;

	side.login = (char *)"anna\r\nx DELETE INBOX";
	assert_int_equal(mailbox_open_on(script_start(&s, silent), &side, &m, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	script_end(&s);
}

static const struct step no_starttls[] = {
	S("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"),
	SCRIPT_END,
};

static void no_password_without_the_tls_asked_for(void **state UNUSED)
{
	struct script s;
	struct job_side side = anna();
	struct mailbox *m;
	struct err e;

	side.tls = TLS_STARTTLS;
	assert_int_equal(mailbox_open_on(script_start(&s, no_starttls), &side, &m, &e), -1);
	assert_int_equal(e.kind, ERR_TLS);
	script_end(&s);
}

/* ---- folders */

static int survey(struct mailbox *m, struct namespace_info *n, struct folder_list *l,
		  struct err *e)
{
	if (mailbox_survey_begin(m, n != NULL, e) < 0)
		return -1;
	return mailbox_survey_end(m, n, l, e);
}

static const struct step old_style_folders[] = {
	LOGIN_WITH("UIDPLUS"),
	C("m2 LIST \"\" \"*\"\r\n"),
	S("* LIST (\\HasChildren) \".\" inbox\r\n"
	  "* LIST (\\Noselect) \".\" \"Arch\"\r\n"
	  "* LIST (\\Sent \\HasNoChildren) \".\" {7}\r\nGe \"es.\r\n"
	  "* LIST (\\NoInferiors) NIL plain\r\n"
	  "* XLIST (\\Bogus) \".\" ignored\r\n"
	  "m2 OK x\r\n"),
	C("m3 LSUB \"\" \"*\"\r\n"),
	S("* LSUB () \".\" plain\r\n"
	  "* LSUB (\\Noselect) \".\" \"Arch\"\r\n"
	  "* LSUB () \".\" \"Arch.gone\"\r\n"
	  "m3 OK x\r\n"),
	C("m4 STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY)\r\n"
	  "m5 STATUS \"Ge \\\"es.\" (MESSAGES UIDNEXT UIDVALIDITY)\r\n"
	  "m6 STATUS \"plain\" (MESSAGES UIDNEXT UIDVALIDITY)\r\n"),
	S("* STATUS inbox (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 4294967295)\r\nm4 OK x\r\n"
	  "* STATUS \"Ge \\\"es.\" (UIDVALIDITY 5 MESSAGES 0 UIDNEXT 1)\r\nm5 OK x\r\n"
	  "m6 NO [SERVERBUG] locked\r\n"),
	LOGOUT("m7"),
	SCRIPT_END,
};

static void folders_of_a_plain_server(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, old_style_folders);
	const struct folder_info *f;
	struct folder_list l;
	struct err e = { 0 };

	if (survey(m, NULL, &l, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(l.count, 5);
	f = &l.at[0];
	assert_string_equal(f->name, "INBOX");
	assert_int_equal(f->separator, '.');
	assert_true(f->has_status && !f->noselect && !f->subscribed);
	assert_int_equal(f->uidvalidity, 4294967295);
	assert_int_equal(f->uidnext, 9);
	assert_int_equal(f->messages, 3);
	f = folder_list_find(&l, "Arch");
	assert_true(f && f->noselect && !f->has_status && !f->subscribed);
	f = folder_list_find(&l, "Ge \"es.");
	assert_true(f && f->use == USE_SENT && f->has_status && f->uidvalidity == 5);
	f = folder_list_find(&l, "plain");
	assert_true(f && f->noinferiors && f->subscribed && !f->separator && !f->has_status);
	f = folder_list_find(&l, "Arch.gone");
	assert_true(f && f->noselect && f->subscribed);
	folder_list_release(&l);
	script_leave(&s, &m);
}

static const struct step new_style_folders[] = {
	LOGIN_WITH("LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE"),
	C("m2 LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))\r\n"),
	S("* LIST () \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ "
	  "99999999999)\r\nm2 OK x\r\n"),
	C("m3 LSUB \"\" \"*\"\r\n"),
	S("m3 OK x\r\n"),
	LOGOUT("m4"),
	SCRIPT_END,
};

static void folders_in_one_answer(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, new_style_folders);
	struct folder_list l;
	struct err e;

	assert_int_equal(survey(m, NULL, &l, &e), 0);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.at[0].highestmodseq, 99999999999);
	folder_list_release(&l);
	script_leave(&s, &m);
}

static const struct step odd_folder[] = {
	LOGIN_WITH("X"),
	C("m2 LIST \"\" \"*\"\r\n"),
	S("* LIST (\\HasNoChildren \"/\" oops\r\nm2 OK x\r\n"),
	SCRIPT_END,
};

static void a_folder_that_cannot_be_read_is_not_missed(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, odd_folder);
	struct folder_list l;
	struct err e;

	assert_int_equal(survey(m, NULL, &l, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	script_leave(&s, &m);
}

static const struct step namespaces[] = {
	LOGIN_WITH("NAMESPACE"),
	C("m2 NAMESPACE\r\n"
	  "m3 LIST \"\" \"*\"\r\n"
	  "m4 LSUB \"\" \"*\"\r\n"),
	S("* NAMESPACE ((\"INBOX.\" \".\" \"X-P\" (\"a\" \"b)\")))((\"us\\\"er.\" \".\")) ((\"#s/\" \"/\")(\"#p\" NIL))\r\nm2 OK x\r\n"
	  "m3 OK x\r\nm4 OK x\r\n"),
	C("m5 NAMESPACE\r\n"
	  "m6 LIST \"\" \"*\"\r\n"
	  "m7 LSUB \"\" \"*\"\r\n"),
	S("* NAMESPACE ((\"\" \"/\")) NIL\r\nm5 OK x\r\n"),
	SCRIPT_END,
};

/* All is asked before anything is answered. */
static void namespaces_are_told_apart(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, namespaces);
	struct namespace_info n;
	struct folder_list l;
	struct err e = { 0 };

	if (survey(m, &n, &l, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(n.prefix, "INBOX.");
	assert_int_equal(n.separator, '.');
	assert_int_equal(n.others.count, 3);
	assert_string_equal(n.others.at[0].name, "us\"er.");
	assert_string_equal(n.others.at[2].name, "#p");
	namespace_info_release(&n);
	folder_list_release(&l);
	assert_int_equal(survey(m, &n, &l, &e), -1); /* cut short */
	assert_int_equal(e.kind, ERR_PROTOCOL);
	script_leave(&s, &m);
}

static const struct step creates[] = {
	LOGIN_WITH("CREATE-SPECIAL-USE LITERAL-"),
	C("m2 CREATE \"Sent\" (USE (\\Sent))\r\n"),
	S("m2 NO [ALREADYEXISTS] there\r\n"),
	C("m3 CREATE {3+}\r\n\xc3\xa4"
	  "b\r\n"),
	S("m3 NO [CANNOT] no\r\n"),
	C("m4 SUBSCRIBE \"x\"\r\n"),
	S("m4 OK x\r\n"),
	LOGOUT("m5"),
	SCRIPT_END,
};

static void what_exists_need_not_be_created(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, creates);
	struct err e;

	assert_int_equal(mailbox_create(m, "Sent", USE_SENT, &e), 0);
	assert_int_equal(mailbox_create(m,
					"\xc3\xa4"
					"b",
					USE_NONE, &e),
			 -1);
	assert_true(mailbox_last_code_is(m, "CANNOT"));
	assert_int_equal(mailbox_last_status(m), STATUS_NO);
	assert_true(mailbox_is_usable(m));
	assert_int_equal(mailbox_create(m, "a\r\nb", USE_NONE, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(mailbox_subscribe(m, "x", true, &e), 0);
	script_leave(&s, &m);
}

/* ---- messages */

#define SELECTED                                                                                          \
	C("m2 EXAMINE \"INBOX\"\r\n"),                                                                    \
		S("* FLAGS (\\Answered \\Seen)\r\n* OK [PERMANENTFLAGS (\\seen $a \\* \\Answered)] x\r\n" \
		  "* 4 EXISTS\r\n* OK [UIDVALIDITY 11] x\r\n* OK [UIDNEXT 90] x\r\n"                      \
		  "* OK [HIGHESTMODSEQ 99999999999] x\r\nm2 OK [READ-ONLY] x\r\n")

static struct mailbox *selected(struct script *s, const struct step *steps,
				struct selected *out)
{
	struct mailbox *m = script_login(s, steps);
	struct err e = { 0 };

	if (mailbox_select(m, "INBOX", true, out, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static const struct step listing_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	C("m3 UID FETCH 5:* (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n"),
	S("* 1 FETCH (UID 4 FLAGS () INTERNALDATE \"01-Jan-2001 00:00:00 +0000\" RFC822.SIZE 1)\r\n"
	  "* 1 FETCH (UID 7 FLAGS (\\SEEN zeta \\Recent \\answered $a zeta) RFC822.SIZE 44 INTERNALDATE "
	  "\"17-Jul-1996 02:44:25 -0730\")\r\n"
	  "* 9 EXISTS\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (UID 8 FLAGS (\\Seen))\r\n"
	  "* 4 FETCH (UID 9 SAVEDATE \"x\" FLAGS ())\r\n"
	  "* 5 FETCH (UID 90 FLAGS () RFC822.SIZE 0 INTERNALDATE \" 7-Feb-1969 23:59:59 +1345\")\r\n"
	  "m3 OK x\r\n"),
	C("m4 UID FETCH 1:9 (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n"),
	S("m4 OK [MESSAGELIMIT 1000 5] cut\r\n"),
	C("m5 UID FETCH 1:* (UID)\r\n"),
	S("* 2 FETCH (UID 9)\r\n* 1 FETCH (UID 3)\r\n* 2 FETCH (UID 9)\r\nm5 OK x\r\n"),
	LOGOUT("m6"),
	SCRIPT_END,
};

struct listed {
	int count;
	char text[512];
};

static int on_listed(const struct message_info *i, void *arg, struct err *e UNUSED)
{
	struct listed *l = arg;
	size_t at = strlen(l->text);

	l->count++;
	snprintf(l->text + at, sizeof l->text - at, "%u/%u/%s/%s/%lld\n", i->uid, i->size,
		 i->flags, i->date, (long long)i->date_s);
	return 0;
}

static void listings_are_plain_values(void **state UNUSED)
{
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, listing_steps, &sel);
	struct listed l = { 0 };
	struct listing how;
	struct uid_list u;
	struct err e = { 0 };

	assert_int_equal(sel.uidvalidity, 11);
	assert_int_equal(sel.uidnext, 90);
	assert_int_equal(sel.messages, 4);
	assert_int_equal(sel.highestmodseq, 99999999999);
	assert_true(sel.read_only && sel.any_keyword && !sel.uid_not_sticky);
	assert_string_equal(sel.permanent_flags, "$a \\Answered \\Seen");
	assert_int_equal(mailbox_messages(m, 5, 0, on_listed, &l, &how, &e), 0);
	assert_string_equal(
		l.text, "7/44/$a \\Answered \\Seen zeta/17-Jul-1996 02:44:25 -0730/837598465\n"
			"90/0// 7-Feb-1969 23:59:59 +1345/-28302301\n");
	assert_int_equal(how.messages, 2);
	assert_int_equal(how.unparsed, 1);
	assert_int_equal(mailbox_messages(m, 1, 9, on_listed, &l, &how, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(mailbox_uids(m, 1, 0, &u, &e), 0);
	assert_int_equal(u.count, 2);
	assert_int_equal(u.at[0], 3);
	assert_int_equal(u.at[1], 9);
	uid_list_release(&u);
	script_leave(&s, &m);
}

/* case 59: RFC 9738 3.1 begins with the highest UIDs; a server that begins with the lowest, or
 * says only that it stopped, is asked for the rest all the same. */
static const struct step paging_steps[] = {
	LOGIN_WITH("MESSAGELIMIT=2"),
	SELECTED,
	C("m3 UID FETCH 1:* (UID)\r\n"),
	S("* 5 FETCH (UID 50)\r\n* 4 FETCH (UID 40)\r\nm3 OK [MESSAGELIMIT 2 40] a part\r\n"),
	C("m4 UID FETCH 1:39 (UID)\r\n"),
	S("* 3 FETCH (UID 30)\r\n* 2 FETCH (UID 20)\r\nm4 OK [MESSAGELIMIT 2 20] a part\r\n"),
	C("m5 UID FETCH 1:19 (UID)\r\n"),
	S("* 1 FETCH (UID 1)\r\nm5 OK x\r\n"),
	C("m6 UID FETCH 1:* (UID)\r\n"),
	S("* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 20)\r\nm6 OK [MESSAGELIMIT 2 20] a part\r\n"),
	C("m7 UID FETCH 21:* (UID)\r\n"),
	S("* 5 FETCH (UID 50)\r\nm7 OK x\r\n"),
	C("m8 UID STORE 1:2 FLAGS.SILENT (\\Seen)\r\n"),
	S("m8 OK x\r\n"),
	C("m9 UID STORE 3 FLAGS.SILENT (\\Seen)\r\n"),
	S("m9 OK [MESSAGELIMIT 1] a part\r\n"),
	LOGOUT("m10"),
	SCRIPT_END,
};

static void short_listings_are_asked_on(void **state UNUSED)
{
	static const uint32_t three[] = { 1, 2, 3 };
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, paging_steps, &sel);
	struct uid_list u;
	struct err e = { 0 };

	assert_int_equal(mailbox_caps(m)->message_limit, 2);
	assert_int_equal(mailbox_uids(m, 1, 0, &u, &e), 0);
	assert_int_equal(u.count, 5);
	assert_int_equal(u.at[0], 1);
	uid_list_release(&u);
	assert_int_equal(mailbox_uids(m, 1, 0, &u, &e), 0);
	assert_int_equal(u.count, 3);
	uid_list_release(&u);
	/* a change is never half done in silence */
	assert_int_equal(mailbox_store(m, three, 3, STORE_SET, "\\Seen", &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	script_leave(&s, &m);
}

#define ANSWER_71                                                                               \
	"* 9 EXISTS\r\n* VANISHED 4\r\n* OK [CLOSED] the other\r\n* 3 EXISTS\r\n"               \
	"* OK [UIDVALIDITY 11] x\r\n* OK [UIDNEXT 90] x\r\n* OK [HIGHESTMODSEQ 80] x\r\nm4 OK " \
	"[READ-WRITE] x\r\n"
#define ONE_CHANGED                                                                             \
	"* 2 FETCH (UID 8 MODSEQ (75) FLAGS (\\Seen) RFC822.SIZE 3 INTERNALDATE \"01-Jan-2001 " \
	"00:00:00 +0000\")\r\n"

/* case 62: what comes before CLOSED belongs to the folder that was left. */
static const struct step look_steps[] = {
	LOGIN_WITH("ENABLE CONDSTORE QRESYNC"),
	C("m2 ENABLE QRESYNC\r\nm3 EXAMINE \"INBOX\"\r\n"),
	S("* ENABLED QRESYNC\r\nm2 OK x\r\n* 4 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\nm3 OK x\r\n"),
	C("m4 SELECT \"b\"\r\n"
	  "m5 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 70 VANISHED)\r\n"),
	S(ANSWER_71 "* VANISHED (EARLIER) 1:2,9:7\r\n" ONE_CHANGED
		    "* 2 FETCH (FLAGS (\\Seen))\r\n* VANISHED 8\r\nm5 OK x\r\n"),
	C("m6 EXAMINE \"c\"\r\n"
	  "m7 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 5 VANISHED)\r\n"),
	S("* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [NOMODSEQ] x\r\nm6 OK x\r\nm7 BAD what\r\n"),
	C("m8 EXAMINE \"d\"\r\n"
	  "m9 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 5 VANISHED)\r\n"),
	S("m8 NO [NONEXISTENT] gone\r\nm9 BAD none selected\r\n"),
	C("m10 EXAMINE \"e\"\r\n"
	  "m11 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 5 VANISHED)\r\n"),
	S("* OK [UIDVALIDITY 7] x\r\n* OK [HIGHESTMODSEQ 80] x\r\nm10 OK x\r\n"
	  "* VANISHED (EARLIER) 1:x\r\nm11 OK x\r\n"),
	LOGOUT("m12"),
	SCRIPT_END,
};

static int look(struct mailbox *m, const char *name, bool read_only, uint64_t since,
		struct selected *sel, struct changes *c, struct err *e)
{
	if (mailbox_look_begin(m, name, read_only, since, e) < 0)
		return -1;
	return mailbox_look_end(m, sel, c, e);
}

static void a_look_tells_what_changed(void **state UNUSED)
{
	struct script s;
	struct mailbox *m = script_login(&s, look_steps);
	struct listed l = { 0 };
	struct changes c = { .on_message = on_listed, .arg = &l };
	struct selected sel;
	struct err e = { 0 };

	assert_int_equal(look(m, "INBOX", true, 0, &sel, &c, &e), 0);
	assert_true(!c.told && sel.messages == 4);
	assert_int_equal(look(m, "b", false, 70, &sel, &c, &e), 0);
	assert_true(c.told && c.with_vanished);
	assert_int_equal(sel.messages, 3);
	assert_int_equal(c.exists, 2);
	assert_string_equal(l.text, "8/3/\\Seen/ 1-Jan-2001 00:00:00 +0000/978307200\n");
	assert_int_equal(c.vanished_count, 3);
	assert_true(c.vanished[1].lo == 7 && c.vanished[1].hi == 9);
	assert_int_equal(look(m, "c", true, 5, &sel, &c, &e), 0);
	assert_true(!c.told && sel.highestmodseq == 0);
	assert_int_equal(look(m, "d", true, 5, &sel, &c, &e), -1);
	assert_true(mailbox_is_usable(m) && mailbox_last_status(m) == STATUS_BAD);
	assert_int_equal(look(m, "e", true, 5, &sel, &c, &e), 0);
	assert_false(c.told);
	changes_release(&c);
	script_leave(&s, &m);
}

static const struct step header_steps[] = {
	LOGIN_WITH("X"),
	SELECTED,
	C("m3 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])\r\n"),
	S("* 1 FETCH (BODY[HEADER] {8}\r\nA: b\0\r\n\n UID 4 FLAGS () INTERNALDATE \"01-Jan-2001 00:00:00 "
	  "+0000\" RFC822.SIZE 1)\r\n"
	  "* 2 FETCH (UID 5 FLAGS () INTERNALDATE \"01-Jan-2001 00:00:00 +0000\" RFC822.SIZE 1 BODY[HEADER] "
	  "\"A: c\")\r\n"
	  "m3 NO [SERVERBUG] half of it\r\n"),
	LOGOUT("m4"),
	SCRIPT_END,
};

static int on_header(const struct message_info *i, struct slice h, void *arg,
		     struct err *e UNUSED)
{
	int *seen = arg;

	if (i->uid == 4)
		*seen += h.n == 8 && memcmp(h.p, "A: b\0\r\n\n", 8) == 0;
	else
		*seen += slice_is(h, "A: c");
	return 0;
}

/* A NO after some answers is still a NO: libetpan's own FETCH calls it success. */
static void headers_come_whole(void **state UNUSED)
{
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, header_steps, &sel);
	struct listing how;
	struct err e;
	int seen = 0;

	assert_int_equal(mailbox_headers(m, 1, 0, on_header, &seen, &how, &e), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_true(mailbox_is_usable(m));
	assert_int_equal(seen, 2);
	script_leave(&s, &m);
}

static const struct step change_steps[] = {
	LOGIN_WITH("UIDPLUS"),
	SELECTED,
	C("m3 UID STORE 1:3,7 +FLAGS.SILENT (\\Seen $a)\r\n"),
	S("m3 OK x\r\n"),
	C("m4 UID STORE 4294967295 FLAGS.SILENT ()\r\n"),
	S("m4 OK x\r\n"),
	C("m5 UID EXPUNGE 7\r\n"),
	S("* 3 EXPUNGE\r\nm5 OK x\r\n"),
	C("m6 EXAMINE \"INBOX\"\r\n"),
	S("* OK [UIDVALIDITY 11] x\r\nm6 OK x\r\n"),
	C("m7 CLOSE\r\n"),
	S("m7 OK x\r\n"),
	LOGOUT("m8"),
	SCRIPT_END,
};

static void changes_name_their_messages(void **state UNUSED)
{
	static const uint32_t uids[] = { 1, 2, 3, 7 }, last[] = { UINT32_MAX };
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, change_steps, &sel);
	struct err e;

	assert_int_equal(mailbox_store(m, uids, 4, STORE_ADD, "\\Seen $a", &e), 0);
	assert_int_equal(mailbox_store(m, last, 1, STORE_SET, "", &e), 0);
	assert_int_equal(mailbox_store(m, uids, 0, STORE_SET, "", &e), 0);
	assert_int_equal(mailbox_store(m, uids, 1, STORE_SET, "a) x", &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(mailbox_expunge(m, uids + 3, 1, &e), 0);
	/* nothing is expunged on the way out: CLOSE only after EXAMINE */
	assert_int_equal(mailbox_unselect(m, &e), 0);
	assert_int_equal(mailbox_unselect(m, &e), 0);
	script_leave(&s, &m);
}

/* All of them are sent before the first is answered; the second one is refused in its second
 * part. */
static const struct step many_steps[] = {
	LOGIN_WITH("UIDPLUS MESSAGELIMIT=2"),
	SELECTED,
	C("m3 UID STORE 1 +FLAGS.SILENT (\\Deleted)\r\n"
	  "m4 UID EXPUNGE 1:2\r\n"
	  "m5 UID EXPUNGE 3\r\n"
	  "m6 UID STORE 7 FLAGS.SILENT (\\Seen)\r\n"),
	S("m3 OK x\r\n* 1 EXPUNGE\r\nm4 OK x\r\nm5 NO busy\r\nm6 OK x\r\n"),
	LOGOUT("m7"),
	SCRIPT_END,
};

static void changes_do_not_wait_for_each_other(void **state UNUSED)
{
	static const uint32_t uids[] = { 1, 2, 3 }, other[] = { 7 };
	struct message_change at[] = { { uids, 1, STORE_ADD, "\\Deleted", 0, { 0 } },
				       { uids, 3, UID_EXPUNGE, NULL, 0, { 0 } },
				       { other, 1, STORE_SET, "a) x", 0, { 0 } },
				       { other, 1, STORE_SET, "\\Seen", 0, { 0 } } };
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, many_steps, &sel);
	struct err e = { 0 };

	assert_int_equal(mailbox_change_all(m, at, 4, &e), 0);
	assert_int_equal(at[0].rc, 0);
	assert_int_equal(at[1].rc, -1);
	assert_int_equal(at[1].e.kind, ERR_TEMP);
	assert_int_equal(at[2].e.kind, ERR_INPUT); /* never sent */
	assert_int_equal(at[3].rc, 0);
	script_leave(&s, &m);
}

/* Dovecot: data of the second command before the first is done. */
static const struct step behind_steps[] = {
	LOGIN_WITH("CONDSTORE"),
	C("m2 SELECT \"Work\"\r\n"
	  "m3 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 5)\r\n"
	  "m4 UID FETCH 7:* (UID)\r\n"),
	S("* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n* OK [HIGHESTMODSEQ 8] x\r\nm2 OK x\r\n"
	  "* 1 FETCH (UID 2 FLAGS (\\Seen) INTERNALDATE \"01-Jan-2001 00:00:00 +0000\" "
	  "RFC822.SIZE 1)\r\n* 2 FETCH (UID 7)\r\nm3 OK x\r\n* 3 FETCH (UID 8)\r\nm4 OK x\r\n"),
	LOGOUT("m5"),
	SCRIPT_END,
};

struct looking {
	struct mailbox *m;
	struct selected sel;
	struct changes c;
	size_t named;
};

static int take_named(const struct message_info *i UNUSED, void *arg, struct err *e UNUSED)
{
	((struct looking *)arg)->named++;
	return 0;
}

static int take_look(void *arg, struct err *e)
{
	struct looking *l = arg;

	return mailbox_look_end(l->m, &l->sel, &l->c, e);
}

static void what_is_asked_behind_a_look_comes_with_it(void **state UNUSED)
{
	struct script s;
	struct looking l = { .m = script_login(&s, behind_steps) };
	struct uid_list u = { 0 };
	struct err e = { 0 };

	l.c = (struct changes){ .on_message = take_named, .arg = &l };
	assert_int_equal(mailbox_look_begin(l.m, "Work", false, 5, &e), 0);
	mailbox_read_first(l.m, take_look, &l);
	assert_int_equal(mailbox_uids(l.m, 7, 0, &u, &e), 0);
	assert_true(l.c.told);
	assert_int_equal(l.sel.uidvalidity, 9);
	assert_int_equal(l.named, 1);
	assert_int_equal(u.count, 2);
	assert_int_equal(u.at[1], 8);
	uid_list_release(&u);
	changes_release(&l.c);
	assert_int_equal(mailbox_read_now(l.m, &e), 0); /* long done */
	mailbox_forget_first(l.m);
	script_leave(&s, &l.m);
}

/* The next look is sent behind the last FETCH; all of it in one go, and Dovecot mixes it. */
static const struct step two_looks_steps[] = {
	LOGIN_WITH("CONDSTORE"),
	C("m2 SELECT \"Work\"\r\n"
	  "m3 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 5)\r\n"
	  "m4 UID FETCH 7 (UID BODY.PEEK[])\r\n"
	  "m5 SELECT \"Next\"\r\n"
	  "m6 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 6)\r\n"),
	S("* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n* OK [HIGHESTMODSEQ 8] x\r\nm2 OK x\r\n"
	  "* 2 FETCH (UID 7 BODY[] {3}\r\nabc)\r\nm3 OK x\r\nm4 OK x\r\n"
	  "* 1 EXISTS\r\n* OK [UIDVALIDITY 10] x\r\n* OK [HIGHESTMODSEQ 80] x\r\nm5 OK x\r\n"
	  "* 1 FETCH (UID 4 FLAGS () INTERNALDATE \"01-Jan-2001 00:00:00 +0000\" RFC822.SIZE 1)\r\n"
	  "m6 OK x\r\n"),
	C("m7 NOOP\r\n"),
	S("m7 OK x\r\n"),
	LOGOUT("m8"),
	SCRIPT_END,
};

static int take_abc(uint32_t uid, enum fetch_result r, const struct digest *d, void *arg,
		    struct err *e UNUSED)
{
	assert_int_equal(uid, 7);
	assert_int_equal(r, FETCH_OK);
	assert_int_equal(d->size, 3);
	*(bool *)arg = true;
	return 0;
}

static void look_at_next(void *arg)
{
	struct looking *l = arg;
	struct err e = { 0 };

	assert_int_equal(mailbox_look_begin(l->m, "Next", false, 6, &e), 0);
	mailbox_read_first(l->m, take_look, l);
}

static void the_next_look_goes_behind_the_last_command(void **state UNUSED)
{
	static const uint32_t uid[] = { 7 };
	struct script s;
	struct looking l = { .m = script_login(&s, two_looks_steps) }, next = { .m = l.m };
	struct err e = { 0 };
	bool got = false;

	l.c = (struct changes){ .on_message = take_named, .arg = &l };
	next.c = (struct changes){ .on_message = take_named, .arg = &next };
	assert_int_equal(mailbox_look_begin(l.m, "Work", false, 5, &e), 0);
	mailbox_read_first(l.m, take_look, &l);
	mailbox_when_sent(l.m, look_at_next, &next);
	assert_int_equal(pipeline_digest(l.m, uid, 1, 0, take_abc, &got, &e), 0);
	assert_true(got);
	assert_int_equal(l.sel.uidvalidity, 9);
	assert_int_equal(l.c.exists, 3);
	assert_string_equal(mailbox_folder(l.m), "Next");
	assert_int_equal(next.sel.uidvalidity, 0); /* not asked for yet … */
	assert_int_equal(mailbox_noop(l.m, &e), 0);
	assert_int_equal(next.sel.uidvalidity, 10); /* … but before anything else is */
	assert_int_equal(next.named, 1);
	assert_int_equal(next.c.exists, 1);
	changes_release(&l.c);
	changes_release(&next.c);
	script_leave(&s, &l.m);
}

/* Dovecot shows what was appended, and ends both commands together. */
static const struct step again_steps[] = {
	LOGIN_WITH("CONDSTORE CONTEXT=SEARCH"),
	C("m2 SELECT \"Work\"\r\n"),
	S("* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n* OK [UIDNEXT 7] x\r\n* OK [HIGHESTMODSEQ 8] x\r\nm2 OK x\r\n"),
	C("m3 STATUS \"Work\" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)\r\n"
	  "m4 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 8)\r\n"
	  "m5 SELECT \"Next\"\r\n"),
	S("* STATUS Work (MESSAGES 4 UIDNEXT 8 UIDVALIDITY 9 HIGHESTMODSEQ 11)\r\n"
	  "* 4 FETCH (UID 7 FLAGS () INTERNALDATE \"01-Jan-2001 00:00:00 +0000\" RFC822.SIZE 1)\r\n"
	  "m3 OK [CLIENTBUG] x\r\nm4 OK x\r\n"
	  "* 1 EXISTS\r\n* OK [UIDVALIDITY 10] x\r\nm5 OK x\r\n"),
	C("m6 STATUS \"Next\" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)\r\n"
	  "m7 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 8)\r\n"),
	S("m6 NO x\r\nm7 OK x\r\n"),
	C("m8 SELECT \"Work\"\r\n"
	  "m9 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) (CHANGEDSINCE 8)\r\n"),
	S("* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\n* OK [HIGHESTMODSEQ 8] x\r\nm8 OK x\r\nm9 OK x\r\n"),
	LOGOUT("m10"),
	SCRIPT_END,
};

static void an_open_folder_is_not_opened_again(void **state UNUSED)
{
	struct script s;
	struct looking l = { .m = script_login(&s, again_steps) };
	struct err e = { 0 };

	l.c = (struct changes){ .on_message = take_named, .arg = &l };
	assert_int_equal(look(l.m, "Work", false, 0, &l.sel, &l.c, &e), 0);
	assert_int_equal(mailbox_look_again_begin(l.m, "Work", 8, &e), 0);
	assert_int_equal(mailbox_look_begin(l.m, "Next", false, 0, &e), 0);
	assert_int_equal(take_look(&l, &e), 0);
	assert_true(l.c.told && l.named == 1 && l.c.exists == 4);
	assert_true(l.sel.uidvalidity == 9 && l.sel.uidnext == 8 && l.sel.messages == 4);
	assert_int_equal(l.sel.highestmodseq, 11);
	assert_int_equal(take_look(&l, &e), 0);
	assert_int_equal(l.sel.uidvalidity, 10);
	assert_int_equal(mailbox_look_again_begin(l.m, "Next", 8, &e), 0);
	assert_int_equal(take_look(&l, &e), 0);
	assert_true(!l.c.told && l.sel.uidvalidity == 10); /* refused: nothing is known */
	assert_int_equal(mailbox_look_again_begin(l.m, "Work", 8, &e), 0); /* another one */
	assert_int_equal(take_look(&l, &e), 0);
	assert_true(l.c.told && l.sel.uidvalidity == 9);
	changes_release(&l.c);
	script_leave(&s, &l.m);
}

static const struct step all_steps[] = {
	LOGIN_WITH("X"),
	C("m2 EXAMINE \"Work\"\r\n"
	  "m3 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n"),
	S("* 1 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\nm2 OK x\r\n"
	  "* 1 FETCH (UID 4 FLAGS () INTERNALDATE \"01-Jan-2001 00:00:00 +0000\" RFC822.SIZE 1)\r\n"
	  "m3 OK x\r\n"),
	C("m4 EXAMINE \"Now empty\"\r\n"
	  "m5 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n"),
	S("* 0 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\nm4 OK x\r\nm5 BAD no such message\r\n"),
	C("m6 EXAMINE \"Large\"\r\n"
	  "m7 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n"),
	S("* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\nm6 OK x\r\n"
	  "m7 OK [MESSAGELIMIT 1 2] x\r\n"),
	LOGOUT("m8"),
	SCRIPT_END,
};

static void a_look_lists_all_if_asked_to(void **state UNUSED)
{
	struct script s;
	struct looking l = { .m = script_login(&s, all_steps) };
	struct err e = { 0 };

	l.c = (struct changes){ .on_message = take_named, .arg = &l };
	assert_int_equal(look(l.m, "Work", true, LOOK_ALL, &l.sel, &l.c, &e), 0);
	assert_true(l.c.told && l.named == 1 && l.sel.messages == 1);
	assert_int_equal(look(l.m, "Now empty", true, LOOK_ALL, &l.sel, &l.c, &e), 0);
	assert_true(!l.c.told && l.sel.messages == 0);
	assert_int_equal(look(l.m, "Large", true, LOOK_ALL, &l.sel, &l.c, &e), 0);
	assert_true(!l.c.told && l.named == 1);
	changes_release(&l.c);
	script_leave(&s, &l.m);
}

static const struct step marks_steps[] = {
	LOGIN_WITH("X"),
	C("m2 EXAMINE \"INBOX\"\r\n"),
	S("* 11 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\nm2 OK x\r\n"),
	C("m3 FETCH 4,8 (UID)\r\n"),
	S("* 4 FETCH (UID 40)\r\n* 9 FETCH (FLAGS (\\Seen))\r\n* 8 FETCH (UID 4000000000)\r\nm3 OK x\r\n"),
	C("m4 FETCH 4,8 (UID)\r\n"),
	S("m4 BAD no such message\r\n"),
	C("m5 UID FETCH 1:* (UID)\r\n"),
	S("* 1 FETCH (UID 3)\r\n* 2 FETCH (UID 5)\r\n* 3 FETCH (UID 6)\r\n* 4 FETCH (UID 9)\r\n"
	  "* 5 FETCH (UID 10)\r\nm5 OK x\r\n"),
	LOGOUT("m6"),
	SCRIPT_END,
};

/* Every so manieth UID by message numbers; where these are refused, from a list of all. */
static void marks_are_few(void **state UNUSED)
{
	static const uint32_t far[] = { 40, 4000000000 }, near[] = { 9 };
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, marks_steps, &sel);
	struct uid_list u;
	struct err e = { 0 };

	assert_int_equal(mailbox_marks(m, 4, &u, &e), 0);
	assert_int_equal(u.count, 2);
	assert_memory_equal(u.at, far, sizeof far);
	uid_list_release(&u);
	assert_int_equal(mailbox_marks(m, 4, &u, &e), 0);
	assert_int_equal(u.count, 1);
	assert_memory_equal(u.at, near, sizeof near);
	uid_list_release(&u);
	script_leave(&s, &m);
}

static const struct step empty_steps[] = {
	LOGIN_WITH("X"),
	C("m2 EXAMINE \"INBOX\"\r\n"),
	S("* 0 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\nm2 OK x\r\n"),
	C("m3 NOOP\r\n"), /* our own: time has passed */
	S("m3 OK x\r\n"),
	C("m4 NOOP\r\n"),
	S("m4 OK x\r\n"),
	C("m5 UID EXPUNGE"), /* must not come */
	SCRIPT_END,
};

/* Some servers answer BAD to a range in an empty folder; others tell of mail only after NOOP.
 */
static void empty_folders_are_not_asked(void **state UNUSED)
{
	static const uint32_t uid[] = { 1 };
	struct script s;
	struct selected sel;
	struct mailbox *m = selected(&s, empty_steps, &sel);
	struct uid_list u;
	struct err e;

	assert_int_equal(mailbox_uids(m, 1, 0, &u, &e), 0); /* just opened: not even a NOOP */
	assert_int_equal(u.count, 0);
	assert_int_equal(mailbox_noop(m, &e), 0);
	assert_int_equal(mailbox_uids(m, 1, 0, &u, &e), 0);
	assert_int_equal(u.count, 0);
	assert_int_equal(mailbox_expunge(m, uid, 1, &e),
			 -1); /* no UIDPLUS: it would be EXPUNGE */
	assert_int_equal(e.kind, ERR_INPUT);
	mailbox_close(&m);
	pthread_join(s.thread, NULL);
	assert_int_equal(s.at->who, CLIENT);
	assert_memory_equal(s.got, "m5 LOGOUT", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_goes_out_at_once),
		cmocka_unit_test(plain_waits_where_it_must),
		cmocka_unit_test(login_quotes_and_uses_literals),
		cmocka_unit_test(refused_logins_have_their_kind),
		cmocka_unit_test(line_ends_never_leave_us),
		cmocka_unit_test(no_password_without_the_tls_asked_for),
		cmocka_unit_test(folders_of_a_plain_server),
		cmocka_unit_test(folders_in_one_answer),
		cmocka_unit_test(a_folder_that_cannot_be_read_is_not_missed),
		cmocka_unit_test(namespaces_are_told_apart),
		cmocka_unit_test(what_exists_need_not_be_created),
		cmocka_unit_test(listings_are_plain_values),
		cmocka_unit_test(short_listings_are_asked_on),
		cmocka_unit_test(a_look_tells_what_changed),
		cmocka_unit_test(headers_come_whole),
		cmocka_unit_test(changes_name_their_messages),
		cmocka_unit_test(changes_do_not_wait_for_each_other),
		cmocka_unit_test(what_is_asked_behind_a_look_comes_with_it),
		cmocka_unit_test(the_next_look_goes_behind_the_last_command),
		cmocka_unit_test(an_open_folder_is_not_opened_again),
		cmocka_unit_test(a_look_lists_all_if_asked_to),
		cmocka_unit_test(marks_are_few),
		cmocka_unit_test(empty_folders_are_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
