/*
 * What is open in a relayed session: the trackers against the slow reader of
 * tests/unit/reference.h, wherever the server's side is something that a grammar knows.
 *
 * The first byte's lowest bit says IMAP (0) or POP3 (1); then the client speaks until a byte
 * 0xff, the server until 0xfe, and so on.
 */
#include "tests/unit/follow.h"

#define SIZE_LIMIT 1024 /* the reader reads all again for each line */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_talk(const uint8_t *data, size_t size, struct ref_talk *t)
{
	char who = 'C';

	t->n = 0;
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0xfe) {
			who = data[i] == 0xff ? 'S' : 'C';
			continue;
		}
		t->who[t->n] = who;
		t->byte[t->n++] = (char)data[i];
	}
}

/* In one piece and byte by byte the server's side leaves the same state. */
static void check_pieces(const struct ref_talk *t, bool pop3)
{
	static struct follow whole, bytes;
	static struct ref_half server;

	whole = bytes = (struct follow){ .is_pop3 = pop3 };
	ref_split(t, t->n, 'S', &server);
	follow_server(&whole, server.p, server.n);
	for (size_t i = 0; i < server.n; i++)
		follow_server(&bytes, server.p + i, 1);
	ASSERT(follow_agrees(follow_state(&whole), follow_state(&bytes)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ref_talk t;
	static struct follow f;
	bool pop3 = size && (data[0] & 1), lost = false;
	char text[64];

	if (size < 2 || size > SIZE_LIMIT)
		return 0;
	read_talk(data + 1, size - 1, &t);
	f = (struct follow){ .is_pop3 = pop3 };
	for (size_t k = 0; k < t.n && !f.broken; k++) {
		bool last = k + 1 == t.n || t.byte[k] == '\n' || t.who[k] != t.who[k + 1];
		struct ref want;

		follow_feed(&f, &t, k, k + 1);
		if (!last || lost || f.broken)
			continue;
		want = pop3 ? ref_pop3(&t, k + 1) : ref_imap(&t, k + 1);
		lost = want.lost;
		ASSERT(lost || follow_agrees(want, follow_state(&f)));
	}
	boundary_describe(&f.imap, text, sizeof text);
	pop3_boundary_describe(&f.pop3, text, sizeof text);
	check_pieces(&t, pop3);
	return 0;
}
