"""
The stage of chaos: two Dovecots with a line before each that can fail, mailferry between, small disks that can be
filled, somebody who reads the store's history as it is written, and a reader of all that is left in the end.
"""

import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from lib import processes, reader
from lib.ca import CA
from lib.dovecot import Dovecot
from lib.mailferry import CommandFailed, Mailferry

from actors import ask_route
from history import History, move_verb
from line import Lines

MASTERS = {"ferry": "ferry-master-secret"}
BUDGET_S, HOLD_S = 5, 9
DISKS = {"old": "256M", "new": "256M", "store": "24M"}
SETTINGS = {
    "cutover": {"budget_s": BUDGET_S, "hold_s": HOLD_S, "retry_s": 1, "tries": 100},
    "sync": {"workers": 6, "connections": 2, "delta_s": 2, "trailing_s": 2, "fence_s": 2, "retry_s": 1, "io_s": 20,
             "delete_brake": 100000, "delete_brake_percent": 100, "trouble_s": 10},
    "gate": {"uidvalidity": "warn", "strangers": "warn", "unseen": "warn"},
    "pop3": {"uidl": "keep"},
    "tls": {"allow_cleartext": True},
    "limits": {"refusal_s": 0, "drop_per_s": 1000, "stall_s": 10},
    "run": {"nodes": 2, "hang_s": 3600},
    "log": {"level": "info"},
}
COMMAND = re.compile(rb"^(\d+\.\d+) (k\w+v\d+a\d+) ", re.M)
POP3_COMMAND = re.compile(rb"^(\d+\.\d+) (RETR|DELE) \d+\r", re.M)     # such as only clients say
STATE_POLL_S = 0.02
PUSH_S = 3

# Who may read the store's file: the daemons' account, so this runs as theirs.
WATCH = """
import sqlite3, sys, time
last, db = 0, None
while True:
    try:
        db = db or sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True, timeout=1)
        for row in db.execute("SELECT h.id, h.name, h.at, from_state, to_state, h.direction, actor, why,"
                              " coalesce(u.hold_until, 0) FROM history h LEFT JOIN users u ON u.name = h.name"
                              " WHERE h.id > ? ORDER BY h.id", (last,)):
            last = row[0]
            print("\\t".join(str(c).replace("\\n", " ").replace("\\t", " ") for c in row), flush=True)
    except sqlite3.Error:
        db = None
    time.sleep(float(sys.argv[2]))
"""


class Watch(threading.Thread):
    """Each row of the store's history, as it comes: into our history, and for those who wait for a step."""

    def __init__(self, ferry, history):
        super().__init__(daemon=True)
        self.history, self.news, self.state = history, threading.Condition(), {}
        self.counts = collections.Counter()
        who = {"user": ferry.account.pw_uid, "group": ferry.account.pw_gid} if ferry.account else {}
        path = os.path.join(ferry.folder, "store", "mailferry.db")
        self.process = subprocess.Popen([sys.executable, "-c", WATCH, path, str(STATE_POLL_S)], stdout=subprocess.PIPE,
                                        text=True, cwd="/", **who)
        self.start()

    def run(self):
        for line in self.process.stdout:
            _, name, at, before, after, direction, actor, why, until = line.rstrip("\n").split("\t")
            verb = move_verb(before, after, direction)
            with self.news:
                self.state[name] = after
                self.counts[verb] += 1
                self.counts["flip back"] += verb == "flip" and direction == "back"
                about = {"until": int(at) / 1000 + BUDGET_S} if verb == "freeze" else {}
                self.history.add(verb, name, actor, at=int(at) / 1000, direction=direction, to=after, why=why, **about)
                self.news.notify_all()

    def wait(self, verbs, timeout_s):
        """Until one of these moves is written; its user, or None."""
        with self.news:
            before = sum(self.counts[v] for v in verbs)
            self.news.wait_for(lambda: sum(self.counts[v] for v in verbs) > before, timeout_s)
            if sum(self.counts[v] for v in verbs) == before:
                return None
            return next(r["user"] for r in reversed(self.history.rows) if r["verb"] in verbs)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.join()


class Disk:
    """A small file system of its own, where root allows; it can be filled up."""

    def __init__(self, path, size, owner):
        os.makedirs(path, exist_ok=True)
        self.path, self.full = path, os.path.join(path, ".full")
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=755" % size, "none", path],
                                      stderr=subprocess.DEVNULL).returncode == 0
        if owner:
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def fill(self):
        with open(self.full, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(1 << 16))
            except OSError:
                pass

    def clear(self):
        if os.path.exists(self.full):
            os.unlink(self.full)

    def end(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=False)


class World:
    """users: how many. All that it starts, end() ends."""

    def __init__(self, folder, build, seed, users, pace_s=0.15, settings=None):
        self.folder, self.seed, self.pace_s = folder, seed, pace_s
        self.history = History()
        self.users = ["%s@example.com" % name_of(i) for i in range(users)]
        self.address = "127.0.0.1"
        self.refusals = collections.Counter()
        self.build, self.settings = build, settings or {}
        self.ferry = self.watch = self.lines = None
        self.disks, self.servers, self.pushed = {}, {}, {}
        self.ca = CA(os.path.join(folder, "ca"))

    def start(self):
        passwords = {u: self.password(u) for u in self.users}
        for name, options in (("old", dict(separator=".", prefix="INBOX.")), ("new", dict(storage="sdbox"))):
            server = self.servers[name] = Dovecot(name, os.path.join(self.folder, name), self.ca, passwords, MASTERS,
                                                  rawlog=True, **options)
            self.disks[name] = Disk(server.folder + "/mail", DISKS[name], server._account)
            server.start()
        whats = ("imaps", "pop3s")
        ports = {name: dict(zip(whats, zip(processes.free_ports(2), (s.ports[w] for w in whats))))
                 for name, s in self.servers.items()}
        self.lines = Lines(ports)
        self.ferry = Mailferry(os.path.join(self.folder, "ferry"), self.ca, *self.servers.values(), build=self.build,
                               settings=self._settings(ports))
        self.disks["store"] = Disk(self.ferry.folder + "/store", DISKS["store"], self.ferry.account)
        self.ferry.start()
        self.imap_port, self.pop_port = self.ferry.ports["imap"], self.ferry.ports["pop3"]
        self.ferry.import_users(self.users)
        self.watch = Watch(self.ferry, self.history)
        self.ferry.wait_state(self.users, "ready", 120)
        return self

    def _settings(self, ports):
        folder = os.path.join(self.folder, "mta")
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        self.socket = folder + "/lookup"
        made = {name: dict(values) for name, values in SETTINGS.items()}
        made["lookup"] = {"listen": "unix:" + self.socket, "old": "smtp:[old.example.com]",
                          "new": "smtp:[new.example.com]"}
        for name, ours in ports.items():
            made["backend " + name] = {"imap_port": ours["imaps"][0], "pop3_port": ours["pop3s"][0]}
        for name, values in self.settings.items():
            made.setdefault(name, {}).update(values)
        return made

    # ---- for actors

    @staticmethod
    def password(user):
        return "secret-of-" + user.split("@")[0]

    def server(self, side):
        return self.servers[side]

    def lookup(self, user):
        return ask_route(self.socket, user)

    def refused(self, who, line):
        self.refusals[line[:60].decode("ascii", "replace")] += 1

    def mishap(self, what, text):
        self.history.add("mishap", None, "nemesis", what=what, text=text)

    # ---- the end

    def rest(self, timeout_s=180):
        """
        Until nobody is on the way and two passes more have gone over each of them, with nothing left to do. Who is
        returning gets there: meanwhile nothing is brought from old.
        """
        first, last = {}, {}

        def rests():
            try:
                users = self.ferry.cli("users")["users"]
            except CommandFailed:       # the engine is only just started again
                return False
            for u in users:
                last[u["name"]] = u
                if u["state"] not in ("ready", "trailing") or u["go"]:
                    first.pop(u["name"], None)
                    self.push(u)
                else:
                    first.setdefault(u["name"], u["progress"]["passes"])
            return all(n in first and last[n]["progress"]["passes"] >= first[n] + 3 and
                       (last[n]["progress"]["clean"] or last[n]["state"] == "trailing") for n in self.users)
        try:
            processes.wait_until(rests, timeout_s, "everybody to rest")
        except TimeoutError:
            for user in self.users:
                u = last.get(user)
                if not u or user not in first or not u["progress"]["clean"] and u["state"] != "trailing":
                    self.history.add("stuck", user, "engine", text=json.dumps(u))

    def push(self, user):
        """Somebody who is on his way, now and then."""
        if time.monotonic() - self.pushed.get(user["name"], 0) > PUSH_S:
            self.pushed[user["name"]] = time.monotonic()
            if user["state"] == "returning" and not user["go"]:
                self.ferry.command("rollback", user["name"], "--no-wait", check=False)
            self.ferry.command("retry", user["name"], check=False)

    def read_all(self):
        """What both servers hold of everybody, and which commands of clients they were told."""
        states = {u["name"]: u for u in self.ferry.cli("users")["users"]}
        for user in self.users:
            for side, server in self.servers.items():
                folders = reader.read(server, user, None, self.password(user))
                held = {}
                for path, folder in folders.items():
                    at = held["/".join(path)] = {}
                    for m in folder.messages:
                        at.setdefault(m.stamp, []).append([sorted(m.flags), m.sha256])
                self.history.add("final", user, side, side=side, folders=held, winner=states[user]["route"] == side,
                                 state=states[user]["state"],
                                 subscribed=["/".join(p) for p, f in folders.items() if f.subscribed])
                self._read_commands(user, side, server)

    def _read_commands(self, user, side, server):
        for path in glob.glob(os.path.join(server.folder, "rawlog", user, "*.in")):
            with open(path, "rb") as f:
                said = f.read()
            found = [(at, tag.decode()) for at, tag in COMMAND.findall(said)]
            found += [(at, "%s %s" % (os.path.basename(path), at.decode())) for at, _ in POP3_COMMAND.findall(said)]
            for at, tag in found:
                self.history.add("heard", user, side, at=float(at), side=side, tag=tag)

    def end(self, keep=False):
        if self.ferry:
            self.ferry.stop()
        if self.watch:
            self.watch.end()
        for server in self.servers.values():
            server.stop()
        if self.lines:
            self.lines.end()
        for disk in self.disks.values():
            disk.end()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def name_of(i):
    return "%s%d" % ("abcdefghij"[i % 10], i)
