/*
 * What is open in a relayed session: the server's bytes in one piece and one by one leave the
 * same state. The input is the client's lines, a zero byte, then the server's bytes.
 */
#include "common/wire/boundary.h"

#include "common/mem.h"

#define LINE_MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed_up(struct boundary *b, const char *p, size_t n)
{
	while (n > 0) {
		struct imap_command command;
		size_t take = 0;

		switch (boundary_up(b, p, n, LINE_MAX_BYTES, &take, &command)) {
		case UP_MORE:
		case UP_FULL:
			return;
		case UP_PASS:
		case UP_DROP:
			break;
		case UP_COMMAND:
			if (imap_command_refused(command.verb))
				boundary_refuse(b, p, take);
			else
				boundary_pass(b, p, take, &command);
			break;
		case UP_BAD:
			boundary_refuse(b, p, take);
			break;
		}
		ASSERT(take > 0 && take <= n);
		p += take;
		n -= take;
	}
}

static void feed_down(struct boundary *b, const char *p, size_t n, size_t piece)
{
	while (n > 0) {
		size_t ate = boundary_down(b, p, MIN(piece, n));

		ASSERT(ate > 0 && ate <= MIN(piece, n));
		p += ate;
		n -= ate;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *zero = size ? memchr(p, '\0', size) : NULL;
	size_t up = zero ? (size_t)(zero - p) : size, down = zero ? size - up - 1 : 0;
	struct boundary whole = { 0 }, bytes;
	char text[2][64];

	feed_up(&whole, p, up);
	bytes = whole;
	ASSERT(boundary_at_line(&whole));
	if (down == 0)
		return 0;
	feed_down(&whole, zero + 1, down, down);
	feed_down(&bytes, zero + 1, down, 1);
	ASSERT(boundary_at_line(&whole) == boundary_at_line(&bytes));
	ASSERT(boundary_quiet(&whole) == boundary_quiet(&bytes));
	ASSERT(boundary_uploading(&whole) == boundary_uploading(&bytes));
	ASSERT(whole.open == bytes.open && whole.open <= BOUNDARY_OPEN_MAX);
	boundary_describe(&whole, text[0], sizeof text[0]);
	boundary_describe(&bytes, text[1], sizeof text[1]);
	ASSERT(strcmp(text[0], text[1]) == 0);
	return 0;
}
