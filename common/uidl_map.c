/* Hides: two orders of the map's lines, by new's id and by old's. */
#include "common/uidl_map.h"

#include <openssl/evp.h>

#define ESCAPE_TRIES 16 /* no honest server's ids contain their own hashes */

struct uidl_map {
	struct buf text;
	uint32_t *by_new, *by_old; /* where lines begin */
	size_t count;
};

static struct slice half_at(const struct uidl_map *m, uint32_t at, bool old)
{
	struct slice text = buf_slice(&m->text), new_id = { 0 }, old_id = { 0 };
	size_t len = 0;

	text = (struct slice){ text.p + at, text.n - at };
	if (pop3_uidl_pair(text, &len, &new_id, &old_id) != WIRE_DONE)
		BUG("a map of unique ids was altered");
	return old ? old_id : new_id;
}

static int compare(struct slice a, struct slice b)
{
	int c = memcmp(a.p, b.p, MIN(a.n, b.n));

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_new_id(const void *a, const void *b, void *m)
{
	return compare(half_at(m, *(const uint32_t *)a, false),
		       half_at(m, *(const uint32_t *)b, false));
}

static int by_old_id(const void *a, const void *b, void *m)
{
	return compare(half_at(m, *(const uint32_t *)a, true),
		       half_at(m, *(const uint32_t *)b, true));
}

/* ---- making it */

static int find_lines(struct uidl_map *m, int64_t entries, struct err *e)
{
	struct slice text = buf_slice(&m->text), a, b;
	size_t at = 0, len;

	m->by_new = mem_array((size_t)entries + 1, sizeof *m->by_new);
	m->by_old = mem_array((size_t)entries + 1, sizeof *m->by_old);
	for (; at < text.n; at += len) {
		const struct slice rest = { text.p + at, text.n - at };

		if (m->count == (size_t)entries ||
		    pop3_uidl_pair(rest, &len, &a, &b) != WIRE_DONE)
			return err_set(e, ERR_INPUT, "not a map of %lld unique ids",
				       (long long)entries);
		m->by_new[m->count] = m->by_old[m->count] = (uint32_t)at;
		m->count++;
	}
	return m->count == (size_t)entries
		       ? 0
		       : err_set(e, ERR_INPUT, "a map of unique ids has %zu lines, not %lld",
				 m->count, (long long)entries);
}

static int sort_lines(struct uidl_map *m, struct err *e)
{
	qsort_r(m->by_new, m->count, sizeof *m->by_new, by_new_id, m);
	qsort_r(m->by_old, m->count, sizeof *m->by_old, by_old_id, m);
	for (size_t i = 1; i < m->count; i++)
		if (by_new_id(&m->by_new[i - 1], &m->by_new[i], m) == 0)
			return err_set(e, ERR_INPUT,
				       "a map of unique ids names one of new twice");
	return 0;
}

int uidl_map_new(struct buf *text, int64_t entries, struct uidl_map **out, struct err *e)
{
	struct uidl_map *m = mem_new(sizeof *m);

	m->text = *text;
	*text = (struct buf){ 0 };
	if (buf_len(&m->text) > UINT32_MAX || entries < 0 ||
	    (uint64_t)entries > buf_len(&m->text)) {
		uidl_map_free(&m);
		return err_set(e, ERR_INPUT, "not a map of %lld unique ids",
			       (long long)entries);
	}
	if (find_lines(m, entries, e) < 0 || sort_lines(m, e) < 0) {
		uidl_map_free(&m);
		return -1;
	}
	*out = m;
	return 0;
}

void uidl_map_free(struct uidl_map **at)
{
	struct uidl_map *m = *at;

	if (!m)
		return;
	buf_release(&m->text);
	free(m->by_new);
	free(m->by_old);
	mem_free(at);
}

size_t uidl_map_bytes(const struct uidl_map *m)
{
	return buf_len(&m->text) + m->count * (sizeof *m->by_new + sizeof *m->by_old);
}

/* ---- asking it */

/* The first line, in this order, whose id is not below this one; count: none. */
static size_t lower(const struct uidl_map *m, bool old, struct slice id)
{
	const uint32_t *order = old ? m->by_old : m->by_new;
	size_t lo = 0, hi = m->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(half_at(m, order[mid], old), id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool has(const struct uidl_map *m, bool old, struct slice id, size_t *at)
{
	*at = lower(m, old, id);
	return *at < m->count &&
	       compare(half_at(m, (old ? m->by_old : m->by_new)[*at], old), id) == 0;
}

static bool looks_escaped(struct slice id)
{
	size_t n = strlen(UIDL_ESCAPE);

	return id.n == UIDL_ESCAPE_MAX - 3 && memcmp(id.p, UIDL_ESCAPE, n) == 0;
}

/* The hash of the id and how often one was a hash of old's already. */
static struct slice escape(struct slice id, char again, char scratch[static UIDL_ESCAPE_MAX])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	char in[POP3_UIDL_MAX + 1];
	unsigned size = 0;
	size_t at = strlen(UIDL_ESCAPE);

	memcpy(in, id.p, id.n);
	in[id.n] = again;
	if (!EVP_Digest(in, id.n + (again != 0), raw, &size, EVP_sha256(), NULL))
		BUG("no SHA-256");
	memcpy(scratch, UIDL_ESCAPE, at);
	for (unsigned i = 0; i < size; i++, at += 2)
		snprintf(scratch + at, UIDL_ESCAPE_MAX - at, "%02x", raw[i]);
	return (struct slice){ scratch, at };
}

struct slice uidl_map_show(const struct uidl_map *m, struct slice id,
			   char scratch[static UIDL_ESCAPE_MAX])
{
	struct slice shown = id;
	size_t at;

	if (has(m, false, id, &at))
		return half_at(m, m->by_new[at], true);
	if (looks_escaped(id) || has(m, true, id, &at)) {
		char again = 0;

		do {
			shown = escape(id, again++, scratch);
		} while (again < ESCAPE_TRIES && has(m, true, shown, &at));
	}
	return shown;
}

/* ---- answers */

bool uidl_is_answer(const struct pop3_boundary *b)
{
	return b->count && b->verbs[0] == POP3_UIDL && (b->in_lines || !(b->multiline & 1));
}

/* Behind the beginning of a line that was too long to carry an id. */
static bool within_line(const struct pop3_boundary *b)
{
	return b->in_lines ? b->dots.state != 0 : b->half_line;
}

static void add_line(const struct uidl_map *m, struct slice line, struct slice id,
		     struct buf *out)
{
	char scratch[UIDL_ESCAPE_MAX];
	size_t head = (size_t)(id.p - line.p);
	struct slice shown;

	if (id.n == 0) {
		buf_add(out, line.p, line.n);
		return;
	}
	shown = uidl_map_show(m, id, scratch);
	buf_add(out, line.p, head);
	buf_add(out, shown.p, shown.n);
	buf_add(out, id.p + id.n, line.n - head - id.n);
}

size_t uidl_rewrite(const struct uidl_map *m, struct pop3_boundary *b, const char *p, size_t n,
		    struct buf *out)
{
	size_t at = 0;

	while (at < n && uidl_is_answer(b)) {
		struct slice id = { p + at, 0 };
		size_t len = 0;
		enum wire w = within_line(b)
				      ? WIRE_BAD
				      : pop3_uidl_line(p + at, n - at, !b->in_lines, &len, &id);

		if (w == WIRE_MORE)
			break;
		if (w == WIRE_BAD) {
			const char *lf = memchr(p + at, '\n', n - at);

			len = lf ? (size_t)(lf - p) - at + 1 : n - at;
		}
		add_line(m, (struct slice){ p + at, len }, id, out);
		if (pop3_boundary_down(b, p + at, len) != len)
			BUG("a line of UIDL's answer is not one");
		at += len;
	}
	return at;
}
