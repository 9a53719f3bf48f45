/* Hides: whose password is learned, and when again. */
#include "proxy/learned.h"

#include "common/clock.h"
#include "common/seal.h"
#include "proxy/follower.h"

#define AGAIN_MS (24 * 3600 * 1000LL) /* the same one is written anew: its days count from now */

static bool is_wanted(const struct session *s)
{
	return s->login.mech == SASL_PLAIN && !s->route->stranger &&
	       s->route->state != USER_DONE &&
	       settings_learns(s->proxy->settings, s->route->name);
}

void learned_note(struct session *s)
{
	struct route *r = s->route;
	unsigned char key[SEAL_KEY_BYTES];
	int64_t now = clock_mono_ms();
	uint64_t print;
	char *sealed;

	if (!is_wanted(s))
		return;
	print = seal_fingerprint(secret_slice(&s->login.password));
	if (r->learned == print && now - r->learned_ms < AGAIN_MS)
		return;
	if (seal_key_parse(s->proxy->settings->learn.public_key, key) < 0)
		BUG("learn.public_key was checked");
	r->learned = print;
	r->learned_ms = now;
	sealed = seal_write(key, secret_slice(&s->login.password));
	follower_learned(s->proxy->follower, r->name, sealed);
	free(sealed);
	log_debug(&s->about, "the password was learned");
}
