"""What is told of the past: of a user's logins and drops, of a wave."""

import pytest

from lib import processes
from lib.imapclient import No


def past(f, person, key, count=1):
    """The user's logins or drops, at least so many of them."""
    rows = []

    def there():
        rows[:] = f.cli("history", person.name)[key]
        return len(rows) >= count
    processes.wait_until(there, 10, "%d %s of %s" % (count, key, person.name))
    return rows


def named(imap, f, person, name):
    c = imap(f)
    c.login(person.name, person.password)
    c.command(b'ID ("name" "%s" "version" "1.2")' % name)
    c.command(b"SELECT INBOX")
    return c


@pytest.mark.offers("ID")
def test_a_user_s_logins_and_drops(stage, own_ferry, person, imap, pop3):
    f = own_ferry({"sync": {"delta_s": 2}})
    stage.fill(person, {"INBOX": 3})
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    idle = named(imap, f, person, b"Courier-Pigeon")
    idle.idle()
    p = pop3(f)
    p.login(person.name, person.password)
    wrong = imap(f)
    with pytest.raises(No):
        wrong.login(person.name, "wrong")
    f.command("cutover", person.name)
    idle.responses_until_closed()
    idle.close()
    named(imap, f, person, b"Courier-Pigeon").logout()
    logins = sorted(past(f, person, "logins", 4), key=lambda x: x["at"])     # each node writes its own, in its time
    assert [(x["proto"], x["side"], x["result"]) for x in logins] == [
        ("imap", "old", "ok"), ("pop3", "old", "ok"), ("imap", "old", "refused"), ("imap", "new", "ok")]
    assert logins[0]["route"] == "old: user is ready" and logins[3]["route"].startswith("new: flipped at ")
    processes.wait_until(lambda: [d["bye"] for d in past(f, person, "drops") if d["proto"] == "imap"] == ["heard"], 10,
                         "the BYE to have been heard")
    drops = {d["proto"]: d for d in past(f, person, "drops", 2)}
    assert drops["imap"]["client"] == "Courier-Pigeon 1.2" and drops["imap"]["doing"] == "IDLE"
    assert drops["imap"]["why"] == "the user was moved" and drops["imap"]["back_ms"] > 0
    assert drops["pop3"]["bye"] == "none" and drops["pop3"]["back_ms"] is None
    p.send(b"NOOP\r\n")
    assert p.line().startswith(b"-ERR")
    assert p.line() == b""      # the end; to close earlier would be a reset
    p.close()
    processes.wait_until(lambda: {d["proto"]: d["bye"] for d in past(f, person, "drops")}["pop3"] == "heard", 10,
                         "POP3's last word to have been heard")
    text = f.command("history", person.name).stdout
    for part in ("login to old by imap: ok", "login to old by imap: refused", "dropped from old: the user was moved",
                 "IDLE; BYE heard; Courier-Pigeon 1.2; back after"):
        assert part in text, text

    report = f.cli("report", "--wave", "1")
    assert (report["users"], report["on_new"], report["flips"], report["returns"]) == (1, 1, 1, 0)
    clients = {k["client"]: (k["drops"], k["count"]) for k in report["clients"]}
    assert clients == {"Courier-Pigeon 1.2": (1, 1), "": (1, 0)}
    text = f.command("report", "--wave", "1").stdout
    assert "wave 1: 1 users, 1 on new" in text and "Courier-Pigeon 1.2" in text, text
