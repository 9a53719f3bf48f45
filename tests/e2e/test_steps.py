"""
One table: engine, worker, node and store are killed or stand still, at each named step of a cutover and of a return.
Whatever it is, after it every session, waiting login and answer to the MTA has one side, nobody was held past the
budget, and the same command again does what it should.
"""

import os
import shutil
import signal
import tempfile
import threading
import time

import pytest

from lib import mail, processes
from lib.imapclient import Closed, ImapClient, No
from lib.postgres import Postgres
from lib.reader import compare
from test_lookup import Asker

pytestmark = pytest.mark.any_servers

BUDGET_S, HOLD_S = 4, 7
LATE_S = 4      # a machine under load, and connections to the store that are made anew
OLD, NEW = "smtp:[old.example.com]", "smtp:[new.example.com]"
LITERAL = 5000

STEPS = ("connect", "freeze", "finalize", "flip")
WAYS = {"cutover": ("old", "new"), "rollback": ("new", "old")}
VICTIMS = ("engine", "worker", "node", "store")
HOWS = ("kill", "stop")


@pytest.fixture(scope="module")
def server():
    folder = tempfile.mkdtemp(prefix="mailferry-pg-")
    os.chmod(folder, 0o755)
    p = Postgres(os.path.join(folder, "pg")).start()
    yield p
    p.stop()
    shutil.rmtree(folder)


class Login(threading.Thread):
    """One that comes while the user may be held: where does it land, and when?"""

    def __init__(self, case):
        super().__init__(daemon=True)
        self.case, self.landed, self.began = case, None, time.monotonic()
        self.start()

    def run(self):
        try:
            client = self.case.client("parked")
            client.login(self.case.person.name, self.case.person.password)
            self.landed = client.server_name()
        except No as e:
            self.landed = str(e)
        except Exception as e:      # its node was killed
            self.landed = "cut: %r" % e
        self.took = time.monotonic() - self.began


class Case:
    """One user on his way, and those who use his mailbox."""

    def __init__(self, stage, server, own_ferry, way):
        self.stage, self.store, self.way = stage, server, way
        self.left, self.target = WAYS[way]
        self.person = stage.take()
        server.empty()
        self.folder = tempfile.mkdtemp(prefix="mta-", dir=stage.folder)
        os.chmod(self.folder, 0o777)
        self.lookup = os.path.join(self.folder, "lookup.sock")
        self.f = own_ferry({"store": {"url": server.url}, "sync": {"fence_s": 1},
                            "cutover": {"budget_s": BUDGET_S, "hold_s": HOLD_S, "retry_s": 600, "tries": 100},
                            "limits": {"stall_s": 60},
                            "lookup": {"listen": "unix:" + self.lookup, "old": OLD, "new": NEW}})
        stage.fill(self.person, {"INBOX": 12, "INBOX.Work": 3})
        self.f.import_users([self.person.name])
        self.f.wait_state(self.person.name, "ready")
        if way == "rollback":
            self.f.command("cutover", self.person.name)
            self.f.wait_state(self.person.name, "trailing")
        self.idle = self.logged_in("idle")
        self.idle.command(b"SELECT INBOX")
        self.idle_tag = self.idle.idle()
        self.brake = None

    def client(self, name):
        c = ImapClient(self.f.address, self.f.ports["imaps"], self.stage.context, name=name)
        self.stage.opened.append(c)
        return c

    def logged_in(self, name):
        c = self.client(name)
        c.login(self.person.name, self.person.password)
        assert c.server_name() == self.left
        return c

    def server(self, side):
        return getattr(self.stage, side)

    def state(self):
        """From the store itself: the engine may stand still."""
        return self.store.sql("SELECT state FROM users WHERE name = '%s'" % self.person.name).strip()

    def wait(self, states, timeout_s=15):
        processes.wait_until(lambda: self.state() in states, timeout_s, "%s to be %s" % (self.person.name, states))

    # ---- to the step

    def pull_brake(self):
        """A command is open, and so nobody is quiet."""
        self.brake = self.logged_in("brake")
        self.brake_tag = self.brake.tag()
        self.brake.begin_literal(self.brake_tag + b" APPEND INBOX", LITERAL)

    def release_brake(self):
        if self.brake:
            try:
                data = mail.message("%s-brake" % self.person.name, 100)
                self.brake.send(data[:LITERAL] + b"x" * max(0, LITERAL - len(data)) + b"\r\n")
                self.brake.finish(self.brake_tag)
            except (No, Closed, OSError):    # its node is gone, or the session was cut
                pass
        self.brake = None

    def reach(self, step):
        if step == "connect":
            self.server(self.target).pause()
        elif step in ("freeze", "finalize"):
            self.pull_brake()
        if self.way == "rollback" and step == "connect":
            self.f.command("rollback", self.person.name, "--no-wait")
            return
        self.f.command(self.way, self.person.name, "--no-wait")
        if step == "connect":
            processes.wait_until(self.f.workers, 60, "the worker")
            return
        if step == "flip":
            self.wait(("trailing",) if self.way == "cutover" else ("ready",))
            return
        self.wait(("freezing",))
        if step == "finalize":
            self.server(self.target).pause()
            self.release_brake()
            self.wait(("finalizing",))

    def undo_step(self, step):
        """What held it there goes away."""
        if step in ("connect", "finalize"):
            self.server(self.target).resume()
        self.release_brake()

    # ---- what happens there

    def strike(self, victim, how):
        if victim == "store":
            if how == "stop":
                self.store.pause()
                return self.store.resume
            self.store.stop()
            return self.store.start
        pids = {"engine": lambda: [self.f.engine()], "worker": self.f.workers, "node": lambda: self.f.nodes()[:1]}[victim]()
        for pid in pids:
            processes.send(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
        return lambda: [processes.send(pid, signal.SIGCONT) for pid in pids if how == "stop"]

    # ---- afterwards

    def recovered(self):
        """Everything answers again; the user's side by the store."""
        processes.wait_until(lambda: self.f.engine() and len(self.f.nodes()) == 2, 60, "all processes")
        processes.wait_until(lambda: self.f.command("status", check=False).returncode == 0, 60, "the engine")
        processes.wait_until(lambda: all(n["health"] == "up" for n in self.f.cli("status")["nodes"]), 60, "both nodes")
        processes.wait_until(self.is_settled, 60, "%s to have one side" % self.person.name)
        return "old" if self.state() == "ready" else "new"

    def is_settled(self):
        """A way that is still meant may be gone at any moment: it is taken back."""
        if self.state() == {"cutover": "ready", "rollback": "returning"}[self.way]:
            self.f.command(self.way, self.person.name, "--withdraw", check=False)
        return not self.f.workers() and self.state() in ("ready", "trailing", "done")

    def one_side(self, side):
        for _ in range(6):      # both nodes share the port
            c = self.client("after")
            c.login(self.person.name, self.person.password)
            assert c.server_name() == side
            c.logout()
        asker = Asker(self.lookup)
        assert asker.ask(self.person.name) == "OK " + {"old": OLD, "new": NEW}[side]
        if side != self.left:
            self.idle.responses_until_closed()
        elif self.idle.closed_at is None:
            try:
                self.idle.done(self.idle_tag)
            except (Closed, OSError):    # its node was killed, or cut it when the pause was over
                return
            assert self.idle.server_name() == side

    def repeat(self):
        self.f.command("retry", self.person.name)
        self.f.command(self.way, self.person.name)
        assert self.f.user(self.person.name)["route"] == self.target
        difference = compare(self.stage.read(self.stage.old, self.person), self.stage.read(self.stage.new, self.person))
        assert not difference, str(difference)
        assert difference.compared in (15, 16)      # with the brake's message, or without it


@pytest.mark.full
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("way", WAYS)
def test_at_every_step(stage, server, own_ferry, way, step, how, victim):
    case = Case(stage, server, own_ferry, way)
    case.reach(step)
    login = Login(case)
    mend = case.strike(victim, how)
    try:
        if how == "stop":
            login.join(HOLD_S + LATE_S)     # nothing is held for longer, whoever sleeps
            threading.Event().wait(max(0, BUDGET_S + 1 - (time.monotonic() - login.began)))
    finally:
        mend()
        case.undo_step(step)
    login.join(HOLD_S + LATE_S)
    # One that waits at a node that stands still hears of it when that wakes.
    most = (2 if (victim, how) == ("node", "stop") else 1) * (HOLD_S + LATE_S)
    assert login.landed in ("old", "new") or "UNAVAILABLE" in login.landed or login.landed.startswith("cut"), login.landed
    assert login.took < most, login.took
    side = case.recovered()
    if login.landed in ("old", "new") and side == case.left:
        assert login.landed == side     # who was let in at the target can never be sent back
    case.one_side(side)
    case.repeat()
