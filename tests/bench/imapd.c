/*
 * A backend that costs nothing: logs everybody in and makes messages out of thin air, so that a
 * bench in front of it sees the proxy's cost alone.
 *
 *   imapd --plain PORT --tls PORT --certificate FILE --key FILE --tickets DIR [--auth PORT]
 *
 * FETCH n gives one literal of n KiB. --auth answers nginx' auth_http: everybody goes to
 * --plain. Several may share the ports; the keys in DIR let them honour each other's tickets.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>

#include "certs/server.h"
#include "common/wire/imap.h"
#include "proxy/stream.h"

#define CHUNK	      (64 * 1024) /* of a literal, written at once */
#define BACKLOG	      4096
#define LINE_MAX_SIZE 4096
#define CAPS	      "[CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN IDLE]"

struct door {
	int port;
	bool auth;
	struct tls_server *tls;
	struct event *readable;
};

struct peer {
	struct stream *st;
	char tag[IMAP_TAG_MAX + 1];
	char verb[16];
	uint64_t skip; /* of a literal of the client's */
	bool in_command, sasl, idling;
	uint64_t left; /* of a literal of ours */
};

static struct loop loop;
static int plain_port;
static char chunk[CHUNK];

/* ---- answers */

static void say(struct peer *p, const char *text)
{
	stream_write(p->st, text, strlen(text));
}

static void done(struct peer *p, const char *text)
{
	stream_printf(p->st, "%s OK %s\r\n", p->tag, text);
}

/* As much of the literal as the other side takes; DRAINED goes on. */
static void send_literal(struct peer *p)
{
	while (p->left && stream_queued(p->st) == 0) {
		size_t n = MIN(p->left, (uint64_t)CHUNK);

		p->left -= n;
		stream_write(p->st, chunk, n);
	}
	if (p->left)
		return;
	say(p, ")\r\n");
	done(p, "fetched");
}

static void fetch(struct peer *p, const char *number)
{
	p->left = (uint64_t)strtoul(number, NULL, 10) * 1024;
	stream_printf(p->st, "* 1 FETCH (BODY[] {%llu}\r\n", (unsigned long long)p->left);
	send_literal(p);
}

static void logout(struct peer *p)
{
	say(p, "* BYE\r\n");
	done(p, "out");
	stream_retire(&p->st, 1000, NULL, NULL);
	free(p);
}

/* ---- commands */

/* A whole command has come; false: the peer is gone. */
static bool run(struct peer *p, const char *rest)
{
	if (strcmp(p->verb, "LOGOUT") == 0) {
		logout(p);
		return false;
	}
	if (strcmp(p->verb, "FETCH") == 0)
		fetch(p, rest);
	else if (strcmp(p->verb, "LOGIN") == 0 || strcmp(p->verb, "AUTHENTICATE") == 0)
		done(p, CAPS " in");
	else if (strcmp(p->verb, "CAPABILITY") == 0)
		stream_printf(p->st, "* CAPABILITY %.*s\r\n%s OK\r\n", (int)sizeof CAPS - 14,
			      CAPS + 12, p->tag);
	else if (strcmp(p->verb, "SELECT") == 0)
		stream_printf(p->st, "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] here\r\n%s OK in\r\n",
			      p->tag);
	else
		done(p, "done");
	return true;
}

/* Notes tag and verb; what is no command ends the process: no proxy of the bench may send it.
 */
static struct imap_command note(struct peer *p, const char *line, size_t n)
{
	struct imap_command c;

	if (imap_command(line, n, &c) != WIRE_DONE || c.verb.n >= sizeof p->verb)
		BUG("no command: %.*s", (int)n, line);
	snprintf(p->tag, sizeof p->tag, "%.*s", (int)c.tag.n, c.tag.p);
	snprintf(p->verb, sizeof p->verb, "%.*s", (int)c.verb.n, c.verb.p);
	return c;
}

static bool first_line(struct peer *p, const char *line, size_t n)
{
	struct imap_command c = note(p, line, n);

	if (strcmp(p->verb, "IDLE") == 0) {
		p->idling = true;
		say(p, "+ idling\r\n");
	} else if (strcmp(p->verb, "AUTHENTICATE") == 0 && !memchr(c.rest.p, ' ', c.rest.n)) {
		p->sasl = true;
		say(p, "+ \r\n");
	} else {
		return run(p, c.rest.p);
	}
	return true;
}

static bool hear_line(struct peer *p, const char *line, size_t n)
{
	struct imap_line l;

	if (imap_line(line, n, n + 1, &l) == WIRE_DONE && l.tail != LIT_NONE) {
		if (!p->in_command)
			note(p, line, n);
		p->in_command = true;
		p->skip = l.literal;
		if (l.tail == LIT_SYNC)
			say(p, "+ go on\r\n");
		return true;
	}
	if (p->idling || p->sasl) {
		p->idling = p->sasl = false;
		done(p, CAPS " in");
		return true;
	}
	if (p->in_command) {
		p->in_command = false;
		return run(p, "");
	}
	return first_line(p, line, n);
}

static bool skip_literal(struct peer *p, size_t n)
{
	size_t k = MIN(p->skip, (uint64_t)n);

	p->skip -= k;
	stream_consume(p->st, k);
	return k > 0;
}

static void hear(struct peer *p)
{
	char line[LINE_MAX_SIZE];

	while (p->left == 0) {
		struct slice in = stream_input(p->st);
		const char *lf;
		size_t n;

		if (p->skip && skip_literal(p, in.n))
			continue;
		lf = memchr(in.p, '\n', in.n);
		if (!lf)
			return;
		n = MIN((size_t)(lf - in.p) + 1, sizeof line - 1);
		memcpy(line, in.p, n);
		line[n] = '\0';
		stream_consume(p->st, (size_t)(lf - in.p) + 1);
		if (!hear_line(p, line, n))
			return;
	}
}

static void on_imap(struct stream *st UNUSED, enum stream_event ev, void *arg)
{
	struct peer *p = arg;

	switch (ev) {
	case STREAM_UP:
		say(p, "* OK " CAPS " bench\r\n");
		break;
	case STREAM_DRAINED:
		if (p->left)
			send_literal(p);
		if (p->left == 0)
			stream_poke(p->st);
		break;
	case STREAM_DATA:
		hear(p);
		break;
	case STREAM_EOF:
	case STREAM_FAILED:
		stream_free(&p->st);
		free(p);
		break;
	}
}

/* ---- nginx asks where a login goes (one request, then it closes) */

static void on_auth(struct stream *st, enum stream_event ev, void *arg)
{
	struct peer *p = arg;
	struct slice in = stream_input(st);

	if (ev == STREAM_DATA) {
		if (!memmem(in.p, in.n, "\r\n\r\n", 4))
			return;
		stream_printf(st,
			      "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\n"
			      "Auth-Port: %d\r\n\r\n",
			      plain_port);
		stream_retire(&p->st, 1000, NULL, NULL);
		free(p);
	} else if (ev == STREAM_EOF || ev == STREAM_FAILED) {
		stream_free(&p->st);
		free(p);
	}
}

/* ---- doors */

static void on_knock(evutil_socket_t listener, short what UNUSED, void *arg)
{
	struct door *d = arg;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *p = mem_new(sizeof *p);

		p->st = stream_accept(&loop, fd,
				      d->tls ? tls_server_start(d->tls, "imap") : NULL,
				      d->auth ? on_auth : on_imap, p);
		if (!d->tls && !d->auth)
			on_imap(p->st, STREAM_UP, p);
	}
}

static void open_door(struct door *d)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)d->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, BACKLOG) < 0) {
		perror("imapd: listen");
		exit(1);
	}
	d->readable = event_new(loop.base, fd, EV_READ | EV_PERSIST, on_knock, d);
	event_add(d->readable, NULL);
}

static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "plain", required_argument, NULL, 'p' },
						 { "tls", required_argument, NULL, 't' },
						 { "auth", required_argument, NULL, 'a' },
						 { "certificate", required_argument, NULL,
						   'c' },
						 { "key", required_argument, NULL, 'k' },
						 { "tickets", required_argument, NULL, 'r' },
						 { 0 } };
	static struct door doors[3];
	struct tls_server_conf conf = { .ticket_life_s = 3600 };
	struct err e = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			doors[0].port = plain_port = (int)strtol(optarg, NULL, 10);
		else if (c == 't')
			doors[1].port = (int)strtol(optarg, NULL, 10);
		else if (c == 'a')
			doors[2].port = (int)strtol(optarg, NULL, 10);
		else if (c == 'c')
			conf.certificate = optarg;
		else if (c == 'k')
			conf.key = optarg;
		else if (c == 'r')
			conf.run_dir = optarg;
		else
			return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	memset(chunk, 'x', sizeof chunk);
	if (loop_init(&loop, &e) < 0)
		return 1;
	doors[2].auth = true;
	if (doors[1].port && tls_server_new(&conf, &doors[1].tls, &e) < 0) {
		fprintf(stderr, "imapd: %s\n", e.text);
		return 1;
	}
	for (size_t i = 0; i < COUNT(doors); i++)
		if (doors[i].port)
			open_door(&doors[i]);
	printf("up\n");
	fflush(stdout);
	event_base_dispatch(loop.base);
	return 0;
}
