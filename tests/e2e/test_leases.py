"""Passes that a stand-by makes for the engine at work: users on lease (docs/nodes.md)."""

import os
import signal

import pytest

from lib import mail, processes, reader

pytestmark = pytest.mark.any_servers

AT_WORK = "SELECT COUNT(*) FROM leases WHERE state = 1"
DOUBT = ("in doubt", "has not brought it back")


def both(host, first=None, second=None, **sync):
    """mx1 at work, mx2 standing by; each with one worker."""
    sync = dict({"workers": 1, "fence_s": 1, "retry_s": 1}, **sync)
    return host("mx1", sync=dict(sync, **(first or {}))), host("mx2", sync=dict(sync, **(second or {})))


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
    first, second = both(host, user_message_rate=40)
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
