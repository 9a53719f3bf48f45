"""The plan of a domain: what is looked up, what a person vouches for, and whom it holds up. And its inventory."""

import csv
import io

import pytest

from lib import processes

pytestmark = pytest.mark.any_servers

DOMAIN = "example.com"
VOUCHED = ["brand", "accounts-frozen", "passwords-frozen", "webmail-closed"]


def plan(f):
    return {i["id"]: i for i in f.cli("phases", DOMAIN)["items"]}


def visit(stage, f, person, name=None):
    stage.client(f, person, name).logout()


def refused(f, *args, status=1):
    done = f.command("phases", *args, check=False)
    assert done.returncode == status, done
    return done.stdout + done.stderr


def test_a_cutover_waits_for_the_plan(stage, own_ferry, person):
    f = own_ferry({"gate": {"phases": "require"}, "sync": {"delta_s": 1}})
    assert "no users" in f.command("phases").stdout
    visit(stage, f, person)    # before anybody imports her
    processes.wait_until(lambda: plan(f)["inventory"]["text"].startswith("0 users, and 1 names"), 60, "the stranger")
    stage.fill(person, {"INBOX": 2})
    f.import_users([person.name])
    # As soon as the session of before is over in the store too: it was the stranger's, and counts for nobody.
    processes.wait_until(lambda: plan(f)["clients"]["state"] == "warns", 60, "nobody to be seen")
    visit(stage, f, person)
    processes.wait_until(lambda: plan(f)["clients"]["state"] == "done", 60, "her login to be counted")
    assert plan(f)["inventory"]["state"] == "done"
    assert plan(f)["mx"]["state"] == "warns" and "dns.new" in plan(f)["mx"]["remedy"]

    # What blocks holds her up, until somebody has seen to each.
    f.command("cutover", person.name, "--no-wait")
    open_at = "the plan of %s is open at " % DOMAIN
    f.wait_state(person.name, "ready", 30)
    processes.wait_until(lambda: f.command("why", person.name).stdout.count("waits  ") == 1, 30, "only the plan to wait")
    assert "waits  phases: " + open_at + ", ".join(VOUCHED) in f.command("why", person.name).stdout
    for item in VOUCHED[1:]:
        assert f.cli("phases", DOMAIN, "--done", item, "--note", "Eve, ticket 4711")["changed"]
    assert "waits  phases: " + open_at + "brand;" in f.command("why", person.name).stdout.replace("\n", ";")
    assert f.state(person.name) == "ready" and plan(f)["sessions"]["state"] == "not yet"
    assert f.cli("phases")["domains"][0]["blocks"] == 1
    f.command("phases", DOMAIN, "--done", "brand", "--note", "as in #12")
    f.wait_state(person.name, "trailing", 30)

    processes.wait_until(lambda: plan(f)["sessions"]["state"] == "done", 60, "her last session to be gone from the store")
    shown = plan(f)
    assert shown["moved"]["state"] == "done"
    assert shown["brand"]["by"].startswith("operator uid") and shown["brand"]["note"] == "as in #12"


def test_a_word_is_taken_back_and_kept(stage, ferry):
    f, domain = ferry, "other.example"
    assert f.cli("phases", "Other.Example.", "--done", "told", "--note", "one")["domain"] == domain
    assert not f.cli("phases", domain, "--done", "told", "--note", "one")["changed"]
    assert f.cli("phases", domain, "--done", "told", "--undo")["changed"]
    assert [(h["item"], h["done"], h["note"]) for h in f.cli("phases", domain)["history"]] == [
        ("told", True, "one"), ("told", False, "")]
    text = f.command("phases", domain).stdout
    assert text.count("\nPhase ") == 4 and "taken back" in text
    page = f.command("phases", domain, "--markdown").stdout
    assert page.startswith("# Moving " + domain) and "- [ ] **told** (warns)" in page and "told (taken back): " in page

    assert "mx is looked up; nobody can vouch for it" in refused(f, domain, "--done", "mx", "--note", "x")
    assert "no item of that name: nonsense" in refused(f, domain, "--done", "nonsense", "--note", "x")
    assert 'no domain\'s name: "not a domain"' in refused(f, "not a domain")
    assert "at most 1024 bytes" in refused(f, domain, "--done", "told", "--note", "x" * 1025)
    assert "--note says who" in refused(f, domain, "--done", "told", status=2)
    assert "--done names the item" in refused(f, domain, "--undo", status=2)


def test_who_was_seen_with_what(stage, own_ferry):
    seen, absent, stranger = stage.take(), stage.take(), stage.take()
    f = own_ferry()
    f.import_users([seen.name], wave="a")
    f.import_users([absent.name, "=1+1@example.com"], wave="b", name="b.csv")
    visit(stage, f, seen, b'=EVIL()')
    visit(stage, f, stranger)

    def rows(*args):
        return {r["user"]: r for r in csv.DictReader(io.StringIO(f.command("inventory", "--csv", *args).stdout))}
    processes.wait_until(lambda: stranger.name in rows() and rows()[seen.name]["last_seen"] != "never", 60, "both logins")
    assert set(rows()) == {seen.name, absent.name, stranger.name, "'=1+1@example.com"}    # no formula
    assert rows()[seen.name]["clients"] == "imap =EVIL()" and rows()[seen.name]["wave"] == "a"
    assert (rows()[absent.name]["last_seen"], rows()[absent.name]["clients"]) == ("never", "")
    assert rows()[stranger.name]["state"] == "not imported"
    assert set(rows("--wave", "b")) == {absent.name, "'=1+1@example.com"}
    shown = f.command("inventory").stdout
    assert "imap =EVIL()" in shown and "4 names, 2 of them never seen" in shown
    told = {u["user"]: u for u in f.cli("inventory")["users"]}
    assert told[seen.name]["access"][0]["logins"] == 1 and told[absent.name]["last_seen"] is None
    assert "not both" in f.command("inventory", "--csv", "--json", check=False).stderr
