/* Hides: in which rows of the store it stands. */
#include "sync/gate.h"
#include "common/store_learned.h"

static int add_waiver(const struct waiver_row *w, void *arg)
{
	struct gate_waiver *waived = arg;
	int i = gate_waivable(w->item);

	if (i < 0 || waived[i].on) /* a user's own comes first */
		return 0;
	waived[i].on = true;
	waived[i].of_wave = w->is_wave;
	snprintf(waived[i].text, sizeof waived[i].text, "%s%s%sby %s: %s",
		 w->is_wave ? "for wave " : "", w->is_wave ? w->name : "",
		 w->is_wave ? " " : "", w->actor, w->note);
	return 0;
}

static int read_facts(struct store *st, const char *name, struct facts *out, struct err *e)
{
	char *body;
	int got = store_facts_read(st, name, &body, e);

	if (got > 0 && facts_parse(body, out, e) < 0) {
		err_clear(
			e); /* of another version: as if there were none, a pass writes anew */
		*out = (struct facts){ 0 };
	}
	mem_free(&body);
	return got < 0 ? -1 : 0;
}

static int read_learned(struct store *st, const char *name, bool *out, struct err *e)
{
	char *sealed;
	int got = store_learned_read(st, name, &sealed, e);

	mem_free(&sealed);
	*out = got > 0;
	return got < 0 ? -1 : 0;
}

int gate_known_read(struct store *st, const char *name, const char *wave,
		    struct gate_known *out, struct err *e)
{
	*out = (struct gate_known){ 0 };
	if (read_facts(st, name, &out->facts, e) < 0 ||
	    store_uidl_state(st, name, &out->pop3, e) < 0 ||
	    read_learned(st, name, &out->learned, e) < 0 ||
	    phases_read_words(st, phases_domain(name), &out->plan, e) < 0 ||
	    store_shadow_read(st, name, &out->password, e) < 0 ||
	    store_waivers_each(st, name, wave, add_waiver, out->waived, e) < 0)
		return err_wrap(e, "what is known of %s", name);
	return 0;
}
