"""
Those who use the mailboxes while it lasts: IMAP and POP3 clients that come back whenever they are sent away, and an
MTA that asks where mail goes. What each did, and what it was told, goes into the history.

A message is changed only by who made it, one command after the other; one whose command had no answer is left alone
from then on. So the checker knows what may be where.
"""

import random
import re
import socket
import subprocess
import threading
import time

from lib import mail
from lib.imapclient import Closed, ImapClient, No
from lib.popclient import PopClient

from history import FAIL, INBOX, OK, UNKNOWN

SEEN = re.compile(rb"UID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
STAMP = re.compile(rb"X-Stamp: *(\S+)", re.I)
POOL = (r"\Seen", r"\Flagged", r"\Answered", r"\Draft", "$Label1", "work")
TIMEOUT_S = 30          # a client gives up; more than a hold
OWN_MAX, FOLDERS_MAX = 14, 4
LOOK = b"UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-STAMP)])"
SAYS_LESS = (b"[SERVERBUG]", b"[UNAVAILABLE]", b"Internal error", b"[LIMIT]", b"[INUSE]")   # it may have been done
LDA = "/usr/lib/dovecot/dovecot-lda"


class Tagged(ImapClient):
    """Its tags are its own in the whole run, so that a server's record says whose command it was."""

    def __init__(self, *args, prefix=b"", **kw):
        self.prefix = prefix
        super().__init__(*args, **kw)

    def tag(self):
        self.last_tag = self.prefix + super().tag()
        return self.last_tag


class Actor(threading.Thread):
    """A subclass's visit() is one connection, from its begin to its end."""

    def __init__(self, world, user, name):
        super().__init__(name=name, daemon=True)
        self.world, self.user, self.history = world, user, world.history
        self.dice = random.Random("%s %s" % (world.seed, name))
        self.stopping, self.broken = threading.Event(), None
        self.made, self.visits = 0, 0
        self.side = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.visits += 1
                self.visit()
                self.stopping.wait(self.dice.uniform(0.02, 0.6))
        except Exception as e:      # an actor that is not there any more would hide what it does not see
            self.broken = e
            raise

    def visit(self):
        raise NotImplementedError

    def stamp(self):
        self.made += 1
        return "%s-%d" % (self.name, self.made)



# ---- IMAP

class Mailer(Actor):
    """own: {(folder, stamp): flags} of what it may change; folders: its own, with what is subscribed."""

    def __init__(self, *args):
        super().__init__(*args)
        self.own, self.folders, self.been, self.parents = {}, {}, {}, set()
        self.uids, self.selected = {}, None

    def visit(self):
        client, self.uids, self.selected, self.side = None, {}, None, None
        begun = time.time()
        try:
            client = Tagged(self.world.address, self.world.port("imap", self.visits), name=self.name, timeout_s=TIMEOUT_S,
                            prefix=b"k%sv%d" % (self.name.replace("-", "").encode(), self.visits))
            client.login(self.user, self.world.password(self.user))
            ended = time.time()
            self.side = client.server_name()
            self.history.add("login", self.user, self.name, at=begun, end=ended, outcome=OK, side=self.side,
                             proto="imap")
            self.session(client)
            client.logout()
        except No as e:
            self.world.refused(self.name, e.args[0])
        except (Closed, OSError):
            pass
        finally:
            if client:
                client.close()

    def session(self, client):
        self.look(client, INBOX)
        for folder in self.dice.sample(sorted(self.folders), min(2, len(self.folders))):
            self.look(client, folder)
        for _ in range(self.dice.randrange(3, 80)):
            if self.stopping.is_set():
                return
            self.choose()(client)
            self.stopping.wait(self.dice.expovariate(1 / self.world.pace_s))

    def choose(self):
        wishes = [(6, self.append), (6, self.store), (2, self.idle), (1, self.look_somewhere), (0.5, self.append_slowly)]
        if len(self.folders) < FOLDERS_MAX:
            wishes.append((1, self.create))
        if self.folders:
            wishes += [(2, self.copy), (3, self.move), (0.5, self.rename), (0.3, self.delete), (0.7, self.subscribe)]
        wishes.append((4 if len(self.own) < OWN_MAX else 20, self.expunge))
        return self.dice.choices([w for _, w in wishes], [n for n, _ in wishes])[0]

    # ---- names and UIDs

    def wire(self, folder):
        if folder == INBOX:
            return b"INBOX"
        server = self.world.server(self.side)
        return b'"%s"' % (server.prefix + folder.replace("/", server.separator)).encode()

    def select(self, client, folder):
        if self.selected != folder:
            self.selected = None
            client.command(b"SELECT " + self.wire(folder))
            self.selected = folder

    def look(self, client, folder):
        """What is there, told to the history; where it is, kept."""
        self.select(client, folder)
        begun = time.time()
        client.command(b"NOOP")
        try:
            untagged, _ = client.command(LOOK)
        except No:      # somebody else expunged meanwhile
            return
        seen, self.uids[folder] = {}, {}
        for line in untagged:
            stamp, uid, flags = STAMP.search(line), SEEN.search(line), FLAGS.search(line)
            if not stamp or not uid or not flags:
                continue
            stamp = stamp.group(1).decode()
            flags = sorted(f for f in flags.group(1).decode().split() if f != r"\Recent")
            seen[stamp] = [seen.get(stamp, [0])[0] + 1, flags]
            self.uids[folder][stamp] = uid.group(1)
        self.history.add("look", self.user, self.name, at=begun, end=time.time(), outcome=OK, folder=folder, seen=seen,
                         side=self.side)

    def pick(self, client, where=None):
        """(folder, stamp, uid) of one of its own, in a selected folder; None if there is none."""
        mine = [k for k in sorted(self.own) if where is None or k[0] == where]
        if not mine:
            return None
        folder, stamp = self.dice.choice(mine)
        self.select(client, folder)
        if stamp not in self.uids.get(folder, {}):
            self.look(client, folder)
        uid = self.uids.get(folder, {}).get(stamp)
        return uid and (folder, stamp, uid)

    def flags(self):
        return sorted(self.dice.sample(POOL, self.dice.randrange(0, 4)))

    def ask(self, client, verb, ask, forget=(), **about):
        """
        Does it, and writes down what became of it. What had no answer is not its own any more, whatever comes of it.
        """
        begun, outcome = time.time(), UNKNOWN
        try:
            ask()
            outcome = OK
        except No as e:
            less = verb not in ("append", "copy") and any(w in e.args[0] for w in SAYS_LESS)
            outcome = UNKNOWN if less else FAIL
        except (Closed, OSError):
            about["said"] = client.last_line[:80].decode("ascii", "replace").rstrip()
            raise
        finally:
            self.history.add(verb, self.user, self.name, at=begun, end=time.time(), outcome=outcome, side=self.side,
                             tag=client.last_tag.decode(), **about)
            if outcome == UNKNOWN:
                self.leave_alone(forget)
        return outcome

    def leave_alone(self, keys):
        for key in keys:
            self.own.pop(key, None)
            self.folders.pop(key, None)

    # ---- commands

    def append(self, client, slowly=0):
        folder = self.dice.choice([INBOX, INBOX] + sorted(self.folders))
        stamp, flags = self.stamp(), self.flags()
        data = mail.message(stamp, 500 + self.dice.randrange(900) + 40_000 * bool(slowly), eight_bit=True)

        def ask():
            tag = client.tag()
            client.begin_literal(b"%s APPEND %s (%s)" % (tag, self.wire(folder), " ".join(flags).encode()), len(data))
            part = len(data) // 20 + 1
            for i in range(0, len(data), part) if slowly else ():
                client.send(data[i:i + part])
                self.stopping.wait(slowly / 20)
            client.send(b"\r\n" if slowly else data + b"\r\n")
            return client.finish(tag)
        client.lists(b"LITERAL+")
        outcome = self.ask(client, "append", ask, folder=folder, stamp=stamp, flags=flags, sha=mail.digest(data))
        if outcome == OK:
            self.own[folder, stamp] = flags
            self.been[stamp] = {folder}

    def append_slowly(self, client):
        self.append(client, slowly=self.dice.uniform(1, 8))

    def store(self, client):
        found = self.pick(client)
        if found:
            folder, stamp, uid = found
            flags = self.flags()
            outcome = self.ask(client, "store", lambda: client.command(
                b"UID STORE %s FLAGS (%s)" % (uid, " ".join(flags).encode())), [(folder, stamp)],
                folder=folder, stamp=stamp, flags=flags)
            if outcome == OK:
                self.own[folder, stamp] = flags

    def _transfer(self, client, verb):
        found = self.pick(client)
        if not found:
            return
        folder, stamp, uid = found
        free = [f for f in sorted(self.folders) if f not in self.been[stamp]]
        if not free:
            return
        to = self.dice.choice(free)
        self.been[stamp].add(to)
        outcome = self.ask(client, verb, lambda: client.command(
            b"UID %s %s %s" % (verb.upper().encode(), uid, self.wire(to))),
            [(folder, stamp)], folder=folder, stamp=stamp, to=to)
        if outcome == OK:
            self.own[to, stamp] = self.own[folder, stamp]
            if verb == "move":
                self.own.pop((folder, stamp))

    def copy(self, client):
        self._transfer(client, "copy")

    def move(self, client):
        self._transfer(client, "move")

    def expunge(self, client):
        found = self.pick(client)
        if not found:
            return
        folder, stamp, uid = found
        flags = sorted(set(self.own[folder, stamp]) | {r"\Deleted"})
        outcome = self.ask(client, "store", lambda: client.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % uid),
                              [(folder, stamp)], folder=folder, stamp=stamp, flags=flags)
        if outcome != OK:
            return
        outcome = self.ask(client, "expunge", lambda: client.command(b"UID EXPUNGE %s" % uid), [(folder, stamp)],
                              folder=folder, stamp=stamp)
        if outcome == OK:
            self.own.pop((folder, stamp))
        else:
            self.own[folder, stamp] = flags

    def look_somewhere(self, client):
        self.look(client, self.dice.choice([INBOX] + sorted(self.folders)))

    def idle(self, client):
        self.select(client, INBOX)
        tag = client.idle()
        until = time.monotonic() + self.dice.uniform(0.1, 6)
        while time.monotonic() < until and not self.stopping.is_set():
            if client.readable(0.3):
                client.response()
        client.done(tag)

    # ---- its folders

    def name_folder(self):
        self.made += 1
        parents = [f for f in self.folders if "/" not in f]
        top = "%s-f%d" % (self.name, self.made)
        if not parents or self.dice.random() < 0.7:
            return top
        parent = self.dice.choice(sorted(parents))
        self.parents.add(parent)
        return "%s/%s" % (parent, top)

    def create(self, client):
        name = self.name_folder()
        outcome = self.ask(client, "create", lambda: client.command(b"CREATE " + self.wire(name)), folder=name)
        if outcome == OK:
            self.folders[name] = False

    def free_folder(self, client):
        """One that never had others below it (of some it may not know any more), not selected."""
        bare = [f for f in sorted(self.folders) if f not in self.parents]
        if not bare:
            return None
        self.select(client, INBOX)
        return self.dice.choice(bare)

    def inside(self, folder):
        return [k for k in self.own if k[0] == folder]

    def rename(self, client):
        folder = self.free_folder(client)
        if not folder:
            return
        to = self.name_folder()
        if to.startswith(folder + "/"):
            self.parents.discard(folder)
            return
        keys = self.inside(folder)
        outcome = self.ask(client, "rename", lambda: client.command(b"RENAME %s %s" % (self.wire(folder), self.wire(to))),
                              keys + [folder], folder=folder, to=to)
        if outcome != OK:
            return
        self.folders[to] = self.folders.pop(folder)
        for key in keys:
            self.own[to, key[1]] = self.own.pop(key)
        for been in self.been.values():
            if folder in been:
                been.add(to)

    def delete(self, client):
        folder = self.free_folder(client)
        if not folder:
            return
        keys = self.inside(folder)
        outcome = self.ask(client, "delete", lambda: client.command(b"DELETE " + self.wire(folder)), keys + [folder],
                              folder=folder)
        if outcome == OK:
            self.leave_alone(keys + [folder])

    def subscribe(self, client):
        folder = self.dice.choice(sorted(self.folders))
        on = not self.folders[folder]
        outcome = self.ask(client, "subscribe", lambda: client.command(
            b"%s %s" % (b"SUBSCRIBE" if on else b"UNSUBSCRIBE", self.wire(folder))), [folder], folder=folder, on=on)
        if outcome == OK and folder in self.folders:
            self.folders[folder] = on


# ---- POP3

class Popper(Actor):
    """Reads a maildrop, deletes what was delivered for it, says QUIT or just goes."""

    def mine(self, stamp):
        return stamp.startswith("pop-" + self.user.split("@")[0] + "-")

    def visit(self):
        client, self.side, begun = None, None, time.time()
        try:
            client = PopClient(self.world.address, self.world.port("pop3", self.visits), name=self.name, timeout_s=TIMEOUT_S)
            if not client.login(self.user, self.world.password(self.user)).startswith(b"+OK"):
                return
            self.session(client, begun)
        except (OSError, ValueError, EOFError):
            pass
        finally:
            if client:
                client.close()
        self.stopping.wait(self.dice.uniform(0.2, 1.5))

    def session(self, client, begun):
        ids = dict(line.split(b" ", 1) for line in client.lines(b"UIDL"))
        known = time.time()     # some servers look at the maildrop only now
        stamps, seen = {}, {}
        for number in ids:
            found = STAMP.search(b"\n".join(client.lines(b"TOP %s 0" % number)))
            if not found:
                return
            stamp = found.group(1).decode()
            stamps[stamp] = number
            seen[stamp] = [seen.get(stamp, [0])[0] + 1, None]
        self.history.add("look", self.user, self.name, at=begun, end=known, outcome=OK, folder=INBOX, seen=seen)
        self.history.add("uidl", self.user, self.name, at=begun, end=known, outcome=OK,
                         ids={s: ids[n].decode() for s, n in stamps.items()})
        mine = [s for s in sorted(stamps) if self.mine(s)]
        chosen = [s for s in mine if self.dice.random() < (0.3 if len(mine) < 8 else 0.8)]
        self.take(client, {s: stamps[s] for s in chosen})

    def take(self, client, chosen):
        """RETR and DELE of each, then QUIT: only that makes it so (RFC 1939 6)."""
        begun, outcome, marked = time.time(), FAIL, []
        try:
            for stamp, number in chosen.items():
                client.lines(b"RETR " + number)
                if client.command(b"DELE " + number).startswith(b"+OK"):
                    marked.append(stamp)
            if self.dice.random() < 0.1:
                return
            outcome = UNKNOWN
            answer = client.command(b"QUIT")
            outcome = OK if answer.startswith(b"+OK") else UNKNOWN
        finally:
            for stamp in marked:
                self.history.add("expunge", self.user, self.name, at=begun, end=time.time(), outcome=outcome,
                                 folder=INBOX, stamp=stamp)


# ---- mail that arrives

class Mta(Actor):
    """Delivers to everybody: where the lookup says, and now and then to old, as those do who know old's name yet."""

    def __init__(self, world, name):
        super().__init__(world, None, name)

    def visit(self):
        user = self.dice.choice(self.world.users)
        local = user.split("@")[0]
        stamp = "%s-%s-%s" % (self.dice.choice(("pop", "mta")), local, self.stamp())
        side = "old" if self.dice.random() < 0.2 else self.world.lookup(user, self.visits)
        if side:
            self.deliver(user, stamp, side)
        self.stopping.wait(self.dice.expovariate(1 / (6 * self.world.pace_s)))

    def deliver(self, user, stamp, side):
        begun, outcome = time.time(), UNKNOWN
        conf = self.world.server(side).folder + "/dovecot.conf"
        try:
            done = subprocess.run([LDA, "-c", conf, "-d", user, "-f", "sender@example.org"],
                                  input=mail.message(stamp, 600), timeout=TIMEOUT_S, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            outcome = OK if done.returncode == 0 else FAIL
        except subprocess.TimeoutExpired:
            pass
        self.history.add("deliver", user, self.name, at=begun, end=time.time(), outcome=outcome, folder=INBOX,
                         stamp=stamp, side=side)


def ask_route(path, user, timeout_s=5):
    """Postfix's question (socketmap): "old", "new", or None where it is to wait or nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout_s)
            s.connect(path)
            body = b"route " + user.encode()
            s.sendall(b"%d:%s," % (len(body), body))
            heard = b""
            while not heard.endswith(b","):
                data = s.recv(4096)
                if not data:
                    return None
                heard += data
    except OSError:
        return None
    found = re.search(rb":OK smtp:\[(old|new)\.", heard)
    return found and found.group(1).decode()
