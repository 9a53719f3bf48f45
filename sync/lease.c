/* Hides: how a lease that could not be renewed is told from one that was lost. */
#include "sync/lease.h"

#include "common/clock.h"
#include "common/store_engine.h"

static void note_trouble(struct lease *l, bool trouble, const struct err *e)
{
	if (trouble && !l->trouble)
		log_error(&l->about, "lease not renewed: %s", e->text);
	if (!trouble && l->trouble)
		log_info(&l->about, "lease: the store works again");
	l->trouble = trouble;
}

enum lease_news lease_beat(struct lease *l)
{
	int64_t before = clock_mono_ms(), epoch = l->epoch;
	struct err e = { 0 };
	int rc = store_engine_beat(l->store, &epoch, &e);

	note_trouble(l, rc < 0, &e);
	if (rc < 0)
		return LEASE_SAME;
	if (l->epoch && !epoch)
		return LEASE_LOST;
	l->until = before + STORE_ENGINE_LEASE_MS;
	if (epoch == l->epoch)
		return LEASE_SAME;
	l->epoch = epoch;
	return LEASE_TAKEN;
}

void lease_leave(struct lease *l)
{
	struct err e = { 0 };

	if (store_engine_leave(l->store, &e) < 0)
		log_warn(&l->about, "lease: %s", e.text);
}

static int take_holder(const struct engine_row *g, void *arg)
{
	if (g->active)
		snprintf(arg, PLACE_HOST_MAX, "%s", g->host);
	return 0;
}

void lease_holder(struct lease *l, char out[static PLACE_HOST_MAX])
{
	struct err e = { 0 };

	out[0] = '\0';
	if (store_engines_each(l->store, take_holder, out, &e) < 0)
		log_warn(&l->about, "lease: %s", e.text);
}
