/* Hides: the worker of a run, and what it said. */
#include "sync/provisions.h"

#include "common/log.h"
#include "sync/job_provision.h"
#include "sync/order_opensrs.h"

struct provisions {
	struct provisions_opts o;
	struct worker *worker; /* NULL: no run is under way */
	int64_t run;	       /* 0: there was none */
	json_t *items;
	char error[ERR_TEXT_MAX];
};

static const struct log_about about = { .what = "provision" };

struct provisions *provisions_new(const struct provisions_opts *o)
{
	struct provisions *p = mem_new(sizeof *p);

	p->o = *o;
	p->items = json_array();
	return p;
}

void provisions_free(struct provisions **p)
{
	if (!*p)
		return;
	ASSERT(provisions_idle(*p));
	json_decref((*p)->items);
	mem_free(p);
}

bool provisions_idle(const struct provisions *p)
{
	return p->worker == NULL;
}

void provisions_stop(struct provisions *p)
{
	if (p->worker)
		p->o.shop->stop(p->worker);
}

static void take_item(struct provisions *p, json_t *item)
{
	const char *what, *name, *text;

	if (!job_account_is_sound(item) ||
	    json_array_size(p->items) >= 2 * PROVISION_MAX + JOB_MISTAKES_MAX) {
		snprintf(p->error, sizeof p->error, "the worker said what makes no sense");
		p->o.shop->stop(p->worker);
		return;
	}
	json_array_append(p->items, item);
	(void)json_unpack(item, "{s:s, s:s, s:s}", "what", &what, "name", &name, "text", &text);
	if (strcmp(what, provision_what_name(PROVISION_FAILED)) == 0)
		log_warn(&about, "%s%s%s", name, *name ? ": " : "", text);
	else if (strcmp(what, provision_what_name(PROVISION_SAME)) != 0)
		log_info(&about, "%s: %s%s%s", name, what, *text ? ": " : "", text);
}

static void on_worker(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	struct provisions *p = arg;

	if (ev->kind == WORKER_ACCOUNT)
		take_item(p, ev->job->item);
	if (ev->kind != WORKER_ENDED)
		return;
	p->worker = NULL;
	if ((!ev->result || !ev->result->ok) && !p->error[0])
		snprintf(p->error, sizeof p->error, "%s",
			 ev->result ? ev->result->text : ev->text);
	if (p->error[0])
		log_warn(&about, "run %lld failed: %s", (long long)p->run, p->error);
	else
		log_info(&about, "run %lld ended", (long long)p->run);
}

int provisions_ask(struct provisions *p, char *const *users, char *const *logins, size_t n,
		   bool dry_run, int64_t *id, struct err *e)
{
	struct job j;
	int rc;

	if (p->worker)
		return err_set(e, ERR_LIMIT, "a run of provision is under way");
	if (order_provision(&j, p->o.settings, p->o.learned, users, logins, n, dry_run, e) < 0)
		return -1;
	rc = p->o.shop->start(&p->worker, &j, on_worker, p, p->o.shop, e);
	job_release(&j);
	if (rc < 0)
		return -1;
	json_array_clear(p->items);
	p->error[0] = '\0';
	*id = ++p->run;
	log_info(&about, "run %lld begins: %zu users%s", (long long)*id, n,
		 dry_run ? ", looking only" : "");
	return 0;
}

json_t *provisions_show(const struct provisions *p)
{
	json_t *error = json_string(p->error);

	return json_pack("{s:I, s:b, s:o, s:O}", "run", (json_int_t)p->run, "running",
			 p->worker != NULL, "error", error ? error : json_string("?"), "items",
			 p->items);
}
