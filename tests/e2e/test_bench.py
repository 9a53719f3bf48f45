"""The tools of `make bench-proxy` at their smallest, so that they do not rot."""

import os
import statistics
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))
import bench  # noqa: E402
import peers  # noqa: E402
from lib import processes  # noqa: E402


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    from lib.mailferry import build_folder
    with bench.Bench(build_folder(), str(tmp_path_factory.mktemp("bench"))) as b:
        b.users = 20
        yield b


@pytest.fixture
def proxy(stand):
    p = peers.Mailferry(stand, bench.Way("TLS-TLS")).start()
    yield p
    p.stop()


def phase(stand, proxy, mode, **options):
    load = bench.Load(stand, mode, proxy.port, proxy.way, **options)
    try:
        return load.ask()
    finally:
        load.end()


def test_work_is_counted(stand, proxy):
    before = proxy.cpu_s()
    said = phase(stand, proxy, "login", count=12, at_once=3, resume=True)
    assert (said["done"], said["failed"], said["resumed"]) == (12, 0, 12)
    said = phase(stand, proxy, "noop", count=20, at_once=2)
    assert (said["done"], said["failed"]) == (20, 0)
    said = phase(stand, proxy, "fetch", count=3, at_once=2, kib=300)
    assert (said["done"], said["failed"]) == (3, 0)
    assert 0 < proxy.cpu_s() - before < 30


def test_idle_sessions_are_held_until_their_user_moves(stand, proxy):
    others = bench.Load(stand, "idle", proxy.port, proxy.way, count=4, at_once=4)
    busy = bench.Load(stand, "idle", proxy.port, proxy.way, count=3, at_once=3, user="busy@example.com")
    try:
        assert busy.ask()["open"] == 3 and proxy.pss_kib() > 0
        at = proxy.move("busy@example.com")
        processes.wait_until(lambda: busy.ask()["open"] == 0, 10, "the BYEs")
        assert busy.ask()["byes"] == 3
        assert at["frozen_ms"] <= at["quiet_ms"] <= at["flipped_ms"] <= busy.ask()["last_close_ms"]
        assert others.ask()["open"] == 4
    finally:
        others.end()
        busy.end()


def test_the_table_says_where_a_bar_is_missed(tmp_path):
    way = bench.Way("TLS-TLS")
    cells = [bench.Idle("idle", way, "KiB", bar=2), bench.Noop("ping", way, "us", against="haproxy", factor=0.5)]
    results = {"idle": {"mailferry": [1.0, 9.0, 2.0]}, "ping": {"mailferry": [6.0], "haproxy": [10.0]}}
    rows = bench.table(cells, [peers.Mailferry, peers.Haproxy], results)
    assert statistics.median(results["idle"]["mailferry"]) == 2
    assert rows[2:] == ["| idle | KiB | ≤ 2 | 2 | – | met |",
                        "| ping | us | ≤ 0.5 × haproxy | 6 | 10 (0.60) | **missed**: 1.20 × |"]
    page = tmp_path / "page.md"
    page.write_text("# By hand\n%s\nold\n%s\nalso by hand\n" % (bench.BEGIN, bench.END), encoding="utf-8")
    bench.write_into(str(page), "new")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand\n") and text.endswith("\nalso by hand\n")
    assert "new" in text and "old" not in text
