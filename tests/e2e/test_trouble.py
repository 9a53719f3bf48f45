"""
A server that answers live users with [SERVERBUG] may show folders empty that are not: nothing is deleted on its word, and
nobody is moved, until it has been well for sync.trouble_s. What one user alone hears is his mailbox's trouble.
"""

import os
import shutil
import sqlite3
import tempfile

import pytest

from lib import mail, processes
from lib.fakemail import FakeMail
from lib.imapclient import ImapClient, No, client_context
from lib.mailferry import Mailferry

ANNA, BOB, SECRET = "anna@example.com", "bob@example.com", "secret"
PATIENT, QUICK = 3600, 1


@pytest.fixture
def world(ca, tmp_path):
    """old, new, ferry; both fakes have eight messages of each user, and both are ready."""
    old, new = (FakeMail(name, str(tmp_path), ca, {ANNA: SECRET, BOB: SECRET}) for name in ("old", "new"))
    folder = tempfile.mkdtemp(prefix="ferry-")
    os.chmod(folder, 0o755)
    ferry = Mailferry(folder, ca, old, new, settings={
        "sync": {"trouble_s": PATIENT, "delta_s": 1, "retry_s": 1, "fence_s": 0, "delete_brake": 1000,
                 "delete_brake_percent": 100},
        "gate": {"uidvalidity": "warn", "uids": "warn", "server": "warn"}, "cutover": {"retry_s": 1}})
    for i in range(8):
        for user in (ANNA, BOB):
            old.put(user, b"INBOX", mail.message("m%d" % i), (b"\\Seen",))
    try:
        ferry.start()
        ferry.import_users([{"user": user, "old_password_file": ferry.secret_file("p", SECRET),
                             "new_password_file": ferry.secret_file("p", SECRET)} for user in (ANNA, BOB)])
        ferry.wait_state([ANNA, BOB], "ready")
        yield old, new, ferry
    finally:
        ferry.stop()
        shutil.rmtree(folder)
        for f in (old, new):
            f.stop()


def texts(server, user=ANNA):
    return sorted(m.data for m in server.box(user).mails)


def servers(ferry, user=ANNA):
    return {i["name"]: i for i in ferry.cli("why", user)["waits_for"]}["servers"]


def connect(ferry, user):
    client = ImapClient(ferry.address, ferry.ports["imaps"], client_context(ferry.ca.cert))
    client.login(user, SECRET)
    client.command(b"SELECT INBOX")
    return client


def hear(client, server, answer=b"[SERVERBUG] Internal error occurred."):
    server.rules["CHECK"] = b"%t NO " + answer + b"\r\n"
    with pytest.raises(No):
        client.command(b"CHECK")
    del server.rules["CHECK"]


def complain(ferry, server, *users, **what):
    """Live users hear it."""
    for user in users:
        client = connect(ferry, user)
        hear(client, server, **what)
        client.command(b"LOGOUT")
        client.close()


def another_pass(ferry, user=ANNA, more=2):
    passes = ferry.user(user)["progress"]["passes"]
    processes.wait_until(lambda: ferry.user(user)["progress"]["passes"] >= passes + more, 30, "more passes")


def wait_log(ferry, text):
    processes.wait_until(lambda: text in ferry.log_text(), 30, "the log to say: " + text)


def empty(server, user):
    with server.lock:
        kept = list(server.box(user).mails)
        server.box(user).remove(m.uid for m in kept)
    return kept


def fill(server, user, mails):
    with server.lock:
        for m in mails:
            server.box(user).add(m.data, m.flags, m.date)


def be_quick(ferry):
    ferry.sections["sync"]["trouble_s"] = QUICK
    ferry.write_conf(ferry.sections)
    ferry.command("reload")


@pytest.mark.full
def test_an_empty_folder_of_a_server_in_trouble(world):
    old, new, ferry = world
    before = texts(new)
    assert servers(ferry)["open"] and len(before) == 8
    complain(ferry, old, BOB, ANNA)
    processes.wait_until(lambda: not servers(ferry)["open"], 30, "the gate to hear of it")
    assert "the old server answered several users with internal errors" in servers(ferry)["text"]
    assert ANNA in servers(ferry)["text"] and BOB in servers(ferry)["text"]
    wait_log(ferry, "the old server answers live users (")
    kept = empty(old, ANNA)
    ferry.command("cutover", ANNA, "--no-wait")
    another_pass(ferry)
    assert texts(new) == before and ferry.state(ANNA) == "ready"
    assert "8 messages have gone from old, which is in trouble: nothing is deleted meanwhile" in ferry.log_text()
    fill(old, ANNA, kept)
    be_quick(ferry)
    ferry.wait_state(ANNA, "trailing", 60)
    assert texts(new) == before


def test_one_users_errors_are_his(world):
    """A mailbox with a broken index, say: his own listing is not believed, and nobody else waits."""
    old, new, ferry = world
    complain(ferry, old, ANNA, ANNA)
    processes.wait_until(lambda: not servers(ferry)["open"], 30, "the gate to hear of it")
    assert "the old server answered %s with an internal error" % ANNA in servers(ferry)["text"]
    assert "trouble_s = 0" in servers(ferry)["text"] and servers(ferry, BOB)["open"]
    wait_log(ferry, "the old server answers %s with internal errors" % ANNA)
    before = texts(new)
    kept = empty(old, ANNA)
    with old.lock:
        old.box(BOB).remove([1])
    processes.wait_until(lambda: len(texts(new, BOB)) == 7, 30, "bob's delete to follow")
    ferry.command("cutover", ANNA, "--no-wait")
    ferry.command("cutover", BOB)
    assert ferry.state(BOB) == "trailing"
    another_pass(ferry)
    assert texts(new) == before and ferry.state(ANNA) == "ready"
    fill(old, ANNA, kept)
    be_quick(ferry)
    ferry.wait_state(ANNA, "trailing", 60)
    assert texts(new) == before


@pytest.mark.full
def test_a_return_leads_out_of_it(world):
    old, new, ferry = world
    for user in (ANNA, BOB):
        ferry.command("cutover", user)
    complain(ferry, new, ANNA, BOB)
    wait_log(ferry, "the new server answers live users (")
    ferry.command("rollback", ANNA)
    ferry.wait_state(ANNA, "ready", 60)
    assert len(texts(old)) == 8


def test_what_the_store_could_not_be_told_is_told_later(world):
    old, _, ferry = world
    clients = [connect(ferry, user) for user in (ANNA, BOB)]
    store = sqlite3.connect(os.path.join(ferry.folder, "store", "mailferry.db"), isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    try:
        for client in clients:
            hear(client, old)
        wait_log(ferry, ": store: ")
    finally:
        store.execute("ROLLBACK")
        store.close()
    for client in clients:
        client.close()
    processes.wait_until(lambda: "several users" in servers(ferry)["text"], 30, "the gate to hear of both")


@pytest.mark.full
def test_other_refusals_are_the_users(world):
    old, new, ferry = world
    for answer in (b"[OVERQUOTA] too much", b"not now"):
        complain(ferry, old, ANNA, BOB, answer=answer)
    with old.lock:
        old.box(ANNA).remove([1])
    processes.wait_until(lambda: len(new.box(ANNA).mails) == 7, 30, "the delete to follow")
    assert servers(ferry)["open"]
