"""
Random conversations with real Dovecot, twice at once: with a mailbox directly, and with its twin through
mailferry. What the two clients hear must be equal byte for byte, but for what docs/rewrites.md lists and for
what Dovecot itself says differently each time (how long a command took).
"""

import os
import random
import re
import shutil

import pytest

from lib import mail
from lib.imapclient import Closed, ImapClient
from lib.popclient import PopClient

pytestmark = pytest.mark.offers("dovecot")   # whose answers are the same twice

SHORT, FULL = range(0, 12), range(12, 200)
POP3_EVERY = 4      # each so manieth conversation is POP3
STEPS = 25
FOLDERS = (b"INBOX", b"INBOX.Work", b"INBOX.Work.Z&APw-rich", b'"INBOX.odd {5}"')

# docs/rewrites.md: what a server of the mail host lists and clients do not see.
HIDDEN_IMAP = {b"LOGIN-REFERRALS", b"URL-PARTIAL", b"COMPRESS=DEFLATE"}
HIDDEN_POP3 = {b"CAPA", b"SASL", b"STLS", b"USER", b"XCLIENT"}
# … and what is answered here and never reaches a server.
REFUSED_IMAP = (b"COMPRESS DEFLATE", b"AUTHENTICATE PLAIN", b"LOGIN a b", b"STARTTLS", b"UNAUTHENTICATE",
                b"COMPRESS {3+}\r\nabc", b'LOGIN {1+}\r\na {1+}\r\nb')
REFUSED_POP3 = (b"AUTH PLAIN", b"USER x", b"PASS y", b"APOP a b", b"STLS", b"XTND XLST", b" STAT", b"")
BAD_IMAP = (b"FETCH 1 x{5}", b"NOOP\rNOOP", b'SEARCH "open {5}')

TOOK = re.compile(rb"\(\d+\.\d+ \+ [0-9. +]+ secs\)")
CREATED = re.compile(rb"(UIDVALIDITY |APPENDUID |COPYUID |HIGHESTMODSEQ )\d+")


class Dice(random.Random):
    def some(self, percent):
        return self.randrange(100) < percent

    def folder(self):
        return self.choice(FOLDERS)

    def messages(self):
        a = self.randrange(1, 25)
        return self.choice((b"%d" % a, b"%d:%d" % (a, a + self.randrange(4)), b"1:*", b"*",
                            b"%d,%d" % (a, self.randrange(1, 25))))


# ---- what is said


LOOKS = (
    lambda d: b"FETCH %s (FLAGS UID)" % d.messages(),
    lambda d: b"FETCH %s (UID RFC822.SIZE INTERNALDATE ENVELOPE)" % d.messages(),
    lambda d: b"UID FETCH %s (FLAGS BODY.PEEK[HEADER.FIELDS (Subject X-Stamp)])" % d.messages(),
    lambda d: b"FETCH %s BODYSTRUCTURE" % d.messages(),
    lambda d: b"FETCH %s BODY.PEEK[]" % d.messages(),
    lambda d: b"FETCH %s BODY.PEEK[TEXT]<%d.%d>" % (d.messages(), d.randrange(300), 1 + d.randrange(300)),
    lambda d: b"FETCH %s BINARY.PEEK[1]" % d.messages(),
    lambda d: b"UID SEARCH %s" % d.choice((b"ALL", b"SEEN", b'SUBJECT "{5}"', b"LARGER 600", b"KEYWORD $Label1")),
    lambda d: b"SEARCH RETURN (MIN MAX COUNT) %s" % d.choice((b"ALL", b"FLAGGED", b"UID %s" % d.messages())),
    lambda d: b"SORT (REVERSE SUBJECT SIZE) UTF-8 ALL",
    lambda d: b"UID THREAD REFERENCES UTF-8 ALL",
    lambda d: b"NOOP",
    lambda d: b'LIST "" "*"',
    lambda d: b'LIST (SUBSCRIBED) "" %s RETURN (CHILDREN)' % d.choice((b'"INBOX*"', b'"%"', b'"*odd*"')),
    lambda d: b'LSUB "" "*"',
    lambda d: b"STATUS %s (MESSAGES UNSEEN UIDNEXT)" % d.folder(),
    lambda d: b"NAMESPACE",
    lambda d: b"CAPABILITY",
    lambda d: d.choice((b"FETCH", b"FETCH x y", b"FROBNICATE", b"SELECT", b"SEARCH {", b"STORE 1 FLAGS", b"X {5} y",
                        b"UID NOOP", b"fetch 999999 flags", b"APPEND", b'LIST "a', b"ID x")),
)
CHANGES = (
    lambda d: b"SELECT %s" % d.folder(),
    lambda d: b"SELECT %s (CONDSTORE)" % d.folder(),
    lambda d: b"EXAMINE %s" % d.folder(),
    lambda d: d.choice((b"UNSELECT", b"CLOSE", b"CHECK")),
    lambda d: b"STORE %s %sFLAGS%s (%s)" % (
        d.messages(), d.choice((b"", b"+", b"-")), d.choice((b"", b".SILENT")),
        d.choice((b"\\Seen", b"\\Deleted", b"\\Flagged $Label1", b"\\Answered \\Draft"))),
    lambda d: b"FETCH %s BODY[TEXT]" % d.messages(),
    lambda d: b"UID COPY %s %s" % (d.messages(), d.folder()),
    lambda d: b"MOVE %d %s" % (1 + d.randrange(5), d.folder()),
    lambda d: b"EXPUNGE",
    lambda d: b"ENABLE CONDSTORE QRESYNC",
    lambda d: b"SUBSCRIBE %s" % d.folder(),
    lambda d: b"UNSUBSCRIBE %s" % d.folder(),
    lambda d: b"SELECT INBOX.nowhere",
    lambda d: b"RENAME INBOX.nowhere INBOX.else",
)


class ImapTalk:
    """Both ends: `sides` are (client, heard); every step is said to both, then both answers are awaited."""

    def __init__(self, dice, direct, ferried):
        self.dice, self.sides = dice, [(direct, []), (ferried, [])]
        self.count = 0

    def tag(self):
        self.count += 1
        return b"c%d" % self.count

    def say(self, data, cuts=True):
        for client, _ in self.sides:
            for piece in self.pieces(data) if cuts else (data,):
                client.send(piece)

    def pieces(self, data):
        while data:
            n = self.dice.choice((1, 3, 20, 200, len(data)))
            yield data[:n]
            data = data[n:]

    def until(self, *starts):
        """Reads on both sides until each of them heard a line that starts so; returns that line of each."""
        last = []
        for client, heard in self.sides:
            while True:
                line = client.response()
                heard.append(line)
                if line.startswith(starts):
                    break
            last.append(line)
        return last

    def command(self, text):
        tag = self.tag()
        self.say(tag + b" " + text + b"\r\n")
        self.until(tag + b" ")

    def pipeline(self):
        tags = [self.tag() for _ in range(2 + self.dice.randrange(4))]
        self.say(b"".join(b"%s %s\r\n" % (t, self.dice.choice(LOOKS)(self.dice)) for t in tags), cuts=False)
        for client, heard in self.sides:
            left, answers = set(tags), []
            while left:
                answers.append(client.response())
                left.discard(answers[-1].split(b" ", 1)[0])
            # While a long answer waits for its reader, Dovecot answers the next command in between.
            heard += sorted(answers)

    def append(self):
        d, tag = self.dice, self.tag()
        line = b"%s APPEND %s " % (tag, d.choice(FOLDERS + (b"INBOX.nowhere",)))
        for i in range(d.choice((1, 1, 1, 2, 3))):
            data = mail.message("said-%d-%d" % (self.count, i), d.randrange(300, 2500), eight_bit=d.some(50))
            waits = d.some(50)
            self.say(line + b'(\\Seen) "01-Mar-2024 10:00:%02d +0000" {%d%s}\r\n' % (
                i, len(data), b"" if waits else b"+"))
            if waits and not all(answer.startswith(b"+") for answer in self.until(b"+", tag + b" ")):
                return
            self.say(data)
            line = b" "
        self.say(b"\r\n")
        self.until(tag + b" ")

    def search_with_literal(self):
        tag, text = self.tag(), self.dice.choice((b"harbours", b"said {5}", b"", b"DONE"))
        self.say(b"%s UID SEARCH TEXT {%d}\r\n" % (tag, len(text)))
        if all(answer.startswith(b"+") for answer in self.until(b"+", tag + b" ")):
            self.say(text + b" NOT DELETED\r\n")
            self.until(tag + b" ")

    def idle(self):
        tag = self.tag()
        self.say(b"%s IDLE\r\n" % tag)
        self.until(b"+", tag + b" ")
        self.say(b"DONE\r\n" if self.dice.some(80) else b"oops\r\n")
        self.until(tag + b" ")

    def refused(self):
        """Said to mailferry alone: a server would do it."""
        (client, _), tag = self.sides[1], self.tag()
        bad = self.dice.some(40)
        client.send(b"%s %s\r\n" % (tag, self.dice.choice(BAD_IMAP if bad else REFUSED_IMAP)))
        assert client.response() == tag + (b" BAD Not a command.\r\n" if bad else
                                           b" NO This command is not available here.\r\n")

    def begin(self):
        self.command(b"SELECT INBOX")

    def step(self):
        what = self.dice.randrange(100)
        if what < 30:
            self.command(self.dice.choice(LOOKS)(self.dice))
        elif what < 60:
            self.command(self.dice.choice(CHANGES)(self.dice))
        elif what < 70:
            self.pipeline()
        elif what < 82:
            self.append()
        elif what < 88:
            self.search_with_literal()
        elif what < 94:
            self.idle()
        else:
            self.refused()

    def end(self):
        self.say(self.tag() + b" LOGOUT\r\n")
        for client, heard in self.sides:
            heard += client.responses_until_closed()

    def heard(self, i):
        return [normal(line, hide=i == 0) for line in self.sides[i][1]]


def normal(line, hide):
    """Without what differs by nature; hide: as it would be through mailferry."""
    line = CREATED.sub(rb"\1N", TOOK.sub(b"(T)", line))
    if hide and line.startswith(b"* CAPABILITY "):
        line = b" ".join(w for w in line.split() if w not in HIDDEN_IMAP) + b"\r\n"
    return line


class PopTalk(ImapTalk):
    """POP3's: an answer is a line, or lines up to a dot."""

    MANY = re.compile(rb"(RETR|TOP|CAPA)\b|(LIST|UIDL) *$", re.I)
    COMMANDS = (b"STAT", b"LIST", b"list ", b"LIST %d", b"UIDL", b"UIDL %d", b"RETR %d", b"TOP %d 3", b"TOP %d 0", b"NOOP",
                b"CAPA", b"DELE %d", b"RSET", b"RETR", b"TOP x", b"LIST 0", b"LAST", b"UTF8")

    def answer(self, client, heard, command):
        line = client.line()
        heard.append(line)
        if line.startswith(b"+") and self.MANY.match(command):
            while line not in (b".\r\n", b""):
                line = client.line()
                heard.append(line)

    def commands(self, commands):
        self.say(b"".join(c + b"\r\n" for c in commands))
        for client, heard in self.sides:
            for c in commands:
                self.answer(client, heard, c)

    def begin(self):
        self.commands([b"STAT", b"UIDL"])

    def refused(self):
        client, _ = self.sides[1]
        client.send(self.dice.choice(REFUSED_POP3) + b"\r\n")
        assert client.line() == b"-ERR This command is not available here.\r\n"

    def step(self):
        def one():
            text = self.dice.choice(self.COMMANDS)
            return text % self.dice.randrange(1, 40) if b"%" in text else text
        if self.dice.some(10):
            self.refused()
        else:
            self.commands([one() for _ in range(self.dice.choice((1, 1, 3, 8)))])

    def end(self):
        self.commands([b"QUIT"])
        for client, heard in self.sides:
            heard.append(client.line())

    def heard(self, i):
        return [line for line in self.sides[i][1]
                if i or not line.split(b" ")[0].rstrip() in HIDDEN_POP3]


# ---- twins


def make_twins(stage):
    """Two people with the very same files, and dates and identifiers in them."""
    one, other = stage.take(), stage.take()
    stage.fill(one, {f.decode().strip('"'): n for f, n in zip(FOLDERS, (24, 8, 5, 3))})
    homes = [os.path.join(stage.old.folder, "mail", p.name) for p in (one, other)]
    shutil.rmtree(homes[1], ignore_errors=True)
    shutil.copytree(homes[0], homes[1], symlinks=True)
    owner = os.stat(homes[0])
    for path, _, files in os.walk(homes[1]):
        for p in [path] + [os.path.join(path, f) for f in files]:
            os.chown(p, owner.st_uid, owner.st_gid)
    return one, other


@pytest.fixture(scope="module")
def twins(stage):
    """Nobody imports them, so both stay on old, and the copier leaves their mailboxes as they are."""
    return make_twins(stage)


def imap_talk(stage, ferry, twins, dice):
    clients = []
    for (server, port), person in zip(((stage.old, "imaps"), (ferry, "imaps")), twins):
        client = ImapClient(server.address, server.ports[port], stage.context, name=person.name)
        stage.opened.append(client)
        client.login(person.name, person.password)
        clients.append(client)
    return ImapTalk(dice, *clients)


def pop3_talk(stage, ferry, twins, dice):
    clients = []
    for server, person in zip((stage.old, ferry), twins):
        client = PopClient(server.address, server.ports["pop3s"], stage.context, name=person.name)
        stage.opened.append(client)
        assert client.login(person.name, person.password).startswith(b"+OK")
        clients.append(client)
    return PopTalk(dice, *clients)


def converse(stage, ferry, twins, seed):
    dice = Dice(seed)
    talk = (pop3_talk if seed % POP3_EVERY == POP3_EVERY - 1 else imap_talk)(stage, ferry, twins, dice)
    try:
        talk.begin()
        for _ in range(STEPS):
            talk.step()
        talk.end()
    except (Closed, TimeoutError) as e:
        raise AssertionError("seed %d: %r" % (seed, e)) from None
    direct, ferried = talk.heard(0), talk.heard(1)
    for i, (a, b) in enumerate(zip(direct, ferried)):
        assert a == b, "seed %d, answer %d" % (seed, i)
    assert len(direct) == len(ferried)
    assert len(direct) > STEPS


@pytest.mark.parametrize("seed", SHORT)
def test_bytes_are_equal(stage, ferry, twins, seed):
    converse(stage, ferry, twins, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", FULL)
def test_bytes_are_equal_long(stage, ferry, twins, seed):
    converse(stage, ferry, twins, seed)
