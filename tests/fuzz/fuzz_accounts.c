/* The list of accounts and its hashes: whatever is in it, every account is fit to be sent. */
#include "sync/accounts.h"
#include "sync/hashes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct account *a)
{
	struct slice password = secret_slice(&a->password);
	const char *end = password.n ? memchr(password.p, '}', password.n) : NULL;

	ASSERT(a->name && *a->name && json_is_object(a->attributes));
	ASSERT(password.n <= HASH_MAX + 32);
	for (size_t i = 0; i < password.n; i++)
		ASSERT(password.p[i] > 0x20 && password.p[i] < 0x7f);
	ASSERT(!a->hashed || (password.p[0] == '{' && end &&
			      (size_t)(password.p + password.n - end) - 1 <= HASH_MAX));
	ASSERT(a->hashed || password.n <= CLEAR_TEXT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct login_name_rules rules = { .default_domain = "ex.test",
						.fold_local = true };
	struct sheet_errors errs;
	struct accounts l;

	/* No file is opened that the input names. */
	if (memmem(data, size, "password_file", 13))
		return 0;
	if (accounts_parse((struct slice){ (const char *)data, size }, "f", &rules, NULL, &l,
			   &errs) == 0) {
		for (size_t i = 0; i < l.count; i++)
			check(&l.at[i]);
		accounts_release(&l);
	} else {
		ASSERT(errs.count > 0);
		sheet_errors_release(&errs);
	}
	return 0;
}
