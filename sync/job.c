/*
 * Hides: the JSON of the line between engine and worker, and that nothing of a password stays
 * in freed memory. Lines are written by hand, since jansson's copies could not be wiped; they
 * are read with jansson under an allocator that wipes.
 */
#include "sync/job.h"

#include <limits.h>
#include <jansson.h>

#include "sync/hint.h"
#include "sync/job_folders.h"
#include "sync/json_wipe.h"
#include "sync/lanes.h"

#define STRING_MAX  4096 /* bytes of a name, host or path in a job */
#define PIN_MAX	    128
#define SECONDS_MAX 86400
#define BYTES_MAX   ((int64_t)1 << 40) /* of a message or a counter of bytes */
#define COUNT_MAX   ((int64_t)1 << 53) /* JSON numbers are exact up to here */

static const char *const kind_names[] = {
	[JOB_PROBE] = "probe",	     [JOB_PASS] = "pass",   [JOB_FINAL] = "final",
	[JOB_TRAILING] = "trailing", [JOB_AUDIT] = "audit",
	[JOB_PROVISION] = "provision",
};
_Static_assert(COUNT(kind_names) == JOB_KINDS, "a name for every kind");

const char *job_kind_name(enum job_kind k)
{
	return kind_names[k];
}

bool job_writes(enum job_kind k)
{
	return k == JOB_PASS || k == JOB_FINAL || k == JOB_TRAILING;
}

static void side_release(struct job_side *s)
{
	mem_free(&s->host);
	mem_free(&s->tls_name);
	mem_free(&s->tls_ca_file);
	mem_free(&s->tls_pin);
	mem_free(&s->login);
	mem_free(&s->authzid);
	mem_free(&s->token_command);
	secret_release(&s->password);
}

void job_release(struct job *j)
{
	mem_free(&j->user);
	mem_free(&j->journal);
	mem_free(&j->exceptions);
	mem_free(&j->run_as);
	folder_rules_release(&j->folders);
	job_opensrs_release(&j->opensrs);
	for (int i = 0; i < SIDES; i++)
		side_release(&j->side[i]);
	*j = (struct job){ 0 };
}

/* ---- writing */

/* Bytes of the UTF-8 character at p (RFC 3629: no overlong form, no surrogate), 0 if there is
 * none. */
static size_t utf8_at(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char first, last, low,
			high; /* first byte's range, second byte's range */
		size_t n;
	} rows[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		if (n < rows[i].n ||
		    (rows[i].n > 1 && (p[1] < rows[i].low || p[1] > rows[i].high)))
			return 0;
		for (size_t k = 2; k < rows[i].n; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return rows[i].n;
	}
	return 0;
}

/* What is not UTF-8 comes out as '?': such bytes only occur in texts for people. */
static void add_string(struct buf *out, struct slice s)
{
	buf_add_str(out, "\"");
	for (size_t i = 0, n; i < s.n; i += n) {
		unsigned char c = (unsigned char)s.p[i];

		n = utf8_at((const unsigned char *)s.p + i, s.n - i);
		if (n == 0) {
			buf_add_str(out, "?");
			n = 1;
		} else if (c == '"' || c == '\\') {
			char two[2] = { '\\', (char)c };

			buf_add(out, two, 2);
		} else if (c < 0x20 || c == 0x7f) {
			buf_printf(out, "\\u%04x", c);
		} else {
			buf_add(out, s.p + i, n);
		}
	}
	buf_add_str(out, "\"");
}

static void add_field(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, ",\"%s\":", key);
	if (value)
		add_string(out, slice_of(value));
	else
		buf_add_str(out, "null");
}

static void add_number(struct buf *out, const char *key, int64_t value)
{
	buf_printf(out, ",\"%s\":%lld", key, (long long)value);
}

/* A password that is not plain ASCII goes as hex: JSON cannot carry any byte, a password can.
 */
static void add_password(struct buf *out, struct slice pw)
{
	static const char hex[] = "0123456789abcdef";
	bool plain = true;

	for (size_t i = 0; i < pw.n; i++)
		plain = plain && pw.p[i] >= 0x20 && pw.p[i] < 0x7f;
	if (plain) {
		buf_add_str(out, ",\"password\":");
		add_string(out, pw);
		return;
	}
	buf_add_str(out, ",\"password_hex\":\"");
	for (size_t i = 0; i < pw.n; i++) {
		unsigned char c = (unsigned char)pw.p[i];

		buf_add(out, &hex[c >> 4], 1);
		buf_add(out, &hex[c & 15], 1);
	}
	buf_add_str(out, "\"");
}

static void add_side(struct buf *out, const char *key, const struct job_side *s)
{
	buf_printf(out, ",\"%s\":{\"port\":%d", key, s->port);
	add_field(out, "host", s->host);
	add_field(out, "protocol", protocol_kind_name(s->protocol));
	add_field(out, "tls", tls_mode_name(s->tls));
	add_number(out, "pop3_port", s->pop3_port);
	add_field(out, "pop3_tls", tls_mode_name(s->pop3_tls));
	add_field(out, "proxy_protocol", proxy_protocol_name(s->proxy_protocol));
	add_field(out, "tls_name", s->tls_name);
	add_field(out, "tls_ca_file", s->tls_ca_file);
	add_field(out, "tls_pin", s->tls_pin);
	add_field(out, "login", s->login);
	add_field(out, "authzid", s->authzid);
	add_field(out, "mechanism", sasl_mech_name(s->mech));
	add_field(out, "token_command", s->token_command);
	add_password(out, secret_slice(&s->password));
	buf_add_str(out, "}");
}

void job_write(const struct job *j, struct buf *out)
{
	/* Room for all of it at once: growing would leave copies of the passwords behind. */
	(void)buf_room(out, JOB_LINE_MAX);
	buf_printf(out, "{\"kind\":\"%s\"", job_kind_name(j->kind));
	add_field(out, "user", j->user);
	add_field(out, "journal", j->journal);
	add_field(out, "exceptions", j->exceptions);
	add_field(out, "from", side_name(j->from));
	add_number(out, "fence_s", j->fence_s);
	add_number(out, "connect_s", j->connect_s);
	add_number(out, "io_s", j->io_s);
	add_number(out, "connections", j->connections);
	add_number(out, "message_max", j->message_max);
	add_number(out, "delete_brake", j->delete_brake);
	add_number(out, "delete_brake_percent", j->delete_brake_percent);
	add_number(out, "skip_deleted", j->skip_deleted);
	add_field(out, "uids", uid_mode_name(j->uids.wish));
	add_number(out, "uid_gaps", j->uids.gaps);
	add_number(out, "uid_floor", j->uids.floor);
	add_number(out, "uid_s", j->uids.seconds);
	add_number(out, "uidl", j->uidl);
	if (j->kind == JOB_AUDIT) {
		add_field(out, "level", audit_level_name(j->level));
		add_number(out, "sample", j->sample);
	}
	add_field(out, "run_as", j->run_as);
	add_number(out, "memory", j->memory);
	buf_add_str(out, ",\"folders\":");
	job_folders_write(&j->folders, out);
	if (j->opensrs.on) {
		buf_add_str(out, ",\"opensrs\":");
		job_opensrs_write(&j->opensrs, out);
	}
	if (j->kind != JOB_PROVISION) {
		add_side(out, "old", &j->side[SIDE_OLD]);
		add_side(out, "new", &j->side[SIDE_NEW]);
	}
	buf_add_str(out, "}\n");
}

/* Counters of a result, in the order of the header. */
static const struct {
	const char *key;
	size_t at;
} counters[] = {
	{ "copied", offsetof(struct job_result, copied) },
	{ "deleted", offsetof(struct job_result, deleted) },
	{ "flags", offsetof(struct job_result, flags) },
	{ "messages", offsetof(struct job_result, messages) },
	{ "bytes", offsetof(struct job_result, bytes) },
	{ "verified", offsetof(struct job_result, verified) },
	{ "exceptions", offsetof(struct job_result, exceptions) },
	{ "waived", offsetof(struct job_result, waived) },
	{ "repaired", offsetof(struct job_result, repaired) },
	{ "differences", offsetof(struct job_result, differences) },
	{ "arrived", offsetof(struct job_result, arrived) },
	{ "strays", offsetof(struct job_result, strays) },
	{ "took_ms", offsetof(struct job_result, took_ms) },
};

static int64_t *counter(struct job_result *r, size_t i)
{
	return (int64_t *)(void *)((char *)r + counters[i].at);
}

static void add_later(struct buf *out, const struct later *l)
{
	buf_printf(out, ",\"later\":{\"whom\":\"%s\",\"side\":\"%s\"", later_whom_name(l->whom),
		   side_name((enum side)l->side));
	add_number(out, "wait_ms", l->wait_ms);
	buf_printf(out, ",\"fewer\":%s}", l->fewer ? "true" : "false");
}

void job_result_write(const struct job_result *r, struct buf *out)
{
	struct job_result copy = *r;

	buf_printf(out, "{\"event\":\"result\",\"ok\":%s", r->ok ? "true" : "false");
	if (r->ok) {
		buf_printf(out, ",\"clean\":%s", r->clean ? "true" : "false");
		for (size_t i = 0; i < COUNT(counters); i++)
			add_number(out, counters[i].key, *counter(&copy, i));
		if (r->facts.known) {
			buf_add_str(out, ",\"facts\":");
			facts_write(&r->facts, out);
		}
	} else {
		add_field(out, "kind", err_kind_name(r->kind));
		if (r->later.whom)
			add_later(out, &r->later);
	}
	add_field(out, "text", r->text);
	buf_add_str(out, "}\n");
}

static void write_item(const char *event, const json_t *item, struct buf *out)
{
	char *text = json_dumps(item, JSON_COMPACT);

	ASSERT(text);
	buf_printf(out, "{\"event\":\"%s\",\"item\":%s}\n", event, text);
	free(text);
}

static void write_token(const struct job_event *ev, struct buf *out)
{
	(void)buf_room(out, SECRET_MAX * 2); /* growing would leave copies behind */
	buf_add_str(out, "{\"event\":\"token\",\"token\":");
	add_string(out, secret_slice(&ev->token));
	add_number(out, "until", ev->until);
	buf_add_str(out, "}\n");
}

static void write_uidl(const struct uidl_state *s, struct buf *out)
{
	buf_printf(out, "{\"event\":\"uidl\",\"complete\":%s", s->complete ? "true" : "false");
	add_number(out, "entries", s->entries);
	add_number(out, "missing", s->missing);
	add_field(out, "why", s->why);
	buf_add_str(out, "}\n");
}

void job_event_write(const struct job_event *ev, struct buf *out)
{
	switch (ev->kind) {
	case JOB_EVENT_WAITING:
		buf_add_str(out, "{\"event\":\"waiting\"}\n");
		return;
	case JOB_EVENT_PROGRESS:
		buf_add_str(out, "{\"event\":\"progress\"");
		add_field(out, "folder", ev->folder);
		add_number(out, "done", ev->done);
		add_number(out, "total", ev->total);
		add_number(out, "messages", ev->messages);
		add_number(out, "bytes", ev->bytes);
		buf_add_str(out, "}\n");
		return;
	case JOB_EVENT_MOVING:
		buf_add_str(out, "{\"event\":\"moving\"}\n");
		return;
	case JOB_EVENT_AUDIT:
		write_item("audit", ev->item, out);
		return;
	case JOB_EVENT_ACCOUNT:
		write_item("account", ev->item, out);
		return;
	case JOB_EVENT_TOKEN:
		write_token(ev, out);
		return;
	case JOB_EVENT_UIDL_PART:
		buf_add_str(out, "{\"event\":\"uidl_part\"");
		add_field(out, "body", ev->body);
		buf_add_str(out, "}\n");
		return;
	case JOB_EVENT_UIDL:
		write_uidl(&ev->uidl, out);
		return;
	case JOB_EVENT_VALIDITY:
		buf_add_str(out, "{\"event\":\"validity\"");
		add_field(out, "body", ev->body);
		buf_add_str(out, "}\n");
		return;
	case JOB_EVENT_RESULT:
		job_result_write(&ev->result, out);
		return;
	}
	BUG("event kind %d", ev->kind);
}

/* ---- reading */

/* One object while it is taken apart: every key must be asked for, what is left over is
 * unknown. */
struct object {
	json_t *json;
	const char *what;
	size_t used;
	struct err *e;
};

static int load(struct slice line, json_t **out, struct err *e)
{
	json_error_t je;

	if (line.n > JOB_LINE_MAX)
		return err_set(e, ERR_LIMIT, "line of more than %d bytes", JOB_LINE_MAX);
	*out = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &je);
	/* je.text may quote the line, and with it a password. */
	if (!*out)
		return err_set(e, ERR_INPUT, "no JSON at byte %d", je.position);
	if (!json_is_object(*out)) {
		json_decref(*out);
		return err_set(e, ERR_INPUT, "not a JSON object");
	}
	return 0;
}

static json_t *take(struct object *o, const char *key)
{
	json_t *v = json_object_get(o->json, key);

	if (v)
		o->used++;
	return v;
}

static int whole(const struct object *o)
{
	if (o->used != json_object_size(o->json))
		return err_set(o->e, ERR_INPUT, "%s: unknown key in it", o->what);
	return 0;
}

static int wrong(const struct object *o, const char *key, const char *must)
{
	return err_set(o->e, ERR_INPUT, "%s: \"%s\" must be %s", o->what, key, must);
}

/* A string without control characters: it may become part of a command or a path. */
static int take_string(struct object *o, const char *key, size_t max, bool optional, char **out)
{
	json_t *v = take(o, key);
	size_t n;

	if (optional && (!v || json_is_null(v)))
		return 0;
	if (!json_is_string(v))
		return wrong(o, key, "a string");
	n = json_string_length(v);
	if (n == 0 || n > max)
		return wrong(o, key, "of a sensible length");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)json_string_value(v)[i] < 0x20)
			return wrong(o, key, "without control characters");
	*out = mem_strn(json_string_value(v), n);
	return 0;
}

static int take_number(struct object *o, const char *key, int64_t min, int64_t max,
		       int64_t *out)
{
	json_t *v = take(o, key);

	if (!json_is_integer(v))
		return wrong(o, key, "a whole number");
	*out = json_integer_value(v);
	if (*out < min || *out > max)
		return wrong(o, key, "within its limits");
	return 0;
}

/* 0 where it is missing. */
static int take_optional(struct object *o, const char *key, int64_t max, int64_t *out)
{
	*out = 0;
	return json_object_get(o->json, key) ? take_number(o, key, 0, max, out) : 0;
}

static int take_int(struct object *o, const char *key, int min, int max, int *out)
{
	int64_t v = 0;

	if (take_number(o, key, min, max, &v) < 0)
		return -1;
	*out = (int)v;
	return 0;
}

static int take_bool(struct object *o, const char *key, bool *out)
{
	json_t *v = take(o, key);

	if (!json_is_boolean(v))
		return wrong(o, key, "true or false");
	*out = json_is_true(v);
	return 0;
}

/* One of a row of names. */
static int take_name(struct object *o, const char *key, const char *(*name)(int), int count,
		     int *out)
{
	json_t *v = take(o, key);

	for (int i = 0; json_is_string(v) && i < count; i++) {
		if (strcmp(name(i), json_string_value(v)) == 0) {
			*out = i;
			return 0;
		}
	}
	return wrong(o, key, "a name it may have");
}

static const char *name_of_kind(int i)
{
	return job_kind_name((enum job_kind)i);
}

static const char *name_of_side(int i)
{
	return side_name((enum side)i);
}

static const char *name_of_level(int i)
{
	return audit_level_name((enum audit_level)i);
}

static const char *name_of_protocol(int i)
{
	return protocol_kind_name((enum protocol_kind)i);
}

static const char *name_of_proxy(int i)
{
	return proxy_protocol_name((enum proxy_protocol)i);
}

static const char *name_of_tls(int i)
{
	return tls_mode_name((enum tls_mode)i);
}

static const char *name_of_error(int i)
{
	return err_kind_name((enum err_kind)i);
}

static const char *name_of_uids(int i)
{
	return uid_mode_name((enum uid_mode)i);
}

static const char *name_of_whom(int i)
{
	return later_whom_name((enum later_whom)i);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int set_hex(struct object *o, const char *hex, size_t n, struct secret *out)
{
	struct buf raw = { 0 };
	int bad = n % 2;

	(void)buf_room(&raw, n / 2 + 1);
	for (size_t i = 0; i + 1 < n; i += 2) {
		int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);
		char c = (char)((unsigned)high << 4 | (unsigned)low);

		bad |= high < 0 || low < 0 || c == '\0';
		buf_add(&raw, &c, 1);
	}
	if (!bad)
		secret_set(out, buf_slice(&raw).p, buf_len(&raw));
	buf_wipe(&raw);
	return bad ? wrong(o, "password_hex", "pairs of hex digits, none of them 00") : 0;
}

static int take_password(struct object *o, struct secret *out)
{
	json_t *hex = take(o, "password_hex"), *v = take(o, "password");

	if (hex && v)
		return wrong(o, "password", "given once");
	if (!json_is_string(hex ? hex : v))
		return wrong(o, "password", "a string");
	if (json_string_length(hex ? hex : v) > (hex ? 2 * SECRET_MAX : SECRET_MAX))
		return wrong(o, "password", "of a sensible length");
	if (hex)
		return set_hex(o, json_string_value(hex), json_string_length(hex), out);
	secret_set(out, json_string_value(v), json_string_length(v));
	return 0;
}

/* PLAIN where it is missing. */
static int take_mechanism(struct object *o, enum sasl_mech *out)
{
	char *name = NULL;

	*out = SASL_PLAIN;
	if (take_string(o, "mechanism", 32, true, &name) < 0)
		return -1;
	if (name)
		*out = sasl_mech_find(slice_of(name));
	mem_free(&name);
	return *out == SASL_MECHS ? wrong(o, "mechanism", "one that we know") : 0;
}

static int take_protocol(struct object *o, enum protocol_kind *out)
{
	int protocol = PROTO_IMAP;

	if (json_object_get(o->json, "protocol") &&
	    take_name(o, "protocol", name_of_protocol, PROTOS, &protocol) < 0)
		return -1;
	*out = (enum protocol_kind)protocol;
	return 0;
}

/* Both missing: no POP3 there. */
static int take_pop3(struct object *o, struct job_side *out)
{
	int64_t port;
	int tls = TLS_NONE;

	if (take_optional(o, "pop3_port", 65535, &port) < 0 ||
	    (json_object_get(o->json, "pop3_tls") &&
	     take_name(o, "pop3_tls", name_of_tls, TLS_MODES, &tls) < 0))
		return -1;
	out->pop3_port = (int)port;
	out->pop3_tls = (enum tls_mode)tls;
	return 0;
}

static int take_side(struct object *job, const char *key, struct job_side *out)
{
	struct object o = { .json = take(job, key), .what = key, .e = job->e };
	int tls = 0, proxy = 0;

	if (!json_is_object(o.json))
		return wrong(job, key, "an object");
	if (take_string(&o, "host", 255, false, &out->host) < 0 ||
	    take_int(&o, "port", 1, 65535, &out->port) < 0 ||
	    take_protocol(&o, &out->protocol) < 0 || take_pop3(&o, out) < 0 ||
	    take_name(&o, "tls", name_of_tls, TLS_MODES, &tls) < 0 ||
	    take_name(&o, "proxy_protocol", name_of_proxy, PROXY_PROTOCOLS, &proxy) < 0 ||
	    take_string(&o, "tls_name", 255, true, &out->tls_name) < 0 ||
	    take_string(&o, "tls_ca_file", STRING_MAX, true, &out->tls_ca_file) < 0 ||
	    take_string(&o, "tls_pin", PIN_MAX, true, &out->tls_pin) < 0 ||
	    take_string(&o, "login", STRING_MAX, false, &out->login) < 0 ||
	    take_string(&o, "authzid", STRING_MAX, true, &out->authzid) < 0 ||
	    take_mechanism(&o, &out->mech) < 0 ||
	    take_string(&o, "token_command", STRING_MAX, true, &out->token_command) < 0 ||
	    take_password(&o, &out->password) < 0)
		return -1;
	out->tls = (enum tls_mode)tls;
	out->proxy_protocol = (enum proxy_protocol)proxy;
	return whole(&o);
}

static int take_audit(struct object *o, struct job *out)
{
	int level = 0;

	if (take_name(o, "level", name_of_level, AUDIT_LEVELS, &level) < 0 ||
	    take_number(o, "sample", 0, COUNT_MAX, &out->sample) < 0)
		return -1;
	out->level = (enum audit_level)level;
	return 0;
}

static int take_connections(struct object *o, int *out)
{
	*out = 1;
	return json_object_get(o->json, "connections")
		       ? take_int(o, "connections", 1, LANES_MAX, out)
		       : 0;
}

/* Absent: none. */
static int take_folders(struct object *o, struct folder_rules *out)
{
	const json_t *j = take(o, "folders");

	if (j && job_folders_read(j, out) < 0)
		return wrong(o, "folders", "rules about folders");
	return 0;
}

/* All missing: plain. */
static int take_uids(struct object *o, struct job *out)
{
	int wish = UID_PLAIN;

	if (json_object_get(o->json, "uids") &&
	    take_name(o, "uids", name_of_uids, UID_MODES, &wish) < 0)
		return -1;
	out->uids.wish = (enum uid_mode)wish;
	return take_optional(o, "uid_gaps", UINT32_MAX, &out->uids.gaps) < 0 ||
			       take_optional(o, "uid_floor", UINT32_MAX, &out->uids.floor) <
				       0 ||
			       take_optional(o, "uid_s", SECONDS_MAX, &out->uids.seconds) < 0
		       ? -1
		       : 0;
}

/* Absent: new is something else. */
static int take_opensrs(struct object *o, struct job_opensrs *out)
{
	json_t *j = take(o, "opensrs");

	if (j && job_opensrs_read(j, out) < 0)
		return wrong(o, "opensrs", "what sync/job_opensrs.h says");
	return 0;
}

static int take_sides(struct object *o, struct job *out)
{
	if (take_side(o, "old", &out->side[SIDE_OLD]) < 0 ||
	    take_side(o, "new", &out->side[SIDE_NEW]) < 0)
		return -1;
	for (int s = 0; s < SIDES; s++)
		out->side[s].which = (enum side)s;
	return 0;
}

static int take_job(struct object *o, struct job *out)
{
	int kind = 0, from = 0;
	int64_t skip, uidl;

	if (take_name(o, "kind", name_of_kind, JOB_KINDS, &kind) < 0 ||
	    take_string(o, "user", STRING_MAX, false, &out->user) < 0 ||
	    take_string(o, "journal", STRING_MAX, kind == JOB_PROVISION, &out->journal) < 0 ||
	    take_string(o, "exceptions", STRING_MAX, true, &out->exceptions) < 0 ||
	    take_name(o, "from", name_of_side, SIDES, &from) < 0 ||
	    take_int(o, "fence_s", 0, SECONDS_MAX, &out->fence_s) < 0 ||
	    take_int(o, "connect_s", 1, SECONDS_MAX, &out->connect_s) < 0 ||
	    take_int(o, "io_s", 1, SECONDS_MAX, &out->io_s) < 0 ||
	    take_connections(o, &out->connections) < 0 ||
	    take_number(o, "message_max", 1, BYTES_MAX, &out->message_max) < 0 ||
	    take_int(o, "delete_brake", 0, INT32_MAX, &out->delete_brake) < 0 ||
	    take_int(o, "delete_brake_percent", 0, 100, &out->delete_brake_percent) < 0 ||
	    take_optional(o, "skip_deleted", 1, &skip) < 0 ||
	    take_optional(o, "uidl", 1, &uidl) < 0 || take_uids(o, out) < 0 ||
	    take_string(o, "run_as", NAME_MAX, true, &out->run_as) < 0 ||
	    take_optional(o, "memory", BYTES_MAX, &out->memory) < 0 ||
	    take_folders(o, &out->folders) < 0 || take_opensrs(o, &out->opensrs) < 0 ||
	    (kind != JOB_PROVISION && take_sides(o, out) < 0))
		return -1;
	if (job_writes((enum job_kind)kind) &&
	    out->side[from == SIDE_OLD ? SIDE_NEW : SIDE_OLD].protocol != PROTO_IMAP)
		return err_set(o->e, ERR_INPUT, "job: mail cannot be written by POP3");
	out->kind = (enum job_kind)kind;
	out->from = (enum side)from;
	out->skip_deleted = skip;
	out->uidl = uidl;
	if (out->kind == JOB_AUDIT && take_audit(o, out) < 0)
		return -1;
	return whole(o);
}

int job_parse(struct slice line, struct job *out, struct err *e)
{
	struct object o = { .what = "job", .e = e };
	json_malloc_t old_malloc;
	json_free_t old_free;
	int rc;

	*out = (struct job){ 0 };
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_wipe_freed();
	rc = load(line, &o.json, e);
	if (rc == 0) {
		rc = take_job(&o, out);
		json_decref(o.json);
	}
	json_set_alloc_funcs(old_malloc, old_free);
	if (rc < 0)
		job_release(out);
	return rc;
}

static void copy_text(char *to, size_t size, json_t *v)
{
	snprintf(to, size, "%s", json_string_value(v));
}

static int take_text(struct object *o, const char *key, char *to, size_t size)
{
	json_t *v = take(o, key);

	if (!json_is_string(v))
		return wrong(o, key, "a string");
	copy_text(to, size, v);
	return 0;
}

static int take_later(struct object *result, struct later *out)
{
	struct object o = { .json = take(result, "later"), .what = "later", .e = result->e };
	int whom = 0;

	if (!o.json)
		return 0;
	if (!json_is_object(o.json))
		return wrong(result, "later", "an object");
	if (take_name(&o, "whom", name_of_whom, LATER_WHOMS, &whom) < 0 ||
	    take_name(&o, "side", name_of_side, SIDES, &out->side) < 0 ||
	    take_number(&o, "wait_ms", 0, HINT_WAIT_MAX_MS, &out->wait_ms) < 0 ||
	    take_bool(&o, "fewer", &out->fewer) < 0)
		return -1;
	out->whom = (enum later_whom)whom;
	return whole(&o);
}

static int take_result(struct object *o, struct job_result *r)
{
	int kind = 0;

	if (take_bool(o, "ok", &r->ok) < 0 || take_text(o, "text", r->text, sizeof r->text) < 0)
		return -1;
	if (!r->ok) {
		if (take_name(o, "kind", name_of_error, ERR_KINDS, &kind) < 0)
			return -1;
		if (kind == ERR_NONE)
			return wrong(o, "kind", "the kind of an error");
		r->kind = (enum err_kind)kind;
		return take_later(o, &r->later);
	}
	if (take_bool(o, "clean", &r->clean) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(counters); i++)
		if (take_number(o, counters[i].key, 0, COUNT_MAX, counter(r, i)) < 0)
			return -1;
	return facts_read(take(o, "facts"), &r->facts, o->e);
}

static int take_progress(struct object *o, struct job_event *ev)
{
	if (take_text(o, "folder", ev->folder, sizeof ev->folder) < 0 ||
	    take_number(o, "done", 0, COUNT_MAX, &ev->done) < 0 ||
	    take_number(o, "total", 0, COUNT_MAX, &ev->total) < 0 ||
	    take_number(o, "messages", 0, COUNT_MAX, &ev->messages) < 0 ||
	    take_number(o, "bytes", 0, COUNT_MAX, &ev->bytes) < 0)
		return -1;
	return 0;
}

/* The store checks what it says; here it only has to be a text of lines. */
static int take_part(struct object *o, struct job_event *ev)
{
	json_t *v = take(o, "body");
	size_t n;

	if (!json_is_string(v))
		return wrong(o, "body", "a string");
	n = json_string_length(v);
	if (n == 0 || n > STORE_UIDL_PART || json_string_value(v)[n - 1] != '\n' ||
	    memchr(json_string_value(v), '\0', n))
		return wrong(o, "body", "lines of a map");
	ev->body = mem_strn(json_string_value(v), n);
	return 0;
}

/* "NEW OLD" LF …, nothing but digits in it. */
static bool are_pairs(const char *text)
{
	uint64_t number;

	for (struct slice left = slice_of(text), line; left.n;) {
		const char *lf = memchr(left.p, '\n', left.n), *space;

		line = (struct slice){ left.p, lf ? (size_t)(lf - left.p) : 0 };
		space = line.n ? memchr(line.p, ' ', line.n) : NULL;
		if (!space ||
		    slice_u64((struct slice){ line.p, (size_t)(space - line.p) }, UINT32_MAX,
			      &number) < 0 ||
		    slice_u64((struct slice){ space + 1, (size_t)(lf - space - 1) }, UINT32_MAX,
			      &number) < 0)
			return false;
		left = (struct slice){ lf + 1, left.n - line.n - 1 };
	}
	return true;
}

static int take_validity(struct object *o, struct job_event *ev)
{
	json_t *v = take(o, "body");

	if (!json_is_string(v) || json_string_length(v) > STORE_VALIDITY_MAX ||
	    strlen(json_string_value(v)) != json_string_length(v) ||
	    !are_pairs(json_string_value(v)))
		return wrong(o, "body", "lines of two numbers");
	ev->body = mem_str(json_string_value(v));
	return 0;
}

static int take_uidl(struct object *o, struct job_event *ev)
{
	if (take_bool(o, "complete", &ev->uidl.complete) < 0 ||
	    take_number(o, "entries", 0, COUNT_MAX, &ev->uidl.entries) < 0 ||
	    take_number(o, "missing", 0, COUNT_MAX, &ev->uidl.missing) < 0)
		return -1;
	return take_text(o, "why", ev->uidl.why, sizeof ev->uidl.why);
}

static int take_item(struct object *o, struct job_event *ev)
{
	ev->item = json_incref(take(o, "item"));
	return json_is_object(ev->item) ? 0 : wrong(o, "item", "an object");
}

static int take_token(struct object *o, struct job_event *ev)
{
	json_t *v = take(o, "token");

	if (!json_is_string(v) || json_string_length(v) > SECRET_MAX)
		return wrong(o, "token", "a string of a sensible length");
	secret_set(&ev->token, json_string_value(v), json_string_length(v));
	return take_number(o, "until", 0, COUNT_MAX, &ev->until);
}

static int take_event(struct object *o, struct job_event *ev)
{
	json_t *v = take(o, "event");
	const char *name = json_is_string(v) ? json_string_value(v) : "";

	if (strcmp(name, "waiting") == 0) {
		ev->kind = JOB_EVENT_WAITING;
	} else if (strcmp(name, "moving") == 0) {
		ev->kind = JOB_EVENT_MOVING;
	} else if (strcmp(name, "progress") == 0) {
		ev->kind = JOB_EVENT_PROGRESS;
		if (take_progress(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "audit") == 0) {
		ev->kind = JOB_EVENT_AUDIT;
		if (take_item(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "account") == 0) {
		ev->kind = JOB_EVENT_ACCOUNT;
		if (take_item(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "token") == 0) {
		ev->kind = JOB_EVENT_TOKEN;
		if (take_token(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "uidl_part") == 0) {
		ev->kind = JOB_EVENT_UIDL_PART;
		if (take_part(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "uidl") == 0) {
		ev->kind = JOB_EVENT_UIDL;
		if (take_uidl(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "validity") == 0) {
		ev->kind = JOB_EVENT_VALIDITY;
		if (take_validity(o, ev) < 0)
			return -1;
	} else if (strcmp(name, "result") == 0) {
		ev->kind = JOB_EVENT_RESULT;
		if (take_result(o, &ev->result) < 0)
			return -1;
	} else {
		return wrong(o, "event", "one of those in sync/job.h");
	}
	return whole(o);
}

int job_event_parse(struct slice line, struct job_event *out, struct err *e)
{
	struct object o = { .what = "event", .e = e };
	json_malloc_t old_malloc;
	json_free_t old_free;
	int rc;

	*out = (struct job_event){ 0 };
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_wipe_freed(); /* it may be a token */
	rc = load(line, &o.json, e);
	if (rc == 0)
		rc = take_event(&o, out);
	json_decref(o.json);
	json_set_alloc_funcs(old_malloc, old_free);
	if (rc < 0)
		job_event_release(out);
	return rc < 0 ? err_wrap(e, "worker") : 0;
}

void job_event_release(struct job_event *ev)
{
	json_decref(ev->item);
	ev->item = NULL;
	mem_free(&ev->body);
	secret_release(&ev->token);
}
