"""A user's conversations, shown while they happen, and never what nobody may see."""

import json
import os
import signal
import subprocess

from lib import mail, processes
from lib.imapclient import No


class Trace:
    """`mailferry trace USER` while it runs."""

    def __init__(self, f, person, *args, all_nodes=True):
        command = [os.path.join(f.build, "mailferry"), "-c", f.conf, "--json", "trace", person.name, *args]
        self.f, self.path = f, os.path.join(f.folder, "trace-of-" + person.name)
        before = f.log_text().count("is traced")
        with open(self.path, "w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if all_nodes:
            processes.wait_until(lambda: f.log_text().count("is traced") >= before + len(f.nodes()), 30,
                                 "all nodes to trace")

    def lines(self):
        with open(self.path) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def text(self):
        return "\n".join("%s %s" % (line["way"], line["line"]) for line in self.lines())

    def wait_for(self, words):
        try:
            processes.wait_until(lambda: words in self.text(), 30, words)
        except TimeoutError:
            raise AssertionError("no \"%s\" in:\n%s" % (words, self.text())) from None

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def test_a_trace_shows_the_conversation_and_no_secret(ferry, resident, imap):
    early = imap(ferry)
    early.login(resident.name, resident.password)
    early.command(b"SELECT INBOX")
    t = Trace(ferry, resident)
    t.wait_for("-- imap from 127.0.0.1")
    body = mail.message("a-very-private-thing", 3000)
    early.append(b"INBOX", body, b"\\Seen")
    early.command(b"NOOP")      # Courier: only now is it there for this session
    fetch = early.begin(b"FETCH 1 (FLAGS ENVELOPE BODY[])")
    untagged, _ = early.finish(fetch)
    assert any(body in line for line in untagged)
    early.command(b'UID SEARCH SUBJECT "very-private" SEEN')
    with_password = early.begin(b'LOGIN "%s" "%s"' % (resident.name.encode(), resident.password.encode()))
    try:
        early.finish(with_password)
    except No:
        pass
    compress = early.begin(b"COMPRESS DEFLATE")
    try:
        early.finish(compress)
    except No:
        pass
    idle = early.idle()
    early.done(idle)
    late = imap(ferry)
    late.authenticate_plain(resident.name, resident.password)
    late.command(b"NOOP")
    late.logout()
    fetch, with_password, compress, idle = (tag.decode() for tag in (fetch, with_password, compress, idle))
    for words in ("C: %s FETCH 1 (FLAGS ENVELOPE BODY[])" % fetch, "(\\Seen) {%d bytes}" % len(body),
                  "BODY[] {%d bytes})" % len(body), " UID SEARCH SUBJECT … SEEN",
                  "C: %s LOGIN (hidden)" % with_password, "C: %s COMPRESS DEFLATE" % compress,
                  "S: %s NO This command is not available here." % compress, "C: %s IDLE" % idle, "C: DONE",
                  "S: %s OK" % idle, "-- LOGIN -> RELAY", "C: a2 NOOP", "S: * BYE", "-- closed: logged out"):
        t.wait_for(words)
    text = t.text()
    for secret in (resident.password, "a-very-private-thing", "very-private", "AGFub", "X-Stamp"):
        assert secret not in text, text
    order = [text.index(words) for words in ("C: %s FETCH" % fetch, "S: %s OK" % fetch, "C: %s COMP" % compress,
                                               "S: %s NO" % compress)]
    assert order == sorted(order)
    assert {line["node"] for line in t.lines()} <= {"proxy-1", "proxy-2"}
    assert len({line["session"] for line in t.lines()}) == 2
    assert t.interrupt() == 0
    said = len(t.lines())
    early.command(b"NOOP")
    assert len(t.lines()) == said and ferry.command("trace", resident.name, "--stop").returncode == 0


def test_a_trace_of_pop3(stage, ferry, resident, pop3):
    stage.fill(resident, {"INBOX": 2})
    t = Trace(ferry, resident)
    p = pop3(ferry)
    assert p.login(resident.name, resident.password).startswith(b"+OK")
    p.lines(b"UIDL")
    lines = p.lines(b"RETR 1")
    size = sum(len(line) + 2 for line in lines) + 3
    p.command(b"PASS " + resident.password.encode())
    p.command(b"QUIT")
    for words in ("C: UIDL", "S: 2 ", "C: RETR 1", "S: (%d bytes)\nS: ." % size, "C: PASS (hidden)", "C: QUIT"):
        t.wait_for(words)
    assert resident.password not in t.text() and "X-Stamp" not in t.text()
    assert t.interrupt() == 0


def test_a_trace_ends_by_itself(ferry, resident, imap):
    c = imap(ferry)
    c.login(resident.name, resident.password)
    t = Trace(ferry, resident, "--seconds", "1", all_nodes=False)   # one that is late finds it over
    assert t.process.wait(20) == 0
    full = Trace(ferry, resident, "--bytes", "300")
    processes.wait_until(lambda: c.command(b"NOOP") and full.process.poll() is not None, 30, "the trace to be full")
    assert full.process.returncode == 0
    size = sum(len(line["line"].encode()) for line in full.lines())
    assert 0 < size < 4000
    assert "the trace has ended" in ferry.log_text()


def test_a_trace_outlives_a_node(own_ferry, person, imap):
    f = own_ferry({"run": {"nodes": 1}})
    f.import_users([person.name])
    t = Trace(f, person)
    f.kill(f.nodes()[0])
    processes.wait_until(lambda: f.log_text().count("is traced") >= 2, 30, "the node to trace again")
    c = imap(f)
    c.login(person.name, person.password)
    c.command(b"NOOP")
    t.wait_for("C: a2 NOOP")
    assert t.interrupt() == 0
