#!/usr/bin/python3
"""
Users work on two real servers through mailferry, are moved there and back all the time, and everything that can fail
does. Afterwards a checker reads both servers in full and what everybody was told, and names what was promised and
not kept (checker.py).

    tests/chaos/chaos.py [--build DIR] [--seconds N] [--seed N] [--users N] [--hosts N] [--mishaps WORD,…]
    tests/chaos/chaos.py --check FILE       the checker alone, over a history that a run has kept
    tests/chaos/chaos.py --self-test        plants bugs (plants.py): each must be found

Exit status 0 only without a violation and with enough flips, undos, returns and kills, and with several hosts enough
passes that one engine made for another. The same --seed makes the same choices; when they fall depends on the
machine. A history that failed is kept, and its smallest part is shown.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from lib import processes  # noqa: E402
import checker  # noqa: E402
import nemesis  # noqa: E402
import nemesis_hosts  # noqa: E402
import plants  # noqa: E402
from actors import Mailer, Mta, Popper  # noqa: E402
from history import History  # noqa: E402
from world import World, name_of  # noqa: E402

ENOUGH = {"flips": 100, "undos": 30, "returns": 30, "kills": 20}     # in 30 minutes
ENOUGH_OF_HOSTS = dict(ENOUGH, lent=100)
ENOUGH_IN_S = 1800
SHOWN = 12
LONG_STOP_PAUSE_S = 100
PROGRAMS = ("mailferry", "mailferry-proxy", "mailferry-sync")


class Run:
    def __init__(self, world, options):
        self.world, self.options = world, options
        self.begun = time.time()
        dice = random.Random("%s cast" % world.seed)
        self.actors = [Mta(world, "mta%d" % i) for i in range(1 + options.users // 8)]
        for i, user in enumerate(world.users):
            self.actors += [Mailer(world, user, "%s-m%d" % (name_of(i), n)) for n in range(dice.choice((1, 2, 2)))]
            if i % 2 == 0:
                self.actors.append(Popper(world, user, "%s-p" % name_of(i)))
        self.several = options.hosts > 1
        make, usual, long_ones = ((nemesis_hosts.HostsNemesis, nemesis_hosts.USUAL, nemesis_hosts.LONG) if self.several else
                                  (nemesis.Nemesis, nemesis.USUAL, nemesis.LONG))
        self.mover = nemesis.Mover(world, options.move_pause)
        self.nemesis = make(world, options.mishap_pause, options.mishaps.split(",") if options.mishaps else usual)
        self.fates = [self.mover, self.nemesis]
        if not options.mishaps:
            self.fates.append(make(world, LONG_STOP_PAUSE_S, long_ones, "long stops"))

    def live(self):
        threads = self.actors + self.fates
        for t in threads:
            t.start()
        told = until = time.monotonic()
        until += self.options.seconds
        while time.monotonic() < until:
            time.sleep(0.5)
            if time.monotonic() - told >= 30:
                told = time.monotonic()
                self.tell()
        for group in (self.fates, self.actors):
            for t in group:
                t.stopping.set()
            for t in group:
                t.join(90)
        return ["%s: %r" % (t.name, t.broken or "does not end") for t in threads
                if getattr(t, "broken", None) or t.is_alive()]

    def counts(self):
        c = self.world.watch.counts
        counts = {"flips": c["flip"], "undos": c["undo"], "returns": c["flip back"],
                  "kills": sum(self.nemesis.kills.values())}
        return dict(counts, **self.world.ferry.said()) if self.several else counts

    def tell(self):
        rows = self.world.history.rows
        print("%5.0f s: %d rows; %s" % (time.time() - self.begun, len(rows), told(self.counts())), flush=True)

    def summary(self):
        outcomes = collections.Counter((r["verb"], r.get("outcome")) for r in self.world.history.rows)
        for verb in sorted({v for v, o in outcomes if o}):
            print("  %-10s %6d ok %5d fail %5d unknown" % ((verb,) + tuple(
                outcomes[verb, o] for o in ("ok", "fail", "unknown"))))
        print("  commands that servers heard: %d" % outcomes["heard", None])
        print("  mishaps: %s" % told(self.nemesis.counts))
        print("  killed: %s" % told(self.nemesis.kills))
        print("  logins refused: %s" % (dict(self.world.refusals) or "none"))


def told(counts):
    return ", ".join("%d %s" % (n, what) for what, n in counts.items())


def report(history, found):
    """The violations, and the smallest history that shows the first."""
    for v in found[:SHOWN]:
        print("VIOLATION %s" % v)
    if len(found) > SHOWN:
        print("… and %d more: %s" % (len(found) - SHOWN, told(collections.Counter(v.rule for v in found))))
    if found:
        small = checker.shrink(history, found[0])
        start = min(r["at"] for r in history.rows if r["verb"] != "heard")
        print("the smallest history that shows the first one:\n%s" % checker.tell(small, start), flush=True)


def play(options):
    folder = tempfile.mkdtemp(prefix="mailferry-chaos-")
    os.chmod(folder, 0o755)
    bin_folder = os.path.join(folder, "bin")
    os.makedirs(bin_folder)
    for program in PROGRAMS:        # whoever builds meanwhile
        shutil.copy(os.path.join(options.build, program), bin_folder)
    world, keep = World(folder, bin_folder, options.seed, options.users, options.pace, hosts=options.hosts), bool(options.keep)
    try:
        world.start()
        run = Run(world, options)
        broken = run.live()
        world.rest()
        complaints = world.ferry.complaints()
        world.read_all()
        found = checker.check(world.history)
        print("seed %d, %d users, %d hosts, %d s" % (options.seed, options.users, options.hosts, options.seconds))
        run.summary()
        wrong = ["%s broke: see above" % b for b in broken] + ["it said: " + c for c in complaints]
        wrong += ["%s does not come to rest: %s" % (r["user"], r["text"]) for r in world.history.of("stuck")]
        counts = run.counts()
        enough = ENOUGH_OF_HOSTS if options.hosts > 1 else ENOUGH
        short = ["%s: %d of %d" % (what, counts[what], least(n, options)) for what, n in enough.items()
                 if counts[what] < least(n, options)]
        for line in wrong:
            print("WRONG " + line)
        report(world.history, found)
        keep = bool(found or wrong) and bool(options.keep)
        if keep:
            save(world, options)
        print("%s; %d violations%s%s" % (told(counts), len(found), "; %d wrong" % len(wrong) if wrong else "",
                                         "; does not count, too few: " + ", ".join(short) if short else ""))
        return 1 if found or wrong else 0 if not short or options.any_count else 3
    finally:
        world.end(keep)
        if keep:
            print("everything is kept in %s" % folder)


def least(n, options):
    return n * options.seconds // ENOUGH_IN_S


def save(world, options):
    os.makedirs(options.keep, exist_ok=True)
    path = os.path.join(options.keep, "chaos-%d.history" % options.seed)
    world.history.save(path)
    print("the history is kept: tests/chaos/chaos.py --check %s" % path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/plain")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--hosts", type=int, default=1, help="more than one: on PostgreSQL, with nemesis_hosts.py")
    parser.add_argument("--mishaps", default="", help="only these, as they are called in nemesis.py")
    parser.add_argument("--pace", type=float, default=0.15, help="seconds between two commands of a client")
    parser.add_argument("--move-pause", type=float, default=0.7)
    parser.add_argument("--mishap-pause", type=float, default=3.0)
    parser.add_argument("--keep", default="build/chaos", help="folder for the history of a run that failed; '': nowhere")
    parser.add_argument("--any-count", action="store_true", help="few flips and kills will do")
    parser.add_argument("--check", metavar="FILE")
    parser.add_argument("--self-test", nargs="?", const="", metavar="WORDS", help="of one plant only")
    options = parser.parse_args()
    processes.tied = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.self_test is not None:
        return plants.self_test("chaos", options.seed, options.self_test)
    if options.check:
        history = History.load(options.check)
        found = checker.check(history)
        report(history, found)
        print("%d violations" % len(found))
        return 1 if found else 0
    return play(options)


if __name__ == "__main__":
    sys.exit(main())
