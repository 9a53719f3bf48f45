"""The next folder is read while the present one ends: what one of them has in store must not become the other's."""

import pytest

from lib import mail
from lib.copier import Copier
from lib.fakemail import FakeMail, Refused

ANNA, SECRET = "anna@example.com", "secret"
FOLDERS = (b"INBOX", b"Second", b"Third")


class Fake(FakeMail):
    locked = None       # a folder that cannot be selected

    def do_select(self, talk, command, read_only=False):
        if self.locked and self.locked in command.args:
            raise Refused(b"NO locked")
        return super().do_select(talk, command, read_only)


class Altering(Fake):
    """Stores one message otherwise than it was given."""

    def stored(self, data):
        return data.replace(b"altered", b"changed")


@pytest.fixture
def fakes(ca, tmp_path):
    """fakes(new=kind): old and new, each with mail in FOLDERS or without, and a copier of one lane."""
    made = []

    def make(new=Fake, old=Fake):
        made.extend(kind(name, str(tmp_path), ca, {ANNA: SECRET}) for name, kind in (("old", old), ("new", new)))
        for i, folder in enumerate(FOLDERS):
            if folder != b"INBOX":
                made[0].create(ANNA, folder)
            for k in range(9 - 3 * i):      # the largest folder goes first
                made[0].put(ANNA, folder, mail.message("%s-%d" % (folder.decode(), k)))
        return made[0], made[1], Copier(made[0], made[1], ca, ANNA, SECRET, str(tmp_path), fence_s=0,
                                         exceptions=str(tmp_path / "exceptions" / "anna"))
    yield make
    for f in made:
        f.stop()


def held(server, folder):
    return sorted(m.data for m in server.box(ANNA, folder).mails)


def same(old, new, folders=FOLDERS):
    for folder in folders:
        assert held(old, folder) == held(new, folder), folder


def add_to_all(old, word):
    for folder in FOLDERS:
        old.put(ANNA, folder, mail.message("%s-%s" % (folder.decode(), word)))


def pass_of(copier):
    code, result = copier.run()
    assert code == 0 and result["ok"], result
    return result


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_locked_folder_holds_up_no_other(fakes, side):
    """case 46: on new it is refused when old's mail is on its way already."""
    old, new, copier = fakes()
    copier.until_clean()
    add_to_all(old, "later")
    server = {"old": old, "new": new}[side]
    server.locked = b"Second"
    result = pass_of(copier)
    assert not result["clean"] and "Second" in result["text"], result
    same(old, new, (b"INBOX", b"Third"))
    server.locked = None
    copier.until_clean()
    same(old, new)


def test_an_altered_message_is_kept_as_it_was(fakes, tmp_path):
    """It is asked for once more, from a folder that was left for the next one."""
    old, new, copier = fakes(new=Altering)
    copier.until_clean()
    add_to_all(old, "later")
    bad = b"Subject: altered here\r\n\r\nwhat new does not keep\r\n"
    old.put(ANNA, b"INBOX", bad)
    result = pass_of(copier)
    assert not result["clean"] and result["exceptions"] == 1, result
    assert [p.read_bytes() for p in (tmp_path / "exceptions").rglob("*") if p.is_file()] == [bad]
    same(old, new, (b"Second", b"Third"))
    assert len(held(new, b"INBOX")) == len(held(old, b"INBOX"))


def test_strangers_are_looked_at_in_their_own_folder(fakes):
    """Mail on new that is nobody's; the connection is at the next folder when it is compared."""
    old, new, copier = fakes()
    copier.until_clean()
    for folder in FOLDERS:
        new.put(ANNA, folder, mail.message("a stranger in " + folder.decode()))
    add_to_all(old, "later")
    result = pass_of(copier)
    assert result["copied"] == len(FOLDERS) and "second copies" not in result["text"], result
    for folder in FOLDERS:
        assert len(held(new, folder)) == len(held(old, folder)) + 1
