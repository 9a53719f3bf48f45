/* Hides: which files there are, and that the assembler puts them into the program. */
#include "admin/web.h"

#define HTML "text/html; charset=utf-8"
#define CSS  "text/css; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"
#define SVG  "image/svg+xml"

/* clang-format off */
#define WEB_FILES(FILE)			\
	FILE(index, "index.html", HTML)	\
	FILE(style, "style.css", CSS)	\
	FILE(icon, "icon.svg", SVG)	\
	FILE(actions, "actions.js", JS)	\
	FILE(api, "api.js", JS)		\
	FILE(app, "app.js", JS)		\
	FILE(dialog, "dialog.js", JS)	\
	FILE(dom, "dom.js", JS)		\
	FILE(drops, "drops.js", JS)	\
	FILE(format, "format.js", JS)	\
	FILE(live, "live.js", JS)	\
	FILE(opensrs, "opensrs.js", JS)	\
	FILE(overview, "overview.js", JS) \
	FILE(phases, "phases.js", JS)	\
	FILE(plot, "plot.js", JS)	\
	FILE(reports, "reports.js", JS)	\
	FILE(sessions, "sessions.js", JS) \
	FILE(states, "states.js", JS)	\
	FILE(theme, "theme.js", JS)	\
	FILE(user, "user.js", JS)	\
	FILE(users, "users.js", JS)	\
	FILE(verify, "verify.js", JS)	\
	FILE(waivers, "waivers.js", JS)	\
	FILE(waves, "waves.js", JS)
/* clang-format on */

/* From the root of the source tree, where make runs the compiler. */
#define EMBED(symbol, name, type)                                               \
	__asm__(".pushsection .rodata\n"                                        \
		"web_" #symbol ": .incbin \"admin/web/" name "\"\n"             \
		"web_" #symbol "_end:\n"                                        \
		".popsection\n");                                               \
	extern const char web_##symbol[] __attribute__((visibility("hidden"))); \
	extern const char web_##symbol##_end[] __attribute__((visibility("hidden")));
WEB_FILES(EMBED)

#define ROW(symbol, name, type) { "/" name, type, web_##symbol, web_##symbol##_end },
static const struct {
	const char *path, *type, *from, *to;
} files[] = { WEB_FILES(ROW) };

bool web_find(const char *path, struct web_file *out)
{
	if (strcmp(path, "/") == 0)
		path = "/index.html";
	for (size_t i = 0; i < COUNT(files); i++)
		if (strcmp(files[i].path, path) == 0) {
			*out = (struct web_file){
				files[i].type,
				{ files[i].from, (size_t)(files[i].to - files[i].from) },
			};
			return true;
		}
	return false;
}
