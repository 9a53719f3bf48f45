/* Hides: how the manual pages are laid out. Their words come from the tables of the program. */
#include <ctype.h>

#include "admin/ctl_verbs.h"
#include "common/roff.h"
#include "common/user_state.h"

/* ---- mailferry(1) */

static void write_verb(FILE *to, const struct ctl_verb *v)
{
	char *title = mem_printf("mailferry %s%s%s", v->name, *v->usage ? " " : "", v->usage);
	char *first = mem_printf("%c%s.\n\n", toupper((unsigned char)*v->brief), v->brief + 1);

	roff_subheading(to, title);
	roff_text(to, first);
	fputs(".PP\n", to);
	roff_text(to, v->help);
	mem_free(&title);
	mem_free(&first);
}

static void write_command(FILE *to)
{
	roff_begin(to, "mailferry", 1, "move live mailboxes from an old server to a new one");
	roff_heading(to, "SYNOPSIS");
	roff_text(to, "mailferry COMMAND [OPTIONS]\n");
	roff_heading(to, "DESCRIPTION");
	roff_text(
		to,
		"A transparent IMAP and POP3 proxy in front of both servers, and a copier behind it. "
		"This command\nstarts them, tells how they are, and tells them what to do.\n");
	roff_heading(to, "OPTIONS AND EXIT STATUS");
	roff_text(to, ctl_help_common + strspn(ctl_help_common, "\n"));
	roff_heading(to, "COMMANDS");
	for (size_t i = 0; i < ctl_verb_count; i++)
		write_verb(to, &ctl_verbs[i]);
	roff_heading(to, "FILES");
	roff_text(to, CTL_CONFIG "\n");
	roff_heading(to, "SEE ALSO");
	roff_text(to, "mailferry.conf(5), mailferry-states(7)\n");
}

/* ---- mailferry.conf(5) */

static void write_settings(FILE *to)
{
	settings_write_manual(to);
}

/* ---- mailferry-states(7) */

static const struct {
	const char *meanwhile, *goes_on, *else_;
} lives[] = {
	[USER_PENDING] = { "Both logins are tried", "both servers let us in",
			   "it is tried again, later each time" },
	[USER_PROVISIONED] = { "Waits for a worker", "one is free", NULL },
	[USER_SYNCING] = { "Mail is copied and compared, pass by pass", "a pass was clean",
			   "it is tried again, later each time" },
	[USER_READY] = { "Both mailboxes are kept in step",
			 "the go was given and every check is open",
			 "the user goes back to syncing" },
	[USER_FREEZING] = { "Live sessions are held at a command's end, new logins wait",
			    "every node says that all is quiet", "all is undone" },
	[USER_FINALIZING] = { "The last changes are copied, and both sides are compared",
			      "both are the same: one durable write, the flip, moves the user",
			      "all is undone" },
	[USER_TRAILING] = { "Mail that still arrives on old is brought over",
			    "there is evidence that nothing comes any more",
			    "it is tried again" },
	[USER_DONE] = { "Nothing any more", NULL, NULL },
	[USER_RETURNING] = { "Old is brought in step with new, while the user works on new",
			     "both are in step and the go was given: freezing, in the other direction",
			     "it is tried again; who has his return taken back is trailing again" },
};
_Static_assert(COUNT(lives) == USER_STATES, "a life in every state");

static const char *way_of(enum user_state s)
{
	switch (user_route(s)) {
	case ROUTE_OLD:
		return "go to old";
	case ROUTE_NEW:
		return "go to new";
	case ROUTE_HOLD:
		return "wait";
	case ROUTES:
		break;
	}
	BUG("state %d leads nowhere", (int)s);
}

/* "ready, freezing": where the rules let a user in this state go, whichever way. */
static char *successors(enum user_state from)
{
	char *list = mem_str("");

	for (int to = 0; to < USER_STATES; to++) {
		bool may = false;
		char *longer;

		for (int d = 0; d < DIRECTIONS; d++)
			may = may ||
			      user_may_move(from, (enum direction)d, (enum user_state)to);
		if (!may)
			continue;
		longer = mem_printf("%s%s%s", list, *list ? ", " : "",
				    user_state_name((enum user_state)to));
		mem_free(&list);
		list = longer;
	}
	return list;
}

static void write_state(FILE *to, enum user_state s)
{
	char *next = successors(s);
	char *text = mem_printf("Logins %s. %s.%s%s%s%s%s%s May become: %s.", way_of(s),
				lives[s].meanwhile, lives[s].goes_on ? " Goes on when " : "",
				lives[s].goes_on ? lives[s].goes_on : "",
				lives[s].goes_on ? "." : "", lives[s].else_ ? " Else " : "",
				lives[s].else_ ? lives[s].else_ : "", lives[s].else_ ? "." : "",
				next);

	roff_item(to, user_state_name(s), text);
	mem_free(&next);
	mem_free(&text);
}

static const char picture[] =
	" pending > provisioned > syncing <> ready > freezing > finalizing > trailing > done\n"
	"                                      ^  undo  |           |           |        |\n"
	"                                      +--------+-----------+           |        |\n"
	"                                      |        flip back              v^        |\n"
	"                                      +-- finalizing < freezing <-- returning <-+\n"
	"\n"
	"Nothing but the state decides where a user's logins go. Every move is one compare-and-set in\n"
	"the store with a row of history (`mailferry history USER`); whichever process dies, the user\n"
	"is on one side. A user who was never imported goes to old (`mailferry strangers`).\n";

static const char failure[] =
	"No state is called failed: a user stays where he is and is tried again. Who has been tried\n"
	"too often waits for a person: `mailferry status` counts them as stuck, `mailferry why USER`\n"
	"says what is wrong, `mailferry retry USER` tries again at once.\n"
	"\n"
	"The hold has a budget (cutover.budget_s). When it is spent before the flip, the cutover is\n"
	"undone: held sessions and waiting logins go on where they were. An undone cutover is tried\n"
	"again after cutover.retry_s, doubled each time.\n";

static void write_states(FILE *to)
{
	roff_begin(to, "mailferry-states", 7, "what a user who is moved goes through");
	roff_heading(to, "DESCRIPTION");
	roff_text(to, picture);
	roff_heading(to, "STATES");
	for (int s = 0; s < USER_STATES; s++)
		write_state(to, (enum user_state)s);
	roff_heading(to, "WHEN SOMETHING FAILS");
	roff_text(to, failure);
	roff_heading(to, "SEE ALSO");
	roff_text(to, "mailferry(1), mailferry.conf(5)\n");
}

/* ---- the verb */

int ctl_man(struct ctl *c)
{
	static const struct {
		const char *section;
		void (*write)(FILE *to);
	} pages[] = { { "1", write_command }, { "5", write_settings }, { "7", write_states } };

	for (size_t i = 0; i < COUNT(pages); i++) {
		if (strcmp(c->arg[0], pages[i].section) != 0)
			continue;
		pages[i].write(c->out);
		return CTL_OK;
	}
	return ctl_usage(c, "no manual page in section %s: choose 1, 5 or 7", c->arg[0]);
}
