/* Hides: how a report's page looks. */
#include "sync/page.h"

void page_text(struct buf *out, const char *s)
{
	for (; s && *s; s++)
		switch (*s) {
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '>':
			buf_add_str(out, "&gt;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		default:
			buf_add(out, s, 1);
		}
}

void page_cell(struct buf *out, const char *s)
{
	buf_add_str(out, "<td>");
	page_text(out, s);
	buf_add_str(out, "</td>");
}

void page_begin(struct buf *out, const char *title)
{
	static const char style[] =
		"body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 "
		"1em;color:#222;background:#fff}table{border-collapse:collapse;width:100%}td,th{"
		"text-align:left;padding:.25em .6em;border-bottom:1px solid #ddd}.n{text-align:"
		"right}.grade{display:inline-block;padding:.2em .8em;border-radius:.3em;color:#fff;"
		"background:#2a7d3f}.investigate{background:#b26a00}.poor{background:#b3261e}"
		"footer{margin-top:2em;color:#777;font-size:12px;word-break:break-all}"
		"@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td,th{"
		"border-color:#444}}";

	buf_add_str(out,
		    "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport "
		    "content=\"width=device-width\">\n<title>");
	page_text(out, title);
	buf_printf(out, "</title>\n<style>%s</style>\n<h1>", style);
	page_text(out, title);
	buf_add_str(out, "</h1>\n");
}

void page_end(struct buf *out, const json_t *document, const char *made_by)
{
	const json_t *sig = json_object_get(document, "signature");

	buf_printf(out, "<footer>%s; the JSON of this report is signed (", made_by);
	page_text(out, json_string_value(json_object_get(sig, "algorithm")));
	buf_add_str(out, ") with key ");
	page_text(out, json_string_value(json_object_get(sig, "key")));
	buf_add_str(out, "</footer>\n");
}
