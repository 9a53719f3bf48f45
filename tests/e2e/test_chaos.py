"""The checker of `make chaos` by itself: histories that keep what is promised, and one for each way to break it."""

import os
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "chaos"))
import checker  # noqa: E402
import plants  # noqa: E402
from history import FAIL, OK, UNKNOWN, History, move_verb  # noqa: E402
from lib.mailferry import build_folder  # noqa: E402

pytestmark = pytest.mark.any_servers

ANNA = "anna@example.com"


class Story:
    """A history that is told line by line; each line a second after the one before."""

    def __init__(self):
        self.history, self.now = History(), 1000.0

    def row(self, verb, user=ANNA, who="anna-m0", **about):
        self.now += 1
        at = about.pop("at", self.now)
        return self.history.add(verb, user, who, at=at, end=about.pop("end", at + 0.5), **about)

    def append(self, stamp, folder="INBOX", outcome=OK, flags=(), **about):
        self.row("append", folder=folder, stamp=stamp, flags=list(flags), sha="sha of " + stamp, outcome=outcome, **about)

    def do(self, verb, stamp, folder="INBOX", outcome=OK, **about):
        self.row(verb, folder=folder, stamp=stamp, outcome=outcome, **about)

    def look(self, *stamps, folder="INBOX", **flagged):
        seen = {s: [1, []] for s in stamps}
        seen.update({s.replace("_", "-"): [1, list(f)] for s, f in flagged.items()})
        self.row("look", folder=folder, seen=seen, outcome=OK)

    def flip(self, direction="forward", late=0):
        self.row("freeze", who="engine", direction=direction, until=self.now + 6)
        return self.row("flip", who="engine", direction=direction, at=self.now + 3 + late, end=self.now + 3 + late)

    def end(self, side="old", winner=True, subscribed=(), **folders):
        held = {f: {stamp: [[list(flags), "sha of " + stamp]] * count for stamp, (count, flags) in found.items()}
                for f, found in folders.items()}
        self.row("final", who=side, side=side, winner=winner, folders=held, subscribed=list(subscribed))

    def rules(self):
        return sorted({v.rule for v in checker.check(self.history)})


@pytest.fixture
def story():
    return Story()


def held(*stamps, **flagged):
    return {**{s: (1, ()) for s in stamps}, **{s: (1, f) for s, f in flagged.items()}}


# ---- what is kept

def test_what_was_ok_is_there_with_its_last_flags(story):
    story.append("a")
    story.do("store", "a", flags=["\\Seen"])
    story.append("b", flags=["work"])
    story.look(a=["\\Seen"], b=["work"])
    story.flip()
    story.end("new", INBOX=held(a=["\\seen"], b=["work"]))
    assert story.rules() == []


def test_without_an_answer_both_is_right(story):
    for there in ({}, held("a")):
        s = Story()
        s.append("a", outcome=UNKNOWN)
        s.look(*there)
        s.end(INBOX=there)
        assert s.rules() == []
    story.append("b")
    story.do("move", "b", to="F", outcome=UNKNOWN)
    story.end(INBOX={}, F=held("b"))
    assert story.rules() == []


def test_folders_take_their_mail_along(story):
    story.append("a", folder="F")
    story.row("rename", folder="F", to="G", outcome=OK)
    story.do("copy", "a", folder="G", to="H")
    story.row("delete", folder="H", outcome=OK)
    story.look("a", folder="G")
    story.end(G=held("a"), H={})
    assert story.rules() == []


def test_a_look_beside_a_command_may_see_either(story):
    story.append("a", at=1000, end=1010)
    story.row("look", folder="INBOX", seen={}, outcome=OK, at=1004, end=1005)
    story.row("look", folder="INBOX", seen={"a": [1, []]}, outcome=OK, at=1005, end=1006)
    story.end(INBOX=held("a"))
    assert story.rules() == []


def test_mail_on_its_way_is_seen_later(story):
    story.flip()
    story.do("deliver", "d", side="old")
    story.look()
    story.look("d")
    story.end("new", INBOX=held("d"))
    assert story.rules() == []


# ---- what a journal in doubt cannot tell

def lose_journal(story, state="ready", known=(), gone=()):
    """
    A whole pass, then one of which only the host knows, that dies; what happens meanwhile is told at the two yields.
    known: stamps that are there before both; gone: such as come and go between the two passes.
    """
    for stamp in known:
        story.append(stamp)
    story.row("journal", away=True)
    story.row("pass", looked=False, clean=True, trails=state == "trailing")
    story.row("journal", away=False)
    for stamp in gone:
        story.append(stamp)
        story.do("expunge", stamp)
    story.append("brought")
    yield story.row("journal", away=True)
    yield story.row("doubt", who="mx2")
    story.row("pass", looked=state != "trailing", clean=True, trails=state == "trailing")


def flip(story):
    story.flip()
    story.now += 5


@pytest.mark.parametrize("verb", ["expunge", "move"])
def test_what_the_lost_pass_brought_and_was_deleted_is_a_stranger(story, verb):
    lost = lose_journal(story)
    next(lost)
    story.do(verb, "brought", **({"to": "F"} if verb == "move" else {}))
    list(lost)
    story.look()
    flip(story)
    elsewhere = {"F": held("brought")} if verb == "move" else {}
    story.look("brought")
    story.end("new", INBOX=held("brought"), **elsewhere)
    assert story.rules() == []
    story.end("new", INBOX={"brought": (2, ())}, **elsewhere)
    assert story.rules() == ["in the end"]


def test_on_the_side_that_counts_nothing_comes_back(story):
    lost = lose_journal(story)
    next(lost)
    story.do("expunge", "brought")
    list(lost)
    story.look("brought")
    story.end(INBOX={})
    assert story.rules() == ["seen"]


def test_other_mail_is_no_stranger():
    for stamp in ("known", "gone", "brought"):
        story = Story()
        lost = lose_journal(story, known=["known"], gone=["gone"])
        next(lost)
        story.do("expunge", "known")
        list(lost)
        story.do("expunge", "brought")      # too late
        flip(story)
        story.end("new", INBOX=held(stamp))
        assert story.rules() == ["in the end"]


@pytest.mark.parametrize("known, rules", [(True, ["in the end"]), (False, [])])
def test_a_folder_that_has_another_name(story, known, rules):
    """By mail in it that the copy knows it is recognised."""
    if known:
        story.append("b", folder="F")
    lost = lose_journal(story)
    next(lost)
    story.append("a", folder="F", at=1004.2, end=1004.3)
    story.row("rename", folder="F", to="G", outcome=OK)
    list(lost)
    flip(story)
    story.end("new", INBOX=held("brought"), F=held("a"), G=held("a", *["b"] * known))
    assert story.rules() == rules


@pytest.mark.parametrize("found, rules", [("G", []), ("F", ["in the end"])])
def test_a_stranger_goes_along_with_its_folder(story, found, rules):
    story.append("b", folder="F")
    lost = lose_journal(story)
    next(lost)
    story.append("a", folder="F", at=1004.2, end=1004.3)
    story.do("move", "a", folder="F", to="INBOX")
    list(lost)
    story.row("rename", folder="F", to="G", outcome=OK)
    flip(story)
    there = {"G": held("b")}
    there.setdefault(found, {}).update(held("a"))
    story.end("new", INBOX=held("brought", "a"), **there)
    assert story.rules() == rules


def test_what_a_moved_user_threw_away_comes_once_more():
    """But not new's own mail, nor what the copy knows."""
    for stamp, rules in (("late", []), ("early", ["in the end", "seen"]), ("brought", ["in the end", "seen"])):
        story = Story()
        flip(story)
        story.do("deliver", "early", side="old")
        lost = lose_journal(story, "trailing")
        story.now += 1
        next(lost)
        story.do("deliver", "late", side="old")
        for there in ("early", "late", "brought"):
            story.do("expunge", there)
        list(lost)
        story.look(stamp)
        story.end("new", INBOX=held(stamp))
        assert story.rules() == rules


# ---- what is broken

def test_lost(story):
    story.append("a")
    story.end(INBOX={})
    assert story.rules() == ["lost"]


def test_lost_though_only_a_move_had_no_answer(story):
    story.append("a")
    story.do("move", "a", to="F", outcome=UNKNOWN)
    story.end(INBOX={}, F={})
    assert story.rules() == ["lost"]


def test_lost_for_a_while(story):
    story.append("a")
    story.look()
    story.look("a")
    story.end(INBOX=held("a"))
    assert story.rules() == ["not seen"]


def test_seen_and_not_seen_again(story):
    story.do("deliver", "d", side="old")
    story.look("d")
    story.look()
    story.end(INBOX=held("d"))
    assert story.rules() == ["not seen"]


def test_doubled(story):
    story.append("a", outcome=UNKNOWN)
    story.end(INBOX={"a": (2, ())})
    assert story.rules() == ["in the end"]
    story.end("new", winner=False, INBOX={"a": (2, ())})
    assert story.rules() == ["doubled", "in the end"]


def test_what_failed_is_there(story):
    story.append("a", outcome=FAIL)
    story.end(INBOX=held("a"))
    assert story.rules() == ["in the end"]


@pytest.mark.parametrize("full, rules", [("new", []), ("old", ["in the end", "seen"])])
def test_what_a_full_disk_had_begun_may_be_there(story, full, rules):
    """Refused, or half moved: the server finds the file when there is room again, without its flags. Another one's disk is no excuse."""
    story.append("b", flags=["\\Seen"], side="new")
    story.history.add("mishap", None, "nemesis", what="disk full", text=full, at=story.now)
    story.append("a", outcome=FAIL, side="new")
    story.do("move", "b", to="Work", outcome=UNKNOWN, side="new")
    story.history.add("mishap", None, "nemesis", what="disk free", text=full, at=story.now)
    story.now += 5
    story.look("b", folder="Work")
    story.end("new", INBOX=held("a"), Work=held("b"))
    assert story.rules() == rules
    story.append("c", outcome=FAIL, side="new")         # there is room again
    story.end("new", INBOX=held("a", "c"), Work=held("b"))
    assert "in the end" in story.rules()


def test_resurrected(story):
    story.append("a")
    story.do("expunge", "a")
    story.look("a")
    story.end(INBOX={})
    assert story.rules() == ["seen"]


def test_flags_of_before(story):
    story.append("a")
    story.do("store", "a", flags=["\\Seen"])
    story.end(INBOX=held("a"))
    assert story.rules() == ["in the end"]


def test_other_bytes(story):
    story.append("a")
    story.row("final", who="old", side="old", winner=True, subscribed=[],
              folders={"INBOX": {"a": [[[], "other"]]}})
    assert story.rules() == ["in the end"]


def test_anothers_mail(story):
    story.append("b", user="bert@example.com")
    story.look("b")
    story.end(INBOX={})
    assert "another's mail" in story.rules()


def test_the_wrong_side(story):
    story.row("login", side="old", proto="imap", outcome=OK)
    story.flip()
    story.now += 10
    story.row("login", side="old", proto="imap", outcome=OK)
    assert story.rules() == ["wrong side"]


def test_a_command_that_old_read_after_the_flip(story):
    story.row("heard", side="old", tag="k1")
    at = story.flip()["at"]
    story.row("heard", side="new", tag="k2", at=at + 0.1)
    assert story.rules() == []
    story.row("heard", side="old", tag="k3", at=at + 0.1)
    assert story.rules() == ["wrong side"]
    story.row("heard", side="new", tag="k1", at=at + 0.2)
    assert story.rules() == ["ran on both", "wrong side"]


def test_a_flip_after_hold_until(story):
    story.flip()
    assert story.rules() == []
    story.flip("back", late=5)
    assert story.rules() == ["late flip"]


def test_unique_ids_stay(story):
    story.append("a")
    story.row("uidl", ids={"a": "old.1"}, outcome=OK)
    story.flip()
    story.now += 5
    story.append("n")
    story.row("uidl", ids={"a": "old.1", "n": "new.2"}, outcome=OK)
    story.flip("back")
    story.now += 5
    story.row("uidl", ids={"a": "old.1", "n": "old.7"}, outcome=OK)
    assert story.rules() == []
    story.flip()
    story.now += 5
    story.row("uidl", ids={"a": "old.1", "n": "new.2"}, outcome=OK)
    assert story.rules() == ["unique id"]


def test_subscriptions(story):
    story.row("create", folder="F", outcome=OK)
    story.row("subscribe", folder="F", on=True, outcome=OK)
    story.end(F={}, subscribed=["F"])
    assert story.rules() == []
    story.end("old", F={})
    assert story.rules() == ["subscription"]


# ---- what is shown of it

def test_the_smallest_history(story):
    for i in range(30):
        story.append("m%d" % i)
        story.append("b%d" % i, user="bert@example.com")
    story.do("store", "m7", flags=["\\Seen"])
    story.end(INBOX={"m%d" % i: (1, ()) for i in range(30)})
    found = checker.check(story.history)
    mine = [v for v in found if v.user == ANNA]
    assert [v.subject for v in mine] == ["m7"]
    small = checker.shrink(story.history, mine[0])
    assert [(r["verb"], r["stamp"]) for r in small.rows] == [("append", "m7"), ("store", "m7")]
    assert "m7" in checker.tell(small, 1000) and "bert" not in checker.tell(small, 1000)


def test_a_history_is_kept_and_read(story, tmp_path):
    story.append("a")
    story.end(INBOX={})
    story.history.save(str(tmp_path / "h"))
    assert [str(v) for v in checker.check(History.load(str(tmp_path / "h")))] == [
        str(v) for v in checker.check(story.history)]


def test_moves_by_their_names():
    assert move_verb("finalizing", "ready", "back") == "flip"
    assert move_verb("finalizing", "ready", "forward") == "undo"
    assert move_verb("freezing", "returning", "back") == "undo"
    assert move_verb("syncing", "ready", "forward") == "state"


@pytest.mark.parametrize("p", [p for suite in plants.SUITES.values() for p in suite[0]], ids=lambda p: p.what)
def test_plants_follow_the_sources(p, tmp_path):
    for file, _, _ in p.changes:
        os.makedirs(tmp_path / os.path.dirname(file), exist_ok=True)
        shutil.copy(os.path.join(plants.ROOT, file), tmp_path / file)
    plants.plant(p, str(tmp_path))


@pytest.mark.full
def test_a_short_run_keeps_everything():
    done = subprocess.run([sys.executable, os.path.join(plants.HERE, "chaos.py"), "--build", build_folder(), "--seconds", "20",
                           "--users", "2", "--any-count", "--keep", "", "--mishaps", "reset,kill_node,stop_engine",
                           "--seed", "1"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "; 0 violations" in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.full
def test_a_short_run_on_two_hosts_keeps_everything():
    done = subprocess.run([sys.executable, os.path.join(plants.HERE, "chaos.py"), "--build", build_folder(), "--seconds", "30",
                           "--users", "4", "--hosts", "2", "--any-count", "--keep", "", "--mishaps", "kill_worker,lose_store,kill_host",
                           "--seed", "1"], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0 and "; 0 violations" in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]
    assert not re.search(r"\b0 lent", done.stdout.splitlines()[-1])
