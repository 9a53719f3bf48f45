/*
 * What a server calls a folder, and what people call it. Servers speak modified UTF-7
 * (RFC 3501 5.1.3), or UTF-8 where that is all they know (RFC 6855 UTF8=ONLY, IMAP4rev2
 * alone); people read UTF-8. Pure functions over one name or one part of one.
 */
#ifndef SYNC_FOLDER_NAME_H
#define SYNC_FOLDER_NAME_H

#include "common/buf.h"

#define FOLDER_TAME_MAX 60 /* bytes of a part that no server has reason to refuse */

/*
 * Appends a wire name as UTF-8 without control characters. true: this is the name exactly.
 * false: it was no proper name and is repaired: a shift that means nothing stands for itself,
 * 8-bit text is what it looks like, what is no text is "_".
 */
bool folder_name_text(struct slice wire, bool utf8, struct buf *text);
/* The other way; text must be of folder_name_text() or proper UTF-8 without controls. */
void folder_name_wire(struct slice text, bool utf8, struct buf *wire);
/* The same as new strings; the caller frees. */
char *folder_name_shown(const char *wire, bool utf8);
char *folder_name_sent(const char *text, bool utf8);

/*
 * What two names have in common that a server may take for one: case and the way in which
 * accents are written (NFC, NFD) do not show in it. text: UTF-8. The caller frees.
 */
char *folder_name_fold(const char *text);

/* Appends a part without what servers refuse: signs but "-_.,+=@", spaces at the ends and more
 * than one between, more than FOLDER_TAME_MAX bytes. ascii: nor anything but ASCII. */
void folder_name_tame(struct slice text, bool ascii, struct buf *out);

#endif
