"""
What a pass believes: servers that list half of it, forget, begin again, or say OK to what they do not keep. Nothing is
ever deleted, doubled or called equal because of them; what cannot be had is said.
"""

import collections
import re
import time

import pytest

from lib import mail
from lib.copier import KILLED, Copier
from lib.fakemail import FakeMail, Refused, cut, nth
from lib.preload import preload

ANNA, SECRET = "anna@example.com", "secret"
PLAIN = {b"IMAP4rev1", b"LITERAL+", b"UIDPLUS", b"UNSELECT", b"NAMESPACE"}
CONDSTORE = PLAIN | {b"CONDSTORE", b"ENABLE", b"LIST-EXTENDED", b"LIST-STATUS"}
DAY = 86400


class Fake(FakeMail):
    """An honest server; tests hang their lies on it."""

    told = None         # of so many messages of a FETCH that names a range
    says_exists = None  # instead of the truth

    def listed(self, uids):
        uids = super().listed(uids)
        return uids[:self.told] if self.told is not None else uids

    def do_select(self, talk, command, read_only=False):
        code = super().do_select(talk, command, read_only)
        if self.says_exists is not None:
            talk.say(b"* %d EXISTS\r\n" % self.says_exists)
        return code


@pytest.fixture
def two(ca, tmp_path):
    """two(old=kind, new=kind): old, new, copier."""
    made = []

    def make(old=Fake, new=Fake, capabilities=CONDSTORE, **changes):
        made.extend(kind(name, str(tmp_path), ca, {ANNA: SECRET}, capabilities=set(capabilities))
                    for name, kind in (("old", old), ("new", new)))
        changes.setdefault("fence_s", 0)
        return made[0], made[1], Copier(made[0], made[1], ca, ANNA, SECRET, str(tmp_path), **changes)
    yield make
    for f in made:
        f.stop()


def fill(server, count, folder=b"INBOX", flags=(b"\\Seen",), start=0):
    return [server.put(ANNA, folder, mail.message("%s-%d" % (folder.decode(), start + i)), flags,
                       imap_date(1500000000 + start + i)) for i in range(count)]


def imap_date(seconds):
    date = mail.imap_date(int(seconds))
    return date if isinstance(date, bytes) else date.encode()


def held(server, folder=b"INBOX"):
    """Multiset of what a folder holds."""
    return collections.Counter(m.data for m in server.box(ANNA, folder).mails)


def flags(server, folder=b"INBOX"):
    return {m.data: set(m.flags) for m in server.box(ANNA, folder).mails}


def pass_of(copier, kind="pass", **changes):
    code, result = copier.run(kind, **changes)
    assert code == 0 and result["ok"], result
    return result


def same(old, new, folder=b"INBOX"):
    assert held(old, folder) == held(new, folder)


# ---- listings that do not add up

@pytest.mark.parametrize("descending", [True, False])
def test_message_limit(two, descending):
    """case 59: pages of so many; all is copied, nothing deleted"""
    class Limited(Fake):
        """RFC 9738: works on the highest UIDs first and says where it stopped."""

        def listed(self, uids):
            return uids[-20:] if descending else uids[:20]

        def do_fetch(self, talk, command):
            before = len(command.args[0])
            uids = [m.uid for _, m in self._chosen(talk, command)] if b":" in command.args[0] else []
            super().do_fetch(talk, command)
            told = self.listed(uids)
            if before and len(told) < len(uids):
                return b"MESSAGELIMIT 20 %d" % (told[0] if descending else told[-1])

    old, new, copier = two(old=Limited, new=Limited, capabilities=PLAIN | {b"MESSAGELIMIT=20"})
    fill(old, 50)
    copier.until_clean()
    same(old, new)
    result = pass_of(copier)
    assert result["clean"] and result["deleted"] == result["copied"] == 0
    same(old, new)


@pytest.mark.parametrize("capabilities", [PLAIN, CONDSTORE])
def test_listing_shorter_than_exists(two, capabilities):
    """case 60: EXISTS says 100 and FETCH returns 60: no deletes, not clean, and all is well when it is whole again"""
    old, new, copier = two(capabilities=capabilities)
    fill(old, 100)
    copier.until_clean()
    old.told = 60
    fill(old, 1, start=100)     # something to look at
    result = pass_of(copier, delete_brake=1000)
    assert result["deleted"] == 0
    if capabilities == PLAIN:   # with CONDSTORE only the new one is asked for, and that adds up
        assert not result["clean"] and "add up" in result["text"]
    assert len(held(new)) >= 100
    old.told = None
    copier.until_clean()
    same(old, new)


def test_connection_lost_in_a_listing(two):
    """case 60: half a listing and the end of the connection is an error, and nothing is deleted"""
    old, new, copier = two(capabilities=PLAIN)
    fill(old, 50)
    copier.until_clean()
    fill(old, 1, start=50)
    old.rules["UID FETCH"] = nth(1, cut(2000))
    code, result = copier.run()
    assert not result["ok"] and result["kind"] == "temporary"
    assert len(held(new)) == 50
    del old.rules["UID FETCH"]
    copier.until_clean()
    same(old, new)


def test_nothing_is_asked_of_search(two):
    """case 61: whatever SEARCH would say, nobody asks"""
    old, new, copier = two()
    fill(old, 10)
    for server in (old, new):
        server.rules["SEARCH"] = server.rules["UID SEARCH"] = b"* SEARCH 9 9 9\r\n%t OK x\r\n"
    copier.until_clean()
    same(old, new)
    assert old.count("UID SEARCH") == new.count("UID SEARCH") == old.count("SEARCH") == 0


@pytest.mark.parametrize("capabilities", [PLAIN, CONDSTORE])
def test_answers_in_disorder(two, capabilities):
    """case 62: answers backwards, twice, split over lines, with strangers' FETCH and EXISTS between them"""
    class Disorderly(Fake):
        def do_fetch(self, talk, command):
            said, talk.say = [], lambda data: said.append(data)
            try:
                code = super().do_fetch(talk, command)
            finally:
                del talk.say
            for i, line in enumerate(reversed(said)):
                talk.say(b"* 1 FETCH (FLAGS (\\Flagged))\r\n* %d EXISTS\r\n* OK [ALERT] hm\r\n" % len(talk.view))
                talk.say(line)
                if i % 3 == 0 and b"BODY" not in line:
                    talk.say(line)
            return code

    old, new, copier = two(old=Disorderly, new=Disorderly, capabilities=capabilities)
    fill(old, 40)
    copier.until_clean()
    same(old, new)
    old.box(ANNA).remove([3, 17])       # all sequence numbers behind them shift
    fill(old, 3, start=40)
    copier.until_clean()
    same(old, new)
    assert {frozenset(f) for f in flags(new).values()} == {frozenset({b"\\Seen"})}


def test_gone_between_list_and_fetch(two):
    """case 63: expunged after it was listed: no error, no exception, no message"""
    old, new, copier = two()
    fill(old, 5)

    def expunge_first(fake, talk, command):
        if b"BODY" in b" ".join(i for i in command.args[1] if isinstance(i, bytes)):
            old.box(ANNA).remove([2])
        fake.do(talk, command)
    old.rules["UID FETCH"] = expunge_first
    result = pass_of(copier)
    assert result["exceptions"] == 0
    del old.rules["UID FETCH"]
    copier.until_clean()
    same(old, new)
    assert len(held(new)) == 4


def test_exists_comes_late(two):
    """case 56: what was appended shows only after NOOP"""
    class Late(Fake):
        def append_code(self, box, uids):
            return b""

    old, new, copier = two(new=Late, capabilities=PLAIN)
    fill(old, 10)
    copier.until_clean()
    same(old, new)
    assert pass_of(copier)["copied"] == 0


# ---- identity

@pytest.mark.parametrize("which", ["old", "new", "both"])
def test_uidvalidity_changes_between_runs(two, which):
    """case 57: found again by content, on either side or both; nothing is copied twice, twins stay twins"""
    old, new, copier = two()
    fill(old, 8)
    for _ in range(3):
        old.put(ANNA, b"INBOX", b"Subject: twin\r\n\r\nthe same\r\n")
    copier.until_clean()
    for name, server in (("old", old), ("new", new)):
        if which in (name, "both"):
            box = server.box(ANNA)
            box.uidvalidity += 7
            for uid, m in enumerate(box.mails, 1001):
                m.uid = uid
                box.changed(m)
            box.uidnext = 1001 + len(box.mails)
    result = pass_of(copier)
    assert result["copied"] == result["deleted"] == 0 and "UIDVALIDITY" in result["text"], result
    assert copier.until_clean()["copied"] == 0
    same(old, new)


def test_uidvalidity_changes_where_fillers_were_left(two):
    """A worker died while fillers stood on new (docs/uids.md), and new gave all of it other UIDs: they go all the same"""
    old, new, copier = two(uids="exact", uid_gaps=50000, uid_floor=50000, uid_s=60)
    fill(old, 3)
    old.box(ANNA).uidnext = 30
    fill(old, 3, start=3)

    def fillers():
        return [m for m in new.box(ANNA).mails if b"X-Mailferry-Filler" in m.data]
    step = 0
    while not fillers():
        step += 1
        assert copier.run(stop_at=step)[0] == KILLED
    box = new.box(ANNA)
    box.uidvalidity += 7
    for uid, m in enumerate(box.mails, 1):
        m.uid = uid
        box.changed(m)
    box.uidnext = 1 + len(box.mails)
    copier.until_clean()
    assert not fillers()
    same(old, new)


def test_fillers_take_no_more_than_their_time(two, tmp_path):
    """New needs more than a minute for the first of many COPYs: sync.uid_s is over in the middle of a folder"""
    leap, copies = tmp_path / "leap", []

    class Slow(Fake):
        def do_copy(self, talk, command):
            with self.lock:
                box = self._box(talk, command.args[1])
                pairs = [(m.uid, box.add(m.data, m.flags, m.date)) for _, m in self._chosen(talk, command)]
            copies.append(pairs)
            leap.write_text("100")      # by the worker's clock
            return b"COPYUID %d %s %s" % ((box.uidvalidity,) + tuple(b",".join(b"%d" % p[i] for p in pairs) for i in (0, 1)))

    old, new, copier = two(new=Slow, uids="exact", uid_gaps=50000, uid_floor=50000, uid_s=60, io_s=3600)
    fill(old, 1)
    old.box(ANNA).uidnext = 3000
    fill(old, 1, start=1)
    result = copier.run(env={"LEAP_FILE": str(leap), **preload(str(tmp_path), "leap")})[1]
    assert result["ok"], result
    assert len(copies) == 1 and result["facts"]["uids_why"].startswith("it took longer than sync.uid_s"), result
    copier.until_clean()
    same(old, new)


@pytest.mark.parametrize("which", ["old", "new"])
def test_uidvalidity_changes_while_we_work(two, which):
    """case 57, mid-run: between two SELECTs of one pass"""
    old, new, copier = two()
    fill(old, 8)
    server = old if which == "old" else new

    def change(fake, talk, command):
        fake.box(ANNA).uidvalidity += 7
        fake.do(talk, command)
    server.rules["EXAMINE" if which == "old" else "SELECT"] = nth(2, change)
    for _ in range(5):
        code, result = copier.run()
        if result["ok"] and result["clean"]:
            break
        fill(old, 0)
    assert result["clean"], result
    copier.until_clean()
    same(old, new)


def test_same_uidvalidity_everywhere_and_uids_begin_again(two):
    """case 58: UIDVALIDITY 1 for all; a folder made anew has the same, and its UIDs begin again"""
    class One(Fake):
        def next_uidvalidity(self):
            return 1

    old, new, copier = two(old=One, new=One)
    fill(old, 5)
    fill(old, 5, b"Work")
    copier.until_clean()
    old.create(ANNA, b"Work")           # in place of the other
    fill(old, 3, b"Work", start=100)
    for _ in range(4):
        result = pass_of(copier)
    assert result["clean"], result
    same(old, new, b"Work")
    same(old, new)


def test_uids_that_do_not_last(two):
    """case 55, UIDNOTSTICKY: never believed from one pass to the next; never clean; never a second copy"""
    class Slippery(Fake):
        def do_select(self, talk, command, read_only=False):
            talk.say(b"* NO [UIDNOTSTICKY] they do not last\r\n* OK [UIDNOTSTICKY] they do not last\r\n")
            return super().do_select(talk, command, read_only)

    old, new, copier = two(new=Slippery)
    fill(old, 6)
    for _ in range(3):
        result = pass_of(copier)
    assert "UIDNOTSTICKY" in result["text"] and not result["clean"]
    same(old, new)


def test_highestmodseq_goes_backwards(two):
    """A server whose index was thrown away: what it tells of changes is not believed, the folder is listed"""
    old, new, copier = two()
    fill(old, 10)
    copier.until_clean()
    box = old.box(ANNA)
    box.remove([4])
    fill(old, 1, start=10)
    box.modseq = 3
    for m in box.mails:
        m.modseq = 1
    copier.until_clean()
    same(old, new)


def test_nomodseq(two):
    class None_(Fake):
        def do_select(self, talk, command, read_only=False):
            code = super().do_select(talk, command, read_only)
            talk.say(b"* OK [NOMODSEQ] not here\r\n")
            return code

        def do_fetch(self, talk, command):
            assert len(command.args) < 3, "CHANGEDSINCE of a folder without modseqs"
            return super().do_fetch(talk, command)

    old, new, copier = two(old=None_)
    fill(old, 10)
    copier.until_clean()
    old.box(ANNA).remove([2])
    fill(old, 1, start=10)
    assert pass_of(copier)["clean"]
    same(old, new)


# ---- UIDPLUS

@pytest.mark.parametrize("lie", ["none", "missing", "wrong"])
def test_appenduid(two, lie):
    """case 54, case 55: no UIDPLUS; UIDPLUS without APPENDUID; with another UIDVALIDITY: looked up, each once"""
    class Odd(Fake):
        def append_code(self, box, uids):
            return b"" if lie == "missing" else b"APPENDUID %d %d" % (box.uidvalidity + 1, uids[0])

    old, new, copier = two(new=Odd if lie != "none" else Fake)
    if lie == "none":
        new.capabilities.discard(b"UIDPLUS")
    fill(old, 12)
    for _ in range(3):
        old.put(ANNA, b"INBOX", b"Subject: twin\r\n\r\nthe same\r\n")
    copier.until_clean()
    same(old, new)
    assert pass_of(copier)["copied"] == 0


def test_deletes_without_uidplus(two):
    """case 54: EXPUNGE takes all that is marked: our own marked mail stays, with its mark"""
    old, new, copier = two(capabilities=CONDSTORE - {b"UIDPLUS"})
    fill(old, 6)
    fill(old, 2, flags=(b"\\Deleted",), start=6)
    copier.until_clean()
    same(old, new)
    old.box(ANNA).remove([1, 3])
    assert copier.until_clean()["messages"] == 6
    same(old, new)
    assert flags(old) == flags(new)


def test_deletes_without_uidplus_beside_strangers(two):
    """case 54: where mail that is not ours is marked, nothing is expunged, and it is said"""
    old, new, copier = two(capabilities=CONDSTORE - {b"UIDPLUS"})
    fill(old, 6)
    copier.until_clean()
    new.put(ANNA, b"INBOX", b"Subject: theirs\r\n\r\nx\r\n", (b"\\Deleted",))
    old.box(ANNA).remove([1])
    result = pass_of(copier)
    assert not result["clean"] and result["deleted"] == 0 and "UIDPLUS" in result["text"], result
    assert len(held(new)) == 7


# ---- servers that say OK

@pytest.mark.parametrize("uidplus", [True, False])
def test_ok_and_nothing_stored(two, uidplus):
    """case 69: the read-back finds out; an exception with a reason, and it is not sent again and again"""
    class Liar(Fake):
        def commit(self, talk, box, mails):
            if any(b"INBOX-3" in data for data, _, _ in mails):
                with self.lock:
                    box.uidnext += 1
                    return [box.uidnext - 1]
            return super().commit(talk, box, mails)

    old, new, copier = two(new=Liar, capabilities=CONDSTORE - {b"MULTIAPPEND"})
    if not uidplus:
        new.capabilities.discard(b"UIDPLUS")
    fill(old, 6)
    result = pass_of(copier)
    assert result["exceptions"] == 1 and not result["clean"], result
    appends = new.count("APPEND")
    assert pass_of(copier)["exceptions"] == 1
    assert new.count("APPEND") == appends
    assert len(held(new)) == 5


def test_server_that_adds_to_what_it_stores(two):
    """case 70: a Received more is other bytes: exceptions, and no second copies on pass 2"""
    class Adds(Fake):
        def stored(self, data):
            return b"Received: by new\r\n" + data

    old, new, copier = two(new=Adds)
    fill(old, 4)
    for _ in range(2):
        result = pass_of(copier)
        assert result["exceptions"] == 4 and not result["clean"], result
        assert len(new.box(ANNA).mails) == 4


def test_server_that_changes_line_ends(two):
    """case 70: line ends are not content"""
    class Ends(Fake):
        def stored(self, data):
            return re.sub(rb"\r?\n", b"\r\n", data)

    old, new, copier = two(new=Ends)
    old.put(ANNA, b"INBOX", b"Subject: bare\n\nline\nends\n")
    fill(old, 2)
    assert copier.until_clean()["messages"] == 3
    assert len(new.box(ANNA).mails) == 3
    assert pass_of(copier)["copied"] == 0


@pytest.mark.parametrize("answer", ["first", "own"])
def test_gmail_swallows_duplicates(two, answer):
    """case 71: one of equal messages is kept; the others are said, and not sent again"""
    class Gmail(Fake):
        def commit(self, talk, box, mails):
            with self.lock:
                known = [m.uid for m in box.mails if m.data == mails[0][0]]
                if not known:
                    return super().commit(talk, box, mails)
                box.uidnext += 1
                return known if answer == "first" else [box.uidnext - 1]

    old, new, copier = two(new=Gmail, capabilities=CONDSTORE)
    fill(old, 2)
    for _ in range(3):
        old.put(ANNA, b"INBOX", b"Subject: twin\r\n\r\nthe same\r\n")
    result = pass_of(copier)
    assert result["exceptions"] == 2, result
    appends = new.count("APPEND")
    pass_of(copier)
    assert new.count("APPEND") == appends and len(new.box(ANNA).mails) == 3


def test_purge_of_trash_is_no_loss(two):
    """case 72: new removes what is old from Trash: named, and not brought again; in other folders it is"""
    old, new, copier = two()
    for name in (b"Trash", b"Work"):
        for server in (old, new):
            server.create(ANNA, name, {b"\\Trash"} if name == b"Trash" else ())
        for i, age in enumerate((90, 80, 2, 1)):
            old.put(ANNA, name, mail.message("%s%d" % (name.decode(), i)), (), imap_date(time.time() - age * DAY))
    copier.until_clean()
    for name in (b"Trash", b"Work"):
        new.box(ANNA, name).remove([1, 2])
    result = copier.until_clean()
    assert "removed 2 messages for their age" in result["text"], result
    assert len(held(new, b"Trash")) == 2 and len(held(new, b"Work")) == 4
    assert pass_of(copier)["copied"] == 0
    new.box(ANNA, b"Trash").remove([4])         # the youngest: that was not its age
    copier.until_clean()
    assert len(held(new, b"Trash")) == 2


# ---- flags

def test_keywords_that_are_not_kept(two):
    """case 36: no \\* in PERMANENTFLAGS: kept in the journal, reported by count and name, and no reason to fail"""
    old, new, copier = two()
    new.box(ANNA).permanent = {b"\\Answered", b"\\Deleted", b"\\Draft", b"\\Flagged", b"\\Seen", b"$Label1"}
    fill(old, 3, flags=(b"\\Seen", b"$Label1", b"$Label2"))
    fill(old, 2, flags=(b"$MDNSent",), start=3)
    result = copier.until_clean()
    assert "$Label2 of 3 messages" in result["text"] and "$MDNSent of 2 messages" in result["text"], result
    assert "$Label1 " not in result["text"]
    assert {frozenset(f) for f in flags(new).values()} == {frozenset({b"\\Seen", b"$Label1"}), frozenset()}
    assert pass_of(copier)["flags"] == 0        # and they are not tried again


@pytest.mark.parametrize("answer", [b"NO [LIMIT] too many user flags in mailbox", b"BAD invalid keyword"])
def test_keyword_that_is_refused(two, answer):
    """case 36, case 37: the server says NO to a keyword more than it can hold: the flags everybody knows follow"""
    class Picky(Fake):
        def do_store(self, talk, command):
            if any(b"$x" in f for f in command.args[2]):
                raise Refused(answer)
            return super().do_store(talk, command)

    old, new, copier = two(new=Picky)
    fill(old, 2)
    copier.until_clean()
    box = old.box(ANNA)
    for m in box.mails:
        m.flags |= {b"\\Flagged", b"$x!"}
        box.changed(m)
    result = copier.until_clean()
    assert "$x! of 2 messages" in result["text"]
    assert {frozenset(f) for f in flags(new).values()} == {frozenset({b"\\Seen", b"\\Flagged"})}


def test_flags_with_odd_names(two):
    """case 37: \\Recent is not sent; \\Forwarded and what is no flag do no harm"""
    old, new, copier = two()
    new.box(ANNA).permanent = {b"\\Seen", b"\\Flagged", b"\\*", b"$MDNSent", b"$Forwarded", b"a.b:c'd"}
    fill(old, 1, flags=(b"\\Recent", b"\\Forwarded", b"\\Seen"))
    fill(old, 1, flags=(b"$MDNSent", b"$Forwarded", b"a.b:c'd"), start=1)
    result = copier.until_clean()
    assert "\\Forwarded of 1 messages" in result["text"]
    assert sorted(map(sorted, flags(new).values())) == [[b"$Forwarded", b"$MDNSent", b"a.b:c'd"], [b"\\Seen"]]


@pytest.mark.parametrize("policy", ["copy", "skip"])
def test_marked_deleted(two, policy):
    """case 38: what is marked \\Deleted on old is copied with its mark, or left until the mark goes"""
    old, new, copier = two(skip_deleted=int(policy == "skip"))
    fill(old, 3)
    marked, = fill(old, 1, flags=(b"\\Deleted",), start=3)
    copier.until_clean()
    assert len(held(new)) == (4 if policy == "copy" else 3)
    if policy == "copy":
        assert flags(old) == flags(new)
    fill(old, 1, start=4)
    copier.until_clean()
    box = old.box(ANNA)
    box.find(marked).flags = set()
    box.changed(box.find(marked))
    copier.until_clean()
    same(old, new)
    assert flags(old) == flags(new)
    # one that is here already keeps following, mark and all
    box.find(1).flags.add(b"\\Deleted")
    box.changed(box.find(1))
    copier.until_clean()
    same(old, new)
    assert flags(old) == flags(new)


def test_flags_change_while_the_message_is_copied(two):
    """case 39: converges at the next pass"""
    old, new, copier = two()
    fill(old, 3)

    def flag(fake, talk, command):
        fake.do(talk, command)
        box = old.box(ANNA)
        box.find(2).flags = {b"\\Flagged"}
        box.changed(box.find(2))
    new.rules["APPEND"] = nth(1, flag)
    copier.run()
    copier.until_clean()
    assert flags(old) == flags(new)


def test_after_the_flip_new_wins(two):
    """case 40: changed on both sides: new's stays; changed on old only, before the first trailing pass: it follows"""
    old, new, copier = two()
    fill(old, 4)
    copier.until_clean()

    def flag(server, uid, *names):
        box = server.box(ANNA)
        box.find(uid).flags = set(names)
        box.changed(box.find(uid))
    flag(old, 1, b"\\Flagged")
    flag(old, 2, b"\\Flagged")
    flag(new, 2, b"\\Answered")
    assert pass_of(copier, "trailing")["flags"] == 1
    flag(old, 3, b"\\Flagged")          # later than the first trailing pass
    assert pass_of(copier, "trailing")["flags"] == 0
    assert [sorted(m.flags) for m in new.box(ANNA).mails] == [
        [b"\\Flagged"], [b"\\Answered"], [b"\\Seen"], [b"\\Seen"]]


# ---- deletes

def test_brake_over_all_folders(two):
    """The brake holds for the user as a whole: many folders that each lose a little"""
    old, new, copier = two(delete_brake=5)
    names = [b"F%d" % i for i in range(6)]
    for name in names:
        fill(old, 10, name)
    copier.until_clean()
    for name in names:
        old.box(ANNA, name).remove([1, 2])
    result = pass_of(copier)
    assert result["deleted"] == 0 and "12 of 60 messages have gone" in result["text"], result
    copier.until_clean(delete_brake=12)
    for name in names:
        same(old, new, name)


def test_everything_gone_is_an_alarm(two):
    """case 104: the source lists nothing any more: 0 deletes, whatever the brake, and an alarm"""
    old, new, copier = two()
    fill(old, 3)
    fill(old, 2, b"Work")
    copier.until_clean()
    for name in (b"INBOX", b"Work"):
        old.box(ANNA, name).remove([1, 2, 3])
    result = pass_of(copier)
    assert not result["clean"] and result["deleted"] == 0 and "5 of 5 messages have gone" in result["text"], result
    assert len(held(new)) == 3 and len(held(new, b"Work")) == 2
    del old.account(ANNA).boxes[b"Work"]        # nor when the folders are gone
    assert pass_of(copier)["deleted"] == 0
    copier.until_clean(delete_brake_percent=100)    # a person has looked
    assert not held(new)


# ---- what it costs

@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.full)])
def test_idle_pass_over_many_folders(two, count):
    """One round trip on each side between login and LOGOUT, whatever the number of folders; none is opened"""
    old, new, copier = two()
    for server in (old, new):
        for i in range(count):
            server.create(ANNA, b"F%d" % i)
    copier.until_clean()
    for server in (old, new):
        server.wait_alone()
        server.commands.clear()
    assert pass_of(copier)["clean"]
    for server in (old, new):
        server.wait_alone()
        assert [v for _, v in server.commands] == ["NAMESPACE", "LIST", "LSUB", "LOGOUT"]


def test_changed_folder_is_not_listed(two):
    """One new of 60 messages: no message but that one is asked for"""
    old, new, copier = two()
    fill(old, 60)
    copier.until_clean()
    fill(old, 1, start=60)
    asked = []

    def note(fake, talk, command):
        if len(command.args) < 3:       # no CHANGEDSINCE
            asked.append(command.args[0])
        fake.do(talk, command)
    for server in (old, new):
        server.rules["UID FETCH"] = note
    result = pass_of(copier)
    assert result["clean"] and result["copied"] == 1
    assert asked and all(uids.startswith(b"61") for uids in asked), asked
