/*
 * A JSON object from another process, taken apart key by key: every key must be asked for, what is
 * left over is unknown, and an error names the key.
 */
#ifndef SYNC_OBJECT_H
#define SYNC_OBJECT_H

#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"

#define OBJECT_COUNT_MAX ((int64_t)1 << 53) /* JSON numbers are exact up to here */

struct object {
	json_t *json;	  /* borrowed */
	const char *what; /* for errors: "job", "side" */
	size_t used;	  /* keys that were asked for */
	struct err *e;
};

/* The object of a line of at most max bytes; the caller drops *out. Errors never quote it. */
int object_load(struct slice line, size_t max, json_t **out, struct err *e) MUST_CHECK;
/* The value of a key, borrowed; NULL: it is not there. */
json_t *object_take(struct object *o, const char *key);
/* -1: there are keys that nobody asked for. */
int object_whole(const struct object *o) MUST_CHECK;
/* Sets the error that the key's value must be otherwise; always -1. */
int object_wrong(const struct object *o, const char *key, const char *must);

/* A string of at most max bytes without control characters: it may become part of a command or a
 * path. The caller frees *out; optional: it may be missing or null, then *out stays. */
int object_string(struct object *o, const char *key, size_t max, bool optional,
		  char **out) MUST_CHECK;
int object_number(struct object *o, const char *key, int64_t min, int64_t max,
		  int64_t *out) MUST_CHECK;
/* From 0; 0 where it is missing. */
int object_optional(struct object *o, const char *key, int64_t max, int64_t *out) MUST_CHECK;
int object_int(struct object *o, const char *key, int min, int max, int *out) MUST_CHECK;
int object_bool(struct object *o, const char *key, bool *out) MUST_CHECK;
/* One of a row of names: its number. */
int object_name(struct object *o, const char *key, const char *(*name)(int), int count,
		int *out) MUST_CHECK;

#endif
