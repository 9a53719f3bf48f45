/* Hides: which differences between two servers' copies of one message do not count. */
#include "sync/digest.h"

#include <openssl/evp.h>

#define CANON_CHUNK 4096

struct digest_stream {
	EVP_MD_CTX *raw, *canon;
	uint64_t size;
	uint64_t crs; /* CRs that came last: with an LF behind them they are one line end */
	uint64_t newlines;	 /* not handed on yet: those at the end count as one */
	char chunk[CANON_CHUNK]; /* canonical bytes gathered for the hash */
	size_t chunk_n;
	struct buf header; /* canonical bytes up to the first empty line */
	bool header_done;
};

static void hash_start(EVP_MD_CTX *h)
{
	ASSERT(EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1);
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

	d->raw = EVP_MD_CTX_new();
	d->canon = EVP_MD_CTX_new();
	ASSERT(d->raw && d->canon);
	hash_start(d->raw);
	hash_start(d->canon);
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

/* The header grows until it ends in an empty line, or is longer than what counts. */
static void header_add(struct digest_stream *d, char c)
{
	struct slice s = buf_slice(&d->header);

	if (d->header_done)
		return;
	if (s.n >= DIGEST_HEADER_MAX || (c == '\n' && (s.n == 0 || s.p[s.n - 1] == '\n')))
		d->header_done = true;
	else
		buf_add(&d->header, &c, 1);
}

static void canon_flush(struct digest_stream *d)
{
	hash_add(d->canon, d->chunk, d->chunk_n);
	d->chunk_n = 0;
}

static void canon_put(struct digest_stream *d, char c)
{
	if (d->chunk_n == sizeof d->chunk)
		canon_flush(d);
	d->chunk[d->chunk_n++] = c;
	header_add(d, c);
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
		canon_put(d, '\n');
	canon_put(d, c == '\x80' ? '\0' : c);
}

void digest_stream_feed(struct digest_stream *d, struct slice bytes)
{
	d->size += bytes.n;
	hash_add(d->raw, bytes.p, bytes.n);
	for (size_t i = 0; i < bytes.n; i++)
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
	EVP_MD_CTX *h = d->canon; /* between two messages */
	bool counts = false;

	while (rest.n > 0) {
		const char *lf = memchr(rest.p, '\n', rest.n);
		struct slice line = { rest.p, lf ? (size_t)(lf - rest.p) : rest.n };
		size_t used;
		bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

		if (!folded)
			counts = field_counts(line);
		if (counts && !is_blank(line)) {
			hash_add(h, line.p, line.n);
			hash_add(h, "\n", 1);
		}
		used = MIN(line.n + 1, rest.n);
		rest = (struct slice){ rest.p + used, rest.n - used };
	}
	hash_end(h, out);
}

void digest_stream_end(struct digest_stream *d, struct digest *out)
{
	canon_put(d, '\n');
	canon_flush(d);
	out->size = d->size;
	hash_end(d->raw, out->raw);
	hash_end(d->canon, out->canon);
	header_end(d, out->header);
	buf_drain(&d->header, buf_len(&d->header));
	d->size = d->newlines = d->crs = 0;
	d->header_done = false;
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
