"""The stand-in for OpenSRS's Mail API: what the client's tests build on must be as the facts say, strict and with faults."""

import glob
import http.client
import imaplib
import json
import os
import ssl
import subprocess
import urllib.request

import pytest

from fakes import opensrs
from lib import processes

SHAPES = os.path.join(os.path.dirname(opensrs.__file__), "shapes")
ADMIN = {"user": "admin@shop.adm", "password": "admin-secret-7351"}
ANN = "ann@ex.test"
# Every kind that is common, each of the password "correct-horse-1".
HASHES = {
    "des": "{CRYPT}%s", "md5": "{MD5}%s", "bcrypt": "{BCRYPT}%s", "sha256": "{GCRYPT}%s", "sha512": "{GCRYPT}%s"}


class Asked:
    """One client of the API, with whose credentials."""

    def __init__(self, api, context, who=ADMIN):
        self.api, self.context, self.who = api, context, who

    def raw(self, method, body, verb="POST"):
        c = http.client.HTTPSConnection("127.0.0.1", self.api.port, context=self.context, timeout=10)
        c.request(verb, "/api/" + method, body)
        r = c.getresponse()
        said = r.status, r.read()
        c.close()
        return said

    def __call__(self, method, **body):
        status, text = self.raw(method, json.dumps({"credentials": self.who, **body}))
        assert status == 200
        answer = json.loads(text)
        assert "audit" in answer
        return answer

    def error(self, method, **body):
        answer = self(method, **body)
        assert answer["success"] is False and answer["error"]
        return answer["error_number"]


@pytest.fixture(scope="module")
def server(stage):
    s = opensrs.Mailboxes.server("hosted", os.path.join(stage.folder, "hosted"), stage.ca)
    s.start()
    yield s
    s.stop()


@pytest.fixture(scope="module")
def one_api(stage, server):
    a = opensrs.OpenSRS(stage.ca, opensrs.Mailboxes(server)).start()
    a.pull_context = stage.context
    yield a
    a.stop()


@pytest.fixture
def api(one_api):
    one_api.reset()
    return one_api


@pytest.fixture
def ask(api, stage):
    return Asked(api, stage.context)


@pytest.fixture
def ann(ask):
    assert ask("change_domain", domain="ex.test", attributes={})["success"]
    assert ask("change_user", user=ANN, create_only=True, attributes={"password": "pw-of-the-first-7", "name": "Ann",
                                                                      "aliases": ["a@ex.test"]})["success"]


def login(server, user, password):
    box = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    box.login(user, password)
    return box


def shapes():
    for path in sorted(glob.glob(os.path.join(SHAPES, "*.json"))):
        with open(path) as f:
            shape = json.load(f)
        for i, case in enumerate(shape["cases"]):
            yield pytest.param(shape["method"], case, id="%s-%d" % (shape["method"], i))


def same_shape(shown, got, path="answer"):
    """Every key of the fixture is there, with the same type; numbers in texts are as good."""
    for key, value in shown.items():
        assert key in got, "%s.%s is missing" % (path, key)
        if isinstance(value, dict):
            same_shape(value, got[key], "%s.%s" % (path, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict) and got[key]:
            same_shape(value[0], got[key][0], "%s.%s[0]" % (path, key))
        elif isinstance(value, bool) or key in ("error_number", "account", "job"):
            assert got[key] == value, "%s.%s" % (path, key)
        else:
            assert type(got[key]) is type(value), "%s.%s is %r" % (path, key, got[key])


@pytest.mark.parametrize("method, case", shapes())
def test_shapes(ask, ann, api, method, case):
    api.never_start = True
    if method.startswith("migration_") and method != "migration_add":
        add = json.load(open(os.path.join(SHAPES, "migration_add.json")))["cases"][0]["request"]
        assert ask("migration_add", **{k: v for k, v in add.items() if k != "credentials"})["success"]
        user = api.jobs["ex-test-01"]["users"][0]
        user.update(started=True, folders={
            "INBOX": {"next_uid": 5, "bytes": 1200, "migrate_count": 5, "fail_count": 0, "skip_count": 0,
                      "retry1count": 0, "retry2count": 0, "remote_count": 5, "delim": "."},
            "Trash": {"next_uid": 1, "skip_count": 1, "remote_count": 1, "delim": "."}})
    status, text = ask.raw(method, json.dumps(case["request"]))
    assert status == 200
    shown = json.loads(json.dumps(case["answer"]))
    if method == "migration_status":    # the one folder that was skipped
        shown["users"][0]["data"]["folders"]["Trash"].pop("skip_count")
    if method == "get_user":
        shown["metadata"].pop("options")
    same_shape(shown, json.loads(text))
    assert json.loads(text)["success"] is case["answer"]["success"]


def test_what_is_no_call(ask, api):
    assert ask.raw("no_such_method", "{}")[0] == 404
    assert ask.raw("authenticate", "[1]")[0] == 400
    assert ask.raw("authenticate", "{")[0] == 400
    assert ask.raw("authenticate", None, "GET")[0] == 404
    for credentials in (None, [], {"password": "x"}, {"user": "admin@shop.adm", "session_token": "x"}):
        assert json.loads(ask.raw("echo", json.dumps({"credentials": credentials}))[1])["error_number"] == 5
    assert json.loads(ask.raw("echo", json.dumps({"credentials": {**ADMIN, "password": "x"}}))[1])["error_number"] == 1


def test_tokens_of_the_api(ask, api, stage):
    token = ask("authenticate", generate_session_token=True)
    assert token["session_token_duration"] == 10800
    assert ask.error("authenticate", generate_session_token=True, session_token_duration=90000) == 5
    by_token = Asked(api, stage.context, {"user": ADMIN["user"], "token": token["session_token"]})
    assert by_token("echo", ping="pong")["ping"] == "pong"
    api.advance(10801)
    assert by_token.error("echo") == 1


def test_rules(ask, ann, api, stage):
    def create(user="b@ex.test", **attributes):
        return ask.error("change_user", user=user, create_only=True,
                         attributes={"password": "good-one-81", **attributes})
    assert create("b@absent.test") == 2
    assert create("a@ex.test") == 7
    assert create(colour="red") == 6
    assert create(password="has blank") == 6
    assert create(password="x" * 55) == 6
    assert create(password="ex.test-1") == 6
    assert create(password="{ARGON2}x") == 6
    assert create(password="{BCRYPT}" + "x" * 151) == 6
    assert create(service_imap4="on") == 6
    assert create(timezone="Mars/Base") == 6
    assert create(aliases=[ANN]) == 7
    assert create("b..c@ex.test") == 5
    assert create(forward_recipients=["x@y.test"] * 1001) == 6
    assert ask.error("change_user", user="a@ex.test", attributes={"name": "x"}) == 3
    assert ask.error("change_user", user="b@ex.test", attributes={"name": "x"}) == 5
    assert ask.error("get_user", user="b@ex.test") == 2
    assert ask.error("get_user", user="b@foreign.test") == 9
    assert ask.error("search_users", criteria={}) == 5
    assert len(api.users) == 1
    helper = Asked(api, stage.context, {"user": "helper@shop.adm", "password": "helper-secret-7351"})
    assert helper.error("generate_token", user=ANN, reason="x", oma=True) == 4
    assert helper.error("change_domain", domain="more.test", attributes={}) == 9
    viewer = Asked(api, stage.context, {"user": "viewer@shop.adm", "password": "viewer-secret-7351"})
    assert viewer("get_user", user=ANN)["success"]
    assert viewer.error("change_user", user=ANN, attributes={"name": "x"}) == 9
    rival = Asked(api, stage.context, {"user": "admin@rival.adm", "password": "rival-secret-7351"})
    assert rival.error("get_user", user=ANN) == 9
    assert "pw-of-the-first-7" not in json.dumps(api.requests)


def test_searches_page(ask, ann):
    for i in range(12):
        assert ask("change_user", user="u%02d@ex.test" % i, attributes={"password": "good-one-81"})["success"]
    first = ask("search_users", criteria={"domain": "ex.test"})
    assert first["total_count"] == 13 and first["count"] == 10
    rest = ask("search_users", criteria={"domain": "ex.test"}, range={"first": 10, "limit": 100})
    assert [u["user"] for u in rest["users"]] == ["u09@ex.test", "u10@ex.test", "u11@ex.test"]
    assert ask("delete_user", user="u00@ex.test")["success"]
    gone = ask("search_users", criteria={"domain": "ex.test", "deleted": True})["users"]
    assert ask("restore_user", user="u00@ex.test", id=gone[0]["id"])["success"]


def hashed(kind):
    """By a tool that is not ours."""
    if kind == "des":
        import crypt
        return crypt.crypt("correct-horse-1", "ab")
    if kind == "bcrypt":
        import crypt
        return crypt.crypt("correct-horse-1", "$2b$04$abcdefghijklmnopqrstuu")
    option = {"md5": "-1", "sha256": "-5", "sha512": "-6"}[kind]
    return subprocess.run(["openssl", "passwd", option, "-stdin"], input="correct-horse-1\n", capture_output=True,
                          text=True, check=True).stdout.strip()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hashes_are_verified(ask, ann, server, api, stage):
    for kind, form in HASHES.items():
        user = "%s@ex.test" % kind
        assert ask("change_user", user=user, attributes={"password": form % hashed(kind)})["success"]
        login(server, user, "correct-horse-1").logout()
        own = Asked(api, stage.context, {"user": user, "password": "correct-horse-1"})
        assert own("authenticate")["success"]
        own.who["password"] = "wrong-horse-1"
        assert own.error("authenticate") == 1
    with pytest.raises(imaplib.IMAP4.error):
        login(server, user, "wrong-horse-1")


def test_tokens_of_mailboxes(ask, ann, server, api):
    token = ask("generate_token", user=ANN, reason="migration", duration=2)["token"]
    login(server, ANN, token).logout()
    login(server, "a@ex.test", token).logout()      # an alias is a login name too
    login(server, "a@ex.test", "pw-of-the-first-7").logout()
    once = ask("generate_token", user=ANN, reason="migration", type="sso")["token"]
    login(server, ANN, once).logout()
    with pytest.raises(imaplib.IMAP4.error):
        login(server, ANN, once)
    oma = ask("generate_token", user=ANN, reason="migration", type="oma")["token"]
    with pytest.raises(imaplib.IMAP4.error):
        login(server, ANN, oma)
    api.advance(2 * 3600 + 1)
    with pytest.raises(imaplib.IMAP4.error):
        login(server, ANN, token)


def test_logout_drops_sessions(ask, ann, server):
    box = login(server, ANN, "pw-of-the-first-7")
    box.select()
    assert ask("logout_user", user=ANN)["success"]
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        for _ in range(50):
            box.noop()


def test_it_really_pulls(ask, ann, server, api, stage, person):
    stage.fill(person, {"INBOX": 3, "INBOX.Old": 2, "INBOX.Spam": 1})
    job = {"local": ANN, "remote": person.name, "password": person.password, "method": "imap4s",
           "server": "127.0.0.1:%d" % stage.old.ports["imaps"], "skip": ["INBOX.Spam"], "translate": {"INBOX.Old": "Kept"}}
    for twice in range(2):
        name = ask("migration_add", users=[job])["job"]
        assert len(name) == 13 and name.isdigit()
        processes.wait_until(lambda: api.jobs[name]["users"][0]["done"], 20, "the pull")
        data = ask("migration_status", job=name)["users"][0]["data"]
        assert data["status"]["critical_errors"] == "0", api.jobs[name]["users"][0]["trace"]
        assert data["folders"]["INBOX"]["remote_count"] == "3"
        assert data["folders"]["INBOX"]["skip_count" if twice else "migrate_count"] == 3
        api.advance(1)
    assert int(api.mailboxes.usage(ANN)[1]) == 5
    assert "Kept" in ask("get_user_folders", user=ANN)["folders"]
    url = ask("migration_trace", job=name, user=ANN)["trace"]
    with urllib.request.urlopen(url, context=stage.context) as trace:
        assert b"INBOX" in trace.read()
    assert ask.error("migration_status", job="unknown") == 2
    assert ask.error("migration_add", users=[dict(job, local="nobody@ex.test")]) == 2
    assert ask.error("migration_add", users=[dict(job, server="no-port")]) == 6


def test_faults(ask, ann, api):
    for status in ("500", "502", "503"):
        api.fail(status)
        assert ask.raw("echo", json.dumps({"credentials": ADMIN}))[0] == int(status)
    for kind, said in (("empty", b""), ("html", b"<html>"), ("truncated", b'{"success"')):
        api.fail(kind)
        assert ask.raw("echo", json.dumps({"credentials": ADMIN}))[1].startswith(said)
    api.fail("reset", "change_user", user="b@ex.test")
    with pytest.raises((http.client.HTTPException, ssl.SSLError, OSError)):
        ask("change_user", user="b@ex.test", create_only=True, attributes={"password": "good-one-81"})
    assert "b@ex.test" in api.users     # carried out, and nobody was told
    api.fail("expire")
    token = api.add_token(ADMIN["user"], None, 100, api=True)
    assert json.loads(ask.raw("echo", json.dumps({"credentials": {"user": ADMIN["user"], "token": token}}))[1])[
        "error_number"] == 1
