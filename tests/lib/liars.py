"""Servers that lie about what became of an APPEND."""

import threading
import time

from .fakemail import CAPABILITIES, FakeMail

LATE_S = 20             # how long the late committer takes
SHY_S = 0.3             # how long new mail cannot be seen


class Shy(FakeMail):
    """No UIDPLUS, no MULTIAPPEND, no LITERAL+; what was appended and confirmed is seen only a while later."""

    def __init__(self, *args, **kw):
        super().__init__(*args, capabilities=CAPABILITIES - {b"UIDPLUS", b"MULTIAPPEND", b"LITERAL+"}, **kw)

    def commit(self, talk, box, mails):
        uids = super().commit(talk, box, mails)
        shown = time.monotonic() + SHY_S
        with self.lock:
            for uid in uids:
                box.find(uid).shown = shown
        return uids

    def visible(self, box):
        now = time.monotonic()
        return [m for m in box.mails if getattr(m, "shown", 0) <= now]


class Liar(FakeMail):
    """APPENDUID of another UIDVALIDITY, of a message that is not there, of one that is another, or missing."""

    def append_code(self, box, uids):
        shift = (0, 1000, -1, 7)[sum(len(m.data) for m in box.mails[-1:]) % 4]
        validity = box.uidvalidity + (shift == 7)
        if uids[0] % 5 == 0:
            return b""
        return b"APPENDUID %d %s" % (validity, b",".join(b"%d" % max(1, u + shift) for u in uids))


class Late(FakeMail):
    """No UIDPLUS; some mail is kept only LATE_S after all of it has arrived, whoever is still there."""

    def __init__(self, *args, **kw):
        super().__init__(*args, capabilities=CAPABILITIES - {b"UIDPLUS"}, **kw)
        self.late, self.due = 1, None       # so many appends more; when the next one is kept
        self.waiting, self.kept = threading.Event(), threading.Event()

    def do(self, talk, command, rule=None):
        """Nobody is told of a time behind that when it is kept, not even if we stood still meanwhile."""
        if self.due and time.monotonic() >= self.due:
            self.kept.wait(10)
        super().do(talk, command, rule)

    def commit(self, talk, box, mails):
        if self.late <= 0:
            return super().commit(talk, box, mails)
        self.late -= 1
        self.due = time.monotonic() + LATE_S
        self.waiting.set()
        time.sleep(LATE_S)
        uids = super().commit(talk, box, mails)
        self.kept.set()
        return uids
