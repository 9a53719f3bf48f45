/* What a confined worker can and cannot do: each in a process of its own, which nothing else
 * would survive. */
#include "tests/unit/wire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sync/confine.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static char dir[] = "/tmp/mailferry-confine-XXXXXX";

static char *in_dir(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static int make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int look(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static void *nothing(void *arg)
{
	return arg;
}

/* Each returns 0 if all is as it should be, else a line number. */
#define MUST(x)                          \
	do {                             \
		if (!(x))                \
			return __LINE__; \
	} while (0)

static int files(void)
{
	char *journal = in_dir("journals/anna.journal"), *spool = in_dir("spool/x");
	char *other = in_dir("store.db");

	MUST(make(journal) == 0 && unlink(journal) == 0);
	MUST(make(spool) == 0);
	MUST(look("/etc/hosts") == 0);
	MUST(make(other) == EACCES && look(dir) == EACCES);
	MUST(look("/etc/passwd") == EACCES && look("/etc/shadow") == EACCES);
	MUST(SANITIZED || look("/proc/self/environ") == EACCES);
	MUST(make("/etc/hosts") == EACCES);
	return 0;
}

static int processes(void)
{
	pthread_t t;

	MUST(pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
	MUST(execl("/bin/true", "true", NULL) < 0);
	if (SANITIZED)
		return 0;
	MUST(fork() < 0 && errno == EPERM);
	MUST(listen(socket(AF_INET, SOCK_STREAM, 0), 1) < 0 && errno == EPERM);
	return 0;
}

static int memory(void)
{
	struct rlimit r;

	MUST(getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max == 0);
	MUST(getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_max == CONFINE_FILES);
	if (SANITIZED)
		return 0;
	for (int i = 0; i < 20; i++) /* 160 MiB and a limit of 128 */
		memset(mem_new(8 << 20), 1, 8 << 20);
	return __LINE__;
}

static int account(void)
{
	MUST(geteuid() != 0 && setuid(0) < 0);
	return 0;
}

static int confined(int (*what)(void), const char *run_as)
{
	struct job j = { .memory = 128 << 20 };
	struct err e = { 0 };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		char *spool = in_dir("spool");

		setenv("TMPDIR", spool, 1);
		j.journal = in_dir("journals/anna.journal");
		j.run_as = mem_str(run_as);
		if (confine(&j, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			_exit(254);
		}
		_exit(what() % 253);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void only_its_own_files(void **state UNUSED)
{
	assert_int_equal(confined(files, NULL), 0);
}

static void threads_but_no_processes(void **state UNUSED)
{
	assert_int_equal(confined(processes, NULL), 0);
}

static void too_much_memory_is_its_own_exit(void **state UNUSED)
{
	int status = confined(memory, NULL);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SANITIZED ? 0 : MEM_EXIT);
}

static void root_becomes_somebody(void **state UNUSED)
{
	if (geteuid() == 0)
		assert_int_equal(confined(account, "nobody"), 0);
}

static int set_up(void **state UNUSED)
{
	const char *const folders[] = { "journals", "spool" };

	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < COUNT(folders); i++) {
		char *path = in_dir(folders[i]);

		mkdir(path, 0700);
		mem_free(&path);
	}
	return 0;
}

static int tear_down(void **state UNUSED)
{
	const char *const left[] = { "spool/x", "spool", "journals" };

	for (size_t i = 0; i < COUNT(left); i++) {
		char *path = in_dir(left[i]);

		remove(path);
		mem_free(&path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_own_files),
		cmocka_unit_test(threads_but_no_processes),
		cmocka_unit_test(too_much_memory_is_its_own_exit),
		cmocka_unit_test(root_becomes_somebody),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
