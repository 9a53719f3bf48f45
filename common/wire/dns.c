/* Hides: glibc's ns_* functions, and where in an answer the records that count stand. */
#include "common/wire/dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <resolv.h>
#include <strings.h>

static const char *const outcome_texts[DNS_OUTCOMES] = {
	[DNS_FOUND] = "found",
	[DNS_NODATA] = "no such record",
	[DNS_NXDOMAIN] = "no such name",
	[DNS_SERVFAIL] = "the server failed (SERVFAIL)",
	[DNS_REFUSED] = "the server refuses to say (REFUSED)",
	[DNS_SILENT] = "no answer",
	[DNS_BROKEN] = "a broken answer",
};

const char *dns_outcome_text(enum dns_outcome o)
{
	return outcome_texts[o];
}

const char *dns_outcome_name(enum dns_outcome o)
{
	static const char *const names[DNS_OUTCOMES] = {
		[DNS_FOUND] = "found",	     [DNS_NODATA] = "nodata",
		[DNS_NXDOMAIN] = "nxdomain", [DNS_SERVFAIL] = "servfail",
		[DNS_REFUSED] = "refused",   [DNS_SILENT] = "silent",
		[DNS_BROKEN] = "broken",
	};

	return names[o];
}

const char *dns_type_name(unsigned type)
{
	switch (type) {
	case ns_t_a:
		return "A";
	case ns_t_aaaa:
		return "AAAA";
	case ns_t_cname:
		return "CNAME";
	case ns_t_mx:
		return "MX";
	case ns_t_ns:
		return "NS";
	case ns_t_soa:
		return "SOA";
	case ns_t_srv:
		return "SRV";
	case ns_t_txt:
		return "TXT";
	default: /* not ours: any number that a server sends */
		return "another type";
	}
}

static int PRINTF_LIKE(2, 3) broken(struct dns_answer *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->why, sizeof out->why, fmt, ap);
	va_end(ap);
	out->outcome = DNS_BROKEN;
	out->count = 0;
	return -1;
}

/* ---- one record as text */

static void lower(char *p)
{
	for (; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* The host that begins at p (no host has a |, which keeps records apart for us), which is
 * inside the message; how many bytes it takes there, or -1.
 */
static int host_at(const ns_msg *m, const unsigned char *p, char *out, size_t size)
{
	char name[NS_MAXDNAME];
	int n = ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), p, name, sizeof name);

	if (n < 0 || strchr(name, '|'))
		return -1;
	lower(name);
	snprintf(out, size, "%s%s", name, strcmp(name, ".") == 0 ? "" : ".");
	return n;
}

/* Numbers of 16 bits, then a host: MX, SRV; none of them: CNAME, NS. */
static int numbers_and_host(const ns_msg *m, const ns_rr *rr, int numbers, char *out,
			    size_t size)
{
	const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
	size_t at = 0;

	if (end - p <= 2 * numbers)
		return -1;
	for (int i = 0; i < numbers; i++, p += 2)
		at += (size_t)snprintf(out + at, size - at, "%u ", ns_get16(p));
	return host_at(m, p, out + at, size - at) == end - p ? 0 : -1;
}

static int address(const ns_rr *rr, int family, size_t n, char *out, size_t size)
{
	if (ns_rr_rdlen(*rr) != n)
		return -1;
	return inet_ntop(family, ns_rr_rdata(*rr), out, (socklen_t)size) ? 0 : -1;
}

static int texts(const ns_rr *rr, char *out, size_t size)
{
	const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
	size_t at = 0;

	while (p < end) {
		size_t n = *p++;

		if (n > (size_t)(end - p))
			return -1;
		for (; n > 0; n--, p++) {
			bool odd = *p < 0x20 || *p > 0x7e || strchr("|\"\\", *p);

			if (at + 5 > size)
				continue;
			if (odd)
				at += (size_t)snprintf(out + at, size - at, "\\%03u", *p);
			else
				out[at++] = (char)*p;
		}
	}
	out[at] = '\0';
	return 0;
}

static int serial(const ns_msg *m, const ns_rr *rr, char *out, size_t size)
{
	const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
	char name[NS_MAXDNAME + 1];

	for (int i = 0; i < 2; i++) { /* the primary server, a mailbox */
		int n = host_at(m, p, name, sizeof name);

		if (n < 0 || n > end - p)
			return -1;
		p += n;
	}
	if (end - p != 20)
		return -1;
	snprintf(out, size, "%lu", (unsigned long)ns_get32(p));
	return 0;
}

static int record_text(const ns_msg *m, const ns_rr *rr, char *out, size_t size)
{
	switch (ns_rr_type(*rr)) {
	case ns_t_a:
		return address(rr, AF_INET, 4, out, size);
	case ns_t_aaaa:
		return address(rr, AF_INET6, 16, out, size);
	case ns_t_mx:
		return numbers_and_host(m, rr, 1, out, size);
	case ns_t_srv:
		return numbers_and_host(m, rr, 3, out, size);
	case ns_t_cname:
	case ns_t_ns:
		return numbers_and_host(m, rr, 0, out, size);
	case ns_t_txt:
		return texts(rr, out, size);
	case ns_t_soa:
		return serial(m, rr, out, size);
	default: /* nobody asks for it */
		return -1;
	}
}

/* ---- the records that count */

static void with_dot(const char *name, char out[NS_MAXDNAME + 1])
{
	size_t n = strnlen(name, NS_MAXDNAME - 1);

	memcpy(out, name, n);
	if (n == 0 || name[n - 1] != '.')
		out[n++] = '.';
	out[n] = '\0';
	lower(out);
}

static int take(const ns_msg *m, const ns_rr *rr, struct dns_answer *out)
{
	struct dns_record *r = &out->at[out->count];

	if (out->count == DNS_RECORDS_MAX)
		return broken(out, "more than %d records", DNS_RECORDS_MAX);
	r->type = ns_rr_type(*rr);
	r->ttl_s = ns_rr_ttl(*rr) > INT32_MAX ? 0 : ns_rr_ttl(*rr);
	if (record_text(m, rr, r->text, sizeof r->text) < 0)
		return broken(out, "a malformed %s record", dns_type_name(r->type));
	out->count++;
	return 0;
}

/* All of this owner and type in the answer section: how many, or -1. */
static int take_all(ns_msg *m, const char *owner, unsigned type, struct dns_answer *out)
{
	char name[NS_MAXDNAME + 1];
	int n = 0;
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		if (ns_parserr(m, ns_s_an, i, &rr) < 0)
			return broken(out, "record %d cannot be read", i + 1);
		with_dot(ns_rr_name(rr), name);
		if (ns_rr_type(rr) != type || ns_rr_class(rr) != ns_c_in ||
		    strcmp(name, owner) != 0)
			continue;
		if (take(m, &rr, out) < 0)
			return -1;
		n++;
	}
	return n;
}

static bool was_there(const struct dns_answer *out, const char *first, const char *name)
{
	if (strcmp(first, name) == 0)
		return true;
	for (size_t i = 0; i + 1 < out->count; i++)
		if (strcmp(out->at[i].text, name) == 0)
			return true;
	return false;
}

/* Leaves in `name` where the CNAMEs that the answer holds lead to. */
static int follow(ns_msg *m, char name[DNS_DATA_MAX], struct dns_answer *out)
{
	char first[DNS_DATA_MAX];

	snprintf(first, sizeof first, "%s", name);
	for (;;) {
		int n = take_all(m, name, ns_t_cname, out);

		if (n <= 0)
			return n;
		if (n > 1)
			return broken(out, "two CNAME records of one name");
		snprintf(name, DNS_DATA_MAX, "%s", out->at[out->count - 1].text);
		if (was_there(out, first, name))
			return broken(out, "CNAME records in a circle");
		if (out->count > DNS_CHAIN_MAX)
			return broken(out, "more than %d CNAME records in a chain",
				      DNS_CHAIN_MAX);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct dns_record *)a)->text,
		      ((const struct dns_record *)b)->text);
}

static void sort(struct dns_answer *out, size_t from)
{
	size_t n = from;

	qsort(out->at + from, out->count - from, sizeof *out->at, by_text);
	for (size_t i = from; i < out->count; i++)
		if (i == from || strcmp(out->at[i].text, out->at[n - 1].text) != 0)
			out->at[n++] = out->at[i];
	out->count = n;
}

static bool is_in(const char *name, const char *zone)
{
	size_t n = strlen(name), below = strlen(zone);

	if (strcmp(zone, ".") == 0 || strcmp(name, zone) == 0)
		return true;
	return n > below && name[n - below - 1] == '.' && strcmp(name + n - below, zone) == 0;
}

/* Where the name is an alias, the SOA may be that of another zone. */
static void find_zone(ns_msg *m, const char *name, struct dns_answer *out)
{
	static const ns_sect where[] = { ns_s_an, ns_s_ns };
	char zone[NS_MAXDNAME + 1];
	ns_rr rr;

	for (size_t s = 0; s < COUNT(where); s++)
		for (int i = 0; i < ns_msg_count(*m, where[s]); i++) {
			if (ns_parserr(m, where[s], i, &rr) < 0 || ns_rr_type(rr) != ns_t_soa)
				continue;
			with_dot(ns_rr_name(rr), zone);
			if (!is_in(name, zone))
				continue;
			snprintf(out->zone, sizeof out->zone, "%s", zone);
			return;
		}
}

/* ---- the whole answer */

static int check_question(ns_msg *m, const char *name, unsigned type, struct dns_answer *out)
{
	char asked[NS_MAXDNAME + 1];
	ns_rr rr;

	if (ns_msg_count(*m, ns_s_qd) != 1 || ns_parserr(m, ns_s_qd, 0, &rr) < 0)
		return broken(out, "it does not say what it answers");
	with_dot(ns_rr_name(rr), asked);
	if (strcmp(asked, name) != 0 || ns_rr_type(rr) != type)
		return broken(out, "it answers another question");
	return 0;
}

static int outcome_of(ns_msg *m, struct dns_answer *out)
{
	unsigned code = (unsigned)ns_msg_getflag(*m, ns_f_rcode);

	switch (code) {
	case ns_r_noerror:
		out->outcome = DNS_NODATA;
		return 0;
	case ns_r_nxdomain:
		out->outcome = DNS_NXDOMAIN;
		return 0;
	case ns_r_servfail:
		out->outcome = DNS_SERVFAIL;
		return 0;
	case ns_r_refused:
		out->outcome = DNS_REFUSED;
		return 0;
	default: /* any other number */
		return broken(out, "error %u", code);
	}
}

void dns_answer_parse(struct slice message, const char *asked, unsigned type,
		      struct dns_answer *out)
{
	char name[DNS_DATA_MAX];
	size_t chain;
	ns_msg m;

	*out = (struct dns_answer){ .outcome = DNS_BROKEN };
	with_dot(asked, name);
	if (message.n > DNS_MESSAGE_MAX ||
	    ns_initparse((const unsigned char *)message.p, (int)message.n, &m) < 0) {
		broken(out, "it is no DNS message");
		return;
	}
	if (!ns_msg_getflag(m, ns_f_qr)) {
		broken(out, "it is a question");
		return;
	}
	out->authoritative = ns_msg_getflag(m, ns_f_aa);
	if (outcome_of(&m, out) < 0 || out->outcome == DNS_SERVFAIL ||
	    out->outcome == DNS_REFUSED || check_question(&m, name, type, out) < 0)
		return;
	if (ns_msg_getflag(m, ns_f_tc)) {
		broken(out, "it is cut short");
		return;
	}
	find_zone(&m, name, out);
	if (type != ns_t_cname && follow(&m, name, out) < 0)
		return;
	chain = out->count;
	if (take_all(&m, name, type, out) < 0)
		return;
	sort(out, chain);
	if (out->count > 0 && out->outcome == DNS_NODATA)
		out->outcome = DNS_FOUND;
}
