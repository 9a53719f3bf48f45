/* Hides: what flavours of libcurl there are. */
#include "common/http_library.h"

#include <curl/curl.h>

int http_library_check(struct err *e)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	if (v->ssl_version && strncmp(v->ssl_version, "OpenSSL", 7) == 0)
		return 0;
	return err_set(e, ERR_INPUT,
		       "libcurl uses %s, not OpenSSL; install the package libcurl4",
		       v->ssl_version ? v->ssl_version : "no TLS library");
}
