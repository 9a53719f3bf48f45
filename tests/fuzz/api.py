"""
Requests that nobody meant, made of docs/openapi.json: right ones, nearly right ones and bytes that are no HTTP.

One seed gives the same requests again. What must hold for each is said in check(): no 5xx, no status that the
document does not promise, answers as described, and no marked secret in any of them. That the program still
lives, and what a sanitizer said, is the caller's to look at (tests/e2e/test_api_fuzz.py).
"""

import http.client
import json
import random
import socket
import string
from urllib.parse import quote

READ_S = 20
STREAM_S = 0.3
EVIL = ["", " ", "'", '"', "\\", "%s%s%n%x", "../../../etc/passwd", "a" * 300, "b" * 5000, "\u0000", "\r\nX: y", "é" * 100,
        "\U0001f4a3", "\ud800", "*", "%", "@", "@example.com", "anna@", "null", "-1", "1e9", "0x10", "; DROP TABLE users",
        "<script>alert(1)</script>", "{}", "[]", "/", "//", "..", "1; 2", "now", "23:59", "2099-01-01 00:00", "*/*"]
NUMBERS = [0, 1, -1, 2, 60, 255, 256, 1000, 1001, 65535, 2**31 - 1, 2**31, -2**31, 2**32, 2**53, 2**63 - 1, -2**63, 2**63, 10**30]
METHODS = ["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "POST", "GET"]
HEADERS = [("Origin", "http://evil.test"), ("Origin", "null"), ("Origin", ""), ("Host", "evil.test"), ("Host", ""),
           ("Content-Type", "text/xml"), ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"), ("Upgrade", "h2c"),
           ("Connection", "close"), ("Expect", "100-continue"), ("Transfer-Encoding", "gzip"), ("Cookie", "token=x"),
           ("Last-Event-ID", "-1"), ("Last-Event-ID", "9" * 30), ("X-Long", "x" * 9000), ("Content-Length", "-1"),
           ("X-Forwarded-For", "127.0.0.1"), ("If-Modified-Since", "yesterday")]
RAW = [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /v1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
       b"GET http://evil.test/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /v1/pause HTTP/1.1\r\nHost: localhost\r\n"
       b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", b"POST /v1/pause HTTP/1.1\r\nHost: localhost\r\n"
       b"Content-Length: 99999999999999999999\r\n\r\nx", b"POST /v1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
       b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1 HTTP/1.1\r\n\r\n", b"GET /v1 HTTP/1.1\r\n Host: localhost\r\n\r\n",
       b"GET /%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n",
       b"GET /v1?" + b"a=1&" * 200 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\n\r\n",
       b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50, b"GET /healthz HTTP/1.1\nHost: localhost\n\n"]


class Wrong(AssertionError):
    """Something that must never be was answered."""


class Fuzzer:
    """
    api        lib.openapi.OpenApi
    connect    a function that gives an http.client connection to the program
    tokens     {role: token} of "view" and "operate"
    pool       {kind of name: values that there are}: "user", "wave", "node", "domain"
    secrets    texts that no answer may hold
    """

    def __init__(self, api, connect, tokens, pool, secrets, seed):
        self.api, self.connect, self.tokens, self.pool, self.secrets = api, connect, tokens, pool, secrets
        self.random = random.Random(seed)
        self.counts = {"requests": 0, "raw": 0}
        self.statuses, self.reached = {}, {}

    # ---- values

    def text(self):
        r = self.random
        if r.random() < 0.6:
            return r.choice(EVIL)
        return "".join(r.choice(string.printable) for _ in range(r.choice([1, 3, 20, 260])))

    def known(self, name):
        values = self.pool.get(name) or sum(self.pool.values(), [])
        return self.random.choice(values)

    def value(self, name, schema):
        """Right, or nearly, or not at all."""
        r, dice = self.random, self.random.random()
        if dice < 0.1:
            return r.choice([None, True, [], {}, [[[]]], self.text(), r.choice(NUMBERS), 1.5, {"a": self.text()}])
        kind = schema.get("type")
        if "enum" in schema or "$ref" in schema:
            if "$ref" in schema:
                schema = self.api.find(schema["$ref"])
            return r.choice(schema["enum"]) if dice < 0.8 else self.text()
        if kind == "integer":
            return r.choice(NUMBERS) if dice < 0.6 else r.randrange(0, 100)
        if kind == "boolean":
            return r.random() < 0.5
        if dice < 0.7 and name in self.pool:
            return self.known(name)
        return self.text()

    def as_text(self, value):
        return value if isinstance(value, str) else json.dumps(value)

    def encode(self, text):
        """Of a path or a query; now and then as it should not be."""
        raw = text.encode("utf-8", "surrogatepass")
        if self.random.random() < 0.05:
            raw += self.random.choice([b"\xff\xfe", b"\xc0\xaf", b"%", b"%zz", b"\x00"])
        return quote(raw, safe="" if self.random.random() < 0.9 else "/%?&=#")

    # ---- a request

    def path_of(self, operation):
        path, query = operation.path, []
        for p in operation.parameters:
            if p["in"] == "path":
                name = self.known("user") if self.random.random() < 0.8 else self.text()
                path = path.replace("{user}", self.encode(name))
            elif p["in"] == "query" and self.random.random() < (0.9 if p.get("required") else 0.4):
                query.append(p["name"] + "=" + self.encode(self.as_text(self.value(p["name"], p["schema"]))))
        while self.random.random() < 0.1:
            query.append(self.encode(self.text()) + self.random.choice(["=", "", "=="]) + self.encode(self.text()))
        return path + ("?" + "&".join(query) if query else "")

    def body_of(self, operation):
        r, schema = self.random, operation.body
        if schema is None:
            return None if r.random() < 0.95 else b"x"
        need = schema.get("required", [])
        value = {k: self.value(k, s) for k, s in schema.get("properties", {}).items()
                 if r.random() < (0.95 if k in need else 0.35)}
        if r.random() < 0.05:
            value[self.text()] = self.text()
        raw = json.dumps(value, ensure_ascii=r.random() < 0.5).encode("utf-8", "surrogatepass")
        if r.random() < 0.12:
            raw = self.spoil(raw)
        return raw

    def spoil(self, raw):
        r = self.random
        at = r.randrange(len(raw) + 1)
        return r.choice([
            lambda: raw[:at],
            lambda: raw[:at] + bytes([r.randrange(256)]) + raw[at + 1:],
            lambda: raw * 2,
            lambda: b"[" * r.choice([1, 100, 5000]) + raw,
            lambda: b'{"a":' * 3000,
            lambda: b'{"user":"a","user":"b"}',
            lambda: raw + b" " * r.choice([1, 600000]),
            lambda: b"",
            lambda: b"\xef\xbb\xbf" + raw,
        ])()

    def headers_for(self, operation):
        r, headers = self.random, {}
        dice = r.random()
        if dice < 0.85:
            headers["Authorization"] = "Bearer " + self.tokens[operation.role if operation.role in self.tokens else "view"]
        elif dice < 0.95:
            token = r.choice(list(self.tokens.values()))
            headers["Authorization"] = r.choice(["Bearer " + token[:-1], "Bearer " + token + "0", "Basic YTpi", "Bearer", token,
                                                 "bearer  " + token, "Bearer mf_" + "0" * 64, "Bearer \xff"])
        for name, value in r.sample(HEADERS, r.choice([0, 0, 0, 0, 0, 1, 2])):
            headers[name] = value
        return headers

    # ---- sending it

    def step(self):
        if self.random.random() < 0.06:
            return self.step_raw()
        operation = self.random.choice(self.api.operations)
        method = operation.method if self.random.random() < 0.97 else self.random.choice(METHODS)
        self.send(operation, method, self.path_of(operation), self.body_of(operation), self.headers_for(operation))

    def send(self, operation, method, path, body, headers):
        connection = self.connect()
        connection.timeout = READ_S
        what = "%s %.300s %r %r" % (method, path, headers, (body or b"")[:300])
        self.counts["requests"] += 1
        try:
            try:
                connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            except (http.client.InvalidURL, ValueError, UnicodeEncodeError):
                return
            for name, value in headers.items():
                connection.putheader(name, value.encode("latin-1", "replace"))
            if body is not None and "Content-Length" not in headers:
                connection.putheader("Content-Length", str(len(body)))
            try:
                connection.endheaders(body)
                answer = connection.getresponse()
            except (http.client.HTTPException, ConnectionError, BrokenPipeError):
                self.note(operation, 0)      # it may close on what is no HTTP
                return
            self.check(operation, method, answer, what, headers)
        finally:
            connection.close()

    def check(self, operation, method, answer, what, headers):
        status = answer.status
        self.note(operation, status)
        if answer.headers.get_content_type() == "text/event-stream":
            answer.fp.raw._sock.settimeout(STREAM_S)
            try:
                said = answer.read1(4096)
            except (TimeoutError, OSError, http.client.HTTPException):
                said = b""
        else:
            said = answer.read()
        self.look_for_secrets(said + str(answer.headers).encode(), what)
        if status >= 500:
            raise Wrong("%d for %s\n%r" % (status, what, said[:500]))
        if method == "HEAD" or answer.headers.get_content_type() != "application/json":
            return
        value = json.loads(said)
        if method != operation.method or "Host" in headers or "Origin" in headers:
            promised = None
        else:
            promised = self.api.answer(operation, status)
            if promised is None and status not in (400, 404, 405, 413):     # of any request that is no good
                raise Wrong("%d is not promised for %s: %s" % (status, what, value))
        schema = promised[1] if promised else {"$ref": "#/components/schemas/Error"} if status >= 400 else {}
        mistakes = self.api.mistakes(schema, value)
        if mistakes:
            raise Wrong("%s for %s\n%r" % (mistakes[:5], what, said[:500]))

    def look_for_secrets(self, said, what):
        for secret in self.secrets:
            if secret.encode() in said:
                raise Wrong("the secret %s in the answer to %s" % (secret, what))

    def note(self, operation, status):
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if 200 <= status < 300:
            self.reached[repr(operation)] = self.reached.get(repr(operation), 0) + 1

    def step_raw(self):
        """Bytes, and what comes back must hold no secret; then it is dropped in the middle."""
        r = self.random
        data = r.choice(RAW)
        if r.random() < 0.5:
            at = r.randrange(len(data) + 1)
            data = data[:at] + bytes(r.randrange(256) for _ in range(r.randrange(20))) + data[at:]
        self.counts["raw"] += 1
        connection = self.connect()
        connection.connect()
        try:
            connection.sock.settimeout(0.1)
            connection.sock.sendall(data)
            said = connection.sock.recv(65536)
        except (TimeoutError, ConnectionError, socket.timeout):
            said = b""
        finally:
            connection.close()
        self.look_for_secrets(said, data[:200])
        if said.startswith(b"HTTP/1.1 5") and not said.startswith(b"HTTP/1.1 501"):    # 501: no method that it knows
            raise Wrong("%r for %r" % (said[:300], data[:300]))

    def report(self):
        return "%d requests, %d of raw bytes; %d of %d operations answered 2xx; statuses: %s" % (
            self.counts["requests"], self.counts["raw"], len(self.reached), len(self.api.operations),
            ", ".join("%s: %d" % (s or "closed", n) for s, n in sorted(self.statuses.items())))
