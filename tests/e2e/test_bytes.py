"""
Content: every byte comes over as it is, or the user's operator is told which message, why, and what was tried.
"""

import collections
import hashlib
import os
import sqlite3
import stat
import tempfile
import time

import pytest

from lib import messages, reader
from lib.copier import Copier
from lib.fakemail import FakeMail, Refused
from lib.fakes import Hangup
from lib.httpapi import LocalApi
from lib.imapclient import ImapClient, No
from lib.mailferry import Mailferry
from lib.processes import wait_until
from lib.signed import Signer

ANNA, SECRET = "anna@example.com", "secret"
DATE = b"05-Mar-2024 10:11:12 +0100"


class Strict(FakeMail):
    """Takes only what RFC 3501 and RFC 5322 allow, and says what it does not like, as Cyrus does."""

    lines_max = None

    def stored(self, data):
        header = data[:data.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in data else data
        lines = header.split(b"\r\n")[:-1]
        if b"\0" in data:
            raise Refused(b"NO Message contains NUL characters")
        if data.replace(b"\r\n", b"").count(b"\n") or data.replace(b"\r\n", b"").count(b"\r"):
            raise Refused(b"NO Message contains bare newlines")
        if any(c >= 0x80 for c in header):
            raise Refused(b"NO Message contains non-ASCII characters in headers")
        if not data.startswith(b"\r\n"):
            if b"\r\n\r\n" not in data:
                raise Refused(b"NO Message has no header/body separator")
            if any(b":" not in n or b" " in n[:n.index(b":")] for n in lines if n[:1] not in b" \t"):
                raise Refused(b"NO Message contains invalid header")
        if self.lines_max and any(len(n) > self.lines_max for n in data.split(b"\r\n")):
            raise Refused(b"NO Message has a line that is too long")
        return data


@pytest.fixture
def fakes(ca, tmp_path):
    """A factory: fakes(kind_of_new) gives an honest old, a new, and a copier between them."""
    made = []

    def make(kind=FakeMail, new=None, **changes):
        old = FakeMail("old", str(tmp_path), ca, {ANNA: SECRET})
        made.append(old)
        if not new:
            new = kind("new", str(tmp_path), ca, {ANNA: SECRET})
            made.append(new)
        copier = Copier(old, new, ca, ANNA, SECRET, str(tmp_path),
                        exceptions=str(tmp_path / "exceptions" / "anna"), **changes)
        return old, new, copier
    yield make
    for f in made:
        f.stop()


def ask(copier, sql, *values):
    db = sqlite3.connect(copier.journal)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def exceptions(copier):
    """{uid on old: (kind, reason, tried, file, subject)}"""
    names = ("other", "content", "size", "policy", "unreadable", "altered")
    return {row[0]: (names[row[1]],) + row[2:] for row in ask(
        copier, "SELECT old_uid, kind, reason, tried, file, subject FROM exception JOIN msg ON msg.id = msg"
                " WHERE state = 2")}


def receipts(copier):
    """{uid on old: (receipt, refusal, SHA-256 before, after)}"""
    return {row[0]: row[1:3] + (row[3].hex(), row[4].hex()) for row in ask(
        copier, "SELECT old_uid, receipt, refusal, raw_before, raw_after FROM repair JOIN msg ON msg.id = msg")}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def held(fake, folder=b"INBOX"):
    return collections.Counter(m.data for m in fake.box(ANNA, folder).mails)


def put_all(fake, corpus):
    return {odd.name: fake.put(ANNA, b"INBOX", odd.data, date=DATE) for odd in corpus}


# ---- exact

def test_every_byte_comes_over(fakes):
    """case 18 19 20 22 23 24 25 26 27 28 30: between servers that alter nothing."""
    old, new, copier = fakes()
    put_all(old, messages.CORPUS + [messages.EMPTY])
    result = copier.until_clean()
    assert result["copied"] == result["verified"] == len(messages.CORPUS) + 1
    assert held(new) == held(old)
    assert copier.run()[1]["copied"] == 0


@pytest.mark.offers("dovecot")
def test_the_same_to_a_server_that_tidies(stage, person, tmp_path):
    """case 22 23 25: Dovecot shows line ends and NULs in its own way, and takes no message of zero bytes."""
    old = FakeMail("old", str(tmp_path), stage.ca, {person.name: person.password})
    try:
        for odd in messages.CORPUS + [messages.EMPTY]:
            old.put(person.name, b"INBOX", odd.data, date=DATE)
        copier = Copier(old, stage.new, stage.ca, person.name, person.password, str(tmp_path),
                        exceptions=str(tmp_path / "x"))
        result = copier.run()[1]

        assert result["ok"] and result["copied"] == result["verified"] == len(messages.CORPUS), result
        assert result["exceptions"] == 1 and not result["clean"]
        (kind, reason, _, file, _), = exceptions(copier).values()
        assert kind == "content" and reason and os.path.getsize(file) == 0
        c = ImapClient(stage.new.address, stage.new.ports["imaps"], stage.context)
        c.login(person.name, person.password)
        c.command(b"EXAMINE INBOX")
        got = [fetched_body(line) for line in c.command(b"FETCH 1:* (BODY.PEEK[])")[0] if b"FETCH" in line[:20]]
        c.logout()
        assert collections.Counter(map(messages.canonical, got)) == collections.Counter(
            messages.canonical(odd.data) for odd in messages.CORPUS)
    finally:
        old.stop()


def fetched_body(line):
    head, _, rest = line.partition(b"\r\n")
    return rest[:int(head[head.rindex(b"{") + 1:-1])]


@pytest.fixture
def real_copier(stage, person, tmp_path):
    return Copier(stage.old, stage.new, stage.ca, person.name, person.password, str(tmp_path),
                  exceptions=str(tmp_path / "exceptions" / "x"))


def fill_real(stage, person, corpus):
    """What the real old server takes of it; returns how many that is."""
    c = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    taken = 0
    for odd in corpus:
        try:
            c.append(b"INBOX", odd.data, b"", DATE, b"")
            taken += 1
        except No:
            pass
    c.logout()
    return taken


def test_between_real_servers(stage, person, real_copier):
    """case 18 to 30, between the servers of this run: as old serves it, so does new, or there is a note of it."""
    taken = fill_real(stage, person, messages.CORPUS)
    assert taken >= 20
    result = real_copier.run()[1]
    assert result["ok"], result
    noted = exceptions(real_copier)     # Cyrus writes X for eight-bit bytes in headers
    assert result["messages"] + len(noted) == taken and {kind for kind, *_ in noted.values()} <= {"altered"}
    assert all(os.path.getsize(file) for _, _, _, file, _ in noted.values())
    difference = real_copier.difference(stage.context)
    other_bytes = noted.keys() | receipts(real_copier).keys()
    assert len(difference.lost) == len(difference.extra) == len(other_bytes), difference
    assert not (difference.doubled or difference.flags or difference.dates or difference.folders)
    assert stage.new.kind == "cyrus" or not difference, difference


def test_sizes_that_lie(fakes):
    """case 29: RFC822.SIZE too small, too large, zero."""
    old, new, copier = fakes()
    for i, size in enumerate((0, 1, 10 ** 9, 4294967295)):
        uid = old.put(ANNA, b"INBOX", messages.sound("lies-%d" % i, b"x" * 500 * i))
        old.box(ANNA).find(uid).claims = size
    old.size = lambda m: getattr(m, "claims", len(m.data))
    copier.until_clean()
    assert held(new) == held(old)


# ---- what a server will not take

REPAIRED = {
    "NUL in the header": "NUL made 0x80", "NUL in the body": "NUL made 0x80", "bare LF": "line end made CRLF",
    "bare LF everywhere": "line end made CRLF", "bare CR": "line end made CRLF", "CR CR LF": "line end made CRLF",
    "8-bit header": "8-bit word of the header encoded", "header name with blanks": "line of the header made a field",
    "header without colon": "line of the header made a field", "From line first": 'line "From " made a field',
    "header only, no empty line": "empty line put in", "one byte": "empty line put in",
}


def test_the_ladder_leads_every_message_over(fakes):
    """case 22 to 25: each with the smallest repair, a receipt, and the digests before and after."""
    old, new, copier = fakes(Strict)
    uids = put_all(old, messages.CORPUS)
    result = copier.until_clean()
    assert result["exceptions"] == 0 and result["repaired"] == len(REPAIRED), exceptions(copier)
    got = receipts(copier)
    assert {n for n, u in uids.items() if u in got} == set(REPAIRED)
    now, known = held(new), {o.name: o.data for o in messages.CORPUS}
    for name, words in REPAIRED.items():
        receipt, refusal, before, after = got[uids[name]]
        assert words in receipt and "NO Message" in refusal, (name, receipt, refusal)
        assert before == sha(known[name]) and after in {sha(d) for d in now}
    assert sum(now.values()) == len(messages.CORPUS)
    untouched = [o.data for o in messages.CORPUS if o.name not in REPAIRED]
    assert not collections.Counter(untouched) - now
    assert copier.run()[1]["copied"] == 0


def test_only_what_hurts_is_changed(fakes):
    """A NUL is no reason to touch line ends, and the bytes around it stay."""
    old, new, copier = fakes(Strict)
    old.put(ANNA, b"INBOX", messages.sound("a", b"one\r\n\0two\r\n"))
    old.put(ANNA, b"INBOX", messages.sound("b", b"one\ntwo\r\n"))
    copier.until_clean()
    assert held(new) == {messages.sound("a", b"one\r\n\x80two\r\n"): 1, messages.sound("b", b"one\r\ntwo\r\n"): 1}


def test_long_lines_last(fakes):
    """case 26, for servers that take no long lines: nothing but line ends is put in."""
    old, new, copier = fakes(Strict)
    new.lines_max = 1000
    data = messages.sound("long", b"word " * 1000 + b"\r\n")
    old.put(ANNA, b"INBOX", data)
    copier.until_clean()
    (stored,) = held(new)
    assert stored != data and stored.replace(b"\r\n", b"") == data.replace(b"\r\n", b"")


def test_a_lost_journal_knows_repaired_mail_again(fakes):
    """case 11: the repaired copy is recognised, though its bytes are not old's."""
    old, new, copier = fakes(Strict)
    put_all(old, [o for o in messages.CORPUS if o.name in REPAIRED])
    copier.until_clean()
    before = held(new)
    copier.forget()
    assert copier.until_clean()["copied"] == 0
    assert held(new) == before


class Picky(FakeMail):
    """Refuses what has a word in it, whatever its form; everything while `shut`."""

    says = b"NO Message is not to my taste"
    word = b"poison"

    def stored(self, data):
        if self.word in data:
            raise Refused(self.says)
        return data


def test_what_nothing_helps_is_kept_and_said(fakes):
    """case 35: one message is refused for good; the others go on, and it stands in a file of its own."""
    old, new, copier = fakes(Picky)
    poison = messages.sound("bad one", b"poison\n\0\r\n")
    for data in (messages.sound("a"), poison, messages.sound("b")):
        old.put(ANNA, b"INBOX", data)
    result = copier.run()[1]
    assert result["ok"] and not result["clean"] and result["copied"] == 2 and result["exceptions"] == 1
    assert result["messages"] == result["verified"] == 2
    (kind, reason, tried, file, subject), = exceptions(copier).values()
    assert kind == "content" and "not to my taste" in reason and subject == "bad one"
    assert "NUL: " in tried and "line ends: " in tried and "NUL+line ends: " in tried
    with open(file, "rb") as f:
        assert f.read() == poison
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(file)).st_mode) == 0o700
    tries = new.count("APPEND")
    assert copier.run()[1]["exceptions"] == 1
    assert new.count("APPEND") == tries     # not again and again


@pytest.mark.parametrize("says", [b"NO Virus Eicar-Test found", b"NO [ALERT] rejected by policy"])
def test_rules_are_not_dodged(fakes, says):
    """case 35: a virus scanner's no is final: no other form of the message is tried."""
    old, new, copier = fakes(Picky)
    new.says = says
    old.put(ANNA, b"INBOX", messages.sound("v", b"poison\n"))
    old.put(ANNA, b"INBOX", messages.sound("a"))
    assert copier.run()[1]["copied"] == 1
    (kind, reason, tried, file, _), = exceptions(copier).values()
    assert kind == "policy" and says[3:20].decode() in reason and not tried and os.path.exists(file)
    assert new.count("APPEND") <= 3     # both in one command, then each alone


def test_limits_known_and_unknown(fakes):
    """case 34: APPENDLIMIT is not even tried, [TOOBIG] once; both are tried again when the limit is another."""
    old, new, copier = fakes()
    new.capabilities.remove(b"MULTIAPPEND")
    new.refuse_append = lambda talk, name, size: b"NO [TOOBIG] Message too large" if size > 2000 else None
    old.put(ANNA, b"INBOX", messages.of_size("large", 5000))
    old.put(ANNA, b"INBOX", messages.of_size("small", 1000))
    assert copier.run()[1]["copied"] == 1
    (kind, reason, tried, file, _), = exceptions(copier).values()
    assert kind == "size" and "TOOBIG" in reason and not tried and os.path.getsize(file) == 5000
    new.capabilities.add(b"APPENDLIMIT=3000")
    copier.run()
    (kind, reason, *_), = exceptions(copier).values()
    assert kind == "size" and "APPENDLIMIT=3000" in reason
    new.capabilities.remove(b"APPENDLIMIT=3000")
    new.capabilities.add(b"APPENDLIMIT=9000")
    del new.refuse_append
    assert copier.until_clean()["messages"] == 2
    assert held(new) == held(old) and not os.path.exists(file)


def test_an_exception_ends_with_its_message(fakes):
    old, new, copier = fakes(Picky)
    old.put(ANNA, b"INBOX", messages.sound("good"))     # an emptied mailbox would hold the brake
    uid = old.put(ANNA, b"INBOX", messages.sound("bad", b"poison\r\n"))
    copier.run()
    (_, _, _, file, _), = exceptions(copier).values()
    old.box(ANNA).remove([uid])
    copier.until_clean()
    assert not exceptions(copier) and not os.path.exists(file)


def test_the_server_changes_its_mind_when_asked_again(fakes):
    old, new, copier = fakes(Picky)
    old.put(ANNA, b"INBOX", messages.sound("bad", b"poison\r\n"))
    copier.run()
    new.word = b"another"
    assert not copier.run()[1]["clean"]
    db = sqlite3.connect(copier.journal)
    with db:
        db.execute("UPDATE exception SET retry = 1")
    db.close()
    copier.until_clean()
    assert held(new) == held(old)


def test_a_folder_that_takes_nothing_is_no_row_of_exceptions(fakes):
    old, new, copier = fakes(Picky)
    new.word = b"X-Stamp"
    for i in range(200):
        old.put(ANNA, b"INBOX", messages.sound("m%d" % i))
    result = copier.run()[1]
    assert not result["ok"] and "takes no message" in result["text"], result
    assert not any(x[3] for x in exceptions(copier).values())     # none is written off: all are tried again
    new.word = b"nothing of the kind"
    copier.until_clean()
    assert held(new) == held(old)


# ---- what the source does not give

def test_nothing_for_a_message_that_exists(fakes):
    """case 64: NIL, nothing at all, an empty body: asked once more, then an exception."""
    old, new, copier = fakes()
    uids = [old.put(ANNA, b"INBOX", messages.sound("m%d" % i)) for i in range(4)]
    fetches = []
    real = old.item

    def item(name, m, flags, modseq):
        if name.upper() == b"BODY.PEEK[]":
            fetches.append(m.uid)
            if m.uid == uids[1]:
                return b"BODY[] NIL"
            if m.uid == uids[2]:
                return b"BODY[] {0}\r\n"
        return real(name, m, flags, modseq)
    old.item = item
    result = copier.run()[1]
    assert result["copied"] == 2 and result["exceptions"] == 2, result
    assert {u: x[0] for u, x in exceptions(copier).items()} == {uids[1]: "unreadable", uids[2]: "unreadable"}
    assert [fetches.count(u) for u in uids] == [1, 2, 2, 1]
    old.item = real
    old.ports = dict(old.ports)


def test_a_moment_of_weakness_is_no_exception(fakes):
    """case 64: the second time it comes."""
    old, new, copier = fakes()
    old.put(ANNA, b"INBOX", messages.sound("m"))
    real, weak = old.item, [True]

    def item(name, m, flags, modseq):
        return b"BODY[] NIL" if name.upper() == b"BODY.PEEK[]" and weak and weak.pop() else real(name, m, flags, modseq)
    old.item = item
    copier.until_clean(passes=1)
    assert held(new) == held(old)


class Fragile(FakeMail):
    """Hangs up on what has a word in it, as often as it is told."""

    times = 1 << 30

    def stored(self, data):
        if b"poison" in data and self.times:
            self.times -= 1
            raise Hangup
        return data


def passes_until_done(copier, most=7):
    """[the result of each pass]; the last is the first that was not cut off."""
    results = []
    while not (results and results[-1]["ok"]):
        assert len(results) < most, results
        results.append(copier.run()[1])
    return results


def put_around(old, bad, folder=b"INBOX"):
    """Mail before and behind it, and in another folder; returns the UID of the bad one."""
    old.create(ANNA, b"Work")
    for i in range(40):
        if i == 17:
            uid = old.put(ANNA, folder, bad)
        old.put(ANNA, folder, messages.sound("m%d" % i))
        old.put(ANNA, b"Work", messages.sound("w%d" % i))
    return uid


def suspects(copier):
    return ask(copier, "SELECT uid, side, times FROM suspect")


def test_a_message_that_costs_the_new_connection(fakes):
    """case 73: each time; all other mail comes over, and this one is said."""
    old, new, copier = fakes(Fragile, connections=1, fence_s=0)
    bad = messages.sound("bad one", b"poison")
    uid = put_around(old, bad)
    *lost, last = passes_until_done(copier)
    assert len(lost) in (4, 5) and not any(r["ok"] for r in lost)
    assert last["exceptions"] == 1 and not last["clean"] and suspects(copier) == []
    assert held(new) == held(old) - collections.Counter([bad]) and held(new, b"Work") == held(old, b"Work")
    (where, (kind, reason, _, file, subject)), = exceptions(copier).items()
    assert (where, kind, subject) == (uid, "content", "bad one") and "new was lost 4 times" in reason
    with open(file, "rb") as f:
        assert f.read() == bad
    tries = new.count("APPEND")
    assert copier.run()[1]["exceptions"] == 1 and new.count("APPEND") == tries


def test_a_message_that_costs_the_old_connection(fakes):
    """The same where it cannot even be read."""
    old, new, copier = fakes(connections=1)
    bad = messages.sound("bad one")
    uid = put_around(old, bad)
    real = old.item

    def item(name, m, flags, modseq):
        if name.upper() == b"BODY.PEEK[]" and m.uid == uid and m.data == bad:
            raise Hangup
        return real(name, m, flags, modseq)
    old.item = item
    *_, last = passes_until_done(copier)
    assert last["exceptions"] == 1 and suspects(copier) == []
    assert held(new) == held(old) - collections.Counter([bad]) and held(new, b"Work") == held(old, b"Work")
    (where, (kind, reason, _, file, _)), = exceptions(copier).items()
    assert (where, kind, file) == (uid, "unreadable", "") and "old was lost 4 times" in reason


def test_a_connection_lost_by_chance_blames_nobody_for_long(fakes):
    """Twice at the same message, then it is taken."""
    old, new, copier = fakes(Fragile, connections=1, fence_s=0)
    new.times = 2
    put_around(old, messages.sound("bad one", b"poison"))
    lost, again, last = passes_until_done(copier)
    assert last["exceptions"] == 0 and suspects(copier) == [] and held(new) == held(old)


# ---- dates

def test_dates_of_all_kinds(fakes):
    """case 31: before 1970, after 2038, an odd zone, next year; none, or nonsense, costs the date only."""
    old, new, copier = fakes()
    dates = [b"31-Dec-1969 23:59:59 -0100", b"01-Jan-1901 00:00:00 +0000", b"19-Jan-2038 03:14:08 +0000",
             b"01-Jan-2107 00:00:00 +0000", b"05-Mar-2024 10:11:12 +1345", b"05-Mar-2024 10:11:12 -0330"]
    for i, date in enumerate(dates):
        old.put(ANNA, b"INBOX", messages.sound("d%d" % i), date=date)
    copier.until_clean()
    assert [m.date for m in new.box(ANNA).mails] == [d if d[:1] != b"0" else b" " + d[1:] for d in dates]


def test_without_a_date(fakes):
    """case 31: NIL and nonsense; the difference is reported, and nothing waits for it."""
    old, new, copier = fakes()
    uids = [old.put(ANNA, b"INBOX", messages.sound("d%d" % i)) for i in range(3)]
    real = old.item

    def item(name, m, flags, modseq):
        if name.upper() == b"INTERNALDATE" and m.uid != uids[2]:
            return b"INTERNALDATE " + (b"NIL" if m.uid == uids[0] else b'"yesterday"')
        return real(name, m, flags, modseq)
    old.item = item
    result = copier.until_clean()
    assert held(new) == held(old) and result["differences"] == 2


@pytest.mark.offers("dovecot")
def test_a_date_ahead_is_a_difference(stage, person, tmp_path):
    """case 31: Dovecot keeps no date that is more than two hours ahead: reported, not failed, not tried again."""
    old = FakeMail("old", str(tmp_path), stage.ca, {person.name: person.password})
    try:
        for year in (2024, 2099):
            old.put(person.name, b"INBOX", messages.sound("y%d" % year), date=b"05-Mar-%d 10:11:12 +0000" % year)
        copier = Copier(old, stage.new, stage.ca, person.name, person.password, str(tmp_path))
        result = copier.until_clean(passes=1)
        assert result["differences"] == 1 and result["exceptions"] == 0
        kept = {m.stamp: m.date for m in reader.read(stage.new, person.name, stage.context)[("INBOX",)].messages}
        assert kept["y2024"] == 1709633472 and kept["y2099"] < time.time() + 3 * 3600
        (what,), = ask(copier, "SELECT what FROM difference")
        assert what.endswith("instead of 2099-03-05 10:11:12"), what
        assert copier.run()[1]["copied"] == 0
    finally:
        old.stop()


# ---- no room

def test_no_room_in_the_middle(fakes):
    """case 68: message 3 of 5 is one too many: the user's pass stops, and the next one begins there."""
    old, new, copier = fakes()
    for i in range(5):
        old.put(ANNA, b"INBOX", messages.sound("m%d" % i))
    full = [True]

    def commit(talk, box, mails):
        if full and len(box.mails) + len(mails) > 2:
            raise Refused(b"NO [OVERQUOTA] Quota exceeded")
        return FakeMail.commit(new, talk, box, mails)
    new.commit = commit
    result = copier.run()[1]
    assert not result["ok"] and "OVERQUOTA" in result["text"], result
    assert sum(held(new).values()) <= 2 and not exceptions(copier)
    full.clear()
    copier.until_clean()
    assert held(new) == held(old)


# ---- signatures

def test_signed_mail_stays_signed(stage, person, real_copier, tmp_path):
    """case 33: what is signed verifies on the other side, and one altered byte would show."""
    signer = Signer(str(tmp_path))
    smime = signer.smime(b"Dear Bob,\r\n\r\nall of it.  \r\n")
    dkim = signer.dkim(b"From: anna@example.com\r\nTo: bob@example.com\r\nSubject: signed  \r\n\r\nDear Bob,  \r\n\r\n")
    assert not signer.smime_holds(smime.replace(b"all", b"a11")) and not signer.dkim_holds(dkim.replace(b"Dear", b"dear"))
    assert fill_real(stage, person, [messages.Odd("s", 33, smime), messages.Odd("d", 33, dkim)]) == 2
    real_copier.until_clean()
    client = reader.connect(stage.new, person.name, context=stage.context)
    client.select("INBOX", readonly=True)
    smime, dkim = (client.uid("FETCH", str(n), "(BODY.PEEK[])")[1][0][1] for n in client.uid("SEARCH", "ALL")[1][0].decode().split())
    client.logout()
    assert signer.smime_holds(smime) and signer.dkim_holds(dkim)


# ---- the desk

@pytest.fixture
def desk(stage, fakes):
    """mailferry between a fake old and one that will not take poison; anna is imported."""
    old, new, _ = fakes(Picky)
    folder = tempfile.mkdtemp(prefix="desk-", dir=stage.folder)
    os.chmod(folder, 0o755)
    f = Mailferry(folder, stage.ca, old, new, settings={"run": {"nodes": 1}})
    yield old, new, f
    f.stop()
    assert not f.complaints()


def gate(ferry, name):
    return {i["name"]: i["open"] for i in ferry.cli("why", ANNA)["waits_for"]}[name]


def test_the_desk_sees_waives_and_retries(desk):
    old, new, ferry = desk
    old.put(ANNA, b"INBOX", messages.sound("good"))
    for n in (b"one", b"two"):
        old.put(ANNA, b"INBOX", messages.sound("bad " + n.decode(), b"poison " + n))
    ferry.start()
    ferry.import_users([ANNA])
    wait_until(lambda: len(ferry.cli("exceptions", ANNA)["exceptions"]) == 2, 30, "two exceptions")
    wait_until(lambda: ferry.user(ANNA)["progress"]["exceptions"] == 2, 30, "the pass to end")
    listed = ferry.cli("exceptions", ANNA)
    assert [(x["folder"], x["uid"], x["subject"], x["kind"], x["waived"]) for x in listed["exceptions"]] == [
        ("INBOX", 2, "bad one", "content", False), ("INBOX", 3, "bad two", "content", False)]
    for x in listed["exceptions"]:
        assert "not to my taste" in x["reason"] and "line ends: " in x["tried"] and os.path.exists(x["file"])
    text = ferry.command("exceptions", ANNA).stdout
    assert "bad two" in text and "not to my taste" in text and listed["exceptions"][0]["file"] in text
    assert "2 messages could not be copied" in ferry.command("why", ANNA).stdout
    assert ferry.state(ANNA) == "syncing"

    assert ferry.command("waive", ANNA, "--all", check=False).returncode == 2       # no note
    assert ferry.command("waive", ANNA, "--note", "x", check=False).returncode == 2     # which?
    assert ferry.command("waive", ANNA, "--note", "x", "--kind", "odd", check=False).returncode == 1
    status, _, told = LocalApi(ferry).ask("/v1/waive", {"user": ANNA, "all": True, "count": 1, "note": "of the one that was shown"})
    assert status == 409 and "1 messages are meant, but there are 2 now" in told["error"]
    assert not any(x["waived"] for x in ferry.cli("exceptions", ANNA)["exceptions"])
    assert ferry.cli("waive", ANNA, "--folder", "INBOX", "--uid", "2", "--note", "Anna has it")["count"] == 1
    assert ferry.cli("waive", ANNA, "--folder", "INBOX", "--uid", "2", "--note", "Anna has it")["count"] == 0
    wait_until(lambda: ferry.user(ANNA)["progress"]["exceptions"] == 1, 30, "one to be waived")
    assert ferry.state(ANNA) == "syncing"
    assert ferry.cli("waive", ANNA, "--kind", "content", "--note", "ticket 4711")["count"] == 1
    ferry.wait_state(ANNA, "ready")
    assert gate(ferry, "exceptions") and gate(ferry, "verified")
    said = [(h["actor"], h["why"]) for h in ferry.history(ANNA) if h["from"] == h["to"]]
    assert [w for _, w in said] == ["waived: 1 message that could not be copied: Anna has it",
                                    "waived: 1 message that could not be copied: ticket 4711"]
    assert said[0][0] == "operator uid %d" % os.getuid()

    assert ferry.cli("waive", ANNA, "--all", "--undo")["count"] == 2
    ferry.wait_state(ANNA, "syncing")
    new.word = b"something else"
    wait_until(lambda: ferry.cli("retry", ANNA)["busy"] == [], 20, "the worker to let us write")
    ferry.wait_state(ANNA, "ready")
    assert ferry.cli("exceptions", ANNA)["exceptions"] == [] and held(new) == held(old)
    assert not os.path.exists(listed["exceptions"][0]["file"])


def test_the_desk_sees_repairs(desk):
    old, new, ferry = desk
    new.word = b"\0"
    data = messages.sound("nul", b"a\0b\r\n")
    old.put(ANNA, b"INBOX", data)
    ferry.start()
    ferry.import_users([ANNA])
    ferry.wait_state(ANNA, "ready")
    listed = ferry.cli("exceptions", ANNA)
    (r,) = listed["repairs"]
    assert listed["exceptions"] == [] and (r["folder"], r["uid"]) == ("INBOX", 1)
    assert r["changed"] == "1 NUL made 0x80 at %d" % data.index(b"\0") and "not to my taste" in r["refusal"]
    assert r["sha256_before"] == sha(data) and r["sha256_after"] == sha(data.replace(b"\0", b"\x80"))
    assert "1 NUL made 0x80" in ferry.command("exceptions", ANNA).stdout
