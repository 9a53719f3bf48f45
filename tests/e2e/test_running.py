"""How the whole is run: reload, upgrade, stop, privileges. Real programs, live sessions."""

import os
import signal

from lib import processes


def log_in(imap, f, person, port="imaps"):
    c = imap(f, port)
    c.login(person.name, person.password)
    return c


def nodes(f):
    return {n["node"]: n for n in f.cli("status")["nodes"]}


def node_of(f, person):
    """Which node carries the person's only session."""
    def rows():
        return [s for s in f.cli("sessions", person.name)["sessions"] if s["state"] == "RELAY"]
    return processes.wait_until(rows, 10, "the session to be listed")[0]["node"]


def still_works(c):
    c.command(b"NOOP")
    return True


# ---- a node that leaves

def test_a_leaving_node_keeps_its_sessions_and_obeys_a_cutover(stage, own_ferry, person, imap):
    f = own_ferry()
    stage.fill(person, {"INBOX": 3})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    c = log_in(imap, f, person)
    c.command(b"SELECT INBOX")
    name = node_of(f, person)
    pid = nodes(f)[name]["pid"]
    os.kill(pid, signal.SIGUSR1)
    processes.wait_until(lambda: nodes(f)[name]["leaving"], 10, "the node to leave")
    assert nodes(f)[name]["health"] == "up" and nodes(f)[name]["sessions"] == 1
    assert "%s leaving (1 sessions, 0." % name in f.command("status").stdout
    others = [log_in(imap, f, stage.take()) for _ in range(6)]
    assert still_works(c) and all(still_works(o) for o in others)
    assert nodes(f)[name]["sessions"] == 1
    idle = c.idle()
    f.command("cutover", person.name)
    c.responses_until_closed()
    assert idle and c.left_with_bye, "the leaving node drops its session at the flip"
    processes.wait_until(lambda: not processes.alive(pid), 10, "the node to end with its last session")
    assert list(nodes(f)) == [n for n in ("proxy-1", "proxy-2") if n != name]
    assert not os.path.exists(os.path.join(f.run_dir, name + ".lock"))
    assert all(still_works(o) for o in others)


def test_what_is_open_at_the_end_is_in_the_log(own_ferry, person, imap):
    f = own_ferry({"run": {"stop_s": 2}})
    f.import_users([person.name])
    idle, open_ = log_in(imap, f, person), log_in(imap, f, person)
    idle.idle()
    open_.command(b"SELECT INBOX")
    tag = open_.tag()
    open_.send(tag + b" APPEND INBOX {1000+}\r\nSubject: half a message\r\n")
    processes.wait_until(lambda: any("APPEND" in s["doing"] for s in f.cli("sessions", person.name)["sessions"]),
                         15, "the upload to be seen")
    assert f.stop() == 0
    for c in (idle, open_):
        c.responses_until_closed()
        assert c.left_with_bye, "the client's own literal is open, but nothing of the server's"
    text = f.log_text(4000)
    said = [line for line in text.splitlines() if "not at a boundary in time, cut by shutdown: session" in line]
    assert len(said) == 1 and "APPEND" in said[0]
