"""
The copier with POP3 as its source: `mailferry-sync --worker` between old's maildrop and new, both real servers.
What those servers do not do stands in test_pop3_faults.py.
"""

import random
import sqlite3

import pytest

from lib import mail, processes
from lib.imapclient import ImapClient, No
from test_copy import expunge, kill_at_every_step

DATE = 1709629872       # of lib.mail's Date field
FOLDER = b"INBOX"


@pytest.fixture
def old(stage, person):
    c = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    yield c
    c.logout()


@pytest.fixture
def new(stage, person):
    c = ImapClient(stage.new.address, stage.new.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    yield c
    c.logout()


@pytest.fixture
def dropped(stage, copier):
    """The copier, reading old by POP3."""
    copier.sides["old"] = dict(copier.sides["old"], protocol="pop3", port=stage.old.ports["pop3s"])
    return copier


def append(client, *bodies):
    for body in bodies:
        client.append(FOLDER, body, b"\\Seen \\Flagged", mail.imap_date(1500000000))


def uidls(copier):
    """[(UIDL, ordinal, UID on new)] of what was copied, in the order of old's."""
    with sqlite3.connect(copier.journal) as db:
        return db.execute("SELECT uidl, ordinal, new_uid FROM pop3 JOIN msg ON old_uid = uid"
                          " WHERE state = 1 ORDER BY uid").fetchall()


def inbox(stage, person, server):
    return stage.read(server, person)[("INBOX",)].messages


def hashes(stage, person, server):
    return sorted(m.sha256 for m in inbox(stage, person, server))


def assert_same(stage, person):
    assert hashes(stage, person, stage.new) == hashes(stage, person, stage.old)


def test_full_and_incremental(stage, person, dropped, old):
    """What has left old before the flip leaves new; the UIDL of each message stays known."""
    append(old, *[mail.message("m%d" % i, 400 + i) for i in range(90)])
    result = dropped.until_clean(passes=1)
    assert result["copied"] == result["verified"] == 90, result
    assert_same(stage, person)
    there = inbox(stage, person, stage.new)
    assert {m.date for m in there} == {DATE}            # POP3 has no INTERNALDATE …
    assert not any(m.flags - {"\\recent"} for m in there)     # … and no flags
    code, again = dropped.run()
    assert again["clean"] and again["copied"] == again["deleted"] == again["flags"] == 0, again
    append(old, mail.message("later"))
    expunge(old, FOLDER, b"2:4")                        # case 80: all numbers behind them shift
    result = dropped.until_clean(passes=1)
    assert (result["copied"], result["deleted"], result["messages"]) == (1, 3, 88), result
    assert_same(stage, person)
    assert len({row[:2] for row in uidls(dropped)}) == 88 and all(row[0] for row in uidls(dropped))


def test_brake_on_deletes(stage, person, dropped, old):
    append(old, *[mail.message("b%d" % i) for i in range(12)])
    dropped.until_clean()
    expunge(old, FOLDER, b"1:10")
    code, result = dropped.run(delete_brake=5)
    assert not result["clean"] and result["deleted"] == 0 and "brake" in result["text"], result
    assert len(inbox(stage, person, stage.new)) == 12
    dropped.until_clean()
    assert_same(stage, person)


def test_twins_and_odd_content(stage, person, dropped, old):
    """case 78: three of the same are three; case 30: dots and what looks like the end of an answer."""
    twin = b"Subject: twin\r\n\r\nthe same\r\n"
    append(old, twin, twin, twin, b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n...\r\n\r\n.\r\n",
           b"Subject: end\r\n\r\n)\r\nA12 OK FETCH completed\r\n.\r\n+OK\r\n", b"Subject: none\r\n\r\n",
           b"Subject: 8\r\n\r\n\xc3\xa4\xff\r\n", b"Subject: long\r\n\r\n" + b"x" * 100000 + b"\r\n")
    assert dropped.until_clean()["messages"] == 8
    assert_same(stage, person)
    expunge(old, FOLDER, b"2")
    dropped.until_clean()
    assert_same(stage, person)


def test_mail_that_was_there_keeps_its_flags(stage, person, dropped, old, new):
    """An earlier tool brought it, with flags and dates of which POP3 knows nothing."""
    bodies = [mail.message("there%d" % i) for i in range(5)]
    append(old, *bodies)
    append(new, *bodies[:3])
    result = dropped.until_clean()
    assert result["copied"] == 2 and result["flags"] == 0, result
    assert_same(stage, person)
    assert [m.flags - {"\\recent"} for m in inbox(stage, person, stage.new)[:3]] == [{"\\seen", "\\flagged"}] * 3
    assert dropped.run()[1]["flags"] == 0


def test_lost_journal_is_no_second_copy(stage, person, dropped, old):
    append(old, *[mail.message("j%d" % i) for i in range(5)])
    dropped.until_clean()
    dropped.forget()
    assert dropped.until_clean()["copied"] == 0
    assert_same(stage, person)


def test_from_imap_to_pop3_and_back(stage, person, copier, old):
    """Folders that POP3 cannot show are not taken for deleted, and INBOX is recognised."""
    old.command(b"CREATE INBOX.Work")
    old.append(b"INBOX.Work", mail.message("work"), b"", mail.imap_date(1500000000))
    append(old, *[mail.message("both%d" % i) for i in range(4)])
    copier.until_clean()
    pop3 = dict(copier.sides["old"], protocol="pop3", port=stage.old.ports["pop3s"])
    for _ in range(3):
        code, result = copier.run(old=pop3)
        assert result["ok"] and result["copied"] == result["deleted"] == 0, result
    assert result["clean"], result
    assert copier.until_clean()["copied"] == 0
    assert not copier.difference(), copier.difference()


def test_final_and_trailing(stage, person, dropped, old, new):
    append(old, *[mail.message("f%d" % i) for i in range(4)])
    dropped.until_clean()
    append(old, mail.message("at last"))
    code, result = dropped.run("final")
    assert result["clean"] and result["copied"] == 1, result
    expunge(new, FOLDER, b"1")                  # the user throws one away …
    expunge(old, FOLDER, b"2")                  # … and another leaves old: both stay what they are
    append(old, mail.message("straggler"))
    code, result = dropped.run("trailing")
    assert result["ok"] and result["arrived"] == 1, result
    assert dropped.run("trailing")[1]["arrived"] == 0
    assert len(inbox(stage, person, stage.new)) == 5


def test_final_logs_in_only_after_go(stage, person, dropped, old):
    """Before that the user's own sessions may hold the lock."""
    append(old, mail.message("lock"))
    dropped.until_clean()
    worker = dropped.start("final", go=False)
    assert "waiting" in worker.stdout.readline()
    append(old, mail.message("after it connected"))
    worker.stdin.write("go\n")
    worker.stdin.flush()
    code, result = dropped.finish(worker)
    assert result["clean"] and result["copied"] == 1, result


def test_killed_at_every_step(stage, person, dropped, old, new):
    def start_again(k):
        dropped.forget()
        try:
            expunge(new, FOLDER, b"1:*")
        except No:
            pass

    twin = b"Subject: twin\r\n\r\nthe same\r\n"
    append(old, twin, twin, *[mail.message("k%d" % i) for i in range(4)])
    dropped.difference = lambda: None if hashes(stage, person, stage.new) == hashes(stage, person, stage.old) else "differs"
    assert kill_at_every_step(dropped, start_again) >= 5


def test_killed_at_any_moment(stage, person, dropped, old):
    append(old, *[mail.message("r%d" % i, 2000) for i in range(400)])
    dice = random.Random(77)
    assert sum(dropped.run_and_kill(dice.uniform(0.01, 0.1)) for _ in range(6))
    dropped.until_clean()
    assert_same(stage, person)


def test_ways_to_log_in(stage, person, dropped, old):
    append(old, mail.message("stls"))
    code, result = dropped.run("probe", old=dict(dropped.sides["old"], port=stage.old.ports["pop3"], tls="starttls"))
    assert result["ok"] and result["text"] == "", result
    code, result = dropped.run("probe", old=dict(dropped.sides["old"], password="wrong"))
    assert result["kind"] == "auth" and result["text"].startswith("old: "), result
    code, result = dropped.run("probe", old=dict(dropped.sides["old"], tls_name="mail.example.org"))
    assert result["kind"] == "tls", result


@pytest.mark.parametrize("level", ("full", "headers"))
def test_both_sides_compared(stage, person, dropped, old, new, level):
    """Bytes; POP3 has no flags and no dates to compare."""
    append(old, *[mail.message("v%d" % i) for i in range(6)])
    dropped.until_clean()
    code, result = dropped.run("audit", level=level, sample=2)
    assert result["ok"] and result["clean"] and result["messages"] == 6, result
    expunge(new, FOLDER, b"2")
    code, result = dropped.run("audit", level=level, sample=2)
    assert result["ok"] and not result["clean"], result


@pytest.mark.offers("master")
def test_master_user(stage, person, dropped, old):
    append(old, mail.message("master"))
    user, password = next(iter(stage.old.masters.items()))
    sides = dict(dropped.sides["old"], login=user, authzid=person.name, password=password)
    assert dropped.until_clean(old=sides)["copied"] == 1


def test_nothing_is_brought_back_by_pop3(stage, person, dropped):
    worker = dropped.start(**{"from": "new"})
    code, result = dropped.finish(worker)
    assert code == 1 and result is None


def test_a_user_is_moved(stage, own_ferry, person, imap, pop3, old):
    """The whole way. A POP3 session of the user's locks the mail: the last delta waits for its QUIT (case 86: he
    has an IMAP client too, which is told to leave as always)."""
    append(old, *[mail.message("u%d" % i) for i in range(5)])
    f = own_ferry({"backend old": {"copy": "pop3"}})
    f.import_users([person.name])
    proofs = {p["backend"]: p for p in f.cli("check", "user", person.name)["sides"]}
    assert proofs["old"]["ok"] and proofs["old"]["messages"] == 5 and proofs["old"]["mechanism"] == "PLAIN", proofs
    assert proofs["old"]["notes"] == ["read by POP3: INBOX only, without flags"]
    f.command("sync", person.name)
    f.wait_state(person.name, "ready")
    c = pop3(f)
    assert c.login(person.name, person.password).startswith(b"+OK")
    phone = imap(f)
    phone.login(person.name, person.password)
    f.command("cutover", person.name, "--no-wait")
    processes.wait_until(lambda: [s["doing"] for s in f.cli("sessions", person.name)["sessions"] if s["state"] == "DRAIN"]
                         == ["locks the mail until its QUIT"], 60, "it to be waited for")
    assert c.command(b"RETR 1").startswith(b"+OK")      # it is not kept from going on
    while c.line() != b".\r\n":
        pass
    assert c.command(b"QUIT").startswith(b"+OK")
    f.wait_state(person.name, "trailing")
    phone.responses_until_closed()
    assert phone.left_with_bye
    assert_same(stage, person)
