/* Metrics as Prometheus reads them, and a row for each limit. */
#include "tests/unit/wire_test.h"

#include "common/metrics.h"
#include "config/settings_table.h"
#include "proxy/meters.h"
#include "sync/tally.h"

static const char *const colours[] = { "red", "blue" };
static const char *const sizes[] = { "s", "m", "l" };
static const double bounds[] = { 0.5, 2 };

enum { HITS, ROOM, WAIT };
static const struct metric_row rows[] = {
	[HITS] = { .name = "x_hits_total",
		   .help = "Hits.",
		   .type = METRIC_COUNTER,
		   .labels = { { "colour", colours, 2 }, { "size", sizes, 3 } } },
	[ROOM] = { .name = "x_room_bytes", .help = "Room.", .type = METRIC_GAUGE },
	[WAIT] = { .name = "x_wait_seconds",
		   .help = "Wait.",
		   .type = METRIC_HISTOGRAM,
		   .labels = { { "colour", colours, 2 } },
		   .bounds = bounds,
		   .bound_count = 2 },
};

static void text_is_what_prometheus_reads(void **state UNUSED)
{
	static const char want[] = "# HELP x_hits_total Hits.\n"
				   "# TYPE x_hits_total counter\n"
				   "x_hits_total{colour=\"red\",size=\"s\"} 0\n"
				   "x_hits_total{colour=\"red\",size=\"m\"} 0\n"
				   "x_hits_total{colour=\"red\",size=\"l\"} 3\n"
				   "x_hits_total{colour=\"blue\",size=\"s\"} 5000000000\n"
				   "x_hits_total{colour=\"blue\",size=\"m\"} 0\n"
				   "x_hits_total{colour=\"blue\",size=\"l\"} 0\n"
				   "# HELP x_room_bytes Room.\n"
				   "# TYPE x_room_bytes gauge\n"
				   "x_room_bytes -1.25\n"
				   "# HELP x_wait_seconds Wait.\n"
				   "# TYPE x_wait_seconds histogram\n"
				   "x_wait_seconds_bucket{colour=\"red\",le=\"0.5\"} 0\n"
				   "x_wait_seconds_bucket{colour=\"red\",le=\"2\"} 0\n"
				   "x_wait_seconds_bucket{colour=\"red\",le=\"+Inf\"} 0\n"
				   "x_wait_seconds_sum{colour=\"red\"} 0\n"
				   "x_wait_seconds_count{colour=\"red\"} 0\n"
				   "x_wait_seconds_bucket{colour=\"blue\",le=\"0.5\"} 2\n"
				   "x_wait_seconds_bucket{colour=\"blue\",le=\"2\"} 3\n"
				   "x_wait_seconds_bucket{colour=\"blue\",le=\"+Inf\"} 4\n"
				   "x_wait_seconds_sum{colour=\"blue\"} 11.75\n"
				   "x_wait_seconds_count{colour=\"blue\"} 4\n";
	struct metrics *m = metrics_new(rows, COUNT(rows));
	struct buf out = { 0 };

	metrics_add(m, HITS, AT(0, 2), 1);
	metrics_add(m, HITS, AT(0, 2), 2);
	metrics_add(m, HITS, AT(1, 0), 5e9);
	metrics_set(m, ROOM, AT_ALL, 4);
	metrics_clear(m, ROOM);
	metrics_add(m, ROOM, AT_ALL, -1.25);
	metrics_observe(m, WAIT, AT(1), 0.25);
	metrics_observe(m, WAIT, AT(1), 0.5); /* "le": less or equal */
	metrics_observe(m, WAIT, AT(1), 1);
	metrics_observe(m, WAIT, AT(1), 10);
	metrics_write(m, &out);
	assert_int_equal(buf_len(&out), sizeof want - 1);
	assert_memory_equal(buf_slice(&out).p, want, sizeof want - 1);
	assert_true(metrics_get(m, HITS, AT(0, 2)) == 3);
	assert_true(metrics_get(m, WAIT, AT(1)) == 4);
	buf_release(&out);
	metrics_free(&m);
}

/* What Prometheus's own linter asks of names. */
static void check_names(const struct metric_row *rows_of_one, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct metric_row *r = &rows_of_one[i];
		size_t n = r->name ? strlen(r->name) : 0;
		bool total = n > 6 && strcmp(r->name + n - 6, "_total") == 0;

		if (n == 0)
			fail_msg("row %zu is empty", i);
		if (strspn(r->name, "abcdefghijklmnopqrstuvwxyz_") != n)
			fail_msg("%s: lower case and _ only", r->name);
		if (total != (r->type == METRIC_COUNTER))
			fail_msg("%s: counters, and they alone, end in _total", r->name);
		if (strncmp(r->name, "mailferry_", 10) && strncmp(r->name, "process_", 8))
			fail_msg("%s: whose is it?", r->name);
		if (!r->help[0] || r->help[strlen(r->help) - 1] != '.')
			fail_msg("%s: the help is a sentence", r->name);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(r->name, rows_of_one[k].name);
	}
}

static void names_keep_the_conventions(void **state UNUSED)
{
	check_names(meter_rows, METERS);
	check_names(tally_rows, TALLY_ROWS);
	/* Nothing of the nodes' but the processes' own is the engine's too: sums stay right. */
	for (size_t i = 0; i < METERS; i++)
		for (size_t k = 0; k < TALLY_ROWS; k++)
			if (strcmp(meter_rows[i].name, tally_rows[k].name) == 0)
				assert_memory_equal(meter_rows[i].name, "process_", 8);
}

static void states_go_by_their_names(void **state UNUSED)
{
	const struct metric_label *l = &tally_rows[TALLY_USERS].labels[0];

	for (int i = 0; i < USER_STATES; i++)
		assert_string_equal(l->values[i], user_state_name((enum user_state)i));
	for (int i = 0; i < TALLY_KINDS; i++)
		assert_string_equal(tally_rows[TALLY_RUNS].labels[0].values[i],
				    job_kind_name((enum job_kind)i));
	for (int i = 0; i < DIRECTIONS; i++)
		assert_string_equal(tally_rows[TALLY_CUTOVERS].labels[0].values[i],
				    direction_name((enum direction)i));
}

static void every_limit_is_counted(void **state UNUSED)
{
	size_t limits = 0;

	for (size_t i = 0; i < setting_row_count; i++) {
		if (setting_rows[i].section != SECTION_LIMITS)
			continue;
		if (limits == LIMITS)
			fail_msg("limits.%s has no metric", setting_rows[i].name);
		assert_string_equal(setting_rows[i].name, limit_name((enum limit)limits));
		limits++;
	}
	assert_int_equal(limits, LIMITS);
	assert_ptr_equal(meter_rows[METER_LIMIT_HITS].labels[0].values[0], limit_name(0));
	assert_int_equal(meter_rows[METER_LIMIT_HITS].labels[0].count, LIMITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_what_prometheus_reads),
		cmocka_unit_test(names_keep_the_conventions),
		cmocka_unit_test(states_go_by_their_names),
		cmocka_unit_test(every_limit_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
