/* Hides: what OpenSRS wants in a zone, and how a zone file writes it. */
#include "sync/dns_want.h"

#include <strings.h>

#define OPENSRS	     ".hostedemail.com."
#define OPENSRS_CUST ".cust."
#define OPENSRS_SPF  "include:_spf.hostedemail.com"
#define OPENSRS_DKIM ".dkim.hostedemail.link."
#define ALIAS	     "CNAME " /* of a name that has another one's records, whatever those are */
#define NOT_OFFERED  "0 0 0 ." /* RFC 6186 3.4 */

/* ---- values */

bool dns_value_next(const char **value, struct slice *record)
{
	const char *p = *value;
	size_t n = strcspn(p, "|");

	if (!*p)
		return false;
	*record = (struct slice){ p, n };
	*value = p + n + (p[n] == '|');
	return true;
}

/* "10 mx.a.test." -> "mx.a.test." */
static struct slice exchanger(struct slice record)
{
	const char *space = memchr(record.p, ' ', record.n);

	return space ? (struct slice){ space + 1, record.n - (size_t)(space + 1 - record.p) }
		     : record;
}

/* mx.a.test.cust.hostedemail.com is the older form of both clusters. */
static bool same_host(const struct dns_wants *w, struct slice is, struct slice want)
{
	size_t tail = sizeof OPENSRS - 1, cut = tail + 2; /* ".a" goes */

	if (is.n == want.n && strncmp(is.p, want.p, is.n) == 0)
		return true;
	return w->cluster && want.n > cut && is.n == want.n - 2 &&
	       strncmp(is.p, want.p, want.n - cut) == 0 &&
	       strncmp(is.p + is.n - tail, OPENSRS, tail) == 0;
}

static bool has_exchanger(const struct dns_wants *w, const char *value, struct slice host)
{
	struct slice r;

	while (dns_value_next(&value, &r))
		if (same_host(w, host, exchanger(r)))
			return true;
	return false;
}

bool dns_mx_is_new(const struct dns_wants *w, const char *value)
{
	const char *wanted = dns_wants_mx(w)->value;
	struct slice r;

	if (!*value)
		return false;
	while (dns_value_next(&value, &r))
		if (slice_starts_nocase(r, ALIAS) || !has_exchanger(w, wanted, exchanger(r)))
			return false;
	return true;
}

bool dns_is_wanted(const struct dns_wants *w, const struct dns_want *want, const char *value)
{
	char *cname;
	bool same;

	switch (want->role) {
	case DNS_ROLE_MX:
		return dns_mx_is_new(w, value);
	case DNS_ROLE_HOST:
		cname = mem_printf("CNAME %s", want->value);
		same = same_host(w, slice_of(value), slice_of(cname));
		mem_free(&cname);
		return same;
	case DNS_ROLE_SRV:
	case DNS_ROLE_DKIM:
	case DNS_ROLE_NS:
	case DNS_ROLE_SPF:
	case DNS_ROLE_SOA:
		break;
	}
	return strcmp(value, want->value) == 0;
}

const struct dns_want *dns_leader(const struct dns_wants *w, const struct dns_want *want,
				  const char *value)
{
	char alias[DNS_HOST_MAX + 8];

	for (size_t i = 0; i < w->count && want->role == DNS_ROLE_HOST; i++) {
		snprintf(alias, sizeof alias, "CNAME %s", w->at[i].name);
		if (&w->at[i] != want && w->at[i].role == DNS_ROLE_HOST &&
		    strcmp(w->at[i].value, want->value) == 0 && strcmp(alias, value) == 0)
			return &w->at[i];
	}
	return NULL;
}

const char *dns_other_cluster(const struct dns_wants *w, const char *value)
{
	static const char *const letters[] = { "a", "b" };

	for (size_t i = 0; w->cluster && i < COUNT(letters); i++) {
		char part[64];

		snprintf(part, sizeof part, OPENSRS_CUST "%s" OPENSRS, letters[i]);
		if (letters[i][0] != w->cluster && strstr(value, part))
			return letters[i];
	}
	return "";
}

/* ---- what is wanted */

/* Too long a name is cut; no server has it then. */
static void join(const char *below, const char *domain, char out[DNS_HOST_MAX])
{
	size_t n = (size_t)snprintf(out, DNS_HOST_MAX, "%s%s", below, *below ? "." : "");

	if (n < DNS_HOST_MAX)
		snprintf(out + n, DNS_HOST_MAX - n, "%s", domain);
}

static struct dns_want *add(struct dns_wants *w, enum dns_role role, unsigned type,
			    const char *below, char *value)
{
	struct dns_want *want;

	w->at = mem_grow(w->at, w->count + 1, sizeof *w->at);
	want = &w->at[w->count++];
	*want = (struct dns_want){ .role = role, .type = type, .value = value };
	join(below, w->domain, want->name);
	snprintf(want->label, sizeof want->label, "%s%s%s", below, *below ? " " : "",
		 dns_type_name(type));
	if (role == DNS_ROLE_HOST)
		snprintf(want->label, sizeof want->label, "%s", below);
	if (role == DNS_ROLE_SPF)
		snprintf(want->label, sizeof want->label, "SPF");
	return want;
}

/* "cust" of the cluster for this prefix: "mail.a.test.cust.a.hostedemail.com." */
static char *cust(const struct dns_wants *w, const char *prefix)
{
	return mem_printf("%s.%s" OPENSRS_CUST "%c" OPENSRS, prefix, w->shown, w->cluster);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a list, each made to text by `make`, sorted, as one value. */
static char *value_of(const char *list, int (*make)(struct slice, char *))
{
	char text[DNS_HOST_MAX + 8], *at[DNS_RECORDS_MAX];
	struct buf value = { 0 };
	struct slice word;
	size_t n = 0;

	while (n < COUNT(at) && dns_word(&list, &word))
		if (make(word, text) == 0)
			at[n++] = mem_str(text);
	if (n)
		qsort(at, n, sizeof *at, by_text);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&value, "%s%s", i ? "|" : "", at[i]);
		mem_free(&at[i]);
	}
	buf_add(&value, "", 1);
	return value.at;
}

static void add_mx(struct dns_wants *w, const struct dns_target *t)
{
	char *host = w->cluster ? cust(w, "mx") : NULL;

	add(w, DNS_ROLE_MX, ns_t_mx, "",
	    host ? mem_printf("10 %s", host) : value_of(t->mx, dns_mx));
	mem_free(&host);
}

static char *host_value(const struct dns_wants *w, const struct dns_target *t, bool webmail)
{
	char host[DNS_HOST_MAX] = "";

	if (w->cluster)
		return cust(w, webmail ? "webmail" : "mail");
	if (dns_host(slice_of(webmail && t->webmail ? t->webmail : t->host), host) < 0)
		host[0] = '\0';
	return mem_str(host);
}

static void add_hosts(struct dns_wants *w, const struct dns_target *t)
{
	const char *names = t->names;
	char below[DNS_HOST_MAX];
	struct slice word;
	size_t n = 0;

	while (n < DNS_NAMES_MAX && dns_word(&names, &word)) {
		if (dns_host(word, below) < 0 ||
		    strlen(below) + strlen(w->domain) >= DNS_HOST_MAX)
			continue;
		below[strlen(below) - 1] = '\0';
		add(w, DNS_ROLE_HOST, ns_t_a, below,
		    host_value(w, t, strcmp(below, "webmail") == 0));
		n++;
	}
}

/* RFC 6186, and RFC 8314 for _submissions. A target below the customer's own domain would not
 * match OpenSRS's certificate. */
static void add_srv(struct dns_wants *w, const struct dns_target *t)
{
	static const struct {
		const char *name, *value; /* NULL: not offered */
	} rows[] = {
		{ "_imaps._tcp", "0 1 993" },
		{ "_pop3s._tcp", "10 1 995" },
		{ "_submissions._tcp", "0 1 465" },
		{ "_submission._tcp", "0 1 587" },
		{ "_imap._tcp", NULL },
		{ "_pop3._tcp", NULL },
	};
	char *host = !w->cluster	 ? host_value(w, t, false)
		     : w->cluster == 'a' ? mem_str("mail" OPENSRS)
					 : mem_printf("mail.%c" OPENSRS, w->cluster);

	for (size_t i = 0; i < COUNT(rows); i++)
		add(w, DNS_ROLE_SRV, ns_t_srv, rows[i].name,
		    rows[i].value ? mem_printf("%s %s", rows[i].value, host)
				  : mem_str(NOT_OFFERED));
	mem_free(&host);
}

static void add_dkim(struct dns_wants *w)
{
	static const char *const keys[] = { "key1", "key2" };
	char below[32];

	for (size_t i = 0; w->cluster && i < COUNT(keys); i++) {
		snprintf(below, sizeof below, "%s._domainkey", keys[i]);
		add(w, DNS_ROLE_DKIM, ns_t_cname, below,
		    mem_printf("%s.%s" OPENSRS_DKIM, keys[i], w->shown));
	}
}

int dns_wants_make(struct dns_wants *w, const char *domain, const struct dns_target *t,
		   struct err *e)
{
	*w = (struct dns_wants){ 0 };
	if (dns_host(slice_of(domain), w->domain) < 0)
		return err_set(e, ERR_INPUT, "\"%s\" is no domain's name", domain);
	snprintf(w->shown, sizeof w->shown, "%.*s", (int)strlen(w->domain) - 1, w->domain);
	if (!t->kind)
		return err_set(e, ERR_INPUT,
			       "%s: it is not known what new is: set dns.new to " DNS_OPENSRS_A
			       ", " DNS_OPENSRS_B " or " DNS_OTHER,
			       w->shown);
	w->cluster = strcmp(t->kind, DNS_OPENSRS_A) == 0   ? 'a'
		     : strcmp(t->kind, DNS_OPENSRS_B) == 0 ? 'b'
							   : '\0';
	add_mx(w, t);
	add_hosts(w, t);
	add(w, DNS_ROLE_SPF, ns_t_txt, "",
	    mem_str(w->cluster ? OPENSRS_SPF
		    : t->spf   ? t->spf
			       : ""));
	add_dkim(w);
	add_srv(w, t);
	add(w, DNS_ROLE_NS, ns_t_ns, "", value_of(t->servers, dns_host));
	add(w, DNS_ROLE_SOA, ns_t_soa, "", mem_str(""));
	return 0;
}

void dns_wants_release(struct dns_wants *w)
{
	for (size_t i = 0; i < w->count; i++)
		mem_free(&w->at[i].value);
	mem_free(&w->at);
	w->count = 0;
}

const struct dns_want *dns_wants_mx(const struct dns_wants *w)
{
	ASSERT(w->count > 0 && w->at[0].role == DNS_ROLE_MX);
	return &w->at[0];
}

/* ---- zone lines */

static void say_line(const struct dns_want *want, const char *type, const char *data,
		     dns_line_fn *line, void *arg)
{
	char *text = mem_printf("%s %d IN %s %s", want->name, DNS_TTL_ADVISED_S, type, data);

	line(text, arg);
	mem_free(&text);
}

void dns_want_lines(const struct dns_want *want, dns_line_fn *line, void *arg)
{
	const char *rest = want->value;
	struct slice r;
	char *data;

	if (want->role == DNS_ROLE_SPF && *rest) {
		data = mem_printf("\"v=spf1 %s ~all\"", rest);
		say_line(want, "TXT", data, line, arg);
		mem_free(&data);
		return;
	}
	while (dns_value_next(&rest, &r)) {
		data = mem_strn(r.p, r.n);
		say_line(want,
			 want->role == DNS_ROLE_HOST ? "CNAME" : dns_type_name(want->type),
			 data, line, arg);
		mem_free(&data);
	}
}
