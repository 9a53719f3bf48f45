"""
A real Dovecot of one's own: unprivileged, on loopback, in a folder of its own.

Dovecot refuses mail of uid 0, so when the caller is root it runs as a spare user (nobody).
"""

import os
import subprocess

from . import processes
from .server import Server

MASTER_SEPARATOR = "*"

CONF = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
log_timestamp = "%Y-%m-%d %H:%M:%S.%{{usecs}} "
instance_name = {name}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
protocols = imap pop3
listen = {address}
login_greeting = {name} ready.
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_master_user_separator = {separator}
auth_failure_delay = 0
mail_location = {location}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
imap_id_send = name {name}
pop3_uidl_format = {name}.%08Xu%08Xv
mail_max_userip_connections = 0
{rawlog}
{capability}
namespace inbox {{
  inbox = yes
  separator = {separator_char}
  prefix = {prefix}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
  default_fields = uid={uid} gid={gid} home={folder}/mail/%u
}}
# Wrong passwords are part of the tests: no growing delay for their address.
protocol imap {{
  mail_plugins = {plugins}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  user =
}}
service auth-worker {{
  user =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  client_limit = 1000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  client_limit = 1000
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
service imap {{
  user =
  process_limit = 2000
}}
service pop3 {{
  user =
  process_limit = 2000
}}
{more}
"""


class Dovecot(Server):
    """
    masters   "user*master" works too
    storage   "maildir" or "sdbox"
    without   capabilities to hide, e.g. {"MULTIAPPEND", "LITERAL+"}
    compress  offer COMPRESS=DEFLATE
    more      settings of one's own, behind all others
    rawlog    keep what each session said and heard, in folder/rawlog
    """

    kind = "dovecot"
    log_names = ("stderr", "dovecot.log")

    def __init__(self, name, folder, ca, users, masters=None, storage="maildir", separator="/",
                 prefix="", without=(), compress=False, rawlog=False, more=""):
        super().__init__(name, folder, ca, users, masters, separator, prefix)
        self.log = os.path.join(folder, "dovecot.log")
        self._storage, self._without, self._rawlog = storage, set(without), rawlog
        self._more = more
        self._plugins = "imap_zlib" if compress else ""
        for sub in ("run", "state", "mail", "rawlog"):
            os.makedirs(os.path.join(folder, sub), exist_ok=True)
        self._write("masters", ["%s:{PLAIN}%s" % u for u in self.masters.items()])
        self._write_users()
        if rawlog:
            for user in self.users:
                os.makedirs(os.path.join(folder, "rawlog", user), exist_ok=True)
        self._own_all()

    def _write_users(self):
        self._write("users", ["%s:{PLAIN}%s::::::" % u for u in self.users.items()])

    def _store_password(self, user):
        self._write_users()     # it looks at the file once a second
        self._own_all()

    def _takes(self, user):
        try:
            self.doveadm("auth", "test", user, self.users[user])
        except subprocess.CalledProcessError:
            return False
        return True

    def transcripts(self, user):
        """What the sessions of one user said (.in) and heard (.out), oldest first, cut to a readable size."""
        folder = os.path.join(self.folder, "rawlog", user)
        parts = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), "rb") as f:
                raw = f.read(4000)
            parts.append("--- %s %s\n%s" % (self.name, name, raw.decode("utf-8", "replace")))
        return "\n".join(parts)

    def doveadm(self, *args):
        """The server's own tool, past every protocol."""
        subprocess.run(["doveadm", "-c", os.path.join(self.folder, "dovecot.conf"), *args], check=True, timeout=60,
                       stdin=subprocess.DEVNULL)

    def _command(self):
        self._write("dovecot.conf", [self._conf()])
        return ["/usr/sbin/dovecot", "-F", "-c", os.path.join(self.folder, "dovecot.conf")]

    def _conf(self):
        location = {"maildir": "maildir:~/Maildir", "sdbox": "sdbox:~/sdbox"}[self._storage]
        capability = ""
        if self._without:
            kept = [c for c in self._capabilities() if c not in self._without]
            capability = "imap_capability = %s\n" % " ".join(kept)
            if "LITERAL+" in self._without:
                capability += "imap_literal_minus = no\n"
        return CONF.format(
            folder=self.folder, name=self.name, address=self.address, user=self._account.pw_name,
            group=self._group(), uid=self._account.pw_uid,
            gid=self._account.pw_gid, separator=MASTER_SEPARATOR, separator_char=self.separator,
            plugins=self._plugins, prefix=self.prefix, location=location, capability=capability,
            more=self._more,
            rawlog="rawlog_dir = %s/rawlog/%%u" % self.folder if self._rawlog else "", **self.ports)

    @staticmethod
    def _capabilities():
        """What this Dovecot would list after login, so that some of it can be left out."""
        return ("IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
                "THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "
                "NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES "
                "WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW "
                "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY").split()
