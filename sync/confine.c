/* Hides: Landlock, seccomp, resource limits, and the way from root to the workers' account. */
#include "sync/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"

/* The sanitizers reserve terabytes, and stop the process by a second one that looks for leaks.
 */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                 \
	(FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define FS_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define FS_HANDLED \
	0x1fffULL /* all rights of the first version of Landlock, executing among them */

/* ---- account */

static int become(const char *name, struct err *e)
{
	const struct passwd *p;

	if (geteuid() != 0 || !name)
		return 0;
	p = getpwnam(name);
	if (!p)
		return err_set(e, ERR_INPUT, "sync: worker_user: no such user: %s", name);
	if (initgroups(name, p->pw_gid) < 0 || setgid(p->pw_gid) < 0 || setuid(p->pw_uid) < 0)
		return err_set(e, ERR_INPUT, "sync: worker_user: cannot become %s: %s", name,
			       strerror(errno));
	/* It undoes this with every change of user. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(e, ERR_TEMP, "prctl: %s", strerror(errno));
	return 0;
}

/* ---- resources */

static int limit(int what, const char *name, rlim_t most, struct err *e)
{
	struct rlimit r = { most, most };

	if (setrlimit(what, &r) < 0)
		return err_set(e, ERR_TEMP, "limit of %s: %s", name, strerror(errno));
	return 0;
}

static int limit_resources(int64_t memory, struct err *e)
{
	if (limit(RLIMIT_CORE, "core dumps", 0, e) < 0 ||
	    limit(RLIMIT_NOFILE, "descriptors", CONFINE_FILES, e) < 0)
		return -1;
	if (SANITIZED || memory == 0)
		return 0;
	if (limit(RLIMIT_DATA, "memory", (rlim_t)memory, e) < 0)
		return -1;
	return limit(RLIMIT_AS, "address space", (rlim_t)memory * CONFINE_SPACE, e);
}

/* ---- files */

static int allow(int rules, const char *path, uint64_t rights, struct err *e)
{
	struct landlock_path_beneath_attr at = { .allowed_access = rights };
	struct stat st;
	int rc;

	at.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (at.parent_fd < 0)
		return 0; /* what is not there needs no permission */
	if (fstat(at.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		at.allowed_access &= FS_FILE;
	rc = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &at, 0);
	close(at.parent_fd);
	return rc < 0 ? err_set(e, ERR_TEMP, "Landlock: %s: %s", path, strerror(errno)) : 0;
}

static int allow_folder_of(int rules, const char *path, struct err *e)
{
	char *copy = mem_str(path);
	int rc = allow(rules, dirname(copy), FS_WRITE, e);

	mem_free(&copy);
	return rc;
}

static int allow_all(int rules, const struct job *j, struct err *e)
{
	/* To resolve a name, to check a certificate, to tell the time. */
	static const char *const to_read[] = {
		"/etc/hosts",
		"/etc/resolv.conf",
		"/etc/nsswitch.conf",
		"/etc/host.conf",
		"/etc/gai.conf",
		"/etc/services",
		"/etc/ssl",
		"/etc/localtime",
		"/usr/lib",
		"/lib",
		"/lib64",
		"/usr/share/ca-certificates",
		"/usr/local/share/ca-certificates",
		"/usr/share/zoneinfo",
		"/dev/urandom",
		"/etc/ld.so.cache",
	};
	const char *set = getenv("TMPDIR");
	int rc = j->journal ? allow_folder_of(rules, j->journal, e) : 0;

	if (rc == 0 && j->opensrs.access.ca_file)
		rc = allow(rules, j->opensrs.access.ca_file, FS_READ, e);
	if (rc == 0 && j->exceptions)
		rc = allow_folder_of(rules, j->exceptions, e);
	if (rc == 0)
		rc = allow(rules, set && *set ? set : "/tmp", FS_WRITE, e);
	for (size_t i = 0; i < COUNT(to_read) && rc == 0; i++)
		rc = allow(rules, to_read[i], FS_READ, e);
	for (int s = 0; s < SIDES && rc == 0; s++)
		if (j->side[s].tls_ca_file)
			rc = allow(rules, j->side[s].tls_ca_file, FS_READ, e);
	if (rc == 0 && SANITIZED)
		rc = allow(rules, "/proc", FS_READ, e);
	return rc;
}

static int limit_files(const struct job *j, struct err *e)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs = FS_HANDLED };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0), rc;

	if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0; /* confine_check() has said so */
	if (rules < 0)
		return err_set(e, ERR_TEMP, "Landlock: %s", strerror(errno));
	rc = allow_all(rules, j, e);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		rc = err_set(e, ERR_TEMP, "Landlock: %s", strerror(errno));
	close(rules);
	return rc;
}

/* ---- system calls */

/* Threads, yes; processes and other programs, no; nor what only attacks need. */
static int add_rules(scmp_filter_ctx f)
{
	static const int never[] = {
		SCMP_SYS(execve),
		SCMP_SYS(execveat),
		SCMP_SYS(fork),
		SCMP_SYS(vfork),
		SCMP_SYS(ptrace),
		SCMP_SYS(process_vm_readv),
		SCMP_SYS(process_vm_writev),
		SCMP_SYS(mount),
		SCMP_SYS(unshare),
		SCMP_SYS(setns),
		SCMP_SYS(bpf),
		SCMP_SYS(keyctl),
		SCMP_SYS(add_key),
		SCMP_SYS(request_key),
		SCMP_SYS(perf_event_open),
		SCMP_SYS(userfaultfd),
		SCMP_SYS(io_uring_setup),
		SCMP_SYS(pidfd_getfd),
		SCMP_SYS(listen),
	};
	int rc = 0;

	for (size_t i = 0; i < COUNT(never) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), never[i], 0);
	/* Its flags are in memory, where no filter sees them: glibc falls back to clone. */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	return rc;
}

static int limit_calls(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc = f ? add_rules(f) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_load(f);
	if (f)
		seccomp_release(f);
	return rc < 0 ? err_set(e, ERR_TEMP, "seccomp: %s", strerror(-rc)) : 0;
}

void confine_check(void)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		log_warn(NULL, "this kernel has no Landlock: workers can reach every file of "
			       "their account");
}

int confine(const struct job *j, struct err *e)
{
	if (become(j->run_as, e) < 0 || limit_resources(j->memory, e) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || limit_files(j, e) < 0)
		return err_wrap(e, "worker");
	if (!SANITIZED && limit_calls(e) < 0)
		return err_wrap(e, "worker");
	return 0;
}
