/* Hides: how a trace is followed, and that an interrupt ends it. */
#include <signal.h>

#include "admin/api.h"
#include "admin/ctl.h"
#include "admin/ctl_follow.h"

#define LOOK_MS	   200
#define LATE_LOOKS 5 /* after its end: lines that were on their way to the store */

static volatile sig_atomic_t interrupted;

static void on_signal(int sig UNUSED)
{
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

static void print_line(struct ctl *c, const json_t *l)
{
	char when[TEXT_SMALL];

	if (ctl_json(c, l))
		return;
	fprintf(c->out, "%s ", text_clock(ctl_int(l, "at"), when));
	text_put(c->out, ctl_text(l, "node"));
	fputc(' ', c->out);
	text_put(c->out, ctl_text(l, "session"));
	fputc(' ', c->out);
	text_put(c->out, ctl_text(l, "way"));
	fputc(' ', c->out);
	text_put(c->out, ctl_text(l, "line"));
	fputc('\n', c->out);
}

/* What came since *after; *ended: why it is over, to be freed, or NULL. */
static int look(struct ctl *c, int64_t trace, int64_t *after, char **ended)
{
	char *path = mem_printf("/v1/trace?trace=%lld&after=%lld&limit=%d", (long long)trace,
				(long long)*after, API_PAGE_MAX);
	const json_t *l;
	json_t *answer;
	size_t i;
	int status = ctl_ask(c, path, NULL, &answer);

	mem_free(&path);
	json_array_foreach (json_object_get(answer, "lines"), i, l) {
		print_line(c, l);
		*after = ctl_int(l, "id");
	}
	fflush(c->out);
	mem_free(ended);
	if (!ctl_true(answer, "more") && *ctl_text(answer, "ended"))
		*ended = mem_str(ctl_text(answer, "ended"));
	json_decref(answer);
	return status;
}

static int stop(struct ctl *c)
{
	json_t *answer;
	int status = ctl_ask(c, "/v1/trace",
			     json_pack("{s:s, s:b}", "user", c->arg[0], "stop", 1), &answer);

	json_decref(answer);
	return status;
}

static int follow(struct ctl *c, int64_t trace)
{
	int64_t after = 0;
	char *ended = NULL;
	int status = CTL_OK, late = LATE_LOOKS;

	while (status == CTL_OK && late > 0) {
		if (interrupted == 1) {
			interrupted = 2;
			status = stop(c);
		}
		if (status == CTL_OK)
			status = look(c, trace, &after, &ended);
		late -= ended != NULL;
		follow_pause(LOOK_MS);
	}
	if (status == CTL_OK && !c->json)
		fprintf(c->out, "the trace has ended: %s\n",
			strcmp(ended, "time") == 0    ? "its time is over"
			: strcmp(ended, "bytes") == 0 ? "there are enough lines (--bytes)"
						      : "stopped");
	mem_free(&ended);
	return status;
}

/* Puts the option's number into the body; -1: said so already. */
static int put_number(const struct ctl *c, json_t *body, const char *key, const char *text,
		      uint64_t max)
{
	uint64_t v;

	if (!text)
		return 0;
	if (slice_u64(slice_of(text), max, &v) < 0 || v == 0) {
		ctl_usage(c, "trace: --%s must be 1 to %llu, not \"%.40s\"", key,
			  (unsigned long long)max, text);
		return -1;
	}
	json_object_set_new(body, key, json_integer((json_int_t)v));
	return 0;
}

int ctl_trace(struct ctl *c)
{
	json_t *answer, *body = json_pack("{s:s}", "user", c->arg[0]);
	int64_t trace;
	int status;

	if (put_number(c, body, "seconds", c->seconds, API_TRACE_S_MAX) < 0 ||
	    put_number(c, body, "bytes", c->bytes, API_TRACE_BYTES_MAX) < 0) {
		json_decref(body);
		return CTL_USAGE;
	}
	if (c->stop) {
		json_decref(body);
		return stop(c);
	}
	status = ctl_ask(c, "/v1/trace", body, &answer);
	trace = ctl_int(answer, "trace");
	json_decref(answer);
	if (status != CTL_OK)
		return status;
	catch_signals();
	return follow(c, trace);
}
