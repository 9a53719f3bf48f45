/* Hides: how a posted CSV becomes users, or a list of what is wrong with it. */
#include "admin/api_parts.h"
#include "admin/import.h"
#include "common/log.h"

static int refuse_lines(struct api_call *c, const char *file, const struct sheet_errors *errs)
{
	json_t *list = json_array();
	int status = api_refuse(c, 422, "correct the file and import it again",
				"%s: %zu mistakes, nothing was imported", file,
				errs->count + errs->more);

	for (size_t i = 0; i < errs->count; i++)
		json_array_append_new(list, api_json_text(errs->at[i]));
	json_object_set_new(c->out, "errors", list);
	json_object_set_new(c->out, "more", json_integer((json_int_t)errs->more));
	return status;
}

/* What only the store knows (an alias that is somebody's name, a login of a moved user). */
static int refuse_row(struct api_call *c, const char *file, const struct err *e)
{
	json_t *list;
	char *line;
	int status;

	if (e->kind != ERR_INPUT)
		return api_fail(c, e);
	line = mem_printf("%s:%s", file,
			  strncmp(e->text, "line ", 5) == 0 ? e->text + 5 : e->text);
	list = json_array();
	status = api_refuse(c, 422, "correct the file and import it again",
			    "%s: 1 mistake, nothing was imported", file);
	json_array_append_new(list, api_json_text(line));
	json_object_set_new(c->out, "errors", list);
	json_object_set_new(c->out, "more", json_integer(0));
	mem_free(&line);
	return status;
}

static int import(struct api_call *c, const char *file, const struct import_list *l)
{
	struct import_count n = { 0 };
	struct err e = { 0 };

	if (store_users_import(c->api->store, l->rows, l->count, &n, &e) < 0)
		return refuse_row(c, file, &e);
	log_info(&(struct log_about){ .what = "operator" },
		 "imported %s: %u added, %u changed, %u as before (%s)", file, n.added,
		 n.changed, n.same, c->request->who);
	json_object_set_new(c->out, "added", json_integer(n.added));
	json_object_set_new(c->out, "changed", json_integer(n.changed));
	json_object_set_new(c->out, "same", json_integer(n.same));
	if (c->api->hooks->poke)
		c->api->hooks->poke(c->api->arg);
	return 200;
}

int api_post_import(struct api_call *c)
{
	const json_t *csv = json_object_get(c->in, "csv");
	const char *file = json_string_value(json_object_get(c->in, "file"));
	const char *folder = json_string_value(json_object_get(c->in, "folder"));
	struct login_name_rules rules = settings_login_rules(c->api->settings);
	struct sheet_errors errs = { 0 };
	struct import_list list = { 0 };
	struct slice text;
	int status;

	if (!json_is_string(csv) || !file || !folder || folder[0] != '/')
		return api_refuse(c, 400,
				  "give \"csv\", \"file\" and \"folder\", an absolute path",
				  "what shall be imported?");
	text = (struct slice){ json_string_value(csv), json_string_length(csv) };
	if (import_parse(text, file, &rules, folder, &list, &errs) < 0)
		status = refuse_lines(c, file, &errs);
	else
		status = import(c, file, &list);
	import_list_release(&list);
	sheet_errors_release(&errs);
	return status;
}
