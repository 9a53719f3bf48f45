/* Hides: what the API's answers and error numbers mean, and what a person can do about each. */
#include "sync/opensrs.h"

#include <math.h>

#include "common/wire/utf7.h"

#define SAID_MAX  120 /* bytes of their own words that are repeated */
#define HINTS_MAX 4

static const struct error_row {
	int number;
	enum err_kind kind;
	const char *what, *remedy;
} rows[] = {
	{ 0, ERR_TEMP, "OpenSRS has a fault of its own",
	  "try again later; if it stays, ask OpenSRS's support" },
	{ OPENSRS_LOGIN, ERR_AUTH, "the login to the API was refused",
	  "correct opensrs.user and its password or token, and see that opensrs.cluster is yours" },
	{ OPENSRS_MISSING, ERR_INPUT, "it does not exist on OpenSRS",
	  "correct the name, or create it with `mailferry provision`" },
	{ OPENSRS_ALIAS, ERR_INPUT, "the name is only an alias there",
	  "use the mailbox's own name, or remove the alias from the other mailbox" },
	{ 4, ERR_INPUT, "this administrator may not change one of the attributes",
	  "leave it out of the list, or use an administrator with the role \"company\"" },
	{ OPENSRS_MALFORMED, ERR_INPUT, "a value is missing or of the wrong type",
	  "correct the row in the list; if it is right, report this as a mistake of mailferry" },
	{ OPENSRS_ATTRIBUTE, ERR_INPUT, "an attribute is unknown there or not as it must be",
	  "correct the attribute in the list, or leave it out" },
	{ OPENSRS_EXISTS, ERR_INPUT, "the name is taken there already",
	  "use another name, or remove what has it: a mailbox, or an alias of another one" },
	{ OPENSRS_FOREIGN, ERR_INPUT, "this administrator has no rights on it",
	  "use an administrator of the company that owns it, with a role that may do this" },
};

static const struct error_row *find_row(int number)
{
	static const struct error_row unknown = {
		.kind = ERR_INPUT,
		.what = "OpenSRS gives an error that is not documented",
		.remedy = "see what OpenSRS says about it, or ask its support"
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].number == number)
			return &rows[i];
	return &unknown;
}

int opensrs_number(const json_t *v, int64_t *out)
{
	uint64_t n;

	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return 0;
	}
	if (json_is_real(v) && fabs(json_real_value(v)) < 9e15) {
		*out = (int64_t)json_real_value(v);
		return 0;
	}
	if (!json_is_string(v) || slice_u64(slice_of(json_string_value(v)), INT64_MAX, &n) < 0)
		return -1;
	*out = (int64_t)n;
	return 0;
}

const char *opensrs_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* ---- the sentence */

/* Foreign text: short, and without what could move a cursor. */
static void add_said(struct buf *b, const char *text)
{
	struct slice said = utf8_front(slice_of(text), SAID_MAX);

	for (size_t i = 0; i < said.n; i++) {
		unsigned char c = (unsigned char)said.p[i];

		buf_add(b, c < 0x20 || c == 0x7f ? "?" : &said.p[i], 1);
	}
}

/* Why, by attribute. Never of a password: the reason could quote it. */
static void add_hints(struct buf *b, json_t *answer)
{
	const char *key;
	json_t *why;
	int n = 0;

	json_object_foreach (json_object_get(answer, "hints"), key, why) {
		if (n++ == HINTS_MAX)
			return;
		buf_add_str(b, "; ");
		add_said(b, key);
		if (json_is_string(why) && strcmp(key, "password") != 0) {
			buf_add_str(b, ": ");
			add_said(b, json_string_value(why));
		}
	}
}

void opensrs_refusal(json_t *answer, int number, struct err *e)
{
	const struct error_row *r = find_row(number);
	const char *said = opensrs_text(answer, "error");
	struct buf b = { 0 };

	buf_printf(&b, "error %d, \"", number);
	add_said(&b, said ? said : "");
	buf_add_str(&b, "\"");
	add_hints(&b, answer);
	err_set(e, r->kind, "%s (%.*s); remedy: %s", r->what, (int)buf_len(&b), buf_slice(&b).p,
		r->remedy);
	buf_release(&b);
}

static int no_answer(long status, bool *again, struct err *e)
{
	if (status == 404)
		return err_set(
			e, ERR_INPUT,
			"there is no such method at this address (HTTP 404); remedy: "
			"opensrs.cluster must be A, B, test or an address that ends in /api");
	if (status == 400)
		return err_set(e, ERR_PROTOCOL,
			       "OpenSRS does not understand the request (HTTP 400); remedy: "
			       "report this as a mistake of mailferry");
	if (status == 429 || status >= 500) {
		*again = true;
		return err_set(e, ERR_TEMP,
			       "OpenSRS cannot answer just now (HTTP %ld); remedy: "
			       "try again later",
			       status);
	}
	return err_set(e, ERR_PROTOCOL,
		       "this is no answer of OpenSRS's API (HTTP %ld); remedy: "
		       "see what is between us and opensrs.cluster",
		       status);
}

int opensrs_judge(long status, struct slice body, json_t **answer, int *number, bool *again,
		  struct err *e)
{
	int64_t n = OPENSRS_NONE;

	*again = false;
	*number = OPENSRS_NONE;
	*answer = NULL;
	if (status != 200)
		return no_answer(status, again, e);
	*answer = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	if (!json_is_object(*answer) || !json_object_get(*answer, "success")) {
		json_decref(*answer);
		*answer = NULL;
		*again = true; /* cut short, or from something that stands in between */
		return err_set(e, ERR_TEMP,
			       "the answer is not OpenSRS's (%zu bytes, no JSON object with "
			       "\"success\"); remedy: try again later, and see what is between "
			       "us and opensrs.cluster",
			       body.n);
	}
	if (json_is_true(json_object_get(*answer, "success")))
		return 0;
	if (opensrs_number(json_object_get(*answer, "error_number"), &n) < 0 || n < 0 ||
	    n > INT32_MAX)
		return err_set(e, ERR_PROTOCOL,
			       "OpenSRS says no without an error number; remedy: try again, or "
			       "ask its support");
	*number = (int)n;
	*again = n == 0;
	opensrs_refusal(*answer, (int)n, e);
	return -1;
}
