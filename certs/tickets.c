/* Hides: the file of keys, who renews it, and what is done when that fails. */
#include "certs/tickets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "common/clock.h"
#include "common/log.h"

#define KEYS_MAX 4 /* in use, the one before, and room for a life time that was shortened */
#define MAGIC	 "mailferry tkt 1"
#define AGAIN_MS 1000 /* the file is not looked at more often, whatever clients send */
#define FUTURE_S 60   /* a key from farther ahead: the clock was turned back */

struct key {
	int64_t made_s; /* since 1970; 0: no key */
	unsigned char name[16], cipher[32], mac[32];
};

struct file {
	char magic[16];
	struct key keys[KEYS_MAX]; /* the newest first */
};
_Static_assert(sizeof MAGIC == 16, "the magic fills its place");

struct tickets {
	char *dir, *path;
	int life_s;
	struct key keys[KEYS_MAX];
	EVP_CIPHER *aes; /* fetched once: a look-up for every ticket would cost more than the
			    cipher */
	int64_t looked_ms;
	bool trouble;
};

static int64_t now_s(void)
{
	return clock_real_ms() / 1000;
}

static bool seals(const struct tickets *t, const struct key *k)
{
	int64_t age = now_s() - k->made_s;

	return k->made_s && age >= -FUTURE_S && age < t->life_s;
}

static bool opens(const struct tickets *t, const struct key *k)
{
	int64_t age = now_s() - k->made_s;

	return k->made_s && age >= -FUTURE_S && age < 2LL * t->life_s;
}

/* ---- the file */

/* Keys that others can read or have put there are no secret. */
static bool is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0;
}

/* 0 taken, 1 nothing that can be used, -1 error. */
static int read_keys(struct tickets *t, struct err *e)
{
	struct file f;
	int fd, rc = 1;

	if (!t->dir)
		return 1;
	fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 1
				       : err_set(e, ERR_INPUT, "ticket keys %s: %s", t->path,
						 strerror(errno));
	if (!is_private(fd)) {
		log_warn(NULL, "ticket keys %s: open to others, so they are made anew",
			 t->path);
	} else if (read(fd, &f, sizeof f) == (ssize_t)sizeof f &&
		   memcmp(f.magic, MAGIC, sizeof f.magic) == 0) {
		memcpy(t->keys, f.keys, sizeof t->keys);
		rc = 0;
	}
	OPENSSL_cleanse(&f, sizeof f);
	close(fd);
	return rc;
}

static int write_to(int fd, const struct key *keys)
{
	struct file f = { .magic = MAGIC };
	ssize_t n;

	memcpy(f.keys, keys, sizeof f.keys);
	n = write(fd, &f, sizeof f);
	OPENSSL_cleanse(&f, sizeof f);
	if (n >= 0 && (size_t)n < sizeof f)
		errno = ENOSPC;
	return n == (ssize_t)sizeof f ? 0 : -1;
}

/* A reader sees the old file or the new one, whole. */
static int write_keys(const struct tickets *t, struct err *e)
{
	char *fresh = mem_printf("%s.new", t->path);
	int fd, rc = 0;

	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write_to(fd, t->keys) < 0 || rename(fresh, t->path) < 0)
		rc = err_set(e, ERR_INPUT, "ticket keys %s: %s", t->path, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(fresh);
	return rc;
}

static void make_key(struct tickets *t)
{
	struct key fresh = { .made_s = now_s() };
	size_t kept = 0;

	if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 ||
	    RAND_priv_bytes(fresh.cipher, sizeof fresh.cipher) != 1 ||
	    RAND_priv_bytes(fresh.mac, sizeof fresh.mac) != 1)
		BUG("OpenSSL gives no random bytes");
	while (kept < KEYS_MAX - 1 && opens(t, &t->keys[kept]))
		kept++;
	memmove(&t->keys[1], &t->keys[0], kept * sizeof t->keys[0]);
	t->keys[0] = fresh;
	OPENSSL_cleanse(&t->keys[kept + 1], (KEYS_MAX - 1 - kept) * sizeof t->keys[0]);
	OPENSSL_cleanse(&fresh, sizeof fresh);
}

/* With the folder locked, one node makes the key and the others find it made. */
static int renew(struct tickets *t, bool wait, struct err *e)
{
	int fd, rc = 0;

	if (!t->dir) {
		make_key(t);
		return 0;
	}
	fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_INPUT, "ticket keys: %s: %s", t->dir, strerror(errno));
	if (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) == 0) {
		rc = read_keys(t, e);
		if (rc >= 0 && !seals(t, &t->keys[0])) {
			make_key(t);
			rc = write_keys(t, e);
		}
	} else if (errno != EWOULDBLOCK) {
		rc = err_set(e, ERR_INPUT, "ticket keys: %s: %s", t->dir, strerror(errno));
	}
	close(fd);
	return rc < 0 ? -1 : 0;
}

/* Where the file fails, our own keys serve: only resumption at another node is lost. */
static void look(struct tickets *t, bool for_sealing)
{
	int64_t now = clock_mono_ms();
	struct err e = { 0 };
	int rc;

	if (now - t->looked_ms < AGAIN_MS)
		return;
	t->looked_ms = now;
	rc = for_sealing ? renew(t, false, &e) : read_keys(t, &e);
	if (rc < 0 && !t->trouble)
		log_warn(NULL, "%s (clients cannot resume at other nodes)", e.text);
	t->trouble = rc < 0;
}

int tickets_open(const char *dir, int life_s, struct tickets **out, struct err *e)
{
	struct tickets *t = mem_new(sizeof *t);

	t->dir = mem_str(dir);
	t->path = dir ? mem_printf("%s/" TICKETS_FILE, dir) : NULL;
	t->life_s = life_s;
	t->looked_ms = clock_mono_ms();
	t->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (!t->aes)
		BUG("OpenSSL has no AES-256-CBC");
	*out = t;
	if (renew(t, true, e) == 0)
		return 0;
	tickets_free(out);
	return -1;
}

void tickets_free(struct tickets **t)
{
	if (!*t)
		return;
	OPENSSL_cleanse((*t)->keys, sizeof(*t)->keys);
	EVP_CIPHER_free((*t)->aes);
	free((*t)->dir);
	free((*t)->path);
	mem_free(t);
}

void tickets_set_life(struct tickets *t, int life_s)
{
	t->life_s = life_s;
}

/* ---- OpenSSL's question */

static const struct key *find(const struct tickets *t, const unsigned char name[16])
{
	for (size_t i = 0; i < KEYS_MAX; i++)
		if (memcmp(t->keys[i].name, name, 16) == 0 && opens(t, &t->keys[i]))
			return &t->keys[i];
	return NULL;
}

static int set_mac(EVP_MAC_CTX *mac, const struct key *k)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac,
						  sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						 (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

int tickets_seal(struct tickets *t, unsigned char name[16], unsigned char *iv,
		 EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct key *k = &t->keys[0];

	if (!seals(t, k))
		look(t, true);
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->aes)) != 1)
		return -1;
	memcpy(name, k->name, sizeof k->name);
	return EVP_EncryptInit_ex(cipher, t->aes, NULL, k->cipher, iv) == 1 &&
			       set_mac(mac, k) == 1
		       ? 1
		       : -1;
}

int tickets_unseal(struct tickets *t, const unsigned char name[16], const unsigned char *iv,
		   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct key *k = find(t, name);

	if (!k) {
		look(t, false);
		k = find(t, name);
	}
	if (!k)
		return 0;
	if (EVP_DecryptInit_ex(cipher, t->aes, NULL, k->cipher, iv) != 1 ||
	    set_mac(mac, k) != 1)
		return -1;
	return k == &t->keys[0] ? 1 : 2;
}
