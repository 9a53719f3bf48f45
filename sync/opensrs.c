/* Hides: libcurl, the envelope of a request, which method may be tried again, and when. */
#include "sync/opensrs.h"

#include <curl/curl.h>

#include "common/clock.h"
#include "common/http_library.h"
#include "sync/pulse.h"

#define BODY_ROOM  4096	 /* bytes; a request grows beyond it seldom */
#define WAIT_MS	   1000	 /* most between two looks at what is due */

/* What a second try could do when the answer to the first was lost. */
enum retry {
	RETRY_SAFE, /* the same again */
	RETRY_ONCE, /* harm: it is tried again only if it cannot have arrived */
};

static const struct method_row {
	const char *name;
	const char *about; /* the parameter that names whom it is about; NULL: none */
	enum retry retry;
} methods[] = {
	[OPENSRS_AUTHENTICATE] = { "authenticate", NULL, RETRY_SAFE },
	[OPENSRS_GENERATE_TOKEN] = { "generate_token", "user", RETRY_SAFE },
	[OPENSRS_GET_COMPANY] = { "get_company", "company", RETRY_SAFE },
	[OPENSRS_GET_COMPANY_BULLETIN] = { "get_company_bulletin", "company", RETRY_SAFE },
	[OPENSRS_GET_DOMAIN] = { "get_domain", "domain", RETRY_SAFE },
	[OPENSRS_CHANGE_DOMAIN] = { "change_domain", "domain", RETRY_SAFE },
	[OPENSRS_SEARCH_DOMAINS] = { "search_domains", NULL, RETRY_SAFE },
	[OPENSRS_GET_USER] = { "get_user", "user", RETRY_SAFE },
	[OPENSRS_CHANGE_USER] = { "change_user", "user", RETRY_SAFE },
	[OPENSRS_SEARCH_USERS] = { "search_users", NULL, RETRY_SAFE },
	[OPENSRS_DELETE_USER] = { "delete_user", "user", RETRY_ONCE },
	[OPENSRS_RESTORE_USER] = { "restore_user", "user", RETRY_ONCE },
	[OPENSRS_RENAME_USER] = { "rename_user", "user", RETRY_ONCE },
	[OPENSRS_LOGOUT_USER] = { "logout_user", "user", RETRY_SAFE },
	[OPENSRS_SET_ROLE] = { "set_role", "user", RETRY_SAFE },
	[OPENSRS_GET_USER_FOLDERS] = { "get_user_folders", "user", RETRY_SAFE },
	[OPENSRS_GET_SIEVE] = { "get_sieve", "user", RETRY_SAFE },
	[OPENSRS_SET_SIEVE] = { "set_sieve", "user", RETRY_SAFE },
	[OPENSRS_MIGRATION_ADD] = { "migration_add", "job", RETRY_ONCE },
	[OPENSRS_MIGRATION_JOBS] = { "migration_jobs", NULL, RETRY_SAFE },
	[OPENSRS_MIGRATION_STATUS] = { "migration_status", "job", RETRY_SAFE },
	[OPENSRS_MIGRATION_TRACE] = { "migration_trace", "job", RETRY_SAFE },
};
_Static_assert(COUNT(methods) == OPENSRS_METHODS, "a row for every method");

/* One connection, and the call that has it. */
struct slot {
	CURL *curl;
	struct opensrs_call *call; /* NULL: free */
	struct buf request, answer;
	char *url;
	int tries;
	int64_t due; /* of the next try; 0: under way */
};

struct opensrs {
	const struct opensrs_access *access;
	CURLM *multi;
	struct curl_slist *headers;
	struct slot slots[OPENSRS_PARALLEL_MAX];
	struct err refused; /* our login was: nothing else is worth a try */
};

const char *opensrs_method_name(enum opensrs_method m)
{
	return methods[m].name;
}

void opensrs_access_release(struct opensrs_access *a)
{
	mem_free(&a->url);
	mem_free(&a->user);
	mem_free(&a->ca_file);
	secret_release(&a->secret);
}

/* ---- calls */

struct opensrs_call opensrs_call(enum opensrs_method m, const char *about)
{
	struct opensrs_call c = { .method = m, .number = OPENSRS_NONE, .body = json_object() };

	c.about = mem_str(about);
	if (about && methods[m].about)
		json_object_set_new(c.body, methods[m].about, json_string(about));
	return c;
}

void opensrs_call_release(struct opensrs_call *c)
{
	mem_free(&c->about);
	json_decref(c->body);
	json_decref(c->answer);
	c->body = c->answer = NULL;
}

static int add_bytes(const char *p, size_t n, void *request)
{
	buf_add(request, p, n);
	return 0;
}

/* Secret: the buf is wiped, and jansson was told to wipe what it frees (sync/json_wipe.h). */
static void write_request(const struct opensrs *o, struct slot *s)
{
	const struct opensrs_call *c = s->call;
	struct slice secret = secret_slice(c->as ? c->as : &o->access->secret);
	json_t *credentials = json_object();

	json_object_set_new(credentials, "user", json_string(c->as ? c->about : o->access->user));
	json_object_set_new(credentials, !c->as && o->access->by_token ? "token" : "password",
			    json_stringn(secret.p ? secret.p : "", secret.n));
	json_object_set_new(credentials, "client", json_string(OPENSRS_CLIENT));
	json_object_set_new(c->body, "credentials", credentials);
	(void)buf_room(&s->request, BODY_ROOM); /* growing would leave copies behind */
	ASSERT(json_dump_callback(c->body, add_bytes, &s->request, JSON_COMPACT) == 0);
	json_object_del(c->body, "credentials");
}

/* ---- one try */

static size_t on_bytes(char *p, size_t size, size_t count, void *slot)
{
	struct slot *s = slot;
	size_t n = size * count;

	if (buf_len(&s->answer) + n > OPENSRS_ANSWER_MAX)
		return 0;
	buf_add(&s->answer, p, n);
	return n;
}

static void prepare(const struct opensrs *o, struct slot *s)
{
	const struct opensrs_access *a = o->access;
	CURL *h = s->curl;

	curl_easy_reset(h);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_NOPROXY, "*"); /* http_proxy is not for us */
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_URL, s->url);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, o->headers);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)a->connect_s);
	curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)a->connect_s + a->answer_s);
	if (a->ca_file)
		curl_easy_setopt(h, CURLOPT_CAINFO, a->ca_file);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(h, CURLOPT_PRIVATE, s);
	curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)buf_len(&s->request));
	curl_easy_setopt(h, CURLOPT_POSTFIELDS, buf_slice(&s->request).p);
}

static void begin_try(struct opensrs *o, struct slot *s)
{
	pulse_beat();
	s->due = 0;
	s->tries++;
	buf_wipe(&s->answer);
	prepare(o, s);
	/* libcurl sends a request twice, unasked, where a kept connection turns out dead. */
	if (methods[s->call->method].retry == RETRY_ONCE)
		curl_easy_setopt(s->curl, CURLOPT_FRESH_CONNECT, 1L);
	ASSERT(curl_multi_add_handle(o->multi, s->curl) == CURLM_OK);
}

static void begin_call(struct opensrs *o, struct slot *s, struct opensrs_call *c)
{
	s->call = c;
	s->tries = 0;
	s->url = mem_printf("%s/%s", o->access->url, methods[c->method].name);
	write_request(o, s);
	begin_try(o, s);
}

/* ---- how a try ended */

static enum err_kind kind_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return ERR_TLS;
	case CURLE_WRITE_ERROR:
		return ERR_LIMIT;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_INPUT;
	default:
		return ERR_TEMP;
	}
}

/* It did not come to an answer: true if the request cannot have arrived. */
static bool lost(const struct opensrs *o, const struct slot *s, CURLcode rc, bool *again,
		 struct err *e)
{
	enum err_kind kind = kind_of(rc);
	curl_off_t sent = 0;

	curl_easy_getinfo(s->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
	*again = kind == ERR_TEMP;
	if (kind == ERR_LIMIT)
		err_set(e, kind, "the answer is longer than %d MiB", OPENSRS_ANSWER_MAX >> 20);
	else
		err_set(e, kind, "%s does not answer: %s; remedy: see that this host reaches it, "
				 "and whether OpenSRS lets in only addresses it knows",
			o->access->url, curl_easy_strerror(rc));
	return sent == 0;
}

/* Their words may repeat what we sent. */
void opensrs_hide(char *text, struct slice secret)
{
	for (char *p = text; secret.n && (p = memmem(p, strlen(p), secret.p, secret.n)); )
		for (size_t i = 0; i < secret.n; i++)
			*p++ = '*';
}

static void hide_secrets(const struct opensrs *o, const struct opensrs_call *c, char *text)
{
	const json_t *attributes = json_object_get(c->body, "attributes");
	const char *password = opensrs_text(attributes, "password");
	const char *hash = password && password[0] == '{' ? strchr(password, '}') : NULL;
	const json_t *users = json_object_get(c->body, "users"), *one;
	size_t i;

	opensrs_hide(text, secret_slice(&o->access->secret));
	if (c->as)
		opensrs_hide(text, secret_slice(c->as));
	opensrs_hide(text, slice_of(password));
	opensrs_hide(text, slice_of(hash ? hash + 1 : NULL));
	json_array_foreach (users, i, one)
		opensrs_hide(text, slice_of(opensrs_text(one, "password")));
}

static void hide_in(const struct opensrs *o, const struct opensrs_call *c, json_t *words)
{
	char *text = mem_str(json_string_value(words));

	if (!text)
		return;
	hide_secrets(o, c, text);
	json_string_set(words, text);
	mem_free(&text);
}

/* Hidden in all that they say before it is cut, or a secret's beginning would be left. */
static void say_refusal(const struct opensrs *o, struct opensrs_call *c)
{
	json_t *said = json_deep_copy(c->answer), *why;
	const char *key;

	hide_in(o, c, json_object_get(said, "error"));
	json_object_foreach (json_object_get(said, "hints"), key, why)
		hide_in(o, c, why);
	opensrs_refusal(said, c->number, &c->e);
	json_decref(said);
}

static void end_call(struct opensrs *o, struct slot *s)
{
	struct opensrs_call *c = s->call;

	pulse_beat();
	if (!c->ok) {
		if (c->number != OPENSRS_NONE)
			say_refusal(o, c);
		hide_secrets(o, c, c->e.text);
		err_wrap(&c->e, "OpenSRS: %s%s%s", methods[c->method].name, c->about ? " " : "",
			 c->about ? c->about : "");
		if (c->number == OPENSRS_LOGIN && !c->as)
			o->refused = c->e;
	}
	s->call = NULL;
	mem_free(&s->url);
	buf_wipe(&s->request);
	buf_wipe(&s->answer);
}

/* true: the call is over. */
static bool end_try(struct opensrs *o, struct slot *s, CURLcode rc)
{
	struct opensrs_call *c = s->call;
	bool again = false, unseen = false;
	long status = 0;

	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(o->multi, s->curl);
	err_clear(&c->e);
	json_decref(c->answer);
	c->answer = NULL;
	c->number = OPENSRS_NONE;
	if (rc == CURLE_OK)
		c->ok = opensrs_judge(status, buf_slice(&s->answer), &c->answer, &c->number,
				      &again, &c->e) == 0;
	else
		unseen = lost(o, s, rc, &again, &c->e);
	if (c->ok || !again || s->tries == OPENSRS_TRIES ||
	    (methods[c->method].retry == RETRY_ONCE && !unseen))
		return true;
	s->due = clock_mono_ms() + ((int64_t)OPENSRS_BACKOFF_MS << (s->tries - 1));
	return false;
}

/* ---- all of them */

struct round {
	struct opensrs_call *calls;
	size_t next, count;
	opensrs_done_fn *done;
	void *arg;
};

static void tell(struct round *r, struct opensrs_call *c)
{
	if (r->done)
		r->done(c, r->arg);
}

static void fill_slots(struct opensrs *o, struct round *r)
{
	for (int i = 0; i < o->access->parallel; i++) {
		struct slot *s = &o->slots[i];

		if (s->call && s->due && s->due <= clock_mono_ms())
			begin_try(o, s);
		while (!s->call && r->next < r->count) {
			struct opensrs_call *c = &r->calls[r->next++];

			if (!o->refused.kind) {
				begin_call(o, s, c);
			} else {
				c->e = o->refused;
				tell(r, c);
			}
		}
	}
}

static void take_ended(struct opensrs *o, struct round *r)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(o->multi, &left))) {
		CURLcode rc = m->data.result;
		struct opensrs_call *c;
		struct slot *s = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
		c = s->call;
		if (!end_try(o, s, rc))
			continue;
		end_call(o, s);
		tell(r, c);
	}
}

static bool has_call(const struct opensrs *o, bool with)
{
	for (int i = 0; i < o->access->parallel; i++)
		if ((o->slots[i].call != NULL) == with)
			return true;
	return false;
}

static bool is_busy(const struct opensrs *o)
{
	return has_call(o, true);
}

static bool has_room(const struct opensrs *o)
{
	return has_call(o, false);
}

static int until_due(const struct opensrs *o)
{
	int64_t ms = WAIT_MS, now = clock_mono_ms();

	for (int i = 0; i < o->access->parallel; i++)
		if (o->slots[i].due)
			ms = MIN(ms, MAX(o->slots[i].due - now, 0));
	return (int)ms;
}

void opensrs_run(struct opensrs *o, struct opensrs_call *calls, size_t n, opensrs_done_fn *done,
		 void *arg)
{
	struct round r = { .calls = calls, .count = n, .done = done, .arg = arg };
	int running;

	for (fill_slots(o, &r); is_busy(o); fill_slots(o, &r)) {
		ASSERT(curl_multi_perform(o->multi, &running) == CURLM_OK);
		take_ended(o, &r);
		if (is_busy(o) && (r.next == r.count || !has_room(o)))
			curl_multi_poll(o->multi, NULL, 0, until_due(o), NULL);
	}
}

int opensrs_do(struct opensrs *o, struct opensrs_call *c, struct err *e)
{
	opensrs_run(o, c, 1, NULL, NULL);
	if (c->ok)
		return 0;
	*e = c->e;
	return -1;
}

/* ---- files */

/* Bytes of "https://host:port" in an address; 0: it is none. */
static size_t origin_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

static bool is_theirs(const struct opensrs *o, const char *url)
{
	size_t n = origin_of(o->access->url);

	return n && origin_of(url) == n && strncasecmp(url, o->access->url, n) == 0;
}

static int fetch(const struct opensrs *o, struct slot *s, struct err *e)
{
	long status = 0;
	CURLcode rc;

	prepare(o, s);
	curl_easy_setopt(s->curl, CURLOPT_HTTPGET, 1L);
	rc = curl_easy_perform(s->curl);
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (rc != CURLE_OK)
		return err_set(e, kind_of(rc), "%s", curl_easy_strerror(rc));
	if (status != 200)
		return err_set(e, ERR_PROTOCOL, "HTTP status %ld", status);
	return 0;
}

int opensrs_fetch(struct opensrs *o, const char *url, size_t most, struct buf *out,
		  struct err *e)
{
	struct slot s = { .url = (char *)(uintptr_t)url };
	struct slice got;
	int rc = -1;

	if (!is_theirs(o, url)) {
		err_set(e, ERR_PROTOCOL, "it is elsewhere");
	} else {
		s.curl = curl_easy_init();
		ASSERT(s.curl);
		rc = fetch(o, &s, e);
		curl_easy_cleanup(s.curl);
	}
	got = buf_slice(&s.answer);
	if (rc == 0)
		buf_add(out, got.p + got.n - MIN(got.n, most), MIN(got.n, most));
	buf_release(&s.answer);
	return rc < 0 ? err_wrap(e, "OpenSRS: a file") : 0;
}

/* ---- life */

int opensrs_open(struct opensrs **out, const struct opensrs_access *a, struct err *e)
{
	struct opensrs *o;

	ASSERT(a->parallel >= 1 && a->parallel <= OPENSRS_PARALLEL_MAX);
	if (http_library_check(e) < 0)
		return -1;
	o = mem_new(sizeof *o);
	o->access = a;
	o->multi = curl_multi_init();
	ASSERT(o->multi);
	curl_multi_setopt(o->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)a->parallel);
	curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, (long)a->parallel);
	o->headers = curl_slist_append(NULL, "Content-Type: application/json");
	o->headers = curl_slist_append(o->headers, "Expect:"); /* no round trip before it */
	ASSERT(o->headers);
	for (int i = 0; i < a->parallel; i++) {
		o->slots[i].curl = curl_easy_init();
		ASSERT(o->slots[i].curl);
	}
	*out = o;
	return 0;
}

void opensrs_close(struct opensrs **o)
{
	if (!*o)
		return;
	for (int i = 0; i < (*o)->access->parallel; i++)
		curl_easy_cleanup((*o)->slots[i].curl);
	curl_multi_cleanup((*o)->multi);
	curl_slist_free_all((*o)->headers);
	mem_free(o);
}
