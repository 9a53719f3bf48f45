/*
 * A manual page, written as man(7) has it. Texts come as for a terminal: paragraphs apart by
 * empty lines, and lines that begin with a blank (examples, tables) stay as they are.
 */
#ifndef COMMON_ROFF_H
#define COMMON_ROFF_H

#include <stdio.h>

/* .TH; the title is NAME(SECTION)'s, and `brief` goes into section NAME. */
void roff_begin(FILE *to, const char *name, int section, const char *brief);
void roff_heading(FILE *to, const char *text);
void roff_subheading(FILE *to, const char *text);
/* A word in bold with its explanation below. */
void roff_item(FILE *to, const char *word, const char *text);
void roff_text(FILE *to, const char *text);

#endif
