"""
Size: what a worker needs of memory does not grow with one message, and hardly with a mailbox; it resumes at once.
"""

import contextlib
import json
import os
import tempfile
import threading
import time
import types

import pytest

from lib import mail, messages
from lib.copier import Copier
from lib.dovecot import Dovecot
from lib.imapclient import ImapClient
from lib.mailferry import build_folder

GIB = 1 << 30
PEAK_LARGE_KIB = 64 * 1024
PEAK_KIB = 32 * 1024    # however many messages a folder has: it is swept in windows
RESUME_S = 10
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
WHOLE_S = 1500          # for one pass on a busy machine
CHUNK = b"".join(b"%015d 0123456789abcdefghijklmnopqrstuvwxyz 0123456789\r\n" % i for i in range(15000))

pytestmark = [pytest.mark.full, pytest.mark.alone, pytest.mark.offers("dovecot")]


class Watched:
    """A worker under observation: its most memory, and when it had copied something."""

    def __init__(self, copier, **changes):
        self.peak_kib, self.first_copy_s, self.begin = 0, None, time.monotonic()
        self.worker = copier.start(**changes)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while self.worker.poll() is None:
            try:
                with open("/proc/%d/status" % self.worker.pid) as f:
                    high = [line for line in f if line.startswith("VmHWM:")]
            except OSError:
                return
            if high:
                self.peak_kib = max(self.peak_kib, int(high[0].split()[1]))
            time.sleep(0.05)

    def events(self):
        for line in self.worker.stdout:
            event = json.loads(line)
            if event.get("messages") and self.first_copy_s is None:
                self.first_copy_s = time.monotonic() - self.begin
            yield event

    def result(self):
        last = [e for e in self.events() if e["event"] == "result"][-1]
        assert self.worker.wait(WHOLE_S) == 0 and last["ok"], (last, self.worker.stderr.read())
        self.seconds = time.monotonic() - self.begin
        return last

    def assert_small(self, most_kib=PEAK_KIB):
        """AddressSanitizer keeps what was freed, and shadows all: there, memory says nothing of ours."""
        if "asan" not in build_folder():
            assert 0 < self.peak_kib < most_kib, self.peak_kib

    def kill_after(self, count):
        for event in self.events():
            if event.get("messages", 0) >= count:
                self.worker.kill()
                self.worker.wait()
                return
        raise AssertionError("it ended before it had copied %d messages" % count)


def copier_between(servers, person, folder):
    return Copier(servers.old, servers.new, servers.ca, person.name, person.password, str(folder), connections=4, io_s=120)


@contextlib.contextmanager
def pair(stage, person, without=()):
    """Two servers with a home for the person, in memory: some disks take minutes to forget so many files."""
    with tempfile.TemporaryDirectory(prefix="mailferry-size-", dir=MEMORY) as folder:
        os.chmod(folder, 0o755)
        servers = [Dovecot(name, os.path.join(folder, name), stage.ca, {person.name: person.password}, without=without)
                   for name in ("old", "new")]
        for s in servers:
            s.start()
        try:
            yield types.SimpleNamespace(old=servers[0], new=servers[1], context=stage.context, ca=stage.ca)
        finally:
            for s in servers:
                s.stop()


@pytest.fixture
def roomy(stage, person):
    with pair(stage, person) as servers:
        yield servers


@pytest.fixture
def plain(stage, person):
    """They tell nothing of what has changed."""
    with pair(stage, person, {"CONDSTORE", "QRESYNC"}) as servers:
        yield servers


def maildir(stage, person):
    return os.path.join(stage.old.folder, "mail", person.name, "Maildir")


def make_maildir(path):
    for sub in ("", "cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub), exist_ok=True)


def write_mails(path, count, size=300):
    make_maildir(path)
    for i in range(count):
        data = mail.message("m%d" % i, size)
        at = os.path.join(path, "cur", "%d.M%dP1.test,S=%d,W=%d:2,%s" % (1600000000 + i, i, len(data), len(data), "S" * (i % 2)))
        with open(at, "wb") as f:
            f.write(data)


def give_to_server(stage, person):
    """To the account under which old's Dovecot reads it."""
    home = os.path.join(stage.old.folder, "mail")
    owner = os.stat(home)
    for folder, _, names in os.walk(os.path.join(home, person.name)):
        os.chown(folder, owner.st_uid, owner.st_gid)
        for name in names:
            os.chown(os.path.join(folder, name), owner.st_uid, owner.st_gid)


def say(what, watched, result):
    print("SIZE %s: %d KiB at most, %.1f s, first copy after %s s, %d copied" % (
        what, watched.peak_kib, watched.seconds, watched.first_copy_s and round(watched.first_copy_s, 1), result["copied"]))


def pass_of(copier, what, peak_kib=PEAK_KIB):
    w = Watched(copier)
    result = w.result()
    say(what, w, result)
    w.assert_small(peak_kib)
    return w, result


def test_a_message_of_one_gib(stage, person, tmp_path):
    """case 32"""
    copier = copier_between(stage, person, tmp_path)
    c = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context, timeout_s=600)
    c.login(person.name, person.password)
    head, left = messages.sound("gib", b""), GIB
    tag = c.tag()
    c.begin_literal(tag + b" APPEND INBOX", GIB)
    c.sock.sendall(head)
    left -= len(head)
    while left:
        piece = CHUNK[:left]
        c.sock.sendall(piece)
        left -= len(piece)
    c.send(b"\r\n")
    c.finish(tag)
    c.logout()
    _, result = pass_of(copier, "1 GiB", PEAK_LARGE_KIB)
    assert result["clean"] and result["verified"] == 1 and result["bytes"] == GIB, result


def test_a_folder_of_100000_messages(roomy, person, tmp_path):
    """case 96, with a tenth of its messages"""
    copier = copier_between(roomy, person, tmp_path)
    write_mails(maildir(roomy, person), 100000)
    give_to_server(roomy, person)
    w = Watched(copier)
    w.kill_after(50000)
    w.assert_small()
    w, result = pass_of(copier, "100,000, resumed")
    assert result["messages"] == 100000 and w.first_copy_s < RESUME_S
    for _ in range(3):
        if result["clean"]:
            break
        _, result = pass_of(copier, "100,000, until clean")
    assert result["clean"] and result["verified"] == 100000, result
    _, result = pass_of(copier, "100,000, nothing new")
    assert result["copied"] == 0
    copier.forget()
    _, result = pass_of(copier, "100,000, journal lost")
    assert result["copied"] == 0 and result["messages"] == 100000


def change_a_little(stage, person):
    """One flag, one message less, one more."""
    c = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context, timeout_s=60)
    c.login(person.name, person.password)
    for command in (b"SELECT INBOX", b"STORE 1 +FLAGS.SILENT (\\Flagged)", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE"):
        c.command(command)
    c.append(b"INBOX", mail.message("one more"))
    c.logout()


def test_100000_messages_that_are_listed_each_time(plain, person, tmp_path):
    """Without CONDSTORE each pass lists all of both sides, a window after the other."""
    write_mails(maildir(plain, person), 100000)
    give_to_server(plain, person)
    copier = copier_between(plain, person, tmp_path)
    _, result = pass_of(copier, "100,000, no CONDSTORE")
    assert result["clean"] and result["verified"] == 100000, result
    _, result = pass_of(copier, "100,000, no CONDSTORE, nothing new")
    assert result["clean"] and result["copied"] == result["flags"] == result["deleted"] == 0, result
    change_a_little(plain, person)
    _, result = pass_of(copier, "100,000, no CONDSTORE, a little new")
    assert result["clean"] and result["copied"] == result["flags"] == result["deleted"] == 1, result


def test_5000_folders(roomy, person, tmp_path):
    """case 52. Nearly all of its time is the new server's, which makes them."""
    copier = copier_between(roomy, person, tmp_path)
    for i in range(5000):
        write_mails(os.path.join(maildir(roomy, person), ".f%04d" % i), 1)
    give_to_server(roomy, person)
    w = Watched(copier)
    w.kill_after(2500)
    w.assert_small()
    w, result = pass_of(copier, "5,000 folders, resumed")
    assert w.first_copy_s < RESUME_S
    for _ in range(3):
        if result["clean"]:
            break
        _, result = pass_of(copier, "5,000 folders, until clean")
    assert result["clean"] and result["messages"] == 5000, result
    _, result = pass_of(copier, "5,000 folders, nothing new")
