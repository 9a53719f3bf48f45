"""
Several hosts on one store for chaos: a PostgreSQL of its own, and for each host a `mailferry run`. To the world it is
one mailferry: who asks a command is led to the engine at work, and a host that is dead is passed over.
"""

import calendar
import collections
import concurrent.futures
import re
import subprocess
import threading
import time

from lib.mailferry import Mailferry
from lib.postgres import Postgres

WORKERS = 2             # few: so passes are lent
UP_S = 60
ASK_S = 5               # who is at work; a store that stands still does not say
WRITE_LOCK = 0x6d616966     # common/store_pg.c: who writes holds it
AT_WORK = "SELECT g.host FROM engines g JOIN engine_lease l ON l.place = g.place"
ANYWHERE = ("cutover", "rollback")      # other commands are for the engine at work
LINE = re.compile(r"(\S+?)(\.\d+)Z \w+ user .*?user=(\S+).*? : (.*)")
DOUBT = "has not brought it back"
LOOKED = "the journal was an older copy"
PASS = re.compile(r"pass: \d+|trailing pass: \d+|flipped after")
SAID = {"lent": re.compile(r"made for the engine at work"), "taken back": re.compile(r"is silent: it is begun again")}


class Hosts:
    """make(name, settings): the Mailferry of a host, to which the settings are added."""

    def __init__(self, folder, names, make):
        self.postgres = Postgres(folder)
        self.hosts = [make(name, {"run": {"host": name}, "store": {"url": self.postgres.url}}) for name in names]
        self._lock = threading.RLock()      # a host dies at once, not while somebody looks for its processes
        # What is started is tied to the thread that starts it: one that lives until the end.
        self._starter = concurrent.futures.ThreadPoolExecutor(1)
        self._asked, self._down = 0, []

    def start(self):
        self.postgres.start()
        for f in self.hosts:
            f.start(new_store=f is self.hosts[0])
        return self

    def stop(self):
        self._starter.shutdown()
        for f in self.hosts:
            f.stop()
        self.postgres.stop()

    # ---- hosts that die

    def living(self):
        return [f for f in self.hosts if f not in self._down and f.alive()]

    def kill(self, f):
        """False: it is dead already, or just being started."""
        with self._lock:
            if f in self._down:
                return False
            self._down.append(f)
            f.cut_power()
            return True

    def revive(self, f):
        self._starter.submit(self._revive, f).result()
        self._down.remove(f)

    @staticmethod
    def _revive(f):
        try:
            f.start(new_store=False, within_s=UP_S)
        except RuntimeError:        # the store was away, say
            f.start(new_store=False, within_s=UP_S)

    # ---- processes: (host, pid)

    def _each(self, look):
        with self._lock:
            return [(f, pid) for f in self.living() for pid in look(f) if pid]

    def nodes(self):
        return self._each(Mailferry.nodes)

    def engines(self):
        return self._each(lambda f: [f.engine()])

    def workers(self):
        return self._each(Mailferry.workers)

    # ---- operators

    def at_work(self):
        """The host of the engine at work, as far as the store says; any other that lives, else."""
        try:
            done = subprocess.run(["psql", "-qAtX", "-c", AT_WORK, self.postgres.url], capture_output=True, text=True,
                                  timeout=ASK_S)
            name = done.stdout.strip()
        except subprocess.TimeoutExpired:
            name = None
        found = [f for f in self.hosts if self.name_of(f) == name] or self.living() or self.hosts
        return found[0]

    @staticmethod
    def name_of(f):
        return f.sections["run"]["host"]

    def _ask(self, words):
        if words[0] not in ANYWHERE:
            return self.at_work()
        self._asked += 1
        return self.hosts[self._asked % len(self.hosts)]

    def command(self, *words, check=True):
        return self._ask(words).command(*words, check=check)

    def cli(self, *words):
        return self._ask(words).cli(*words)

    def import_users(self, users):
        return self.at_work().import_users(users)

    def wait_state(self, *args):
        self.at_work().wait_state(*args)

    # ---- what they said

    def complaints(self):
        return [c for f in self.hosts for c in f.complaints()]

    def said(self):
        """How often, of all that is in SAID."""
        counts = collections.Counter({what: 0 for what in SAID})
        for f in self.hosts:
            with open(f.log, errors="replace") as log:
                for line in log:
                    counts.update(what for what, pattern in SAID.items() if pattern.search(line))
        return counts

    def tell_doubts(self, history):
        """
        Of each user: rows "doubt" (a journal that a dead host has not brought back was gone on from) and "pass" (one has
        ended; looked: the journal was in doubt; clean: it went over all that there was; trails: of who was moved).
        """
        for f in self.hosts:
            with open(f.log, errors="replace") as log:
                for at, user, text in filter(None, map(line_of, log)):
                    if DOUBT in text:
                        history.add("doubt", user, self.name_of(f), at=at)
                    elif PASS.match(text):
                        history.add("pass", user, self.name_of(f), at=at, looked=LOOKED in text,
                                    clean="not clean" not in text, trails=text.startswith("trailing"))


def line_of(line):
    """(seconds since 1970, user, what it says); None if it is about nobody."""
    found = LINE.match(line)
    if not found:
        return None
    at, part, user, text = found.groups()
    return calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%S")) + float(part), user, text
