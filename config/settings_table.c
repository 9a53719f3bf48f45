/* Hides: where each setting lives, what it may be, and how its text becomes a value. */
#include "config/settings_table.h"

#include <strings.h>

#include "common/wire/utf7.h"

const struct section_row section_rows[SECTIONS] = {
	[SECTION_LISTENER] = { "listener", true,
			       "Where clients come in; as many as you need." },
	[SECTION_BACKEND] = { "backend", true,
			      "The two servers: \"old\" is left, \"new\" is moved to." },
	[SECTION_DOMAIN] = { "domain", true,
			     "One domain's records, where they differ from section dns." },
	[SECTION_TLS] = { "tls", false, "Towards clients." },
	[SECTION_STORE] = { "store", false, "The durable state of every user." },
	[SECTION_RUN] = { "run", false, "Processes on this host." },
	[SECTION_LOG] = { "log", false, "Lines on standard error." },
	[SECTION_USERS] = { "users", false, "How login names are read." },
	[SECTION_SYNC] = { "sync", false, "Copying mail." },
	[SECTION_CUTOVER] = { "cutover", false, "Moving a user: freeze, last copy, flip." },
	[SECTION_POP3] = { "pop3", false, "Clients that leave their mail on the server." },
	[SECTION_GATE] = { "gate", false,
			   "What must hold before a user is moved, besides what always must: each "
			   "check is required, or only warned about (`mailferry why`)." },
	[SECTION_WAVES] = { "waves", false,
			    "When a wave pauses by itself, or leads its users back; looked at "
			    "while it goes on." },
	[SECTION_LEARN] = { "learn", false,
			    "Passwords that old has taken from clients are kept, sealed to a key of the "
			    "engine (`mailferry learn-key`), for copying and for the new account." },
	[SECTION_LOOKUP] = { "lookup", false,
			     "Tells Postfix (socketmap:ADDRESS:route) where a user's mail goes.",
			     true },
	[SECTION_API] = { "api", false,
			  "The engine's HTTP API and web page, for people and programs that have no "
			  "way to its Unix socket (docs/api.md).",
			  true },
	[SECTION_DNS] = { "dns", false,
			  "Where mail and clients of the domains are led once their users are on "
			  "new (`mailferry check dns`)." },
	[SECTION_OPENSRS] = { "opensrs", false,
			      "Where new is OpenSRS Hosted Email: its Mail API." },
	[SECTION_LIMITS] = { "limits", false, "Of one proxy process." },
};

#define AT_LISTENER(field) SECTION_LISTENER, offsetof(struct listener_conf, field)
#define AT_BACKEND(field)  SECTION_BACKEND, offsetof(struct backend_conf, field)
#define AT_DOMAIN(field)   SECTION_DOMAIN, offsetof(struct domain_conf, target.field)
#define AT_DNS(field)	   SECTION_DNS, offsetof(struct settings, dns.target.field)
#define AT(section, field) section, offsetof(struct settings, field)

#define ROW(n, where, k, d, ...) ROW_(n, where, k, d, __VA_ARGS__)
#define ROW_(n, s, o, k, d, lo, hi, u, req, rel, h)                                            \
	{                                                                                      \
		.name = n, .section = s, .offset = o, .kind = VALUE_##k, .start = d,           \
		.min = lo, .max = hi, .unit = u, .required = req, .reloadable = rel, .help = h \
	}

#define TEXT(n, where, d, rel, h)	    ROW(n, where, TEXT, d, 0, 0, "", false, rel, h)
#define PATH(n, where, d, rel, h)	    ROW(n, where, PATH, d, 0, 0, "", false, rel, h)
#define INT(n, where, d, lo, hi, u, h)	    ROW(n, where, INT, d, lo, hi, u, false, true, h)
#define RESTART_INT(n, where, d, lo, hi, h) ROW(n, where, INT, d, lo, hi, "", false, false, h)
#define RULE(field, d, h) \
	ROW(#field, AT(SECTION_GATE, gate.field), RULE, d, 0, 0, "", false, true, h)
#define LIMIT(field, d, lo, hi, u, h) \
	INT(#field, AT(SECTION_LIMITS, limits.field), d, lo, hi, u, h)

const struct setting_row setting_rows[] = {
	ROW("protocol", AT_LISTENER(proto), PROTO, NULL, 0, 0, "", true, false,
	    "imap or pop3."),
	TEXT("address", AT_LISTENER(address), "0.0.0.0", false,
	     "Address to listen on; \"::\" takes IPv6 and IPv4."),
	ROW("port", AT_LISTENER(port), INT, NULL, 0, 65535, "", true, false,
	    "TCP port; 0 lets the system pick one."),
	ROW("tls", AT_LISTENER(tls), TLS, "implicit", 0, 0, "", false, false,
	    "implicit (TLS from the first byte), starttls (also POP3's STLS) or none."),
	ROW("proxy_protocol", AT_LISTENER(proxy_protocol), BOOL, "no", 0, 0, "", false, true,
	    "Each connection begins with a PROXY header (v1 or v2) of a load balancer in "
	    "trusted; others are closed."),
	TEXT("trusted", AT_LISTENER(trusted), NULL, true,
	     "Networks whose word about a client's address counts, by PROXY header, ID or "
	     "XCLIENT: \"10.0.0.0/8, ::1\"."),

	ROW("host", AT_BACKEND(host), TEXT, NULL, 0, 0, "", true, false, "Name or address."),
	RESTART_INT("imap_port", AT_BACKEND(port[PROTO_IMAP]), "993", 0, 65535,
		    "0: no IMAP there."),
	ROW("imap_tls", AT_BACKEND(tls[PROTO_IMAP]), TLS, "implicit", 0, 0, "", false, false,
	    "implicit, starttls or none."),
	RESTART_INT("pop3_port", AT_BACKEND(port[PROTO_POP3]), "995", 0, 65535,
		    "0: no POP3 there."),
	ROW("pop3_tls", AT_BACKEND(tls[PROTO_POP3]), TLS, "implicit", 0, 0, "", false, false,
	    "implicit, starttls or none."),
	TEXT("tls_name", AT_BACKEND(tls_name), NULL, false,
	     "The name its certificate must carry; without it the host."),
	PATH("tls_ca_file", AT_BACKEND(tls_ca_file), NULL, false,
	     "PEM file of the CAs to trust; without it the system's."),
	TEXT("tls_pin", AT_BACKEND(tls_pin), NULL, false,
	     "\"sha256:\" and 64 hex digits: trust this public key and nothing else."),
	TEXT("master_user", AT_BACKEND(master_user), NULL, true,
	     "Login that may open every mailbox, for copying; without it users' own "
	     "passwords."),
	PATH("master_password_file", AT_BACKEND(master_password_file), NULL, true,
	     "File with the master user's password in its first line."),
	TEXT("master_format", AT_BACKEND(master_format), "", true,
	     "Login sent for the master: \"%u*%m\" (user*master); \"\": SASL PLAIN with "
	     "authzid."),
	TEXT("auth", AT_BACKEND(auth), "plain", true,
	     "How the copier logs in: plain (passwords), xoauth2 or oauthbearer (access tokens "
	     "in place of passwords)."),
	TEXT("token_command", AT_BACKEND(token_command), NULL, true,
	     "\"/path/program %u\": prints a token for this login in its first line; run for "
	     "each pass, without a shell."),
	TEXT("login_format", AT_BACKEND(login_format), NULL, true,
	     "Login that the proxy sends, made of the user's name here: %u all of it, %n and %d "
	     "what stands before and behind its @. Without it: old_login or new_login of the "
	     "import, or what the client wrote."),
	TEXT("proxy_master_user", AT_BACKEND(proxy_master_user), NULL, false,
	     "The proxy logs its clients in there as this master user, for a server that does "
	     "not know their passwords; auth_from's server checks each one first."),
	PATH("proxy_master_password_file", AT_BACKEND(proxy_master_password_file), NULL, false,
	     "File with that user's password in its first line."),
	TEXT("proxy_master_format", AT_BACKEND(proxy_master_format), "", false,
	     "Like master_format, for proxy_master_user."),
	TEXT("auth_from", AT_BACKEND(auth_from), NULL, false,
	     "old or new: the other server, which must take the client's own login before "
	     "proxy_master_user is used."),
	ROW("allow_cleartext", AT_BACKEND(allow_cleartext), BOOL, "no", 0, 0, "", false, false,
	    "Passwords and mail may go to another host without TLS (imap_tls or pop3_tls = "
	    "none)."),
	ROW("copy", AT_BACKEND(copy), PROTO, "imap", 0, 0, "", false, false,
	    "How the copier reads old: imap, or pop3 where nothing else is offered: INBOX only, "
	    "without flags, and no way back."),
	INT("connections", AT_BACKEND(connections), "16", 1, 1000, "",
	    "Most connections of the copier at once."),
	ROW("rate", AT_BACKEND(rate), SIZE, "0", 0, RATE_BYTES_MAX, "bytes/s", false, true,
	    "What the copier moves there and back, all workers together; 0: as fast as it goes."),
	INT("message_rate", AT_BACKEND(message_rate), "0", 0, RATE_MESSAGES_MAX, "/s",
	    "Messages read or written there by the copier; 0: any number."),
	TEXT("rate_times", AT_BACKEND(rate_times), NULL, true,
	     "Other numbers by the clock of this host: \"08:00-18:00 bytes=2M messages=5 "
	     "connections=4, 22:00-06:00 bytes=0\"; the first window that holds counts."),
	ROW("proxy_protocol", AT_BACKEND(proxy_protocol), PROXY, "none", 0, 0, "", false, true,
	    "none, v1 or v2: PROXY header in front of every connection; the server must expect "
	    "it."),
	ROW("id_forward", AT_BACKEND(id_forward), BOOL, "no", 0, 0, "", false, true,
	    "Tell IMAP clients' addresses by ID (x-originating-ip …); Dovecot: "
	    "login_trusted_networks."),
	ROW("xclient", AT_BACKEND(xclient), BOOL, "no", 0, 0, "", false, true,
	    "Tell POP3 clients' addresses by XCLIENT; Dovecot: login_trusted_networks."),
	ROW("checkpoint", AT_BACKEND(checkpoint), BOOL, "no", 0, 0, "", false, false,
	    "For servers that keep changed flags in the open session (mbox): CHECK before a "
	    "move."),

	ROW("keep_uidvalidity", AT_BACKEND(keep_uidvalidity), BOOL, "no", 0, 0, "", false, true,
	    "Of backend \"new\": moved users whose mail has old's UIDs in all folders are shown "
	    "old's UIDVALIDITY, so that their clients load nothing anew while they come through "
	    "here (docs/uids.md). CONDSTORE and QRESYNC are hidden from them."),

	TEXT("new", AT_DOMAIN(kind), NULL, true, "Instead of dns.new."),
	TEXT("mx", AT_DOMAIN(mx), NULL, true, "Instead of dns.mx."),
	TEXT("host", AT_DOMAIN(host), NULL, true, "Instead of dns.host."),
	TEXT("webmail", AT_DOMAIN(webmail), NULL, true, "Instead of dns.webmail."),
	TEXT("spf", AT_DOMAIN(spf), NULL, true, "Instead of dns.spf."),
	TEXT("names", AT_DOMAIN(names), NULL, true, "Instead of dns.names."),
	TEXT("servers", AT_DOMAIN(servers), NULL, true, "Instead of dns.servers."),

	PATH("certificate", AT(SECTION_TLS, tls.certificate), NULL, true,
	     "PEM file: certificate and chain."),
	PATH("key", AT(SECTION_TLS, tls.key), NULL, true,
	     "PEM file: its private key, unencrypted; without it the key is in certificate."),
	PATH("second_certificate", AT(SECTION_TLS, tls.second_certificate), NULL, true,
	     "Another one for the same names with the other kind of key: RSA beside ECDSA."),
	PATH("second_key", AT(SECTION_TLS, tls.second_key), NULL, true,
	     "Its private key; without it the key is in second_certificate."),
	PATH("folder", AT(SECTION_TLS, tls.folder), NULL, true,
	     "Certificates by name: NAME.pem, or NAME/fullchain.pem as certbot has them."),
	INT("loaded_max", AT(SECTION_TLS, tls.loaded_max), "1000", 1, 100000, "names",
	    "Of the folder, kept in memory (14 KiB each with ECDSA, more with a long chain)."),
	INT("ticket_life_s", AT(SECTION_TLS, tls.ticket_life_s), "43200", 1, 604800, "s",
	    "Keys of session tickets are changed this often; a client may come back as long."),
	ROW("allow_cleartext", AT(SECTION_TLS, tls.allow_cleartext), BOOL, "no", 0, 0, "",
	    false, true, "Accept passwords without TLS."),

	TEXT("url", AT(SECTION_STORE, store.url), NULL, false,
	     "Instead of a file a PostgreSQL database, for several hosts: postgresql://USER@HOST/NAME?sslmode=verify-full"
	     "&passfile=FILE. Never with the password in it."),
	PATH("path", AT(SECTION_STORE, store.path), "/var/lib/mailferry/store.db", false,
	     "SQLite file."),
	PATH("flips", AT(SECTION_STORE, store.flips), NULL, false,
	     "File in which this host remembers who was moved, so that a store that is put back "
	     "from yesterday is found out; without it path with .flips behind it. Keep it out of "
	     "the store's backup."),

	PATH("dir", AT(SECTION_RUN, run.dir), "/run/mailferry", false, "Sockets and locks."),
	TEXT("host", AT(SECTION_RUN, run.host), NULL, false,
	     "What this host is called in the names of its nodes (proxy-1@HOST), where several "
	     "share a store; without it the system's name up to its first dot."),
	RESTART_INT("nodes", AT(SECTION_RUN, run.nodes), "2", 1, 64,
		    "Proxy processes; one per core is right."),
	TEXT("user", AT(SECTION_RUN, run.user), NULL, false,
	     "Account to become when started as root. It must be there, and be able to read these "
	     "settings, certificates, keys and password files."),
	ROW("hang_s", AT(SECTION_RUN, run.hang_s), INT, "60", 10, 3600, "s", false, false,
	    "A process whose loop stands still this long is killed and started again."),
	ROW("stop_s", AT(SECTION_RUN, run.stop_s), INT, "10", 1, 3600, "s", false, false,
	    "At a stop, sessions may finish what is open; then they are cut."),
	INT("leave_s", AT(SECTION_RUN, run.leave_s), "0", 0, 2592000, "s",
	    "After an upgrade: old sessions end at latest after this; 0: by themselves."),
	INT("probe_s", AT(SECTION_RUN, run.probe_s), "300", 1, 86400, "s",
	    "Each node asks the backends this often what they can do."),

	ROW("level", AT(SECTION_LOG, log.level), LEVEL, "info", 0, 0, "", false, true,
	    "error, warn, info or debug."),

	TEXT("default_domain", AT(SECTION_USERS, users.default_domain), NULL, false,
	     "Appended to login names without @."),
	ROW("fold_local", AT(SECTION_USERS, users.fold_local), BOOL, "yes", 0, 0, "", false,
	    false, "Anna@example.com and anna@example.com are one user."),

	PATH("dir", AT(SECTION_SYNC, sync.dir), "/var/lib/mailferry/journals", false,
	     "Journals, one file per user."),
	PATH("exceptions", AT(SECTION_SYNC, sync.exceptions), NULL, false,
	     "Messages that could not be copied, a folder per user; without it: in sync.dir."),
	PATH("reports", AT(SECTION_SYNC, sync.reports), "/var/lib/mailferry/reports", false,
	     "Reports of `mailferry verify`, and the key that signs them."),
	INT("workers", AT(SECTION_SYNC, sync.workers), "4", 1, 256, "",
	    "Users copied at once."),
	ROW("lend", AT(SECTION_SYNC, sync.lend), BOOL, "yes", 0, 0, "", false, true,
	    "An engine that stands by makes passes for the one at work (several hosts, "
	    "docs/nodes.md): it needs the same password files and the same learn.key_file."),
	INT("connections", AT(SECTION_SYNC, sync.connections), "4", 1, 8, "",
	    "To each server for one user, where there is work enough for them."),
	ROW("worker_memory", AT(SECTION_SYNC, sync.worker_memory), SIZE, "512M", 64 << 20,
	    RATE_BYTES_MAX, "bytes", false, true,
	    "Of one worker; more ends it, and costs a retry."),
	TEXT("worker_user", AT(SECTION_SYNC, sync.worker_user), NULL, false,
	     "Account of the workers where the engine is root; it gets dir. Without it the "
	     "engine's own."),
	INT("delta_s", AT(SECTION_SYNC, sync.delta_s), "300", 1, 86400, "s",
	    "Between two passes over a user who is ready."),
	INT("trailing_s", AT(SECTION_SYNC, sync.trailing_s), "60", 1, 60, "s",
	    "Between two looks at old's mail of a user who was moved, while mail may still come "
	    "there; later they become rarer, up to an hour."),
	INT("fence_s", AT(SECTION_SYNC, sync.fence_s), "30", 0, 3600, "s",
	    "After a lost connection a message sent is believed lost only after this."),
	INT("retry_s", AT(SECTION_SYNC, sync.retry_s), "60", 1, 3600, "s",
	    "After a failed pass; doubles up to one hour."),
	INT("trouble_s", AT(SECTION_SYNC, sync.trouble_s), "120", 0, 86400, "s",
	    "After a server answered two live users with NO [SERVERBUG], [UNAVAILABLE] or "
	    "[CORRUPTION] nobody is moved, and what is missing on it is not taken for deleted, "
	    "for so long; after it answered one so, the same of this user. 0: never."),
	INT("trailing_quiet_days", AT(SECTION_SYNC, sync.trailing_quiet_days), "14", 1, 365,
	    "days",
	    "A moved user is done when for so long nothing has come to old, and the MX has led "
	    "to new for so long (if dns.new says what new is)."),
	INT("connect_s", AT(SECTION_SYNC, sync.connect_s), "10", 1, 300, "s",
	    "To reach a server, TLS included."),
	INT("io_s", AT(SECTION_SYNC, sync.io_s), "60", 1, 3600, "s",
	    "A server that stands still this long is given up."),
	ROW("message_max", AT(SECTION_SYNC, sync.message_max), SIZE, "1G", 1024, 1LL << 40,
	    "bytes", false, true,
	    "A larger message is reported, not copied. K, M, G count in 1024s."),
	ROW("user_rate", AT(SECTION_SYNC, sync.user_rate), SIZE, "0", 0, RATE_BYTES_MAX,
	    "bytes/s", false, true,
	    "What one user's copy moves from or to each server; 0: as fast as it goes."),
	INT("user_message_rate", AT(SECTION_SYNC, sync.user_message_rate), "0", 0,
	    RATE_MESSAGES_MAX, "/s", "Messages of one user's copy; 0: any number."),
	PATH("folders", AT(SECTION_SYNC, sync.folders), NULL, true,
	     "File of rules: map \"Old/Name\" = \"New/Name\", skip \"Public*\"; for all, or "
	     "behind a line \"wave W\" or \"user U\" for those. Read anew for each pass."),
	ROW("shared", AT(SECTION_SYNC, sync.shared), BOOL, "no", 0, 0, "", false, true,
	    "Copy other users' and shared folders too, which each user sees again."),
	INT("delete_brake", AT(SECTION_SYNC, sync.delete_brake), "50", 0, 1000000000, "",
	    "Most deletions per folder and pass before a person is asked …"),
	INT("delete_brake_percent", AT(SECTION_SYNC, sync.delete_brake_percent), "5", 0, 100,
	    "%",
	    "… or this share of the folder, whichever is more; the same again for all of a "
	    "user's folders together."),
	TEXT("deleted", AT(SECTION_SYNC, sync.deleted), "copy", true,
	     "What becomes of messages marked \\Deleted and not yet expunged: copy (with the "
	     "mark) or skip (not copied unless the mark goes)."),
	TEXT("uids", AT(SECTION_SYNC, sync.uids), "exact", true,
	     "Which UIDs copied mail gets on new: exact (those of old), floor (above all that "
	     "old has given) or plain (whatever new gives). What cannot be had falls to the next "
	     "of them; needs UIDPLUS on new."),
	INT("uid_gaps", AT(SECTION_SYNC, sync.uid_gaps), "50000", 0, 1000000, "",
	    "Exact: UIDs without a message that are used up in a folder, at most; else floor."),
	INT("uid_floor", AT(SECTION_SYNC, sync.uid_floor), "200000", 0, 10000000, "",
	    "Floor: UIDs that are used up in a folder, at most; else plain."),
	INT("uid_s", AT(SECTION_SYNC, sync.uid_s), "600", 1, 86400, "s",
	    "Time that a pass spends on using UIDs up, at most; then plain."),

	INT("budget_s", AT(SECTION_CUTOVER, cutover.budget_s), "12", 3, 60, "s",
	    "From freeze to flip; when it is spent, everything is undone."),
	INT("hold_s", AT(SECTION_CUTOVER, cutover.hold_s), "18", 4, 120, "s",
	    "Most that a login waits; more than budget_s, less than clients bear (20)."),
	INT("retry_s", AT(SECTION_CUTOVER, cutover.retry_s), "600", 1, 86400, "s",
	    "After an undone cutover; doubles."),
	INT("tries", AT(SECTION_CUTOVER, cutover.tries), "3", 1, 100, "",
	    "Undone this often, a user waits for `mailferry retry`."),
	INT("parallel", AT(SECTION_CUTOVER, cutover.parallel), "4", 1, 256, "",
	    "Users between freeze and flip at once."),
	TEXT("bye", AT(SECTION_CUTOVER, cutover.bye), "Mailbox was moved, please reconnect.",
	     true, "What a client hears at the flip; printable ASCII."),

	TEXT("uidl", AT(SECTION_POP3, pop3.uidl), "keep", true,
	     "The unique ids that clients know mail by: keep (the new server's mail shows with "
	     "those of old, so nothing is downloaded twice) or native (the new server's own)."),
	RULE(uids, "warn",
	     "Every message has old's UID on new, or one above all that old has given; else "
	     "clients load all of it anew. warn or require."),
	RULE(uidvalidity, "require",
	     "A folder with the same UIDVALIDITY on both sides has the same UIDs too; else "
	     "clients that trust what they know show wrong mail."),
	RULE(strangers, "require", "No mail on new that was not copied from old."),
	RULE(subscriptions, "require", "What is subscribed on old is subscribed on new."),
	RULE(special_use, "warn",
	     "What a folder is for (\\Sent …) is known on new where it is on old."),
	RULE(names, "warn",
	     "Both have the same prefix and separator of folders' names; else clients see other "
	     "names."),
	RULE(unseen, "warn",
	     "Nobody has changed mail on old past the proxy (webmail, programs on the server) "
	     "in the last day."),
	RULE(pop3_ids, "require",
	     "For users who read by POP3: the unique ids that their clients know are known."),
	RULE(server, "warn",
	     "New has the IMAP extensions that old has, and a certificate that lasts."),
	ROW("shadow_login", AT(SECTION_GATE, gate.shadow_login), BOOL, "no", 0, 0, "", false,
	    true,
	    "After a login on old a node tries the same name and password on new, at most once "
	    "a day, and keeps only yes or no."),
	RULE(password, "require",
	     "New takes the password that old took last (gate.shadow_login); else the user is "
	     "asked for it after the move."),
	RULE(password_unknown, "warn",
	     "It is known whether new takes the user's password (gate.shadow_login)."),
	RULE(phases, "warn",
	     "What blocks in the plan of the user's domain is done (`mailferry phases`). With "
	     "warn nothing is said of domains whose plan nobody follows."),
	INT("quota_margin", AT(SECTION_GATE, gate.quota_margin), "5", 0, 1000, "%",
	    "That much of the mailbox must be free on new, besides what is still to come."),
	INT("certificate_days", AT(SECTION_GATE, gate.certificate_days), "14", 0, 3650, "days",
	    "New's certificate must last so long."),

	INT("window_s", AT(SECTION_WAVES, waves.window_s), "300", 1, 86400, "s",
	    "Logins and waits of the last so many seconds count, since the last resume."),
	INT("least", AT(SECTION_WAVES, waves.least), "10", 1, 1000000, "",
	    "Fewer logins, or waits, than this say nothing."),
	INT("failed_percent", AT(SECTION_WAVES, waves.failed_percent), "20", 0, 100, "%",
	    "The wave pauses when more of its users' logins on new fail; 0: never for that."),
	INT("hold_ms", AT(SECTION_WAVES, waves.hold_ms), "10000", 0, 120000, "ms",
	    "… when one in twenty of the logins that waited waited longer; 0: never."),
	INT("slow_times", AT(SECTION_WAVES, waves.slow_times), "5", 0, 1000, "",
	    "… when new answers live users so many times slower than when it is quiet, …"),
	INT("slow_ms", AT(SECTION_WAVES, waves.slow_ms), "200", 0, 60000, "ms",
	    "… and so much slower; slow_times 0: never."),
	INT("rollback_percent", AT(SECTION_WAVES, waves.rollback_percent), "0", 0, 100, "%",
	    "When more of the logins on new than this fail for rollback_s, the wave pauses and "
	    "its users go back to old (docs/rollback.md); 0: never."),
	INT("rollback_s", AT(SECTION_WAVES, waves.rollback_s), "600", 2, 86400, "s",
	    "So long, in its first half and in its second."),
	INT("rollback_hours", AT(SECTION_WAVES, waves.rollback_hours), "24", 1, 8760, "h",
	    "Those go back who were moved so lately."),

	TEXT("domains", AT(SECTION_LEARN, learn.domains), NULL, false,
	     "Of whose users: \"example.com example.org\", or \"*\"; unset: nothing is learned."),
	TEXT("public_key", AT(SECTION_LEARN, learn.public_key), NULL, false,
	     "What nodes seal to: the line that `mailferry learn-key FILE` prints."),
	TEXT("key_file", AT(SECTION_LEARN, learn.key_file), NULL, false,
	     "That FILE. `mailferry run` opens it for the engine: it may belong to root alone."),
	INT("days", AT(SECTION_LEARN, learn.days), "30", 1, 3650, "days",
	    "So long after the last login a password is erased; also when the user is done."),

	LIMIT(header_s, "5", 1, 300, "s", "PROXY header of a listener with proxy_protocol."),
	TEXT("listen", AT(SECTION_LOOKUP, lookup.listen), NULL, false,
	     "\"unix:/path\" in a folder that only Postfix may enter, or a loopback "
	     "\"127.0.0.1:port\"; unset: no lookup."),
	TEXT("old", AT(SECTION_LOOKUP, lookup.old_transport), NULL, true,
	     "Answer for users on old: \"smtp:[old.example.com]\"."),
	TEXT("new", AT(SECTION_LOOKUP, lookup.new_transport), NULL, true,
	     "Answer for users on new: \"smtp:[new.example.com]\"."),
	TEXT("extension", AT(SECTION_LOOKUP, lookup.extension), "+", true,
	     "anna+x@example.com is anna@example.com; \"\": it is not."),
	ROW("unknown_to_old", AT(SECTION_LOOKUP, lookup.unknown_to_old), BOOL, "no", 0, 0, "",
	    false, true, "Unknown addresses: the answer of old instead of \"not found\"."),
	INT("connections", AT(SECTION_LOOKUP, lookup.connections), "100", 1, 10000, "",
	    "Most at once; more wait."),
	INT("idle_s", AT(SECTION_LOOKUP, lookup.idle_s), "300", 1, 86400, "s",
	    "A connection without a question this long is closed."),

	TEXT("listen", AT(SECTION_API, api.listen), NULL, false,
	     "\"127.0.0.1:8143\", \"[::1]:8143\" or another address of this host; unset: only "
	     "the Unix socket in run.dir."),
	ROW("tls", AT(SECTION_API, api.tls), BOOL, "yes", 0, 0, "", false, false,
	    "HTTPS; no: plain HTTP, which only a loopback address may have."),
	PATH("certificate", AT(SECTION_API, api.certificate), NULL, true,
	     "PEM file: certificate and chain; without it those of section tls."),
	PATH("key", AT(SECTION_API, api.key), NULL, true,
	     "Its private key, unencrypted; without it the key is in certificate."),
	TEXT("names", AT(SECTION_API, api.names), NULL, true,
	     "Host names by which browsers and programs call it: \"desk.example.com\". Addresses "
	     "and localhost need no mention; any other name is refused."),
	PATH("tokens", AT(SECTION_API, api.tokens), NULL, true,
	     "File of those who may ask, as `mailferry token add` writes it."),
	INT("connections", AT(SECTION_API, api.connections), "100", 1, 1000, "",
	    "Most at once. Then the oldest that has shown no token makes room; if all have, more "
	    "wait."),
	INT("connections_per_address", AT(SECTION_API, api.connections_per_address), "20", 1,
	    1000, "",
	    "Of one IPv4 address or one IPv6 /64, most that have shown no token; then the oldest "
	    "of them makes room."),
	INT("subscribers", AT(SECTION_API, api.subscribers), "20", 1, 1000, "",
	    "Of them, most that follow /v1/events."),

	TEXT("resolvers", AT(SECTION_DNS, dns.resolvers), NULL, true,
	     "Recursive resolvers whose caches are looked into: \"9.9.9.9, [2620:fe::fe]:53\"; "
	     "without it those of /etc/resolv.conf."),
	INT("port", AT(SECTION_DNS, dns.port), "53", 1, 65535, "",
	    "Where the zones' own name servers answer."),
	INT("timeout_s", AT(SECTION_DNS, dns.timeout_s), "5", 1, 60, "s",
	    "For an answer, second try included."),
	TEXT("new", AT_DNS(kind), NULL, true,
	     "What new is: opensrs-a, opensrs-b (the cluster) or other (with mx and host)."),
	TEXT("mx", AT_DNS(mx), NULL, true,
	     "With other: \"10 mx1.example.net, 20 mx2.example.net\"."),
	TEXT("host", AT_DNS(host), NULL, true,
	     "With other: the host that clients' names are a CNAME of, and SRV records name."),
	TEXT("webmail", AT_DNS(webmail), NULL, true,
	     "With other: the same for webmail; without it host."),
	TEXT("spf", AT_DNS(spf), NULL, true,
	     "With other: what SPF must hold, \"include:_spf.example.net\"; without it any."),
	TEXT("names", AT_DNS(names), "mail, imap, pop, smtp, webmail", true,
	     "Names below a domain that its clients use."),
	TEXT("servers", AT_DNS(servers), NULL, true,
	     "If DNS moves too: the name servers that it moves to."),
	INT("smtp_port", AT(SECTION_DNS, dns.smtp_port), "465", 0, 65535, "",
	    "Where new's certificate for smtp is looked at; 0: nowhere."),
	INT("webmail_port", AT(SECTION_DNS, dns.webmail_port), "443", 0, 65535, "",
	    "The same for webmail."),
	INT("watch_s", AT(SECTION_DNS, dns.watch_s), "300", 0, 86400, "s",
	    "The engine looks this often where the MX of moved users' domains lead; 0: never."),

	TEXT("cluster", AT(SECTION_OPENSRS, opensrs.cluster), NULL, true,
	     "A, B or test, or the API's address (https://…/api); without it new is no OpenSRS."),
	TEXT("user", AT(SECTION_OPENSRS, opensrs.user), NULL, true,
	     "Administrator, as admin@example.adm, with the role company or domain."),
	PATH("password_file", AT(SECTION_OPENSRS, opensrs.password_file), NULL, true,
	     "File with the administrator's password in its first line."),
	PATH("token_file", AT(SECTION_OPENSRS, opensrs.token_file), NULL, true,
	     "Instead of it a file with an API token."),
	PATH("ca_file", AT(SECTION_OPENSRS, opensrs.ca_file), NULL, true,
	     "PEM file of the CAs to trust; without it the system's."),
	PATH("accounts", AT(SECTION_OPENSRS, opensrs.accounts), NULL, true,
	     "List of accounts (docs/opensrs.md) for `mailferry provision`; only its owner may "
	     "read it."),
	ROW("create", AT(SECTION_OPENSRS, opensrs.create), BOOL, "yes", 0, 0, "", false, true,
	    "A pending user of the list who has no account gets one; what is there changes only "
	    "with `mailferry provision`."),
	ROW("session_tokens", AT(SECTION_OPENSRS, opensrs.session_tokens), BOOL, "yes", 0, 0,
	    "", false, true,
	    "The copier logs in on new with tokens that the administrator gets, not with users' "
	    "passwords."),
	INT("token_hours", AT(SECTION_OPENSRS, opensrs.token_hours), "24", 2, 744, "hours",
	    "They are good for so long."),
	INT("parallel", AT(SECTION_OPENSRS, opensrs.parallel), "4", 1, 16, "",
	    "Calls at once."),
	INT("answer_s", AT(SECTION_OPENSRS, opensrs.answer_s), "30", 1, 600, "s",
	    "For one answer; then the call is tried again where that is safe."),
	TEXT("pull_server", AT(SECTION_OPENSRS, opensrs.pull_server), NULL, true,
	     "For `mailferry pull`: where OpenSRS reaches the old server itself, host:port; without "
	     "it as backend old says. Never an address of the proxy."),
	TEXT("pull_method", AT(SECTION_OPENSRS, opensrs.pull_method), NULL, true,
	     "How it reads there: imap4s, imap4, pop3s or pop3; without it as backend old says."),
	INT("pull_poll_s", AT(SECTION_OPENSRS, opensrs.pull_poll_s), "30", 1, 3600, "s",
	    "Its progress is looked at this often."),
	INT("pull_still_s", AT(SECTION_OPENSRS, opensrs.pull_still_s), "21600", 10, 604800, "s",
	    "A batch without progress for so long has got stuck: a person decides."),

	LIMIT(handshake_s, "10", 1, 300, "s", "TLS handshake of a client."),
	LIMIT(login_s, "60", 1, 600, "s", "From greeting to login."),
	LIMIT(login_tries, "3", 1, 100, "", "Wrong passwords on one connection."),
	LIMIT(dial_s, "8", 1, 60, "s", "To reach a backend, TLS included."),
	LIMIT(backend_login_s, "15", 1, 120, "s", "For a backend to answer a login."),
	LIMIT(imap_idle_s, "2100", 1800, 86400, "s",
	      "Without a byte (RFC 3501 5.4: at least 1800)."),
	LIMIT(pop3_idle_s, "600", 600, 86400, "s",
	      "Without a byte (RFC 1939 3: at least 600)."),
	LIMIT(stall_s, "10", 1, 300, "s",
	      "At a cutover: an upload or a reader that stands still this long is closed."),
	LIMIT(sessions, "9000", 1, 1000000, "", "Sessions."),
	LIMIT(preauth_sessions, "2000", 1, 1000000, "", "Sessions before login."),
	LIMIT(parked, "1000", 1, 1000000, "", "Logins waiting for a flip."),
	LIMIT(preauth_bytes, "8192", 1024, 1048576, "bytes",
	      "One command before login, literals included."),
	LIMIT(line_bytes, "65536", 8192, 16777216, "bytes", "One client line after login."),
	LIMIT(drop_per_s, "50", 1, 100000, "",
	      "Sessions ended per second when many users move."),
	LIMIT(preauth_per_address, "100", 1, 1000000, "",
	      "Sessions before login from one address (IPv6: one /64)."),
	LIMIT(sessions_per_address, "0", 0, 1000000, "",
	      "Sessions after login from one address; 0: any number, for whole offices share "
	      "one."),
	LIMIT(sessions_per_user, "100", 0, 1000000, "",
	      "Sessions after login of one user; 0: any number."),
	LIMIT(login_parallel, "16", 1, 100000, "",
	      "Logins of one user, and from one address, waiting for a backend at once."),
	LIMIT(login_delay_s, "15", 0, 18, "s",
	      "Most that wrong passwords make the next login wait; less than clients bear "
	      "(20)."),
	LIMIT(refusal_s, "2", 0, 15, "s",
	      "No wrong password or unknown name is answered sooner: the time tells nothing."),
	LIMIT(bad_commands, "5", 1, 1000, "", "Commands before login that are none."),
	LIMIT(id_pairs, "30", 1, 30, "",
	      "Fields of a client's ID that are kept (RFC 2971: at most 30)."),
	LIMIT(tracked, "65536", 16, 10000000, "",
	      "Addresses and users remembered for these limits; about 100 bytes each."),
	ROW("uidl_bytes", AT(SECTION_LIMITS, limits.uidl_bytes), SIZE, "128M", 0,
	    INT64_C(1) << 40, "bytes", false, true,
	    "Memory for the unique ids of users who read by POP3 just now; about 50 bytes a "
	    "message. Above it UIDL is refused for the moment."),
	LIMIT(spare_descriptors, "64", 32, 1000000000, "",
	      "Descriptors that no client gets: for the store, certificates and control."),
	TEXT("trusted", AT(SECTION_LIMITS, limits.trusted), "127.0.0.0/8, ::1", true,
	     "Networks without the limits of one address: webmail, monitoring."),
};
const size_t setting_row_count = COUNT(setting_rows);
_Static_assert(COUNT(setting_rows) == 198, "a new setting: count it here, describe it above");

const struct section_row *section_find(struct slice name)
{
	for (size_t i = 0; i < SECTIONS; i++)
		if (slice_is(name, section_rows[i].name))
			return &section_rows[i];
	return NULL;
}

const struct setting_row *setting_find(enum section_kind section, struct slice name)
{
	for (size_t i = 0; i < setting_row_count; i++)
		if (setting_rows[i].section == section && slice_is(name, setting_rows[i].name))
			return &setting_rows[i];
	return NULL;
}

/* ---- did you mean */

#define GUESS_MAX 32 /* bytes; no name of ours is longer */

/* How many letters must be put in, taken out, replaced or swapped with their neighbour. */
static size_t distance(struct slice a, const char *b)
{
	size_t d[GUESS_MAX + 1][GUESS_MAX + 1], n = strlen(b);

	if (a.n > GUESS_MAX || n > GUESS_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= a.n; i++) {
		for (size_t j = 0; j <= n; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = MIN(d[i - 1][j], d[i][j - 1]) + 1;
			d[i][j] = MIN(d[i][j], d[i - 1][j - 1] + (a.p[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a.p[i - 1] == b[j - 2] && a.p[i - 2] == b[j - 1])
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[a.n][n];
}

const char *setting_guess(enum section_kind section, struct slice name)
{
	size_t best = 1 + MAX(name.n / 3, (size_t)1);
	const char *found = NULL;

	for (size_t i = 0; section == SECTIONS && i < SECTIONS; i++) {
		size_t d = distance(name, section_rows[i].name);

		if (d < best) {
			best = d;
			found = section_rows[i].name;
		}
	}
	for (size_t i = 0; i < setting_row_count; i++) {
		size_t d = distance(name, setting_rows[i].name);

		if (setting_rows[i].section == section && d < best) {
			best = d;
			found = setting_rows[i].name;
		}
	}
	return found;
}

/* ---- values */

static const char *const protocol_names[PROTOS] = {
	[PROTO_IMAP] = "imap", [PROTO_POP3] = "pop3"
};
static const char *const tls_names[TLS_MODES] = {
	[TLS_NONE] = "none",
	[TLS_STARTTLS] = "starttls",
	[TLS_IMPLICIT] = "implicit",
};

static const char *const proxy_names[PROXY_PROTOCOLS] = {
	[PROXY_NONE] = "none",
	[PROXY_V1] = "v1",
	[PROXY_V2] = "v2",
};

static const char *const rule_names[RULES] = {
	[RULE_WARN] = "warn",
	[RULE_REQUIRE] = "require",
};

const char *protocol_kind_name(enum protocol_kind p)
{
	return protocol_names[p];
}

const char *tls_mode_name(enum tls_mode m)
{
	return tls_names[m];
}

const char *proxy_protocol_name(enum proxy_protocol p)
{
	return proxy_names[p];
}

static int find_word(const char *const *words, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], text) == 0)
			return (int)i;
	return -1;
}

static int parse_bool(const char *text)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
	int i = find_word(words, COUNT(words), text);

	return i < 0 ? -1 : i % 2;
}

/* Decimal only: "010" would be eight to one reader and ten to the next. */
static int parse_number(const struct setting_row *row, const char *text, int64_t *out)
{
	struct slice s = slice_of(text);
	int64_t factor = 1;
	uint64_t v;

	if (row->kind == VALUE_SIZE && s.n > 1) {
		const char *unit = memchr("KMG", s.p[s.n - 1], 3);

		if (unit) {
			factor = *unit == 'K'	? 1LL << 10
				 : *unit == 'M' ? 1LL << 20
						: 1LL << 30;
			s.n--;
		}
	}
	if ((s.n > 1 && s.p[0] == '0') || slice_u64(s, (uint64_t)(row->max / factor), &v) < 0)
		return -1;
	*out = (int64_t)v * factor;
	return *out < row->min ? -1 : 0;
}

static char *absolute(const char *text, const char *base)
{
	return text[0] == '/' || !base ? mem_str(text) : mem_printf("%s/%s", base, text);
}

/* Of UTF-8: it goes on into JSON and the store's rows, which hold nothing else. */
static bool is_one_line(const char *text)
{
	struct slice s = slice_of(text);
	uint32_t c;
	size_t n;

	for (; s.n; s = (struct slice){ s.p + n, s.n - n }) {
		n = utf8_next(s, &c);
		if (n == 0 || c < 0x20 || c == 0x7f)
			return false;
	}
	return true;
}

static int put_text(const struct setting_row *row, const char *text, const char *base,
		    char **at, char *why, size_t size)
{
	if (strlen(text) > SETTING_TEXT_MAX || !is_one_line(text)) {
		snprintf(why, size, "must be one line of at most %d bytes of UTF-8",
			 SETTING_TEXT_MAX);
		return -1;
	}
	mem_free(at);
	/* Only where "" is the default does it mean something; elsewhere it means unset. */
	if (text[0] || (row->start && !row->start[0]))
		*at = row->kind == VALUE_PATH ? absolute(text, base) : mem_str(text);
	return 0;
}

static int put_word(int index, const char *choices, const char *text, char *why, size_t size)
{
	if (index < 0)
		snprintf(why, size, "must be %s, not \"%s\"", choices, text);
	return index;
}

int setting_put(const struct setting_row *row, const char *text, const char *base, void *conf,
		char *why, size_t size)
{
	void *at = (char *)conf + row->offset;
	int64_t number;
	int i = 0;

	switch (row->kind) {
	case VALUE_TEXT:
	case VALUE_PATH:
		return put_text(row, text, base, at, why, size);
	case VALUE_INT:
	case VALUE_SIZE:
		if (parse_number(row, text, &number) < 0) {
			snprintf(why, size, "must be %lld..%lld, not \"%s\"",
				 (long long)row->min, (long long)row->max, text);
			return -1;
		}
		if (row->kind == VALUE_SIZE)
			*(int64_t *)at = number;
		else
			*(int *)at = (int)number;
		return 0;
	case VALUE_BOOL:
		if ((i = put_word(parse_bool(text), "yes or no", text, why, size)) >= 0)
			*(bool *)at = i == 1;
		break;
	case VALUE_PROTO:
		i = put_word(find_word(protocol_names, PROTOS, text), "imap or pop3", text, why,
			     size);
		if (i >= 0)
			*(enum protocol_kind *)at = (enum protocol_kind)i;
		break;
	case VALUE_TLS:
		i = put_word(find_word(tls_names, TLS_MODES, text),
			     "none, starttls or implicit", text, why, size);
		if (i >= 0)
			*(enum tls_mode *)at = (enum tls_mode)i;
		break;
	case VALUE_PROXY:
		i = put_word(find_word(proxy_names, PROXY_PROTOCOLS, text), "none, v1 or v2",
			     text, why, size);
		if (i >= 0)
			*(enum proxy_protocol *)at = (enum proxy_protocol)i;
		break;
	case VALUE_RULE:
		i = put_word(find_word(rule_names, RULES, text), "warn or require", text, why,
			     size);
		if (i >= 0)
			*(enum gate_rule *)at = (enum gate_rule)i;
		break;
	case VALUE_LEVEL:
		i = put_word(log_level_find(text), "error, warn, info or debug", text, why,
			     size);
		if (i >= 0)
			*(enum log_level *)at = (enum log_level)i;
		break;
	}
	return i < 0 ? -1 : 0;
}

void setting_defaults(enum section_kind section, void *conf)
{
	char why[256];

	for (size_t i = 0; i < setting_row_count; i++) {
		const struct setting_row *row = &setting_rows[i];

		if (row->section == section && row->start &&
		    setting_put(row, row->start, NULL, conf, why, sizeof why) < 0)
			BUG("default of %s: %s", row->name, why);
	}
}

void setting_release(enum section_kind section, void *conf)
{
	for (size_t i = 0; i < setting_row_count; i++) {
		const struct setting_row *row = &setting_rows[i];

		if (row->section == section &&
		    (row->kind == VALUE_TEXT || row->kind == VALUE_PATH))
			mem_free((char **)((char *)conf + row->offset));
	}
}
