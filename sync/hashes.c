/* Hides: how systems write down hashes, and what OpenSRS calls them. */
#include "sync/hashes.h"

#include <ctype.h>

#include <openssl/evp.h>

#define RAW_MAX	   128 /* bytes of a hash and its salt */
#define SCHEME_MAX 32

/* By how the hash itself begins. tag NULL: OpenSRS does not take it. */
static const struct form {
	const char *begin, *tag, *name;
	size_t last; /* characters behind the last '$' */
} forms[] = {
	{ "$1$", "MD5", "MD5-crypt", 22 },	  { "$2a$", "BCRYPT", "bcrypt", 53 },
	{ "$2b$", "BCRYPT", "bcrypt", 53 },	  { "$2y$", "BCRYPT", "bcrypt", 53 },
	{ "$5$", "GCRYPT", "SHA-256-crypt", 43 }, { "$6$", "GCRYPT", "SHA-512-crypt", 86 },
	{ "$y$", NULL, "yescrypt", 0 },		  { "$7$", NULL, "scrypt", 0 },
	{ "$gy$", NULL, "gost-yescrypt", 0 },	  { "$argon2", NULL, "Argon2", 0 },
	{ "$scrypt$", NULL, "scrypt", 0 },	  { "$pbkdf2", NULL, "PBKDF2", 0 },
	{ "$apr1$", NULL, "Apache's MD5", 0 },	  { "$2$", NULL, "old bcrypt", 0 },
	{ "$2x$", NULL, "old bcrypt", 0 },	  { "$sha1$", NULL, "NetBSD's SHA-1-crypt", 0 },
	{ "$md5", NULL, "Solaris's MD5", 0 },
};

/* A digest in base64, with a salt behind it or without. */
static const struct digest_row {
	const char *scheme;
	size_t size;
	bool salted;
} digests[] = {
	{ "SHA", 20, false },	 { "SHA1", 20, false },	  { "SHA224", 28, false },
	{ "SHA256", 32, false }, { "SHA384", 48, false }, { "SHA512", 64, false },
	{ "SSHA", 20, true },	 { "SSHA1", 20, true },	  { "SSHA224", 28, true },
	{ "SSHA256", 32, true }, { "SSHA384", 48, true }, { "SSHA512", 64, true },
};

/* Schemes whose hash says itself what it is: Dovecot's names and OpenSRS's. */
static const char *const crypts[] = {
	"CRYPT",     "MD5-CRYPT", "BLF-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT",
	"DES-CRYPT", "MD5",	  "BCRYPT",    "GCRYPT",       "DES",
};

static int refuse(struct err *e, const char *kind)
{
	return err_set(e, ERR_INPUT, "OpenSRS takes no hashes of this kind (%s); remedy: %s",
		       kind, HASHES_WAY_OUT);
}

static int broken(struct err *e, const char *kind)
{
	return err_set(e, ERR_INPUT,
		       "this is no whole hash of its kind (%s); remedy: copy it again, or %s",
		       kind, HASHES_WAY_OUT);
}

static int put(struct secret *out, const char *tag, struct slice hash, struct err *e)
{
	char text[SCHEME_MAX + HASH_MAX + 3];
	int n;

	if (hash.n > HASH_MAX)
		return err_set(e, ERR_INPUT,
			       "the hash is longer than %d characters; remedy: %s", HASH_MAX,
			       HASHES_WAY_OUT);
	n = snprintf(text, sizeof text, "{%s}%.*s", tag, (int)hash.n, hash.p);
	secret_set(out, text, (size_t)n);
	explicit_bzero(text, sizeof text);
	return 0;
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

/* ---- crypt(3) */

static bool is_crypt_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '.' && s.p[i] != '/')
			return false;
	return true;
}

/* 13 characters of its alphabet. */
static bool is_des(struct slice s)
{
	return s.n == 13 && is_crypt_text(s);
}

/* The digest as long as it must be, in crypt's alphabet, behind a salt that may be empty: what
 * was cut, or has the rest of a line behind it, is a password that nobody knows. */
static bool is_whole(struct slice hash, const struct form *f)
{
	const char *last = memrchr(hash.p, '$', hash.n);
	size_t n = (size_t)(hash.p + hash.n - last) - 1;

	return n == f->last && (size_t)(last - hash.p) >= strlen(f->begin) &&
	       is_crypt_text((struct slice){ last + 1, n });
}

static int translate_crypt(struct slice hash, struct secret *out, struct err *e)
{
	if (is_des(hash))
		return put(out, "CRYPT", hash, e);
	for (size_t i = 0; i < COUNT(forms); i++) {
		size_t n = strlen(forms[i].begin);

		if (hash.n < n || memcmp(hash.p, forms[i].begin, n) != 0)
			continue;
		if (!forms[i].tag)
			return refuse(e, forms[i].name);
		if (!is_whole(hash, &forms[i]))
			return broken(e, forms[i].name);
		return put(out, forms[i].tag, hash, e);
	}
	return err_set(e, ERR_INPUT, "this is no kind of hash that we know; remedy: %s",
		       HASHES_WAY_OUT);
}

/* ---- digests */

static int from_hex(struct slice s, unsigned char raw[RAW_MAX])
{
	if (s.n % 2 || s.n / 2 > RAW_MAX)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		int c = tolower((unsigned char)s.p[i]);
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
					       : -1;

		if (v < 0)
			return -1;
		raw[i / 2] = (unsigned char)(i % 2 ? raw[i / 2] | v : v << 4);
	}
	return (int)(s.n / 2);
}

/* Padding may be missing, as some write it. */
static int from_base64(struct slice s, unsigned char raw[RAW_MAX])
{
	char text[RAW_MAX / 3 * 4 + 1];
	size_t n = s.n, pad = 0;
	int got;

	while (n && s.p[n - 1] == '=')
		n--;
	if (n == 0 || (n + 3) / 4 * 4 >= sizeof text)
		return -1;
	memcpy(text, s.p, n);
	while ((n + pad) % 4)
		text[n + pad++] = '=';
	got = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)(n + pad));
	explicit_bzero(text, sizeof text);
	return got < 0 || pad > 2 ? -1 : got - (int)pad;
}

static int translate_digest(const struct digest_row *d, struct slice hash, bool hex,
			    struct secret *out, struct err *e)
{
	unsigned char raw[RAW_MAX], text[RAW_MAX / 3 * 4 + 8];
	int n = hex ? from_hex(hash, raw) : from_base64(hash, raw), rc;

	if (n < 0 || (d->salted ? (size_t)n <= d->size : (size_t)n != d->size)) {
		rc = broken(e, d->scheme);
	} else {
		int size = EVP_EncodeBlock(text, raw, n);

		rc = put(out, d->scheme, (struct slice){ (const char *)text, (size_t)size }, e);
	}
	explicit_bzero(raw, sizeof raw);
	explicit_bzero(text, sizeof text);
	return rc;
}

/* ---- {SCHEME} */

static const struct digest_row *find_digest(const char *scheme)
{
	for (size_t i = 0; i < COUNT(digests); i++)
		if (strcmp(digests[i].scheme, scheme) == 0)
			return &digests[i];
	return NULL;
}

static bool is_crypt(const char *scheme)
{
	for (size_t i = 0; i < COUNT(crypts); i++)
		if (strcmp(crypts[i], scheme) == 0)
			return true;
	return false;
}

/* "ssha256.hex" → "SSHA256" and how its hash is written. false: it is too long. */
static bool take_scheme(struct slice s, char scheme[SCHEME_MAX + 1], bool *hex)
{
	char *dot;

	*hex = false;
	if (s.n > SCHEME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		scheme[i] = (char)toupper((unsigned char)s.p[i]);
	scheme[s.n] = '\0';
	dot = strchr(scheme, '.');
	if (!dot)
		return true;
	*hex = strcmp(dot, ".HEX") == 0;
	if (*hex || strcmp(dot, ".B64") == 0)
		*dot = '\0';
	return true;
}

static int translate_scheme(struct slice found, struct slice end, struct secret *out,
			    struct err *e)
{
	struct slice name = { found.p + 1, (size_t)(end.p - found.p) - 1 };
	struct slice hash = { end.p + 1, end.n - 1 };
	char scheme[SCHEME_MAX + 1];
	const struct digest_row *d;
	bool hex;

	if (!take_scheme(name, scheme, &hex))
		return refuse(e, "a long name");
	d = find_digest(scheme);
	if (d)
		return translate_digest(d, hash, hex, out, e);
	if (is_crypt(scheme) && !hex) {
		/* LDAP's {MD5} is a bare digest; Dovecot's and OpenSRS's is MD5-crypt. */
		if (strcmp(scheme, "MD5") == 0 && hash.n && hash.p[0] != '$')
			return refuse(e, "MD5 without a salt");
		return translate_crypt(hash, out, e);
	}
	if (strcmp(scheme, "PLAIN") == 0 || strcmp(scheme, "CLEARTEXT") == 0)
		return err_set(e, ERR_INPUT,
			       "this is a clear-text password; remedy: put it into the column "
			       "password, without {%s}",
			       scheme);
	return refuse(e, scheme);
}

int hash_translate(struct slice found, struct secret *out, struct err *e)
{
	const char *end = found.n && found.p[0] == '{' ? memchr(found.p, '}', found.n) : NULL;

	if (!is_printable(found))
		return err_set(e, ERR_INPUT,
			       "the hash is empty, or has blanks or other bytes in it that no "
			       "hash has; remedy: copy it again");
	if (!end)
		return translate_crypt(found, out, e);
	return translate_scheme(found, (struct slice){ end, found.n - (size_t)(end - found.p) },
				out, e);
}

/* ---- clear text */

static bool holds(struct slice text, struct slice part)
{
	for (size_t i = 0; part.n && i + part.n <= text.n; i++)
		if (strncasecmp(text.p + i, part.p, part.n) == 0)
			return true;
	return false;
}

int clear_text_check(struct slice password, const char *user, struct err *e)
{
	size_t local = strcspn(user, "@");
	const char *domain = user[local] ? user + local + 1 : "";

	if (password.n == 0 || password.n > CLEAR_TEXT_MAX)
		return err_set(
			e, ERR_INPUT,
			"OpenSRS takes passwords of 1 to %d characters, not of %zu; remedy: "
			"give the user another one",
			CLEAR_TEXT_MAX, password.n);
	for (size_t i = 0; i < password.n; i++)
		if ((unsigned char)password.p[i] <= 0x20 ||
		    (unsigned char)password.p[i] >= 0x7f || password.p[i] == '"')
			return err_set(
				e, ERR_INPUT,
				"character %zu of the password is a blank, a double quote "
				"or none of ASCII, which OpenSRS does not take; remedy: give "
				"the user another one",
				i + 1);
	if (password.p[0] == '{' && memchr(password.p, '}', password.n))
		return err_set(
			e, ERR_INPUT,
			"the password begins like the tag of a hash, and OpenSRS would "
			"take it for one; remedy: give the user another one, or put a hash "
			"into the column hash");
	if (holds(password, (struct slice){ user, local }) || holds(password, slice_of(domain)))
		return err_set(
			e, ERR_INPUT,
			"the password holds the user's or the domain's name, which OpenSRS "
			"refuses; remedy: give the user another one");
	return 0;
}
