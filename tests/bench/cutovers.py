#!/usr/bin/python3
"""
How long logins wait while large mailboxes are moved under load.

    cutovers.py --build DIR [--quick] [--cutovers N] [--write FILE]

Two Dovecots on tmpfs, mailboxes of 10,000 messages as people have them (mailboxes.py), each with a client that makes five
changes a second and one that logs in all the time. They are moved to new and back again; cutovers to new count. A hold is
what the slowest login that met the cutover took by the client's own clock, from its connection to its OK.
"""

import argparse
import collections
import datetime
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
import mailboxes  # noqa: E402
from lib import ca, dovecot, mail, processes  # noqa: E402
from lib.clients import LiveClient, Prober  # noqa: E402
from lib.imapclient import client_context  # noqa: E402
from lib.mailferry import Mailferry  # noqa: E402
from report import machine, write_into  # noqa: E402

MARK = "results: written by make bench-cutover"
CHANGES_PER_S = 5
USERS, AT_ONCE, MESSAGES, CUTOVERS = 8, 2, 10_000, 200
BARS = {50: 1.0, 95: 3.0}       # seconds
MASTERS = {"ferry": "ferry-master-secret"}
READY_S, MOVE_S = 600, 60


class Changer(LiveClient):
    """Appends, flags and expunges its own messages, so many times a second."""

    def session(self, client):
        client.command(b"SELECT INBOX")
        mine = client.command(b"UID SEARCH KEYWORD changer")[0][0].split()[2:]
        due = time.monotonic()
        while not self.stopping.is_set():
            mine = self.change(client, mine)
            due = max(due + 1 / CHANGES_PER_S, time.monotonic())
            self.stopping.wait(due - time.monotonic())

    def change(self, client, mine):
        self.told = getattr(self, "told", 0) + 1
        if self.told % 2 or not mine:
            answer = client.append(b"INBOX", mail.message("%s-%d" % (self.user, self.told), mailboxes.MEDIAN), b"changer")[1]
            return mine + [answer.split(b"APPENDUID ")[1].split()[1].rstrip(b"]")]
        if len(mine) < 20:
            client.command(b"UID STORE %s FLAGS.SILENT (changer \\Seen)" % mine[self.told % len(mine)])
            return mine
        client.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % mine[0])
        client.command(b"UID EXPUNGE %s" % mine[0])
        return mine[1:]


class Bench:
    def __init__(self, build, folder, users, messages):
        os.chmod(folder, 0o755)
        self.users = ["user%d@example.com" % i for i in range(users)]
        secrets = dict.fromkeys(self.users, "secret")
        authority = ca.CA(os.path.join(folder, "ca"))
        self.old = dovecot.Dovecot("old", os.path.join(folder, "old"), authority, secrets, MASTERS)
        self.new = dovecot.Dovecot("new", os.path.join(folder, "new"), authority, secrets, MASTERS, storage="sdbox")
        self.context = client_context(authority.cert)
        self.messages = messages
        self.ferry = Mailferry(os.path.join(folder, "ferry"), authority, self.old, self.new, build=build, settings={
            "log": {"level": "info"}, "sync": {"workers": 4, "delta_s": 2, "fence_s": 30},
            "cutover": {"retry_s": 1, "tries": 100}})
        self.holds, self.frozen, self.failed, self.undone = [], [], [], 0
        self._lock = threading.Lock()

    def __enter__(self):
        first = os.path.join(self.old.folder, "mail", self.users[0])
        mailboxes.Maker(1).fill(first, self.messages)
        for user in self.users[1:]:
            mailboxes.link_copy(first, os.path.join(self.old.folder, "mail", user))
        subprocess.run(["chown", "-R", "nobody:", os.path.join(self.old.folder, "mail")], check=True)
        self.old.start()
        self.new.start()
        self.ferry.start()
        self.ferry.import_users(self.users)
        self.ferry.wait_state(self.users, "ready", READY_S)
        return self

    def __exit__(self, *_):
        self.ferry.stop()
        self.old.stop()
        self.new.stop()

    def work(self, cutovers, at_once):
        """So many, dealt among the users, so many users at a time."""
        todo = collections.deque(self.users[i % len(self.users)] for i in range(cutovers))
        busy, threads = set(), []

        def take():
            with self._lock:
                for _ in range(len(todo)):
                    user = todo.popleft()
                    if user not in busy:
                        busy.add(user)
                        return user
                    todo.append(user)
            return None

        def lane():
            while True:
                user = take()
                if not user:
                    return
                self.there_and_back(user)
                with self._lock:
                    busy.discard(user)
        for _ in range(at_once):
            threads.append(threading.Thread(target=lane))
            threads[-1].start()
        for t in threads:
            t.join()

    def there_and_back(self, user):
        about = (user, "secret", self.ferry.address, self.ferry.ports["imaps"], self.context)
        changer, prober = Changer("changer " + user, *about), Prober("login " + user, *about, pace_s=0)
        before = len(self.ferry.history(user))
        for c in (changer, prober):
            c.start()
        try:
            for c in (changer, prober):
                c.wait_on("old")
            self.ferry.command("cutover", user)
            for c in (changer, prober):
                c.wait_on("new", MOVE_S)
        finally:
            for c in (changer, prober):
                c.finish()
        moves = self.ferry.history(user)[before:]
        freezes = [m["at"] for m in moves if m["to"] == "freezing"]
        flips = [m["at"] for m in moves if m["to"] == "trailing"]
        begin, end = freezes[-1] / 1000, flips[-1] / 1000
        held = [v.logged_in - v.began for v in prober.visits if v.began < end and v.logged_in > begin]
        with self._lock:
            self.holds.append(max(held, default=0.0))
            self.frozen.append(end - begin)
            self.undone += len(freezes) - 1
            self.failed += prober.failed_logins + changer.failed_logins
            print("%3d: held %.2f s, frozen for %.2f s" % (len(self.holds), self.holds[-1], self.frozen[-1]), flush=True)
        self.ferry.command("rollback", user)


def percentile(values, p):
    return statistics.quantiles(values, n=100, method="inclusive")[p - 1] if len(values) > 1 else values[0]


def table(bench):
    lines = ["%s. %s" % (datetime.date.today(), machine()), "",
             "%d cutovers of %d mailboxes of %d messages each, %d at a time, each with %d changes a second: %d undone, "
             "%d logins failed." % (len(bench.holds), len(bench.users), bench.messages, AT_ONCE, CHANGES_PER_S,
                                    bench.undone, len(bench.failed)), "",
             "| | median | 95 % | longest | |", "|---|---|---|---|---|"]
    met = all(percentile(bench.holds, p) < bar for p, bar in BARS.items())
    for what, values, says in (("a login that met the cutover took (s), bar: median < 1, 95 % < 3", bench.holds,
                                "met" if met else "**missed**"),
                               ("from freeze to flip (s)", bench.frozen, "")):
        lines.append("| %s | %.2f | %.2f | %.2f | %s |" % (what, percentile(values, 50), percentile(values, 95),
                                                          max(values), says))
    return "\n".join(lines), met and not bench.failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/plain")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cutovers", type=int)
    parser.add_argument("--write", metavar="FILE")
    options = parser.parse_args()
    processes.tied = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    users, messages = (3, 1000) if options.quick else (USERS, MESSAGES)
    with tempfile.TemporaryDirectory(prefix="mailferry-bench-", dir="/dev/shm") as folder:
        with Bench(options.build, folder, users, messages) as bench:
            bench.work(options.cutovers or (6 if options.quick else CUTOVERS), AT_ONCE)
    text, met = table(bench)
    print(text)
    if options.write:
        write_into(options.write, MARK, text)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
