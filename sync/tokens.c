/* Hides: a tree by user. */
#include "sync/tokens.h"

#include <search.h>

struct user_token {
	char *user;
	struct secret token;
	int64_t until;
};

static int by_user(const void *a, const void *b)
{
	return strcmp(((const struct user_token *)a)->user,
		      ((const struct user_token *)b)->user);
}

static void entry_free(void *entry)
{
	struct user_token *x = entry;

	mem_free(&x->user);
	secret_release(&x->token);
	free(x);
}

static struct user_token *find(const struct tokens *t, const char *user)
{
	const struct user_token key = { .user = (char *)(uintptr_t)user };
	struct user_token *const *x = tfind(&key, &t->by_user, by_user);

	return x ? *x : NULL;
}

void tokens_keep(struct tokens *t, const char *user, const struct secret *token, int64_t until)
{
	struct slice p = secret_slice(token);
	struct user_token *x = find(t, user);

	if (!x) {
		x = mem_new(sizeof *x);
		x->user = mem_str(user);
		ASSERT(tsearch(x, &t->by_user, by_user));
	}
	secret_set(&x->token, p.p, p.n);
	x->until = until;
}

void tokens_find(struct tokens *t, const char *user, int64_t now, struct secret *out)
{
	struct user_token *x = find(t, user);
	struct slice p;

	if (!x)
		return;
	if (x->until - now < TOKENS_MARGIN_MS) {
		tdelete(x, &t->by_user, by_user);
		entry_free(x);
		return;
	}
	p = secret_slice(&x->token);
	secret_set(out, p.p, p.n);
}

void tokens_release(struct tokens *t)
{
	tdestroy(t->by_user, entry_free);
	t->by_user = NULL;
}
