"""What a client meets before and behind its login, without any move going on."""

import re

import pytest

from lib import mail, processes
from lib.imapclient import Closed, No


def quoted(text):
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def login_quoted(c, person):
    return c.command(b"LOGIN %s %s" % (quoted(person.name), quoted(person.password)))


def login_atoms(c, person):
    return c.command(b"login %s %s" % (person.name.encode(), person.password.encode()))


def login_literals(c, person):
    tag = c.begin(b"LOGIN {%d}" % len(person.name))
    c.expect_continuation()
    c.send(b"%s {%d}\r\n" % (person.name.encode(), len(person.password)))
    c.expect_continuation()
    c.send(person.password.encode() + b"\r\n")
    return c.finish(tag)


def login_literals_plus(c, person):
    return c.command(b"LOGIN {%d+}\r\n%s {%d+}\r\n%s" % (
        len(person.name), person.name.encode(), len(person.password), person.password.encode()))


def login_plain(c, person):
    return c.authenticate_plain(person.name, person.password, initial=False)


def login_plain_initial(c, person):
    return c.authenticate_plain(person.name, person.password, initial=True)


LOGINS = [login_quoted, login_atoms, login_literals, login_literals_plus, login_plain, login_plain_initial]


@pytest.mark.parametrize("port", ["imaps", "imap"])
@pytest.mark.parametrize("login", LOGINS, ids=lambda f: f.__name__)
def test_imap_login_forms(stage, ferry, resident, imap, login, port):
    c = imap(ferry, port)
    if port == "imap":
        c.starttls(stage.context)
    login(c, resident)
    assert c.server_name() == "old"
    c.command(b"SELECT INBOX")
    c.logout()


@pytest.mark.parametrize("login", [login_quoted, login_literals, login_plain_initial], ids=lambda f: f.__name__)
def test_imap_password_with_odd_characters(stage, ferry, imap, login):
    ferry.import_users([stage.odd.name])
    c = imap(ferry)
    login(c, stage.odd)
    assert c.server_name() == "old"


def test_imap_login_name_is_normalised(ferry, resident, imap):
    c = imap(ferry)
    c.login(resident.name.split("@")[0], resident.password)
    assert c.server_name() == "old"
    d = imap(ferry)
    d.login(resident.name.replace("example.com", "EXAMPLE.com"), resident.password)
    assert d.server_name() == "old"


def test_imap_commands_pipelined_behind_login(ferry, resident, imap):
    c = imap(ferry)
    c.send(b'x1 LOGIN %s %s\r\nx2 SELECT INBOX\r\nx3 NOOP\r\nx4 LOGOUT\r\n' % (
        quoted(resident.name), quoted(resident.password)))
    heard = c.responses_until_closed()
    tagged = [line[:5] for line in heard if not line.startswith(b"*")]
    assert tagged == [b"x1 OK", b"x2 OK", b"x3 OK", b"x4 OK"]


def test_imap_wrong_password(ferry, resident, imap):
    c = imap(ferry)
    with pytest.raises(No) as refused:
        c.login(resident.name, "wrong")
    assert re.match(rb"a1 NO \[AUTHENTICATIONFAILED\]", refused.value.args[0])
    c.login(resident.name, resident.password)
    assert c.server_name() == "old"


def test_imap_too_many_wrong_passwords_end_the_connection(ferry, resident, imap):
    c = imap(ferry)
    with pytest.raises(Closed):
        for _ in range(10):
            with pytest.raises(No):
                c.login(resident.name, "wrong")
    assert c.left_with_bye


def test_imap_no_password_over_clear_text(ferry, resident, imap):
    c = imap(ferry, "imap")
    untagged, _ = c.command(b"CAPABILITY")
    listed = b" ".join(untagged)
    assert b"LOGINDISABLED" in listed and b"STARTTLS" in listed and b"AUTH=PLAIN" not in listed
    with pytest.raises(No) as refused:
        c.login(resident.name, resident.password)
    assert b" NO [PRIVACYREQUIRED]" in refused.value.args[0]
    with pytest.raises(No) as refused:
        c.authenticate_plain(resident.name, resident.password)
    assert b" NO [PRIVACYREQUIRED]" in refused.value.args[0]


def test_imap_what_came_before_the_handshake_is_never_obeyed(stage, ferry, imap):
    c = imap(ferry, "imap")
    c.send(b"x1 STARTTLS\r\nx2 CAPABILITY\r\n")
    try:
        c.finish(b"x1")
        c.sock = stage.context.wrap_socket(c.sock, server_hostname="localhost")
        c.begin(b"LOGOUT")
        heard = c.responses_until_closed()
    except (Closed, OSError):
        heard = []
    assert not [line for line in heard if line.startswith(b"x2 ")]


@pytest.mark.offers("COMPRESS")
def test_imap_capabilities_are_filtered(stage, ferry, resident, imap):
    direct = imap(stage.old)
    _, welcome = direct.login(resident.name, resident.password)
    assert b"COMPRESS=DEFLATE" in welcome, "the server must offer it for this test to mean something"
    c = imap(ferry)
    greeted, _ = c.command(b"CAPABILITY")
    before = b" ".join(greeted)
    assert b"IMAP4rev1" in before and b"AUTH=PLAIN" in before
    assert b"COMPRESS" not in before and b"LOGINDISABLED" not in before and b"STARTTLS" not in before
    _, welcome = c.login(resident.name, resident.password)
    after, _ = c.command(b"CAPABILITY")
    for text in (welcome, b" ".join(after)):
        assert b"COMPRESS" not in text and b"LOGIN-REFERRALS" not in text
    assert b"IDLE" in after[0] and b"UIDPLUS" in after[0]


def test_imap_compress_is_refused(ferry, resident, imap):
    c = imap(ferry)
    c.login(resident.name, resident.password)
    with pytest.raises(No):
        c.command(b"COMPRESS DEFLATE")
    c.command(b"NOOP")


@pytest.mark.parametrize("literal", [
    pytest.param(b"", id="waits"),
    pytest.param(b"+", id="does-not-wait", marks=pytest.mark.offers("LITERAL+"))])
def test_imap_big_messages_pass_both_ways(ferry, resident, imap, literal):
    c = imap(ferry)
    c.login(resident.name, resident.password)
    data = mail.message("big" + literal.decode(), 3_000_000, eight_bit=True)
    c.append(b"INBOX", data, b"\\Seen", literal=literal)
    c.command(b"SELECT INBOX")
    untagged, _ = c.command(b"FETCH * BODY.PEEK[]")
    assert any(data in line for line in untagged)


def test_imap_idle_hears_of_new_mail(ferry, resident, imap):
    c, other = imap(ferry), imap(ferry)
    for x in (c, other):
        x.login(resident.name, resident.password)
    c.command(b"SELECT INBOX")
    tag = c.idle()
    other.append(b"INBOX", mail.message("for-idle"))
    while b" EXISTS" not in c.response():
        pass
    c.done(tag)


def test_imap_malformed_lines_hurt_nobody(ferry, resident, imap):
    for line in (b"\r\n", b"a\r\n", b"a LOGIN\r\n", b"a LOGIN {99999999999}\r\n", b"\0\xff\r\n",
                 b"a LOGIN \"x\r\n", b"a " + b"x" * 20000 + b"\r\n", b"a AUTHENTICATE PLAIN !!!\r\n"):
        c = imap(ferry)
        try:
            c.send(line)
            c.send(b"z LOGOUT\r\n")
            c.responses_until_closed()
        except Closed:
            pass
    c = imap(ferry)
    c.login(resident.name, resident.password)


@pytest.mark.parametrize("port", ["pop3s", "pop3"])
@pytest.mark.parametrize("how", ["user", "auth-initial", "auth-asked"])
def test_pop3_login_forms(stage, ferry, resident, pop3, how, port):
    stage.fill(resident, {"INBOX": 3})
    c = pop3(ferry, port)
    if port == "pop3":
        assert c.stls(stage.context).startswith(b"+OK")
    if how == "user":
        assert c.login(resident.name, resident.password).startswith(b"+OK")
    else:
        assert c.auth_plain(resident.name, resident.password, how == "auth-initial").startswith(b"+OK")
    assert c.command(b"STAT").startswith(b"+OK 3 ")
    assert b"X-Stamp: " in b"\r\n".join(c.lines(b"RETR 1"))
    assert c.command(b"QUIT").startswith(b"+OK")
    assert c.line() == b""


def test_pop3_pipelined(ferry, resident, pop3):
    c = pop3(ferry)
    c.send(b"USER %s\r\nPASS %s\r\nSTAT\r\nQUIT\r\n" % (resident.name.encode(), resident.password.encode()))
    assert [c.line()[:3] for _ in range(4)] == [b"+OK"] * 4
    assert c.line() == b""


def test_pop3_wrong_password(ferry, resident, pop3):
    c = pop3(ferry)
    assert c.login(resident.name, "wrong").startswith(b"-ERR [AUTH]")
    assert c.login(resident.name, resident.password).startswith(b"+OK")


def test_pop3_no_password_over_clear_text(ferry, resident, pop3):
    c = pop3(ferry, "pop3")
    assert b"STLS" in c.lines(b"CAPA")
    assert c.login(resident.name, resident.password).startswith(b"-ERR")
    assert c.auth_plain(resident.name, resident.password).startswith(b"-ERR")


def test_cleartext_where_it_is_allowed(stage, own_ferry, person, imap, pop3):
    f = own_ferry({"tls": {"allow_cleartext": True}, "run": {"nodes": 1}})
    f.import_users([person.name])
    c = imap(f, "imap")
    c.login(person.name, person.password)
    assert c.server_name() == "old"
    assert pop3(f, "pop3").login(person.name, person.password).startswith(b"+OK")


def test_backend_down(stage, own_ferry, person, imap, pop3):
    port = processes.free_ports(1)[0]
    f = own_ferry({"backend old": {"imap_port": port, "pop3_port": port}, "run": {"nodes": 1}})
    f.import_users([person.name])
    c = imap(f)
    with pytest.raises(No) as refused:
        c.login(person.name, person.password)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0]
    assert pop3(f).login(person.name, person.password).startswith(b"-ERR [SYS/TEMP]")


def test_backend_of_another_name_is_not_trusted(own_ferry, person, imap):
    f = own_ferry({"backend old": {"tls_name": "elsewhere.example.net"}, "run": {"nodes": 1}})
    f.import_users([person.name])
    with pytest.raises(No) as refused:
        imap(f).login(person.name, person.password)
    assert b" NO [UNAVAILABLE]" in refused.value.args[0]


def test_sessions_are_shown(ferry, resident, imap):
    c = imap(ferry)
    c.login(resident.name, resident.password)
    c.command(b"SELECT INBOX")

    def shown():
        return [s for s in ferry.cli("sessions", resident.name)["sessions"] if s["state"] == "RELAY"]
    rows = processes.wait_until(shown, 60, "the session to be listed")
    assert len(rows) == 1 and rows[0]["side"] == "old" and rows[0]["proto"] == "imap"


def test_broken_settings_are_all_reported(ferry, tmp_path):
    path = tmp_path / "broken.conf"
    path.write_text('listener "a" {\n\tprotocol = smtp\n\tport = 99999\n}\n'
                    'backend "old" {\n\thots = "x"\n}\n')
    done = ferry.command("check", "config", str(path), check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 2
    for line in (2, 3, 6):
        assert "%s:%d:" % (path, line) in text
