"""
What a user's mailbox must hold in the end: what it held at the start, and every change that a server
acknowledged to a client. A change without an answer may have happened or not, but at most once.

Messages are known by their X-Stamp header, which no two messages share.
"""

import dataclasses
import threading
import time


@dataclasses.dataclass
class Expected:
    path: tuple
    sha256: str
    date: int
    counts: set         # how many there may be: {1}, {0} or, without an answer, {0, 1}
    flags: set          # each a frozenset that the message may carry


@dataclasses.dataclass
class Result:
    compared: int = 0
    lost: list = dataclasses.field(default_factory=list)
    doubled: list = dataclasses.field(default_factory=list)
    flags: list = dataclasses.field(default_factory=list)
    dates: list = dataclasses.field(default_factory=list)
    strange: list = dataclasses.field(default_factory=list)  # deleted before, altered or never seen

    @property
    def clean(self):
        return not (self.lost or self.doubled or self.flags or self.dates or self.strange)

    def __str__(self):
        return "%d compared, lost %s, doubled %s, flags %s, dates %s, strange %s" % (
            self.compared, self.lost[:5], self.doubled[:5], self.flags[:5], self.dates[:5],
            self.strange[:5])


class Ledger:
    def __init__(self):
        self.expected = {}      # stamp → Expected
        self.acknowledged = []  # (time, verb, stamp)
        self.touched = {}       # stamp → when a change to it was last begun
        self.unanswered = 0
        self._lock = threading.Lock()

    def start_from(self, folders):
        """folders: an answer of reader.read(); every message in it must have a stamp."""
        for path, folder in folders.items():
            for m in folder.messages:
                if not m.stamp or m.stamp in self.expected:
                    raise ValueError("message without a stamp of its own: %s %s" % (path, m))
                self.expected[m.stamp] = Expected(path, m.sha256, m.date, {1}, {m.flags})

    # Each change is begun before its command is sent and settled when its answer is there.

    def append_begun(self, stamp, path, sha256, date, flags):
        with self._lock:
            self.touched[stamp] = time.time()
            self.expected[stamp] = Expected(path, sha256, date, {0, 1}, {frozenset(flags)})

    def append_settled(self, stamp, done):
        with self._lock:
            self.expected[stamp].counts = {1} if done else {0}
            self._settle("append", stamp, done)

    def flags_begun(self, stamp, flags):
        with self._lock:
            self.touched[stamp] = time.time()
            self.expected[stamp].flags.add(frozenset(flags))

    def flags_settled(self, stamp, flags):
        with self._lock:
            self.expected[stamp].flags = {frozenset(flags)}
            self._settle("flags", stamp, True)

    def expunge_begun(self, stamp):
        with self._lock:
            self.touched[stamp] = time.time()
            e = self.expected[stamp]
            e.counts = e.counts | {0}
            e.flags |= {f | {"\\deleted"} for f in e.flags}

    def expunge_settled(self, stamp):
        with self._lock:
            self.expected[stamp].counts = {0}
            self._settle("expunge", stamp, True)

    def may_be_seen(self, stamp):
        """Somebody reads it over POP3, which sets \\Seen on some servers."""
        with self._lock:
            e = self.expected.get(stamp)
            if e:
                self.touched[stamp] = time.time()
                e.flags |= {f | {"\\seen"} for f in e.flags}

    def never_answered(self):
        with self._lock:
            self.unanswered += 1

    def _settle(self, verb, stamp, done):
        if done:
            self.acknowledged.append((time.time(), verb, stamp))

    def acknowledged_between(self, begin, end):
        return sum(1 for at, _, _ in self.acknowledged if begin <= at <= end)

    def untouched_since(self, folders, at):
        """The same answer of reader.read() without the messages that a client changed since then."""
        return {path: dataclasses.replace(folder, messages=[
            m for m in folder.messages if self.touched.get(m.stamp, 0) < at])
            for path, folder in folders.items()}

    def check(self, folders):
        """Compares an answer of reader.read() with what must be there."""
        r, seen = Result(), {}
        for path, folder in folders.items():
            for m in folder.messages:
                seen.setdefault(m.stamp, []).append((path, m))
        for stamp, e in self.expected.items():
            found = seen.pop(stamp, [])
            if len(found) < min(e.counts):
                r.lost.append((e.path, stamp))
            if len(found) > max(e.counts):
                (r.doubled if len(found) > 1 else r.strange).append((e.path, stamp, len(found)))
            for path, m in found[:1]:
                r.compared += 1
                if path != e.path or m.sha256 != e.sha256:
                    r.strange.append((e.path, stamp, path, m.size))
                if m.flags not in e.flags:
                    r.flags.append((stamp, sorted(m.flags), [sorted(f) for f in e.flags]))
                if m.date != e.date:
                    r.dates.append((stamp, m.date, e.date))
        r.strange += [(path, m.stamp or m.uid, "never heard of") for f in seen.values() for path, m in f]
        return r
