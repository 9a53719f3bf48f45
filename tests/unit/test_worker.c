/* Workers that go wrong: each costs one retry, and says why. Shells stand in for them. */
#include "tests/unit/wire_test.h"

#include <signal.h>
#include <event2/event.h>

#include "common/clock.h"
#include "sync/pace.h"
#include "sync/worker.h"

struct end {
	struct event_base *base;
	bool ended, result;
	char text[ERR_TEXT_MAX];
};

static void on_event(struct worker *w UNUSED, const struct worker_event *ev, void *arg)
{
	struct end *end = arg;

	if (ev->kind != WORKER_ENDED)
		return;
	end->ended = true;
	end->result = ev->result != NULL;
	snprintf(end->text, sizeof end->text, "%s", ev->text ? ev->text : "");
	event_base_loopbreak(end->base);
}

static struct end run(const char *script, int silence_ms)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct end end = { .base = event_base_new() };
	struct job j = { .connect_s = 10, .io_s = 10 };
	struct workshop shop = workshop_real(end.base);
	struct worker *w;
	struct err e = { 0 };

	shop.program = "/bin/sh";
	shop.argv = argv;
	shop.silence_ms = silence_ms;
	for (int s = 0; s < SIDES; s++) {
		j.side[s].host = mem_str("mail.example");
		j.side[s].port = 993;
		j.side[s].login = mem_str("anna");
	}
	j.user = mem_str("anna");
	j.journal = mem_str("/nowhere/anna.journal");
	j.exceptions = mem_str("/nowhere/anna");
	if (shop.start(&w, &j, on_event, &end, &shop, &e) < 0)
		fail_msg("%s", e.text);
	event_base_dispatch(end.base);
	event_base_free(end.base);
	job_release(&j);
	assert_true(end.ended);
	return end;
}

static const struct {
	const char *script, *text;
} ends[] = {
	{ "kill -SEGV $$", "worker was ended by signal 11 (Segmentation fault)" },
	{ "exit 3", "worker ended with status 3" },
	{ "exit 71", "worker ran out of memory: sync.worker_memory" }, /* MEM_EXIT */
	{ "exit 0", "worker ended without a result" },
	{ "echo nonsense; sleep 60", "worker: no JSON at byte" },
	{ "echo '{\"event\":\"moving\"}'; exit 5", "worker ended with status 5" },
};

static void a_bad_end_says_why(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct end end = run(ends[i].script, 0);

		assert_false(end.result);
		if (!strstr(end.text, ends[i].text))
			fail_msg("%s: %s", ends[i].script, end.text);
	}
}

/* Nothing moves and nothing is said: it hangs. */
static void a_silent_worker_is_ended(void **state UNUSED)
{
	int64_t start = clock_mono_ms();
	struct end end = run("exec sleep 60", 200);

	assert_string_equal(end.text, "worker said nothing for 0 s");
	assert_true(clock_mono_ms() - start < 30000);
}

static void a_sign_of_life_is_enough(void **state UNUSED)
{
	struct end end =
		run("for i in 1 2 3 4; do echo '{\"event\":\"moving\"}'; sleep 0.3; done;"
		    " exit 7",
		    1000);

	assert_string_equal(end.text, "worker ended with status 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_end_says_why),
		cmocka_unit_test(a_silent_worker_is_ended),
		cmocka_unit_test(a_sign_of_life_is_enough),
	};

	signal(SIGPIPE,
	       SIG_IGN); /* as main() does: a worker may be gone before it has its job */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
