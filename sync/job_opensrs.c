/* Hides: the JSON of that part. */
#include "sync/job_opensrs.h"

#include "sync/json_wipe.h"
#include "sync/provision.h"

#define TEXT_MAX    4096
#define SECONDS_MAX 86400
#define HOURS_MAX   744 /* OpenSRS's own tool asks for no more */

void job_opensrs_release(struct job_opensrs *o)
{
	opensrs_access_release(&o->access);
	mem_free(&o->accounts);
	mem_free(&o->default_domain);
	secret_release(&o->token);
	for (size_t i = 0; i < o->count; i++) {
		mem_free(&o->names[i]);
		secret_release(&o->learned[i]);
	}
	mem_free(&o->names);
	mem_free(&o->learned);
	*o = (struct job_opensrs){ 0 };
}

void job_opensrs_make_room(struct job_opensrs *o, size_t n)
{
	o->names = mem_array(n + 1, sizeof *o->names);
	o->learned = mem_array(n + 1, sizeof *o->learned);
}

/* ---- writing */

static json_t *secret_json(const struct secret *s)
{
	struct slice p = secret_slice(s);

	return json_stringn(p.p, p.n);
}

/* On the line "" is none. */
static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static char *or_none(const char *s)
{
	return *s ? mem_str(s) : NULL;
}

static json_t *object(const struct job_opensrs *o)
{
	const struct opensrs_access *a = &o->access;
	json_t *names = json_array(), *learned = json_array();

	for (size_t i = 0; i < o->count; i++) {
		json_array_append_new(names, json_string(o->names[i]));
		json_array_append_new(learned, secret_json(&o->learned[i]));
	}
	return json_pack("{s:s, s:s, s:o, s:b, s:s, s:i, s:i, s:i, s:s, s:s, s:b, s:b, s:b, "
			 "s:i, s:o, s:o, s:o}",
			 "url", a->url, "user", a->user, "secret", secret_json(&a->secret),
			 "by_token", a->by_token, "ca_file", or_empty(a->ca_file), "connect_s",
			 a->connect_s, "answer_s", a->answer_s, "parallel", a->parallel,
			 "accounts", or_empty(o->accounts), "default_domain",
			 or_empty(o->default_domain), "fold_local", o->fold_local, "create",
			 o->create, "dry_run", o->dry_run, "token_hours", o->token_hours,
			 "token", secret_json(&o->token), "names", names, "learned", learned);
}

static int add_bytes(const char *p, size_t n, void *out)
{
	buf_add(out, p, n);
	return 0;
}

void job_opensrs_write(const struct job_opensrs *o, struct buf *out)
{
	json_malloc_t old_malloc;
	json_free_t old_free;
	json_t *j;

	json_get_alloc_funcs(&old_malloc, &old_free);
	json_wipe_freed();
	j = object(o);
	ASSERT(j && json_dump_callback(j, add_bytes, out, JSON_COMPACT) == 0);
	json_decref(j);
	json_set_alloc_funcs(old_malloc, old_free);
}

/* ---- reading */

static bool is_short(const char *s)
{
	return strlen(s) <= TEXT_MAX;
}

static int take_secret(const char *text, struct secret *out)
{
	if (strlen(text) > SECRET_MAX)
		return -1;
	if (*text)
		secret_set(out, text, strlen(text));
	return 0;
}

static int take_names(const json_t *names, const json_t *learned, struct job_opensrs *out)
{
	size_t i, bytes = 0;
	json_t *one;

	if (!json_is_array(names) || json_array_size(names) > PROVISION_MAX ||
	    json_array_size(learned) != json_array_size(names))
		return -1;
	job_opensrs_make_room(out, json_array_size(names));
	json_array_foreach (names, i, one) {
		const json_t *password = json_array_get(learned, i);

		if (!json_is_string(one) || !json_is_string(password))
			return -1;
		bytes += json_string_length(one) + json_string_length(password);
		out->names[out->count] = mem_str(json_string_value(one));
		if (take_secret(json_string_value(password), &out->learned[out->count++]) < 0)
			return -1;
	}
	return bytes <= JOB_NAMES_BYTES ? 0 : -1;
}

int job_opensrs_read(json_t *j, struct job_opensrs *out)
{
	struct opensrs_access *a = &out->access;
	const char *url, *user, *secret, *ca, *accounts, *domain, *token;
	int by_token, fold, create, dry_run;
	json_t *names, *learned;

	*out = (struct job_opensrs){ .on = true };
	if (json_unpack(j,
			"{s:s, s:s, s:s, s:b, s:s, s:i, s:i, s:i, s:s, s:s, s:b, s:b, s:b, "
			"s:i, s:s, s:o, s:o !}",
			"url", &url, "user", &user, "secret", &secret, "by_token", &by_token,
			"ca_file", &ca, "connect_s", &a->connect_s, "answer_s", &a->answer_s,
			"parallel", &a->parallel, "accounts", &accounts, "default_domain",
			&domain, "fold_local", &fold, "create", &create, "dry_run", &dry_run,
			"token_hours", &out->token_hours, "token", &token, "names", &names, "learned", &learned) < 0)
		return -1;
	if (!is_short(url) || !is_short(user) || !is_short(ca) || !is_short(accounts) ||
	    !is_short(domain) || a->connect_s < 1 || a->connect_s > SECONDS_MAX ||
	    a->answer_s < 1 || a->answer_s > SECONDS_MAX || a->parallel < 1 ||
	    a->parallel > OPENSRS_PARALLEL_MAX || out->token_hours < 0 ||
	    out->token_hours > HOURS_MAX)
		return -1;
	a->url = mem_str(url);
	a->user = mem_str(user);
	a->ca_file = or_none(ca);
	a->by_token = by_token;
	out->accounts = or_none(accounts);
	out->default_domain = or_none(domain);
	out->fold_local = fold;
	out->create = create;
	out->dry_run = dry_run;
	return take_secret(secret, &a->secret) < 0 || take_secret(token, &out->token) < 0
		       ? -1
		       : take_names(names, learned, out);
}
