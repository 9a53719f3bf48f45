/* Hides: how far each domain is, in one row. */
#include "admin/ctl.h"
#include "admin/table.h"

static int64_t of_state(const json_t *d, const char *state)
{
	return ctl_int(json_object_get(d, "states"), state);
}

static int64_t all_states(const json_t *d)
{
	const json_t *n;
	const char *key;
	int64_t sum = 0;

	json_object_foreach (json_object_get(d, "states"), key, n)
		sum += json_integer_value(n);
	return sum;
}

/* "old", "new since …", "new, copies until …" */
static void mx_cell(struct table *t, const json_t *mx)
{
	char at[TEXT_SMALL];

	if (!json_is_object(mx))
		table_tinted(t, TINT_DIM, "not looked at");
	else if (!ctl_true(mx, "on_new"))
		table_cell(t, "old");
	else if (ctl_int(mx, "copies_until") > ctl_int(mx, "looked_at"))
		table_tinted(t, TINT_BUSY, "new, copies of old until %s",
			     text_date(ctl_int(mx, "copies_until"), at));
	else
		table_tinted(t, TINT_GOOD, "new since %s", text_date(ctl_int(mx, "since"), at));
}

static void print_domains(struct ctl *c, const json_t *list)
{
	struct table *t =
		table_new("DOMAIN|>USERS|>TRAILING|>DONE|>STRAYS|LAST ARRIVAL ON OLD|MX");
	const json_t *d;
	size_t i;
	char n[TEXT_SMALL];

	json_array_foreach (list, i, d) {
		int64_t strays = ctl_int(d, "users_with_strays");
		int64_t last = ctl_int(d, "last_arrival");

		table_cell(t, "%s", *ctl_text(d, "domain") ? ctl_text(d, "domain") : "-");
		table_cell(t, "%s", text_count(all_states(d), n));
		table_cell(t, "%s", text_count(of_state(d, "trailing"), n));
		table_cell(t, "%s", text_count(of_state(d, "done"), n));
		table_tinted(t, strays ? TINT_BAD : TINT_NONE, "%s", text_count(strays, n));
		table_cell(t, "%s", last ? text_date(last, n) : "-");
		mx_cell(t, json_object_get(d, "mx"));
	}
	if (table_rows(t))
		table_print(t, c->out, c->terminal);
	else
		fputs("no users, so no domains\n", c->out);
	table_free(&t);
}

int ctl_domains(struct ctl *c)
{
	return ctl_print_list(c, "/v1/domains", "domains", print_domains);
}
