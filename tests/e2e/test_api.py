"""The API off its Unix socket: who is let in, what he may, and what keeps everybody else out."""

import json
import os
import shutil
import socket
import ssl
import stat
import time

import pytest

from lib import processes
from lib.httpapi import Api, LocalApi, address, token

pytestmark = pytest.mark.any_servers

PLAIN = {"listen": "127.0.0.1:0", "tls": False}


@pytest.fixture
def desk(own_ferry):
    """A factory of ferries whose API listens."""
    def start(**api):
        f = own_ferry({"api": dict({"listen": "127.0.0.1:0", "tokens": "tokens"}, **api), "run": {"nodes": 1}})
        f.tokens = os.path.join(f.folder, "tokens")
        return f
    return start


def test_roles(desk, stage, person):
    f = desk(**PLAIN)
    f.import_users([person.name])
    view, operate = Api(f, bearer=token(f, "grafana")), Api(f, bearer=token(f, "anna", "operate"))
    nobody = Api(f)
    status, headers, said = nobody.ask("/v1/status")
    assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer") and "token" in said["error"]
    assert nobody.status("/v1/pause", {"wave": "1"}) == 401
    assert (nobody.status("/healthz"), nobody.status("/"), nobody.status("/nothing")) == (200, 200, 404)
    assert (nobody.status("/v1/nothing", {}), nobody.status("/v1/status", {})) == (404, 405)
    assert not [line for line in f.log_text(10000).split("\n") if "info operator" in line and "nobody" in line]
    assert view.ask("/v1/users")[2]["users"][0]["name"] == person.name
    status, _, said = view.ask("/v1/pause", {"wave": "1"})
    assert status == 403 and "operate" in said["error"]
    status, headers, said = operate.ask("/v1/waive", {"user": person.name, "check": "quota", "note": "it is small"})
    assert status == 202, said
    assert "check quota waived for 1 users (anna)" in f.log_text(10000)
    assert "POST /v1/waive: 202 (anna from 127.0.0.1)" in f.log_text(10000)
    assert operate.status("/v1/rollback", {"user": person.name, "go": False}) == 202
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer" and "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


def test_long_answers_come_at_once(desk):
    """They are written in pieces, of which none is kept back until the caller's kernel acknowledges the one before (40 ms)."""
    f = desk(**PLAIN)
    f.import_users(["%s%d@example.com" % ("nobody" * 8, i) for i in range(100)])
    elsewhere, here = Api(f, bearer=token(f, "grafana"), keep=True), LocalApi(f)

    def fastest(api):
        took = []
        for _ in range(30):
            begun = time.monotonic()
            assert len(api.ask("/v1/users")[2]["users"]) == 100
            took.append(time.monotonic() - begun)
        return min(took)
    assert fastest(elsewhere) < fastest(here) + 0.01


def test_actor_in_the_history(desk, person):
    f = desk(**PLAIN)
    f.import_users([person.name])
    f.wait_state(person.name, ["ready"])
    operate = Api(f, bearer=token(f, "anna", "operate"))
    assert operate.status("/v1/cutover", {"user": person.name, "go": True}) == 202
    f.wait_state(person.name, ["trailing", "done"])
    assert operate.status("/v1/cutover", {"user": person.name}) == 202     # he needs none
    assert [line.split(" : ")[1] for line in f.log_text(10000).split("\n") if " : go given" in line] == [
        "go given for %d of 1 users (anna)" % n for n in (1, 0)]
    assert operate.status("/v1/rollback", {"user": person.name, "go": True, "note": "try"}) == 202
    assert "operator anna" in {h["actor"] for h in f.history(person.name)}


def test_tokens_come_and_go(desk):
    f = desk(**PLAIN)
    text = token(f, "anna")
    api = Api(f, bearer=text, keep=True)
    assert api.status("/v1/status") == 200
    with open(f.tokens) as file:
        kept = file.read()
    assert text not in kept and text[3:] not in kept and "anna view sha256:" in kept
    assert stat.S_IMODE(os.stat(f.tokens).st_mode) == 0o600
    assert [(t["name"], t["role"]) for t in f.cli("token", "list")["tokens"]] == [("anna", "view")]
    assert "anna" in f.command("token", "list").stdout
    assert f.command("token", "add", "anna", check=False).returncode == 1
    assert f.command("token", "add", "b", "--role", "admin", check=False).returncode == 2
    assert f.command("token", "remove", "bert", check=False).returncode == 1
    f.cli("token", "remove", "anna")
    assert api.status("/v1/status") == 401      # in the same connection
    again = Api(f, bearer=token(f, "anna", "operate"))
    assert again.status("/v1/status") == 200
    os.chmod(f.tokens, 0o644)
    assert again.status("/v1/status") == 401
    assert "chmod 600" in f.log_text(10000) and f.command("check", "config", check=False).returncode == 2
    os.chmod(f.tokens, 0o600)
    assert again.status("/v1/status") == 200


def test_wrong_tokens(desk):
    f = desk(**PLAIN)
    good = token(f, "anna")
    wrong = [good[:-1] + ("0" if good[-1] != "0" else "1"), "mf_" + "0" * 64, good.upper(), good + "0", "", "x" * 4000]
    said = [Api(f, bearer=w).status("/v1/status") if w else
            Api(f).status("/v1/status", headers={"Authorization": ""}) for w in wrong]
    assert said == [401] * len(wrong)
    assert Api(f).status("/v1/status", headers={"Authorization": "Basic YTpi"}) == 401
    assert Api(f, bearer=wrong[0]).status("/") == 401
    for _ in range(10):
        status, headers, _ = Api(f, bearer=wrong[0]).ask("/v1/status")
    assert status == 429 and headers["Retry-After"] == "60"
    assert Api(f, bearer=good).status("/v1/status") == 200     # nobody is locked out by somebody else
    assert f.log_text(10000).count("wrong token from 127.0.0.1") == 10


def test_other_names_and_other_pages(desk):
    f = desk(names="desk.example.com", **PLAIN)
    bearer = token(f, "anna", "operate")
    port = address(f)[1]

    def ask(host, origin=None, body=None):
        headers = {"Host": host, "Origin": origin} if origin else {"Host": host}
        return Api(f, bearer=bearer).status("/v1/pause" if body else "/v1/waves", body, headers)
    assert ask("desk.example.com") == 200 and ask("desk.example.com:%d" % port) == 200
    assert ask("evil.test") == 403 and ask("desk.example.com.evil.test") == 403
    body = {"wave": "1", "note": "x"}
    host = "desk.example.com:%d" % port
    assert ask(host, "http://evil.test", body) == 403 and ask(host, "null", body) == 403
    assert ask(host, "http://desk.example.com", body) == 403       # another port is another page
    assert ask(host, "http://" + host, body) not in (401, 403)
    assert ask(host, None, body) not in (401, 403)                  # a program sends none
    with socket.create_connection(("127.0.0.1", port), 10) as s:    # a whole URL does not get around it
        s.sendall(b"GET http://evil.test/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 400")
    for head in (b"", b"Host: localhost\r\nHost: evil.test\r\n"):
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\n" + head + b"\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 403")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls(desk, stage):
    f = desk()
    bearer = token(f, "anna")
    assert address(f)[0] == "https"
    api = Api(f, stage.context, bearer)
    assert api.ask("/v1/users")[2]["users"] == []
    with pytest.raises(ssl.SSLError):
        Api(f, ssl.create_default_context(), bearer).ask("/v1/users")
    old = ssl.create_default_context(cafile=stage.ca.cert)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Api(f, old, bearer).ask("/v1/users")
    plain = Api(f, bearer=bearer)
    plain.scheme = "http"
    with pytest.raises(Exception):
        plain.ask("/healthz")
    keep = Api(f, stage.context, bearer, keep=True)
    assert [keep.status("/v1/status") for _ in range(3)] == [200] * 3


def serial(port, ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(("localhost", port), 10) as s, context.wrap_socket(s, server_hostname="localhost") as t:
        return t.getpeercert()["serialNumber"]


def test_certificate_is_renewed(desk, stage):
    own = os.path.join(stage.folder, "desk.pem")
    stage.ca.make(own, ["localhost"])
    os.chmod(own, 0o644)
    f = desk(certificate=own)
    port = address(f)[1]
    before = serial(port, stage.ca.cert)
    stage.ca.make(own + ".new", ["localhost"])
    os.chmod(own + ".new", 0o644)
    shutil.move(own + ".new", own)
    f.cli("reload")
    assert serial(port, stage.ca.cert) != before


def test_limits(desk):
    f = desk(connections=3, **PLAIN)
    bearer = token(f, "anna", "operate")
    api = Api(f, bearer=bearer)
    assert api.status("/v1/pause", b'{"wave": "' + b"x" * 600000 + b'"}') == 413
    assert api.status("/v1/pause", b"x" * (1 << 20) + b"x") == 413
    assert api.status("/v1/status?" + "a" * 3000) == 400
    assert api.status("/v1/status", headers={"X": "a" * 17000}) in (400, 413)


HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def visit(port, words=HEALTHZ, host="127.0.0.1"):
    s = socket.create_connection((host, port), 10)
    s.sendall(words)
    return s


def is_closed(s):
    return s.recv(1000) == b""


def test_strangers_crowd_out_nobody(desk):
    """The oldest of them makes room; who showed a token stays, and can still come."""
    f = desk(connections=4, **PLAIN)
    port, bearer = address(f)[1], token(f, "anna", "operate")
    known = Api(f, bearer=bearer, keep=True)
    assert known.status("/v1") == 200
    crowd = []
    for _ in range(8):
        crowd.append(visit(port))
        assert crowd[-1].recv(1000).startswith(b"HTTP/1.1 200")
    assert all(is_closed(s) for s in crowd[:5])
    assert Api(f, bearer=bearer).status("/v1") == 200 and known.status("/v1") == 200
    for s in crowd:
        s.close()


def test_the_last_place_is_no_strangers(desk):
    """All others have shown a token: the stranger makes room for the next, who may be one of them."""
    f = desk(connections=3, **PLAIN)
    port, bearer = address(f)[1], token(f, "anna", "operate")
    known = [Api(f, bearer=bearer, keep=True) for _ in range(2)]
    assert [k.status("/v1") for k in known] == [200, 200]
    stranger = visit(port)
    assert stranger.recv(1000).startswith(b"HTTP/1.1 200")
    begun = time.monotonic()
    assert Api(f, bearer=bearer).status("/v1") == 200 and time.monotonic() - begun < 10
    assert is_closed(stranger) and [k.status("/v1") for k in known] == [200, 200]
    stranger.close()


def test_known_ones_wait_for_each_other(desk):
    f = desk(connections=2, **PLAIN)
    port, bearer = address(f)[1], token(f, "anna", "operate")
    known = [Api(f, bearer=bearer, keep=True) for _ in range(2)]
    assert [k.status("/v1") for k in known] == [200, 200]
    late = visit(port)
    late.settimeout(1)
    with pytest.raises(TimeoutError):
        late.recv(1)
    known[0]._open.close()
    late.settimeout(10)
    assert late.recv(100).startswith(b"HTTP/1.1 200")
    late.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_per_address(desk, host):
    """Of those that have shown no token the oldest makes room, so that nobody keeps others of the address out."""
    f = desk(listen="%s:0" % ("[::1]" if ":" in host else host), connections_per_address=3, tls=False)
    port, bearer = address(f)[1], token(f, "anna", "operate")
    known = [Api(f, bearer=bearer, keep=True, host=host) for _ in range(5)]
    assert [k.status("/v1") for k in known] == [200] * 5
    few = [visit(port, host=host) for _ in range(3)]
    assert all(s.recv(1000).startswith(b"HTTP/1.1 200") for s in few)
    assert Api(f, bearer=bearer, host=host).status("/v1") == 200
    assert is_closed(few[0])
    assert [k.status("/v1") for k in known] == [200] * 5
    for s in few[1:]:
        s.sendall(HEALTHZ)
        assert s.recv(1000).startswith(b"HTTP/1.1 200")
    for s in few:
        s.close()


@pytest.mark.full
def test_an_hour_of_healthz_is_no_stay(desk):
    """Who shows no token has one minute, however often he asks."""
    f = desk(**PLAIN)
    begin, s = time.monotonic(), visit(address(f)[1])
    while s.recv(1000):
        assert time.monotonic() - begin < 90
        time.sleep(2)
        s.sendall(HEALTHZ)
    assert time.monotonic() - begin > 55


@pytest.mark.full
def test_the_slow_are_cut(desk):
    f = desk(**PLAIN)
    port = address(f)[1]
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\n")
        s.settimeout(5)
        while time.monotonic() < begin + 100:
            try:
                s.sendall(b"X: y\r\n")
                if s.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert 55 < time.monotonic() - begin < 90


def test_a_port_that_is_taken_stops_nothing(desk):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        f = desk(listen="127.0.0.1:%d" % taken.getsockname()[1], tls=False)
        processes.wait_until(lambda: "another program has it" in f.log_text(10000), 10, "the engine to say so")
        assert f.cli("status")


# ---- server-sent events

class Follower:
    """Reads /v1/events; events are those so far as (name, id, data)."""

    def __init__(self, api, after=None):
        self.connection = api.connect()
        headers = {"Authorization": "Bearer " + api.bearer}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        self.connection.request("GET", "/v1/events", headers=headers)
        self.answer = self.connection.getresponse()
        self.text, self.events, self.end = "", [], time.monotonic() + 60

    def read(self):
        """The next line; "" at the end."""
        assert time.monotonic() < self.end, "it did not come: %s" % self.text[-1000:]
        line = self.answer.readline().decode()
        self.text += line
        return line

    def until(self, test):
        """Reads on to the first event that passes."""
        name = id_ = None
        while True:
            line = self.read()
            assert line, "the stream ended: %s" % self.text[-1000:]
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                id_ = int(value)
            elif key == "data":
                self.events.append((name, id_, json.loads(value)))
                name = id_ = None
                if test(*self.events[-1]):
                    return self.events[-1]

    def at_some_time(self, test):
        """One that passes has come, or comes."""
        return any(test(*event) for event in self.events) or self.until(test)


def test_events(desk, stage):
    one, two = stage.take(), stage.take()
    f = desk(subscribers=2, **PLAIN)
    view, operate = Api(f, bearer=token(f, "page")), Api(f, bearer=token(f, "anna", "operate"))
    assert Api(f).status("/v1/events") == 401
    first = Follower(view)
    assert first.answer.headers["Content-Type"] == "text/event-stream"
    assert first.answer.headers["Cache-Control"] == "no-store"
    assert first.until(lambda n, i, d: n == "summary")[2]["users"]["users"] == 0
    f.import_users([one.name], wave="7")
    _, heard, move = first.until(lambda n, i, d: n == "move" and d["to"] == "syncing")
    assert move["user"] == one.name and move["id"] == heard
    first.connection.close()
    f.wait_state(one.name, "ready")
    f.import_users([two.name], wave="7")
    f.wait_state(two.name, "ready")
    again = Follower(view, heard)
    seen, wanted = [], [h["id"] for h in view.ask("/v1/history?after=%d" % heard)[2]["history"]]
    while seen != wanted:
        seen.append(again.until(lambda n, i, d: n == "move")[1])
        assert seen == wanted[:len(seen)]       # none is missed, none comes twice
    assert operate.status("/v1/pause", {"wave": "7", "note": "lunch"}) == 202
    wave = again.until(lambda n, i, d: n == "wave")[2]
    assert (wave["wave"], wave["paused"], wave["why"], wave["by"]) == ("7", True, "lunch", "operator anna")
    assert again.at_some_time(lambda n, i, d: n == "summary" and d["users"]["users"] == 2)
    other = Follower(view)
    status, _, said = view.ask("/v1/events")
    assert status == 429 and "subscribers" in said["remedy"]
    other.connection.close()
    processes.wait_until(lambda: view.status("/v1/events?after=-1") == 400, 10, "the place of who has gone")
    reset = Follower(view, 10**15)     # of another store
    reset.until(lambda n, i, d: n == "reset")
    f.cli("token", "remove", "page")
    while again.read():     # it ends
        pass
