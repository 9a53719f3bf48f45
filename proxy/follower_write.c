/* Hides: which order becomes which row, and which go together in one transaction. */
#include "proxy/follower_impl.h"

#include "common/build.h"
#include "common/clock.h"
#include "common/store_learned.h"
#include "common/store_shadow.h"
#include "common/store_uidl.h"
#include "common/store_usage.h"
#include "common/store_validity.h"

#define SESSION_BATCH 256 /* rows of one transaction */

int follower_mark(struct follower *f, bool leaving, struct err *e)
{
	return store_node_mark(f->store, f->proxy->node, f->incarnation, build_name(), leaving,
			       e);
}

static int undo(struct follower *f, const struct order *o, struct err *e)
{
	struct user_move m = { .name = o->name,
			       .from = o->state,
			       .to = user_undo_state(o->direction),
			       .change = o->change,
			       .retry_ms = 1000LL * f->proxy->settings->cutover.retry_s,
			       .tries = f->proxy->settings->cutover.tries,
			       .actor = f->proxy->node,
			       .why = "no verdict before hold_until" };
	int64_t change;
	enum move_result rc = store_user_move(f->store, &m, &change, e);

	if (rc == MOVE_DONE)
		log_warn(&f->about,
			 "user %s: the cutover was undone: no verdict before hold_until",
			 o->name);
	return rc == MOVE_FAILED ? -1 : 0;
}

static int answer(struct follower *f, const struct order *o, struct err *e)
{
	struct answer_row row = o->answer;

	row.doing = o->text;
	return store_answer(f->store, f->proxy->node, &row, e);
}

static int write_uses(struct follower *f, const uint32_t *counts, struct err *e)
{
	struct usage_row rows[USAGES];
	size_t n = 0;

	for (int u = 0; u < USAGES; u++)
		if (counts[u])
			rows[n++] = (struct usage_row){
				.proto = usage_is_pop3((enum usage)u) ? "pop3" : "imap",
				.extension = usage_name((enum usage)u),
				.sessions = counts[u],
			};
	return store_usage_add(f->store, rows, n, e);
}

static void find_uidl(struct follower *f, const struct order *o)
{
	struct news *n = news_new(NEWS_UIDL);

	n->name = mem_str(o->name);
	n->alias = mem_str(o->text);
	overlay_fetch(f->store, o->name, o->at, &n->uidl);
	news_post(f, n);
}

static int find_validity(struct follower *f, const struct order *o, struct err *e)
{
	struct news *n = news_new(NEWS_VALIDITY);
	int rc = store_validity_read(f->store, o->name, &n->validities, e);

	n->name = mem_str(o->name);
	n->alias = mem_str(o->text);
	n->change = o->change;
	news_post(f, n);
	return rc;
}

/* A store that does not answer is no yes. */
static int claim_shadow(struct follower *f, const struct order *o, struct err *e)
{
	struct news *n = news_new(NEWS_SHADOW);
	int rc = store_shadow_claim(f->store, o->name, &n->on, e);

	n->alias = mem_str(o->text);
	news_post(f, n);
	return rc;
}

static int carry_out(struct follower *f, const struct order *o, struct err *e)
{
	const char *node = f->proxy->node;

	switch (o->kind) {
	case ORDER_ACK:
		return store_ack(f->store, node, o->name, o->change, e);
	case ORDER_BLOCKER:
		return store_blocker(f->store, node, o->name, o->text, e);
	case ORDER_UNDO:
		return undo(f, o, e);
	case ORDER_SESSION:
		return store_sessions_write(f->store, node, &o->row, 1, e);
	case ORDER_HOLD:
		return store_hold_add(f->store, node,
				      &(struct hold_row){ .name = o->name,
							  .proto = o->proto,
							  .at = o->at,
							  .held_ms = o->held_ms,
							  .released_to = o->text },
				      e);
	case ORDER_LOGIN:
	case ORDER_DROP:
		break; /* write_past() */
	case ORDER_ANSWER:
		return answer(f, o, e);
	case ORDER_TRACE:
		break; /* write_trace() */
	case ORDER_STRANGER:
		return store_stranger(f->store, o->name, e);
	case ORDER_POP3_SEEN:
		return store_pop3_seen(f->store, o->name, e);
	case ORDER_UIDL:
		find_uidl(f, o);
		break;
	case ORDER_LEARNED:
		return store_learned_write(f->store, o->name, o->text, e);
	case ORDER_VALIDITY:
		return find_validity(f, o, e);
	case ORDER_SHADOW_CLAIM:
		return claim_shadow(f, o, e);
	case ORDER_SHADOW_ANSWER:
		return store_shadow_write(f->store, o->name, o->on, e);
	case ORDER_SHADOW_AGAIN:
		return store_shadow_again(f->store, o->name, o->at, e);
	case ORDER_USES:
		return write_uses(f, o->uses, e);
	case ORDER_LEAVING:
		return follower_mark(f, true, e);
	case ORDER_LATENCY:
		return store_latency_write(f->store, node, o->side, o->change, o->at, e);
	case ORDER_SERVER_ERROR:
		return store_server_error(f->store, o->side, o->name, clock_mono_ms() - o->at,
					  e);
	case ORDER_CERTIFICATES:
		return store_certificates_write(f->store, node, o->certificates,
						o->certificate_count, e);
	}
	return 0;
}

/* Rows of sessions that stand behind each other in the queue go in one transaction. */
static int write_sessions(struct follower *f, struct order_queue *q, struct err *e)
{
	struct session_row rows[SESSION_BATCH];
	struct order *o, *taken[SESSION_BATCH];
	size_t n = 0;
	int rc;

	while (n < SESSION_BATCH && (o = STAILQ_FIRST(q)) && o->kind == ORDER_SESSION) {
		STAILQ_REMOVE_HEAD(q, next);
		taken[n] = o;
		rows[n++] = o->row;
	}
	rc = store_sessions_write(f->store, f->proxy->node, rows, n, e);
	for (size_t i = 0; i < n; i++)
		order_free(taken[i]);
	return rc;
}

/* Logins, or drops, likewise: a node that ends drops thousands at once. */
static int write_past(struct follower *f, struct order_queue *q, struct err *e)
{
	struct login_row logins[SESSION_BATCH];
	struct drop_row drops[SESSION_BATCH];
	struct order *o, *taken[SESSION_BATCH];
	enum order_kind kind = STAILQ_FIRST(q)->kind;
	size_t n = 0;
	int rc;

	while (n < SESSION_BATCH && (o = STAILQ_FIRST(q)) && o->kind == kind) {
		STAILQ_REMOVE_HEAD(q, next);
		if (kind == ORDER_LOGIN)
			logins[n] = *o->login;
		else
			drops[n] = *o->drop;
		taken[n++] = o;
	}
	if (kind == ORDER_LOGIN)
		rc = store_logins_write(f->store, f->proxy->node, logins, n, e);
	else
		rc = store_drops_write(f->store, f->proxy->node, drops, n, e);
	for (size_t i = 0; i < n; i++)
		order_free(taken[i]);
	return rc;
}

/* Lines of one trace that stand behind each other, likewise. */
static int write_trace(struct follower *f, struct order_queue *q, struct err *e)
{
	struct trace_line lines[SESSION_BATCH];
	struct order *o, *taken[SESSION_BATCH];
	int64_t trace = STAILQ_FIRST(q)->trace;
	size_t n = 0;
	struct news *over;
	int rc;

	while (n < SESSION_BATCH && (o = STAILQ_FIRST(q)) && o->kind == ORDER_TRACE &&
	       o->trace == trace) {
		STAILQ_REMOVE_HEAD(q, next);
		taken[n] = o;
		lines[n++] = (struct trace_line){
			.at = o->line.at, .session = o->name, .way = o->proto, .line = o->text
		};
	}
	rc = store_trace_write(f->store, f->proxy->node, trace, lines, n, e);
	if (rc == 0) {
		over = news_new(NEWS_TRACE_OVER);
		over->trace = trace;
		news_post(f, over);
	}
	for (size_t i = 0; i < n; i++)
		order_free(taken[i]);
	return rc < 0 ? -1 : 0;
}

static bool waits_for_store(const struct order *o)
{
	return o->kind == ORDER_POP3_SEEN || o->kind == ORDER_SERVER_ERROR ||
	       o->kind == ORDER_LEARNED || o->kind == ORDER_SHADOW_ANSWER;
}

static bool is_queued(const struct follower *f, const struct order *o)
{
	const struct order *q;

	STAILQ_FOREACH(q, &f->orders, next)
		if (q->kind == o->kind && q->side == o->side && strcmp(q->name, o->name) == 0)
			return true;
	return false;
}

/* Somebody could be moved for want of it, without a map or by what an ill server lists, or could
 * not be copied; and what is said once a day would not be said again today. So it is, until it is
 * heard. A later one of the same user says more. */
static bool say_again(struct follower *f, struct order *o)
{
	bool again;

	pthread_mutex_lock(&f->lock);
	again = waits_for_store(o) && !f->stop && !is_queued(f, o);
	if (again)
		STAILQ_INSERT_TAIL(&f->orders, o, next);
	pthread_mutex_unlock(&f->lock);
	return again;
}

/* An acknowledgement that cannot be written is not lost silently: the cutover waits for it and
 * is undone. */
int orders_write(struct follower *f, struct err *e)
{
	struct order_queue mine = STAILQ_HEAD_INITIALIZER(mine);
	struct order *o;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	STAILQ_CONCAT(&mine, &f->orders);
	pthread_mutex_unlock(&f->lock);
	while ((o = STAILQ_FIRST(&mine))) {
		if (o->kind == ORDER_SESSION) {
			rc |= write_sessions(f, &mine, e);
			continue;
		}
		if (o->kind == ORDER_LOGIN || o->kind == ORDER_DROP) {
			rc |= write_past(f, &mine, e);
			continue;
		}
		if (o->kind == ORDER_TRACE) {
			rc |= write_trace(f, &mine, e);
			continue;
		}
		STAILQ_REMOVE_HEAD(&mine, next);
		if (carry_out(f, o, e) < 0) {
			rc = -1;
			if (say_again(f, o))
				continue;
		}
		order_free(o);
	}
	return rc;
}
