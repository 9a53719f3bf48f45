"""Who a client is: PROXY headers in and out, and what the servers behind learn of it."""

import os
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from lib import processes
from lib.dovecot import Dovecot
from lib.fakes import FakeImap
from lib.imapclient import ImapClient, No
from lib.mailferry import Mailferry
from lib.popclient import PopClient

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, ENTRY = "192.0.2.77", "203.0.113.9"
LISTENERS = {
    "imap": ("imap", "starttls"),
    "imaps": ("imap", "implicit"),
    "pop3s": ("pop3", "implicit"),
    "imap-lb": ("imap", "starttls"),
    "imaps-lb": ("imap", "implicit"),
    "pop3s-lb": ("pop3", "implicit"),
}
LB = {"proxy_protocol": True, "trusted": "127.0.0.0/8, ::1"}
HAPROXY = """
haproxy_trusted_networks = 127.0.0.0/8
haproxy_timeout = 3 s
login_trusted_networks = 127.0.0.0/8
imap_id_log = *
service imap-login {
  inet_listener imap_haproxy {
    port = %d
    haproxy = yes
  }
  inet_listener imaps_haproxy {
    port = %d
    haproxy = yes
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3s_haproxy {
    port = %d
    haproxy = yes
    ssl = yes
  }
}
"""


def v1(source=CLIENT, port=4711, to=ENTRY):
    return b"PROXY TCP4 %s %s %d 993\r\n" % (source.encode(), to.encode(), port)


def v2(source=CLIENT, port=4711, to=ENTRY, tlvs=b""):
    body = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!HH", port, 993) + tlvs
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


def v2_six(source="2001:db8::77", port=4711, to="2001:db8::9"):
    body = (socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) +
            struct.pack("!HH", port, 993))
    return SIGNATURE + b"\x21\x21" + struct.pack("!H", len(body)) + body


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
HEADERS = {
    "v1": (v1(), "192.0.2.77:4711"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
    "v2": (v2(), "192.0.2.77:4711"),
    "v2-tlvs": (v2(tlvs=b"\x02\x00\x04mail" + b"\x04\x04\x00" + bytes(1024)), "192.0.2.77:4711"),
    "v2-ipv6": (v2_six(), "[2001:db8::77]:4711"),
    "v2-local": (LOCAL, "127.0.0.1:"),
}


class Scene:
    """A server that wants PROXY headers, and mailferry with listeners that want them too."""

    def __init__(self, stage, own_ferry):
        self.stage, self._start = stage, own_ferry

    def start(self, backend=None, settings=None):
        settings = dict({"run": {"nodes": 1}}, **(settings or {}))
        for name in LISTENERS:
            if name.endswith("-lb"):
                settings.setdefault("listener " + name, dict(LB))
        settings["backend old"] = dict(self.where(), **(backend or {}))
        return self._start(settings, listeners=LISTENERS)

    def where(self):
        """Settings of backend "old"; without a PROXY header no connection of it works."""
        return {"host": self.server.address, "tls_name": self.server.tls_name,
                "imap_port": self.imaps, "pop3_port": self.pop3s}


@pytest.fixture(scope="module")
def guarded(stage):
    """A Dovecot with three more ports, which want a PROXY header."""
    imap, imaps, pop3s = processes.free_ports(3)
    folder = tempfile.mkdtemp(prefix="guarded-", dir=stage.folder)
    server = Dovecot("guarded", folder, stage.ca, stage.old.users, stage.old.masters,
                     more=HAPROXY % (imap, imaps, pop3s))
    server.start()
    server.haproxy = {"imap": imap, "imaps": imaps, "pop3s": pop3s}
    yield server
    server.stop()


@pytest.fixture
def scene(stage, own_ferry, guarded):
    """Clients that stay would make its end wait for their last word."""
    s = Scene(stage, own_ferry)
    s.server, s.imaps, s.pop3s = guarded, guarded.haproxy["imaps"], guarded.haproxy["pop3s"]
    yield s
    for c in stage.opened:
        c.close()


def is_guarded(c):
    return b'"name" "guarded"' in b"".join(c.command(b"ID NIL")[0])


def log_line(server, pattern, timeout_s=10):
    """The first line of a server's log that matches; waits for it."""
    found = []

    def there():
        found[:] = re.findall(r"(?m)^.*%s.*$" % pattern, server.log_text())
        return found
    try:
        processes.wait_until(there, timeout_s, "the log to say " + pattern)
    except TimeoutError as e:
        raise AssertionError("%s\n%s" % (e, server.log_text())) from None
    return found[0]


def login_of(server, proto, person, rip, lip):
    """The copier's own logins stand there too, hence the addresses in the pattern."""
    return log_line(server, r"%s-login: Info: Login: user=<%s>, .*rip=%s, lip=%s," % (
        proto, re.escape(person.name), re.escape(rip), re.escape(lip)))


def ferry_says(ferry, pattern, count=1):
    def there():
        return len(re.findall(pattern, ferry.log_text(4000))) >= count
    try:
        return processes.wait_until(there, 10, "mailferry's log to say " + pattern)
    except TimeoutError as e:
        raise AssertionError("%s\n%s" % (e, ferry.log_text())) from None


# ---- in

@pytest.fixture(scope="module")
def behind_lb(stage):
    """One for all tests that only come in: no backend of it wants a header."""
    folder = tempfile.mkdtemp(prefix="ferry-lb-", dir=stage.folder)
    os.chmod(folder, 0o755)
    settings = {"listener " + name: LB for name in LISTENERS if name.endswith("-lb")}
    f = Mailferry(folder, stage.ca, stage.old, stage.new, listeners=LISTENERS,
                  settings=dict(settings, run={"nodes": 1}))
    f.start()
    yield f
    f.stop()
    assert not f.complaints()


@pytest.mark.parametrize("name", HEADERS)
def test_header_in_front_of_everything(stage, behind_lb, person, name):
    f = behind_lb
    header, peer = HEADERS[name]
    f.import_users([person.name])
    for port, context in (("imaps-lb", stage.context), ("imap-lb", None)):
        c = ImapClient(f.address, f.ports[port], context, preface=header)
        stage.opened.append(c)
        if not context:
            c.starttls(stage.context)
        c.login(person.name, person.password)
        assert c.server_name() == "old"
    p = PopClient(f.address, f.ports["pop3s-lb"], stage.context, preface=header)
    stage.opened.append(p)
    assert p.login(person.name, person.password).startswith(b"+OK")

    for proto, count in (("imap", 2), ("pop3", 1)):
        said = r"proto=%s peer=%s\S* user=%s .* : logged in" % (
            proto, re.escape(peer), re.escape(person.name))
        ferry_says(f, said, count)


def raw(f, name):
    return socket.create_connection((f.address, f.ports[name]), timeout=10)


def ends_without_a_word(sock):
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True


def test_header_may_come_byte_by_byte(stage, behind_lb, person):
    behind_lb.import_users([person.name])
    for header in (v1(), v2(tlvs=b"\x04\x00\x03abc")):
        s = raw(behind_lb, "imap-lb")
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            s.sendall(bytes([byte]))
        s.sendall(b"a NOOP\r\n")   # behind it the protocol begins at once
        heard = b""
        while b"a OK" not in heard:
            heard += s.recv(4096)
        assert heard.startswith(b"* OK ")
        s.close()


@pytest.mark.parametrize("first", [
    b"a LOGIN x y\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216), SIGNATURE + b"\x21\x11\xff\xff"],
    ids=["imap", "tls", "short", "unix", "long"])
def test_no_header_no_session(behind_lb, first):
    s = raw(behind_lb, "imap-lb")
    s.sendall(first)
    assert ends_without_a_word(s)
    port = s.getsockname()[1]
    ferry_says(behind_lb, r'listener "imap-lb": connection from 127.0.0.1:%d closed: it does not begin' % port)


def test_nothing_is_guessed_on_a_listener_without_it(behind_lb):
    s = raw(behind_lb, "imap")
    s.sendall(v1())
    heard = b""
    while b"\r\n* BAD" not in heard and b"\r\nPROXY BAD" not in heard:
        more = s.recv(4096)
        assert more, heard
        heard += more
    assert b"mailferry ready" in heard


def turned_away(f, why):
    return f.metrics().get("mailferry_turned_away_total", protocol="imap", why=why)


def test_who_is_not_trusted_is_turned_away(stage, scene):
    f = scene.start(settings={"listener imap-lb": {"proxy_protocol": True, "trusted": "10.0.0.0/8"},
                              "limits": {"header_s": 1}})
    s = raw(f, "imap-lb")
    s.sendall(v1())
    assert ends_without_a_word(s)
    ferry_says(f, r"connection from 127.0.0.1:%d closed: only load balancers in listener.trusted"
               % s.getsockname()[1])
    late = raw(f, "imaps-lb")
    late.sendall(v1()[:20])
    assert ends_without_a_word(late)
    ferry_says(f, r"connection from 127.0.0.1:%d closed: no PROXY header in time"
               % late.getsockname()[1])
    assert turned_away(f, "untrusted") == f.log_text().count("closed: only load balancers")
    assert (turned_away(f, "late"), turned_away(f, "no_header")) == (1, 0)
    assert f.metrics().get("mailferry_limit_hits_total", limit="header_s") == 1


def test_health_checks_are_nothing_bad(behind_lb):
    def bad():
        return (len(re.findall(r"(?m)^.* warn .*connection from.*$", behind_lb.log_text(100000))),
                [turned_away(behind_lb, why) for why in ("untrusted", "no_header", "late")])
    before = bad()
    for first in (b"", LOCAL):
        s = raw(behind_lb, "imap-lb")
        s.sendall(first)
        if first:
            assert s.recv(4096).startswith(b"* OK ")
        s.close()
    last = raw(behind_lb, "imap-lb")
    last.sendall(LOCAL + b"a LOGOUT\r\n")
    while last.recv(4096):
        pass
    assert bad() == before


def test_a_node_that_leaves_waits_for_headers(scene):
    f = scene.start(settings={"limits": {"header_s": 60}})
    s = raw(f, "imap-lb")
    s.sendall(v1()[:10])
    before = f.nodes()
    f.command("upgrade")
    processes.wait_until(lambda: set(f.nodes()) - set(before), 20, "a new node")
    time.sleep(0.7)     # a node that has nobody ends with its next tick, a quarter of a second
    s.sendall(v1()[10:])
    assert s.recv(4096).startswith(b"* OK ")
    s.close()


def test_curl_comes_in_with_a_header(stage, behind_lb, person):
    behind_lb.import_users([person.name])
    done = subprocess.run(
        ["curl", "-sS", "--haproxy-protocol", "--cacert", stage.ca.cert, "--max-time", "20",
         "imaps://localhost:%d/" % behind_lb.ports["imaps-lb"], "--resolve",
         "localhost:%d:127.0.0.1" % behind_lb.ports["imaps-lb"], "-u",
         "%s:%s" % (person.name, person.password)], capture_output=True, text=True)
    assert done.returncode == 0 and "INBOX" in done.stdout, done.stderr


# ---- out

CAME_FROM = {
    "v4": (v1(), CLIENT, ENTRY),
    "v6": (v2_six(), "2001:db8::77", "2001:db8::9"),
    "own": (b"", "127.0.0.1", "127.0.0.1"),
}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_server_learns_the_address(stage, scene, version):
    f = scene.start({"proxy_protocol": version})
    for header, rip, lip in CAME_FROM.values():
        person = stage.take()
        f.import_users([person.name])
        c = ImapClient(f.address, f.ports["imaps-lb" if header else "imaps"], stage.context, preface=header)
        stage.opened.append(c)
        c.login(person.name, person.password)
        assert is_guarded(c)
        login_of(scene.server, "imap", person, rip, lip)
        p = PopClient(f.address, f.ports["pop3s-lb" if header else "pop3s"], stage.context, preface=header)
        stage.opened.append(p)
        assert p.login(person.name, person.password).startswith(b"+OK")
        login_of(scene.server, "pop3", person, rip, lip)


def test_starttls_behind_the_header(stage, scene, person, imap):
    f = scene.start({"proxy_protocol": "v2", "imap_port": scene.server.haproxy["imap"],
                     "imap_tls": "starttls"})
    f.import_users([person.name])
    c = imap(f)
    c.login(person.name, person.password)
    assert is_guarded(c)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_copier_and_probe_send_it_too(stage, scene, person, version):
    f = scene.start({"proxy_protocol": version})
    f.import_users([person.name])
    f.command("sync", person.name)
    f.wait_state(person.name, "ready")
    assert f.cli("check", "backends")["ok"]
    assert says_of(f, "old", "imap") == "passed on by the PROXY protocol, " + version


# ---- circles

def test_a_backend_that_is_ourselves(stage, scene, person, imap, pop3):
    port = processes.free_ports(1)[0]
    # Only a name that is looked up later gets past `check config`.
    f = scene.start({"host": "LOCALHOST", "imap_port": port, "imap_tls": "starttls",
                     "pop3_tls": "starttls", "tls_name": "localhost"},
                    {"listener imap": {"address": "0.0.0.0", "port": port}})
    f.import_users([person.name])

    tries = []

    def refused():
        tries.append(1)
        with pytest.raises(No) as no:
            imap(f).login(person.name, person.password)
        assert b" NO [UNAVAILABLE]" in no.value.args[0]
        return re.search(r'backend "old": LOCALHOST leads back to our own listener "imap"', f.log_text())
    processes.wait_until(refused, 10, "the circle to be seen")   # the name may be ::1 at first
    # Each makes one connection more, and the node's own looks at its backends come in there too.
    assert f.log_text(4000).count("connected to imap\n") <= 2 * len(tries) + 8


class Forwarder(threading.Thread):
    """Another address of a port: what it takes goes there, byte for byte."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to, self.taken = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.taken += 1
            two = socket.create_connection(("127.0.0.1", self.to))
            for a, b in ((one, two), (two, one)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_a_circle_over_another_address_ends_too(stage, scene, person, imap, pop3):
    ports = processes.free_ports(2)
    ways = [Forwarder(p) for p in ports]
    f = scene.start({"host": "127.0.0.1", "imap_port": ways[0].port, "imap_tls": "none",
                     "pop3_port": ways[1].port, "pop3_tls": "none"},
                    {"tls": {"allow_cleartext": True},
                     "listener imap": {"port": ports[0]},
                     "listener pop3": {"protocol": "pop3", "address": "127.0.0.1", "port": ports[1],
                                       "tls": "starttls"}})
    # The person is a stranger, who goes to old: else the engine's own tries would go round here too.
    taken = [w.taken for w in ways]
    with pytest.raises(No) as refused:
        imap(f).login(person.name, person.password)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0]
    assert pop3(f).login(person.name, person.password).startswith(b"-ERR [SYS/TEMP]")
    ferry_says(f, "login came through 5 proxies")
    for way, before in zip(ways, taken):
        # Five proxies in a row; the node's own looks at its backend come once each.
        assert 4 <= way.taken - before <= 8
        way.close()


# ---- ID and XCLIENT

ID = b'ID ("name" "Test Mail" "version" "1.2" "os" NIL "x-originating-ip" "6.6.6.6" "x-proxy-ttl" "200")'


@pytest.fixture
def told(scene, guarded):
    """Its server is reached without PROXY headers."""
    scene.imaps, scene.pop3s = guarded.ports["imaps"], guarded.ports["pop3s"]
    return scene


def session_of(f, person, proto):
    def listed():
        return [s for s in f.cli("sessions", person.name)["sessions"] if s["proto"] == proto]
    return processes.wait_until(listed, 10, "the session to be listed")[0]


def test_id_tells_the_address(stage, told, person):
    f = told.start({"id_forward": True})
    f.import_users([person.name])
    c = ImapClient(f.address, f.ports["imaps-lb"], stage.context, preface=v1())
    stage.opened.append(c)
    untagged, _ = c.command(ID)
    assert untagged == [b'* ID ("name" "mailferry")\r\n']
    untagged, _ = c.login(person.name, person.password)
    assert not [line for line in untagged if line.startswith(b"* ID")]
    shown = session_of(f, person, "imap")
    assert shown["client"] == "Test Mail 1.2"
    login_of(told.server, "imap", person, CLIENT, ENTRY)
    log_line(told.server, r"Login: user=<%s>.*session=<%s>" % (re.escape(person.name), shown["id"]))
    said = log_line(told.server, r"ID sent: .*name=Test Mail")
    for part in ("version=1.2", "x-originating-ip=" + CLIENT, "x-proxy-ttl=4", "x-client-transport=TLS",
                 "x-session-id=" + shown["id"]):
        assert part in said, said
    assert "6.6.6.6" not in said and "200" not in said
    assert is_guarded(c)


def test_xclient_tells_the_address(stage, told, person):
    f = told.start({"xclient": True})
    f.import_users([person.name])
    c = PopClient(f.address, f.ports["pop3s-lb"], stage.context, preface=v2_six())
    stage.opened.append(c)
    assert c.login(person.name, person.password).startswith(b"+OK")
    login_of(told.server, "pop3", person, "2001:db8::77", "127.0.0.1")  # this Dovecot knows no DESTADDR
    log_line(told.server, r"pop3-login: Info: Login: user=<%s>.*session=<%s>" % (
        re.escape(person.name), session_of(f, person, "pop3")["id"]))
    assert c.command(b"STAT").startswith(b"+OK")


def test_no_address_is_told_unasked(stage, told, person, imap, pop3):
    f = told.start()
    f.import_users([person.name])
    c = ImapClient(f.address, f.ports["imaps-lb"], stage.context, preface=v1())
    stage.opened.append(c)
    c.command(ID.replace(b"Test", b"Shy"))
    c.login(person.name, person.password)
    said = log_line(told.server, r"ID sent: .*name=Shy Mail")
    assert "version=1.2" in said and "x-" not in said.split("ID sent:")[1], said
    assert CLIENT not in log_line(told.server, r"imap-login: Info: Login: user=<%s>" % re.escape(person.name))
    p = PopClient(f.address, f.ports["pop3s-lb"], stage.context, preface=v1())
    stage.opened.append(p)
    assert p.login(person.name, person.password).startswith(b"+OK")
    assert CLIENT not in log_line(told.server, r"pop3-login: Info: Login: user=<%s>" % re.escape(person.name))


@pytest.mark.offers("ID")
def test_nobody_speaks_in_our_name_after_login(ferry, resident, imap):
    c = imap(ferry)
    c.login(resident.name, resident.password)
    for claim in (b'ID ("x-originating-ip" "6.6.6.6")', b'ID ("name" "a" "X-Session-Id" "b")',
                  b"ID ({16+}\r\nx-originating-ip {7+}\r\n6.6.6.6)"):
        with pytest.raises(No):
            c.command(claim)
    untagged, _ = c.command(b'ID ("name" "Late Mail" "version" "7-x")')
    assert untagged and b"mailferry" not in untagged[0]     # the server's own answer
    processes.wait_until(lambda: session_of(ferry, resident, "imap")["client"] == "Late Mail 7-x", 10,
                         "the program to be shown")


@pytest.mark.parametrize("wrong", [b"ID", b"ID (", b'ID ("name")', b'ID "name" "x"', b'ID (("a" "b"))'])
def test_id_that_is_none(behind_lb, imap, wrong):
    with pytest.raises(No) as refused:
        imap(behind_lb).command(wrong)
    assert refused.value.args[0].startswith(b"a1 BAD")


@pytest.fixture
def trusting(told):
    """Listeners that believe what loopback tells; what they believe shows in the server's log."""
    return told.start({"id_forward": True, "xclient": True},
                      {"listener imap": {"trusted": "127.0.0.0/8"},
                       "listener imaps": {"trusted": "127.0.0.0/8"},
                       "listener pop3s": {"trusted": "127.0.0.0/8"}})


TOLD = b'ID ("x-originating-ip" "198.51.100.5" "x-originating-port" "99" "x-connected-ip" "198.51.100.6")'


def test_a_trusted_webmail_is_believed(stage, told, trusting, person, imap, pop3):
    trusting.import_users([person.name])
    c = imap(trusting)
    c.command(TOLD)
    c.login(person.name, person.password)
    assert session_of(trusting, person, "imap")["peer"] == "198.51.100.5:99"
    login_of(told.server, "imap", person, "198.51.100.5", "198.51.100.6")
    p = pop3(trusting)
    assert p.greeting.startswith(b"+OK [XCLIENT] ")
    assert b"XCLIENT" in p.lines(b"CAPA")
    assert p.command(b"XCLIENT ADDR=2001:db8::5 PORT=98").startswith(b"+OK")
    assert p.login(person.name, person.password).startswith(b"+OK")
    login_of(told.server, "pop3", person, "2001:db8::5", "127.0.0.1")


def test_what_came_in_front_of_starttls_is_forgotten(stage, trusting, person, imap):
    trusting.import_users([person.name])
    c = imap(trusting, "imap")
    c.command(TOLD[:-1] + b' "name" "Ghost")')
    c.starttls(stage.context)
    c.login(person.name, person.password)
    shown = session_of(trusting, person, "imap")
    assert shown["peer"].startswith("127.0.0.1:") and shown["client"] == ""


def test_others_are_not_believed(told, behind_lb, person, imap, pop3):
    behind_lb.import_users([person.name])
    c = imap(behind_lb)
    c.command(TOLD)
    c.login(person.name, person.password)
    assert session_of(behind_lb, person, "imap")["peer"].startswith("127.0.0.1:")
    p = pop3(behind_lb)
    assert b"XCLIENT" not in p.greeting and b"XCLIENT" not in p.lines(b"CAPA")
    assert p.command(b"XCLIENT ADDR=198.51.100.5 PORT=98").startswith(b"-ERR")
    assert p.login(person.name, person.password).startswith(b"+OK")
    assert session_of(behind_lb, person, "pop3")["peer"].startswith("127.0.0.1:")


def test_clients_are_counted_where_they_come_from(stage, told, imap):
    f = told.start(settings={"limits": {"preauth_per_address": 1, "trusted": "10.0.0.0/8"},
                             "listener imap": {"trusted": "127.0.0.0/8"}})

    def greeted(header):
        s = raw(f, "imap-lb")
        s.sendall(header)
        held.append(s)
        return s.recv(4096)
    held = []
    for header, words in ((LOCAL, b"* OK "), (LOCAL, b"* OK "),     # the load balancer's own
                          (v1(), b"* OK "), (v1(source="192.0.2.78"), b"* OK "), (v1(), b"* BYE ")):
        assert greeted(header).startswith(words), header
    c = imap(f, "imap")     # so is a webmail, until it says for whom it comes
    imap(f, "imap")
    c.begin(TOLD.replace(b"198.51.100.5", CLIENT.encode()))
    assert c.responses_until_closed()[-1].startswith(b"* BYE ")
    for s in held:
        s.close()


def test_a_count_that_has_run_out(behind_lb, person, imap, pop3):
    behind_lb.import_users([person.name])
    for hops in (b"2", b"200", b"x"):
        c = imap(behind_lb)
        c.command(b'ID ("x-proxy-ttl" "%s")' % hops)
        c.login(person.name, person.password)
    c = imap(behind_lb)
    c.command(b'ID ("x-proxy-ttl" "1")')
    with pytest.raises(No) as refused:
        c.login(person.name, person.password)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0]
    ferry_says(behind_lb, "too many proxies in a row")


@pytest.mark.parametrize("answers, ok", [
    (b'* ID ("name" "secret")\r\nI OK\r\nA OK [CAPABILITY IMAP4rev1] in\r\n', True),
    (b"I BAD what\r\nA OK [CAPABILITY IMAP4rev1] in\r\n", True),
    (b"A OK [CAPABILITY IMAP4rev1] in\r\nI OK\r\n", False)], ids=["ok", "bad", "late"])
def test_id_costs_no_round_trip_and_its_answer_stays_here(told, imap, stage, answers, ok):
    server = FakeImap()
    server.rules["ID"] = lambda fake, talk, tag, rest: None     # says nothing before the login has come
    server.rules["AUTHENTICATE"] = answers
    f = told.start({"host": "127.0.0.1", "imap_port": server.port, "imap_tls": "none", "id_forward": True})
    person = stage.take()
    c = imap(f)    # nobody is imported: the copier stays away
    if ok:
        c.login(person.name, person.password)
    else:
        with pytest.raises(No):
            c.login(person.name, person.password)
    heard = b"".join(line for _, way, line in c.transcript if way == "S:")
    assert b"secret" not in heard and b"I OK" not in heard and b"I BAD" not in heard
    said = [line for line in server.heard if not line.startswith(b"P ")]
    assert said[0].startswith(b'I ID ("x-originating-ip" "127.0.0.1" ')
    assert said[1].startswith(b"A AUTHENTICATE PLAIN ")
    server.close()


# ---- what `check backends` says about it

def says_of(f, side, proto):
    for s in f.cli("check", "backends")["servers"]:
        if (s["backend"], s["proto"]) == (side, proto):
            return s["client_address"]
    return None


def test_backends_are_told_or_must_exempt_us(told, scene, guarded):
    f = told.start({"id_forward": True, "xclient": True}, {"backend new": {"xclient": True}})
    assert re.match("passed on by ID, if the server trusts 127.0.0.1", says_of(f, "old", "imap"))
    assert re.match("passed on by XCLIENT", says_of(f, "old", "pop3"))
    assert re.match("not passed on: all logins come from our address; exempt 127.0.0.1 from the server's "
                    "brute-force guards", says_of(f, "new", "imap"))
    assert re.match("not passed on: xclient = yes, but the server does not offer it", says_of(f, "new", "pop3"))
    assert "passed on by ID" in f.command("check", "backends").stdout
