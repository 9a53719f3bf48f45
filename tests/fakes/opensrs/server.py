"""HTTP around the methods: envelope, credentials, faults, a record of all that was asked."""

import copy
import http.server
import json
import socket
import ssl
import struct
import threading
import time

from .errors import ApiError, LOGIN, MALFORMED
from .methods import Methods

MASKED = "***"
BODY_MAX = 64 << 20
LATE_S = 30     # of a "late" answer


class Fault:
    """
    kind     "500", "502", "503": that status; "empty", "html", "truncated": such a body; "late": it is carried out, and
             answered after LATE_S;
             "reset": the request is carried out, the answer never comes; "expire": all tokens end, then it is answered
    method   only of this one; times: how often; user: only where the request is about this one
    """

    def __init__(self, kind, method=None, times=1, user=None):
        self.kind, self.method, self.times, self.user = kind, method, times, user

    def hits(self, method, body):
        return (self.times > 0 and self.method in (None, method)
                and self.user in (None, body.get("user"), body.get("domain")))


def masked(body):
    """Without what nobody may see."""
    if isinstance(body, list):
        return [masked(v) for v in body]
    if not isinstance(body, dict):
        return body
    return {k: MASKED if k in ("password", "token", "session_token") else masked(v) for k, v in body.items()}


class OpenSRS(Methods):
    """
    ca, context   https with the tests' CA; ca None: http
    requests      (method, body with its secrets masked), in order
    connections   how many were made
    """

    def __init__(self, ca, mailboxes):
        super().__init__(mailboxes)
        self.faults, self.requests, self.connections = [], [], 0
        self._ended = threading.Event()
        self._record = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if ca:
            certificate, key = ca.issue("admin.stand-in.example.net")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.base = "%s://127.0.0.1:%d" % ("https" if ca else "http", self.port)
        self.url = self.base + "/api"

    def start(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, kind, method=None, times=1, user=None):
        self.faults.append(Fault(kind, method, times, user))

    def asked(self, method):
        with self._record:
            return [body for m, body in self.requests if m == method]

    def reset(self):
        """As new: nothing known but the administrators."""
        self.faults, self.requests, self.connections = [], [], 0
        self.forget()

    # ---- one request

    def answer(self, method, raw):
        """(HTTP status, body)"""
        if not hasattr(self, "do_" + method):
            return 404, b"Not Found"
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return 400, b"Bad Request"
        with self._record:
            self.requests.append((method, masked(copy.deepcopy(body))))
        fault = self._fault(method, body)
        if fault and fault.kind in ("500", "502", "503"):
            return int(fault.kind), b"<html><body>Error</body></html>"
        if fault and fault.kind == "expire":
            self.expire_tokens()
        text = json.dumps(self.carry_out(method, body)).encode()
        if fault and fault.kind == "late":
            self._ended.wait(LATE_S)
        if fault:
            text = {"empty": b"", "html": b"<html><body>Welcome</body></html>", "truncated": text[:len(text) // 2],
                    "reset": None}.get(fault.kind, text)
        return 200, text

    def _fault(self, method, body):
        with self._record:
            for f in self.faults:
                if f.hits(method, body):
                    f.times -= 1
                    return f
        return None

    def carry_out(self, method, body):
        with self.lock:
            try:
                out = {"success": True, **(getattr(self, "do_" + method)(self._caller(body), body) or {})}
            except ApiError as e:
                out = e.answer()
        return {**out, "audit": "x%d" % len(self.requests)}

    def _caller(self, body):
        c = body.get("credentials")
        if not isinstance(c, dict) or not c.get("user") or "session_token" in c:
            raise ApiError(MALFORMED, "credentials need user, and password or token")
        caller = self.login(c["user"], c.get("password"), c.get("token"))
        if not caller:
            raise ApiError(LOGIN)
        return caller

    # ---- HTTP

    def _handler(self):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1       # head and body in one piece
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with api._record:
                    api.connections += 1

            def do_POST(self):
                raw = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_MAX))
                if self.path == "/stand-in/reset":
                    api.reset()
                    self._say(200, b"{}")
                elif not self.path.startswith("/api/"):
                    self._say(404, b"Not Found")
                else:
                    self._say(*api.answer(self.path[len("/api/"):], raw))

            def do_GET(self):
                text = api.trace_file(self.path)
                self._say(200 if text else 404, (text or "Not Found").encode())

            def _say(self, status, body):
                if body is None:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                try:
                    super().handle()
                except (OSError, ValueError):
                    pass        # the client has gone, or we have

            def log_message(self, *args):
                pass

        return Handler

    # ---- its clock

    def now(self):
        return time.time() + self.ahead_s

    def advance(self, seconds):
        self.ahead_s += seconds
        self.write_mailboxes()
