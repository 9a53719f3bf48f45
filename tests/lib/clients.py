"""
Live clients: threads that use a mailbox through the proxy, come back whenever they are sent away, and
write down what they saw: every visit, its last word, every login that failed.
"""

import dataclasses
import poplib
import re
import ssl
import threading
import time

from . import mail
from .imapclient import Closed, ImapClient, No
from .popclient import server_of

APPENDUID = re.compile(rb"\[APPENDUID \d+ (\d+)\]")
HEADER_STAMP = re.compile(rb"UID (\d+).*?X-Stamp: *(\S+)", re.S | re.I)
CHUNK = 64 * 1024
TRANSCRIPT_KEPT = 400   # exchanges of each visit


@dataclasses.dataclass
class Visit:
    began: float = 0.0      # when the connection was asked for
    logged_in: float = 0.0
    closed: float = 0.0
    server: str = ""        # by its own word
    last_line: bytes = b""
    whole: bool = True      # nothing half said at the end
    by_us: bool = False     # we left, nobody sent us away
    transcript: str = ""

    @property
    def bye(self):
        return self.last_line.startswith(b"* BYE ") and self.whole


class LiveClient(threading.Thread):
    """A subclass says in session() what one logged-in connection does until it returns or is Closed."""

    def __init__(self, name, user, password, address, port, context, ledger=None):
        super().__init__(name=name, daemon=True)
        self.user, self.password = user, password
        self.address, self.port, self.context = address, port, context
        self.ledger = ledger
        self.visits, self.failed_logins, self.troubles = [], [], []
        self.stopping = threading.Event()
        self.there = threading.Condition()
        self.broken = None

    # ---- for the one who watches

    def finish(self, timeout_s=30):
        self.stopping.set()
        self.join(timeout_s)
        if self.is_alive():
            raise RuntimeError("%s does not end" % self.name)

    def wait_on(self, server, timeout_s=30):
        """Until it is logged in at the server of that name."""
        with self.there:
            if not self.there.wait_for(lambda: self.server == server or self.broken, timeout_s) or self.broken:
                raise AssertionError("%s is not on %s: %s\n%s" % (
                    self.name, server, self.broken or "on %r" % self.server, self.transcript()))

    @property
    def server(self):
        last = self.visits[-1] if self.visits else None
        return last.server if last and not last.closed else ""

    def last_on(self, server):
        """The last visit to the server of that name, or None."""
        on = [v for v in self.visits if v.server == server]
        return on[-1] if on else None

    def away_s(self):
        """From the last word of old to the first login at new; None if that never happened."""
        before = self.last_on("old")
        after = [v for v in self.visits if v.server == "new"]
        return after[0].logged_in - before.closed if before and after else None

    def transcript(self):
        return "\n".join(["--- %s" % self.name] + ["%s ..." % v.transcript for v in self.visits[-3:]] +
                         ["failed login: %s" % (f,) for f in self.failed_logins] +
                         ["trouble: %s" % t for t in self.troubles])

    # ---- its life

    def run(self):
        try:
            while not self.stopping.is_set():
                self.visit()
        except Exception as e:  # whatever it is, the watcher must hear of it
            with self.there:
                self.broken = repr(e)
                self.there.notify_all()
            raise

    def arrived(self, visit, server):
        with self.there:
            visit.server, visit.logged_in = server, time.time()
            self.there.notify_all()

    def visit(self):
        visit = Visit(began=time.time())
        self.visits.append(visit)
        client = None
        try:
            client = ImapClient(self.address, self.port, self.context, name=self.name)
            client.login(self.user, self.password)
            visit.logged_in = time.time()   # from now on BYE may come at any time
            self.arrived(visit, client.server_name())
            self.session(client)
            visit.by_us = True
            client.logout()
        except No as e:
            if not visit.logged_in:
                self.failed_logins.append((time.time(), e.args[0]))
                self.stopping.wait(0.5)
            else:
                raise
        except Closed as e:
            if not visit.logged_in:
                self.login_cut(e)
        except (OSError, ssl.SSLError) as e:
            self.troubles.append("%.3f %r" % (time.time(), e))
            self.stopping.wait(0.2)
        finally:
            visit.closed = time.time()
            if client:
                visit.closed = client.closed_at or visit.closed
                visit.last_line, visit.whole = client.last_line, not client.partial
                del client.transcript[:-TRANSCRIPT_KEPT]
                visit.transcript = client.transcript_text()
                client.close()

    def login_cut(self, e):
        """The connection ended before the login was answered."""
        self.failed_logins.append((time.time(), str(e)))

    def session(self, client):
        raise NotImplementedError


class IdleClient(LiveClient):
    """Sits in IDLE on INBOX and counts what it is told."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.told = 0

    def session(self, client):
        client.command(b"SELECT INBOX")
        tag = client.idle()
        while not self.stopping.is_set():
            if client.readable(0.2):
                client.response()
                self.told += 1
        client.done(tag)


class BusyClient(LiveClient):
    """
    Appends, flags and expunges without a break. Each APPEND is dribbled, so that nearly always a
    command is in flight; in_flight holds (begin, end) of every command.
    """

    FLAG_TURNS = ((), ("\\seen",), ("\\seen", "\\flagged"), ("\\answered",))

    def __init__(self, *args, folder=b"INBOX", path=("INBOX",), keep=20, pace_s=0.02, **kw):
        super().__init__(*args, **kw)
        self.folder, self.path, self.keep, self.pace_s = folder, path, keep, pace_s
        self.in_flight = []
        self._count, self._own = 0, []  # stamps of its own, oldest first
        self._uids = {}

    def session(self, client):
        client.command(b"SELECT " + self.folder)
        self._find_own(client)
        while not self.stopping.is_set():
            self._append(client)
            self._flag(client)
            if len(self._own) > self.keep:
                self._expunge(client)

    def _find_own(self, client):
        """UIDs are others after a move: ask which of our messages are where."""
        untagged, _ = client.command(b"UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-STAMP)])")
        self._uids = {}
        for line in untagged:
            found = HEADER_STAMP.search(line)
            if found:
                self._uids[found.group(2).decode()] = found.group(1)
        self._own = [s for s in self._own if s in self._uids]

    def _timed(self, client, tag, begin):
        try:
            answer = client.finish(tag)
        except Closed:
            self.ledger.never_answered()
            raise
        finally:
            self.in_flight.append((begin, time.time()))
        return answer

    def _append(self, client):
        self._count += 1
        stamp = "%s-%d" % (self.name.replace(" ", "-"), self._count)
        data, at = mail.message(stamp, 700 + 13 * (self._count % 50)), 1700000000 + self._count
        flags = self.FLAG_TURNS[self._count % 2]
        self.ledger.append_begun(stamp, self.path, mail.digest(data), at, flags)
        begin, tag = time.time(), client.tag()
        try:
            client.begin_literal(b'%s APPEND %s (%s) "%s"' % (
                tag, self.folder, " ".join(flags).encode(), mail.imap_date(at)), len(data))
            for i in range(0, len(data), 300):
                client.send(data[i:i + 300])
                self.stopping.wait(self.pace_s)
            client.send(b"\r\n")
        except Closed:
            self.in_flight.append((begin, time.time()))
            self.ledger.never_answered()
            raise
        untagged, line = self._timed(client, tag, begin)
        self.ledger.append_settled(stamp, True)
        if not any(u.endswith(b" EXISTS\r\n") for u in untagged):
            client.command(b"NOOP")  # Courier: what this session has not been told of, its STORE passes over
        found = APPENDUID.search(line)
        if found:
            self._uids[stamp] = found.group(1)
            self._own.append(stamp)

    def _flag(self, client):
        if not self._own:
            return
        stamp = self._own[self._count % len(self._own)]
        flags = self.FLAG_TURNS[self._count % len(self.FLAG_TURNS)]
        self.ledger.flags_begun(stamp, flags)
        begin = time.time()
        tag = client.begin(b"UID STORE %s FLAGS (%s)" % (self._uids[stamp], " ".join(flags).encode()))
        self._timed(client, tag, begin)
        self.ledger.flags_settled(stamp, flags)

    def _expunge(self, client):
        stamp = self._own[0]
        self.ledger.expunge_begun(stamp)
        begin = time.time()
        tag = client.begin(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % self._uids[stamp])
        self._timed(client, tag, begin)
        begin = time.time()
        tag = client.begin(b"UID EXPUNGE %s" % self._uids[stamp])
        self._timed(client, tag, begin)
        self.ledger.expunge_settled(stamp)
        self._own.pop(0)


class FetchClient(LiveClient):
    """Reads one big message slowly, once; `inside` is set while it does, then it stays in IDLE."""

    def __init__(self, *args, folder=b"INBOX", size=0, seconds=5.0, **kw):
        super().__init__(*args, **kw)
        self.folder, self.size, self.seconds = folder, size, seconds
        self.start_now, self.inside = threading.Event(), threading.Event()
        self.began = self.ended = 0.0
        self.sha256 = None

    def session(self, client):
        client.command(b"SELECT " + self.folder)
        if not self.ended:
            while not self.start_now.wait(0.2):
                if self.stopping.is_set():
                    return
                client.command(b"NOOP")
            untagged, _ = client.command(b"UID SEARCH LARGER %d" % (self.size // 2))
            uid = untagged[0].split()[-1]
            self._fetch(client, uid)
        tag = client.idle()
        while not self.stopping.is_set():
            if client.readable(0.2):
                client.response()
        client.done(tag)

    def _fetch(self, client, uid):
        self.began = time.time()
        tag = client.begin(b"UID FETCH %s BODY.PEEK[]" % uid)
        client.slow = self._reading
        untagged, _ = client.finish(tag)
        client.slow = None
        self.ended = time.time()
        body = [u for u in untagged if b"BODY[]" in u[:200]][0]
        head = body.index(b"\r\n") + 2
        length = int(re.search(rb"\{(\d+)\}\r\n$", body[:head]).group(1))
        self.sha256 = mail.digest(body[head:head + length])

    def _reading(self, have):
        """Not faster than size bytes in so many seconds."""
        if have > self.size // 10:
            self.inside.set()
        ahead = self.began + self.seconds * have / self.size - time.time()
        if ahead > 0.05:
            self.stopping.wait(ahead)


class SlowAppendClient(LiveClient):
    """Sends one big message slowly, once; `inside` is set once a tenth is sent; then it stays in IDLE."""

    def __init__(self, *args, folder=b"INBOX", path=("INBOX",), size=0, seconds=5.0, **kw):
        super().__init__(*args, **kw)
        self.folder, self.path, self.size, self.seconds = folder, path, size, seconds
        self.start_now, self.inside = threading.Event(), threading.Event()
        self.began = self.ended = 0.0

    def session(self, client):
        client.command(b"SELECT " + self.folder)
        if not self.ended:
            while not self.start_now.wait(0.2):
                if self.stopping.is_set():
                    return
                client.command(b"NOOP")
            self._append(client)
        tag = client.idle()
        while not self.stopping.is_set():
            if client.readable(0.2):
                client.response()
        client.done(tag)

    def _append(self, client):
        stamp = self.name.replace(" ", "-") + "-%d" % len(self.visits)
        data, at = mail.message(stamp, self.size), 1710000000
        self.ledger.append_begun(stamp, self.path, mail.digest(data), at, ())
        self.began, tag = time.time(), client.tag()
        client.begin_literal(b'%s APPEND %s () "%s"' % (tag, self.folder, mail.imap_date(at)), len(data))
        pause = self.seconds / (len(data) / CHUNK)
        for i in range(0, len(data), CHUNK):
            client.send(data[i:i + CHUNK])
            if i > len(data) // 10:
                self.inside.set()
            self.stopping.wait(pause)
        client.send(b"\r\n")
        client.finish(tag)
        self.ended = time.time()
        self.ledger.append_settled(stamp, True)


class Prober(LiveClient):
    """Logs in and out all the time: how long does a login take, and where does it lead?"""

    def __init__(self, *args, pace_s=0.06, **kw):
        super().__init__(*args, **kw)
        self.pace_s = pace_s

    def session(self, client):
        self.visits[-1].transcript = ""

    def visit(self):
        super().visit()
        self.stopping.wait(self.pace_s)

    def holds(self):
        """Visits whose login waited: the first ones on new, and much slower than any on old was."""
        done = [v for v in self.visits if v.logged_in]
        usual = max((v.logged_in - v.began for v in done if v.server == "old"), default=0)
        arrived = [v for i, v in enumerate(done) if v.server == "new" and
                   (i == 0 or done[i - 1].server == "old")]
        return [v for v in arrived if v.logged_in - v.began > max(0.1, 3 * usual)]


class Pop3Poller(LiveClient):
    """Comes every so often, looks at STAT and UIDL, reads the newest message. Its server shows in the UIDLs."""

    def __init__(self, *args, pace_s=0.5, **kw):
        super().__init__(*args, **kw)
        self.pace_s = pace_s

    def visit(self):
        visit = Visit(began=time.time())
        self.visits.append(visit)
        try:
            client = poplib.POP3_SSL(self.address, self.port, context=self.context, timeout=30)
            try:
                self._poll(client, visit)
            finally:
                client.close()
        except poplib.error_proto as e:
            if not visit.logged_in:
                self.failed_logins.append((time.time(), str(e)))
            else:
                self.troubles.append("%.3f %s" % (time.time(), e))
        except (OSError, ssl.SSLError, EOFError) as e:
            self.troubles.append("%.3f %r" % (time.time(), e))
        visit.closed = time.time()
        self.stopping.wait(self.pace_s)

    def _poll(self, client, visit):
        client.user(self.user)
        client.pass_(self.password)
        visit.logged_in = time.time()
        count, _ = client.stat()
        listed = client.uidl()[1]
        if listed:
            self.arrived(visit, server_of(listed[-1].split()[1]))
        if count:
            head = b"\r\n".join(client.top(count, 0)[1])
            stamp = re.search(rb"X-Stamp: *(\S+)", head, re.I)
            if stamp and self.ledger:
                self.ledger.may_be_seen(stamp.group(1).decode())
            client.retr(count)
        visit.last_line = client.quit()
        visit.by_us = True
