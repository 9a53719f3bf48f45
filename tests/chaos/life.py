"""
One life of a mailbox between two servers: what its user does, what the servers do to it, and the passes of the copier,
as lines of text, which can be left out, put together and played again. SIDE is old or new, MAIL a name; "there" is the
side that does not count now.

    plain                   first of all: neither server has CONDSTORE
    window N                folders of more than twice so many messages are swept
    put MAIL FOLDER         it is delivered on the side that counts
    delete MAIL, flag MAIL, move MAIL FOLDER    its user does so there
    late MAIL FOLDER        after the flip, it is delivered on old
    stray MAIL FOLDER       after the flip, a client past the proxy moves it on old
    renumber FOLDER         there all of it has other UIDs, and the same UIDVALIDITY
    anew SIDE FOLDER        another UIDVALIDITY, and UIDs from 1 on
    lose FOLDER, find       there all of it is gone; what was lost is there again, with other UIDs
    hide MAIL, show         there it is not shown, and all adds up; it is shown again
    pass [N]                the copier, killed at its Nth step
    rest                    all is found and shown, and passes run until one is clean
    flip, return, withdraw, back    new counts; its user is led back; he is not; old counts

A line that means nothing where it stands (a mail that is not there, `late` before the flip) is passed over. Each line
is followed by a look at what was promised:

    lost, doubled           on the side that counts, at any time
    revived                 what its user has deleted is there again
    unequal, unclean        after a rest: both sides are not the same, or no pass was clean
    failed                  a pass was not OK

What is documented is no violation (limits.py).
"""

import collections
import socket

from lib import mail
from lib.copier import KILLED, Copier
from lib.fakemail import FakeMail
import limits

ANNA, SECRET = "anna@example.com", "secret"
PLAIN = {b"IMAP4rev1", b"LITERAL+", b"UIDPLUS", b"UNSELECT", b"NAMESPACE"}
CONDSTORE = PLAIN | {b"CONDSTORE", b"ENABLE", b"LIST-EXTENDED", b"LIST-STATUS"}
PASS = {"forward": ("pass", {}), "trailing": ("trailing", {}), "return": ("pass", {"from": "new"})}
REST = 8                # passes within which one must be clean
IN_CLEAR = {"tls": "none", "tls_name": None, "tls_ca_file": None}     # a handshake takes longer than the pass


class Violation(Exception):
    """kind: its first word; lines: of the life, up to where it was seen."""

    lines = None

    @property
    def kind(self):
        return str(self).split()[0]


class Side(FakeMail):
    """hidden: (folder, uid) that it does not show; lost: what it has lost, by folder."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.begin(CONDSTORE)

    def begin(self, capabilities):
        self.accounts.clear()
        self.commands.clear()
        self.heard.clear()
        self.hidden, self.lost, self.capabilities = set(), {}, set(capabilities)

    def serve(self, talk):
        """Its many small answers wait for nobody's acknowledgement."""
        talk.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().serve(talk)

    @property
    def boxes(self):
        return self.account(ANNA).boxes

    def visible(self, box):
        return [m for m in box.mails if (box.name, m.uid) not in self.hidden]

    def _status(self, box, items):
        """Its count, too, is of what it shows."""
        return super()._status(box, items).replace(b"MESSAGES %d" % len(box.mails), b"MESSAGES %d" % len(self.visible(box)))

    def place(self, data):
        """(Box, Mail) of the first of these bytes, or None."""
        return next(((b, m) for b in self.boxes.values() for m in b.mails if m.data == data), None)

    def held(self):
        return collections.Counter(m.data for b in self.boxes.values() for m in b.mails)

    def shape(self):
        """{bytes: [(folder, flags), …]}"""
        found = collections.defaultdict(list)
        for b in self.boxes.values():
            for m in b.mails:
                found[m.data].append((b.name, sorted(m.flags)))
        return {data: sorted(places) for data, places in found.items()}

    def take(self, folder):
        box = self.boxes.get(folder)
        kept = list(box.mails) if box else []
        if box:
            box.remove(m.uid for m in kept)
        return kept

    def give(self, folder, mails):
        for m in mails:
            self.put(ANNA, folder, m.data, m.flags, m.date)

    def find(self):
        for folder, mails in self.lost.items():
            self.give(folder, mails)
        self.lost = {}

    def show(self):
        self.hidden = set()
        self.touch()

    def touch(self):
        for b in self.boxes.values():
            b.modseq += 1


class Stage:
    """Two servers and a copier, for one life after the other."""

    def __init__(self, folder, ca):
        self.old, self.new = (Side(name, folder, ca, {ANNA: SECRET}) for name in ("old", "new"))
        self.copier = Copier(self.old, self.new, ca, ANNA, SECRET, folder, fence_s=0)
        for side in ("old", "new"):
            self.copier.sides[side].update(IN_CLEAR, port=getattr(self, side).port)

    def clear(self):
        self.copier.forget()
        self.copier.env = {}
        for side in (self.old, self.new):
            side.begin(CONDSTORE)

    def stop(self):
        self.old.stop()
        self.new.stop()


class Life:
    def __init__(self, stage):
        stage.clear()
        self.stage, self.old, self.new, self.copier = stage, stage.old, stage.new, stage.copier
        self.state = "forward"      # or trailing, return
        self.names = {}             # bytes: name of a mail
        self.live, self.dead = set(), set()     # what its user has; what he has deleted
        self.pending = set()        # came late, and was not on new yet
        self.waiting = set()        # likewise when its user was led back: stays on old
        self.shaken = collections.defaultdict(set)  # since the last rest: what was done to a mail,
        self.left = collections.defaultdict(set)    # and the folders that it left
        self.strayed = set()        # was moved on old after the flip
        self.twins = set()          # and so there may be two when old counts again, or the way back is withdrawn
        self.strange = set()        # both: nobody knows that it has left
        self.in_doubt = False       # the last worker was killed
        self.counts = collections.Counter()

    # ---- words

    @property
    def counting(self):
        return self.old if self.state == "forward" else self.new

    @property
    def there(self):
        return self.new if self.state == "forward" else self.old

    def data(self, name):
        data = mail.message(name)
        self.names[data] = name
        return data

    def shake(self, how, folder, mails):
        for m in mails:
            self.shaken[m.data] |= {how, "in doubt"} if self.in_doubt else {how}
        self.strange |= {data for data, folders in self.left.items() if folder in folders}

    def leave(self, folder, data):
        self.left[data].add(folder)
        if self.shaken[data]:
            self.strange.add(data)

    def play(self, lines):
        for at, line in enumerate(lines):
            verb, *words = line.split()
            try:
                getattr(self, "do_" + verb)(*words)
                self.watch()
            except limits.Over:
                return
            except Violation as v:
                v.lines = at + 1
                raise

    # ---- servers

    def do_plain(self):
        for side in (self.old, self.new):
            side.capabilities = set(PLAIN)

    def do_window(self, n):
        self.copier.env["MAILFERRY_WINDOW"] = n

    def do_renumber(self, folder):
        self.renumber(self.there, folder)

    def do_anew(self, side, folder):
        side = getattr(self, side)
        box = side.boxes.get(folder.encode())
        if box:
            box.uidvalidity += 7
            self.renumber(side, folder, "anew" if side is self.there else "anew here", first=1)

    def renumber(self, side, folder, how="renumber", first=None):
        box = side.boxes.get(folder.encode())
        if box:
            kept = side.take(box.name)
            box.uidnext = first or box.uidnext
            side.give(box.name, kept)
            self.shake(how, box.name, kept)

    def do_lose(self, folder):
        if self.state != "trailing" and folder.encode() not in self.there.lost:
            kept = self.there.lost[folder.encode()] = self.there.take(folder.encode())
            self.shake("lose", folder.encode(), kept)

    def do_find(self):
        for side in (self.old, self.new):
            side.find()

    def do_hide(self, name):
        found = self.there.place(self.data(name))
        if found:
            self.there.hidden.add((found[0].name, found[1].uid))
            self.there.touch()
            self.shake("hide", found[0].name, [found[1]])

    def do_show(self):
        for side in (self.old, self.new):
            side.show()

    # ---- its user

    def do_put(self, name, folder):
        self.counting.put(ANNA, folder.encode(), self.data(name))
        self.live.add(self.data(name))

    def do_late(self, name, folder):
        if self.state == "trailing":
            self.old.put(ANNA, folder.encode(), self.data(name))
            self.live.add(self.data(name))
            self.pending.add(self.data(name))

    def do_delete(self, name):
        found = self.counting.place(self.data(name))
        if found:
            found[0].remove([found[1].uid])
            self.leave(found[0].name, found[1].data)
            self.live.discard(self.data(name))
            self.dead.add(self.data(name))

    def do_flag(self, name):
        found = self.counting.place(self.data(name))
        if found:
            found[1].flags = found[1].flags ^ {b"\\Seen"}
            found[0].changed(found[1])

    def do_move(self, name, folder):
        self.move(self.counting, name, folder)

    def do_stray(self, name, folder):
        if self.state == "trailing" and self.data(name) not in self.pending:
            self.move(self.old, name, folder)
            self.strayed.add(self.data(name))

    def move(self, side, name, folder):
        found = side.place(self.data(name))
        if found and found[0].name != folder.encode():
            box, m = found
            box.remove([m.uid])
            self.leave(box.name, m.data)
            side.give(folder.encode(), [m])

    # ---- the copier

    def run(self, stop_at=0):
        kind, changes = PASS[self.state]
        code, result = self.copier.run(kind, stop_at=stop_at, **changes)
        self.old.wait_alone()   # what a dead worker has sent is there now, or never
        self.new.wait_alone()
        self.counts.update(passes=1, kills=code == KILLED)
        self.in_doubt = code == KILLED
        if code != KILLED and not (code == 0 and result and result["ok"]):
            self.violated("failed", None, "%s %s" % (code, result))
        return result

    def do_pass(self, stop_at="0"):
        self.run(int(stop_at))

    def do_rest(self):
        self.do_find()
        self.do_show()
        self.until_clean()
        self.counts["rests"] += 1
        self.pending.clear()
        self.watch()
        self.compare()
        if self.state != "trailing":    # what is deleted then follows to old when its user is led back
            self.shaken.clear()
            self.left.clear()

    def until_clean(self):
        for _ in range(REST):
            result = self.run()
            if result["clean"]:
                return
            self.watch()
        self.violated("unclean", None, result["text"])

    # ---- its direction

    def do_flip(self):
        """Not with strangers on new (docs/gate.md)."""
        if self.state == "forward":
            self.do_rest()
            if not self.new.held() - self.old.held():
                self.state = "trailing"

    def do_return(self):
        if self.state == "trailing":
            self.live -= self.pending
            self.waiting |= self.pending
            self.pending = set()
            self.state = "return"

    def do_withdraw(self):
        if self.state == "return":
            self.state = "trailing"
            self.twins |= self.strayed
            self.pending = self.called_for()

    def do_back(self):
        if self.state == "return":
            self.do_rest()
            self.state = "forward"
            self.twins |= self.strayed
            self.called_for()

    def called_for(self):
        """What waited is its user's again."""
        waiting, self.waiting = self.waiting, set()
        self.live |= waiting
        return waiting

    # ---- what was promised

    def violated(self, kind, data, what=""):
        """Unless it is documented; data: None if it is about no message."""
        limit = limits.find(self, kind, data)
        if not limit:
            raise Violation("%s: %s" % (kind, " ".join(filter(None, [self.names.get(data), what]))))
        self.counts[limit.name] += 1
        if data is None:
            raise limits.Over

    def watch(self):
        held = self.counting.held()
        self.pending -= set(held)
        for data in self.live - self.pending:
            if not held[data]:
                self.violated("lost", data)
        for data, count in held.items():
            if count > 1:
                self.violated("doubled", data)
            if data in self.dead:
                self.violated("revived", data)

    def compare(self):
        if self.state == "trailing":
            return
        here, there = self.counting.shape(), self.there.shape()
        self.counts.update(compared=len(here))
        for data in here.keys() | there.keys():
            places = here.get(data, "nowhere"), there.get(data, "nowhere")
            if places[0] != places[1]:
                self.violated("unequal", data, "is here %s, there %s" % places)
