/* Hides: which database it is. */
#include "common/store_driver.h"

int db_open(struct db **out, const struct store_opts *o, struct err *e)
{
	return (o->url ? &store_pg : &store_sqlite)->open(out, o, e);
}

void db_close(struct db **db)
{
	if (*db)
		(*db)->driver->close(*db);
	*db = NULL;
}

int64_t db_now_ms(struct db *db)
{
	return db->driver->now_ms(db);
}

int db_begin(struct db *db, struct err *e)
{
	return db->driver->begin(db, e);
}

int db_commit(struct db *db, struct err *e)
{
	return db->driver->commit(db, e);
}

int db_rollback(struct db *db)
{
	return db->driver->rollback(db);
}

int db_script(struct db *db, const char *sql, struct err *e)
{
	return db->driver->script(db, sql, e);
}

int db_has_table(struct db *db, const char *table, struct err *e)
{
	return db->driver->has_table(db, table, e);
}

bool db_was_replaced(struct db *db)
{
	return db->driver->was_replaced && db->driver->was_replaced(db);
}

void db_nudge(struct db *db)
{
	if (db->driver->nudge)
		db->driver->nudge(db);
}

struct rows *db_query(struct db *db, const char *sql, const struct db_value *args, size_t n,
		      struct err *e)
{
	return db->driver->query(db, sql, args, n, e);
}

int rows_next(struct rows *r, struct err *e)
{
	return r->db->driver->next(r, e);
}

int64_t rows_int(const struct rows *r, int column)
{
	return r->db->driver->get_int(r, column);
}

const char *rows_text(const struct rows *r, int column)
{
	return r->db->driver->get_text(r, column);
}

void rows_end(struct rows **r)
{
	if (*r)
		(*r)->db->driver->end(*r);
	*r = NULL;
}

int db_run(struct db *db, const char *sql, const struct db_value *args, size_t n, struct err *e)
{
	struct rows *r = db_query(db, sql, args, n, e);
	int got, written;

	if (!r)
		return -1;
	got = rows_next(r, e);
	ASSERT(got <= 0); /* what answers rows is a query */
	written = got < 0 ? -1 : db->driver->written(r);
	rows_end(&r);
	return written;
}

int db_query_int(struct db *db, const char *sql, const struct db_value *args, size_t n,
		 int64_t *out, struct err *e)
{
	struct rows *r = db_query(db, sql, args, n, e);
	int got;

	if (!r)
		return -1;
	got = rows_next(r, e);
	if (got > 0)
		*out = rows_int(r, 0);
	rows_end(&r);
	return got;
}
