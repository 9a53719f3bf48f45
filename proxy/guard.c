/* Hides: a keyed hash table, who may be forgotten, and the arithmetic of waiting. */
#include "proxy/guard.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/clock.h"

#define KEY_BYTES      16
#define IPV6_NET_BYTES 8 /* a /64: one customer's */
#define FIRST_BUCKETS  256

enum kind { ADDRESS, USER, PAIR };

struct guard_entry {
	struct guard_entry *next; /* in its bucket */
	TAILQ_ENTRY(guard_entry) age;
	unsigned char key[KEY_BYTES];
	enum kind kind;
	unsigned pins;	  /* sessions that hold it */
	unsigned preauth; /* of the address */
	unsigned inside;  /* of the address, if limits.sessions_per_address is set */
	unsigned pending, failures;
	bool familiar;	    /* PAIR: got in before */
	int64_t not_before; /* the next login */
	int64_t halved_ms;
};

struct guard {
	struct proxy *proxy;
	unsigned char seed[KEY_BYTES];
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
	struct guard_entry **buckets;
	size_t bucket_count, count;
	TAILQ_HEAD(age_list, guard_entry) by_age; /* no session holds them; oldest first */
};

/* ---- the table */

static void hash(struct guard *g, const void *a, size_t an, const void *b, size_t bn,
		 unsigned char out[KEY_BYTES])
{
	size_t size = KEY_BYTES, n = 0;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t("size", &size),
				OSSL_PARAM_construct_end() };

	if (EVP_MAC_init(g->ctx, g->seed, sizeof g->seed, params) != 1 ||
	    EVP_MAC_update(g->ctx, a, an) != 1 || EVP_MAC_update(g->ctx, b, bn) != 1 ||
	    EVP_MAC_final(g->ctx, out, &n, KEY_BYTES) != 1 || n != KEY_BYTES)
		BUG("OpenSSL computes no SipHash");
}

static struct guard_entry **bucket_of(const struct guard *g, const unsigned char *key)
{
	uint64_t h;

	memcpy(&h, key, sizeof h);
	return &g->buckets[h & (g->bucket_count - 1)];
}

static void grow(struct guard *g)
{
	struct guard_entry **old = g->buckets, *e, *next;
	size_t n = g->bucket_count;

	g->bucket_count = n ? 2 * n : FIRST_BUCKETS;
	g->buckets = mem_array(g->bucket_count, sizeof *g->buckets);
	for (size_t i = 0; i < n; i++)
		for (e = old[i]; e; e = next) {
			struct guard_entry **to = bucket_of(g, e->key);

			next = e->next;
			e->next = *to;
			*to = e;
		}
	free(old);
}

static struct guard_entry *find(const struct guard *g, const unsigned char *key)
{
	struct guard_entry *e = *bucket_of(g, key);

	while (e && memcmp(e->key, key, KEY_BYTES) != 0)
		e = e->next;
	return e;
}

static void forget(struct guard *g, struct guard_entry *e)
{
	struct guard_entry **at = bucket_of(g, e->key);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	g->count--;
	free(e);
}

/* Entries that sessions hold stay: there are no more of them than sessions. */
static void make_room(struct guard *g)
{
	size_t max = (size_t)g->proxy->settings->limits.tracked;
	struct guard_entry *e;

	while (g->count >= max && (e = TAILQ_FIRST(&g->by_age))) {
		TAILQ_REMOVE(&g->by_age, e, age);
		forget(g, e);
		meter_limit(g->proxy, LIMIT_TRACKED);
	}
}

static struct guard_entry *hold(struct guard *g, enum kind kind, const unsigned char *key)
{
	struct guard_entry *e = find(g, key), **to;

	if (e) {
		if (e->pins++ == 0)
			TAILQ_REMOVE(&g->by_age, e, age);
		return e;
	}
	make_room(g);
	if (g->count >= g->bucket_count)
		grow(g);
	e = mem_new(sizeof *e);
	memcpy(e->key, key, KEY_BYTES);
	e->kind = kind;
	e->pins = 1;
	to = bucket_of(g, key);
	e->next = *to;
	*to = e;
	g->count++;
	return e;
}

static void let_go(struct guard *g, struct guard_entry **ep)
{
	struct guard_entry *e = *ep;

	*ep = NULL;
	if (!e || --e->pins > 0)
		return;
	if (e->failures || e->familiar)
		TAILQ_INSERT_TAIL(&g->by_age, e, age);
	else
		forget(g, e);
}

/* ---- keys */

static void address_key(struct guard *g, const struct endpoint *from,
			unsigned char out[KEY_BYTES])
{
	hash(g, "a", 1, from->ip, endpoint_is_v4(from) ? sizeof from->ip : IPV6_NET_BYTES, out);
}

static struct guard_entry *hold_pair(struct guard *g, const struct guarded *s, const char *user,
				     bool make)
{
	unsigned char place[KEY_BYTES + 1] = { 'p' }, key[KEY_BYTES];

	if (s->address)
		memcpy(place + 1, s->address->key, KEY_BYTES);
	hash(g, place, sizeof place, user, strlen(user), key);
	return make || find(g, key) ? hold(g, PAIR, key) : NULL;
}

static struct guard_entry *hold_user(struct guard *g, const struct guarded *s, const char *user)
{
	struct guard_entry *pair = hold_pair(g, s, user, false);
	unsigned char key[KEY_BYTES];

	if (pair)
		return pair;
	hash(g, "u", 1, user, strlen(user), key);
	return hold(g, USER, key);
}

/* ---- waiting */

static unsigned free_failures(const struct guard_entry *e)
{
	return e->kind == ADDRESS ? GUARD_ADDRESS_FREE : GUARD_USER_FREE;
}

static void fade(struct guard_entry *e, int64_t now)
{
	while (e->failures && now - e->halved_ms >= GUARD_HALVE_MS) {
		e->failures /= 2;
		e->halved_ms += GUARD_HALVE_MS;
	}
}

static int64_t delay_ms(const struct guard *g, const struct guard_entry *e)
{
	int64_t most = 1000LL * g->proxy->settings->limits.login_delay_s;
	unsigned doubled = e->failures - free_failures(e) - 1;

	if (e->failures <= free_failures(e))
		return 0;
	return doubled > 10 ? most : MIN(most, 1000LL << doubled);
}

static int64_t wait_ms(const struct guard *g, struct guard_entry *e, enum limit *by)
{
	int64_t now = clock_mono_ms();
	unsigned most = (unsigned)g->proxy->settings->limits.login_parallel;

	if (!e)
		return 0;
	fade(e, now);
	if (e->failures > free_failures(e)) {
		most = 1;
		*by = LIMIT_LOGIN_DELAY_S;
		if (e->not_before > now)
			return e->not_before - now;
	} else {
		*by = LIMIT_LOGIN_PARALLEL;
	}
	return e->pending >= most ? GUARD_PACE_MS : 0;
}

/* ---- public */

struct guard *guard_new(struct proxy *p)
{
	struct guard *g = mem_new(sizeof *g);

	g->proxy = p;
	TAILQ_INIT(&g->by_age);
	g->mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	g->ctx = g->mac ? EVP_MAC_CTX_new(g->mac) : NULL;
	if (!g->ctx || RAND_bytes(g->seed, sizeof g->seed) != 1)
		BUG("OpenSSL has no SipHash or no randomness");
	grow(g);
	return g;
}

void guard_free(struct guard **gp)
{
	struct guard *g = *gp;
	struct guard_entry *e, *next;

	if (!g)
		return;
	*gp = NULL;
	for (size_t i = 0; i < g->bucket_count; i++)
		for (e = g->buckets[i]; e; e = next) {
			next = e->next;
			free(e);
		}
	free(g->buckets);
	EVP_MAC_CTX_free(g->ctx);
	EVP_MAC_free(g->mac);
	free(g);
}

size_t guard_count(const struct guard *g)
{
	return g->count;
}

int guard_arrive(struct guard *g, struct guarded *s, const struct endpoint *from)
{
	unsigned char key[KEY_BYTES];

	if (networks_have(g->proxy->settings->limits.trusted, from)) {
		meter_limit(g->proxy, LIMIT_TRUSTED);
		return 0;
	}
	address_key(g, from, key);
	s->address = hold(g, ADDRESS, key);
	if (s->address->preauth < (unsigned)g->proxy->settings->limits.preauth_per_address) {
		s->address->preauth++;
		return 0;
	}
	let_go(g, &s->address);
	return -1;
}

int64_t guard_ask(struct guard *g, struct guarded *s, const char *user, enum limit *by)
{
	enum limit by_user = LIMIT_LOGIN_PARALLEL;
	int64_t address, own;

	ASSERT(!s->pending);
	let_go(g, &s->user);
	s->user = hold_user(g, s, user);
	address = wait_ms(g, s->address, by);
	own = wait_ms(g, s->user, &by_user);
	if (own > address)
		*by = by_user;
	if (own || address) {
		let_go(g, &s->user);
		return MAX(own, address);
	}
	s->pending = true;
	s->user->pending++;
	if (s->address)
		s->address->pending++;
	return 0;
}

static void fail(struct guard *g, struct guard_entry *e)
{
	int64_t now = clock_mono_ms();

	if (e->failures++ == 0)
		e->halved_ms = now;
	e->not_before = now + delay_ms(g, e);
}

static void settle(struct guard *g, struct guard_entry *e, enum guard_verdict v)
{
	if (!e)
		return;
	e->pending--;
	switch (v) {
	case GUARD_WRONG:
		fail(g, e);
		break;
	case GUARD_RIGHT:
		e->failures = e->kind == ADDRESS ? e->failures / 2 : 0;
		e->not_before = 0;
		break;
	case GUARD_UNKNOWN:
		break;
	}
}

static void make_familiar(struct guard *g, const struct guarded *s, const char *user)
{
	struct guard_entry *pair = hold_pair(g, s, user, true);

	pair->familiar = true;
	let_go(g, &pair);
}

void guard_settle(struct guard *g, struct guarded *s, const char *user, enum guard_verdict v)
{
	if (!s->pending)
		return;
	s->pending = false;
	if (v == GUARD_RIGHT)
		make_familiar(g, s, user);
	settle(g, s->address, v);
	settle(g, s->user, v);
	let_go(g, &s->user);
}

int guard_enter(struct guard *g, struct guarded *s)
{
	unsigned most = (unsigned)g->proxy->settings->limits.sessions_per_address;

	if (!s->address)
		return 0;
	if (most && s->address->inside >= most)
		return -1;
	s->address->preauth--;
	if (most) {
		s->address->inside++;
		s->inside = true;
	} else {
		let_go(g, &s->address);
	}
	return 0;
}

void guard_leave(struct guard *g, struct guarded *s)
{
	guard_settle(g, s, NULL, GUARD_UNKNOWN);
	if (!s->address)
		return;
	if (s->inside)
		s->address->inside--;
	else
		s->address->preauth--;
	s->inside = false;
	let_go(g, &s->address);
}
