/* Hides: what ties the engine to its process: options, the lock, signals, nudges, the API. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/harden.h"
#include "common/notify.h"
#include "sync/confine.h"
#include "sync/program.h"

#define EXIT_OK	    0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

static const char usage[] =
	"usage: mailferry-sync --config FILE [--new-store | --check]\n"
	"       mailferry-sync --worker        one job, from standard input\n";

/* ---- settings */

static int load(const char *path, struct settings *out)
{
	struct settings_errors errs = { 0 };
	int rc = settings_load(path, out, &errs);

	for (size_t i = 0; i < errs.count; i++)
		log_error(NULL, "%s", errs.at[i]);
	settings_errors_release(&errs);
	return rc;
}

void program_take_settings(struct program *p, struct settings *fresh, settings_told_fn *told,
			   void *to)
{
	settings_take(&p->settings, fresh, told, to);
	settings_release(fresh);
	log_set_level(p->settings.log.level);
	log_info(NULL, "settings reloaded");
	http_server_reload(p->http);
	engine_nudge(p->engine);
}

static void on_told(const char *what, bool taken, void *arg UNUSED)
{
	if (!taken)
		log_warn(NULL, "reload: %s changes only with an upgrade or a restart", what);
}

static void on_hup(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct program *p = arg;
	struct settings fresh = { 0 };

	if (load(p->settings.path, &fresh) < 0)
		log_error(NULL, "reload: the old settings stay");
	else
		program_take_settings(p, &fresh, on_told, NULL);
}

/* ---- events */

static void on_nudge(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct program *p = arg;

	store_nudge_drain(p->nudge);
	engine_nudge(p->engine);
}

static void end_when_idle(struct program *p)
{
	if (engine_idle(p->engine) && audits_idle(p->audits) && provisions_idle(p->provisions) &&
	    depot_end(p->depot))
		event_base_loopbreak(p->base);
}

static void on_ending(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	end_when_idle(arg);
}

static void on_term(evutil_socket_t sig, short what UNUSED, void *arg)
{
	struct program *p = arg;
	struct timeval t = { .tv_usec = 20000 };

	log_info(NULL, "signal %d: stopping", (int)sig);
	engine_stop(p->engine);
	audits_stop(p->audits);
	provisions_stop(p->provisions);
	event_add(p->ending, &t);
	end_when_idle(p);
}

static void on_beat(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct program *p = arg;

	notify_send("WATCHDOG=1");
	api_tick(p->api);
}

/* What another engine may be doing by now must not be touched: no clean end, not a word more.
 */
static void NO_RETURN give_way(struct program *p)
{
	char host[PLACE_HOST_MAX];

	lease_holder(&p->lease, host);
	log_error(NULL, "the engine on host %s has taken over: this one ends", host);
	_exit(EXIT_FAILED);
}

/*
 * False: nobody may work with this store. Its rows may say that users are on old who are not,
 * and a pass would make their new mailboxes equal to that.
 */
static bool trusts_store(struct program *p)
{
	char why[sizeof p->distrust];
	struct err e = { 0 };
	int rc = flips_judge(p->flips, p->store, p->seen, why, sizeof why, &e);

	if (rc > 0 && !p->lease.epoch)
		rc = flips_compare(p->flips, p->store, why, sizeof why, &e);
	if (rc > 0)
		rc = store_last_change(p->store, &p->seen, &e) < 0 ? -1 : 1;
	if (rc < 0) {
		log_error(NULL, "%s", e.text);
		return p->lease.epoch != 0; /* the lease runs out if this lasts */
	}
	if (rc == 0 && !p->distrust[0])
		log_error(NULL, "%s; until then this engine does nothing", why);
	if (rc == 0 && (p->lease.epoch || engine_has_errands(p->engine)))
		_exit(EXIT_FAILED); /* with all its workers; it comes back as one that waits */
	snprintf(p->distrust, sizeof p->distrust, "%s", rc ? "" : why);
	return rc > 0;
}

static bool may_begin(void *arg)
{
	return trusts_store(arg);
}

static void keep_lease(struct program *p)
{
	char host[PLACE_HOST_MAX];

	if (!trusts_store(p)) {
		engine_distrusts(p->engine);
		return;
	}
	switch (lease_beat(&p->lease)) {
	case LEASE_SAME:
		break;
	case LEASE_TAKEN:
		log_info(NULL, "at work (engine number %lld)", (long long)p->lease.epoch);
		break;
	case LEASE_LOST:
		give_way(p);
	}
	engine_renewed(p->engine, p->lease.epoch != 0, p->lease.until);
	if (!p->lease.epoch && !p->stood_by) {
		lease_holder(&p->lease, host);
		log_info(NULL, "stands by: the engine on host %s is at work", host);
	}
	p->stood_by = !p->lease.epoch;
}

static void on_renewal(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct program *p = arg;
	bool stood_by = p->stood_by;

	keep_lease(p);
	if (stood_by && !p->stood_by)
		engine_nudge(p->engine);
	audits_tick(p->audits);
}

static void watch(struct program *p)
{
	struct timeval beat = { .tv_sec = NOTIFY_BEAT_MS / 1000 };
	struct timeval renewal = { .tv_sec = STORE_RENEW_MS / 1000 };

	p->signals[0] = evsignal_new(p->base, SIGTERM, on_term, p);
	p->signals[1] = evsignal_new(p->base, SIGINT, on_term, p);
	p->signals[2] = evsignal_new(p->base, SIGHUP, on_hup, p);
	for (size_t i = 0; i < COUNT(p->signals); i++)
		event_add(p->signals[i], NULL);
	p->nudged = event_new(p->base, p->nudge, EV_READ | EV_PERSIST, on_nudge, p);
	event_add(p->nudged, NULL);
	p->ending = event_new(p->base, -1, EV_PERSIST, on_ending, p);
	p->beat = event_new(p->base, -1, EV_PERSIST, on_beat, p);
	event_add(p->beat, &beat);
	p->renewal = event_new(p->base, -1, EV_PERSIST, on_renewal, p);
	event_add(p->renewal, &renewal);
}

/* ---- start and end */

static int make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	return 0;
}

/* Who holds it is the only engine of this place: the one before is dead, and so are its
 * workers. */
static int take_lock(struct program *p, struct err *e)
{
	char *path = mem_printf("%s/engine.lock", p->settings.run.dir);
	int rc = 0;

	p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->lock < 0)
		rc = err_set(e, ERR_INPUT, "%s: %s", path, strerror(errno));
	else if (flock(p->lock, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, ERR_INPUT,
			     "%s: another engine is running; end that one, or give "
			     "this one a run.dir of its own",
			     path);
	mem_free(&path);
	return rc;
}

static int open_store(struct program *p, bool create, struct err *e)
{
	char *nudges = mem_printf("%s/" STORE_NUDGES, p->settings.run.dir);
	struct store_opts o = { .path = p->settings.store.path,
				.url = p->settings.store.url,
				.place = &p->place,
				.create = create,
				.nudge_dir = nudges };
	char *flips = settings_flips(&p->settings);
	int rc = make_dir(nudges, e);

	if (rc == 0)
		rc = store_open(&p->store, &o, e);
	if (rc == 0)
		rc = flips_open(&p->flips, flips, e);
	if (rc == 0)
		rc = store_nudge_listen(&o, "engine", &p->nudge, e);
	mem_free(&flips);
	mem_free(&nudges);
	return rc;
}

static int start_api(struct program *p, struct err *e)
{
	char *path = mem_printf("%s/" API_SOCKET, p->settings.run.dir);
	struct err later = { 0 };
	int rc;

	p->api = api_new(&(struct api_opts){ .store = p->store,
					     .settings = &p->settings,
					     .hooks = &program_hooks,
					     .arg = p,
					     .base = p->base });
	rc = http_server_start(&p->http, p->base, path, api_answer, p->api, e);
	/* Users are moved without it too, and the Unix socket is there to say so. */
	if (rc == 0 && http_server_open(p->http, &p->settings, &later) < 0)
		log_error(NULL, "api: not open for anybody off this host: %s", later.text);
	mem_free(&path);
	return rc;
}

/* Where workers become somebody else, the journals are theirs. */
static int give_dir(const struct settings *s, struct err *e)
{
	const struct passwd *w;

	if (geteuid() != 0 || !s->sync.worker_user)
		return 0;
	w = getpwnam(s->sync.worker_user);
	if (!w)
		return err_set(e, ERR_INPUT, "sync: worker_user: no such user: %s",
			       s->sync.worker_user);
	if (chown(s->sync.dir, w->pw_uid, w->pw_gid) < 0)
		return err_set(e, ERR_INPUT, "%s: %s", s->sync.dir, strerror(errno));
	return 0;
}

/* The report of a comparison ends with what the journal knows. */
static bool is_compared(const char *user, void *arg)
{
	struct program *p = arg;
	struct audit_status s;

	audits_find(p->audits, user, false, &s);
	return s.state == AUDIT_WAITING || s.state == AUDIT_RUNNING;
}

static int start(struct program *p, bool new_store, struct err *e)
{
	if (make_dir(p->settings.run.dir, e) < 0 || make_dir(p->settings.sync.dir, e) < 0 ||
	    make_dir(p->settings.sync.reports, e) < 0 ||
	    (p->settings.sync.exceptions && make_dir(p->settings.sync.exceptions, e) < 0) ||
	    give_dir(&p->settings, e) < 0 || take_lock(p, e) < 0 ||
	    place_find(p->settings.run.dir, p->settings.run.host, &p->place, e) < 0 ||
	    open_store(p, new_store, e) < 0)
		return -1;
	if (learned_new(&p->settings, p->store, p->key_fd, &p->learned, e) < 0)
		return -1;
	confine_check();
	p->base = event_base_new();
	if (!p->base)
		return err_set(e, ERR_TEMP, "no event loop");
	p->shop = workshop_real(p->base);
	if (depot_new(&p->depot,
		      &(struct depot_opts){
			      .base = p->base, .store = p->store, .settings = &p->settings },
		      e) < 0)
		return -1;
	p->engine = engine_new(&(struct engine_opts){ .base = p->base,
						      .store = p->store,
						      .settings = &p->settings,
						      .shop = p->shop,
						      .learned = p->learned,
						      .depot = p->depot,
						      .place = &p->place,
						      .trusts = may_begin,
						      .trusts_arg = p,
						      .stays_here = is_compared,
						      .stays_arg = p });
	p->audits = audits_new(&(struct audits_opts){ .store = p->store,
						      .settings = &p->settings,
						      .shop = &p->shop,
						      .learned = p->learned,
						      .depot = p->depot });
	p->lease = (struct lease){ .store = p->store };
	p->provisions = provisions_new(&(struct provisions_opts){
		.settings = &p->settings, .learned = p->learned, .shop = &p->shop });
	watch(p);
	/* First: what fails here must leave nothing begun. */
	if (start_api(p, e) < 0)
		return -1;
	keep_lease(p);
	return 0;
}

static void drop_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void stop(struct program *p)
{
	/* First: a second TERM kills us once its event is gone. */
	if (p->lease.store)
		lease_leave(&p->lease);
	http_server_stop(&p->http);
	api_free(&p->api);
	if (p->engine)
		engine_free(&p->engine);
	depot_free(&p->depot);
	audits_free(&p->audits);
	learned_free(&p->learned);
	provisions_free(&p->provisions);
	for (size_t i = 0; i < COUNT(p->signals); i++)
		drop_event(p->signals[i]);
	drop_event(p->nudged);
	drop_event(p->ending);
	drop_event(p->beat);
	drop_event(p->renewal);
	if (p->base)
		event_base_free(p->base);
	if (p->nudge >= 0)
		close(p->nudge);
	store_close(&p->store);
	flips_free(&p->flips);
	if (p->lock >= 0)
		close(p->lock);
	settings_release(&p->settings);
}

static int run_engine(const char *config, bool new_store, int key_fd)
{
	struct program p = {
		.lock = -1, .nudge = -1, .key_fd = key_fd, .started = clock_real_ms()
	};
	struct err e = { 0 };
	int rc = EXIT_FAILED;

	log_open("engine", LOG_INFO);
	if (load(config, &p.settings) < 0)
		return EXIT_USAGE;
	log_set_level(p.settings.log.level);
	if (start(&p, new_store, &e) < 0) {
		log_error(NULL, "%s", e.text);
		notify_send("STATUS=cannot start: %s", e.text);
	} else {
		log_info(NULL, "engine ready, store %s", store_id(p.store));
		notify_send("READY=1");
		engine_nudge(p.engine);
		event_base_dispatch(p.base);
		log_info(NULL, "engine ended");
		rc = EXIT_OK;
	}
	stop(&p);
	return rc;
}

/* Would it start? Tried before an upgrade. */
static int check_only(const char *config)
{
	struct settings s = { 0 };

	log_open("check", LOG_ERROR);
	if (load(config, &s) < 0)
		return EXIT_USAGE;
	settings_release(&s);
	return EXIT_OK;
}

/* Pipes to workers must never get the numbers 0 to 2. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* The descriptor that this names; -1: none is open there. */
static int open_number(const char *text)
{
	uint64_t n;

	if (slice_u64(slice_of(text), INT_MAX, &n) < 0 ||
	    fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return (int)n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "new-store", no_argument, NULL, 'n' },
		{ "key-fd", required_argument, NULL, 'f' }, /* learn.key_file, open */
		{ "check", no_argument, NULL, 'k' },
		{ "worker", no_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *config = NULL;
	bool new_store = false, worker = false, check = false;
	int c, key_fd = -1;

	fill_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	harden_process();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			config = optarg;
		else if (c == 'n')
			new_store = true;
		else if (c == 'f')
			key_fd = open_number(optarg);
		else if (c == 'k')
			check = true;
		else if (c == 'w')
			worker = true;
		else if (c == 'h')
			return fputs(usage, stdout) < 0;
		else
			return fputs(usage, stderr), EXIT_USAGE;
	}
	if (worker)
		return job_main();
	if (!config || optind < argc)
		return fputs(usage, stderr), EXIT_USAGE;
	return check ? check_only(config) : run_engine(config, new_store, key_fd);
}
