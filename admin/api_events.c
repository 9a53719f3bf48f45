/*
 * Hides: who follows what happens, how far each has heard, and what a look at the store costs.
 *
 * Users' moves carry their history's id, and who comes back with the last one he has heard
 * misses none. Waves and the summary are told as they are now, whenever they differ.
 */
#include "admin/api_parts.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/store_wave.h"

#define TICK_MS	   1000
#define SUMMARY_MS 5000
#define SILENCE_MS 15000	     /* then a comment says that we are still there */
#define MOVES_MAX  200		     /* in one tick, for one follower */
#define BEHIND_MAX 10000	     /* moves; who is further behind reads the lists anew */
#define RETRY	   "retry: 3000\n\n" /* ms, what a browser waits before it comes back */

struct follower {
	struct api_events *of;
	struct http_stream *to;
	int64_t heard;	 /* history id */
	int64_t said_ms; /* clock_mono_ms() */
	bool fresh;	 /* is told of waves and the summary, whether they differ or not */
	bool reset;	 /* first of all: that moves are left out */
};

struct api_events {
	struct api *api;
	struct event *tick;
	struct follower **at;
	size_t count;
	json_t *waves; /* by name, as last told */
	char *summary;
	int64_t summary_due;
	bool failing; /* the store could not be looked at, and that was told */
};

/* ---- the text of an event */

static void put_event(struct buf *out, const char *name, int64_t id, const json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT);

	ASSERT(text);
	if (id)
		buf_printf(out, "id: %lld\n", (long long)id);
	buf_printf(out, "event: %s\ndata: ", name);
	buf_add_str(out, text);
	buf_add_str(out, "\n\n");
	free(text);
}

/* ---- followers */

static void forget(struct api_events *v, struct follower *f)
{
	for (size_t i = 0; i < v->count; i++) {
		if (v->at[i] != f)
			continue;
		memmove(v->at + i, v->at + i + 1,
			(v->count - i - 1) * sizeof(struct follower *));
		v->count--;
		break;
	}
	mem_free(&f);
	if (v->count == 0)
		event_del(v->tick);
}

static void on_closed(struct http_stream *s UNUSED, void *arg)
{
	struct follower *f = arg;

	forget(f->of, f);
}

/* -1: it has gone. */
static int tell(struct follower *f, struct buf *text)
{
	if (buf_len(text) == 0)
		return 0;
	f->said_ms = clock_mono_ms();
	return http_stream_send(f->to, buf_slice(text));
}

/* ---- moves */

struct moves {
	struct buf *out;
	int64_t last;
};

static int add_move(const struct history_row *h, void *arg)
{
	struct moves *m = arg;
	json_t *j = api_json_history(h);

	put_event(m->out, "move", h->id, j);
	json_decref(j);
	m->last = h->id;
	return 0;
}

static int put_moves(struct api_events *v, struct follower *f, int64_t last, struct buf *out,
		     struct err *e)
{
	const struct history_filter filter = { .after = f->heard, .limit = MOVES_MAX };
	struct moves m = { .out = out, .last = f->heard };
	int rc;

	if (f->heard >= last)
		return 0;
	rc = store_history_each(v->api->store, &filter, add_move, &m, e);
	f->heard = m.last; /* those before a failure are told, and not again */
	return rc < 0 ? -1 : 0;
}

/* ---- waves and the summary */

static int add_wave(const struct timetable *t, void *arg)
{
	json_t *j;

	if (!t->is_wave)
		return 0;
	j = api_json_timetable(t);
	json_object_set_new(j, "wave", api_json_text(t->name));
	json_object_set_new(arg, json_string_value(json_object_get(j, "wave")), j);
	return 0;
}

/* Those that differ from what was told last go to changed, all to all. */
static int put_waves(struct api_events *v, struct buf *changed, struct buf *all, struct err *e)
{
	json_t *now = json_object(), *wave;
	const char *name;

	if (store_timetables_each(v->api->store, add_wave, now, e) < 0) {
		json_decref(now);
		return -1;
	}
	json_object_foreach (now, name, wave) {
		put_event(all, "wave", 0, wave);
		if (!json_equal(wave, json_object_get(v->waves, name)))
			put_event(changed, "wave", 0, wave);
	}
	json_decref(v->waves);
	v->waves = now;
	return 0;
}

static int put_summary(struct api_events *v, struct buf *changed, struct buf *all,
		       struct err *e)
{
	json_t *now = NULL;
	char *text;

	if (clock_mono_ms() >= v->summary_due || !v->summary) {
		if (api_summary(v->api, &now, e) < 0)
			return -1;
		v->summary_due = clock_mono_ms() + SUMMARY_MS;
		text = json_dumps(now, JSON_COMPACT);
		ASSERT(text);
		if (!v->summary || strcmp(text, v->summary) != 0)
			put_event(changed, "summary", 0, now);
		json_decref(now);
		free(v->summary);
		v->summary = text;
	}
	buf_printf(all, "event: summary\ndata: ");
	buf_add_str(all, v->summary);
	buf_add_str(all, "\n\n");
	return 0;
}

/* ---- the tick */

/* What there is, or now and then a comment. -1: it has gone. */
static int tell_or_comment(struct follower *f, struct buf *text)
{
	if (buf_len(text) == 0 && clock_mono_ms() - f->said_ms >= SILENCE_MS)
		buf_add_str(text, ":\n\n");
	return tell(f, text);
}

static int tell_one(struct api_events *v, struct follower *f, int64_t last,
		    const struct buf *changed, const struct buf *all, struct err *e)
{
	const struct slice state = buf_slice(f->fresh ? all : changed);
	struct buf text = { 0 };
	int rc;

	f->fresh = put_moves(v, f, last, &text, e) < 0;
	if (!f->fresh)
		buf_add(&text, state.p, state.n);
	rc = tell_or_comment(f, &text);
	buf_release(&text);
	return rc;
}

/* What has changed meanwhile may be lost to them: they are told everything, once we can. */
static int tell_none(struct follower *f)
{
	struct buf none = { 0 };
	int rc;

	f->fresh = true;
	rc = tell_or_comment(f, &none);
	buf_release(&none);
	return rc;
}

/* Once, and that it is over: this comes each second. */
static void note_trouble(struct api_events *v, const struct err *e)
{
	if (e->kind && !v->failing)
		log_error(NULL, "api: events: %s", e->text);
	else if (!e->kind && v->failing)
		log_info(NULL, "api: events are told again");
	v->failing = e->kind != 0;
}

static void tell_all(struct api_events *v)
{
	struct buf changed = { 0 }, all = { 0 };
	struct err e = { 0 };
	int64_t last = 0;
	size_t i = 0;
	bool known = store_history_last(v->api->store, &last, &e) == 0 &&
		     put_waves(v, &changed, &all, &e) == 0 &&
		     put_summary(v, &changed, &all, &e) == 0;

	while (i < v->count) {
		struct follower *f = v->at[i];

		i += (known ? tell_one(v, f, last, &changed, &all, &e) : tell_none(f)) == 0;
	}
	note_trouble(v, &e);
	buf_release(&changed);
	buf_release(&all);
}

static void on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	tell_all(arg);
}

/* ---- the route */

static void on_opened(struct http_stream *s, void *arg)
{
	struct follower *f = arg;
	struct buf text = { 0 };

	f->to = s;
	buf_add_str(&text, RETRY);
	if (f->reset)
		buf_add_str(&text, "event: reset\ndata: {}\n\n");
	tell(f, &text);
	buf_release(&text);
}

static struct follower *follow(struct api_events *v, int64_t heard, int64_t last)
{
	const struct timeval every = { .tv_usec = 1000 * (TICK_MS % 1000),
				       .tv_sec = TICK_MS / 1000 };
	struct follower *f = mem_new(sizeof *f);

	f->of = v;
	f->fresh = true;
	f->reset = heard > last || last - heard > BEHIND_MAX;
	f->heard = f->reset ? last : heard;
	v->at = mem_grow(v->at, v->count + 1, sizeof(struct follower *));
	v->at[v->count++] = f;
	if (v->count == 1)
		event_add(v->tick, &every);
	return f;
}

/* ?after= or, which a browser sends by itself, Last-Event-ID; else from now on. */
static int asked_after(struct api_call *c, int64_t last, int64_t *out)
{
	const char *text = c->request->last_event;
	uint64_t id = (uint64_t)last;

	if (*text && slice_u64(slice_of(text), INT64_MAX, &id) < 0)
		return api_refuse(c, 400, "give an id that was heard", "no such event: %.40s",
				  text);
	*out = (int64_t)id;
	if (*text)
		return 0;
	if (api_asked_number(c, "after", INT64_MAX, &id))
		return 400;
	*out = (int64_t)id;
	return 0;
}

int api_get_events(struct api_call *c)
{
	struct api_events *v = c->api->events;
	struct err e = { 0 };
	int64_t last = 0, heard = 0;
	int status;

	if (!v)
		return api_refuse(c, 501, "start the engine", "nothing happens here");
	if (v->count >= (size_t)c->api->settings->api.subscribers)
		return api_refuse(c, 429, "close one, or raise api.subscribers",
				  "%zu follow the events already", v->count);
	if (store_history_last(c->api->store, &last, &e) < 0)
		return api_fail(c, &e);
	status = asked_after(c, last, &heard);
	if (status)
		return status;
	c->answer->type = "text/event-stream";
	c->answer->opened = on_opened;
	c->answer->closed = on_closed;
	c->answer->stream_arg = follow(v, heard, last);
	return 200;
}

struct api_events *api_events_new(struct api *a, struct event_base *base)
{
	struct api_events *v = mem_new(sizeof *v);

	v->api = a;
	v->tick = event_new(base, -1, EV_PERSIST, on_tick, v);
	ASSERT(v->tick);
	return v;
}

void api_events_free(struct api_events **v)
{
	if (!*v)
		return;
	ASSERT((*v)->count == 0);
	event_free((*v)->tick);
	json_decref((*v)->waves);
	free((*v)->summary);
	mem_free(&(*v)->at);
	mem_free(v);
}
