/* Hides: which files there are. */
#include "admin/web.h"

static const char index_html[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>mailferry</title>\n"
	"<p>mailferry: GET /v1 lists what this API can do.\n";

static const struct web_file files[] = {
	{ "/", "text/html; charset=utf-8", { index_html, sizeof index_html - 1 } },
};

const struct web_file *web_find(const char *path)
{
	for (size_t i = 0; i < COUNT(files); i++)
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	return NULL;
}
