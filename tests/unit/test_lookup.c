/* Which answer the MTA gets, for each state of a user and each spelling of an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "proxy/lookup.h"
#include "proxy/route.h"

static struct settings settings;
static struct proxy proxy;

static int set_up(void **state UNUSED)
{
	settings =
		(struct settings){ .users = { .default_domain =
						      (char *)(uintptr_t) "example.com",
					      .fold_local = true },
				   .lookup = { .old_transport = (char *)(uintptr_t) "smtp:old",
					       .new_transport = (char *)(uintptr_t) "smtp:new",
					       .extension = (char *)(uintptr_t) "+" } };
	proxy = (struct proxy){ .settings = &settings, .fence_ms = INT64_MAX };
	TAILQ_INIT(&proxy.sessions);
	proxy.routes = routes_new(&proxy);
	return 0;
}

static int tear_down(void **state UNUSED)
{
	routes_free(&proxy.routes);
	return 0;
}

static void put(const char *name, const char *old, const char *new, enum user_state st)
{
	static int64_t change;
	struct user u = { .name = mem_str(name),
			  .login = { mem_str(old), mem_str(new) },
			  .state = st,
			  .change = ++change };

	routes_apply(proxy.routes, &u);
	user_release(&u);
}

static void expect(const char *key, const char *answer)
{
	char *request = mem_printf("route %s", key);
	struct buf out = { 0 };

	lookup_answer(&proxy, slice_of(request), &out);
	if (!slice_is(buf_slice(&out), answer))
		fail_msg("%s: \"%.*s\"", key, (int)buf_len(&out), buf_slice(&out).p);
	buf_release(&out);
	free(request);
}

static void test_every_state(void **state UNUSED)
{
	for (int s = 0; s < USER_STATES; s++) {
		enum user_state st = (enum user_state)s;
		static const char *const answers[ROUTES] = {
			[ROUTE_OLD] = "OK smtp:old",
			[ROUTE_NEW] = "OK smtp:new",
			[ROUTE_HOLD] = "TEMP the mailbox is being moved",
		};

		if (st == USER_FREEZING)
			continue; /* would be acknowledged through the follower */
		put("anna@example.com", "a", "a", st);
		expect("anna@example.com", answers[user_route(st)]);
	}
}

static void test_spellings(void **state UNUSED)
{
	put("anna@example.com", "anna.old@elsewhere.net", "anna.new@elsewhere.net", USER_READY);
	put("anna+vip@example.com", "x", "x", USER_DONE);
	routes_alias(proxy.routes, "info@example.com", "anna@example.com");
	expect("ANNA@Example.COM", "OK smtp:old");
	expect("anna.old@elsewhere.net", "OK smtp:old");
	expect("anna.new@elsewhere.net", "OK smtp:old");
	expect("info@example.com", "OK smtp:old");
	expect("info+a+b@example.com", "OK smtp:old");
	expect("anna+lists@example.com", "OK smtp:old");
	expect("anna+vip@example.com", "OK smtp:new");
	expect("anna-lists@example.com", "NOTFOUND ");
	expect("+lists@example.com", "NOTFOUND ");
	expect("anna", "NOTFOUND ");
	expect("example.com", "NOTFOUND ");
	expect("anna@x+y@example.com", "NOTFOUND ");
	expect("", "NOTFOUND ");
	settings.lookup.extension = NULL;
	expect("anna+lists@example.com", "NOTFOUND ");
	settings.lookup.unknown_to_old = true;
	expect("anna+lists@example.com", "OK smtp:old");
	expect("example.com", "NOTFOUND ");
}

static void test_strangers_are_unknown(void **state UNUSED)
{
	routes_get(proxy.routes, "guest@example.com");
	expect("guest@example.com", "NOTFOUND ");
}

static void test_never_a_guess(void **state UNUSED)
{
	struct buf out = { 0 };

	put("anna@example.com", "a", "a", USER_DONE);
	proxy.fence_ms = 0;
	expect("anna@example.com", "TEMP the store is lost");
	expect("nobody@example.com", "TEMP the store is lost");
	proxy.fence_ms = INT64_MAX;
	lookup_answer(&proxy, SLICE("routes anna@example.com"), &out);
	assert_true(slice_starts_nocase(buf_slice(&out), "PERM "));
	buf_release(&out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_state),
		TEST(test_spellings),
		TEST(test_strangers_are_unknown),
		TEST(test_never_a_guess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
