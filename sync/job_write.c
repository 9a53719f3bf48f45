/*
 * Hides: that lines between engine and worker are written by hand, since jansson's copies of a
 * password could not be wiped.
 */
#include "sync/job_impl.h"

#include "sync/job_folders.h"
#include "sync/lanes.h"

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
	if (j->pull.on) {
		buf_add_str(out, ",\"pull\":");
		job_pull_write(&j->pull, out);
	}
	if (j->kind != JOB_PROVISION) {
		add_side(out, "old", &j->side[SIDE_OLD]);
		add_side(out, "new", &j->side[SIDE_NEW]);
	}
	buf_add_str(out, "}\n");
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
		for (size_t i = 0; i < JOB_COUNTERS; i++)
			add_number(out, job_counters[i].key, *job_counter(&copy, i));
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
	case JOB_EVENT_PULL:
		write_item("pull", ev->item, out);
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
