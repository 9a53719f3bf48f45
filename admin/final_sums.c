/* Hides: how figures of users, moves and logins add up. */
#include "admin/final_sums.h"

#include "admin/api_json.h"

void final_sums_release(struct final_sums *s)
{
	for (size_t i = 0; i < s->count; i++) {
		mem_free(&s->waves[i].name);
		mem_free(&s->waves[i].held.ms);
	}
	mem_free(&s->waves);
	s->count = 0;
	json_decref(s->undone);
	s->undone = NULL;
}

struct final_wave *final_wave_get(struct final_sums *s, const char *name)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(s->waves[middle].name, name);

		if (order == 0)
			return &s->waves[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	s->waves = mem_grow(s->waves, s->count + 1, sizeof *s->waves);
	memmove(s->waves + low + 1, s->waves + low, (s->count - low) * sizeof *s->waves);
	s->waves[low] = (struct final_wave){ .name = mem_str(name) };
	s->count++;
	return &s->waves[low];
}

/* ---- adding */

static void count_reason(struct final_sums *s, const char *why, int64_t count)
{
	json_t *key = api_json_text(why); /* a key must be UTF-8 */
	const char *name = json_string_value(key);

	if (!s->undone)
		s->undone = json_object();
	if (json_object_get(s->undone, name) ||
	    json_object_size(s->undone) < FINAL_REASONS_MAX)
		json_object_set_new(
			s->undone, name,
			json_integer(count +
				     json_integer_value(json_object_get(s->undone, name))));
	json_decref(key);
}

static void add_flips(struct final_wave *w, const struct span_move *m)
{
	w->flips += m->count;
	if (!w->first_flip || m->first < w->first_flip)
		w->first_flip = m->first;
	w->last_flip = MAX(w->last_flip, m->last);
}

void final_sums_move(struct final_sums *s, const struct span_move *m)
{
	struct final_wave *w = final_wave_get(s, m->wave);
	int from = user_state_find(m->from_state), to = user_state_find(m->to_state);
	bool back = strcmp(m->direction, direction_name(DIR_BACK)) == 0;
	enum direction d = back ? DIR_BACK : DIR_FORWARD;

	if (from < 0 || to < 0)
		return; /* of another version */
	if (user_move_is_flip(from, d, to)) {
		if (back)
			w->returns += m->count;
		else
			add_flips(w, m);
	} else if (user_move_is_undo(from, d, to)) {
		w->undone += m->count;
		count_reason(s, m->why, m->count);
	} else if (to == USER_RETURNING) {
		w->rollbacks += m->count;
	}
}

static void add_times(struct final_wave *w, const int64_t *ms, size_t n)
{
	if (n == 0)
		return;
	if (w->held.n + n > w->held.size) {
		w->held.size = MAX(w->held.size * 2, w->held.n + n);
		w->held.ms = mem_grow(w->held.ms, w->held.size, sizeof *w->held.ms);
	}
	memcpy(w->held.ms + w->held.n, ms, n * sizeof *ms);
	w->held.n += n;
}

void final_sums_hold(struct final_sums *s, const char *wave, int64_t held_ms)
{
	add_times(final_wave_get(s, wave), &held_ms, 1);
}

void final_sums_logins(struct final_sums *s, const struct span_logins *l)
{
	struct final_wave *w = final_wave_get(s, l->wave);
	enum side side = strcmp(l->side, side_name(SIDE_NEW)) == 0 ? SIDE_NEW : SIDE_OLD;

	w->logins[side] += l->total;
	w->failed[side] += l->failed;
}

static void add_wave(struct final_wave *to, const struct final_wave *w)
{
	user_sums_add(&to->users, &w->users);
	to->flips += w->flips;
	if (w->first_flip && (!to->first_flip || w->first_flip < to->first_flip))
		to->first_flip = w->first_flip;
	to->last_flip = MAX(to->last_flip, w->last_flip);
	to->returns += w->returns;
	to->rollbacks += w->rollbacks;
	to->undone += w->undone;
	for (int side = 0; side < SIDES; side++) {
		to->logins[side] += w->logins[side];
		to->failed[side] += w->failed[side];
	}
	to->strays += w->strays;
	to->users_with_strays += w->users_with_strays;
	for (int g = 0; g < GRADES; g++)
		to->grades[g] += w->grades[g];
	to->not_verified += w->not_verified;
	add_times(to, w->held.ms, w->held.n);
}

/* ---- telling */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static json_t *holds_json(struct final_wave *w)
{
	struct spread s;

	if (w->held.n)
		qsort(w->held.ms, w->held.n, sizeof *w->held.ms, by_value);
	s = spread_of(w->held.ms, w->held.n);
	return api_json_spread(&s);
}

static json_t *logins_json(const struct final_wave *w)
{
	json_t *j = json_object();

	for (int side = 0; side < SIDES; side++)
		json_object_set_new(j, side_name((enum side)side),
				    json_pack("{s:I, s:I}", "asked",
					      (json_int_t)w->logins[side], "failed",
					      (json_int_t)w->failed[side]));
	return j;
}

static json_t *grades_json(const struct final_wave *w)
{
	json_t *j = json_object();

	for (int g = 0; g < GRADES; g++)
		json_object_set_new(j, audit_grade_name((enum audit_grade)g),
				    json_integer(w->grades[g]));
	return j;
}

static json_t *figures(struct final_wave *w)
{
	json_t *j = api_json_sums(&w->users);

	json_object_set_new(j, "flips", json_integer(w->flips));
	json_object_set_new(j, "first_flip",
			    w->first_flip ? json_integer(w->first_flip) : json_null());
	json_object_set_new(j, "last_flip",
			    w->last_flip ? json_integer(w->last_flip) : json_null());
	json_object_set_new(j, "undone", json_integer(w->undone));
	json_object_set_new(j, "rollbacks", json_integer(w->rollbacks));
	json_object_set_new(j, "returns", json_integer(w->returns));
	json_object_set_new(j, "holds", holds_json(w));
	json_object_set_new(j, "logins", logins_json(w));
	json_object_set_new(j, "strays", json_integer(w->strays));
	json_object_set_new(j, "users_with_strays", json_integer(w->users_with_strays));
	json_object_set_new(j, "grades", grades_json(w));
	json_object_set_new(j, "not_verified", json_integer(w->not_verified));
	return j;
}

json_t *final_wave_json(struct final_wave *w)
{
	json_t *j = figures(w);

	json_object_set_new(j, "wave", api_json_text(w->name));
	return j;
}

json_t *final_total_json(const struct final_sums *s)
{
	struct final_wave all = { 0 };
	json_t *j;

	for (size_t i = 0; i < s->count; i++)
		add_wave(&all, &s->waves[i]);
	j = figures(&all);
	mem_free(&all.held.ms);
	return j;
}

struct reason {
	const char *why;
	json_int_t count;
};

static int by_count(const void *a, const void *b)
{
	const struct reason *x = a, *y = b;
	int order = (x->count < y->count) - (x->count > y->count);

	return order ? order : strcmp(x->why, y->why);
}

json_t *final_undone_json(const struct final_sums *s)
{
	struct reason *list = mem_array(json_object_size(s->undone) + 1, sizeof *list);
	json_t *out = json_array(), *count;
	const char *why;
	size_t n = 0;

	json_object_foreach (s->undone, why, count)
		list[n++] = (struct reason){ why, json_integer_value(count) };
	qsort(list, n, sizeof *list, by_count);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, json_pack("{s:s, s:I}", "why", list[i].why, "count",
						     list[i].count));
	mem_free(&list);
	return out;
}
