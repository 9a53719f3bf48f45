/*
 * A light look over mailferry.conf before libconfuse reads it: that stops at its first mistake,
 * takes a missing brace, a repeated name or an unset ${VARIABLE} without a word, and does not
 * tell lines.
 */
#ifndef CONFIG_SETTINGS_SCAN_H
#define CONFIG_SETTINGS_SCAN_H

#include "config/settings_table.h"

struct mistake {
	unsigned line;
	char *text;
};
struct mistakes {
	struct mistake *at;
	size_t count;
};
void mistake_add(struct mistakes *m, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
void mistakes_release(struct mistakes *m);

struct scan_section {
	enum section_kind kind;
	char *title; /* NULL: none */
	unsigned line;
};
struct scan_item {
	size_t section; /* index */
	const struct setting_row *row;
	unsigned line;
};
struct scan {
	struct scan_section *sections;
	size_t section_count;
	struct scan_item *items;
	size_t item_count;
	bool broken; /* braces or signs are wrong: no use to read values */
};

/*
 * Reports names, braces, repetitions and unset variables. What was reported is blanked in text
 * (the lines stay), so that the values of all the rest can be read.
 */
void settings_scan(char *text, size_t n, struct scan *out, struct mistakes *m);
void scan_release(struct scan *s);
/* The line of a setting or, where it is not given, of its section; 1 without such a section. */
unsigned scan_line(const struct scan *s, enum section_kind kind, const char *title,
		   const char *name);
bool scan_has(const struct scan *s, enum section_kind kind, const char *title,
	      const char *name);
/* 'backend "old"' or 'sync', borrowed until the next call. */
const char *section_shown(enum section_kind kind, const char *title);

#endif
