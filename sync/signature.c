/* Hides: OpenSSL's keys, and their file. */
#include "sync/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define KEY_SIZE       (PUBLIC_KEY_HEX / 2)
#define SIGNATURE_SIZE (SIGNATURE_HEX / 2)

struct signer {
	EVP_PKEY *key;
	char public_hex[PUBLIC_KEY_HEX + 1];
};

static void to_hex(const unsigned char *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *hex, unsigned char *out, size_t n)
{
	if (strlen(hex) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* Whole or not at all: two engines that make one at once end with the same file. */
static int make_key(const char *path, struct err *e)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	char *fresh = mem_printf("%s.%d", path, (int)getpid());
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = -1;
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	ASSERT(key);
	if (f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    fflush(f) == 0 && fsync(fd) == 0 && (link(fresh, path) == 0 || errno == EEXIST))
		rc = 0;
	else
		err_set(e, ERR_STORE, "%s: cannot be written: %s", path, strerror(errno));
	if (f)
		fclose(f);
	unlink(fresh);
	free(fresh);
	EVP_PKEY_free(key);
	return rc;
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return key;
}

int signer_open(const char *path, struct signer **out, struct err *e)
{
	unsigned char raw[KEY_SIZE];
	size_t n = sizeof raw;
	struct signer *s;

	*out = NULL;
	if (access(path, F_OK) < 0 && make_key(path, e) < 0)
		return -1;
	s = mem_new(sizeof *s);
	s->key = read_key(path);
	if (!s->key || EVP_PKEY_get_raw_public_key(s->key, raw, &n) != 1 || n != KEY_SIZE) {
		signer_free(&s);
		return err_set(e, ERR_STORE,
			       "%s: no Ed25519 key that can be read; move it away and a new one"
			       " is made",
			       path);
	}
	to_hex(raw, KEY_SIZE, s->public_hex);
	*out = s;
	return 0;
}

void signer_free(struct signer **s)
{
	if (!*s)
		return;
	EVP_PKEY_free((*s)->key);
	mem_free(s);
}

void signer_sign(const struct signer *s, struct slice bytes, char hex[SIGNATURE_HEX + 1])
{
	unsigned char raw[SIGNATURE_SIZE];
	size_t n = sizeof raw;
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	ASSERT(c && EVP_DigestSignInit(c, NULL, NULL, NULL, s->key) == 1);
	ASSERT(EVP_DigestSign(c, raw, &n, (const unsigned char *)bytes.p, bytes.n) == 1);
	EVP_MD_CTX_free(c);
	to_hex(raw, n, hex);
}

const char *signer_public_key(const struct signer *s)
{
	return s->public_hex;
}

bool signature_holds(struct slice bytes, const char *key_hex, const char *signature_hex)
{
	unsigned char raw_key[KEY_SIZE], raw[SIGNATURE_SIZE];
	EVP_PKEY *key;
	EVP_MD_CTX *c;
	bool holds;

	if (!from_hex(key_hex, raw_key, KEY_SIZE) ||
	    !from_hex(signature_hex, raw, SIGNATURE_SIZE))
		return false;
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw_key, KEY_SIZE);
	c = EVP_MD_CTX_new();
	holds = key && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestVerify(c, raw, SIGNATURE_SIZE, (const unsigned char *)bytes.p,
				 bytes.n) == 1;
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	return holds;
}
