"""Shadow logins: what old has taken is tried on new, unseen by the client, and only yes or no is kept."""

import pytest

from lib import processes
from lib.imapclient import No

LOOKS = {"gate": {"shadow_login": True}, "sync": {"delta_s": 1}}
IMPATIENT = {"limits": {"dial_s": 1, "backend_login_s": 1}}


@pytest.fixture
def looking(own_ferry, person, stage, request):
    f = own_ferry({**LOOKS, **getattr(request, "param", {})})
    stage.fill(person, {"INBOX": 2})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    return f


def password(f, person):
    return {i["name"]: i for i in f.cli("why", person.name)["waits_for"]}["password"]


def wait_for(f, person, state, part):
    def found():
        item = password(f, person)
        return item if item["state"] == state and part in item["text"] else None
    return processes.wait_until(found, 60, "the password to be %s: %s" % (state, part))


def log_in(imap, f, person):
    client = imap(f)
    client.login(person.name, person.password)
    client.command(b"SELECT INBOX")
    return client


def test_new_takes_the_password(looking, person, imap):
    assert "not known" in wait_for(looking, person, "warns", "")["text"]
    client = log_in(imap, looking, person)
    wait_for(looking, person, "ok", "new took the user's password")
    client.command(b"NOOP")
    looking.command("cutover", person.name)
    assert looking.state(person.name) == "trailing"


def test_by_pop3(looking, person, pop3):
    client = pop3(looking)
    client.login(person.name, person.password)
    wait_for(looking, person, "ok", "new took the user's password")


@pytest.mark.offers("master")    # the passes go on while the person's own password is refused
def test_new_refuses_it_until_it_is_set_there(stage, looking, person, imap):
    right = stage.new.users[person.name]
    stage.new.set_password(person.name, "another-one")
    try:
        client = log_in(imap, looking, person)
        assert "mailferry retry" in wait_for(looking, person, "waits", "new refused the password")["remedy"]
        client.command(b"NOOP")         # it noticed nothing
        looking.command("cutover", person.name, "--no-wait")
    finally:
        stage.new.set_password(person.name, right)
    log_in(imap, looking, person)       # within the day: nobody looks again, …
    assert password(looking, person)["state"] == "waits"
    looking.command("retry", person.name)
    log_in(imap, looking, person)       # … but now
    looking.wait_state(person.name, "trailing")


@pytest.mark.parametrize("looking", [IMPATIENT], indirect=True, ids=["impatient"])
def test_nothing_is_known_while_new_does_not_answer(stage, looking, person, imap):
    def come_in():
        try:
            return log_in(imap, looking, person)
        except No:      # old was not quick enough either
            return None
    stage.new.pause()
    try:
        client = processes.wait_until(come_in, 30, "old to let her in")
        processes.wait_until(lambda: "not known whether new takes the password" in looking.log_text(), 30,
                             "the shadow login to end")
        client.command(b"NOOP")
        assert "not known" in password(looking, person)["text"]
    finally:
        stage.new.resume()
