/* Hides: how a sentence grows from the inside out without leaving its buffer. */
#include "common/err.h"

static const char *const kind_names[] = {
	[ERR_NONE] = "none",	     [ERR_TEMP] = "temporary", [ERR_AUTH] = "auth",
	[ERR_PROTOCOL] = "protocol", [ERR_TLS] = "tls",	       [ERR_INPUT] = "input",
	[ERR_STORE] = "store",	     [ERR_LIMIT] = "limit",    [ERR_FULL] = "full",
};
_Static_assert(COUNT(kind_names) == ERR_KINDS, "a name for every kind");

static const char *const whom_names[] = {
	[LATER_NOBODY] = "nobody",
	[LATER_COMMAND] = "command",
	[LATER_USER] = "user",
	[LATER_HOST] = "host",
};
_Static_assert(COUNT(whom_names) == LATER_WHOMS, "a name for everyone");

const char *later_whom_name(enum later_whom w)
{
	return whom_names[w];
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->kind = kind;
	e->later = (struct later){ 0 };
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char inner[ERR_TEXT_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return -1;
	memcpy(inner, e->text, sizeof inner);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", inner);
	return -1;
}

void err_clear(struct err *e)
{
	e->kind = ERR_NONE;
	e->text[0] = '\0';
	e->later = (struct later){ 0 };
}

const char *err_kind_name(enum err_kind kind)
{
	return kind_names[kind];
}
