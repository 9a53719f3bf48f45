"""The gate: each check holds a user up, says why, and lets him through after the remedy or a waiver."""

import os
import tempfile

import pytest

from lib import mail, processes
from lib.mailferry import Mailferry

QUICK = {"delta_s": 1, "retry_s": 1, "uids": "plain"}    # so that equal and unequal UIDs are ours to choose
STRICT = {"uids": "require", "uidvalidity": "require", "names": "require", "unseen": "require", "server": "require",
          "certificate_days": 3650}
ALWAYS = ("names", "server")    # what no user of the strict one fulfils


@pytest.fixture(scope="module")
def strict_one(stage):
    stage.ferries = []
    folder = tempfile.mkdtemp(prefix="ferry-", dir=stage.folder)
    os.chmod(folder, 0o755)
    f = Mailferry(folder, stage.ca, stage.old, stage.new, settings={"gate": STRICT, "sync": QUICK}).start()
    yield f
    f.stop()
    assert not f.complaints()


@pytest.fixture
def strict(stage, strict_one):
    stage.ferries = [strict_one]
    return strict_one


def ready(stage, f, person, folders=None, waived=()):
    """In step, alone in a wave, for which some checks are waived."""
    wave = person.name.split("@")[0]
    if folders != {}:
        stage.fill(person, folders or {"INBOX": 3})
    f.import_users([person.name], wave=wave)
    for check in waived:
        assert f.cli("waive", "--wave", wave, check, "--note", "not of this test")["count"] == 1
    f.wait_state(person.name, "ready")
    return wave


def item(f, person, check):
    return {i["name"]: i for i in f.cli("why", person.name)["waits_for"]}[check]


def wait_item(f, person, check, state):
    processes.wait_until(lambda: item(f, person, check)["state"] == state, 30, "%s to be %s" % (check, state))
    return item(f, person, check)


def says(f, person, check, text):
    """`why` says it to people and to programs, with the remedy."""
    i = wait_item(f, person, check, "waits")
    assert text in i["text"] and not i["open"] and i["remedy"], i
    shown = f.command("why", person.name).stdout
    assert "  waits  %s: " % check in shown and text in shown and i["remedy"] in shown, shown


def held_up(f, person, check, text):
    """With the go, and all else open, the user stays."""
    f.command("cutover", person.name, "--no-wait")
    says(f, person, check, text)
    processes.wait_until(lambda: [i["name"] for i in f.cli("why", person.name)["waits_for"] if not i["open"]] == [check], 30,
                         "it alone to hold the user up")    # and not a busy worker
    still_there(f, person)


def still_there(f, person):
    passes = f.user(person.name)["progress"]["passes"]
    processes.wait_until(lambda: f.user(person.name)["progress"]["passes"] > passes, 30, "another pass")
    assert f.state(person.name) == "ready"
    assert all(h["to"] != "freezing" for h in f.history(person.name))


def waive_and_go(f, person, check, *whom):
    note = "ticket 4711"
    assert f.cli("waive", *(whom or (person.name,)), check, "--note", note)["count"] >= 1
    f.wait_state(person.name, "trailing", 30)
    assert any(h["why"].startswith("waiver of check %s" % check) and h["why"].endswith(": " + note)
               and h["actor"].startswith("operator") for h in f.history(person.name))


def put(client, folder, stamp):
    client.append(folder, mail.message(stamp, 300), b"", mail.imap_date(1650000000))


def test_mail_on_new_that_we_did_not_copy(stage, strict, person):
    ready(stage, strict, person, waived=ALWAYS)
    there = stage.client(stage.new, person)
    letters = stage.new.prefix.encode() + b"Newsletter"
    there.command(b"CREATE " + letters)
    put(there, letters, "stranger-1")
    put(there, b"INBOX", "stranger-2")
    processes.wait_until(lambda: item(strict, person, "strangers")["text"].startswith("2 "), 30, "both to be seen")
    held_up(strict, person, "strangers", "2 messages on new were not copied from old, first in INBOX")
    for folder in (b"INBOX", letters):
        there.command(b"SELECT " + folder)
        untagged, _ = there.command(b"UID SEARCH SUBJECT stranger")
        there.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % untagged[0].split()[-1])
        there.command(b"EXPUNGE")
    strict.wait_state(person.name, "trailing", 30)


def test_a_waiver_may_be_taken_back(stage, strict, person):
    ready(stage, strict, person, waived=ALWAYS)
    put(stage.client(stage.new, person), b"INBOX", "stranger")
    wait_item(strict, person, "strangers", "waits")
    assert strict.cli("waive", person.name, "strangers", "--note", "mine")["count"] == 1
    i = wait_item(strict, person, "strangers", "waived")
    assert i["open"] and i["text"].startswith("1 messages on new") and i["text"].endswith(": mine")
    assert "  waived strangers: " in strict.command("why", person.name).stdout
    assert strict.cli("waive", person.name, "strangers", "--undo")["count"] == 1
    assert strict.cli("waive", person.name, "strangers", "--undo")["count"] == 0
    held_up(strict, person, "strangers", "1 messages on new")
    said = [h["why"] for h in strict.history(person.name)]
    assert "waiver of check strangers: mine" in said and "waiver taken back of check strangers" in said
    waive_and_go(strict, person, "strangers")


def test_mail_that_comes_to_new_behind_the_last_pass_undoes_the_flip(stage, own_ferry, person):
    f = own_ferry({"sync": {"delta_s": 600}})
    ready(stage, f, person)
    put(stage.client(stage.new, person), b"INBOX", "late")
    assert item(f, person, "strangers")["state"] == "ok"
    done = f.command("cutover", person.name, check=False)
    assert done.returncode == 1 and "gate: strangers: 1 messages on new" in done.stdout, done.stdout
    assert f.state(person.name) == "ready"


@pytest.mark.offers("dovecot")    # its prefix
def test_each_of_several_holds_up_alone(stage, strict, person):
    """Plain UIDs, another prefix, changes past the proxy, a certificate that ends: waived one after the other."""
    stage.fill(person, {"INBOX": 6})
    here = stage.client(stage.old, person)
    here.command(b"SELECT INBOX")
    here.command(b"STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    here.command(b"EXPUNGE")
    wave = ready(stage, strict, person, {}, waived=("uidvalidity",))
    here.command(b"STORE 1:2 +FLAGS.SILENT (by-webmail)")
    wait_item(strict, person, "unseen", "waits")
    strict.command("cutover", person.name, "--no-wait")
    rest = {"uids": "plain: 3 of 3 messages have another UID than on old, in 1 folders",
            "names": 'prefix "INBOX." and separator . on old, "" and / on new',
            "unseen": "2 messages changed or deleted on old",
            "server": "new's certificate ends in"}
    for check in list(rest):
        for other, text in rest.items():
            says(strict, person, other, text)
        still_there(strict, person)
        if len(rest) > 1:
            assert strict.cli("waive", "--wave", wave, check, "--note", "ticket 4711")["count"] == 1
        else:
            waive_and_go(strict, person, check, "--wave", wave)
        del rest[check]


@pytest.mark.offers("dovecot")
def test_one_uidvalidity_and_other_uids(stage, strict, person):
    stage.fill(person, {"INBOX": 1, "INBOX.Work": 4})
    here = stage.client(stage.old, person)
    untagged, _ = here.command(b"STATUS INBOX.Work (UIDVALIDITY)")
    validity = int(untagged[0].split()[-1].rstrip(b")"))
    here.command(b"SELECT INBOX.Work")
    here.command(b"STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    here.command(b"EXPUNGE")
    stage.client(stage.new, person).command(b"CREATE Work")
    stage.new.doveadm("mailbox", "update", "-u", person.name, "--uid-validity", str(validity), "Work")
    ready(stage, strict, person, {}, waived=ALWAYS + ("uids",))
    held_up(strict, person, "uidvalidity", "1 folders have old's UIDVALIDITY and other UIDs, first INBOX.Work")
    stage.new.doveadm("mailbox", "update", "-u", person.name, "--uid-validity", str(validity + 1000), "Work")
    strict.wait_state(person.name, "trailing", 30)


def test_what_passes_by_itself(stage, strict, person, imap):
    """Equal UIDs; changes by a client of the proxy."""
    ready(stage, strict, person, {"INBOX": 4, "INBOX.Work": 2})
    assert item(strict, person, "uids")["text"].startswith("exact: 6 of 6")
    c = imap(strict)
    c.login(person.name, person.password)
    c.command(b"SELECT INBOX")
    c.command(b"STORE 1:2 +FLAGS.SILENT (by-the-client)")
    was_seen(strict, person)


def test_a_session_shorter_than_a_second_was_seen(stage, strict, person, imap):
    """As a webmail's: it is gone before the node tells of those that are there."""
    ready(stage, strict, person, {"INBOX": 4})
    c = imap(strict)
    c.login(person.name, person.password)
    c.command(b"SELECT INBOX")
    c.command(b"STORE 1:2 +FLAGS.SILENT (by-webmail)")
    c.logout()
    was_seen(strict, person)


def was_seen(f, person):
    """What his client changed has been judged by now (sync/facts_keep.c), and a node had it."""
    passes = f.user(person.name)["progress"]["passes"]
    processes.wait_until(lambda: f.user(person.name)["progress"]["passes"] > passes + 5, 60, "six more passes")
    assert item(f, person, "unseen")["state"] == "ok"


def test_what_cannot_be_waived(strict, person):
    strict.import_users([person.name], wave="rest")
    for check in ("verified", "doubt", "exceptions", "nonsense"):
        refused = strict.command("waive", person.name, check, "--note", "x", check=False)
        assert refused.returncode == 1 and "uidvalidity, uids, strangers" in refused.stderr, refused.stderr
    assert strict.command("waive", person.name, "uids", check=False).returncode == 2              # no note
    assert strict.command("waive", "--wave", "rest", "--all", "--note", "x", check=False).returncode == 2
    assert strict.command("waive", "--wave", "none", "uids", "--note", "x", check=False).returncode == 1
    assert not any("waiver" in h["why"] for h in strict.history(person.name))
