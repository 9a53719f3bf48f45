"""`mailferry report --final`: what became of everybody, signed, as text, JSON and a page."""

import json
import os

import pytest

from lib import mail, processes, reader

pytestmark = pytest.mark.any_servers


def append(stage, person, size):
    client = reader.connect(stage.old, person.name, person.password, stage.context)
    assert client.append("INBOX", None, None, mail.message("huge", size))[0] == "OK"
    client.logout()


def login(client, person):
    client.login(person.name, person.password)
    client.logout()


def final(f):
    document = f.cli("report", "--final")
    return document["report"], document


def test_the_whole_move(own_ferry, stage, imap, tmp_path):
    moved, stays, alien = stage.take(), stage.take(), stage.take()
    stage.fill(moved, {"INBOX": 3})
    stage.fill(stays, {"INBOX": 2})
    append(stage, moved, 9000)
    f = own_ferry({"sync": {"message_max": "8K", "delta_s": 2}})
    f.import_users([{"user": moved.name, "wave": "1"}, {"user": stays.name, "wave": "<2>"}])
    domain = moved.name.split("@")[1]
    processes.wait_until(lambda: f.cli("exceptions", moved.name)["exceptions"], 20, "the exception")
    f.command("waive", moved.name, "--all", "--note", "an <old> advert")
    f.command("waive", "--wave", "1", "quota", "--note", "it is small")
    f.command("phases", domain, "--done", "brand", "--note", "Berta tried it")
    f.wait_state([moved.name, stays.name], "ready")
    login(imap(f), alien)
    f.command("cutover", moved.name)
    f.command("verify", moved.name, check=False)     # the large one is missing
    login(imap(f), moved)
    processes.wait_until(lambda: f.cli("strangers")["strangers"] and f.cli("history", moved.name)["logins"], 10, "the logins")

    report, document = final(f)
    waves = {w["wave"]: w for w in report["waves"]}
    assert list(waves) == ["1", "<2>"] and report["total"]["users"] == 2 and not report["cut"]
    assert report["total"]["states"]["ready"] == 1 and waves["1"]["states"]["trailing"] + waves["1"]["states"]["done"] == 1
    assert (waves["1"]["flips"], waves["1"]["undone"], waves["1"]["returns"]) == (1, 0, 0)
    assert waves["1"]["first_flip"] == waves["1"]["last_flip"] > 0 and waves["<2>"]["first_flip"] is None
    assert waves["1"]["logins"]["new"] == {"asked": 1, "failed": 0}
    assert waves["1"]["grades"] == {"perfect": 0, "good": 0, "investigate": 0, "poor": 1} and waves["1"]["not_verified"] == 0
    assert report["verify"] == {"not_verified": [stays.name], "doubtful": [{"user": moved.name, "grade": "poor"}]}
    x = report["exceptions"]
    assert x["kinds"] == [{"kind": "size", "messages": 1, "waived": 1}] and not x["unread"]
    assert x["users"] == [{"user": moved.name, "messages": 1, "waived": 1}]
    said = {w["check"]: w for w in report["waivers"]}
    assert set(said) == {"exceptions", "quota"} and said["quota"]["is_wave"] and said["quota"]["note"] == "it is small"
    assert said["exceptions"]["name"] == moved.name and "an <old> advert" in said["exceptions"]["note"]
    assert said["exceptions"]["by"].startswith("operator ")
    assert [s["name"] for s in report["strangers"]] == [alien.name]
    [word] = report["acknowledgements"]
    assert (word["domain"], word["item"], word["done"], word["note"]) == (domain, "brand", True, "Berta tried it")
    assert [d["domain"] for d in report["domains"]] == [domain]

    kept, page = tmp_path / "move.json", tmp_path / "move.html"
    kept.write_text(json.dumps(document))
    key = document["signature"]["key"]
    assert "as it was signed" in f.command("verify", "--check-file", str(kept), "--key", key).stdout
    kept.write_text(json.dumps(document).replace('"poor"', '"good"'))
    assert f.command("verify", "--check-file", str(kept), check=False).returncode == 1
    text = f.command("report", "--final", "--html", str(page)).stdout
    for part in ("not verified\n  " + stays.name, moved.name + ": poor", "size: 1, of them waived 1", "an <old> advert",
                 alien.name + ": 1 logins", "Berta tried it", "<2>"):
        assert part in text, text
    html = page.read_text()
    assert "&lt;2&gt;" in html and "an &lt;old&gt; advert" in html and "<2>" not in html and key in html

    # A kept report that was changed proves nothing: asked of an engine that has to read it.
    path = os.path.join(f.folder, "reports", moved.name + ".json")
    with open(path, encoding="utf-8") as file:
        spoilt = file.read().replace('"poor"', '"perfect"')
    f.stop()
    with open(path, "w", encoding="utf-8") as file:
        file.write(spoilt)
    f.start(new_store=False)
    assert sorted(final(f)[0]["verify"]["not_verified"]) == sorted([moved.name, stays.name])


def test_wrong_use_is_said(ferry):
    for options in ([], ["--final", "--wave", "1"], ["--wave", "1", "--html", "x"]):
        done = ferry.command("report", *options, check=False)
        assert done.returncode == 2 and "give --wave, or --final" in done.stderr
