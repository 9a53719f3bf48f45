"""
Several connections for one user: what arrives is the same as with one, whoever is killed or refused.
"""

import random
import socket
import threading

import pytest

FOLDERS = {"INBOX": 300, "INBOX.Work": 200, "INBOX.Sent": 160, "INBOX.Lists": 100, "INBOX.Lists.dev": 60}
LANES = 3


class Door:
    """A relay that lets so many connections in at once and closes all others."""

    def __init__(self, port, most):
        self.target, self.most, self.open, self.seen, self.refused = port, most, 0, 0, 0
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
            self._pump(client, server)
            back.join()
        with self.lock:
            self.open -= 1

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
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
    result = copier.until_clean(connections=LANES)
    assert result["copied"] == result["verified"] == sum(FOLDERS.values())
    assert not copier.difference(), copier.difference()
    assert door.seen >= LANES
    code, again = copier.run(connections=LANES)
    assert again["clean"] and again["copied"] == again["deleted"] == again["flags"] == 0


def test_a_server_that_allows_two(stage, person, copier, doors):
    stage.fill(person, FOLDERS)
    door = doors("new", 2)
    result = copier.until_clean(passes=1, connections=LANES)
    assert result["copied"] == sum(FOLDERS.values()) and door.refused >= 1
    assert not copier.difference(), copier.difference()


def test_killed_at_any_moment(stage, person, copier):
    stage.fill(person, FOLDERS)
    dice = random.Random(4)
    killed = sum(copier.run_and_kill(dice.uniform(0.05, 0.5), connections=LANES) for _ in range(6))
    copier.until_clean(connections=LANES)
    assert killed
    assert not copier.difference(), copier.difference()
