/* Hides: what roff takes for itself. */
#include "common/roff.h"

#include <ctype.h>
#include <string.h>

#include "common/mem.h"

/* A line of text: '.' and ' at its beginning are requests, \ begins an escape, - is a hyphen
 * that a shell does not take. */
static void put_line(FILE *to, const char *p, size_t n)
{
	if (n && (*p == '.' || *p == '\''))
		fputs("\\&", to);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\')
			fputs("\\e", to);
		else if (p[i] == '-')
			fputs("\\-", to);
		else
			fputc(p[i], to);
	}
	fputc('\n', to);
}

/* An argument of a request, quoted. */
static void put_argument(FILE *to, const char *request, const char *text)
{
	fprintf(to, "%s \"", request);
	for (; *text; text++) {
		if (*text == '"')
			fputs("\\(dq", to);
		else if (*text == '\\')
			fputs("\\e", to);
		else if (*text == '-')
			fputs("\\-", to);
		else
			fputc(*text, to);
	}
	fputs("\"\n", to);
}

void roff_begin(FILE *to, const char *name, int section, const char *brief)
{
	fputs("'\\\" -*- coding: utf-8 -*-\n.TH \"", to);
	for (const char *p = name; *p; p++)
		fputc(toupper((unsigned char)*p), to);
	fprintf(to, "\" \"%d\" \"\" \"mailferry\" \"mailferry\"\n.SH NAME\n%s \\- ", section,
		name);
	put_line(to, brief, strlen(brief));
}

void roff_heading(FILE *to, const char *text)
{
	put_argument(to, ".SH", text);
}

void roff_subheading(FILE *to, const char *text)
{
	put_argument(to, ".SS", text);
}

void roff_item(FILE *to, const char *word, const char *text)
{
	fputs(".TP\n", to);
	put_argument(to, ".B", word);
	put_line(to, text, strlen(text));
}

/* Paragraphs and kept lines begin at their first line only: two requests in a row, or one at
 * the end, would be said to do nothing. */
void roff_text(FILE *to, const char *text)
{
	bool kept = false, gap = false;

	while (*text) {
		size_t n = strcspn(text, "\n");
		bool keep = *text == ' ';

		if (n && kept && !keep)
			fputs(".fi\n", to);
		if (n && gap)
			fputs(".PP\n", to);
		if (n && keep && !kept)
			fputs(".nf\n", to);
		if (n)
			put_line(to, text, n);
		kept = n ? keep : kept;
		gap = n == 0;
		text += n + (text[n] == '\n');
	}
	if (kept)
		fputs(".fi\n", to);
}
