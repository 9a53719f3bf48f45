/*
 * Hides: the JSON of a job. It is read with jansson under an allocator that wipes, so that nothing
 * of a password stays in freed memory.
 */
#include "sync/job_impl.h"

#include <limits.h>

#include "sync/job_folders.h"
#include "sync/json_wipe.h"
#include "sync/lanes.h"

#define STRING_MAX  4096 /* bytes of a name, host or path in a job */
#define PIN_MAX	    128
#define SECONDS_MAX 86400
#define BYTES_MAX   ((int64_t)1 << 40) /* of a message or a counter of bytes */

static const char *const kind_names[] = {
	[JOB_PROBE] = "probe",	     [JOB_PASS] = "pass",   [JOB_FINAL] = "final",
	[JOB_TRAILING] = "trailing", [JOB_AUDIT] = "audit",
	[JOB_PROVISION] = "provision", [JOB_PULL] = "pull",
};
_Static_assert(COUNT(kind_names) == JOB_KINDS, "a name for every kind");

const char *job_kind_name(enum job_kind k)
{
	return kind_names[k];
}

int job_kind_find(const char *name)
{
	for (int k = 0; k < JOB_KINDS; k++)
		if (strcmp(name, kind_names[k]) == 0)
			return k;
	return -1;
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
	job_pull_release(&j->pull);
	for (int i = 0; i < SIDES; i++)
		side_release(&j->side[i]);
	*j = (struct job){ 0 };
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

static const char *name_of_uids(int i)
{
	return uid_mode_name((enum uid_mode)i);
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
	return bad ? object_wrong(o, "password_hex", "pairs of hex digits, none of them 00") : 0;
}

static int take_password(struct object *o, struct secret *out)
{
	json_t *hex = object_take(o, "password_hex"), *v = object_take(o, "password");

	if (hex && v)
		return object_wrong(o, "password", "given once");
	if (!json_is_string(hex ? hex : v))
		return object_wrong(o, "password", "a string");
	if (json_string_length(hex ? hex : v) > (hex ? 2 * SECRET_MAX : SECRET_MAX))
		return object_wrong(o, "password", "of a sensible length");
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
	if (object_string(o, "mechanism", 32, true, &name) < 0)
		return -1;
	if (name)
		*out = sasl_mech_find(slice_of(name));
	mem_free(&name);
	return *out == SASL_MECHS ? object_wrong(o, "mechanism", "one that we know") : 0;
}

static int take_protocol(struct object *o, enum protocol_kind *out)
{
	int protocol = PROTO_IMAP;

	if (json_object_get(o->json, "protocol") &&
	    object_name(o, "protocol", name_of_protocol, PROTOS, &protocol) < 0)
		return -1;
	*out = (enum protocol_kind)protocol;
	return 0;
}

/* Both missing: no POP3 there. */
static int take_pop3(struct object *o, struct job_side *out)
{
	int64_t port;
	int tls = TLS_NONE;

	if (object_optional(o, "pop3_port", 65535, &port) < 0 ||
	    (json_object_get(o->json, "pop3_tls") &&
	     object_name(o, "pop3_tls", name_of_tls, TLS_MODES, &tls) < 0))
		return -1;
	out->pop3_port = (int)port;
	out->pop3_tls = (enum tls_mode)tls;
	return 0;
}

static int take_side(struct object *job, const char *key, struct job_side *out)
{
	struct object o = { .json = object_take(job, key), .what = key, .e = job->e };
	int tls = 0, proxy = 0;

	if (!json_is_object(o.json))
		return object_wrong(job, key, "an object");
	if (object_string(&o, "host", 255, false, &out->host) < 0 ||
	    object_int(&o, "port", 1, 65535, &out->port) < 0 ||
	    take_protocol(&o, &out->protocol) < 0 || take_pop3(&o, out) < 0 ||
	    object_name(&o, "tls", name_of_tls, TLS_MODES, &tls) < 0 ||
	    object_name(&o, "proxy_protocol", name_of_proxy, PROXY_PROTOCOLS, &proxy) < 0 ||
	    object_string(&o, "tls_name", 255, true, &out->tls_name) < 0 ||
	    object_string(&o, "tls_ca_file", STRING_MAX, true, &out->tls_ca_file) < 0 ||
	    object_string(&o, "tls_pin", PIN_MAX, true, &out->tls_pin) < 0 ||
	    object_string(&o, "login", STRING_MAX, false, &out->login) < 0 ||
	    object_string(&o, "authzid", STRING_MAX, true, &out->authzid) < 0 ||
	    take_mechanism(&o, &out->mech) < 0 ||
	    object_string(&o, "token_command", STRING_MAX, true, &out->token_command) < 0 ||
	    take_password(&o, &out->password) < 0)
		return -1;
	out->tls = (enum tls_mode)tls;
	out->proxy_protocol = (enum proxy_protocol)proxy;
	return object_whole(&o);
}

static int take_audit(struct object *o, struct job *out)
{
	int level = 0;

	if (object_name(o, "level", name_of_level, AUDIT_LEVELS, &level) < 0 ||
	    object_number(o, "sample", 0, OBJECT_COUNT_MAX, &out->sample) < 0)
		return -1;
	out->level = (enum audit_level)level;
	return 0;
}

static int take_connections(struct object *o, int *out)
{
	*out = 1;
	return json_object_get(o->json, "connections")
		       ? object_int(o, "connections", 1, LANES_MAX, out)
		       : 0;
}

/* Absent: none. */
static int take_folders(struct object *o, struct folder_rules *out)
{
	const json_t *j = object_take(o, "folders");

	if (j && job_folders_read(j, out) < 0)
		return object_wrong(o, "folders", "rules about folders");
	return 0;
}

/* All missing: plain. */
static int take_uids(struct object *o, struct job *out)
{
	int wish = UID_PLAIN;

	if (json_object_get(o->json, "uids") &&
	    object_name(o, "uids", name_of_uids, UID_MODES, &wish) < 0)
		return -1;
	out->uids.wish = (enum uid_mode)wish;
	return object_optional(o, "uid_gaps", UINT32_MAX, &out->uids.gaps) < 0 ||
			       object_optional(o, "uid_floor", UINT32_MAX, &out->uids.floor) <
				       0 ||
			       object_optional(o, "uid_s", SECONDS_MAX, &out->uids.seconds) < 0
		       ? -1
		       : 0;
}

/* Absent: new is something else. */
static int take_opensrs(struct object *o, struct job_opensrs *out)
{
	json_t *j = object_take(o, "opensrs");

	if (j && job_opensrs_read(j, out) < 0)
		return object_wrong(o, "opensrs", "what sync/job_opensrs.h says");
	return 0;
}

static int take_pull(struct object *o, struct job_pull *out)
{
	if (job_pull_read(object_take(o, "pull"), out) < 0)
		return object_wrong(o, "pull", "what sync/job_pull.h says");
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

	if (object_name(o, "kind", name_of_kind, JOB_KINDS, &kind) < 0 ||
	    object_string(o, "user", STRING_MAX, false, &out->user) < 0 ||
	    object_string(o, "journal", STRING_MAX, kind == JOB_PROVISION, &out->journal) < 0 ||
	    object_string(o, "exceptions", STRING_MAX, true, &out->exceptions) < 0 ||
	    object_name(o, "from", name_of_side, SIDES, &from) < 0 ||
	    object_int(o, "fence_s", 0, SECONDS_MAX, &out->fence_s) < 0 ||
	    object_int(o, "connect_s", 1, SECONDS_MAX, &out->connect_s) < 0 ||
	    object_int(o, "io_s", 1, SECONDS_MAX, &out->io_s) < 0 ||
	    take_connections(o, &out->connections) < 0 ||
	    object_number(o, "message_max", 1, BYTES_MAX, &out->message_max) < 0 ||
	    object_int(o, "delete_brake", 0, INT32_MAX, &out->delete_brake) < 0 ||
	    object_int(o, "delete_brake_percent", 0, 100, &out->delete_brake_percent) < 0 ||
	    object_optional(o, "skip_deleted", 1, &skip) < 0 ||
	    object_optional(o, "uidl", 1, &uidl) < 0 || take_uids(o, out) < 0 ||
	    object_string(o, "run_as", NAME_MAX, true, &out->run_as) < 0 ||
	    object_optional(o, "memory", BYTES_MAX, &out->memory) < 0 ||
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
	if ((out->kind == JOB_AUDIT && take_audit(o, out) < 0) ||
	    (out->kind == JOB_PULL && take_pull(o, &out->pull) < 0))
		return -1;
	return object_whole(o);
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
	rc = object_load(line, JOB_LINE_MAX, &o.json, e);
	if (rc == 0) {
		rc = take_job(&o, out);
		json_decref(o.json);
	}
	json_set_alloc_funcs(old_malloc, old_free);
	if (rc < 0)
		job_release(out);
	return rc;
}
