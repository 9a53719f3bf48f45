"""The plan of a domain: what is looked up, what a person vouches for, and whom it holds up."""

from lib import processes
from lib.imapclient import ImapClient

DOMAIN = "example.com"
VOUCHED = ["brand", "accounts-frozen", "passwords-frozen", "webmail-closed"]


def plan(f):
    return {i["id"]: i for i in f.cli("phases", DOMAIN)["items"]}


def visit(stage, f, person):
    client = ImapClient(f.address, f.ports["imaps"], stage.context)
    client.login(person.name, person.password)
    client.logout()


def refused(f, *args, status=1):
    done = f.command("phases", *args, check=False)
    assert done.returncode == status, done
    return done.stdout + done.stderr


def test_a_cutover_waits_for_the_plan(stage, own_ferry, person):
    f = own_ferry({"gate": {"phases": "require"}, "sync": {"delta_s": 1}})
    assert "no users" in f.command("phases").stdout
    visit(stage, f, person)    # before anybody imports her
    processes.wait_until(lambda: plan(f)["inventory"]["text"].startswith("0 users, and 1 names"), 10, "the stranger")
    stage.fill(person, {"INBOX": 2})
    f.import_users([person.name])
    assert plan(f)["clients"]["state"] == "warns"
    visit(stage, f, person)
    processes.wait_until(lambda: plan(f)["clients"]["state"] == "done", 10, "her login to be counted")
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

    shown = plan(f)
    assert shown["moved"]["state"] == shown["sessions"]["state"] == "done"
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
