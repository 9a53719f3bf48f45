"""Passes that a stand-by makes for the engine at work: users on lease (docs/nodes.md)."""

import os
import signal

import pytest

from lib import mail, processes, reader
from lib.mailferry import now_ms

pytestmark = pytest.mark.any_servers

AT_WORK = "SELECT COUNT(*) FROM leases WHERE state = 1"
DOUBT = ("in doubt", "has not brought it back")


def both(host, first=None, second=None, **sync):
    """mx1 at work, mx2 standing by; each with one worker."""
    sync = dict({"workers": 1, "fence_s": 1, "retry_s": 1}, **sync)
    f, s = host("mx1", sync=dict(sync, **(first or {}))), host("mx2", sync=dict(sync, **(second or {})))
    if (second or {}).get("lend", True):
        processes.wait_until(lambda: f.cli("status")["engine"]["workers_max"] == 2, 30, "the other host's worker to be known")
    return f, s


def differences(stage, people):
    found = [reader.compare(stage.read(stage.old, p), stage.read(stage.new, p)) for p in people]
    return [d for d in found if d]


def stamps(stage, person, server):
    return sorted(m.stamp for folder in stage.read(server, person).values() for m in folder.messages)


def deliver(stage, person, server, stamp):
    c = stage.client(server, person)
    c.finish(c.begin_append(b"INBOX", mail.message(stamp, 400), b"", mail.imap_date(1700000000)))
    c.logout()


def made_by(f):
    """The passes that it made for another one."""
    return f.log_text(100000).count("pass made for the engine at work")


def said_doubt(*hosts):
    return [line for f in hosts for line in f.log_text(100000).splitlines() if any(d in line for d in DOUBT)]


def wait_lease(postgres, sql=AT_WORK, timeout_s=30):
    processes.wait_until(lambda: postgres.sql(sql) != "0\n", timeout_s, "a user to be on lease")


def people_of(stage, count, folders, size=500):
    people = [stage.take() for _ in range(count)]
    for p in people:
        stage.fill(p, folders, size=size)
    return people


def test_both_hosts_copy(stage, host):
    people = people_of(stage, 6, {"INBOX": 40, "INBOX.Work": 15})
    first, second = both(host, user_message_rate=80)
    first.import_users([p.name for p in people])
    first.wait_state([p.name for p in people], "ready")
    assert made_by(second) > 0
    assert [l for l in first.log_text(100000).splitlines() if "pass: 55 messages, 55 copied" in l]
    assert not differences(stage, people)
    # Each goes on from what the other one knows: nothing is read again, nobody is moved late.
    for i, p in enumerate(people):
        deliver(stage, p, stage.old, "later-%d" % i)
    assert first.command("cutover", "--wave", "1").returncode == 0
    for i, p in enumerate(people):
        assert "later-%d" % i in stamps(stage, p, stage.new)
    assert not differences(stage, people)
    assert not said_doubt(first, second)
    # Late mail on old comes over, whoever brings it.
    for i, p in enumerate(people):
        deliver(stage, p, stage.old, "late-%d" % i)
        first.command("sync", p.name)
    processes.wait_until(lambda: all("late-%d" % i in stamps(stage, p, stage.new) for i, p in enumerate(people)), 60,
                         "the late mail")
    assert all(len(stamps(stage, p, stage.new)) == 57 for p in people)


def lent_one(stage, host, postgres, messages=80, rate=40, lent_rate=15, **hosts):
    """Of two users one is on lease, in the middle of its first pass; it takes long there, so that there is time to disturb it."""
    people = people_of(stage, 2, {"INBOX": messages})
    first, second = both(host, user_message_rate=rate, second={"user_message_rate": lent_rate}, **hosts)
    first.import_users([p.name for p in people])
    wait_lease(postgres, AT_WORK + " AND body <> ''")     # it has told how far it is
    return people, first, second


def assert_whole(stage, first, people, count):
    first.wait_state([p.name for p in people], "ready", 90)
    assert not differences(stage, people)
    assert [len(stamps(stage, p, stage.new)) for p in people] == [count] * len(people)


def test_a_host_with_a_lease_dies(stage, host, postgres):
    people, first, second = lent_one(stage, host, postgres)
    second.cut_power()
    assert_whole(stage, first, people, 80)
    log = first.log_text(100000)
    assert "the engine on host mx2 was at the pass and is silent: it is begun again" in log
    assert "the engine on host mx2 went on from this journal and has not brought it back" in log


@pytest.mark.full
def test_a_host_wakes_late(stage, host, postgres):
    """Stopped with its worker until the user was taken back: it sends nothing, and says nothing."""
    people, first, second = lent_one(stage, host, postgres)
    stopped = [second.engine()] + second.workers()
    assert len(stopped) == 2
    for pid in stopped:
        processes.send(pid, signal.SIGSTOP)
    try:
        processes.wait_until(lambda: "is silent: it is begun again" in first.log_text(100000), 30, "the user to be back")
    finally:
        for pid in stopped:
            processes.send(pid, signal.SIGCONT)
    processes.wait_until(lambda: not second.workers(), 20, "the late worker's end")
    assert_whole(stage, first, people, 80)
    log = second.log_text(100000)
    assert "the engine at work has taken the user back" in log or "the engine's lease" in log
    assert second.engine() == stopped[0]


@pytest.mark.full
def test_the_engine_at_work_dies_meanwhile(stage, host, postgres):
    """The stand-by takes over, and what it did for the other one counts for it."""
    people, first, second = lent_one(stage, host, postgres)
    lent = postgres.sql("SELECT name FROM leases WHERE state = 1").strip()
    first.cut_power()
    postgres.sql("UPDATE engine_lease SET lease_until = 0")
    second.wait_state([p.name for p in people], "ready", 90)
    assert not differences(stage, people)
    assert [len(stamps(stage, p, stage.new)) for p in people] == [80, 80]
    assert made_by(second) == 1
    # In doubt is the dead host's own user, if its pass had not ended.
    assert not [l for l in said_doubt(second) if lent in l]


@pytest.mark.full
def test_an_engine_with_a_lease_is_started_again(stage, host, postgres):
    """Its worker died with it; its journal, on the same host, goes back as it is."""
    people, first, second = lent_one(stage, host, postgres)
    engine = second.engine()
    second.kill(engine)
    processes.wait_until(lambda: second.engine() not in (None, engine), 20, "another engine")
    assert_whole(stage, first, people, 80)
    assert not said_doubt(first, second)


@pytest.mark.full
def test_a_clean_end_gives_back(stage, host, postgres):
    people, first, second = lent_one(stage, host, postgres)
    assert second.stop() == 0
    assert postgres.sql(AT_WORK) == "0\n"
    assert [g["host"] for g in first.cli("status")["engines"]] == ["mx1"]
    assert_whole(stage, first, people, 80)
    assert not said_doubt(first, second)


@pytest.mark.full
def test_who_cannot_be_copied_there_is_copied_here(stage, host, postgres):
    """The other host lacks the password; it says so, and is not asked again for a while."""
    people = people_of(stage, 3, {"INBOX": 60})
    first, second = both(host, user_message_rate=60)
    os.unlink(second.sections["backend new"]["master_password_file"])
    first.import_users([p.name for p in people])
    assert_whole(stage, first, people, 60)
    log = first.log_text(100000)
    assert "failed on host mx2, it is made here: " in log
    assert "master-new" in log
    assert made_by(second) == 0
    assert all(u["attempts"] == 0 for u in first.cli("users")["users"])     # it is no failure of the user's


def test_who_asked_for_a_pass_gets_it(stage, host, postgres):
    """It is offered to the host where the journal is said to be, and refused there."""
    person = stage.take()
    stage.fill(person, {"INBOX": 5})
    first, second = both(host, delta_s=3600)
    os.unlink(second.sections["backend new"]["master_password_file"])
    first.import_users([person.name])
    first.wait_state(person.name, "ready")
    processes.wait_until(lambda: postgres.sql("SELECT away FROM journals") == "0\n", 30, "the journal to be back")
    postgres.sql("UPDATE journals SET folder = 'of mx2'")
    passes = first.user(person.name)["progress"]["passes"]
    first.command("sync", person.name)
    processes.wait_until(lambda: first.user(person.name)["progress"]["passes"] > passes, 30, "the pass")
    assert "failed on host mx2, it is made here: " in first.log_text(100000)


@pytest.mark.full
def test_a_host_that_reaches_no_server_holds_nobody_up(stage, host):
    """A firewall lets one host in and the other one not: it is no failure of the users'."""
    people = people_of(stage, 3, {"INBOX": 60})
    sync = {"workers": 1, "user_message_rate": 60}
    first = host("mx1", sync=sync)
    host("mx2", sync=sync, **{"backend new": {"imap_port": 1}})
    first.import_users([p.name for p in people])
    assert_whole(stage, first, people, 60)
    assert "failed on host mx2, it is made here: " in first.log_text(100000)
    assert all(u["attempts"] == 0 for u in first.cli("users")["users"])


@pytest.mark.full
def test_a_host_with_other_rules_copies_nothing(stage, host):
    """Its settings were forgotten when the others' were changed."""
    people = people_of(stage, 3, {"INBOX": 60})
    first, second = both(host, user_message_rate=60, second={"message_max": 4096})
    first.import_users([p.name for p in people])
    assert_whole(stage, first, people, 60)
    processes.wait_until(lambda: "this host's settings say otherwise than those of the engine at work" in first.log_text(100000), 30,
                         "an offer to be refused")
    assert made_by(second) == 0


@pytest.mark.full
def test_a_host_may_keep_its_workers(stage, host):
    people = people_of(stage, 3, {"INBOX": 60})
    first, second = both(host, user_message_rate=60, second={"lend": False})
    first.import_users([p.name for p in people])
    assert_whole(stage, first, people, 60)
    assert made_by(second) == 0


@pytest.mark.full
def test_a_folder_of_journals_that_is_shared(stage, host):
    """The file itself is the newest; nobody carries copies about, and nobody touches it meanwhile."""
    people = people_of(stage, 4, {"INBOX": 60})
    sync = {"workers": 1, "user_message_rate": 60}
    first = host("mx1", sync=sync)
    second = host("mx2", sync=dict(sync, dir=first.sections["sync"]["dir"]))
    first.import_users([p.name for p in people])
    assert_whole(stage, first, people, 60)
    assert made_by(second) > 0
    assert first.command("cutover", "--wave", "1").returncode == 0
    assert not said_doubt(first, second)
    assert "not copied to the store" not in first.log_text(100000) + second.log_text(100000)


@pytest.mark.full
def test_people_see_where_a_pass_is_made(stage, host, postgres):
    people, first, _ = lent_one(stage, host, postgres, messages=400)
    where = {u["running"]["host"] for u in first.cli("users")["users"] if u["running"]}
    assert where == {"mx1", "mx2"}
    lent = next(u for u in first.cli("users")["users"] if u["running"] and u["running"]["host"] == "mx2")
    processes.wait_until(lambda: (first.user(lent["name"])["running"] or {}).get("done"), 20, "word of how far it is")
    status = first.cli("status")
    assert [(g["host"], g["is"], g["workers"], g["leases"]) for g in status["engines"]] == [
        ("mx1", "at work", 0, 0), ("mx2", "stands by", 1, 1)]
    assert status["engine"]["workers"] == 2 and status["engine"]["workers_max"] == 2
    assert "mx2 stands by (makes 1 of 1 passes)" in first.command("status").stdout
    # The journal is there: here nobody can read it now.
    refused = first.command("exceptions", lent["name"], check=False)
    assert refused.returncode and "another host is at the user's pass" in refused.stdout + refused.stderr


def test_nothing_is_taken_from_a_store_that_is_another_one(stage, host, postgres):
    """What is offered there may be about users who live on new by now; the word of it comes before the next beat."""
    person = stage.take()
    stage.fill(person, {"INBOX": 5})
    first, second = both(host)
    first.import_users([person.name])
    first.wait_state(person.name, "ready")
    postgres.sql("UPDATE meta SET value = 'feedface' WHERE key = 'store_id';"
                 "INSERT INTO leases (name, kind, change, connections, rules, folder, offered)"
                 " SELECT name, 'pass', change, 1, '', '', %d FROM users; NOTIFY mailferry_changes" % now_ms())
    processes.wait_until(lambda: any("store" in w for w in second.cli("status")["warnings"]), 20, "the stand-by's distrust")
    assert postgres.sql("SELECT state, place FROM leases") == "0|\n"
    assert "for the engine at work" not in second.log_text(100000)


@pytest.mark.full
def test_a_comparison_waits_for_the_journal(stage, host, postgres):
    people, first, _ = lent_one(stage, host, postgres)
    lent = postgres.sql("SELECT name FROM leases WHERE state = 1").strip()
    assert lent
    done = first.command("verify", lent, check=False)
    assert "messages" in done.stdout and "failed" not in done.stdout + done.stderr
    assert postgres.sql("SELECT passes FROM users WHERE name = '%s'" % lent) != "0\n"    # it has waited
