/* Cases 41 to 49. Which folder is which: separators, prefixes, special folders, collisions; and
 * no two ever become one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <strings.h>

#include "sync/folder_name.h"
#include "sync/folders.h"
#include "sync/special_names.h"

/* A server: its folders, prefix and separator. */
struct server {
	struct folder_list list;
	struct namespace_info space;
};

static void server(struct server *s, const char *prefix, char separator)
{
	*s = (struct server){ .space = { .prefix = mem_str(prefix), .separator = separator } };
}

static struct folder_info *has(struct server *s, const char *name)
{
	struct folder_info *f = folder_list_add(&s->list, name);

	f->separator = s->space.separator;
	f->has_status = true;
	return f;
}

static void gone(struct server *s)
{
	folder_list_release(&s->list);
	free(s->space.prefix);
	free(s->space.others.at);
}

static void map_with(struct server *old, struct server *new, const struct folder_wishes *w,
		     struct folder_map *out)
{
	struct folder_side sides[SIDES] = { { &old->list, &old->space },
					    { &new->list, &new->space } };

	folders_map(sides, SIDE_OLD, w, out);
}

static void map(struct server *old, struct server *new, struct folder_map *out)
{
	map_with(old, new, &(struct folder_wishes){ 0 }, out);
}

static const struct folder_pair *pair_of(const struct folder_map *m, const char *old)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->at[i].name[SIDE_OLD], old) == 0)
			return &m->at[i];
	return NULL;
}

static void assert_maps(const struct folder_map *m, const char *old, const char *new)
{
	const struct folder_pair *p = pair_of(m, old);

	if (!p)
		fail_msg("%s is not mapped", old);
	else
		assert_string_equal(p->name[SIDE_NEW], new);
}

/* Case 41. */
static void test_separators_are_exchanged(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '.');
	has(&old, "INBOX");
	has(&old, "Work");
	has(&old, "Work/2020/May");
	has(&old, "&AMQ-rger");
	has(&new, "INBOX");
	map(&old, &new, &m);
	assert_int_equal(m.count, 4);
	assert_maps(&m, "INBOX", "INBOX");
	assert_maps(&m, "Work", "Work");
	assert_maps(&m, "Work/2020/May", "Work.2020.May");
	assert_maps(&m, "&AMQ-rger", "&AMQ-rger");
	assert_true(pair_of(&m, "INBOX")->exists);
	assert_false(pair_of(&m, "Work")->exists);
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_prefixes_come_and_go(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "INBOX.", '.');
	server(&new, "", '/');
	has(&old, "inbox");
	has(&old, "INBOX.Sent");
	has(&old, "INBOX.a.b");
	has(&new, "INBOX");
	map(&old, &new, &m);
	assert_maps(&m, "INBOX", "INBOX");
	assert_maps(&m, "INBOX.Sent", "Sent");
	assert_maps(&m, "INBOX.a.b", "a/b");
	folder_map_release(&m);
	gone(&old);
	gone(&new);

	server(&old, "", '/');
	server(&new, "INBOX.", '.');
	has(&old, "INBOX");
	has(&old, "Sent");
	map(&old, &new, &m);
	assert_maps(&m, "INBOX", "INBOX");
	assert_maps(&m, "Sent", "INBOX.Sent");
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_the_other_separator_in_a_name_is_replaced_and_noted(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '.');
	has(&old, "v1.2");
	has(&old, "v1_2");
	map(&old, &new, &m);
	assert_maps(&m, "v1_2", "v1_2");
	assert_string_not_equal(pair_of(&m, "v1.2")->name[SIDE_NEW], "v1_2");
	assert_null(strchr(pair_of(&m, "v1.2")->name[SIDE_NEW], '.'));
	assert_int_equal(pair_of(&m, "v1_2")->why, FOLDER_SAME);
	assert_true(folder_why_is_noted(pair_of(&m, "v1.2")->why));
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_special_folders_meet(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "Gesendet")->use = USE_SENT;
	has(&old, "Gesendet/2020");
	has(&old, "Trash")->use = USE_TRASH;
	has(&new, "Sent")->use = USE_SENT;
	has(&new, "Trash");
	has(&new, "Deleted")->use = USE_TRASH;
	map(&old, &new, &m);
	assert_maps(&m, "Gesendet", "Sent");
	assert_maps(&m, "Gesendet/2020", "Sent/2020"); /* children follow */
	assert_maps(&m, "Trash", "Trash");	       /* the name is there: it stays */
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* Case 43: two names that a server may take for one; only it can tell. */
static void test_twins_are_kept_until_the_server_refuses(void **state)
{
	const char *refused[] = { "trash", "Ou&AwA-", "trash_2" };
	struct folder_wishes w = { .refused = refused, .refused_count = 2 };
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "Trash");
	has(&old, "trash");
	has(&old, "trash/a");
	has(&old, "O&APk-");  /* case 44: NFC … */
	has(&old, "Ou&AwA-"); /* … and NFD */
	map(&old, &new, &m);
	assert_maps(&m, "Trash", "Trash");
	assert_maps(&m, "trash", "trash");
	folder_map_release(&m);

	has(&new, "Trash"); /* made, and the other was refused */
	has(&new, "O&APk-");
	map_with(&old, &new, &w, &m);
	assert_maps(&m, "Trash", "Trash");
	assert_maps(&m, "trash", "trash_2");
	assert_maps(&m, "trash/a", "trash_2/a");
	assert_maps(&m, "O&APk-", "O&APk-");
	assert_maps(&m, "Ou&AwA-", "Ou&AwA-_2");
	assert_int_equal(pair_of(&m, "trash")->why, FOLDER_REFUSED);
	folder_map_release(&m);

	w.refused_count = 3;
	map_with(&old, &new, &w, &m);
	assert_maps(&m, "trash", "trash_3");
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* One folder alone goes onto what is there, however written. */
static void test_what_is_there_in_another_writing(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "rEPORTS");
	has(&old, "Ou&AwA-");
	has(&new, "Reports");
	has(&new, "o&APk-");
	map(&old, &new, &m);
	assert_maps(&m, "rEPORTS", "Reports");
	assert_maps(&m, "Ou&AwA-", "o&APk-");
	assert_int_equal(pair_of(&m, "rEPORTS")->why, FOLDER_WRITTEN);
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* Case 42. */
static void test_inbox_in_inbox(void **state)
{
	static const struct {
		const char *old_prefix, *old, *new_prefix, *new;
	} rows[] = {
		{ "", "INBOX/INBOX", "", "INBOX.INBOX" },
		{ "", "INBOX/INBOX", "INBOX.", "INBOX.INBOX" },
		{ "", "INBOX/x", "INBOX.", "INBOX.x" }, /* no INBOX.INBOX.x */
		{ "INBOX/", "INBOX/INBOX", "", "INBOX_2" },
		{ "INBOX/", "INBOX/INBOX/y", "", "INBOX_2.y" },
		{ "INBOX/", "INBOX/INBOX", "INBOX.", "INBOX.INBOX" },
		{ "INBOX/", "INBOX/x", "", "x" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct server old, new;
		struct folder_map m;

		server(&old, rows[i].old_prefix, '/');
		server(&new, rows[i].new_prefix, '.');
		has(&old, "INBOX");
		if (strcmp(rows[i].old, "INBOX/INBOX/y") == 0)
			has(&old, "INBOX/INBOX");
		has(&old, rows[i].old);
		has(&new, "INBOX");
		map(&old, &new, &m);
		assert_maps(&m, "INBOX", "INBOX");
		assert_maps(&m, rows[i].old, rows[i].new);
		folder_map_release(&m);
		gone(&old);
		gone(&new);
	}
	(void)state;
}

/* Case 44: what is no modified UTF-7, and a side that speaks UTF-8 only. */
static void test_encodings(void **state)
{
	static const struct {
		const char *old;
		bool old_utf8;
		const char *new;
		bool new_utf8;
		enum folder_why why;
	} rows[] = {
		{ "&AMQ-rger", false, "\xc3\x84rger", true, FOLDER_SAME },
		{ "\xc3\x84rger", true, "&AMQ-rger", false, FOLDER_SAME },
		{ "\xf0\x9f\x98\x80", true, "&2D3eAA-", false, FOLDER_SAME },
		{ "&2D3eAA-", false, "\xf0\x9f\x98\x80", true, FOLDER_SAME },
		{ "A&-B", false, "A&B", true, FOLDER_SAME },
		{ "A&B", true, "A&-B", false, FOLDER_SAME },
		{ "R&D", false, "R&-D", false, FOLDER_REPAIRED },
		{ "R&D", false, "R&D", true, FOLDER_REPAIRED },
		{ "&AGE-", false, "&-AGE-", false, FOLDER_REPAIRED }, /* an "a" encoded */
		{ "&2D0-", false, "&-2D0-", false, FOLDER_REPAIRED }, /* half an emoji */
		{ "\xc3\x84rger", false, "&AMQ-rger", false, FOLDER_REPAIRED },
		{ "b\xffse", false, "b_se", false, FOLDER_REPAIRED },
		{ "b\xffse", true, "b_se", true, FOLDER_REPAIRED },
		{ "tab\there", false, "tab_here", false, FOLDER_REPAIRED },
		{ "&-v1.2", false, "&v1_2", true, FOLDER_REPLACED },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct server old, new;
		struct folder_map m;

		server(&old, "", '/');
		server(&new, "", '.');
		old.space.utf8 = rows[i].old_utf8;
		new.space.utf8 = rows[i].new_utf8;
		has(&old, rows[i].old);
		map(&old, &new, &m);
		assert_maps(&m, rows[i].old, rows[i].new);
		assert_int_equal(m.at[0].why, rows[i].why);
		folder_map_release(&m);
		gone(&old);
		gone(&new);
	}
	(void)state;
}

/* Case 47. */
static void test_special_folders_by_their_names(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "INBOX.", '.');
	server(&new, "", '/');
	has(&old, "INBOX");
	has(&old, "INBOX.Gesendet");
	has(&old, "INBOX.Gesendet.2020");
	has(&old, "INBOX.Entw&APw-rfe")->messages = 3;
	has(&old, "INBOX.Drafts-old");
	has(&old, "INBOX.Projekte.Papierkorb"); /* somebody's own */
	has(&new, "INBOX");
	has(&new, "Sent Items")->use = USE_SENT;
	has(&new, "Drafts");
	has(&new, "Trash")->use = USE_TRASH;
	map(&old, &new, &m);
	assert_maps(&m, "INBOX.Gesendet", "Sent Items");
	assert_maps(&m, "INBOX.Gesendet.2020", "Sent Items/2020");
	assert_maps(&m, "INBOX.Entw&APw-rfe", "Drafts");
	assert_maps(&m, "INBOX.Projekte.Papierkorb", "Projekte/Papierkorb");
	assert_int_equal(pair_of(&m, "INBOX.Gesendet")->why, FOLDER_LOCALIZED);
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* Case 47: two candidates. */
static void test_one_folder_for_each_use(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "Sent Items")->use = USE_SENT; /* the attribute wins … */
	has(&old, "Gesendet")->messages = 900;
	has(&old, "Corbeille")->messages = 5; /* … else the one with more mail */
	has(&old, "Papierkorb")->messages = 70;
	has(&old, "Spam")->messages = 1; /* … but not over the one of the same name */
	has(&old, "Courrier ind&AOk-sirable")->messages = 70;
	has(&new, "Sent")->use = USE_SENT;
	has(&new, "Trash")->use = USE_TRASH;
	has(&new, "Spam");
	map(&old, &new, &m);
	assert_maps(&m, "Sent Items", "Sent");
	assert_int_equal(pair_of(&m, "Sent Items")->why, FOLDER_ATTRIBUTE);
	assert_maps(&m, "Gesendet", "Gesendet");
	assert_maps(&m, "Papierkorb", "Trash");
	assert_maps(&m, "Corbeille", "Corbeille");
	assert_maps(&m, "Spam", "Spam");
	assert_maps(&m, "Courrier ind&AOk-sirable", "Courrier ind&AOk-sirable");
	/* Only one of them is made for the use, should it have to be made. */
	assert_int_equal(pair_of(&m, "Gesendet")->use, USE_NONE);
	assert_int_equal(pair_of(&m, "Papierkorb")->use, USE_TRASH);
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_what_the_operator_says(void **state)
{
	struct folder_rules rules = { 0 };
	struct folder_wishes w = { .rules = &rules };
	struct server old, new;
	struct folder_map m;

	server(&old, "INBOX.", '.');
	server(&new, "", '/');
	folder_rules_add_map(&rules, "INBOX.Geschäft", "Work");
	folder_rules_add_map(&rules, "INBOX.trash", "Trash of old");
	folder_rules_add_skip(&rules, "INBOX.Public*");
	folder_rules_add_skip(&rules, "INBOX.tmp");
	has(&old, "INBOX");
	has(&old, "INBOX.Gesch&AOQ-ft");
	has(&old, "INBOX.Gesch&AOQ-ft.2020");
	has(&old, "INBOX.Work"); /* its name is promised to another */
	has(&old, "INBOX.Trash");
	has(&old, "INBOX.trash");
	has(&old, "INBOX.Public");
	has(&old, "INBOX.Public.a.b");
	has(&old, "INBOX.tmp.x");
	has(&old, "INBOX.tmpx");
	map_with(&old, &new, &w, &m);
	assert_maps(&m, "INBOX.Gesch&AOQ-ft", "Work");
	assert_maps(&m, "INBOX.Gesch&AOQ-ft.2020", "Work/2020");
	assert_maps(&m, "INBOX.Work", "Work_2");
	assert_maps(&m, "INBOX.Trash", "Trash");
	assert_maps(&m, "INBOX.trash", "Trash of old");
	assert_maps(&m, "INBOX.tmpx", "tmpx");
	assert_int_equal(m.count, 7);
	assert_int_equal(m.left_count, 3);
	folder_map_release(&m);
	folder_rules_release(&rules);
	gone(&old);
	gone(&new);
	(void)state;
}

/* Case 46: a parent there that can have no children. */
static void test_noinferiors(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "A");
	has(&old, "A/b/c");
	has(&new, "A")->noinferiors = true;
	map(&old, &new, &m);
	assert_maps(&m, "A/b/c", "A_b/c");
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* Cases 45, 49: a server that takes none of the names is asked until it takes one. */
static void test_names_for_a_server_that_refuses(void **state)
{
	static const struct {
		const char *old, *first;
	} rows[] = {
		{ "Files", "Files_2" },
		{ "a*b%c\\d\"e^f", "a_b_c_d_e_f" },
		{ "  two  spaces ", "two spaces" },
		{ "&AMQ-/&AMQ-", "&AMQ-/&AMQ-_2" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *refused[64];
		struct folder_wishes w = { .refused = refused };
		struct server old, new;
		struct folder_map m;

		server(&old, "", '/');
		server(&new, "", '/');
		has(&old, rows[i].old);
		for (;;) {
			map_with(&old, &new, &w, &m);
			if (w.refused_count == 1)
				assert_maps(&m, rows[i].old, rows[i].first);
			if (m.at[0].hopeless)
				break;
			for (size_t k = 0; k < w.refused_count; k++)
				assert_string_not_equal(refused[k], m.at[0].name[SIDE_NEW]);
			assert_true(w.refused_count < COUNT(refused));
			refused[w.refused_count++] = mem_str(m.at[0].name[SIDE_NEW]);
			folder_map_release(&m);
		}
		assert_true(w.refused_count >= 9);
		for (size_t k = 0; k < w.refused_count; k++)
			free((char *)(uintptr_t)refused[k]);
		folder_map_release(&m);
		gone(&old);
		gone(&new);
	}
	(void)state;
}

/* Case 45: long and deep names. */
static void test_long_and_deep_names(void **state)
{
	char deep[130], longest[1001];
	const char *refused[] = { longest };
	struct folder_wishes w = { .refused = refused, .refused_count = 1 };
	struct server old, new;
	struct folder_map m;

	for (size_t i = 0; i < 60; i++)
		memcpy(deep + 2 * i, "d/", 3);
	deep[119] = '\0';
	memset(longest, 'n', 1000);
	longest[1000] = '\0';
	server(&old, "", '/');
	server(&new, "", '.');
	has(&old, deep);
	has(&old, longest);
	map(&old, &new, &m);
	assert_maps(&m, longest, longest);
	assert_int_equal(strlen(pair_of(&m, deep)->name[SIDE_NEW]), 119);
	assert_null(strchr(pair_of(&m, deep)->name[SIDE_NEW], '/'));
	folder_map_release(&m);
	map_with(&old, &new, &w, &m);
	assert_true(strlen(pair_of(&m, longest)->name[SIDE_NEW]) <= 60);
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* A server with a prefix that it does not tell of (no NAMESPACE). */
static void test_a_prefix_that_nobody_told_of(void **state)
{
	const char *refused[] = { "Sent" };
	struct folder_wishes w = { .refused = refused, .refused_count = 1 };
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '.');
	new.space.guessed = true;
	has(&old, "Sent");
	has(&new, "INBOX");
	map_with(&old, &new, &w, &m);
	assert_maps(&m, "Sent", "INBOX.Sent");
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_the_table_is_folded_and_each_name_once(void **state)
{
	size_t n;
	const struct special_name *names = special_names(&n);

	for (size_t i = 0; i < n; i++) {
		char *folded = folder_name_fold(names[i].folded);

		assert_string_equal(folded, names[i].folded);
		assert_int_equal(special_name_use(names[i].folded), names[i].use);
		free(folded);
	}
	assert_int_equal(special_name_use("GESENDETE ELEMENTE"), USE_SENT);
	assert_int_equal(special_name_use("E\xcc\x81le\xcc\x81ments supprime\xcc\x81s"),
			 USE_TRASH);
	assert_int_equal(special_name_use("INBOX"), USE_NONE);
	(void)state;
}

/* Case 48. */
static void test_others_folders_are_left_out(void **state)
{
	struct folder_rules rules = { .shared = true };
	struct folder_wishes wanted = { .rules = &rules };
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	old.space.others.at = mem_new(sizeof *old.space.others.at);
	old.space.others.count = 1;
	old.space.others.at[0] =
		(struct folder_info){ .name = (char *)(uintptr_t) "Shared/", .separator = '/' };
	has(&old, "INBOX");
	has(&old, "Shared");
	has(&old, "Shared/team");
	has(&old, "Sharedmine");
	map(&old, &new, &m);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.left_count, 2);
	assert_true(m.left[0].shared);
	assert_non_null(pair_of(&m, "Sharedmine"));
	folder_map_release(&m);
	map_with(&old, &new, &wanted, &m);
	assert_maps(&m, "Shared/team", "Shared/team");
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_known_pairs_stay(void **state)
{
	static const struct folder_known known[] = { { { "Work", "Archive" } } };
	struct folder_side sides[SIDES];
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "Work");
	has(&old, "Archive");
	has(&new, "Work");
	has(&new, "Archive");
	sides[SIDE_OLD] = (struct folder_side){ &old.list, &old.space };
	sides[SIDE_NEW] = (struct folder_side){ &new.list, &new.space };
	folders_map(sides, SIDE_OLD,
		    &(struct folder_wishes){ .known = known, .known_count = 1 }, &m);
	assert_maps(&m, "Work", "Archive");
	assert_string_not_equal(pair_of(&m, "Archive")->name[SIDE_NEW], "Archive");
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

/* A small generator of its own, so that a failure can be repeated. */
static unsigned next(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % below;
}

static void random_folders(struct server *s, unsigned *seed)
{
	static const char letters[] = "aAbB._&-1\xc3\xa9";
	char name[16];

	has(s, "INBOX");
	for (unsigned i = 0; i < 20; i++) {
		unsigned n = 1 + next(seed, 4), at = 0;
		bool twice = false;

		for (; at < n; at++) {
			bool parts = at && at + 1 < n && name[at - 1] != s->space.separator;

			name[at] = parts && next(seed, 4) == 0
					   ? s->space.separator
					   : letters[next(seed, sizeof letters - 1)];
		}
		name[at] = '\0';
		for (size_t k = 0; k < s->list.count; k++)
			twice |= strcmp(s->list.at[k].name, name) == 0;
		if (!twice)
			has(s, name);
	}
}

static void test_no_two_become_one(void **state)
{
	for (unsigned seed = 1; seed <= 500; seed++) {
		unsigned random = seed;
		struct server old, new;
		struct folder_map m, again;

		server(&old, next(&random, 2) ? "INBOX/" : "", '/');
		server(&new, next(&random, 2) ? "INBOX." : "", next(&random, 2) ? '.' : '/');
		old.space.utf8 = next(&random, 2);
		new.space.utf8 = next(&random, 2);
		random_folders(&old, &random);
		random_folders(&new, &random);
		map(&old, &new, &m);
		map(&old, &new, &again);
		for (size_t i = 0; i < m.count; i++) {
			assert_string_equal(m.at[i].name[SIDE_NEW], again.at[i].name[SIDE_NEW]);
			for (size_t k = 0; k < i; k++)
				if (strcmp(m.at[i].name[SIDE_NEW], m.at[k].name[SIDE_NEW]) == 0)
					fail_msg("seed %u: %s and %s both become %s", seed,
						 m.at[i].name[SIDE_OLD], m.at[k].name[SIDE_OLD],
						 m.at[i].name[SIDE_NEW]);
		}
		folder_map_release(&m);
		folder_map_release(&again);
		gone(&old);
		gone(&new);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_separators_are_exchanged),
		cmocka_unit_test(test_prefixes_come_and_go),
		cmocka_unit_test(test_the_other_separator_in_a_name_is_replaced_and_noted),
		cmocka_unit_test(test_special_folders_meet),
		cmocka_unit_test(test_twins_are_kept_until_the_server_refuses),
		cmocka_unit_test(test_what_is_there_in_another_writing),
		cmocka_unit_test(test_inbox_in_inbox),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_special_folders_by_their_names),
		cmocka_unit_test(test_one_folder_for_each_use),
		cmocka_unit_test(test_what_the_operator_says),
		cmocka_unit_test(test_noinferiors),
		cmocka_unit_test(test_names_for_a_server_that_refuses),
		cmocka_unit_test(test_long_and_deep_names),
		cmocka_unit_test(test_a_prefix_that_nobody_told_of),
		cmocka_unit_test(test_the_table_is_folded_and_each_name_once),
		cmocka_unit_test(test_others_folders_are_left_out),
		cmocka_unit_test(test_known_pairs_stay),
		cmocka_unit_test(test_no_two_become_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
