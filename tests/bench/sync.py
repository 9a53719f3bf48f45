#!/usr/bin/python3
"""
What it takes to copy mailboxes: our worker and its peers, side by side, in one run.

    sync.py --build DIR [--quick] [--rounds N] [--cells WORD,…] [--copiers WORD,…] [--write FILE]

Two Dovecots on tmpfs, no TLS, on the same cores as the copier; before each a relay that adds half of the round trip.
A round copies a mailbox, looks again when nothing has changed, then when one message in a hundred has; rounds are
interleaved, medians count. After the first round both sides are read in full by a reader of its own.
"""

import argparse
import collections
import datetime
import os
import shutil
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
import copiers  # noqa: E402
import mailboxes  # noqa: E402
from lib import ca, dovecot, processes, reader  # noqa: E402
from lib.imapclient import client_context  # noqa: E402
from report import chosen_of, machine, show, version, write_into  # noqa: E402

MARK = "results: written by make bench-sync"
BIG, SMALL = "big@example.com", "small@example.com"
TEMPLATES = 10          # mailboxes that the many users share, by links
TIMEOUT_S = 900
LINES = (0, 50)         # ms
AT_ONCE = {0: 8, 50: 48}

Took = collections.namedtuple("Took", "seconds cpu_s peak_mb")


class Crew:
    """Commands of one copier, so many at a time."""

    def __init__(self, copier, commands, at_once):
        self.copier, self.todo, self.at_once = copier, list(commands), at_once
        self.running, self.cpu_s, self.peaks = {}, 0.0, []

    def start(self, folder):
        argv, stdin = self.todo.pop(0)
        told = os.path.join(folder, str(len(self.todo)))
        with open(stdin or os.devnull, "rb") as given, open(told + ".log", "wb") as log:
            p = subprocess.Popen(["/usr/bin/time", "-f", "%U %S %M", "-o", told, *argv], stdin=given, stdout=log,
                                 stderr=log, start_new_session=True)
        self.running[p.pid] = (p, told, argv)

    def reap(self):
        pid, status = os.wait()
        p, told, argv = self.running.pop(pid)
        p.returncode = os.waitstatus_to_exitcode(status)
        with open(told + ".log", errors="replace") as f:
            said = f.read()
        if p.returncode or not self.copier.is_content(said):
            raise RuntimeError("%s: exit %d: %s" % (argv[0], p.returncode, said[-800:]))
        with open(told) as f:
            user, system, kib = f.read().split()
        self.cpu_s += float(user) + float(system)
        self.peaks.append(int(kib) / 1024)

    def work(self):
        began = time.monotonic()
        watchdog = threading.Timer(TIMEOUT_S, self.kill)
        watchdog.start()
        try:
            with tempfile.TemporaryDirectory() as folder:
                while self.todo or self.running:
                    while self.todo and len(self.running) < self.at_once:
                        self.start(folder)
                    self.reap()
            return time.monotonic() - began
        finally:
            watchdog.cancel()
            self.kill()
            for p, _, _ in self.running.values():
                p.wait()

    def kill(self):
        for pid in list(self.running):
            os.killpg(pid, signal.SIGKILL)


def run(copier, users, at_once=None):
    """For all of them, so many at a time. Seconds on the clock, CPU of all, peak of memory in MB (of processes that belong
    together: the sum; else the largest)."""
    commands = [c for user in users for c in copier.commands(user)]
    crew = Crew(copier, commands, at_once or len(commands))
    seconds = crew.work()
    return Took(seconds, crew.cpu_s, max(crew.peaks) if len(users) > 1 else sum(crew.peaks))


class Bench:
    """Two servers, mail on the old one, a line before each."""

    def __init__(self, build, folder, quick=False, users=None, messages=None):
        self.build, self.folder = os.path.abspath(build), folder
        self.users = ["user%d@example.com" % i for i in range(users or (20 if quick else 200))]
        self.sizes = {BIG: messages or (500 if quick else 10000), SMALL: 100 if quick else 1000}
        os.chmod(folder, 0o755)
        secrets = dict.fromkeys([BIG, SMALL] + self.users, copiers.PASSWORD)
        authority = ca.CA(os.path.join(folder, "ca"))
        self.old, self.new = (dovecot.Dovecot(name, os.path.join(folder, name), authority, secrets)
                              for name in ("old", "new"))
        self.context = client_context(authority.cert)
        self.relays, self.runs = [], 0

    def __enter__(self):
        self._fill()
        self.old.start()
        self.new.start()
        self.line = {ms: self._line(ms) for ms in LINES}
        return self

    def __exit__(self, *_):
        for relay in self.relays:
            relay.stdin.close()
            relay.wait()
        self.old.stop()
        self.new.stop()

    def _line(self, ms):
        ports = tuple(processes.free_ports(2))
        relay = subprocess.Popen([os.path.join(self.build, "tests/bench/relay"), str(ms), str(ports[0]),
                                  str(self.old.ports["imap"]), str(ports[1]), str(self.new.ports["imap"])],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.relays.append(relay)
        if relay.stdout.readline() != b"up\n":
            raise RuntimeError("no relay")
        return ports

    def home(self, server, user):
        return os.path.join(server.folder, "mail", user)

    def _fill(self):
        self.bytes = {user: mailboxes.Maker(1).fill(self.home(self.old, user), n) for user, n in self.sizes.items()}
        for i, user in enumerate(self.users):
            if i < TEMPLATES:
                mailboxes.Maker(i + 2).fill(self.home(self.old, user), 200)
            else:
                mailboxes.link_copy(self.home(self.old, self.users[i % TEMPLATES]), self.home(self.old, user))
        subprocess.run(["chown", "-R", "nobody:", os.path.join(self.old.folder, "mail")], check=True)

    def warm(self):
        """Old's indexes are there, as on a server that has served its users."""
        for user in [BIG, SMALL] + self.users:
            reader.read(self.old, user, self.context)

    def fresh(self, copier, ms, users):
        """The copier with no state, and nothing on new."""
        self.runs += 1
        for user in users:
            shutil.rmtree(self.home(self.new, user), ignore_errors=True)
        return copier(self.build, os.path.join(self.folder, "run%d" % self.runs), self.old, self.new, self.line[ms])

    def change(self, user):
        """One message in a hundred: half of them new, a quarter expunged, a quarter flagged."""
        maker = mailboxes.Maker(1000 + self.runs)
        client = reader.connect(self.old, user, context=self.context)
        n = max(4, self.sizes[user] // 100)
        for i in range(n):
            folder = maker.random.choices(mailboxes.FOLDERS, mailboxes.SHARE)[0]
            client.select('"%s"' % folder)
            if i % 4 < 2:
                client.append('"%s"' % folder, None, None, maker.message().replace(b"\n", b"\r\n"))
                continue
            uids = client.uid("SEARCH", "ALL")[1][0].split()
            if not uids:
                continue
            client.uid("STORE", maker.random.choice(uids).decode(), "+FLAGS", "\\Deleted" if i % 4 == 2 else "\\Flagged")
            if i % 4 == 2:
                client.expunge()
        client.logout()

    def compare(self, user):
        old, new = (reader.read(s, user, self.context) for s in (self.old, self.new))
        return fidelity(old, new)


def fidelity(old, new):
    """In words: what the copy lacks."""
    found = reader.compare(old, new)
    altered = min(len(found.lost), len(found.extra))
    parts = [("missing", len(found.lost) - altered), ("altered", altered), ("too many", len(found.doubled) + len(found.extra) - altered),
             ("flags", len(found.flags)), ("dates", len(found.dates)), ("folders missing", len(found.folders)),
             ("folders too many", len(set(new) - set(old))), ("subscriptions", len(found.subscriptions)),
             ("folders out of order", sum(out_of_order(old[p], new[p]) for p in old if p in new))]
    return ", ".join("%s %d" % p for p in parts if p[1]) or "perfect"


def out_of_order(old, new):
    """Do the messages of both, in the order of their UIDs, differ? Only what both have counts."""
    ours, theirs = ([m.sha256 for m in sorted(f.messages, key=lambda m: m.uid)] for f in (old, new))
    both = collections.Counter(ours) & collections.Counter(theirs)
    return [x for x in ours if x in both] != [x for x in theirs if x in both]


# ---- a run

class Results:
    def __init__(self):
        self.values = {}        # (row, copier) → [number]
        self.words = {}         # copier → fidelity

    def add(self, row, copier, value):
        self.values.setdefault((row, copier.name), []).append(value)
        print("%-44s %-16s %8.2f" % (row, copier.name, value), flush=True)

    def median(self, row, name):
        values = self.values.get((row, name))
        return statistics.median(values) if values else None


def one_mailbox(bench, copier, ms, results, look):
    user = SMALL if copier.full_only else BIG
    tag = ", %d ms" % ms
    c = bench.fresh(copier, ms, [user])
    took = run(c, [user])
    label = "1,000 messages" if copier.full_only else "full copy"
    results.add(label + tag + " (s)", copier, took.seconds)
    results.add("CPU of a full copy" + tag + " (s)", copier, took.cpu_s)
    results.add("peak memory" + tag + " (MB)", copier, took.peak_mb)
    if look:
        results.words[copier.name] = bench.compare(user)
    results.add("no change" + tag + " (s)", copier, run(c, [user]).seconds)
    bench.change(user)
    results.add("1 % changed" + tag + " (s)", copier, run(c, [user]).seconds)
    if look:
        again = bench.compare(user)
        if again != results.words[copier.name]:
            results.words[copier.name] += "; after the changes: " + again
        print("%s: %s" % (copier.name, results.words[copier.name]), flush=True)
    shutil.rmtree(bench.home(bench.new, user), ignore_errors=True)


def many_users(bench, copier, ms, results, look):
    c = bench.fresh(copier, ms, bench.users)
    took = run(c, bench.users, AT_ONCE[ms])
    results.add("%d users × 200, %d at a time, %d ms (users/min)" % (len(bench.users), AT_ONCE[ms], ms), copier,
                len(bench.users) * 60 / took.seconds)
    if look:
        words = [bench.compare(user) for user in bench.users[:TEMPLATES]]
        bad = [w for w in words if w != "perfect"]
        if bad:
            print("%s, users: %s" % (copier.name, bad[0]), flush=True)
    for user in bench.users:
        shutil.rmtree(bench.home(bench.new, user), ignore_errors=True)


class Cell:
    def __init__(self, name, measure, ms):
        self.name, self.measure, self.ms = name, measure, ms


CELLS = [Cell("mailbox 0 ms", one_mailbox, 0), Cell("mailbox 50 ms", one_mailbox, 50),
         Cell("users 0 ms", many_users, 0), Cell("users 50 ms", many_users, 50)]
BARS = {  # of ours; users/min: at least
    "full copy, 0 ms (s)": 3.5, "full copy, 50 ms (s)": 5.0, "no change, 0 ms (s)": 0.15, "no change, 50 ms (s)": 0.5,
    "1 % changed, 0 ms (s)": 0.25, "1 % changed, 50 ms (s)": 1.0, "CPU of a full copy, 0 ms (s)": 1.0,
    "peak memory, 0 ms (MB)": 32, "peak memory, 50 ms (MB)": 32,
    "200 users × 200, 8 at a time, 0 ms (users/min)": 1100, "200 users × 200, 48 at a time, 50 ms (users/min)": 800,
}


def run_rounds(bench, options, cells, chosen):
    results = Results()
    for number in range(options.rounds):
        for cell in cells:
            for copier in chosen:
                if copier.full_only and (cell.measure is many_users or cell.ms and number):
                    continue
                try:
                    cell.measure(bench, copier, cell.ms, results, number == 0)
                except (RuntimeError, OSError) as e:
                    print("%s, %s: %s" % (cell.name, copier.name, e), file=sys.stderr, flush=True)
                    results.words.setdefault(copier.name, "failed: see the log")
    return results


# ---- the report

def verdict(row, value):
    bar = BARS.get(row)
    if not bar or value is None:
        return "", ""
    least = "users/min" in row
    met = value >= bar if least else value <= bar
    return ("≥ %g" if least else "≤ %g") % bar, "met" if met else "**missed**"


def table(chosen, results):
    rows = list(dict.fromkeys(row for row, _ in results.values))
    names = [c.name for c in chosen]
    lines = ["| | bar | %s | |" % " | ".join(names), "|---|---|%s---|" % ("---|" * len(names))]
    for row in rows:
        ours = results.median(row, "mailferry")
        bar, word = verdict(row, ours)
        lines.append("| %s | %s | %s | %s |" % (row, bar, " | ".join(show(results.median(row, n)) for n in names), word))
    lines.append("| fidelity | perfect | %s | |" % " | ".join(results.words.get(n, "–") for n in names))
    return lines


def report(options, bench, chosen, results):
    return "\n".join(
        ["%s. %s." % (datetime.date.today().isoformat(), machine()),
         "Peers: %s; servers: Dovecot %s." % (", ".join(sorted({"%s %s" % (c.package, version(c.package))
                                                              for c in chosen if c.package})), version("dovecot-core")),
         "%d messages, %.0f MB, %d folders. Medians of %d rounds%s." % (
             bench.sizes[BIG], bench.bytes[BIG] / 1e6, len(mailboxes.FOLDERS), options.rounds,
             " (quick: these numbers mean little)" if options.quick else ""), ""] + table(chosen, results))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true", help="small mailboxes, one round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--cells", help="parts of names, by commas: mailbox, users, 0 ms, 50 ms")
    parser.add_argument("--copiers", help="parts of names, by commas")
    parser.add_argument("--write", metavar="FILE", help="put the table into FILE, between its marks")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    chosen = [c for c in chosen_of(copiers.ALL, options.copiers) if c.is_here()]
    cells = chosen_of(CELLS, options.cells)
    folder = tempfile.mkdtemp(prefix="mailferry-bench-", dir="/dev/shm")
    try:
        with Bench(options.build, folder, options.quick) as bench:
            bench.warm()
            results = run_rounds(bench, options, cells, chosen)
            text = report(options, bench, chosen, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + text)
    if options.write:
        write_into(options.write, MARK, text)
    return 0 if not any("failed" in w for w in results.words.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
