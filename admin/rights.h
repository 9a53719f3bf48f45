/* The supervisor as root keeps what its work needs, and gives up all else for good. */
#ifndef ADMIN_RIGHTS_H
#define ADMIN_RIGHTS_H

/* Does nothing for another user than root. */
void rights_reduce(void);

#endif
