"""Certificates by name, tickets over nodes and restarts, and what came before a handshake: on the wire."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from lib import processes
from lib.imapclient import Closed, No, client_context

SESSIONS = 12   # enough that both nodes take some of them


def folder_of(ferry_folder, name):
    path = os.path.join(ferry_folder, name)
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o755)
    return path


@pytest.fixture(scope="module")
def names(stage):
    """A folder of certificates: exact, wildcard, certbot's layout, RSA beside ECDSA."""
    ca, at = stage.ca, folder_of(stage.folder, "names")
    ca.make(os.path.join(at, "exact.sni.test.pem"), ["exact.sni.test"])
    ca.make(os.path.join(at, "_.sni.test.pem"), ["*.sni.test"])
    ca.make(os.path.join(at, "both.test.pem"), ["both.test"])
    ca.make(os.path.join(at, "both.test.rsa.pem"), ["both.test"], key="rsa")
    live = folder_of(folder_of(at, "live"), "le.test")
    ca.make(os.path.join(live, "fullchain.pem"), ["le.test", "mail.le.test"])
    os.symlink("fullchain.pem", os.path.join(live, "privkey.pem"))
    return at


@pytest.fixture(scope="module")
def tls_ferry(stage, names):
    """One for all tests here that leave it as it is."""
    from conftest import Checked
    f = Checked(folder_of(stage.folder, "tls"), stage.ca, stage.old, stage.new,
                settings={"tls": {"folder": names}})
    stage.ferries = [f]
    yield f.start()
    f.stop()
    f.check([])


def s_client(f, *args, port="imaps", say="a LOGOUT\r\n"):
    """Output of openssl s_client, which has logged out in the end."""
    done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % (f.address, f.ports[port]), "-quiet",
                           *args], input=say, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def shown(f, stage, name, **kw):
    """The names in the certificate that a client of this name sees; it is verified, so they are right."""
    context = client_context(stage.ca.cert)
    for key, value in kw.items():
        setattr(context, key, value)
    with socket.create_connection((f.address, f.ports["imaps"]), timeout=30) as raw:
        with context.wrap_socket(raw, server_hostname=name) as s:
            return [n for _, n in s.getpeercert()["subjectAltName"]]


@pytest.mark.parametrize("name,expected", [
    ("exact.sni.test", ["exact.sni.test"]), ("Other.SNI.test", ["*.sni.test"]),
    ("le.test", ["le.test", "mail.le.test"]), ("mail.le.test", ["le.test", "mail.le.test"])])
def test_certificate_by_name(stage, tls_ferry, name, expected):
    assert shown(tls_ferry, stage, name) == expected


def test_default_certificate_for_others(stage, tls_ferry):
    assert "localhost" in shown(tls_ferry, stage, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(tls_ferry, stage, "nobody.test")


def test_rsa_for_who_knows_no_ecdsa(tls_ferry):
    modern = s_client(tls_ferry, "-servername", "both.test", "-brief")
    assert "Signature type: ECDSA" in modern, modern
    old = s_client(tls_ferry, "-servername", "both.test", "-brief", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256")
    assert "Signature type: RSA-PSS" in old, old


def test_certificate_by_name_behind_starttls(stage, tls_ferry, imap, pop3):
    c = imap(tls_ferry, "imap")
    c.hostname = "exact.sni.test"
    c.starttls(stage.context)
    assert c.sock.getpeercert()["subjectAltName"] == (("DNS", "exact.sni.test"),)
    d = pop3(tls_ferry, "pop3")
    d.hostname = "any.sni.test"
    d.stls(stage.context)
    assert d.sock.getpeercert()["subjectAltName"] == (("DNS", "*.sni.test"),)


@pytest.mark.parametrize("version,shakes", [("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)])
def test_versions(tls_ferry, version, shakes):
    heard = s_client(tls_ferry, version, "-cipher", "DEFAULT@SECLEVEL=0")
    assert ("* OK" in heard) == shakes, heard
    assert ("alert protocol version" in heard) == (not shakes), heard


@pytest.mark.parametrize("port,offer,shakes", [
    ("imaps", "imap", True), ("imaps", "h2,imap", True), ("imaps", "pop3", False), ("imaps", "h2", False),
    ("pop3s", "pop3", True), ("pop3s", "imap", False), ("pop3s", "http/1.1", False)])
def test_protocol_asked_for(tls_ferry, port, offer, shakes):
    heard = s_client(tls_ferry, "-alpn", offer, "-brief", port=port, say="QUIT\r\n" if "pop" in port else "a LOGOUT\r\n")
    assert ("no application protocol" in heard) == (not shakes), heard
    assert ("OK" in heard) == shakes, heard


def test_renegotiation_is_refused(tls_ferry):
    with subprocess.Popen(["openssl", "s_client", "-connect", "%s:%d" % (tls_ferry.address, tls_ferry.ports["imaps"]),
                           "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        said = b""
        while b"ready" not in said:
            said += p.stdout.readline()
        p.stdin.write(b"R\n")
        p.stdin.flush()
        said += p.stdout.read()
        assert b"no renegotiation" in said, said


# ---- tickets

class Resumer:
    """A client that takes its TLS session along, as mail programs do."""

    def __init__(self, stage, version=None):
        self.context = client_context(stage.ca.cert)
        if version:
            self.context.maximum_version = version
        self.session = None

    def visit(self, f, port="imaps"):
        """One connection; returns whether it was resumed."""
        raw = socket.create_connection((f.address, f.ports[port]), timeout=30)
        with self.context.wrap_socket(raw, server_hostname="localhost", session=self.session) as s:
            assert s.recv(4096)     # the ticket comes before the greeting
            self.session = s.session
            s.sendall(b"a LOGOUT\r\n")
            while s.recv(4096):
                pass
            return s.session_reused


def taken_by(f):
    """Which nodes have taken connections."""
    return set(re.findall(r"node=(\S+) .*: connected to imaps", f.log_text()))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_sessions_resume_at_every_node_and_after_a_restart(stage, own_ferry, version):
    f = own_ferry()
    client = Resumer(stage, version)
    assert not client.visit(f)
    for _ in range(SESSIONS):
        assert client.visit(f)
    processes.wait_until(lambda: client.visit(f) and len(taken_by(f)) == 2, 30, "both nodes to be met")
    assert os.stat(os.path.join(f.run_dir, "tickets")).st_mode & 0o777 == 0o600
    f.stop()
    f.start(new_store=False)
    assert client.visit(f)


def test_ticket_keys_change_while_clients_come_back(stage, own_ferry):
    f = own_ferry({"tls": {"ticket_life_s": 1}})
    key_file = os.path.join(f.run_dir, "tickets")
    first = open(key_file, "rb").read()
    client = Resumer(stage)
    client.visit(f)
    forgotten = client.session

    def changed():
        client.visit(f)
        return open(key_file, "rb").read()[16:64] != first[16:64]
    processes.wait_until(changed, 30, "the key to change")

    def gone():
        client.session = forgotten
        return not client.visit(f)
    processes.wait_until(gone, 30, "the first ticket to be worth nothing")
    processes.wait_until(lambda: client.visit(f), 30, "a ticket to be good for something")


# ---- new certificates

def hup(f):
    marks = f.log_text().count("settings reloaded")
    os.kill(f.pid, signal.SIGHUP)
    processes.wait_until(lambda: f.log_text().count("settings reloaded") >= marks + len(f.nodes()) + 1, 30,
                         "all nodes and the engine to reload")


def test_certificates_change_under_living_sessions(stage, own_ferry, person, imap):
    at = folder_of(stage.folder, "renewed")
    named = stage.ca.make(os.path.join(at, "n.test.pem"), ["n.test", "first.test"])
    default = stage.ca.make(os.path.join(at, "localhost.default"), ["localhost", "first.test"])
    f = own_ferry({"tls": {"folder": at, "certificate": default, "key": None}})
    f.import_users([person.name])
    c = imap(f)
    c.login(person.name, person.password)
    assert shown(f, stage, "n.test") == ["n.test", "first.test"]
    stage.ca.make(named, ["n.test", "second.test"])
    stage.ca.make(default, ["localhost", "second.test"])
    stage.ca.make(os.path.join(at, "later.test.pem"), ["later.test"])
    hup(f)
    for _ in range(SESSIONS):
        assert shown(f, stage, "n.test") == ["n.test", "second.test"]
        assert shown(f, stage, "localhost") == ["localhost", "second.test"]
    assert shown(f, stage, "later.test") == ["later.test"]
    c.command(b"NOOP")
    # Bad ones, by every look: the good ones stay and the log says why.
    for path in (named, default):
        with open(path, "w") as out:
            out.write("renewal went wrong\n")
    hup(f)
    for _ in range(SESSIONS):
        assert shown(f, stage, "n.test") == ["n.test", "second.test"]
        assert shown(f, stage, "localhost") == ["localhost", "second.test"]
    for path in (named, default):
        assert re.search(r" error .*%s: holds no .BEGIN CERTIFICATE.*stays in use" % re.escape(path), f.log_text())
    c.command(b"NOOP")
    c.logout()


@pytest.mark.full
def test_certificates_are_followed_without_a_signal(stage, own_ferry):
    at = folder_of(stage.folder, "followed")
    named = stage.ca.make(os.path.join(at, "n.test.pem"), ["n.test", "first.test"])
    f = own_ferry({"tls": {"folder": at}, "run": {"nodes": 1}})
    assert shown(f, stage, "n.test") == ["n.test", "first.test"]
    stage.ca.make(named, ["n.test", "second.test"])
    processes.wait_until(lambda: shown(f, stage, "n.test") == ["n.test", "second.test"], 30,
                         "the new certificate to be shown")


# ---- expiry

def test_status_and_metrics_tell_when_certificates_expire(stage, own_ferry):
    at = folder_of(stage.folder, "ending")
    stage.ca.make(os.path.join(at, "soon.test.pem"), ["soon.test"], days=5)
    stage.ca.make(os.path.join(at, "late.test.pem"), ["late.test"], days=60)
    default = stage.ca.make(os.path.join(at, "localhost.default"), ["localhost"], days=40)
    f = own_ferry({"tls": {"folder": at, "certificate": default, "key": None}})

    def told():
        return [(c["name"], c["days"]) for c in f.cli("status")["certificates"]]
    processes.wait_until(lambda: len(told()) == 3, 30, "the nodes to tell of three certificates")
    # A day less from the second after they were made.
    names, days = zip(*told())
    assert names == ("soon.test", "", "late.test") and all(n - d in (0, 1) for n, d in zip((5, 40, 60), days)), days
    shown_to_people = f.command("status").stdout
    assert re.search(r"^certificates: the next to expire is soon\.test, in [45] days$", shown_to_people, re.M)
    assert re.search(r"warning: the certificate for soon\.test expires on 20\d\d-", shown_to_people)
    assert "late.test" not in shown_to_people and "default" not in shown_to_people
    metrics = f.metrics()
    nodes, name = len(f.nodes()), "mailferry_tls_certificate_expiry_seconds"
    assert 4.9 * 86400 < metrics.get(name, certificate="soonest") / nodes <= 5 * 86400
    assert 39.9 * 86400 < metrics.get(name, certificate="default") / nodes <= 40 * 86400
    assert re.search(r" warn .*certificate for soon\.test in .* expires on", f.log_text())


def test_check_config_reads_every_certificate(stage, tmp_path):
    at = folder_of(str(tmp_path), "certificates")
    conf = tmp_path / "mailferry.conf"
    good = stage.ca.make(str(tmp_path / "good.pem"), ["good.test"])
    conf.write_text('listener "imaps" { protocol = imap port = 0 }\nbackend "old" { host = a }\n'
                    'backend "new" { host = b }\ntls {\n\tcertificate = "%s"\n\tfolder = "%s"\n}\n' % (good, at))

    def check():
        from lib.mailferry import build_folder
        done = subprocess.run([os.path.join(build_folder(), "mailferry"), "check", "config", str(conf)],
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr.splitlines()
    stage.ca.make(os.path.join(at, "fine.test.pem"), ["fine.test"])
    assert check() == (0, "%s: no mistakes, 1 listeners, 2 certificates\n" % conf, [])
    stage.ca.make(os.path.join(at, "soon.test.pem"), ["soon.test"], days=5)
    status, _, said = check()
    assert status == 0 and len(said) == 1
    assert re.fullmatch(r"warning: %s:6: tls: folder: certificate %s/soon\.test\.pem: expires on 20\d\d-\d\d-\d\d, "
                        r"in [45] days: renew it" % (conf, at), said[0]), said
    stage.ca.make(os.path.join(at, "gone.test.pem"), ["gone.test"], days=-1)
    with open(os.path.join(at, "torn.test.pem"), "w") as f:
        f.write("torn\n")
    status, _, said = check()
    assert status == 2 and len(said) == 3
    assert re.fullmatch(r"%s:6: tls: folder: certificate %s/gone\.test\.pem: expired on 20.*: renew it" % (conf, at),
                        said[0]), said
    assert said[1].startswith("%s:6: tls: folder: certificate %s/torn.test.pem: holds no" % (conf, at)), said
    with open(good, "w") as f:
        f.write("torn\n")
    assert check()[2][0].startswith("%s:5: tls: certificate: certificate %s: holds no" % (conf, good))


# ---- bytes before the handshake, from clients

def close_of(sock):
    """All that comes until the end."""
    heard = b""
    try:
        while True:
            data = sock.recv(4096)
            if not data:
                return heard
            heard += data
    except ConnectionResetError:
        return heard


@pytest.mark.parametrize("port,line,injected", [
    ("imap", b"x1 STARTTLS\r\n", b"x2 CAPABILITY\r\n"), ("imap", b"x1 STARTTLS\r\n", b"x"),
    ("imap", b"x0 NOOP\r\nx1 STARTTLS\r\n", b"x2 LOGIN a b\r\n"),
    ("pop3", b"STLS\r\n", b"CAPA\r\n"), ("pop3", b"STLS\r\n", b"U"), ("pop3", b"CAPA\r\nSTLS\r\n", b"USER a\r\n")])
def test_client_bytes_behind_starttls_close_the_session(ferry, port, line, injected):
    with socket.create_connection((ferry.address, ferry.ports[port]), timeout=30) as s:
        s.recv(4096)
        s.sendall(line + injected)
        heard = close_of(s)
    assert b"x1 OK" not in heard and b"Begin TLS" not in heard and b"x2" not in heard, heard


@pytest.mark.parametrize("port,line,injected", [
    ("imap", b"x1 STARTTLS\r\n", b"x2 LOGOUT\r\n"), ("pop3", b"STLS\r\n", b"QUIT\r\n")])
def test_client_bytes_instead_of_a_handshake_close_the_session(ferry, port, line, injected):
    with socket.create_connection((ferry.address, ferry.ports[port]), timeout=30) as s:
        s.recv(4096)
        s.sendall(line)
        assert b"Begin TLS" in s.recv(4096)
        s.sendall(injected)
        heard = close_of(s)
    assert b"BYE" not in heard and b"Bye" not in heard, heard


# ---- and from backends

class Injector(threading.Thread):
    """A server whose go-ahead for TLS has something glued behind it; after the handshake it would serve anybody."""

    def __init__(self, ca, script, glued):
        super().__init__(daemon=True)
        self.script, self.glued, self.shook = script, glued, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*ca.issue("localhost"))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def run(self):
        while True:
            try:
                sock = self.listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self._talk(sock)
        except OSError:
            pass
        finally:
            sock.close()

    def _talk(self, sock):
        sock.settimeout(30)
        greeting, answers = self.script
        sock.sendall(greeting)
        secure = False
        rest = b""
        while True:
            while b"\r\n" not in rest:
                data = sock.recv(4096)
                if not data:
                    return
                rest += data
            line, rest = rest.split(b"\r\n", 1)
            word, answer = next(((w, a) for w, a in answers if w in line), (None, b""))
            if not word:
                return
            starts = word in (b"STARTTLS", b"STLS") and not secure
            sock.sendall(answer + (self.glued if starts else b""))
            if starts:
                sock = self.context.wrap_socket(sock, server_side=True)
                secure = True
                self.shook.append(line)


IMAP_SCRIPT = (b"* OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN] hello\r\n",
               [(b"STARTTLS", b"S OK go\r\n"), (b"CAPABILITY", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nC OK\r\n"),
                (b"AUTHENTICATE", b"A OK [CAPABILITY IMAP4rev1] in\r\n")])
POP3_SCRIPT = (b"+OK hello\r\n", [(b"STLS", b"+OK go\r\n"), (b"CAPA", b"+OK\r\nSTLS\r\nUSER\r\nSASL PLAIN\r\n.\r\n"),
                                 (b"USER", b"+OK\r\n"), (b"PASS", b"+OK in\r\n"), (b"AUTH", b"+OK in\r\n")])
GLUED = {"imap": [b"", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nC OK done\r\nA OK in\r\n", b"*"],
         "pop3": [b"", b"+OK\r\n+OK in\r\n", b"+"]}


@pytest.fixture(scope="module")
def injectors(stage):
    made = {proto: [Injector(stage.ca, script, glued) for glued in GLUED[proto]]
            for proto, script in (("imap", IMAP_SCRIPT), ("pop3", POP3_SCRIPT))}
    for injector in made["imap"] + made["pop3"]:
        injector.start()
    yield made
    for injector in made["imap"] + made["pop3"]:
        injector.listening.close()


@pytest.mark.parametrize("case", [0, 1, 2], ids=["clean", "a-whole-conversation", "one-byte"])
def test_backend_bytes_behind_its_go_ahead_end_the_login(stage, own_ferry, person, injectors, imap, pop3, case):
    servers = {proto: injectors[proto][case] for proto in injectors}
    f = own_ferry({"backend old": {"host": "127.0.0.1", "imap_port": servers["imap"].port, "imap_tls": "starttls",
                                   "pop3_port": servers["pop3"].port, "pop3_tls": "starttls",
                                   "tls_name": "localhost", "master_user": None, "master_password_file": None},
                   "run": {"nodes": 1}})
    c, d = imap(f), pop3(f)
    if case == 0:   # the server serves well when nothing is glued: it is the bytes that are refused below
        c.login(person.name, person.password)
        assert d.login(person.name, person.password).startswith(b"+OK")
        assert servers["imap"].shook and servers["pop3"].shook
        c.close(), d.close()
        return
    with pytest.raises((No, Closed)) as refused:
        c.login(person.name, person.password)
    assert b"UNAVAILABLE" in str(refused.value).encode()
    assert d.login(person.name, person.password).startswith(b"-ERR [SYS/TEMP]")
    c.close(), d.close()
    assert not servers["imap"].shook and not servers["pop3"].shook
    log = f.log_text()
    assert "bytes behind its OK to STARTTLS" in log and "bytes behind its +OK to STLS" in log
