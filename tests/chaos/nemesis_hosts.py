"""
What goes wrong where several hosts share a store: whole hosts die, engines sleep longer than their lease, and the store
is a server that stands still or dies. All else as in nemesis.py, at any of the hosts.
"""

import contextlib
import signal
import subprocess

from lib import processes

import hosts
import nemesis

LEND_WAIT_S = 6
BEAT_S = 0.05


class HostsNemesis(nemesis.Nemesis):

    def victim(self, which):
        """Of all hosts; the host first, since one that stands by has few workers."""
        found = {"node": self.ferry.nodes, "worker": self.ferry.workers, "engine": self.ferry.engines}[which]()
        names = sorted({hosts.Hosts.name_of(f) for f, _ in found})
        name = self.dice.choice(names) if names else None
        pids = [pid for f, pid in found if hosts.Hosts.name_of(f) == name]
        return self.dice.choice(pids) if pids else None

    def any_host(self, stands_by=False):
        """One that lives; None if there is none."""
        found = self.ferry.living()
        if stands_by:
            at_work = self.ferry.at_work()
            found = [f for f in found if f is not at_work]
        return self.dice.choice(found) if found else None

    def wait_errand(self, f):
        """Until the host, that stands by, has a worker; True if it has."""
        for _ in range(int(LEND_WAIT_S / BEAT_S)):
            if any(host is f for host, _ in self.ferry.workers()):
                return True
            if self.stopping.wait(BEAT_S):
                break
        return False

    def when(self, f, errand):
        """Until it is time for a mishap of this host; what time that was."""
        if errand:
            return "%s, %s errand" % (hosts.Hosts.name_of(f), "at an" if self.wait_errand(f) else "no")
        return "%s, %s" % (hosts.Hosts.name_of(f), self.step() if self.dice.random() < 0.7 else "any time")

    # ---- hosts

    def host_dies(self, low, high):
        errand = self.dice.random() < 0.5
        f = self.any_host(stands_by=errand)
        if not f:
            return
        at = self.when(f, errand)
        if not self.ferry.kill(f):
            return
        self.kills["host"] += 1
        self.world.mishap("kill host", at)
        try:
            self.wait(low, high)
        finally:
            self.ferry.revive(f)
            self.world.mishap("host is back", hosts.Hosts.name_of(f))

    def kill_host(self):
        """All of it at one instant; back before its lease is over, or after."""
        self.host_dies(0, 16)

    def kill_host_long(self):
        """Until its nodes count as gone."""
        self.host_dies(62, 75)

    def engine_sleeps(self, stands_by):
        """With its workers, past its lease; these may wake first."""
        f = self.any_host(stands_by)
        if not f:
            return
        at = self.when(f, stands_by)
        pids = [pid for host, pid in self.ferry.engines() + self.ferry.workers() if host is f]
        for pid in pids:
            processes.send(pid, signal.SIGSTOP)
        self.world.mishap("sleep engine", at)
        try:
            self.wait(10.5, 20)
        finally:
            self.dice.shuffle(pids)
            for pid in pids:
                processes.send(pid, signal.SIGCONT)
            self.world.mishap("wake engine", at)

    def sleep_engine(self):
        self.engine_sleeps(False)

    def sleep_stand_by(self):
        self.engine_sleeps(True)

    # ---- the store

    @contextlib.contextmanager
    def lasting(self, what, then):
        self.world.mishap(what, "")
        try:
            yield
        finally:
            self.world.mishap(then, "")

    def stop_store(self):
        with self.lasting("store stands still", "store goes on"):
            self.ferry.postgres.pause()
            try:
                self.wait(0.5, 6)
            finally:
                self.ferry.postgres.resume()

    def lock_store(self):
        """Nobody else can write; as beside a transaction that takes very long."""
        with self.lasting("store locked", "store free"):
            psql = subprocess.Popen(["psql", "-qAtX", "-c", "SELECT pg_advisory_lock(%d), pg_sleep(60)" % hosts.WRITE_LOCK,
                                     self.ferry.postgres.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                self.wait(0.5, 8)
            finally:
                self.ferry.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'")
                psql.wait()

    def lose_store(self):
        """It dies as by a power cut, and whoever is started meanwhile finds none; then it is there again."""
        with self.lasting("store lost", "store back"):
            self.ferry.postgres.stop()
            try:
                which = self.dice.choice(("node", "engine"))
                pid = self.victim(which)
                if pid and processes.send(pid, signal.SIGKILL):
                    self.kills[which] += 1
                self.wait(0.5, 4)
            finally:
                self.ferry.postgres.start()

    def full_store(self):
        """There is no room for a host's flip log, or for journals."""
        f = self.any_host()
        if f:
            self.fill("%s %s" % (hosts.Hosts.name_of(f), self.dice.choice(("flips", "journals"))))


USUAL = nemesis.USUAL + ["kill_host"] * 4 + ["sleep_stand_by"] * 3 + ["sleep_engine"] * 2 + ["stop_store"] * 2 + ["full_store"]
LONG = ["stop_node_long", "stop_node_long", "kill_host_long"]
