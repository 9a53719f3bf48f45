/* What all parsers of the wire share: pure functions over bytes, no I/O, no allocation, no
 * state of their own. */
#ifndef COMMON_WIRE_WIRE_H
#define COMMON_WIRE_WIRE_H

#include "common/buf.h"

enum wire {
	WIRE_DONE, /* parsed; lengths tell how far */
	WIRE_MORE, /* everything so far is right, but it is not whole */
	WIRE_BAD   /* no continuation of these bytes can make it right */
};

#endif
