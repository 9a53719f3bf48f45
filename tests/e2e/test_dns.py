"""`mailferry check dns` against NSD, and against a server that nobody should believe."""

import concurrent.futures
import json
import os
import subprocess
import time

import pytest

from lib import fakedns, processes
from lib.nsd import NameServer, free_port

pytestmark = pytest.mark.any_servers

OWN, RESOLVER, EVIL = ["127.0.0.1", "127.0.0.2"], "127.0.0.3", "127.0.0.4"
RIGHT, WRONG, NOT_YET = 0, 1, 2
NEW = "opensrs-a"
CLUSTER = "cust.a.hostedemail.com."
NS = ["@ IN NS ns1", "@ IN NS ns2", "ns1 IN A 127.0.0.1", "ns2 IN A 127.0.0.2"]
SPF = '@ IN TXT "v=spf1 include:_spf.hostedemail.com ~all"'


def zone(mx, ttl=1, *more):
    return NS + [SPF, "@ %d IN MX %s" % (ttl, mx)] + list(more)


def new_mx(domain):
    return "10 mx.%s.%s" % (domain, CLUSTER)


OLD_MX = "10 mail.old.test."
ZONES = {
    "example.org": zone(OLD_MX),
    "long.test": zone(OLD_MX, 86400),
    "torn.test": zone(OLD_MX, 300),
    "large.test": NS + ["@ IN MX %d mx-with-a-long-name-so-that-it-takes-room-%d.old.test." % (i, i) for i in range(60)],
    "example.net": zone(OLD_MX, 300, "new IN A 192.0.2.1", "mail IN A 192.0.2.1"),
}
# Only the resolver has these: it knows the hosts of new, and believes the evil one.
KNOWN = {"n.test": NS + ["h IN A 127.0.0.1"], "evil.test": ["@ IN NS ns", "ns IN A " + EVIL]}
KNOWN.update({z: ["@ IN NS ns.evil.test."] for z in fakedns.ZONES})


class World:
    def __init__(self, folder):
        self.port = free_port(OWN + [RESOLVER, EVIL])
        self.own = [NameServer(os.path.join(folder, a), a, self.port, ZONES) for a in OWN]
        self.resolver = NameServer(os.path.join(folder, RESOLVER), RESOLVER, self.port, {**ZONES, **KNOWN})
        for server in self.own + [self.resolver]:
            server.start()

    def stop(self):
        for server in self.own + [self.resolver]:
            server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(str(tmp_path_factory.mktemp("dns")))
    yield w
    w.stop()


def dns_settings(world, timeout_s=10):
    return {"new": NEW, "resolvers": "%s:%d" % (RESOLVER, world.port), "port": world.port, "timeout_s": timeout_s,
            "smtp_port": 0, "webmail_port": 0, "watch_s": 1}


class Checker:
    """`check dns` with a ferry's store."""

    def __init__(self, ferry, conf):
        self.ferry, self.conf = ferry, str(conf)

    def run(self, *args):
        command = [os.path.join(self.ferry.build, "mailferry"), "-c", self.conf, "check", "dns", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def look(self, domain):
        """The exit status, {item: verdict}, and the answer."""
        done = self.run(domain, "--json")
        assert done.stdout, done.stderr
        look = json.loads(done.stdout)["domains"][0]
        return done.returncode, {i["item"]: i["verdict"] for i in look["items"]}, look


@pytest.fixture
def checker(ferry, world, tmp_path):
    """With the shared ferry's store, and settings of its own."""
    own = {"dns": dns_settings(world), 'domain "example.net"': {
        "new": "other", "mx": "10 mx.n.test", "host": "h.n.test", "names": "new, mail"}}
    conf = tmp_path / "dns.conf"
    with open(ferry.conf) as f:
        text = f.read()
    for section, values in own.items():
        text += "%s {\n%s}\n" % (section, "".join(
            " %s = %s\n" % (k, v if isinstance(v, int) else '"%s"' % v) for k, v in values.items()))
    conf.write_text(text)
    return Checker(ferry, conf)


def text_of(look, item):
    return next(i["text"] for i in look["items"] if i["item"] == item)


def planned(ferry, domain, *items):
    """How these items of the domain's plan stand."""
    states = {i["id"]: i["state"] for i in ferry.cli("phases", domain)["items"]}
    return [states[i] for i in items]


def awaits(ferry, name, text):
    """Until `why` says so: the engine looks by itself."""
    def said():
        items = ferry.cli("why", "anna@example.org")["waits_for"]
        return any(i["name"] == name and text in i["text"] for i in items)
    processes.wait_until(said, 15, "why to say that " + text)


def test_a_domain_from_its_first_look_to_the_last_copy(own_ferry, world, stage, person):
    ferry = own_ferry({"dns": dns_settings(world)})
    checker = Checker(ferry, ferry.conf)
    resolver = "%s:%d" % (RESOLVER, world.port)
    user = {"user": "anna@example.org", "old_login": person.name, "new_login": person.name}
    ferry.import_users([user], name="org.csv")
    status, verdicts, look = checker.look("example.org")
    assert (status, verdicts["MX"], verdicts["users"]) == (NOT_YET, "not yet", "not yet"), look
    assert "leave it" in text_of(look, "MX") and not look["mx"]["on_new"]
    assert planned(ferry, "example.org", "ttl-noted", "ttl", "mx", "propagation") == [
        "done", "done", "not yet", "not yet"]

    for server in world.own:
        server.change("example.org", zone(new_mx("example.org")))
    status, verdicts, look = checker.look("example.org")
    assert (status, verdicts["MX"]) == (WRONG, "wrong") and "leads to new already" in text_of(look, "MX")
    for server in world.own:
        server.change("example.org", zone(OLD_MX))

    ferry.wait_state("anna@example.org", "ready")
    ferry.command("cutover", "anna@example.org")
    status, verdicts, look = checker.look("example.org")
    assert (status, verdicts["MX"], verdicts["users"]) == (WRONG, "wrong", "right")
    assert planned(ferry, "example.org", "moved", "mx", "propagation") == ["done", "warns", "not yet"]
    awaits(ferry, "mx", "the MX still leads to old")
    stage.fill(person, {"INBOX": 2})        # the second one is \\Seen, as only a client saves it
    awaits(ferry, "strays", "1 changes on old after the move")
    assert [h for h in ferry.history("anna@example.org") if "past the proxy" in h["why"]]
    assert [i["lines"] for i in look["items"] if i["item"] == "MX"] == [
        ["example.org. 300 IN MX " + new_mx("example.org")]]

    for server in world.own:
        server.change("example.org", zone(new_mx("example.org")))
    status, verdicts, look = checker.look("example.org")
    assert status == NOT_YET and look["mx"]["on_new"] and verdicts[resolver] == "not yet"
    assert "still has MX: " + OLD_MX in text_of(look, resolver)
    assert look["mx"]["copies_until"] - look["mx"]["since"] == 1000    # the TTL that was noted
    awaits(ferry, "mx", "the last copy of the old one was gone at")

    row = next(d for d in ferry.cli("domains")["domains"] if d["domain"] == "example.org")
    assert (row["states"]["trailing"], row["users_with_strays"], row["mx"]["on_new"]) == (1, 1, True)
    assert "example.org" in ferry.command("domains").stdout
    assert planned(ferry, "example.org", "mx", "mail-names", "propagation", "trailing") == ["done", "done", "done", "warns"]

    world.resolver.change("example.org", zone(new_mx("example.org")))
    processes.wait_until(lambda: checker.look("example.org")[0] == RIGHT, 10, "all copies to be gone")


def test_a_long_ttl_outlasts_its_lowering(world, checker):
    status, verdicts, look = checker.look("long.test")
    assert (status, verdicts["MX"]) == (WRONG, "wrong") and "TTL of 86400 s" in text_of(look, "MX")
    for server in world.own:
        server.change("long.test", zone(OLD_MX, 300))
    before = time.time() * 1000
    status, verdicts, look = checker.look("long.test")
    assert (status, verdicts["MX"]) == (NOT_YET, "not yet")
    assert "copies with 86400 s may last until" in text_of(look, "MX")
    assert look["mx"]["copies_until"] >= before + 86400000 - 1000


def test_servers_that_do_not_agree_and_one_that_is_away(world, checker):
    world.own[1].change("torn.test", zone("20 other.old.test.", 300))
    status, verdicts, look = checker.look("torn.test")
    assert (status, verdicts["MX"], verdicts["serial"]) == (WRONG, "wrong", "not yet")
    assert "ns2.torn.test. says 20 other.old.test." in text_of(look, "MX")
    world.own[1].stop()
    try:
        status, verdicts, look = checker.look("torn.test")
        assert (status, verdicts["ns2.torn.test."], verdicts["MX"]) == (NOT_YET, "not known", "not yet"), look
    finally:
        world.own[1].start()


def test_what_no_datagram_holds_comes_by_tcp(checker):
    _, _, look = checker.look("large.test")
    said = [s["said"]["MX"] for s in look["servers"]]
    assert [s["outcome"] for s in said] == ["found"] * 3 and all(s["value"].count("|") == 59 for s in said)


def test_certificates_that_clients_will_meet(checker):
    _, verdicts, look = checker.look("example.net")
    assert (verdicts["new.example.net"], verdicts["mail.example.net"]) == ("right", "note"), look
    assert "clients will be warned" in text_of(look, "mail.example.net")


def test_nobody_to_ask(world, checker):
    done = checker.run("nowhere.test")
    assert done.returncode == NOT_YET and "REFUSED" in done.stdout
    done = checker.run("a b")
    assert done.returncode == NOT_YET and "is no domain's name" in done.stderr


EXPECTED = {    # item, verdict, and what is said of it
    "wrongid": ("not known", "no answer: timed out"),
    "otherquestion": ("not known", "no answer: timed out"),
    "silent": ("not known", "no answer: timed out"),
    "stall": ("not known", "no answer: timed out"),
    "many": ("not known", "more than 64 records"),
    "big": ("not known", "it is no DNS message"),
    "loop": ("not known", "a malformed MX record"),
    "circle": ("not known", "CNAME records in a circle"),
    "cut": ("not known", "it is no DNS message"),
    "refused": ("wrong", "REFUSED"),
    "servfail": ("wrong", "SERVFAIL"),
    "lame": ("wrong", "does not know that it is one"),
}


def test_answers_that_nobody_should_believe(world, checker):
    impatient = Checker(checker.ferry, checker.conf + ".impatient")
    with open(checker.conf) as conf, open(impatient.conf, "w") as own:
        own.write(conf.read().replace("timeout_s = 10", "timeout_s = 2"))
    evil = fakedns.FakeNameServer(EVIL, world.port)
    try:
        with concurrent.futures.ThreadPoolExecutor(len(EXPECTED)) as many:
            looks = dict(zip(EXPECTED, many.map(lambda kind: impatient.look(kind + ".test"), EXPECTED)))
    finally:
        evil.stop()
    found = {kind: next((i["verdict"], i["text"]) for i in look["items"] if i["item"] == "ns.evil.test.")
             for kind, (_, _, look) in looks.items()}
    for kind, (verdict, part) in EXPECTED.items():
        assert found[kind][0] == verdict and part in found[kind][1], (kind, found[kind])
        assert looks[kind][0] != RIGHT
