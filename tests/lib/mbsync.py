"""A mailbox that mbsync keeps, through mailferry, in a folder."""

import os
import subprocess

CONF = """
IMAPAccount ferry
Host localhost
Port %d
User %s
Pass %s
SSLType IMAPS
CertificateFile %s

IMAPStore far
Account ferry

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns %s
Create Near
SyncState *
"""


class Mbsync:
    """said: what it printed the last time."""

    def __init__(self, ferry, ca, person, folder, patterns="*"):
        self.folder, self.said = folder, ""
        self.conf = folder / "mbsyncrc"
        self.conf.write_text(CONF % (ferry.ports["imaps"], person.name, person.password, ca.cert, folder, folder,
                                     patterns))
        (folder / "mail").mkdir()

    def run(self):
        """How many messages it has loaded."""
        before = self.files()
        p = subprocess.run(["mbsync", "-c", str(self.conf), "all"], env=dict(os.environ, HOME=str(self.folder)),
                           capture_output=True, text=True, timeout=60)
        self.said = p.stdout + p.stderr
        assert p.returncode == 0, self.said
        return len(self.files() - before)

    def files(self):
        """Names without their flags."""
        return {p.name.split(":")[0] for p in (self.folder / "mail").rglob("*")
                if p.parent.name in ("cur", "new") and p.is_file()}
