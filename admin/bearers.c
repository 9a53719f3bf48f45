/* Hides: how the file of tokens is written, and how a token is compared. */
#include "admin/bearers.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pwd.h>
#include <unistd.h>

#include "certs/pair.h"
#include "common/clock.h"
#include "common/log.h"

#define HASH_PREFIX "sha256:"
#define HEX_SIZE    (2 * BEARER_HASH_SIZE + 1)

static const char *const role_names[ROLES] = {
	[ROLE_NONE] = "none",
	[ROLE_VIEW] = "view",
	[ROLE_OPERATE] = "operate",
};

const char *role_name(enum role r)
{
	return role_names[r];
}

int role_find(const char *name)
{
	for (int r = ROLE_VIEW; r < ROLES; r++)
		if (strcmp(role_names[r], name) == 0)
			return r;
	return -1;
}

static void to_hex(const unsigned char *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* ---- one line */

static bool is_name(const char *name)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.@";
	size_t n = strlen(name);

	return n > 0 && n <= BEARER_NAME_MAX && strspn(name, may) == n;
}

static bool from_hex(const char *text, unsigned char out[BEARER_HASH_SIZE])
{
	size_t n = 0;

	return OPENSSL_hexstr2buf_ex(out, BEARER_HASH_SIZE, &n, text, '\0') == 1 &&
	       n == BEARER_HASH_SIZE;
}

/* "NAME ROLE sha256:HEX DAY" */
static bool parse_line(const char *line, struct bearer *out)
{
	char name[BEARER_NAME_MAX + 2], role[16], hash[sizeof HASH_PREFIX + HEX_SIZE], end;
	int r, got = sscanf(line, "%41s %15s %72s %15s %c", name, role, hash, out->day, &end);

	if (got != 4 || !is_name(name) || (r = role_find(role)) < 0 ||
	    strncmp(hash, HASH_PREFIX, sizeof HASH_PREFIX - 1) != 0)
		return false;
	out->role = (enum role)r;
	memcpy(out->name, name, strlen(name) + 1);
	return from_hex(hash + sizeof HASH_PREFIX - 1, out->hash);
}

static struct bearer *find_name(struct bearers *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->at[i].name, name) == 0)
			return &t->at[i];
	return NULL;
}

static int take_line(struct bearers *t, const char *line, struct err *e)
{
	struct bearer fresh = { 0 };

	if (line[0] == '#' || line[strspn(line, " \t")] == '\0')
		return 0;
	if (!parse_line(line, &fresh))
		return err_set(e, ERR_INPUT,
			       "is no \"NAME ROLE sha256:HEX DAY\": write it with `mailferry "
			       "token`");
	if (find_name(t, fresh.name))
		return err_set(e, ERR_INPUT, "%s is there twice: take one of them out",
			       fresh.name);
	if (t->count == BEARERS_MAX)
		return err_set(e, ERR_INPUT, "more than %d tokens: remove some", BEARERS_MAX);
	t->at[t->count++] = fresh;
	return 0;
}

/* ---- the file */

static int check_rights(int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(e, ERR_INPUT, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "is no file");
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_INPUT,
			       "others than its owner may read or write it: chmod 600 it");
	if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
		return err_set(e, ERR_INPUT, "belongs to somebody else: chown it");
	if (st.st_size > BEARER_FILE_MAX)
		return err_set(e, ERR_INPUT, "larger than %d bytes", BEARER_FILE_MAX);
	return 0;
}

/* errno, for which the file could not be read, goes to *trouble: it says nothing of the file.
 */
static int failed(const char *what, int *trouble, struct err *e)
{
	*trouble = errno;
	return err_set(e, ERR_INPUT, "%s%s%s", strerror(errno), *what ? ": " : "", what);
}

static int read_lines(FILE *f, struct bearers *out, int *trouble, struct err *e)
{
	char line[512];
	int number = 0, rc = 0;

	while (rc == 0 && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		number++;
		rc = take_line(out, line, e);
	}
	if (rc == 0 && ferror(f))
		return failed("", trouble, e);
	return rc < 0 ? err_wrap(e, "line %d", number) : 0;
}

static int read_open(int fd, struct bearers *out, int *trouble, struct err *e)
{
	FILE *f;
	int rc;

	if (check_rights(fd, e) < 0) {
		close(fd);
		return -1;
	}
	f = fdopen(fd, "r");
	ASSERT(f);
	rc = read_lines(f, out, trouble, e);
	fclose(f);
	return rc;
}

static int read_file(const char *path, struct bearers *out, int *trouble, struct err *e)
{
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*out = (struct bearers){ 0 };
	*trouble = 0;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		rc = failed(errno == EACCES
				    ? "the account of run.user must own it, and reach it"
				    : "",
			    trouble, e);
	else
		rc = read_open(fd, out, trouble, e);
	if (rc == 0)
		return 0;
	out->count = 0;
	return err_wrap(e, "%s", path);
}

int bearers_read(const char *path, struct bearers *out, struct err *e)
{
	int trouble;

	return read_file(path, out, &trouble, e);
}

static void write_lines(FILE *f, const struct bearers *t)
{
	fputs("# who may use the API of mailferry; written by `mailferry token`\n", f);
	for (size_t i = 0; i < t->count; i++) {
		char hex[HEX_SIZE];

		to_hex(t->at[i].hash, BEARER_HASH_SIZE, hex);
		fprintf(f, "%s %s " HASH_PREFIX "%s %s\n", t->at[i].name,
			role_name(t->at[i].role), hex, t->at[i].day);
	}
}

/* The engine must be able to read it: it stays with whom it belongs to. */
static int give(int fd, const char *path, const char *owner, struct err *e)
{
	const struct passwd *w = owner ? getpwnam(owner) : NULL;
	struct stat st;
	uid_t uid = w ? w->pw_uid : (uid_t)-1;
	gid_t gid = w ? w->pw_gid : (gid_t)-1;

	if (stat(path, &st) == 0) {
		uid = st.st_uid;
		gid = st.st_gid;
	}
	if (geteuid() == 0 && fchown(fd, uid, gid) < 0)
		return err_set(e, ERR_INPUT, "%s", strerror(errno));
	return 0;
}

static int write_new(int fd, const char *path, const struct bearers *t, const char *owner,
		     struct err *e)
{
	FILE *f = fdopen(fd, "w");
	int rc;

	ASSERT(f);
	write_lines(f, t);
	rc = give(fd, path, owner, e);
	if (rc == 0 && (fflush(f) != 0 || fsync(fd) < 0))
		rc = err_set(e, ERR_INPUT, "%s", strerror(errno));
	fclose(f);
	return rc;
}

int bearers_write(const char *path, const struct bearers *t, const char *owner, struct err *e)
{
	char *fresh = mem_printf("%s.new", path);
	int rc, fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		rc = err_set(e, ERR_INPUT, "%s: %s%s", fresh, strerror(errno),
			     errno == EEXIST
				     ? ": somebody is changing the tokens; if not, remove "
				       "this file"
				     : "");
		mem_free(&fresh);
		return rc;
	}
	rc = write_new(fd, path, t, owner, e);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = err_set(e, ERR_INPUT, "%s", strerror(errno));
	if (rc < 0) {
		unlink(fresh);
		rc = err_wrap(e, "%s", path);
	}
	mem_free(&fresh);
	return rc;
}

/* ---- tokens */

static void hash_of(struct slice text, unsigned char out[BEARER_HASH_SIZE])
{
	SHA256((const unsigned char *)text.p, text.n, out);
}

int bearers_add(struct bearers *t, const char *name, enum role role,
		char text[BEARER_TEXT_SIZE], struct err *e)
{
	unsigned char bits[HTTP_TOKEN_DIGITS / 2];
	struct bearer *fresh;

	if (!is_name(name))
		return err_set(e, ERR_INPUT,
			       "\"%s\" is no name for a token: 1 to %d letters, digits, \"-\", "
			       "\"_\", \".\" and \"@\"",
			       name, BEARER_NAME_MAX);
	if (find_name(t, name))
		return err_set(e, ERR_INPUT,
			       "there is a token %s: remove it first, or choose another name",
			       name);
	if (t->count == BEARERS_MAX)
		return err_set(e, ERR_LIMIT, "there are %d tokens: remove some", BEARERS_MAX);
	if (RAND_bytes(bits, sizeof bits) != 1)
		BUG("no random bytes");
	memcpy(text, HTTP_TOKEN_PREFIX, sizeof HTTP_TOKEN_PREFIX);
	to_hex(bits, sizeof bits, text + sizeof HTTP_TOKEN_PREFIX - 1);
	OPENSSL_cleanse(bits, sizeof bits);
	fresh = &t->at[t->count++];
	*fresh = (struct bearer){ .role = role };
	snprintf(fresh->name, sizeof fresh->name, "%s", name);
	hash_of(slice_of(text), fresh->hash);
	cert_day(clock_real_ms() / 1000, fresh->day);
	return 0;
}

bool bearers_remove(struct bearers *t, const char *name)
{
	struct bearer *gone = find_name(t, name);

	if (!gone)
		return false;
	t->count--;
	memmove(gone, gone + 1, (size_t)(t->at + t->count - gone) * sizeof *gone);
	return true;
}

const struct bearer *bearers_find(const struct bearers *t, struct slice text)
{
	const struct bearer *found = NULL;
	unsigned char hash[BEARER_HASH_SIZE];

	hash_of(text, hash);
	for (size_t i = 0; i < t->count; i++)
		if (CRYPTO_memcmp(t->at[i].hash, hash, sizeof hash) == 0)
			found = &t->at[i];
	return found;
}

/* ---- following it */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void bearer_file_look(struct bearer_file *f, const char *path)
{
	struct err e = { 0 };
	struct stat now = { 0 };
	int trouble, rc;
	bool same;

	if (stat(path, &now) < 0)
		now = (struct stat){ 0 };
	same = same_file(&now, &f->seen);
	if (same && now.st_ino && !f->trouble)
		return;
	rc = read_file(path, &f->tokens, &trouble, &e);
	if (same && trouble == f->trouble)
		return; /* none, or as unreadable as before, which was told */
	if (rc < 0)
		log_error(NULL, "api: no token is taken: %s", e.text);
	else
		log_info(NULL, "api: %zu tokens in %s", f->tokens.count, path);
	f->edition++;
	f->seen = now;
	f->trouble = trouble;
}
