"""The accounts of the stand-in in a real Dovecot: created, let in, counted and thrown out there."""

import json
import os
import pwd
import subprocess
import threading

from lib.dovecot import Dovecot
from lib.server import SPARE_USER

from . import hashes

# Dovecot asks it for a login that no password opened. What it needs to know is in a file beside it.
CHECK = """#!/usr/bin/python3 -IS
import json, os, sys, time
folder = {folder!r}
name, given = os.fdopen(3, "rb").read().split(b"\\0")[:2]
with open(folder + "/tokens.json") as f:
    known = json.load(f)
for t in known["tokens"]:
    if t["token"] == given.decode() and name.decode().lower() in t["names"] \\
            and t["until"] > time.time() + known["ahead_s"]:
        break
else:
    sys.exit(1)
if t["once"]:
    try:
        os.close(os.open(folder + "/used-" + t["token"], os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        sys.exit(1)
os.environ["USER"] = t["user"]
os.execv(sys.argv[1], sys.argv[1:])
"""

# A file for each name: of one file with all of them, Dovecot would see changes once a second only.
MORE = """
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/by-name/%u
}}
passdb {{
  driver = checkpassword
  args = {folder}/check
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/by-name/%u
  default_fields = uid={uid} gid={gid} home={home}/mail/%u
}}
"""


class NoMailboxes:
    """Accounts without mail: for tests of the API alone."""

    def write(self, users, tokens, ahead_s):
        pass

    def logout(self, user):
        pass

    def folders(self, user):
        return ["INBOX"]

    def usage(self, user):
        return 0, 0


class Mailboxes(NoMailboxes):
    """
    Of a Dovecot that Mailboxes.server() made; its folder `accounts` is theirs.
    """

    @staticmethod
    def server(name, folder, ca, **options):
        account = pwd.getpwnam(SPARE_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        more = MORE.format(folder=os.path.join(folder, "accounts"), home=folder, uid=account.pw_uid, gid=account.pw_gid)
        return Dovecot(name, folder, ca, {}, more=more, **options)

    def __init__(self, server):
        self.server, self.folder = server, os.path.join(server.folder, "accounts")
        self._known = {}
        self._lock = threading.Lock()
        folder = self.folder
        os.makedirs(os.path.join(folder, "by-name"), exist_ok=True)
        path = os.path.join(folder, "check")
        with open(path, "w") as f:
            f.write(CHECK.format(folder=folder))
        os.chmod(path, 0o755)
        os.chmod(folder, 0o777)
        self.write([], [], 0)

    def write(self, users, tokens, ahead_s):
        """users: (address, password, aliases, is let in)"""
        rows = {}
        for address, password, aliases, enabled in users:
            secret = hashes.for_dovecot(password)
            closed = "" if enabled else " nologin=y"
            rows[address] = "%s:%s::::::%s\n" % (address, secret, closed.strip())
            for a in aliases:
                rows[a] = "%s:%s::::::user=%s%s\n" % (a, secret, address, closed)
        with self._lock:
            for name in self._known.keys() - rows.keys():
                os.unlink(os.path.join(self.folder, "by-name", name))
            for name, row in rows.items():
                if self._known.get(name) != row:
                    self._put(os.path.join(self.folder, "by-name", name), row)
            self._known = rows
            self._put(os.path.join(self.folder, "tokens.json"), json.dumps({"ahead_s": ahead_s, "tokens": tokens}))

    def _put(self, path, text):
        with open(path + ".new", "w") as f:
            f.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def logout(self, user):
        self._doveadm("kick", user, check=False)    # it fails where nobody is

    def folders(self, user):
        return self._doveadm("mailbox", "list", "-u", user).split("\n")[:-1]

    def usage(self, user):
        """(bytes, messages)"""
        said = self._doveadm("-f", "tab", "mailbox", "status", "-u", user, "messages vsize", "*").split("\n")[1:-1]
        rows = [line.split("\t") for line in said]
        return sum(int(r[2]) for r in rows), sum(int(r[1]) for r in rows)

    def _doveadm(self, *args, check=True):
        done = subprocess.run(["doveadm", "-c", os.path.join(self.server.folder, "dovecot.conf"), *args],
                              capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise RuntimeError("doveadm %s: %s" % (args[0], done.stderr))
        return done.stdout
