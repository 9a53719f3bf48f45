"""The tools of `make bench-proxy`, `bench-sync`, `bench-cutover` and `bench-waves` at their smallest, so that they do not rot."""

import os
import statistics
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))
import bench  # noqa: E402
import copiers  # noqa: E402
import cutovers  # noqa: E402
import mailboxes  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import sync  # noqa: E402
import waves  # noqa: E402
from lib import processes  # noqa: E402

pytestmark = pytest.mark.any_servers


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
        assert at["frozen_ms"] <= at["quiet_ms"] <= at["flipped_ms"]
        assert at["quiet_ms"] <= busy.ask()["last_close_ms"]    # a node may be faster than who wrote the flip
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
    page.write_text("# By hand\n%s\nold\n%s\nalso by hand\n" % ("<!-- %s -->" % bench.MARK, report.END), encoding="utf-8")
    report.write_into(str(page), bench.MARK, "new")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand\n") and text.endswith("\nalso by hand\n")
    assert "new" in text and "old" not in text


@pytest.fixture
def open_folder():
    """One that Dovecot's unprivileged user may enter."""
    with tempfile.TemporaryDirectory(prefix="mailferry-test-") as folder:
        yield folder


def test_a_mailbox_is_copied_changed_and_compared(open_folder):
    from lib.mailferry import build_folder
    with sync.Bench(build_folder(), open_folder, users=2, messages=60) as b:
        results = sync.Results()
        sync.one_mailbox(b, copiers.Mailferry, 50, results, look=True)
        assert results.words == {"mailferry": "perfect"}
        sync.many_users(b, copiers.Mailferry, 0, results, look=True)
        assert results.median("2 users × 200, 8 at a time, 0 ms (users/min)", "mailferry") > 0
        assert min(results.median(row, "mailferry") for row in sync.BARS if "50 ms (s)" in row) > 0.05


@pytest.mark.full
def test_cutovers_are_timed(open_folder):
    from lib.mailferry import build_folder
    with cutovers.Bench(build_folder(), open_folder, 2, 60) as b:
        b.work(2, 2)
    text, met = cutovers.table(b)
    assert met and "2 cutovers of 2 mailboxes" in text
    assert all(0 < frozen < 12 for frozen in b.frozen) and all(0 < hold < 18 for hold in b.holds)


@pytest.mark.full
def test_waves_are_moved(open_folder):
    from argparse import Namespace
    from lib.mailferry import build_folder
    ok, text = waves.play(Namespace(users=4, wave=2, quick=True, build=build_folder()), open_folder)
    assert ok and "| sessions on new in the end | 8 of 8 |" in text, text


def test_the_reader_names_what_a_copy_lacks():
    maker = mailboxes.Maker(7)
    a, b, c = (sync.reader.Message(i, frozenset(), 1, maker.message(700).hex(), 700, "") for i in (1, 2, 3))
    old = {("INBOX",): sync.reader.Folder(("INBOX",), b"INBOX", True, 1, [a, b])}

    def new(*messages, subscribed=True):
        return {("INBOX",): sync.reader.Folder(("INBOX",), b"INBOX", subscribed, 1, list(messages))}

    def at(message, uid):
        return sync.reader.dataclasses.replace(message, uid=uid)
    assert sync.fidelity(old, new(a, b)) == "perfect"
    assert sync.fidelity(old, new(a)) == "missing 1"
    assert sync.fidelity(old, new(a, c)) == "altered 1"
    assert sync.fidelity(old, new(at(a, 9), b, subscribed=False)) == "subscriptions 1, folders out of order 1"
