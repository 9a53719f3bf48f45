"""How clients log in, how mailferry logs in for them, and what both are told that the other can do."""

import base64
import fcntl
import os
import signal
import socket
import sqlite3
import struct
import tempfile
import termios

import pytest

from lib import processes
from lib.fakes import CHALLENGE, FakeImap, FakePop3, Hangup
from lib.imapclient import Closed, ImapClient, No
from lib.mailferry import Mailferry, now_ms
from lib.popclient import PopClient

NAME, PASSWORD, TOKEN = "anna@example.com", "plain-secret-of-anna", "ya29.token-of-anna"
ODD, ODD_PASSWORD = "odd@example.com", 'secret"\\of-odd'
XOAUTH2 = b"user=%s\1auth=Bearer %s\1\1"
OAUTHBEARER = b"n,a=%s,\1host=mail.example.com\1port=993\1auth=Bearer %s\1\1"
MECHS = {"XOAUTH2": XOAUTH2, "OAUTHBEARER": OAUTHBEARER}


def b64(data):
    return base64.b64encode(data)


def message(mech, token=TOKEN):
    return MECHS[mech] % (NAME.encode(), token.encode())


class Cast:
    """Fakes on both sides and one node between; people nobody imported go to old."""

    def __init__(self, folder, ca):
        users, tokens = {NAME: PASSWORD, ODD: ODD_PASSWORD}, {NAME: TOKEN}
        self.old, self.new = FakeImap(users, tokens), FakeImap(users, tokens)
        self.old_pop3, self.new_pop3 = FakePop3(users, tokens), FakePop3(users, tokens)
        for fake in (self.old, self.new, self.old_pop3, self.new_pop3):
            fake.address, fake.tls_name, fake.masters = "127.0.0.1", "localhost", {}
            fake.ports = {"imaps": 0, "pop3s": 0}
        self.start_values = {f: dict(f.__dict__) for f in (self.old, self.new, self.old_pop3, self.new_pop3)}
        self.ferry = Mailferry(folder, ca, self.old, self.new, settings={
            "run": {"nodes": 1}, "limits": {"login_tries": 100},
            "backend old": self.backend(self.old, self.old_pop3),
            "backend new": self.backend(self.new, self.new_pop3)})
        self.ferry.start()
        processes.wait_until(lambda: all(f.probes() for f in self.start_values), 10, "the node's first look")

    @staticmethod
    def backend(imap, pop3):
        return {"imap_port": imap.port, "imap_tls": "none", "pop3_port": pop3.port, "pop3_tls": "none"}

    def look(self):
        """The node asks all four what they can do."""
        fakes = (self.old, self.new, self.old_pop3, self.new_pop3)
        before = [f.probes() for f in fakes]
        os.kill(self.ferry.nodes()[0], signal.SIGHUP)
        processes.wait_until(lambda: all(f.probes() > n for f, n in zip(fakes, before)), 10, "a probe")
        for fake in fakes:
            fake.heard.clear()

    def reset(self):
        for fake in (self.old, self.new, self.old_pop3, self.new_pop3):
            fake.rules, fake.challenge = {}, CHALLENGE
            for name in ("greeting", "capability", "after", "codes", "capa"):
                if name in self.start_values[fake]:
                    setattr(fake, name, self.start_values[fake][name])
            fake.logins.clear()
        self.look()


@pytest.fixture(scope="module")
def whole_cast(stage):
    folder = tempfile.mkdtemp(prefix="cast-", dir=stage.folder)
    os.chmod(folder, 0o755)
    cast = Cast(folder, stage.ca)
    yield cast
    cast.ferry.stop()
    assert not cast.ferry.complaints()
    log = cast.ferry.log_text(100000)
    for secret in (PASSWORD, TOKEN, ODD_PASSWORD, b64(message("XOAUTH2")).decode()):
        assert secret not in log


@pytest.fixture
def cast(stage, whole_cast):
    whole_cast.reset()
    stage.ferries = [whole_cast.ferry]
    return whole_cast


@pytest.fixture
def client(stage, cast):
    def connect(port="imaps"):
        kind = ImapClient if port.startswith("imap") else PopClient
        c = kind(cast.ferry.address, cast.ferry.ports[port], stage.context if port.endswith("s") else None)
        stage.opened.append(c)
        return c
    return connect


@pytest.fixture
def offered(cast, client):
    """The node looks again; returns an IMAP client that is offered this word (or is not)."""
    def look(word, wanted=True):
        cast.look()
        c = client()
        assert (word in c.command(b"CAPABILITY")[0][0].split()) == wanted
        return c
    return look


@pytest.fixture
def capa(cast, client):
    def look(line, wanted=True):
        cast.look()
        c = client("pop3s")
        assert (line in c.lines(b"CAPA")) == wanted
        return c
    return look


def with_tokens(cast):
    for fake in (cast.old, cast.new):
        fake.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER"
    for fake in (cast.old_pop3, cast.new_pop3):
        fake.capa = [b"USER", b"SASL PLAIN XOAUTH2 OAUTHBEARER"]


# ---- tokens

@pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])
@pytest.mark.parametrize("mech", sorted(MECHS))
def test_imap_token_passes_as_it_is(cast, offered, mech, initial):
    with_tokens(cast)
    c = offered(b"AUTH=" + mech.encode())
    text = b64(message(mech))
    if initial:
        c.command(b"AUTHENTICATE %s %s" % (mech.encode(), text))
    else:
        tag = c.begin(b"AUTHENTICATE " + mech.encode())
        assert c.expect_continuation() == b"+ \r\n"
        c.send(text + b"\r\n")
        c.finish(tag)
    assert cast.old.logins == [(mech + " ir", NAME)]
    assert b"A AUTHENTICATE %s %s" % (mech.encode(), text) in cast.old.heard


@pytest.mark.parametrize("mech, heard", [("XOAUTH2", b""), ("OAUTHBEARER", b"AQ==")])
def test_imap_token_refused_with_its_reason(cast, offered, mech, heard):
    with_tokens(cast)
    c = offered(b"AUTH=" + mech.encode())
    tag = c.begin(b"AUTHENTICATE %s %s" % (mech.encode(), b64(message(mech, "stale"))))
    assert c.expect_continuation() == b"+ " + CHALLENGE + b"\r\n"
    c.send(heard + b"\r\n")
    with pytest.raises(No) as refused:
        c.finish(tag)
    assert b" NO [AUTHENTICATIONFAILED]" in refused.value.args[0]
    assert heard in cast.old.heard
    c.command(b"AUTHENTICATE %s %s" % (mech.encode(), b64(message(mech))))
    assert cast.old.logins == [(mech + " ir", NAME)]


@pytest.mark.parametrize("mech", sorted(MECHS))
def test_pop3_token(cast, capa, mech):
    with_tokens(cast)
    c = capa(b"SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER")
    assert c.command(b"AUTH %s %s" % (mech.encode(), b64(message(mech, "stale")))) == b"+ " + CHALLENGE + b"\r\n"
    assert c.command(b"AQ==").startswith(b"-ERR [AUTH]")
    assert c.command(b"AUTH " + mech.encode()) == b"+ \r\n"
    assert c.command(b64(message(mech))).startswith(b"+OK")
    assert cast.old_pop3.logins == [(mech + " ir", NAME)]


LONG_REASON = b64(b'{"status":"400","error":"%s"}' % (b"x" * 1500))


def test_token_refused_with_a_long_reason(cast, offered, capa):
    """As long as a backend's may be, behind IMAP's and POP3's "+ "; the node and its other sessions live on."""
    with_tokens(cast)
    for fake in (cast.old, cast.old_pop3):
        fake.challenge = LONG_REASON
    other, c = offered(b"AUTH=XOAUTH2"), offered(b"AUTH=XOAUTH2")
    tag = c.begin(b"AUTHENTICATE XOAUTH2 " + b64(message("XOAUTH2", "stale")))
    assert c.expect_continuation() == b"+ " + LONG_REASON + b"\r\n"
    c.send(b"\r\n")
    with pytest.raises(No):
        c.finish(tag)
    c = capa(b"SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER")
    assert c.command(b"AUTH XOAUTH2 " + b64(message("XOAUTH2", "stale"))) == b"+ " + LONG_REASON + b"\r\n"
    assert c.command(b"").startswith(b"-ERR [AUTH]")
    other.command(b"NOOP")


def test_long_token_waits_for_its_turn_in_pop3(cast, capa):
    with_tokens(cast)
    token = "t" * 3000
    cast.old_pop3.tokens["long@example.com"] = token
    c = capa(b"SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER")
    c.command(b"AUTH XOAUTH2")
    assert c.command(b64(XOAUTH2 % (b"long@example.com", token.encode()))).startswith(b"+OK")
    assert b"AUTH XOAUTH2" in cast.old_pop3.heard  # RFC 5034 4: 255 bytes a line
    del cast.old_pop3.tokens["long@example.com"]


def test_token_only_where_both_take_it(cast, offered):
    with_tokens(cast)
    cast.new.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2"
    offered(b"AUTH=XOAUTH2")
    c = offered(b"AUTH=OAUTHBEARER", False)
    with pytest.raises(No) as refused:
        c.command(b"AUTHENTICATE OAUTHBEARER " + b64(message("OAUTHBEARER")))
    assert b" NO " in refused.value.args[0]
    assert cast.old.logins == []


def test_no_token_without_a_name(cast, offered):
    with_tokens(cast)
    c = offered(b"AUTH=OAUTHBEARER")
    with pytest.raises(No) as refused:
        c.command(b"AUTHENTICATE OAUTHBEARER " + b64(b"n,,\1auth=Bearer %s\1\1" % TOKEN.encode()))
    assert b" NO [AUTHENTICATIONFAILED]" in refused.value.args[0]
    assert cast.old.logins == []


def freeze(f, until_ms):
    """As an engine does it; nobody but the nodes is to lift it again."""
    with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db"), timeout=10) as store:
        change = store.execute("INSERT INTO changes (name) VALUES (?)", (NAME,)).lastrowid
        store.execute("UPDATE users SET state = 'freezing', change = ?, hold_until = ? WHERE name = ?", (change, until_ms, NAME))
    store.close()


def test_held_token_goes_on_when_the_hold_is_lifted(own_ferry, imap):
    """As a password does: it is kept while its user is moved, here by a freeze that its engine forgets."""
    old, new = FakeImap(tokens={NAME: TOKEN}), FakeImap()
    old.capability = new.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=OAUTHBEARER"
    f = own_ferry({"backend old": {"imap_tls": "none", "imap_port": old.port},
                   "backend new": {"imap_tls": "none", "imap_port": new.port}, "run": {"nodes": 1}})
    f.import_users([NAME])
    command = b"AUTHENTICATE OAUTHBEARER " + b64(message("OAUTHBEARER"))
    imap(f).command(command)
    engine = f.engine()
    os.kill(engine, signal.SIGSTOP)
    try:
        freeze(f, now_ms() + 60000)
        processes.wait_until(lambda: "RELAY -> QUIET" in f.log_text(), 10, "the node to see the freeze")
        c = imap(f)
        tag = c.begin(command)
        processes.wait_until(lambda: "login waits" in f.log_text(), 10, "the login to be held")
        freeze(f, now_ms())
        c.finish(tag)
    finally:
        os.kill(engine, signal.SIGCONT)
    assert old.logins == [("OAUTHBEARER ir", NAME)] * 2
    processes.wait_until(lambda: "login was held" in f.log_text(), 10, "the hold to be told")


# ---- the best login that the backend knows

IMAP_LOGINS = [
    (b"AUTH=PLAIN SASL-IR", NAME, "PLAIN ir"),
    (b"AUTH=PLAIN", NAME, "PLAIN"),
    (b"AUTH=LOGIN", NAME, "LOGIN quoted quoted"),
    (b"LOGINDISABLED AUTH=LOGIN", NAME, "AUTH LOGIN"),
    (b"", NAME, "LOGIN quoted quoted"),
    (b"", ODD, "LOGIN sync sync"),
    (b"LITERAL+", ODD, "LOGIN quoted plus"),
    (b"LITERAL-", ODD, "LOGIN quoted plus"),
]


@pytest.mark.parametrize("codes", [True, False], ids=["told", "asked"])
@pytest.mark.parametrize("words, name, how", IMAP_LOGINS, ids=[h + " " + n[:3] for _, n, h in IMAP_LOGINS])
def test_imap_best_login(cast, client, words, name, how, codes):
    cast.old.capability = b"IMAP4rev1 " + words
    cast.old.codes = codes
    c = client()
    c.authenticate_plain(name, cast.old.users[name])
    assert cast.old.logins == [(how, name)]


def test_imap_login_is_one_line_where_the_greeting_tells_enough(cast, client):
    client().login(NAME, PASSWORD)
    assert cast.old.heard == [
        b"A AUTHENTICATE PLAIN " + b64(b"\0%s\0%s" % (NAME.encode(), PASSWORD.encode()))]


def test_imap_capability_is_remembered(cast, client):
    cast.old.codes = False
    for _ in range(2):
        client().login(NAME, PASSWORD)
    # only behind the logins: their OK carries no list
    assert [line.split()[1] for line in cast.old.heard] == [b"AUTHENTICATE", b"CAPABILITY"] * 2


@pytest.mark.parametrize("words, how", [
    (b"AUTH=PLAIN", "PLAIN"), (b"LOGINDISABLED AUTH=LOGIN", "AUTH LOGIN"), (b"", "LOGIN quoted quoted")])
def test_imap_wrong_memory_is_not_noticed(cast, client, words, how):
    cast.old.codes = False
    client().login(NAME, PASSWORD)
    cast.old.logins.clear()
    cast.old.capability = b"IMAP4rev1 " + words
    client().login(NAME, PASSWORD)
    assert cast.old.logins == [(how, NAME)]


def reset(fake, talk, tag, rest):
    talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Hangup


@pytest.mark.parametrize("end", [b"* BYE no such command\r\n", reset], ids=["bye", "reset"])
def test_imap_wrong_memory_and_a_server_that_hangs_up(cast, client, end):
    cast.old.codes = False
    client().login(NAME, PASSWORD)
    cast.old.logins.clear()
    cast.old.capability = b"IMAP4rev1"
    cast.old.rules["AUTHENTICATE"] = end
    client().login(NAME, PASSWORD)
    assert cast.old.logins == [("LOGIN quoted quoted", NAME)]


def test_imap_right_memory_sends_a_password_once(cast, client):
    """A refusal without a code: the server is asked again what it can do, not whether it is sure."""
    cast.old.codes = False
    client().login(NAME, PASSWORD)
    cast.old.rules["AUTHENTICATE"] = b"%t NO wrong\r\n"
    cast.old.heard.clear()
    with pytest.raises(No) as refused:
        client().login(NAME, "wrong")
    assert b" NO [AUTHENTICATIONFAILED]" in refused.value.args[0]
    assert len([line for line in cast.old.heard if line.startswith(b"A ")]) == 1


def test_what_a_server_repeats_is_not_logged(cast, client):
    """The fixture looks for passwords in the log."""
    def repeat(fake, talk, tag, rest):
        talk.say(tag + b" NO [AUTHENTICATIONFAILED] not " + rest + b"\r\n")
    cast.old.rules["AUTHENTICATE"] = cast.old.rules["LOGIN"] = repeat
    for words in (b"AUTH=PLAIN SASL-IR", b""):
        cast.old.capability = b"IMAP4rev1 " + words
        with pytest.raises(No):
            client().login(NAME, PASSWORD)
    log = cast.ferry.log_text()
    assert log.count(": the backend says (what it was sent)") >= 2
    assert PASSWORD not in log and b64(b"\0%s\0%s" % (NAME.encode(), PASSWORD.encode())).decode() not in log


POP3_LOGINS = [
    ([b"SASL PLAIN", b"USER"], "PLAIN ir"),
    ([b"USER", b"PIPELINING"], "USER"),
    ([b"USER"], "USER"),
    (None, "USER"),
]


@pytest.mark.parametrize("lines, how", POP3_LOGINS)
def test_pop3_best_login(cast, client, lines, how):
    cast.old_pop3.capa = lines
    assert client("pop3s").login(NAME, PASSWORD).startswith(b"+OK")
    assert cast.old_pop3.logins == [(how, NAME)]


def test_pop3_wrong_memory_is_not_noticed(cast, client):
    assert client("pop3s").login(NAME, PASSWORD).startswith(b"+OK")
    cast.old_pop3.capa = [b"USER"]
    assert client("pop3s").login(NAME, PASSWORD).startswith(b"+OK")
    assert cast.old_pop3.logins == [("PLAIN ir", NAME), ("USER", NAME)]


# ---- what a backend may not do

REFERRAL = b"[REFERRAL imap://anna@elsewhere.example.net/]"


@pytest.mark.parametrize("answer", [
    b"%t NO " + REFERRAL + b" go there\r\n", b"* BYE " + REFERRAL + b" go there\r\n"], ids=["no", "bye"])
def test_imap_referral_stays_here(cast, client, answer):
    cast.old.rules["AUTHENTICATE"] = answer
    c = client()
    with pytest.raises(No) as refused:
        c.login(NAME, PASSWORD)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0] and b"REFERRAL" not in refused.value.args[0]


def test_imap_referrals_of_success_and_of_mailboxes_stay_here(cast, client):
    def log_in(fake, talk, tag, rest):
        talk.user = NAME
        talk.say(tag + b" OK " + REFERRAL + b" but welcome\r\n")
    cast.old.rules["AUTHENTICATE"] = log_in
    cast.old.rules["SELECT"] = b"* NO " + REFERRAL + b" x\r\n%t NO " + REFERRAL + b" not here\r\n"
    c = client()
    _, welcome = c.login(NAME, PASSWORD)
    assert b"REFERRAL" not in welcome
    with pytest.raises(No) as refused:
        c.command(b"SELECT INBOX")
    assert refused.value.args[0] == b"a2 NO not here\r\n"
    assert b"REFERRAL" not in c.transcript_text().encode()


def test_imap_referral_with_a_bye_ends_the_session_with_one_word(cast, client):
    cast.old.rules["NOOP"] = b"* BYE " + REFERRAL + b" moved\r\n"
    c = client()
    c.login(NAME, PASSWORD)
    c.begin(b"NOOP")
    assert c.responses_until_closed() == [b"* BYE moved\r\n"]


@pytest.mark.parametrize("greeting", [
    b"* PREAUTH welcome", b"* BYE " + REFERRAL + b" go there", b"+OK pop3", b"220 smtp"])
def test_imap_odd_greetings(cast, client, greeting):
    cast.old.greeting = greeting
    with pytest.raises(No) as refused:
        client().login(NAME, PASSWORD)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0] and b"REFERRAL" not in refused.value.args[0]


def test_pop3_referral_stays_here(cast, client):
    cast.old_pop3.rules["AUTH"] = b"-ERR [REFERRAL pop://elsewhere.example.net] go there\r\n"
    answer = client("pop3s").login(NAME, PASSWORD)
    assert answer.startswith(b"-ERR [SYS/TEMP]") and b"REFERRAL" not in answer


def test_backend_starttls(stage, own_ferry, person, imap, pop3):
    ports = stage.old.ports
    f = own_ferry({"backend old": {"imap_tls": "starttls", "imap_port": ports["imap"],
                                   "pop3_tls": "starttls", "pop3_port": ports["pop3"]}, "run": {"nodes": 1}})
    for _ in range(2):
        c = imap(f)
        c.login(person.name, person.password)
        assert c.server_name() == "old"
        assert pop3(f).login(person.name, person.password).startswith(b"+OK")


def test_backend_bytes_behind_starttls(own_ferry, person, imap, pop3):
    fake, fake_pop3 = FakeImap(), FakePop3()
    fake.rules["STARTTLS"] = b"%t OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
    fake_pop3.rules["STLS"] = b"+OK go\r\n+OK injected\r\n"
    f = own_ferry({"backend old": {"imap_tls": "starttls", "imap_port": fake.port,
                                   "pop3_tls": "starttls", "pop3_port": fake_pop3.port}, "run": {"nodes": 1}})
    with pytest.raises(No) as refused:
        imap(f).login(person.name, person.password)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0]
    assert pop3(f).login(person.name, person.password).startswith(b"-ERR [SYS/TEMP]")
    for command in ("STARTTLS", "STLS"):
        assert "login refused: the backend sent bytes behind its" in f.log_text()
        assert "to " + command in f.log_text()


# ---- before login

def in_step(c, sent, answers):
    """Sends it and a NOOP; these are the tagged answers, the NOOP's in the end."""
    c.send(sent + b"z NOOP\r\n")
    heard = []
    while not heard or not heard[-1].startswith(b"z "):
        line = c.response()
        if not line.startswith(b"* "):
            heard.append(line)
    assert [line[:len(a)] for line, a in zip(heard, answers)] == answers and len(heard) == len(answers) + 1
    assert heard[-1].startswith(b"z OK")
    return heard


LINES = b"x LOGOUT\r\n" * 10000


@pytest.mark.parametrize("sent, answers", [
    (b"a APPEND INBOX {300}\r\n", [b"a BAD"]),
    (b"a APPEND INBOX {10+}\r\nx LOGOUT\r\n\r\n", [b"a BAD"]),
    (b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(LINES), LINES), [b"a BAD"]),
    (b"a LOGIN {5000+}\r\n" + b"x LOGOUT\r\n" * 500 + b" {10+}\r\nx LOGOUT\r\n\r\n", [b"a BAD"]),
    (b"a LOGIN {4+}\r\nanna {9000}\r\n", [b"a BAD"]),
    (b"a LOGIN {9000}\r\n", [b"a BAD"]),
    (b"a LOGIN " + b"x" * 20000 + b"\r\n", [b"a BAD"]),
    (b"a XYZZY\r\n", [b"a BAD"]),
    (b"a ENABLE CONDSTORE\r\n", [b"a OK"]),
    (b"a AUTHENTICATE PLAIN\r\n*\r\n", [b"+", b"a BAD"]),
    (b"a AUTHENTICATE PLAIN\r\n!!!!\r\n", [b"+", b"a BAD"]),
    (b"a AUTHENTICATE PLAIN =\r\n", [b"a NO"]),
    (b"a AUTHENTICATE SCRAM-SHA-1\r\n", [b"a NO"]),
    (b"a AUTHENTICATE PLAIN\r\n" + b"x" * 20000 + b"\r\n", [b"+", b"a BAD"]),
    (b"+ NOOP\r\n", []),
    (b"a]b* NOOP\r\n", []),
], ids=lambda v: str(v[:24]) if isinstance(v, bytes) else "")
def test_imap_step_is_kept(ferry, imap, sent, answers):
    c = imap(ferry)
    heard = in_step(c, sent, answers)
    if b"{5000+}" in sent or b"{9000}" in sent or len(sent) in range(20000, 30000):
        assert any(b" BAD [TOOBIG]" in line for line in heard)


def test_imap_too_much_is_the_end(ferry, imap):
    c = imap(ferry)
    c.send(b"a LOGIN {99999999+}\r\n")
    with pytest.raises(Closed):
        while True:
            c.response()
    assert c.left_with_bye


@pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])
def test_sasl_login(ferry, resident, imap, pop3, initial):
    c = imap(ferry)
    name, password = b64(resident.name.encode()), b64(resident.password.encode())
    tag = c.begin(b"AUTHENTICATE LOGIN" + (b" " + name if initial else b""))
    if not initial:
        assert c.expect_continuation() == b"+ VXNlcm5hbWU6\r\n"
        c.send(name + b"\r\n")
    assert c.expect_continuation() == b"+ UGFzc3dvcmQ6\r\n"
    c.send(password + b"\r\n")
    c.finish(tag)
    assert c.server_name() == "old"
    p = pop3(ferry)
    if not initial:
        assert p.command(b"AUTH LOGIN") == b"+ VXNlcm5hbWU6\r\n"
    assert p.command(name if not initial else b"AUTH LOGIN " + name) == b"+ UGFzc3dvcmQ6\r\n"
    assert p.command(password).startswith(b"+OK")


def test_pop3_before_login(ferry, pop3):
    c = pop3(ferry)
    assert b"PLAIN" in c.lines(b"AUTH")
    for line in (b"UTF8", b"LANG", b"APOP anna 0123", b"AUTH PLAIN !!!"):
        assert c.command(line).startswith(b"-ERR")
    assert c.command(b"AUTH PLAIN") == b"+ \r\n"
    assert c.command(b"*").startswith(b"-ERR")
    assert c.command(b"NOOP").startswith(b"+OK")
    assert c.command(b"QUIT").startswith(b"+OK")


# ---- what both can do

def test_capabilities_before_login_are_what_both_have(cast, offered):
    cast.old.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN IDLE MOVE COMPRESS=DEFLATE OBJECTID"
    cast.new.capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN IDLE NAMESPACE COMPRESS=DEFLATE OBJECTID"
    offered(b"ENABLE", False)
    c = offered(b"IDLE")
    listed = c.command(b"CAPABILITY")[0][0].split()[2:]
    assert sorted(listed) == sorted([b"IMAP4rev1", b"SASL-IR", b"LITERAL-", b"ID", b"IDLE", b"AUTH=PLAIN",
                                     b"AUTH=LOGIN"])
    cast.new.capability += b" MOVE"
    offered(b"MOVE")


def test_capabilities_of_a_server_that_is_down_are_kept(own_ferry, imap):
    fake = FakeImap()
    f = own_ferry({"backend new": {"imap_tls": "none", "imap_port": fake.port}, "run": {"nodes": 1, "probe_s": 1}})

    def idle():
        return b"IDLE" in imap(f).command(b"CAPABILITY")[0][0].split()
    processes.wait_until(idle, 10, "IDLE to be offered")
    fake.close()
    processes.wait_until(lambda: "cannot ask what it can do" in f.log_text(), 10, "a probe to fail")
    assert idle()


def test_passwords_are_not_asked_for_where_they_lead_nowhere(cast, offered):
    with_tokens(cast)
    cast.new.capability = b"IMAP4rev1 SASL-IR LOGINDISABLED AUTH=XOAUTH2"
    c = offered(b"LOGINDISABLED")
    assert b"AUTH=PLAIN" not in c.command(b"CAPABILITY")[0][0].split()
    with pytest.raises(No):
        c.login(NAME, PASSWORD)
    c.command(b"AUTHENTICATE XOAUTH2 " + b64(message("XOAUTH2")))


def test_imap_capabilities_after_login(cast, client):
    c = client()
    c.command(b"CAPABILITY")
    untagged, welcome = c.login(NAME, PASSWORD)
    assert untagged == [b"* CAPABILITY IMAP4rev1 IDLE MOVE\r\n"]
    assert b"OK [CAPABILITY IMAP4rev1 IDLE MOVE] " in welcome
    assert c.command(b"CAPABILITY")[0] == [b"* CAPABILITY IMAP4rev1 IDLE MOVE\r\n"]
    cast.old.rules["NOOP"] = b"* OK [CAPABILITY IMAP4rev1 OBJECTID] changed\r\n%t OK [CAPABILITY X IDLE] y\r\n"
    assert c.command(b"NOOP") == ([b"* OK [CAPABILITY IMAP4rev1] changed\r\n"], b"a4 OK [CAPABILITY IDLE] y\r\n")


@pytest.mark.parametrize("command", [
    b"COMPRESS DEFLATE", b"UNAUTHENTICATE", b"STARTTLS", b"LOGIN a b", b"AUTHENTICATE PLAIN AAAA",
    b"GENURLAUTH {3+}\r\nabc INTERNAL", b"LOGIN {10+}\r\nx LOGOUT\r\n x"])
def test_imap_refused_after_login(cast, client, command):
    c = client()
    c.login(NAME, PASSWORD)
    cast.old.heard.clear()
    with pytest.raises(No):
        c.command(command)
    c.command(b"NOOP")
    assert cast.old.heard == [b"a3 NOOP"]


def test_pop3_capabilities(cast, capa):
    cast.new_pop3.capa = [b"UIDL", b"USER", b"SASL PLAIN", b"PIPELINING"]
    capa(b"PIPELINING")
    c = capa(b"TOP", False)
    assert set(c.lines(b"CAPA")) == {b"UIDL", b"USER", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE",
                                     b"SASL PLAIN LOGIN"}
    assert c.login(NAME, PASSWORD).startswith(b"+OK")
    c.send(b"CAPA\r\nNOOP\r\nSTLS\r\nUTF8\r\nCAPA\r\n")
    after = [b"+OK\r\n", b"TOP\r\n", b"UIDL\r\n", b"RESP-CODES\r\n", b"PIPELINING\r\n", b".\r\n"]
    assert [c.line() for _ in after] == after
    assert c.line().startswith(b"+OK")
    assert [c.line()[:4] for _ in range(2)] == [b"-ERR"] * 2
    assert [c.line() for _ in after] == after


def test_pop3_capabilities_in_pieces(cast, client):
    """Cut anywhere, with lines that are too long and look like others in the middle."""
    long = b"X" * 511 + b"\r\n"
    answer = (b"+OK\r\nTOP\r\nSTLS\r\n" + long + b"Y" * 512 + b"TOP\r\n" + b"Z" * 512 + b".\r\n" +
              b"uidl\r\nEXPIRE NEVER\r\nUTF8\r\n.\r\n")

    def piecemeal(fake, talk, rest):
        talk.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = int(rest or len(answer))
        for at in range(0, len(answer), size):
            talk.say(answer[at:at + size])
            if size < 8:
                processes.wait_until(lambda: unsent(talk.sock) == 0, 20, "the bytes to be acknowledged")
    cast.old_pop3.rules["CAPA"] = piecemeal
    c = client("pop3s")
    assert c.login(NAME, PASSWORD).startswith(b"+OK")
    for size in (1, 7, 511, 512, 4096):
        assert c.lines(b"CAPA %d" % size) == [b"TOP", b"uidl", b"EXPIRE NEVER"]
        assert c.command(b"NOOP").startswith(b"+OK")


def unsent(sock):
    """Bytes that the peer's kernel has not taken (SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]


# ---- whom the proxy logs in as

def test_login_format(cast, own_ferry, imap):
    fake = FakeImap({"anna": PASSWORD, "example.com/anna": PASSWORD})
    for form in ("%n", "%d/%n"):
        f = own_ferry({"backend old": {"imap_tls": "none", "imap_port": fake.port, "login_format": form},
                       "run": {"nodes": 1}})
        imap(f).login("ANNA@Example.COM".replace("ANNA", "anna"), PASSWORD)
    assert [name for _, name in fake.logins] == ["anna", "example.com/anna"]


@pytest.mark.parametrize("mech", sorted(MECHS))
def test_login_format_of_a_token(own_ferry, imap, mech):
    capability = b"IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=" + mech.encode()
    old, new = FakeImap(tokens={"an,na": TOKEN}), FakeImap()
    old.capability = new.capability = capability
    f = own_ferry({"backend old": {"imap_tls": "none", "imap_port": old.port, "login_format": "%n"},
                   "backend new": {"imap_tls": "none", "imap_port": new.port}, "run": {"nodes": 1}})
    processes.wait_until(lambda: b"AUTH=" + mech.encode() in imap(f).command(b"CAPABILITY")[0][0], 10, mech)
    escaped = b"an=2Cna" if mech == "OAUTHBEARER" else b"an,na"
    text = MECHS[mech] % (escaped + b"@example.com", TOKEN.encode())
    imap(f).command(b"AUTHENTICATE %s %s" % (mech.encode(), b64(text)))
    assert old.logins == [(mech + " ir", "an,na")]
    assert b"A AUTHENTICATE %s %s" % (mech.encode(), b64(MECHS[mech] % (escaped, TOKEN.encode()))) in old.heard


@pytest.mark.parametrize("form", [
    pytest.param("%u*%m", id="format", marks=pytest.mark.offers("dovecot")),
    pytest.param("", id="authzid", marks=pytest.mark.offers("master"))])
def test_master_login_needs_the_clients_own_password(stage, own_ferry, person, imap, pop3, form):
    """old would let the master into any mailbox; new alone knows who people are."""
    path = os.path.join(stage.folder, "proxy-master")
    with open(path, "w") as file:
        file.write("ferry-master-secret\n")
    os.chmod(path, 0o644)
    judge = FakeImap({person.name: "other-secret"})
    judge_pop3 = FakePop3({person.name: "other-secret"})
    f = own_ferry({"backend old": {"proxy_master_user": "ferry", "proxy_master_password_file": path,
                                   "proxy_master_format": form, "auth_from": "new"},
                   "backend new": {"imap_tls": "none", "imap_port": judge.port,
                                   "pop3_tls": "none", "pop3_port": judge_pop3.port}, "run": {"nodes": 1}})
    for _ in range(2):
        c = imap(f)
        with pytest.raises(No) as refused:
            c.login(person.name, person.password)  # which old would take
        assert b" NO [AUTHENTICATIONFAILED]" in refused.value.args[0]
        c.login(person.name, "other-secret")
        assert c.server_name() == "old"
    p = pop3(f)
    assert p.login(person.name, person.password).startswith(b"-ERR [AUTH]")
    assert p.login(person.name, "other-secret").startswith(b"+OK")
    judge.close()
    judge_pop3.close()
    with pytest.raises(No) as refused:
        imap(f).login(person.name, "other-secret")
    assert b" NO [UNAVAILABLE]" in refused.value.args[0]
    assert pop3(f).login(person.name, "other-secret").startswith(b"-ERR [SYS/TEMP]")


# ---- what clients would lose

def usage(f):
    rows = f.cli("check", "backends")["losses"]
    return {(r["proto"], r["capability"]): (r["sessions"], r["of"]) for r in rows}


def all_counted(f):
    """No session that the node has let in is missing in the store."""
    m = f.metrics()
    return all(of == m.get("mailferry_logins_total", protocol=proto, result="ok") for (proto, _), (_, of) in usage(f).items())


def test_check_backends_counts_what_clients_use(cast, client):
    cast.old.capability += b" MOVE SORT QUOTA"
    cast.old_pop3.capa = cast.old_pop3.capa + [b"EXPIRE NEVER"]
    cast.new_pop3.capa = [line for line in cast.new_pop3.capa if line != b"UIDL"]
    processes.wait_until(lambda: all_counted(cast.ferry), 10, "earlier sessions to be written")
    before = usage(cast.ferry)
    assert set(before) == {("imap", w) for w in ("MOVE", "SORT", "QUOTA")} | {
        ("pop3", "UIDL"), ("pop3", "EXPIRE NEVER")}
    for command in (b"UID MOVE 1 Trash", b"MOVE 1 Trash", b"UID SORT (DATE) UTF-8 ALL"):
        c = client()
        c.login(NAME, PASSWORD)
        for _ in range(2):  # counts once in a session
            with pytest.raises(No):
                c.command(command)
    p = client("pop3s")
    p.login(NAME, PASSWORD)
    p.command(b"UIDL")
    more = {("imap", "MOVE"): (2, 3), ("imap", "SORT"): (1, 3), ("imap", "QUOTA"): (0, 3),
            ("pop3", "UIDL"): (1, 1), ("pop3", "EXPIRE NEVER"): (0, 1)}
    wanted = {key: (n + more[key][0], of + more[key][1]) for key, (n, of) in before.items()}
    processes.wait_until(lambda: usage(cast.ferry) == wanted, 10, "the counts to be written")
    text = cast.ferry.command("check", "backends").stdout
    n, of = wanted["imap", "MOVE"]
    assert "%d of %d" % (n, of) in text and "copy and delete" in text


@pytest.mark.offers("dovecot")
def test_check_backends_behind_the_login(stage, ferry, resident):
    whole = ferry.cli("check", "backends", resident.name)
    assert whole["login_trouble"] is None
    imap = [s for s in whole["servers"] if s["proto"] == "imap"]
    assert all(s["logged_in"] and "QRESYNC" in s["capabilities"] for s in imap)
    assert "COMPRESS=DEFLATE" not in imap[0]["capabilities"]
    nobody = ferry.cli("check", "backends", "nobody@example.com")
    assert nobody["login_trouble"] and not any(s["logged_in"] for s in nobody["servers"])
    assert "told before login" in ferry.command("check", "backends").stdout
