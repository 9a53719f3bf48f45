/* Hides: how one user's account is made on the way to his first login. */
#include "sync/job_provision.h"

static struct login_name_rules rules_of(const struct job *j)
{
	return (struct login_name_rules){ .default_domain = j->opensrs.default_domain,
					  .fold_local = j->opensrs.fold_local };
}

int job_accounts_read(const struct job *j, struct accounts *out, provision_fn *fn, void *arg,
		      struct err *e)
{
	const struct login_name_rules rules = rules_of(j);
	struct sheet_errors errs;

	if (accounts_read(j->opensrs.accounts, &rules, out, &errs) == 0)
		return 0;
	for (size_t i = 0; fn && i < MIN(errs.count, (size_t)JOB_MISTAKES_MAX); i++)
		fn(&(struct provision_item){ .name = "",
					     .what = PROVISION_FAILED,
					     .text = errs.at[i] },
		   arg);
	err_set(e, ERR_INPUT, "the list of accounts has %zu mistakes: %s",
		errs.count + errs.more, errs.at[0]);
	sheet_errors_release(&errs);
	return -1;
}

int job_provision(const struct job *j, const struct accounts *list, struct opensrs *api,
		  provision_fn *fn, void *arg, struct err *e)
{
	const struct provision p = {
		.api = api,
		.list = list,
		.dry_run = j->opensrs.dry_run,
		.learned = j->opensrs.learned,
		.fn = fn,
		.arg = arg
	};

	return provision_run(&p, (const char *const *)j->opensrs.names, j->opensrs.count, e);
}

struct one {
	const char *user;
	char *note;
	int rc;
	struct err *e;
};

static void on_item(const struct provision_item *i, void *arg)
{
	struct one *o = arg;

	if (strcmp(i->name, o->user) != 0)
		return; /* his domain: what is wrong with it is said for him too */
	snprintf(o->note, PROVISION_TEXT_MAX, "%s", i->text);
	if (i->what == PROVISION_FAILED)
		o->rc = err_set(o->e, ERR_INPUT, "account: %s", i->text);
}

int job_provision_user(const struct job *j, const struct accounts *list, struct opensrs *api,
		       char note[PROVISION_TEXT_MAX], struct err *e)
{
	const struct login_name_rules rules = rules_of(j);
	char login[LOGIN_NAME_MAX + 1];
	const char *const names[] = { login };
	struct one o = { .user = login, .note = note, .e = e };
	const struct provision p = {
		.api = api,
		.list = list,
		.create_only = true,
		.learned = j->opensrs.count ? j->opensrs.learned : NULL,
		.fn = on_item,
		.arg = &o
	};

	note[0] = '\0';
	if (login_name_normalise(slice_of(j->side[SIDE_NEW].login), &rules, login,
				 sizeof login) < 0 ||
	    !accounts_find(list, login))
		return 0; /* somebody else made it, or his login will tell */
	return provision_run(&p, names, 1, e) < 0 ? -1 : o.rc;
}

json_t *job_account_json(const struct provision_item *i)
{
	json_t *text = json_string(i->text);

	return json_pack("{s:s, s:i, s:s, s:o}", "name", i->name, "line", (int)i->line, "what",
			 provision_what_name(i->what), "text",
			 text ? text : json_string("(it is not UTF-8)"));
}

bool job_account_is_sound(const json_t *item)
{
	const char *name, *what, *text;
	int line;

	if (json_unpack((json_t *)(uintptr_t)item, "{s:s, s:i, s:s, s:s !}", "name", &name,
			"line", &line, "what", &what, "text", &text) < 0)
		return false;
	for (int i = 0; i < PROVISION_WHATS; i++)
		if (strcmp(what, provision_what_name((enum provision_what)i)) == 0)
			return strlen(name) <= STORE_NAME_MAX &&
			       strlen(text) < PROVISION_TEXT_MAX && line >= 0;
	return false;
}
