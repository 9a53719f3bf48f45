/* Certificates by name, followed while they change, and tickets shared by two nodes. */
#include "tests/unit/tls_pair.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "certs/tls.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

#define DAY 86400

static char dir[64];
static EVP_PKEY *ec_key, *rsa_key, *other_key;

/* ---- making certificates */

struct recipe {
	const char *name; /* CN and SANs, by comma: "DNS:a,DNS:b"; NULL san: the name */
	const char *san;
	EVP_PKEY *key, *written_key; /* written_key NULL: key */
	const char *key_file;	     /* NULL: in the same file */
	long from_s, until_s;	     /* from now */
	bool no_key, encrypted, other_first;
	bool sha1; /* signed so by another, as CAs once did */
};

static X509 *sign(const struct recipe *r)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	char *san = r->san ? mem_str(r->san) : mem_printf("DNS:%s", r->name);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), r->from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), r->until_s ? r->until_s : 90 * DAY);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)r->name, -1,
				   -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, r->key);
	X509_add_ext(x, names, -1);
	if (r->sha1)
		X509_NAME_add_entry_by_txt(X509_get_issuer_name(x), "O", MBSTRING_ASC,
					   (const unsigned char *)"CA", -1, -1, 0);
	assert_true(X509_sign(x, r->sha1 ? other_key : r->key,
			      r->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
	X509_EXTENSION_free(names);
	free(san);
	return x;
}

static const char *path(const char *file)
{
	static char out[8][160];
	static unsigned next;
	char *p = out[next++ % 8];

	snprintf(p, sizeof out[0], "%s/%s", dir, file);
	return p;
}

static void write_key(FILE *f, const struct recipe *r)
{
	EVP_PKEY *key = r->written_key ? r->written_key : r->key;

	assert_int_equal(r->encrypted ? PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(),
							     (const unsigned char *)"secret", 6,
							     NULL, NULL)
				      : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL),
			 1);
}

/* Written beside and renamed, as renewal tools do: another inode each time. */
static void make(const char *file, struct recipe r)
{
	const struct recipe stranger = { .name = "stranger.test", .key = other_key };
	char *fresh = mem_printf("%s/%s.new", dir, file);
	FILE *f = fopen(fresh, "w");
	X509 *x = sign(&r), *other = sign(&stranger);

	assert_non_null(f);
	if (r.other_first)
		PEM_write_X509(f, other);
	PEM_write_X509(f, x);
	if (!r.key_file && !r.no_key)
		write_key(f, &r);
	fclose(f);
	assert_int_equal(rename(fresh, path(file)), 0);
	if (r.key_file) {
		f = fopen(path(r.key_file), "w");
		write_key(f, &r);
		fclose(f);
	}
	X509_free(other);
	X509_free(x);
	free(fresh);
}

static void put_text(const char *file, const char *text)
{
	FILE *f = fopen(path(file), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A folder of the test's own, below the common one. */
static const char *folder(const char *name)
{
	const char *p = path(name);

	assert_int_equal(mkdir(p, 0755), 0);
	return p;
}

static int begin(void **state UNUSED)
{
	/* Memory where there is some: ten thousand files take their time on a disk. */
	snprintf(dir, sizeof dir, "%s/mailferry-certs-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir))
		return -1;
	ec_key = EVP_EC_gen("P-256");
	other_key = EVP_EC_gen("P-256");
	rsa_key = EVP_RSA_gen(2048);
	clock_test_freeze();
	return 0;
}

static int end(void **state UNUSED)
{
	char command[128];

	EVP_PKEY_free(ec_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(rsa_key);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* ---- what the log says */

static int real_stderr;

static void listen_to_log(void)
{
	int fd = open(path("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	fflush(stderr);
	real_stderr = dup(2);
	dup2(fd, 2);
	close(fd);
}

static void log_heard(char *out, size_t size)
{
	FILE *f;
	size_t n;

	dup2(real_stderr, 2);
	close(real_stderr);
	f = fopen(path("log"), "r");
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

/* ---- pairs */

static void refused(const char *file, const char *key, const char *want1, const char *want2)
{
	struct cert_pair p;
	struct err e = { 0 };

	assert_int_equal(cert_pair_load(path(file), key ? path(key) : NULL, &p, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(p.cert);
	if (!strstr(e.text, want1) || !strstr(e.text, want2))
		fail_msg("%s", e.text);
}

static void mistakes_are_named(void **state UNUSED)
{
	folder("bad");
	refused("bad/none.pem", NULL, "bad/none.pem", "No such file");
	refused("bad", NULL, "/bad", "is no file");
	put_text("bad/empty.pem", "");
	refused("bad/empty.pem", NULL, "bad/empty.pem", "holds no \"BEGIN CERTIFICATE\"");
	put_text("bad/torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
	refused("bad/torn.pem", NULL, "bad/torn.pem", "cannot be read as PEM");
	make("bad/nokey.pem",
	     (struct recipe){ .name = "a.test", .key = ec_key, .no_key = true });
	refused("bad/nokey.pem", NULL, "no private key", "bad/nokey.key");
	refused("bad/nokey.pem", "bad/none.key", "bad/none.key", "No such file");
	make("bad/locked.pem",
	     (struct recipe){ .name = "a.test", .key = ec_key, .encrypted = true });
	refused("bad/locked.pem", NULL, "bad/locked.pem: is encrypted", "openssl pkey -in");
	make("bad/two.pem",
	     (struct recipe){ .name = "a.test", .key = ec_key, .written_key = other_key });
	refused("bad/two.pem", NULL, "bad/two.pem: does not match", "renewed together");
	make("bad/order.pem",
	     (struct recipe){ .name = "a.test", .key = ec_key, .other_first = true });
	refused("bad/order.pem", NULL, "bad/order.pem: chain in the wrong order",
		"certificate 2 in the file, which must be the first");
}

static void weak_keys_are_refused(void **state UNUSED)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);

	make("weak.pem", (struct recipe){ .name = "a.test", .key = weak });
	refused("weak.pem", NULL, "weak.pem: too weak (1024 bits)", "2048");
	EVP_PKEY_free(weak);
}

static void key_inside_or_beside(void **state UNUSED)
{
	struct cert_pair p;
	struct err e = { 0 };

	make("inside.pem", (struct recipe){ .name = "a.test", .key = ec_key });
	assert_int_equal(cert_pair_load(path("inside.pem"), NULL, &p, &e), 0);
	cert_pair_release(&p);
	make("beside.pem",
	     (struct recipe){ .name = "a.test", .key = ec_key, .key_file = "beside.key" });
	assert_int_equal(cert_pair_load(path("beside.pem"), NULL, &p, &e), 0);
	cert_pair_release(&p);
	assert_int_equal(cert_pair_load(path("inside.pem"), path("beside.key"), &p, &e), 0);
	assert_true(llabs(p.not_after_s - clock_real_ms() / 1000 - 90 * DAY) < 60);
	cert_pair_release(&p);
}

/* ---- names */

static void names_are_normalised(void **state UNUSED)
{
	char out[CERT_NAME_MAX + 1], name[300];

	assert_true(cert_name_normal("Mail.Example.COM.", 17, out));
	assert_string_equal(out, "mail.example.com");
	memset(name, 'a', sizeof name);
	assert_true(cert_name_normal(name, CERT_NAME_MAX, out));
	assert_false(cert_name_normal(name, CERT_NAME_MAX + 2, out));
	assert_false(cert_name_normal("", 0, out));
	assert_false(cert_name_normal(".", 1, out));
	assert_false(cert_name_normal(".a", 2, out));
	assert_false(cert_name_normal("a..b", 4, out));
	assert_false(cert_name_normal("../etc", 6, out));
	assert_false(cert_name_normal("a/b", 3, out));
	assert_false(cert_name_normal("*.a", 3, out));
	assert_false(cert_name_normal("a\0b", 3, out));
	assert_false(cert_name_normal("\xc3\xa4.test", 7, out));
}

/* ---- servers */

static struct tls_server *server_of(struct tls_server_conf conf)
{
	struct tls_server *s;
	struct err e = { 0 };

	conf.run_dir = conf.run_dir ? conf.run_dir : dir;
	conf.ticket_life_s = conf.ticket_life_s ? conf.ticket_life_s : 3600;
	conf.loaded_max = conf.loaded_max ? conf.loaded_max : 100;
	if (tls_server_new(&conf, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

#define RSA_ONLY  "RSA-PSS+SHA256:RSA+SHA256"
#define RSA_FIRST RSA_ONLY ":ECDSA+SHA256"

/* The CN that a client of this name is shown; "" if the handshake fails. signatures: what it
 * understands, in its order; NULL: OpenSSL's. */
static const char *shown_to(struct tls_server *s, const char *name, const char *signatures,
			    int version)
{
	static char cn[128 + 5];
	struct pair p = { 0 };
	X509 *x;

	cn[0] = '\0';
	pair_open(&p, s, "imap");
	odd_client(&p);
	if (name)
		SSL_set_tlsext_host_name(p.client, name);
	SSL_set_max_proto_version(p.client, version);
	if (signatures) {
		SSL_set1_sigalgs_list(p.client, signatures);
		SSL_set_cipher_list(
			p.client, "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384");
	}
	if (shaken(&p)) {
		x = SSL_get0_peer_certificate(p.client);
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, 128);
		if (EVP_PKEY_is_a(X509_get0_pubkey(x), "RSA"))
			snprintf(cn + strlen(cn), 5, " rsa");
	}
	pair_close(&p);
	return cn;
}

static const char *shown(struct tls_server *s, const char *name)
{
	return shown_to(s, name, NULL, TLS1_3_VERSION);
}

#define SHOWS(s, name, want) assert_string_equal(shown(s, name), want)

static void looked_at_again(void)
{
	clock_test_advance(CERT_LOOK_MS);
}

static void wildcards_and_precedence(void **state UNUSED)
{
	struct tls_server *s;

	folder("sni");
	folder("sni/live");
	folder("sni/live/le.test");
	folder("sni/archive");
	make("standard.pem", (struct recipe){ .name = "standard.test", .key = ec_key });
	make("sni/exact.wild.test.pem",
	     (struct recipe){ .name = "exact.wild.test", .key = ec_key });
	make("sni/_.wild.test.pem", (struct recipe){ .name = "*.wild.test", .key = ec_key });
	make("sni/*.star.test.pem", (struct recipe){ .name = "*.star.test", .key = ec_key });
	make("sni/parent.test.pem",
	     (struct recipe){ .name = "parent.test",
			      .san = "DNS:parent.test,DNS:imap.parent.test",
			      .key = ec_key });
	make("sni/live/le.test/fullchain.pem",
	     (struct recipe){ .name = "le.test",
			      .san = "DNS:le.test,DNS:*.le.test",
			      .key = ec_key,
			      .key_file = "sni/live/le.test/privkey.pem" });
	put_text("sni/README", "not a certificate\n");
	s = server_of((struct tls_server_conf){ .certificate = path("standard.pem"),
						.folder = path("sni") });
	SHOWS(s, NULL, "standard.test");
	SHOWS(s, "unknown.test", "standard.test");
	SHOWS(s, "exact.wild.test", "exact.wild.test");
	SHOWS(s, "EXACT.Wild.test", "exact.wild.test");
	SHOWS(s, "other.wild.test", "*.wild.test");
	/* A wildcard stands for one label (RFC 6125 6.4.3). */
	SHOWS(s, "a.b.wild.test", "standard.test");
	SHOWS(s, "wild.test", "standard.test");
	SHOWS(s, "x.star.test", "*.star.test");
	/* By the certificate's own word, where the folder has only its first name. */
	SHOWS(s, "imap.parent.test", "parent.test");
	SHOWS(s, "pop.parent.test", "standard.test");
	SHOWS(s, "le.test", "le.test");
	SHOWS(s, "mail.le.test", "le.test");
	SHOWS(s, "a.mail.le.test", "standard.test");
	/* A bad file falls back to what fits next. */
	put_text("sni/broken.wild.test.pem", "garbage\n");
	looked_at_again();
	SHOWS(s, "broken.wild.test", "*.wild.test");
	tls_server_free(&s);
}

static void unknown_name_without_a_default_is_refused(void **state UNUSED)
{
	const char *names[] = { NULL, "unknown.test" };
	struct tls_server *s;

	folder("alone");
	make("alone/known.test.pem", (struct recipe){ .name = "known.test", .key = ec_key });
	s = server_of((struct tls_server_conf){ .folder = path("alone") });
	SHOWS(s, "known.test", "known.test");
	for (size_t i = 0; i < COUNT(names); i++) {
		struct pair p = { 0 };
		struct err e = { 0 };

		pair_open(&p, s, "imap");
		odd_client(&p);
		if (names[i])
			SSL_set_tlsext_host_name(p.client, names[i]);
		p.client_result = step(p.client);
		assert_int_equal(step(p.server), SSL_ERROR_SSL);
		tls_explain(p.server, &e);
		assert_non_null(strstr(e.text, "no certificate here for the name"));
		assert_int_equal(step(p.client), SSL_ERROR_SSL);
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
				 SSL_R_TLSV1_UNRECOGNIZED_NAME);
		pair_close(&p);
	}
	tls_server_free(&s);
}

static void ecdsa_first_rsa_for_those_who_need_it(void **state UNUSED)
{
	const char *names[] = { "two.test", "three.test", NULL };
	const char *wants[] = { "two.test", "three.test", "standard.test" };
	struct tls_server *s;

	folder("both");
	make("both/two.test.pem", (struct recipe){ .name = "two.test", .key = ec_key });
	make("both/two.test.rsa.pem", (struct recipe){ .name = "two.test", .key = rsa_key });
	make("both/three.test.ecdsa.pem",
	     (struct recipe){ .name = "three.test", .key = ec_key });
	make("both/three.test.rsa.pem",
	     (struct recipe){ .name = "three.test", .key = rsa_key });
	make("both/rsa.pem", (struct recipe){ .name = "standard.test", .key = rsa_key });
	make("both/ec.pem", (struct recipe){ .name = "standard.test", .key = ec_key });
	s = server_of((struct tls_server_conf){ .certificate = path("both/rsa.pem"),
						.second_certificate = path("both/ec.pem"),
						.folder = path("both") });
	for (size_t i = 0; i < COUNT(names); i++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			char rsa[64];

			snprintf(rsa, sizeof rsa, "%s rsa", wants[i]);
			assert_string_equal(shown_to(s, names[i], NULL, version), wants[i]);
			assert_string_equal(shown_to(s, names[i], RSA_ONLY, version), rsa);
			/* The client's own order does not count: ECDSA costs us a third. */
			assert_string_equal(shown_to(s, names[i], RSA_FIRST, version),
					    wants[i]);
		}
	tls_server_free(&s);
}

static int64_t memory_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0, resident = 0;

	assert_int_equal(fscanf(f, "%ld %ld", &pages, &resident), 2);
	fclose(f);
	return resident * sysconf(_SC_PAGESIZE) / 1024;
}

static int64_t cpu_ms(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000LL +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

/* Not at start, not a hundred at once: what this costs is bounded, and the log of the test says
 * how much. */
static void ten_thousand_names(void **state UNUSED)
{
	enum { NAMES = 10000, LOADED = 50 };
	struct cert_folder *f;
	struct err e = { 0 };
	int64_t kib, ms;

	folder("many");
	make("many.pem", (struct recipe){ .name = "many.test", .key = ec_key });
	for (int i = 0; i < NAMES; i++) {
		char link_at[200];

		snprintf(link_at, sizeof link_at, "%s/many/host%d.many.test.pem", dir, i);
		assert_int_equal(symlink("../many.pem", link_at), 0);
	}
	kib = memory_kib();
	ms = cpu_ms();
	assert_int_equal(cert_folder_open(path("many"), LOADED, &f, &e), 0);
	ms = cpu_ms() - ms;
	kib = memory_kib() - kib;
	assert_int_equal(cert_folder_count(f), NAMES);
	assert_int_equal(cert_folder_loaded(f), 0);
	print_message("10,000 names: %lld ms, %lld KiB\n", (long long)ms, (long long)kib);
	assert_true(ms < 1000);
	assert_true(kib < 16 * 1024);
	for (int i = 0; i < 4 * LOADED; i++) {
		char name[64];

		snprintf(name, sizeof name, "host%d.many.test", i * 7);
		assert_non_null(cert_folder_find(f, name));
	}
	assert_int_equal(cert_folder_loaded(f), LOADED);
	assert_null(cert_folder_find(f, "nobody.other.test"));
	assert_int_equal(cert_folder_loaded(f), LOADED);
	cert_folder_free(&f);
}

/* A folder that is there and cannot be read is said, not passed over: certbot's is root's
 * alone. */
static void unreadable_live_folder_is_an_error(void **state UNUSED)
{
	const struct cert_set *kept;
	struct cert_folder *f;
	struct err e = { 0 };
	char log[2048];

	folder("loop");
	make("loop/a.test.pem", (struct recipe){ .name = "a.test", .key = ec_key });
	assert_int_equal(cert_folder_open(path("loop"), 2, &f, &e), 0);
	kept = cert_folder_find(f, "a.test");
	assert_int_equal(symlink("live", path("loop/live")), 0);
	listen_to_log();
	looked_at_again();
	assert_ptr_equal(cert_folder_find(f, "a.test"), kept);
	log_heard(log, sizeof log);
	assert_non_null(strstr(log, "loop/live: Too many levels"));
	assert_non_null(strstr(log, "the names read before stay in use"));
	cert_folder_free(&f);
	assert_int_equal(cert_folder_open(path("loop"), 2, &f, &e), -1);
	assert_non_null(strstr(e.text, "loop/live: Too many levels"));
}

static void least_recently_used_goes_first(void **state UNUSED)
{
	const char *names[] = { "a.lru.test", "b.lru.test", "c.lru.test" };
	const struct cert_set *a, *b;
	struct cert_folder *f;
	struct err e = { 0 };

	folder("lru");
	for (size_t i = 0; i < COUNT(names); i++) {
		char file[64];

		snprintf(file, sizeof file, "lru/%s.pem", names[i]);
		make(file, (struct recipe){ .name = names[i], .key = ec_key });
	}
	assert_int_equal(cert_folder_open(path("lru"), 2, &f, &e), 0);
	a = cert_folder_find(f, "a.lru.test");
	b = cert_folder_find(f, "b.lru.test");
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(cert_folder_find(f, "a.lru.test"), a);
	/* b is the older one now; a file that has gone would not load again. */
	assert_int_equal(unlink(path("lru/a.lru.test.pem")), 0);
	assert_int_equal(unlink(path("lru/b.lru.test.pem")), 0);
	assert_non_null(cert_folder_find(f, "c.lru.test"));
	assert_ptr_equal(cert_folder_find(f, "a.lru.test"), a);
	assert_null(cert_folder_find(f, "b.lru.test"));
	assert_int_equal(cert_folder_loaded(f), 2);
	cert_folder_free(&f);
}

static void new_files_take_over(void **state UNUSED)
{
	struct tls_server *s;
	struct pair before = { 0 };

	folder("fresh");
	make("fresh.pem", (struct recipe){ .name = "one.test", .key = ec_key });
	make("fresh/name.test.pem", (struct recipe){ .name = "one.test", .key = ec_key });
	s = server_of((struct tls_server_conf){ .certificate = path("fresh.pem"),
						.folder = path("fresh") });
	pair_open(&before, s, "imap");
	odd_client(&before);
	assert_true(shaken(&before));
	SHOWS(s, "name.test", "one.test");
	make("fresh.pem", (struct recipe){ .name = "two.test", .key = other_key });
	make("fresh/name.test.pem", (struct recipe){ .name = "two.test", .key = other_key });
	make("fresh/later.test.pem", (struct recipe){ .name = "later.test", .key = ec_key });
	SHOWS(s, "name.test", "one.test"); /* not every handshake looks */
	looked_at_again();
	SHOWS(s, "name.test", "two.test");
	SHOWS(s, "later.test", "later.test");
	SHOWS(s, NULL, "two.test");
	say_hello(&before);
	assert_int_equal(unlink(path("fresh/later.test.pem")), 0);
	looked_at_again();
	SHOWS(s, "later.test", "two.test");
	pair_close(&before);
	tls_server_free(&s);
}

static void reload_looks_at_once(void **state UNUSED)
{
	struct tls_server_conf conf = { .loaded_max = 10, .ticket_life_s = 3600 };
	struct tls_server *s;

	folder("hup");
	make("hup.pem", (struct recipe){ .name = "one.test", .key = ec_key });
	make("hup/name.test.pem", (struct recipe){ .name = "one.test", .key = ec_key });
	conf.certificate = path("hup.pem");
	conf.folder = path("hup");
	s = server_of(conf);
	SHOWS(s, "name.test", "one.test");
	make("hup.pem", (struct recipe){ .name = "two.test", .key = rsa_key });
	make("hup/name.test.pem", (struct recipe){ .name = "two.test", .key = ec_key });
	make("hup/later.test.pem", (struct recipe){ .name = "later.test", .key = ec_key });
	(void)!tls_server_reload(s, &conf, &(struct err){ 0 });
	SHOWS(s, "name.test", "two.test");
	SHOWS(s, "later.test", "later.test");
	/* Of another kind than before: the old one is not shown beside it. */
	SHOWS(s, NULL, "two.test rsa");
	conf.folder = NULL;
	(void)!tls_server_reload(s, &conf, &(struct err){ 0 });
	SHOWS(s, "later.test", "two.test rsa");
	tls_server_free(&s);
}

static void bad_new_files_keep_the_old(void **state UNUSED)
{
	const struct {
		struct recipe recipe;
		const char *says;
	} bad[] = {
		{ { .name = "two.test", .key = ec_key, .written_key = other_key },
		  "does not match" },
		{ { .name = "two.test", .key = ec_key, .encrypted = true }, "is encrypted" },
		{ { .name = "two.test", .key = ec_key, .no_key = true }, "no private key" },
		{ { .name = "two.test", .key = ec_key, .other_first = true }, "wrong order" },
		{ { .name = "two.test", .key = ec_key, .from_s = -2 * DAY, .until_s = -DAY },
		  "expired on 2" },
		{ { .name = "two.test", .key = ec_key, .sha1 = true }, "OpenSSL refuses it" },
	};
	struct tls_server_conf conf = { .loaded_max = 10, .ticket_life_s = 3600 };
	struct tls_server *s;
	char log[4096];

	folder("keep");
	make("keep.pem", (struct recipe){ .name = "one.test", .key = ec_key });
	make("keep/name.test.pem", (struct recipe){ .name = "one.test", .key = ec_key });
	conf.certificate = path("keep.pem");
	conf.folder = path("keep");
	s = server_of(conf);
	SHOWS(s, "name.test", "one.test");
	for (size_t i = 0; i < COUNT(bad); i++) {
		make("keep.pem", bad[i].recipe);
		make("keep/name.test.pem", bad[i].recipe);
		listen_to_log();
		looked_at_again();
		shown(s, "name.test");
		SHOWS(s, NULL, "one.test");
		(void)!tls_server_reload(s, &conf, &(struct err){ 0 });
		SHOWS(s, "name.test", "one.test");
		SHOWS(s, NULL, "one.test");
		log_heard(log, sizeof log);
		if (!strstr(log, bad[i].says) || !strstr(log, "keep.pem") ||
		    !strstr(log, "keep/name.test.pem") || !strstr(log, "stays in use"))
			fail_msg("%s", log);
		/* Once for each file, not at every look. */
		listen_to_log();
		looked_at_again();
		SHOWS(s, "name.test", "one.test");
		log_heard(log, sizeof log);
		assert_string_equal(log, "");
	}
	make("keep.pem", (struct recipe){ .name = "two.test", .key = ec_key });
	looked_at_again();
	SHOWS(s, NULL, "two.test");
	tls_server_free(&s);
}

static void bad_default_at_start_is_an_error(void **state UNUSED)
{
	struct tls_server_conf conf = { .run_dir = dir, .loaded_max = 1, .ticket_life_s = 60 };
	struct tls_server *s = NULL;
	struct err e = { 0 };

	conf.certificate = path("nowhere.pem");
	assert_int_equal(tls_server_new(&conf, &s, &e), -1);
	assert_null(s);
	assert_non_null(strstr(e.text, "nowhere.pem: No such file"));
	conf.certificate = NULL;
	conf.folder = path("nowhere");
	assert_int_equal(tls_server_new(&conf, &s, &e), -1);
	assert_non_null(strstr(e.text, "nowhere: No such file"));
}

/* ---- expiry */

struct seen {
	char text[512];
};

static void see(const char *name, int64_t not_after_s, void *arg)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);
	int64_t left = not_after_s - clock_real_ms() / 1000 + DAY / 2;

	snprintf(s->text + n, sizeof s->text - n, "%s=%lld ", *name ? name : "-",
		 (long long)left / DAY);
}

static void expiry_is_known_without_use(void **state UNUSED)
{
	struct tls_server *s;
	struct seen seen = { "" };
	char log[4096];

	folder("days");
	make("days.pem",
	     (struct recipe){ .name = "standard.test", .key = ec_key, .until_s = 40 * DAY });
	make("days/long.test.pem",
	     (struct recipe){ .name = "long.test", .key = ec_key, .until_s = 80 * DAY });
	make("days/short.test.pem",
	     (struct recipe){ .name = "short.test", .key = ec_key, .until_s = 5 * DAY });
	make("days/short.test.rsa.pem",
	     (struct recipe){ .name = "short.test", .key = rsa_key, .until_s = 3 * DAY });
	s = server_of((struct tls_server_conf){ .certificate = path("days.pem"),
						.folder = path("days") });
	tls_server_expiry(s, see, &seen);
	assert_string_equal(seen.text, "-=40 ");
	seen.text[0] = '\0';
	listen_to_log();
	tls_server_tick(s);
	tls_server_tick(s);
	log_heard(log, sizeof log);
	tls_server_expiry(s, see, &seen);
	assert_string_equal(seen.text, "-=40 long.test=80 short.test=3 ");
	assert_non_null(strstr(log, "short.test in "));
	assert_non_null(strstr(log, "renew it"));
	assert_null(strstr(log, "long.test"));
	tls_server_free(&s);
}

/* ---- tickets */

/* A client that keeps its session, at servers that may or may not know it. */
static bool resumes_at(struct tls_server *s, const char *name, int version,
		       SSL_SESSION **session)
{
	struct pair p = { 0 };
	bool reused;

	pair_open(&p, s, "imap");
	odd_client(&p);
	SSL_set_tlsext_host_name(p.client, name);
	SSL_set_max_proto_version(p.client, version);
	if (*session)
		SSL_set_session(p.client, *session);
	assert_true(shaken(&p));
	say_hello(&p);
	reused = SSL_session_reused(p.client);
	assert_int_equal(SSL_session_reused(p.server), reused);
	/* RFC 8446 C.4: whoever comes back gets a ticket for the next time. */
	if (reused && version == TLS1_3_VERSION)
		assert_ptr_not_equal(SSL_get_session(p.client), *session);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(p.client);
	SSL_shutdown(p.client);
	pair_close(&p);
	return reused;
}

static void tickets_at_every_node(void **state UNUSED)
{
	struct tls_server_conf conf = { .ticket_life_s = 600 };
	int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_server *one, *two, *foreign;
	struct stat st;

	folder("run");
	folder("elsewhere");
	folder("tick");
	make("tick.pem", (struct recipe){ .name = "standard.test", .key = ec_key });
	make("tick/name.test.pem", (struct recipe){ .name = "name.test", .key = ec_key });
	conf.certificate = path("tick.pem");
	conf.folder = path("tick");
	conf.run_dir = path("run");
	one = server_of(conf);
	two = server_of(conf);
	conf.run_dir = path("elsewhere");
	foreign = server_of(conf);
	assert_int_equal(stat(path("run/" TICKETS_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *session = NULL;
		struct tls_server *again;

		assert_false(resumes_at(one, "name.test", versions[i], &session));
		assert_true(resumes_at(one, "name.test", versions[i], &session));
		assert_true(resumes_at(two, "name.test", versions[i], &session));
		/* After a restart. */
		conf.run_dir = path("run");
		again = server_of(conf);
		assert_true(resumes_at(again, "name.test", versions[i], &session));
		tls_server_free(&again);
		/* Not under another name (RFC 6066 3), and not on another host. */
		assert_false(resumes_at(one, "standard.test", versions[i], &session));
		assert_true(resumes_at(one, "standard.test", versions[i], &session));
		assert_false(resumes_at(foreign, "standard.test", versions[i], &session));
		SSL_SESSION_free(session);
	}
	tls_server_free(&one);
	tls_server_free(&two);
	tls_server_free(&foreign);
}

static void ticket_keys_are_changed(void **state UNUSED)
{
	struct tls_server_conf conf = { .ticket_life_s = 600 };
	SSL_SESSION *session = NULL, *old;
	struct tls_server *one, *two;

	folder("turn");
	make("turn.pem", (struct recipe){ .name = "standard.test", .key = ec_key });
	conf.certificate = path("turn.pem");
	conf.run_dir = path("turn");
	one = server_of(conf);
	two = server_of(conf);
	assert_false(resumes_at(one, "a.test", TLS1_3_VERSION, &session));
	old = SSL_SESSION_dup(session);
	/* The key before opens what it sealed, and the other node has learnt the new one. */
	clock_test_advance(700 * 1000);
	assert_true(resumes_at(one, "a.test", TLS1_3_VERSION, &session));
	assert_true(resumes_at(two, "a.test", TLS1_3_VERSION, &session));
	assert_true(resumes_at(two, "a.test", TLS1_3_VERSION, &session));
	/* Twice its time: gone. */
	clock_test_advance(600 * 1000);
	assert_false(resumes_at(one, "a.test", TLS1_3_VERSION, &old));
	assert_true(resumes_at(one, "a.test", TLS1_3_VERSION, &session));
	SSL_SESSION_free(session);
	SSL_SESSION_free(old);
	tls_server_free(&one);
	tls_server_free(&two);
}

static void open_or_broken_ticket_file_is_replaced(void **state UNUSED)
{
	struct tls_server_conf conf = { .ticket_life_s = 600 };
	SSL_SESSION *session = NULL;
	struct tls_server *s;
	struct stat st;

	folder("loose");
	make("loose.pem", (struct recipe){ .name = "standard.test", .key = ec_key });
	conf.certificate = path("loose.pem");
	conf.run_dir = path("loose");
	s = server_of(conf);
	assert_false(resumes_at(s, "a.test", TLS1_3_VERSION, &session));
	tls_server_free(&s);
	assert_int_equal(chmod(path("loose/" TICKETS_FILE), 0644), 0);
	s = server_of(conf);
	assert_false(resumes_at(s, "a.test", TLS1_3_VERSION, &session));
	tls_server_free(&s);
	assert_int_equal(stat(path("loose/" TICKETS_FILE), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	put_text("loose/" TICKETS_FILE, "mailferry tkt 1 short");
	s = server_of(conf);
	assert_false(resumes_at(s, "a.test", TLS1_3_VERSION, &session));
	/* The file goes away under a running node: it goes on with its own key. */
	assert_int_equal(unlink(path("loose/" TICKETS_FILE)), 0);
	assert_true(resumes_at(s, "a.test", TLS1_3_VERSION, &session));
	SSL_SESSION_free(session);
	tls_server_free(&s);
}

static void one_ticket_a_handshake(void **state UNUSED)
{
	struct tls_server *s;
	struct pair p = { 0 };
	char in[8];

	make("few.pem", (struct recipe){ .name = "standard.test", .key = ec_key });
	s = server_of((struct tls_server_conf){ .certificate = path("few.pem") });
	pair_open(&p, s, "imap");
	odd_client(&p);
	assert_true(shaken(&p));
	assert_int_equal(SSL_get_num_tickets(p.server), 1);
	/* Renegotiation (TLS 1.2) is refused. */
	pair_close(&p);
	pair_open(&p, s, "imap");
	odd_client(&p);
	SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
	assert_true(shaken(&p));
	assert_int_equal(SSL_renegotiate(p.client), 1);
	assert_int_not_equal(step(p.client), SHAKEN);
	assert_int_equal(SSL_read(p.server, in, sizeof in), -1);
	assert_int_equal(step(p.client), SSL_ERROR_SSL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	pair_close(&p);
	tls_server_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(weak_keys_are_refused),
		cmocka_unit_test(key_inside_or_beside),
		cmocka_unit_test(names_are_normalised),
		cmocka_unit_test(wildcards_and_precedence),
		cmocka_unit_test(unknown_name_without_a_default_is_refused),
		cmocka_unit_test(ecdsa_first_rsa_for_those_who_need_it),
		cmocka_unit_test(ten_thousand_names),
		cmocka_unit_test(unreadable_live_folder_is_an_error),
		cmocka_unit_test(least_recently_used_goes_first),
		cmocka_unit_test(new_files_take_over),
		cmocka_unit_test(reload_looks_at_once),
		cmocka_unit_test(bad_new_files_keep_the_old),
		cmocka_unit_test(bad_default_at_start_is_an_error),
		cmocka_unit_test(expiry_is_known_without_use),
		cmocka_unit_test(tickets_at_every_node),
		cmocka_unit_test(ticket_keys_are_changed),
		cmocka_unit_test(open_or_broken_ticket_file_is_replaced),
		cmocka_unit_test(one_ticket_a_handshake),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
