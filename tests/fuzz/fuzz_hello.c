/* What a client sends first, as TLS towards clients takes it: the name asked for (SNI), the
 * protocol (ALPN), a ticket. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/mailferry-fuzz-XXXXXX";

static char *inside(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void write_certificate(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f = fopen(path, "w");

	ASSERT(f && key && x);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	ASSERT(X509_sign(x, key, EVP_sha256()) > 0);
	PEM_write_X509(f, x);
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void remove_all(void)
{
	static const char *const names[] = { "a.test.pem", "_.b.test.pem", "tickets", "" };

	for (size_t i = 0; i < COUNT(names); i++) {
		char *path = inside(names[i]);

		remove(path);
		free(path);
	}
}

/* No default certificate: a name that is not known ends the handshake early. */
static struct tls_server *server(void)
{
	struct tls_server_conf conf = { .loaded_max = 1, .ticket_life_s = 600 };
	static struct tls_server *s;
	struct err e = { 0 };
	char *a, *b;

	if (s)
		return s;
	ASSERT(mkdtemp(dir));
	atexit(remove_all);
	a = inside("a.test.pem");
	b = inside("_.b.test.pem");
	write_certificate(a);
	write_certificate(b);
	free(a);
	free(b);
	conf.folder = conf.run_dir = dir;
	if (tls_server_new(&conf, &s, &e) < 0)
		BUG("%s", e.text);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SSL *ssl = tls_server_start(server(), "imap");
	BIO *in = BIO_new_mem_buf(data, (int)size), *out = BIO_new(BIO_s_mem());

	BIO_set_mem_eof_return(in, -1);
	SSL_set_bio(ssl, in, out);
	SSL_do_handshake(ssl);
	ERR_clear_error();
	SSL_free(ssl);
	return 0;
}
