/* What reports' pages have in common: no scripts, nothing loaded from elsewhere, and nothing from
 * outside unescaped. */
#ifndef SYNC_PAGE_H
#define SYNC_PAGE_H

#include <jansson.h>

#include "common/buf.h"

void page_begin(struct buf *out, const char *title);
/* made_by: the command. Says by which key the document, of sync/report.h, is signed. */
void page_end(struct buf *out, const json_t *document, const char *made_by);

void page_text(struct buf *out, const char *s); /* escaped; NULL: nothing */
void page_cell(struct buf *out, const char *s); /* of a table */

#endif
