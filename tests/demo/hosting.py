"""The stage of demo-opensrs: a mail host's old server, its DNS, and a hosting service that knows nobody yet."""

import base64
import hashlib
import os
import secrets
import shutil

from world import World

from fakes import opensrs
from fakes.opensrs.hashes import crypted
from lib.dovecot import Dovecot
from lib.mailferry import ACCOUNT_COLUMNS, write_csv
from lib.nsd import NameServer, free_port
from lib.preload import preload

DOMAIN = "example.com"
NAMES = ("anna bert carla dora emil fritz gerda hanna igor jana karl lena marek nina olaf paula quentin rosa stefan "
         "tilda").split()
USERS = {"%s@%s" % (n, DOMAIN): secrets.token_hex(8) for n in NAMES}
BY_NAME = list(USERS)
WAVES = {"pilot": BY_NAME[:4], "office": BY_NAME[4:12], "branch": BY_NAME[12:]}
PULLED = "branch"           # by OpenSRS's own tool
POP3_USERS = BY_NAME[2:4]
UNTAKEN = BY_NAME[-1]       # whose kind of hash OpenSRS does not take
FOLDERS = {u: {"INBOX": 20 + i, "Sent": 5, "Entw&APw-rfe": 2, "Projekte": 3, "Projekte/Z&APw-rich": 4}
           for i, u in enumerate(USERS)}

# ---- hashes


def digest(kind, password, salt=b""):
    return hashlib.new(kind, password.encode() + salt).digest() + salt


# What it is called, and how it is made of a password and a salt of eight letters; as old keeps it.
KINDS = [
    ("Unix-crypt", lambda p, s: crypted(p, s[:2])),
    ("MD5-crypt", lambda p, s: crypted(p, "$1$" + s)),
    ("bcrypt", lambda p, s: crypted(p, "$2y$05$" + "abcdefghijklm." + s)),
    ("SHA-256-crypt", lambda p, s: crypted(p, "$5$" + s)),
    ("SHA-512-crypt", lambda p, s: "{SHA512-CRYPT}" + crypted(p, "$6$" + s)),
    ("salted SHA-1 of LDAP", lambda p, s: "{SSHA}" + base64.b64encode(digest("sha1", p, s.encode())).decode()),
    ("salted SHA-512 in hexadecimal", lambda p, s: "{SSHA512.HEX}" + digest("sha512", p, s.encode()).hex()),
]
NOT_TAKEN = ("PBKDF2", lambda p, s: "{PBKDF2}$1$%s$5000$%s" % (
    s, hashlib.pbkdf2_hmac("sha1", p.encode(), s.encode(), 5000).hex()))


def kind_of(user):
    return NOT_TAKEN if user == UNTAKEN else KINDS[BY_NAME.index(user) % len(KINDS)]


HASHES = {u: kind_of(u)[1](p, hashlib.md5(u.encode()).hexdigest()[:8]) for u, p in USERS.items()}


class OldDovecot(Dovecot):
    """Knows its users by those hashes."""

    def _write_users(self):
        self._write("users", ["%s:%s::::::" % (u, h if h.startswith("{") else "{CRYPT}" + h) for u, h in HASHES.items()])


# ---- DNS

OWN, RESOLVER, NEXT = ["127.0.0.1", "127.0.0.2"], "127.0.0.3", "127.0.0.4"
OLD_NS, NEXT_NS = ["ns1.old.test.", "ns2.old.test."], ["ns1.next.test."]
LONG_S, SHORT_S = 7200, 3       # TTLs


def old_records(ttl, spf="ip4:192.0.2.25"):
    return ["@ %d IN MX 10 mx.old.test." % ttl, '@ IN TXT "v=spf1 %s ~all"' % spf,
            "mail %d IN A 127.0.0.1" % ttl,     # the proxy
            "imap %d IN CNAME mail" % ttl, "pop %d IN CNAME mail" % ttl, "smtp %d IN CNAME mail" % ttl,
            "webmail %d IN A 192.0.2.80" % ttl]


class Zone:
    """The domain's zone: on two name servers of old's, on one that it moves to, and in the cache of a resolver (NSD, too)."""

    def __init__(self, folder):
        self.port = free_port(OWN + [RESOLVER, NEXT])
        self.lines = ["@ IN NS " + n for n in OLD_NS] + old_records(LONG_S)
        known = {   # of the rest of the world
            "old.test": ["@ IN NS ns1", "ns1 IN A " + OWN[0], "ns2 IN A " + OWN[1], "mx IN A 192.0.2.25"],
            "next.test": ["@ IN NS ns1", "ns1 IN A " + NEXT],
            "hostedemail.com": ["@ IN NS ns1.old.test."] + ["%s.%s.cust.a IN A 127.0.0.1" % (n, DOMAIN)
                                                            for n in ("mx", "mail", "webmail")],
        }
        self.own = [self._server(folder, a, {DOMAIN: self.lines}) for a in OWN]
        self.next = self._server(folder, NEXT, {DOMAIN: ["@ IN NS ns1.next.test."]})
        self.resolver = self._server(folder, RESOLVER, {DOMAIN: self.lines, **known})
        self.servers = self.own + [self.next, self.resolver]

    def _server(self, folder, address, zones):
        return NameServer(os.path.join(folder, address), address, self.port, zones)

    def start(self):
        for s in self.servers:
            s.start()

    def stop(self):
        for s in self.servers:
            s.stop()

    def shorten(self):
        """TTLs; and SPF allows both."""
        self.change(["@ IN NS " + n for n in OLD_NS] +
                    old_records(SHORT_S, "include:_spf.hostedemail.com ip4:192.0.2.25"))

    def change(self, lines):
        """On all that are authoritative."""
        self.lines = lines
        for s in self.own + [self.next]:
            s.change(DOMAIN, self.lines)

    def lapse(self):
        """What the resolver had is gone: it asks anew."""
        self.resolver.change(DOMAIN, self.lines)

    def settings(self):
        return {"new": "opensrs-a", "port": self.port, "resolvers": "%s:%d" % (RESOLVER, self.port),
                "servers": ", ".join(NEXT_NS), "watch_s": 1, "timeout_s": 2, "smtp_port": 0, "webmail_port": 0}


# ---- all of it

ADMIN = "admin@shop.adm"


class Hosting(World):
    users, folders, big = USERS, FOLDERS, {}

    def __init__(self, build=None):
        super().__init__(build=build)
        self.admin_password = secrets.token_hex(8)
        self.days = 0       # that mailferry's clock is ahead
        self.api = opensrs.OpenSRS(self.ca, opensrs.Mailboxes(self.new))
        self.api.admins = [(ADMIN, self.admin_password, "company", "shop", None)]
        self.api.pull_context = self.context
        self.zone = Zone(os.path.join(self.folder, "dns"))
        self.accounts = os.path.join(self.folder, "accounts.csv")

    def make_servers(self, masters):
        old = OldDovecot("old", os.path.join(self.folder, "old"), self.ca, self.users, masters, separator=".",
                         prefix="INBOX.")
        new = opensrs.Mailboxes.server("new", os.path.join(self.folder, "new"), self.ca)
        names = [new.tls_name, "localhost", "IP:127.0.0.1"] + ["%s.%s" % (n, DOMAIN) for n in ("mail", "imap", "pop")]
        shutil.copy(self.ca.make(os.path.join(new.folder, "server.pem"), names), os.path.join(new.folder, "server.key"))
        return old, new

    def start_servers(self):
        super().start_servers()
        self.api.start()
        self.zone.start()

    def start_mailferry(self):
        password_file = os.path.join(self.folder, "admin.password")
        ferry = self.make_mailferry({
            "sync": {"fence_s": 5, "trailing_quiet_days": 1},
            "gate": {"phases": "require", "shadow_login": True, "password_unknown": "require", "uidvalidity": "require",
                     "certificate_days": 7},
            "opensrs": {"cluster": self.api.url, "user": ADMIN, "password_file": password_file, "ca_file": self.ca.cert,
                        "accounts": self.accounts, "create": False, "pull_poll_s": 1},
            "dns": self.zone.settings(),
        }, env=preload(self.folder, "leap", self.build))
        with open(password_file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write(self.admin_password + "\n")
        ferry.own(password_file)
        key_file = os.path.join(self.folder, "learn.key")
        public_key = ferry.cli("learn-key", key_file)["public_key"]
        ferry.write_conf({**ferry.sections, "learn": {"domains": DOMAIN, "key_file": key_file, "public_key": public_key}})
        ferry.start()

    def write_accounts(self, learned=()):
        """As old has its users; where it must be, what clients have logged in with in place of the hash."""
        rows = [{"user": "@" + DOMAIN, "quota": "5G", "timezone": "Europe/Berlin"}]
        rows += [{"user": u, "name": u.split("@")[0].title(), "quota": "2G", "language": "de_DE",
                  "hash": "learned" if u in learned else HASHES[u]} for u in USERS]
        rows[1]["aliases"] = "office@" + DOMAIN
        write_csv(self.accounts, rows, columns=ACCOUNT_COLUMNS)
        os.chmod(self.accounts, 0o600)
        self.ferry.own(self.accounts)

    def days_pass(self, days):
        """Nobody waits for them: mailferry is stopped, and started with another clock."""
        self.days += days
        self.ferry.stop()
        self.api.advance(days * 86400)
        self.ferry.env["LEAP_REAL_S"] = str(self.days * 86400)
        self.ferry.start(new_store=False)

    def secrets(self):
        """What may be read nowhere but where it must be."""
        return [self.admin_password, *USERS.values(), *HASHES.values(), *(t["token"] for t in self.api.tokens)]

    def end(self, keep_files=False):
        self.api.stop()
        self.zone.stop()
        super().end(keep_files)
