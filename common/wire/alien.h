/*
 * Another protocol's first bytes, where a mail client's first command belongs: known at once,
 * so that a browser or a TLS client is not answered line for line.
 */
#ifndef COMMON_WIRE_ALIEN_H
#define COMMON_WIRE_ALIEN_H

#include <stddef.h>

#define ALIEN_SURE 16 /* bytes that suffice to tell; or a whole line */

enum alien { ALIEN_NONE, ALIEN_HTTP, ALIEN_TLS };

/* Of the bytes that have come so far; ALIEN_NONE too while there are too few to tell. */
enum alien alien_of(const char *p, size_t n);

#endif
