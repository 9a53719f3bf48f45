/* Hides: a small memory of addresses and lists, and how lists are cut with each other. */
#include "proxy/caps.h"

#include <sys/socket.h>

#include "common/clock.h"
#include "common/wire/imap.h"
#include "common/wire/pop3.h"

struct told {
	struct sockaddr_storage by;
	socklen_t len;
	int64_t at_ms; /* monotonic */
	char *list;    /* NULL: the row is free */
	bool doubted;
};

static const char *const pop3_lines[] = { "TOP", "UIDL", "PIPELINING" };

struct caps {
	struct told told[SIDES][PROTOS][CAPS_ADDRESSES];
	/* what follows from them for clients, so that a greeting costs nothing */
	struct buf imap;
	bool passwords[PROTOS], mechs[PROTOS][SASL_MECHS], pop3[COUNT(pop3_lines)];
};

struct caps *caps_new(void)
{
	struct caps *c = mem_new(sizeof *c);

	caps_refresh(c);
	return c;
}

void caps_free(struct caps **c)
{
	if (!*c)
		return;
	for (int side = 0; side < SIDES; side++)
		for (int proto = 0; proto < PROTOS; proto++)
			for (size_t i = 0; i < CAPS_ADDRESSES; i++)
				free((*c)->told[side][proto][i].list);
	buf_release(&(*c)->imap);
	mem_free(c);
}

/* ---- one address */

static int peer_of(int fd, struct told *out)
{
	*out = (struct told){ .len = sizeof out->by };
	return getpeername(fd, (struct sockaddr *)&out->by, &out->len);
}

static struct told *find(struct caps *c, enum side side, enum protocol_kind proto, int fd)
{
	struct told *rows = c->told[side][proto], peer;

	if (peer_of(fd, &peer) < 0)
		return NULL;
	for (size_t i = 0; i < CAPS_ADDRESSES; i++)
		if (rows[i].list && rows[i].len == peer.len &&
		    memcmp(&rows[i].by, &peer.by, peer.len) == 0)
			return &rows[i];
	return NULL;
}

/* A free row, or the one that was not heard of for longest. */
static struct told *take_row(struct caps *c, enum side side, enum protocol_kind proto)
{
	struct told *rows = c->told[side][proto], *oldest = &rows[0];

	for (size_t i = 0; i < CAPS_ADDRESSES; i++) {
		if (!rows[i].list)
			return &rows[i];
		if (rows[i].at_ms < oldest->at_ms)
			oldest = &rows[i];
	}
	return oldest;
}

void caps_learn(struct caps *c, enum side side, enum protocol_kind proto, int fd,
		struct slice list)
{
	struct told *row = find(c, side, proto, fd), peer;

	if (list.n == 0 || list.n > CAPS_LIST_MAX || peer_of(fd, &peer) < 0)
		return;
	if (row && slice_is(list, row->list)) {
		row->at_ms = clock_mono_ms();
		row->doubted = false;
		return;
	}
	if (!row)
		row = take_row(c, side, proto);
	free(row->list);
	peer.list = mem_strn(list.p, list.n);
	peer.at_ms = clock_mono_ms();
	*row = peer;
	caps_refresh(c);
}

struct slice caps_recall(struct caps *c, enum side side, enum protocol_kind proto, int fd)
{
	struct told *row = find(c, side, proto, fd);

	if (!row || row->doubted || clock_mono_ms() - row->at_ms > CAPS_AGE_MS)
		return SLICE("");
	return slice_of(row->list);
}

void caps_doubt(struct caps *c, enum side side, enum protocol_kind proto, int fd)
{
	struct told *row = find(c, side, proto, fd);

	if (row)
		row->doubted = true;
}

/* ---- all of them */

typedef bool list_fn(struct slice list, const void *arg);

static int64_t newest(const struct told *rows)
{
	int64_t at = -1;

	for (size_t i = 0; i < CAPS_ADDRESSES; i++)
		if (rows[i].list)
			at = MAX(at, rows[i].at_ms);
	return at;
}

/*
 * Is it true of every list of both servers? `unknown` is the answer while one of them was not
 * heard. What a server told last counts for ever: it may only be down.
 */
static bool all(const struct caps *c, enum protocol_kind proto, list_fn *holds, const void *arg,
		bool unknown)
{
	int64_t now = clock_mono_ms();

	for (int side = 0; side < SIDES; side++) {
		const struct told *rows = c->told[side][proto];
		int64_t last = newest(rows);

		if (last < 0)
			return unknown;
		for (size_t i = 0; i < CAPS_ADDRESSES; i++)
			if (rows[i].list &&
			    (rows[i].at_ms == last || now - rows[i].at_ms < CAPS_STALE_MS) &&
			    !holds(slice_of(rows[i].list), arg))
				return false;
	}
	return true;
}

/* A server that names no way in but tokens takes none of its users' passwords. */
static bool imap_takes_passwords(struct slice list, const void *arg UNUSED)
{
	return !imap_capability_has(list, "LOGINDISABLED") ||
	       imap_capability_has(list, "AUTH=PLAIN") ||
	       imap_capability_has(list, "AUTH=LOGIN");
}

static bool pop3_takes_passwords(struct slice list, const void *arg UNUSED)
{
	return !pop3_capa_has(list, "SASL") || pop3_capa_has(list, "USER") ||
	       pop3_capa_sasl(list, "PLAIN") || pop3_capa_sasl(list, "LOGIN");
}

static bool imap_has(struct slice list, const void *word)
{
	return imap_capability_has(list, word);
}

static bool pop3_has(struct slice list, const void *line)
{
	return pop3_capa_has(list, line);
}

static bool pop3_has_mech(struct slice list, const void *name)
{
	return pop3_capa_sasl(list, name);
}

static bool all_have_mech(const struct caps *c, enum protocol_kind proto, enum sasl_mech m)
{
	char word[32];

	if (proto == PROTO_POP3)
		return all(c, proto, pop3_has_mech, sasl_mech_name(m), false);
	snprintf(word, sizeof word, "AUTH=%s", sasl_mech_name(m));
	return all(c, proto, imap_has, word, false);
}

/* Ours to say before login, whatever the servers say. */
static bool is_our_own(const char *word)
{
	static const char *const words[] = { "IMAP4REV1", "SASL-IR", "ID", "LITERAL+",
					     "LITERAL-" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (slice_is_nocase(slice_of(word), words[i]))
			return true;
	return false;
}

/* Any list will do to start from: what counts is in all of them. */
static struct slice any_list(const struct caps *c, enum protocol_kind proto)
{
	const struct told *rows = c->told[SIDE_OLD][proto];
	int64_t last = newest(rows);

	for (size_t i = 0; i < CAPS_ADDRESSES; i++)
		if (rows[i].list && rows[i].at_ms == last)
			return slice_of(rows[i].list);
	return SLICE("");
}

static void refresh_imap(struct caps *c)
{
	struct buf allowed = { 0 };
	char *word, *rest;

	imap_capability_filter(any_list(c, PROTO_IMAP), &allowed);
	buf_add(&allowed, "", 1);
	rest = allowed.at;
	buf_drain(&c->imap, buf_len(&c->imap));
	while ((word = strsep(&rest, " ")))
		if (*word && !is_our_own(word) && all(c, PROTO_IMAP, imap_has, word, false))
			buf_printf(&c->imap, " %s", word);
	buf_release(&allowed);
}

void caps_refresh(struct caps *c)
{
	refresh_imap(c);
	for (size_t i = 0; i < COUNT(pop3_lines); i++)
		c->pop3[i] = all(c, PROTO_POP3, pop3_has, pop3_lines[i], false);
	c->passwords[PROTO_IMAP] = all(c, PROTO_IMAP, imap_takes_passwords, NULL, true);
	c->passwords[PROTO_POP3] = all(c, PROTO_POP3, pop3_takes_passwords, NULL, true);
	for (int p = 0; p < PROTOS; p++)
		for (int m = 0; m < SASL_MECHS; m++)
			c->mechs[p][m] =
				all_have_mech(c, (enum protocol_kind)p, (enum sasl_mech)m);
}

bool caps_offer_passwords(const struct caps *c, enum protocol_kind proto)
{
	return c->passwords[proto];
}

bool caps_offer_mech(const struct caps *c, enum protocol_kind proto, enum sasl_mech m)
{
	return c->mechs[proto][m];
}

struct slice caps_offer_imap(const struct caps *c)
{
	return buf_slice(&c->imap);
}

bool caps_offer_pop3(const struct caps *c, const char *name)
{
	for (size_t i = 0; i < COUNT(pop3_lines); i++)
		if (strcmp(name, pop3_lines[i]) == 0)
			return c->pop3[i];
	return false;
}
