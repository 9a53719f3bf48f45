/* Hides: what happens when memory ends, and where bug reports go. */
#include "common/mem.h"

void bug_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "bug: %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static void *or_die(void *p)
{
	if (!p) {
		static const char text[] = "out of memory\n";

		if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
			abort();
		_exit(MEM_EXIT);
	}
	return p;
}

void *mem_new(size_t size)
{
	return or_die(calloc(1, size ? size : 1));
}

void *mem_array(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		BUG("array of %zu times %zu bytes", count, size);
	return mem_new(total);
}

void *mem_grow(void *p, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		BUG("array of %zu times %zu bytes", count, size);
	return or_die(realloc(p, total ? total : 1));
}

char *mem_str(const char *s)
{
	return s ? or_die(strdup(s)) : NULL;
}

char *mem_strn(const char *p, size_t n)
{
	char *s = mem_new(n + 1);

	if (n)
		memcpy(s, p, n);
	return s;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return or_die(n < 0 ? NULL : s);
}
