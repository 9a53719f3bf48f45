"""
The stage of chaos: two Dovecots with a line before each that can fail, mailferry between, small disks that can be
filled, somebody who reads the store's history as it is written (watch.py), and a reader of all that is left in the
end. With several hosts mailferry is hosts.py.
"""

import collections
import glob
import json
import os
import re
import shutil
import subprocess
import time

from lib import processes, reader
from lib.ca import CA
from lib.dovecot import Dovecot
from lib.mailferry import CommandFailed, Mailferry

from actors import ask_route
from history import History
from hosts import WORKERS, Hosts
from line import Lines
from watch import BUDGET_S, DatabaseRows, FileRows, JournalWatch, Watch

MASTERS = {"ferry": "ferry-master-secret"}
HOLD_S = 9
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
PUSH_S = 3

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
    """users, hosts: how many. All that it starts, end() ends."""

    def __init__(self, folder, build, seed, users, pace_s=0.15, settings=None, hosts=1):
        self.folder, self.seed, self.pace_s = folder, seed, pace_s
        self.history = History()
        self.users = ["%s@example.com" % name_of(i) for i in range(users)]
        self.address = "127.0.0.1"
        self.refusals = collections.Counter()
        self.build, self.settings = build, settings or {}
        self.host_count = hosts
        self.ferry = self.watch = self.lines = None
        self.watches = []
        self.ferries, self.sockets = [], []     # of each host
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
        self._build_ferry(ports)
        self.ferry.start()
        self.ferry.import_users(self.users)
        self.watches = [Watch(FileRows(self.ferry), self.history)] if self.host_count == 1 else [
            Watch(DatabaseRows(self.ferry.postgres.url), self.history), JournalWatch(self.ferry.postgres.url, self.history)]
        self.watch = self.watches[0]
        self.ferry.wait_state(self.users, "ready", 120)
        return self

    def _build_ferry(self, ports):
        self.mta_folder = os.path.join(self.folder, "mta")
        os.makedirs(self.mta_folder)
        os.chmod(self.mta_folder, 0o777)
        if self.host_count == 1:
            self.ferry = self._host(ports, "ferry", {}, "store")
            return
        names = ["mx%d" % n for n in range(1, self.host_count + 1)]
        self.ferry = Hosts(os.path.join(self.folder, "pg"), names,
                           lambda name, more: self._host(ports, name, dict(more, sync={"workers": WORKERS}), name + " flips"))
        for name, f in zip(names, self.ferries):
            self.disks[name + " journals"] = Disk(f.folder + "/journals", DISKS["store"], f.account)

    def _host(self, ports, name, more, disk):
        """disk: what the one with its store (or its flip log) is called."""
        self.sockets.append(os.path.join(self.mta_folder, name))
        f = Mailferry(os.path.join(self.folder, name), self.ca, *self.servers.values(), build=self.build,
                      settings=self._settings(ports, self.sockets[-1], more))
        self.ferries.append(f)
        self.disks[disk] = Disk(f.folder + "/store", DISKS["store"], f.account)
        return f

    def _settings(self, ports, socket, more):
        made = {name: dict(values) for name, values in SETTINGS.items()}
        made["lookup"] = {"listen": "unix:" + socket, "old": "smtp:[old.example.com]", "new": "smtp:[new.example.com]"}
        for name, ours in ports.items():
            made["backend " + name] = {"imap_port": ours["imaps"][0], "pop3_port": ours["pop3s"][0]}
        for name, values in list(more.items()) + list(self.settings.items()):
            made.setdefault(name, {}).update(values)
        return made

    # ---- for actors

    @staticmethod
    def password(user):
        return "secret-of-" + user.split("@")[0]

    def server(self, side):
        return self.servers[side]

    def port(self, protocol, turn):
        """Each time of another host."""
        return self.ferries[turn % len(self.ferries)].ports[protocol]

    def lookup(self, user, turn):
        return ask_route(self.sockets[turn % len(self.sockets)], user)

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
        if self.host_count > 1:
            self.ferry.tell_doubts(self.history)
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
        for watch in self.watches:
            watch.end()
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
