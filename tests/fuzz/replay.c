/*
 * Feeds files to a fuzz target without a fuzzer: how the suite replays a corpus.
 *
 *	build/plain/tests/fuzz/fuzz_frame FILE...
 *
 * Each input is given in a block of its own size, so that the sanitizers see a read past its
 *end.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (16 * 1024 * 1024)

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0 || size > INPUT_MAX) {
		fprintf(stderr, "%s: %s\n", path, f ? "too large" : strerror(errno));
		if (f)
			fclose(f);
		return -1;
	}
	rewind(f);
	data = mem_new((size_t)size + !size);
	if (fread(data, 1, (size_t)size, f) != (size_t)size) {
		fprintf(stderr, "%s: short read\n", path);
		fclose(f);
		mem_free(&data);
		return -1;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	mem_free(&data);
	return 0;
}

int main(int argc, char *argv[])
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			failed = 1;
	printf("%d inputs\n", argc - 1);
	return failed || argc < 2;
}
