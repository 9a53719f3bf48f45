/* Hides: what must be said about OpenSRS together, or not at all. */

#include "config/opensrs_address.h"
#include "config/settings_check.h"

void settings_check_opensrs(const struct settings *s, const struct scan *scan,
			    struct mistakes *m)
{
	unsigned line = scan_line(scan, SECTION_OPENSRS, NULL, "cluster");
	char *address;

	if (!s->opensrs.cluster)
		return;
	address = opensrs_address(s->opensrs.cluster);
	if (!address)
		mistake_add(
			m, line,
			"opensrs: cluster must be A, B, test or an address that begins with "
			"https://, not \"%s\"",
			s->opensrs.cluster);
	mem_free(&address);
	if (!s->opensrs.user)
		mistake_add(m, line, "opensrs: user is missing: the administrator's login");
	if (!s->opensrs.password_file == !s->opensrs.token_file)
		mistake_add(m, line, "opensrs: give password_file or token_file, one of them");
	if (s->backend[SIDE_NEW].token_command && s->opensrs.session_tokens)
		mistake_add(
			m, line,
			"opensrs: session_tokens = yes and token_command of backend \"new\" "
			"cannot both say how the copier logs in there");
}
