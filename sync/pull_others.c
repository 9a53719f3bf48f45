/* Hides: who is in a job besides those whom its worker follows. */
#include "sync/pull_others.h"

void pull_others_release(struct pull_others *o)
{
	for (size_t i = 0; i < o->count; i++) {
		mem_free(&o->at[i].login);
		pull_seen_release(&o->at[i].seen);
	}
	mem_free(&o->at);
	*o = (struct pull_others){ 0 };
}

static bool is_ours(const struct job_pull *ours, const char *login)
{
	for (size_t i = 0; i < ours->count; i++)
		if (strcmp(ours->users[i].login[SIDE_OLD], login) == 0)
			return true;
	return false;
}

static bool is_known(const struct pull_others *o, const char *login)
{
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->at[i].login, login) == 0)
			return true;
	return false;
}

void pull_others_take(struct pull_others *o, const json_t *answer, const struct job_pull *ours)
{
	const char *login;

	for (size_t i = 0; (login = pull_status_login(answer, i)); i++)
		if (!is_ours(ours, login) && !is_known(o, login)) {
			o->at = mem_grow(o->at, o->count + 1, sizeof *o->at);
			o->at[o->count++] = (struct pull_other){ .login = mem_str(login) };
		}
	for (size_t i = 0; i < o->count; i++)
		(void)pull_seen_take(&o->at[i].seen, answer, o->at[i].login);
}

bool pull_others_ended(const struct pull_others *o)
{
	for (size_t i = 0; i < o->count; i++)
		if (!pull_seen_ended(&o->at[i].seen, NULL, NULL))
			return false;
	return true;
}
