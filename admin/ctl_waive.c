/* Hides: how a check or exceptions are named to be waived. */
#include "admin/api.h"
#include "admin/ctl_follow.h"

static json_t *exceptions_body(struct ctl *c)
{
	uint64_t uid = 0;
	json_t *body;

	if (c->uid && slice_u64(slice_of(c->uid), UINT32_MAX, &uid) < 0) {
		ctl_usage(c, "waive: --uid is a number, not \"%.40s\"", c->uid);
		return NULL;
	}
	body = json_pack("{s:s, s:b, s:b, s:I}", "user", c->arg[0], "undo", c->undo, "all",
			 c->all, "uid", (json_int_t)uid);
	if (c->note)
		json_object_set_new(body, "note", json_string(c->note));
	if (c->folder)
		json_object_set_new(body, "folder", json_string(c->folder));
	if (c->kind)
		json_object_set_new(body, "kind", json_string(c->kind));
	return body;
}

static json_t *check_body(const struct ctl *c, const char *check)
{
	json_t *body = json_pack("{s:s, s:b}", "check", check, "undo", c->undo);

	json_object_set_new(body, c->wave ? "wave" : "user",
			    json_string(c->wave ? c->wave : c->arg[0]));
	if (c->note)
		json_object_set_new(body, "note", json_string(c->note));
	return body;
}

/* USER CHECK, --wave W CHECK, or USER with what names exceptions. */
static json_t *waive_body(struct ctl *c)
{
	bool exceptions = c->folder || c->kind || c->uid || c->all;
	size_t names = c->wave ? 0 : 1;

	if (!c->undo && !c->note) {
		ctl_usage(c, "waive: --note says who decided it, and why");
		return NULL;
	}
	if (exceptions ? c->wave || c->arg_count != 1 : c->arg_count != names + 1) {
		ctl_usage(c, "waive: name a user or a wave, and a check; or a user, and which "
			     "exceptions");
		return NULL;
	}
	return exceptions ? exceptions_body(c) : check_body(c, c->arg[names]);
}

static void print_waived(struct ctl *c, const json_t *answer)
{
	const char *check = ctl_text(answer, "check");
	long long n = ctl_int(answer, "count");

	if (*check)
		fprintf(c->out, "check %s %s for %lld users\n", check,
			c->undo ? "counts again" : "is waived", n);
	else
		fprintf(c->out, "%lld exceptions %s%s\n", n,
			c->undo ? "count again" : "are waived",
			n ? "; the pass that begins now counts anew" : "");
}

int ctl_waive(struct ctl *c)
{
	json_t *body = waive_body(c), *answer;
	int status;

	if (!body)
		return CTL_USAGE;
	status = ctl_ask(c, "/v1/waive", body, &answer);
	if (status == CTL_OK && !ctl_json(c, answer))
		print_waived(c, answer);
	json_decref(answer);
	return status;
}
