"""OpenSRS as the new side: accounts are made, session tokens let the copier in, faults cost at most a retry."""

import glob
import os
import random
import re
import resource
import signal
import subprocess
import threading

import pytest

from fakes import opensrs
from fakes.opensrs.hashes import crypted
from lib import processes
from lib.mailferry import ACCOUNT_COLUMNS, CommandFailed, write_csv

pytestmark = pytest.mark.any_servers

DOMAIN = "example.com"
PASSWORD = "api-pass-9c41e7"


@pytest.fixture(scope="module")
def hosted(stage):
    s = opensrs.Mailboxes.server("hosted", os.path.join(stage.folder, "hosted-ferry"), stage.ca).start()
    yield s
    s.stop()


@pytest.fixture(scope="module")
def one_api(stage, hosted):
    a = opensrs.OpenSRS(stage.ca, opensrs.Mailboxes(hosted)).start()
    yield a
    a.stop()


@pytest.fixture
def api(one_api):
    one_api.reset()
    one_api.admins = [("admin@shop.adm", PASSWORD, "company", "shop", None)]
    return one_api


class Hosted:
    """A ferry whose new side is OpenSRS, and the list of accounts it has."""

    def __init__(self, stage, api, own_ferry, hosted, settings):
        folder = os.path.join(stage.folder, "lists-%08x" % random.getrandbits(32))
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self.stage, self.api = stage, api
        self.list = os.path.join(folder, "accounts.csv")
        self.write([])
        password, self.token = os.path.join(folder, "password"), os.path.join(folder, "token")
        self._secret(password, PASSWORD)
        new = {"host": hosted.address, "tls_name": hosted.tls_name, "tls_ca_file": stage.ca.cert,
               "imap_port": hosted.ports["imaps"], "pop3_port": hosted.ports["pop3s"],
               "master_user": None, "master_password_file": None}
        mine = {"cluster": api.url, "user": "admin@shop.adm", "password_file": password, "ca_file": stage.ca.cert,
                "accounts": self.list, "answer_s": 10, **settings.pop("opensrs", {})}
        if "password_file" in mine and mine["password_file"] is None:
            mine["token_file"] = self.token
        self.ferry = own_ferry({"backend new": new, "opensrs": mine, **settings})

    def give_token(self, token):
        self._secret(self.token, token)

    def _secret(self, path, text):
        with open(path, "w") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)
        self._give(path)

    def _give(self, path):
        account = self.stage.new._account
        os.chown(path, account.pw_uid, account.pw_gid)

    def write(self, rows):
        """rows: dicts by column"""
        write_csv(self.list, rows, columns=ACCOUNT_COLUMNS)
        os.chmod(self.list, 0o600)
        self._give(self.list)

    def provision(self, *args, check=True):
        return self.ferry.command("provision", *args, check=check).stdout


@pytest.fixture
def hosted_ferry(stage, api, own_ferry, hosted):
    return lambda **settings: Hosted(stage, api, own_ferry, hosted, settings)


def hashed(password, kind="$6$"):
    salts = {"$1$": "$1$abcdefgh", "$5$": "$5$saltsaltsaltsalt", "$6$": "$6$saltsaltsaltsalt",
             "$2b$": "$2b$04$abcdefghijklmnopqrstuu"}
    return crypted(password, salts[kind])


def test_from_nothing_to_new(hosted_ferry, stage, api, imap, hosted):
    """No password of anybody is known but as hashes; accounts are made, mail is copied and users moved."""
    people = [stage.take() for _ in range(3)]
    kinds = ["$6$", "$2b$", "$1$"]
    hashes = [hashed(p.password, k) for p, k in zip(people, kinds)]
    h = hosted_ferry()
    h.write([{"user": p.name, "name": "Person %d" % i, "quota": "1G", "hash": hashes[i]}
             for i, p in enumerate(people)])
    for p in people:
        stage.fill(p, {"INBOX": 3})
    h.ferry.import_users([p.name for p in people])
    h.ferry.wait_state([p.name for p in people], {"provisioned", "syncing", "ready"})
    h.ferry.cli("sync", "--wave", "1")
    h.ferry.cli("verify", people[0].name)
    h.ferry.cli("cutover", "--wave", "1")
    for p in people:
        c = imap(h.ferry)
        c.login(p.name, p.password)     # the hash is right: Dovecot has verified it
        assert b"* 3 EXISTS" in b"".join(c.command(b"SELECT INBOX")[0])
    # One each for the probe and all passes; the comparison, which the engine does not remember, its own.
    assert len(api.asked("generate_token")) == 4
    assert {r["type"] for r in api.asked("generate_token")} == {"session"}
    assert api.users[people[0].name]["attributes"]["quota"] == 1 << 30
    assert not h.ferry.found([PASSWORD, *hashes, *(t["token"] for t in api.tokens)])


def dies_with_core(folder):
    """Does this host write core files at all, where the limit lets it?"""
    done = subprocess.run(["sh", "-c", "ulimit -c unlimited; kill -ABRT $$"], cwd=folder, capture_output=True)
    return done.returncode != 0 and bool(glob.glob(os.path.join(folder, "core*")))


def test_nobody_leaves_a_core(hosted_ferry, stage, api, tmp_path):
    """The administrator's password and users' secrets are in memory: no process that dies writes it down."""
    p = stage.take()
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))    # all that are started take it over
    try:
        control = dies_with_core(str(tmp_path))
        h = hosted_ferry()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    h.write([{"user": p.name, "hash": hashed(p.password)}])
    api.fail("late", "generate_token", times=9)
    h.ferry.import_users([p.name])
    processes.wait_until(lambda: api.asked("generate_token"), 60, "a worker with the password in hand")
    for pid in [*h.ferry.workers()[:1], h.ferry.nodes()[0], h.ferry.engine()]:
        folder = os.readlink("/proc/%d/cwd" % pid)
        there = set(os.listdir(folder))
        with open("/proc/%d/limits" % pid) as f:
            assert re.search(r"Max core file size +0 +0 ", f.read())
        if h.ferry.account:     # whom nobody may dump, the kernel gives to root
            assert os.stat("/proc/%d/environ" % pid).st_uid == 0
        processes.send(pid, signal.SIGABRT)
        processes.wait_until(lambda: not processes.alive(pid), 60, "process %d to die" % pid)
        fresh = {n for n in os.listdir(folder) if "core" in n} - there
        assert not fresh, "a core file, as this host %s" % ("does" if control else "did not for a shell")
    assert not h.ferry.found([PASSWORD])


def test_provision(hosted_ferry, stage, api):
    """What differs is shown first; the same again changes nothing; every fault costs a retry, or is said."""
    a, b, c = people = [stage.take() for _ in range(3)]
    h = hosted_ferry(opensrs={"create": False})
    rows = [{"user": "@" + DOMAIN, "quota": "2G"}] + [
        {"user": p.name, "name": "Person", "password": "Marked-%d-pw" % i, "language": "de_DE"}
        for i, p in enumerate(people)]
    h.write(rows)
    h.ferry.import_users([p.name for p in people])

    shown = h.provision("--wave", "1", "--dry-run")
    assert "%s (line 3): create" % a.name in shown and "4 to make, 0 to change" in shown
    assert not api.users and not api.domains

    api.fail("reset", "change_domain")      # done, and the answer lost: to be looked at, not believed
    api.fail("reset", "change_user", user=a.name)
    shown = h.provision("--wave", "1")
    assert "4 made, 0 changed, 0 as the list says, 0 failed" in shown
    assert sorted(api.users) == sorted(p.name for p in people)
    assert len([r for r in api.asked("change_user") if r["user"] == a.name]) == 2
    assert {r["credentials"]["user"] for r in api.asked("authenticate")} == {
        "admin@shop.adm", *(p.name for p in people)}    # each password was proved

    before = dict(api.users), len(api.asked("change_user"))
    assert "0 to make, 0 to change, 4 as the list says, 0 failed" in h.provision("--wave", "1")
    assert (dict(api.users), len(api.asked("change_user"))) == before

    rows[1].update(quota="3G", aliases="alias-of-a@" + DOMAIN)
    h.write(rows)
    shown = h.provision()
    assert "%s (line 3): change: quota: 5368709120 -> 3221225472; aliases: nothing -> alias-of-a@" % a.name in shown
    assert "password" not in api.asked("change_user")[-1]["attributes"]

    # Somebody else's: never touched.
    with api.lock:
        del api.users[c.name]
        api.users[a.name]["attributes"]["aliases"] = [c.name]
    with pytest.raises(CommandFailed) as failed:
        h.provision(c.name)
    assert "is an alias of " + a.name in failed.value.out
    api.admins = [("admin@shop.adm", "other", "company", "shop", None)]
    with pytest.raises(CommandFailed) as failed:
        h.provision()
    assert "remedy: correct opensrs.user and its password" in failed.value.err
    h.write([{"user": a.name, "hash": "$y$j9T$abc"}, {"user": "no address"}])
    with pytest.raises(CommandFailed) as failed:
        h.provision()
    assert "accounts.csv:2: hash: " in failed.value.out and "accounts.csv:3: " in failed.value.out
    assert not h.ferry.found([PASSWORD] + ["Marked-%d-pw" % i for i in range(3)])


@pytest.mark.full
@pytest.mark.parametrize("kind", ["500", "502", "503", "empty", "html", "truncated", "late", "reset", "expire"])
def test_faults(hosted_ferry, stage, api, kind):
    """Met by one call of each method it costs time; where it stays, one user fails, and the next run heals that."""
    a, b = stage.take(), stage.take()
    late = kind == "late"
    h = hosted_ferry(opensrs={"create": False, "answer_s": 1 if late else 10}, sync={"connect_s": 1 if late else 10})
    h.write([{"user": p.name, "password": "Marked-%d-pw" % i} for i, p in enumerate((a, b))])
    h.ferry.import_users([a.name, b.name])
    for method in ("authenticate", "get_domain", "change_domain", "get_user", "change_user"):
        api.fail(kind, method)
    assert "3 made, 0 changed, 0 as the list says, 0 failed" in h.provision()
    ids = {name: u["id"] for name, u in api.users.items()}

    with api.lock:
        del api.users[a.name]
    api.fail(kind, "change_user", times=99, user=a.name)
    done = h.provision(check=False)
    if kind in ("reset", "late", "empty", "html", "truncated", "expire"):   # these carry it out
        assert a.name in api.users
    else:
        assert "%s (line 2): failed: OpenSRS: change_user %s: " % (a.name, a.name) in done
        assert "remedy: try again later" in done and a.name not in api.users
    api.faults.clear()
    assert " 0 failed" in h.provision()
    assert set(api.users) == set(ids) and api.users[b.name]["id"] == ids[b.name]
    assert not h.ferry.found([PASSWORD] + ["Marked-%d-pw" % i for i in range(2)])


@pytest.mark.full
def test_a_token_of_the_api_ends(hosted_ferry, stage, api):
    """In the middle of a run: what was made is whole, the rest is said; with a new token it goes on."""
    people = [stage.take() for _ in range(8)]
    h = hosted_ferry(opensrs={"create": False, "password_file": None, "parallel": 1})
    h.write([{"user": p.name, "password": "Marked-%d-pw" % i} for i, p in enumerate(people)])
    h.ferry.import_users([p.name for p in people])
    h.give_token(api.add_token("admin@shop.adm", None, 1000, api=True))
    api.fail("expire", "change_user", user=people[3].name)
    with pytest.raises(CommandFailed) as failed:
        h.provision()
    assert sorted(api.users) == sorted(p.name for p in people[:3])
    for p in people[3:]:
        assert "%s (line " % p.name in failed.value.out
    assert "remedy: correct opensrs.user and its password or token" in failed.value.out
    h.give_token(api.add_token("admin@shop.adm", None, 1000, api=True))
    assert "5 made, 0 changed, 4 as the list says, 0 failed" in h.provision()


@pytest.mark.full
def test_session_tokens(hosted_ferry, stage, api):
    """They are renewed when they end, and replaced by the password where the server takes none."""
    p, without = stage.take(), stage.take()
    h = hosted_ferry()
    h.write([{"user": u.name, "hash": hashed(u.password)} for u in (p, without)])
    own = h.ferry.secret_file("own-password", p.password)
    h.ferry.import_users([{"user": p.name, "new_password_file": own, "wave": "1"},
                          {"user": without.name, "wave": "1"}])
    h.ferry.wait_state([p.name, without.name], "ready")
    assert len(api.asked("generate_token")) == 2
    api.expire_tokens()
    h.ferry.cli("sync", "--wave", "1")
    assert len(api.asked("generate_token")) == 4
    assert "session token" not in h.ferry.log_text()
    assert h.ferry.cli("check", "user", without.name)["ok"]

    api.refuse_tokens()
    h.ferry.cli("sync", p.name)
    assert "logging in on new with the user's password, not with a session token" in h.ferry.log_text()
    with pytest.raises(CommandFailed) as failed:
        h.ferry.cli("sync", without.name)
    assert "remedy: a new_password_file in the import" in failed.value.out + failed.value.err


def thousand(h):
    names = ["person%04d@%s" % (i, DOMAIN) for i in range(1000)]
    hash_of_all = hashed("Marked-thousand", "$5$")
    h.write([{"user": n, "name": "Person %s" % n[6:10], "hash": hash_of_all} for n in names])
    h.ferry.import_users(names)
    return names


@pytest.mark.full
def test_a_thousand_twice(hosted_ferry, api):
    api.mailboxes = opensrs.NoMailboxes()
    h = hosted_ferry(opensrs={"create": False}, sync={"workers": 1, "retry_s": 3600})
    names = thousand(h)
    assert "1001 made, 0 changed, 0 as the list says, 0 failed" in h.provision()
    assert sorted(api.users) == names
    asked = len(api.asked("change_user"))
    assert asked == 1000
    assert "0 to make, 0 to change, 1001 as the list says, 0 failed" in h.provision()
    assert len(api.asked("change_user")) == asked


@pytest.mark.full
def test_killed_in_the_middle(hosted_ferry, api):
    """The worker, then the whole engine; what they left is whole, and the end is the same."""
    api.mailboxes = opensrs.NoMailboxes()
    h = hosted_ferry(opensrs={"create": False}, sync={"workers": 1, "retry_s": 3600})
    names = thousand(h)
    for i, victim in enumerate((lambda: h.ferry.workers(), lambda: [h.ferry.engine()])):
        there = len(api.users)
        failed = []
        command = threading.Thread(target=lambda: failed.append(h.provision(check=False)))
        command.start()
        processes.wait_until(lambda: len(api.users) > there + 100, 60, "accounts to be made")
        with api.lock:      # nothing is made meanwhile, however slow the machine
            for pid in victim():
                h.ferry.kill(pid)
        command.join(60)
        assert there + 100 < len(api.users) < 1000
        assert all(u["attributes"]["name"] for u in api.users.values())
        processes.wait_until(lambda: not h.ferry.command("status", check=False).returncode, 60, "the engine")
    assert " 0 failed" in h.provision()
    assert sorted(api.users) == names
    assert len({u["id"] for u in api.users.values()}) == 1000
