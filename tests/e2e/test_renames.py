"""Folders that change their names on old, between passes: they do on new too, and nothing is copied again."""

import time

import pytest

from lib import mail
from lib.copier import KILLED
from lib.fakemail import FakeMail, Refused
from lib.imapclient import ImapClient

from test_names import ANNA, Pair, assert_same_mail, bodies

STEPS_MAX = 80


@pytest.fixture
def pair(ca, tmp_path):
    made = []

    def make(**options):
        made.append(Pair(ca, tmp_path, **options))
        return made[-1]
    yield make
    for p in made:
        p.end()


class HasIds(FakeMail):
    """OBJECTID, and one UIDVALIDITY for all: only the id tells folders apart."""

    ids = 0

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.capabilities |= {b"OBJECTID"}

    def next_uidvalidity(self):
        return 1

    def create(self, user, name, attributes=()):
        box = super().create(user, name, attributes)
        HasIds.ids += 1
        box.id = b"F%d" % HasIds.ids
        return box

    def _status(self, box, items):
        line = super()._status(box, [i for i in items if i != b"MAILBOXID"])
        return line.replace(b")\r\n", b" MAILBOXID (%s))\r\n" % box.id)


def rename(fake, old, new):
    """As a client of the user's would."""
    boxes = fake.account(ANNA).boxes
    for name in [n for n in boxes if n == old or n.startswith(old + b"/")]:
        box = boxes.pop(name)
        box.name = new + name[len(old):]
        boxes[box.name] = box


def fill(p, *names):
    for name in names:
        for i in range(3):
            p.old.put(ANNA, name, mail.message("%s-%d" % (name.decode(), i)))


def assert_followed(p):
    """By the next pass, without a single message sent."""
    before = p.new.count("APPEND")
    result = p.copier.until_clean()
    assert bodies(p.old) == bodies(p.new)
    assert p.new.count("APPEND") == before and result["copied"] == 0
    assert p.copier.run()[1]["clean"]


@pytest.mark.parametrize("old", [FakeMail, HasIds])
def test_a_rename_is_followed_with_all_below(pair, old):
    """Case 50."""
    p = pair(old=old)
    fill(p, b"INBOX", b"Work", b"Work/2020", b"Work/2020/May", b"Other")
    p.copier.until_clean()
    rename(p.old, b"Work", b"Jobs")
    assert_followed(p)
    rename(p.old, b"Jobs/2020", b"Old jobs")
    p.old.put(ANNA, b"Old jobs", mail.message("and one more"))
    p.copier.until_clean()
    assert bodies(p.old) == bodies(p.new)


@pytest.mark.parametrize("old", [FakeMail, HasIds])
def test_two_folders_change_places(pair, old):
    """Case 50: and three go round."""
    p = pair(old=old)
    fill(p, b"A", b"A/x", b"B", b"C", b"D", b"E")
    p.copier.until_clean()
    rename(p.old, b"A", b"tmp")
    rename(p.old, b"B", b"A")
    rename(p.old, b"tmp", b"B")
    rename(p.old, b"C", b"tmp")
    rename(p.old, b"D", b"C")
    rename(p.old, b"E", b"D")
    rename(p.old, b"tmp", b"E")
    assert_followed(p)


@pytest.mark.parametrize("old", [FakeMail, HasIds])
def test_a_name_is_used_again(pair, old):
    """Case 50."""
    p = pair(old=old)
    fill(p, b"Drafts of 2020", b"Drafts of 2020/a")
    p.copier.until_clean()
    rename(p.old, b"Drafts of 2020", b"Archive")
    p.old.put(ANNA, b"Drafts of 2020", mail.message("new"))
    before = p.new.count("APPEND")
    p.copier.until_clean()
    assert bodies(p.old) == bodies(p.new)
    assert p.new.count("APPEND") == before + 1


def test_another_uidvalidity_with_the_name(pair):
    """As Courier does with a folder that is renamed."""
    p = pair()
    fill(p, b"Work", b"Work/x", b"Other")
    p.copier.until_clean()
    rename(p.old, b"Work", b"Jobs")
    for name in (b"Jobs", b"Jobs/x"):
        p.old.box(ANNA, name).uidvalidity += 77
    before = p.new.count("APPEND")
    p.copier.until_clean()
    assert bodies(p.old) == bodies(p.new)
    assert p.new.count("APPEND") == before


def test_without_proof_it_is_another_folder(pair):
    """Equal UIDVALIDITY and UIDs (a server that gives 1 to all) are not enough."""
    class One(FakeMail):
        def next_uidvalidity(self):
            return 1
    p = pair(old=One)
    fill(p, b"Gone")
    p.copier.until_clean()
    del p.old.account(ANNA).boxes[b"Gone"]
    for i in range(4):
        p.old.put(ANNA, b"Fresh", mail.message("fresh-%d" % i))
    p.copier.until_clean()
    assert_same_mail(p)


def create(server, client, name):
    """With a UIDVALIDITY of its own: Cyrus takes the second, so that folders made in one could not be told apart."""
    second = int(time.time())
    while server.kind == "cyrus" and int(time.time()) == second:
        time.sleep(0.02)
    client.command(b"CREATE " + name)


def test_real_servers(stage, person, copier):
    old = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)
    old.login(person.name, person.password)
    sep, prefix = stage.old.separator, stage.old.prefix

    def name(*parts):
        return (prefix + sep.join(parts)).encode()
    for n in (name("A"), name("A", "x"), name("B"), name("C")):
        create(stage.old, old, n)
        old.append(n, mail.message(n.decode()), b"\\Seen", mail.imap_date(1500000000))
    copier.until_clean()
    for was, now in (("A", "tmp"), ("B", "A"), ("tmp", "B"), ("C", "D")):
        old.command(b"RENAME %s %s" % (name(was), name(now)))
    old.logout()
    copied = 0
    for _ in range(3):          # Courier changes UIDVALIDITY with the name: all is recognised, then compared
        code, result = copier.run()
        assert result["ok"], result
        copied += result["copied"]
    assert result["clean"] and not copier.difference(), copier.difference()
    # Two that change places there cannot be told from two whose mail changed places.
    assert copied == (2 if stage.old.kind == "courier" else 0)


def test_a_name_that_the_new_server_refuses(pair):
    """The folder keeps its name there, and nothing is copied or lost."""
    class Refuses(FakeMail):
        def do_rename(self, talk, command):
            raise Refused(b"NO [CANNOT] not that one")
    p = pair(new=Refuses)
    fill(p, b"Work")
    p.copier.until_clean()
    rename(p.old, b"Work", b"Jobs")
    assert p.copier.until_clean()["copied"] == 0
    assert set(bodies(p.new)) == {b"Work"}
    assert p.copier.run()[1]["clean"] and p.new.count("RENAME") == 1


def test_after_the_flip_the_users_names_stay(pair):
    p = pair()
    fill(p, b"Work")
    p.copier.until_clean()
    rename(p.old, b"Work", b"Jobs")
    p.old.put(ANNA, b"Jobs", mail.message("late"))
    code, result = p.copier.run("trailing")
    assert result["arrived"] == 1 and p.new.count("RENAME") == 0
    assert {n: len(b) for n, b in bodies(p.new).items()} == {b"Work": 4}


def test_a_folder_that_is_gone(pair):
    """Case 51: its mail goes too, within the brake; and never because a listing forgot it."""
    p = pair()
    fill(p, b"INBOX", b"Small", b"Large")
    p.copier.until_clean()
    large = p.old.account(ANNA).boxes.pop(b"Large")
    code, result = p.copier.run(delete_brake=2, delete_brake_percent=0)
    assert result["deleted"] == 0 and "brake" in result["text"]
    p.old.account(ANNA).boxes[b"Large"] = large
    del p.old.account(ANNA).boxes[b"Small"]
    p.copier.until_clean()
    assert bodies(p.old) == bodies(p.new)

    class Forgets(dict):
        def values(self):
            return [b for n, b in self.items() if n != b"Large"]
    account = p.old.account(ANNA)
    account.boxes = Forgets(account.boxes)
    code, result = p.copier.run()
    assert result["deleted"] == 0 and not result["clean"], result


@pytest.mark.full
def test_killed_at_every_step_of_a_swap(pair):
    """Case 50, and R9 of the protocol."""
    p = pair()
    for k in range(1, STEPS_MAX):
        for fake in (p.old, p.new):
            fake.accounts.clear()
        p.copier.forget()
        fill(p, b"A", b"A/x", b"B", b"C")
        p.copier.until_clean()
        before = p.new.count("APPEND")
        for was, now in ((b"A", b"tmp"), (b"B", b"A"), (b"tmp", b"B"), (b"C", b"D")):
            rename(p.old, was, now)
        code, _ = p.copier.run(stop_at=k)
        p.copier.until_clean()
        assert bodies(p.old) == bodies(p.new), "killed at step %d" % k
        assert p.new.count("APPEND") == before, "killed at step %d" % k
        if code != KILLED:
            assert k > 12
            return
    raise AssertionError("more than %d steps" % STEPS_MAX)


def test_killed_at_every_step_while_a_subscription_keeps_the_name(pair):
    """A server lists what is subscribed, there or not: the name that was left is nobody's all the same."""
    p = pair()
    for k in range(1, STEPS_MAX):
        for fake in (p.old, p.new):
            fake.accounts.clear()
        p.copier.forget()
        fill(p, b"A", b"A/x")
        p.old.account(ANNA).subscribed |= {b"A", b"A/x"}
        p.copier.until_clean()
        assert p.new.account(ANNA).subscribed == {b"A", b"A/x"}
        before = p.new.count("APPEND")
        rename(p.old, b"A", b"B")
        code, _ = p.copier.run(stop_at=k)
        p.copier.until_clean()
        assert bodies(p.old) == bodies(p.new), "killed at step %d" % k
        assert p.new.count("APPEND") == before, "killed at step %d" % k
        if code != KILLED:
            assert k > 3
            return
    raise AssertionError("more than %d steps" % STEPS_MAX)
