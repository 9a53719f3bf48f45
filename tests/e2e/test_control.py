"""The local sockets of nodes and engine: metrics, health, readiness; and that nobody can hurt a node through its own."""

import os
import re
import signal
import socket
import stat
import subprocess

import pytest

from lib import metrics, processes
from lib.imapclient import No


def nobody_is_in(f):
    """Not even who was in for an earlier test."""
    processes.wait_until(lambda: not f.metrics().get("mailferry_sessions"), 20, "earlier sessions to go")


def test_what_happens_is_counted(ferry, resident, imap, pop3):
    nobody_is_in(ferry)
    before = ferry.metrics()

    def more(name, **labels):
        return ferry.metrics().get(name, **labels) - before.get(name, **labels)
    c = imap(ferry)
    with pytest.raises(No):
        c.login(resident.name, "wrong")
    c.login(resident.name, resident.password)
    c.command(b"SELECT INBOX")
    assert more("mailferry_connections_total", protocol="imap") == 1
    assert more("mailferry_logins_total", protocol="imap", side="old", result="ok") == 1
    assert more("mailferry_logins_total", protocol="imap", side="old", result="bad_login") == 1
    assert more("mailferry_login_seconds_count", protocol="imap") == 1
    assert more("mailferry_backend_dial_seconds_count", side="old") == 2
    assert more("mailferry_backend_login_seconds_count", side="old") == 1
    assert more("mailferry_tls_handshakes_total", peer="client") == 1
    assert more("mailferry_tls_handshakes_total", peer="backend") == 2
    assert more("mailferry_sessions", protocol="imap", side="old", state="relay") == 1
    assert more("mailferry_relayed_bytes_total", protocol="imap", direction="up") > len("a3 SELECT INBOX")
    assert more("mailferry_relayed_bytes_total", protocol="imap", direction="down") > 100
    c.logout()
    processes.wait_until(lambda: more("mailferry_sessions", protocol="imap", side="old", state="relay") == 0,
                         10, "the session to go")
    assert more("mailferry_closed_total", protocol="imap", how="left") == 1
    assert pop3(ferry).login(resident.name, resident.password).startswith(b"+OK")
    assert more("mailferry_logins_total", protocol="pop3", result="ok") == 1


def test_what_is_looked_up(ferry):
    for path, pid in zip(ferry.controls(), sorted(ferry.nodes())):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        processes.wait_until(lambda: metrics.Metrics([path]).get("mailferry_ready") == 1, 10, "the node to be ready")
        m = metrics.Metrics([path])
        assert m.get("mailferry_lease") == 1
        assert m.get("mailferry_store_lag_seconds") < 5
        assert m.get("mailferry_backend_up", side="old", protocol="imap") == 1
        assert m.get("process_resident_memory_bytes") > 1 << 20
        assert m.get("process_max_fds") > m.get("process_open_fds") > 5


def test_descriptors_are_counted_right(own_ferry, imap):
    f = own_ferry({"run": {"nodes": 1}})
    clients = [imap(f) for _ in range(7)]
    counts = []

    def agree():
        counts[:] = f.metrics().get("process_open_fds"), len(os.listdir("/proc/%d/fd" % f.nodes()[0]))
        return abs(counts[0] - counts[1]) <= 1      # the asking connection itself comes and goes
    processes.wait_until(agree, 10, "the counts to agree: %s" % counts)     # earlier ones may still be closing
    assert len(clients) == 7


def test_a_backend_that_fails_is_down(own_ferry, person, imap):
    f = own_ferry({"run": {"nodes": 1}, "backend old": {"imap_port": processes.free_ports(1)[0]}})
    f.import_users([person.name])
    with pytest.raises(No):
        imap(f).login(person.name, person.password)
    m = f.metrics()
    assert m.get("mailferry_backend_up", side="old", protocol="imap") == 0
    assert m.get("mailferry_backend_up", side="old", protocol="pop3") == 1
    assert m.get("mailferry_backend_failures_total", side="old") == 1
    assert m.get("mailferry_logins_total", side="old", result="unavailable") == 1


def test_health_and_readiness(own_ferry, person, imap):
    f = own_ferry({"run": {"nodes": 1}})
    f.import_users([person.name])
    path = f.controls()[0]
    assert metrics.get(path, "/healthz") == (200, "ok\n")
    assert metrics.get(path, "/readyz") == (200, "ok\n")
    c = imap(f)
    c.login(person.name, person.password)
    c.send(b"h1 APPEND INBOX {14}\r\n")     # something open keeps the node up for a while
    c.expect_continuation()
    processes.send(f.nodes()[0], signal.SIGTERM)
    status, why = processes.wait_until(
        lambda: (lambda a: a if a[0] != 200 else None)(metrics.get(path, "/readyz")), 10, "not ready")
    assert status == 503 and why.startswith("stopping")
    assert metrics.get(path, "/healthz") == (200, "ok\n")
    c.send(b"Subject: all\r\n\r\n")
    c.finish(b"h1")


def test_bad_requests_hurt_nobody(ferry):
    path = ferry.controls()[0]
    assert metrics.get(path, "/nothing")[0] == 404
    assert metrics.get(path, "/metrics", method="POST")[0] == 405
    assert metrics.get(path, "/metrics", method="HEAD") == (200, "")
    for request, status in ((b"\r\n\r\n", b"400"), (b"GET\r\n\r\n", b"400"), (b"GET /x\r\n\r\n", b"400"),
                            (b"\0\xff \n\n", b"400"), (b"GET /" + b"x" * 9000, b"431")):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(request)
            assert s.recv(4096).split()[1] == status
    idle = []
    for _ in range(20):     # more than are let in at once
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        idle.append(s)
    for s in idle:
        s.close()
    processes.wait_until(lambda: _answers(path), 10, "an answer")


def _answers(path):
    try:
        return metrics.get(path, "/healthz")[0] == 200
    except (OSError, AssertionError, IndexError, AttributeError):
        return False


def test_the_engine_counts(own_ferry, stage, person):
    f = own_ferry({"run": {"nodes": 1}})

    def now(name, **labels):
        return metrics.Metrics([f.api]).get(name, **labels)
    stage.fill(person, {"INBOX": 7}, size=900)
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    assert now("mailferry_copied_messages_total", kind="pass") == 7
    assert now("mailferry_copied_bytes_total", kind="pass") > 7 * 900
    assert now("mailferry_passes_total", kind="probe", result="ok") == 1
    assert now("mailferry_pass_seconds_count", kind="pass") >= 1
    processes.wait_until(lambda: now("mailferry_waves", state="left") == 1, 10, "the wave to be seen")
    f.command("cutover", person.name)
    processes.wait_until(lambda: now("mailferry_cutovers_total", direction="forward", result="flipped") == 1, 10, "the end to be counted")
    assert now("mailferry_cutover_held_seconds_count", result="flipped") == 1
    processes.wait_until(lambda: now("mailferry_users", state="trailing") == 1, 10, "the look that sees the move")
    processes.wait_until(lambda: now("mailferry_waves", state="moved") == 1, 10, "the wave to be seen as moved")
    assert now("mailferry_mailbox_messages") == now("mailferry_verified_messages") == 7
    assert now("mailferry_engine_lease") == now("mailferry_engine_ready") == 1
    assert now("mailferry_nodes", state="serves") == now("mailferry_engines", state="at_work") == 1
    assert now("mailferry_workers_max") >= 1 and now("process_resident_memory_bytes") > 1 << 20


def test_the_engine_says_how_it_is(ferry):
    assert metrics.get(ferry.api, "/healthz") == (200, "ok\n")
    assert metrics.get(ferry.api, "/readyz") == (200, "ok\n")
    assert metrics.get(ferry.api, "/metrics", method="POST")[0] == 405


def pages(f):
    return [metrics.get(path, "/metrics")[1] for path in f.controls()[:1] + [f.api]]


def test_the_text_is_well_formed(ferry):
    for text in pages(ferry):
        assert not metrics.lint(text)


def test_the_documents_know_every_metric(ferry):
    with open(os.path.join(metrics.ROOT, "docs", "metrics.md"), encoding="utf-8") as f:
        page = f.read()
    tables = [re.findall(r"^\| `\w+` .*$", part, re.M) for part in page.split("\n## ")[1:]]
    for text, table in zip(pages(ferry), tables, strict=True):
        assert table == list(metrics.rows(text).values())
    known = set(re.findall(r"^\| `(\w+)`", page, re.M))
    for name in ("grafana.json", "alerts.yml"):
        with open(os.path.join(metrics.ROOT, "docs", name), encoding="utf-8") as f:
            named = set(re.findall(r"\b(?:mailferry|process)_[a-z_]+", f.read()))
        assert len(named) > 12
        assert {re.sub("_(bucket|sum|count)$", "", n) for n in named} <= known


@pytest.mark.full
def test_prometheus_likes_the_rules():
    done = subprocess.run([metrics.PROMTOOL, "check", "rules", os.path.join(metrics.ROOT, "docs", "alerts.yml")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
def test_prometheus_likes_the_text(ferry):
    for text in pages(ferry):
        done = subprocess.run([metrics.PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
