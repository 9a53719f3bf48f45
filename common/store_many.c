/* Hides: that there are two statements, of many rows and of one. */
#include "common/store_many.h"

static char *make(const struct many_sql *sql, size_t rows)
{
	struct buf b = { 0 };
	size_t number = 0;
	char *text;

	buf_printf(&b, "%s VALUES ", sql->before);
	for (size_t r = 0; r < rows; r++) {
		for (size_t c = 0; c < sql->width; c++)
			buf_printf(&b, "%s?%zu", c ? ", " : r ? ", (" : "(", ++number);
		buf_add_str(&b, ")");
	}
	buf_printf(&b, " %s", sql->after);
	text = mem_strn(buf_slice(&b).p, buf_len(&b));
	buf_release(&b);
	return text;
}

static int write_rows(struct many *m, size_t first, size_t rows, struct err *e)
{
	char **text = rows == 1 ? &m->sql->one : &m->sql->many;
	size_t width = m->sql->width;

	if (!*text)
		*text = make(m->sql, rows);
	return db_run(m->db, *text, &m->at[first * width], rows * width, e) < 0 ? -1 : 0;
}

int many_add(struct many *m, const struct db_value *row, size_t n, struct err *e)
{
	ASSERT(n == m->sql->width && n <= MANY_WIDTH);
	memcpy(&m->at[m->rows++ * n], row, n * sizeof *row);
	if (m->rows < MANY_ROWS)
		return 0;
	m->rows = 0;
	return write_rows(m, 0, MANY_ROWS, e);
}

int many_end(struct many *m, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < m->rows && rc == 0; i++)
		rc = write_rows(m, i, 1, e);
	m->rows = 0;
	return rc;
}
