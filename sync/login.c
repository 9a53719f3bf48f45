/* Hides: what a login's message is made of. */
#include "sync/login.h"

static bool is_sendable(struct slice s)
{
	return s.n > 0 && !memchr(s.p, '\0', s.n) && !memchr(s.p, '\r', s.n) &&
	       !memchr(s.p, '\n', s.n);
}

int login_check(const struct job_side *side, struct err *e)
{
	if (!side->login || !is_sendable(slice_of(side->login)) ||
	    !is_sendable(secret_slice(&side->password)) ||
	    (side->authzid && !is_sendable(slice_of(side->authzid))))
		return err_set(e, ERR_INPUT,
			       "login or password is empty, or has a line end or NUL in it");
	return 0;
}

static void write_token(const struct job_side *side, struct buf *out)
{
	struct slice token = secret_slice(&side->password);
	bool bearer = side->mech == SASL_OAUTHBEARER;
	struct sasl_token t = { .before = slice_of(bearer ? "n,a=" : "user=") };
	struct buf after = { 0 }, message = { 0 };

	(void)buf_room(&after, token.n + 32); /* growing would leave copies of the token */
	(void)buf_room(out, 2 * (token.n + strlen(side->login) + 64));
	buf_add_str(&after, bearer ? ",\1auth=Bearer " : "\1auth=Bearer ");
	buf_add(&after, token.p, token.n);
	buf_add_str(&after, "\1\1");
	t.after = buf_slice(&after);
	sasl_token_write(side->mech, &t, slice_of(side->login), &message);
	sasl_base64_encode(buf_slice(&message), out);
	buf_wipe(&message);
	buf_wipe(&after);
}

void login_write(const struct job_side *side, struct buf *out)
{
	const struct sasl_plain p = { slice_of(side->authzid ? side->authzid : ""),
				      slice_of(side->login), secret_slice(&side->password) };

	if (sasl_mech_is_token(side->mech))
		write_token(side, out);
	else
		sasl_plain_write(&p, out);
}
