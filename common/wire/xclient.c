/* Hides: how words of XCLIENT are parted. */
#include "common/wire/xclient.h"

enum wire xclient_next(struct slice *args, struct slice *name, struct slice *value)
{
	size_t skip = 0, n = 0;
	const char *equals;

	while (skip < args->n && args->p[skip] == ' ')
		skip++;
	while (skip + n < args->n && args->p[skip + n] != ' ')
		n++;
	if (n == 0)
		return WIRE_MORE;
	equals = memchr(args->p + skip, '=', n);
	if (!equals || equals == args->p + skip)
		return WIRE_BAD;
	*name = (struct slice){ args->p + skip, (size_t)(equals - args->p) - skip };
	*value = (struct slice){ equals + 1, n - name->n - 1 };
	*args = (struct slice){ args->p + skip + n, args->n - skip - n };
	return WIRE_DONE;
}

bool xclient_add(struct buf *line, const char *name, const char *value)
{
	if (buf_len(line) + strlen(name) + strlen(value) + sizeof " =\r\n" > XCLIENT_LINE_MAX)
		return false;
	for (const char *p = value; *p; p++)
		if (*p <= 0x20 || *p > 0x7e)
			return false;
	buf_printf(line, " %s=%s", name, value);
	return true;
}
