"""What IMAP clients do after a move, by UIDs they remember: with old's UIDs, and with old's UIDVALIDITY shown as well."""

import os
import re
import tempfile
import time

import pytest

from lib import mail, processes
from lib.imapclient import ImapClient, No
from lib.mailferry import Mailferry
from lib.mbsync import Mbsync

COUNT = 20
NEW = {"backend new": {"keep_uidvalidity": "yes"}}


def direct(stage, server, person):
    c = ImapClient(server.address, server.ports["imaps"], stage.context)
    c.login(person.name, person.password)
    stage.opened.append(c)
    return c


def put(client, stamp):
    client.finish(client.begin_append(b"INBOX", mail.message(stamp, 400), b"", None))


def filled(stage, ferry, person):
    """Old's INBOX with gaps, copied and in step."""
    old = direct(stage, stage.old, person)
    for i in range(COUNT + 4):
        put(old, "m%d" % i)
    old.command(b"SELECT INBOX")
    old.command(b"UID STORE 2,7,8,%d +FLAGS.SILENT (\\Deleted)" % (COUNT + 4))
    old.command(b"EXPUNGE")
    processes.wait_until(lambda: time.time() >= validity(old) + 1, 30, "another second: Dovecot numbers folders by them")
    ferry.import_users([person.name])
    ferry.command("sync", person.name, "--no-wait")
    ferry.wait_state(person.name, "ready")
    return old


def validity(client, folder=b"INBOX"):
    return int(re.search(rb"UIDVALIDITY (\d+)", b"".join(client.command(b"SELECT " + folder)[0])).group(1))


@pytest.mark.parametrize("kept", (True, False))
def test_mbsync(stage, own_ferry, person, tmp_path, kept):
    ferry = own_ferry(NEW if kept else None)
    filled(stage, ferry, person)
    client = Mbsync(ferry, stage.ca, person, tmp_path, "INBOX")
    assert client.run() == COUNT
    ferry.command("cutover", person.name)
    put(direct(stage, stage.new, person), "fresh")
    assert client.run() == 1 and ("UIDVALIDITY" in client.said) == (not kept), client.said
    assert len(client.files()) == COUNT + 1
    assert client.run() == 0


@pytest.fixture(scope="module")
def keeping(stage):
    """One that shows old's UIDVALIDITY, for several tests."""
    folder = tempfile.mkdtemp(prefix="ferry-", dir=stage.folder)
    os.chmod(folder, 0o755)
    f = Mailferry(folder, stage.ca, stage.old, stage.new, settings=NEW).start()
    yield f
    f.stop()
    assert not f.complaints()


def test_old_numbers_at_every_place(stage, keeping, person, imap):
    """SELECT, STATUS, APPEND, COPY and MOVE agree on old's number; what is new natively is shown natively."""
    stage.ferries = [keeping]
    number = validity(filled(stage, keeping, person))
    keeping.command("cutover", person.name)
    own = validity(direct(stage, stage.new, person))
    c = imap(keeping)
    c.login(person.name, person.password)
    assert own != number == validity(c)
    assert b"UIDVALIDITY %d" % number in c.command(b"STATUS INBOX (UIDVALIDITY UIDNEXT)")[0][0]
    tag = c.begin_append(b"INBOX", mail.message("x", 300), b"", None)
    assert b"[APPENDUID %d " % number in c.finish(tag)[1]
    assert b"[COPYUID %d " % number in c.command(b"UID COPY 1 INBOX")[1]
    fresh = stage.new.prefix.encode() + b"fresh"
    c.command(b"CREATE " + fresh)
    assert b"[COPYUID %d " % validity(c, fresh) in b"".join(c.command(b"SELECT INBOX")[0]
                                                            + [c.command(b"UID COPY 1 " + fresh)[1]])
    assert validity(c, fresh) == validity(direct(stage, stage.new, person), fresh) != number
    assert not c.lists(b"CONDSTORE") and not c.lists(b"QRESYNC") and c.lists(b"UIDPLUS")
    assert b"HIGHESTMODSEQ" not in b"".join(c.command(b"SELECT INBOX")[0])
    assert not c.lists(b"CATENATE")
    for line in (b"ENABLE QRESYNC", b"SELECT INBOX (CONDSTORE)", b"FETCH 1 (MODSEQ)",
                 b"ESEARCH IN (mailboxes INBOX) ALL"):
        with pytest.raises(No) as refused:
            c.command(line)
        assert b"not available here" in refused.value.args[0]
    c.close()
    keeping.command("rollback", person.name)
    keeping.wait_state(person.name, ["ready", "syncing"])
    c = imap(keeping)
    c.login(person.name, person.password)
    assert validity(c) == number + 2    # what was new's may have old's UIDs


def test_a_stale_uid_hits_the_right_message_or_none(stage, ferry, person, imap):
    """What Thunderbird for Android replays after the move, by UIDs of old and without a look at UIDVALIDITY."""
    old = filled(stage, ferry, person)
    known = {m.uid: m.stamp for f in stage.read(stage.old, person).values() for m in f.messages}
    gone = [uid for uid in range(1, COUNT + 5) if uid not in known]
    ferry.command("cutover", person.name)
    put(direct(stage, stage.new, person), "fresh")
    c = imap(ferry)
    c.login(person.name, person.password)
    c.command(b"SELECT INBOX")
    c.command(b"UID STORE %s +FLAGS (\\Deleted)" % b",".join(b"%d" % uid for uid in gone))
    c.command(b"UID STORE %d +FLAGS (\\Deleted)" % min(known))
    c.command(b"EXPUNGE")
    left = {m.stamp for f in stage.read(stage.new, person).values() for m in f.messages}
    assert left == set(known.values()) - {known[min(known)]} | {"fresh"}
    old.logout()
