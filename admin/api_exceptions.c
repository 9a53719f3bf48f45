/*
 * Hides: how people see, waive and retry what could not be copied. The rows are in the user's
 * journal; a worker may be writing there at the same time, so a wish may have to be repeated.
 */
#include "admin/api_parts.h"
#include "common/log.h"
#include "sync/journal_exception.h"
#include "sync/order.h"

static int open_journal(struct api *a, const char *user, bool wait, struct journal **out,
			struct err *e)
{
	char *path;
	int rc;

	if (a->hooks->journal && a->hooks->journal(user, wait, a->arg, e) < 0)
		return -1;
	path = order_journal_path(a->settings->sync.dir, user);
	rc = journal_open_desk(out, path, e);
	mem_free(&path);
	return rc;
}

int api_open_journal(struct api *a, const char *user, struct journal **out, struct err *e)
{
	return open_journal(a, user, true, out, e);
}

int api_try_journal(struct api *a, const char *user, struct journal **out, struct err *e)
{
	return open_journal(a, user, false, out, e);
}

void api_close_journal(struct api *a, const char *user, struct journal **j)
{
	journal_close(j);
	if (a->hooks->journal_done)
		a->hooks->journal_done(user, a->arg);
}

static int fail(struct api_call *c, const struct err *e)
{
	if (e->kind == ERR_TEMP)
		return api_refuse(c, 409, "a worker is at it; try again", "%s", e->text);
	return api_fail(c, e);
}

/* ---- the list */

static int add_exception(const struct journal_exception *x, void *arg)
{
	json_t *j = json_pack(
		"{s:o, s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:I, s:b, s:b, s:o}", "folder",
		api_json_text(x->folder), "uid", (json_int_t)x->uid[SIDE_OLD], "new_uid",
		(json_int_t)x->uid[SIDE_NEW], "size", (json_int_t)x->size, "kind",
		exception_kind_name(x->kind), "subject", api_json_text(x->subject), "reason",
		api_json_text(x->reason), "tried", api_json_text(x->tried), "since",
		(json_int_t)x->since, "retry", x->retry, "waived", x->waived, "note",
		api_json_text(x->note));

	json_object_set_new(j, "file", api_json_text_or_null(x->file));
	json_object_set_new(j, "date",
			    x->date == INT64_MIN ? json_null() : json_integer(x->date * 1000));
	return api_page_add(arg, j);
}

static void put_hex(json_t *j, const char *key, const unsigned char sha[DIGEST_SIZE])
{
	char text[2 * DIGEST_SIZE + 1];

	for (int i = 0; i < DIGEST_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", sha[i]);
	json_object_set_new(j, key, json_string(text));
}

static int add_repair(const struct journal_repair *r, void *arg)
{
	json_t *j = json_pack(
		"{s:o, s:I, s:I, s:o, s:o, s:I, s:I, s:I}", "folder", api_json_text(r->folder),
		"uid", (json_int_t)r->uid[SIDE_OLD], "new_uid", (json_int_t)r->uid[SIDE_NEW],
		"changed", api_json_text(r->receipt), "refusal", api_json_text(r->refusal),
		"at", (json_int_t)r->at, "size_before", (json_int_t)r->before.size,
		"size_after", (json_int_t)r->after.size);

	put_hex(j, "sha256_before", r->before.raw);
	put_hex(j, "sha256_after", r->after.raw);
	return api_page_add(arg, j);
}

static int read_journal(struct api_call *c, struct api_page *exceptions,
			struct api_page *repairs, struct err *e)
{
	struct journal *j = NULL;
	int rc = api_open_journal(c->api, c->name, &j, e);

	if (rc > 0)
		rc = journal_exceptions_each(j, 0, add_exception, exceptions, e);
	if (rc >= 0 && j)
		rc = journal_repairs_each(j, add_repair, repairs, e);
	api_close_journal(c->api, c->name, &j);
	return rc;
}

int api_get_exceptions(struct api_call *c)
{
	struct api_page exceptions, repairs;
	struct user u = { 0 };
	struct err e = { 0 };
	int got = store_user_get(c->api->store, c->name, &u, &e), status;

	user_release(&u);
	if (got <= 0)
		return got < 0 ? api_fail(c, &e) : api_no_user(c, c->name);
	status = api_asked_page(c, &exceptions);
	if (status)
		return status;
	repairs = api_page_new(c->api, exceptions.limit);
	got = read_journal(c, &exceptions, &repairs, &e);
	json_object_set_new(c->out, "repairs", repairs.list);
	json_object_set_new(c->out, "more_repairs", json_boolean(repairs.more));
	status = api_finish(c, &exceptions, "exceptions", 0, &e);
	return got < 0 ? fail(c, &e) : status;
}

/* ---- waive */

static int take_choice(struct api_call *c, struct exception_choice *out)
{
	const char *kind = json_string_value(json_object_get(c->in, "kind"));
	json_int_t uid = json_integer_value(json_object_get(c->in, "uid"));
	bool all = json_is_true(json_object_get(c->in, "all"));
	int found = kind ? exception_kind_find(kind) : 0;

	*out = (struct exception_choice){
		.folder = json_string_value(json_object_get(c->in, "folder")),
		.uid = (uint32_t)uid,
		.kind = found,
		.has_kind = kind != NULL,
	};
	if (found < 0)
		return api_refuse(c, 400, "kinds are in the list of exceptions",
				  "no kind of exception: %.40s", kind);
	if (uid < 0 || uid > UINT32_MAX || (uid && !out->folder))
		return api_refuse(c, 400, "give \"folder\" and \"uid\" as in the list",
				  "which message?");
	if (!out->folder && !kind && !all)
		return api_refuse(c, 400,
				  "give \"folder\" and \"uid\", \"kind\", or \"all\": true",
				  "which exceptions?");
	return 0;
}

/* Who waived what, and why: stays in the history when the journal is long gone. */
static int write_history(struct api_call *c, const char *name, bool on, int n, const char *note,
			 struct err *e)
{
	char *why = mem_printf("%s%d %s%s%s", on ? API_WAIVED : "waiver taken back: ", n,
			       n == 1 ? "message that could not be copied"
				      : "messages that could not be copied",
			       on ? ": " : "", on ? note : "");
	char actor[API_ACTOR_MAX];
	int rc;

	api_actor(c, actor);
	rc = store_user_note(c->api->store, name, actor, why, e);
	mem_free(&why);
	return rc;
}

/* The next pass counts anew; it is asked for at once. */
static int waived(struct api_call *c, const struct user *u, bool on, int n, const char *note)
{
	struct err e = { 0 };

	if (n && write_history(c, u->name, on, n, note, &e) < 0)
		return api_fail(c, &e);
	if (n)
		log_info(&(struct log_about){ .what = "operator", .user = u->name },
			 "%s %d exceptions (%s): %s", on ? "waived" : "took back a waiver of",
			 n, c->request->who, note);
	if (n && c->api->hooks->sync_now && c->api->hooks->sync_now(u, c->api->arg, &e) < 0)
		log_debug(NULL, "%s", e.text); /* its turn comes anyway */
	if (c->api->hooks->poke)
		c->api->hooks->poke(c->api->arg);
	json_object_set_new(c->out, "count", json_integer(n));
	return 202;
}

/* What was meant: of how many (-1: whatever there is), on or off, and why. */
struct wish {
	struct exception_choice which;
	json_int_t count;
	bool on;
	const char *note;
};

/* Of another number nothing is written: a pass may have found more than were shown. */
static int write_wish(struct journal *j, const struct wish *w, int *n, struct err *e)
{
	int rc;

	if (journal_begin(j, e) < 0)
		return -1;
	rc = journal_waive(j, &w->which, w->on, w->note, n, e);
	if (rc == 0 && (w->count < 0 || *n == w->count))
		return journal_commit(j, e);
	journal_rollback(j);
	return rc;
}

static int write_waiver(struct api_call *c, const char *name, const struct wish *w, int *n,
			struct err *e)
{
	struct journal *j = NULL;
	int rc = api_open_journal(c->api, name, &j, e);

	*n = 0;
	if (rc > 0)
		rc = write_wish(j, w, n, e);
	api_close_journal(c->api, name, &j);
	return rc;
}

static int take_wish(struct api_call *c, struct wish *w)
{
	const json_t *count = json_object_get(c->in, "count");
	const char *note = json_string_value(json_object_get(c->in, "note"));

	w->on = !json_is_true(json_object_get(c->in, "undo"));
	w->note = note ? note : "";
	w->count = count ? json_integer_value(count) : -1;
	if (count && w->count < 0)
		return api_refuse(c, 400, "give how many of the list are meant",
				  "which messages?");
	if (w->on && (!*w->note || strlen(w->note) > EXCEPTION_TEXT_MAX))
		return api_refuse(c, 400, "give \"note\": who decided it, and why",
				  "a waiver needs a note of at most %d bytes",
				  EXCEPTION_TEXT_MAX);
	return take_choice(c, &w->which);
}

static int waive(struct api_call *c, const struct user *u)
{
	struct err e = { 0 };
	struct wish w;
	int n, status = take_wish(c, &w);

	if (status)
		return status;
	if (write_waiver(c, u->name, &w, &n, &e) < 0)
		return fail(c, &e);
	if (w.count >= 0 && n != w.count)
		return api_refuse(c, 409, "look at the list again",
				  "%lld messages are meant, but there are %d now: nothing was done",
				  (long long)w.count, n);
	return waived(c, u, w.on, n, w.note);
}

int api_waive_exceptions(struct api_call *c)
{
	const char *raw = json_string_value(json_object_get(c->in, "user"));
	char name[STORE_NAME_MAX + 1];
	struct user u = { 0 };
	struct err e = { 0 };
	int got, status;

	if (!raw || !api_normalise(c->api, raw, name))
		return api_refuse(c, 400, "give \"user\" as in the import", "whose?");
	got = store_user_get(c->api->store, name, &u, &e);
	if (got <= 0)
		return got < 0 ? api_fail(c, &e) : api_no_user(c, name);
	status = waive(c, &u);
	user_release(&u);
	return status;
}

/* ---- retry */

/* What runs now began before it was asked for: that it fails is no answer. */
static bool is_busy(const struct api_call *c, const char *name)
{
	struct api_live live;

	return c->api->hooks->live && c->api->hooks->live(name, &live, c->api->arg);
}

static int retry_messages(struct api_call *c, const char *name, int *n, struct err *e)
{
	struct journal *j = NULL;
	int rc = api_open_journal(c->api, name, &j, e);

	if (rc > 0)
		rc = journal_retry(j, n, e);
	api_close_journal(c->api, name, &j);
	return rc;
}

int api_retry_user(struct api_call *c, const char *name, struct err *e)
{
	struct user u = { 0 };
	struct err later = { 0 };
	int n = 0, rc = store_user_get(c->api->store, name, &u, e);

	if (rc > 0 && u.progress.exceptions > 0)
		rc = retry_messages(c, name, &n, e);
	if ((n || is_busy(c, name)) && u.name && c->api->hooks->sync_now &&
	    c->api->hooks->sync_now(&u, c->api->arg, &later) < 0)
		log_debug(NULL, "%s", later.text); /* its turn comes anyway */
	user_release(&u);
	if (rc < 0 && e->kind == ERR_TEMP) {
		json_array_append_new(json_object_get(c->out, "busy"), api_json_text(name));
		rc = 0;
	}
	return rc < 0 ? -1 : 0;
}
