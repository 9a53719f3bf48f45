"""A PostgreSQL server of one's own: unprivileged, in a folder, on a Unix socket and on loopback."""

import glob
import os
import pwd
import subprocess

from . import processes

USER = "nobody"


def programs():
    """The folder of initdb and postgres; Debian keeps them out of the PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2]))
    if not found:
        raise RuntimeError("no PostgreSQL server: tests/deps installs it")
    return found[-1]


class Postgres:
    """folder: a new one; its parents must be open to the unprivileged user. trusted: a network besides this host."""

    def __init__(self, folder, address="127.0.0.1", trusted=None):
        self.folder, self.data = folder, os.path.join(folder, "data")
        self.address = address
        self.port = processes.free_ports(1)[0]
        account = pwd.getpwnam(USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.makedirs(folder)
        self._as = {}
        if os.geteuid() == 0:
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._process = None
        subprocess.run([os.path.join(programs(), "initdb"), "-D", self.data, "-U", "mailferry", "-E", "UTF8", "--locale=C",
                        "--auth=trust", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **self._as)
        if trusted:
            with open(os.path.join(self.data, "pg_hba.conf"), "a") as f:
                f.write("host all all %s trust\n" % trusted)

    @property
    def url(self):
        return "postgresql://mailferry@%s:%d/postgres" % (self.address, self.port)

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._process = subprocess.Popen(
                [os.path.join(programs(), "postgres"), "-D", self.data, "-p", str(self.port), "-k", self.folder,
                 "-c", "listen_addresses=" + self.address, "-c", "fsync=off", "-c", "shared_buffers=16MB",
                 "-c", "max_connections=60"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._as)
        processes.wait_until(self._answers, 60, "PostgreSQL to answer")
        return self

    def _answers(self):
        if self._process.poll() is not None:
            with open(os.path.join(self.folder, "log"), errors="replace") as f:
                raise RuntimeError("PostgreSQL ended: %s" % f.read()[-2000:])
        return subprocess.run([os.path.join(programs(), "pg_isready"), "-q", "-h", self.address, "-p", str(self.port)]
                              ).returncode == 0

    def sql(self, text):
        """Past all of our code; returns the rows as psql prints them, columns parted by |."""
        return subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text, self.url],
                              check=True, capture_output=True, text=True, timeout=30).stdout

    def empty(self):
        self.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    @property
    def pid(self):
        return self._process.pid

    def pause(self):
        self._paused = processes.stop_tree(self._process.pid)

    def resume(self):
        processes.resume(self._paused)

    def stop(self):
        """At once, as by a power cut; the data stays, and start() recovers it."""
        if self._process:
            processes.end(self._process.pid, 0)
            self._process.wait()
            self._process = None
