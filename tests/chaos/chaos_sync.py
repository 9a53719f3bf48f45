#!/usr/bin/python3
"""
Kills and cuts the copier wherever it can be killed or cut, lets it resume, and compares both sides.

    tests/chaos/chaos_sync.py [--build DIR] [--servers dovecot,cyrus,courier,shy,liar,late,lives]
        [--parts steps,kills,cuts] [--kills N] [--messages N] [--uids exact|floor|plain] [--window N] [--seed N]
    tests/chaos/chaos_sync.py --self-test       plants bugs (plants.py): each must be found

    steps   for every numbered step of a first, a later and a trailing pass: killed there, and up to three times more
            while it recovers
    kills   SIGKILL at random times over one job of many messages, of four lanes; a fourth of --kills where the
            server is not Dovecot
    cuts    the connection to new after every byte of an APPEND exchange, that to old after every byte of a
            FETCH answer
    late    (with the server of that name) killed while the server has all of a message and keeps it later
    lives   (likewise) --lives whole lives that dice have written: there and back, with all that may happen (life.py)

After each but the lives, the same multiset of (bytes, flags, date) must be on both sides: nothing lost, nothing doubled.
Exit status 0 only if all of it held. The same --seed makes the same choices.
"""

import argparse
import collections
import concurrent.futures
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from lib.copier import KILLED, side_of  # noqa: E402
from lib import reader  # noqa: E402
from lib.liars import LATE_S  # noqa: E402
import lives  # noqa: E402
import pairs  # noqa: E402
import plants  # noqa: E402
from relay import DOWN, Relay, UP  # noqa: E402

SLOTS = 6               # users of a pair at work at the same time: most of it is waiting for fences
STEPS_MAX = 200
RECOVERY_KILLS = 3
LANES = 4               # of the job that is killed at random; steps are exact with one
KILL_MAX_S = 4.0        # the longest life of a worker that is killed at random
CUT_MESSAGE = b"Subject: cut here\r\nMessage-ID: <cut@mailferry.test>\r\n\r\n" + b"0123456789\r\n" * 8
PASSES = 8              # within which a resumed job must be clean
PARTS = ("steps", "kills", "cuts")


class Tally:
    """What happened to one pair."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        self.counts = collections.Counter()
        self.failures = []
        self.begun = time.monotonic()

    def add(self, **counts):
        with self.lock:
            self.counts.update(counts)

    def failed(self, what, why):
        with self.lock:
            self.failures.append("%s: %s: %s" % (self.name, what, why))
            self.counts["failed"] += 1
            print("FAILED %s" % self.failures[-1], flush=True)

    def line(self):
        c = self.counts
        return ("%-8s %5d steps %5d kills %5d resumes %5d cuts %6d in doubt (%d had arrived, %d had not) "
                "%7d compared %3d lost %3d doubled %3d failed %5.0f s" % (
                    self.name, c["steps"], c["kills"], c["resumes"], c["cuts"], c["doubt"], c["arrived"], c["absent"],
                    c["compared"], c["lost"], c["doubled"], c["failed"], time.monotonic() - self.begun))


# ---- one job that is mistreated

class Victim:
    """A slot's job; notes what was left in doubt and what became of it."""

    def __init__(self, slot, tally, what):
        self.slot, self.tally, self.what = slot, tally, what
        self.doubt = {}         # (folder, uid on old): UIDNEXT on new when it was last seen in doubt

    def rows(self, sql):
        """Of a copy: nobody but a worker may touch the journal itself."""
        folder = self.slot.journal_copy()
        try:
            db = sqlite3.connect(os.path.join(folder, os.path.basename(self.slot.journal)))
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError:    # killed before there was a table
                return []
            finally:
                db.close()
        finally:
            shutil.rmtree(folder)

    def note_doubt(self):
        """Whatever is in doubt now, and where the UIDs of its folder on new stand: what arrived is below that."""
        now = self.rows("SELECT new_name, old_uid FROM msg JOIN folder ON folder.id = folder WHERE state = 0")
        if not now:
            return
        self.tally.add(doubt=len(set(now) - set(self.doubt)))
        c = self.slot.connect(self.slot.new)
        for folder in {folder for folder, _ in now}:
            heard = c.command(b"STATUS %s (UIDNEXT)" % reader.quote(folder.encode()))[0]
            limit = int(re.search(rb"UIDNEXT (\d+)", heard[-1]).group(1))
            self.doubt.update({(folder, uid): limit for name, uid in now if name == folder})
        c.logout()

    def done(self):
        return self.rows("SELECT count(*) FROM msg WHERE state = 1")[:1] or [(0,)]

    def run_to(self, step, **changes):
        """True: it was killed there."""
        code, result = self.slot.run(stop_at=step, **changes)
        if code == KILLED:
            self.tally.add(kills=1)
            self.note_doubt()
            return True
        self.expect(code == 0 and (result["ok"] or result["kind"] == "temporary"), "%s %s" % (code, result))
        return False

    def kill_after(self, seconds):
        """True: it was; else it ended before."""
        killed = self.slot.run_and_kill(seconds)
        self.tally.add(kills=int(killed))
        self.note_doubt()
        return killed

    def resume(self):
        """To the end; then both sides must be the same."""
        self.tally.add(resumes=1)
        for _ in range(PASSES):
            code, result = self.slot.run()
            self.expect(code == 0 and result and result["ok"], "%s %s" % (code, result))
            if result["clean"]:
                break
        else:
            self.expect(False, "not clean after %d passes: %s" % (PASSES, result["text"]))
        self.compare()

    def compare(self):
        self.settle_doubt()
        d = self.slot.check()
        self.tally.add(compared=d.compared, lost=len(d.lost), doubled=len(d.doubled) + len(d.extra))
        self.expect(not d, d)

    def settle_doubt(self):
        rows = self.rows("SELECT new_name, old_uid, new_uid FROM msg JOIN folder ON folder.id = folder WHERE state = 1")
        arrived = sum(new < self.doubt.get((folder, old), 0) for folder, old, new in rows)
        self.tally.add(arrived=arrived, absent=len(self.doubt) - arrived)
        self.doubt = {}

    def expect(self, holds, why):
        if not holds:
            raise AssertionError(why)


class Field:
    """The slots of a pair, each doing one thing at a time."""

    def __init__(self, pair, tally, options):
        self.pair, self.tally, self.seed, self._only_first = pair, tally, options.seed, options.first
        self._free = list(pair.slots)
        self._pool = concurrent.futures.ThreadPoolExecutor(len(pair.slots))
        self._lock = threading.Lock()

    def each(self, work, things):
        """work(victim, dice, thing) for each; its results, None for those that failed."""
        return list(self._pool.map(lambda thing: self._one(work, thing), things))

    def _one(self, work, thing):
        if self._only_first and self.tally.failures:
            return None
        with self._lock:
            slot = self._free.pop()
        what = "%s %s" % (work.__name__.replace("_", " "), "" if isinstance(thing, argparse.Namespace) else thing)
        try:
            slot.empty()
            return work(Victim(slot, self.tally, what), random.Random("%s %s %s" % (self.seed, self.pair.kind, what)),
                        thing)
        except Exception as e:
            self.tally.failed(what, "%s: %s" % (type(e).__name__, e) if isinstance(e, AssertionError)
                              else traceback.format_exc())
            return None
        finally:
            with self._lock:
                self._free.append(slot)


# ---- the parts

def recover(victim, dice):
    """Killed again while it recovers, then left alone."""
    for _ in range(RECOVERY_KILLS):
        if not victim.run_to(dice.randrange(1, 8)):
            break
    victim.resume()


def first_pass(victim, dice, step):
    victim.slot.fill(pairs.sample("s%d" % step))
    killed = victim.run_to(step)
    recover(victim, dice)
    return killed


def later_pass(victim, dice, step):
    slot = victim.slot
    slot.fill(pairs.sample("s%d" % step))
    victim.resume()
    slot.fill({("INBOX",): [(b"Subject: new\r\n\r\nlater %d\r\n" % step, b"\\Seen", pairs.date(90))],
               ("Twins",): pairs.sample("s%d" % step)[("Twins",)][:1]})
    c = slot.connect(slot.old)
    c.command(b"SELECT INBOX")
    c.command(b"STORE 1 +FLAGS.SILENT (\\Flagged)")
    c.command(b"STORE 3 FLAGS.SILENT (\\Answered)")
    c.command(b"CLOSE")
    if slot.new.kind != "fake" or b"UIDPLUS" in slot.new.capabilities:      # without it no delete can follow
        slot.expunge(c, b"INBOX", b"2")
        slot.expunge(c, slot.name(slot.old, "Work"), b"1")
    c.command(b"SUBSCRIBE INBOX")
    c.logout()
    killed = victim.run_to(step)
    recover(victim, dice)
    return killed


def trailing_pass(victim, dice, step):
    """After the flip: what comes to old late goes to new, once."""
    slot = victim.slot
    slot.fill(pairs.sample("s%d" % step))
    victim.resume()
    slot.fill(pairs.sample("late%d" % step))
    killed = victim.run_to(step, kind="trailing")
    for _ in range(RECOVERY_KILLS):
        if not victim.run_to(dice.randrange(1, 8), kind="trailing"):
            break
    for _ in range(2):
        code, result = slot.run("trailing")
        victim.expect(code == 0 and result["ok"], "%s %s" % (code, result))
    victim.compare()
    return killed


def part_steps(field, options):
    for work in (first_pass, later_pass, trailing_pass):
        for begin in range(1, STEPS_MAX, SLOTS):
            killed = field.each(work, range(begin, begin + SLOTS))
            field.tally.add(steps=sum(k is True for k in killed))
            if False in killed or None in killed:
                break


def random_kills(victim, dice, options):
    """
    Each worker lives a random time. How long at most follows the work that is left, so that the last of the kills
    comes when the job is nearly done; a job that ends early is only changed by what the next kills let it do.
    A worker that ended before its time is no kill: another one is started.
    """
    victim.slot.fill(pairs.many(options.messages, options.folders, options.seed))
    victim.slot.changes = {"connections": LANES}
    kills = options.kills if victim.slot.pair.kind == "dovecot" else options.kills // 4
    longest, n = 0.5, 0
    while n < kills:
        if not victim.kill_after(longest * dice.random()):
            longest = max(0.05, longest / 1.2)
            continue
        n += 1
        if n % 10 == 0:
            behind = victim.done()[0][0] / options.messages < n / kills
            longest = min(KILL_MAX_S, longest * 1.2) if behind else max(0.05, longest / 1.2)
        if options.verbose and n % 100 == 0:
            print("%s: %d kills, %d of %d copied, %.2f s at most" % (
                victim.tally.name, n, victim.done()[0][0], options.messages, longest), flush=True)
    victim.resume()


def part_kills(field, options):
    field.each(random_kills, [options])


def in_clear(server, victim, relay=None):
    side = side_of(server, victim.slot.ca, victim.slot.user, victim.slot.password,
                   relay.port if relay else server.ports["imap"])
    return dict(side, tls="none", tls_name=None, tls_ca_file=None)


def through_relay(victim, which, marker, **how):
    """One pass with one side behind a relay; the relay, closed."""
    slot = victim.slot
    server = getattr(slot, which)
    relay = Relay(server.address, server.ports["imap"], marker, **how)
    sides = {"old": in_clear(slot.old, victim), "new": in_clear(slot.new, victim)}
    sides[which] = in_clear(server, victim, relay)
    code, result = slot.run(**sides)
    relay.close()
    victim.expect(code == 0 and result and (result["ok"] or result["kind"] == "temporary"), "%s %s" % (code, result))
    return relay


APPEND, FETCH = ("new", rb"APPEND "), ("old", rb"UID FETCH \d+ \(UID FLAGS INTERNALDATE BODY")


def whole_exchange(victim, dice, which):
    victim.slot.fill({("INBOX",): [(CUT_MESSAGE, b"\\Seen", pairs.date(1))]})
    relay = through_relay(victim, *which)
    victim.resume()
    return relay.exchange()


def cut(victim, dice, thing):
    which, way, n = thing
    victim.slot.fill({("INBOX",): [(CUT_MESSAGE, b"\\Seen", pairs.date(1))]})
    relay = through_relay(victim, *which, way=way, n=n, rude=n % 2)
    victim.expect(relay.was_cut, "the cut at byte %d never came" % n)
    victim.tally.add(cuts=1)
    victim.note_doubt()
    victim.resume()


def part_cuts(field, options):
    lengths = field.each(whole_exchange, [APPEND, FETCH])
    if None in lengths:
        return
    (up, down), (_, fetched) = lengths
    field.each(cut, [(APPEND, UP, n) for n in range(up + 1)] + [(APPEND, DOWN, n) for n in range(down + 1)] +
               [(FETCH, DOWN, n) for n in range(fetched + 1)])


def late_commit(victim, dice, how):
    """The server has the message, the worker dies or is cut off, and the message is kept much later."""
    slot = victim.slot
    slot.changes = {"fence_s": how["fence_s"]}
    slot.fill({("INBOX",): [(CUT_MESSAGE, b"\\Seen", pairs.date(1)), (b"Subject: b\r\n\r\n", b"", pairs.date(2))]})
    slot.new.late = 1
    slot.new.waiting.clear()
    slot.new.kept.clear()
    worker = slot.start()
    victim.expect(slot.new.waiting.wait(20), "no APPEND came")
    if how["by"] == "cut":
        slot.new.kick()
    else:
        worker.send_signal(signal.SIGKILL)
    slot.finish(worker)
    victim.tally.add(kills=how["by"] != "cut", cuts=how["by"] == "cut")
    victim.note_doubt()
    for _ in range(RECOVERY_KILLS if how["by"] == "kills" else 0):
        victim.kill_after(2 * dice.random())
    victim.resume()
    victim.expect(slot.new.kept.wait(2 * LATE_S), "the late message never came")
    victim.compare()


def part_late(field, options):
    for by in ("kill", "cut", "kills"):
        field.each(late_commit, [{"by": by, "fence_s": options.late_fence}])


# ---- all of it

def run_lives(folder, options):
    tally = Tally("lives")
    player = lives.Player(os.path.join(folder, "lives"))

    def failed(number, lines, violation):
        tally.failed("life %d" % number, "%s\n    %s" % (violation, "; ".join(lines)))
        return not options.first
    try:
        counts = lives.play_lives(player, options.seed, options.lives, failed)
        tally.add(kills=counts["kills"], resumes=counts["passes"], compared=counts["compared"])
        print("lives: %s" % lives.told(counts), flush=True)
    except Exception:
        tally.failed("run", traceback.format_exc())
    finally:
        player.stop()
    return tally


def run_pair(kind, folder, options):
    if kind == "lives":
        return run_lives(folder, options)
    tally, pair = Tally(kind), None
    try:
        pair = pairs.Pair(kind, folder, 1 if kind == "late" else SLOTS)
        field = Field(pair, tally, options)
        for part in ["late"] if kind == "late" else options.parts:
            if options.first and tally.failures:
                break
            globals()["part_" + part](field, options)
            print("%s: %s done after %.0f s" % (kind, part, time.monotonic() - tally.begun), flush=True)
    except Exception:
        tally.failed("run", traceback.format_exc())
    finally:
        if pair:
            pair.stop()
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/plain")
    parser.add_argument("--servers", default="dovecot,cyrus,courier,shy,liar,late,lives")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--folders", type=int, default=25)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--lives", type=int, default=150)
    parser.add_argument("--late-fence", type=int, default=30)
    parser.add_argument("--uids", default="exact", choices=("exact", "floor", "plain"),
                        help="sync.uids of every job; old's UIDs have gaps, unless it is plain")
    parser.add_argument("--window", type=int, default=0,
                        help="folders of more than twice so many messages are swept in windows; 0: as in use")
    parser.add_argument("--first", action="store_true", help="end a part at its first failure")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return plants.self_test("chaos_sync", options.seed)
    pairs.Slot.uids, pairs.Slot.window = options.uids, options.window
    options.parts = [p for p in options.parts.split(",") if p]

    begun = time.monotonic()
    print("seed %d" % options.seed, flush=True)
    folder = tempfile.mkdtemp(prefix="mailferry-chaos-")
    os.chmod(folder, 0o755)
    shutil.copy(os.path.join(options.build, "mailferry-sync"), folder)     # whoever builds meanwhile
    os.environ["MAILFERRY_BUILD"] = folder
    try:
        kinds = options.servers.split(",")
        with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
            tallies = list(pool.map(lambda kind: run_pair(kind, folder, options), kinds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for tally in tallies:
        print(tally.line())
    failed = sum(t.counts["failed"] for t in tallies)
    print("seed %d, %.0f s, %s" % (options.seed, time.monotonic() - begun,
                                   "all held" if not failed else "%d FAILED" % failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
