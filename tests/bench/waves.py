#!/usr/bin/python3
"""
A thousand users are moved in waves of a hundred while all of them are there.

    waves.py --build DIR [--quick] [--users N] [--wave N] [--write FILE]

Each user has 200 messages in 20 folders and two live sessions: in IDLE, and with one user in ten the second one writes.
Whoever is sent away comes back at once. No login may fail, and in the end everybody is on new, with every message that a
server said OK to.
"""

import argparse
import asyncio
import collections
import datetime
import os
import random
import resource
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
from lib import ca, dovecot, mail, processes, reader  # noqa: E402
from lib.mailferry import Mailferry  # noqa: E402
from report import machine, write_into  # noqa: E402

MARK = "results: written by make bench-waves"
USERS, WAVE, MESSAGES, TEMPLATES, WRITERS = 1000, 100, 200, 10, 10      # every WRITERS-th user writes
MASTERS = {"ferry": "ferry-master-secret"}
WRITE_S, BACK_S = 2.0, 0.5      # between two changes; until a client comes back, at most
AT_ONCE = 40                    # on their way to their first login
READY_S, WAVE_S = 1800, 900
MANY = "\nservice imap {\n  process_limit = 10000\n}\nservice imap-login {\n  process_min_avail = 2\n  client_limit = 6000\n}\n" \
       "default_client_limit = 20000\n"


class Small(mailboxes.Maker):
    """Mail that a thousand mailboxes of it fit into memory."""

    def message(self, size=None):
        return super().message(size or self.random.randrange(600, 4000))


class Session:
    """One client that is always there."""

    def __init__(self, crowd, user, writes):
        self.crowd, self.user, self.writes = crowd, user, writes
        self.side, self.tags, self.stamps = None, 0, []
        self.moved_at = None

    async def live(self):
        while not self.crowd.stopping.is_set():
            try:
                await self.visit()
            except (OSError, EOFError, asyncio.IncompleteReadError):
                if self.side is None and not self.crowd.stopping.is_set():
                    self.crowd.failed.append("%s: the connection ended before the login was answered" % self.user)
            self.side = None
            await asyncio.sleep(random.uniform(0, BACK_S))

    async def visit(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.crowd.port)
        try:
            await self.line()
            begun = time.time()
            answer = await self.ask(b'LOGIN "%s" "secret"' % self.user.encode())
            if b" OK" not in answer[-1]:
                self.crowd.failed.append("%s: %s" % (self.user, answer[-1].decode().strip()))
                return
            self.crowd.logins.append((begun, time.time()))
            told = b"".join(await self.ask(b"ID NIL"))
            self.side = "new" if b'"new"' in told else "old"
            await self.ask(b"SELECT INBOX")
            await (self.write() if self.writes else self.idle())
        finally:
            self.writer.close()

    async def line(self):
        line = await self.reader.readline()
        if not line or line.startswith(b"* BYE"):
            raise EOFError
        return line

    async def ask(self, command):
        self.tags += 1
        tag = b"a%d" % self.tags
        self.writer.write(tag + b" " + command + b"\r\n")
        lines = [await self.line()]
        while not lines[-1].startswith(tag + b" "):
            lines.append(await self.line())
        return lines

    async def idle(self):
        self.writer.write(b"i IDLE\r\n")
        while not self.crowd.stopping.is_set():
            await self.line()

    async def write(self):
        while not self.crowd.stopping.is_set():
            stamp = "%s-%d" % (self.user.split("@")[0], len(self.stamps))
            data = mail.message(stamp, 3000)
            self.stamps.append([stamp, False])
            answer = await self.ask(b"APPEND INBOX (\\Seen) {%d+}\r\n%s" % (len(data), data))
            self.stamps[-1][1] = b" OK" in answer[-1]
            await asyncio.sleep(random.uniform(0, 2 * WRITE_S))


class Crowd(threading.Thread):
    """All sessions, in one thread."""

    def __init__(self, port, users):
        super().__init__(daemon=True)
        self.port, self.failed, self.logins, self.stopping = port, [], [], threading.Event()
        self.sessions = [Session(self, u, n and i % WRITERS == 0) for i, u in enumerate(users) for n in (0, 1)]

    def run(self):
        asyncio.run(self.all())

    async def all(self):
        tasks = []
        for i, s in enumerate(self.sessions):
            tasks.append(asyncio.create_task(s.live()))
            while sum(x.side is None for x in self.sessions[:i + 1]) > AT_ONCE:
                await asyncio.sleep(0.01)
        while not self.stopping.is_set():
            await asyncio.sleep(0.1)
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def count(self, side):
        return sum(s.side == side for s in self.sessions)

    def end(self):
        self.stopping.set()
        self.join()


class Bench:
    def __init__(self, build, folder, users):
        os.chmod(folder, 0o755)
        self.users = ["user%d@example.com" % i for i in range(users)]
        secrets = dict.fromkeys(self.users, "secret")
        authority = ca.CA(os.path.join(folder, "ca"))
        self.old = dovecot.Dovecot("old", os.path.join(folder, "old"), authority, secrets, MASTERS, more=MANY)
        self.new = dovecot.Dovecot("new", os.path.join(folder, "new"), authority, secrets, MASTERS, storage="sdbox", more=MANY)
        self.ferry = Mailferry(os.path.join(folder, "ferry"), authority, self.old, self.new, build=build, settings={
            "log": {"level": "info"}, "sync": {"delta_s": 60, "fence_s": 30, "workers": 6}, "tls": {"allow_cleartext": True}})

    def __enter__(self):
        homes = [os.path.join(self.old.folder, "mail", u) for u in self.users]
        for i, home in enumerate(homes):
            if i < TEMPLATES:
                Small(i).fill(home, MESSAGES)
            else:
                mailboxes.link_copy(homes[i % TEMPLATES], home)
        subprocess.run(["chown", "-R", "nobody:", os.path.join(self.old.folder, "mail")], check=True)
        self.old.start()
        self.new.start()
        self.ferry.start()
        return self

    def __exit__(self, *_):
        self.ferry.stop()
        self.old.stop()
        self.new.stop()

    def import_waves(self, size):
        """The waves' names, in order."""
        self.ferry.import_users([{"user": u, "wave": str(i // size + 1)} for i, u in enumerate(self.users)])
        self.ferry.wait_state(self.users, "ready", READY_S)
        return [str(i + 1) for i in range((len(self.users) + size - 1) // size)]

    def move(self, wave):
        """Seconds; the rest is said by the command itself."""
        began = time.monotonic()
        done = subprocess.run([os.path.join(self.ferry.build, "mailferry"), "-c", self.ferry.conf, "cutover", "--wave", wave],
                              capture_output=True, text=True, timeout=WAVE_S, stdin=subprocess.DEVNULL)
        if done.returncode:
            print(done.stdout[-2000:] + done.stderr[-2000:])
        return time.monotonic() - began, done.returncode == 0

    def lost(self, crowd):
        """Of writers: appends with an OK that are not on new, once."""
        wrong = []
        for s in crowd.sessions:
            if s.writes:
                held = collections.Counter(m.stamp for m in reader.read(self.new, s.user, None)[("INBOX",)].messages)
                wrong += [stamp for stamp, ok in s.stamps if held[stamp] > 1 or (ok and not held[stamp])]
        return wrong


def play(options, folder):
    users, size = options.users or (40 if options.quick else USERS), options.wave or (10 if options.quick else WAVE)
    with Bench(options.build, folder, users) as bench:
        began = time.monotonic()
        waves = bench.import_waves(size)
        print("%d users are ready after %.0f s" % (users, time.monotonic() - began), flush=True)
        crowd = Crowd(bench.ferry.ports["imap"], bench.users)
        crowd.start()
        processes.wait_until(lambda: crowd.count("old") == 2 * users, 300, "everybody to be there")
        began, rows, done = time.time(), [], True
        for wave in waves:
            took, ok = bench.move(wave)
            done = done and ok
            rows.append(took)
            print("wave %s: %.1f s; %d sessions on old, %d on new, %d logins failed" % (
                wave, took, crowd.count("old"), crowd.count("new"), len(crowd.failed)), flush=True)
        try:
            processes.wait_until(lambda: crowd.count("new") == 2 * users, 60, "everybody to be back")
        except TimeoutError:
            done = False
        there = crowd.count("new")
        crowd.end()
        lost = bench.lost(crowd)
        logins = [b - a for a, b in crowd.logins if a > began]
        states = collections.Counter(u["state"] for u in bench.ferry.cli("users")["users"])
    for line in crowd.failed[:10]:
        print("FAILED LOGIN %s" % line)
    ok = done and not crowd.failed and not lost and there == 2 * users and states["trailing"] + states["done"] == users
    return ok, table(users, size, rows, logins, crowd, there, lost)


def table(users, size, rows, logins, crowd, there, lost):
    appends = sum(len(s.stamps) for s in crowd.sessions)
    quantiles = statistics.quantiles(logins, n=100, method="inclusive") if len(logins) > 1 else [0] * 99
    return "\n".join([
        "%s. %s" % (datetime.date.today(), machine()), "",
        "| %d users of %d messages, 2 sessions each, one user in %d writing, waves of %d | |" % (users, MESSAGES, WRITERS, size),
        "|---|---|",
        "| a wave took (s), median and longest | %.0f, %.0f |" % (statistics.median(rows), max(rows)),
        "| users a minute | %.0f |" % (60 * users / sum(rows)),
        "| logins of those who came back | %d |" % len(logins),
        "| such a login took (s), median, 95 %%, longest | %.2f, %.2f, %.2f |" % (quantiles[49], quantiles[94], max(logins)),
        "| logins that failed | %d |" % len(crowd.failed),
        "| sessions on new in the end | %d of %d |" % (there, 2 * users),
        "| appends while it lasted; with an OK and not there, or twice | %d; %d |" % (appends, len(lost))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/plain")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--users", type=int)
    parser.add_argument("--wave", type=int)
    parser.add_argument("--write", metavar="FILE")
    options = parser.parse_args()
    processes.tied = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="mailferry-bench-", dir="/dev/shm") as folder:
        ok, text = play(options, folder)
    print(text)
    if options.write:
        write_into(options.write, MARK, text)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
