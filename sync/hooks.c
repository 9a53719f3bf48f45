/* Hides: from which of the engine's parts the API has its answers. */
#include "sync/pulls.h"
#include "sync/program.h"

static void hook_poke(void *arg)
{
	struct program *p = arg;

	event_active(p->nudged, EV_TIMEOUT, 0);
}

/* What only the engine at work can do. */
static int at_work(struct program *p, struct err *e)
{
	char host[PLACE_HOST_MAX];

	if (!engine_stands_by(p->engine))
		return 0;
	if (p->distrust[0])
		return err_set(e, ERR_INPUT, "%s", p->distrust);
	lease_holder(&p->lease, host);
	return err_set(e, ERR_INPUT,
		       "the engine on this host stands by: ask again where it is at work%s%s",
		       host[0] ? ", on host " : "", host);
}

static int hook_sync_now(const struct user *u, void *arg, struct err *e)
{
	struct program *p = arg;

	if (at_work(p, e) < 0 || engine_sync_now(p->engine, u, e) < 0)
		return -1;
	hook_poke(p);
	return 0;
}

static bool hook_awaited(const char *name, void *arg)
{
	struct program *p = arg;

	return engine_awaited(p->engine, name);
}

static int hook_journal(const char *name, bool wait, void *arg, struct err *e)
{
	struct program *p = arg;

	if (p->depot && at_work(p, e) < 0)
		return -1;
	return depot_lend(p->depot, name, wait ? DEPOT_PATIENCE_MS : 0, &p->lent, e);
}

static void hook_journal_done(const char *name, void *arg)
{
	struct program *p = arg;

	if (p->lent)
		depot_return(p->depot, name);
	p->lent = false;
}

struct why_to {
	api_gate_fn *fn;
	void *to;
};

static const char *waived_for(const struct gate_item *i)
{
	if (i->state != GATE_WAIVED)
		return NULL;
	return i->of_wave ? "wave" : "user";
}

static void pass_item(const struct gate_item *i, void *arg)
{
	struct why_to *w = arg;
	char text[sizeof i->text + 80];

	snprintf(text, sizeof text, "%s%s%s", i->text, i->remedy ? "; remedy: " : "",
		 i->remedy ? i->remedy : "");
	w->fn(&(struct api_gate_item){ .name = i->name,
				       .open = i->ok,
				       .text = text,
				       .state = i->ok ? gate_state_name(i->state) : "waits",
				       .remedy = i->remedy,
				       .waivable = i->waivable,
				       .waived_for = waived_for(i) },
	      w->to);
}

static void hook_why(const struct user *u, api_gate_fn *item, void *to, void *arg)
{
	struct program *p = arg;
	struct why_to w = { item, to };

	engine_why(p->engine, u, pass_item, &w);
}

static bool hook_waivable(const char *check)
{
	return gate_waivable(check) >= 0;
}

static bool hook_live(const char *name, struct api_live *out, void *arg)
{
	struct program *p = arg;
	const struct engine_live *l = engine_live(p->engine, name);

	if (!l)
		return false;
	*out = (struct api_live){
		.kind = job_kind_name(l->kind),
		.folder = l->progress.folder,
		.done = l->progress.done,
		.total = l->progress.total,
		.messages = l->progress.messages,
		.bytes = l->progress.bytes,
		.started = l->started,
		.host = l->host,
	};
	return true;
}

static void hook_each_live(void (*fn)(const char *name, void *to), void *to, void *arg)
{
	struct program *p = arg;

	engine_live_each(p->engine, fn, to);
}

static void hook_engine(struct api_engine *out, void *arg)
{
	struct program *p = arg;
	struct engine_count n = engine_count(p->engine);

	*out = (struct api_engine){ .started = p->started,
				    .workers = n.workers,
				    .workers_max = n.workers_max,
				    .queued = n.queued,
				    .cutovers = n.cutovers,
				    .stands_by = engine_stands_by(p->engine),
				    .trouble = p->distrust };
}

static const char *hook_not_ready(void *arg)
{
	struct program *p = arg;
	struct err e = { 0 };
	int64_t change;

	if (p->distrust[0])
		return p->distrust;
	if (store_last_change(p->store, &change, &e) < 0)
		return "the store cannot be read: look after its disk or server, and the log";
	return NULL;
}

static void hook_metrics(struct buf *out, void *arg)
{
	struct program *p = arg;

	engine_metrics(p->engine, !hook_not_ready(p), out);
}

static int hook_verify(const char *name, bool headers_only, int64_t sample, void *arg,
		       struct err *e)
{
	struct program *p = arg;

	if (at_work(p, e) < 0)
		return -1;
	return audits_ask(p->audits, name, headers_only ? AUDIT_HEADERS : AUDIT_FULL, sample,
			  e);
}

static void hook_verified(const char *name, bool with_document, struct api_verified *out,
			  void *arg)
{
	struct program *p = arg;
	struct audit_status s;

	audits_find(p->audits, name, with_document, &s);
	*out = (struct api_verified){
		.state = audit_state_name(s.state),
		.text = s.text,
		.grade = s.state == AUDIT_DONE ? audit_grade_name(audit_grade(s.totals.found))
					       : "",
		.same = s.totals.same,
		.missing = s.totals.found[AUDIT_MISSING],
		.altered = s.totals.found[AUDIT_ALTERED],
		.document = s.document,
	};
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		if (i != AUDIT_MISSING && i != AUDIT_ALTERED)
			out->other += s.totals.found[i];
}

static int hook_provision(char *const *users, char *const *logins, size_t n, bool dry_run,
			  int64_t *run, void *arg, struct err *e)
{
	struct program *p = arg;

	if (at_work(p, e) < 0) /* two at once would make the same accounts */
		return -1;
	return provisions_ask(p->provisions, users, logins, n, dry_run, run, e);
}

static json_t *hook_provisioned(void *arg)
{
	struct program *p = arg;

	return provisions_show(p->provisions);
}

static json_t *hook_pull(char *const *users, size_t n, enum api_pull what, void *arg,
			 struct err *e)
{
	static const enum pulls_ask asks[] = { [API_PULL_TRY] = PULLS_TRY,
					       [API_PULL_ASK] = PULLS_ASK,
					       [API_PULL_UNDO] = PULLS_UNDO };
	struct program *p = arg;

	if (at_work(p, e) < 0)
		return NULL;
	return pulls_ask(engine_pulls(p->engine), users, n, asks[what], e);
}

static json_t *hook_pulled(const char *user, void *arg)
{
	struct program *p = arg;

	return pulls_show(engine_pulls(p->engine), user);
}

static void hook_trace(const char *name, bool on, void *arg)
{
	struct program *p = arg;

	engine_trace(p->engine, name, on);
}

static bool hook_reload(const struct api_reload *r, void *arg)
{
	struct program *p = arg;
	struct settings_errors errs = { 0 };
	struct settings fresh = { 0 };

	if (settings_load(p->settings.path, &fresh, &errs) < 0) {
		for (size_t i = 0; i < errs.count; i++)
			r->mistake(errs.at[i], r->to);
		settings_errors_release(&errs);
		return false;
	}
	program_take_settings(p, &fresh, r->setting, r->to);
	return true;
}

static int hook_rebuild(int *moved, void *arg, struct err *e)
{
	struct program *p = arg;

	if (flips_rebuild(p->flips, p->store, p->seen, moved, e) < 0)
		return -1;
	log_warn(NULL, "store rebuilt: %d users are put back on the side where they live",
		 *moved);
	return 0;
}

const struct api_hooks program_hooks = {
	.rebuild = hook_rebuild,
	.poke = hook_poke,
	.sync_now = hook_sync_now,
	.awaited = hook_awaited,
	.journal = hook_journal,
	.journal_done = hook_journal_done,
	.why = hook_why,
	.waivable = hook_waivable,
	.waivable_names = gate_waivable_names,
	.live = hook_live,
	.each_live = hook_each_live,
	.engine = hook_engine,
	.metrics = hook_metrics,
	.not_ready = hook_not_ready,
	.verify = hook_verify,
	.verified = hook_verified,
	.provision = hook_provision,
	.provisioned = hook_provisioned,
	.pull = hook_pull,
	.pulled = hook_pulled,
	.trace = hook_trace,
	.reload = hook_reload,
};
