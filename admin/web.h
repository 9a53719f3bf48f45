/* The files of the web page (admin/web/), built into the program. They hold no data of users
 * and are served to anybody who reaches the port. */
#ifndef ADMIN_WEB_H
#define ADMIN_WEB_H

#include "common/buf.h"

struct web_file {
	const char *path; /* of the URL: "/", "/app.js" */
	const char *type; /* "text/html; charset=utf-8" */
	struct slice bytes;
};

/* NULL: no such file. */
const struct web_file *web_find(const char *path);

#endif
