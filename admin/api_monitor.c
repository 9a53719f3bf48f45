/* Hides: what monitoring asks an engine. */
#include "admin/api_parts.h"

static void answer_text(struct api_call *c, const char *text, size_t n)
{
	json_decref(c->out);
	c->out = json_stringn(text, n);
	ASSERT(c->out); /* the words are ours */
}

int api_get_metrics(struct api_call *c)
{
	const struct api *a = c->api;
	struct buf out = { 0 };

	if (a->hooks->metrics)
		a->hooks->metrics(&out, a->arg);
	answer_text(c, buf_slice(&out).p, buf_len(&out));
	buf_release(&out);
	return 200;
}

int api_get_health(struct api_call *c)
{
	answer_text(c, "ok\n", 3);
	return 200;
}

int api_get_readiness(struct api_call *c)
{
	const struct api *a = c->api;
	const char *why = a->hooks->not_ready ? a->hooks->not_ready(a->arg) : NULL;
	char *text = mem_printf("%s\n", why ? why : "ok");

	answer_text(c, text, strlen(text));
	mem_free(&text);
	return why ? 503 : 200;
}
