"""
A real Courier of one's own, on loopback, in a folder of its own.

Its Debian package cannot be installed beside Dovecot's: tests/deps --servers unpacks it into
build/servers/courier. Courier has its paths compiled in, so it sees an /etc and a /run of its own:
a private mount namespace, for which the caller must be root. Its login processes become the spare
user (nobody). Courier knows no master user.
"""

import os
import shutil
import subprocess

from .imapclient import UIDVALIDITY_SAYS
from .server import Server, UNPACKED

ROOT = os.path.join(UNPACKED, "courier")
LIBRARIES = ":".join(os.path.join(ROOT, p) for p in ("usr/lib", "usr/lib/courier-authlib"))
COURIER = os.path.join(ROOT, "usr/lib/courier")

# What of the machine's /etc its processes look at.
ETC = ("passwd", "group", "nsswitch.conf", "hosts", "host.conf", "localtime", "ld.so.cache", "ld.so.conf",
       "ld.so.conf.d", "gai.conf", "services", "protocols", "ssl")

ENVIRONMENT = """
export LD_LIBRARY_PATH={libraries}
export AUTHMODULES=authdaemon DEBUG_LOGIN=0 DEFDOMAIN= MAILDIRPATH=Maildir
export COURIERTLS={root}/usr/bin/couriertls TLS_CERTFILE={folder}/server-both.pem TLS_VERIFYPEER=NONE
export TLS_PROTOCOL=TLSv1.2+ TLS_PRIORITY=NORMAL TLS_MIN_DH_BITS=1024
export IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
export IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY AUTH=PLAIN" IMAP_KEYWORDS=1 IMAP_ACL=0 IMAP_UMASK=022
export IMAP_USELOCKS=1 IMAP_ENHANCEDIDLE=0 IMAP_CHECK_ALL_FOLDERS=0 IMAP_OBSOLETE_CLIENT=0 IMAP_IDLE_TIMEOUT=1
export IMAP_TRASHFOLDERNAME=Trash IMAP_EMPTYTRASH= IMAP_MOVE_EXPUNGE_TO_TRASH=0 IMAP_DISABLETHREADSORT=0
export POP3AUTH="LOGIN PLAIN" POP3AUTH_TLS="LOGIN PLAIN" POP3_TLS_REQUIRED=0 IMAP_TLS_REQUIRED=0
export SHAREDINDEXFILE=
"""

RUN = """#!/bin/sh
set -eu
daemons=
trap 'kill $daemons' TERM
mount --make-rprivate /
mount --bind {folder}/etc /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/courier/authdaemon
{environment}
{courier}/courier-authlib/authdaemond &
daemons=$!
serve() {{
	{root}/usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=2500 -maxperip=2500 \\
		-nodnslookup -noidentlookup "$@" &
	daemons="$daemons $!"
}}
tls="{root}/usr/bin/couriertls -server -tcpd"
IMAP_STARTTLS=YES serve {imap} {courier}/courier/imaplogin {root}/usr/bin/imapd Maildir
IMAP_TLS=1 serve {imaps} $tls {courier}/courier/imaplogin {root}/usr/bin/imapd Maildir
POP3_STARTTLS=YES serve {pop3} {courier}/courier/courierpop3login {courier}/courier/courierpop3d Maildir
POP3_TLS=1 serve {pop3s} $tls {courier}/courier/courierpop3login {courier}/courier/courierpop3d Maildir
wait
"""


class Courier(Server):
    """Its separator is "." and its prefix "INBOX.", whatever is asked for."""

    kind = "courier"
    many = 2000         # each APPEND reads the whole list of the folder's UIDs and writes it anew
    refuses_after_s = 5

    def __init__(self, name, folder, ca, users, masters=None, separator=".", prefix="INBOX."):
        super().__init__(name, folder, ca, users, None, ".", "INBOX.")
        os.makedirs(os.path.join(folder, "etc/courier"), exist_ok=True)
        os.makedirs(os.path.join(folder, "mail"), exist_ok=True)
        for name_in_etc in ETC:
            self._copy_etc(name_in_etc)
        with open(os.path.join(folder, "etc/passwd"), "a") as passwd:   # whom couriertls becomes at STARTTLS
            passwd.write("courier:x:%d:%d::/:/bin/false\n" % (self._account.pw_uid, self._account.pw_gid))
        with open(os.path.join(folder, "server-both.pem"), "wb") as both:
            for part in ("server.key", "server.pem"):
                with open(os.path.join(folder, part), "rb") as f:
                    both.write(f.read())
        self._env = dict(os.environ, LD_LIBRARY_PATH=LIBRARIES)
        uidvalidity = [v for v, says in UIDVALIDITY_SAYS.items() if says == self.name][0]
        for user in self.users:
            home = os.path.join(folder, "mail", user)
            if not os.path.isdir(home):
                for sub in ("cur", "new", "tmp"):
                    os.makedirs(os.path.join(home, "Maildir", sub))
                for path, text in (("courierimapuiddb", "1 %d 1\n"), ("courierpop3dsizelist", "/2 1 %d\n")):
                    with open(os.path.join(home, "Maildir", path), "w") as f:
                        f.write(text % uidvalidity)
        self._own_all()
        self._write_users()
        self._write("etc/courier/authdaemonrc", ['authmodulelist="authuserdb"', "daemons=5",
                                                 "authdaemonvar=/run/courier/authdaemon",
                                                 "DEBUG_LOGIN=0", 'DEFAULTOPTIONS=""'])

    def _copy_etc(self, name):
        source, target = os.path.join("/etc", name), os.path.join(self.folder, "etc", name)
        if os.path.isdir(source):
            shutil.copytree(source, target, dirs_exist_ok=True, ignore_dangling_symlinks=True,
                            ignore=shutil.ignore_patterns("private"))
        elif os.path.exists(source):
            shutil.copy(source, target)

    def _write_users(self):
        hashes = self._hashes()
        for name, rows in (("userdb", ["%s\tuid=%d|gid=%d|home=%s/mail/%s|mail=%s/mail/%s/Maildir|_=" % (
                u, self._account.pw_uid, self._account.pw_gid, self.folder, u, self.folder, u)
                for u in self.users]),
                           ("userdbshadow", ["%s\tsystempw=%s" % row for row in zip(self.users, hashes)])):
            path = os.path.join(self.folder, "etc/courier", name)
            subprocess.run([os.path.join(COURIER, "courier-authlib/makedatprog"), "-", path + ".tmp",
                            path + ".dat"], input=("\n".join(rows) + "\n.\n").encode(), check=True,
                           env=self._env)

    def _store_password(self, user):
        self._write_users()

    def _hashes(self):
        """Of all users' passwords, in their order."""
        passwords = "".join(p + "\n" for p in self.users.values())
        done = subprocess.run(["openssl", "passwd", "-1", "-stdin"], input=passwords.encode(),
                              capture_output=True, check=True)
        return done.stdout.decode().split()

    def _as_user(self):
        return {}

    def _command(self):
        environment = ENVIRONMENT.format(libraries=LIBRARIES, root=ROOT, folder=self.folder)
        self._write("run.sh", [RUN.format(folder=self.folder, environment=environment, root=ROOT,
                                          courier=COURIER, **self.ports)])
        return ["unshare", "--mount", "/bin/sh", os.path.join(self.folder, "run.sh")]
