"""
`mailferry run` by itself: order of starting, sockets handed on, restarts, ends. Engine and proxies are
stand-ins: small scripts next to a copy of the command, who write down what happens to them.
"""

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from lib import processes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MAILFERRY_BUILD", os.path.join(ROOT, "build/plain"))
PATIENCE_S = 60

CONFIG = """
listener "imap" { protocol = imap address = "127.0.0.1" port = 0 tls = none }
listener "pop3" { protocol = pop3 address = "127.0.0.1" port = 0 tls = none }
backend "old" { host = "127.0.0.1" }
backend "new" { host = "127.0.0.1" }
tls { allow_cleartext = yes }
store { path = "data/store.db" }
run { dir = "run/mailferry" nodes = 2 }
sync { dir = "journals" }
"""

# Both stand-ins tell the test by lines into a pipe, so that nothing is waited for by the clock.
COMMON = """#!/usr/bin/python3
import fcntl, os, signal, socket, sys, threading, time
if "--check" in sys.argv or "--bury" in sys.argv:
    sys.exit(0)
DIR = os.environ["STANDIN_DIR"]
def say(*words):
    fd = os.open(DIR + "/events", os.O_WRONLY)
    os.write(fd, (" ".join(map(str, words)) + "\\n").encode())
    os.close(fd)
def end(*_):
    say(NAME, "ends")
    os._exit(0)
def notify(text):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
    s.close()
def beat():
    while True:
        time.sleep(0.2)
        try:
            notify("WATCHDOG=1\\nX_NODE=" + NAME)
        except OSError:
            pass
signal.signal(signal.SIGTERM, end)
def starts_slowly(name):
    if os.path.exists(DIR + "/slow-" + name):
        say(name, "waits")
        while os.path.exists(DIR + "/slow-" + name):
            time.sleep(0.02)
"""

ENGINE = COMMON + """
NAME = "engine"
starts_slowly(NAME)
signal.signal(signal.SIGHUP, lambda *_: say(NAME, "reloads"))
say(NAME, "starts", os.getpid(), *[a for a in sys.argv[1:] if a != sys.argv[2]])
if os.path.exists(DIR + "/no-store"):
    sys.exit(1)
notify("READY=1")
threading.Thread(target=beat, daemon=True).start()
while True:
    signal.pause()
"""

PROXY = COMMON + """
NAME = sys.argv[4]
def leave(*_):
    say(NAME, "leaves")
    os.closerange(3, 3 + int(os.environ["LISTEN_FDS"]))
    while os.path.exists(DIR + "/busy"):
        time.sleep(0.02)
    end()
signal.signal(signal.SIGHUP, lambda *_: say(NAME, "reloads"))
mine = int(os.environ["LISTEN_PID"]) == os.getpid()
say(NAME, "starts", os.getpid(), sys.argv[1], sys.argv[3], mine, os.environ["LISTEN_FDS"], os.environ["LISTEN_FDNAMES"])
if os.path.exists(DIR + "/fail-" + NAME):
    notify("STATUS=cannot start: as the test wants it")
    sys.exit(1)
lock = open(os.path.dirname(os.path.realpath(sys.argv[2])) + "/run/mailferry/" + NAME + ".lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
signal.signal(signal.SIGUSR1, leave)
notify("READY=1\\nX_NODE=" + NAME)
threading.Thread(target=beat, daemon=True).start()
while os.path.exists(DIR + "/idle"):
    time.sleep(0.02)
listener = socket.socket(fileno=3)
listener.setblocking(True)
while True:
    s, _ = listener.accept()
    s.sendall((NAME + " " + str(os.getpid()) + "\\n").encode())
    s.close()
"""


class Lines:
    """Lines from a descriptor, each waited for at most PATIENCE_S."""

    def __init__(self, fd):
        self.fd, self.data, self.seen = fd, b"", []

    def next(self):
        end = time.monotonic() + PATIENCE_S
        while b"\n" not in self.data:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, "nothing came; so far: %r" % self.seen
            got = os.read(self.fd, 4096)
            assert got, "the end came; so far: %r" % self.seen
            self.data += got
        line, self.data = self.data.split(b"\n", 1)
        self.seen.append(line.decode())
        return line.decode()

    def until(self, start):
        while not self.next().startswith(start):
            pass
        return self.seen[-1]

    def collect(self, verb, count):
        """Who says this, until so many have."""
        who = set()
        while len(who) < count:
            words = self.next().split()
            if words[1] == verb:
                who.add(words[0])
        return who


class Host:
    def __init__(self, path):
        self.path = path
        (path / "bin").mkdir()
        shutil.copy(os.path.join(BUILD, "mailferry"), path / "bin")
        for name, text in (("mailferry-sync", ENGINE), ("mailferry-proxy", PROXY)):
            (path / "bin" / name).write_text(text)
            (path / "bin" / name).chmod(0o755)
        (path / "mailferry.conf").write_text(CONFIG)
        os.mkfifo(path / "events")
        self.events = Lines(os.open(path / "events", os.O_RDWR))
        self.process, self.groups = None, []

    def run(self, *args, env=None, **more):
        env = dict(os.environ, STANDIN_DIR=str(self.path), MAILFERRY_CONFIG=str(self.path / "mailferry.conf"),
                   **(env or {}))
        with open(self.path / "log", "ab") as log:
            self.process = subprocess.Popen([self.path / "bin" / "mailferry", "run", *args], env=env,
                                            stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                            **more)
        self.groups.append(self.process.pid)
        self.out = Lines(self.process.stdout.fileno())

    def up(self):
        return self.out.next()

    def wait(self):
        return self.process.wait(PATIENCE_S)

    def log(self):
        return (self.path / "log").read_text()

    def port(self, name):
        lines = (self.path / "run/mailferry/listeners").read_text().splitlines()
        return {n: int(p) for n, _, p in (line.split() for line in lines)}[name]

    def upgrade(self, *options):
        """Asked with a command and settings of its own, which stay good whatever a test does to the others."""
        asked = self.path / "asked.conf"
        asked.write_text(CONFIG)
        return subprocess.run([os.path.join(BUILD, "mailferry"), "--config", asked, "upgrade", *options],
                              capture_output=True, text=True, timeout=PATIENCE_S)

    def starts(self, count):
        """{name: pid} of the next so many that start."""
        found = {}
        while len(found) < count:
            words = self.events.next().split()
            if words[1] == "starts":
                found[words[0]] = int(words[2])
        return found

    def replace(self, name, text):
        """As packages do it: another file takes the name."""
        (self.path / "bin" / "next").write_text(text)
        (self.path / "bin" / "next").chmod(0o755)
        (self.path / "bin" / "next").rename(self.path / "bin" / name)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for group in self.groups:    # what outlived its supervisor
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process:
            self.process.stdout.close()
        os.close(self.events.fd)


@pytest.fixture
def host(tmp_path):
    h = Host(tmp_path)
    yield h
    h.close()


def hello(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as s:
        return s.makefile().readline().split()


def test_starts_in_order_and_says_where(host):
    host.run("--new-store")
    line = host.up()
    assert line == "mailferry: up, 2 nodes, listening on imap 127.0.0.1:%d, pop3 127.0.0.1:%d" % (
        host.port("imap"), host.port("pop3"))
    starts = [host.events.next() for _ in range(3)]
    assert starts[0].startswith("engine starts ") and starts[0].endswith(" --config --new-store")
    for name, text in zip(("proxy-1", "proxy-2"), sorted(starts[1:])):
        assert text.startswith(name + " starts ")
        assert text.endswith(" --config --node True 2 imap:pop3")
    assert hello(host.port("imap"))[0] in ("proxy-1", "proxy-2")
    for folder, mode in (("run/mailferry", 0o750), ("data", 0o700), ("journals", 0o700)):
        assert stat.S_IMODE((host.path / folder).stat().st_mode) == mode


def test_term_stops_all(host):
    host.run()
    host.up()
    host.process.terminate()
    assert host.wait() == 0
    assert host.events.collect("ends", 3) == {"engine", "proxy-1", "proxy-2"}
    assert not (host.path / "run/mailferry/listeners").exists()


def test_hup_reaches_all(host):
    host.run()
    host.up()
    host.process.send_signal(signal.SIGHUP)
    assert host.events.collect("reloads", 3) == {"engine", "proxy-1", "proxy-2"}


def test_hup_waits_for_who_starts(host):
    (host.path / "slow-engine").touch()
    host.run()
    host.events.until("engine waits")
    host.process.send_signal(signal.SIGHUP)
    processes.wait_until(lambda: "reload" in host.log(), PATIENCE_S, "the supervisor hears of it")
    (host.path / "slow-engine").unlink()
    host.up()
    host.events.until("engine reloads")


def test_settings_behind_a_link_are_those_it_leads_to_now(host):
    """As folders of releases and of Kubernetes are changed."""
    conf = host.path / "mailferry.conf"
    for name in ("first", "second"):
        (host.path / name).mkdir()
    conf.rename(host.path / "first" / "mailferry.conf")
    conf.symlink_to("first/mailferry.conf")
    host.run()
    host.up()
    conf.unlink()
    (host.path / "second" / "mailferry.conf").write_text("no settings at all\n")
    conf.symlink_to("second/mailferry.conf")
    host.process.send_signal(signal.SIGUSR2)
    processes.wait_until(lambda: "upgrade: " in host.log(), PATIENCE_S, "it is tried")
    assert "mailferry.conf:1: " in host.log()


def test_a_dead_proxy_loses_no_connection(host):
    (host.path / "idle").touch()
    host.run()
    host.up()
    port = host.port("imap")
    first = {}
    for _ in range(3):
        words = host.events.next().split()
        first[words[0]] = int(words[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as waiting:
        for name in ("proxy-1", "proxy-2"):
            os.kill(first[name], signal.SIGKILL)
        (host.path / "idle").unlink()
        name, pid = waiting.makefile().readline().split()
    assert int(pid) != first[name]
    assert "died of signal 9" in host.log()


def test_a_dead_engine_comes_back_without_new_store(host):
    host.run("--new-store")
    host.up()
    pid = int(host.events.until("engine starts").split()[2])
    os.kill(pid, signal.SIGKILL)
    again = host.events.until("engine starts")
    assert int(again.split()[2]) != pid
    assert "--new-store" not in again


def test_an_engine_that_others_end_comes_back(host):
    host.run()
    host.up()
    os.kill(host.starts(3)["engine"], signal.SIGTERM)
    host.events.until("engine ends")
    host.events.until("engine starts")


def test_engine_that_cannot_start_ends_the_run(host):
    (host.path / "no-store").touch()
    host.run()
    assert host.wait() == 1
    assert "the engine did not start" in host.log()


def test_second_run_is_refused(host):
    host.run()
    host.up()
    second = subprocess.run([host.path / "bin/mailferry", "run", "--config", host.path / "mailferry.conf"],
                            capture_output=True, text=True, timeout=PATIENCE_S)
    assert second.returncode == 1
    assert "is another `mailferry run` running?" in second.stderr


def test_taken_port_is_named(host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        conf = host.path / "mailferry.conf"
        conf.write_text(CONFIG.replace("port = 0", "port = %d" % port, 1))
        host.run()
        assert host.wait() == 1
    assert 'listener "imap": 127.0.0.1 port %d: Address already in use' % port in host.log().replace("\\x22", '"')


def test_nodes_outlive_a_killed_supervisor_and_the_next_takes_over(host):
    host.run()
    host.up()
    port = host.port("imap")
    first = host.starts(3)
    host.process.kill()
    host.wait()
    assert host.events.collect("ends", 1) == {"engine"}, "it can be started again at any time"
    name, pid = hello(port)
    assert first[name] == int(pid)
    conf = host.path / "mailferry.conf"
    conf.write_text(CONFIG.replace("port = 0", "port = %d" % port, 1))
    host.process.stdout.close()
    (host.path / "busy").touch()
    host.run()
    host.up()
    assert set(host.starts(3)) == {"engine", "proxy-1.2", "proxy-2.2"}
    assert host.events.collect("leaves", 2) == {"proxy-1", "proxy-2"}
    (host.path / "busy").unlink()
    assert host.events.collect("ends", 2) == {"proxy-1", "proxy-2"}
    assert hello(port)[0] in ("proxy-1.2", "proxy-2.2")


def test_what_is_left_of_a_killed_supervisor_is_stopped_too(host):
    host.run()
    host.up()
    host.process.kill()
    host.wait()
    host.events.until("engine ends")
    host.process.stdout.close()
    (host.path / "busy").touch()
    host.run()
    host.up()
    assert host.events.collect("leaves", 2) == {"proxy-1", "proxy-2"}
    host.process.terminate()
    assert host.wait() == 0
    assert host.events.collect("ends", 5) == {"engine", "proxy-1", "proxy-2", "proxy-1.2", "proxy-2.2"}


# ---- upgrade

def test_upgrade_replaces_all_in_place(host):
    host.run()
    host.up()
    port, supervisor = host.port("imap"), host.process.pid
    old = host.starts(3)
    inode = os.stat("/proc/%d/exe" % supervisor).st_ino
    shutil.copy(host.path / "bin/mailferry", host.path / "bin/next")
    (host.path / "bin/next").rename(host.path / "bin/mailferry")
    (host.path / "busy").touch()
    done = host.upgrade()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "done: 2 new nodes and a new engine serve; 2 old nodes keep their sessions")
    assert host.process.poll() is None and os.stat("/proc/%d/exe" % supervisor).st_ino != inode
    words = host.events.seen + [host.events.next() for _ in range(6)]
    said = [" ".join(w.split()[:2]) for w in words]
    for name in ("proxy-1", "proxy-2"):
        for new in ("proxy-1.2", "proxy-2.2"):
            assert said.index(new + " starts") < said.index(name + " leaves"), "the new ones come first"
    assert said.index("engine ends") > said.index("proxy-2.2 starts"), "the engine is last"
    assert hello(port)[0] in ("proxy-1.2", "proxy-2.2")
    os.kill(old["proxy-2"], signal.SIGKILL)   # one of the old that dies is not started again
    (host.path / "busy").unlink()
    host.events.until("proxy-1 ends")
    assert host.upgrade().returncode == 0
    assert host.events.collect("ends", 3) == {"engine", "proxy-1.2", "proxy-2.2"}
    assert hello(port)[0] in ("proxy-1.3", "proxy-2.3")
    fds = os.listdir("/proc/%d/fd" % supervisor)
    host.upgrade()
    assert len(os.listdir("/proc/%d/fd" % supervisor)) == len(fds), "nothing is left over of an image"
    host.process.terminate()
    assert host.wait() == 0


def test_upgrade_by_signal(host):
    host.run()
    host.up()
    host.starts(3)
    host.process.send_signal(signal.SIGUSR2)
    assert host.starts(3).keys() == {"proxy-1.2", "proxy-2.2", "engine"}


def refused(host, old, *words):
    """The upgrade fails for this reason, and everything goes on as it was."""
    done = host.upgrade()
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    name, pid = hello(host.port("imap"))
    assert int(pid) == old[name]
    assert host.process.poll() is None


@pytest.mark.parametrize("name", ["mailferry", "mailferry-proxy", "mailferry-sync"])
def test_upgrade_to_a_program_that_does_not_run(host, name):
    host.run()
    host.up()
    old = host.starts(3)
    host.replace(name, "no program at all")
    refused(host, old, "nothing was changed: ", "/" + name + " does not start", "Exec format error")
    host.process.send_signal(signal.SIGHUP)
    assert host.events.collect("reloads", 3) == {"engine", "proxy-1", "proxy-2"}


def test_upgrade_to_settings_with_a_mistake(host):
    host.run()
    host.up()
    old = host.starts(3)
    conf = host.path / "mailferry.conf"
    conf.write_text(CONFIG + "limits { sesions = 5 }\n")
    refused(host, old, "nothing was changed", 'mailferry.conf:%d: ' % (CONFIG.count("\n") + 1), "sesions")
    conf.write_text(CONFIG.replace("data/store.db", "data/other.db"))
    refused(host, old, "nothing was changed", "store: path has changed", "needs a stop and a start")


def test_upgrade_whose_nodes_do_not_come_up(host):
    host.run()
    host.up()
    old = host.starts(3)
    (host.path / "fail-proxy-2.2").touch()
    refused(host, old, "proxy-2.2: cannot start: as the test wants it; the old nodes go on")
    (host.path / "fail-proxy-2.2").unlink()
    assert host.upgrade().returncode == 0
    assert hello(host.port("imap"))[0] in ("proxy-1.3", "proxy-2.3")


def test_upgrade_takes_other_listeners_and_nodes(host):
    host.run()
    host.up()
    host.starts(3)
    imap, pop3 = host.port("imap"), host.port("pop3")
    spare, = processes.free_ports(1)
    conf = host.path / "mailferry.conf"
    conf.write_text(CONFIG.replace('listener "pop3"', 'listener "more"').replace("nodes = 2", "nodes = 1")
                    .replace("port = 0", "port = %d" % imap, 1).replace("port = 0", "port = %d" % spare, 1))
    done = host.upgrade()
    assert done.returncode == 0, done.stderr
    assert host.events.collect("ends", 3) == {"proxy-1", "proxy-2", "engine"}
    assert hello(imap)[0] == "proxy-1.2" and (host.port("imap"), host.port("more")) == (imap, spare)
    with pytest.raises(ConnectionRefusedError):
        hello(pop3)


def test_upgrade_without_anybody_to_ask(host):
    done = host.upgrade()
    assert done.returncode == 1 and "is `mailferry run` running" in done.stderr


def test_upgrade_if_running(host):
    done = host.upgrade("--if-running")
    assert (done.returncode, done.stderr) == (0, "") and "nothing runs here" in done.stdout


# ---- systemd

class Systemd:
    """Its notify socket."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(PATIENCE_S)
        self.seen = []

    def until(self, word):
        while True:
            lines = self.sock.recv(4096).decode().splitlines()
            self.seen += lines
            if word in lines:
                return lines


@pytest.fixture
def systemd(tmp_path):
    s = Systemd(tmp_path / "systemd.sock")
    yield s
    s.sock.close()


def test_systemd_hears_of_every_step(host, systemd):
    host.run(env={"NOTIFY_SOCKET": systemd.path})
    assert any(line.startswith("STATUS=2 nodes, listening on imap") for line in systemd.until("READY=1"))
    assert host.upgrade().returncode == 0
    assert any(line.startswith("MONOTONIC_USEC=") for line in systemd.until("RELOADING=1"))
    systemd.until("READY=1")
    host.process.terminate()
    systemd.until("STOPPING=1")
    assert host.wait() == 0
    assert "WATCHDOG=1" not in systemd.seen, "it was not asked for"


@pytest.mark.parametrize("name", ["proxy-1", pytest.param("engine", marks=pytest.mark.full)])
def test_watchdog_only_while_all_loops_go_round(host, systemd, name):
    host.run(env={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "1000000"})
    systemd.until("WATCHDOG=1")
    pid = host.starts(3)[name]
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + PATIENCE_S
    while select.select([systemd.sock], [], [], 1.2)[0]:    # more than the time that systemd waits
        systemd.sock.recv(4096)
        assert time.monotonic() < end, "systemd hears that all is well"
    os.kill(pid, signal.SIGCONT)
    systemd.until("WATCHDOG=1")


def test_who_dies_again_and_again_does_not_end_the_others(host, systemd):
    host.run(env={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "1000000"})
    host.up()
    (host.path / "fail-proxy-1").touch()
    os.kill(host.starts(3)["proxy-1"], signal.SIGKILL)
    host.starts(1)
    while select.select([systemd.sock], [], [], 0)[0]:      # of the time before
        systemd.sock.recv(4096)
    systemd.until("WATCHDOG=1")


@pytest.mark.full
def test_what_hangs_is_killed_and_started_again(host):
    (host.path / "mailferry.conf").write_text(CONFIG.replace("nodes = 2", "nodes = 2 hang_s = 10"))
    host.run()
    host.up()
    pids = host.starts(3)
    os.kill(pids["proxy-1"], signal.SIGSTOP)
    again = host.starts(1)
    assert again.keys() == {"proxy-1"} and again["proxy-1"] != pids["proxy-1"]
    assert "hangs: silent for" in host.log()


HAND_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="imap", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], ["mailferry", "run"])
"""


def test_inherited_socket_is_used(host):
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        fd = mine.fileno()

        env = dict(os.environ, STANDIN_DIR=str(host.path), MAILFERRY_CONFIG=str(host.path / "mailferry.conf"))
        with open(host.path / "log", "ab") as log:
            host.process = subprocess.Popen([sys.executable, "-c", HAND_ON, str(fd), host.path / "bin/mailferry"],
                                            env=env, stdout=subprocess.PIPE, stderr=log, pass_fds=[fd])
        host.out = Lines(host.process.stdout.fileno())
        assert "imap 127.0.0.1:%d" % port in host.up()
        assert host.port("imap") == port
    assert hello(port)[0].startswith("proxy-")
