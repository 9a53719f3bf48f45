"""
A tiny IMAP client on a raw socket: it knows the exact bytes it sent and heard, and where they stopped.

Not a library for mail: a witness. Everything is bytes.
"""

import base64
import re
import select
import socket
import ssl
import threading
import time

LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
UIDVALIDITY = re.compile(rb"UIDVALIDITY (\d+)")
UIDVALIDITY_SAYS = {1000000001: "old", 1000000002: "new"}
KEEP = 600  # bytes of one exchange kept in the transcript


class Closed(Exception):
    """The connection ended. The client's last_line and partial say with which words."""


class No(Exception):
    """A tagged NO or BAD; args[0] is the line."""


class ImapClient:
    """
    context   ssl.SSLContext for TLS from the first byte; None for clear text (see starttls())
    source    the address to come from
    preface   sent before anything else, TLS included
    last_line the last whole response, literals included
    partial   what came after it when the connection ended: b"" if it ended between responses
    """

    def __init__(self, address, port, context=None, hostname="localhost", timeout_s=30, name="client",
                 preface=b"", source=None):
        self.name, self.hostname = name, hostname
        self.last_line, self.partial = b"", b""
        self.opened_at, self.closed_at = time.time(), None
        self.transcript = []
        self.slow = None    # called with the bytes read so far inside a long literal: a slow reader
        self._buffer, self._tag, self._capabilities = b"", 0, None
        self._send_lock = threading.Lock()
        self.sock = socket.create_connection((address, port), timeout=timeout_s,
                                             source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if preface:
            self.sock.sendall(preface)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname=hostname)
        self.greeting = self.response()

    # ---- bytes

    def note(self, way, data):
        data = bytes(data)
        cut = data if len(data) <= KEEP else data[:KEEP] + b"... (%d bytes)" % len(data)
        self.transcript.append((time.time(), way, cut))

    def send(self, data):
        self.note("C:", data)
        try:
            with self._send_lock:
                self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as e:
            self._end(repr(e))

    def _fill(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as e:
            self._end(repr(e))
        if not data:
            self._end("end of file")
        self._buffer += data

    def _end(self, how):
        self.partial, self.closed_at = self._buffer, time.time()
        self.note("--", how.encode())
        raise Closed("%s: %s after %r" % (self.name, how, self.last_line[:200]))

    def response(self):
        """One whole response with its literals. The one place that reads."""
        at = 0
        while True:
            eol = self._buffer.find(b"\r\n", at)
            if eol < 0:
                at = max(at, len(self._buffer) - 1)
                self._fill()
                continue
            eol += 2
            literal = LITERAL.search(self._buffer, max(0, eol - 16), eol)
            if not literal:
                break
            at = eol + int(literal.group(1))
            if at > len(self._buffer):
                self._read_until(at)
        line, self._buffer = self._buffer[:eol], self._buffer[eol:]
        self.last_line = line
        self.note("S:", line)
        return line

    def _read_until(self, size):
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            self._buffer = b""
            try:
                self._fill()
            except Closed:
                self.partial = b"".join(parts)
                raise
            parts.append(self._buffer)
            have += len(self._buffer)
            if self.slow:
                self.slow(have)
        self._buffer = b"".join(parts)

    def responses_until_closed(self):
        """Everything until the end; returns the responses."""
        heard = []
        try:
            while True:
                heard.append(self.response())
        except Closed:
            return heard

    def readable(self, timeout_s):
        """Is there something to read within that time?"""
        if self._buffer:
            return True
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], timeout_s)[0])

    # ---- commands

    def tag(self):
        self._tag += 1
        return b"a%d" % self._tag

    def begin(self, command):
        """Sends a command without waiting; returns its tag."""
        tag = self.tag()
        self.send(tag + b" " + command + b"\r\n")
        return tag

    def finish(self, tag):
        """Reads until the tagged answer; returns (untagged responses, tagged line). NO and BAD raise No."""
        untagged = []
        while True:
            line = self.response()
            if line.startswith(tag + b" "):
                if not line.startswith(tag + b" OK"):
                    raise No(line)
                return untagged, line
            untagged.append(line)

    def command(self, command):
        return self.finish(self.begin(command))

    def starttls(self, context):
        self.command(b"STARTTLS")
        self.sock = context.wrap_socket(self.sock, server_hostname=self.hostname)

    def login(self, user, password):
        return self.command(b'LOGIN "%s" "%s"' % (user.encode(), password.encode()))

    def authenticate_plain(self, user, password, initial=True):
        token = base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode()))
        if initial:
            return self.command(b"AUTHENTICATE PLAIN " + token)
        tag = self.begin(b"AUTHENTICATE PLAIN")
        self.expect_continuation()
        self.send(token + b"\r\n")
        return self.finish(tag)

    def expect_continuation(self):
        """Reads on to "+"; untagged responses before it are passed over."""
        while True:
            line = self.response()
            if line.startswith(b"+"):
                return line
            if not line.startswith(b"*"):
                raise No(line)

    def begin_literal(self, command, size, literal=None):
        """
        Sends a command up to where its last argument's bytes are due. literal: b"+" does not wait for the
        server's go-ahead, b"" does, None does what the server wants.
        """
        if literal is None:
            literal = b"+" if self.lists(b"LITERAL+") else b""
        self.send(command + b" {%d%s}\r\n" % (size, literal))
        if not literal:
            self.expect_continuation()

    def begin_append(self, folder, message, flags=b"", date=None, literal=None):
        """Sends a whole APPEND, its literal as begin_literal() says; returns its tag."""
        tag = self.tag()
        when = b' "%s"' % date if date else b""
        self.begin_literal(b"%s APPEND %s (%s)%s" % (tag, folder, flags, when), len(message), literal)
        self.send(message + b"\r\n")
        return tag

    def append(self, *args, **kw):
        return self.finish(self.begin_append(*args, **kw))

    def idle(self):
        """Enters IDLE; returns the tag that done() wants."""
        tag = self.begin(b"IDLE")
        self.expect_continuation()
        return tag

    def done(self, tag):
        self.send(b"DONE\r\n")
        return self.finish(tag)

    def server_name(self):
        """
        "old" or "new", by the server's own word: a Dovecot of these tests puts it into ID, a Courier into
        its UIDVALIDITY; a Cyrus that is old has a prefix in its namespace and a new one has none.
        """
        if self.lists(b"ID"):
            for line in self.command(b"ID NIL")[0]:
                found = re.search(rb'"name" "(old|new|guarded)"', line)
                if found:
                    return found.group(1).decode()
        for line in self.command(b"STATUS INBOX (UIDVALIDITY)")[0]:
            found = UIDVALIDITY.search(line)
            if found and int(found.group(1)) in UIDVALIDITY_SAYS:
                return UIDVALIDITY_SAYS[int(found.group(1))]
        return "old" if b'(("INBOX."' in b"".join(self.command(b"NAMESPACE")[0]) else "new"

    def lists(self, capability):
        """After login; asked once."""
        if self._capabilities is None:
            self._capabilities = b" ".join(self.command(b"CAPABILITY")[0]).upper().split()
        return capability in self._capabilities

    def logout(self):
        try:
            self.begin(b"LOGOUT")
            self.responses_until_closed()
        except Closed:
            pass
        self.close()

    def close(self):
        if self.closed_at is None:
            self.closed_at = time.time()
        self.sock.close()

    @property
    def left_with_bye(self):
        """Was its last word a whole "* BYE ..." line with nothing behind it?"""
        return self.last_line.startswith(b"* BYE ") and self.last_line.endswith(b"\r\n") and not self.partial

    def transcript_text(self):
        lines = ["--- %s" % self.name]
        for at, way, data in self.transcript:
            lines.append("%.3f %s %s" % (at, way, data.decode("utf-8", "backslashreplace").rstrip()))
        return "\n".join(lines)


def client_context(ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
