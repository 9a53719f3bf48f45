"""The operator's desk: sessions shown, dropped and drained, while their clients are in the middle of something."""

import json
import os
import random
import socket
import threading

from lib import mail, processes
from lib.imapclient import Closed

BIG = 1_500_000
OWN = {"run": {"nodes": 2}, "limits": {"drop_per_s": 1000}}


def rows(f, person, **want):
    found = f.cli("sessions", person.name)["sessions"]
    return [s for s in found if all(s[k] == v for k, v in want.items())]


def wait_row(f, person, **want):
    return processes.wait_until(lambda: rows(f, person, **want), 10, "a session of %s with %s" % (person, want))[0]


def wait_append(f, person):
    """Until the node has told that a session is in the middle of an APPEND."""
    processes.wait_until(lambda: any("APPEND" in s["doing"] for s in rows(f, person)), 10, "the APPEND to be listed")


def logged_in(imap, f, person, select=True):
    c = imap(f)
    c.login(person.name, person.password)
    if select:
        c.command(b"SELECT INBOX")
    return c


# ---- sessions

def test_sessions_say_why_and_what(ferry, resident, stage, imap, pop3):
    c = logged_in(imap, ferry, resident)
    stranger = stage.take()
    logged_in(imap, ferry, stranger)
    p = pop3(ferry)
    assert p.login(resident.name, resident.password).startswith(b"+OK")
    assert wait_row(ferry, resident, proto="imap", state="RELAY")["route"].startswith("old: user is ")
    assert wait_row(ferry, stranger, proto="imap", state="RELAY")["route"] == "old: stranger"
    c.idle()
    row = wait_row(ferry, resident, proto="imap", doing="IDLE")
    assert row["bytes_up"] > 0 and row["bytes_down"] > 0 and row["node"].startswith("proxy-")
    assert [s["id"] for s in ferry.cli("sessions", "--node", row["node"], "--proto", "imap", "--side", "old",
                                       "--state", "RELAY", resident.name)["sessions"]] == [row["id"]]
    assert ferry.cli("sessions", "--side", "new", resident.name)["sessions"] == []
    text = ferry.command("sessions", resident.name).stdout
    assert "IDLE" in text and "old: user is " in text and row["id"] in text


# ---- drop

def drop(f, person, *args, check=True):
    return f.command("--json", "drop", person.name, *args, check=check)


def dropped(f, person, *args):
    return f.cli("drop", person.name, *args)


def remains(f, person, *args):
    """A drop that not all have left by; asked again when a node was too slow to say what became of it."""
    def heard():
        done = drop(f, person, *args, check=False)
        assert done.returncode == 1
        return done if not json.loads(done.stdout)["silent"] else None
    return processes.wait_until(heard, 20, "all nodes to answer")


def ended_with_bye(c):
    """Reads to the end; the responses must be whole and the last one BYE."""
    heard = c.responses_until_closed()
    assert c.left_with_bye, (c.last_line, c.partial)
    return heard


def test_drop_ends_idle_sessions_at_once(ferry, resident, imap):
    clients = [logged_in(imap, ferry, resident) for _ in range(4)]
    tag = clients[0].idle()
    answer = dropped(ferry, resident)
    assert (answer["ended"], answer["cut"], answer["remain"], answer["silent"]) == (4, 0, 0, 0)
    assert len(answer["nodes"]) == len(ferry.nodes())
    for c in clients:
        ended_with_bye(c)
    assert not [line for line in clients[0].transcript if line[2].startswith(tag + b" BAD")]
    assert logged_in(imap, ferry, resident).server_name() == "old"


def test_drop_of_nobody(ferry, resident):
    answer = dropped(ferry, resident)
    assert (answer["ended"], answer["remain"], answer["silent"]) == (0, 0, 0)


def test_drop_waits_for_what_is_open(ferry, resident, imap):
    c = logged_in(imap, ferry, resident)
    data = mail.message("half", 200_000)
    tag = c.tag()
    c.begin_literal(tag + b" APPEND INBOX", len(data))
    c.send(data[:100_000])
    wait_append(ferry, resident)
    done = remains(ferry, resident, "--wait", "1")
    assert '"remain":1' in done.stdout.replace(" ", "") and "APPEND" in done.stdout
    c.send(data[100_000:] + b"\r\n")
    c.send(b"x9 NOOP\r\n")      # stays unread
    heard = ended_with_bye(c)
    assert [line for line in heard if line.startswith(tag + b" OK")]
    assert not [line for line in heard if line.startswith(b"x9 ")]
    processes.wait_until(lambda: not rows(ferry, resident), 10, "its row to go, with the next that the node writes")


def test_drop_by_force_cuts_and_says_what_was_open(ferry, resident, imap):
    c = logged_in(imap, ferry, resident)
    c.begin_literal(b"x1 APPEND INBOX", 100000)
    c.send(b"x" * 5000)
    wait_append(ferry, resident)
    answer = dropped(ferry, resident, "--force", "--wait", "1")
    assert (answer["ended"], answer["cut"], answer["remain"]) == (0, 1, 0)
    ended_with_bye(c)           # nothing stood half in the client's stream
    said = [line for line in ferry.log_text().splitlines() if "in time, cut by drop --force: session" in line and resident.name in line]
    assert "APPEND" in said[0]
    d = logged_in(imap, ferry, resident)
    untagged, _ = d.command(b"STATUS INBOX (MESSAGES)")
    assert b"MESSAGES 0" in untagged[0]


def test_drop_of_pop3(stage, ferry, resident, pop3):
    stage.fill(resident, {"INBOX": 2})
    idle, touched = pop3(ferry), pop3(ferry)
    assert idle.login(resident.name, resident.password).startswith(b"+OK")
    assert idle.command(b"STAT").startswith(b"+OK 2")
    done = drop(ferry, resident)
    assert done.returncode == 0 and '"ended":1' in done.stdout.replace(" ", "")
    assert idle.command(b"STAT").startswith(b"-ERR [SYS/TEMP]")
    assert idle.line() == b""
    assert touched.login(resident.name, resident.password).startswith(b"+OK")
    touched.lines(b"RETR 1")
    assert touched.command(b"DELE 1").startswith(b"+OK")
    assert "QUIT" in remains(ferry, resident, "--wait", "0").stdout
    assert touched.command(b"RETR 2").startswith(b"+OK")      # until its QUIT it goes on
    while touched.line() not in (b".\r\n", b""):
        pass
    assert touched.command(b"QUIT").startswith(b"+OK")
    assert touched.line() == b""
    again = pop3(ferry)
    again.login(resident.name, resident.password)
    assert again.command(b"STAT").startswith(b"+OK 1")


class Talk(threading.Thread):
    """Keeps one kind of conversation going until its session ends; everything it heard must be whole."""

    def __init__(self, imap, f, person, kind, data):
        super().__init__(daemon=True)
        self.c, self.kind, self.data, self.error = logged_in(imap, f, person), kind, data, None
        self.begun = threading.Event()
        self.start()

    def run(self):
        try:
            while True:
                self.begun.set()
                getattr(self, self.kind)()
        except Closed:
            pass
        except Exception as e:      # the test shows it
            self.error = e

    def fetch(self):
        untagged, _ = self.c.command(b"FETCH 4 BODY.PEEK[]")
        assert any(self.data in line for line in untagged)

    def append(self):
        self.c.append(b"INBOX.Drop", mail.message("little", 40_000))

    def idle(self):
        self.c.done(self.c.idle())

    def pipelined(self):
        tags = [self.c.begin(b) for b in (b"NOOP", b"FETCH 1:* FLAGS", b"STATUS INBOX (UIDNEXT)", b"SEARCH ALL")]
        for tag in tags:
            self.c.finish(tag)

    def check(self):
        self.join(20)
        assert not self.is_alive() and self.error is None, (self.kind, self.error)
        assert self.c.left_with_bye, (self.kind, self.c.last_line[-200:], self.c.partial[:200])


def test_dropped_at_any_instant_the_stream_is_whole(stage, ferry, person, imap):
    """The drop comes at random instants into every kind of conversation."""
    data = mail.message("big", BIG)
    stage.fill(person, {"INBOX": 3})
    ferry.import_users([person.name])
    first = logged_in(imap, ferry, person)
    first.append(b"INBOX", data)
    first.command(b"CREATE INBOX.Drop")
    first.logout()
    luck = random.Random(11)
    for _ in range(5):
        talks = [Talk(imap, ferry, person, kind, data) for kind in ("fetch", "append", "idle", "pipelined") * 2]
        assert all(t.begun.wait(10) for t in talks)
        threading.Event().wait(luck.uniform(0, 0.25))     # any instant will do: that is the point
        answer = dropped(ferry, person, "--wait", "20")
        assert answer["remain"] == 0 and answer["cut"] == 0
        for t in talks:
            t.check()


class Fetcher(threading.Thread):
    """A POP3 client that fetches a big message again and again; each answer must be whole."""

    def __init__(self, pop3, f, person):
        super().__init__(daemon=True)
        self.p, self.whole, self.error = pop3(f), 0, None
        assert self.p.login(person.name, person.password).startswith(b"+OK")
        self.quit, self.begun = threading.Event(), threading.Event()
        self.start()

    def run(self):
        try:
            while not self.quit.is_set():
                self.p.lines(b"RETR 1")
                self.whole += 1
                self.begun.set()    # from now on only QUIT ends it
            self.last = self.p.command(b"QUIT")
            self.end = self.p.line()
        except Exception as e:      # the test shows it
            self.error = e


def test_dropped_during_retr(stage, ferry, resident, pop3):
    stage.fill(resident, {"INBOX": 1}, size=1_000_000)
    f = Fetcher(pop3, ferry, resident)
    assert f.begun.wait(20)
    remains(ferry, resident, "--wait", "0")
    f.quit.set()
    f.join(20)
    assert f.error is None and f.whole > 0
    assert f.last.startswith(b"+OK") and f.end == b""


def test_drop_waits_for_the_verdict_of_a_cutover(stage, own_ferry, person, imap):
    """Frozen sessions are nobody's to drop: undone, they end then; the cutover has not noticed."""
    f = own_ferry({"cutover": {"budget_s": 4, "hold_s": 8, "retry_s": 600}, "sync": {"delta_s": 2},
                   "limits": {"stall_s": 60}})
    stage.fill(person, {"INBOX": 3})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    quiet, loud = logged_in(imap, f, person), logged_in(imap, f, person)
    loud.begin_literal(b"x1 APPEND INBOX", 100000)
    loud.send(b"x" * 5000)
    wait_append(f, person)
    f.command("cutover", person.name, "--no-wait")
    wait_row(f, person, state="QUIET")
    done = drop(f, person, "--force", "--wait", "0", check=False)
    assert done.returncode in (0, 1)
    f.wait_state(person.name, "ready")
    ended_with_bye(quiet)
    ended_with_bye(loud)
    history = f.history(person.name)
    assert [h["actor"] for h in history if h["why"] == "sessions dropped, by force"] == ["operator uid %d" % os.getuid()]
    assert [(h["from"], h["to"]) for h in history if h["from"] != h["to"]][-2:] == [("ready", "freezing"), ("freezing", "ready")]


# ---- drain

def nodes_of(f):
    return {n["node"]: n for n in f.cli("status")["nodes"]}


def test_drain_empties_a_node_and_undo_fills_it_again(stage, own_ferry, imap):
    f = own_ferry(OWN)
    people = [stage.take() for _ in range(3)]
    f.import_users([p.name for p in people])
    clients = [logged_in(imap, f, p) for p in people * 4]
    total = processes.wait_until(
        lambda: (lambda s: s if len(s) == len(clients) and all(r["state"] == "RELAY" for r in s) else None)(
            f.cli("sessions")["sessions"]), 10, "all sessions to be listed")
    on = {name: [s for s in total if s["node"] == name] for name in nodes_of(f)}
    first = sorted(on)[0]
    answer = f.cli("drain", first, "--seconds", "10")
    assert (answer["ended"], answer["remain"]) == (len(on[first]), 0)
    processes.wait_until(lambda: not f.cli("sessions", "--node", first)["sessions"], 10, "the node to be empty")
    assert first + " up (drained)" in f.command("status").stdout
    more = [logged_in(imap, f, people[0]) for _ in range(6)]
    processes.wait_until(lambda: len(f.cli("sessions", people[0].name)["sessions"]) >= 6, 10, "the new ones")
    assert not f.cli("sessions", "--node", first)["sessions"]
    f.cli("drain", first, "--undo")
    f.cli("drain", sorted(on)[1])
    for c in more:
        ended_with_bye(c)
    back = logged_in(imap, f, people[0])
    assert wait_row(f, people[0], state="RELAY")["node"] == first
    back.command(b"NOOP")


def test_drain_cuts_what_is_open_and_outlives_a_crash(stage, own_ferry, person, imap):
    f = own_ferry({"run": {"nodes": 1}})
    f.import_users([person.name])
    c = logged_in(imap, f, person)
    c.begin_literal(b"x1 APPEND INBOX", 100000)
    c.send(b"x" * 5000)
    wait_append(f, person)
    answer = f.cli("drain", "--all", "--seconds", "1")
    assert (answer["cut"], answer["remain"]) == (1, 0)
    ended_with_bye(c)
    assert "not at a boundary in time, cut by drain: session" in f.log_text()
    f.kill(f.nodes()[0])
    processes.wait_until(lambda: "node is up, drained" in f.log_text(), 20, "the node to be back, drained")
    waits = socket.create_connection((f.address, f.ports["imap"]), timeout=20)
    f.cli("drain", "--all", "--undo")
    assert waits.recv(4) == b"* OK"
    waits.close()


def test_drain_wants_a_node_that_exists(ferry):
    assert ferry.command("drain", check=False).returncode == 2
    done = ferry.command("drain", "proxy-77", check=False)
    assert done.returncode == 1 and "no node proxy-77" in done.stderr
