"""
What stands on one side alone when the direction turns: refused there, or gone here after the flip. Nothing of it is deleted
because the side that counts now never had it, and nothing that new has is missing on old afterwards.
"""

import collections

import pytest

from lib import mail, messages
from lib.copier import Copier
from lib.fakemail import FakeMail, Refused

ANNA, SECRET = "anna@example.com", "secret"
PLAIN = {b"IMAP4rev1", b"LITERAL+", b"UIDPLUS", b"UNSELECT", b"NAMESPACE"}
CONDSTORE = PLAIN | {b"CONDSTORE", b"ENABLE", b"LIST-EXTENDED", b"LIST-STATUS"}
WINDOW = 4      # messages; a folder of more than two windows is swept
BACK = {"from": "new"}
POISON = messages.sound("bad", b"poison\r\n")


class Picky(FakeMail):
    def stored(self, data):
        if b"poison" in data:
            raise Refused(b"NO policy forbids it")
        return data

    def held(self):
        return collections.Counter(m.data for m in self.box(ANNA).mails)


@pytest.fixture(params=[(CONDSTORE, 0), (PLAIN, WINDOW)], ids=["told", "swept"])
def two(request, ca, tmp_path):
    """old and new with the same ten messages, and the copier between them."""
    capabilities, window = request.param
    old, new = (Picky(name, str(tmp_path), ca, {ANNA: SECRET}, capabilities=set(capabilities)) for name in ("old", "new"))
    copier = Copier(old, new, ca, ANNA, SECRET, str(tmp_path), fence_s=0, exceptions=str(tmp_path / "exceptions" / "anna"))
    copier.env["MAILFERRY_WINDOW"] = str(window)
    for i in range(10):
        old.put(ANNA, b"INBOX", mail.message("m%d" % i))
    copier.until_clean()
    assert old.held() == new.held()
    yield old, new, copier
    for f in (old, new):
        f.stop()


@pytest.mark.parametrize("arrives", ["before the flip", "while trailing"])
def test_what_new_has_refused_stays_on_old(two, arrives):
    old, new, copier = two
    old.put(ANNA, b"INBOX", POISON)
    result = copier.run("pass" if arrives == "before the flip" else "trailing")[1]
    assert result["exceptions"] == 1
    assert copier.until_clean(**BACK)["exceptions"] == 0
    assert old.held() == new.held() + collections.Counter([POISON])
    result = copier.run()[1]
    assert result["exceptions"] == 1 and old.held()[POISON] == 1


def test_what_old_has_refused_stays_on_new(two):
    old, new, copier = two
    new.put(ANNA, b"INBOX", POISON)
    assert copier.run(**BACK)[1]["exceptions"] == 1
    assert copier.until_clean()["exceptions"] == 0
    assert new.held() == old.held() + collections.Counter([POISON])


def test_what_has_left_old_after_the_flip_is_there_again_after_the_way_back(two):
    old, new, copier = two
    copier.run("trailing")
    old.box(ANNA).remove([3, 4])
    assert copier.run("trailing")[1]["strays"] == 2
    new.box(ANNA).remove([4])       # its user has thrown it away, too
    assert copier.until_clean(**BACK)["copied"] == 1
    assert old.held() == new.held() and sum(old.held().values()) == 9
    copier.until_clean()
    assert old.held() == new.held() and sum(new.held().values()) == 9


@pytest.mark.parametrize("uidvalidity", [0, 7], ids=["new UIDs", "new UIDVALIDITY"])
def test_old_was_empty_for_a_while_after_the_flip(two, uidvalidity):
    """What comes back is what new has: nothing is sent twice, and what its user deleted on new goes from old, too."""
    old, new, copier = two
    box = old.box(ANNA)
    kept = list(box.mails)
    box.remove(m.uid for m in kept)
    copier.run("trailing")
    with old.lock:
        box.uidvalidity += uidvalidity
        for m in kept:
            box.add(m.data, m.flags, m.date)
    assert copier.run("trailing")[1]["copied"] == 0
    new.box(ANNA).remove([5])
    assert copier.until_clean(**BACK)["copied"] == 0
    assert old.held() == new.held() and sum(old.held().values()) == 9
    copier.until_clean()
    assert old.held() == new.held() and sum(new.held().values()) == 9


def test_a_way_back_that_is_withdrawn(two):
    old, new, copier = two
    copier.run("trailing")
    old.box(ANNA).remove([3])
    copier.run("trailing")
    copier.run(stop_at=1, **BACK)
    old.put(ANNA, b"INBOX", mail.message("late"))
    assert copier.run("trailing")[1]["copied"] == 1
    assert sum(new.held().values()) == 11 and max(new.held().values()) == 1
    copier.until_clean(**BACK)
    assert old.held() == new.held() and sum(old.held().values()) == 11
