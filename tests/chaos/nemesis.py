"""
What goes wrong, and who is moved. Two threads: one moves users there and back without a break, the other does one
mishap after the other, each from the dice of the seed. Those with "at" strike when a user has just come to a step.
"""

import collections
import random
import shutil
import signal
import sqlite3
import subprocess
import threading

from lib import processes

STEPS = ("freeze", "finalize", "flip", "undo", "return")
STEP_WAIT_S = 4


class Mover(threading.Thread):
    """Cutovers and rollbacks, of whoever is at rest."""

    def __init__(self, world, pause_s):
        super().__init__(name="mover", daemon=True)
        self.world, self.pause_s = world, pause_s
        self.dice = random.Random("%s mover" % world.seed)
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.dice.expovariate(1 / self.pause_s)):
            user = self.dice.choice(self.world.users)
            state = self.world.watch.state.get(user)
            verb = {"ready": "cutover", "trailing": "rollback", "returning": "rollback"}.get(state)
            if verb and (state == "ready" or self.dice.random() < 0.8):
                self.ask(verb, user, "--no-wait")
            if self.dice.random() < 0.3:    # what was undone often would wait for long
                self.ask("retry", user)

    def ask(self, *words):
        try:
            self.world.ferry.command(*words, check=False)
        except (OSError, subprocess.TimeoutExpired):
            pass        # the engine is just dead, or the store is


class Nemesis(threading.Thread):
    """kinds: names of mishaps, each as often as it is in there."""

    def __init__(self, world, pause_s, kinds, name="nemesis"):
        super().__init__(name=name, daemon=True)
        self.world, self.ferry, self.pause_s, self.kinds = world, world.ferry, pause_s, kinds
        self.dice = random.Random("%s %s" % (world.seed, name))
        self.stopping = threading.Event()
        self.kills, self.counts = collections.Counter(), collections.Counter()
        self.broken = None

    def run(self):
        try:
            while not self.stopping.wait(self.dice.expovariate(1 / self.pause_s)):
                kind = self.dice.choice(self.kinds)
                self.counts[kind] += 1
                getattr(self, kind)()
        except Exception as e:
            self.broken = e
            raise

    def wait(self, low, high):
        """Of what lasts; cut short by the end of the run."""
        self.stopping.wait(self.dice.uniform(low, high))

    def step(self):
        """Until somebody comes to a step that the dice choose, and then a little while; what it was."""
        verb = self.dice.choice(STEPS)
        user = self.world.watch.wait((verb,), STEP_WAIT_S)
        self.stopping.wait(self.dice.choice((0, 0, 0.02, 0.1, 0.4)))
        return "%s of %s" % (verb, user) if user else "no %s" % verb

    # ---- processes

    def victim(self, which):
        ferry = self.ferry
        found = {"node": ferry.nodes, "worker": ferry.workers,
                 "engine": lambda: [p for p in [ferry.engine()] if p]}[which]()
        return self.dice.choice(found) if found else None

    def kill(self, which):
        at = self.step() if self.dice.random() < 0.7 else "any time"
        pid = self.victim(which)
        if pid and processes.send(pid, signal.SIGKILL):
            self.kills[which] += 1
            self.world.mishap("kill " + which, at)

    def kill_node(self):
        self.kill("node")

    def kill_engine(self):
        self.kill("engine")

    def kill_worker(self):
        self.kill("worker")

    def stand_still(self, which, low, high, at=None):
        at = at or (self.step() if self.dice.random() < 0.7 else "any time")
        pid = self.victim(which)
        if pid and processes.send(pid, signal.SIGSTOP):
            self.world.mishap("stop " + which, at)
            try:
                self.wait(low, high)
            finally:
                processes.send(pid, signal.SIGCONT)
                self.world.mishap("go on " + which, "")

    def stop_node(self):
        self.stand_still("node", 0.5, 8)

    def stop_node_long(self):
        """Longer than its lease and than its fence: others may take it for gone."""
        self.stand_still("node", 68, 80)

    def stop_quiet_node(self):
        """Just when it has said "quiet", until long after the verdict."""
        self.stand_still("node", 8, 11, "finalize of %s" % self.world.watch.wait(("finalize",), STEP_WAIT_S))

    def stop_engine(self):
        self.stand_still("engine", 0.5, 9)

    def stop_worker(self):
        self.stand_still("worker", 0.5, 7)

    # ---- servers and lines

    def side(self):
        return self.dice.choice(("old", "new"))

    def stop_server(self):
        side = self.side()
        server = self.world.server(side)
        self.world.mishap("stop server", side)
        server.pause()
        try:
            self.wait(0.5, 5)
        finally:
            server.resume()
            self.world.mishap("go on server", side)

    def hinder(self, verb, low, high, *more):
        side = self.side()
        self.world.mishap(verb, side)
        self.world.lines.tell(verb, side, *more)
        self.wait(low, high)
        self.world.lines.tell("go", side)
        self.world.mishap("end of " + verb, side)

    def stall(self):
        self.hinder("stall", 0.3, 7)

    def slow(self):
        self.hinder("slow", 2, 9, self.dice.uniform(0.01, 0.12))

    def late(self):
        """Who logs in does so for long, and who is in feels nothing: users are moved between a login's begin and its end."""
        self.hinder("late", 2, 9, self.dice.uniform(0.2, 2.5))

    def reset(self):
        side = self.side()
        self.world.mishap("reset", "%s at %s" % (side, self.step()))
        self.world.lines.tell("reset", side)

    # ---- disks and the store

    def fill(self, which):
        disk = self.world.disks[which]
        if disk.mounted:
            self.world.mishap("disk full", which)
            disk.fill()
            self.wait(0.5, 4)
            disk.clear()
            self.world.mishap("disk free", which)

    def full_mail(self):
        self.fill("new")

    def full_store(self):
        self.fill("store")

    def lock_store(self):
        """Nobody else can write; as on a disk that takes very long."""
        self.world.mishap("store locked", "")
        db = sqlite3.connect(self.ferry.folder + "/store/mailferry.db", timeout=2, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            self.wait(0.5, 8)
            db.execute("ROLLBACK")
        except sqlite3.Error:
            pass
        finally:
            db.close()
            self.world.mishap("store free", "")

    def lose_store(self):
        """It is away, and whoever is started meanwhile finds none; then it is there again."""
        path = self.ferry.folder + "/store/mailferry.db"
        self.world.mishap("store lost", "")
        for end in ("", "-wal", "-shm"):
            try:
                shutil.move(path + end, path + end + ".away")
            except OSError:
                pass
        try:
            which = self.dice.choice(("node", "engine"))
            pid = self.victim(which)
            if pid and processes.send(pid, signal.SIGKILL):
                self.kills[which] += 1
            self.wait(0.5, 4)
        finally:
            for end in ("", "-wal", "-shm"):
                try:
                    shutil.move(path + end + ".away", path + end)
                except OSError:
                    pass
            self.world.mishap("store back", "")


# How often each comes up.
USUAL = (["kill_node"] * 4 + ["kill_engine"] * 4 + ["kill_worker"] * 4 + ["stop_node"] * 3 + ["stop_quiet_node"] + ["stop_engine"] * 2 +
         ["stop_worker"] * 2 + ["stop_server"] * 2 + ["stall"] * 3 + ["slow"] * 2 + ["late"] * 2 + ["reset"] * 3 + ["full_mail"] + ["full_store"] +
         ["lock_store"] * 2 + ["lose_store"])
LONG = ["stop_node_long"]    # beside them, seldom
