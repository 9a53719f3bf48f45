"""
Does a history (history.py) keep what mailferry promises? Pure: rows in, violations out.

Each message has a stamp, and one client that changes it, one command after the other. So what may be where is known
after each of its commands, as a set of possibilities: an answer leaves one, a lost answer two.
"""

import bisect
import collections
import dataclasses

import doubt
from history import FAIL, INBOX, MOVED, OK, UNKNOWN, History, side_after

CLOCK_S = 0.003         # the store keeps milliseconds
NEAR_S = 15             # moves and mishaps so near to what is shown are shown too
CHANGES = ("append", "deliver", "store", "copy", "move", "expunge", "rename", "delete")
MAKE = ("append", "deliver")
HALF_DONE = MAKE + ("copy", "move")     # what a server may have begun when it says that it cannot
NEAR_FULL_S = 1         # a command that was begun when the disk was full, answered a moment later
EVIDENCE = ("final", "flip", "freeze", "undo", "return") + doubt.ROWS      # never left out when a history is made smaller
UNSHOWN = ("final", "journal", "pass")


@dataclasses.dataclass(frozen=True)
class Violation:
    rule: str
    user: str
    subject: str        # a stamp, a folder or a tag
    text: str

    def __str__(self):
        return "%s: %s: %s: %s" % (self.user, self.rule, self.subject, self.text)


# ---- one message

@dataclasses.dataclass(frozen=True)
class Place:
    """What a folder may hold of a message: how often, with which flags (None: any), of which bytes (None: any)."""
    counts: frozenset
    flags: frozenset = frozenset()
    sha: str = None


NONE, ONCE, MAYBE = frozenset({0}), frozenset({1}), frozenset({0, 1})
NOWHERE = Place(NONE)


def flag_set(flags):
    return None if flags is None else frozenset(f.lower() for f in flags)


def either(a, b):
    return Place(a.counts | b.counts, a.flags | b.flags, a.sha or b.sha)


def settle(before, after, outcome):
    return {OK: after, FAIL: before}.get(outcome, either(before, after))


def carry(places, source, target, outcome, lame):
    """It leaves `source` for `target`; without an answer it is in one of both at least."""
    here, there = places.get(source, NOWHERE), places.get(target, NOWHERE)
    moved = dataclasses.replace(here, counts=here.counts | there.counts - {0}, flags=here.flags | lame)
    return {source: settle(here, NOWHERE, outcome), target: settle(there, moved, outcome)}


def is_lame(row, full):
    """Not done, on a server whose disk was full: it may have left a file behind, of any flags, and finds it later."""
    return row["verb"] in HALF_DONE and row["outcome"] != OK and any(
        row.get("side") == side and row["at"] <= end and begin <= row["end"] for side, begin, end in full)


def full_disks(rows):
    """[(side, begin, end)]"""
    full, begun = [], {}
    for r in sorted(rows, key=lambda r: r["at"]):
        if r["what"] == "disk full":
            begun[r["text"]] = r["at"]
        elif r["what"] == "disk free" and r["text"] in begun:
            full.append((r["text"], begun.pop(r["text"]), r["at"] + NEAR_FULL_S))
    return full + [(side, at, float("inf")) for side, at in begun.items()]


def step(places, row):
    """The places of one message after a command that is about it or about a folder of it."""
    verb, folder, outcome = row["verb"], row["folder"], row["outcome"]
    here, after = places.get(folder, NOWHERE), dict(places)
    lame = frozenset()
    if row.get("lame"):
        outcome, lame = UNKNOWN, frozenset({None})
    if verb in MAKE:
        flags = frozenset({flag_set(row.get("flags"))}) | lame
        after[folder] = settle(here, Place(ONCE, flags, row.get("sha")), outcome)
    elif verb == "store":
        after[folder] = settle(here, dataclasses.replace(here, flags=frozenset({flag_set(row["flags"])})), outcome)
    elif verb == "copy":
        copy = dataclasses.replace(here, flags=here.flags | lame)
        after[row["to"]] = settle(places.get(row["to"], NOWHERE), copy, outcome)
    elif verb in ("move", "rename"):
        after.update(carry(places, folder, row["to"], outcome, lame))
    elif verb in ("expunge", "delete"):
        after[folder] = settle(here, NOWHERE, outcome)
    elif verb == "strange":
        after[folder] = either(here, Place(ONCE, row["flags"]))
    return after


class Message:
    """The life of one stamp."""

    def __init__(self, stamp, rows, seen_at=None):
        self.stamp = stamp
        self.rows = sorted(rows, key=lambda r: r["at"])
        self.states = [{}]
        for row in self.rows:
            self.states.append(step(self.states[-1], row))
        self.delivered = next((r for r in self.rows if r["verb"] == "deliver"), None)
        self.strange_at = min((r["at"] for r in self.rows if r["verb"] == "strange"), default=float("inf"))
        self.seen_at = seen_at      # a delivered one: when a client first saw it; before, it may be on its way
        self._begins = [r["at"] for r in self.rows]
        self._ends = list(self._so_far(r["end"] for r in self.rows))

    @staticmethod
    def _so_far(ends):
        most = 0
        for end in ends:
            most = max(most, end)
            yield most

    def during(self, begin, end):
        """The states that somebody who looks at that time may see."""
        first = bisect.bisect_left(self._ends, begin)
        last = bisect.bisect_right(self._begins, end)
        return self.states[min(first, last):last + 1]

    def place(self, folder, begin, end):
        found = NOWHERE
        states = self.during(begin, end)
        found = states[0].get(folder, NOWHERE)
        for s in states[1:]:
            found = either(found, s.get(folder, NOWHERE))
        if self.delivered and (self.seen_at is None or begin < self.seen_at):
            found = dataclasses.replace(found, counts=found.counts | NONE)
        return found

    def is_over(self, at):
        """From then on it may be missing everywhere."""
        return self._ends[-1] <= at and all(0 in place.counts for place in self.last.values())

    @property
    def born(self):
        return self._begins[0]

    @property
    def last(self):
        return self.states[-1]

    @property
    def must_be_somewhere(self):
        """It was there, and nobody asked for its end: then no lost answer may lose it."""
        made = [r for r in self.rows if r["verb"] in MAKE]
        ends = [r for r in self.rows if r["verb"] in ("expunge", "delete") and r["outcome"] != FAIL]
        return bool(made) and made[0]["outcome"] == OK and not ends


class Present:
    """The messages that may have to be somewhere, asked for in the order of time."""

    def __init__(self, messages):
        self.coming = sorted(messages, key=lambda m: m.born, reverse=True)
        self.here = []

    def at(self, begin, end):
        while self.coming and self.coming[-1].born <= end:
            self.here.append(self.coming.pop())
        self.here = [m for m in self.here if not m.is_over(begin)]
        return self.here


def fits(place, count, flags, sha=None):
    if count not in place.counts:
        return "there %d times, may be %s" % (count, sorted(place.counts))
    if count and flags is not None and None not in place.flags and flag_set(flags) not in place.flags:
        return "flags %s, may be %s" % (sorted(flags), [sorted(f) for f in place.flags])
    if count and sha and place.sha and sha != place.sha:
        return "has other bytes"
    return None


# ---- one user

class Life:
    """The rows of one user, by what they are."""

    def __init__(self, user, rows, full=()):
        self.user, self.found = user, []
        self.rows = sorted((dict(r, lame=True) if is_lame(r, full) else r for r in rows), key=lambda r: r["at"])
        self.by = collections.defaultdict(list)
        for r in self.rows:
            self.by[r["verb"]].append(r)
        self.flips = self.by["flip"]
        self.messages = self._messages()

    def bad(self, rule, subject, text, *args):
        self.found.append(Violation(rule, self.user, subject, text % args if args else text))

    def _messages(self):
        about, folder_rows = collections.defaultdict(list), []
        for r in self.rows:
            if r["verb"] in ("rename", "delete"):
                folder_rows.append(r)
            elif r["verb"] in CHANGES:
                about[r["stamp"]].append(r)
        seen = {}
        for look in self.by["look"]:
            for stamp in look["seen"]:
                seen.setdefault(stamp, look["end"])
        rows = {stamp: rows + self._of_folders(rows, folder_rows) for stamp, rows in about.items()}
        messages = {stamp: Message(stamp, rows[stamp], seen.get(stamp)) for stamp in rows}
        for stamp, strange in doubt.strange(messages, doubt.doubts(self.by)).items():
            if strange:
                messages[stamp] = Message(stamp, rows[stamp] + strange, seen.get(stamp))
        return messages

    @staticmethod
    def _of_folders(rows, folder_rows):
        """Renames and deletes of folders that the message was ever in."""
        names, chosen = {r["folder"] for r in rows} | {r["to"] for r in rows if r.get("to")}, []
        for r in folder_rows:
            if r["folder"] in names:
                chosen.append(r)
                names.add(r.get("to"))
        return chosen

    def side_at(self, at):
        """Where logins led at that time."""
        side = "old"
        for flip in self.flips:
            if flip["at"] > at:
                break
            side = side_after(flip)
        return side

    def sides_between(self, begin, end):
        return {self.side_at(begin)} | {side_after(f) for f in self.flips if begin <= f["at"] <= end}

    def check(self):
        for rule in (self.looks, self.logins, self.unique_ids, self.holds, self.commands, self.finals):
            rule()
        return self.found

    # ---- while it ran

    def looks(self):
        """Whoever looked saw what was promised by then, and nobody else's mail."""
        there = Present(self.messages.values())
        for look in self.by["look"]:
            folder, when = look["folder"], (look["at"], look["end"])
            for stamp, (count, flags) in look["seen"].items():
                if stamp not in self.messages:
                    self.bad("another's mail", stamp, "seen by %s in %s", look["who"], folder)
                    continue
                why = fits(self.messages[stamp].place(folder, *when), count, flags)
                if why:
                    self.bad("seen", stamp, "%s saw it in %s at %.3f: %s", look["who"], folder, look["at"], why)
            for m in there.at(*when):
                stamp = m.stamp
                if stamp not in look["seen"] and 0 not in m.place(folder, *when).counts:
                    self.bad("not seen", stamp, "%s did not see it in %s at %.3f on %s", look["who"], folder,
                             look["at"], look.get("side"))

    def logins(self):
        for r in self.by["login"]:
            if r["outcome"] == OK and r["side"] not in self.sides_between(r["at"] - CLOCK_S, r["end"] + CLOCK_S):
                self.bad("wrong side", r["who"], "its login at %.3f..%.3f was led to %s", r["at"], r["end"], r["side"])

    def unique_ids(self):
        """
        POP3: an id stays. What clients first met on new (mail that came while they were there, also by old) has an id of
        new's; old gives it another one when its user goes back: it changes then, once.
        """
        known = {}
        for r in self.by["uidl"]:
            for stamp, uidl in r["ids"].items():
                if stamp in self.messages and r["end"] >= self.messages[stamp].strange_at:
                    continue    # it is another one
                met = "new" in self.sides_between(r["at"], r["end"])
                at, before, may_change = known.get(stamp, (r["at"], uidl, met))
                if uidl != before:
                    back = any(f["direction"] == "back" and at <= f["at"] <= r["end"] for f in self.flips)
                    if not back or not may_change:
                        self.bad("unique id", stamp, "was %s at %.3f, is %s at %.3f", before, at, uidl, r["at"])
                    may_change = False
                known[stamp] = (r["at"], uidl, may_change)

    def holds(self):
        """Nobody is held past hold_until: a freeze has its flip before it, its undo soon after."""
        freeze = None
        for r in self.rows:
            if r["verb"] == "freeze":
                freeze = r
            elif r["verb"] == "flip" and freeze and r["at"] > freeze["until"] + CLOCK_S:
                self.bad("late flip", r["verb"], "at %.3f, %.3f s after hold_until", r["at"],
                         r["at"] - freeze["until"])

    def commands(self):
        """No command was read by both servers, none by the one that its user had left, and none cut off by a move."""
        sides = {}
        for r in self.by["heard"]:
            first = sides.setdefault(r["tag"], r)
            if first["side"] != r["side"]:
                self.bad("ran on both", r["tag"], "on %s at %.3f, on %s at %.3f", first["side"], first["at"],
                         r["side"], r["at"])
            if r["side"] not in self.sides_between(r["at"] - CLOCK_S, r["at"] + CLOCK_S):
                self.bad("wrong side", r["tag"], "%s read it at %.3f", r["side"], r["at"])
        for r in self.rows:
            if r.get("outcome") == UNKNOWN and MOVED in r.get("said", "") and r["tag"] in sides:
                self.bad("cut off", r["tag"], "%s %s was read by %s, and its client heard no answer but: %s", r["verb"],
                         r.get("stamp") or r.get("folder"), sides[r["tag"]]["side"], r["said"])

    # ---- in the end

    def finals(self):
        for r in self.by["final"]:
            if r["winner"]:
                self._final(r)
                self._subscriptions(r)
            else:
                self._loser(r)

    def _final(self, r):
        copies = collections.Counter()
        for folder, held in r["folders"].items():
            for stamp, found in held.items():
                copies[stamp] += len(found)
                if stamp not in self.messages:
                    self.bad("another's mail", stamp, "in %s on %s in the end", folder, r["side"])
                    continue
                place = self.messages[stamp].last.get(folder, NOWHERE)
                why = fits(place, len(found), *(found[0] if found else (None, None)))
                if why:
                    self.bad("in the end", stamp, "%s on %s: %s", folder, r["side"], why)
        for stamp, m in self.messages.items():
            for folder, place in m.last.items():
                if 0 not in place.counts and not r["folders"].get(folder, {}).get(stamp) and not self._stray(m, r):
                    self.bad("lost", stamp, "not in %s on %s in the end", folder, r["side"])
            if m.must_be_somewhere and not copies[stamp] and not self._stray(m, r):
                self.bad("lost", stamp, "nowhere on %s in the end", r["side"])

    def _stray(self, m, r):
        """Delivered to new while its user was just on the way back: reported by the gate, never pulled."""
        d = m.delivered
        return (r["side"] == "old" and d is not None and d.get("side") == "new" and
                any(f["direction"] == "back" and d["at"] <= f["at"] for f in self.flips) and
                d["end"] >= max([f["at"] for f in self.by["freeze"] if f["at"] <= d["end"] + 1] or [0]) - 1 and
                any(w["side"] == "new" and m.stamp in w["folders"].get(INBOX, {}) for w in self.by["final"]))

    def _subscriptions(self, r):
        want = {}
        for s in self.rows:
            if s["verb"] == "subscribe":
                want[s["folder"]] = {s["on"]} | (want.get(s["folder"], {False}) if s["outcome"] != OK else set())
            elif s["verb"] in ("rename", "delete"):
                want.pop(s["folder"], None)     # servers differ in what becomes of those
        for folder, on in want.items():
            if (folder in r["subscribed"]) not in on and folder in r["folders"]:
                self.bad("subscription", folder, "on %s: %s", r["side"], folder in r["subscribed"])

    def _loser(self, r):
        """The other server: nobody else's mail, and nothing twice."""
        for folder, held in r["folders"].items():
            for stamp, found in held.items():
                if stamp not in self.messages:
                    self.bad("another's mail", stamp, "in %s on %s", folder, r["side"])
                elif len(found) > 1:
                    self.bad("doubled", stamp, "%d times in %s on %s", len(found), folder, r["side"])


def check(history):
    by_user = collections.defaultdict(list)
    for row in history.rows:
        if row["user"]:
            by_user[row["user"]].append(row)
    full = full_disks(history.of("mishap"))
    return [v for user, rows in sorted(by_user.items()) for v in Life(user, rows, full).check()]


# ---- the smallest history that still shows it

def is_birth(row, stamp):
    return row["verb"] in MAKE and row["stamp"] == stamp


def shrink(history, violation):
    """Only the user's rows, and of these only those without which the violation would not be one."""
    rows, full = [r for r in history.rows if r["user"] == violation.user], full_disks(history.of("mishap"))
    key = (violation.rule, violation.subject)
    fixed, rest = [], []
    for r in rows:
        (fixed if r["verb"] in EVIDENCE or is_birth(r, violation.subject) else rest).append(r)
    mine = [r for r in rest if violation.subject in (r.get("stamp"), r.get("folder"), r.get("tag"))]

    def shows(some):
        return any((v.rule, v.subject) == key for v in Life(violation.user, fixed + some, full).check())
    if shows(mine):
        rest = mine
    size = max(1, len(rest) // 2)
    while size >= 1:
        at = 0
        while at < len(rest):
            fewer = rest[:at] + rest[at + size:]
            if shows(fewer):
                rest = fewer
            else:
                at += size
        size //= 2
    times = [t for r in rest for t in (r["at"], r["end"])]
    times += [r["at"] for r in fixed if is_birth(r, violation.subject)]
    near = [r for r in fixed if r["verb"] not in UNSHOWN and times and min(times) - NEAR_S <= r["at"] <= max(times) + NEAR_S]
    mishaps = [r for r in history.rows if r["verb"] == "mishap" and times and
               min(times) - NEAR_S <= r["at"] <= max(times) + NEAR_S]
    return History(sorted(rest + near + mishaps, key=lambda r: r["at"]))


def tell(history, start):
    """Lines for people; a look shows only how much it saw."""
    skipped = ("verb", "user", "who", "at", "end", "outcome", "seen", "ids", "folders")
    lines = []
    for r in history.rows:
        about = " ".join("%s=%s" % (k, v) for k, v in r.items() if k not in skipped and v is not None)
        if "seen" in r:
            about += " saw %d" % len(r["seen"])
        lines.append("%9.3f +%6.3f %-10s %-9s %-7s %s" % (
            r["at"] - start, r["end"] - r["at"], r["who"], r["verb"], r.get("outcome", ""), about))
    return "\n".join(lines)
