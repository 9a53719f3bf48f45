/* Hides: which of the servers a session talks to until it is let in, and by what memory of it.
 */
#include "proxy/session_impl.h"

#include "proxy/backend.h"
#include "proxy/caps.h"
#include "proxy/claim.h"

#define CHALLENGE_MAX 2048 /* bytes of a backend's reason for refusing a token */

void session_forget_backend(struct session *s)
{
	buf_wipe(&s->back.caps);
	buf_release(&s->back.doubted);
	free(s->back.doubt_why);
	s->back = (struct backend_login){ 0 };
}

/* Does a master user log in at the side that the session was routed to? */
static const char *proving_side(const struct session *s)
{
	const struct backend_conf *conf = &s->proxy->settings->backend[s->side];

	return conf->proxy_master_user ? conf->auth_from : NULL;
}

/* Was the password proved, for the very login that the user has where it was proved? */
static bool is_proved(const struct session *s, enum side by)
{
	char login[LOGIN_NAME_MAX + 1];

	claim_login(s, by, login, sizeof login);
	return s->login.proved_as && strcmp(s->login.proved_as, login) == 0;
}

/*
 * A master's login opens any mailbox, so it must never stand in for a password that nobody
 * looked at: the other server takes the client's own login first, then the master's follows.
 */
static void choose_side(struct session *s)
{
	const char *name = proving_side(s);
	enum side by = name && strcmp(name, side_name(SIDE_NEW)) == 0 ? SIDE_NEW : SIDE_OLD;

	s->back.master = name && is_proved(s, by);
	s->back.side = name && !s->back.master ? by : s->side;
}

void session_dial(struct session *s)
{
	struct proxy *p = s->proxy;
	struct origin client = identity_origin(s);
	struct err e = { 0 };

	s->about.side = side_name(s->side);
	s->about.doing = "connecting";
	stream_free(&s->backend);
	session_forget_backend(s);
	choose_side(s);
	session_enter(s, SESSION_DIAL);
	if (identity_dial(s, &e) == 0)
		s->backend =
			backend_connect(p->backend[s->back.side], &p->loop, s->protocol->kind,
					&client, session_on_backend, s, &e);
	if (!s->backend)
		session_refused(s, REJECT_DOWN, e.text);
}

/* The other server has let the client in: that was all we wanted there. */
void session_proved(struct session *s)
{
	char login[LOGIN_NAME_MAX + 1];

	claim_login(s, s->back.side, login, sizeof login);
	free(s->login.proved_as);
	s->login.proved_as = mem_str(login);
	log_debug(&s->about, "%s has taken the password", side_name(s->back.side));
	s->protocol->leave_backend(s);
	stream_retire(&s->backend, PROXY_LINGER_MS, NULL, NULL);
	session_dial(s);
}

bool session_recall(struct session *s)
{
	struct slice list = caps_recall(s->proxy->caps, s->back.side, s->protocol->kind,
					stream_fd(s->backend));

	if (s->back.distrust || list.n == 0)
		return false;
	buf_wipe(&s->back.caps);
	buf_add(&s->back.caps, list.p, list.n);
	s->back.recalled = true;
	return true;
}

void session_learn(struct session *s, struct slice list)
{
	caps_learn(s->proxy->caps, s->back.side, s->protocol->kind, stream_fd(s->backend),
		   list);
	s->back.recalled = false;
}

bool session_doubts(struct session *s, enum reject r, const char *why)
{
	if (!s->back.recalled)
		return false;
	log_debug(&s->about, "asks again what the backend can do: %s", why);
	caps_doubt(s->proxy->caps, s->back.side, s->protocol->kind, stream_fd(s->backend));
	s->back.doubt = r;
	free(s->back.doubt_why);
	s->back.doubt_why = mem_str(why);
	buf_release(&s->back.doubted);
	s->back.doubted = s->back.caps;
	s->back.caps = (struct buf){ 0 };
	s->back.recalled = s->back.sent = false;
	return true;
}

bool session_doubt_stands(struct session *s, bool same)
{
	char why[256];
	enum reject r = s->back.doubt;

	if (r == REJECT_NONE)
		return false;
	s->back.doubt = REJECT_NONE;
	if (!same)
		return false;
	snprintf(why, sizeof why, "%s", s->back.doubt_why);
	session_refused(s, r, why);
	return true;
}

void session_backend_lost(struct session *s, const char *why)
{
	if (session_doubt_stands(s, true))
		return;
	if (s->state != SESSION_LOGIN || !s->back.recalled) {
		session_refused(s, REJECT_DOWN, why);
		return;
	}
	log_debug(&s->about, "connects again, to ask what the backend can do: %s", why);
	caps_doubt(s->proxy->caps, s->back.side, s->protocol->kind, stream_fd(s->backend));
	session_dial(s);
	s->back.distrust = true;
}

/* Only what is base64 goes to the client behind "+ ". */
void session_keep_challenge(struct session *s, struct slice text)
{
	char reason[CHALLENGE_MAX];
	size_t n;

	buf_release(&s->login.challenge);
	if (text.n && sasl_base64_decode(text, reason, sizeof reason, &n) == 0)
		buf_add(&s->login.challenge, text.p, text.n);
}
