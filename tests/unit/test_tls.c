/* Handshakes over socket pairs, with certificates that certs/devca.sh makes in a folder of the
 * test. */
#include "tests/unit/tls_pair.h"

#include <time.h>
#include <openssl/pem.h>

#include "certs/tls.h"
#include "common/buf.h"
#include "common/clock.h"

#define NAME "imap.old.test"

static char dir[64];
static struct tls_server *ours; /* with the certificate of CA a */

static const char *path(const char *file)
{
	static char out[8][128];
	static unsigned next;
	char *p = out[next++ % 8];

	snprintf(p, sizeof out[0], "%s/%s", dir, file);
	return p;
}

static struct tls_server *server_new(const char *folder);

static int make_certificates(void **state UNUSED)
{
	char command[256];

	snprintf(dir, sizeof dir, "/tmp/mailferry-tls-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(command, sizeof command,
		 "sh certs/devca.sh %s/a " NAME " && sh certs/devca.sh %s/b " NAME, dir, dir);
	if (system(command) != 0)
		return -1;
	ours = server_new("a");
	return 0;
}

static int remove_certificates(void **state UNUSED)
{
	char command[128];

	tls_server_free(&ours);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static struct tls_server *server_new(const char *folder)
{
	struct tls_server *s;
	struct err e = { 0 };
	char certificate[128], key[128];
	struct tls_server_conf conf = {
		.certificate = certificate, .key = key, .run_dir = dir, .ticket_life_s = 7200
	};

	snprintf(certificate, sizeof certificate, "%s/%s/" NAME ".pem", dir, folder);
	snprintf(key, sizeof key, "%s/%s/" NAME ".key", dir, folder);
	assert_int_equal(tls_server_new(&conf, &s, &e), 0);
	return s;
}

static bool connects(const struct tls_peer *peer, struct err *e)
{
	struct tls_client *c;
	struct pair p = { 0 };
	bool good;

	assert_int_equal(tls_client_new(peer, &c, e), 0);
	pair_open(&p, ours, "imap");
	p.client = tls_client_start(c, p.fd[1]);
	shake(&p);
	good = p.client_result == SHAKEN;
	if (good)
		assert_int_equal(p.server_result, SHAKEN);
	else
		tls_explain(p.client, e);
	pair_close(&p);
	tls_client_free(&c);
	return good;
}

static void right_name_and_address(void **state UNUSED)
{
	const char *names[] = { NAME, "localhost", "127.0.0.1", "::1" };
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct tls_peer peer = { .name = names[i], .ca_file = path("a/ca.pem") };

		if (!connects(&peer, &e))
			fail_msg("%s: %s", names[i], e.text);
	}
}

static void wrong_name(void **state UNUSED)
{
	const char *names[] = { "pop.old.test", "127.0.0.2" };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct tls_peer peer = { .name = names[i], .ca_file = path("a/ca.pem") };
		struct err e = { 0 };
		char want[256];

		snprintf(want, sizeof want,
			 "certificate is for " NAME ", localhost, 127.0.0.1, ::1, not for %s",
			 names[i]);
		assert_false(connects(&peer, &e));
		assert_string_equal(e.text, want);
		assert_int_equal(e.kind, ERR_TLS);
	}
}

static void unknown_ca(void **state UNUSED)
{
	struct tls_peer other = { .name = NAME, .ca_file = path("b/ca.pem") };
	struct tls_peer system = { .name = NAME };
	struct err e = { 0 };

	assert_false(connects(&other, &e));
	assert_int_equal(e.kind, ERR_TLS);
	assert_non_null(strstr(e.text, "a CA that is not in /"));
	assert_false(connects(&system, &e));
	assert_non_null(strstr(e.text, "not in the system's store"));
}

/* The certificates are good for 30 days from now: the client's idea of today moves instead. */
static void judged_at(time_t today, struct err *e)
{
	struct tls_peer peer = { .name = NAME, .ca_file = path("a/ca.pem") };
	struct pair p = { 0 };
	struct tls_client *c;

	assert_int_equal(tls_client_new(&peer, &c, e), 0);
	pair_open(&p, ours, "imap");
	p.client = tls_client_start(c, p.fd[1]);
	X509_VERIFY_PARAM_set_time(SSL_get0_param(p.client), today);
	shake(&p);
	assert_int_equal(p.client_result, SSL_ERROR_SSL);
	tls_explain(p.client, e);
	pair_close(&p);
	tls_client_free(&c);
}

static void out_of_date(void **state UNUSED)
{
	const time_t day = 24 * 60 * 60, now = time(NULL);
	struct err e = { 0 };

	judged_at(now + 60 * day, &e);
	assert_non_null(strstr(e.text, "certificate expired on 2"));
	assert_int_equal(e.kind, ERR_TLS);
	judged_at(now - 60 * day, &e);
	assert_non_null(strstr(e.text, "certificate is valid only from 2"));
}

static void pin_of_file(const char *file, char pin[72])
{
	FILE *f = fopen(file, "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);

	tls_pin_of(cert, pin);
	X509_free(cert);
	fclose(f);
}

static void pin_counts_alone(void **state UNUSED)
{
	char right[72], wrong[72];
	struct err e = { 0 };

	pin_of_file(path("a/" NAME ".pem"), right);
	pin_of_file(path("b/" NAME ".pem"), wrong);
	assert_true(tls_pin_valid(right));
	assert_true(connects(&(struct tls_peer){ .name = "any.test", .pin = right }, &e));
	/* A good chain and name do not help against a wrong pin. */
	assert_false(connects(
		&(struct tls_peer){ .name = NAME, .ca_file = path("a/ca.pem"), .pin = wrong },
		&e));
	assert_int_equal(e.kind, ERR_TLS);
	assert_non_null(strstr(e.text, right));
	assert_non_null(strstr(e.text, wrong));
}

static void pins_checked(void **state UNUSED)
{
	char pin[73] = "sha256:";
	struct tls_client *c;
	struct err e = { 0 };

	memset(pin + 7, 'a', 64);
	assert_true(tls_pin_valid(pin));
	pin[10] = 'A';
	assert_true(tls_pin_valid(pin));
	pin[10] = 'g';
	assert_false(tls_pin_valid(pin));
	pin[10] = 'a';
	pin[71] = 'a';
	assert_false(tls_pin_valid(pin));
	pin[70] = '\0';
	assert_false(tls_pin_valid(pin));
	assert_false(tls_pin_valid(""));
	assert_false(tls_pin_valid(NULL));
	assert_int_equal(tls_client_new(&(struct tls_peer){ .name = "x", .pin = pin }, &c, &e),
			 -1);
	assert_int_equal(tls_client_new(&(struct tls_peer){ .name = "" }, &c, &e), -1);
}

static void old_versions_refused(void **state UNUSED)
{
	struct pair p = { 0 };
	struct err e = { 0 };

	pair_open(&p, ours, "imap");
	odd_client(&p);
	SSL_set_min_proto_version(p.client, TLS1_1_VERSION);
	SSL_set_max_proto_version(p.client, TLS1_1_VERSION);
	shake(&p);
	assert_int_equal(p.server_result, SSL_ERROR_SSL);
	assert_int_not_equal(p.client_result, SHAKEN);
	tls_explain(p.client, &e);
	assert_int_equal(e.kind, ERR_TLS);
	pair_close(&p);
}

static bool alpn_accepted(const char *spoken, const char *wire, size_t n, const char *want)
{
	struct pair p = { 0 };
	const unsigned char *picked;
	unsigned picked_n;
	bool good;

	pair_open(&p, ours, spoken);
	odd_client(&p);
	if (n)
		SSL_set_alpn_protos(p.client, (const unsigned char *)wire, (unsigned)n);
	good = shaken(&p);
	SSL_get0_alpn_selected(p.client, &picked, &picked_n);
	if (good)
		assert_true(slice_is((struct slice){ (const char *)picked, picked_n }, want));
	else
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
				 SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
	pair_close(&p);
	return good;
}

static void alpn(void **state UNUSED)
{
	assert_true(alpn_accepted("imap", "", 0, ""));
	assert_true(alpn_accepted("imap", "\4imap", 5, "imap"));
	assert_true(alpn_accepted("pop3", "\2h2\4pop3", 8, "pop3"));
	assert_false(alpn_accepted("imap", "\4pop3", 5, ""));
	assert_false(alpn_accepted("pop3", "\4imap", 5, ""));
	assert_false(alpn_accepted("imap", "\5imapx", 6, ""));
	assert_false(alpn_accepted("imap", "\2h2", 3, ""));
	assert_false(alpn_accepted("imap", "\10http/1.1", 9, ""));
}

/* One handshake of a client of ours: was it resumed? -1: it failed, *e says why. */
static int resumed(struct tls_client *c, struct tls_server *s, bool ticket, struct err *e)
{
	struct pair p = { 0 };
	int reused;

	pair_open(&p, s, "imap");
	p.client = tls_client_start(c, p.fd[1]);
	shake(&p);
	if (p.client_result != SHAKEN) {
		tls_explain(p.client, e);
		pair_close(&p);
		return -1;
	}
	reused = SSL_session_reused(p.client);
	assert_int_equal(SSL_get_verify_result(p.client), X509_V_OK);
	if (ticket)
		say_hello(&p);
	pair_close(&p);
	return reused;
}

static void resumes(void **state UNUSED)
{
	struct tls_peer peer = { .name = NAME, .ca_file = path("a/ca.pem") };
	struct tls_client *c;
	struct err e = { 0 };

	assert_int_equal(tls_client_new(&peer, &c, &e), 0);
	for (int round = 0; round < 3; round++)
		assert_int_equal(resumed(c, ours, true, &e), round > 0);
	/* Logins at the same time, before a new ticket has come: all offer the one there is. */
	for (int round = 0; round < 3; round++)
		assert_int_equal(resumed(c, ours, false, &e), 1);
	tls_client_free(&c);
}

/* A backend of the same name with other keys cannot go on with the session: it is judged anew.
 */
static void changed_backend_is_judged_anew(void **state UNUSED)
{
	struct tls_peer peer = { .name = NAME, .ca_file = path("a/ca.pem") };
	char run[128], pin[72];
	struct tls_server_conf conf = { .certificate = path("b/" NAME ".pem"),
					.key = path("b/" NAME ".key"),
					.run_dir = run,
					.ticket_life_s = 7200 };
	struct tls_server *other;
	struct tls_client *c;
	struct err e = { 0 };

	snprintf(run, sizeof run, "%s/a", dir);
	assert_int_equal(tls_server_new(&conf, &other, &e), 0);
	assert_int_equal(tls_client_new(&peer, &c, &e), 0);
	assert_int_equal(resumed(c, ours, true, &e), 0);
	assert_int_equal(resumed(c, other, true, &e), -1);
	assert_non_null(strstr(e.text, "a CA that is not in /"));
	/* What failed is forgotten: the next is a full handshake. */
	assert_int_equal(resumed(c, ours, true, &e), 0);
	tls_client_free(&c);

	pin_of_file(path("a/" NAME ".pem"), pin);
	peer.pin = pin;
	assert_int_equal(tls_client_new(&peer, &c, &e), 0);
	assert_int_equal(resumed(c, ours, true, &e), 0);
	assert_int_equal(resumed(c, ours, true, &e), 1);
	assert_int_equal(resumed(c, other, true, &e), -1);
	assert_non_null(strstr(e.text, "not the pinned"));
	tls_client_free(&c);
	tls_server_free(&other);
}

static void verified_again_after_a_while(void **state UNUSED)
{
	struct tls_peer peer = { .name = NAME, .ca_file = path("a/ca.pem") };
	struct tls_client *c;
	struct err e = { 0 };

	clock_test_freeze();
	assert_int_equal(tls_client_new(&peer, &c, &e), 0);
	assert_int_equal(resumed(c, ours, true, &e), 0);
	clock_test_advance(TLS_VERIFY_MS / 2);
	assert_int_equal(resumed(c, ours, true, &e), 1);
	/* A ticket of a resumed session makes it no younger. */
	clock_test_advance(TLS_VERIFY_MS / 2);
	assert_int_equal(resumed(c, ours, true, &e), 0);
	assert_int_equal(resumed(c, ours, true, &e), 1);
	tls_client_free(&c);
}

static void clear_text_and_silence_explained(void **state UNUSED)
{
	struct tls_client *c;
	struct pair p = { 0 };
	struct err e = { 0 };

	assert_int_equal(tls_client_new(&(struct tls_peer){ .name = NAME }, &c, &e), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p.fd), 0);
	p.client = tls_client_start(c, p.fd[1]);
	assert_int_equal(write(p.fd[0], "* OK ready\r\n", 12), 12);
	assert_int_equal(step(p.client), SSL_ERROR_SSL);
	tls_explain(p.client, &e);
	assert_non_null(strstr(e.text, "does not speak TLS"));
	assert_int_equal(e.kind, ERR_TLS);
	pair_close(&p);

	p = (struct pair){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p.fd), 0);
	p.client = tls_client_start(c, p.fd[1]);
	assert_int_equal(step(p.client), SSL_ERROR_WANT_READ);
	shutdown(p.fd[0], SHUT_WR);
	assert_int_not_equal(step(p.client), SHAKEN);
	tls_explain(p.client, &e);
	assert_string_equal(e.text, "connection closed during the TLS handshake");
	assert_int_equal(e.kind, ERR_TEMP);
	pair_close(&p);
	tls_client_free(&c);
}

static void rerun_keeps_certificates(void **state UNUSED)
{
	char before[72], after[72], command[256];

	pin_of_file(path("a/" NAME ".pem"), before);
	snprintf(command, sizeof command, "sh certs/devca.sh %s/a " NAME, dir);
	assert_int_equal(system(command), 0);
	pin_of_file(path("a/" NAME ".pem"), after);
	assert_string_equal(before, after);
	snprintf(command, sizeof command, "sh certs/devca.sh %s/a ../x 2>/dev/null", dir);
	assert_int_not_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_name_and_address),
		cmocka_unit_test(wrong_name),
		cmocka_unit_test(unknown_ca),
		cmocka_unit_test(out_of_date),
		cmocka_unit_test(pin_counts_alone),
		cmocka_unit_test(pins_checked),
		cmocka_unit_test(old_versions_refused),
		cmocka_unit_test(alpn),
		cmocka_unit_test(resumes),
		cmocka_unit_test(changed_backend_is_judged_anew),
		cmocka_unit_test(verified_again_after_a_while),
		cmocka_unit_test(clear_text_and_silence_explained),
		cmocka_unit_test(rerun_keeps_certificates),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
