/* Which folder is which: separators, prefixes, special folders, collisions; and no two ever
 * become one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <strings.h>

#include "sync/folders.h"

#define MOST 64

/* A server: its folders, prefix and separator. */
struct server {
	struct folder_info at[MOST];
	struct folder_list list;
	struct namespace_info space;
};

static void server(struct server *s, const char *prefix, char separator)
{
	*s = (struct server){ .space = { mem_str(prefix), separator, { NULL, 0 } } };
	s->list.at = s->at;
}

static struct folder_info *has(struct server *s, const char *name)
{
	struct folder_info *f = &s->at[s->list.count++];

	assert_true(s->list.count <= MOST);
	*f = (struct folder_info){ .name = mem_str(name),
				   .separator = s->space.separator,
				   .has_status = true };
	return f;
}

static void gone(struct server *s)
{
	for (size_t i = 0; i < s->list.count; i++)
		free(s->at[i].name);
	free(s->space.prefix);
	free(s->space.others.at);
}

static void map(struct server *old, struct server *new, struct folder_map *out)
{
	struct folder_side sides[SIDES] = { { &old->list, &old->space },
					    { &new->list, &new->space } };

	folders_map(sides, SIDE_OLD, NULL, 0, out);
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
	assert_int_equal(m.renamed, 1);
	assert_true(buf_len(&m.notes) > 0);
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

static void test_names_that_differ_in_case_stay_two(void **state)
{
	struct server old, new;
	struct folder_map m;

	server(&old, "", '/');
	server(&new, "", '/');
	has(&old, "Trash");
	has(&old, "trash");
	map(&old, &new, &m);
	assert_int_equal(m.count, 2);
	assert_int_not_equal(strcasecmp(m.at[0].name[SIDE_NEW], m.at[1].name[SIDE_NEW]), 0);
	folder_map_release(&m);
	gone(&old);
	gone(&new);
	(void)state;
}

static void test_others_folders_are_left_out(void **state)
{
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
	assert_non_null(pair_of(&m, "Sharedmine"));
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
	folders_map(sides, SIDE_OLD, known, 1, &m);
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
	static const char letters[] = "aAbB._&-1";
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
			twice |= strcmp(s->at[k].name, name) == 0;
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
		random_folders(&old, &random);
		random_folders(&new, &random);
		map(&old, &new, &m);
		map(&old, &new, &again);
		for (size_t i = 0; i < m.count; i++) {
			assert_string_equal(m.at[i].name[SIDE_NEW], again.at[i].name[SIDE_NEW]);
			for (size_t k = 0; k < i; k++)
				if (strcasecmp(m.at[i].name[SIDE_NEW],
					       m.at[k].name[SIDE_NEW]) == 0)
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
		cmocka_unit_test(test_names_that_differ_in_case_stay_two),
		cmocka_unit_test(test_others_folders_are_left_out),
		cmocka_unit_test(test_known_pairs_stay),
		cmocka_unit_test(test_no_two_become_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
