/* Hides: OpenSSL's callbacks: whose certificate, which protocol, which ticket. */
#include "certs/server.h"

#include <openssl/err.h>
#include <openssl/sha.h>

#include "certs/tls.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

#define DAY_S 86400

struct tls_server {
	SSL_CTX *ctx; /* with the default certificate */
	struct cert_set *standard;
	struct cert_folder *folder; /* NULL: none */
	struct tickets *tickets;
	char *folder_path;
	int ticket_life_s;
	int64_t warned_day;
};

/* ---- the name asked for */

/* RFC 6066 3: a list of names with their types; "" if there is none that can be a host. */
static void asked_name(SSL *ssl, char out[CERT_NAME_MAX + 1])
{
	const unsigned char *p;
	size_t n, len;

	out[0] = '\0';
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5)
		return;
	len = (size_t)p[3] << 8 | p[4];
	if (p[2] != TLSEXT_NAMETYPE_host_name || len > n - 5 ||
	    !cert_name_normal((const char *)p + 5, len, out))
		out[0] = '\0';
}

static bool can_serve(struct tls_server *s, const char *name)
{
	return cert_set_usable(s->standard) ||
	       (s->folder && *name && cert_folder_knows(s->folder, name));
}

/*
 * Before a session is looked for: a ticket is good only for the name it was given for (RFC 6066
 * 3), so the name is part of the session's context.
 */
static int on_client_hello(SSL *ssl, int *alert, void *server)
{
	unsigned char context[SHA256_DIGEST_LENGTH];
	char name[CERT_NAME_MAX + 1];

	asked_name(ssl, name);
	if (!can_serve(server, name)) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	SHA256((const unsigned char *)name, strlen(name), context);
	SSL_set_session_id_context(ssl, context, sizeof context);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* Not called for a session that is resumed. */
static int on_certificate(SSL *ssl, void *server)
{
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct tls_server *s = server;
	const struct cert_set *set = NULL;
	char name[CERT_NAME_MAX + 1];
	struct err e = { 0 };

	if (s->folder && asked && cert_name_normal(asked, strlen(asked), name))
		set = cert_folder_find(s->folder, name);
	if (!set)
		return cert_set_usable(s->standard);
	if (cert_set_show(set, ssl, &e) == 0)
		return 1;
	log_error(NULL, "%s", e.text);
	return 0;
}

/* ---- the protocol */

/* RFC 7301 3.2: a client that offers only foreign protocols must not be talked to (ALPACA). */
static int on_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		       const unsigned char *offered, unsigned n, void *server UNUSED)
{
	const char *ours = SSL_get_app_data(ssl);

	for (unsigned i = 0; i < n && offered[i] <= n - i - 1; i += 1u + offered[i]) {
		if (!slice_is((struct slice){ (const char *)offered + i + 1, offered[i] },
			      ours))
			continue;
		*out = offered + i + 1;
		*out_n = offered[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* RFC 8446 C.4: a client shall use a ticket but once, so each TLS 1.3 resumption brings the
 * next one. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int sealing)
{
	struct tls_server *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	int result;

	if (sealing)
		return tickets_seal(s->tickets, name, iv, cipher, mac);
	result = tickets_unseal(s->tickets, name, iv, cipher, mac);
	return result == 1 && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : result;
}

/* ---- the context */

static SSL_CTX *context_new(struct tls_server *s)
{
	SSL_CTX *ctx = tls_context_new(TLS_server_method());

	/* ECDSA costs a third of RSA and comes first in our lists; the client's order does not
	 * count. */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* Tickets without a table of sessions: nothing here grows with the number of clients.
	 */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_timeout(ctx, s->ticket_life_s);
	SSL_CTX_set_app_data(ctx, s);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, s);
	SSL_CTX_set_cert_cb(ctx, on_certificate, s);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocol, s);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	return ctx;
}

/* Connections under way keep the context they began with. */
static int renew_context(struct tls_server *s, const struct cert_set *standard, struct err *e)
{
	SSL_CTX *ctx = context_new(s);

	if (cert_set_give(standard, ctx, e) < 0) {
		SSL_CTX_free(ctx);
		return -1;
	}
	SSL_CTX_free(s->ctx);
	s->ctx = ctx;
	return 0;
}

/* even_so: the context is due for another reason. */
static void follow_standard(struct tls_server *s, bool even_so)
{
	struct err e = { 0 };

	if ((cert_set_look(s->standard) || even_so) && renew_context(s, s->standard, &e) < 0)
		log_error(NULL, "%s", e.text);
}

static struct cert_set *standard_of(const struct tls_server_conf *conf)
{
	struct cert_set *set = cert_set_new();

	if (conf->certificate)
		cert_set_add(set, conf->certificate, conf->key);
	if (conf->second_certificate)
		cert_set_add(set, conf->second_certificate, conf->second_key);
	return set;
}

static int take_standard(struct tls_server *s, const struct tls_server_conf *conf,
			 struct err *e)
{
	struct cert_set *set = standard_of(conf);

	if (s->standard && cert_set_same_files(s->standard, set)) {
		cert_set_free(&set);
		cert_set_hurry(s->standard);
		follow_standard(s, true);
		return 0;
	}
	if (cert_set_load(set, e) < 0 || renew_context(s, set, e) < 0) {
		cert_set_free(&set);
		return -1;
	}
	cert_set_free(&s->standard);
	s->standard = set;
	return 0;
}

static int take_folder(struct tls_server *s, const struct tls_server_conf *conf, struct err *e)
{
	bool same = s->folder && conf->folder && strcmp(s->folder_path, conf->folder) == 0;
	struct cert_folder *fresh = NULL;

	if (same) {
		cert_folder_reload(s->folder, (size_t)conf->loaded_max);
		return 0;
	}
	if (conf->folder &&
	    cert_folder_open(conf->folder, (size_t)conf->loaded_max, &fresh, e) < 0)
		return -1;
	cert_folder_free(&s->folder);
	free(s->folder_path);
	s->folder = fresh;
	s->folder_path = mem_str(conf->folder);
	return 0;
}

/* ---- public */

int tls_server_new(const struct tls_server_conf *conf, struct tls_server **out, struct err *e)
{
	struct tls_server *s = mem_new(sizeof *s);

	s->ticket_life_s = conf->ticket_life_s;
	*out = s;
	if (tickets_open(conf->run_dir, conf->ticket_life_s, &s->tickets, e) == 0 &&
	    take_standard(s, conf, e) == 0 && take_folder(s, conf, e) == 0)
		return 0;
	tls_server_free(out);
	return -1;
}

void tls_server_free(struct tls_server **s)
{
	if (!*s)
		return;
	SSL_CTX_free((*s)->ctx);
	cert_set_free(&(*s)->standard);
	cert_folder_free(&(*s)->folder);
	tickets_free(&(*s)->tickets);
	free((*s)->folder_path);
	mem_free(s);
}

SSL *tls_server_start(struct tls_server *s, const char *alpn)
{
	SSL *ssl;

	follow_standard(s, false);
	ssl = SSL_new(s->ctx);
	if (!ssl)
		BUG("OpenSSL gives no connection");
	SSL_set_app_data(ssl, (char *)(uintptr_t)alpn);
	SSL_set_accept_state(ssl);
	return ssl;
}

int tls_server_reload(struct tls_server *s, const struct tls_server_conf *conf, struct err *e)
{
	int rc = 0;

	s->ticket_life_s = conf->ticket_life_s;
	tickets_set_life(s->tickets, conf->ticket_life_s);
	if (take_standard(s, conf, e) < 0) {
		rc = err_wrap(e, "the certificates loaded before stay in use");
		log_error(NULL, "reload: %s", e->text);
	}
	if (take_folder(s, conf, e) < 0) {
		rc = err_wrap(e, "the folder read before stays in use");
		log_error(NULL, "reload: %s", e->text);
	}
	return rc;
}

static void warn_standard(struct tls_server *s)
{
	int64_t end = cert_set_not_after(s->standard), now = clock_real_ms() / 1000;
	char day[16];

	if (!end || end - now >= CERT_WARN_DAYS * (int64_t)DAY_S ||
	    s->warned_day == now / DAY_S)
		return;
	s->warned_day = now / DAY_S;
	cert_day(end, day);
	log_warn(NULL, "tls.certificate: %s on %s: renew it",
		 end <= now ? "expired" : "expires", day);
}

void tls_server_tick(struct tls_server *s)
{
	warn_standard(s);
	if (s->folder)
		cert_folder_survey(s->folder);
}

void tls_server_expiry(const struct tls_server *s, cert_expiry_fn *fn, void *arg)
{
	if (cert_set_usable(s->standard))
		fn("", cert_set_not_after(s->standard), arg);
	if (s->folder)
		cert_folder_expiry(s->folder, fn, arg);
}
