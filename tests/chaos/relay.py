"""A relay for one connection in clear text that is cut after byte n of either direction."""

import re
import select
import socket
import struct
import threading

UP, DOWN = "up", "down"


class Relay:
    """
    marker     a command of the client; bytes count from where its tag begins, in both directions
    way, n     after n bytes that way both ends are cut; n None: never
    rude       by RST; else by FIN
    up, down   all that went by since the marker
    """

    def __init__(self, address, port, marker, way=DOWN, n=None, rude=False):
        self._to, self._marker, self._way, self._n, self._rude = (address, port), marker, way, n, rude
        self._all, self._armed = bytearray(), None
        self.seen = {UP: bytearray(), DOWN: bytearray()}
        self.was_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._thread.join()

    def _run(self):
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        with client, socket.create_connection(self._to) as server:
            ends = {client: (server, UP), server: (client, DOWN)}
            while not self.was_cut:
                for source in select.select(list(ends), [], [])[0]:
                    target, way = ends[source]
                    try:
                        data = source.recv(65536)
                        self._pass_on(data, target, way)
                    except OSError:
                        data = b""
                    if not data or self.was_cut:
                        self._leave(client, server)
                        return

    def _pass_on(self, data, target, way):
        before = len(self.seen[way]) if self._armed is not None else 0
        if way == UP:
            self._all += data
            found = self._armed is None and re.search(rb"m\d+ " + self._marker, self._all)
            if found:
                self._armed = found.start()
                before = 0
        if self._armed is None:
            target.sendall(data)
            return
        counted = bytes(self._all[self._armed + before:]) if way == UP else data
        plain = data[:len(data) - len(counted)]     # of what came before the marker
        self.seen[way] += counted
        if way == self._way and self._n is not None and len(self.seen[way]) >= self._n:
            counted = counted[:max(0, self._n - before)]
            self.was_cut = True
        target.sendall(plain + counted)

    def _leave(self, *sockets):
        if self.was_cut and self._rude:
            for s in sockets:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def exchange(self):
        """How many bytes went each way from the marker to its tagged answer."""
        up, down = bytes(self.seen[UP]), bytes(self.seen[DOWN])
        tag = up.split(b" ", 1)[0]
        answer = re.search(rb"^%s [^\r]*\r\n" % tag, down, re.M)
        after = re.search(rb"\r\nm\d+ ", up)
        return (after.start() + 2 if after else len(up)), answer.end()
