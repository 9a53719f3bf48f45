"""
A server that answers live users with [SERVERBUG] may show folders empty that are not: nothing is deleted on its word, and
nobody is moved, until it has been well for sync.trouble_s.
"""

import os
import shutil
import tempfile

import pytest

from lib import mail, processes
from lib.fakemail import FakeMail
from lib.imapclient import ImapClient, No, client_context
from lib.mailferry import Mailferry

ANNA, SECRET = "anna@example.com", "secret"
PATIENT, QUICK = 3600, 1


@pytest.fixture
def world(ca, tmp_path):
    """old, new, ferry; both fakes have eight messages, and anna is ready."""
    old, new = (FakeMail(name, str(tmp_path), ca, {ANNA: SECRET}) for name in ("old", "new"))
    folder = tempfile.mkdtemp(prefix="ferry-")
    os.chmod(folder, 0o755)
    ferry = Mailferry(folder, ca, old, new, settings={
        "sync": {"trouble_s": PATIENT, "delta_s": 1, "retry_s": 1, "fence_s": 0, "delete_brake": 1000,
                 "delete_brake_percent": 100},
        "gate": {"uidvalidity": "warn", "uids": "warn", "server": "warn"}, "cutover": {"retry_s": 1}})
    for i in range(8):
        old.put(ANNA, b"INBOX", mail.message("m%d" % i), (b"\\Seen",))
    try:
        ferry.start()
        ferry.import_users([{"user": ANNA, "old_password_file": ferry.secret_file("p", SECRET),
                             "new_password_file": ferry.secret_file("p", SECRET)}])
        ferry.wait_state(ANNA, "ready")
        yield old, new, ferry
    finally:
        ferry.stop()
        shutil.rmtree(folder)
        for f in (old, new):
            f.stop()


def texts(server):
    return sorted(m.data for m in server.box(ANNA).mails)


def servers(ferry):
    return {i["name"]: i for i in ferry.cli("why", ANNA)["waits_for"]}["servers"]


def complain(ferry, server, answer=b"[SERVERBUG] Internal error occurred."):
    """A live user hears it."""
    client = ImapClient(ferry.address, ferry.ports["imaps"], client_context(ferry.ca.cert))
    client.login(ANNA, SECRET)
    server.rules["CHECK"] = b"%t NO " + answer + b"\r\n"
    client.command(b"SELECT INBOX")
    with pytest.raises(No):
        client.command(b"CHECK")
    client.command(b"LOGOUT")
    client.close()
    del server.rules["CHECK"]


def another_pass(ferry, more=2):
    passes = ferry.user(ANNA)["progress"]["passes"]
    processes.wait_until(lambda: ferry.user(ANNA)["progress"]["passes"] >= passes + more, 30, "more passes")


def test_an_empty_folder_of_a_server_in_trouble(world):
    old, new, ferry = world
    before = texts(new)
    assert servers(ferry)["open"] and len(before) == 8
    complain(ferry, old)
    processes.wait_until(lambda: not servers(ferry)["open"], 30, "the gate to hear of it")
    assert "the old server answered a live user with an internal error" in servers(ferry)["text"]
    processes.wait_until(lambda: "the old server answers live users with internal errors" in ferry.log_text(), 30,
                         "the workers to be told")
    with old.lock:
        kept = list(old.box(ANNA).mails)
        old.box(ANNA).remove(m.uid for m in kept)
    ferry.command("cutover", ANNA, "--no-wait")
    another_pass(ferry)
    assert texts(new) == before and ferry.state(ANNA) == "ready"
    assert "8 messages have gone from old, which is in trouble: nothing is deleted meanwhile" in ferry.log_text()
    with old.lock:
        for m in kept:
            old.box(ANNA).add(m.data, m.flags, m.date)
    ferry.sections["sync"]["trouble_s"] = QUICK
    ferry.write_conf(ferry.sections)
    ferry.command("reload")
    ferry.wait_state(ANNA, "trailing", 60)
    assert texts(new) == before


def test_other_refusals_are_the_users(world):
    old, new, ferry = world
    complain(ferry, old, b"[OVERQUOTA] too much")
    complain(ferry, old, b"not now")
    with old.lock:
        old.box(ANNA).remove([1])
    processes.wait_until(lambda: len(new.box(ANNA).mails) == 7, 30, "the delete to follow")
    assert servers(ferry)["open"]
