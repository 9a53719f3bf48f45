/*
 * POP3's XCLIENT, as Dovecot has it: NAME=value words by which a proxy tells where its client
 * comes from. "XCLIENT ADDR=192.0.2.1 PORT=4711 SESSION=k3f9 TTL=4".
 */
#ifndef COMMON_WIRE_XCLIENT_H
#define COMMON_WIRE_XCLIENT_H

#include "common/wire/wire.h"

#define XCLIENT_LINE_MAX 1024 /* bytes of the command with its end */

/* Takes a word off the front of *args. WIRE_MORE: there was none left; WIRE_BAD: no NAME=value.
 */
enum wire xclient_next(struct slice *args, struct slice *name, struct slice *value);
/* Adds " NAME=value". False, and nothing is added: bytes that no word may hold, or a line that
 * grows too long. */
bool xclient_add(struct buf *line, const char *name, const char *value);

#endif
