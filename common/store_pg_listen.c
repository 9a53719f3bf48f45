/*
 * Hides: the thread that waits for PostgreSQL's notifications and turns each into a nudge of
 * this process, so that followers wait on one descriptor whatever the store is.
 *
 * It is a hint like every nudge: while the connection is away, followers look by themselves.
 */
#include "common/store_driver.h"

#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#define AGAIN_MS 1000 /* after a lost connection */

struct listener {
	char *url, *dir, *name;
};

static PGconn *connect_and_listen(const char *url)
{
	PGconn *c = PQconnectdb(url);
	PGresult *r = NULL;

	if (PQstatus(c) == CONNECTION_OK) {
		r = PQexec(c, "LISTEN " STORE_PG_CHANNEL);
		if (PQresultStatus(r) == PGRES_COMMAND_OK) {
			PQclear(r);
			return c;
		}
	}
	PQclear(r);
	PQfinish(c);
	return NULL;
}

/* Until the connection is lost. */
static void pass_on(struct listener *l, PGconn *c)
{
	PGnotify *n;
	bool heard = true; /* what changed while nobody listened */

	while (PQconsumeInput(c)) {
		struct pollfd wait = { .fd = PQsocket(c), .events = POLLIN };

		for (; (n = PQnotifies(c)); heard = true)
			PQfreemem(n);
		if (heard)
			store_nudge_name(l->dir, l->name);
		heard = false;
		poll(&wait, 1, -1);
	}
}

static void *listen_forever(void *arg)
{
	struct listener *l = arg;

	for (;;) {
		PGconn *c = connect_and_listen(l->url);

		if (c) {
			pass_on(l, c);
			PQfinish(c);
		}
		poll(NULL, 0, AGAIN_MS);
	}
	return NULL;
}

int store_pg_listen(const char *url, const char *dir, const char *name, struct err *e)
{
	struct listener *l = mem_new(sizeof *l);
	sigset_t all, before;
	pthread_t thread;
	int rc;

	*l = (struct listener){ mem_str(url), mem_str(dir), mem_str(name) };
	sigfillset(&all); /* signals are for the process's own thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, listen_forever, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_set(e, ERR_STORE, "no thread to listen on the store: %s",
			       strerror(rc));
	pthread_detach(thread);
	return 0;
}
