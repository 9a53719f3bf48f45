/* Hides: how logins and sessions become who reads how. */
#include "common/store_driver.h"
#include "common/store_past.h"

int store_access_each(struct store *st, const char *wave, const char *after, int64_t users,
		      store_access_fn *fn, void *arg, struct err *e)
{
	/*
	 * A client often tells its name behind its login: only its session knows it. The users
	 * come first, so that only their logins are read.
	 */
	struct rows *r = db_query(
		st->db,
		"WITH u AS (SELECT name, wave, state FROM users WHERE (?1 = 0 OR wave = ?2)"
		" AND name > ?3 ORDER BY name LIMIT ?4)"
		" SELECT name, wave, state, proto, client, SUM(n), MAX(at) FROM"
		" (SELECT u.name, wave, state, proto, client, at, 1 AS n FROM u"
		" JOIN logins ON logins.name = u.name WHERE result = 'ok'"
		" UNION ALL SELECT u.name, wave, u.state, proto, client, since, 0 FROM u"
		" JOIN sessions ON sessions.name = u.name"
		" UNION ALL SELECT name, wave, state, '', '', 0, 0 FROM u) a"
		" GROUP BY name, wave, state, proto, client ORDER BY 1, 4, 5",
		ARGS(INT(wave != NULL), TEXT(wave ? wave : ""), TEXT(after ? after : ""),
		     INT(users)),
		e);
	int got, rc = 0;

	if (!r)
		return -1;
	while (rc == 0 && (got = rows_next(r, e)) != 0) {
		struct access_row a = { .name = rows_text(r, 0),
					.wave = rows_text(r, 1),
					.state = rows_text(r, 2),
					.proto = rows_text(r, 3),
					.client = rows_text(r, 4),
					.logins = rows_int(r, 5),
					.last = rows_int(r, 6) };

		rc = got < 0 ? -1 : fn(&a, arg);
	}
	rows_end(&r);
	return rc;
}
