/* Hides: the names of the keys, and what exactly is signed. */
#include "sync/report.h"

#include "common/clock.h"
#include "common/wire/utf7.h"
#include "sync/page.h"

struct report {
	json_t *json, *folders, *findings, *exceptions;
};

static void put(json_t *o, const char *key, json_t *value)
{
	ASSERT(value && json_object_set_new(o, key, value) == 0);
}

/* Bytes of a server as text: what is no UTF-8 becomes "?". */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);
	char *copy, *p;

	if (j)
		return j;
	copy = mem_str(s);
	for (p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(copy);
	free(copy);
	return j;
}

/* A wire name as people know it. */
static json_t *folder_name(const char *wire)
{
	struct buf b = { 0 };
	json_t *j;

	if (!wire)
		return json_null();
	if (utf7_decode(slice_of(wire), &b) == 0)
		j = json_stringn(buf_slice(&b).p ? buf_slice(&b).p : "", buf_len(&b));
	else
		j = text(wire);
	buf_release(&b);
	return j ? j : text(wire);
}

static json_t *both(const int64_t n[SIDES])
{
	return json_pack("{s:I, s:I}", "old", (json_int_t)n[SIDE_OLD], "new",
			 (json_int_t)n[SIDE_NEW]);
}

static json_t *totals(const struct audit_totals *t)
{
	json_t *j = json_object(), *found = json_object();

	put(j, "messages", both(t->messages));
	put(j, "bytes", both(t->bytes));
	put(j, "same", json_integer(t->same));
	put(j, "compared_in_full", json_integer(t->sampled));
	put(j, "moved_meanwhile", json_boolean(t->moved));
	for (int i = 0; i < AUDIT_FINDINGS; i++)
		if (t->found[i])
			put(found, audit_finding_name((enum audit_finding)i),
			    json_integer(t->found[i]));
	put(j, "found", found);
	return j;
}

struct report *report_new(const char *user, const char *state, enum audit_level level,
			  int64_t sample, int64_t started)
{
	struct report *r = mem_new(sizeof *r);

	r->json = json_object();
	put(r->json, "user", text(user));
	put(r->json, "state", text(state));
	put(r->json, "level",
	    json_string(level == AUDIT_FULL ? "full"
			: sample	    ? "sample"
					    : "headers"));
	put(r->json, "sample", json_integer(sample));
	put(r->json, "started", json_integer(started));
	r->folders = json_array();
	r->findings = json_array();
	r->exceptions = json_array();
	return r;
}

void report_free(struct report **r)
{
	if (!*r)
		return;
	json_decref((*r)->json);
	json_decref((*r)->folders);
	json_decref((*r)->findings);
	json_decref((*r)->exceptions);
	mem_free(r);
}

void report_folder(struct report *r, const char *old_name, const char *new_name,
		   const struct audit_totals *t)
{
	json_t *j = totals(t);

	put(j, "old", folder_name(old_name));
	put(j, "new", folder_name(new_name));
	json_array_append_new(r->folders, j);
}

void report_finding(struct report *r, enum audit_finding f, const char *folder,
		    const uint32_t uid[SIDES])
{
	json_t *j;

	if (json_array_size(r->findings) >= AUDIT_FINDINGS_MAX)
		return;
	j = json_object();
	put(j, "what", json_string(audit_finding_name(f)));
	put(j, "folder", folder_name(folder));
	if (uid[SIDE_OLD])
		put(j, "old_uid", json_integer(uid[SIDE_OLD]));
	if (uid[SIDE_NEW])
		put(j, "new_uid", json_integer(uid[SIDE_NEW]));
	json_array_append_new(r->findings, j);
}

void report_exception(struct report *r, const char *folder, uint32_t uid, const char *reason,
		      const char *waiver)
{
	json_t *j;

	if (json_array_size(r->exceptions) >= AUDIT_FINDINGS_MAX)
		return;
	j = json_object();
	put(j, "folder", folder_name(folder));
	put(j, "old_uid", json_integer(uid));
	put(j, "reason", text(reason));
	if (waiver)
		put(j, "waived", text(waiver));
	json_array_append_new(r->exceptions, j);
}

/* ---- the signature */

static char *signed_text(const json_t *report)
{
	return json_dumps(report, JSON_COMPACT | JSON_SORT_KEYS);
}

json_t *report_sign(json_t *report, const struct signer *s)
{
	char value[SIGNATURE_HEX + 1], *bytes = signed_text(report);

	signer_sign(s, slice_of(bytes), value);
	free(bytes);
	return json_pack("{s:O, s:{s:s, s:s, s:s}}", "report", report, "signature",
			 "algorithm", "ed25519", "key", signer_public_key(s), "value", value);
}

json_t *report_finish(struct report *r, const struct audit_totals *t, int64_t took_ms,
		      const struct signer *s)
{
	double bound = audit_sample_bound(t->sampled);

	put(r->json, "took_ms", json_integer(took_ms));
	put(r->json, "grade", json_string(audit_grade_name(audit_grade(t->found))));
	put(r->json, "totals", totals(t));
	if (t->sampled < t->same)
		put(r->json, "differing_at_most", json_real(bound));
	json_object_set(r->json, "folders", r->folders);
	json_object_set(r->json, "findings", r->findings);
	json_object_set(r->json, "exceptions", r->exceptions);
	return report_sign(r->json, s);
}

int report_check(const json_t *document, const char *key_hex, struct err *e)
{
	const json_t *report = json_object_get(document, "report");
	const json_t *sig = json_object_get(document, "signature");
	const char *key = json_string_value(json_object_get(sig, "key"));
	const char *value = json_string_value(json_object_get(sig, "value"));
	char *bytes;
	bool holds;

	if (!json_is_object(report) || !key || !value)
		return err_set(e, ERR_INPUT, "no report of mailferry");
	if (key_hex && strcmp(key_hex, key) != 0)
		return err_set(e, ERR_INPUT, "signed with another key: %.64s", key);
	bytes = signed_text(report);
	holds = signature_holds(slice_of(bytes), key, value);
	free(bytes);
	return holds ? 0 : err_set(e, ERR_INPUT, "the signature does not fit: it was changed");
}

/* ---- the page */

static const char *string_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long long number_at(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void add_found(struct buf *out, const json_t *found)
{
	const char *key, *divider = "";
	json_t *n;

	buf_add_str(out, "<td>");
	json_object_foreach ((json_t *)(uintptr_t)found, key, n) {
		buf_printf(out, "%s%s %lld", divider, key, (long long)json_integer_value(n));
		divider = ", ";
	}
	buf_add_str(out, "</td>");
}

static void add_folders(struct buf *out, const json_t *folders)
{
	size_t i;
	json_t *f;

	buf_add_str(
		out,
		"<h2>Folders</h2>\n<table><tr><th>old</th><th>new</th><th>messages, old</th>"
		"<th>new</th><th>the same</th><th>found</th></tr>\n");
	json_array_foreach (folders, i, f) {
		const json_t *messages = json_object_get(f, "messages");

		buf_add_str(out, "<tr>");
		page_cell(out, string_at(f, "old"));
		page_cell(out, string_at(f, "new"));
		buf_printf(out,
			   "<td class=n>%lld</td><td class=n>%lld</td><td class=n>%lld</td>",
			   number_at(messages, "old"), number_at(messages, "new"),
			   number_at(f, "same"));
		add_found(out, json_object_get(f, "found"));
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
}

static void add_uid(struct buf *out, const json_t *o, const char *key)
{
	if (json_object_get(o, key))
		buf_printf(out, "<td class=n>%lld</td>", number_at(o, key));
	else
		buf_add_str(out, "<td></td>");
}

static void add_findings(struct buf *out, const json_t *findings)
{
	size_t i;
	json_t *f;

	if (!json_array_size(findings))
		return;
	buf_printf(out,
		   "<h2>Findings</h2>\n<p>The first %d at most.</p>\n<table><tr><th>what</th>"
		   "<th>folder</th><th>UID, old</th><th>UID, new</th></tr>\n",
		   AUDIT_FINDINGS_MAX);
	json_array_foreach (findings, i, f) {
		buf_add_str(out, "<tr>");
		page_cell(out, string_at(f, "what"));
		page_cell(out, string_at(f, "folder"));
		add_uid(out, f, "old_uid");
		add_uid(out, f, "new_uid");
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
}

static void add_exceptions(struct buf *out, const json_t *exceptions)
{
	size_t i;
	json_t *x;

	if (!json_array_size(exceptions))
		return;
	buf_add_str(out,
		    "<h2>Messages that could not be copied</h2>\n<table><tr><th>folder</th>"
		    "<th>UID, old</th><th>reason</th><th>waived</th></tr>\n");
	json_array_foreach (exceptions, i, x) {
		buf_add_str(out, "<tr>");
		page_cell(out, string_at(x, "folder"));
		add_uid(out, x, "old_uid");
		page_cell(out, string_at(x, "reason"));
		page_cell(out, string_at(x, "waived"));
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table>\n");
}

static void add_summary(struct buf *out, const json_t *r)
{
	const json_t *t = json_object_get(r, "totals"), *m = json_object_get(t, "messages");
	char when[CLOCK_TEXT_MAX];

	clock_utc_text(number_at(r, "started"), when);
	buf_printf(out, "<p class=\"grade %s\">%s</p>\n<p>%s, level %s, state ",
		   string_at(r, "grade"), string_at(r, "grade"), when, string_at(r, "level"));
	page_text(out, string_at(r, "state"));
	buf_printf(out,
		   ". %lld messages on old, %lld on new, %lld the same, %lld compared byte for"
		   " byte.</p>\n",
		   number_at(m, "old"), number_at(m, "new"), number_at(t, "same"),
		   number_at(t, "compared_in_full"));
	if (json_is_true(json_object_get(t, "moved_meanwhile")))
		buf_add_str(
			out,
			"<p>Somebody wrote to these mailboxes meanwhile: compare again when "
			"they are quiet.</p>\n");
}

void report_html(const json_t *document, struct buf *out)
{
	const json_t *r = json_object_get(document, "report");

	page_begin(out, string_at(r, "user"));
	add_summary(out, r);
	add_folders(out, json_object_get(r, "folders"));
	add_findings(out, json_object_get(r, "findings"));
	add_exceptions(out, json_object_get(r, "exceptions"));
	page_end(out, document, "mailferry verify");
}
