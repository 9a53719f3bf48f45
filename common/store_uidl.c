/* Hides: that a map is kept in parts, so that 100,000 messages are some dozen rows. */
#include "common/store_driver.h"
#include "common/store_uidl.h"

#include <openssl/evp.h>

#define COLUMNS "seen, mapped_at, complete, accepted, entries, missing, bytes, digest, why"

int store_pop3_seen(struct store *st, const char *name, struct err *e)
{
	return db_run(st->db,
		      "INSERT INTO pop3_users (name, seen) VALUES (?1, ?2)"
		      " ON CONFLICT (name) DO UPDATE SET seen = excluded.seen",
		      ARGS(TEXT(name), INT(db_now_ms(st->db))), e) < 0
		       ? -1
		       : 0;
}

static void read_state(const struct rows *r, struct uidl_state *out)
{
	*out = (struct uidl_state){
		.seen = rows_int(r, 0),
		.mapped_at = rows_int(r, 1),
		.complete = rows_int(r, 2),
		.accepted = rows_int(r, 3),
		.entries = rows_int(r, 4),
		.missing = rows_int(r, 5),
		.bytes = rows_int(r, 6),
	};
	snprintf(out->digest, sizeof out->digest, "%s", rows_text(r, 7));
	snprintf(out->why, sizeof out->why, "%s", rows_text(r, 8));
}

int store_uidl_state(struct store *st, const char *name, struct uidl_state *out, struct err *e)
{
	struct rows *r = db_query(st->db, "SELECT " COLUMNS " FROM pop3_users WHERE name = ?1",
				  ARGS(TEXT(name)), e);
	int got;

	*out = (struct uidl_state){ 0 };
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		read_state(r, out);
	rows_end(&r);
	return got < 0 ? -1 : 0;
}

bool store_uidl_serves(const struct uidl_state *s)
{
	return !s->seen || (s->mapped_at && s->complete) || s->accepted;
}

/* ---- the map */

static void digest_parts(const struct slice *parts, size_t n, char out[STORE_DIGEST_MAX])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned size = 0;

	if (!c || !EVP_DigestInit_ex(c, EVP_sha256(), NULL))
		BUG("no SHA-256");
	for (size_t i = 0; i < n; i++)
		EVP_DigestUpdate(c, parts[i].p, parts[i].n);
	EVP_DigestFinal_ex(c, raw, &size);
	EVP_MD_CTX_free(c);
	ASSERT(2 * size < STORE_DIGEST_MAX);
	for (unsigned i = 0; i < size; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static int write_part(struct db *db, const char *name, size_t at, struct slice body,
		      struct err *e)
{
	char *text = mem_strn(body.p, body.n);
	int rc = db_run(db, "INSERT INTO pop3_parts (name, part, body) VALUES (?1, ?2, ?3)",
			ARGS(TEXT(name), INT((int64_t)at), TEXT(text)), e);

	free(text);
	return rc < 0 ? -1 : 0;
}

static int write_parts(struct db *db, const char *name, const struct slice *parts, size_t n,
		       struct err *e)
{
	char digest[STORE_DIGEST_MAX];
	int64_t bytes = 0, same;
	int got;

	/* Most passes find what is there. */
	digest_parts(parts, n, digest);
	got = db_query_int(
		db,
		"SELECT 1 FROM pop3_users WHERE name = ?1 AND digest = ?2 AND bytes ="
		" (SELECT COALESCE(SUM(LENGTH(body)), 0) FROM pop3_parts"
		" WHERE pop3_parts.name = pop3_users.name)",
		ARGS(TEXT(name), TEXT(digest)), &same, e);
	if (got)
		return got < 0 ? -1 : 0;
	if (db_run(db, "DELETE FROM pop3_parts WHERE name = ?1", ARGS(TEXT(name)), e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bytes += (int64_t)parts[i].n;
		if (write_part(db, name, i, parts[i], e) < 0)
			return -1;
	}
	return db_run(db, "UPDATE pop3_users SET bytes = ?2, digest = ?3 WHERE name = ?1",
		      ARGS(TEXT(name), INT(bytes), TEXT(digest)), e) < 0
		       ? -1
		       : 0;
}

/* A complete map needs nobody's indulgence, and the next one shall not inherit it. */
static int write_state(struct db *db, const char *name, const struct uidl_state *s,
		       bool with_map, struct err *e)
{
	return db_run(db,
		      "INSERT INTO pop3_users (name, mapped_at, complete, entries, missing, why)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET"
		      " mapped_at = excluded.mapped_at, complete = excluded.complete,"
		      " entries = CASE WHEN ?7 = 1 THEN excluded.entries ELSE pop3_users.entries"
		      " END, missing = excluded.missing,"
		      " why = excluded.why, accepted = CASE WHEN excluded.complete = 1 THEN 0"
		      " ELSE pop3_users.accepted END",
		      ARGS(TEXT(name), INT(db_now_ms(db)), INT(s->complete),
			   INT(with_map ? s->entries : 0), INT(s->missing), TEXT(s->why),
			   INT(with_map)),
		      e) < 0
		       ? -1
		       : 0;
}

int store_uidl_write(struct store *st, const char *name, const struct uidl_state *s,
		     const struct slice *parts, size_t n, struct err *e)
{
	if (store_begin_work_on(st, name, e) < 0)
		return -1;
	if (write_state(st->db, name, s, parts != NULL, e) < 0 ||
	    (parts && write_parts(st->db, name, parts, n, e) < 0))
		return db_rollback(st->db);
	return db_commit(st->db, e);
}

int store_uidl_accept(struct store *st, const char *name, bool yes, struct err *e)
{
	return db_run(st->db,
		      "INSERT INTO pop3_users (name, accepted) VALUES (?1, ?2)"
		      " ON CONFLICT (name) DO UPDATE SET accepted = excluded.accepted",
		      ARGS(TEXT(name), INT(yes)), e) < 0
		       ? -1
		       : 0;
}

int store_uidls_accept(struct store *st, char *const *names, size_t n, bool yes, struct err *e)
{
	int rc = db_begin(st->db, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = store_uidl_accept(st, names[i], yes, e);
	return rc < 0 ? db_rollback(st->db) : db_commit(st->db, e);
}

/* ---- for a node */

static int read_parts(struct store *st, const char *name, int64_t most, struct buf *map,
		      struct err *e)
{
	struct rows *r =
		db_query(st->db, "SELECT body FROM pop3_parts WHERE name = ?1 ORDER BY part",
			 ARGS(TEXT(name)), e);
	int got;

	if (!r)
		return -1;
	while ((got = rows_next(r, e)) > 0 && (int64_t)buf_len(map) <= most)
		buf_add_str(map, rows_text(r, 0));
	rows_end(&r);
	return got < 0 ? -1 : 0;
}

int store_uidl_read(struct store *st, const char *name, int64_t most, struct uidl_state *out,
		    struct buf *map, struct err *e)
{
	char digest[STORE_DIGEST_MAX];
	struct slice whole;

	if (store_uidl_state(st, name, out, e) < 0)
		return -1;
	if (!out->mapped_at || out->bytes == 0 || out->bytes > most)
		return 0;
	(void)buf_room(map, (size_t)out->bytes);
	if (read_parts(st, name, out->bytes, map, e) < 0)
		return -1;
	whole = buf_slice(map);
	digest_parts(&whole, 1, digest);
	if (strcmp(digest, out->digest) != 0)
		return err_set(e, ERR_TEMP, "the map of unique ids of %s does not add up",
			       name);
	return 0;
}
