/* Hides: settings, checked and shown without an engine. */
#include "admin/ctl.h"
#include "admin/table.h"

static json_t *check_json(const struct settings_errors *errs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errs->count; i++)
		json_array_append_new(list, json_string(errs->at[i]));
	return json_pack("{s:b, s:o}", "ok", errs->count == 0, "errors", list);
}

int ctl_check_config(struct ctl *c)
{
	const char *path = c->arg_count ? c->arg[0] : c->config;
	struct settings_errors errs = { 0 };
	struct settings s = { 0 };
	int rc = settings_load(path, &s, &errs);
	json_t *j = check_json(&errs);

	if (!ctl_json(c, j)) {
		for (size_t i = 0; i < errs.count; i++) {
			text_put(stderr, errs.at[i]);
			fputc('\n', stderr);
		}
		if (rc == 0)
			fprintf(c->out, "%s: no mistakes, %zu listeners\n", path,
				s.listener_count);
	}
	json_decref(j);
	settings_errors_release(&errs);
	if (rc == 0)
		settings_release(&s);
	return rc == 0 ? CTL_OK : CTL_USAGE;
}

int ctl_sample_config(struct ctl *c)
{
	settings_write_sample(c->out);
	return CTL_OK;
}
