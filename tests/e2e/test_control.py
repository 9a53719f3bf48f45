"""A node's local socket: metrics, health, readiness; and that nobody can hurt the node through it."""

import os
import signal
import socket
import stat

import pytest

from lib import metrics, processes
from lib.imapclient import No


def test_what_happens_is_counted(ferry, resident, imap, pop3):
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
                         5, "the session to go")
    assert more("mailferry_closed_total", protocol="imap", how="left") == 1
    assert pop3(ferry).login(resident.name, resident.password).startswith(b"+OK")
    assert more("mailferry_logins_total", protocol="pop3", result="ok") == 1


def test_what_is_looked_up(ferry):
    for path, pid in zip(ferry.controls(), sorted(ferry.nodes())):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        m = metrics.Metrics([path])
        assert m.get("mailferry_lease") == 1 and m.get("mailferry_ready") == 1
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
        lambda: (lambda a: a if a[0] != 200 else None)(metrics.get(path, "/readyz")), 5, "not ready")
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
    processes.wait_until(lambda: _answers(path), 5, "an answer")


def _answers(path):
    try:
        return metrics.get(path, "/healthz")[0] == 200
    except (OSError, AssertionError, IndexError, AttributeError):
        return False
