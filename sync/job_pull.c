/* Hides: the JSON of both. */
#include "sync/job_pull.h"

#include "common/wire/endpoint.h"
#include "sync/json_wipe.h"

#define TEXT_MAX    4096
#define SECONDS_MAX 604800

enum {
	USER_NAME,
	USER_WAVE,
	USER_LOGIN_OLD,
	USER_LOGIN_NEW,
	USER_PASS_OLD,
	USER_PASS_NEW,
	USER_FIELDS
};

void job_pull_user_release(struct job_pull_user *u)
{
	mem_free(&u->user);
	mem_free(&u->wave);
	for (int s = 0; s < SIDES; s++) {
		mem_free(&u->login[s]);
		secret_release(&u->password[s]);
	}
	folder_rules_release(&u->rules);
}

void job_pull_release(struct job_pull *p)
{
	mem_free(&p->job);
	mem_free(&p->server);
	mem_free(&p->method);
	mem_free(&p->rules);
	for (size_t i = 0; i < p->own_count; i++)
		mem_free(&p->own[i]);
	mem_free(&p->own);
	for (size_t i = 0; i < p->count; i++)
		job_pull_user_release(&p->users[i]);
	mem_free(&p->users);
	*p = (struct job_pull){ 0 };
}

/* ---- writing */

static json_t *secret_json(const struct secret *s)
{
	struct slice p = secret_slice(s);

	return json_stringn(p.n ? p.p : "", p.n);
}

static json_t *user_json(const struct job_pull_user *u)
{
	return json_pack("[s, s, s, s, o, o]", u->user, u->wave ? u->wave : "",
			 u->login[SIDE_OLD], u->login[SIDE_NEW],
			 secret_json(&u->password[SIDE_OLD]),
			 secret_json(&u->password[SIDE_NEW]));
}

static int add_bytes(const char *p, size_t n, void *out)
{
	buf_add(out, p, n);
	return 0;
}

void job_pull_write(const struct job_pull *p, struct buf *out)
{
	json_malloc_t old_malloc;
	json_free_t old_free;
	json_t *users, *own, *j;

	json_get_alloc_funcs(&old_malloc, &old_free);
	json_wipe_freed();
	users = json_array();
	own = json_array();
	for (size_t i = 0; i < p->count; i++)
		json_array_append_new(users, user_json(&p->users[i]));
	for (size_t i = 0; i < p->own_count; i++)
		json_array_append_new(own, json_string(p->own[i]));
	j = json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:o, s:o}", "job", p->job, "server",
		      p->server, "method", p->method, "rules", p->rules ? p->rules : "",
		      "poll_s", p->poll_s, "again", p->again, "partial", p->partial, "own", own,
		      "users", users);
	ASSERT(j && json_dump_callback(j, add_bytes, out, JSON_COMPACT) == 0);
	json_decref(j);
	json_set_alloc_funcs(old_malloc, old_free);
}

/* ---- reading */

static bool is_clean(const char *text, size_t max)
{
	if (strlen(text) > max)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int take_user(const json_t *j, struct job_pull_user *out)
{
	const char *text[USER_FIELDS];

	if (json_array_size(j) != USER_FIELDS)
		return -1;
	for (size_t i = 0; i < USER_FIELDS; i++) {
		text[i] = json_string_value(json_array_get(j, i));
		if (!text[i] || !is_clean(text[i], TEXT_MAX))
			return -1;
	}
	if (!*text[USER_NAME] || !*text[USER_LOGIN_OLD] || !*text[USER_LOGIN_NEW] ||
	    !*text[USER_PASS_OLD])
		return -1;
	out->user = mem_str(text[USER_NAME]);
	out->wave = mem_str(text[USER_WAVE]);
	for (int s = 0; s < SIDES; s++) {
		const char *password = text[USER_PASS_OLD + s];

		out->login[s] = mem_str(text[USER_LOGIN_OLD + s]);
		if (*password)
			secret_set(&out->password[s], password, strlen(password));
	}
	return 0;
}

static int take_users(const json_t *users, struct job_pull *out)
{
	size_t i;
	json_t *one;

	if (json_array_size(users) == 0 || json_array_size(users) > JOB_PULL_MAX)
		return -1;
	out->users = mem_array(json_array_size(users), sizeof *out->users);
	json_array_foreach (users, i, one)
		if (take_user(one, &out->users[out->count++]) < 0)
			return -1;
	return 0;
}

static int take_own(const json_t *own, struct job_pull *out)
{
	size_t i;
	json_t *one;

	if (!json_is_array(own) || json_array_size(own) > JOB_PULL_OWN_MAX)
		return -1;
	out->own = mem_array(json_array_size(own) + 1, sizeof *out->own);
	json_array_foreach (own, i, one) {
		if (!json_is_string(one) ||
		    !is_clean(json_string_value(one), ENDPOINT_TEXT_MAX))
			return -1;
		out->own[out->own_count++] = mem_str(json_string_value(one));
	}
	return 0;
}

int job_pull_read(json_t *j, struct job_pull *out)
{
	const char *job, *server, *method, *rules;
	json_t *own, *users;
	int again, partial;

	*out = (struct job_pull){ .on = true };
	if (json_unpack(j, "{s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:o, s:o !}", "job", &job,
			"server", &server, "method", &method, "rules", &rules, "poll_s",
			&out->poll_s, "again", &again, "partial", &partial, "own", &own,
			"users", &users) < 0)
		return -1;
	if (!*job || !is_clean(job, STORE_PULL_JOB_MAX - 1) || !is_clean(server, TEXT_MAX) ||
	    !is_clean(method, TEXT_MAX) || !is_clean(rules, TEXT_MAX) || out->poll_s < 1 ||
	    out->poll_s > SECONDS_MAX)
		return -1;
	out->again = again;
	out->partial = partial;
	out->job = mem_str(job);
	out->server = mem_str(server);
	out->method = mem_str(method);
	out->rules = *rules ? mem_str(rules) : NULL;
	return take_own(own, out) < 0 ? -1 : take_users(users, out);
}

/* ---- items */

static json_t *text_json(const char *text)
{
	json_t *j = json_string(text);

	return j ? j : json_string("(it is not UTF-8)");
}

json_t *job_pull_item_json(const struct pull_item *i)
{
	return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:O}", "user",
			 text_json(i->user), "state", pull_state_name(i->state), "migrated",
			 (json_int_t)i->migrated, "skipped", (json_int_t)i->skipped, "failed",
			 (json_int_t)i->failed, "total", (json_int_t)i->total, "bytes",
			 (json_int_t)i->bytes, "folder", text_json(i->folder), "text",
			 text_json(i->text), "trace", text_json(i->trace), "folders",
			 i->folders);
}

static bool are_folders(const json_t *folders)
{
	size_t i;
	json_t *f;

	if (!json_is_array(folders) || json_array_size(folders) > JOB_PULL_FOLDERS)
		return false;
	json_array_foreach (folders, i, f) {
		if (json_array_size(f) != 4 || !json_is_string(json_array_get(f, 0)) ||
		    json_string_length(json_array_get(f, 0)) > JOB_PULL_FOLDER_MAX)
			return false;
		for (size_t k = 1; k < 4; k++)
			if (!json_is_integer(json_array_get(f, k)))
				return false;
	}
	return true;
}

static bool take_state(const char *name, enum pull_state *out)
{
	for (int s = 0; s < PULL_STATES; s++) {
		if (strcmp(name, pull_state_name((enum pull_state)s)) == 0) {
			*out = (enum pull_state)s;
			return true;
		}
	}
	return false;
}

int job_pull_item_read(const json_t *j, struct pull_item *out)
{
	json_int_t n[5];
	const char *state;

	if (json_unpack((json_t *)(uintptr_t)j,
			"{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:o !}", "user",
			&out->user, "state", &state, "migrated", &n[0], "skipped", &n[1],
			"failed", &n[2], "total", &n[3], "bytes", &n[4], "folder", &out->folder,
			"text", &out->text, "trace", &out->trace, "folders", &out->folders) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(n); i++)
		if (n[i] < 0)
			return -1;
	out->migrated = n[0];
	out->skipped = n[1];
	out->failed = n[2];
	out->total = n[3];
	out->bytes = n[4];
	return take_state(state, &out->state) && strlen(out->user) <= STORE_NAME_MAX &&
			       strlen(out->folder) <= JOB_PULL_FOLDER_MAX &&
			       strlen(out->text) < ERR_TEXT_MAX &&
			       strlen(out->trace) <= JOB_PULL_TRACE_MAX &&
			       are_folders(out->folders)
		       ? 0
		       : -1;
}
