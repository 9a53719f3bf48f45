"""Where the MTA is told to send mail: the same route as logins, and never a guess."""

import os
import select
import shutil
import socket
import subprocess
import tempfile

import pytest

from lib import processes
from lib.mailferry import ROOT

OLD, NEW = "smtp:[old.example.com]", "smtp:[new.example.com]:2525"
UNPACKED = os.path.join(ROOT, "build/servers/postfix")


class Asker:
    """Postfix's side of a socketmap."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.buffer = b""

    def send(self, *keys, name="route"):
        for key in keys:
            body = ("%s %s" % (name, key)).encode()
            self.sock.sendall(b"%d:%s," % (len(body), body))

    def answer(self):
        while b":" not in self.buffer:
            self._fill()
        size, rest = self.buffer.split(b":", 1)
        while len(rest) < int(size) + 1:
            self._fill()
            rest = self.buffer.split(b":", 1)[1]
        body, comma = rest[:int(size)], rest[int(size):int(size) + 1]
        assert comma == b","
        self.buffer = rest[int(size) + 1:]
        return body.decode()

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data

    def ask(self, key, **kw):
        self.send(key, **kw)
        return self.answer()

    def has_ended(self):
        """By now, without waiting."""
        return bool(select.select([self.sock], [], [], 0)[0]) and self.ended()

    def ended(self):
        try:
            self._fill()
        except (EOFError, ConnectionResetError):
            return True
        return False


@pytest.fixture
def looked_up(stage, own_ferry):
    """A factory: a ferry that answers lookups, and where to ask it."""
    def start(settings=None, **more):
        folder = tempfile.mkdtemp(prefix="mta-", dir=stage.folder)
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "lookup.sock")
        f = own_ferry({"lookup": {"listen": "unix:" + path, "old": OLD, "new": NEW, **more}, **(settings or {})})
        processes.wait_until(lambda: answers_at(path), 30, "somebody to answer lookups")
        return f, path
    return start


def answers_at(path):
    try:
        return bool(Asker(path).ask("nobody@example.org"))
    except OSError:
        return False


def test_answers_follow_the_route(stage, looked_up, person, imap):
    f, where = looked_up({"cutover": {"budget_s": 60, "hold_s": 120}, "sync": {"delta_s": 2},
                   "limits": {"stall_s": 60}})
    stage.fill(person, {"INBOX": 3})
    path = os.path.join(f.folder, "named.csv")
    with open(path, "w") as out:
        out.write("user,old_login,new_login,wave,aliases\n%s,%s,%s,1,info@example.com\n" % (
            person.name, person.name, "anna.new@elsewhere.example"))
    f.command("import", path)
    a = Asker(where)
    local, domain = person.name.split("@")
    keys = [person.name, "info@example.com", "%s+lists@%s" % (local, domain), person.name.upper(),
            "anna.new@elsewhere.example"]
    processes.wait_until(lambda: a.ask("info@example.com") == "OK " + OLD, 10, "the import to be known")
    assert [a.ask(k) for k in keys] == ["OK " + OLD] * len(keys)
    for unknown in ("nobody@example.com", "example.com", "*", "@example.com", "", "a b@c", "+x@example.com"):
        assert a.ask(unknown) == "NOTFOUND "
    assert a.ask(person.name, name="aliases").startswith("PERM ")
    a.send(*keys * 40)              # pipelined
    assert [a.answer() for _ in keys * 40] == ["OK " + OLD] * (40 * len(keys))

    f.import_users([person.name])   # the login on new is the usual one again
    f.wait_state(person.name, "ready")
    c = imap(f)
    c.login(person.name, person.password)
    c.begin_literal(b"x1 APPEND INBOX", 100000)
    c.send(b"x" * 5000)
    processes.wait_until(lambda: any("APPEND" in s["doing"] for s in f.cli("sessions")["sessions"]), 10, "an upload")
    f.command("cutover", person.name, "--no-wait")
    processes.wait_until(lambda: a.ask(person.name).startswith("TEMP "), 20, "held mail")
    c.send(b"x" * 95000 + b"\r\n")
    f.wait_state(person.name, "trailing", 30)
    processes.wait_until(lambda: a.ask(person.name) == "OK " + NEW, 10, "the new way")


def test_unknown_may_go_to_old_and_extensions_may_mean_nothing(looked_up, person):
    f, where = looked_up({"run": {"nodes": 1}}, unknown_to_old=True, extension="")
    f.import_users([person.name])
    a = Asker(where)
    assert a.ask(person.name) == a.ask("nobody@example.com") == "OK " + OLD
    assert a.ask("*") == a.ask("example.com") == "NOTFOUND "
    f.wait_state(person.name, ["provisioned", "syncing", "ready"])


def three_in(where):
    """Three of whom each has its answer; None if one was sent away before that, as who is slow and silent too long."""
    askers = [Asker(where) for _ in range(3)]
    try:
        return askers if [a.ask("x@y") for a in askers] == ["NOTFOUND "] * 3 else None
    except (OSError, EOFError):
        for a in askers:
            a.sock.close()
        return None


def test_bad_and_greedy_askers(looked_up):
    _, where = looked_up({"run": {"nodes": 1}}, connections=3, idle_s=1)
    for wrong in (b"x", b"05:route,", b"5:route;", b"2000:route ", b"99999999999999999999999:"):
        a = Asker(where)
        a.sock.sendall(wrong)
        assert a.ended(), wrong
    first = processes.wait_until(lambda: three_in(where), 20, "all places to be taken")
    waits = Asker(where)
    waits.send("x@y")
    assert waits.answer() == "NOTFOUND "        # those before were idle for too long
    assert any(a.has_ended() for a in first)    # and had to leave for it
    assert all(a.ended() for a in first)
    deaf = Asker(where)         # asks, and takes no answer: the node must neither grow nor wait
    deaf.sock.settimeout(0.5)
    with pytest.raises((TimeoutError, BrokenPipeError, ConnectionResetError)):
        while True:
            deaf.send(*["x@y"] * 1000)
    assert Asker(where).ask("x@y") == "NOTFOUND "


def test_another_node_takes_over(looked_up, person):
    f, where = looked_up()
    f.import_users([person.name])
    processes.wait_until(lambda: Asker(where).ask(person.name) == "OK " + OLD, 10, "the import to be known")
    serving = [line for line in f.log_text(4000).splitlines() if " : answers at " in line]
    assert len(serving) == 1, "one node of a host serves the socket"
    a = Asker(where)
    name = serving[0].split("node=")[1].split()[0]
    pid = [n["pid"] for n in f.cli("status")["nodes"] if n["node"] == name][0]
    f.kill(pid)
    assert a.ended()
    processes.wait_until(lambda: answers_at(where), 20, "another node to answer")
    processes.wait_until(lambda: Asker(where).ask(person.name) == "OK " + OLD, 10, "it to know the import")


def postmap():
    """Debian's postmap with its libraries: installed, or unpacked by tests/deps --full."""
    installed = shutil.which("postmap", path="/usr/sbin:/usr/bin")
    if installed:
        return installed, "/usr/lib/postfix"
    return os.path.join(UNPACKED, "usr/sbin/postmap"), os.path.join(UNPACKED, "usr/lib/postfix")


@pytest.mark.full
def test_real_postfix_understands_us(looked_up, person, tmp_path):
    f, where = looked_up({"run": {"nodes": 1}})
    f.import_users([person.name])
    processes.wait_until(lambda: Asker(where).ask(person.name) == "OK " + OLD, 10, "the import to be known")
    program, libraries = postmap()
    (tmp_path / "main.cf").write_text("mail_owner = daemon\nsetgid_group = mail\nmyhostname = test.example.com\n")

    def query(key):
        return subprocess.run([program, "-c", str(tmp_path), "-q", key, "socketmap:unix:%s:route" % where], text=True,
                              capture_output=True, timeout=30, env={"LD_LIBRARY_PATH": libraries})
    assert query(person.name).stdout == OLD + "\n"
    missing = query("nobody@example.com")
    assert (missing.returncode, missing.stdout) == (1, "")
