/* What this process takes of its host, for monitoring. */
#ifndef COMMON_PROCESS_USE_H
#define COMMON_PROCESS_USE_H

#include "common/mem.h"

struct process_use {
	double cpu_s;
	double resident_bytes;
	double descriptors_max; /* it may have open */
};
/* What cannot be found out is 0. */
struct process_use process_use(void);
/* Open now, counted one by one: slow where they are many. */
size_t process_descriptors(void);

#endif
