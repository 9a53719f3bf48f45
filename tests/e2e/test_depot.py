"""Several hosts, each with journals of its own: who takes over goes on from the store's copy (docs/nodes.md)."""

import glob
import os
import random
import re
import time

import pytest

from lib import mail, processes, reader

pytestmark = pytest.mark.any_servers


def kill(f, postgres):
    """As by a power cut; nobody has to wait for its lease."""
    f.cut_power()
    postgres.sql("UPDATE engine_lease SET lease_until = 0")


def deliver(stage, person, server, *stamps):
    c = stage.client(server, person)
    for stamp in stamps:
        c.finish(c.begin_append(b"INBOX", mail.message(stamp, 400), b"", mail.imap_date(1700000000)))
    c.logout()


def differences(stage, person):
    return reader.compare(stage.read(stage.old, person), stage.read(stage.new, person))


def inbox(stage, person, server):
    """The stamps of what is there."""
    return sorted(m.stamp for m in stage.read(server, person)[("INBOX",)].messages)


def asked(server, person, pattern):
    """How often the user's sessions said this to the server."""
    count = 0
    for path in glob.glob(os.path.join(server.folder, "rawlog", person.name, "*.in")):
        with open(path, "rb") as f:
            count += len(re.findall(pattern, f.read()))
    return count


def passes(f, person):
    return f.user(person.name)["progress"]["passes"]


def a_pass(f, person):
    """Until one that began now has ended."""
    before = passes(f, person)
    f.command("sync", person.name)
    processes.wait_until(lambda: passes(f, person) > before, 60, "a pass")


def take_over(first, second, person):
    first.stop()
    processes.wait_until(lambda: not second.cli("status")["engine"]["stands_by"], 30, "the stand-by to be at work")
    a_pass(second, person)


class Copy:
    """The store's copy as it is now, to be put back: as if the host had died before it brought what came later."""

    def __init__(self, postgres, person):
        self._postgres = postgres
        processes.wait_until(lambda: postgres.sql("SELECT away FROM journals WHERE name = '%s'" % person.name) == "0\n", 30,
                             "the journal to be back")
        postgres.sql("CREATE TABLE was AS SELECT * FROM journals; CREATE TABLE were AS SELECT * FROM journal_parts")

    def put_back(self):
        self._postgres.sql("DELETE FROM journals; INSERT INTO journals SELECT * FROM was; UPDATE journals SET away = 1;"
                         "DELETE FROM journal_parts; INSERT INTO journal_parts SELECT * FROM were")


@pytest.mark.full
def test_after_a_clean_end_nothing_is_done_again(stage, person, host):
    stage.fill(person, {"INBOX": 30, "INBOX.Work": 10})
    first = host("mx1", sync={"message_max": 4000})
    deliver_large(stage, person)
    first.import_users([person.name])
    processes.wait_until(lambda: first.cli("exceptions", person.name)["exceptions"], 20, "the pass")
    first.command("waive", person.name, "--all", "--note", "too large, agreed")
    first.wait_state(person.name, "ready")
    second = host("mx2", sync={"message_max": 4000})
    refused = second.command("exceptions", person.name, check=False)
    assert refused.returncode and "where it is at work, on host mx1" in refused.stdout + refused.stderr
    first.stop()
    before = asked(stage.old, person, rb"BODY"), asked(stage.new, person, rb"BODY|APPEND")
    processes.wait_until(lambda: not second.cli("status")["engine"]["stands_by"], 10, "the stand-by to be at work")
    a_pass(second, person)
    assert (asked(stage.old, person, rb"BODY"), asked(stage.new, person, rb"BODY|APPEND")) == before
    assert "journal taken from the store, as host mx1 left it" in second.log_text()
    assert second.cli("exceptions", person.name)["exceptions"][0]["note"] == "too large, agreed"
    # … and back: what the first one has is old by now, and kept.
    deliver(stage, person, stage.old, "later-1", "later-2")
    a_pass(second, person)
    again = first.start(new_store=False)
    take_over(second, again, person)
    assert glob.glob(os.path.join(first.folder, "journals", "*.aside"))
    assert inbox(stage, person, stage.new) == [s for s in inbox(stage, person, stage.old) if s != "large"]
    assert again.command("cutover", person.name).returncode == 0


def deliver_large(stage, person):
    c = stage.client(stage.old, person)
    c.finish(c.begin_append(b"INBOX", mail.message("large", 6000), b"", mail.imap_date(1700000000)))
    c.logout()


def test_what_an_older_copy_does_not_know_is_not_sent_twice(stage, person, host, postgres):
    stage.fill(person, {"INBOX": 20, "INBOX.Work": 10, "INBOX.Gone": 5})
    first = host("mx1")
    first.import_users([person.name])
    first.wait_state(person.name, "ready")
    copy = Copy(postgres, person)
    deliver(stage, person, stage.old, "unknown-1", "unknown-2", "unknown-3")
    c = stage.client(stage.old, person)
    c.command(b"RENAME INBOX.Work INBOX.Play")
    c.command(b"DELETE INBOX.Gone")
    c.command(b"CREATE INBOX.Fresh")
    c.finish(c.begin_append(b"INBOX.Fresh", mail.message("fresh", 400), b"", mail.imap_date(1700000000)))
    c.command(b"SELECT INBOX")
    c.command(b"UID STORE 3,5 +FLAGS (\\Deleted)")
    c.command(b"EXPUNGE")
    c.command(b"UID STORE 7 +FLAGS (\\Flagged)")
    c.logout()
    a_pass(first, person)
    a_pass(first, person)
    assert not differences(stage, person)
    sent = asked(stage.new, person, rb"APPEND")
    first.stop()
    copy.put_back()
    second = host("mx2")
    deliver(stage, person, stage.old, "known-to-nobody")
    a_pass(second, person)
    a_pass(second, person)
    assert "has not brought it back" in second.log_text()
    assert not differences(stage, person)
    assert asked(stage.new, person, rb"APPEND") == sent + 1
    assert second.command("cutover", person.name).returncode == 0


def test_what_was_deleted_in_a_folder_that_was_renamed_goes(stage, person, host, postgres):
    """The dead host's last pass gave a folder of new its new name; what the older copy knows of it counts under that one."""
    stage.fill(person, {"INBOX": 3, "INBOX.Work": 8})
    first = host("mx1")
    first.import_users([person.name])
    first.wait_state(person.name, "ready")
    copy = Copy(postgres, person)
    c = stage.client(stage.old, person)
    c.command(b"RENAME INBOX.Work INBOX.Play")
    a_pass(first, person)
    a_pass(first, person)
    sent = asked(stage.new, person, rb"APPEND")
    first.stop()
    copy.put_back()
    c.command(b"SELECT INBOX.Play")
    c.command(b"UID STORE 2,5 +FLAGS (\\Deleted)")
    c.command(b"EXPUNGE")
    c.logout()
    second = host("mx2")
    a_pass(second, person)
    a_pass(second, person)
    assert not differences(stage, person)
    assert asked(stage.new, person, rb"APPEND") == sent


@pytest.mark.full
def test_a_renamed_folder_of_which_nothing_known_is_left(stage, person, host, postgres):
    """New has it under its new name, old cannot be recognised: then the names tell, and its mail is there."""
    stage.fill(person, {"INBOX": 3, "INBOX.Work": 3})
    first = host("mx1")
    first.import_users([person.name])
    first.wait_state(person.name, "ready")
    copy = Copy(postgres, person)
    c = stage.client(stage.old, person)
    c.command(b"RENAME INBOX.Work INBOX.Play")
    a_pass(first, person)
    a_pass(first, person)
    first.stop()
    copy.put_back()
    c.finish(c.begin_append(b"INBOX.Play", mail.message("fresh", 400), b"", mail.imap_date(1700000000)))
    c.command(b"SELECT INBOX.Play")
    c.command(b"UID STORE 1:3 +FLAGS (\\Deleted)")
    c.command(b"EXPUNGE")
    c.logout()
    second = host("mx2")
    a_pass(second, person)
    a_pass(second, person)
    there = stage.read(stage.new, person)
    assert sorted(there) == [("INBOX",), ("Play",)]
    assert "fresh" in [m.stamp for m in there[("Play",)].messages]


def test_nothing_comes_twice_to_who_was_moved(stage, person, host, postgres):
    """An older copy of a moved user's journal: what old has, and new has got, is recognised; flags are the user's."""
    stage.fill(person, {"INBOX": 12})
    first = host("mx1")
    first.import_users([person.name])
    first.wait_state(person.name, "ready")
    copy = Copy(postgres, person)
    deliver(stage, person, stage.old, "before-the-flip")
    c = stage.client(stage.old, person)
    c.command(b"SELECT INBOX")
    c.command(b"UID STORE 1 +FLAGS (\\Seen)")
    c.logout()
    assert first.command("cutover", person.name).returncode == 0
    c = stage.client(stage.new, person)
    c.command(b"SELECT INBOX")
    c.command(b"UID STORE 1 -FLAGS (\\Seen)")
    c.logout()
    deliver(stage, person, stage.old, "late-1", "late-2")
    processes.wait_until(lambda: len(inbox(stage, person, stage.new)) == 15, 60, "the late mail")
    kill(first, postgres)
    copy.put_back()
    second = host("mx2")
    deliver(stage, person, stage.old, "late-3")
    processes.wait_until(lambda: "late-3" in inbox(stage, person, stage.new), 60, "the latest mail")
    a_pass(second, person)
    assert inbox(stage, person, stage.new) == inbox(stage, person, stage.old)
    c = stage.client(stage.new, person)
    c.command(b"SELECT INBOX")
    untagged, _ = c.command(b"UID FETCH 1 (FLAGS)")
    assert not any(b"\\Seen" in line for line in untagged)
    assert second.user(person.name)["progress"]["strays"] == 0


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2))
def test_hosts_that_die_at_any_moment(stage, person, host, postgres, seed):
    """Each takes over from the other in the middle of its work; old goes on being changed."""
    rnd = random.Random(seed)
    stage.fill(person, {"INBOX": 150, "INBOX.Work": 60})
    hosts = [host("mx1", sync={"fence_s": 1})]
    hosts[0].import_users([person.name])
    for turn in range(6):
        f = hosts[turn % 2]
        processes.wait_until(lambda: postgres.sql("SELECT away FROM journals") == "1\n", 30, "a worker")
        time.sleep(rnd.uniform(0, 0.4))
        kill(f, postgres)
        deliver(stage, person, stage.old, *["turn-%d-%d" % (turn, i) for i in range(5)])
        if turn == 0:
            hosts.append(host("mx2", sync={"fence_s": 1}))
        else:
            hosts[(turn + 1) % 2].start(new_store=False)
    last = hosts[6 % 2]
    last.wait_state(person.name, "ready")
    a_pass(last, person)
    a_pass(last, person)
    assert not differences(stage, person)
    # The other host's node is dead, and for a while that is an undo.
    processes.wait_until(lambda: last.command("cutover", person.name, check=False).returncode == 0, 60, "the cutover")
