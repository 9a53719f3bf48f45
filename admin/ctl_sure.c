/* Hides: what is counted before a person is asked, and how. */
#include "admin/api.h"
#include "admin/ctl_sure.h"
#include "admin/table.h"

#define ANSWER_MAX 16

/* Only a person at a terminal is: scripts need no --yes where there is none. *status: of wrong
 * settings, with which nobody can be told anything. */
static bool is_asked(struct ctl *c, int *status)
{
	bool person = !c->yes && isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;

	*status = person ? ctl_settings(c) : CTL_OK;
	return person && *status == CTL_OK;
}

static bool says_yes(void)
{
	char line[ANSWER_MAX] = "";

	if (!fgets(line, sizeof line, stdin))
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	return slice_is_nocase(slice_of(line), "y") || slice_is_nocase(slice_of(line), "yes");
}

/* text is handed over. */
static int ask(struct buf *text)
{
	buf_add(text, "", 1);
	text_put(stderr, buf_slice(text).p);
	buf_release(text);
	fputs("\ngo on? [y/N] ", stderr);
	if (says_yes())
		return CTL_OK;
	fputs("nothing was done\n", stderr);
	return CTL_FAILED;
}

/* ---- counting; without an engine nothing is: what is asked of it next says so */

static int64_t count_sessions(struct ctl *c, const char *key, const char *value,
			      const char *side)
{
	char *after = NULL;
	int64_t n = 0;
	bool more;

	do {
		char *path = mem_printf("/v1/sessions?limit=%d", API_PAGE_MAX);
		json_t *answer;

		ctl_param(c, &path, key, value);
		ctl_param(c, &path, "side", side);
		ctl_param(c, &path, "after", after);
		answer = ctl_look(c, path);
		n += (int64_t)json_array_size(json_object_get(answer, "sessions"));
		mem_free(&path);
		mem_free(&after);
		more = *ctl_text(answer, "next") != '\0';
		if (more)
			after = mem_str(ctl_text(answer, "next"));
		json_decref(answer);
	} while (more);
	return n;
}

static void add_sessions(struct ctl *c, struct buf *text, const char *key, const char *value,
			 const char *side)
{
	char n[TEXT_SMALL];
	int64_t count = count_sessions(c, key, value, side);

	buf_printf(text, "%s session%s", text_count(count, n), count == 1 ? "" : "s");
}

static void add_users(struct buf *text, int64_t count)
{
	char n[TEXT_SMALL];

	buf_printf(text, "%s user%s", text_count(count, n), count == 1 ? "" : "s");
}

/* Of a wave, those who are on new, or who are not. */
static int64_t count_wave(struct ctl *c, bool on_new)
{
	char *path = mem_str("/v1/waves");
	json_t *answer;
	const json_t *wave;
	int64_t n = 0;

	ctl_param(c, &path, "wave", c->wave);
	answer = ctl_look(c, path);
	wave = json_array_get(json_object_get(answer, "waves"), 0);
	if (wave)
		n = on_new ? ctl_int(wave, "on_new")
			   : ctl_int(wave, "users") - ctl_int(wave, "on_new");
	json_decref(answer);
	mem_free(&path);
	return n;
}

/* ---- users */

/* "3 users of wave 1", "anna@example.com (ready)"; false: there is nobody. */
static bool add_whom(struct ctl *c, struct buf *text, bool on_new)
{
	char *path;
	json_t *answer;
	bool known;

	if (c->wave) {
		int64_t n = count_wave(c, on_new);
		add_users(text, n);
		buf_printf(text, " of wave %s", c->wave);
		return n > 0;
	}
	path = ctl_user_path(c, c->arg[0], "");
	answer = ctl_look(c, path);
	mem_free(&path);
	buf_printf(text, "%s (%s)", c->arg[0],
		   ctl_text(json_object_get(answer, "user"), "state"));
	known = answer != NULL;
	json_decref(answer);
	return known;
}

static int sure_move(struct ctl *c, bool back)
{
	struct buf text = { 0 };
	int status;

	if (!is_asked(c, &status) || c->withdraw)
		return status;
	if (!add_whom(c, &text, back)) {
		buf_release(&text);
		return CTL_OK; /* the engine says why */
	}
	buf_printf(&text, " will be moved %s%s%s: logins wait for some seconds, ",
		   back ? "back to old" : "to new", c->at ? ", not before " : "",
		   c->at ? c->at : "");
	add_sessions(c, &text, c->wave ? "wave" : "user", c->wave ? c->wave : c->arg[0],
		     back ? "new" : "old");
	buf_add_str(&text, " will be ended");
	return ask(&text);
}

int ctl_sure_cutover(struct ctl *c)
{
	return sure_move(c, false);
}

int ctl_sure_rollback(struct ctl *c)
{
	return sure_move(c, true);
}

int ctl_sure_provision(struct ctl *c, int made, int changed)
{
	struct buf text = { 0 };
	int status;

	if (!is_asked(c, &status))
		return status;
	buf_printf(&text, "on OpenSRS %d will be made and %d changed", made, changed);
	return ask(&text);
}

static int sure_not_waited(struct ctl *c, const char *job)
{
	struct buf text = { 0 };

	if (c->wave)
		buf_printf(&text, "those of wave %s who are", c->wave);
	else
		buf_printf(&text, "%s, if", c->arg[0]);
	buf_printf(&text,
		   " in %s%s of OpenSRS's tool, which stands still, will not be waited for any "
		   "more: if it moves again after all, mail comes twice",
		   job ? "job " : "a job", job ? job : "");
	return ask(&text);
}

int ctl_sure_pull(struct ctl *c, const char *job)
{
	struct buf text = { 0 };
	int status;

	if (!is_asked(c, &status) || c->dry_run || (c->undo && !c->stuck))
		return status;
	if (c->undo)
		return sure_not_waited(c, job);
	buf_add_str(&text, "OpenSRS will be given the old password of ");
	if (!add_whom(c, &text, false)) {
		buf_release(&text);
		return CTL_OK;
	}
	buf_add_str(&text, " and fetch the mail; until it is through, no pass and no cutover of"
			   " them begins");
	return ask(&text);
}

/* ---- sessions and nodes */

int ctl_sure_drop(struct ctl *c, int64_t wait_s)
{
	struct buf text = { 0 };
	int status;

	if (!is_asked(c, &status) || !c->force)
		return status;
	add_sessions(c, &text, "user", c->arg[0], NULL);
	buf_printf(&text, " of %s will be ended, and cut after %lld s, whatever is open",
		   c->arg[0], (long long)wait_s);
	return ask(&text);
}

int ctl_sure_drain(struct ctl *c, int64_t seconds)
{
	struct buf text = { 0 };
	int status;

	if (!is_asked(c, &status) || c->undo)
		return status;
	if (c->all)
		buf_add_str(&text,
			    "all nodes will take no clients any more: nobody can log in; ");
	else
		buf_printf(&text, "node %s will take no clients any more; ", c->arg[0]);
	add_sessions(c, &text, "node", c->all ? NULL : c->arg[0], NULL);
	buf_printf(&text, " will be ended, and cut after %lld s, whatever is open",
		   (long long)seconds);
	return ask(&text);
}

int ctl_sure_forget(struct ctl *c)
{
	struct buf text = { 0 };
	int status;

	if (!is_asked(c, &status))
		return status;
	buf_printf(&text, "nobody will wait for node %s any more, which had ", c->arg[0]);
	add_sessions(c, &text, "node", c->arg[0], NULL);
	buf_add_str(&text, ": if it still runs, mail may be changed on the wrong side");
	return ask(&text);
}

int ctl_sure_rebuild(struct ctl *c)
{
	struct buf text = { 0 };
	json_t *answer;
	int status;

	if (!is_asked(c, &status))
		return status;
	answer = ctl_look(c, "/v1/status");
	buf_add_str(&text, "of ");
	add_users(&text, ctl_int(json_object_get(answer, "users"), "users"));
	buf_add_str(&text,
		    " in the store, those whom this host's flip log has seen elsewhere will"
		    " be put on that side");
	json_decref(answer);
	return ask(&text);
}
