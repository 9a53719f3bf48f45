"""When users are moved: at a time, at a rate, so many in their first hour, when they are quiet; and how a wave stops."""

import threading
import time

import pytest

from lib import mail, processes
from lib.imapclient import No

SETTINGS = {"sync": {"delta_s": 2}, "limits": {"stall_s": 60}}


@pytest.fixture
def wave(stage):
    """A factory: so many people of a wave, filled, imported, in step."""
    def make(f, count, name="w"):
        people = [stage.take() for _ in range(count)]
        for p in people:
            stage.fill(p, {"INBOX": 3})
        f.import_users([p.name for p in people], wave=name)
        f.wait_state([p.name for p in people], "ready")
        return people
    return make


def moved(f, people):
    states = {u["name"]: u["route"] for u in f.cli("users")["users"]}
    return [p for p in people if states[p.name] == "new"]


def begun(f, person):
    """When the cutover that ended in the flip began, in ms since 1970; None: not yet."""
    at = [h["at"] for h in f.history(person.name) if h["to"] == "freezing"]
    return at[-1] if at else None


def when(f, person):
    """What `why` says about when."""
    return [i for i in f.cli("why", person.name)["waits_for"] if i["name"] == "when"][0]


def timetable(f, name="w"):
    return f.cli("waves", "--wave", name)["waves"][0]["timetable"]


def test_a_rate_and_a_cap_and_an_engine_that_dies_in_between(own_ferry, wave):
    f = own_ferry(SETTINGS)
    people = wave(f, 4)
    f.command("cutover", "--wave", "w", "--rate", "1", "--first-hour", "3", "--no-wait")
    processes.wait_until(lambda: moved(f, people), 30, "the first of the wave on new")
    f.kill(f.engine())
    processes.wait_until(lambda: f.command("status", check=False).returncode == 0, 30, "the next engine to answer")
    for p in people:
        if p not in moved(f, people):
            item = when(f, p)
            assert item["state"] == "waits" and "wave w lets 1 users a minute begin: the next in " in item["text"], item
    assert len([p for p in people if begun(f, p)]) == 1
    f.command("cutover", "--wave", "w", "--rate", "75", "--first-hour", "3", "--no-wait")
    processes.wait_until(lambda: len(moved(f, people)) == 3, 30, "three of the wave on new")
    last = [p for p in people if p not in moved(f, people)][0]
    item = when(f, last)
    assert item["state"] == "waits" and "3 users of wave w are in their first hour" in item["text"], item
    one = f.cli("waves", "--wave", "w")["waves"][0]
    assert (one["users"], one["on_new"], one["go"], one["first_hour"]) == (4, 3, 1, 3)
    f.command("cutover", last.name)     # a person's word about one user counts before his wave's
    assert f.user(last.name)["route"] == "new"


@pytest.mark.full
def test_at_a_time(own_ferry, wave):
    f = own_ferry(SETTINGS)
    person, = wave(f, 1)
    at = time.time() + 8
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    dry = f.cli("cutover", "--wave", "w", "--at", text, "--dry-run")
    assert dry["users"][0]["not_before"] == int(at) * 1000 and dry["users"][0]["waits_for"] == []
    assert not f.user(person.name)["go"]
    said = f.command("cutover", person.name, "--at", text).stdout
    assert "they begin from %s" % time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(at))) in said
    assert "begins at" in when(f, person)["text"]
    f.wait_state(person.name, "trailing")
    assert begun(f, person) >= int(at) * 1000
    done = f.command("cutover", person.name, "--at", "2020-01-01 10:00", check=False)
    assert done.returncode == 1 and "is in the past" in done.stderr


@pytest.fixture
def upload(imap):
    """A factory: a session in the middle of an APPEND that the store knows of, and how to end it."""
    def begin(f, person):
        c = imap(f)
        c.login(person.name, person.password)
        data = mail.message("%s-slow" % person.name, 10_000)
        tag = c.tag()
        c.begin_literal(tag + b" APPEND INBOX", len(data))
        c.send(data[:5_000])
        processes.wait_until(
            lambda: any(s["doing"].startswith("APPEND") for s in f.cli("sessions", person.name)["sessions"]),
            30, "the store to know of the upload")

        def end():
            c.send(data[5_000:] + b"\r\n")
            c.finish(tag)
        return c, end
    return begin


@pytest.mark.full
def test_when_quiet_goes_at_the_latest(own_ferry, wave, upload):
    f = own_ferry(SETTINGS)
    person, = wave(f, 1)
    _, end = upload(f, person)
    latest = int(time.time()) + 8
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(latest))
    f.command("cutover", person.name, "--when-quiet", "3600", "--latest", text, "--no-wait")
    assert "a command is open" in when(f, person)["text"]
    f.wait_state(person.name, "freezing")
    end()
    f.wait_state(person.name, "trailing")
    assert begun(f, person) >= latest * 1000


@pytest.mark.full
def test_when_quiet_waits_for_an_open_command(own_ferry, wave, upload):
    f = own_ferry(SETTINGS)
    person, = wave(f, 1)
    c, end = upload(f, person)
    f.command("cutover", person.name, "--when-quiet", "5", "--no-wait")
    time.sleep(6)   # longer than it would have to be quiet
    assert "a command is open" in when(f, person)["text"] and begun(f, person) is None
    ending = time.time()
    end()
    c.idle()    # is no open command
    f.wait_state(person.name, "trailing")
    assert begun(f, person) / 1000 - ending >= 4
    c.responses_until_closed()
    assert c.left_with_bye


def test_a_paused_wave_waits_and_goes_on(own_ferry, wave):
    f = own_ferry(SETTINGS)
    people = wave(f, 2)
    f.command("pause", "--wave", "w", "--note", "the help desk is full")
    done = f.command("cutover", "--wave", "w", check=False)
    assert done.returncode == 1 and "paused: the help desk is full" in done.stdout
    assert "wave w is paused by operator" in f.command("status").stdout
    item = when(f, people[0])
    assert item["state"] == "waits" and "resume" in item["remedy"]
    assert moved(f, people) == []
    f.command("resume", "--wave", "w")
    assert not timetable(f)["paused"]
    f.wait_state([p.name for p in people], "trailing")


def test_a_pause_counts_until_the_user_is_held(stage, own_ferry, wave):
    """New takes its time to let the last delta's worker in; meanwhile the wave is paused."""
    f = own_ferry({"sync": {"delta_s": 300}})     # no pass stands in the way
    person, = wave(f, 1)
    stage.new.pause()
    try:
        f.command("cutover", "--wave", "w", "--no-wait")
        processes.wait_until(lambda: "cutover begins" in f.log_text(), 20, "the worker to connect")
        f.command("pause", "--wave", "w", "--note", "new is slow")
    finally:
        stage.new.resume()
    processes.wait_until(lambda: "cutover not begun: when: wave w is paused" in f.log_text(), 20, "the cutover to end")
    assert begun(f, person) is None and f.state(person.name) == "ready"
    f.command("resume", "--wave", "w")
    f.wait_state(person.name, "trailing")


# ---- a wave that goes ill


@pytest.fixture
def locked_out(stage):
    """A factory: new refuses these people's passwords; what it returns lets them in again."""
    done = []

    def lock(people):
        def unlock():
            for p in people:
                stage.new.set_password(p.name, p.password)
        done.append(unlock)
        for p in people:
            stage.new.set_password(p.name, "another")
        return unlock
    yield lock
    for unlock in done:
        unlock()


class Knocking(threading.Thread):
    """Somebody who tries to log in, again and again."""

    def __init__(self, imap, f, person):
        super().__init__(daemon=True)
        self.imap, self.f, self.person = imap, f, person
        self.ended, self.refused, self.welcome = threading.Event(), 0, 0

    def run(self):
        while not self.ended.is_set():
            c = self.imap(self.f)
            try:
                c.login(self.person.name, self.person.password)
                c.logout()
                self.welcome += 1
            except No:
                self.refused += 1
            except OSError:
                pass
            c.close()
            self.ended.wait(0.2)


@pytest.fixture
def knock(imap):
    """A factory: all of these people log in again and again until the test is over."""
    threads = []

    def begin(f, people):
        for p in people:
            threads.append(Knocking(imap, f, p))
            threads[-1].start()
        return threads
    yield begin
    for t in threads:
        t.ended.set()
    for t in threads:
        t.join(10)


def warnings(f, part):
    return [line for line in f.log_text(4000).splitlines() if " warn " in line and part in line]


def test_a_wave_pauses_when_logins_on_new_fail(own_ferry, wave, locked_out, knock):
    f = own_ferry(dict(SETTINGS, waves={"least": 4, "slow_times": 0}, limits={"refusal_s": 0}))
    people = wave(f, 3)
    f.command("cutover", "--wave", "w", "--first-hour", "2", "--no-wait")
    processes.wait_until(lambda: len(moved(f, people)) == 2, 30, "two of the wave on new")
    unlock = locked_out(moved(f, people))
    knocking = knock(f, moved(f, people))
    processes.wait_until(lambda: timetable(f)["paused"], 30, "the wave to pause")
    paused = timetable(f)
    assert paused["by"] == "engine" and "logins to new failed" in paused["why"]
    assert "of 2 users" in paused["why"] and "waves.failed_percent = 20" in paused["why"]
    assert len(warnings(f, "mailferry resume --wave w")) == 1
    assert "wave w is paused by engine" in f.command("status").stdout
    unlock()
    before = [k.welcome for k in knocking]      # a login that failed later than the word to go on would count again
    processes.wait_until(lambda: all(k.welcome > n for k, n in zip(knocking, before)), 30, "both to be let in again")
    f.command("cutover", "--wave", "w", "--no-wait")     # without the cap; and does not end the pause
    assert "is paused by engine" in when(f, [p for p in people if p not in moved(f, people)][0])["text"]
    f.command("resume", "--wave", "w")
    f.wait_state([p.name for p in people], "trailing")
    assert not timetable(f)["paused"]


@pytest.mark.full
@pytest.mark.offers("master")   # the way back reads new while the people's own passwords are refused there
def test_users_go_back_when_their_logins_on_new_keep_failing(own_ferry, wave, locked_out, knock):
    f = own_ferry(dict(SETTINGS, waves={"least": 4, "failed_percent": 0, "rollback_percent": 50, "rollback_s": 4},
                       limits={"refusal_s": 0}))
    people = wave(f, 2)
    f.command("cutover", "--wave", "w")
    locked_out(people)
    knock(f, people)
    f.wait_state([p.name for p in people], "ready")
    assert moved(f, people) == []
    for p in people:
        back = [h for h in f.history(p.name) if h["to"] == "returning"][0]
        assert back["actor"] == "engine" and "logins to new failed for 4 s" in back["why"]
    assert timetable(f)["paused"] and len(warnings(f, "2 users who were moved in the last 24 hours go back to old")) == 1
