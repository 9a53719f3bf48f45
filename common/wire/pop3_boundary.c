/* Hides: which answer belongs to which command, and where it ends. */
#include "common/wire/pop3_boundary.h"

/* ---- client to server */

/* Servers disagree about blanks in front of a name and controls in it. */
static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 0x20 || name.p[i] == 0x7f)
			return false;
	return name.n > 0;
}

enum pop3_up pop3_boundary_up(const struct pop3_boundary *b, const char *p, size_t n,
			      size_t *take, struct pop3_command *command)
{
	struct slice line;
	enum wire w;

	*take = 0;
	*command = (struct pop3_command){ .verb = POP3_UNKNOWN };
	w = n ? pop3_line(p, n, POP3_LINE_MAX, take) : WIRE_MORE;
	if (w != WIRE_DONE)
		return w == WIRE_MORE ? POP3_UP_MORE : POP3_UP_BROKEN;
	line = (struct slice){ p, *take - 1 };
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (pop3_command(line, command) != WIRE_DONE || !is_name(command->name) ||
	    memchr(line.p, '\r', line.n) || pop3_command_refused(command->verb))
		return POP3_UP_REFUSE;
	return b->count == POP3_OPEN_MAX ? POP3_UP_FULL : POP3_UP_PASS;
}

static bool touches(enum pop3_verb v)
{
	return v == POP3_RETR || v == POP3_TOP || v == POP3_DELE;
}

void pop3_boundary_pass(struct pop3_boundary *b, const struct pop3_command *command)
{
	ASSERT(b->count < POP3_OPEN_MAX);
	b->verbs[b->count] = (uint8_t)command->verb;
	if (pop3_is_multiline(command))
		b->multiline |= 1u << b->count;
	b->count++;
	b->touched |= touches(command->verb);
}

/* ---- server to client */

static void answered(struct pop3_boundary *b)
{
	if (b->count == 0)
		return; /* said unasked: the server is about to end it */
	if (b->verbs[0] == POP3_QUIT)
		b->quit = true;
	else if (b->verbs[0] == POP3_DELE && b->ok)
		b->deletes++;
	else if (b->verbs[0] == POP3_RSET && b->ok)
		b->deletes = 0;
	memmove(b->verbs, b->verbs + 1, --b->count);
	b->multiline >>= 1;
}

/* The first line of an answer: how many bytes of it are here; all of it, or it goes on later.
 */
static size_t eat_status(struct pop3_boundary *b, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);

	if (!b->half_line)
		b->ok = p[0] == '+';
	b->half_line = !lf;
	if (!lf)
		return n;
	if (b->count && (b->multiline & 1) && b->ok) {
		b->in_lines = true;
		b->dots = (struct pop3_dots){ 0 };
	} else {
		answered(b);
	}
	return (size_t)(lf - p) + 1;
}

size_t pop3_boundary_down(struct pop3_boundary *b, const char *p, size_t n)
{
	bool done = false;
	size_t eaten;

	if (n == 0)
		return 0;
	if (!b->in_lines)
		return eat_status(b, p, n);
	eaten = pop3_dots_feed(&b->dots, p, n, &done);
	if (done) {
		b->in_lines = false;
		answered(b);
	}
	return eaten;
}

bool pop3_boundary_at_line(const struct pop3_boundary *b)
{
	return !b->half_line && !b->in_lines;
}

/* ---- what is open */

bool pop3_boundary_quits(const struct pop3_boundary *b)
{
	return b->quit || (b->count && memchr(b->verbs, POP3_QUIT, b->count));
}

bool pop3_boundary_quiet(const struct pop3_boundary *b)
{
	return b->count == 0 && pop3_boundary_at_line(b) && (!b->touched || b->quit);
}

void pop3_boundary_describe(const struct pop3_boundary *b, char *out, size_t size)
{
	if (b->count > 1)
		snprintf(out, size, "%s and %d more", pop3_verb_name(b->verbs[0]),
			 b->count - 1);
	else if (b->count == 1)
		snprintf(out, size, "%s", pop3_verb_name(b->verbs[0]));
	else if (b->quit || !b->touched)
		snprintf(out, size, "%s", pop3_boundary_at_line(b) ? "" : "half an answer");
	else if (b->deletes)
		snprintf(out, size, "%u deletes wait for its QUIT", b->deletes);
	else
		snprintf(out, size, "has fetched, waits for its QUIT");
}
