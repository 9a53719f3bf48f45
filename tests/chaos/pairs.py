"""The servers that chaos copies between, and users that can be used again and again."""

import os
import random
import re

from lib import mail, reader
from lib.ca import CA
from lib.copier import Copier
from lib.courier import Courier
from lib.cyrus import Cyrus
from lib.dovecot import Dovecot
from lib.fakemail import FakeMail
from lib.imapclient import ImapClient, No
from lib.liars import Late, Liar, Shy

MASTERS = {"ferry": "ferry-master-secret"}      # a Cyrus without one does not start


KINDS = {
    "dovecot": (Dovecot, dict(separator=".", prefix="INBOX."), Dovecot, dict(storage="sdbox")),
    "cyrus": (Cyrus, dict(separator=".", prefix="INBOX."), Cyrus, {}),
    "courier": (Courier, {}, Courier, {}),
    "shy": (FakeMail, dict(separator=".", prefix="INBOX."), Shy, {}),
    "liar": (FakeMail, dict(separator=".", prefix="INBOX."), Liar, {}),
    "late": (FakeMail, {}, Late, {}),
}


class Pair:
    """Two servers and `slots` users."""

    def __init__(self, kind, folder, slots):
        self.kind, self.folder = kind, os.path.join(folder, kind)
        os.makedirs(os.path.join(self.folder, "journals"))
        os.chmod(self.folder, 0o755)
        self.ca = CA(os.path.join(self.folder, "ca"))
        users = {"u%02d@example.com" % i: "secret-%02d" % i for i in range(slots)}
        old, old_options, new, new_options = KINDS[kind]
        self.old = old("old", os.path.join(self.folder, "old"), self.ca, users, MASTERS, **old_options).start()
        self.new = new("new", os.path.join(self.folder, "new"), self.ca, users, MASTERS, **new_options).start()
        self.slots = [Slot(self, user, password) for user, password in users.items()]

    def stop(self):
        self.old.stop()
        self.new.stop()


NOBODYS = (b"Subject: gone\r\n\r\nits UID is given to nothing any more\r\n", b"", None)


class Slot(Copier):
    """One user of a pair."""

    uids = "exact"      # the wish of every job; unless plain, old's UIDs have gaps
    window = 0          # of messages, in which larger folders are swept; 0: as in use

    def __init__(self, pair, user, password):
        super().__init__(pair.old, pair.new, pair.ca, user, password, os.path.join(pair.folder, "journals"))
        self.pair = pair
        self.connections = 1
        self.env["MAILFERRY_WINDOW"] = str(self.window)

    def job(self, kind="pass", **changes):
        return super().job(kind, **{"uids": self.uids, "uid_gaps": 5000, "uid_floor": 20000, "uid_s": 60, **changes})

    def connect(self, server):
        c = ImapClient(server.address, server.ports["imap"])
        c.login(self.user, self.password)
        return c

    def name(self, server, *path):
        return reader.quote((server.prefix + server.separator.join(path)).encode())

    def empty(self):
        """Both sides are as new, and the journal is lost."""
        self.forget()
        for server in (self.old, self.new):
            c = self.connect(server)
            for line in reversed(c.command(b'LIST "" "*"')[0]):    # those below first
                attributes, _, name = next(reader.list_lines([line.split(b" ", 2)[2].rstrip(b"\r\n")]))
                c.command(b"UNSUBSCRIBE " + reader.quote(name))
                if name.upper() != b"INBOX":
                    self.try_to(c, b"DELETE " + reader.quote(name))     # a parent may be no folder itself
            self.expunge(c, b"INBOX", b"1:*")
            c.logout()

    @staticmethod
    def try_to(c, command):
        try:
            c.command(command)
        except No:
            pass

    @staticmethod
    def expunge(c, folder, which):
        untagged = c.command(b"SELECT " + folder)[0]
        if b"* 0 EXISTS\r\n" not in untagged:
            c.command(b"STORE %s +FLAGS.SILENT (\\Deleted)" % which)
            c.command(b"EXPUNGE")
        c.command(b"CLOSE")

    def fill(self, folders):
        """{path: [(bytes, flags, date)]} onto old; INBOX is ("INBOX",)."""
        c = self.connect(self.old)
        for path, mails in folders.items():
            name = b"INBOX" if path == ("INBOX",) else self.name(self.old, *path)
            if name != b"INBOX":
                self.try_to(c, b"CREATE " + name)
                c.command(b"SUBSCRIBE " + name)
            tags, gaps = [], [] if self.uids == "plain" else [NOBODYS]
            before = self.count(c, name)
            for data, flags, date in gaps + mails[:1] + gaps + mails[1:] + gaps:
                tags.append(c.begin_append(name, data, flags, date))
                if not c.lists(b"LITERAL+"):
                    c.finish(tags.pop())
                elif len(tags) > 20:
                    c.finish(tags.pop(0))
            for tag in tags:
                c.finish(tag)
            if gaps:
                self.expunge(c, name, b"%d,%d,%d" % (before + 1, before + 3, before + len(mails) + 3))
        c.logout()

    @staticmethod
    def count(c, folder):
        c.command(b"NOOP")
        heard = c.command(b"STATUS %s (MESSAGES)" % folder)[0]
        return int(re.search(rb"MESSAGES (\d+)", heard[-1]).group(1))

    def check(self):
        """What differs between both sides."""
        return reader.compare(reader.read(self.old, self.user, None, self.password),
                              reader.read(self.new, self.user, None, self.password))


def date(n):
    return mail.imap_date(1500000000 + 3600 * n)


def sample(stamp):
    """A small mailbox with all that a pass does something about."""
    flags = (b"", b"\\Seen", b"\\Flagged", b"\\Answered \\Seen", b"\\Draft")
    return {
        ("INBOX",): [(mail.message("%s-%d" % (stamp, i)), flags[i % 5], date(i)) for i in range(6)],
        ("Work",): [(mail.message("%s-w%d" % (stamp, i), 300 + i), flags[i % 5], date(i)) for i in range(3)],
        ("Work", "2020"): [(b"Subject: no end\r\n\r\nno final newline %s\r\n" % stamp.encode(), b"", date(1))],
        ("Heads",): [(b"Subject: same head\r\n\r\nbody %d of %s\r\n" % (i, stamp.encode()), flags[i], date(i))
                     for i in range(4)],
        ("Twins",): [(b"Subject: twin\r\n\r\nthe same %s\r\n" % stamp.encode(), b"", date(0))] * 3,
    }


def many(count, folders, seed):
    dice = random.Random(seed)
    sizes = [dice.randrange(400, 1200) for _ in range(count)]
    return {("INBOX",) if f == 0 else ("F%02d" % f,): [
        (mail.message("many-%d" % i, sizes[i]) if i % 50 else b"Subject: twin\r\n\r\nthe same\r\n",
         (b"", b"\\Seen")[i % 2], date(i)) for i in range(f, count, folders)] for f in range(folders)}
