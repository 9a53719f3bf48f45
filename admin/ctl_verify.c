/* Hides: how a comparison is asked for, followed and summed up; and how a report is checked. */
#include <poll.h>

#include "admin/ctl.h"
#include "admin/table.h"
#include "sync/report.h"

#define LOOK_MS 500

/* ---- a report on disk */

static int check_file(struct ctl *c)
{
	json_error_t wrong;
	json_t *j = json_load_file(c->check_file, JSON_REJECT_DUPLICATES, &wrong);
	struct err e = { 0 };
	int rc = -1;

	if (!j)
		err_set(&e, ERR_INPUT, "%s", wrong.text);
	else
		rc = report_check(j, c->key, &e);
	if (rc < 0)
		fprintf(stderr, "mailferry: %s: %s\n", c->check_file, e.text);
	else
		fprintf(c->out, "%s: as it was signed, with key %s\n", c->check_file,
			ctl_text(json_object_get(j, "signature"), "key"));
	json_decref(j);
	return rc < 0 ? CTL_FAILED : CTL_OK;
}

/* ---- asking */

/* "full", "headers", "sample=K"; false: something else. */
static bool put_level(const char *level, json_t *body)
{
	const char *k = level && strncmp(level, "sample=", 7) == 0 ? level + 7 : NULL;
	uint64_t n = 0;

	if (k ? slice_u64(slice_of(k), INT32_MAX, &n) < 0 || n == 0
	      : level && strcmp(level, "full") != 0 && strcmp(level, "headers") != 0)
		return false;
	json_object_set_new(body, "level", json_string(k ? "sample" : level ? level : "full"));
	if (k)
		json_object_set_new(body, "sample", json_integer((json_int_t)n));
	return true;
}

/* wanted: names of those who were asked for, as far as the answer has them; of count. */
static int ask(struct ctl *c, json_t *wanted, int64_t *count)
{
	json_t *body = json_object(), *answer, *u;
	size_t i;
	int status;

	if (!put_level(c->level, body)) {
		json_decref(body);
		return ctl_usage(c, "--level is full, headers or sample=K");
	}
	if (c->wave)
		json_object_set_new(body, "wave", json_string(c->wave));
	else
		json_object_set_new(body, "user", json_string(c->arg[0]));
	status = ctl_ask(c, "/v1/verify", body, &answer);
	if (status == CTL_OK && c->no_wait && !ctl_json(c, answer))
		fprintf(c->out, "%lld users will be compared\n",
			(long long)ctl_int(answer, "count"));
	*count = ctl_int(answer, "count");
	json_array_foreach (json_object_get(answer, "users"), i, u)
		json_object_set_new(wanted, ctl_text(u, "name"), json_true());
	json_decref(answer);
	return status;
}

/* ---- following */

/* Comparisons are kept in the engine's memory alone. */
#define FORGOTTEN "nothing is known of it any more: the engine was started anew; ask again"

static bool is_ended(const json_t *u)
{
	const char *state = ctl_text(u, "state");

	return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0;
}

static bool is_unknown(const json_t *u)
{
	return strcmp(ctl_text(u, "state"), "none") == 0;
}

static bool is_well(const json_t *u)
{
	const char *grade = ctl_text(u, "grade");

	return strcmp(grade, "perfect") == 0 || strcmp(grade, "good") == 0;
}

static void say(struct ctl *c, const json_t *u)
{
	char a[TEXT_SMALL], b[TEXT_SMALL];

	text_put(c->out, ctl_text(u, "name"));
	if (is_unknown(u) || strcmp(ctl_text(u, "state"), "failed") == 0) {
		fputs(": failed: ", c->out);
		text_put(c->out, is_unknown(u) ? FORGOTTEN : ctl_text(u, "text"));
		fputc('\n', c->out);
		return;
	}
	fprintf(c->out, ": %s: %s messages the same", ctl_text(u, "grade"),
		text_count(ctl_int(u, "same"), a));
	if (ctl_int(u, "missing"))
		fprintf(c->out, ", %s missing", text_count(ctl_int(u, "missing"), b));
	if (ctl_int(u, "altered"))
		fprintf(c->out, ", %s altered", text_count(ctl_int(u, "altered"), b));
	if (ctl_int(u, "other"))
		fprintf(c->out, ", %s other findings", text_count(ctl_int(u, "other"), b));
	fputc('\n', c->out);
}

/* One look: tells who has ended since the last. said: names told already. */
static int look(struct ctl *c, json_t *wanted, json_t *said, bool *open, bool *well)
{
	char *path = mem_str("/v1/verify");
	json_t *answer, *u;
	size_t i;
	int status;

	ctl_param(c, &path, "wave", c->wave);
	ctl_param(c, &path, "user", c->wave ? NULL : c->arg[0]);
	status = ctl_ask(c, path, NULL, &answer);
	*open = false;
	json_array_foreach (json_object_get(answer, "users"), i, u) {
		bool is_wanted = json_object_get(wanted, ctl_text(u, "name")) != NULL;

		if (is_unknown(u) && !is_wanted)
			continue; /* came into the wave meanwhile */
		if (!is_unknown(u) && !is_ended(u)) {
			*open = true;
			json_object_set_new(wanted, ctl_text(u, "name"), json_true());
		} else if (!json_object_get(said, ctl_text(u, "name"))) {
			json_object_set_new(said, ctl_text(u, "name"), json_true());
			*well &= is_well(u);
			if (!ctl_json(c, u))
				say(c, u);
			fflush(c->out);
		}
	}
	json_decref(answer);
	mem_free(&path);
	return status;
}

static int follow(struct ctl *c, json_t *wanted, int64_t count)
{
	json_t *said = json_object();
	bool open = true, well = true;
	int status = CTL_OK;

	while (status == CTL_OK && open) {
		status = look(c, wanted, said, &open, &well);
		if (open)
			poll(NULL, 0, LOOK_MS);
	}
	if (status == CTL_OK && (int64_t)json_object_size(said) < count) {
		fprintf(stderr, "mailferry: %lld users: " FORGOTTEN "\n",
			(long long)(count - (int64_t)json_object_size(said)));
		well = false;
	}
	json_decref(said);
	return status == CTL_OK && !well ? CTL_FAILED : status;
}

int ctl_verify(struct ctl *c)
{
	json_t *wanted;
	int64_t count = 0;
	int status;

	if (c->check_file)
		return c->wave || c->arg_count ? ctl_usage(c, "--check-file stands alone")
					       : check_file(c);
	if (!c->wave == !c->arg_count)
		return ctl_usage(c, "give a user or --wave");
	wanted = json_object();
	status = ask(c, wanted, &count);
	if (status == CTL_OK && !c->no_wait)
		status = follow(c, wanted, count);
	json_decref(wanted);
	return status;
}
