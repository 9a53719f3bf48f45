"""
The stage of the demo: a CA, two Dovecots, five mailboxes on old, mailferry between them and the clients. And what every
demo does around its story.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import mail, processes  # noqa: E402
from lib.ca import CA  # noqa: E402
from lib.dovecot import Dovecot  # noqa: E402
from lib.imapclient import ImapClient, client_context  # noqa: E402
from lib.mailferry import CommandFailed, Mailferry, ROOT  # noqa: E402

STATE = os.path.join(ROOT, "demo", "state.json")

BIG_FETCH = 20_000_000
BIG_APPEND = 5_000_000

ANNA, BERT, CARLA, DORA, EMIL = ("%s@example.com" % n for n in ("anna", "bert", "carla", "dora", "emil"))
WAVES = {"1": [ANNA, BERT, DORA], "2": [CARLA, EMIL]}
USERS = {ANNA: "anna's secret", BERT: "bert's secret", CARLA: "carla's secret", DORA: "dora's secret",
         EMIL: "emil's secret"}

# Folder names as IMAP sends them (RFC 3501 5.1.3): Entwürfe, Projekte/Zürich, 日本語, Gesendet & Co.
FOLDERS = {
    ANNA: {"INBOX": 1000, "Entw&APw-rfe": 12, "Archive": 40, "Archive/2024": 25},
    BERT: {"INBOX": 120, "Projekte": 10, "Projekte/Z&APw-rich": 30},
    CARLA: {"INBOX": 200, "&ZeVnLIqe-": 15},
    DORA: {"INBOX": 60, "Gesendet &- Co": 20},
    EMIL: {"INBOX": 80, "Archive/Empty": 0, "Trash": 5},
}
FLAGS = (b"", b"\\Seen", b"\\Seen \\Answered", b"\\Flagged", b"\\Seen $Forwarded", b"$Label1 project-x",
         b"\\Draft")
PIPELINE = 50


class Failed(Exception):
    """The demo could not go on; args[0] says why."""


class World:
    users, folders, big = USERS, FOLDERS, {DORA: BIG_FETCH}     # big: a last message of so many bytes

    def __init__(self, folder=None, build=None, rawlog=False):
        self.folder = folder or tempfile.mkdtemp(prefix="mailferry-demo-")
        os.chmod(self.folder, 0o755)
        self.ca = CA(os.path.join(self.folder, "ca"))
        self.context = client_context(self.ca.cert)
        self.build, self.rawlog = build, rawlog
        self.ferry = None
        self.old, self.new = self.make_servers({"ferry": "the ferry's secret"})

    def make_servers(self, masters):
        return (Dovecot("old", os.path.join(self.folder, "old"), self.ca, self.users, masters,
                        storage="maildir", separator=".", prefix="INBOX.", rawlog=self.rawlog),
                Dovecot("new", os.path.join(self.folder, "new"), self.ca, self.users, masters,
                        storage="sdbox", separator="/", rawlog=self.rawlog))

    def start_servers(self):
        self.old.start()
        self.new.start()

    def make_mailferry(self, settings=None, env=None):
        self.ferry = Mailferry(os.path.join(self.folder, "mailferry"), self.ca, self.old, self.new, build=self.build,
                               env=env, settings={"log": {"level": "info"}, **(settings or {})})
        return self.ferry

    def start_mailferry(self):
        self.make_mailferry({"sync": {"fence_s": 5}}).start()

    def operate(self, screen, *args, timeout_s=60, only=""):
        """`mailferry ARGS`, each line (with this in it) shown as it comes; its exit status."""
        command = subprocess.Popen([self.ferry.build + "/mailferry", "-c", self.ferry.conf, *args],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   stdin=subprocess.DEVNULL, env=dict(os.environ, **self.ferry.env))
        timer = threading.Timer(timeout_s, command.kill)
        timer.start()
        for line in command.stdout:
            if only in line:
                screen.text("         mailferry: " + line.rstrip())
        timer.cancel()
        return command.wait()

    def fill(self, on_progress):
        """Writes all mail to old; on_progress(user, done, total)."""
        for user, folders in self.folders.items():
            client = ImapClient(self.old.address, self.old.ports["imaps"], self.context)
            client.login(user, self.users[user])
            done, total = 0, sum(folders.values()) + (user in self.big)
            for name, count in folders.items():
                for _ in self._fill_folder(client, user, name, count):
                    done += 1
                    if done % PIPELINE == 0:
                        on_progress(user, done, total)
            if user in self.big:
                client.append(b"INBOX", mail.message(user.split("@")[0] + "-big", self.big[user], "holiday film"), b"",
                              mail.imap_date(1700000000))
            on_progress(user, total, total)
            client.logout()

    def _fill_folder(self, client, user, name, count):
        wire_name = self._on_old(name)
        if name != "INBOX":
            client.command(b"CREATE " + wire_name)
            if "2024" not in name:
                client.command(b"SUBSCRIBE " + wire_name)
        waiting = []
        for i in range(count):
            stamp = "%s-%s-%d" % (user.split("@")[0], name.replace("/", ".").replace(" ", ""), i)
            data = mail.message(stamp, 400 + 37 * (i % 90), eight_bit=i % 5 == 0)
            waiting.append(client.begin_append(wire_name, data, FLAGS[i % len(FLAGS)],
                                               mail.imap_date(1500000000 + 86400 * i + i)))
            if len(waiting) == PIPELINE:
                client.finish(waiting.pop(0))
            yield i
        for tag in waiting:
            client.finish(tag)

    @staticmethod
    def _on_old(name):
        if name == "INBOX":
            return b"INBOX"
        return b'"INBOX.' + name.replace("/", ".").encode() + b'"'

    # ---- staying and going

    def pids(self):
        """(what, pid) of everything that was started, in the order to end it."""
        found = [("mailferry", self.ferry.pid)] if self.ferry else []
        return found + [(s.name, s.pid) for s in (self.old, self.new) if s.pid]

    def leave_running(self):
        os.makedirs(os.path.dirname(STATE), exist_ok=True)
        rows = [{"what": what, "pid": pid, "argv": processes.command(pid)} for what, pid in self.pids()]
        with open(STATE, "w") as f:
            json.dump({"folder": self.folder, "processes": rows}, f, indent=1)

    def logs(self):
        parts = []
        for name, text in (("mailferry", self.ferry.log_text(400) if self.ferry else ""),
                           ("old", self.old.log_text()), ("new", self.new.log_text())):
            parts.append("---- log of %s, its last lines\n%s" % (name, "\n".join(text.splitlines()[-60:])))
        return "\n".join(parts)

    def end(self, keep_files=False):
        if self.ferry:
            self.ferry.stop()
        self.old.stop()
        self.new.stop()
        if not keep_files:
            shutil.rmtree(self.folder, ignore_errors=True)


def left_running():
    try:
        with open(STATE) as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


def end_left_running():
    """Ends what leave_running() wrote down; only pids that still are the programs we started."""
    state = left_running()
    if not state:
        return []
    ended = []
    for row in state["processes"]:
        if processes.alive(row["pid"]) and processes.command(row["pid"]) == row["argv"]:
            processes.end(row["pid"], 15)
            ended.append(row["what"])
    if os.path.basename(state["folder"]).startswith("mailferry-demo-"):
        shutil.rmtree(state["folder"], ignore_errors=True)
    os.unlink(STATE)
    return ended


def await_it(check, timeout_s, what):
    try:
        return processes.wait_until(check, timeout_s, what)
    except TimeoutError as e:
        raise Failed(str(e)) from None


def tell(name, screen, story, good):
    """
    Plays it to its end, whatever that is; returns the exit status.

    story: play(), report() → what is wrong, part() from its clients, logs(), end(wrong).
    """
    wrong = ["it did not end"]
    try:
        story.play()
        wrong = story.report()
    except (Failed, CommandFailed, AssertionError, RuntimeError, OSError, KeyboardInterrupt) as e:
        wrong = ["stopped: %s" % (e or type(e).__name__)]
        story.part()
    finally:
        screen.text()
        for w in wrong:
            screen.text("WRONG: " + w)
        if wrong:
            screen.text(story.logs())
        story.end(wrong)
    screen.text("%s: %s" % (name, "%d things went wrong" % len(wrong) if wrong else good))
    return 1 if wrong else 0


# An interrupted demo cleans up like a finished one.
def end_on_signals():
    def leave(_signal, _frame):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
