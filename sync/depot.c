/* Hides: which copy of a journal counts, and who waits until it is where it is wanted. */
#include "sync/depot_impl.h"

#include <errno.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/store_lease.h"
#include "sync/order.h"

#define HEAL_MS		20000 /* between two looks for what was not returned */
#define EDITION_COUNTED 'g'   /* generation, in so many digits: no hex digit, as of old */
#define EDITION_DIGITS	7

/* ---- which one */

bool depot_is(const struct journal_mark *here, const char *edition, bool or_former)
{
	return strcmp(here->edition, edition) == 0 ||
	       (or_former && strcmp(here->former, edition) == 0);
}

/* -1: of a version that did not count. */
static int64_t generation(const char *edition)
{
	char digits[EDITION_DIGITS + 1];

	if (!*edition)
		return 0;
	if (*edition != EDITION_COUNTED)
		return -1;
	snprintf(digits, sizeof digits, "%s", edition + 1);
	return strtoll(digits, NULL, 16);
}

int depot_new_edition(const char *former, char out[static STORE_EDITION_MAX], struct err *e)
{
	unsigned char random[(STORE_EDITION_MAX - 2 - EDITION_DIGITS) / 2];
	int at;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return err_set(e, ERR_TEMP, "getrandom: %s", strerror(errno));
	at = snprintf(out, STORE_EDITION_MAX, "%c%0*llx", EDITION_COUNTED, EDITION_DIGITS,
		      (long long)MAX(generation(former), 0) + 1);
	for (size_t i = 0; i < sizeof random; i++)
		at += snprintf(out + at, STORE_EDITION_MAX - (size_t)at, "%02x", random[i]);
	return 0;
}

/* Then the store was put back, or has lost the last that it was told. */
static bool is_newer(const struct journal_mark *here, const struct store_journal *row)
{
	return generation(row->edition) >= 0 &&
	       generation(here->edition) > generation(row->edition);
}

enum depot_choice depot_choose(const struct store_journal *row, const struct journal_mark *here,
			       const char *folder)
{
	bool ours;

	if (!row)
		return here && *here->edition ? DEPOT_STRANGE : DEPOT_HERE;
	ours = row->away && strcmp(row->folder, folder) == 0;
	/* Copied, but the store never heard the end of it: its row still names the former one.
	 */
	if (here && (ours || !row->away) && depot_is(here, row->edition, ours))
		return DEPOT_HERE;
	if (here && is_newer(here, row))
		return DEPOT_NEWER;
	if (!*row->edition)
		return ours && !here ? DEPOT_HERE : DEPOT_LOST;
	return row->away ? DEPOT_STALE : DEPOT_COPY;
}

/* ---- tasks */

size_t depot_parts(int64_t size)
{
	return (size_t)((size + STORE_JOURNAL_PART - 1) / STORE_JOURNAL_PART);
}

const char *depot_part(const char *parts, size_t at)
{
	return parts + at * STORE_PART_DIGEST;
}

static struct task *find_task(const struct depot *d, const char *user)
{
	for (struct task *t = d->first; t; t = t->next)
		if (strcmp(t->user, user) == 0)
			return t;
	return NULL;
}

static struct task *add_task(struct depot *d, const char *user, bool bring)
{
	struct task *t = mem_new(sizeof *t), **end = &d->first;

	*t = (struct task){ .bring = bring,
			    .user = mem_str(user),
			    .path = order_journal_path(d->o.settings->sync.dir, user),
			    .fd = -1 };
	while (*end)
		end = &(*end)->next;
	*end = t;
	event_active(d->turn, EV_TIMEOUT, 0);
	return t;
}

static void drop_first(struct depot *d)
{
	struct task *t = d->first;

	d->first = t->next;
	if (t->fd >= 0)
		close(t->fd);
	journal_close(&t->journal);
	store_journal_release(&t->row);
	store_journal_release(&t->copy);
	buf_release(&t->there);
	mem_free(&t->user);
	mem_free(&t->path);
	mem_free(&t);
}

static void give_up(struct depot *d, const struct task *t, const struct err *why)
{
	struct log_about about = { .what = "user", .user = t->user };
	struct err ignored = { 0 };

	if (!t->bring) {
		log_warn(&about, "journal not copied to the store yet: %s", why->text);
		return;
	}
	snprintf(d->why, sizeof d->why, "%s", why->text);
	if (names_add(&d->failed, t->user, &ignored) < 0)
		log_warn(&about, "journal not taken from the store: %s", why->text);
}

static void make_turn(struct depot *d)
{
	struct task *t = d->first;
	struct err e = { 0 };
	int rc;

	if (!t)
		return;
	rc = t->bring ? depot_bring(d, t, &e) : depot_leave(d, t, &e);
	if (rc < 0)
		give_up(d, t, &e);
	if (rc)
		drop_first(d);
}

static void on_turn(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct depot *d = arg;

	make_turn(d);
	if (d->first)
		event_active(d->turn, EV_TIMEOUT, 0);
}

/* ---- for others */

int depot_new(struct depot **out, const struct depot_opts *o, struct err *e)
{
	const struct settings *s = o->settings;
	struct depot *d;

	*out = NULL;
	if (!s->store.url)
		return 0;
	d = mem_new(sizeof *d);
	d->o = *o;
	if (place_find(s->sync.dir, s->run.host, &d->folder, e) < 0) {
		mem_free(&d);
		return -1;
	}
	d->turn = event_new(o->base, -1, 0, on_turn, d);
	*out = d;
	return 0;
}

void depot_free(struct depot **at)
{
	struct depot *d = *at;

	if (!d)
		return;
	while (d->first)
		drop_first(d);
	event_free(d->turn);
	names_release(&d->out);
	names_release(&d->told);
	names_release(&d->failed);
	mem_free(at);
}

/* 1: *out is its mark, 0: there is no such file, -1. */
static int read_mark(const struct depot *d, const char *path, struct journal_mark *out,
		     struct err *e)
{
	struct journal *j = NULL;
	int rc;

	*out = (struct journal_mark){ 0 };
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	rc = journal_open(&j, path, e);
	if (rc == 0)
		rc = journal_mark(j, out, e);
	journal_close(&j);
	depot_give(d, path);
	return rc < 0 ? -1 : 1;
}

static void start_bringing(struct depot *d, const char *user, struct store_journal *row,
			   enum depot_choice c)
{
	struct task *t = add_task(d, user, true);

	t->row = *row;
	*row = (struct store_journal){ 0 };
	t->doubt = c != DEPOT_COPY;
	t->count = c == DEPOT_LOST ? 0 : strlen(t->row.parts) / STORE_PART_DIGEST;
	if (t->count != depot_parts(t->row.size) || t->count > STORE_JOURNAL_PARTS) {
		t->doubt = true;
		t->count = 0;
	}
}

static int take_here(struct depot *d, const char *user, const struct store_journal *row,
		     struct err *e)
{
	int got = 1;

	if (!row || !row->away)
		got = store_journal_take(d->o.store, user, row, &d->folder, e);
	if (got > 0 && names_add(&d->out, user, e) < 0)
		return -1;
	return got;
}

/* It goes on as the copy that the store has. */
static int take_newer(struct depot *d, const char *user, const char *path,
		      const struct store_journal *row, struct err *e)
{
	struct log_about about = { .what = "user", .user = user };
	int got = depot_doubt(d, path, row->edition, e);

	if (got == 0)
		got = store_journal_take(d->o.store, user, row, &d->folder, e);
	if (got <= 0)
		return got;
	log_warn(&about, "the store's copy of the journal is older than the one that came from "
			 "here: the next pass looks for all that it does not know");
	return names_add(&d->out, user, e) < 0 ? -1 : 1;
}

static int look(struct depot *d, const char *user, const char *path, bool *doubt, struct err *e)
{
	struct store_journal row = { 0 };
	struct journal_mark here;
	int has, known, rc = store_lease_elsewhere(d->o.store, user, e);
	enum depot_choice c;

	if (rc)
		return rc < 0 ? -1 : 0;
	has = read_mark(d, path, &here, e);
	if (has < 0)
		return -1;
	known = store_journal_get(d->o.store, user, &row, e);
	if (known < 0)
		return -1;
	c = depot_choose(known ? &row : NULL, has ? &here : NULL, d->folder.id);
	*doubt = here.doubt;
	switch (c) {
	case DEPOT_STRANGE:
		*doubt = true;
		rc = depot_doubt(d, path, "", e);
		if (rc == 0)
			rc = take_here(d, user, NULL, e);
		break;
	case DEPOT_HERE:
		rc = take_here(d, user, known ? &row : NULL, e);
		break;
	case DEPOT_NEWER:
		*doubt = true;
		rc = take_newer(d, user, path, &row, e);
		break;
	case DEPOT_COPY:
	case DEPOT_STALE:
	case DEPOT_LOST:
		start_bringing(d, user, &row, c);
		break;
	}
	store_journal_release(&row);
	return rc;
}

int depot_take(struct depot *d, const char *user, bool *doubt, struct err *e)
{
	char *path;
	int rc;

	*doubt = false;
	if (!d)
		return 1;
	if (names_has(&d->failed, user)) {
		names_drop(&d->failed, user);
		return err_set(e, ERR_TEMP, "journal not taken from the store: %s", d->why);
	}
	if (find_task(d, user))
		return 0;
	path = order_journal_path(d->o.settings->sync.dir, user);
	rc = look(d, user, path, doubt, e);
	mem_free(&path);
	return rc;
}

int depot_lend(struct depot *d, const char *user, int patience_ms, bool *lent, struct err *e)
{
	int64_t until = clock_mono_ms() + patience_ms;
	bool doubt;
	int got;

	*lent = false;
	if (!d || names_has(&d->out, user))
		return 0;
	got = store_lease_elsewhere(d->o.store, user, e);
	if (got)
		return got < 0 ? -1
			       : err_set(e, ERR_TEMP,
					 "another host is at the user's pass, and has the "
					 "journal: ask again");
	while ((got = depot_take(d, user, &doubt, e)) == 0 && clock_mono_ms() < until)
		make_turn(d);
	*lent = got > 0;
	if (got == 0)
		return err_set(e, ERR_TEMP, "the journal is on its way to or from the store");
	return got < 0 ? -1 : 0;
}

int depot_coming(const struct depot *d)
{
	int n = 0;

	for (const struct task *t = d ? d->first : NULL; t; t = t->next)
		n += t->bring;
	return n;
}

static void leave(struct depot *d, const char *user)
{
	if (!find_task(d, user))
		(void)add_task(d, user, false);
}

void depot_return(struct depot *d, const char *user)
{
	if (!d || !names_has(&d->out, user))
		return;
	names_drop(&d->out, user);
	leave(d, user);
}

bool depot_is_busy(const struct depot *d, const char *user)
{
	return d && find_task(d, user);
}

int depot_left(struct depot *d, const char *user, struct err *e)
{
	struct journal_whereabouts at;

	if (!d || names_has(&d->told, user))
		return 1;
	if (find_task(d, user))
		return 0;
	if (store_journal_where(d->o.store, user, &at, e) < 0)
		return -1;
	if (!at.away || strcmp(at.folder, d->folder.id) != 0)
		return 1;
	leave(d, user);
	return 0;
}

const char *depot_folder(const struct depot *d)
{
	return d->folder.id;
}

static int note_name(const char *name, void *arg)
{
	struct err e = { 0 };

	return names_add(arg, name, &e) < 0 ? 1 : 0; /* the others another time */
}

static void heal(struct depot *d)
{
	struct names away = { 0 };
	struct err e = { 0 };

	if (store_journals_away(d->o.store, &d->folder, note_name, &away, &e) < 0)
		log_debug(NULL, "%s", e.text); /* who needs the store says it */
	for (size_t i = 0; i < away.n; i++)
		if (!names_has(&d->out, away.at[i]) && !names_has(&d->told, away.at[i]))
			leave(d, away.at[i]);
	names_release(&away);
}

void depot_tick(struct depot *d)
{
	int64_t now = clock_mono_ms();

	if (!d)
		return;
	d->at_work = true;
	if (now < d->heal_at)
		return;
	d->heal_at = now + HEAL_MS;
	heal(d);
}

bool depot_end(struct depot *d)
{
	if (!d || !d->at_work)
		return true;
	if (!d->healed_last)
		heal(d);
	d->healed_last = true;
	return !d->first;
}
