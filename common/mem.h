/*
 * Memory and broken assumptions.
 *
 * Running out of memory ends the process: nothing here returns NULL. The supervisor starts it
 * again, and every step we take is safe to be cut anywhere.
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NO_RETURN	  __attribute__((noreturn))
#define UNUSED		  __attribute__((unused))
#define COUNT(array)	  (sizeof(array) / sizeof((array)[0]))
#undef MIN /* libetpan brings <sys/param.h>, which has them too */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* A broken assumption is a bug of ours: says where and ends the process, in release builds too.
 */
#define ASSERT(claim)                                                     \
	do {                                                              \
		if (!(claim))                                             \
			bug_at(__FILE__, __LINE__, "broken: %s", #claim); \
	} while (0)
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

void bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4) NO_RETURN;

#define MEM_EXIT 71	    /* exit status of a process that ran out of memory: EX_OSERR */
void *mem_new(size_t size); /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; overflow of the product is a bug */
void *mem_grow(void *p, size_t count, size_t size); /* the new tail is not zeroed */
char *mem_str(const char *s);			    /* NULL gives NULL */
char *mem_strn(const char *p, size_t n);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Frees *p and leaves NULL. */
#define mem_free(p)          \
	do {                 \
		free(*(p));  \
		*(p) = NULL; \
	} while (0)

#endif
