/* Hides: how the tokens of the API are made, listed and taken back; the engine need not run. */
#include "admin/bearers.h"
#include "admin/ctl_verbs.h"
#include "admin/table.h"

#include <openssl/crypto.h>

static int fail(const struct err *e)
{
	fprintf(stderr, "mailferry: %s\n", e->text);
	return CTL_FAILED;
}

/* The tokens of the settings' file; a CTL_ status. */
static int read_tokens(struct ctl *c, struct bearers *t)
{
	struct err e = { 0 };
	int status = ctl_settings(c);

	if (status != CTL_OK)
		return status;
	if (!c->settings.api.tokens) {
		fprintf(stderr,
			"mailferry: %s: api.tokens names no file\nmailferry: remedy: api { listen = "
			"\"127.0.0.1:8143\" tokens = \"/etc/mailferry/tokens\" }\n",
			c->config);
		return CTL_USAGE;
	}
	return bearers_read(c->settings.api.tokens, t, &e) < 0 ? fail(&e) : CTL_OK;
}

static int write_tokens(const struct ctl *c, const struct bearers *t, struct err *e)
{
	return bearers_write(c->settings.api.tokens, t, c->settings.run.user, e);
}

int ctl_token_add(struct ctl *c)
{
	struct bearers t;
	char text[BEARER_TEXT_SIZE];
	struct err e = { 0 };
	int role = role_find(c->role ? c->role : "view"), status;
	json_t *j;

	if (role < 0)
		return ctl_usage(c, "--role must be view or operate, not %s", c->role);
	status = read_tokens(c, &t);
	if (status != CTL_OK)
		return status;
	if (bearers_add(&t, c->arg[0], (enum role)role, text, &e) < 0 ||
	    write_tokens(c, &t, &e) < 0)
		return fail(&e);
	j = json_pack("{s:s, s:s, s:s}", "name", c->arg[0], "role", role_name((enum role)role),
		      "token", text);
	if (!ctl_json(c, j)) {
		fprintf(c->out, "%s\n", text);
		fprintf(stderr,
			"mailferry: %s may %s; this is shown only now: keep it as you would a password\n",
			c->arg[0], role_name((enum role)role));
	}
	json_decref(j);
	OPENSSL_cleanse(text, sizeof text);
	return CTL_OK;
}

static json_t *list_of(const struct bearers *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", t->at[i].name,
						      "role", role_name(t->at[i].role), "since",
						      t->at[i].day));
	return json_pack("{s:o}", "tokens", list);
}

int ctl_token_list(struct ctl *c)
{
	struct table *table;
	struct bearers t;
	int status = read_tokens(c, &t);
	json_t *j;

	if (status != CTL_OK)
		return status;
	j = list_of(&t);
	if (!ctl_json(c, j)) {
		table = table_new("NAME|ROLE|SINCE");
		for (size_t i = 0; i < t.count; i++) {
			table_cell(table, "%s", t.at[i].name);
			table_cell(table, "%s", role_name(t.at[i].role));
			table_cell(table, "%s", t.at[i].day);
		}
		if (t.count)
			table_print(table, c->out, c->terminal);
		else
			fputs("no tokens: `mailferry token add NAME` makes one\n", c->out);
		table_free(&table);
	}
	json_decref(j);
	return CTL_OK;
}

int ctl_token_remove(struct ctl *c)
{
	struct bearers t;
	struct err e = { 0 };
	int status = read_tokens(c, &t);
	json_t *j;

	if (status != CTL_OK)
		return status;
	if (!bearers_remove(&t, c->arg[0])) {
		err_set(&e, ERR_INPUT, "there is no token %s: see `mailferry token list`",
			c->arg[0]);
		return fail(&e);
	}
	if (write_tokens(c, &t, &e) < 0)
		return fail(&e);
	j = json_pack("{s:s}", "removed", c->arg[0]);
	if (!ctl_json(c, j))
		fprintf(c->out, "%s is out, from the next request on\n", c->arg[0]);
	json_decref(j);
	return CTL_OK;
}
