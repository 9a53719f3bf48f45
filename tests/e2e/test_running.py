"""How the whole is run: reload, upgrade, stop, privileges. Real programs, live sessions."""

import os
import shutil
import signal
import tempfile
import threading

import pytest

from lib import processes
from lib.mailferry import build_folder


def log_in(imap, f, person, port="imaps"):
    c = imap(f, port)
    c.login(person.name, person.password)
    return c


def nodes(f):
    return {n["node"]: n for n in f.cli("status")["nodes"]}


def node_of(f, person):
    """Which node carries the person's only session."""
    def rows():
        return [s for s in f.cli("sessions", person.name)["sessions"] if s["state"] == "RELAY"]
    return processes.wait_until(rows, 10, "the session to be listed")[0]["node"]


def still_works(c):
    c.command(b"NOOP")
    return True


def replace_programs(f):
    """Another build on disk, under the same names; as a package would put it there."""
    for name in ("mailferry", "mailferry-proxy", "mailferry-sync"):
        fresh = os.path.join(f.build, name + ".next")
        shutil.copy(os.path.join(f.build, name), fresh)
        with open(fresh, "ab") as program:
            program.write(b"another build")
        os.rename(fresh, os.path.join(f.build, name))


@pytest.fixture
def installed(stage, own_ferry):
    """A factory like own_ferry, of programs that the test may replace."""
    def start(settings=None, **kw):
        build = tempfile.mkdtemp(prefix="bin-", dir=stage.folder)
        os.chmod(build, 0o755)
        for name in ("mailferry", "mailferry-proxy", "mailferry-sync"):
            shutil.copy(os.path.join(build_folder(), name), build)
        return own_ferry(settings, build=build, **kw)
    return start


# ---- a node that leaves

def test_a_leaving_node_keeps_its_sessions_and_ends_with_the_last(stage, own_ferry, person, imap):
    f = own_ferry()
    c = log_in(imap, f, person)
    c.command(b"SELECT INBOX")
    name = node_of(f, person)
    pid = nodes(f)[name]["pid"]
    os.kill(pid, signal.SIGUSR1)
    processes.wait_until(lambda: nodes(f)[name]["leaving"], 10, "the node to leave")
    assert nodes(f)[name]["health"] == "up" and nodes(f)[name]["sessions"] == 1
    assert "%s leaving (1 sessions, 0." % name in f.command("status").stdout
    others = [log_in(imap, f, stage.take()) for _ in range(6)]
    assert still_works(c) and all(still_works(o) for o in others)
    assert nodes(f)[name]["sessions"] == 1
    c.logout()
    processes.wait_until(lambda: not processes.alive(pid), 10, "the node to end with its last session")
    assert list(nodes(f)) == [n for n in ("proxy-1", "proxy-2") if n != name]
    assert not os.path.exists(os.path.join(f.run_dir, name + ".lock"))
    assert all(still_works(o) for o in others)


def test_what_is_open_at_the_end_is_in_the_log(own_ferry, person, imap):
    f = own_ferry({"run": {"stop_s": 2}})
    f.import_users([person.name])
    idle, open_ = log_in(imap, f, person), log_in(imap, f, person)
    idle.idle()
    open_.command(b"SELECT INBOX")
    tag = open_.tag()
    open_.send(tag + b" APPEND INBOX {1000+}\r\nSubject: half a message\r\n")
    processes.wait_until(lambda: any("APPEND" in s["doing"] for s in f.cli("sessions", person.name)["sessions"]),
                         15, "the upload to be seen")
    assert f.stop() == 0
    for c in (idle, open_):
        c.responses_until_closed()
        assert c.left_with_bye, "the client's own literal is open, but nothing of the server's"
    text = f.log_text(4000)
    said = [line for line in text.splitlines() if "not at a boundary in time, cut by shutdown: session" in line]
    assert len(said) == 1 and "APPEND" in said[0]


# ---- upgrade

class Newcomers(threading.Thread):
    """Logs in again and again, all the time; a single failure is one too many."""

    def __init__(self, imap, f, person):
        super().__init__(daemon=True)
        self.imap, self.ferry, self.person = imap, f, person
        self.count, self.failure, self.over = 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                log_in(self.imap, self.ferry, self.person).logout()
                self.count += 1
        except Exception as e:    # whatever it is, the test must hear of it
            self.failure = e

    def end(self):
        self.over.set()
        self.join(30)
        assert not self.failure, repr(self.failure)
        return self.count


def test_upgrade_under_load(stage, installed, person, imap):
    f = installed({"cutover": {"parallel": 8}})
    stage.fill(person, {"INBOX": 3})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    moved = [log_in(imap, f, person) for _ in range(5)]
    for c in moved:
        c.idle()
    people = [stage.take() for _ in range(5)]
    live = [log_in(imap, f, people[i % 5]) for i in range(45)]
    half = live[0]
    tag = half.tag()
    half.send(tag + b" APPEND INBOX {10+}\r\n12345")
    newcomers = Newcomers(imap, f, stage.take())
    old_engine, old_nodes = f.engine(), f.nodes()
    replace_programs(f)
    done = f.command("upgrade")
    assert "2 old nodes keep their sessions" in done.stdout
    assert newcomers.end() > 0 and log_in(imap, f, person, "imaps")
    assert f.engine() != old_engine and set(old_nodes) < set(f.nodes())
    assert all(still_works(c) for c in live[1:])
    half.send(b"67890\r\n")
    half.finish(tag)
    processes.wait_until(lambda: sum(n["sessions"] for n in nodes(f).values() if n["leaving"]) == 50, 10,
                         "all old sessions to be listed")
    shown = nodes(f)
    assert {n: shown[n]["leaving"] for n in shown} == {
        "proxy-1": True, "proxy-2": True, "proxy-1.2": False, "proxy-2.2": False}
    f.command("cutover", person.name)
    for c in moved:
        c.responses_until_closed()
        assert c.left_with_bye, "a cutover reaches the old process's sessions"
    assert all(still_works(c) for c in live)
    for c in live:
        c.logout()
    processes.wait_until(lambda: not any(processes.alive(p) for p in old_nodes), 15, "the old nodes to end")
    assert sorted(nodes(f)) == ["proxy-1.2", "proxy-2.2"]
    assert log_in(imap, f, person).server_name() == "new"
