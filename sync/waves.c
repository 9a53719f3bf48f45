/* Hides: what is remembered of each wave between two looks at the store, and how it is watched.
 */
#include "sync/waves.h"

#include "common/clock.h"
#include "common/log.h"

#define WATCH_MS 1000
#define HOUR_MS	 ((int64_t)3600000)
#define ACTOR	 "engine"

struct wave {
	char *name, *why, *actor; /* owned; those of the timetable */
	struct timetable t;
	bool present; /* in the last look */
	bool paced;   /* next is known */
	bool counted; /* since the last look */
	int64_t next;
	struct wave_count count;
};

/* A user's own timetable, by name. */
struct own {
	char *name;
	struct timetable t;
};

struct waves {
	struct store *store;
	const struct settings *s;
	const struct speed *speed;
	struct wave *wave;
	size_t count;
	struct own *own;
	size_t own_count, own_size;
	int64_t watched; /* monotonic */
};

struct waves *waves_new(struct store *st, const struct settings *s, const struct speed *speed)
{
	struct waves *w = mem_new(sizeof *w);

	*w = (struct waves){ .store = st, .s = s, .speed = speed };
	return w;
}

static void forget_own(struct waves *w)
{
	for (size_t i = 0; i < w->own_count; i++)
		mem_free(&w->own[i].name);
	w->own_count = 0;
}

void waves_free(struct waves **w)
{
	for (size_t i = 0; i < (*w)->count; i++) {
		mem_free(&(*w)->wave[i].name);
		mem_free(&(*w)->wave[i].why);
		mem_free(&(*w)->wave[i].actor);
	}
	forget_own(*w);
	mem_free(&(*w)->own);
	mem_free(&(*w)->wave);
	mem_free(w);
}

/* ---- timetables */

static struct wave *find(const struct waves *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->wave[i].name, name) == 0)
			return &w->wave[i];
	return NULL;
}

static void replace(char **text, const char *with)
{
	mem_free(text);
	*text = mem_str(with);
}

static void take_wave(struct waves *w, const struct timetable *t)
{
	struct wave *v = find(w, t->name);

	if (!v) {
		w->wave = mem_grow(w->wave, w->count + 1, sizeof *w->wave);
		v = &w->wave[w->count++];
		*v = (struct wave){ .name = mem_str(t->name) };
	}
	if (v->t.rate != t->rate)
		v->paced = false;
	replace(&v->why, t->why);
	replace(&v->actor, t->actor);
	v->t = *t;
	v->t.name = v->name;
	v->t.why = v->why;
	v->t.actor = v->actor;
	v->present = true;
}

static void take_own(struct waves *w, const struct timetable *t)
{
	struct own *o;

	if (w->own_count == w->own_size) {
		w->own_size = w->own_size ? w->own_size * 2 : 64;
		w->own = mem_grow(w->own, w->own_size, sizeof *w->own);
	}
	o = &w->own[w->own_count++];
	*o = (struct own){ .name = mem_str(t->name), .t = *t };
	o->t.name = o->name;
	o->t.why = o->t.actor = "";
}

static int take(const struct timetable *t, void *arg)
{
	if (t->is_wave)
		take_wave(arg, t);
	else
		take_own(arg, t);
	return 0;
}

static int compare_own(const void *a, const void *b)
{
	return strcmp(((const struct own *)a)->name, ((const struct own *)b)->name);
}

int waves_look(struct waves *w, struct err *e)
{
	forget_own(w);
	for (size_t i = 0; i < w->count; i++)
		w->wave[i].present = w->wave[i].counted = false;
	if (store_timetables_each(w->store, take, w, e) < 0)
		return -1;
	if (w->own_count)
		qsort(w->own, w->own_count, sizeof *w->own, compare_own);
	return 0;
}

/* ---- facts */

static int count(struct waves *w, struct wave *v, int64_t now, struct err *e)
{
	if (v->counted)
		return 0;
	if (store_wave_count(w->store, v->name, now - WAVE_HOUR_MS, &v->count, e) < 0)
		return -1;
	v->counted = true;
	return 0;
}

/* An engine that was started anew goes on at the pace of the one before. */
static int pace(struct waves *w, struct wave *v, struct err *e)
{
	int64_t begun;

	if (v->paced)
		return 0;
	if (store_wave_last_begun(w->store, v->name, &begun, e) < 0)
		return -1;
	v->next = begun ? wave_next(begun, 0, v->t.rate) : 0;
	v->paced = true;
	return 0;
}

static const struct timetable *own_timetable(const struct waves *w, const char *user)
{
	struct own key = { .name = (char *)(uintptr_t)user };
	const struct own *o =
		w->own_count ? bsearch(&key, w->own, w->own_count, sizeof key, compare_own)
			     : NULL;

	return o ? &o->t : NULL;
}

int waves_facts(struct waves *w, const struct user *u, int running, int64_t now,
		struct wave_facts *out, struct err *e)
{
	const struct timetable *own = own_timetable(w, u->name);
	struct wave *v = own ? NULL : find(w, u->wave);

	*out = (struct wave_facts){ .t = { .name = u->name, .why = "", .actor = "" } };
	if (own)
		out->t = *own;
	if (!v || !v->present)
		return 0;
	out->t = v->t;
	if ((v->t.first_hour && count(w, v, now, e) < 0) || (v->t.rate && pace(w, v, e) < 0)) {
		out->t.paused = true;
		out->t.why = "the store cannot be read";
		return -1;
	}
	out->next = v->next;
	if (v->t.first_hour) {
		out->fresh = v->count.fresh + running;
		out->fresh_ends = v->count.next_end ? v->count.next_end + WAVE_HOUR_MS : 0;
	}
	return 0;
}

void waves_begun(struct waves *w, const struct user *u, int64_t now)
{
	struct wave *v = own_timetable(w, u->name) ? NULL : find(w, u->wave);

	if (v)
		v->next = wave_next(now, v->next, v->t.rate);
}

/* ---- the watch */

/* What was before a person's last word about the wave does not count again. */
static int64_t since(const struct wave *v, int64_t now, int64_t window_s)
{
	return MAX(v->t.since, now - window_s * 1000);
}

static int read_health(struct waves *w, const struct wave *v, int64_t now,
		       struct wave_health *out, struct err *e)
{
	int64_t from = since(v, now, w->s->waves.window_s);

	*out = (struct wave_health){ .on_new = v->count.on_new };
	speed_answers(w->speed, SIDE_NEW, &out->typical_us, &out->quiet_us);
	if (store_wave_logins(w->store, v->name, from, now + 1, &out->logins, e) < 0)
		return -1;
	return store_wave_holds(w->store, v->name, from, &out->holds, e);
}

static int pause_wave(struct waves *w, const struct wave *v, const char *why, struct err *e)
{
	int changed = store_wave_pause(w->store, v->name, true, ACTOR, why, e);

	if (changed > 0)
		log_warn(&(struct log_about){ .what = "wave", .id = v->name },
			 "paused: %s; mend it, then `mailferry resume --wave %s`", why,
			 v->name);
	return changed < 0 ? -1 : 0;
}

/* Only where somebody is left to be held up. */
static int watch_health(struct waves *w, struct wave *v, int64_t now, struct err *e)
{
	struct wave_health h;
	char why[WAVE_WHY_MAX];

	if (v->t.paused || v->count.go == 0)
		return 0;
	if (read_health(w, v, now, &h, e) < 0)
		return -1;
	return wave_is_ill(w->s, &h, why, sizeof why) ? pause_wave(w, v, why, e) : 0;
}

/* ---- the way back */

/* Those who go back: while they are read, nothing is written. */
struct retreat {
	int64_t flipped_after;
	char **names; /* owned, each */
	size_t count, size;
};

static int note_moved(const struct user *u, void *arg)
{
	struct retreat *r = arg;

	if (u->flipped_at <= r->flipped_after)
		return 0;
	if (r->count == r->size) {
		r->size = r->size ? r->size * 2 : 64;
		r->names = mem_grow(r->names, r->size, sizeof *r->names);
	}
	r->names[r->count++] = mem_str(u->name);
	return 0;
}

static int find_moved(struct waves *w, const struct wave *v, struct retreat *r, struct err *e)
{
	static const enum user_state on_new[] = { USER_TRAILING, USER_DONE };
	struct user_filter f = { .wave = v->name, .has_state = true };

	for (size_t i = 0; i < COUNT(on_new); i++) {
		f.state = on_new[i];
		if (store_users_each(w->store, &f, note_moved, r, e) < 0)
			return -1;
	}
	return 0;
}

static void retreat_release(struct retreat *r)
{
	for (size_t i = 0; i < r->count; i++)
		mem_free(&r->names[i]);
	mem_free(&r->names);
}

static int send_back(struct waves *w, const struct retreat *r, const char *why, struct err *e)
{
	bool *done = mem_array(r->count, sizeof *done);
	int n = store_users_return(w->store, r->names, r->count, ACTOR, why, done, e);

	mem_free(&done);
	return n;
}

static int retreat(struct waves *w, const struct wave *v, int64_t now, const char *why,
		   struct err *e)
{
	struct retreat r = { .flipped_after = now - w->s->waves.rollback_hours * HOUR_MS };
	int n = pause_wave(w, v, why, e);

	if (n >= 0)
		n = find_moved(w, v, &r, e);
	if (n >= 0 && r.count)
		n = send_back(w, &r, why, e);
	retreat_release(&r);
	if (n > 0)
		log_warn(&(struct log_about){ .what = "wave", .id = v->name },
			 "%d users who were moved in the last %d hours go back to old: %s", n,
			 w->s->waves.rollback_hours, why);
	return n < 0 ? -1 : 0;
}

/* Old that is read by POP3 cannot take mail back. */
static bool may_retreat(const struct waves *w, const struct wave *v)
{
	return w->s->waves.rollback_percent && v->count.on_new > 0 &&
	       w->s->backend[SIDE_OLD].copy == PROTO_IMAP;
}

/* Also a wave that is paused already: that stops nobody's logins from failing. But what failed
 * before a person let it go on is over by his word. */
static int watch_logins(struct waves *w, struct wave *v, int64_t now, struct err *e)
{
	int64_t from = now - (int64_t)w->s->waves.rollback_s * 1000, half = (from + now) / 2;
	struct wave_logins early, late;
	char why[WAVE_WHY_MAX];

	if (!may_retreat(w, v) || (!v->t.paused && v->t.since > from))
		return 0;
	if (store_wave_logins(w->store, v->name, from, half, &early, e) < 0 ||
	    store_wave_logins(w->store, v->name, half, now + 1, &late, e) < 0)
		return -1;
	if (!wave_must_return(w->s, &early, &late, v->count.on_new, why, sizeof why))
		return 0;
	return retreat(w, v, now, why, e);
}

void waves_tick(struct waves *w)
{
	int64_t now = store_now_ms(w->store);
	struct err e = { 0 };

	if (clock_mono_ms() - w->watched < WATCH_MS)
		return;
	w->watched = clock_mono_ms();
	for (size_t i = 0; i < w->count; i++) {
		struct wave *v = &w->wave[i];

		if (v->present &&
		    (count(w, v, now, &e) < 0 || watch_health(w, v, now, &e) < 0 ||
		     watch_logins(w, v, now, &e) < 0))
			log_error(NULL, "wave %s: %s", v->name, e.text);
	}
}
