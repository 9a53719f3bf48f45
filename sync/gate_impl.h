/* What the files of the gate share; private to them. */
#ifndef SYNC_GATE_IMPL_H
#define SYNC_GATE_IMPL_H

#include "sync/gate.h"

void gate_say(struct gate_item *i, bool ok, const char *remedy, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* By a rule of the settings: what is not ok waits, or warns. */
void gate_rule(struct gate_item *i, enum gate_rule rule, bool ok, const char *remedy,
	       const char *fmt, ...) PRINTF_LIKE(5, 6);

/* gate_facts.c: fills the items that v->known decides. */
void gate_check_known(const struct user *u, const struct gate_view *v,
		      struct gate_item out[GATE_ITEMS]);

#endif
