"""
The copier alone: `mailferry-sync --worker` with one job, between two real Dovecots. Killed at every
step and run again it loses nothing and doubles nothing.
"""

import json

import pytest

from lib import mail
from lib.copier import KILLED
from lib.imapclient import ImapClient, No

STEPS_MAX = 60


def connect(stage, server, person):
    c = ImapClient(server.address, server.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    return c


@pytest.fixture
def old(stage, person):
    c = connect(stage, stage.old, person)
    yield c
    c.logout()


def fill(client, count=6):
    for name in (b"INBOX.Sent", b"INBOX.Work", b"INBOX.Work.2020", b"INBOX.&AMQ-rger"):
        client.command(b"CREATE %s" % name)
    client.command(b"SUBSCRIBE INBOX.Work")
    for i in range(count):
        client.append(b"INBOX", mail.message("m%d" % i), (b"\\Seen", b"\\Flagged $Label%d" % (i % 3))[i % 2],
                      mail.imap_date(1500000000 + 86400 * i))
    for _ in range(3):
        client.append(b"INBOX.Sent", b"Subject: twin\r\n\r\nthe same\r\n", b"", mail.imap_date(1500000000))
    client.append(b"INBOX.Work", b"Subject: no end\r\n\r\nno final newline", b"", mail.imap_date(1500000000))
    client.append(b"INBOX.&AMQ-rger", b"Subject: 8\r\n\r\n\xc3\xa4\r\n", b"\\Draft \\Answered", mail.imap_date(1600000000))


def expunge(client, folder, which):
    client.command(b"SELECT %s" % folder)
    client.command(b"STORE %s +FLAGS.SILENT (\\Deleted)" % which)
    client.command(b"EXPUNGE")
    client.command(b"CLOSE")


def test_full_and_incremental(copier, old):
    fill(old)
    result = copier.until_clean()
    assert result["verified"] == result["messages"] == 11
    assert not copier.difference(), copier.difference()
    code, again = copier.run()
    assert again["clean"] and again["copied"] == again["deleted"] == again["flags"] == 0
    old.append(b"INBOX", mail.message("later"), b"\\Seen", mail.imap_date(1600000000))
    expunge(old, b"INBOX", b"2")
    old.command(b"SELECT INBOX.Sent")
    old.command(b"STORE 1 +FLAGS.SILENT (\\Answered $Odd)")
    old.command(b"CLOSE")
    code, result = copier.run()
    assert result["clean"] and result["messages"] == 11, result
    assert not copier.difference(), copier.difference()


def test_final_delta_waits_for_go_and_is_exact(copier, old):
    fill(old)
    copier.until_clean()
    old.append(b"INBOX.Work.2020", mail.message("at last"), b"", mail.imap_date(1600000000))
    code, result = copier.run("final")
    assert result["clean"] and result["copied"] == 1, result
    assert not copier.difference(), copier.difference()


def kill_at_every_step(copier, before):
    """Calls before(k), kills a pass at its step k, runs passes until one is clean; for k = 1, 2, … to the end."""
    for k in range(1, STEPS_MAX):
        before(k)
        code, _ = copier.run(stop_at=k)
        copier.until_clean()
        assert not copier.difference(), "killed at step %d: %s" % (k, copier.difference())
        if code != KILLED:
            return k - 1
    raise AssertionError("a pass of more than %d steps" % STEPS_MAX)


def test_killed_at_every_step_of_a_first_pass(stage, person, copier, old):
    """case 1"""
    def start_again(k):
        copier.forget()
        new = connect(stage, stage.new, person)
        for name in (b"INBOX", b"Sent", b"Work", b"Work/2020", b"&AMQ-rger"):
            try:
                expunge(new, name, b"1:*")
            except No:          # not there, or empty
                pass
        new.logout()

    fill(old)
    assert kill_at_every_step(copier, start_again) >= 8


def test_killed_at_every_step_of_a_later_pass(copier, old):
    """case 1"""
    def change(k):
        old.append(b"INBOX", mail.message("k%d" % k), b"", mail.imap_date(1600000000))
        old.append(b"INBOX.Sent", b"Subject: twin\r\n\r\nthe same\r\n", b"", mail.imap_date(1500000000))
        old.command(b"SELECT INBOX")
        old.command(b"STORE 1 +FLAGS.SILENT ($K%d)" % k)
        old.command(b"CLOSE")
        expunge(old, b"INBOX", b"2")

    fill(old)
    copier.until_clean()
    assert kill_at_every_step(copier, change) >= 8


def test_brake_on_deletes(copier, old):
    fill(old, count=12)
    copier.until_clean()
    expunge(old, b"INBOX", b"1:10")
    code, result = copier.run(delete_brake=5)
    assert not result["clean"] and result["deleted"] == 0 and "brake" in result["text"], result
    assert len(copier.difference().extra) == 10
    copier.until_clean()        # with the brake of 50
    assert not copier.difference(), copier.difference()


def test_lost_journal_is_no_second_copy(copier, old):
    fill(old)
    copier.until_clean()
    copier.forget()
    result = copier.until_clean()
    assert result["copied"] == 0 and result["messages"] == 11, result
    assert not copier.difference(), copier.difference()


def test_mail_of_others_on_new_stays(stage, person, copier, old):
    fill(old)
    new = connect(stage, stage.new, person)
    new.append(b"INBOX", b"Subject: welcome\r\n\r\nhello\r\n", b"", mail.imap_date(1600000000))
    new.logout()
    copier.until_clean()
    assert [path for path, _ in copier.difference().extra] == [("INBOX",)]
    assert not copier.difference().lost


def test_trailing_brings_once_and_raises_nothing(stage, person, copier, old):
    fill(old)
    copier.until_clean()
    new = connect(stage, stage.new, person)
    expunge(new, b"INBOX", b"1")        # the user throws one away …
    new.logout()
    old.append(b"INBOX", mail.message("straggler"), b"", mail.imap_date(1600000000))
    old.command(b"SELECT INBOX")
    old.command(b"COPY 2 INBOX.Sent")         # … and another is moved on old
    old.command(b"CLOSE")
    expunge(old, b"INBOX", b"2")
    assert copier.run("trailing")[1]["arrived"] == 1
    assert copier.run("trailing")[1]["arrived"] == 0
    seen = stage.read(stage.new, person)
    assert len(seen[("INBOX",)].messages) == 6 and len(seen[("Sent",)].messages) == 3


def test_what_a_client_does_on_old_after_the_flip_is_told(stage, person, copier, old):
    new = connect(stage, stage.new, person)
    fill(old)
    copier.until_clean()
    for client in old, new:         # on both sides before the first look: no stray, and new has decided
        client.command(b"SELECT INBOX")
        client.command(b"STORE 2 +FLAGS (\\Answered by%d)" % id(client))
        client.command(b"CLOSE")
    new.logout()
    old.append(b"INBOX", mail.message("delivered"), b"", mail.imap_date(1600000000))
    assert copier.run("trailing")[1]["strays"] == 0
    old.append(b"INBOX", mail.message("saved"), b"\\Seen", mail.imap_date(1600000000))
    old.command(b"SELECT INBOX")
    old.command(b"STORE 3 +FLAGS (\\Flagged late)")
    old.command(b"CLOSE")
    expunge(old, b"INBOX", b"1")
    assert copier.run("trailing")[1]["strays"] == 3
    old.append(b"INBOX", mail.message("delivered, too"), b"", mail.imap_date(1600000000))
    assert copier.run("trailing")[1]["strays"] == 0


@pytest.mark.parametrize("kind", ["pass", "trailing"])
def test_mail_that_came_to_the_other_side_before_the_turn(copier, old, stage, person, kind):
    """A pass lets be what others have put on the side it writes to. One that leads back brings it."""
    fill(old)
    copier.until_clean()
    old.append(b"INBOX", mail.message("for new"), b"", mail.imap_date(1600000000))
    assert copier.until_clean(**{"from": "new"})["copied"] == 0
    assert copier.run(kind)[1]["arrived" if kind == "trailing" else "copied"] == 1
    connect(stage, stage.new, person).append(b"INBOX", mail.message("for old"), b"", mail.imap_date(1600000000))
    assert copier.until_clean()["copied"] == 0
    assert copier.until_clean(**{"from": "new"})["copied"] == 1
    assert not copier.difference(), copier.difference()


def test_trailing_without_a_journal_brings_nothing(copier, old):
    fill(old)
    copier.until_clean()
    copier.forget()
    code, result = copier.run("trailing")
    assert code == 0 and not result["ok"] and result["kind"] == "store" and "journal" in result["text"]


def test_one_message_in_five_folders_is_five_messages(copier, old):
    """case 21"""
    folders = (b"INBOX", b"INBOX.Sent", b"INBOX.Work", b"INBOX.Work.2020", b"INBOX.&AMQ-rger")
    fill(old)
    for folder in folders:
        old.append(folder, mail.message("everywhere"), b"", mail.imap_date(1500000000))
    result = copier.until_clean()
    assert result["messages"] == 11 + len(folders)
    assert not copier.difference(), copier.difference()


def test_two_workers_of_one_user(copier, old):
    """case 7"""
    fill(old)
    first = copier.start("final", go=False)
    assert json.loads(first.stdout.readline())["event"] == "waiting"
    code, result = copier.run()
    assert not result["ok"] and "in use" in result["text"], result
    first.stdin.write("go\n")
    first.stdin.flush()
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 0 and json.loads(out.splitlines()[-1])["ok"]


def test_wrong_password_says_so(copier, old):
    code, result = copier.run("probe", new=dict(copier.sides["new"], password="wrong"))
    assert not result["ok"] and result["kind"] == "auth" and result["text"].startswith("new: "), result


def test_certificate_of_another_name_is_not_trusted(copier, old):
    code, result = copier.run("probe", old=dict(copier.sides["old"], tls_name="mail.example.org"))
    assert not result["ok"] and result["kind"] == "tls", result


@pytest.mark.offers("dovecot")
def test_a_folder_is_deleted_and_those_below_it_stay(stage, person, copier, old):
    """Dovecot's Maildir goes on listing it as if it were there; only STATUS and SELECT say that it is not."""
    stage.fill(person, {"INBOX": 2, "INBOX.Top": 3, "INBOX.Top.Below": 2})
    copier.until_clean()
    old.command(b"DELETE INBOX.Top")
    copier.until_clean()
    found = {path: len(f.messages) for path, f in stage.read(stage.new, person).items()}
    assert found[("INBOX",)] == found[("Top", "Below")] == 2 and not found.get(("Top",))
