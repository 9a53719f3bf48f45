/* Hides: who may be pulled, what is taken back, and how it is told. */
#include <inttypes.h>

#include "common/clock.h"
#include "sync/order_pull.h"
#include "sync/pulls_impl.h"

/* ---- asking */

static int may_be_pulled(const struct pulls *p, const struct user *u, struct err *e)
{
	switch (u->state) {
	case USER_PENDING:
	case USER_PROVISIONED:
	case USER_SYNCING:
	case USER_READY:
		return order_pull_check(u, p->o.settings, p->o.learned, e);
	case USER_FREEZING:
	case USER_FINALIZING:
		return err_set(e, ERR_INPUT,
			       "the user is being moved; remedy: ask again if that is undone");
	case USER_TRAILING:
	case USER_DONE:
	case USER_RETURNING:
	case USER_STATES:
		break;
	}
	return err_set(e, ERR_INPUT,
		       "the user is on new already, where the tool would bring back what was "
		       "deleted; what still comes on old is brought by our own passes");
}

static json_t *verdict(const char *user, const char *result, const char *text)
{
	json_t *said = json_string(text);

	return json_pack("{s:s, s:s, s:o}", "user", user, "result", result, "text",
			 said ? said : json_string("?"));
}

/* Of a wave all are asked for at once: each by itself would be thousands of times to disk, with
 * the engine waiting. */
struct asked {
	struct pulls *p;
	enum pulls_ask what;
	json_t *said;
	char **names; /* of whom the rows change when all have been looked at */
	size_t count;
};

static void take_up(struct asked *a, const struct user *u)
{
	a->names[a->count++] = mem_str(u->name);
}

static json_t *ask_one(struct asked *a, const struct user *u)
{
	const struct pulled *x = pulls_find(a->p, u->name);
	struct err e = { 0 };

	if (x && pull_state_holds(x->state))
		return verdict(u->name, "open", pull_state_name(x->state));
	if (may_be_pulled(a->p, u, &e) < 0)
		return verdict(u->name, "refused", e.text);
	if (a->what == PULLS_TRY)
		return verdict(u->name, "would wait", "");
	take_up(a, u);
	return verdict(u->name, "waits", "");
}

/* A job under way cannot be stopped, and must not be met by our own passes: not either while
 * nobody here can follow it. */
static json_t *undo_one(struct asked *a, const struct user *u)
{
	const struct pulled *x = pulls_find(a->p, u->name);

	if (!x || !pull_state_holds(x->state))
		return verdict(u->name, "none", "nothing is open");
	if (x->state == PULL_RUNNING)
		return verdict(
			u->name, "refused",
			"OpenSRS's tool may be at it, and nobody can stop it there; remedy: "
			"wait until it is through, or stands still "
			"(opensrs.pull_still_s)");
	take_up(a, u);
	return verdict(u->name, "undone", "");
}

static int look_at_one(struct asked *a, const char *name, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(a->p->o.store, name, &u, e);

	if (got > 0)
		json_array_append_new(a->said,
				      a->what == PULLS_UNDO ? undo_one(a, &u) : ask_one(a, &u));
	user_release(&u);
	return got < 0 ? -1 : 0;
}

static void wait_anew(struct pulls *p, const struct pull_row *r)
{
	struct pulled *x = pulls_find(p, r->name);

	if (!x)
		x = pulls_add(p, r->name);
	x->state = r->state;
	x->asked = r->asked;
	x->tries = x->put_off = 0;
	x->due = 0;
	x->migrated = x->skipped = x->failed = x->total = x->bytes = 0;
	pulls_set_text(&x->text, "");
}

static int let_wait(struct asked *a, struct err *e)
{
	struct pull_row *rows = mem_array(a->count, sizeof *rows);
	int rc;

	for (size_t i = 0; i < a->count; i++) {
		const struct pulled *x = pulls_find(a->p, a->names[i]);

		rows[i] = (struct pull_row){ .name = a->names[i],
					     .state = PULL_WAITING,
					     .job = x ? x->job : "",
					     .text = "",
					     .asked = store_now_ms(a->p->o.store) };
	}
	rc = store_pulls_write(a->p->o.store, rows, a->count, e);
	for (size_t i = 0; i < a->count && rc == 0; i++)
		wait_anew(a->p, &rows[i]);
	mem_free(&rows);
	return rc;
}

static int let_go(struct asked *a, struct err *e)
{
	struct pulls *p = a->p;

	if (store_pulls_drop(p->o.store, a->names, a->count, e) < 0)
		return -1;
	for (size_t i = 0; i < a->count; i++) {
		struct pulled *x = pulls_find(p, a->names[i]);

		pulls_return_journal(p, x);
		pulls_drop(p, x);
	}
	if (p->worker && !pulls_has_batch(p))
		p->o.shop->stop(p->worker); /* there is nobody to follow */
	for (size_t i = 0; i < a->count; i++)
		p->o.ended(a->names[i], p->o.arg);
	return 0;
}

static int ask_all(struct asked *a, char *const *users, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (look_at_one(a, users[i], e) < 0)
			return -1;
	if (!a->count)
		return 0;
	return a->what == PULLS_UNDO ? let_go(a, e) : let_wait(a, e);
}

json_t *pulls_ask(struct pulls *p, char *const *users, size_t n, enum pulls_ask what,
		  struct err *e)
{
	struct asked a = { .p = p, .what = what };

	if (pulls_read(p, e) < 0)
		return NULL;
	a.said = json_array();
	a.names = mem_array(n, sizeof *a.names);
	if (ask_all(&a, users, n, e) < 0) {
		json_decref(a.said);
		a.said = NULL;
	}
	for (size_t i = 0; i < a.count; i++)
		mem_free(&a.names[i]);
	mem_free(&a.names);
	return a.said;
}

/* ---- for people */

/* Why it does not go on, or a remark of the tool; "". */
static const char *trouble(const struct pulls *p, const struct pulled *x)
{
	if (x->state != PULL_RUNNING)
		return x->text;
	return *x->missing ? x->missing : *p->error ? p->error : x->text;
}

json_t *pulls_show(const struct pulls *p, const char *user)
{
	const struct pulled *x = pulls_find(p, user);
	const char *text;
	json_t *said;

	if (!x)
		return NULL;
	text = trouble(p, x);
	said = json_string(text);
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "user",
			 x->name, "state", pull_state_name(x->state), "job", x->job, "tries",
			 x->tries, "migrated", (json_int_t)x->migrated, "skipped",
			 (json_int_t)x->skipped, "failed", (json_int_t)x->failed, "total",
			 (json_int_t)x->total, "bytes", (json_int_t)x->bytes, "folder",
			 x->folder, "text", said ? said : json_string("?"), "folders",
			 x->folders ? json_incref(x->folders) : json_array());
}

bool pulls_text(const struct pulls *p, const char *user, char *out, size_t size)
{
	const struct pulled *x = pulls_find(p, user);

	if (!x)
		return false;
	switch (x->state) {
	case PULL_WAITING:
		snprintf(out, size, "OpenSRS's tool: waits for a batch%s%s",
			 *x->text ? ", once more: " : "", x->text);
		break;
	case PULL_RUNNING:
		snprintf(out, size,
			 "OpenSRS's tool: job %s: %" PRId64 " of %" PRId64
			 " messages%s%.60s%s%.200s",
			 x->job, x->migrated + x->skipped, x->total, *x->folder ? ", at " : "",
			 x->folder, *trouble(p, x) ? "; " : "", trouble(p, x));
		break;
	case PULL_STUCK:
		snprintf(out, size,
			 "OpenSRS's tool: job %s stands still: %s; remedy: look at it in the "
			 "control panel, and when it is sure to be over, `mailferry pull %s "
			 "--undo`: our own copier does the rest",
			 x->job, x->text, x->name);
		break;
	case PULL_FAILED:
		snprintf(out, size, "OpenSRS's tool failed: %s; our own copier does the rest",
			 x->text);
		break;
	case PULL_DONE:
		snprintf(out, size,
			 "OpenSRS's tool has pulled %" PRId64 " messages and skipped %" PRId64,
			 x->migrated, x->skipped);
		break;
	case PULL_STATES:
		break;
	}
	return true;
}
