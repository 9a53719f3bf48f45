/* Hides: the order of the calls, and how what is there is compared with what shall be. */
#include "sync/provision.h"

#include "common/wire/utf7.h"
#include "sync/hashes.h"

#define VALUE_SHOWN 60 /* bytes of a value in a text for people */

/* A domain or a user on the way. */
struct subject {
	const char *name;
	const struct account *row; /* NULL: not in the list */
	struct subject *domain;	   /* of a user, as is */
	const struct secret *learned; /* NULL: nothing */
	enum provision_what what;
	bool decided;	/* what and text are final */
	json_t *change; /* attributes to send */
	char text[PROVISION_TEXT_MAX];
};

struct work {
	const struct provision *p;
	struct subject *domains, *users;
	size_t domain_count, user_count;
};

const char *provision_what_name(enum provision_what w)
{
	static const char *const names[] = { "same",	"create",  "change",
					     "created", "changed", "failed" };

	_Static_assert(COUNT(names) == PROVISION_WHATS, "a name for each");
	return names[w];
}

static void decide(struct subject *s, enum provision_what what)
{
	s->what = what;
	s->decided = true;
}

static void PRINTF_LIKE(2, 3) fail(struct subject *s, const char *fmt, ...)
{
	va_list ap;

	s->what = PROVISION_FAILED;
	s->decided = true;
	va_start(ap, fmt);
	vsnprintf(s->text, sizeof s->text, fmt, ap);
	va_end(ap);
}

static void tell(const struct work *w, const struct subject *s)
{
	const struct provision_item i = { .name = s->name,
					  .line = s->row ? s->row->line : 0,
					  .what = s->what,
					  .text = s->text };

	w->p->fn(&i, w->p->arg);
}

/* ---- calls for many at once */

typedef void took_fn(const struct work *w, struct subject *s, struct opensrs_call *c);

struct batch {
	const struct work *w;
	took_fn *took;
	struct opensrs_call *calls;
	struct subject **of;
	size_t n;
};

static void batch_add(struct batch *b, struct subject *s, struct opensrs_call c)
{
	b->calls = mem_grow(b->calls, b->n + 1, sizeof *b->calls);
	b->of = mem_grow(b->of, b->n + 1, sizeof(struct subject *));
	b->calls[b->n] = c;
	b->of[b->n++] = s;
}

static void on_done(struct opensrs_call *c, void *batch)
{
	struct batch *b = batch;

	b->took(b->w, b->of[c - b->calls], c);
	opensrs_call_release(c);
}

static void batch_run(struct batch *b)
{
	opensrs_run(b->w->p->api, b->calls, b->n, on_done, b);
	mem_free(&b->calls);
	mem_free(&b->of);
	b->n = 0;
}

/* ---- what differs */

/* As sets: neither side promises an order. */
static bool same_list(const json_t *a, const json_t *b)
{
	size_t i, k;
	json_t *x, *y;

	if (json_array_size(a) != json_array_size(b))
		return false;
	json_array_foreach (a, i, x) {
		bool found = false;

		json_array_foreach (b, k, y)
			found |= json_is_string(y) &&
				 strcasecmp(json_string_value(x), json_string_value(y)) == 0;
		if (!found)
			return false;
	}
	return true;
}

static bool same_value(const json_t *wanted, const json_t *there)
{
	int64_t n;

	switch (json_typeof(wanted)) {
	case JSON_ARRAY:
		return same_list(wanted, there);
	case JSON_INTEGER:
		return opensrs_number(there, &n) == 0 && n == json_integer_value(wanted);
	case JSON_TRUE:
	case JSON_FALSE:
		if (json_is_boolean(there))
			return json_equal(wanted, there);
		return opensrs_number(there, &n) == 0 && (n != 0) == json_is_true(wanted);
	default:
		return json_equal(wanted, there);
	}
}

/* No character is cut: text that is not UTF-8 would be lost as a whole. */
static void add_text(struct buf *b, const char *text)
{
	struct slice front = utf8_front(slice_of(text), VALUE_SHOWN);

	buf_add(b, front.p, front.n);
}

static void add_value(struct buf *b, const json_t *v)
{
	size_t i, from = buf_len(b);
	json_t *one;
	int64_t n;

	if (json_is_string(v))
		add_text(b, json_string_value(v));
	else if (json_is_boolean(v))
		buf_add_str(b, json_is_true(v) ? "yes" : "no");
	else if (opensrs_number(v, &n) == 0)
		buf_printf(b, "%lld", (long long)n);
	json_array_foreach (v, i, one)
		if (json_is_string(one) && buf_len(b) - from < VALUE_SHOWN) {
			buf_add_str(b, i ? " " : "");
			add_text(b, json_string_value(one));
		}
	if (buf_len(b) == from)
		buf_add_str(b, "nothing");
}

/* Puts what must be sent into s->change and says it in s->text; false: nothing differs. */
static bool find_changes(struct subject *s, const json_t *there)
{
	struct buf text = { 0 };
	struct slice shown;
	const char *name;
	json_t *wanted;

	json_decref(s->change);
	s->change = json_object();
	json_object_foreach (s->row->attributes, name, wanted) {
		const json_t *now = json_object_get(there, name);

		if (same_value(wanted, now))
			continue;
		json_object_set(s->change, name, wanted);
		buf_printf(&text, "%s%s: ", buf_len(&text) ? "; " : "", name);
		add_value(&text, now);
		buf_add_str(&text, " -> ");
		add_value(&text, wanted);
	}
	shown = utf8_front(buf_slice(&text), sizeof s->text - 1);
	snprintf(s->text, sizeof s->text, "%.*s", (int)shown.n, shown.n ? shown.p : "");
	buf_release(&text);
	return json_object_size(s->change) > 0;
}

/* A word that OpenSRS does not know there would be refused: said before. */
static bool check_word(struct subject *s, const json_t *answer, const char *attribute)
{
	const char *word = s->row ? opensrs_text(s->row->attributes, attribute) : NULL;
	const json_t *options = json_object_get(
		json_object_get(json_object_get(answer, "metadata"), "options"), attribute);
	json_t *one;
	size_t i;

	if (!word || json_array_size(options) == 0)
		return true;
	json_array_foreach (options, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), word) == 0)
			return true;
	fail(s, "OpenSRS knows no %s \"%.60s\"; remedy: correct it in the list, as \"%s\"",
	     attribute, word, json_string_value(json_array_get(options, 0)));
	return false;
}

/* ---- looking */

static void compare(const struct work *w, struct subject *s, const json_t *answer)
{
	const json_t *there = json_object_get(answer, "attributes");
	bool differs = s->row && find_changes(s, there);

	if (!differs || w->p->create_only)
		decide(s, PROVISION_SAME);
	else
		s->what = PROVISION_CHANGE;
}

/* Is it told what there is, and of this very name? */
static bool is_itself(struct subject *s, const json_t *answer)
{
	const json_t *attributes = json_object_get(answer, "attributes");
	const char *account = opensrs_text(attributes, "account");

	if (!json_is_object(attributes))
		fail(s, "OpenSRS says that it is there, and nothing of its attributes; remedy: "
			"try again, or ask its support");
	else if (account && strcasecmp(account, s->name) != 0)
		fail(s,
		     "the %s is an alias of %.80s on OpenSRS; remedy: remove it there, or "
		     "take the row out of the list",
		     s->domain ? "address" : "domain", account);
	else
		return true;
	return false;
}

static void took_domain(const struct work *w, struct subject *s, struct opensrs_call *c)
{
	if (!c->ok && c->number != OPENSRS_MISSING)
		fail(s, "%s", c->e.text);
	else if (!check_word(s, c->answer, "timezone") || !check_word(s, c->answer, "language"))
		return;
	else if (!c->ok)
		s->what = PROVISION_CREATE;
	else if (is_itself(s, c->answer))
		compare(w, s, c->answer);
}

static bool is_mailbox(struct subject *s, const json_t *answer)
{
	const char *type = opensrs_text(answer, "type");

	if (!is_itself(s, answer))
		return false;
	if (type && strcmp(type, "mailbox") != 0)
		fail(s,
		     "on OpenSRS it is no mailbox but of type %.40s; remedy: change or delete "
		     "it there",
		     type);
	else
		return true;
	return false;
}

static const struct secret *password_of(const struct subject *s)
{
	return s->row->learned && s->learned ? s->learned : &s->row->password;
}

static void will_create(struct subject *s)
{
	const struct secret *password = password_of(s);
	struct err e = { 0 };

	if (s->row->learned && !secret_is_set(password))
		fail(s, "the account must be made, and no password that OpenSRS takes has been "
			"learned for it; remedy: see section learn of the settings and wait for a "
			"login, or give the password in the list");
	else if (s->row->learned && clear_text_check(secret_slice(password), s->name, &e) < 0)
		fail(s, "learned: %s", e.text);
	else if (secret_is_set(password))
		s->what = PROVISION_CREATE;
	else
		fail(s,
		     "the account must be made, and the list has no password for it; remedy: "
		     "fill the column hash, password or password_file");
}

static void took_user(const struct work *w, struct subject *s, struct opensrs_call *c)
{
	if (!c->ok && c->number != OPENSRS_MISSING)
		fail(s, "%s", c->e.text);
	else if (!check_word(s, c->answer, "timezone") || !check_word(s, c->answer, "language"))
		return;
	else if (!c->ok)
		will_create(s);
	else if (is_mailbox(s, c->answer))
		compare(w, s, c->answer);
}

static void look_at_users(const struct work *w)
{
	struct batch b = { .w = w, .took = took_user };

	for (size_t i = 0; i < w->user_count; i++) {
		struct subject *s = &w->users[i];

		if (!s->row)
			fail(s,
			     "the list of accounts has no row for this user; remedy: add one to "
			     "the file that opensrs.accounts names");
		else if (s->domain->what == PROVISION_FAILED)
			fail(s, "domain %s: %s", s->domain->name, s->domain->text);
		else if (s->domain->what == PROVISION_CREATE)
			will_create(s); /* nobody can be there yet */
		else
			batch_add(&b, s, opensrs_call(OPENSRS_GET_USER, s->name));
	}
	batch_run(&b);
}

static void look_at_domains(const struct work *w)
{
	struct batch b = { .w = w, .took = took_domain };

	for (size_t i = 0; i < w->domain_count; i++)
		batch_add(&b, &w->domains[i],
			  opensrs_call(OPENSRS_GET_DOMAIN, w->domains[i].name));
	batch_run(&b);
}

/* ---- changing */

static void took_change(const struct work *w UNUSED, struct subject *s, struct opensrs_call *c)
{
	if (c->ok)
		s->what = s->what == PROVISION_CREATE ? PROVISION_CREATED : PROVISION_CHANGED;
	else if (s->what != PROVISION_CREATE || c->number != OPENSRS_EXISTS)
		fail(s, "%s", c->e.text);
	else /* ours, if the answer to a first try was lost: looked at again */
		snprintf(s->text, sizeof s->text, "%s", c->e.text);
}

static void took_taken(const struct work *w UNUSED, struct subject *s, struct opensrs_call *c)
{
	char refusal[PROVISION_TEXT_MAX];

	snprintf(refusal, sizeof refusal, "%s", s->text);
	if (c->ok && (!s->row || (is_mailbox(s, c->answer) &&
				  !find_changes(s, json_object_get(c->answer, "attributes")))))
		decide(s, PROVISION_CREATED);
	else
		fail(s, "%s", refusal);
}

static struct opensrs_call change_call(const struct subject *s, enum opensrs_method m)
{
	struct opensrs_call c = opensrs_call(m, s->name);
	struct slice password = s->row ? secret_slice(password_of(s)) : (struct slice){ 0 };
	json_t *attributes;

	if (s->what == PROVISION_CHANGE) {
		json_object_set(c.body, "attributes", s->change);
		return c;
	}
	attributes = s->row ? json_copy(s->row->attributes) : json_object();
	if (m == OPENSRS_CHANGE_USER) {
		json_object_set_new(attributes, "type", json_string("mailbox"));
		json_object_set_new(attributes, "password",
				    json_stringn(password.p, password.n));
	}
	json_object_set_new(c.body, "attributes", attributes);
	json_object_set_new(c.body, "create_only", json_true());
	return c;
}

static void apply(const struct work *w, struct subject *all, size_t n, enum opensrs_method get,
		  enum opensrs_method change)
{
	struct batch b = { .w = w, .took = took_change };

	for (size_t i = 0; i < n; i++)
		if (!all[i].decided)
			batch_add(&b, &all[i], change_call(&all[i], change));
	batch_run(&b);
	b.took = took_taken;
	for (size_t i = 0; i < n; i++)
		if (!all[i].decided && all[i].what == PROVISION_CREATE)
			batch_add(&b, &all[i], opensrs_call(get, all[i].name));
	batch_run(&b);
}

/* ---- proving */

static void took_proof(const struct work *w UNUSED, struct subject *s, struct opensrs_call *c)
{
	if (c->ok)
		return;
	if (c->number == OPENSRS_LOGIN)
		fail(s,
		     "the account was made, but OpenSRS refuses its password; remedy: set the "
		     "password there, and report this as a mistake of mailferry");
	else
		fail(s, "the account was made, but its login could not be tried: %s",
		     c->e.text);
}

/* In clear text it can be tried; with a hash nobody can, before the user comes. */
static void prove(const struct work *w)
{
	struct batch b = { .w = w, .took = took_proof };

	for (size_t i = 0; i < w->user_count; i++) {
		struct subject *s = &w->users[i];
		struct opensrs_call c;

		if (s->what != PROVISION_CREATED || s->row->hashed)
			continue;
		c = opensrs_call(OPENSRS_AUTHENTICATE, s->name);
		c.as = password_of(s);
		batch_add(&b, s, c);
	}
	batch_run(&b);
}

/* ---- the whole */

/* NULL: the list says nothing of the user nor of the domain, which may not be ours to make. */
static struct subject *domain_of(struct work *w, const char *user)
{
	const char *name = strchr(user, '@') ? strchr(user, '@') + 1 : "";
	struct subject *s;

	if (!accounts_find(w->p->list, user) && !accounts_find(w->p->list, name))
		return NULL;

	for (size_t i = 0; i < w->domain_count; i++)
		if (strcmp(w->domains[i].name, name) == 0)
			return &w->domains[i];
	s = &w->domains[w->domain_count++];
	*s = (struct subject){ .name = name, .row = accounts_find(w->p->list, name) };
	return s;
}

static void begin(struct work *w, const char *const *users, size_t n)
{
	w->domains = mem_array(MAX(n, (size_t)1), sizeof *w->domains);
	w->users = mem_array(MAX(n, (size_t)1), sizeof *w->users);
	w->user_count = n;
	for (size_t i = 0; i < n; i++)
		w->users[i] = (struct subject){ .name = users[i],
						.row = accounts_find(w->p->list, users[i]),
						.learned = w->p->learned ? &w->p->learned[i]
									 : NULL,
						.domain = domain_of(w, users[i]) };
}

static void end(struct work *w)
{
	for (size_t i = 0; i < w->domain_count; i++)
		json_decref(w->domains[i].change);
	for (size_t i = 0; i < w->user_count; i++)
		json_decref(w->users[i].change);
	mem_free(&w->domains);
	mem_free(&w->users);
}

int provision_run(const struct provision *p, const char *const *users, size_t n, struct err *e)
{
	struct opensrs_call hello = opensrs_call(OPENSRS_AUTHENTICATE, NULL);
	struct work w = { .p = p };
	int rc = opensrs_do(p->api, &hello, e);

	opensrs_call_release(&hello);
	if (rc < 0)
		return -1;
	ASSERT(n <= PROVISION_MAX);
	begin(&w, users, n);
	look_at_domains(&w);
	if (!p->dry_run)
		apply(&w, w.domains, w.domain_count, OPENSRS_GET_DOMAIN, OPENSRS_CHANGE_DOMAIN);
	for (size_t i = 0; i < w.domain_count; i++)
		tell(&w, &w.domains[i]);
	look_at_users(&w);
	if (!p->dry_run) {
		apply(&w, w.users, w.user_count, OPENSRS_GET_USER, OPENSRS_CHANGE_USER);
		prove(&w);
	}
	for (size_t i = 0; i < w.user_count; i++)
		tell(&w, &w.users[i]);
	end(&w);
	return 0;
}
