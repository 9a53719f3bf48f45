"""
Folders: what they are called on a server that calls them otherwise, and that none is ever lost or
becomes one with another on the way. Between real servers, and against a fake one with odd ways.
"""

import unicodedata

import pytest

from lib import mail, reader
from lib.copier import KILLED, Copier
from lib.fakemail import FakeMail, Refused
from lib.imapclient import ImapClient, No

ANNA, SECRET = "anna@example.com", "secret"
STEPS_MAX = 60


class Pair:
    """Two fakes and a copier between them."""

    ended = False

    def __init__(self, ca, tmp_path, old=FakeMail, new=FakeMail, **options):
        self.old = old("old", str(tmp_path), ca, {ANNA: SECRET}, **options.pop("old_options", {}))
        self.new = new("new", str(tmp_path), ca, {ANNA: SECRET}, **options.pop("new_options", {}))
        self.copier = Copier(self.old, self.new, ca, ANNA, SECRET, str(tmp_path), fence_s=0, **options)

    def fill(self, *names):
        """One message in each, which says where it was."""
        for i, name in enumerate(names):
            self.old.put(ANNA, name, mail.message("in-%d" % i))

    def end(self):
        self.ended = True
        self.old.stop()
        self.new.stop()


@pytest.fixture
def pair(ca, tmp_path):
    made = []

    def make(**options):
        made.append(Pair(ca, tmp_path, **options))
        return made[-1]
    yield make
    for p in made:
        if not p.ended:
            p.end()


def bodies(fake):
    """{name: its messages}, folders without mail left out."""
    return {box.name: sorted(m.data for m in box.mails) for box in fake.account(ANNA).boxes.values() if box.mails}


def assert_same_mail(p):
    """Each old folder's mail is together in one new folder, and no two share one."""
    old, new = bodies(p.old), bodies(p.new)
    assert sorted(old.values()) == sorted(new.values()), (old.keys(), new.keys())


def assert_settled(p, **changes):
    """A pass more, and one with a new journal, bring nothing a second time."""
    assert p.copier.run(**changes)[1]["copied"] == 0
    p.copier.forget()
    assert p.copier.until_clean(**changes)["copied"] == 0
    assert_same_mail(p)


def connect(stage, server, person):
    c = ImapClient(server.address, server.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    return c


# ---- between real servers

ODD_NAMES = [b"Trash box", b"two  spaces", b" leading", b"trailing ", b'quo"te', b"back\\slash", b"a*b%c", b"caret^",
             b"v1_2", b"Case", b"case", b"&AMQ-rger", b"O&APk-", b"Ou&AwE-", b"&2D3eAA-", b"A&-B", b"n" * 200,
             b"~home", b"-dash", b"(paren)", b"{5}", b"100%", b"a,b;c:d!e", b"NIL"]


def test_odd_names_arrive(stage, person, copier):
    """Cases 41, 42, 43, 44, 45, as far as the old server itself takes the names."""
    old = connect(stage, stage.old, person)
    sep, prefix = stage.old.separator.encode(), stage.old.prefix.encode()
    deep = sep.join([b"d"] * 10)
    taken = 0
    for i, name in enumerate(ODD_NAMES + [deep]):
        full = reader.quote(prefix + name)
        try:
            old.command(b"CREATE " + full)
            old.append(full, mail.message("odd-%d" % i), b"", mail.imap_date(1500000000))
            taken += 1
        except No:
            pass
    assert taken >= 12
    copier.until_clean()
    stamps = [m.stamp for f in stage.read(stage.old, person).values() for m in f.messages]
    new = stage.read(stage.new, person)
    assert sorted(stamps) == sorted(m.stamp for f in new.values() for m in f.messages)
    assert all(len(f.messages) <= 1 for f in new.values())
    assert copier.run()[1]["copied"] == 0
    copier.forget()
    assert copier.until_clean()["copied"] == 0


# ---- names that the new server does not tell apart

class IgnoresCase(FakeMail):
    def canonical(self, name):
        return name.upper() if name.upper() == b"INBOX" else name.lower()

    def stored_name(self, name):
        return b"INBOX" if name.upper() == b"INBOX" else name


class Lowers(IgnoresCase):
    """And says so only in its listing: CREATE of a twin is OK and does nothing."""

    def stored_name(self, name):
        return self.canonical(name)

    def do_create(self, talk, command):
        try:
            super().do_create(talk, command)
        except Refused:
            pass


@pytest.mark.parametrize("new", [IgnoresCase, Lowers])
def test_names_that_differ_in_case_never_merge(pair, new):
    """Case 43."""
    p = pair(new=new)
    p.fill(b"Trash", b"trash", b"TRASH", b"trash/a", b"Trash/a", b"Only")
    p.copier.until_clean()
    assert_same_mail(p)
    assert_settled(p)


def test_names_that_differ_in_case_are_kept_where_they_can_be(pair):
    p = pair()
    p.fill(b"Trash", b"trash")
    p.copier.until_clean()
    assert bodies(p.old) == bodies(p.new)


def test_the_operators_word_decides(pair):
    """Case 43: recorded as a rule; skipped folders stay behind."""
    p = pair(new=IgnoresCase)
    p.fill(b"Trash", b"trash", b"trash/a", b"Public/x", b"keep")
    rules = {"shared": False, "map": [["trash", "Old trash"]], "skip": ["Public*"]}
    p.copier.until_clean(folders=rules)
    assert set(bodies(p.new)) == {b"Trash", b"Old trash", b"Old trash/a", b"keep"}
    again = p.copier.run(folders=rules)[1]
    assert again["copied"] == 0 and again["clean"], again


# ---- alphabets

class SpeaksUtf8(FakeMail):
    """RFC 6855 UTF8=ONLY: whoever does not say that he knows it is refused; names are NFC."""

    normal = "NFC"

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.capabilities |= {b"UTF8=ONLY", b"UTF8=ACCEPT"}

    def do_enable(self, talk, command):
        talk.utf8 = b"UTF8=ACCEPT" in command.args
        super().do_enable(talk, command)

    def do(self, talk, command, rule=None):
        if command.verb in ("LIST", "LSUB", "CREATE", "SELECT", "EXAMINE", "STATUS") and not getattr(talk, "utf8", 0):
            talk.say(command.tag + b" NO [CANNOT] UTF8=ACCEPT first\r\n")
            return
        super().do(talk, command, rule)

    def canonical(self, name):
        return super().canonical(unicodedata.normalize(self.normal, name.decode()).encode())


ALPHABETS = {b"&AMQ-rger": "Ärger", b"&2D3eAA-": "😀", b"A&-B": "A&B", b"plain": "plain", b"&ZeVnLIqe-/x": "日本語/x"}


def test_utf8_only_on_the_new_side(pair):
    """Case 44: and two ways to write one accent stay two, by number if need be."""
    p = pair(new=SpeaksUtf8)
    p.fill(*ALPHABETS, b"R&D", b"caf&AOk-", b"cafe&AwE-")
    p.copier.until_clean()
    names = {n.decode() for n in bodies(p.new)}
    assert set(ALPHABETS.values()) | {"R&D"} <= names, names
    assert_same_mail(p)
    assert_settled(p)


def test_utf8_only_on_the_old_side(pair):
    p = pair(old=SpeaksUtf8)
    p.fill(*(n.encode() for n in ALPHABETS.values()))
    p.copier.until_clean()
    assert set(bodies(p.new)) == set(ALPHABETS)
    assert_settled(p)


# ---- what a server does not take

class Picky(FakeMail):
    """As hosted servers are: reserved names, no wildcards, no long or deep names, one prefix that it keeps to itself."""

    def do_create(self, talk, command):
        name = command.args[0]
        if name in (b"Files", b"Notes") or name.startswith(b"[Gmail]"):
            raise Refused(b"NO [CANNOT] this name is ours")
        if any(c in name for c in b'*%"\\^') or name != name.strip() or b"  " in name:
            raise Refused(b"NO invalid name")
        if len(name) > 255 or name.count(self.separator.encode()) > 20:
            raise Refused(b"NO name too long")
        super().do_create(talk, command)


PICKED = [b"Files", b"Files/a", b"[Gmail]/Sent", b"a*b%c", b'quo"te', b"back\\slash", b"caret^", b" x ", b"n" * 255,
          b"m" * 1000, b"d/" * 59 + b"d", b"two  spaces", b"v1.2", b"fine"]


def test_refused_names_get_others(pair):
    """Cases 45, 49."""
    p = pair(new=Picky, new_options={"separator": "."})
    p.fill(*PICKED)
    p.copier.until_clean()
    assert_same_mail(p)
    names = set(bodies(p.new))
    assert {b"fine", b"n" * 255, b"v1_2", b"Files_2", b"Files_2.a"} <= names, names
    assert_settled(p)


@pytest.mark.full
def test_killed_at_every_step_of_a_first_pass_with_refusals(pair):
    p = pair(new=Picky)
    p.fill(b"Files", b"Files/a", b"fine")
    for k in range(1, STEPS_MAX):
        p.new.accounts.clear()
        p.copier.forget()
        code, _ = p.copier.run(stop_at=k)
        p.copier.until_clean()
        assert_same_mail(p)
        if code != KILLED:
            assert k > 8
            return
    raise AssertionError("more than %d steps" % STEPS_MAX)


class NoNamespace(FakeMail):
    """Below INBOX only, and does not say so."""

    def do_create(self, talk, command):
        if not command.args[0].startswith(b"INBOX."):
            raise Refused(b"NO invalid name")
        super().do_create(talk, command)


def test_a_prefix_that_nobody_told_of(pair):
    """Case 42."""
    p = pair(new=NoNamespace, new_options={"separator": "."})
    p.new.capabilities -= {b"NAMESPACE"}
    p.fill(b"Sent", b"a/b")
    p.copier.until_clean()
    assert set(bodies(p.new)) == {b"INBOX.Sent", b"INBOX.a.b"}
    assert_settled(p)


def test_a_server_that_takes_no_name_at_all(pair):
    """Named, and the others go on."""
    p = pair()
    p.new.rules["CREATE"] = b"%t NO not today\r\n"
    p.fill(b"INBOX", b"Work")
    code, result = p.copier.run()
    assert result["ok"] and not result["clean"] and "folder Work" in result["text"], result
    assert set(bodies(p.new)) == {b"INBOX"}


def test_full_is_not_a_bad_name(pair):
    p = pair()
    p.new.rules["CREATE"] = b"%t NO [OVERQUOTA] no more folders\r\n"
    p.fill(b"Work")
    code, result = p.copier.run()
    assert not result["ok"] and result["kind"] == "full", result
    assert p.new.count("CREATE") == 1


# ---- folders that are not what they seem

def test_parents_without_mail_and_folders_that_do_not_open(pair):
    """Case 46."""
    p = pair()
    p.fill(b"INBOX", b"P/child", b"Locked", b"Work")
    p.old.create(ANNA, b"P", [b"\\Noselect"])
    p.old.create(ANNA, b"Ghost", [b"\\NonExistent", b"\\Noselect"])
    p.new.create(ANNA, b"Work", [b"\\Noinferiors"])

    def locked(fake, talk, command):
        if command.args[0] == b"Locked":
            talk.say(command.tag + b" NO [NOPERM] somebody has it\r\n")
        else:
            fake.do(talk, command)
    p.fill(b"Work/below")
    p.old.rules["EXAMINE"] = locked
    code, result = p.copier.run()
    assert result["ok"] and not result["clean"] and "Locked" in result["text"], result
    assert set(bodies(p.new)) == {b"INBOX", b"P/child", b"Work", b"Work_below"}
    assert b"Ghost" not in p.new.account(ANNA).boxes
    del p.old.rules["EXAMINE"]
    p.copier.until_clean()
    assert_same_mail(p)


class Shares(FakeMail):
    def do_namespace(self, talk, command):
        talk.say(b'* NAMESPACE (("" "/")) (("Other users/" "/")) (("Public/" "/"))\r\n')


def test_shared_folders_only_when_asked_for(pair):
    """Case 48."""
    p = pair(old=Shares)
    p.fill(b"INBOX", b"Public/all", b"Other users/bert/x", b"Publicity")
    p.copier.until_clean()
    assert set(bodies(p.new)) == {b"INBOX", b"Publicity"}
    p.copier.until_clean(folders={"shared": True, "map": [], "skip": []})
    assert_same_mail(p)


def test_special_folders_meet(pair):
    """Case 47."""
    p = pair(old_options={"separator": ".", "prefix": "INBOX."})
    p.fill(b"INBOX", b"INBOX.Gesendet", b"INBOX.Gesendet.2020", b"INBOX.Papierkorb", b"INBOX.Corbeille")
    for i in range(3):
        p.old.put(ANNA, b"INBOX.Papierkorb", mail.message("p-%d" % i))
    p.new.create(ANNA, b"Sent Items", [b"\\Sent"])
    p.new.create(ANNA, b"Trash", [b"\\Trash"])
    p.copier.until_clean()
    assert set(bodies(p.new)) == {b"INBOX", b"Sent Items", b"Sent Items/2020", b"Trash", b"Corbeille"}
    assert len(p.new.box(ANNA, b"Trash").mails) == 4
    assert_settled(p)


# ---- subscriptions

def test_subscriptions_follow(pair):
    """Case 53: also of folders that do not exist, and where the new server refuses those."""
    p = pair(old_options={"separator": ".", "prefix": "INBOX."})
    p.fill(b"INBOX", b"INBOX.Work", b"INBOX.Rest")
    p.old.account(ANNA).subscribed |= {b"INBOX", b"INBOX.Work", b"INBOX.Gone.x"}
    p.copier.until_clean()
    assert p.new.account(ANNA).subscribed == {b"INBOX", b"Work", b"Gone/x"}
    p.old.account(ANNA).subscribed -= {b"INBOX.Work", b"INBOX.Gone.x"}
    p.copier.until_clean()
    assert p.new.account(ANNA).subscribed == {b"INBOX"}


class KnowsOnlyItsOwn(FakeMail):
    def do_subscribe(self, talk, command):
        self._box(talk, command.args[0])
        super().do_subscribe(talk, command)


def test_a_refused_subscription_of_nothing_is_no_trouble(pair):
    p = pair(new=KnowsOnlyItsOwn)
    p.fill(b"INBOX")
    p.old.account(ANNA).subscribed |= {b"Gone"}
    p.copier.until_clean()
    assert p.new.account(ANNA).subscribed == set()


@pytest.mark.parametrize("lacks", [set(), {b"CONDSTORE", b"QRESYNC"}], ids=["told", "listed"])
def test_folders_thrown_away_after_the_flip_stay_away(pair, lacks):
    """Made anew only for mail that comes in."""
    p = pair()
    p.old.capabilities -= lacks
    p.fill(b"INBOX", b"Lists", b"Work")
    p.copier.until_clean()
    for name in (b"Lists", b"Work"):
        del p.new.account(ANNA).boxes[name]
    p.old.put(ANNA, b"Lists", mail.message("late"))
    code, result = p.copier.run("trailing")
    assert result["ok"] and result["arrived"] == 1, result
    assert {n: len(b.mails) for n, b in p.new.account(ANNA).boxes.items()} == {b"INBOX": 1, b"Lists": 1}
