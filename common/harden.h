/* For programs that passwords pass through: nothing of their memory lands on a disk or can be
 * read by others of the same user, and nothing they start gets more rights. First thing in
 * main(): exec undoes a part of it. */
#ifndef COMMON_HARDEN_H
#define COMMON_HARDEN_H

void harden_process(void);

#endif
