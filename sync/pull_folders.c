/* Hides: how the tool itself names folders on new. */
#include "sync/pull_folders.h"

#include "sync/folders.h"
#include "sync/journal_exception.h"
#include "sync/new_login.h"
#include "sync/tree.h"

#define TOOL_SEPARATOR '.' /* between the parts of a name on new, whatever IMAP says there */

void pull_folders_release(struct pull_folders *f)
{
	json_decref(f->skip);
	json_decref(f->translate);
	json_decref(f->wanted);
	*f = (struct pull_folders){ 0 };
}

/* With dots where the server has its separator. */
static char *with_dots(const char *name, char separator)
{
	char *out = mem_str(name);

	for (char *p = out; *p && separator; p++)
		if (*p == separator)
			*p = TOOL_SEPARATOR;
	return out;
}

static void add_pair(const struct pass *p, const struct folder_pair *pair,
		     struct pull_folders *out)
{
	char *by_itself = with_dots(pair->name[SIDE_OLD],
				    pair->info->separator ? pair->info->separator
							  : p->space[SIDE_OLD].separator);
	char *wanted = with_dots(pair->name[SIDE_NEW], p->space[SIDE_NEW].separator);

	json_array_append_new(out->wanted, json_string(pair->name[SIDE_OLD]));
	if (strcmp(by_itself, wanted) != 0)
		json_object_set_new(out->translate, pair->name[SIDE_OLD], json_string(wanted));
	mem_free(&by_itself);
	mem_free(&wanted);
}

static void add_map(const struct pass *p, const struct folder_map *map, struct pull_folders *out)
{
	for (size_t i = 0; i < map->count; i++)
		if (!map->at[i].container)
			add_pair(p, &map->at[i], out);
	for (size_t i = 0; i < map->left_count; i++)
		json_array_append_new(out->skip, json_string(map->left[i].info->name));
}

static int look(struct pass *p, struct new_login *n, struct folder_map *map, struct err *e)
{
	if (new_login_lane(n, &p->lanes.at[0], e) < 0 ||
	    journal_open_desk(&p->journal, p->job->journal, e) < 0 || pass_survey(p, e) < 0)
		return -1;
	return tree_map(p, map, e);
}

int pull_folders_look(struct job *j, struct opensrs *api, const struct log_about *about,
		      struct pull_folders *out, struct err *e)
{
	struct pass p = { .job = j, .from = SIDE_OLD, .to = SIDE_NEW, .lanes = { .job = j } };
	struct new_login n = { .job = j, .api = api, .about = about };
	struct folder_map map = { 0 };
	int rc;

	*out = (struct pull_folders){ json_array(), json_object(), json_array() };
	rc = look(&p, &n, &map, e);
	if (rc == 0)
		add_map(&p, &map, out);
	folder_map_release(&map);
	for (int s = 0; s < SIDES; s++) {
		folder_list_release(&p.list[s]);
		namespace_info_release(&p.space[s]);
	}
	journal_close(&p.journal);
	lanes_close(&p.lanes);
	return rc;
}
