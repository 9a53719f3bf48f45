"""
Who reads the store's history as it is written, from a file or from PostgreSQL, for our own history and for those who
wait for a step.
"""

import collections
import os
import subprocess
import sys
import threading
import time

from history import move_verb

BUDGET_S = 5            # cutover.budget_s
POLL_S = 0.02
QUERY = ("SELECT h.id, h.name, h.at, from_state, to_state, h.direction, actor, translate(why, E'\\n\\t', '  '),"
         " coalesce(u.hold_until, 0) FROM history h LEFT JOIN users u ON u.name = h.name WHERE h.id > %d ORDER BY h.id")
JOURNALS = "SELECT name, away, host FROM journals"

# Who may read the store's file: the daemons' account, so this runs as theirs.
WATCH = """
import sqlite3, sys, time
last, db = 0, None
while True:
    try:
        db = db or sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True, timeout=1)
        for row in db.execute("SELECT h.id, h.name, h.at, from_state, to_state, h.direction, actor, why,"
                              " coalesce(u.hold_until, 0) FROM history h LEFT JOIN users u ON u.name = h.name"
                              " WHERE h.id > ? ORDER BY h.id", (last,)):
            last = row[0]
            print("\\t".join(str(c).replace("\\n", " ").replace("\\t", " ") for c in row), flush=True)
    except sqlite3.Error:
        db = None
    time.sleep(float(sys.argv[2]))
"""


class FileRows:
    """The rows of the history in a store's file, as they are written."""

    def __init__(self, ferry):
        who = {"user": ferry.account.pw_uid, "group": ferry.account.pw_gid} if ferry.account else {}
        path = os.path.join(ferry.folder, "store", "mailferry.db")
        self._process = subprocess.Popen([sys.executable, "-c", WATCH, path, str(POLL_S)], stdout=subprocess.PIPE,
                                         text=True, cwd="/", **who)

    def __iter__(self):
        return iter(self._process.stdout)

    def end(self):
        self._process.kill()
        self._process.wait()


class Psql:
    """A connection to PostgreSQL that is made anew after each of its ends."""

    def __init__(self, url):
        self._url, self._process = url, None

    def ask(self, query):
        """The rows as lines, columns parted by tabs; None while there is no store."""
        self._process = self._process or subprocess.Popen(
            ["psql", "-qAtX", "-F", "\t", self._url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        lines = []
        try:
            self._process.stdin.write(query + ";\n\\echo .\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                if line == ".\n":
                    return lines
                lines.append(line)
        except OSError:
            pass
        self.end()
        return None

    def end(self):
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()


class DatabaseRows:
    """The same of PostgreSQL."""

    def __init__(self, url):
        self._psql, self._ended = Psql(url), False

    def __iter__(self):
        last = 0
        while not self._ended:
            for line in self._psql.ask(QUERY % last) or ():
                last = int(line.split("\t", 1)[0])
                yield line
            time.sleep(POLL_S)
        self._psql.end()

    def end(self):
        self._ended = True


class JournalWatch(threading.Thread):
    """
    Whose journal goes to a host, and is back in the store: rows "journal" of the history, with the last time when that was
    not so yet.
    """

    def __init__(self, url, history):
        super().__init__(daemon=True)
        self._psql, self._history, self._ended = Psql(url), history, False
        self.start()

    def run(self):
        away, before = {}, time.time()
        while not self._ended:
            now = time.time()
            lines = self._psql.ask(JOURNALS)
            for line in lines or ():
                user, is_away, host = line.rstrip("\n").split("\t")
                if away.get(user) != is_away:
                    self._history.add("journal", user, host, at=before, away=is_away == "1")
                    away[user] = is_away
            before = before if lines is None else now
            time.sleep(POLL_S)
        self._psql.end()

    def end(self):
        self._ended = True
        self.join()


class Watch(threading.Thread):
    """Each row of the store's history, as it comes: into our history, and for those who wait for a step."""

    def __init__(self, rows, history):
        super().__init__(daemon=True)
        self.history, self.news, self.state = history, threading.Condition(), {}
        self.counts = collections.Counter()
        self.rows = rows
        self.start()

    def run(self):
        for line in self.rows:
            _, name, at, before, after, direction, actor, why, until = line.rstrip("\n").split("\t")
            verb = move_verb(before, after, direction)
            with self.news:
                self.state[name] = after
                self.counts[verb] += 1
                self.counts["flip back"] += verb == "flip" and direction == "back"
                about = {"until": int(at) / 1000 + BUDGET_S} if verb == "freeze" else {}
                self.history.add(verb, name, actor, at=int(at) / 1000, direction=direction, to=after, why=why, **about)
                self.news.notify_all()

    def wait(self, verbs, timeout_s):
        """Until one of these moves is written; its user, or None."""
        with self.news:
            before = sum(self.counts[v] for v in verbs)
            self.news.wait_for(lambda: sum(self.counts[v] for v in verbs) > before, timeout_s)
            if sum(self.counts[v] for v in verbs) == before:
                return None
            return next(r["user"] for r in reversed(self.history.rows) if r["verb"] in verbs)

    def end(self):
        self.rows.end()
        self.join()
