/*
 * The table behind mailferry.conf: one row per setting. Loading, checking and the sample file
 * all follow it. For config/ only; others use settings.h.
 */
#ifndef CONFIG_SETTINGS_TABLE_H
#define CONFIG_SETTINGS_TABLE_H

#include "config/settings.h"

enum section_kind {
	SECTION_LISTENER,
	SECTION_BACKEND,
	SECTION_DOMAIN,
	SECTION_TLS,
	SECTION_STORE,
	SECTION_RUN,
	SECTION_LOG,
	SECTION_USERS,
	SECTION_SYNC,
	SECTION_CUTOVER,
	SECTION_POP3,
	SECTION_GATE,
	SECTION_WAVES,
	SECTION_LEARN,
	SECTION_LOOKUP,
	SECTION_API,
	SECTION_DNS,
	SECTION_OPENSRS,
	SECTION_LIMITS,
	SECTIONS
};

struct section_row {
	const char *name;
	bool titled; /* listener "NAME" { … } */
	const char *help;
	bool whole; /* a reload takes all that was changed in it, or nothing */
};
extern const struct section_row section_rows[SECTIONS];

enum value_kind {
	VALUE_TEXT,
	VALUE_PATH,
	VALUE_INT,
	VALUE_SIZE,
	VALUE_BOOL,
	VALUE_PROTO,
	VALUE_TLS,
	VALUE_PROXY,
	VALUE_LEVEL,
	VALUE_RULE
};

struct setting_row {
	enum section_kind section;
	const char *name;
	enum value_kind kind;
	size_t offset;	   /* in struct listener_conf, backend_conf, domain_conf or settings */
	const char *start; /* the default as one would write it; NULL: none */
	int64_t min, max;  /* of numbers */
	const char *unit;  /* "s", "bytes", …; "" */
	bool required;
	bool reloadable; /* else it needs a restart */
	const char *help;
};
extern const struct setting_row setting_rows[];
extern const size_t setting_row_count;

#define SETTING_TEXT_MAX 1024 /* bytes of one value */

const struct section_row *section_find(struct slice name); /* NULL: none */
const struct setting_row *setting_find(enum section_kind section, struct slice name);
/* The known name most like a mistyped one; NULL if none is near. section SECTIONS: among
 * sections. */
const char *setting_guess(enum section_kind section, struct slice name);

/*
 * Puts a value to its place in *conf. Paths are taken from folder `base`. On -1 `why` says what
 * was expected ("must be 1..65535, not 99999").
 */
int setting_put(const struct setting_row *row, const char *text, const char *base, void *conf,
		char *why, size_t why_size) MUST_CHECK;
/* All defaults of a section, and back to nothing. */
void setting_defaults(enum section_kind section, void *conf);
void setting_release(enum section_kind section, void *conf);

#endif
