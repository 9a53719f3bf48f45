"""Several hosts with one store: names of nodes, the engine at work and its stand-by. docs/nodes.md has the rules."""

import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

from lib import metrics, processes
from lib.imapclient import ImapClient, No
from lib.reader import compare

pytestmark = pytest.mark.any_servers

STORE = "store/mailferry.db"


def engines(f):
    return [(g["host"], g["is"]) for g in f.cli("status")["engines"]]


def node_names(f):
    return sorted(n["node"] for n in f.cli("status")["nodes"])


def own_engine(f):
    return f.cli("status")["engine"]


def store_of(f):
    return f.sections["store"]["path"]


def lease_of(f):
    """(place, until) of the engine at work, by the store."""
    with sqlite3.connect(store_of(f), timeout=20) as db:
        found = db.execute("SELECT place, lease_until FROM engine_lease").fetchone()
    db.close()
    return found


def goes_to(stage, f, person):
    client = ImapClient(f.address, f.ports["imaps"], stage.context)
    stage.opened.append(client)
    client.login(person.name, person.password)
    return client.server_name()


@pytest.fixture
def two_hosts(own_ferry):
    """Two `mailferry run` on one store, as on two hosts; the second one's engine stands by."""
    first = own_ferry({"run": {"host": "mx1", "nodes": 1}})
    second = own_ferry({"run": {"host": "mx2", "nodes": 1}, "store": {"path": os.path.join(first.folder, STORE)}})
    return first, second


def test_a_node_of_another_host_keeps_its_name(two_hosts):
    first, second = two_hosts
    assert node_names(first) == ["proxy-1@mx1", "proxy-1@mx2"]
    done = subprocess.run([os.path.join(first.build, "mailferry-proxy"), "-c", second.conf, "--node", "proxy-1@mx1"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "the name proxy-1@mx1 is taken: a node on host mx1 bears it" in done.stderr
    assert "give each host a name of its own with run: host" in done.stderr
    assert {n["health"] for n in first.cli("status")["nodes"]} == {"up"}


def test_the_stand_by_takes_over(stage, two_hosts, person):
    first, second = two_hosts
    assert engines(first) == [("mx1", "at work"), ("mx2", "stands by")]
    assert not own_engine(first)["stands_by"] and own_engine(second)["stands_by"]
    processes.wait_until(lambda: metrics.Metrics([first.api]).get("mailferry_engines") == 2, 60, "both to be counted")
    told = [metrics.Metrics([f.api]) for f in (first, second)]
    assert [m.get("mailferry_engine_lease") for m in told] == [1, 0]
    assert [m.get("mailferry_engines") for m in told] == [2, 0]     # the store is one's to tell
    assert metrics.get(second.api, "/readyz") == (200, "ok\n")
    assert "engines: mx1 at work, mx2 stands by" in second.command("status").stdout
    stage.fill(person, {"INBOX": 10})
    second.import_users([person.name])    # what is written to the store any engine may be asked for
    refused = second.command("sync", person.name, check=False)
    assert refused.returncode == 1 and "ask again where it is at work, on host mx1" in refused.stdout
    first.wait_state(person.name, "ready")
    leader = lease_of(first)[0]
    first.stop()
    place, until = lease_of(second)
    assert place != leader or until == 0    # it has ended cleanly: nobody waits for its lease
    processes.wait_until(lambda: engines(second) == [("mx2", "at work")], 30, "the stand-by to take over")
    assert second.command("cutover", person.name).returncode == 0
    assert goes_to(stage, second, person) == "new"
    assert not compare(stage.read(stage.old, person), stage.read(stage.new, person))


@pytest.mark.full
def test_a_stopped_engine_wakes_late(stage, two_hosts, person):
    """Its lease has run out: another one is at work, and what it brings is void."""
    first, second = two_hosts
    stage.fill(person, {"INBOX": 300}, size=4000)
    stopped = first.engine()
    stage.new.pause()
    first.import_users([person.name])
    workers = processes.wait_until(first.workers, 60, "a worker")
    processes.send(stopped, signal.SIGSTOP)
    try:
        processes.wait_until(lambda: ("mx2", "at work") in engines(second), 60, "the stand-by to take over")
        stage.new.resume()
        processes.wait_until(lambda: not any(processes.alive(p) for p in workers), 60, "its workers to end")
        second.wait_state(person.name, "ready")
    finally:
        processes.send(stopped, signal.SIGCONT)
    processes.wait_until(lambda: first.engine() not in (None, stopped), 60, "the late engine to give way")
    processes.wait_until(lambda: engines(second) == [("mx2", "at work"), ("mx1", "stands by")], 60, "a stand-by")
    assert "the engine on host mx2 has taken over: this one ends" in first.log_text()
    assert second.command("cutover", person.name).returncode == 0
    assert not compare(stage.read(stage.old, person), stage.read(stage.new, person))


# ---- the store is not the one it was


def keep_copy(f):
    """What a backup of now would hold."""
    path = os.path.join(f.folder, "yesterday.db")
    with sqlite3.connect(store_of(f)) as here, sqlite3.connect(path) as there:
        here.backup(there)
    here.close()
    there.close()
    return path


def put_in_place(f, path):
    """Instead of the store; path None: nothing."""
    account = os.stat(store_of(f))
    for end in ("-wal", "-shm"):
        if os.path.exists(store_of(f) + end):
            os.unlink(store_of(f) + end)
    if path is None:
        os.unlink(store_of(f))
        return
    shutil.copy(path, path + ".new")
    os.chown(path + ".new", account.st_uid, account.st_gid)
    os.rename(path + ".new", store_of(f))


def swapped(path):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 'feedface' WHERE key = 'store_id'")
    db.close()


def wait_log(f, text, timeout_s=20):
    processes.wait_until(lambda: text in f.log_text(), timeout_s, "the log to say: " + text)


@pytest.mark.parametrize("how", ("yesterday", pytest.param("swapped", marks=pytest.mark.full),
                                 pytest.param("emptied", marks=pytest.mark.full)))
def test_nobody_is_sent_back_by_another_store(stage, own_ferry, how):
    f = own_ferry({"run": {"nodes": 1}})
    moved, stays, late = stage.take(), stage.take(), stage.take()
    for p in (moved, stays, late):
        stage.fill(p, {"INBOX": 5})
    f.import_users([moved.name, stays.name])
    f.wait_state([moved.name, stays.name], "ready")
    yesterday = keep_copy(f)
    f.import_users([late.name], name="late.csv")
    f.wait_state([late.name], "ready")
    for p in (moved, late):
        f.command("cutover", p.name)
        assert goes_to(stage, f, p) == "new"
    if how == "swapped":
        swapped(yesterday)
    put_in_place(f, None if how == "emptied" else yesterday)
    wait_log(f, "; until then users whom this node knows are served")
    assert goes_to(stage, f, moved) == "new" and goes_to(stage, f, stays) == "old"
    with pytest.raises(No) as refused:    # a stranger may be anybody
        goes_to(stage, f, stage.take())
    assert "UNAVAILABLE" in str(refused.value)
    f.kill(f.nodes()[0])    # another one has no table of its own: it does not start
    if how == "emptied":
        wait_log(f, "cannot start: store")
        f.stop()
        f.start(new_store=True, up=False)
        processes.wait_until(lambda: f.command("status", check=False).returncode == 0, 60, "the engine's answer")
        f.import_users([moved.name, stays.name], name="again.csv")
    wait_log(f, "`mailferry store rebuild` gives it the moves that this host has seen")
    processes.wait_until(lambda: "store rebuild" in f.command("status", check=False).stdout, 60, "the engine to say it")
    refused = f.command("store", "rebuild", check=False)
    assert refused.returncode == 1 and "first %s: import them" % late.name in refused.stderr
    f.import_users([late.name], name="late.csv")
    assert "2 users" in f.command("store", "rebuild").stdout
    f.wait_up()
    processes.wait_until(lambda: {n["health"] for n in f.cli("status")["nodes"] if n["pid"] in f.nodes()} == {"up"},
                         30, "the node to be up")
    assert f.state(moved.name) == f.state(late.name) == "trailing"
    assert goes_to(stage, f, moved) == goes_to(stage, f, late) == "new" and goes_to(stage, f, stays) == "old"
    f.wait_state(stays.name, "ready")
    f.command("cutover", stays.name)    # all goes on from there
    assert goes_to(stage, f, stays) == "new"
    assert not compare(stage.read(stage.old, moved), stage.read(stage.new, moved))
