/* Hides: OpenSSL's options, how a backend's certificate is judged, and how a refusal becomes
 * words. */
#include "certs/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "common/buf.h"
#include "common/clock.h"

#define PIN_PREFIX    "sha256:"
#define PIN_TEXT_SIZE 72 /* prefix, 64 digits, NUL */
#define NAMES_SHOWN   4	 /* of a certificate that is for somebody else */

struct tls_client {
	SSL_CTX *ctx;
	char *name;
	char *ca_file;
	bool is_address;
	bool pinned;
	unsigned char pin[SHA256_DIGEST_LENGTH];
	SSL_SESSION *last;   /* ours; connections get copies */
	int64_t verified_ms; /* monotonic: the full handshake that `last` goes back to */
};

/* Why a certificate was refused, kept at its SSL: OpenSSL forgets the certificate itself. */
static int words_index = -1;
static pthread_once_t words_once = PTHREAD_ONCE_INIT;

static void words_free(void *parent UNUSED, void *words, CRYPTO_EX_DATA *ad UNUSED,
		       int index UNUSED, long argl UNUSED, void *argp UNUSED)
{
	free(words);
}

static void words_register(void)
{
	words_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, words_free);
}

/* ---- pins */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int pin_parse(const char *text, unsigned char out[SHA256_DIGEST_LENGTH])
{
	size_t prefix = sizeof PIN_PREFIX - 1;

	if (!text || strncmp(text, PIN_PREFIX, prefix) != 0)
		return -1;
	text += prefix;
	if (strlen(text) != 2 * SHA256_DIGEST_LENGTH)
		return -1;
	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

static void pin_show(const unsigned char digest[SHA256_DIGEST_LENGTH], char out[PIN_TEXT_SIZE])
{
	size_t at = sizeof PIN_PREFIX - 1;

	memcpy(out, PIN_PREFIX, at);
	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++)
		snprintf(out + at + 2 * i, 3, "%02x", digest[i]);
}

static void spki_digest(X509 *cert, unsigned char out[SHA256_DIGEST_LENGTH])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	ASSERT(n > 0);
	SHA256(der, (size_t)n, out);
	OPENSSL_free(der);
}

bool tls_pin_valid(const char *pin)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	return pin_parse(pin, digest) == 0;
}

void tls_pin_of(X509 *cert, char out[PIN_TEXT_SIZE])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	spki_digest(cert, digest);
	pin_show(digest, out);
}

/* ---- a certificate in words */

/* What a certificate says about itself is foreign text and ends on a person's terminal. */
static void add_printable(struct buf *b, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';

		buf_add(b, &c, 1);
	}
}

static void add_address(struct buf *b, const ASN1_OCTET_STRING *address)
{
	int n = ASN1_STRING_length(address);
	char text[INET6_ADDRSTRLEN];

	if ((n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6,
					     ASN1_STRING_get0_data(address), text, sizeof text))
		buf_add_str(b, text);
}

static void add_common_name(struct buf *b, const X509_NAME *of)
{
	char cn[128];
	int n = X509_NAME_get_text_by_NID(of, NID_commonName, cn, sizeof cn);

	if (n > 0)
		add_printable(b, (unsigned char *)cn, (size_t)MIN(n, (int)sizeof cn - 1));
	else
		buf_add_str(b, "nobody");
}

/* "mail.example.net, imap.example.net and 3 more" */
static void add_names(struct buf *b, X509 *cert)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int shown = 0, more = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type != GEN_DNS && g->type != GEN_IPADD)
			continue;
		if (shown == NAMES_SHOWN) {
			more++;
			continue;
		}
		buf_add_str(b, shown++ ? ", " : "");
		if (g->type == GEN_DNS)
			add_printable(b, ASN1_STRING_get0_data(g->d.dNSName),
				      (size_t)ASN1_STRING_length(g->d.dNSName));
		else
			add_address(b, g->d.iPAddress);
	}
	GENERAL_NAMES_free(all);
	if (!shown)
		add_common_name(b, X509_get_subject_name(cert));
	if (more)
		buf_printf(b, " and %d more", more);
}

static void add_day(struct buf *b, const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm))
		buf_printf(b, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	else
		buf_add_str(b, "a day that cannot be read");
}

static void add_refusal(struct buf *b, const struct tls_client *c, X509_STORE_CTX *store,
			int why)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	X509 *at = X509_STORE_CTX_get_current_cert(store);

	at = at ? at : leaf;
	switch (why) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		buf_add_str(b, "certificate is for ");
		add_names(b, leaf);
		buf_printf(b, ", not for %s", c->name);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		buf_printf(b, "%s expired on ",
			   at == leaf ? "certificate" : "its CA's certificate");
		add_day(b, X509_get0_notAfter(at));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		buf_printf(b, "%s is valid only from ",
			   at == leaf ? "certificate" : "its CA's certificate");
		add_day(b, X509_get0_notBefore(at));
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_UNTRUSTED:
		buf_add_str(b, "certificate is signed by \"");
		add_common_name(b, X509_get_issuer_name(at));
		buf_printf(b, "\", a CA that is not in %s",
			   c->ca_file ? c->ca_file
				      : "the system's store; tls_ca_file names others");
		break;
	default:
		buf_printf(b, "certificate: %s", X509_verify_cert_error_string(why));
	}
}

/* ---- judging it */

static void keep_words(X509_STORE_CTX *store, struct buf *b)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct slice s = buf_slice(b);

	free(SSL_get_ex_data(ssl, words_index));
	SSL_set_ex_data(ssl, words_index, mem_strn(s.p, s.n));
	buf_release(b);
}

static int judge_pin(const struct tls_client *c, X509_STORE_CTX *store)
{
	unsigned char seen[SHA256_DIGEST_LENGTH];
	char seen_text[PIN_TEXT_SIZE], want_text[PIN_TEXT_SIZE];
	struct buf b = { 0 };

	spki_digest(X509_STORE_CTX_get0_cert(store), seen);
	if (memcmp(seen, c->pin, sizeof seen) == 0) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	pin_show(seen, seen_text);
	pin_show(c->pin, want_text);
	buf_printf(&b, "certificate's key is %s, not the pinned %s", seen_text, want_text);
	keep_words(store, &b);
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* Called in the handshake instead of X509_verify_cert(). A pin says all: chain and name do not
 * count. */
static int judge(X509_STORE_CTX *store, void *client)
{
	const struct tls_client *c = client;
	struct buf b = { 0 };

	if (c->pinned)
		return judge_pin(c, store);
	if (X509_verify_cert(store) == 1)
		return 1;
	add_refusal(&b, c, store, X509_STORE_CTX_get_error(store));
	keep_words(store, &b);
	return 0;
}

/* ---- contexts */

SSL_CTX *tls_context_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		BUG("OpenSSL gives no context");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* Thousands of idle sessions: the record buffers are most of what they would cost. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

/* The system's error if there is one, else the last entry: decoders leave false trails before
 * it. */
const char *tls_reason(void)
{
	const char *reason = NULL;
	unsigned long code;

	while ((code = ERR_get_error()) != 0) {
		if (ERR_SYSTEM_ERROR(code)) {
			reason = strerror(ERR_GET_REASON(code));
			break;
		}
		reason = ERR_reason_error_string(code);
	}
	ERR_clear_error();
	return reason ? reason : "no reason given";
}

/*
 * A new ticket: the next connection resumes from the newest one. Copies on the way in and out,
 * because SSL_free() of a connection that ended without close_notify spoils the session object
 * it holds.
 */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!SSL_session_reused(ssl))
		c->verified_ms = clock_mono_ms();
	SSL_SESSION_free(c->last);
	c->last = SSL_SESSION_dup(session);
	return 0;
}

/* Each resumption brings the next ticket, without end: a certificate that has run out or was
 * replaced would never be noticed. */
static void offer_session(const struct tls_client *c, SSL *ssl)
{
	bool fresh = c->last && clock_mono_ms() - c->verified_ms < TLS_VERIFY_MS;
	SSL_SESSION *copy = fresh ? SSL_SESSION_dup(c->last) : NULL;

	if (copy)
		SSL_set_session(ssl, copy);
	SSL_SESSION_free(copy);
}

static int trust(struct tls_client *c, struct err *e)
{
	ERR_clear_error();
	if (c->pinned)
		return 0;
	if (c->ca_file) {
		if (SSL_CTX_load_verify_file(c->ctx, c->ca_file) != 1)
			return err_set(e, ERR_INPUT, "CA file %s: %s", c->ca_file,
				       tls_reason());
	} else if (SSL_CTX_set_default_verify_paths(c->ctx) != 1) {
		return err_set(e, ERR_INPUT, "the system's CA store: %s", tls_reason());
	}
	return 0;
}

static int expect(struct tls_client *c, struct err *e)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(c->ctx);
	unsigned char address[16];

	c->is_address = inet_pton(AF_INET, c->name, address) == 1 ||
			inet_pton(AF_INET6, c->name, address) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (c->is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, c->name)
			  : X509_VERIFY_PARAM_set1_host(param, c->name, 0))
		return 0;
	return err_set(e, ERR_INPUT, "\"%s\" is no name that a certificate can carry", c->name);
}

int tls_client_new(const struct tls_peer *peer, struct tls_client **out, struct err *e)
{
	struct tls_client *c = mem_new(sizeof *c);

	pthread_once(&words_once, words_register);
	c->ctx = tls_context_new(TLS_client_method());
	c->name = mem_str(peer->name);
	c->ca_file = mem_str(peer->ca_file);
	c->pinned = peer->pin != NULL;
	SSL_CTX_set_app_data(c->ctx, c);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(c->ctx, judge, c);
	SSL_CTX_set_session_cache_mode(c->ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
	/* An empty host would switch the check of the name off. */
	if (!c->name || !c->name[0]) {
		err_set(e, ERR_INPUT, "no name to verify the certificate by");
		goto fail;
	}
	if (c->pinned && pin_parse(peer->pin, c->pin) < 0) {
		err_set(e, ERR_INPUT, "pin \"%s\" is not sha256: and 64 hex digits", peer->pin);
		goto fail;
	}
	if (trust(c, e) < 0 || expect(c, e) < 0)
		goto fail;
	*out = c;
	return 0;
fail:
	tls_client_free(&c);
	return -1;
}

void tls_client_free(struct tls_client **c)
{
	if (!*c)
		return;
	SSL_SESSION_free((*c)->last);
	SSL_CTX_free((*c)->ctx);
	free((*c)->name);
	free((*c)->ca_file);
	mem_free(c);
}

SSL *tls_client_start(struct tls_client *c, int fd)
{
	SSL *ssl = SSL_new(c->ctx);

	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		BUG("OpenSSL gives no connection");
	/* RFC 6066 3: literal addresses are not permitted as a server name. */
	if (!c->is_address)
		SSL_set_tlsext_host_name(ssl, c->name);
	offer_session(c, ssl);
	SSL_set_connect_state(ssl);
	return ssl;
}

/* ---- a failed handshake in words */

/* What people meet most often; the rest keeps OpenSSL's own words. */
static const struct {
	int reason;
	const char *words;
} known[] = {
	{ SSL_R_WRONG_VERSION_NUMBER,
	  "the other side does not speak TLS (a clear-text port?)" },
	{ SSL_R_HTTP_REQUEST, "the other side speaks HTTP" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "the other side offers only versions before TLS 1.2" },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the other side refuses TLS 1.2 and newer" },
	{ SSL_R_NO_SHARED_CIPHER, "no cipher in common" },
	{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the other side refused: nothing in common" },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA,
	  "the other side does not know the CA of our certificate" },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the other side does not accept our certificate" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
	  "the other side does not accept our certificate" },
	{ SSL_R_TLSV1_UNRECOGNIZED_NAME, "the other side has no certificate for that name" },
	{ SSL_R_NO_APPLICATION_PROTOCOL,
	  "another protocol than this port's was asked for (ALPN)" },
	{ SSL_R_CALLBACK_FAILED, "no certificate here for the name asked for (SNI)" },
	{ SSL_R_CERT_CB_ERROR, "no certificate that can be used for the name asked for (SNI)" },
};

static const char *reason_words(unsigned long code)
{
	for (size_t i = 0; i < COUNT(known); i++)
		if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == known[i].reason)
			return known[i].words;
	return ERR_reason_error_string(code);
}

void tls_explain(const SSL *ssl, struct err *e)
{
	const char *words = words_index < 0 ? NULL : SSL_get_ex_data(ssl, words_index);
	int broken = errno;
	unsigned long code = ERR_peek_error();
	struct tls_client *c =
		SSL_is_server(ssl) ? NULL : SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	ERR_clear_error();
	/* A server that chokes on a resumed session gets a full handshake next time. */
	if (c) {
		SSL_SESSION_free(c->last);
		c->last = NULL;
	}
	if (words)
		err_set(e, ERR_TLS, "%s", words);
	else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
		 ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		err_set(e, ERR_TEMP, "connection closed during the TLS handshake");
	else if (code && !ERR_SYSTEM_ERROR(code))
		err_set(e, ERR_TLS, "TLS handshake: %s",
			reason_words(code) ? reason_words(code) : "failed without a reason");
	else
		err_set(e, ERR_TEMP, "TLS handshake: %s",
			broken ? strerror(broken) : "connection closed");
}
