"""UIDs of copied mail: old's own where they can be had, else above all that old has given, else what new gives."""

import re

import pytest

from lib import mail, reader
from lib.copier import KILLED
from lib.imapclient import ImapClient

EXACT = {"uids": "exact", "uid_gaps": 50000, "uid_floor": 50000, "uid_s": 60}
FLOOR = 10000   # above old's UIDNEXT, at least


class Box:
    """One folder of one server, straight."""

    def __init__(self, stage, server, person, folder="INBOX"):
        self.client = ImapClient(server.address, server.ports["imaps"], stage.context)
        self.client.login(person.name, person.password)
        self.folder = reader.quote(folder.encode())
        if folder != "INBOX":
            self.client.command(b"CREATE " + self.folder)

    def put(self, *stamps):
        for s in stamps:
            self.client.finish(self.client.begin_append(self.folder, mail.message(s, 300), b"", None))

    def drop(self, uids):
        """Gone for good: their UIDs are given to nothing any more."""
        self.client.command(b"SELECT " + self.folder)
        self.client.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % uids)
        self.client.command(b"EXPUNGE")
        self.client.command(b"NOOP")

    def waste(self, n):
        """Uses up n UIDs: one message, copied and gone."""
        self.put("waste")
        first = self.next() - 1
        self.client.command(b"SELECT " + self.folder)
        have, left = 1, n - 1
        while left:
            step = min(have, left)
            self.client.command(b"NOOP")    # Courier sees what is new
            self.client.command(b"UID COPY %d:%d %s" % (first, first + step - 1, self.folder))
            have, left = have + step, left - step
        self.drop(b"%d:%d" % (first, first + n - 1))

    def next(self):
        """UIDNEXT"""
        self.client.command(b"NOOP")
        heard = self.client.command(b"STATUS %s (UIDNEXT)" % self.folder)[0]
        return int(re.search(rb"UIDNEXT (\d+)", b"".join(heard)).group(1))

    def close(self):
        self.client.logout()


def uids(stage, server, person, folder="INBOX"):
    """{stamp: UID}"""
    found = reader.read(server, person.name, stage.context)
    return {m.stamp: m.uid for f in found.values() if f.name[-1] == folder for m in f.messages}


@pytest.fixture
def box(stage, person):
    made = []

    def make(server, folder="INBOX"):
        made.append(Box(stage, server, person, folder))
        return made[-1]
    yield make
    for b in made:
        b.close()


@pytest.fixture
def exact(copier):
    copier.changes.update(EXACT)
    return copier


@pytest.fixture
def can(stage, person):
    """Does new say where it puts mail?"""
    c = ImapClient(stage.new.address, stage.new.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    can = c.lists(b"UIDPLUS")
    c.close()
    return can


def ragged(box):
    """Gaps of one, of some and of many; the last that was given is gone, too."""
    box.put("a", "b", "c", "d", "e")
    box.drop(b"2,4")
    box.waste(40)
    box.put("f", "g")
    box.waste(700)
    box.put("h", "i")
    box.drop(b"%d" % (box.next() - 1))


def test_the_same_uids(stage, person, exact, box):
    old = box(stage.old)
    ragged(old)
    exact.until_clean()
    facts = exact.until_clean()["facts"]    # Courier tells a pass later what UIDNEXT the fillers have left
    assert uids(stage, stage.new, person) == uids(stage, stage.old, person) == {
        "a": 1, "c": 3, "e": 5, "f": 46, "g": 47, "h": 748}
    assert box(stage.new).next() >= old.next() == 750
    assert [facts[k] for k in ("other_uids", "inexact", "strangers", "uids_why")] == [0, 0, 0, ""]
    old.waste(3)
    old.put("j")
    old.drop(b"3")
    exact.until_clean()
    assert uids(stage, stage.new, person) == uids(stage, stage.old, person)
    assert "j" in uids(stage, stage.new, person) and not exact.difference()


def test_above_all_that_old_has_given(stage, person, exact, box, can):
    """Mail stands there already: exact is not to be had, and no UID may be one of old's."""
    old, new = box(stage.old), box(stage.new)
    ragged(old)
    new.put("welcome")
    facts = exact.run()[1]["facts"]
    got = uids(stage, stage.new, person)
    if not can:
        assert facts["low_uids"] == 1 and facts["uids_why"].startswith("new has no UIDPLUS"), facts
        return
    assert min(uid for stamp, uid in got.items() if stamp != "welcome") >= old.next() + FLOOR
    assert (facts["low_uids"], facts["other_uids"], facts["strangers"]) == (0, 6, 1)
    assert facts["uids_why"].startswith("there is mail that was not copied"), facts
    old.put("later")
    exact.run()
    assert sorted(uids(stage, stage.new, person)) == sorted(uids(stage, stage.old, person)) + ["welcome"]


def test_plain_after_mail_that_was_brought_by_others(stage, person, exact, box):
    old = box(stage.old)
    old.waste(20)
    old.put("x", "y")
    exact.until_clean(uids="plain")
    exact.forget()
    old.put("z")
    facts = exact.until_clean()["facts"]
    assert uids(stage, stage.new, person) == {"x": 1, "y": 2, "z": 3} and facts["low_uids"] == 1, facts
    assert box(stage.new).next() == 4


@pytest.mark.parametrize("limits, why", (({"uid_gaps": 5, "uid_floor": 5}, "too many UIDs were given on old"),
                                         pytest.param({"uid_gaps": 5}, "too many UIDs without a message",
                                                      marks=pytest.mark.full)))
def test_caps(stage, person, exact, box, can, limits, why):
    old = box(stage.old)
    old.waste(20)
    old.put("x")
    facts = exact.until_clean(**limits)["facts"]
    got = uids(stage, stage.new, person)["x"]
    if can:
        assert facts["uids_why"].startswith(why)
        assert got == 1 if "uid_floor" in limits else got >= FLOOR, got


@pytest.mark.full
def test_killed_at_every_step(stage, person, exact, box):
    """Nothing of a filler stays, and what is copied afterwards goes on where it should."""
    ragged(box(stage.old))
    steps = 0
    while exact.run(stop_at=4 + 3 * steps)[0] == KILLED and steps < 12:
        steps += 1
    assert steps > 1
    facts = exact.until_clean()["facts"]
    assert not exact.difference() and facts["strangers"] == 0
    assert uids(stage, stage.new, person) == uids(stage, stage.old, person) or facts["uids_why"]
