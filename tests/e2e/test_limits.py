"""Each setting of section limits, through the built proxy: test_NAME of this file shows it and its metric."""

import os
import re
import resource
import socket
import tempfile
import threading
import time

import pytest

from conftest import Checked
from lib import metrics, processes
from lib.imapclient import Closed, ImapClient, No
from lib.preload import preload

ELSEWHERE = {
    "header_s": "test_identity.py",     # with everything else about PROXY headers
    "uidl_bytes": "test_uidl.py",
}
TRUSTED = "127.0.9.9"


def house(stage, settings, **kw):
    folder = tempfile.mkdtemp(prefix="ferry-", dir=stage.folder)
    os.chmod(folder, 0o755)
    f = Checked(folder, stage.ca, stage.old, stage.new, settings={"run": {"nodes": 1}, **settings}, **kw)
    return f.start()


@pytest.fixture(scope="module")
def people(stage):
    return [stage.take() for _ in range(4)]


@pytest.fixture(scope="module")
def strict(stage, people):
    """Everything small; nobody is trusted by default."""
    f = house(stage, {"limits": {
        "handshake_s": 60, "login_tries": 3, "preauth_bytes": 1024, "line_bytes": 8192,
        "bad_commands": 3, "id_pairs": 4, "preauth_per_address": 3, "sessions_per_address": 3, "sessions_per_user": 2,
        "login_delay_s": 2, "tracked": 16, "trusted": TRUSTED}})
    f.import_users([p.name for p in people])
    yield f
    f.stop()


@pytest.fixture(scope="module")
def silent(stage, people):
    """A backend that takes connections and says nothing: IMAP in clear text, POP3 over TLS."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        port = server.getsockname()[1]
        f = house(stage, {"backend old": {"imap_port": port, "pop3_port": port, "imap_tls": "none"},
                          "limits": {"dial_s": 1, "backend_login_s": 2}})
        f.import_users([p.name for p in people])
        yield f
        f.stop()


@pytest.fixture(scope="module")
def small(stage, people):
    f = house(stage, {"limits": {"sessions": 4, "preauth_sessions": 2}})
    f.import_users([p.name for p in people])
    yield f
    f.stop()


class Hits:
    """How often a limit was hit since."""

    def __init__(self, f, limit):
        self.f, self.limit = f, limit
        self.before = self.now()

    def now(self):
        return self.f.metrics().get("mailferry_limit_hits_total", limit=self.limit)

    def more(self):
        return self.now() - self.before


def took(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def refusal(client, name, password="wrong"):
    with pytest.raises(No) as no:
        client.login(name, password)
    return no.value.args[0]


def ended(sock, timeout_s=10):
    """Reads to the end; what came."""
    sock.settimeout(timeout_s)
    got = b""
    try:
        while True:
            data = sock.recv(4096)
            if not data:
                return got
            got += data
    except ConnectionResetError:
        return got


def raw(f, port="imap", source=None):
    return socket.create_connection((f.address, f.ports[port]), source_address=(source, 0) if source else None)


# ---- before login

def test_handshake_s_login_s(own_ferry, imap):
    f = own_ferry({"run": {"nodes": 1}, "limits": {"handshake_s": 1, "login_s": 2}})
    handshake, login = Hits(f, "handshake_s"), Hits(f, "login_s")
    began, s, c = time.monotonic(), raw(f, "imaps"), imap(f, "imap")
    ended(s)
    assert 0.9 < time.monotonic() - began < 9 and handshake.more() == 1
    c.responses_until_closed()
    assert 1.5 < time.monotonic() - began < 50 and c.left_with_bye
    assert (handshake.more(), login.more()) == (1, 1)


def test_login_tries(strict, imap):
    hits = Hits(strict, "login_tries")
    c = imap(strict, source=TRUSTED)
    for i in range(3):
        refusal(c, "tries@example.com")
    c.responses_until_closed()
    assert c.left_with_bye and hits.more() == 1


@pytest.mark.parametrize("port,answer", [("imap", b"a1 BAD [TOOBIG] "), ("pop3", b"-ERR Command too long")])
def test_preauth_bytes(strict, port, answer):
    hits = Hits(strict, "preauth_bytes")
    s = raw(strict, port, TRUSTED)
    s.sendall(b"a1 LOGIN " + b"x" * 2000 + b"\r\nx2 LOGOUT\r\n")
    assert answer in ended(s)
    assert hits.more() == 1


@pytest.mark.parametrize("port", ["imap", "pop3"])
def test_bad_commands(strict, port):
    hits = Hits(strict, "bad_commands")
    s = raw(strict, port, TRUSTED)
    s.sendall(b"x1 NONSENSE\r\nx2 NONSENSE\r\nx3 NONSENSE\r\nx4 NONSENSE\r\n")
    said = ended(s)
    assert len(re.findall(rb"(?m)^(?:x\d BAD|-ERR)", said)) == 3
    assert hits.more() == 1


def test_id_pairs(strict, people, imap):
    """Whoever tells more is heard, but what is too much is forgotten: here its name."""
    hits = Hits(strict, "id_pairs")
    c, d = imap(strict, source=TRUSTED), imap(strict, source=TRUSTED)
    fields = b" ".join(b'"f%d" "v"' % i for i in range(4))
    c.command(b'ID ("name" "kept" %s)' % fields)
    d.command(b'ID (%s "name" "lost")' % fields)
    assert hits.more() == 2
    for client, person in ((c, people[0]), (d, people[2])):
        client.login(person.name, person.password)

    def program(person):
        return [s["client"] for s in strict.cli("sessions", person.name)["sessions"]]
    processes.wait_until(lambda: program(people[0]) and program(people[2]), 10, "the sessions to be listed")
    assert program(people[0]) == ["kept"] and program(people[2]) != ["lost"]


def test_preauth_per_address(strict, imap):
    hits = Hits(strict, "preauth_per_address")
    here = [imap(strict, "imap", source="127.0.5.1") for _ in range(3)]
    assert ended(raw(strict, "imap", "127.0.5.1")) == b"* BYE Too many connections.\r\n"
    assert ended(raw(strict, "pop3", "127.0.5.1")).startswith(b"-ERR [SYS/TEMP] ")
    assert ended(raw(strict, "imaps", "127.0.5.1")) == b""
    assert hits.more() == 3
    assert imap(strict, "imap", source="127.0.5.2").greeting.startswith(b"* OK")
    here[0].logout()
    assert imap(strict, "imap", source="127.0.5.1").greeting.startswith(b"* OK")


def test_trusted(strict, imap):
    hits = Hits(strict, "trusted")
    clients = [imap(strict, "imap", source=TRUSTED) for _ in range(6)]
    assert all(c.greeting.startswith(b"* OK") for c in clients)
    assert hits.more() == 6


def test_preauth_sessions(small, imap, pop3):
    hits = Hits(small, "preauth_sessions")
    evicted = small.metrics().get("mailferry_closed_total", how="evicted")
    first, second = imap(small, "imap"), pop3(small, "pop3")
    third = imap(small, "imap")
    first.responses_until_closed()
    assert first.left_with_bye, "the oldest that says nothing makes room"
    fourth = imap(small)
    assert second.line().startswith(b"-ERR [SYS/TEMP] ") and second.line() == b""
    assert third.greeting.startswith(b"* OK") and fourth.greeting.startswith(b"* OK")
    assert hits.more() == 2
    fifth = imap(small, "imap")
    third.responses_until_closed()
    assert third.left_with_bye
    imap(small, "imap")
    fifth.responses_until_closed()
    assert fifth.left_with_bye, "it is newer than the fourth, but that one did a handshake"
    fourth.command(b"NOOP")
    assert small.metrics().get("mailferry_closed_total", how="evicted") - evicted == 4


def test_sessions(small, people, imap):
    hits = Hits(small, "sessions")
    inside = [imap(small) for _ in range(1)]
    for i in range(4):
        if i:
            inside.append(imap(small))
        inside[i].login(people[i].name, people[i].password)
    waits = raw(small)
    processes.wait_until(lambda: hits.more() > 0, 10, "the node to be full")
    assert metrics.get(small.controls()[0], "/healthz")[0] == 200
    inside[0].logout()
    waits.settimeout(10)
    assert waits.recv(100).startswith(b"* OK"), "who waited is taken when there is room"
    waits.close()
    for c in inside[1:]:
        c.logout()


def test_spare_descriptors(stage, own_ferry, imap):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    f = own_ferry({"run": {"nodes": 1}, "limits": {"spare_descriptors": most - 45}})
    hits, waiting = Hits(f, "spare_descriptors"), []
    while hits.more() == 0 and len(waiting) < 45:
        waiting.append(raw(f))
    assert 1 < len(waiting) < 45
    assert metrics.get(f.controls()[0], "/readyz")[0] == 200, "there is one left to ask with"
    processes.wait_until(lambda: any(_greets(s, 0.1) for s in waiting), 10, "those who are in to be greeted")
    greeted = [s for s in waiting if _greets(s, 0.1)]
    assert 0 < len(greeted) < len(waiting)
    for s in greeted:
        s.close()
    last = waiting[-1]
    assert _greets(last, 10), "who waited is taken when there is room"
    last.close()


def _greets(sock, timeout_s):
    sock.settimeout(timeout_s)
    try:
        return sock.recv(100, socket.MSG_PEEK).startswith(b"* OK")
    except TimeoutError:
        return False


# ---- guesses

def test_login_delay_s(strict, person, imap):
    """A few wrong ones are free, then each costs twice the time of the one before, up to the limit."""
    hits = Hits(strict, "login_delay_s")
    strict.import_users([person.name])
    began = []      # each wait counts from a failure, which was not before its login was begun
    while not hits.more() and len(began) < 12:      # who stands still meanwhile has waited
        c = imap(strict, source=TRUSTED)
        began.append(time.monotonic())
        refusal(c, person.name)
        c.close()
    assert len(began) > 3 and hits.more() == 1
    assert time.monotonic() - began[-2] >= 1
    c = imap(strict, source="127.0.6.1")
    c.login(person.name, person.password)
    assert 3 <= time.monotonic() - began[-2] < 50, "it counts for the user, wherever"
    c.logout()
    before = hits.more()
    c = imap(strict, source="127.0.6.2")
    c.login(person.name, person.password)
    c.logout()
    assert hits.more() == before, "a success forgives"


def test_guesses_do_not_slip_through_side_by_side(strict, people, imap):
    """After a few failures they go one by one; who would wait too long is refused unasked, without a password prompt."""
    first = [imap(strict, source=TRUSTED) for _ in range(4)]
    began = time.monotonic()
    for c in first:
        c.begin(b"LOGIN target@example.com wrong")
    for c in first:
        assert b" NO [AUTHENTICATIONFAILED]" in c.response()
        c.close()
    before = strict.metrics().get("mailferry_logins_total", result="bad_login")
    clients = [imap(strict, source="127.0.7.%d" % (1 + i // 2)) for i in range(20)]
    for c in clients:
        c.begin(b"LOGIN target@example.com guess")
    time.sleep(2.5)
    asked = strict.metrics().get("mailferry_logins_total", result="bad_login") - before
    assert asked <= (time.monotonic() - began) // 2, "20 guesses at once, and a wait of 2 s before each"


def test_login_parallel(own_ferry, people, imap):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        f = own_ferry({"backend old": {"imap_port": server.getsockname()[1], "imap_tls": "none"}, "run": {"nodes": 1},
                       "limits": {"backend_login_s": 60, "login_parallel": 4}})
        hits = Hits(f, "login_parallel")
        clients = [imap(f, "imaps") for _ in range(5)]
        for c in clients:
            c.begin(b'LOGIN "%s" "x"' % people[0].name.encode())

        def in_state(state):
            return f.metrics().get("mailferry_sessions", state=state)
        processes.wait_until(lambda: in_state("login") == 4 and in_state("delay") == 1, 10, "the fifth to wait")
        assert hits.more() == 1
        other = imap(f, "imaps")
        other.begin(b'LOGIN "%s" "x"' % people[1].name.encode())
        processes.wait_until(lambda: in_state("login") == 5, 10, "somebody else to be asked for")


def test_a_backend_that_is_down_is_no_guess(silent, people, pop3):
    """However often: the next login is asked for at once."""
    user, hits, dials = people[2], Hits(silent, "login_delay_s"), Hits(silent, "dial_s")
    clients = [pop3(silent) for _ in range(4)]
    for c in clients:
        c.command(b"USER " + user.name.encode())
        c.send(b"PASS x\r\n")
    for c in clients:
        assert c.line().startswith(b"-ERR [SYS/TEMP]")
    next_one = pop3(silent)
    next_one.command(b"USER " + user.name.encode())
    next_one.send(b"PASS x\r\n")
    processes.wait_until(lambda: silent.metrics().get("mailferry_sessions", protocol="pop3", state="dial") == 1 or dials.more() == 5,
                         10, "the backend to be asked")
    assert hits.more() == 0


def test_refusal_s(stage, own_ferry, people, imap):
    """A wrong password, a name that nobody has and a name that is none: the same words after the same time."""
    after = 1 + stage.old.refuses_after_s
    f = own_ferry({"run": {"nodes": 1}, "limits": {"refusal_s": after}})
    f.import_users([p.name for p in people[:3]])
    hits, times = Hits(f, "refusal_s"), {}
    for i, p in enumerate(people[:3]):      # a busy machine adds to some of them, but hardly each time
        names = {"known": p.name, "unknown": "nobody%d@example.com" % i, "none": "no name%d@@" % i}
        asked = [(kind, _Timed(c, names[kind])) for kind, c in [(kind, imap(f)) for kind in list(names) * 2]]
        for _, t in asked:
            t.join()
        assert len({t.said for _, t in asked}) == 1
        for kind, t in asked:
            assert t.took >= after - 0.01
            times[kind] = min(t.took, times.get(kind, t.took))
        assert hits.more() == 6 * (i + 1)
        if max(times.values()) - min(times.values()) < 0.25:
            break
    else:
        raise AssertionError(times)


class _Timed(threading.Thread):
    """One refusal, and how long it took; many go at once."""

    def __init__(self, client, name):
        super().__init__(daemon=True)
        self.client, self.name_ = client, name
        self.start()

    def run(self):
        self.took = took(self._ask)

    def _ask(self):
        self.said = refusal(self.client, self.name_)


def test_tracked(strict, people, imap):
    hits = Hits(strict, "tracked")
    for i in range(18):
        c = imap(strict, source="127.0.8.%d" % (i + 1))
        c.login(people[3].name, people[3].password)
        c.logout()
    assert hits.more() >= 2


# ---- at a backend

def test_dial_s_backend_login_s(silent, people, imap, pop3):
    processes.wait_until(lambda: not sum(silent.metrics().get("mailferry_sessions", state=s)
                                         for s in ("delay", "dial", "login")), 10, "those before to end")
    dial, login = Hits(silent, "dial_s"), Hits(silent, "backend_login_s")
    began, c, d = time.monotonic(), imap(silent), pop3(silent)
    tag = c.begin(b"LOGIN %s x" % people[3].name.encode())
    assert d.login(people[3].name, "x").startswith(b"-ERR [SYS/TEMP]")
    assert 0.9 < time.monotonic() - began < 7 and dial.more() == 1
    with pytest.raises(No) as no:
        c.finish(tag)
    assert b"[UNAVAILABLE]" in no.value.args[0]
    assert 1.9 < time.monotonic() - began < 14 and login.more() == 1


# ---- after login

def test_line_bytes(strict, people, imap):
    hits = Hits(strict, "line_bytes")
    c = imap(strict, source=TRUSTED)
    c.login(people[1].name, people[1].password)
    c.send(b"x1 SEARCH " + b"x" * 10000)
    c.responses_until_closed()
    assert c.left_with_bye and hits.more() == 1


def test_sessions_per_user(strict, people, imap):
    hits, user = Hits(strict, "sessions_per_user"), people[1]
    inside = [imap(strict, source=TRUSTED) for _ in range(2)]
    for c in inside:
        c.login(user.name, user.password)
    third = imap(strict, source=TRUSTED)
    assert b" NO [LIMIT] " in refusal(third, user.name, user.password)
    assert hits.more() == 1
    inside[0].logout()
    processes.wait_until(lambda: strict.metrics().get("mailferry_sessions", state="relay") == 1, 10, "room")
    third.login(user.name, user.password)


def test_sessions_per_address(strict, people, imap):
    hits, here = Hits(strict, "sessions_per_address"), "127.0.10.1"
    inside = []
    for p in people[:3]:
        inside.append(imap(strict, source=here))
        inside[-1].login(p.name, p.password)
    fourth = imap(strict, source=here)
    assert b" NO [LIMIT] " in refusal(fourth, people[3].name, people[3].password)
    assert hits.more() == 1
    inside[0].logout()
    processes.wait_until(lambda: strict.metrics().get("mailferry_sessions", state="relay") == 2, 10, "room")
    fourth.login(people[3].name, people[3].password)


class Leap:
    """The monotonic clock of all programs, moved on by hand (lib/leap.c); never so far that a node loses its lease."""

    STEP_S = 45

    def __init__(self, folder):
        self.seconds, self.file = 0, os.path.join(folder, "leap")
        self.write()
        self.env = {"LEAP_FILE": self.file, **preload(folder, "leap")}

    def write(self):
        with open(self.file + ".new", "w") as f:
            f.write(str(self.seconds))
        os.chmod(self.file + ".new", 0o644)
        os.rename(self.file + ".new", self.file)

    def to(self, f, seconds):
        while self.seconds < seconds:
            self.seconds = min(self.seconds + self.STEP_S, seconds)
            self.write()
            processes.wait_until(lambda: f.metrics().get("mailferry_store_lag_seconds") < 3, 10, "the lease")


@pytest.mark.full
def test_imap_idle_s_pop3_idle_s(stage, own_ferry, person, imap, pop3):
    leap = Leap(tempfile.mkdtemp(prefix="leap-", dir=stage.folder))
    os.chmod(os.path.dirname(leap.file), 0o755)
    f = own_ferry({"run": {"nodes": 1}, "limits": {"imap_idle_s": 1800, "pop3_idle_s": 600}}, env=leap.env)
    f.import_users([person.name])
    by_imap, by_pop3 = Hits(f, "imap_idle_s"), Hits(f, "pop3_idle_s")
    quiet, busy, pop = imap(f), imap(f), pop3(f)
    for c in (quiet, busy, pop):
        c.login(person.name, person.password)
    leap.to(f, 540)      # real time counts as well
    assert by_pop3.more() == 0
    leap.to(f, 605 + leap.STEP_S)    # the last byte may have come after the first step
    assert pop.line() == b"" and by_pop3.more() == 1
    busy.command(b"NOOP")
    leap.to(f, 1740)
    assert by_imap.more() == 0
    leap.to(f, 1805 + leap.STEP_S)
    quiet.responses_until_closed()
    assert quiet.left_with_bye and b"Autologout" in quiet.last_line and by_imap.more() == 1
    busy.command(b"NOOP")


# ---- in a cutover

def test_parked_stall_s_drop_per_s(stage, own_ferry, person, imap):
    f = own_ferry({"run": {"nodes": 1}, "limits": {"parked": 1, "stall_s": 60, "drop_per_s": 1},
                   "cutover": {"budget_s": 60, "hold_s": 120}})
    stage.fill(person, {"INBOX": 3})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    parked, stalled, dropped = (Hits(f, n) for n in ("parked", "stall_s", "drop_per_s"))
    idle = [imap(f) for _ in range(2)]
    upload = imap(f)
    for c in idle + [upload]:
        c.login(person.name, person.password)
    upload.send(b"u1 APPEND INBOX {1000}\r\n")
    upload.expect_continuation()
    upload.send(b"half of it")
    f.command("cutover", person.name, "--no-wait")
    f.wait_state(person.name, "freezing")
    waiting = imap(f)
    tag = waiting.begin(b'LOGIN "%s" "%s"' % (person.name.encode(), person.password.encode()))
    processes.wait_until(lambda: f.metrics().get("mailferry_parked_sessions") == 1, 10, "a login to wait")
    assert b"[UNAVAILABLE]" in refusal(imap(f), person.name, person.password)
    assert parked.more() == 1 and stalled.more() == 0
    f.sections["limits"]["stall_s"] = 1
    f.write_conf(f.sections)
    f.cli("reload")
    with pytest.raises(Closed):
        upload.response()
    assert not upload.left_with_bye and stalled.more() == 1
    waiting.finish(tag)
    assert waiting.server_name() == "new"
    for c in idle:
        c.responses_until_closed()
        assert c.left_with_bye
    rows = []

    def drops_of_idle():
        rows[:] = [d for d in f.cli("history", person.name)["drops"] if d["why"] == "the user was moved"]
        return len(rows) == 2
    processes.wait_until(drops_of_idle, 10, "both drops to be told")
    assert abs(rows[0]["at"] - rows[1]["at"]) > 300 and dropped.more() == 1


# ---- strangers to the protocol

@pytest.mark.parametrize("port,sent,spoke", [
    ("imap", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
    ("pop3", b"POST /x HTTP/1.1\r\n\r\n", "http"),
    ("imap", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
    ("pop3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
    ("imaps", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
    ("imaps", b"a1 CAPABILITY\r\n", "plain"),
    ("pop3s", b"USER anna\r\n", "plain"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_strangers_are_closed_at_once(strict, port, sent, spoke):
    before = strict.metrics().get("mailferry_foreign_total", spoke=spoke)
    s = raw(strict, port, TRUSTED)
    if not port.endswith("s"):
        s.recv(1000)
    s.sendall(sent)
    assert took(lambda: ended(s)) < 8
    assert strict.metrics().get("mailferry_foreign_total", spoke=spoke) - before == 1


def test_http_inside_tls_is_closed_at_once(stage, strict):
    c = ImapClient(strict.address, strict.ports["imaps"], stage.context, source=TRUSTED)
    c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert c.responses_until_closed() == []


# ---- all of them

def test_every_limit_has_its_test(strict):
    names = {dict(labels)["limit"] for name, labels in strict.metrics().series
             if name == "mailferry_limit_hits_total"}
    written = " ".join(n for n in globals() if n.startswith("test_"))
    missing = [n for n in names if n not in written and n not in ELSEWHERE]
    assert not missing
