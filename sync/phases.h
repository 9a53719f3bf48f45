/*
 * The plan: what an operator does in which of four phases to move a domain, each as one item
 * that is looked up or that a person vouches for. Pure: everything it looks at is handed in.
 *
 *	phases.c	the items, what is so, what it means
 *	phases_look.c	what they look at, out of the store
 */
#ifndef SYNC_PHASES_H
#define SYNC_PHASES_H

#include "common/store.h"
#include "common/store_phases.h"
#include "config/settings.h"
#include "sync/dns_notes.h"

#define PHASES 4

enum phase_name {
	PHASE_INVENTORY,
	PHASE_CLIENTS,
	PHASE_TTL_NOTED,
	PHASE_TTL,
	PHASE_TOLD,
	PHASE_WEBMAIL_SETTINGS,
	PHASE_ADDRESS_BOOKS,
	PHASE_BRAND,
	PHASE_ACCOUNTS_FROZEN,
	PHASE_PASSWORDS_FROZEN,
	PHASE_WEBMAIL_CLOSED,
	PHASE_BOOKS_MAILED,
	PHASE_ACCOUNTS,
	PHASE_CERTIFICATE,
	PHASE_MOVED,
	PHASE_SESSIONS,
	PHASE_WAIVERS,
	PHASE_MX,
	PHASE_MAIL_NAMES,
	PHASE_PROPAGATION,
	PHASE_PROVISIONING_ON,
	PHASE_SRV,
	PHASE_NAME_SERVERS,
	PHASE_TRAILING,
	PHASE_TOLD_AFTER,
	PHASE_ITEMS
};

enum phase_state {
	PHASE_DONE,
	PHASE_WARNS,   /* open; the plan advises it, or can go on for a while */
	PHASE_BLOCKS,  /* open, and nobody of the domain should be moved before */
	PHASE_NOT_YET, /* its time has not come */
	PHASE_STATES
};
const char *phase_state_name(enum phase_state s); /* "done", "warns", "blocks", "not yet" */

#define PHASE_NOTE_MAX 200 /* bytes of a person's note that are shown; longer ones are cut */

/* A person's last word about an item; zeroed: there is none. */
struct phase_word {
	bool done;
	int64_t at;
	char actor[64], note[PHASE_NOTE_MAX];
};

/* What persons said of a domain's plan; zeroed: nobody follows it. */
struct phase_words {
	bool followed; /* anybody ever said anything */
	struct phase_word of[PHASE_ITEMS];
};

/* Records of one kind that the domain shall have, by the last look at them. */
struct phase_records {
	int wanted, on_new;
};

/* What is known of a domain; zeroed: nothing. */
struct phase_facts {
	int64_t now;
	struct phase_counts n;
	struct phase_words words;
	int64_t certificate_end; /* ms; the first one of those that clients see; 0: none known
				  */
	int certificate_days;	 /* that it must last */
	bool target;		 /* the settings say what new is */
	struct dns_past mx;
	struct phase_records names, srv, servers;
	int64_t noted_since; /* the first look at any record; 0: none */
	int64_t ttl_s;	     /* the longest of MX and clients' names that lead to old */
	char ttl_record[DNS_LABEL_MAX]; /* that has it */
};

struct phase_item {
	const char *id;	  /* "mx", … */
	int phase;	  /* 1 … PHASES */
	const char *what; /* is to be done */
	bool by_person;	  /* a person vouches for it; else it is looked up */
	bool required;	  /* by the plan; else it advises it */
	enum phase_state state;
	char text[400];		       /* what is so */
	const char *remedy;	       /* NULL: none is needed, or waiting is enough */
	const struct phase_word *word; /* borrowed from the facts; NULL: none */
};

/* What a phase is called, 1 … PHASES. */
const char *phase_title(int phase);
/* The item of this id, or -1. */
int phase_find(const char *id);
/* Does a person vouch for it? */
bool phase_by_person(int item);
/* "brand, told, …": those, for people. */
const char *phases_by_person(void);

void phases_check(const struct phase_facts *f, struct phase_item out[PHASE_ITEMS]);
/* How many that block are open, by persons' words alone: those are all that block. Their ids
 * go into names. */
int phases_blocking(const struct phase_words *w, char *names, size_t size);

/* "" for a name without one, which no plan is about. Borrowed from the name. */
const char *phases_domain(const char *user);
int phases_read_words(struct store *st, const char *domain, struct phase_words *out,
		      struct err *e) MUST_CHECK;
/* All that is known of the domain. */
int phases_look(struct store *st, const struct settings *s, const char *domain,
		struct phase_facts *out, struct err *e) MUST_CHECK;

#endif
