/* Hides: the shape of a domain's plan, and what a person's word about it must be. */
#include "admin/api_parts.h"
#include "common/log.h"

#include "sync/phases.h"

#define OPEN_MAX  8    /* ids named in a domain's row */
#define USERS_MAX 2000 /* with so many users looked at a page ends: the engine waits for it */

/* ---- one domain */

static json_t *item_json(const struct phase_item *i)
{
	json_t *j =
		json_pack("{s:s, s:i, s:s, s:b, s:b, s:s, s:o, s:o}", "id", i->id, "phase",
			  i->phase, "what", i->what, "by_person", i->by_person, "required",
			  i->required, "state", phase_state_name(i->state), "text",
			  api_json_text(i->text), "remedy", api_json_text_or_null(i->remedy));

	if (i->word) {
		json_object_set_new(j, "by", api_json_text(i->word->actor));
		json_object_set_new(j, "at", json_integer(i->word->at));
		json_object_set_new(j, "note", api_json_text(i->word->note));
	}
	return j;
}

static json_t *counts_json(const struct phase_item items[PHASE_ITEMS])
{
	int n[PHASE_STATES] = { 0 };

	for (int i = 0; i < PHASE_ITEMS; i++)
		n[items[i].state]++;
	return json_pack("{s:i, s:i, s:i, s:i}", "done", n[PHASE_DONE], "warns", n[PHASE_WARNS],
			 "blocks", n[PHASE_BLOCKS], "not_yet", n[PHASE_NOT_YET]);
}

static int look(struct api *a, const char *domain, struct phase_facts *f,
		struct phase_item items[PHASE_ITEMS], struct err *e)
{
	if (phases_look(a->store, a->settings, domain, f, e) < 0)
		return -1;
	phases_check(f, items);
	return 0;
}

static int add_note(const struct phase_note *n, void *arg)
{
	return api_page_add(arg, json_pack("{s:o, s:b, s:o, s:o, s:I}", "item",
					   api_json_text(n->item), "done", n->done, "note",
					   api_json_text(n->note), "by",
					   api_json_text(n->actor), "at", (json_int_t)n->at));
}

static int one_domain(struct api_call *c, const char *domain)
{
	struct api_page p = api_page_new(c->api, API_PAGE_MAX);
	struct phase_item items[PHASE_ITEMS];
	struct phase_facts f;
	struct err e = { 0 };
	json_t *list = json_array(), *phases = json_array();
	int rc = look(c->api, domain, &f, items, &e);

	for (int i = 0; i < PHASE_ITEMS && rc == 0; i++)
		json_array_append_new(list, item_json(&items[i]));
	for (int i = 1; i <= PHASES; i++)
		json_array_append_new(phases, json_string(phase_title(i)));
	json_object_set_new(c->out, "domain", api_json_text(domain));
	json_object_set_new(c->out, "phases", phases);
	json_object_set_new(c->out, "items", list);
	if (rc == 0) {
		json_object_set_new(c->out, "counts", counts_json(items));
		rc = store_phases_each(c->api->store, domain, add_note, &p, &e);
	}
	return api_finish(c, &p, "history", rc, &e);
}

/* ---- all domains */

static json_t *domain_json(const char *domain, const struct phase_item items[PHASE_ITEMS])
{
	json_t *open = json_array(), *j = counts_json(items);
	int phase = 0;

	for (int i = 0; i < PHASE_ITEMS; i++) {
		if (items[i].state != PHASE_BLOCKS && items[i].state != PHASE_WARNS)
			continue;
		phase = phase ? phase : items[i].phase;
		if (json_array_size(open) < OPEN_MAX)
			json_array_append_new(open, json_string(items[i].id));
	}
	json_object_set_new(j, "domain", api_json_text(domain));
	json_object_set_new(j, "phase", phase ? json_integer(phase) : json_null());
	json_object_set_new(j, "open", open);
	return j;
}

struct listing {
	struct api *api;
	struct api_page page;
	const char *after; /* "": from the first */
	int64_t users;	   /* looked at */
	struct err *e;
};

static int add_domain(const char *domain, void *arg)
{
	struct listing *l = arg;
	struct phase_item items[PHASE_ITEMS];
	struct phase_facts f;

	if (!*domain || strcmp(domain, l->after) <= 0)
		return 0; /* names without one are of no plan */
	if (l->users >= USERS_MAX || json_array_size(l->page.list) == l->page.limit) {
		l->page.more = true;
		return 1;
	}
	if (look(l->api, domain, &f, items, l->e) < 0)
		return -1;
	for (int s = 0; s < USER_STATES; s++)
		l->users += f.n.state[s];
	return api_page_add(&l->page, domain_json(domain, items));
}

static int all_domains(struct api_call *c)
{
	const char *after = http_param(c->request, "after");
	struct err e = { 0 };
	struct listing l = { .api = c->api, .after = after ? after : "", .e = &e };
	int status = api_asked_page(c, &l.page);

	if (status)
		return status;
	return api_finish(c, &l.page, "domains", api_each_domain(c->api, add_domain, &l, &e),
			  &e);
}

/* ---- the routes */

/* 0, or the status of a refusal; out is as users' names have it. */
static int asked_domain(struct api_call *c, const char *raw, char out[DNS_HOST_MAX])
{
	if (!raw || dns_host(slice_of(raw), out) < 0)
		return api_refuse(c, 400, "give it as \"example.com\"",
				  "no domain's name: \"%.100s\"", raw ? raw : "");
	out[strlen(out) - 1] = '\0'; /* the final dot */
	return 0;
}

int api_get_phases(struct api_call *c)
{
	const char *raw = http_param(c->request, "domain");
	char domain[DNS_HOST_MAX];
	int status;

	if (!raw)
		return all_domains(c);
	status = asked_domain(c, raw, domain);
	return status ? status : one_domain(c, domain);
}

static int asked_item(struct api_call *c, struct phase_note *n)
{
	int item = n->item ? phase_find(n->item) : -1;

	if (item < 0)
		return api_refuse(c, 400, phases_by_person(), "no item of that name: %.40s",
				  n->item ? n->item : "");
	if (!phase_by_person(item))
		return api_refuse(c, 400, phases_by_person(),
				  "%s is looked up; nobody can vouch for it", n->item);
	if (!n->note)
		n->note = "";
	if ((n->done && !*n->note) || strlen(n->note) > STORE_PHASE_NOTE_MAX)
		return api_refuse(c, 400, "give \"note\": who saw to it, and how",
				  "an item needs a note of at most %d bytes",
				  STORE_PHASE_NOTE_MAX);
	return 0;
}

int api_post_phases(struct api_call *c)
{
	char domain[DNS_HOST_MAX], actor[API_ACTOR_MAX];
	struct phase_note n = { .domain = domain,
				.item = json_string_value(json_object_get(c->in, "item")),
				.note = json_string_value(json_object_get(c->in, "note")),
				.done = !json_is_true(json_object_get(c->in, "undo")),
				.actor = actor };
	int status =
		asked_domain(c, json_string_value(json_object_get(c->in, "domain")), domain);
	struct err e = { 0 };
	bool changed;

	if (!status)
		status = asked_item(c, &n);
	if (status)
		return status;
	api_actor(c, actor);
	if (store_phase_note(c->api->store, &n, &changed, &e) < 0)
		return api_fail(c, &e);
	if (changed)
		log_info(&(struct log_about){ .what = "operator" },
			 "plan of %s: %s %s (%s): %s", domain, n.item,
			 n.done ? "is done" : "is taken back", c->request->who, n.note);
	json_object_set_new(c->out, "domain", api_json_text(domain));
	json_object_set_new(c->out, "item", api_json_text(n.item));
	json_object_set_new(c->out, "done", json_boolean(n.done));
	json_object_set_new(c->out, "changed", json_boolean(changed));
	api_poke(c->api);
	return 200;
}
