/* Hides: jansson's allocator. */
#include "sync/json_wipe.h"

#include <malloc.h>
#include <jansson.h>
#include <openssl/crypto.h>

#include "common/mem.h"

static void wiping_free(void *p)
{
	if (p)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

void json_wipe_freed(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
}
