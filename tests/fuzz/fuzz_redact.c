/* Whatever the line: one line comes out, without control characters, and nothing of a secret.
 */
#include "common/wire/redact.h"

#include "common/mem.h"

#define ROOM 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shape(const char *out)
{
	size_t n = strnlen(out, ROOM);

	ASSERT(n < ROOM);
	for (size_t i = 0; i < n; i++)
		ASSERT((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
}

/* Behind a password's command only "(hidden)" comes out. */
static void check_secret(const char *command, void (*redact)(struct slice, char *, size_t),
			 struct slice s)
{
	char *line = mem_printf("%s %.*s", command, (int)s.n, s.p), out[ROOM];
	char *want = mem_printf("%s (hidden)", command);

	redact((struct slice){ line, strlen(line) }, out, sizeof out);
	ASSERT(strcmp(out, want) == 0);
	free(line);
	free(want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = { (const char *)data, size };
	char out[ROOM];

	redact_imap_client(line, out, sizeof out);
	check_shape(out);
	redact_imap_server(line, out, sizeof out);
	check_shape(out);
	redact_pop3_client(line, out, sizeof out);
	check_shape(out);
	redact_pop3_server(line, out, sizeof out);
	check_shape(out);
	redact_text(line, out, sizeof out);
	check_shape(out);
	if (size > 4096)
		return 0;
	check_secret("a LOGIN", redact_imap_client, line);
	check_secret("a AUTHENTICATE", redact_imap_client, line);
	check_secret("PASS", redact_pop3_client, line);
	return 0;
}
