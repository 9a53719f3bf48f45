/* Hides: where a program finds its own build id (the note that the linker's --build-id makes).
 */
#include "common/build.h"

#include <elf.h>
#include <link.h>

#include "common/mem.h"

#define ID_BYTES 4 /* of twenty; enough to tell two builds apart */

struct found {
	bool done;
	char text[2 * ID_BYTES + 1];
};

static void take_id(const unsigned char *id, struct found *f)
{
	for (size_t i = 0; i < ID_BYTES; i++)
		snprintf(f->text + 2 * i, 3, "%02x", id[i]);
	f->done = true;
}

static void look_at_notes(const char *p, size_t size, struct found *f)
{
	while (!f->done && size >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)p;
		size_t name = (note->n_namesz + 3u) & ~3u, desc = (note->n_descsz + 3u) & ~3u;
		size_t whole = sizeof *note + name + desc;

		if (whole > size)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz >= ID_BYTES)
			take_id((const unsigned char *)p + sizeof *note + name, f);
		p += whole;
		size -= whole;
	}
}

/* The first object is the program itself. */
static int look_at_object(struct dl_phdr_info *info, size_t size UNUSED, void *arg)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type == PT_NOTE)
			look_at_notes((const char *)(info->dlpi_addr + h->p_vaddr), h->p_memsz,
				      arg);
	}
	return 1;
}

const char *build_name(void)
{
	static char name[32];
	struct found f = { 0 };

	if (!*name) {
		dl_iterate_phdr(look_at_object, &f);
		snprintf(name, sizeof name, "%s%s%s", BUILD_VERSION, f.done ? "-" : "", f.text);
	}
	return name;
}
