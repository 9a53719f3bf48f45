/* Times: whatever the bytes, one after now, or an error in words; what is said back is the
 * same. */
#include "common/when.h"

#include "common/mem.h"

#define NOW ((int64_t)1774728000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	char said[WHEN_TEXT_MAX];
	int64_t at = 0, again = 0;
	struct err e = { 0 };

	if (when_parse(text, NOW, &at, &e) < 0) {
		ASSERT(e.kind == ERR_INPUT && e.text[0]);
		return 0;
	}
	ASSERT(at > NOW && at <= WHEN_LAST_MS);
	setenv("TZ", "UTC", 1);
	when_text(at, said);
	said[19] = 'Z'; /* in place of " UTC" */
	ASSERT(when_parse((struct slice){ said, 20 }, NOW, &again, &e) == 0 && again == at);
	return 0;
}
