# SPDX-License-Identifier: MIT
"""A socketmap client that writes bytes, good and bad."""

import fcntl
import select
import socket
import struct
import termios

from .wait import wait_for


def netstring(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"%d:%s," % (len(data), data)


class Socketmap:
    def __init__(self, path, timeout=60):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def half_close(self):
        self._socket.shutdown(socket.SHUT_WR)

    def write(self, data):
        self._socket.sendall(data)

    def write_and_wait(self, data):
        """Write, and wait until the other side has taken all of it."""
        self._socket.sendall(data)

        def unread():
            buffer = fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4)
            return struct.unpack("i", buffer)[0]
        wait_for(lambda: unread() == 0, what="the server's reading", every=0.0005)

    def write_until_full(self, data, limit):
        """Write data again and again, until the server takes no more or limit bytes are gone."""
        written = 0
        self._socket.setblocking(False)
        while written < limit and select.select([], [self._socket], [], 2)[1]:
            rest = written % len(data)
            try:
                written += self._socket.send(data[rest:])
            except BlockingIOError:
                pass
        self._socket.settimeout(60)
        return written

    def _more(self):
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return data != b""

    def answer(self):
        """The next answer, or None when the server closed the connection."""
        while b":" not in self._buffer:
            if not self._more():
                return None
        size, _, rest = self._buffer.partition(b":")
        size = int(size)
        while len(rest) < size + 1:
            if not self._more():
                return None
            rest = self._buffer.partition(b":")[2]
        assert rest[size:size + 1] == b",", self._buffer
        self._buffer = rest[size + 1:]
        return rest[:size].decode()

    def ask(self, name, key):
        self.write(netstring(f"{name} {key}"))
        return self.answer()

    def pair(self, sender, recipient):
        """What Postfix's resolver asks for one recipient."""
        return self.ask("sender", sender), self.ask("rcpt", recipient)
