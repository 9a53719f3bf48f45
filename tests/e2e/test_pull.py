"""OpenSRS's own migration tool as the copier: batches, their ends and faults, and that our passes take over."""

import glob
import json
import os
import subprocess

import pytest

from fakes import opensrs
from lib import processes
from lib.imapclient import ImapClient
from lib.mailferry import CommandFailed, build_folder
from test_copy import expunge
from test_learned import sealed
from test_openapi import ask
from test_opensrs import PASSWORD, api, hashed, hosted, hosted_ferry, one_api  # noqa: F401

pytestmark = pytest.mark.any_servers


@pytest.fixture
def pulling(stage, api, hosted_ferry):      # noqa: F811
    """A factory: people with accounts and mail, imported with their own passwords on old, and nobody copies yet."""
    api.pull_context = stage.context

    def make(count, mail=None, **settings):
        people = [stage.take() for _ in range(count)]
        opensrs = {"create": False, "pull_poll_s": 1, **settings.pop("opensrs", {})}
        h = hosted_ferry(opensrs=opensrs, gate={"uids": "require", "uidvalidity": "warn"}, **settings)
        h.write([{"user": p.name, "hash": hashed(p.password, "$5$")} for p in people])
        for p in people:
            stage.fill(p, mail or {"INBOX": 3, "INBOX.Sent": 2})
        h.ferry.import_users([{"user": p.name, "wave": "1",
                               "old_password_file": h.ferry.secret_file(p.name, p.password)} for p in people])
        return h, people

    return make


def begin(h, *whom):
    """Asked before there are accounts, so that no pass of ours is first."""
    whom = whom or ("--wave", "1")
    h.ferry.command("pull", *whom, "--no-wait")
    h.provision(*whom)
    h.ferry.command("retry", *whom)


def pulls(h):
    return {u["user"]: u for u in h.ferry.cli("pull", "--wave", "1", "--dry-run")["users"]}


def shown(h, p):
    why = h.ferry.cli("why", p.name)
    return next((i["text"] for i in why["waits_for"] if i["name"] == "pull"), "")


def mail_of(stage, api, p):     # noqa: F811
    """{folder: how many} on new."""
    done = api.mailboxes._doveadm("-f", "tab", "mailbox", "status", "-u", p.name, "messages", "*")
    return {f: int(n) for f, n in (line.split("\t") for line in done.split("\n")[1:-1]) if int(n)}


def test_a_wave_by_the_tool(pulling, stage, api, imap):        # noqa: F811
    """One job for all; our own passes adopt, find nothing twice, and the gate wants plain UIDs to be waived."""
    rules = os.path.join(stage.folder, "pull-rules")
    with open(rules, "w") as f:
        f.write('skip "INBOX.Left"\nmap "INBOX.Work" = "Job"\n')
    h, people = pulling(3, {"INBOX": 3, "INBOX.Sent": 2, "INBOX.Left": 1, "INBOX.Work": 1}, sync={"folders": rules})
    a = people[0]
    c = ImapClient(stage.old.address, stage.old.ports["imaps"], stage.context)      # a hole in the UIDs
    c.login(a.name, a.password)
    expunge(c, b"INBOX", b"1")
    c.logout()
    begin(h)
    h.ferry.command("pull", "--wave", "1")     # asked again: only followed
    assert [len(r["users"]) for r in api.asked("migration_add")] == [3]
    element = next(u for u in api.asked("migration_add")[0]["users"] if u["local"] == a.name)
    assert element["server"] == "%s:%d" % (stage.old.address, stage.old.ports["imaps"])
    assert element["method"] == "imap4s" and element["remote"] == a.name
    assert element["translate"] == {"INBOX.Sent": "Sent", "INBOX.Work": "Job"} and element["skip"] == ["INBOX.Left"]
    h.ferry.wait_state([p.name for p in people], "ready")
    for p in people:
        assert mail_of(stage, api, p) == {"INBOX": 2 if p is a else 3, "Sent": 2, "Job": 1}
        assert h.ferry.user(p.name)["progress"]["copied"] == 0
    assert "has pulled 5 messages and skipped 1" in shown(h, a)
    assert h.ferry.cli("waves")["waves"][0]["pull"]["done"] == 3

    h.ferry.command("cutover", a.name, "--no-wait")
    uids = next(i for i in h.ferry.cli("why", a.name)["waits_for"] if i["name"] == "uids")
    assert uids["state"] == "waits" and uids["text"].startswith("plain: ")
    h.ferry.cli("waive", "--wave", "1", "uids", "--note", "pulled by OpenSRS")
    h.ferry.cli("cutover", "--wave", "1")
    c = imap(h.ferry)
    c.login(a.name, a.password)
    assert b"* 2 EXISTS" in b"".join(c.command(b"SELECT INBOX")[0])
    with pytest.raises(CommandFailed) as failed:
        h.ferry.command("pull", a.name)
    assert "is on new already" in failed.value.out
    assert not h.ferry.found([PASSWORD, *(t["token"] for t in api.tokens)])


def test_with_learned_passwords(stage, api, hosted_ferry, imap):     # noqa: F811
    """Our own copier comes to old as a master user; the tool is told what each user has logged in with."""
    api.pull_context = stage.context
    people = [stage.take() for _ in range(3)]
    key = os.path.join(stage.folder, "pull-%s.key" % people[0].name)
    made = subprocess.run([os.path.join(build_folder(), "mailferry"), "--json", "learn-key", key], check=True,
                          capture_output=True, stdin=subprocess.DEVNULL)
    h = hosted_ferry(opensrs={"create": False, "pull_poll_s": 1}, learn={
        "domains": "example.com", "key_file": key, "public_key": json.loads(made.stdout)["public_key"]})
    h.write([{"user": p.name, "hash": hashed(p.password, "$5$")} for p in people])
    h.ferry.import_users([p.name for p in people])
    for p in people:
        stage.fill(p, {"INBOX": 2})
        imap(h.ferry).login(p.name, p.password)
    processes.wait_until(lambda: len(sealed(h.ferry)) == len(people), 30, "all to be learned")
    begin(h)
    h.ferry.command("pull", "--wave", "1")
    assert sorted(u["local"] for r in api.asked("migration_add") for u in r["users"]) == sorted(p.name for p in people)
    h.ferry.wait_state([p.name for p in people], "ready")
    assert all(mail_of(stage, api, p) == {"INBOX": 2} for p in people)


def test_who_cannot_be_pulled(pulling, stage, api):        # noqa: F811
    """Said before anything is sent: no password, no way to old, the proxy's own address."""
    h, (p,) = pulling(1)
    without = stage.take()
    h.ferry.import_users([{"user": without.name, "wave": "1"}], name="more.csv")
    with pytest.raises(CommandFailed) as failed:
        h.ferry.command("pull", "--wave", "1", "--dry-run")
    assert "%s: refused: OpenSRS's tool needs the user's own password on old" % without.name in failed.value.out
    assert "remedy: old_password_file in the import" in failed.value.out
    assert "1 users for OpenSRS's tool, 0 of them asked for before, 1 refused" in failed.value.out
    assert not api.asked("migration_add")


@pytest.mark.parametrize("server", ["mail.example.com:993", None])
def test_never_by_the_proxy(pulling, stage, api, server):      # noqa: F811
    port = processes.free_ports(1)[0]
    listener = {"protocol": "imap", "address": "0.0.0.0", "port": port, "tls": "implicit"}
    h, (p,) = pulling(1, opensrs={"pull_server": server or "localhost:%d" % port},
                      **{} if server else {"listener ours": listener})
    if server:
        with pytest.raises(CommandFailed) as failed:
            h.ferry.command("pull", p.name)
        assert "is a name that clients use (dns.names)" in failed.value.out
    else:
        begin(h, p.name)
        processes.wait_until(lambda: "OpenSRS's tool failed" in shown(h, p), 60, "it to be refused")
        assert "is the proxy's own address" in shown(h, p) and "remedy: give the old server's" in shown(h, p)
        h.ferry.wait_state(p.name, "ready")     # by our own copier
    assert not api.asked("migration_add")


def test_killed_and_followed(pulling, stage, api):     # noqa: F811
    """The job goes on there: whoever comes after finds it by its name."""
    h, people = pulling(2)
    api.pull_go.clear()
    begin(h)
    processes.wait_until(lambda: api.asked("migration_status"), 60, "the job to be followed")
    for victim in (lambda: h.ferry.workers(), lambda: [h.ferry.engine()]):
        asked = len(api.asked("migration_jobs"))
        for pid in victim():
            h.ferry.kill(pid)
        processes.wait_until(lambda: len(api.asked("migration_jobs")) > asked, 60, "somebody else to go on")
    assert {u["state"] for u in h.ferry.cli("users")["users"]} == {"provisioned"}   # nobody copies besides
    api.pull_go.set()
    h.ferry.command("pull", "--wave", "1")
    h.ferry.wait_state([p.name for p in people], "ready")
    assert len(api.asked("migration_add")) == 1
    for p in people:
        assert mail_of(stage, api, p) == {"INBOX": 3, "Sent": 2}


def looks(api, n=1, method="migration_status", within_s=40):     # noqa: F811
    """Until OpenSRS was asked so often again."""
    asked = len(api.asked(method))
    processes.wait_until(lambda: len(api.asked(method)) >= asked + n, within_s, "%d calls of %s" % (n, method))


def begun(h, api, people):     # noqa: F811
    """Until the tool is at it and the store knows: only then is somebody to follow it whoever is killed."""
    looks(api)
    processes.wait_until(lambda: h.ferry.cli("status")["pull"]["running"] == len(people), 60, "the job to be in the store")


def under_way(h, people):
    """Nobody is let go: our own copier waits, and nobody can say that it need not."""
    counts = h.ferry.cli("status")["pull"]
    undone = h.ferry.command("pull", "--wave", "1", "--undo", check=False)
    return (counts["running"] == len(people) and undone.stdout.count(": refused: OpenSRS's tool may be at it") == len(people)
            and {u["state"] for u in h.ferry.cli("users")["users"]} == {"provisioned"})


def ends_well(h, people, stage, api):       # noqa: F811
    h.ferry.command("pull", "--wave", "1")
    h.ferry.wait_state([p.name for p in people], "ready")
    assert sorted(u["local"] for r in api.asked("migration_add") for u in r["users"]) == sorted(p.name for p in people)
    for p in people:
        assert mail_of(stage, api, p) == {"INBOX": 3, "Sent": 2}
        assert h.ferry.user(p.name)["progress"]["copied"] == 0


@pytest.mark.parametrize("trouble", ["rules"] + [
    pytest.param(t, marks=pytest.mark.full) for t in ("api", "password", "list", "gone", "late")])
def test_our_trouble_lets_nobody_go(pulling, stage, api, trouble):     # noqa: F811
    """The tool may be at it: what we lack, or cannot ask, is shown, and the job followed on when it is mended."""
    rules = os.path.join(stage.folder, "trouble-rules")
    with open(rules, "w") as f:
        f.write("# none\n")
    h, people = pulling(2, sync={"folders": rules})
    api.pull_go.clear()
    begin(h)
    begun(h, api, people)
    if trouble == "rules":
        with open(rules, "w") as f:
            f.write("nonsense\n")
    elif trouble == "api":
        api.fail("503", times=10 ** 6)
    elif trouble == "password":
        for p in people:
            os.unlink(h.ferry.secret_file(p.name, p.password))
    elif trouble == "list":
        api.list_lags = True
    elif trouble == "gone":
        jobs = dict(api.jobs)
        api.jobs.clear()
        looks(api, 2)
        api.jobs.update(jobs)
    else:
        jobs = dict(api.jobs)
        api.jobs.clear()
    for pid in h.ferry.workers() if trouble != "password" else [h.ferry.engine()]:
        h.ferry.kill(pid)
    if trouble == "api":
        processes.wait_until(lambda: h.ferry.log_text(4000).count("it goes on in ") >= 3, 60, "the next workers to give up")
    elif trouble in ("rules", "password"):
        processes.wait_until(lambda: "cannot be followed" in h.ferry.log_text(4000), 60, "it to be missed")
    elif trouble == "late":
        looks(api, 3, "migration_jobs")     # the next worker does not find it, and does not begin it again
        api.jobs.update(jobs)
        looks(api, 2)
    else:
        looks(api, 2)
    with open(rules, "w") as f:
        f.write("# none\n")
    assert under_way(h, people), (h.ferry.cli("status")["pull"], [shown(h, p) for p in people])
    if trouble in ("api", "password"):
        assert {"api": "HTTP 503", "password": "password"}[trouble] in shown(h, people[0])
    for p in people:
        h.ferry.secret_file(p.name, p.password)
    api.faults.clear()
    api.pull_go.set()
    ends_well(h, people, stage, api)


@pytest.mark.full
def test_who_cannot_be_followed_is_not_through(pulling, stage, api):     # noqa: F811
    """One is not in the answer yet, and of the other one the engine lacks the password: so nobody knows that the tool is through with him."""
    h, (a, b) = pulling(2)
    api.pull_go.clear()
    api.forge_status = lambda answer: answer.update(users=[u for u in answer["users"] if u["user"] != b.name])
    begin(h)
    begun(h, api, (a, b))
    os.unlink(h.ferry.secret_file(a.name, a.password))
    h.ferry.kill(h.ferry.engine())
    processes.wait_until(lambda: "%s cannot be followed" % a.name in h.ferry.log_text(4000), 60, "one to be missed")
    looks(api, 7)
    processes.wait_until(lambda: "or has not come to it yet" in shown(h, b), 60, "the reason")
    assert under_way(h, [a, b]), (h.ferry.cli("status")["pull"], [shown(h, p) for p in (a, b)])
    assert "password file" in shown(h, a)
    h.ferry.secret_file(a.name, a.password)
    api.forge_status = None
    api.pull_go.set()
    ends_well(h, [a, b], stage, api)


@pytest.mark.full
def test_who_can_be_followed_again_waits_for_nobody(pulling, stage, api):     # noqa: F811
    """The other one's mailbox stands still: the worker would never end by itself."""
    h, (a, b) = pulling(2)
    api.pull_go.clear()
    begin(h)
    begun(h, api, (a, b))
    os.unlink(h.ferry.secret_file(a.name, a.password))
    h.ferry.kill(h.ferry.engine())
    processes.wait_until(lambda: "%s cannot be followed" % a.name in h.ferry.log_text(4000), 60, "one to be missed")
    looks(api)
    assert "password file" in shown(h, a)
    h.ferry.secret_file(a.name, a.password)
    processes.wait_until(lambda: "password file" not in shown(h, a), 60, "it to be followed again")
    assert under_way(h, [a, b])
    api.pull_go.set()
    ends_well(h, [a, b], stage, api)


@pytest.mark.full
def test_who_was_let_go_may_be_pulled_yet(pulling, stage, api):     # noqa: F811
    """Taken back by a person while the tool stands still at him: it may come to the other one, who is not in the answer yet."""
    h, (a, b) = pulling(2, opensrs={"pull_still_s": 10})
    api.pull_go.clear()
    api.forge_status = lambda answer: answer.update(users=[u for u in answer["users"] if u["user"] != b.name])
    begin(h)
    processes.wait_until(lambda: h.ferry.cli("status")["pull"]["stuck"] == 2, 30, "both to stand still")
    h.ferry.command("pull", a.name, "--undo")
    for pid in h.ferry.workers():
        h.ferry.kill(pid)
    looks(api, 8)
    assert pulls(h)[b.name]["result"] == "open", shown(h, b)
    assert h.ferry.user(b.name)["state"] == "provisioned"
    assert len(api.asked("migration_add")) == 1
    api.forge_status = None
    api.pull_go.set()
    h.ferry.wait_state(b.name, "ready", 60)
    assert mail_of(stage, api, b) == {"INBOX": 3, "Sent": 2}
    assert h.ferry.user(b.name)["progress"]["copied"] == 0


@pytest.mark.full
def test_left_out_for_a_while(pulling, stage, api):     # noqa: F811
    """What goes by is no failure of anybody: nothing was given to the tool, and it is tried on."""
    h, people = pulling(2)

    def put_off(times):
        processes.wait_until(lambda: h.ferry.log_text(4000).count("goes into another batch: ") >= times * len(people), 60,
                             "%d batches that were not begun" % times)

    api.fail("503", "migration_jobs", times=10 ** 6)
    begin(h)
    put_off(1)
    token = opensrs.Fault("503", "generate_token", 10 ** 6, None)
    api.faults = [token]
    put_off(4)
    assert h.ferry.cli("status")["pull"]["waiting"] == len(people)
    assert "waits for a batch, once more: " in shown(h, people[0])
    assert not api.asked("migration_add")
    api.faults = []
    ends_well(h, people, stage, api)


@pytest.mark.full
def test_it_stands_still_and_goes_on(pulling, stage, api):      # noqa: F811
    """What was seen last and when is said; it is followed on, and nobody has to say anything when it moves again."""
    h, people = pulling(2, opensrs={"pull_still_s": 10})
    api.pull_go.clear()
    begin(h)
    processes.wait_until(lambda: "stands still: the tool does not begin; 0 of 0 messages were seen last, at 2" in shown(h, people[0]),
                         30, "it to be told")
    for victim in (h.ferry.workers(), [h.ferry.engine()]):
        for pid in victim:
            h.ferry.kill(pid)
        looks(api, 2)
        assert h.ferry.cli("status")["pull"]["stuck"] == 2
    assert {u["state"] for u in h.ferry.cli("users")["users"]} == {"provisioned"}
    api.pull_go.set()
    h.ferry.wait_state([p.name for p in people], "ready", 40)
    assert h.ferry.cli("status")["pull"]["done"] == 2 and len(api.asked("migration_add")) == 1
    assert all(mail_of(stage, api, p) == {"INBOX": 3, "Sent": 2} for p in people)


def cut_folders(answer):
    """As if all were over, but the figures are gone."""
    for u in answer["users"]:
        u["data"]["folders"] = {"INBOX": {}, "INBOX.Sent": {}}
        u["data"]["status"] = {"critical_errors": "0"}


def cut_users(answer):
    answer["users"] = []


@pytest.mark.parametrize("cut", [pytest.param(c, marks=pytest.mark.full) for c in (cut_folders, cut_users)])
def test_a_cut_answer_is_no_end(pulling, stage, api, cut):       # noqa: F811
    h, people = pulling(2)
    api.pull_go.clear()
    api.forge_status = cut
    begin(h)
    # Without users a look ends its worker, and the pauses double: 31 s of them.
    n, within_s = (7, 40) if cut is cut_folders else (6, 60)
    looks(api, n, within_s=within_s)
    assert under_way(h, people), [shown(h, p) for p in people]
    api.forge_status = None
    api.pull_go.set()
    ends_well(h, people, stage, api)


def test_pages(pulling, api):       # noqa: F811
    h, people = pulling(3)
    h.ferry.command("pull", "--wave", "1", "--no-wait")
    names, after, sizes, more = [], "", [], True
    while more:
        page = ask(h.ferry, "/v1/pull?wave=1&limit=2" + after)[2]
        names += [u["user"] for u in page["users"]]
        sizes.append(len(page["users"]))
        after, more = "&after=" + names[-1], page["more"]
    assert sizes == [2, 1] and names == sorted(p.name for p in people)


@pytest.mark.full
def test_the_journal_comes_along(stage, api, postgres, hosted_ferry):     # noqa: F811
    """Another host's engine: what folders are called on new is in the journal, which it takes from the store first."""
    api.pull_context = stage.context
    postgres.empty()
    p = stage.take()
    rules = os.path.join(stage.folder, "journal-rules")
    with open(rules, "w") as f:
        f.write('map "INBOX.Work" = "Job"\n')

    def host(name, **sync):
        h = hosted_ferry(opensrs={"create": False, "pull_poll_s": 1}, run={"host": name, "nodes": 1},
                         store={"url": postgres.url}, gate={"uids": "warn", "uidvalidity": "warn"}, sync=sync)
        h.write([{"user": p.name, "hash": hashed(p.password, "$5$")}])
        h.ferry.secret_file(p.name, p.password)
        return h

    first = host("mx1", folders=rules)
    stage.fill(p, {"INBOX": 2, "INBOX.Work": 1})
    first.ferry.import_users([{"user": p.name, "wave": "1",
                               "old_password_file": first.ferry.secret_file(p.name, p.password)}])
    first.provision()
    first.ferry.command("retry", p.name)
    first.ferry.wait_state(p.name, "ready")
    second = host("mx2")
    provisioned = second.ferry.command("provision", "--wave", "1", check=False)
    assert "stands by: ask again where it is at work, on host mx1" in provisioned.stdout + provisioned.stderr
    api.fail("503", "migration_jobs", times=10 ** 6)     # so that no pass of the other host is before the pull
    first.ferry.command("pull", p.name, "--no-wait")
    processes.wait_until(lambda: api.asked("migration_jobs"), 60, "the first to have tried")
    first.ferry.stop()
    api.faults = []
    processes.wait_until(lambda: not second.ferry.cli("status")["engine"]["stands_by"], 30, "the stand-by to be at work")
    second.ferry.command("pull", "--wave", "1")
    assert api.asked("migration_add")[0]["users"][0]["translate"] == {"INBOX.Work": "Job"}
    second.ferry.wait_state(p.name, "ready")
    assert mail_of(stage, api, p) == {"INBOX": 2, "Job": 1}


@pytest.mark.parametrize("kind", ["reset"] + [
    pytest.param(k, marks=pytest.mark.full) for k in ("500", "502", "503", "empty", "html", "truncated", "late")])
def test_faults_of_the_api(pulling, stage, api, kind):     # noqa: F811
    """Nothing is begun twice, and what was begun is found."""
    h, people = pulling(2, opensrs={"answer_s": 2 if kind == "late" else 10})
    for method in ("migration_jobs", "migration_add", "migration_status"):
        api.fail(kind, method)
    begin(h)
    h.ferry.command("pull", "--wave", "1")
    h.ferry.wait_state([p.name for p in people], "ready")
    assert len(api.jobs) == 1
    for p in people:
        assert mail_of(stage, api, p) == {"INBOX": 3, "Sent": 2}


@pytest.mark.full
def test_critical_errors(pulling, stage, api):     # noqa: F811
    """Three batches, the tool's own words, and then our own copier does the rest."""
    h, (a, b) = pulling(2)
    api.critical.add(a.name)
    api.text_counters = "strings"
    begin(h)
    with pytest.raises(CommandFailed) as failed:
        h.ferry.command("pull", "--wave", "1")
    assert "%s: failed: " % a.name in failed.value.out and "%s: done: " % b.name in failed.value.out
    assert [len(r["users"]) for r in api.asked("migration_add")] == [2, 1, 1]
    assert len(set(api.jobs)) == 3
    trace, = glob.glob(os.path.join(h.ferry.folder, "journals", "*.trace"))
    with open(trace) as f:
        assert "INBOX: " in f.read()
    assert os.stat(trace).st_mode & 0o777 == 0o600
    h.ferry.wait_state([a.name, b.name], "ready")
    assert mail_of(stage, api, a) == {"INBOX": 3, "Sent": 2}


@pytest.mark.full
def test_it_never_starts(pulling, stage, api):     # noqa: F811
    """Nobody can stop it there: a person says when our own copier may go on."""
    h, (a, later) = pulling(2, opensrs={"pull_still_s": 10})
    api.never_start = True
    begin(h, a.name)
    with pytest.raises(CommandFailed) as failed:
        h.ferry.command("pull", a.name)
    assert "stuck" in failed.value.out and "the tool does not begin; 0 of 0 messages were seen last" in failed.value.out
    left = h.ferry.command("pull", "--wave", "1", "--undo", check=False)
    assert "%s: refused: job mailferry-" % a.name in left.stdout and "0 users are not waited for any more, 1 refused" in left.stdout
    begin(h, later.name)
    assert "`mailferry pull %s --undo`" % a.name in shown(h, a)
    assert "OpenSRS's tool: 1 users wait for it, 0 are being pulled, 1 are stuck" in h.ferry.command("status").stdout
    h.ferry.command("pull", a.name, "--undo")
    h.ferry.wait_state(a.name, "ready")
    api.never_start = False
    processes.wait_until(lambda: len(api.asked("migration_add")) == 2, 60, "the next batch")
    h.ferry.command("pull", later.name, "--undo", check=False)


@pytest.mark.full
def test_a_password_that_is_wrong_now(pulling, stage, api):      # noqa: F811
    """One user's trouble is that user's alone; a second batch waits for the first."""
    h, (first, other, bad) = pulling(3)
    rows = [{"user": p.name, "hash": hashed(p.password, "$5$")} for p in (first, other, bad)]
    api.pull_go.clear()
    h.write(rows[:1])
    begin(h, first.name)
    processes.wait_until(lambda: api.asked("migration_status"), 60, "the first batch")
    h.write(rows)
    h.ferry.command("pull", "--wave", "1", "--no-wait")
    h.provision()
    h.ferry.command("retry", "--wave", "1")
    h.ferry.wait_state([other.name, bad.name], "provisioned")
    h.ferry.secret_file(bad.name, "wrong")
    assert len(api.asked("migration_add")) == 1
    api.pull_go.set()
    with pytest.raises(CommandFailed) as failed:
        h.ferry.command("pull", "--wave", "1")
    assert all("%s: done: " % p.name in failed.value.out for p in (first, other))
    assert "%s: failed: 0 messages pulled, 0 skipped; old: " % bad.name in failed.value.out
    assert [[u["local"] for u in r["users"]] for r in api.asked("migration_add")] == [[first.name], [other.name]]
