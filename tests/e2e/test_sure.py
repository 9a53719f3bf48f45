"""Before something that is not simply taken back, a person at a terminal is asked, on a real move."""

import os

import pytest

from lib.terminal import Terminal

pytestmark = pytest.mark.any_servers

QUESTION = "go on? [y/N] "


@pytest.fixture
def at_terminal(ferry):
    def run(*args):
        return Terminal([os.path.join(ferry.build, "mailferry"), "-c", ferry.conf, *args])
    return run


def test_no_changes_nothing_and_yes_moves(ferry, stage, imap, at_terminal):
    person = stage.take()
    stage.fill(person, {"INBOX": 2})
    ferry.import_users([person.name], wave="sure")
    ferry.wait_state(person.name, "ready")
    client = imap(ferry)
    client.login(person.name, person.password)
    before = ferry.history(person.name)
    for answer in ("n\n", "\n", "yeah\n", "\x04"):      # the last is the end of what is typed
        t = at_terminal("cutover", "--wave", "sure")
        t.until(QUESTION)
        t.type(answer)
        status, seen = t.finish()
        assert status == 1 and "nothing was done" in seen, seen
        assert "1 user of wave sure will be moved to new: logins wait for some seconds, " in seen
    assert ferry.state(person.name) == "ready" and ferry.history(person.name) == before
    assert not ferry.user(person.name)["go"]
    client.command(b"NOOP")

    t = at_terminal("cutover", person.name)
    t.until(QUESTION)
    assert "%s (ready) will be moved to new" % person.name in t.seen
    t.type("y\n")
    status, seen = t.finish()
    assert status == 0 and "flipped" in seen
    assert ferry.state(person.name) in ("trailing", "done")

    status, seen = at_terminal("rollback", person.name, "--yes").finish()
    assert status == 0 and QUESTION not in seen and "returned" in seen
    assert ferry.state(person.name) == "ready"
