"""
The one thing that a journal in doubt cannot tell (docs/nodes.md): what a dead host's last pass has brought, and its user
deleted before the next pass looked, is a stranger on the side that it was brought to. And who was moved finds once
more what came from old, and he has moved or thrown away between these two.
"""

import dataclasses

from history import FAIL, INBOX

CLOCK_S = 0.001
REMOVE = ("expunge", "move", "delete", "rename")
ROWS = ("journal", "pass", "doubt")     # what tells, in a history


@dataclasses.dataclass
class Doubt:
    known: float        # what was in a folder then is in the store's copy: a whole pass began
    since: float        # the pass that nobody knows of began not before
    until: float        # the pass that looked has ended
    shows: float        # from then on its user may see it
    flip: float         # its user was moved then, and looked after; None: he was not


def doubts(by):
    """by: a user's rows, by verb."""
    passes, moves = sorted(by["pass"], key=lambda r: r["at"]), sorted(by["flip"] + by["return"], key=lambda r: r["at"])
    went = sorted(r["at"] for r in by["journal"] if r["away"])
    found = [doubt(r["at"], passes, moves, went) for r in by["doubt"]]
    return [d for d in found if d.shows is not None]


def doubt(at, passes, moves, went):
    since = last(went, at, at)
    before = [m for m in moves if m["at"] <= at]
    trails = bool(before) and before[-1]["verb"] == "flip" and before[-1]["direction"] == "forward"
    whole = last([p["at"] for p in passes if p["clean"] and (trails or not p["trails"])], since, 0)  # these look at old alone
    flips = [m["at"] for m in moves if m["verb"] == "flip" and m["at"] > at]
    return Doubt(last(went, whole, 0), since, looked(at, passes), at if trails else min(flips, default=None),
                 before[-1]["at"] if trails else None)


def last(times, at, default):
    return max([t for t in times if t <= at], default=default)


def looked(at, passes):
    """The end of the last pass that looked; one of who is moved does not say so."""
    end = None
    for p in passes:
        if p["at"] > at and (p["looked"] or p["trails"]):
            end = p["at"]
        if p["at"] > at and end and not p["looked"]:
            break
    return end or float("inf")


def strange(messages, windows):
    """Of each stamp rows "strange": from then on it may be in that folder once more, with flags that it had there."""
    return {stamp: [row for w in windows for i, r in enumerate(m.rows)
                    if r["verb"] in REMOVE and r["outcome"] != FAIL and w.since <= r["end"] and r["at"] <= w.until
                    for row in strange_once(messages, m, i, w)] for stamp, m in messages.items()}


def strange_once(messages, message, i, w):
    """By the i-th row it left a folder."""
    r = message.rows[i]
    came = arrival(message, r["folder"], i)
    if (came is None or message.rows[came]["end"] < w.known or not is_brought(message, r["folder"], w) or
            r["verb"] == "rename" and is_recognised(messages, r, w)):
        return []
    flags = frozenset().union(*(s[r["folder"]].flags for s in message.states[came + 1:i + 1]))
    names = [r["folder"]]
    for later in message.rows[i + (r["verb"] != "rename"):]:
        if later["verb"] == "rename" and later["folder"] == names[-1] and later["outcome"] != FAIL and later["at"] <= w.shows:
            names = names * (not is_recognised(messages, later, w)) + [later["to"]]
    return [{"verb": "strange", "stamp": message.stamp, "folder": name, "flags": flags, "at": w.shows, "end": w.shows,
             "outcome": None} for name in names]


def is_recognised(messages, rename, w):
    """A folder is the same by mail in it that the copy knows (sync/renames.h); then its strangers go along."""
    folder, before = rename["folder"], rename["at"] - CLOCK_S
    return any(all(folder in s and 0 not in s[folder].counts for s in m.during(w.known, before)) for m in messages.values())


def arrival(message, folder, i):
    """The row before the i-th by which it came into the folder, where that row takes it from; None if it was not there."""
    def there(n):
        return folder in message.states[n] and message.states[n][folder].counts != {0}
    if not there(i):
        return None
    while i > 0 and there(i - 1):
        i -= 1
    return i - 1


def is_brought(message, folder, w):
    """Who is moved is brought only what old has."""
    if w.flip is None:
        return True
    came_late = message.delivered is not None and message.delivered.get("side") == "old" and folder == INBOX
    return came_late or message.place(folder, w.flip, w.flip).counts != {0}
