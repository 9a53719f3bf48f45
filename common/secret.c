/* Hides: where a password lies in memory, and that it is wiped. */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>

void secret_set(struct secret *s, const void *p, size_t n)
{
	secret_release(s);
	s->at = mem_strn(p, n);
	s->n = n;
}

void secret_release(struct secret *s)
{
	if (s->at)
		OPENSSL_cleanse(s->at, s->n);
	mem_free(&s->at);
	s->n = 0;
}

bool secret_is_set(const struct secret *s)
{
	return s->at != NULL;
}

struct slice secret_slice(const struct secret *s)
{
	return (struct slice){ s->at ? s->at : "", s->n };
}

static int take_line(struct secret *s, const char *path, const char *p, size_t n, struct err *e)
{
	const char *lf = memchr(p, '\n', n);

	if (lf)
		n = (size_t)(lf - p);
	if (n && p[n - 1] == '\r')
		n--;
	if (n == 0)
		return err_set(e, ERR_INPUT, "password file %s: the first line is empty", path);
	if (n > SECRET_MAX)
		return err_set(e, ERR_INPUT, "password file %s: more than %d bytes", path,
			       SECRET_MAX);
	if (memchr(p, '\0', n))
		return err_set(e, ERR_INPUT, "password file %s: a NUL byte in the password",
			       path);
	secret_set(s, p, n);
	return 0;
}

int secret_read_file(struct secret *s, const char *path, struct err *e)
{
	char text[SECRET_MAX + 3];
	size_t n = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_set(e, ERR_INPUT, "password file %s: %s", path, strerror(errno));
	while (n < sizeof text && (got = read(fd, text + n, sizeof text - n)) > 0)
		n += (size_t)got;
	close(fd);
	rc = take_line(s, path, text, n, e);
	OPENSSL_cleanse(text, sizeof text);
	return rc;
}
