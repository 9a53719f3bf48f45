#!/usr/bin/python3
"""
Plays lives (life.py) that dice have written, and prints the shortest one that shows a violation.

    tests/chaos/lives.py [--build DIR] [--seed N] [--lives N] [--seconds N]
    tests/chaos/lives.py --life NUMBER
    tests/chaos/lives.py --play "put a INBOX; rest; flip; pass 3; rest"

The same seed plays the same lives; a number is one of them. Exit status 0 only if all of it held. chaos_sync.py plays
some, too.
"""

import argparse
import collections
import itertools
import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from lib.ca import CA  # noqa: E402
from life import Life, Stage, Violation  # noqa: E402
import limits  # noqa: E402

FOLDERS = ("INBOX", "Work", "Deep")
EACH = 3                # messages in each of them at first
ROUNDS = (4, 9)
STEPS = 14              # at which a pass may be killed
SHRINK_PLAYS = 400      # at most, to find a shorter life
# how often: what happens
WHAT = {"put": 1, "delete": 1, "flag": 1, "move": 1, "late": 2, "stray": 2, "renumber": 1, "anew": 1, "pass": 1, "kill": 3,
        "lose": 1, "hide": 1}


class Writer:
    """Of one life."""

    def __init__(self, seed):
        self.dice, self.state, self.mails, self.lines = random.Random("life %d" % seed), "forward", 0, []

    def write(self):
        self.begin()
        for _ in range(self.dice.randint(*ROUNDS)):
            for _ in range(self.dice.randint(1, 4)):
                self.happens(self.dice.choices(list(WHAT), list(WHAT.values()))[0])
            self.turn()
        return self.lines + ["rest"]

    def say(self, *words):
        self.lines.append(" ".join(str(w) for w in words))

    def begin(self):
        if self.dice.random() < 0.5:
            self.say("plain")
        if self.dice.random() < 0.3:
            self.say("window", 3)
        for folder in FOLDERS * EACH:
            self.say("put", self.fresh(), folder)
        self.say("rest")

    def fresh(self):
        self.mails += 1
        return "m%d" % self.mails

    def some(self):
        return "m%d" % self.dice.randint(1, self.mails)

    def folder(self):
        return self.dice.choice(FOLDERS)

    def happens(self, what):
        getattr(self, "say_" + what)()

    def say_put(self):
        self.say("put", self.fresh(), self.folder())

    def say_late(self):
        if self.state == "trailing":
            self.say("late", self.fresh(), self.folder())

    def say_delete(self):
        self.say("delete", self.some())

    def say_flag(self):
        self.say("flag", self.some())

    def say_move(self):
        self.say("move", self.some(), self.folder())

    def say_stray(self):
        if self.state == "trailing":
            self.say("stray", self.some(), self.folder())

    def say_renumber(self):
        self.say("renumber", self.folder())

    def say_anew(self):
        self.say("anew", self.dice.choice(("old", "new")), self.folder())

    def say_pass(self):
        self.say("pass")

    def say_kill(self):
        self.say("pass", self.dice.randint(1, STEPS))

    def meanwhile(self):
        if self.dice.random() < 0.3:
            self.say_kill()
        else:
            self.say_pass()

    def say_lose(self):
        if self.state != "trailing":
            self.say("lose", self.folder())
            self.meanwhile()
            self.say("find")

    def say_hide(self):
        for _ in range(self.dice.randint(1, 4)):
            self.say("hide", self.some())
        self.meanwhile()
        self.say("show")

    def turn(self):
        """Mostly its user goes on in the same direction."""
        chance = self.dice.random()
        if chance < 0.3:
            self.say("rest")
        elif chance < 0.75:
            getattr(self, "turn_" + self.state)()

    def turn_forward(self):
        self.go("flip", "trailing")
        if self.dice.random() < 0.7:
            self.say("rest")

    def turn_trailing(self):
        if self.dice.random() < 0.7:
            self.say("rest")
        self.go("return", "return")

    def turn_return(self):
        if self.dice.random() < 0.4:
            self.go("withdraw", "trailing")
        else:
            self.go("back", "forward")

    def go(self, word, state):
        self.say(word)
        self.state = state


class Player:
    def __init__(self, folder):
        missing = limits.undocumented()
        if missing:
            raise ValueError("; ".join(missing))
        os.makedirs(folder)
        self.stage = Stage(folder, CA(os.path.join(folder, "ca")))
        self.life = None

    def play(self, lines):
        """A Violation, or None."""
        self.life = Life(self.stage)
        try:
            self.life.play(lines)
        except Violation as v:
            return v
        return None

    def shrink(self, lines, violation):
        """(the shortest life of these that was found to show the same, what it shows)"""
        lines, plays = lines[:violation.lines], itertools.count()
        size = max(1, len(lines) // 2)
        while True:
            shorter = self.without(lines, violation.kind, size, plays)
            if shorter:
                lines, violation = shorter
            elif size == 1:
                return lines, violation
            else:
                size //= 2

    def without(self, lines, kind, size, plays):
        """Any `size` of them, the last first; None if all are needed."""
        for at in range(len(lines) - size, -1, -size):
            if next(plays) > SHRINK_PLAYS:
                break
            fewer = lines[:at] + lines[at + size:]
            violation = self.play(fewer)
            if violation and violation.kind == kind:
                return fewer[:violation.lines], violation
        return None

    def stop(self):
        self.stage.stop()


def numbers(seed):
    return itertools.count(1000 * seed)


def play_lives(player, seed, lives, failed, until=float("inf")):
    """failed(number, lines, violation) of each that did not hold: False ends it. What was counted."""
    counts = collections.Counter()
    for number in itertools.islice(numbers(seed), lives):
        if time.monotonic() > until:
            break
        lines = Writer(number).write()
        violation = player.play(lines)
        counts.update(lives=1, **player.life.counts)
        if violation and not failed(number, *player.shrink(lines, violation)):
            break
    return counts


def told(counts):
    met = ["%s %d" % (limit.name, counts[limit.name]) for limit in limits.LIMITS]
    return "%d lives, %d passes, %d killed, %d rests; documented limits that were met: %s" % (
        counts["lives"], counts["passes"], counts["kills"], counts["rests"], ", ".join(met))


def show(number, lines, violation):
    print("FAILED life %s: %s\n    %s" % (number, violation, "; ".join(lines)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/plain")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--life", type=int, help="the one of this number")
    parser.add_argument("--lives", type=int, default=1 << 30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--play", help="this one")
    options = parser.parse_args()
    folder, begun = tempfile.mkdtemp(prefix="mailferry-lives-"), time.monotonic()
    shutil.copy(os.path.join(options.build, "mailferry-sync"), folder)     # whoever builds meanwhile
    os.environ["MAILFERRY_BUILD"] = folder
    player, failures = Player(os.path.join(folder, "lives")), []

    def failed(number, lines, violation):
        failures.append(number)
        print("FAILED life %s: %s\n    %s" % (number, violation, "; ".join(lines)), flush=True)
        return True
    try:
        if options.play or options.life:
            lines = [line.strip() for line in options.play.split(";")] if options.play else Writer(options.life).write()
            violation = player.play(lines)
            if violation:
                failed(options.life, *player.shrink(lines, violation))
        else:
            print(told(play_lives(player, options.seed, options.lives, failed, begun + options.seconds)))
    finally:
        player.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print("seed %d, %.0f s, %s" % (options.seed, time.monotonic() - begun,
                                   "all held" if not failures else "%d FAILED" % len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
