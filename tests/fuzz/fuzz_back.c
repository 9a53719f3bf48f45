/*
 * A backend's arbitrary bytes, cut anywhere, at a real session: during its login and behind it.
 *
 * The first byte's lowest bit says IMAP (0) or POP3 (1). Bytes from 0xf8 on do something (see
 * act()); all others are the backend's.
 */
#include "tests/fuzz/stage.h"

#define PIECE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const imap_script[] = {
	"a LOGIN anna secret\r\n",
	"b SELECT INBOX\r\nc FETCH 1:* (FLAGS)\r\n",
	"d APPEND INBOX {5}\r\n",
	"hello\r\n",
	"e IDLE\r\n",
	"DONE\r\n",
	"f COMPRESS DEFLATE\r\n",
	"g APPEND x {3+}\r\nabc\r\nh LOGOUT\r\n",
};
static const char *const pop3_script[] = {
	"USER anna\r\nPASS secret\r\n", "STAT\r\nLIST\r\n", "RETR 1\r\nTOP 1 0\r\n",
	"STLS\r\nDELE 1\r\nUIDL\r\n",	"RSET\r\nCAPA\r\n", "QUIT\r\n",
};

static bool pop3;
static size_t said;

static void client_goes_on(void)
{
	size_t count = pop3 ? COUNT(pop3_script) : COUNT(imap_script);
	const char *line;

	if (said == count)
		return;
	line = pop3 ? pop3_script[said] : imap_script[said];
	said++;
	stage_say(&stage.client, line, strlen(line));
}

static void act(uint8_t what)
{
	switch (what) {
	case 0xf8:
		client_goes_on();
		break;
	case 0xf9:
		stage_move(USER_FREEZING);
		break;
	case 0xfa: /* the flip */
		stage_move(USER_FINALIZING);
		stage_move(USER_TRAILING);
		break;
	case 0xfb: /* the undo */
		stage_move(USER_READY);
		break;
	case 0xfc:
		stage_close(&stage.client);
		break;
	case 0xfd:
		stage_close(&stage.backend);
		break;
	default: /* only a cut */
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool open;
	char drop[PIECE];

	if (!open)
		stage_open();
	open = true;
	if (size == 0)
		return 0;
	pop3 = data[0] & 1;
	said = 0;
	stage_begin(pop3 ? PROTO_POP3 : PROTO_IMAP);
	client_goes_on();
	for (size_t i = 1, n; i < size; i += n) {
		stage_turn();
		stage_accept();
		while (stage.backend >= 0 && recv(stage.backend, drop, sizeof drop, 0) > 0)
			;
		for (n = 0; i + n < size && data[i + n] < 0xf8; n++)
			;
		stage_say(&stage.backend, data + i, n);
		if (n == 0) {
			act(data[i]);
			n = 1;
		}
	}
	stage_turn();
	stage_end();
	return 0;
}
