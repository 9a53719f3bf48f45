/* Another protocol's first bytes: what was seen as such stays so, whatever follows. */
#include "common/wire/alien.h"

#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum alien before = ALIEN_NONE;

	for (size_t n = 0; n <= MIN(size, (size_t)32); n++) {
		char *p = mem_strn((const char *)data, n);
		enum alien now = alien_of(p, n);

		ASSERT(before == ALIEN_NONE || now == before);
		before = now;
		free(p);
	}
	return 0;
}
