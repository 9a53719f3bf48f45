"""Learned passwords: what old takes from a client is sealed to the engine's key, used to copy, and erased."""

import os
import sqlite3

import pytest

from lib import processes

NOBODY = {"master_user": None, "master_password_file": None}


@pytest.fixture
def learning(own_ferry, stage, tmp_path):
    """A ferry that knows no password of anybody on either server."""
    key = os.path.join(stage.folder, "learn-%s.key" % tmp_path.name)
    made = own_ferry({"backend old": NOBODY, "backend new": NOBODY}).cli("learn-key", key)
    stage.ferries[-1].stop()

    def start(domains="*", **settings):
        return own_ferry(dict({"backend old": NOBODY, "backend new": NOBODY, "sync": {"delta_s": 1, "retry_s": 1},
                               "learn": {"domains": domains, "key_file": key, "public_key": made["public_key"]}}, **settings))
    yield start
    os.unlink(key)


def bare(person):
    """A row of the CSV without a password, also where a server has no master user."""
    return {"user": person.name, "wave": "1", "old_password_file": "", "new_password_file": ""}


def said(f, person):
    """What he waits for."""
    return f.command("why", person.name).stdout


def sealed(f):
    with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db")) as db:
        return db.execute("SELECT sealed FROM learned ORDER BY name").fetchall()


def log_in(imap, f, person):
    client = imap(f)
    client.login(person.name, person.password)
    return client


def test_a_user_is_moved_with_what_his_client_said(stage, learning, person, imap):
    f = learning(sync={"delta_s": 1, "retry_s": 1, "trailing_s": 1})
    stage.fill(person, {"INBOX": 4})
    f.import_users([bare(person)])
    processes.wait_until(lambda: "no learned password" in said(f, person), 30, "the need to be told")
    assert f.state(person.name) == "pending" and not sealed(f)
    log_in(imap, f, person)
    f.wait_state(person.name, "ready")
    assert "logins for both servers are known" in said(f, person)
    text, = sealed(f)[0]
    assert person.password not in text
    f.command("cutover", person.name)
    assert sealed(f)
    with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db"), timeout=10) as db:
        db.execute("UPDATE users SET last_arrival = 1")     # long ago
    f.wait_state(person.name, "done")
    processes.wait_until(lambda: not sealed(f), 10, "the password to be erased")


def test_who_goes_back_after_he_was_done_is_learned_anew(stage, learning, person, imap):
    """What was erased is said again at his next login, not a day after he said it last."""
    f = learning(run={"nodes": 1}, sync={"delta_s": 1, "retry_s": 1, "trailing_s": 1})
    stage.fill(person, {"INBOX": 1})
    f.import_users([bare(person)])
    log_in(imap, f, person)
    f.wait_state(person.name, "ready")
    f.command("cutover", person.name)
    with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db"), timeout=10) as db:
        db.execute("UPDATE users SET last_arrival = 1")     # long ago
    f.wait_state(person.name, "done")
    processes.wait_until(lambda: not sealed(f), 10, "the password to be erased")
    f.command("rollback", person.name, "--no-wait", check=False)
    f.wait_state(person.name, "returning")

    def said_again():
        log_in(imap, f, person).logout()
        return sealed(f)
    processes.wait_until(said_again, 20, "the password to be learned")


def test_nobody_else_can_open_them(stage, learning, person, imap):
    f = learning()
    f.import_users([bare(person)])
    log_in(imap, f, person)
    processes.wait_until(lambda: sealed(f), 10, "the password to be learned")
    assert "the password was learned" in f.log_text()
    for folder, _, names in os.walk(f.folder):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    text = file.read()
            except OSError:     # a socket, or a file that came and went
                continue
            assert person.password.encode() not in text, path
    if f.account:       # the nodes' account; `mailferry run` is root
        with open(f.conf) as conf:
            key = [line.split('"')[1] for line in conf if "key_file" in line][0]
        st = os.stat(key)
        assert (st.st_uid, st.st_mode & 0o777) == (0, 0o400)


def test_another_password_takes_its_place(stage, learning, person, imap):
    f = learning(run={"nodes": 1})      # each writes what it has not seen yet
    stage.fill(person, {"INBOX": 2})
    f.import_users([bare(person)])
    log_in(imap, f, person)
    f.wait_state(person.name, "ready")
    before = sealed(f)
    log_in(imap, f, person)     # the same one: nothing to write
    first = person.password
    for server in (stage.old, stage.new):
        server.set_password(person.name, "another-one")
    try:
        person.password = "another-one"
        assert sealed(f) == before
        log_in(imap, f, person)
        processes.wait_until(lambda: sealed(f) != before, 10, "the new password to be learned")
        passes = f.user(person.name)["progress"]["passes"]
        f.command("retry", person.name)
        processes.wait_until(lambda: f.user(person.name)["progress"]["passes"] > passes + 1
                             and f.user(person.name)["progress"]["clean"], 60, "passes with it")
    finally:
        for server in (stage.old, stage.new):
            server.set_password(person.name, first)


def test_only_of_the_domains_that_are_named(learning, stage, imap):
    f = learning(domains="example.net, example.org")
    person = stage.take()
    f.import_users([bare(person)])
    log_in(imap, f, person)
    processes.wait_until(lambda: "logged in" in f.log_text(), 10, "the login to be told")
    assert "the password was learned" not in f.log_text() and not sealed(f)


def test_it_is_said_again_until_the_store_takes_it(learning, person, imap):
    f = learning(run={"nodes": 1})
    f.import_users([bare(person)])

    def run(sql):
        with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db"), timeout=10) as db:
            db.execute(sql)
    run("CREATE TRIGGER full BEFORE INSERT ON learned BEGIN SELECT RAISE(ABORT, 'no room for it'); END")
    log_in(imap, f, person)
    processes.wait_until(lambda: "no room for it" in f.log_text(), 20, "the store to refuse")
    run("DROP TRIGGER full")
    processes.wait_until(lambda: sealed(f), 20, "the password to be kept")


def test_what_was_learned_goes_though_nothing_is_learned_any_more(learning, stage, person, imap):
    f = learning()
    f.import_users([bare(person)])
    log_in(imap, f, person)
    processes.wait_until(lambda: sealed(f), 10, "the password to be learned")
    f.stop()
    with open(f.conf) as conf:
        text = conf.read()
    begin = text.index("learn {")
    with open(f.conf, "w") as conf:
        conf.write(text[:begin] + text[text.index("}", begin) + 1:])
    with sqlite3.connect(os.path.join(f.folder, "store", "mailferry.db")) as db:
        db.execute("UPDATE learned SET at = 1")     # long ago
    f.start(new_store=False)
    processes.wait_until(lambda: not sealed(f), 20, "the password to be erased")


def test_a_key_that_does_not_fit(learning, stage, own_ferry, tmp_path):
    f = learning()
    f.stop()
    with open(f.conf) as conf:
        text = conf.read()
    key = [line.split('"')[1] for line in text.splitlines() if "public_key" in line][0]
    with open(f.conf, "w") as conf:
        conf.write(text.replace(key, key[:-1] + ("0" if key[-1] != "0" else "1")))
    f.start(new_store=False, up=False)
    try:
        processes.wait_until(lambda: "is not the one that learn.public_key belongs to" in f.log_text(), 30, "the complaint")
    finally:
        f.stop()
