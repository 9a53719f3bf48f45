/* Hides: in which order logins are tried. */
#include "sync/new_login.h"

#include "common/clock.h"
#include "common/log.h"
#include "sync/lanes.h"
#include "sync/opensrs.h"

#define REASON	"mail migration" /* OpenSRS keeps it with the token */
#define HOUR_MS 3600000

static struct job_side *side(const struct new_login *n)
{
	return &n->job->side[SIDE_NEW];
}

static void use(const struct new_login *n, const struct secret *s)
{
	struct slice p = secret_slice(s);

	secret_set(&side(n)->password, p.p, p.n);
}

static bool is_wanted(const struct new_login *n)
{
	return n->job->opensrs.on && n->job->opensrs.token_hours > 0;
}

/* As long as it was asked for, or less where the answer says so. */
static int hours_of(const json_t *answer, int asked)
{
	int64_t n;

	if (opensrs_number(json_object_get(answer, "duration"), &n) < 0 || n < 1)
		return asked;
	return (int)MIN(n, (int64_t)asked);
}

/* The administrator's word for the user. */
static int get_token(struct new_login *n, struct err *e)
{
	struct opensrs_call c = opensrs_call(OPENSRS_GENERATE_TOKEN, side(n)->login);
	int hours = n->job->opensrs.token_hours, rc;
	int64_t now = clock_real_ms();
	const char *token;
	struct secret s = { 0 };

	json_object_set_new(c.body, "reason", json_string(REASON));
	json_object_set_new(c.body, "type", json_string("session"));
	json_object_set_new(c.body, "duration", json_integer(hours));
	rc = opensrs_do(n->api, &c, e);
	token = opensrs_text(c.answer, "token");
	if (rc == 0 && (!token || !*token || strlen(token) > SECRET_MAX))
		rc = err_set(e, ERR_PROTOCOL,
			     "OpenSRS: generate_token %s: no token in the answer; remedy: set "
			     "opensrs.session_tokens = no, and give users' passwords",
			     side(n)->login);
	if (rc == 0) {
		secret_set(&s, token, strlen(token));
		use(n, &s);
		if (n->told)
			n->told(&s, now + (int64_t)hours_of(c.answer, hours) * HOUR_MS, n->arg);
		secret_release(&s);
	}
	opensrs_call_release(&c);
	return rc;
}

/* Without a token: the password, if there is one. */
static int fall_back(struct new_login *n, struct err *e)
{
	if (!secret_is_set(&n->password))
		return err_wrap(e,
				"new lets us in with no session token, and no password of the "
				"user is known (remedy: a new_password_file in the import)");
	log_warn(n->about,
		 "logging in on new with the user's password, not with a session token: %s",
		 e->text);
	use(n, &n->password);
	secret_release(&n->password);
	return 0;
}

static int take_fresh(struct new_login *n, struct err *e)
{
	n->fresh = true;
	return get_token(n, e) < 0 ? fall_back(n, e) : 0;
}

int new_login_begin(struct new_login *n, struct err *e)
{
	struct slice own = secret_slice(&side(n)->password);

	if (!is_wanted(n))
		return 0;
	if (own.n)
		secret_set(&n->password, own.p, own.n);
	if (!secret_is_set(&n->job->opensrs.token))
		return take_fresh(n, e);
	use(n, &n->job->opensrs.token);
	return 0;
}

int new_login_refused(struct new_login *n, struct err *e)
{
	if (!is_wanted(n))
		return -1;
	return n->fresh ? fall_back(n, e) : take_fresh(n, e);
}

void new_login_end(struct new_login *n)
{
	secret_release(&n->password);
}

int new_login_lane(struct new_login *n, struct lane *l, struct err *e)
{
	int rc = new_login_begin(n, e);

	while (rc == 0 && (rc = lane_open(l, n->job, e)) < 0 && l->login_refused[SIDE_NEW] &&
	       !l->login_refused[SIDE_OLD] && new_login_refused(n, e) == 0)
		rc = 0;
	new_login_end(n);
	return rc;
}

int new_login_once(struct job *j, struct err *e)
{
	const struct log_about about = { .what = "user", .user = j->user };
	struct new_login n = { .job = j, .about = &about };
	int rc;

	if (!is_wanted(&n))
		return 0;
	if (opensrs_open(&n.api, &j->opensrs.access, e) < 0)
		return -1;
	rc = new_login_begin(&n, e);
	new_login_end(&n);
	opensrs_close(&n.api);
	return rc;
}
