"""
Mail that is gone for a while and comes back under new UIDs, as Dovecot's Maildir has it after its disk was full: the same
UIDVALIDITY, OK to everything, an empty folder; later all is there again. What was sent a second time meanwhile must not
stay there twice, on whichever side, and whatever became of the user's direction.
"""

import collections
import itertools
import sqlite3

import pytest

from lib import mail
from lib.copier import KILLED, Copier
from lib.fakemail import FakeMail, Refused

ANNA, SECRET = "anna@example.com", "secret"
PLAIN = {b"IMAP4rev1", b"LITERAL+", b"UIDPLUS", b"UNSELECT", b"NAMESPACE"}
CONDSTORE = PLAIN | {b"CONDSTORE", b"ENABLE", b"LIST-EXTENDED", b"LIST-STATUS"}
WINDOW = 4      # messages; a folder of more than two windows is swept
TWINS = b"Subject: twin\r\n\r\nthe same\r\n"


class Forgetful(FakeMail):
    """
    odd      UIDs whose lines in a listing nobody can read
    hidden   UIDs that it does not show, and all that it says adds up
    damaged  UIDs of mail that cannot be read: then a whole FETCH is refused, with `refusal`; None: nothing is in them
    """
    odd, hidden, damaged, refusal = (), (), (), b"[SERVERBUG] Internal error occurred."

    def item(self, item, mail, flags, modseq):
        if item.upper() == b"UID" and mail.uid in self.odd:
            return b"UID (of what)"
        return super().item(item, mail, flags, modseq)

    def visible(self, box):
        return [m for m in box.mails if m.uid not in self.hidden]

    def _status(self, box, items):
        return super()._status(box, items).replace(b"MESSAGES %d" % len(box.mails), b"MESSAGES %d" % len(self.visible(box)))

    def do_fetch(self, talk, command):
        if self.refusal and b"BODY.PEEK[]" in command.args[1] and any(m.uid in self.damaged for _, m in self._chosen(talk, command)):
            raise Refused(b"NO " + self.refusal)
        return super().do_fetch(talk, command)

    def body(self, mail):
        return b"" if mail.uid in self.damaged else mail.data

    def lose(self):
        box = self.box(ANNA)
        with self.lock:
            self.kept = list(box.mails)
            box.remove(m.uid for m in self.kept)

    def find(self):
        with self.lock:
            for m in self.kept:
                self.box(ANNA).add(m.data, m.flags, m.date)

    def held(self):
        return collections.Counter((m.data, frozenset(m.flags)) for m in self.box(ANNA).mails)


@pytest.fixture
def two(ca, tmp_path):
    """two(capabilities, window): old with eight messages, two of them twins; new, which has them; copier."""
    made = []

    def make(capabilities=CONDSTORE, window=0, **changes):
        old, new = (Forgetful(name, str(tmp_path), ca, {ANNA: SECRET}, capabilities=set(capabilities))
                    for name in ("old", "new"))
        made.extend((old, new))
        copier = Copier(old, new, ca, ANNA, SECRET, str(tmp_path), fence_s=0, **changes)
        copier.env["MAILFERRY_WINDOW"] = str(window)
        for i in range(6):
            old.put(ANNA, b"INBOX", mail.message("m%d" % i), (b"\\Seen",) if i % 2 else (b"\\Flagged",))
        for _ in range(2):
            old.put(ANNA, b"INBOX", TWINS)
        copier.until_clean()
        assert old.held() == new.held()
        return old, new, copier
    yield make
    for f in made:
        f.stop()


def brought_again(copier, server, n=8, **changes):
    """All that it had is gone, and is sent again; then it is back."""
    server.lose()
    code, result = copier.run(**changes)
    assert code == 0 and result["copied"] == n, result
    server.find()
    assert len(server.box(ANNA).mails) == 2 * n


@pytest.mark.parametrize("capabilities, window", [(CONDSTORE, 0), (PLAIN - {b"UIDPLUS"}, 0), (PLAIN, WINDOW)],
                         ids=["told", "no UIDPLUS", "swept"])
def test_nothing_stays_twice(two, capabilities, window):
    old, new, copier = two(capabilities, window)
    brought_again(copier, new)
    appends = new.count("APPEND")
    copier.until_clean()
    assert new.held() == old.held() and new.count("APPEND") == appends
    assert copier.run()[1]["clean"]
    assert len(old.box(ANNA).mails) == 8


def test_flags_are_those_of_the_side_that_counts(two):
    old, new, copier = two()
    new.lose()
    copier.run()
    with old.lock:
        first = old.box(ANNA).mails[0]
        first.flags = {b"\\Answered"}
        old.box(ANNA).changed(first)
    new.find()
    copier.until_clean()
    assert new.held() == old.held()


def test_deleted_meanwhile_is_not_removed_by_us(two):
    """The original is gone and nothing stands for it: what came back is a stranger, and said; nobody deletes it."""
    old, new, copier = two()
    new.lose()
    copier.run()
    old.box(ANNA).remove([1])
    copier.until_clean()
    new.find()
    copier.until_clean()
    assert new.held() - old.held() == collections.Counter({(mail.message("m0"), frozenset({b"\\Flagged"})): 1})
    assert not old.held() - new.held()


def test_only_a_part_comes_back(two):
    old, new, copier = two()
    new.lose()
    copier.run()
    new.kept = new.kept[3:]
    new.find()
    copier.until_clean()
    assert new.held() == old.held()


def test_gone_twice(two):
    old, new, copier = two()
    brought_again(copier, new)
    new.lose()      # those that came back, too
    copier.run()
    new.find()
    copier.until_clean(6)
    assert new.held() == old.held()


@pytest.mark.parametrize("refusal", [Forgetful.refusal, b"Some of the requested messages no longer exist.", None],
                         ids=["damaged", "expunged", "empty"])
def test_a_second_copy_cannot_be_read_for_a_while(two, refusal):
    """It is not forgotten, and keeps nobody else's from being removed."""
    old, new, copier = two()
    brought_again(copier, new)
    new.damaged, new.refusal = {9}, refusal
    code, result = copier.run()
    assert code == 0 and not result["clean"], result
    assert [m.uid for m in new.box(ANNA).mails] == [9] + list(range(17, 25))
    assert not copier.run()[1]["clean"] and len(new.box(ANNA).mails) == 9
    new.damaged = ()
    copier.until_clean()
    assert new.held() == old.held()


def test_all_of_it_gets_other_uids_again(two):
    """Before anybody has looked: what was sent again is not where it was, nor is what came back."""
    old, new, copier = two()
    brought_again(copier, new)
    new.lose()
    new.find()
    assert [m.uid for m in new.box(ANNA).mails] == list(range(25, 41))
    copier.until_clean(6)
    assert new.held() == old.held()


def test_mail_of_others_stays(two):
    """What was there of somebody else goes and comes back with ours, and is nobody's second copy."""
    old, new, copier = two()
    others = [mail.message("other%d" % i) for i in range(3)]
    for data in others:
        new.put(ANNA, b"INBOX", data)
    new.lose()
    new.kept, theirs = new.kept[:8], new.kept[8:]
    copier.run()
    new.kept += theirs
    new.find()
    copier.until_clean()
    assert new.held() - old.held() == collections.Counter((d, frozenset()) for d in others)


def test_another_uidvalidity_and_all_comes_back(two):
    """Empty under a new UIDVALIDITY: what was known is forgotten, and yet what comes back is no second copy."""
    old, new, copier = two()
    new.lose()
    new.box(ANNA).uidvalidity += 7
    new.box(ANNA).uidnext = 1
    copier.run()
    copier.run()
    assert new.held() == old.held()
    new.find()
    copier.until_clean()
    assert new.held() == old.held()


@pytest.mark.parametrize("passes", [0, 1])
def test_another_uidvalidity_after_it_was_sent_again(two, passes):
    """What was sent again is recognised by its content, and so is what comes back, at once or later."""
    old, new, copier = two()
    new.lose()
    copier.run()
    box = new.box(ANNA)
    kept, box.mails, box.uidvalidity, box.uidnext = box.mails, [], box.uidvalidity + 7, 1
    for m in kept:
        box.add(m.data, m.flags, m.date)
    for _ in range(passes):
        copier.run()
    new.find()
    copier.until_clean(6)
    assert new.held() == old.held()


def in_trash(two):
    """Five messages more, long in Trash, where a server may remove them for their age."""
    old, new, copier = two()
    for i in range(5):
        old.put(ANNA, b"Trash", mail.message("thrown%d" % i))
    copier.until_clean()
    return old, new, copier


def other_uids(server, name):
    """As after a full disk: the same UIDVALIDITY."""
    with server.lock:
        box = server.box(ANNA, name)
        kept = list(box.mails)
        box.remove(m.uid for m in kept)
        for m in kept:
            box.add(m.data, m.flags, m.date)
    return kept


def trash(server):
    return collections.Counter(m.data for m in server.box(ANNA, b"Trash").mails)


def test_what_seemed_to_be_removed_for_its_age_comes_back(two):
    """Its rows get it back, and nobody is kept from being moved."""
    old, new, copier = in_trash(two)
    kept = list(new.box(ANNA, b"Trash").mails)
    new.box(ANNA, b"Trash").remove(m.uid for m in kept)
    result = copier.run()[1]
    assert result["clean"] and "has removed 5 messages for their age" in result["text"], result
    with new.lock:
        for m in kept:
            new.box(ANNA, b"Trash").add(m.data, m.flags, m.date)
    copier.until_clean()
    assert trash(new) == trash(old) and sum(trash(new).values()) == 5
    old.box(ANNA, b"Trash").remove([1])
    copier.until_clean()
    assert trash(new) == trash(old)


def test_in_trash_all_has_other_uids(two):
    old, new, copier = in_trash(two)
    other_uids(new, b"Trash")
    copier.until_clean()
    assert trash(new) == trash(old) and sum(trash(new).values()) == 5


def test_in_trash_of_old_all_has_other_uids_and_the_way_back_is_withdrawn(two):
    old, new, copier = in_trash(two)
    copier.run("trailing")
    other_uids(old, b"Trash")
    copier.changes["from"] = "new"
    copier.run()
    copier.changes["from"] = "old"
    assert copier.run("trailing")[1]["copied"] == 0
    assert max(trash(new).values()) == 1


def test_the_second_copy_is_not_shown_either(two):
    """One is sent again, and once more when that is not shown; then all are there."""
    old, new, copier = two()
    for hidden in ({2}, {1, 9}):
        new.hidden = hidden
        new.box(ANNA).modseq += 1
        copier.run()
    new.hidden = ()
    new.box(ANNA).modseq += 1
    copier.until_clean(6)
    assert new.held() == old.held()


def test_old_was_empty_after_the_flip_and_is_so_on_the_way_back(two):
    """What it had is sent to it again; and it is back."""
    old, new, copier = two()
    copier.run("trailing")
    old.lose()
    copier.run("trailing")
    copier.changes["from"] = "new"
    assert copier.run()[1]["copied"] == 8
    old.find()
    copier.until_clean()
    assert old.held() == new.held() and len(old.box(ANNA).mails) == 8


@pytest.mark.full
def test_missed_on_a_way_back_that_is_withdrawn(two):
    """old is empty, the worker dies at any step of sending all of it again, and then old has it: nothing of it is new mail."""
    code = KILLED
    for step in itertools.count(1):
        if code != KILLED:
            break
        old, new, copier = two()
        copier.run("trailing")
        before = new.held()
        old.lose()
        code, _ = copier.run(stop_at=step, **{"from": "new"})
        old.find()
        for _ in range(2):
            assert copier.run("trailing")[1]["copied"] == 0, step
        assert new.held() == before
        copier.changes["from"] = "new"
        copier.until_clean(6)
        assert old.held() == new.held() == before
        copier.forget()


@pytest.mark.parametrize("back", ["trailing", "pass"])
def test_direction_turned(two, back):
    """Lost on old while the user was on his way back to it; found when old is read again: no arrivals."""
    old, new, copier = two()
    copier.changes["from"] = "new"
    copier.until_clean()
    brought_again(copier, old)
    copier.changes["from"] = "old"
    result = copier.run(back)[1]
    assert result["copied"] == 0 and len(new.box(ANNA).mails) == 8, result
    assert copier.run(back)[1]["copied"] == 0
    copier.changes["from"] = "new"
    copier.until_clean()
    assert new.held() == old.held() and len(old.box(ANNA).mails) == 8


def test_read_by_its_user_before_it_comes_back(two):
    """Flags that are about to follow are of a row that has another UID by then."""
    old, new, copier = two(PLAIN)
    new.lose()
    copier.run()
    copier.changes["from"] = "new"
    copier.until_clean()
    with new.lock:
        for m in new.box(ANNA).mails:
            m.flags = m.flags ^ {b"\\Seen"}
            new.box(ANNA).changed(m)
    new.find()
    copier.until_clean()
    assert len(old.box(ANNA).mails) == 8
    copier.changes["from"] = "old"
    copier.until_clean()
    assert new.held() == old.held() and len(old.box(ANNA).mails) == 8


def turned_with_both_there(two, capabilities=PLAIN, window=0):
    """new is read now, and has eight messages twice: UIDs 9 to 16, sent again, and 17 to 24, which came back."""
    old, new, copier = two(capabilities, window)
    brought_again(copier, new)
    copier.changes["from"] = "new"
    copier.until_clean()
    assert [m.uid for m in new.box(ANNA).mails] == list(range(9, 25)) and len(old.box(ANNA).mails) == 8
    return old, new, copier


@pytest.mark.parametrize("capabilities, window", [(CONDSTORE, 0), (PLAIN, WINDOW)], ids=["told", "swept"])
@pytest.mark.parametrize("deleted", [range(17, 25), range(9, 17)], ids=["came back", "sent again"])
def test_one_of_two_is_deleted_by_its_user(two, deleted, capabilities, window):
    old, new, copier = turned_with_both_there(two, capabilities, window)
    before = old.held()
    new.box(ANNA).remove(deleted)
    copier.until_clean()
    assert old.held() == before
    copier.changes["from"] = "old"
    copier.until_clean()
    assert new.held() == old.held() == before


WAYS = pytest.mark.parametrize("capabilities, window", [(CONDSTORE, 0), (PLAIN, 0), (PLAIN, WINDOW)],
                               ids=["told", "listed", "swept"])


@WAYS
def test_a_line_of_the_listing_cannot_be_read(two, capabilities, window):
    """Who is not in such a listing has not left, and his second copy does not stand for him."""
    old, new, copier = turned_with_both_there(two, capabilities, window)
    before = old.held()
    new.odd = {17}
    new.put(ANNA, b"INBOX", mail.message("later"))
    assert not copier.run()[1].get("clean")
    new.odd = ()
    copier.until_clean()
    assert old.held() - before == collections.Counter({(mail.message("later"), frozenset()): 1})


@WAYS
@pytest.mark.parametrize("hidden", [range(1, 100), {17}], ids=["all", "one"])
def test_not_shown_for_a_while(two, hidden, capabilities, window):
    """The listing adds up, and yet what is not in it has not left."""
    old, new, copier = turned_with_both_there(two, capabilities, window)
    before = old.held()
    new.hidden = hidden
    new.box(ANNA).modseq += 1
    copier.run()
    new.hidden = ()
    new.box(ANNA).modseq += 1
    copier.until_clean()
    assert old.held() == before
    copier.changes["from"] = "old"
    copier.until_clean()
    assert new.held() == old.held() == before


def test_the_other_side_gets_other_uids(two):
    """What is surplus on new stays so when old's UIDVALIDITY changes."""
    old, new, copier = turned_with_both_there(two)
    before = old.held()
    old.box(ANNA).uidvalidity += 7
    copier.until_clean()
    assert old.held() == before
    copier.changes["from"] = "old"
    copier.until_clean()
    assert new.held() == old.held() == before


def test_what_has_a_row_is_not_removed(two):
    """As an older program left it: what was surplus on new was copied to old all the same."""
    old, new, copier = turned_with_both_there(two)
    db = sqlite3.connect(copier.journal)
    with db:
        assert db.execute("DELETE FROM msg WHERE state = 4").rowcount == 8
    db.close()
    copier.until_clean()
    assert len(old.box(ANNA).mails) == 16
    copier.changes["from"] = "old"
    copier.until_clean()
    assert [m.uid for m in new.box(ANNA).mails] == list(range(9, 25)) and len(old.box(ANNA).mails) == 16


def test_both_are_deleted_by_their_user(two):
    old, new, copier = turned_with_both_there(two)
    new.box(ANNA).remove([9, 17])
    copier.until_clean()
    assert len(old.box(ANNA).mails) == 7


def test_a_uid_of_another_numbering_is_nobodys_second_copy(two):
    old, new, copier = turned_with_both_there(two)
    box, strangers = new.box(ANNA), [mail.message("stranger%d" % i) for i in range(30)]
    with new.lock:
        kept, box.mails = list(box.mails), []
        box.uidvalidity += 7
        box.uidnext = 1
        for data in strangers:
            box.add(data)
        for m in kept:
            box.add(m.data, m.flags, m.date)
    copier.changes["from"] = "old"
    for _ in range(3):
        copier.run()
    assert not collections.Counter(strangers) - collections.Counter(m.data for m in box.mails)


@pytest.mark.parametrize("turned", [False, pytest.param(True, marks=pytest.mark.full)])
def test_killed_at_every_step(two, turned):
    old, new, copier = two(PLAIN)
    if turned:
        copier.changes["from"] = "new"
        copier.until_clean()
    there = old if turned else new
    for step in itertools.count(1):
        brought_again(copier, there)
        code, _ = copier.run(stop_at=step)
        assert code in (0, KILLED)
        copier.until_clean(6)
        assert new.held() == old.held() and len(there.box(ANNA).mails) == 8, step
        if code == 0:
            break
    assert step > 3     # what came back is written, what is surplus is about to go, and has gone
