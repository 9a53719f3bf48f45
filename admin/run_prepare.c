/* Hides: folders, the lock, where programs are found, and what an image before us left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "admin/run_impl.h"

/* ---- folders */

/* Also makes what is above it; mode and owner are set only where a folder is new. */
static int make_folder(const char *path, mode_t mode, const struct child_user *u, struct err *e)
{
	char *above = mem_str(path), *slash = strrchr(above, '/');
	struct stat st;
	int rc = 0;

	if (stat(path, &st) < 0) {
		if (slash && slash != above) {
			*slash = '\0';
			rc = make_folder(above, 0755, &(struct child_user){ 0 }, e);
		}
		if (rc == 0 && mkdir(path, mode) < 0 && errno != EEXIST)
			rc = err_set(e, ERR_INPUT,
				     "cannot make the folder %s: %s; make it for "
				     "the account that runs this, or name "
				     "another in the settings",
				     path, strerror(errno));
		else if (rc == 0 && u->name && chown(path, u->uid, u->gid) < 0)
			rc = err_set(e, ERR_INPUT, "cannot give the folder %s to %s: %s", path,
				     u->name, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		rc = err_set(e, ERR_INPUT, "%s is no folder", path);
	}
	mem_free(&above);
	return rc;
}

static int make_folders(struct run *r, struct err *e)
{
	char *store = mem_str(r->settings->store.path), *slash = strrchr(store, '/');
	int rc = 0;

	if (slash && slash != store) {
		*slash = '\0';
		rc = make_folder(store, 0700, &r->user, e);
	}
	mem_free(&store);
	if (rc == 0)
		rc = make_folder(r->settings->sync.dir, 0700, &r->user, e);
	if (rc == 0)
		rc = make_folder(r->settings->sync.reports, 0700, &r->user, e);
	if (rc == 0)
		rc = make_folder(r->settings->run.dir, 0750, &r->user, e);
	return rc;
}

/*
 * So that run.user may be who starts next, as under systemd, without root. The folder is his: a
 * second link to somebody else's file that he has put there stays what it is.
 */
static int give_lock(const struct run *r, const char *path, struct err *e)
{
	struct stat st;

	if (!r->user.name || fstat(r->lock, &st) < 0 || st.st_uid == r->user.uid ||
	    !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return 0;
	if (fchown(r->lock, r->user.uid, r->user.gid) < 0)
		return err_set(e, ERR_INPUT, "cannot give %s to %s: %s", path, r->user.name,
			       strerror(errno));
	return 0;
}

static int take_lock(struct run *r, struct err *e)
{
	char *path = mem_printf("%s/run.lock", r->settings->run.dir);
	int rc = 0;

	r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock < 0)
		rc = err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	else if (flock(r->lock, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, ERR_INPUT, "%s: held; is another `mailferry run` running?",
			     path);
	else
		rc = give_lock(r, path, e);
	mem_free(&path);
	return rc;
}

/* ---- programs and settings */

/* Not where a link leads: that may be another file by the next reload or upgrade. */
static char *absolute(const char *path)
{
	char here[PATH_MAX];

	if (path[0] == '/' || !getcwd(here, sizeof here))
		return mem_str(path);
	return mem_printf("%s/%s", here, path);
}

/*
 * By the name we were called with, where that leads to us: behind a link an upgrade finds the
 * next version, while /proc/self/exe only knows this one.
 */
static int find_self(const char *called, char **out, struct err *e)
{
	struct stat here, us;
	char full[PATH_MAX];

	if (stat("/proc/self/exe", &us) < 0)
		return err_set(e, ERR_INPUT, "/proc/self/exe: %s", strerror(errno));
	if (strchr(called, '/') && stat(called, &here) == 0 && here.st_ino == us.st_ino &&
	    here.st_dev == us.st_dev) {
		*out = absolute(called);
		return 0;
	}
	if (!realpath("/proc/self/exe", full))
		return err_set(e, ERR_INPUT, "/proc/self/exe: %s", strerror(errno));
	*out = mem_str(full);
	return 0;
}

/* NULL: not there. */
static char *look_beside(const char *self, const char *name)
{
	static const char *const places[] = { "", "../libexec/mailferry/" };
	char *copy = mem_str(self), *found = NULL;
	const char *folder = dirname(copy);

	for (size_t i = 0; !found && i < COUNT(places); i++) {
		found = mem_printf("%s/%s%s", folder, places[i], name);
		if (access(found, X_OK) < 0)
			mem_free(&found);
	}
	mem_free(&copy);
	return found;
}

static int find_program(const char *self, const char *name, char **out, struct err *e)
{
	char full[PATH_MAX];

	*out = look_beside(self, name);
	if (!*out && realpath(self, full))
		*out = look_beside(full, name);
	if (*out)
		return 0;
	return err_set(e, ERR_INPUT, "%s is neither beside %s nor in ../libexec/mailferry",
		       name, self);
}

void run_programs_release(struct run_programs *p)
{
	mem_free(&p->self);
	mem_free(&p->engine);
	mem_free(&p->proxy);
}

int run_find_programs(struct run *r, struct run_programs *out, struct err *e)
{
	*out = (struct run_programs){ 0 };
	if (r->programs.self)
		out->self = mem_str(r->programs.self);
	else if (find_self(r->ctl->program, &out->self, e) < 0)
		return -1;
	if (find_program(out->self, ENGINE, &out->engine, e) < 0)
		return -1;
	return find_program(out->self, PROXY, &out->proxy, e);
}

/* ---- names of nodes */

static bool is_held(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

void run_node_name(const struct run *r, int node, char out[static RUN_NAME_MAX])
{
	const struct settings *s = r->settings;
	char host[PLACE_HOST_MAX] = "", generation[16] = "";

	if (s->run.host || s->store.url)
		place_host(s->run.host, host);
	if (r->generation > 1)
		snprintf(generation, sizeof generation, ".%d", r->generation);
	snprintf(out, RUN_NAME_MAX, "proxy-%d%s%s%s", node, generation, host[0] ? "@" : "",
		 host);
}

/* Of the lock of a node: "proxy-1.lock": 1, "proxy-2.7@mx1.lock": 7; 0: it is none. */
static int generation_of(const char *name)
{
	const char *end = strrchr(name, '.');
	int node, generation, n = 0;

	if (!end || strcmp(end, ".lock") != 0)
		return 0;
	if (sscanf(name, "proxy-%3d.%8d%n", &node, &generation, &n) == 2 &&
	    (name + n == end || name[n] == '@'))
		return generation;
	n = 0;
	return sscanf(name, "proxy-%3d%n", &node, &n) == 1 &&
	       (name + n == end || name[n] == '@');
}

/* The first that no living node bears: those of a supervisor that was killed go on. */
static int free_generation(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int highest = 0;

	while (d && (entry = readdir(d))) {
		int g = generation_of(entry->d_name);

		if (g > highest && is_held(dirfd(d), entry->d_name))
			highest = g;
	}
	if (d)
		closedir(d);
	return highest + 1;
}

/* ---- the whole */

static int check_same(const char *what, const char *before, const char *now, struct err *e)
{
	if (strcmp(before, now ? now : "") == 0)
		return 0;
	return err_set(e, ERR_INPUT,
		       "%s has changed (it was \"%s\"); that needs a stop and a start", what,
		       before);
}

static int take_over(struct run *r, struct handover *h, bool check, struct err *e)
{
	if (check_same("run: dir", h->run_dir, r->settings->run.dir, e) < 0 ||
	    check_same("store: path", h->store, r->settings->store.path, e) < 0 ||
	    check_same("run: user", h->user, r->settings->run.user, e) < 0 ||
	    listen_open(&r->sockets, r->settings, &h->sockets, e) < 0)
		return -1;
	if (check)
		return 0;
	r->lock = h->lock;
	fcntl(r->lock, F_SETFD, FD_CLOEXEC);
	fcntl(h->inbox, F_SETFD, FD_CLOEXEC);
	return inbox_open(&r->inbox, r->settings->run.dir, &r->user, h->inbox, e);
}

static int take_first(struct run *r, struct err *e)
{
	if (make_folders(r, e) < 0 || take_lock(r, e) < 0 ||
	    listen_open(&r->sockets, r->settings, NULL, e) < 0)
		return -1;
	r->generation = free_generation(r->settings->run.dir);
	return inbox_open(&r->inbox, r->settings->run.dir, &r->user, -1, e);
}

int run_prepare(struct run *r, struct handover *h, bool check, struct err *e)
{
	r->config = absolute(r->ctl->config);
	if (child_user_find(r->settings->run.user, &r->user, e) < 0 ||
	    run_find_programs(r, &r->programs, e) < 0 ||
	    (h ? take_over(r, h, check, e) : take_first(r, e)) < 0)
		return -1;
	if (geteuid() == 0 && !r->user.name && !check)
		log_warn(NULL, "run: user is not set: everything runs as root");
	return check ? 0 : listen_write_file(&r->sockets, r->settings->run.dir, e);
}
