"""
The copier among kills, lies and lost connections (facts of sync: cases A): after each, exactly what old has is on
new. tests/chaos does the same at every step and at every byte; here is one of each, between fakes.
"""

import itertools
import os
import signal
import time

import pytest

from lib import fakemail, liars, mail
from lib.copier import Copier
from lib.fakemail import CAPABILITIES, FakeMail
from lib.imapclient import client_context
from lib.preload import preload

ANNA, SECRET = "anna@example.com", "secret"


class Case(Copier):
    """Two fakes, old with some mail, and a copier between them."""

    def __init__(self, folder, ca, new=FakeMail, **how):
        self.context = client_context(ca.cert)
        made = [make(name, folder, ca, {ANNA: SECRET}, **options)
                for name, make, options in (("old", FakeMail, {}), ("new", new, how))]
        super().__init__(*made, ca, ANNA, SECRET, folder, fence_s=0)
        for i in range(5):
            self.old.put(ANNA, b"INBOX", mail.message("m%d" % i), {b"\\Seen"} if i % 2 else ())
        for _ in range(2):
            self.old.put(ANNA, b"Work", b"Subject: twin\r\n\r\nthe same\r\n")

    def exact(self):
        self.until_clean()
        assert not self.difference(self.context), self.difference(self.context)

    def count(self):
        """Messages that were ever put onto new."""
        return sum(b.uidnext - 1 for b in self.new.account(ANNA).boxes.values())

    def ends_early(self, because, kind="pass", **changes):
        code, result = self.run(kind, **changes)
        assert code == 0 and not result["ok"] and result["kind"] == because, result
        return result["text"]


@pytest.fixture
def case(ca, tmp_path):
    made = []

    def make(*args, **how):
        made.append(Case(str(tmp_path), ca, *args, **how))
        return made[-1]
    yield make
    for c in made:
        c.old.stop()
        c.new.stop()


def test_the_answer_is_lost(case):
    """case 4: the server keeps the message, and its answer never comes."""
    c = case()
    c.new.rules["APPEND"] = fakemail.nth(1, fakemail.hangup)
    c.ends_early("temporary")
    c.exact()
    assert c.count() == 7


@pytest.mark.parametrize("kills", (1, 3))
def test_late_commit(case, monkeypatch, kills):
    """case 5, case 6: the message is kept long after we died; killed again while waiting for it."""
    monkeypatch.setattr(liars, "LATE_S", 0.8)
    c = case(liars.Late)
    c.changes["fence_s"] = 2
    worker = c.start()
    assert c.new.waiting.wait(30)
    worker.send_signal(signal.SIGKILL)
    c.finish(worker)
    for _ in range(kills - 1):
        c.run_and_kill(0.3)
    c.exact()
    assert c.new.kept.wait(30) and c.count() == 7


@pytest.mark.full
def test_its_folder_goes_before_the_doubt_is_settled(case):
    """Killed at each step while a folder is copied under old's UIDs, and then there is no such folder on old any more."""
    c = case(capabilities=CAPABILITIES | {b"UIDPLUS"})
    c.changes.update(uids="exact", uid_gaps=50000, uid_floor=50000, uid_s=60)
    c.exact()
    boxes = c.old.account(ANNA).boxes
    for step in itertools.count(1):
        name = b"Later%d" % step
        for i in range(4):
            c.old.put(ANNA, name, mail.message("%s-%d" % (name.decode(), i)))
        boxes[name].remove([1, 3])      # so fillers are needed
        code, _ = c.run(stop_at=step)
        with c.old.lock:
            del boxes[name]
        c.exact()
        there = c.new.account(ANNA).boxes.get(name)
        assert not there or not there.mails, (step, there.mails)
        if code == 0:
            break
    assert code == 0 and step > 10


def test_its_folder_goes_before_what_the_server_altered_is_found(case):
    """Taken without a UID, and not kept as it was sent; killed at each step, then there is no such folder on old."""
    class Alters(FakeMail):
        def append_code(self, box, uids):
            return b""

        def stored(self, data):
            return data + b"altered\r\n" if b"altered" in data else data

    c = case(Alters)
    boxes = c.old.account(ANNA).boxes
    for step in itertools.count(1):
        name = b"Later%d" % step
        c.old.put(ANNA, name, b"Subject: altered %d\r\n\r\nbody\r\n" % step)
        code, _ = c.run(stop_at=step)
        with c.old.lock:
            del boxes[name]
        again, result = c.run()
        assert again == 0 and result["ok"] and result["exceptions"] == 0, (step, result)
        if code == 0:
            break
    assert code == 0 and step > 5


def test_a_last_delta_does_not_wait_for_the_fence(case):
    c = case()
    c.new.rules["APPEND"] = fakemail.first(1, b"* BYE gone\r\n")
    c.ends_early("temporary")
    begun = time.monotonic()
    code, result = c.run("final", fence_s=60)
    assert code == 0 and not (result["ok"] and result["clean"]) and "in doubt" in result["text"], result["text"]
    assert time.monotonic() - begun < 50
    c.exact()


@pytest.mark.parametrize("liar", (liars.Shy, liars.Liar))
def test_servers_that_lie_about_an_append(case, liar):
    """case 54, case 55, case 56: no UIDPLUS and mail that shows late; APPENDUID that is wrong or missing."""
    c = case(liar)
    c.changes["fence_s"] = 1
    for k in (4, 9):
        c.run(stop_at=k)
    c.exact()
    for i in range(3):
        c.old.put(ANNA, b"INBOX", mail.message("later%d" % i, 600 + i))
        c.exact()
    assert c.count() == 10


@pytest.mark.parametrize("shift", (1, 1000))
def test_appenduid_turns_wrong(case, shift):
    """case 55: right for as long as anybody looks, then of another message or of none."""
    class Turns(FakeMail):
        def append_code(self, box, uids):
            wrong = shift if self.count("APPEND") > 1 else 0
            return b"APPENDUID %d %s" % (box.uidvalidity, b",".join(b"%d" % (u + wrong) for u in uids))

    c = case(Turns)
    for i in range(3):
        c.old.put(ANNA, b"Heads", b"Subject: the same\r\n\r\nbody %d\r\n" % i, {b"\\Seen"} if i == 1 else ())
    c.exact()
    assert c.count() == 10


def test_same_header_other_body_in_doubt(case):
    """case 19: of four messages that differ only in their bodies the first was refused, and no answer came."""
    class Refuses(FakeMail):
        refused = False

        def commit(self, talk, box, mails):
            if b"body 0" in mails[0][0] and not self.refused:
                self.refused = True
                talk.say = lambda data: None
                return []
            if b"body 3" in mails[0][0] and "say" in vars(talk):
                raise fakemail.Hangup
            return super().commit(talk, box, mails)

    c = case(Refuses, capabilities=CAPABILITIES - {b"MULTIAPPEND"})
    for i in range(4):
        c.old.put(ANNA, b"Heads", b"Subject: the same\r\n\r\nbody %d\r\n" % i, {b"\\Seen"} if i == 1 else ())
    c.ends_early("temporary")
    c.exact()
    assert c.count() == 11


def test_lines_of_doubt_that_cannot_be_read(case):
    """What may be ours and cannot be read is neither there nor gone."""
    c = case()
    c.new.rules["APPEND"] = fakemail.nth(1, fakemail.hangup)
    c.ends_early("temporary")
    c.new.rules["UID FETCH"] = unreadable
    c.ends_early("temporary")
    c.new.rules.clear()
    c.exact()
    assert c.count() == 7


def unreadable(fake, talk, command):
    if b"BODY.PEEK[]" in command.args[1]:
        talk.say(command.tag + b" NO [UNAVAILABLE] later\r\n")
    else:
        fake.do(talk, command)


def test_a_stale_lock_does_not_hold(case):
    """case 8: the worker that held it was killed."""
    c = case()
    c.new.rules["APPEND"] = fakemail.delay(60)
    worker = c.start()
    assert fakemail.processes.wait_until(lambda: c.new.count("APPEND"), 30)
    assert "in use" in c.ends_early("temporary")
    worker.send_signal(signal.SIGKILL)
    c.finish(worker)
    c.new.rules.clear()
    assert c.run()[1]["ok"]
    c.exact()


def test_journal_of_yesterday(case):
    """case 10: what came since then is recognised, not copied again."""
    c = case()
    c.exact()
    yesterday = c.journal_copy()
    for i in range(6):
        c.old.put(ANNA, b"INBOX", mail.message("today%d" % i))
    c.old.put(ANNA, b"New", mail.message("in a new folder"))
    c.old.box(ANNA).remove([1])
    c.exact()
    c.put_back(yesterday)
    c.exact()
    assert c.count() == 14


def test_journal_is_gone(case):
    """case 11: the same, slower."""
    c = case()
    c.exact()
    c.forget()
    c.exact()
    assert c.count() == 7


def test_bye_between_go_on_and_literal(case):
    """case 16."""
    class Leaves(FakeMail):
        leaves = True

        def read_literal(self, talk, n):
            if self.leaves:
                self.leaves = False
                talk.say(b"* BYE out of memory\r\n")
                raise fakemail.Hangup
            return super().read_literal(talk, n)

    c = case(Leaves, capabilities=CAPABILITIES - {b"LITERAL+", b"MULTIAPPEND"})
    assert "BYE" in c.ends_early("temporary")
    c.exact()
    assert c.count() == 7


def test_autologout_while_the_other_side_is_busy(case):
    """case 17: one side is silent for so long that the other gives us up."""
    c = case()
    c.old.rules["UID FETCH"] = fakemail.nth(2, fakemail.delay(1.5))
    c.new.autologout_s = 0.7
    c.ends_early("temporary")
    c.new.autologout_s = None
    c.exact()
    assert c.count() == 7


@pytest.mark.parametrize("side", ("old", "new"))
def test_end_without_close_notify(case, side):
    """case 14: TLS ends in mid answer; what came so far is no message and no listing."""
    c = case()
    fake = getattr(c, side)
    for n in (0, 50, 700):
        fake.rules["UID FETCH"] = fakemail.first(1, fakemail.cut(n))
        c.ends_early("temporary")
    c.exact()
    assert c.count() == 7


def test_cyrus_is_not_asked_for_mailboxid(case):
    """Cyrus 3.6 answers STATUS (MESSAGES MAILBOXID) with freed memory; a line with a "{" in it ends the pass."""
    class Cyrus(FakeMail):
        def _status(self, box, items):
            said = super()._status(box, [i for i in items if i != b"MAILBOXID"])
            return said.replace(b")\r\n", b" MAILBOXID (\x07{U))\r\n") if b"MAILBOXID" in items else said

    c = case(Cyrus, capabilities=CAPABILITIES | {b"OBJECTID"})
    c.new.greeting = b"* OK new.example.net Cyrus IMAP 3.6.1 server ready"
    c.exact()
    assert not any(b"MAILBOXID" in line for line in c.new.heard)


# ---- a machine that fails: lib/mishap.c

class Mishap:
    """The worker's disk may be full, forget what was not synced, and the time of day may be another."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "mishap")
        os.mkdir(self.folder)
        self.env = {"MISHAP_DIR": self.folder, **preload(folder, "mishap")}

    def set(self, name, value=""):
        with open(os.path.join(self.folder, name + ".new"), "w") as f:
            f.write(str(value))
        os.rename(os.path.join(self.folder, name + ".new"), os.path.join(self.folder, name))

    def clear(self, name):
        os.unlink(os.path.join(self.folder, name))

    def forget(self):
        for name in os.listdir(self.folder):
            self.clear(name)

    def power_fails(self, journal):
        """Of the journal only what was synced is left."""
        for end in ("", "-wal", "-shm"):
            synced = os.path.join(self.folder, os.path.basename(journal) + end + ".synced")
            if os.path.exists(journal + end):
                os.unlink(journal + end)
            if os.path.exists(synced):
                os.rename(synced, journal + end)


@pytest.fixture
def mishap(tmp_path):
    return Mishap(str(tmp_path))


def test_disk_is_full_at_the_intent(case, mishap):
    """case 9: nothing is sent that is not written."""
    c = case()
    c.old.rules["UID FETCH"] = fakemail.nth(2, lambda fake, talk, command: (
        mishap.set("full"), fake.do(talk, command)))
    assert "full" in c.ends_early("store", env=mishap.env)
    assert c.new.count("APPEND") == 0
    c.old.rules.clear()
    mishap.clear("full")
    c.exact()
    assert c.count() == 7


def test_disk_is_full_at_the_result(case, mishap):
    """case 9: what was sent is found again."""
    c = case()
    c.new.rules["APPEND"] = lambda fake, talk, command: (mishap.set("full"), fake.do(talk, command))
    assert "full" in c.ends_early("store", env=mishap.env)
    sent = c.new.count("APPEND")
    assert "full" in c.ends_early("store", env=mishap.env) and c.new.count("APPEND") == sent
    c.new.rules.clear()
    mishap.clear("full")
    c.exact()
    assert c.count() == 7


@pytest.mark.full
def test_power_fails_at_every_step(case, mishap):
    """case 12: what was not synced is lost, at each step."""
    c = case()
    for step in range(1, 100):
        c.new.accounts.clear()
        c.forget()
        mishap.forget()
        code, _ = c.run(stop_at=step, env=mishap.env)
        mishap.power_fails(c.journal)
        c.exact()
        assert c.count() == 7, "at step %d" % step
        if code == 0:
            break
    assert step > 8


@pytest.mark.parametrize("jump", (-86400, 86400))
def test_the_time_of_day_jumps_during_a_fence(case, mishap, monkeypatch, jump):
    """case 13: a fence is as long as it is."""
    monkeypatch.setattr(liars, "LATE_S", 0.8)
    c = case(liars.Late)
    c.changes["fence_s"], c.env = 2, mishap.env
    worker = c.start()
    assert c.new.waiting.wait(30)
    worker.send_signal(signal.SIGKILL)
    c.finish(worker)
    c.run_and_kill(0.3)
    mishap.set("jump", jump)
    begun = time.monotonic()
    c.exact()
    assert c.new.kept.wait(30) and c.count() == 7 and time.monotonic() - begun < 60
