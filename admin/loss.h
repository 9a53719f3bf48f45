/*
 * What it means for people when a server lacks a capability that the other one has.
 */
#ifndef ADMIN_LOSS_H
#define ADMIN_LOSS_H

#include "config/settings.h"

/* capability: as the server lists it ("THREAD=REFS", "EXPIRE NEVER"). A sentence. */
const char *loss_means(enum protocol_kind proto, struct slice capability);
/* Its name up to "=" or a space, under which sessions are counted (common/wire/usage.h). */
struct slice loss_name(struct slice capability);

#endif
