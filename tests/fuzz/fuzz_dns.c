/*
 * An answer of a name server: whatever it is, what comes out keeps to the limits, and no part
 * of a whole message is one. The first byte picks the question's type.
 */
#include "common/wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dns_answer out, part;

static void check(const struct dns_answer *a)
{
	ASSERT(a->outcome < DNS_OUTCOMES && a->outcome != DNS_SILENT);
	ASSERT(a->count <= DNS_RECORDS_MAX);
	ASSERT((a->outcome == DNS_BROKEN) == (a->why[0] != '\0'));
	ASSERT(a->outcome != DNS_FOUND || a->count > 0);
	for (size_t i = 0; i < a->count; i++) {
		size_t n = strnlen(a->at[i].text, DNS_DATA_MAX);

		ASSERT(n < DNS_DATA_MAX && !memchr(a->at[i].text, '|', n));
		ASSERT(a->at[i].ttl_s <= INT32_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned types[] = { ns_t_mx,  ns_t_a,   ns_t_aaaa, ns_t_txt,
					  ns_t_srv, ns_t_soa, ns_t_ns,	 ns_t_cname };
	unsigned type;

	if (size == 0)
		return 0;
	type = types[data[0] % COUNT(types)];
	dns_answer_parse((struct slice){ (const char *)data + 1, size - 1 }, "mail.a.test",
			 type, &out);
	check(&out);
	if (out.outcome == DNS_BROKEN || size > 600)
		return 0;
	for (size_t n = 0; n + 1 < size; n++) {
		dns_answer_parse((struct slice){ (const char *)data + 1, n }, "mail.a.test",
				 type, &part);
		ASSERT(part.outcome == DNS_BROKEN);
	}
	return 0;
}
