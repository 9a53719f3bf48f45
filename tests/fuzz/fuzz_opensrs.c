/* Answers of OpenSRS's API: whatever comes, it is judged, and what people read is short and clean. */
#include "sync/opensrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	ASSERT(*text && strlen(text) < ERR_TEXT_MAX);
	for (; *text; text++)
		ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = { 200, 200, 200, 301, 400, 404, 429, 500, 503 };
	long status = size ? statuses[data[0] % COUNT(statuses)] : 0;
	struct err e = { 0 };
	json_t *answer, *v;
	const char *key;
	int64_t n;
	bool again;
	int number;

	if (opensrs_judge(status, (struct slice){ (const char *)data + (size > 0), size - (size > 0) },
			  &answer, &number, &again, &e) == 0) {
		ASSERT(status == 200 && json_is_object(answer) && !again);
		json_object_foreach (answer, key, v)
			(void)!opensrs_number(v, &n);
	} else {
		check_text(e.text);
		ASSERT(number >= OPENSRS_NONE);
	}
	json_decref(answer);
	return 0;
}
