/* Hides: columns, their rules, and that passwords do not stay in memory. */
#include "sync/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "sync/hashes.h"

enum column {
	COL_USER,
	COL_NAME,
	COL_QUOTA,
	COL_ALIASES,
	COL_LANGUAGE,
	COL_TIMEZONE,
	COL_FORWARD,
	COL_KEEP,
	COL_AUTO_REPLY,
	COL_SERVICES,
	COL_HASH,
	COL_PASSWORD,
	COL_PASSWORD_FILE,
	COLUMNS
};

static const char *const column_names[] = {
	[COL_USER] = "user",
	[COL_NAME] = "name",
	[COL_QUOTA] = "quota",
	[COL_ALIASES] = "aliases",
	[COL_LANGUAGE] = "language",
	[COL_TIMEZONE] = "timezone",
	[COL_FORWARD] = "forward",
	[COL_KEEP] = "keep",
	[COL_AUTO_REPLY] = "auto_reply",
	[COL_SERVICES] = "services",
	[COL_HASH] = "hash",
	[COL_PASSWORD] = "password",
	[COL_PASSWORD_FILE] = "password_file",
};
_Static_assert(COUNT(column_names) == COLUMNS, "a name for every column");

#define ALL_COLUMNS                                                                   \
	"user, name, quota, aliases, language, timezone, forward, keep, auto_reply, " \
	"services, hash, password, password_file"

#define WORD_MAX  64 /* bytes of a language or time zone */
#define QUOTA_MAX (1LL << 50)

struct reading {
	struct sheet *sheet;
	const struct login_name_rules *rules;
	const char *base;
	struct accounts *out;
};

#define complain(r, ...) sheet_complain((r)->sheet, sheet_line((r)->sheet), __VA_ARGS__)

static const char *value(const struct reading *r, enum column c)
{
	return sheet_value(r->sheet, c);
}

static void put(struct account *a, const char *attribute, json_t *v)
{
	json_object_set_new(a->attributes, attribute, v);
}

/* ---- names */

/* What OpenSRS takes of the part before the @. */
static bool is_local(const char *p, size_t n)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-_.";

	for (size_t i = 0; i < n; i++)
		if (!p[i] || !strchr(alphabet, p[i]) ||
		    (p[i] == '.' && i + 1 < n && p[i + 1] == '.'))
			return false;
	return n >= 1 && n <= 64 && !strchr("-_.", p[0]);
}

static bool is_domain(const char *p)
{
	size_t n = strlen(p);

	return n >= 3 && n <= 160 && strchr(p, '.') && !strchr(p, '@');
}

static bool is_address(const char *p)
{
	size_t n = strcspn(p, "@");

	return p[n] == '@' && is_local(p, n) && is_domain(p + n + 1);
}

static void take_name(const struct reading *r, struct account *a)
{
	const char *raw = value(r, COL_USER);
	char name[LOGIN_NAME_MAX + 1];

	a->is_domain = raw[0] == '@';
	if (a->is_domain) {
		const struct login_name_rules rules = { .fold_local = true };

		if (login_name_normalise(slice_of(raw + 1), &rules, name, sizeof name) < 0 ||
		    !is_domain(name))
			complain(r, "\"%.80s\" is no domain", raw);
		else
			a->name = mem_str(name);
	} else if (login_name_normalise(slice_of(raw), r->rules, name, sizeof name) < 0 ||
		   !is_address(name)) {
		complain(
			r,
			"\"%.80s\" is no address that OpenSRS takes: letters, digits, '-', '_' and "
			"single '.', the first a letter or digit, then @ and a domain",
			raw);
	} else {
		a->name = mem_str(name);
	}
}

/* ---- words */

static bool has_word(const json_t *list, const char *word)
{
	size_t i;
	json_t *one;

	json_array_foreach (list, i, one)
		if (strcmp(json_string_value(one), word) == 0)
			return true;
	return false;
}

static json_t *take_list(const struct reading *r, enum column c, size_t most,
			 bool (*fits)(const char *), const char *what)
{
	const char *rest = value(r, c);
	json_t *list = json_array();
	struct slice w;

	while ((w = sheet_word(&rest)).n) {
		char *word = mem_strn(w.p, w.n);

		for (char *p = word; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		if (!fits(word))
			complain(r, "%s: \"%.80s\" is no %s", column_names[c], word, what);
		if (!has_word(list, word)) /* OpenSRS has each once */
			json_array_append_new(list, json_string(word));
		mem_free(&word);
	}
	if (json_array_size(list) > most)
		complain(r, "%s: more than %zu", column_names[c], most);
	return list;
}

static void take_aliases(const struct reading *r, struct account *a)
{
	if (*value(r, COL_ALIASES))
		put(a, "aliases",
		    take_list(r, COL_ALIASES, ACCOUNT_ALIASES_MAX,
			      a->is_domain ? is_domain : is_address,
			      a->is_domain ? "domain" : "address"));
}

static bool is_no(const char *text)
{
	return strcasecmp(text, "no") == 0;
}

static void take_forward(const struct reading *r, struct account *a)
{
	const char *keep = value(r, COL_KEEP);

	if (*keep && !is_no(keep) && strcasecmp(keep, "yes") != 0)
		complain(r, "keep: yes or no, not \"%.40s\"", keep);
	if (!*value(r, COL_FORWARD)) {
		if (is_no(keep))
			complain(r, "keep = no would lose the mail: forward names nobody");
		return;
	}
	put(a, "forward_recipients",
	    take_list(r, COL_FORWARD, ACCOUNT_FORWARDS_MAX, is_address, "address"));
	put(a, "delivery_forward", json_true());
	put(a, "delivery_local", json_boolean(!is_no(keep)));
}

static bool put_service(struct account *a, struct slice word)
{
	static const char *const names[] = {
		"imap4", "pop3", "smtpin", "smtprelay", "smtprelay_webmail", "webmail"
	};
	static const char *const states[] = { "enabled", "disabled", "suspended" };
	const char *is = memchr(word.p, '=', word.n);
	struct slice name = { word.p, is ? (size_t)(is - word.p) : word.n };
	struct slice state =
		is ? (struct slice){ is + 1, word.n - name.n - 1 } : slice_of("enabled");

	for (size_t i = 0; i < COUNT(names); i++)
		for (size_t k = 0; k < COUNT(states); k++)
			if (slice_is(name, names[i]) && slice_is(state, states[k])) {
				char *attribute = mem_printf("service_%s", names[i]);

				put(a, attribute, json_string(states[k]));
				mem_free(&attribute);
				return true;
			}
	return false;
}

static void take_services(const struct reading *r, struct account *a)
{
	const char *rest = value(r, COL_SERVICES);
	struct slice w;

	while ((w = sheet_word(&rest)).n)
		if (!put_service(a, w))
			complain(r,
				 "services: \"%.*s\" is none; they are imap4, pop3, smtpin, "
				 "smtprelay, smtprelay_webmail, webmail, each alone or with "
				 "=enabled, =disabled, =suspended",
				 (int)MIN(w.n, (size_t)40), w.p);
}

/* ---- texts and numbers */

/* Characters, not bytes. */
static size_t length(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void take_text(const struct reading *r, struct account *a, enum column c,
		      const char *attribute, size_t most)
{
	const char *text = value(r, c);
	json_t *v = *text ? json_string(text) : NULL;

	if (!*text)
		return;
	if (!v)
		complain(r, "%s is not UTF-8", column_names[c]);
	else if (length(text) > most)
		complain(r, "%s is longer than %zu characters", column_names[c], most);
	if (v)
		put(a, attribute, v);
}

static void take_reply(const struct reading *r, struct account *a)
{
	const char *text = value(r, COL_AUTO_REPLY), *line;
	struct buf whole = { 0 };
	json_t *v;

	if (!*text)
		return;
	for (; (line = strstr(text, "\\n")); text = line + 2) {
		buf_add(&whole, text, (size_t)(line - text));
		buf_add_str(&whole, "\n");
	}
	buf_add_str(&whole, text);
	v = json_stringn(buf_slice(&whole).p, buf_len(&whole));
	if (!v)
		complain(r, "auto_reply is not UTF-8");
	else if (length(json_string_value(v)) > ACCOUNT_REPLY_MAX)
		complain(r, "auto_reply is longer than %d characters", ACCOUNT_REPLY_MAX);
	if (v) {
		put(a, "autoresponder", v);
		put(a, "delivery_autoresponder", json_true());
	}
	buf_release(&whole);
}

static void take_quota(const struct reading *r, struct account *a)
{
	static const char units[] = "KMG";
	const char *text = value(r, COL_QUOTA);
	size_t n = strlen(text);
	const char *unit = n ? strchr(units, text[n - 1]) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;
	uint64_t number;

	if (!n)
		return;
	if (slice_u64((struct slice){ text, n - (unit != NULL) }, QUOTA_MAX >> shift, &number) <
	    0)
		complain(r,
			 "quota: a number of bytes, or with K, M or G behind it, not \"%.40s\"",
			 text);
	else
		put(a, "quota", json_integer((json_int_t)(number << shift)));
}

/* ---- passwords */

static int take_clear(const struct reading *r, struct account *a, struct err *e)
{
	const char *text = value(r, COL_PASSWORD), *file = value(r, COL_PASSWORD_FILE);
	char *path;
	int rc = 0;

	if (*text) {
		secret_set(&a->password, text, strlen(text));
	} else {
		path = file[0] == '/' || !r->base ? mem_str(file)
						  : mem_printf("%s/%s", r->base, file);
		rc = secret_read_file(&a->password, path, e);
		mem_free(&path);
	}
	return rc < 0 ? -1
		      : clear_text_check(secret_slice(&a->password), a->name ? a->name : "", e);
}

static void take_password(const struct reading *r, struct account *a)
{
	const char *hash = value(r, COL_HASH);
	struct err e = { 0 };
	int given = (*hash != 0) + (*value(r, COL_PASSWORD) != 0) +
		    (*value(r, COL_PASSWORD_FILE) != 0);

	if (given == 0)
		return;
	a->learned = strcmp(hash, "learned") == 0;
	a->hashed = *hash && !a->learned;
	if (a->is_domain)
		complain(r, "a domain has no password");
	else if (given > 1)
		complain(r, "only one of hash, password and password_file can be right");
	else if (a->learned)
		return;
	else if (a->hashed ? hash_translate(slice_of(hash), &a->password, &e) < 0
			   : take_clear(r, a, &e) < 0)
		complain(r, "%s: %s", a->hashed ? "hash" : "password", e.text);
}

/* ---- rows */

static void take_row(struct sheet *s, void *reading)
{
	struct reading *r = reading;
	struct accounts *l = r->out;
	struct account *a;

	r->sheet = s;
	if ((l->count & (l->count - 1)) == 0)
		l->at = mem_grow(l->at, MAX(l->count * 2, (size_t)1), sizeof *l->at);
	a = &l->at[l->count++];
	*a = (struct account){ .line = sheet_line(s), .attributes = json_object() };
	take_name(r, a);
	take_text(r, a, COL_NAME, "name", ACCOUNT_NAME_MAX);
	take_text(r, a, COL_LANGUAGE, "language", WORD_MAX);
	take_text(r, a, COL_TIMEZONE, "timezone", WORD_MAX);
	take_quota(r, a);
	take_aliases(r, a);
	take_forward(r, a);
	take_reply(r, a);
	take_services(r, a);
	take_password(r, a);
	if (a->is_domain && (json_object_get(a->attributes, "name") ||
			     json_object_get(a->attributes, "delivery_forward") ||
			     json_object_get(a->attributes, "delivery_autoresponder")))
		complain(r, "a domain has no name, forward or auto_reply");
}

static int by_name(const void *a, const void *b)
{
	const struct account *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : (x->line > y->line) - (x->line < y->line);
}

static void check_twice(const struct accounts *a, struct sheet_errors *errs)
{
	for (size_t i = 1; i < a->count; i++)
		if (strcmp(a->at[i].name, a->at[i - 1].name) == 0)
			sheet_errors_add(errs, a->file, a->at[i].line,
					 "%s is already in line %u", a->at[i].name,
					 a->at[i - 1].line);
}

int accounts_parse(struct slice csv, const char *file, const struct login_name_rules *rules,
		   const char *base, struct accounts *out, struct sheet_errors *errs)
{
	struct reading r = { .rules = rules, .base = base, .out = out };
	const struct sheet_opts o = { .file = file,
				      .columns = column_names,
				      .column_count = COLUMNS,
				      .known = ALL_COLUMNS,
				      .rows_max = ACCOUNTS_MAX,
				      .rows = "user",
				      .on_row = take_row,
				      .arg = &r };

	*out = (struct accounts){ .file = mem_str(file) };
	*errs = (struct sheet_errors){ 0 };
	if (sheet_read(csv, &o, errs) == 0) {
		qsort(out->at, out->count, sizeof *out->at, by_name);
		check_twice(out, errs);
	}
	if (!errs->count)
		return 0;
	accounts_release(out);
	return -1;
}

void accounts_release(struct accounts *a)
{
	for (size_t i = 0; i < a->count; i++) {
		mem_free(&a->at[i].name);
		json_decref(a->at[i].attributes);
		secret_release(&a->at[i].password);
	}
	mem_free(&a->at);
	mem_free(&a->file);
	a->count = 0;
}

const struct account *accounts_find(const struct accounts *a, const char *name)
{
	const struct account key = { .name = (char *)(uintptr_t)name };
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int d = strcmp(key.name, a->at[middle].name);

		if (d == 0)
			return &a->at[middle];
		if (d < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ---- the file */

static int load(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return err_set(e, ERR_INPUT, "%s", strerror(errno));
	if (fstat(fd, &st) < 0 || st.st_size > ACCOUNTS_BYTES_MAX)
		err_set(e, ERR_INPUT, "it is longer than %d MiB", ACCOUNTS_BYTES_MAX >> 20);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		err_set(e, ERR_INPUT,
			"others than its owner may read it, and it may hold "
			"passwords; remedy: chmod 600");
	else
		(void)buf_room(out, (size_t)st.st_size + 1); /* growing would leave copies */
	while (!e->kind && n > 0 && buf_len(out) <= (size_t)st.st_size) {
		n = read(fd, buf_room(out, 1), (size_t)st.st_size + 1 - buf_len(out));
		if (n > 0)
			buf_wrote(out, (size_t)n);
		if (n < 0)
			err_set(e, ERR_INPUT, "%s", strerror(errno));
	}
	/* Its last row may lack the end of a password. */
	if (!e->kind && buf_len(out) != (size_t)st.st_size)
		err_set(e, ERR_INPUT,
			"it is being written just now; remedy: write another file, and "
			"rename it when it is whole");
	close(fd);
	return e->kind ? -1 : 0;
}

int accounts_read(const char *path, const struct login_name_rules *rules, struct accounts *out,
		  struct sheet_errors *errs)
{
	const char *slash = strrchr(path, '/');
	char *base = slash ? mem_strn(path, (size_t)(slash - path) + 1) : NULL;
	struct buf csv = { 0 };
	struct err e = { 0 };
	int rc = load(path, &csv, &e);

	if (rc < 0) {
		*out = (struct accounts){ 0 };
		*errs = (struct sheet_errors){ 0 };
		sheet_errors_add(errs, path, 1, "%s", e.text);
	} else {
		rc = accounts_parse(buf_slice(&csv), path, rules, base, out, errs);
	}
	buf_wipe(&csv);
	mem_free(&base);
	return rc;
}
