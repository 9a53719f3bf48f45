/* Hides: how the answers of engine and nodes become one report. */
#include "admin/ctl.h"
#include "admin/table.h"

static void print_names(struct ctl *c, const char *head, const json_t *list)
{
	const json_t *name;
	size_t i;

	json_array_foreach (list, i, name) {
		fputs(head, c->out);
		text_put(c->out, json_string_value(name));
		fputc('\n', c->out);
	}
}

/* How many nodes have trouble, or have not answered. */
static size_t print_nodes(struct ctl *c, const json_t *nodes, bool silent)
{
	const json_t *n;
	size_t i, bad = 0;

	json_array_foreach (nodes, i, n) {
		const char *trouble =
			ctl_true(n, "answered") ? ctl_text(n, "doing") : "has not answered";

		if (!*trouble)
			continue;
		bad++;
		if (silent)
			continue;
		fprintf(c->out, "%s: ", ctl_text(n, "node"));
		text_put(c->out, trouble);
		fputc('\n', c->out);
	}
	return bad;
}

static size_t report(struct ctl *c, const json_t *answer, const json_t *nodes)
{
	const json_t *taken = json_object_get(answer, "taken"),
		     *kept = json_object_get(answer, "kept");
	size_t bad;

	print_names(c, "taken: ", taken);
	print_names(c, "needs `mailferry upgrade` or a restart: ", kept);
	bad = print_nodes(c, nodes, false);
	if (!json_array_size(taken) && !json_array_size(kept))
		fputs("no setting has changed; certificates were read again\n", c->out);
	fprintf(c->out, "%zu of %zu nodes have reloaded\n", json_array_size(nodes) - bad,
		json_array_size(nodes));
	return bad;
}

int ctl_reload(struct ctl *c)
{
	json_t *answer, *nodes = NULL;
	int status = ctl_ask(c, "/v1/reload", json_object(), &answer);
	size_t bad = 0;

	if (status == CTL_OK)
		status = ctl_await_answers(c, ctl_int(answer, "request"), 0, &nodes);
	if (status == CTL_OK) {
		json_object_set(answer, "nodes", nodes);
		bad = ctl_json(c, answer) ? print_nodes(c, nodes, true)
					  : report(c, answer, nodes);
	}
	json_decref(nodes);
	json_decref(answer);
	return status == CTL_OK && bad ? CTL_FAILED : status;
}
