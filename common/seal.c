/* Hides: libsodium. */
#include "common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

_Static_assert(SEAL_KEY_BYTES == crypto_box_PUBLICKEYBYTES, "a public key");
_Static_assert(SEAL_KEY_BYTES == crypto_box_SECRETKEYBYTES, "a secret key");

#define BASE64 sodium_base64_VARIANT_ORIGINAL

struct seal_opener {
	unsigned char public_key[SEAL_KEY_BYTES], secret_key[SEAL_KEY_BYTES];
};

static void begin(void)
{
	if (sodium_init() < 0)
		BUG("libsodium does not start");
}

int seal_key_parse(const char *hex, unsigned char key[SEAL_KEY_BYTES])
{
	size_t n;
	const char *end;

	if (sodium_hex2bin(key, SEAL_KEY_BYTES, hex, strlen(hex), NULL, &n, &end) != 0)
		return -1;
	return n == SEAL_KEY_BYTES && *end == '\0' ? 0 : -1;
}

char *seal_write(const unsigned char key[SEAL_KEY_BYTES], struct slice secret)
{
	size_t n = crypto_box_SEALBYTES + secret.n, size = sodium_base64_ENCODED_LEN(n, BASE64);
	unsigned char *box = mem_new(n);
	char *text = mem_new(size);

	begin();
	if (crypto_box_seal(box, (const unsigned char *)secret.p, secret.n, key) != 0)
		BUG("a public key that was parsed is none");
	sodium_bin2base64(text, size, box, n, BASE64);
	free(box);
	return text;
}

/* ---- the other end */

static int read_key(int fd, const char *name, unsigned char key[SEAL_KEY_BYTES], struct err *e)
{
	char hex[SEAL_HEX_SIZE + 1] = "";
	ssize_t n = pread(fd, hex, sizeof hex - 1, 0);
	int rc;

	if (n < 0)
		return err_set(e, ERR_INPUT, "%s: %s", name, strerror(errno));
	hex[strcspn(hex, "\n")] = '\0';
	rc = seal_key_parse(hex, key);
	sodium_memzero(hex, sizeof hex);
	return rc == 0 ? 0 : err_set(e, ERR_INPUT, "%s holds no key of 64 hex digits", name);
}

static int check_pair(const struct seal_opener *o, const char *name, const char *public_hex,
		      struct err *e)
{
	unsigned char wanted[SEAL_KEY_BYTES];

	if (seal_key_parse(public_hex, wanted) < 0 ||
	    sodium_memcmp(wanted, o->public_key, sizeof wanted) != 0)
		return err_set(e, ERR_INPUT,
			       "the key in %s is not the one that learn.public_key belongs to",
			       name);
	return 0;
}

int seal_opener_new(int fd, const char *name, const char *public_hex, struct seal_opener **out,
		    struct err *e)
{
	struct seal_opener *o;

	begin();
	o = sodium_malloc(sizeof *o);
	if (!o)
		return err_set(e, ERR_LIMIT, "%s: no memory that can be locked for it (ulimit -l)",
			       name);
	if (read_key(fd, name, o->secret_key, e) < 0)
		goto fail;
	crypto_scalarmult_base(o->public_key, o->secret_key);
	if (check_pair(o, name, public_hex, e) < 0)
		goto fail;
	*out = o;
	return 0;
fail:
	sodium_free(o);
	return -1;
}

void seal_opener_free(struct seal_opener **o)
{
	sodium_free(*o);
	*o = NULL;
}

int seal_open(const struct seal_opener *o, const char *sealed, struct secret *out, struct err *e)
{
	unsigned char box[SECRET_MAX + crypto_box_SEALBYTES], plain[SECRET_MAX];
	size_t n;
	int rc = sodium_base642bin(box, sizeof box, sealed, strlen(sealed), NULL, &n, NULL, BASE64);

	if (rc == 0 && n >= crypto_box_SEALBYTES)
		rc = crypto_box_seal_open(plain, box, n, o->public_key, o->secret_key);
	else
		rc = -1;
	if (rc == 0)
		secret_set(out, plain, n - crypto_box_SEALBYTES);
	sodium_memzero(plain, sizeof plain);
	return rc == 0 ? 0
		       : err_set(e, ERR_INPUT, "sealed to another key than learn.key_file, or damaged");
}

/* ---- a new pair */

static int write_key(const char *path, const char *hex, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	bool whole;

	if (fd < 0)
		return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	whole = dprintf(fd, "%s\n", hex) == SEAL_HEX_SIZE && fsync(fd) == 0;
	if (close(fd) == 0 && whole)
		return 0;
	err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	unlink(path);
	return -1;
}

int seal_pair_make(const char *path, char hex[SEAL_HEX_SIZE], struct err *e)
{
	unsigned char public_key[SEAL_KEY_BYTES], secret_key[SEAL_KEY_BYTES];
	char secret_hex[SEAL_HEX_SIZE];
	int rc;

	begin();
	crypto_box_keypair(public_key, secret_key);
	sodium_bin2hex(hex, SEAL_HEX_SIZE, public_key, sizeof public_key);
	sodium_bin2hex(secret_hex, sizeof secret_hex, secret_key, sizeof secret_key);
	rc = write_key(path, secret_hex, e);
	sodium_memzero(secret_key, sizeof secret_key);
	sodium_memzero(secret_hex, sizeof secret_hex);
	return rc;
}

/* ---- fingerprints */

uint64_t seal_fingerprint(struct slice secret)
{
	static unsigned char key[crypto_shorthash_KEYBYTES];
	static bool ready;
	uint64_t out;

	_Static_assert(sizeof out == crypto_shorthash_BYTES, "64 bits");
	if (!ready) {
		begin();
		crypto_shorthash_keygen(key);
		ready = true;
	}
	crypto_shorthash((unsigned char *)&out, (const unsigned char *)secret.p, secret.n, key);
	return out ? out : 1;
}
