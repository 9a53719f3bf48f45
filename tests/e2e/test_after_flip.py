"""
After the flip, when a worker dies, UIDs change or old is in trouble: what comes on old is on new once, and nothing that new
would not take is forgotten.
"""

import collections
import fcntl
import itertools
import os
import struct

import pytest

from lib import mail, messages
from lib.copier import KILLED, Copier
from lib.fakemail import FakeMail, Refused

ANNA, SECRET = "anna@example.com", "secret"
BACK = {"from": "new"}
POISON = messages.sound("bad", b"poison\r\n")
LATE = [mail.message("late%d" % i) for i in range(2)]
WORD_FD = 4     # sync/pace.h: PACE_FD and one more


class Picky(FakeMail):
    def stored(self, data):
        if b"poison" in data:
            raise Refused(b"NO policy forbids it")
        return data

    def held(self):
        return collections.Counter(m.data for m in self.box(ANNA).mails)

    def held_anywhere(self):
        return collections.Counter(m.data for box in self.account(ANNA).boxes.values() for m in box.mails)

    def throw_away(self, folder):
        """As clients do it: its mail goes to Trash first."""
        with self.lock:
            for m in self.box(ANNA, folder).mails:
                self.box(ANNA, b"Trash").add(m.data, m.flags, m.date)
            del self.account(ANNA).boxes[folder]

    def renumber(self, uidvalidity=7):
        """All of it has other UIDs, from the first one on."""
        box = self.box(ANNA)
        with self.lock:
            kept = list(box.mails)
            box.remove(m.uid for m in kept)
            box.uidvalidity += uidvalidity
            box.uidnext = 1 if uidvalidity else box.uidnext
            for m in kept:
                box.add(m.data, m.flags, m.date)


@pytest.fixture
def pairs(ca, tmp_path):
    """
    pairs(folder, …): another old and new with the same four messages, and the copier between them; and one more message in
    each of these folders
    """
    made = []

    def make(*folders):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        old, new = (Picky(name, str(folder), ca, {ANNA: SECRET}) for name in ("old", "new"))
        made.extend((old, new))
        copier = Copier(old, new, ca, ANNA, SECRET, str(folder), fence_s=0, exceptions=str(folder / "exceptions" / "anna"))
        for i in range(4):
            old.put(ANNA, b"INBOX", mail.message("m%d" % i))
        for name in folders:
            old.put(ANNA, name, mail.message(name.decode()))
        copier.until_clean()
        return old, new, copier
    yield make
    for f in made:
        f.stop()


def each_death(pairs, kind="trailing", side="old", folder=b"INBOX", folders=(), **changes):
    """The two late ones come on that side, and the worker dies, at each of its steps."""
    code = KILLED
    for step in itertools.count(1):
        if code != KILLED:
            return
        old, new, copier = pairs(*folders)
        copier.run("trailing")
        for data in LATE:
            (old if side == "old" else new).put(ANNA, folder, data)
        code, _ = copier.run(kind, stop_at=step, **changes)
        yield old, new, copier


def clean_at_last(copier):
    for _ in range(3):
        result = copier.run("trailing")[1]
    assert result["clean"], result


@pytest.mark.full
@pytest.mark.parametrize("changed", ["old", "new"])
def test_killed_and_then_other_uids(pairs, changed):
    for old, new, copier in each_death(pairs):
        if changed == "new":
            new.box(ANNA).remove([1, 2])    # so that what is in doubt has lower UIDs than were to be expected
            gone = 2
        else:
            gone = 0
        {"old": old, "new": new}[changed].renumber()
        clean_at_last(copier)
        held = new.held()
        assert all(held[data] == 1 for data in LATE) and sum(held.values()) == 6 - gone, held


def test_new_begins_its_uids_again(pairs):
    """That is told once, and is no reason to look at it anew each time."""
    old, new, copier = pairs()
    copier.run("trailing")
    new.box(ANNA).remove([1, 2])
    new.renumber()
    old.put(ANNA, b"INBOX", LATE[0])
    copier.run("trailing")
    old.put(ANNA, b"INBOX", LATE[1])
    result = copier.run("trailing")[1]
    assert result["clean"] and result["copied"] == 1, result


@pytest.mark.full
def test_killed_on_the_way_back_which_is_withdrawn(pairs):
    for old, new, copier in each_death(pairs, "pass", "new", **BACK):
        clean_at_last(copier)
        assert new.held() == collections.Counter(LATE + [mail.message("m%d" % i) for i in range(4)])
        copier.until_clean(**BACK)
        assert old.held() == new.held()


@pytest.mark.full
def test_killed_and_then_the_way_back(pairs):
    """What was on its way to new may have arrived or not; on old it stays, and so does its twin."""
    for old, new, copier in each_death(pairs):
        old.put(ANNA, b"INBOX", LATE[0])
        before = old.held()
        for _ in range(3):
            assert copier.run(**BACK)[1]["ok"]
        assert old.held() == before
        assert not new.held() - old.held() and max(new.held().values()) == 1


def test_what_new_has_refused_is_listed_still_when_old_has_other_uids(pairs):
    old, new, copier = pairs()
    copier.run("trailing")
    old.put(ANNA, b"INBOX", POISON)
    assert copier.run("trailing")[1]["exceptions"] == 1
    old.renumber()
    assert copier.run("trailing")[1]["exceptions"] == 1
    assert copier.run("trailing")[1]["exceptions"] == 1
    assert sum(new.held().values()) == 4


def test_a_folder_is_thrown_away_on_old(pairs):
    old, new, copier = pairs(b"Work", b"Trash")
    copier.run("trailing")
    before = new.held_anywhere()
    old.throw_away(b"Work")
    old.put(ANNA, b"Trash", LATE[0])
    result = copier.run("trailing")[1]
    assert (result["copied"], result["strays"], result["clean"]) == (1, 1, True), result
    result = copier.run("trailing")[1]
    assert (result["copied"], result["strays"], result["clean"]) == (0, 0, True), result
    assert new.held_anywhere() == before + collections.Counter(LATE[:1])


def test_as_many_are_moved_away_on_old_as_had_been_moved_there(pairs):
    """The numbers are as if nothing had left; and yet what left is not new mail where it is now."""
    old, new, copier = pairs(b"Work")
    copier.run("trailing")
    before = new.held_anywhere()
    for source, target in ((b"INBOX", b"Work"), (b"Work", b"INBOX")):
        with old.lock:
            m = old.box(ANNA, source).mails[0]
            old.box(ANNA, source).remove([m.uid])
            old.box(ANNA, target).add(m.data, m.flags, m.date)
        assert copier.run("trailing")[1]["copied"] == 0
    clean_at_last(copier)
    assert new.held_anywhere() == before


@pytest.mark.full
def test_killed_and_then_the_folder_is_thrown_away(pairs):
    for old, new, copier in each_death(pairs, folder=b"Work", folders=(b"Work", b"Trash")):
        old.throw_away(b"Work")
        clean_at_last(copier)
        assert sum(new.held_anywhere().values()) == 8 and max(new.held_anywhere().values()) == 1, new.held_anywhere()


def in_trouble(copier, kind):
    """A pass while, by the engine's word, old is in trouble."""
    fd = os.memfd_create("word", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, struct.pack("@qqqqqQQ", 0, (1 << 63) - 1, 0, 0, 0, 0, 0))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    copier.popen = {"pass_fds": [WORD_FD], "preexec_fn": lambda: os.dup2(fd, WORD_FD)}
    try:
        return copier.run(kind)[1]
    finally:
        copier.popen = {}
        os.close(fd)


def test_old_is_in_trouble_and_its_mail_comes_back(pairs):
    """Empty for a while, as with a full disk; then all is there again under other UIDs, and old not yet well."""
    old, new, copier = pairs()
    copier.run("trailing")
    before = new.held()
    old.renumber(0)
    old.put(ANNA, b"INBOX", LATE[0])
    result = in_trouble(copier, "trailing")
    assert result["copied"] == 1 and result["strays"] == 0, result
    assert new.held() == before + collections.Counter(LATE[:1])
    copier.run("trailing")
    copier.until_clean(**BACK)
    assert old.held() == new.held() == before + collections.Counter(LATE[:1])
