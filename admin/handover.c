/* Hides: the text. A line is a word and its values; names come last in their line. */
#include "admin/handover.h"

#include <errno.h>
#include <sys/mman.h>

#define FIRST_LINE "mailferry-handover 1"
#define LINE_MAX_  4096

static const char *const role_names[] = {
	[ROLE_ENGINE] = "engine",
	[ROLE_SERVES] = "serves",
	[ROLE_COMES] = "comes",
	[ROLE_LEAVES] = "leaves",
};

const char *child_role_name(enum child_role role)
{
	return role_names[role];
}

/* ---- writing */

static void put_asker(const struct handover *h, FILE *f)
{
	const unsigned char *p = (const unsigned char *)&h->asker.address;

	fputs("asker ", f);
	for (socklen_t i = 0; i < h->asker.size; i++)
		fprintf(f, "%02x", p[i]);
	fputc('\n', f);
}

static void put_all(const struct handover *h, FILE *f)
{
	fprintf(f, FIRST_LINE "\ndir %s\nstore %s\nuser %s\n", h->run_dir, h->store, h->user);
	fprintf(f, "lock %d\ninbox %d\ngeneration %d\n", h->lock, h->inbox, h->generation);
	for (size_t i = 0; i < h->sockets.count; i++)
		fprintf(f, "socket %d %s %s\n", h->sockets.at[i].fd,
			h->sockets.at[i].inherited ? "inherited" : "own",
			h->sockets.at[i].name);
	for (size_t i = 0; i < h->child_count; i++)
		fprintf(f, "child %d %s %s\n", (int)h->children[i].pid,
			role_names[h->children[i].role], h->children[i].name);
	put_asker(h, f);
}

int handover_write(const struct handover *h, struct err *e)
{
	int fd = memfd_create("mailferry-handover", 0);
	int copy = fd < 0 ? -1 : dup(fd);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");

	if (!f) {
		err_set(e, ERR_TEMP, "memfd: %s", strerror(errno));
		goto fail;
	}
	put_all(h, f);
	if (fclose(f) == 0)
		return fd;
	err_set(e, ERR_TEMP, "memfd: %s", strerror(errno));
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- reading */

static bool take_number(const char **p, int *out)
{
	size_t n = strcspn(*p, " ");
	uint64_t v;

	if (slice_u64((struct slice){ *p, n }, INT32_MAX, &v) < 0)
		return false;
	*out = (int)v;
	*p += n + ((*p)[n] == ' ');
	return true;
}

static bool take_word(const char **p, char *out, size_t size)
{
	size_t n = strcspn(*p, " ");

	if (n == 0 || n >= size || (*p)[n] != ' ')
		return false;
	snprintf(out, size, "%.*s", (int)n, *p);
	*p += n + 1;
	return true;
}

static bool read_socket(struct handover *h, const char *p)
{
	struct listen_socket s = { 0 };
	char word[16];

	if (h->sockets.count == LISTEN_MAX || !take_number(&p, &s.fd) ||
	    !take_word(&p, word, sizeof word))
		return false;
	s.name = mem_str(p);
	s.inherited = strcmp(word, "inherited") == 0;
	h->sockets.at = mem_grow(h->sockets.at, h->sockets.count + 1, sizeof s);
	h->sockets.at[h->sockets.count++] = s;
	return true;
}

static bool read_child(struct handover *h, const char *p)
{
	struct handover_child c = { 0 };
	char word[16];
	size_t role = 0;
	int pid;

	if (h->child_count == HANDOVER_CHILDREN_MAX || !take_number(&p, &pid) ||
	    !take_word(&p, word, sizeof word))
		return false;
	while (role < COUNT(role_names) && strcmp(role_names[role], word) != 0)
		role++;
	if (role == COUNT(role_names) || pid <= 0)
		return false;
	c = (struct handover_child){ mem_str(p), pid, (enum child_role)role };
	h->children = mem_grow(h->children, h->child_count + 1, sizeof c);
	h->children[h->child_count++] = c;
	return true;
}

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool read_asker(struct handover *h, const char *p)
{
	unsigned char *to = (unsigned char *)&h->asker.address;
	size_t n = strlen(p) / 2;

	if (n > sizeof h->asker.address || strlen(p) % 2)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(p[2 * i]), low = hex_value(p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (unsigned char)(16 * high + low);
	}
	h->asker.size = (socklen_t)n;
	return true;
}

static bool keep_text(char **at, const char *p)
{
	mem_free(at);
	*at = mem_str(p);
	return true;
}

static bool read_line(struct handover *h, const char *line)
{
	char word[16];
	const char *p = line;

	if (!take_word(&p, word, sizeof word))
		return false;
	if (strcmp(word, "dir") == 0)
		return keep_text(&h->run_dir, p);
	if (strcmp(word, "store") == 0)
		return keep_text(&h->store, p);
	if (strcmp(word, "user") == 0)
		return keep_text(&h->user, p);
	if (strcmp(word, "lock") == 0)
		return take_number(&p, &h->lock);
	if (strcmp(word, "inbox") == 0)
		return take_number(&p, &h->inbox);
	if (strcmp(word, "generation") == 0)
		return take_number(&p, &h->generation);
	if (strcmp(word, "socket") == 0)
		return read_socket(h, p);
	if (strcmp(word, "child") == 0)
		return read_child(h, p);
	return strcmp(word, "asker") == 0 && read_asker(h, p);
}

static int read_all(FILE *f, struct handover *h, struct err *e)
{
	char line[LINE_MAX_];
	size_t n;

	for (unsigned number = 1; fgets(line, sizeof line, f); number++) {
		n = strcspn(line, "\n");
		line[n] = '\0';
		if (number == 1 ? strcmp(line, FIRST_LINE) != 0 : !read_line(h, line))
			return err_set(e, ERR_INPUT,
				       "handover, line %u: is not understood: \"%.80s\"; the "
				       "program that runs is of another kind",
				       number, line);
	}
	if (!h->run_dir || !h->store || !h->user || !h->lock || !h->inbox)
		return err_set(e, ERR_INPUT, "handover: something is missing");
	return 0;
}

int handover_read(int fd, struct handover *h, struct err *e)
{
	int copy = dup(fd), rc;
	FILE *f = copy < 0 ? NULL : fdopen(copy, "r");

	if (!f)
		return err_set(e, ERR_INPUT, "handover: descriptor %d: %s", fd,
			       strerror(errno));
	rewind(f);
	rc = read_all(f, h, e);
	fclose(f);
	return rc;
}

void handover_release(struct handover *h)
{
	for (size_t i = 0; i < h->child_count; i++)
		mem_free(&h->children[i].name);
	for (size_t i = 0; i < h->sockets.count; i++)
		mem_free(&h->sockets.at[i].name);
	mem_free(&h->children);
	mem_free(&h->sockets.at);
	mem_free(&h->run_dir);
	mem_free(&h->store);
	mem_free(&h->user);
}
