/* Hides: nothing; this is the manual of the command, one row a verb. */
#include "admin/ctl_verbs.h"

/* clang-format off */
const char ctl_help_common[] =
	"\n"
	"everywhere:\n"
	"  -c, --config FILE   settings; else $MAILFERRY_CONFIG, else /etc/mailferry/mailferry.conf\n"
	"  --json              one JSON object on a line, with keys that stay; times in ms since 1970\n"
	"  --yes               cutover, rollback, drop --force, drain, forget, store rebuild, provision and\n"
	"                      pull tell a person at a terminal what they will do, and ask; with this\n"
	"                      they do not. Without a terminal (standard input and error) nobody is asked\n"
	"  -h, --help          more about a command, with examples\n"
	"\n"
	"exit status:\n"
	"  0  done\n"
	"  1  what was asked for failed or was refused\n"
	"  2  wrong command line or wrong settings\n"
	"  3  the engine is not reachable\n";

const struct ctl_verb ctl_verbs[] = {
	{ "run", "[--new-store]", "start and supervise everything on this host",
	  "Opens the listening sockets, starts the sync engine and run.nodes proxies, restarts what\n"
	  "dies or hangs, and stops all of it on SIGTERM or SIGINT. SIGHUP lets all reload their\n"
	  "settings, SIGUSR2 is `mailferry upgrade`. If this process is killed, the nodes go on; the\n"
	  "next `mailferry run` takes over from them. As root it binds the\n"
	  "ports first and runs the programs as run.user. Sockets handed over by systemd (LISTEN_FDS,\n"
	  "LISTEN_FDNAMES = names of listeners) are used instead of own ones.\n"
	  "\n"
	  "A store is made only with --new-store: a missing or empty one may mean a lost disk.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry run --new-store        the first time\n"
	  "  mailferry run                    from then on\n",
	  CTL_NEW_STORE | CTL_HANDOVER, 0, 0, ctl_run },
	{ "reload", "", "let settings and certificates be read again",
	  "Tells what was taken and what needs an upgrade or a restart. A file with mistakes changes\n"
	  "nothing, and they are printed with their lines; a bad certificate leaves the one before.\n"
	  "No session notices. SIGHUP to `mailferry run` does the same, and tells it to the log.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry reload\n",
	  0, 0, 0, ctl_reload },
	{ "upgrade", "[--if-running]", "let the programs on disk take over, without closing a port",
	  "The new programs and the settings are tried first. Then `mailferry run` replaces itself,\n"
	  "starts new nodes, and when they are up, the old ones take no more connections: they keep\n"
	  "their sessions, are shown as leaving, still obey cutovers, and end with their last session\n"
	  "(or run.leave_s later). The engine starts anew. If anything fails, the old nodes go on.\n"
	  "Also the way to change settings that a reload cannot: listeners, backends, run.nodes.\n"
	  "With --if-running it is no failure that nothing runs: packages call it so.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry upgrade\n",
	  CTL_IF_RUNNING, 0, 0, ctl_upgrade },
	{ "import", "FILE", "bring in users from a CSV file",
	  "The first line names the columns: user, old_login, old_password_file, new_login,\n"
	  "new_password_file, wave, aliases. Only user must be there. A login that is empty or\n"
	  "missing is the user's name. A password file is read from the list's folder on; none, or\n"
	  "nothing, means the backend's master user (or a learned password, or an OpenSRS token).\n"
	  "Without the column wave, or aliases, who is known keeps his. Every wrong line is reported,\n"
	  "and then nothing is imported. The same file again changes nothing.\n"
	  "\n"
	  "Who is imported is copied as soon as a worker is free, and kept in step from then on.\n"
	  "Nobody is moved before `mailferry cutover`.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry import users.csv\n"
	  "  mailferry --json import users.csv      {\"added\":5,\"changed\":0,\"same\":0}\n",
	  0, 1, 1, ctl_import },
	{ "provision", "[USER | --wave W] [--dry-run]", "make users' accounts on OpenSRS",
	  "Brings OpenSRS to what the list says that opensrs.accounts names: domains, then mailboxes\n"
	  "with name, quota, aliases, language, time zone, forward, auto-reply and services. First all\n"
	  "that differs is shown; with --dry-run that is all. Then what is missing is made, with its\n"
	  "password or hash, and what differs is changed; a password that is in clear text is tried.\n"
	  "Passwords of accounts that are there already are never touched.\n"
	  "\n"
	  "At most 1,000 users a run. The same again changes nothing; a run that was cut goes on where\n"
	  "it stood. Exit status 0 only if nothing failed.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry provision --wave 1 --dry-run\n"
	  "  mailferry provision --wave 1\n"
	  "  mailferry provision anna@example.com\n",
	  CTL_WAVE | CTL_ALL | CTL_DRY_RUN, 0, 1, ctl_provision },
	{ "pull", "USER | --wave W [--dry-run] [--no-wait] [--undo [--stuck]]",
	  "let OpenSRS's own migration tool copy, and follow",
	  "For users who are still on old: OpenSRS fetches their mail from the old server itself, in\n"
	  "batches of 500, one at a time. It needs each user's own password on old in clear text; with\n"
	  "--dry-run that and all else that is in the way is only told. Until it is through with a user\n"
	  "no pass and no cutover of him begins; then our own passes take over what it has brought,\n"
	  "compare it and bring the rest. Who failed goes into another batch, three in all. Ctrl-C ends\n"
	  "only the following. The UIDs will be plain (docs/uids.md).\n"
	  "\n"
	  "--undo: users are not waited for any more. A batch at work cannot be stopped, and one that\n"
	  "stands still may move again: look in OpenSRS's control panel whether it is over before you\n"
	  "name a USER of it, or say --stuck for all of the wave who are in it. Without that word a\n"
	  "wave's --undo is for those who wait; with it, for those of such a batch alone.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry pull --wave 1 --dry-run\n"
	  "  mailferry pull --wave 1\n"
	  "  mailferry pull anna@example.com --undo\n"
	  "  mailferry pull --wave 1 --undo --stuck\n",
	  CTL_WAVE | CTL_DRY_RUN | CTL_NO_WAIT | CTL_UNDO | CTL_STUCK, 0, 1, ctl_pull },
	{ "users", "[--wave W] [--state S]", "list users",
	  "States: pending provisioned syncing ready freezing finalizing trailing done returning.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry users --wave 1\n"
	  "  mailferry users --state ready --json\n",
	  CTL_WAVE | CTL_STATE, 0, 0, ctl_users },
	{ "status", "[--watch]", "everything at a glance",
	  "With --watch it is drawn anew every second; where the output is no terminal, a line is\n"
	  "printed whenever something changed.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry status\n"
	  "  mailferry status --watch\n",
	  CTL_WATCH, 0, 0, ctl_status },
	{ "sync", "USER | --wave W | --all", "copy now, and follow",
	  "Starts a pass of each user as soon as a worker is free, and follows until each has ended.\n"
	  "Exit status 0 only if all passes went well. Interrupting it stops only the following.\n"
	  "\n"
	  "With --dry-run it looks at both servers and changes nothing: which folder goes where and\n"
	  "why, how much is in it, what would be made, renamed or left out. Names are printed as\n"
	  "sync.folders wants them. Needs no engine, but its store and the files with passwords.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry sync anna@example.com\n"
	  "  mailferry sync anna@example.com --dry-run\n"
	  "  mailferry sync --wave 1\n"
	  "  mailferry sync --all --no-wait\n",
	  CTL_WAVE | CTL_ALL | CTL_NO_WAIT | CTL_DRY_RUN, 0, 1, ctl_sync },
	{ "cutover", "USER | --wave W [--at T] [--rate N] [--first-hour N] [--when-quiet S [--latest T]] [--dry-run]",
	  "move users to the new server",
	  "Gives the go. Each user is cut over as soon as the mailbox is in step; logins wait\n"
	  "meanwhile, live sessions end with BYE after the flip. Follows each step until every user\n"
	  "is flipped, undone or stuck. Exit status 0 only if all are on new. Interrupting it stops\n"
	  "only the following; --withdraw takes back a go that was not used yet.\n"
	  "\n"
	  "--at: nobody begins before; 22:00, 2026-11-30 22:00 (by the engine's clock, and said back) or\n"
	  "2026-11-30T22:00:00Z. Then nothing is followed. --rate: users of the wave that begin in a\n"
	  "minute. --first-hour: at most so many whose flip is less than an hour ago. --when-quiet: a\n"
	  "user begins when no command of his clients was open for so many seconds, or at --latest,\n"
	  "quiet or not. Each of them is kept until another cutover command says otherwise; one about\n"
	  "a USER counts before his wave's, and is not held up by its pause. --dry-run says who would\n"
	  "begin when, at the earliest, and who waits for something else.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry cutover anna@example.com\n"
	  "  mailferry cutover --wave 1\n"
	  "  mailferry cutover --wave 1 --at 22:00 --rate 10 --first-hour 200\n"
	  "  mailferry cutover --wave 1 --when-quiet 30 --latest \"2026-11-30 06:00\" --dry-run\n"
	  "  mailferry cutover --wave 1 --no-wait\n"
	  "  mailferry cutover --wave 1 --withdraw\n",
	  CTL_WAVE | CTL_NO_WAIT | CTL_WITHDRAW | CTL_WHEN | CTL_DRY_RUN, 0, 1, ctl_cutover },
	{ "waves", "[--wave W]", "when waves go, and how far they are",
	  "For each: users, on new, with the go and not begun, in their first hour on new, and when\n"
	  "they begin. A wave pauses by itself when logins on new fail, waits grow long or new answers\n"
	  "slowly (settings `waves`); then the reason is here, and in `mailferry status`.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry waves\n"
	  "  mailferry waves --wave 1 --json\n",
	  CTL_WAVE, 0, 0, ctl_waves },
	{ "pause", "--wave W [--note TEXT]", "let nobody of a wave begin",
	  "Whose cutover is under way already goes on. A user whose name is given to `mailferry cutover`\n"
	  "is moved nevertheless.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry pause --wave 1 --note \"help desk is full\"\n",
	  CTL_WAVE | CTL_NOTE, 0, 0, ctl_pause },
	{ "resume", "--wave W", "let a paused wave go on",
	  "Also one that paused by itself: what was before does not pause it again.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry resume --wave 1\n",
	  CTL_WAVE, 0, 0, ctl_resume },
	{ "rollback", "USER | --wave W", "move users back to the old server",
	  "For users who are on new. They go on working there while old is brought in step: mail that\n"
	  "came to new, flags, deletions, folders. Then the same pause as at a cutover, and logins go to\n"
	  "old again; live sessions end with BYE. Days of work on new are no obstacle. Follows each step.\n"
	  "Exit status 0 only if all are on old. --withdraw takes back a rollback that has not come\n"
	  "to its pause yet: the users stay on new, and old is kept in step.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry rollback anna@example.com --note \"ticket 4713\"\n"
	  "  mailferry rollback --wave 1 --no-wait\n"
	  "  mailferry rollback --wave 1 --withdraw\n",
	  CTL_WAVE | CTL_NO_WAIT | CTL_WITHDRAW | CTL_NOTE, 0, 1, ctl_rollback },
	{ "exceptions", "USER", "messages that could not be copied, and why",
	  "Each with its folder, UID, date and subject, what the server said, what was tried, and the\n"
	  "file that holds it. Then the messages that were copied after a repair: what was changed\n"
	  "where, and the SHA-256 before and after. Kinds: content (refused in every form), size,\n"
	  "policy (a virus, a rule), unreadable (old does not give it), altered (new serves other bytes).\n"
	  "\n"
	  "An exception holds up the user's cutover until it is waived, or the message is gone from old,\n"
	  "or a later pass could copy it: `mailferry retry` asks for that; another server or limit does too.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry exceptions anna@example.com\n"
	  "  mailferry exceptions anna@example.com --json\n",
	  0, 1, 1, ctl_exceptions },
	{ "waive",
	  "{USER | --wave W} CHECK --note TEXT [--undo] | USER --note TEXT {--folder F [--uid N] | --kind K | --all} [--undo]",
	  "let a cutover go on although a check says no, or without some messages",
	  "CHECK is one that `mailferry why` names: uidvalidity uids strangers subscriptions special-use\n"
	  "names unseen pop3-ids password server quota short phases. It is waived for the user, or for\n"
	  "all who are in the wave, until --undo; `mailferry why` goes on to show it, and what it found.\n"
	  "\n"
	  "Without CHECK, exceptions: the messages stay on old, are listed as waived, and never count as compared. The note says who\n"
	  "decided it, and why; it is kept in the user's history. Folders and UIDs are those of old, as\n"
	  "`mailferry exceptions` names them. --undo takes it back.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry waive anna@example.com uids --note \"Anna knows that it loads anew\"\n"
	  "  mailferry waive --wave 1 names --note \"all use webmail, ticket 4712\"\n"
	  "  mailferry waive --wave 1 names --undo\n"
	  "  mailferry waive anna@example.com --folder INBOX --uid 17 --note \"Anna has it on paper\"\n"
	  "  mailferry waive anna@example.com --kind policy --note \"viruses, ticket 4711\"\n"
	  "  mailferry waive anna@example.com --kind policy --undo\n",
	  CTL_NOTE | CTL_WAIVE | CTL_WAVE | CTL_ALL | CTL_UNDO, 1, 2, ctl_waive },
	{ "retry", "USER | --wave W", "try again now what failed",
	  "Forgets failures, back-off and the reason for being stuck, and tries exceptions again.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry retry anna@example.com\n"
	  "  mailferry retry --wave 1\n",
	  CTL_WAVE, 0, 1, ctl_retry },
	{ "verify", "USER | --wave W [--level L]", "compare both sides, message by message",
	  "Reads all folders on both servers and compares them as they are now: bytes (SHA-256), flags,\n"
	  "dates, subscriptions. It knows nothing of what the copier wrote down. Levels: full (the\n"
	  "default: every byte), headers (no body is read), sample=K (headers, and about K messages in\n"
	  "full; with no difference among them at most 3/K of all differ, at 95 %).\n"
	  "\n"
	  "Grades: perfect; good (every message is there, something else differs: flags, a date, line\n"
	  "ends, mail that is only on new); investigate (bytes differ, or a listing does not add up);\n"
	  "poor (mail is missing). Exit status 0 only if all are perfect or good. The signed report of\n"
	  "each user is kept in sync.reports, as JSON and as a page; with --json it is printed.\n"
	  "\n"
	  "--check-file FILE tells whether a report is as it was signed; with --key also by whom.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry verify anna@example.com\n"
	  "  mailferry verify --wave 1 --level sample=200\n"
	  "  mailferry verify --check-file report.json --key 3b6a27bc…\n",
	  CTL_WAVE | CTL_NO_WAIT | CTL_VERIFY, 0, 1, ctl_verify },
	{ "why", "USER", "what a user waits for",
	  "State, route, everything the next step waits for, live sessions, last moves.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry why anna@example.com\n",
	  0, 1, 1, ctl_why },
	{ "history", "USER", "what happened to a user: moves, logins, lost sessions",
	  "Oldest first. Moves: from which state to which, who did it and why. Logins that a server was\n"
	  "asked for: where to and why, its answer, how long it waited for a cutover. Sessions that were\n"
	  "ended: what was open, whether the client heard of it, which client, and after how long a login\n"
	  "followed. Logins and sessions are kept for 30 days, of logins the last million.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry history anna@example.com\n"
	  "  mailferry history anna@example.com --json      {\"history\":[…],\"logins\":[…],\"drops\":[…]}\n",
	  0, 1, 1, ctl_history },
	{ "report", "--wave W | --final [--html FILE]", "how a wave went, or the whole move",
	  "Users moved, and still to go; cutovers that were undone, by reason; how long logins waited; how\n"
	  "long each kind of client took to come back after its session ended; messages that could not be\n"
	  "copied; waivers.\n"
	  "\n"
	  "--final: all waves and their sum, and what is left to be known of the move: who was not\n"
	  "verified, messages that could not be copied and who waived them, domains and since when\n"
	  "their MX leads to new, changes on old past the proxy, names that nobody imported, all that\n"
	  "persons vouched for. With --json it is the signed document, which `mailferry verify\n"
	  "--check-file` checks; --html writes the same as a page. Logins and waits are those of the\n"
	  "last 30 days.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry report --wave 1\n"
	  "  mailferry report --wave 1 --json\n"
	  "  mailferry report --final --html move.html --json >move.json\n",
	  CTL_WAVE | CTL_REPORT, 0, 0, ctl_report },
	{ "sessions", "[USER | --wave W] [--node N] [--side S] [--proto P] [--state S]", "live client sessions",
	  "Of all users, of a wave or of one user, on all proxy nodes: who, with which mail program, where to and why,\n"
	  "what is open, how old, how many bytes from (UP) and to (DOWN) the client. Sides: old new.\n"
	  "Protocols: imap pop3. States: PARK (login waits for a cutover) DIAL LOGIN RELAY (live) DRAIN\n"
	  "(finishes what is open) QUIET (held) PARTING (POP3: hears of it at its next command).\n"
	  "\n"
	  "examples:\n"
	  "  mailferry sessions\n"
	  "  mailferry sessions anna@example.com\n"
	  "  mailferry sessions --side new --proto pop3 --json\n",
	  CTL_SESSIONS | CTL_STATE | CTL_WAVE, 0, 1, ctl_sessions },
	{ "drop", "USER [--force] [--wait S]", "end a user's sessions, moving nobody",
	  "Each session finishes what is open, takes no new command, and ends with BYE; its client comes\n"
	  "back when it likes. A POP3 session that has fetched or deleted is waited for until its QUIT.\n"
	  "Sessions held by a cutover are ended after it. Waits (10 seconds) until all nodes say that\n"
	  "nothing remains, and says how many sessions ended where; what remains still ends later. With\n"
	  "--force what is open after --wait seconds is cut, and the log says what that was.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry drop anna@example.com\n"
	  "  mailferry drop anna@example.com --force --wait 30\n",
	  CTL_FORCE | CTL_WAIT, 1, 1, ctl_drop },
	{ "drain", "NODE | --all [--seconds S] [--undo]", "empty a proxy node for maintenance",
	  "The node takes no clients any more (/readyz says no, the other nodes go on), and ends its\n"
	  "sessions at their boundaries, limits.drop_per_s of them a second. What is open after --seconds\n"
	  "(300) is cut, and the log says what that was. It stays empty until --undo, or until\n"
	  "`mailferry run` is restarted; a crash does not end it. `mailferry status` names the nodes.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry drain proxy-1\n"
	  "  mailferry drain proxy-1 --seconds 60\n"
	  "  mailferry drain proxy-1 --undo\n",
	  CTL_ALL | CTL_SECONDS | CTL_UNDO, 0, 1, ctl_drain },
	{ "domains", "", "how far each domain is, and where its mail goes",
	  "How many users of it were moved and are done, how many of them somebody writes to on old past\n"
	  "the proxy, when mail last came to old, and where the MX leads, as the engine or\n"
	  "`mailferry check dns` saw it last.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry domains\n",
	  0, 0, 0, ctl_domains },
	{ "inventory", "[--wave W] [--csv]", "who reads by which protocol and client",
	  "Each user with the day of his last login or session through the proxy in the last 30 days, and\n"
	  "what he came with, by its own word. Who was never seen may be gone, or go past the proxy.\n"
	  "Without --wave also names that logged in and nobody imported. --csv is for a mailing: its\n"
	  "columns are user, wave, state, last_seen, clients.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry inventory\n"
	  "  mailferry inventory --wave 1 --csv >wave-1.csv\n",
	  CTL_WAVE | CTL_CSV, 0, 0, ctl_inventory },
	{ "phases", "[DOMAIN] [--markdown] [--done ITEM --note TEXT | --done ITEM --undo]",
	  "the plan of a domain's move, as a checklist",
	  "What is to be done in each of the four phases: what was looked up, and what a person vouches\n"
	  "for. done; blocks: nobody of the domain should be moved before (with gate.phases = require\n"
	  "nobody is, unless the check `phases` is waived); warns: it is open; not yet: it is not its turn.\n"
	  "Without a domain, a row for each. --done says that an item was seen to, --note by whom and how;\n"
	  "--undo takes that back. All that was ever said is kept, and shown by --markdown and --json.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry phases\n"
	  "  mailferry phases example.com\n"
	  "  mailferry phases example.com --done passwords-frozen --note \"Eve, ticket 4711\"\n"
	  "  mailferry phases example.com --done passwords-frozen --undo\n"
	  "  mailferry phases example.com --markdown >plan.md\n",
	  CTL_PHASES | CTL_NOTE | CTL_UNDO, 0, 1, ctl_phases },
	{ "forget", "NODE", "a node that is off for good: nobody waits for it any more",
	  "A node that fell silent may still serve users who live on new, by what it knew; so nobody is\n"
	  "led back to old until it is heard of again, or forgotten here. Make sure that it is off.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry forget proxy-1@mx3\n",
	  0, 1, 1, ctl_forget },
	{ "strangers", "", "logins that nobody imported",
	  "They are served by old. Import them, or they stay there.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry strangers\n",
	  0, 0, 0, ctl_strangers },
	{ "trace", "USER [--seconds N] [--bytes N] [--stop]", "show what a user's clients and we say",
	  "Follows the user's conversations on all proxy nodes, line by line: C: from the client, S: to it,\n"
	  "-- the proxy itself. Ends after --seconds (600), with --bytes of lines (1048576) of all nodes\n"
	  "together, or by Ctrl-C; if this command is killed, the trace still ends by itself. Until then\n"
	  "all processes also log everything about the user. --stop ends one that was left.\n"
	  "\n"
	  "Never shown, not even in part: arguments of LOGIN, AUTHENTICATE, USER, PASS and the like, SASL\n"
	  "lines, tokens; content of messages: a literal is {n bytes}; strings in a FETCH answer, texts\n"
	  "and keywords that are searched for, and lines whose command is not known. Shown are names of\n"
	  "mailboxes, flags, numbers, the client's ID and the server's status texts. What a client says\n"
	  "before its login is not shown, as its user is not known then.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry trace anna@example.com\n"
	  "  mailferry trace anna@example.com --seconds 60 --json\n"
	  "  mailferry trace anna@example.com --stop\n",
	  CTL_SECONDS | CTL_TRACE, 1, 1, ctl_trace },
	{ "log-level", "error|warn|info|debug", "change the log level of all processes",
	  "Until they restart; the setting log.level holds then.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry log-level debug\n",
	  0, 1, 1, ctl_log_level },
	{ "store rebuild", "", "give a store that has lost moves those that this host has seen",
	  "For a store that was emptied, put back from a backup or swapped for another: engine and nodes\n"
	  "do not work with it until then. Whoever was moved since, by the flip log of this host\n"
	  "(store.flips), is put on the side where he lives. Logs of other hosts: append them to this\n"
	  "one first. Users who are not in the store (imported after the backup, or all of them after\n"
	  "`mailferry run --new-store`) are imported before this; it refuses while one who lives on new\n"
	  "is missing. Harmless when repeated.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry store rebuild\n",
	  0, 0, 0, ctl_rebuild },
	{ "check config", "[FILE]", "report all mistakes in the settings",
	  "Every mistake on a line of its own, as file:line: what is wrong; every certificate is read\n"
	  "and its key tried. Needs no engine. A certificate that expires within 21 days is a warning.\n"
	  "Asked by root, it looks at all files as the account of run.user, which must read them.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry check config\n"
	  "  mailferry check config new.conf\n",
	  0, 0, 1, ctl_check_config },
	{ "check user", "USER", "prove both logins of a user now",
	  "Logs in on both servers as the copier would (password, master user or token), and says what\n"
	  "server it is, how it let us in, what is in the mailbox, its quota, and what would fail or be\n"
	  "slow. Changes nothing. Needs no engine, but its store and the files with passwords.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry check user anna@example.com\n",
	  0, 1, 1, ctl_check_user },
	{ "check backends", "[USER]", "connect to both servers and compare them",
	  "Certificate (name, days left, pin), capabilities, and what clients will miss on new:\n"
	  "what that means for people, and in how many sessions it was used. Logs in nowhere,\n"
	  "unless a USER is named: servers tell more of what they can do to who is logged in, and\n"
	  "master_user looks there. Needs no engine, but for the counts. Exit status 1 when a server\n"
	  "is not reachable or not trusted.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry check backends\n"
	  "  mailferry check backends anna@example.com\n",
	  0, 0, 1, ctl_check_backends },
	{ "check dns", "DOMAIN…", "are a domain's records right, and when may they change",
	  "Asks the zone's own name servers and the resolvers of dns.resolvers for MX, the names that\n"
	  "clients use, SPF, DKIM, SRV and NS, and compares them with what new wants (dns.new). Says what\n"
	  "has to change now, what waits until all users of the domain are on new, which TTL is too long,\n"
	  "which copies may still be about and until when, and which name new has no certificate for.\n"
	  "Each look is kept in the store: the TTLs before a change tell when the last copy is gone.\n"
	  "Changes nothing else. Needs no engine, but its store.\n"
	  "\n"
	  "Exit status, other than elsewhere: 0 all is right, 1 something is wrong, 2 not yet, or it could\n"
	  "not be asked (or the command line or the settings are wrong).\n"
	  "\n"
	  "examples:\n"
	  "  mailferry check dns example.com\n"
	  "  mailferry check dns example.com example.org --json\n",
	  0, 1, CTL_ARGS_MAX, ctl_check_dns },
	{ "learn-key", "FILE", "make the keys for learned passwords",
	  "Writes a new secret key into FILE, for its owner only, and prints the settings that\n"
	  "belong to it. With learn.domains set as well, nodes seal the passwords that old takes\n"
	  "from clients to this key; only the engine can open them. Who loses FILE only loses what\n"
	  "was learned.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry learn-key /etc/mailferry/learn.key >>/etc/mailferry/mailferry.conf\n",
	  0, 1, 1, ctl_learn_key },
	{ "token add", "NAME [--role view|operate]", "let somebody use the HTTP API from elsewhere",
	  "Makes a token, prints it, and writes its hash into the file of api.tokens: the token itself\n"
	  "is kept nowhere. view (the default) may look at everything, operate may change it too. The\n"
	  "name stands in the history and the log. Holds at once. Needs no engine.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry token add grafana\n"
	  "  mailferry token add anna --role operate\n",
	  CTL_ROLE, 1, 1, ctl_token_add },
	{ "token list", "", "who has a token, and may what",
	  "examples:\n"
	  "  mailferry token list\n",
	  0, 0, 0, ctl_token_list },
	{ "token remove", "NAME", "take a token back",
	  "The next request with it is refused, also in a connection that is open.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry token remove anna\n",
	  0, 1, 1, ctl_token_remove },
	{ "sample-config", "", "print a settings file with every setting explained",
	  "examples:\n"
	  "  mailferry sample-config >mailferry.conf\n",
	  0, 0, 0, ctl_sample_config },
	{ "man", "1|5|7", "print a manual page",
	  "1: mailferry(1), this command. 5: mailferry.conf(5), the settings. 7: mailferry-states(7), what\n"
	  "a user goes through. `make install` puts them where man(1) finds them.\n"
	  "\n"
	  "examples:\n"
	  "  mailferry man 5 | man -l -\n",
	  0, 1, 1, ctl_man },
	{ "completion", "bash|zsh", "print the shell's completion of this command",
	  "Of commands, options, their known values, and files. `make install` puts it where the shells\n"
	  "find it; the packages bash-completion or zsh must be there.\n"
	  "\n"
	  "examples:\n"
	  "  source <(mailferry completion bash)\n",
	  0, 1, 1, ctl_completion },
};
/* clang-format on */
const size_t ctl_verb_count = COUNT(ctl_verbs);
