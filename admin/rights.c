/* Hides: the kernel's capabilities (capabilities(7)), by system call: two calls need no
 * library. */
#include "admin/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common/log.h"

/* To bind ports, to become run.user, to stop what runs so, and to make its folders. */
static const int needed[] = { CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN,
			      CAP_DAC_OVERRIDE };

static bool is_needed(int cap)
{
	for (size_t i = 0; i < COUNT(needed); i++)
		if (needed[i] == cap)
			return true;
	return false;
}

/* What is out of the bounding set does not come back with exec, neither here nor in a child. */
static void drop_bounds(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!is_needed(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return; /* a container that gives us less than root's rights anyway */
}

void rights_reduce(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct has[2] = { 0 };

	if (geteuid() != 0 || syscall(SYS_capget, &head, has) < 0)
		return;
	drop_bounds();
	for (int half = 0; half < 2; half++) {
		unsigned keep = 0;

		for (size_t i = 0; i < COUNT(needed); i++)
			if (needed[i] / 32 == half)
				keep |= 1u << (needed[i] % 32);
		has[half].permitted &= keep;
		has[half].effective = has[half].permitted;
		has[half].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, has) < 0)
		log_warn(NULL, "cannot give up capabilities: %s", strerror(errno));
}
