"""Real clients, unchanged, through the proxy."""

import imaplib
import os
import poplib
import subprocess

import pytest

from lib import processes
from lib.mbsync import Mbsync


@pytest.fixture
def filled(stage, resident):
    stage.fill(resident, {"INBOX": 12, "INBOX.Work": 5})
    return resident


def call(*command, feed=None, **kw):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=feed, **kw)
    assert done.returncode == 0, "%s: %d\n%s%s" % (command[0], done.returncode, done.stdout, done.stderr)
    return done.stdout


def test_imaplib(stage, ferry, filled):
    with imaplib.IMAP4_SSL("localhost", ferry.ports["imaps"], ssl_context=stage.context) as m:
        m.login(filled.name, filled.password)
        assert m.select("INBOX")[1] == [b"12"]
        assert len(m.search(None, "SEEN")[1][0].split()) == 6
    m = imaplib.IMAP4("localhost", ferry.ports["imap"])
    m.starttls(stage.context)
    m.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (filled.name, filled.password)).encode())
    assert m.status("INBOX.Work", "(MESSAGES)")[0] == "OK"
    m.logout()


def test_poplib(stage, ferry, filled):
    p = poplib.POP3_SSL("localhost", ferry.ports["pop3s"], context=stage.context)
    p.user(filled.name)
    p.pass_(filled.password)
    assert p.stat()[0] == 12 and len(p.uidl()[1]) == 12
    p.quit()
    p = poplib.POP3("localhost", ferry.ports["pop3"])
    p.stls(stage.context)
    p.user(filled.name)
    p.pass_(filled.password)
    p.quit()


@pytest.mark.parametrize("scheme,port", [("imaps", "imaps"), ("imap", "imap")])
def test_curl_imap(stage, ferry, filled, scheme, port):
    out = call("curl", "-sS", "--ssl-reqd", "--cacert", stage.ca.cert, "-K", "-",
               "%s://localhost:%d/INBOX;MAILINDEX=1" % (scheme, ferry.ports[port]),
               feed='user = "%s:%s"\n' % (filled.name, filled.password))
    assert "X-Stamp: " in out


@pytest.mark.parametrize("scheme,port", [("pop3s", "pop3s"), ("pop3", "pop3")])
def test_curl_pop3(stage, ferry, filled, scheme, port):
    out = call("curl", "-sS", "--ssl-reqd", "--cacert", stage.ca.cert, "-K", "-",
               "%s://localhost:%d/1" % (scheme, ferry.ports[port]),
               feed='user = "%s:%s"\n' % (filled.name, filled.password))
    assert "X-Stamp: " in out


def test_mbsync(stage, ferry, filled, tmp_path):
    client = Mbsync(ferry, stage.ca, filled, tmp_path)
    assert [client.run(), client.run()] == [17, 0]


@pytest.mark.parametrize("protocol,port", [("IMAP", "imaps"), ("POP3", "pop3s")])
def test_fetchmail(stage, ferry, filled, tmp_path, protocol, port):
    rc, box = tmp_path / "fetchmailrc", tmp_path / "box"
    rc.write_text('poll localhost protocol %s service %d user "%s" password "%s" ssl sslcertfile "%s" '
                  'sslcertck keep fetchall mda "cat >>%s"\n' % (
                      protocol, ferry.ports[port], filled.name, filled.password, stage.ca.cert, box))
    rc.chmod(0o600)
    call("fetchmail", "-f", str(rc), "--pidfile", str(tmp_path / "pid"), "--nosyslog",
         env=dict(os.environ, HOME=str(tmp_path), FETCHMAILHOME=str(tmp_path)))
    assert box.read_text(errors="replace").count("X-Stamp: ") == 12


@pytest.mark.parametrize("port,starttls,feed,expect", [
    ("imaps", None, "a LOGIN %s %s\r\nb SELECT INBOX\r\nc LOGOUT\r\n", "12 EXISTS"),
    ("imap", "imap", "a LOGIN %s %s\r\nb SELECT INBOX\r\nc LOGOUT\r\n", "12 EXISTS"),
    ("pop3s", None, "USER %s\r\nPASS %s\r\nSTAT\r\nQUIT\r\n", "+OK 12 "),
    ("pop3", "pop3", "USER %s\r\nPASS %s\r\nSTAT\r\nQUIT\r\n", "+OK 12 "),
])
def test_openssl_s_client(stage, ferry, filled, port, starttls, feed, expect):
    more = ["-starttls", starttls] if starttls else []
    out = call("openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", stage.ca.cert,
               "-verify_hostname", "localhost", "-connect", "127.0.0.1:%d" % ferry.ports[port], "-ign_eof",
               *more, feed=feed % (filled.name, filled.password))
    assert expect in out


# ---- clients that keep a copy of their own, or show it on a screen


@pytest.mark.full
def test_offlineimap(stage, ferry, filled, tmp_path):
    (tmp_path / "offlineimaprc").write_text("""
[general]
accounts = ferry
metadata = %(folder)s/state
[Account ferry]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %(folder)s/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %(port)d
remoteuser = %(user)s
remotepass = %(password)s
ssl = yes
sslcacertfile = %(ca)s
""" % {"folder": tmp_path, "port": ferry.ports["imaps"], "user": filled.name, "password": filled.password,
       "ca": stage.ca.cert})
    for _ in range(2):
        call("offlineimap", "-c", str(tmp_path / "offlineimaprc"), "-o", "-u", "basic",
             env=dict(os.environ, HOME=str(tmp_path)))
        found = [p for p in (tmp_path / "mail").rglob("*")
                 if p.parent.name in ("cur", "new") and p.is_file()]
        assert len(found) == 17


class Terminal:
    """A program in a terminal (tmux on a socket of its own): keys in, screen out."""

    def __init__(self, folder, command, env):
        self.tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        call(*self.tmux, "new-session", "-d", "-x", "120", "-y", "40", command, env=env)

    def screen(self):
        return call(*self.tmux, "capture-pane", "-p")

    def until(self, text):
        processes.wait_until(lambda: text in self.screen(), 20, "%r on the screen" % text)

    def keys(self, *keys):
        call(*self.tmux, "send-keys", *keys)

    def end(self):
        subprocess.run(self.tmux + ["kill-server"], capture_output=True)


@pytest.mark.full
def test_neomutt(stage, ferry, filled, tmp_path):
    (tmp_path / "rc").write_text("""
set folder = "imaps://localhost:%d/"
set spoolfile = "+INBOX"
set imap_user = "%s"
set imap_pass = "%s"
set certificate_file = "%s"
set ssl_ca_certificates_file = "%s"
set imap_idle = yes
set header_cache = "%s/cache"
set sort = date-received
set wait_key = no
set delete = yes
""" % (ferry.ports["imaps"], filled.name, filled.password, stage.ca.cert, stage.ca.cert, tmp_path))
    t = Terminal(tmp_path, "neomutt -n -F %s/rc" % tmp_path, dict(os.environ, HOME=str(tmp_path), TERM="xterm"))
    try:
        t.until("Msgs:12")
        t.keys("Enter")
        t.until("Grey harbours")
        t.keys("i")
        t.keys("F")
        t.keys("D", "~s", " message", "Enter")    # delete all whose subject says so
        t.until("Del:12")
        t.keys("$")
        processes.wait_until(lambda: not stage.read(stage.old, filled)[("INBOX",)].messages, 20,
                             "neomutt's deletes on the server")
        t.keys("q")
    finally:
        t.end()
