/* mailferry.conf: defaults, every kind of mistake with its exact place, and the sample. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "config/lookup_address.h"
#include "config/settings.h"

static char dir[64], file[96];

/* Everything that a working file needs, in lines 1 to 4; what a test adds begins in line 5. */
#define BASE                                            \
	"listener \"a\" { protocol = imap port = 0 }\n" \
	"backend \"old\" { host = old.test }\n"         \
	"backend \"new\" { host = \"new.test\" }\n"     \
	"tls { certificate = \"tls.pem\" key = 'tls.key' }\n"

static void put_file(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state UNUSED)
{
	snprintf(dir, sizeof dir, "/tmp/mailferry-settings-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof file, "%s/mailferry.conf", dir);
	put_file("tls.pem", "x\n");
	put_file("tls.key", "x\n");
	put_file("master", "secret\n");
	return 0;
}

static int tear_down(void **state UNUSED)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void load_good(const char *text, struct settings *s)
{
	struct settings_errors errs;

	put_file("mailferry.conf", text);
	if (settings_load(file, s, &errs) < 0)
		fail_msg("%s", errs.at[0]);
	assert_int_equal(errs.count, 0);
}

/* want: "LINE: text" of each error in order, the path left out; ends with NULL. */
static void expect_errors(const char *text, const char *const *want)
{
	struct settings s;
	struct settings_errors errs;
	size_t n = 0;

	put_file("mailferry.conf", text);
	assert_int_equal(settings_load(file, &s, &errs), -1);
	for (; want[n]; n++) {
		char whole[640];

		snprintf(whole, sizeof whole, "%s:%s", file, want[n]);
		if (n >= errs.count)
			fail_msg("not reported: %s", whole);
		assert_string_equal(errs.at[n], whole);
	}
	if (errs.count > n)
		fail_msg("unexpected: %s", errs.at[n]);
	settings_errors_release(&errs);
}
#define EXPECT(text, ...) expect_errors(text, (const char *const[]){ __VA_ARGS__, NULL })

static void defaults(void **state UNUSED)
{
	struct settings s;

	load_good(BASE, &s);
	assert_string_equal(s.path, file);
	assert_int_equal(s.listener_count, 1);
	assert_string_equal(s.listeners[0].name, "a");
	assert_string_equal(s.listeners[0].address, "0.0.0.0");
	assert_int_equal(s.listeners[0].tls, TLS_IMPLICIT);
	assert_string_equal(s.backend[SIDE_OLD].host, "old.test");
	assert_string_equal(s.backend[SIDE_NEW].host, "new.test");
	assert_int_equal(s.backend[SIDE_OLD].port[PROTO_IMAP], 993);
	assert_int_equal(s.backend[SIDE_NEW].port[PROTO_POP3], 995);
	assert_int_equal(s.backend[SIDE_NEW].tls[PROTO_POP3], TLS_IMPLICIT);
	assert_null(s.backend[SIDE_OLD].tls_name);
	assert_null(s.backend[SIDE_OLD].master_user);
	assert_string_equal(s.backend[SIDE_OLD].master_format, "");
	assert_int_equal(s.backend[SIDE_OLD].connections, 16);
	assert_false(s.tls.allow_cleartext);
	assert_string_equal(s.store.path, "/var/lib/mailferry/store.db");
	assert_string_equal(s.run.dir, "/run/mailferry");
	assert_int_equal(s.run.nodes, 2);
	assert_int_equal(s.log.level, LOG_INFO);
	assert_null(s.users.default_domain);
	assert_true(s.users.fold_local);
	assert_true(s.sync.message_max == 1LL << 30);
	assert_int_equal(s.cutover.budget_s, 12);
	assert_int_equal(s.cutover.hold_s, 18);
	assert_string_equal(s.cutover.bye, "Mailbox was moved, please reconnect.");
	assert_int_equal(s.limits.imap_idle_s, 2100);
	assert_int_equal(s.limits.drop_per_s, 50);
	settings_release(&s);
}

static void values_and_paths(void **state UNUSED)
{
	struct settings s;
	char want[160];

	setenv("MAILFERRY_TEST_HOME", "/srv/ferry", 1);
	load_good(BASE "# a comment with } and \"\n"
		       "listener \"b\" { // another\n protocol=pop3\nport = 1110\n"
		       "address = \"::\" tls = none }\n"
		       "/* sync { */ sync { dir = journals message_max = 5M workers = 9 }\n"
		       "store { path = \"${MAILFERRY_TEST_HOME}/db\" }\n"
		       "run { dir = ${MAILFERRY_TEST_NONE:-/run/x} }\n"
		       "users { fold_local = no default_domain = 'a${b}' }\n"
		       "log { level = debug }\n",
		  &s);
	assert_int_equal(s.listener_count, 2);
	assert_int_equal(s.listeners[1].proto, PROTO_POP3);
	assert_int_equal(s.listeners[1].port, 1110);
	assert_string_equal(s.listeners[1].address, "::");
	assert_int_equal(s.listeners[1].tls, TLS_NONE);
	snprintf(want, sizeof want, "%s/journals", dir);
	assert_string_equal(s.sync.dir, want);
	snprintf(want, sizeof want, "%s/tls.pem", dir);
	assert_string_equal(s.tls.certificate, want);
	assert_true(s.sync.message_max == 5LL << 20);
	assert_int_equal(s.sync.workers, 9);
	assert_string_equal(s.store.path, "/srv/ferry/db");
	assert_string_equal(s.run.dir, "/run/x");
	assert_string_equal(s.users.default_domain, "a${b}");
	assert_false(settings_login_rules(&s).fold_local);
	assert_int_equal(s.log.level, LOG_DEBUG);
	settings_release(&s);
}

static void unknown_names(void **state UNUSED)
{
	EXPECT(BASE "snyc { workers = 3 }\n",
	       "5: no such section \"snyc\" (did you mean \"sync\"?)");
	EXPECT(BASE "sync {\n worker = 3\n}\n",
	       "6: sync: no such setting \"worker\" (did you mean \"workers\"?)");
	EXPECT(BASE "sync {\n zzzzzzzz = 3\n}\n", "6: sync: no such setting \"zzzzzzzz\"");
	EXPECT(BASE "backend \"middle\" { host = a }\n",
	       "5: backend \"middle\": only \"old\" and \"new\" exist");
	EXPECT(BASE "listener { protocol = imap }\n",
	       "5: listener needs a name: listener \"NAME\" { … }");
	EXPECT(BASE "sync \"x\" { }\n", "5: sync takes no name: sync { … }");
}

static void repeated(void **state UNUSED)
{
	EXPECT(BASE "sync {\n workers = 3\n workers = 4\n}\n",
	       "7: sync: workers is already set in line 6");
	EXPECT(BASE "sync {\n}\nsync {\n}\n", "7: sync is already there in line 5");
	EXPECT(BASE "backend \"old\" { host = b }\n",
	       "5: backend \"old\" is already there in line 2");
	EXPECT(BASE "listener \"a\" { protocol = imap port = 1 }\n",
	       "5: listener \"a\" is already there in line 1");
}

static void shape(void **state UNUSED)
{
	EXPECT(BASE "sync {\n workers = 3\n", "5: sync: its \"{\" is never closed");
	EXPECT(BASE "sync {\n workers = 3\nlog {\n level = info\n}\n",
	       "5: sync: its \"{\" is never closed");
	EXPECT(BASE "}\n", "5: expected a section, not \"}\"");
	EXPECT(BASE "sync {\n workers 3\n}\n",
	       "6: sync: workers: expected \"=\" and a value, not \"3\"");
	EXPECT(BASE "sync {\n workers =\n delta_s = 5\n}\n",
	       "6: sync: workers: a value is missing");
	EXPECT(BASE "store {\n path = \"x\n}\n", "6: string is not closed on its line");
	EXPECT(BASE "/* for ever\n", "5: comment is never closed");
	EXPECT(BASE "sync\n{ workers 3 ", "5: sync: its \"{\" is never closed",
	       "6: sync: workers: expected \"=\" and a value, not \"3\"");
}

static void variables(void **state UNUSED)
{
	unsetenv("MAILFERRY_TEST_NONE");
	EXPECT(BASE "run {\n dir = \"/run/${MAILFERRY_TEST_NONE}\"\n}\n",
	       "6: run: dir: variable MAILFERRY_TEST_NONE is not set");
	EXPECT(BASE "run {\n dir = ${MAILFERRY_TEST_NONE}\n}\n",
	       "6: run: dir: variable MAILFERRY_TEST_NONE is not set");
}

static void values(void **state UNUSED)
{
	EXPECT(BASE "sync {\n workers = 0\n}\n", "6: sync: workers: must be 1..256, not \"0\"");
	EXPECT(BASE "sync {\n workers = 010\n}\n",
	       "6: sync: workers: must be 1..256, not \"010\"");
	EXPECT(BASE "sync {\n workers = -1\n}\n",
	       "6: sync: workers: must be 1..256, not \"-1\"");
	EXPECT(BASE "sync {\n workers = many\n}\n",
	       "6: sync: workers: must be 1..256, not \"many\"");
	EXPECT(BASE "sync {\n workers = 99999999999999999999\n}\n",
	       "6: sync: workers: must be 1..256, not \"99999999999999999999\"");
	EXPECT(BASE "users {\n fold_local = maybe\n}\n",
	       "6: users: fold_local: must be yes or no, not \"maybe\"");
	EXPECT(BASE "log {\n level = loud\n}\n",
	       "6: log: level: must be error, warn, info or debug, not \"loud\"");
	EXPECT(BASE "cutover {\n budget_s = 2\n}\n",
	       "6: cutover: budget_s: must be 3..60, not \"2\"");
	EXPECT(BASE "cutover {\n bye = \"a\\nb\"\n}\n",
	       "6: cutover: bye: must be one line of at most 1024 bytes of UTF-8");
	EXPECT(BASE "opensrs {\n user = \"andr\xe9@example.adm\"\n}\n",
	       "6: opensrs: user: must be one line of at most 1024 bytes of UTF-8");
}

static void together(void **state UNUSED)
{
	EXPECT("", "1: backend \"new\" is missing", "1: backend \"old\" is missing",
	       "1: no listener: clients have no way in");
	EXPECT(BASE "cutover {\n budget_s = 18\n}\n",
	       "6: cutover: hold_s (18) must be more than budget_s (18)");
	EXPECT(BASE "cutover {\n hold_s = 12\n}\n",
	       "6: cutover: hold_s (12) must be more than budget_s (12)");
	EXPECT(BASE "limits {\n trusted = \"10.0.0.0/8, webmail\"\n}\n",
	       "6: limits: trusted: \"webmail\" is no network: write \"10.0.0.0/8, ::1\"");
	EXPECT(BASE "listener \"b\" {\n port = 0\n}\n",
	       "5: listener \"b\": protocol is missing");
	EXPECT(BASE "listener \"b\" {\n protocol = imap\nport = 99\n address = \"host\"\n}\n",
	       "8: listener \"b\": address: \"host\" is no IP address");
	EXPECT(BASE "listener \"b\" { protocol = imap port = 99 }\n"
		    "listener \"c\" { protocol = pop3\n port = 99 }\n",
	       "7: listener \"c\": 0.0.0.0 port 99 is taken by listener \"b\" in line 5");
	EXPECT("listener \"a\" { protocol = pop3 port = 0 tls = none }\n"
	       "backend \"old\" { host = a pop3_port = 0 }\nbackend \"new\" {\n}\n",
	       "1: listener \"a\": protocol pop3, but backend \"old\" offers none (pop3_port = "
	       "0)",
	       "3: backend \"new\": host is missing");
	EXPECT(BASE "listener \"b\" {\n protocol = imap\n port = 0\n proxy_protocol = yes\n}\n",
	       "8: listener \"b\": proxy_protocol without trusted: name the networks of your load "
	       "balancers, or anybody could claim any address");
	EXPECT(BASE "listener \"b\" {\n protocol = imap\n port = 0\n proxy_protocol = yes\n"
		    " trusted = \"10.0.0.0/8, 192.0.2.1/24\"\n}\n",
	       "9: listener \"b\": trusted: \"192.0.2.1/24\" is no network: write "
	       "\"10.0.0.0/8, ::1\"");
	EXPECT("listener \"a\" {\n protocol = imap\n port = 0\n tls = starttls\n}\n"
	       "backend \"old\" { host = a }\nbackend \"new\" { host = b }\n",
	       "4: listener \"a\": tls = starttls, but neither tls.certificate nor tls.folder is set");
}

static void backends(void **state UNUSED)
{
#define OTHERS                                                                                \
	"listener \"a\" { protocol = imap port = 0 tls = none }\nbackend \"new\" { host = b " \
	"}\n"                                                                                 \
	"backend \"old\" {\n host = a\n "
	char want[256];

	EXPECT(OTHERS "master_user = m\n}\n",
	       "5: backend \"old\": master_user without master_password_file");
	EXPECT(OTHERS "master_password_file = master\n}\n",
	       "5: backend \"old\": master_password_file without master_user");
	EXPECT(OTHERS "tls_pin = \"sha256:12\"\n}\n",
	       "5: backend \"old\": tls_pin must be \"sha256:\" and 64 hex digits");
	EXPECT(OTHERS "proxy_protocol = v3\n}\n",
	       "5: backend \"old\": proxy_protocol: must be none, v1 or v2, not \"v3\"");
	EXPECT(OTHERS "master_format = \"%u*%x\"\n}\n",
	       "5: backend \"old\": master_format must be \"\" or hold %u and %m, not "
	       "\"%u*%x\"");
	EXPECT(OTHERS "login_format = \"%d\"\n}\n",
	       "5: backend \"old\": login_format must hold %u or %n (also %d, %%), not \"%d\"");
	EXPECT(OTHERS "login_format = \"%n%\"\n}\n",
	       "5: backend \"old\": login_format must hold %u or %n (also %d, %%), not "
	       "\"%n%\"");
	EXPECT(OTHERS "imap_tls = none\n}\n",
	       "5: backend \"old\": imap_tls = none would send passwords to a in clear text: use "
	       "TLS, or set allow_cleartext = yes there");
	EXPECT(OTHERS "proxy_master_password_file = mailferry.conf\n}\n",
	       "5: backend \"old\": proxy_master_user and proxy_master_password_file need each "
	       "other");
	EXPECT(OTHERS "auth_from = new\n}\n",
	       "5: backend \"old\": auth_from without proxy_master_user");
	snprintf(want, sizeof want,
		 "5: backend \"old\": tls_ca_file: cannot read %s/none: No such file or "
		 "directory",
		 dir);
	EXPECT(OTHERS "tls_ca_file = none\n}\n", want);
	snprintf(want, sizeof want, "5: backend \"old\": tls_ca_file: %s/. is no file", dir);
	EXPECT(OTHERS "tls_ca_file = .\n}\n", want);
}

static void lookup_is_local_and_complete(void **state UNUSED)
{
	EXPECT(BASE "lookup {\n listen = \"192.0.2.1:99\"\n old = a\n new = b\n}\n",
	       "6: lookup: listen must be \"unix:/path\", \"127.0.0.1:port\" or "
	       "\"[::1]:port\", not \"192.0.2.1:99\"");
	EXPECT(BASE "lookup {\n listen = \"[::1]:99\"\n old = a\n}\n",
	       "6: lookup: listen needs old and new: \"smtp:[server.example.com]\"");
	EXPECT(BASE "lookup {\n extension = \"--\"\n}\n",
	       "6: lookup: extension must be one character or \"\", not \"--\"");
}

#define DOMAINS                                                                        \
	"dns { new = opensrs-a names = \"mail, imap\" }\n"                             \
	"domain \"b.test\" { new = opensrs-b servers = \"ns1.b.test, ns2.b.test\" }\n" \
	"domain \"c.test\" { new = other mx = \"5 mx.c.test\" host = \"h.c.test\" }\n"

static void a_domain_has_words_of_its_own(void **state UNUSED)
{
	struct settings s;
	struct dns_target t;

	load_good(BASE DOMAINS, &s);
	t = settings_dns_target(&s, "a.test");
	assert_string_equal(t.kind, "opensrs-a");
	assert_null(t.servers);
	t = settings_dns_target(&s, "B.Test");
	assert_string_equal(t.kind, "opensrs-b");
	assert_string_equal(t.names, "mail, imap");
	assert_string_equal(t.servers, "ns1.b.test, ns2.b.test");
	t = settings_dns_target(&s, "c.test");
	assert_string_equal(t.mx, "5 mx.c.test");
	settings_release(&s);
}

static void opensrs_is_whole_or_not_there(void **state UNUSED)
{
	EXPECT(BASE "opensrs {\n cluster = C\n}\n",
	       "6: opensrs: cluster must be A, B, test or an address that begins with https://, "
	       "not \"C\"",
	       "6: opensrs: give password_file or token_file, one of them",
	       "6: opensrs: user is missing: the administrator's login");
	EXPECT(BASE "opensrs {\n cluster = A\n user = \"a@b.adm\"\n password_file = p\n"
		    " token_file = t\n}\n",
	       "6: opensrs: give password_file or token_file, one of them");
}

static void words_about_dns_are_checked(void **state UNUSED)
{
	EXPECT(BASE "dns {\n new = opensrs\n resolvers = \"9.9.9.9, 1.1.1\"\n}\n"
		    "domain \"x.test\" {\n new = other\n mx = \"mx.x.test\"\n"
		    " host = \"a b\"\n}\ndomain \"x..test\" { }\n",
	       "6: dns: new: must be opensrs-a, opensrs-b or other, not \"opensrs\"",
	       "7: dns: resolvers: \"1.1.1\" is no address, or more than 8 are named: write "
	       "\"9.9.9.9, [2620:fe::fe]:53\"",
	       "11: domain \"x.test\": mx: \"mx.x.test\" must be a preference and a host: \"10 "
	       "mx.example.net\"",
	       "12: domain \"x.test\": host: \"a b\" is no host name",
	       "14: domain \"x..test\": is no domain's name");
	EXPECT(BASE "domain \"x.test\" {\n new = other\n}\n",
	       "6: domain \"x.test\": new: other needs mx and host");
	EXPECT(BASE "domain \"x.test\" { }\ndomain \"x.test\" { }\n",
	       "6: domain \"x.test\" is already there in line 5");
}

static void the_api_is_not_open_to_all(void **state UNUSED)
{
	struct settings s;

	EXPECT(BASE "api {\n listen = \"192.0.2.1:8143\"\n tls = no\n tokens = t\n}\n",
	       "6: api: tls = no would send tokens to and from 192.0.2.1:8143 in clear text: use "
	       "TLS, or listen on 127.0.0.1 behind a proxy that speaks TLS");
	EXPECT(BASE "api {\n listen = \"localhost:8143\"\n}\n",
	       "6: api: listen must be an address with its port, \"127.0.0.1:8143\" or "
	       "\"[::1]:8143\", not \"localhost:8143\"",
	       "6: api: listen needs tokens = \"/etc/mailferry/tokens\"; `mailferry token add NAME` "
	       "then writes that file");
	EXPECT("listener \"a\" { protocol = imap port = 0 tls = none }\n"
	       "backend \"old\" { host = old.test }\nbackend \"new\" { host = new.test }\n"
	       "api {\n listen = \"[::]:8143\"\n tokens = t\n}\n",
	       "5: api: listen needs a certificate: set api.certificate or tls.certificate; or "
	       "tls = no on a loopback address");
	EXPECT(BASE "api {\n key = \"tls.key\"\n names = \"a, b_c\"\n}\n",
	       "6: api: key without certificate", "7: api: names: \"b_c\" is no host name");
	load_good(BASE "api {\n listen = \"127.0.0.1:0\"\n tls = no\n tokens = t\n}\n", &s);
	assert_false(s.api.tls);
	settings_release(&s);
}

static void lookup_addresses(void **state UNUSED)
{
	static const struct {
		const char *text;
		int family; /* 0: refused */
	} rows[] = {
		{ "unix:/run/x", AF_UNIX },
		{ "127.0.0.1:1", AF_INET },
		{ "127.9.9.9:65535", AF_INET },
		{ "[::1]:25", AF_INET6 },
		{ "unix:run/x", 0 },
		{ "unix:", 0 },
		{ "127.0.0.1", 0 },
		{ "127.0.0.1:0", 0 },
		{ "127.0.0.1:65536", 0 },
		{ "0.0.0.0:25", 0 },
		{ "10.0.0.1:25", 0 },
		{ "::1:25", 0 },
		{ "[::2]:25", 0 },
		{ "localhost:25", 0 },
		{ ":25", 0 },
		{ "", 0 },
	};
	struct lookup_address a;

	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc = lookup_address_parse(rows[i].text, &a);

		if (rc != (rows[i].family ? 0 : -1) ||
		    (rc == 0 && a.any.sa.sa_family != rows[i].family))
			fail_msg("%s", rows[i].text);
	}
}

static void our_own_listener_is_no_backend(void **state UNUSED)
{
#define LOOP(address, host)                                                            \
	"listener \"a\" { protocol = imap port = 1143 tls = none address = \"" address \
	"\" }\n"                                                                       \
	"backend \"new\" { host = b }\n"                                               \
	"backend \"old\" {\n host = \"" host "\"\n imap_port = 1143\n}\n"
	struct settings s;

	EXPECT(LOOP("0.0.0.0", "127.0.0.1"),
	       "4: backend \"old\": 127.0.0.1 port 1143 is our own listener \"a\": logins would go "
	       "round in circles");
	EXPECT(LOOP("::", "localhost"),
	       "4: backend \"old\": localhost port 1143 is our own listener \"a\": logins would go "
	       "round in circles");
	EXPECT(LOOP("192.0.2.1", "192.0.2.1"),
	       "4: backend \"old\": 192.0.2.1 port 1143 is our own listener \"a\": logins would go "
	       "round in circles");
	load_good(LOOP("192.0.2.1", "127.0.0.1"), &s);
	settings_release(&s);
	load_good(LOOP("0.0.0.0", "192.0.2.1"), &s);
	settings_release(&s);
}

static void the_word_of_others(void **state UNUSED)
{
	struct settings s;

	load_good("listener \"a\" { protocol = imap port = 0 tls = none\n"
		  "proxy_protocol = yes trusted = \"10.0.0.0/8, ::1\" }\n"
		  "backend \"old\" { host = a proxy_protocol = v2 id_forward = yes }\n"
		  "backend \"new\" { host = b xclient = yes }\n",
		  &s);
	assert_true(s.listeners[0].proxy_protocol);
	assert_string_equal(s.listeners[0].trusted, "10.0.0.0/8, ::1");
	assert_int_equal(s.backend[SIDE_OLD].proxy_protocol, PROXY_V2);
	assert_true(s.backend[SIDE_OLD].id_forward && !s.backend[SIDE_OLD].xclient);
	assert_int_equal(s.backend[SIDE_NEW].proxy_protocol, PROXY_NONE);
	assert_true(s.backend[SIDE_NEW].xclient && !s.backend[SIDE_NEW].id_forward);
	assert_int_equal(s.limits.header_s, 5);
	settings_release(&s);
}

/* A master's login where nobody checks the client's password would be a way in for everybody.
 */
static void proxy_master(void **state UNUSED)
{
#define MASTER OTHERS "proxy_master_user = m\n proxy_master_password_file = mailferry.conf\n "
	EXPECT(MASTER "}\n",
	       "5: backend \"old\": proxy_master_user needs auth_from = \"new\": somebody must "
	       "check the clients' passwords");
	EXPECT(MASTER "auth_from = old\n}\n",
	       "5: backend \"old\": proxy_master_user needs auth_from = \"new\": somebody must "
	       "check the clients' passwords");
	EXPECT(MASTER "auth_from = new\n proxy_master_format = m\n}\n",
	       "8: backend \"old\": proxy_master_format must be \"\" or hold %u and %m, not "
	       "\"m\"");
}

#define COPY(old, new)                                             \
	"listener \"a\" { protocol = imap port = 1 tls = none }\n" \
	"backend \"old\" {\n host = a\n " old                      \
	"\n}\nbackend \"new\" {\n host = b\n " new "\n}\n"

/* Mail is read by POP3, never written. */
static void how_it_is_copied(void **state UNUSED)
{
	struct settings s;

	EXPECT(COPY("", "copy = pop3"),
	       "8: backend \"new\": copy = pop3: mail cannot be written by POP3");
	EXPECT(COPY("copy = pop3 pop3_port = 0", ""),
	       "4: backend \"old\": copy = pop3 without a pop3_port");
	load_good(COPY("copy = pop3", ""), &s);
	assert_int_equal(s.backend[SIDE_OLD].copy, PROTO_POP3);
	assert_int_equal(s.backend[SIDE_NEW].copy, PROTO_IMAP);
	settings_release(&s);
}

/* Clear text stays on this host, or is asked for. */
static void cleartext(void **state UNUSED)
{
	static const struct {
		const char *host;
		int port;
		bool clear;
	} rows[] = {
		{ "127.0.0.1", 143, false },
		{ "127.9.9.9", 143, false },
		{ "::1", 143, false },
		{ "localhost", 143, false },
		{ "10.0.0.1", 0, false },
		{ "10.0.0.1", 143, true },
		{ "mail.example.com", 143, true },
		{ "localhost.example.com", 143, true },
		{ "::2", 143, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char host[64];
		struct backend_conf b = { .host = host, .port = { rows[i].port } };

		snprintf(host, sizeof host, "%s", rows[i].host);
		if (settings_cleartext(&b, PROTO_IMAP) != rows[i].clear)
			fail_msg("%s", host);
	}
}

#define CLEAR                                                      \
	"listener \"a\" { protocol = imap port = 0 tls = none }\n" \
	"backend \"old\" { host = old.test }\n"                    \
	"backend \"new\" { host = new.test }\n"

static void certificates(void **state UNUSED)
{
	char want[256];

	snprintf(want, sizeof want,
		 "5: tls: folder: cannot read %s/none: No such file or directory", dir);
	EXPECT(CLEAR "tls {\n folder = none\n}\n", want);
	snprintf(want, sizeof want, "5: tls: folder: cannot read %s/tls.pem: Not a directory",
		 dir);
	EXPECT(CLEAR "tls {\n folder = tls.pem\n}\n", want);
	snprintf(want, sizeof want,
		 "6: tls: second_certificate: cannot read %s/none: No such file or directory",
		 dir);
	EXPECT(CLEAR "tls {\n certificate = tls.pem\n second_certificate = none\n}\n", want);
	EXPECT(CLEAR "tls {\n key = tls.key\n}\n", "5: tls: key without certificate");
	EXPECT(CLEAR "tls {\n second_certificate = tls.pem\n}\n",
	       "5: tls: second_certificate without certificate");
	EXPECT(CLEAR "tls {\n certificate = tls.pem\n second_key = tls.key\n}\n",
	       "6: tls: second_key without second_certificate");
	EXPECT(CLEAR "tls {\n ticket_life_s = 604801\n}\n",
	       "5: tls: ticket_life_s: must be 1..604800, not \"604801\"");
}

static void lines_of_settings(void **state UNUSED)
{
	char path[256];

	put_file("lines.conf", CLEAR "tls {\n\n certificate = tls.pem\n}\n");
	snprintf(path, sizeof path, "%s/lines.conf", dir);
	assert_int_equal(settings_line(path, "tls", "certificate"), 6);
	assert_int_equal(settings_line(path, "tls", "folder"), 4);
	assert_int_equal(settings_line(path, "sync", "workers"), 1);
	assert_int_equal(settings_line("/none", "tls", "folder"), 1);
}

static void all_at_once(void **state UNUSED)
{
	EXPECT("listener \"a\" { protocol = smtp port = 70000 }\n"
	       "backend \"old\" {\n hots = x\n imap_port = z\n}\n"
	       "cutover { budget_s = 30 }\n"
	       "bakend \"new\" { host = y }\n"
	       "limits { sessions = 1 sessions = 2 }\n",
	       "1: backend \"new\" is missing",
	       "1: listener \"a\": port: must be 0..65535, not \"70000\"",
	       "1: listener \"a\": protocol: must be imap or pop3, not \"smtp\"",
	       "1: listener \"a\": tls = implicit, but neither tls.certificate nor tls.folder is set",
	       "2: backend \"old\": host is missing",
	       "3: backend \"old\": no such setting \"hots\" (did you mean \"host\"?)",
	       "4: backend \"old\": imap_port: must be 0..65535, not \"z\"",
	       "6: cutover: hold_s (18) must be more than budget_s (30)",
	       "7: no such section \"bakend\" (did you mean \"backend\"?)",
	       "8: limits: sessions is already set in line 8");
}

/* What settings_take() took (+) and kept (-), one per line. */
static void on_told(const char *what, bool taken, void *arg)
{
	buf_printf(arg, "%c %s\n", taken ? '+' : '-', what);
}

static void take(struct settings *s, const char *text, const char *want)
{
	struct buf told = { 0 };
	struct settings fresh;

	load_good(text, &fresh);
	settings_take(s, &fresh, on_told, &told);
	settings_release(&fresh);
	buf_add(&told, "", 1);
	assert_string_equal((char *)buf_slice(&told).p, want);
	buf_release(&told);
}

static void reload_takes_what_may_change(void **state UNUSED)
{
#define TAKEN "+ log: level\n+ sync: workers\n+ sync: message_max\n+ cutover: bye\n"
	struct settings s;

	load_good(BASE, &s);
	take(&s,
	     BASE "sync { workers = 9 message_max = 5M }\nlog { level = debug }\n"
		  "cutover { bye = \"Come back.\" }\nusers { }\n",
	     TAKEN);
	assert_int_equal(s.sync.workers, 9);
	assert_true(s.sync.message_max == 5LL << 20);
	assert_int_equal(s.log.level, LOG_DEBUG);
	assert_string_equal(s.cutover.bye, "Come back.");
	take(&s, BASE, TAKEN);
	take(&s, BASE, "");
	assert_int_equal(s.sync.workers, 4);
	assert_string_equal(s.cutover.bye, "Mailbox was moved, please reconnect.");
	settings_release(&s);
}

static void reload_keeps_and_names_the_rest(void **state UNUSED)
{
	struct settings s;

	load_good(BASE, &s);
	take(&s,
	     "listener \"a\" { protocol = imap port = 1143 }\n"
	     "backend \"old\" { host = other.test imap_tls = starttls connections = 3 }\n"
	     "backend \"new\" { host = \"new.test\" }\n"
	     "tls { certificate = \"tls.pem\" key = 'tls.key' }\n"
	     "run { nodes = 7 }\nusers { default_domain = example.com }\n",
	     "- listener \"a\": port\n- backend \"old\": host\n- backend \"old\": imap_tls\n"
	     "+ backend \"old\": connections\n- run: nodes\n- users: default_domain\n");
	assert_int_equal(s.listeners[0].port, 0);
	assert_string_equal(s.backend[SIDE_OLD].host, "old.test");
	assert_int_equal(s.backend[SIDE_OLD].tls[PROTO_IMAP], TLS_IMPLICIT);
	assert_int_equal(s.backend[SIDE_OLD].connections, 3);
	assert_int_equal(s.run.nodes, 2);
	assert_null(s.users.default_domain);
	take(&s, BASE "listener \"b\" { protocol = imap port = 1 }\n",
	     "- the list of listeners\n+ backend \"old\": connections\n");
	assert_int_equal(s.listener_count, 1);
	settings_release(&s);
}

/* What was checked together: no listening address may be left without its answers. */
static void reload_takes_a_whole_or_nothing(void **state UNUSED)
{
#define MTA  "lookup { listen = \"127.0.0.1:1\" old = a new = b }\n"
#define DESK "api { listen = \"127.0.0.1:2\" tls = no tokens = \"tls.pem\" }\n"
	struct settings s;

	load_good(BASE MTA DESK, &s);
	take(&s, BASE,
	     "- lookup: listen\n- lookup: old\n- lookup: new\n"
	     "- api: listen\n- api: tls\n- api: tokens\n");
	assert_string_equal(s.lookup.old_transport, "a");
	assert_string_equal(s.lookup.new_transport, "b");
	assert_non_null(s.api.tokens);
	take(&s, BASE "lookup { listen = \"127.0.0.1:1\" old = c new = b }\n" DESK,
	     "+ lookup: old\n");
	assert_string_equal(s.lookup.old_transport, "c");
	settings_release(&s);
}

/* The engine's key is opened when it starts: nodes seal to no other one, nor to one that nobody has. */
static void reload_begins_no_learning(void **state UNUSED)
{
	static const char *const hex =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct settings s;
	char *text = mem_printf(BASE "learn { domains = \"*\" public_key = \"%s\""
				     " key_file = \"tls.key\" days = 3 }\n",
				hex);

	load_good(BASE, &s);
	take(&s, text,
	     "- learn: domains\n- learn: public_key\n- learn: key_file\n+ learn: days\n");
	assert_null(s.learn.domains);
	assert_null(s.learn.public_key);
	mem_free(&text);
	settings_release(&s);
}

/* The folder of journals becomes theirs when the engine starts. */
static void reload_changes_no_account(void **state UNUSED)
{
	struct settings s;

	load_good(BASE, &s);
	take(&s, BASE "sync { worker_user = root }\n", "- sync: worker_user\n");
	assert_null(s.sync.worker_user);
	settings_release(&s);
}

static void reload_takes_domains(void **state UNUSED)
{
	struct settings s;

	load_good(BASE DOMAINS, &s);
	take(&s, BASE DOMAINS "domain \"d.test\" { new = opensrs-b }\n",
	     "+ the list of domains\n");
	assert_int_equal(s.domain_count, 3);
	assert_string_equal(settings_dns_target(&s, "d.test").kind, "opensrs-b");
	take(&s, BASE DOMAINS, "+ the list of domains\n");
	take(&s, BASE DOMAINS, "");
	settings_release(&s);
}

static void unreadable(void **state UNUSED)
{
	struct settings s;
	struct settings_errors errs;
	FILE *f;

	assert_int_equal(settings_load("/nonexistent/x.conf", &s, &errs), -1);
	assert_string_equal(errs.at[0], "/nonexistent/x.conf: No such file or directory");
	settings_errors_release(&errs);
	f = fopen(file, "w");
	fwrite("sync {\0}", 1, 8, f);
	fclose(f);
	assert_int_equal(settings_load(file, &s, &errs), -1);
	assert_non_null(strstr(errs.at[0], "NUL"));
	settings_errors_release(&errs);
}

static void replace(char **text, const char *what, const char *with)
{
	char *at = strstr(*text, what), *out;

	assert_non_null(at);
	out = mem_printf("%.*s%s%s", (int)(at - *text), *text, with, at + strlen(what));
	free(*text);
	*text = out;
}

static char *sample(void)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	settings_write_sample(f);
	fclose(f);
	return text;
}

static void sample_loads(void **state UNUSED)
{
	char *text = sample();
	struct settings s;

	replace(&text, "/etc/mailferry/tls.pem", "tls.pem");
	replace(&text, "/etc/mailferry/tls.key", "tls.key");
	load_good(text, &s);
	assert_int_equal(s.listener_count, 4);
	assert_int_equal(s.listeners[3].proto, PROTO_POP3);
	assert_int_equal(s.listeners[3].port, 110);
	assert_int_equal(s.listeners[3].tls, TLS_STARTTLS);
	assert_string_equal(s.backend[SIDE_NEW].host, "new.example.net");
	settings_release(&s);
	free(text);
}

/* Every default that the sample shows is one that the file accepts and that changes nothing. */
static void sample_defaults_load(void **state UNUSED)
{
	char *text = sample(), *p = text;
	struct settings s;

	while ((p = strstr(p, "\n\t# ")) != NULL) {
		char *end = strchr(p + 1, '\n');
		char *equals = strstr(p, " = ");
		size_t word = strcspn(p + 4, " ");

		if (equals == p + 4 + word && equals < end)
			memcpy(p + 2, "  ", 2);
		p = end;
	}
	replace(&text, "/etc/mailferry/tls.pem", "tls.pem");
	replace(&text, "/etc/mailferry/tls.key", "tls.key");
	load_good(text, &s);
	assert_int_equal(s.cutover.hold_s, 18);
	assert_null(s.backend[SIDE_OLD].tls_pin);
	settings_release(&s);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(values_and_paths),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(repeated),
		cmocka_unit_test(shape),
		cmocka_unit_test(variables),
		cmocka_unit_test(values),
		cmocka_unit_test(together),
		cmocka_unit_test(backends),
		cmocka_unit_test(proxy_master),
		cmocka_unit_test(how_it_is_copied),
		cmocka_unit_test(cleartext),
		cmocka_unit_test(certificates),
		cmocka_unit_test(lines_of_settings),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(lookup_is_local_and_complete),
		cmocka_unit_test(a_domain_has_words_of_its_own),
		cmocka_unit_test(words_about_dns_are_checked),
		cmocka_unit_test(opensrs_is_whole_or_not_there),
		cmocka_unit_test(the_api_is_not_open_to_all),
		cmocka_unit_test(lookup_addresses),
		cmocka_unit_test(our_own_listener_is_no_backend),
		cmocka_unit_test(the_word_of_others),
		cmocka_unit_test(reload_takes_what_may_change),
		cmocka_unit_test(reload_keeps_and_names_the_rest),
		cmocka_unit_test(reload_takes_a_whole_or_nothing),
		cmocka_unit_test(reload_begins_no_learning),
		cmocka_unit_test(reload_changes_no_account),
		cmocka_unit_test(reload_takes_domains),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(sample_loads),
		cmocka_unit_test(sample_defaults_load),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
