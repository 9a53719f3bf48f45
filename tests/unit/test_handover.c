/* What one image of the supervisor tells the next, and that nothing else is taken for it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "admin/handover.h"

static void all_of_it_arrives(void **state UNUSED)
{
	char run_dir[] = "/run/a folder", store[] = "/var/store.db", user[] = "",
	     imap[] = "imap one", first[] = "proxy-1", second[] = "proxy-2.7";
	struct listen_socket sockets[] = { { .name = imap, .fd = 5, .inherited = true } };
	struct handover_child children[] = { { first, 4711, ROLE_LEAVES },
					     { second, 4712, ROLE_SERVES } };
	struct handover in = { .run_dir = run_dir,
			       .store = store,
			       .user = user,
			       .lock = 3,
			       .inbox = 4,
			       .generation = 7,
			       .asker = { .address = { .sun_family = AF_UNIX,
						       .sun_path = "\0000a1f" },
					  .size = 8 },
			       .sockets = { sockets, 1 },
			       .children = children,
			       .child_count = 2 };
	struct handover out = { 0 };
	struct err e = { 0 };
	int fd = handover_write(&in, &e);

	assert_true(fd >= 0);
	assert_int_equal(handover_read(fd, &out, &e), 0);
	close(fd);
	assert_string_equal(out.run_dir, run_dir);
	assert_string_equal(out.store, store);
	assert_string_equal(out.user, "");
	assert_true(out.lock == 3 && out.inbox == 4 && out.generation == 7);
	assert_int_equal(out.asker.size, 8);
	assert_memory_equal(&out.asker.address, &in.asker.address, 8);
	assert_int_equal(out.sockets.count, 1);
	assert_string_equal(out.sockets.at[0].name, imap);
	assert_true(out.sockets.at[0].fd == 5 && out.sockets.at[0].inherited);
	assert_int_equal(out.child_count, 2);
	assert_string_equal(out.children[0].name, first);
	assert_true(out.children[0].pid == 4711 && out.children[0].role == ROLE_LEAVES);
	assert_true(out.children[1].pid == 4712 && out.children[1].role == ROLE_SERVES);
	handover_release(&out);
}

#define HEAD "mailferry-handover 1\ndir /r\nstore /s\nuser \nlock 3\ninbox 4\n"

static int read_text(const char *text)
{
	struct handover h = { 0 };
	struct err e = { 0 };
	int fd = memfd_create("test", 0), rc;

	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	rc = handover_read(fd, &h, &e);
	assert_true(rc == 0 || e.text[0]);
	handover_release(&h);
	close(fd);
	return rc;
}

static void what_is_not_understood_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"",
		"mailferry-handover 2\n",
		"mailferry-handover 1\ndir /r\n",
		HEAD "lorry 3\n",
		HEAD "lock x\n",
		HEAD "lock -1\n",
		HEAD "socket 5 imap\n",
		HEAD "child 0 serves proxy-1\n",
		HEAD "child 77 sleeps proxy-1\n",
		HEAD "child 99999999999 serves proxy-1\n",
		HEAD "asker 0\n",
		HEAD "asker 0g\n",
		HEAD "\n",
	};

	assert_int_equal(read_text(HEAD), 0);
	assert_int_equal(read_text(HEAD "asker \nchild 77 serves proxy-1\n"), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (read_text(bad[i]) == 0)
			fail_msg("was taken: \"%s\"", bad[i]);
}

static void lines_of_a_letter(void **state UNUSED)
{
	struct inbox_letter l = { .text = "WATCHDOG=1\nX_NODE=proxy-1\nSTATUS=" };
	char value[8];

	assert_true(inbox_value(&l, "X_NODE=", value, sizeof value));
	assert_string_equal(value, "proxy-1");
	assert_true(inbox_value(&l, "STATUS=", value, sizeof value));
	assert_string_equal(value, "");
	assert_false(inbox_value(&l, "READY=", value, sizeof value));
	assert_false(inbox_value(&l, "NODE=", value, sizeof value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_arrives),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(lines_of_a_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
