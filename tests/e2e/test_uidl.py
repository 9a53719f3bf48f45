"""
What POP3 clients that leave mail on the server see across a cutover: the unique ids that they know from old, in front
of new's own POP3 server. The map is the engine's, or written by the test into the store as it stands there.
"""

import contextlib
import hashlib
import os
import socket
import sqlite3
import subprocess

import pytest

from lib import processes
from lib.fakedrop import FakeDrop
from lib.imapclient import ImapClient
from lib.popclient import PopClient


KEEP = {"run": {"nodes": 1}, "pop3": {"uidl": "keep"}}


class Store:
    """The store's file, past all of our code."""

    def __init__(self, ferry):
        self.path = ferry.folder + "/store/mailferry.db"

    def run(self, sql, *values):
        db = sqlite3.connect(self.path, timeout=20)
        with db:
            found = db.execute(sql, values).fetchall()
        db.close()
        return found

    def state(self, name):
        rows = self.run("SELECT seen, complete, entries, missing, why FROM pop3_users WHERE name = ?", name)
        return rows[0] if rows else None

    def write(self, name, pairs, complete=True, seen=1, entries=None):
        """pairs: (new's id, old's id), as bytes."""
        body = b"".join(b"%s %s\n" % p for p in pairs).decode()
        self.run("INSERT OR REPLACE INTO pop3_users (name, seen, mapped_at, complete, entries, bytes, digest, why)"
                 " VALUES (?, ?, 1, ?, ?, ?, ?, '')", name, seen, complete,
                 len(pairs) if entries is None else entries, len(body), hashlib.sha256(body.encode()).hexdigest())
        self.run("DELETE FROM pop3_parts WHERE name = ?", name)
        half = len(pairs[:len(pairs) // 2]) and len(b"".join(b"%s %s\n" % p for p in pairs[:len(pairs) // 2]))
        for i, part in enumerate(p for p in (body[:half], body[half:]) if p):
            self.run("INSERT INTO pop3_parts VALUES (?, ?, ?)", name, i, part)


def ids(client):
    """[(number, id)] of UIDL's answer."""
    return [tuple(line.split(b" ")) for line in client.lines(b"UIDL")]


def mail_by_id(client):
    """{id: the message}: the numbers are the server's, and Courier's need not be in the order of arrival."""
    return {i: client.lines(b"TOP %s 1000" % n) for n, i in ids(client)}


def entered(connect, ferry, person):
    client = connect(ferry)
    assert client.login(person.name, person.password).startswith(b"+OK")
    return client


def are_of(server, found):
    """Our Dovecots say in each id whose it is; others must do with being distinct."""
    mark = server.name.encode() + b"." if server.kind == "dovecot" else b""
    return len({i for _, i in found}) == len(found) and all(i.startswith(mark) for _, i in found)


def native(stage, person):
    """New's own ids, past the proxy."""
    client = PopClient(stage.new.address, stage.new.ports["pop3s"], stage.context)
    stage.opened.append(client)
    assert client.login(person.name, person.password).startswith(b"+OK")
    found = ids(client)
    client.command(b"QUIT")
    assert are_of(stage.new, found)
    return found


def moved(ferry, stage, person, count=6):
    stage.fill(person, {"INBOX": count})
    ferry.import_users([person.name])
    ferry.wait_state(person.name, "ready")
    ferry.command("cutover", person.name)
    assert ferry.state(person.name) == "trailing"


@pytest.fixture
def keeper(own_ferry):
    return own_ferry(KEEP)


def test_answers_carry_old_ids(keeper, stage, person, pop3):
    moved(keeper, stage, person)
    store, own = Store(keeper), native(stage, person)
    c = entered(pop3, keeper, person)
    sizes, mail = c.lines(b"LIST"), c.lines(b"RETR 3")
    c.command(b"QUIT")
    old = [b"UID%d-77" % (n + 40) for n in range(6)]
    store.write(person.name, list(zip([i for _, i in own], old))[:5])
    c = entered(pop3, keeper, person)
    assert ids(c) == [(b"%d" % (n + 1), old[n]) for n in range(5)] + [own[5]]
    for n in range(5):
        assert c.command(b"UIDL %d" % (n + 1)) == b"+OK %d %s\r\n" % (n + 1, old[n])
    assert c.command(b"UIDL 6") == b"+OK 6 %s\r\n" % own[5][1]
    assert c.command(b"UIDL 7").startswith(b"-ERR") and c.lines(b"LIST") == sizes and c.lines(b"RETR 3") == mail
    c.send(b"UIDL 1\r\nSTAT\r\nUIDL\r\nUIDL 2\r\nNOOP\r\n")
    said = [c.line() for _ in range(12)]
    assert said[0] == b"+OK 1 %s\r\n" % old[0] and said[3] == b"1 %s\r\n" % old[0] and said[9] == b".\r\n"
    assert said[10] == b"+OK 2 %s\r\n" % old[1] and said[11].startswith(b"+OK")
    # What is deleted is what its number says.
    assert c.command(b"DELE 2").startswith(b"+OK") and c.command(b"QUIT").startswith(b"+OK")
    c = entered(pop3, keeper, person)
    assert [i for _, i in ids(c)] == [old[0]] + old[2:5] + [own[5][1]]


def test_new_mail_never_looks_like_an_old_message(keeper, stage, person, pop3):
    moved(keeper, stage, person, count=3)
    own = [i for _, i in native(stage, person)]
    # Old called a message, long deleted, what new calls its third.
    Store(keeper).write(person.name, [(own[0], b"a"), (b"gone", own[2])])
    seen = [[i for _, i in ids(entered(pop3, keeper, person))] for _ in range(2)]
    assert seen[0] == seen[1]
    assert seen[0][:2] == [b"a", own[1]] and seen[0][2] != own[2]
    assert seen[0][2] == b"mf~" + hashlib.sha256(own[2]).hexdigest().encode()


@pytest.mark.parametrize("trouble", ["missing", "incomplete", "torn", "one short"])
def test_no_map_or_half_of_one_is_never_shown(keeper, stage, person, pop3, trouble):
    moved(keeper, stage, person, count=4)
    store = Store(keeper)
    own = [i for _, i in native(stage, person)]
    pairs = [(i, b"o%d" % n) for n, i in enumerate(own)]
    if trouble == "missing":
        store.run("INSERT OR REPLACE INTO pop3_users (name, seen) VALUES (?, 1)", person.name)
    elif trouble == "one short":
        store.write(person.name, pairs[:3], entries=4)
    else:
        store.write(person.name, pairs, complete=trouble != "incomplete")
    if trouble == "torn":
        store.run("DELETE FROM pop3_parts WHERE part = 1")
    c = entered(pop3, keeper, person)
    for command in (b"UIDL", b"UIDL 1"):
        assert c.command(command).startswith(b"-ERR [SYS/TEMP]")
    # Nothing else is withheld, and what was sent behind it is answered in its turn.
    c.send(b"STAT\r\nUIDL\r\nLIST 1\r\nUIDL 2\r\nTOP 1 0\r\n")
    assert c.line().startswith(b"+OK 4 ") and c.line().startswith(b"-ERR [SYS/TEMP]")
    assert c.line().startswith(b"+OK 1 ") and c.line().startswith(b"-ERR [SYS/TEMP]")
    assert c.line().startswith(b"+OK")
    assert "UIDL is refused" in keeper.log_text()
    # A person takes it as it is, or it is made whole: the next session has it.
    store.write(person.name, pairs)
    assert [i for _, i in ids(entered(pop3, keeper, person))] == [old for _, old in pairs]


def test_whoever_reads_by_pop3_on_old_is_known(keeper, stage, person, pop3, imap):
    stage.fill(person, {"INBOX": 2})
    keeper.import_users([person.name])
    store = Store(keeper)
    c = imap(keeper)
    c.login(person.name, person.password)
    assert not (store.state(person.name) or (0,))[0]
    entered(pop3, keeper, person)
    processes.wait_until(lambda: (store.state(person.name) or (0,))[0], 30, "the store to know")


def test_no_memory_for_maps(own_ferry, stage, person, pop3):
    f = own_ferry(dict(KEEP, limits={"uidl_bytes": 60}))
    moved(f, stage, person, count=2)
    own = [i for _, i in native(stage, person)]
    Store(f).write(person.name, [(i, b"o" * 30) for i in own])
    assert entered(pop3, f, person).command(b"UIDL").startswith(b"-ERR [SYS/TEMP]")
    assert f.metrics().get("mailferry_limit_hits_total", limit="uidl_bytes") == 1
    Store(f).write(person.name, [(own[0], b"o")])
    assert [i for _, i in ids(entered(pop3, f, person))] == [b"o", own[1]]


# ---- the map that the engine makes


def put(stage, server, person, bodies, folder=b"INBOX"):
    """Writes mail straight to a server."""
    client = ImapClient(server.address, server.ports["imaps"], stage.context)
    client.login(person.name, person.password)
    for body in bodies:
        client.append(folder, body)
    client.logout()


def settled(ferry, person):
    """Ready, with a whole map in the store; the go is given and the user is on new."""
    ferry.wait_state(person.name, "ready")
    ferry.command("cutover", person.name)
    ferry.wait_state(person.name, "trailing")


def letter(stamp, body=b"text"):
    return (b"From: a@example.com\r\nSubject: %s\r\nMessage-ID: <%s@example.com>\r\n\r\n%s\r\n"
            % (stamp, stamp, body))


def listed(server, pairs):
    """Of what came within one second, Courier's numbers are in any order."""
    return sorted(i for _, i in pairs) if server.kind == "courier" else pairs


def without_nul(mail):
    """Dovecot shows a NUL in one way while it indexes and in another afterwards."""
    return {i: lines for i, lines in mail.items() if b"nul" not in lines}


def test_ids_are_those_of_old_after_the_cutover(keeper, stage, person, pop3):
    twin = letter(b"twin")
    odd = b"\x00\x80" if stage.old.kind == stage.new.kind == "dovecot" else b"1"   # which others do not take, or alter
    put(stage, stage.old, person, [letter(b"%d" % i) for i in range(12)] + [twin, letter(b"same", b"1"), twin] +
        [letter(b"same", b"2"), b"X-Odd: %s\r\n\r\nnul\r\n" % odd])
    keeper.import_users([person.name])
    c = entered(pop3, keeper, person)
    before = ids(c)
    assert len(before) == 17 and are_of(stage.old, before)
    c.command(b"QUIT")
    keeper.wait_state(person.name, "ready")
    put(stage, stage.old, person, [letter(b"late")])    # seen just before the flip
    c = entered(pop3, keeper, person)
    before, mail = ids(c), mail_by_id(c)
    c.command(b"QUIT")
    settled(keeper, person)
    c = entered(pop3, keeper, person)
    assert listed(stage.new, ids(c)) == listed(stage.new, before) and len(before) == 18
    assert without_nul(mail_by_id(c)) == without_nul(mail)
    put(stage, stage.new, person, [letter(b"new")])
    after = ids(entered(pop3, keeper, person))
    arrived = [(n, i) for n, i in after if i not in mail]
    assert len(after) == 19 and len(arrived) == 1 and are_of(stage.new, arrived)
    assert listed(stage.new, [p for p in after if p not in arrived]) == listed(stage.new, before)
    assert Store(keeper).state(person.name)[1:] == (1, 18, 0, "")


def test_looking_for_ids_marks_nothing_as_seen(keeper, stage, person, pop3):
    """Equal headers are told apart by all bytes: by RETR, which many servers take for reading."""
    put(stage, stage.old, person, [letter(b"same", b"%d" % i) for i in range(3)])
    keeper.import_users([person.name])
    keeper.wait_state(person.name, "ready")
    assert Store(keeper).state(person.name)[1:] == (1, 3, 0, "")
    for server in (stage.old, stage.new):
        assert not any("\\seen" in m.flags for m in stage.read(server, person)[("INBOX",)].messages)


def fetchmail(ferry, stage, person, folder):
    """How many it brought; leaves all on the server, and keeps its list of ids in the folder."""
    rc, box = folder / "fetchmailrc", folder / "box"
    rc.write_text('poll localhost protocol POP3 service %d uidl user "%s" password "%s" ssl sslcertfile "%s" '
                  'sslcertck keep mda "cat >>%s"\n' % (ferry.ports["pop3s"], person.name, person.password,
                                                       stage.ca.cert, box))
    rc.chmod(0o600)
    box.write_bytes(b"")
    done = subprocess.run(["fetchmail", "-f", str(rc), "--pidfile", str(folder / "pid"), "--nosyslog", "--idfile",
                           str(folder / "ids")], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, HOME=str(folder), FETCHMAILHOME=str(folder)))
    assert done.returncode in (0, 1), done.stdout + done.stderr    # 1: no new mail
    return box.read_bytes().count(b"\nSubject: ")


def getmail(ferry, stage, person, folder):
    """The same; it refuses to deliver as root but by a command that is allowed to."""
    box = folder / "box"
    box.write_bytes(b"")
    (folder / "getmailrc").write_text("""
[retriever]
type = SimplePOP3SSLRetriever
server = localhost
port = %d
username = %s
password = %s
ca_certs = %s
[destination]
type = MDA_external
path = /usr/bin/tee
arguments = ("-a", "%s")
allow_root_commands = true
[options]
read_all = false
delete = false
""" % (ferry.ports["pop3s"], person.name, person.password, stage.ca.cert, box))
    done = subprocess.run(["getmail", "--getmaildir", str(folder), "--rcfile", "getmailrc"], capture_output=True,
                          text=True, timeout=60, env=dict(os.environ, HOME=str(folder)))
    assert done.returncode == 0, done.stdout + done.stderr
    return box.read_bytes().count(b"\nSubject: ")


@pytest.mark.parametrize("client", [fetchmail, getmail])
def test_nothing_is_downloaded_twice(keeper, stage, person, tmp_path, client):
    put(stage, stage.old, person, [letter(b"%d" % i) for i in range(8)])
    keeper.import_users([person.name])
    assert client(keeper, stage, person, tmp_path) == 8
    assert client(keeper, stage, person, tmp_path) == 0
    settled(keeper, person)
    assert client(keeper, stage, person, tmp_path) == 0
    put(stage, stage.new, person, [letter(b"new-%d" % i) for i in range(2)])
    assert client(keeper, stage, person, tmp_path) == 2
    assert client(keeper, stage, person, tmp_path) == 0


def test_mail_copied_by_pop3_has_its_ids_too(own_ferry, stage, person, pop3):
    f = own_ferry(dict(KEEP, **{"backend old": {"copy": "pop3"}}))
    put(stage, stage.old, person, [letter(b"%d" % i) for i in range(5)])
    f.import_users([person.name])
    c = entered(pop3, f, person)
    before = mail_by_id(c)
    c.command(b"QUIT")
    settled(f, person)
    assert len(before) == 5 and mail_by_id(entered(pop3, f, person)) == before


def test_without_a_map_a_pop3_user_is_not_moved(own_ferry, stage, person, pop3):
    """New's POP3 is dead: who reads by POP3 stays where she is, until a person says otherwise; others are moved."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))    # nobody listens
    f = own_ferry(dict(KEEP, **{"backend new": {"pop3_port": silent.getsockname()[1]}}))
    other = stage.take()
    for who in (person, other):
        put(stage, stage.old, who, [letter(b"1")])
    f.import_users([person.name, other.name])
    entered(pop3, f, person).command(b"QUIT")
    store = Store(f)
    processes.wait_until(lambda: (store.state(person.name) or (0,))[0], 30, "the store to know")
    f.wait_state([person.name, other.name], "ready")
    f.command("cutover", other.name)
    f.wait_state(other.name, "trailing")
    f.command("cutover", person.name, "--no-wait", check=False)

    def check():
        return {i["name"]: i for i in f.cli("why", person.name)["waits_for"]}["pop3-ids"]
    processes.wait_until(lambda: check()["state"] == "waits", 60, "the gate to hold her up")
    assert "there is no map of them" in check()["text"] and "Connection refused" in check()["text"], check()
    assert f.state(person.name) == "ready"
    assert "Connection refused" in store.state(person.name)[4]
    assert f.cli("waive", person.name, "pop3-ids", "--note", "she reads all of it anew")["count"] == 1
    f.wait_state(person.name, "trailing")


# ---- an old POP3 server that shows something else than IMAP does


ODD = [letter(b"%d" % i) for i in range(5)] + [letter(b"same", b"1"), letter(b"same", b"2")]


def odd_drop(trouble):
    """What old shows by POP3 of ODD, and what is said about it; None: all is well."""
    drop = [(b"u%d" % i, body) for i, body in enumerate(ODD)]
    if trouble == "another order":
        return drop[::-1], None
    if trouble == "ids for two":      # RFC 1939 7 allows it for copies only, but servers do it
        return drop[:1] + [(b"u0", drop[1][1])] + drop[2:], None
    if trouble == "hides one":
        return drop[:3] + drop[4:], "1 messages of INBOX were not found"
    if trouble == "one of another folder":
        return drop + [(b"u9", letter(b"elsewhere"))], "1 that old shows by POP3 were found in no message"
    if trouble == "ids that cannot be kept":
        return drop[:2] + [(b"u\xe4", drop[2][1])] + drop[3:], "1 messages have no id on new"
    if trouble == "gives none today":
        return drop, "it gives no unique ids, and its CAPA says UIDL"
    return drop, "IN-USE"


def test_old_gives_no_ids_any_more(own_ferry, stage, person):
    """It never said that it has any (no CAPA), but it gave some in the pass before."""
    drop, _ = odd_drop("another order")
    with contextlib.closing(FakeDrop({person.name: person.password}, drop)) as fake:
        f = own_ferry(dict(KEEP, **{"backend old": {"pop3_port": fake.port, "pop3_tls": "none"}, "sync": {"delta_s": 1}}))
        fake.capa = [b"TOP", b"USER", b"SASL PLAIN"]
        fake.rules["UIDL"] = lambda fake, talk, rest: fake.say_lines(talk, [m[0] for m in talk.shown])
        put(stage, stage.old, person, ODD)
        store = Store(f)
        store.run("INSERT INTO pop3_users (name, seen) VALUES (?, 1)", person.name)
        f.import_users([{"user": person.name, "old_password_file": f.secret_file("own", person.password), "wave": "1"}])
        f.wait_state(person.name, "ready")
        processes.wait_until(lambda: store.state(person.name)[1:3] == (1, len(ODD)), 60, "a whole map")
        fake.rules["UIDL"] = lambda fake, talk, rest: talk.say(b"-ERR what is that\r\n")
        processes.wait_until(lambda: not store.state(person.name)[1], 60, "the map to be no longer whole")
        assert "it gives no unique ids any more" in store.state(person.name)[4]
        assert store.state(person.name)[2] == len(ODD)      # what was found before is not thrown away


@pytest.mark.parametrize("trouble", ["another order", "ids for two", "hides one", "one of another folder", "gives none today",
                                     "ids that cannot be kept", pytest.param("locked", marks=pytest.mark.full)])
def test_what_old_shows_by_pop3(own_ferry, stage, person, pop3, trouble):
    drop, why = odd_drop(trouble)
    with contextlib.closing(FakeDrop({person.name: person.password}, drop)) as fake:
        f = own_ferry(dict(KEEP, **{"backend old": {"pop3_port": fake.port, "pop3_tls": "none"}}))
        put(stage, stage.old, person, ODD)
        store = Store(f)
        store.run("INSERT INTO pop3_users (name, seen) VALUES (?, 1)", person.name)
        if trouble == "locked":
            fake.rules["PASS"] = fake.rules["AUTH"] = lambda fake, talk, rest: talk.say(b"-ERR [IN-USE] locked\r\n")
        if trouble == "gives none today":
            fake.rules["UIDL"] = lambda fake, talk, rest: talk.say(b"-ERR cannot write the list of ids\r\n")
        password = f.secret_file("own", person.password)
        f.import_users([{"user": person.name, "old_password_file": password, "wave": "1"}])
        f.wait_state(person.name, "ready")
        f.command("cutover", person.name, "--no-wait", check=False)
        if why is None:
            f.wait_state(person.name, "trailing")
            kept = {mail: uidl for uidl, mail in drop}
            assert [i for _, i in ids(entered(pop3, f, person))] == [kept[body] for body in ODD]
        else:
            processes.wait_until(lambda: why in store.state(person.name)[4], 60, "the reason")
            assert f.state(person.name) == "ready" and "unique ids" in f.command("why", person.name).stdout
