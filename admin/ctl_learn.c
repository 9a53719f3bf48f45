/* Hides: nothing; `mailferry learn-key` makes the pair of keys that passwords are sealed with. */
#include "admin/ctl_verbs.h"
#include "common/seal.h"

int ctl_learn_key(struct ctl *c)
{
	char hex[SEAL_HEX_SIZE];
	struct err e = { 0 };
	json_t *j;

	if (seal_pair_make(c->arg[0], hex, &e) < 0) {
		fprintf(stderr, "mailferry: %s\n", e.text);
		return CTL_FAILED;
	}
	j = json_pack("{s:s, s:s}", "key_file", c->arg[0], "public_key", hex);
	if (!ctl_json(c, j))
		fprintf(c->out, "learn {\n\tpublic_key = \"%s\"\n\tkey_file = \"%s\"\n}\n", hex,
			c->arg[0]);
	json_decref(j);
	return CTL_OK;
}
