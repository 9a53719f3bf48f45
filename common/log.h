/*
 * One structured line per event, on standard error:
 *   2026-11-24T05:00:00.123Z info session node=proxy-1 id=k3f9a2c1 proto=imap user=anna
 * side=old state=RELAY : logged in (84 ms) Values from outside are escaped, so a line is always
 * one line. Passwords never come here.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/mem.h"

enum log_level {
	LOG_ERROR, /* a person must act */
	LOG_WARN,  /* failed and handled */
	LOG_INFO,  /* one line per step in the life of a user or session */
	LOG_DEBUG, /* the rest */
	LOG_LEVELS
};

/* What a line is about. All borrowed, any may be NULL. Kept by the object the lines are about.
 */
struct log_about {
	const char *what; /* "session", "user", "worker", "node", … */
	const char *id;
	const char *proto;
	const char *user;
	const char *side;
	const char *state;
	const char *doing; /* set before you wait for something */
	const char *peer;
	bool traced; /* log every level, whatever the general one is */
};

/* name: of this process, shown as node=…; copied. */
void log_open(const char *name, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
int log_level_find(const char *name); /* -1: no such level */
const char *log_level_name(enum log_level level);

void log_line(enum log_level level, const struct log_about *a, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#define log_error(a, ...) log_line(LOG_ERROR, a, __VA_ARGS__)
#define log_warn(a, ...)  log_line(LOG_WARN, a, __VA_ARGS__)
#define log_info(a, ...)  log_line(LOG_INFO, a, __VA_ARGS__)
#define log_debug(a, ...) log_line(LOG_DEBUG, a, __VA_ARGS__)

#endif
