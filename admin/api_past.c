/* Hides: how the past of a user, or of a wave, is put together. */
#include "admin/api_parts.h"
#include "common/store_past.h"
#include "common/store_sums.h"
#include "common/store_wave.h"

/* ---- a user */

static json_t *login_json(const struct login_row *l)
{
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "id",
			 (json_int_t)l->id, "at", (json_int_t)l->at, "node",
			 api_json_text(l->node), "proto", api_json_text(l->proto), "side",
			 api_json_text(l->side), "route", api_json_text(l->route), "result",
			 api_json_text(l->result), "client", api_json_text(l->client),
			 "held_ms", (json_int_t)l->held_ms, "took_ms", (json_int_t)l->took_ms);
}

static int add_login(const struct login_row *l, void *arg)
{
	return api_page_add(arg, login_json(l));
}

/* 0, or the status of a refusal. */
static int asked_past(struct api_call *c, struct api_page *p, struct past_filter *f)
{
	int status;

	*f = (struct past_filter){ .name = c->name };
	status = api_asked_page_after(c, p, &f->after);
	if (status)
		return status;
	f->limit = (int)p->limit + 1; /* one says that there is more */
	f->newest = p->last;
	return 0;
}

int api_get_logins(struct api_call *c)
{
	struct past_filter f;
	struct err e = { 0 };
	struct api_page p;
	int status = asked_past(c, &p, &f);

	if (status)
		return status;
	return api_finish(c, &p, "logins",
			  store_logins_each(c->api->store, &f, add_login, &p, &e), &e);
}

static int add_drop(const struct drop_row *d, void *arg)
{
	json_t *back = d->back_ms ? json_integer(d->back_ms) : json_null();

	return api_page_add(
		arg, json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "at",
			       (json_int_t)d->at, "node", api_json_text(d->node), "session",
			       api_json_text(d->session), "proto", api_json_text(d->proto),
			       "side", api_json_text(d->side), "doing", api_json_text(d->doing),
			       "why", api_json_text(d->why), "bye", api_json_text(d->bye),
			       "client", api_json_text(d->client), "back_ms", back));
}

/* after is a time: drops have no number. */
int api_get_drops(struct api_call *c)
{
	struct past_filter f;
	struct err e = { 0 };
	struct api_page p;
	int status = asked_past(c, &p, &f);

	if (status)
		return status;
	return api_finish(c, &p, "drops", store_drops_each(c->api->store, &f, add_drop, &p, &e),
			  &e);
}

/* ---- a wave */

static int add_undo(const char *why, int64_t count, void *arg)
{
	json_array_append_new(arg, json_pack("{s:o, s:I}", "why", api_json_text(why), "count",
					     (json_int_t)count));
	return 0;
}

static int add_back(const char *client, int64_t drops, const struct spread *back, void *arg)
{
	json_t *j = api_json_spread(back);

	json_object_set_new(j, "client", api_json_text(client));
	json_object_set_new(j, "drops", json_integer(drops));
	json_array_append_new(arg, j);
	return 0;
}

static int add_waiver(const struct waiver_row *w, void *arg)
{
	json_array_append_new(arg, api_json_waiver(w));
	return 0;
}

static void put_counts(json_t *out, const struct wave_count *n, const struct user_sums *s)
{
	json_object_set_new(out, "users", json_integer(n->users));
	json_object_set_new(out, "on_new", json_integer(n->on_new));
	json_object_set_new(out, "go", json_integer(n->go));
	json_object_set_new(out, "exceptions", json_integer(s->exceptions));
	json_object_set_new(out, "users_with_exceptions", json_integer(s->with_exceptions));
}

static int put_report(struct api_call *c, const char *wave, struct err *e)
{
	struct store *st = c->api->store;
	json_t *undos = json_array(), *clients = json_array(), *waivers = json_array();
	struct user_sums sums;
	struct wave_count n;
	struct wave_flips flips;
	struct spread holds;

	json_object_set_new(c->out, "wave", api_json_text(wave));
	json_object_set_new(c->out, "undos", undos);
	json_object_set_new(c->out, "clients", clients);
	json_object_set_new(c->out, "waivers", waivers);
	if (store_wave_count(st, wave, store_now_ms(st), &n, e) < 0 ||
	    store_wave_flips(st, wave, &flips, e) < 0 ||
	    store_wave_holds(st, wave, 0, &holds, e) < 0 ||
	    store_wave_undos(st, wave, add_undo, undos, e) < 0 ||
	    store_wave_backs(st, wave, add_back, clients, e) < 0 ||
	    store_wave_waivers(st, wave, add_waiver, waivers, e) < 0 ||
	    store_sums_of(st, wave, &sums, e) < 0)
		return -1;
	put_counts(c->out, &n, &sums);
	json_object_set_new(c->out, "flips", json_integer(flips.forward));
	json_object_set_new(c->out, "returns", json_integer(flips.back));
	json_object_set_new(c->out, "first_flip", json_integer(flips.first));
	json_object_set_new(c->out, "last_flip", json_integer(flips.last));
	json_object_set_new(c->out, "holds", api_json_spread(&holds));
	return 0;
}

int api_get_report(struct api_call *c)
{
	const char *wave = http_param(c->request, "wave");
	struct err e = { 0 };

	if (!wave)
		return api_refuse(c, 400, "give ?wave=", "which wave?");
	if (put_report(c, wave, &e) < 0)
		return api_fail(c, &e);
	if (json_integer_value(json_object_get(c->out, "users")) == 0)
		return api_refuse(c, 404, "see `mailferry waves`", "nobody is in wave %s",
				  wave);
	return 200;
}
