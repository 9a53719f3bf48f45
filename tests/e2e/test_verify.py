"""
`mailferry verify`: what it finds when the test itself has spoiled one side, on real servers. The comparing worker
knows nothing of the copier's journal.
"""

import json
import os
import subprocess

import pytest

from lib import mail, reader
from lib.copier import Copier


class Auditor(Copier):
    def audit(self, level="full", sample=0):
        """(result, {finding: [(folder, old UID, new UID)]}, {old folder: item}, items of folders without an old one)"""
        worker = self.start("audit", level=level, sample=sample)
        out, said = worker.communicate(timeout=60)
        assert worker.returncode == 0 and "Sanitizer" not in said and "runtime error" not in said, said
        events = [json.loads(line) for line in out.splitlines()]
        found, folders, strange = {}, {}, []
        for item in (e["item"] for e in events if e["event"] == "audit"):
            about = item.get("finding") or item["folder"]
            for side, server in (("folder", self.old), ("old", self.old), ("new", self.new)):
                about[side] = (about.get(side) or "").removeprefix(server.prefix) or None
            if "finding" in item:
                found.setdefault(about["what"], []).append((about["folder"], *about["uid"]))
            elif about["old"] is None:
                strange.append(about)
            else:
                folders[about["old"]] = about
        return events[-1], found, folders, strange


@pytest.fixture
def auditor(stage, person, tmp_path):
    stage.fill(person, {"INBOX": 12, stage.old.prefix + "Work": 6})
    a = Auditor(stage.old, stage.new, stage.ca, person.name, person.password, str(tmp_path))
    a.until_clean()
    os.unlink(a.journal)     # it must not matter
    return a


@pytest.fixture
def spoil(stage, person):
    """spoil(side, folder) is an imaplib client with that folder selected."""
    opened = []

    def select(server, folder="INBOX"):
        folder = on(server, folder)
        client = reader.connect(server, person.name, person.password, stage.context)
        opened.append(client)
        assert client.select('"%s"' % folder)[0] == "OK"
        return client
    yield select
    for client in opened:
        client.logout()


def on(server, folder):
    """Its name there."""
    return folder if folder == "INBOX" else server.prefix + folder


def remove(client, uid):
    client.uid("STORE", str(uid), "+FLAGS", "\\Deleted")
    client.expunge()


def uids(client):
    return [int(u) for u in client.uid("SEARCH", "ALL")[1][0].split()]


@pytest.mark.parametrize("level, sample", [("full", 0), ("headers", 0), ("headers", 5)])
def test_a_good_copy_is_perfect(auditor, level, sample):
    result, found, folders, strange = auditor.audit(level, sample)
    assert result["ok"] and result["clean"] and not found and not strange
    assert (result["messages"], result["verified"]) == (18, 18)
    assert [folders[n]["same"] for n in ("INBOX", "Work")] == [12, 6]
    in_full = sum(f["sampled"] for f in folders.values())
    assert in_full == 18 if level == "full" else in_full <= 18 * bool(sample)


@pytest.mark.parametrize("level", ["full", "headers"])
def test_what_is_missing_is_named(auditor, spoil, stage, level):
    client = spoil(stage.new)
    remove(client, uids(client)[3])
    result, found, folders, _ = auditor.audit(level)
    assert not result["clean"] and result["verified"] == 17
    [(folder, old_uid, new_uid)] = found.pop("missing")
    assert not found and folder == "INBOX" and new_uid == 0
    assert old_uid == uids(spoil(stage.old))[3]


def test_a_twin_too_few_is_missing(auditor, spoil, stage):
    message = mail.message("twin", 400)
    for server, count in ((stage.old, 3), (stage.new, 2)):
        client = spoil(server)
        for _ in range(count):
            client.append("INBOX", None, '"01-Jan-2024 00:00:00 +0000"', message)
    _, found, _, _ = auditor.audit()
    assert list(found) == ["missing"] and len(found["missing"]) == 1


def test_other_bytes_are_found_by_full_and_by_a_whole_sample(auditor, spoil, stage):
    body = mail.message("changed", 4000)
    for server, text in ((stage.old, body), (stage.new, body[:-4] + b"!" + body[-3:])):
        spoil(server).append("INBOX", None, '"01-Jan-2024 00:00:00 +0000"', text)
    assert auditor.audit("headers")[1] == {}
    for level, sample in (("full", 0), ("headers", 1000)):
        _, found, folders, _ = auditor.audit(level, sample)
        assert list(found) == ["altered"] and len(found["altered"]) == 1
        assert folders["INBOX"]["same"] == 12


def test_flags_dates_subscriptions_and_extra_mail_are_told_apart(auditor, spoil, stage):
    new = spoil(stage.new)
    first = uids(new)[0]
    new.uid("STORE", str(first), "+FLAGS", "\\Draft")
    new.append("INBOX", None, '"01-Jan-2024 00:00:00 +0000"', mail.message("only-on-new", 300))
    new.unsubscribe('"%s"' % on(stage.new, "Work"))
    old = spoil(stage.old, "Work")
    same = mail.message("another-date", 300)
    old.append('"%s"' % on(stage.old, "Work"), None, '"01-Jan-2024 00:00:00 +0000"', same)
    spoil(stage.new, "Work").append('"%s"' % on(stage.new, "Work"), None, '"02-Jan-2024 00:00:00 +0000"', same)
    result, found, _, _ = auditor.audit()
    assert {what: [f[0] for f in list_] for what, list_ in found.items()} == {
        "flags": ["INBOX"], "extra": ["INBOX"], "subscription": ["Work"], "date": ["Work"]}
    assert found["flags"][0][2] == first and found["extra"][0][1] == 0
    assert result["verified"] == 19


@pytest.mark.offers("dovecot")
def test_a_folder_is_recognised_by_its_mail_or_missed(auditor, spoil, stage):
    spoil(stage.new).rename(*('"%s"' % on(stage.new, name) for name in ("Work", "Arbeit")))
    result, found, folders, _ = auditor.audit()
    assert "folder" not in found and folders["Work"]["new"] == "Arbeit" and result["verified"] == 18
    client = spoil(stage.new, "Arbeit")
    remove(client, uids(client)[0])
    result, found, folders, strange = auditor.audit()
    assert found["folder"] == [("Work", 0, 0)] and folders["Work"]["new"] is None
    assert folders["Work"]["found"][0] == 6 and result["verified"] == 12
    assert [(s["new"], s["messages"]) for s in strange] == [("Arbeit", [0, 5])]


def test_the_command_grades_signs_and_keeps(ferry, person, stage, tmp_path):
    stage.fill(person, {"INBOX": 5})
    ferry.import_users([person.name])
    ferry.cli("sync", person.name)
    ferry.wait_state([person.name], {"ready"})
    done = ferry.command("verify", person.name)
    assert "%s: perfect: 5 messages the same" % person.name in done.stdout
    seen = json.loads(ferry.command("verify", person.name, "--json", "--level", "sample=3").stdout)
    report = seen["document"]["report"]
    assert (report["user"], report["level"], report["grade"]) == (person.name, "sample", "perfect")
    assert report["totals"]["messages"] == {"old": 5, "new": 5}
    kept = tmp_path / "report.json"
    kept.write_text(json.dumps(seen["document"], indent=3))
    key = seen["document"]["signature"]["key"]
    assert "as it was signed" in ferry.command("verify", "--check-file", str(kept), "--key", key).stdout
    kept.write_text(json.dumps(seen["document"]).replace('"perfect"', '"good"'))
    changed = ferry.command("verify", "--check-file", str(kept), check=False)
    assert changed.returncode == 1 and "it was changed" in changed.stderr
    page = os.path.join(ferry.folder, "reports", person.name + ".html")
    with open(page, encoding="utf-8") as f:
        assert '<p class="grade perfect">perfect</p>' in f.read()
    assert subprocess.run(["find", os.path.dirname(page), "-perm", "/077", "-type", "f"], capture_output=True,
                          text=True).stdout == ""


def test_a_moved_user_whose_mail_was_lost_fails_the_command(ferry, resident, stage, spoil):
    stage.fill(resident, {"INBOX": 5})
    ferry.command("cutover", resident.name)
    client = spoil(stage.new)
    remove(client, uids(client)[0])
    done = ferry.command("verify", resident.name, check=False)
    assert done.returncode == 1
    assert "%s: poor: 4 messages the same, 1 missing" % resident.name in done.stdout


def test_wrong_use_is_said(ferry, resident):
    done = ferry.command("verify", "nobody-here@example.com", check=False)
    assert done.returncode == 1 and "no user nobody-here@example.com" in done.stderr
    done = ferry.command("verify", resident.name, "--level", "some", check=False)
    assert done.returncode == 2 and "full, headers or sample=K" in done.stderr


def append(stage, person, folder, stamp, size, flags=()):
    client = reader.connect(stage.old, person.name, person.password, stage.context)
    assert client.append('"%s"' % on(stage.old, folder), " ".join(flags), None, mail.message(stamp, size))[0] == "OK"
    client.logout()


def test_what_stayed_behind_by_order_is_told_from_loss(own_ferry, person, stage):
    """A rule, a mark, and a message that is too large: only the last is missing, and says why."""
    rules = os.path.join(stage.folder, "rules")
    with open(rules, "w", encoding="utf-8") as f:
        f.write('skip "%s"\n' % on(stage.old, "Old stuff"))
    os.chmod(rules, 0o644)
    stage.fill(person, {"INBOX": 3, stage.old.prefix + "Old stuff": 4})
    append(stage, person, "INBOX", "thrown-away", 500, ("\\Deleted",))
    append(stage, person, "INBOX", "huge", 9000)
    f = own_ferry({"sync": {"folders": rules, "deleted": "skip", "message_max": "8K"}})
    f.import_users([person.name])
    f.command("sync", person.name, check=False)
    f.command("waive", person.name, "--all", "--note", "an old advert")
    done = f.command("verify", person.name, "--json", check=False)
    report = json.loads(done.stdout)["document"]["report"]
    assert done.returncode == 1 and report["grade"] == "poor"
    assert report["totals"]["found"] == {"left": 5, "missing": 1} and report["totals"]["same"] == 3
    assert [(x["what"], x["folder"]) for x in report["findings"] if "old_uid" not in x] == [
        ("left", on(stage.old, "Old stuff"))]
    missing = [x["old_uid"] for x in report["findings"] if x["what"] == "missing"]
    [exception] = report["exceptions"]
    assert [exception["old_uid"]] == missing and exception["waived"] == "an old advert"
    assert "8192" in exception["reason"] or "large" in exception["reason"], exception
