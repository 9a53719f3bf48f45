"""
The line between mailferry and its two servers, a process of its own: it carries every connection to all of their
ports, and by command is slow, late, stands still (nothing passes, nothing is lost) or resets all connections to one of
them.

    line.py NAME=PORT:TARGET …      prints "up"; then reads "stall NAME", "slow NAME SECONDS" (for each piece that passes),
                                    "late NAME SECONDS" (before a new connection is greeted), "go NAME", "reset NAME"; ends
                                    with its input
"""

import asyncio
import socket
import struct
import subprocess
import sys

BYTES = 65536


class Line:
    """To one server, whatever port."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.slow_s = self.late_s = 0.0
        self.ends = set()

    def reset(self):
        for end in list(self.ends):
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()

    async def carry(self, reader, writer):
        try:
            while True:
                data = await reader.read(BYTES)
                await asyncio.sleep(self.slow_s)
                await self.open.wait()
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()

    async def connection(self, port, reader, writer):
        await self.open.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self.ends |= both
        try:
            await asyncio.sleep(self.late_s)
            await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer))
        finally:
            self.ends -= both
            for end in both:
                end.close()


async def serve(arguments):
    lines = {}
    for argument in arguments:
        name, _, ports = argument.partition("=")
        port, _, target = ports.partition(":")
        line = lines.setdefault(name, Line())
        await asyncio.start_server(lambda r, w, line=line, target=int(target): line.connection(target, r, w),
                                   "127.0.0.1", int(port))
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    print("up", flush=True)
    while True:
        command = (await told.readline()).decode().split()
        if not command:
            return
        line = lines[command[1]]
        if command[0] == "stall":
            line.open.clear()
        elif command[0] == "slow":
            line.slow_s = float(command[2])
        elif command[0] == "late":
            line.late_s = float(command[2])
        elif command[0] == "go":
            line.slow_s = line.late_s = 0.0
            line.open.set()
        else:
            line.reset()


class Lines:
    """The process, for who gives the commands. ports: {name: {what: (port, target)}}."""

    def __init__(self, ports):
        arguments = ["%s=%d:%d" % (name, *pair) for name, whats in ports.items() for pair in whats.values()]
        self.process = subprocess.Popen([sys.executable, __file__, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if self.process.stdout.readline() != "up\n":
            raise RuntimeError("the line does not come up")

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
