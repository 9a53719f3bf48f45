"""The move itself, with clients in the middle of it, and with parts of the program stopped or killed."""

import os
import signal
import sqlite3
import threading
import time

import pytest

from lib import mail, processes
from lib.clients import BusyClient, IdleClient, Pop3Poller, Prober
from lib.imapclient import ImapClient, No
from lib.ledger import Ledger
from lib.popclient import server_of
from lib.reader import compare

BIG = 24_000_000    # more than fits into the socket buffers on the way to a client that does not read
PATIENT = {"stall_s": 60}    # a braked session stands still from before the freeze
LONG = {"limits": PATIENT, "cutover": {"budget_s": 60, "hold_s": 120}}      # for as long as the test wants
UNDO = {"cutover": {"budget_s": 6, "hold_s": 12, "retry_s": 600}, "sync": {"delta_s": 2}, "limits": PATIENT}


def settle(stage, f, person, folders=None):
    """Fills old, imports the person and waits until the copy is in step."""
    stage.fill(person, folders or {"INBOX": 30, "INBOX.Work": 10, "INBOX.Work.Z&APw-rich": 5})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")


def in_step(stage, person):
    difference = compare(stage.read(stage.old, person), stage.read(stage.new, person))
    assert not difference, str(difference)
    return difference.compared


def moves(f, person):
    return [(h["from"], h["to"], h["actor"], h["at"]) for h in f.history(person.name)]


def flip_at(f, person):
    """When the flip was written, in seconds since 1970."""
    flips = [at for before, to, _, at in moves(f, person) if (before, to) == ("finalizing", "trailing")]
    assert flips, "no flip: %s" % moves(f, person)
    return flips[-1] / 1000


def move(f, person):
    f.command("cutover", person.name)


class SlowLogin(threading.Thread):
    """A login on a connection of its own; `answered` is set when its answer is there."""

    def __init__(self, imap, f, person):
        super().__init__(daemon=True)
        self.client, self.person = imap(f), person
        self.answered, self.error, self.server = threading.Event(), None, None
        self.began = time.time()
        self.start()

    def run(self):
        try:
            self.client.login(self.person.name, self.person.password)
            self.server = self.client.server_name()
        except Exception as e:
            self.error = e
        self.took = time.time() - self.began
        self.answered.set()

    def landed_on(self, timeout_s=20):
        assert self.answered.wait(timeout_s), "the login was never answered"
        assert self.error is None, repr(self.error)
        return self.server


class Brake:
    """A session in the middle of a FETCH that it does not read: while it lasts, nobody is quiet."""

    def __init__(self, imap, f, person):
        self.client = imap(f, name="brake")
        self.client.login(person.name, person.password)
        self.client.command(b"SELECT INBOX")
        untagged, _ = self.client.command(b"UID SEARCH LARGER %d" % (BIG // 2))
        self.uid = untagged[0].split()[-1]

    @staticmethod
    def fill(stage, person):
        stage.fill(person)
        client = stage_client(stage, person)
        client.append(b"INBOX", mail.message("%s-big" % person.name, BIG), b"", mail.imap_date(1650000000))
        client.logout()

    def pull(self):
        self.tag = self.client.begin(b"UID FETCH %s BODY.PEEK[]" % self.uid)
        processes.wait_until(lambda: self.client.readable(1), 10, "the FETCH to begin")

    def release(self):
        return self.client.finish(self.tag)


def wait_frozen(f, person):
    """The user is freezing, and the node that has the braked session knows it."""
    f.wait_state(person.name, "freezing")
    processes.wait_until(lambda: any(s["state"] == "DRAIN" for s in f.cli("sessions", person.name)["sessions"]),
                         10, "a session of %s to drain" % person.name)


def stage_client(stage, person):
    client = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)
    client.login(person.name, person.password)
    return client


def idle_on_old(imap, f, person):
    c = imap(f, name="idle")
    c.login(person.name, person.password)
    assert c.server_name() == "old"
    c.command(b"SELECT INBOX")
    c.idle_tag = c.idle()
    return c


def still_works_on_old(c):
    """The session that was in IDLE goes on as if nothing had been."""
    c.done(c.idle_tag)
    c.command(b"NOOP")
    assert c.server_name() == "old"


# ---- it goes well


def moved_with_two_sessions(stage, f, person, imap):
    """Returns how long after the flip the node sent the later one away, in seconds."""
    settle(stage, f, person)
    c = idle_on_old(imap, f, person)
    plain = imap(f, name="no command open")
    plain.login(person.name, person.password)
    move(f, person)
    for x in (c, plain):
        x.responses_until_closed()
        assert x.left_with_bye, (x.last_line, x.partial)
    again = imap(f)
    again.login(person.name, person.password)
    assert again.server_name() == "new"
    assert in_step(stage, person) == 45
    drops = []

    def both():
        drops[:] = [d["at"] / 1000 for d in f.cli("history", person.name)["drops"]]
        return len(drops) == 2
    processes.wait_until(both, 10, "both drops to be told")
    return max(drops) - flip_at(f, person)


def test_idle_session_hears_bye_within_a_second_of_the_flip(stage, ferry, person, imap):
    took = []
    while not took or min(took) >= 1:       # a busy machine may be late, but not each time
        assert len(took) < 3, took
        took.append(moved_with_two_sessions(stage, ferry, stage.take() if took else person, imap))


def test_login_during_the_freeze_waits_and_lands_on_new(stage, own_ferry, person, imap):
    f = own_ferry(LONG)
    Brake.fill(stage, person)
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    idle, brake = idle_on_old(imap, f, person), Brake(imap, f, person)
    brake.pull()
    f.command("cutover", person.name, "--no-wait")
    wait_frozen(f, person)
    login = SlowLogin(imap, f, person)
    assert not login.answered.wait(1)
    assert f.state(person.name) == "freezing"
    brake.release()
    assert login.landed_on() == "new"
    brake.client.responses_until_closed()
    idle.responses_until_closed()
    assert brake.client.left_with_bye and idle.left_with_bye
    in_step(stage, person)


def test_pop3_login_during_the_freeze_lands_on_new(stage, own_ferry, person, imap, pop3):
    f = own_ferry(LONG)
    Brake.fill(stage, person)
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    brake = Brake(imap, f, person)
    brake.pull()
    f.command("cutover", person.name, "--no-wait")
    wait_frozen(f, person)
    c = pop3(f)
    c.send(b"USER %s\r\nPASS %s\r\n" % (person.name.encode(), person.password.encode()))
    brake.release()
    assert c.line().startswith(b"+OK") and c.line().startswith(b"+OK")
    assert all(server_of(line.split()[1]) == "new" for line in c.lines(b"UIDL"))
    logins = []

    def written():
        logins[:] = [x for x in f.cli("history", person.name)["logins"] if x["proto"] == "pop3"]
        return logins
    processes.wait_until(written, 10, "the login in the user's history")
    assert logins[0]["side"] == "new" and logins[0]["held_ms"] > 0   # it was held at USER


def test_under_a_client_that_never_stops(stage, ferry, person):
    stage.fill(person)
    ledger = Ledger()
    ledger.start_from(stage.read(stage.old, person))
    about = (person.name, person.password, ferry.address)
    ferry.import_users([person.name])
    busy = BusyClient("busy", *about, ferry.ports["imaps"], stage.context, ledger, pace_s=0.005)
    idle = IdleClient("idle", *about, ferry.ports["imaps"], stage.context)
    poller = Pop3Poller("poller", *about, ferry.ports["pop3s"], stage.context, ledger, pace_s=0.3)
    prober = Prober("prober", *about, ferry.ports["imaps"], stage.context, pace_s=0.05)
    everybody = (busy, idle, poller, prober)
    for c in everybody:
        c.start()
    try:
        for c in everybody:
            c.wait_on("old")
        ferry.wait_state(person.name, "ready")
        move(ferry, person)
        for c in everybody:
            c.wait_on("new")
        settled = len(ledger.acknowledged)
        processes.wait_until(lambda: len(ledger.acknowledged) > settled + 20, 20, "changes on new")
    finally:
        for c in everybody:
            c.stopping.set()
        for c in everybody:
            c.finish()
    text = "\n".join(c.transcript()[-3000:] for c in everybody)
    assert not [c.failed_logins for c in everybody if c.failed_logins], text
    assert busy.last_on("old").bye and idle.last_on("old").bye, text
    result = ledger.check(stage.read(stage.new, person))
    assert result.clean, "%s\n%s" % (result, text)


def test_a_wave_of_users(stage, own_ferry):
    f = own_ferry()
    people = [stage.take() for _ in range(6)]
    for p in people:
        stage.fill(p, {"INBOX": 15, "INBOX.A": 3})
    f.import_users([p.name for p in people], wave="7")
    f.wait_state([p.name for p in people], "ready")
    f.command("cutover", "--wave", "7")
    for p in people:
        assert in_step(stage, p) == 18


def test_stalled_upload_is_closed_without_half_a_message(stage, own_ferry, person, imap):
    f = own_ferry({"limits": {"stall_s": 2}})
    settle(stage, f, person)
    c = imap(f, name="stalled")
    c.login(person.name, person.password)
    c.begin_literal(b"x APPEND INBOX", 5000)
    c.send(b"Subject: never finished\r\n")
    move(f, person)
    c.responses_until_closed()
    assert not c.left_with_bye
    assert in_step(stage, person) == 45


def test_mail_that_arrives_on_old_after_the_flip_is_brought(stage, own_ferry, person):
    f = own_ferry()
    settle(stage, f, person, {"INBOX": 5})
    move(f, person)
    late = stage_client(stage, person)
    late.append(b"INBOX", mail.message("straggler-" + person.name), b"", mail.imap_date(1700000000))

    def there():
        return len(stage.read(stage.new, person)[("INBOX",)].messages) == 6
    processes.wait_until(there, 30, "the straggler on new")
    assert in_step(stage, person) == 6


def quiet_for_long(f, person):
    """Nothing has come to old for years; and a pass has ended since that was so."""
    seen = []

    def holds():
        with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db"), timeout=10) as db:
            passes, arrival = db.execute("SELECT passes, last_arrival FROM users WHERE name = ?", (person.name,)).fetchone()
            if arrival != 1:    # a pass that was about to be written has put it back
                seen.clear()
                db.execute("UPDATE users SET last_arrival = 1 WHERE name = ?", (person.name,))
            seen.append(passes)
        return seen[-1] > seen[0] + 1
    processes.wait_until(holds, 30, "passes after the last arrival")


def test_nobody_is_done_while_mail_of_old_could_not_be_brought(stage, own_ferry, person):
    f = own_ferry({"sync": {"trailing_s": 1, "message_max": "8K"}})
    settle(stage, f, person, {"INBOX": 5})
    move(f, person)
    stage_client(stage, person).append(b"INBOX", mail.message("huge", 9000), b"", mail.imap_date(1700000000))
    processes.wait_until(lambda: f.cli("exceptions", person.name)["exceptions"], 20, "the exception")
    quiet_for_long(f, person)
    assert f.state(person.name) == "trailing"
    waits = [i["name"] for i in f.cli("why", person.name)["waits_for"] if not i["open"]]
    assert waits == ["pass"]
    assert "not clean: 1 messages could not be copied" in f.log_text(10000)
    f.command("waive", person.name, "--all", "--note", "an old advert")
    f.wait_state(person.name, "done")


# ---- it cannot go well, and is undone


@pytest.fixture
def braked(stage, own_ferry, person, imap):
    """Frozen: an IDLE session, a session inside a FETCH that holds the cutover in freezing, a login waiting."""
    f = own_ferry(UNDO)
    Brake.fill(stage, person)
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    idle, brake = idle_on_old(imap, f, person), Brake(imap, f, person)
    brake.pull()
    f.command("cutover", person.name, "--no-wait")
    wait_frozen(f, person)
    return f, idle, brake, SlowLogin(imap, f, person)


def undone(f, person, by=None):
    """The last move was the undo; by: a word of who did it."""
    before, to, actor, _ = moves(f, person)[-1]
    assert before in ("freezing", "finalizing") and to == "ready", moves(f, person)
    if by == "node":
        assert actor != "engine" and actor != "operator", moves(f, person)


def works_afterwards(stage, f, person, clients=()):
    """Another try succeeds (the go still holds), and nothing was lost or doubled by the first."""
    for c in clients:
        c.close()
    f.command("retry", person.name)
    f.wait_state(person.name, "trailing")
    in_step(stage, person)


def test_new_stands_still_so_it_is_undone(stage, person, braked):
    f, idle, brake, login = braked
    stage.new.pause()
    brake.release()
    assert login.landed_on() == "old"
    assert login.took < UNDO["cutover"]["budget_s"] + 5
    still_works_on_old(idle)
    undone(f, person)
    stage.new.resume()
    works_afterwards(stage, f, person, (idle, brake.client, login.client))


@pytest.mark.full
def test_engine_stops_in_freezing_so_a_node_undoes_it(stage, person, braked):
    f, idle, brake, login = braked
    engine = f.engine()
    processes.send(engine, signal.SIGSTOP)
    try:
        assert login.landed_on() == "old"
        assert login.took < UNDO["cutover"]["budget_s"] + 5
        still_works_on_old(idle)
        brake.release()
        brake.client.command(b"NOOP")
    finally:
        processes.send(engine, signal.SIGCONT)
    undone(f, person, by="node")
    works_afterwards(stage, f, person, (idle, brake.client, login.client))


def test_engine_stops_in_finalizing_so_a_node_undoes_it(stage, person, braked):
    f, idle, brake, login = braked
    stage.new.pause()
    brake.release()
    f.wait_state(person.name, "finalizing", 10)
    engine = f.engine()
    processes.send(engine, signal.SIGSTOP)
    try:
        assert login.landed_on() == "old"
        assert login.took < UNDO["cutover"]["budget_s"] + 5
        still_works_on_old(idle)
    finally:
        stage.new.resume()
        processes.send(engine, signal.SIGCONT)
    undone(f, person, by="node")
    works_afterwards(stage, f, person, (idle, brake.client, login.client))


# ---- parts of it die


def test_worker_is_killed_again_and_again(stage, own_ferry, person):
    stage.fill(person, {"INBOX": 500, "INBOX.Work": 200}, size=8000)
    f = own_ferry({"sync": {"fence_s": 1}})
    stage.new.pause()       # so that the first one is not gone before it was seen
    try:
        f.import_users([person.name])
        found = processes.wait_until(f.workers, 30, "a worker")
    finally:
        stage.new.resume()

    def worker_or_ready():
        return f.workers() or f.state(person.name) == "ready"
    for killed in range(4):
        if killed:
            found = processes.wait_until(worker_or_ready, 30, "a worker")
        if found is True:
            break
        threading.Event().wait(0.03 + 0.06 * killed)    # another moment of its life each time
        for pid in found:
            f.kill(pid)
        processes.wait_until(lambda: not any(processes.alive(p) for p in found), 10, "the worker to be gone")
    f.command("retry", person.name)
    f.wait_state(person.name, "ready")
    move(f, person)
    assert in_step(stage, person) == 700


def test_engine_is_killed_in_the_middle_of_a_pass(stage, own_ferry, person, imap):
    stage.fill(person, {"INBOX": 500, "INBOX.Work": 100}, size=8000)
    f = own_ferry({"sync": {"fence_s": 1}})
    f.import_users([person.name])
    processes.wait_until(f.workers, 30, "a worker")
    first = f.engine()
    f.kill(first)
    processes.wait_until(lambda: f.engine() not in (None, first), 20, "another engine")
    c = imap(f)
    c.login(person.name, person.password)
    assert c.server_name() == "old"
    processes.wait_until(lambda: f.command("status", check=False).returncode == 0, 20, "the engine's answer")
    f.wait_state(person.name, "ready")
    move(f, person)
    assert in_step(stage, person) == 600


def test_engine_is_killed_in_freezing(stage, person, braked):
    f, idle, brake, login = braked
    first = f.engine()
    f.kill(first)
    processes.wait_until(lambda: f.engine() not in (None, first), 20, "another engine")
    brake.release()
    server = login.landed_on()
    assert server in ("old", "new")
    processes.wait_until(lambda: f.command("status", check=False).returncode == 0, 20, "the engine's answer")
    f.wait_state(person.name, ["ready", "trailing"])
    if server == "old":
        still_works_on_old(idle)
        works_afterwards(stage, f, person, (idle, brake.client, login.client))
    else:
        idle.responses_until_closed()
        assert idle.left_with_bye
        in_step(stage, person)


def test_node_is_killed_under_a_busy_client(stage, own_ferry, person):
    f = own_ferry()
    stage.fill(person)
    ledger = Ledger()
    ledger.start_from(stage.read(stage.old, person))
    f.import_users([person.name])
    busy = BusyClient("busy", person.name, person.password, f.address, f.ports["imaps"], stage.context, ledger,
                      pace_s=0.005)
    busy.start()
    try:
        busy.wait_on("old")
        f.wait_state(person.name, "ready")
        victims = f.nodes()
        for pid in victims:
            f.kill(pid)
        processes.wait_until(lambda: len(busy.visits) > 1, 20, "the busy client to notice")
        busy.wait_on("old")
        processes.wait_until(lambda: len([p for p in f.nodes() if p not in victims]) == 2, 20, "two other nodes")
        victims = f.nodes()
        f.command("cutover", person.name, "--no-wait")
        f.kill(victims[0])
        f.wait_state(person.name, "trailing")
        busy.wait_on("new")
        settled = len(ledger.acknowledged)
        processes.wait_until(lambda: len(ledger.acknowledged) > settled + 20, 20, "changes on new")
    finally:
        busy.finish()
    result = ledger.check(stage.read(stage.new, person))
    assert result.clean, "%s\n%s" % (result, busy.transcript()[-3000:])


def test_everything_is_stopped_and_started_again(stage, own_ferry, person, imap):
    f = own_ferry()
    settle(stage, f, person)
    move(f, person)
    f.stop()
    f.start(new_store=False)
    c = imap(f)
    c.login(person.name, person.password)
    assert c.server_name() == "new"
    with pytest.raises(No):
        imap(f).login(person.name, "wrong")
    f.wait_state(person.name, ["trailing", "done"])
    in_step(stage, person)


@pytest.mark.full
def test_a_large_mailbox(stage, own_ferry, person):
    f = own_ferry()
    many = min(stage.old.many, stage.new.many)
    stage.fill(person, {"INBOX": many}, size=300)
    f.import_users([person.name])
    f.wait_state(person.name, "ready", 300)
    move(f, person)
    assert in_step(stage, person) == many
