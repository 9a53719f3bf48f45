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
    return processes.wait_until(rows, 60, "the session to be listed")[0]["node"]


def listens(pid, port):
    """Does the process hold the socket that listens on this port?"""
    with open("/proc/%d/net/tcp" % pid) as f:
        rows = [line.split() for line in f.readlines()[1:]]
    inodes = {"socket:[%s]" % r[9] for r in rows if r[3] == "0A" and int(r[1].split(":")[1], 16) == port}
    return any(os.readlink("/proc/%d/fd/%s" % (pid, fd)) in inodes for fd in os.listdir("/proc/%d/fd" % pid))


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


# ---- reload

def edit(f, *changes):
    with open(f.conf) as conf:
        text = conf.read()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    with open(f.conf, "w") as conf:
        conf.write(text)


def test_reload_tells_what_became_of_each_setting(stage, own_ferry, person, imap):
    f = own_ferry({"limits": {"preauth_sessions": 100}})
    c = log_in(imap, f, person)
    edit(f, ("preauth_sessions = 100", "preauth_sessions = 1"), ("nodes = 2", "nodes = 3\n\tstop_s = 20"))
    told = f.cli("reload")
    # The supervisor goes by stop_s too, and reads its settings only at an upgrade.
    assert told["taken"] == ["limits: preauth_sessions"] and told["kept"] == ["run: nodes", "run: stop_s"]
    assert [(n["node"], n["doing"]) for n in told["nodes"]] == [("proxy-1", None), ("proxy-2", None)]
    assert len(f.nodes()) == 2 and still_works(c)
    assert f.command("reload").stdout.splitlines() == [
        "needs `mailferry upgrade` or a restart: run: nodes", "needs `mailferry upgrade` or a restart: run: stop_s",
        "2 of 2 nodes have reloaded"]
    f.command("upgrade")
    processes.wait_until(lambda: sorted(n for n, row in nodes(f).items() if not row["leaving"]) ==
                         ["proxy-1.2", "proxy-2.2", "proxy-3.2"], 30, "only the new ones to serve")
    assert f.command("reload").stdout.splitlines()[0] == (
        "no setting has changed; certificates were read again")


def test_reload_of_mistakes_changes_nothing(own_ferry, person, imap):
    f = own_ferry()
    c = log_in(imap, f, person)
    edit(f, ('level = "debug"', "level = loud"), ("nodes = 2", "nodes = 2\n\tnodez = 3"))
    asked = f.conf + ".asked"
    shutil.copy(f.conf, asked)
    edit_back = [("level = loud", "level = info"), ("\tnodez = 3\n", "")]
    broken, f.conf = f.conf, asked
    edit(f, *edit_back)
    done = f.command("reload", check=False)
    f.conf = broken
    assert done.returncode == 1
    with open(broken) as conf:
        lines = conf.read().splitlines()
    wrong = {"%s:%d: " % (broken, i + 1) for i, line in enumerate(lines) if "loud" in line or "nodez" in line}
    assert len(wrong) == 2 and all(w in done.stderr for w in wrong)
    assert "nothing was changed" in done.stderr
    assert "settings reloaded" not in f.log_text(4000) and still_works(c)


def test_reload_with_a_bad_certificate_keeps_the_old_one(stage, own_ferry, person, imap):
    f = own_ferry()
    certificate, key = stage.ca.issue("localhost")
    mine, bad = os.path.join(f.folder, "mine.pem"), os.path.join(f.folder, "bad.pem")
    shutil.copy(certificate, mine)
    with open(bad, "w") as out:
        out.write("no certificate\n")
    edit(f, (certificate, bad))
    done = f.command("reload", check=False)
    assert done.returncode == 1
    for name in ("proxy-1", "proxy-2"):
        assert "%s: the certificates loaded before stay in use: " % name in done.stdout
    assert "0 of 2 nodes have reloaded" in done.stdout
    assert still_works(log_in(imap, f, person))


# ---- a node that leaves

def test_a_leaving_node_keeps_its_sessions_and_ends_with_the_last(stage, own_ferry, person, imap):
    f = own_ferry()
    c = log_in(imap, f, person)
    c.command(b"SELECT INBOX")
    name = node_of(f, person)
    pid = nodes(f)[name]["pid"]
    assert listens(pid, f.ports["imaps"])
    os.kill(pid, signal.SIGUSR1)
    processes.wait_until(lambda: nodes(f)[name]["leaving"], 30, "the node to leave")
    assert not listens(pid, f.ports["imaps"]), "a port that is given up must not stay open because of it"
    assert nodes(f)[name]["health"] == "up" and nodes(f)[name]["sessions"] == 1
    assert "%s leaving (1 sessions, 0." % name in f.command("status").stdout
    others = [log_in(imap, f, stage.take()) for _ in range(6)]
    assert still_works(c) and all(still_works(o) for o in others)
    assert nodes(f)[name]["sessions"] == 1
    c.logout()
    processes.wait_until(lambda: not processes.alive(pid), 30, "the node to end with its last session")
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
    open_.begin_literal(tag + b" APPEND INBOX", 1000)
    open_.send(b"Subject: half a message\r\n")
    processes.wait_until(lambda: any("APPEND" in s["doing"] for s in f.cli("sessions", person.name)["sessions"]),
                         30, "the upload to be seen")
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


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.full)])
def test_upgrade_under_load(stage, installed, person, imap, count):
    f = installed({"limits": {"sessions_per_user": 0, "sessions_per_address": 0}})
    stage.fill(person, {"INBOX": 3})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    moved = [log_in(imap, f, person) for _ in range(count // 10)]
    for c in moved:
        c.idle()
    people = [stage.take() for _ in range(5)]
    live = [log_in(imap, f, people[i % 5]) for i in range(count - len(moved))]
    half = live[0]
    tag = half.tag()
    half.begin_literal(tag + b" APPEND INBOX", 14)
    half.send(b"Subje")
    newcomers = Newcomers(imap, f, stage.take())
    old_engine, old_nodes = f.engine(), f.nodes()
    replace_programs(f)
    done = f.command("upgrade")
    assert "2 old nodes keep their sessions" in done.stdout
    assert newcomers.end() > 0 and log_in(imap, f, person, "imaps")
    assert f.engine() != old_engine and set(old_nodes) < set(f.nodes())
    assert all(still_works(c) for c in live[1:])
    half.send(b"ct: all\r\n\r\n")
    half.finish(tag)
    processes.wait_until(lambda: sum(n["sessions"] for n in nodes(f).values() if n["leaving"]) == count, 30,
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
    processes.wait_until(lambda: not any(processes.alive(p) for p in old_nodes), 30, "the old nodes to end")
    assert sorted(nodes(f)) == ["proxy-1.2", "proxy-2.2"]
    assert log_in(imap, f, person).server_name() == "new"


def test_an_old_node_that_dies_blocks_nobody(own_ferry, stage, person, imap):
    f = own_ferry()
    everybody = [log_in(imap, f, stage.take()) for _ in range(8)]

    def both_keep_some():
        kept = [n["sessions"] for n in nodes(f).values()]
        if sum(kept) == len(everybody) and not all(kept):
            everybody.append(log_in(imap, f, stage.odd))    # one took all of them so far
        return all(kept)
    processes.wait_until(both_keep_some, 30, "a session at each node")
    f.command("upgrade")
    processes.wait_until(lambda: all(nodes(f)[n]["leaving"] for n in ("proxy-1", "proxy-2")), 30, "the old nodes to leave")
    f.kill(nodes(f)["proxy-1"]["pid"])
    processes.wait_until(lambda: "proxy-1" not in nodes(f), 30, "the dead node to be taken out of the store")
    assert nodes(f)["proxy-2"]["leaving"] and nodes(f)["proxy-2"]["health"] == "up"
    processes.wait_until(lambda: everybody and not os.path.exists(os.path.join(f.run_dir, "proxy-1.lock")), 30, "its name to be free")


# ---- a supervisor that is killed

def test_sessions_outlive_a_killed_supervisor(stage, own_ferry, person, imap):
    ports = processes.free_ports(4)
    f = own_ferry({"listener " + name: {"port": port} for name, port in
                   zip(("imap", "imaps", "pop3", "pop3s"), ports)})
    c, idle = log_in(imap, f, person), log_in(imap, f, stage.take())
    tag = idle.idle()
    old_nodes, old_engine = f.nodes(), f.engine()
    f.kill(f.pid)
    try:
        processes.wait_until(lambda: not processes.alive(old_engine), 30, "the engine to end")
        log_in(imap, f, stage.take()).logout()    # nobody supervises, but everybody is served
        f.stop()
        f.start(new_store=False)
        processes.wait_until(lambda: {n: row["leaving"] for n, row in nodes(f).items()} == {
            "proxy-1": True, "proxy-2": True, "proxy-1.2": False, "proxy-2.2": False} or
            not all(processes.alive(p) for p in old_nodes), 30, "the old nodes to leave")
        assert still_works(c)
        idle.done(tag)
        log_in(imap, f, person).logout()
        c.logout()
        idle.logout()
        processes.wait_until(lambda: not any(processes.alive(p) for p in old_nodes), 30, "the old nodes to end")
    finally:
        for pid in old_nodes:
            processes.send(pid, signal.SIGKILL)


# ---- rights

def proc_status(pid):
    with open("/proc/%d/status" % pid) as f:
        return {key: value.split() for key, value in (line.split(":", 1) for line in f)}


def test_nothing_has_more_rights_than_it_needs(own_ferry, person, imap):
    f = own_ferry()
    f.import_users([person.name])
    f.wait_state(person.name, ["syncing", "ready"])
    needed = sum(1 << cap for cap in (0, 1, 5, 6, 7, 10))
    has = proc_status(f.pid)
    if os.geteuid() == 0:
        assert int(has["CapEff"][0], 16) & ~needed == 0 and int(has["CapBnd"][0], 16) & ~needed == 0
    for pid in f.nodes() + [f.engine()]:
        has = proc_status(pid)
        assert has["NoNewPrivs"] == ["1"]
        with open("/proc/%d/limits" % pid) as limits:
            assert any(line.split()[:6] == ["Max", "core", "file", "size", "0", "0"] for line in limits)
        if not f.account:
            continue
        assert set(has["Uid"]) == {str(f.account.pw_uid)} and set(has["Gid"]) == {str(f.account.pw_gid)}
        assert set(has["Groups"]) <= {str(g) for g in os.getgrouplist(f.account.pw_name, f.account.pw_gid)}
        assert all(int(has[c][0], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
        assert os.stat("/proc/%d/mem" % pid).st_uid == 0, "not to be read by others of its user"
    assert still_works(log_in(imap, f, person))


def test_a_node_holds_no_files_but_its_own(own_ferry, person, imap):
    f = own_ferry()
    c = log_in(imap, f, person)
    own = (f.run_dir + "/", os.path.join(f.folder, "store") + "/", "socket:", "anon_inode:", "pipe:", "/dev/null", f.log)
    for pid in f.nodes():
        held = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
        assert [path for path in held if not path.startswith(own)] == []
    assert still_works(c)
