"""
The copier with POP3 as its source, from a fake that does what Dovecot and Courier do not: no UIDL, ids that change,
locks, windows, lies about sizes, ends in the middle.
"""

import hashlib
import string

import pytest

from lib import mail
from lib.fakedrop import FakeDrop
from test_pop3_source import hashes, inbox, uidls

PRINTABLE = (string.digits + string.ascii_letters + string.punctuation).encode()


def letters(count, start=0):
    return [(b"u%d" % i, mail.message("drop%d" % i, 500 + i)) for i in range(start, start + count)]


@pytest.fixture
def drop(person, copier):
    fake = FakeDrop({person.name: person.password})
    copier.sides["old"] = dict(copier.sides["old"], protocol="pop3", port=fake.port, tls="none", tls_name=None,
                               tls_ca_file=None, host="127.0.0.1")
    copier.changes = {"fence_s": 0}
    yield fake
    fake.close()


@pytest.fixture
def assert_same(stage, person, drop):
    def check():
        want = sorted(hashlib.sha256(data).hexdigest() for _, data in drop.mail)
        assert hashes(stage, person, stage.new) == want
    return check


@pytest.mark.parametrize("pipelining", (True, False))
def test_many_at_once_or_one_by_one(copier, drop, assert_same, pipelining):
    drop.mail = letters(70)
    if not pipelining:
        drop.capa.remove(b"PIPELINING")
    assert copier.until_clean(passes=1)["copied"] == 70
    assert_same()
    assert not {"DELE", "RSET"} & set(drop.commands)
    drop.heard.clear()
    copier.until_clean(passes=1)
    assert "RETR" not in drop.commands and "TOP" not in drop.commands


def test_ids_of_every_kind(copier, drop, assert_same):
    """case 79: 70 characters, every printable one."""
    drop.mail = [(PRINTABLE[i:] + PRINTABLE[:i], mail.message("p%d" % i)) for i in range(0, 94, 5)]
    drop.mail = [(u[:70], m) for u, m in drop.mail]
    copier.until_clean(passes=1)
    assert [row[0].encode() for row in uidls(copier)] == [u for u, _ in drop.mail]
    assert copier.run()[1]["copied"] == 0
    assert_same()


def test_numbers_shift(copier, drop, assert_same):
    """case 80: the maildrop's order is turned round, and the first of it are gone."""
    drop.mail = letters(12)
    copier.until_clean(passes=1)
    drop.mail = drop.mail[:4:-1] + letters(2, 20)
    result = copier.until_clean(passes=1)
    assert (result["copied"], result["deleted"]) == (2, 5), result
    assert_same()


def test_one_id_for_two(copier, drop, assert_same):
    """case 78; and a server that makes ids of headers: two that are not the same have one too. The right one goes."""
    same, one, other = (b"Subject: s\r\n\r\n" + body for body in (b"same\r\n", b"one\r\n", b"two\r\n"))
    drop.mail = [(b"a", same), (b"h", one), (b"a", same), (b"h", other), (b"a", same)]
    copier.until_clean(passes=1)
    assert_same()
    assert [row[:2] for row in uidls(copier)] == [("a", 0), ("h", 0), ("a", 1), ("h", 1), ("a", 2)]
    del drop.mail[1], drop.mail[0]
    assert copier.until_clean(passes=1)["deleted"] == 2
    assert_same()
    drop.mail.append((b"h", one))
    assert copier.until_clean(passes=1)["copied"] == 1
    assert_same()


@pytest.mark.parametrize("capa", (None, [b"USER"]))
def test_no_ids(copier, drop, assert_same, capa):
    """case 77: a server without UIDL: bytes tell which is which, twins by their number."""
    twin = b"Subject: twin\r\n\r\nthe same\r\n"
    drop.capa = capa
    drop.rules["UIDL"] = b"-ERR what is that\r\n"
    drop.mail = letters(5) + [(b"", twin), (b"", twin)]
    copier.until_clean(passes=1)
    assert_same()
    drop.mail = [drop.mail[6], drop.mail[3], drop.mail[1], (b"", mail.message("later"))]
    result = copier.until_clean(passes=1)
    assert (result["copied"], result["deleted"]) == (1, 4), result
    assert_same()


def test_ids_change(copier, drop, assert_same):
    """The server was rebuilt: all ids are new, the mail is not."""
    drop.mail = letters(8)
    copier.until_clean(passes=1)
    drop.mail = [(b"new-" + u, m) for u, m in drop.mail] + letters(1, 30)
    result = copier.until_clean(passes=1)
    assert (result["copied"], result["deleted"]) == (1, 0), result
    assert [row[0] for row in uidls(copier)][:8] == ["new-u%d" % i for i in range(8)]
    assert_same()


@pytest.mark.parametrize("line,kind", (
    (b"-ERR [IN-USE] Do you have another POP session running?", "temporary"),
    (b"-ERR maildrop lock busy!  Is another session active?", "temporary"),
    (b"-ERR [SYS/TEMP] Server error - Please try again later.", "temporary"),
    (b"-ERR [LOGIN-DELAY] minimum time between mail checks violation", "temporary"),
    (b"-ERR Exceeded the login limit for a 15 minute period.", "temporary"),
    (b"-ERR [SYS/PERM] no POP for you", "auth"),
    (b"-ERR [AUTH] Invalid login, try again later", "auth"),
    (b"-ERR Logon failure: unknown user name or bad password.", "auth")))
def test_locked_is_no_wrong_password(copier, drop, line, kind):
    """case 81"""
    drop.mail = letters(1)
    drop.be_busy("AUTH", line)
    code, result = copier.run()
    assert not result["ok"] and result["kind"] == kind and line.split(b"] ")[-1].decode().split("-ERR ")[-1] in result["text"], result
    assert ("later" in result) == (kind == "temporary")
    copier.until_clean(passes=1)


def test_login_delay_tells_how_long(copier, drop):
    drop.capa.append(b"LOGIN-DELAY 900")
    drop.be_busy("AUTH", b"-ERR [LOGIN-DELAY] too soon")
    code, result = copier.run()
    assert result["later"] == {"whom": "user", "side": "old", "wait_ms": 900000, "fewer": False}, result


def test_an_end_in_the_middle(copier, drop, assert_same):
    """case 15: at once an error; and nothing of the half message arrives anywhere."""
    drop.mail = letters(6)
    for at in (0, 3, 6, 300, 505):
        drop.cut = {b"u4": at}
        code, result = copier.run()
        assert not result["ok"] and result["kind"] == "temporary" and "message 5" in result["text"], result
    drop.cut = {}
    copier.until_clean()
    assert_same()


def test_sizes_that_lie(copier, drop, assert_same):
    """case 83: LIST is wrong, TOP is not known, dots at the start of lines, +OK with nothing behind it."""
    alone = b"" if type(copier.new).__name__ == "Courier" else b"\r"   # which it does not keep
    drop.mail = letters(4) + [(b"dots", b"Subject: d\r\n\r\n.\r\n..\r\n...x\r\n"),
                              (b"raw", b"Subject: r\r\n\r\na\0b%sc\r\n" % alone)]
    drop.sizes = {b"u0": 1, b"u1": 10 ** 9, b"u2": 2 ** 62, b"dots": 0}
    drop.capa.remove(b"TOP")
    copier.until_clean(passes=1)
    copier.forget()                 # recognised without TOP
    assert copier.until_clean(passes=1)["copied"] == 0
    drop.mail.append((b"empty", b""))
    drop.sizes[b"empty"] = 700
    code, result = copier.run()
    assert result["exceptions"] == 1 and not result["clean"], result
    drop.mail.pop()
    copier.until_clean()
    drop.sizes = {}                 # another answer to LIST makes no other message of it
    assert copier.run()[1]["copied"] == 0


def test_listings_that_do_not_add_up(stage, person, copier, drop):
    drop.mail = letters(5)
    copier.until_clean(passes=1)
    drop.rules["STAT"] = b"+OK 5 2000\r\n"
    drop.mail = drop.mail[2:]
    code, result = copier.run()
    assert result["ok"] and not result["clean"] and result["deleted"] == 0, result
    assert len(inbox(stage, person, stage.new)) == 5


def test_gmail(stage, person, copier, drop, assert_same):
    """case 82: some messages at a time. A session that ends early says no QUIT: what it read shows again."""
    drop.greeting = b"+OK Gpop ready for requests from 127.0.0.1 fake"
    drop.mail, drop.window = letters(70), 25
    code, result = copier.run("probe")
    assert result["ok"] and "Gmail" in result["text"], result
    drop.cut = {b"u40": 100}
    assert not copier.run()[1]["ok"] and len(drop.popped) == 25
    drop.cut = {}
    result = copier.until_clean(passes=1)
    assert result["messages"] == 70 and result["deleted"] == 0, result
    assert_same()
    drop.mail += letters(3, 100)
    assert copier.until_clean(passes=1)["messages"] == 73
    assert_same()


def test_a_server_that_deletes_what_was_read(stage, person, copier, drop, assert_same):
    """case 84: said before anything is read; no QUIT is said, and new keeps what old may lose."""
    drop.capa.append(b"EXPIRE 0")
    drop.mail, drop.deletes = letters(5), True
    code, result = copier.run("probe")
    assert result["ok"] and "EXPIRE 0" in result["text"], result
    copier.until_clean(passes=1)
    assert_same()
    assert "QUIT" not in drop.commands and len(drop.mail) == 5
    drop.mail = drop.mail[2:]
    assert copier.until_clean(passes=1)["deleted"] == 0
    assert len(inbox(stage, person, stage.new)) == 5


def test_greetings(copier, drop):
    """case 76: one that is none, one that refuses."""
    drop.greeting = b"* OK IMAP4rev1 here"
    assert copier.run()[1]["kind"] == "protocol"
    drop.greeting = b"-ERR [SYS/TEMP] too many connections"
    code, result = copier.run()
    assert result["kind"] == "temporary" and result["later"]["whom"] == "host", result


def test_dates_by_the_header(stage, person, copier, drop):
    head = b"From: a@example.com\r\n"
    drop.mail = [(b"r", b"Received: from a by b;\r\n\tMon, 1 Jan 2018 10:00:00 +0100\r\n"
                        b"Received: by c; Sun, 31 Dec 2017 00:00:00 +0000\r\nDate: Fri, 1 Jan 2010 00:00:00 GMT\r\n\r\n1\r\n"),
                 (b"d", head + b"Date: Fri, 1 Jan 2010 00:00:00 GMT\r\n\r\n2\r\n"),
                 (b"f", b"Received: by c; Mon, 1 Jan 2096 10:00:00 +0100\r\nReceived: by d; Mon, 1 Jan 2018 10:00:00 -0100\r\n\r\n3\r\n"),
                 (b"n", head + b"\r\n4\r\n")]
    copier.until_clean(passes=1)
    dates = [m.date for m in inbox(stage, person, stage.new)]
    assert dates[:3] == [1514797200, 1262304000, 1514804400] and dates[3] > 1700000000
