"""The way back: who lives on new goes to old again, with all that was done there meanwhile, and nothing twice."""

import pytest

from lib import mail, processes, reader
from lib.clients import BusyClient, IdleClient
from lib.imapclient import ImapClient
from lib.ledger import Ledger
from lib.reader import compare

DATE = mail.imap_date(1700000000)


@pytest.fixture
def mover(stage, ferry, person):
    """Filled, imported, in step and moved to new."""
    stage.fill(person, {"INBOX": 30, stage.old.prefix + "Work": 10})
    ferry.import_users([person.name])
    ferry.command("cutover", person.name)
    assert ferry.user(person.name)["route"] == "new"
    return person


def in_step(stage, person):
    difference = compare(stage.read(stage.old, person), stage.read(stage.new, person))
    assert not difference, str(difference)
    return difference.compared


def stamps(stage, server, person, path=("INBOX",)):
    return sorted(m.stamp for m in stage.read(server, person)[path].messages)


def client_of(imap, f, person, side):
    c = imap(f)
    c.login(person.name, person.password)
    assert c.server_name() == side
    c.command(b"SELECT INBOX")
    return c


def test_what_was_done_on_new_comes_back(stage, ferry, mover, imap):
    c = client_of(imap, ferry, mover, "new")
    to = stage.new.prefix.encode()
    for i in range(3):
        c.append(b"INBOX", mail.message("%s-since-%d" % (mover.name, i)), b"\\Flagged", DATE)
    c.command(b"UID STORE 1:2 +FLAGS (\\Deleted)")
    c.command(b"EXPUNGE")
    c.command(b"UID STORE 5 FLAGS (\\Seen $Label1)")
    c.command(b"CREATE %sLater" % to)
    c.append(b"%sLater" % to, mail.message("%s-later" % mover.name), b"", DATE)
    c.idle()

    done = ferry.command("rollback", mover.name, "--note", "ticket 4711")
    assert "returned" in done.stdout

    c.responses_until_closed()
    assert c.left_with_bye
    assert in_step(stage, mover) == 30 - 2 + 3 + 10 + 1
    assert len([s for s in stamps(stage, stage.old, mover) if "-since-" in s]) == 3
    assert stamps(stage, stage.old, mover, ("Later",)) == ["%s-later" % mover.name]
    client_of(imap, ferry, mover, "old")
    row = ferry.user(mover.name)
    assert (row["state"], row["route"], row["go"]) == ("ready", "old", False)
    assert [h["why"] for h in ferry.history(mover.name) if h["to"] == "returning"] == ["ticket 4711"]


def test_there_and_back_and_there(stage, ferry, mover, imap):
    """The second time everything is known already: nothing is copied twice, whichever way it went."""
    ferry.command("rollback", mover.name)
    c = client_of(imap, ferry, mover, "old")
    c.append(b"INBOX", mail.message("%s-between" % mover.name), b"", DATE)
    c.logout()
    ferry.command("cutover", mover.name)
    assert in_step(stage, mover) == 41
    client_of(imap, ferry, mover, "new")
    ferry.command("rollback", mover.name)
    assert in_step(stage, mover) == 41


def test_what_arrived_on_old_meanwhile_stays_there_once(stage, ferry, mover):
    """Mail that the old MX still took: on old it is already, and it must not come back a second time from new."""
    box = reader.connect(stage.old, mover.name, mover.password, stage.context)
    box.append("INBOX", None, None, mail.message("%s-stray" % mover.name))
    box.logout()
    ferry.cli("sync", mover.name)
    processes.wait_until(lambda: "%s-stray" % mover.name in stamps(stage, stage.new, mover), 30, "the stray on new")
    ferry.command("rollback", mover.name)
    assert stamps(stage, stage.old, mover).count("%s-stray" % mover.name) == 1
    in_step(stage, mover)


def test_under_a_client_that_never_stops(stage, ferry, mover):
    """Every change that new acknowledged is on old afterwards, once."""
    ledger = Ledger()
    ledger.start_from(stage.read(stage.new, mover))
    about = mover.name, mover.password, ferry.address
    busy = BusyClient("busy", *about, ferry.ports["imaps"], stage.context, ledger, pace_s=0.005)
    idle = IdleClient("idle", *about, ferry.ports["imaps"], stage.context)
    for c in (busy, idle):
        c.start()
    try:
        for c in (busy, idle):
            c.wait_on("new")
        ferry.command("rollback", mover.name)
        for c in (busy, idle):
            c.wait_on("old")
        settled = len(ledger.acknowledged)
        processes.wait_until(lambda: len(ledger.acknowledged) > settled + 20, 60, "changes on old")
    finally:
        for c in (busy, idle):
            c.stopping.set()
        for c in (busy, idle):
            c.finish()
    assert not busy.failed_logins and not idle.failed_logins
    assert busy.last_on("new").bye and idle.last_on("new").bye
    result = ledger.check(stage.read(stage.old, mover))
    assert result.clean, str(result)


def test_who_is_on_old_has_nothing_to_do(ferry, resident):
    done = ferry.command("rollback", resident.name)
    assert "was on old already" in done.stdout
    assert ferry.cli("rollback", resident.name, "--no-wait")["refused"] == [resident.name]
    assert not [h for h in ferry.history(resident.name) if h["to"] == "returning"]


def test_a_rollback_that_is_withdrawn_leaves_the_user_on_new(stage, own_ferry, person, imap):
    """While it is held up by a session that does not come to rest, it is taken back; the user works on."""
    f = own_ferry({"cutover": {"budget_s": 4, "hold_s": 8, "retry_s": 600}, "limits": {"stall_s": 60},
                   "sync": {"trailing_s": 1}})
    stage.fill(person, {"INBOX": 5})
    f.import_users([person.name])
    f.command("cutover", person.name)
    c = client_of(imap, f, person, "new")
    data = mail.message("%s-slow" % person.name, 100_000)
    tag = c.tag()
    c.begin_literal(tag + b" APPEND INBOX", len(data))
    c.send(data[:50_000])
    done = f.command("rollback", person.name, check=False)
    assert done.returncode == 1 and "undone" in done.stdout and f.state(person.name) == "returning"
    there = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)
    there.login(person.name, person.password)
    there.append(b"INBOX", mail.message("meanwhile"), b"", DATE)        # the MX still leads to old
    there.logout()
    assert f.cli("rollback", person.name, "--withdraw")["changed"] == 1
    assert f.state(person.name) == "trailing" and f.user(person.name)["route"] == "new"
    c.send(data[50_000:] + b"\r\n")
    c.finish(tag)
    processes.wait_until(lambda: "meanwhile" in stamps(stage, stage.new, person), 30, "mail of old to come to new")
    assert not [h for h in f.history(person.name) if "stray" in h["why"]]
    f.command("rollback", person.name)
    assert in_step(stage, person) == 7


def test_the_way_back_begins_with_a_pass_of_its_own(stage, own_ferry, person):
    """Also when one that led to new was at work at that moment: a last delta is short."""
    f = own_ferry({"sync": {"trailing_s": 1}})
    stage.fill(person, {"INBOX": 5})
    f.import_users([person.name])
    f.command("cutover", person.name)
    f.wait_state(person.name, "trailing")

    def paused():
        """Between two passes: one that is at its end could still reach it."""
        stage.old.pause()
        if not f.workers():
            return True
        stage.old.resume()
        return False
    processes.wait_until(paused, 30, "no pass to be under way")
    processes.wait_until(f.workers, 30, "a trailing pass that stands still")
    f.command("rollback", person.name, "--no-wait")
    stage.old.resume()
    f.wait_state(person.name, "ready")
    log = f.log_text()
    begun = log.index("rollback begins")
    assert log.index("trailing pass: ", begun) < log.index("pass starts", begun) < log.index("final starts", begun)


def test_old_that_is_read_by_pop3_takes_nobody_back(own_ferry, person):
    f = own_ferry({"backend old": {"copy": "pop3"}})
    f.import_users([person.name])
    done = f.command("rollback", person.name, check=False)
    assert done.returncode == 1 and "cannot take mail back" in done.stderr
