"""The API as programs elsewhere meet it: TCP, TLS, tokens; raw where a header must be wrong."""

import http.client
import json
import re
import socket

from . import processes


def address(ferry):
    """(scheme, port) that the engine says it listens on."""
    def said():
        found = re.findall(r"api: listens on (https?)://[^ \n]*:(\d+)", ferry.log_text(100000))
        return found and (found[-1][0], int(found[-1][1]))
    return processes.wait_until(said, 20, "the engine to listen")


def token(ferry, name, role="view"):
    return ferry.cli("token", "add", name, "--role", role)["token"]


class Api:
    """One caller; each request has a connection of its own unless keep is set."""

    def __init__(self, ferry, context=None, bearer=None, keep=False, host="127.0.0.1"):
        self.scheme, self.port = address(ferry)
        self.host = host
        self.context, self.bearer, self.keep = context, bearer, keep
        self._open = None

    def connect(self):
        if self.scheme == "https":
            return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def ask(self, path, body=None, headers=None, method=None):
        """(status, headers, parsed JSON or bytes)"""
        connection = self._open or self.connect()
        sent = {"Authorization": "Bearer " + self.bearer} if self.bearer else {}
        sent.update(headers or {})
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method or ("POST" if body is not None else "GET"), path, data, sent)
        answer = connection.getresponse()
        said = answer.read()
        if self.keep:
            self._open = connection
        else:
            connection.close()
        if answer.headers.get_content_type() == "application/json":
            said = json.loads(said)
        return answer.status, answer.headers, said

    def status(self, *args, **kw):
        return self.ask(*args, **kw)[0]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class LocalApi(Api):
    """The same at the engine's socket, as the operator's command meets it."""

    def __init__(self, ferry):
        self.path, self.bearer, self.keep, self._open = ferry.api, None, False, None

    def connect(self):
        return UnixConnection(self.path)
