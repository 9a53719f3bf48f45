"""
What happened in a run of chaos, as plain rows: what clients asked for and what became of it, what they saw, every move
of a user in the store, every mishap, and in the end what both servers hold. Saved as lines of JSON.

A row of a client has: at, end (seconds since 1970), user, who, verb, outcome, and what the verb needs:

    append   folder stamp flags sha     deliver  folder stamp side      store   folder stamp flags
    copy     folder stamp to            move     folder stamp to        expunge folder stamp
    create   folder                     rename   folder to              delete  folder
    subscribe folder on                 login    side proto
    look     folder seen {stamp: [how often, flags or null]}            uidl    ids {stamp: id}

outcome is ok, fail (it was refused) or unknown (no answer came); with IMAP there is its tag, and where no answer came
what was said last. Other rows, told by their verb:

    flip freeze undo return …   see MOVES: user at direction            mishap  what text
    heard    user side tag at   (a client's command that a server read)
    final    user side folders {name: {stamp: [[flags, sha], …]}} subscribed [names] winner
"""

import json
import threading
import time

OK, FAIL, UNKNOWN = "ok", "fail", "unknown"
INBOX = "INBOX"
MOVED = "BYE Mailbox was moved"     # cutover.bye

# A row of the store's history → what it means.
MOVES = {
    ("ready", "freezing"): "freeze", ("returning", "freezing"): "freeze",
    ("freezing", "finalizing"): "finalize",
    ("finalizing", "trailing"): "flip", ("finalizing", "ready"): "flip",
    ("freezing", "ready"): "undo", ("freezing", "returning"): "undo", ("finalizing", "returning"): "undo",
    ("trailing", "returning"): "return", ("done", "returning"): "return",
}


def move_verb(before, after, direction):
    """The verb of a move in the store; "state" for those that mean nothing here."""
    if (before, after) == ("finalizing", "ready") and direction == "forward":
        return "undo"
    return MOVES.get((before, after), "state")


def side_after(flip):
    return "old" if flip["direction"] == "back" else "new"


class History:
    """Written by many threads; read when all have ended."""

    def __init__(self, rows=()):
        self.rows = list(rows)
        self._lock = threading.Lock()

    def add(self, verb, user, who, **about):
        """A row that is over; `at` is its begin, and its end too if no `end` is given."""
        row = dict({"verb": verb, "user": user, "who": who, "at": time.time()}, **about)
        row.setdefault("end", row["at"])
        with self._lock:
            self.rows.append(row)
        return row

    def of(self, *verbs):
        return [r for r in self.rows if r["verb"] in verbs]

    def users(self):
        return sorted({r["user"] for r in self.rows if r["user"]})

    def save(self, path):
        with open(path, "w") as f:
            for row in self.rows:
                f.write(json.dumps(row) + "\n")

    @staticmethod
    def load(path):
        with open(path) as f:
            return History(json.loads(line) for line in f)
