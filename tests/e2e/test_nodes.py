"""Several hosts with one store: names of nodes, the engine at work and its stand-by. docs/nodes.md has the rules."""

import os
import signal
import subprocess

import pytest

from lib import processes
from lib.imapclient import ImapClient
from lib.reader import compare

STORE = "store/mailferry.db"


def engines(f):
    return [(g["host"], g["is"]) for g in f.cli("status")["engines"]]


def node_names(f):
    return sorted(n["node"] for n in f.cli("status")["nodes"])


def own_engine(f):
    return f.cli("status")["engine"]


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
    assert "engines: mx1 at work, mx2 stands by" in second.command("status").stdout
    stage.fill(person, {"INBOX": 10})
    second.import_users([person.name])    # what is written to the store any engine may be asked for
    refused = second.command("sync", person.name, check=False)
    assert refused.returncode == 1 and "ask again where it is at work, on host mx1" in refused.stdout
    first.wait_state(person.name, "ready")
    first.stop()    # cleanly: nobody waits for its lease
    processes.wait_until(lambda: engines(second) == [("mx2", "at work")], 5, "the stand-by to take over")
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
    workers = processes.wait_until(first.workers, 20, "a worker")
    processes.send(stopped, signal.SIGSTOP)
    try:
        processes.wait_until(lambda: ("mx2", "at work") in engines(second), 20, "the stand-by to take over")
        stage.new.resume()
        processes.wait_until(lambda: not any(processes.alive(p) for p in workers), 20, "its workers to end")
        second.wait_state(person.name, "ready")
    finally:
        processes.send(stopped, signal.SIGCONT)
    processes.wait_until(lambda: first.engine() not in (None, stopped), 20, "the late engine to give way")
    processes.wait_until(lambda: engines(second) == [("mx2", "at work"), ("mx1", "stands by")], 20, "a stand-by")
    assert "the engine on host mx2 has taken over: this one ends" in first.log_text()
    assert second.command("cutover", person.name).returncode == 0
    assert not compare(stage.read(stage.old, person), stage.read(stage.new, person))
