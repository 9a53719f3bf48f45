/* What a report over the whole past adds up, a span of ids at a time. */
#include "store_stage.h"

#include "common/store_spans.h"

static char seen[2048];

static void PRINTF_LIKE(1, 2) note(const char *fmt, ...)
{
	size_t n = strlen(seen);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen + n, sizeof seen - n, fmt, ap);
	va_end(ap);
}

static int note_move(const struct span_move *m, void *arg UNUSED)
{
	note("%s %s-%s %s \"%s\" %lld, %lld to %lld; ", m->wave, m->from_state, m->to_state,
	     m->direction, m->why, (long long)m->count, (long long)m->first,
	     (long long)m->last);
	return 0;
}

static int note_note(const struct history_row *h, void *arg UNUSED)
{
	note("%s %s %s; ", h->name, h->actor, h->why);
	return 0;
}

static int note_hold(const char *wave, int64_t held_ms, void *arg UNUSED)
{
	note("%s %lld; ", wave, (long long)held_ms);
	return 0;
}

static int note_logins(const struct span_logins *l, void *arg UNUSED)
{
	note("%s %s %lld, failed %lld; ", l->wave, l->side, (long long)l->total,
	     (long long)l->failed);
	return 0;
}

static void test_an_empty_past(void **state UNUSED)
{
	struct store_span s;

	for (int l = 0; l < STORE_LISTS; l++) {
		OK(store_span(st, (enum store_list)l, &s, &err));
		assert_int_equal(s.after, s.last);
	}
}

#define HISTORY(id, name, at, from, to, way, actor, why)                                  \
	do_sql("INSERT INTO history (id, name, at, from_state, to_state, direction,"      \
	       " change, actor, why) VALUES (" #id ", '" name "', " #at ", '" from        \
	       "', '" to "', '" way "', 1, '" actor "', '" why "')")

static void test_moves_and_notes(void **state UNUSED)
{
	struct store_span s;

	add_user("anna");
	add_user("bert");
	do_sql("DELETE FROM history");
	HISTORY(10, "anna", 5, "freezing", "finalizing", "forward", "engine", "quiet");
	HISTORY(11, "anna", 6, "finalizing", "trailing", "forward", "engine", "clean");
	HISTORY(12, "bert", 7, "finalizing", "trailing", "forward", "engine", "clean");
	HISTORY(13, "nobody", 8, "finalizing", "trailing", "forward", "engine", "clean");
	HISTORY(14, "anna", 9, "trailing", "returning", "forward", "operator", "note");
	HISTORY(15, "anna", 9, "ready", "syncing", "forward", "engine", "of no interest");
	HISTORY(16, "bert", 9, "done", "done", "forward", "operator b", "waived: 3");
	HISTORY(17, "bert", 9, "done", "done", "forward", "operator b", "waiver taken back");
	OK(store_span(st, STORE_LIST_HISTORY, &s, &err));
	assert_int_equal(s.after, 9);
	assert_int_equal(s.last, 17);
	seen[0] = '\0';
	OK(store_span_moves(st, &(struct store_span){ 10, 13 }, note_move, NULL, &err));
	assert_string_equal(seen, "1 finalizing-trailing forward \"clean\" 2, 6 to 7; ");
	seen[0] = '\0';
	OK(store_span_moves(st, &(struct store_span){ 13, 17 }, note_move, NULL, &err));
	assert_string_equal(seen, "1 trailing-returning forward \"note\" 1, 9 to 9; ");
	seen[0] = '\0';
	OK(store_span_notes(st, &s, "waived: ", note_note, NULL, &err));
	assert_string_equal(seen, "bert operator b waived: 3; ");
}

static void test_holds_and_logins(void **state UNUSED)
{
	struct store_span s;

	add_user("anna");
	do_sql("INSERT INTO holds (id, node, name, proto, at, held_ms, released_to) VALUES"
	       " (7, 'n', 'anna', 'imap', 1, 30, 'new'), (8, 'n', 'gone', 'imap', 1, 40, 'new'),"
	       " (9, 'n', 'anna', 'imap', 1, 50, 'new')");
	OK(store_span(st, STORE_LIST_HOLDS, &s, &err));
	seen[0] = '\0';
	OK(store_span_holds(st, &s, note_hold, NULL, &err));
	assert_string_equal(seen, "1 30; 1 50; ");
	do_sql("INSERT INTO logins (id, node, name, proto, at, side, route, result, client,"
	       " held_ms, took_ms) VALUES (1, 'n', 'anna', 'imap', 1, 'new', '', 'ok', '', 0, 1),"
	       " (2, 'n', 'anna', 'imap', 1, 'new', '', 'refused', '', 0, 1),"
	       " (3, 'n', 'anna', 'imap', 1, 'new', '', 'failed', '', 0, 1)");
	seen[0] = '\0';
	OK(store_span_logins(st, &(struct store_span){ 0, 2 }, note_logins, NULL, &err));
	assert_string_equal(seen, "1 new 2, failed 1; ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_empty_past),
		TEST(test_moves_and_notes),
		TEST(test_holds_and_logins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
