"""Which sessions let a move go on, which it waits for, and what they hear: POP3, and clients that stand still."""

import signal

import pytest

from lib import processes
from lib.popclient import server_of
from test_cutover import Brake, flip_at, in_step, move, settle

RETRY = {"cutover": {"budget_s": 4, "hold_s": 8, "retry_s": 600}}


def drains(f, person):
    """What is open in the sessions that a move waits for."""
    return [s["doing"] for s in f.cli("sessions", person.name)["sessions"] if s["state"] == "DRAIN"]


def tried_until(f, person, check, what):
    """A try whose time was over before we came to the next step is asked for again: the go still stands."""
    def found():
        if check():
            return True
        if f.user(person.name)["undos"] or f.user(person.name)["attempts"]:
            f.command("retry", person.name)
        return False
    processes.wait_until(found, 60, what)


def wait_for(f, person, doing):
    tried_until(f, person, lambda: drains(f, person) == [doing], "the move to wait for " + doing)


def wait_moved(f, person):
    tried_until(f, person, lambda: f.state(person.name) == "trailing", "%s to be moved" % person)


def imap_processes(server):
    return {p for p in processes.descendants(server.pid) if processes.command(p)[:1] == ["dovecot-%s/imap" % server.name]}


def pop3_on_old(pop3, f, person):
    c = pop3(f)
    assert c.login(person.name, person.password).startswith(b"+OK")
    assert server_of(c.lines(b"UIDL")[0].split()[1]) == "old"
    return c


def test_pop3_that_only_looked_leaves_at_the_flip(stage, ferry, person, pop3):
    settle(stage, ferry, person, {"INBOX": 5})
    c = pop3_on_old(pop3, ferry, person)
    move(ferry, person)
    assert c.command(b"STAT").startswith(b"-ERR [SYS/TEMP]")
    assert c.line() == b""
    again = pop3(ferry)
    assert again.login(person.name, person.password).startswith(b"+OK")
    assert server_of(again.lines(b"UIDL")[0].split()[1]) == "new"


def test_pop3_that_has_deleted_is_waited_for(stage, own_ferry, person, pop3):
    f = own_ferry(RETRY)
    settle(stage, f, person, {"INBOX": 5})
    c = pop3_on_old(pop3, f, person)
    assert c.command(b"DELE 1").startswith(b"+OK")
    f.command("cutover", person.name, "--no-wait")
    wait_for(f, person, "1 deletes wait for its QUIT")
    f.wait_state(person.name, "ready")
    assert c.command(b"NOOP").startswith(b"+OK")    # the undo was not noticed
    f.command("retry", person.name)    # its go still stands
    wait_for(f, person, "1 deletes wait for its QUIT")
    assert c.command(b"QUIT").startswith(b"+OK")
    wait_moved(f, person)
    assert in_step(stage, person) == 4


@pytest.mark.full
def test_a_reader_that_stands_still_is_closed_without_bye(stage, own_ferry, person, imap):
    f = own_ferry({"limits": {"stall_s": 2}})
    Brake.fill(stage, person)
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    brake = Brake(imap, f, person)
    brake.pull()
    move(f, person)
    brake.client.responses_until_closed()
    assert not brake.client.left_with_bye
    assert brake.client.partial    # in the middle of the answer that it did not take
    in_step(stage, person)


@pytest.mark.offers("dovecot")
def test_a_change_that_was_sent_is_waited_for_though_its_client_is_gone(stage, own_ferry, person, imap):
    f = own_ferry(RETRY)
    settle(stage, f, person, {"INBOX": 30})
    before = imap_processes(stage.old)
    c = imap(f)
    c.login(person.name, person.password)
    c.command(b"SELECT INBOX")
    own = imap_processes(stage.old) - before
    assert own
    try:
        for pid in own:
            processes.send(pid, signal.SIGSTOP)
        c.send(b"x STORE 1:* +FLAGS (\\Flagged)\r\n")
        f.command("cutover", person.name, "--no-wait")
        wait_for(f, person, "STORE")
        c.close()
        f.wait_state(person.name, "ready")    # undone: nobody knows what the STORE will do
    finally:
        for pid in own:
            processes.send(pid, signal.SIGCONT)
    wait_moved(f, person)
    assert flip_at(f, person)
    in_step(stage, person)
    folder = stage.read(stage.new, person)[("INBOX",)]
    assert all("\\flagged" in {x.lower() for x in m.flags} for m in folder.messages)
