/* Hides: which differences between two servers' copies of one message do not count. */
#include "sync/digest.h"

#include <openssl/evp.h>

#define CANON_CHUNK 4096
#define HEADER_STEP 2048 /* bytes of a header looked at in one go */

/*
 * The canonical form has CRLF for a newline and 0x80 for the symbol that NUL and 0x80 share, so
 * that almost every message is its own canonical form but for the newlines at its end: one hash
 * is enough for both. Where the two part (`odd`), the state of the one becomes that of the
 * other, and each goes its way.
 */
struct digest_stream {
	EVP_MD_CTX *raw, *canon;
	uint64_t size;
	bool odd;
	bool cr;	   /* the last byte was CR, perhaps the first half of a CRLF */
	uint64_t crs;	   /* odd: CRs that came last: with an LF behind them one line end */
	uint64_t newlines; /* not handed on yet: those at the end count as one */
	char chunk[CANON_CHUNK]; /* odd: canonical bytes gathered for the hash */
	size_t chunk_n;
	struct buf header; /* canonical bytes up to the first empty line */
	bool header_done;
};

/* Of SHA-256 for ever: asking OpenSSL for it by name each time costs as much as a message. */
static void hash_start(EVP_MD_CTX *h)
{
	ASSERT(EVP_DigestInit_ex(h, NULL, NULL) == 1);
}

static EVP_MD_CTX *hash_new(void)
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();

	ASSERT(h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1);
	return h;
}

static void hash_add(EVP_MD_CTX *h, const void *p, size_t n)
{
	ASSERT(EVP_DigestUpdate(h, p, n) == 1);
}

static void hash_end(EVP_MD_CTX *h, unsigned char out[DIGEST_SIZE])
{
	ASSERT(EVP_DigestFinal_ex(h, out, NULL) == 1);
	hash_start(h);
}

struct digest_stream *digest_stream_new(void)
{
	struct digest_stream *d = mem_new(sizeof *d);

	d->raw = hash_new();
	d->canon = hash_new();
	return d;
}

void digest_stream_free(struct digest_stream **d)
{
	if (!*d)
		return;
	EVP_MD_CTX_free((*d)->raw);
	EVP_MD_CTX_free((*d)->canon);
	buf_release(&(*d)->header);
	mem_free(d);
}

/* ---- the header */

/* Cuts the header at its first empty line, if that is in it behind `from`. */
static void header_cut(struct digest_stream *d, size_t from)
{
	struct slice s = buf_slice(&d->header);
	const char *end;

	if (s.n >= 2 && memcmp(s.p, "\r\n", 2) == 0) {
		buf_drain(&d->header, s.n);
		d->header_done = true;
		return;
	}
	end = memmem(s.p + from, s.n - from, "\r\n\r\n", 4);
	if (end)
		d->header.end -= s.n - (size_t)(end - s.p) - 2;
	d->header_done = end || s.n >= DIGEST_HEADER_MAX;
}

static void header_add(struct digest_stream *d, const char *p, size_t n)
{
	while (n > 0 && !d->header_done) {
		size_t before = buf_len(&d->header), step = MIN(n, (size_t)HEADER_STEP);

		/* Exactly so much, however the bytes come: a header is known by this hash. */
		step = MIN(step, DIGEST_HEADER_MAX - before);
		buf_add(&d->header, p, step);
		header_cut(d, before > 3 ? before - 3 : 0);
		p += step;
		n -= step;
	}
}

/* ---- bytes that are their own canonical form */

static void newlines_add(EVP_MD_CTX *h, uint64_t n)
{
	static const char some[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	const uint64_t most = (sizeof some - 1) / 2;

	for (; n > 0; n -= MIN(n, most))
		hash_add(h, some, 2 * (size_t)MIN(n, most));
}

static void clean_add(struct digest_stream *d, const char *p, size_t n)
{
	if (n == 0)
		return;
	newlines_add(d->raw, d->newlines);
	for (; d->newlines && !d->header_done; d->newlines--)
		header_add(d, "\r\n", 2);
	d->newlines = 0;
	hash_add(d->raw, p, n);
	header_add(d, p, n);
}

/* All newlines in it are CRLF, but its last CR may be half of one. */
static void clean_feed(struct digest_stream *d, const char *p, size_t n)
{
	uint64_t newlines = 0;

	if (n > 0 && d->cr) {
		p++, n--;
		d->newlines++;
		d->cr = false;
	}
	if (n > 0 && p[n - 1] == '\r') {
		n--;
		d->cr = true;
	}
	for (; n >= 2 && p[n - 1] == '\n'; n -= 2)
		newlines++;
	clean_add(d, p, n);
	d->newlines += newlines;
}

typedef unsigned char block __attribute__((vector_size(16)));

/* Has a block NUL, or a CR without LF or LF without CR? p[-1] is readable. */
static bool is_odd_block(const char *p)
{
	block at, before, odd;
	uint64_t half[2];

	memcpy(&at, p, sizeof at);
	memcpy(&before, p - 1, sizeof before);
	odd = (block)(at == 0) | ((block)(at == '\n') ^ (block)(before == '\r'));
	memcpy(half, &odd, sizeof half);
	return half[0] | half[1];
}

/* How many bytes from the first on are clean, given what came before. */
static size_t clean_length(const char *p, size_t n, bool cr)
{
	size_t i = 0;

	while (i < n) {
		if (i > 0 && n - i >= sizeof(block) && !is_odd_block(p + i)) {
			i += sizeof(block);
			cr = p[i - 1] == '\r';
			continue;
		}
		if (p[i] == '\0' || (p[i] == '\n') != cr)
			break;
		cr = p[i++] == '\r';
	}
	return i;
}

/* ---- bytes that are not */

static void canon_flush(struct digest_stream *d)
{
	hash_add(d->canon, d->chunk, d->chunk_n);
	header_add(d, d->chunk, d->chunk_n);
	d->chunk_n = 0;
}

static void canon_put(struct digest_stream *d, char c)
{
	if (d->chunk_n == sizeof d->chunk)
		canon_flush(d);
	d->chunk[d->chunk_n++] = c;
}

static void canon_newline(struct digest_stream *d)
{
	canon_put(d, '\r');
	canon_put(d, '\n');
}

static void canon_feed(struct digest_stream *d, char c)
{
	if (c == '\n') {
		d->crs = 0;
		d->newlines++;
		return;
	}
	if (c == '\r') {
		d->crs++;
		return;
	}
	d->newlines += d->crs; /* lone ones */
	d->crs = 0;
	for (; d->newlines; d->newlines--)
		canon_newline(d);
	canon_put(d, c ? c : '\x80');
}

/* The two part here. What was held back is among the raw bytes already. */
static void part(struct digest_stream *d)
{
	ASSERT(EVP_MD_CTX_copy_ex(d->canon, d->raw) == 1);
	newlines_add(d->raw, d->newlines);
	if (d->cr)
		hash_add(d->raw, "\r", 1);
	d->crs = d->cr;
	d->odd = true;
}

void digest_stream_feed(struct digest_stream *d, struct slice bytes)
{
	size_t clean = 0;

	d->size += bytes.n;
	if (!d->odd) {
		clean = clean_length(bytes.p, bytes.n, d->cr);
		clean_feed(d, bytes.p, clean);
		if (clean == bytes.n)
			return;
		part(d);
	}
	hash_add(d->raw, bytes.p + clean, bytes.n - clean);
	for (size_t i = clean; i < bytes.n; i++)
		canon_feed(d, bytes.p[i]);
}

/* Servers keep these for themselves: they come and go between two servers (Dovecot's list). */
static bool is_server_field(struct slice name)
{
	static const char *const names[] = {
		"Content-Length",
		"Return-Path",
		"Status",
		"X-IMAP",
		"X-IMAPbase",
		"X-Keywords",
		"X-Status",
		"X-UID",
		"X-UIDL",
		"X-Message-Flag",
		"X-Yahoo-Newman-Property",
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (slice_is_nocase(name, names[i]))
			return true;
	return false;
}

/* The name of the field on this line; empty if the line is no field (RFC 5322 2.2). */
static struct slice field_name(struct slice line)
{
	size_t i = 0;

	while (i < line.n && line.p[i] > 0x20 && line.p[i] < 0x7f && line.p[i] != ':')
		i++;
	return (struct slice){ line.p, i < line.n && line.p[i] == ':' ? i : 0 };
}

static bool field_counts(struct slice line)
{
	struct slice name = field_name(line);

	return name.n > 0 && !is_server_field(name);
}

static bool is_blank(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] != ' ' && line.p[i] != '\t')
			return false;
	return true;
}

/* Hashes the lines that count; a continuation shares the fate of its field. */
static void header_end(struct digest_stream *d, unsigned char out[DIGEST_SIZE])
{
	struct slice rest = buf_slice(&d->header);
	EVP_MD_CTX *h = d->raw; /* between two messages */
	bool counts = false;

	while (rest.n > 0) {
		const char *lf = memchr(rest.p, '\n', rest.n);
		struct slice line = { rest.p, lf ? (size_t)(lf - rest.p) : rest.n };
		size_t used;
		bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

		used = MIN(line.n + 1, rest.n);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!folded)
			counts = field_counts(line);
		if (counts && !is_blank(line)) {
			hash_add(h, line.p, line.n);
			hash_add(h, "\n", 1);
		}
		rest = (struct slice){ rest.p + used, rest.n - used };
	}
	hash_end(h, out);
}

/* Hashes of a message whose bytes are canonical, but perhaps for the newlines at its end. */
static void clean_end(struct digest_stream *d, struct digest *out)
{
	bool same = d->newlines == 1 && !d->cr;

	if (!same)
		part(d);
	else
		newlines_add(d->raw, 1);
	hash_end(d->raw, out->raw);
	if (same)
		memcpy(out->canon, out->raw, DIGEST_SIZE);
}

void digest_stream_end(struct digest_stream *d, struct digest *out)
{
	out->size = d->size;
	if (!d->odd)
		clean_end(d, out);
	else
		hash_end(d->raw, out->raw);
	if (d->odd) {
		canon_newline(d);
		canon_flush(d);
		hash_end(d->canon, out->canon);
	}
	header_end(d, out->header);
	buf_drain(&d->header, buf_len(&d->header));
	d->size = d->newlines = d->crs = 0;
	d->odd = d->cr = d->header_done = false;
}

void digest_of_header(struct slice header, unsigned char out[DIGEST_SIZE])
{
	struct digest_stream *d = digest_stream_new();
	struct digest whole;

	digest_stream_feed(d, header);
	digest_stream_end(d, &whole);
	memcpy(out, whole.header, DIGEST_SIZE);
	digest_stream_free(&d);
}
