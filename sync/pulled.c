/* Hides: what becomes of one user, and how it is told. */
#include "sync/pulls_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/order.h"
#include "sync/planner.h"

static const struct log_about about = { .what = "pull" };

struct pull_row pulled_row(const struct pulled *x)
{
	return (struct pull_row){ .name = x->name,
				  .state = x->state,
				  .job = x->job,
				  .text = x->text,
				  .tries = x->tries,
				  .asked = x->asked,
				  .migrated = x->migrated,
				  .skipped = x->skipped,
				  .failed = x->failed,
				  .total = x->total,
				  .bytes = x->bytes };
}

static void note(struct pulls *p, const struct pulled *x)
{
	char *why = mem_printf("OpenSRS's tool: %s: %" PRId64 " messages pulled, %" PRId64
			       " skipped%s%s",
			       pull_state_name(x->state), x->migrated, x->skipped,
			       *x->text ? "; " : "", x->text);
	struct err e = { 0 };

	if (store_user_note(p->o.store, x->name, "engine", why, &e) < 0)
		log_error(&about, "%s: %s", x->name, e.text);
	mem_free(&why);
}

void pulled_settle(struct pulls *p, struct pulled *x, enum pull_state state, const char *text)
{
	const struct log_about user = { .what = "user", .user = x->name, .doing = "pull" };
	bool again = state == PULL_FAILED && ++x->tries < PULLS_TRIES;

	p->moved = clock_mono_ms();
	pulls_return_journal(p, x);
	x->put_off = 0;
	x->state = again ? PULL_WAITING : state;
	pulls_set_text(&x->text, text);
	pulls_set_text(&x->folder, "");
	pulls_set_text(&x->missing, "");
	x->due = clock_mono_ms() +
		 (again ? plan_backoff_ms(p->o.settings->sync.retry_s, x->tries - 1) : 0);
	pulls_write(p, x);
	if (state == PULL_DONE)
		log_info(&user,
			 "OpenSRS's tool: done: %" PRId64 " messages pulled, %" PRId64
			 " skipped",
			 x->migrated, x->skipped);
	else
		log_warn(&user, "OpenSRS's tool: %s%s: %s", pull_state_name(state),
			 again ? ", goes into another batch" : "", text);
	if (again)
		return;
	note(p, x);
	p->o.ended(x->name, p->o.arg);
}

void pulled_put_off(struct pulls *p, struct pulled *x, const char *why)
{
	const struct log_about user = { .what = "user", .user = x->name, .doing = "pull" };

	pulls_return_journal(p, x);
	x->state = PULL_WAITING;
	pulls_set_text(&x->job, "");
	pulls_set_text(&x->text, why);
	x->due = clock_mono_ms() + plan_backoff_ms(p->o.settings->sync.retry_s, x->put_off++);
	pulls_write(p, x);
	log_warn(&user, "OpenSRS's tool: goes into another batch: %s", why);
}

void pulled_stand_still(struct pulls *p, struct pulled *x)
{
	int64_t seen = x->moved ? x->moved : clock_real_ms() - (clock_mono_ms() - p->moved);
	char since[CLOCK_TEXT_MAX];
	char *text =
		mem_printf("%s; %" PRId64 " of %" PRId64 " messages were seen last, at %s",
			   *x->missing ? x->missing
			   : *p->error ? p->error
			   : x->total  ? "the tool has begun and does not go on"
				       : "the tool does not begin",
			   x->migrated + x->skipped, x->total, clock_utc_text(seen, since));

	if (x->state != PULL_STUCK)
		log_warn(&about, "job %s stands still: %s: %s", x->job, x->name, text);
	x->state = PULL_STUCK;
	pulls_set_text(&x->text, text);
	pulls_write(p, x);
	mem_free(&text);
}

void pulled_give_up(struct pulls *p, struct pulled *x, const char *why)
{
	x->tries = PULLS_TRIES;
	pulled_settle(p, x, PULL_FAILED, why);
}

void pulled_keep_trace(const struct pulls *p, const struct pulled *x, const char *trace)
{
	char *journal = order_journal_path(p->o.settings->sync.dir, x->name);
	char *path =
		mem_printf("%.*s.trace", (int)(strlen(journal) - strlen(".journal")), journal);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f || fputs(trace, f) < 0 || fflush(f) != 0)
		log_warn(&about, "%s: %s", path, strerror(errno));
	else
		log_info(&about, "%s: OpenSRS's own words are in %s", x->name, path);
	if (f)
		fclose(f);
	mem_free(&journal);
	mem_free(&path);
}
