/* Hides: that what several users heard concerns all. */
#include "sync/trouble.h"

#define LAST_OF_ALL (STORE_ERROR_USERS - 1)

static int on_error(const struct server_error_row *x, void *arg)
{
	struct trouble *t = arg;

	for (size_t i = 0; i < STORE_ERROR_USERS; i++) {
		if (t->heard[x->side][i].at)
			continue;
		snprintf(t->heard[x->side][i].user, sizeof t->heard[x->side][i].user, "%s",
			 x->name);
		t->heard[x->side][i].at = x->at;
		break;
	}
	return 0;
}

int trouble_read(struct store *st, const struct settings *s, struct trouble *out, struct err *e)
{
	*out = (struct trouble){ .lasts_ms = (int64_t)s->sync.trouble_s * 1000 };
	return store_server_errors_each(st, on_error, out, e) < 0 ? -1 : 0;
}

/* Who heard it last is the one for whom it may last longer than for all. */
int64_t trouble_until(const struct trouble *t, enum side side, const char *user)
{
	bool own = user && strcmp(t->heard[side][0].user, user) == 0;
	int64_t at = t->heard[side][own ? 0 : LAST_OF_ALL].at;

	return at ? at + t->lasts_ms : 0;
}

static void say(const struct trouble *t, enum side side, const char *user, int64_t now,
		char out[static TROUBLE_TEXT_MAX])
{
	bool all = trouble_until(t, side, NULL) > now;
	long long left = (trouble_until(t, side, user) - now + 999) / 1000;
	long long ago = (now - t->heard[side][0].at) / 1000;

	if (all)
		snprintf(out, TROUBLE_TEXT_MAX,
			 "the %s server answered several users with internal errors, the last "
			 "ones %.80s (%lld s ago) and %.80s: what it lists is not believed for "
			 "%lld s more",
			 side_name(side), t->heard[side][0].user, ago,
			 t->heard[side][LAST_OF_ALL].user, left);
	else
		snprintf(out, TROUBLE_TEXT_MAX,
			 "the %s server answered %.80s with an internal error %lld s ago: what "
			 "it lists for this user is not believed for %lld s more",
			 side_name(side), user, ago, left);
}

bool trouble_holds(const struct trouble *t, const char *user, enum direction d, int64_t now,
		   char out[static TROUBLE_TEXT_MAX])
{
	out[0] = '\0';
	for (int i = 0; i < SIDES; i++) {
		enum side side = (enum side)i;

		if ((d == DIR_BACK && side == SIDE_NEW) || trouble_until(t, side, user) <= now)
			continue;
		say(t, side, user, now, out);
		return true;
	}
	return false;
}
