/*
 * The filter of capability lists: nothing that is hidden comes through, whatever the line, and
 * what was filtered stays as it is.
 */
#include "common/wire/imap.h"

#include "common/mem.h"

#define LINE_LIMIT 1024 /* each is tried at every split */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(struct slice list)
{
	size_t start = 0;

	for (size_t i = 0; i <= list.n; i++) {
		if (i < list.n && list.p[i] != ' ')
			continue;
		ASSERT(i == start ||
		       imap_capability_allowed((struct slice){ list.p + start, i - start }));
		start = i + 1;
	}
}

static void check_filter(struct slice list)
{
	struct buf once = { 0 }, twice = { 0 };

	imap_capability_filter(list, &once);
	check_words(buf_slice(&once));
	imap_capability_filter(buf_slice(&once), &twice);
	ASSERT(buf_len(&once) == buf_len(&twice));
	buf_release(&once);
	buf_release(&twice);
}

static bool take_word(struct slice *s, struct slice *word)
{
	const char *space = s->n ? memchr(s->p, ' ', s->n) : NULL;

	if (!space)
		return false;
	*word = (struct slice){ s->p, (size_t)(space - s->p) };
	*s = (struct slice){ space + 1, s->n - word->n - 1 };
	return true;
}

/* Where a client looks for a list: "* CAPABILITY list", "tag WORD [CAPABILITY list]". */
static struct slice list_in(struct slice line)
{
	struct slice tag, word;
	const char *end;

	if (!take_word(&line, &tag) || !take_word(&line, &word))
		return (struct slice){ "", 0 };
	if (slice_is(tag, "*") && slice_is_nocase(word, "CAPABILITY"))
		return line;
	if (!take_word(&line, &word) || !slice_is_nocase(word, "[CAPABILITY"))
		return (struct slice){ "", 0 };
	end = memchr(line.p, ']', line.n);
	return (struct slice){ line.p, end ? (size_t)(end - line.p) : line.n };
}

static void check_line(struct slice line)
{
	struct buf out = { 0 }, again = { 0 };
	struct slice new;
	size_t cut;

	for (cut = 0; cut < line.n && imap_capability_maybe(line.p, cut); cut++)
		;
	if (!imap_capability_rewrite(line, &out)) {
		ASSERT(buf_len(&out) == 0);
		return;
	}
	ASSERT(cut == line.n); /* the relay would not have let it pass before it was whole */
	new = buf_slice(&out);
	ASSERT(new.n >= 2 && memcmp(new.p + new.n - 2, "\r\n", 2) == 0);
	new.n -= 2;
	check_words(list_in(new));
	/* Where a referral was taken away with its code, nothing is left to filter. */
	if (imap_capability_rewrite(new, &again)) {
		ASSERT(buf_len(&again) == buf_len(&out));
		ASSERT(memcmp(buf_slice(&again).p, new.p, new.n) == 0);
	}
	buf_release(&out);
	buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = { (const char *)data, size };

	if (size == 0 || size > LINE_LIMIT || memchr(data, '\n', size))
		return 0;
	check_filter(line);
	check_line(line);
	return 0;
}
