"""backend.checkpoint: a server that keeps changed flags in the open session is told to CHECK before the move."""

import glob
import os

import pytest

from lib import processes
from test_cutover import Brake, idle_on_old, move, moves, settle, still_works_on_old, wait_frozen

CHECKPOINT = {"backend old": {"checkpoint": True}, "limits": {"stall_s": 60}}


def said(stage, person):
    """What each session of the person said to old, oldest first."""
    texts = []
    for path in sorted(glob.glob(os.path.join(stage.old.folder, "rawlog", person.name, "*.in"))):
        with open(path, "rb") as f:
            texts.append(f.read())
    return texts


def plain_on_old(imap, f, person):
    c = imap(f, name="plain")
    c.login(person.name, person.password)
    c.command(b"SELECT INBOX")
    c.command(b"STORE 1 +FLAGS (\\Flagged)")
    return c


@pytest.mark.offers("dovecot")
def test_check_comes_before_the_move_and_nobody_sees_it(stage, own_ferry, person, imap):
    f = own_ferry(CHECKPOINT)
    settle(stage, f, person)
    clients = idle_on_old(imap, f, person), plain_on_old(imap, f, person)
    move(f, person)
    for c in clients:
        heard = c.responses_until_closed()
        assert c.left_with_bye
        assert not [line for line in heard if not line.startswith(b"* ")], heard
    asked = []

    def all_said():
        asked[:] = [text for text in said(stage, person) if b"ZC CHECK" in text]
        return len(asked) >= len(clients) and all(b"Z LOGOUT" in text for text in asked)
    processes.wait_until(all_said, 10, "the sessions to have left old")
    assert len(asked) == len(clients)
    for text in asked:
        assert text.count(b"ZC CHECK") == 1 and text.index(b"ZC CHECK") < text.index(b"Z LOGOUT")


@pytest.mark.full
def test_idle_goes_on_after_an_undo(stage, own_ferry, person, imap):
    f = own_ferry({"cutover": {"budget_s": 3, "hold_s": 8, "retry_s": 600}, **CHECKPOINT})
    Brake.fill(stage, person)
    f.import_users([person.name])
    f.wait_state(person.name, "ready")
    idle, plain, brake = idle_on_old(imap, f, person), plain_on_old(imap, f, person), Brake(imap, f, person)
    brake.pull()
    f.command("cutover", person.name, "--no-wait")
    wait_frozen(f, person)
    plain.send(b"p1 NOOP\r\n")
    processes.wait_until(lambda: moves(f, person)[-1][1] == "ready", 15, "the undo")
    plain.finish(b"p1")
    brake.release()
    brake.client.append(b"INBOX", b"Subject: told to IDLE\r\n\r\n.\r\n")
    while b" EXISTS" not in idle.response():
        pass
    still_works_on_old(idle)
    if stage.old.kind == "dovecot":     # whose sessions leave a transcript
        assert sum(b"ZC CHECK" in text for text in said(stage, person)) == 2
