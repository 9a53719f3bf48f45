/* Hides: the table of UIDVALIDITYs. */
#include "common/store_driver.h"
#include "common/store_validity.h"

int store_validity_write(struct store *st, const char *name, const char *lines, struct err *e)
{
	return db_run(st->db,
		      "INSERT INTO validities (name, lines) VALUES (?1, ?2)"
		      " ON CONFLICT (name) DO UPDATE SET lines = excluded.lines",
		      ARGS(TEXT(name), TEXT(lines)), e) < 0
		       ? -1
		       : 0;
}

int store_validity_read(struct store *st, const char *name, char **lines, struct err *e)
{
	struct rows *r = db_query(st->db, "SELECT lines FROM validities WHERE name = ?1",
				  ARGS(TEXT(name)), e);
	int got;

	*lines = NULL;
	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got >= 0)
		*lines = mem_str(got ? rows_text(r, 0) : "");
	rows_end(&r);
	return got < 0 ? -1 : 0;
}
