"""The copiers that are compared: each writes its configuration and says which commands to run."""

import json
import os
import shutil

import mailboxes
from lib.copier import job_of

PASSWORD = "secret"


class Copier:
    """
    build     of ours
    folder    a new one, for configuration and state
    old, new  lib.dovecot.Dovecot
    ports     (old, new): where to reach them, perhaps through a slow line
    """
    name = program = None
    full_only = False   # runs only on the small mailbox
    package = None

    def __init__(self, build, folder, old, new, ports):
        self.build, self.folder, self.old, self.new, self.ports = build, folder, old, new, ports
        os.makedirs(folder)

    @classmethod
    def is_here(cls):
        return shutil.which(cls.program) is not None

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o600)
        return self.path(name)

    def commands(self, user):
        """[(argv, file for standard input or None)], to be run at the same time."""
        raise NotImplementedError

    @staticmethod
    def is_content(output):
        """Of a command that ended with 0: did it do all it should?"""
        return True


class Mailferry(Copier):
    name = "mailferry"

    @classmethod
    def is_here(cls):
        return True

    def side(self, server, port, user):
        return {"host": "127.0.0.1", "port": port, "tls": "none", "proxy_protocol": "none", "login": user,
                "password": server.users[user]}

    def commands(self, user):
        job = job_of(user, self.path(user + ".journal"), self.side(self.old, self.ports[0], user),
                     self.side(self.new, self.ports[1], user), fence_s=30, connect_s=20, io_s=120,
                     connections=4, message_max=2 ** 31, uids="exact", uid_gaps=50000, uid_floor=200000, uid_s=600)
        return [([os.path.join(self.build, "mailferry-sync"), "--worker"],
                 self.write(user + ".job", json.dumps(job) + "\n"))]

    @staticmethod
    def is_content(output):
        result = json.loads(output.splitlines()[-1])
        return result["ok"] and result["clean"]


MBSYNC = """
IMAPAccount old
Host 127.0.0.1
Port %d
User %s
Pass %s
SSLType None
AuthMechs PLAIN

IMAPAccount new
Host 127.0.0.1
Port %d
User %s
Pass %s
SSLType None
AuthMechs PLAIN

IMAPStore old
Account old

IMAPStore new
Account new
"""
CHANNEL = """
Channel %s
Far :old:
Near :new:
%s
Sync Pull New Delete Flags
Create Near
Expunge Near
CopyArrivalDate yes
SyncState %s/
"""


class Mbsync(Copier):
    name, program, package = "mbsync", "mbsync", "isync"

    def patterns(self):
        return ["Patterns *"]

    def commands(self, user):
        secret = self.old.users[user], self.new.users[user]
        text = MBSYNC % (self.ports[0], user, secret[0], self.ports[1], user, secret[1])
        os.makedirs(self.path(user), exist_ok=True)
        for i, pattern in enumerate(self.patterns()):
            text += CHANNEL % ("c%d" % i, pattern, self.path(user))
        file = self.write(user + ".rc", text)
        return [(["mbsync", "-q", "-q", "-c", file, "c%d" % i], None) for i in range(len(self.patterns()))]


class Mbsync4(Mbsync):
    """Four processes, folders dealt among them by weight."""
    name = "mbsync ×4"

    def patterns(self):
        hands = [[0, []] for _ in range(4)]
        for share, folder in sorted(zip(mailboxes.SHARE, mailboxes.FOLDERS), reverse=True):
            hand = min(hands)
            hand[0] += share
            hand[1].append('"%s"' % folder)
        return ["Patterns " + " ".join(folders) for _, folders in hands]


class Dsync(Copier):
    """Reads by IMAP, writes into the new Dovecot's own store: no line on that side."""
    name, program, package = "dsync", "doveadm", "dovecot-core"

    def commands(self, user):
        return [(["doveadm", "-c", os.path.join(self.new.folder, "dovecot.conf"), "-o", "imapc_host=127.0.0.1",
                  "-o", "imapc_port=%d" % self.ports[0], "-o", "imapc_user=" + user,
                  "-o", "imapc_password=" + self.old.users[user], "-o", "imapc_features=rfc822.size fetch-headers",
                  "-o", "mail_prefetch_count=20", "backup", "-R", "-u", user, "imapc:"], None)]


OFFLINEIMAP = """
[general]
accounts = a
metadata = %s
ui = quiet
[Account a]
localrepository = new
remoterepository = old
[Repository new]
type = IMAP
remotehost = 127.0.0.1
remoteport = %d
remoteuser = %s
remotepass = %s
ssl = no
starttls = no
maxconnections = 4
[Repository old]
type = IMAP
remotehost = 127.0.0.1
remoteport = %d
remoteuser = %s
remotepass = %s
ssl = no
starttls = no
maxconnections = 4
readonly = True
"""


class Offlineimap(Copier):
    name, program, package = "offlineimap3 ×4", "offlineimap", "offlineimap3"
    full_only = True

    def commands(self, user):
        file = self.write(user + ".rc", OFFLINEIMAP % (self.path(user), self.ports[1], user, self.new.users[user],
                                                       self.ports[0], user, self.old.users[user]))
        return [(["offlineimap", "-o", "-c", file], None)]


class Imapsync(Copier):
    """Not in Debian; measured where somebody installed it."""
    name, program = "imapsync", "imapsync"
    full_only = True

    def commands(self, user):
        return [(["imapsync", "--nolog", "--host1", "127.0.0.1", "--port1", str(self.ports[0]), "--user1", user,
                  "--password1", self.old.users[user], "--nossl1", "--notls1", "--host2", "127.0.0.1", "--port2",
                  str(self.ports[1]), "--user2", user, "--password2", self.new.users[user], "--nossl2", "--notls2",
                  "--delete2", "--usecache", "--tmpdir", self.folder], None)]


ALL = [Mailferry, Mbsync, Mbsync4, Dsync, Offlineimap, Imapsync]
