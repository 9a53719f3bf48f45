"""A tiny POP3 client on a raw socket, with a transcript. Lines are bytes."""

import base64
import re
import socket
import time

from .imapclient import UIDVALIDITY_SAYS

# What each kind of server is told to make its UIDLs of, by lib/dovecot.py, cyrus.py and courier.py.
UIDL_SAYS = [
    (re.compile(rb"^(old|new)\."), lambda found: found.group(1).decode()),
    (re.compile(rb"-(\d+)$"), lambda found: UIDVALIDITY_SAYS.get(int(found.group(1)), "")),
    (re.compile(rb"^\d+\.\d+$"), lambda found: "old"),
    (re.compile(rb"^[0-9a-f]{16}$"), lambda found: "new"),
]


def server_of(uidl):
    """"old" or "new", by a UIDL of it."""
    for shape, says in UIDL_SAYS:
        found = shape.search(uidl)
        if found:
            return says(found)
    return ""


class PopClient:
    def __init__(self, address, port, context=None, hostname="localhost", timeout_s=30, name="pop3",
                 preface=b"", source=None):
        self.name, self.hostname, self.transcript = name, hostname, []
        self.sock = socket.create_connection((address, port), timeout=timeout_s,
                                             source_address=(source, 0) if source else None)
        if preface:
            self.sock.sendall(preface)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname=hostname)
        self._file = self.sock.makefile("rb")
        self.greeting = self.line()

    def send(self, data):
        self.transcript.append((time.time(), "C:", data))
        self.sock.sendall(data)

    def line(self):
        """One line; b"" at the end."""
        line = self._file.readline()
        self.transcript.append((time.time(), "S:", line))
        return line

    def command(self, command):
        self.send(command + b"\r\n")
        return self.line()

    def lines(self, command):
        """The lines of a multi-line answer, without the first and the last."""
        first = self.command(command)
        if not first.startswith(b"+OK"):
            raise ValueError(first)
        found = []
        while True:
            line = self.line()
            if line in (b".\r\n", b""):
                return found
            found.append(line.rstrip(b"\r\n"))

    def stls(self, context):
        answer = self.command(b"STLS")
        if answer.startswith(b"+OK"):
            self.sock = context.wrap_socket(self.sock, server_hostname=self.hostname)
            self._file = self.sock.makefile("rb")
        return answer

    def login(self, user, password):
        first = self.command(b"USER " + user.encode())
        return self.command(b"PASS " + password.encode()) if first.startswith(b"+OK") else first

    def auth_plain(self, user, password, initial=True):
        token = base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode()))
        if initial:
            return self.command(b"AUTH PLAIN " + token)
        asked = self.command(b"AUTH PLAIN")
        return self.command(token) if asked.startswith(b"+ ") else asked

    def close(self):
        self._file.close()  # it holds the socket open
        self.sock.close()

    def transcript_text(self):
        return "\n".join(["--- " + self.name] + [
            "%.3f %s %s" % (at, way, data[:600].decode("utf-8", "backslashreplace").rstrip())
            for at, way, data in self.transcript])
