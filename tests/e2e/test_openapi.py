"""docs/openapi.json and the program say the same: the routes both ways, and what real answers look like."""

import json
from urllib.parse import quote

import pytest

from lib import processes
from lib.httpapi import LocalApi
from lib.openapi import OpenApi

pytestmark = pytest.mark.any_servers

API = OpenApi()


def ask(ferry, path, body=None):
    status, headers, said = LocalApi(ferry).ask(path, body)
    return status, headers.get_content_type(), said.decode() if isinstance(said, bytes) else said


def test_both_have_the_same_routes(ferry):
    routes = ask(ferry, "/v1")[2]["routes"]
    program = {(r["method"], r["path"].replace("*", "{user}")): r["role"] for r in routes}
    assert len(program) == len(routes)
    assert {(o.method, o.path): o.role for o in API.operations} == program
    takes = {r["path"]: r["takes"] for r in routes if r["method"] == "POST"}
    assert {o.path: {k: v["type"] for k, v in o.body["properties"].items()} for o in API.operations if o.method == "POST"} == takes


def test_every_schema_is_used_and_there():
    text = json.dumps(API.document)
    for kind, parts in API.document["components"].items():
        if kind != "securitySchemes":
            for name in parts:
                assert '"#/components/%s/%s"' % (kind, name) in text, name
    for o in API.operations:
        for status in o.statuses:
            API.answer(o, status)


@pytest.fixture(scope="module")
def moved(stage, shared_ferry):
    """A person with a past: sessions, moves there and back, a drop, a hold, a trace, a verify."""
    person = stage.take()
    stage.fill(person, {"INBOX": 3})
    f = shared_ferry
    f.import_users([person.name], wave="openapi")
    f.wait_state(person.name, "ready")
    f.cli("waive", person.name, "quota", "--note", "it is small")
    f.cli("cutover", person.name)
    f.wait_state(person.name, ["trailing", "done"])
    return f, person


def paths(f, person):
    """Real paths of an operation's family."""
    trace = ask(f, "/v1/trace", {"user": person.name})[2]["trace"]
    request = ask(f, "/v1/drop", {"user": person.name})[2]["request"]
    ask(f, "/v1/verify", {"user": person.name})
    ask(f, "/v1/phases", {"domain": "example.com", "item": "rollback-plan", "note": "x"})
    ask(f, "/v1/report/final", {})
    processes.wait_until(lambda: ask(f, "/v1/report/final")[2]["state"] == "done", 30, "the final report")
    return {
        "/v1/report": ["?wave=openapi"],
        "/v1/report/final": ["", "?part=state", "?part=document"],
        "/v1/answers": ["?request=%d" % request],
        "/v1/trace": ["?trace=%d" % trace],
        "/v1/verify": ["?user=" + quote(person.name), "?wave=openapi"],
        "/v1/pull": ["?user=" + quote(person.name), "?wave=openapi"],
        "/v1/phases": ["", "?domain=example.com"],
        "/v1/users": ["", "?wave=openapi", "?limit=1"],
        "/v1/sessions": ["", "?limit=1"],
    }


def test_real_answers_are_as_described(moved, imap):
    f, person = moved
    c = imap(f)
    c.login(person.name, person.password)
    processes.wait_until(lambda: f.cli("sessions", person.name)["sessions"], 60, "the session's row")
    tails, looked_at = paths(f, person), 0
    for o in API.operations:
        if o.method != "GET" or o.path == "/v1/events":
            continue
        for tail in tails.get(o.path, [""]):
            path = o.path.replace("{user}", quote(person.name)) + tail
            status, kind, said = ask(f, path)
            assert status == 200, (path, said)
            promised = API.answer(o, 200)
            assert promised and promised[0] == kind, path
            assert not API.mistakes(promised[1], said), path
            looked_at += 1
    assert looked_at > 30


def test_real_changes_are_as_described(moved):
    f, person = moved
    who = {"user": person.name}
    wave = {"wave": "openapi"}
    for path, body in [
        ("/v1/import", {"csv": "user,wave\nopen@example.com,openapi\n", "file": "x.csv", "folder": "/tmp"}),
        ("/v1/sync", who), ("/v1/cutover", dict(wave, dry_run=True)), ("/v1/cutover", dict(wave, at="2099-01-01 00:00")),
        ("/v1/cutover", dict(wave, go=False)), ("/v1/pause", dict(wave, note="x")), ("/v1/resume", wave),
        ("/v1/rollback", dict(who, note="x")), ("/v1/rollback", dict(who, go=False)),
        ("/v1/waive", dict(who, check="quota", undo=True)), ("/v1/waive", dict(who, all=True, note="x")),
        ("/v1/retry", who), ("/v1/verify", dict(who, level="headers")), ("/v1/drop", who), ("/v1/reload", {}), ("/v1/report/final", {}),
        ("/v1/requests", {"verb": "loglevel", "level": "debug"}), ("/v1/trace", who), ("/v1/trace", dict(who, stop=True)),
        ("/v1/drain", {"all": True, "undo": True}),
        # and refusals
        ("/v1/sync", {}), ("/v1/sync", {"user": "nobody@example.com"}), ("/v1/pause", who), ("/v1/import", {}),
        ("/v1/forget", {"node": "nobody"}), ("/v1/cutover", dict(who, at="soon")), ("/v1/provision", who),
        ("/v1/pull", who), ("/v1/pull", {}), ("/v1/pull", dict(wave, undo=True)),
    ]:
        status, kind, said = ask(f, path, body)
        o = next(o for o in API.operations if (o.method, o.path) == ("POST", path))
        promised = API.answer(o, status)
        assert promised, (path, body, status, said)
        assert not API.mistakes(promised[1], said), (path, body, status)
