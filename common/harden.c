/* Hides: which of the kernel's switches that takes. */
#include "common/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/mem.h"

void harden_process(void)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		BUG("the kernel refuses to protect this process");
}
