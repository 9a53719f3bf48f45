/*
 * Hides: in which order the store, the journals and the kept reports are looked through.
 *
 * It is no picture of one moment: users may be moved while it is made. Who asks for it after
 * the move asks when nothing moves any more.
 */
#include "admin/final.h"

#include "admin/api_parts.h"
#include "admin/final_sums.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/store_phases.h"
#include "sync/journal_exception.h"
#include "sync/order.h"
#include "sync/report.h"

#define SLICE_MS    20	 /* at most, about; then the loop may do something else */
#define SLICE_ROWS  1000 /* of a list of the past */
#define SLICE_USERS 500
#define LATER_MS    500 /* then a journal that is on its way is asked for again, … */
#define LATER_MAX   120 /* … so often; then it counts as one that cannot be read */

struct final {
	struct api *api;
	struct event *more; /* the next slice */
	enum { NONE, MAKING, FAILED, DONE } state;
	char *text;
	json_t *document; /* the last one, also while another is made; NULL: none yet */

	/* of the one being made */
	size_t step;
	bool step_begun, cut;
	int64_t made, started, slice_started; /* made: real; the others monotonic */
	struct store_span span;
	struct signer *signer;
	struct final_sums sums;
	struct api_domains domains;
	size_t domain;
	char after[STORE_NAME_MAX + 1];
	int64_t users;
	int in_slice;
	bool later; /* the next user's journal is on its way */
	int waited; /* so often for that one */
	json_t *report, *waivers, *waived_users, *strays, *not_verified, *doubtful;
	struct {
		json_t *users, *unread;
		int64_t messages[EXCEPTION_KINDS], waived[EXCEPTION_KINDS];
	} exceptions;
};

static bool slice_is_over(const struct final *f)
{
	return clock_mono_ms() - f->slice_started >= SLICE_MS;
}

static void list_add(struct final *f, json_t *list, json_t *item)
{
	if (json_array_size(list) < FINAL_NAMES_MAX) {
		json_array_append_new(list, item);
		return;
	}
	json_decref(item);
	f->cut = true;
}

static json_t *list_new(struct final *f, json_t *in, const char *key)
{
	json_t *list = json_array();

	json_object_set_new(in ? in : f->report, key, list);
	return list;
}

/* ---- the past, in spans; each step: 1 all of it is done, 0 there is more, -1 */

typedef int span_fn(struct final *f, const struct store_span *s, struct err *e);

static int each_span(struct final *f, enum store_list l, span_fn *fn, struct err *e)
{
	if (!f->step_begun && store_span(f->api->store, l, &f->span, e) < 0)
		return -1;
	while (f->span.after < f->span.last) {
		struct store_span s = { f->span.after,
					MIN(f->span.after + SLICE_ROWS, f->span.last) };

		if (fn(f, &s, e) < 0)
			return -1;
		f->span.after = s.last;
		if (slice_is_over(f))
			return 0;
	}
	return 1;
}

static int add_move(const struct span_move *m, void *arg)
{
	struct final *f = arg;

	final_sums_move(&f->sums, m);
	return 0;
}

/* Who waived what could not be copied; journals know only of the notes. */
static int add_note(const struct history_row *h, void *arg)
{
	struct final *f = arg;
	json_t *name = api_json_text(h->name);

	json_object_set_new(f->waived_users, json_string_value(name), json_true());
	list_add(f, f->waivers,
		 json_pack("{s:s, s:o, s:b, s:o, s:o, s:I}", "check", "exceptions", "name",
			   name, "is_wave", false, "note",
			   api_json_text(h->why + strlen(API_WAIVED)), "by",
			   api_json_text(h->actor), "at", (json_int_t)h->at));
	return 0;
}

static int look_at_moves(struct final *f, const struct store_span *s, struct err *e)
{
	return store_span_moves(f->api->store, s, add_move, f, e) < 0
		       ? -1
		       : store_span_notes(f->api->store, s, API_WAIVED, add_note, f, e);
}

static int step_history(struct final *f, struct err *e)
{
	return each_span(f, STORE_LIST_HISTORY, look_at_moves, e);
}

static int add_hold(const char *wave, int64_t held_ms, void *arg)
{
	struct final *f = arg;

	final_sums_hold(&f->sums, wave, held_ms);
	return 0;
}

static int look_at_holds(struct final *f, const struct store_span *s, struct err *e)
{
	return store_span_holds(f->api->store, s, add_hold, f, e);
}

static int step_holds(struct final *f, struct err *e)
{
	return each_span(f, STORE_LIST_HOLDS, look_at_holds, e);
}

static int add_logins(const struct span_logins *l, void *arg)
{
	struct final *f = arg;

	final_sums_logins(&f->sums, l);
	return 0;
}

static int look_at_logins(struct final *f, const struct store_span *s, struct err *e)
{
	return store_span_logins(f->api->store, s, add_logins, f, e);
}

static int step_logins(struct final *f, struct err *e)
{
	return each_span(f, STORE_LIST_LOGINS, look_at_logins, e);
}

/* ---- users */

struct counted {
	int64_t messages[EXCEPTION_KINDS], waived[EXCEPTION_KINDS];
};

static int add_exception(const struct journal_exception *x, void *arg)
{
	struct counted *c = arg;

	c->messages[x->kind]++;
	c->waived[x->kind] += x->waived;
	return 0;
}

static void add_counted(struct final *f, const char *name, const struct counted *c)
{
	int64_t messages = 0, waived = 0;

	for (int k = 0; k < EXCEPTION_KINDS; k++) {
		f->exceptions.messages[k] += c->messages[k];
		f->exceptions.waived[k] += c->waived[k];
		messages += c->messages[k];
		waived += c->waived[k];
	}
	if (messages)
		list_add(f, f->exceptions.users,
			 json_pack("{s:o, s:I, s:I}", "user", api_json_text(name), "messages",
				   (json_int_t)messages, "waived", (json_int_t)waived));
}

/* false: the journal is on its way, and the user is to be looked at later. */
static bool look_at_exceptions(struct final *f, const char *name)
{
	struct counted c = { 0 };
	struct journal *j = NULL;
	struct err e = { 0 };
	int rc = api_try_journal(f->api, name, &j, &e);

	if (rc > 0)
		rc = journal_exceptions_each(j, 0, add_exception, &c, &e);
	api_close_journal(f->api, name, &j);
	f->later = rc < 0 && e.kind == ERR_TEMP && f->waited++ < LATER_MAX;
	if (f->later)
		return false;
	f->waited = 0;
	if (rc < 0)
		list_add(f, f->exceptions.unread,
			 json_pack("{s:o, s:o}", "user", api_json_text(name), "why",
				   api_json_text(e.text)));
	add_counted(f, name, &c);
	return true;
}

/* A kept report that was changed by others proves nothing. */
static const char *kept_grade(const struct final *f, const json_t *document)
{
	struct err e = { 0 };

	if (!document || report_check(document, signer_public_key(f->signer), &e) < 0)
		return "";
	return json_string_value(json_object_get(json_object_get(document, "report"), "grade"));
}

static int grade_find(const char *name)
{
	for (int g = 0; name && g < GRADES; g++)
		if (strcmp(name, audit_grade_name((enum audit_grade)g)) == 0)
			return g;
	return -1;
}

static void look_at_grade(struct final *f, struct final_wave *w, const char *name)
{
	struct api_verified v = { .grade = "" };
	int grade;

	if (f->api->hooks->verified)
		f->api->hooks->verified(name, true, &v, f->api->arg);
	grade = grade_find(*v.grade ? v.grade : kept_grade(f, v.document));
	json_decref(v.document);
	if (grade < 0) {
		w->not_verified++;
		list_add(f, f->not_verified, api_json_text(name));
		return;
	}
	w->grades[grade]++;
	if (grade > GRADE_GOOD)
		list_add(f, f->doubtful,
			 json_pack("{s:o, s:s}", "user", api_json_text(name), "grade",
				   audit_grade_name((enum audit_grade)grade)));
}

static void look_at_strays(struct final *f, struct final_wave *w, const struct user *u)
{
	if (!u->progress.strays)
		return;
	w->strays += u->progress.strays;
	w->users_with_strays++;
	list_add(f, f->strays,
		 json_pack("{s:o, s:I, s:I}", "user", api_json_text(u->name), "changes",
			   (json_int_t)u->progress.strays, "last",
			   (json_int_t)u->progress.last_stray));
}

static int look_at_user(const struct user *u, void *arg)
{
	struct final *f = arg;
	struct final_wave *w = final_wave_get(&f->sums, u->wave);

	if ((u->progress.exceptions || json_object_get(f->waived_users, u->name)) &&
	    !look_at_exceptions(f, u->name))
		return 1;
	snprintf(f->after, sizeof f->after, "%s", u->name);
	f->in_slice++;
	f->users++;
	api_domains_add(&f->domains, u);
	look_at_strays(f, w, u);
	look_at_grade(f, w, u->name);
	return slice_is_over(f);
}

static int step_users(struct final *f, struct err *e)
{
	struct user_filter filter = { .after = f->after, .limit = SLICE_USERS };
	int rc;

	f->in_slice = 0;
	f->later = false;
	rc = store_users_each(f->api->store, &filter, look_at_user, f, e);
	if (rc < 0)
		return -1;
	return rc == 0 && f->in_slice < SLICE_USERS;
}

static int add_sums(const char *wave, const struct user_sums *s, void *arg)
{
	struct final *f = arg;

	final_wave_get(&f->sums, wave)->users = *s;
	return 0;
}

static int step_sums(struct final *f, struct err *e)
{
	return store_sums_each(f->api->store, add_sums, f, e) < 0 ? -1 : 1;
}

/* ---- domains, and what persons said of them */

struct words {
	struct final *f;
	const char *domain;
};

static int add_word(const struct phase_note *n, void *arg)
{
	struct words *w = arg;

	list_add(w->f, json_object_get(w->f->report, "acknowledgements"),
		 json_pack("{s:o, s:o, s:b, s:o, s:o, s:I}", "domain", api_json_text(w->domain),
			   "item", api_json_text(n->item), "done", n->done, "note",
			   api_json_text(n->note), "by", api_json_text(n->actor), "at",
			   (json_int_t)n->at));
	return 0;
}

static int step_domains(struct final *f, struct err *e)
{
	for (; f->domain < f->domains.count; f->domain++) {
		const struct api_domain *d = &f->domains.at[f->domain];
		struct words w = { f, d->name };

		if (slice_is_over(f))
			return 0;
		list_add(f, json_object_get(f->report, "domains"), api_json_domain(f->api, d));
		if (store_phases_each(f->api->store, d->name, add_word, &w, e) < 0)
			return -1;
	}
	return 1;
}

/* ---- the rest */

static int add_stranger(const struct stranger_row *s, void *arg)
{
	struct final *f = arg;

	list_add(f, json_object_get(f->report, "strangers"), api_json_stranger(s));
	return 0;
}

static int add_waiver(const struct waiver_row *w, void *arg)
{
	struct final *f = arg;

	list_add(f, f->waivers, api_json_waiver(w));
	return 0;
}

static int step_lists(struct final *f, struct err *e)
{
	if (store_strangers_each(f->api->store, NULL, add_stranger, f, e) < 0 ||
	    store_waivers_all(f->api->store, add_waiver, f, e) < 0)
		return -1;
	return 1;
}

static void put_exceptions(struct final *f)
{
	json_t *x = json_object_get(f->report, "exceptions"), *kinds = json_array();
	int64_t messages = 0, waived = 0;

	for (int k = 0; k < EXCEPTION_KINDS; k++) {
		if (!f->exceptions.messages[k])
			continue;
		messages += f->exceptions.messages[k];
		waived += f->exceptions.waived[k];
		json_array_append_new(
			kinds, json_pack("{s:s, s:I, s:I}", "kind",
					 exception_kind_name((enum exception_kind)k),
					 "messages", (json_int_t)f->exceptions.messages[k],
					 "waived", (json_int_t)f->exceptions.waived[k]));
	}
	json_object_set_new(x, "messages", json_integer(messages));
	json_object_set_new(x, "waived", json_integer(waived));
	json_object_set_new(x, "kinds", kinds);
}

static int step_sign(struct final *f, struct err *e UNUSED)
{
	json_t *waves = json_object_get(f->report, "waves");

	for (size_t i = 0; i < f->sums.count; i++)
		json_array_append_new(waves, final_wave_json(&f->sums.waves[i]));
	put_exceptions(f);
	json_object_set_new(f->report, "total", final_total_json(&f->sums));
	json_object_set_new(f->report, "undone", final_undone_json(&f->sums));
	json_object_set_new(f->report, "cut", json_boolean(f->cut));
	json_object_set_new(f->report, "took_ms", json_integer(clock_mono_ms() - f->started));
	json_decref(f->document);
	f->document = report_sign(f->report, f->signer);
	return 1;
}

/* ---- one after the other */

static int (*const steps[])(struct final *f, struct err *e) = {
	step_history, step_holds,   step_logins, step_users,
	step_sums,    step_domains, step_lists,	 step_sign,
};

static void release(struct final *f)
{
	final_sums_release(&f->sums);
	api_domains_release(&f->domains);
	signer_free(&f->signer);
	json_decref(f->report);
	json_decref(f->waived_users);
	f->report = f->waived_users = NULL;
}

static void end(struct final *f, const struct err *e)
{
	f->state = e ? FAILED : DONE;
	mem_free(&f->text);
	if (e) {
		f->text = mem_str(e->text);
		log_error(NULL, "the final report: %s", e->text);
	} else {
		log_info(NULL, "final report of %lld users made in %lld ms",
			 (long long)f->users, (long long)(clock_mono_ms() - f->started));
	}
	release(f);
}

static void on_more(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	const struct timeval at_once = { 0 }, later = { .tv_usec = 1000 * LATER_MS };
	struct final *f = arg;
	struct err e = { 0 };
	int rc;

	f->slice_started = clock_mono_ms();
	rc = steps[f->step](f, &e);
	f->step_begun = rc == 0;
	f->step += rc > 0;
	if (rc < 0)
		end(f, &e);
	else if (f->step == COUNT(steps))
		end(f, NULL);
	else
		event_add(f->more, f->later ? &later : &at_once);
}

static void prepare(struct final *f)
{
	json_t *verify = json_object(), *exceptions = json_object();

	f->made = clock_real_ms();
	f->started = clock_mono_ms();
	f->step = f->domain = 0;
	f->step_begun = f->cut = false;
	f->after[0] = '\0';
	f->users = 0;
	f->later = false;
	f->waited = 0;
	memset(&f->exceptions, 0, sizeof f->exceptions);
	f->waived_users = json_object();
	f->report = json_pack("{s:s, s:s, s:I, s:o, s:o}", "kind", "final", "store",
			      store_id(f->api->store), "made", (json_int_t)f->made, "verify",
			      verify, "exceptions", exceptions);
	f->exceptions.users = list_new(f, exceptions, "users");
	f->exceptions.unread = list_new(f, exceptions, "unread");
	f->not_verified = list_new(f, verify, "not_verified");
	f->doubtful = list_new(f, verify, "doubtful");
	f->waivers = list_new(f, NULL, "waivers");
	f->strays = list_new(f, NULL, "strays");
	list_new(f, NULL, "waves");
	list_new(f, NULL, "domains");
	list_new(f, NULL, "strangers");
	list_new(f, NULL, "acknowledgements");
}

void final_begin(struct final *f)
{
	const struct timeval at_once = { 0 };
	struct err e = { 0 };
	char *key;
	int rc;

	if (f->state == MAKING)
		return;
	prepare(f);
	f->state = MAKING;
	key = mem_printf("%s/" REPORT_KEY, f->api->settings->sync.reports);
	rc = signer_open(key, &f->signer, &e);
	mem_free(&key);
	if (rc < 0)
		end(f, &e);
	else
		event_add(f->more, &at_once);
}

void final_put(const struct final *f, json_t *out)
{
	static const char *const names[] = {
		[NONE] = "none", [MAKING] = "making", [FAILED] = "failed", [DONE] = "done"
	};
	json_t *made = json_object_get(json_object_get(f->document, "report"), "made");

	json_object_set_new(out, "state", json_string(names[f->state]));
	json_object_set_new(out, "text",
			    api_json_text(f->state == FAILED && f->text ? f->text : ""));
	json_object_set_new(out, "users", json_integer(f->users));
	json_object_set_new(out, "made", made ? json_incref(made) : json_null());
}

void final_put_document(const struct final *f, json_t *out)
{
	json_object_set_new(out, "document",
			    f->state == DONE ? json_incref(f->document) : json_null());
}

const json_t *final_document(const struct final *f)
{
	return f->document;
}

struct final *final_new(struct api *a, struct event_base *base)
{
	struct final *f = mem_new(sizeof *f);

	f->api = a;
	f->more = evtimer_new(base, on_more, f);
	ASSERT(f->more);
	return f;
}

void final_free(struct final **f)
{
	if (!*f)
		return;
	event_free((*f)->more);
	release(*f);
	json_decref((*f)->document);
	mem_free(&(*f)->text);
	mem_free(f);
}

/* ---- the routes */

static int refuse_without(struct api_call *c)
{
	return api_refuse(c, 501, "start the engine", "nothing happens here");
}

/* What is answered is what is kept: the same bytes each time. */
static int get_document(struct api_call *c)
{
	const json_t *document = final_document(c->api->final);

	if (!document)
		return api_refuse(c, 404, "POST /v1/report/final makes it",
				  "no final report was made since the engine was started");
	json_object_update(c->out, (json_t *)(uintptr_t)document);
	return 200;
}

/* The document may be large: who follows how it is made asks for the state, then for it alone.
 */
int api_get_final(struct api_call *c)
{
	const char *part = http_param(c->request, "part");

	if (!c->api->final)
		return refuse_without(c);
	if (part && strcmp(part, "document") == 0)
		return get_document(c);
	if (part && strcmp(part, "state") != 0)
		return api_refuse(c, 400, "parts: state, document", "no such part");
	final_put(c->api->final, c->out);
	if (!part)
		final_put_document(c->api->final, c->out);
	return 200;
}

int api_post_final(struct api_call *c)
{
	if (!c->api->final)
		return refuse_without(c);
	final_begin(c->api->final);
	final_put(c->api->final, c->out);
	final_put_document(c->api->final, c->out);
	return 202;
}
