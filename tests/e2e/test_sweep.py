"""
Folders too large for memory are swept in windows (here of a few messages): what comes of it is what comes of looking at the
whole folder, whatever is in it, whatever is changed, and whatever servers make others believe.
"""

import random
import tempfile
import types

import pytest

from lib import mail
from lib.copier import Copier
from lib.fakemail import FakeMail

ANNA, SECRET = "anna@example.com", "secret"
PLAIN = {b"IMAP4rev1", b"LITERAL+", b"UIDPLUS", b"UNSELECT", b"NAMESPACE"}
FLAGS = ((), (b"\\Seen",), (b"\\Flagged", b"$Label1"), (b"\\Answered", b"\\Seen"))
BRAKE = 1000


class Fake(FakeMail):
    """Tests hang their lies on it."""

    says_more = 0           # messages than there are
    hides = frozenset()     # UIDs that are left out where more than UIDs is asked for
    arrives = None          # a message, before the first such listing

    def do_select(self, talk, command, read_only=False):
        code = super().do_select(talk, command, read_only)
        if self.says_more:
            talk.say(b"* %d EXISTS\r\n" % (len(talk.view) + self.says_more))
        return code

    def do_fetch(self, talk, command):
        self.hiding = self.hides if b"FLAGS" in command.args[1] else frozenset()
        if self.arrives and b"FLAGS" in command.args[1]:
            talk.box.add(self.arrives)
            self.arrives = None
        return super().do_fetch(talk, command)

    def listed(self, uids):
        return [u for u in super().listed(uids) if u not in self.hiding]


@pytest.fixture
def two(ca, tmp_path):
    """two(window): old, new, copier; window 0: nothing is swept."""
    made = []

    def make(window, **changes):
        folder = tempfile.mkdtemp(dir=tmp_path)
        pair = [Fake(name, folder, ca, {ANNA: SECRET}, capabilities=set(PLAIN)) for name in ("old", "new")]
        made.extend(pair)
        changes = {"fence_s": 0, "delete_brake": BRAKE, "delete_brake_percent": 100, **changes}
        copier = Copier(*pair, ca, ANNA, SECRET, folder, **changes)
        copier.env["MAILFERRY_WINDOW"] = str(window)
        return types.SimpleNamespace(old=pair[0], new=pair[1], copier=copier)
    yield make
    for f in made:
        f.stop()


def pass_of(t, kind="pass", **changes):
    code, result = t.copier.run(kind, **changes)
    assert code == 0 and result["ok"], (code, result)
    return result


def boxes(t):
    return t.old.box(ANNA), t.new.box(ANNA)


def content(i):
    """Some are twins."""
    return mail.message("twin" if i % 7 == 3 else "m%d" % i, 200)


def put(box, rng, count, first=0):
    for i in range(first, first + count):
        box.add(content(i), rng.choice(FLAGS), mail.imap_date(1500000000 + i % 5), box.uidnext + rng.choice((0, 0, 0, 2, 70000)))


def change(t, rng):
    """Whatever may happen between two passes."""
    old, new = boxes(t)
    for box, share in ((old, 0.2), (new, 0.1)):
        for m in box.mails:
            if rng.random() < share:
                m.flags = set(rng.choice(FLAGS))
                box.changed(m)
    for box, share in ((old, rng.choice((0, 0.2, 0.9))), (new, rng.choice((0, 0.2)))):
        box.remove([m.uid for m in box.mails if rng.random() < share])
    put(old, rng, rng.randrange(10), first=100)
    if rng.random() < 0.4:
        put(new, rng, 3, first=rng.choice((100, 500)))      # somebody was faster, or it is somebody else's
    mishap = rng.randrange(5)
    if mishap == 0:
        t.copier.forget()
    elif mishap < 3:
        renumber(boxes(t)[mishap - 1])


def renumber(box):
    box.uidvalidity += 7
    for i, m in enumerate(box.mails):
        m.uid = 3 * i + 1
    box.uidnext = 3 * len(box.mails) + 1


def told(result):
    return {k: result[k] for k in ("clean", "copied", "deleted", "flags", "messages", "verified", "exceptions", "differences")}


def shown(box):
    return sorted((m.data, sorted(m.flags)) for m in box.mails)


def story(t, seed):
    """The same seed is the same story; all that can be seen of it."""
    rng = random.Random(seed)
    old, new = boxes(t)
    put(old, rng, rng.randrange(1, 25))
    if rng.random() < 0.5:
        put(new, rng, 5)
    seen = [told(pass_of(t))]
    for _ in range(2):
        change(t, rng)
        seen += [shown(old)] + [(told(pass_of(t)), shown(new)) for _ in range(2)]
    return seen


@pytest.mark.parametrize("seeds", [(28,), pytest.param(range(24), marks=pytest.mark.full)], ids=["few", "many"])
def test_windows_are_as_good_as_the_whole(two, seeds):
    """Any folder, any change, windows from one message on"""
    for seed in seeds:
        window = random.Random(seed).randrange(1, 12)
        assert story(two(window), seed) == story(two(0), seed), (seed, window)


def test_the_brake_counts_over_all_windows(two):
    """case 104: a little of each window is much of the folder"""
    t = two(4, delete_brake=5, delete_brake_percent=5)
    old, new = boxes(t)
    for i in range(60):
        old.add(mail.message("m%d" % i))
    t.copier.until_clean()
    old.remove(range(1, 61, 10))
    old.add(mail.message("new"))
    result = pass_of(t)
    assert not result["clean"] and result["deleted"] == 0 and "brake" in result["text"], result
    assert len(new.mails) == 61
    t.copier.until_clean(delete_brake=6)
    assert shown(old) == shown(new)


def test_a_listing_that_does_not_add_up(two):
    """case 60: over all windows fewer than EXISTS says: nothing is deleted, nor brought again, nor called clean"""
    t = two(4)
    old, new = boxes(t)
    put(old, random.Random(1), 30)
    t.copier.until_clean()
    old.remove([old.mails[3].uid])
    new.remove([new.mails[5].uid])
    for liar in (t.old, t.new):
        liar.says_more = 2
        result = pass_of(t)
        assert not result["clean"] and (result["deleted"] == 0 if liar is t.old else result["copied"] == 0), result
        liar.says_more = 0
        new.remove([new.mails[5].uid])
    t.copier.until_clean()
    assert shown(old) == shown(new)


def test_two_listings_that_differ(two):
    """case 60: who is counted and then not listed has not gone"""
    t = two(4)
    old, new = boxes(t)
    put(old, random.Random(2), 30)
    t.copier.until_clean()
    t.old.hides = {old.mails[7].uid, old.mails[8].uid}
    result = pass_of(t)
    assert not result["clean"] and result["deleted"] == 0 and len(new.mails) == 30, result
    # nor if the number is the same, while another one has
    old.remove([old.mails[0].uid])
    t.old.hides, t.old.arrives = {old.mails[-1].uid}, mail.message("just now")
    result = pass_of(t)
    assert not result["clean"] and result["deleted"] == 1 and "differ" in result["text"], result
    t.old.hides = frozenset()
    t.copier.until_clean()
    t.new.hides = {new.mails[9].uid}
    result = pass_of(t)
    assert result["copied"] == 0 and len(new.mails) == 30, result
    t.new.hides = frozenset()
    t.copier.until_clean()
    assert shown(old) == shown(new)


def test_few_commands_however_far_uids_lie_apart(two):
    t = two(10)
    old, new = boxes(t)
    for i in range(40):
        old.add(mail.message("m%d" % i), uid=1 + i * 100000000)
    t.copier.until_clean()
    t.old.commands.clear()
    assert pass_of(t)["clean"]
    assert t.old.count("UID FETCH") <= 12, t.old.commands


def test_after_the_flip(two):
    """New mail is brought, what has left old stays on new, old's late flags follow where new has not decided"""
    t = two(3)
    old, new = boxes(t)
    put(old, random.Random(3), 20)
    t.copier.until_clean()
    old.remove([old.mails[2].uid])
    flagged = old.mails[10]
    flagged.flags = {b"\\Flagged", b"\\Draft"}
    old.changed(flagged)
    new.mails[12].flags = {b"\\Draft"}
    put(old, random.Random(3), 2, first=100)
    result = pass_of(t, "trailing")
    assert result["arrived"] == 2 and result["flags"] == 1 and len(new.mails) == 22, result
    assert {b"\\Flagged", b"\\Draft"} in [m.flags for m in new.mails] and {b"\\Draft"} in [m.flags for m in new.mails]
    assert pass_of(t, "trailing")["arrived"] == 0


def test_a_folder_that_has_gone(two):
    t = two(3)
    for i in range(20):
        t.old.put(ANNA, b"Work", mail.message("w%d" % i))
    put(t.old.box(ANNA), random.Random(4), 3)
    t.copier.until_clean()
    del t.old.account(ANNA).boxes[b"Work"]
    assert pass_of(t, delete_brake=5, delete_brake_percent=5)["deleted"] == 0
    assert pass_of(t)["deleted"] == 20
    assert not t.new.box(ANNA, b"Work").mails


def test_between_real_servers(stage, person, copier):
    """First copy, to the UIDs that old has, changes on both sides, a lost journal; in windows of five"""
    copier.env["MAILFERRY_WINDOW"] = "5"
    stage.fill(person, {"INBOX": 36})
    old = stage.client(stage.old, person)
    for command in (b"SELECT INBOX", b"STORE 7,19:20 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE", b"CLOSE"):
        old.command(command)
    old.logout()
    result = copier.until_clean(uids="exact", uid_gaps=50, uid_floor=50000, uid_s=60)
    assert result["verified"] == 33 and not copier.difference(), copier.difference()
    there, here = ([m.uid for m in stage.read(s, person)[("INBOX",)].messages] for s in (stage.new, stage.old))
    assert there == here
    assert copier.run()[1]["copied"] == 0
    old, new = stage.client(stage.old, person), stage.client(stage.new, person)
    for c, gone in ((old, b"1,9,20:22"), (new, b"4,33")):
        for command in (b"SELECT INBOX", b"STORE 2 +FLAGS.SILENT (\\Draft)", b"STORE %s +FLAGS.SILENT (\\Deleted)" % gone,
                        b"EXPUNGE", b"CLOSE"):
            c.command(command)
    old.append(b"INBOX", mail.message("new"), b"\\Seen", mail.imap_date(1600000000))
    for c in (old, new):
        c.logout()
    result = copier.until_clean()
    assert result["messages"] == 29 and not copier.difference(), (result, copier.difference())
    copier.forget()
    result = copier.until_clean()
    assert result["copied"] == 0 and result["messages"] == 29 and not copier.difference(), result
