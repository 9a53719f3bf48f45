/* The files of the web page (admin/web/), built into the program. They hold no data of users
 * and are served to anybody who reaches the port. */
#ifndef ADMIN_WEB_H
#define ADMIN_WEB_H

#include "common/buf.h"

struct web_file {
	const char *type; /* "text/html; charset=utf-8" */
	struct slice bytes;
};

/* By the path of a URL: "/", "/app.js". false: no such file. */
bool web_find(const char *path, struct web_file *out);

#endif
