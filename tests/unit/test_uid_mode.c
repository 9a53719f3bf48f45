/* Which UIDs a folder's mail can have on new, and what servers say of those they gave. */
#include "tests/unit/wire_test.h"

#include "sync/uid_code.h"
#include "sync/uid_mode.h"

#define USUAL .wish = UID_EXACT, .gaps_most = 100, .floor_most = 50000

static const struct {
	struct uid_case c;
	enum uid_mode mode;
	int64_t to_burn;
	uint32_t floor;
	const char *why; /* its beginning; NULL: as wished */
} rows[] = {
	/* an empty folder, and nothing to come: but UIDs that old has given */
	{ { USUAL, .old_next = 1, .next = 1 }, UID_EXACT, 0, 0, NULL },
	{ { USUAL, .old_next = 51, .next = 1 }, UID_EXACT, 50, 0, NULL },
	/* without gaps, with some, with as many as may be, with one more */
	{ { USUAL, .old_next = 11, .next = 1, .first = 1, .to_come = 10 }, UID_EXACT, 0, 0, NULL },
	{ { USUAL, .old_next = 21, .next = 1, .first = 5, .to_come = 10 }, UID_EXACT, 10, 0, NULL },
	{ { USUAL, .old_next = 111, .next = 1, .first = 5, .to_come = 10 }, UID_EXACT, 100, 0,
	  NULL },
	{ { USUAL, .old_next = 112, .next = 1, .first = 5, .to_come = 10 }, UID_FLOOR, 10111,
	  10112, "too many UIDs without" },
	/* the headroom is a share of what is large */
	{ { USUAL, .old_next = 40000, .next = 40000, .first = 17, .to_come = 1 }, UID_FLOOR,
	  10000, 50000, "new has given that UID" },
	{ { USUAL, .old_next = 80000, .next = 60000, .first = 17, .to_come = 1 }, UID_FLOOR,
	  40000, 100000, "new has given that UID" },
	{ { USUAL, .old_next = 80000, .next = 17, .first = 17, .to_come = 1 }, UID_PLAIN, 0, 0,
	  "too many UIDs were given" },
	{ { USUAL, .old_next = 4000000000u, .next = 3900000000u, .first = 17, .to_come = 1 },
	  UID_PLAIN, 0, 0, "too many UIDs were given" },
	/* above it already */
	{ { USUAL, .old_next = 10, .next = 20000, .first = 9, .to_come = 1 }, UID_FLOOR, 0, 0,
	  "new has given that UID" },
	/* new mail after the last UID that old had, and none, when new is further */
	{ { USUAL, .old_next = 12, .next = 12, .first = 11, .to_come = 1 }, UID_FLOOR, 10000,
	  10012, "new has given that UID" },
	{ { USUAL, .old_next = 11, .next = 12 }, UID_EXACT, 0, 0, NULL },
	/* strangers, and what was brought by others */
	{ { USUAL, .old_next = 11, .next = 2, .first = 3, .to_come = 8, .strangers = 1 },
	  UID_FLOOR, 10009, 10011, "there is mail" },
	{ { USUAL, .old_next = 11, .next = 9, .first = 9, .to_come = 2, .unequal = 3, .lowest = 4 },
	  UID_PLAIN, 0, 0, "mail was copied before, to UIDs that old" },
	{ { USUAL, .old_next = 11, .next = 90, .first = 9, .to_come = 2, .unequal = 3, .lowest = 11 },
	  UID_FLOOR, 0, 0, "mail was copied before" },
	/* wishes */
	{ { .wish = UID_PLAIN, .old_next = 11, .next = 1, .first = 1, .to_come = 10 }, UID_PLAIN,
	  0, 0, NULL },
	{ { .wish = UID_FLOOR, .floor_most = 20000, .old_next = 11, .next = 1, .first = 1,
	    .to_come = 10 },
	  UID_FLOOR, 10010, 10011, NULL },
	{ { .wish = UID_FLOOR, .floor_most = 20000, .old_next = 11, .next = 1 }, UID_FLOOR, 0, 0,
	  NULL },
};

static void a_mode_is_chosen(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct uid_choice got = uids_choose(&rows[i].c);
		const char *why = rows[i].why;

		if (got.mode != rows[i].mode || got.to_burn != rows[i].to_burn ||
		    got.floor != rows[i].floor || !got.why != !why ||
		    (why && strncmp(got.why, why, strlen(why)) != 0))
			fail_msg("row %zu: %s, %lld, %u, %s", i, uid_mode_name(got.mode),
				 (long long)got.to_burn, got.floor, got.why ? got.why : "-");
	}
}

static void modes_have_names(void **state UNUSED)
{
	for (int m = 0; m < UID_MODES; m++)
		assert_int_equal(uid_mode_find(uid_mode_name((enum uid_mode)m)), m);
	assert_int_equal(uid_mode_find("Exact"), UID_MODES);
}

static void copies_say_where_they_are(void **state UNUSED)
{
	static const struct {
		const char *code;
		size_t n;
		uint32_t want[4]; /* 0 first: not to be believed */
	} codes[] = {
		{ "COPYUID 7 1 41", 1, { 41 } },
		{ "copyuid 7 1:3 41:43", 3, { 41, 42, 43 } },
		{ "COPYUID 7 1,5:6 41,50,60", 3, { 41, 50, 60 } },
		{ "COPYUID 7 1:2 41", 2, { 0 } },
		{ "COPYUID 7 1 41:42", 2, { 0 } },
		{ "COPYUID 7 1:2 42:41", 2, { 0 } },
		{ "COPYUID 7 1:2", 2, { 0 } },
		{ "COPYUID 7 1:2 ", 2, { 0 } },
		{ "COPYUID 7 1:2 41:42 ", 2, { 0 } },
		{ "COPYUID 0 1:2 41:42", 2, { 0 } },
		{ "COPYUID 7 1:4294967295 1:4294967295", 4, { 0 } },
		{ "APPENDUID 7 41", 1, { 0 } },
		{ "", 1, { 0 } },
	};

	for (size_t i = 0; i < COUNT(codes); i++) {
		uint32_t uidvalidity, uids[4];
		bool got = copyuid_read(slice_of(codes[i].code), codes[i].n, &uidvalidity, uids);

		if (got != (codes[i].want[0] != 0))
			fail_msg("%s", codes[i].code);
		for (size_t k = 0; got && k < codes[i].n; k++)
			assert_int_equal(uids[k], codes[i].want[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mode_is_chosen),
		cmocka_unit_test(modes_have_names),
		cmocka_unit_test(copies_say_where_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
