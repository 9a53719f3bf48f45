/* Hides: a small blocking IMAP and POP3 client. */
#include "admin/probe.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include "certs/tls.h"
#include "common/clock.h"
#include "common/sockets.h"
#include "common/secret.h"
#include "common/wire/imap.h"
#include "common/wire/sasl.h"

struct talk {
	struct tls_client *tls;
	SSL *ssl; /* NULL: clear text */
	int fd;
	struct buf in;
};

/* ---- bytes */

static void set_timeout(int fd, int s)
{
	struct timeval tv = { .tv_sec = s };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

static const char *why_not(void)
{
	return errno == EAGAIN || errno == EINPROGRESS ? "timed out" : strerror(errno);
}

/* A socket with a timeout does not wait on by itself when we were stopped meanwhile (Ctrl-Z and
 * fg, or a machine that slept): signal(7). */
static bool was_interrupted(void)
{
	return errno == EINTR;
}

static int connect_within(int fd, const struct addrinfo *a, int within_s)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int rc = connect(fd, a->ai_addr, a->ai_addrlen), why = 0;
	socklen_t size = sizeof why;

	if (rc == 0 || !was_interrupted())
		return rc;
	/* It is under way all the same. */
	do
		rc = poll(&p, 1, within_s * 1000);
	while (rc < 0 && was_interrupted());
	if (rc > 0)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
	errno = rc > 0 ? why : EINPROGRESS;
	return errno ? -1 : 0;
}

static int dial(struct talk *w, const char *host, int port, int connect_s, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *a;
	char service[16];
	int rc;

	snprintf(service, sizeof service, "%d", port);
	rc = getaddrinfo(host, service, &hints, &all);
	if (rc)
		return err_set(e, ERR_TEMP, "resolve %s: %s", host, gai_strerror(rc));
	for (a = all; a; a = a->ai_next) {
		w->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		set_timeout(w->fd, connect_s); /* bounds connect() too, see socket(7) */
		if (w->fd >= 0 && connect_within(w->fd, a, connect_s) == 0)
			break;
		err_set(e, ERR_TEMP, "connect %s:%d: %s", host, port, why_not());
		if (w->fd >= 0)
			close(w->fd);
		w->fd = -1;
	}
	freeaddrinfo(all);
	return w->fd < 0 ? -1 : 0;
}

static int fill(struct talk *w, struct err *e)
{
	char *room = buf_room(&w->in, 4096);
	ssize_t n;

	if (buf_len(&w->in) > PROBE_LINE_MAX)
		return err_set(e, ERR_LIMIT, "a line of more than %d bytes", PROBE_LINE_MAX);
	do {
		errno = 0;
		ERR_clear_error();
		n = w->ssl ? SSL_read(w->ssl, room, 4096) : read(w->fd, room, 4096);
	} while (n <= 0 && was_interrupted());
	if (n <= 0)
		return err_set(e, ERR_TEMP, "no answer: %s",
			       errno ? why_not() : "the server closed the connection");
	buf_wrote(&w->in, (size_t)n);
	return 0;
}

/* One line without its end; freed by the caller. NULL: *e is set. */
static char *read_line(struct talk *w, struct err *e)
{
	for (;;) {
		struct slice s = buf_slice(&w->in);
		const char *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;

		if (lf) {
			size_t n = (size_t)(lf - s.p);
			char *line = mem_strn(s.p, n && s.p[n - 1] == '\r' ? n - 1 : n);

			buf_drain(&w->in, n + 1);
			return line;
		}
		if (fill(w, e) < 0)
			return NULL;
	}
}

static int send_line(struct talk *w, const char *text, struct err *e)
{
	char *line = mem_printf("%s\r\n", text);
	int n = (int)strlen(line);
	bool ok = w->ssl ? SSL_write(w->ssl, line, n) == n : write(w->fd, line, (size_t)n) == n;

	mem_free(&line);
	return ok ? 0 : err_set(e, ERR_TEMP, "send: %s", why_not());
}

/* ---- TLS */

static void note_names(struct probe *p, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t at = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS || at >= sizeof p->names)
			continue;
		at += (size_t)snprintf(p->names + at, sizeof p->names - at, "%s%.*s",
				       at ? " " : "", ASN1_STRING_length(g->d.dNSName),
				       (const char *)ASN1_STRING_get0_data(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

static void note_certificate(struct probe *p, const SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	int seconds = 0;

	snprintf(p->tls_version, sizeof p->tls_version, "%s", SSL_get_version(ssl));
	p->secure = true;
	if (!cert)
		return;
	X509_NAME_oneline(X509_get_subject_name(cert), p->subject, sizeof p->subject);
	note_names(p, cert);
	ASN1_TIME_diff(&p->days_left, &seconds, NULL, X509_get0_notAfter(cert));
	tls_pin_of(cert, p->pin);
}

static int start_tls(struct talk *w, const struct backend_conf *b, struct probe *p,
		     struct err *e)
{
	struct tls_peer peer = { .name = b->tls_name ? b->tls_name : b->host,
				 .ca_file = b->tls_ca_file,
				 .pin = b->tls_pin };
	int done;

	/* What came before the handshake could be an attacker's. */
	if (buf_len(&w->in))
		return err_set(e, ERR_PROTOCOL, "the server spoke before the TLS handshake");
	if (tls_client_new(&peer, &w->tls, e) < 0)
		return -1;
	w->ssl = tls_client_start(w->tls, w->fd);
	do {
		errno = 0;
		ERR_clear_error();
		done = SSL_connect(w->ssl);
	} while (done != 1 && was_interrupted());
	if (done == 1) {
		note_certificate(p, w->ssl);
		return 0;
	}
	tls_explain(w->ssl, e);
	return err_wrap(e, "TLS");
}

/* ---- IMAP */

/* SASL-IR is told before login and, by some servers, after it too. */
static bool is_noted(const struct buf *words, struct slice word)
{
	struct slice all = buf_slice(words);

	while (all.n) {
		const char *lf = memchr(all.p, '\n', all.n);
		size_t n = lf ? (size_t)(lf - all.p) : all.n;

		if (n == word.n && memcmp(all.p, word.p, n) == 0)
			return true;
		n = MIN(n + 1, all.n);
		all = (struct slice){ all.p + n, all.n - n };
	}
	return false;
}

static bool is_about_login(struct slice word)
{
	return slice_starts_nocase(word, "AUTH=") || slice_is_nocase(word, "STARTTLS") ||
	       slice_is_nocase(word, "LOGINDISABLED") || slice_is_nocase(word, "SASL-IR");
}

/* Adds each word of "CAPABILITY a b …": what a client may see after login, and what is about
 * login. */
static void take_capability(struct probe *p, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, " ]");
		struct slice word = { text, n };

		if (n && is_about_login(word)) {
			if (!is_noted(&p->auth, word)) {
				buf_add(&p->auth, word.p, n);
				buf_add_str(&p->auth, "\n");
			}
		} else if (n && imap_capability_allowed(word)) {
			buf_add(&p->words, word.p, n);
			buf_add_str(&p->words, "\n");
		}
		text += n + (text[n] == ' ');
		if (*text == ']')
			return;
	}
}

/* Sends "TAG TEXT" and reads until its answer, which must be OK. */
static int imap_ask(struct talk *w, struct probe *p, const char *tag, const char *text,
		    struct err *e)
{
	char *line = mem_printf("%s %s", tag, text);
	size_t seen = 0, n = strlen(tag);
	int rc = send_line(w, line, e);

	mem_free(&line);
	while (rc == 0) {
		bool last, ok;

		line = read_line(w, e);
		if (!line)
			return -1;
		seen += strlen(line);
		last = strncmp(line, tag, n) == 0 && line[n] == ' ';
		ok = last && strncasecmp(line + n + 1, "OK", 2) == 0;
		if (strncasecmp(line, "* CAPABILITY ", 13) == 0)
			take_capability(p, line + 13);
		if (last && !ok)
			rc = err_set(e, ERR_PROTOCOL, "%s: %.200s", text, line);
		mem_free(&line);
		if (last)
			return rc;
		if (seen > PROBE_ANSWER_MAX)
			rc = err_set(e, ERR_LIMIT, "an answer of more than %d bytes",
				     PROBE_ANSWER_MAX);
	}
	return rc;
}

static int greeting(struct talk *w, struct probe *p, const char *expected, struct err *e)
{
	char *line = read_line(w, e);
	bool ok;

	if (!line)
		return err_wrap(e, "greeting");
	snprintf(p->greeting, sizeof p->greeting, "%s", line);
	ok = strncasecmp(line, expected, strlen(expected)) == 0;
	mem_free(&line);
	return ok ? 0 : err_set(e, ERR_PROTOCOL, "greeting: %.200s", p->greeting);
}

/* "%u*%m" with both names in. */
static void write_master(const struct backend_conf *b, const char *login, struct buf *out)
{
	for (const char *p = b->master_format; *p; p++) {
		if (*p == '%' && p[1])
			buf_add_str(out, *++p == 'u' ? login : b->master_user);
		else
			buf_add(out, p, 1);
	}
}

/* The base64 of PLAIN's message, on a line of its own. */
static int send_master(struct talk *w, const struct backend_conf *b, const char *login,
		       struct err *e)
{
	struct secret password = { 0 };
	struct buf name = { 0 }, out = { 0 };
	struct sasl_plain plain;
	int rc = secret_read_file(&password, b->master_password_file, e);

	if (rc == 0) {
		write_master(b, login, &name);
		plain = (struct sasl_plain){ slice_of(login), slice_of(b->master_user),
					     secret_slice(&password) };
		if (buf_len(&name))
			plain = (struct sasl_plain){ SLICE(""), buf_slice(&name),
						     plain.password };
		sasl_plain_write(&plain, &out);
		buf_add(&out, "", 1);
		rc = send_line(w, buf_slice(&out).p, e);
	}
	secret_release(&password);
	buf_release(&name);
	buf_wipe(&out);
	return rc;
}

/* Logs in as master; what it lists from then on is what clients will see. */
static int log_in(struct talk *w, const struct backend_conf *b, const char *login,
		  struct probe *p, struct err *e)
{
	char *line;
	int rc;

	if (!b->master_user)
		return err_set(e, ERR_INPUT, "no master_user is set");
	if (send_line(w, "p4 AUTHENTICATE PLAIN", e) < 0 || !(line = read_line(w, e)))
		return -1;
	rc = line[0] == '+' ? 0 : err_set(e, ERR_AUTH, "AUTHENTICATE PLAIN: %.200s", line);
	mem_free(&line);
	if (rc < 0 || send_master(w, b, login, e) < 0)
		return -1;
	do {
		line = read_line(w, e);
		if (!line)
			return -1;
		rc = strncasecmp(line, "p4 OK", 5);
		if (rc != 0 && line[0] != '*') {
			err_set(e, ERR_AUTH, "%s: %.200s", login, line);
			mem_free(&line);
			return -1;
		}
		mem_free(&line);
	} while (rc != 0);
	buf_release(&p->words);
	return imap_ask(w, p, "p5", "CAPABILITY", e);
}

static int ask_imap(struct talk *w, const struct backend_conf *b, const char *login,
		    struct probe *p, struct err *e)
{
	bool starttls = b->tls[PROTO_IMAP] == TLS_STARTTLS;

	if (greeting(w, p, "* OK", e) < 0)
		return -1;
	if (starttls && (imap_ask(w, p, "p1", "STARTTLS", e) < 0 || start_tls(w, b, p, e) < 0))
		return -1;
	if (imap_ask(w, p, "p2", "CAPABILITY", e) < 0)
		return -1;
	if (login)
		p->logged_in = log_in(w, b, login, p, &p->login_err) == 0;
	return send_line(w, "p3 LOGOUT", e);
}

/* ---- POP3 */

static int pop3_ok(struct talk *w, const char *text, struct err *e)
{
	char *line = send_line(w, text, e) < 0 ? NULL : read_line(w, e);
	int rc = -1;

	if (line)
		rc = strncasecmp(line, "+OK", 3) == 0
			     ? 0
			     : err_set(e, ERR_PROTOCOL, "%s: %.200s", text, line);
	mem_free(&line);
	return rc;
}

static int pop3_capa(struct talk *w, struct probe *p, struct err *e)
{
	if (pop3_ok(w, "CAPA", e) < 0)
		return -1;
	while (buf_len(&p->words) < PROBE_ANSWER_MAX) {
		char *line = read_line(w, e);
		bool last;

		if (!line)
			return -1;
		last = strcmp(line, ".") == 0;
		if (!last) {
			buf_add_str(&p->words, line);
			buf_add_str(&p->words, "\n");
		}
		mem_free(&line);
		if (last)
			return 0;
	}
	return err_set(e, ERR_LIMIT, "an answer of more than %d bytes", PROBE_ANSWER_MAX);
}

static int ask_pop3(struct talk *w, const struct backend_conf *b, struct probe *p,
		    struct err *e)
{
	bool starttls = b->tls[PROTO_POP3] == TLS_STARTTLS;

	if (greeting(w, p, "+OK", e) < 0)
		return -1;
	if (starttls && (pop3_ok(w, "STLS", e) < 0 || start_tls(w, b, p, e) < 0))
		return -1;
	if (pop3_capa(w, p, e) < 0)
		return -1;
	p->xclient = strncasecmp(p->greeting, "+OK [XCLIENT]", 13) == 0 ||
		     probe_has(p, SLICE("XCLIENT"));
	return send_line(w, "QUIT", e);
}

/* ---- the whole */

static int send_header(struct talk *w, const struct backend_conf *b, struct err *e)
{
	struct buf out = { 0 };
	bool ok;

	socket_own_header(w->fd, (int)b->proxy_protocol, &out);
	ok = write(w->fd, buf_slice(&out).p, buf_len(&out)) == (ssize_t)buf_len(&out);
	buf_release(&out);
	return ok ? 0 : err_set(e, ERR_TEMP, "PROXY header: %s", why_not());
}

static int ask(struct talk *w, const struct backend_conf *b, enum protocol_kind proto,
	       const char *login, struct probe *p, struct err *e)
{
	if (b->proxy_protocol != PROXY_NONE && send_header(w, b, e) < 0)
		return -1;
	if (b->tls[proto] == TLS_IMPLICIT && start_tls(w, b, p, e) < 0)
		return -1;
	return proto == PROTO_IMAP ? ask_imap(w, b, login, p, e) : ask_pop3(w, b, p, e);
}

void probe_server(struct probe *out, const struct backend_conf *b, enum protocol_kind proto,
		  const char *login, int connect_s, int io_s)
{
	struct talk w = { .fd = -1 };
	int64_t start = clock_mono_ms();

	*out = (struct probe){ 0 };
	if (dial(&w, b->host, b->port[proto], connect_s, &out->err) == 0) {
		struct endpoint own = socket_local(w.fd);

		set_timeout(w.fd, io_s);
		endpoint_ip_text(&own, out->own);
		out->reached = ask(&w, b, proto, login, out, &out->err) == 0;
	}
	SSL_free(w.ssl);
	tls_client_free(&w.tls);
	if (w.fd >= 0)
		close(w.fd);
	buf_release(&w.in);
	out->took_ms = clock_mono_ms() - start;
}

void probe_release(struct probe *p)
{
	buf_release(&p->words);
	buf_release(&p->auth);
}

bool probe_has(const struct probe *p, struct slice word)
{
	struct slice all = buf_slice(&p->words);

	while (all.n) {
		const char *lf = memchr(all.p, '\n', all.n);
		size_t n = lf ? (size_t)(lf - all.p) : all.n;

		if (n == word.n && strncasecmp(all.p, word.p, n) == 0)
			return true;
		n = MIN(n + 1, all.n);
		all.p += n;
		all.n -= n;
	}
	return false;
}
