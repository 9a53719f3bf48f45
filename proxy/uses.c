/* Hides: counting by bits. */
#include "proxy/uses.h"

#include "proxy/follower.h"

void uses_note(struct session *s, uint64_t bits)
{
	uint64_t fresh = bits & ~s->used;

	s->used |= bits;
	for (int u = 0; fresh; u++, fresh >>= 1)
		if (fresh & 1)
			s->proxy->uses[u]++;
}

void uses_write(struct proxy *p)
{
	uint32_t some = 0;

	for (int u = 0; u < USAGES; u++)
		some |= p->uses[u];
	if (!some)
		return;
	follower_uses(p->follower, p->uses);
	memset(p->uses, 0, sizeof p->uses);
}
