#!/usr/bin/python3
"""
Moves five live users from one real mail server to another, and proves it.

    tests/demo/demo.py run [--build DIR]     everything, then a report; exit 0 only if nothing went wrong
    tests/demo/demo.py up [--build DIR]      the same, and leaves the servers and mailferry running
    tests/demo/demo.py down                  stops what `up` left

The report is made by a reader that asks both servers directly, and from the clients' own logs. Nothing
in it is taken from mailferry's records.
"""

import argparse
import sys
import threading

from screen import Screen
from world import (ANNA, BERT, BIG_APPEND, BIG_FETCH, CARLA, DORA, EMIL, USERS, WAVES, Failed, World, await_it,
                   end_left_running, end_on_signals, left_running, tell)

from lib import reader
from lib.clients import (BusyClient, FetchClient, IdleClient, Pop3Poller, Prober, SlowAppendClient)
from lib.ledger import Ledger
from lib.mailferry import write_csv

FETCH_S, APPEND_S = 5.0, 5.0    # how long the big ones take; both must end within the cutover's budget
READY_TIMEOUT_S = 60
CUTOVER_TIMEOUT_S = 60
AFTERLIFE_S = 4                 # the clients go on so long on new
CHANGES_PER_S = 5
PROBE_S = 0.1                   # a hold is seen at most so long after it began


class Demo:
    def __init__(self, world, screen, stays):
        self.world, self.screen = world, screen
        self.stays = stays      # and what was started, too
        self.ledgers = {user: Ledger() for user in USERS}
        self.probers = {}
        self.clients = []

    # ---- the story

    def play(self):
        w, s = self.world, self.screen
        s.step("starting two Dovecot servers in %s" % w.folder)
        w.start_servers()
        s.step("filling five mailboxes on old (port %d)" % w.old.ports["imaps"])
        totals = {}

        def filled(user, done, total):
            totals[user] = (user.split("@")[0], done, total, "messages")
            s.bars(list(totals.values()))
        w.fill(filled)
        for user, ledger in self.ledgers.items():
            ledger.start_from(reader.read(w.old, user, w.context))
        s.step("starting mailferry: a store, an engine, two proxy nodes")
        w.start_mailferry()
        s.step("connecting live clients through the proxy (port %d)" % w.ferry.ports["imaps"])
        self.connect()
        s.step("importing the users from a CSV file and copying their mail")
        self.sync()
        for wave in WAVES:
            self.cut_over(wave)
        s.step("the clients go on at new for %d s" % AFTERLIFE_S)
        threading.Event().wait(AFTERLIFE_S)
        self.part()

    def connect(self):
        w = self.world

        def client(kind, name, user, port="imaps", **kw):
            c = kind(name, user, USERS[user], w.ferry.address, w.ferry.ports[port], w.context,
                     self.ledgers[user], **kw)
            self.clients.append(c)
            return c
        self.idle = client(IdleClient, "anna idle", ANNA)
        self.busy = client(BusyClient, "bert busy", BERT)
        self.pop3 = client(Pop3Poller, "carla pop3", CARLA, "pop3s")
        self.fetch = client(FetchClient, "dora fetch", DORA, size=BIG_FETCH, seconds=FETCH_S)
        self.append = client(SlowAppendClient, "emil append", EMIL, size=BIG_APPEND, seconds=APPEND_S)
        for c in self.clients:
            c.start()
        for c in self.clients:
            c.wait_on("old")

    def sync(self):
        w = self.world
        rows = [{"user": u, "old_login": u, "new_login": u, "wave": wave}
                for wave, users in WAVES.items() for u in users]
        path = w.folder + "/users.csv"
        write_csv(path, rows)
        w.ferry.cli("import", path)

        def ready():
            users = w.ferry.cli("users")["users"]
            self.screen.bars([self.sync_row(u) for u in users])
            return len(users) == len(USERS) and all(u["state"] == "ready" for u in users)
        await_it(ready, READY_TIMEOUT_S, "all users to be ready")

    @staticmethod
    def sync_row(u):
        p, running = u["progress"], u["running"] or {}
        done = max(p["copied"], running.get("messages", 0))
        return u["name"].split("@")[0], done, max(p["messages"], done, running.get("total", 0)), u["state"]

    def cut_over(self, wave):
        w = self.world
        self.screen.step("wave %s: %s" % (wave, ", ".join(WAVES[wave])))
        for user in WAVES[wave]:
            prober = Prober(user.split("@")[0] + " login", user, USERS[user], w.ferry.address,
                            w.ferry.ports["imaps"], w.context)
            self.probers[user] = prober
            prober.start()
            prober.wait_on("old")
        big = self.fetch if DORA in WAVES[wave] else self.append
        big.start_now.set()
        if not big.inside.wait(20):
            raise Failed("%s never got inside its command" % big.name)
        status = w.operate(self.screen, "cutover", "--wave", wave, timeout_s=CUTOVER_TIMEOUT_S)
        if status:
            raise Failed("mailferry cutover --wave %s: exit %d" % (wave, status))
        for c in self.clients + list(self.probers.values()):
            if c.user in WAVES[wave]:
                c.wait_on("new", 30)
        for user in WAVES[wave]:
            self.probers[user].finish()
        self.screen.step("wave %s: every client is back, on new" % wave)

    def part(self):
        for c in self.clients:
            c.stopping.set()
        for c in self.clients:
            c.finish()

    # ---- the proof

    def report(self):
        """Asks both servers; returns the list of what is wrong."""
        self.screen.step("asking both servers for every message")
        self.screen.text()
        wrong = []
        self.user_table(wrong)
        self.screen.text()
        self.client_table(wrong)
        self.screen.text()
        self.busy_lines(wrong)
        for wave, users in WAVES.items():
            if not any(self.probers[u].holds() for u in users):
                wrong.append("wave %s held no login" % wave)
        for user, prober in self.probers.items():
            wrong += ["%s: login failed: %s" % (prober.name, why) for _, why in prober.failed_logins]
        return wrong

    def user_table(self, wrong):
        rows = []
        for user in sorted(USERS):
            old, new = (reader.read(server, user, self.world.context)
                        for server in (self.world.old, self.world.new))
            ledger = self.ledgers[user]
            since = min([v.began for c in self.of(user) for v in c.visits if v.server == "new"], default=0)
            both = reader.compare(ledger.untouched_since(old, since), ledger.untouched_since(new, since))
            promised = ledger.check(new)
            lost = {str(x[1]) for x in both.lost + promised.lost}
            doubled = {str(x[1]) for x in both.doubled + promised.doubled}
            flags = {str(x[0][1]) for x in both.flags} | {x[0] for x in promised.flags}
            dates = {str(x[0][1]) for x in both.dates} | {x[0] for x in promised.dates}
            holds = [v.logged_in - v.began for v in self.probers[user].holds()]
            rows.append([user, both.compared, promised.compared, len(lost), len(doubled), len(flags),
                         len(dates), seconds(max(holds, default=None)),
                         seconds(max([c.away_s() or 0 for c in self.clients if c.user == user]))])
            if both or not promised.clean:
                wrong.append("%s: both servers: %s; what clients were promised: %s" % (user, both, promised))
        self.screen.table(["user", "compared on both", "as promised", "lost", "doubled", "flags differ",
                           "dates differ", "login held", "client away"], rows)

    def client_table(self, wrong):
        rows = []
        for c in self.clients:
            last = c.last_on("old")
            rows.append([c.name, seconds(c.away_s()), len(c.failed_logins), last.last_line.decode(
                "utf-8", "backslashreplace").rstrip() if last else "-"])
            if c.away_s() is None:
                wrong.append("%s did not come back on new" % c.name)
            wrong += ["%s: login failed: %s" % (c.name, why) for _, why in c.failed_logins]
            if last and c is not self.pop3 and not last.bye:
                wrong.append("%s: its last word from old is no whole BYE: %r" % (c.name, last.last_line[:200]))
        self.screen.table(["client", "away", "failed logins", "last word from old"], rows)

    def busy_lines(self, wrong):
        ledger, visits = self.ledgers[BERT], [v for v in self.busy.visits if v.logged_in]
        lived = sum(v.closed - v.logged_in for v in visits)
        rate = len(ledger.acknowledged) / lived if lived else 0
        total = sum(len(x.acknowledged) for x in self.ledgers.values())
        during = sum(x.acknowledged_between(*h) for u, x in self.ledgers.items()
                     for h in [(v.began, v.logged_in) for v in self.probers[u].holds()])
        self.screen.text("%d changes acknowledged (%.1f a second to the busy client), %d of them during "
                         "holds, %d left without an answer" % (
                             total, rate, during, sum(x.unanswered for x in self.ledgers.values())))
        if rate < CHANGES_PER_S:
            wrong.append("the busy client made only %.1f changes a second" % rate)
        for user, c, what in ((DORA, self.fetch, "FETCH"), (EMIL, self.append, "APPEND")):
            inside = [v for v in self.probers[user].holds() if c.began < v.began < c.ended]
            self.screen.text("%s was inside its %s of %d MB when the hold began: %s" % (
                c.name, what, c.size // 1000000, "yes" if inside else "no"))
            if not inside:
                wrong.append("%s was not inside its %s at the freeze" % (c.name, what))
        for wave, users in WAVES.items():
            begins = [v.began for u in users for v in self.probers[u].holds()]
            busy = bool(begins) and any(begin <= min(begins) and end >= min(begins) - PROBE_S
                                        for begin, end in self.busy.in_flight)
            self.screen.text("a command of the busy client was in flight at the freeze of wave %s: %s" % (
                wave, "yes" if busy else "no"))
            if not busy:
                wrong.append("wave %s: the busy client had no command in flight at the freeze" % wave)

    def of(self, user):
        return [c for c in self.clients + list(self.probers.values()) if c.user == user]

    def logs(self):
        return "\n".join([c.transcript()[-3000:] for c in self.clients] + [self.world.logs()])

    def end(self, wrong):
        if self.stays and not wrong:
            self.world.leave_running()
            how_to_connect(self.world, self.screen)
        else:
            self.world.end()


def seconds(value):
    return "-" if value is None else "%.2f s" % value


def how_to_connect(world, screen):
    f = world.ferry
    screen.text("\nStill running. Connect a mail client to %s:" % f.address)
    screen.text("  IMAP %d (TLS) or %d (STARTTLS), POP3 %d (TLS) or %d (STLS)" % (
        f.ports["imaps"], f.ports["imap"], f.ports["pop3s"], f.ports["pop3"]))
    screen.text("  server name for TLS: localhost, CA file: %s" % world.ca.cert)
    for user, password in USERS.items():
        screen.text("  user %-18s password %s" % (user, password))
    screen.text("  old: IMAP %d (TLS), new: IMAP %d (TLS)" % (world.old.ports["imaps"], world.new.ports["imaps"]))
    screen.text("  operator: %s/mailferry -c %s status" % (f.build, f.conf))
    screen.text("`make demo-down` stops it.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("verb", choices=("run", "up", "down"))
    parser.add_argument("--build", default=None, help="folder of the programs")
    options = parser.parse_args()
    end_on_signals()
    if options.verb == "down":
        ended = end_left_running()
        print("stopped: %s" % ", ".join(ended) if ended else "nothing was running")
        return 0
    if options.verb == "up" and left_running():
        print("a demo is up already; `make demo-down` stops it", file=sys.stderr)
        return 1
    screen = Screen()
    return tell("demo", screen, Demo(World(build=options.build), screen, options.verb == "up"),
                "nothing lost, nothing doubled, every client came back")


if __name__ == "__main__":
    sys.exit(main())
