/* Hides: the queue from the loop to the follower's thread. */
#include "proxy/follower_impl.h"

void order_free(struct order *o)
{
	free(o->name);
	free(o->text);
	free(o->proto);
	free(o->uses);
	login_row_free(&o->login);
	drop_row_free(&o->drop);
	free((char *)(uintptr_t)o->row.id);
	free((char *)(uintptr_t)o->row.name);
	free((char *)(uintptr_t)o->row.peer);
	free((char *)(uintptr_t)o->row.doing);
	free((char *)(uintptr_t)o->row.client);
	free((char *)(uintptr_t)o->row.route);
	for (size_t i = 0; i < o->certificate_count; i++)
		free((char *)(uintptr_t)o->certificates[i].name);
	free(o->certificates);
	free(o);
}

void orders_drop(struct follower *f)
{
	struct order_queue mine = STAILQ_HEAD_INITIALIZER(mine);
	struct order *o;

	pthread_mutex_lock(&f->lock);
	STAILQ_CONCAT(&mine, &f->orders);
	pthread_mutex_unlock(&f->lock);
	while ((o = STAILQ_FIRST(&mine))) {
		STAILQ_REMOVE_HEAD(&mine, next);
		order_free(o);
	}
}

/* ---- called by the loop */

static void send_order(struct follower *f, struct order o)
{
	struct order *mine = mem_new(sizeof *mine);

	*mine = o;
	pthread_mutex_lock(&f->lock);
	STAILQ_INSERT_TAIL(&f->orders, mine, next);
	pthread_mutex_unlock(&f->lock);
	follower_ring(f->orders_fd);
}

void follower_ack(struct follower *f, const char *name, int64_t change)
{
	send_order(f, (struct order){
			      .kind = ORDER_ACK, .name = mem_str(name), .change = change });
}

void follower_blocker(struct follower *f, const char *name, const char *text)
{
	send_order(f, (struct order){ .kind = ORDER_BLOCKER,
				      .name = mem_str(name),
				      .text = mem_str(text) });
}

void follower_undo(struct follower *f, const char *name, enum user_state state,
		   enum direction d, int64_t change)
{
	send_order(f, (struct order){ .kind = ORDER_UNDO,
				      .name = mem_str(name),
				      .state = state,
				      .direction = d,
				      .change = change });
}

void follower_session(struct follower *f, const struct session_row *row)
{
	struct order o = { .kind = ORDER_SESSION, .row = *row };

	o.row.id = mem_str(row->id);
	o.row.name = mem_str(row->name);
	o.row.peer = mem_str(row->peer);
	o.row.doing = mem_str(row->doing);
	o.row.client = mem_str(row->client);
	o.row.route = mem_str(row->route);
	send_order(f, o);
}

void follower_hold(struct follower *f, const char *name, const char *proto, int64_t at,
		   int64_t held_ms, const char *released_to)
{
	send_order(f, (struct order){ .kind = ORDER_HOLD,
				      .name = mem_str(name),
				      .proto = mem_str(proto),
				      .text = mem_str(released_to),
				      .at = at,
				      .held_ms = held_ms });
}

void follower_login(struct follower *f, const struct login_row *l)
{
	send_order(f, (struct order){ .kind = ORDER_LOGIN, .login = login_row_copy(l) });
}

void follower_drop(struct follower *f, const struct drop_row *d)
{
	send_order(f, (struct order){ .kind = ORDER_DROP, .drop = drop_row_copy(d) });
}

void follower_trace(struct follower *f, int64_t trace, const struct trace_line *l)
{
	send_order(f, (struct order){ .kind = ORDER_TRACE,
				      .trace = trace,
				      .line = { .at = l->at },
				      .name = mem_str(l->session),
				      .proto = mem_str(l->way),
				      .text = mem_str(l->line) });
}

void follower_answer(struct follower *f, const struct answer_row *a)
{
	send_order(f, (struct order){
			      .kind = ORDER_ANSWER, .answer = *a, .text = mem_str(a->doing) });
}

void follower_stranger(struct follower *f, const char *name)
{
	send_order(f, (struct order){ .kind = ORDER_STRANGER, .name = mem_str(name) });
}

void follower_pop3_seen(struct follower *f, const char *name)
{
	send_order(f, (struct order){ .kind = ORDER_POP3_SEEN, .name = mem_str(name) });
}

void follower_uidl(struct follower *f, const char *name, const char *session, int64_t most)
{
	send_order(f, (struct order){ .kind = ORDER_UIDL,
				      .name = mem_str(name),
				      .text = mem_str(session),
				      .at = most });
}

void follower_learned(struct follower *f, const char *name, const char *sealed)
{
	send_order(f, (struct order){ .kind = ORDER_LEARNED,
				      .name = mem_str(name),
				      .text = mem_str(sealed) });
}

void follower_validity(struct follower *f, const char *name, const char *session,
		       int64_t change)
{
	send_order(f, (struct order){ .kind = ORDER_VALIDITY,
				      .name = mem_str(name),
				      .text = mem_str(session),
				      .change = change });
}

void follower_shadow_claim(struct follower *f, const char *name, const char *session)
{
	send_order(f, (struct order){ .kind = ORDER_SHADOW_CLAIM,
				      .name = mem_str(name),
				      .text = mem_str(session) });
}

void follower_shadow_answer(struct follower *f, const char *name, bool accepted)
{
	send_order(f, (struct order){ .kind = ORDER_SHADOW_ANSWER,
				      .name = mem_str(name),
				      .on = accepted });
}

void follower_shadow_again(struct follower *f, const char *name, int64_t after_ms)
{
	send_order(f, (struct order){ .kind = ORDER_SHADOW_AGAIN,
				      .name = mem_str(name),
				      .at = after_ms });
}

void follower_uses(struct follower *f, const uint32_t counts[USAGES])
{
	size_t size = USAGES * sizeof *counts;
	struct order o = { .kind = ORDER_USES, .uses = mem_new(size) };

	memcpy(o.uses, counts, size);
	send_order(f, o);
}

void follower_latency(struct follower *f, enum side side, int64_t commands, int64_t typical_us)
{
	send_order(f, (struct order){ .kind = ORDER_LATENCY,
				      .side = side,
				      .change = commands,
				      .at = typical_us });
}

void follower_server_error(struct follower *f, enum side side, const char *name,
			   int64_t heard_ms)
{
	send_order(f, (struct order){ .kind = ORDER_SERVER_ERROR,
				      .side = side,
				      .name = mem_str(name),
				      .at = heard_ms });
}

void follower_leaving(struct follower *f)
{
	send_order(f, (struct order){ .kind = ORDER_LEAVING });
}

void follower_certificates(struct follower *f, const struct certificate_row *rows, size_t n)
{
	struct certificate_row *mine = mem_array(n, sizeof *mine);

	for (size_t i = 0; i < n; i++)
		mine[i] = (struct certificate_row){ mem_str(rows[i].name), rows[i].not_after };
	send_order(f, (struct order){ .kind = ORDER_CERTIFICATES,
				      .certificates = mine,
				      .certificate_count = n });
}
