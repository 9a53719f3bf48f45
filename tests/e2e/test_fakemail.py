"""The fake mail server itself: what the copier's tests build on must be right when it does not lie."""

import pytest

from lib import fakemail, mail, reader
from lib.fakemail import FakeMail
from lib.imapclient import ImapClient, No

ANNA = "anna@example.com"


@pytest.fixture
def fake(stage, tmp_path):
    f = FakeMail("old", str(tmp_path), stage.ca, {ANNA: "secret"}, {"ferry": "master"}, separator=".", prefix="INBOX.")
    yield f
    f.stop()


def connect(fake, stage, port="imaps"):
    c = ImapClient(fake.address, fake.ports[port], stage.context if port == "imaps" else None)
    if port == "imap":
        c.starttls(stage.context)
    c.login(ANNA, "secret")
    return c


def test_it_keeps_what_it_is_given(fake, stage):
    c = connect(fake, stage, "imap")
    c.command(b"CREATE INBOX.Sent (USE (\\Sent))")
    c.command(b"SUBSCRIBE INBOX.Sent")
    data = mail.message("one", eight_bit=True)
    assert b"[APPENDUID %d 1]" % fake.box(ANNA, b"INBOX.Sent").uidvalidity in c.append(
        b"INBOX.Sent", data, b"\\Seen $A", b"17-Jul-1996 02:44:25 -0700")[1]
    folder = reader.read(fake, ANNA, stage.context)[("Sent",)]
    assert folder.subscribed and folder.messages == [reader.Message(
        1, frozenset({"\\seen", "$a"}), 837596665, mail.digest(data), len(data), "one")]


def test_a_session_hears_what_others_do(fake, stage):
    for i in range(3):
        fake.put(ANNA, b"INBOX", mail.message("m%d" % i))
    c = connect(fake, stage)
    assert b"* 3 EXISTS\r\n" in c.command(b"SELECT INBOX")[0]
    c.command(b"UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert c.command(b"UID EXPUNGE 1:*")[0] == [b"* 2 EXPUNGE\r\n"]
    fake.put(ANNA, b"INBOX", mail.message("m4"))
    assert c.command(b"FETCH 1:* (UID)")[0] == [b"* 1 FETCH (UID 1)\r\n", b"* 2 FETCH (UID 3)\r\n"]
    assert c.command(b"NOOP")[0] == [b"* 3 EXISTS\r\n"]
    tag = c.idle()
    fake.put(ANNA, b"INBOX", mail.message("m5"))
    assert c.response() == b"* 4 EXISTS\r\n"
    c.done(tag)
    found = c.command(b"FETCH 1 (UID BODY.PEEK[HEADER.FIELDS (X-STAMP)] BODY.PEEK[]<0.4>)")[0]
    assert found == [b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (X-STAMP)] {15}\r\nX-Stamp: m0\r\n\r\n"
                     b" BODY[]<0> {4}\r\nFrom)\r\n"]


def test_it_lists_with_status(fake, stage):
    fake.put(ANNA, b"INBOX.Work.2020", mail.message("w"))
    c = connect(fake, stage)
    heard = c.command(b'LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT))')[0]
    assert b'* LIST () "." "INBOX.Work.2020"\r\n' in heard
    assert b'* STATUS "INBOX.Work.2020" (MESSAGES 1 UIDNEXT 2)\r\n' in heard
    c.command(b"RENAME INBOX.Work.2020 INBOX.Done")
    assert c.command(b'LIST "" "INBOX.%"')[0] == [b'* LIST () "." "INBOX.Done"\r\n']


def test_rules_and_lies(fake, stage):
    c = connect(fake, stage)
    fake.rules["APPEND"] = fakemail.nth(2, b"%t NO [OVERQUOTA] full\r\n")
    c.append(b"INBOX", mail.message("a"))
    with pytest.raises(No, match="OVERQUOTA"):
        c.append(b"INBOX", mail.message("b"))
    c.append(b"INBOX", mail.message("c"))
    fake.rules["APPEND"] = fakemail.hangup
    c.begin_append(b"INBOX", mail.message("d"))
    assert c.responses_until_closed() == []
    assert len(fake.box(ANNA).mails) == 3
    c = connect(fake, stage)
    c.command(b"SELECT INBOX")
    fake.rules["UID FETCH"] = fakemail.cut(40)
    c.begin(b"UID FETCH 1 (BODY.PEEK[])")
    assert c.responses_until_closed() == [] and len(c.partial) == 40
    fake.autologout_s = 0.1
    c = connect(fake, stage)
    assert c.response().startswith(b"* BYE Autologout")
