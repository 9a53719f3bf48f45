"""The programs under test: writes a mailferry.conf, runs `mailferry run`, asks it, and kills parts of it."""

import csv
import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import time

from . import metrics, processes
from .metrics import Metrics

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UP_TIMEOUT_S = 60
SPARE_USER = "nobody"

# The short waits are for tests: nobody wants to see a retry take its usual minute.
DEFAULTS = {
    "run": {"nodes": 2},
    "log": {"level": "debug"},
    "users": {"default_domain": "example.com"},
    "sync": {"workers": 4, "delta_s": 2, "trailing_s": 2, "fence_s": 2, "retry_s": 1},
    "cutover": {"retry_s": 2},
    "gate": {"uidvalidity": "warn"},    # servers that a test fills within one second may share one
    "pop3": {"uidl": "native"},    # most tests tell the servers by their unique ids (popclient.UIDL_SAYS)
    "limits": {"refusal_s": 0},
}
LISTENERS = {
    "imap": ("imap", "starttls"),
    "imaps": ("imap", "implicit"),
    "pop3": ("pop3", "starttls"),
    "pop3s": ("pop3", "implicit"),
}


def build_folder():
    return os.path.abspath(os.environ.get("MAILFERRY_BUILD") or os.path.join(ROOT, "build/plain"))


def unprivileged_account(build):
    """
    Whom the programs shall become when the caller is root; None to stay. An account without rights
    cannot run programs from below somebody's private folder.
    """
    if os.geteuid() != 0:
        return None
    folder = build
    while folder != "/":
        if not os.stat(folder).st_mode & 0o001:
            return None
        folder = os.path.dirname(folder)
    return pwd.getpwnam(SPARE_USER)


class CommandFailed(Exception):
    def __init__(self, command, done):
        super().__init__("%s: exit %d\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


def _setting(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"%s"' % value


class Mailferry:
    """
    old, new   a lib.server.Server each; both are reached over TLS, and the engine uses their first master user
    ca         lib.ca.CA of the servers; its certificate for `localhost` is shown to clients
    env        added to the programs' environment; what is changed counts for those that are started later
    settings   {section: {name: value}} over DEFAULTS; backend settings as {"backend old": {…}}
    address    where it listens
    sections   what the settings file has
    prefix     argv in front of `mailferry run`: the way to another network namespace
    """

    def __init__(self, folder, ca, old, new, settings=None, listeners=None, build=None, env=None, address="127.0.0.1",
                 prefix=()):
        self.folder, self.ca = folder, ca
        self.env = dict(env or {})
        self.build = os.path.abspath(build or build_folder())
        self.run_dir = os.path.join(folder, "run")
        self.conf = os.path.join(folder, "mailferry.conf")
        self.log = os.path.join(folder, "mailferry.log")
        self.address, self._prefix = address, list(prefix)
        self.ports = {}
        self.reports = os.environ.get("MAILFERRY_REPORTS")
        self._servers = {"old": old, "new": new}
        self._process = None
        self.account = unprivileged_account(self.build)
        os.makedirs(folder, exist_ok=True)
        sections = {name: dict(values) for name, values in DEFAULTS.items()}
        for side, server in (("old", old), ("new", new)):
            sections["backend " + side] = self._backend(side, server)
        sections["store"] = {"path": os.path.join(folder, "store", "mailferry.db")}
        sections["run"]["dir"] = self.run_dir
        sections["sync"]["dir"] = os.path.join(folder, "journals")
        sections["sync"]["reports"] = os.path.join(folder, "reports")
        if self.account:
            sections["run"]["user"] = self.account.pw_name
        certificate, key = ca.issue("localhost")
        sections["tls"] = {"certificate": certificate, "key": self.own(shutil.copy(key, folder))}
        for name, (protocol, tls) in (listeners or LISTENERS).items():
            sections["listener " + name] = {"protocol": protocol, "address": self.address, "port": 0,
                                            "tls": tls}
        for name, values in (settings or {}).items():
            sections.setdefault(name, {}).update(values)
        self.sections = sections
        self.write_conf(sections)

    def _backend(self, side, server):
        conf = {"host": server.address, "tls_name": server.tls_name, "tls_ca_file": self.ca.cert,
                "imap_port": server.ports["imaps"], "imap_tls": "implicit",
                "pop3_port": server.ports["pop3s"], "pop3_tls": "implicit"}
        if server.masters:
            user, password = next(iter(server.masters.items()))
            conf.update(master_user=user, master_password_file=self.secret_file("master-" + side, password))
        return conf

    def secret_file(self, name, secret):
        path = os.path.join(self.folder, name)
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(secret + "\n")
        return self.own(path)

    def own(self, path):
        """A secret that the unprivileged programs must read."""
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)
        return path

    def write_conf(self, sections):
        with open(self.conf, "w") as f:
            for section, values in sections.items():
                kind, _, name = section.partition(" ")
                f.write('%s%s {\n' % (kind, ' "%s"' % name if name else ""))
                for key, value in values.items():
                    if value is not None:
                        f.write("\t%s = %s\n" % (key, _setting(value)))
                f.write("}\n")

    # ---- life

    def start(self, new_store=True, up=True, within_s=UP_TIMEOUT_S):
        command = self._prefix + [os.path.join(self.build, "mailferry"), "-c", self.conf, "run"]
        if new_store:
            command.append("--new-store")
        with open(self.log, "ab") as log:
            self._log_from = log.tell()    # what an earlier run said does not count
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True, env=dict(os.environ, **self.env),
                                             **processes.tie())
        if up:
            self.wait_up(within_s)
        return self

    def wait_up(self, within_s=UP_TIMEOUT_S):
        try:
            processes.wait_until(self._is_up, within_s, "mailferry to be up")
        except (TimeoutError, RuntimeError) as e:
            self.stop()
            raise RuntimeError("%s\n%s" % (e, self.log_text(400))) from None

    def _is_up(self):
        if self._process.poll() is not None:
            raise RuntimeError("mailferry ended with %d" % self._process.returncode)
        with open(self.log, errors="replace") as f:
            f.seek(self._log_from)
            if not any(line.startswith("mailferry: up") for line in f):
                return False
        try:    # only now: one of a run that was killed may lie there until then
            with open(os.path.join(self.run_dir, "listeners")) as f:
                rows = [line.split() for line in f]
        except OSError:
            return False
        self.ports = {row[0]: int(row[2]) for row in rows}
        return len(rows) > 0 and self._nodes_answer()

    def _nodes_answer(self):
        return all(processes.answers(self.address, port, greets=False) for port in self.ports.values())

    def alive(self):
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        """A clean end by TERM; returns the exit status."""
        if not self._process:
            return None
        if self._process.poll() is None:
            processes.end(self._process.pid, 15)
        status = self._process.wait()
        self._process = None
        return status

    def cut_power(self):
        """All of it is dead at one instant."""
        tree = processes.stop_tree(self.pid)
        for pid in tree:
            processes.send(pid, signal.SIGKILL)
        processes.wait_until(lambda: not any(processes.alive(p) for p in tree), 10, "the host to be dead")
        self.stop()

    # ---- its processes

    def _below(self, program, arguments=()):
        pids = []
        for pid in processes.descendants(self._process.pid):
            argv = processes.command(pid)
            if argv and os.path.basename(argv[0]) == program and all(a in argv for a in arguments):
                pids.append(pid)
        return pids

    def nodes(self):
        return self._below("mailferry-proxy")

    def engine(self):
        workers = self.workers()
        engines = [p for p in self._below("mailferry-sync") if p not in workers]
        return engines[0] if engines else None

    def workers(self):
        return self._below("mailferry-sync", ["--worker"])

    @staticmethod
    def kill(pid):
        processes.send(pid, signal.SIGKILL)

    def controls(self):
        """The nodes' local sockets."""
        return sorted(glob.glob(os.path.join(self.run_dir, "*.control")))

    @property
    def api(self):
        """The engine's socket."""
        return os.path.join(self.run_dir, "api.sock")

    def metrics(self):
        """What all nodes count now, summed."""
        return Metrics(self.controls())

    # ---- the operator's command

    def command(self, *args, check=True):
        """`mailferry ARGS`; returns the finished process (text)."""
        command = [os.path.join(self.build, "mailferry"), "-c", self.conf, *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, **self.env))
        if check and done.returncode:
            raise CommandFailed(command, done)
        return done

    def cli(self, *args):
        """The same with --json, parsed."""
        return json.loads(self.command("--json", *args).stdout)

    def import_users(self, users, wave="1", name="users.csv"):
        """users: names, or rows as dicts with the columns of the CSV."""
        path = os.path.join(self.folder, name)
        write_csv(path, [self._row(u if isinstance(u, dict) else {"user": u, "wave": wave}) for u in users])
        return self.cli("import", path)

    def _row(self, row):
        """A server without a master user is given the user's own password, if it has that user."""
        row = dict(row)
        for side, server in self._servers.items():
            column = side + "_password_file"
            login = row.get(side + "_login", row["user"])
            if not server.masters and login in server.users and column not in row:
                row[column] = self.secret_file("%s-%s" % (login, side), server.users[login])
        return row

    def users(self):
        """All rows. Of the engine itself where it answers: one who waits would keep a core busy with commands."""
        try:
            status, body = metrics.get(self.api, "/v1/users?limit=1000")
            said = json.loads(body) if status == 200 else {"more": True}
        except (OSError, AttributeError, AssertionError):     # it ends, or is not there
            said = {"more": True}
        return self.cli("users")["users"] if said["more"] else said["users"]

    def user(self, name):
        for u in self.users():
            if u["name"] == name:
                return u
        raise KeyError(name)

    def state(self, name):
        return self.user(name)["state"]

    def history(self, name):
        return self.cli("history", name)["history"]

    def wait_state(self, names, states, timeout_s=60):
        """Until each of the users is in one of the states."""
        names = [names] if isinstance(names, str) else names
        states = [states] if isinstance(states, str) else states
        last = {}

        def there():
            last.update({u["name"]: u for u in self.users()})
            return all(last[n]["state"] in states for n in names)
        try:
            processes.wait_until(there, timeout_s, "%s to be %s" % (names, states))
        except TimeoutError as e:
            raise AssertionError("%s\n%s" % (e, json.dumps([last.get(n) for n in names], indent=1))) from None

    # ---- what it said

    def log_text(self, last=0):
        """All of it, or its last lines: a poll of the API writes some, too, so what stands in the last few depends on the machine."""
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-last:])
        except OSError as e:
            return str(e)

    def found(self, secrets):
        """(file, secret) where one can be read: in our folder, on any process's command line, in its environment."""
        places = glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ")
        for folder, _, names in os.walk(self.folder):
            places += [os.path.join(folder, n) for n in names]
        bad = []
        for place in places:
            try:
                with open(place, "rb") as f:
                    text = f.read()
            except OSError:
                continue    # a socket, or a process that has ended
            bad += [(place, s) for s in secrets if s.encode() in text]
        return bad

    def complaints(self):
        """What no daemon may ever say: sanitizer reports, broken assumptions, passwords are the caller's."""
        found = []
        with open(self.log, errors="replace") as f:
            for line in f:
                if any(w in line for w in ("Sanitizer", "runtime error:", "BUG:", "ASSERT", "assertion")):
                    found.append(line.rstrip())
        for path in glob.glob(os.path.join(self.reports, "*")) if self.reports else []:
            with open(path, errors="replace") as f:
                found.append("%s:\n%s" % (path, f.read()))
        return found


COLUMNS = ("user", "old_login", "old_password_file", "new_login", "new_password_file", "wave")
ACCOUNT_COLUMNS = ("user", "name", "quota", "aliases", "language", "timezone", "forward", "keep", "auto_reply", "services",
                   "hash", "password", "password_file")


def write_csv(path, rows, bom=False, crlf=False, columns=COLUMNS):
    """Rows as dicts; of the columns those that any row has, in this order."""
    columns = [c for c in columns if c == "user" or any(c in r for r in rows)]
    with open(path, "w", newline="", encoding="utf-8-sig" if bom else "utf-8") as f:
        out = csv.DictWriter(f, columns, lineterminator="\r\n" if crlf else "\n", restval="")
        out.writeheader()
        out.writerows(rows)


def now_ms():
    return int(time.time() * 1000)
