/* Hides: what must be said about OpenSRS together, or not at all. */

#include "config/opensrs_address.h"
#include "config/settings_check.h"

static void check_pull(const struct settings *s, const struct scan *scan, struct mistakes *m)
{
	static const char *const methods[] = { "imap4s", "imap4", "pop3s", "pop3" };
	const char *method = s->opensrs.pull_method, *server = s->opensrs.pull_server;
	const char *colon = server ? strrchr(server, ':') : NULL;
	uint64_t port;
	bool known = !method;

	for (size_t i = 0; i < COUNT(methods); i++)
		known |= method && strcmp(method, methods[i]) == 0;
	if (!known)
		mistake_add(m, scan_line(scan, SECTION_OPENSRS, NULL, "pull_method"),
			    "opensrs: pull_method must be imap4s, imap4, pop3s or pop3, not \"%s\"",
			    method);
	if (server && (!colon || colon == server ||
		       slice_u64(slice_of(colon + 1), UINT16_MAX, &port) < 0 || port == 0))
		mistake_add(m, scan_line(scan, SECTION_OPENSRS, NULL, "pull_server"),
			    "opensrs: pull_server must be host:port, not \"%s\"", server);
}

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
	check_pull(s, scan, m);
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
