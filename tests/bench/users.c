/*
 * Users in a store, for a bench without the engine.
 *
 *   users STORE NUDGES fill COUNT    a new store with user0@example.com …; the last one is
 * "busy" users STORE NUDGES move NAME     moves one to the new side, step by step as the engine
 * does, and says when: {"frozen_ms", "quiet_ms", "flipped_ms"}
 */
#include <poll.h>

#include "common/clock.h"
#include "common/store.h"
#include "common/store_node.h"

#define HOLD_MS 12000
#define POLL_MS 2

static int fill(struct store *st, size_t count, struct err *e)
{
	struct user_import *rows = mem_array(count + 1, sizeof *rows);
	struct import_count done;
	int rc;

	for (size_t i = 0; i <= count; i++) {
		char *name = i == count ? mem_str("busy@example.com")
					: mem_printf("user%zu@example.com", i);

		rows[i] = (struct user_import){ .name = name,
						.login = { name, name },
						.wave = "1",
						.line = (unsigned)i + 2 };
	}
	rc = store_users_import(st, rows, count + 1, &done, e);
	for (size_t i = 0; i <= count; i++)
		free((char *)(uintptr_t)rows[i].name);
	free(rows);
	return rc;
}

static int step(struct store *st, struct user *u, enum user_state to, struct err *e)
{
	struct user_move m = { .name = u->name,
			       .from = u->state,
			       .to = to,
			       .change = u->change,
			       .hold_ms = HOLD_MS,
			       .actor = "bench",
			       .why = "bench" };

	if (store_user_move(st, &m, &u->change, e) != MOVE_DONE)
		return e->kind ? -1 : err_set(e, ERR_STORE, "the user was moved by another");
	u->state = to;
	return 0;
}

static int wait_quiet(struct store *st, const struct user *u, struct err *e)
{
	int64_t begin = clock_mono_ms();
	struct quiet q;

	for (;;) {
		if (store_quiet(st, u->name, u->change, &q, e) < 0)
			return -1;
		if (q.nodes && q.acked == q.nodes)
			return 0;
		if (clock_mono_ms() - begin > HOLD_MS)
			return err_set(e, ERR_TEMP, "not quiet: %s", q.waiting);
		poll(NULL, 0, POLL_MS);
	}
}

static int move(struct store *st, const char *name, struct err *e)
{
	static const enum user_state way[] = { USER_PROVISIONED, USER_SYNCING, USER_READY };
	int64_t frozen_ms, quiet_ms;
	struct user u = { 0 };
	int rc;

	if (store_user_get(st, name, &u, e) != 1)
		return e->kind ? -1 : err_set(e, ERR_INPUT, "no user %s", name);
	for (size_t i = 0; i < COUNT(way); i++)
		if (step(st, &u, way[i], e) < 0)
			return -1;
	frozen_ms = clock_real_ms();
	rc = step(st, &u, USER_FREEZING, e) < 0 || wait_quiet(st, &u, e) < 0 ? -1 : 0;
	quiet_ms = clock_real_ms();
	if (rc == 0 &&
	    (step(st, &u, USER_FINALIZING, e) < 0 || step(st, &u, USER_TRAILING, e) < 0))
		rc = -1;
	if (rc == 0)
		printf("{\"frozen_ms\": %lld, \"quiet_ms\": %lld, \"flipped_ms\": %lld}\n",
		       (long long)frozen_ms, (long long)quiet_ms, (long long)clock_real_ms());
	user_release(&u);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	struct store_opts opts = { 0 };
	struct store *st;
	int rc;

	if (argc != 5)
		return 2;
	opts = (struct store_opts){ .path = argv[1],
				    .create = strcmp(argv[3], "fill") == 0,
				    .nudge_dir = argv[2] };
	rc = store_open(&st, &opts, &e);
	if (rc == 0) {
		rc = opts.create ? fill(st, strtoul(argv[4], NULL, 10), &e)
				 : move(st, argv[4], &e);
		store_close(&st);
	}
	if (rc < 0)
		fprintf(stderr, "users: %s\n", e.text);
	return rc < 0 ? 1 : 0;
}
