/* Hides: the shape of an answer that is known only in part. */
#include "sync/pull_status.h"

#include "sync/job_pull.h"
#include "sync/opensrs.h"

#define COUNT_MAX ((int64_t)1 << 47) /* bytes or messages of a folder */
_Static_assert(COUNT_MAX <= INT64_MAX / 4 / PULL_FOLDERS_MAX, "sums of sums stay numbers");

/* 0 where it is missing; *sound stays only if it is none or a number. */
static int64_t figure(const json_t *o, const char *key, bool *sound)
{
	const json_t *v = json_object_get(o, key);
	int64_t n = 0;

	if (v && (opensrs_number(v, &n) < 0 || n < 0 || n > COUNT_MAX)) {
		*sound = false;
		return 0;
	}
	return n;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pull_folder *)a)->name,
		      ((const struct pull_folder *)b)->name);
}

static void add_folder(struct pull_status *s, const char *name, const json_t *j)
{
	struct pull_folder *f = &s->at[s->count++];

	*f = (struct pull_folder){ .name = mem_str(name),
				   .migrated = figure(j, "migrate_count", &s->sound),
				   .skipped = figure(j, "skip_count", &s->sound),
				   .failed = figure(j, "fail_count", &s->sound),
				   .total = figure(j, "remote_count", &s->sound) };
	s->sound &= json_object_get(j, "remote_count") != NULL; /* the tool always has it */
	s->migrated += f->migrated;
	s->skipped += f->skipped;
	s->failed += f->failed;
	s->total += f->total;
	s->bytes += figure(j, "bytes", &s->sound);
}

static void read_folders(const json_t *folders, struct pull_status *out)
{
	const char *name;
	json_t *j;

	out->at = mem_array(MIN(json_object_size(folders), (size_t)PULL_FOLDERS_MAX) + 1,
			    sizeof *out->at);
	json_object_foreach ((json_t *)(uintptr_t)folders, name, j)
		if (out->count < PULL_FOLDERS_MAX && json_is_object(j))
			add_folder(out, name, j);
		else
			out->sound = false;
	qsort(out->at, out->count, sizeof *out->at, by_name);
}

/* Its own sum, where it names one, is what we count. */
static void compare(struct pull_status *s, const json_t *status, const char *key, int64_t ours)
{
	if (json_object_get(status, key) && figure(status, key, &s->sound) != ours)
		s->sound = false;
}

static void compare_sums(struct pull_status *s, const json_t *status)
{
	compare(s, status, "foldercount", (int64_t)s->count);
	compare(s, status, "migrate_count", s->migrated);
	compare(s, status, "skip_count", s->skipped);
	compare(s, status, "fail_count", s->failed);
	compare(s, status, "remote_count", s->total);
}

const char *pull_status_login(const json_t *answer, size_t at)
{
	const json_t *user = json_array_get(json_object_get(answer, "users"), at);
	const json_t *data = json_object_get(user, "data");

	return opensrs_text(json_object_get(data, "config"), "username");
}

bool pull_status_lists_all(const json_t *answer)
{
	const json_t *users = json_object_get(answer, "users");

	for (size_t i = 0; i < json_array_size(users); i++)
		if (!pull_status_login(answer, i))
			return false;
	return json_array_size(users) > 0;
}

void pull_status_read(const json_t *answer, const char *login, struct pull_status *out)
{
	const json_t *users = json_object_get(answer, "users");

	*out = (struct pull_status){ 0 };
	for (size_t i = 0; i < json_array_size(users) && !out->there; i++) {
		const json_t *data = json_object_get(json_array_get(users, i), "data");
		const json_t *status = json_object_get(data, "status");
		const char *name = pull_status_login(answer, i);

		if (!name || strcmp(name, login) != 0)
			continue;
		out->there = out->sound = true;
		out->started = json_is_object(status);
		out->critical = figure(status, "critical_errors", &out->sound);
		read_folders(json_object_get(data, "folders"), out);
		compare_sums(out, status);
	}
}

void pull_status_release(struct pull_status *s)
{
	for (size_t i = 0; i < s->count; i++)
		mem_free(&s->at[i].name);
	mem_free(&s->at);
	*s = (struct pull_status){ 0 };
}

static bool same_folder(const struct pull_folder *a, const struct pull_folder *b)
{
	return strcmp(a->name, b->name) == 0 && a->migrated == b->migrated &&
	       a->skipped == b->skipped && a->failed == b->failed && a->total == b->total;
}

bool pull_status_same(const struct pull_status *a, const struct pull_status *b)
{
	if (a->there != b->there || a->started != b->started || a->sound != b->sound ||
	    a->count != b->count || a->bytes != b->bytes || a->critical != b->critical)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_folder(&a->at[i], &b->at[i]))
			return false;
	return true;
}

bool pull_names_have(const json_t *names, const char *name)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *one = json_string_value(json_array_get(names, i));

		if (one && strcmp(one, name) == 0)
			return true;
	}
	return false;
}

static bool adds_up(const struct pull_folder *f)
{
	return f->migrated + f->skipped + f->failed == f->total;
}

static bool has_folder(const struct pull_status *s, const char *name)
{
	const struct pull_folder key = { .name = (char *)(uintptr_t)name };

	return s->count && bsearch(&key, s->at, s->count, sizeof key, by_name);
}

bool pull_status_whole(const struct pull_status *s, const json_t *wanted, const json_t *skip)
{
	if (!s->started || !s->sound || s->count == 0)
		return false;
	for (size_t i = 0; i < s->count; i++)
		if (!adds_up(&s->at[i]) && !pull_names_have(skip, s->at[i].name))
			return false;
	for (size_t i = 0; i < json_array_size(wanted); i++) {
		const char *name = json_string_value(json_array_get(wanted, i));

		if (name && !has_folder(s, name))
			return false;
	}
	return true;
}

const struct pull_folder *pull_status_at_work(const struct pull_status *s, const json_t *skip)
{
	const struct pull_folder *next = NULL;

	for (size_t i = 0; i < s->count; i++) {
		const struct pull_folder *f = &s->at[i];

		if (adds_up(f) || pull_names_have(skip, f->name))
			continue;
		if (f->migrated + f->skipped + f->failed)
			return f;
		if (!next)
			next = f;
	}
	return next;
}

static json_t *folder_json(const struct pull_folder *f)
{
	return json_pack("[s, I, I, I]", f->name, (json_int_t)(f->migrated + f->skipped),
			 (json_int_t)f->total, (json_int_t)f->failed);
}

json_t *pull_status_json(const struct pull_status *s)
{
	json_t *list = json_array();
	size_t bytes = 0;

	for (size_t i = 0; i < MIN(s->count, (size_t)JOB_PULL_FOLDERS); i++) {
		json_t *one;

		if (strlen(s->at[i].name) > JOB_PULL_FOLDER_MAX)
			continue;
		one = folder_json(&s->at[i]);
		bytes += json_dumpb(one, NULL, 0, JSON_COMPACT) + 1;
		if (bytes <= JOB_PULL_FOLDERS_BYTES)
			json_array_append(list, one);
		json_decref(one);
	}
	return list;
}

/* ---- look by look */

void pull_seen_release(struct pull_seen *s)
{
	pull_status_release(&s->now);
	s->steady = 0;
}

bool pull_seen_take(struct pull_seen *s, const json_t *answer, const char *login)
{
	struct pull_status fresh;

	pull_status_read(answer, login, &fresh);
	if (s->now.there && !fresh.there) {
		s->steady = 0;
		pull_status_release(&fresh);
		return false;
	}
	s->steady = pull_status_same(&s->now, &fresh) ? s->steady + 1 : 1;
	pull_status_release(&s->now);
	s->now = fresh;
	return true;
}

/* Without figures that add up it is no end, whatever else is said: the tool may be at it. */
bool pull_seen_ended(const struct pull_seen *s, const json_t *wanted, const json_t *skip)
{
	bool all_there = wanted && pull_status_whole(&s->now, wanted, skip);
	int looks = s->now.critical ? PULL_UNSURE_LOOKS
		    : all_there	    ? PULL_STEADY_LOOKS
				    : PULL_MISSING_LOOKS;

	return pull_status_whole(&s->now, NULL, skip) && s->steady >= looks;
}
