"""What the real mail servers of the tests have in common: a folder, users, four ports, start and stop."""

import grp
import imaplib
import os
import pwd
import shutil
import subprocess

from . import processes

SPARE_USER = "nobody"
UNPACKED = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                        "build/servers")


class Server:
    """
    name      what it is called in its log
    folder    a new folder, or a folder of another run: then its mail is still there
    users     {login: password}
    masters   {master user: password}: SASL PLAIN with an authzid works
    separator, prefix  of the one namespace
    address   where it listens; to be changed before start()
    """

    kind = None     # "dovecot", …
    log_names = ("stderr",)
    many = 10000            # messages of a mailbox that is large for it
    refuses_after_s = 0     # its own delay before it says that a password is wrong

    def __init__(self, name, folder, ca, users, masters=None, separator="/", prefix=""):
        self.name, self.folder = name, folder
        self.users, self.masters = dict(users), dict(masters or {})
        self.address = "127.0.0.1"
        self.separator, self.prefix = separator, prefix
        self._paused, self._process = [], None
        self._account = pwd.getpwnam(SPARE_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._env = None
        os.makedirs(folder, exist_ok=True)
        cert, key = ca.issue(name + ".example.net")
        self.tls_name = name + ".example.net"
        shutil.copy(cert, os.path.join(folder, "server.pem"))
        shutil.copy(key, os.path.join(folder, "server.key"))
        self.ports = dict(zip(("imap", "imaps", "pop3", "pop3s"), processes.free_ports(4)))

    def start(self):
        """Returns when all four ports answer."""
        command = self._command()
        with open(os.path.join(self.folder, "stderr"), "ab") as err:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                             start_new_session=True, cwd=self.folder, env=self._env,
                                             **self._as_user(), **processes.tie())
        try:
            processes.wait_until(self._ready, 60, "%s %s to answer" % (self.kind, self.name))
        except (TimeoutError, RuntimeError) as e:
            self.stop()
            raise RuntimeError("%s\n%s" % (e, self.log_text())) from None
        return self

    def _command(self):
        """Writes the configuration; returns the argv of the server in the foreground."""
        raise NotImplementedError

    @property
    def pid(self):
        return self._process.pid if self._process else None

    def stop(self):
        """Ends it and every session, and waits until all are gone. The mail stays."""
        if not self._process:
            return
        processes.end(self._process.pid, 2)
        self._process.wait()
        self._paused = []
        self._process = None

    def set_password(self, user, password):
        """Returns when it counts."""
        self.users[user] = password
        self._store_password(user)
        processes.wait_until(lambda: self._takes(user), 30, "%s to take the password" % self.name)

    def _store_password(self, user):
        """Puts self.users[user] where the running server looks."""
        raise NotImplementedError

    def _takes(self, user):
        try:
            with imaplib.IMAP4(self.address, self.ports["imap"]) as c:
                c.login(user, self.users[user])
        except imaplib.IMAP4.error:
            return False
        return True

    def pause(self):
        """Every process of it stands still: connections stay open and nothing answers."""
        self._paused = processes.stop_tree(self._process.pid)

    def resume(self):
        processes.resume(self._paused)
        self._paused = []

    def log_text(self):
        text = ""
        for name in self.log_names:
            try:
                with open(os.path.join(self.folder, name), errors="replace") as f:
                    text += f.read()
            except OSError:
                pass
        return text

    def transcripts(self, user):
        """What the sessions of one user said and heard, where the server can tell."""
        return ""

    def _ready(self):
        if self._process.poll() is not None:
            raise RuntimeError("%s %s ended with %d" % (self.kind, self.name, self._process.returncode))
        return (all(processes.answers(self.address, self.ports[p]) for p in ("imap", "pop3")) and
                all(processes.answers(self.address, self.ports[p], greets=False)
                    for p in ("imaps", "pop3s")))

    def _as_user(self):
        """For subprocess: whom it becomes when the caller is root."""
        if os.geteuid() != 0:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _group(self):
        return grp.getgrgid(self._account.pw_gid).gr_name

    def _own_all(self):
        for path, _, files in os.walk(self.folder):
            for p in [path] + [os.path.join(path, f) for f in files]:
                os.chown(p, self._account.pw_uid, self._account.pw_gid)
        os.chmod(self.folder, 0o755)

    def _write(self, name, lines):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        os.chown(path, self._account.pw_uid, self._account.pw_gid)
