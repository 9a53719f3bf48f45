/* Hides: which settings depend on each other. */
#include "config/lookup_address.h"
#include "config/settings_check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include "common/seal.h"
#include "common/store.h"
#include "config/folder_rules.h"
#include "common/wire/endpoint.h"
#include "common/wire/http_head.h"
#include "common/wire/sasl.h"

/* Who asks is named: root can read what the programs cannot that it starts. */
static void cannot_read(struct mistakes *m, unsigned line, const char *what, const char *path)
{
	int why = errno;
	const struct passwd *account = why == EACCES ? getpwuid(geteuid()) : NULL;

	if (account)
		mistake_add(m, line, "%s: cannot read %s: %s; the account %s must be able to",
			    what, path, strerror(why), account->pw_name);
	else
		mistake_add(m, line, "%s: cannot read %s: %s", what, path, strerror(why));
}

static void check_file(const char *path, unsigned line, const char *what, struct mistakes *m)
{
	struct stat st;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		cannot_read(m, line, what, path);
		return;
	}
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		mistake_add(m, line, "%s: %s is no file", what, path);
	close(fd);
}

static void check_required(const struct scan *scan, struct mistakes *m)
{
	for (size_t i = 0; i < scan->section_count; i++) {
		const struct scan_section *in = &scan->sections[i];

		for (size_t k = 0; k < setting_row_count; k++)
			if (setting_rows[k].required && setting_rows[k].section == in->kind &&
			    !scan_has(scan, in->kind, in->title, setting_rows[k].name))
				mistake_add(m, in->line, "%s: %s is missing",
					    section_shown(in->kind, in->title),
					    setting_rows[k].name);
	}
}

static void check_offered(const struct settings *s, const struct listener_conf *l,
			  unsigned line, struct mistakes *m)
{
	for (int side = 0; side < SIDES; side++)
		if (s->backend[side].host && s->backend[side].port[l->proto] == 0)
			mistake_add(m, line,
				    "listener \"%s\": protocol %s, but backend \"%s\" offers "
				    "none (%s_port = 0)",
				    l->name, protocol_kind_name(l->proto),
				    side_name((enum side)side), protocol_kind_name(l->proto));
}

static void check_trusted(const struct listener_conf *l, const struct scan *scan,
			  struct mistakes *m)
{
	struct slice bad;

	if (l->proxy_protocol && !l->trusted)
		mistake_add(
			m, scan_line(scan, SECTION_LISTENER, l->name, "proxy_protocol"),
			"listener \"%s\": proxy_protocol without trusted: name the networks "
			"of your load balancers, or anybody could claim any address",
			l->name);
	if (l->trusted && networks_check(l->trusted, &bad) < 0)
		mistake_add(m, scan_line(scan, SECTION_LISTENER, l->name, "trusted"),
			    "listener \"%s\": trusted: \"%.*s\" is no network: write "
			    "\"10.0.0.0/8, ::1\"",
			    l->name, (int)bad.n, bad.p);
}

/* An address of this host that the listener takes, told without a look at the system. */
static bool is_own_port(const struct listener_conf *l, const struct endpoint *to)
{
	struct endpoint at = { 0 };

	return l->port == to->port && endpoint_set_ip(&at, slice_of(l->address)) == 0 &&
	       (endpoint_same_ip(&at, to) ||
		(endpoint_is_loopback(to) && endpoint_is_any(&at)));
}

/* A login that comes back to us would go round in circles. */
static void check_circle(const struct settings *s, enum side side, const struct scan *scan,
			 struct mistakes *m)
{
	const struct backend_conf *b = &s->backend[side];
	bool here = b->host && strcmp(b->host, "localhost") == 0;
	struct endpoint to = { 0 };

	if (endpoint_set_ip(&to, slice_of(here ? "127.0.0.1" : b->host)) < 0)
		return; /* a name: each connection is looked at again */
	for (size_t i = 0; i < s->listener_count; i++) {
		const struct listener_conf *l = &s->listeners[i];

		to.port = (uint16_t)b->port[l->proto];
		if (to.port && is_own_port(l, &to))
			mistake_add(m,
				    scan_line(scan, SECTION_BACKEND, side_name(side), "host"),
				    "backend \"%s\": %s port %u is our own listener \"%s\": "
				    "logins would go round in circles",
				    side_name(side), b->host, (unsigned)to.port, l->name);
	}
}

static void check_listener(const struct settings *s, size_t index, const struct scan *scan,
			   struct mistakes *m)
{
	const struct listener_conf *l = &s->listeners[index];
	unsigned char address[16];

	if (inet_pton(AF_INET, l->address, address) != 1 &&
	    inet_pton(AF_INET6, l->address, address) != 1)
		mistake_add(m, scan_line(scan, SECTION_LISTENER, l->name, "address"),
			    "listener \"%s\": address: \"%s\" is no IP address", l->name,
			    l->address);
	check_trusted(l, scan, m);
	if (scan_has(scan, SECTION_LISTENER, l->name, "protocol"))
		check_offered(s, l, scan_line(scan, SECTION_LISTENER, l->name, "protocol"), m);
	for (size_t i = 0; i < index && l->port != 0; i++) {
		const struct listener_conf *other = &s->listeners[i];

		if (other->port != l->port || strcmp(other->address, l->address) != 0)
			continue;
		mistake_add(
			m, scan_line(scan, SECTION_LISTENER, l->name, "port"),
			"listener \"%s\": %s port %d is taken by listener \"%s\" in line %u",
			l->name, l->address, l->port, other->name,
			scan_line(scan, SECTION_LISTENER, other->name, NULL));
		break;
	}
}

static void check_listeners(const struct settings *s, const struct scan *scan,
			    struct mistakes *m)
{
	const struct listener_conf *needs = NULL;

	if (s->listener_count == 0)
		mistake_add(m, 1, "no listener: clients have no way in");
	for (size_t i = 0; i < s->listener_count; i++) {
		check_listener(s, i, scan, m);
		if (!needs && s->listeners[i].tls != TLS_NONE)
			needs = &s->listeners[i];
	}
	if (needs && !s->tls.certificate && !s->tls.folder)
		mistake_add(
			m, scan_line(scan, SECTION_LISTENER, needs->name, "tls"),
			"listener \"%s\": tls = %s, but neither tls.certificate nor tls.folder "
			"is set",
			needs->name, tls_mode_name(needs->tls));
}

static void check_folder(const char *path, unsigned line, const char *what, struct mistakes *m)
{
	DIR *dir = path ? opendir(path) : NULL;

	if (path && !dir)
		cannot_read(m, line, what, path);
	if (dir)
		closedir(dir);
}

static void check_alone(const char *key, const char *certificate, const char *names[2],
			const struct scan *scan, struct mistakes *m)
{
	if (key && !certificate)
		mistake_add(m, scan_line(scan, SECTION_TLS, NULL, names[0]),
			    "tls: %s without %s", names[0], names[1]);
}

static void check_tls(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	const struct {
		const char *path, *name, *what;
	} files[] = {
		{ s->tls.certificate, "certificate", "tls: certificate" },
		{ s->tls.key, "key", "tls: key" },
		{ s->tls.second_certificate, "second_certificate", "tls: second_certificate" },
		{ s->tls.second_key, "second_key", "tls: second_key" },
	};

	for (size_t i = 0; i < COUNT(files); i++)
		check_file(files[i].path, scan_line(scan, SECTION_TLS, NULL, files[i].name),
			   files[i].what, m);
	check_folder(s->tls.folder, scan_line(scan, SECTION_TLS, NULL, "folder"), "tls: folder",
		     m);
	check_alone(s->tls.key, s->tls.certificate, (const char *[]){ "key", "certificate" },
		    scan, m);
	check_alone(s->tls.second_certificate, s->tls.certificate,
		    (const char *[]){ "second_certificate", "certificate" }, scan, m);
	check_alone(s->tls.second_key, s->tls.second_certificate,
		    (const char *[]){ "second_key", "second_certificate" }, scan, m);
}

static void check_worker_user(const struct settings *s, const struct scan *scan,
			      struct mistakes *m)
{
	if (s->sync.worker_user && !getpwnam(s->sync.worker_user))
		mistake_add(m, scan_line(scan, SECTION_SYNC, NULL, "worker_user"),
			    "sync: worker_user: no such user: %s", s->sync.worker_user);
}

static bool is_pin(const char *pin)
{
	const char *hex = pin + sizeof "sha256:" - 1;

	return strncmp(pin, "sha256:", sizeof "sha256:" - 1) == 0 && strlen(hex) == 64 &&
	       strspn(hex, "0123456789abcdefABCDEF") == 64;
}

static bool is_master_format(const char *format)
{
	for (const char *p = strchr(format, '%'); p; p = strchr(p + 2, '%'))
		if (p[1] != 'u' && p[1] != 'm')
			return false;
	return !format[0] || (strstr(format, "%u") && strstr(format, "%m"));
}

static void check_master(const struct backend_conf *b, const char *title,
			 const struct scan *scan, struct mistakes *m)
{
	if (b->master_user && !b->master_password_file)
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "master_user"),
			    "backend \"%s\": master_user without master_password_file", title);
	if (!b->master_user && b->master_password_file)
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "master_password_file"),
			    "backend \"%s\": master_password_file without master_user", title);
	if (!is_master_format(b->master_format))
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "master_format"),
			    "backend \"%s\": master_format must be \"\" or hold %%u and %%m, "
			    "not \"%s\"",
			    title, b->master_format);
}

static void check_auth(const struct backend_conf *b, const char *title, const struct scan *scan,
		       struct mistakes *m)
{
	enum sasl_mech mech = b->auth ? sasl_mech_find(slice_of(b->auth)) : SASL_PLAIN;

	if (mech != SASL_PLAIN && !sasl_mech_is_token(mech))
		mistake_add(
			m, scan_line(scan, SECTION_BACKEND, title, "auth"),
			"backend \"%s\": auth must be plain, xoauth2 or oauthbearer, not \"%s\"",
			title, b->auth);
	if (b->token_command && mech == SASL_PLAIN)
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "token_command"),
			    "backend \"%s\": token_command needs auth = \"xoauth2\" or "
			    "\"oauthbearer\"",
			    title);
	if (b->token_command && b->token_command[0] != '/')
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "token_command"),
			    "backend \"%s\": token_command must begin with the program's whole "
			    "path",
			    title);
}

static void check_deleted(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	if (strcmp(s->sync.deleted, "copy") != 0 && strcmp(s->sync.deleted, "skip") != 0)
		mistake_add(m, scan_line(scan, SECTION_SYNC, NULL, "deleted"),
			    "sync.deleted must be copy or skip, not \"%s\"", s->sync.deleted);
}

static void check_uids(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	if (strcmp(s->sync.uids, "exact") != 0 && strcmp(s->sync.uids, "floor") != 0 &&
	    strcmp(s->sync.uids, "plain") != 0)
		mistake_add(m, scan_line(scan, SECTION_SYNC, NULL, "uids"),
			    "sync.uids must be exact, floor or plain, not \"%s\"",
			    s->sync.uids);
}

static void check_uidl(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	if (strcmp(s->pop3.uidl, "keep") != 0 && strcmp(s->pop3.uidl, "native") != 0)
		mistake_add(m, scan_line(scan, SECTION_POP3, NULL, "uidl"),
			    "pop3.uidl must be keep or native, not \"%s\"", s->pop3.uidl);
}

/* Made of %u, %n, %d and %%, and different for different users. */
static bool is_login_format(const char *format)
{
	bool names = false;

	for (const char *p = strchr(format, '%'); p; p = strchr(p + 2, '%')) {
		if (!p[1] || !strchr("und%", p[1]))
			return false;
		names = names || p[1] == 'u' || p[1] == 'n';
	}
	return names;
}

static void check_proxy_master(const struct backend_conf *b, enum side side,
			       const struct scan *scan, struct mistakes *m)
{
	const char *title = side_name(side);
	const char *other = side_name(side == SIDE_OLD ? SIDE_NEW : SIDE_OLD);

	if (!b->proxy_master_user != !b->proxy_master_password_file)
		mistake_add(m,
			    scan_line(scan, SECTION_BACKEND, title,
				      b->proxy_master_user ? "proxy_master_user"
							   : "proxy_master_password_file"),
			    "backend \"%s\": proxy_master_user and proxy_master_password_file "
			    "need each other",
			    title);
	if (b->proxy_master_user && (!b->auth_from || strcmp(b->auth_from, other) != 0))
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "proxy_master_user"),
			    "backend \"%s\": proxy_master_user needs auth_from = \"%s\": "
			    "somebody must check the clients' passwords",
			    title, other);
	if (b->auth_from && !b->proxy_master_user)
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "auth_from"),
			    "backend \"%s\": auth_from without proxy_master_user", title);
	if (!is_master_format(b->proxy_master_format))
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "proxy_master_format"),
			    "backend \"%s\": proxy_master_format must be \"\" or hold %%u and "
			    "%%m, not \"%s\"",
			    title, b->proxy_master_format);
}

static bool is_this_host(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcmp(host, "localhost") == 0;
}

bool settings_cleartext(const struct backend_conf *b, enum protocol_kind p)
{
	return b->port[p] != 0 && b->tls[p] == TLS_NONE && !is_this_host(b->host);
}

static void check_cleartext(const struct backend_conf *b, const char *title,
			    const struct scan *scan, struct mistakes *m)
{
	static const char *const names[PROTOS] = {
		[PROTO_IMAP] = "imap_tls", [PROTO_POP3] = "pop3_tls"
	};

	for (int p = 0; p < PROTOS && b->host; p++)
		if (settings_cleartext(b, (enum protocol_kind)p) && !b->allow_cleartext)
			mistake_add(m, scan_line(scan, SECTION_BACKEND, title, names[p]),
				    "backend \"%s\": %s = none would send passwords to %s in "
				    "clear text: use TLS, or set allow_cleartext = yes there",
				    title, names[p], b->host);
}

static void check_copy(const struct backend_conf *b, enum side side, const struct scan *scan,
		       struct mistakes *m)
{
	const char *title = side_name(side);
	unsigned line = scan_line(scan, SECTION_BACKEND, title, "copy");

	if (b->copy != PROTO_POP3)
		return;
	if (side == SIDE_NEW)
		mistake_add(m, line,
			    "backend \"new\": copy = pop3: mail cannot be written by POP3");
	else if (b->port[PROTO_POP3] == 0)
		mistake_add(m, line, "backend \"%s\": copy = pop3 without a pop3_port", title);
}

static void check_backend(const struct settings *s, enum side side, const struct scan *scan,
			  struct mistakes *m)
{
	const struct backend_conf *b = &s->backend[side];
	const char *title = side_name(side);
	char what[256];

	if (!scan_has(scan, SECTION_BACKEND, title, NULL)) {
		mistake_add(m, 1, "backend \"%s\" is missing", title);
		return;
	}
	check_master(b, title, scan, m);
	check_copy(b, side, scan, m);
	check_auth(b, title, scan, m);
	check_circle(s, side, scan, m);
	check_proxy_master(b, side, scan, m);
	check_cleartext(b, title, scan, m);
	if (b->login_format && !is_login_format(b->login_format))
		mistake_add(
			m, scan_line(scan, SECTION_BACKEND, title, "login_format"),
			"backend \"%s\": login_format must hold %%u or %%n (also %%d, %%%%), "
			"not \"%s\"",
			title, b->login_format);
	if (rate_times_check(b->rate_times, what, sizeof what) < 0)
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "rate_times"),
			    "backend \"%s\": rate_times: %s", title, what);
	if (b->tls_pin && !is_pin(b->tls_pin))
		mistake_add(m, scan_line(scan, SECTION_BACKEND, title, "tls_pin"),
			    "backend \"%s\": tls_pin must be \"sha256:\" and 64 hex digits",
			    title);
	snprintf(what, sizeof what, "backend \"%s\": tls_ca_file", title);
	check_file(b->tls_ca_file, scan_line(scan, SECTION_BACKEND, title, "tls_ca_file"), what,
		   m);
	snprintf(what, sizeof what, "backend \"%s\": proxy_master_password_file", title);
	check_file(b->proxy_master_password_file,
		   scan_line(scan, SECTION_BACKEND, title, "proxy_master_password_file"), what,
		   m);
	snprintf(what, sizeof what, "backend \"%s\": master_password_file", title);
	check_file(b->master_password_file,
		   scan_line(scan, SECTION_BACKEND, title, "master_password_file"), what, m);
}

static void check_store(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	struct err e = { 0 };

	if (s->store.url && store_url_check(s->store.url, &e) < 0)
		mistake_add(m, scan_line(scan, SECTION_STORE, NULL, "url"), "store: url: %s",
			    e.text);
}

/* It becomes a part of files' names. */
static void check_host(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.";
	const char *host = s->run.host;

	if (host &&
	    (!*host || strspn(host, may) != strlen(host) || strlen(host) >= PLACE_HOST_MAX))
		mistake_add(m, scan_line(scan, SECTION_RUN, NULL, "host"),
			    "run: host: \"%s\" is no name of a host: 1 to %d letters, digits, "
			    "\"-\", \"_\" and \".\"",
			    host, PLACE_HOST_MAX - 1);
}

static void check_lookup(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	const char *mark = s->lookup.extension;
	struct lookup_address a;

	if (s->lookup.listen && lookup_address_parse(s->lookup.listen, &a) < 0)
		mistake_add(m, scan_line(scan, SECTION_LOOKUP, NULL, "listen"),
			    "lookup: listen must be \"unix:/path\", \"127.0.0.1:port\" or "
			    "\"[::1]:port\", not \"%s\"",
			    s->lookup.listen);
	if (s->lookup.listen && (!s->lookup.old_transport || !s->lookup.new_transport))
		mistake_add(m, scan_line(scan, SECTION_LOOKUP, NULL, "listen"),
			    "lookup: listen needs old and new: \"smtp:[server.example.com]\"");
	if (mark && (strlen(mark) > 1 || *mark == '@'))
		mistake_add(m, scan_line(scan, SECTION_LOOKUP, NULL, "extension"),
			    "lookup: extension must be one character or \"\", not \"%s\"",
			    mark);
}

static void check_api_listen(const struct settings *s, unsigned line, struct mistakes *m)
{
	struct endpoint at;

	if (endpoint_parse(&at, slice_of(s->api.listen)) < 0)
		mistake_add(
			m, line,
			"api: listen must be an address with its port, \"127.0.0.1:8143\" or "
			"\"[::1]:8143\", not \"%s\"",
			s->api.listen);
	else if (!s->api.tls && !endpoint_is_loopback(&at))
		mistake_add(m, line,
			    "api: tls = no would send tokens to and from %s in clear text: use "
			    "TLS, or listen on 127.0.0.1 behind a proxy that speaks TLS",
			    s->api.listen);
	if (s->api.tls && !s->api.certificate && !s->tls.certificate && !s->tls.folder)
		mistake_add(m, line,
			    "api: listen needs a certificate: set api.certificate or "
			    "tls.certificate; or tls = no on a loopback address");
	if (!s->api.tokens)
		mistake_add(
			m, line,
			"api: listen needs tokens = \"/etc/mailferry/tokens\"; `mailferry token "
			"add NAME` then writes that file");
}

static void check_api(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	struct slice bad;

	if (s->api.listen)
		check_api_listen(s, scan_line(scan, SECTION_API, NULL, "listen"), m);
	check_file(s->api.certificate, scan_line(scan, SECTION_API, NULL, "certificate"),
		   "api: certificate", m);
	check_file(s->api.key, scan_line(scan, SECTION_API, NULL, "key"), "api: key", m);
	if (s->api.key && !s->api.certificate)
		mistake_add(m, scan_line(scan, SECTION_API, NULL, "key"),
			    "api: key without certificate");
	if (s->api.names && http_names_check(s->api.names, &bad) < 0)
		mistake_add(m, scan_line(scan, SECTION_API, NULL, "names"),
			    "api: names: \"%.*s\" is no host name", (int)bad.n, bad.p);
}

static void check_folder_rules(const struct settings *s, const struct scan *scan,
			       struct mistakes *m)
{
	struct folder_rules rules = { 0 };
	struct err e = { 0 };

	if (s->sync.folders && folder_rules_read(s->sync.folders, "", NULL, &rules, &e) < 0)
		mistake_add(m, scan_line(scan, SECTION_SYNC, NULL, "folders"),
			    "sync: folders: %s", e.text);
	folder_rules_release(&rules);
}

static void check_learn(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	unsigned char key[SEAL_KEY_BYTES];
	int line = scan_line(scan, SECTION_LEARN, NULL, "domains");

	if (!s->learn.domains)
		return;
	if (!s->learn.public_key || !s->learn.key_file)
		mistake_add(m, line,
			    "learn: domains needs public_key and key_file; "
			    "`mailferry learn-key FILE` makes both");
	else if (seal_key_parse(s->learn.public_key, key) < 0)
		mistake_add(
			m, scan_line(scan, SECTION_LEARN, NULL, "public_key"),
			"learn: public_key is none: 64 hex digits, as `mailferry learn-key` "
			"printed them");
}

void settings_check(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	struct slice bad;

	check_required(scan, m);
	check_listeners(s, scan, m);
	check_tls(s, scan, m);
	check_backend(s, SIDE_OLD, scan, m);
	check_backend(s, SIDE_NEW, scan, m);
	check_store(s, scan, m);
	check_host(s, scan, m);
	check_lookup(s, scan, m);
	check_api(s, scan, m);
	check_worker_user(s, scan, m);
	check_folder_rules(s, scan, m);
	check_deleted(s, scan, m);
	check_uids(s, scan, m);
	check_uidl(s, scan, m);
	check_learn(s, scan, m);
	settings_check_dns(s, scan, m);
	settings_check_opensrs(s, scan, m);
	if (s->limits.trusted && networks_check(s->limits.trusted, &bad) < 0)
		mistake_add(
			m, scan_line(scan, SECTION_LIMITS, NULL, "trusted"),
			"limits: trusted: \"%.*s\" is no network: write \"10.0.0.0/8, ::1\"",
			(int)bad.n, bad.p);
	if (s->cutover.hold_s <= s->cutover.budget_s)
		mistake_add(m,
			    scan_line(scan, SECTION_CUTOVER, NULL,
				      scan_has(scan, SECTION_CUTOVER, NULL, "hold_s")
					      ? "hold_s"
					      : "budget_s"),
			    "cutover: hold_s (%d) must be more than budget_s (%d)",
			    s->cutover.hold_s, s->cutover.budget_s);
}
