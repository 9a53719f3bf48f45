/*
 * How fast the copier may be, by the time of day:
 * "08:00-18:00 bytes=2M messages=5 connections=4, 22:00-06:00 bytes=0". What a window does not
 * name stays as the plain settings have it; the first window that holds counts. Pure.
 */
#ifndef CONFIG_RATE_TIMES_H
#define CONFIG_RATE_TIMES_H

#include "common/buf.h"

#define RATE_BYTES_MAX	  (1LL << 40)
#define RATE_MESSAGES_MAX 1000000
#define RATE_WINDOWS_MAX  16

struct rate {
	int64_t bytes;	 /* per second; 0: as fast as it goes */
	int messages;	 /* per second; 0: the same */
	int connections; /* at once */
};

/* 0, or -1 with what is wrong and what it should be. NULL and "" are fine. */
int rate_times_check(const char *text, char *why, size_t size) MUST_CHECK;
/* The plain settings as changed by the window that holds at this minute of the day. */
struct rate rate_at(struct rate plain, const char *text, int minute);

#endif
