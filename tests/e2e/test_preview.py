"""`mailferry sync USER --dry-run`: says what would become of each folder, and changes nothing at all."""

import os
import pathlib
import re
import shutil
import tempfile

from lib import mail, reader
from lib.imapclient import ImapClient, No


def connect(stage, server, person):
    c = ImapClient(server.address, server.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    return c


def dump(stage, server, person):
    """Everything a client can see: lists, subscriptions, numbers, flags, what is recent."""
    c = connect(stage, server, person)
    said = c.command(b'LIST "" "*"')[0] + c.command(b'LSUB "" "*"')[0]
    lines = sorted(re.sub(rb" ?\\(Un)?Marked", b"", line) for line in said)  # the last dump's own doing
    for line in list(lines):
        name = re.search(rb'"?([^" ]+)"?\r\n$', line).group(1)
        try:
            lines += c.command(b"STATUS %s (MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY)" % reader.quote(name))[0]
        except No:
            pass
    c.logout()
    return lines, stage.read(server, person)


def test_it_changes_nothing(stage, person, own_ferry):
    """Case 99."""
    old = connect(stage, stage.old, person)
    prefix, sep = stage.old.prefix.encode(), stage.old.separator.encode()
    to = stage.new.prefix
    for name in (b"Gesendet", b"Work", b"Work" + sep + b"2020", b"Secret", b"&AMQ-rger"):
        old.command(b"CREATE " + prefix + name)
    for i in range(3):
        old.append(prefix + b"Work", mail.message("w%d" % i), b"", mail.imap_date(1500000000))
    old.logout()
    new = connect(stage, stage.new, person)
    new.command(b"CREATE %sSent" % to.encode())
    new.logout()
    folder = pathlib.Path(tempfile.mkdtemp(dir=stage.folder))
    folder.chmod(0o755)                 # the engine is not root
    rules = folder / "rules"
    rules.write_text('skip "%sSecret"\nuser %s\nmap "%sWork" = "%sJobs"\n' % (
        prefix.decode(), person.name, prefix.decode(), to))
    secret = folder / "password"
    secret.write_text("wrong\n")        # so that the engine begins nothing
    f = own_ferry({"sync": {"folders": str(rules)}})
    f.import_users([{"user": person.name, "wave": "1", "new_password_file": str(secret)}])
    f.stop()
    secret.write_text(person.password + "\n")
    before = [dump(stage, s, person) for s in (stage.old, stage.new)]
    files = {base: sorted(names) for base, _, names in os.walk(f.folder)}

    answer = f.cli("sync", person.name, "--dry-run")
    shown = f.command("sync", person.name, "--dry-run").stdout

    assert [dump(stage, s, person) for s in (stage.old, stage.new)] == before
    assert {base: sorted(names) for base, _, names in os.walk(f.folder)} == files
    rows = {r["old"]: r for r in answer["folders"]}
    p = prefix.decode()
    assert rows["INBOX"]["new"] == "INBOX" and rows["INBOX"]["step"] == "keep"
    assert (rows[p + "Gesendet"]["new"], rows[p + "Gesendet"]["why"]) == (to + "Sent", "localized")
    assert (rows[p + "Work"]["new"], rows[p + "Work"]["why"], rows[p + "Work"]["step"]) == (to + "Jobs", "rule", "make")
    assert (rows[p + "Work"]["uids"], rows[p + "Work"]["uids_why"]) == ("exact", None)
    assert rows[p + "Work"]["messages"] == 3 and rows[p + "Work"]["bytes"] > 0
    assert rows[p + "Work" + sep.decode() + "2020"]["new"] == to + "Jobs" + stage.new.separator + "2020"
    assert rows[p + "Ärger"]["new"] == to + "Ärger"
    assert rows[p + "Secret"]["step"] == "skip" and rows[p + "Secret"]["new"] is None
    assert answer["left"] == 1 and answer["messages"] == 3
    assert "to be made" in shown and "left out: a rule skips it" in shown and "Nothing was changed" in shown


def test_it_sees_what_was_renamed(stage, person, copier, own_ferry):
    """Case 50, before it happens."""
    old = connect(stage, stage.old, person)
    prefix = stage.old.prefix.encode()
    old.command(b"CREATE %sWork" % prefix)
    old.append(b"%sWork" % prefix, mail.message("w"), b"", mail.imap_date(1500000000))
    copier.until_clean()
    old.command(b"RENAME %sWork %sJobs" % (prefix, prefix))
    old.logout()
    secret = pathlib.Path(tempfile.mkdtemp(dir=stage.folder))
    secret.chmod(0o755)
    secret /= "password"
    secret.write_text("wrong\n")
    f = own_ferry()
    f.import_users([{"user": person.name, "wave": "1", "new_password_file": str(secret)}])
    f.stop()
    secret.write_text(person.password + "\n")
    shutil.copy(copier.journal, os.path.join(f.folder, "journals", person.name + ".journal"))
    before = [dump(stage, s, person) for s in (stage.old, stage.new)]
    row = next(r for r in f.cli("sync", person.name, "--dry-run")["folders"] if r["old"].endswith("Jobs"))
    assert (row["new"], row["was"], row["step"]) == (stage.new.prefix + "Jobs", stage.new.prefix + "Work", "rename")
    assert [dump(stage, s, person) for s in (stage.old, stage.new)] == before


def test_what_cannot_be(ferry, resident):
    assert ferry.command("sync", "--all", "--dry-run", check=False).returncode == 2
    done = ferry.command("sync", "nobody@example.com", "--dry-run", check=False)
    assert done.returncode == 1 and "nobody@example.com" in done.stderr
