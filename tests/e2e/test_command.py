"""
The command `mailferry` by itself: exit statuses, errors, --json, and an engine's answers as people see
them. The engine is a stand-in that answers with fixed JSON; the real API has its own tests.
"""

import http.server
import json
import os
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading

import pytest

from lib import processes
from lib.terminal import Terminal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MAILFERRY_BUILD", os.path.join(ROOT, "build/plain"))
MAILFERRY = os.path.join(BUILD, "mailferry")

CONFIG = """
listener "imap" { protocol = imap address = "127.0.0.1" port = 0 tls = none }
backend "old" { host = "127.0.0.1" imap_port = %(old)d imap_tls = none pop3_port = 0 }
backend "new" { host = "127.0.0.1" imap_port = %(new)d imap_tls = none pop3_port = 0 }
tls { allow_cleartext = yes }
store { path = "store.db" }
run { dir = "run" nodes = 2 }
sync { dir = "journals" connect_s = 30 io_s = 30 }
"""


def mailferry(*args, config=None):
    env = {k: v for k, v in os.environ.items() if k != "MAILFERRY_CONFIG"}
    if config:
        env["MAILFERRY_CONFIG"] = str(config)
    return subprocess.run([MAILFERRY, *map(str, args)], capture_output=True, text=True, env=env, timeout=60)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "run").mkdir()
    path = tmp_path / "mailferry.conf"
    path.write_text(CONFIG % {"old": 1, "new": 1})
    return path


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers each path with what `answers` holds for it: (status, object), or a function that makes it."""
    daemon_threads = True

    def __init__(self, path):
        self.answers, self.asked = {}, []
        super().__init__(str(path), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, json.loads(body) if body else None))
        path = self.path.split("?")[0]
        found = self.server.answers.get(path, (404, {"error": "nothing at " + path, "remedy": "none"}))
        status, answer = found(self) if callable(found) else found
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


@pytest.fixture
def engine(config):
    server = Engine(config.parent / "run" / "api.sock")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def user(name, state="ready", **more):
    return {"name": name, "wave": "1", "state": state, "route": "old", "go": True, "attempts": 0, "stuck": None,
            "progress": {"ended": 1000, "messages": 5, "verified": 5, "error": None}, "running": None, **more}


# ---- the command line

@pytest.mark.parametrize("args, says", [
    ([], "a command is missing"),
    (["frobnicate"], "no such command: frobnicate"),
    (["users", "--colour"], "no such option: --colour"),
    (["users", "--wave"], "--wave needs a value"),
    (["status", "--all"], "status takes no --all"),
    (["why"], "why needs USER"),
    (["why", "a", "b"], "too many arguments"),
])
def test_wrong_use_is_2(args, says):
    done = mailferry(*args)
    assert done.returncode == 2
    assert says in done.stderr and "--help" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("args", [["sync"], ["sync", "anna", "--wave", "1"], ["cutover"], ["retry"],
                                  ["trace", "anna", "--bytes", "0"], ["log-level", "loud"]])
def test_wrong_choice_is_2(config, args):
    assert mailferry(*args, config=config).returncode == 2


def test_help_names_all_and_exit_statuses():
    done = mailferry("--help")
    assert done.returncode == 0
    for word in ("run", "import", "cutover", "check backends", "sample-config", "exit status:", "$MAILFERRY_CONFIG"):
        assert word in done.stdout
    assert "examples:" in mailferry("cutover", "--help").stdout


# ---- settings

def test_broken_config_reports_all_with_file_and_line(tmp_path):
    path = tmp_path / "broken.conf"
    path.write_text('listener "imap" {\n\tprotocol = imap\n\tport = 99999\n}\nbackend "old" {\n\thots = "x"\n}\n')
    for args in (["check", "config", path], ["users", "--config", path], ["run", "--config", path]):
        done = mailferry(*args)
        assert done.returncode == 2, args
        assert "broken.conf:3: " in done.stderr
        assert "broken.conf:6: " in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_root_looks_at_files_as_run_user():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        secret, path = os.path.join(folder, "secret"), os.path.join(folder, "mailferry.conf")
        text = CONFIG.replace("imap_port = %(old)d", 'imap_port = %(old)d master_user = "m" master_password_file = "secret"')

        def check(account):
            with open(path, "w") as f:
                f.write(text.replace("nodes = 2", 'nodes = 2 user = "%s"' % account) % {"old": 1, "new": 1})
            done = mailferry("check", "config", path)
            return done.returncode, done.stdout + done.stderr
        with open(secret, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write("x\n")
        assert check("root")[0] == 0
        assert check("nobody") == (2, '%s:3: backend "old": master_password_file: cannot read %s: Permission denied; '
                                      'the account nobody must be able to\n' % (path, secret))
        status, said = check("no-such-account")
        assert status == 2 and ":7: run: user: no such user: no-such-account" in said
        os.chmod(secret, 0o644)
        assert check("nobody")[0] == 0


def test_broken_config_as_json(tmp_path):
    path = tmp_path / "broken.conf"
    path.write_text('backend "old" {\n\thots = "x"\n}\n')
    done = mailferry("check", "config", path, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 2
    assert answer["ok"] is False
    assert any("broken.conf:2: " in line for line in answer["errors"])


def test_good_config(config):
    done = mailferry("check", "config", config)
    assert done.returncode == 0, done.stderr
    assert json.loads(mailferry("check", "config", "--json", config=config).stdout) == {
        "ok": True, "errors": [], "warnings": []}


def test_missing_config_is_2(tmp_path):
    assert mailferry("users", "--config", tmp_path / "none.conf").returncode == 2


def test_sample_config_has_all_sections():
    sample = mailferry("sample-config").stdout
    for section in ("listener", "backend", "tls", "store", "run", "sync", "cutover", "limits"):
        assert section in sample


# ---- the engine

def test_no_engine_is_3(config):
    done = mailferry("users", config=config)
    assert done.returncode == 3
    assert "mailferry run" in done.stderr


def test_refusal_is_1_with_remedy(config, engine):
    engine.answers["/v1/users/zoe/why"] = (404, {"error": "no user zoe", "remedy": "import the user"})
    done = mailferry("why", "zoe", config=config)
    assert done.returncode == 1
    assert "no user zoe" in done.stderr and "import the user" in done.stderr
    done = mailferry("why", "zoe", "--json", config=config)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "no user zoe"


def test_phases_pages(config, engine):
    def row(name):
        return {"domain": name, "phase": 3, "done": 2, "warns": 0, "blocks": 1, "not_yet": 4, "open": ["brand"]}
    pages = [{"domains": [row("a.test"), row("b.test")], "more": True}, {"domains": [row("c.test")], "more": False}]
    engine.answers["/v1/phases"] = lambda handler: (200, pages["after=b.test" in handler.path])
    said = mailferry("phases", config=config).stdout
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["a.test", "b.test", "c.test"] and len(engine.asked) == 2
    told = json.loads(mailferry("phases", "--json", config=config).stdout)
    assert [d["domain"] for d in told["domains"]] == ["a.test", "b.test", "c.test"] and not told["more"]


def test_users_pages(config, engine):
    pages = [{"users": [user("anna"), user("bob")], "more": True}, {"users": [user("carl")], "more": False}]
    engine.answers["/v1/users"] = lambda handler: (200, pages["after=bob" in handler.path])
    done = mailferry("users", "--wave", "1 & 2", config=config)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["USER", "anna", "bob", "carl"]
    assert "wave=1%20%26%202" in engine.asked[0][0]
    done = mailferry("users", "--json", config=config)
    assert [u["name"] for u in json.loads(done.stdout)["users"]] == ["anna", "bob", "carl"]


def answer_slowly(engine, second):
    """Two pages, of which the other is not answered before the returned event is set."""
    goes_on = threading.Event()

    def answer(handler):
        if "after=bob" not in handler.path:
            return 200, {"users": [user("anna"), user("bob")], "more": True}
        assert goes_on.wait(30)
        return second
    engine.answers["/v1/users"] = answer
    return goes_on


def test_users_are_printed_while_they_come(config, engine):
    goes_on = answer_slowly(engine, (200, {"users": [user("carl-of-the-longer-name")], "more": False}))
    with subprocess.Popen([MAILFERRY, "users", "--config", config], stdout=subprocess.PIPE, text=True) as p:
        early = [p.stdout.readline() for _ in range(3)]
        goes_on.set()
        late = p.stdout.read()
        assert p.wait(30) == 0
    assert [line.split()[0] for line in early] == ["USER", "anna", "bob"]
    assert late.startswith("carl-of-the-longer-name  ") and late.count("\n") == 1


@pytest.mark.parametrize("second,status,more", [
    ((200, {"users": [user("carl")], "more": False}), 0, {}),
    ((503, {"error": "the store is away", "remedy": "wait"}), 1, {"more": True})], ids=["whole", "broken off"])
def test_users_as_one_document(config, engine, second, status, more):
    goes_on = answer_slowly(engine, second)
    goes_on.set()
    done = mailferry("users", "--json", config=config)
    names = ["anna", "bob"] + [u["name"] for u in second[1].get("users", [])]
    said = json.loads(done.stdout)
    assert done.returncode == status and [u["name"] for u in said.pop("users")] == names and said == more
    assert ("the store is away" in done.stderr) == bool(more)


def test_nobody_as_a_document(config, engine):
    engine.answers["/v1/users"] = (200, {"users": [], "more": False})
    assert json.loads(mailferry("users", "--json", config=config).stdout) == {"users": []}
    engine.answers["/v1/users"] = (503, {"error": "the store is away"})
    assert json.loads(mailferry("users", "--json", config=config).stdout) == {"error": "the store is away"}


def test_names_cannot_move_the_cursor(config, engine):
    engine.answers["/v1/users"] = (200, {"users": [user("a\x1b[2Jb")], "more": False})
    assert "\x1b" not in mailferry("users", config=config).stdout


def test_import_posts_the_text_and_prints_errors(config, engine, tmp_path):
    csv = tmp_path / "users.csv"
    csv.write_text("user\nanna\n")
    engine.answers["/v1/import"] = (200, {"added": 1, "changed": 0, "same": 0})
    done = mailferry("import", csv, config=config)
    assert (done.returncode, done.stdout) == (0, "1 added, 0 changed, 0 as before\n")
    assert engine.asked[-1] == ("/v1/import", {"csv": "user\nanna\n", "file": "users.csv", "folder": str(tmp_path)})
    engine.answers["/v1/import"] = (422, {"error": "2 mistakes", "remedy": "correct it", "more": 0,
                                          "errors": ["users.csv:12: no user", "users.csv:14: no user"]})
    done = mailferry("import", csv, config=config)
    assert done.returncode == 1
    assert done.stderr.startswith("users.csv:12: no user\nusers.csv:14: no user\n")
    assert mailferry("import", tmp_path / "none.csv", config=config).returncode == 1


def moves(*steps):
    return [{"id": 10 + i, "at": 1000 + i, "user": "anna", "from": a, "to": b, "actor": "engine", "why": why}
            for i, (a, b, why) in enumerate(steps)]


def cutover(config, engine, rows, steps, *args):
    """Runs `cutover anna`: the history appears after the first look at it."""
    looks = []

    def history(handler):
        after = int(handler.path.split("after=")[1].split("&")[0])
        looks.append(after)
        return 200, {"history": [m for m in steps if m["id"] > after] if len(looks) > 1 else [], "more": False}

    engine.answers["/v1/cutover"] = (202, {"count": 1, "changed": 1, "after": 9, "users": [rows]})
    engine.answers["/v1/users/anna"] = (200, {"user": rows})
    engine.answers["/v1/history"] = history
    done = mailferry("cutover", "anna", *args, config=config)
    assert looks[:1] in ([], [9])
    return done


FLIP = moves(("ready", "freezing", "go"), ("freezing", "finalizing", "all nodes quiet"),
             ("finalizing", "trailing", "clean"))
UNDO = moves(("ready", "freezing", "go"), ("freezing", "ready", "budget spent"))


def test_cutover_follows_to_the_flip(config, engine):
    done = cutover(config, engine, user("anna"), FLIP)
    assert done.returncode == 0, done.stderr
    for words in ("ready → freezing", "freezing → finalizing", "finalizing → trailing", "anna: flipped"):
        assert words in done.stdout
    assert engine.asked[0] == ("/v1/cutover", {"user": "anna", "go": True})


def test_cutover_undone_is_1(config, engine):
    done = cutover(config, engine, user("anna"), UNDO)
    assert done.returncode == 1
    assert "anna: undone: budget spent" in done.stdout


def test_cutover_stuck_is_1(config, engine):
    done = cutover(config, engine, user("anna", stuck="wrong password on new"), [], "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"ok": 0, "failed": 1, "users": [
        {"user": "anna", "result": "stuck", "text": "wrong password on new"}]}


def test_cutover_of_a_moved_user_is_done(config, engine):
    assert cutover(config, engine, user("anna", "trailing", go=False), []).returncode == 0


def test_cutover_without_waiting(config, engine):
    done = cutover(config, engine, user("anna"), FLIP, "--no-wait")
    assert (done.returncode, done.stdout) == (0, "go given for 1 of 1 users\n")


def sync(config, engine, before, after, refused=()):
    engine.answers["/v1/sync"] = (202, {"count": 1, "users": [before], "refused": list(refused)})
    engine.answers["/v1/users/anna"] = (200, {"user": after})
    return mailferry("sync", "anna", config=config)


def test_sync_follows_to_the_end(config, engine):
    ended = user("anna", progress={"ended": 2000, "took_ms": 840, "messages": 1234, "verified": 1234, "clean": True})
    done = sync(config, engine, user("anna"), ended)
    assert (done.returncode, done.stdout) == (0, "anna: done in 840 ms, 1,234 messages, 1,234 compared\n")


def test_sync_that_fails_is_1(config, engine):
    failed = user("anna", progress={"ended": 2000, "error": "old: login refused"})
    done = sync(config, engine, user("anna"), failed)
    assert done.returncode == 1 and "anna: failed: old: login refused" in done.stdout
    done = sync(config, engine, user("anna"), user("anna", attempts=1, stuck="no such mailbox"))
    assert done.returncode == 1 and "anna: failed: no such mailbox" in done.stdout
    done = sync(config, engine, user("anna"), user("anna"), [{"user": "anna", "error": "is being moved"}])
    assert done.returncode == 1 and "anna: failed: is being moved" in done.stdout


def test_sync_draws_bars_on_a_terminal(config, engine):
    running = {"kind": "pass", "folder": "INBOX", "done": 5, "total": 10, "bytes": 1000}
    ended = {"ended": 2000, "took_ms": 840, "messages": 9, "verified": 9, "clean": True}
    looks = [user("anna", running=running), user("anna", progress=ended)]
    engine.answers["/v1/sync"] = (202, {"count": 1, "users": [user("anna")], "refused": []})
    engine.answers["/v1/users/anna"] = lambda handler: (200, {"user": looks.pop(0)})
    status, text = Terminal([MAILFERRY, "-c", config, "sync", "anna"]).finish()
    assert status == 0
    assert "[############............]" in text
    assert "\x1b[2A\x1b[J" in text  # title and one row are drawn over
    assert text.endswith("anna: done in 840 ms, 9 messages, 9 compared\n")


# ---- what is shown

STATES = ["pending", "provisioned", "syncing", "ready", "freezing", "finalizing", "trailing", "done", "returning"]


def sums(**more):
    return {"users": 3, "states": dict.fromkeys(STATES, 0) | {"ready": 2, "freezing": 1}, "stuck": 1, "go": 1,
            "messages": 1234567, "copied": 1, "verified": 1234560, "exceptions": 0, "bytes": 15000000, **more}


STATUS = {"version": 1, "now": 61000, "users": sums(), "waves": [sums(wave="1")], "strangers": 2,
          "engine": {"started": 1000, "workers": 1, "workers_max": 4, "queued": 7, "cutovers": 1},
          "nodes": [{"node": "proxy-1", "health": "up"}, {"node": "proxy-2", "health": "silent"}],
          "sessions": {"total": 9, "old": 5, "new": 3, "waiting": 1},
          "warnings": ['backend "old": imap without TLS'],
          "certificates": [{"name": "mail.test", "not_after": 1, "days": 12}, {"name": "", "not_after": 2, "days": 80}],
          "active": [user("anna", "freezing", running={"kind": "pass", "folder": "INBOX", "done": 5, "total": 10,
                                                        "bytes": 1000})]}


def test_status(config, engine):
    engine.answers["/v1/status"] = (200, STATUS)
    done = mailferry("status", config=config)
    assert done.returncode == 0
    for words in ("engine: up 60 s, 1 of 4 workers busy, 7 users queued, 1 cutovers under way",
                  "nodes: proxy-1 up, proxy-2 silent", "sessions: 9 (old 5, new 3, waiting 1)", "strangers: 2",
                  "certificates: the next to expire is mail.test, in 12 days",
                  'warning: backend "old": imap without TLS', "1,234,567", "15.0 MB",
                  "[############............]"):
        assert words in done.stdout
    assert "\x1b" not in done.stdout
    assert json.loads(mailferry("status", "--json", config=config).stdout) == STATUS


def test_status_watch_prints_changes_only(config, engine):
    later = dict(STATUS, users=sums(stuck=0))
    answers = [(200, STATUS), (200, STATUS), (200, later), (503, {"error": "the end", "remedy": "none"})]
    engine.answers["/v1/status"] = lambda handler: answers.pop(0)
    done = mailferry("status", "--watch", config=config)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and not answers
    assert len(lines) == 2
    assert "ready=2" in lines[0] and "stuck=1" in lines[0] and "stuck=0" in lines[1]


def session(**more):
    return {"user": "anna", "id": "k3f9", "proto": "imap", "side": "old", "state": "DRAIN", "doing": "APPEND",
            "since": 1, "bytes_up": 5, "bytes_down": 6, "peer": "192.0.2.1", "node": "proxy-1", **more}


def test_why_and_history(config, engine):
    engine.answers["/v1/users/anna%40x/why"] = (200, {
        "user": user("anna@x", "freezing", route="hold"), "summary": "logins wait",
        "waits_for": [{"name": "nodes", "open": False, "text": "1 of 2 quiet"},
                      {"name": "pass", "open": True, "text": "clean"}],
        "quiet": {"nodes": 2, "acked": 1, "lapsed": 0, "waiting": "proxy-2: k3f9 APPEND"},
        "sessions": [session()], "history": FLIP[:1]})
    text = mailferry("why", "anna@x", config=config).stdout
    for words in ("anna@x: freezing, logins go to: hold, wave: 1", "logins wait", "waits  nodes: 1 of 2 quiet",
                  "ok     pass: clean", "nodes: 1 of 2 quiet; waiting for proxy-2: k3f9 APPEND", "k3f9", "ready → freezing"):
        assert words in text, text
    engine.answers["/v1/users/anna/history"] = (200, {"history": FLIP, "more": False})
    login = {"id": 1, "at": FLIP[-1]["at"] + 1, "node": "proxy-1", "proto": "imap", "side": "new", "route": "new: flipped",
             "result": "ok", "client": "", "held_ms": 0, "took_ms": 7}
    drop = {"at": FLIP[-1]["at"], "node": "proxy-1", "session": "k3f9", "proto": "imap", "side": "old", "doing": "IDLE",
            "why": "the user was moved", "bye": "heard", "client": "K-9 6", "back_ms": 1}
    engine.answers["/v1/users/anna/logins"] = (200, {"logins": [login], "more": False})
    engine.answers["/v1/users/anna/drops"] = (200, {"drops": [drop], "more": False})
    text = mailferry("history", "anna", config=config).stdout
    assert [line.count("→") for line in text.splitlines()] == [0, 1, 1, 1, 0, 0]
    assert text.splitlines()[-2].endswith("IDLE; BYE heard; K-9 6; back after 1 ms")
    assert json.loads(mailferry("history", "anna", "--json", config=config).stdout) == {
        "history": FLIP, "logins": [login], "drops": [drop]}


def test_an_inventory_has_all_strangers(config, engine):
    """They come by pages too."""
    def stranger(name):
        return {"name": name, "first_seen": 1000, "last_seen": 2000, "logins": 1}

    pages = {False: {"strangers": [stranger("bob")], "more": True},
             True: {"strangers": [stranger("zoe")], "more": False}}
    engine.answers["/v1/inventory"] = (200, {"users": [], "more": False})
    engine.answers["/v1/strangers"] = lambda handler: (200, pages["after=bob" in handler.path])
    run = mailferry("inventory", config=config)
    assert "2 names" in run.stdout and "zoe" in run.stdout, run.stdout + run.stderr


def test_sessions_and_strangers(config, engine):
    pages = [(200, {"sessions": [session(route="old: stranger", client="Thunderbird 128")], "more": True,
                    "next": "k3f9/proxy-1/anna"}),
             (200, {"sessions": [session(id="k4")], "more": False})]
    engine.answers["/v1/sessions"] = lambda handler: pages.pop(0)
    text = mailferry("sessions", "anna", "--side", "old", "--node", "proxy-1", config=config).stdout
    for word in ("k3f9", "k4", "old: stranger", "Thunderbird 128", "APPEND"):
        assert word in text
    assert "user=anna" in engine.asked[-1][0] and "side=old" in engine.asked[-1][0]
    assert "node=proxy-1" in engine.asked[-1][0] and "after=k3f9%2Fproxy-1%2Fanna" in engine.asked[-1][0]
    engine.answers["/v1/strangers"] = (200, {"strangers": [], "more": False})
    assert "no strangers" in mailferry("strangers", config=config).stdout


def answer(node, answered=True, ended=0, cut=0, remain=0, doing=None):
    return {"node": node, "answered": answered, "ended": ended, "cut": cut, "remain": remain, "doing": doing}


def test_drop_waits_for_all_nodes(config, engine):
    engine.answers["/v1/drop"] = (202, {"request": 7})
    looks = [[answer("p1", False), answer("p2", remain=1, doing="session k3f9 imap: APPEND 1/2 MB")],
             [answer("p1", ended=2), answer("p2", remain=1)], [answer("p1", ended=2), answer("p2", ended=1)]]
    engine.answers["/v1/answers"] = lambda handler: (200, {"answers": looks.pop(0), "more": False})
    done = mailferry("drop", "anna", "--force", "--wait", "50", config=config)
    assert done.returncode == 0 and not looks
    assert done.stdout == "p1: 2 ended, 0 cut, 0 remain\np2: 1 ended, 0 cut, 0 remain\n"
    assert engine.asked[0][1] == {"user": "anna", "force": True, "seconds": 50}
    assert engine.asked[1][0] == "/v1/answers?request=7"
    engine.answers["/v1/answers"] = (200, {"answers": [answer("p1", ended=2), answer("p2", remain=1, doing="x: FETCH")]})
    done = mailferry("drop", "anna", "--wait", "0", config=config)
    assert done.returncode == 1 and "p2: 0 ended, 0 cut, 1 remain; x: FETCH" in done.stdout


def three_sessions(handler):
    return 200, {"sessions": [session(), session(), session()], "more": False}


# What the command says, the route, and how the engine answers a POST there.
SURE = {
    ("cutover", "anna", "--no-wait"): ("anna (ready) will be moved to new: logins wait for some seconds, 3 sessions will be ended",
                                       "/v1/cutover", {"changed": 1, "count": 1, "users": [], "after": 1}),
    ("cutover", "--wave", "1", "--at", "22:00"): ("3 users of wave 1 will be moved to new, not before 22:00: logins wait",
                                                  "/v1/cutover", {"changed": 1, "count": 1, "users": [], "after": 1}),
    ("rollback", "--wave", "1", "--no-wait"): ("2 users of wave 1 will be moved back to old: logins wait for some seconds, 3 sessions",
                                               "/v1/rollback", {"changed": 1, "count": 1, "users": [], "after": 1}),
    ("drop", "anna", "--force", "--wait", "5"): ("3 sessions of anna will be ended, and cut after 5 s", "/v1/drop", {"request": 7}),
    ("drain", "p1"): ("node p1 will take no clients any more; 3 sessions will be ended, and cut after 300 s", "/v1/drain", {"request": 7}),
    ("drain", "--all", "--seconds", "9"): ("nobody can log in; 3 sessions will be ended, and cut after 9 s", "/v1/drain", {"request": 7}),
    ("forget", "p1"): ("nobody will wait for node p1 any more, which had 3 sessions", "/v1/forget", {}),
    ("store", "rebuild"): ("of 9 users in the store", "/v1/rebuild", {"moved": 0}),
    ("pull", "--wave", "1", "--undo", "--stuck"): (
        "those of wave 1 who are in job mailferry-7 of OpenSRS's tool, which stands still, will not be waited for any more",
        "/v1/pull", {"users": [{"user": "anna", "result": "undone", "text": "", "state": "stuck", "job": "mailferry-7"}]}),
    ("pull", "--wave", "1", "--no-wait"): ("OpenSRS will be given the old password of 3 users of wave 1", "/v1/pull", {"users": []}),
}


@pytest.mark.parametrize("args", SURE, ids=" ".join)
def test_a_person_at_a_terminal_is_asked(config, engine, args):
    said, route, result = SURE[args]
    engine.answers = {"/v1/users/anna": (200, {"user": user("anna")}), "/v1/sessions": three_sessions, route: (202, result),
                      "/v1/waves": (200, {"waves": [{"wave": "1", "users": 5, "on_new": 2}]}),
                      "/v1/status": (200, {"users": {"users": 9}}),
                      "/v1/answers": (200, {"answers": [answer("p1")], "more": False})}

    def run(typed, *more):
        engine.asked.clear()
        t = Terminal([MAILFERRY, *args, *more], env=dict(os.environ, MAILFERRY_CONFIG=str(config)))
        if typed:
            t.until("go on? [y/N] ")
            t.type(typed)
        status, seen = t.finish()
        return status, seen, [path for path, body in engine.asked if body is not None]
    status, seen, posted = run("n\n")
    assert status == 1 and said in seen and not posted, seen
    assert run("Y\n")[2] == [route]
    status, seen, posted = run(None, "--yes")
    assert "go on?" not in seen and posted == [route]
    engine.asked.clear()
    done = mailferry(*args, config=config)      # no terminal
    assert "go on?" not in done.stderr and route in [path for path, body in engine.asked if body is not None]


def test_who_is_let_go_is_of_the_job_that_was_named(config, engine):
    engine.answers["/v1/pull"] = (200, {"users": [{"user": "anna", "result": "undone", "text": "", "state": "stuck", "job": "mailferry-7"}]})
    assert "1 users are not waited for any more" in mailferry("pull", "--wave", "1", "--undo", "--stuck", config=config).stdout
    (looked, _), (_, body) = engine.asked
    assert "state=stuck" in looked and "wave=1" in looked
    assert body["job"] == "mailferry-7" and body["stuck"]


def test_what_takes_back_is_not_asked(config, engine):
    engine.answers = {"/v1/cutover": (202, {"changed": 1, "count": 1, "users": [], "after": 1}), "/v1/drain": (202, {"request": 7}),
                      "/v1/answers": (200, {"answers": [answer("p1")], "more": False})}
    for args in (["cutover", "anna", "--withdraw"], ["drain", "p1", "--undo"]):
        status, seen = Terminal([MAILFERRY, *args], env=dict(os.environ, MAILFERRY_CONFIG=str(config))).finish()
        assert status == 0 and "go on?" not in seen


def test_accounts_are_made_after_a_yes(config, engine):
    runs = []

    def provision(handler):
        if handler.command == "POST":
            runs.append(engine.asked[-1][1]["dry_run"])
            return 202, {"run": len(runs)}
        return 200, {"run": len(runs), "running": False, "error": None, "items": [{"name": "anna", "what": "create", "text": "", "line": 2}]}
    engine.answers["/v1/provision"] = provision
    for typed, expected in (("n\n", [True]), ("y\n", [True, False])):
        runs.clear()
        t = Terminal([MAILFERRY, "provision"], env=dict(os.environ, MAILFERRY_CONFIG=str(config)))
        t.until("on OpenSRS 1 will be made and 0 changed\ngo on? [y/N] ")
        t.type(typed)
        assert t.finish()[0] == len(runs) % 2 and runs == expected


def test_drain(config, engine):
    engine.answers["/v1/drain"] = (202, {"request": 8})
    engine.answers["/v1/answers"] = (200, {"answers": [answer("p1", ended=3, cut=1)]})
    done = mailferry("--json", "drain", "p1", "--seconds", "9", config=config)
    assert json.loads(done.stdout) == {"ended": 3, "cut": 1, "remain": 0, "silent": 0,
                                       "nodes": [answer("p1", ended=3, cut=1)]}
    assert engine.asked[0][1] == {"node": "p1", "seconds": 9, "undo": False}
    assert mailferry("drain", "--all", "--undo", config=config).returncode == 0
    assert engine.asked[-2][1] == {"all": True, "seconds": 300, "undo": True}
    for args in (["drain"], ["drain", "p1", "--all"], ["drain", "p1", "--seconds", "x"], ["drop", "a", "--wait", "-1"]):
        assert mailferry(*args, config=config).returncode == 2


def test_requests(config, engine):
    engine.answers["/v1/requests"] = (202, {"sent": "loglevel"})
    assert mailferry("log-level", "debug", config=config).returncode == 0
    assert engine.asked[-1][1] == {"verb": "loglevel", "level": "debug"}
    engine.answers["/v1/retry"] = (202, {"count": 2, "users": []})
    assert mailferry("retry", "--wave", "1", config=config).stdout == "2 users are tried again now\n"


# ---- check backends

class Imap(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def imap_server(words, wait=lambda: True):
    """wait: called before the greeting; False: there is none."""
    class Talk(socketserver.StreamRequestHandler):
        def handle(self):
            if not wait():
                return
            self.wfile.write(b"* OK hello\r\n")
            for line in self.rfile:
                tag, verb = line.split()[:2]
                if verb.upper() == b"AUTHENTICATE":
                    self.wfile.write(b"+ \r\n")
                    self.rfile.readline()
                if verb.upper() == b"CAPABILITY":
                    self.wfile.write(b"* CAPABILITY IMAP4rev1 %s\r\n" % words)
                self.wfile.write(tag + b" OK done\r\n")
                if verb.upper() == b"LOGOUT":
                    return

    server = Imap(("127.0.0.1", 0), Talk)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def test_backends_are_compared(config):
    old, new = imap_server(b"IDLE QUOTA AUTH=PLAIN COMPRESS=DEFLATE"), imap_server(b"IDLE")
    config.write_text(CONFIG % {"old": old.server_address[1], "new": new.server_address[1]})
    done = mailferry("check", "backends", "--json", config=config)
    answer = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert answer["ok"] is True
    assert [s["backend"] for s in answer["servers"]] == ["old", "new"]
    assert "IDLE" in answer["servers"][0]["capabilities"]
    assert answer["missing_on_new"] == {"imap": ["QUOTA"]}  # COMPRESS never passes the proxy
    text = mailferry("check", "backends", config=config).stdout
    assert "clear text" in text and "QUOTA" in text
    new.shutdown()
    new.server_close()
    done = mailferry("check", "backends", config=config)
    assert done.returncode == 1
    assert "new imap 127.0.0.1:%d: failed" % new.server_address[1] in done.stdout
    old.shutdown()
    old.server_close()


def test_who_was_stopped_meanwhile_waits_on(config):
    """As by Ctrl-Z and fg: that is no failure of the server's."""
    asked, go = threading.Event(), threading.Event()

    def wait():
        asked.set()
        return go.wait(60)

    def is_asleep():
        return processes.run_state(command.pid) == "S"
    server = imap_server(b"IDLE", wait)
    config.write_text((CONFIG % {"old": server.server_address[1], "new": server.server_address[1]}).replace("io_s = 5", "io_s = 60"))
    with subprocess.Popen([MAILFERRY, "check", "backends"], env=dict(os.environ, MAILFERRY_CONFIG=str(config)),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as command:
        assert asked.wait(60)
        processes.wait_until(is_asleep, 60, "it to wait for the greeting")
        command.send_signal(signal.SIGSTOP)
        processes.wait_until(lambda: processes.run_state(command.pid) == "T", 60, "it to stand still")
        command.send_signal(signal.SIGCONT)
        processes.wait_until(lambda: command.poll() is not None or is_asleep(), 60, "it to go on")
        go.set()
        said = command.communicate(timeout=60)[0]
    server.shutdown()
    server.server_close()
    assert command.returncode == 0, said


def test_who_did_not_log_in_is_not_said_to_have(config, tmp_path):
    """A server that answers only the second time, when nobody is logged in any more."""
    answers = iter([False] + [True] * 10)
    old, new = imap_server(b"IDLE", lambda: next(answers)), imap_server(b"IDLE")
    (tmp_path / "master").write_text("secret\n")
    (tmp_path / "master").chmod(0o600)
    master = 'host = "127.0.0.1" master_user = m master_password_file = "%s"' % (tmp_path / "master")
    config.write_text((CONFIG % {"old": old.server_address[1], "new": new.server_address[1]}).replace('host = "127.0.0.1"', master))
    text = mailferry("check", "backends", "anna", config=config).stdout
    assert 'no look behind the login: backend "old": ' in text and "(as told before login)" in text, text
    text = mailferry("check", "backends", "anna", config=config).stdout
    assert "(as told after login)" in text, text
    for server in (old, new):
        server.shutdown()
        server.server_close()


@pytest.fixture
def tls_server(tmp_path):
    """IMAP over TLS with a certificate for localhost; its port and CA file."""
    subprocess.run([os.path.join(ROOT, "certs/devca.sh"), tmp_path / "ca", "mail.example.net"], check=True,
                   capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca/mail.example.net.pem", tmp_path / "ca/mail.example.net.key")
    server = imap_server(b"IDLE")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield server.server_address[1], tmp_path / "ca/ca.pem"
    server.shutdown()
    server.server_close()


def test_certificate_is_shown_and_verified(config, tls_server):
    port, ca = tls_server
    tls = CONFIG % {"old": port, "new": port}
    tls = tls.replace("imap_tls = none", 'imap_tls = implicit tls_ca_file = "%s"' % ca)
    config.write_text(tls)
    done = mailferry("check", "backends", "--json", config=config)
    assert done.returncode == 0, done.stdout
    shown = json.loads(done.stdout)["servers"][0]["certificate"]
    assert "mail.example.net" in shown["names"] and shown["pin"].startswith("sha256:")
    assert 0 < shown["days_left"] <= 30
    config.write_text(tls.replace("tls_ca_file", 'tls_name = "other.example.net" tls_ca_file'))
    done = mailferry("check", "backends", config=config)
    assert done.returncode == 1
    assert "other.example.net" in done.stdout


def test_a_silent_server_is_given_up(config):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config.write_text((CONFIG % {"old": port, "new": port}).replace("io_s = 30", "io_s = 1"))
        done = mailferry("check", "backends", config=config)
    assert done.returncode == 1
    assert "timed out" in done.stdout
