/*
 * Rows of the store as JSON: the shapes that `--json` promises. Keys are stable; times are
 * milliseconds since 1970, and null where nothing happened yet. Each call returns a new object,
 * owned by the caller.
 */
#ifndef ADMIN_API_JSON_H
#define ADMIN_API_JSON_H

#include <jansson.h>

#include "admin/api.h"
#include "common/store_gate.h"
#include "common/store_node.h"
#include "common/store_request.h"
#include "common/store_session.h"
#include "common/store_sums.h"
#include "common/store_trace.h"
#include "common/store_usage.h"
#include "common/store_wave.h"

/* Text that may be no UTF-8 (names and server words come from outside): bytes outside become
 * '?'. */
json_t *api_json_text(const char *s);
/* null for NULL and "". */
json_t *api_json_text_or_null(const char *s);

json_t *api_json_user(const struct user *u, const struct api_live *live /* or NULL */);
json_t *api_json_history(const struct history_row *h);
json_t *api_json_session(const struct session_row *s);
json_t *api_json_answer(const struct answer_row *a);
json_t *api_json_usage(const struct usage_row *u);
json_t *api_json_trace_line(const struct trace_line *l);
json_t *api_json_stranger(const struct stranger_row *s);
json_t *api_json_node(const struct node_row *n);
json_t *api_json_spread(const struct spread *s);
json_t *api_json_hold(const struct hold_row *h);
json_t *api_json_gate_item(const struct api_gate_item *i);
/* {"pending": n, …}, every state named. */
json_t *api_json_states(const int64_t count[USER_STATES]);
json_t *api_json_sums(const struct user_sums *s);
json_t *api_json_waiver(const struct waiver_row *w);

#endif
