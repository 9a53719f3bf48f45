/* Hides: which part of freshly read settings takes effect in a running process. */
#include "config/settings_table.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static size_t value_size(enum value_kind kind)
{
	switch (kind) {
	case VALUE_TEXT:
	case VALUE_PATH:
		return sizeof(char *);
	case VALUE_INT:
		return sizeof(int);
	case VALUE_SIZE:
		return sizeof(int64_t);
	case VALUE_BOOL:
		return sizeof(bool);
	case VALUE_PROTO:
		return sizeof(enum protocol_kind);
	case VALUE_TLS:
		return sizeof(enum tls_mode);
	case VALUE_PROXY:
		return sizeof(enum proxy_protocol);
	case VALUE_LEVEL:
		return sizeof(enum log_level);
	case VALUE_RULE:
		return sizeof(enum gate_rule);
	}
	BUG("a value of kind %d", kind);
}

static bool same_value(const struct setting_row *row, const void *a, const void *b)
{
	if (row->kind == VALUE_TEXT || row->kind == VALUE_PATH)
		return same_text(*(char *const *)a, *(char *const *)b);
	return memcmp(a, b, value_size(row->kind)) == 0;
}

static void swap_value(const struct setting_row *row, void *a, void *b)
{
	char spare[sizeof(int64_t)];
	size_t n = value_size(row->kind);

	_Static_assert(sizeof spare >= sizeof(char *), "a value of any kind");
	memcpy(spare, a, n);
	memcpy(a, b, n);
	memcpy(b, spare, n);
}

struct taking {
	settings_told_fn *told;
	void *arg;
};

static void tell(const struct taking *t, const char *section, const char *name, bool taken)
{
	char *what = name ? mem_printf("%s: %s", section, name) : mem_str(section);

	t->told(what, taken, t->arg);
	mem_free(&what);
}

/* Of what was checked together a part alone may make no sense: an address that is still listened
 * on, without what is to be answered there. */
static bool waits(enum section_kind kind, const void *now, const void *fresh)
{
	for (size_t i = 0; i < setting_row_count && section_rows[kind].whole; i++) {
		const struct setting_row *row = &setting_rows[i];

		if (row->section == kind && !row->reloadable &&
		    !same_value(row, (const char *)now + row->offset,
				(const char *)fresh + row->offset))
			return true;
	}
	return false;
}

static void take_section(const struct taking *t, enum section_kind kind, const char *title,
			 void *now, void *fresh)
{
	const char *shown = title ? title : section_rows[kind].name;
	bool all_wait = waits(kind, now, fresh);

	for (size_t i = 0; i < setting_row_count; i++) {
		const struct setting_row *row = &setting_rows[i];
		void *a = (char *)now + row->offset, *b = (char *)fresh + row->offset;

		bool taken = row->reloadable && !all_wait;

		if (row->section != kind || same_value(row, a, b))
			continue;
		if (taken)
			swap_value(row, a, b);
		tell(t, shown, row->name, taken);
	}
}

static void take_listeners(const struct taking *t, struct settings *now, struct settings *fresh)
{
	bool same = now->listener_count == fresh->listener_count;

	for (size_t i = 0; same && i < now->listener_count; i++)
		same = strcmp(now->listeners[i].name, fresh->listeners[i].name) == 0;
	if (!same) {
		tell(t, "the list of listeners", NULL, false);
		return;
	}
	for (size_t i = 0; i < now->listener_count; i++) {
		char *title = mem_printf("listener \"%s\"", now->listeners[i].name);

		take_section(t, SECTION_LISTENER, title, &now->listeners[i],
			     &fresh->listeners[i]);
		mem_free(&title);
	}
}

static bool same_domains(const struct settings *a, const struct settings *b)
{
	if (a->domain_count != b->domain_count)
		return false;
	for (size_t i = 0; i < a->domain_count; i++) {
		if (strcmp(a->domains[i].name, b->domains[i].name) != 0)
			return false;
		for (size_t k = 0; k < setting_row_count; k++) {
			const struct setting_row *row = &setting_rows[k];

			if (row->section == SECTION_DOMAIN &&
			    !same_value(row, (char *)&a->domains[i] + row->offset,
					(char *)&b->domains[i] + row->offset))
				return false;
		}
	}
	return true;
}

/* All of them or none: nothing that lives longer than an event looks into the list. */
static void take_domains(const struct taking *t, struct settings *now, struct settings *fresh)
{
	struct domain_conf *at = now->domains;
	size_t n = now->domain_count;

	if (same_domains(now, fresh))
		return;
	now->domains = fresh->domains;
	now->domain_count = fresh->domain_count;
	fresh->domains = at;
	fresh->domain_count = n;
	tell(t, "the list of domains", NULL, true);
}

void settings_take(struct settings *now, struct settings *fresh, settings_told_fn *told,
		   void *arg)
{
	struct taking t = { told, arg };

	take_listeners(&t, now, fresh);
	take_domains(&t, now, fresh);
	for (int side = 0; side < SIDES; side++) {
		char *title = mem_printf("backend \"%s\"", side_name((enum side)side));

		take_section(&t, SECTION_BACKEND, title, &now->backend[side],
			     &fresh->backend[side]);
		mem_free(&title);
	}
	for (int kind = SECTION_TLS; kind < SECTIONS; kind++)
		take_section(&t, (enum section_kind)kind, NULL, now, fresh);
}
