/* Hides: how a request finds its route, and what all routes have in common. */
#include "admin/api.h"

#include <event2/http.h>

#include "admin/api_parts.h"
#include "admin/web.h"
#include "common/log.h"

static int get_routes(struct api_call *c);

/* A '*' stands for one segment: a user's name. */
static const struct api_route {
	enum http_method method;
	enum role role; /* who asks must have, at least */
	const char *path;
	int (*answer)(struct api_call *c);
	const char *what;
} routes[] = {
	{ HTTP_GET, ROLE_VIEW, "/v1", get_routes, "this list" },
	{ HTTP_GET, ROLE_VIEW, "/metrics", api_get_metrics,
	  "for Prometheus, as text (docs/metrics.md)" },
	{ HTTP_GET, ROLE_NONE, "/healthz", api_get_health, "200: it answers; as text" },
	{ HTTP_GET, ROLE_VIEW, "/readyz", api_get_readiness,
	  "200: it works or stands by; 503: why not" },
	{ HTTP_GET, ROLE_VIEW, "/v1/status", api_get_status, "everything at a glance" },
	{ HTTP_GET, ROLE_VIEW, "/v1/events", api_get_events,
	  "what happens, as server-sent events; ?after=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/rates", api_get_rates, "how fast it went; ?seconds=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users", api_get_users,
	  "?wave= state= q= only= after= limit=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users/*", api_get_user, "one user" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users/*/why", api_get_why, "what the user waits for" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users/*/exceptions", api_get_exceptions,
	  "messages that could not be copied, and repairs; ?limit=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users/*/history", api_get_history,
	  "moves, oldest first; ?after= limit= last=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users/*/logins", api_get_logins,
	  "that a server was asked for, oldest first; ?after= limit= last=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/users/*/drops", api_get_drops,
	  "sessions that we ended, oldest first; ?after= limit= last=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/report", api_get_report, "how a wave went; ?wave=" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/report/final", api_post_final,
	  "{}: makes the signed report of the whole move" },
	{ HTTP_GET, ROLE_VIEW, "/v1/report/final", api_get_final,
	  "how that stands, and the document once it is done; ?part=state | document" },
	{ HTTP_GET, ROLE_VIEW, "/v1/history", api_get_history,
	  "moves of all users; ?after= limit= last=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/sessions", api_get_sessions,
	  "?user= wave= node= side= proto= state= limit= after=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/answers", api_get_answers,
	  "what became of a drop or drain; ?request=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/strangers", api_get_strangers,
	  "logins that nobody imported; ?limit=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/domains", api_get_domains,
	  "how far each domain is, and where its MX leads; ?limit=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/inventory", api_get_inventory,
	  "who reads by which protocol and client; ?wave= after= limit=" },
	{ HTTP_GET, ROLE_VIEW, "/v1/phases", api_get_phases,
	  "the plan of one domain, or how far each is; ?domain= | after= limit=" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/phases", api_post_phases,
	  "{domain, item, note, undo}: a person vouches for an item" },
	{ HTTP_GET, ROLE_VIEW, "/v1/usage", api_get_usage, "which extensions clients use" },
	{ HTTP_GET, ROLE_VIEW, "/v1/nodes", api_get_nodes, "proxy processes" },
	{ HTTP_GET, ROLE_VIEW, "/v1/holds", api_get_holds,
	  "logins that waited; ?user= limit=" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/import", api_post_import, "{csv, file, folder}" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/sync", api_post_sync, "{user | wave | all}" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/cutover", api_post_cutover,
	  "{user | wave, go, at, latest, rate, first_hour, quiet_s, dry_run}: the go, and when" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/pause", api_post_pause,
	  "{wave, note}: nobody of it begins" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/resume", api_post_resume, "{wave}" },
	{ HTTP_GET, ROLE_VIEW, "/v1/waves", api_get_waves,
	  "how they stand, and when they go; ?wave=" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/rollback", api_post_rollback,
	  "{user | wave, note, go}" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/waive", api_post_waive,
	  "{user | wave, check, note, undo}: a check that is let pass;"
	  " {user, folder, uid | kind | all, count, note, undo}: exceptions that do not count" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/retry", api_post_retry, "{user | wave}" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/verify", api_post_verify,
	  "{user | wave, level: full | headers | sample, sample}: compares both sides" },
	{ HTTP_GET, ROLE_VIEW, "/v1/verify", api_get_verify,
	  "?user= | wave=: how that stands; of one user with the report" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/provision", api_post_provision,
	  "{user | wave | all, dry_run}: accounts on OpenSRS" },
	{ HTTP_GET, ROLE_VIEW, "/v1/provision", api_get_provision,
	  "the last run, and what it says" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/pull", api_post_pull,
	  "{user | wave, dry_run, undo, stuck, job}: OpenSRS's own tool copies" },
	{ HTTP_GET, ROLE_VIEW, "/v1/pull", api_get_pull,
	  "?user= | wave= state= after= limit=: how that stands" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/drop", api_post_drop,
	  "{user, force, seconds}: ends sessions, moves nobody" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/drain", api_post_drain,
	  "{node | all, seconds, undo}: no clients any more" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/forget", api_post_forget,
	  "{node}: one that is off for good" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/reload", api_post_reload,
	  "{}: settings and certificates, in all processes" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/rebuild", api_post_rebuild,
	  "{}: a store that has lost moves is given those that this host has seen" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/requests", api_post_requests,
	  "{verb: loglevel, level}" },
	{ HTTP_GET, ROLE_VIEW, "/v1/trace", api_get_trace,
	  "lines of a trace; ?trace= after= limit=" },
	{ HTTP_POST, ROLE_OPERATE, "/v1/trace", api_post_trace,
	  "{user, seconds, bytes} or {user, stop}: writes conversations down" },
};

/* ---- what all routes use */

int api_refuse(struct api_call *c, int status, const char *remedy, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_object_clear(c->out);
	json_object_set_new(c->out, "error", api_json_text(text));
	json_object_set_new(c->out, "remedy", api_json_text(remedy));
	return status;
}

void api_actor(const struct api_call *c, char out[API_ACTOR_MAX])
{
	snprintf(out, API_ACTOR_MAX, "operator %s", c->request->who);
}

int api_fail(struct api_call *c, const struct err *e)
{
	if (e->kind == ERR_INPUT)
		return api_refuse(c, 422, "correct it and try again", "%s", e->text);
	if (e->kind == ERR_LIMIT)
		return api_refuse(c, 429, "try again later", "%s", e->text);
	log_error(NULL, "api: %s: %s", c->request->path, e->text);
	if (e->kind == ERR_STORE)
		return api_refuse(c, 503, "look after the store's disk and the engine's log",
				  "%s", e->text);
	return api_refuse(c, 500, "look into the engine's log", "%s", e->text);
}

int api_no_user(struct api_call *c, const char *name)
{
	return api_refuse(c, 404, "import the user, or see `mailferry users`", "no user %s",
			  name);
}

bool api_normalise(const struct api *a, const char *raw, char out[STORE_NAME_MAX + 1])
{
	struct login_name_rules rules = settings_login_rules(a->settings);

	return login_name_normalise(slice_of(raw), &rules, out, STORE_NAME_MAX + 1) == 0;
}

bool api_is_live(const struct api *a, const char *name, struct api_live *out)
{
	return a->hooks->live && a->hooks->live(name, out, a->arg);
}

json_t *api_user_now(const struct api *a, const struct user *u)
{
	struct api_live live;
	json_t *j = api_json_user(u, api_is_live(a, u->name, &live) ? &live : NULL);

	if (a->hooks->awaited && a->hooks->awaited(u->name, a->arg))
		json_object_set_new(j, "awaited", json_true());
	return j;
}

/* What the settings make possible there: nobody need offer what cannot be. */
static json_t *opensrs_json(const struct settings *s)
{
	return json_pack("{s:b, s:b}", "provision", s->opensrs.cluster && s->opensrs.accounts,
			 "pull", s->opensrs.cluster != NULL);
}

static json_t *route_json(const struct api_route *r)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "method", http_method_name(r->method),
			      "path", r->path, "role", role_name(r->role), "what", r->what);

	if (r->method == HTTP_POST)
		json_object_set_new(j, "takes", api_json_words(r->path));
	return j;
}

static int get_routes(struct api_call *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < COUNT(routes); i++)
		json_array_append_new(list, route_json(&routes[i]));
	json_object_set_new(c->out, "routes", list);
	json_object_set_new(c->out, "who", api_json_text(c->request->who));
	json_object_set_new(c->out, "role", json_string(role_name(c->request->role)));
	json_object_set_new(c->out, "opensrs", opensrs_json(c->api->settings));
	return 200;
}

/* ---- finding the route */

/* Where pattern says '*', the segment goes to *name. */
static bool path_matches(const char *pattern, const char *path, struct slice *name)
{
	*name = (struct slice){ 0 };
	for (; *pattern; pattern++) {
		if (*pattern == '*') {
			*name = (struct slice){ path, strcspn(path, "/") };
			path += name->n;
			if (name->n == 0)
				return false;
		} else if (*pattern != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

/* NULL: none; *known says whether another method would do. */
static const struct api_route *find_route(const struct http_request *r, struct slice *name,
					  bool *known)
{
	*known = false;
	for (size_t i = 0; i < COUNT(routes); i++) {
		if (!path_matches(routes[i].path, r->path, name))
			continue;
		*known = true;
		if (routes[i].method == r->method)
			return &routes[i];
	}
	return NULL;
}

static bool take_name(struct api_call *c, struct slice segment)
{
	char *raw = mem_strn(segment.p, segment.n);
	size_t n = 0;
	char *decoded = evhttp_uridecode(raw, 0, &n);
	bool ok = decoded && strlen(decoded) == n && api_normalise(c->api, decoded, c->name);

	free(decoded);
	mem_free(&raw);
	return ok;
}

static bool take_body(struct api_call *c)
{
	struct slice b = c->request->body;

	c->in = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(c->in);
}

static bool is_web_file(struct api_call *c)
{
	struct web_file f;

	if (c->request->method != HTTP_GET || !web_find(c->request->path, &f))
		return false;
	c->answer->type = f.type;
	c->answer->bytes = f.bytes;
	return true;
}

static int refuse_role(struct api_call *c, enum role needed)
{
	if (c->request->role == ROLE_NONE)
		return api_refuse(c, 401,
				  "send \"Authorization: Bearer TOKEN\", with a token that "
				  "`mailferry token add` made",
				  "this needs a token");
	return api_refuse(c, 403, "use a token with that role", "this needs the role %s",
			  role_name(needed));
}

/* 0, or the status of a refusal. */
static int check_body(struct api_call *c, const struct api_route *r)
{
	if (c->request->body.n > API_POST_MAX && r->answer != api_post_import)
		return api_refuse(c, 413, "name fewer users, or a wave",
				  "more than %d bytes were posted", API_POST_MAX);
	if (r->method != HTTP_POST)
		return 0;
	if (!take_body(c))
		return api_refuse(c, 400, "post one JSON object", "the body is no JSON object");
	return api_check_words(c, r->path);
}

static int dispatch(struct api_call *c)
{
	struct slice segment;
	bool known;
	int status;
	const struct api_route *r = find_route(c->request, &segment, &known);

	if (!known && is_web_file(c))
		return 200;
	if (!r)
		return known ? api_refuse(c, 405, "GET /v1 lists the routes",
					  "wrong method for %s", c->request->path)
			     : api_refuse(c, 404, "GET /v1 lists the routes", "nothing at %s",
					  c->request->path);
	if (c->request->role < r->role)
		return refuse_role(c, r->role);
	if (segment.n && !take_name(c, segment))
		return api_refuse(c, 400, "give the name as in the import",
				  "no login name: %.*s",
				  (int)MIN(segment.n, (size_t)STORE_NAME_MAX), segment.p);
	status = check_body(c, r);
	return status ? status : r->answer(c);
}

/* What was asked to be changed, by somebody who has a role, whatever came of it. Who may not
 * changes nothing, and shall not fill the log; nor who shows no token, whatever he asks for. */
static void note(const struct http_request *r, int status)
{
	const char *between = r->from[0] ? " from " : "";

	if (r->method == HTTP_POST && r->role != ROLE_NONE && status != 403)
		log_info(&(struct log_about){ .what = "operator" }, "POST %s: %d (%s%s%s)",
			 r->path, status, r->who, between, r->from);
	else
		log_debug(NULL, "api: %s %s: %d (%s%s%s)", http_method_name(r->method), r->path,
			  status, r->who, between, r->from);
}

int api_answer(const struct http_request *r, struct http_answer *a, void *arg)
{
	struct api_call c = { .api = arg, .request = r, .answer = a, .out = json_object() };
	int status = dispatch(&c);

	json_decref(c.in);
	a->body = c.out;
	note(r, status);
	return status;
}

/* ---- life */

struct api *api_new(const struct api_opts *o)
{
	static const struct api_hooks none;
	struct api *a = mem_new(sizeof *a);

	a->store = o->store;
	a->settings = o->settings;
	a->hooks = o->hooks ? o->hooks : &none;
	a->arg = o->arg;
	if (o->base) {
		a->events = api_events_new(a, o->base);
		a->final = final_new(a, o->base);
	}
	return a;
}

void api_free(struct api **a)
{
	if (!*a)
		return;
	api_events_free(&(*a)->events);
	final_free(&(*a)->final);
	json_decref((*a)->summary.made);
	rates_release(&(*a)->rates);
	mem_free(a);
}
