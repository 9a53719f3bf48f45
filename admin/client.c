/* Hides: libcurl. */
#include "admin/client.h"

#include <curl/curl.h>

#include "common/buf.h"
#include "common/http_library.h"

struct client {
	CURL *curl;
	struct curl_slist *headers;
	char *path;
	long timeout_s;
};

int client_new(struct client **out, const char *socket_path, int timeout_s, struct err *e)
{
	struct client *c;

	if (http_library_check(e) < 0)
		return -1;
	c = mem_new(sizeof *c);
	c->path = mem_str(socket_path);
	c->timeout_s = timeout_s;
	c->curl = curl_easy_init();
	ASSERT(c->curl);
	c->headers = curl_slist_append(NULL, "Content-Type: application/json");
	c->headers =
		curl_slist_append(c->headers, "Expect:"); /* no round trip before the body */
	ASSERT(c->headers);
	*out = c;
	return 0;
}

void client_free(struct client **c)
{
	if (!*c)
		return;
	curl_slist_free_all((*c)->headers);
	curl_easy_cleanup((*c)->curl);
	mem_free(&(*c)->path);
	mem_free(c);
}

char *client_escape(struct client *c, const char *text)
{
	char *escaped = curl_easy_escape(c->curl, text, (int)strlen(text));
	char *copy = mem_str(escaped);

	ASSERT(escaped);
	curl_free(escaped);
	return copy;
}

static size_t on_bytes(char *p, size_t size, size_t count, void *arg)
{
	struct buf *b = arg;
	size_t n = size * count;

	if (buf_len(b) + n > CLIENT_ANSWER_MAX)
		return 0;
	buf_add(b, p, n);
	return n;
}

static void prepare(struct client *c, const char *url, const char *body, struct buf *answer)
{
	CURL *h = c->curl;

	curl_easy_reset(h);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_NOPROXY,
			 "*"); /* http_proxy in the environment is not for us */
	curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->path);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, MIN((long)CLIENT_CONNECT_S, c->timeout_s));
	curl_easy_setopt(h, CURLOPT_TIMEOUT, c->timeout_s);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, answer);
	if (body) {
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);
	}
}

/* Not JSON: evhttp's own words on a request that broke a limit. */
static json_t *refusal(long status)
{
	const char *why =
		status == 413 ? "the request is too large" : "the engine refused the request";

	return json_pack(
		"{s:o, s:s}", "error", json_sprintf("%s (HTTP %ld)", why, status), "remedy",
		status == 413 ? "import the list in parts" : "look into the engine's log");
}

static enum client_result judge(long status, struct slice text, json_t **answer)
{
	json_t *j = json_loadb(text.p, text.n, 0, NULL);

	if (!json_is_object(j)) {
		json_decref(j);
		j = refusal(status);
		status = MAX(status, 500);
	}
	*answer = j;
	return status >= 200 && status < 300 ? CLIENT_OK : CLIENT_REFUSED;
}

enum client_result client_ask(struct client *c, const char *path, const json_t *body,
			      json_t **answer, struct err *e)
{
	char *url = mem_printf("http://mailferry%s", path);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct buf got = { 0 };
	enum client_result result = CLIENT_NO_ENGINE;
	long status = 0;
	CURLcode rc;

	prepare(c, url, text, &got);
	rc = curl_easy_perform(c->curl);
	if (rc == CURLE_OK) {
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
		result = judge(status, buf_slice(&got), answer);
	} else {
		err_set(e, ERR_TEMP, "the engine does not answer on %s: %s", c->path,
			curl_easy_strerror(rc));
	}
	buf_release(&got);
	free(text);
	mem_free(&url);
	return result;
}
