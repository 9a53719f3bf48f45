/* Hides: who may say what to the supervisor, and what systemd hears of it. */
#include <errno.h>
#include <signal.h>

#include "admin/run_impl.h"
#include "common/clock.h"

/* ---- children */

static struct child *find_child(const struct run *r, pid_t pid)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (child_pid(r->nodes[i].child) == pid)
			return r->nodes[i].child;
	return child_pid(r->engine) == pid ? r->engine : NULL;
}

static void hear_child(struct run *r, struct child *c, const struct inbox_letter *l)
{
	char value[8], status[200] = "";
	bool ready = inbox_value(l, "READY=", value, sizeof value);

	inbox_value(l, "STATUS=", status, sizeof status);
	child_heard(c, ready, inbox_value(l, "WATCHDOG=", value, sizeof value), status);
	if (ready)
		run_go_on(r);
}

/* ---- strays */

static struct run_stray *find_stray(struct run *r, pid_t pid)
{
	for (size_t i = 0; i < r->stray_count; i++)
		if (r->strays[i].pid == pid)
			return &r->strays[i];
	return NULL;
}

static void hear_stray(struct run *r, const struct inbox_letter *l)
{
	struct run_stray *s = find_stray(r, l->pid);
	char name[sizeof s->name];

	if (!inbox_value(l, NOTIFY_NODE, name, sizeof name))
		return;
	if (!s) {
		r->strays = mem_grow(r->strays, r->stray_count + 1, sizeof *s);
		s = &r->strays[r->stray_count++];
		*s = (struct run_stray){ .pid = l->pid };
		snprintf(s->name, sizeof s->name, "%s", name);
		log_info(NULL, "node %s, pid %d, is left of a supervisor before us", s->name,
			 (int)s->pid);
	}
	s->heard = clock_mono_ms();
	if (r->phase == RUN_UP)
		run_tell_strays(r, SIGUSR1);
}

void run_tell_strays(struct run *r, int signal)
{
	for (size_t i = 0; i < r->stray_count; i++) {
		struct run_stray *s = &r->strays[i];

		if (signal == SIGUSR1 && s->told)
			continue;
		s->told = true;
		log_info(NULL, "node %s is told to %s", s->name,
			 signal == SIGUSR1 ? "leave" : "end");
		kill(s->pid, signal);
	}
}

void run_forget_strays(struct run *r)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < r->stray_count;) {
		if (now - r->strays[i].heard < RUN_STRAY_MS) {
			i++;
			continue;
		}
		log_info(NULL, "node %s has ended", r->strays[i].name);
		r->strays[i] = r->strays[--r->stray_count];
	}
}

/* ---- people */

static void hear_asker(struct run *r, const struct inbox_letter *l)
{
	if (l->uid != 0 && l->uid != geteuid())
		inbox_answer(r->inbox, &l->from, INBOX_FAILED,
			     "only root and the user of `mailferry run` may do this");
	else if (r->phase != RUN_UP)
		inbox_answer(r->inbox, &l->from, INBOX_FAILED,
			     "a start, a stop or another upgrade is under way");
	else
		run_upgrade(r, &l->from);
}

void run_hear(const struct inbox_letter *l, void *arg)
{
	struct run *r = arg;
	struct child *c = find_child(r, l->pid);
	uid_t ours = r->user.name ? r->user.uid : geteuid();

	if (c)
		hear_child(r, c, l);
	else if (strcmp(l->text, INBOX_ASK) == 0)
		hear_asker(r, l);
	else if (l->uid == ours)
		hear_stray(r, l);
}

/* ---- systemd */

/*
 * One loop that should go round does not. Who has died is ours to start again: an end of us, and
 * a start that needs what it misses, would help it no better.
 */
static bool any_silent(const struct run *r, int64_t for_ms)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (child_silent(r->nodes[i].child, for_ms))
			return true;
	return child_silent(r->engine, for_ms);
}

void run_watchdog(struct run *r)
{
	int64_t every = notify_watchdog_ms() / 2, now = clock_mono_ms();

	if (every == 0 || now - r->watched < MIN(every / 2, (int64_t)RUN_TICK_MS) ||
	    any_silent(r, every))
		return;
	r->watched = now;
	notify_send("WATCHDOG=1");
}
