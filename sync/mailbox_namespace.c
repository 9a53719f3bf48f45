/* Hides: NAMESPACE (RFC 2342 5). libetpan's parser crashes on garbage, so this one is ours. */
#include "sync/mailbox_impl.h"

/* A quoted string. Prefixes as literals are not seen in practice: they fail the parse. */
static bool take_quoted(struct slice *s, char *out, size_t size)
{
	size_t n = 0;

	if (!slice_take_nocase(s, "\""))
		return false;
	while (!slice_take_nocase(s, "\"")) {
		slice_take_nocase(s, "\\");
		if (s->n == 0 || n + 1 >= size)
			return false;
		out[n++] = s->p[0];
		*s = (struct slice){ s->p + 1, s->n - 1 };
	}
	out[n] = '\0';
	return true;
}

/* What follows prefix and separator: extensions, up to the closing parenthesis. */
static bool skip_rest(struct slice *s)
{
	char ignored[MAILBOX_NAME_MAX];
	int depth = 1;

	while (depth > 0) {
		if (slice_take_nocase(s, "("))
			depth++;
		else if (slice_take_nocase(s, ")"))
			depth--;
		else if (!slice_take_nocase(s, " ") && !take_quoted(s, ignored, sizeof ignored))
			return false;
	}
	return true;
}

/* One "(" prefix separator … ")". */
static bool take_namespace(struct slice *s, struct folder_list *out)
{
	char prefix[MAILBOX_NAME_MAX], separator[8] = "";

	if (!slice_take_nocase(s, "(") || !take_quoted(s, prefix, sizeof prefix) || !slice_take_nocase(s, " "))
		return false;
	if (!slice_take_nocase(s, "NIL") && !take_quoted(s, separator, sizeof separator))
		return false;
	if (!skip_rest(s) || out->count >= 1000)
		return false;
	folder_list_add(out, prefix)->separator = separator[0];
	return true;
}

/* NIL, or namespaces in parentheses. */
static bool take_namespaces(struct slice *s, struct folder_list *out)
{
	slice_take_nocase(s, " ");
	if (slice_take_nocase(s, "NIL"))
		return true;
	if (!slice_take_nocase(s, "("))
		return false;
	while (!slice_take_nocase(s, ")")) {
		slice_take_nocase(s, " "); /* RFC 2342 has none here, some servers do */
		if (!take_namespace(s, out))
			return false;
	}
	return true;
}

int namespace_read(const struct frame *f, void *arg, struct err *e)
{
	struct namespaces_seen *n = arg;
	struct slice s = f->reply.text;

	if (f->kind != FRAME_OTHER || !slice_take_nocase(&s, "NAMESPACE"))
		return 0;
	if (n->seen || !take_namespaces(&s, &n->own) || !take_namespaces(&s, &n->others) ||
	    !take_namespaces(&s, &n->others))
		return err_set(e, ERR_PROTOCOL, "cannot read the server's NAMESPACE");
	n->seen = true;
	return 0;
}

void namespace_info_release(struct namespace_info *n)
{
	free(n->prefix);
	folder_list_release(&n->others);
	*n = (struct namespace_info){ 0 };
}

