#!/usr/bin/python3
"""
The whole plan of a move to OpenSRS Hosted Email: from an account without a single mailbox to twenty users who are done.

    tests/demo/opensrs.py [--build DIR]     exit 0 only if all of it held

Real: two Dovecots, name servers (NSD), mailferry, clients. Not real: OpenSRS, for whose Mail API and migration tool
tests/fakes/opensrs stands in, with the new Dovecot behind it; and the days between the phases, for which mailferry's clock is
put forward while it is stopped.

The proof at the end is made by a reader that asks both servers directly. Nothing in it is taken from mailferry's records
but the checklist.
"""

import argparse
import json
import sqlite3
import sys

from hosting import DOMAIN, FOLDERS, KINDS, POP3_USERS, PULLED, UNTAKEN, USERS, WAVES, Hosting, kind_of
from screen import Screen
from world import Failed, await_it, end_on_signals, tell

from lib import mail, reader
from lib.clients import IdleClient, Prober
from lib.imapclient import ImapClient
from lib.ledger import Ledger
from lib.mailferry import write_csv
from lib.popclient import PopClient

RIGHT, WRONG, NOT_YET = 0, 1, 2     # check dns
STEP_S = 180                        # for anything that takes a while
WORDS = {   # who vouches for what, and when
    "weeks ahead": {"told": "Eve, mailing of the 3rd", "webmail-settings": "Eve, the same mailing",
                    "address-books": "Eve, the same mailing", "brand": "Frank, in the control panel"},
    "the week": {"accounts-frozen": "Frank, ticket 4711", "passwords-frozen": "Frank, ticket 4711",
                 "webmail-closed": "Grace, webmail goes through the proxy", "books-mailed": "Eve, sent on Monday"},
    "the day": {"provisioning-on": "Frank, ticket 4712"},
    "after": {"told-after": "Eve, last mailing"},
}


class Plan:
    def __init__(self, world, screen):
        self.world, self.screen = world, screen
        self.ledgers = {user: Ledger() for user in USERS}
        self.clients, self.logins, self.wrong = [], 0, []

    # ---- the story

    def play(self):
        self.build_stage()
        self.weeks_ahead()
        self.days_pass(14)
        self.the_week()
        self.the_day()
        self.switch_dns()
        self.days_pass(2)
        self.after()

    def build_stage(self):
        w, s = self.world, self.screen
        s.step("old (Dovecot), name servers of %s, and a hosting service without a mailbox" % DOMAIN)
        w.start_servers()
        for name, _ in KINDS:
            s.text("         old knows by %s: %s" % (name, people(u for u in USERS if kind_of(u)[0] == name)))
        s.text("         old knows by %s, which OpenSRS does not take: %s" % (kind_of(UNTAKEN)[0], people([UNTAKEN])))
        w.fill(lambda user, done, total: None)
        for user, ledger in self.ledgers.items():
            ledger.start_from(reader.read(w.old, user, w.context))
        s.step("%d mailboxes on old have %d messages" % (len(USERS), sum(sum(f.values()) for f in FOLDERS.values())))
        w.start_mailferry()
        s.step("mailferry stands in front of old")
        self.expect(not w.api.users and not w.api.domains, "the account at OpenSRS is not empty")

    def weeks_ahead(self):
        w, s = self.world, self.screen
        s.step("PHASE 1, three weeks ahead: prepare")
        self.expect(len(self.plan()["blocks"]) == 4, "not all that blocks is open at the start")
        self.visit_all("old")
        s.step("%d users have logged in through mailferry, with their usual passwords" % len(USERS))
        await_it(lambda: len(w.ferry.cli("strangers")["strangers"]) == len(USERS), 20, "everybody to be listed")
        path = w.folder + "/users.csv"
        write_csv(path, [{"user": u, "old_login": u, "new_login": u, "wave": wave} for wave, us in WAVES.items() for u in us])
        self.operate("import", path)
        self.visit_all("old")
        for user in POP3_USERS:
            client = PopClient(w.ferry.address, w.ferry.ports["pop3s"], w.context)
            self.expect(client.login(user, USERS[user]).startswith(b"+OK"), "%s cannot log in by POP3" % user)
            client.command(b"QUIT")
            client.close()
        await_it(lambda: self.learned() == len(USERS), 20, "passwords to be learned")
        s.step("what they log in with is learned, sealed")
        self.check_dns(WRONG, "MX", "serial")
        w.zone.shorten()
        s.step("the zone's TTLs are lowered, SPF allows OpenSRS, and the name server that the zone moves to has its records")
        w.zone.lapse()
        self.check_dns(NOT_YET, "MX", "SPF")
        self.vouch("weeks ahead")
        self.plan()

    def the_week(self):
        w, s = self.world, self.screen
        s.step("PHASE 2, a week ahead: accounts, and the copy of the mail")
        self.expect(len(self.plan()["blocks"]) == 3, "not three items block now")
        w.write_accounts()
        self.operate("provision", "--dry-run", status=1)
        s.step("so what %s logs in with has been learned, and is used" % people([UNTAKEN]))
        w.write_accounts(learned=[UNTAKEN])
        self.operate("pull", "--wave", PULLED, "--no-wait")
        self.operate("provision", only=" failed")
        self.operate("provision", only=" failed")
        self.expect(sorted(w.api.users) == sorted(USERS), "not all accounts were made")
        for wave in WAVES:
            w.ferry.command("retry", "--wave", wave)
        w.ferry.wait_state(list(USERS), ["provisioned", "syncing", "ready"], STEP_S)
        s.step("clients connect; their passwords are tried on new behind their backs")
        for user in USERS:
            self.connect(IdleClient, "idle", user)
        self.await_pulled()
        self.await_ready()
        self.operate("cutover", "--wave", "pilot", "--no-wait")
        s.text("         but: " + self.await_why(WAVES["pilot"][0], "phases"))
        self.vouch("the week")

    def the_day(self):
        s = self.screen
        s.step("PHASE 3, the day: users are moved, wave by wave")
        for wave, users in WAVES.items():
            prober = self.connect(Prober, "login", users[0], pace_s=0.3) if wave != "pilot" else None
            self.operate("cutover", "--wave", wave, only="" if wave == "pilot" else ": flipped")
            for c in self.clients:
                if c.user in users:
                    c.wait_on("new", 30)
            if prober:
                prober.finish()
            s.step("wave %s: every client is back, on new" % wave)
            self.deliver(users[1])
        self.plan()

    def switch_dns(self):
        w, s = self.world, self.screen
        look = self.check_dns(WRONG, "MX", "mail", "imap")
        s.step("the zone is made as check dns says")
        w.zone.change(look["zone"])
        self.check_dns(NOT_YET, "MX", "mail", w.zone.settings()["resolvers"])
        self.deliver(WAVES["office"][0])
        await_it(lambda: self.plan_items()["propagation"]["state"] == "done", STEP_S, "the last copy of the old MX to end")
        w.zone.lapse()
        self.check_dns(RIGHT, "MX", "mail", "imap", w.zone.settings()["resolvers"])
        self.part()
        self.vouch("the day")
        s.text("         %s: %s" % (WAVES["pilot"][0], self.await_why(WAVES["pilot"][0], "arrivals")))
        self.plan()

    def after(self):
        w, s = self.world, self.screen
        s.step("PHASE 4: nothing comes to old any more")
        w.ferry.wait_state(list(USERS), "done", STEP_S)
        self.vouch("after")
        await_it(lambda: self.learned() == 0, 20, "learned passwords to be erased")
        s.step("all users are done; what was learned of their passwords is erased")
        self.check_dns(RIGHT, "MX")
        self.operate("phases", DOMAIN)

    # ---- what it is made of

    def expect(self, holds, otherwise):
        if not holds:
            raise Failed(otherwise)

    def operate(self, *args, status=0, only=""):
        """only: of its lines those with this in them are shown"""
        got = self.world.operate(self.screen, *args, timeout_s=STEP_S, only=only)
        self.expect(got >= 0, "mailferry %s did not end within %d s" % (" ".join(args), STEP_S))
        self.expect(got == status, "mailferry %s: exit %d, where %d was to come" % (" ".join(args), got, status))

    def days_pass(self, days):
        self.screen.step("---- %d days pass ----" % days)
        self.world.days_pass(days)

    def plan_items(self):
        return {i["id"]: i for i in self.world.ferry.cli("phases", DOMAIN)["items"]}

    def plan(self):
        """Shows it; {state: ids}"""
        states = {state: [] for state in ("blocks", "warns", "not yet", "done")}
        for name, item in self.plan_items().items():
            states[item["state"]].append(name)
        self.screen.step("the plan: " + ", ".join("%d %s" % (len(v), k) for k, v in states.items()))
        for state, names in states.items():
            if names:
                self.screen.text("         %-8s %s" % (state, " ".join(names)))
        return states

    def vouch(self, when):
        for item, note in WORDS[when].items():
            self.world.ferry.command("phases", DOMAIN, "--done", item, "--note", note)
            self.screen.text("         vouched for: %s (%s)" % (item, note))

    def check_dns(self, status, *shown):
        """Its answer; these items of it are shown."""
        ferry = self.world.ferry
        done = ferry.command("--json", "check", "dns", DOMAIN, check=False)
        look = json.loads(done.stdout)["domains"][0]
        self.screen.step("mailferry check dns: " + look["verdict"])
        for i in look["items"]:
            if i["item"] in shown or (status == WRONG and i["verdict"] == "wrong"):
                self.screen.text("         %-9s %s: %s" % (i["verdict"], i["item"], i["text"]))
        self.expect(done.returncode == status, "check dns: exit %d, where %d was to come:\n%s" % (
            done.returncode, status, "\n".join("%(verdict)s %(item)s: %(text)s" % i for i in look["items"])))
        return look

    def await_why(self, user, name):
        """What `why` says of this check, as soon as it is what the user waits for."""
        def said():
            items = self.world.ferry.cli("why", user)["waits_for"]
            return next((i["text"] for i in items if i["name"] == name and i["state"] == "waits"), None)
        return await_it(said, STEP_S, "%s to wait for %s" % (user, name))

    def await_pulled(self):
        def pulled():
            done = self.world.ferry.cli("waves", "--wave", PULLED)["waves"][0]["pull"]["done"]
            self.screen.bars([(PULLED, done, len(WAVES[PULLED]), "pulled by OpenSRS's tool")])
            return done == len(WAVES[PULLED])
        await_it(pulled, STEP_S, "OpenSRS's tool to be through with wave " + PULLED)

    def await_ready(self):
        def ready():
            users = self.world.ferry.cli("users")["users"]
            count = {wave: [u["state"] for u in users if u["name"] in names] for wave, names in WAVES.items()}
            self.screen.bars([(w, states.count("ready"), len(states), "ready") for w, states in count.items()])
            return all(state == "ready" for states in count.values() for state in states)
        await_it(ready, STEP_S, "everybody to be ready")

    def visit(self, user, server):
        """One login through mailferry."""
        client = ImapClient(self.world.ferry.address, self.world.ferry.ports["imaps"], self.world.context)
        client.login(user, USERS[user])
        self.logins += 1
        self.expect(client.server_name() == server, "%s was led to %s, not to %s" % (user, client.server_name(), server))
        client.logout()

    def visit_all(self, server):
        for user in USERS:
            self.visit(user, server)

    def connect(self, kind, what, user, **options):
        f = self.world.ferry
        client = kind("%s %s" % (people([user]), what), user, USERS[user], f.address, f.ports["imaps"], self.world.context,
                      **options)
        self.clients.append(client)
        client.start()
        client.wait_on("old")
        return client

    def deliver(self, user):
        """Mail that comes to old after the move, as long as the MX leads there; it has to be on new then."""
        w, ledger = self.world, self.ledgers[user]
        stamp = "late-for-" + people([user])
        data, at = mail.message(stamp, 900), 1720000000
        client = ImapClient(w.old.address, w.old.ports["imaps"], w.context)
        client.login(user, USERS[user])
        ledger.append_begun(stamp, ("INBOX",), mail.digest(data), at, ())
        client.append(b"INBOX", data, b"", mail.imap_date(at))
        ledger.append_settled(stamp, True)
        client.logout()

        def there():
            return any(m.stamp == stamp for m in reader.read(w.new, user, w.context, USERS[user])[("INBOX",)].messages)
        await_it(there, STEP_S, "late mail of %s to be on new" % user)
        self.screen.step("a message that came to old for %s after the move is on new" % people([user]))

    def learned(self):
        with sqlite3.connect(self.world.ferry.folder + "/store/mailferry.db", timeout=10) as db:
            return db.execute("SELECT COUNT(*) FROM learned").fetchone()[0]

    def part(self):
        for c in self.clients:
            c.stopping.set()
        for c in self.clients:
            c.finish()

    # ---- the proof

    def report(self):
        """Returns the list of what is wrong."""
        self.screen.step("asking both servers for every message, with every user's own password")
        self.screen.text()
        wrong = []
        self.mail_table(wrong)
        self.check_logins(wrong)
        self.check_plan(wrong)
        self.check_secrets(wrong)
        wrong += self.world.ferry.complaints()
        return wrong

    def mail_table(self, wrong):
        w, rows = self.world, []
        for wave, users in WAVES.items():
            for user in users:
                new = reader.read(w.new, user, w.context, USERS[user])
                both = reader.compare(reader.read(w.old, user, w.context), new)
                promised = self.ledgers[user].check(new)
                account = w.api.users[user]["password"]
                rows.append([people([user]), wave, "OpenSRS's tool" if wave == PULLED else "mailferry", kind_of(user)[0],
                             account[:account.find("}") + 1] or "clear text", both.compared, promised.compared,
                             len(both.lost) + len(promised.lost), len(both.doubled) + len(promised.doubled)])
                if both or not promised.clean:
                    wrong.append("%s: both servers: %s; what was promised: %s" % (user, both, promised))
        self.screen.table(["user", "wave", "copied first by", "password on old", "given as", "on both", "as promised",
                           "lost", "doubled"], rows)

    def check_logins(self, wrong):
        self.visit_all("new")
        for c in self.clients:
            wrong += ["%s: login failed: %s" % (c.name, why) for _, why in c.failed_logins]
            if c.away_s() is None:
                wrong.append("%s did not come back on new" % c.name)
        logins = self.logins + sum(1 for c in self.clients for v in c.visits if v.logged_in)
        self.screen.text("\n%d logins through mailferry with users' own passwords, %d failed" % (
            logins, sum(len(c.failed_logins) for c in self.clients)))

    def check_plan(self, wrong):
        items = self.plan_items()
        wrong += ["the plan: %s: %s: %s" % (name, i["state"], i["text"]) for name, i in items.items() if i["state"] != "done"]
        for words in WORDS.values():
            wrong += ["the plan: %s: nobody's word" % name for name, note in words.items() if items[name]["note"] != note]
        self.screen.text("the plan: %d items, %d done; %d of them by somebody's word" % (
            len(items), sum(i["state"] == "done" for i in items.values()), sum(i["by_person"] for i in items.values())))

    def check_secrets(self, wrong):
        secrets, said = self.world.secrets(), self.screen.said.getvalue()
        found = ["a secret can be read in " + place for place, _ in self.world.ferry.found(secrets)]
        found += ["a secret was printed" for s in secrets if s in said]
        self.screen.text("%d passwords, hashes and tokens: %d found in files of mailferry's, on command lines or on this "
                         "screen" % (len(secrets), len(found)))
        wrong += found

    def logs(self):
        return "\n".join([c.transcript()[-1500:] for c in self.clients if c.failed_logins or c.broken] + [self.world.logs()])

    def end(self, _wrong):
        self.world.end()


def people(users):
    return ", ".join(u.split("@")[0] for u in users)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=None, help="folder of the programs")
    options = parser.parse_args()
    end_on_signals()
    screen = Screen()
    return tell("demo-opensrs", screen, Plan(Hosting(build=options.build), screen),
                "%d users moved to a hosting service that knew none of them, and the plan is done" % len(USERS))


if __name__ == "__main__":
    sys.exit(main())
