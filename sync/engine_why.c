/* Hides: which questions are asked in which state, and how their answers are worded. */
#include "common/clock.h"
#include "sync/engine_impl.h"
#include "sync/trailing.h"

static void why_held(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "nodes", .ok = true };
	struct quiet q = { 0 };
	struct err e = { 0 };

	if (u->state == USER_FINALIZING) {
		i = (struct gate_item){ .name = "delta", .text = "the last delta" };
	} else if (store_quiet(en->o.store, u->name, u->change, &q, &e) < 0) {
		i.ok = false;
		snprintf(i.text, sizeof i.text, "%s", e.text);
	} else {
		gate_quiet_text(u, &q, i.text, sizeof i.text);
		i.ok = !i.text[0];
		if (i.ok)
			snprintf(i.text, sizeof i.text, "every node is quiet");
	}
	fn(&i, to);
}

static void why_slot(struct engine *en, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "slot" };

	i.ok = engine_has_room(en, PLAN_PASS);
	snprintf(i.text, sizeof i.text, "%d of %d workers are busy", runs_count(en, false),
		 runs_max(en));
	fn(&i, to);
}

/* What the servers have said lately; nothing if nothing. */
static void why_servers(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "servers" };

	for (int s = 0; s < SIDES; s++) {
		hosts_text(&en->hosts, (enum side)s, speed_connections(en->speed, (enum side)s),
			   clock_mono_ms(), i.text, sizeof i.text);
		i.ok = !hosts_paused(&en->hosts, (enum side)s, clock_mono_ms());
		if (i.text[0])
			fn(&i, to);
		speed_text(en->speed, (enum side)s, i.text, sizeof i.text);
		i.ok = true;
		if (i.text[0])
			fn(&i, to);
	}
	i.ok = u->progress.not_before <= store_now_ms(en->o.store);
	snprintf(i.text, sizeof i.text, "a server wants this user to be left alone: %s",
		 u->progress.pass_error ? u->progress.pass_error : "");
	if (!i.ok)
		fn(&i, to);
}

static void why_ready(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item items[GATE_ITEMS];
	struct wave_facts when;
	struct gate_known known;
	struct err e = { 0 };

	if (engine_look_around(en, &e) < 0 ||
	    gate_known_read(en->o.store, u->name, u->wave, &known, &e) < 0) {
		log_error(NULL, "%s", e.text);
		known = (struct gate_known){ 0 };
	}
	en->view.worker_free = engine_has_room(en, PLAN_PASS);
	en->view.known = &known;
	if (u->state == USER_READY) {
		engine_when(en, u, true, &when);
		en->view.when = &when;
	}
	(void)gate_check(u, &en->view, items);
	en->view.known = NULL;
	en->view.when = NULL;
	for (int i = 0; i < GATE_ITEMS; i++)
		fn(&items[i], to);
}

static void why_trailing(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	const struct trailing t = { .user = u,
				    .settings = en->o.settings,
				    .mx = dns_watch_mx(en->mx, u->name),
				    .now = store_now_ms(en->o.store) };
	struct gate_item items[TRAILING_ITEMS];
	int n = trailing_items(&t, items);

	for (int i = 0; i < n; i++)
		fn(&items[i], to);
}

static void why_pull(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	struct gate_item i = { .name = "pull" };

	if (!pulls_text(en->pulls, u->name, i.text, sizeof i.text))
		return;
	i.ok = engine_stands_by(en) || !pulls_hold(en->pulls, u->name);
	fn(&i, to);
}

void engine_why(struct engine *en, const struct user *u, engine_item_fn *fn, void *to)
{
	switch (u->state) {
	case USER_PENDING:
	case USER_PROVISIONED:
	case USER_SYNCING:
		why_pull(en, u, fn, to);
		why_slot(en, fn, to);
		why_servers(en, u, fn, to);
		break;
	case USER_READY:
	case USER_RETURNING:
		why_pull(en, u, fn, to);
		why_ready(en, u, fn, to);
		why_servers(en, u, fn, to);
		break;
	case USER_FREEZING:
	case USER_FINALIZING:
		why_held(en, u, fn, to);
		break;
	case USER_TRAILING:
		why_trailing(en, u, fn, to);
		why_servers(en, u, fn, to);
		break;
	case USER_DONE:
	case USER_STATES:
		break;
	}
}
