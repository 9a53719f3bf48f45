/* Hides: the rows of users, and the one transaction by which a user moves. */
#include "common/store_driver.h"
#include "common/store_shadow.h"

#define PAGE	       500 /* users read before their callbacks run, so that these may write */
#define TOGETHER       500 /* users of one transaction, so that nodes can write in between */
#define BACKOFF_SHIFTS 10  /* the wait after an undo stops doubling here */

#define USER_COLUMNS                                                                      \
	"name, old_login, new_login, old_password_file, new_password_file, wave, state, " \
	"direction,"                                                                      \
	" change, epoch, hold_until, state_since, go, attempts, undos, next_try, "        \
	"stuck_reason,"                                                                   \
	" passes, pass_ended, pass_took, pass_clean, pass_error,"                         \
	" messages, copied, verified, exceptions, bytes, last_arrival, quota,"            \
	" not_before, strays, last_stray, flipped_at"

void user_release(struct user *u)
{
	mem_free(&u->name);
	for (int s = 0; s < SIDES; s++) {
		mem_free(&u->login[s]);
		mem_free(&u->password_file[s]);
	}
	mem_free(&u->wave);
	mem_free(&u->stuck_reason);
	mem_free(&u->progress.pass_error);
	mem_free(&u->progress.quota);
	*u = (struct user){ 0 };
}

/* From column c on; returns the column behind them. */
static int read_progress(const struct rows *r, int c, struct progress *p)
{
	p->passes = rows_int(r, c++);
	p->pass_ended = rows_int(r, c++);
	p->pass_took = rows_int(r, c++);
	p->pass_clean = rows_int(r, c++);
	p->pass_error = mem_str(rows_text(r, c++));
	p->messages = rows_int(r, c++);
	p->copied = rows_int(r, c++);
	p->verified = rows_int(r, c++);
	p->exceptions = rows_int(r, c++);
	p->bytes = rows_int(r, c++);
	p->last_arrival = rows_int(r, c++);
	p->quota = mem_str(rows_text(r, c++));
	p->not_before = rows_int(r, c++);
	p->strays = rows_int(r, c++);
	p->last_stray = rows_int(r, c++);
	return c;
}

/* The columns of USER_COLUMNS, in their order. */
static int read_user(const struct rows *r, struct user *u, struct err *e)
{
	int c = 0, state, direction;

	*u = (struct user){ 0 };
	u->name = mem_str(rows_text(r, c++));
	u->login[SIDE_OLD] = mem_str(rows_text(r, c++));
	u->login[SIDE_NEW] = mem_str(rows_text(r, c++));
	u->password_file[SIDE_OLD] = mem_str(rows_text(r, c++));
	u->password_file[SIDE_NEW] = mem_str(rows_text(r, c++));
	u->wave = mem_str(rows_text(r, c++));
	state = user_state_find(rows_text(r, c++));
	direction = direction_find(rows_text(r, c++));
	u->change = rows_int(r, c++);
	u->epoch = rows_int(r, c++);
	u->hold_until = rows_int(r, c++);
	u->state_since = rows_int(r, c++);
	u->go = rows_int(r, c++);
	u->attempts = (int)rows_int(r, c++);
	u->undos = (int)rows_int(r, c++);
	u->next_try = rows_int(r, c++);
	u->stuck_reason = mem_str(rows_text(r, c++));
	c = read_progress(r, c, &u->progress);
	u->flipped_at = rows_int(r, c);
	if (state < 0 || direction < 0) {
		err_set(e, ERR_STORE, "user %s: unknown state or direction in the store",
			u->name);
		user_release(u);
		return -1;
	}
	u->state = (enum user_state)state;
	u->direction = (enum direction)direction;
	return 0;
}

int store_user_get(struct store *st, const char *name, struct user *out, struct err *e)
{
	struct rows *r = db_query(st->db, "SELECT " USER_COLUMNS " FROM users WHERE name = ?1",
				  ARGS(TEXT(name)), e);
	int got;

	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0 && read_user(r, out, e) < 0)
		got = -1;
	rows_end(&r);
	return got;
}

/* Up to PAGE users into `page`; returns how many, -1 on error. Ends the read. */
static int read_page(struct rows *r, struct user *page, struct err *e)
{
	int count = 0, got;

	if (!r)
		return -1;
	while ((got = rows_next(r, e)) > 0) {
		ASSERT(count < PAGE);
		if (read_user(r, &page[count], e) < 0) {
			got = -1;
			break;
		}
		count++;
	}
	rows_end(&r);
	for (int i = 0; got < 0 && i < count; i++)
		user_release(&page[i]);
	return got < 0 ? -1 : count;
}

/* Calls on_user for each until it wants no more; releases all. */
static int hand_page(struct user *page, int count, store_user_fn *on_user, void *arg)
{
	int rc = 0;

	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = on_user(&page[i], arg);
		user_release(&page[i]);
	}
	return rc;
}

/* For LIKE … ESCAPE '!': the text anywhere. NULL: any text. */
static char *pattern_of(const char *part)
{
	struct buf b = { 0 };
	char *out;

	buf_printf(&b, "%%");
	for (const char *p = text_of(part); *p; p++)
		buf_printf(&b, strchr("!%_", *p) ? "!%c" : "%c", *p);
	if (part && *part)
		buf_printf(&b, "%%");
	out = mem_strn(buf_slice(&b).p, buf_len(&b));
	buf_release(&b);
	return out;
}

/* What a filter asks for, ready for the query. */
struct look {
	const struct user_filter *f;
	char *after, *pattern;
};

static struct rows *query_users(struct store *st, const struct look *l, int limit,
				struct err *e)
{
	const struct user_filter *f = l->f;

	return db_query(
		st->db,
		"SELECT " USER_COLUMNS " FROM users WHERE name > ?1"
		" AND (?2 = 0 OR wave = ?3) AND (?4 = 0 OR state = ?5)"
		" AND (?7 = 0 OR LOWER(name) LIKE LOWER(?8) ESCAPE '!')"
		" AND (?9 = 0 OR (?9 = 1 AND stuck_reason <> '')"
		" OR (?9 = 2 AND attempts > 0 AND stuck_reason = '')"
		" OR (?9 = 3 AND exceptions > 0) OR (?9 = 4 AND go = 1))"
		" ORDER BY name LIMIT ?6",
		ARGS(TEXT(l->after), INT(f->wave != NULL), TEXT(f->wave), INT(f->has_state),
		     TEXT(user_state_name(f->has_state ? (enum user_state)f->state : 0)),
		     INT(limit), INT(f->part != NULL), TEXT(l->pattern), INT(f->only)),
		e);
}
_Static_assert(USER_ONLY_STUCK == 1 && USER_ONLY_FAILING == 2 && USER_ONLY_EXCEPTIONS == 3 &&
		       USER_ONLY_GO == 4 && USER_ONLY_KINDS == 5,
	       "the query knows them by number");

int store_users_each(struct store *st, const struct user_filter *f, store_user_fn *on_user,
		     void *arg, struct err *e)
{
	struct user *page = mem_array(PAGE, sizeof *page);
	struct look l = { f, mem_str(text_of(f->after)), pattern_of(f->part) };
	int left = f->limit, rc = 0, want, count;

	do {
		want = f->limit ? MIN(left, PAGE) : PAGE;
		count = rc = read_page(query_users(st, &l, want, e), page, e);
		if (count <= 0)
			break;
		mem_free(&l.after);
		l.after = mem_str(page[count - 1].name);
		left -= count;
		rc = hand_page(page, count, on_user, arg);
	} while (rc == 0 && count == want && (!f->limit || left > 0));
	mem_free(&l.after);
	mem_free(&l.pattern);
	mem_free(&page);
	return rc;
}

int store_users_held(struct store *st, store_user_fn *on_user, void *arg, struct err *e)
{
	struct user *page = mem_array(PAGE, sizeof *page);
	int rc, count;

	count = rc = read_page(db_query(st->db,
					"SELECT " USER_COLUMNS " FROM users"
					" WHERE state IN ('freezing', 'finalizing')"
					" ORDER BY name LIMIT ?1",
					ARGS(INT(PAGE)), e),
			       page, e);
	if (count > 0)
		rc = hand_page(page, count, on_user, arg);
	mem_free(&page);
	return rc;
}

int store_changes_after(struct store *st, int64_t after, store_user_fn *on_user, void *arg,
			int64_t *last, struct err *e)
{
	struct user *page = mem_array(PAGE, sizeof *page);
	int rc, count;

	do {
		count = rc = read_page(db_query(st->db,
						"SELECT " USER_COLUMNS
						" FROM users WHERE change > ?1"
						" ORDER BY change LIMIT ?2",
						ARGS(INT(after), INT(PAGE)), e),
				       page, e);
		if (count <= 0)
			break;
		*last = after = page[count - 1].change;
		rc = hand_page(page, count, on_user, arg);
	} while (rc == 0 && count == PAGE);
	mem_free(&page);
	return rc;
}

/* Rows of a state and a number; r NULL: the query failed. */
static int take_counts(struct rows *r, int64_t out[USER_STATES], struct err *e)
{
	int got = r ? 0 : -1, state;

	memset(out, 0, USER_STATES * sizeof *out);
	while (r && (got = rows_next(r, e)) > 0) {
		state = user_state_find(rows_text(r, 0));
		if (state >= 0)
			out[state] = rows_int(r, 1);
	}
	rows_end(&r);
	return got;
}

int store_users_count(struct store *st, const char *wave, int64_t out[USER_STATES],
		      struct err *e)
{
	return take_counts(
		db_query(st->db,
			 "SELECT state, COUNT(*) FROM users WHERE ?1 = 0 OR wave = ?2"
			 " GROUP BY state",
			 ARGS(INT(wave != NULL), TEXT(wave)), e),
		out, e);
}

int store_domain_count(struct store *st, const char *domain, int64_t out[USER_STATES],
		       struct err *e)
{
	char *tail = mem_printf("@%s", domain);
	int rc = take_counts(db_query(st->db,
				      "SELECT state, COUNT(*) FROM users WHERE " STORE_TAIL(
					      "name") " = ?1"
						      " GROUP BY state",
				      ARGS(TEXT(tail)), e),
			     out, e);

	mem_free(&tail);
	return rc;
}

int store_domains_each(struct store *st, store_domain_fn *fn, void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT DISTINCT " STORE_TAIL("name") " FROM users ORDER BY 1",
			 NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		const char *tail = got > 0 ? rows_text(r, 0) : "";

		rc = got < 0 ? -1 : fn(*tail == '@' ? tail + 1 : "", arg);
	}
	rows_end(&r);
	return rc;
}

/* ---- moves */

int store_new_change(struct db *db, const char *name, int64_t *out, struct err *e)
{
	/* Not by the table's own counter: a rebuilt store goes on from a higher number. */
	return db_query_int(db,
			    "INSERT INTO changes (id, name)"
			    " SELECT COALESCE(MAX(id), 0) + 1, ?1 FROM changes RETURNING id",
			    ARGS(TEXT(name)), out, e);
}

static int write_history(struct db *db, const struct user_move *m, const struct user *u,
			 struct err *e)
{
	return db_run(db,
		      "INSERT INTO history (name, at, from_state, to_state, direction, change,"
		      " actor, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		      ARGS(TEXT(m->name), INT(u->state_since), TEXT(user_state_name(m->from)),
			   TEXT(user_state_name(m->to)), TEXT(direction_name(u->direction)),
			   INT(u->change), TEXT(m->actor), TEXT(m->why ? m->why : "")),
		      e);
}

/* No acknowledgement of an earlier cutover may count for this one. */
static int forget_answers(struct db *db, const char *name, struct err *e)
{
	if (db_run(db, "DELETE FROM acks WHERE name = ?1", ARGS(TEXT(name)), e) < 0)
		return -1;
	return db_run(db, "DELETE FROM blockers WHERE name = ?1", ARGS(TEXT(name)), e);
}

static int write_moved(struct db *db, const struct user *u, struct err *e)
{
	return db_run(db,
		      "UPDATE users SET state = ?2, direction = ?3, change = ?4, epoch = ?5,"
		      " hold_until = ?6, state_since = ?7, go = ?8, attempts = ?9, undos = ?10,"
		      " next_try = ?11, stuck_reason = ?12, last_arrival = ?13,"
		      " flipped_at = ?14, strays = ?15, last_stray = ?16 WHERE name = ?1",
		      ARGS(TEXT(u->name), TEXT(user_state_name(u->state)),
			   TEXT(direction_name(u->direction)), INT(u->change), INT(u->epoch),
			   INT(u->hold_until), INT(u->state_since), INT(u->go),
			   INT(u->attempts), INT(u->undos), INT(u->next_try),
			   TEXT(u->stuck_reason), INT(u->progress.last_arrival),
			   INT(u->flipped_at), INT(u->progress.strays),
			   INT(u->progress.last_stray)),
		      e);
}

static void set_stuck(struct user *u, const char *why)
{
	mem_free(&u->stuck_reason);
	u->stuck_reason = mem_str(why);
}

static void apply_undo(struct user *u, const struct user_move *m, int64_t now)
{
	u->next_try = now + (m->retry_ms << MIN(u->undos, BACKOFF_SHIFTS));
	u->undos++;
	if (u->undos >= (m->tries ? m->tries : STORE_UNDOS_STUCK))
		set_stuck(u, m->why && *m->why ? m->why : "the cutover was undone");
}

static void apply_flip(struct user *u, const struct user_move *m, int64_t now)
{
	u->epoch++;
	u->flipped_at = now;
	u->go = false;
	u->undos = 0;
	u->next_try = 0;
	u->progress.strays = u->progress.last_stray = 0;
	if (m->to == USER_TRAILING)
		u->progress.last_arrival = now;
}

/* What the move makes of the row, but for its change. */
static void apply_move(struct user *u, const struct user_move *m, int64_t now)
{
	bool undo = user_move_is_undo(m->from, u->direction, m->to);

	if (undo) {
		apply_undo(u, m, now);
	} else {
		u->attempts = 0;
		set_stuck(u, "");
	}
	if (user_move_is_flip(m->from, u->direction, m->to))
		apply_flip(u, m, now);
	if (m->to == USER_RETURNING && !undo)
		u->go = false;
	if (m->from == USER_RETURNING && m->to == USER_TRAILING) {
		u->go = false;
		u->undos = 0;
		u->next_try = 0;
	}
	if (m->to == USER_FREEZING) {
		ASSERT(m->hold_ms > 0);
		u->direction = user_freeze_direction(m->from);
		u->hold_until = now + m->hold_ms;
	} else if (!user_is_held(m->to)) {
		u->hold_until = 0;
	}
	u->state = m->to;
	u->state_since = now;
}

/* Inside the transaction, so the clock is read when no other writer can be in between. */
static enum move_result move_in(struct db *db, const struct user_move *m, struct user *u,
				struct err *e)
{
	int64_t now = db_now_ms(db);

	if (u->state != m->from || u->change != m->change)
		return MOVE_LOST;
	if (!user_may_move(m->from, u->direction, m->to))
		BUG("user %s: %s (%s) to %s is no legal move", m->name,
		    user_state_name(m->from), direction_name(u->direction),
		    user_state_name(m->to));
	if (user_move_is_flip(m->from, u->direction, m->to) && now >= u->hold_until)
		return MOVE_LOST;
	apply_move(u, m, now);
	if (store_new_change(db, m->name, &u->change, e) < 0 || write_moved(db, u, e) < 0 ||
	    write_history(db, m, u, e) < 0)
		return MOVE_FAILED;
	if (m->to == USER_FREEZING && forget_answers(db, m->name, e) < 0)
		return MOVE_FAILED;
	return MOVE_DONE;
}

enum move_result store_user_move(struct store *st, const struct user_move *m, int64_t *change,
				 struct err *e)
{
	enum move_result result = MOVE_FAILED;
	struct user u = { 0 };
	int got;

	if (db_begin(st->db, e) < 0)
		return MOVE_FAILED;
	got = store_engine_holds(st, e);
	if (got > 0)
		got = store_user_get(st, m->name, &u, e);
	if (got == 0)
		result = MOVE_LOST;
	else if (got > 0)
		result = move_in(st->db, m, &u, e);
	if (result != MOVE_DONE)
		db_rollback(st->db);
	else if (db_commit(st->db, e) < 0)
		result = MOVE_FAILED;
	if (result == MOVE_DONE) {
		if (change)
			*change = u.change;
		store_nudge(st);
	}
	user_release(&u);
	return result;
}

/* ---- what is written without a move */

int store_users_go(struct store *st, const char *name, const char *wave, bool go, int *n,
		   struct err *e)
{
	int count;

	ASSERT(name || wave);
	count = db_run(
		st->db,
		"UPDATE users SET go = ?1 WHERE go <> ?1 AND (?2 = 0 OR name = ?3)"
		" AND (?4 = 0 OR wave = ?5)"
		" AND state NOT IN ('trailing', 'done', 'returning')"
		" AND NOT (state IN ('freezing', 'finalizing') AND direction = 'back')",
		ARGS(INT(go), INT(name != NULL), TEXT(name), INT(wave != NULL), TEXT(wave)), e);
	if (count < 0)
		return -1;
	*n = count;
	store_nudge(st);
	return 0;
}

/* Who says so, and why. */
struct word {
	const char *actor, *why;
};

/* Inside a transaction; 1, 0: there is nothing to be done. */
typedef int user_in_fn(struct store *st, const char *name, const struct word *w, struct err *e);

static int move_to(struct store *st, struct user *u, enum user_state to, const struct word *w,
		   struct err *e)
{
	const struct user_move m = { .name = u->name,
				     .from = u->state,
				     .to = to,
				     .change = u->change,
				     .actor = w->actor,
				     .why = w->why };

	return move_in(st->db, &m, u, e) == MOVE_DONE ? 1 : -1;
}

static int return_in(struct store *st, const char *name, const struct word *w, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(st, name, &u, e);

	if (got > 0 && user_is_final(u.state))
		got = move_to(st, &u, USER_RETURNING, w, e);
	user_release(&u);
	if (got <= 0)
		return got;
	return db_run(st->db, "UPDATE users SET go = 1 WHERE name = ?1 AND state = 'returning'",
		      ARGS(TEXT(name)), e);
}

/* Who stands in the pause is only taken the go: it ends by itself. */
static int stay_in(struct store *st, const char *name, const struct word *w, struct err *e)
{
	struct user u = { 0 };
	int got = store_user_get(st, name, &u, e);

	if (got > 0 && u.state == USER_RETURNING)
		got = move_to(st, &u, USER_TRAILING, w, e);
	else if (got > 0)
		got = db_run(st->db,
			     "UPDATE users SET go = 0 WHERE name = ?1 AND go = 1"
			     " AND state IN ('freezing', 'finalizing') AND direction = 'back'",
			     ARGS(TEXT(name)), e);
	user_release(&u);
	return got;
}

static int all_in(struct store *st, char *const *names, size_t n, user_in_fn *fn,
		  const struct word *w, bool *done, struct err *e)
{
	int rc = store_begin_work(st, e), count = 0;

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = fn(st, names[i], w, e);
		done[i] = rc > 0;
		count += done[i];
	}
	return store_end_work(st, rc, e) < 0 ? -1 : count;
}

static int by_parts(struct store *st, char *const *names, size_t n, user_in_fn *fn,
		    const struct word *w, bool *done, struct err *e)
{
	int count = 0, rc = 0;

	for (size_t at = 0; at < n && rc >= 0; at += TOGETHER) {
		rc = all_in(st, names + at, MIN(n - at, (size_t)TOGETHER), fn, w, done + at, e);
		count += MAX(rc, 0);
	}
	if (count)
		store_nudge(st);
	return rc < 0 ? -1 : count;
}

int store_users_return(struct store *st, char *const *names, size_t n, const char *actor,
		       const char *why, bool *done, struct err *e)
{
	return by_parts(st, names, n, return_in, &(struct word){ actor, why }, done, e);
}

int store_user_return(struct store *st, const char *name, const char *actor, const char *why,
		      struct err *e)
{
	char *one = (char *)(uintptr_t)name;
	bool done;

	return store_users_return(st, &one, 1, actor, why, &done, e);
}

int store_users_stay(struct store *st, char *const *names, size_t n, const char *actor,
		     bool *done, struct err *e)
{
	return by_parts(st, names, n, stay_in,
			&(struct word){ actor, "the rollback was withdrawn" }, done, e);
}

/* A write that must find its user. */
static int one_user(int count, const char *name, struct err *e)
{
	if (count == 0)
		return err_set(e, ERR_INPUT,
			       "user %s: is not known; import the user, or see `mailferry "
			       "users`",
			       name);
	return count < 0 ? -1 : 0;
}

int store_user_progress(struct store *st, const char *name, const struct progress *p,
			struct err *e)
{
	const char *error = p->pass_error ? p->pass_error : "";
	const char *quota = p->quota ? p->quota : "";
	int rc;

	if (store_begin_work(st, e) < 0)
		return -1;
	rc = one_user(
		db_run(st->db,
		       "UPDATE users SET passes = ?2, pass_ended = ?3, pass_took = ?4,"
		       " pass_clean = ?5, pass_error = ?6, messages = ?7, copied = ?8,"
		       " verified = ?9, exceptions = ?10, bytes = ?11,"
		       " last_arrival = CASE WHEN last_arrival < ?12 THEN ?12 ELSE "
		       "last_arrival END,"
		       " quota = ?13, not_before = ?14, strays = ?15, last_stray = ?16,"
		       " attempts = CASE WHEN ?6 = '' THEN 0 ELSE attempts END,"
		       " stuck_reason = CASE WHEN ?6 = '' AND attempts > 0 THEN ''"
		       " ELSE stuck_reason END WHERE name = ?1",
		       ARGS(TEXT(name), INT(p->passes), INT(p->pass_ended), INT(p->pass_took),
			    INT(p->pass_clean), TEXT(error), INT(p->messages), INT(p->copied),
			    INT(p->verified), INT(p->exceptions), INT(p->bytes),
			    INT(p->last_arrival), TEXT(quota), INT(p->not_before),
			    INT(p->strays), INT(p->last_stray)),
		       e),
		name, e);
	return store_end_work(st, rc, e);
}

int store_user_failed(struct store *st, const char *name, int64_t wait_ms, const char *why,
		      struct err *e)
{
	int rc;

	if (store_begin_work(st, e) < 0)
		return -1;
	rc = one_user(db_run(st->db,
			     "UPDATE users SET attempts = attempts + 1, next_try = ?2,"
			     " stuck_reason = CASE WHEN ?3 = '' THEN stuck_reason ELSE ?3 END"
			     " WHERE name = ?1",
			     ARGS(TEXT(name), INT(db_now_ms(st->db) + wait_ms), TEXT(why)), e),
		      name, e);
	return store_end_work(st, rc, e);
}

static int retry_one(struct store *st, const char *name, struct err *e)
{
	int rc = one_user(db_run(st->db,
				 "UPDATE users SET attempts = 0, undos = 0, next_try = 0,"
				 " stuck_reason = '' WHERE name = ?1",
				 ARGS(TEXT(name)), e),
			  name, e);

	return rc < 0 ? -1 : store_shadow_again(st, name, 0, e);
}

int store_users_retry(struct store *st, char *const *names, size_t n, struct err *e)
{
	int rc = db_begin(st->db, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = retry_one(st, names[i], e);
	if (rc < 0)
		return db_rollback(st->db);
	rc = db_commit(st->db, e);
	if (rc == 0)
		store_nudge(st);
	return rc;
}

int store_user_note(struct store *st, const char *name, const char *actor, const char *why,
		    struct err *e)
{
	return one_user(db_run(st->db,
			       "INSERT INTO history (name, at, from_state, to_state, direction,"
			       " change, actor, why) SELECT name, ?2, state, state, direction,"
			       " change, ?3, ?4 FROM users WHERE name = ?1",
			       ARGS(TEXT(name), INT(db_now_ms(st->db)), TEXT(actor), TEXT(why)),
			       e),
			name, e);
}

int store_users_note(struct store *st, const char *const *names, size_t n, const char *actor,
		     const char *why, struct err *e)
{
	int rc = db_begin(st->db, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = store_user_note(st, names[i], actor, why, e);
	return rc < 0 ? db_rollback(st->db) : db_commit(st->db, e);
}

int store_aliases_each(struct store *st, store_alias_fn *on_alias, void *arg, struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT alias, name FROM aliases ORDER BY alias", NO_ARGS, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0)
		rc = got < 0 ? -1 : on_alias(rows_text(r, 0), rows_text(r, 1), arg);
	rows_end(&r);
	return rc;
}

#define HISTORY(condition, order)                                                       \
	"SELECT id, at, change, name, from_state, to_state, direction, actor, why FROM" \
	" (SELECT * FROM history WHERE id > ?1" condition " ORDER BY id " order         \
	" LIMIT ?2) h ORDER BY id"

/* Texts of their own for one and for all: an index serves only a condition that always stands.
 */
static struct rows *query_history(struct store *st, const struct history_filter *f,
				  struct err *e)
{
	static const char of_one[] = HISTORY(" AND name = ?3", "ASC"),
			  of_one_newest[] = HISTORY(" AND name = ?3", "DESC"),
			  of_all[] = HISTORY("", "ASC"), of_all_newest[] = HISTORY("", "DESC");
	const int64_t limit = f->limit ? f->limit : INT64_MAX;

	if (f->name)
		return db_query(st->db, f->newest ? of_one_newest : of_one,
				ARGS(INT(f->after), INT(limit), TEXT(f->name)), e);
	return db_query(st->db, f->newest ? of_all_newest : of_all,
			ARGS(INT(f->after), INT(limit)), e);
}

int store_history_each(struct store *st, const struct history_filter *f, store_history_fn *fn,
		       void *arg, struct err *e)
{
	struct rows *r = query_history(st, f, e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct history_row h = {
			.id = rows_int(r, 0),
			.at = rows_int(r, 1),
			.change = rows_int(r, 2),
			.name = rows_text(r, 3),
			.from_state = rows_text(r, 4),
			.to_state = rows_text(r, 5),
			.direction = rows_text(r, 6),
			.actor = rows_text(r, 7),
			.why = rows_text(r, 8),
		};

		rc = got < 0 ? -1 : fn(&h, arg);
	}
	rows_end(&r);
	return rc;
}

int store_history_last(struct store *st, int64_t *out, struct err *e)
{
	return db_query_int(st->db, "SELECT COALESCE(MAX(id), 0) FROM history", NO_ARGS, out,
			    e) < 0
		       ? -1
		       : 0;
}
