#!/usr/bin/python3
"""
Three hosts with one store: moves live users in waves while nodes, engines and whole hosts die, stand still or are cut
off, and proves that nobody has lost anything.

    tests/demo/cluster.py [--build DIR]     exit 0 only if nothing was lost or doubled and no login failed

Each host is a network namespace with `mailferry run`: one proxy node, and an engine that is at work on one of them and
stands by on the others, making passes for it. PostgreSQL, the mail servers and the clients are outside; the copier's
journals are in a folder that the hosts share. Needs root.
"""

import argparse
import itertools
import os
import signal
import sys
import threading
import time

from net import OUTSIDE, STORE, SUBNET, Net
from screen import Screen
from world import Failed, end_on_signals, tell

from lib import mail, processes, reader
from lib.ca import CA
from lib.clients import BusyClient, IdleClient, Prober
from lib.dovecot import Dovecot
from lib.imapclient import ImapClient, client_context
from lib.ledger import Ledger
from lib.mailferry import CommandFailed, Mailferry
from lib.postgres import Postgres

import shutil
import tempfile

HOSTS = ("mx1", "mx2", "mx3")
PORT = 1993
WAVES = ("1", "2", "3", "4")
USERS_PER_WAVE = 4
MESSAGES = 60
READY_S, WAVE_S = 90, 90
CUT_S = 12              # longer than a node's lease, shorter than its fence
NO_SERVICE_S = 25       # a client may look for another host, or wait for a hold, so long
AFTERLIFE_S = 3
WAKES_S = 5             # a node that was stopped tells those who waited at it within so long


class Roaming:
    """A client that knows all hosts' addresses, and tries the next one each time, as with several A records."""

    def __init__(self, *args, addresses, first, **kw):
        super().__init__(*args, **kw)
        self._addresses = itertools.cycle(addresses[first:] + addresses[:first])
        self.cut_logins = 0

    def visit(self):
        self.address = next(self._addresses)
        super().visit()

    def login_cut(self, e):
        self.cut_logins += 1    # the host died under it: the next one is asked

    def without_service_s(self):
        """The longest time from the end of a visit to the next login."""
        ends = [0.0] + [v.closed for v in self.visits if v.logged_in]
        starts = [v.logged_in for v in self.visits if v.logged_in]
        return max([b - a for a, b in zip(ends[1:], starts[1:])], default=0.0)


class Idle(Roaming, IdleClient):
    pass


class Busy(Roaming, BusyClient):
    pass


class Login(Roaming, Prober):
    pass


class Cluster:
    def __init__(self, screen, build):
        self.screen, self.build = screen, build
        self.folder = tempfile.mkdtemp(prefix="mailferry-cluster-")
        os.chmod(self.folder, 0o755)
        self.net = Net(HOSTS)
        self.waves = {w: ["user%s%d@example.com" % (w, i) for i in range(USERS_PER_WAVE)] for w in WAVES}
        self.users = {u: "secret of " + u for users in self.waves.values() for u in users}
        self.ledgers = {u: Ledger() for u in self.users}
        self.clients, self.hosts, self.events = [], {}, []
        self.old = self.new = self.store = None
        self.asleep = (0, 0)    # from when to when a node stood still

    # ---- the stage

    def build_stage(self):
        self.screen.step("three hosts on a bridge: %s" % ", ".join("%s %s" % h for h in self.net.addresses.items()))
        self.net.up()
        ca = CA(os.path.join(self.folder, "ca"))
        self.context = client_context(ca.cert)
        self.context.check_hostname = False     # hosts are dialled by address here; the chain is verified
        masters = {"ferry": "the ferry's secret"}
        self.old = Dovecot("old", self.folder + "/old", ca, self.users, masters, separator=".", prefix="INBOX.")
        self.new = Dovecot("new", self.folder + "/new", ca, self.users, masters, storage="sdbox")
        self.store = Postgres(self.folder + "/pg", STORE, SUBNET)
        self.screen.step("PostgreSQL on %s, two Dovecots on %s" % (STORE, OUTSIDE))
        self.store.start()
        for server in (self.old, self.new):
            server.address = OUTSIDE
            server.start()
        for user in self.users:
            self.fill(user)
        for host in HOSTS:
            self.hosts[host] = Mailferry(
                os.path.join(self.folder, host), ca, self.old, self.new, build=self.build,
                address=self.net.addresses[host], prefix=self.net.prefix(host),
                listeners={"imaps": ("imap", "implicit")},
                settings={"store": {"url": self.store.url}, "run": {"host": host, "nodes": 1},
                          "listener imaps": {"port": PORT}, "log": {"level": "info"},
                          "sync": {"fence_s": 5, "workers": 2, "dir": self.folder + "/journals"}, "cutover": {"retry_s": 2, "tries": 100}})
            self.hosts[host].start(new_store=host == HOSTS[0])

    def fill(self, user):
        client = ImapClient(self.old.address, self.old.ports["imaps"], self.context)
        client.login(user, self.users[user])
        tags = [client.begin_append(b"INBOX", mail.message("%s-%d" % (user.split("@")[0], i), 500 + 31 * i), b"\\Seen",
                                    mail.imap_date(1600000000 + 60 * i)) for i in range(MESSAGES)]
        for tag in tags:
            client.finish(tag)
        client.logout()
        self.ledgers[user].start_from(reader.read(self.old, user, self.context))

    def connect(self):
        addresses = list(self.net.addresses.values())
        for n, (user, password) in enumerate(self.users.items()):
            for kind in (Idle, Login) + ((Busy,) if n % 2 == 0 else ()):
                self.clients.append(kind("%s %s" % (user.split("@")[0], kind.__name__.lower()), user, password,
                                         addresses[0], PORT, self.context, self.ledgers[user],
                                         addresses=addresses, first=n % len(addresses),
                                         **({"pace_s": 0.5} if kind is Login else {})))
        for c in self.clients:
            c.start()
        for c in self.clients:
            c.wait_on("old", 60)

    # ---- what happens to hosts

    def event(self, text):
        self.events.append(text)
        self.screen.step("  " + text)

    def ask(self):
        """Any host whose engine answers."""
        for f in self.hosts.values():
            if f.alive() and f.command("status", check=False).returncode == 0:
                return f
        raise Failed("no engine answers")

    def engines(self):
        return {g["host"]: g["is"] for g in self.ask().cli("status")["engines"]}

    def at_work(self):
        def look():
            return next((h for h, what in self.engines().items() if what == "at work" and self.hosts[h].alive()), None)
        return self.wait(look, 40, "an engine to be at work")

    def lent(self):
        """Passes that each host has made for another one's engine."""
        return {host: f.log_text(100000).count("pass made for the engine at work") for host, f in self.hosts.items()}

    def kill_node(self, host):
        for pid in self.hosts[host].nodes():
            self.hosts[host].kill(pid)
        self.event("%s: its node was killed" % host)

    def kill_host(self, host):
        f = self.hosts[host]
        for pid in [f.pid] + processes.descendants(f.pid):
            f.kill(pid)
        f.stop()
        self.event("%s: everything on it was killed" % host)

    def start_host(self, host):
        self.hosts[host].start(new_store=False)
        self.event("%s: is back" % host)

    def cut(self, host):
        self.net.cut_store(host)
        self.event("%s: cut off from the store" % host)

    def join(self, host):
        self.net.join_store(host)
        self.event("%s: has the store again" % host)

    def stop_process(self, host, pid, what):
        processes.send(pid, signal.SIGSTOP)
        self.event("%s: its %s stands still" % (host, what))

    def wake_process(self, host, pid, what):
        processes.send(pid, signal.SIGCONT)
        self.event("%s: its %s wakes" % (host, what))

    # ---- the story

    def play(self):
        self.build_stage()
        self.screen.step("live clients on all hosts: %d" % (USERS_PER_WAVE * len(WAVES) * 5 // 2))
        self.connect()
        self.screen.step("importing and copying %d users" % len(self.users))
        rows = [{"user": u, "old_login": u, "new_login": u, "wave": w} for w, users in self.waves.items() for u in users]
        self.ask().import_users(rows)
        self.wait_states("ready", list(self.users), READY_S)
        self.screen.step("engines: %s" % ", ".join("%s %s" % g for g in self.engines().items()))
        for wave, trouble in zip(WAVES, (self.trouble_nodes, self.trouble_host, self.trouble_store, self.trouble_sleep)):
            self.screen.step("wave %s begins" % wave)
            self.ask().command("cutover", "--wave", wave, "--no-wait")
            self.wait(lambda: self.moving(wave), 60, "a cutover of wave %s to begin" % wave)
            trouble()
            self.wait_states("trailing", self.waves[wave], WAVE_S)
            for c in self.clients:
                if c.user in self.waves[wave]:
                    c.wait_on("new", 60)
            self.screen.step("wave %s: every client is back, on new" % wave)
        threading.Event().wait(AFTERLIFE_S)
        self.part()

    def moving(self, wave):
        users = [u for u in self.ask().cli("users")["users"] if u["name"] in self.waves[wave]]
        return any(u["state"] != "ready" for u in users)

    def trouble_nodes(self):
        """A node that dies is started again by its host."""
        self.kill_node("mx2")

    def trouble_host(self):
        """The engine at work dies, and the node beside it, and what would start them again."""
        victim = self.at_work()
        self.kill_host(victim)
        self.event("%s: its engine is at work now" % self.at_work())
        self.start_host(victim)

    def trouble_store(self):
        """A node that cannot be asked is waited for, never passed over."""
        victim = next(h for h in HOSTS if h != self.at_work())
        self.cut(victim)
        threading.Event().wait(CUT_S)
        self.join(victim)

    def trouble_sleep(self):
        """An engine that wakes late finds another one at work, a node that wakes late its lease gone."""
        victim = self.at_work()
        f = self.hosts[victim]
        engine, node = f.engine(), f.nodes()[0]
        self.stop_process(victim, engine, "engine")
        self.stop_process(victim, node, "node")
        slept = time.time()
        self.wait(lambda: self.taken_over(victim), 40, "another engine to take over")
        self.event("%s: its engine is at work now" % self.at_work_but(victim))
        self.wake_process(victim, node, "node")
        self.asleep = (slept, time.time() + WAKES_S)
        self.wake_process(victim, engine, "engine")

    def taken_over(self, victim):
        return self.at_work_but(victim) is not None

    def at_work_but(self, victim):
        for host, f in self.hosts.items():
            if host != victim:
                done = f.cli("status")["engines"]
                return next((g["host"] for g in done if g["is"] == "at work" and g["host"] != victim), None)
        return None

    def wait_states(self, state, users, timeout_s):
        last = {}

        def there():
            last.update({u["name"]: u for u in self.ask().cli("users")["users"]})
            return all(last[u]["state"] == state for u in users)
        self.wait(there, timeout_s, lambda: "all to be %s:\n%s" % (state, "\n".join(
            self.ask().command("why", u, check=False).stdout for u in users if last.get(u, {}).get("state") != state)))

    @staticmethod
    def wait(check, timeout_s, what):
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                found = check()
            except (CommandFailed, ValueError):     # an engine that dies while it is asked
                found = None
            if found:
                return found
            if time.monotonic() > deadline:
                raise Failed("not within %d s: %s" % (timeout_s, what() if callable(what) else what))
            threading.Event().wait(0.2)

    def part(self):
        for c in self.clients:
            c.stopping.set()
        for c in self.clients:
            c.finish()

    # ---- the proof

    def report(self):
        self.screen.step("asking both servers for every message")
        self.screen.text()
        wrong, rows = [], []
        for wave, users in self.waves.items():
            for user in users:
                rows.append([wave] + self.user_row(user, wrong))
        self.screen.table(["wave", "user", "as promised", "lost", "doubled", "changes", "logins", "refused",
                           "node asleep", "cut at login", "longest without"], rows)
        self.screen.text("\npasses made for another host's engine: %s" % ", ".join("%s %d" % p for p in self.lent().items()))
        if not any(self.lent().values()):
            wrong.append("no host has made a pass for the engine at work")
        self.screen.text("\nwhat was done meanwhile:\n  " + "\n  ".join(self.events))
        for host, f in self.hosts.items():
            wrong += ["%s: %s" % (host, line) for line in f.complaints()]
        return wrong

    def user_row(self, user, wrong):
        mine = [c for c in self.clients if c.user == user]
        result = self.ledgers[user].check(reader.read(self.new, user, self.context))
        refused = [(c.name, why) for c in mine for at, why in c.failed_logins if not self.was_asleep(at, why)]
        told = sum(1 for c in mine for at, why in c.failed_logins if self.was_asleep(at, why))
        longest = max(c.without_service_s() for c in mine)
        if not result.clean:
            wrong.append("%s: %s" % (user, result))
        wrong += ["%s: login failed: %s" % r for r in refused]
        wrong += ["%s: ended: %s" % (c.name, c.broken) for c in mine if c.broken]
        if longest > NO_SERVICE_S:
            wrong.append("%s was without service for %.0f s" % (user, longest))
        return [user.split("@")[0], result.compared, len(result.lost), len(result.doubled),
                len(self.ledgers[user].acknowledged), sum(1 for c in mine for v in c.visits if v.logged_in),
                len(refused), told, sum(c.cut_logins for c in mine), "%.1f s" % longest]

    def was_asleep(self, at, why):
        """A login that waited at a node that stood still: it is told to come again, and asks for no password."""
        return b"[UNAVAILABLE]" in why and self.asleep[0] <= at <= self.asleep[1]

    def logs(self):
        return "\n".join("---- log of %s, its last lines\n%s" % (host, f.log_text(80)) for host, f in self.hosts.items())

    def end(self, _wrong):
        for f in self.hosts.values():
            f.stop()
        for server in (self.old, self.new, self.store):
            if server:
                server.stop()
        self.net.down()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=None, help="folder of the programs")
    options = parser.parse_args()
    end_on_signals()
    screen = Screen()
    return tell("demo-cluster", screen, Cluster(screen, options.build), "nothing lost, nothing doubled, no login failed")


if __name__ == "__main__":
    sys.exit(main())
