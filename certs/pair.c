/* Hides: PEM, and how a mistake in a certificate's files becomes words that help. */
#include "certs/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/tls.h"
#include "common/buf.h"

#define KEY_BITS_MIN                                                            \
	112 /* of security: RSA 2048; less is refused by clients and by OpenSSL \
	     */
#define SUFFIX ".pem"

/* ---- files */

static int refuse_file(const char *what, const char *path, int why, struct err *e)
{
	return err_set(e, ERR_INPUT, "%s %s: %s%s", what, path, strerror(why),
		       why == EACCES ? ": the account of run.user must be able to read it"
				     : "");
}

static int read_all(int fd, struct buf *out)
{
	for (;;) {
		ssize_t n = read(fd, buf_room(out, 1), out->size - out->end);

		if (n <= 0)
			return (int)n;
		buf_wrote(out, (size_t)n);
		if (buf_len(out) > CERT_FILE_MAX)
			return 0;
	}
}

/* The buffer is made large enough at once: growing would leave parts of a key behind. */
static int read_file(const char *what, const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;

	if (fd < 0)
		return refuse_file(what, path, errno, e);
	if (fstat(fd, &st) < 0)
		rc = refuse_file(what, path, errno, e);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_INPUT, "%s %s: is no file", what, path);
	else if (st.st_size > CERT_FILE_MAX)
		rc = err_set(e, ERR_INPUT,
			     "%s %s: larger than %d bytes: this is no certificate", what, path,
			     CERT_FILE_MAX);
	if (rc == 0) {
		buf_room(out, (size_t)st.st_size + 2);
		if (read_all(fd, out) < 0)
			rc = refuse_file(what, path, errno, e);
	}
	close(fd);
	return rc;
}

char *cert_key_beside(const char *file)
{
	size_t n = strlen(file), suffix = sizeof SUFFIX - 1;

	if (n <= suffix || strcmp(file + n - suffix, SUFFIX) != 0)
		return NULL;
	return mem_printf("%.*s.key", (int)(n - suffix), file);
}

/* ---- PEM */

static BIO *reader_of(const struct buf *b)
{
	BIO *bio = BIO_new_mem_buf(buf_slice(b).p, (int)buf_len(b));

	if (!bio)
		BUG("OpenSSL gives no BIO");
	return bio;
}

/* The first certificate of the file, then the others in their order. */
static int parse_certificates(const char *file, const struct buf *text, struct cert_pair *out,
			      struct err *e)
{
	BIO *bio = reader_of(text);
	X509 *x;
	int reason;

	ERR_clear_error();
	out->chain = sk_X509_new_null();
	if (!out->chain)
		BUG("OpenSSL gives no list");
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (!out->cert)
			out->cert = x;
		else
			sk_X509_push(out->chain, x);
	}
	reason = ERR_GET_REASON(ERR_peek_last_error());
	BIO_free(bio);
	if (reason != PEM_R_NO_START_LINE)
		return err_set(e, ERR_INPUT, "certificate %s: cannot be read as PEM: %s", file,
			       tls_reason());
	ERR_clear_error();
	if (!out->cert)
		return err_set(e, ERR_INPUT,
			       "certificate %s: holds no \"BEGIN CERTIFICATE\" (is it PEM?)",
			       file);
	return 0;
}

/* No terminal here to ask for a pass phrase: an encrypted key is an error, not a prompt. */
static int no_passphrase(char *out UNUSED, int size UNUSED, int writing UNUSED,
			 void *arg UNUSED)
{
	return -1;
}

static bool holds(const struct buf *text, const char *words)
{
	struct slice s = buf_slice(text);

	return s.n && memmem(s.p, s.n, words, strlen(words)) != NULL;
}

static int parse_key(const char *file, const struct buf *text, struct cert_pair *out,
		     struct err *e)
{
	BIO *bio;

	if (holds(text, "BEGIN ENCRYPTED PRIVATE KEY-----") ||
	    holds(text, "Proc-Type: 4,ENCRYPTED"))
		return err_set(
			e, ERR_INPUT,
			"key %s: is encrypted, and nobody is there to type its pass phrase: "
			"store it without one (openssl pkey -in OLD -out NEW)",
			file);
	ERR_clear_error();
	bio = reader_of(text);
	out->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (!out->key)
		return err_set(e, ERR_INPUT, "key %s: cannot be read as a PEM private key: %s",
			       file, tls_reason());
	return 0;
}

/* ---- do they fit */

static int64_t expiry_of(const X509 *cert)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) ? (int64_t)timegm(&tm) : 0;
}

static int judge(const char *file, const char *key, const struct cert_pair *p, struct err *e)
{
	bool fits = X509_check_private_key(p->cert, p->key) == 1;

	for (int i = 0; !fits && i < sk_X509_num(p->chain); i++)
		if (X509_check_private_key(sk_X509_value(p->chain, i), p->key) == 1)
			return err_set(
				e, ERR_INPUT,
				"certificate %s: chain in the wrong order: the key belongs "
				"to certificate %d in the file, which must be the first",
				file, i + 2);
	ERR_clear_error();
	if (!fits)
		return err_set(
			e, ERR_INPUT,
			"key %s: does not match certificate %s: they must be renewed together",
			key, file);
	if (EVP_PKEY_get_security_bits(p->key) < KEY_BITS_MIN)
		return err_set(
			e, ERR_INPUT,
			"key %s: too weak (%d bits): use RSA with 2048 or more, or ECDSA", key,
			EVP_PKEY_get_bits(p->key));
	return 0;
}

/* By the rules of our handshakes: a signature with SHA-1, a weak key further up the chain. */
static int try_it(const char *file, const struct cert_pair *p, struct err *e)
{
	SSL_CTX *ctx = tls_context_new(TLS_server_method());
	bool taken;

	ERR_clear_error();
	taken = SSL_CTX_use_cert_and_key(ctx, p->cert, p->key, p->chain, 1) == 1;
	SSL_CTX_free(ctx);
	return taken ? 0
		     : err_set(e, ERR_INPUT, "certificate %s: OpenSSL refuses it: %s", file,
			       tls_reason());
}

/* text: the certificate's file, which may hold the key too. */
static int load_key(const char *file, const char *key, const struct buf *text,
		    struct cert_pair *out, struct err *e)
{
	struct buf other = { 0 };
	char *beside = NULL;
	int rc;

	if (!key && holds(text, "PRIVATE KEY-----")) {
		rc = parse_key(file, text, out, e);
		return rc < 0 ? -1 : judge(file, file, out, e);
	}
	if (!key) {
		key = beside = cert_key_beside(file);
		if (!beside || access(beside, F_OK) < 0) {
			err_set(e, ERR_INPUT,
				"certificate %s: holds no private key, and there is no %s",
				file, beside ? beside : "setting that names one");
			free(beside);
			return -1;
		}
	}
	rc = read_file("key", key, &other, e);
	if (rc == 0)
		rc = parse_key(key, &other, out, e);
	if (rc == 0)
		rc = judge(file, key, out, e);
	buf_wipe(&other);
	free(beside);
	return rc;
}

int cert_pair_load(const char *file, const char *key, struct cert_pair *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = read_file("certificate", file, &text, e);

	*out = (struct cert_pair){ 0 };
	if (rc == 0)
		rc = parse_certificates(file, &text, out, e);
	if (rc == 0)
		rc = load_key(file, key, &text, out, e);
	if (rc == 0)
		rc = try_it(file, out, e);
	buf_wipe(&text);
	if (rc < 0)
		cert_pair_release(out);
	else
		out->not_after_s = expiry_of(out->cert);
	return rc;
}

void cert_pair_release(struct cert_pair *p)
{
	X509_free(p->cert);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	*p = (struct cert_pair){ 0 };
}

int cert_expiry(const char *file, int64_t *not_after_s, struct err *e)
{
	struct cert_pair p = { 0 };
	struct buf text = { 0 };
	int rc = read_file("certificate", file, &text, e);

	if (rc == 0)
		rc = parse_certificates(file, &text, &p, e);
	if (rc == 0)
		*not_after_s = expiry_of(p.cert);
	buf_wipe(&text);
	cert_pair_release(&p);
	return rc;
}

void cert_day(int64_t at_s, char out[16])
{
	time_t t = (time_t)at_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm))
		snprintf(out, 16, "?");
}
