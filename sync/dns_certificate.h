/* Certificates that clients will meet once their names lead to new: looked at there,
 * beforehand, by asking for each name (SNI). Blocking; nobody logs in. */
#ifndef SYNC_DNS_CERTIFICATE_H
#define SYNC_DNS_CERTIFICATE_H

#include "sync/dns_judge.h"

/*
 * One for each DNS_ROLE_HOST that the zone has, at most DNS_NAMES_MAX; *n how many. Ports:
 * new's own of IMAP and POP3 (pop…), dns.smtp_port (smtp…) and dns.webmail_port (webmail).
 * Chains are verified with new's tls_ca_file.
 */
void dns_certificates_look(const struct settings *s, const struct dns_view *v,
			   struct dns_certificate out[DNS_NAMES_MAX], size_t *n);

#endif
