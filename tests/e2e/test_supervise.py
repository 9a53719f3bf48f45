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

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MAILFERRY_BUILD", os.path.join(ROOT, "build/plain"))
PATIENCE_S = 30

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
import http.server, json, os, signal, socket, socketserver, sys, threading
DIR = os.environ["STANDIN_DIR"]
def say(*words):
    fd = os.open(DIR + "/events", os.O_WRONLY)
    os.write(fd, (" ".join(map(str, words)) + "\\n").encode())
    os.close(fd)
def end(*_):
    say(NAME, "ends")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
"""

ENGINE = COMMON + """
NAME = "engine"
signal.signal(signal.SIGHUP, lambda *_: say(NAME, "reloads"))
say(NAME, "starts", os.getpid(), *[a for a in sys.argv[1:] if a != sys.argv[2]])
if os.path.exists(DIR + "/no-store"):
    sys.exit(1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        nodes = []
        for name in os.listdir(DIR + "/nodes"):
            with open(DIR + "/nodes/" + name) as f:
                nodes.append({"node": name, "pid": int(f.read()), "health": "up"})
        body = json.dumps({"nodes": nodes}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
path = os.path.dirname(sys.argv[2]) + "/run/mailferry/api.sock"
if os.path.exists(path):
    os.unlink(path)
socketserver.UnixStreamServer(path, Handler).serve_forever()
"""

PROXY = COMMON + """
NAME = sys.argv[4]
signal.signal(signal.SIGHUP, lambda *_: say(NAME, "reloads"))
mine = int(os.environ["LISTEN_PID"]) == os.getpid()
say(NAME, "starts", os.getpid(), sys.argv[1], sys.argv[3], mine, os.environ["LISTEN_FDS"], os.environ["LISTEN_FDNAMES"])
with open(DIR + "/new-" + NAME, "w") as f:
    f.write(str(os.getpid()))
os.rename(DIR + "/new-" + NAME, DIR + "/nodes/" + NAME)
while os.path.exists(DIR + "/idle"):
    signal.pause()
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
        (path / "nodes").mkdir()
        shutil.copy(os.path.join(BUILD, "mailferry"), path / "bin")
        for name, text in (("mailferry-sync", ENGINE), ("mailferry-proxy", PROXY)):
            (path / "bin" / name).write_text(text)
            (path / "bin" / name).chmod(0o755)
        (path / "mailferry.conf").write_text(CONFIG)
        os.mkfifo(path / "events")
        self.events = Lines(os.open(path / "events", os.O_RDWR))
        self.process = None

    def run(self, *args, **more):
        env = dict(os.environ, STANDIN_DIR=str(self.path), MAILFERRY_CONFIG=str(self.path / "mailferry.conf"))
        with open(self.path / "log", "ab") as log:
            self.process = subprocess.Popen([self.path / "bin" / "mailferry", "run", *args], env=env,
                                            stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, **more)
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

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
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
        (host.path / "idle").unlink()
        for name in ("proxy-1", "proxy-2"):
            os.kill(first[name], signal.SIGKILL)
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


def test_killed_supervisor_takes_all_along(host):
    host.run()
    host.up()
    host.process.kill()
    host.wait()
    assert host.events.collect("ends", 3) == {"engine", "proxy-1", "proxy-2"}


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
