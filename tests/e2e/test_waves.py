"""When users are moved: at a time, at a rate, so many in their first hour, when they are quiet; and how a wave stops."""

import time

import pytest

from lib import mail, processes

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
    f.command("cutover", "--wave", "w", "--rate", "60", "--first-hour", "3", "--no-wait")
    processes.wait_until(lambda: moved(f, people), 20, "the first of the wave on new")
    f.kill(f.engine())
    processes.wait_until(lambda: f.engine() and len(moved(f, people)) == 3, 30, "three of the wave on new")
    starts = sorted(t for t in (begun(f, p) for p in people) if t)
    # 1 s apart; what each takes to connect differs
    assert len(starts) == 3 and all(b - a >= 400 for a, b in zip(starts, starts[1:])), starts
    assert starts[2] - starts[0] >= 1600, starts
    last = [p for p in people if p not in moved(f, people)][0]
    item = when(f, last)
    assert item["state"] == "waits" and "3 users of wave w are in their first hour" in item["text"], item
    one = f.cli("waves", "--wave", "w")["waves"][0]
    assert (one["users"], one["on_new"], one["go"], one["first_hour"]) == (4, 3, 1, 3)
    f.command("cutover", last.name)     # a person's word about one user counts before his wave's
    assert f.user(last.name)["route"] == "new"


def test_at_a_time(own_ferry, wave):
    f = own_ferry(SETTINGS)
    person, = wave(f, 1)
    at = time.time() + 2.5
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
            10, "the store to know of the upload")

        def end():
            c.send(data[5_000:] + b"\r\n")
            c.finish(tag)
        return c, end
    return begin


def test_when_quiet_goes_at_the_latest(own_ferry, wave, upload):
    f = own_ferry(SETTINGS)
    person, = wave(f, 1)
    _, end = upload(f, person)
    latest = int(time.time()) + 3
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
    end()
    ended = time.time()
    c.idle()    # is no open command
    f.wait_state(person.name, "trailing")
    assert begun(f, person) / 1000 - ended >= 4
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
