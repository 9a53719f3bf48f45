"""
A small IMAP server that keeps mail in memory, and that a test can make lie.

FakeMail takes the place of a lib.server.Server: a test's mailferry, the copier and lib.reader can use it
as old or new. Each command is a method do_VERB(talk, command); what tests lie about most has a method of
its own below "truths": subclass and override. For one command or once there are rules (see FakeImap):

    fake.rules["APPEND"] = b"%t NO [OVERQUOTA] full\r\n"
    fake.rules["UID FETCH"] = nth(3, cut(100))      # the third one gets 100 bytes of its answer
    fake.rules["APPEND"] = delay(2)                 # and then does what it would do

After login a rule that is a function is called with (fake, talk, command) and may call fake.do(talk, command).
"""

import base64
import bisect
import dataclasses
import re
import select
import socket
import ssl
import threading
import time

from . import processes
from .fakes import FakeImap, Hangup, Talk
from .imapclient import UIDVALIDITY_SAYS

LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")
ATOM_END = b" ()\"\r\n"
NO_NEWS = {"FETCH", "STORE", "SEARCH"}      # RFC 3501 7.4.1: no EXPUNGE during these
CAPABILITIES = {b"IMAP4rev1", b"LITERAL+", b"UIDPLUS", b"MULTIAPPEND", b"NAMESPACE", b"UNSELECT", b"IDLE", b"ID",
                b"ENABLE", b"LIST-EXTENDED", b"LIST-STATUS", b"SPECIAL-USE", b"CREATE-SPECIAL-USE", b"CONDSTORE"}
IDLE_LOOK_S = 0.02


class Refused(Exception):
    """The command is answered with this: "NO [TRYCREATE] no such folder"."""


# ---- rules

def delay(seconds, then=None):
    def rule(fake, talk, command):
        time.sleep(seconds)
        fake.do(talk, command, then)
    return rule


def cut(n):
    """n bytes of the answer, then the connection is gone."""
    def rule(fake, talk, command):
        talk.left = n
        fake.do(talk, command)
        raise Hangup
    return rule


def hangup(fake, talk, command):
    """It does what it is told, and nobody hears that it did."""
    talk.left = 0
    fake.do(talk, command)
    raise Hangup


def nth(n, rule):
    """The rule for the n-th such command (1: the first); the others are as ever."""
    count = iter(range(1, 1 << 30))

    def counted(fake, talk, command):
        fake.do(talk, command, rule if next(count) == n else None)
    return counted


def first(n, rule):
    """The rule for the first n such commands."""
    count = iter(range(n))

    def counted(fake, talk, command):
        fake.do(talk, command, rule if next(count, None) is not None else None)
    return counted


# ---- what it keeps

@dataclasses.dataclass
class Mail:
    uid: int
    data: bytes
    flags: set
    date: bytes         # INTERNALDATE as given
    modseq: int = 1

    def shown_flags(self):
        return b" ".join(sorted(self.flags))


class Box:
    def __init__(self, name, uidvalidity):
        self.name, self.uidvalidity, self.uidnext, self.modseq = name, uidvalidity, 1, 1
        self.mails = []             # by uid
        self.attributes = set()     # {b"\\Noselect", b"\\Sent", …}
        self.permanent = None       # flags that it keeps; None: all

    def changed(self, mail):
        self.modseq += 1
        mail.modseq = self.modseq

    def add(self, data, flags=(), date=b"01-Jan-2020 00:00:00 +0000", uid=None):
        uid = uid or self.uidnext
        self.uidnext = max(self.uidnext, uid + 1)
        mail = Mail(uid, data, set(flags), date)
        self.changed(mail)
        bisect.insort(self.mails, mail, key=lambda m: m.uid)
        return uid

    def find(self, uid):
        at = bisect.bisect_left(self.mails, uid, key=lambda m: m.uid)
        return self.mails[at] if at < len(self.mails) and self.mails[at].uid == uid else None

    def remove(self, uids):
        uids = set(uids)
        self.mails = [m for m in self.mails if m.uid not in uids]
        self.modseq += 1


class Account:
    def __init__(self):
        self.boxes = {}             # canonical name → Box
        self.subscribed = set()     # names


# ---- one connection

class Line(Talk):
    user = box = None               # the login; the selected Box
    view = ()                       # the uids of it that the client knows, by sequence number
    read_only = False
    left = None                     # bytes that may still be said; None: any number

    def say(self, data):
        if self.left is None:
            return super().say(data)
        data, self.left = data[:self.left], self.left - len(data[:self.left])
        super().say(data)
        if self.left <= 0:
            raise Hangup

    def line(self):
        try:
            return super().line()
        except socket.timeout:
            self.say(b"* BYE Autologout; idle for too long\r\n")
            raise Hangup from None

    def read(self, n):
        data = super().read(n)
        if len(data) < n:
            raise Hangup
        return data


@dataclasses.dataclass
class Command:
    tag: bytes
    verb: str           # "FETCH", "UID FETCH"
    args: list          # atoms, strings and literals as bytes, parentheses as lists

    @property
    def by_uid(self):
        return self.verb.startswith("UID ")


def tokens(parts):
    """parts: text and literals by turns. Atoms keep their brackets: BODY.PEEK[HEADER.FIELDS (TO)]<0.10>."""
    stack = [[]]
    for i, part in enumerate(parts):
        if i % 2:
            stack[-1].append(part)
            continue
        at = 0
        while at < len(part):
            c = part[at:at + 1]
            if c == b" ":
                at += 1
            elif c == b"(":
                stack.append([])
                at += 1
            elif c == b")":
                done = stack.pop()
                stack[-1].append(done)
                at += 1
            elif c == b'"':
                found = re.compile(rb'"((?:[^"\\]|\\.)*)"').match(part, at)
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", found.group(1)))
                at = found.end()
            else:
                end = at
                while end < len(part) and part[end] not in ATOM_END:
                    end = part.index(b"]", end) + 1 if part[end] == ord("[") else end + 1
                stack[-1].append(part[at:end])
                at = end
    return stack[0]


def in_set(text, known):
    """Those of the numbers (ascending) that an IMAP set names; "*" is the last."""
    found = set()
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        ends = sorted(known[-1] if n == b"*" else int(n) for n in (low, high or low)) if known else [1, 0]
        found.update(known[bisect.bisect_left(known, ends[0]):bisect.bisect_right(known, ends[1])])
    return sorted(found)


def quote(name):
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def pattern(text, separator):
    parts = {b"*": b".*", b"%": b"[^" + re.escape(separator) + b"]*"}
    return re.compile(b"".join(parts.get(bytes([c]), re.escape(bytes([c]))) for c in text) + rb"\Z", re.S)


class FakeMail(FakeImap):
    """
    Made as a lib.server.Server is, and started and stopped like one; what it holds stays when it stops.

    capabilities   after login, a set; the test changes it at will
    autologout_s   a connection that is silent so long is told BYE; None: never
    message_limit  a FETCH tells of so many and says [MESSAGELIMIT]; None: of all
    appended       a threading.Event, set when all of an APPEND has arrived and before it is kept
    commands       (user, verb) of what was asked after login
    """

    kind = "fake"
    talk = Line

    def __init__(self, name, folder, ca, users, masters=None, separator="/", prefix="", capabilities=None):
        cert, key = ca.issue(name + ".example.net")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.name, self.folder, self.address, self.tls_name = name, folder, "127.0.0.1", name + ".example.net"
        self.masters = dict(masters or {})
        self.separator, self.prefix = separator, prefix
        self.capabilities = set(CAPABILITIES if capabilities is None else capabilities)
        self.autologout_s = self.message_limit = None
        self.lock, self.appended, self._going = threading.RLock(), threading.Event(), threading.Event()
        self._going.set()
        self.accounts, self.commands, self._lines = {}, [], set()
        self._validity = [v for v, says in UIDVALIDITY_SAYS.items() if says == name] or [1000000100]
        super().__init__(users, context=context)
        self.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN ID STARTTLS"
        self._tls = socket.create_server(("127.0.0.1", 0))
        self.ports = {"imap": self.port, "imaps": self._tls.getsockname()[1]}
        self.ports.update(zip(("pop3", "pop3s"), processes.free_ports(2)))     # nobody is there
        threading.Thread(target=self._accept, args=(self._tls,), daemon=True).start()

    @property
    def after(self):
        return b" ".join(sorted(self.capabilities))

    @after.setter
    def after(self, words):
        """FakeImap's own; here the set counts."""

    def start(self):
        """It listens from the beginning; after stop() it does so again, on the same ports."""
        if self._socket.fileno() < 0:
            self._socket, self._tls = (socket.create_server(("127.0.0.1", self.ports[p])) for p in ("imap", "imaps"))
            for listener in (self._socket, self._tls):
                threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def stop(self):
        """Nobody gets in any more, and who is in is cut off."""
        for s in (self._socket, self._tls):
            s.shutdown(socket.SHUT_RDWR)
            s.close()
        self.kick()

    def kick(self):
        """Every connection ends without a word."""
        for line in list(self._lines):
            try:
                line.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pause(self):
        """Connections stay open and nothing answers."""
        self._going.clear()

    def resume(self):
        self._going.set()

    def log_text(self):
        return "\n".join(line.decode("utf-8", "backslashreplace") for line in self.heard[-100:])

    def transcripts(self, user):
        return ""

    # ---- for tests, without a connection

    def account(self, user):
        with self.lock:
            if user not in self.accounts:
                self.accounts[user] = Account()
                self.create(user, b"INBOX")
            return self.accounts[user]

    def create(self, user, name, attributes=()):
        with self.lock:
            boxes = self.account(user).boxes
            box = boxes[self.canonical(name)] = Box(self.stored_name(name), self.next_uidvalidity())
            box.attributes = set(attributes)
            return box

    def box(self, user, name=b"INBOX"):
        return self.account(user).boxes[self.canonical(name)]

    def put(self, user, name, data, flags=(), date=b"01-Jan-2020 00:00:00 +0000"):
        """One message, as if delivered; the folder is made if need be. Returns its UID."""
        with self.lock:
            if self.canonical(name) not in self.account(user).boxes:
                self.create(user, name)
            return self.box(user, name).add(data, flags, date)

    def count(self, verb):
        return sum(v == verb for _, v in self.commands)

    # ---- truths: what a lying server says otherwise

    def next_uidvalidity(self):
        if len(self._validity) == 1:
            self._validity.append(self._validity[0])
        else:
            self._validity[1] += 1000
        return self._validity[1]

    def canonical(self, name):
        """Names that come to the same are the same folder."""
        return b"INBOX" if name.upper() == b"INBOX" else name

    def stored_name(self, name):
        """As LIST shows it."""
        return self.canonical(name)

    def size(self, mail):
        return len(mail.data)

    def body(self, mail):
        """The bytes that FETCH gives."""
        return mail.data

    def stored(self, data):
        """The bytes that it keeps of an APPEND."""
        return data

    def kept_flags(self, box, flags):
        flags = {f for f in flags if f.lower() != b"\\recent"}
        return flags if box.permanent is None else flags & set(box.permanent)

    def refuse_append(self, talk, name, size):
        """b"NO [TOOBIG] …" before any of the literal is asked for, or None."""

    def read_literal(self, talk, n):
        return talk.read(n)

    def commit(self, talk, box, mails):
        """mails: (data, flags, date) of one APPEND, all or none. Returns their UIDs."""
        with self.lock:
            return [box.add(*m) for m in mails]

    def append_code(self, box, uids):
        """What APPENDUID says; b"" for nothing."""
        return b"APPENDUID %d %s" % (box.uidvalidity, b",".join(b"%d" % u for u in uids))

    def visible(self, box):
        """The messages that a client may know of now."""
        return list(box.mails)

    def listed(self, uids):
        """Those that a FETCH of a range answers for."""
        return uids if self.message_limit is None else uids[:self.message_limit]

    # ---- serving

    def serve(self, talk):
        self._lines.add(talk)
        try:
            if talk.sock.getsockname()[1] == self.ports["imaps"]:
                talk.start_tls()
            super().serve(talk)
        finally:
            self._lines.discard(talk)

    def check_plain(self, message):
        authzid, name, password = (part.decode() for part in message.split(b"\0"))
        if authzid and authzid != name:
            return authzid if self.masters.get(name) == password and authzid in self.users else None
        return name if self.users.get(name) == password else None

    def finish(self, talk, tag, how, user):
        super().finish(talk, tag, how, user)
        if self.logged_in(talk):
            if self.autologout_s:
                talk.sock.settimeout(self.autologout_s)
            self._serve_user(talk)

    def _serve_user(self, talk):
        self.account(talk.user)
        while True:
            command = self._read(talk)
            if not command:
                continue
            self.commands.append((talk.user, command.verb))
            self._going.wait()
            self.do(talk, command, self.rules.get(command.verb))

    def _read(self, talk):
        """One whole command; None: one that was refused before its end."""
        parts, tag = [talk.line()], None
        while True:
            literal = LITERAL.search(parts[-1])
            if not literal:
                break
            parts[-1] = parts[-1][:literal.start()]
            n, plus = int(literal.group(1)), literal.group(2)
            tag, verb, args = self._split(parts)
            no = self.refuse_append(talk, args[0], n) if verb == "APPEND" and args else None
            if no and not plus:
                talk.say(b"%s %s\r\n" % (tag, no))
                return None
            if not plus:
                talk.say(b"+ go on\r\n")
            parts += [self.read_literal(talk, n), talk.line()]
            if no:
                talk.say(b"%s %s\r\n" % (tag, no))
                return None
        tag, verb, args = self._split(parts)
        return Command(tag, verb, args)

    @staticmethod
    def _split(parts):
        head = parts[0].split(b" ", 3)
        words = 3 if head[1].upper() == b"UID" and len(head) > 2 else 2
        rest = parts[0].split(b" ", words)
        return (head[0], b" ".join(head[1:words]).upper().decode(),
                tokens([rest[words] if len(rest) > words else b""] + parts[1:]))

    def do(self, talk, command, rule=None):
        if isinstance(rule, bytes):
            talk.say(rule.replace(b"%t", command.tag))
            if b"* BYE" in rule:
                raise Hangup
            return
        if rule:
            rule(self, talk, command)
            return
        if command.verb in ("CAPABILITY", "LOGOUT", "STARTTLS"):
            FakeImap.command(self, talk, command.tag, command.verb, b"")
            return
        method = getattr(self, "do_" + command.verb.replace("UID ", "").lower(), None)
        try:
            if not method or command.verb in ("LOGIN", "AUTHENTICATE"):
                raise Refused(b"BAD what is that")
            code = method(talk, command)
        except Refused as no:
            talk.say(b"%s %s\r\n" % (command.tag, no.args[0]))
            return
        if command.verb not in NO_NEWS:
            self.tell_news(talk)
        talk.say(b"%s OK %sdone\r\n" % (command.tag, b"[%s] " % code if code else b""))

    def tell_news(self, talk):
        """EXPUNGE and EXISTS of what has changed since the client heard last."""
        if not talk.box:
            return
        with self.lock:
            now = [m.uid for m in self.visible(talk.box)]
            known, there, out = talk.view, set(now), []
            for at in range(len(known), 0, -1):
                if known[at - 1] not in there:
                    out.append(b"* %d EXPUNGE\r\n" % at)
            if len(now) != len(known) - len(out):
                out.append(b"* %d EXISTS\r\n" % len(now))
            talk.view = now
        talk.say(b"".join(out))

    def _box(self, talk, name):
        box = self.account(talk.user).boxes.get(self.canonical(name))
        if not box or b"\\Noselect" in box.attributes:
            raise Refused(b"NO [NONEXISTENT] no such folder")
        return box

    def _selected(self, talk, writing=False):
        if not talk.box:
            raise Refused(b"BAD no folder is selected")
        if writing and talk.read_only:
            raise Refused(b"NO [READ-ONLY] not here")
        return talk.box

    # ---- commands without a folder

    def do_noop(self, talk, command):
        pass

    do_check = do_noop

    def do_id(self, talk, command):
        talk.say(b'* ID ("name" "%s")\r\n' % self.name.encode())

    def do_enable(self, talk, command):
        talk.say(b"* ENABLED %s\r\n" % b" ".join(a for a in command.args if a in self.capabilities))

    def do_namespace(self, talk, command):
        talk.say(b"* NAMESPACE ((%s %s)) NIL NIL\r\n" % (quote(self.prefix.encode()), quote(self.separator.encode())))

    def do_idle(self, talk, command):
        talk.say(b"+ idling\r\n")
        while not (select.select([talk.sock], [], [], IDLE_LOOK_S)[0] or
                   isinstance(talk.sock, ssl.SSLSocket) and talk.sock.pending()):
            self.tell_news(talk)
        talk.line()

    # ---- folders

    def _list_line(self, word, box, attributes):
        return b"* %s (%s) %s %s\r\n" % (word, b" ".join(sorted(attributes)), quote(self.separator.encode()),
                                         quote(box.name))

    def do_list(self, talk, command):
        args = list(command.args)
        chosen = args.pop(0) if isinstance(args[0], list) else []
        reference, names = args[0], args[1] if isinstance(args[1], list) else [args[1]]
        returns = args[3] if len(args) > 3 else []
        wanted = [r.upper() for r in returns if isinstance(r, bytes)]
        items = next((r for r in returns if isinstance(r, list)), None)
        if names == [b""]:
            talk.say(b'* LIST (\\Noselect) %s ""\r\n' % quote(self.separator.encode()))
            return
        patterns = [pattern(reference + n, self.separator.encode()) for n in names]
        with self.lock:
            account, out = self.account(talk.user), []
            for box in account.boxes.values():
                subscribed = box.name in account.subscribed
                if not any(p.match(box.name) for p in patterns) or (b"SUBSCRIBED" in chosen and not subscribed):
                    continue
                also = {b"\\Subscribed"} if subscribed and b"SUBSCRIBED" in wanted + chosen else set()
                out.append(self._list_line(b"LIST", box, box.attributes | also))
                if items and b"\\Noselect" not in box.attributes:
                    out.append(self._status(box, items))
        talk.say(b"".join(out))

    def do_lsub(self, talk, command):
        wanted = pattern(command.args[0] + command.args[1], self.separator.encode())
        with self.lock:
            out = [self._list_line(b"LSUB", Box(name, 0), ()) for name in sorted(self.account(talk.user).subscribed)
                   if wanted.match(name)]
        talk.say(b"".join(out))

    def _status(self, box, items):
        mails = self.visible(box)
        values = {b"MESSAGES": len(mails), b"UIDNEXT": box.uidnext, b"UIDVALIDITY": box.uidvalidity, b"RECENT": 0,
                  b"HIGHESTMODSEQ": box.modseq, b"UNSEEN": sum(b"\\Seen" not in m.flags for m in mails),
                  b"SIZE": sum(self.size(m) for m in mails)}
        return b"* STATUS %s (%s)\r\n" % (quote(box.name), b" ".join(
            b"%s %d" % (i.upper(), values[i.upper()]) for i in items))

    def do_status(self, talk, command):
        with self.lock:
            said = self._status(self._box(talk, command.args[0]), command.args[1])
        talk.say(said)

    def do_create(self, talk, command):
        name = command.args[0].rstrip(self.separator.encode())
        with self.lock:
            if self.canonical(name) in self.account(talk.user).boxes:
                raise Refused(b"NO [ALREADYEXISTS] there is one")
            uses = command.args[1][1] if len(command.args) > 1 else ()
            self.create(talk.user, name, uses)

    def do_delete(self, talk, command):
        with self.lock:
            self._box(talk, command.args[0])
            del self.account(talk.user).boxes[self.canonical(command.args[0])]

    def do_rename(self, talk, command):
        """With what is below it; a folder keeps its UIDs and its UIDVALIDITY."""
        old, new = command.args
        below = old + self.separator.encode()
        with self.lock:
            self._box(talk, old)
            boxes = self.account(talk.user).boxes
            if self.canonical(new) in boxes:
                raise Refused(b"NO [ALREADYEXISTS] there is one")
            for box in [b for b in boxes.values() if b.name == old or b.name.startswith(below)]:
                del boxes[self.canonical(box.name)]
                box.name = self.stored_name(new + box.name[len(old):])
                boxes[self.canonical(box.name)] = box

    def do_subscribe(self, talk, command):
        self.account(talk.user).subscribed.add(self.stored_name(command.args[0]))

    def do_unsubscribe(self, talk, command):
        self.account(talk.user).subscribed.discard(self.stored_name(command.args[0]))

    def do_select(self, talk, command, read_only=False):
        talk.box = None
        with self.lock:
            box = self._box(talk, command.args[0])
            talk.box, talk.read_only = box, read_only
            talk.view = [m.uid for m in self.visible(box)]
            flags = sorted({f for m in box.mails for f in m.flags} |
                           {b"\\Answered", b"\\Deleted", b"\\Draft", b"\\Flagged", b"\\Seen"})
            kept = [] if read_only else sorted(box.permanent) if box.permanent is not None else flags + [b"\\*"]
            said = (b"* %d EXISTS\r\n* 0 RECENT\r\n* FLAGS (%s)\r\n* OK [PERMANENTFLAGS (%s)] kept\r\n"
                    b"* OK [UIDVALIDITY %d] valid\r\n* OK [UIDNEXT %d] next\r\n" % (
                        len(talk.view), b" ".join(flags), b" ".join(kept), box.uidvalidity, box.uidnext))
            if b"CONDSTORE" in self.capabilities:
                said += b"* OK [HIGHESTMODSEQ %d] now\r\n" % box.modseq
        talk.say(said)
        return b"READ-ONLY" if read_only else b"READ-WRITE"

    def do_examine(self, talk, command):
        return self.do_select(talk, command, read_only=True)

    def do_unselect(self, talk, command):
        self._selected(talk)
        talk.box, talk.view = None, ()

    def do_close(self, talk, command):
        box = self._selected(talk)
        with self.lock:
            if not talk.read_only:
                box.remove(m.uid for m in box.mails if b"\\Deleted" in m.flags)
        talk.box, talk.view = None, ()

    # ---- messages

    def _chosen(self, talk, command):
        """(sequence number, Mail) of those that the first argument names and that are still there."""
        box, view = self._selected(talk), talk.view
        if command.by_uid:
            uids = in_set(command.args[0], view)
        else:
            uids = [view[n - 1] for n in in_set(command.args[0], range(1, len(view) + 1))]
        return [(bisect.bisect_left(view, u) + 1, box.find(u)) for u in uids if box.find(u)]

    def do_fetch(self, talk, command):
        items = command.args[1] if isinstance(command.args[1], list) else [command.args[1]]
        since = int(command.args[2][1]) if len(command.args) > 2 else 0
        items = [i for i in items if isinstance(i, bytes)]
        if command.by_uid and b"UID" not in [i.upper() for i in items]:
            items.insert(0, b"UID")
        if since and b"MODSEQ" not in items:
            items.append(b"MODSEQ")
        with self.lock:
            chosen = self._chosen(talk, command)
            uids = [m.uid for _, m in chosen if m.modseq > since]
            told = set(self.listed(uids))
            found = [(n, m, m.shown_flags(), m.modseq) for n, m in chosen if m.uid in told]
        for number, mail, flags, modseq in found:
            talk.say(b"* %d FETCH (%s)\r\n" % (number, b" ".join(self.item(i, mail, flags, modseq) for i in items)))
        if self.message_limit is not None and len(told) < len(uids):
            return b"MESSAGELIMIT %d %d" % (self.message_limit, max(told, default=0))

    def item(self, item, mail, flags, modseq):
        """One thing that FETCH was asked for."""
        name = item.upper()
        if name == b"UID":
            return b"UID %d" % mail.uid
        if name == b"FLAGS":
            return b"FLAGS (%s)" % flags
        if name == b"INTERNALDATE":
            return b'INTERNALDATE "%s"' % mail.date
        if name == b"RFC822.SIZE":
            return b"RFC822.SIZE %d" % self.size(mail)
        if name == b"MODSEQ":
            return b"MODSEQ (%d)" % modseq
        found = re.match(rb"BODY(?:\.PEEK)?\[([^]]*)\](?:<(\d+)\.(\d+)>)?$", name)
        if not found:
            raise Refused(b"BAD cannot fetch " + item)
        section, start, n = found.groups()
        data = self._section(section, self.body(mail))
        if start is None:
            return b"BODY[%s] {%d}\r\n%s" % (section, len(data), data)
        data = data[int(start):int(start) + int(n)]
        return b"BODY[%s]<%s> {%d}\r\n%s" % (section, start, len(data), data)

    @staticmethod
    def _section(section, data):
        end = re.search(rb"\A\r?\n|\n\r?\n", data)
        at = end.end() if end else len(data)
        if section == b"":
            return data
        if section == b"HEADER":
            return data[:at]
        if section == b"TEXT":
            return data[at:]
        if section.startswith(b"HEADER.FIELDS ("):
            wanted = set(section[len(b"HEADER.FIELDS ("):].rstrip(b")").split())
            lines = re.findall(rb"(?m)^([^:\s]+)(:.*(?:\n[ \t].*)*\n)", data[:at])
            return b"".join(n + rest for n, rest in lines if n.upper() in wanted) + b"\r\n"
        raise Refused(b"BAD cannot fetch that section")

    def do_store(self, talk, command):
        how = command.args[1].upper()
        flags = set(command.args[2] if isinstance(command.args[2], list) else command.args[2:])
        out = []
        with self.lock:
            box = self._selected(talk, writing=True)
            flags = self.kept_flags(box, flags)
            for number, mail in self._chosen(talk, command):
                mail.flags = {b"+": mail.flags | flags, b"-": mail.flags - flags}.get(how[:1], set(flags))
                box.changed(mail)
                out.append(b"* %d FETCH (UID %d FLAGS (%s))\r\n" % (number, mail.uid, mail.shown_flags()))
        if b".SILENT" not in how:
            talk.say(b"".join(out))

    def do_expunge(self, talk, command):
        with self.lock:
            box = self._selected(talk, writing=True)
            if command.by_uid and b"UIDPLUS" not in self.capabilities:
                raise Refused(b"BAD what is that")
            named = {m.uid for _, m in self._chosen(talk, command)} if command.by_uid else {m.uid for m in box.mails}
            box.remove([m.uid for m in box.mails if m.uid in named and b"\\Deleted" in m.flags])

    def do_copy(self, talk, command):
        with self.lock:
            target = self._box(talk, command.args[1])
            for _, m in self._chosen(talk, command):
                target.add(m.data, m.flags, m.date)

    def do_append(self, talk, command):
        name, rest, mails = command.args[0], list(command.args[1:]), []
        with self.lock:
            if self.canonical(name) not in self.account(talk.user).boxes:
                raise Refused(b"NO [TRYCREATE] no such folder")
            box = self._box(talk, name)
        while rest:
            flags = rest.pop(0) if isinstance(rest[0], list) else []
            date = rest.pop(0) if len(rest) > 1 and re.match(rb"[ \d]\d-\w{3}-\d{4} ", rest[0]) else self._now()
            mails.append((self.stored(rest.pop(0)), self.kept_flags(box, flags), date))
        if len(mails) > 1 and b"MULTIAPPEND" not in self.capabilities:
            raise Refused(b"BAD one at a time")
        self.appended.set()
        uids = self.commit(talk, box, mails)
        return self.append_code(box, uids) if b"UIDPLUS" in self.capabilities else b""

    @staticmethod
    def _now():
        return time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime()).encode()
