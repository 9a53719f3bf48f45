/* A session token of OpenSRS: how long it is good for. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"
#include "sync/new_login.h"
#include "sync/opensrs.h"
#include "tests/unit/http_script.h"

#define ASKED	48
#define HOUR_MS ((int64_t)3600000)

static struct http_script server;

static void on_token(const struct secret *token, int64_t until, void *arg)
{
	assert_true(slice_is(secret_slice(token), "t-1"));
	*(int64_t *)arg = until;
}

/* Hours that a token is kept for, given what the answer says of it. */
static int64_t hours_of(const char *duration)
{
	const struct log_about about = { .what = "user" };
	struct opensrs_access access = { .connect_s = 2, .answer_s = 2, .parallel = 1 };
	struct job j = { .opensrs = { .on = true, .token_hours = ASKED } };
	int64_t until = 0;
	struct new_login n = { .job = &j, .told = on_token, .arg = &until, .about = &about };
	struct http_reply yes = { .status = 200 };
	struct err e = { 0 };
	char *body = mem_printf("{\"success\":true,\"token\":\"t-1\"%s}", duration);

	clock_test_freeze();
	access.url = mem_printf("http://127.0.0.1:%d/api", server.port);
	access.user = mem_str("admin@shop.adm");
	j.side[SIDE_NEW].login = mem_str("anna@ex.test");
	yes.body = body;
	http_say(&server, &yes, 1);
	assert_int_equal(opensrs_open(&n.api, &access, &e), 0);
	assert_int_equal(new_login_begin(&n, &e), 0);
	new_login_end(&n);
	opensrs_close(&n.api);
	opensrs_access_release(&access);
	mem_free(&j.side[SIDE_NEW].login);
	secret_release(&j.side[SIDE_NEW].password);
	mem_free(&body);
	return (until - clock_real_ms()) / HOUR_MS;
}

/* OpenSRS may give it for less long than was asked for; what it does not say is as asked. */
static void it_lasts_as_long_as_the_answer_says(void **state UNUSED)
{
	assert_int_equal(hours_of(""), ASKED);
	assert_int_equal(hours_of(",\"duration\":48"), ASKED);
	assert_int_equal(hours_of(",\"duration\":24"), 24);
	assert_int_equal(hours_of(",\"duration\":\"24\""), 24);
	assert_int_equal(hours_of(",\"duration\":9000"), ASKED);
	assert_int_equal(hours_of(",\"duration\":-1"), ASKED);
	assert_int_equal(hours_of(",\"duration\":\"soon\""), ASKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_lasts_as_long_as_the_answer_says),
	};
	int rc;

	http_start(&server);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	http_stop(&server);
	return rc;
}
