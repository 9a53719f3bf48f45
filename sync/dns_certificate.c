/* Hides: which port of new stands for which name, and what a handshake's failure means. */
#include "sync/dns_certificate.h"

#include <strings.h>

#include "sync/transport.h"

struct door {
	int port; /* 0: not looked at */
	bool implicit;
};

static struct door door_of(const struct settings *s, const char *label)
{
	const struct backend_conf *b = &s->backend[SIDE_NEW];
	enum protocol_kind p = strncmp(label, "pop", 3) == 0 ? PROTO_POP3 : PROTO_IMAP;

	if (strcmp(label, "webmail") == 0)
		return (struct door){ s->dns.webmail_port, true };
	if (strncmp(label, "smtp", 4) == 0)
		return (struct door){ s->dns.smtp_port, true };
	return (struct door){ b->port[p], b->tls[p] == TLS_IMPLICIT };
}

static void shake_hands(const struct settings *s, const struct endpoint *at, int port,
			struct dns_certificate *k)
{
	char ip[ENDPOINT_IP_MAX], name[DNS_HOST_MAX];
	struct job_side side = { .host = ip,
				 .port = port,
				 .tls = TLS_IMPLICIT,
				 .tls_name = name,
				 .tls_ca_file = s->backend[SIDE_NEW].tls_ca_file };
	struct transport *t = NULL;
	struct err e = { 0 };

	endpoint_ip_text(at, ip);
	snprintf(name, sizeof name, "%.*s", (int)strlen(k->name) - 1, k->name);
	k->fits = transport_open(&side, s->sync.connect_s * 1000, s->sync.io_s * 1000, &t,
				 &e) == 0;
	k->asked = k->fits || e.kind == ERR_TLS;
	snprintf(k->text, sizeof k->text, "%.*s", (int)sizeof k->text - 1, e.text);
	transport_free(&t);
}

static const struct dns_place *place_of(const struct dns_view *v, const char *host)
{
	for (size_t i = 0; i < v->place_count; i++)
		if (strcmp(v->places[i].host, host) == 0)
			return &v->places[i];
	return NULL;
}

static void look(const struct settings *s, const struct dns_view *v,
		 const struct dns_want *want, struct dns_certificate *k)
{
	const struct dns_place *p = place_of(v, want->value);
	struct door door = door_of(s, want->label);

	snprintf(k->name, sizeof k->name, "%s", want->name);
	if (!door.implicit)
		snprintf(k->text, sizeof k->text, "new begins without TLS there");
	else if (!p || p->count == 0)
		snprintf(k->text, sizeof k->text, "%.200s has no address", want->value);
	else
		shake_hands(s, &p->at[0], door.port, k);
}

void dns_certificates_look(const struct settings *s, const struct dns_view *v,
			   struct dns_certificate out[DNS_NAMES_MAX], size_t *n)
{
	const struct dns_said *own;

	*n = 0;
	for (size_t i = 0; i < v->wants->count && *n < DNS_NAMES_MAX; i++) {
		const struct dns_want *w = &v->wants->at[i];

		if (w->role != DNS_ROLE_HOST || dns_agreed(v, i, &own) == 0 ||
		    (own && !own->value[0]) || door_of(s, w->label).port == 0)
			continue;
		out[*n] = (struct dns_certificate){ 0 };
		look(s, v, w, &out[(*n)++]);
	}
}
