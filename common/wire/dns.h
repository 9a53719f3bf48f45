/*
 * Answers of name servers (RFC 1035 4): what one says to one question, as text that can be
 * compared. A pure function over the bytes; names are taken apart by glibc's ns_parserr, which
 * knows compression and its loops. What does not belong to the question is not looked at.
 */
#ifndef COMMON_WIRE_DNS_H
#define COMMON_WIRE_DNS_H

#include <arpa/nameser.h>

#include "common/wire/wire.h"

#define DNS_MESSAGE_MAX 65535 /* bytes; more TCP cannot carry (RFC 1035 4.2.2) */
#define DNS_RECORDS_MAX 64    /* of one answer that count; with more it is refused */
#define DNS_CHAIN_MAX	8     /* CNAMEs one after the other */
#define DNS_DATA_MAX	2048  /* bytes of one record as text; longer TXT is cut */

/* How a server took a question. */
enum dns_outcome {
	DNS_FOUND,    /* there are records */
	DNS_NODATA,   /* the name exists, a record of this type does not */
	DNS_NXDOMAIN, /* no such name */
	DNS_SERVFAIL, /* it could not find out */
	DNS_REFUSED,  /* it will not say: not its zone, or not for us */
	DNS_SILENT,   /* no answer in time, or nobody there */
	DNS_BROKEN,   /* an answer that cannot be right; why says what is wrong */
	DNS_OUTCOMES
};
const char *dns_outcome_text(enum dns_outcome o); /* "no such name" */
const char *dns_outcome_name(enum dns_outcome o); /* "nxdomain", for programs */
const char *dns_type_name(unsigned type); /* "MX"; "another type": one we never ask for */

struct dns_record {
	uint16_t type;
	uint32_t ttl_s; /* 0 instead of values above 2^31 (RFC 2181 8) */
	/* As a zone file has it, hosts in small letters and with their final dot: "10
	   mx.a.test."; TXT without quotes, its strings joined, odd characters as \DDD; of a SOA
	   the serial. */
	char text[DNS_DATA_MAX];
};

struct dns_answer {
	enum dns_outcome outcome;
	bool authoritative; /* it is the server's own zone */
	char why[96];	    /* DNS_BROKEN */
	/* The zone that the name lies in, if a SOA came along ("" : none). */
	char zone[NS_MAXDNAME + 1];
	/* CNAMEs from the name asked for, in their order; then what they lead to, sorted, none
	   twice. */
	size_t count;
	struct dns_record at[DNS_RECORDS_MAX];
};

/* name: with or without its final dot. Large: keep *out on the heap. */
void dns_answer_parse(struct slice message, const char *name, unsigned type,
		      struct dns_answer *out);

#endif
