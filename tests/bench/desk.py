#!/usr/bin/python3
"""
How long people wait for the command and the page while very many users and sessions are in the store.

    desk.py --build DIR [--quick] [--users N] [--sessions N] [--no-browser] [--write FILE]

Two thirds of the users are done, the others wait for an operator; each has a past. The engine runs on that store as it
always does, so whatever it does beside answering is in these times. Each question is put several times, the page is
loaded anew each time.
"""

import argparse
import datetime
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from lib import ca, dovecot, processes  # noqa: E402
from lib.browser import Browser  # noqa: E402
from lib.httpapi import Api, address, token  # noqa: E402
from lib.mailferry import Mailferry  # noqa: E402
from report import machine, write_into  # noqa: E402

MARK = "results: written by make bench-desk"
USERS, SESSIONS, DOMAINS, WAVES = 100_000, 20_000, 50, 200
TIMES = 7
START_S = 300
DAY_MS = 86_400_000
CLIENTS = ["Thunderbird 128.4", "Outlook 16", "Apple Mail", ""]


def name_of(i):
    return "user%06d@domain%02d.example" % (i, i % DOMAINS)


def users(count, now):
    pick = random.Random(1)
    for i in range(count):
        done = i % 3 != 0
        messages = pick.randrange(100, 20000)
        yield (name_of(i), name_of(i), name_of(i), "wave-%03d" % (i * WAVES // count), "done" if done else "ready",
               i + 1, int(done), now - pick.randrange(30 * DAY_MS), 0 if i % 100 else 2, now + DAY_MS,
               "" if i % 1000 else "the server says NO [AUTHENTICATIONFAILED]", messages, messages,
               messages if done or i % 2 else messages // 2, int(i % 500 == 0), messages * 40000)


def past(count, now):
    steps = ["pending", "provisioned", "syncing", "ready", "freezing", "finalizing", "trailing", "done"]
    for i in range(count):
        for n in range(7 if i % 3 else 3):
            yield (name_of(i), now - DAY_MS + n, steps[n], steps[n + 1], "forward", i + 1, "engine", "a reason")


def sessions(count, people, now):
    for i in range(count):
        user = i * 7 % people
        yield ("elsewhere-%d" % (i % 4), "s%d" % i, name_of(user), "pop3" if i % 5 == 0 else "imap", "192.0.2.7",
               "new" if user % 3 else "old", "RELAY", "IDLE", now - 60000, 1000, 2000, CLIENTS[i % 4], "new: user is done")


def logins(people, now):
    for i in range(people):
        for n in range(3):
            yield ("elsewhere-1", name_of(i), "imap", now - n * 60000, "old", "old: user is ready", "ok", CLIENTS[i % 4], 0, 40)


def holds(count, people, now):
    for i in range(count):
        yield ("elsewhere-1", name_of(i % people), "imap", now - i * 100, i % 9000, "new")


def fill(path, people, live):
    """Straight into the file, as no desk has so much patience."""
    now = int(time.time() * 1000)
    db = sqlite3.connect(path)

    def many(table, columns, rows):
        names = columns.split()
        db.executemany("INSERT INTO %s (%s) VALUES (%s)" % (table, ", ".join(names), ", ".join("?" * len(names))), rows)
    many("users", "name old_login new_login wave state change epoch state_since attempts next_try stuck_reason messages copied "
         "verified exceptions bytes", users(people, now))
    many("changes", "id name", ((i + 1, name_of(i)) for i in range(people)))
    many("history", "name at from_state to_state direction change actor why", past(people, now))
    many("sessions", "node id name proto peer side state doing since bytes_up bytes_down client route", sessions(live, people, now))
    many("logins", "node name proto at side route result client held_ms took_ms", logins(people, now))
    many("holds", "node name proto at held_ms released_to", holds(people // 10, people, now))
    db.commit()
    db.close()


def clocked(ask):
    """Milliseconds of each of a few times: (the middle one, the longest)."""
    took = []
    for _ in range(TIMES):
        begin = time.monotonic()
        ask()
        took.append((time.monotonic() - begin) * 1000)
    return statistics.median(took), max(took)


def first_lines(f):
    with subprocess.Popen([os.path.join(f.build, "mailferry"), "-c", f.conf, "users"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=dict(os.environ, **f.env)) as p:
        assert p.stdout.readline().startswith(b"USER") and p.stdout.readline()
        p.kill()


def questions(f, people):
    api, somebody = Api(f, bearer=token(f, "bench"), keep=True), name_of(people // 2)
    paths = ["/v1/status", "/v1/rates?seconds=86400", "/v1/users?limit=100", "/v1/users?limit=100&after=" + somebody,
             "/v1/users?limit=100&state=ready", "/v1/users?limit=100&q=99999", "/v1/users?limit=100&q=nobody-at-all",
             "/v1/users?limit=100&only=stuck", "/v1/sessions?limit=100", "/v1/history?last=12", "/v1/waves",
             "/v1/report?wave=wave-007", "/v1/phases", "/v1/domains", "/v1/users/%s/why" % somebody,
             "/v1/users/%s/history?last=200" % somebody]
    for verb in (["status"], ["users", "--wave", "wave-007"], ["users"], ["users", "--json"], ["phases"], ["why", somebody]):
        yield "`mailferry %s`" % " ".join(verb), lambda v=verb: f.command(*v)
    yield "`mailferry users`, until its first lines", lambda: first_lines(f)
    for path in paths:
        def ask(p=path):
            assert api.status(p) == 200, p
        yield "`GET %s`" % path, ask


def page(f):
    """Until the numbers are there, from an empty tab."""
    home, bearer, browser = "%s://127.0.0.1:%d/" % address(f), token(f, "page"), Browser()
    try:
        for what, place, sign in (("overview", "", ".tiles"), ("users", "users", "td.name"), ("waves", "waves", "td .bar")):
            def load(p=place, s=sign):
                browser.goto("about:blank")
                browser.goto(home + "#/" + p)
                browser.wait(s)
            browser.look(token=bearer)
            yield "the page: " + what, load
    finally:
        browser.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--write", metavar="FILE")
    options = parser.parse_args()
    if options.quick:
        options.users, options.sessions = options.users // 10, options.sessions // 10
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="mailferry-bench-") as folder:
        os.chmod(folder, 0o755)
        authority = ca.CA(os.path.join(folder, "ca"))
        old, new = (dovecot.Dovecot(n, os.path.join(folder, n), authority, {}, {"ferry": "secret"}) for n in ("old", "new"))
        f = Mailferry(os.path.join(folder, "ferry"), authority, old, new, build=options.build,
                      settings={"log": {"level": "info"}, "run": {"nodes": 1},
                                "api": {"listen": "127.0.0.1:%d" % processes.free_ports(1)[0], "tls": False, "tokens": "tokens"}})
        try:
            f.start()
            f.stop()
            fill(os.path.join(f.folder, "store", "mailferry.db"), options.users, options.sessions)
            f.start(new_store=False, within_s=START_S)
            lines = ["%s. %s; load of the machine before: %.1f." % (datetime.date.today(), machine(), load), "",
                     "%d users in %d waves and %d domains, %d sessions; milliseconds, the middle and the longest of %d." % (
                         options.users, WAVES, DOMAINS, options.sessions, TIMES), "", "| | middle | longest |", "|---|--:|--:|"]
            asked = list(questions(f, options.users))
            for what, ask in asked:
                lines.append("| %s | %.0f | %.0f |" % ((what,) + clocked(ask)))
                print(lines[-1], flush=True)
            for what, ask in [] if options.no_browser else page(f):
                lines.append("| %s | %.0f | %.0f |" % ((what,) + clocked(ask)))
                print(lines[-1], flush=True)
        finally:
            f.stop()
    if options.write:
        write_into(options.write, MARK, "\n".join(lines))


if __name__ == "__main__":
    processes.tied = True
    main()
