"""
The copier and servers that have had enough, cannot be trusted or let nobody in: what it does, what it says, and that
nothing is lost. One worker at a time between two servers in memory.
"""

import os
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time

import pytest

from lib import mail
from lib.copier import Copier, worker_command
from lib.fakemail import FakeMail, first, nth
from lib.fakes import Hangup
from lib.imapclient import ImapClient, client_context
from lib.mailferry import Mailferry

ANNA, PASSWORD = "anna", "s3cret-of-anna"
MESSAGES = 12


class Pair:
    def __init__(self, ca, folder):
        self.context = client_context(ca.cert)
        self.ca = ca
        self.folder = folder
        self.old = FakeMail("old", folder, ca, {ANNA: PASSWORD})
        self.new = FakeMail("new", folder, ca, {ANNA: PASSWORD})
        for i in range(MESSAGES):
            self.old.put(ANNA, b"INBOX" if i % 3 else b"Sent", mail.message("m%d" % i), {b"\\Seen"})
        self.copier = Copier(self.old, self.new, ca, ANNA, PASSWORD, folder, fence_s=0)

    def fails(self, **changes):
        code, result = self.copier.run(**changes)
        assert code == 0 and not result["ok"], result
        assert PASSWORD not in result["text"]
        return result

    def fails_saying(self, says, **changes):
        """With limits of a second: if somebody stands still for so long it may be another one that is over first."""
        for _ in range(5):
            result = self.fails(**changes)
            if says in result["text"]:
                break
        assert says in result["text"], result
        return result

    def ends_well(self):
        self.copier.until_clean()
        assert not self.copier.difference(self.context), self.copier.difference(self.context)

    def stop(self):
        for f in (self.old, self.new):
            f.stop()


@pytest.fixture
def pair(ca, tmp_path):
    p = Pair(ca, str(tmp_path))
    yield p
    p.stop()


BACKOFF = b"Request is throttled. Suggested Backoff Time: 299961 milliseconds"
HOST, USER, COMMAND = "host", "user", "command"


ANSWERS = [     # side, verb, answer, whom it concerns, for how long
    ("old", "UID FETCH", b"%t NO " + BACKOFF, USER, 299961),
    ("old", "UID FETCH", b"%t BAD " + BACKOFF, USER, 299961),
    ("new", "APPEND", b"%t NO " + BACKOFF, USER, 299961),
    ("new", "APPEND", b"%t BAD " + BACKOFF, USER, 299961),
    ("new", "APPEND", b"%t NO [THROTTLED] slower", USER, 0),
    ("new", "APPEND", b"%t NO [LIMIT] too much", USER, 0),
    ("old", "SELECT", b"%t NO [INUSE] locked", COMMAND, 0),
    ("old", "SELECT", b"%t NO [UNAVAILABLE] later", USER, 0),
    ("new", "APPEND", b"%t NO [SERVERBUG] oh", USER, 0),
    ("old", "UID FETCH", b"* BYE Too many connections from your address", HOST, 0),
    ("new", "LIST", b"%t BAD User is authenticated but not connected.", USER, 0),        # case 66
]


def test_a_server_that_has_had_enough_is_left_alone(pair):
    """cases 65 and 66: and then everything goes on where it was"""
    for i, (side, verb, answer, whom, wait_ms) in enumerate(ANSWERS):
        rules = getattr(pair, side).rules
        pair.old.put(ANNA, b"INBOX", mail.message("again%d" % i))
        rules[verb] = answer + b"\r\n"
        if verb == "SELECT":
            rules["EXAMINE"] = rules[verb]
        result = pair.fails()
        assert result["kind"] == "temporary", (answer, result)
        assert result["later"]["whom"] == whom and result["later"]["wait_ms"] == wait_ms, (answer, result)
        assert result["later"]["side"] == side, (answer, result)
        rules.clear()
    pair.ends_well()
    assert pair.copier.run()[1]["exceptions"] == 0


def test_ten_bads_and_bye(pair):
    """case 67: a server that ends the connection at the tenth command that it does not like"""
    bads = iter(range(1, 1000))

    def moody(fake, talk, command):
        if b"odd" not in command.args[-1]:
            fake.do(talk, command)
            return
        talk.say(b"%s BAD that is no message\r\n" % command.tag)
        if next(bads) % 10 == 0:
            talk.say(b"* BYE Too many bad commands\r\n")
            raise Hangup

    for i in range(25):
        pair.old.put(ANNA, b"Odd", mail.message("odd%d" % i))
    pair.new.capabilities.discard(b"MULTIAPPEND")
    pair.new.rules["APPEND"] = moody
    for _ in range(10):
        code, result = pair.copier.run()
        assert code == 0 and (result["ok"] or result["kind"] == "temporary"), result
        if result["ok"]:
            break
    assert result["ok"] and result["exceptions"] == 25 and result["messages"] >= MESSAGES, result
    assert sum(len(b.mails) for b in pair.new.account(ANNA).boxes.values()) == MESSAGES


@pytest.mark.parametrize("multi", [False, True])
def test_quota_spent_in_the_middle(pair, multi):
    """case 68"""
    held = []

    class Full(Exception):
        pass

    def full(box, mails):
        if sum(len(b.mails) for b in pair.new.account(ANNA).boxes.values()) + len(mails) > 2 and not held:
            raise Full
        return [box.add(*m) for m in mails]

    def append(fake, talk, command):
        try:
            fake.do(talk, command)
        except Full:
            talk.say(b"%s NO [OVERQUOTA] mailbox is full\r\n" % command.tag)

    if not multi:
        pair.new.capabilities.discard(b"MULTIAPPEND")
    pair.new.commit = lambda talk, box, mails: full(box, mails)
    pair.new.rules["APPEND"] = append
    result = pair.fails()
    assert result["kind"] == "full" and result["text"].startswith("new:"), result
    assert sum(len(b.mails) for b in pair.new.account(ANNA).boxes.values()) <= 2
    held.append("more room")
    pair.ends_well()


def tell_quota(fake, answer):
    fake.capabilities.add(b"QUOTA")
    fake.do_getquotaroot = lambda talk, command: talk.say(b"* QUOTAROOT INBOX r\r\n* QUOTA r (%s)\r\n" % answer)


def test_room_is_looked_for_before_anything_is_copied(pair):
    """case 68: by messages, by the source's own count of bytes, and by the sizes of a folder"""
    tell_quota(pair.new, b"MESSAGE 0 %d" % (MESSAGES - 1))
    result = pair.fails()
    assert result["kind"] == "full" and "new: no room for 0 MiB in %d messages" % MESSAGES in result["text"], result
    tell_quota(pair.new, b"STORAGE 0 1024")
    tell_quota(pair.old, b"STORAGE 9000 10000")
    assert pair.fails()["kind"] == "full"
    pair.old.capabilities.discard(b"QUOTA")
    tell_quota(pair.new, b"STORAGE 1024 1025")
    result = pair.fails()
    assert result["kind"] == "full" and "new: folder " in result["text"], result
    assert not pair.new.count("APPEND")
    tell_quota(pair.new, b"STORAGE 0 1024 MESSAGE 0 %d" % MESSAGES)
    pair.ends_well()
    pair.new.rules["GETQUOTAROOT"] = b"%t NO not today\r\n"    # then nothing is known
    assert pair.copier.run()[1]["clean"]


def test_views_are_no_folders(pair):
    """Gmail's Starred shows mail that is elsewhere; All Mail has what was archived and is in no other folder."""
    pair.old.capabilities.add(b"X-GM-EXT-1")
    pair.old.create(ANNA, b"[Gmail]/Starred", {b"\\Flagged"})
    pair.old.put(ANNA, b"[Gmail]/Starred", mail.message("starred"))
    pair.copier.until_clean()
    assert b"starred" not in b"".join(m.data for b in pair.new.account(ANNA).boxes.values() for m in b.mails)


# ---- logins

TOKEN_SCRIPT = """#!/bin/sh
echo "$1" >>%(folder)s/asked
wc -l <%(folder)s/asked | sed 's/ *\\([0-9]*\\).*/token-\\1/'
"""


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_a_token_that_expires_is_renewed(pair, mechanism):
    """case 74"""
    script = os.path.join(pair.folder, "token")
    with open(script, "w") as f:
        f.write(TOKEN_SCRIPT % {"folder": pair.folder})
    os.chmod(script, 0o755)
    pair.old.capability += b" AUTH=" + mechanism.upper().encode()
    pair.old.tokens = {ANNA: "token-1"}

    def expired(fake, talk, command):
        fake.tokens = {ANNA: "token-2"}
        talk.say(b"* BYE Session expired, please login again.\r\n")
        raise Hangup

    pair.old.rules["UID FETCH"] = nth(2, expired)
    pair.copier.sides["old"].update(mechanism=mechanism.upper(), token_command=script + " %u", password="")
    result = pair.fails()
    assert result["later"] == {"whom": COMMAND, "side": "old", "wait_ms": 1000, "fewer": False}, result
    assert pair.copier.run()[1]["ok"]
    with open(os.path.join(pair.folder, "asked")) as f:
        assert f.read().split() == [ANNA] * 2
    pair.old.tokens = {ANNA: "token-3"}
    assert pair.copier.run()[1]["clean"]
    assert {how.split()[0] for how, _ in pair.old.logins} == {mechanism.upper()}


def test_a_token_that_is_refused(pair):
    pair.old.capability += b" AUTH=OAUTHBEARER"
    pair.old.tokens = {ANNA: "right"}
    pair.copier.sides["old"].update(mechanism="OAUTHBEARER", password="wrong-token")
    result = pair.fails()
    assert result["kind"] == "auth" and "wrong-token" not in result["text"], result
    assert not pair.old.commands


def test_a_token_command_that_fails(pair):
    path = os.path.join(pair.folder, "token")
    pair.copier.sides["old"].update(mechanism="XOAUTH2", token_command=path, password="")
    assert "No such file" in pair.fails()["text"]
    for script, says, io_s in (("#!/bin/sh\nexit 3\n", "it failed (status 3)", 30), ("#!/bin/sh\n", "it printed no token", 30),
                               ("#!/bin/sh\nsleep 60\n", "no token within 1 s", 1)):
        with open(path, "w") as f:
            f.write(script)
        os.chmod(path, 0o755)
        pair.fails_saying(says, io_s=io_s)


@pytest.mark.parametrize("trouble, tls", [("expired", "implicit"), ("expired", "starttls"), ("other name", "implicit"),
                                          ("other CA", "implicit"), ("another pin", "implicit")])
def test_a_certificate_that_changes_stops_the_copier(pair, trouble, tls):
    """case 75: never a word in clear text, never a password"""
    side = pair.copier.sides["old"]
    if tls == "starttls":
        side.update(tls=tls, port=pair.old.ports["imap"])
    assert pair.copier.run(kind="probe")[1]["ok"]
    pair.old.heard.clear()
    names = ["imposter.example.net"] if trouble == "other name" else [pair.old.tls_name]
    cert = pair.ca.make(os.path.join(pair.folder, "next.pem"), names, days=-1 if trouble == "expired" else 30)
    pair.old.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair.old.context.load_cert_chain(cert)
    if trouble == "other CA":
        side["tls_ca_file"] = cert
    if trouble == "another pin":
        side["tls_pin"] = "sha256:" + "0" * 64
    result = pair.fails()
    assert result["kind"] == "tls", result
    heard = b"\n".join(pair.old.heard)
    assert b"AUTHENTICATE" not in heard and b"LOGIN" not in heard and PASSWORD.encode() not in heard


# ---- those who never get so far

def listener(serve):
    """A clear-text server that treats each connection so; its port."""
    s = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                sock, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(sock,), daemon=True).start()

    def run(sock):
        try:
            serve(sock)
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
    return s


def drip(text, every_s):
    def serve(sock):
        for c in text:
            sock.sendall(bytes([c]))
            time.sleep(every_s)
    return serve


@pytest.mark.parametrize("serve, kind, says, connect_s", [
    (lambda s: s.sendall(b"* PREAUTH [CAPABILITY IMAP4rev1] in\r\n"), "protocol", "does not greet", 60),
    (lambda s: s.sendall(b"* BYE come back later\r\n"), "temporary", "BYE come back later", 60),
    (lambda s: time.sleep(180), "temporary", "timed out", 1),
    (drip(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n" * 100, 0.2), "temporary", "timed out", 1),
    (drip(b"x" * 1000, 0.2), "temporary", "timed out", 1),
], ids=["preauth", "bye", "tarpit", "slow lines", "no end"])
def test_a_server_that_never_lets_us_in_is_given_up(pair, serve, kind, says, connect_s):
    """case 76"""
    with listener(serve) as s:
        pair.copier.sides["old"].update(tls="none", port=s.getsockname()[1])
        start = time.monotonic()
        result = pair.fails(connect_s=connect_s, io_s=60)       # so that it is the first limit which ends it
        assert result["kind"] == kind and says in result["text"], result
        assert time.monotonic() - start < 30


def test_a_server_that_crawls_is_given_up(pair):
    """case 76, later: a byte now and then is no progress"""
    def crawl(fake, talk, command):
        for c in b"* LIST () \"/\" " + b"x" * 5000:
            talk.say(bytes([c]))
            time.sleep(0.1)

    pair.old.rules["LIST"] = crawl
    start = time.monotonic()
    assert pair.fails_saying("crawls", io_s=1)["kind"] == "temporary"
    assert time.monotonic() - start < 60


# ---- secrets

def test_secrets_stay_secret(pair):
    """case 101"""
    asked = threading.Event()
    go = threading.Event()

    def hold(fake, talk, command):
        asked.set()
        go.wait(20)
        fake.do(talk, command)

    pair.old.rules["UID FETCH"] = first(1, hold)
    worker = pair.copier.start()
    assert asked.wait(20)
    proc = "/proc/%d/" % worker.pid
    for name in ("cmdline", "environ"):
        with open(proc + name, "rb") as f:
            assert PASSWORD.encode() not in f.read()
    with open(proc + "limits") as f:
        assert re.search(r"Max core file size +0 +0 ", f.read())
    with open("/proc/%d/status" % worker.pid) as f:
        status = f.read()
    assert "NoNewPrivs:\t1" in status
    if not re.search("asan", worker_command()[0]):
        assert "Seccomp:\t2" in status
    go.set()
    out, said = worker.communicate(timeout=60)
    assert PASSWORD not in out + said
    for base, _, names in os.walk(pair.folder):
        for name in names:
            with open(os.path.join(base, name), "rb") as f:
                assert PASSWORD.encode() not in f.read(), name


# ---- what the command says about it

def test_check_user_proves_both_logins(stage, ferry, person):
    c = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    for i in range(3):
        c.append(b"INBOX", mail.message("c%d" % i), b"", mail.imap_date(1500000000))
    c.logout()
    ferry.import_users([person.name])   # only now: a pass that began before the mail was there would do for sync, too
    ferry.cli("sync", person.name)
    answer = ferry.cli("check", "user", person.name)
    old, new = answer["sides"]
    assert answer["ok"] and [old["server"], new["server"]] == [type(s).__name__ for s in (stage.old, stage.new)]
    assert old["messages"] == 3 and old["bytes"] > 0 and new["messages"] == 3 and old["folders"] >= 1
    assert old["tls"] == "TLSv1.3" and old["mechanism"] == "PLAIN"
    assert "TLSv1.3" in ferry.command("check", "user", person.name).stdout
    with pytest.raises(Exception, match="is not known"):
        ferry.command("check", "user", "nobody@example.com")
    shown = ferry.command("check", "backends", person.name).stdout    # which asks no ID
    assert re.search("server +%s" % ("\\S" if old["server"] == "Cyrus" else old["server"]), shown), shown


@pytest.mark.full
@pytest.mark.alone
def test_the_copier_makes_room_for_live_users(ca, tmp_path):
    """Nodes see the old server's answers grow slow, the engine halves what the copier moves there, and says so."""
    slow = threading.Event()
    done = threading.Event()

    def noop(fake, talk, command):
        time.sleep(0.15 if slow.is_set() else 0)
        fake.do(talk, command)

    old, new = (FakeMail(name, str(tmp_path), ca, {ANNA: PASSWORD}) for name in ("old", "new"))
    old.rules["NOOP"] = noop
    for i in range(200):
        old.put(ANNA, b"INBOX", b"Subject: %d\r\n\r\n" % i + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 1500)
    folder = tempfile.mkdtemp(prefix="ferry-")
    os.chmod(folder, 0o755)
    ferry = Mailferry(folder, ca, old, new, settings={"backend old": {"rate": "400K"}})
    ferry.start()
    client = ImapClient(ferry.address, ferry.ports["imaps"], client_context(ca.cert))
    client.login(ANNA, PASSWORD)

    def live():
        while not done.is_set():
            client.command(b"NOOP")
            time.sleep(0.02)

    user = threading.Thread(target=live)
    user.start()
    try:
        ferry.import_users([{"user": ANNA, "old_password_file": ferry.secret_file("p", PASSWORD),
                             "new_password_file": ferry.secret_file("p", PASSWORD)}])
        assert wait_for(lambda: "by the settings" in ferry.command("why", ANNA).stdout, 60)
        time.sleep(11)          # two looks at a server that is quick
        assert "live users" not in ferry.command("why", ANNA).stdout
        slow.set()
        assert wait_for(lambda: "it answers live users in" in ferry.command("why", ANNA).stdout, 40), ferry.log_text()
        assert "copier slowed" in ferry.log_text()
    finally:
        done.set()
        user.join()
        client.close()
        ferry.stop()
        shutil.rmtree(folder)
        old.stop()
        new.stop()


def wait_for(true, timeout_s):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.3)
    return False
