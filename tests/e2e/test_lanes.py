"""
Several connections for one user: what arrives is the same as with one, whoever is killed or refused.
"""

import random
import socket
import threading

import pytest

from lib.copier import Copier
from lib.fakemail import FakeMail, Refused

FOLDERS = {"INBOX": 300, "INBOX.Work": 200, "INBOX.Sent": 160, "INBOX.Lists": 100, "INBOX.Lists.dev": 60}
LANES = 3   # a final pass opens them for less mail than others do


class Door:
    """A relay that lets so many connections in at once and closes all others. cut_at: once, after so many bytes of a
    client, that connection is gone."""

    def __init__(self, port, most):
        self.target, self.most, self.open, self.seen, self.refused = port, most, 0, 0, 0
        self.cut_at = None
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.seen += 1
                full = self.open >= self.most
                self.open += not full
                self.refused += full
            if full:
                sock.close()
            else:
                threading.Thread(target=self._relay, args=(sock,), daemon=True).start()

    def _relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server, self.take_cut())
            back.join()
        with self.lock:
            self.open -= 1

    def take_cut(self):
        with self.lock:
            at, self.cut_at = self.cut_at, None
        return at

    @staticmethod
    def _pump(source, target, cut_at=None):
        try:
            while data := source.recv(65536):
                target.sendall(data[:cut_at])
                if cut_at is not None:
                    cut_at -= len(data)
                    if cut_at <= 0:
                        source.shutdown(socket.SHUT_RDWR)
                        break
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def doors(copier):
    opened = []

    def make(side, most):
        door = Door(copier.sides[side]["port"], most)
        opened.append(door)
        copier.sides[side] = dict(copier.sides[side], port=door.port)
        return door
    yield make
    for door in opened:
        door.close()


def test_three_connections(stage, person, copier, doors):
    stage.fill(person, FOLDERS)
    door = doors("old", 100)
    result = copier.until_clean(kind="final", connections=LANES)
    assert result["copied"] == result["verified"] == sum(FOLDERS.values())
    assert not copier.difference(), copier.difference()
    assert door.seen >= LANES
    code, again = copier.run("final", connections=LANES)
    assert again["clean"] and again["copied"] == again["deleted"] == again["flags"] == 0


def test_a_server_that_allows_two(stage, person, copier, doors):
    stage.fill(person, FOLDERS)
    door = doors("new", 2)
    result = copier.until_clean(passes=1, kind="final", connections=LANES)
    assert result["copied"] == sum(FOLDERS.values()) and door.refused >= 1
    assert not copier.difference(), copier.difference()


def test_killed_at_any_moment(stage, person, copier):
    stage.fill(person, FOLDERS)
    dice = random.Random(4)
    killed = sum(copier.run_and_kill(after_s * dice.uniform(0.7, 1.3), "final", connections=LANES)
                 for after_s in (0.04, 0.08, 0.12, 0.16, 0.24, 0.4))
    copier.until_clean(kind="final", connections=LANES)
    assert killed
    assert not copier.difference(), copier.difference()


@pytest.mark.parametrize("cut_at", [12000, 40000, 75000])
def test_cut_in_the_middle_of_many(stage, person, copier, doors, cut_at):
    """All of a MULTIAPPEND is in doubt then: it is looked for, and sent again if it is not there."""
    stage.fill(person, {"INBOX": 40}, size=2000)
    door = doors("new", 100)
    door.cut_at = cut_at
    code, result = copier.run()
    assert code == 0 and not result["ok"] and result["kind"] == "temporary", result
    assert copier.until_clean()["messages"] == 40
    assert not copier.difference(), copier.difference()


class Choosy(FakeMail):
    """Refuses any APPEND that has one bad message in it, and counts them."""

    appends = refused = 0

    def do_append(self, talk, command):
        self.appends += 1
        if any(isinstance(a, bytes) and b"Subject: bad" in a for a in command.args):
            self.refused += 1
            raise Refused(b"NO [CANNOT] not this one")
        return super().do_append(talk, command)


def test_one_refused_among_many(stage, tmp_path):
    old, new = (kind(name, str(tmp_path), stage.ca, {"anna": "secret"}) for kind, name in ((FakeMail, "old"), (Choosy, "new")))
    try:
        for i in range(50):
            bad = i in (7, 8, 31)
            old.put("anna", b"INBOX", b"Subject: %s %d\r\n\r\nx\r\n" % (b"bad" if bad else b"good", i))
        copier = Copier(old, new, stage.ca, "anna", "secret", str(tmp_path), fence_s=0)
        code, result = copier.run()
        assert code == 0 and result["ok"] and result["copied"] == 47 and result["exceptions"] == 3, result
        got = sorted(m.data for m in new.accounts["anna"].boxes[b"INBOX"].mails)
        assert got == sorted(m.data for m in old.accounts["anna"].boxes[b"INBOX"].mails if b"good" in m.data)
        assert new.appends < 50
    finally:
        old.stop()
        new.stop()
