/* Hides: which settings make the access, and what they must be to travel in JSON. */
#include "sync/order_opensrs.h"

#include "config/opensrs_address.h"
#include "sync/hashes.h"
#include "sync/provision.h"

/* Their passwords and tokens are ASCII; so is what JSON and HTTP carry without a thought. */
static int check_ascii(struct slice s, const char *file, struct err *e)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return err_set(e, ERR_INPUT,
				       "%s: the administrator's password must be ASCII", file);
	return 0;
}

int order_opensrs(struct job_opensrs *out, const struct settings *s, struct err *e)
{
	const char *secret_file =
		s->opensrs.token_file ? s->opensrs.token_file : s->opensrs.password_file;
	struct opensrs_access *a = &out->access;

	if (!s->opensrs.cluster)
		return 0;
	*out = (struct job_opensrs){
		.on = true,
		.fold_local = s->users.fold_local,
		.create = s->opensrs.create,
		.token_hours = s->opensrs.session_tokens ? s->opensrs.token_hours : 0,
	};
	a->url = opensrs_address(s->opensrs.cluster);
	a->user = mem_str(s->opensrs.user);
	a->by_token = s->opensrs.token_file != NULL;
	a->ca_file = mem_str(s->opensrs.ca_file);
	a->connect_s = s->sync.connect_s;
	a->answer_s = s->opensrs.answer_s;
	a->parallel = s->opensrs.parallel;
	out->accounts = mem_str(s->opensrs.accounts);
	out->default_domain = mem_str(s->users.default_domain);
	if (secret_read_file(&a->secret, secret_file, e) < 0 ||
	    check_ascii(secret_slice(&a->secret), secret_file, e) < 0)
		return err_wrap(e, "opensrs");
	return 0;
}

static bool could_be_taken(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n <= CLEAR_TEXT_MAX;
}

void order_opensrs_user(struct job_opensrs *o, const char *login, const struct secret *learned)
{
	struct slice p = secret_slice(learned);

	o->names[o->count] = mem_str(login);
	if (p.n && could_be_taken(p))
		secret_set(&o->learned[o->count], p.p, p.n);
	o->count++;
}

static int take_users(struct job_opensrs *o, const struct learned *l, char *const *users,
		      char *const *logins, size_t n, struct err *e)
{
	size_t bytes = 0;

	if (n > PROVISION_MAX)
		return err_set(e, ERR_INPUT,
			       "%zu users are more than the %d of one run; remedy: smaller waves",
			       n, PROVISION_MAX);
	job_opensrs_make_room(o, n);
	for (size_t i = 0; i < n; i++) {
		struct secret learned = { 0 };
		int rc = learned_find(l, users[i], &learned, e);

		order_opensrs_user(o, logins[i], &learned);
		bytes += strlen(logins[i]) + learned.n;
		secret_release(&learned);
		if (rc < 0)
			return -1;
	}
	if (bytes > JOB_NAMES_BYTES)
		return err_set(e, ERR_INPUT,
			       "the names of these users are longer than %d bytes together; "
			       "remedy: smaller waves",
			       JOB_NAMES_BYTES);
	return 0;
}

int order_provision(struct job *out, const struct settings *s, const struct learned *l,
		    char *const *users, char *const *logins, size_t n, bool dry_run,
		    struct err *e)
{
	int rc;

	*out = (struct job){ .kind = JOB_PROVISION,
			     .connect_s = s->sync.connect_s,
			     .io_s = MAX(s->sync.io_s, s->opensrs.answer_s),
			     .connections = 1,
			     .message_max = s->sync.message_max,
			     .memory = s->sync.worker_memory };
	if (!s->opensrs.cluster || !s->opensrs.accounts)
		return err_set(
			e, ERR_INPUT,
			"there is nothing to provision: the setting opensrs.%s is missing",
			s->opensrs.cluster ? "accounts" : "cluster");
	out->user = mem_str("provision");
	out->run_as = mem_str(s->sync.worker_user);
	rc = order_opensrs(&out->opensrs, s, e);
	out->opensrs.dry_run = dry_run;
	if (rc == 0)
		rc = take_users(&out->opensrs, l, users, logins, n, e);
	if (rc < 0)
		job_release(out);
	return rc;
}
