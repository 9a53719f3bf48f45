/* Hides: how a changed file is noticed, and that a bad new one never replaces a good old one.
 */
#include "certs/set.h"

#include <sys/stat.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certs/tls.h"
#include "common/clock.h"
#include "common/log.h"

/* What tells one state of a file from the next: renewal tools rename, copy or move a link. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct source {
	char *file, *key; /* key NULL: in file, or beside it */
	char *key_file;	  /* where to look for a change of the key; may not exist */
	struct stamp seen[2];
	struct cert_pair pair;
};

struct cert_set {
	struct source from[CERT_SOURCES_MAX];
	size_t count;
	int64_t looked_ms;
	bool looked;
};

struct cert_set *cert_set_new(void)
{
	return mem_new(sizeof(struct cert_set));
}

void cert_set_free(struct cert_set **s)
{
	for (size_t i = 0; *s && i < (*s)->count; i++) {
		struct source *from = &(*s)->from[i];

		cert_pair_release(&from->pair);
		free(from->file);
		free(from->key);
		free(from->key_file);
	}
	mem_free(s);
}

void cert_set_add(struct cert_set *s, const char *file, const char *key)
{
	struct source *from = &s->from[s->count];

	ASSERT(s->count < CERT_SOURCES_MAX);
	s->count++;
	from->file = mem_str(file);
	from->key = mem_str(key);
	from->key_file = key ? mem_str(key) : cert_key_beside(file);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool cert_set_same_files(const struct cert_set *a, const struct cert_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_text(a->from[i].file, b->from[i].file) ||
		    !same_text(a->from[i].key, b->from[i].key))
			return false;
	return true;
}

/* ---- following the files */

static struct stamp stamp_of(const char *path)
{
	struct stamp now = { 0 };
	struct stat st;

	if (path && stat(path, &st) == 0) {
		now.device = st.st_dev;
		now.inode = st.st_ino;
		now.size = st.st_size;
		now.changed = st.st_mtim;
	}
	return now;
}

static bool same(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool has_changed(struct source *from)
{
	struct stamp now[2] = { stamp_of(from->file), stamp_of(from->key_file) };
	bool changed = !same(&now[0], &from->seen[0]) || !same(&now[1], &from->seen[1]);

	from->seen[0] = now[0];
	from->seen[1] = now[1];
	return changed;
}

static bool expired(const struct cert_pair *p)
{
	return p->not_after_s <= clock_real_ms() / 1000;
}

/* An expired certificate is better than none: it names the right host, and the client says so.
 */
static int load(struct source *from, struct err *e)
{
	struct cert_pair fresh;
	char day[16];

	if (cert_pair_load(from->file, from->key, &fresh, e) < 0)
		return -1;
	if (expired(&fresh) && from->pair.cert && !expired(&from->pair)) {
		cert_day(fresh.not_after_s, day);
		cert_pair_release(&fresh);
		return err_set(e, ERR_INPUT, "certificate %s: expired on %s: renew it",
			       from->file, day);
	}
	cert_pair_release(&from->pair);
	from->pair = fresh;
	return 0;
}

static void complain(const struct source *from, const struct err *e)
{
	log_error(NULL, "%s%s", e->text,
		  from->pair.cert ? " (the certificate loaded before stays in use)" : "");
}

static void warn_expired(const struct source *from)
{
	char day[16];

	if (!expired(&from->pair))
		return;
	cert_day(from->pair.not_after_s, day);
	log_error(NULL, "certificate %s: expired on %s: renew it; clients refuse it",
		  from->file, day);
}

bool cert_set_look(struct cert_set *s)
{
	int64_t now = clock_mono_ms();
	bool news = false;

	if (s->looked && now - s->looked_ms < CERT_LOOK_MS)
		return false;
	s->looked = true;
	s->looked_ms = now;
	for (size_t i = 0; i < s->count; i++) {
		struct source *from = &s->from[i];
		bool first = !from->pair.cert;
		struct err e = { 0 };

		if (!has_changed(from))
			continue;
		if (load(from, &e) < 0) {
			complain(from, &e);
			continue;
		}
		warn_expired(from);
		if (!first)
			log_info(NULL, "certificate %s: loaded anew", from->file);
		news = true;
	}
	return news;
}

void cert_set_hurry(struct cert_set *s)
{
	s->looked = false;
}

int cert_set_load(struct cert_set *s, struct err *e)
{
	s->looked = true;
	s->looked_ms = clock_mono_ms();
	for (size_t i = 0; i < s->count; i++) {
		has_changed(&s->from[i]);
		if (load(&s->from[i], e) < 0)
			return -1;
		warn_expired(&s->from[i]);
	}
	return 0;
}

/* ---- showing them */

bool cert_set_usable(const struct cert_set *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->from[i].pair.cert)
			return true;
	return false;
}

bool cert_set_covers(const struct cert_set *s, const char *host)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->from[i].pair.cert)
			return X509_check_host(s->from[i].pair.cert, host, 0,
					       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
	return false;
}

int64_t cert_set_not_after(const struct cert_set *s)
{
	int64_t first = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->from[i].pair.cert && (!first || s->from[i].pair.not_after_s < first))
			first = s->from[i].pair.not_after_s;
	return first;
}

static int refused(const struct source *from, struct err *e)
{
	return err_set(e, ERR_INPUT, "certificate %s: OpenSSL refuses it: %s", from->file,
		       tls_reason());
}

int cert_set_show(const struct cert_set *s, SSL *ssl, struct err *e)
{
	ERR_clear_error();
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < s->count; i++) {
		const struct cert_pair *p = &s->from[i].pair;

		if (p->cert && SSL_use_cert_and_key(ssl, p->cert, p->key, p->chain, 1) != 1)
			return refused(&s->from[i], e);
	}
	return 0;
}

int cert_set_give(const struct cert_set *s, SSL_CTX *ctx, struct err *e)
{
	ERR_clear_error();
	for (size_t i = 0; i < s->count; i++) {
		const struct cert_pair *p = &s->from[i].pair;

		if (p->cert && SSL_CTX_use_cert_and_key(ctx, p->cert, p->key, p->chain, 1) != 1)
			return refused(&s->from[i], e);
	}
	return 0;
}
