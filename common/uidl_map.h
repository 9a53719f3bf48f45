/*
 * One user's map of POP3 unique ids: what clients know a message by from old, for each id that
 * the new server gives. Read only, and of one size: the text "NEW OLD" LF … and 8 bytes for
 * each line.
 *
 * What is not in the map shows as the new server names it, so new mail is new. An id of new
 * that equals one of old's in the map would be taken for that old message, even when it has
 * long been deleted: it shows as UIDL_ESCAPE and the SHA-256 of it in hex, always the same. So
 * do ids of new that look like that already, so that no two are shown alike.
 */
#ifndef COMMON_UIDL_MAP_H
#define COMMON_UIDL_MAP_H

#include "common/err.h"
#include "common/wire/pop3_boundary.h"
#include "common/wire/pop3_uidl.h"

#define UIDL_ESCAPE	"mf~"
#define UIDL_ESCAPE_MAX 70 /* bytes with a NUL; RFC 1939 7 allows 70 without */

struct uidl_map;

/*
 * Takes the text over, *text is empty afterwards. ERR_INPUT: it is no map of so many entries,
 * or names an id of new twice.
 */
int uidl_map_new(struct buf *text, int64_t entries, struct uidl_map **out,
		 struct err *e) MUST_CHECK;
void uidl_map_free(struct uidl_map **m);
size_t uidl_map_bytes(const struct uidl_map *m);

/* What to show for an id of new: of the map, id itself, or escaped (then in scratch). */
struct slice uidl_map_show(const struct uidl_map *m, struct slice id,
			   char scratch[static UIDL_ESCAPE_MAX]);

/* Is the server's next byte part of an answer whose ids are to be shown otherwise? */
bool uidl_is_answer(const struct pop3_boundary *b);
/*
 * While uidl_is_answer(): takes whole lines of the server's n bytes, tells the tracker, and
 * adds to *out what the client shall see, which differs in nothing but the ids. Returns how
 * many bytes it took; 0: the line is not whole yet.
 */
size_t uidl_rewrite(const struct uidl_map *m, struct pop3_boundary *b, const char *p, size_t n,
		    struct buf *out);

#endif
