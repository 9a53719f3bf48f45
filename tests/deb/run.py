#!/usr/bin/python3
"""
The Debian package on a system that has nothing but what it depends on. As root, in mount and pid namespaces of its own: what
it mounts and starts ends with it. Two Dovecots outside that system are old and new, as in the demo.

    tests/deb/run.py mailferry_VERSION_ARCH.deb

The first run makes a minimal Debian with debootstrap and keeps it in build/deb/base.tar, and the packages it needed in
build/deb/archives. A line for each thing that holds; ends with "ok", or with the first that does not, and exit status 1.
"""

import ctypes
import glob
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests/demo")]

from lib import mail, processes  # noqa: E402
from lib.imapclient import ImapClient  # noqa: E402
from lib.mailferry import write_csv  # noqa: E402
from world import ANNA, BERT, USERS, World  # noqa: E402

PLACE = os.path.join(ROOT, "build/deb")
BASE = os.path.join(PLACE, "base.tar")
SUITE = "bookworm"
UP_S, MOVE_S, END_S = 60, 120, 60
MESSAGES = 20
INSIDE = "--inside"

CONF = """
listener "imap" {{ protocol = imap address = "127.0.0.1" port = 0 tls = starttls }}
listener "imaps" {{ protocol = imap address = "127.0.0.1" port = {port} tls = implicit }}
backend "old" {{ {old} }}
backend "new" {{ {new} }}
tls {{ certificate = "{folder}/tls.pem" key = "{folder}/tls.key" }}
users {{ default_domain = "example.com" }}
sync {{ delta_s = 2 trailing_s = 2 fence_s = 2 retry_s = 1 {sync} }}
gate {{ uidvalidity = warn }}
{more}
"""


class Failed(Exception):
    pass


def holds(what, claim=True, why=""):
    if not claim:
        raise Failed("%s: %s" % (what, why or "does not hold"))
    print("  ok  " + what, flush=True)


def run(*command, check=True, **kw):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **kw)
    if check and done.returncode:
        raise Failed("%s: exit %d\n%s" % (" ".join(map(str, command)), done.returncode, done.stdout))
    return done.stdout


# ---- the system

class System:
    """A Debian in a folder that is gone when we are."""

    def __init__(self):
        self.root = os.path.join(PLACE, "root")
        self.archives = os.path.join(PLACE, "archives")
        os.makedirs(self.root, exist_ok=True)
        os.makedirs(self.archives, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=755,size=2G", "mailferry-test", self.root)
        if not os.path.exists(BASE):
            print("making a minimal Debian (once)", flush=True)
            run("debootstrap", "--variant=minbase", SUITE, self.root)
            self._use_sources_of_host()
            run("tar", "-C", self.root, "-cf", BASE + ".new", ".")
            os.rename(BASE + ".new", BASE)
        else:
            run("tar", "-C", self.root, "-xf", BASE)
        run("mount", "-t", "proc", "proc", self.path("proc"))
        run("mount", "--rbind", "/dev", self.path("dev"))
        run("mount", "--bind", self.archives, self.path("var/cache/apt/archives"))
        shutil.copy("/etc/resolv.conf", self.path("etc/resolv.conf"))

    def _use_sources_of_host(self):
        """Debian's own, which name its security updates too."""
        own = "/etc/apt/sources.list.d/debian.sources"
        if os.path.exists(own):
            shutil.copy(own, self.path("etc/apt/sources.list.d"))
            os.unlink(self.path("etc/apt/sources.list"))
        else:
            shutil.copy("/etc/apt/sources.list", self.path("etc/apt"))
        shutil.copy("/etc/resolv.conf", self.path("etc/resolv.conf"))
        self.run("apt-get", "-q", "update")

    def path(self, inside):
        return os.path.join(self.root, inside.lstrip("/"))

    def command(self, *command):
        return ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
                "chroot", self.root, *command]

    def run(self, *command, **kw):
        return run(*self.command(*command), **kw)

    def install(self, deb):
        inside = "/" + os.path.basename(deb)
        shutil.copy(deb, self.path(inside))
        return self.run("apt-get", "-q", "install", "-y", "--no-install-recommends", inside)

    def copy(self, source, inside, owner, mode):
        shutil.copy(source, self.path(inside))
        os.chown(self.path(inside), *owner)
        os.chmod(self.path(inside), mode)


def next_version(deb):
    """The same package one version later: other files, the same programs."""
    work = os.path.join(PLACE, "next")
    shutil.rmtree(work, ignore_errors=True)
    run("dpkg-deb", "-R", deb, work)
    control = os.path.join(work, "DEBIAN/control")
    with open(control) as f:
        text = f.read()
    with open(control, "w") as f:
        f.writelines(line.rstrip("\n") + "+next\n" if line.startswith("Version:") else line
                     for line in text.splitlines(True))
    out = os.path.join(PLACE, "next.deb")
    run("dpkg-deb", "--root-owner-group", "-b", work, out)
    shutil.rmtree(work)
    return out


# ---- mailferry on it

class Installed:
    """`mailferry run` of the package, with settings of its own."""

    def __init__(self, system, world, folder="/etc/mailferry", owner=(0, 0), port=0, sync="", more=""):
        self.system, self.world, self.folder, self.owner = system, world, folder, owner
        self.run_dir, self.conf, self.process = "/run/mailferry", folder + "/mailferry.conf", None
        self.log = os.path.join(world.folder, "log." + folder.replace("/", "-"))
        if owner != (0, 0):
            self.run_dir = folder + "/run"
        certificate, key = world.ca.issue("localhost")
        system.copy(world.ca.cert, folder + "/ca.pem", owner, 0o644)
        system.copy(certificate, folder + "/tls.pem", owner, 0o644)
        system.copy(key, folder + "/tls.key", owner, 0o640)
        backends = {side: self._backend(side, server) for side, server in (("old", world.old), ("new", world.new))}
        with open(system.path(self.conf), "w") as f:
            f.write(CONF.format(folder=folder, port=port, sync=sync, more=more, **backends))

    def _backend(self, side, server):
        (user, password), = server.masters.items()
        secret = os.path.join(self.world.folder, "secret")
        with open(secret, "w") as f:
            f.write(password + "\n")
        self.system.copy(secret, "%s/%s.secret" % (self.folder, side), self.owner, 0o640)
        return ('host = "127.0.0.1" tls_name = "%s" tls_ca_file = "%s/ca.pem" imap_port = %d pop3_port = 0 '
                'master_user = "%s" master_password_file = "%s/%s.secret"'
                % (server.tls_name, self.folder, server.ports["imaps"], user, self.folder, side))

    def start(self, *options, prefix=()):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*prefix, *self.system.command(*self.become(), "mailferry", "-c", self.conf,
                                                                         "run", *options)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        processes.wait_until(self._up, UP_S, "mailferry to be up")
        self.ports = {row[0]: int(row[2]) for row in
                      map(str.split, self.system.run("cat", self.run_dir + "/listeners").splitlines())}

    def become(self):
        """As a container runs it: no name, no group, no right."""
        if self.owner == (0, 0):
            return []
        return ["setpriv", "--reuid", str(self.owner[0]), "--regid", str(self.owner[1]), "--clear-groups",
                "--bounding-set=-all", "--no-new-privs"]

    def _up(self):
        if self.process.poll() is not None:
            raise Failed("mailferry ended with %d\n%s" % (self.process.returncode, self.log_text()))
        return "\nmailferry: up" in "\n" + self.log_text()

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def command(self, *args):
        return self.system.run(*self.become(), "mailferry", "-c", self.conf, *args)

    def cli(self, *args):
        return json.loads(self.command("--json", *args))

    def login(self, user):
        client = ImapClient("127.0.0.1", self.ports["imaps"], self.world.context)
        client.login(user, USERS[user])
        client.command(b"SELECT INBOX")
        return client

    def node_of(self, session):
        """(pid, program) of the node that carries this connection; a program that was replaced is "(deleted)"."""
        peer = "%s:%d" % session.sock.getsockname()
        own = processes.wait_until(lambda: [s for s in self.cli("sessions")["sessions"] if s["peer"] == peer], UP_S,
                                   "the session from " + peer)
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            argv = processes.command(pid)
            if argv and argv[0].endswith("/mailferry-proxy") and argv[-1] == own[0]["node"]:
                return pid, os.readlink("/proc/%d/exe" % pid)
        raise Failed("no process of node %s" % own[0]["node"])

    def supervisor(self):
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if processes.command(pid)[:4] == ["mailferry", "-c", self.conf, "run"] or \
               processes.command(pid)[1:4] == ["--config", self.conf, "run"]:
                return pid
        return None


# ---- what must hold

def installs(system, deb):
    before = set(system.run("dpkg-query", "-W", "-f", "${Package}\\n").split())
    system.install(deb)
    more = set(system.run("dpkg-query", "-W", "-f", "${Package}\\n").split()) - before
    holds("it installs with %d packages it depends on" % (len(more) - 1))
    missing = [line for program in ("bin/mailferry", "libexec/mailferry/mailferry-proxy", "libexec/mailferry/mailferry-sync")
               for line in system.run("ldd", "/usr/" + program).splitlines() if "not found" in line]
    holds("every library is there", not missing, missing)
    folders = system.run("stat", "-c", "%n %U:%G %a", "/var/lib/mailferry", "/etc/mailferry").splitlines()
    holds("account and folders: %s" % ", ".join(folders),
          folders == ["/var/lib/mailferry mailferry:mailferry 700", "/etc/mailferry root:mailferry 750"], folders)
    conffiles = system.run("dpkg-query", "-W", "-f", "${Conffiles}", "mailferry")
    holds("its settings are a conffile", "/etc/mailferry/mailferry.conf" in conffiles, conffiles)
    holds("nothing was started", not [p for p in processes.descendants(os.getpid())
                                      if "mailferry" in "".join(processes.command(p)[:1])])
    pages = [p for p in ("man1/mailferry.1", "man5/mailferry.conf.5", "man7/mailferry-states.7")
             if not glob.glob(system.path("usr/share/man/%s*" % p))]
    holds("manual pages", not pages or not os.path.exists(system.path("usr/share/man")), pages)


def serves(ferry, what):
    session = ferry.login(ANNA)
    session.append(b"INBOX", mail.message("through the package", 500))
    holds("%s: a login is served by %s" % (what, session.server_name()), session.server_name() == "old")
    return session


def moves(ferry, user):
    write_csv(ferry.system.path("/users.csv"), [{"user": user, "wave": "1"}])
    ferry.command("import", "/users.csv")
    ferry.command("sync", user)

    def state():
        return ferry.cli("users")["users"][0]["state"]
    processes.wait_until(lambda: state() == "ready", MOVE_S, "%s to be ready" % user)
    ferry.command("cutover", user)
    processes.wait_until(lambda: state() == "trailing", MOVE_S, "%s to be moved" % user)
    session = ferry.login(user)
    holds("%s was copied and moved; logins go to new" % user, session.server_name() == "new")
    session.logout()


def upgrades(ferry, deb):
    session = ferry.login(ANNA)
    old, program = ferry.node_of(session)
    supervisor = ferry.supervisor()
    said = ferry.system.install(next_version(deb))
    done = [line for line in said.splitlines() if "old nodes keep their sessions" in line]
    holds("N+1 installs, and says: %s" % "".join(done), len(done) == 1, said)
    holds("the supervisor is the same process", supervisor and ferry.supervisor() == supervisor)
    session.command(b"NOOP")
    pid, program = ferry.node_of(session)
    holds("the live session goes on, in the old program", (pid, program.endswith("(deleted)")) == (old, True), program)
    later = ferry.login(ANNA)
    pid, program = ferry.node_of(later)
    holds("a new login is served by the new program", pid != old and not program.endswith("(deleted)"), program)
    engine = os.readlink("/proc/%d/exe" % supervisor)
    holds("the supervisor is the new program", not engine.endswith("(deleted)"), engine)
    later.logout()
    session.logout()
    processes.wait_until(lambda: not processes.alive(old), END_S, "the old node to end with its last session")
    holds("the old node ends with its last session")


def is_removed(ferry):
    system, session = ferry.system, ferry.login(ANNA)
    system.run("apt-get", "-q", "remove", "-y", "mailferry")
    status = ferry.process.wait(END_S)
    session.responses_until_closed()
    holds("removal ends it (exit %d), and says BYE to who is there" % status, status == 0 and session.left_with_bye)
    holds("settings stay", os.path.exists(system.path("/etc/mailferry/mailferry.conf")))
    said = system.run("apt-get", "-q", "purge", "-y", "mailferry")
    holds("purge removes the settings", not os.path.exists(system.path("/etc/mailferry/mailferry.conf")))
    holds("and never the store", "kept in /var/lib/mailferry" in said
          and os.path.exists(system.path("/var/lib/mailferry/store.db")), said)


def runs_in_a_container(system, world):
    """Process 1 of its own pid namespace, an account that the system does not know, no rights, high ports."""
    owner = (12345, 12345)
    folder = "/srv/ferry"
    os.makedirs(system.path(folder))
    os.chown(system.path(folder), *owner)
    port, = processes.free_ports(1)
    ferry = Installed(system, world, folder, owner, port, 'dir = "%s/journals" reports = "%s/reports"' % (folder, folder),
                      'store { path = "%s/store.db" } run { dir = "%s/run" }' % (folder, folder))
    ferry.start("--new-store", prefix=["unshare", "--pid", "--fork", "--kill-child=TERM"])
    session = serves(ferry, "without root, without a name, as process 1, port %d" % port)
    session.logout()
    below = [p for p in processes.descendants(ferry.process.pid)]
    os.kill(below[0], 15)
    holds("TERM ends it", ferry.process.wait(END_S) == 0)


# ---- under systemd

BOOT = """
echo $$ >"$2/cgroup.procs"
exec unshare --mount --pid --net --cgroup --uts --ipc --fork --kill-child sh -c '
	set -e
	ip link set lo up
	mount --make-rprivate /
	cd "$0"
	umount -R proc dev var/cache/apt/archives
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t tmpfs none sys/fs
	mkdir sys/fs/cgroup
	mount -t cgroup2 none sys/fs/cgroup
	mount -t tmpfs none dev
	for d in null zero full random urandom tty; do : >dev/$d; mount --bind /dev/$d dev/$d; done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=666 none dev/pts
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	mount -t tmpfs none run
	mount --bind proc/sys proc/sys
	mount -o remount,ro,bind proc/sys
	mkdir -p before
	pivot_root . before
	umount -l /before
	mount --make-rshared /
	exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
' "$1"
"""


class Booted(System):
    """The same, with systemd as process 1, in a network of its own, which we enter too."""

    def __init__(self, deb, cgroup):
        super().__init__()
        self.run("apt-get", "-q", "install", "-y", "--no-install-recommends", "systemd", "dbus")
        self.install(deb)
        self.cgroup, self.process = cgroup, None
        os.mkdir(cgroup)
        try:
            self._boot()
        except BaseException:
            self.end()
            raise

    def _boot(self):
        self.process = subprocess.Popen(["sh", "-c", BOOT, "sh", self.root, self.cgroup], stdin=subprocess.DEVNULL)
        self.first = processes.wait_until(self._find_first, UP_S, "systemd to start")
        net = os.open("/proc/%d/ns/net" % self.first, os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(net, 0) != 0:
            raise Failed("setns: %s" % os.strerror(ctypes.get_errno()))
        processes.wait_until(lambda: self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"),
                             UP_S, "systemd to be up")

    def _find_first(self):
        for pid in processes.descendants(self.process.pid):
            if processes.command(pid)[:1] == ["/lib/systemd/systemd"]:
                return pid
        return None

    def command(self, *command):
        if not getattr(self, "first", None):
            return super().command(*command)
        return ["nsenter", "-t", str(self.first), "-m", "-p", "-C", "-r", "-w", "env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command]

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        for place, _, _ in os.walk(self.cgroup, topdown=False):
            processes.wait_until(lambda p=place: self._removed(p), END_S, "the cgroup to be empty")

    @staticmethod
    def _removed(place):
        try:
            os.rmdir(place)
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True


def find_cgroups():
    with open("/proc/self/mounts") as f:
        return next((row[1] for row in map(str.split, f) if row[2] == "cgroup2"), None)


def runs_under_systemd(deb):
    """The unit: its sandbox lets workers work, and an upgrade of the package keeps a session."""
    place = find_cgroups()
    if not place:
        print("  --  not under systemd: there is no cgroup2 here")
        return
    system, world = Booted(deb, os.path.join(place, "mailferry-test-%d" % os.getpid())), None
    try:
        world = World()
        world.start_servers()
        port, = processes.free_ports(1)
        ferry = Installed(system, world, port=port, more='run { user = "mailferry" }')
        ferry.ports = {"imaps": port}
        for name in ("tls.key", "old.secret", "new.secret"):
            system.run("chgrp", "mailferry", "/etc/mailferry/" + name)
        ferry.start("--new-store")
        os.kill(ferry.supervisor(), 15)
        ferry.process.wait(END_S)
        system.run("systemctl", "start", "mailferry")
        session = serves(ferry, "under systemd")
        moves(ferry, BERT)
        shutil.copy(next_version(deb), system.path("/next.deb"))
        system.run("dpkg", "-i", "/next.deb")
        session.command(b"NOOP")
        holds("N+1 under systemd: the session lives, the unit is %s" % system.run("systemctl", "is-active", "mailferry").strip())
        serves(ferry, "then").logout()
        system.run("dpkg", "-r", "mailferry")
        session.responses_until_closed()
        holds("removal under systemd stops it, with BYE", session.left_with_bye
              and system.run("systemctl", "is-active", "mailferry", check=False).strip() == "inactive")
    except (Failed, TimeoutError, RuntimeError, OSError):
        print(system.run("journalctl", "-u", "mailferry", "--no-pager", "-n", "60", check=False))
        raise
    finally:
        if world:
            world.end()
        system.end()


def everything(deb):
    system, world = System(), World()
    ferry = None
    try:
        world.start_servers()
        client = ImapClient(world.old.address, world.old.ports["imaps"], world.context)
        client.login(BERT, USERS[BERT])
        for i in range(MESSAGES):
            client.append(b"INBOX", mail.message("package-%d" % i, 1000))
        client.logout()
        installs(system, deb)
        ferry = Installed(system, world, owner=(0, 0), more='run { user = "mailferry" }')
        for name in ("tls.key", "old.secret", "new.secret"):
            system.run("chgrp", "mailferry", "/etc/mailferry/" + name)
        ferry.start("--new-store")
        serves(ferry, "without systemd").logout()
        owner = system.run("stat", "-c", "%U", "/run/mailferry/run.lock", "/var/lib/mailferry/store.db").split()
        holds("what root's start makes is mailferry's: the unit may be next", owner == ["mailferry"] * 2, owner)
        moves(ferry, BERT)
        upgrades(ferry, deb)
        runs_in_a_container(system, world)
        is_removed(ferry)
        runs_under_systemd(deb)
    except (Failed, TimeoutError, RuntimeError) as e:
        print("FAILED  %s\n%s" % (e, ferry.log_text()[-6000:] if ferry else ""))
        return 1
    finally:
        world.end()
    print("ok")
    return 0


def main():
    if os.geteuid() != 0:
        sys.exit("run.py: only root may do this")
    if INSIDE not in sys.argv:
        os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable,
                              __file__, INSIDE, *sys.argv[1:]])
    sys.argv.remove(INSIDE)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(everything(sys.argv[1]))


if __name__ == "__main__":
    main()
