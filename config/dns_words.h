/*
 * What the settings about DNS are made of: hosts, mail exchangers, resolvers, each in a list
 * separated by commas. Hosts come out as DNS compares them: small letters and a final dot.
 */
#ifndef CONFIG_DNS_WORDS_H
#define CONFIG_DNS_WORDS_H

#include "common/wire/endpoint.h"

#define DNS_HOST_MAX	  256 /* bytes with the final dot and a NUL (RFC 1035 2.3.4) */
#define DNS_RESOLVERS_MAX 8
#define DNS_PORT	  53

/* Kinds of dns.new. */
#define DNS_OPENSRS_A "opensrs-a"
#define DNS_OPENSRS_B "opensrs-b"
#define DNS_OTHER     "other"

/* The next word of a list, blanks around it taken off; false: there is none. *list moves on. */
bool dns_word(const char **list, struct slice *out);
/* "Mail.Example.com" -> "mail.example.com."; -1: no host name. A name of one label is one too.
 */
int dns_host(struct slice text, char out[DNS_HOST_MAX]) MUST_CHECK;
/* "10 MX.example.net" -> "10 mx.example.net.", as an answer is written; -1: it is none. */
int dns_mx(struct slice text, char out[DNS_HOST_MAX + 8]) MUST_CHECK;
/*
 * "9.9.9.9, 192.0.2.1:5353, [2620:fe::fe]:53". -1: *bad is the first word that is none, or the
 * one behind the DNS_RESOLVERS_MAX-th.
 */
int dns_resolvers(const char *list, struct endpoint out[DNS_RESOLVERS_MAX], size_t *n,
		  struct slice *bad) MUST_CHECK;

#endif
