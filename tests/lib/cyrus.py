"""
A real Cyrus of one's own: unprivileged, on loopback, in a folder of its own.

Its Debian package cannot be installed beside Dovecot's: tests/deps --servers unpacks it into
build/servers/cyrus. Cyrus will not run as root; then it runs as a spare user (nobody).
"""

import os
import subprocess

from . import processes
from .server import Server, UNPACKED

ROOT = os.path.join(UNPACKED, "cyrus")
BIN = os.path.join(ROOT, "usr/lib/cyrus/bin")
LIBRARIES = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")

IMAPD_CONF = """
configdirectory: {folder}/conf
partition-default: {folder}/mail
defaultpartition: default
proc_path: {folder}/conf/proc
sieveusehomedir: false
sievedir: {folder}/sieve
cyrus_user: {user}
cyrus_group: {group}
servername: {tls_name}
serverinfo: min
idlesocket: {folder}/conf/socket/idle
imapidresponse: yes
imapidlepoll: 1
admins: {masters}
proxyservers: {masters}
virtdomains: userid
defaultdomain: {name}.internal
unixhierarchysep: {unix_separator}
altnamespace: {alternative}
autocreate_quota: 0
autocreate_users: anyone
specialusealways: yes
duplicate_db: twoskip
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/conf/sasldb2
tls_server_cert: {folder}/server.pem
tls_server_key: {folder}/server.key
tls_sessions_db_path: {folder}/conf/tls_sessions.db
timeout: 30
popminpoll: 0
uidl_format: {uidl_format}
poppollpadding: 1
popsubfolders: no
popuseimapflags: yes
failedloginpause: 0
maxlogins_per_user: 0
syslog_prefix: {name}
debug: no
"""

CYRUS_CONF = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {conf} -r"
  idled   cmd="{bin}/idled -C {conf}"
}}
SERVICES {{
  imap  cmd="{bin}/imapd -C {conf}"    listen="127.0.0.1:{imap}"  prefork=1 maxchild=2500
  imaps cmd="{bin}/imapd -s -C {conf}" listen="127.0.0.1:{imaps}" prefork=1 maxchild=2500
  pop3  cmd="{bin}/pop3d -C {conf}"    listen="127.0.0.1:{pop3}"  prefork=1 maxchild=2500
  pop3s cmd="{bin}/pop3d -s -C {conf}" listen="127.0.0.1:{pop3s}" prefork=1 maxchild=2500
}}
EVENTS {{
}}
"""


class Cyrus(Server):
    """separator "." and prefix "INBOX." are Cyrus' own way; "/" and "" its alternative namespace."""

    kind = "cyrus"
    many = 5000
    program = os.path.join(BIN, "master")

    def __init__(self, *args, **kw):
        kw.setdefault("separator", "/")
        super().__init__(*args, **kw)
        for sub in ("conf/proc", "conf/socket", "conf/db", "conf/log", "mail", "sieve"):
            os.makedirs(os.path.join(self.folder, sub), exist_ok=True)
        self._own_all()
        self._env = dict(os.environ, LD_LIBRARY_PATH=LIBRARIES, CYRUS_USER=self._account.pw_name)
        for login, password in list(self.users.items()) + list(self.masters.items()):
            self._save_password(login, password)

    def _store_password(self, user):
        self._save_password(user, self.users[user])

    def _save_password(self, login, password):
        user, _, domain = login.partition("@")
        subprocess.run([os.path.join(ROOT, "usr/sbin/saslpasswd2"), "-p", "-c", "-f",
                        os.path.join(self.folder, "conf/sasldb2"), "-u", domain or self.tls_name, user],
                       input=password.encode(), check=True, env=self._env, **self._as_user())

    def _command(self):
        conf = os.path.join(self.folder, "imapd.conf")
        self._write("imapd.conf", [IMAPD_CONF.format(
            folder=self.folder, name=self.name, user=self._account.pw_name, group=self._group(),
            tls_name=self.tls_name, masters=" ".join(self.masters),
            uidl_format={"old": "cyrus", "new": "dovecot"}[self.name],
            unix_separator="yes" if self.separator == "/" else "no",
            alternative="no" if self.prefix else "yes")])
        self._write("cyrus.conf", [CYRUS_CONF.format(bin=BIN, conf=conf, **self.ports)])
        return [self.program, "-C", conf, "-M", os.path.join(self.folder, "cyrus.conf"),
                "-p", os.path.join(self.folder, "master.pid"), "-D"]
