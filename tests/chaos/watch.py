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
         " coalesce(u.hold_until, 0) FROM history h LEFT JOIN users u ON u.name = h.name WHERE h.id > %d ORDER BY h.id;")

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


class DatabaseRows:
    """The same of PostgreSQL; after each of its ends it is asked anew."""

    def __init__(self, url):
        self._url, self._ended, self._psql = url, False, None

    def __iter__(self):
        last = 0
        while not self._ended:
            self._psql = subprocess.Popen(["psql", "-qAtX", "-F", "\t", self._url], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for line in self._lines(lambda: QUERY % last):
                last = int(line.split("\t", 1)[0])
                yield line
            self._psql.kill()
            self._psql.wait()
            time.sleep(POLL_S)

    def _lines(self, query):
        """Until the connection ends."""
        while not self._ended:
            try:
                self._psql.stdin.write(query() + "\n\\echo .\n")
                self._psql.stdin.flush()
            except OSError:
                return
            for line in self._psql.stdout:
                if line == ".\n":
                    break
                yield line
            else:
                return
            time.sleep(POLL_S)

    def end(self):
        self._ended = True
        if self._psql:
            self._psql.kill()


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
