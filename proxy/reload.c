/* Hides: what of new settings must be told to whom. */
#include "proxy/reload.h"

#include "certs/server.h"
#include "proxy/probe.h"

static struct tls_server_conf tls_conf(const struct settings *set)
{
	return (struct tls_server_conf){ .certificate = set->tls.certificate,
					 .key = set->tls.key,
					 .second_certificate = set->tls.second_certificate,
					 .second_key = set->tls.second_key,
					 .folder = set->tls.folder,
					 .loaded_max = set->tls.loaded_max,
					 .run_dir = set->run.dir,
					 .ticket_life_s = set->tls.ticket_life_s };
}

int proxy_open_tls(struct proxy *p, struct err *e)
{
	struct tls_server_conf conf = tls_conf(p->settings);

	if (!conf.certificate && !conf.folder)
		return 0;
	return tls_server_new(&conf, &p->tls, e);
}

/* A first certificate makes TLS possible; the last one taken away leaves what there was. */
static int reload_tls(struct proxy *p, struct err *e)
{
	struct tls_server_conf conf = tls_conf(p->settings);

	if (!conf.certificate && !conf.folder)
		return 0;
	if (p->tls)
		return tls_server_reload(p->tls, &conf, e);
	if (proxy_open_tls(p, e) == 0)
		return 0;
	err_wrap(e, "still without TLS");
	log_error(NULL, "reload: %s", e->text);
	return -1;
}

static void on_told(const char *what, bool taken, void *arg UNUSED)
{
	if (!taken)
		log_warn(NULL, "reload: %s changes only with an upgrade or a restart", what);
}

static int read_settings(struct proxy *p, struct settings *fresh, struct err *e)
{
	struct settings_errors errs = { 0 };

	if (settings_load(p->settings->path, fresh, &errs) == 0)
		return 0;
	for (size_t i = 0; i < errs.count; i++)
		log_error(NULL, "reload: the old settings stay: %s", errs.at[i]);
	err_set(e, ERR_INPUT, "the old settings stay: %s", errs.at[0]);
	settings_errors_release(&errs);
	return -1;
}

int proxy_reload(struct proxy *p, struct err *e)
{
	struct settings fresh;
	int rc;

	if (read_settings(p, &fresh, e) < 0)
		return -1;
	settings_take(p->settings, &fresh, on_told, NULL);
	settings_release(&fresh);
	log_set_level(p->settings->log.level);
	rc = reload_tls(p, e);
	probes_hurry(p->probes);
	log_info(NULL, "settings reloaded");
	return rc;
}
