/* Hides: where a series' numbers lie, and how Prometheus wants them written. */
#include "common/metrics.h"

#include <math.h>

#define EXACT 9007199254740992.0 /* integers up to here are exact in a double */

struct metrics {
	const struct metric_row *rows;
	size_t count;
	size_t *first; /* of each row, in cells */
	double *cells; /* a histogram's series has one for each bound, +Inf, and the sum */
};

static size_t cells_of_series(const struct metric_row *r)
{
	return r->type == METRIC_HISTOGRAM ? r->bound_count + 2 : 1;
}

static size_t label_count(const struct metric_row *r)
{
	size_t n = 0;

	while (n < METRIC_LABELS && r->labels[n].name)
		n++;
	return n;
}

static size_t series_count(const struct metric_row *r)
{
	size_t n = 1;

	for (size_t i = 0; i < label_count(r); i++)
		n *= r->labels[i].count;
	return n;
}

struct metrics *metrics_new(const struct metric_row *rows, size_t count)
{
	struct metrics *m = mem_new(sizeof *m);
	size_t n = 0;

	m->rows = rows;
	m->count = count;
	m->first = mem_array(count, sizeof *m->first);
	for (size_t i = 0; i < count; i++) {
		m->first[i] = n;
		n += series_count(&rows[i]) * cells_of_series(&rows[i]);
	}
	m->cells = mem_array(n, sizeof *m->cells);
	return m;
}

void metrics_free(struct metrics **m)
{
	if (!*m)
		return;
	free((*m)->first);
	free((*m)->cells);
	mem_free(m);
}

/* ---- counting */

static double *series(const struct metrics *m, size_t row, const unsigned *at)
{
	const struct metric_row *r = &m->rows[row];
	size_t index = 0;

	ASSERT(row < m->count);
	for (size_t i = 0; i < label_count(r); i++) {
		ASSERT(at[i] < r->labels[i].count);
		index = index * r->labels[i].count + at[i];
	}
	return &m->cells[m->first[row] + index * cells_of_series(r)];
}

void metrics_add(struct metrics *m, size_t row, const unsigned *at, double n)
{
	ASSERT(m->rows[row].type != METRIC_HISTOGRAM);
	*series(m, row, at) += n;
}

void metrics_set(struct metrics *m, size_t row, const unsigned *at, double value)
{
	ASSERT(m->rows[row].type != METRIC_HISTOGRAM);
	*series(m, row, at) = value;
}

void metrics_clear(struct metrics *m, size_t row)
{
	ASSERT(m->rows[row].type == METRIC_GAUGE);
	for (size_t i = 0; i < series_count(&m->rows[row]); i++)
		m->cells[m->first[row] + i] = 0;
}

void metrics_observe(struct metrics *m, size_t row, const unsigned *at, double value)
{
	const struct metric_row *r = &m->rows[row];
	double *s = series(m, row, at);
	size_t i = 0;

	ASSERT(r->type == METRIC_HISTOGRAM);
	while (i < r->bound_count && value > r->bounds[i])
		i++;
	s[i] += 1;
	s[r->bound_count + 1] += value;
}

double metrics_get(const struct metrics *m, size_t row, const unsigned *at)
{
	const struct metric_row *r = &m->rows[row];
	const double *s = series(m, row, at);
	double n = 0;

	if (r->type != METRIC_HISTOGRAM)
		return *s;
	for (size_t i = 0; i <= r->bound_count; i++)
		n += s[i];
	return n;
}

/* ---- writing */

static void put_number(struct buf *out, double v)
{
	if (v >= -EXACT && v <= EXACT && v == (double)(int64_t)v)
		buf_printf(out, " %.0f\n", v);
	else if (isinf(v))
		buf_add_str(out, v > 0 ? " +Inf\n" : " -Inf\n");
	else
		buf_printf(out, " %.9g\n", v);
}

/* {a="x",le="0.1"}; le NULL: none. The values are ours and need no escaping. */
static void put_labels(struct buf *out, const struct metric_row *r, size_t index,
		       const char *le)
{
	size_t n = label_count(r), place[METRIC_LABELS];

	for (size_t i = n; i-- > 0;) {
		place[i] = index % r->labels[i].count;
		index /= r->labels[i].count;
	}
	if (n == 0 && !le)
		return;
	buf_add_str(out, "{");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s=\"%s\"", i ? "," : "", r->labels[i].name,
			   r->labels[i].values[place[i]]);
	if (le)
		buf_printf(out, "%sle=\"%s\"", n ? "," : "", le);
	buf_add_str(out, "}");
}

static void put_plain(struct buf *out, const struct metric_row *r, size_t index,
		      const double *s)
{
	buf_add_str(out, r->name);
	put_labels(out, r, index, NULL);
	put_number(out, *s);
}

static void put_histogram(struct buf *out, const struct metric_row *r, size_t index,
			  const double *s)
{
	double n = 0;

	for (size_t i = 0; i <= r->bound_count; i++) {
		char le[32] = "+Inf";

		n += s[i];
		if (i < r->bound_count)
			snprintf(le, sizeof le, "%g", r->bounds[i]);
		buf_printf(out, "%s_bucket", r->name);
		put_labels(out, r, index, le);
		put_number(out, n);
	}
	buf_printf(out, "%s_sum", r->name);
	put_labels(out, r, index, NULL);
	put_number(out, s[r->bound_count + 1]);
	buf_printf(out, "%s_count", r->name);
	put_labels(out, r, index, NULL);
	put_number(out, n);
}

void metrics_write(const struct metrics *m, struct buf *out)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	for (size_t row = 0; row < m->count; row++) {
		const struct metric_row *r = &m->rows[row];
		const double *s = &m->cells[m->first[row]];

		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", r->name, r->help, r->name,
			   types[r->type]);
		for (size_t i = 0; i < series_count(r); i++, s += cells_of_series(r)) {
			if (r->type == METRIC_HISTOGRAM)
				put_histogram(out, r, i, s);
			else
				put_plain(out, r, i, s);
		}
	}
}
