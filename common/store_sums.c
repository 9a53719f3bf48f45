/* Hides: the aggregates, and how rows of a wave and a state become sums of a wave. */
#include "common/store_sums.h"

#include "common/store_driver.h"

/* SUM of BIGINTs is a NUMERIC in PostgreSQL. */
#define SUM(x)	    "CAST(SUM(" x ") AS BIGINT)"
#define COUNT_IF(x) SUM("CASE WHEN " x " THEN 1 ELSE 0 END")

void user_sums_add(struct user_sums *to, const struct user_sums *s)
{
	to->users += s->users;
	for (int i = 0; i < USER_STATES; i++)
		to->states[i] += s->states[i];
	to->stuck += s->stuck;
	to->failing += s->failing;
	to->go += s->go;
	to->with_exceptions += s->with_exceptions;
	to->messages += s->messages;
	to->copied += s->copied;
	to->verified += s->verified;
	to->exceptions += s->exceptions;
	to->bytes += s->bytes;
	to->to_compare += s->to_compare;
}

/* From column 2 on: users of one wave in one state. */
static int read_sums(const struct rows *r, struct user_sums *s, struct err *e)
{
	int c = 2, state = user_state_find(rows_text(r, 1));
	int64_t left;

	*s = (struct user_sums){ 0 };
	if (state < 0)
		return err_set(e, ERR_STORE, "unknown state in the store: %s", rows_text(r, 1));
	s->users = s->states[state] = rows_int(r, c++);
	s->stuck = rows_int(r, c++);
	s->failing = rows_int(r, c++);
	s->go = rows_int(r, c++);
	s->with_exceptions = rows_int(r, c++);
	s->messages = rows_int(r, c++);
	s->copied = rows_int(r, c++);
	s->verified = rows_int(r, c++);
	s->exceptions = rows_int(r, c++);
	s->bytes = rows_int(r, c++);
	left = rows_int(r, c);
	s->to_compare = state <= USER_READY ? left : 0;
	return 0;
}

/* The wave whose rows are being added up. */
struct wave_sums {
	char *name; /* NULL: none yet */
	struct user_sums sums;
};

static int tell_wave(struct wave_sums *w, store_sums_fn *fn, void *arg)
{
	int rc = w->name ? fn(w->name, &w->sums, arg) : 0;

	mem_free(&w->name);
	w->sums = (struct user_sums){ 0 };
	return rc;
}

static int take_row(const struct rows *r, struct wave_sums *w, store_sums_fn *fn, void *arg,
		    struct err *e)
{
	struct user_sums s;
	int rc = 0;

	if (read_sums(r, &s, e) < 0)
		return -1;
	if (!w->name || strcmp(w->name, rows_text(r, 0)) != 0) {
		rc = tell_wave(w, fn, arg);
		w->name = mem_str(rows_text(r, 0));
	}
	user_sums_add(&w->sums, &s);
	return rc;
}

/* What read_sums() reads, of the users of a condition, by wave and state. One column a line. */
/* clang-format off */
#define SUMS(condition) \
	"SELECT wave, state, COUNT(*)" \
	", " COUNT_IF("stuck_reason <> ''") \
	", " COUNT_IF("attempts > 0 AND stuck_reason = ''") \
	", " SUM("go") \
	", " COUNT_IF("exceptions > 0") \
	", " SUM("messages") \
	", " SUM("copied") \
	", " SUM("verified") \
	", " SUM("exceptions") \
	", " SUM("bytes") \
	", " SUM("CASE WHEN messages > verified THEN messages - verified ELSE 0 END") \
	" FROM users" condition " GROUP BY wave, state ORDER BY wave, state"
/* clang-format on */

/* r NULL: the query failed. */
static int take_sums(struct rows *r, store_sums_fn *fn, void *arg, struct err *e)
{
	struct wave_sums w = { 0 };
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : take_row(r, &w, fn, arg, e);
	if (rc == 0)
		rc = tell_wave(&w, fn, arg);
	rows_end(&r);
	mem_free(&w.name);
	return rc;
}

int store_sums_each(struct store *st, store_sums_fn *fn, void *arg, struct err *e)
{
	return take_sums(db_query(st->db, SUMS(""), NO_ARGS, e), fn, arg, e);
}

static int put_sums(const char *wave UNUSED, const struct user_sums *s, void *arg)
{
	*(struct user_sums *)arg = *s;
	return 0;
}

int store_sums_of(struct store *st, const char *wave, struct user_sums *out, struct err *e)
{
	*out = (struct user_sums){ 0 };
	return take_sums(db_query(st->db, SUMS(" WHERE wave = ?1"), ARGS(TEXT(wave)), e),
			 put_sums, out, e);
}

int store_session_sums_each(struct store *st, store_session_sum_fn *fn, void *arg,
			    struct err *e)
{
	struct rows *r =
		db_query(st->db,
			 "SELECT proto, side, CASE WHEN state = 'PARK' THEN 1 ELSE 0 END,"
			 " COUNT(*) FROM sessions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
			 NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1
			     : fn(rows_text(r, 0), rows_text(r, 1), rows_int(r, 2) != 0,
				  rows_int(r, 3), arg);
	rows_end(&r);
	return rc;
}

int store_strangers_count(struct store *st, int64_t *out, struct err *e)
{
	return db_query_int(st->db, "SELECT COUNT(*) FROM strangers WHERE " STRANGER_STILL,
			    NO_ARGS, out, e) < 0
		       ? -1
		       : 0;
}
