/*
 * Numbers for monitoring: counters, gauges and histograms, all rows of one table, written as
 * Prometheus text (exposition format 0.0.4).
 *
 * A row is a name with its unit (mailferry_hold_seconds), a help text, a type and up to
 * METRIC_LABELS labels. A label's values are fixed by the row, so that nothing from outside can
 * make new series; a series is found by the values' places, which are enums of ours. Bumping
 * one costs an addition. A set of metrics belongs to one thread.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include "common/buf.h"

#define METRIC_LABELS 3

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_label {
	const char *name;
	const char *const *values;
	size_t count;
};

struct metric_row {
	const char *name, *help;
	enum metric_type type;
	struct metric_label labels[METRIC_LABELS]; /* the first without a name ends them */
	const double *bounds;			   /* histograms: upper ends, ascending */
	size_t bound_count;
};

/* For tables of rows: METRIC_ROW(COUNTER, name, help, labels …), and histograms with their
 * bounds. */
#define METRIC_LABEL(n, v)                                \
	{                                                 \
		.name = n, .values = v, .count = COUNT(v) \
	}
#define METRIC_ROW(t, n, h, ...)                                                    \
	{                                                                           \
		.name = n, .help = h, .type = METRIC_##t, .labels = { __VA_ARGS__ } \
	}
#define METRIC_TIMES(n, b, h, ...)                                                         \
	{                                                                                  \
		.name = n, .help = h, .type = METRIC_HISTOGRAM, .labels = { __VA_ARGS__ }, \
		.bounds = b, .bound_count = COUNT(b)                                       \
	}

/* The places of a series' label values, as many as the row has labels: AT(proto, side). */
#define AT(...) ((const unsigned[METRIC_LABELS]){ __VA_ARGS__ })
#define AT_ALL	((const unsigned[METRIC_LABELS]){ 0 }) /* of a row without labels */

struct metrics;

/* rows is borrowed for the whole life. All series are there from the start, at 0. */
struct metrics *metrics_new(const struct metric_row *rows, size_t count);
void metrics_free(struct metrics **m);

void metrics_add(struct metrics *m, size_t row, const unsigned *at,
		 double n); /* counter, gauge */
/* A gauge, or a counter that somebody else keeps. */
void metrics_set(struct metrics *m, size_t row, const unsigned *at, double value);
void metrics_clear(struct metrics *m, size_t row); /* gauge: all its series to 0 */
void metrics_observe(struct metrics *m, size_t row, const unsigned *at,
		     double value); /* histogram */
/* The value; of a histogram: how many were observed. */
double metrics_get(const struct metrics *m, size_t row, const unsigned *at);

void metrics_write(const struct metrics *m, struct buf *out);

#endif
