/* Arguments of ID and XCLIENT: what is written of them reads the same, within the limits; no
 * x-* field hides from the look that commands after login get. */
#include "common/wire/imap_id.h"

#include "common/wire/xclient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const struct imap_id_list *list)
{
	struct slice pairs = buf_slice(&list->text);
	struct imap_id_pair pair;
	unsigned count = 0;

	while (imap_id_next(&pairs, &pair) == WIRE_DONE) {
		ASSERT(pair.field.n <= IMAP_ID_FIELD_MAX && pair.value.n <= IMAP_ID_VALUE_MAX);
		count++;
	}
	ASSERT(count == list->count && count <= IMAP_ID_PAIRS_MAX);
	ASSERT(buf_len(&list->text) <= IMAP_ID_LIST_MAX);
	ASSERT(!buf_len(&list->text) ||
	       !memchr(buf_slice(&list->text).p, '\n', buf_len(&list->text)));
}

static void check_id(struct slice args)
{
	const char *lf = args.n ? memchr(args.p, '\n', args.n) : NULL;
	struct slice line = { args.p, lf ? (size_t)(lf - args.p) : args.n }, pairs;
	struct imap_id_list list = { 0 };
	struct imap_id_pair pair;

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (imap_id_open(args, &pairs) != WIRE_DONE)
		return;
	while (imap_id_next(&pairs, &pair) == WIRE_DONE) {
		ASSERT(!imap_id_is_claim(pair.field) || imap_id_may_claim(line));
		imap_id_add(&list, pair.field, pair.nil ? NULL : &pair.value);
	}
	read_again(&list);
	buf_release(&list.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice args = { (const char *)data, size }, name, value;

	check_id(args);
	while (xclient_next(&args, &name, &value) == WIRE_DONE)
		ASSERT(name.n > 0 && name.n + value.n < size);
	return 0;
}
