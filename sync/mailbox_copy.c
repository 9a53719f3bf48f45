/* Hides: UID COPY of a range, and what its answer says. */
#include "sync/mailbox_impl.h"
#include "sync/uid_code.h"

#include <inttypes.h>

int mailbox_copy(struct mailbox *m, uint32_t first, size_t n, const char *folder,
		 uint32_t *uids, uint32_t *uidvalidity, bool *told, struct err *e)
{
	struct command c = { 0 };

	ASSERT(n > 0 && !m->pop3 && *mailbox_folder(m));
	*told = false;
	if (mailbox_check_name(folder, e) < 0)
		return -1;
	command_printf(&c, "UID COPY %" PRIu32 ":%" PRIu32 " ", first,
		       first + (uint32_t)(n - 1));
	command_astring(m, &c, slice_of(folder));
	if (command_run(m, &c, NULL, NULL, e) < 0)
		return err_wrap(e, "copying in folder \"%s\"", folder);
	*told = copyuid_read(slice_of(m->last_code), n, uidvalidity, uids);
	return 0;
}
